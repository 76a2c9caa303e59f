//! Processes one at a time: identity, pin, and what a person wants to know about one.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, PidfdFlags};

use super::patience::{Patience, Within};
use crate::model::process::Proc;
use crate::model::session::ProcId;

/// Reads `/proc/PID/stat`.
pub fn stat(pid: i32) -> Option<Proc> {
    let mut path = String::with_capacity(24);
    // Writing to a String cannot fail.
    let _ = write!(path, "/proc/{pid}/stat");
    let fd = rustix::fs::open(path.as_str(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut buffer = [0; 1024];
    let n = rustix::io::read(&fd, &mut buffer).ok()?;
    Proc::parse(&buffer[..n])
}

/// The identity behind a pid now.
pub fn identity(pid: i32) -> Option<ProcId> {
    stat(pid).map(|p| p.id)
}

/// The identity of this process.
pub fn own_identity() -> io::Result<ProcId> {
    let pid = rustix::process::getpid().as_raw_nonzero().get();
    identity(pid).ok_or_else(|| io::Error::other("/proc/self/stat cannot be read: is /proc mounted?"))
}

pub fn is_alive(id: ProcId) -> bool {
    stat(id.pid).is_some_and(|p| p.id == id && !p.is_dead())
}

/// The pid itself and all above it, nearest first, as they are now.
pub fn ancestors(pid: i32) -> Vec<i32> {
    let mut out = Vec::new();
    let mut at = pid;
    while at > 0 && !out.contains(&at) {
        out.push(at);
        let Some(p) = stat(at) else { break };
        at = p.ppid;
    }
    out
}

/// One process held by a pidfd: whatever happens to the pid, a signal through this reaches it or nobody.
#[derive(Debug)]
pub struct Pin {
    fd: OwnedFd,
    id: ProcId,
}

impl Pin {
    /// Opens a pidfd (`pidfd_open(2)`, Linux 5.3), then reads the identity again: `None` when that process has
    /// gone, so that the descriptor never belongs to somebody else.
    pub fn new(id: ProcId) -> io::Result<Option<Self>> {
        let Some(pid) = Pid::from_raw(id.pid.max(0)) else { return Ok(None) };
        let fd = match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
            Ok(fd) => fd,
            Err(rustix::io::Errno::SRCH) => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        Ok((identity(id.pid) == Some(id)).then_some(Self { fd, id }))
    }

    pub fn id(&self) -> ProcId {
        self.id
    }

    /// Waits until the process has ended.
    pub async fn ended(self) -> io::Result<()> {
        use tokio::io::Interest;
        use tokio::io::unix::AsyncFd;
        // SAFETY: the pin owns its descriptor and gives it to nobody to close.
        let watched = unsafe { AsyncFd::register_with_interest(self, Interest::READABLE) };
        let watched = watched.map_err(|e| io::Error::other(e.to_string()))?;
        // It stays readable for good: nothing to clear.
        watched.readable().await.map(drop)
    }
}

impl std::os::fd::AsRawFd for Pin {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.fd.as_raw_fd()
    }
}

impl AsFd for Pin {
    /// Readable once the process has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A file of `/proc/PID`, whole. These have no size to ask for: read into room that nearly always is enough, each is two
/// calls instead of one for every doubling from 32 bytes on.
pub fn read(pid: i32, file: &str) -> io::Result<Vec<u8>> {
    let fd = rustix::fs::open(format!("/proc/{pid}/{file}"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut bytes = Vec::with_capacity(4096);
    loop {
        bytes.reserve(512);
        match rustix::io::read(&fd, rustix::buffer::spare_capacity(&mut bytes)) {
            Ok(0) => return Ok(bytes),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

/// The same as text; what is no text counts as not there.
pub fn read_text(pid: i32, file: &str) -> Option<String> {
    String::from_utf8(read(pid, file).ok()?).ok()
}

/// The file name of the program a process executes; `None` where that is not for us to see.
pub fn program(pid: i32) -> Option<String> {
    let path = std::fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    Some(path.file_name()?.to_string_lossy().into_owned())
}

/// A path that leads to where a process is now.
pub fn directory_link(pid: i32) -> PathBuf {
    format!("/proc/{pid}/cwd").into()
}

/// Whether a process has an environment, if an empty one (`proc_pid_stat(5)`, field 51): in the middle of execve(2), and on
/// its way out, it has none.
pub fn has_environment(id: ProcId) -> bool {
    let stat = read(id.pid, "stat").unwrap_or_default();
    let after = stat.iter().rposition(|b| *b == b')').and_then(|at| stat.get(at + 1..)).unwrap_or_default();
    let mut fields = after.split(|b| *b == b' ').filter(|f| !f.is_empty());
    fields.nth(48).is_some_and(|end| end != b"0")
}

/// The children of a process now, orphans it adopted too (`proc_pid_task(5)`: `children`, of its first thread); none where
/// the kernel does not tell.
pub fn children(pid: i32) -> Vec<i32> {
    let text = read_text(pid, &format!("task/{pid}/children")).unwrap_or_default();
    text.split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// The command line with spaces between the arguments; in brackets the name when there is none (a zombie).
/// Untrusted text.
pub fn command(pid: i32) -> String {
    let bytes = read(pid, "cmdline").unwrap_or_default();
    let line =
        bytes.split(|b| *b == 0).filter(|a| !a.is_empty()).map(String::from_utf8_lossy).collect::<Vec<_>>().join(" ");
    if line.is_empty() { stat(pid).map_or_else(String::new, |p| format!("[{}]", p.comm())) } else { line }
}

/// Command lines of several processes, as far as they are told in time: reading one can block on a process that hangs.
pub fn commands(pids: Vec<i32>, deadline: Duration) -> HashMap<i32, String> {
    Patience::default().read(pids, Within::All(deadline), |pid| command(*pid)).into_iter().collect()
}

/// The arguments of a process.
pub fn arguments(pid: i32) -> Vec<String> {
    let bytes = read(pid, "cmdline").unwrap_or_default();
    let trimmed = bytes.strip_suffix(b"\0").unwrap_or(&bytes);
    trimmed.split(|b| *b == 0).map(|a| String::from_utf8_lossy(a).into_owned()).collect()
}

/// Bytes a process has read and written by system calls since it began (`rchar` and `wchar` of `/proc/PID/io`,
/// `proc_pid_io(5)`); `None` where the kernel does not tell, as for one that is not dumpable.
pub fn io_bytes(pid: i32) -> Option<u64> {
    let mut path = String::with_capacity(24);
    // Writing to a String cannot fail.
    let _ = write!(path, "/proc/{pid}/io");
    let fd = rustix::fs::open(path.as_str(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut buffer = [0; 512];
    let n = rustix::io::read(&fd, &mut buffer).ok()?;
    let text = std::str::from_utf8(&buffer[..n]).ok()?;
    let field = |name: &str| text.lines().find_map(|l| l.strip_prefix(name)?.trim().parse::<u64>().ok());
    Some(field("rchar:")? + field("wchar:")?)
}

/// How long the first thread of a process has stood in line for a processor (`/proc/PID/schedstat`, the second number,
/// nanoseconds); `None` where the kernel does not count it.
pub fn queued(pid: i32) -> Option<Duration> {
    let text = read_text(pid, "schedstat")?;
    text.split_ascii_whitespace().nth(1)?.parse().ok().map(Duration::from_nanos)
}

/// Who owns a process, by name where there is one.
pub fn owner(pid: i32) -> String {
    use std::os::unix::fs::MetadataExt;
    let Ok(meta) = std::fs::metadata(format!("/proc/{pid}")) else { return "unknown".into() };
    user_name(meta.uid())
}

pub fn owner_uid(pid: i32) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(format!("/proc/{pid}")).ok().map(|m| m.uid())
}

fn user_name(uid: u32) -> String {
    match nix::unistd::User::from_uid(uid.into()) {
        Ok(Some(user)) => user.name,
        _ => uid.to_string(),
    }
}

/// Where in the kernel it waits (`/proc/PID/wchan`), when the kernel tells.
pub fn wait_channel(pid: i32) -> Option<String> {
    let text = read_text(pid, "wchan")?;
    (!text.is_empty() && text != "0").then_some(text)
}

/// True when one of this process's ancestors is a keeper (of any instance): below one no daemon is
/// started, and nothing attaches to itself.
pub fn below_keeper() -> bool {
    let mut pid = rustix::process::getppid().map_or(0, |p| p.as_raw_nonzero().get());
    for _ in 0..256 {
        let Some(p) = stat(pid) else { return false };
        if is_keeper(&arguments(pid)) {
            return true;
        }
        if p.ppid <= 1 {
            return false;
        }
        pid = p.ppid;
    }
    false
}

/// `beadle keep …`, by whatever path beadle was started.
pub fn is_keeper(arguments: &[String]) -> bool {
    let beadle = arguments.first().is_some_and(|a| a.rsplit('/').next().is_some_and(|base| base == "beadle"));
    beadle && arguments.get(1).is_some_and(|verb| verb == "keep")
}

/// One variable from the environment a process was started with; `None` too when it cannot be read.
pub fn environment_variable(pid: i32, name: &str) -> Option<Vec<u8>> {
    let bytes = read(pid, "environ").ok()?;
    find_variable(&bytes, name).map(<[u8]>::to_vec)
}

/// `NAME=` in a block of NUL-separated variables.
pub fn find_variable<'a>(block: &'a [u8], name: &str) -> Option<&'a [u8]> {
    block.split(|b| *b == 0).find_map(|v| v.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_with_another_start_time_is_not_pinned() {
        let own = own_identity().unwrap();
        assert!(Pin::new(own).unwrap().is_some());
        assert!(Pin::new(ProcId { start: own.start + 1, ..own }).unwrap().is_none());
        assert!(Pin::new(ProcId { pid: 0, start: 0 }).unwrap().is_none());
        assert!(Pin::new(ProcId { pid: -1, start: 0 }).unwrap().is_none());
    }

    #[test]
    fn a_child_is_listed_by_its_parent_until_it_is_reaped() {
        // The children of its first thread: that of a test is another one.
        let mut shell = std::process::Command::new("sh");
        let mut parent =
            shell.args(["-c", "sleep 60 & echo $!; wait"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(parent.stdout.take().unwrap()), &mut line).unwrap();
        let child: i32 = line.trim().parse().unwrap();
        assert_eq!(children(i32::try_from(parent.id()).unwrap()), [child]);
        let pin = Pin::new(identity(child).unwrap()).unwrap().unwrap();
        rustix::process::pidfd_send_signal(&pin, rustix::process::Signal::KILL).unwrap();
        parent.wait().unwrap();
        assert!(children(child).is_empty());
    }

    #[test]
    fn what_a_process_wrote_is_counted() {
        use std::io::Write;
        let own = own_identity().unwrap().pid;
        let before = io_bytes(own).unwrap();
        std::fs::File::create("/dev/null").unwrap().write_all(&[0; 8_000]).unwrap();
        assert!(io_bytes(own).unwrap() >= before + 8_000);
        assert_eq!(io_bytes(-1), None);
    }

    #[test]
    fn a_variable_is_found_whole() {
        let block = b"XBEADLE_SESSION=no\0BEADLE_SESSION_ID=b\0BEADLE_SESSION=a@i\0";
        assert_eq!(find_variable(block, "BEADLE_SESSION"), Some(&b"a@i"[..]));
        assert_eq!(find_variable(block, "BEADLE"), None);
    }
}
