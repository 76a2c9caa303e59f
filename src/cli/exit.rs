//! How a command ends: every failure, its sentence and its exit status, in one place.
//!
//! 0 done · 1 failed · 2 wrong use · 3 no daemon and none could be started · 4 no such session · 5 refused ·
//! 6 survivors. `wait` has its own, as timeout(1) has them: 124 too late, 125 own errors.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::api::attach::AttachError;
use crate::api::client::ClientError;
use crate::api::launch::LaunchError;
use crate::api::refusal::{Code, Refusal};
use crate::config::ConfigError;
use crate::config::paths::PathsError;

pub const DONE: u8 = 0;
pub const FAILED: u8 = 1;
pub const WRONG_USE: u8 = 2;
pub const NO_DAEMON: u8 = 3;
pub const SURVIVORS: u8 = 6;
pub const TOO_LATE: u8 = 124;
pub const WAIT_FAILED: u8 = 125;

/// What a verb comes to: an exit status, or why there is none.
pub type Ended = Result<u8, Failure>;

#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Paths(#[from] PathsError),
    #[error("{0} (`beadle daemon` in a terminal shows what is wrong)")]
    Launch(#[from] LaunchError),
    #[error("no daemon is running (`beadle daemon start` starts one)")]
    NoDaemon,
    #[error("{}", hung(*.0))]
    Hung(Option<i32>),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Attach(#[from] AttachError),
    #[error("failed to start the runtime: {0}")]
    Runtime(io::Error),
    #[error("failed to read {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("failed to write: {0}")]
    Output(io::Error),
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Something on this side, in words.
    #[error("{0}")]
    Local(String),
    #[error("{0}")]
    Wait(Box<Failure>),
}

/// What to do about a daemon that does not answer.
fn hung(pid: Option<i32>) -> String {
    let Some(pid) = pid else {
        return "the daemon does not answer: `beadle daemon logs` says more".into();
    };
    format!(
        "the daemon (pid {pid}) does not answer: `kill -CONT {pid}` lets it go on if somebody stopped it; if it hangs, \
         `kill -KILL {pid}` ends it, the sessions go on, and the next command starts another"
    )
}

impl Failure {
    pub fn refused(code: Code, message: impl Into<String>) -> Self {
        Self::Refused(Refusal::new(code, message))
    }

    pub fn status(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Paths(_) => WRONG_USE,
            Self::Launch(_)
            | Self::NoDaemon
            | Self::Hung(_)
            | Self::Client(ClientError::Connect { .. } | ClientError::Unreached { .. }) => NO_DAEMON,
            Self::Client(ClientError::Refused(refusal)) | Self::Refused(refusal) => refusal.code.exit(),
            Self::Attach(error) => attach_status(error),
            // The reader has seen enough: `beadle ls | head -1`.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => DONE,
            Self::Wait(_) => WAIT_FAILED,
            Self::Client(
                ClientError::Broken { .. }
                | ClientError::Lost { .. }
                | ClientError::NotBeadle(_)
                | ClientError::Garbled(_),
            )
            | Self::Runtime(_)
            | Self::Read { .. }
            | Self::Output(_)
            | Self::Config(_)
            | Self::Local(_) => FAILED,
        }
    }

    /// True when there is nothing to say about it.
    pub fn is_quiet(&self) -> bool {
        match self {
            Self::Output(error) => error.kind() == io::ErrorKind::BrokenPipe,
            Self::Wait(cause) => cause.is_quiet(),
            _ => false,
        }
    }
}

fn attach_status(error: &AttachError) -> u8 {
    match error {
        AttachError::NoTerminal | AttachError::Key(_) => WRONG_USE,
        AttachError::Told(signal) => of_signal(*signal),
        AttachError::Terminal(_)
        | AttachError::Broken(_)
        | AttachError::Silent
        | AttachError::Garbled(_)
        | AttachError::OtherProtocol(_) => FAILED,
    }
}

/// As a shell says it.
pub fn of_signal(signal: i32) -> u8 {
    u8::try_from(signal.saturating_add(128)).unwrap_or(FAILED)
}

/// The end of the program: the sentence on standard error, the status to the caller.
pub fn end(ended: Ended) -> ExitCode {
    match ended {
        Ok(status) => ExitCode::from(status),
        Err(failure) => {
            if !failure.is_quiet() {
                super::print::complain(&failure.to_string());
            }
            ExitCode::from(failure.status())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_the_status_of_the_contract() {
        for (code, status) in [
            (Code::BadRequest, 2),
            (Code::NotFound, 4),
            (Code::CannotExecute, 1),
            (Code::NameTaken, 5),
            (Code::AtCap, 5),
            (Code::Latched, 5),
            (Code::Forbidden, 5),
            (Code::Internal, 1),
        ] {
            assert_eq!(Failure::refused(code, "").status(), status, "{code:?}");
            assert_eq!(Failure::Client(Refusal::new(code, "").into()).status(), status, "{code:?}");
        }
    }

    #[test]
    fn a_closed_pipe_is_a_quiet_success() {
        let failure = Failure::Output(io::ErrorKind::BrokenPipe.into());
        assert!(failure.is_quiet() && failure.status() == DONE);
        let failure = Failure::Output(io::ErrorKind::StorageFull.into());
        assert!(!failure.is_quiet() && failure.status() == FAILED);
    }

    #[test]
    fn no_daemon_is_three_and_a_signal_is_as_a_shell_says_it() {
        assert_eq!(Failure::NoDaemon.status(), 3);
        let refused = ClientError::Connect { at: "/x".into(), source: io::ErrorKind::ConnectionRefused.into() };
        assert_eq!(Failure::from(refused).status(), 3);
        assert_eq!(Failure::from(AttachError::Told(15)).status(), 143);
    }
}
