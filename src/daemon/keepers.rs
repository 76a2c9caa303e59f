//! What keepers say, what adoption finds, and how sessions end.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use super::adopt::{Adopted, Found};
use super::entry::Entry;
use super::evidence::Sight;
use super::handle::Input;
use super::link::{Delivered, Link};
use super::supervisor::Supervisor;
use crate::api::kept::Dir;
use crate::api::wire::{Fact, Request, ToCome};
use crate::model::lifecycle::{Event, Keeper, Life};
use crate::model::session::{Cause, Exit, ExitBy, ProcId};
use crate::sys::process::Pin;
use crate::sys::{clock, failpoint};

impl Supervisor {
    pub(super) fn on_keeper(&mut self, id: &str, keeper: ProcId, what: Delivered) {
        if self.entries.get(id).is_none_or(|e| e.keeper != Some(keeper)) {
            return;
        }
        match what {
            Delivered::Fact(fact) => self.on_fact(id, *fact),
            Delivered::Lost => self.on_keeper_lost(id, keeper),
        }
        self.bump();
    }

    fn on_fact(&mut self, id: &str, fact: Fact) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        match fact {
            Fact::Again { to_come } => self.comes_again(id, to_come),
            Fact::Exited { exit } => {
                entry.to_come = None;
                entry.life.apply(Event::LeaderEnded);
                entry.exit = Some(exit);
                // The rest of it stays, and the close has only waited for this.
                if entry.survived && entry.close.as_ref().is_some_and(|c| c.report.is_some() && c.again.is_none()) {
                    self.settle(id);
                }
                self.sample_soon();
            }
            Fact::Attached { count } => entry.attached = count,
            // Said at the beginning of a connection too, lest a new run was missed.
            Fact::Restarted { leader } if entry.leader == Some(leader) => {}
            Fact::Restarted { leader } => {
                entry.leader = Some(leader);
                entry.exit = None;
                entry.survived = false;
                entry.life.apply(Event::Started);
                entry.sight = Sight { asked: entry.sight.asked, ..Sight::default() };
                entry.status = None;
                entry.said = None;
                entry.spinning_since = None;
                // What its keeper starts again by itself is the same run for its limits.
                if entry.to_come.take().is_none() {
                    entry.meta.restarted_seconds = Some(clock::monotonic().as_secs_f64());
                }
                info!(session = %id, name = %entry.name(), pid = leader.pid, "started again");
                self.keep_meta(id);
                self.tell_restarted(id);
                self.plan_timeouts();
            }
            Fact::Empty => self.finish(id),
            Fact::Hello { .. } | Fact::Started { .. } | Fact::NotStarted { .. } | Fact::Reply { .. } => {}
        }
    }

    /// It failed and is to be started again by its keeper.
    fn comes_again(&mut self, id: &str, to_come: ToCome) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        let is_empty = to_come.at_monotonic_seconds.is_some();
        entry.life.apply(if is_empty { Event::ToStartAgain } else { Event::LeaderEnded });
        // That is not the session's end.
        entry.exit = None;
        if entry.to_come.as_ref().is_none_or(|known| known.attempt != to_come.attempt) {
            let (attempt, limit, reason) = (to_come.attempt, to_come.limit, &to_come.after.reason);
            info!(session = %id, name = %entry.name(), %reason, "failed: to be started again ({attempt} of {limit})");
        }
        entry.to_come = Some(to_come);
        self.sample_soon();
    }

    pub(super) fn on_keeper_lost(&mut self, id: &str, keeper: ProcId) {
        self.dying.push(keeper.pid);
        let Some(entry) = self.entries.get_mut(id).filter(|e| e.is_live()) else { return self.reap() };
        entry.link = None;
        entry.attached = 0;
        entry.to_come = None;
        entry.exit = entry.exit.take().or_else(|| entry.dir.kept().exit);
        if crate::sys::process::is_alive(keeper) {
            entry.life.apply(Event::KeeperFellSilent);
            warn!(session = %id, name = %entry.name(), "its keeper closed the connection");
            self.ask_again(id);
        } else {
            entry.life.apply(Event::KeeperDied);
            warn!(session = %id, name = %entry.name(), "its keeper is gone");
        }
        self.reap();
        self.sample_soon();
    }

    pub(super) fn sample_soon(&mut self) {
        self.next_tick = Instant::now();
    }

    /// Ends of processes without a keeper are events too: of pidfds.
    pub(super) fn watch_members(&mut self, id: &str) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        for member in entry.members.clone() {
            if !entry.watched.insert(member) {
                continue;
            }
            let Ok(Some(pin)) = Pin::new(member) else { continue };
            let (inputs, id) = (self.inputs.clone(), id.to_string());
            tokio::spawn(async move {
                if pin.ended().await.is_ok() {
                    // A supervisor that has ended needs no news.
                    let _ = inputs.send(Input::MemberEnded(id));
                }
            });
        }
    }

    /// Tries to reach a keeper that lives and is silent, beside everything else.
    pub(super) fn ask_again(&self, id: &str) {
        if let Some(entry) = self.entries.get(id) {
            self.ask_about(entry.dir.clone());
        }
    }

    /// Looks again, a little later, at what a session directory says.
    pub(super) fn ask_about(&self, dir: Dir) {
        let inputs = self.inputs.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let asked = tokio::task::spawn_blocking(move || {
                let kept = dir.kept();
                let identity = kept.identity.as_ref()?;
                let found = super::adopt::ask(identity, std::time::Instant::now() + super::adopt::DEADLINE);
                Some(Adopted { dir, kept, found, logged: false })
            });
            if let Ok(Some(adopted)) = asked.await {
                // A supervisor that has ended asks nobody.
                let _ = inputs.send(Input::Adopted(vec![adopted]));
            }
        });
    }

    pub fn on_adopted(&mut self, adopted: Vec<Adopted>) {
        for one in adopted {
            let Some(id) = one.kept.identity.as_ref().map(|i| i.session.id.clone()) else { continue };
            if self.entries.contains_key(&id) {
                self.learn(&id, one.found);
            } else {
                self.adopt(&id, one);
            }
        }
        self.plan_timeouts();
        self.sample_soon();
        self.bump();
    }

    /// News of a keeper that was silent. What is known of the session stays.
    fn learn(&mut self, id: &str, found: Found) {
        let Some(entry) = self.entries.get_mut(id).filter(|e| e.is_live() && e.link.is_none()) else { return };
        match found {
            Found::Live(shaken) => self.connect(id, *shaken),
            Found::KeeperGone => {
                entry.life.apply(Event::KeeperDied);
                entry.exit = entry.exit.take().or_else(|| entry.dir.kept().exit);
                warn!(session = %id, name = %entry.name(), "its keeper is gone");
            }
            Found::Unknown => self.ask_again(id),
            Found::PastBoot => {}
        }
    }

    pub(super) fn adopt(&mut self, id: &str, one: Adopted) {
        let Adopted { dir, kept, found, logged } = one;
        let (paused, running) = (kept.meta.paused, kept.exit.is_none());
        let over = kept.reported;
        let life = match &found {
            Found::Live(shaken) => Life::found(Keeper::Alive, shaken.hello.leader.is_some(), paused),
            Found::Unknown => Life::found(Keeper::Silent, running, paused),
            Found::KeeperGone | Found::PastBoot if over => Life::past(),
            Found::KeeperGone => Life::found(Keeper::Gone, running, paused),
            Found::PastBoot => Life::found(Keeper::Gone, false, false),
        };
        self.remember_earlier(&kept.earlier);
        let Some(mut entry) = Entry::kept(kept, dir, life, Arc::clone(&self.standard)) else { return };
        entry.logged = logged;
        // A close that was cut short is taken up again.
        let interrupted = match &found {
            Found::Live(shaken) => shaken.hello.closing.clone(),
            Found::Unknown | Found::KeeperGone | Found::PastBoot => {
                entry.meta.cause.clone().filter(|_| entry.is_live())
            }
        };
        let interrupted = interrupted.or_else(|| self.emergency_cut_short(&entry));
        match found {
            Found::Live(shaken) => {
                entry.leader = shaken.hello.leader.or(entry.leader);
                self.entries.insert(id.into(), entry);
                self.connect(id, *shaken);
            }
            Found::Unknown => {
                self.entries.insert(id.into(), entry);
                self.ask_again(id);
            }
            Found::KeeperGone => drop(self.entries.insert(id.into(), entry)),
            Found::PastBoot => {
                if entry.exit.is_none() {
                    let exit = unknown_exit(ExitBy::Reboot, "the machine was restarted");
                    // Without it, the next start says the same of a later moment.
                    let _ = entry.dir.write_exit(&exit);
                    entry.exit = Some(exit);
                }
                self.entries.insert(id.into(), entry);
                self.finish(id);
            }
        }
        match interrupted {
            None => {}
            // The daemon was to end, not the work: somebody wants a daemon again.
            Some(cause) if cause.by == ExitBy::Shutdown => self.call_off(id),
            Some(cause) => {
                info!("session={id}: a close that was cut short is taken up again");
                drop(self.close(&[id.to_string()], false, &cause));
            }
        }
    }

    /// A session is older than the emergency in force: its daemon ended before it came to close it.
    fn emergency_cut_short(&self, entry: &Entry) -> Option<Cause> {
        let ordered = self.latch.since()?;
        let is_meant = entry.is_live() && entry.started_at.as_str() < ordered;
        is_meant.then(|| Cause::new(ExitBy::Sweep, format!("the emergency of {ordered} was cut short")))
    }

    /// A close that is not taken up again: its keeper forgets the cause, and what was stopped for it goes on.
    fn call_off(&mut self, id: &str) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        entry.meta.cause = None;
        // A keeper that does not hear this is gone.
        let _ = entry.link.as_ref().map(|l| l.order(&Request::NotClosing));
        let paused = entry.meta.paused;
        self.keep_meta(id);
        if !paused {
            // Refused only to what has ended.
            let _ = self.pause(id, false);
        }
    }

    /// Takes the connection of a keeper into an entry that is there.
    pub(super) fn connect(&mut self, id: &str, shaken: super::link::Shaken) {
        let keeper = shaken.hello.keeper;
        let (inputs, session) = (self.inputs.clone(), id.to_string());
        let pace = self.longest_pace();
        let opened = Link::open(shaken, move |what| {
            // A supervisor that has ended hears nobody.
            let _ = inputs.send(Input::Keeper { id: session.clone(), keeper, what });
        });
        let authority = self.authority();
        let Some(entry) = self.entries.get_mut(id) else { return };
        let Ok((link, hello, pulse)) = opened else {
            // It has ended already, most likely: what it wrote down says how.
            entry.keeper = Some(keeper);
            return self.on_keeper_lost(id, keeper);
        };
        // One that does not hear this keeps to what it was last told.
        let _ = link.order(&authority);
        entry.link = Some(link);
        entry.pulse = Some(pulse);
        entry.keeper = Some(keeper);
        // Without a daemon nobody heard it.
        entry.listen(clock::monotonic(), pace);
        entry.attached = hello.attached;
        if let Some(leader) = hello.leader.filter(|l| entry.leader != Some(*l)) {
            // Started again while nobody listened.
            entry.leader = Some(leader);
            entry.exit = None;
            entry.life.apply(Event::Started);
        }
        entry.exit = hello.exit.or_else(|| entry.exit.take());
        entry.life.apply(Event::KeeperAnswered);
        if let Some(to_come) = hello.again {
            self.comes_again(id, *to_come);
        }
    }

    /// Nothing of the session is left: writes that down once, and answers who waited.
    pub(super) fn finish(&mut self, id: &str) {
        let Some(entry) = self.entries.get_mut(id).filter(|e| e.is_live()) else { return };
        let cause = entry.meta.cause.clone();
        // A keeper tells before it writes, and may have died in between; one that is still there has written.
        let written = entry.exit.clone().filter(|_| entry.link.is_some()).or_else(|| entry.dir.kept().exit);
        entry.exit = entry.exit.take().or_else(|| written.clone());
        if written.is_none() {
            let exit = entry.exit.take().unwrap_or_else(|| {
                cause.map_or_else(
                    || unknown_exit(ExitBy::Unknown, "its keeper is gone"),
                    |c| unknown_exit(c.by, &c.reason),
                )
            });
            failpoint::here("daemon.exit.before");
            if entry.dir.write_exit(&exit).is_err() {
                warn!(session = %id, "failed to write down its end (is the disk full?)");
            }
            failpoint::here("daemon.exit.after");
            entry.exit = Some(exit);
        }
        entry.age_at_end = entry.started.map(|at| clock::monotonic().saturating_sub(at).as_secs_f64());
        entry.life.apply(Event::Emptied);
        entry.announced = None;
        entry.link = None;
        entry.usage = super::entry::Usage::default();
        if let Some(cgroup) = entry.ask().cgroup {
            // Somebody still inside (a spared server): it stays.
            tokio::task::spawn_blocking(move || cgroup.remove());
        }
        self.report_end(id);
        self.remember(id);
        self.tell_ended(id);
        self.look_at_house_soon();
        self.answer_close(id);
        self.bump();
    }

    /// One line in the log for each end, also across crashes.
    pub(super) fn report_end(&mut self, id: &str) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        failpoint::here("daemon.ended.before");
        if !entry.logged {
            let exit = entry.exit.as_ref();
            let code = exit.and_then(|e| e.code).map_or_else(|| "-".into(), |c| c.to_string());
            let by = exit.map_or(ExitBy::Unknown, |e| e.by);
            let reason = exit.map_or("", |e| e.reason.as_str());
            let seconds = entry.age_at_end.unwrap_or(0.0);
            info!(
                "ended {} name={:?} code={code} by={by} reason={reason:?} seconds={seconds:.1}",
                super::log::run(id, &entry.started_at),
                entry.name()
            );
        }
        entry.logged = true;
        failpoint::here("daemon.reported.before");
        // Without it, the next start looks for the line above.
        let _ = entry.dir.write_reported();
        failpoint::here("daemon.reported.after");
    }

    pub(super) fn keep_meta(&self, id: &str) {
        let Some(entry) = self.entries.get(id) else { return };
        failpoint::here("daemon.meta.before");
        if entry.dir.write_meta(&entry.meta).is_err() {
            warn!(session = %id, "failed to write down its name and pin (is the disk full?)");
        }
        failpoint::here("daemon.meta.after");
    }
}

fn unknown_exit(by: ExitBy, reason: &str) -> Exit {
    Exit { code: None, signal: None, at: clock::wall(), by, reason: reason.into() }
}
