//! A sweep: what would be taken and what proves it, what is spared and why; then what became of each.
//!
//! ```text
//!  Sweep   3 to take · 1 suspect · 1 spared                            222M
//!
//! ▸[x] codex app-server         105M  its last client has gone
//!  [x] mcp-server-filesystem     62M  nobody is at either end of its pipes
//!  [ ] node chrome-devtools-mcp 880M  suspect: nothing proves it
//!   –  claude                   412M  spared: it lives in a tmux pane
//! ── why ──────────────────────────────────────────────────────────────────
//!  pid 4711  codex app-server --listen unix:///…
//! ```

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Widget};

use super::super::app::App;
use super::super::format;
use super::super::sweeping::{Phase, Stray, Sweeping};
use super::paint;
use super::regions::Regions;
use crate::api::sweep::Action;
use crate::model::session::{Attention, Origin};

/// Lines of the reasons, their rule included.
const WHY: u16 = 6;
/// Cursor, mark, air.
const GUTTER: u16 = 5;

/// Everything between header and foot.
fn body(app: &App) -> Rect {
    let regions = Regions::of(app);
    let top = regions.header.height + regions.banner.map_or(0, |b| b.height);
    Rect::new(0, top, app.size.0, app.size.1.saturating_sub(top + regions.foot.height))
}

/// How many rows there is room for.
pub fn rows_shown(app: &App, sweep: &Sweeping) -> u16 {
    parted(app, sweep, body(app)).1.height
}

/// The lines above the rows, the rows, the reasons.
fn parted(app: &App, sweep: &Sweeping, body: Rect) -> (Rect, Rect, Rect) {
    let above = u16::try_from(head(app, sweep, body.width).len()).unwrap_or(1);
    // Air, where there is some.
    let above = (above + u16::from(body.height > 12)).min(body.height.saturating_sub(3).max(1)).min(body.height);
    let below =
        if sweep.has_why && !sweep.strays.is_empty() { WHY.min(body.height.saturating_sub(above + 1)) } else { 0 };
    let rows = body.height - above - below;
    let part = |y: u16, height: u16| Rect { y: body.y + y, height, ..body };
    (part(0, above), part(above, rows), part(above + rows, below))
}

pub fn draw(app: &App, sweep: &Sweeping, buffer: &mut Buffer) {
    let area = body(app).intersection(buffer.area);
    Clear.render(area, buffer);
    let (top, rows, why) = parted(app, sweep, area);
    for (y, line) in (top.y..top.bottom()).zip(head(app, sweep, area.width)) {
        paint::line(buffer, Rect { y, height: 1, ..top }, &line);
    }
    let shown = sweep.strays.iter().enumerate().skip(sweep.offset);
    for (y, (index, stray)) in (rows.y..rows.bottom()).zip(shown) {
        draw_row(app, sweep, (index, stray), Rect { y, height: 1, ..rows }, buffer);
    }
    if why.height > 0 {
        draw_why(app, sweep, why, buffer);
    }
}

/// What it is, how far it is, and what an emergency does beside.
fn head(app: &App, sweep: &Sweeping, width: u16) -> Vec<Line<'static>> {
    let theme = &app.theme;
    let name = if sweep.emergency { "Emergency" } else { "Sweep" };
    let style = if sweep.emergency { theme.orphaned } else { theme.strong };
    let mut lines = vec![Line::from(vec![
        Span::styled(format!(" {name}"), style),
        Span::styled(format!("   {}", stage(app, sweep)), theme.text),
    ])];
    let mut say = |text: String, style: Style| {
        let wrapped = format::wrapped(&text, width.saturating_sub(2));
        lines.extend(wrapped.into_iter().map(|line| Line::styled(format!(" {line}"), style)));
    };
    if let Some(why) = &sweep.failure {
        say(format!("No stray may be taken: {why}"), theme.stuck);
    }
    if sweep.emergency {
        emergency(app, sweep).into_iter().for_each(|(text, style)| say(text, style));
    }
    if sweep.phase == Phase::Plan && sweep.strays.is_empty() && sweep.failure.is_none() {
        say("No process looks left behind.".into(), theme.dim);
    }
    sweep.notes.iter().for_each(|note| say(note.clone(), theme.dim));
    lines
}

