//! Closing sessions: the kill of [`crate::model::stop`], carried out for several at once.
//!
//! Runs in a thread that may block. One pass over the process table serves all sessions of the close; ends of
//! processes come from pidfds, so nothing is polled for while everybody ends in time.

mod lost;
mod report;
mod signal;
mod spare;
mod tree;

pub use signal::{Heard, signal_group, signal_tree};

use std::collections::{BTreeSet, HashMap, HashSet};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tracing::info;

use super::link::Link;
use super::missed;
use crate::api::types::{Closed, Outcome, Process};
use crate::api::wire::Request;
use crate::model::process::{Boundary, Claim, Table, members};
use crate::model::scene::Pane;
use crate::model::session::{Cause, ExitBy, ProcId};
use crate::model::stop::{Ending, Gentle, Manner, Next, Order, Plan, Seen, Signal};
use crate::sys::cgroup::Cgroup;
use crate::sys::failpoint;
use crate::sys::poll::{self, Event, Poller, Waker};
use crate::sys::process::Pin;
use crate::sys::signal::{Guard, Sent};
use crate::sys::table::{self, Tags};

/// How long a process may take to show its environment.
const TAGS: Duration = Duration::from_millis(500);
/// How long a pass waits for more to do, at most.
const COMPANY: Duration = Duration::from_millis(100);
const WAKE: u64 = u64::MAX;

/// A session to close.
pub struct Target {
    pub id: String,
    pub name: String,
    pub claim: Claim,
    pub cgroup: Option<Cgroup>,
    pub grace: Duration,
    pub terminal: bool,
    /// How its agent likes to be asked.
    pub gently: Option<Gently>,
    pub link: Option<Link>,
    pub cause: Cause,
    /// Set by a second request that does not want to wait for the grace.
    pub hurry: Arc<AtomicBool>,
    /// tmux servers born inside to which somebody from outside was seen attached.
    pub visited: BTreeSet<ProcId>,
    /// What its agent left behind is closed: these, and those that say so themselves, are left.
    pub keep: Option<Vec<ProcId>>,
    /// Left alone with everything below: members of other sessions, and what those share with this one.
    pub spared: Vec<ProcId>,
    /// The pane it is in.
    pub pane: Option<Pane>,
    /// That pane is closed as well.
    pub close_pane: bool,
}

/// An agent's own way to end.
#[derive(Debug, Clone)]
pub enum Gently {
    /// At its prompt, where it was seen just now.
    Typed(String),
    Signal(Signal),
}

/// What all closes of this daemon share.
#[derive(Clone)]
pub struct Surroundings {
    pub instance: String,
    pub fence: Option<String>,
    /// Pids of clients that are connected now.
    pub clients: Vec<i32>,
    /// Living keepers, of all sessions.
    pub keepers: HashSet<i32>,
    /// Members of all sessions as remembered: a client among them is no outsider.
    pub remembered: HashSet<i32>,
    pub tags: Arc<Mutex<Tags>>,
    /// Interrupts a wait.
    pub waker: Arc<Waker>,
}

/// A finished close.
pub struct Report {
    pub closed: Closed,
    /// Members seen alive at the end.
    pub survivors: Vec<ProcId>,
    /// Somebody was left on purpose: the session is not over.
    pub kept: bool,
    /// Somebody else works with what was left of it.
    pub spared: bool,
    /// Everything of it before the first signal, parents before children.
    pub tree: Vec<Process>,
    /// On whose account it was closed.
    pub by: ExitBy,
}

/// Closes all targets side by side; `done` is called for each as soon as it is over.
pub fn close(targets: Vec<Target>, around: &Surroundings, mut done: impl FnMut(Report)) {
    let begun = Instant::now();
    let mut work = match Work::new(around, begun) {
        Ok(work) => work,
        Err(error) => return targets.into_iter().for_each(|t| done(report::not_done(&t, &error))),
    };
    let mut open: Vec<Closing> = targets.into_iter().map(Closing::new).collect();
    while !open.is_empty() {
        if let Err(error) = work.look(&mut open) {
            return open.into_iter().for_each(|c| done(report::not_done(&c.target, &error)));
        }
        let (over, rest) = open.into_iter().partition(|c: &Closing| c.plan.ending().is_some());
        open = rest;
        for closing in over {
            done(work.report(closing));
        }
        if !open.is_empty() {
            work.wait(&mut open);
        }
    }
}

