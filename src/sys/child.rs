//! Helper programs asked for a word, with a deadline.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// More than this is no answer.
const MOST: usize = 4 << 20;

/// Why a command gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    #[error("it did not answer within {0:?}")]
    Late(Duration),
    /// What it complained of.
    #[error("{0}")]
    Failed(String),
}

/// Standard output of a command, if it succeeds in time; after that it is killed.
pub fn output_within(command: &mut Command, patience: Duration) -> Option<String> {
    answer_within(command, patience).ok()
}

/// As [`output_within`], with the reason when there is none.
pub fn answer_within(command: &mut Command, patience: Duration) -> Result<String, NoAnswer> {
    let failed = |what: &str| NoAnswer::Failed(what.to_string());
    let program = command.get_program().to_string_lossy().into_owned();
    let spawned = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = spawned.map_err(|e| NoAnswer::Failed(format!("failed to run {program}: {e}")))?;
    let (Some(mut pipe), Some(complaints)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(failed("it has no output"));
    };
    let end = Instant::now() + patience;
    let text = read_until(&mut pipe, end);
    if text.is_none() {
        // Our own child, unreaped: its pid is still its own.
        let _ = child.kill();
    }
    let ok = child.wait().is_ok_and(|status| status.success());
    match text {
        None => Err(NoAnswer::Late(patience)),
        Some(text) if ok => Ok(text),
        Some(_) => {
            let mut said = String::new();
            // It has ended, and so has what it had to say, unless a child of it holds the pipe.
            let _ = super::poll::set_nonblocking(&complaints);
            let _ = complaints.take(4096).read_to_string(&mut said);
            let line = said.lines().next().unwrap_or_default().trim();
            Err(failed(if line.is_empty() { "it failed" } else { line }))
        }
    }
}

/// Everything up to the end; `None` when that does not come in time, or it is too much.
fn read_until(pipe: &mut std::process::ChildStdout, end: Instant) -> Option<String> {
    super::poll::set_nonblocking(&*pipe).ok()?;
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() || text.len() > MOST {
            return None;
        }
        // Spurious wake-ups end in WouldBlock below.
        let _ = super::poll::readable(&[std::os::fd::AsFd::as_fd(&*pipe)], left);
        match pipe.read(&mut buffer) {
            Ok(0) => return Some(String::from_utf8_lossy(&text).into_owned()),
            Ok(n) => text.extend_from_slice(&buffer[..n]),
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_hangs_is_given_up() {
        assert_eq!(output_within(Command::new("echo").arg("x"), Duration::from_secs(5)).as_deref(), Some("x\n"));
        assert_eq!(output_within(Command::new("sleep").arg("60"), Duration::from_millis(50)), None);
        assert_eq!(output_within(&mut Command::new("false"), Duration::from_secs(5)), None);
    }

    #[test]
    fn a_command_that_fails_says_why() {
        let ask = |script: &str, patience| answer_within(Command::new("sh").args(["-c", script]), patience);
        let long = Duration::from_secs(5);
        assert_eq!(ask("echo no >&2; exit 1", long), Err(NoAnswer::Failed("no".into())));
        assert_eq!(ask("exec sleep 60", Duration::from_millis(50)), Err(NoAnswer::Late(Duration::from_millis(50))));
        let missing = answer_within(&mut Command::new("/nowhere/at/all"), long);
        assert!(matches!(missing, Err(NoAnswer::Failed(why)) if why.starts_with("failed to run /nowhere")));
    }
}
