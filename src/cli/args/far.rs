//! `status`, `dial-stdio`: what other programs call.

use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
#[command(after_help = STATUS_HELP)]
pub struct Status {
    /// For a status line of tmux, for people, or for programs.
    #[arg(long, value_enum, default_value = "plain")]
    pub format: StatusFormat,
}

const STATUS_HELP: &str = "\
Waiting for somebody, stuck, orphaned (+ the processes that were left behind), healthy. Empty when no daemon
runs, `beadle ?` when one does not answer within a second; none is started.

In ~/.tmux.conf:
  set -ag status-right ' #(beadle status --format tmux)'";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StatusFormat {
    Tmux,
    Plain,
    Json,
}

#[derive(Debug, Args)]
pub struct DialStdio {
    /// Exit with 3 when no daemon runs.
    #[arg(long)]
    pub no_start: bool,
}
