//! Which columns the table has, and how wide they are.
//!
//! A column is taken while the least it needs is there, in order of worth; what is left goes first to the
//! reason, then to names, then to the rest.

use super::super::app::App;
use super::super::format;
use super::super::rows::Row;

/// Most names and reasons can be read whole in this.
const NAME_ENOUGH: u16 = 24;
const REASON_ENOUGH: u16 = 24;
/// A reason in less says nothing.
const REASON_LEAST: u16 = 14;

/// What a column shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    Name,
    Agent,
    Project,
    State,
    Idle,
    Age,
    Cpu,
    Memory,
    Processes,
    Reason,
}

/// Left to right.
const PLACES: [Column; 10] = [
    Column::Name,
    Column::Agent,
    Column::Project,
    Column::State,
    Column::Idle,
    Column::Age,
    Column::Cpu,
    Column::Memory,
    Column::Processes,
    Column::Reason,
];

/// What is given up last comes first.
const WORTH: [Column; 10] = [
    Column::Name,
    Column::Reason,
    Column::Idle,
    Column::Memory,
    Column::Agent,
    Column::Cpu,
    Column::Age,
    Column::Processes,
    Column::State,
    Column::Project,
];

impl Column {
    pub const fn title(self) -> &'static str {
        match self {
            Self::Name => "NAME",
            Self::Agent => "AGENT",
            Self::Project => "PROJECT",
            Self::State => "STATE",
            Self::Idle => "IDLE",
            Self::Age => "AGE",
            Self::Cpu => "CPU",
            Self::Memory => "MEM",
            Self::Processes => "PROC",
            Self::Reason => "REASON",
        }
    }

    /// Numbers stand right.
    pub const fn is_number(self) -> bool {
        match self {
            Self::Idle | Self::Age | Self::Cpu | Self::Memory | Self::Processes => true,
            Self::Name | Self::Agent | Self::Project | Self::State | Self::Reason => false,
        }
    }

    /// Shown only where names and reasons have enough.
    const fn is_extra(self) -> bool {
        matches!(self, Self::Processes | Self::State | Self::Project)
    }

    /// Columns of air to its left.
    const fn gap(self) -> u16 {
        match self {
            Self::Name => 0,
            Self::Idle | Self::Age | Self::Cpu | Self::Memory | Self::Processes => 1,
            Self::Agent | Self::Project | Self::State | Self::Reason => 2,
        }
    }
}

/// A column with its width, its gap not included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    pub column: Column,
    pub x: u16,
    pub width: u16,
}

/// What the texts of the rows would like, in columns.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wishes {
    name: u16,
    agent: u16,
    project: u16,
    cpu: u16,
    reason: u16,
}

impl Wishes {
    pub fn of(app: &App) -> Self {
        let most = |text: fn(&Row) -> &str| app.rows.iter().map(|r| format::width(text(r))).max().unwrap_or(0);
        Self {
            // In steps, so that columns stay where they are when one name comes or goes.
            name: most(|r| &r.name).clamp(16, 40).next_multiple_of(4),
            agent: most(|r| &r.agent).clamp(6, 14),
            // As wide as its title, or not there at all.
            project: Some(most(|r| &r.project)).filter(|w| *w > 0).map_or(0, |w| w.clamp(7, 20)),
            cpu: if app.rows.iter().any(|r| r.session.cpu_percent.is_some_and(|p| p >= 999.5)) { 6 } else { 4 },
            reason: 60,
        }
    }

    /// What names, agents and reasons want to be readable, beyond the least.
    const fn reserve(self) -> u16 {
        let name = if self.name > NAME_ENOUGH { NAME_ENOUGH } else { self.name };
        let (name_least, agent_least) = (self.bounds(Column::Name).0, self.bounds(Column::Agent).0);
        (name - name_least) + (self.agent - agent_least) + (REASON_ENOUGH - REASON_LEAST)
    }

    /// The least and the most a column can use.
    const fn bounds(self, column: Column) -> (u16, u16) {
        match column {
            Column::Name => (16, self.name),
            Column::Agent => (if self.agent > 8 { 8 } else { self.agent }, self.agent),
            Column::Project => (if self.project > 12 { 12 } else { self.project }, self.project),
            Column::State => (10, 10),
            Column::Cpu => (self.cpu, self.cpu),
            Column::Idle | Column::Age | Column::Memory => (4, 4),
            Column::Processes => (5, 5),
            Column::Reason => (REASON_LEAST, self.reason),
        }
    }
}

/// The columns of a table `width` columns wide.
pub fn placed(width: u16, wishes: Wishes) -> Vec<Placed> {
    let mut widths = [0_u16; PLACES.len()];
    let mut left = width;
    for column in WORTH {
        let (least, most) = wishes.bounds(column);
        let reserve = if column.is_extra() { wishes.reserve() } else { 0 };
        let cost = least + column.gap();
        if most > 0 && cost + reserve <= left {
            widths[column as usize] = least;
            left -= cost;
        }
    }
    if widths[Column::Name as usize] == 0 {
        return vec![Placed { column: Column::Name, x: 0, width }];
    }
    grow(&mut widths, &mut left, wishes);
    let mut x = 0;
    let mut out = Vec::new();
    for column in PLACES.into_iter().filter(|c| widths[*c as usize] > 0) {
        x += column.gap();
        out.push(Placed { column, x, width: widths[column as usize] });
        x += widths[column as usize];
    }
    out
}

fn grow(widths: &mut [u16; PLACES.len()], left: &mut u16, wishes: Wishes) {
    for (column, enough) in [
        (Column::Reason, REASON_ENOUGH),
        (Column::Name, NAME_ENOUGH),
        (Column::Agent, u16::MAX),
        (Column::Reason, 28),
        (Column::Project, u16::MAX),
        (Column::Name, u16::MAX),
        (Column::Reason, u16::MAX),
    ] {
        let width = &mut widths[column as usize];
        if *width > 0 {
            let more = wishes.bounds(column).1.min(enough).saturating_sub(*width).min(*left);
            *width += more;
            *left -= more;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TYPICAL: Wishes = Wishes { name: 24, agent: 12, project: 10, cpu: 4, reason: 60 };

    fn titles(width: u16) -> Vec<&'static str> {
        placed(width, TYPICAL).iter().map(|p| p.column.title()).collect()
    }

    #[test]
    fn columns_go_in_the_order_of_their_worth() {
        assert_eq!(titles(76), ["NAME", "AGENT", "IDLE", "AGE", "CPU", "MEM", "REASON"]);
        assert_eq!(titles(36), ["NAME", "REASON"]);
        assert_eq!(titles(10), ["NAME"]);
        assert_eq!(titles(150).len(), 10);
    }

    proptest! {
        #[test]
        fn columns_never_overlap_nor_leave_the_table(width in 0u16..400, name in 16u16..40, project in 0u16..20) {
            let columns = placed(width, Wishes { name, project, ..TYPICAL });
            let mut end = 0;
            for p in &columns {
                prop_assert!(p.x >= end);
                end = p.x + p.width;
            }
            prop_assert!(end <= width);
        }
    }
}
