//! Starting a session: its directory, its cgroup, its keeper.
//!
//! Runs beside the supervisor, in a thread that may block. Until the keeper says that the command executes, everything
//! made here is unmade on any failure.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::warn;

use super::link::{self, LinkError, Shaken};
use super::says;
use super::scopes::Scopes;
use crate::api::kept::{Described, Dir, KeptCgroup, Spec};
use crate::api::types::Limit;
use crate::api::wire::{self, Fact};
use crate::config::paths::Paths;
use crate::model::profile::StatusHook;
use crate::model::restart::Pace;
use crate::model::session::ProcId;
use crate::sys::cgroup::{Cgroup, Home};
use crate::sys::crib::Crib;
use crate::sys::dirs::{self, DirError};
use crate::sys::{failpoint, process, spawn};

/// How long a keeper may take until the command executes.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a session is started with.
pub struct Wanted {
    pub session: Described,
    pub env: Vec<String>,
    pub umask: Option<u32>,
    pub limits: Vec<Limit>,
    pub record_bytes: u64,
    pub spinners: String,
    /// By which the agent says what it does.
    pub hook: Option<StatusHook>,
    pub pace: Pace,
    /// A new run of a session that is known.
    pub again: bool,
}

pub struct Born {
    pub dir: Dir,
    pub session: Described,
    pub shaken: Shaken,
    pub leader: ProcId,
}

