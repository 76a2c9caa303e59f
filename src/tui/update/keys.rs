//! Keys on the table.

use crossterm::event::{KeyCode, KeyEvent};

use super::super::app::{App, Attaching, Help, Mode, Selected};
use super::super::applies;
use super::super::column::{Column, Order};
use super::super::confirm::{Confirm, Question};
use super::super::filter::Filter;
use super::super::form::Form;
use super::super::format;
use super::super::keymap::{Action, Binding};
use super::super::line::Line;
use super::super::link::Lack;
use super::super::listing::{Entry, Grouping};
use super::super::menu::{Item, Menu};
use super::super::msg::{Answer, Effect};
use super::super::palette::{Palette, SIGNALS};
use super::super::panes::Pane;
use super::super::rows::Row;
use super::super::view::regions::Regions;
use super::data::relist;
use super::{marks, panes};
use crate::api::types::{Act, Session};
use crate::model::session::State;
use crate::model::text::printable_within;

/// Takes a key while nothing lies above the panes.
pub fn pressed(app: &mut App, key: KeyEvent) -> Vec<Effect> {
    let Some(binding) = app.keymap.binding(key) else {
        if let KeyCode::F(number) = key.code {
            saved_filter(app, number);
        }
        return Vec::new();
    };
    act_unless_refused(app, binding)
}

/// The filter kept under a function key; pressed again, all are shown.
fn saved_filter(app: &mut App, number: u8) {
    let Some(text) = app.saved.get(&number).cloned() else {
        return app.say(format!("no filter is kept under F{number}: `:keep F{number}` keeps the present one"));
    };
    let is_on = app.filter.text() == text;
    super::layers::filter(app, if is_on { "" } else { &text });
    app.say(if is_on { "all are shown".to_string() } else { format!("F{number}: {text}") });
}

/// What a key of the table does; refused where it would change something and nothing may be changed.
pub fn act_unless_refused(app: &mut App, binding: &'static Binding) -> Vec<Effect> {
    if binding.mutates && app.options.readonly {
        app.complain(format!("read-only: {} would change something", app.keymap.shown(binding)));
        return Vec::new();
    }
    if let Some(effects) = panes::act(app, binding.action) {
        return effects;
    }
    if let Some(why) = refusal(app, binding.action) {
        app.tell(Err(why));
        return Vec::new();
    }
    act(app, binding.action)
}

/// Why an action does nothing now, if it does nothing for anybody it would act on.
pub fn refusal(app: &App, action: Action) -> Option<String> {
    if action == Action::Attach && app.may_start_a_daemon() {
        return None;
    }
    let targets = if is_for_several(action) { app.targets() } else { app.selected_row().into_iter().collect() };
    let refusals: Option<Vec<String>> = targets.iter().map(|row| applies::refusal(action, row)).collect();
    refusals.and_then(|refusals| refusals.into_iter().next())
}

/// It acts on the marked.
const fn is_for_several(action: Action) -> bool {
    matches!(action, Action::Kill | Action::KillNow | Action::Pause | Action::Pin | Action::Signal)
}

/// Of whom a key acts on, those to whom it does something.
pub fn takers(app: &App, action: Action) -> Vec<&Row> {
    app.targets().into_iter().filter(|row| applies::refusal(action, row).is_none()).collect()
}

/// What an action does to the table, or to the sessions.
fn act(app: &mut App, action: Action) -> Vec<Effect> {
    match action {
        Action::Attach => return attach(app),
        Action::Window => return open_window(app),
        Action::TypeLine => type_line(app),
        Action::Answer => answer(app),
        Action::Kill => ask(app, Question::Kill { now: false }),
        Action::KillNow => ask(app, Question::Kill { now: true }),
        Action::CloseAll => ask(app, Question::CloseAll),
        Action::Restart => ask(app, Question::Restart),
        Action::Signal => choose_signal(app),
        Action::Pause => return switch(app, action, |r| r.session.state == State::Paused, Act::Pause, Act::Unpause),
        Action::Pin => return switch(app, action, |r| r.session.pinned, Act::Pin, Act::Unpin),
        Action::New => open_form(app),
        Action::Resume => return vec![Effect::AskEnded],
        Action::Sweep => return super::sweeping::open(app, false),
        Action::Emergency => return super::sweeping::open(app, true),
        Action::Release if app.latched.is_none() => app.say("nothing is latched"),
        Action::Release => return vec![Effect::Release],
        Action::Export => return export(app),
        Action::Copy => return copy(app),
        Action::Palette => app.mode = Mode::Palette(Palette::default()),
        Action::Log => app.mode = Mode::Log { scroll: 0 },
        Action::Help => app.mode = Mode::Help(Help::default()),
        Action::Back => back(app),
        Action::Mouse => {
            app.has_mouse = !app.has_mouse;
            app.say(if app.has_mouse { "the mouse works here" } else { "the mouse is the terminal's" });
            return vec![Effect::Mouse(app.has_mouse)];
        }
        Action::Suspend => return vec![Effect::Suspend],
        Action::Quit => return vec![Effect::Quit],
        other => arrange(app, other),
    }
    Vec::new()
}

