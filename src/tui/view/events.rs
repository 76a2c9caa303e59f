//! What changed while this interface looked, the latest first.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::super::app::App;
use super::super::format;
use super::regions::Frame;
use super::{paint, panes};

pub fn draw(app: &App, frame: &Frame, buffer: &mut Buffer) {
    panes::frame(app, frame, panes::name(app, frame), buffer);
    let body = panes::inset(frame.body);
    if app.seen.changes.is_empty() {
        paint::line(buffer, body, &Line::styled("nothing has changed since you look", app.theme.dim));
    }
    let latest = app.seen.changes.iter().rev().skip(usize::from(app.panes.events_at));
    for (y, change) in (body.y..body.bottom()).zip(latest) {
        let ago = format::span(app.now.saturating_sub(change.at).as_secs_f64());
        let (glyph, style) = change.kind.map_or(("·", app.theme.dim), |kind| (kind.glyph(), app.theme.of(kind)));
        let mut line = Line::from(vec![
            Span::styled(format!("{ago:>4}  "), app.theme.dim),
            Span::styled(format!("{glyph} "), style),
            Span::styled(format!("{}  ", format::cut(&change.name, 24)), app.theme.text),
        ]);
        // A sentence that is cut says so.
        let room = body.width.saturating_sub(paint::columns(&line) + 1);
        line.push_span(Span::styled(format::cut(&change.text, room), app.theme.dim));
        paint::line(buffer, Rect { y, height: 1, ..body }, &line);
    }
}
