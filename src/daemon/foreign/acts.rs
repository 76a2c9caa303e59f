//! What may be done with a session beadle did not start: closed when somebody says so, named, pinned, looked at, typed
//! into where it is in tmux. What needs a keeper is refused, and says what to do instead.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;
use tracing::warn;

use super::Foreign;
use crate::api::refusal::{Code, Refusal};
use crate::api::types::{Act, Closed, Outcome};
use crate::daemon::close::Target;
use crate::daemon::entry::CloseUnderWay;
use crate::daemon::store::Fact;
use crate::daemon::supervisor::Supervisor;
use crate::model::lifecycle::Event;
use crate::model::profile::HelperKind;
use crate::model::scene::Pane;
use crate::model::select;
use crate::model::session::{Cause, Exit, ExitBy, ProcId};
use crate::sys::poll::Waker;
use crate::sys::{clock, process};

impl Supervisor {
    /// The foreign session a word names, if it names one.
    pub(in crate::daemon) fn find_foreign(&self, word: &str) -> Option<&Foreign> {
        let id = select::one(word, &self.choices()).ok()?.to_string();
        self.foreign.get(&id)
    }

    /// Foreign sessions are closed by their ids: what a glob or a name means can change between the question and the
    /// answer.
    pub(in crate::daemon) fn is_named_by_id(&self, words: &[String], ids: &[String]) -> Result<(), Refusal> {
        let unnamed = ids.iter().filter_map(|id| self.foreign.get(id)).find(|f| f.is_live() && !words.contains(&f.id));
        let Some(foreign) = unnamed else { return Ok(()) };
        let why = format!("beadle did not start {}: name it by its id, {}", foreign.name(), foreign.id);
        Err(Refusal::new(Code::Forbidden, why))
    }

    /// Refuses what would take beadle itself, or whoever asks, along.
    pub(in crate::daemon) fn may_be_closed(&self, ids: &[String], pane: bool) -> Result<(), Refusal> {
        let own = i32::try_from(std::process::id()).unwrap_or(0);
        let mut above = process::ancestors(own);
        self.set.peers.pids().into_iter().for_each(|pid| above.extend(process::ancestors(pid)));
        for foreign in ids.iter().filter_map(|id| self.foreign.get(id)).filter(|f| f.is_live()) {
            let name = foreign.name();
            if foreign.is_shell() && !pane {
                let why = format!("{name} is a plain shell, and no agent: --pane closes its pane");
                return Err(Refusal::new(Code::Forbidden, why));
            }
            if pane && foreign.pane().is_none() {
                return Err(Refusal::new(Code::WrongState, format!("{name} is in no pane that could be closed")));
            }
            if above.contains(&foreign.seen.leader.pid) {
                let why = format!("{name} is what this command, or beadle itself, runs in: close it from outside");
                return Err(Refusal::new(Code::Forbidden, why));
            }
        }
        Ok(())
    }

    /// Begins the close of a foreign session.
    pub(in crate::daemon) fn close_foreign(
        &mut self,
        id: &str,
        now: bool,
        cause: &Cause,
        (waiter, waker): (oneshot::Sender<Closed>, &Arc<Waker>),
    ) -> Option<Target> {
        let spared = self.not_of(id);
        let grace = if now { Duration::ZERO } else { self.set.config.stop.grace };
        let foreign = self.foreign.get_mut(id)?;
        if !foreign.is_live() {
            // Who asked may have gone.
            let _ = waiter.send(foreign.already_gone(cause));
            return None;
        }
        if let Some(close) = &mut foreign.close {
            close.waiters.push(waiter);
            close.hurry.fetch_or(now, Ordering::Relaxed);
            close.waker.wake();
            return None;
        }
        let hurry = Arc::new(AtomicBool::new(false));
        let began = foreign.close_began(&self.boot, cause);
        self.set.store.tell(Fact::CloseBegan(Box::new(began.clone())));
        foreign.close = Some(CloseUnderWay {
            hurry: Arc::clone(&hurry),
            waker: Arc::clone(waker),
            waiters: vec![waiter],
            began: vec![began],
            report: None,
            again: None,
            whole: true,
            called_off: false,
            by_hook: self.by_hook,
        });
        foreign.life.apply(Event::CloseBegan);
        foreign.announced = None;
        Some(foreign.target(grace, cause.clone(), hurry, spared))
    }

