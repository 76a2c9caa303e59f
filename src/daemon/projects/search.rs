//! The search for what a failure left elsewhere: owed from the moment in which the failure is settled, and again by the next
//! daemon if this one is killed before it is over.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::News;
use super::round::Search;
use crate::daemon::handle::Input;
use crate::daemon::supervisor::Supervisor;
use crate::daemon::sweep::{Before, Ordered};
use crate::model::session::{Cause, ExitBy};
use crate::model::stray::Marks;
use crate::sys::failpoint;

/// Between a failure and its search.
const BEFORE: Duration = Duration::from_secs(2);

/// One for all that fail within that time.
#[derive(Default)]
pub struct Searching {
    planned: Option<(Instant, Search)>,
    /// The last that was begun, and the last that is over.
    begun: i64,
    pub done: Option<i64>,
}

impl Searching {
    pub fn due(&self) -> Option<Instant> {
        self.planned.as_ref().map(|(due, _)| *due)
    }
}

impl Supervisor {
    /// What is owed. What an earlier daemon left waits until this one is old enough to be believed about strays.
    pub(super) fn plan_search(&mut self, owed: &[Search], is_of_another: bool) {
        let old_enough = self.set.config.sweep.min_age.saturating_sub(self.begun.elapsed());
        let wait = if is_of_another { BEFORE.max(old_enough) } else { BEFORE };
        let search = &mut self.queue.search;
        let known = search.planned.as_ref().map_or(search.begun, |(_, planned)| planned.number);
        let Some(last) = owed.last().filter(|last| last.number > known) else { return };
        let due = Instant::now() + wait;
        let due = search.due().map_or(due, |before| before.min(due));
        search.planned = Some((due, last.clone()));
    }

    /// Never latches: that is for a person.
    pub(super) fn search_if_due(&mut self, now: Instant) {
        let Some((_, search)) = self.queue.search.planned.take_if(|(due, _)| *due <= now) else { return };
        let Search { number, reason, by_hook } = search;
        self.queue.search.begun = number;
        failpoint::here("daemon.search.before");
        let cause = Cause::new(ExitBy::Sweep, reason);
        let ordered = Ordered { dry_run: false, marks: Marks::default(), cause, by_hook, before: Before::default() };
        let (reply, swept) = oneshot::channel();
        self.make_sweep(ordered, reply);
        let inputs = self.inputs.clone();
        tokio::spawn(async move {
            // Its report is in the log and in the audit; one that broke off is not tried for ever.
            let _ = swept.await;
            // A supervisor that has ended leaves it to the next one.
            let _ = inputs.send(Input::Queue(Box::new(News::Searched { number })));
        });
    }

    pub(super) fn on_searched(&mut self, number: i64) {
        self.queue.search.done = Some(number);
        self.make_round();
    }
}
