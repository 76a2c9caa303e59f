//! The table: a glyph for the verdict, who it is, numbers, and the reason in words.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::super::app::{App, Link};
use super::super::format;
use super::super::keymap::{self, Action};
use super::super::rows::{Kind, Row};
use super::columns::{Column, Placed, Wishes, placed};
use super::paint;
use crate::model::session::State;

/// Cursor or mark, glyph, air.
const GUTTER: u16 = 3;
/// A reason column this wide also shows the reasons of those who are well.
const CHATTY: u16 = 26;

pub fn draw(app: &App, area: Rect, buffer: &mut Buffer) {
    if app.shown.is_empty() {
        return draw_empty(app, area, buffer);
    }
    // A column of air where another pane begins.
    let air = u16::from(area.width < app.size.0);
    let inner = area.width.saturating_sub(GUTTER + air);
    let columns = placed(inner, Wishes::of(app));
    // The names of the columns are the first to go where there is no room.
    let title_lines = u16::from(area.height > 1);
    if title_lines > 0 {
        for p in &columns {
            put(buffer, area, 0, *p, p.column.title(), app.theme.dim);
        }
    }
    let lines = area.height.saturating_sub(title_lines);
    for (line, row) in (title_lines..).zip(app.visible_rows().skip(app.offset).take(usize::from(lines))) {
        draw_row(app, row, &columns, Rect { y: area.y + line, height: 1, ..area }, buffer);
    }
    draw_more(app, area, lines, buffer);
}

fn draw_row(app: &App, row: &Row, columns: &[Placed], area: Rect, buffer: &mut Buffer) {
    let theme = &app.theme;
    let is_selected = app.selected.as_deref() == Some(row.id());
    let is_marked = app.marked.contains(row.id());
    let sign = match (is_marked, is_selected, app.is_fresh(row.id())) {
        (true, _, _) => "+",
        (false, true, _) => "▸",
        (false, false, true) => "*",
        (false, false, false) => " ",
    };
    let width = usize::from(area.width);
    buffer.set_stringn(area.x, area.y, sign, width, theme.accent);
    let glyph_x = area.x + 1;
    if area.width > 1 {
        buffer.set_stringn(glyph_x, area.y, row.kind.glyph(), width - 1, theme.of(row.kind));
    }
    let reason_width = columns.iter().find(|p| p.column == Column::Reason).map_or(0, |p| p.width);
    for p in columns {
        let (text, style) = cell(app, row, p.column, reason_width >= CHATTY);
        put(buffer, area, 0, *p, &text, style);
    }
    if app.stale_for().is_some() {
        buffer.set_style(area, theme.dim);
    }
    if is_selected {
        // The glyph and the reason keep their colour; the rest becomes readable on the bar.
        lay(buffer, area, theme.selected, theme.dim);
    }
}

/// Lays the cursor's bar under a row: plain and dim text is brightened, coloured text stays.
fn lay(buffer: &mut Buffer, area: Rect, bar: Style, dim: Style) {
    for x in area.left()..area.right() {
        let Some(cell) = buffer.cell_mut((x, area.y)) else { continue };
        let is_plain = cell.fg == ratatui::style::Color::Reset || Some(cell.fg) == dim.fg;
        let own = cell.fg;
        cell.set_style(bar);
        if !is_plain {
            cell.set_fg(own);
        }
    }
}

fn cell(app: &App, row: &Row, column: Column, chatty: bool) -> (String, Style) {
    let (theme, session) = (&app.theme, &row.session);
    let number = |value: Option<f64>, show: fn(f64) -> String| match value {
        Some(value) => (show(value), theme.text),
        None => (format::UNKNOWN.into(), theme.dim),
    };
    match column {
        Column::Name if app.is_fresh(row.id()) => (row.name.clone(), theme.accent),
        Column::Name if app.marked.contains(row.id()) => (row.name.clone(), theme.accent.add_modifier(Modifier::BOLD)),
        Column::Name => (row.name.clone(), theme.text),
        Column::Agent => (row.agent.clone(), theme.dim),
        Column::Project => (row.project.clone(), theme.dim),
        Column::State if session.state == State::Running => ("running".into(), theme.dim),
        Column::State => (session.state.as_str().into(), theme.text),
        Column::Idle => number(app.idle_seconds(row), format::span),
        Column::Age => number(Some(app.age_seconds(row)), format::span),
        Column::Cpu => number(session.cpu_percent, format::percent),
        Column::Memory => match session.memory_bytes {
            Some(bytes) => (format::bytes(bytes), theme.text),
            None => (format::UNKNOWN.into(), theme.dim),
        },
        Column::Processes => number(session.processes.map(f64::from), |n| format!("{n:.0}")),
        Column::Reason => reason(app, row, chatty),
    }
}

