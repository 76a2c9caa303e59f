//! Which columns the table has room for, and how wide they are.
//!
//! A column is taken while the least it needs is there, in order of worth; what is left goes first to the
//! reason, then to names, then to the rest.

use super::super::column::Column;
use super::super::format;
use super::super::rows::Row;

/// Most names can be read whole in this.
const NAME_ENOUGH: u16 = 24;
/// A reason in less says nothing.
const REASON_LEAST: u16 = 14;
const COUNT: usize = Column::ALL.len();

/// What is given up last comes first.
const WORTH: [Column; COUNT - 1] = [
    Column::Name,
    Column::Reason,
    Column::Idle,
    Column::Memory,
    Column::Agent,
    Column::Cpu,
    Column::Age,
    Column::Processes,
    Column::Attention,
    Column::Activity,
    Column::Project,
    Column::Origin,
];

/// Shown only where names and reasons have enough.
const fn is_extra(column: Column) -> bool {
    matches!(column, Column::Processes | Column::Attention | Column::Activity | Column::Project | Column::Origin)
}

/// Columns of air to its left, unless it is the first.
const fn gap(column: Column) -> u16 {
    match column {
        Column::Health => 0,
        Column::Name | Column::Idle | Column::Age | Column::Cpu | Column::Memory | Column::Processes => 1,
        Column::Agent | Column::Project | Column::Attention | Column::Activity | Column::Origin | Column::Reason => 2,
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
#[derive(Debug, Clone, Copy)]
pub struct Wishes {
    name: u16,
    agent: u16,
    project: u16,
    cpu: u16,
    /// What must be read whole, and what the reason may take at most.
    remark: u16,
    reason: u16,
    origin: u16,
}

impl Default for Wishes {
    fn default() -> Self {
        Self::of(&[])
    }
}

impl Wishes {
    pub fn of(rows: &[Row]) -> Self {
        let most = |text: fn(&Row) -> &str| rows.iter().map(|r| format::width(text(r))).max().unwrap_or(0);
        Self {
            // In steps, so that columns stay where they are when one name comes or goes.
            name: most(|r| &r.name).clamp(16, 40).next_multiple_of(4),
            agent: most(|r| &r.agent).clamp(6, 14),
            // As wide as its title, or not there at all.
            project: Some(most(|r| &r.project)).filter(|w| *w > 0).map_or(0, |w| w.clamp(7, 20)),
            cpu: if rows.iter().any(|r| r.session.cpu_percent.is_some_and(|p| p >= 999.5)) { 6 } else { 4 },
            remark: rows.iter().map(|r| format::width(&r.remark())).max().unwrap_or(0).clamp(20, 24),
            reason: 60,
            origin: 7,
        }
    }

    /// What names, agents and reasons want to be readable, beyond the least.
    const fn reserve(self) -> u16 {
        let name = if self.name > NAME_ENOUGH { NAME_ENOUGH } else { self.name };
        let (name_least, agent_least) = (self.bounds(Column::Name).0, self.bounds(Column::Agent).0);
        (name - name_least) + (self.agent - agent_least) + (self.remark - REASON_LEAST)
    }

    /// The least and the most a column can use.
    const fn bounds(self, column: Column) -> (u16, u16) {
        match column {
            Column::Health => (0, 0),
            Column::Name => (16, self.name),
            Column::Agent => (if self.agent > 8 { 8 } else { self.agent }, self.agent),
            Column::Project => (if self.project > 12 { 12 } else { self.project }, self.project),
            Column::Attention => (14, 14),
            Column::Activity => (10, 30),
            Column::Cpu => (self.cpu, self.cpu),
            Column::Idle | Column::Age | Column::Memory => (4, 4),
            Column::Processes => (5, 5),
            Column::Origin => (self.origin, self.origin),
            Column::Reason => (REASON_LEAST, self.reason),
        }
    }
}

/// The columns of a table `width` columns wide, of those `wanted`, in that order.
pub fn placed(width: u16, wanted: &[Column], wishes: Wishes) -> Vec<Placed> {
    let mut widths = [0_u16; COUNT];
    let mut left = width;
    let named = (!wanted.contains(&Column::Name)).then_some(Column::Name);
    let places = || named.into_iter().chain(wanted.iter().copied()).filter(|c| *c != Column::Health);
    let first = places().next();
    for column in WORTH.into_iter().filter(|c| *c == Column::Name || wanted.contains(c)) {
        let (least, most) = wishes.bounds(column);
        let reserve = if is_extra(column) { wishes.reserve() } else { 0 };
        let cost = least + if first == Some(column) { 0 } else { gap(column) };
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
    for column in places().filter(|c| widths[*c as usize] > 0) {
        x += if out.is_empty() { 0 } else { gap(column) };
        out.push(Placed { column, x, width: widths[column as usize] });
        x += widths[column as usize];
    }
    out
}

fn grow(widths: &mut [u16; COUNT], left: &mut u16, wishes: Wishes) {
    for (column, enough) in [
        (Column::Reason, wishes.remark),
        (Column::Name, NAME_ENOUGH),
        (Column::Agent, u16::MAX),
        (Column::Name, 32),
        (Column::Reason, 28),
        (Column::Project, u16::MAX),
        (Column::Name, u16::MAX),
        (Column::Activity, 15),
        (Column::Reason, 40),
        (Column::Activity, 30),
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

    const TYPICAL: Wishes = Wishes { name: 24, agent: 12, project: 10, cpu: 4, remark: 24, reason: 60, origin: 7 };

    fn titles(width: u16) -> Vec<&'static str> {
        placed(width, &Column::ALL, TYPICAL).iter().map(|p| p.column.title()).collect()
    }

    #[test]
    fn columns_go_in_the_order_of_their_worth() {
        assert_eq!(titles(76), ["NAME", "AGENT", "IDLE", "AGE", "CPU", "MEM", "REASON"]);
        assert_eq!(titles(36), ["NAME", "REASON"]);
        assert_eq!(titles(10), ["NAME"]);
        assert_eq!(titles(190).len(), 12);
    }

    #[test]
    fn columns_stand_as_they_were_asked_for_and_the_name_always_does() {
        let of = |wanted: &[Column]| placed(80, wanted, TYPICAL).iter().map(|p| p.column).collect::<Vec<_>>();
        assert_eq!(of(&[Column::Memory, Column::Name]), [Column::Memory, Column::Name]);
        assert_eq!(of(&[Column::Cpu]), [Column::Name, Column::Cpu]);
    }

    proptest! {
        #[test]
        fn columns_never_overlap_nor_leave_the_table(
            width in 0u16..400,
            name in 16u16..40,
            project in 0u16..20,
            wanted in proptest::sample::subsequence(Column::ALL.to_vec(), 0..13).prop_shuffle(),
        ) {
            let columns = placed(width, &wanted, Wishes { name, project, ..TYPICAL });
            let mut end = 0;
            for p in &columns {
                prop_assert!(p.x >= end);
                end = p.x + p.width;
            }
            prop_assert!(end <= width);
        }
    }
}
