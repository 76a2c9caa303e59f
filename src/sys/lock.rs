//! The daemon's lock: held on an open file in the state directory, never a pid file.
//!
//! The kernel releases it with the last descriptor, however the holder ends. The file also names the holder, so that a
//! client can wake a daemon whose socket was lost; the name is believed only while the lock is held.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::FlockOperation;

use crate::model::session::ProcId;

/// The lock, held. Dropping it releases it.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock and writes down who holds it; `None` when somebody has it.
    pub fn take(path: &Path, holder: ProcId) -> io::Result<Option<Self>> {
        let file = open(path)?;
        // Who only asks whether it is held (`holder`) has it for a moment.
        let mut tries = 0;
        loop {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(rustix::io::Errno::WOULDBLOCK) if tries < 10 => {
                    tries += 1;
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
                Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
                Err(e) => return Err(e.into()),
            }
        }
        let mut lock = Self { file };
        lock.name(holder)?;
        Ok(Some(lock))
    }

    fn name(&mut self, holder: ProcId) -> io::Result<()> {
        // Always as long, and in place: that works on a full disk too.
        self.file.rewind()?;
        writeln!(self.file, "{:<10} {:<20}", holder.pid, holder.start)?;
        let length = self.file.stream_position()?;
        self.file.set_len(length)
    }

    /// Keeps the lock across execve(2): the descriptor's number for the next program.
    pub fn hand_over(&self) -> io::Result<i32> {
        super::fds::keep_open(self.file.as_fd())?;
        Ok(self.file.as_raw_fd())
    }

    /// Takes over a lock that [`hand_over`](Self::hand_over) left open.
    ///
    /// # Errors
    /// When the descriptor is not open or the lock on it is not ours.
    pub fn inherit(fd: i32) -> io::Result<Self> {
        let owned = super::fds::inherited(fd)?;
        rustix::fs::flock(&owned, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Self { file: File::from(owned) })
    }
}

/// Who holds the lock, when somebody does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    Nobody,
    /// Somebody, named as soon as it has written its name.
    Somebody(Option<ProcId>),
}

pub fn holder(path: &Path) -> io::Result<Holder> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Holder::Nobody),
        Err(e) => return Err(e),
    };
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(Holder::Nobody),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut text = String::new();
            file.read_to_string(&mut text)?;
            Ok(Holder::Somebody(parse(&text)))
        }
        Err(e) => Err(e.into()),
    }
}

fn parse(text: &str) -> Option<ProcId> {
    let mut words = text.split_ascii_whitespace();
    Some(ProcId { pid: words.next()?.parse().ok()?, start: words.next()?.parse().ok()? })
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time_and_it_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        assert_eq!(holder(&path).unwrap(), Holder::Nobody);
        let me = ProcId { pid: 7, start: 9 };
        let lock = Lock::take(&path, me).unwrap().unwrap();
        assert!(Lock::take(&path, me).unwrap().is_none());
        assert_eq!(holder(&path).unwrap(), Holder::Somebody(Some(me)));
        drop(lock);
        // A child that another test has just forked holds a copy until it executes something.
        let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while holder(&path).unwrap() != Holder::Nobody && std::time::Instant::now() < end {
            std::thread::yield_now();
        }
        assert_eq!(holder(&path).unwrap(), Holder::Nobody);
    }
}
