//! The selected session's screen, in its own colours.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::super::app::App;
use super::super::picture::Picture;
use super::super::rows::Row;
use super::paint;
use super::regions::Pane;

pub fn draw(app: &App, pane: &Pane, buffer: &mut Buffer) {
    let row = app.selected_row();
    draw_frame(app, row, pane, buffer);
    let Some(row) = row else { return };
    match (app.preview.picture(row.id()), app.preview.error(row.id())) {
        (Some(picture), _) => draw_picture(app, picture, inset(pane.body), buffer),
        (None, Some(why)) => {
            let text = crate::model::text::printable_within(why, 300);
            paint::line(buffer, inset(pane.body), &Line::styled(text, app.theme.dim));
        }
        (None, None) => {}
    }
}

/// One column of air to the left.
const fn inset(area: Rect) -> Rect {
    Rect { x: area.x.saturating_add(1), width: area.width.saturating_sub(1), ..area }
}

fn draw_frame(app: &App, row: Option<&Row>, pane: &Pane, buffer: &mut Buffer) {
    let theme = &app.theme;
    let title = row.map(|row| title(app, row)).unwrap_or_default();
    match pane.edge {
        None => paint::rule(buffer, pane.title, &title, theme.rule),
        Some(edge) => {
            for y in edge.top()..edge.bottom() {
                buffer.set_stringn(edge.x, y, "│", 1, theme.rule);
            }
            paint::line(buffer, inset(pane.title), &title);
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
