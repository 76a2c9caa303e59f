//! Events: one ordered, numbered stream of every change.
//!
//! ```text
//!   supervisor ──tell──► queue ──► writer thread: number · commit ──► ring ──► readers (SSE), hooks
//!                                        │ the disk is full: told all the same        │ too far behind
//!                                        ▼                                            ▼
//!                                     beadle.db ◄──────────── replay, hole by hole ───┘
//! ```
//!
//! An event has its number when it is in the database, and is heard after that: what somebody has heard is never lost to a
//! crash, and no number is given twice. Where the database does not take it, it is heard all the same; once it is
//! nowhere any more, readers see the hole in the numbers, and are told `resync`.
//!
//! - [`stream`]: the newest in memory. [`numbers`]: where they go on. [`tell`]: what the supervisor says.
//! - [`reader`]: one who listens. [`routes`]: the same over HTTP.

pub mod numbers;
mod reader;
mod routes;
pub mod stream;
mod tell;

pub use reader::Reader;
pub(super) use routes::{Wanted, events};
pub use stream::{Line, Stream};
pub use tell::{said, tell_stopped};

use crate::model::event::What;

/// Something that happened, on its way to its number.
#[derive(Debug, Clone)]
pub struct Told {
    /// When it happened.
    pub at: String,
    pub by_hook: bool,
    pub what: What,
    /// What must not be told twice: one that is in the database already is dropped.
    pub key: Option<String>,
    /// Perhaps told by an earlier daemon: waits for the database, which knows.
    pub again: Again,
    /// The row of `project_events` that says it is still to be told: it goes in the transaction that stores the event.
    pub owed: Option<i64>,
}

/// Whether an earlier daemon may have told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    No,
    Perhaps,
    /// The same; what is older than the oldest event that is kept was told then.
    PerhapsLongAgo,
}
