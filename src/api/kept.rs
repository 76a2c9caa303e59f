//! What is kept of a session on disk, in `sessions/<id>/`, and who writes what.
//!
//! | file | writer | what |
//! |---|---|---|
//! | `session.jsonl` | keeper, daemon | one JSON object a line, appended; of each kind the last one holds |
//! | · `identity` | keeper, before the agent is released | who the session, its keeper and its leader are; a new run |
//! | · `unborn` | keeper, when the agent was not released after all | the identity before it is of no run |
//! | · `exit` | keeper; the daemon when the keeper is gone | how the leader ended |
//! | · `meta` | daemon | what a person may change (name, pin), and who asked for a close |
//! | · `reported` | daemon | the end is in the log |
//! | `members` | daemon | identities of members, as they are seen |
//! | `out.0`, `out.1` | keeper | the recording ([`super::record`]) |
//!
//! Appending makes no new file at the end of a session, when a hundred may end at once; and a line is written by one
//! write(2), so that a reader sees it whole or, after a full disk, as a line that is no JSON, which is skipped.
//!
//! The environment of an agent is in none of them.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::types::Limit;
use crate::model::restart::Pace;
use crate::model::session::{Cause, Exit, ProcId, Restart};
use crate::sys::dirs;

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
    /// Glyphs this kind of agent animates, beyond the common ones.
    #[serde(default)]
    pub spinners: String,
    /// How it is started again by itself.
    #[serde(default)]
    pub pace: Pace,
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
    /// The session it was started from, and those that one was started from, nearest first.
    #[serde(default)]
    pub started_by: Vec<String>,
    /// It was started from inside a hook: no hook is run for what becomes of it.
    #[serde(default)]
    pub by_hook: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptCgroup {
    pub dir: PathBuf,
    pub inode: u64,
}

/// Who a session, its keeper and its leader are.
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

/// What a person may change.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Meta {
    pub name: Option<String>,
    pub pinned: bool,
    pub paused: bool,
    /// Who last asked for a close, and why.
    pub cause: Option<Cause>,
    /// When it was last started again in its keeper, by the monotonic clock: its timeout and its age begin there.
    pub restarted_seconds: Option<f64>,
    /// Exempt from the linger close by `keep-child`.
    pub kept: Vec<ProcId>,
    /// tmux servers born inside to which somebody from outside was seen attached.
    pub visited: BTreeSet<ProcId>,
    /// The name of its conversation, as the agent's own status file told it last; untrusted.
    pub conversation: Option<String>,
}

/// One line of `session.jsonl`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Identity(Box<Identity>),
    /// The agent of the identity before was never released.
    Unborn(bool),
    Exit(Exit),
    Meta(Meta),
    Reported(bool),
}

/// All of `session.jsonl`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Kept {
    pub identity: Option<Identity>,
    pub exit: Option<Exit>,
    pub meta: Meta,
    pub reported: bool,
    /// Runs before the present one, with their ends where those were written down.
    pub earlier: Vec<(Identity, Option<Exit>)>,
    /// The keeper said that no agent ever ran here.
    pub unborn: bool,
}

impl Kept {
    /// A keeper that starts its agent again is the same run, and has the same beginning.
    fn begin(&mut self, identity: Identity) {
        let before = self.identity.replace(identity);
        let is_same = |b: &Identity| self.identity.as_ref().is_some_and(|i| i.started_at == b.started_at);
        let (exit, before) = (self.exit.take(), before.filter(|b| !is_same(b)));
        self.earlier.extend(before.map(|b| (b, exit)));
        self.reported = false;
        self.unborn = false;
    }

    /// The run before, if there was one, is the last one again.
    fn take_back(&mut self) {
        let before = self.earlier.pop();
        self.unborn = before.is_none();
        self.reported = before.is_some();
        (self.identity, self.exit) = before.map_or((None, None), |(identity, exit)| (Some(identity), exit));
    }
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

    /// Everything the journal says.
    pub fn kept(&self) -> Kept {
        let bytes = std::fs::read(self.journal()).unwrap_or_default();
        let mut kept = Kept::default();
        for line in bytes.split(|b| *b == b'\n').filter_map(|l| serde_json::from_slice(l).ok()) {
            match line {
                // A new run: how the one before ended is no longer true.
                Line::Identity(identity) => kept.begin(*identity),
                Line::Unborn(_) => kept.take_back(),
                Line::Exit(exit) => kept.exit = Some(exit),
                Line::Meta(meta) => kept.meta = meta,
                Line::Reported(reported) => kept.reported = reported,
            }
        }
        kept
    }

    /// It is not there; one that cannot be looked at may be.
    pub fn is_gone(&self) -> bool {
        matches!(std::fs::symlink_metadata(&self.0), Err(e) if e.kind() == io::ErrorKind::NotFound)
    }

    /// True when no keeper ever wrote here.
    pub fn is_unborn(&self) -> bool {
        std::fs::metadata(self.journal()).is_err_and(|e| e.kind() == io::ErrorKind::NotFound)
    }

