//! The agent started again in its keeper: because somebody asked, or by itself after it failed.
//!
//! ```text
//!                         somebody asks: Stay, Closing … tree empty … Restart
//!   the leader ends ──────────────────────────────────────────────────────────► a new run
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

/// A run that is to come by itself.
pub(super) struct Coming {
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
            attempt: self.attempt,
            succeeded: exit.code == Some(0),
            ended_by_others: self.cause.is_some(),
            lasted: clock::monotonic().saturating_sub(self.run_began),
        };
        match restart::next(self.spec.session.restart, run, self.spec.pace, dirs::random_fraction()) {
            Next::Again { attempt, after } => {
                // Read only if this keeper dies before the next run.
                let _ = self.dir.write_exit(exit);
                self.coming = Some(Coming { exit: exit.clone(), attempt, at: clock::monotonic() + after });
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
        self.coming.as_ref().map(|coming| ToCome {
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
        let coming = self.coming.as_ref().filter(|_| self.empty)?;
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
        let Some(Coming { exit, attempt, .. }) = self.coming.take() else { return };
        match self.begin_again() {
            Ok(()) => self.attempt = attempt,
            Err(why) => {
                let reason = format!("{}; could not be started again: {why}", exit.reason);
                self.set_exit(Exit { reason, ..exit });
                self.reap();
            }
        }
    }

    /// Somebody closes the session while a run is to come: the one before was the last.
    pub(super) fn call_off(&mut self, cause: &Cause) {
        let Some(Coming { exit, .. }) = self.coming.take() else { return };
        // Somebody's restart is coming instead.
        if !self.staying {
            self.set_exit(Exit { by: cause.by, reason: cause.reason.clone(), ..exit });
        }
    }

    pub(super) fn restart(&mut self, token: u64, seq: u64) {
        // Who sent the order saw everybody dead; the signal that says so to us may come later.
        self.reap();
        if !self.empty {
            return self.answer(token, seq, false, "processes of the run before are still there");
        }
        self.staying = false;
        self.coming = None;
        self.attempt = 0;
        match self.begin_again() {
            Ok(()) => self.answer(token, seq, true, "restarted"),
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

    /// A restart that does not come.
    pub(super) fn unstay(&mut self) {
        if std::mem::take(&mut self.staying) && !self.leader_lives && self.exit.is_none() && self.coming.is_none() {
            self.end_unstarted("it was to be started again, and was not");
        }
    }

    fn end_unstarted(&mut self, reason: &str) {
        let by = self.cause.as_ref().map_or(ExitBy::User, |c| c.by);
        self.set_exit(Exit { code: None, signal: None, at: clock::wall(), by, reason: reason.into() });
        self.reap();
    }
}
