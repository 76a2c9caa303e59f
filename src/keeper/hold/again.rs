//! The agent started again in its keeper: because somebody asked, or by itself after it failed.
//!
//! ```text
//!                         somebody asks: Stay, Closing … tree empty … Restart
//!   the leader ends ──────────────────────────────────────────────────────────► a new run
//!          │                            │ taken back, or who asked is gone: ended  ▲
//!          │ by itself, and fails                                                   ▲
//!          └──► waits: processes left? until they are gone ──► until the pause is over
//!                 │ Closing, or a close written down
//!                 └──► ended, as the last run ended
//! ```

use std::time::Duration;

use super::Keeper;
use crate::api::wire::{Fact, ToCome};
use crate::model::restart::{self, Next, Run, Why};
use crate::model::session::{Cause, Exit, ExitBy};
use crate::sys::{clock, dirs};

/// Why a session has ended whose agent was closed for a restart.
const UNSTARTED: &str = "it was to be started again, and was not";

/// What is known of runs to come, and of the last.
#[derive(Default)]
pub(super) struct Again {
    /// A restart is coming, by this connection: an empty tree is not the end.
    stays_for: Option<u64>,
    /// How the agent ended meanwhile.
    left: Option<Exit>,
    /// Who told us to start it now, and by which order.
    called: Option<(u64, u64)>,
    /// How often the agent was started again in a row, and since when it runs.
    attempt: u32,
    pub run_began: Duration,
    coming: Option<Coming>,
}

/// A run that is to come by itself.
struct Coming {
    /// How the run before ended.
    exit: Exit,
    attempt: u32,
    /// By the monotonic clock.
    at: Duration,
}

impl Keeper {
    /// Another run follows the one that has just ended like this; else the end is final, and its reason complete.
    pub(super) fn comes_again(&mut self, exit: &mut Exit) -> bool {
        let run = Run {
            attempt: self.again.attempt,
            succeeded: exit.code == Some(0),
            ended_by_others: self.cause.is_some(),
            lasted: clock::monotonic().saturating_sub(self.again.run_began),
        };
        match restart::next(self.spec.session.restart, run, self.spec.pace, dirs::random_fraction()) {
            Next::Again { attempt, after } => {
                // Read only if this keeper dies before the next run.
                let _ = self.dir.write_exit(exit);
                self.again.coming = Some(Coming { exit: exit.clone(), attempt, at: clock::monotonic() + after });
                self.tell_coming();
                true
            }
            Next::Stop(why) => {
                if why == Why::GivenUp {
                    exit.reason = format!("{}; given up after {} restarts", exit.reason, run.attempt);
                }
                false
            }
        }
    }

    pub(super) fn to_come(&self) -> Option<ToCome> {
        self.again.coming.as_ref().map(|coming| ToCome {
            after: coming.exit.clone(),
            attempt: coming.attempt,
            limit: self.spec.pace.limit,
            at_monotonic_seconds: self.empty.then_some(coming.at.as_secs_f64()),
        })
    }

    pub(super) fn tell_coming(&mut self) {
        if let Some(to_come) = self.to_come() {
            self.clients.tell(&Fact::Again { to_come }, false, &self.poller);
        }
    }

    /// How long until the next run; `None` when none is to come, or something else has to happen first.
    pub(super) fn until_coming(&self) -> Option<Duration> {
        let coming = self.again.coming.as_ref().filter(|_| self.empty)?;
        Some(coming.at.saturating_sub(clock::monotonic()))
    }

    pub(super) fn start_coming(&mut self) {
        if self.until_coming().is_none_or(|left| !left.is_zero()) {
            return;
        }
        // A daemon that could not reach us wrote down that it closes the session.
        if let Some(cause) = self.dir.kept().meta.cause {
            return self.call_off(&cause);
        }
        if self.dir.is_latched() {
            self.call_off(&Cause::new(ExitBy::Sweep, "an emergency"));
            return self.reap();
        }
        let Some(Coming { exit, attempt, .. }) = self.again.coming.take() else { return };
        match self.begin_again() {
            Ok(()) => self.again.attempt = attempt,
            Err(why) => {
                let reason = format!("{}; could not be started again: {why}", exit.reason);
                self.set_exit(Exit { reason, ..exit });
                self.reap();
            }
        }
    }

