//! The daemon as a service of systemd: ready, alive, about to end; and taking over from a daemon that runs already.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use super::handle::{Command, Handle};
use super::run::DaemonError;
use crate::api::client::{Client, ClientError};
use crate::api::launch;
use crate::api::types::StopRequest;
use crate::config::paths::Paths;
use crate::model::session::ProcId;
use crate::sys::lock::Lock;
use crate::sys::notify;

/// How long the daemon before this one may take to hand over.
const PATIENCE: Duration = Duration::from_secs(30);
/// A lock that becomes free is to be ours, and not that of whoever starts a daemon in between.
const STEP: Duration = Duration::from_millis(2);
/// How long it is waited for before it is asked again: somebody was quicker.
const ROUND: Duration = Duration::from_secs(2);

/// Says that the daemon is ready, and then, again and again, that its supervisor answers.
pub(super) async fn report(handle: Handle) {
    notify::tell("READY=1");
    let Some(within) = notify::watchdog() else { return };
    loop {
        // Any answer will do; without one nothing is said.
        if handle.ask(|reply| Command::ConfigFile { reply }).await.is_ok() {
            notify::tell("WATCHDOG=1");
        }
        tokio::time::sleep(within / 3).await;
    }
}

pub(super) fn ending() {
    notify::tell("STOPPING=1");
}

/// The lock, from whoever has it: a daemon that runs is asked to end and to leave the sessions to their keepers.
pub(super) async fn take_over(paths: &Paths, own: ProcId) -> Result<Lock, DaemonError> {
    let end = Instant::now() + PATIENCE;
    // The one of these directories, whatever socket the environment names.
    let theirs = Paths { socket_named: None, ..paths.clone() };
    loop {
        if let Some(lock) = try_take(paths, own)? {
            return Ok(lock);
        }
        if Instant::now() > end {
            return Err(DaemonError::Running(paths.state.clone()));
        }
        ask_to_leave(&theirs).await?;
        let round = Instant::now() + ROUND;
        while Instant::now() < round {
            if let Some(lock) = try_take(paths, own)? {
                info!("took over from the daemon before");
                return Ok(lock);
            }
            tokio::time::sleep(STEP).await;
        }
    }
}

fn try_take(paths: &Paths, own: ProcId) -> Result<Option<Lock>, DaemonError> {
    let path = paths.lock();
    Lock::take(&path, own).map_err(|source| DaemonError::File { what: "lock", path, source })
}

async fn ask_to_leave(paths: &Paths) -> Result<(), DaemonError> {
    let Ok(Some(socket)) = launch::find_daemon(paths).await else { return Ok(()) };
    let client = Client::new(socket);
    // One inside an interface is somebody's, who looks at it.
    if client.daemon().await.is_ok_and(|status| status.embedded) {
        return Err(DaemonError::Embedded(paths.state.clone()));
    }
    // Without an answer it is gone before it could give one.
    if let Err(ClientError::Refused(refusal)) = client.daemon_stop(&StopRequest { keep: Some(true) }).await {
        warn!("the daemon that runs does not hand over: {refusal}");
    }
    Ok(())
}
