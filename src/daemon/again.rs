//! Starting a session again because somebody asked, under its id and name.
//!
//! ```text
//!   live:   Stay ─► close ─► the tree is empty ─► Restart ─► its keeper has answered
//!                     │ somebody closes it                │ somebody closes it
//!                     ▼                                   ▼
//!                   the restart is refused              closed after the answer
//!   ended:  a birth ([`super::start`]); who closes it meanwhile closes what is born
//! ```
//!
//! A keeper that stays is called or told that nobody will call it; one that hears neither has lost us, and knows by that.

use std::time::Duration;

use tokio::sync::oneshot;
use tracing::info;

use super::birth::Wanted;
use super::closing::Order;
use super::entry::{Again, CloseUnderWay, Entry};
use super::handle::{Input, Reply};
use super::link::{Answer, Link};
use super::start::Asker;
use super::store::Fact;
use super::supervisor::{Supervisor, answer, silent};
use crate::api::refusal::{Code, Refusal};
use crate::api::types::{Closed, Outcome, RestartRequest, Session};
use crate::api::wire::Request;
use crate::model::session::{Asked, Cause, ExitBy, State};
use crate::sys::clock;

/// How long a keeper may take to start its agent again.
const START: Duration = Duration::from_secs(10);

impl Supervisor {
    pub(super) fn restart(&mut self, word: &str, request: RestartRequest, asked: Option<Asked>, reply: Reply<Session>) {
        let entry = match self.may_start().and_then(|()| self.find(word)) {
            Ok(entry) => entry,
            Err(refusal) => return answer(reply, Err(refusal)),
        };
        let id = entry.id().to_string();
        if entry.is_to_run_again() || self.births.contains_key(&id) {
            let why = format!("{} is being started again already", entry.name());
            return answer(reply, Err(Refusal::new(Code::WrongState, why)));
        }
        match (entry.life.state(), entry.link.clone()) {
            (State::Ended, _) => self.restart_ended(&id, request, reply),
            (State::Starting | State::Running | State::Paused | State::Lingering, Some(link)) => {
                self.restart_live(&id, &link, asked, reply);
            }
            (state, _) => {
                let why = format!("{} is {state} and cannot be restarted now", entry.name());
                answer(reply, Err(Refusal::new(Code::WrongState, why)));
            }
        }
    }

    /// Its keeper holds the environment: told to stay, then the tree is closed, then it starts again.
    fn restart_live(&mut self, id: &str, link: &Link, asked: Option<Asked>, reply: Reply<Session>) {
        let name = self.entries.get(id).map_or_else(String::new, |e| e.name().to_string());
        if let Err(error) = link.order(&Request::Stay { on: true }) {
            return answer(reply, Err(silent(&name, &error)));
        }
        let cause = Cause::new(ExitBy::User, "restart").asked(asked);
        drop(self.close(&[id.to_string()], false, &cause));
        if let Some(close) = self.entries.get_mut(id).and_then(|e| e.close.as_mut()) {
            close.again = Some(Again::Asked(reply));
        }
    }

