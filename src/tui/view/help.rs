//! The help, made from the table of keys, with what is searched for in it.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::super::app::{App, Help};
use super::super::format;
use super::super::keymap::{BINDINGS, Binding, Group};
use super::super::panes::Pane;
use super::super::rows::Kind;
use super::super::update::keys;
use super::paint;

/// Columns of the keys.
const KEYS: usize = 8;
/// Columns of a key and what it does, with air.
const COLUMN: usize = 38;

pub fn draw(app: &App, help: &Help, frame: &mut Frame) -> Option<Position> {
    let area = frame.area();
    let lines = lines(app, help);
    let width = lines.iter().map(paint::columns).max().unwrap_or(0).max(36);
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2);
    let needle = help.needle.text();
    let title = match (help.is_typing, needle.is_empty()) {
        (true, _) => format!("Keys with /{needle}"),
        (false, true) => "Keys".into(),
        (false, false) => format!("Keys with “{needle}”"),
    };
    let buffer = frame.buffer_mut();
    let inner = paint::window(buffer, area, (width + 4, height), &title, &app.theme);
    for (y, line) in (inner.y..inner.bottom()).zip(lines.iter().skip(usize::from(help.scroll))) {
        paint::line(buffer, Rect { y, height: 1, ..inner }, line);
    }
    let below = lines.len().saturating_sub(usize::from(help.scroll) + usize::from(inner.height));
    let hint = if below > 0 { format!(" j {below} more · / search ") } else { " / search ".into() };
    let hint = Line::styled(hint, app.theme.dim);
    let wide = paint::columns(&hint);
    if inner.height > 0 && inner.width > wide {
        let at = Rect { x: inner.right() - wide, y: inner.bottom(), width: wide, height: 1 };
        paint::line(buffer, at.intersection(area), &hint);
    }
    let at = Position::new(inner.x + format::width(&title), inner.y.saturating_sub(1));
    help.is_typing.then_some(at)
}

/// How far the help can be scrolled.
pub fn scroll_limit(app: &App, help: &Help) -> u16 {
    let inside = app.size.1.saturating_sub(2);
    u16::try_from(lines(app, help).len()).unwrap_or(u16::MAX).saturating_sub(inside)
}

/// As many columns as fit; what the pane with the keys is about comes first.
fn lines(app: &App, help: &Help) -> Vec<Line<'static>> {
    let needle = help.needle.text().to_lowercase();
    let mut groups: Vec<Group> = Group::ALL.to_vec();
    if app.panes.focus != Pane::Table {
        groups.sort_by_key(|group| *group != Group::Panes);
    }
    let parts: Vec<Vec<Line<'static>>> =
        groups.into_iter().map(|g| group(app, g, &needle)).filter(|part| !part.is_empty()).collect();
    let mut lines = if usize::from(app.size.0) >= 2 * COLUMN + 4 && needle.is_empty() {
        let total: usize = parts.iter().map(|part| part.len() + 1).sum();
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for part in parts {
            let side = if left.len() * 2 + part.len() <= total + 1 { &mut left } else { &mut right };
            append(side, part);
        }
        beside(left, right)
    } else {
        let mut all = Vec::new();
        parts.into_iter().for_each(|part| append(&mut all, part));
        all
    };
    if lines.is_empty() {
        lines.push(Line::styled("no key has that in it", app.theme.dim));
    }
    lines.push(Line::default());
    lines.extend(legend(app));
    lines
}

fn append(side: &mut Vec<Line<'static>>, part: Vec<Line<'static>>) {
    if !side.is_empty() {
        side.push(Line::default());
    }
    side.extend(part);
}

/// A heading and its keys; nothing where none has the needle in it.
fn group(app: &App, group: Group, needle: &str) -> Vec<Line<'static>> {
    let theme = &app.theme;
    let is_wanted = |b: &&Binding| b.group == group && !(b.mutates && app.options.readonly);
    let has = |b: &&Binding| {
        let text = format!("{} {} {}", app.keymap.shown(b), b.help, b.action.word());
        text.to_lowercase().contains(needle)
    };
    let keys: Vec<Line<'static>> = BINDINGS
        .iter()
        .filter(is_wanted)
        .filter(has)
        .map(|b| {
            // What does nothing to the row under the cursor is there, and steps back.
            let acts = keys::refusal(app, b.action).is_none();
            let (key, text) = if acts { (theme.accent, Style::new()) } else { (theme.dim, theme.dim) };
            Line::from(vec![Span::styled(format!("{:<KEYS$}", app.keymap.shown(b)), key), Span::styled(b.help, text)])
        })
        .collect();
    if keys.is_empty() {
        return keys;
    }
    [Line::from(Span::styled(group.title(), theme.strong))].into_iter().chain(keys).collect()
}

fn beside(left: Vec<Line<'static>>, right: Vec<Line<'static>>) -> Vec<Line<'static>> {
    let height = left.len().max(right.len());
    let (mut left, mut right) = (left.into_iter(), right.into_iter());
    (0..height)
        .map(|_| {
            let mut line = left.next().unwrap_or_default();
            line.push_span(" ".repeat(COLUMN.saturating_sub(line.width()).max(1)));
            line.extend(right.next().unwrap_or_default());
            line
        })
        .collect()
}

/// What the signs in front of a row mean.
fn legend(app: &App) -> Vec<Line<'static>> {
    let theme = &app.theme;
    let kinds = [Kind::Orphaned, Kind::Stuck, Kind::Waiting, Kind::Healthy];
    let mut signs: Vec<(&str, Style, &str)> = kinds.map(|k| (k.glyph(), theme.of(k), k.word())).to_vec();
    signs.extend([("+", theme.accent, "marked"), ("*", theme.accent, "new"), ("·", theme.dim, "gone")]);
    let parts = signs.into_iter().map(|(sign, style, word)| {
        Line::from(vec![Span::styled(sign, style), Span::styled(format!(" {word}"), theme.dim)])
    });
    paint::flowed(parts.collect(), app.size.0.saturating_sub(4), theme)
}
