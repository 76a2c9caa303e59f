//! What travels as JSON. Field names are the contract; unknown is `null`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::memory::MemoryState;
use crate::model::scope::Standing;
use crate::model::session::{Attention, Exit, Health, Origin, Restart, State};

/// One session, as `ls --json` and `GET /api/sessions` show it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Session {
    pub id: String,
    pub name: String,
    pub agent: String,
    pub project: Option<String>,
    pub workspace: String,
    pub origin: Origin,
    /// `tmux:<session>:<window>.<pane>`; `null` for all that is in no tmux.
    #[serde(default)]
    pub address: Option<String>,
    pub state: State,
    pub health: Health,
    pub attention: Attention,
    pub reason: String,
    pub pinned: bool,
    /// The agent's own pid; `null` once it has gone.
    pub leader_pid: Option<i32>,
    /// Live processes of the whole tree.
    pub processes: Option<u32>,
    /// Of one core, over the last sampling interval, the whole tree together.
    pub cpu_percent: Option<f64>,
    /// Read and written by system calls over the last sampling interval, the whole tree together (`proc_pid_io(5)`).
    #[serde(default)]
    pub io_bytes_per_second: Option<f64>,
    /// Resident memory of the whole tree (shared pages counted once for each process).
    pub memory_bytes: Option<u64>,
    /// How often there was activity.
    pub messages: Option<u64>,
    pub started_at: String,
    pub last_activity_at: Option<String>,
    pub idle_seconds: Option<f64>,
    pub age_seconds: f64,
    pub exit: Option<Exit>,
    /// When policy closes it if nothing changes, once that is announced (RFC 3339).
    #[serde(default)]
    pub closes_at: Option<String>,
    /// Which rule that is, in words.
    #[serde(default)]
    pub closes_because: Option<String>,
    /// How many terminals are attached now.
    #[serde(default)]
    pub attached: u32,
    #[serde(default)]
    pub command: Vec<String>,
    /// Of one that has ended: the command that takes up its conversation, where beadle knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<String>,
}

/// `GET /api/sessions`: every session (ended ones with `all=true`) and the generation of the table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Table {
    pub generation: u64,
    pub sessions: Vec<Session>,
    /// Since when and why nothing starts: an emergency that nobody has released.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latched: Option<String>,
    /// Processes the last sweep, or the last look for strays, found and left; without what belongs to a session.
    #[serde(default)]
    pub strays: u64,
}

/// `show --json`: a session with what its verdict rests on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Detail {
    #[serde(flatten)]
    pub session: Session,
    pub evidence: Vec<Evidence>,
    pub tree: Vec<Process>,
    /// Where the keeper of a managed session listens.
    pub keeper_socket: Option<String>,
    pub keeper_pid: Option<i32>,
    /// Why the caller's keys are not for its terminal; `null` when they are.
    #[serde(default)]
    pub keyless: Option<String>,
    /// The session it was started from.
    #[serde(default)]
    pub started_by: Option<String>,
    /// Where a session in tmux is to be found.
    #[serde(default)]
    pub pane: Option<PaneAt>,
}

/// A pane of a tmux server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PaneAt {
    /// The server's socket (`tmux -S`).
    pub socket: String,
    pub server_pid: i32,
    /// The pane's id (`%3`), the same as long as the server lives.
    pub id: String,
}

/// A dated observation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// `text`, `output`, `input`, `heartbeat`, `work`, `idle`, `screen`, `cpu`, `state`, `keeper`, …
    pub kind: String,
    pub text: String,
    pub at: Option<String>,
}

/// One live process of a session, parents before children.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Process {
    pub pid: i32,
    pub parent_pid: i32,
    /// Clock ticks since boot (`proc_pid_stat(5)`, field 22).
    pub start_time: u64,
    pub command: String,
    /// The letter of `/proc/PID/stat`.
    pub state: String,
    pub cpu_percent: Option<f64>,
    pub memory_bytes: u64,
    /// How deep below the session's first process.
    pub depth: u32,
}

