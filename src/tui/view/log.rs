//! What was done from here, as command lines, and what came of it; the latest last, as in a shell.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};

use super::super::app::App;
use super::super::deeds::{Deed, Kind};
use super::super::format;
use super::paint;

pub fn draw(app: &App, scroll: u16, frame: &mut Frame) -> Option<Position> {
    let theme = &app.theme;
    let area = frame.area();
    let mut lines: Vec<Line<'static>> = app.deeds.lines.iter().map(|deed| line(app, deed)).collect();
    if lines.is_empty() {
        lines.push(Line::styled("nothing was done from here yet", theme.dim));
    }
    let width = lines.iter().map(paint::columns).max().unwrap_or(0).max(44);
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2);
    let buffer = frame.buffer_mut();
    let inner = paint::window(buffer, area, (width + 4, height), "Done from here", theme);
    // The end is seen first; scrolling goes up from there.
    let last = lines.len().saturating_sub(usize::from(scroll)).max(usize::from(inner.height).min(lines.len()));
    let first = last.saturating_sub(usize::from(inner.height));
    for (y, line) in (inner.y..inner.bottom()).zip(&lines[first..last]) {
        paint::line(buffer, Rect { y, height: 1, ..inner }, line);
    }
    None
}

fn line(app: &App, deed: &Deed) -> Line<'static> {
    let theme = &app.theme;
    let ago = format::span(app.now.saturating_sub(deed.at).as_secs_f64());
    let (sign, style) = match deed.kind {
        Kind::Asked => ("$", theme.accent),
        Kind::Done => ("✔", theme.healthy),
        Kind::Failed => ("✖", theme.orphaned),
    };
    Line::from(vec![
        Span::styled(format!("{ago:>4} "), theme.dim),
        Span::styled(format!("{sign} "), style),
        Span::raw(deed.text.clone()),
    ])
}
