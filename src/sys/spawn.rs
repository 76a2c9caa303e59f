//! How processes are born.
//!
//! An agent is born *held*: it exists, is a child, is in its cgroup, and waits. Its identity is written down, then it is
//! released and executes its command. If the keeper dies in between, the held child reads the end of its pipe
//! and ends, so that no moment has a running agent nobody has named.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::poll;

/// What an agent is started with.
#[derive(Debug)]
pub struct Birth {
    /// The program, found.
    pub program: PathBuf,
    pub argv: Vec<String>,
    /// `NAME=VALUE`.
    pub env: Vec<String>,
    pub cwd: PathBuf,
    pub umask: Option<u32>,
    /// (resource, soft, hard) as setrlimit(2) has them.
    pub limits: Vec<(u32, u64, u64)>,
    pub cgroup: Option<PathBuf>,
    /// Raises `oom_score_adj` of the agent by so much: under pressure the kernel takes agents before keepers.
    pub oom_raise: i32,
}

/// Standard input, output and error of an agent.
#[derive(Debug)]
pub enum Stdio {
    /// All three are the terminal.
    Terminal(OwnedFd),
    /// Input, and output with error.
    Pipes(OwnedFd, OwnedFd),
}

/// A child that waits to be released.
#[derive(Debug)]
pub struct Held {
    pub pid: i32,
    gate: File,
    failure: File,
}

/// Why a command does not execute.
#[derive(Debug, thiserror::Error)]
pub enum BirthError {
    #[error("the command or its environment holds a NUL byte")]
    Nul,
    #[error("failed to fork: {0}")]
    Fork(io::Error),
    #[error("failed to {step}: {source}")]
    Step { step: &'static str, source: io::Error },
    #[error("the new process died before it executed the command")]
    Vanished,
}

/// The steps of a child before execve(2); their numbers travel through the failure pipe.
const STEPS: [&str; 5] = [
    "get a controlling terminal",
    "set up standard input and output",
    "enter the directory",
    "execute the command",
    "start",
];

struct Strings {
    program: CString,
    argv: Vec<CString>,
    env: Vec<CString>,
    cwd: CString,
    oom: CString,
}

impl Strings {
    fn of(birth: &Birth) -> Result<Self, BirthError> {
        let c = |s: &[u8]| CString::new(s).map_err(|_| BirthError::Nul);
        let all = |v: &[String]| v.iter().map(|s| c(s.as_bytes())).collect::<Result<Vec<_>, _>>();
        let adjust =
            std::fs::read_to_string("/proc/self/oom_score_adj").ok().and_then(|s| s.trim().parse::<i32>().ok());
        let oom = (adjust.unwrap_or(0) + birth.oom_raise).clamp(-1000, 1000).to_string();
        Ok(Self {
            program: c(birth.program.as_os_str().as_bytes())?,
            argv: all(&birth.argv)?,
            env: all(&birth.env)?,
            cwd: c(birth.cwd.as_os_str().as_bytes())?,
            oom: c(oom.as_bytes())?,
        })
    }
}

/// Forks the child and holds it.
pub fn hold(birth: &Birth, stdio: &Stdio) -> Result<Held, BirthError> {
    let strings = Strings::of(birth)?;
    let (gate_read, gate_write) = poll::pipe().map_err(BirthError::Fork)?;
    let (failure_read, failure_write) = poll::pipe().map_err(BirthError::Fork)?;
    let pointers = |v: &[CString]| v.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect::<Vec<_>>();
    // `/bin/sh FILE ARGS…`, for a script without `#!` (execvp(3) does the same).
    let shell = c"/bin/sh";
    let mut script = vec![shell.as_ptr(), strings.program.as_ptr()];
    script.extend(strings.argv.iter().skip(1).map(|s| s.as_ptr()).chain([std::ptr::null()]));
    let argv = pointers(&strings.argv);
    let env = pointers(&strings.env);
    let child = Child {
        birth,
        strings: &strings,
        argv: &argv,
        env: &env,
        script: &script,
        stdio,
        gate: gate_read.as_raw_fd(),
        gate_writer: gate_write.as_raw_fd(),
        failure: failure_write.as_raw_fd(),
    };
    let cgroup = birth.cgroup.as_ref().and_then(|dir| File::open(dir).ok());
    let pid = fork_into(cgroup.as_ref().map(AsFd::as_fd)).map_err(BirthError::Fork)?;
    if pid == 0 {
        child.run();
    }
    Ok(Held { pid, gate: gate_write.into(), failure: failure_read.into() })
}

impl Held {
    /// Lets it execute its command; comes back once it does, or with the reason why it cannot. After an error
    /// the child has ended and is to be reaped.
    pub fn release(mut self) -> Result<(), BirthError> {
        if self.gate.write_all(b"g").is_err() {
            return Err(BirthError::Vanished);
        }
        let mut report = [0; 5];
        match self.failure.read_exact(&mut report) {
            // Closed by execve(2).
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
            Err(_) => Err(BirthError::Vanished),
            Ok(()) => {
                let [step, a, b, c, d] = report;
                let step = STEPS.get(usize::from(step)).copied().unwrap_or("start");
                Err(BirthError::Step { step, source: io::Error::from_raw_os_error(i32::from_le_bytes([a, b, c, d])) })
            }
        }
    }
}

/// fork(2), born inside a cgroup where one is given: clone3(2) with `CLONE_INTO_CGROUP` has no moment outside it and
/// does not take the lock a migration takes. Where the kernel refuses, a plain child.
fn fork_into(cgroup: Option<BorrowedFd<'_>>) -> io::Result<i32> {
    const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
    if let Some(dir) = cgroup {
        // SAFETY: clone_args is plain numbers; zero is the default of each.
        let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
        args.flags = CLONE_INTO_CGROUP;
        args.exit_signal = libc::SIGCHLD.unsigned_abs().into();
        args.cgroup = u64::try_from(dir.as_raw_fd()).unwrap_or(0);
        // SAFETY: without CLONE_VM this is fork(2); the child runs only async-signal-safe calls until execve.
        let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<libc::clone_args>()) };
        if pid >= 0 {
            return Ok(i32::try_from(pid).unwrap_or(0));
        }
    }
    // SAFETY: as above.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        pid => Ok(pid),
    }
}

