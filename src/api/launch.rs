//! (launch) Finding the daemon, or starting one. A stub: to be replaced whole.

use std::path::PathBuf;

use crate::config::paths::Paths;

#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    #[error("failed to start the daemon: {0}")]
    NotStarted(String),
}

/// The socket of a daemon that answers; one is started when there is none.
#[allow(clippy::unused_async)]
pub async fn ensure_daemon(_paths: &Paths) -> Result<PathBuf, LaunchError> {
    Err(LaunchError::NotStarted("this build cannot start one yet".into()))
}

/// The socket of a daemon that answers, if there is one. Never starts one.
#[allow(clippy::unused_async)]
pub async fn find_daemon(_paths: &Paths) -> Result<Option<PathBuf>, LaunchError> {
    Ok(None)
}
