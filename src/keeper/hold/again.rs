//! The agent started again in its keeper.

use super::Keeper;
use crate::api::wire::Fact;
use crate::model::session::{Exit, ExitBy};
use crate::sys::clock;

impl Keeper {
    pub(super) fn restart(&mut self, token: u64, seq: u64) {
        // Who sent the order saw everybody dead; the signal that says so to us may come later.
        self.reap();
        if !self.empty {
            return self.answer(token, seq, false, "processes of the run before are still there");
        }
        self.staying = false;
        match self.start(None) {
            Ok(leader) => {
                self.empty = false;
                self.exit = None;
                self.stored = false;
                self.cause = None;
                self.clients.tell(&Fact::Restarted { leader }, false, &self.poller);
                self.answer(token, seq, true, "restarted");
            }
            Err(error) => {
                self.answer(token, seq, false, &error.to_string());
                self.end_unstarted(&format!("could not be started again: {error}"));
            }
        }
    }

    /// A restart that does not come.
    pub(super) fn unstay(&mut self) {
        if std::mem::take(&mut self.staying) && !self.leader_lives && self.exit.is_none() {
            self.end_unstarted("it was to be started again, and was not");
        }
    }

    pub(super) fn end_unstarted(&mut self, reason: &str) {
        let by = self.cause.as_ref().map_or(ExitBy::User, |c| c.by);
        self.set_exit(Exit { code: None, signal: None, at: clock::wall(), by, reason: reason.into() });
        self.reap();
    }
}