/// What a close would take now, without any signal.
pub fn preview(targets: Vec<Target>, around: &Surroundings) -> Vec<(Target, Vec<ProcId>)> {
    let Ok(mut work) = Work::new(around, Instant::now()) else { return Vec::new() };
    let mut closings: Vec<Closing> = targets.into_iter().map(Closing::new).collect();
    if work.scan(&mut closings).is_err() {
        return Vec::new();
    }
    closings.into_iter().map(|c| (c.target, c.seen.into_iter().map(|s| s.id).collect())).collect()
}

struct Closing {
    target: Target,
    plan: Plan,
    seen: Vec<Seen>,
    /// The last pass missed nobody: an empty set can be believed.
    sure: bool,
    /// Members in whose case only tag or kinship by group speaks: the fence applies to them.
    doubtful: HashSet<ProcId>,
    pins: HashMap<ProcId, Pin>,
    /// Pinned and not yet seen to end.
    waiting: HashSet<ProcId>,
    signals: Vec<&'static str>,
    denied: HashMap<ProcId, String>,
    spared: Vec<String>,
    /// tmux servers among them.
    servers: Vec<ProcId>,
    kept: Vec<ProcId>,
    /// Every member is below the living keeper.
    kept_whole: bool,
    /// It was seen alive by this close.
    had_keeper: bool,
    /// Nobody has adopted its orphans.
    lost: bool,
    /// Left alone with everything below, by this close.
    walls: HashSet<i32>,
    due: Due,
    tree: Vec<Process>,
    /// The plan knows that it is to hurry.
    hurried: bool,
}

#[derive(Clone, Copy)]
enum Due {
    Now,
    AllGoneOr(Duration),
    After(Duration),
}

impl Closing {
    fn new(target: Target) -> Self {
        let cgroup = target.cgroup.as_ref().is_some_and(Cgroup::can_kill);
        let gentle = target.claim.leader.zip(target.gently.as_ref()).map(|(leader, gently)| match gently {
            Gently::Typed(_) => (leader, Gentle::Typed),
            Gently::Signal(signal) => (leader, Gentle::Signal(*signal)),
        });
        let manner = Manner { grace: target.grace, terminal: target.terminal, cgroup, gentle };
        Self {
            plan: Plan::new(manner),
            target,
            seen: Vec::new(),
            sure: true,
            doubtful: HashSet::new(),
            pins: HashMap::new(),
            waiting: HashSet::new(),
            signals: Vec::new(),
            denied: HashMap::new(),
            spared: Vec::new(),
            servers: Vec::new(),
            kept: Vec::new(),
            kept_whole: false,
            had_keeper: false,
            lost: false,
            walls: HashSet::new(),
            due: Due::Now,
            tree: Vec::new(),
            hurried: false,
        }
    }

    /// Waiting for it is of no use.
    fn give_up(&mut self, id: ProcId, why: &str) {
        self.denied.insert(id, why.to_string());
        self.waiting.remove(&id);
        self.plan.refused(id);
    }

    fn is_due(&self, now: Duration) -> bool {
        match self.due {
            Due::Now => true,
            Due::AllGoneOr(at) => self.waiting.is_empty() || now >= at || (self.is_hurried() && !self.hurried),
            Due::After(at) => now >= at,
        }
    }

    fn is_hurried(&self) -> bool {
        self.target.hurry.load(Ordering::Relaxed)
    }

    fn deadline(&self) -> Duration {
        match self.due {
            Due::Now => Duration::ZERO,
            Due::AllGoneOr(at) | Due::After(at) => at,
        }
    }
}

struct Work<'a> {
    around: &'a Surroundings,
    begun: Instant,
    guard: Guard,
    boundary: Boundary,
    /// Found once, at the beginning.
    boundary_spared: HashSet<i32>,
    poller: Poller,
    events: Vec<Event>,
    /// Watched processes, by the number of their pidfd.
    watched: HashMap<u64, ProcId>,
    /// How long the last pass took, without what others were waited for.
    scan_took: Duration,
    looked_for_tmux: bool,
    kept_trees: bool,
}

impl<'a> Work<'a> {
    fn new(around: &'a Surroundings, begun: Instant) -> std::io::Result<Self> {
        let poller = Poller::new()?;
        poller.add(around.waker.as_fd(), WAKE, poll::READ)?;
        Ok(Self {
            around,
            begun,
            guard: Guard::default(),
            boundary: Boundary::default(),
            boundary_spared: HashSet::new(),
            poller,
            events: Vec::new(),
            watched: HashMap::new(),
            scan_took: Duration::ZERO,
            looked_for_tmux: false,
            kept_trees: false,
        })
    }