    /// Somebody closes it while its tree is closed for a restart: that does not come, and the end is on their account.
    pub(super) fn call_restart_off(&mut self, id: &str, cause: &Cause, by_hook: bool) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        if !matches!(&entry.close, Some(CloseUnderWay { again: Some(Again::Asked(_)), .. })) {
            return;
        }
        let began = entry.close_began(cause);
        let Some(close) = &mut entry.close else { return };
        let Some(Again::Asked(reply)) = close.again.take() else { return };
        self.set.store.tell(Fact::CloseBegan(Box::new(began.clone())));
        close.began.push(began);
        close.by_hook = by_hook;
        entry.meta.cause = Some(cause.clone());
        let why = format!("{} was closed meanwhile ({}) and was not started again", entry.name(), cause.reason);
        info!("refused restart session={id}: {why}");
        answer(reply, Err(Refusal::new(Code::WrongState, why)));
        if !stays_no_longer(entry, cause) {
            self.keep_meta(id);
        }
    }

    /// The tree is closed, and was closed for a restart: its keeper is called. False when it is closed for good.
    pub(super) fn starts_again(&mut self, id: &str) -> bool {
        let may = self.may_start();
        let Some(entry) = self.entries.get_mut(id) else { return false };
        let Some(close) = &mut entry.close else { return false };
        let (Some(Again::Asked(reply)), Some(report)) = (close.again.take(), close.report.clone()) else {
            return false;
        };
        let called = may.and_then(|()| called(entry, &report));
        let asked = match called {
            Ok(called) => called,
            Err(refusal) => {
                self.tell_unstarted(id, &refusal);
                answer(reply, Err(refusal));
                return false;
            }
        };
        // The next end has its own cause.
        entry.meta.cause = None;
        if let Some(close) = &mut entry.close {
            close.again = Some(Again::Called(Vec::new()));
        }
        let (inputs, id) = (self.inputs.clone(), id.to_string());
        tokio::spawn(async move {
            let started = tokio::time::timeout(START, asked).await;
            let started = started.map_or_else(|_| Err("does not answer"), |said| said.map_err(|_| "went away"));
            // A supervisor that has ended: who asked is told that it is gone.
            let _ = inputs.send(Input::StartedAgain { id, started, reply });
        });
        true
    }

    pub(super) fn on_started_again(&mut self, id: &str, started: Result<Answer, &'static str>, reply: Reply<Session>) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        let (mut after, mut spared) = (Vec::new(), Vec::new());
        if let Some(close) = entry.close.as_mut().filter(|c| matches!(c.again, Some(Again::Called(_)))) {
            if let Some(Again::Called(orders)) = close.again.take() {
                after = orders;
            }
            spared = close.report.iter().flat_map(|report| report.spared.clone()).collect();
        }
        let started = match started {
            Ok(Answer { ok: true, .. }) => Ok(()),
            Ok(Answer { message, .. }) => {
                let who = if spared.is_empty() { String::new() } else { format!(" ({})", spared.join("; ")) };
                Err(Refusal::new(Code::CannotExecute, format!("{message}{who}")))
            }
            Err(why) => Err(Refusal::new(Code::KeeperSilent, format!("the keeper of {} {why}", entry.name()))),
        };
        if let Err(refusal) = &started {
            self.tell_unstarted(id, refusal);
        }
        self.settle(id);
        answer(reply, started.and_then(|()| self.find(id).map(|e| e.row(clock::monotonic()))));
        self.close_ordered(after);
    }

    /// Its keeper stays for nobody, and writes down why.
    fn tell_unstarted(&self, id: &str, refusal: &Refusal) {
        let Some(entry) = self.entries.get(id) else { return };
        info!("refused restart session={id}: {refusal}");
        let asked = entry.close.as_ref().and_then(|c| c.began.last()).and_then(|began| began.cause.asked.clone());
        let why = format!("it was to be started again, and was not: {refusal}");
        // A keeper that does not hear this is gone.
        let _ = stays_no_longer(entry, &Cause::new(ExitBy::User, why).asked(asked));
    }

    /// A new keeper under the old id and name; the environment is the caller's or the daemon's base.
    fn restart_ended(&mut self, id: &str, request: RestartRequest, reply: Reply<Session>) {
        let Some(entry) = self.entries.get(id) else { return };
        let mut session = entry.session.clone();
        session.name = entry.name().to_string();
        let may = self.free_name(&session.name, Some(id)).and_then(|()| self.refuse_if_full(&session.workspace));
        if let Err(refusal) = may {
            return answer(reply, Err(refusal));
        }
        session.cgroup = None;
        let env = self.environment(request.env_whole, request.env, &session);
        let (record_bytes, pace) = (self.set.config.record.per_session, self.set.config.restart.pace());
        let (umask, limits, spinners) = (request.umask, request.limits, self.spinners(&session.agent));
        let hook = self.hook(&session.agent);
        self.bear(
            Wanted { env, umask, limits, record_bytes, spinners, hook, pace, session, again: true },
            Asker::Restart(reply),
        );
    }

    /// A close of what is just being started again comes after that; the order, if it is none of those.
    pub(super) fn after_the_start(&mut self, order: Order) -> Option<Order> {
        if let Some(birth) = self.births.get_mut(&order.id) {
            birth.closes.push(order);
            return None;
        }
        let close = self.entries.get_mut(&order.id).and_then(|e| e.close.as_mut());
        if let Some(Again::Called(after)) = close.and_then(|c| c.again.as_mut()) {
            after.push(order);
            return None;
        }
        Some(order)
    }
}

/// The order to start it again, unless something stands against it.
fn called(entry: &Entry, report: &Closed) -> Result<oneshot::Receiver<Answer>, Refusal> {
    let Some(link) = &entry.link else {
        return Err(Refusal::new(Code::KeeperSilent, "its keeper went away during the restart"));
    };
    if report.outcome == Outcome::Survivors {
        let why = format!("{} has survivors and was not started again", entry.name());
        return Err(Refusal::new(Code::WrongState, why));
    }
    link.ask(|seq| Request::Restart { seq }).map_err(|error| silent(entry.name(), &error))
}

/// Whether its keeper hears that it is not called, and on whose account that is.
fn stays_no_longer(entry: &Entry, cause: &Cause) -> bool {
    let closing = Request::Closing { seq: u64::MAX, cause: cause.clone() };
    let told = |link: &Link| link.order(&closing).and_then(|()| link.order(&Request::Stay { on: false })).is_ok();
    entry.link.as_ref().is_some_and(told)
}
