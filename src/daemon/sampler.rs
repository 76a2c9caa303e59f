//! What sessions use: one pass over the process table for all of them.
//!
//! Processor time and I/O are counted between two passes, so the first one knows none. Memory is resident memory from the same line
//! of `stat`. The figures of the host are in `daemon status` (`sys::host`).

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::discovery::Scene;
use super::effort::{Efforts, Passes};
use super::missed;
use crate::api::types::Process;
use crate::model::effort::Found;
use crate::model::policy::Kept;
use crate::model::process::{Boundary, Claim, Proc, Table, members};
use crate::model::scene::Sighting;
use crate::model::session::ProcId;
use crate::model::usage::{Usage, Used};
use crate::sys::cgroup::Cgroup;
use crate::sys::table::{self, Tags};
use crate::sys::{clock, process, spawn};

/// How long the environment of processes is asked for.
const TAGS: Duration = Duration::from_millis(500);
/// Over less than this no rate is told: the kernel counts processor time in ticks.
const SHORTEST: Duration = Duration::from_millis(50);

/// A session to be measured.
#[derive(Clone)]
pub struct Ask {
    pub id: String,
    pub claim: Claim,
    pub cgroup: Option<Cgroup>,
    /// Which kind of agent it is.
    pub agent: String,
    /// Bytes it has written to its terminal.
    pub written: u64,
    /// Its leader has gone: who is to be kept, as far as a person said so.
    pub keep: Option<Vec<ProcId>>,
    /// What was measured of each member last.
    pub shares: Shares,
}

/// Processor time of members, percent of one core, with that of children they waited for.
pub type Shares = Arc<[(ProcId, f64)]>;

impl Ask {
    /// For a session beadle did not start.
    pub fn foreign(id: String, seen: &Sighting, shares: Shares) -> Self {
        // What it writes to its terminal is not known, and judged with the rest.
        Self { id, claim: seen.claim(), cgroup: None, agent: seen.agent.clone(), written: 0, keep: None, shares }
    }
}

/// What was found of one.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    pub id: String,
    pub members: Vec<ProcId>,
    pub cpu_percent: Option<f64>,
    pub shares: Shares,
    /// Read and written by system calls; `None` when no member tells.
    pub io_bytes_per_second: Option<f64>,
    pub memory_bytes: u64,
    pub leader_lives: bool,
    pub leader_stopped: bool,
    /// What the agent and its tools did.
    pub effort: Found,
    /// How many of those left behind are to be kept.
    pub kept: Kept,
    /// tmux servers among the members.
    pub tmux_servers: Vec<ProcId>,
    /// Everybody who could be a member was asked.
    pub whole: bool,
}

/// What all passes need to know.
#[derive(Clone, Default)]
pub struct Ground {
    pub instance: String,
    pub keepers: HashSet<i32>,
    /// Over how long use is added up.
    pub window: Duration,
}

/// What it has used since it began.
fn used(process: &Proc) -> Used {
    Used { own: process.cpu_ticks, reaped: process.reaped_ticks, io: process::io_bytes(process.id.pid) }
}

#[derive(Default)]
pub struct Sampler {
    usage: Usage,
    last: Option<Instant>,
    efforts: Efforts,
}

