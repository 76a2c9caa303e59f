//! Who of a session uses what: the agent itself, the tools it runs; helpers never count.
//!
//! What a process is, [`super::discovery`] has found out in the same pass. It is not counted before the second look at it:
//! between fork and execve it looks like its parent.

use std::collections::HashMap;
use std::time::Duration;

use super::sampler::Ask;
use crate::model::effort::{self, Effort, Found};
use crate::model::process::Table;
use crate::model::profile::{HelperKind, Match};
use crate::model::session::ProcId;
use crate::model::usage::Usage;
use crate::sys::{clock, process};

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
    /// Who could not be read may be at work: a tool.
    fn of(known: Option<&Match>) -> Self {
        match known {
            Some(Match::Agent { name, .. }) => Self::Agent(name.clone()),
            Some(Match::Helper { kind: HelperKind::Mcp | HelperKind::Daemon, .. }) => Self::Helper,
            Some(Match::Helper { kind: HelperKind::Shell, .. } | Match::Excluded { .. } | Match::Nothing) | None => {
                Self::Tool
            }
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
    by_leader: HashMap<ProcId, Course>,
}

/// Two passes, and what was used in between.
pub struct Passes<'a> {
    pub table: &'a Table,
    /// What the profiles say of processes, by pid.
    pub known: &'a HashMap<i32, Match>,
    pub usage: &'a Usage,
    pub window: Duration,
}

impl Efforts {
    /// Forgets sessions whose leader has gone.
    pub fn forget(&mut self, table: &Table) {
        self.by_leader.retain(|id, _| table.get(*id).is_some());
    }

    /// What the processes of one session did between two passes.
    pub fn of(&mut self, ask: &Ask, members: &[ProcId], passes: &Passes<'_>) -> Found {
        let Some(leader) = ask.claim.leader.filter(|l| passes.table.is_alive(*l)) else { return Found::default() };
        let (mut agent, tools) = used(ask, leader, members, passes);
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
}

fn used(ask: &Ask, leader: ProcId, members: &[ProcId], passes: &Passes<'_>) -> (effort::Used, effort::Used) {
    let (mut agent, mut tools) = (effort::Used::default(), effort::Used::default());
    for id in members {
        let Some(used) = passes.usage.between(*id).filter(|_| passes.usage.was_seen_before(*id)) else { continue };
        let (own, reaped) = (time(used.own), time(used.reaped));
        let bytes = used.io.unwrap_or(0);
        match role_in(ask, leader, *id, passes) {
            Role::Helper => {}
            Role::Agent(_) => {
                agent.cpu += own;
                agent.bytes += bytes;
                tools.cpu += reaped;
            }
            Role::Tool => {
                tools.cpu += own + reaped;
                tools.bytes += bytes;
            }
        }
    }
    (agent, tools)
}

/// What it is in this session. Below a helper everything is the helper's.
fn role_in(ask: &Ask, leader: ProcId, id: ProcId, passes: &Passes<'_>) -> Role {
    if id == leader {
        return Role::Agent(ask.agent.clone());
    }
    let role = |pid: i32| Role::of(passes.known.get(&pid));
    let mut inside = passes.table.lineage(id.pid).into_iter().take_while(|pid| *pid != leader.pid);
    if inside.any(|pid| role(pid) == Role::Helper) {
        return Role::Helper;
    }
    match role(id.pid) {
        Role::Agent(kind) if kind != ask.agent => Role::Tool,
        role => role,
    }
}

fn time(ticks: u64) -> Duration {
    Duration::from_millis(ticks * 1000 / clock::ticks_per_second().max(1))
}
