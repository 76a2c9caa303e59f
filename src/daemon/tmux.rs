//! What beadle asks of tmux: only the server itself, through the socket it listens on.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::sys::{child, peers};

/// How long a tmux server may take to answer; one that does not is spared, so a busy machine gets its time.
const PATIENCE: Duration = Duration::from_secs(3);

/// Who from outside a session is attached to a server inside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outside {
    Nobody,
    Client(i32),
    /// It cannot be asked: an error is never an absence.
    Unknown,
}

pub fn outside_client(server: i32, is_inside: impl Fn(i32) -> bool) -> Outside {
    // A server without a socket has nobody who could attach.
    let Some(socket) = peers::listening_paths(server).into_iter().next() else { return Outside::Nobody };
    if !socket.exists() {
        // Connected clients could still be there, and nobody can ask any more.
        return Outside::Unknown;
    }
    let mut command = Command::new("tmux");
    command.arg("-S").arg(socket).args(["list-clients", "-F", "#{client_pid}"]);
    command.env_remove("TMUX").stdin(Stdio::null());
    let Some(listing) = child::output_within(&mut command, PATIENCE) else { return Outside::Unknown };
    let mut pids = listing.lines().filter_map(|l| l.trim().parse::<i32>().ok());
    pids.find(|pid| !is_inside(*pid)).map_or(Outside::Nobody, Outside::Client)
}