impl Sampler {
    /// Measures all that is asked for, over a pass that others share.
    pub fn sample(&mut self, scene: &Scene, asks: &[Ask], ground: &Ground, tags: &Mutex<Tags>) -> Vec<Sample> {
        let table = &scene.table;
        let (claims, all_asked) = claimed(table, asks, ground, tags);
        let mut late = Vec::new();
        // Of its own, a living keeper knows when the last has gone.
        let is_kept = |claim: &Claim| claim.keeper.is_some_and(|k| table.is_alive(k));
        let sure: Vec<bool> =
            claims.iter().map(|claim| is_kept(claim) || missed::by(table, claim, &mut late)).collect();
        let completed = (!late.is_empty()).then(|| table.with(late));
        let table = completed.as_ref().unwrap_or(table);
        let boundary = boundary(table, ground);
        let now = Instant::now();
        let since = self.last.replace(now).map(|last| now.duration_since(last));
        let found: Vec<Vec<ProcId>> = claims.iter().map(|claim| found(table, claim, &boundary)).collect();
        let all = || found.iter().flatten().filter_map(|id| table.get(*id));
        self.usage.look(table, clock::ticks_since_boot(), all().map(|p| (p.id, used(p))));
        self.efforts.forget(table);
        let passes = Passes { table, known: &scene.known, usage: &self.usage, window: ground.window };
        let mut samples = Vec::with_capacity(asks.len());
        for (((ask, claim), found), sure) in asks.iter().zip(&claims).zip(&found).zip(sure) {
            let procs: Vec<&Proc> = found.iter().filter_map(|id| table.get(*id)).collect();
            samples.push(Sample {
                id: ask.id.clone(),
                cpu_percent: since.and_then(|span| percent(found, &self.usage, span)),
                shares: since.map_or_else(Shares::default, |span| shares(found, &self.usage, span)),
                io_bytes_per_second: since.and_then(|span| io_rate(found, &self.usage, span)),
                memory_bytes: procs.iter().map(|p| p.rss_pages).sum::<u64>() * clock::page_bytes(),
                leader_lives: claim.leader.is_some_and(|l| table.is_alive(l)),
                leader_stopped: claim.leader.and_then(|l| table.get(l)).is_some_and(|p| p.state == b'T'),
                effort: self.efforts.of(ask, found, &passes),
                whole: all_asked && sure,
                kept: ask.keep.as_ref().map_or(Kept::Nobody, |named| how_many_kept(table, found, named, tags)),
                tmux_servers: procs.iter().filter(|p| p.comm_is(b"tmux: server")).map(|p| p.id).collect(),
                members: found.clone(),
            });
        }
        samples
    }
}

/// Who belongs to a session. Of a foreign one that was found out by [`super::discovery`], in this very pass.
fn found(table: &Table, claim: &Claim, boundary: &Boundary) -> Vec<ProcId> {
    if claim.foreign {
        return claim.remembered.iter().copied().filter(|id| table.is_alive(*id)).collect();
    }
    members(table, claim, boundary)
}

/// Bytes a second.
fn io_rate(members: &[ProcId], usage: &Usage, span: Duration) -> Option<f64> {
    let told: Vec<u64> = members.iter().filter_map(|id| usage.between(*id)?.io).collect();
    if told.is_empty() || span < SHORTEST {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "bytes between two passes are few")]
    let bytes = told.iter().sum::<u64>() as f64;
    Some((bytes / span.as_secs_f64()).round())
}

/// The members a linger close leaves, each with everything below it: those a person named, and those that say so
/// themselves.
pub fn kept(table: &Table, members: &[ProcId], named: &[ProcId], tags: &Mutex<Tags>) -> Vec<ProcId> {
    let wanted = members.iter().filter_map(|id| table.get(*id)).copied();
    let said = tags.lock().unwrap_or_else(PoisonError::into_inner).to_be_kept(table, wanted, TAGS);
    members.iter().filter(|id| named.contains(id) || said.contains(id)).copied().collect()
}

fn how_many_kept(table: &Table, members: &[ProcId], named: &[ProcId], tags: &Mutex<Tags>) -> Kept {
    let roots: HashSet<i32> = kept(table, members, named, tags).iter().map(|id| id.pid).collect();
    let is_kept = |id: &ProcId| table.lineage(id.pid).iter().any(|up| roots.contains(up));
    match members.iter().filter(|id| is_kept(id)).count() {
        0 => Kept::Nobody,
        n if n == members.len() => Kept::All,
        _ => Kept::Some,
    }
}

fn boundary(table: &Table, ground: &Ground) -> Boundary {
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    Boundary {
        keepers: ground.keepers.clone(),
        protected: table.lineage(own).into_iter().collect(),
        ..Boundary::default()
    }
}

