//! What every message does to the state, and what it asks of the world. Pure: time comes in as an argument.
//!
//! `data`: what the daemon says. `keys`: keys on the table. `layers`: keys on what lies above it.

mod data;
mod keys;
mod layers;

use std::time::Duration;

use super::app::{App, Mode};
use super::format;
use super::msg::{Effect, Msg};
use super::view::regions::Regions;

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
        Msg::Ticked => {
            ticked(app);
            Vec::new()
        }
        other => data::came(app, other),
    };
    settle(app);
    effects.extend(look(app));
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
    match app.mode {
        Mode::Table => keys::pressed(app, key),
        Mode::Filter(_)
        | Mode::TypeLine { .. }
        | Mode::Confirm(_)
        | Mode::Form(_)
        | Mode::Help { .. }
        | Mode::Report { .. } => layers::pressed(app, key),
    }
}

/// Time has passed: what is shown for a moment goes, and what counts is counted on.
fn ticked(app: &mut App) {
    app.preview.woke();
    let now = app.now;
    let had = app.fresh.len();
    app.fresh.retain(|_, until| now < *until);
    let is_notice_over = app.notice.take_if(|notice| now >= notice.until).is_some();
    let is_counting = !app.closing.is_empty() || app.attaching.is_some() || app.stale_for().is_some();
    app.is_dirty |= had != app.fresh.len() || is_notice_over || is_counting || has_aged(app);
}

/// True when a row on the screen shows another idle time or age than when it was drawn last.
fn has_aged(app: &mut App) -> bool {
    let height = usize::from(Regions::of(app).table.height);
    let texts: Vec<String> = app
        .visible_rows()
        .skip(app.offset)
        .take(height)
        .flat_map(|row| [format::known(app.idle_seconds(row), format::span), format::span(app.age_seconds(row))])
        .collect();
    let changed = texts != app.ages;
    app.ages = texts;
    changed
}

/// Brings the selection, the window and the layers back in line with the rows.
fn settle(app: &mut App) {
    let selected = app.selected.take();
    let at = selected.and_then(|id| app.visible_rows().position(|row| row.id() == id));
    app.cursor = at.unwrap_or(app.cursor).min(app.shown.len().saturating_sub(1));
    app.selected = app.selected_row().map(|row| row.id().to_string());
    if app.mode == Mode::Table && !app.report_seen {
        app.report_seen = true;
        if super::view::report::needs_panel(app) {
            app.mode = Mode::Report { scroll: 0 };
        }
    }
    let height = usize::from(Regions::of(app).rows_shown()).max(1);
    let last_start = app.shown.len().saturating_sub(height);
    app.offset = app.offset.clamp((app.cursor + 1).saturating_sub(height), app.cursor).min(last_start);
}

fn look(app: &mut App) -> Option<Effect> {
    Regions::of(app).screen?;
    let index = *app.shown.get(app.cursor)?;
    let row = app.rows.get(index)?;
    app.preview.wanted(app.now, row, app.generation)
}
