//! The arena: private directories, a cookie, and a guard that takes away what a test leaves.
//!
//! A process belongs to an arena when the cookie is in its environment, or when it works in or holds open something below the
//! arena's directory (keepers have no environment, and `env -i` has none either).

use std::fmt::Write as _;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use beadle::model::session::ProcId;
use beadle::sys::process::{self, Pin};
use serde_json::Value;

/// How long a fact may take to come true.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// How long a command may take.
const COMMAND: Duration = Duration::from_secs(40);
/// Kept by the daemon's allow-list (`XDG_*`), so that it reaches everything.
const COOKIE: &str = "XDG_E2E_COOKIE";

/// Waits until something is true.
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    until_some(what, || is_so().then_some(()));
}

/// Waits until there is something.
#[track_caller]
pub fn until_some<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    let mut pause = Duration::from_millis(2);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(30));
    }
}

/// What a command said.
#[derive(Debug, Clone)]
pub struct Said {
    /// The exit status; minus the signal if one ended it.
    pub status: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    /// Standard output of a command that must have succeeded.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.status, 0, "{self:?}");
        self.out
    }

    #[track_caller]
    pub fn fails(&self, status: i32, with: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert!(self.err.contains(with), "{with:?} is not in {self:?}");
    }

    #[track_caller]
    pub fn json(self) -> Value {
        let out = self.ok();
        serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}"))
    }
}

/// A command under way, with its output read as it comes.
pub struct Running {
    child: Child,
    out: Receiver<Vec<u8>>,
    err: Receiver<Vec<u8>>,
    what: String,
}

impl Running {
    pub fn of(mut command: Command) -> Self {
        let what = format!("{command:?}");
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (out, err) = (read_all(child.stdout.take().unwrap()), read_all(child.stderr.take().unwrap()));
        Self { child, out, err, what }
    }

    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// Ends it; it is our own child and not yet reaped, so the pid is its own.
    pub fn end(&mut self) {
        // Over already: fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub fn is_over(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    #[track_caller]
    pub fn wait(mut self) -> Said {
        let end = Instant::now() + COMMAND;
        while !self.is_over() {
            if Instant::now() > end {
                self.end();
                panic!("{} did not end", self.what);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let status = self.child.wait().unwrap();
        let text = |from: &Receiver<Vec<u8>>| {
            let bytes = from.recv_timeout(COMMAND).unwrap_or_else(|_| panic!("{}: its output stays open", self.what));
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let (out, err) = (text(&self.out), text(&self.err));
        Said { status: status.code().unwrap_or_else(|| -status.signal().unwrap_or(0)), out, err }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.is_over() {
            self.end();
        }
    }
}

fn read_all(mut from: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read until an error is what was said; who waits may have given up.
        let _ = from.read_to_end(&mut bytes);
        let _ = send.send(bytes);
    });
    receive
}

/// A process of an arena.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    pub id: ProcId,
    pub ppid: i32,
    pub arguments: Vec<String>,
}

impl Seen {
    fn is_beadle(&self, verb: &str) -> bool {
        let name = self.arguments.first().is_some_and(|a| a.rsplit('/').next() == Some("beadle"));
        name && self.arguments.get(1).is_some_and(|a| a == verb)
    }

    pub fn is_daemon(&self) -> bool {
        self.is_beadle("daemon")
    }

    pub fn is_keeper(&self) -> bool {
        self.is_beadle("keep")
    }
}

pub struct Arena {
    dir: PathBuf,
    cookie: String,
    binary: PathBuf,
    /// Runs everything as this user.
    user: Option<u32>,
    fenced: bool,
    mounts: Mutex<Vec<PathBuf>>,
    _tmp: tempfile::TempDir,
}

impl Arena {
    /// With a short grace, and beadle's own fence around it.
    pub fn new() -> Self {
        Self::with("[stop]\ngrace = \"300ms\"\n")
    }

    pub fn with(config: &str) -> Self {
        Self::built(config, None, true)
    }

    /// Without the fence, for what a fence forbids. Its daemon knows no sessions but its own.
    pub fn unfenced(config: &str) -> Self {
        Self::built(config, None, false)
    }

    /// An arena of another user, with a binary that user can read.
    pub fn of_user(uid: u32) -> Self {
        Self::built("[stop]\ngrace = \"300ms\"\n", Some(uid), true)
    }

