//! What is kept, within its bounds: recordings and directories of ended sessions by age and size, rows by age.
//!
//! Measuring and removing happen on one thread beside everything else, never two at once: a disk that hangs takes that one
//! and no more. Whom it concerns is decided here, where it is known who lives.

use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use super::handle::Input;
use super::store::Fact;
use super::supervisor::Supervisor;
use crate::model::retention::{Bounds, Kept, overdue};
use crate::sys::clock;

/// Between two looks, when nothing ends.
const EVERY: Duration = Duration::from_secs(600);
/// After an end, so that one look serves those that end together.
const SOON: Duration = Duration::from_secs(1);
/// How long rows of history and audit are kept at least: they outlive the recordings.
const ROWS: Duration = Duration::from_secs(90 * 24 * 3600);

/// When to look next.
pub struct House {
    next: Instant,
    /// Rows are looked at less often than directories.
    rows: Instant,
    /// A look is under way.
    pub(super) busy: bool,
}

impl House {
    pub fn new(now: Instant) -> Self {
        Self { next: now, rows: now, busy: false }
    }

    /// While a look is under way its end is the next event.
    pub fn due(&self) -> Option<Instant> {
        (!self.busy).then_some(self.next)
    }
}

impl Supervisor {
    pub(super) fn look_at_house_soon(&mut self) {
        self.house.next = self.house.next.min(Instant::now() + SOON.min(self.look_every()));
    }

    fn look_every(&self) -> Duration {
        EVERY.min(self.set.config.record.keep / 4).max(Duration::from_millis(20))
    }

    pub(super) fn keep_house(&mut self, now: Instant) {
        if self.house.busy || now < self.house.next {
            return;
        }
        self.house.next = now + self.look_every();
        if self.set.store.take_lost_runs() {
            self.remember_all();
        }
        if now >= self.house.rows {
            self.house.rows = now + EVERY;
            let before = clock::wall_before(ROWS.max(self.set.config.record.keep));
            self.set.store.tell(Fact::Forget { before });
        }
        let dirs: Vec<_> = self.entries.values().map(|e| (e.id().to_string(), e.dir.clone())).collect();
        if dirs.is_empty() {
            return;
        }
        self.house.busy = true;
        let inputs = self.inputs.clone();
        tokio::task::spawn_blocking(move || {
            let measured = dirs.into_iter().map(|(id, dir)| (id, bytes_in(dir.path()))).collect();
            // A supervisor that has ended keeps no house.
            let _ = inputs.send(Input::Measured(measured));
        });
    }

    /// Forgets the sessions that are past their time. One that was started again meanwhile is not among them.
    pub(super) fn on_measured(&mut self, measured: &[(String, u64)]) {
        let now = clock::wall();
        let of = |(id, bytes): &(String, u64)| {
            let entry = self.entries.get(id)?;
            let is_over = !entry.is_live() && !self.births.contains_key(id);
            let at = entry.exit.as_ref().filter(|_| is_over).map(|e| e.at.as_str());
            Some(Kept { id: id.clone(), ended: at.and_then(|at| clock::seconds_between(at, &now)), bytes: *bytes })
        };
        let kept: Vec<Kept> = measured.iter().filter_map(of).collect();
        let record = &self.set.config.record;
        let overdue = overdue(&kept, Bounds { keep: record.keep, total: record.total });
        if overdue.is_empty() {
            self.house.busy = false;
            return;
        }
        info!("forgotten, past record.keep or record.total: {}", overdue.join(" "));
        overdue.iter().for_each(|id| self.remember(id));
        let dirs: Vec<_> = overdue.iter().filter_map(|id| self.entries.remove(id)).map(|e| e.dir).collect();
        self.bump();
        let inputs = self.inputs.clone();
        tokio::task::spawn_blocking(move || {
            for dir in dirs {
                if let Err(error) = std::fs::remove_dir_all(dir.path()) {
                    warn!(%error, "failed to remove {}: it is tried again at the next start", dir.path().display());
                }
            }
            // As above.
            let _ = inputs.send(Input::Removed);
        });
    }
}

/// Of the files in a session's directory; there are no others below it.
fn bytes_in(dir: &Path) -> u64 {
    let files = std::fs::read_dir(dir).into_iter().flatten().flatten();
    files.filter_map(|f| f.metadata().ok()).map(|m| m.len()).sum()
}