fn stage(app: &App, sweep: &Sweeping) -> String {
    let so_far = format::span(app.now.saturating_sub(sweep.since).as_secs_f64());
    let dotted = |parts: &[(usize, &str)]| {
        let parts = parts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}"));
        parts.collect::<Vec<_>>().join(" · ")
    };
    let rest = [(sweep.count(Action::Suspect), "suspect"), (sweep.count(Action::Spared), "spared")];
    match sweep.phase {
        Phase::Planning => format!("looking twice, a second apart … {so_far}"),
        Phase::Plan => {
            let (count, bytes) = sweep.wanted();
            let holds = if count > 0 { format!(", {}", format::bytes(bytes)) } else { String::new() };
            let proved = sweep.strays.iter().filter(|s| s.action == Action::WouldKill && !sweep.marked.contains(&s.id));
            let words = dotted(&[(proved.count(), "left alone"), rest[0], rest[1]]);
            let words = if words.is_empty() { words } else { format!(" · {words}") };
            format!("{count} to take{holds}{words}")
        }
        Phase::Acting if sweep.emergency => {
            let left = sweep.ids.iter().filter(|id| app.row(id).is_some()).count();
            format!("{} of {} sessions closed … {so_far}", sweep.ids.len() - left, sweep.ids.len())
        }
        Phase::Acting => format!("taking {} … {so_far}", format::counted(sweep.wanted().0, "stray", "strays")),
        Phase::Done => {
            let failed = [(sweep.count(Action::Failed), "not"), rest[0], rest[1]];
            let taken = format!("{} taken, {} freed", sweep.killed, format::bytes(sweep.freed_bytes));
            [taken, dotted(&failed)].into_iter().filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" · ")
        }
    }
}

/// What it does to the sessions, in sentences.
fn emergency(app: &App, sweep: &Sweeping) -> Vec<(String, Style)> {
    let theme = &app.theme;
    if let (Phase::Done, Some(report)) = (sweep.phase, &sweep.sessions) {
        let survivors = if report.failed > 0 { format!(", {} with survivors", report.failed) } else { String::new() };
        let closed = format::counted(report.closed, "session", "sessions");
        let released = "Nothing starts until it is released (L).";
        return vec![(format!("{closed} closed{survivors}. {released}"), theme.text)];
    }
    let managed = || app.rows.iter().filter(|r| r.session.origin == Origin::Managed);
    let processes = managed().filter_map(|r| r.session.processes).map(|n| n as usize).sum();
    let memory = managed().filter_map(|r| r.session.memory_bytes).sum();
    let sessions = format::counted(managed().count(), "session", "sessions");
    let processes = format::counted(processes, "process", "processes");
    let mut said = vec![(
        format!(
            "Closes {sessions} ({processes}, {}). Then nothing starts until it is released.",
            format::bytes(memory)
        ),
        theme.text,
    )];
    if sweep.phase == Phase::Acting {
        return vec![("Nothing starts until it is released.".into(), theme.text)];
    }
    let busy: Vec<&str> =
        managed().filter(|r| r.session.attention == Attention::Working).map(|r| r.name.as_str()).collect();
    let named = busy.iter().take(3).map(|name| format::cut(name, 24)).collect::<Vec<_>>().join(", ");
    let more = if busy.len() > 3 { format!(" and {} more", busy.len() - 3) } else { String::new() };
    if !busy.is_empty() {
        said.push((format!("At work: {named}{more}."), theme.stuck));
    }
    let foreign = app.rows.len() - managed().count();
    if foreign > 0 {
        let stay = format::counted(foreign, "session is", "sessions are");
        said.push((format!("{stay} not beadle's and will stay."), theme.dim));
    }
    said
}

fn draw_row(app: &App, sweep: &Sweeping, (index, stray): (usize, &Stray), area: Rect, buffer: &mut Buffer) {
    let theme = &app.theme;
    let is_here = index == sweep.at;
    let is_marked = sweep.marked.contains(&stray.id);
    let (sign, style) = match stray.action {
        Action::WouldKill | Action::Suspect if sweep.phase != Phase::Done && is_marked => ("[x]", theme.accent),
        Action::WouldKill => ("[ ]", theme.text),
        Action::Suspect if sweep.phase != Phase::Done => ("[ ]", theme.dim),
        Action::Suspect => (" ? ", theme.dim),
        Action::Killed => (" ✔ ", theme.healthy),
        Action::Failed => (" ✖ ", theme.orphaned),
        Action::Spared => (" – ", theme.dim),
    };
    let text = if matches!(stray.action, Action::Spared) { theme.dim } else { theme.text };
    let why_style = match stray.action {
        Action::Suspect => theme.stuck,
        Action::Failed => theme.orphaned,
        Action::WouldKill | Action::Killed | Action::Spared => theme.dim,
    };
    let (what, why) = widths(area.width);
    let pad = usize::from(what);
    let name = format::cut(&called(stray), what);
    let air = " ".repeat(pad.saturating_sub(usize::from(format::width(&name))));
    let line = Line::from(vec![
        Span::styled(if is_here { "▸" } else { " " }, theme.accent),
        Span::styled(sign, style),
        Span::raw(" "),
        Span::styled(name + &air, text),
        Span::styled(format!(" {:>4}  ", format::bytes(stray.memory_bytes)), text),
        Span::styled(format::cut(&reason(stray), why), why_style),
    ]);
    paint::line(buffer, area, &line);
    if is_here {
        super::table::lay(buffer, area, theme.selected, theme.dim);
    }
}

