//! The columns of the table: what they are called, and how two rows compare by one.

use std::cmp::Ordering;

use super::rows::Row;
use super::seen::Seen;

/// What a column shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// The sign before the name; sorting by it is the order of need: worst first.
    Health,
    Name,
    Agent,
    Project,
    Attention,
    Activity,
    Idle,
    Age,
    Cpu,
    Memory,
    Processes,
    Origin,
    Reason,
}

impl Column {
    /// Left to right.
    pub const ALL: [Self; 13] = [
        Self::Health,
        Self::Name,
        Self::Agent,
        Self::Project,
        Self::Attention,
        Self::Activity,
        Self::Idle,
        Self::Age,
        Self::Cpu,
        Self::Memory,
        Self::Processes,
        Self::Origin,
        Self::Reason,
    ];

    pub const fn title(self) -> &'static str {
        match self {
            Self::Health => "",
            Self::Name => "NAME",
            Self::Agent => "AGENT",
            Self::Project => "PROJECT",
            Self::Attention => "ATTENTION",
            Self::Activity => "ACTIVITY",
            Self::Idle => "IDLE",
            Self::Age => "AGE",
            Self::Cpu => "CPU",
            Self::Memory => "MEM",
            Self::Processes => "PROC",
            Self::Origin => "ORIGIN",
            Self::Reason => "REASON",
        }
    }

    /// As it is written in the config and the palette.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Health => "health",
            Self::Name => "name",
            Self::Agent => "agent",
            Self::Project => "project",
            Self::Attention => "attention",
            Self::Activity => "activity",
            Self::Idle => "idle",
            Self::Age => "age",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Processes => "processes",
            Self::Origin => "origin",
            Self::Reason => "reason",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.word() == word)
    }

    /// Numbers stand right, and the largest comes first.
    pub const fn is_number(self) -> bool {
        match self {
            Self::Idle | Self::Age | Self::Cpu | Self::Memory | Self::Processes => true,
            Self::Health
            | Self::Name
            | Self::Agent
            | Self::Project
            | Self::Attention
            | Self::Activity
            | Self::Origin
            | Self::Reason => false,
        }
    }

    /// The next one to sort by, or the one before; around the ends.
    #[must_use]
    pub fn beside(self, step: isize) -> Self {
        let count = Self::ALL.len().cast_signed();
        let at = (self as usize).cast_signed() + step;
        Self::ALL[at.rem_euclid(count).unsigned_abs()]
    }
}

/// By what rows are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    pub by: Column,
    pub is_reversed: bool,
}

impl Default for Order {
    fn default() -> Self {
        Self { by: Column::Health, is_reversed: false }
    }
}

impl Order {
    /// How two rows stand; ties are broken by need, then by age, so that nothing jumps.
    pub fn compare(self, a: &Row, b: &Row, seen: &Seen) -> Ordering {
        self.by_column(a, b, seen).then_with(|| by_need(a, b))
    }

    fn by_column(self, a: &Row, b: &Row, seen: &Seen) -> Ordering {
        let (s, t) = (&a.session, &b.session);
        match self.by {
            Column::Health => self.turned(a.kind.cmp(&b.kind)),
            Column::Name => self.text(&a.name, &b.name),
            Column::Agent => self.text(&a.agent, &b.agent),
            Column::Project => self.text(&a.project, &b.project),
            Column::Attention => self.text(a.attention(), b.attention()),
            Column::Origin => self.text(s.origin.as_str(), t.origin.as_str()),
            Column::Reason => self.text(&a.reason, &b.reason),
            Column::Activity => self.number(seen.activity(a.id()), seen.activity(b.id())),
            Column::Idle => self.number(s.idle_seconds, t.idle_seconds),
            Column::Age => self.number(Some(s.age_seconds), Some(t.age_seconds)),
            Column::Cpu => self.number(s.cpu_percent, t.cpu_percent),
            Column::Processes => self.number(s.processes.map(f64::from), t.processes.map(f64::from)),
            Column::Memory => known_first(s.memory_bytes, t.memory_bytes, |a, b| self.turned(b.cmp(&a))),
        }
    }

    const fn turned(self, ordering: Ordering) -> Ordering {
        if self.is_reversed { ordering.reverse() } else { ordering }
    }

    /// Small letters are no other letters; what is empty comes last.
    fn text(self, a: &str, b: &str) -> Ordering {
        let some = |t: &str| Some(t.to_lowercase()).filter(|t| !t.is_empty());
        known_first(some(a), some(b), |a, b| self.turned(a.cmp(&b)))
    }

    fn number(self, a: Option<f64>, b: Option<f64>) -> Ordering {
        known_first(a, b, |a, b| self.turned(b.total_cmp(&a)))
    }
}

/// The order of need: the worst first, the oldest first among equals.
pub fn by_need(a: &Row, b: &Row) -> Ordering {
    let (s, t) = (&a.session, &b.session);
    a.kind.cmp(&b.kind).then_with(|| s.started_at.cmp(&t.started_at)).then_with(|| s.id.cmp(&t.id))
}

/// What is not known comes last, either way round.
fn known_first<T>(a: Option<T>, b: Option<T>, compare: impl FnOnce(T, T) -> Ordering) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => compare(a, b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    }
}
