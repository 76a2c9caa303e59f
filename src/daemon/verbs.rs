//! The small verbs: pause, signal, pin, forget, keep a child.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tracing::info;

use super::close;
use super::handle::{Input, Reply};
use super::supervisor::Supervisor;
use crate::api::refusal::{Code, Refusal};
use crate::api::types::{Act, Done, SignalRequest, Touched};
use crate::model::lifecycle::Event;
use crate::model::session::{Cause, ExitBy, ProcId, State};
use crate::sys::signal::Signal;
use crate::sys::{failpoint, process};

/// One session's signal, to be sent where waiting harms nobody.
type Sending = Box<dyn FnOnce() -> Result<Touched, Refusal> + Send>;

impl Supervisor {
    pub(super) fn act(&mut self, verb: Act, targets: &[String]) -> Result<Done, Refusal> {
        let ids = self.find_several(targets)?;
        let mut done = Done::default();
        for id in ids {
            if let Some(foreign) = self.foreign.get(&id) {
                let name = foreign.name().to_string();
                let message = self.act_on_foreign(verb, &id)?;
                self.tell_changed(&id, &message);
                done.sessions.push(Touched { id, name, message });
                continue;
            }
            let message = match verb {
                Act::Pause => self.pause(&id, true)?,
                Act::Unpause => self.pause(&id, false)?,
                Act::Pin => self.pin(&id, true),
                Act::Unpin => self.pin(&id, false),
                Act::Rm => {
                    done.sessions.push(self.forget(&id)?);
                    continue;
                }
            };
            self.tell_changed(&id, &message);
            let name = self.entries.get(&id).map_or_else(String::new, |e| e.name().to_string());
            done.sessions.push(Touched { id, name, message });
        }
        self.plan_timeouts();
        self.bump();
        Ok(done)
    }

    pub(super) fn pause(&mut self, id: &str, paused: bool) -> Result<String, Refusal> {
        let around = self.surroundings();
        let Some(entry) = self.entries.get_mut(id) else { return Ok(String::new()) };
        let (name, inputs) = (entry.name().to_string(), self.inputs.clone());
        match entry.life.state() {
            State::Ended | State::Closing | State::Starting => {
                let why =
                    format!("{name} is {}: only a running session can be paused or continued", entry.life.state());
                return Err(Refusal::new(Code::WrongState, why));
            }
            State::Running | State::Paused | State::Lingering => {}
        }
        entry.life.apply(if paused { Event::Paused } else { Event::Continued });
        entry.meta.paused = paused;
        if !paused {
            entry.forget_stop();
        }
        entry.wants_pause.store(paused, Ordering::Relaxed);
        let entry_wanted = Arc::clone(&entry.wants_pause);
        let target = entry.target(Duration::ZERO, Cause::new(ExitBy::User, "pause"), Arc::default());
        self.keep_meta(id);
        let id = id.to_string();
        let (wanted, turn) = (Arc::clone(&entry_wanted), Arc::clone(&self.pausing));
        tokio::task::spawn_blocking(move || {
            // One after the other, and each does what is wanted by now: the last word holds.
            let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
            let paused = wanted.load(Ordering::Relaxed);
            let signal = if paused { crate::model::stop::Signal::Stop } else { crate::model::stop::Signal::Cont };
            let processes = close::signal_tree(target, &around, signal).unwrap_or(0);
            // As above.
            let _ = inputs.send(Input::Paused { id, paused, processes });
        });
        Ok(if paused { "paused".into() } else { "continued".into() })
    }

    /// To the process group of each leader, as a shell sends it to a job. All are looked at before the first is sent.
    pub(super) fn signal(&mut self, request: &SignalRequest, reply: Reply<Done>) {
        match self.signalled(request) {
            Ok(sendings) => drop(tokio::task::spawn_blocking(move || {
                // Whoever asked may have gone.
                let _ = reply.send(
                    sendings
                        .into_iter()
                        .map(|sending| sending())
                        .collect::<Result<_, _>>()
                        .map(|sessions| Done { sessions }),
                );
            })),
            Err(refusal) => drop(reply.send(Err(refusal))),
        }
    }

    fn signalled(&self, request: &SignalRequest) -> Result<Vec<Sending>, Refusal> {
        let Some(signal) = Signal::named(&request.signal) else {
            let known = "INT, TERM, HUP, QUIT, USR1, USR2, WINCH, CONT, STOP or KILL";
            return Err(Refusal::new(Code::BadRequest, format!("{:?} is no signal: write {known}", request.signal)));
        };
        let word = request.signal.to_uppercase();
        let ids = self.find_several(&request.targets)?;
        self.is_named_by_id(&request.targets, &ids)?;
        let mut sendings: Vec<Sending> = Vec::new();
        for id in ids {
            let (leader, target) = self.hears(&id)?;
            info!(session = %id, signal = %word, "a signal was asked for");
            let (around, word) = (self.surroundings(), word.clone());
            sendings.push(Box::new(move || {
                let who = target.name.clone();
                let heard = close::signal_group(target, leader, &around, signal);
                Ok(Touched { id, message: told(heard, &word, &who)?, name: who })
            }));
        }
        Ok(sendings)
    }

