//! From two scans to what was done: the plan, the close of each stray, the record, the report.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::births;
use super::scan::{Asking, Seen};
use crate::api::sweep::{Action, Candidate, SweepReport, in_words};
use crate::api::types::{Evidence, Outcome};
use crate::daemon::close::{self, Report, Surroundings, Target};
use crate::daemon::handed;
use crate::daemon::store::{CloseBegan, CloseEnded, Fact, Run, Store};
use crate::model::process::Claim;
use crate::model::session::{Cause, Origin, ProcId};
use crate::model::stray::{self, Fate, Judged, Marks, Plan, Veto};
use crate::sys::{clock, process};

/// Between the two scans.
const BETWEEN: Duration = Duration::from_secs(1);

/// What is needed to act.
pub struct Taking {
    pub around: Surroundings,
    pub grace: Duration,
    /// Members of managed sessions and their keepers, and whom a person left out.
    pub spared: Vec<ProcId>,
    pub store: Store,
    pub boot: String,
    pub cause: Cause,
}

/// The whole of it, with what a person said about single processes.
pub fn sweep(asking: &Asking, taking: &Taking, dry_run: bool, marks: &Marks) -> SweepReport {
    let (plan, seen) = planned(asking, marks);
    let failure = plan.failed.clone();
    let mut report = SweepReport { dry_run, failure, ..SweepReport::default() };
    let Some(seen) = seen else { return report };
    report.candidates = shown(&plan, &seen);
    report.notes = unmet(marks, &plan, &seen);
    if !dry_run {
        let wanted = plan.taken().filter(|j| report.candidates.iter().any(|c| is_wanted(c, j.id)));
        let strays: Vec<&Judged> = wanted.collect();
        let done = taking.take(&strays, &plan, &seen);
        report.candidates.iter_mut().for_each(|c| settle(c, &done));
        report.notes.extend(report.candidates.iter().flat_map(|c| outside(c, &done)));
    }
    let count = |actions: &[Action]| report.candidates.iter().filter(|c| actions.contains(&c.action)).count();
    report.killed = count(&[Action::Killed]);
    report.spared = count(&[Action::Spared]);
    report.failed = count(&[Action::Failed]);
    let killed = report.candidates.iter().filter(|c| c.action == Action::Killed);
    report.freed_bytes = killed.map(|c| c.memory_bytes).sum();
    report
}

/// Two scans, and what both agree on.
fn planned(asking: &Asking, marks: &Marks) -> (Plan, Option<Seen>) {
    let first = asking.scan();
    if let Err(why) = first {
        return (Plan { candidates: Vec::new(), failed: Some(why) }, None);
    }
    std::thread::sleep(BETWEEN.min(asking.ground.min_age));
    let second = asking.scan();
    let judged = |scan: &Result<Seen, String>| scan.as_ref().map(|s| s.judged.clone()).map_err(Clone::clone);
    (stray::agree(&judged(&first), &judged(&second), marks), second.ok())
}

/// Candidates as people see them. Who is below a stray goes with it and is no candidate of its own.
fn shown(plan: &Plan, seen: &Seen) -> Vec<Candidate> {
    let all: HashSet<i32> = plan.candidates.iter().map(|j| j.id.pid).collect();
    let one = |j: &Judged| Candidate {
        pid: j.id.pid,
        start_time: j.id.start,
        agent: seen.agents.get(&j.id).cloned().unwrap_or_default(),
        command: seen.commands.get(&j.id).cloned().unwrap_or_default(),
        memory_bytes: memory(seen, j.id.pid),
        proofs: j.proofs.clone(),
        vetoes: in_words(&j.vetoes),
        action: match j.fate {
            Fate::Take => Action::WouldKill,
            Fate::Spare | Fate::Ignore => Action::Spared,
            Fate::Suspect => Action::Suspect,
        },
        why: j.why(),
        marked: j.marked,
        below: above(seen, j.id.pid).find(|up| all.contains(up)),
        survivors: Vec::new(),
    };
    plan.candidates.iter().filter(|j| is_wall(j) || taken_with(plan, seen, j.id.pid).is_none()).map(one).collect()
}

