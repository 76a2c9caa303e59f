//! The mouse: a click selects, the wheel scrolls what lies below it.

use super::super::app::{App, Mode};
use super::super::msg::Effect;
use super::super::panes::Pane;
use super::super::view::regions::Regions;
use super::{keys, panes};

/// Lines that one turn of the wheel moves.
const STEP: usize = 3;

pub fn clicked(app: &mut App, x: u16, y: u16) {
    if app.mode != Mode::Table {
        return;
    }
    let regions = Regions::of(app);
    let Some(pane) = regions.pane_at(x, y) else { return };
    app.panes.focus = pane;
    let Some(line) = (y - regions.table.y.min(y)).checked_sub(1).filter(|_| pane == Pane::Table) else { return };
    let line = app.offset + usize::from(line);
    if app.lines.get(line).is_some_and(|entry| entry.is_place()) {
        keys::stand(app, line);
    }
}

pub fn wheeled(app: &mut App, (x, y): (u16, u16), is_down: bool) -> Vec<Effect> {
    if app.mode != Mode::Table {
        return Vec::new();
    }
    match panes::pane_at(app, x, y) {
        Some(Pane::Table) if is_down => keys::go_down(app, STEP),
        Some(Pane::Table) => keys::go_up(app, STEP),
        Some(Pane::Screen) => return panes::scroll(app, if is_down { -3 } else { 3 }),
        Some(Pane::Details | Pane::Events | Pane::Host) | None => {}
    }
    Vec::new()
}
