//! What was asked about one session: its processes and what its verdict rests on, made safe to show.
//!
//! Asked for while somebody looks (its tree is open, or the details are shown), and not more often than every [`GAP`].

use std::time::Duration;

use super::msg::Answer;
use crate::api::types::{Detail, Process};
use crate::model::text::printable_within;

/// The shortest time between two questions about the same session.
pub const GAP: Duration = Duration::from_secs(2);
/// More of a tree is not shown.
const MAX_PROCESSES: usize = 500;
/// Longest command line kept, in characters.
const MAX_COMMAND: usize = 300;

/// The last answer, and whether another one is on its way.
#[derive(Debug, Clone, Default)]
pub struct Known {
    pub tree: Vec<Process>,
    /// What was observed, a line each.
    pub evidence: Vec<String>,
    pub keeper_pid: Option<i32>,
    pub error: Option<String>,
    has_come: bool,
    asked: Option<Duration>,
    is_under_way: bool,
}

impl Known {
    /// True when it is time to ask; then it counts as asked.
    pub fn ask(&mut self, now: Duration) -> bool {
        let is_due = !self.is_under_way && self.asked.is_none_or(|at| now >= at + GAP);
        if is_due {
            (self.asked, self.is_under_way) = (Some(now), true);
        }
        is_due
    }

    /// Nothing has come yet.
    pub const fn is_waited_for(&self) -> bool {
        !self.has_come && self.error.is_none()
    }

    /// Takes an answer; true when it says something else than before.
    pub fn came(&mut self, answer: Answer<Box<Detail>>) -> bool {
        self.is_under_way = false;
        let fresh = match answer {
            Ok(detail) => Self { asked: self.asked, ..Self::of(*detail) },
            Err(why) => Self { error: Some(printable_within(&why, 300)), ..self.clone() },
        };
        let changed = (&fresh.tree, &fresh.evidence, &fresh.error, fresh.has_come)
            != (&self.tree, &self.evidence, &self.error, self.has_come);
        *self = fresh;
        changed
    }

    fn of(detail: Detail) -> Self {
        let clean = |p: Process| Process {
            command: printable_within(&p.command, MAX_COMMAND),
            state: printable_within(&p.state, 2),
            ..p
        };
        let evidence = |e: crate::api::types::Evidence| printable_within(&format!("{}: {}", e.kind, e.text), 200);
        Self {
            tree: detail.tree.into_iter().take(MAX_PROCESSES).map(clean).collect(),
            evidence: detail.evidence.into_iter().take(20).map(evidence).collect(),
            keeper_pid: detail.keeper_pid,
            has_come: true,
            ..Self::default()
        }
    }
}
