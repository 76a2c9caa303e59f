//! What on a host will bite: each fact judged, with what it means and what to do.
//!
//! The facts are read in `sys::host_facts`; here nothing is asked of anybody.

use std::time::Duration;

use serde::Serialize;

use super::scope::{self, Standing};
use super::verdict::short;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Ok,
    /// Good to know.
    Note,
    /// Something is lost by it.
    Warn,
    /// beadle cannot do its work.
    Fail,
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub name: &'static str,
    pub level: Level,
    pub text: String,
    /// What to do, where there is something to do.
    pub advice: Option<String>,
}

fn found(name: &'static str, level: Level, text: impl Into<String>, advice: &str) -> Finding {
    Finding { name, level, text: text.into(), advice: (!advice.is_empty()).then(|| advice.into()) }
}

/// A directory of ours, or where one would be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directory {
    pub path: String,
    pub exists: bool,
    pub is_directory: bool,
    pub is_own: bool,
    pub mode: u32,
    /// Of the file system it is on, or would be on; `None` where that cannot be asked.
    pub file_system: Option<FileSystem>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileSystem {
    /// `statfs(2)`, `f_type`.
    pub magic: u64,
    pub read_only: bool,
    pub free_bytes: u64,
    /// 0 and 0 where the file system has no fixed number of them (btrfs).
    pub inodes: u64,
    pub free_inodes: u64,
}

const TMPFS: u64 = 0x0102_1994;
/// File systems on other machines, or in another process: a lock may not hold, and a read may hang (`statfs(2)`).
const REMOTE: &[(u64, &str)] = &[
    (0x6969, "NFS"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB"),
    (0x517b, "SMB"),
    (0x6573_5546, "FUSE"),
    (0x00c3_6400, "Ceph"),
    (0x5346_414f, "AFS"),
    (0x0102_1997, "9p"),
];

/// Where the runtime directory comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuntimeFrom {
    Named,
    Xdg,
    State,
}

fn private(name: &'static str, dir: &Directory) -> Finding {
    let path = &dir.path;
    if !dir.exists {
        return found(name, Level::Ok, format!("{path} is not there yet; the first command makes it"), "");
    }
    if !dir.is_directory {
        return found(name, Level::Fail, format!("{path} is not a directory"), "remove it, or name another place");
    }
    if !dir.is_own {
        let advice = "remove it, or name another place with BEADLE_STATE_DIR and BEADLE_RUNTIME_DIR";
        return found(name, Level::Fail, format!("{path} belongs to another user"), advice);
    }
    if dir.mode & 0o077 != 0 {
        let text = format!("{path} is open to others (mode {:04o})", dir.mode & 0o7777);
        return found(name, Level::Warn, text, "the next daemon closes it; until then: chmod 700");
    }
    found(name, Level::Ok, format!("{path} is yours alone"), "")
}

pub fn runtime(dir: &Directory, from: RuntimeFrom) -> Finding {
    let finding = private("runtime directory", dir);
    if finding.level > Level::Ok {
        return finding;
    }
    let is_memory = dir.file_system.as_ref().is_none_or(|f| f.magic == TMPFS);
    match from {
        RuntimeFrom::State => Finding {
            level: Level::Note,
            text: format!("{}; XDG_RUNTIME_DIR is not set, or not yours, so the sockets are there", finding.text),
            ..finding
        },
        RuntimeFrom::Named | RuntimeFrom::Xdg if !is_memory => {
            Finding { level: Level::Note, text: format!("{}; it is not in memory (tmpfs)", finding.text), ..finding }
        }
        RuntimeFrom::Named | RuntimeFrom::Xdg => finding,
    }
}

pub fn state(dir: &Directory) -> Finding {
    let finding = private("state directory", dir);
    let Some(file_system) = dir.file_system.as_ref().filter(|_| finding.level < Level::Fail) else { return finding };
    if let Some((_, kind)) = REMOTE.iter().find(|(magic, _)| *magic == file_system.magic) {
        let advice = "name a local directory with BEADLE_STATE_DIR, one for each machine";
        let text = format!("{} is on {kind}: the lock may not hold, and everything waits when it hangs", dir.path);
        return found("state directory", Level::Warn, text, advice);
    }
    finding
}

const MIB: u64 = 1 << 20;

