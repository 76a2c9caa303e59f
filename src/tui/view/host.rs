//! The machine: memory, disk, load, pressure, and what all sessions together take of it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::super::app::App;
use super::super::format;
use super::super::seen::{MINUTES, Ring};
use super::regions::Frame;
use super::{paint, panes};
use crate::api::types::{Host, Pressure};

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
            lines.extend(machine(app, host, width));
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

/// How full it is, how much it has to do, and how much of the last seconds somebody waited for what.
fn machine(app: &App, host: &Host, width: u16) -> Vec<Line<'static>> {
    let free = |free: u64, all: u64| format!("{} free of {}", format::bytes(free), format::bytes(all));
    let gauge = |label: &str, left: u64, all: u64| {
        gauge(app, label, (share(all.saturating_sub(left), all), &free(left, all)), width)
    };
    let mut lines = vec![gauge("memory", host.available_memory_bytes, host.memory_bytes)];
    lines.extend(host.disk.map(|disk| gauge("disk", disk.free_bytes, disk.bytes)));
    let cores =
        if host.cores > 0 { format!(" on {}", format::counted(host.cores, "core", "cores")) } else { String::new() };
    lines.push(fact(app, "load", &format!("{:.2}{cores}", host.load)));
    lines.extend(host.pressure.map(|pressure| waits(app, pressure)));
    lines
}

/// `waits     cpu 3%   memory 0%   io 12%`; a machine that mostly waits has the colour of what needs a person.
fn waits(app: &App, pressure: Pressure) -> Line<'static> {
    let theme = &app.theme;
    let mut line = Line::from(Span::styled(format!("{:<LABEL$}", "waits"), theme.dim));
    let parts = [
        ("cpu", pressure.cpu_percent, 80.0),
        ("memory", pressure.memory_percent, 10.0),
        ("io", pressure.io_percent, 50.0),
    ];
    for (word, percent, high) in parts {
        let style = if percent >= high { theme.stuck } else { theme.text };
        line.push_span(Span::styled(format!("{word} "), theme.dim));
        line.push_span(Span::styled(format!("{:<6}", format::percent(percent)), style));
    }
    line
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
