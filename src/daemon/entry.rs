//! One managed session as the supervisor knows it, and the row it becomes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::sync::oneshot;

use super::close::{Gently, Target};
use super::closing::Order;
use super::evidence::{Sight, Standard};
use super::handle::Reply;
use super::link::Link;
use super::sampler::{Ask, Sample, Shares};
use super::store::CloseBegan;
use crate::api::kept::{self, Described, Dir, Meta};
use crate::api::types::{Closed, Session};
use crate::api::wire::ToCome;
use crate::model::lifecycle::{Keeper, Life};
use crate::model::policy::{Facts, Kept, Limits, Told};
use crate::model::process::Claim;
use crate::model::profile::Status;
use crate::model::session::{Attention, Cause, Exit, ExitBy, Health, Origin, ProcId, State};
use crate::sys::cgroup::Cgroup;
use crate::sys::clock;
use crate::sys::poll::Waker;
use crate::sys::pulse::{Beat, Pulse};

/// A close under way.
pub struct CloseUnderWay {
    pub hurry: Arc<AtomicBool>,
    /// Interrupts the wait of the thread that carries it out.
    pub waker: Arc<Waker>,
    pub waiters: Vec<oneshot::Sender<Closed>>,
    /// What is remembered of its beginning, and of that of each close that has taken its place.
    pub began: Vec<CloseBegan>,
    /// The report, while the keeper has still to say that it is over.
    pub report: Option<Closed>,
    /// It is closed to be started again.
    pub again: Option<Again>,
    /// Somebody wants all of it closed, also what a policy would leave.
    pub whole: bool,
    /// A run was to come.
    pub called_off: bool,
    /// It was asked for from inside a hook.
    pub by_hook: bool,
}

/// A restart of which a close is the first half.
pub enum Again {
    /// Who hears of it.
    Asked(Reply<Session>),
    /// Its keeper is told to start it; closes that were asked for since then come after the answer.
    Called(Vec<Order>),
}

/// What a pass over the table found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Usage {
    pub processes: Option<u32>,
    pub cpu_percent: Option<f64>,
    pub io_bytes_per_second: Option<f64>,
    pub memory_bytes: Option<u64>,
    pub leader_stopped: bool,
}

pub struct Entry {
    pub session: Described,
    pub dir: Dir,
    pub meta: Meta,
    pub life: Life,
    pub keeper: Option<ProcId>,
    pub leader: Option<ProcId>,
    pub socket: std::path::PathBuf,
    pub link: Option<Link>,
    pub pulse: Option<Pulse>,
    pub exit: Option<Exit>,
    /// A run that its keeper starts by itself.
    pub to_come: Option<ToCome>,
    pub started_at: String,
    pub boot_id: String,
    /// By the monotonic clock; `None` for a session of another boot.
    pub started: Option<Duration>,
    /// Age when it ended.
    pub age_at_end: Option<f64>,
    pub members: BTreeSet<ProcId>,
    pub usage: Usage,
    shares: Shares,
    pub attached: u32,
    pub close: Option<CloseUnderWay>,
    /// What a person last wanted: its tree stopped, or not.
    pub wants_pause: Arc<AtomicBool>,
    /// From which sample on a stopped leader is stopped by somebody else: earlier ones may have seen the pause.
    pub stop_counts_from: u64,
    /// Its end is in the log.
    pub logged: bool,
    /// Members whose end is waited for, once there is no keeper to tell of it.
    pub watched: BTreeSet<ProcId>,
    /// When messages were last put into a snapshot: what was seen by readers.
    pub shown_messages: u64,
    /// The verdict that was seen by readers.
    pub shown: Option<(Health, Attention)>,
    /// The verdict that was told last.
    pub told: Option<(Health, Attention)>,
    /// That its agent has ended and processes remain was told.
    pub told_lingering: bool,
    /// What it is measured by.
    pub standard: Arc<Standard>,
    /// What its screen says.
    pub sight: Sight,
    /// What its own status file says, where its kind has one.
    pub status: Option<Status>,
    /// What it last said of itself through a hook, and when.
    pub said: Option<(Attention, Duration)>,
    /// Names of other sessions in which its conversation is open.
    pub twins: Vec<String>,
    /// From when its leader has kept a core busy.
    pub spinning_since: Option<Duration>,
    /// Since when processes without their leader were seen, by the monotonic clock of this daemon's life.
    pub lingering_since: Option<Duration>,
    /// How many of those left behind are to be kept.
    pub kept: Kept,
    /// Its project is over, and it still runs.
    pub project_finished: bool,
    /// A close left survivors: no policy tries again.
    pub survived: bool,
    /// The close that is announced.
    pub announced: Option<Announced>,
}

