//! Writes the recording, on a thread of its own: a full or hanging disk never stops the agent.
//!
//! The loop hands over frames and goes on. What does not fit into the queue (the disk is too slow) or cannot be written
//! (it is full) is counted, and a gap marker takes its place once writing works again.

use std::fs::File;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::api::kept::Dir;
use crate::api::record;
use crate::sys::dirs;
use crate::sys::pulse::{Beat, Pulse};

/// Most bytes waiting to be written.
const QUEUE: usize = 1 << 20;
/// How long output waits for room in the queue.
const BEHIND: Duration = Duration::from_millis(200);
/// How long a failed write is let alone.
const PAUSE: Duration = Duration::from_millis(500);
/// How long the end of a session waits for the last bytes to be written.
const LAST: Duration = Duration::from_secs(2);

#[derive(Debug, Default)]
struct Queue {
    frames: Vec<u8>,
    /// Bytes of output in `frames`.
    output: u64,
    lost: u64,
    ending: bool,
    idle: bool,
    /// The thread did not make room in time; until it does, nobody waits for it.
    behind: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub struct Recorder {
    shared: Arc<Shared>,
    writer: Option<Writer>,
    capacity: usize,
}

impl Recorder {
    pub fn new(dir: Dir, cap_bytes: u64, pulse: Arc<Pulse>) -> Self {
        let half = (cap_bytes / 2).max(32 << 10);
        let shared =
            Arc::new(Shared { queue: Mutex::new(Queue { idle: true, ..Queue::default() }), changed: Condvar::new() });
        let writer = Writer { shared: Arc::clone(&shared), dir, half, pulse, open: None, position: 0 };
        Self { shared, writer: Some(writer), capacity: QUEUE.min(usize::try_from(half / 2).unwrap_or(QUEUE)) }
    }

    pub fn output(&mut self, millis: u64, bytes: &[u8]) {
        for piece in bytes.chunks(self.capacity / 2) {
            let mut queue = self.shared.lock();
            let is_full = |q: &mut Queue| q.frames.len() + piece.len() > self.capacity;
            if is_full(&mut queue) && !queue.behind && self.writer.is_none() {
                // An agent faster than the thread waits for it, once; a disk that hangs is not waited for again.
                self.shared.changed.notify_all();
                let waited = self.shared.changed.wait_timeout_while(queue, BEHIND, is_full);
                queue = waited.unwrap_or_else(PoisonError::into_inner).0;
                queue.behind = is_full(&mut queue);
            }
            if is_full(&mut queue) {
                queue.lost += piece.len() as u64;
                continue;
            }
            let lost = std::mem::take(&mut queue.lost);
            if lost > 0 {
                record::push_gap(&mut queue.frames, millis, lost);
                queue.output += lost;
            }
            record::push_output(&mut queue.frames, millis, piece);
            queue.output += piece.len() as u64;
        }
        self.wake();
    }

    pub fn size(&mut self, millis: u64, cols: u16, rows: u16) {
        // Not worth a thread before there is output.
        record::push_size(&mut self.shared.lock().frames, millis, cols, rows);
    }

    fn wake(&mut self) {
        self.shared.changed.notify_one();
        if let Some(writer) = self.writer.take() {
            // A small stack: the loop below is all that runs on it. Without the thread nothing is recorded, and
            // the session goes on.
            let born = std::thread::Builder::new().name("recorder".into()).stack_size(64 << 10);
            if born.spawn(move || writer.run()).is_err() {
                self.shared.lock().idle = true;
            }
        }
    }

    /// Waits until everything is written, within reason.
    pub fn finish(&mut self) {
        let mut queue = self.shared.lock();
        queue.ending = true;
        let lost = std::mem::take(&mut queue.lost);
        if lost > 0 {
            // No output comes that would bring the gap along.
            record::push_gap(&mut queue.frames, 0, lost);
            queue.output += lost;
        }
        self.shared.changed.notify_one();
        if self.writer.is_some() {
            return;
        }
        let busy = |q: &mut Queue| !(q.idle && q.frames.is_empty());
        // A poisoned lock or a disk that hangs: either way this is the end.
        drop(self.shared.changed.wait_timeout_while(queue, LAST, busy));
    }
}

struct Open {
    file: File,
    /// Length up to the last whole frame.
    length: u64,
}

struct Writer {
    shared: Arc<Shared>,
    dir: Dir,
    /// Cap of one segment.
    half: u64,
    pulse: Arc<Pulse>,
    open: Option<Open>,
    /// Bytes of output (and gaps) before the end of what is written.
    position: u64,
}

impl Writer {
    fn run(mut self) {
        let mut batch = Vec::new();
        while let Some(output) = self.next(&mut batch) {
            if self.write(&batch).is_ok() {
                self.position += output;
                self.pulse.set(Beat::Recorded, self.position);
            } else {
                self.lose(output);
            }
            batch.clear();
            batch.shrink_to(64 << 10);
        }
    }

