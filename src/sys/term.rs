//! The person's terminal: raw mode and back, its size, its signals, and bytes in and out of it that never
//! block a task.
//!
//! Knows nothing of what the bytes mean. Standard input and output keep their flags: `O_NONBLOCK` belongs
//! to the open file, which the shell shares, so a thread of its own reads and another one writes.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{self, FlushArg, SetArg, SpecialCharacterIndices, Termios};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

/// What a terminal that does not know its size is taken for: columns and rows.
pub const DEFAULT_SIZE: (u16, u16) = (80, 24);

/// Bytes read at once; what is typed or pasted comes in far smaller pieces.
const PIECE: usize = 16 << 10;

/// The person's own modes, while ours are set. In a static, because a panic hook has nothing else.
static SAVED: Mutex<Option<Termios>> = Mutex::new(None);

/// True when standard input and standard output both are terminals.
pub fn is_terminal() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Columns and rows of the terminal on standard output (else input); [`DEFAULT_SIZE`] when it does not know.
pub fn size() -> (u16, u16) {
    known_size(io::stdout().as_fd()).or_else(|| known_size(io::stdin().as_fd())).unwrap_or(DEFAULT_SIZE)
}

fn known_size(fd: BorrowedFd<'_>) -> Option<(u16, u16)> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ writes one winsize (`ioctl_tty(2)`), which outlives the call; the descriptor is open.
    let done = unsafe { libc::ioctl(std::os::fd::AsRawFd::as_raw_fd(&fd), libc::TIOCGWINSZ, &raw mut size) };
    (done == 0 && size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col, size.ws_row))
}

/// Sets raw mode. The modes before the first call are remembered for [`leave_raw`]; another call (after
/// the process was stopped and the shell set its own) only sets raw mode again.
pub fn enter_raw() -> io::Result<()> {
    let stdin = io::stdin();
    let before = termios::tcgetattr(&stdin)?;
    let mut raw = before.clone();
    termios::cfmakeraw(&mut raw);
    // A read returns at once even if somebody else took the byte: the reader can always be stopped.
    raw.control_chars[SpecialCharacterIndices::VMIN as usize] = 0;
    raw.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
    termios::tcsetattr(&stdin, SetArg::TCSADRAIN, &raw)?;
    SAVED.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(before);
    Ok(())
}

/// Sets the modes from before [`enter_raw`] and throws away input nobody has read (late answers to an
/// agent's queries would be typed into the shell). Does nothing a second time.
pub fn leave_raw() {
    let Some(before) = SAVED.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
    let stdin = io::stdin();
    // Both fail only when the terminal is gone: then there is nothing to restore.
    let _ = termios::tcsetattr(&stdin, SetArg::TCSANOW, &before);
    let _ = termios::tcflush(&stdin, FlushArg::TCIFLUSH);
}

/// Writes to the terminal now, waiting at most `patience` for one that takes nothing.
pub fn write_now(bytes: &[u8], patience: Duration) {
    let stdout = io::stdout();
    if is_ready(stdout.as_fd(), PollFlags::POLLOUT, patience) {
        let mut stdout = stdout.lock();
        // A terminal that is gone needs nothing from us.
        let _ = stdout.write_all(bytes).and_then(|()| stdout.flush());
    }
}

fn is_ready(fd: BorrowedFd<'_>, flags: PollFlags, patience: Duration) -> bool {
    let timeout = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
    matches!(poll(&mut [PollFd::new(fd, flags)], timeout), Ok(n) if n > 0)
}

