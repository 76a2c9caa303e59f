//! A beadle of one's own for a test: private directories, a cookie in every environment, and an end that takes away
//! what carries it, and nothing else.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use beadle::model::session::ProcId;
use beadle::sys::process::{self, Pin};

/// How long a fact may take to come true.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// Kept by the daemon (`XDG_*`), so that it reaches everything.
const COOKIE: &str = "XDG_TEST_COOKIE";

/// Waits until there is something; `story` is told when there never is.
#[track_caller]
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>, story: impl FnOnce() -> String) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "{what}: not within {PATIENCE:?}\n{}", story());
        std::thread::sleep(Duration::from_millis(15));
    }
}

pub struct Private {
    dir: PathBuf,
    cookie: String,
    _tmp: tempfile::TempDir,
}

impl Private {
    pub fn new() -> Self {
        let tmp = tempfile::Builder::new().prefix("beadle-t-").rand_bytes(10).tempdir().unwrap();
        let dir = tmp.path().canonicalize().unwrap();
        let cookie = dir.file_name().unwrap().to_str().unwrap().to_string();
        for below in ["home", "work", "bin", "run", "tmp"] {
            std::fs::create_dir(dir.join(below)).unwrap();
        }
        std::fs::set_permissions(dir.join("run"), PermissionsExt::from_mode(0o700)).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_beadle"), dir.join("bin/beadle")).unwrap();
        Self { dir, cookie, _tmp: tmp }
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.dir.join(below)
    }

    /// Any program, in the private environment; `beadle` is the one under test.
    pub fn program(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", self.path("bin").display());
        command.args(args).env_clear().env("PATH", path).env(COOKIE, &self.cookie);
        command.env("HOME", self.path("home")).env("XDG_RUNTIME_DIR", self.path("run"));
        command.env("TMPDIR", self.path("tmp")).env("LANG", "C.UTF-8").env("TERM", "xterm-256color").env("PS1", "$ ");
        // Whatever a test does wrong: nobody without the cookie is signalled on suspicion.
        command.env("BEADLE_SWEEP__FENCE", format!("{COOKIE}={}", self.cookie));
        command.current_dir(self.path("work")).stdin(Stdio::null());
        command
    }

    pub fn run(&self, program: &str, args: &[&str]) -> Output {
        self.program(program, args).output().unwrap()
    }

    /// Standard output of a beadle that must succeed.
    #[track_caller]
    pub fn beadle(&self, args: &[&str]) -> String {
        let output = self.run(env!("CARGO_BIN_EXE_beadle"), args);
        assert!(output.status.success(), "beadle {args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The names of the live sessions.
    #[track_caller]
    pub fn names(&self) -> Vec<String> {
        let sessions: serde_json::Value = serde_json::from_str(&self.beadle(&["ls", "--json"])).unwrap();
        sessions.as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap().to_string()).collect()
    }

    /// Every live process that carries the cookie, or works or has a file open in the private directories.
    pub fn processes(&self) -> Vec<ProcId> {
        let own = i32::try_from(std::process::id()).unwrap();
        let entries = std::fs::read_dir("/proc").unwrap().flatten();
        let pids = entries.filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok()).filter(|pid| *pid != own);
        pids.filter_map(|pid| {
            let stat = process::stat(pid).filter(|p| !p.is_dead() && !p.kernel)?;
            self.owns(pid).then_some(stat.id)
        })
        .collect()
    }

    fn owns(&self, pid: i32) -> bool {
        let proc = PathBuf::from(format!("/proc/{pid}"));
        let is_below = |link: &Path| std::fs::read_link(link).is_ok_and(|to| to.starts_with(&self.dir));
        process::environment_variable(pid, COOKIE).as_deref() == Some(self.cookie.as_bytes())
            || is_below(&proc.join("cwd"))
            || std::fs::read_dir(proc.join("fd")).is_ok_and(|fds| fds.flatten().any(|fd| is_below(&fd.path())))
    }

    /// Sends a signal to a process of this test, and to nobody else.
    pub fn signal(&self, id: ProcId, signal: rustix::process::Signal) {
        if let Ok(Some(pin)) = Pin::new(id)
            && self.owns(id.pid)
        {
            // Gone in between: all the better.
            let _ = rustix::process::pidfd_send_signal(&pin, signal);
        }
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = writeln!(std::io::stderr(), "---- {}", self.dir.display());
            let logs = std::fs::read_dir(self.path("home/.local/state/beadle/logs")).into_iter().flatten().flatten();
            for log in logs {
                let _ = std::io::stderr().write_all(&std::fs::read(log.path()).unwrap_or_default());
            }
        }
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            let left = self.processes();
            if left.is_empty() || Instant::now() > end {
                return;
            }
            left.into_iter().for_each(|id| self.signal(id, rustix::process::Signal::KILL));
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