    /// Waits for frames and takes them; the bytes of output in them.
    fn next(&self, batch: &mut Vec<u8>) -> Option<u64> {
        let mut queue = self.shared.lock();
        while queue.frames.is_empty() {
            queue.idle = true;
            self.shared.changed.notify_all();
            if queue.ending {
                return None;
            }
            queue = self.shared.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        queue.idle = false;
        queue.behind = false;
        self.shared.changed.notify_all();
        std::mem::swap(&mut queue.frames, batch);
        Some(std::mem::take(&mut queue.output))
    }

    fn write(&mut self, batch: &[u8]) -> io::Result<()> {
        let full = self.open.as_ref().is_none_or(|o| o.length + batch.len() as u64 > self.half);
        if full {
            self.rotate()?;
        }
        let Some(open) = &mut self.open else { return Err(io::ErrorKind::NotFound.into()) };
        let written = open.file.write_all(batch);
        if written.is_ok() {
            open.length += batch.len() as u64;
        } else if open.file.set_len(open.length).is_err() {
            // Half a frame at the end that cannot be cut off: the next one needs a new segment.
            self.open = None;
        }
        written
    }

    fn rotate(&mut self) -> io::Result<()> {
        let [old, new] = self.dir.segments();
        if self.open.is_none() && self.position == 0 {
            // Of a run before this one, if there was one.
            let _ = std::fs::remove_file(&old);
            let _ = std::fs::remove_file(&new);
        }
        match std::fs::rename(&new, &old) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        // Open before the head is written: after a failure here the next attempt must not rotate an empty segment over a
        // full one.
        let mut file = dirs::private_log(&new)?;
        file.write_all(&record::head(self.position)).inspect_err(|_| {
            // As it was before; if even this fails the segment has no head and is skipped by readers.
            let _ = std::fs::remove_file(&new);
            let _ = std::fs::rename(&old, &new);
        })?;
        self.open = Some(Open { file, length: record::HEAD as u64 });
        Ok(())
    }

    fn lose(&self, output: u64) {
        self.pulse.add(Beat::Lost, output);
        let mut queue = self.shared.lock();
        // Before what is in the queue now: a gap of its own in front of it.
        let mut frames = Vec::with_capacity(queue.frames.len() + 32);
        record::push_gap(&mut frames, 0, output);
        frames.append(&mut queue.frames);
        queue.frames = frames;
        queue.output += output;
        // On a full disk the gap itself fails next: it is taken up into the following one by `merge`.
        merge(&mut queue);
        let ending = queue.ending;
        drop(queue);
        if !ending {
            std::thread::sleep(PAUSE);
        }
    }
}

/// When nothing but gaps waits, they are one number, kept until there is output to write after them.
fn merge(queue: &mut Queue) {
    let mut bytes = record::head(0).to_vec();
    bytes.extend_from_slice(&queue.frames);
    let entries = record::parse(&bytes).map(|s| s.entries).unwrap_or_default();
    if entries.iter().all(|(_, e)| matches!(e, record::Entry::Gap(_))) {
        queue.lost += queue.output;
        queue.output = 0;
        queue.frames.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorder(cap: u64) -> (tempfile::TempDir, Dir, Recorder) {
        let tmp = tempfile::tempdir().unwrap();
        let dir = Dir::new(tmp.path());
        let recorder = Recorder::new(dir.clone(), cap, Arc::new(Pulse::create().unwrap()));
        (tmp, dir, recorder)
    }

    #[test]
    fn what_is_written_is_read_back_whole() {
        let (_tmp, dir, mut recorder) = recorder(8 << 20);
        recorder.size(0, 80, 24);
        let mut expected = Vec::new();
        for i in 0..200u32 {
            let line = format!("line {i}\n");
            recorder.output(u64::from(i), line.as_bytes());
            expected.extend_from_slice(line.as_bytes());
        }
        recorder.finish();
        let chunk = record::since(&dir, 0).unwrap();
        assert_eq!((chunk.bytes, chunk.missing), (expected, 0));
    }

    #[test]
    fn rotation_keeps_to_the_cap_and_says_what_it_took() {
        let (_tmp, dir, mut recorder) = recorder(64 << 10);
        for _ in 0..100 {
            recorder.output(1, &[b'x'; 4096]);
            // Slower than the disk: nothing is lost to the queue.
            while !recorder.shared.lock().frames.is_empty() {
                std::thread::yield_now();
            }
        }
        recorder.finish();
        let kept: u64 = dir.segments().iter().map(|s| std::fs::metadata(s).unwrap().len()).sum();
        assert!(kept <= 64 << 10, "{kept}");
        let chunk = record::since(&dir, 0).unwrap();
        assert_eq!(chunk.next, 100 * 4096);
        assert_eq!(chunk.missing + chunk.bytes.len() as u64, 100 * 4096);
    }

    #[test]
    fn what_was_lost_at_the_very_end_is_missing_too() {
        let (tmp, dir, mut recorder) = recorder(8 << 20);
        let away = tmp.path().with_extension("away");
        std::fs::rename(tmp.path(), &away).unwrap();
        recorder.output(1, b"lost");
        while recorder.shared.lock().lost == 0 {
            std::thread::yield_now();
        }
        std::fs::rename(&away, tmp.path()).unwrap();
        recorder.finish();
        let chunk = record::since(&dir, 0).unwrap();
        assert_eq!((chunk.bytes.as_slice(), chunk.missing, chunk.next), (&b""[..], 4, 4));
    }

    #[test]
    fn what_cannot_be_written_becomes_one_gap() {
        let (tmp, dir, mut recorder) = recorder(8 << 20);
        // A directory that is gone refuses every write, as a full disk does.
        let away = tmp.path().with_extension("away");
        std::fs::rename(tmp.path(), &away).unwrap();
        recorder.output(1, b"lost");
        while recorder.shared.lock().lost == 0 {
            std::thread::yield_now();
        }
        std::fs::rename(&away, tmp.path()).unwrap();
        recorder.output(2, b"kept");
        recorder.finish();
        let chunk = record::since(&dir, 0).unwrap();
        assert_eq!((chunk.bytes.as_slice(), chunk.missing, chunk.next), (&b"kept"[..], 4, 8));
    }
}
