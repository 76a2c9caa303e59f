//! The system's `ssh` as a way to a daemon: `beadle dial-stdio` at the other end, whose standard input and output are the
//! connection.

use std::fmt;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::model::text::printable_within;

/// Run at the other end, by whatever shell the user has there: constant text, so that nothing needs quoting. A shell
/// that is no login has not read what puts these two directories on the path.
const FAR: &str = r#"exec sh -c 'PATH="$PATH:$HOME/.cargo/bin:$HOME/.local/bin"; exec beadle dial-stdio'"#;
const FAR_NO_START: &str =
    r#"exec sh -c 'PATH="$PATH:$HOME/.cargo/bin:$HOME/.local/bin"; exec beadle dial-stdio --no-start'"#;
/// A far end that is silent for as many seconds as there are rounds is gone.
const ALIVE: [&str; 4] = ["-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=3"];
/// Bytes of what `ssh` says that are kept: the last ones.
const SAID: usize = 4096;
/// Of these, shown.
const SHOWN: usize = 300;
/// How long the rest of what it said is waited for once it has ended.
const REST: Duration = Duration::from_millis(200);
const STEP: Duration = Duration::from_millis(5);
/// How long the end of `ssh` is waited for after its connection has ended.
const END: Duration = Duration::from_secs(1);

/// A machine that `ssh` knows the way to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ssh {
    user: Option<String>,
    host: String,
    port: Option<u16>,
    /// A daemon is started there if need be.
    starts: bool,
}

impl Ssh {
    pub(super) const fn new(user: Option<String>, host: String, port: Option<u16>) -> Self {
        Self { user, host, port, starts: true }
    }

    /// The same, where none is started.
    #[must_use]
    pub fn without_a_start(self) -> Self {
        Self { starts: false, ..self }
    }

    pub fn host(&self) -> &str {
        &self.host
    }

    /// `ssh`, up to the command it runs there. `asks`: it may ask for a passphrase or about a key.
    pub fn command(&self, asks: bool) -> Command {
        let mut ssh = Command::new("ssh");
        ssh.args(["-o", "ConnectTimeout=10"]).args(ALIVE);
        if !asks {
            ssh.args(["-o", "BatchMode=yes"]);
        }
        if let Some(port) = self.port {
            ssh.args(["-p", &port.to_string()]);
        }
        if let Some(user) = &self.user {
            ssh.args(["-l", user]);
        }
        ssh
    }

    /// Starts it; the stream is its standard input and output.
    pub(super) fn start(&self, asks: bool) -> io::Result<(UnixStream, Said)> {
        let (ours, theirs) = UnixStream::pair()?;
        let (input, output): (OwnedFd, OwnedFd) = (theirs.try_clone()?.into(), theirs.into());
        let mut ssh = self.command(asks);
        ssh.arg("-T").arg("--").arg(&self.host).arg(if self.starts { FAR } else { FAR_NO_START });
        let child = ssh.stdin(Stdio::from(input)).stdout(Stdio::from(output)).stderr(Stdio::piped()).spawn()?;
        // It holds copies of the two ends, and the end of the child is seen only once they are closed.
        drop(ssh);
        ours.set_nonblocking(true)?;
        Ok((ours, Said::of(child)))
    }
}

impl fmt::Display for Ssh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ssh://")?;
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// What an `ssh` that has ended said, and its exit status.
pub(super) struct Said(watch::Receiver<Option<(String, Option<i32>)>>);

impl Said {
    fn of(mut child: Child) -> Self {
        let (tell, told) = watch::channel(None);
        let heard = Arc::new(Mutex::new(Vec::new()));
        let pipe = child.stderr.take().map(|pipe| (pipe, Arc::clone(&heard)));
        let listening = pipe.map(|(pipe, heard)| std::thread::spawn(move || listen(pipe, &heard)));
        std::thread::spawn(move || {
            let status = child.wait().ok().and_then(|status| status.code());
            // One that shares its connection may leave a process behind that holds the pipe.
            let end = Instant::now() + REST;
            while listening.as_ref().is_some_and(|l| !l.is_finished()) && Instant::now() < end {
                std::thread::sleep(STEP);
            }
            let mut text = last_words(&heard.lock().unwrap_or_else(PoisonError::into_inner));
            if text.is_empty() {
                text = "ssh ended without a word".into();
            }
            // Nobody may want to know.
            let _ = tell.send(Some((text, status)));
        });
        Self(told)
    }

    /// Once it has ended, which it is about to: its connection has.
    pub async fn why(&mut self) -> (String, Option<i32>) {
        let ended = tokio::time::timeout(END, self.0.wait_for(Option::is_some)).await;
        let said = ended.ok().and_then(Result::ok).and_then(|said| said.clone());
        said.unwrap_or_else(|| ("ssh hung up".into(), None))
    }
}

/// Keeps the last of what a pipe brings.
fn listen(mut from: impl Read, heard: &Mutex<Vec<u8>>) {
    let mut piece = [0; 1024];
    while let Ok(count @ 1..) = from.read(&mut piece) {
        let mut kept = heard.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(&piece[..count]);
        let too_much = kept.len().saturating_sub(SAID);
        kept.drain(..too_much);
    }
}

/// The last two lines, in one.
fn last_words(heard: &[u8]) -> String {
    let text = String::from_utf8_lossy(heard);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(2)..];
    printable_within(&last.join("; "), SHOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(ssh: &Ssh) -> Vec<String> {
        ssh.command(false).get_args().map(|a| a.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn user_and_port_are_arguments_of_their_own() {
        let ssh = Ssh::new(Some("me".into()), "server".into(), Some(2222));
        assert!(words(&ssh).join(" ").ends_with("-o BatchMode=yes -p 2222 -l me"), "{:?}", words(&ssh));
        assert!(!words(&Ssh::new(None, "server".into(), None)).contains(&"-p".to_string()));
    }

    #[test]
    fn the_last_words_are_short_and_steer_nothing() {
        assert_eq!(last_words(b"a\nb\n\n\x1b[31mc\r\n"), "b; ·[31mc");
        assert!(last_words(&vec![b'x'; 100_000]).chars().count() <= SHOWN);
        assert_eq!(last_words(b""), "");
        let heard = Mutex::default();
        listen(&vec![b'x'; 100_000][..], &heard);
        assert_eq!(heard.lock().unwrap().len(), SAID);
    }
}
