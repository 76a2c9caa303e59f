//! Keys that mean the pane that has them: moving in it, searching it; and which pane that is.

use super::super::app::{App, Mode};
use super::super::keymap::Action;
use super::super::line::Line;
use super::super::msg::Effect;
use super::super::panes::Pane;
use super::super::recall::Recall;
use super::super::view::details;
use super::super::view::regions::Regions;

/// What an action does to the panes; `None` where it is the table's, or no pane's.
pub fn act(app: &mut App, action: Action) -> Option<Vec<Effect>> {
    match action {
        Action::Go(pane) => go_to(app, pane),
        Action::NextPane => go_to(app, app.panes.focus.beside(true)),
        Action::PreviousPane => go_to(app, app.panes.focus.beside(false)),
        Action::Zoom => app.panes.is_zoomed = !app.panes.is_zoomed,
        Action::Grow => return Some(split(app, 1)),
        Action::Shrink => return Some(split(app, -1)),
        Action::NextMatch => find(app, false),
        Action::PreviousMatch => find(app, true),
        _ => return in_pane(app, action),
    }
    Some(Vec::new())
}

fn in_pane(app: &mut App, action: Action) -> Option<Vec<Effect>> {
    let half = isize::try_from(height(app) / 2).unwrap_or(1).max(1);
    // Upwards, in lines.
    let by = match action {
        Action::Up => 1,
        Action::Down => -1,
        Action::PageUp => half,
        Action::PageDown => -half,
        Action::Top => isize::MAX,
        Action::Bottom => isize::MIN,
        Action::Filter if app.panes.focus == Pane::Screen => {
            app.mode = Mode::Search(Line::default());
            return Some(recall(app));
        }
        _ => return None,
    };
    match app.panes.focus {
        Pane::Table => None,
        Pane::Screen => Some(scroll(app, by)),
        Pane::Details => {
            let most = details::length(app).saturating_sub(1);
            app.panes.details_at = moved(app.panes.details_at, by, most);
            Some(Vec::new())
        }
        Pane::Events => {
            let most = app.seen.changes.len().saturating_sub(1);
            app.panes.events_at = moved(app.panes.events_at, by, most);
            Some(Vec::new())
        }
        Pane::Host => Some(Vec::new()),
    }
}

pub fn go_to(app: &mut App, pane: Pane) {
    app.panes.go_to(pane);
}

fn split(app: &mut App, by: i8) -> Vec<Effect> {
    app.panes.move_split(by);
    vec![Effect::Remember(app.memory())]
}

/// Lines of the pane that has the keys.
fn height(app: &App) -> u16 {
    Regions::of(app).find(app.panes.focus).map_or(1, |frame| frame.body.height)
}

fn moved(at: u16, up: isize, most: usize) -> u16 {
    let at = usize::from(at).saturating_add_signed(up.saturating_neg()).min(most);
    u16::try_from(at).unwrap_or(u16::MAX)
}

/// Upwards from what is live to what was written before; and back, below its end.
pub fn scroll(app: &mut App, up: isize) -> Vec<Effect> {
    let lines = Regions::of(app).find(Pane::Screen).map_or(1, |frame| frame.body.height);
    match &mut app.recall {
        Some(recall) if up < 0 && (recall.up == 0 || up == isize::MIN) => app.recall = None,
        Some(recall) => recall.scroll(up, lines),
        None if up > 0 => return recall(app),
        None => {}
    }
    Vec::new()
}

/// Begins to read what was written before, if that has not begun.
fn recall(app: &mut App) -> Vec<Effect> {
    let Some(id) = app.selected_id().map(String::from) else { return Vec::new() };
    if app.recall.as_ref().is_some_and(|recall| recall.id == id) {
        return Vec::new();
    }
    app.recall = Some(Recall::of(&id));
    vec![Effect::Recall(id)]
}

/// Looks for other words from the end on.
pub fn search(app: &mut App, text: &str) {
    if let Some(recall) = &mut app.recall {
        (recall.needle, recall.found) = (text.to_lowercase(), None);
        find(app, true);
    }
}

fn find(app: &mut App, is_up: bool) {
    let lines = Regions::of(app).find(Pane::Screen).map_or(1, |frame| frame.body.height);
    let Some(recall) = &mut app.recall else {
        return app.say("nothing is searched for: 2, then / searches the screen");
    };
    if recall.pages.is_some() && !recall.search(is_up, lines) {
        let text = format!("“{}” is nowhere in it", recall.needle);
        app.complain(text);
    }
}

/// What a search looks for is shown as soon as there is something to look in.
pub fn find_up(app: &mut App) {
    find(app, true);
}

/// A few lines up: the recording has come that was asked for by scrolling.
pub fn scroll_by_page(app: &mut App) {
    let lines = Regions::of(app).find(Pane::Screen).map_or(1, |frame| frame.body.height);
    if let Some(recall) = &mut app.recall {
        recall.scroll(isize::try_from(lines / 2).unwrap_or(1).max(1), lines);
    }
}

/// The wheel was turned in a pane, or a pane was clicked.
pub fn pane_at(app: &App, x: u16, y: u16) -> Option<Pane> {
    Regions::of(app).pane_at(x, y)
}
