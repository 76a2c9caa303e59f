//! Where a daemon is, and one connection to it: a socket of this machine, TCP, or the system's `ssh`.
//!
//! Whatever the way, what comes out is one HTTP connection ([`Open`]), or the same once it has become plain bytes to a
//! keeper ([`Open::become_bytes`]). Words typed by a person are judged here, so that none of them is an option of `ssh`
//! or anything to a shell.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::client::ClientError;
use super::ssh::{Said, Ssh};
use crate::sys::socket;

/// How long a TCP connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);

/// After this long without a word the kernel asks whether the other end is still there; after four times that it is gone.
const SILENCE: Duration = Duration::from_secs(1);

/// Where a daemon is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// A socket of this machine.
    Socket(PathBuf),
    Tcp(Tcp),
    Ssh(Ssh),
}

/// A daemon that listens on TCP, and what it wants to be shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Tcp {
    /// A name or an address; of version 6 without its brackets.
    host: String,
    port: u16,
    token: String,
}

impl fmt::Debug for Tcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tcp").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

/// Why a word is no place of a daemon.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WayError {
    #[error("write it like unix:///path/to/beadle.sock, ssh://user@server or http://server:7717")]
    Shape,
    #[error("there is no TLS: write http://server:7717 on a network you trust, ssh://user@server elsewhere")]
    Tls,
    #[error("{0:?} is not the name of a machine")]
    Host(String),
    #[error("{0:?} is not the name of a user")]
    User(String),
    #[error("{0:?} is not a port")]
    Port(String),
    #[error("it needs a port, such as http://server:7717")]
    NoPort,
    #[error("it needs a token: set BEADLE_TOKEN to what `server.token` is there")]
    NoToken,
    #[error("BEADLE_TOKEN can hold only letters, digits and punctuation, without spaces")]
    Token,
}

impl Way {
    /// What a URL says; `token` is what TCP wants to be shown.
    pub fn parse(url: &str, token: Option<&str>) -> Result<Self, WayError> {
        match url.split_once("://") {
            Some(("unix", path)) if path.starts_with('/') => Ok(Self::Socket(path.into())),
            Some(("ssh", rest)) => {
                let (user, place) = rest.rsplit_once('@').map_or((None, rest), |(user, place)| (Some(user), place));
                let (host, port) = host_and_port(place)?;
                Ok(Self::Ssh(Ssh::new(user.map(user_of).transpose()?, host, port)))
            }
            Some(("http", place)) => {
                let (host, port) = host_and_port(place)?;
                let port = port.ok_or(WayError::NoPort)?;
                let token = token.filter(|t| !t.is_empty()).ok_or(WayError::NoToken)?;
                if !token.chars().all(|c| c.is_ascii_graphic()) {
                    return Err(WayError::Token);
                }
                Ok(Self::Tcp(Tcp { host, port, token: token.into() }))
            }
            Some(("https", _)) => Err(WayError::Tls),
            _ => Err(WayError::Shape),
        }
    }

    /// True when paths, processes and the environment of this machine mean nothing at the other end.
    pub const fn is_elsewhere(&self) -> bool {
        match self {
            Self::Socket(_) => false,
            Self::Tcp(_) | Self::Ssh(_) => true,
        }
    }

    /// The machine, for people.
    pub fn host(&self) -> Option<&str> {
        match self {
            Self::Socket(_) => None,
            Self::Tcp(tcp) => Some(&tcp.host),
            Self::Ssh(ssh) => Some(ssh.host()),
        }
    }

    /// A connection; `asks` lets `ssh` ask the person at the terminal.
    pub(super) async fn open(&self, asks: bool) -> Result<Open, ClientError> {
        match self {
            Self::Socket(path) => {
                let connected = socket::connect_async(path).await;
                let stream =
                    connected.map_err(|source| ClientError::Connect { at: path.display().to_string(), source })?;
                Open::over(stream, self).await
            }
            Self::Tcp(tcp) => tcp.open(self).await,
            Self::Ssh(ssh) => {
                let failed = |e: std::io::Error| self.unreached(format!("failed to run ssh: {e}"), None);
                let (stream, said) = ssh.start(asks).map_err(failed)?;
                let stream = UnixStream::from_std(stream).map_err(failed)?;
                Ok(Open { said: Some(said), ..Open::over(stream, self).await? })
            }
        }
    }

    pub(super) fn unreached(&self, why: String, status: Option<i32>) -> ClientError {
        ClientError::Unreached { at: self.to_string(), why, status }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => path.display().fmt(f),
            Self::Tcp(Tcp { host, port, .. }) if host.contains(':') => write!(f, "http://[{host}]:{port}"),
            Self::Tcp(Tcp { host, port, .. }) => write!(f, "http://{host}:{port}"),
            Self::Ssh(ssh) => ssh.fmt(f),
        }
    }
}

