//! The help, made from the table of keys.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};

use super::super::app::App;
use super::super::keymap::{BINDINGS, Group};
use super::super::rows::Kind;
use super::paint;

/// Columns of the keys.
const KEYS: usize = 9;

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

fn lines(app: &App) -> Vec<Line<'static>> {
    let theme = &app.theme;
    let mut lines = Vec::new();
    for group in Group::ALL {
        lines.push(Line::styled(group.title(), theme.strong));
        let keys = BINDINGS.iter().filter(|b| b.group == group && !(b.mutates && app.options.readonly));
        lines.extend(keys.map(|b| {
            let key = Span::styled(format!("  {:<KEYS$}", b.shown), theme.accent);
            Line::from(vec![key, Span::raw(b.help)])
        }));
        lines.push(Line::default());
    }
    let glyphs = [Kind::Orphaned, Kind::Stuck, Kind::Waiting, Kind::Healthy];
    let mut legend = Line::default();
    for kind in glyphs {
        legend.push_span(Span::styled(kind.glyph(), theme.of(kind)));
        legend.push_span(Span::styled(format!(" {}   ", kind.word()), theme.dim));
    }
    lines.push(legend);
    lines
}
