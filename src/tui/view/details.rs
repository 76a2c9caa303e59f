//! What else is known about the selected session: why it is judged so and what to do, its numbers over time, command,
//! workspace, branch, processes, and what the verdict rests on.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::super::app::App;
use super::super::format;
use super::super::known::Known;
use super::super::rows::{Kind, Row};
use super::super::seen::{MINUTES, Ring};
use super::regions::Frame;
use super::table::branch;
use super::{paint, panes};
use crate::model::text::printable_within;

/// Columns of the names of facts.
const LABEL: usize = 11;

pub fn draw(app: &App, frame: &Frame, buffer: &mut Buffer) {
    let mut title = panes::name(app, frame);
    let row = app.selected_row();
    title.extend(row.map(|row| Span::styled(format!("  {}", row.name), app.theme.strong)));
    panes::frame(app, frame, title, buffer);
    let Some(row) = row else { return };
    let body = panes::inset(frame.body);
    let shown = lines(app, row, body.width).into_iter().skip(usize::from(app.panes.details_at));
    for (y, line) in (body.y..body.bottom()).zip(shown) {
        paint::line(buffer, Rect { y, height: 1, ..body }, &line);
    }
}

/// How many lines there are to scroll through.
pub fn length(app: &App) -> usize {
    app.selected_row().map_or(0, |row| lines(app, row, 80).len())
}

fn lines(app: &App, row: &Row, width: u16) -> Vec<Line<'static>> {
    let theme = &app.theme;
    let room = width.saturating_sub(u16::try_from(LABEL).unwrap_or(11));
    let label = |label: &str| Span::styled(format!("{label:<LABEL$}"), theme.dim);
    let fact = |(name, value, style): (&str, String, Style)| {
        Line::from(vec![label(name), Span::styled(format::cut(&value, room), style)])
    };
    let mut lines: Vec<Line<'static>> = Vec::new();
    for (name, value, style) in facts(app, row) {
        // What to do is read whole, whatever room it takes; of the rest the beginning tells enough.
        let parts = if name == "do" { format::wrapped(&value, room) } else { vec![value] };
        let parts = parts.into_iter().enumerate();
        lines.extend(parts.map(|(i, part)| fact((if i == 0 { name } else { "" }, part, style))));
    }
    lines.extend(app.seen.trace(row.id()).into_iter().flat_map(|trace| {
        let chart = |name: &str, ring: &Ring| Line::from(vec![label(name), bars(app, ring, room)]);
        [chart("activity", &trace.activity), chart("cpu", &trace.cpu), chart("memory", &trace.memory)]
    }));
    if let Some(known) = app.details.get(row.id()) {
        lines.extend(processes(app, known, width));
        let because = known.evidence.iter().enumerate();
        lines.extend(because.map(|(i, text)| fact((if i == 0 { "because" } else { "" }, text.clone(), theme.dim))));
    }
    lines
}

fn bars(app: &App, ring: &Ring, room: u16) -> Span<'static> {
    let values: Vec<f64> = ring.values().collect();
    Span::styled(format::spark(&values, MINUTES, room.min(30)), app.theme.healthy)
}

fn facts(app: &App, row: &Row) -> Vec<(&'static str, String, Style)> {
    let (theme, session) = (&app.theme, &row.session);
    let known = app.details.get(row.id());
    let command = session.command.join(" ");
    let processes = format::known(session.processes, |n| format::counted(n as usize, "process", "processes"));
    let pid = format::known(session.leader_pid, |pid| format!("pid {pid}"));
    let memory = format::known(session.memory_bytes, format::bytes);
    let signs = [(session.pinned, "pinned"), (session.attached > 0, "attached")];
    let mut state = vec![session.state.as_str(), row.kind.word(), session.origin.as_str()];
    state.extend(signs.iter().filter(|s| s.0).map(|s| s.1));
    let on = known.and_then(|k| k.branch.as_ref()).map_or_else(String::new, |branch| format!("  on {branch}"));
    let mut facts = vec![("reason", row.reason.clone(), theme.of(row.kind))];
    let advice = app.advice.of(row.id()).filter(|_| row.kind != Kind::Healthy);
    facts.extend(advice.map(|text| ("do", text.to_string(), theme.text)));
    let closes = app.closes_in(row).map(|left| format!("in {}: {}  P pins", format::span(left), row.closes_because));
    facts.extend(closes.map(|text| ("closes", text, theme.stuck)));
    facts.extend([
        ("state", state.join(", "), theme.text),
        ("command", printable_within(&command, 300), theme.text),
        ("workspace", format!("{}{on}", row.workspace), theme.text),
        ("processes", format!("{processes}, {memory}, agent {pid}"), theme.text),
        ("started", started(app, row), theme.text),
        ("id", printable_within(&session.id, 40), theme.dim),
    ]);
    facts.extend(known.and_then(|k| k.error.clone()).map(|why| ("", why, theme.orphaned)));
    facts
}

/// The tree, its numbers at the right end.
fn processes(app: &App, known: &Known, width: u16) -> Vec<Line<'static>> {
    let theme = &app.theme;
    let line = |(at, process): (usize, &crate::api::types::Process)| {
        let cpu = format::known(process.cpu_percent, format::percent);
        let numbers = format!("  {cpu:>4} {:>4}  {:>7}", format::bytes(process.memory_bytes), process.pid);
        let room = width.saturating_sub(format::width(&numbers) + 1);
        let command = format::cut(&format!("{}{}", branch(&known.tree, at), process.command), room);
        let pad = " ".repeat(usize::from(room.saturating_sub(format::width(&command))));
        Line::from(vec![Span::raw(command + &pad), Span::styled(numbers, theme.dim)])
    };
    known.tree.iter().enumerate().map(line).collect()
}

fn started(app: &App, row: &Row) -> String {
    let ago = format::span(app.age_seconds(row));
    match row.session.started_at.parse::<jiff::Timestamp>() {
        Ok(at) => format!("{} ({ago} ago)", at.to_zoned(app.options.zone.clone()).strftime("%-d %b %H:%M")),
        Err(_) => format!("{ago} ago"),
    }
}

/// The letter of a process as a word (`proc_pid_stat(5)`).
pub const fn state_word(letter: &str) -> &'static str {
    match letter.as_bytes() {
        [b'R'] => "running",
        [b'S'] => "sleeping",
        [b'D'] => "in uninterruptible sleep",
        [b'T' | b't'] => "stopped",
        [b'Z'] => "a zombie",
        [b'I'] => "idle",
        _ => "",
    }
}