    /// One pass: who lives, what the plans want, and doing it.
    fn look(&mut self, open: &mut [Closing]) -> std::io::Result<()> {
        let table = self.scan(open)?;
        if !std::mem::replace(&mut self.kept_trees, true) {
            tree::keep(&table, open);
        }
        let now = self.begun.elapsed();
        for closing in open.iter_mut() {
            if closing.is_hurried() && !std::mem::replace(&mut closing.hurried, true) {
                closing.plan.hurry();
            }
            let seen = std::mem::take(&mut closing.seen);
            closing.plan.kept(closing.kept_whole);
            let (orders, next) = closing.plan.step(now, &seen, closing.sure);
            closing.seen = seen;
            orders.iter().for_each(|order| self.carry_out(closing, order));
            closing.due = match next {
                // Nobody could be watched (no descriptors left, or all ended between pass and pin).
                Next::AllGoneOr(at) if closing.waiting.is_empty() => Due::After(at.min(now + Duration::from_millis(1))),
                Next::AllGoneOr(at) => Due::AllGoneOr(at),
                Next::After(wait) => Due::After(self.begun.elapsed() + wait),
                Next::Done(_) => Due::Now,
            };
        }
        Ok(())
    }

    fn scan(&mut self, open: &mut [Closing]) -> std::io::Result<Table> {
        let started = Instant::now();
        let table = table::read()?;
        self.draw_boundary(&table);
        open.iter_mut().for_each(|closing| closing.look_for_keeper(&table));
        let (carriers, all_asked) = self.carriers(&table, open);
        for closing in open.iter_mut() {
            let (claim, lost) = (&mut closing.target.claim, closing.lost);
            let tag = format!("{}@{}", closing.target.id, self.around.instance);
            claim.tagged = carriers.iter().filter(|(_, t)| *t == tag).map(|(pid, _)| *pid).collect();
            // Below a living keeper nobody is lost: its cgroup would tell nothing new.
            claim.cgroup = closing.target.cgroup.as_ref().filter(|_| lost).map(Cgroup::processes).unwrap_or_default();
        }
        let mut late = Vec::new();
        for closing in open.iter_mut() {
            closing.sure = missed::by(&table, &closing.target.claim, &mut late);
            closing.sure &= all_asked || !closing.lost;
        }
        let table = missed::with(table, late);
        let mut asking = Duration::ZERO;
        if !std::mem::replace(&mut self.looked_for_tmux, true) {
            let asked = Instant::now();
            self.spare_tmux(&table, open);
            asking = asked.elapsed();
        }
        self.spare_of_panes(&table, open);
        self.spare_others(&table, open);
        self.spare_kept(&table, open);
        for closing in open.iter_mut() {
            self.count(&table, closing);
        }
        self.scan_took = started.elapsed().saturating_sub(asking);
        Ok(table)
    }

    /// Everybody that must live, from this very table.
    fn draw_boundary(&mut self, table: &Table) {
        let own = table.lineage(i32::try_from(std::process::id()).unwrap_or(0));
        let is_inside = |pid: i32| {
            table.lineage(pid).iter().any(|up| self.around.keepers.contains(up) || self.around.remembered.contains(up))
        };
        let outsiders = self.around.clients.iter().filter(|pid| !is_inside(**pid));
        let mut protected: HashSet<i32> = own.into_iter().collect();
        protected.extend(outsiders.flat_map(|pid| table.lineage(*pid)));
        for keeper in &self.around.keepers {
            protected.extend(table.lineage(*keeper));
        }
        self.guard = Guard::new(protected.clone(), self.around.fence.as_deref());
        self.boundary.keepers.clone_from(&self.around.keepers);
        self.boundary.protected = protected;
        self.boundary.spared.clone_from(&self.boundary_spared);
    }

