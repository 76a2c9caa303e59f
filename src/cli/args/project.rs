//! What may be typed about the queue.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::{JSON, limit, words};
use crate::model::project::Status;

const EXAMPLES: &str = "\
Examples:
  beadle project add docs --cwd ~/shop -- claude -p 'write the docs'
  beadle project add site --step 'npm ci' --step 'npm test' --timeout 30m --retries 2
  beadle project ls
  beadle project complete docs site 'old-*'

A project waits until fewer than projects.max_running run; then it is started, the higher priority and the older one \
first. When it ends, by itself or because somebody says so, everything that runs for it is closed: its own sessions, \
those of `beadle run --project NAME`, and agents in tmux sessions called NAME or NAME-… that began in its time.";

const ADD: &str = "\
Examples:
  beadle project add docs -- claude -p 'write the docs'
  beadle project add site --step 'npm ci' --step 'npm test'

A project has one command (after --), or steps that run one after the other, each in a session of its own and by \
`sh -c`; the first that fails ends the attempt. It runs with the environment of the daemon, with [projects] env and \
env_from of the settings.";

const NAMES: &str = "Names, numbers, or globs; a glob means those that have not finished";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Project {
    #[command(subcommand)]
    pub verb: ProjectVerb,
}

#[derive(Debug, Subcommand)]
pub enum ProjectVerb {
    /// Put a project into the queue.
    Add(Add),
    /// Every project, in the order in which they were added.
    Ls(List),
    /// One project.
    Show(One),
    /// It is done: close what still runs for it.
    Complete(Several),
    /// It has failed: the same, and strays are looked for.
    Fail(Several),
    /// It is to run no longer.
    Stop(Several),
    /// It is not wanted any more, begun or not.
    Cancel(Several),
    /// Something is badly wrong with it: as fail. Nothing is latched.
    Emergency(Several),
    /// Forget projects that have finished.
    Rm(Names),
}

#[derive(Debug, Args)]
#[command(after_help = ADD)]
pub struct Add {
    /// How it is called; its sessions are called after it.
    pub name: String,
    /// Directory to run in, instead of this one.
    #[arg(long, value_name = "DIR")]
    pub cwd: Option<PathBuf>,
    /// The higher one goes first.
    #[arg(long, short, default_value_t = 0, allow_negative_numbers = true)]
    pub priority: i64,
    /// An attempt that takes longer has failed (90s, 15m, 1h30m).
    #[arg(long, value_name = "DURATION", value_parser = limit)]
    pub timeout: Option<Duration>,
    /// How often it is tried again after a failure.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub retries: u32,
    /// A command line for `sh -c`; several run one after the other.
    #[arg(long, value_name = "COMMAND", conflicts_with = "command")]
    pub step: Vec<String>,
    #[arg(long, help = JSON)]
    pub json: bool,
    /// The command and its arguments.
    #[arg(trailing_var_arg = true, value_name = "CMD", required_unless_present = "step")]
    pub command: Vec<String>,
}

#[derive(Debug, Args)]
pub struct List {
    /// Only those that are: queued, running, completed, failed, stopped, cancelled, emergency.
    #[arg(long, short, value_parser = words::<Status>(STATUSES), hide_possible_values = true)]
    pub status: Option<Status>,
    #[arg(long, help = JSON)]
    pub json: bool,
}

const STATUSES: &[&str] = &["queued", "running", "completed", "failed", "stopped", "cancelled", "emergency"];

#[derive(Debug, Args)]
pub struct One {
    /// Its name or number.
    pub name: String,
    #[arg(long, help = JSON)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Several {
    #[arg(required = true, value_name = "NAME", help = NAMES)]
    pub names: Vec<String>,
    /// Why, for the record.
    #[arg(long)]
    pub reason: Option<String>,
    #[arg(long, help = JSON)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Names {
    /// Names, numbers, or globs; a glob means those that have finished.
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,
    #[arg(long, help = JSON)]
    pub json: bool,
}
