//! A session beadle did not start, as the supervisor knows it, and the row it becomes.
//!
//! Nothing holds it: what is known of it is what [`super::discovery`] saw, pass after pass. The verdict is the same pure
//! function as for a managed session, over evidence from elsewhere: what tmux and the terminal say of output and input,
//! what its processes use, what its screen and its own status file say.

mod acts;
mod evidence;
mod memory;
pub mod pane;
mod watch;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

pub use memory::{Memory, Said};

use super::close::{Gently, Target};
use super::discovery::{Person, Terminal};
use super::entry::{Announced, CloseUnderWay, Usage};
use super::evidence::{Sight, Standard};
use super::sampler::{Ask, Shares};
use crate::api::types::{Detail, PaneAt, Session};
use crate::model::fold::{Fold, Recent};
use crate::model::heard::Counting;
use crate::model::lifecycle::{Event, Keeper, Life};
use crate::model::policy::{Facts, Kept};
use crate::model::profile::Status;
use crate::model::scene::{Pane, SHELL, Sighting};
use crate::model::session::{Attention, Cause, Exit, Health, Origin, ProcId, State};
use crate::model::text::printable_within;
use crate::sys::{card, clock};

/// Longest name made from what tmux calls a pane.
const LONGEST: usize = 60;

/// What was last read of its screen.
struct Screen {
    text: String,
    fold: Fold,
    recent: Recent,
    sight: Sight,
    /// Since when it says what it says about attention.
    since: Option<(Attention, Duration)>,
}

/// When things last happened, by the monotonic clock.
#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    /// Anything written to its terminal.
    output: Option<Duration>,
    /// New text on its screen, where that is read.
    text: Option<Duration>,
    input: Option<Duration>,
    heartbeat: Option<Duration>,
    work: Option<Duration>,
    /// Its own status changed.
    status: Option<Duration>,
}

pub struct Foreign {
    pub id: String,
    name: String,
    address: Option<String>,
    pub said: Said,
    pub seen: Sighting,
    /// Stays when the leader has gone.
    pub agent: String,
    person: Person,
    pub life: Life,
    pub exit: Option<Exit>,
    started: Duration,
    started_at: String,
    ended: Option<Duration>,
    usage: Usage,
    shares: Shares,
    moments: Moments,
    counting: Counting,
    screen: Screen,
    status: Option<Status>,
    terminal: Terminal,
    spinning_since: Option<Duration>,
    /// Its project is over, and it still runs.
    pub project_finished: bool,
    /// Names of other sessions in which its conversation is open.
    twins: Vec<String>,
    pub close: Option<CloseUnderWay>,
    /// The close by policy that is announced.
    pub announced: Option<Announced>,
    /// A close left survivors: no policy tries again.
    pub survived: bool,
    /// When a terminal was last attached to its tmux session.
    attended: Option<Duration>,
    standard: Arc<Standard>,
    shown: Option<(Health, Attention)>,
    /// The verdict that was told last.
    pub told: Option<(Health, Attention)>,
}

