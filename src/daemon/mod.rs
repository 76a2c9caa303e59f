//! The daemon.

use crate::config::paths::Paths;

pub mod birth;
pub mod close;
pub mod entry;
pub mod link;
pub mod sampler;
pub mod tmux;

/// How a daemon was started. A stub.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// By a verb that needed it: it ends when there is nothing to do.
    pub auto: bool,
}

/// What bare `beadle daemon` runs, in the foreground. A stub.
pub fn main(_paths: &Paths, _options: &Options) -> std::process::ExitCode {
    std::process::ExitCode::FAILURE
}