    fn count(&self, table: &Table, closing: &mut Closing) {
        let walled = (!closing.walls.is_empty()).then(|| {
            let spared = self.boundary.spared.union(&closing.walls).copied().collect();
            Boundary { spared, ..self.boundary.clone() }
        });
        let found = members(table, &closing.target.claim, walled.as_ref().unwrap_or(&self.boundary));
        let claim = &closing.target.claim;
        closing.doubtful.clear();
        closing.kept_whole = true;
        let keeper = claim.keeper.filter(|k| table.is_alive(*k));
        for id in &found {
            let kept = keeper.is_some_and(|k| table.lineage(id.pid).contains(&k.pid));
            closing.kept_whole &= kept;
            let own =
                kept || claim.remembered.contains(id) || claim.cgroup.contains(&id.pid) || claim.leader == Some(*id);
            // What beadle did not start is never its own beyond doubt.
            if !own || claim.foreign {
                closing.doubtful.insert(*id);
            }
        }
        let state = |id: &ProcId| table.get(*id).map(|p| Seen { id: *id, state: p.state });
        closing.seen = found.iter().filter_map(state).collect();
        closing.waiting.retain(|id| table.is_alive(*id));
    }

    fn carry_out(&mut self, closing: &mut Closing, order: &Order) {
        match *order {
            Order::Signal(id, signal) => {
                self.signal(closing, id, signal);
            }
            Order::KillCgroup => self.kill_cgroup(closing),
            Order::Type(agent) => {
                // Its end is watched; if it cannot be held it has ended.
                let _ = closing.pins.contains_key(&agent) || self.pin(closing, agent);
                // What somebody left at the prompt goes first.
                if let Some(Gently::Typed(word)) = &closing.target.gently {
                    info!("session={}: its agent is asked to end: typed {word:?}", closing.target.id);
                    typed(closing, format!("\x15{word}").into_bytes());
                }
            }
            Order::Enter => typed(closing, b"\r".to_vec()),
            Order::CloseInput => {
                // Without a keeper there is no pipe to close.
                let _ = closing.target.link.as_ref().map(|l| l.order(&Request::CloseInput));
            }
        }
    }

    /// Only if everybody inside is to be taken: nobody spared, protected or outside the fence.
    fn kill_cgroup(&self, closing: &mut Closing) {
        let Some(cgroup) = &closing.target.cgroup else { return };
        let barred = |pid: &i32| self.boundary.protected.contains(pid) || self.boundary.keepers.contains(pid);
        let nobody_else = self.boundary.spared.is_empty() && !cgroup.processes().iter().any(barred);
        let all_ours = self.around.fence.is_none() && nobody_else;
        if !all_ours {
            closing.plan.without_cgroup();
        } else if cgroup.kill().is_ok() {
            info!("session={}: its cgroup was killed whole", closing.target.id);
            note(&mut closing.signals, "KILL");
        }
    }

    fn signal(&mut self, closing: &mut Closing, id: ProcId, signal: Signal) {
        if !closing.pins.contains_key(&id) && !self.pin(closing, id) {
            return;
        }
        let Some(pin) = closing.pins.get(&id) else { return };
        let own = !closing.doubtful.contains(&id);
        failpoint::here("daemon.signal.before");
        let sent = self.guard.send(pin, signal.into(), own);
        failpoint::here("daemon.signal.after");
        match sent {
            Sent::Sent => note(&mut closing.signals, signal.as_str()),
            Sent::Gone => {}
            Sent::Denied => closing.give_up(id, "it belongs to another user"),
            Sent::Refused(why) => closing.give_up(id, why),
        }
    }

    fn pin(&mut self, closing: &mut Closing, id: ProcId) -> bool {
        failpoint::here("daemon.pin.before");
        let pinned = Pin::new(id).or_else(|_| {
            // Out of descriptors: those of the dead are of no more use.
            closing.pins.retain(|id, _| closing.waiting.contains(id));
            Pin::new(id)
        });
        let pin = match pinned {
            Ok(Some(pin)) => pin,
            Ok(None) => return false,
            Err(error) => {
                closing.denied.insert(id, format!("it could not be held: {error}"));
                closing.plan.forgotten(id);
                return false;
            }
        };
        // Not watched: its end is seen by the next pass instead.
        if self.poller.add(&pin, poll::token(&pin), poll::READ).is_ok() {
            closing.waiting.insert(id);
            self.watched.insert(poll::token(&pin), id);
        }
        closing.pins.insert(id, pin);
        true
    }

