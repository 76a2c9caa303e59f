//! What all panes have in common: a line that names them, and one thin rule where two meet.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::super::app::App;
use super::paint;
use super::regions::Frame;

/// One column of air to the left.
pub const fn inset(area: Rect) -> Rect {
    Rect { x: area.x.saturating_add(1), width: area.width.saturating_sub(1), ..area }
}

/// The rules of a pane and its title; the one that has the keys is marked.
pub fn frame(app: &App, frame: &Frame, title: Line<'static>, buffer: &mut Buffer) {
    let theme = &app.theme;
    if let Some(edge) = frame.edge {
        for y in edge.top()..edge.bottom() {
            let sign = if frame.is_ruled && y == frame.title.y { "├" } else { "│" };
            buffer.set_stringn(edge.x, y, sign, 1, theme.rule);
        }
    }
    let mut line = Line::default();
    if app.panes.focus == frame.pane {
        line.push_span(Span::styled("▸", theme.accent));
    }
    line.extend(title.spans);
    if frame.is_ruled {
        paint::rule(buffer, frame.title, &line, theme.rule);
    } else {
        paint::line(buffer, inset(frame.title), &line);
    }
}

/// The plain name of a pane, as its title.
pub fn name(app: &App, frame: &Frame) -> Line<'static> {
    Line::from(Span::styled(frame.pane.word(), app.theme.dim))
}