    pub fn write_identity(&self, identity: &Identity) -> io::Result<()> {
        self.append(&Line::Identity(Box::new(identity.clone())))
    }

    /// The identity this keeper wrote is of no run, if it wrote one.
    pub fn take_back(&self, keeper: ProcId) -> io::Result<()> {
        let is_its = self.kept().identity.is_some_and(|identity| identity.keeper == keeper);
        if is_its { self.append(&Line::Unborn(true)) } else { Ok(()) }
    }

    pub fn write_exit(&self, exit: &Exit) -> io::Result<()> {
        self.append(&Line::Exit(exit.clone()))
    }

    pub fn write_meta(&self, meta: &Meta) -> io::Result<()> {
        self.append(&Line::Meta(meta.clone()))
    }

    pub fn write_reported(&self) -> io::Result<()> {
        self.append(&Line::Reported(true))
    }

    /// An emergency forbids every start until it is released: a file beside all sessions. What cannot be looked at
    /// counts as forbidden.
    pub fn is_latched(&self) -> bool {
        let latch = self.0.parent().and_then(Path::parent).map(|state| state.join("latch"));
        latch.is_some_and(|file| file.try_exists().unwrap_or(true))
    }

    fn journal(&self) -> PathBuf {
        self.0.join("session.jsonl")
    }

    fn append(&self, line: &Line) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(line).map_err(io::Error::other)?;
        bytes.push(b'\n');
        let mut file = dirs::private_log(&self.journal())?;
        let n = file.write(&bytes)?;
        if n < bytes.len() {
            // A full disk took half of it: what follows begins a line of its own, if even that fits.
            let _ = file.write(b"\n");
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
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

    /// Written in place: if the writer is killed in the middle, what remains behind the end are identities seen before.
    pub fn write_members(&self, members: impl Iterator<Item = ProcId>) -> io::Result<()> {
        let text = members.fold(String::new(), |text, id| text + &id.to_string() + "\n");
        dirs::overwrite(&self.0.join("members"), text.as_bytes())
    }

    /// The two segments of the recording, older first.
    pub fn segments(&self) -> [PathBuf; 2] {
        [self.0.join("out.0"), self.0.join("out.1")]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::session::ExitBy;

    #[test]
    fn of_each_kind_the_last_line_holds_and_half_a_line_is_skipped() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = Dir::new(tmp.path());
        assert_eq!(dir.kept(), Kept::default());
        let exit = Exit { code: Some(7), signal: None, at: "t".into(), by: ExitBy::Itself, reason: "r".into() };
        dir.write_meta(&Meta { pinned: true, ..Meta::default() }).unwrap();
        dir.write_exit(&Exit { code: Some(1), ..exit.clone() }).unwrap();
        std::fs::OpenOptions::new().append(true).open(dir.journal()).unwrap().write_all(b"{\"exit\":{\"co\n").unwrap();
        dir.write_exit(&exit).unwrap();
        dir.write_reported().unwrap();
        let kept = dir.kept();
        assert_eq!((kept.exit, kept.meta.pinned, kept.reported), (Some(exit), true, true));
    }

    #[test]
    fn an_identity_that_is_taken_back_is_of_no_run() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = Dir::new(tmp.path());
        let run = |at: &str| Identity {
            session: serde_json::from_value(
                serde_json::json!({ "id": "a", "name": "a", "agent": "other", "project": null,
                "workspace": "/", "command": ["true"], "pipe": false, "size": [80, 24], "restart": "never",
                "timeout_seconds": null, "max_idle_seconds": null, "cgroup": null }),
            )
            .unwrap(),
            boot_id: "b".into(),
            keeper: ProcId { pid: 1, start: 1 },
            leader: ProcId { pid: 2, start: 2 },
            socket: "/s".into(),
            started_at: at.into(),
            started_monotonic_seconds: 1.0,
        };
        dir.write_identity(&run("1")).unwrap();
        dir.take_back(ProcId { pid: 1, start: 1 }).unwrap();
        assert!(dir.kept().unborn && dir.kept().identity.is_none());
        dir.write_identity(&run("2")).unwrap();
        assert!(!dir.kept().unborn);
        dir.write_identity(&run("3")).unwrap();
        dir.take_back(ProcId { pid: 1, start: 1 }).unwrap();
        let kept = dir.kept();
        assert_eq!((kept.unborn, kept.identity.unwrap().started_at, kept.earlier.len()), (false, "2".into(), 0));
    }

    #[test]
    fn members_are_replaced_in_place() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = Dir::new(tmp.path());
        let ids = |n: i32| (1..=n).map(|pid| ProcId { pid, start: 5 });
        dir.write_members(ids(9)).unwrap();
        dir.write_members(ids(2)).unwrap();
        assert_eq!(dir.members(), ids(2).collect::<Vec<_>>());
    }
}
