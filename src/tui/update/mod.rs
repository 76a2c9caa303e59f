//! What every message does to the state, and what it asks of the world. Pure: time comes in as an argument.
//!
//! `data`: what the daemon says. `keys`, `marks`, `panes`: keys on the table and the panes. `layers`, `palette`: keys on
//! what lies above them. `mouse`: clicks and the wheel.

mod data;
pub mod keys;
mod layers;
mod marks;
mod mouse;
mod palette;
mod panes;
mod sweeping;

use std::time::Duration;

use super::app::{App, Link, Mode, Selected};
use super::known::Known;
use super::listing::Entry;
use super::msg::{Effect, Msg};
use super::panes::Pane;
use super::rows::Kind;
use super::sweeping::{Marks, Purpose};
use super::view::regions::Regions;
use super::{deeds, format};

/// Takes one message at `now`.
pub fn update(app: &mut App, now: Duration, msg: Msg) -> Vec<Effect> {
    app.now = now.max(app.now);
    let mut effects = match msg {
        Msg::Pressed(key) => {
            app.is_dirty = true;
            pressed(app, key)
        }
        Msg::Pasted(text) => {
            app.is_dirty = true;
            layers::pasted(app, &text);
            Vec::new()
        }
        Msg::Resized(cols, rows) => {
            app.is_dirty = true;
            app.size = (cols, rows);
            Vec::new()
        }
        Msg::Clicked(x, y) => {
            app.is_dirty = true;
            mouse::clicked(app, x, y);
            Vec::new()
        }
        Msg::Wheeled(x, y, is_down) => {
            app.is_dirty = true;
            mouse::wheeled(app, (x, y), is_down)
        }
        Msg::Ticked => {
            ticked(app);
            Vec::new()
        }
        other => data::came(app, other),
    };
    for effect in &effects {
        if let Some(command) = deeds::command(app, effect) {
            app.deeds.note(app.now, deeds::Kind::Asked, &command);
        }
    }
    settle(app);
    effects.extend(look(app));
    effects.extend(inquire(app));
    effects
}

fn pressed(app: &mut App, key: crossterm::event::KeyEvent) -> Vec<Effect> {
    if key.kind == crossterm::event::KeyEventKind::Release {
        return Vec::new();
    }
    if app.attaching.is_some() {
        keys::pressed_ahead(app, key);
        return Vec::new();
    }
    app.notice = None;
    if app.mode == Mode::Table { keys::pressed(app, key) } else { layers::pressed(app, key) }
}

/// Time has passed: what is shown for a moment goes, and what counts is counted on.
fn ticked(app: &mut App) {
    app.preview.woke();
    let now = app.now;
    let had = (app.fresh.len(), app.ghosts.len());
    app.fresh.retain(|_, until| now < *until);
    app.ghosts.retain(|ghost| now < ghost.until);
    if had.1 != app.ghosts.len() {
        data::relist(app);
    }
    let is_notice_over = app.notice.take_if(|notice| now >= notice.until).is_some();
    let is_counting = !app.closing.is_empty() || app.attaching.is_some() || app.stale_for().is_some();
    let is_over = had != (app.fresh.len(), app.ghosts.len());
    app.is_dirty |= is_over || is_notice_over || is_counting || has_aged(app);
}

/// True when a row on the screen shows another time than when it was drawn last.
fn has_aged(app: &mut App) -> bool {
    let height = usize::from(Regions::of(app).table.height);
    let seen = app.lines.iter().skip(app.offset).take(height);
    let rows = seen.filter_map(|entry| match entry {
        Entry::Session(index) => app.rows.get(*index),
        Entry::Group(_) | Entry::Ghost(_) | Entry::Process { .. } => None,
    });
    let texts: Vec<String> = rows
        .flat_map(|row| {
            let times = [app.idle_seconds(row), Some(app.age_seconds(row)), app.since(row), app.closes_in(row)];
            times.map(|time| format::known(time, format::span))
        })
        .collect();
    let changed = texts != app.ages;
    app.ages = texts;
    changed
}

/// Brings the selection, the window and the layers back in line with the rows.
fn settle(app: &mut App) {
    let is_selected = |entry: &Entry| match (entry, &app.selected) {
        (Entry::Session(index), Some(Selected::Session(id))) => app.rows.get(*index).is_some_and(|r| r.id() == id),
        (Entry::Group(index), Some(Selected::Group(title))) => {
            app.groups.get(*index).is_some_and(|g| g.title == *title)
        }
        (Entry::Session(_) | Entry::Group(_) | Entry::Ghost(_) | Entry::Process { .. }, _) => false,
    };
    let at = app.lines.iter().position(is_selected);
    let before = app.selected.clone();
    keys::stand(app, at.unwrap_or(app.cursor));
    if before != app.selected {
        app.panes.details_at = 0;
    }
    app.recall = app.recall.take().filter(|recall| app.selected_id() == Some(&recall.id));
    if app.mode == Mode::Table && !app.report_seen {
        app.report_seen = true;
        if super::view::report::needs_panel(app) {
            app.mode = Mode::Report { scroll: 0 };
        }
    }
    let height = usize::from(Regions::of(app).rows_shown()).max(1);
    let last_start = app.lines.len().saturating_sub(height);
    app.offset = app.offset.clamp((app.cursor + 1).saturating_sub(height), app.cursor).min(last_start);
}

fn look(app: &mut App) -> Option<Effect> {
    Regions::of(app).find(Pane::Screen)?;
    let index = match app.lines.get(app.cursor)? {
        Entry::Session(index) => *index,
        Entry::Group(_) | Entry::Ghost(_) | Entry::Process { .. } => return None,
    };
    let row = app.rows.get(index)?;
    app.preview.wanted(app.now, row, app.generation)
}

/// Asks about what is on the screen: processes and details of sessions, advice, the machine.
fn inquire(app: &mut App) -> Vec<Effect> {
    if app.link != Link::Up {
        return Vec::new();
    }
    let regions = Regions::of(app);
    let mut wanted: Vec<String> = app.open_trees.iter().cloned().collect();
    let mut effects = Vec::new();
    let detailed = app.selected_row().filter(|_| regions.find(Pane::Details).is_some());
    if let Some((id, kind)) = detailed.map(|row| (row.id().to_string(), row.kind)) {
        // Whoever holds a key down passes many: one of them is asked about at a time.
        if !app.open_trees.contains(&id) && !app.details.values().any(Known::is_under_way) {
            wanted.push(id);
        }
        if kind != Kind::Healthy && app.advice.ask(app.now) {
            effects.push(Effect::Advise);
        }
    }
    if app.strays.ask(app.now) {
        effects.push(Effect::Sweep(Purpose::Watch, Marks::default()));
    }
    if regions.find(Pane::Host).is_some() && app.host.ask(app.now) {
        effects.push(Effect::AskHost);
    }
    let now = app.now;
    wanted.retain(|id| app.details.entry(id.clone()).or_default().ask(now));
    effects.extend(wanted.into_iter().map(Effect::Inquire));
    effects
}
