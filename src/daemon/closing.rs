//! Kills, close-all and shutdown: who is closed, who waits for it, when it is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;
use tracing::{info, warn};

use super::close;
use super::close::{Report, Surroundings};
use super::entry::{Again, CloseUnderWay, Entry};
use super::foreign::pane::Before;
use super::handle::{Ended, Input, Reply};
use super::store::{CloseBegan, Fact};
use super::supervisor::{Supervisor, answer};
use crate::api::refusal::{Code, Refusal};
use crate::api::types::{CloseAllRequest, Closed, KillReport, Outcome};
use crate::api::wire::Request;
use crate::config::OnShutdown;
use crate::model::lifecycle::{Event, Keeper};
use crate::model::session::{Asked, Cause, ExitBy};
use crate::sys::poll::Waker;
use crate::sys::{failpoint, signal};

/// How long after a close a keeper may take to say that it is over.
const SETTLE: Duration = Duration::from_secs(1);

/// How sessions are to be closed.
#[derive(Debug, Clone, Copy)]
pub(super) struct How {
    /// Without the grace.
    pub now: bool,
    /// With their tmux panes, where beadle did not start them.
    pub pane: bool,
}

/// One session to be closed.
pub struct Order {
    pub id: String,
    cause: Cause,
    how: How,
    /// It was asked for from inside a hook.
    by_hook: bool,
    /// Who asked hears of it.
    waiter: oneshot::Sender<Closed>,
}

impl How {
    pub const GENTLY: Self = Self { now: false, pane: false };
}

impl Supervisor {
    pub(super) fn kill(
        &mut self,
        request: &crate::api::types::KillRequest,
        by: ExitBy,
        asked: Option<Asked>,
        reply: Reply<KillReport>,
    ) {
        let ids = match self.find_several(&request.targets) {
            Ok(ids) => ids,
            Err(refusal) => {
                info!("refused kill {:?}: {refusal}", request.targets);
                return answer(reply, Err(refusal));
            }
        };
        let reason = request.reason.clone().unwrap_or_else(|| by.to_string());
        if request.dry_run {
            return self.preview(&ids, reply);
        }
        let allowed = self.is_named_by_id(&request.targets, &ids).and_then(|()| self.may_be_closed(&ids, request.pane));
        if let Err(refusal) = allowed {
            info!("refused kill {:?}: {refusal}", request.targets);
            return answer(reply, Err(refusal));
        }
        let how = How { now: request.now, pane: request.pane };
        self.close_and_answer_how(&ids, how, &Cause::new(by, reason).asked(asked), reply);
    }

    pub(super) fn preview(&self, ids: &[String], reply: Reply<KillReport>) {
        let cause = Cause::new(ExitBy::User, "dry run");
        let targets = ids.iter().filter_map(|id| self.entries.get(id)).filter(|e| e.is_live());
        let managed = targets.map(|e| e.target(Duration::ZERO, cause.clone(), Arc::default()));
        let foreign = ids.iter().filter_map(|id| self.foreign_target(id, &cause));
        let targets = managed.chain(foreign).collect();
        let around = self.surroundings();
        tokio::task::spawn_blocking(move || {
            let would = close::preview(targets, &around).into_iter().map(|(target, members)| Closed {
                id: target.id,
                name: target.name,
                outcome: Outcome::WouldKill,
                signals: Vec::new(),
                processes: members.len(),
                survivors: Vec::new(),
                seconds: 0.0,
                reason: target.cause.reason,
                resume: None,
                spared: Vec::new(),
                screen: None,
            });
            answer(reply, Ok(KillReport { closed: 0, failed: 0, sessions: would.collect() }));
        });
    }

    /// Closes and answers when all is over. Closing what has ended is no error: it was already gone.
    pub(super) fn close_and_answer(&mut self, ids: &[String], now: bool, cause: &Cause, reply: Reply<KillReport>) {
        self.close_and_answer_how(ids, How { now, pane: false }, cause, reply);
    }

    pub(super) fn close_all(
        &mut self,
        request: CloseAllRequest,
        by: ExitBy,
        asked: Option<Asked>,
        reply: Reply<KillReport>,
    ) {
        let CloseAllRequest { reason, project, now } = request;
        let of_project = |e: &&Entry| project.is_none() || e.session.project == project;
        // What has ended and is just being started again is one of them.
        let there = self.entries.values().filter(|e| e.is_live() || self.births.contains_key(e.id()));
        let ids: Vec<String> = there.filter(of_project).map(|e| e.id().to_string()).collect();
        let reason = reason.unwrap_or_else(|| "close-all".into());
        let (send, closed) = oneshot::channel();
        self.close_and_answer(&ids, now, &Cause::new(by, reason.clone()).asked(asked), send);
        let teller = self.teller();
        tokio::spawn(async move {
            let Ok(report) = closed.await else { return };
            if let Ok(report) = &report {
                teller.all_closed(report, &reason, project.as_deref());
            }
            answer(reply, report);
        });
    }

