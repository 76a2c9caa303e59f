//! Keys on what lies above the table: filter, line, answer, menu, question, form, help, log, report. `Esc` closes the layer.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::super::app::{App, Closing, Help, Mode};
use super::super::confirm::{Confirm, Question};
use super::super::filter::Filter;
use super::super::form::{Field, Form};
use super::super::line::Line;
use super::super::menu::Menu;
use super::super::msg::Effect;
use super::data::relist;
use super::{keys, palette};

/// Takes a key while a layer is open. The mode is taken out and put back unless it is over.
pub fn pressed(app: &mut App, key: KeyEvent) -> Vec<Effect> {
    let is_left = key.code == KeyCode::Esc || is_control_c(key);
    let mode = std::mem::take(&mut app.mode);
    if is_left {
        left(app, mode);
        return Vec::new();
    }
    match mode {
        Mode::Table => Vec::new(),
        Mode::Filter(line) => on_filter(app, line, key),
        Mode::TypeLine { id, name, line } => on_line(app, (id, name), line, key),
        Mode::Answer { id, name } => on_answer(app, (id, name), key),
        Mode::Palette(palette) => palette::on_key(app, palette, key),
        Mode::Search(line) => on_search(app, line, key),
        Mode::Menu(menu) => on_menu(app, menu, key),
        Mode::Confirm(confirm) => on_question(app, confirm, key),
        Mode::Form(form) => on_form(app, form, key),
        Mode::Help(help) => on_help(app, help, key),
        Mode::Sweep(sweep) => super::sweeping::on_key(app, sweep, key),
        Mode::Log { scroll } => on_log(app, scroll, key),
        Mode::Report { scroll } => on_report(app, scroll, key),
    }
}

/// What leaving a layer leaves behind.
fn left(app: &mut App, mode: Mode) {
    match mode {
        Mode::Filter(_) => filter(app, ""),
        Mode::Report { .. } => app.report = None,
        Mode::Form(form) => app.last_form = Some(form),
        Mode::Sweep(sweep) => super::sweeping::left(app, &sweep),
        // A search that found nothing it was asked for goes first.
        Mode::Help(help) if help.is_typing => app.mode = Mode::Help(Help::default()),
        Mode::Table
        | Mode::TypeLine { .. }
        | Mode::Answer { .. }
        | Mode::Palette(_)
        | Mode::Search(_)
        | Mode::Menu(_)
        | Mode::Confirm(_)
        | Mode::Help(_)
        | Mode::Log { .. } => {}
    }
}

/// Pasted text goes where text is typed, and nowhere else.
pub fn pasted(app: &mut App, text: &str) {
    match &mut app.mode {
        Mode::Filter(line) => {
            line.insert(text);
            let typed = line.text();
            filter(app, &typed);
        }
        Mode::TypeLine { line, .. } | Mode::Search(line) => line.insert(text),
        Mode::Palette(palette) => palette.line.insert(text),
        Mode::Help(help) if help.is_typing => help.needle.insert(text),
        Mode::Form(form) => form.current().insert(text),
        Mode::Table
        | Mode::Answer { .. }
        | Mode::Menu(_)
        | Mode::Confirm(_)
        | Mode::Help(_)
        | Mode::Sweep(_)
        | Mode::Log { .. }
        | Mode::Report { .. } => {}
    }
}

fn is_control_c(key: KeyEvent) -> bool {
    key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL)
}

/// A term that cannot be read is said, and the others hold meanwhile.
pub fn filter(app: &mut App, text: &str) {
    let (filter, error) = Filter::read(text);
    (app.filter, app.filter_error) = (filter, error.map(|e| e.to_string()));
    relist(app);
}