    fn built(config: &str, user: Option<u32>, fenced: bool) -> Self {
        let tmp = tempfile::Builder::new().prefix("beadle-e2e-").rand_bytes(10).tempdir().unwrap();
        let dir = tmp.path().canonicalize().unwrap();
        let cookie = dir.file_name().unwrap().to_str().unwrap().to_string();
        let mut arena = Self {
            dir,
            cookie,
            binary: env!("CARGO_BIN_EXE_beadle").into(),
            user,
            fenced,
            mounts: Mutex::default(),
            _tmp: tmp,
        };
        for sub in ["home", "work", "config/beadle", "data", "cache"] {
            std::fs::create_dir_all(arena.path(sub)).unwrap();
        }
        arena.configure(config);
        if let Some(uid) = user {
            arena.give_to(uid);
        }
        arena
    }

    fn give_to(&mut self, uid: u32) {
        let bin = self.path("bin");
        std::fs::create_dir(&bin).unwrap();
        self.binary = bin.join("beadle");
        let built = Path::new(env!("CARGO_BIN_EXE_beadle"));
        if std::fs::hard_link(built, &self.binary).is_err() {
            std::fs::copy(built, &self.binary).unwrap();
        }
        for path in [self.dir.clone(), bin, self.binary.clone()] {
            std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
        }
        for path in ["", "home", "work", "config", "config/beadle", "config/beadle/config.toml", "data", "cache"] {
            std::os::unix::fs::chown(self.path(path), Some(uid), Some(uid)).unwrap();
        }
    }

    /// Writes the config, with a fence around the arena: even a wrong plan signals nobody outside.
    pub fn configure(&self, config: &str) {
        let fence =
            if self.fenced { format!("[sweep]\nfence = \"{COOKIE}={}\"\n", self.cookie) } else { String::new() };
        std::fs::write(self.path("config/beadle/config.toml"), format!("{config}\n{fence}")).unwrap();
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.dir.join(below)
    }

    pub fn state(&self) -> PathBuf {
        self.path("state")
    }

    pub fn socket(&self) -> PathBuf {
        self.path("run/beadle.sock")
    }

    /// A file with this text, to be run by `sh`.
    pub fn script(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        path.to_str().unwrap().to_string()
    }

    /// What a file of the arena holds, once it holds a whole line.
    #[track_caller]
    pub fn line_of(&self, below: &str) -> String {
        let path = self.path(below);
        until_some(&format!("a line in {below}"), || {
            let text = std::fs::read_to_string(&path).ok()?;
            text.split_once('\n').map(|(line, _)| line.to_string())
        })
    }

    // ---- commands

    /// Any program, in the arena's environment.
    pub fn program(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = if let Some(uid) = self.user {
            let mut command = Command::new("setpriv");
            command.args([format!("--reuid={uid}"), format!("--regid={uid}"), "--clear-groups".into()]);
            command.arg(program);
            command
        } else {
            Command::new(program)
        };
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env(COOKIE, &self.cookie)
            .env("SHELL", "/bin/sh");
        command.env("HOME", self.path("home")).env("XDG_CONFIG_HOME", self.path("config"));
        command.env("XDG_DATA_HOME", self.path("data")).env("XDG_CACHE_HOME", self.path("cache"));
        // No service manager but one that a test plays there.
        command.env("XDG_RUNTIME_DIR", self.path("xdg"));
        command.env("BEADLE_STATE_DIR", self.state()).env("BEADLE_RUNTIME_DIR", self.path("run"));
        command.current_dir(self.path("work")).stdin(Stdio::null());
        command
    }

    pub fn beadle(&self, args: &[&str]) -> Command {
        let mut command = self.program(&self.binary);
        command.args(args);
        command
    }

    pub fn binary(&self) -> &str {
        self.binary.to_str().unwrap()
    }

    pub fn begin(&self, args: &[&str]) -> Running {
        Running::of(self.beadle(args))
    }

    #[track_caller]
    pub fn run(&self, args: &[&str]) -> Said {
        self.begin(args).wait()
    }

    #[track_caller]
    pub fn json(&self, args: &[&str]) -> Value {
        self.run(args).json()
    }

    /// Starts a session; its id.
    #[track_caller]
    pub fn session(&self, args: &[&str]) -> String {
        let all: Vec<&str> = ["run"].iter().chain(args).copied().collect();
        self.run(&all).ok().trim().to_string()
    }

