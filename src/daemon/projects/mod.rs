//! The queue: projects claimed, started, ended, and taken away with all that ran for them.
//!
//! ```text
//!   verbs, HTTP ─┐                         ┌─► starts  (sessions under ids given beforehand)
//!   sqlite3 ─────┼─► round: one ───────────┼─► ends    (close all of it ─► events ─► settled)
//!   ends, time ──┘    transaction          └─► what lingers of projects that are over
//! ```
//!
//! Here SQLite is the truth: what a project is to do stands in its row, and the supervisor does it. Every source of an end
//! writes the status and nothing else; one round after the other draws the consequences, so that they are the same for all,
//! and come after a crash too. A round is a transaction on a thread that may block; there is one at a time. A database that
//! cannot be used stops the queue, and nothing else.
//!
//! - `round`: the transaction. `orders`: what people want of it. `rows`: what is read. `book`: the connection.
//! - `starts`, `ends`, `search`: what is done about it. `told`: what others hear of it. `routes`: HTTP.

mod book;
mod ends;
mod orders;
mod round;
mod rounds;
mod routes;
mod rows;
mod search;
mod starts;
mod told;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use book::Book;
pub use orders::Order;
use round::{End, Plan, Settled};
pub(super) use routes::routes;

use search::Searching;

use super::handle::Reply;
use super::store::Store;
use crate::api::project::{Project, ProjectEnded, ProjectsRemoved};
use crate::api::refusal::Refusal;
use crate::api::types::{KillReport, Started};
use crate::model::project::Fate;
use crate::model::session::Asked;

/// Between two rounds while anything is in the queue.
const EVERY: Duration = Duration::from_secs(1);

/// The answer to an order.
pub enum Answer {
    Added(Box<Project>),
    Ended(Vec<ProjectEnded>),
    Removed(ProjectsRemoved),
}

/// What the queue's own work comes back with.
pub enum News {
    Round {
        made: Result<Plan, String>,
        /// What went in, to be given back when nothing came of it.
        settled: Vec<Settled>,
        fates: Vec<String>,
        ordered: Vec<Ordered>,
    },
    Started {
        session: String,
        number: i64,
        result: Result<Started, Refusal>,
    },
    /// The sessions of a project that has ended are closed.
    Cleaned {
        end: End,
        report: KillReport,
    },
    /// What still ran of a project that had ended before is closed.
    Swept {
        project: String,
        reason: String,
        report: KillReport,
    },
    /// Strays were looked for, for all that is owed up to this number.
    Searched {
        number: i64,
    },
    /// Somebody wrote to the database.
    Touched,
}

/// An order on its way.
pub struct Ordered {
    pub order: Order,
    pub asked: Option<Asked>,
    pub reply: Reply<Answer>,
    pub by_hook: bool,
}

/// Somebody who waits for the ends of several projects.
struct Waiting {
    left: Vec<i64>,
    done: Vec<ProjectEnded>,
    reply: Reply<Answer>,
}

/// What the supervisor knows of the queue between two rounds.
pub struct Queue {
    book: Arc<Mutex<Book>>,
    /// A round is under way; another one is wanted after it, and with every session.
    busy: bool,
    again: bool,
    whole: bool,
    orders: Vec<Ordered>,
    settled: Vec<Settled>,
    /// Sessions whose ends are waited for, and what was last known of them.
    open: HashMap<String, Option<Fate>>,
    /// Sessions being started, and their projects.
    starting: HashMap<String, i64>,
    /// Those that could not be.
    refused: HashMap<String, Fate>,
    closing: HashMap<i64, Instant>,
    /// Sessions of finished projects that were closed, as far as they could be.
    tried: HashMap<String, Instant>,
    waiting: Vec<Waiting>,
    /// Who ended a project.
    asked: HashMap<i64, Option<Asked>>,
    is_open: bool,
    exists: bool,
    /// There was a round.
    known: bool,
    deadline: Option<Duration>,
    last: Instant,
    not_before: Instant,
    trouble: Option<String>,
    search: Searching,
}

impl Queue {
    pub fn new(database: PathBuf, store: Store) -> Self {
        let now = Instant::now();
        Self {
            book: Arc::new(Mutex::new(Book::new(database, store))),
            busy: false,
            again: false,
            whole: true,
            orders: Vec::new(),
            settled: Vec::new(),
            open: HashMap::new(),
            starting: HashMap::new(),
            refused: HashMap::new(),
            closing: HashMap::new(),
            tried: HashMap::new(),
            waiting: Vec::new(),
            asked: HashMap::new(),
            is_open: true,
            exists: true,
            known: false,
            deadline: None,
            last: now,
            not_before: now,
            trouble: None,
            search: Searching::default(),
        }
    }

    /// Something waits, runs or is to be settled: no time for the daemon to end.
    pub fn is_pending(&self) -> bool {
        self.is_open || self.busy || !self.orders.is_empty()
    }
}