    /// Who of a session is meant by a signal, and all that is its own; or why nobody is.
    fn hears(&self, id: &str) -> Result<(ProcId, close::Target), Refusal> {
        let refused = |why| Err(Refusal::new(Code::WrongState, why));
        let gone = |who: &str| refused(format!("the agent of {who} has gone: nobody is left to hear a signal"));
        let cause = Cause::new(ExitBy::User, "signal");
        if let Some(foreign) = self.foreign.get(id) {
            let who = foreign.name();
            if foreign.is_shell() {
                let why = format!("{who} is a plain shell, and no agent: type into it (`beadle send {id} --key C-c`)");
                return Err(Refusal::new(Code::Forbidden, why));
            }
            let leader = Some(foreign.seen.leader).filter(|_| foreign.life.has_leader());
            return match (leader, self.foreign_target(id, &cause)) {
                (Some(leader), Some(target)) => {
                    self.may_be_closed(&[id.to_string()], false)?;
                    Ok((leader, target))
                }
                _ => gone(who),
            };
        }
        let Some(entry) = self.entries.get(id) else {
            return Err(Refusal::new(Code::NotFound, "no such session"));
        };
        match entry.leader.filter(|_| entry.is_live() && entry.life.has_leader()) {
            Some(leader) => Ok((leader, entry.target(Duration::ZERO, cause, Arc::default()))),
            None => gone(entry.name()),
        }
    }

    pub(super) fn pin(&mut self, id: &str, pinned: bool) -> String {
        if let Some(entry) = self.entries.get_mut(id) {
            entry.meta.pinned = pinned;
        }
        self.keep_meta(id);
        if pinned { "pinned".into() } else { "unpinned".into() }
    }

    pub(super) fn forget(&mut self, id: &str) -> Result<Touched, Refusal> {
        let Some(entry) = self.entries.get(id) else { return Err(Refusal::new(Code::NotFound, "no such session")) };
        let name = entry.name().to_string();
        if entry.is_live() {
            return Err(Refusal::new(Code::WrongState, format!("{name} has not ended: `beadle kill {name}` first")));
        }
        if self.births.contains_key(id) {
            return Err(Refusal::new(Code::WrongState, format!("{name} is being started again")));
        }
        failpoint::here("daemon.forget.before");
        std::fs::remove_dir_all(entry.dir.path()).map_err(|e| {
            Refusal::new(Code::Internal, format!("failed to remove {}: {e}", entry.dir.path().display()))
        })?;
        failpoint::here("daemon.forget.after");
        // Its row outlives it; an end that was not written down yet has no other source from here on.
        self.remember(id);
        self.tell_changed(id, "forgotten");
        self.entries.remove(id);
        Ok(Touched { id: id.into(), name, message: "forgotten".into() })
    }

    /// Whose process this is.
    pub(super) fn holder(&self, pid: i32) -> Result<String, Refusal> {
        let holds = |process| self.live().find(|e| e.members.contains(&process));
        let found = process::identity(pid).and_then(holds).map(|e| e.id().to_string());
        let message = || format!("no session has a process {pid} (`beadle show ID` lists them)");
        found.ok_or_else(|| Refusal::new(Code::NotFound, message()))
    }

    /// Exempts one process, with what is below it, from the linger close; written down, so that the next daemon knows.
    pub(super) fn keep_child(&mut self, word: &str, pid: i32) -> Result<Touched, Refusal> {
        let entry = self.find(word)?;
        let (id, name) = (entry.id().to_string(), entry.name().to_string());
        let member = process::identity(pid).filter(|process| entry.members.contains(process));
        let gone = || Refusal::new(Code::NotFound, format!("{pid} is no process of {name} any more"));
        let process = member.ok_or_else(gone)?;
        if entry.leader == Some(process) {
            let why = format!("{pid} is the agent of {name} itself: `beadle pin {name}` exempts the session");
            return Err(Refusal::new(Code::WrongState, why));
        }
        if let Some(entry) = self.entries.get_mut(&id)
            && !entry.meta.kept.contains(&process)
        {
            // Those that have ended need no exemption.
            entry.meta.kept.retain(|kept| entry.members.contains(kept));
            entry.meta.kept.push(process);
        }
        self.keep_meta(&id);
        self.sample_soon();
        Ok(Touched { id, name, message: format!("keeps {pid} when its agent has ended") })
    }
}

/// What became of a signal, in words. One that nobody heard was not sent.
fn told(heard: std::io::Result<close::Heard>, word: &str, who: &str) -> Result<String, Refusal> {
    let failed = |code, why: &str| Refusal::new(code, format!("failed to send {word} to {who}: {why}"));
    let close::Heard { count, refused } = heard.map_err(|e| failed(Code::Internal, &e.to_string()))?;
    match (count, refused) {
        (0, Some(why)) => Err(failed(Code::Forbidden, &why)),
        (0, None) => Err(failed(Code::WrongState, "nobody is left to hear it")),
        (1, None) => Ok(format!("{word} sent to 1 process")),
        (count, None) => Ok(format!("{word} sent to {count} processes")),
        (count, Some(why)) => Ok(format!("{word} sent to {count} of its processes, not to all: {why}")),
    }
}