/// What an action does to the way the table looks.
fn arrange(app: &mut App, action: Action) {
    match action {
        Action::Down => go_down(app, 1),
        Action::Up => go_up(app, 1),
        Action::PageDown => go_down(app, half_page(app)),
        Action::PageUp => go_up(app, half_page(app)),
        Action::Top => go_up(app, usize::MAX),
        Action::Bottom => go_down(app, usize::MAX),
        Action::Mark => marks::one(app),
        Action::MarkRange => marks::range(app),
        Action::MarkAll => marks::all(app),
        Action::Filter => app.mode = Mode::Filter(Line::new(app.filter.text())),
        Action::Faults => {
            app.faults_only = !app.faults_only;
            relist(app);
        }
        Action::SortRight => sort(app, Order { by: app.order.by.beside(1), is_reversed: false }),
        Action::SortLeft => sort(app, Order { by: app.order.by.beside(-1), is_reversed: false }),
        Action::Reverse => sort(app, Order { is_reversed: !app.order.is_reversed, ..app.order }),
        Action::Group => next_grouping(app),
        Action::Fold => fold(app),
        Action::Tree => open_tree(app),
        // The others are no arrangement.
        _ => {}
    }
}

/// Half of what the table shows.
fn half_page(app: &App) -> usize {
    usize::from(Regions::of(app).rows_shown() / 2).max(1)
}

/// As many places down; the last one where there are fewer.
pub fn go_down(app: &mut App, places: usize) {
    let below = (app.cursor + 1..app.lines.len()).filter(|i| app.lines[*i].is_place());
    let at = below.take(places).last().unwrap_or(app.cursor);
    stand(app, at);
}

/// As many places up; the first one where there are fewer.
pub fn go_up(app: &mut App, places: usize) {
    let above = (0..app.cursor.min(app.lines.len())).rev().filter(|i| app.lines[*i].is_place());
    let at = above.take(places).last().unwrap_or(app.cursor);
    stand(app, at);
}

/// Puts the cursor on the place at this line, or the nearest one: below first, as when a session goes.
pub fn stand(app: &mut App, line: usize) {
    let line = line.min(app.lines.len().saturating_sub(1));
    let below = (line..app.lines.len()).find(|i| app.lines[*i].is_place());
    let above = || (0..line).rev().find(|i| app.lines[*i].is_place());
    app.cursor = below.or_else(above).unwrap_or(0);
    let session = app.selected_row().map(|row| Selected::Session(row.id().into()));
    app.selected = session.or_else(|| app.selected_group().map(|group| Selected::Group(group.title.clone())));
}

pub fn sort(app: &mut App, order: Order) {
    app.order = order;
    relist(app);
    let way = if order.is_reversed { ", reversed" } else { "" };
    let by = if order.by == Column::Health { "need, worst first" } else { order.by.word() };
    app.say(format!("sorted by {by}{way}"));
}

/// The next way of grouping, or none after the last.
fn next_grouping(app: &mut App) {
    let next = match app.grouping {
        None => Grouping::ALL.first().copied(),
        Some(now) => Grouping::ALL.iter().copied().skip_while(|g| *g != now).nth(1),
    };
    group(app, next);
}

pub fn group(app: &mut App, next: Option<Grouping>) {
    app.grouping = next;
    app.folded.clear();
    relist(app);
    app.say(next.map_or_else(|| "not grouped".into(), |g| format!("grouped by {}", g.word())));
}

