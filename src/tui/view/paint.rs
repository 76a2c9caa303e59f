//! Putting text into cells: lines with parts left and right, rules, boxes.

use ratatui::buffer::Buffer;
use ratatui::layout::{Alignment, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Clear, Widget};

use super::super::format;
use super::super::theme::Theme;

/// Draws a line, cut at the edge of the area.
pub fn line(buffer: &mut Buffer, area: Rect, line: &Line<'_>) {
    if !area.is_empty() {
        buffer.set_line(area.x, area.y, line, area.width);
    }
}

/// A line with text at both ends; the right part gives way to the left one.
pub fn both_ends(buffer: &mut Buffer, area: Rect, left: &Line<'_>, right: &Line<'_>) {
    line(buffer, area, left);
    let (left_width, right_width) = (columns(left), columns(right));
    if left_width.saturating_add(right_width) <= area.width {
        let x = area.right() - right_width;
        line(buffer, Rect { x, width: right_width, ..area }, right);
    }
}

/// The columns a line takes.
pub fn columns(line: &Line<'_>) -> u16 {
    u16::try_from(line.width()).unwrap_or(u16::MAX)
}

/// A horizontal rule with a title in it.
pub fn rule(buffer: &mut Buffer, area: Rect, title: &Line<'_>, style: Style) {
    if area.is_empty() {
        return;
    }
    let dashes = "─".repeat(usize::from(area.width));
    buffer.set_stringn(area.x, area.y, dashes, usize::from(area.width), style);
    if columns(title) > 0 && area.width > 6 {
        let mut padded = Line::from(" ");
        padded.extend(title.spans.iter().cloned());
        padded.push_span(" ");
        let at = Rect { x: area.x + 1, width: columns(&padded).min(area.width - 2), ..area };
        buffer.set_style(at, Style::reset());
        line(buffer, at, &padded);
    }
}

/// Joins parts by a dim dot, on as many lines of `width` as they need.
pub fn flowed<'a>(parts: Vec<Line<'a>>, width: u16, theme: &Theme) -> Vec<Line<'a>> {
    let mut lines: Vec<Line<'a>> = Vec::new();
    for part in parts {
        match lines.last_mut() {
            Some(last) if columns(last) + 3 + columns(&part) <= width => {
                last.push_span(Span::styled(" · ", theme.dim));
                last.extend(part.spans);
            }
            _ => lines.push(part),
        }
    }
    lines
}

/// A box in the middle, cleared; returns what is inside its border and one column of air.
pub fn window(buffer: &mut Buffer, area: Rect, (width, height): (u16, u16), title: &str, theme: &Theme) -> Rect {
    let (width, height) = (width.min(area.width), height.min(area.height));
    let x = area.x + (area.width - width) / 2;
    // A little above the middle looks centred.
    let y = area.y + (area.height - height) * 2 / 5;
    let window = Rect::new(x, y, width, height);
    let title = format::cut(title, width.saturating_sub(6));
    // A column of air on either side parts it from what lies below.
    let air = Rect { x: window.x.saturating_sub(1), width: window.width + 2, ..window };
    Clear.render(air.intersection(area), buffer);
    Block::new()
        .borders(Borders::ALL)
        .border_style(theme.rule)
        .title(Line::from(Span::styled(format!(" {title} "), theme.strong)))
        .title_alignment(Alignment::Left)
        .render(window, buffer);
    Rect::new(x + 2.min(width), y + 1.min(height), width.saturating_sub(4), height.saturating_sub(2))
}
