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
        if let Some(owed) = waiting.told.owed {
            batch.prepare_cached("DELETE FROM project_events WHERE number = ?1")?.execute([owed])?;
        }
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

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::*;
    use crate::model::event::What;

    struct Desk {
        scribe: Scribe,
        connection: rusqlite::Connection,
        stream: Stream,
        dir: tempfile::TempDir,
    }

    impl Desk {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            Self::at(dir)
        }

        fn at(dir: tempfile::TempDir) -> Self {
            let stream = Stream::default();
            let scribe = Scribe::new(dir.path().join("events.mark"), stream.clone());
            let connection = schema::open(&dir.path().join("beadle.db")).unwrap().connection;
            Self { scribe, connection, stream, dir }
        }

        /// Another daemon, after this one was killed.
        fn next(self) -> Self {
            Self::at(self.dir)
        }

        fn tell(&mut self, key: Option<&str>, again: Again, at: &str) {
            let what = What::Released {};
            let told = Told { at: at.into(), by_hook: false, what, key: key.map(String::from), again, owed: None };
            self.scribe.take(&mut VecDeque::from([told]), 0);
        }

        fn write(&mut self, commits: bool) {
            let batch = self.connection.transaction().unwrap();
            self.scribe.enter(&batch).unwrap();
            if commits {
                batch.commit().unwrap();
                self.scribe.tell_written();
            } else {
                drop(batch);
                self.scribe.tell_unwritten();
            }
        }

        fn heard(&self) -> Vec<u64> {
            self.stream.after(self.stream.first() - 1, usize::MAX).unwrap().iter().map(|l| l.number).collect()
        }

        fn kept(&self) -> Vec<u64> {
            let mut rows = self.connection.prepare("SELECT number FROM events ORDER BY number").unwrap();
            rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
        }
    }

    const NOW: &str = "2026-11-20T10:00:00.000Z";

    #[test]
    fn numbers_go_on_where_the_daemon_before_was_killed() {
        let mut desk = Desk::new();
        desk.tell(None, Again::No, NOW);
        desk.tell(None, Again::No, NOW);
        desk.write(true);
        assert_eq!(desk.heard(), [1, 2]);
        let mut desk = desk.next();
        desk.tell(None, Again::No, NOW);
        desk.write(true);
        assert_eq!((desk.heard(), desk.kept()), (vec![3], vec![1, 2, 3]));
    }

    #[test]
    fn what_an_earlier_daemon_told_is_not_told_again() {
        let mut desk = Desk::new();
        desk.tell(Some("ended a"), Again::No, NOW);
        desk.write(true);
        let mut desk = desk.next();
        desk.tell(Some("ended a"), Again::PerhapsLongAgo, NOW);
        desk.tell(Some("ended old"), Again::PerhapsLongAgo, "2026-11-19T10:00:00.000Z");
        desk.tell(Some("ended b"), Again::PerhapsLongAgo, "2026-11-21T10:00:00.000Z");
        desk.write(true);
        assert_eq!(desk.heard(), [2], "only what is newer than the oldest that is kept, and not there");
    }

    #[test]
    fn what_cannot_be_written_is_heard_once_with_the_number_it_keeps() {
        let mut desk = Desk::new();
        desk.tell(None, Again::No, NOW);
        desk.write(true);
        desk.tell(None, Again::No, NOW);
        desk.tell(Some("seen x"), Again::Perhaps, NOW);
        desk.scribe.tell_unwritten();
        assert_eq!(desk.heard(), [1, 2], "what may have been told waits for the database");
        desk.tell(None, Again::No, NOW);
        desk.write(false);
        assert_eq!(desk.kept(), [1]);
        desk.write(true);
        assert_eq!((desk.heard(), desk.kept()), (vec![1, 2, 3, 4], vec![1, 2, 3, 4]));
        // Killed while something was heard and not written: the next numbers are above.
        desk.tell(None, Again::No, NOW);
        desk.write(false);
        let mut desk = desk.next();
        desk.tell(None, Again::No, NOW);
        desk.write(true);
        assert!(desk.heard()[0] > 5, "{:?}", desk.heard());
    }

    #[test]
    fn only_so_many_are_kept_and_those_are_the_newest() {
        let mut desk = Desk::new();
        desk.scribe.kept = 10;
        for _ in 0..100 {
            desk.tell(None, Again::No, NOW);
            desk.write(true);
        }
        let kept = desk.kept();
        assert!((10..=20).contains(&kept.len()) && kept.last() == Some(&100), "{kept:?}");
        assert!(kept.windows(2).all(|w| w[1] == w[0] + 1), "{kept:?}");
    }

    #[test]
    fn what_was_told_and_lost_leaves_a_hole() {
        let mut desk = Desk::new();
        desk.tell(None, Again::No, NOW);
        desk.write(true);
        desk.scribe.take(&mut VecDeque::new(), 3);
        desk.tell(None, Again::No, NOW);
        desk.write(true);
        assert_eq!(desk.heard(), [1, 5]);
    }
}
