//! The table: a glyph for the verdict, who it is, numbers, and the reason in words.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::super::app::{App, Ghost, Link};
use super::super::column::Column;
use super::super::format;
use super::super::keymap::{self, Action};
use super::super::link::Lack;
use super::super::listing::Entry;
use super::super::rows::{Kind, Row};
use super::super::seen::MINUTES;
use super::columns::{Placed, placed};
use super::paint;
use crate::api::types::Process;
use crate::model::session::{Attention, State};

/// Cursor or mark, glyph, air.
const GUTTER: u16 = 3;
/// A reason column this wide also shows the reasons of those who are well.
const CHATTY: u16 = 26;

pub fn draw(app: &App, area: Rect, buffer: &mut Buffer) {
    if app.lines.is_empty() {
        return draw_empty(app, area, buffer);
    }
    // A column of air where another pane begins.
    let air = u16::from(area.width < app.size.0);
    let inner = area.width.saturating_sub(GUTTER + air);
    let columns = placed(inner, &app.columns, app.wishes);
    // The names of the columns are the first to go where there is no room.
    let title_lines = u16::from(area.height > 1);
    if title_lines > 0 {
        draw_titles(app, &columns, area, buffer);
    }
    let lines = area.height.saturating_sub(title_lines);
    let shown = app.lines.iter().enumerate().skip(app.offset).take(usize::from(lines));
    for (line, (index, entry)) in (title_lines..).zip(shown) {
        let at = Rect { y: area.y + line, height: 1, ..area };
        match *entry {
            Entry::Session(row) => {
                if let Some(row) = app.rows.get(row) {
                    draw_row(app, row, &columns, at, buffer);
                }
            }
            Entry::Ghost(ghost) => draw_ghost(app, ghost, &columns, at, buffer),
            Entry::Group(group) => draw_group(app, group, index == app.cursor, at, buffer),
            Entry::Process { row, at: process } => draw_process(app, (row, process), &columns, at, buffer),
        }
    }
    draw_more(app, area, lines, buffer);
}

/// The names of the columns; the one that rows are sorted by stands out, with the way it goes.
fn draw_titles(app: &App, columns: &[Placed], area: Rect, buffer: &mut Buffer) {
    let theme = &app.theme;
    for p in columns {
        let is_sorted = p.column == app.order.by;
        let style = if is_sorted { theme.accent } else { theme.dim };
        put(buffer, area, 0, *p, p.column.title(), style);
        // In the air beside the title, so that no column gets wider.
        let sign = if app.order.is_reversed { "▴" } else { "▾" };
        let title = format::width(p.column.title());
        let x = area.x + GUTTER + p.x;
        let x = if p.column.is_number() { (x + p.width).saturating_sub(title + 1) } else { x + title };
        if is_sorted && x < area.right() {
            buffer.set_stringn(x, area.y, sign, 1, style);
        }
    }
}