/// A birth that failed, and what is left of it.
#[derive(Debug)]
pub struct Unborn {
    pub error: BirthError,
    pub dir: Dir,
    /// Pid of the keeper, a child of ours to reap.
    pub keeper: Option<i32>,
    /// The keeper did not end, or ended after it had named a leader: the agent may run, and must not be forgotten.
    pub may_run: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum BirthError {
    #[error(transparent)]
    Directory(#[from] DirError),
    #[error("failed to start a keeper: {0}")]
    Keeper(io::Error),
    #[error("the keeper did not come up: {0}")]
    Silent(#[from] LinkError),
    /// The command's own fault.
    #[error("{0}")]
    Command(String),
}

/// Where sessions are born.
#[derive(Debug, Clone)]
pub struct Cradle {
    pub paths: Paths,
    /// Below the daemon's own, for those that get no scope.
    pub cgroups: Option<Home>,
    pub scopes: Scopes,
    /// Started with the first birth.
    pub crib: Arc<Mutex<Option<Crib>>>,
}

/// What a birth that fails is to unmake.
#[derive(Default)]
struct Made {
    keeper: Option<i32>,
    cgroup: Option<Cgroup>,
}

impl Cradle {
    pub fn birth(&self, mut wanted: Wanted) -> Result<Born, Unborn> {
        let id = wanted.session.id.clone();
        let dir = Dir::new(self.paths.sessions().join(&id));
        let again = wanted.again;
        if let Some(hook) = wanted.hook.take() {
            says::put(&mut wanted.env, &hook);
        }
        failpoint::here("daemon.directory.before");
        if let Err(error) = dirs::ensure_private(dir.path()).map_err(BirthError::from) {
            return Err(Unborn { error, dir, keeper: None, may_run: false });
        }
        failpoint::here("daemon.directory.after");
        let mut made = Made::default();
        let error = match self.start_keeper(&dir, wanted, &mut made) {
            Ok(born) => return Ok(born),
            Err(error) => error,
        };
        let Made { keeper, cgroup } = made;
        // It sees the end of its birth connection and ends, unless the agent is executing already.
        let may_run = keeper.is_some_and(|pid| !ends_soon(pid) || (!is_refused(&error) && has_named(&dir, pid)));
        if !may_run {
            if !again {
                // What cannot be removed now is an empty directory, removed at the next start.
                let _ = std::fs::remove_dir_all(dir.path());
            }
            cgroup.map(|c| c.remove());
        }
        Err(Unborn { error, dir, keeper, may_run })
    }

    /// From the crib; where that is of no use (somebody killed or stopped it), by executing one, over a connection that no
    /// other keeper can have. Our end of its birth connection, and its pid.
    fn bear(&self, id: &str) -> io::Result<(UnixStream, i32)> {
        let (ours, theirs) = UnixStream::pair()?;
        let mut crib = self.crib.lock().unwrap_or_else(PoisonError::into_inner);
        if crib.is_none() && Crib::fits(id) {
            *crib = Crib::start().ok();
        }
        match crib.as_mut().map(|crib| crib.bear(id, &theirs)) {
            Some(Ok(pid)) => return Ok((ours, pid)),
            Some(Err(error)) => warn!("a new process to fork keepers from is needed: {error}"),
            None => {}
        }
        *crib = None;
        drop(crib);
        let (ours, theirs) = UnixStream::pair()?;
        Ok((ours, spawn::keeper(id, theirs)?))
    }

    fn start_keeper(&self, dir: &Dir, wanted: Wanted, made: &mut Made) -> Result<Born, BirthError> {
        let Wanted { mut session, env, umask, limits, record_bytes, spinners, pace, again, .. } = wanted;
        failpoint::here("daemon.keeper.before");
        let (mut ours, pid) = self.bear(&session.id).map_err(BirthError::Keeper)?;
        made.keeper = Some(pid);
        failpoint::here("daemon.keeper.after");
        let home = self.scopes.enclose(pid, &session, again).or_else(|| self.cgroups.clone());
        made.cgroup = home.and_then(|home| home.create(&session.id).ok());
        session.cgroup = made.cgroup.as_ref().map(|c| KeptCgroup { dir: c.dir.clone(), inode: c.inode });
        let socket = self.paths.keepers().join(format!("{}.sock", session.id));
        let spec = Spec {
            session: session.clone(),
            env,
            umask,
            limits,
            dir: dir.path().into(),
            socket,
            record_bytes,
            spinners,
            pace,
        };
        ours.set_write_timeout(Some(PATIENCE)).map_err(BirthError::Keeper)?;
        ours.write_all(&wire::json_frame(&spec)).map_err(BirthError::Keeper)?;
        let mut shaken = link::shake(ours, PATIENCE)?;
        failpoint::here("daemon.started.before");
        let fact = shaken.next_fact(PATIENCE)?;
        failpoint::here("daemon.started.after");
        match fact {
            Fact::Started { leader } => Ok(Born { dir: dir.clone(), session, shaken, leader }),
            Fact::NotStarted { message } => Err(BirthError::Command(message)),
            _ => Err(LinkError::Stranger.into()),
        }
    }
}

/// The keeper itself said that nothing executes.
fn is_refused(error: &BirthError) -> bool {
    matches!(error, BirthError::Command(_))
}

/// This very keeper wrote down who the leader is: what it did afterwards is not known.
fn has_named(dir: &Dir, keeper: i32) -> bool {
    dir.kept().identity.is_some_and(|i| i.keeper.pid == keeper)
}

/// Waits a little for the end of a child, and leaves it to be reaped.
fn ends_soon(pid: i32) -> bool {
    let end = Instant::now() + Duration::from_secs(1);
    loop {
        if process::stat(pid).is_none_or(|p| p.is_dead()) {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The environment of a session: what was asked for, with what names the session on top.
pub fn environment(base: Vec<String>, session: &Described, instance: &str, socket: &Path) -> Vec<String> {
    let ours = ["BEADLE_SESSION", "BEADLE_SESSION_ID", "BEADLE_SESSION_NAME", "BEADLE_SOCKET"];
    let named = |v: &String| ours.iter().any(|name| v.strip_prefix(name).is_some_and(|rest| rest.starts_with('=')));
    let mut env: Vec<String> = base.into_iter().filter(|v| !named(v)).collect();
    if !session.pipe && !env.iter().any(|v| v.starts_with("TERM=") && v != "TERM=dumb" && v != "TERM=") {
        env.retain(|v| !v.starts_with("TERM="));
        env.push("TERM=xterm-256color".into());
    }
    env.push(format!("BEADLE_SESSION={}@{instance}", session.id));
    env.push(format!("BEADLE_SESSION_ID={}", session.id));
    env.push(format!("BEADLE_SESSION_NAME={}", session.name));
    env.push(format!("BEADLE_SOCKET={}", socket.display()));
    env
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_inside_a_session_gets_its_own_tag() {
        let session = Described {
            id: "new".into(),
            name: "n".into(),
            agent: "other".into(),
            project: None,
            workspace: "/".into(),
            command: vec!["true".into()],
            pipe: false,
            size: (80, 24),
            restart: crate::model::session::Restart::Never,
            timeout_seconds: None,
            max_idle_seconds: None,
            cgroup: None,
            started_by: Vec::new(),
            by_hook: false,
        };
        let base = vec!["A=1".into(), "BEADLE_SESSION=old@i".into(), "TERM=dumb".into()];
        let env = environment(base, &session, "i", Path::new("/s"));
        assert_eq!(
            env.iter().filter(|v| v.starts_with("BEADLE_SESSION=")).collect::<Vec<_>>(),
            ["BEADLE_SESSION=new@i"]
        );
        assert!(env.contains(&"TERM=xterm-256color".to_string()) && env.contains(&"A=1".to_string()));
    }
}