fn reason(app: &App, row: &Row, chatty: bool) -> (String, Style) {
    let theme = &app.theme;
    if let Some(since) = app.closing_since(row.id()) {
        let so_far = format::span(app.now.saturating_sub(since).as_secs_f64());
        return (format!("closing, {so_far}"), theme.accent);
    }
    let remark = row.remark();
    match row.kind {
        Kind::Orphaned | Kind::Stuck | Kind::Waiting => (remark, theme.of(row.kind)),
        Kind::Healthy if remark.is_empty() && chatty => (row.reason.clone(), theme.dim),
        Kind::Healthy => (remark, theme.dim),
    }
}

fn put(buffer: &mut Buffer, area: Rect, line: u16, p: Placed, text: &str, style: Style) {
    let text = format::cut(text, p.width);
    let pad = if p.column.is_number() { p.width.saturating_sub(format::width(&text)) } else { 0 };
    let (x, y) = (area.x + GUTTER + p.x + pad, area.y + line);
    if x < area.right() && y < area.bottom() {
        buffer.set_stringn(x, y, text, usize::from(area.right() - x), style);
    }
}

/// Says how many rows are outside the window, at the right end of the first line.
fn draw_more(app: &App, area: Rect, lines: u16, buffer: &mut Buffer) {
    let (from, total) = (app.offset + 1, app.shown.len());
    let to = (app.offset + usize::from(lines)).min(total);
    if total <= usize::from(lines) || area.height < 2 {
        return;
    }
    let text = format!(" {from}–{to} of {total} ");
    let width = format::width(&text);
    if width + 40 < area.width {
        let at = Rect { x: area.right() - width, width, height: 1, ..area };
        paint::line(buffer, at, &Line::from(Span::styled(text, app.theme.dim)));
    }
}

fn draw_empty(app: &App, area: Rect, buffer: &mut Buffer) {
    let top = area.height.saturating_sub(7).min(1);
    for (line, text) in (top..area.height).zip(what_to_do(app)) {
        paint::line(buffer, Rect { y: area.y + line, height: 1, ..area }, &text);
    }
}

/// An empty table says what to do.
fn what_to_do(app: &App) -> Vec<Line<'static>> {
    let theme = &app.theme;
    let say = |text: String| Line::from(format!("   {text}"));
    let hint = |key: &str, text: &'static str| {
        Line::from(vec![Span::styled(format!("   {key:<24}"), theme.accent), Span::styled(text, theme.dim)])
    };
    if !app.filter.is_empty() {
        let text = crate::model::text::printable_within(&app.filter, 60);
        return vec![say(format!("Nothing has “{text}” in it.")), Line::default(), hint("Esc", "shows all again")];
    }
    match &app.link {
        Link::Connecting(None) => vec![Line::styled("   Asking the daemon …", theme.dim)],
        Link::Connecting(Some(why)) => {
            vec![
                say("No answer from the daemon yet; trying again.".into()),
                Line::styled(format!("   {why}"), theme.stuck),
            ]
        }
        Link::Up | Link::Lost { .. } => {
            let mut lines = vec![say("No sessions.".into()), Line::default()];
            if !app.options.readonly {
                lines.push(hint(keymap::shown(Action::New), "starts an agent from here"));
            }
            lines.push(hint("beadle run -- claude", "starts one from a shell"));
            lines.push(hint(keymap::shown(Action::Help), "all keys"));
            lines
        }
    }
}