/// Claims with what only this table knows. Tags are asked for only when a keeper has gone: below a living one nothing
/// needs them.
fn claimed(table: &Table, asks: &[Ask], ground: &Ground, tags: &Mutex<Tags>) -> (Vec<Claim>, bool) {
    let is_gone = |a: &&Ask| !a.claim.foreign && a.claim.keeper.is_none_or(|k| !table.is_alive(k));
    let gone: HashSet<&str> = asks.iter().filter(is_gone).map(|a| a.id.as_str()).collect();
    let (carriers, all_asked) = if gone.is_empty() {
        (Vec::new(), true)
    } else {
        let since = asks.iter().filter(is_gone).map(|a| a.claim.since).min().unwrap_or(0);
        let wanted = may_carry(table, since, &ground.keepers).into_iter();
        tags.lock().unwrap_or_else(PoisonError::into_inner).of(table, wanted, TAGS)
    };
    let one = |ask: &Ask| {
        let mut claim = ask.claim.clone();
        if gone.contains(ask.id.as_str()) {
            let tag = format!("{}@{}", ask.id, ground.instance);
            claim.tagged = carriers.iter().filter(|(_, t)| *t == tag).map(|(pid, _)| *pid).collect();
            claim.cgroup = ask.cgroup.as_ref().map(Cgroup::processes).unwrap_or_default();
        }
        claim
    };
    (asks.iter().map(one).collect(), all_asked)
}

/// Of one core.
fn percent(members: &[ProcId], usage: &Usage, span: Duration) -> Option<f64> {
    if span < SHORTEST {
        return None;
    }
    let used: u64 = members.iter().filter_map(|id| usage.between(*id)).map(|used| used.own + used.reaped).sum();
    #[expect(clippy::cast_precision_loss, reason = "ticks between two passes are few")]
    let seconds = used as f64 / clock::ticks_per_second() as f64;
    let percent = seconds / span.as_secs_f64() * 100.0;
    Some((percent * 10.0).round() / 10.0)
}

fn shares(members: &[ProcId], usage: &Usage, span: Duration) -> Shares {
    members.iter().filter_map(|id| Some((*id, percent(&[*id], usage, span)?))).collect()
}

/// Whose environment may hold the tag of a session of these times without a living keeper above to say so. Of another
/// user's no tag counts, and reading it may hang.
pub(super) fn may_carry(table: &Table, since: u64, keepers: &HashSet<i32>) -> Vec<Proc> {
    let own = Some(spawn::own_uid());
    let is_kept = |p: &Proc| table.lineage(p.id.pid).iter().any(|up| keepers.contains(up));
    let may = |p: &&Proc| p.id.start >= since && !is_kept(p) && process::owner_uid(p.id.pid) == own;
    table.iter().filter(may).copied().collect()
}

/// The process tree of one session, parents before children.
pub fn tree(ask: &Ask, ground: &Ground, tags: &Mutex<Tags>) -> io::Result<Vec<Process>> {
    let table = table::read()?;
    let (claims, _) = claimed(&table, std::slice::from_ref(ask), ground, tags);
    let Some(mut claim) = claims.into_iter().next() else { return Ok(Vec::new()) };
    if !claim.foreign {
        // A close takes them too: they are shown before.
        let wanted = may_carry(&table, claim.since, &ground.keepers).into_iter();
        let (carriers, _) = tags.lock().unwrap_or_else(PoisonError::into_inner).of(&table, wanted, TAGS);
        let tag = format!("{}@{}", ask.id, ground.instance);
        claim.tagged = carriers.into_iter().filter(|(_, t)| *t == tag).map(|(pid, _)| pid).collect();
    }
    let found = found(&table, &claim, &boundary(&table, ground));
    let mut tree = described(&table, &found, |p| process::command(p.id.pid));
    for process in &mut tree {
        let is_it = |(id, _): &&(ProcId, f64)| (id.pid, id.start) == (process.pid, process.start_time);
        process.cpu_percent = ask.shares.iter().find(is_it).map(|(_, percent)| *percent);
    }
    Ok(tree)
}

/// Members as people are shown them.
pub fn described(table: &Table, found: &[ProcId], command: impl Fn(&Proc) -> String) -> Vec<Process> {
    let pids: HashSet<i32> = found.iter().map(|id| id.pid).collect();
    let depth = |pid: i32| table.lineage(pid).iter().skip(1).filter(|up| pids.contains(up)).count();
    let one = |p: &Proc| Process {
        pid: p.id.pid,
        parent_pid: p.ppid,
        start_time: p.id.start,
        command: command(p),
        state: char::from(p.state).to_string(),
        cpu_percent: None,
        memory_bytes: p.rss_pages * clock::page_bytes(),
        depth: u32::try_from(depth(p.id.pid)).unwrap_or(u32::MAX),
    };
    found.iter().filter_map(|id| table.get(*id)).map(one).collect()
}