/// Folds the group the cursor is in, or opens it.
fn fold(app: &mut App) {
    let above = app.lines.iter().take(app.cursor + 1).rev();
    let heading = above.into_iter().find_map(|entry| match entry {
        Entry::Group(index) => app.groups.get(*index),
        Entry::Session(_) | Entry::Ghost(_) | Entry::Process { .. } => None,
    });
    let Some(title) = heading.map(|group| group.title.clone()) else {
        app.say("nothing is grouped: b groups");
        return;
    };
    if !app.folded.remove(&title) {
        app.folded.insert(title.clone());
    }
    app.selected = Some(Selected::Group(title));
    relist(app);
}

fn open_tree(app: &mut App) {
    let ids: Vec<String> = app.targets().iter().map(|row| row.id().to_string()).collect();
    let all_open = ids.iter().all(|id| app.open_trees.contains(id));
    for id in ids {
        if all_open {
            app.open_trees.remove(&id);
        } else {
            app.open_trees.insert(id);
        }
    }
    relist(app);
}

fn attach(app: &mut App) -> Vec<Effect> {
    if app.may_start_a_daemon() {
        app.lack = Lack::Starting;
        return vec![Effect::StartDaemon];
    }
    if app.selected_group().is_some() {
        fold(app);
        return Vec::new();
    }
    let Some(row) = app.selected_row() else { return Vec::new() };
    let (id, name) = (row.id().to_string(), row.name.clone());
    app.attaching = Some(Attaching { name: name.clone(), since: app.now });
    vec![Effect::FindKeeper { id, name }]
}

/// Takes a key between `Enter` and the session's own screen: typed ahead for the session, so it means nothing here.
/// `Esc` stays at the table.
pub fn pressed_ahead(app: &mut App, key: KeyEvent) {
    if key.code == KeyCode::Esc {
        app.attaching = None;
    }
}

fn type_line(app: &mut App) {
    if let Some(row) = app.selected_row() {
        app.mode = Mode::TypeLine { id: row.id().into(), name: row.name.clone(), line: Line::default() };
    }
}

fn answer(app: &mut App) {
    if let Some(row) = app.selected_row() {
        app.mode = Mode::Answer { id: row.id().into(), name: row.name.clone() };
    }
}

fn open_window(app: &mut App) -> Vec<Effect> {
    if !app.options.is_in_tmux {
        app.complain("this runs in no tmux: Enter attaches here");
        return Vec::new();
    }
    let Some(row) = app.selected_row() else { return Vec::new() };
    vec![Effect::OpenWindow { id: row.id().into(), name: row.name.clone() }]
}

fn export(app: &App) -> Vec<Effect> {
    let row = app.selected_row().into_iter();
    row.map(|row| Effect::Export { id: row.id().into(), name: row.name.clone() }).collect()
}

/// Most who have ended that can be chosen from.
const MOST_ENDED: usize = 30;

/// Which of those that have ended goes on.
pub fn ended_came(app: &mut App, answer: Answer<Vec<Session>>) {
    let sessions = match answer {
        Ok(sessions) => sessions,
        Err(why) => return app.complain(why),
    };
    if app.mode != Mode::Table {
        return;
    }
    let names: Vec<String> = sessions.iter().map(|s| printable_within(&s.name, 40)).collect();
    let widest = names.iter().map(|name| format::width(name)).max().unwrap_or(0).min(28);
    let keys = ('1'..='9').chain('a'..='z').filter(|c| !"jkq".contains(*c));
    let item = |(key, (session, name)): (char, (&Session, String))| {
        let at = session.exit.as_ref().and_then(|e| e.at.parse::<jiff::Timestamp>().ok());
        let at = at.map(|at| at.to_zoned(app.options.zone.clone()).strftime("%H:%M").to_string()).unwrap_or_default();
        let resume = session.resume.as_deref().map(|line| printable_within(line, 60)).unwrap_or_default();
        let pad = usize::from(widest.saturating_sub(format::width(&name)));
        let label = format!("{}{}  {at:<5}  {resume}", format::cut(&name, widest), " ".repeat(pad));
        Item { key, label, effect: Effect::Resume { id: session.id.clone(), name } }
    };
    let items: Vec<Item> = keys.zip(sessions.iter().zip(names).take(MOST_ENDED)).map(item).collect();
    if items.is_empty() {
        return app.say("none of those that have ended can be taken up again");
    }
    app.mode = Mode::Menu(Menu::new("Resume", items));
    app.is_dirty = true;
}

