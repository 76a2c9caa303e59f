//! The last line: the keys that act now; or the line being typed; or what was just said.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line as TextLine, Span};
use ratatui::widgets::{Clear, Widget};

use super::super::app::{App, Mode, Notice};
use super::super::format;
use super::super::keymap::{Action, BINDINGS};
use super::super::line::Line;
use super::super::rows::Kind;
use super::super::sweeping::Sweeping;
use super::super::update::keys;
use super::paint;
use crate::model::session::State;

/// An attachment that takes this long is spoken of.
const SLOW: Duration = Duration::from_millis(500);

/// Draws it; where the cursor stands, if something is typed here.
pub fn draw(app: &App, area: Rect, buffer: &mut Buffer) -> Option<Position> {
    if area.is_empty() {
        return None;
    }
    match &app.mode {
        Mode::Sweep(sweep) => {
            match &app.notice {
                Some(notice) => draw_notice(app, notice, area, buffer),
                None => draw_sweep(app, sweep, area, buffer),
            }
            None
        }
        Mode::Filter(line) => {
            let keys = format!("{} of {}   Enter keeps   Esc shows all ", app.shown(), app.rows.len());
            let hint = app.filter_error.as_ref().map_or(keys, |error| format!("{error} "));
            Some(draw_line(app, " /", line, &hint, area, buffer))
        }
        Mode::TypeLine { name, line, .. } => {
            let prompt = format!(" to {} ❯ ", format::cut(name, 24));
            Some(draw_line(app, &prompt, line, "Enter types it   Esc leaves ", area, buffer))
        }
        Mode::Palette(palette) => {
            Some(draw_line(app, " :", &palette.line, "Tab completes   ↑ earlier   Esc leaves ", area, buffer))
        }
        Mode::Search(line) => {
            Some(draw_line(app, " search / ", line, "Enter finds   ] [ next, before   Esc leaves ", area, buffer))
        }
        Mode::Answer { name, .. } => {
            let theme = &app.theme;
            let mut text = vec![Span::styled(format!(" answer {} ", format::cut(name, 24)), theme.accent)];
            for (key, word) in
                [("y", "yes"), ("n", "no"), ("1–9", ""), ("Enter", ""), ("↑ ↓ Tab Space", ""), ("Esc", "leave")]
            {
                text.push(Span::styled(format!(" {key}"), theme.accent));
                text.push(Span::styled(format!(" {word} "), theme.dim));
            }
            paint::line(buffer, area, &TextLine::from(text));
            None
        }
        Mode::Table
        | Mode::Menu(_)
        | Mode::Confirm(_)
        | Mode::Form(_)
        | Mode::Help(_)
        | Mode::Log { .. }
        | Mode::Report { .. } => {
            match (&app.attaching, &app.notice) {
                (Some(wanted), _) if app.now.saturating_sub(wanted.since) >= SLOW => {
                    let text = format!(" attaching to {} …  Esc stays here", format::cut(&wanted.name, 24));
                    paint::line(buffer, area, &TextLine::styled(text, app.theme.text));
                }
                (_, Some(notice)) => draw_notice(app, notice, area, buffer),
                // Keys of the table do nothing while something lies above it.
                (_, None) if app.mode == Mode::Table => draw_keys(app, area, buffer),
                (_, None) => {}
            }
            None
        }
    }
}

fn draw_sweep(app: &App, sweep: &Sweeping, area: Rect, buffer: &mut Buffer) {
    let mut line = TextLine::from(" ");
    for (key, word) in super::sweeping::keys(app, sweep) {
        if paint::columns(&line) + format::width(&key) + format::width(&word) + 1 > area.width {
            continue;
        }
        line.push_span(Span::styled(key, app.theme.accent));
        line.push_span(Span::styled(format!(" {word}   "), app.theme.dim));
    }
    paint::line(buffer, area, &line);
}

/// Lines a notice may take.
const NOTICE: usize = 5;