fn above(seen: &Seen, pid: i32) -> impl Iterator<Item = i32> {
    seen.scene.table.lineage(pid).into_iter().skip(1)
}

/// Who is taken, and takes this one along.
fn taken_with(plan: &Plan, seen: &Seen, pid: i32) -> Option<i32> {
    above(seen, pid).find(|up| plan.taken().any(|j| j.id.pid == *up))
}

/// Marks that name nobody who could be taken.
fn unmet(marks: &Marks, plan: &Plan, seen: &Seen) -> Vec<String> {
    let mut asked: Vec<ProcId> = marks.take.iter().copied().collect();
    asked.sort_unstable_by_key(|id| id.pid);
    let one = |id: ProcId| {
        if !seen.scene.table.is_alive(id) {
            return Some(format!("pid {} was marked and is not there any more", id.pid));
        }
        match plan.candidates.iter().find(|j| j.id == id) {
            Some(j) if j.fate == Fate::Take || taken_with(plan, seen, id.pid).is_some() => None,
            Some(j) => Some(format!("pid {} was marked and is spared: {}", id.pid, j.why())),
            None => Some(format!("pid {} was marked and is no suspect", id.pid)),
        }
    };
    asked.into_iter().filter_map(one).collect()
}

/// Below a stray it is left alone all the same.
fn is_wall(judged: &Judged) -> bool {
    let goes = |veto: &Veto| {
        matches!(
            veto,
            Veto::Owned(_)
                | Veto::Young
                | Veto::NotTwice
                | Veto::NotAsked
                | Veto::BeadleIsYoung
                | Veto::Clients
                | Veto::KinLives
        )
    };
    judged.fate == Fate::Spare && !judged.vetoes.iter().all(goes)
}

fn below(seen: &Seen, pid: i32) -> Vec<i32> {
    let mut all = vec![pid];
    let mut at = 0;
    while let Some(pid) = all.get(at).copied() {
        all.extend(seen.scene.table.children(pid).iter().filter(|c| !all.contains(c)).copied().collect::<Vec<_>>());
        at += 1;
    }
    all
}

fn memory(seen: &Seen, pid: i32) -> u64 {
    let pages = below(seen, pid).into_iter().filter_map(|pid| seen.scene.table.pid(pid)).map(|p| p.rss_pages);
    pages.sum::<u64>().saturating_mul(clock::page_bytes())
}

fn is_wanted(candidate: &Candidate, id: ProcId) -> bool {
    candidate.action == Action::WouldKill && candidate.name().id() == id
}

/// What became of it.
fn settle(candidate: &mut Candidate, done: &HashMap<String, Report>) {
    if candidate.action != Action::WouldKill {
        return;
    }
    let Some(report) = done.get(&name_of(candidate.name().id())) else {
        candidate.action = Action::Failed;
        candidate.why = "the close of it did not end".into();
        return;
    };
    candidate.survivors.clone_from(&report.closed.survivors);
    let gone = report.closed.outcome != Outcome::Survivors;
    candidate.action = if gone { Action::Killed } else { Action::Failed };
    if let Some(survivor) = report.closed.survivors.first().filter(|_| !gone) {
        candidate.why = format!("pid {} is still there: {}", survivor.pid, survivor.why);
    }
}

/// Containers and units of strays that were taken: they live outside of their trees.
fn outside(candidate: &Candidate, done: &HashMap<String, Report>) -> Vec<String> {
    let tree = done.get(&name_of(candidate.name().id())).map(|report| report.tree.as_slice());
    handed::by(tree.unwrap_or_default()).map(|what| format!("outside the tree of {}: {what}", candidate.pid)).collect()
}

/// The name a stray has in the record: no session's.
fn name_of(id: ProcId) -> String {
    format!("stray-{}-{}", id.pid, id.start)
}

