//! The selected session's screen, in its own colours.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::super::app::App;
use super::super::format;
use super::super::picture::Picture;
use super::super::recall::Recall;
use super::super::rows::Row;
use super::regions::Frame;
use super::{paint, panes};

pub fn draw(app: &App, frame: &Frame, buffer: &mut Buffer) {
    let row = app.selected_row();
    panes::frame(app, frame, row.map(|row| title(app, row)).unwrap_or_default(), buffer);
    let Some(row) = row else { return };
    let body = panes::inset(frame.body);
    if let Some(recall) = app.recall.as_ref().filter(|recall| recall.id == row.id()) {
        return draw_recall(app, recall, body, buffer);
    }
    match (app.preview.picture(row.id()), app.preview.error(row.id())) {
        (Some(picture), _) => draw_picture(app, picture, body, buffer),
        (None, Some(why)) => {
            let text = crate::model::text::printable_within(why, 300);
            wrapped(app, &text, body, buffer);
        }
        (None, None) => {}
    }
}

/// A sentence in place of a screen.
fn wrapped(app: &App, text: &str, area: Rect, buffer: &mut Buffer) {
    for (y, text) in (area.y..area.bottom()).zip(format::wrapped(text, area.width)) {
        paint::line(buffer, Rect { y, height: 1, ..area }, &Line::styled(text, app.theme.dim));
    }
}

/// What was written before, with the match that was gone to on a bar.
fn draw_recall(app: &App, recall: &Recall, area: Rect, buffer: &mut Buffer) {
    let note = match (&recall.pages, &recall.error) {
        (_, Some(why)) => why.as_str(),
        (None, None) => "reading the recording …",
        (Some(pages), None) if pages.is_empty() => "nothing is recorded yet",
        (Some(_), None) => "",
    };
    wrapped(app, note, area, buffer);
    let Some(pages) = &recall.pages else { return };
    for (y, index) in (area.y..area.bottom()).zip(recall.window(area.height)) {
        let mut x = area.x;
        for (text, style) in pages.line(index) {
            let style = if app.theme.colour { *style } else { without_colour(*style) };
            (x, _) = buffer.set_stringn(x, y, text, usize::from(area.right().saturating_sub(x)), style);
        }
        if recall.found == Some(index) {
            buffer.set_style(Rect { y, height: 1, ..area }, app.theme.selected);
        }
    }
}

/// The name, and what the agent calls its window.
fn title(app: &App, row: &Row) -> Line<'static> {
    let mut line = Line::from(Span::styled(row.name.clone(), app.theme.strong));
    let window = app.preview.picture(row.id()).map_or("", |p| p.title.as_str());
    if !window.is_empty() && window != row.name {
        line.push_span(Span::styled(format!("  {window}"), app.theme.dim));
    }
    if let Some(recall) = app.recall.as_ref().filter(|recall| recall.id == row.id()) {
        let text = format!("  recorded, {} lines, {} below · G live", recall.lines(), recall.up);
        line.push_span(Span::styled(text, app.theme.waiting));
    }
    line
}

fn draw_picture(app: &App, picture: &Picture, area: Rect, buffer: &mut Buffer) {
    // What happens, happens at the bottom: where not all fits, the last lines are shown.
    let first = picture.used_rows.saturating_sub(area.height);
    for line in 0..area.height.min(picture.used_rows) {
        for col in 0..area.width.min(picture.cols()) {
            let Some((text, style)) = picture.cell(first + line, col) else { continue };
            let style = if app.theme.colour { style } else { without_colour(style) };
            let room = usize::from(area.width - col);
            // Whatever is in the cell, control characters and what is too wide are left out here.
            buffer.set_stringn(area.x + col, area.y + line, text, room, style);
        }
    }
    let cursor = picture.cursor.filter(|(x, y)| *x < area.width && *y >= first && *y - first < area.height);
    if let Some((x, y)) = cursor
        && let Some(cell) = buffer.cell_mut((area.x + x, area.y + y - first))
    {
        cell.set_style(Style::new().add_modifier(Modifier::REVERSED));
    }
    if app.stale_for().is_some() {
        buffer.set_style(area, app.theme.dim);
    }
}

const fn without_colour(style: Style) -> Style {
    Style { fg: None, bg: None, underline_color: None, ..style }
}