/// Everything the child needs, made before the fork: after it only async-signal-safe calls are allowed.
struct Child<'a> {
    birth: &'a Birth,
    strings: &'a Strings,
    argv: &'a [*const libc::c_char],
    env: &'a [*const libc::c_char],
    script: &'a [*const libc::c_char],
    stdio: &'a Stdio,
    gate: RawFd,
    gate_writer: RawFd,
    failure: RawFd,
}

impl Child<'_> {
    fn run(&self) -> ! {
        // SAFETY: system calls only, on memory made before the fork.
        unsafe {
            // Its own copy of the far end would keep the gate from ever closing.
            libc::close(self.gate_writer);
            let mut go = 0u8;
            while libc::read(self.gate, (&raw mut go).cast(), 1) < 0 {
                if *libc::__errno_location() != libc::EINTR {
                    libc::_exit(127);
                }
            }
            if go != b'g' {
                libc::_exit(127);
            }
            self.inherit_well();
            self.take_stdio();
            if libc::chdir(self.strings.cwd.as_ptr()) < 0 {
                self.fail(2);
            }
            libc::execve(self.strings.program.as_ptr(), self.argv.as_ptr(), self.env.as_ptr());
            if *libc::__errno_location() == libc::ENOEXEC {
                libc::execve(self.script[0], self.script.as_ptr(), self.env.as_ptr());
            }
            self.fail(3)
        }
    }

    /// Session, signals, umask, limits, OOM score.
    unsafe fn inherit_well(&self) {
        // SAFETY: as in `run`.
        unsafe {
            libc::setsid();
            // The kernel's own `sigaction`, all zero: default action. By system call, because the C library
            // does not let go of its two; KILL and STOP are refused, which is as it should be.
            let default = [0u64; 4];
            for signal in 1..=64 {
                libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), std::ptr::null_mut::<u64>(), 8usize);
            }
            let mut none: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut none);
            libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
            if let Some(umask) = self.birth.umask {
                libc::umask(umask & 0o777);
            }
            for (resource, soft, hard) in &self.birth.limits {
                limit(*resource, *soft, *hard);
            }
            let oom = libc::open(c"/proc/self/oom_score_adj".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
            if oom >= 0 {
                libc::write(oom, self.strings.oom.as_ptr().cast(), self.strings.oom.count_bytes());
                libc::close(oom);
            }
        }
    }

    unsafe fn take_stdio(&self) {
        // SAFETY: as in `run`.
        unsafe {
            let (input, output) = match self.stdio {
                Stdio::Terminal(tty) => {
                    if libc::ioctl(tty.as_raw_fd(), libc::TIOCSCTTY, 0) < 0 {
                        self.fail(0);
                    }
                    (tty.as_raw_fd(), tty.as_raw_fd())
                }
                Stdio::Pipes(input, output) => (input.as_raw_fd(), output.as_raw_fd()),
            };
            for (from, to) in [(input, 0), (output, 1), (output, 2)] {
                if libc::dup2(from, to) < 0 {
                    self.fail(1);
                }
            }
        }
    }

    unsafe fn fail(&self, step: u8) -> ! {
        // SAFETY: as in `run`.
        unsafe {
            let [a, b, c, d] = (*libc::__errno_location()).to_le_bytes();
            let report = [step, a, b, c, d];
            libc::write(self.failure, report.as_ptr().cast(), report.len());
            libc::_exit(127)
        }
    }
}