/// A close by policy that will come if nothing changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Announced {
    pub told: Told,
    pub closes_at: Duration,
    pub reason: String,
}

impl Entry {
    /// From what was written down; `None` when no keeper wrote who the session is.
    pub fn kept(kept: kept::Kept, dir: Dir, life: Life, standard: Arc<Standard>) -> Option<Self> {
        let kept::Kept { identity, exit, meta, .. } = kept;
        let identity = identity?;
        let same_boot = identity.boot_id == clock::boot_id();
        let started = Duration::try_from_secs_f64(identity.started_monotonic_seconds).ok().filter(|_| same_boot);
        let ended = exit.as_ref().filter(|_| life.is_ended());
        Some(Self {
            age_at_end: ended.and_then(|e| clock::seconds_between(&identity.started_at, &e.at)),
            exit,
            members: dir.members().into_iter().filter(|_| same_boot).collect(),
            session: identity.session,
            dir,
            meta,
            life,
            keeper: same_boot.then_some(identity.keeper),
            leader: same_boot.then_some(identity.leader),
            socket: identity.socket,
            link: None,
            pulse: None,
            started_at: identity.started_at,
            boot_id: identity.boot_id,
            started,
            usage: Usage::default(),
            shares: Shares::default(),
            attached: 0,
            close: None,
            wants_pause: Arc::default(),
            stop_counts_from: 0,
            logged: false,
            to_come: None,
            watched: BTreeSet::new(),
            shown_messages: 0,
            shown: None,
            told: None,
            told_lingering: false,
            standard,
            sight: Sight::default(),
            status: None,
            said: None,
            twins: Vec::new(),
            spinning_since: None,
            lingering_since: None,
            kept: Kept::Nobody,
            project_finished: false,
            survived: false,
            announced: None,
        })
    }

    pub fn id(&self) -> &str {
        &self.session.id
    }

    pub fn name(&self) -> &str {
        self.meta.name.as_deref().unwrap_or(&self.session.name)
    }

    pub fn is_live(&self) -> bool {
        !self.life.is_ended()
    }

    /// The close under way is followed by another run.
    pub fn is_to_run_again(&self) -> bool {
        self.close.as_ref().is_some_and(|close| close.again.is_some())
    }

    /// Why it is closed now, where that is not what the close began for.
    pub fn took_its_place(&self) -> Option<&Cause> {
        let began = &self.close.as_ref()?.began;
        began.get(1..)?.last().map(|began| &began.cause)
    }

    fn cgroup(&self) -> Option<Cgroup> {
        self.session.cgroup.as_ref().map(|c| Cgroup { dir: c.dir.clone(), inode: c.inode })
    }

    fn claim(&self) -> Claim {
        Claim {
            keeper: self.keeper,
            leader: self.leader,
            since: self.keeper.or(self.leader).map_or(u64::MAX, |k| k.start),
            remembered: self.members.iter().copied().collect(),
            ..Claim::default()
        }
    }

    pub fn ask(&self) -> Ask {
        Ask {
            id: self.session.id.clone(),
            claim: self.claim(),
            cgroup: self.cgroup(),
            agent: self.session.agent.clone(),
            written: self.pulse.as_ref().map_or(0, |p| p.get(Beat::Bytes)),
            keep: self.to_keep(),
            shares: Arc::clone(&self.shares),
        }
    }