/// A thread that reads what is typed, until this is dropped.
#[derive(Debug)]
pub struct Input {
    /// Closing it ends the thread.
    stop: Option<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Input {
    /// Starts reading standard input, which must be a terminal in raw mode. The channel closes when the
    /// terminal hangs up; it must be gone, or have room, before the [`Input`] is dropped.
    pub fn start() -> io::Result<(Self, mpsc::Receiver<Vec<u8>>)> {
        let stdin = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        let (stopped, stop) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
        let (sender, bytes) = mpsc::channel(16);
        let thread = std::thread::Builder::new()
            .name("terminal-in".into())
            .spawn(move || read_until_stopped(stdin, &stopped, &sender))?;
        Ok((Self { stop: Some(stop), thread: Some(thread) }, bytes))
    }
}

impl Drop for Input {
    /// After this nothing of ours reads the terminal.
    fn drop(&mut self) {
        drop(self.stop.take());
        // While panicking the modes are the person's again, and a read may block.
        if let Some(thread) = self.thread.take()
            && !std::thread::panicking()
        {
            // A reader that panicked reads no more either.
            let _ = thread.join();
        }
    }
}

fn read_until_stopped(mut stdin: File, stopped: &OwnedFd, sender: &mpsc::Sender<Vec<u8>>) {
    let mut piece = vec![0; PIECE];
    loop {
        let mut fds = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN), PollFd::new(stopped.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) => {}
            Err(nix::errno::Errno::EINTR) => continue,
            Err(_) => return,
        }
        if fds[1].any().unwrap_or(true) {
            return;
        }
        let hung_up = fds[0].revents().is_none_or(|r| r.intersects(PollFlags::POLLHUP | PollFlags::POLLERR));
        match stdin.read(&mut piece) {
            Ok(0) if hung_up => return,
            Ok(n) if n > 0 && sender.blocking_send(piece[..n].to_vec()).is_err() => return,
            Ok(_) => {}
            Err(e) if matches!(e.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {}
            Err(_) => return,
        }
    }
}

/// What is shown, written by a thread: a slow terminal makes the sender wait and loses nothing.
#[derive(Debug)]
pub struct Output {
    pub bytes: mpsc::Sender<Vec<u8>>,
    finished: oneshot::Receiver<()>,
}

impl Output {
    pub fn start() -> io::Result<Self> {
        let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        let (bytes, mut receiver) = mpsc::channel::<Vec<u8>>(4);
        let (done, finished) = oneshot::channel();
        std::thread::Builder::new().name("terminal-out".into()).spawn(move || {
            let mut stdout = stdout;
            while let Some(piece) = receiver.blocking_recv() {
                if write_all(&mut stdout, &piece).is_err() {
                    break;
                }
            }
            // Nobody waits any more when the terminal was too slow.
            let _ = done.send(());
        })?;
        Ok(Self { bytes, finished })
    }

    /// Waits until everything sent is written, at most `patience`. Other senders must be gone.
    pub async fn finish(self, patience: Duration) {
        drop(self.bytes);
        // A terminal that takes nothing for so long is left as it is.
        let _ = tokio::time::timeout(patience, self.finished).await;
    }
}

/// `write_all` that also waits where somebody made the shared terminal non-blocking.
fn write_all(out: &mut File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match out.write(bytes) {
            Ok(n) => bytes = &bytes[n..],
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                is_ready(out.as_fd(), PollFlags::POLLOUT, Duration::from_mins(1));
            }
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// What a terminal program is told by signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TermSignal {
    /// The window changed its size.
    Resized,
    /// Continued after a stop: the shell had the terminal meanwhile.
    Resumed,
    /// HUP, INT or TERM, by number: it is time to go.
    Ended(i32),
}

/// Sends the terminal's signals to `sink` until nobody listens. Their default actions do not come back
/// afterwards (tokio keeps its handlers).
pub fn forward_signals(sink: mpsc::Sender<TermSignal>) -> io::Result<tokio::task::JoinHandle<()>> {
    let mut resized = signal(SignalKind::window_change())?;
    let mut resumed = signal(SignalKind::from_raw(libc::SIGCONT))?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(tokio::spawn(async move {
        loop {
            let happened = tokio::select! {
                _ = resized.recv() => TermSignal::Resized,
                _ = resumed.recv() => TermSignal::Resumed,
                _ = hang_up.recv() => TermSignal::Ended(libc::SIGHUP),
                _ = interrupt.recv() => TermSignal::Ended(libc::SIGINT),
                _ = terminate.recv() => TermSignal::Ended(libc::SIGTERM),
            };
            if sink.send(happened).await.is_err() {
                return;
            }
        }
    }))
}