/// What has room for its name, and for the reason.
fn widths(width: u16) -> (u16, u16) {
    let left = width.saturating_sub(GUTTER + 7);
    let what = (left * 2 / 5).clamp(12.min(left), 60.min(left));
    (what, left - what)
}

/// Programs that run what is named behind them.
const LAUNCHERS: [&str; 9] = ["sh", "bash", "zsh", "node", "bun", "deno", "python", "python3", "uv"];

/// Its command without directories, and without what only runs it.
fn called(stray: &Stray) -> String {
    let base = |word: &str| word.rsplit('/').next().unwrap_or_default().to_string();
    let mut words = stray.command.split(' ').filter(|word| !word.is_empty()).peekable();
    let program = words.next().map(base).unwrap_or_default();
    let is_named = words.peek().is_some_and(|word| word.contains('/') && !word.starts_with('-'));
    let named = if LAUNCHERS.contains(&program.as_str()) && is_named { words.next().map(base) } else { Some(program) };
    let own: Vec<String> = named.into_iter().chain(words.map(String::from)).collect();
    if own.is_empty() { stray.agent.clone() } else { own.join(" ") }
}

fn reason(stray: &Stray) -> String {
    match stray.action {
        Action::Suspect => format!("suspect: {}", stray.why),
        Action::Spared => format!("spared: {}", stray.why),
        Action::WouldKill | Action::Killed | Action::Failed => stray.why.clone(),
    }
}

fn draw_why(app: &App, sweep: &Sweeping, area: Rect, buffer: &mut Buffer) {
    let theme = &app.theme;
    let Some(stray) = sweep.stray() else { return };
    paint::rule(buffer, Rect { height: 1, ..area }, &Line::styled("why", theme.dim), theme.rule);
    let none = |list: &[String]| if list.is_empty() { "nothing".to_string() } else { list.join("; ") };
    let label = |label: &str, value: String| {
        let value = format::cut(&value, area.width.saturating_sub(13));
        Line::from(vec![Span::styled(format!(" {label:<11}"), theme.dim), Span::raw(value)])
    };
    let mut lines = vec![
        label(&format!("pid {}", stray.id.0), stray.command.clone()),
        label("agent", if stray.agent.is_empty() { format::UNKNOWN.into() } else { stray.agent.clone() }),
        label("for it", none(&stray.proofs)),
        label("against", none(&stray.vetoes)),
    ];
    lines.extend(stray.survivors.iter().map(|s| label("left", s.clone())));
    if !stray.proofs.contains(&stray.why) && !stray.vetoes.contains(&stray.why) {
        lines.push(label("so", stray.why.clone()));
    }
    for (y, line) in (area.y + 1..area.bottom()).zip(lines) {
        paint::line(buffer, Rect { y, height: 1, ..area }, &line);
    }
}

/// The keys that mean something now, for the foot.
pub fn keys(app: &App, sweep: &Sweeping) -> Vec<(String, String)> {
    let key = |key: &str, word: &str| (key.to_string(), word.to_string());
    let mut keys = Vec::new();
    let (count, bytes) = sweep.wanted();
    match sweep.phase {
        Phase::Plan if app.options.readonly => {}
        Phase::Plan if sweep.emergency => {
            let sessions = app.rows.iter().filter(|r| r.session.origin == Origin::Managed).count();
            keys.push(key("Y", &format!("close {}", format::counted(sessions, "session", "sessions"))));
        }
        Phase::Plan if count > 0 => keys.push(key("Enter", &format!("take {count} ({})", format::bytes(bytes)))),
        Phase::Planning | Phase::Plan | Phase::Acting | Phase::Done => {}
    }
    let esc = match sweep.phase {
        Phase::Plan => "leave",
        Phase::Planning | Phase::Acting | Phase::Done => "close",
    };
    keys.push(key("Esc", esc));
    if !sweep.strays.is_empty() {
        if sweep.phase == Phase::Plan {
            keys.push(key("Space", "mark"));
        }
        keys.push(key("d", "why"));
    }
    if sweep.phase == Phase::Plan {
        keys.push(key("r", "again"));
    }
    keys
}