    /// Until a session is due; then a little longer, so that one pass serves those that end at the same time.
    fn wait(&mut self, open: &mut [Closing]) {
        let mut first_due: Option<Instant> = None;
        loop {
            let now = self.begun.elapsed();
            let due = open.iter().filter(|c| c.is_due(now)).count();
            if due > 0 {
                first_due.get_or_insert_with(Instant::now);
            }
            let next = open.iter().map(Closing::deadline).filter(|at| *at > now).min().unwrap_or(now);
            let waited = first_due.map(|at| at.elapsed());
            let all_due = due == open.len();
            let Some(timeout) = pause(all_due, waited, self.scan_took, next.saturating_sub(now)) else { return };
            let mut events = std::mem::take(&mut self.events);
            if self.poller.wait(&mut events, Some(timeout)).is_err() {
                return;
            }
            for event in &events {
                self.on_end(open, event.token);
            }
            self.events = events;
        }
    }

    fn on_end(&mut self, open: &mut [Closing], token: u64) {
        if token == WAKE {
            return self.around.waker.rest();
        }
        let Some(id) = self.watched.remove(&token) else { return };
        for closing in open {
            closing.waiting.remove(&id);
            // Its descriptor stays readable, and must not be reported again.
            closing.pins.get(&id).map(|pin| self.poller.remove(pin));
        }
    }

    fn report(&mut self, closing: Closing) -> Report {
        for pin in closing.pins.values() {
            self.watched.remove(&poll::token(pin));
        }
        let ending = closing.plan.ending().unwrap_or(Ending::Survivors);
        let survivors: Vec<ProcId> =
            if ending == Ending::Survivors { closing.seen.iter().map(|s| s.id).collect() } else { Vec::new() };
        let outcome = match ending {
            Ending::AlreadyGone if closing.spared.is_empty() => Outcome::AlreadyGone,
            // Or what is left of it is somebody else's.
            Ending::AlreadyGone | Ending::Clean => Outcome::Clean,
            Ending::Forced => Outcome::Forced,
            Ending::Survivors => Outcome::Survivors,
        };
        let kept = closing.kept.iter().map(|id| report::kept(*id));
        let mut described: Vec<_> =
            survivors.iter().map(|id| report::survivor(*id, closing.denied.get(id).map(String::as_str))).collect();
        if ending == Ending::Survivors && described.is_empty() {
            described.push(report::never_held());
        }
        let spared = !closing.spared.is_empty();
        let closed = Closed {
            id: closing.target.id,
            name: closing.target.name,
            outcome,
            signals: closing.signals.iter().map(ToString::to_string).collect(),
            processes: closing.plan.processes(),
            survivors: described,
            seconds: self.begun.elapsed().as_secs_f64(),
            reason: closing.target.cause.reason,
            resume: None,
            spared: closing.spared.into_iter().chain(kept).collect(),
            screen: None,
        };
        let kept = !closing.kept.is_empty();
        Report { closed, survivors, kept, spared, tree: closing.tree, by: closing.target.cause.by }
    }
}

/// How long to wait before the next pass, `None` when it is time: everybody is due, or the first has waited for the
/// others as long as a pass takes. A pass that was long because the machine is busy is no reason to wait long.
fn pause(all_due: bool, waited: Option<Duration>, scan_took: Duration, until_next: Duration) -> Option<Duration> {
    match waited {
        _ if all_due => None,
        None => Some(until_next),
        Some(waited) => scan_took.min(COMPANY).checked_sub(waited).filter(|left| !left.is_zero()),
    }
}

/// A keeper that takes no orders any more is no reason to wait: its agent is asked like any other.
fn typed(closing: &Closing, bytes: Vec<u8>) {
    let order = Request::Type { seq: u64::MAX, bytes };
    if let Some(Err(error)) = closing.target.link.as_ref().map(|link| link.order(&order)) {
        info!("session={}: its agent could not be asked to end: {error}", closing.target.id);
    }
}

fn note(signals: &mut Vec<&'static str>, name: &'static str) {
    if !signals.contains(&name) {
        signals.push(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_done_waits_for_the_others_no_longer_than_a_pass_takes_and_never_long() {
        const MS: fn(u64) -> Duration = Duration::from_millis;
        for (all_due, waited, scan_took, expected) in [
            (false, None, MS(4), Some(MS(900))),
            (true, None, MS(4), None),
            (true, Some(MS(1)), MS(4), None),
            (false, Some(MS(1)), MS(4), Some(MS(3))),
            (false, Some(MS(4)), MS(4), None),
            (false, Some(MS(9)), MS(4), None),
            (false, Some(MS(10)), MS(3000), Some(MS(90))),
            (false, Some(MS(100)), MS(3000), None),
        ] {
            assert_eq!(pause(all_due, waited, scan_took, MS(900)), expected, "{all_due} {waited:?} {scan_took:?}");
        }
    }
}