pub fn disk(dir: &Directory) -> Finding {
    const NAME: &str = "disk space";
    const ADVICE: &str = "make room: `beadle rm` forgets ended sessions with their recordings";
    let Some(f) = &dir.file_system else {
        return found(NAME, Level::Warn, format!("the file system of {} cannot be asked", dir.path), "");
    };
    let counted = f.inodes > 0;
    let text = if counted {
        format!("{} MiB and {} files free", f.free_bytes / MIB, f.free_inodes)
    } else {
        format!("{} MiB free", f.free_bytes / MIB)
    };
    if f.read_only {
        return found(
            NAME,
            Level::Fail,
            format!("{} can only be read", dir.path),
            "name another place with BEADLE_STATE_DIR",
        );
    }
    if f.free_bytes < 16 * MIB || (counted && f.free_inodes < 100) {
        return found(NAME, Level::Fail, format!("{text}: nothing more can be kept"), ADVICE);
    }
    if f.free_bytes < 256 * MIB || (counted && f.free_inodes < 10_000) {
        return found(NAME, Level::Warn, format!("{text}: recordings will soon have gaps"), ADVICE);
    }
    found(NAME, Level::Ok, text, "")
}

/// What systemd-logind does at a logout.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Logout {
    /// systemd-logind runs here.
    pub logind: bool,
    pub rules: LogoutRules,
    pub user: String,
    pub lingers: bool,
}

/// The keys of `logind.conf(5)` that matter here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogoutRules {
    pub kills: Option<bool>,
    /// `KillOnlyUsers`, `KillExcludeUsers`.
    pub only: Vec<String>,
    pub except: Option<Vec<String>>,
}

impl LogoutRules {
    /// Reads files in the order in which they count, later ones over earlier ones. A line commented out tells the default
    /// this system was built with.
    pub fn read<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let (mut rules, mut built_in) = (Self::default(), None);
        for line in texts.into_iter().flat_map(str::lines) {
            let Some((key, value)) = line.split_once('=') else { continue };
            let words = || value.split_whitespace().map(String::from).collect::<Vec<_>>();
            match key.trim() {
                "KillUserProcesses" => rules.kills = truth(value),
                "#KillUserProcesses" => built_in = built_in.or(truth(value)),
                "KillOnlyUsers" => rules.only = words(),
                "KillExcludeUsers" => rules.except = Some(words()),
                _ => {}
            }
        }
        rules.kills = rules.kills.or(built_in);
        rules
    }

    fn concerns(&self, user: &str) -> bool {
        let is_excepted = self.except.as_ref().map_or(user == "root", |names| names.iter().any(|n| n == user));
        !is_excepted && (self.only.is_empty() || self.only.iter().any(|n| n == user))
    }
}

fn truth(word: &str) -> Option<bool> {
    match word.trim().to_lowercase().as_str() {
        "yes" | "true" | "on" | "1" => Some(true),
        "no" | "false" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// `away`: daemon and sessions are not in a login, but in scopes or services.
pub fn logout(host: &Logout, away: bool) -> Finding {
    const NAME: &str = "logout";
    const LINGER: &str = "`loginctl enable-linger` keeps the runtime directory too";
    if !host.logind {
        return found(NAME, Level::Ok, "no systemd-logind here: a logout ends nothing", "");
    }
    match (host.rules.kills.map(|kills| kills && host.rules.concerns(&host.user)), host.lingers) {
        (Some(true), true) if away => {
            let text = "a logout kills what is in the login (KillUserProcesses=yes); daemon and sessions are not, and the user lingers";
            found(NAME, Level::Ok, text, "")
        }
        (Some(true), false) if away => {
            let text = "the end of your last login ends every session (KillUserProcesses=yes, and lingering is off)";
            found(NAME, Level::Warn, text, "`loginctl enable-linger`")
        }
        (Some(true), _) => {
            let advice = "KillUserProcesses=no in /etc/systemd/logind.conf; or `beadle service install`, and `loginctl enable-linger`";
            found(NAME, Level::Warn, "a logout kills daemon, keepers and agents (KillUserProcesses=yes)", advice)
        }
        (Some(false), true) => found(NAME, Level::Ok, "a logout ends nothing, and the user lingers", ""),
        (Some(false), false) => {
            let text = "a logout ends nothing, but takes the runtime directory; lost sockets are made anew";
            found(NAME, Level::Note, text, LINGER)
        }
        (None, _) => {
            found(NAME, Level::Note, "whether a logout kills what runs (KillUserProcesses) is not known", LINGER)
        }
    }
}

/// The file with the token: who can read it may do all that the user may.
pub fn token(file: &str, mode: u32) -> Finding {
    const NAME: &str = "token";
    if mode & 0o044 == 0 {
        return found(NAME, Level::Ok, format!("{file} is readable by you alone"), "");
    }
    let text = format!("others can read {file} (mode {:04o}), and `server.token` in it", mode & 0o7777);
    found(NAME, Level::Warn, text, &format!("chmod 600 {file}, and write another token into it"))
}

/// The daemon as a service of the user's systemd: what it is in ends with the last login, unless the user lingers.
pub fn service(is_installed: bool, host: &Logout) -> Finding {
    const NAME: &str = "service";
    if !is_installed {
        return found(NAME, Level::Ok, "not installed; any command starts a daemon", "");
    }
    if host.logind && !host.lingers {
        let text = "installed, and lingering is off: the end of your last login ends it, and every session in it";
        return found(NAME, Level::Warn, text, "`loginctl enable-linger`");
    }
    found(NAME, Level::Ok, "installed, and it outlives a login", "")
}

/// The kernel as far as beadle needs it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kernel {
    pub release: String,
    pub pidfd_open: bool,
    pub pidfd_signal: bool,
    /// `SO_PEERPIDFD`, Linux 6.5.
    pub peer_pidfd: bool,
}

pub fn kernel(kernel: &Kernel) -> Finding {
    const NAME: &str = "kernel";
    let release = &kernel.release;
    if !kernel.pidfd_open || !kernel.pidfd_signal {
        let advice = "beadle needs Linux 5.4 or later; in a container, let its seccomp profile allow pidfd_open and pidfd_send_signal";
        return found(NAME, Level::Fail, format!("{release}: no pidfds, so nothing could be signalled safely"), advice);
    }
    if !kernel.peer_pidfd {
        let text = format!("{release}: has pidfds, but a caller is known by its number only (Linux 6.5 knows better)");
        return found(NAME, Level::Note, text, "");
    }
    found(NAME, Level::Ok, format!("{release}: has pidfds, for callers too"), "")
}

/// Whether sessions can have a cgroup of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delegation {
    NoV2,
    Refused { dir: String, why: String },
    Writable { dir: String, can_kill: bool },
}

