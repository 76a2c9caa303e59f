//! What beadle asks of tmux: only the server itself, through the socket it listens on.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::sys::{child, peers};

/// How long a tmux server may take to answer; long, because on a busy machine a client is overlooked otherwise.
const PATIENCE: Duration = Duration::from_secs(3);

/// The pid of a client attached to this server that is not inside the session.
pub fn outside_client(server: i32, is_inside: impl Fn(i32) -> bool) -> Option<i32> {
    let socket = peers::listening_paths(server).into_iter().next()?;
    let mut command = Command::new("tmux");
    command.arg("-S").arg(socket).args(["list-clients", "-F", "#{client_pid}"]);
    command.env_remove("TMUX").stdin(Stdio::null());
    // A server that does not answer has no client that could be seen.
    let listing = child::output_within(&mut command, PATIENCE)?;
    let pids = listing.lines().filter_map(|l| l.trim().parse::<i32>().ok());
    pids.into_iter().find(|pid| !is_inside(*pid))
}
