//! Finding the daemon, and starting one where there is none.
//!
//! ```text
//!   connect ──ok──► there it is
//!      │ nobody
//!      ▼
//!   lock held? ──yes──► wake its holder (identity verified): the socket is made anew ──► connect
//!      │ no
//!      ▼
//!   below a keeper? ──yes──► refused
//!      │ no
//!      ▼
//!   start `beadle daemon --auto`, wait until it says "ready"; one that lost the race says so, and
//!   the winner is waited for
//! ```

use std::io::{self, Read};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::config;
use crate::config::paths::Paths;
use crate::sys::dirs::{self, DirError};
use crate::sys::lock::{self, Holder};
use crate::sys::{process, signal, socket, spawn};

/// How long a daemon may take to come up, adoption included.
const PATIENCE: Duration = Duration::from_secs(15);

#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    #[error(
        "no daemon runs, and below a keeper none is started: this is inside a session of beadle; run `beadle daemon start` outside"
    )]
    BelowKeeper,
    #[error(transparent)]
    Directory(#[from] DirError),
    #[error("failed to start the daemon: {0}")]
    Spawn(io::Error),
    #[error("the daemon did not start: {0}")]
    Failed(String),
    #[error("a daemon holds {} and does not answer: `beadle daemon logs` says more", .0.display())]
    Silent(PathBuf),
    #[error("failed to look at {}: {source}", .path.display())]
    Lock { path: PathBuf, source: io::Error },
    #[error("nobody listens on {} (BEADLE_SOCKET): unset it, or start the daemon behind it", .0.display())]
    Named(PathBuf),
}

/// The socket of a daemon that answers, when there is one. Never starts one.
pub async fn find_daemon(paths: &Paths) -> Result<Option<PathBuf>, LaunchError> {
    if let Some(found) = reachable(paths) {
        return Ok(Some(found));
    }
    match holder(paths)? {
        Holder::Nobody => Ok(None),
        Holder::Somebody(_) => Ok(Some(wake(paths).await?)),
    }
}

/// The socket of a daemon, started if need be.
pub async fn ensure_daemon(paths: &Paths) -> Result<PathBuf, LaunchError> {
    if let Some(found) = find_daemon(paths).await? {
        return Ok(found);
    }
    if let Some(named) = paths.socket_named.as_ref().filter(|s| **s != paths.socket()) {
        // A session's own: its daemon has gone, and another one would not be the same.
        if !process::below_keeper() {
            return Err(LaunchError::Named(named.clone()));
        }
    }
    if process::below_keeper() {
        return Err(LaunchError::BelowKeeper);
    }
    dirs::ensure_private(&paths.state)?;
    start(paths).await
}

/// A socket somebody accepts on.
fn reachable(paths: &Paths) -> Option<PathBuf> {
    doors(paths).into_iter().find(|path| socket::connect(path).is_ok())
}

/// Where a daemon may listen: the socket named, the one written down, the one by default.
pub fn doors(paths: &Paths) -> Vec<PathBuf> {
    if let Some(named) = &paths.socket_named {
        return vec![named.clone()];
    }
    written(paths).into_iter().chain([paths.socket()]).collect()
}

/// The socket somebody named, where the daemon of this state directory is known to have another one.
fn named_wrongly(paths: &Paths) -> Option<PathBuf> {
    let named = paths.socket_named.clone()?;
    let own = written(paths)?;
    (named != own && named != paths.socket()).then_some(named)
}

/// Where the daemon says it listens.
fn written(paths: &Paths) -> Option<PathBuf> {
    let text = std::fs::read_to_string(paths.address()).ok()?;
    Some(PathBuf::from(text.trim_end_matches('\n'))).filter(|p| p.is_absolute())
}

fn holder(paths: &Paths) -> Result<Holder, LaunchError> {
    let path = paths.lock();
    lock::holder(&path).map_err(|source| LaunchError::Lock { path, source })
}

/// Somebody holds the lock and its socket is not there: either it is just starting, or the socket was lost.
async fn wake(paths: &Paths) -> Result<PathBuf, LaunchError> {
    let end = Instant::now() + PATIENCE;
    let mut next_wake = Instant::now() + Duration::from_millis(50);
    while Instant::now() < end {
        if let Some(found) = reachable(paths) {
            return Ok(found);
        }
        match holder(paths)? {
            Holder::Nobody => return Box::pin(ensure_daemon(paths)).await,
            // It listens elsewhere, and is not about to listen there.
            Holder::Somebody(_) if let Some(named) = named_wrongly(paths) => return Err(LaunchError::Named(named)),
            // Not at once: a daemon that is adopting has no socket yet, and none to lose.
            Holder::Somebody(Some(id)) if Instant::now() >= next_wake => {
                signal::wake(id);
                next_wake = Instant::now() + Duration::from_millis(500);
            }
            Holder::Somebody(_) => {}
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    Err(LaunchError::Silent(paths.lock()))
}

async fn start(paths: &Paths) -> Result<PathBuf, LaunchError> {
    let mut said = spawn::daemon(&kept_environment(paths)).map_err(LaunchError::Spawn)?;
    let text = tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        // What was read until an error is what was said.
        let _ = said.read_to_string(&mut text);
        text
    });
    let text = tokio::time::timeout(PATIENCE, text).await.map_err(|_| LaunchError::Silent(paths.lock()))?;
    let text = text.unwrap_or_default();
    if let Some(path) = text.lines().find_map(|l| l.strip_prefix("ready ")) {
        return Ok(PathBuf::from(path));
    }
    // Lost the race to another: that one is waited for.
    if matches!(holder(paths)?, Holder::Somebody(_)) {
        return wake(paths).await;
    }
    Err(LaunchError::Failed(text.trim().trim_start_matches("beadle: ").to_string()))
}

/// The environment of a daemon: what programs need to find their way, and what the settings name for projects; nothing of
/// the session it was started from.
fn kept_environment(paths: &Paths) -> Vec<(String, String)> {
    // Settings that cannot be read are the daemon's to complain of.
    let named = config::load(paths, &config::process_env()).map(|c| c.projects.env_from).unwrap_or_default();
    let text = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
    text.filter(|(name, _)| is_kept(name) || named.contains(name)).collect()
}

/// Of an environment, what tells nothing of the session it belongs to.
pub fn is_kept(name: &str) -> bool {
    const KEPT: [&str; 9] = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR", "TMUX_TMPDIR"];
    let session = ["BEADLE_SOCKET", "BEADLE_HOST", "BEADLE_TOKEN"];
    let ours = name.starts_with("BEADLE_") && !name.starts_with("BEADLE_SESSION") && !session.contains(&name);
    KEPT.contains(&name) || ours || name.starts_with("LC_") || name.starts_with("XDG_")
}

#[cfg(test)]
mod tests {
    use super::is_kept;

    #[test]
    fn a_daemon_does_not_inherit_the_session_it_was_started_from() {
        for name in [
            "PATH",
            "HOME",
            "XDG_RUNTIME_DIR",
            "LC_ALL",
            "BEADLE_CONFIG",
            "BEADLE_STATE_DIR",
            "BEADLE_CLEANUP__MAX_IDLE",
        ] {
            assert!(is_kept(name), "{name}");
        }
        for name in [
            "BEADLE_SESSION",
            "BEADLE_SESSION_ID",
            "BEADLE_SOCKET",
            "TMUX",
            "TMUX_PANE",
            "ANTHROPIC_API_KEY",
            "SSH_AUTH_SOCK",
        ] {
            assert!(!is_kept(name), "{name}");
        }
    }
}