fn choose_signal(app: &mut App) {
    let targets = takers(app, Action::Signal);
    let ids: Vec<String> = targets.iter().map(|row| row.id().to_string()).collect();
    let title = match targets.as_slice() {
        [] => return,
        [only] => format!("Signal to {}", only.name),
        several => format!("Signal to {} sessions", several.len()),
    };
    // Not KILL: that is what `X` is for, and it takes the whole tree.
    let keys = ['i', 't', 'h', 'u', 'c', 's'];
    let item = |(key, name): (char, &&str)| {
        let label = format!("{name:<5} {}", signal_help(name));
        Item { key, label, effect: Effect::Signal(ids.clone(), (*name).into()) }
    };
    app.mode = Mode::Menu(Menu::new(title, keys.into_iter().zip(SIGNALS).map(item).collect()));
}

/// What programs take it for.
fn signal_help(name: &str) -> &'static str {
    match name {
        "INT" => "stop what you do, as Ctrl-C",
        "TERM" => "end",
        "HUP" => "the terminal is gone, or read the settings again",
        "USR1" => "what the program makes of it",
        "CONT" => "go on",
        "STOP" => "hold still",
        _ => "",
    }
}

fn ask(app: &mut App, question: Question) {
    let confirm = match question {
        Question::Kill { .. } => Confirm::about(question, &app.targets()),
        Question::CloseAll => Confirm::about_all(&app.rows),
        Question::Restart => Confirm::about(question, &app.selected_row().into_iter().collect::<Vec<_>>()),
    };
    match confirm {
        Some(confirm) => app.mode = Mode::Confirm(confirm),
        None => app.say("there is no session for that"),
    }
}

/// All of them on: off. Otherwise on, for those that are off.
fn switch(app: &App, action: Action, is_on: impl Fn(&Row) -> bool, on: Act, off: Act) -> Vec<Effect> {
    let targets = takers(app, action);
    if targets.is_empty() {
        return Vec::new();
    }
    let all_on = targets.iter().all(|row| is_on(row));
    let ids = targets.iter().filter(|row| all_on || !is_on(row)).map(|row| row.id().to_string()).collect();
    vec![Effect::Act(if all_on { off } else { on }, ids)]
}

fn open_form(app: &mut App) {
    let fresh = || Form::new(&app.options.command, &app.options.directory);
    app.mode = Mode::Form(app.last_form.as_ref().map_or_else(fresh, Form::again));
}

/// The id under the cursor; while a report is shown, one may choose between it and what resumes its sessions.
pub fn copy(app: &mut App) -> Vec<Effect> {
    let item = |key, label: &str, text: String| Item { key, label: label.into(), effect: Effect::Copy(text) };
    let id = app.selected_id().map(|id| item('i', "the id of the session", id.into()));
    let mut items: Vec<Item> = id.into_iter().collect();
    if let Some(report) = &app.report {
        let resumes: Vec<String> = report.sessions.iter().filter_map(|s| s.resume.clone()).collect();
        if !resumes.is_empty() {
            items.insert(0, item('r', "what resumes them", resumes.join("\n")));
        }
        items.push(item('p', "the report", super::super::view::report::text(app, report)));
    }
    if items.len() > 1 {
        app.mode = Mode::Menu(Menu::new("Copy", items));
        return Vec::new();
    }
    items.pop().map(|item| item.effect).into_iter().collect()
}

/// The topmost thing goes: what was recorded, the zoom, the report, then the marks, then the filter.
fn back(app: &mut App) {
    if app.recall.take().is_some() || std::mem::take(&mut app.panes.is_zoomed) {
        return;
    }
    if app.panes.focus != Pane::Table {
        return app.panes.focus = Pane::Table;
    }
    if app.report.take().is_some() {
        return;
    }
    if !app.marked.is_empty() {
        return app.marked.clear();
    }
    app.faults_only &= !app.filter.is_empty();
    app.filter = Filter::default();
    relist(app);
}
