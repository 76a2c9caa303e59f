//! A session in tmux is attached by tmux: inside the same server by going there, from elsewhere by a client of its own.

use std::process::Command;

use crate::api::ssh::Ssh;
use crate::api::types::PaneAt;
use crate::api::way::Way;

/// How a pane is gone to.
#[derive(Debug)]
pub struct Going {
    pub command: Command,
    /// The client that shows this moves there; otherwise the command takes the terminal until it is left.
    pub is_here: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoGoing {
    #[error("in tmux: over http it cannot be attached, over ssh it can")]
    OverHttp,
    #[error("in the tmux you are in: a look would take your keys there too")]
    LooksHere,
}

/// `within` is `TMUX` of the environment.
pub fn going(way: &Way, pane: &PaneAt, within: Option<&str>, read_only: bool) -> Result<Going, NoGoing> {
    match way {
        Way::Socket(_) => near(pane, within.is_some_and(|tmux| is_server(tmux, pane)), read_only),
        Way::Ssh(ssh) => Ok(far(ssh, pane, read_only)),
        Way::Tcp(_) => Err(NoGoing::OverHttp),
    }
}

fn near(pane: &PaneAt, is_here: bool, read_only: bool) -> Result<Going, NoGoing> {
    if is_here && read_only {
        return Err(NoGoing::LooksHere);
    }
    let mut command = Command::new("tmux");
    command.arg("-S").arg(&pane.socket);
    if is_here {
        command.args(["switch-client", "-t", &pane.id]);
    } else {
        command.env_remove("TMUX").args(["attach-session", "-t", &pane.id]);
    }
    if read_only {
        command.arg("-r");
    }
    Ok(Going { command, is_here })
}

/// The same on the other machine, with a terminal of its own.
fn far(ssh: &Ssh, pane: &PaneAt, read_only: bool) -> Going {
    let look = if read_only { " -r" } else { "" };
    let far = format!("exec tmux -S {} attach-session{look} -t {}", quoted(&pane.socket), quoted(&pane.id));
    let mut command = ssh.command(true);
    command.arg("-t").arg("--").arg(ssh.host()).arg(far);
    Going { command, is_here: false }
}

/// One word to a shell, whatever is in it.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// `TMUX` is `socket,pid of the server,session` (tmux(1)).
fn is_server(tmux: &str, pane: &PaneAt) -> bool {
    let mut fields = tmux.rsplitn(3, ',');
    let pid = fields.nth(1).and_then(|pid| pid.parse::<i32>().ok());
    pid == Some(pane.server_pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_machine_calls_its_socket_is_one_word_to_a_shell() {
        assert_eq!(quoted("/tmp/a b'; x"), r"'/tmp/a b'\''; x'");
    }

    #[test]
    fn the_tmux_one_is_in_is_known_by_its_server() {
        let pane = PaneAt { socket: "/tmp/a,b".into(), server_pid: 7, id: "%1".into() };
        for (tmux, same) in [("/tmp/a,b,7,0", true), ("/tmp/tmux-0/default,8,0", false), ("", false), ("7", false)] {
            assert_eq!(is_server(tmux, &pane), same, "{tmux}");
        }
        let way = Way::Socket("/run/b".into());
        assert!(going(&way, &pane, Some("/tmp/a,b,7,0"), false).unwrap().is_here);
        assert_eq!(going(&way, &pane, Some("/tmp/a,b,7,0"), true).unwrap_err(), NoGoing::LooksHere);
        assert!(!going(&way, &pane, None, true).unwrap().is_here);
    }
}
