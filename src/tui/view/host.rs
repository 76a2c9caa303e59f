//! The machine: memory, load, and what all sessions together take of it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::super::app::App;
use super::super::format;
use super::super::seen::{MINUTES, Ring};
use super::regions::Frame;
use super::{paint, panes};

/// Columns of the names.
const LABEL: usize = 10;

pub fn draw(app: &App, frame: &Frame, buffer: &mut Buffer) {
    panes::frame(app, frame, panes::name(app, frame), buffer);
    let body = panes::inset(frame.body);
    for (y, line) in (body.y..body.bottom()).zip(lines(app, body.width)) {
        paint::line(buffer, Rect { y, height: 1, ..body }, &line);
    }
}

fn lines(app: &App, width: u16) -> Vec<Line<'static>> {
    let theme = &app.theme;
    let mut lines = Vec::new();
    match app.host.status.as_ref().map(|status| &status.host) {
        Some(Some(host)) => {
            let used = host.memory_bytes.saturating_sub(host.available_memory_bytes);
            let of = format!("{} of {}", format::bytes(used), format::bytes(host.memory_bytes));
            lines.push(gauge(app, "memory", (share(used, host.memory_bytes), &of), width));
            lines.push(fact(app, "load", &format!("{:.2}", host.load)));
        }
        Some(None) => lines.push(fact(app, "memory", "this machine does not tell")),
        None => lines.push(Line::styled(app.host.error.clone().unwrap_or_else(|| "…".into()), theme.dim)),
    }
    let sessions = format::counted(app.rows.len(), "session", "sessions");
    lines.push(Line::default());
    lines.push(fact(app, "all", &format!("{sessions}, the last {MINUTES} minutes")));
    let total = &app.seen.total;
    lines.push(chart(app, "cpu", &total.cpu, &format::percent(app.totals.cpu_percent)));
    lines.push(chart(app, "memory", &total.memory, &format::bytes(app.totals.memory_bytes)));
    lines.push(chart(app, "activity", &total.activity, ""));
    if let Some(status) = &app.host.status {
        let up = format::span(status.uptime_seconds);
        let version = crate::model::text::printable_within(&status.version, 20);
        lines.push(Line::default());
        lines.push(fact(app, "daemon", &format!("{version}, pid {}, up {up}", status.pid)));
    }
    lines
}

#[expect(clippy::cast_precision_loss, reason = "shown as a bar")]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn fact(app: &App, label: &str, value: &str) -> Line<'static> {
    Line::from(vec![Span::styled(format!("{label:<LABEL$}"), app.theme.dim), Span::raw(value.to_string())])
}

/// How full something is; what is nearly full has the colour of what needs a person.
fn gauge(app: &App, label: &str, (share, text): (f64, &str), width: u16) -> Line<'static> {
    let theme = &app.theme;
    let taken = u16::try_from(LABEL + 2 + text.len()).unwrap_or(u16::MAX);
    let room = width.saturating_sub(taken).min(30);
    let full = (0..room).filter(|n| (f64::from(*n) + 0.5) / f64::from(room) <= share).count();
    let style = if share > 0.9 { theme.orphaned } else { theme.healthy };
    Line::from(vec![
        Span::styled(format!("{label:<LABEL$}"), theme.dim),
        Span::styled("━".repeat(full), style),
        Span::styled("─".repeat(usize::from(room) - full), theme.rule),
        Span::raw(format!("  {text}")),
    ])
}

fn chart(app: &App, label: &str, ring: &Ring, now: &str) -> Line<'static> {
    let values: Vec<f64> = ring.values().collect();
    let bars = format::spark(&values, MINUTES, u16::try_from(MINUTES).unwrap_or(30));
    Line::from(vec![
        Span::styled(format!("{label:<LABEL$}"), app.theme.dim),
        Span::styled(bars, app.theme.healthy),
        Span::raw(format!("  {now}")),
    ])
}