    /// Starts a session that runs a shell script.
    #[track_caller]
    pub fn sh(&self, name: &str, script: &str) -> String {
        self.session(&["--name", name, "--", "sh", "-c", script])
    }

    #[track_caller]
    pub fn show(&self, id: &str) -> Value {
        self.json(&["show", id, "--json"])
    }

    /// Every session, ended ones too.
    #[track_caller]
    pub fn all(&self) -> Vec<Value> {
        self.json(&["ls", "--all", "--json"]).as_array().unwrap().clone()
    }

    #[track_caller]
    pub fn until_state(&self, id: &str, state: &str) -> Value {
        until_some(&format!("{id} {state}"), || Some(self.show(id)).filter(|s| s["state"] == state))
    }

    #[track_caller]
    pub fn status(&self) -> Value {
        self.json(&["daemon", "status", "--json"])
    }

    #[track_caller]
    pub fn daemon(&self) -> ProcId {
        let pid = self.status()["pid"].as_i64().unwrap();
        process::identity(i32::try_from(pid).unwrap()).unwrap()
    }

    // ---- processes

    /// Every live process of the arena.
    pub fn processes(&self) -> Vec<Seen> {
        let own = i32::try_from(std::process::id()).unwrap();
        let entries = std::fs::read_dir("/proc").unwrap().flatten();
        let pids = entries.filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok()).filter(|pid| *pid != own);
        pids.filter_map(|pid| self.seen(pid)).collect()
    }

    fn seen(&self, pid: i32) -> Option<Seen> {
        let stat = process::stat(pid).filter(|p| !p.is_dead() && !p.kernel)?;
        // No memory any more, so no program: it is in the middle of its end, whatever it still holds open.
        std::fs::read_link(format!("/proc/{pid}/exe")).ok()?;
        self.owns(pid).then(|| Seen { id: stat.id, ppid: stat.ppid, arguments: process::arguments(pid) })
    }

    fn owns(&self, pid: i32) -> bool {
        let proc = PathBuf::from(format!("/proc/{pid}"));
        let is_below = |link: PathBuf| std::fs::read_link(link).is_ok_and(|to| to.starts_with(&self.dir));
        process::environment_variable(pid, COOKIE).as_deref() == Some(self.cookie.as_bytes())
            || is_below(proc.join("cwd"))
            || std::fs::read_dir(proc.join("fd")).is_ok_and(|fds| fds.flatten().any(|fd| is_below(fd.path())))
    }

    pub fn daemons(&self) -> Vec<Seen> {
        self.processes().into_iter().filter(Seen::is_daemon).collect()
    }

    pub fn keepers(&self) -> Vec<Seen> {
        self.processes().into_iter().filter(Seen::is_keeper).collect()
    }

    /// Live processes that are no part of beadle: agents and what they started.
    pub fn agents(&self) -> Vec<Seen> {
        let own = i32::try_from(std::process::id()).unwrap();
        let all = self.processes();
        // A daemon asks tmux itself, and is over that in a moment.
        let asks: Vec<i32> = all.iter().filter(|p| p.is_daemon()).map(|p| p.id.pid).collect();
        let is_own = |p: &Seen| p.is_daemon() || p.is_keeper() || p.ppid == own || asks.contains(&p.ppid);
        all.into_iter().filter(|p| !is_own(p)).collect()
    }

    /// Sends a signal to a process of the arena, and to nobody else.
    #[track_caller]
    pub fn signal(&self, id: ProcId, signal: rustix::process::Signal) {
        let Some(pin) = Pin::new(id).unwrap() else { return };
        assert!(
            self.owns(id.pid) || !process::is_alive(id),
            "{id} is not of this arena: {:?}",
            process::arguments(id.pid)
        );
        // Gone in between: that is what a signal is for.
        let _ = rustix::process::pidfd_send_signal(&pin, signal);
    }

    /// Kills a process of the arena, and waits until it is gone.
    #[track_caller]
    pub fn kill(&self, id: ProcId) {
        self.signal(id, rustix::process::Signal::KILL);
        until("a killed process is gone", || !process::is_alive(id));
    }

    #[track_caller]
    pub fn kill_daemon(&self) {
        self.kill(self.daemon());
    }

    // ---- files

    pub fn log(&self) -> String {
        let files = std::fs::read_dir(self.state().join("logs")).into_iter().flatten().flatten();
        files.filter_map(|f| std::fs::read_to_string(f.path()).ok()).collect()
    }

