//! The user's settings: the TOML shape, the layers (defaults, file, environment), and where things live.
//!
//! Knows names, defaults and limits of every setting; refuses to know what they are for.
//!
//! ```text
//!   defaults ──► file ──► BEADLE_<SECTION>__<KEY> ──► rules across keys ──► Config
//!   (here)       file     load                        check
//!                  │
//!                 key    one row for each setting
//!                 read   a value into its field (value, words: how values are spelt)
//!                 show   and back
//!                 edit   a value into the text of a file
//!                 hook   [[hook]], commands run at events
//!                 agent  the profiles: assets/agents/*.toml, and [[agent]] over them (profile, fields)
//! ```
//!
//! A running daemon changes settings through [`Config::set`] and reads the file again with [`load`]; both
//! answer with a whole new, valid configuration or with every fault at once, never with half of one.
//! A new setting is a field here, a row in `key`, and two lines in `config.example.toml` (a test insists).

mod agent;
mod check;
mod edit;
mod error;
mod fields;
mod file;
mod hook;
mod key;
mod load;
mod nearest;
pub mod paths;
mod profile;
mod read;
mod show;
pub mod tui;
pub mod value;
mod words;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use agent::AgentProfile;
pub use edit::edited;
pub use error::{ConfigError, Fault, Place};
pub use hook::Hook;
pub use load::{load, parse, process_env};
pub use show::{keys, to_toml};
pub use tui::Tui;
pub use value::{parse_duration, parse_size, show_duration, show_size};
pub use words::{DetachKey, Fence, OnShutdown, Token};

use crate::model::authority::Authority;
use crate::model::profile::Profiles;
use crate::model::restart::Pace;
use crate::model::session::Origin;

/// Every setting. Always valid: it is only made by [`Default`], [`load`], [`parse`] and [`Config::set`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Config {
    pub health: Health,
    pub cleanup: Cleanup,
    pub stop: Stop,
    pub restart: Restart,
    pub shutdown: Shutdown,
    pub record: Record,
    pub attach: Attach,
    pub agents: Agents,
    pub sweep: Sweep,
    pub projects: Projects,
    pub server: Server,
    pub sys: Sys,
    pub tui: Tui,
    /// `[[hook]]`, in the order of the file.
    pub hook: Vec<Hook>,
    /// `[[agent]]`, in the order of the file.
    pub agent: Vec<AgentProfile>,
    /// The profiles in effect: the embedded ones with those laid over them.
    pub profiles: Profiles,
}

/// When a session is no longer healthy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Without activity for this long.
    pub stuck_after: Duration,
    /// Without activity for this long; never below `stuck_after`.
    pub orphaned_after: Duration,
    /// With a core busy and no new output for this long.
    pub spin_after: Duration,
}

/// What the cleaner closes, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cleanup {
    pub enabled: bool,
    /// Between two passes.
    pub interval: Duration,
    pub max_idle: Duration,
    pub max_age: Duration,
    /// As `max_idle`, for a session that waits for a person.
    pub max_waiting: Duration,
    /// What remains of a session after its leader ended by itself lives this long; zero: not at all.
    pub linger: Duration,
    /// A close is announced this long before; zero: not at all.
    pub notice: Duration,
    /// Nothing is closed this long after the daemon's start or a sleep of the machine; zero: no such time.
    pub quiet_start: Duration,
    pub max_sessions: usize,
    /// 0: no cap.
    pub max_sessions_per_workspace: usize,
    /// Each once; never empty.
    pub reach: Vec<Origin>,
}

/// How a session is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// Between asking and force; zero: straight to force.
    pub grace: Duration,
}

/// How an agent that failed is started again (`run --restart on-failure`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restart {
    /// Before the first time; doubled each time.
    pub base: Duration,
    /// Before any time; never below `base`.
    pub most: Duration,
    /// In a row; at least 1.
    pub limit: usize,
    /// After a run this long the count begins anew.
    pub stable: Duration,
}

