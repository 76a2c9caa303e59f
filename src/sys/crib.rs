//! Where keepers come from: a process that has started up once, and from then on only forks.
//!
//! ```text
//!   daemon ──(id, birth connection)──► crib ──fork──► keeper
//!          ◄────────────pid───────────
//! ```
//!
//! To execute a program of this size costs more than the rest of a birth, and what its start-up writes is memory of each
//! keeper. A fork shares all of that. The crib lives as long as its daemon: the end of its connection is its end.
//! It waits for no child (SIGCHLD is ignored, so that none becomes a zombie), and knows nothing of sessions.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{failpoint, fds};

/// Its command line has room for that of a keeper: `beadle keep ID`.
pub const VERB: &str = "crib";
const KEEPER: &str = "keep";
const NOBODY: &str = "------";
/// How long it may take to fork.
const PATIENCE: Duration = Duration::from_secs(2);

/// The daemon's end.
#[derive(Debug)]
pub struct Crib {
    control: UnixStream,
    child: std::process::Child,
}

impl Crib {
    /// Whether it can bear a keeper of this id.
    pub fn fits(id: &str) -> bool {
        id.len() == NOBODY.len()
    }

    /// Runs the very file this process runs, also when that was replaced meanwhile.
    pub fn start() -> io::Result<Self> {
        let (control, theirs) = UnixStream::pair()?;
        control.set_read_timeout(Some(PATIENCE))?;
        control.set_write_timeout(Some(PATIENCE))?;
        let mut command = Command::new("/proc/self/exe");
        command.arg0("beadle").args([VERB, NOBODY]).env_clear().current_dir("/");
        command.stdin(OwnedFd::from(theirs)).stdout(Stdio::null()).stderr(Stdio::null());
        failpoint::hand_down(&mut command);
        Ok(Self { child: command.spawn()?, control })
    }

    /// Forks a keeper that has `birth`; its pid. After an error this crib is of no more use.
    pub fn bear(&mut self, id: &str, birth: &UnixStream) -> io::Result<i32> {
        fds::send_with_fd(self.control.as_fd(), id.as_bytes(), birth.as_fd())?;
        let mut pid = [0; 4];
        io::Read::read_exact(&mut self.control, &mut pid)?;
        match i32::from_le_bytes(pid) {
            pid if pid > 0 => Ok(pid),
            errno => Err(io::Error::from_raw_os_error(-errno)),
        }
    }
}

impl Drop for Crib {
    fn drop(&mut self) {
        // It reads the end, and ends: one that is gone already does not mind.
        let _ = self.control.shutdown(std::net::Shutdown::Both);
        for _ in 0..20 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        // Stopped by a person, or hung: our own child, not yet waited for, so that the pid is its own.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Forks whenever it is asked to. Comes back in each keeper with its birth connection, and in the crib itself with nothing
/// once the daemon has gone. Only while there is one thread.
pub fn wait() -> io::Result<Option<UnixStream>> {
    let mut control = UnixStream::from(fds::inherited(0)?.try_clone()?);
    fds::silence_stdio()?;
    // Ctrl-C at the terminal of a daemon in the foreground is for the daemon.
    rustix::process::setsid()?;
    dispose_of_children(libc::SIG_IGN);
    let line = CommandLine::find();
    let mut id = [0; NOBODY.len()];
    loop {
        let (n, birth) = fds::receive_with_fd(control.as_fd(), &mut id)?;
        let Some(birth) = birth.filter(|_| n == id.len()) else { return Ok(None) };
        // SAFETY: there is one thread, so the child may go on as if nothing had happened.
        let answer = match unsafe { libc::fork() } {
            0 => {
                drop(control);
                dispose_of_children(libc::SIG_DFL);
                if let Some(line) = line {
                    line.become_keeper(&id);
                }
                return Ok(Some(birth.into()));
            }
            -1 => io::Error::last_os_error().raw_os_error().map_or(-libc::EAGAIN, |errno| -errno),
            pid => pid,
        };
        io::Write::write_all(&mut control, &answer.to_le_bytes())?;
    }
}

/// `SIG_IGN`: nobody waits for them; `SIG_DFL`: they are waited for.
fn dispose_of_children(disposition: libc::sighandler_t) {
    // SAFETY: a constant disposition, no handler.
    unsafe {
        libc::signal(libc::SIGCHLD, disposition);
    }
}

/// The memory that `/proc/self/cmdline` shows.
#[derive(Clone, Copy)]
struct CommandLine {
    verb: *mut u8,
    id: *mut u8,
}

impl CommandLine {
    /// Where the kernel says it is (`proc_pid_stat(5)`, field 48), if what is expected stands there.
    fn find() -> Option<Self> {
        let own = std::fs::read("/proc/self/cmdline").ok()?;
        let name = own.iter().position(|b| *b == 0)? + 1;
        let expected = format!("{VERB}\0{NOBODY}\0");
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        let start: usize = stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(45)?.parse().ok()?;
        if start == 0 || &own[name..] != expected.as_bytes() {
            return None;
        }
        let verb = std::ptr::with_exposed_provenance_mut::<u8>(start + name);
        Some(Self { verb, id: verb.wrapping_add(VERB.len() + 1) })
    }

    /// Both words are as long as those they replace.
    fn become_keeper(self, id: &[u8; NOBODY.len()]) {
        // SAFETY: the kernel says that the command line is there, which holds the words that are replaced; it is on our own
        // stack, writable, and nothing else in this program refers to it by now.
        unsafe {
            std::ptr::copy_nonoverlapping(KEEPER.as_ptr(), self.verb, VERB.len());
            std::ptr::copy_nonoverlapping(id.as_ptr(), self.id, NOBODY.len());
        }
    }
}

const _: () = assert!(VERB.len() == KEEPER.len());
