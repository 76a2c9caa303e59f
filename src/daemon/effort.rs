//! Who of a session uses what: the agent itself, the tools it runs; helpers never count.
//!
//! What a process is, its command line says: read once for each, again when its name changes (execve), and not before the
//! second look at it (between fork and execve it looks like its parent). Until then it is not counted.

use std::collections::HashMap;
use std::time::Duration;

use super::sampler::{Ask, Used};
use crate::model::effort::{self, Effort, Found};
use crate::model::process::{Proc, Table};
use crate::model::profile::{HelperKind, Match, Profiles};
use crate::model::session::ProcId;
use crate::sys::{arguments, clock, process};

/// How long command lines are asked for in one pass.
const ARGUMENTS: Duration = Duration::from_millis(200);

/// What a process of a session is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Role {
    /// An agent of this kind: of its own session it is the agent, behind whatever launched it.
    Agent(String),
    /// Serves, and is no work however busy it is.
    Helper,
    Tool,
}

impl Role {
    fn of(argv: &[String], profiles: &Profiles) -> Self {
        match profiles.recognise(argv, None) {
            Match::Agent { name, .. } => Self::Agent(name),
            Match::Helper { kind: HelperKind::Mcp | HelperKind::Daemon, .. } => Self::Helper,
            Match::Helper { kind: HelperKind::Shell, .. } | Match::Excluded { .. } | Match::Nothing => Self::Tool,
        }
    }
}

/// One session.
struct Course {
    effort: Effort,
    /// Bytes it had written to its terminal.
    written: u64,
    /// How long its leader had stood in line.
    queued: Duration,
}

#[derive(Default)]
pub struct Efforts {
    /// By identity, under the name it had when it was asked.
    roles: HashMap<ProcId, ([u8; 16], Role)>,
    by_leader: HashMap<ProcId, Course>,
}

/// Two passes: what every process had used then, and has now.
pub struct Passes<'a> {
    pub table: &'a Table,
    pub before: &'a HashMap<ProcId, Used>,
    pub now: &'a HashMap<ProcId, Used>,
    pub window: Duration,
}

impl Efforts {
    /// Finds out what processes are. `seen` were there before.
    pub fn learn<'a>(&mut self, table: &Table, seen: impl Iterator<Item = &'a Proc>, profiles: &Profiles) {
        self.roles.retain(|id, _| table.get(*id).is_some());
        self.by_leader.retain(|id, _| table.get(*id).is_some());
        let unknown = |p: &&Proc| self.roles.get(&p.id).is_none_or(|(name, _)| *name != p.name());
        let wanted: Vec<ProcId> = seen.filter(unknown).map(|p| p.id).collect();
        let answers = arguments::of(wanted, ARGUMENTS);
        let read = answers.read.into_iter().map(|(id, argv)| (id, Role::of(&argv, profiles)));
        // Who does not answer is not asked again: one that hangs costs one thread. It may be at work.
        let hung = answers.hung.map(|id| (id, Role::Tool));
        for (id, role) in read.chain(hung) {
            if let Some(found) = table.get(id) {
                self.roles.insert(id, (found.name(), role));
            }
        }
    }

    /// What the processes of one session did between two passes.
    pub fn of(&mut self, ask: &Ask, members: &[ProcId], passes: &Passes<'_>) -> Found {
        let Some(leader) = ask.claim.leader.filter(|l| passes.table.is_alive(*l)) else { return Found::default() };
        let (mut agent, tools) = self.used(ask, leader, members, passes);
        let now = clock::monotonic();
        let (written, queued) = (ask.written, process::queued(leader.pid).unwrap_or_default());
        let new = Course { effort: Effort::new(now), written, queued };
        let course = self.by_leader.entry(leader).or_insert(new);
        // What it writes to its terminal is judged by what it says there.
        agent.bytes = agent.bytes.saturating_sub(written.saturating_sub(course.written));
        agent.queued = queued.saturating_sub(course.queued);
        (course.written, course.queued) = (written, queued);
        course.effort.add(agent, tools, now, passes.window)
    }

    fn used(&self, ask: &Ask, leader: ProcId, members: &[ProcId], passes: &Passes<'_>) -> (effort::Used, effort::Used) {
        let (mut agent, mut tools) = (effort::Used::default(), effort::Used::default());
        for id in members {
            let (Some(before), Some(now)) = (passes.before.get(id), passes.now.get(id)) else { continue };
            let own = time(now.ticks.saturating_sub(before.ticks));
            // Children that came and went in between.
            let reaped = time(now.reaped_ticks.saturating_sub(before.reaped_ticks));
            let bytes = now.io_bytes.zip(before.io_bytes).map_or(0, |(now, before)| now.saturating_sub(before));
            match self.role_in(ask, leader, *id, passes.table) {
                Some(Role::Helper) | None => {}
                Some(Role::Agent(_)) => {
                    agent.cpu += own;
                    agent.bytes += bytes;
                    tools.cpu += reaped;
                }
                Some(Role::Tool) => {
                    tools.cpu += own + reaped;
                    tools.bytes += bytes;
                }
            }
        }
        (agent, tools)
    }

    /// What it is in this session; `None` while that is not known. Below a helper everything is the helper's.
    fn role_in(&self, ask: &Ask, leader: ProcId, id: ProcId, table: &Table) -> Option<Role> {
        if id == leader {
            return Some(Role::Agent(ask.agent.clone()));
        }
        let is_helper = |pid: &i32| {
            let known = table.pid(*pid).and_then(|p| self.roles.get(&p.id));
            known.is_some_and(|(_, role)| *role == Role::Helper)
        };
        let inside = table.lineage(id.pid).into_iter().take_while(|pid| *pid != leader.pid);
        if inside.into_iter().any(|pid| is_helper(&pid)) {
            return Some(Role::Helper);
        }
        let (_, role) = self.roles.get(&id)?;
        Some(match role {
            Role::Agent(kind) if *kind != ask.agent => Role::Tool,
            role => role.clone(),
        })
    }
}

fn time(ticks: u64) -> Duration {
    Duration::from_millis(ticks * 1000 / clock::ticks_per_second().max(1))
}
