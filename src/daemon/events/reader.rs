//! One who listens: a cursor in the stream, moved forward at the reader's own pace.

use tokio::sync::watch;

use super::Line;
use crate::daemon::store::Store;
use crate::model::event::{Event, What};
use crate::sys::clock;

/// Events taken at once, from memory or from the database: what is buffered for one reader is bounded by it.
const PAGE: usize = 256;

pub struct Reader {
    store: Store,
    newest: watch::Receiver<Option<u64>>,
    /// The number that was heard last.
    cursor: u64,
}

impl Reader {
    /// Who has heard all up to this number.
    pub fn after(store: Store, number: u64) -> Self {
        Self { newest: store.stream().newest(), store, cursor: number }
    }

    /// The number that was heard last.
    pub fn cursor(&self) -> u64 {
        self.cursor
    }

    /// What comes next, at least one; waits for it.
    pub async fn next(&mut self) -> Vec<Line> {
        loop {
            let lines = self.at_hand().await;
            if !lines.is_empty() {
                return lines;
            }
            if self.newest.changed().await.is_err() {
                // The stream has ended, and the daemon with it.
                return std::future::pending().await;
            }
        }
    }

    /// What is there already; nothing when all was heard.
    pub async fn at_hand(&mut self) -> Vec<Line> {
        let Some(newest) = *self.newest.borrow_and_update() else { return Vec::new() };
        if self.cursor > newest {
            // Numbers of another stream: this one has not got so far.
            return self.move_to(vec![resync(1, newest, "these numbers are not of this stream")]);
        }
        if let Some(lines) = self.store.stream().after(self.cursor, PAGE) {
            return self.with_holes(lines);
        }
        let (cursor, in_memory) = (self.cursor, self.store.stream().from());
        let page = self.store.ask(move |recall| recall.events_after(cursor, PAGE)).await;
        let page = page.unwrap_or_default();
        if page.is_empty() && in_memory > cursor.saturating_add(1) {
            // Neither here nor there.
            return self.move_to(vec![resync(cursor + 1, in_memory - 1, LOST)]);
        }
        self.with_holes(page)
    }

    /// A gap in the numbers is said.
    fn with_holes(&mut self, lines: Vec<Line>) -> Vec<Line> {
        let (mut told, mut last) = (Vec::with_capacity(lines.len()), self.cursor);
        for line in lines {
            if line.number > last + 1 {
                told.push(resync(last + 1, line.number - 1, LOST));
            }
            last = line.number;
            told.push(line);
        }
        self.move_to(told)
    }

    fn move_to(&mut self, told: Vec<Line>) -> Vec<Line> {
        self.cursor = told.last().map_or(self.cursor, |line| line.number);
        told
    }
}

/// Has the number of the last that is missing, so that who goes on from there misses nothing more.
fn resync(from: u64, to: u64, reason: &str) -> Line {
    let what = What::Resync { from, to, reason: reason.into() };
    Line::of(&Event { number: to, at: clock::wall(), by_hook: false, what })
}

const LOST: &str = "events in between are not kept any more: look at the present state";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{Again, Told};
    use super::*;

    fn tell(store: &Store, events: usize) {
        for _ in 0..events {
            let what = What::Released {};
            store.tell_event(Told { at: clock::wall(), by_hook: false, what, key: None, again: Again::No, owed: None });
        }
        store.settle(Duration::from_secs(20));
    }

    /// Kinds and numbers of all that is there after a number.
    async fn told(store: &Store, after: u64) -> Vec<(String, u64)> {
        let mut reader = Reader::after(store.clone(), after);
        let mut told = Vec::new();
        loop {
            let lines = reader.at_hand().await;
            if lines.is_empty() {
                return told;
            }
            told.extend(lines.into_iter().map(|line| (line.kind, line.number)));
        }
    }

    fn plain(numbers: std::ops::RangeInclusive<u64>) -> Vec<(String, u64)> {
        numbers.map(|n| ("released".to_string(), n)).collect()
    }

    #[tokio::test]
    async fn a_reader_goes_on_where_it_left_off_whichever_daemon_told_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::begin(dir.path().join("beadle.db"));
        tell(&store, 700);
        store.finish(Duration::from_secs(20));
        let store = Store::begin(dir.path().join("beadle.db"));
        tell(&store, 20);
        assert_eq!(told(&store, 0).await, plain(1..=720));
        assert_eq!(told(&store, 699).await, plain(700..=720));
        assert_eq!(told(&store, 720).await, []);
        let mut reader = Reader::after(store.clone(), 720);
        let waiting = tokio::spawn(async move { reader.next().await.len() });
        tell(&store, 1);
        assert_eq!(waiting.await.unwrap(), 1);
    }

    #[tokio::test]
    async fn what_is_not_kept_any_more_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::begin(dir.path().join("beadle.db"));
        tell(&store, 30);
        store.finish(Duration::from_secs(20));
        let database = rusqlite::Connection::open(dir.path().join("beadle.db")).unwrap();
        database.execute("DELETE FROM events WHERE number <= 10 OR number IN (20, 21)", []).unwrap();
        drop(database);
        let store = Store::begin(dir.path().join("beadle.db"));
        tell(&store, 1);
        let resync = |to: u64| vec![("resync".to_string(), to)];
        let expected = [resync(10), plain(11..=19), resync(21), plain(22..=31)].concat();
        assert_eq!(told(&store, 4).await, expected);
        assert_eq!(told(&store, 9_999).await, resync(31), "numbers of another stream");
    }
}