fn on_filter(app: &mut App, mut line: Line, key: KeyEvent) -> Vec<Effect> {
    match key.code {
        KeyCode::Enter if app.filter_error.is_none() => return Vec::new(),
        KeyCode::Enter => {}
        // Deleting beyond the beginning leaves, as in a pager.
        KeyCode::Backspace if line.is_empty() => return Vec::new(),
        KeyCode::Up => keys::go_up(app, 1),
        KeyCode::Down => keys::go_down(app, 1),
        _ => {
            line.edit(key);
            filter(app, &line.text());
        }
    }
    app.mode = Mode::Filter(line);
    Vec::new()
}

fn on_line(app: &mut App, (id, name): (String, String), mut line: Line, key: KeyEvent) -> Vec<Effect> {
    if key.code == KeyCode::Enter {
        return vec![Effect::Type { id, name, text: line.text() }];
    }
    line.edit(key);
    app.mode = Mode::TypeLine { id, name, line };
    Vec::new()
}

/// One key goes to the session as it is; arrows leave the answer open, for lists.
fn on_answer(app: &mut App, (id, name): (String, String), key: KeyEvent) -> Vec<Effect> {
    let (word, is_over) = match key.code {
        KeyCode::Char(c) if c == 'y' || c == 'n' || c.is_ascii_digit() => (c.to_string(), true),
        KeyCode::Enter => ("Enter".into(), true),
        KeyCode::Up => ("Up".into(), false),
        KeyCode::Down => ("Down".into(), false),
        KeyCode::Tab => ("Tab".into(), false),
        KeyCode::Char(' ') => ("Space".into(), false),
        _ => {
            app.mode = Mode::Answer { id, name };
            return Vec::new();
        }
    };
    if !is_over {
        app.mode = Mode::Answer { id: id.clone(), name: name.clone() };
    }
    vec![Effect::Answer { id, name, key: word }]
}

fn on_search(app: &mut App, mut line: Line, key: KeyEvent) -> Vec<Effect> {
    if key.code == KeyCode::Enter {
        super::panes::search(app, &line.text());
    } else {
        line.edit(key);
        app.mode = Mode::Search(line);
    }
    Vec::new()
}

fn on_menu(app: &mut App, mut menu: Menu, key: KeyEvent) -> Vec<Effect> {
    let chosen = match key.code {
        KeyCode::Enter => menu.items.get(menu.at),
        KeyCode::Char(c) => menu.by_key(c),
        _ => None,
    };
    if let Some(item) = chosen {
        return vec![item.effect.clone()];
    }
    match key.code {
        KeyCode::Down | KeyCode::Char('j') | KeyCode::Tab => menu.down(),
        KeyCode::Up | KeyCode::Char('k') | KeyCode::BackTab => menu.up(),
        KeyCode::Char('q') => return Vec::new(),
        _ => {}
    }
    app.mode = Mode::Menu(menu);
    Vec::new()
}

fn on_question(app: &mut App, mut confirm: Confirm, key: KeyEvent) -> Vec<Effect> {
    match key.code {
        KeyCode::Char('y') => return confirmed(app, &confirm),
        KeyCode::Enter if confirm.is_armed => return confirmed(app, &confirm),
        KeyCode::Enter | KeyCode::Char('n' | 'q') => return Vec::new(),
        KeyCode::Tab | KeyCode::BackTab => confirm.is_armed = !confirm.is_armed,
        KeyCode::Left | KeyCode::Char('h') => confirm.is_armed = false,
        KeyCode::Right | KeyCode::Char('l') => confirm.is_armed = true,
        _ => {}
    }
    app.mode = Mode::Confirm(confirm);
    Vec::new()
}

fn confirmed(app: &mut App, confirm: &Confirm) -> Vec<Effect> {
    if confirm.question != Question::Restart {
        app.tickets += 1;
        let ids = confirm.victims.iter().map(|v| v.id.clone()).collect();
        app.closing.push(Closing { ticket: app.tickets, ids, since: app.now });
        app.marked.clear();
        app.report = None;
    }
    vec![confirm.effect(app.tickets)]
}