/// `leaves`: sessions get a scope of their own, and theirs is below it.
pub fn cgroup(delegation: &Delegation, wanted: bool, leaves: bool) -> Finding {
    const NAME: &str = "cgroup";
    const WITHOUT: &str = "sessions are known by descent, tag and memory alone";
    const ADVICE: &str =
        "start the daemon where they are delegated: `systemd-run --user --scope -p Delegate=yes beadle daemon start`";
    if !wanted {
        return found(NAME, Level::Note, format!("switched off (sys.cgroup): {WITHOUT}"), "");
    }
    match delegation {
        Delegation::NoV2 => found(NAME, Level::Note, format!("no cgroup v2 is mounted: {WITHOUT}"), ""),
        Delegation::Refused { .. } if leaves => found(NAME, Level::Ok, "one for each session, in its scope", ""),
        Delegation::Refused { dir, why } => {
            found(NAME, Level::Note, format!("none can be made in {dir} ({why}): {WITHOUT}"), ADVICE)
        }
        Delegation::Writable { dir, can_kill: true } => {
            found(NAME, Level::Ok, format!("one for each session, in {dir}"), "")
        }
        Delegation::Writable { dir, can_kill: false } => {
            let text = format!("one for each session, in {dir}, without cgroup.kill (Linux 5.14)");
            found(NAME, Level::Ok, text, "")
        }
    }
}

/// Whether sessions get a systemd scope of their own.
pub fn scope(standing: &Standing) -> Finding {
    const ADVICE: &str =
        "`systemctl --user status` and `beadle daemon logs` say more; sys.scope = false has nobody asked";
    let (level, advice) = match standing {
        Standing::Own | Standing::Untried => (Level::Ok, ""),
        Standing::Off | Standing::Absent => (Level::Note, ""),
        Standing::Failed(_) => (Level::Warn, ADVICE),
    };
    found("scope", level, scope::in_words(standing), advice)
}

/// Descriptors a daemon holds for each session, and those it needs besides.
const FILES_EACH: u64 = 4;
const FILES_BESIDES: u64 = 128;

pub fn open_files(hard: u64, max_sessions: usize) -> Finding {
    const NAME: &str = "open files";
    let room = hard.saturating_sub(FILES_BESIDES) / FILES_EACH;
    let wanted = max_sessions as u64;
    if room < wanted {
        let text =
            format!("the limit of {hard} is enough for {room} sessions, not for {wanted} (cleanup.max_sessions)");
        return found(
            NAME,
            Level::Warn,
            text,
            "raise the hard limit (`ulimit -Hn`, LimitNOFILE=), or lower max_sessions",
        );
    }
    found(NAME, Level::Ok, format!("the limit of {hard} is enough for {wanted} sessions"), "")
}