    /// Bytes a session wrote, as recorded, and how many are missing.
    #[track_caller]
    pub fn recorded(&self, id: &str) -> (Vec<u8>, u64) {
        let answer = super::ask::ask(&self.socket(), "GET", &format!("/api/sessions/{id}/log"), "");
        assert_eq!(answer.status, 200, "{answer:?}");
        let missing = answer.header("x-beadle-missing").parse().unwrap();
        (answer.body, missing)
    }

    /// A small file system of its own at `below`; root only.
    pub fn mount_small(&self, below: &str, options: &str) {
        let at = self.path(below);
        std::fs::create_dir_all(&at).unwrap();
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&at);
        assert!(command.status().unwrap().success());
        self.mounts.lock().unwrap().push(at);
    }

    /// A file system that answers nothing as long as the file lives, as one on a server that is gone; root only.
    pub fn mount_dead(&self, below: &str) -> std::fs::File {
        let at = self.path(below);
        std::fs::create_dir_all(&at).unwrap();
        let device = std::fs::OpenOptions::new().read(true).write(true).open("/dev/fuse").unwrap();
        let options = "fd=0,rootmode=40000,user_id=0,group_id=0,allow_other";
        let mut command = Command::new("mount");
        command.args(["-i", "-t", "fuse", "-o", options, "dead"]).arg(&at).stdin(device.try_clone().unwrap());
        assert!(command.status().unwrap().success());
        self.mounts.lock().unwrap().push(at);
        device
    }

    /// Changes the options of such a file system.
    pub fn make_room(&self, below: &str, options: &str) {
        let mut command = Command::new("mount");
        command.args(["-o", &format!("remount,{options}")]).arg(self.path(below));
        assert!(command.status().unwrap().success());
    }

    // ---- the end

    fn take_away(&self) {
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            let left = self.processes();
            if left.is_empty() || Instant::now() > end {
                return;
            }
            for seen in left {
                if let Ok(Some(pin)) = Pin::new(seen.id)
                    && self.owns(seen.id.pid)
                {
                    // Gone in between: all the better.
                    let _ = rustix::process::pidfd_send_signal(&pin, rustix::process::Signal::KILL);
                }
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The empty cgroups of this instance; `rmdir` takes no other.
    fn remove_cgroups(&self) {
        let Ok(instance) = std::fs::read_to_string(self.state().join("instance")) else { return };
        let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let own = own.lines().find_map(|l| l.strip_prefix("0::/")).unwrap_or_default().to_string();
        for root in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"] {
            let home = Path::new(root).join(&own).join(format!("beadle-{}", instance.trim()));
            let end = Instant::now() + Duration::from_secs(1);
            // Busy for a moment after the last process inside was killed.
            while home.exists() && Instant::now() < end {
                let inside = std::fs::read_dir(&home).into_iter().flatten().flatten();
                inside.filter(|e| e.path().is_dir()).for_each(|e| drop(std::fs::remove_dir(e.path())));
                if std::fs::remove_dir(&home).is_err() {
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        }
    }

    fn print_story(&self) {
        let mut story = format!("---- {}\n{}", self.dir.display(), self.log());
        for p in self.processes() {
            let _ = writeln!(story, "alive: {} below {}: {}", p.id, p.ppid, p.arguments.join(" "));
        }
        eprintln!("{story}----");
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.print_story();
        }
        self.take_away();
        self.remove_cgroups();
        for at in self.mounts.get_mut().into_iter().flatten() {
            // Already gone, or the directory below it stays: nothing more can be done here.
            let _ = Command::new("umount").arg("-l").arg(at).status();
        }
    }
}

/// The identity behind a pid that beadle told.
#[track_caller]
pub fn pid_of(value: &Value) -> ProcId {
    let pid = i32::try_from(value.as_i64().unwrap_or_else(|| panic!("no pid but {value}"))).unwrap();
    process::identity(pid).unwrap_or_else(|| panic!("{pid} is not alive"))
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// True when a program is there; else says that a test is skipped.
pub fn has(program: &str) -> bool {
    let found = ["/usr/local/bin", "/usr/bin", "/bin"].iter().any(|dir| Path::new(dir).join(program).exists());
    if !found {
        eprintln!("skipped: {program} is not installed");
    }
    found
}
