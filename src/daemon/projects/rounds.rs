//! Rounds: when there is one, what goes in, and what is done about what comes out.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use super::orders::{Meant, Order, Outcome};
use super::round::{Asked, Ground, Live, Plan, Settled};
use super::{Answer, EVERY, News, Ordered, Waiting};
use crate::api::kept::Dir;
use crate::api::project::{ProjectEnded, ProjectsRemoved};
use crate::api::refusal::{Code, Refusal};
use crate::api::types::KillReport;
use crate::daemon::handle::Input;
use crate::daemon::start::Ids;
use crate::daemon::supervisor::{Supervisor, answer};
use crate::model::lifecycle::Keeper;
use crate::model::project::Fate;
use crate::model::session::{Exit, ExitBy, State};
use crate::sys::clock;
use crate::sys::watch::Watch;

/// A close that takes longer than this holds up nothing any more.
const HOLD: Duration = Duration::from_secs(30);
/// A database that could not be used is let alone for so long.
const TROUBLE: Duration = Duration::from_secs(5);
/// What is written into the database in so short a time is looked at together.
const TOUCHES: Duration = Duration::from_millis(100);
/// Most sessions claimed in one round.
const AT_ONCE: usize = 8;

impl Supervisor {
    pub(in crate::daemon) fn order(&mut self, ordered: Ordered) {
        self.queue.orders.push(ordered);
        self.make_round();
    }

    /// What somebody writes into the database has its effect at once, and nobody has to ask again and again.
    pub fn watch_database(&self) {
        let database = self.set.paths.database();
        let (Some(dir), Some(name)) = (database.parent(), database.file_name().and_then(|n| n.to_str())) else {
            return;
        };
        let watch = match Watch::new(dir) {
            Ok(watch) => watch,
            Err(error) => return warn!(%error, "changes of the database are seen only while the queue has work"),
        };
        let (inputs, name) = (self.inputs.clone(), name.to_string());
        tokio::spawn(async move {
            while watch.changed(&name).await.is_ok() {
                if inputs.send(Input::Queue(Box::new(News::Touched))).is_err() {
                    return;
                }
                tokio::time::sleep(TOUCHES).await;
            }
        });
    }

    /// When the queue wants to be looked at.
    pub(in crate::daemon) fn queue_due(&self) -> Option<Instant> {
        if self.closing_down || self.queue.busy {
            return None;
        }
        if !self.queue.known {
            return Some(self.queue.last + if self.queue.trouble.is_some() { TROUBLE } else { Duration::ZERO });
        }
        let deadline = self.queue.deadline.map(|at| Instant::now() + at.saturating_sub(clock::monotonic()));
        let next = self.queue.is_open.then_some(self.queue.last + EVERY);
        [next, deadline, self.queue.search.due()].into_iter().flatten().min()
    }

    pub(in crate::daemon) fn tick_queue(&mut self, now: Instant) {
        if self.queue_due().is_some_and(|due| due <= now) {
            self.search_if_due(now);
            self.make_round();
        }
    }

    /// Something happened: if a session that is waited for has come to its end, that is for the queue.
    pub(in crate::daemon) fn mind_queue(&mut self) {
        let has_changed = |(id, before): (&String, &Option<Fate>)| self.fate_of(id) != *before;
        if !self.queue.busy && self.queue.open.iter().any(has_changed) {
            self.make_round();
        }
    }

    /// A look has found who is there: somebody of a project that is over may be among them.
    pub(in crate::daemon) fn queue_looks(&mut self) {
        let is_of_one = |f: &super::super::foreign::Foreign| f.said.project.is_some() || f.pane().is_some();
        let quiet = self.queue.exists && !self.queue.is_open && self.queue.known;
        if quiet && (self.live().any(|e| e.session.project.is_some()) || self.foreign_live().any(is_of_one)) {
            self.make_round();
        }
    }

    fn fate_of(&self, id: &str) -> Option<Fate> {
        if self.queue.starting.contains_key(id) || self.births.contains_key(id) {
            return Some(Fate::Open);
        }
        let Some(entry) = self.entries.get(id) else { return self.queue.refused.get(id).cloned() };
        let ended = |exit: Option<&Exit>| {
            let (code, by, reason) = exit.map_or((None, ExitBy::Unknown, "exit status unknown".into()), |exit| {
                let reason = match (exit.by, exit.code, exit.signal) {
                    (ExitBy::Itself, Some(code), _) => format!("exit status {code}"),
                    (ExitBy::Itself, None, Some(signal)) => format!("signal {signal}"),
                    _ => exit.reason.clone(),
                };
                (exit.code, exit.by, reason)
            });
            Fate::Ended { code, by, reason }
        };
        if entry.close.is_some() {
            // Somebody closes it, and says so when that is over: first the one is told of, then the other.
            return Some(Fate::Running);
        }
        match entry.life.state() {
            State::Ended => Some(ended(entry.exit.as_ref())),
            State::Lingering | State::Closing if entry.exit.is_some() && entry.to_come.is_none() => {
                Some(ended(entry.exit.as_ref()))
            }
            // Its agent went when nobody could see how.
            State::Lingering if entry.life.keeper() == Keeper::Gone => Some(ended(None)),
            State::Starting | State::Running | State::Paused | State::Closing | State::Lingering => Some(Fate::Running),
        }
    }