    /// Members of all other sessions, keepers nobody here holds, and helpers another live session of its kind shares.
    fn not_of(&self, id: &str) -> Vec<ProcId> {
        let others = || self.foreign_live().filter(|f| f.id != id);
        let mut spared: Vec<ProcId> = others().flat_map(|f| f.members().iter().copied()).collect();
        spared.extend(self.live().flat_map(|e| e.members.iter().copied()));
        let Some(foreign) = self.foreign.get(id) else { return spared };
        let mut kin = others().map(|f| f.agent.as_str()).chain(self.live().map(|e| e.session.agent.as_str()));
        let serves = |kind: &HelperKind| *kind == HelperKind::Daemon;
        if kin.any(|agent| agent == foreign.agent) {
            spared.extend(foreign.seen.helpers.iter().filter(|(kind, _)| serves(kind)).map(|(_, id)| *id));
        }
        if let Some(scene) = &self.scene {
            spared.extend(scene.keepers.iter().filter_map(|pid| scene.table.pid(*pid)).map(|p| p.id));
        }
        spared
    }

    pub(in crate::daemon) fn on_foreign_closed(&mut self, closed: &Closed, by: ExitBy) {
        let now = clock::monotonic();
        let Some(foreign) = self.foreign.get_mut(&closed.id) else { return };
        foreign.life.apply(Event::CloseEnded);
        foreign.announced = None;
        foreign.survived = closed.outcome == Outcome::Survivors;
        if closed.outcome != Outcome::Survivors {
            let reason = closed.reason.clone();
            foreign.finish(Exit { code: None, signal: None, at: clock::wall(), by, reason }, now);
        }
        let is_over = !foreign.is_live();
        for waiter in foreign.close.take().into_iter().flat_map(|c| c.waiters) {
            // Who asked may have gone.
            let _ = waiter.send(closed.clone());
        }
        if is_over {
            self.tell_gone(&closed.id);
        }
        self.forget_old();
        self.sample_soon();
        self.bump();
    }

    pub(in crate::daemon) fn foreign_target(&self, id: &str, cause: &Cause) -> Option<Target> {
        let foreign = self.foreign.get(id).filter(|f| f.is_live())?;
        Some(foreign.target(Duration::ZERO, cause.clone(), Arc::default(), self.not_of(id)))
    }

    pub(in crate::daemon) fn act_on_foreign(&mut self, verb: Act, id: &str) -> Result<String, Refusal> {
        let Some(foreign) = self.foreign.get_mut(id) else {
            return Err(Refusal::new(Code::NotFound, "no such session"));
        };
        let name = foreign.name();
        let message = match verb {
            Act::Pin | Act::Unpin => {
                foreign.said.pinned = verb == Act::Pin;
                if foreign.said.pinned { "pinned" } else { "unpinned" }
            }
            Act::Pause | Act::Unpause => {
                let why = format!(
                    "beadle did not start {name}, and its shell would take it for stopped: press Ctrl-Z there, and `fg`"
                );
                return Err(Refusal::new(Code::WrongState, why));
            }
            Act::Rm if foreign.is_live() => {
                let why = format!("{name} has not ended: `beadle kill {id} --yes` first");
                return Err(Refusal::new(Code::WrongState, why));
            }
            Act::Rm => {
                self.foreign.remove(id);
                return Ok("forgotten".into());
            }
        };
        self.keep_said(id);
        Ok(message.into())
    }

    pub(in crate::daemon) fn keep_said(&mut self, id: &str) {
        let Some(foreign) = self.foreign.get(id) else { return };
        if let Err(error) = self.memory.keep(id, &foreign.said) {
            warn!(session = %id, %error, "failed to write down what was said of it (is the disk full?)");
        }
    }

    /// The pane of a foreign session, for whoever looks at it or types into it; `None` for a managed one.
    pub(in crate::daemon) fn pane(&self, word: &str) -> Result<Option<(crate::api::types::Session, Pane)>, Refusal> {
        let Some(foreign) = self.find_foreign(word) else { return Ok(None) };
        let name = foreign.name();
        if !foreign.is_live() {
            return Err(Refusal::new(Code::WrongState, format!("{name} has ended")));
        }
        let pane = foreign.pane().cloned().ok_or_else(|| Refusal::new(Code::WrongState, foreign.out_of_reach()))?;
        Ok(Some((foreign.row(clock::monotonic()), pane)))
    }

    /// Why a verb that needs a keeper cannot be done.
    pub(in crate::daemon) fn needs_keeper(&self, word: &str, what: &str) -> Result<(), Refusal> {
        match self.find_foreign(word) {
            None => Ok(()),
            Some(foreign) => {
                let why = format!("beadle did not start {}: {what}", foreign.name());
                Err(Refusal::new(Code::WrongState, why))
            }
        }
    }
}

impl Foreign {
    pub fn out_of_reach(&self) -> String {
        let name = self.name();
        match self.seen.origin {
            crate::model::session::Origin::Tmux => format!("the tmux server of {name} does not answer"),
            _ => format!(
                "{name} runs in a terminal that beadle cannot reach; only managed sessions and those in tmux can be seen and typed into"
            ),
        }
    }

    fn already_gone(&self, cause: &Cause) -> Closed {
        Closed {
            id: self.id.clone(),
            name: self.name.clone(),
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
}
