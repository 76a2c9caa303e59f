//! The question before something cannot be undone.
//!
//! ```text
//!  ┌ Kill 2 sessions? ───────────────────────────────────┐
//!  │ data-backfill     codex    2 processes   161M       │
//!  │ nightly-refactor  claude  14 processes   1.1G       │
//!  │                                                     │
//!  │ 5 s to end by themselves, then by force.            │
//!  │                              [ Cancel ]    Kill     │
//!  └─────────────────────────────────────────────────────┘
//! ```

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};

use super::super::app::App;
use super::super::confirm::{Confirm, Question, Victim};
use super::super::format;
use super::paint;

/// Columns that processes and memory take.
const NUMBERS: u16 = 21;
/// Lines around the victims: border, air, fate, air, buttons, border.
const AROUND: u16 = 6;

pub fn draw(app: &App, confirm: &Confirm, frame: &mut Frame) -> Option<Position> {
    let area = frame.area();
    let fate = fate(app, confirm, area.width.saturating_sub(4));
    let room = usize::from(area.height.saturating_sub(AROUND).max(1));
    let victims = victim_lines(app, &confirm.victims, room, area.width.saturating_sub(4));
    let widest =
        victims.iter().chain(&fate).map(paint::columns).max().unwrap_or(0).max(format::width(&confirm.title()));
    let height = u16::try_from(victims.len() + fate.len()).unwrap_or(u16::MAX).saturating_add(AROUND - 1);
    let inner = paint::window(frame.buffer_mut(), area, (widest.max(44) + 4, height), &confirm.title(), &app.theme);
    let mut lines = victims;
    lines.push(Line::default());
    lines.extend(fate);
    lines.push(Line::default());
    // The buttons stay, whatever there is no room for.
    let above = usize::from(inner.height.saturating_sub(1));
    for (y, line) in (inner.y..).zip(lines.iter().take(above)) {
        paint::line(frame.buffer_mut(), Rect { y, height: 1, ..inner }, line);
    }
    let buttons = buttons(app, confirm, inner.width);
    let width = paint::columns(&buttons).min(inner.width);
    if inner.height > 0 {
        let at = Rect { x: inner.right() - width, y: inner.bottom() - 1, width, height: 1 };
        paint::line(frame.buffer_mut(), at, &buttons);
    }
    None
}

/// One line each as long as they fit, then how many more.
fn victim_lines(app: &App, victims: &[Victim], room: usize, width: u16) -> Vec<Line<'static>> {
    let shown = if victims.len() <= room { victims.len() } else { room.saturating_sub(1) };
    let widest = |text: fn(&Victim) -> &str| victims[..shown].iter().map(|v| format::width(text(v))).max().unwrap_or(0);
    let agent = widest(|v| &v.agent).min(12);
    let left = width.saturating_sub(NUMBERS);
    let name = widest(|v| &v.name).min(32);
    // Where not all fits, the kind of agent is the first to go.
    let (name, agent) = if name + agent + 2 <= left { (name, agent) } else { (name.min(left), 0) };
    let mut lines: Vec<Line<'static>> = victims[..shown].iter().map(|v| victim_line(app, v, name, agent)).collect();
    let more = victims.len() - shown;
    if more > 0 {
        lines.push(Line::styled(format!("and {more} more"), app.theme.dim));
    }
    lines
}

fn victim_line(app: &App, victim: &Victim, name: u16, agent: u16) -> Line<'static> {
    let theme = &app.theme;
    let processes = match victim.processes {
        Some(n) => format!("{n:>4} {:<9}", if n == 1 { "process" } else { "processes" }),
        None => format!("{:>4} processes", format::UNKNOWN),
    };
    let memory = format::known(victim.memory_bytes, format::bytes);
    let working = if victim.is_working { "  at work" } else { "" };
    Line::from(vec![
        Span::styled(padded(&victim.name, name), theme.text),
        Span::styled(if agent > 0 { format!("  {}", padded(&victim.agent, agent)) } else { String::new() }, theme.dim),
        Span::styled(format!(" {processes} {memory:>5}"), theme.text),
        Span::styled(working, theme.stuck),
    ])
}

fn padded(text: &str, width: u16) -> String {
    let text = format::cut(text, width);
    let pad = usize::from(width.saturating_sub(format::width(&text)));
    text + &" ".repeat(pad)
}

/// What will happen, and to how much.
fn fate(app: &App, confirm: &Confirm, width: u16) -> Vec<Line<'static>> {
    let theme = &app.theme;
    let grace = format::took(app.options.grace.as_secs_f64()).replace(".0 s", " s");
    let how = match confirm.question {
        Question::Kill { now: true } => "By force, at once.".to_string(),
        Question::Kill { now: false } | Question::CloseAll => {
            format!(
                "{grace} to end by {}, then by force.",
                if confirm.victims.len() == 1 { "itself" } else { "themselves" }
            )
        }
        Question::Restart => format!("Closed first ({grace}, then by force), then started again."),
    };
    let mut lines = Vec::new();
    if confirm.victims.len() > 2 {
        let processes = confirm.victims.iter().filter_map(|v| v.processes).map(|n| n as usize).sum();
        let memory: u64 = confirm.victims.iter().filter_map(|v| v.memory_bytes).sum();
        let all = format::counted(processes, "process", "processes");
        lines.push(Line::from(format!("{all} in all, {}.", format::bytes(memory))));
    }
    lines.extend(format::wrapped(&how, width).into_iter().map(|line| Line::styled(line, theme.text)));
    if confirm.foreign > 0 {
        let stay = format::counted(confirm.foreign, "session is", "sessions are");
        let text = format!("{stay} not beadle's and will stay.");
        lines.extend(format::wrapped(&text, width).into_iter().map(|line| Line::styled(line, theme.dim)));
    }
    lines
}

fn buttons(app: &App, confirm: &Confirm, width: u16) -> Line<'static> {
    let theme = &app.theme;
    let button = |text: &str, is_pressed: bool| {
        if is_pressed {
            Span::styled(format!("[ {text} ]"), theme.pressed)
        } else {
            Span::styled(format!("  {text}  "), theme.text)
        }
    };
    Line::from(vec![
        Span::styled(if width < 44 { "" } else { "y yes  Esc no      " }, theme.dim),
        button("Cancel", !confirm.is_armed),
        Span::raw("  "),
        button(confirm.button(), confirm.is_armed),
    ])
}
