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
//! is never an absence. The parent, the age, the silence of a process prove nothing.
//! Refuses to know where observations come from, and how anything is signalled.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

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

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
}

impl Judged {
    /// In words: what decided.
    pub fn why(&self) -> String {
        let join = |words: Vec<String>| words.join(", ");
        match self.fate {
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
    Judged { id: seen.id, proofs, vetoes, fate }
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

/// One look at everything, or why there was none: a question about all of them that failed.
pub type Scan = Result<Vec<Judged>, String>;

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

/// Candidates of the second scan; taken is only what the first one would have taken too, for a proof both saw.
pub fn agree(first: &Scan, second: &Scan) -> Plan {
    let (before, now) = match (first, second) {
        (Ok(before), Ok(now)) => (before, now),
        (Err(why), _) | (_, Err(why)) => return Plan { candidates: Vec::new(), failed: Some(why.clone()) },
    };
    let agreed = |judged: &Judged| {
        let earlier = before.iter().find(|b| b.id == judged.id && b.fate == Fate::Take);
        earlier.is_some_and(|b| b.proofs.iter().any(|p| judged.proofs.contains(p)))
    };
    let one = |judged: &Judged| match judged.fate {
        Fate::Ignore => None,
        Fate::Take if !agreed(judged) => {
            let vetoes = vec![Veto::NotTwice];
            Some(Judged { fate: Fate::Spare, vetoes, ..judged.clone() })
        }
        Fate::Take | Fate::Spare | Fate::Suspect => Some(judged.clone()),
    };
    Plan { candidates: now.iter().filter_map(one).collect(), failed: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GROUND: Ground = Ground { min_age: Duration::from_secs(60), up: Duration::from_secs(3600) };

    /// An old process of ours without a terminal, adopted by init, of which everything could be read.
    fn left(kind: Kind) -> Observation {
        Observation {
            id: ProcId { pid: 7, start: 70 },
            agent: "codex".into(),
            kind,
            age: Duration::from_secs(7200),
            tag: Asked::Is(Tag::None),
            terminal: false,
            stdio: Asked::Is(Stdio::Other),
            peers: Asked::Is(Peers::SomebodyThere),
            clients: Asked::Is(Clients::Connected),
            birth_ended: false,
            kin_lives: false,
            pane: Asked::Is(None),
            registered: Asked::Is(false),
            service: Asked::Is(false),
            editor: Asked::Is(None),
            owner: None,
            protected: false,
            own: true,
            adopted: true,
        }
    }

    fn proved() -> [Observation; 4] {
        let ended = Tag::Ended { session: "a1".into(), after_start: true };
        let unused = Asked::Is(Clients::NoneFor(Duration::from_secs(60)));
        [
            Observation { tag: Asked::Is(ended), ..left(Kind::Tagged) },
            Observation { stdio: Asked::Is(Stdio::TerminalDeleted), ..left(Kind::Agent) },
            Observation { peers: Asked::Is(Peers::BothGone), ..left(Kind::Helper { stdio: true }) },
            Observation { clients: unused, birth_ended: true, ..left(Kind::Shared) },
        ]
    }

    #[test]
    fn each_proof_alone_is_enough() {
        use Proof::{LastClientGone, RecordSaysDead, StdioPeersGone, TerminalDeleted};
        let all = [RecordSaysDead, TerminalDeleted, StdioPeersGone, LastClientGone];
        for (seen, proof) in proved().iter().zip(all) {
            let judged = judge(seen, GROUND);
            assert_eq!((judged.fate, judged.proofs.as_slice()), (Fate::Take, &[proof][..]), "{judged:?}");
            assert_eq!(judged.why(), proof.to_string());
        }
    }

    type Change = fn(Observation) -> Observation;

    #[test]
    fn each_veto_alone_spares_whatever_is_proved() {
        let cases: [(&str, Change); 17] = [
            ("protected", |o| Observation { protected: true, ..o }),
            ("another user's", |o| Observation { own: false, ..o }),
            ("owned", |o| Observation { owner: Some("a2".into()), ..o }),
            ("terminal", |o| Observation { terminal: true, ..o }),
            ("pane", |o| Observation { pane: Asked::Is(Some("tmux:ops:1".into())), ..o }),
            ("pane unknown", |o| Observation { pane: Asked::Unreadable("tmux".into()), ..o }),
            ("registered", |o| Observation { registered: Asked::Is(true), ..o }),
            ("registry unreadable", |o| Observation { registered: Asked::Unreadable("its registry".into()), ..o }),
            ("service", |o| Observation { service: Asked::Is(true), ..o }),
            ("service unknown", |o| Observation { service: Asked::Unreadable("its cgroup".into()), ..o }),
            ("editor", |o| Observation { editor: Asked::Is(Some("vscode-server".into())), ..o }),
            ("editor unknown", |o| Observation { editor: Asked::Unreadable("its parent".into()), ..o }),
            ("unknown tag", |o| Observation { tag: Asked::Is(Tag::Unknown), ..o }),
            ("older than its tag", |o| Observation {
                tag: Asked::Is(Tag::Ended { session: "a1".into(), after_start: false }),
                ..o
            }),
            ("live tag", |o| Observation { tag: Asked::Is(Tag::Live { session: "a1".into() }), ..o }),
            ("unreadable environment", |o| Observation { tag: Asked::Unreadable("its environment".into()), ..o }),
            ("young", |o| Observation { age: Duration::from_secs(59), ..o }),
        ];
        for (name, change) in cases {
            for seen in proved() {
                let judged = judge(&change(seen), GROUND);
                assert!(!judged.vetoes.is_empty() && judged.fate != Fate::Take, "{name}: {judged:?}");
            }
        }
        for seen in proved() {
            let young = Ground { up: Duration::from_secs(59), ..GROUND };
            assert_eq!(judge(&seen, young).vetoes, [Veto::BeadleIsYoung]);
        }
    }

    #[test]
    fn what_is_no_proof() {
        let gone = || Asked::Is(Peers::BothGone);
        let unused = |seconds| Asked::Is(Clients::NoneFor(Duration::from_secs(seconds)));
        let cases = [
            ("an agent on closed pipes (cron, nohup)", Observation { peers: gone(), ..left(Kind::Agent) }),
            (
                "a helper that does not speak over stdio",
                Observation { peers: gone(), ..left(Kind::Helper { stdio: false }) },
            ),
            (
                "a helper whose terminal is gone",
                Observation {
                    stdio: Asked::Is(Stdio::TerminalDeleted),
                    peers: Asked::Is(Peers::SomebodyThere),
                    ..left(Kind::Helper { stdio: true })
                },
            ),
            ("a shared daemon just left", Observation { clients: unused(59), birth_ended: true, ..left(Kind::Shared) }),
            ("a shared daemon of unknown birth", Observation { clients: unused(600), ..left(Kind::Shared) }),
            (
                "a shared daemon while its kind lives",
                Observation { clients: unused(600), birth_ended: true, kin_lives: true, ..left(Kind::Shared) },
            ),
            (
                "age, silence and init as parent",
                Observation { age: Duration::from_secs(9_000_000), ..left(Kind::Agent) },
            ),
        ];
        for (name, seen) in cases {
            assert_ne!(judge(&seen, GROUND).fate, Fate::Take, "{name}");
        }
    }

    #[test]
    fn without_proof_and_veto_it_is_a_suspect_only_where_something_looks_like_it() {
        assert_eq!(judge(&left(Kind::Agent), GROUND).fate, Fate::Suspect);
        assert_eq!(judge(&Observation { adopted: false, ..left(Kind::Agent) }, GROUND).fate, Fate::Ignore);
        assert_eq!(judge(&Observation { terminal: true, ..left(Kind::Agent) }, GROUND).fate, Fate::Ignore);
        let registered = Observation { registered: Asked::Is(true), ..left(Kind::Agent) };
        assert_eq!(judge(&registered, GROUND).why(), "its own registry says it is alive");
    }

    fn asked<T: Clone + fmt::Debug + 'static>(answers: Vec<T>) -> impl Strategy<Value = Asked<T>> {
        let is = prop::sample::select(answers).prop_map(Asked::Is);
        prop_oneof![5 => is, 1 => Just(Asked::Unreadable("it".into()))]
    }

    prop_compose! {
        fn anything()(
            kind in prop::sample::select(vec![Kind::Agent, Kind::Helper { stdio: true }, Kind::Helper { stdio: false }, Kind::Shared, Kind::Tagged]),
            pid in 2i32..6, age in 0u64..200,
            tag in asked(vec![Tag::None, Tag::Unknown, Tag::Live { session: "a".into() }, Tag::Ended { session: "a".into(), after_start: true }, Tag::Ended { session: "a".into(), after_start: false }]),
            stdio in asked(vec![Stdio::TerminalDeleted, Stdio::Other]), peers in asked(vec![Peers::BothGone, Peers::SomebodyThere]),
            clients in asked(vec![Clients::Connected, Clients::NoneFor(Duration::from_secs(100))]),
            pane in asked(vec![None, Some("p".to_string())]), registered in asked(vec![true, false]), service in asked(vec![true, false]),
            editor in asked(vec![None, Some("e".to_string())]), bits in prop::array::uniform6(any::<bool>()), owned in prop::option::weighted(0.2, Just("o".to_string())),
        ) -> Observation {
            let [terminal, birth_ended, kin_lives, protected, own, adopted] = bits;
            Observation { id: ProcId { pid, start: 1 }, agent: "x".into(), kind, age: Duration::from_secs(age), tag, terminal, stdio, peers,
                clients, birth_ended, kin_lives, pane, registered, service, editor, owner: owned, protected, own, adopted }
        }
    }

    proptest! {
        #[test]
        fn nothing_is_taken_without_a_proof_or_against_a_veto(seen in anything(), up in 0u64..200) {
            let judged = judge(&seen, Ground { up: Duration::from_secs(up), ..GROUND });
            prop_assert_eq!(judged.fate == Fate::Take, !judged.proofs.is_empty() && judged.vetoes.is_empty());
            if seen.protected || !seen.own || seen.terminal || seen.owner.is_some() || up < 60 || matches!(seen.tag, Asked::Unreadable(_)) {
                prop_assert_ne!(judged.fate, Fate::Take);
            }
        }

        #[test]
        fn a_failed_question_about_all_takes_nothing_and_two_scans_must_agree(
            a in prop::collection::vec(anything(), 0..6), b in prop::collection::vec(anything(), 0..6), failed in 0u8..3,
        ) {
            let scan = |seen: &[Observation]| seen.iter().map(|s| judge(s, GROUND)).collect::<Vec<_>>();
            let first: Scan = if failed == 1 { Err("tmux".into()) } else { Ok(scan(&a)) };
            let second: Scan = if failed == 2 { Err("tmux".into()) } else { Ok(scan(&b)) };
            let plan = agree(&first, &second);
            if failed > 0 {
                prop_assert!(plan.candidates.is_empty() && plan.failed.is_some());
            }
            for taken in plan.taken() {
                let before = first.as_ref().unwrap().iter().any(|j| j.id == taken.id && j.fate == Fate::Take);
                prop_assert!(before && second.as_ref().unwrap().contains(taken));
            }
        }
    }
}
