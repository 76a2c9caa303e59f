//! What a single-threaded event loop waits on: epoll(7), signals as a descriptor, and waiting for several
//! processes to end.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, pthread_sigmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// What a descriptor is watched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interest {
    pub read: bool,
    pub write: bool,
}

pub const READ: Interest = Interest { read: true, write: false };
pub const BOTH: Interest = Interest { read: true, write: true };
pub const WRITE: Interest = Interest { read: false, write: true };

/// What happened to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    pub token: u64,
    pub readable: bool,
    pub writable: bool,
    /// The other end is gone.
    pub hangup: bool,
}

#[derive(Debug)]
pub struct Poller {
    epoll: Epoll,
}

impl Poller {
    pub fn new() -> io::Result<Self> {
        Ok(Self { epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)? })
    }

    pub fn add(&self, fd: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(self.epoll.add(fd, EpollEvent::new(flags(interest), token))?)
    }

    pub fn change(&self, fd: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(self.epoll.modify(fd, &mut EpollEvent::new(flags(interest), token))?)
    }

    pub fn remove(&self, fd: impl AsFd) -> io::Result<()> {
        Ok(self.epoll.delete(fd)?)
    }

    /// Waits for events, without end when there is no timeout.
    pub fn wait(&self, events: &mut Vec<Event>, timeout: Option<Duration>) -> io::Result<()> {
        let mut raw = [EpollEvent::empty(); 32];
        let timeout = match timeout {
            None => EpollTimeout::NONE,
            // Rounded up: a deadline is not polled for.
            Some(t) => EpollTimeout::try_from(t + Duration::from_micros(999)).unwrap_or(EpollTimeout::MAX),
        };
        events.clear();
        let n = match self.epoll.wait(&mut raw, timeout) {
            Ok(n) => n,
            Err(Errno::EINTR) => 0,
            Err(e) => return Err(e.into()),
        };
        events.extend(raw.iter().take(n).map(|e| {
            let happened = e.events();
            Event {
                token: e.data(),
                readable: happened.contains(EpollFlags::EPOLLIN),
                writable: happened.contains(EpollFlags::EPOLLOUT),
                hangup: happened.intersects(EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR),
            }
        }));
        Ok(())
    }
}

fn flags(interest: Interest) -> EpollFlags {
    let mut flags = EpollFlags::empty();
    flags.set(EpollFlags::EPOLLIN, interest.read);
    flags.set(EpollFlags::EPOLLOUT, interest.write);
    flags
}

/// The signals a keeper hears, as a descriptor: `SIGCHLD`, `SIGUSR1`, `SIGTERM`, `SIGHUP`, `SIGINT`.
#[derive(Debug)]
pub struct Signals {
    fd: SignalFd,
}

/// A signal a keeper hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    Child,
    Wake,
    /// Terminate, hang up, interrupt: not for a keeper.
    Other,
}

impl Signals {
    pub fn new() -> io::Result<Self> {
        let mut set = SigSet::empty();
        for signal in
            [Signal::SIGCHLD, Signal::SIGUSR1, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT, Signal::SIGXFSZ]
        {
            set.add(signal);
        }
        pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&set), None)?;
        Ok(Self { fd: SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)? })
    }

    pub fn next_signal(&mut self) -> Option<Heard> {
        let info = self.fd.read_signal().ok().flatten()?;
        Some(match i32::try_from(info.ssi_signo).ok().and_then(|n| Signal::try_from(n).ok()) {
            Some(Signal::SIGCHLD) => Heard::Child,
            Some(Signal::SIGUSR1) => Heard::Wake,
            _ => Heard::Other,
        })
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A child that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reaped {
    pub pid: i32,
    pub code: Option<i32>,
    pub signal: Option<i32>,
}

/// What waiting for children found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reap {
    One(Reaped),
    /// There are children, none has ended.
    Nothing,
    /// There are no children at all: with a subreaper that says that the whole tree is gone.
    NoChildren,
}

/// Reaps one ended child, without waiting. By raw status: a real-time signal ends a process like any other, and has no
/// name in nix.
pub fn reap() -> Reap {
    use rustix::process::{WaitOptions, wait};
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if status.exited() || status.signaled() => {
                let pid = pid.as_raw_nonzero().get();
                return Reap::One(Reaped { pid, code: status.exit_status(), signal: status.terminating_signal() });
            }
            Ok(None) => return Reap::Nothing,
            // Stopped or continued: not asked for.
            Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return Reap::NoChildren,
        }
    }
}

/// A descriptor to wake a loop with.
#[derive(Debug)]
pub struct Waker {
    fd: EventFd,
}

impl Waker {
    pub fn new() -> io::Result<Self> {
        Ok(Self { fd: EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)? })
    }

    pub fn wake(&self) {
        // A full counter is awake already.
        let _ = self.fd.write(1);
    }

    pub fn rest(&self) {
        // Nothing to read: nobody woke us.
        let _ = self.fd.read();
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Which of several descriptors are readable within the time; pidfds are when their process has ended.
pub fn readable(fds: &[BorrowedFd<'_>], timeout: Duration) -> io::Result<Vec<bool>> {
    let mut polled: Vec<PollFd<'_>> = fds.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
    let timeout = PollTimeout::try_from(timeout + Duration::from_micros(999)).unwrap_or(PollTimeout::MAX);
    match poll(&mut polled, timeout) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(e) => return Err(e.into()),
    }
    Ok(polled.iter().map(|p| p.any().unwrap_or(false)).collect())
}

/// A pipe, both ends closed on execve(2): (read, write).
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?)
}

/// Makes a descriptor of our own non-blocking. Never for one shared with another program.
pub fn set_nonblocking(fd: impl AsFd) -> io::Result<()> {
    Ok(rustix::io::ioctl_fionbio(fd, true)?)
}

/// Reads what is there: `Ok(0)` at the end, `WouldBlock` when there is nothing now.
pub fn read(fd: impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match rustix::io::read(&fd, &mut *buffer) {
            Err(rustix::io::Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

/// Writes what fits.
pub fn write(fd: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match rustix::io::write(&fd, bytes) {
            Err(rustix::io::Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

/// The number of a descriptor, as a token for [`Poller`].
pub fn token(fd: impl AsFd) -> u64 {
    u64::try_from(fd.as_fd().as_raw_fd()).unwrap_or(u64::MAX)
}
