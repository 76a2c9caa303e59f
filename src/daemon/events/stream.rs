//! The stream as it is heard: the newest events in memory, and a number that says how far it has got.
//!
//! Whoever listens has a cursor, the number it heard last, and asks for what comes after it. Nobody is sent anything, so
//! that a slow reader costs no memory: what has left the ring is read from the database, at the reader's own pace.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::model::event::Event;

/// Events in memory.
const RING: usize = 1024;
/// Readers at the same time. Each holds a connection, and with it a descriptor.
pub const READERS: usize = 64;

/// One event, as it is written everywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub number: u64,
    pub at: String,
    pub kind: String,
    /// It came about through a hook.
    pub by_hook: bool,
    /// The event in JSON, on one line.
    pub body: Arc<str>,
}

impl Line {
    pub fn of(event: &Event) -> Self {
        Self {
            number: event.number,
            at: event.at.clone(),
            kind: event.what.kind().into(),
            by_hook: event.by_hook,
            body: serde_json::to_string(event).unwrap_or_default().into(),
        }
    }
}

#[derive(Debug)]
struct Ring {
    lines: VecDeque<Line>,
    /// All from this number on is in the ring.
    from: u64,
}

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Stream {
    ring: Arc<Mutex<Ring>>,
    /// `None` until it has begun.
    newest: watch::Sender<Option<u64>>,
    readers: Arc<Semaphore>,
    /// Of this daemon.
    first: Arc<AtomicU64>,
}

impl Default for Stream {
    fn default() -> Self {
        Self {
            ring: Arc::new(Mutex::new(Ring { lines: VecDeque::new(), from: u64::MAX })),
            newest: watch::Sender::new(None),
            readers: Arc::new(Semaphore::new(READERS)),
            first: Arc::default(),
        }
    }
}

impl Stream {
    /// Where numbers begin in this daemon: all before is in the database, or nowhere.
    pub fn begin(&self, first: u64) {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner).from = first;
        self.first.store(first, Ordering::Relaxed);
        self.newest.send_replace(Some(first.saturating_sub(1)));
    }

    pub fn publish(&self, lines: Vec<Line>) {
        let Some(last) = lines.last().map(|line| line.number) else { return };
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.lines.extend(lines);
        while ring.lines.len() > RING {
            ring.from = ring.lines.pop_front().map_or(ring.from, |line| line.number + 1);
        }
        // Before anybody can take them: who had heard more than the newest would seem to come from another stream.
        self.newest.send_replace(Some(last));
    }

    /// What came after a number, the first so many of it; `None` when it is not all in memory.
    pub fn after(&self, number: u64, most: usize) -> Option<Vec<Line>> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        if number.saturating_add(1) < ring.from {
            return None;
        }
        let first = ring.lines.partition_point(|line| line.number <= number);
        Some(ring.lines.range(first..).take(most).cloned().collect())
    }

    /// The number of this daemon's first event.
    pub fn first(&self) -> u64 {
        self.first.load(Ordering::Relaxed)
    }

    /// The oldest number of which all that follows is in memory.
    pub fn from(&self) -> u64 {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner).from
    }

    /// The number of the newest event; `None` while it is not known yet where numbers begin.
    pub fn newest(&self) -> watch::Receiver<Option<u64>> {
        self.newest.subscribe()
    }

    /// A place among the readers, until it is dropped; `None` when all are taken.
    pub fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.readers).try_acquire_owned().ok()
    }

    pub fn readers(&self) -> usize {
        READERS - self.readers.available_permits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: u64) -> Line {
        Line { number, at: String::new(), kind: "released".into(), by_hook: false, body: "{}".into() }
    }

    fn numbers(lines: Option<Vec<Line>>) -> Option<Vec<u64>> {
        lines.map(|lines| lines.into_iter().map(|line| line.number).collect())
    }

    #[test]
    fn nobody_has_ever_heard_more_than_the_newest() {
        let stream = Stream::default();
        stream.begin(1);
        std::thread::scope(|scope| {
            scope.spawn(|| (1..=20_000).for_each(|number| stream.publish(vec![line(number)])));
            let (newest, mut heard) = (stream.newest(), 0);
            while heard < 20_000 {
                heard = stream.after(heard, RING).map_or(stream.from(), |l| l.last().map_or(heard, |l| l.number));
                assert!(*newest.borrow() >= Some(heard), "{heard}");
            }
        });
    }

    #[test]
    fn what_came_after_a_number_is_told_whole_or_not_at_all() {
        let stream = Stream::default();
        stream.begin(5);
        assert_eq!(numbers(stream.after(4, RING)), Some(vec![]));
        assert_eq!(numbers(stream.after(3, RING)), None, "that was another daemon's");
        stream.publish(vec![line(5), line(6)]);
        stream.publish(vec![line(9)]);
        assert_eq!(numbers(stream.after(4, RING)), Some(vec![5, 6, 9]));
        assert_eq!(numbers(stream.after(6, RING)), Some(vec![9]));
        assert_eq!((numbers(stream.after(9, RING)), *stream.newest().borrow()), (Some(vec![]), Some(9)));
        let many: Vec<Line> = (10..10 + RING as u64).map(line).collect();
        stream.publish(many);
        assert_eq!(numbers(stream.after(8, RING)), None, "the oldest have left");
        assert_eq!(stream.after(9, RING).unwrap().len(), RING);
        assert_eq!(numbers(stream.after(9, 2)), Some(vec![10, 11]));
    }

    #[test]
    fn readers_have_places_and_no_more() {
        let stream = Stream::default();
        let places: Vec<_> = std::iter::from_fn(|| stream.place()).collect();
        assert_eq!((places.len(), stream.readers()), (READERS, READERS));
        drop(places);
        assert!(stream.place().is_some());
    }
}
