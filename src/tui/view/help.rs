//! The help, made from the table of keys.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::super::app::App;
use super::super::keymap::{BINDINGS, Group};
use super::super::rows::Kind;
use super::paint;

/// Columns of the keys.
const KEYS: usize = 8;
/// Columns of a key and what it does, with air.
const COLUMN: usize = 38;

pub fn draw(app: &App, scroll: u16, frame: &mut Frame) -> Option<Position> {
    let area = frame.area();
    let lines = lines(app);
    let width = lines.iter().map(paint::columns).max().unwrap_or(0);
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2);
    let buffer = frame.buffer_mut();
    let inner = paint::window(buffer, area, (width + 4, height), "Keys", &app.theme);
    for (y, line) in (inner.y..inner.bottom()).zip(lines.iter().skip(usize::from(scroll))) {
        paint::line(buffer, Rect { y, height: 1, ..inner }, line);
    }
    None
}

/// How far the help can be scrolled.
pub fn scroll_limit(app: &App) -> u16 {
    let inside = app.size.1.saturating_sub(2);
    u16::try_from(lines(app).len()).unwrap_or(u16::MAX).saturating_sub(inside)
}

/// Two columns where they fit, else one.
fn lines(app: &App) -> Vec<Line<'static>> {
    let session = group(app, Group::Session);
    let mut others = group(app, Group::Everything);
    others.push(Line::default());
    others.extend(group(app, Group::Move));
    let mut lines = if usize::from(app.size.0) >= 2 * COLUMN + 4 {
        beside(session, others)
    } else {
        session.into_iter().chain([Line::default()]).chain(others).collect()
    };
    lines.push(Line::default());
    lines.extend(legend(app));
    lines
}

fn group(app: &App, group: Group) -> Vec<Line<'static>> {
    let theme = &app.theme;
    let keys = BINDINGS.iter().filter(|b| b.group == group && !(b.mutates && app.options.readonly));
    let keys = keys.map(|b| {
        let key = Span::styled(format!("{:<KEYS$}", b.shown), theme.accent);
        Line::from(vec![key, Span::raw(b.help)])
    });
    [Line::from(Span::styled(group.title(), theme.strong))].into_iter().chain(keys).collect()
}

fn beside(left: Vec<Line<'static>>, right: Vec<Line<'static>>) -> Vec<Line<'static>> {
    let height = left.len().max(right.len());
    let (mut left, mut right) = (left.into_iter(), right.into_iter());
    (0..height)
        .map(|_| {
            let mut line = left.next().unwrap_or_default();
            line.push_span(" ".repeat(COLUMN.saturating_sub(line.width())));
            line.extend(right.next().unwrap_or_default());
            line
        })
        .collect()
}

/// What the signs in front of a row mean.
fn legend(app: &App) -> Vec<Line<'static>> {
    let theme = &app.theme;
    let kinds = [Kind::Orphaned, Kind::Stuck, Kind::Waiting, Kind::Healthy];
    let mut signs: Vec<(&str, Style, &str)> = kinds.map(|k| (k.glyph(), theme.of(k), k.word())).to_vec();
    signs.extend([("+", theme.accent, "marked"), ("*", theme.accent, "new")]);
    let parts = signs.into_iter().map(|(sign, style, word)| {
        Line::from(vec![Span::styled(sign, style), Span::styled(format!(" {word}"), theme.dim)])
    });
    paint::flowed(parts.collect(), app.size.0.saturating_sub(4), theme)
}
