//! From two scans and a person's marks to whom a sweep takes.
//!
//! ```text
//!   proved in both scans ──── left out by a person ──► spared
//!          │                └─ of those asked about ─► taken
//!   suspect in both scans ─── marked by a person ────► taken
//!                           └─ not marked ───────────► suspect
//!   vetoed in either ────────────────────────────────► spared, marked or not
//! ```
//!
//! A mark stands in for the proof that is missing, and for nothing else: it names one process by pid and start time, it
//! counts only for who is a suspect, and a veto wins over it as it wins over a proof.

use std::collections::HashSet;

use super::{Fate, Judged, Proof, Veto};
use crate::model::session::ProcId;

/// One look at everything, or why there was none: a question about all of them that failed.
pub type Scan = Result<Vec<Judged>, String>;

/// What a person said about single processes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    /// Of all that is proved only these; `None`: all of it.
    pub only: Option<HashSet<ProcId>>,
    /// Suspects to be taken.
    pub take: HashSet<ProcId>,
    /// To be left alone, whatever is proved or marked.
    pub leave: HashSet<ProcId>,
}

impl Marks {
    fn forbids(&self, judged: &Judged) -> Option<Veto> {
        if self.leave.contains(&judged.id) {
            return Some(Veto::LeftOut);
        }
        let asked = self.only.as_ref().is_none_or(|only| only.contains(&judged.id)) || self.take.contains(&judged.id);
        (judged.fate == Fate::Take && !asked).then_some(Veto::NotAsked)
    }
}

/// What two scans agree on. A failed question about all takes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    pub candidates: Vec<Judged>,
    /// Why nothing may be taken at all.
    pub failed: Option<String>,
}

impl Plan {
    pub fn taken(&self) -> impl Iterator<Item = &Judged> {
        self.candidates.iter().filter(|c| c.fate == Fate::Take)
    }
}

/// Candidates of the second scan. Taken is only what the first one would have taken too: for a proof both saw, or for the
/// mark of a person where neither saw anything against it.
pub fn agree(first: &Scan, second: &Scan, marks: &Marks) -> Plan {
    let (before, now) = match (first, second) {
        (Ok(before), Ok(now)) => (before, now),
        (Err(why), _) | (_, Err(why)) => return Plan { candidates: Vec::new(), failed: Some(why.clone()) },
    };
    let one = |judged: &Judged| {
        let earlier = before.iter().find(|b| b.id == judged.id);
        settled(judged, earlier, marks)
    };
    Plan { candidates: now.iter().filter(|j| j.fate != Fate::Ignore).map(one).collect(), failed: None }
}

fn settled(judged: &Judged, earlier: Option<&Judged>, marks: &Marks) -> Judged {
    let spared = |veto: Veto| {
        let vetoes = judged.vetoes.iter().cloned().chain([veto]).collect();
        Judged { fate: Fate::Spare, vetoes, ..judged.clone() }
    };
    if let Some(veto) = marks.forbids(judged) {
        return spared(veto);
    }
    let free = |fate: Fate| matches!(fate, Fate::Take | Fate::Suspect);
    let marked = free(judged.fate) && marks.take.contains(&judged.id);
    let agreed = match judged.fate {
        Fate::Take | Fate::Suspect if marked => earlier.is_some_and(|e| free(e.fate)),
        Fate::Take => earlier.is_some_and(|e| e.fate == Fate::Take && shares_a_proof(&e.proofs, &judged.proofs)),
        Fate::Spare | Fate::Suspect | Fate::Ignore => return judged.clone(),
    };
    if !agreed {
        return spared(Veto::NotTwice);
    }
    Judged { fate: Fate::Take, marked, ..judged.clone() }
}

fn shares_a_proof(one: &[Proof], other: &[Proof]) -> bool {
    one.iter().any(|p| other.contains(p))
}
