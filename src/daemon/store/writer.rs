//! The one thread that writes: facts in batches, each batch whole or not at all.
//!
//! A batch that cannot be written (no room, a locked database) is kept and tried again; one fact that the database refuses
//! is left out and counted, so that it holds up no other.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior, params};
use tracing::{info, warn};

use super::super::events::Stream;
use super::schema::{self, OpenError};
use super::scribe::Scribe;
use super::{CloseBegan, CloseEnded, Fact, QUEUE, Run, Shared};
use crate::api::types::{Closed, Process, Survivor};
use crate::model::session::ExitBy;
use crate::model::text::printable_within;
use crate::sys::{clock, failpoint};

/// How long a batch that could not be written is let alone.
const RETRY: Duration = Duration::from_secs(1);
/// The database gives up its oldest rows above this.
const MOST_BYTES: u64 = 128 << 20;
/// Longest command line and reason that are kept, in characters, and the most processes of a tree.
const COMMAND: usize = 4096;
const WORDS: usize = 500;
pub(super) const PROCESSES: usize = 256;

pub(super) struct Writer {
    shared: Arc<Shared>,
    path: PathBuf,
    connection: Option<Connection>,
    pending: Vec<Fact>,
    /// No daemon before this one is at work any more: what it left unfinished is marked once.
    first: bool,
    scribe: Scribe,
    /// After a batch that could not be written.
    again_at: Option<Instant>,
    pub(super) most_bytes: u64,
}

#[derive(Debug, thiserror::Error)]
enum WriteError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("failed to write to the database: {0}")]
    Write(#[from] rusqlite::Error),
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, path: PathBuf, stream: Stream) -> Self {
        let scribe = Scribe::new(path.with_file_name("events.mark"), stream);
        let (connection, pending, again_at) = (None, Vec::new(), None);
        Self { shared, path, connection, pending, first: true, scribe, again_at, most_bytes: MOST_BYTES }
    }

    pub(super) fn run(mut self) {
        // Also with nothing to say: what an earlier daemon left unfinished, and a file that cannot be used.
        self.write();
        while self.take() {
            self.write();
        }
        self.write();
        self.lose_pending();
        let lost = self.shared.lock().lost;
        if lost > 0 {
            info!(facts = lost, "not written down");
        }
        // Closed before anybody is told: who waits may be about to end.
        self.connection = None;
        self.scribe.close();
        self.shared.lock().ended = true;
        self.shared.changed.notify_all();
    }

    /// Waits for something to do; false at the end.
    fn take(&mut self) -> bool {
        let queue = self.shared.lock();
        let changed = &self.shared.changed;
        let mut queue = if self.pending.is_empty() && self.scribe.is_done() {
            let nothing = |q: &mut super::Queue| q.is_empty() && !q.ending && !q.suspect;
            changed.wait_while(queue, nothing).unwrap_or_else(PoisonError::into_inner)
        } else {
            // Events are heard in the meantime.
            let nothing = |q: &mut super::Queue| !q.ending && q.events.is_empty();
            changed.wait_timeout_while(queue, RETRY, nothing).unwrap_or_else(PoisonError::into_inner).0
        };
        let room = QUEUE.saturating_sub(self.pending.len()).min(queue.facts.len());
        self.pending.extend(queue.facts.drain(..room));
        let unheard = std::mem::take(&mut queue.unheard);
        self.scribe.take(&mut queue.events, unheard);
        queue.under_way = self.pending.len() + self.scribe.waiting();
        !queue.ending
    }

    fn write(&mut self) {
        let ending = self.shared.lock().ending;
        if self.again_at.is_some_and(|at| Instant::now() < at) && !ending {
            return self.scribe.tell_unwritten();
        }
        let suspect = std::mem::take(&mut self.shared.lock().suspect);
        let done = match self.attempt(suspect) {
            Err(WriteError::Write(error)) if schema::is_corrupt(&error) => {
                self.begin_anew(&error).and_then(|()| self.attempt(false))
            }
            done => done,
        };
        if matches!(done, Err(WriteError::Open(OpenError::Newer(_)))) {
            // No room will make it older.
            self.lose_pending();
        }
        if let Err(WriteError::Write(error)) = &done
            && !matches!(error.sqlite_error_code(), Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy))
        {
            self.connection = None;
        }
        self.again_at = done.is_err().then(|| Instant::now() + RETRY);
        if done.is_err() {
            self.scribe.tell_unwritten();
        }
        self.shared.trouble(done.err().map(|e| e.to_string()));
        let mut queue = self.shared.lock();
        queue.tried = true;
        queue.under_way = self.pending.len() + self.scribe.waiting();
        queue.bytes = std::fs::metadata(&self.path).map_or(0, |m| m.len());
        self.shared.changed.notify_all();
    }

    fn attempt(&mut self, suspect: bool) -> Result<(), WriteError> {
        if self.connection.is_none() || !self.path.exists() {
            self.connection = Some(self.open()?);
        }
        let Some(connection) = &mut self.connection else { return Ok(()) };
        if suspect {
            check(connection)?;
        }
        let batch = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if self.first {
            batch.execute("UPDATE audit SET outcome = 'interrupted' WHERE outcome IS NULL", [])?;
        }
        let mut refused = 0;
        for fact in &self.pending {
            match apply(&batch, fact) {
                Err(error) if is_of_the_fact(&error) => {
                    warn!(%error, "something that happened cannot be written down");
                    refused += 1;
                }
                applied => applied?,
            }
        }
        self.scribe.enter(&batch)?;
        let is_tidying = self.pending.iter().any(|f| matches!(f, Fact::Forget { .. }));
        if is_tidying {
            shrink(&batch, self.most_bytes)?;
        }
        failpoint::here("daemon.memory.before");
        batch.commit()?;
        failpoint::here("daemon.memory.after");
        self.first = false;
        self.scribe.tell_written();
        self.pending.clear();
        self.shared.lock().lost += refused;
        if is_tidying { give_back(connection).map_err(WriteError::from) } else { Ok(()) }
    }

    fn open(&self) -> Result<Connection, OpenError> {
        let opened = schema::open(&self.path)?;
        if let Some(aside) = opened.set_aside {
            self.say_set_aside(&aside);
        }
        Ok(opened.connection)
    }

    fn begin_anew(&mut self, error: &rusqlite::Error) -> Result<(), WriteError> {
        warn!(%error, "the database is damaged");
        self.connection = None;
        let aside = schema::set_aside(&self.path)?;
        self.say_set_aside(&aside);
        Ok(())
    }

    fn say_set_aside(&self, aside: &std::path::Path) {
        warn!("the database could not be read: it is now {}, and a new one begins", aside.display());
        // Of the ends in it the journals still know some.
        self.shared.lock().lost_runs = true;
    }

    fn lose_pending(&mut self) {
        self.shared.lock().lost += self.pending.len() as u64;
        self.pending.clear();
    }
}

