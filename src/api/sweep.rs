//! The sweep for strays: what is asked, what was found, what became of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::types::{KillReport, Survivor};
use crate::model::session::ProcId;
use crate::model::stray::{Marks, Proof, Veto};

/// `POST /api/sweep`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SweepRequest {
    pub reason: Option<String>,
    /// Only say what would be taken.
    pub dry_run: bool,
    /// Of all that is proved only these: those a person was asked about. Left out: all.
    pub only: Option<Vec<Marked>>,
    /// Suspects a person marked: taken, unless something speaks against it.
    pub take: Vec<Marked>,
    /// Left alone, whatever is proved or marked.
    pub leave: Vec<Marked>,
}

impl SweepRequest {
    pub fn marks(&self) -> Marks {
        marks(self.only.as_deref(), &self.take, &self.leave)
    }
}

/// A process, as the report names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Marked {
    pub pid: i32,
    pub start_time: u64,
}

impl Marked {
    pub fn id(self) -> ProcId {
        ProcId { pid: self.pid, start: self.start_time }
    }
}

fn marks(only: Option<&[Marked]>, take: &[Marked], leave: &[Marked]) -> Marks {
    let ids = |marked: &[Marked]| marked.iter().map(|m| m.id()).collect();
    Marks { only: only.map(ids), take: ids(take), leave: ids(leave) }
}

/// `POST /api/emergency-cleanup`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EmergencyRequest {
    pub reason: Option<String>,
    pub dry_run: bool,
    /// Nothing starts afterwards until `release`.
    pub latch: bool,
    /// As of a sweep.
    pub only: Option<Vec<Marked>>,
    pub take: Vec<Marked>,
    pub leave: Vec<Marked>,
}

impl Default for EmergencyRequest {
    fn default() -> Self {
        let (take, leave) = (Vec::new(), Vec::new());
        Self { reason: None, dry_run: false, latch: true, only: None, take, leave }
    }
}

impl EmergencyRequest {
    pub fn marks(&self) -> Marks {
        marks(self.only.as_deref(), &self.take, &self.leave)
    }
}

/// What a sweep saw and did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SweepReport {
    pub dry_run: bool,
    /// Of an emergency: the managed sessions.
    pub sessions: Option<KillReport>,
    pub candidates: Vec<Candidate>,
    pub killed: usize,
    /// Candidates that something speaks for, and against.
    pub spared: usize,
    pub failed: usize,
    /// Resident memory of those killed, as it was before.
    pub freed_bytes: u64,
    /// Why nothing may be taken at all: a question about all candidates was not answered.
    #[serde(default)]
    pub failure: Option<String>,
    /// Nothing starts until `release`.
    #[serde(default)]
    pub latched: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Candidate {
    pub pid: i32,
    pub start_time: u64,
    pub agent: String,
    /// Untrusted.
    pub command: String,
    /// Of it and all below it.
    pub memory_bytes: u64,
    pub proofs: Vec<Proof>,
    /// In words.
    pub vetoes: Vec<String>,
    pub action: Action,
    pub why: String,
    /// Taken for the mark of a person.
    #[serde(default)]
    pub marked: bool,
    /// The pid of the nearest candidate above it: who is taken is taken with everything below it.
    #[serde(default)]
    pub below: Option<i32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub survivors: Vec<Survivor>,
}

impl Candidate {
    /// How a request names it.
    pub fn name(&self) -> Marked {
        Marked { pid: self.pid, start_time: self.start_time }
    }

    /// A person may mark it: nothing proves it a stray, and nothing speaks against it.
    pub fn is_suspect(&self) -> bool {
        self.action == Action::Suspect || (self.action == Action::WouldKill && self.proofs.is_empty())
    }
}

/// What was, or would be, done with a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    Killed,
    WouldKill,
    Spared,
    /// Looks left behind, and nothing proves it.
    Suspect,
    Failed,
}

/// Vetoes as people read them.
pub fn in_words(vetoes: &[Veto]) -> Vec<String> {
    vetoes.iter().map(ToString::to_string).collect()
}

/// `POST /api/release`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Released {
    /// There was something to release.
    pub released: bool,
    pub message: String,
}
