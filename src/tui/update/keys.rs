//! Keys on the table.

use crossterm::event::{KeyCode, KeyEvent};

use super::super::app::{App, Attaching, Mode};
use super::super::confirm::{Confirm, Question};
use super::super::form::Form;
use super::super::keymap::{self, Action, Binding};
use super::super::line::Line;
use super::super::msg::Effect;
use super::super::rows::Row;
use super::super::view::regions::Regions;
use crate::api::types::Act;
use crate::model::session::{Origin, State};

/// Takes a key while nothing lies above the table.
pub fn pressed(app: &mut App, key: KeyEvent) -> Vec<Effect> {
    match keymap::binding(key) {
        None => Vec::new(),
        Some(Binding { mutates: true, shown, .. }) if app.options.readonly => {
            app.complain(format!("read-only: {shown} would change something"));
            Vec::new()
        }
        Some(binding) => act(app, binding.action),
    }
}

fn act(app: &mut App, action: Action) -> Vec<Effect> {
    match action {
        Action::Down => go_to(app, app.cursor + 1),
        Action::Up => go_to(app, app.cursor.saturating_sub(1)),
        Action::PageDown => go_to(app, app.cursor + half_page(app)),
        Action::PageUp => go_to(app, app.cursor.saturating_sub(half_page(app))),
        Action::Top => go_to(app, 0),
        Action::Bottom => go_to(app, usize::MAX),
        Action::Attach => return attach(app),
        Action::TypeLine => type_line(app),
        Action::Kill => ask(app, Question::Kill { now: false }),
        Action::KillNow => ask(app, Question::Kill { now: true }),
        Action::CloseAll => ask(app, Question::CloseAll),
        Action::Restart => ask(app, Question::Restart),
        Action::Pause => return switch(app, |r| r.session.state == State::Paused, Act::Pause, Act::Unpause),
        Action::Pin => return switch(app, |r| r.session.pinned, Act::Pin, Act::Unpin),
        Action::New => open_form(app),
        Action::Mark => mark(app),
        Action::Filter => app.mode = Mode::Filter(Line::new(&app.filter)),
        Action::Copy => return copy(app),
        Action::Help => app.mode = Mode::Help { scroll: 0 },
        Action::Back => back(app),
        Action::Suspend => return vec![Effect::Suspend],
        Action::Quit => return vec![Effect::Quit],
    }
    Vec::new()
}

/// Half of what the table shows.
fn half_page(app: &App) -> usize {
    usize::from(Regions::of(app).rows_shown() / 2).max(1)
}

fn go_to(app: &mut App, index: usize) {
    app.cursor = index.min(app.shown.len().saturating_sub(1));
    app.selected = app.selected_row().map(|row| row.id().to_string());
}

fn attach(app: &mut App) -> Vec<Effect> {
    let Some(row) = app.selected_row() else { return Vec::new() };
    if row.session.origin != Origin::Managed {
        let text = format!("{} is not beadle's own: attach to it where it runs", row.name);
        app.complain(text);
        return Vec::new();
    }
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
fn switch(app: &App, is_on: impl Fn(&Row) -> bool, on: Act, off: Act) -> Vec<Effect> {
    let targets = app.targets();
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

fn mark(app: &mut App) {
    let Some(id) = app.selected_row().map(|row| row.id().to_string()) else { return };
    if !app.marked.remove(&id) {
        app.marked.insert(id);
    }
    go_to(app, app.cursor + 1);
}

/// What resumes the sessions of the report, while it is shown; else the id under the cursor.
pub fn copy(app: &App) -> Vec<Effect> {
    let resumes: Vec<String> =
        app.report.iter().flat_map(|report| &report.sessions).filter_map(|s| s.resume.clone()).collect();
    let text = if resumes.is_empty() { app.selected.clone() } else { Some(resumes.join("\n")) };
    text.map(Effect::Copy).into_iter().collect()
}

/// The topmost thing goes: the report, then the marks, then the filter.
fn back(app: &mut App) {
    if app.report.take().is_some() {
        return;
    }
    if !app.marked.is_empty() {
        return app.marked.clear();
    }
    app.filter.clear();
    super::data::refilter(app);
}
