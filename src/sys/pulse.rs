//! The pulse of a session: one shared page that its keeper writes and the daemon reads, without a system call and
//! without waking anybody. Three words of it are the daemon's: what only it can know, held by the keeper for the next
//! daemon.
//!
//! Times are nanoseconds of `CLOCK_MONOTONIC`, 0 for never. Each number is read alone; nothing relies on
//! two of them being of the same moment.

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

const BYTES: usize = 4096;

/// What the page holds. Grows only at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Beat {
    /// Last output of the agent.
    Output,
    /// Last input typed.
    Input,
    /// Last heartbeat.
    Heartbeat,
    /// Last moment a terminal was attached (while one is: when it came).
    Attached,
    /// How many terminals are attached.
    Clients,
    /// How often there was activity.
    Messages,
    /// Bytes the agent has written.
    Bytes,
    /// Bytes of those that are in the recording or were lost to it on purpose.
    Recorded,
    /// Bytes that could not be recorded (full disk).
    Lost,
    /// Last new text on the screen (`model::fold`).
    Text,
    /// Last moment the agent, or a tool of it, was seen at work. The daemon's.
    Work,
    /// Last moment a daemon listened. The daemon's.
    Heard,
    /// From when idle time counts (`model::heard`). The daemon's.
    Since,
}

/// The page, mapped.
#[derive(Debug)]
pub struct Pulse {
    fd: OwnedFd,
    page: NonNull<AtomicU64>,
}

// SAFETY: the page is only ever accessed through atomics.
unsafe impl Send for Pulse {}
// SAFETY: as above.
unsafe impl Sync for Pulse {}

impl Pulse {
    /// A new page, all zero.
    pub fn create() -> io::Result<Self> {
        let fd = memfd_create("beadle-pulse", MFdFlags::MFD_CLOEXEC)?;
        nix::unistd::ftruncate(&fd, 4096)?;
        Self::map(fd)
    }

    /// Maps a page that a keeper sent.
    pub fn open(fd: OwnedFd) -> io::Result<Self> {
        let size = nix::sys::stat::fstat(&fd)?.st_size;
        if usize::try_from(size).unwrap_or(0) < BYTES {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not a pulse"));
        }
        Self::map(fd)
    }

    fn map(fd: OwnedFd) -> io::Result<Self> {
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let length = NonZeroUsize::new(BYTES).ok_or_else(|| io::Error::other("no page"))?;
        // SAFETY: a fresh shared mapping of a descriptor we own; unmapped in Drop.
        let page = unsafe { mmap(None, length, access, MapFlags::MAP_SHARED, &fd, 0) }?;
        Ok(Self { fd, page: page.cast() })
    }

    fn slot(&self, beat: Beat) -> &AtomicU64 {
        // SAFETY: the page holds 512 aligned words, Beat has fewer, and it stays mapped as long as `self`.
        unsafe { self.page.add(beat as usize).as_ref() }
    }

    pub fn get(&self, beat: Beat) -> u64 {
        self.slot(beat).load(Ordering::Relaxed)
    }

    pub fn set(&self, beat: Beat, value: u64) {
        self.slot(beat).store(value, Ordering::Relaxed);
    }

    pub fn add(&self, beat: Beat, more: u64) {
        self.slot(beat).fetch_add(more, Ordering::Relaxed);
    }

    /// Notes that it happened now.
    pub fn mark(&self, beat: Beat) {
        self.mark_at(beat, super::clock::monotonic());
    }

    /// Notes that it happened at this moment of the monotonic clock.
    pub fn mark_at(&self, beat: Beat, at: Duration) {
        self.set(beat, u64::try_from(at.as_nanos()).unwrap_or(u64::MAX));
    }

    /// When it last happened, by the monotonic clock.
    pub fn when(&self, beat: Beat) -> Option<Duration> {
        match self.get(beat) {
            0 => None,
            nanos => Some(Duration::from_nanos(nanos)),
        }
    }
}

impl AsFd for Pulse {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        // SAFETY: mapped in `map` with this length, and not used after.
        // A failure here leaves one page mapped; there is nobody to tell.
        let _ = unsafe { munmap(self.page.cast(), BYTES) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_keeper_writes_the_daemon_reads() {
        let writer = Pulse::create().unwrap();
        let reader = Pulse::open(writer.fd.try_clone().unwrap()).unwrap();
        assert_eq!(reader.when(Beat::Output), None);
        writer.mark(Beat::Output);
        writer.add(Beat::Lost, 3);
        assert!(reader.when(Beat::Output).unwrap() <= super::super::clock::monotonic());
        assert_eq!(reader.get(Beat::Lost), 3);
        reader.mark_at(Beat::Work, Duration::from_secs(7));
        let next = Pulse::open(writer.fd.try_clone().unwrap()).unwrap();
        assert_eq!(next.when(Beat::Work), Some(Duration::from_secs(7)), "what one daemon knew the next one knows");
    }

    #[test]
    fn a_page_that_is_too_short_is_refused() {
        let fd = memfd_create("short", MFdFlags::MFD_CLOEXEC).unwrap();
        assert!(Pulse::open(fd).is_err());
    }
}
