//! Events on their way through the writer: numbered in the batch that writes them, heard when it is committed.
//!
//! A batch that fails keeps its events, with their numbers; they are heard at once and written later. Of those heard, the
//! oldest are given up when there are too many: whoever asks for them finds a hole.

use std::collections::VecDeque;
use std::path::PathBuf;

use rusqlite::{OptionalExtension, Transaction, params};

use super::super::events::numbers::Numbers;
use super::super::events::{Again, Line, Stream, Told};
use crate::model::event::Event;
use crate::sys::clock;

/// Events that are kept for replay.
const KEPT: u64 = 50_000;
/// How many more there may be before the oldest go.
const SLACK: u64 = 500;
/// Heard and not written: more are not kept in memory.
const UNWRITTEN: usize = 4096;

#[derive(Debug)]
struct Waiting {
    told: Told,
    /// Once it has its number.
    line: Option<Line>,
    heard: bool,
}

#[derive(Debug)]
pub(super) struct Scribe {
    numbers: Numbers,
    stream: Stream,
    waiting: VecDeque<Waiting>,
    /// The oldest that is kept, as far as is known.
    oldest: u64,
    kept: u64,
}

impl Scribe {
    pub fn new(mark: PathBuf, stream: Stream) -> Self {
        let numbers = Numbers::new(mark, clock::boot_id());
        Self { numbers, stream, waiting: VecDeque::new(), oldest: 0, kept: KEPT }
    }

    #[cfg(test)]
    pub fn keep(&mut self, events: u64) {
        self.kept = events;
    }

    pub fn is_done(&self) -> bool {
        self.waiting.is_empty()
    }

    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Takes over what was told. `unheard` were told and lost: their numbers are left out, so that it can be seen.
    pub fn take(&mut self, told: &mut VecDeque<Told>, unheard: u64) {
        self.waiting.extend(told.drain(..).map(|told| Waiting { told, line: None, heard: false }));
        if unheard > 0 && self.numbers.has_begun() {
            self.numbers.leave_out(unheard);
        }
        while self.waiting.len() > UNWRITTEN && self.waiting.front().is_some_and(|w| w.heard) {
            self.waiting.pop_front();
        }
    }

    /// Into a batch, each with its number.
    pub fn enter(&mut self, batch: &Transaction<'_>) -> rusqlite::Result<()> {
        if !self.numbers.has_begun() {
            let newest: Option<u64> = batch.query_row("SELECT max(number) FROM events", [], |row| row.get(0))?;
            self.begin(Some(newest.unwrap_or(0)));
        }
        let mut kept = VecDeque::with_capacity(self.waiting.len());
        while let Some(mut waiting) = self.waiting.pop_front() {
            let done = self.enter_one(batch, &mut waiting);
            match done {
                Ok(false) => {}
                Ok(true) => kept.push_back(waiting),
                Err(error) => {
                    kept.push_back(waiting);
                    kept.append(&mut self.waiting);
                    self.waiting = kept;
                    return Err(error);
                }
            }
        }
        self.waiting = kept;
        self.prune(batch)
    }

    /// False when it is there already.
    fn enter_one(&mut self, batch: &Transaction<'_>, waiting: &mut Waiting) -> rusqlite::Result<bool> {
        if waiting.line.is_none() && was_told(batch, &waiting.told)? {
            return Ok(false);
        }
        let line = waiting.line.get_or_insert_with(|| numbered(&mut self.numbers, &waiting.told));
        let sql =
            "INSERT OR REPLACE INTO events (number, at, kind, by_hook, key, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        batch.prepare_cached(sql)?.execute(params![
            line.number,
            line.at,
            line.kind,
            line.by_hook,
            waiting.told.key,
            &*line.body
        ])?;
        Ok(true)
    }

    fn begin(&mut self, newest: Option<u64>) {
        let first = self.numbers.begin(newest);
        self.stream.begin(first);
    }

    /// The oldest go, some at a time.
    fn prune(&mut self, batch: &Transaction<'_>) -> rusqlite::Result<()> {
        let Some(newest) = self.waiting.iter().filter_map(|w| w.line.as_ref()).map(|l| l.number).max() else {
            return Ok(());
        };
        let oldest = newest.saturating_sub(self.kept);
        if oldest >= self.oldest + SLACK.min(self.kept) {
            batch.execute("DELETE FROM events WHERE number <= ?1", [oldest])?;
            self.oldest = oldest;
        }
        Ok(())
    }

    /// The batch is in the database.
    pub fn tell_written(&mut self) {
        let written = std::mem::take(&mut self.waiting).into_iter().filter(|w| !w.heard);
        self.stream.publish(written.filter_map(|w| w.line).collect());
        self.numbers.set_ahead(false);
    }

    /// It is not, and everybody hears all the same, but for what an earlier daemon may have told.
    pub fn tell_unwritten(&mut self) {
        let is_new = |w: &&mut Waiting| !w.heard && (w.line.is_some() || w.told.again == Again::No);
        if !self.waiting.iter_mut().any(|w| is_new(&w)) {
            return;
        }
        if !self.numbers.has_begun() {
            self.begin(None);
        }
        self.numbers.set_ahead(true);
        let mut lines = Vec::new();
        for waiting in self.waiting.iter_mut().filter(is_new) {
            let line = waiting.line.get_or_insert_with(|| numbered(&mut self.numbers, &waiting.told));
            lines.push(line.clone());
            waiting.heard = true;
        }
        lines.sort_by_key(|line| line.number);
        self.stream.publish(lines);
    }

    /// The database is closed; what still waits is lost to the next daemon.
    pub fn close(&mut self) {
        if self.waiting.is_empty() {
            self.numbers.close();
        }
    }
}

fn numbered(numbers: &mut Numbers, told: &Told) -> Line {
    let (number, at) = (numbers.take(), told.at.clone());
    Line::of(&Event { number, at, by_hook: told.by_hook, what: told.what.clone() })
}

/// An earlier daemon told it, or this one.
fn was_told(batch: &Transaction<'_>, told: &Told) -> rusqlite::Result<bool> {
    let Some(key) = &told.key else { return Ok(false) };
    let there = "SELECT 1 FROM events WHERE key = ?1";
    if batch.prepare_cached(there)?.query_row([key], |_| Ok(())).optional()?.is_some() {
        return Ok(true);
    }
    if told.again != Again::PerhapsLongAgo {
        return Ok(false);
    }
    let oldest: Option<String> = batch
        .prepare_cached("SELECT at FROM events ORDER BY number LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(oldest.is_none_or(|oldest| told.at < oldest))
}