    fn close_and_answer_how(&mut self, ids: &[String], how: How, cause: &Cause, reply: Reply<KillReport>) {
        let (waiting, mut closed): (Vec<_>, Vec<_>) = (self.close_how(ids, how, cause), Vec::new());
        tokio::spawn(async move {
            let asked = waiting.len();
            for receiver in waiting {
                closed.extend(receiver.await);
            }
            let lost = asked - closed.len();
            let failed = lost + closed.iter().filter(|c| c.outcome == Outcome::Survivors).count();
            answer(reply, Ok(KillReport { closed: asked - failed, failed, sessions: closed }));
        });
    }

    pub(super) fn close(&mut self, ids: &[String], now: bool, cause: &Cause) -> Vec<oneshot::Receiver<Closed>> {
        self.close_how(ids, How { now, pane: false }, cause)
    }

    fn close_how(&mut self, ids: &[String], how: How, cause: &Cause) -> Vec<oneshot::Receiver<Closed>> {
        self.close_each(ids.iter().map(|id| (id.clone(), cause.clone())).collect(), how)
    }

    /// Each for its own cause, all over one pass of the process table.
    pub(super) fn close_each(&mut self, orders: Vec<(String, Cause)>, how: How) -> Vec<oneshot::Receiver<Closed>> {
        let by_hook = self.by_hook;
        let known = |id: &String| self.entries.contains_key(id) || self.foreign.contains_key(id);
        let (orders, waiting) = orders
            .into_iter()
            .filter(|(id, _)| known(id))
            .map(|(id, cause)| {
                let (waiter, receive) = oneshot::channel();
                (Order { id, cause, how, by_hook, waiter }, receive)
            })
            .unzip();
        self.close_ordered(orders);
        waiting
    }

    pub(super) fn close_ordered(&mut self, orders: Vec<Order>) {
        if orders.is_empty() {
            return;
        }
        let (mut targets, mut unheard) = (Vec::new(), Vec::new());
        // Of this close alone: a wake must not be taken by the thread of another.
        let waker = Waker::new().map_or_else(|_| Arc::clone(&self.waker), Arc::new);
        for order in orders {
            if self.foreign.contains_key(&order.id) {
                let target = self.close_foreign(&order.id, order.how.now, &order.cause, (order.waiter, &waker));
                targets.extend(target.map(|t| close::Target { close_pane: order.how.pane, ..t }));
                continue;
            }
            let Some(order) = self.after_the_start(order) else { continue };
            let Some((target, is_heard)) = self.begin(order, &waker) else { continue };
            if !is_heard {
                unheard.push(target.id.clone());
            }
            targets.push(target);
        }
        // Written down before the first signal; needed only where no keeper has heard it.
        unheard.iter().for_each(|id| self.keep_meta(id));
        self.bump();
        self.carry_out(targets, waker);
    }

    /// What is to be closed, and whether its keeper hears of it; `None` when it is closed already, or has ended.
    fn begin(&mut self, order: Order, waker: &Arc<Waker>) -> Option<(close::Target, bool)> {
        let Order { id, cause, how, by_hook, waiter } = order;
        let grace = if how.now { Duration::ZERO } else { self.set.config.stop.grace };
        self.call_restart_off(&id, &cause, by_hook);
        let entry = self.entries.get_mut(&id)?;
        if !entry.is_live() {
            // Who asked may have gone.
            let _ = waiter.send(already_gone(entry, &cause));
            return None;
        }
        if let Some(close) = &mut entry.close {
            close.waiters.push(waiter);
            close.hurry.fetch_or(how.now, Ordering::Relaxed);
            close.whole |= cause.by != ExitBy::Policy;
            close.waker.wake();
            return None;
        }
        let began = entry.close_began(&cause);
        self.set.store.tell(Fact::CloseBegan(Box::new(began.clone())));
        let begun = announce(entry, (waiter, began), &cause, (grace, waker));
        if let Some(close) = &mut entry.close {
            close.by_hook = by_hook;
        }
        Some(begun)
    }

    pub(super) fn carry_out(&self, targets: Vec<close::Target>, waker: Arc<Waker>) {
        if targets.is_empty() {
            return;
        }
        let (around, inputs) = (Surroundings { waker, ..self.surroundings() }, self.inputs.clone());
        tokio::task::spawn_blocking(move || {
            let before = Before::read(&targets);
            close::close(targets, &around, |mut report| {
                before.finish(&mut report.closed);
                // A supervisor that has ended wants no report.
                let _ = inputs.send(Input::Closed(Box::new(report)));
            });
        });
    }