impl Tcp {
    async fn open(&self, way: &Way) -> Result<Open, ClientError> {
        let connecting = TcpStream::connect((self.host.as_str(), self.port));
        let stream = match tokio::time::timeout(CONNECT, connecting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(e)) if e.kind() == std::io::ErrorKind::ConnectionRefused => {
                let why = "nobody listens there: is the daemon running, and `server.listen` set in its config?";
                return Err(way.unreached(why.into(), None));
            }
            Ok(Err(e)) => return Err(way.unreached(e.to_string(), None)),
            Err(_) => return Err(way.unreached(format!("no answer within {} s", CONNECT.as_secs()), None)),
        };
        // The address and not the name: a name is what a page in a browser could have made up.
        let host = stream.peer_addr().map_or_else(|_| self.host.clone(), |at| at.to_string());
        // What cannot be set only makes the end of the other side be seen later.
        let _ = socket::watch_peer(&stream, SILENCE);
        Ok(Open { host, token: Some(format!("Bearer {}", self.token)), ..Open::over(stream, way).await? })
    }
}

fn host_and_port(place: &str) -> Result<(String, Option<u16>), WayError> {
    let place = place.strip_suffix('/').unwrap_or(place);
    let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((six, "")) => (six, None),
        Some((six, port)) => (six, Some(port.strip_prefix(':').ok_or(WayError::Shape)?)),
        None => place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
    };
    let is_six = place.starts_with('[');
    let allowed = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c) || (is_six && ":%".contains(c));
    if host.is_empty() || host.starts_with('-') || !host.chars().all(allowed) {
        return Err(WayError::Host(host.into()));
    }
    let number = |text: &str| text.parse::<u16>().ok().filter(|n| *n > 0).ok_or_else(|| WayError::Port(text.into()));
    Ok((host.into(), port.map(number).transpose()?))
}

fn user_of(user: &str) -> Result<String, WayError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-+@".contains(c);
    if user.is_empty() || user.starts_with('-') || !user.chars().all(allowed) {
        return Err(WayError::User(user.into()));
    }
    Ok(user.into())
}

/// One connection to a daemon.
pub(super) struct Open {
    pub line: hyper::client::conn::http1::SendRequest<Full<Bytes>>,
    /// What the other end is told it is called.
    pub host: String,
    pub token: Option<String>,
    /// What `ssh` says when it ends.
    pub said: Option<Said>,
    /// Somebody has answered on it.
    pub answered: bool,
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Open").field("answered", &self.answered).finish_non_exhaustive()
    }
}

impl Open {
    async fn over(
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        way: &Way,
    ) -> Result<Self, ClientError> {
        let (line, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|source| ClientError::Broken { at: way.to_string(), source })?;
        // It ends with the line.
        tokio::spawn(connection.with_upgrades());
        Ok(Self { line, host: "beadle".into(), token: None, said: None, answered: false })
    }

    /// Bytes both ways, once the other end has agreed to it.
    pub fn become_bytes(self, response: hyper::Response<hyper::body::Incoming>) -> std::io::Result<UnixStream> {
        let (ours, mut theirs) = UnixStream::pair()?;
        tokio::spawn(async move {
            // Until one end hangs up, which the other then sees.
            if let Ok(upgraded) = hyper::upgrade::on(response).await {
                let _ = tokio::io::copy_bidirectional(&mut theirs, &mut TokioIo::new(upgraded)).await;
            }
            drop(self);
        });
        Ok(ours)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_a_daemon_is() {
        let way = |url| Way::parse(url, Some("secret")).unwrap().to_string();
        assert_eq!(way("unix:///run/b.sock"), "/run/b.sock");
        for same in [
            "ssh://server",
            "ssh://me@server",
            "ssh://me@corp@server:22",
            "ssh://me@[fe80::1%eth0]:2222",
            "http://server:7717",
            "http://[::1]:7717",
        ] {
            assert_eq!(way(same), same);
        }
        assert_eq!(way("http://127.0.0.1:7717/"), "http://127.0.0.1:7717");
    }

    #[test]
    fn what_could_be_an_option_or_anything_to_a_shell_is_no_machine_and_no_user() {
        for host in ["-oProxyCommand=x", "a b", "a;b", "$(x)", "a'b", "a\nb", "", "ü", "a/b"] {
            assert!(matches!(Way::parse(&format!("ssh://{host}"), None), Err(WayError::Host(_))), "{host}");
        }
        for user in ["-l", "a b", "`x`", ""] {
            assert!(matches!(Way::parse(&format!("ssh://{user}@h"), None), Err(WayError::User(_))), "{user}");
        }
        for port in ["", "0", "70000", "x", "22 -v"] {
            assert!(matches!(Way::parse(&format!("ssh://h:{port}"), None), Err(WayError::Port(_))), "{port}");
        }
    }

    #[test]
    fn what_is_missing_is_said() {
        let said = |url, token| Way::parse(url, token).unwrap_err().to_string();
        assert!(said("http://h", Some("t")).contains("needs a port"));
        assert!(said("http://h:1", None).contains("BEADLE_TOKEN"));
        assert!(said("http://h:1", Some("a b")).contains("BEADLE_TOKEN"));
        assert!(said("https://h:1", Some("t")).contains("no TLS"));
        for url in ["unix://relative", "/run/b.sock", "x", "tcp://h:1"] {
            assert!(said(url, None).contains("write it like"), "{url}");
        }
    }

    #[test]
    fn a_token_is_never_shown() {
        let way = Way::parse("http://h:1", Some("very-secret")).unwrap();
        assert!(!format!("{way:?} {way}").contains("very-secret"));
    }
}
