//! What a close is doing, and what came of it: a few lines above the foot, or a panel when there is much.
//!
//! ```text
//!  ✔ data-backfill clean 0.03 s · ✔ nightly-refactor forced 5.1 s (14 of 14 gone)
//!    claude --resume 4f1c…   copied with y
//! ```

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};

use super::super::app::{App, Closing, Mode};
use super::super::format;
use super::paint;
use crate::api::types::{Closed, KillReport, Outcome};
use crate::model::text::printable_within;

/// More lines than this are a panel's.
const STRIP_MAX: usize = 4;

/// How many lines the strip wants.
pub fn strip_height(app: &App, width: u16) -> u16 {
    u16::try_from(strip(app, width).len()).unwrap_or(0)
}

pub fn draw_strip(app: &App, area: Rect, buffer: &mut Buffer) {
    for (y, line) in (area.y..area.bottom()).zip(strip(app, area.width)) {
        paint::line(buffer, Rect { y, height: 1, ..area }, &line);
    }
}

/// True when the report does not fit above the foot.
pub fn needs_panel(app: &App) -> bool {
    app.report.as_ref().is_some_and(|report| report_lines(app, report, app.size.0).len() > STRIP_MAX)
}

/// The report as plain text, a line for each session.
pub fn text(app: &App, report: &KillReport) -> String {
    let lines: Vec<String> = panel_lines(app, report).iter().map(ToString::to_string).collect();
    let used = lines.len().saturating_sub(2);
    lines[..used].join("\n")
}

/// How far the panel can be scrolled.
pub fn scroll_limit(app: &App) -> u16 {
    let lines = app.report.as_ref().map_or(0, |report| panel_lines(app, report).len());
    u16::try_from(lines).unwrap_or(u16::MAX).saturating_sub(app.size.1.saturating_sub(2))
}

pub fn draw_panel(app: &App, scroll: u16, frame: &mut Frame) -> Option<Position> {
    let report = app.report.as_ref()?;
    let area = frame.area();
    let lines = panel_lines(app, report);
    let width = lines.iter().map(paint::columns).max().unwrap_or(0).max(40);
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2);
    let buffer = frame.buffer_mut();
    let inner = paint::window(buffer, area, (width + 4, height), "What was closed", &app.theme);
    for (y, line) in (inner.y..inner.bottom()).zip(lines.iter().skip(usize::from(scroll))) {
        paint::line(buffer, Rect { y, height: 1, ..inner }, line);
    }
    None
}

fn strip(app: &App, width: u16) -> Vec<Line<'static>> {
    let mut lines: Vec<Line<'static>> = app.closing.iter().map(|closing| progress(app, closing)).collect();
    if let Some(report) = &app.report
        && !matches!(app.mode, Mode::Report { .. })
    {
        let all = report_lines(app, report, width);
        if all.len() <= STRIP_MAX { lines.extend(all) } else { lines.push(indented(summary(app, report))) }
    }
    lines
}

/// `closing 3 sessions, 1 gone · 2s`
fn progress(app: &App, closing: &Closing) -> Line<'static> {
    let left = closing.ids.iter().filter(|id| app.row(id).is_some()).count();
    let gone = closing.ids.len() - left;
    let what = match closing.ids.as_slice() {
        [only] => app.row(only).map_or_else(|| "1 session".into(), |row| row.name.clone()),
        several => format!("{} sessions, {gone} gone", several.len()),
    };
    let so_far = format::span(app.now.saturating_sub(closing.since).as_secs_f64());
    Line::styled(format!(" closing {what} · {so_far}"), app.theme.accent)
}

