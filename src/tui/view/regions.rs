//! Where everything is, given the size of the terminal and how much there is to say.

use ratatui::layout::Rect;

use super::super::app::App;
use super::report;

/// From this width on the screen stands beside the table.
const BESIDE: u16 = 120;
/// From this width on details stand under the screen.
const DETAILED: u16 = 160;
/// The fewest columns of a table that has a screen beside it: its reasons are not cut.
const TABLE_MIN: u16 = 80;
/// The fewest lines a screen below the table is worth, its rule included.
const SCREEN_MIN: u16 = 5;
/// Lines the details take, their rule included.
const DETAILS: u16 = 9;

/// A pane: the line that names it, and what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pane {
    pub title: Rect,
    pub body: Rect,
    /// The vertical rule to its left.
    pub edge: Option<Rect>,
}

/// The places. Any of them may be empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Regions {
    pub header: Rect,
    pub banner: Option<Rect>,
    /// Its first line names the columns.
    pub table: Rect,
    pub screen: Option<Pane>,
    pub details: Option<Pane>,
    pub strip: Rect,
    pub foot: Rect,
}

impl Regions {
    pub fn of(app: &App) -> Self {
        let (width, height) = app.size;
        let line = |y: u16, lines: u16| Rect::new(0, y, width, lines);
        let header = line(0, 1.min(height));
        let foot_lines = u16::from(height >= 4);
        let banner_lines = u16::from(app.stale_for().is_some() && height >= 3);
        let fixed = header.height + foot_lines + banner_lines;
        let strip_lines = report::strip_height(app, width).min(height.saturating_sub(fixed) / 2);
        let top = header.height + banner_lines;
        let body = line(top, height.saturating_sub(fixed + strip_lines));
        let (table, screen, details) = match app.rows.len().max(app.lines.len()) {
            0 => (body, None, None),
            _ if width >= BESIDE => beside(body),
            // All rows count, not those shown: nothing jumps while a filter is typed.
            rows => below(body, rows),
        };
        Self {
            header,
            banner: (banner_lines > 0).then(|| line(1, 1)),
            table,
            screen,
            details,
            strip: line(top + body.height, strip_lines),
            foot: line(height.saturating_sub(foot_lines), foot_lines),
        }
    }

    /// How many rows the table shows.
    pub const fn rows_shown(&self) -> u16 {
        self.table.height.saturating_sub(1)
    }

    /// The same, cut to what the terminal really is: it may have shrunk since the last message.
    #[must_use]
    pub fn within(self, area: Rect) -> Self {
        let cut = |r: Rect| r.intersection(area);
        let pane = |p: Pane| Pane { title: cut(p.title), body: cut(p.body), edge: p.edge.map(cut) };
        Self {
            header: cut(self.header),
            banner: self.banner.map(cut),
            table: cut(self.table),
            screen: self.screen.map(pane),
            details: self.details.map(pane),
            strip: cut(self.strip),
            foot: cut(self.foot),
        }
    }
}

type Split = (Rect, Option<Pane>, Option<Pane>);

fn below(body: Rect, rows: usize) -> Split {
    let wanted = u16::try_from(rows).unwrap_or(u16::MAX).saturating_add(2).max(6);
    let most = (body.height / 2).max(body.height.saturating_sub(16)).max(6);
    let table_lines = wanted.min(most);
    let left = body.height.saturating_sub(table_lines);
    if left < SCREEN_MIN {
        return (body, None, None);
    }
    let table = Rect { height: table_lines, ..body };
    let title = Rect { y: body.y + table_lines, height: 1, ..body };
    let pane = Pane { title, body: Rect { y: title.y + 1, height: left - 1, ..body }, edge: None };
    (table, Some(pane), None)
}

fn beside(body: Rect) -> Split {
    let right = (body.width / 5 * 2).min(body.width - TABLE_MIN - 1).min(100);
    let left = body.width.saturating_sub(right + 1);
    let table = Rect { width: left, ..body };
    let edge = Rect { x: body.x + left, width: 1, ..body };
    let column = Rect { x: edge.x + 1, width: right, ..body };
    let wants_details = body.width >= DETAILED && body.height >= DETAILS + 10;
    let details_lines = if wants_details { DETAILS } else { 0 };
    let split = |area: Rect| Pane {
        title: Rect { height: area.height.min(1), ..area },
        body: Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area },
        edge: Some(Rect { y: area.y, height: area.height, ..edge }),
    };
    let upper = Rect { height: column.height - details_lines, ..column };
    let lower = Rect { y: column.y + upper.height, height: details_lines, ..column };
    (table, Some(split(upper)), wants_details.then(|| split(lower)))
}
