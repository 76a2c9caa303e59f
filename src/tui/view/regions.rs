//! Where everything is, given the size of the terminal, the panes asked for, and how much there is to say.
//!
//! ```text
//!   small: one pane      80: two         120               160                    200 and high
//!   ┌──────────┐     ┌──────────┐   ┌──────┬─────┐   ┌──────┬────────┐   ┌──────────┬────────┐
//!   │ focused  │     │ table    │   │ table│ side│   │ table│ screen │   │ table    │ screen │
//!   │          │     ├──────────┤   │      │     │   │      ├────────┤   ├────┬─────┼────────┤
//!   │          │     │ side     │   │      │     │   │      │ details│   │host│event│ details│
//!   └──────────┘     └──────────┘   └──────┴─────┘   └──────┴────────┘   └────┴─────┴────────┘
//! ```

use ratatui::layout::Rect;

use super::super::app::App;
use super::super::panes::Pane;
use super::report;

/// From this width on the side pane stands beside the table.
const BESIDE: u16 = 120;
/// From this width on there are two panes beside the table.
const DETAILED: u16 = 160;
/// From this width on charts and events stand below the table.
const CHARTED: u16 = 200;
/// The fewest columns of a table that has a screen beside it: its reasons are not cut.
const TABLE_MIN: u16 = 80;
/// The fewest columns of the panes beside it.
const SIDE_MIN: u16 = 39;
/// The fewest lines a screen below the table is worth, its rule included.
const SCREEN_MIN: u16 = 5;
/// Lines the details take, their rule included.
const DETAILS: u16 = 14;
/// Lines most screens of sessions have, title included.
const SCREEN: u16 = 26;
/// Lines of the charts, their rule included.
const CHARTS: u16 = 12;
/// Columns and lines that one step moves the border.
const STEP: (i32, i32) = (6, 2);

/// A pane: the line that names it, and what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    pub pane: Pane,
    pub title: Rect,
    pub body: Rect,
    /// The vertical rule to its left.
    pub edge: Option<Rect>,
    /// Its title stands in a horizontal rule: there is something above it.
    pub is_ruled: bool,
}

/// The places. Any of them may be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Regions {
    pub header: Rect,
    pub banner: Option<Rect>,
    /// Its first line names the columns. Empty where another pane stands alone.
    pub table: Rect,
    pub panes: Vec<Frame>,
    pub strip: Rect,
    pub foot: Rect,
}

impl Regions {
    pub fn of(app: &App) -> Self {
        let (width, height) = app.size;
        let line = |y: u16, lines: u16| Rect::new(0, y, width, lines);
        let header = line(0, 1.min(height));
        let foot_lines = u16::from(height >= 4);
        let banner_lines = u16::from((app.stale_for().is_some() || app.latched.is_some()) && height >= 3);
        let fixed = header.height + foot_lines + banner_lines;
        let strip_lines = report::strip_height(app, width).min(height.saturating_sub(fixed) / 2);
        let top = header.height + banner_lines;
        let body = line(top, height.saturating_sub(fixed + strip_lines));
        let (table, panes) = parted(app, body);
        Self {
            header,
            banner: (banner_lines > 0).then(|| line(1, 1)),
            table,
            panes,
            strip: line(top + body.height, strip_lines),
            foot: line(height.saturating_sub(foot_lines), foot_lines),
        }
    }

    /// How many rows the table shows.
    pub const fn rows_shown(&self) -> u16 {
        self.table.height.saturating_sub(1)
    }

    /// Where a pane is, if it is shown.
    pub fn find(&self, pane: Pane) -> Option<&Frame> {
        self.panes.iter().find(|frame| frame.pane == pane)
    }

    /// Which pane a cell belongs to.
    pub fn pane_at(&self, x: u16, y: u16) -> Option<Pane> {
        let at = ratatui::layout::Position { x, y };
        if self.table.contains(at) {
            return Some(Pane::Table);
        }
        self.panes.iter().find(|f| f.body.contains(at) || f.title.contains(at)).map(|f| f.pane)
    }

    /// The same, cut to what the terminal really is: it may have shrunk since the last message.
    #[must_use]
    pub fn within(self, area: Rect) -> Self {
        let cut = |r: Rect| r.intersection(area);
        let frame = |f: Frame| Frame { title: cut(f.title), body: cut(f.body), edge: f.edge.map(cut), ..f };
        Self {
            header: cut(self.header),
            banner: self.banner.map(cut),
            table: cut(self.table),
            panes: self.panes.into_iter().map(frame).collect(),
            strip: cut(self.strip),
            foot: cut(self.foot),
        }
    }
}

