//! What may be typed about the cleaner.

use clap::{Args, Subcommand};

use super::JSON;

const EXAMPLES: &str = "\
Examples:
  beadle cleanup                              how it is set, whom it will close
  beadle cleanup set max_idle=30m             for this daemon
  beadle cleanup set max_idle=30m notice=1m --save
  beadle cleanup stop                         closes nobody until it is started

Attached, paused and pinned sessions are exempt, and none is closed while it is at work. A close is announced \
`notice` before, in `ls`, `show` and the interface; any activity, or `beadle heartbeat`, calls it off.";

const SETTINGS: &str = "What to change, such as max_idle=30m or health.stuck_after=10m";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Cleanup {
    #[command(subcommand)]
    pub verb: Option<CleanupVerb>,
    #[arg(long, help = JSON)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum CleanupVerb {
    /// How it is set, what it has done, whom it will close; the same as no verb.
    Status(Shown),
    /// Look at every session now: announce, and close whose time is over.
    Now(Shown),
    /// Let it work again.
    Start(Shown),
    /// Close nobody by these rules, until it is started again.
    Stop(Shown),
    /// Change settings while the daemon runs: keys of [cleanup] and [health].
    Set(Set),
}

#[derive(Debug, Args)]
pub struct Shown {
    #[arg(long, help = JSON)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Set {
    #[arg(required = true, value_name = "KEY=VALUE", value_parser = pair, help = SETTINGS)]
    pub settings: Vec<(String, String)>,
    /// Write it into the config file too; comments stay.
    #[arg(long)]
    pub save: bool,
    #[arg(long, help = JSON)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "A server an agent starts can also exempt itself: BEADLE_KEEP=1 in its environment.")]
pub struct KeepChild {
    /// Pid of a process of a session; what is below it is kept with it.
    #[arg(value_parser = clap::value_parser!(i32).range(1..))]
    pub pid: i32,
    #[arg(long, help = JSON)]
    pub json: bool,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE, such as max_idle=30m")?;
    Ok((key.trim().into(), value.trim().into()))
}
