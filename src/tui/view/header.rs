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
    let (place, totals, filter) = (place(app), totals(app), filter(app));
    // The filter changes what is seen: it is shown before the name of the place.
    let filter_width = if filter.is_empty() { 0 } else { format::width(&filter) + 3 };
    let mut left = Line::from(" ");
    if paint::columns(&place) + paint::columns(&totals) + 5 + filter_width <= area.width {
        left.extend(place.spans);
        left.push_span("   ");
    }
    left.extend(totals.spans);
    let waiting = format!("{} waiting", app.totals.waiting);
    if app.totals.waiting > 0 && paint::columns(&left) + 3 + format::width(&waiting) + filter_width <= area.width {
        left.push_span(Span::styled(" · ", app.theme.dim));
        left.push_span(Span::styled(waiting, app.theme.waiting));
    }
    let room = area.width.saturating_sub(paint::columns(&left) + 3);
    paint::both_ends(buffer, area, &left, &right(app, filter, room));
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

/// The filter and how much it lets through; empty without one.
fn filter(app: &App) -> String {
    let words = match (app.faults_only, app.filter.is_empty()) {
        (false, true) => return String::new(),
        (true, true) => "! faults only".into(),
        (false, false) => format!("/{}", printable_within(app.filter.text(), 30)),
        (true, false) => format!("! /{}", printable_within(app.filter.text(), 30)),
    };
    format!("{words}  {} of {}", app.shown(), app.rows.len())
}

/// The filter, and of what everything costs as much as fits.
fn right(app: &App, filter: String, room: u16) -> Line<'static> {
    let theme = &app.theme;
    let mut line = Line::from(Span::styled(filter, theme.accent));
    let strays = format!("   strays {}", format::bytes(app.strays.memory_bytes));
    if app.strays.count > 0 && paint::columns(&line) + format::width(&strays) <= room {
        line.push_span(Span::styled(strays, theme.stuck));
    }
    let memory = format::bytes(app.totals.memory_bytes);
    let long = format!("   cpu {}   memory {memory}", format::percent(app.totals.cpu_percent));
    let fitting = [long, format!("   {memory}")].into_iter().find(|t| paint::columns(&line) + format::width(t) <= room);
    if let Some(cost) = fitting.filter(|_| !app.rows.is_empty()) {
        line.push_span(Span::styled(cost, theme.dim));
    }
    line.push_span(" ");
    line
}

/// The line that says that what is below is old; else that nothing starts.
pub fn draw_banner(app: &App, area: Rect, buffer: &mut Buffer) {
    if let (Some(why), None) = (&app.latched, app.stale_for()) {
        let keys = if app.options.readonly { "" } else { "   L releases" };
        let room = area.width.saturating_sub(format::width(keys) + 1);
        let text = format::cut(&format!(" nothing starts since {why}"), room);
        let line = Line::from(vec![Span::styled(text, app.theme.stuck), Span::styled(keys, app.theme.accent)]);
        return paint::line(buffer, area, &line);
    }
    let (Link::Lost { since, why }, Some(stale)) = (&app.link, app.stale_for()) else { return };
    let lost = format::span(app.now.saturating_sub(*since).as_secs_f64());
    let old = format::span(stale.as_secs_f64());
    let text = format!(" connection lost {lost} ago, trying again · what you see is {old} old · {why}");
    buffer.set_style(area, app.theme.alarm);
    let shown = format::cut(&text, area.width);
    buffer.set_stringn(area.x, area.y, shown, usize::from(area.width), app.theme.alarm);
}
