//! The form for a new session.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};

use super::super::app::App;
use super::super::form::{Field, Form};
use super::super::format;
use super::paint;
use crate::model::text::printable_within;

const LABEL: u16 = 11;

pub fn draw(app: &App, form: &Form, frame: &mut Frame) -> Option<Position> {
    let theme = &app.theme;
    let width = frame.area().width.clamp(20, 72);
    let area = frame.area();
    let buffer = frame.buffer_mut();
    let inner = paint::window(buffer, area, (width, 9), "New session", theme);
    let mut cursor = None;
    for (line, field) in (0..inner.height).zip(Field::ALL) {
        let at = Rect { y: inner.y + line, height: 1, ..inner };
        let is_here = form.field == field;
        let label = if is_here { theme.accent } else { theme.dim };
        paint::line(buffer, at, &Line::styled(field.label(), label));
        let value = Rect { x: (at.x + LABEL).min(at.right()), width: at.width.saturating_sub(LABEL), ..at };
        let (text, column) = form.line(field).window(value.width);
        let shown = if text.is_empty() { Line::styled(hint(app, field), theme.dim) } else { Line::from(text) };
        paint::line(buffer, value, &shown);
        if is_here {
            cursor = Some(Position::new(value.x + column, value.y));
        }
    }
    // A reason is read whole as far as there is room.
    let below = said(app, form, inner.width).into_iter().take(2).enumerate();
    let below = below.map(|(line, text)| (4 + u16::try_from(line).unwrap_or(0), text));
    for (line, text) in below.chain([(6, keys(app, inner.width))]) {
        if line < inner.height {
            paint::line(buffer, Rect { y: inner.y + line, height: 1, ..inner }, &text);
        }
    }
    cursor
}

/// What an empty field means.
fn hint(app: &App, field: Field) -> String {
    match field {
        Field::Command => "claude --model opus".into(),
        Field::Name => "made from the command".into(),
        Field::Directory => app.options.directory.clone(),
    }
}

/// What is wrong, or what is to be known.
fn said(app: &App, form: &Form, width: u16) -> Vec<Line<'static>> {
    let theme = &app.theme;
    match &form.error {
        Some(error) => {
            format::wrapped(error, width).into_iter().map(|line| Line::styled(line, theme.orphaned)).collect()
        }
        None if !form.offered.is_empty() => {
            let offered = printable_within(&form.offered.join(" "), 400);
            format::wrapped(&offered, width).into_iter().map(|line| Line::styled(line, theme.dim)).collect()
        }
        None if form.is_starting => vec![Line::styled("starting …", theme.accent)],
        None => vec![Line::styled("no shell: for pipes, sh -c '…'", theme.dim)],
    }
}

fn keys(app: &App, width: u16) -> Line<'static> {
    let theme = &app.theme;
    let parts: &[(&str, &str)] = if width < 44 {
        &[("Enter", " start  "), ("Tab", " next  "), ("Esc", " leave")]
    } else {
        &[("Enter", " start   "), ("Tab", " next field   "), ("Esc", " leave")]
    };
    parts.iter().flat_map(|(k, w)| [Span::styled(*k, theme.accent), Span::styled(*w, theme.dim)]).collect()
}
