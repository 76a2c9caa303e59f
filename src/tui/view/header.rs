//! The first line: where this is, how many sessions there are of each health, what they cost.
//!
//! ```text
//!  beadle web01   8 healthy · 1 stuck · 2 orphaned · 1 waiting                 1.2G
//! ```

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::super::app::{App, Link};
use super::super::format;
use super::super::link::Lack;
use super::super::rows::Kind;
use super::paint;
use crate::model::text::printable_within;

pub fn draw(app: &App, area: Rect, buffer: &mut Buffer) {
    let filter = filter(app);
    // The filter changes what is seen: it is shown before the name of the place.
    let filter_width = if filter.is_empty() { 0 } else { format::width(&filter) + 3 };
    let left = fitting(app, area.width.saturating_sub(filter_width));
    let room = area.width.saturating_sub(paint::columns(&left) + 3);
    paint::both_ends(buffer, area, &left, &right(app, filter, room));
}

/// The place and the totals, as much as fits: the zeros go first, then the place, then who is well. Those who need a
/// person stay, by their signs where there is no room for words.
fn fitting(app: &App, room: u16) -> Line<'static> {
    let mut ways = vec![left(app, true, |_| true)];
    if app.rows.is_empty() {
        ways.push(left(app, false, |_| true));
    }
    ways.extend([true, false].map(|has_place| left(app, has_place, |t| t.count > 0)));
    ways.push(left(app, false, |t| t.count > 0 && t.kind != Kind::Healthy));
    ways.push(signs(app));
    let fits = |line: &&Line<'_>| (2..room).contains(&paint::columns(line));
    ways.iter().find(fits).or(ways.last()).cloned().unwrap_or_default()
}

/// Who there is, by the signs of the rows.
fn signs(app: &App) -> Line<'static> {
    let shown = totals(app).into_iter().filter(|t| t.count > 0);
    let spans = shown.map(|t| Span::styled(format!(" {}{}", t.kind.glyph(), t.count), app.theme.of(t.kind)));
    spans.collect()
}

fn left(app: &App, has_place: bool, keep: impl Fn(&Total) -> bool) -> Line<'static> {
    let mut line = Line::from(" ");
    if has_place {
        line.extend(place(app).spans);
        line.push_span("   ");
    }
    let shown: Vec<Total> = totals(app).into_iter().filter(keep).collect();
    for (at, total) in shown.into_iter().enumerate() {
        if at > 0 {
            line.push_span(Span::styled(" · ", app.theme.dim));
        }
        let style = match total.kind {
            _ if total.count == 0 => app.theme.dim,
            Kind::Healthy => app.theme.text,
            kind => app.theme.of(kind),
        };
        line.push_span(Span::styled(format!("{} {}", total.count, total.kind.word()), style));
    }
    line
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

/// How many there are of one kind.
struct Total {
    count: usize,
    kind: Kind,
}

/// Always these three, in these words, and who waits.
fn totals(app: &App) -> Vec<Total> {
    let totals = &app.totals;
    let three =
        [(totals.healthy, Kind::Healthy), (totals.stuck, Kind::Stuck), (totals.orphaned, Kind::Orphaned)].into_iter();
    let waiting = Some((totals.waiting, Kind::Waiting)).filter(|(count, _)| *count > 0);
    three.chain(waiting).map(|(count, kind)| Total { count, kind }).collect()
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
    let Some(texts) = broken(app) else { return };
    buffer.set_style(area, app.theme.alarm);
    let fitting = texts.iter().find(|text| format::width(text) <= area.width).or(texts.last());
    let shown = format::cut(fitting.map_or("", String::as_str), area.width);
    buffer.set_stringn(area.x, area.y, shown, usize::from(area.width), app.theme.alarm);
}

/// What is wrong with the link and what mends it, the longest first: the remedy is in each that can have one.
fn broken(app: &App) -> Option<Vec<String>> {
    let span = |since: Duration| format::span(app.now.saturating_sub(since).as_secs_f64());
    let old = format::span(app.stale_for()?.as_secs_f64());
    Some(match (&app.link, &app.lack) {
        (Link::Connecting(_) | Link::Up, _) => return None,
        (Link::Silent { since }, _) => {
            let silent = span(*since);
            vec![
                format!(
                    " the daemon does not answer since {silent} · what you see is {old} old · `beadle daemon logs` may say why"
                ),
                format!(" the daemon does not answer since {silent} · what you see is {old} old"),
                format!(" the daemon is silent since {silent}"),
                format!(" silent since {silent}"),
            ]
        }
        (Link::Lost { since, why }, Lack::Unknown) => {
            let lost = span(*since);
            vec![
                format!(" connection lost {lost} ago, trying again · what you see is {old} old · {why}"),
                format!(" connection lost {lost} ago, trying again · what you see is {old} old"),
                format!(" connection lost {lost} ago, trying again"),
                format!(" lost {lost} ago, trying"),
            ]
        }
        (Link::Lost { .. }, Lack::Starting) => vec![
            format!(" connection lost, starting a new daemon · what you see is {old} old"),
            " lost, starting a new daemon".into(),
        ],
        (Link::Lost { since, .. }, Lack::Gone) => {
            let lost = span(*since);
            let (long, short) = if app.options.readonly {
                ("`beadle daemon start` starts one", "`beadle daemon start`")
            } else {
                ("Enter starts one", "Enter starts one")
            };
            vec![
                format!(" no daemon runs since {lost} · {long} · what you see is {old} old"),
                format!(" no daemon runs since {lost} · {long} · {old} old"),
                format!(" no daemon · {short} · {old} old"),
                format!(" no daemon: {short}"),
            ]
        }
        (Link::Lost { .. }, Lack::Failed(why)) => vec![
            format!(" no daemon could be started: {why} · Enter tries again"),
            " no daemon could be started · Enter tries again · @ says why".into(),
            " none starts · Enter tries · @ says why".into(),
        ],
    })
}