/// What is said in place of the foot; what is too long for it lies on the lines above.
fn draw_notice(app: &App, notice: &Notice, area: Rect, buffer: &mut Buffer) {
    let style = if notice.is_bad { app.theme.orphaned } else { app.theme.text };
    let room = area.width.saturating_sub(2);
    // News may be cut, the whole is in the pane of events; a refusal is wanted to its end.
    let mut lines =
        if notice.is_bad { format::wrapped(&notice.text, room) } else { vec![format::cut(&notice.text, room + 1)] };
    lines.truncate(NOTICE.min(usize::from(area.y)).max(1));
    let above = u16::try_from(lines.len()).unwrap_or(1).saturating_sub(1);
    let area = Rect { y: area.y.saturating_sub(above), height: area.height + above, ..area };
    Clear.render(area, buffer);
    for (y, text) in (area.y..area.bottom()).zip(lines) {
        paint::line(buffer, Rect { y, height: 1, ..area }, &TextLine::styled(format!(" {text}"), style));
    }
}

fn draw_line(app: &App, prompt: &str, line: &Line, hint: &str, area: Rect, buffer: &mut Buffer) -> Position {
    let theme = &app.theme;
    let left = TextLine::from(Span::styled(prompt.to_string(), theme.accent));
    let taken = format::width(prompt);
    let hint_width = format::width(hint);
    let has_hint = taken + 20 + hint_width < area.width;
    let room = area.width.saturating_sub(taken + 1 + if has_hint { hint_width + 1 } else { 0 });
    let (text, at) = line.window(room);
    let right = if has_hint { TextLine::from(Span::styled(hint.to_string(), theme.dim)) } else { TextLine::default() };
    paint::both_ends(buffer, area, &left, &right);
    let field = Rect { x: (area.x + taken).min(area.right()), width: area.width.saturating_sub(taken), ..area };
    buffer.set_style(field, theme.text);
    paint::line(buffer, Rect { width: room.min(field.width), ..field }, &TextLine::from(text));
    Position::new(field.x + at, area.y)
}

fn draw_keys(app: &App, area: Rect, buffer: &mut Buffer) {
    // Where room is scarce, the row under the cursor comes first.
    let is_tight = area.width < 60 && !app.rows.is_empty();
    let right = keys(app, if is_tight { &[Action::Help] } else { RIGHT }, area.width);
    let room = area.width.saturating_sub(paint::columns(&right) + 1);
    let left = keys(app, LEFT, room);
    paint::both_ends(buffer, area, &left, &right);
}

/// What acts on the row under the cursor, in order of use.
const LEFT: &[Action] = &[
    Action::Attach,
    Action::Answer,
    Action::TypeLine,
    Action::Kill,
    Action::Pin,
    Action::Pause,
    Action::Restart,
    Action::Window,
    Action::Copy,
];
/// What acts on no row.
const RIGHT: &[Action] = &[Action::New, Action::Filter, Action::Help];

fn keys(app: &App, actions: &[Action], room: u16) -> TextLine<'static> {
    let theme = &app.theme;
    let mut line = TextLine::from(" ");
    for action in actions {
        let Some(binding) = BINDINGS.iter().find(|b| b.action == *action) else { continue };
        let Some(word) = word(app, *action).filter(|_| !(binding.mutates && app.options.readonly)) else { continue };
        let key = app.keymap.shown(binding);
        if paint::columns(&line) + format::width(&key) + format::width(word) + 1 > room {
            break;
        }
        line.push_span(Span::styled(key, theme.accent));
        line.push_span(Span::styled(format!(" {word}  "), theme.dim));
    }
    line
}

/// What a key does to the row under the cursor, in a word; `None` when it does nothing there.
fn word(app: &App, action: Action) -> Option<&'static str> {
    let row = app.selected_row();
    if keys::refusal(app, action).is_some() {
        return None;
    }
    let is_paused = row.is_some_and(|r| r.session.state == State::Paused);
    match action {
        Action::Attach => row.map(|_| "attach"),
        Action::Answer => row.filter(|r| r.kind == Kind::Waiting).map(|_| "answer"),
        Action::TypeLine => row.map(|_| "type"),
        Action::Window => row.filter(|_| app.options.is_in_tmux).map(|_| "window"),
        Action::Kill => row.map(|_| if app.marked.is_empty() { "kill" } else { "kill marked" }),
        Action::Pause => row.map(|_| if is_paused { "go on" } else { "pause" }),
        Action::Restart => row.map(|_| "restart"),
        Action::Pin => row.map(|r| if r.session.pinned { "unpin" } else { "pin" }),
        Action::Copy if app.report.iter().flat_map(|r| &r.sessions).any(|s| s.resume.is_some()) => Some("copy resume"),
        Action::New => Some("new"),
        Action::Filter => (!app.rows.is_empty()).then_some("filter"),
        Action::Help => Some("help"),
        _ => None,
    }
}
