//! `history`, `audit`, `stats`, `export`: what is remembered, and what is kept.

use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValuesParser;

use super::{ID, JSON, words};
use crate::api::memory;
use crate::model::session::ExitBy;

/// Which rows; times are checked by the daemon, which has the clock.
#[derive(Debug, Args)]
pub struct Remembered {
    /// Not before this: an age (2h, 3d), a date, or a time.
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Before this.
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Only of this project.
    #[arg(long, short)]
    pub project: Option<String>,
    /// Only this kind of agent.
    #[arg(long)]
    pub agent: Option<String>,
    /// Only this session: its id, the beginning of it, or its name.
    #[arg(long, value_name = "ID")]
    pub session: Option<String>,
    #[arg(long, help = OUTCOME, value_parser = PossibleValuesParser::new(OUTCOMES), hide_possible_values = true)]
    pub outcome: Option<String>,
    #[arg(long, help = BY, value_parser = words::<ExitBy>(ENDED_BY), hide_possible_values = true)]
    pub by: Option<ExitBy>,
    /// The newest so many.
    #[arg(long, short = 'n', default_value_t = memory::LIMIT, value_parser = clap::value_parser!(u32).range(1..=i64::from(memory::MOST)))]
    pub limit: u32,
}

const OUTCOMES: [&str; 5] = ["clean", "forced", "survivors", "already-gone", "interrupted"];
const OUTCOME: &str = "Only closes that came to this: clean, forced, survivors, already-gone, interrupted";
const ENDED_BY: &[&str] =
    &["itself", "user", "policy", "pressure", "project", "sweep", "timeout", "shutdown", "reboot", "unknown"];
const BY: &str =
    "Only what was ended by: itself, user, policy, pressure, project, sweep, timeout, shutdown, reboot, unknown";

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  beadle history --since 2h\n  beadle history --project shop --by policy")]
pub struct History {
    #[command(flatten)]
    pub which: Remembered,
    #[arg(long, help = JSON)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  beadle audit --since 1d\n  beadle audit --session docs --json")]
pub struct Audit {
    #[command(flatten)]
    pub which: Remembered,
    #[arg(long, help = JSON)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Stats {
    /// Not before this: an age (2h, 3d), a date, or a time.
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Before this.
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    #[arg(long, help = JSON)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  beadle export docs -o docs-kept\n  beadle export docs -o docs.tar\n  asciinema play docs-kept/session.cast"
)]
pub struct Export {
    #[arg(help = ID)]
    pub id: String,
    /// A new directory, or a file that ends in .tar.
    #[arg(long, short, value_name = "DIR|FILE.tar")]
    pub output: PathBuf,
}