/// `health --json`, `GET /api/active-sessions`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HealthReport {
    pub total: usize,
    pub healthy: usize,
    pub stuck: usize,
    pub orphaned: usize,
    pub recommendations: Vec<Recommendation>,
    pub sessions: Vec<Session>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Recommendation {
    pub id: String,
    pub name: String,
    pub text: String,
}

/// `POST /api/session/start`. Every key may be left out.
///
/// The command line sends the caller's whole environment, umask and limits along; they go to the
/// keeper and nowhere else.
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StartRequest {
    pub command: Vec<String>,
    pub name: Option<String>,
    pub agent: Option<String>,
    pub project: Option<String>,
    pub workspace: Option<String>,
    /// Added to the daemon's base environment, or the whole environment with `env_whole`.
    pub env: BTreeMap<String, String>,
    pub env_whole: bool,
    /// Columns and rows.
    pub size: Option<(u16, u16)>,
    /// A PTY unless true.
    pub pipe: bool,
    pub restart: Restart,
    pub timeout_seconds: Option<f64>,
    pub max_idle_seconds: Option<f64>,
    pub umask: Option<u32>,
    pub limits: Vec<Limit>,
}

/// One resource limit of getrlimit(2): the kernel's number of the resource, soft and hard value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Limit {
    pub resource: u32,
    pub soft: u64,
    pub hard: u64,
}

/// What a restart answers: the session in its new run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Restarted {
    #[serde(flatten)]
    pub session: Session,
    /// What the caller should know, such as whose environment it has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Started {
    pub session_id: String,
    pub name: String,
    pub leader_pid: i32,
    /// Who was closed to make room, and what else the caller should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// `POST /api/kill`: several sessions by id, prefix, name or glob.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KillRequest {
    pub targets: Vec<String>,
    /// Skip the grace.
    pub now: bool,
    pub reason: Option<String>,
    pub dry_run: bool,
    /// The tmux panes of sessions beadle did not start, too.
    pub pane: bool,
}

/// `POST /api/close-all-sessions`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CloseAllRequest {
    pub reason: Option<String>,
    pub project: Option<String>,
    pub now: bool,
}

/// How a close ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Everything ended by itself when asked.
    Clean,
    /// Force was needed, and everything is gone.
    Forced,
    /// Something could not be taken; it is listed.
    Survivors,
    /// Nothing was left to take.
    AlreadyGone,
    /// Only in a dry run: what would have been closed.
    WouldKill,
}

impl Outcome {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Forced => "forced",
            Self::Survivors => "survivors",
            Self::AlreadyGone => "already-gone",
            Self::WouldKill => "would-kill",
        }
    }
}

/// `kill`, `close-all`: one close, whole.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KillReport {
    pub closed: usize,
    /// Sessions with survivors.
    pub failed: usize,
    pub sessions: Vec<Closed>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Closed {
    pub id: String,
    pub name: String,
    pub outcome: Outcome,
    /// Names of the signals sent, in the order in which they were first sent.
    pub signals: Vec<String>,
    /// Processes that were live when the close began or appeared during it.
    pub processes: usize,
    pub survivors: Vec<Survivor>,
    pub seconds: f64,
    pub reason: String,
    pub resume: Option<String>,
    /// What lives on outside on purpose, such as a tmux server somebody else is attached to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spared: Vec<String>,
    /// What stood on the screen of a session beadle did not start, read before it was closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub screen: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Survivor {
    pub pid: i32,
    pub command: String,
    pub state: String,
    pub owner: String,
    pub why: String,
}

/// What `pause`, `pin`, `rename`, … answer: which sessions were acted on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Done {
    pub sessions: Vec<Touched>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Touched {
    pub id: String,
    pub name: String,
    pub message: String,
}

/// A verb for one or several sessions that needs nothing but their names: `POST /api/act`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActRequest {
    pub verb: Act,
    pub targets: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Act {
    Pause,
    Unpause,
    Pin,
    Unpin,
    /// Forget an ended session and what is kept of it.
    Rm,
}

/// `POST /api/signal`: to the process group of each leader.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignalRequest {
    pub targets: Vec<String>,
    /// By its name, with or without `SIG`.
    pub signal: String,
}