impl Foreign {
    pub fn new(id: String, seen: Sighting, said: Said, standard: Arc<Standard>, now: Duration) -> Self {
        let spinner = standard.profiles.by_name(&seen.agent).map_or(String::new(), |p| p.spinner.clone());
        let started = clock::moment_of_start(seen.leader.start);
        let mut new = Self {
            id,
            name: String::new(),
            address: None,
            said,
            agent: seen.agent.clone(),
            person: Person::default(),
            life: Life::found(Keeper::Alive, true, false),
            exit: None,
            started,
            started_at: clock::wall_at(started),
            ended: None,
            usage: Usage::default(),
            shares: Shares::default(),
            moments: Moments::default(),
            counting: Counting { since: Some(now), heard: Some(now) },
            screen: Screen {
                text: String::new(),
                fold: Fold::new(&spinner),
                recent: Recent::default(),
                sight: Sight::default(),
                since: None,
            },
            status: None,
            terminal: Terminal::default(),
            spinning_since: None,
            project_finished: false,
            twins: Vec::new(),
            close: None,
            announced: None,
            survived: false,
            attended: None,
            standard,
            shown: None,
            told: None,
            seen,
        };
        new.relabel();
        new
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Another program runs in the same process.
    fn be(&mut self, agent: &str) {
        let spinner = self.standard.profiles.by_name(agent).map_or(String::new(), |p| p.spinner.clone());
        self.screen.fold = Fold::new(&spinner);
        self.agent = agent.into();
    }

    /// `tmux:<session>:<window>.<pane>`.
    pub fn address(&self) -> Option<&str> {
        self.address.as_deref()
    }

    /// What a person called it; else where it is in tmux; else its kind and pid.
    pub fn relabel(&mut self) {
        self.address = self.pane().map(|p| printable_within(&p.address(), LONGEST));
        let plain = || format!("{}-{}", self.agent, self.seen.leader.pid);
        self.name = self.said.name.clone().or_else(|| self.address.clone()).unwrap_or_else(plain);
    }

    /// RFC 3339, UTC.
    pub fn started_at(&self) -> &String {
        &self.started_at
    }

    pub fn detail(&self, now: Duration) -> Detail {
        let place = |p: &Pane| PaneAt { socket: p.socket.clone(), server_pid: p.server, id: p.id.clone() };
        Detail {
            session: self.row(now),
            evidence: self.evidence(now),
            tree: Vec::new(),
            keeper_socket: None,
            keeper_pid: None,
            keyless: None,
            started_by: None,
            pane: self.pane().filter(|_| self.is_live()).map(place),
        }
    }

    pub fn pane(&self) -> Option<&Pane> {
        self.seen.pane.as_ref()
    }

    pub fn is_live(&self) -> bool {
        !self.life.is_ended()
    }

    pub fn is_shell(&self) -> bool {
        self.agent == SHELL
    }

    pub fn members(&self) -> &[ProcId] {
        &self.seen.members
    }

    pub fn conversation(&self) -> Option<&str> {
        self.status.as_ref()?.session.as_deref()
    }

    pub fn heartbeat(&mut self) {
        self.moments.heartbeat = Some(clock::monotonic());
    }

    pub fn ask(&self) -> Ask {
        Ask::foreign(self.id.clone(), &self.seen, Arc::clone(&self.shares))
    }

    /// Other settings hold.
    pub fn measure_by(&mut self, standard: &Arc<Standard>) {
        self.standard = Arc::clone(standard);
    }

    pub fn target(&self, grace: Duration, cause: Cause, hurry: Arc<AtomicBool>, spared: Vec<ProcId>) -> Target {
        Target {
            id: self.id.clone(),
            name: self.name.clone(),
            claim: self.seen.claim(),
            cgroup: None,
            grace,
            terminal: self.seen.origin == Origin::Tmux || self.terminal.times.is_some(),
            // What stands in a terminal somebody else types into is not typed into.
            gently: self.standard.profiles.by_name(&self.agent).and_then(|p| p.gentle.signal).map(Gently::Signal),
            link: None,
            cause,
            hurry,
            visited: BTreeSet::new(),
            keep: None,
            spared,
            pane: self.seen.pane.clone(),
            close_pane: false,
        }
    }

    /// It is over; what is left of it is a row.
    pub fn finish(&mut self, exit: Exit, now: Duration) {
        self.exit = Some(exit);
        self.life.apply(Event::Emptied);
        self.ended = Some(now);
        self.seen.members.clear();
    }

    /// Where it works; empty where that cannot be read.
    pub fn workspace(&self) -> String {
        self.person.workspace.as_deref().map(card::text_of).unwrap_or_default()
    }

    /// What the cleaner asks, where it may reach this far. What a dead agent left behind is for a sweep to judge.
    pub fn facts(&self, now: Duration) -> Facts {
        let unheard = self.seen.origin == Origin::Tmux && self.pane().is_none();
        Facts {
            state: self.life.state(),
            attention: self.attention(now),
            silent: unheard || !self.life.has_leader(),
            age: Some(now.saturating_sub(self.started)),
            idle: self.idle(now),
            attached: self.pane().is_some_and(|p| p.attached > 0),
            attached_ago: self.attended.map(|at| now.saturating_sub(at)),
            // Somebody pressed Ctrl-Z, and will come back.
            paused: self.usage.leader_stopped,
            pinned: self.said.pinned,
            lingering: None,
            kept: Kept::Nobody,
            survived: self.survived,
            own: self.standard.profiles.by_name(&self.agent).map(|p| p.limits).unwrap_or_default(),
        }
    }

    pub fn row(&self, now: Duration) -> Session {
        let verdict = self.verdict(now);
        let live = self.is_live();
        let last = self.last_activity().filter(|_| live);
        let tenth = |s: f64| (s * 10.0).round() / 10.0;
        let age = self.ended.unwrap_or(now).saturating_sub(self.started);
        Session {
            id: self.id.clone(),
            name: self.name.clone(),
            agent: self.agent.clone(),
            project: self.said.project.clone(),
            workspace: self.workspace(),
            origin: self.seen.origin,
            address: self.address.clone().filter(|_| live),
            state: self.life.state(),
            health: verdict.health,
            attention: verdict.attention,
            reason: verdict.reason,
            pinned: self.said.pinned,
            leader_pid: Some(self.seen.leader.pid).filter(|_| live && self.life.has_leader()),
            processes: if live { self.usage.processes } else { Some(0) },
            cpu_percent: self.usage.cpu_percent.filter(|_| live),
            io_bytes_per_second: self.usage.io_bytes_per_second.filter(|_| live),
            memory_bytes: self.usage.memory_bytes.filter(|_| live),
            messages: None,
            started_at: self.started_at.clone(),
            last_activity_at: last.map(clock::wall_at),
            idle_seconds: self.idle(now).map(|idle| tenth(idle.as_secs_f64())),
            age_seconds: tenth(age.as_secs_f64()),
            exit: self.exit.clone().filter(|_| self.life.state() != State::Running),
            closes_at: self.announced.as_ref().map(|a| clock::wall_at(a.closes_at)),
            closes_because: self.announced.as_ref().map(|a| a.reason.clone()),
            attached: self.pane().map_or(0, |p| p.attached),
            command: self.person.argv.clone(),
            resume: self.resume().filter(|_| !live),
        }
    }
}