    /// Once the leader has gone: whom a person named to be kept.
    fn to_keep(&self) -> Option<Vec<ProcId>> {
        (!self.life.has_leader()).then(|| self.meta.kept.clone())
    }

    pub fn target(&self, grace: Duration, cause: Cause, hurry: Arc<AtomicBool>) -> Target {
        // Only what policy closes leaves anybody behind on purpose: a kill takes all.
        let keep = self.to_keep().filter(|_| cause.by == ExitBy::Policy);
        Target {
            keep,
            id: self.session.id.clone(),
            name: self.name().to_string(),
            claim: self.claim(),
            cgroup: self.cgroup(),
            grace,
            terminal: !self.session.pipe,
            gently: self.gently(),
            link: self.link.clone(),
            cause,
            hurry,
            visited: self.meta.visited.clone(),
            spared: Vec::new(),
            pane: None,
            close_pane: false,
        }
    }

    /// How its kind of agent likes to be asked. Typed only where its prompt was seen, nothing has moved since, and nobody is
    /// there: anywhere else the word and Enter would answer something.
    fn gently(&self) -> Option<Gently> {
        let gentle = &self.standard.profiles.by_name(&self.session.agent)?.gentle;
        let sight = &self.sight;
        let unmoved = self.pulse.as_ref().is_some_and(|p| p.get(Beat::Bytes) == sight.written) && !sight.asked;
        let at_prompt = unmoved && sight.look.attention == Some(Attention::Idle);
        let alone = self.attached == 0 && !self.meta.paused && !self.usage.leader_stopped;
        let typed = gentle.typed.clone().filter(|_| at_prompt && alone && !self.session.pipe && self.link.is_some());
        typed.map(Gently::Typed).or(gentle.signal.map(Gently::Signal))
    }

    /// It is being continued: what was measured before is over, and what is being measured may be.
    pub const fn forget_stop(&mut self) {
        self.usage.leader_stopped = false;
        self.stop_counts_from = u64::MAX;
    }

    /// Takes in a sample, the `number`th; true when something a reader can see has changed.
    pub fn take_in(&mut self, sample: &Sample, number: u64, now: Duration) -> bool {
        if let Some(pulse) = self.pulse.as_ref().filter(|_| sample.effort.at_work) {
            pulse.mark_at(Beat::Work, now);
        }
        self.spinning_since = sample.effort.spinning_since;
        let usage = Usage {
            processes: Some(u32::try_from(sample.members.len()).unwrap_or(u32::MAX)),
            cpu_percent: sample.cpu_percent.or(self.usage.cpu_percent),
            io_bytes_per_second: sample.io_bytes_per_second.or(self.usage.io_bytes_per_second),
            memory_bytes: Some(sample.memory_bytes),
            leader_stopped: sample.leader_stopped && number >= self.stop_counts_from,
        };
        if !sample.shares.is_empty() {
            self.shares = Arc::clone(&sample.shares);
        }
        let messages = self.pulse.as_ref().map_or(0, |p| p.get(Beat::Messages));
        let mut changed = usage != self.usage || messages != self.shown_messages;
        self.usage = usage;
        self.shown_messages = messages;
        let verdict = self.verdict(now);
        let shown = Some((verdict.health, verdict.attention));
        changed |= std::mem::replace(&mut self.shown, shown) != shown;
        self.kept = sample.kept;
        let lingers = !self.life.has_leader() && self.life.state() != State::Starting;
        self.lingering_since = lingers.then(|| self.lingering_since.unwrap_or_else(clock::monotonic));
        changed
    }

    /// Remembers members; true when there are new ones to write down.
    pub fn remember(&mut self, members: &[ProcId]) -> bool {
        let now: BTreeSet<ProcId> = members.iter().copied().collect();
        // The leader is written down already, by its keeper.
        let any_new = now.iter().any(|m| !self.members.contains(m) && Some(*m) != self.leader);
        self.watched.retain(|m| now.contains(m));
        self.members = now;
        any_new
    }