/// Sets a limit as near to what was asked as we are allowed.
unsafe fn limit(resource: u32, soft: u64, hard: u64) {
    let wanted = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    // SAFETY: plain numbers in, plain numbers out.
    unsafe {
        if libc::setrlimit(resource, &raw const wanted) == 0 {
            return;
        }
        let mut now = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        if libc::getrlimit(resource, &raw mut now) == 0 {
            let nearest = libc::rlimit { rlim_cur: soft.min(now.rlim_max), rlim_max: hard.min(now.rlim_max) };
            libc::setrlimit(resource, &raw const nearest);
        }
    }
}

/// Why a program is not found.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotFound {
    #[error("no command was given")]
    Empty,
    #[error("{0:?} was not found: it is neither a file nor in PATH")]
    Missing(String),
    #[error("{0:?} is not executable ({1}): try `chmod +x`, or name the program that runs it")]
    NotExecutable(String, String),
}

/// The file behind a command: as it stands when it has a `/`, else the first executable one in `path`.
pub fn find_program(name: &str, path: Option<&str>, cwd: &Path) -> Result<PathBuf, NotFound> {
    if name.is_empty() {
        return Err(NotFound::Empty);
    }
    if name.contains('/') {
        let file = cwd.join(name);
        return match usable(&file) {
            Usable::Yes => Ok(file),
            Usable::NotExecutable => Err(NotFound::NotExecutable(name.into(), file.display().to_string())),
            Usable::Missing => Err(NotFound::Missing(name.into())),
        };
    }
    let path = path.filter(|p| !p.is_empty()).unwrap_or("/usr/local/bin:/usr/bin:/bin");
    let mut refused = None;
    for dir in path.split(':') {
        let file = cwd.join(if dir.is_empty() { OsStr::new(".") } else { OsStr::new(dir) }).join(name);
        match usable(&file) {
            Usable::Yes => return Ok(file),
            Usable::NotExecutable => refused = refused.or(Some(file)),
            Usable::Missing => {}
        }
    }
    Err(match refused {
        Some(file) => NotFound::NotExecutable(name.into(), file.display().to_string()),
        None => NotFound::Missing(name.into()),
    })
}

enum Usable {
    Yes,
    NotExecutable,
    Missing,
}

