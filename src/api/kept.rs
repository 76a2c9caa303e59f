//! What is kept of a session on disk, in `sessions/<id>/`, and who writes what.
//!
//! | file | writer | what |
//! |---|---|---|
//! | `identity.json` | keeper, before the agent is released | who the session, its keeper and its leader are |
//! | `exit.json` | keeper; the daemon when the keeper is gone | how the leader ended |
//! | `meta.json` | daemon | what a person may change (name, pin), and what was already reported |
//! | `members` | daemon | identities of members, as they are seen |
//! | `out.0`, `out.1` | keeper | the recording ([`super::record`]) |
//!
//! The environment of an agent is in none of them.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::types::Limit;
use crate::model::session::{Cause, Exit, ProcId, Restart};

/// What a keeper is born with: the first frame on its birth connection. Never written down.
#[derive(Clone, Serialize, Deserialize)]
pub struct Spec {
    pub session: Described,
    /// `NAME=VALUE`, whole.
    pub env: Vec<String>,
    pub umask: Option<u32>,
    pub limits: Vec<Limit>,
    /// The session's directory.
    pub dir: PathBuf,
    /// Where the keeper listens.
    pub socket: PathBuf,
    /// Cap of the recording, in bytes.
    pub record_bytes: u64,
}

/// What a session is, as it was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Described {
    pub id: String,
    pub name: String,
    pub agent: String,
    pub project: Option<String>,
    pub workspace: String,
    pub command: Vec<String>,
    pub pipe: bool,
    pub size: (u16, u16),
    pub restart: Restart,
    pub timeout_seconds: Option<f64>,
    pub max_idle_seconds: Option<f64>,
    pub cgroup: Option<KeptCgroup>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptCgroup {
    pub dir: PathBuf,
    pub inode: u64,
}

/// `identity.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    pub session: Described,
    pub boot_id: String,
    pub keeper: ProcId,
    pub leader: ProcId,
    pub socket: PathBuf,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// By `CLOCK_MONOTONIC` of that boot, seconds.
    pub started_monotonic_seconds: f64,
}

/// `meta.json`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Meta {
    pub name: Option<String>,
    pub pinned: bool,
    pub paused: bool,
    /// The end was logged.
    pub reported: bool,
    /// Who last asked for a close, and why.
    pub cause: Option<Cause>,
}

/// The directory of one session.
#[derive(Debug, Clone)]
pub struct Dir(PathBuf);

impl Dir {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// It is not there; one that cannot be looked at may be.
    pub fn is_gone(&self) -> bool {
        matches!(std::fs::symlink_metadata(&self.0), Err(e) if e.kind() == io::ErrorKind::NotFound)
    }

    pub fn identity(&self) -> Option<Identity> {
        read_json(&self.0.join("identity.json"))
    }

    pub fn write_identity(&self, identity: &Identity) -> io::Result<()> {
        write_json(&self.0.join("identity.json"), identity)
    }

    pub fn exit(&self) -> Option<Exit> {
        read_json(&self.0.join("exit.json"))
    }

    pub fn write_exit(&self, exit: &Exit) -> io::Result<()> {
        write_json(&self.0.join("exit.json"), exit)
    }

    pub fn meta(&self) -> Meta {
        read_json(&self.0.join("meta.json")).unwrap_or_default()
    }

    pub fn write_meta(&self, meta: &Meta) -> io::Result<()> {
        write_json(&self.0.join("meta.json"), meta)
    }

    /// Identities of members seen so far.
    pub fn members(&self) -> Vec<ProcId> {
        let text = std::fs::read_to_string(self.0.join("members")).unwrap_or_default();
        let one = |line: &str| {
            let (pid, start) = line.split_once('@')?;
            Some(ProcId { pid: pid.parse().ok()?, start: start.parse().ok()? })
        };
        text.lines().filter_map(one).collect()
    }

    pub fn write_members(&self, members: impl Iterator<Item = ProcId>) -> io::Result<()> {
        let text = members.fold(String::new(), |text, id| text + &id.to_string() + "\n");
        crate::sys::dirs::write_whole(&self.0.join("members"), text.as_bytes())
    }

    /// The two segments of the recording, older first.
    pub fn segments(&self) -> [PathBuf; 2] {
        [self.0.join("out.0"), self.0.join("out.1")]
    }
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

fn write_json<T: Serialize>(path: &Path, value: &T) -> io::Result<()> {
    let bytes = serde_json::to_vec(value).map_err(io::Error::other)?;
    crate::sys::dirs::write_whole(path, &bytes)
}