/// Clocks: whether this boot has an id, and by how many seconds the wall clock has left the monotonic one since the
/// oldest session began; `None` without one.
pub fn clock(boot_id: bool, drift_seconds: Option<f64>) -> Finding {
    const NAME: &str = "clock";
    if !boot_id {
        let advice = "mount proc(5) whole: without a boot id no process is the same after a restart of the daemon";
        return found(NAME, Level::Fail, "this boot has no id (proc(5), random/boot_id)", advice);
    }
    match drift_seconds.filter(|d| d.abs() > 60.0) {
        Some(drift) => {
            let text = format!(
                "the clock was set, or the machine slept, by {} while sessions ran; their ages do not count that",
                short(Duration::try_from_secs_f64(drift.abs()).unwrap_or(Duration::MAX))
            );
            found(NAME, Level::Note, text, "")
        }
        None => found(NAME, Level::Ok, "this boot has an id, and the clocks agree", ""),
    }
}

/// What can be seen of processes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sight {
    pub own_readable: bool,
    pub others_visible: bool,
    pub is_root: bool,
}

pub fn sight(sight: &Sight) -> Finding {
    const NAME: &str = "process table";
    if !sight.own_readable {
        return found(NAME, Level::Fail, "proc(5) cannot be read: no process can be known", "mount it");
    }
    if !sight.others_visible && !sight.is_root {
        let text = "proc(5) hides other users' processes (hidepid): what an agent starts through sudo is not seen";
        return found(NAME, Level::Note, text, "a group named by the mount option gid= sees them");
    }
    found(NAME, Level::Ok, "every process can be seen", "")
}

/// The first process, by name, and the zombies it has not taken.
pub fn reaper(name: &str, zombies: usize) -> Finding {
    const NAME: &str = "first process";
    if zombies > 0 {
        let text = format!("{name} (pid 1) does not take ended processes: {zombies} zombies");
        return found(NAME, Level::Warn, text, "run the container with an init (`docker run --init`)");
    }
    found(NAME, Level::Ok, format!("{name} (pid 1) takes ended processes"), "")
}

/// tmux: whether this terminal is inside one, and what `tmux -V` says.
pub fn tmux(inside: bool, version: Option<&str>) -> Finding {
    const NAME: &str = "tmux";
    match (inside, version) {
        (true, version) => {
            let text = format!("this terminal is inside tmux ({})", version.unwrap_or("version unknown"));
            found(NAME, Level::Note, text, "an agent that runs tmux itself needs its prefix twice, or another one")
        }
        (false, Some(version)) => found(NAME, Level::Ok, version, ""),
        (false, None) => found(NAME, Level::Note, "not installed: there are no panes to look at", ""),
    }
}

/// The config; the error is its own report.
pub fn config(path: &str, error: Option<&str>) -> Finding {
    match error {
        Some(error) => {
            found("config", Level::Fail, error, "`beadle config check` says the same; a daemon does not start with it")
        }
        None => found("config", Level::Ok, format!("{path} is sound, or not there"), ""),
    }
}

/// A daemon, as far as it can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Daemon {
    None,
    Silent,
    Runs { version: String, sessions: usize },
}

pub fn daemon(daemon: &Daemon, ours: &str) -> Finding {
    const NAME: &str = "daemon";
    match daemon {
        Daemon::None => found(NAME, Level::Ok, "none runs; the next command that needs one starts it", ""),
        Daemon::Silent => {
            let advice = "`beadle daemon logs` says more; killing it loses no session";
            found(NAME, Level::Fail, "one holds the lock and does not answer", advice)
        }
        Daemon::Runs { version, .. } if version != ours => {
            let text = format!("it is version {version}, this is {ours}");
            found(NAME, Level::Warn, text, "`beadle daemon restart` renews it; the sessions stay")
        }
        Daemon::Runs { sessions, .. } => found(NAME, Level::Ok, format!("it runs, with {sessions} sessions"), ""),
    }
}

/// Sessions about which the daemon could not learn everything, by name, with the reason.
pub fn unread(sessions: &[(String, String)]) -> Finding {
    if sessions.is_empty() {
        return found("sessions", Level::Ok, "nothing about them is unknown", "");
    }
    let each: Vec<String> = sessions.iter().map(|(name, why)| format!("{name} ({why})")).collect();
    found(
        "sessions",
        Level::Warn,
        format!("not everything is known of {}", each.join(", ")),
        "`beadle show` says what is",
    )
}

/// Sockets behind which nobody listens.
pub fn sockets(stale: &[String]) -> Finding {
    if stale.is_empty() {
        return found("sockets", Level::Ok, "every socket has somebody behind it", "");
    }
    let text = format!("nobody listens on {}", stale.join(", "));
    found("sockets", Level::Note, text, "left by something that was killed; harmless, and safe to remove")
}

#[cfg(test)]
#[path = "doctor_tests.rs"]
mod tests;