fn usable(file: &Path) -> Usable {
    match std::fs::metadata(file) {
        Ok(meta) if meta.is_file() && rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok() => Usable::Yes,
        Ok(_) => Usable::NotExecutable,
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => Usable::NotExecutable,
        Err(_) => Usable::Missing,
    }
}

/// Makes this process a leader of its own session and the parent of all orphans below it (prctl(2),
/// `PR_SET_CHILD_SUBREAPER`, Linux 3.4).
pub fn become_keeper() -> io::Result<()> {
    // Already a leader: nothing to do.
    let _ = rustix::process::setsid();
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    Ok(())
}

/// Starts `beadle keep ID` with `birth` as its standard input. It runs the very file this process runs, also when
/// that was replaced meanwhile.
pub fn keeper(id: &str, birth: std::os::unix::net::UnixStream) -> io::Result<i32> {
    use std::process::{Command, Stdio as Std};
    let mut command = Command::new("/proc/self/exe");
    std::os::unix::process::CommandExt::arg0(&mut command, "beadle");
    command.args(["keep", id]).env_clear().stdin(OwnedFd::from(birth)).stdout(Std::null()).stderr(Std::null());
    super::failpoint::hand_down(&mut command);
    let child = command.spawn()?;
    Ok(i32::try_from(child.id()).unwrap_or(0))
}

/// Starts `beadle daemon --auto` with this environment, and returns what it says on standard output and error
/// until it lets go of them.
pub fn daemon(env: &[(String, String)]) -> io::Result<File> {
    use std::process::{Command, Stdio as Std};
    let (read, write) = poll::pipe()?;
    let mut command = Command::new("/proc/self/exe");
    std::os::unix::process::CommandExt::arg0(&mut command, "beadle");
    command.args(["daemon", "--auto"]).env_clear().envs(env.iter().map(|(k, v)| (k, v)));
    command.stdin(Std::null()).stderr(write.try_clone()?).stdout(write).current_dir("/");
    let mut child = command.spawn()?;
    // Our copies of the writing end would keep the reading end from its end.
    drop(command);
    // It detaches at once: what is waited for is only the part that stays behind.
    child.wait()?;
    Ok(File::from(read))
}

/// Reaps a child of ours that has ended or is about to; false while it lives.
pub fn reap_child(pid: i32) -> bool {
    let mut status = 0;
    // SAFETY: writes one number.
    unsafe { libc::waitpid(pid, &raw mut status, libc::WNOHANG) != 0 }
}

/// Leaves the caller behind: the parent ends at once, the child goes on in a session of its own. Only while
/// there is one thread.
pub fn detach() -> io::Result<()> {
    // SAFETY: no other thread exists yet, so the child may go on as if nothing had happened.
    match unsafe { nix::unistd::fork() }? {
        // SAFETY: ends this process without running anything of the child's.
        nix::unistd::ForkResult::Parent { .. } => unsafe { libc::_exit(0) },
        nix::unistd::ForkResult::Child => {}
    }
    nix::unistd::setsid()?;
    Ok(())
}

