//! The small verbs: pause, pin, forget, reload.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tracing::{info, warn};

use super::close;
use super::handle::Input;
use super::supervisor::Supervisor;
use crate::api::refusal::{Code, Refusal};
use crate::api::types::{Act, Done, Touched};
use crate::model::lifecycle::Event;
use crate::model::session::{Cause, ExitBy, State};
use crate::sys::failpoint;

impl Supervisor {
    pub(super) fn act(&mut self, verb: Act, targets: &[String]) -> Result<Done, Refusal> {
        let ids = self.find_several(targets)?;
        let mut done = Done::default();
        for id in ids {
            if let Some(foreign) = self.foreign.get(&id) {
                let name = foreign.name().to_string();
                let message = self.act_on_foreign(verb, &id)?;
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
            let name = self.entries.get(&id).map_or_else(String::new, |e| e.name().to_string());
            done.sessions.push(Touched { id, name, message });
        }
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
        failpoint::here("daemon.forget.before");
        std::fs::remove_dir_all(entry.dir.path()).map_err(|e| {
            Refusal::new(Code::Internal, format!("failed to remove {}: {e}", entry.dir.path().display()))
        })?;
        failpoint::here("daemon.forget.after");
        // Its row outlives it; an end that was not written down yet has no other source from here on.
        self.remember(id);
        self.entries.remove(id);
        Ok(Touched { id: id.into(), name, message: "forgotten".into() })
    }

    pub(super) fn reload(&mut self) -> Result<String, Refusal> {
        match crate::config::load(&self.set.paths, &crate::config::process_env()) {
            Ok(config) => {
                self.set.config = config;
                self.measure_anew();
                info!("the config was read again");
                let authority = self.authority();
                // A keeper that does not hear this is gone.
                self.live().filter_map(|e| e.link.as_ref()).for_each(|link| drop(link.order(&authority)));
                Ok(format!("read {}", self.set.paths.config.display()))
            }
            Err(error) => {
                warn!(%error, "the config is bad: the old settings stay in force");
                Err(Refusal::new(Code::Unprocessable, format!("the old settings stay in force: {error}")))
            }
        }
    }
}