    pub(in crate::daemon) fn make_round(&mut self) {
        if self.closing_down {
            let why = || Refusal::new(Code::ShuttingDown, "the daemon is stopping");
            self.queue.orders.drain(..).for_each(|o| answer(o.reply, Err(why())));
            return;
        }
        if std::mem::replace(&mut self.queue.busy, true) {
            self.queue.again = true;
            return;
        }
        let asked = self.asked_of_queue();
        let ordered = std::mem::take(&mut self.queue.orders);
        let (settled, fates) = (asked.settled.clone(), asked.fates.keys().cloned().collect());
        let (book, inputs) = (Arc::clone(&self.queue.book), self.inputs.clone());
        self.queue.last = Instant::now();
        tokio::task::spawn_blocking(move || {
            let made = book.lock().unwrap_or_else(PoisonError::into_inner).round(&asked);
            // A supervisor that has ended has no queue.
            let _ = inputs.send(Input::Queue(Box::new(News::Round { made, settled, fates, ordered })));
        });
    }

    fn asked_of_queue(&mut self) -> Asked {
        let whole = std::mem::take(&mut self.queue.whole);
        let ids: Vec<String> = if whole {
            let known = self.entries.keys().chain(self.queue.refused.keys());
            known.chain(self.queue.starting.keys()).chain(self.births.keys()).cloned().collect()
        } else {
            self.queue.open.keys().cloned().collect()
        };
        let fates: HashMap<String, Fate> =
            ids.into_iter().filter_map(|id| self.fate_of(&id).map(|fate| (id, fate))).collect();
        let open: Vec<String> = self.queue.open.keys().cloned().collect();
        for id in open {
            let fate = self.fate_of(&id);
            self.queue.open.insert(id, fate);
        }
        let now = Instant::now();
        let young = |at: &Instant| now.saturating_duration_since(*at) < HOLD;
        let settles = |number: &i64| self.queue.settled.iter().any(|settled| settled.end.number == *number);
        let mut under_way = self.queue.closing.iter().filter(|(number, _)| !settles(number));
        let closes = under_way.any(|(_, at)| young(at)) || self.queue.starting.len() >= AT_ONCE;
        let projects = &self.set.config.projects;
        Asked {
            orders: self.queue.orders.iter().map(|o| (o.order.clone(), o.by_hook)).collect(),
            settled: std::mem::take(&mut self.queue.settled),
            swept: self.queue.search.done,
            fates,
            whole,
            live: self.of_projects(young),
            closing: self.queue.closing.keys().copied().collect(),
            ids: self.fresh_ids(projects.max_running.min(AT_ONCE)),
            ground: Ground {
                now: clock::monotonic(),
                wall: clock::wall(),
                boot: self.boot.clone(),
                sessions: self.set.paths.sessions(),
                max_running: projects.max_running,
                requeue: projects.requeue,
                may_start: self.latch.why().is_none() && !closes && now >= self.queue.not_before,
            },
        }
    }

    fn fresh_ids(&self, count: usize) -> Vec<String> {
        let taken = |id: &str| self.entries.contains_key(id) || self.births.contains_key(id);
        // Without chance there is no id, and nothing is claimed.
        (0..count).map_while(|_| Ids::fresh(taken).ok()).collect()
    }

    /// Live sessions that may belong to a project.
    fn of_projects(&self, young: impl Fn(&Instant) -> bool) -> Vec<Live> {
        if !self.queue.exists {
            return Vec::new();
        }
        let holds = |id: &str, is_closing: bool, survived: bool| {
            self.queue.tried.get(id).map_or(!survived, |tried| is_closing && young(tried))
        };
        let managed = self.live().map(|e| Live {
            holds: holds(e.id(), e.life.is_closing(), e.survived),
            id: e.id().into(),
            project: e.session.project.clone(),
            tmux: None,
            started_at: e.started_at.clone(),
        });
        let agents = self.foreign_live().filter(|f| !f.is_shell());
        let foreign = agents.map(|f| Live {
            holds: holds(&f.id, f.life.is_closing(), false),
            id: f.id.clone(),
            project: f.said.project.clone(),
            tmux: f.pane().map(|p| p.session.clone()),
            started_at: f.started_at().clone(),
        });
        managed.chain(foreign.filter(|f| f.project.is_some() || f.tmux.is_some())).collect()
    }

    pub(in crate::daemon) fn on_queue(&mut self, news: News) {
        match news {
            News::Round { made, settled, fates, ordered } => {
                self.queue.busy = false;
                match made {
                    Ok(plan) => self.on_round(plan, &settled, &fates, ordered),
                    Err(why) => self.on_no_round(&why, settled, ordered),
                }
                if std::mem::take(&mut self.queue.again) {
                    self.make_round();
                }
            }
            News::Started { session, number, result } => self.on_project_started(&session, number, result),
            News::Cleaned { end, report } => self.on_cleaned(&end, &report),
            News::Swept { project, reason, report } => self.on_lingering_closed(&project, &reason, &report),
            News::Searched { number } => self.on_searched(number),
            News::Touched => self.make_round(),
        }
    }

