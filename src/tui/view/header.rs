//! The first line: where this is, how many sessions there are of each health, what they cost.
//!
//! ```text
//!  beadle web01   8 healthy · 1 stuck · 2 orphaned · 1 waiting                 1.2G
//! ```

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::super::app::{App, Link};
use super::super::format;
use super::paint;
use crate::model::text::printable_within;

pub fn draw(app: &App, area: Rect, buffer: &mut Buffer) {
    let totals = totals(app);
    let mut left = Line::from(" ");
    let place = place(app);
    if paint::columns(&place) + paint::columns(&totals) + 5 <= area.width {
        left.extend(place.spans);
        left.push_span("   ");
    }
    left.extend(totals.spans);
    if app.totals.waiting > 0 {
        left.push_span(Span::styled(" · ", app.theme.dim));
        left.push_span(Span::styled(format!("{} waiting", app.totals.waiting), app.theme.waiting));
    }
    let room = area.width.saturating_sub(paint::columns(&left) + 2);
    paint::both_ends(buffer, area, &left, &right(app, room));
}

/// `beadle HOST`, and what is special about this interface.
fn place(app: &App) -> Line<'static> {
    let theme = &app.theme;
    let mut line = Line::from(Span::styled("beadle", theme.strong));
    let host = printable_within(&app.options.host, 40);
    let special = [(app.options.embedded, "embedded"), (app.options.readonly, "read-only")];
    for word in [(!host.is_empty(), host.as_str())].iter().chain(&special).filter(|w| w.0).map(|w| w.1) {
        line.push_span(Span::styled(format!(" {word}"), theme.dim));
    }
    line
}

/// Always these three, in these words.
fn totals(app: &App) -> Line<'static> {
    let (theme, totals) = (&app.theme, &app.totals);
    let count = |n: usize, word: &str, style: Style| {
        Span::styled(format!("{n} {word}"), if n == 0 { theme.dim } else { style })
    };
    let dot = || Span::styled(" · ", theme.dim);
    Line::from(vec![
        count(totals.healthy, "healthy", theme.text),
        dot(),
        count(totals.stuck, "stuck", theme.stuck),
        dot(),
        count(totals.orphaned, "orphaned", theme.orphaned),
    ])
}

/// The filter when there is one, and the totals that fit.
fn right(app: &App, room: u16) -> Line<'static> {
    let theme = &app.theme;
    let mut parts: Vec<Span<'static>> = Vec::new();
    if !app.filter.is_empty() {
        let text = format!("/{}  {} of {}", printable_within(&app.filter, 30), app.shown.len(), app.rows.len());
        parts.push(Span::styled(text, theme.accent));
    }
    if !app.rows.is_empty() {
        let memory = format::bytes(app.totals.memory_bytes);
        let long = format!("cpu {}   memory {memory}", format::percent(app.totals.cpu_percent));
        let taken: u16 = parts.iter().map(|p| format::width(&p.content) + 3).sum();
        let fits = taken + format::width(&long) + 8 <= room;
        parts.push(Span::styled(if fits { long } else { memory }, theme.dim));
    }
    let mut line = Line::default();
    for part in parts {
        if !line.spans.is_empty() {
            line.push_span("   ");
        }
        line.push_span(part);
    }
    line.push_span(" ");
    line
}

/// The line that says that what is below is old.
pub fn draw_banner(app: &App, area: Rect, buffer: &mut Buffer) {
    let (Link::Lost { since, why }, Some(stale)) = (&app.link, app.stale_for()) else { return };
    let lost = format::span(app.now.saturating_sub(*since).as_secs_f64());
    let old = format::span(stale.as_secs_f64());
    let text = format!(" connection lost {lost} ago, trying again · what you see is {old} old · {why}");
    buffer.set_style(area, app.theme.alarm);
    let shown = format::cut(&text, area.width);
    buffer.set_stringn(area.x, area.y, shown, usize::from(area.width), app.theme.alarm);
}