    pub(super) fn surroundings(&self) -> Surroundings {
        Surroundings {
            instance: self.set.instance.clone(),
            fence: self.set.config.sweep.fence.as_ref().map(|f| format!("{}={}", f.name, f.value)),
            clients: self.set.peers.pids(),
            keepers: self.keepers(),
            remembered: self.live().flat_map(|e| e.members.iter().map(|m| m.pid)).collect(),
            tags: Arc::clone(&self.tags),
            waker: Arc::clone(&self.waker),
        }
    }

    pub(super) fn on_closed(&mut self, report: Report) {
        let Report { mut closed, survivors, kept, spared, tree, mut by } = report;
        let id = closed.id.clone();
        if let Some(cause) = self.entries.get(&id).and_then(Entry::took_its_place) {
            (closed.reason, by) = (cause.reason.clone(), cause.by);
        }
        let called_off = self.entries.get(&id).and_then(|e| e.close.as_ref()).is_some_and(|c| c.called_off);
        if called_off && closed.outcome == Outcome::AlreadyGone {
            // Nothing ran, and something was to.
            closed.outcome = Outcome::Clean;
        }
        if kept && self.takes_the_kept_too(&id, &closed.reason) {
            return;
        }
        closed.resume = self.resume_of(&id);
        self.name_handed_over(&mut closed, &tree);
        self.remember_close(&closed, tree);
        let outcome = closed.outcome;
        info!(
            "killed session={id} name={:?} outcome={} signals={} processes={} survivors={} reason={:?} seconds={:.3}",
            closed.name,
            outcome.as_str(),
            closed.signals.join(","),
            closed.processes,
            closed.survivors.len(),
            closed.reason,
            closed.seconds
        );
        self.tell_closed(&closed, by);
        self.metrics.closed(&closed, by);
        if self.foreign.contains_key(&id) {
            return self.on_foreign_closed(&closed, by);
        }
        let Some(entry) = self.entries.get_mut(&id) else { return };
        self.cleaner.counts.closed(entry.meta.cause.as_ref(), outcome);
        if let Some(close) = &mut entry.close {
            close.report = Some(closed);
        }
        if !entry.is_live() {
            return self.answer_close(&id);
        }
        // No policy comes back for what cannot be taken, or is somebody else's.
        entry.survived = spared || outcome == Outcome::Survivors;
        let is_told = entry.leader.is_some_and(|l| survivors.contains(&l)) || !entry.life.has_leader();
        entry.members.extend(survivors);
        if self.starts_again(&id) {
            return;
        }
        let Some(entry) = self.entries.get(&id) else { return };
        let (is_left, keeperless) =
            (kept || entry.survived, entry.life.keeper() == Keeper::Gone || entry.link.is_none());
        // While its agent's end is not told, its keeper must not hear that the close is over: see below.
        if is_left && (is_told || keeperless) {
            return self.settle(&id);
        }
        if !is_left && keeperless {
            return self.finish(&id);
        }
        let inputs = self.inputs.clone();
        tokio::spawn(async move {
            tokio::time::sleep(SETTLE).await;
            // As above.
            let _ = inputs.send(Input::Settle(id));
        });
    }

    /// Somebody asked for the whole session while a policy was closing what nobody wanted kept.
    fn takes_the_kept_too(&mut self, id: &str, reason: &str) -> bool {
        let Some(entry) = self.entries.get_mut(id) else { return false };
        let Some(close) = entry.close.as_mut().filter(|close| close.whole) else { return false };
        let (hurry, waker) = (Arc::clone(&close.hurry), Arc::clone(&close.waker));
        let cause = Cause::new(ExitBy::User, reason);
        let target = entry.target(self.set.config.stop.grace, cause, hurry);
        self.carry_out(vec![target], waker);
        true
    }

    fn resume_of(&self, id: &str) -> Option<String> {
        self.entries.get(id).and_then(Entry::resume).or_else(|| self.foreign.get(id)?.resume())
    }