    fn on_round(&mut self, mut plan: Plan, settled: &[Settled], fates: &[String], ordered: Vec<Ordered>) {
        if self.queue.trouble.take().is_some() {
            tracing::info!("the queue can be used again");
        }
        for Settled { end, report } in settled {
            self.queue.closing.remove(&end.number);
            self.answer_waiting(end, report);
        }
        let doubtful = |id: &String| plan.doubtful.contains(id);
        fates.iter().filter(|id| !doubtful(id)).for_each(|id| drop(self.queue.refused.remove(id)));
        let before = std::mem::take(&mut self.queue.open);
        let kept = |id: String| (id.clone(), before.get(&id).cloned().flatten());
        self.queue.open = plan.open.iter().cloned().map(kept).collect();
        let is_first = !std::mem::replace(&mut self.queue.known, true);
        self.plan_search(&plan.searches, is_first);
        self.queue.search.done.take_if(|done| plan.searches.iter().all(|left| left.number > *done));
        (self.queue.is_open, self.queue.exists) = (plan.is_open, plan.exists);
        self.queue.deadline = plan.deadline;
        self.queue.again |= plan.again;
        self.queue.whole |= plan.whole;
        for id in &plan.doubtful {
            self.ask_about(Dir::new(self.set.paths.sessions().join(id)));
        }
        self.mark_lingering(&plan.lingering);
        self.tell_of_projects(std::mem::take(&mut plan.told));
        for (one, outcome) in ordered.into_iter().zip(plan.outcomes.clone()) {
            self.on_ordered(one, outcome);
        }
        for start in plan.starts.clone() {
            self.start_project(start);
        }
        self.draw_consequences(plan);
        self.mind_queue();
    }

    /// Nothing was written: all of it again, later.
    fn on_no_round(&mut self, why: &str, settled: Vec<Settled>, ordered: Vec<Ordered>) {
        // They are closed all the same, and told of when that can be written down.
        settled.iter().for_each(|settled| self.answer_waiting(&settled.end, &settled.report));
        self.queue.settled.extend(settled);
        self.queue.whole = true;
        self.queue.is_open &= self.queue.known;
        self.queue.last = Instant::now();
        if self.queue.trouble.as_deref() != Some(why) {
            warn!("the queue of projects cannot be used: {why}");
            self.queue.trouble = Some(why.into());
        }
        let refusal = || Refusal::new(Code::Internal, format!("the queue of projects cannot be used: {why}"));
        ordered.into_iter().for_each(|o| answer(o.reply, Err(refusal())));
    }

    fn on_ordered(&mut self, ordered: Ordered, outcome: Result<Outcome, Refusal>) {
        let Ordered { order, asked, reply, .. } = ordered;
        match outcome {
            Err(refusal) => answer(reply, Err(refusal)),
            Ok(Outcome::Added(project)) => {
                self.queue.again = true;
                answer(reply, Ok(Answer::Added(project)));
            }
            Ok(Outcome::Removed(removed)) => answer(reply, Ok(Answer::Removed(ProjectsRemoved { removed }))),
            Ok(Outcome::Ended(meant)) => {
                for one in meant.iter().filter(|m| m.has_changed()) {
                    self.queue.asked.insert(one.number, asked.clone());
                }
                self.wait_for(&order, meant, reply);
            }
        }
    }

    fn wait_for(&mut self, order: &Order, meant: Vec<Meant>, reply: crate::daemon::handle::Reply<Answer>) {
        let Order::End { .. } = order else { return };
        let (mut left, mut done) = (Vec::new(), Vec::new());
        for one in meant {
            if one.has_changed() || self.queue.closing.contains_key(&one.number) {
                left.push(one.number);
                continue;
            }
            // What is left of it is tried once more.
            self.queue.tried.clear();
            self.queue.again = true;
            let message = format!("was {} already", one.status);
            done.push(ProjectEnded::new(one.name, one.status, message, KillReport::default()));
        }
        if left.is_empty() {
            return answer(reply, Ok(Answer::Ended(done)));
        }
        self.queue.waiting.push(Waiting { left, done, reply });
    }

    fn mark_lingering(&mut self, lingering: &[super::round::Lingering]) {
        let finished = lingering.iter().filter(|l| l.status.is_none_or(crate::model::project::Status::is_finished));
        let over: HashSet<&str> = finished.map(|l| l.session.as_str()).collect();
        let mut changed = false;
        for entry in self.entries.values_mut() {
            let is_over = over.contains(entry.id());
            changed |= std::mem::replace(&mut entry.project_finished, is_over) != is_over;
        }
        for foreign in self.foreign.values_mut() {
            let is_over = over.contains(foreign.id.as_str());
            changed |= std::mem::replace(&mut foreign.project_finished, is_over) != is_over;
        }
        if changed {
            self.bump();
        }
    }
}