fn parted(app: &App, body: Rect) -> (Rect, Vec<Frame>) {
    let panes = &app.panes;
    let alone = |pane: Pane| match pane {
        Pane::Table => (body, Vec::new()),
        Pane::Screen | Pane::Details | Pane::Events | Pane::Host => {
            (Rect { height: 0, ..body }, vec![frame(pane, body, None, false)])
        }
    };
    if panes.is_zoomed {
        return alone(panes.focus);
    }
    let rows = app.rows.len().max(app.lines.len());
    if rows == 0 {
        // Nothing to look at yet: a table that says what to do.
        return alone(match panes.focus {
            Pane::Table | Pane::Screen | Pane::Details => Pane::Table,
            pane @ (Pane::Events | Pane::Host) => pane,
        });
    }
    if body.width >= BESIDE {
        return beside(app, body);
    }
    // All rows count, not those shown: nothing jumps while a filter is typed.
    below(app, body, rows).unwrap_or_else(|| alone(panes.focus))
}

fn below(app: &App, body: Rect, rows: usize) -> Option<(Rect, Vec<Frame>)> {
    let wanted = u16::try_from(rows).unwrap_or(u16::MAX).saturating_add(2).max(6);
    let most = (body.height / 2).max(body.height.saturating_sub(16)).max(6);
    let room = body.height.checked_sub(SCREEN_MIN)?;
    let lines = moved(wanted.min(most), i32::from(app.panes.split) * STEP.1, 3, room);
    if body.height - lines < SCREEN_MIN || room < 6 {
        return None;
    }
    let table = Rect { height: lines, ..body };
    let rest = Rect { y: body.y + lines, height: body.height - lines, ..body };
    Some((table, vec![frame(app.panes.side, rest, None, true)]))
}

fn beside(app: &App, body: Rect) -> (Rect, Vec<Frame>) {
    let usual = (body.width / 5 * 2).min(body.width - TABLE_MIN - 1).min(100);
    let most = body.width.saturating_sub(SIDE_MIN);
    let right = moved(usual, -i32::from(app.panes.split) * STEP.0, SIDE_MIN, most);
    let left = body.width.saturating_sub(right + 1);
    let mut table = Rect { width: left, ..body };
    let edge = Rect { x: body.x + left, width: 1, ..body };
    let column = Rect { x: edge.x + 1, width: right, ..body };
    let mut panes = Vec::new();
    let side = app.panes.side;
    let free = body.height.saturating_sub(room_for_rows(app));
    if body.width < DETAILED || body.height < DETAILS + 8 {
        panes.push(frame(side, column, Some(edge), false));
        // Below a short table there is room.
        if side == Pane::Screen && free >= DETAILS {
            table.height -= free;
            let rest = Rect { y: table.y + table.height, height: free, ..table };
            panes.push(frame(Pane::Details, rest, None, true));
        }
        return (table, panes);
    }
    let is_charted = body.width >= CHARTED && body.height >= CHARTS * 3;
    let details = body.height.saturating_sub(SCREEN).clamp(DETAILS, DETAILS * 2);
    let lower = match side {
        // What stands below the table already is not shown twice.
        Pane::Events | Pane::Host if !is_charted => side,
        Pane::Table | Pane::Screen | Pane::Details | Pane::Events | Pane::Host => Pane::Details,
    };
    let top = Rect { height: column.height - details, ..column };
    let bottom = Rect { y: column.y + top.height, height: details, ..column };
    panes.push(frame(Pane::Screen, top, Some(edge), false));
    panes.push(frame(lower, bottom, Some(edge), true));
    if is_charted {
        let charts = free.clamp(CHARTS, CHARTS * 2);
        table.height -= charts;
        let lower = Rect { y: table.y + table.height, height: charts, ..table };
        let half = lower.width / 2;
        panes.push(frame(Pane::Host, Rect { width: half, ..lower }, None, true));
        panes.push(frame(Pane::Events, Rect { x: lower.x + half, width: lower.width - half, ..lower }, None, true));
    }
    (table, panes)
}

/// Lines the table wants, in steps, so that nothing jumps when one row comes or goes.
fn room_for_rows(app: &App) -> u16 {
    let rows = app.rows.len().max(app.lines.len());
    u16::try_from(rows).unwrap_or(u16::MAX).saturating_add(3).checked_next_multiple_of(6).unwrap_or(u16::MAX)
}

/// A measure moved by so much, within bounds.
fn moved(measure: u16, by: i32, least: u16, most: u16) -> u16 {
    let sum = i32::from(measure) + by;
    u16::try_from(sum.max(0)).unwrap_or(u16::MAX).min(most).max(least.min(measure))
}

fn frame(pane: Pane, area: Rect, edge: Option<Rect>, is_ruled: bool) -> Frame {
    Frame {
        pane,
        title: Rect { height: area.height.min(1), ..area },
        body: Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area },
        edge: edge.map(|edge| Rect { y: area.y, height: area.height, ..edge }),
        is_ruled,
    }
}