/// The fact itself is at fault, and would be the next time.
fn is_of_the_fact(error: &rusqlite::Error) -> bool {
    match error.sqlite_error_code() {
        Some(code) => matches!(code, ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig),
        None => true,
    }
}

/// Damage in any page is an error of reading it.
fn check(connection: &Connection) -> rusqlite::Result<()> {
    let said: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if said == "ok" {
        return Ok(());
    }
    Err(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT), Some(said)))
}

fn apply(batch: &Transaction<'_>, fact: &Fact) -> rusqlite::Result<()> {
    match fact {
        Fact::Run(run) => enter_run(batch, run),
        Fact::Runs(runs) => {
            runs.iter().try_for_each(|run| enter_run(batch, run))?;
            end_unknown(batch, runs)
        }
        Fact::CloseBegan(began) => enter_close(batch, began, None),
        Fact::Closed(ended) => enter_close(batch, &ended.began, Some(ended)),
        Fact::Counted { name, label } => count_in(batch, name, label),
        Fact::Forget { before } => forget(batch, before),
    }
}

/// One more in this hour.
pub fn count_in(connection: &Connection, name: &str, label: &str) -> rusqlite::Result<()> {
    let hour = clock::wall().chars().take(13).collect::<String>();
    let sql = "INSERT INTO counters VALUES (?1, ?2, ?3, 1)
        ON CONFLICT (hour, name, label) DO UPDATE SET value = value + 1";
    connection.prepare_cached(sql)?.execute(params![hour, name, label]).map(drop)
}

fn enter_run(batch: &Transaction<'_>, run: &Run) -> rusqlite::Result<()> {
    let sql = "INSERT INTO history
        (id, started_at, name, agent, project, workspace, command, boot_id,
         ended_at, code, signal, ended_by, reason, seconds, messages)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
        ON CONFLICT (id, started_at) DO UPDATE SET name = excluded.name, ended_at = excluded.ended_at,
            code = excluded.code, signal = excluded.signal, ended_by = excluded.ended_by, reason = excluded.reason,
            seconds = excluded.seconds, messages = COALESCE(excluded.messages, messages)";
    let exit = run.exit.as_ref();
    let reason = exit.map(|e| printable_within(&e.reason, WORDS));
    batch.prepare_cached(sql)?.execute(params![
        run.id,
        run.started_at,
        run.name,
        run.agent,
        run.project,
        run.workspace,
        json(&within(&run.command)),
        run.boot_id,
        exit.map(|e| &e.at),
        exit.and_then(|e| e.code),
        exit.and_then(|e| e.signal),
        exit.map(|e| e.by.as_str()),
        reason,
        run.seconds,
        run.messages.and_then(|n| i64::try_from(n).ok()),
    ])?;
    Ok(())
}

