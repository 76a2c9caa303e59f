//! `status`, `dial-stdio`, `service`: what other programs call, and what they start.

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Args)]
#[command(after_help = STATUS_HELP)]
pub struct Status {
    /// For a status line of tmux, for people, or for programs.
    #[arg(long, value_enum, default_value = "plain")]
    pub format: StatusFormat,
}

const STATUS_HELP: &str = "\
Waiting for somebody, stuck, orphaned (+ the processes that were left behind), healthy. Empty when no daemon \
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

#[derive(Debug, Args)]
pub struct Service {
    #[command(subcommand)]
    pub verb: ServiceVerb,
}

#[derive(Debug, Subcommand)]
pub enum ServiceVerb {
    /// Write the unit, and start the daemon as a service; one that runs hands over, and its sessions go on.
    Install(ServiceInstall),
    /// Stop the service and remove the unit; the sessions go on.
    Uninstall(ServiceUninstall),
    /// Whether it is installed and runs, and what a logout does to it.
    Status(ServiceStatus),
}

#[derive(Debug, Args)]
pub struct ServiceInstall {
    /// Let it live on after a logout, without asking (`loginctl enable-linger`).
    #[arg(long)]
    pub linger: bool,
    /// Replace a unit that was changed by hand; it is kept as beadle.service.bak.
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Args)]
pub struct ServiceUninstall {
    /// Remove a unit that was changed by hand too.
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Args)]
pub struct ServiceStatus {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}
