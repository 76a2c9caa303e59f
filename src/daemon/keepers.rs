//! What keepers say, what adoption finds, and how sessions end.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use super::adopt::{Adopted, Found};
use super::entry::Entry;
use super::handle::Input;
use super::link::{Delivered, Link};
use super::supervisor::Supervisor;
use crate::api::wire::Fact;
use crate::model::lifecycle::{Event, Keeper, Life};
use crate::model::session::{Exit, ExitBy, ProcId};
use crate::sys::clock;
use crate::sys::process::Pin;

impl Supervisor {
    pub(super) fn on_keeper(&mut self, id: &str, keeper: ProcId, what: Delivered) {
        let Some(entry) = self.entries.get_mut(id).filter(|e| e.keeper == Some(keeper)) else { return };
        match what {
            Delivered::Fact(Fact::Exited { exit }) => {
                entry.life.apply(Event::LeaderEnded);
                entry.exit = Some(exit);
                self.sample_soon();
            }
            Delivered::Fact(Fact::Attached { count }) => entry.attached = count,
            Delivered::Fact(Fact::Restarted { leader }) => {
                entry.leader = Some(leader);
                entry.exit = None;
                entry.life.apply(Event::Started);
                info!(session = %id, name = %entry.name(), pid = leader.pid, "started again");
            }
            Delivered::Fact(Fact::Empty) => self.finish(id),
            Delivered::Fact(_) => {}
            Delivered::Lost => self.on_keeper_lost(id, keeper),
        }
        self.bump();
    }