impl Restart {
    /// As a keeper is told.
    pub fn pace(&self) -> Pace {
        let limit = u32::try_from(self.limit).unwrap_or(u32::MAX);
        Pace { base: self.base, most: self.most, limit, stable: self.stable }
    }
}

/// What happens to sessions when the daemon stops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shutdown {
    pub sessions: OnShutdown,
    /// For all closes together.
    pub deadline: Duration,
}

/// What is kept of a session's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Bytes of one session.
    pub per_session: u64,
    /// Bytes of all sessions; never below `per_session`.
    pub total: u64,
    /// After the end of a session.
    pub keep: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attach {
    pub detach_key: DetachKey,
}

/// What is started when nobody says what, and what agents may do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Agents {
    /// `None`: the first profile found on PATH.
    pub default: Option<String>,
    /// Absolute; `None`: the home directory.
    pub workspace: Option<PathBuf>,
    pub authority: Authority,
}

/// Which strays may be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sweep {
    pub fence: Option<Fence>,
    /// Nothing younger is taken.
    pub min_age: Duration,
}

/// The queue of projects.
#[derive(Clone, PartialEq, Eq)]
pub struct Projects {
    /// At once; at least 1.
    pub max_running: usize,
    /// Added to the daemon's base environment.
    pub env: BTreeMap<String, String>,
    /// Names passed on from the daemon's own environment.
    pub env_from: Vec<String>,
    /// What the end of the machine or of the daemon interrupted is queued again.
    pub requeue: bool,
}

/// Values of an environment reach no log: only the names are shown.
impl fmt::Debug for Projects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.env.keys().collect();
        f.debug_struct("Projects")
            .field("max_running", &self.max_running)
            .field("env", &names)
            .field("env_from", &self.env_from)
            .field("requeue", &self.requeue)
            .finish()
    }
}

/// The API over TCP. With `listen` set there is a token, and beyond loopback `insecure` is true.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Server {
    pub listen: Option<SocketAddr>,
    pub token: Option<Token>,
    pub insecure: bool,
}

/// What of the machine is made use of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sys {
    /// A cgroup for each session, where the host allows it.
    pub cgroup: bool,
    /// A scope for each session, where the user has a systemd.
    pub scope: bool,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            stuck_after: Duration::from_mins(30),
            orphaned_after: Duration::from_hours(1),
            spin_after: Duration::from_mins(10),
        }
    }
}

impl Default for Cleanup {
    fn default() -> Self {
        Self {
            enabled: true,
            interval: Duration::from_mins(1),
            max_idle: Duration::from_hours(1),
            max_age: Duration::from_hours(24),
            max_waiting: Duration::from_hours(24),
            linger: Duration::from_mins(10),
            notice: Duration::from_mins(5),
            quiet_start: Duration::from_mins(10),
            max_sessions: 1000,
            max_sessions_per_workspace: 0,
            reach: vec![Origin::Managed],
        }
    }
}

impl Default for Stop {
    fn default() -> Self {
        Self { grace: Duration::from_secs(5) }
    }
}

impl Default for Restart {
    fn default() -> Self {
        let Pace { base, most, limit, stable } = Pace::default();
        Self { base, most, limit: limit as usize, stable }
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { sessions: OnShutdown::Close, deadline: Duration::from_secs(10) }
    }
}

impl Default for Record {
    fn default() -> Self {
        Self { per_session: 8 << 20, total: 1 << 30, keep: Duration::from_hours(14 * 24) }
    }
}

impl Default for Sweep {
    fn default() -> Self {
        Self { fence: None, min_age: Duration::from_mins(1) }
    }
}

impl Default for Projects {
    fn default() -> Self {
        Self { max_running: 1, env: BTreeMap::new(), env_from: Vec::new(), requeue: false }
    }
}

impl Default for Sys {
    fn default() -> Self {
        Self { cgroup: true, scope: true }
    }
}