    /// The close is over, whether or not the keeper has said its last word.
    pub(super) fn settle(&mut self, id: &str) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        if entry.close.as_ref().is_some_and(|c| c.report.is_some()) {
            entry.life.apply(Event::CloseEnded);
            entry.meta.cause = None;
            // The next end has its own cause; a keeper that does not hear this is gone.
            let _ = entry.link.as_ref().map(|l| l.order(&Request::NotClosing));
            self.keep_meta(id);
            self.answer_close(id);
            self.sample_soon();
            self.bump();
        }
    }

    /// The time is over in which its keeper was to say so. One that has not even told the end of the agent was held up: it
    /// is not to hear that the close is over before it has heard of that end, or it would start the agent again.
    pub(super) fn settle_late(&mut self, id: &str) {
        match self.entries.get(id) {
            Some(entry) if entry.is_live() && entry.life.has_leader() => {
                info!("session={id}: its keeper says nothing of the end; it stays closing until it does");
                // One that has gone is told by its connection.
                let _ = entry.keeper.map(signal::go_on);
                self.answer_close(id);
                self.bump();
            }
            _ => self.settle(id),
        }
    }

    pub(super) fn answer_close(&mut self, id: &str) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        if entry.close.as_ref().is_none_or(|c| c.report.is_none()) {
            return;
        }
        let Some(CloseUnderWay { waiters, report: Some(report), again, .. }) = entry.close.take() else { return };
        for waiter in waiters {
            // Who asked may have gone.
            let _ = waiter.send(report.clone());
        }
        match again {
            None => {}
            Some(Again::Asked(reply)) => {
                let why = format!("{} ended during the restart", entry.name());
                answer(reply, Err(Refusal::new(Code::WrongState, why)));
            }
            Some(Again::Called(after)) => {
                for Order { cause, waiter, .. } in after {
                    // As above.
                    let _ = waiter.send(already_gone(entry, &cause));
                }
            }
        }
    }

    /// Closes (or leaves) every session, those being born too, and ends; whether or not who asked still listens.
    pub(super) fn shutdown(&mut self, keep: Option<bool>, asked: Option<Asked>, reply: Reply<KillReport>) {
        let keep = keep.unwrap_or(self.set.config.shutdown.sessions == OnShutdown::Keep);
        let live: Vec<String> = self.live().map(|e| e.id().to_string()).collect();
        info!(sessions = live.len(), keep, "stopping");
        if keep {
            answer(reply, Ok(KillReport::default()));
            self.ended = Some(Ended::Stopped);
            return;
        }
        self.closing_down = true;
        self.stopped_by.clone_from(&asked);
        let (send, closed) = oneshot::channel();
        self.close_and_answer(&live, false, &shutdown_cause(asked), send);
        let (inputs, deadline) = (self.inputs.clone(), self.set.config.shutdown.deadline);
        tokio::spawn(async move {
            let report = tokio::time::timeout(deadline, closed).await;
            let overdue = report.is_err();
            let report = report.ok().and_then(Result::ok).and_then(Result::ok).unwrap_or_default();
            // A supervisor that has ended needs no end.
            let _ = inputs.send(Input::ShutDown { report, reply, overdue });
        });
    }

    pub(super) fn on_shut_down(&mut self, report: KillReport, reply: Reply<KillReport>, overdue: bool) {
        let busy = !self.births.is_empty() || self.live().any(|e| e.life.is_closing());
        if busy && !overdue {
            let inputs = self.inputs.clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                // As above.
                let _ = inputs.send(Input::ShutDown { report, reply, overdue });
            });
            return;
        }
        if overdue {
            warn!("sessions were still closing when shutdown.deadline had passed");
        }
        answer(reply, Ok(report));
        self.ended = Some(if overdue { Ended::Overdue } else { Ended::Stopped });
    }
}

/// Announces a close to the keeper: what is to be closed, and whether the keeper hears of it.
fn announce(
    entry: &mut Entry,
    (waiter, began): (oneshot::Sender<Closed>, CloseBegan),
    cause: &Cause,
    (grace, waker): (Duration, &Arc<Waker>),
) -> (close::Target, bool) {
    let hurry = Arc::new(AtomicBool::new(false));
    entry.close = Some(CloseUnderWay {
        hurry: Arc::clone(&hurry),
        waker: Arc::clone(waker),
        waiters: vec![waiter],
        began: vec![began],
        report: None,
        again: None,
        whole: cause.by != ExitBy::Policy,
        called_off: entry.to_come.is_some(),
        by_hook: false,
    });
    entry.life.apply(Event::CloseBegan);
    entry.announced = None;
    entry.meta.cause = Some(cause.clone());
    failpoint::here("daemon.announce.before");
    // Unanswered: it is read before the end it explains.
    let closing = Request::Closing { seq: u64::MAX, cause: cause.clone() };
    let is_heard = entry.link.as_ref().is_some_and(|link| link.order(&closing).is_ok());
    failpoint::here("daemon.announce.after");
    (entry.target(grace, cause.clone(), hurry), is_heard)
}

/// A daemon that is stopped takes its sessions along.
pub(super) fn shutdown_cause(asked: Option<Asked>) -> Cause {
    Cause::new(ExitBy::Shutdown, "the daemon was stopped").asked(asked)
}

fn already_gone(entry: &Entry, cause: &Cause) -> Closed {
    Closed {
        id: entry.id().into(),
        name: entry.name().into(),
        outcome: Outcome::AlreadyGone,
        signals: Vec::new(),
        processes: 0,
        survivors: Vec::new(),
        seconds: 0.0,
        reason: cause.reason.clone(),
        resume: None,
        spared: Vec::new(),
        screen: None,
    }
}
