//! One managed session as the supervisor knows it, and the row it becomes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::sync::oneshot;

use super::close::Target;
use super::handle::Reply;
use super::link::Link;
use super::sampler::{Ask, Sample};
use super::store::CloseBegan;
use crate::api::kept::{Described, Dir, Kept, Meta};
use crate::api::types::{Closed, Evidence, Session};
use crate::api::wire::ToCome;
use crate::model::lifecycle::{Keeper, Life};
use crate::model::process::Claim;
use crate::model::session::{Cause, Exit, Health, Origin, ProcId, State};
use crate::model::verdict::{self, Known, Since, Verdict};
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
    /// What is remembered of its beginning.
    pub began: CloseBegan,
    /// The report, while the keeper has still to say that it is over.
    pub report: Option<Closed>,
    /// Start it again afterwards, and tell who asked.
    pub then: Option<Reply<Session>>,
    /// A run was to come.
    pub called_off: bool,
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
    pub attached: u32,
    pub close: Option<CloseUnderWay>,
    /// What a person last wanted: its tree stopped, or not.
    pub wants_pause: Arc<AtomicBool>,
    /// Its end is in the log.
    pub logged: bool,
    /// tmux servers born inside to which somebody from outside was seen attached.
    pub visited: BTreeSet<ProcId>,
    /// Members whose end is waited for, once there is no keeper to tell of it.
    pub watched: BTreeSet<ProcId>,
    /// When messages were last put into a snapshot: what was seen by readers.
    pub shown_messages: u64,
}

impl Entry {
    /// From what was written down; `None` when no keeper wrote who the session is.
    pub fn kept(kept: Kept, dir: Dir, life: Life) -> Option<Self> {
        let Kept { identity, exit, meta, .. } = kept;
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
            attached: 0,
            close: None,
            wants_pause: Arc::default(),
            logged: false,
            to_come: None,
            visited: BTreeSet::new(),
            watched: BTreeSet::new(),
            shown_messages: 0,
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
        Ask { id: self.session.id.clone(), claim: self.claim(), cgroup: self.cgroup() }
    }

    pub fn target(&self, grace: Duration, cause: Cause, hurry: Arc<AtomicBool>) -> Target {
        Target {
            id: self.session.id.clone(),
            name: self.name().to_string(),
            claim: self.claim(),
            cgroup: self.cgroup(),
            grace,
            terminal: !self.session.pipe,
            link: self.link.clone(),
            cause,
            hurry,
            visited: self.visited.clone(),
        }
    }

    /// Takes in a sample; true when something a reader can see has changed.
    pub fn take_in(&mut self, sample: &Sample) -> bool {
        let usage = Usage {
            processes: Some(u32::try_from(sample.members.len()).unwrap_or(u32::MAX)),
            cpu_percent: sample.cpu_percent.or(self.usage.cpu_percent),
            io_bytes_per_second: sample.io_bytes_per_second.or(self.usage.io_bytes_per_second),
            memory_bytes: Some(sample.memory_bytes),
            leader_stopped: sample.leader_stopped,
        };
        let messages = self.pulse.as_ref().map_or(0, |p| p.get(Beat::Messages));
        let changed = usage != self.usage || messages != self.shown_messages;
        self.usage = usage;
        self.shown_messages = messages;
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

    pub fn last_activity(&self) -> Option<Duration> {
        let pulse = self.pulse.as_ref()?;
        [Beat::Output, Beat::Input, Beat::Heartbeat].into_iter().filter_map(|b| pulse.when(b)).max()
    }

    fn since(&self, now: Duration) -> Since {
        let ago = |beat| Some(now.saturating_sub(self.pulse.as_ref()?.when(beat)?).as_secs_f64());
        Since { output: ago(Beat::Output), input: ago(Beat::Input), heartbeat: ago(Beat::Heartbeat) }
    }

    pub fn verdict(&self, now: Duration) -> Verdict {
        let known = Known {
            life: self.life,
            exit: self.exit.as_ref(),
            processes: self.usage.processes,
            stopped: self.usage.leader_stopped,
            since: self.since(now),
        };
        let exit = self.to_come.as_ref().map(|to_come| &to_come.after);
        let mut verdict = verdict::judge(&Known { exit: known.exit.or(exit), ..known });
        if let Some(coming) = self.to_come.as_ref().filter(|_| !self.life.is_closing()) {
            let left = coming.at_monotonic_seconds.map(|at| at - now.as_secs_f64());
            verdict.reason = verdict::to_come(&verdict.reason, left, (coming.attempt, coming.limit));
        }
        verdict
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
            idle_seconds: last.map(|at| tenth(now.saturating_sub(at).as_secs_f64())),
            age_seconds: tenth(age),
            exit: self.exit.clone(),
            attached: self.attached,
            command: self.session.command.clone(),
        }
    }

    /// What the verdict rests on.
    pub fn evidence(&self, now: Duration) -> Vec<Evidence> {
        let mut out = Vec::new();
        let mut add = |kind: &str, text: String, at: Option<Duration>| {
            out.push(Evidence { kind: kind.into(), text, at: at.map(clock::wall_at) });
        };
        if let Some(pulse) = &self.pulse {
            for (kind, beat, text) in [
                ("output", Beat::Output, "output"),
                ("input", Beat::Input, "input typed"),
                ("heartbeat", Beat::Heartbeat, "heartbeat"),
            ] {
                if let Some(at) = pulse.when(beat) {
                    add(kind, format!("{text} {} ago", verdict::short(now.saturating_sub(at).as_secs_f64())), Some(at));
                }
            }
        }
        add("leader", if self.life.has_leader() { "alive".into() } else { "gone".into() }, None);
        if self.usage.leader_stopped {
            add("state", "stopped by a signal (T)".into(), None);
        }
        if let Some(cpu) = self.usage.cpu_percent {
            add("cpu", format!("{cpu} % of a core, the whole tree"), None);
        }
        if let Some(rate) = self.usage.io_bytes_per_second {
            add("io", format!("{rate} bytes a second read and written, the whole tree"), None);
        }
        let keeper = match self.life.keeper() {
            Keeper::Alive => "alive",
            Keeper::Silent => "does not answer",
            Keeper::Gone => "gone",
        };
        add("keeper", keeper.into(), None);
        out
    }

    /// One sentence of advice, where there is something to do.
    pub fn recommendation(&self, now: Duration) -> Option<String> {
        let verdict = self.verdict(now);
        match (verdict.health, self.life.state()) {
            (_, State::Ended | State::Closing) | (Health::Healthy, _) => None,
            (Health::Orphaned, _) => {
                Some(format!("consider closing: {} (`beadle kill {}`)", verdict.reason, self.name()))
            }
            (Health::Stuck, _) => Some(format!(
                "{}: `beadle unpause {}` continues it, `beadle kill {}` closes it",
                verdict.reason,
                self.name(),
                self.name()
            )),
        }
    }
}