    pub(super) fn on_keeper_lost(&mut self, id: &str, keeper: ProcId) {
        self.dying.push(keeper.pid);
        let Some(entry) = self.entries.get_mut(id).filter(|e| e.is_live()) else { return self.reap() };
        entry.link = None;
        entry.attached = 0;
        entry.exit = entry.exit.take().or_else(|| entry.dir.exit());
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
            let Ok(Some(pin)) = Pin::new(member) else { continue };
            if !entry.watched.insert(member) {
                continue;
            }
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
        let Some(entry) = self.entries.get(id) else { return };
        let (dir, inputs) = (entry.dir.clone(), self.inputs.clone());
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let asked = tokio::task::spawn_blocking(move || {
                let identity = dir.identity()?;
                let found = super::adopt::ask(&identity, std::time::Instant::now() + super::adopt::DEADLINE);
                Some(Adopted { dir, identity, found })
            });
            if let Ok(Some(adopted)) = asked.await {
                // A supervisor that has ended asks nobody.
                let _ = inputs.send(Input::Adopted(vec![adopted]));
            }
        });
    }

    pub fn on_adopted(&mut self, adopted: Vec<Adopted>) {
        for one in adopted {
            let id = one.identity.session.id.clone();
            let known = self.entries.get(&id).is_some_and(|e| e.link.is_some() || !e.is_live());
            if !known {
                self.adopt(&id, one);
            }
        }
        self.sample_soon();
        self.bump();
    }

    pub(super) fn adopt(&mut self, id: &str, one: Adopted) {
        let Adopted { dir, identity, found } = one;
        let exit = dir.exit();
        let paused = dir.meta().paused;
        match found {
            Found::PastBoot => {
                let reported = dir.meta().reported;
                let mut entry = Entry::kept(
                    identity,
                    dir,
                    if reported { Life::past() } else { Life::found(Keeper::Gone, false, false) },
                );
                entry.exit = exit.or_else(|| Some(unknown_exit(ExitBy::Reboot, "the machine was restarted")));
                self.entries.insert(id.into(), entry);
                self.finish(id);
            }
            Found::Live(shaken) => {
                let life = Life::found(Keeper::Alive, shaken.hello.leader.is_some(), paused);
                let mut entry = Entry::kept(identity, dir, life);
                entry.leader = shaken.hello.leader.or(entry.leader);
                self.entries.insert(id.into(), entry);
                self.connect(id, *shaken);
            }
            Found::Unknown => {
                self.entries
                    .insert(id.into(), Entry::kept(identity, dir, Life::found(Keeper::Silent, exit.is_none(), paused)));
                self.ask_again(id);
            }
            Found::KeeperGone => {
                let reported = dir.meta().reported;
                let life = if reported { Life::past() } else { Life::found(Keeper::Gone, exit.is_none(), paused) };
                self.entries.insert(id.into(), Entry::kept(identity, dir, life));
            }
        }
    }

    /// Takes the connection of a keeper into an entry that is there.
    pub(super) fn connect(&mut self, id: &str, shaken: super::link::Shaken) {
        let keeper = shaken.hello.keeper;
        let (inputs, session) = (self.inputs.clone(), id.to_string());
        let opened = Link::open(shaken, move |what| {
            // A supervisor that has ended hears nobody.
            let _ = inputs.send(Input::Keeper { id: session.clone(), keeper, what });
        });
        let Some(entry) = self.entries.get_mut(id) else { return };
        match opened {
            Ok((link, hello, pulse)) => {
                entry.link = Some(link);
                entry.pulse = Some(pulse);
                entry.keeper = Some(keeper);
                entry.attached = hello.attached;
                entry.exit = hello.exit.or_else(|| entry.exit.take());
                entry.life.apply(Event::KeeperAnswered);
            }
            Err(error) => warn!(session = %id, %error, "failed to talk to its keeper"),
        }
    }

    /// Nothing of the session is left: writes that down once, and answers who waited.
    pub(super) fn finish(&mut self, id: &str) {
        let Some(entry) = self.entries.get_mut(id).filter(|e| e.is_live()) else { return };
        let cause = entry.meta.cause.clone();
        if entry.exit.is_none() {
            entry.exit = entry.dir.exit();
        }
        if entry.exit.is_none() {
            let exit = cause
                .map_or_else(|| unknown_exit(ExitBy::Unknown, "its keeper is gone"), |c| unknown_exit(c.by, &c.reason));
            if entry.dir.write_exit(&exit).is_err() {
                warn!(session = %id, "failed to write down its end (is the disk full?)");
            }
            entry.exit = Some(exit);
        }
        entry.age_at_end = entry.started.map(|at| clock::monotonic().saturating_sub(at).as_secs_f64());
        entry.life.apply(Event::Emptied);
        entry.link = None;
        entry.usage = super::entry::Usage::default();
        if let Some(cgroup) = entry.ask().cgroup {
            // Somebody still inside (a spared server): it stays.
            let _ = cgroup.remove();
        }
        self.report_end(id);
        self.answer_close(id);
        self.bump();
    }

    /// One line in the log for each end, also across crashes.
    pub(super) fn report_end(&mut self, id: &str) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        if !entry.meta.reported && !super::log::has_line(&self.set.paths.logs(), &format!("ended session={id} ")) {
            let exit = entry.exit.as_ref();
            let code = exit.and_then(|e| e.code).map_or_else(|| "-".into(), |c| c.to_string());
            let by = exit.map_or(ExitBy::Unknown, |e| e.by);
            let reason = exit.map_or("", |e| e.reason.as_str());
            let seconds = entry.age_at_end.unwrap_or(0.0);
            info!(
                "ended session={id} name={:?} code={code} by={by} reason={reason:?} seconds={seconds:.1}",
                entry.name()
            );
        }
        entry.meta.reported = true;
        self.keep_meta(id);
    }

    pub(super) fn keep_meta(&self, id: &str) {
        let Some(entry) = self.entries.get(id) else { return };
        if entry.dir.write_meta(&entry.meta).is_err() {
            warn!(session = %id, "failed to write down its name and pin (is the disk full?)");
        }
    }
}

fn unknown_exit(by: ExitBy, reason: &str) -> Exit {
    Exit { code: None, signal: None, at: clock::wall(), by, reason: reason.into() }
}