/// What has no end here and is not known any more has ended, nobody knows how.
fn end_unknown(batch: &Transaction<'_>, known: &[Run]) -> rusqlite::Result<()> {
    let keys: Vec<String> = known.iter().map(|run| format!("{} {}", run.id, run.started_at)).collect();
    let sql = "UPDATE history SET ended_at = ?1, reason = 'nothing is left of it',
        ended_by = CASE boot_id WHEN ?2 THEN ?3 ELSE ?4 END
        WHERE ended_at IS NULL AND id || ' ' || started_at NOT IN (SELECT value FROM json_each(?5))";
    let (unknown, reboot) = (ExitBy::Unknown.as_str(), ExitBy::Reboot.as_str());
    batch.execute(sql, params![clock::wall(), clock::boot_id(), unknown, reboot, json(&keys)])?;
    Ok(())
}

fn enter_close(batch: &Transaction<'_>, began: &CloseBegan, ended: Option<&CloseEnded>) -> rusqlite::Result<()> {
    let sql = "INSERT INTO audit
        (at, verb, asked_by, uid, pid, command, session, started_at, name, agent, project, reason, evidence,
         outcome, seconds, tree, report)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)
        ON CONFLICT (session, at) DO UPDATE SET outcome = excluded.outcome, seconds = excluded.seconds,
            tree = excluded.tree, report = excluded.report";
    let (run, asked) = (&began.run, began.cause.asked.as_ref());
    batch.prepare_cached(sql)?.execute(params![
        began.at,
        began.cause.verb(),
        began.cause.by.as_str(),
        asked.map(|a| a.uid),
        asked.map(|a| a.pid),
        asked.map(|a| printable_within(&a.command, WORDS)),
        run.id,
        run.started_at,
        run.name,
        run.agent,
        run.project,
        printable_within(&began.cause.reason, WORDS),
        json(&began.evidence),
        ended.map(|e| e.report.outcome.as_str()),
        ended.map(|e| e.report.seconds),
        ended.map(|e| json(&bounded_tree(&e.tree))),
        ended.map(|e| json(&bounded(&e.report))),
    ])?;
    Ok(())
}

fn forget(batch: &Transaction<'_>, before: &str) -> rusqlite::Result<()> {
    batch.execute("DELETE FROM history WHERE ended_at < ?1", [before])?;
    batch.execute("DELETE FROM audit WHERE at < ?1", [before])?;
    batch.execute("DELETE FROM counters WHERE hour < substr(?1, 1, 13)", [before])?;
    batch.execute("DELETE FROM projects WHERE settled = status AND ended_at < ?1", [before])?;
    batch.execute("DELETE FROM project_runs WHERE project NOT IN (SELECT number FROM projects)", [])?;
    Ok(())
}

/// The oldest rows go until the rest fits.
fn shrink(batch: &Transaction<'_>, most_bytes: u64) -> rusqlite::Result<()> {
    let number = |name: &str| batch.pragma_query_value(None, name, |row| row.get::<_, u64>(0));
    // A part of them each time: whatever remains after this is gone the next time.
    for _ in 0..64 {
        let used = (number("page_count")?.saturating_sub(number("freelist_count")?)) * number("page_size")?;
        if used <= most_bytes {
            break;
        }
        batch.execute_batch(
            "DELETE FROM events WHERE number IN
                (SELECT number FROM events ORDER BY number LIMIT (SELECT count(*) / 8 FROM events));
             DELETE FROM audit WHERE number IN
                (SELECT number FROM audit ORDER BY at LIMIT (SELECT count(*) / 8 + 1 FROM audit));
             DELETE FROM history WHERE (id, started_at) IN
                (SELECT id, started_at FROM history WHERE ended_at IS NOT NULL
                 ORDER BY ended_at LIMIT (SELECT count(*) / 8 + 1 FROM history));",
        )?;
    }
    Ok(())
}

/// Free pages go back to the file system.
fn give_back(connection: &Connection) -> rusqlite::Result<()> {
    for pragma in ["PRAGMA incremental_vacuum", "PRAGMA wal_checkpoint(TRUNCATE)"] {
        let mut statement = connection.prepare(pragma)?;
        let mut rows = statement.query([])?;
        // A page is freed with each row.
        while rows.next()?.is_some() {}
    }
    Ok(())
}

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".into())
}

/// A command line that may be megabytes long, cut.
fn within(command: &[String]) -> Vec<String> {
    let mut left = COMMAND;
    let mut out = Vec::new();
    for word in command {
        if left == 0 {
            out.push("…".into());
            break;
        }
        let kept: String = word.chars().take(left).collect();
        left = left.saturating_sub(word.chars().count() + 1);
        out.push(kept);
    }
    out
}

fn bounded_tree(tree: &[Process]) -> Vec<Process> {
    let one = |p: &Process| Process { command: printable_within(&p.command, WORDS), ..p.clone() };
    tree.iter().take(PROCESSES).map(one).collect()
}

fn bounded(report: &Closed) -> Closed {
    let one = |s: &Survivor| Survivor { command: printable_within(&s.command, WORDS), ..s.clone() };
    Closed {
        survivors: report.survivors.iter().take(PROCESSES).map(one).collect(),
        reason: printable_within(&report.reason, WORDS),
        ..report.clone()
    }
}
