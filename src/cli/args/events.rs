//! What may be typed about events.

use clap::Args;

use super::JSON;

const EXAMPLES: &str = "\
Examples:
  beadle events                                 the last that happened
  beadle events -f                              from now on, until Ctrl-C
  beadle events -f --kind session_ended --json  one JSON object a line
  beadle events --since 2h                      of the last two hours
  beadle events -f --since 4711                 after the event with this number

Numbers are given once and in order; a daemon that ends or is killed in between loses none. `resync` says which are not \
kept any more.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Events {
    /// Go on with what happens from now on (or since --since).
    #[arg(long, short)]
    pub follow: bool,
    /// After the event with this number, or since an age (2h, 3d), a date, or a time.
    #[arg(long, value_name = "NUMBER|TIME")]
    pub since: Option<String>,
    /// Only these kinds.
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    pub kind: Vec<String>,
    /// No more than this.
    #[arg(long, short = 'n', conflicts_with = "follow")]
    pub limit: Option<u32>,
    #[arg(long, help = JSON)]
    pub json: bool,
}
