//! Strays of agents nobody here started: what proves that one was left behind, and what forbids taking it.
//!
//! ```text
//!   observation ──► proofs  ─┬─ none ──────► suspect (with supporting evidence) or no candidate
//!                            └─ some ─┐
//!               ──► vetoes  ── any ───┴────► spared
//!                              none ───────► taken, when a second scan agrees
//! ```
//!
//! A proof alone justifies taking; a veto forbids it, whatever else is true. What could not be read is a veto: an error
//! is never an absence. The parent, the age, the silence of a process prove nothing. What two scans and the marks of a
//! person make of it is in [`plan`].
//! Refuses to know where observations come from, and how anything is signalled.

mod plan;

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::plan::{Marks, Plan, Scan, agree};
use super::session::ProcId;

/// An answer of the machine, or what could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked<T> {
    Is(T),
    Unreadable(String),
}

/// What a process is, by its profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Agent,
    /// Serves one agent; `stdio`: over its standard input and output (an MCP server).
    Helper {
        stdio: bool,
    },
    /// Serves every agent of its kind (codex `app-server`).
    Shared,
    /// Nothing but the tag of a session says where it comes from.
    Tagged,
}

/// The session tag in its environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tag {
    None,
    /// Of a session of this instance that has ended; whether the process started after that session did.
    Ended {
        session: String,
        after_start: bool,
    },
    /// Of a session of this instance that lives.
    Live {
        session: String,
    },
    /// Of another instance, or of a session nobody here knows.
    Unknown,
}

/// Its standard input, output and error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stdio {
    /// All three on a terminal that is gone (`/dev/pts/N (deleted)`).
    TerminalDeleted,
    Other,
}

/// Who is at the other ends of standard input and output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peers {
    /// Nobody writes to its input and nobody reads its output.
    BothGone,
    SomebodyThere,
}

/// Who uses a shared daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clients {
    Connected,
    /// None for this long, in every scan since.
    NoneFor(Duration),
}

/// One process at one moment, with all that decides about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    pub id: ProcId,
    /// The agent's name, of whom it is or whom it serves.
    pub agent: String,
    pub kind: Kind,
    pub age: Duration,
    pub tag: Asked<Tag>,
    /// It has a controlling terminal.
    pub terminal: bool,
    pub stdio: Asked<Stdio>,
    pub peers: Asked<Peers>,
    pub clients: Asked<Clients>,
    /// beadle itself saw the session end in which this was born.
    pub birth_ended: bool,
    /// An agent of its kind lives (not counting itself, nor strays).
    pub kin_lives: bool,
    /// The pane of a tmux server or the `screen` it lives in.
    pub pane: Asked<Option<String>>,
    /// The vendor's own registry lists it as alive.
    pub registered: Asked<bool>,
    /// A service manager runs it.
    pub service: Asked<bool>,
    /// The editor whose child it is.
    pub editor: Asked<Option<String>>,
    /// The live agent or session it belongs to.
    pub owner: Option<String>,
    /// It is above something protected, or protected itself.
    pub protected: bool,
    /// Of this user, in this PID namespace.
    pub own: bool,
    /// Its parent is init or a subreaper.
    pub adopted: bool,
}

/// What all candidates share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ground {
    /// Nothing younger is taken, by nobody younger.
    pub min_age: Duration,
    /// How long beadle itself is up.
    pub up: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    RecordSaysDead,
    TerminalDeleted,
    StdioPeersGone,
    LastClientGone,
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RecordSaysDead => "its session is known to have ended",
            Self::TerminalDeleted => "its terminal is gone",
            Self::StdioPeersGone => "nobody is at either end of its pipes",
            Self::LastClientGone => "its last client has gone",
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "veto", content = "what")]
pub enum Veto {
    Protected,
    /// Of another user or PID namespace.
    Foreign,
    /// The session or live agent it belongs to.
    Owned(String),
    Terminal,
    Pane(String),
    Registered,
    Editor(String),
    Service,
    Clients,
    KinLives,
    UnknownTag,
    Young,
    BeadleIsYoung,
    /// The scan before did not see it so.
    NotTwice,
    /// A person said so.
    LeftOut,
    /// A person agreed to others, and was not asked about this one.
    NotAsked,
    Unreadable(String),
}

impl fmt::Display for Veto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protected => f.write_str("beadle or this terminal depends on it"),
            Self::Foreign => f.write_str("of another user or PID namespace"),
            Self::Owned(who) => write!(f, "belongs to {who}"),
            Self::Terminal => f.write_str("has a live terminal"),
            Self::Pane(which) => write!(f, "lives in {which}"),
            Self::Registered => f.write_str("its own registry says it is alive"),
            Self::Editor(which) => write!(f, "child of {which}"),
            Self::Service => f.write_str("a service manager runs it"),
            Self::Clients => f.write_str("has clients"),
            Self::KinLives => f.write_str("an agent of its kind lives and may use it"),
            Self::UnknownTag => f.write_str("carries the tag of a session that is not known here"),
            Self::Young => f.write_str("too young"),
            Self::BeadleIsYoung => f.write_str("beadle has not watched long enough"),
            Self::NotTwice => f.write_str("two scans must agree, and one did not"),
            Self::LeftOut => f.write_str("a person left it out"),
            Self::NotAsked => f.write_str("nobody was asked about it"),
            Self::Unreadable(what) => write!(f, "{what} cannot be read"),
        }
    }
}