    /// When its present run began.
    fn run_since(&self) -> Option<Duration> {
        let again = self.meta.restarted_seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        self.started.map(|started| again.map_or(started, |again| again.max(started)))
    }

    /// What the cleaner goes by. What the session says for itself goes before what its kind of agent says.
    pub fn facts(&self, agent: Limits, now: Duration) -> Facts {
        let limit = |seconds: Option<f64>| Duration::try_from_secs_f64(seconds?).ok();
        let own = Limits {
            max_idle: limit(self.session.max_idle_seconds),
            max_waiting: None,
            timeout: limit(self.session.timeout_seconds),
        };
        let attached_at = self.pulse.as_ref().and_then(|p| p.when(Beat::Attached));
        Facts {
            state: self.life.state(),
            attention: self.attention(now),
            silent: self.life.keeper() == Keeper::Silent,
            age: self.run_since().map(|at| now.saturating_sub(at)),
            idle: self.idle(now),
            attached: self.attached > 0,
            attached_ago: attached_at.map(|at| now.saturating_sub(at)),
            paused: self.meta.paused,
            pinned: self.meta.pinned,
            lingering: self.lingering_since.filter(|_| !self.life.has_leader()).map(|at| now.saturating_sub(at)),
            kept: self.kept,
            survived: self.survived,
            own: own.or(agent),
        }
    }

    /// The row, at this moment of the monotonic clock.
    pub fn row(&self, now: Duration) -> Session {
        let verdict = self.verdict(now);
        let age = self.age_at_end.or_else(|| Some(now.saturating_sub(self.started?).as_secs_f64())).unwrap_or(0.0);
        let live = self.is_live();
        let last = self.last_activity().filter(|_| live);
        let tenth = |s: f64| (s * 10.0).round() / 10.0;
        Session {
            id: self.session.id.clone(),
            name: self.name().to_string(),
            agent: self.session.agent.clone(),
            project: self.session.project.clone(),
            workspace: self.session.workspace.clone(),
            origin: Origin::Managed,
            address: None,
            state: self.life.state(),
            health: verdict.health,
            attention: verdict.attention,
            reason: verdict.reason,
            pinned: self.meta.pinned,
            leader_pid: self.leader.filter(|_| self.life.has_leader()).map(|l| l.pid),
            processes: if live { self.usage.processes } else { Some(0) },
            cpu_percent: self.usage.cpu_percent.filter(|_| live),
            io_bytes_per_second: self.usage.io_bytes_per_second.filter(|_| live),
            memory_bytes: self.usage.memory_bytes.filter(|_| live),
            messages: self.pulse.as_ref().map(|p| p.get(Beat::Messages)),
            started_at: self.started_at.clone(),
            last_activity_at: last.map(clock::wall_at),
            idle_seconds: self.idle(now).map(|idle| tenth(idle.as_secs_f64())),
            age_seconds: tenth(age),
            exit: self.exit.clone().or_else(|| self.unseen_exit()),
            attached: self.attached,
            closes_at: self.announced.as_ref().map(|a| clock::wall_at(a.closes_at)),
            closes_because: self.announced.as_ref().map(|a| a.reason.clone()),
            command: self.session.command.clone(),
            resume: if live { None } else { self.resume() },
        }
    }

    /// The end of an agent whose keeper was gone before: nobody saw it.
    fn unseen_exit(&self) -> Option<Exit> {
        if !self.is_live() || self.life.keeper() != Keeper::Gone || self.life.has_leader() {
            return None;
        }
        let (by, reason) = match &self.meta.cause {
            Some(cause) => (cause.by, cause.reason.clone()),
            None => (ExitBy::Unknown, "its keeper is gone".into()),
        };
        let at = self.lingering_since.map_or_else(clock::wall, clock::wall_at);
        Some(Exit { code: None, signal: None, at, by, reason })
    }
}
