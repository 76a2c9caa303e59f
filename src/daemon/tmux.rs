//! What beadle asks of tmux: only the server itself, through the socket it listens on.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::model::process::Proc;
use crate::sys::{child, peers, process, socket};

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

/// A tmux server by its name and its program: any process may give itself the name. Who does not show its program is
/// believed.
pub fn is_server(p: &Proc) -> bool {
    p.is_tmux_server() && process::program(p.id.pid).is_none_or(|name| name.contains("tmux"))
}

/// A path to a socket of this server: one it bound by a relative path is looked for where the server is now.
pub fn reachable(server: i32, sockets: &[PathBuf]) -> Option<PathBuf> {
    let here = process::directory_link(server);
    let is_its = |path: &PathBuf| matches!(socket::listener(path), Ok(Some(pid)) if pid == server);
    let absolute = sockets.iter().find(|path| path.is_absolute() && path.exists()).cloned();
    let relative = || sockets.iter().filter(|path| path.is_relative()).map(|path| here.join(path)).find(is_its);
    absolute.or_else(relative)
}

pub fn outside_client(server: i32, is_inside: impl Fn(i32) -> bool) -> Outside {
    let Ok(sockets) = peers::listening_paths(server) else { return Outside::Unknown };
    // A server without a socket has nobody who could attach.
    if sockets.is_empty() {
        return Outside::Nobody;
    }
    // Lost, or relative to some other place: clients could be there, and nobody can ask.
    let Some(socket) = reachable(server, &sockets) else { return Outside::Unknown };
    let mut command = Command::new("tmux");
    command.arg("-S").arg(socket).args(["list-clients", "-F", "#{client_pid}"]);
    command.env_remove("TMUX").stdin(Stdio::null());
    let Some(listing) = child::output_within(&mut command, PATIENCE) else { return Outside::Unknown };
    let mut pids = listing.lines().filter_map(|l| l.trim().parse::<i32>().ok());
    pids.find(|pid| !is_inside(*pid)).map_or(Outside::Nobody, Outside::Client)
}