/// What is to become of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Take,
    Spare,
    /// Looks left behind, and nothing proves it: only a person may mark it.
    Suspect,
    /// Nothing speaks for its being a stray.
    Ignore,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    pub id: ProcId,
    pub proofs: Vec<Proof>,
    pub vetoes: Vec<Veto>,
    pub fate: Fate,
    /// A person marked it: that stands in for a proof.
    pub marked: bool,
}

/// Taken for nothing but a mark.
const MARKED: &str = "a person marked it, and nothing speaks against it";

impl Judged {
    /// In words: what decided.
    pub fn why(&self) -> String {
        let join = |words: Vec<String>| words.join(", ");
        match self.fate {
            Fate::Take if self.proofs.is_empty() => MARKED.into(),
            Fate::Take => join(self.proofs.iter().map(Proof::to_string).collect()),
            Fate::Spare | Fate::Ignore => join(self.vetoes.iter().map(Veto::to_string).collect()),
            Fate::Suspect => "no terminal and its parent has gone, but nothing proves it a stray".into(),
        }
    }
}

pub fn judge(seen: &Observation, ground: Ground) -> Judged {
    let (proofs, vetoes) = (proofs(seen, ground), vetoes(seen, ground));
    let fate = match (proofs.is_empty(), vetoes.is_empty()) {
        (false, true) => Fate::Take,
        (false, false) => Fate::Spare,
        (true, true) if looks_left(seen) => Fate::Suspect,
        (true, false) if looks_left(seen) && seen.own && seen.owner.is_none() => Fate::Spare,
        (true, _) => Fate::Ignore,
    };
    Judged { id: seen.id, proofs, vetoes, fate, marked: false }
}

/// Supporting evidence: never enough.
fn looks_left(seen: &Observation) -> bool {
    seen.adopted && !seen.terminal
}

fn proofs(seen: &Observation, ground: Ground) -> Vec<Proof> {
    let mut proofs = Vec::new();
    if matches!(&seen.tag, Asked::Is(Tag::Ended { after_start: true, .. })) {
        proofs.push(Proof::RecordSaysDead);
    }
    if seen.kind == Kind::Agent && !seen.terminal && seen.stdio == Asked::Is(Stdio::TerminalDeleted) {
        proofs.push(Proof::TerminalDeleted);
    }
    if seen.kind == (Kind::Helper { stdio: true }) && seen.peers == Asked::Is(Peers::BothGone) {
        proofs.push(Proof::StdioPeersGone);
    }
    let unused = matches!(seen.clients, Asked::Is(Clients::NoneFor(span)) if span >= ground.min_age);
    if seen.kind == Kind::Shared && seen.birth_ended && unused {
        proofs.push(Proof::LastClientGone);
    }
    proofs
}

fn vetoes(seen: &Observation, ground: Ground) -> Vec<Veto> {
    let mut vetoes = Vec::new();
    let mut forbid = |holds: bool, veto: Veto| {
        if holds {
            vetoes.push(veto);
        }
    };
    forbid(seen.protected, Veto::Protected);
    forbid(!seen.own, Veto::Foreign);
    if let Some(owner) = &seen.owner {
        forbid(true, Veto::Owned(owner.clone()));
    }
    forbid(seen.terminal, Veto::Terminal);
    forbid(seen.age < ground.min_age, Veto::Young);
    forbid(ground.up < ground.min_age, Veto::BeadleIsYoung);
    vetoes.extend(veto_of_answers(seen));
    vetoes
}

/// What had to be asked for: an answer that forbids, or none where one was needed.
fn veto_of_answers(seen: &Observation) -> Vec<Veto> {
    let shared = seen.kind == Kind::Shared;
    let tag = answer(&seen.tag, |tag| match tag {
        Tag::Unknown | Tag::Ended { after_start: false, .. } => Some(Veto::UnknownTag),
        Tag::Live { session } => Some(Veto::Owned(session.clone())),
        Tag::None | Tag::Ended { after_start: true, .. } => None,
    });
    let pane = answer(&seen.pane, |pane| pane.clone().map(Veto::Pane));
    let registered = answer(&seen.registered, |listed| listed.then_some(Veto::Registered));
    let service = answer(&seen.service, |is| is.then_some(Veto::Service));
    let editor = answer(&seen.editor, |editor| editor.clone().map(Veto::Editor));
    let stdio = answer(&seen.stdio, |_| None).filter(|_| seen.kind == Kind::Agent);
    let peers = answer(&seen.peers, |peers| (*peers == Peers::SomebodyThere).then_some(Veto::Clients))
        .filter(|_| seen.kind == (Kind::Helper { stdio: true }));
    let clients = answer(&seen.clients, |clients| (*clients == Clients::Connected).then_some(Veto::Clients));
    let kin = seen.kin_lives.then_some(Veto::KinLives);
    let of_shared = [clients, kin].into_iter().flatten().filter(|_| shared);
    [tag, pane, registered, service, editor, stdio, peers].into_iter().flatten().chain(of_shared).collect()
}

fn answer<T>(asked: &Asked<T>, judged: impl FnOnce(&T) -> Option<Veto>) -> Option<Veto> {
    match asked {
        Asked::Is(answer) => judged(answer),
        Asked::Unreadable(what) => Some(Veto::Unreadable(what.clone())),
    }
}

#[cfg(test)]
mod tests;
