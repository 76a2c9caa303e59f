//! The question before something cannot be undone: who, how many processes, how much memory. The default
//! is not to.

use super::msg::{Close, Effect};
use super::rows::Row;
use crate::model::session::{Attention, Origin};

/// What is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    Kill {
        now: bool,
    },
    /// Every managed session; who that is follows the table while the question stands.
    CloseAll,
    Restart,
}

/// One who would be taken, as named in the question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Victim {
    pub id: String,
    pub name: String,
    pub agent: String,
    pub processes: Option<u32>,
    pub memory_bytes: Option<u64>,
    pub is_working: bool,
}

impl Victim {
    fn of(row: &Row) -> Self {
        let session = &row.session;
        Self {
            id: session.id.clone(),
            name: row.name.clone(),
            agent: row.agent.clone(),
            processes: session.processes,
            memory_bytes: session.memory_bytes,
            is_working: session.attention == Attention::Working,
        }
    }
}

/// An open question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirm {
    pub question: Question,
    pub victims: Vec<Victim>,
    /// Sessions that are not beadle's and stay.
    pub foreign: usize,
    /// `Enter` would do it.
    pub is_armed: bool,
}

impl Confirm {
    /// `None` when there is nobody to ask about.
    pub fn about(question: Question, rows: &[&Row]) -> Option<Self> {
        let victims: Vec<Victim> = rows.iter().map(|row| Victim::of(row)).collect();
        (!victims.is_empty()).then_some(Self { question, victims, foreign: 0, is_armed: false })
    }

    /// Asks about every managed session of the table.
    pub fn about_all(rows: &[Row]) -> Option<Self> {
        let managed: Vec<&Row> = rows.iter().filter(|r| r.session.origin == Origin::Managed).collect();
        let foreign = rows.len() - managed.len();
        Some(Self { foreign, ..Self::about(Question::CloseAll, &managed)? })
    }

    /// Follows a new table: numbers move, those who are gone are no longer asked about. `None` when
    /// the question has become void.
    pub fn refreshed(self, rows: &[Row]) -> Option<Self> {
        let fresh = match self.question {
            Question::CloseAll => Self::about_all(rows),
            Question::Kill { .. } | Question::Restart => {
                let still: Vec<&Row> =
                    self.victims.iter().filter_map(|v| rows.iter().find(|r| r.id() == v.id)).collect();
                Self::about(self.question, &still)
            }
        };
        fresh.map(|new| Self { is_armed: self.is_armed, ..new })
    }

    pub fn title(&self) -> String {
        let what = match self.victims.as_slice() {
            [only] => only.name.clone(),
            several => format!("{} sessions", several.len()),
        };
        match self.question {
            Question::Kill { now: false } => format!("Kill {what}?"),
            Question::Kill { now: true } => format!("Kill {what} now?"),
            Question::CloseAll => format!("Close all: {what}?"),
            Question::Restart => format!("Restart {what}?"),
        }
    }

    /// The word on the button that does it.
    pub const fn button(&self) -> &'static str {
        match self.question {
            Question::Kill { .. } => "Kill",
            Question::CloseAll => "Close all",
            Question::Restart => "Restart",
        }
    }

    /// What saying yes does; `ticket` is for a close.
    pub fn effect(&self, ticket: u64) -> Effect {
        let ids = || self.victims.iter().map(|v| v.id.clone()).collect::<Vec<_>>();
        match self.question {
            Question::Kill { now } => Effect::Close { ticket, what: Close::These(ids()), now },
            Question::CloseAll => Effect::Close { ticket, what: Close::All, now: false },
            Question::Restart => Effect::Restart(ids().pop().unwrap_or_default()),
        }
    }
}