fn draw_row(app: &App, row: &Row, columns: &[Placed], area: Rect, buffer: &mut Buffer) {
    let theme = &app.theme;
    let is_selected = app.selected_id() == Some(row.id());
    let is_marked = app.marked.contains(row.id());
    let sign = match (is_marked, is_selected, app.is_fresh(row.id())) {
        (true, _, _) => "+",
        (false, true, _) => "▸",
        (false, false, true) => "*",
        (false, false, false) => " ",
    };
    put_sign(buffer, area, 0, sign, theme.accent);
    put_sign(buffer, area, 1, row.kind.glyph(), theme.of(row.kind));
    let reason_width = columns.iter().find(|p| p.column == Column::Reason).map_or(0, |p| p.width);
    for p in columns {
        let (text, style) = cell(app, row, *p, reason_width >= CHATTY);
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

/// Who has just gone, without a number: nothing of it is true any more.
fn draw_ghost(app: &App, ghost: usize, columns: &[Placed], area: Rect, buffer: &mut Buffer) {
    let Some(Ghost { row, .. }) = app.ghosts.get(ghost) else { return };
    put_sign(buffer, area, 1, "·", app.theme.dim);
    for p in columns {
        let text = match p.column {
            Column::Name => &row.name,
            Column::Agent => &row.agent,
            Column::Project => &row.project,
            Column::Reason => "gone",
            Column::Health
            | Column::Attention
            | Column::Activity
            | Column::Idle
            | Column::Age
            | Column::Cpu
            | Column::Memory
            | Column::Processes
            | Column::Origin => continue,
        };
        put(buffer, area, 0, *p, text, app.theme.dim);
    }
}

/// `▾ frontend   3 sessions   1.2G`
fn draw_group(app: &App, group: usize, is_selected: bool, area: Rect, buffer: &mut Buffer) {
    let (theme, Some(group)) = (&app.theme, app.groups.get(group)) else { return };
    let title = if group.title.is_empty() { "none" } else { &group.title };
    let room = area.width.saturating_sub(GUTTER + 26);
    let glyph = (group.kind != Kind::Healthy).then(|| Span::styled(group.kind.glyph(), theme.of(group.kind)));
    let mut line = Line::from(vec![
        Span::styled(if is_selected { "▸" } else { " " }, theme.accent),
        Span::styled(if group.is_folded { "▹ " } else { "▾ " }, theme.dim),
        Span::styled(format!("{}  ", format::cut(title, room.max(8))), theme.strong),
    ]);
    line.extend(glyph.map(|g| vec![g, Span::raw("  ")]).unwrap_or_default());
    let sessions = format::counted(group.sessions, "session", "sessions");
    line.push_span(Span::styled(format!("{sessions}  {}", format::bytes(group.memory_bytes)), theme.dim));
    paint::line(buffer, area, &line);
    if is_selected {
        lay(buffer, area, theme.selected, theme.dim);
    }
}

/// A process of an open tree, its numbers below those of its session.
fn draw_process(app: &App, (row, at): (usize, usize), columns: &[Placed], area: Rect, buffer: &mut Buffer) {
    let known = app.rows.get(row).and_then(|row| app.details.get(row.id()));
    let Some((known, process)) = known.and_then(|known| Some((known, known.tree.get(at)?))) else { return };
    let numbers = columns.iter().filter(|p| p.column.is_number()).map(|p| p.x).min();
    let end = numbers.or(columns.last().map(|p| p.x + p.width)).unwrap_or(area.width).saturating_sub(1);
    let command = format!("{}{}", branch(&known.tree, at), process.command);
    let (width, x) = (end.saturating_sub(1), area.x + GUTTER + 1);
    if x < area.right() {
        let text = format::cut(&command, width);
        buffer.set_stringn(x, area.y, text, usize::from(area.right() - x), app.theme.dim);
    }
    for p in columns {
        let text = match p.column {
            Column::Cpu => format::known(process.cpu_percent, format::percent),
            Column::Memory => format::bytes(process.memory_bytes),
            Column::Reason => format!("pid {} {}", process.pid, super::details::state_word(&process.state)),
            Column::Health
            | Column::Name
            | Column::Agent
            | Column::Project
            | Column::Attention
            | Column::Activity
            | Column::Idle
            | Column::Age
            | Column::Processes
            | Column::Origin => continue,
        };
        put(buffer, area, 0, *p, &text, app.theme.dim);
    }
}

/// The lines that lead to a process of a tree, parents before children.
pub fn branch(tree: &[Process], at: usize) -> String {
    const DEEPEST: u32 = 8;
    let Some(depth) = tree.get(at).map(|p| p.depth.min(DEEPEST)) else { return String::new() };
    let goes_on = |depth: u32| {
        let after = tree.iter().skip(at + 1).map(|p| p.depth.min(DEEPEST)).find(|d| *d <= depth);
        after == Some(depth)
    };
    let above: String = (1..depth).map(|d| if goes_on(d) { "│ " } else { "  " }).collect();
    let own = match depth {
        0 => "",
        d if goes_on(d) => "├ ",
        _ => "└ ",
    };
    above + own
}

fn put_sign(buffer: &mut Buffer, area: Rect, x: u16, sign: &str, style: Style) {
    if x < area.width {
        buffer.set_stringn(area.x + x, area.y, sign, usize::from(area.width - x), style);
    }
}

/// Lays the cursor's bar under a row: plain and dim text is brightened, coloured text stays.
pub fn lay(buffer: &mut Buffer, area: Rect, bar: Style, dim: Style) {
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

fn cell(app: &App, row: &Row, p: Placed, chatty: bool) -> (String, Style) {
    let (theme, session) = (&app.theme, &row.session);
    let number = |value: Option<f64>, show: fn(f64) -> String| match value {
        Some(value) => (show(value), theme.text),
        None => (format::UNKNOWN.into(), theme.dim),
    };
    match p.column {
        Column::Health => (String::new(), theme.text),
        Column::Name if app.is_fresh(row.id()) => (row.name.clone(), theme.accent),
        Column::Name if app.marked.contains(row.id()) => (row.name.clone(), theme.accent.add_modifier(Modifier::BOLD)),
        Column::Name => (row.name.clone(), theme.text),
        Column::Agent => (row.agent.clone(), theme.dim),
        Column::Project => (row.project.clone(), theme.dim),
        Column::Attention if row.attention() == Attention::Unknown.as_str() => (format::UNKNOWN.into(), theme.dim),
        Column::Attention => {
            let since = app.since(row).map(|s| format!(" {}", format::span(s))).unwrap_or_default();
            (format!("{}{since}", row.attention()), if row.kind == Kind::Waiting { theme.waiting } else { theme.dim })
        }
        Column::Activity => {
            let values: Vec<f64> = app.seen.trace(row.id()).map(|t| t.activity.values().collect()).unwrap_or_default();
            (format::spark_below(&values, MINUTES, p.width, app.seen.busiest), theme.healthy)
        }
        Column::Origin => (session.origin.as_str().into(), theme.dim),
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
    if let Some(left) = app.closes_in(row).filter(|_| !session_is_closing(row)) {
        // Said without words of the rule where there is little room: the details have them.
        let because = if chatty && !row.closes_because.is_empty() { &row.closes_because } else { "P pins" };
        return (format!("closes in {}, {because}", format::span(left)), theme.stuck);
    }
    match row.kind {
        Kind::Orphaned | Kind::Stuck | Kind::Waiting => (remark, theme.of(row.kind)),
        Kind::Healthy if remark.is_empty() && chatty => (row.reason.clone(), theme.dim),
        Kind::Healthy => (remark, theme.dim),
    }
}

const fn session_is_closing(row: &Row) -> bool {
    matches!(row.session.state, State::Closing)
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
    let (from, total) = (app.offset + 1, app.lines.len());
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
    if app.faults_only && app.filter.is_empty() && !app.rows.is_empty() {
        return vec![say("Nothing needs you.".into()), Line::default(), hint("!", "shows all again")];
    }
    if !app.filter.is_empty() {
        let text = crate::model::text::printable_within(app.filter.text(), 60);
        return vec![say(format!("Nothing has “{text}” in it.")), Line::default(), hint("Esc", "shows all again")];
    }
    match &app.link {
        Link::Connecting(None) => vec![Line::styled("   Asking the daemon …", theme.dim)],
        Link::Connecting(Some(why)) => {
            let next = match &app.lack {
                Lack::Starting => hint("", "starting a daemon …"),
                Lack::Gone | Lack::Failed(_) if app.may_start_a_daemon() => hint("Enter", "starts a daemon"),
                Lack::Gone | Lack::Failed(_) => hint("beadle daemon start", "starts one"),
                Lack::Unknown => Line::default(),
            };
            vec![
                say("No answer from the daemon yet; trying again.".into()),
                Line::styled(format!("   {why}"), theme.stuck),
                next,
            ]
        }
        Link::Up | Link::Lost { .. } | Link::Silent { .. } => {
            let mut lines = vec![say("No sessions.".into()), Line::default()];
            if !app.options.readonly {
                lines.push(hint(keymap::shown(Action::New), "starts an agent from here"));
            }
            lines.push(hint("beadle run -- claude", "starts one from a shell"));
            lines.push(hint("beadle demo", "plays a day of agents, and leaves nothing"));
            lines.push(hint(keymap::shown(Action::Help), "all keys"));
            lines
        }
    }
}