fn indented(mut line: Line<'static>) -> Line<'static> {
    line.spans.insert(0, Span::raw(" "));
    line
}

fn report_lines(app: &App, report: &KillReport, width: u16) -> Vec<Line<'static>> {
    let parts = report.sessions.iter().map(|closed| outcome(app, closed)).collect();
    let mut lines: Vec<Line<'static>> =
        paint::flowed(parts, width.saturating_sub(2), &app.theme).into_iter().map(indented).collect();
    lines.extend(report.sessions.iter().flat_map(|closed| survivors(app, closed)));
    let resumes: Vec<&str> = report.sessions.iter().filter_map(|s| s.resume.as_deref()).collect();
    if let Some(first) = resumes.first() {
        let more = if resumes.len() > 1 { format!(" and {} more", resumes.len() - 1) } else { String::new() };
        let text = format!("   {}{more}   y copies", printable_within(first, 60));
        lines.push(Line::styled(text, app.theme.dim));
    }
    lines
}

fn panel_lines(app: &App, report: &KillReport) -> Vec<Line<'static>> {
    let mut lines = vec![summary(app, report), Line::default()];
    for closed in &report.sessions {
        let mut line = outcome(app, closed);
        let resume = closed.resume.as_deref().map(|resume| format!("   {}", printable_within(resume, 100)));
        let resume = resume.map(|text| Span::styled(text, app.theme.dim));
        // Beside its outcome where there is room.
        let fits = |span: &Span<'_>| paint::columns(&line) + format::width(&span.content) + 4 <= app.size.0;
        match resume {
            Some(span) if fits(&span) => {
                line.push_span(span);
                lines.push(line);
            }
            resume => {
                lines.push(line);
                lines.extend(resume.map(Line::from));
            }
        }
        lines.extend(survivors(app, closed));
    }
    lines.push(Line::default());
    lines.push(Line::styled("y copies what resumes them   Esc closes", app.theme.dim));
    lines
}

/// `30 closed: 28 clean, 2 forced · 5.1 s`
fn summary(app: &App, report: &KillReport) -> Line<'static> {
    let words = [
        (Outcome::Clean, "clean"),
        (Outcome::Forced, "forced"),
        (Outcome::AlreadyGone, "already gone"),
        (Outcome::Survivors, "with survivors"),
    ];
    let counts = words.map(|(o, word)| (report.sessions.iter().filter(|s| s.outcome == o).count(), word));
    let counts: Vec<String> = counts.iter().filter(|c| c.0 > 0).map(|(n, word)| format!("{n} {word}")).collect();
    let seconds = report.sessions.iter().map(|s| s.seconds).fold(0.0, f64::max);
    let total = format::counted(report.sessions.len(), "session", "sessions");
    let text = format!("{total}: {} · {}", counts.join(", "), format::took(seconds));
    Line::styled(text, if report.failed > 0 { app.theme.orphaned } else { app.theme.text })
}

/// `✔ nightly-refactor forced 5.1 s (14 of 14 gone)`
fn outcome(app: &App, closed: &Closed) -> Line<'static> {
    let theme = &app.theme;
    let name = format::cut(&printable_within(&closed.name, 60), 40);
    let (sign, style) = if closed.survivors.is_empty() { ("✔", theme.healthy) } else { ("✖", theme.orphaned) };
    let gone = closed.processes.saturating_sub(closed.survivors.len());
    let count = match closed.outcome {
        Outcome::Forced | Outcome::Survivors => format!(" ({gone} of {} gone)", closed.processes),
        Outcome::Clean | Outcome::AlreadyGone | Outcome::WouldKill => String::new(),
    };
    let how = format!(" {} {}{count}", closed.outcome.as_str().replace('-', " "), format::took(closed.seconds));
    Line::from(vec![Span::styled(sign, style), Span::raw(format!(" {name}")), Span::styled(how, theme.dim)])
}

/// Each of those who are still there, and why; then what was spared on purpose.
fn survivors(app: &App, closed: &Closed) -> Vec<Line<'static>> {
    let theme = &app.theme;
    let survivor = |s: &crate::api::types::Survivor| {
        let text = format!("{} {} ({}, {}): {}", s.pid, s.command, s.state, s.owner, s.why);
        Line::styled(format!("   {}", printable_within(&text, 200)), theme.orphaned)
    };
    let spared = |text: &String| Line::styled(format!("   spared: {}", printable_within(text, 200)), theme.dim);
    closed.survivors.iter().map(survivor).chain(closed.spared.iter().map(spared)).collect()
}