/// `POST /api/sessions/{id}/restart`, `…/resume`.
///
/// A live session restarts in its keeper with the environment it has; an ended one needs an
/// environment: the caller's, or the daemon's base.
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RestartRequest {
    pub env: BTreeMap<String, String>,
    pub env_whole: bool,
    pub umask: Option<u32>,
    pub limits: Vec<Limit>,
}

/// `POST /api/sessions/{id}/send`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SendRequest {
    pub text: Option<String>,
    /// A key by its tmux name: `C-c`, `Enter`, `Up`, …
    pub key: Option<String>,
    pub enter: bool,
}

/// `GET /api/sessions/{id}/screen`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Screen {
    pub cols: u16,
    pub rows: u16,
    pub title: String,
    /// Plain rows joined by newlines.
    pub text: String,
    /// The same screen as terminal output (escape sequences made by beadle, none by the agent).
    pub ansi: String,
    /// Column and row of the cursor from 0, when it is visible.
    pub cursor: Option<(u16, u16)>,
}

/// A piece of a recording: `GET /api/sessions/{id}/log?from=N&wait=true`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogChunk {
    /// Raw bytes as the agent wrote them.
    pub bytes: Vec<u8>,
    /// Where the next piece begins, in bytes since the session began.
    pub next: u64,
    /// Bytes between `from` and this piece that are no longer (or never were) recorded.
    pub missing: u64,
    /// Nothing will follow.
    pub ended: bool,
}

/// `daemon status --json`, `GET /api/daemon`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DaemonStatus {
    pub version: String,
    pub pid: i32,
    pub uptime_seconds: f64,
    pub socket: String,
    pub state_dir: String,
    pub sessions: usize,
    pub instance: String,
    /// Runs as the interface's own background task.
    pub embedded: bool,
    /// Where it listens over TCP, or why it cannot; `null` where the config does not ask for it.
    #[serde(default)]
    pub tcp: Option<String>,
    /// `null` where the machine does not tell.
    #[serde(default)]
    pub host: Option<Host>,
    /// Whether what happens is written down.
    #[serde(default)]
    pub memory: MemoryState,
    /// Whether sessions get a systemd scope of their own.
    #[serde(default)]
    pub scopes: Standing,
    /// Since what nothing starts.
    #[serde(default)]
    pub latched: Option<String>,
    /// Why the caller may not stop it; `null` where it may.
    #[serde(default)]
    pub not_to_be_stopped: Option<String>,
}

/// The machine the daemon runs on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    pub memory_bytes: u64,
    /// What programs could still get without swapping.
    pub available_memory_bytes: u64,
    /// Runnable and uninterruptible tasks over the last minute (`proc_loadavg(5)`).
    pub load: f64,
    #[serde(default)]
    pub cores: usize,
    /// `null` where the kernel does not count it.
    #[serde(default)]
    pub pressure: Option<Pressure>,
    /// Of the file system the state directory is on; `null` where it does not answer in time.
    #[serde(default)]
    pub disk: Option<Disk>,
}

/// In how many percent of the last ten seconds somebody waited for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Pressure {
    pub cpu_percent: f64,
    pub memory_percent: f64,
    pub io_percent: f64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Disk {
    pub free_bytes: u64,
    pub bytes: u64,
}

/// `POST /api/daemon/stop`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StopRequest {
    /// Leave the sessions to their keepers; `None`: as `shutdown.sessions` says.
    pub keep: Option<bool>,
}

/// The body of every error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorBody {
    pub error: ErrorText,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorText {
    pub code: String,
    pub message: String,
}

/// `?wait=false` of an order: it was begun, and its end is in the events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Accepted {
    /// Always true.
    pub accepted: bool,
    pub session_id: String,
}

/// `GET /api/version`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Version {
    pub version: String,
}

/// What an order that has nothing to report comes to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Message {
    pub message: String,
}

/// `POST /api/daemon/restart`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Restarting {
    /// Always true.
    pub restarting: bool,
}

/// `POST /api/sessions/{id}/rename`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RenameRequest {
    /// One of the two at least.
    pub name: Option<String>,
    /// Of a session beadle did not start; empty: none.
    pub project: Option<String>,
}
