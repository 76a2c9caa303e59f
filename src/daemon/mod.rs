//! (daemon)

use crate::config::paths::Paths;

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