fn on_form(app: &mut App, mut form: Form, key: KeyEvent) -> Vec<Effect> {
    let mut effects = Vec::new();
    form.offered.clear();
    let completing = form.completing(&app.options.directory, app.options.home.as_deref());
    match key.code {
        // Of another machine nothing is known here.
        KeyCode::Tab if form.field == Field::Directory && completing.is_some() && !app.options.directory.is_empty() => {
            let asked = completing.map(|(typed, place)| Effect::ListDirectories { typed, place });
            effects.extend(asked);
        }
        KeyCode::Tab | KeyCode::Down => form.go_next(),
        KeyCode::BackTab | KeyCode::Up => form.go_back(),
        KeyCode::Enter if form.is_starting => {}
        KeyCode::Enter => match form.request(&app.options.directory, app.options.home.as_deref(), app.size) {
            Ok(effect) => {
                (form.is_starting, form.error) = (true, None);
                effects.push(effect);
            }
            Err((field, why)) => (form.field, form.error) = (field, Some(why)),
        },
        _ if form.is_starting => {}
        _ => drop(form.current().edit(key).then(|| form.error = None)),
    }
    app.mode = Mode::Form(form);
    effects
}

fn on_help(app: &mut App, mut help: Help, key: KeyEvent) -> Vec<Effect> {
    match key.code {
        KeyCode::Enter if help.is_typing => help.is_typing = false,
        _ if help.is_typing => {
            help.needle.edit(key);
            help.scroll = 0;
        }
        KeyCode::Char('/') => (help.is_typing, help.needle) = (true, Line::default()),
        KeyCode::Char('q' | '?') | KeyCode::Enter => return Vec::new(),
        _ => help.scroll = scrolled(help.scroll, key),
    }
    help.scroll = help.scroll.min(super::super::view::help::scroll_limit(app, &help));
    app.mode = Mode::Help(help);
    Vec::new()
}

fn on_log(app: &mut App, scroll: u16, key: KeyEvent) -> Vec<Effect> {
    if !matches!(key.code, KeyCode::Char('q' | '@') | KeyCode::Enter) {
        let longest = u16::try_from(app.deeds.lines.len()).unwrap_or(u16::MAX).saturating_sub(1);
        // Counted from the end: up is further.
        let scroll = match key.code {
            KeyCode::Char('k') | KeyCode::Up => scroll.saturating_add(1),
            KeyCode::Char('j') | KeyCode::Down => scroll.saturating_sub(1),
            KeyCode::Char('u') | KeyCode::PageUp => scroll.saturating_add(10),
            KeyCode::Char('d') | KeyCode::PageDown => scroll.saturating_sub(10),
            KeyCode::Char('g') | KeyCode::Home => u16::MAX,
            KeyCode::Char('G') | KeyCode::End => 0,
            _ => scroll,
        };
        app.mode = Mode::Log { scroll: scroll.min(longest) };
    }
    Vec::new()
}

fn on_report(app: &mut App, scroll: u16, key: KeyEvent) -> Vec<Effect> {
    let longest = super::super::view::report::scroll_limit(app);
    match key.code {
        KeyCode::Char('q') | KeyCode::Enter => app.report = None,
        KeyCode::Char('y') => {
            app.mode = Mode::Report { scroll };
            return keys::copy(app);
        }
        _ => app.mode = Mode::Report { scroll: scrolled(scroll, key).min(longest) },
    }
    Vec::new()
}

fn scrolled(scroll: u16, key: KeyEvent) -> u16 {
    match key.code {
        KeyCode::Char('j') | KeyCode::Down => scroll.saturating_add(1),
        KeyCode::Char('k') | KeyCode::Up => scroll.saturating_sub(1),
        KeyCode::Char('d' | ' ') | KeyCode::PageDown => scroll.saturating_add(10),
        KeyCode::Char('u') | KeyCode::PageUp => scroll.saturating_sub(10),
        KeyCode::Char('g') | KeyCode::Home => 0,
        KeyCode::Char('G') | KeyCode::End => u16::MAX,
        _ => scroll,
    }
}