impl Taking {
    fn take(&self, strays: &[&Judged], plan: &Plan, seen: &Seen) -> HashMap<String, Report> {
        let began: HashMap<String, CloseBegan> = strays.iter().map(|j| (name_of(j.id), self.began(j, seen))).collect();
        began.values().for_each(|b| self.store.tell(Fact::CloseBegan(Box::new(b.clone()))));
        let targets: Vec<Target> = strays.iter().map(|j| self.target(j, strays, plan, seen)).collect();
        let mut done = HashMap::new();
        if targets.is_empty() {
            return done;
        }
        close::close(targets, &self.around, |report| {
            if let Some(began) = began.get(&report.closed.id) {
                let (began, tree) = (began.clone(), report.tree.clone());
                let ended = CloseEnded { began, report: report.closed.clone(), tree };
                self.store.tell(Fact::Closed(Box::new(ended)));
            }
            done.insert(report.closed.id.clone(), report);
        });
        done
    }

    fn target(&self, stray: &Judged, strays: &[&Judged], plan: &Plan, seen: &Seen) -> Target {
        let id = stray.id;
        Target {
            id: name_of(id),
            name: name_of(id),
            claim: Claim { leader: Some(id), since: id.start, foreign: true, ..Claim::default() },
            cgroup: None,
            grace: self.grace,
            terminal: false,
            gently: None,
            link: None,
            cause: self.cause.clone(),
            hurry: Arc::default(),
            visited: BTreeSet::new(),
            keep: None,
            spared: self.spared(id, strays, plan, seen),
            pane: None,
            close_pane: false,
        }
    }

    /// Left alone with everything below: managed sessions, live agents elsewhere and what is theirs, keepers, shared
    /// daemons, and who is vetoed for a reason of its own.
    fn spared(&self, id: ProcId, strays: &[&Judged], plan: &Plan, seen: &Seen) -> Vec<ProcId> {
        let table = &seen.scene.table;
        let own: HashSet<i32> = below(seen, id.pid).into_iter().collect();
        let is_stray = |other: ProcId| strays.iter().any(|j| j.id == other);
        let mut spared = self.spared.clone();
        let others =
            seen.scene.sightings.iter().filter(|s| s.leader != id && !s.is_shell() && s.origin != Origin::Managed);
        spared.extend(others.flat_map(|s| s.members.iter()).filter(|m| !own.contains(&m.pid)));
        spared.extend(seen.scene.keepers.iter().filter_map(|pid| table.pid(*pid)).map(|p| p.id));
        spared.extend(seen.protected.iter().filter_map(|pid| table.pid(*pid)).map(|p| p.id));
        spared.extend(births::shared(&seen.scene).filter(|other| !is_stray(*other)));
        spared.extend(plan.candidates.iter().filter(|j| is_wall(j)).map(|j| j.id));
        spared.retain(|other| *other != id && !table.lineage(id.pid).contains(&other.pid));
        spared
    }

    fn began(&self, stray: &Judged, seen: &Seen) -> CloseBegan {
        let (id, at) = (stray.id, clock::wall());
        let started_at = clock::wall_at(clock::moment_of_start(id.start));
        let proof = |p: &stray::Proof| Evidence { kind: "proof".into(), text: p.to_string(), at: Some(at.clone()) };
        let mark = stray.marked.then(|| Evidence { kind: "mark".into(), text: stray.why(), at: Some(at.clone()) });
        CloseBegan {
            run: Run {
                id: name_of(id),
                started_at,
                name: name_of(id),
                agent: seen.agents.get(&id).cloned().unwrap_or_default(),
                project: None,
                workspace: String::new(),
                command: process::arguments(id.pid),
                boot_id: self.boot.clone(),
                exit: None,
                seconds: None,
                messages: None,
            },
            cause: self.cause.clone(),
            evidence: stray.proofs.iter().map(proof).chain(mark).collect(),
            at,
        }
    }
}
