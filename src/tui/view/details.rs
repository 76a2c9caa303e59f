//! What else is known about the selected session: command, workspace, pid, when it started, why.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::super::app::App;
use super::super::format;
use super::super::rows::Row;
use super::paint;
use super::regions::Pane;
use crate::model::text::printable_within;

pub fn draw(app: &App, pane: &Pane, buffer: &mut Buffer) {
    let theme = &app.theme;
    paint::rule(buffer, pane.title, &Line::default(), theme.rule);
    if let Some(edge) = pane.edge {
        for y in edge.top()..edge.bottom() {
            let sign = if y == pane.title.y { "├" } else { "│" };
            buffer.set_stringn(edge.x, y, sign, 1, theme.rule);
        }
    }
    let Some(row) = app.selected_row() else { return };
    for (line, (label, value, style)) in (0..pane.body.height).zip(facts(app, row)) {
        let area =
            Rect { x: pane.body.x + 1, y: pane.body.y + line, width: pane.body.width.saturating_sub(1), height: 1 };
        let value = format::cut(&value, area.width.saturating_sub(11));
        let spans = vec![Span::styled(format!("{label:<11}"), theme.dim), Span::styled(value, style)];
        paint::line(buffer, area, &Line::from(spans));
    }
}

fn facts(app: &App, row: &Row) -> Vec<(&'static str, String, Style)> {
    let (theme, session) = (&app.theme, &row.session);
    let command = session.command.join(" ");
    let processes = format::known(session.processes, |n| format::counted(n as usize, "process", "processes"));
    let pid = format::known(session.leader_pid, |pid| format!("pid {pid}"));
    let memory = format::known(session.memory_bytes, format::bytes);
    let signs = [(session.pinned, "pinned"), (session.attached > 0, "attached")];
    let mut state = vec![session.state.as_str(), row.kind.word(), session.origin.as_str()];
    state.extend(signs.iter().filter(|s| s.0).map(|s| s.1));
    vec![
        ("reason", row.reason.clone(), theme.of(row.kind)),
        ("state", state.join(", "), theme.text),
        ("command", printable_within(&command, 300), theme.text),
        ("workspace", printable_within(&session.workspace, 300), theme.text),
        ("processes", format!("{processes}, {memory}, agent {pid}"), theme.text),
        ("started", started(app, row), theme.text),
        ("id", printable_within(&session.id, 40), theme.dim),
    ]
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
