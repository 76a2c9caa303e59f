//! What may be typed about a sweep.

use clap::Args;

use super::JSON;

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct Sweep {
    /// Only say what would be taken, and why or why not.
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask.
    #[arg(long, short)]
    pub yes: bool,
    /// Take these suspects too; whatever speaks against one still spares it.
    #[arg(long, value_name = "PID", num_args = 1.., value_delimiter = ',')]
    pub take: Vec<i32>,
    /// Leave these alone.
    #[arg(long, value_name = "PID", num_args = 1.., value_delimiter = ',')]
    pub leave: Vec<i32>,
    /// Close every managed session too, and let nothing start until `beadle release`.
    #[arg(long)]
    pub emergency: bool,
    /// Why, for the record.
    #[arg(long)]
    pub reason: Option<String>,
    #[arg(long, help = JSON)]
    pub json: bool,
}

const HELP: &str = "\
Taken is only what something proves to be left behind and nothing speaks against, in two scans:
  record-says-dead    it carries the tag of a session of beadle's that has ended
  terminal-deleted    an agent whose terminal is gone
  stdio-peers-gone    a helper with nobody at either end of its pipes
  last-client-gone    a shared daemon whose session ended and that nobody uses
Age, silence and the parent prove nothing: who has no more than these is a suspect, and is taken only when you \
mark it, with --take or with +PID when asked. If a tmux server or an agent's own registry cannot be asked, \
nothing is taken.

Examples:
  beadle sweep --dry-run
  beadle sweep --take 4711 --leave 4712,4713
  beadle sweep --emergency --reason 'out of memory'";
