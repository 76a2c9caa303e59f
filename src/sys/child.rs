//! Helper programs asked for a word, with a deadline.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Standard output of a command, if it succeeds in time; after that it is killed.
pub fn output_within(command: &mut Command, patience: Duration) -> Option<String> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    let mut pipe = child.stdout.take()?;
    super::poll::set_nonblocking(&pipe).ok()?;
    let end = Instant::now() + patience;
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    let whole = loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() || text.len() > 1 << 20 {
            break false;
        }
        // Spurious wake-ups end in WouldBlock below.
        let _ = super::poll::readable(&[std::os::fd::AsFd::as_fd(&pipe)], left);
        match pipe.read(&mut buffer) {
            Ok(0) => break true,
            Ok(n) => text.extend_from_slice(&buffer[..n]),
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => break false,
        }
    };
    if !whole {
        // Our own child, unreaped: its pid is still its own.
        let _ = child.kill();
    }
    let ok = child.wait().is_ok_and(|status| status.success());
    (whole && ok).then(|| String::from_utf8_lossy(&text).into_owned())
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
}
