//! A sweep as it is looked at: the plan with its marks, the acting, the report. Also what is known of strays meanwhile.
//!
//! ```text
//!   s, E ──▶ Planning ──▶ Plan ── Enter (an emergency: Y) ──▶ Acting ──▶ Done
//! ```

use std::collections::BTreeSet;
use std::time::Duration;

use super::asking::Asking;
use super::msg::Answer;
use crate::api::sweep::{Action, Candidate, Marked, SweepReport};
use crate::api::types::KillReport;
use crate::model::text::printable_within;

/// How often strays are looked for while nobody asks: each look reads the whole machine twice.
const GAP: Duration = Duration::from_secs(180);
/// The first look waits until the interface stands.
const FIRST: Duration = Duration::from_secs(10);

/// What a sweep was ordered for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To know what strays hold, for the header.
    Watch,
    Plan {
        emergency: bool,
    },
    Act {
        emergency: bool,
    },
}

/// Which of the plan a person wants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    pub only: Vec<Marked>,
    /// Suspects.
    pub take: Vec<Marked>,
    pub leave: Vec<Marked>,
}

/// A candidate, made safe to show.
#[derive(Debug, Clone, PartialEq)]
pub struct Stray {
    pub id: (i32, u64),
    pub agent: String,
    pub command: String,
    pub memory_bytes: u64,
    pub why: String,
    pub proofs: Vec<String>,
    pub vetoes: Vec<String>,
    pub survivors: Vec<String>,
    pub action: Action,
}

impl Stray {
    fn of(c: Candidate) -> Self {
        let clean = |text: &str| printable_within(text, 300).trim().to_string();
        Self {
            id: (c.pid, c.start_time),
            agent: clean(&c.agent),
            command: clean(&c.command),
            memory_bytes: c.memory_bytes,
            why: clean(&c.why),
            proofs: c.proofs.iter().map(|proof| clean(&proof.to_string())).collect(),
            vetoes: c.vetoes.iter().map(|veto| clean(veto)).collect(),
            survivors: c
                .survivors
                .iter()
                .map(|s| clean(&format!("pid {} {} {}: {}", s.pid, s.state, s.owner, s.why)))
                .collect(),
            action: c.action,
        }
    }

    /// What speaks against it, no mark outweighs.
    pub const fn may_be_marked(&self) -> bool {
        matches!(self.action, Action::WouldKill | Action::Suspect)
    }

    /// To be taken come first, then who only a person can mark.
    const fn place(&self) -> u8 {
        match self.action {
            Action::Failed => 0,
            Action::Killed | Action::WouldKill => 1,
            Action::Suspect => 2,
            Action::Spared => 3,
        }
    }
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Planning,
    Plan,
    Acting,
    Done,
}

/// An open sweep.
#[derive(Debug, Clone, PartialEq)]
pub struct Sweeping {
    pub emergency: bool,
    pub phase: Phase,
    /// Since when this phase.
    pub since: Duration,
    pub strays: Vec<Stray>,
    pub marked: BTreeSet<(i32, u64)>,
    /// The row under the cursor, and the first one that is seen.
    pub at: usize,
    pub offset: usize,
    /// What is known of the row under the cursor is shown.
    pub has_why: bool,
    /// Sessions an emergency closes; those it was begun with, once it acts.
    pub ids: Vec<String>,
    /// What became of them.
    pub sessions: Option<KillReport>,
    pub killed: usize,
    pub freed_bytes: u64,
    /// Why nothing may be taken, or nothing is known.
    pub failure: Option<String>,
    pub notes: Vec<String>,
}

impl Sweeping {
    pub fn begin(emergency: bool, now: Duration) -> Self {
        Self {
            emergency,
            phase: Phase::Planning,
            since: now,
            strays: Vec::new(),
            marked: BTreeSet::new(),
            at: 0,
            offset: 0,
            has_why: false,
            ids: Vec::new(),
            sessions: None,
            killed: 0,
            freed_bytes: 0,
            failure: None,
            notes: Vec::new(),
        }
    }

    /// The plan has come, or what was done.
    pub fn came(&mut self, now: Duration, answer: Answer<Box<SweepReport>>) {
        let is_done = self.phase == Phase::Acting;
        (self.phase, self.since) = (if is_done { Phase::Done } else { Phase::Plan }, now);
        let report = match answer {
            Ok(report) => *report,
            Err(why) => return self.failure = Some(printable_within(&why, 300)),
        };
        self.failure = report.failure.map(|why| printable_within(&why, 300));
        self.notes = report.notes.iter().map(|note| printable_within(note, 300)).collect();
        (self.killed, self.freed_bytes) = (report.killed, report.freed_bytes);
        self.sessions = report.sessions.filter(|_| is_done);
        self.strays = report.candidates.into_iter().map(Stray::of).collect();
        self.strays.sort_by_key(Stray::place);
        let proved = self.strays.iter().filter(|s| s.action == Action::WouldKill).map(|s| s.id);
        self.marked = proved.collect();
        self.at = self.at.min(self.strays.len().saturating_sub(1));
    }

    pub fn stray(&self) -> Option<&Stray> {
        self.strays.get(self.at)
    }

    /// Those that would be taken now, and what they hold.
    pub fn wanted(&self) -> (usize, u64) {
        let marked = self.strays.iter().filter(|s| self.marked.contains(&s.id));
        marked.fold((0, 0), |(n, bytes), s| (n + 1, bytes + s.memory_bytes))
    }

    pub fn count(&self, action: Action) -> usize {
        self.strays.iter().filter(|s| s.action == action).count()
    }

    pub fn marks(&self) -> Marks {
        let these = |is_it: &dyn Fn(&&Stray) -> bool| {
            let name = |s: &Stray| Marked { pid: s.id.0, start_time: s.id.1 };
            self.strays.iter().filter(is_it).map(name).collect()
        };
        let is_marked = |s: &&Stray| self.marked.contains(&s.id);
        Marks {
            only: these(&|s| s.action == Action::WouldKill && is_marked(s)),
            take: these(&|s| s.action == Action::Suspect && is_marked(s)),
            leave: these(&|s| s.may_be_marked() && !is_marked(s)),
        }
    }
}

/// What strays hold, as of the last look.
#[derive(Debug, Clone, Copy, Default)]
pub struct Strays {
    pub count: usize,
    pub memory_bytes: u64,
    asking: Asking,
}

impl Strays {
    /// True when it is time to look; then it counts as looked.
    pub fn ask(&mut self, now: Duration) -> bool {
        now >= FIRST && self.asking.begins(now, GAP)
    }

    /// A look ended, also one that somebody else asked for; true when it says something else than before.
    pub fn came(&mut self, purpose: Purpose, answer: &Answer<Box<SweepReport>>) -> bool {
        if purpose == Purpose::Watch {
            self.asking.answered();
        }
        let Ok(report) = answer else { return false };
        let left = report.candidates.iter().filter(|c| matches!(c.action, Action::WouldKill | Action::Failed));
        let now = left.fold((0, 0), |(n, bytes), c| (n + 1, bytes + c.memory_bytes));
        let before = (self.count, self.memory_bytes);
        (self.count, self.memory_bytes) = now;
        before != now
    }
}