    /// Somebody closes the session: nothing is started any more, but by an order that comes after this.
    pub(super) fn closes(&mut self, cause: Cause) {
        self.call_off(&cause);
        self.cause = Some(cause);
        if self.again.called.is_some() {
            self.unstay(None);
        }
    }

    /// While a run was to come: the one before was the last.
    fn call_off(&mut self, cause: &Cause) {
        let Some(Coming { exit, .. }) = self.again.coming.take() else { return };
        let exit = Exit { by: cause.by, reason: cause.reason.clone(), ..exit };
        if self.stays() {
            // Somebody's restart is coming instead.
            self.again.left = Some(exit);
        } else {
            self.set_exit(exit);
        }
    }

    pub(super) fn stay_for(&mut self, token: u64) {
        self.again.stays_for = Some(token);
    }

    pub(super) fn stays(&self) -> bool {
        self.again.stays_for.is_some()
    }

    /// Who was to call will not.
    pub(super) fn left_by(&mut self, token: u64) {
        if self.again.stays_for == Some(token) || self.again.called.is_some_and(|(by, _)| by == token) {
            self.unstay(Some(UNSTARTED));
        }
    }

    /// Done once all that was said meanwhile is heard: somebody may have taken it back.
    pub(super) fn call(&mut self, token: u64, seq: u64) {
        self.again.called = Some((token, seq));
    }

    pub(super) fn start_called(&mut self) {
        if self.again.called.is_none() {
            return;
        }
        // Who sent the order saw everybody dead; the signal that says so to us may come later.
        self.reap();
        self.hear_all();
        let Some((token, seq)) = self.again.called.take() else { return };
        if !self.empty {
            let why = "processes of the run before are still there";
            self.unstay(Some(&format!("{UNSTARTED}: {why}")));
            return self.answer(token, seq, false, why);
        }
        self.again = Again { left: self.again.left.take(), ..Again::default() };
        match self.begin_again() {
            Ok(()) => {
                self.again.left = None;
                self.answer(token, seq, true, "restarted");
            }
            Err(why) => {
                self.answer(token, seq, false, &why);
                self.end_unstarted(&format!("could not be started again: {why}"));
            }
        }
    }

    fn begin_again(&mut self) -> Result<(), String> {
        let leader = self.start(None).map_err(|error| error.to_string())?;
        self.empty = false;
        self.exit = None;
        self.stored = false;
        self.cause = None;
        self.clients.tell(&Fact::Restarted { leader }, false, &self.poller);
        Ok(())
    }

    /// A restart that does not come; without a reason, whoever closes the session has said it.
    pub(super) fn unstay(&mut self, reason: Option<&str>) {
        if let Some((token, seq)) = self.again.called.take() {
            self.answer(token, seq, false, "it was taken back");
        }
        let stayed = self.again.stays_for.take().is_some();
        if stayed && !self.leader_lives && self.exit.is_none() && self.again.coming.is_none() {
            let said = self.cause.as_ref().map(|cause| cause.reason.clone());
            let reason = reason.map(String::from).or(said);
            self.end_unstarted(reason.as_deref().unwrap_or(UNSTARTED));
        }
    }

    fn end_unstarted(&mut self, reason: &str) {
        let by = self.cause.as_ref().map_or(ExitBy::User, |c| c.by);
        let unseen = || Exit { code: None, signal: None, at: clock::wall(), by, reason: String::new() };
        let exit = self.again.left.take().unwrap_or_else(unseen);
        self.set_exit(Exit { by, reason: reason.into(), ..exit });
        self.reap();
    }

    /// The agent has ended; true while a restart is coming.
    pub(super) fn leaves(&mut self, exit: Exit) -> bool {
        let stays = self.stays();
        if stays {
            self.again.left = Some(exit);
        }
        stays
    }
}
