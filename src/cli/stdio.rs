//! `dial-stdio`: the daemon's socket on standard input and output. What `--host ssh://…` runs on the other machine.
//!
//! Always the daemon of this machine, whatever `BEADLE_HOST` says: a way that led on might lead in a circle.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use super::args::DialStdio;
use super::exit::{DONE, Ended, Failure};
use super::{connect, print};
use crate::api::launch;
use crate::config::paths::Paths;
use crate::sys::socket;

const PIECE: usize = 64 << 10;
/// How long a daemon may take to say that it is there.
const GREETING: Duration = Duration::from_secs(10);
/// How often one that goes away under our hands is looked for again.
const TRIES: u32 = 5;

pub async fn run(args: &DialStdio) -> Ended {
    let paths = connect::paths()?;
    let mut tries = 0;
    let stream = loop {
        let path = find(&paths, args.no_start).await?;
        match greeted(&path) {
            Ok(stream) => break stream,
            // One about to end takes connections to the last: the next one is asked.
            Err(_) if tries < TRIES => tries += 1,
            Err(e) => return Err(Failure::Local(format!("the daemon at {} does not answer: {e}", path.display()))),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let failed = |e| Failure::Local(format!("failed to use the connection to the daemon: {e}"));
    let mut to = stream.try_clone().map_err(failed)?;
    std::thread::spawn(move || {
        // Whichever end hangs up, the other is to see it; and then this process ends.
        let _ = io::copy(&mut io::stdin().lock(), &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    pass_on(stream)?;
    Ok(DONE)
}

async fn find(paths: &Paths, no_start: bool) -> Result<PathBuf, Failure> {
    if no_start {
        return launch::find_daemon(paths).await?.ok_or(Failure::NoDaemon);
    }
    Ok(launch::ensure_daemon(paths).await?)
}

/// A connection on which somebody has answered already.
fn greeted(path: &std::path::Path) -> io::Result<UnixStream> {
    let mut stream = socket::connect(path)?;
    stream.set_read_timeout(Some(GREETING))?;
    stream.write_all(b"GET /api/version HTTP/1.1\r\nhost: beadle\r\n\r\n")?;
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && head.len() < PIECE {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let mut body = vec![0; length(&head).ok_or(io::ErrorKind::InvalidData)?];
    stream.read_exact(&mut body)?;
    stream.set_read_timeout(None)?;
    Ok(stream)
}

fn length(head: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(head).ok()?.to_ascii_lowercase();
    let value = text.lines().find_map(|line| line.strip_prefix("content-length:"))?;
    value.trim().parse().ok().filter(|length| *length < PIECE)
}

/// What the daemon says, at once and whole, until it hangs up.
fn pass_on(mut from: impl Read) -> Result<(), Failure> {
    let mut piece = vec![0; PIECE];
    loop {
        match from.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(count) => print::bytes(&piece[..count])?,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(Failure::Local(format!("the connection to the daemon broke: {e}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_a_greeting_is_read_and_believed_only_within_reason() {
        assert_eq!(length(b"HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\n"), Some(19));
        for bad in ["content-length: x", "content-length: 99999999999", "content-type: y"] {
            assert_eq!(length(format!("HTTP/1.1 200 OK\r\n{bad}\r\n\r\n").as_bytes()), None, "{bad}");
        }
    }
}
