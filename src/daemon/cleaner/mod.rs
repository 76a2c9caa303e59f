//! The cleaner: a look at every session once in a while, and a close for those whose time is over.
//!
//! ```text
//!   due ──► sample ──► pass: facts ──► policy ──► announce · withdraw · close
//!             │ failed: counted, and the next one comes all the same
//! ```
//!
//! What is decided is decided in [`crate::model::policy`]; here it is asked at the right moment, and done. A pass reads
//! nothing and waits for nothing: the sample before it, and the closes after it, happen elsewhere.
//!
//! - `pass`: one look. `pressure`: room for a new session. `settings`: what changes while the daemon runs.
//! - `subject`: whom it looks at. `stats`: what can be seen of it. `routes`: the same over HTTP.

mod pass;
mod pressure;
mod routes;
mod settings;
mod stats;
mod subject;

pub use pressure::{Made, Request};
pub use routes::routes;
pub use settings::Reloaded;

use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use super::handle::Reply;
use super::supervisor::{Supervisor, answer};
use crate::api::cleanup::{Cleaned, Counts};
use crate::api::refusal::{Code, Refusal};
use crate::api::types::Outcome;
use crate::config::Cleanup;
use crate::model::policy::{Policy, Watch};
use crate::model::session::{Cause, ExitBy};
use crate::sys::clock;

/// A sample that has not come back after this, or an interval if that is longer, is a failed pass.
const PATIENCE: Duration = Duration::from_secs(10);

pub struct Cleaner {
    /// The next pass.
    due: Instant,
    /// The next timeout of a session; those are kept to the moment, not to the interval.
    timeout: Option<Instant>,
    watch: Watch,
    /// A sample for a pass was asked for, then.
    asked: Option<Instant>,
    waiting: Vec<Reply<Cleaned>>,
    pub counts: Counts,
    /// Stopped by a person: it stays so when the file is read again.
    stopped: bool,
    /// How long the last look at everybody took.
    took: Option<Duration>,
    /// Workspaces of starts that wait for a session to make room.
    rooms: Vec<String>,
}

impl Cleaner {
    pub fn new(interval: Duration) -> Self {
        let now = clock::monotonic();
        let mut cleaner = Self {
            due: Instant::now(),
            timeout: None,
            watch: Watch::new(now, clock::slept()),
            asked: None,
            waiting: Vec::new(),
            counts: Counts::default(),
            stopped: false,
            took: None,
            rooms: Vec::new(),
        };
        cleaner.begin(interval);
        cleaner
    }

    /// After a time in which there was nothing to look at.
    fn begin(&mut self, interval: Duration) {
        self.due = Instant::now() + interval;
        self.watch.next_at(clock::monotonic() + interval);
    }
}

impl Counts {
    /// A close is over.
    pub fn closed(&mut self, cause: Option<&Cause>, outcome: Outcome) {
        let by_rule = cause.is_some_and(|c| matches!(c.by, ExitBy::Policy | ExitBy::Pressure | ExitBy::Timeout));
        self.sessions_cleaned += u64::from(by_rule && outcome != Outcome::Survivors);
    }
}

fn policy(cleanup: &Cleanup) -> Policy {
    Policy {
        max_idle: cleanup.max_idle,
        max_age: cleanup.max_age,
        max_waiting: cleanup.max_waiting,
        linger: cleanup.linger,
        notice: cleanup.notice,
    }
}

impl Supervisor {
    /// When the cleaner wants to be called: while there is somebody to look at.
    pub(super) fn cleaner_due(&self) -> Option<Instant> {
        let anybody = self.has_subjects();
        let pass = self.set.config.cleanup.enabled.then_some(self.cleaner.due);
        [pass, self.cleaner.timeout].into_iter().flatten().min().filter(|_| anybody)
    }

    pub(super) fn tick_cleaner(&mut self, now: Instant) {
        if !self.has_subjects() {
            return;
        }
        if self.cleaner.timeout.is_some_and(|at| at <= now) {
            self.close_overdue();
        }
        if self.set.config.cleanup.enabled && self.cleaner.due <= now {
            self.begin_pass();
        }
    }

    /// Somebody is there again: the time without sessions was no lost time.
    pub(super) fn wake_cleaner(&mut self) {
        if !self.has_subjects() {
            self.cleaner.begin(self.set.config.cleanup.interval);
        }
    }

    fn begin_pass(&mut self) {
        let interval = self.set.config.cleanup.interval;
        self.cleaner.due = Instant::now() + interval;
        let patience = PATIENCE.max(interval);
        match self.cleaner.asked {
            Some(asked) if asked.elapsed() >= patience => self.pass_failed("the process table does not answer"),
            Some(_) => {}
            None => {
                self.cleaner.asked = Some(Instant::now());
                self.sample();
            }
        }
    }

    /// A pass now, for somebody who asks; also when the cleaner is stopped.
    pub(super) fn clean_now(&mut self, reply: Reply<Cleaned>) {
        self.cleaner.waiting.push(reply);
        if !self.set.config.cleanup.enabled {
            // Nobody looked, and nobody was to.
            self.cleaner.begin(Duration::ZERO);
        }
        self.cleaner.asked.get_or_insert_with(Instant::now);
        self.sample();
    }

    /// The sample is in.
    pub(super) fn sampled_for_cleaner(&mut self) {
        // It may have been stopped in between: then only who asks has a pass.
        let wanted = self.set.config.cleanup.enabled || !self.cleaner.waiting.is_empty();
        if self.cleaner.asked.take().is_some() && wanted {
            self.pass();
        } else {
            self.recall();
        }
    }

    pub(super) fn sample_failed_for_cleaner(&mut self, why: &str) {
        if self.cleaner.asked.take().is_some() {
            self.pass_failed(why);
        }
    }

    /// Counted and said; the next one comes all the same.
    fn pass_failed(&mut self, why: &str) {
        self.cleaner.counts.cleanup_errors += 1;
        warn!("the cleaner's pass failed: {why}");
        for reply in self.cleaner.waiting.drain(..) {
            answer(reply, Err(Refusal::new(Code::Internal, format!("the cleaner's pass failed: {why}"))));
        }
    }
}
