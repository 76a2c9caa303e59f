//! What was asked about one session: its processes and what its verdict rests on, made safe to show.
//!
//! Asked for while somebody looks (its tree is open, or the details are shown), and not more often than every [`GAP`].

use std::time::Duration;

use super::asking::Asking;
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
    /// Of git, in the workspace.
    pub branch: Option<String>,
    pub error: Option<String>,
    asking: Asking,
}

impl Known {
    /// True when it is time to ask; then it counts as asked.
    pub fn ask(&mut self, now: Duration) -> bool {
        self.asking.begins(now, GAP)
    }

    pub const fn is_under_way(&self) -> bool {
        self.asking.is_under_way()
    }

    /// Takes an answer; true when it says something else than before.
    pub fn came(&mut self, answer: Answer<Box<Detail>>, branch: Option<String>) -> bool {
        self.asking.answered();
        let fresh = match answer {
            Ok(detail) => Self { asking: self.asking, ..Self::of(*detail, branch) },
            Err(why) => Self { error: Some(printable_within(&why, 300)), ..self.clone() },
        };
        let changed = (&fresh.tree, &fresh.evidence, &fresh.error, &fresh.branch)
            != (&self.tree, &self.evidence, &self.error, &self.branch);
        *self = fresh;
        changed
    }

    fn of(detail: Detail, branch: Option<String>) -> Self {
        let clean = |p: Process| Process {
            command: printable_within(&p.command, MAX_COMMAND),
            state: printable_within(&p.state, 2),
            ..p
        };
        let evidence = |e: crate::api::types::Evidence| printable_within(&format!("{}: {}", e.kind, e.text), 200);
        Self {
            tree: detail.tree.into_iter().take(MAX_PROCESSES).map(clean).collect(),
            evidence: detail.evidence.into_iter().take(20).map(evidence).collect(),
            branch: branch.map(|name| printable_within(&name, 80)),
            ..Self::default()
        }
    }
}