/// Default actions and an empty mask: `nohup` and `&` hand down ignored signals (signal(7)).
pub fn reset_signals() {
    // SAFETY: sets default actions at the start of a process; Rust's own choice for SIGPIPE is kept.
    unsafe {
        for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGCHLD, libc::SIGUSR2] {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

/// Until there is a handler for it, `SIGUSR1` ("make your socket anew") must not end this process. An ignored signal
/// stays ignored across execve(2).
pub fn ignore_wakes() {
    // SAFETY: sets one disposition.
    unsafe {
        libc::signal(libc::SIGUSR1, libc::SIG_IGN);
    }
}

/// Replaces this process by the program that now stands where ours did, with other arguments (execve(2)); only comes
/// back with an error. Where nothing stands there, by our own.
pub fn again(args: &[String]) -> io::Error {
    ignore_wakes();
    let program = own_program().filter(|p| p.is_file()).unwrap_or_else(|| "/proc/self/exe".into());
    let mut command = std::process::Command::new(program);
    std::os::unix::process::CommandExt::arg0(&mut command, "beadle");
    std::os::unix::process::CommandExt::exec(command.args(args))
}

/// Where our own program is, or was before another took its place.
pub fn own_program() -> Option<PathBuf> {
    let path = std::env::current_exe().ok()?;
    let text = path.to_str()?;
    Some(PathBuf::from(text.strip_suffix(" (deleted)").unwrap_or(text)))
}

/// One heap for all threads: a keeper has little to gain from several, and each costs memory (mallopt(3)).
pub fn stay_small() {
    #[cfg(target_env = "gnu")]
    // SAFETY: a tuning knob; called before any second thread.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// The user this process acts as.
pub fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn birth(argv: &[&str]) -> Birth {
        Birth {
            program: find_program(argv[0], None, Path::new("/")).unwrap(),
            argv: argv.iter().map(ToString::to_string).collect(),
            env: vec!["PATH=/usr/bin:/bin".into(), "X=1".into()],
            cwd: "/tmp".into(),
            umask: Some(0o027),
            limits: vec![(libc::RLIMIT_NOFILE, 100, 200)],
            cgroup: None,
            oom_raise: 300,
        }
    }

    fn run(birth: &Birth) -> Result<String, BirthError> {
        let (input, _keep) = poll::pipe().unwrap();
        let (read, output) = poll::pipe().unwrap();
        let held = hold(birth, &Stdio::Pipes(input, output))?;
        let pid = held.pid;
        let released = held.release();
        let mut text = String::new();
        if released.is_ok() {
            File::from(read).read_to_string(&mut text).unwrap();
        }
        nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(pid), None).unwrap();
        released.map(|()| text)
    }

    #[test]
    fn an_agent_gets_the_callers_umask_limits_directory_and_fresh_signals() {
        let script = "umask; ulimit -n; pwd; echo $X; cat /proc/self/oom_score_adj; grep -E 'SigIgn|SigBlk' /proc/self/status | tr -d '\\n'";
        let text = run(&birth(&["sh", "-c", script])).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[..4], ["0027", "100", "/tmp", "1"]);
        let own: i32 = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap().trim().parse().unwrap();
        assert_eq!(lines[4].parse::<i32>().unwrap(), (own + 300).min(1000));
        assert!(
            lines[5].contains("SigBlk:\t0000000000000000") && lines[5].contains("SigIgn:\t0000000000000000"),
            "{}",
            lines[5]
        );
    }

    #[test]
    fn what_cannot_execute_is_said_with_its_step() {
        let mut b = birth(&["sh"]);
        b.cwd = "/nowhere".into();
        assert!(matches!(run(&b), Err(BirthError::Step { step: "enter the directory", .. })));
        b = birth(&["sh"]);
        b.argv[0] = "a\0b".into();
        assert!(matches!(run(&b), Err(BirthError::Nul)));
    }

    #[test]
    fn a_held_child_whose_keeper_dies_ends() {
        let (input, _keep) = poll::pipe().unwrap();
        let (_read, output) = poll::pipe().unwrap();
        let held = hold(&birth(&["sh", "-c", "exit 3"]), &Stdio::Pipes(input, output)).unwrap();
        let pid = held.pid;
        drop(held);
        let status = nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(pid), None).unwrap();
        assert!(matches!(status, nix::sys::wait::WaitStatus::Exited(_, 127)));
    }

    #[test]
    fn a_command_is_found_as_execvp_would() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("plain"), "x").unwrap();
        let path = format!("/nowhere:{}", dir.path().display());
        assert!(matches!(find_program("plain", Some(&path), Path::new("/")), Err(NotFound::NotExecutable(..))));
        assert!(matches!(find_program("absent", Some(&path), Path::new("/")), Err(NotFound::Missing(..))));
        assert!(matches!(find_program("", None, Path::new("/")), Err(NotFound::Empty)));
        assert!(matches!(find_program("/tmp", None, Path::new("/")), Err(NotFound::NotExecutable(..))));
        assert!(find_program("sh", None, Path::new("/")).is_ok());
    }
}
