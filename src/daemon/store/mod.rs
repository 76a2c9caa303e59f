//! The memory of what happened: SQLite, written by one thread.
//!
//! ```text
//!   supervisor ──Fact──► queue (bounded) ──► writer thread ──► beadle.db (WAL)
//!   handlers ──────────────────────────────► a connection of their own, to read ◄──┘
//! ```
//!
//! Who tells a fact never waits: not for a lock of the database, not for a disk that is full or hangs. What does not fit
//! is counted as lost. The truth about live sessions, and about the ends of those whose directories are kept, is in
//! their journals; an end that was lost here is told again from there. Every fact may be told twice: rows are keyed by
//! run, and what is counted is counted from the rows.
//!
//! - [`schema`]: the file, its versions. [`writer`]: facts into rows. [`queries`]: rows into answers.
//! - [`scribe`]: events, which have their numbers here and are heard once they are written.

mod queries;
pub(super) mod schema;
mod scribe;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::warn;

use self::writer::Writer;
use super::events::{Stream, Told};
use crate::api::memory::MemoryState;
use crate::api::types::{Closed, Evidence, Process};
use crate::model::session::{Cause, Exit};

pub use queries::{Answered, Recall};
pub use writer::count_in;

/// Most facts waiting to be written.
const QUEUE: usize = 4096;

/// Something that happened, to be remembered.
#[derive(Debug, Clone)]
pub enum Fact {
    /// A run that lives, or one that has ended, with all that is known of it.
    Run(Box<Run>),
    /// Every run the supervisor knows: any other that has no end has one now.
    Runs(Vec<Run>),
    CloseBegan(Box<CloseBegan>),
    Closed(Box<CloseEnded>),
    Counted {
        name: &'static str,
        label: String,
    },
    /// What ended before this time may be forgotten.
    Forget {
        before: String,
    },
}

/// One run of a session.
#[derive(Debug, Clone)]
pub struct Run {
    pub id: String,
    pub started_at: String,
    pub name: String,
    pub agent: String,
    pub project: Option<String>,
    pub workspace: String,
    pub command: Vec<String>,
    pub boot_id: String,
    /// `None` while it lives.
    pub exit: Option<Exit>,
    pub seconds: Option<f64>,
    pub messages: Option<u64>,
}

/// A close at its beginning.
#[derive(Debug, Clone)]
pub struct CloseBegan {
    pub at: String,
    pub run: Run,
    pub cause: Cause,
    pub evidence: Vec<Evidence>,
}

/// A close at its end.
#[derive(Debug, Clone)]
pub struct CloseEnded {
    pub began: CloseBegan,
    pub report: Closed,
    /// Its processes as they were before the first signal.
    pub tree: Vec<Process>,
}

#[derive(Debug, Default)]
struct Queue {
    facts: VecDeque<Fact>,
    events: VecDeque<Told>,
    /// Events that found no place in the queue, in a row; their numbers are left out.
    unheard: u64,
    /// Taken by the writer and not yet in the database.
    under_way: usize,
    lost: u64,
    /// Among the lost were runs: their journals know them.
    lost_runs: bool,
    trouble: Option<String>,
    /// A reader found the database damaged.
    suspect: bool,
    /// Size of the database when it was last written.
    bytes: u64,
    /// The database was opened, or could not be.
    tried: bool,
    ending: bool,
    ended: bool,
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.facts.is_empty() && self.events.is_empty()
    }
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what is wrong, once for each thing.
    fn trouble(&self, why: Option<String>) {
        let mut queue = self.lock();
        if let Some(why) = why.as_ref().filter(|why| queue.trouble.as_ref() != Some(why)) {
            warn!("what happens is not written down: {why}");
        }
        queue.trouble = why;
    }
}

/// The way to the memory. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    shared: Arc<Shared>,
    path: Arc<PathBuf>,
    readers: Arc<tokio::sync::Semaphore>,
    stream: Stream,
}

impl Store {
    /// Begins to remember; whether the database can be opened at all turns out later, and stops nobody.
    pub fn begin(path: PathBuf) -> Self {
        let shared = Arc::new(Shared::default());
        let stream = Stream::default();
        let writer = Writer::new(Arc::clone(&shared), path.clone(), stream.clone());
        let born = std::thread::Builder::new().name("memory".into()).stack_size(512 << 10).spawn(move || writer.run());
        if let Err(error) = born {
            shared.trouble(Some(format!("failed to start a thread: {error}")));
            shared.lock().ended = true;
        }
        Self { shared, path: Arc::new(path), readers: Arc::new(tokio::sync::Semaphore::new(queries::READERS)), stream }
    }

    /// Has a fact written down, sooner or later. Never waits.
    pub fn tell(&self, fact: Fact) {
        let mut queue = self.shared.lock();
        if queue.facts.len() < QUEUE {
            queue.facts.push_back(fact);
            self.shared.changed.notify_all();
            return;
        }
        queue.lost += 1;
        queue.lost_runs |= matches!(fact, Fact::Run(_) | Fact::Runs(_));
    }

    /// Has an event numbered, written down and heard. Never waits.
    pub fn tell_event(&self, told: Told) {
        let mut queue = self.shared.lock();
        if queue.events.len() < QUEUE {
            queue.events.push_back(told);
            self.shared.changed.notify_all();
        } else {
            queue.unheard += 1;
        }
    }

    /// The events as they are heard.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// One more of something that is counted by the hour, such as `("runs", "cleanup")`.
    pub fn count(&self, name: &'static str, label: &str) {
        self.tell(Fact::Counted { name, label: label.into() });
    }

    /// Runs were lost since the last time this was asked, and there is room again.
    pub fn take_lost_runs(&self) -> bool {
        let mut queue = self.shared.lock();
        let is_clear = queue.trouble.is_none() && queue.facts.len() < QUEUE / 2;
        is_clear && std::mem::take(&mut queue.lost_runs)
    }

    /// Somebody found the database damaged: the writer looks, and sets it aside.
    pub fn suspect(&self) {
        self.shared.lock().suspect = true;
        self.shared.changed.notify_all();
    }

    /// Waits until what was told is written down, within reason.
    pub fn settle(&self, patience: Duration) {
        let queue = self.shared.lock();
        let busy = |q: &mut Queue| q.trouble.is_none() && !(q.tried && q.is_empty() && q.under_way == 0);
        // In time or not.
        drop(self.shared.changed.wait_timeout_while(queue, patience, busy));
    }

    /// The last facts are written, and the thread ends; a disk that hangs is not waited for.
    pub fn finish(&self, patience: Duration) {
        let mut queue = self.shared.lock();
        queue.ending = true;
        self.shared.changed.notify_all();
        // As above.
        drop(self.shared.changed.wait_timeout_while(queue, patience, |q| !q.ended));
    }

    pub fn state(&self) -> MemoryState {
        let queue = self.shared.lock();
        MemoryState {
            bytes: queue.bytes,
            lost: queue.lost,
            waiting: (queue.facts.len() + queue.under_way) as u64,
            trouble: queue.trouble.clone(),
        }
    }
}
