//! HTTP over the daemon's Unix socket. Holds no truth: every call asks anew.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::memory::{Audit, Filter, History, Stats};
use super::project::{AddRequest, EndRequest, Project, ProjectsEnded, ProjectsRemoved, RemoveRequest};
use super::refusal::{Code, Refusal};
use super::sweep::{EmergencyRequest, Released, SweepReport, SweepRequest};
use super::types::{
    Act, ActRequest, CloseAllRequest, DaemonStatus, Detail, Done, ErrorBody, HealthReport, KillReport, KillRequest,
    LogChunk, RestartRequest, Screen, SendRequest, Session, SignalRequest, StartRequest, Started, StopRequest, Table,
};

/// Why a call did not bring an answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("failed to connect to the daemon at {path}: {source}")]
    Connect { path: PathBuf, source: std::io::Error },
    #[error("the daemon at {path} closed the connection: {source}")]
    Broken { path: PathBuf, source: hyper::Error },
    #[error(
        "the daemon sent what this version does not understand: {0} (a daemon of another version? `beadle daemon restart`)"
    )]
    Garbled(serde_json::Error),
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// A daemon's address. Cheap to clone; each call opens a connection of its own, but for the one after [`Client::greet`].
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
    /// A connection somebody has answered on, for the next call.
    warm: Arc<Mutex<Option<Line>>>,
    /// Told once when the daemon is of another version.
    notice: Option<fn(&str)>,
    noticed: Arc<AtomicBool>,
}

/// One connection to a daemon.
type Line = hyper::client::conn::http1::SendRequest<Full<Bytes>>;

/// The header in which a daemon says its version.
pub const VERSION_HEADER: &str = "x-beadle-version";

impl Client {
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into(), warm: Arc::default(), notice: None, noticed: Arc::default() }
    }

    /// Calls `notice` with the daemon's version, once, when it is not ours.
    #[must_use]
    pub fn with_notice(self, notice: fn(&str)) -> Self {
        Self { notice: Some(notice), ..self }
    }

    fn compare_versions(&self, headers: &hyper::HeaderMap) {
        let theirs = headers.get(VERSION_HEADER).and_then(|v| v.to_str().ok());
        if let (Some(notice), Some(theirs)) = (self.notice, theirs)
            && theirs != env!("CARGO_PKG_VERSION")
            && !self.noticed.swap(true, Ordering::Relaxed)
        {
            notice(theirs);
        }
    }

    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Finds out whether anybody answers, and keeps the connection for the next call: a daemon about to end still takes
    /// connections, and what was never answered must not have been an order.
    pub async fn greet(&self) -> Result<(), ClientError> {
        let mut line = self.dial().await?;
        self.say(&mut line, "GET", "/api/version", Bytes::new()).await?;
        *self.warm.lock().unwrap_or_else(PoisonError::into_inner) = Some(line);
        Ok(())
    }

    /// The table, at once. `all` includes ended sessions; `sample` measures first.
    pub async fn sessions(&self, all: bool, sample: bool) -> Result<Table, ClientError> {
        self.get(&format!("/api/sessions?all={all}&sample={sample}")).await
    }

    /// The same after a look at the machine, and with plain shells in tmux panes.
    pub async fn sessions_with_shells(&self, all: bool) -> Result<Table, ClientError> {
        self.get(&format!("/api/sessions?all={all}&sample=true&shells=true")).await
    }

    /// The table as soon as it is newer than `generation`; after 30 s the same one again. While such a
    /// call waits, the daemon samples once a second.
    pub async fn sessions_newer_than(&self, generation: u64, all: bool) -> Result<Table, ClientError> {
        self.get(&format!("/api/sessions?all={all}&newer_than={generation}")).await
    }

    pub async fn session(&self, id: &str) -> Result<Detail, ClientError> {
        self.get(&format!("/api/sessions/{}", path_segment(id))).await
    }

    pub async fn health(&self) -> Result<HealthReport, ClientError> {
        self.get("/api/active-sessions").await
    }

    pub async fn screen(&self, id: &str) -> Result<Screen, ClientError> {
        self.get(&format!("/api/sessions/{}/screen", path_segment(id))).await
    }

    /// Recorded output from `from` on (bytes since the session began); with `wait` not before there is some,
    /// the session has ended, or 30 s have passed.
    pub async fn log(&self, id: &str, from: u64, wait: bool) -> Result<LogChunk, ClientError> {
        let path = format!("/api/sessions/{}/log?from={from}&wait={wait}", path_segment(id));
        let answer = self.exchange("GET", &path, Bytes::new()).await?;
        let number = |name: &str| answer.headers.get(name).and_then(|v| v.to_str().ok()?.parse().ok()).unwrap_or(0);
        let (next, missing, ended) =
            (number("x-beadle-next"), number("x-beadle-missing"), number("x-beadle-ended") == 1);
        let bytes = accepted("GET", &path, answer)?.to_vec();
        Ok(LogChunk { bytes, next, missing, ended })
    }

    pub async fn start(&self, request: &StartRequest) -> Result<Started, ClientError> {
        self.post("/api/session/start", request).await
    }

    /// Answers when everything is gone and verified, or what cannot go is known.
    pub async fn kill(&self, request: &KillRequest) -> Result<KillReport, ClientError> {
        self.post("/api/kill", request).await
    }

    pub async fn close_all(&self, request: &CloseAllRequest) -> Result<KillReport, ClientError> {
        self.post("/api/close-all-sessions", request).await
    }

    pub async fn sweep(&self, request: &SweepRequest) -> Result<SweepReport, ClientError> {
        self.post("/api/sweep", request).await
    }

    pub async fn emergency(&self, request: &EmergencyRequest) -> Result<SweepReport, ClientError> {
        self.post("/api/emergency-cleanup", request).await
    }

    pub async fn release(&self) -> Result<Released, ClientError> {
        self.post("/api/release", &serde_json::json!({})).await
    }

    pub async fn act(&self, verb: Act, targets: &[String]) -> Result<Done, ClientError> {
        self.post("/api/act", &ActRequest { verb, targets: targets.to_vec() }).await
    }

    /// Sends a signal to the process group of each leader.
    pub async fn signal(&self, targets: &[String], signal: &str) -> Result<Done, ClientError> {
        self.post("/api/signal", &SignalRequest { targets: targets.to_vec(), signal: signal.into() }).await
    }

    pub async fn rename(&self, id: &str, name: &str) -> Result<Session, ClientError> {
        self.post(&format!("/api/sessions/{}/rename", path_segment(id)), &serde_json::json!({ "name": name })).await
    }

    pub async fn restart(&self, id: &str, request: &RestartRequest) -> Result<Session, ClientError> {
        self.post(&format!("/api/sessions/{}/restart", path_segment(id)), request).await
    }

    pub async fn send(&self, id: &str, request: &SendRequest) -> Result<Session, ClientError> {
        self.post(&format!("/api/sessions/{}/send", path_segment(id)), request).await
    }

    pub async fn heartbeat(&self, id: &str) -> Result<Session, ClientError> {
        self.post(&format!("/api/heartbeat?session_id={}", path_segment(id)), &serde_json::json!({})).await
    }

    pub async fn history(&self, filter: &Filter) -> Result<History, ClientError> {
        self.get(&format!("/api/history{}", filter.query())).await
    }

    pub async fn audit(&self, filter: &Filter) -> Result<Audit, ClientError> {
        self.get(&format!("/api/audit{}", filter.query())).await
    }

    pub async fn stats(&self, filter: &Filter) -> Result<Stats, ClientError> {
        self.get(&format!("/api/stats{}", filter.query())).await
    }

    pub async fn projects(&self) -> Result<Vec<Project>, ClientError> {
        self.get("/api/projects").await
    }

    /// By name or number.
    pub async fn project(&self, word: &str) -> Result<Project, ClientError> {
        self.get(&format!("/api/projects/{}", path_segment(word))).await
    }

    pub async fn add_project(&self, request: &AddRequest) -> Result<Project, ClientError> {
        self.post("/api/projects", request).await
    }

    /// Answers when all that ran for them is closed.
    pub async fn end_projects(&self, request: &EndRequest) -> Result<ProjectsEnded, ClientError> {
        self.post("/api/project/end", request).await
    }

    pub async fn remove_projects(&self, request: &RemoveRequest) -> Result<ProjectsRemoved, ClientError> {
        self.post("/api/project/rm", request).await
    }

    /// All that is kept of one session, as a tar ([`super::tar`]).
    pub async fn export(&self, id: &str) -> Result<Bytes, ClientError> {
        let path = format!("/api/sessions/{}/export", path_segment(id));
        let answer = self.exchange("GET", &path, Bytes::new()).await?;
        accepted("GET", &path, answer)
    }

    pub async fn daemon(&self) -> Result<DaemonStatus, ClientError> {
        self.get("/api/daemon").await
    }

    pub async fn daemon_stop(&self, request: &StopRequest) -> Result<KillReport, ClientError> {
        self.post("/api/daemon/stop", request).await
    }

    pub async fn daemon_restart(&self) -> Result<serde_json::Value, ClientError> {
        self.post("/api/daemon/restart", &serde_json::json!({})).await
    }

    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.call("GET", path, Bytes::new()).await
    }

    pub async fn post<B: Serialize, T: DeserializeOwned>(&self, path: &str, body: &B) -> Result<T, ClientError> {
        let bytes = serde_json::to_vec(body).map_err(ClientError::Garbled)?;
        self.call("POST", path, Bytes::from(bytes)).await
    }

    async fn call<T: DeserializeOwned>(&self, method: &str, path: &str, body: Bytes) -> Result<T, ClientError> {
        let answer = self.exchange(method, path, body).await?;
        serde_json::from_slice(&accepted(method, path, answer)?).map_err(ClientError::Garbled)
    }

    async fn exchange(&self, method: &str, path: &str, body: Bytes) -> Result<Answer, ClientError> {
        let warm = self.warm.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut line) = warm
            && line.ready().await.is_ok()
        {
            return self.say(&mut line, method, path, body).await;
        }
        self.say(&mut self.dial().await?, method, path, body).await
    }

    async fn dial(&self) -> Result<Line, ClientError> {
        let stream = crate::sys::socket::connect_async(&self.socket)
            .await
            .map_err(|source| ClientError::Connect { path: self.socket.clone(), source })?;
        let (line, connection) = hyper::client::conn::http1::handshake(TokioIo::<UnixStream>::new(stream))
            .await
            .map_err(|source| self.broken(source))?;
        // It ends with the line.
        tokio::spawn(connection);
        Ok(line)
    }

    fn broken(&self, source: hyper::Error) -> ClientError {
        ClientError::Broken { path: self.socket.clone(), source }
    }

    async fn say(&self, line: &mut Line, method: &str, path: &str, body: Bytes) -> Result<Answer, ClientError> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = if method == "GET" { hyper::Method::GET } else { hyper::Method::POST };
        *request.uri_mut() = path.parse().unwrap_or_else(|_| hyper::Uri::from_static("/"));
        let headers = request.headers_mut();
        headers.insert("host", hyper::header::HeaderValue::from_static("beadle"));
        headers.insert("content-type", hyper::header::HeaderValue::from_static("application/json"));
        let response = line.send_request(request).await.map_err(|e| self.broken(e))?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(|e| self.broken(e))?.to_bytes();
        self.compare_versions(&head.headers);
        Ok(Answer { status: head.status, headers: head.headers, body })
    }

    /// Waits until the daemon answers, at most `patience`.
    pub async fn until_up(&self, patience: Duration) -> Result<DaemonStatus, ClientError> {
        let end = tokio::time::Instant::now() + patience;
        loop {
            match self.daemon().await {
                Err(ClientError::Connect { .. } | ClientError::Broken { .. }) if tokio::time::Instant::now() < end => {
                    tokio::time::sleep(Duration::from_millis(3)).await;
                }
                answer => return answer,
            }
        }
    }
}

struct Answer {
    status: hyper::StatusCode,
    headers: hyper::HeaderMap,
    body: Bytes,
}

fn accepted(method: &str, path: &str, answer: Answer) -> Result<Bytes, ClientError> {
    if answer.status.is_success() {
        return Ok(answer.body);
    }
    Err(ClientError::Refused(match serde_json::from_slice::<ErrorBody>(&answer.body) {
        Ok(body) => Refusal::new(Code::from_word(&body.error.code), body.error.message),
        Err(_) => Refusal::new(Code::Internal, format!("the daemon answered {} to {method} {path}", answer.status)),
    }))
}

/// Percent-encodes whatever is not unreserved (RFC 3986, 2.3).
pub fn path_segment(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
            out.push(b as char);
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{b:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// A daemon that answers each connection so many times and hangs up; how many connections it was asked for.
    fn a_daemon(answers: usize) -> (tempfile::TempDir, Client, Arc<std::sync::atomic::AtomicUsize>) {
        let dir = tempfile::tempdir().unwrap();
        let listener = tokio::net::UnixListener::bind(dir.path().join("s")).unwrap();
        let (client, count) = (Client::new(dir.path().join("s")), Arc::<std::sync::atomic::AtomicUsize>::default());
        let counted = Arc::clone(&count);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::Relaxed);
                for _ in 0..answers {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        head.push(stream.read_u8().await.unwrap());
                    }
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
                }
            }
        });
        (dir, client, count)
    }

    #[tokio::test]
    async fn the_call_after_a_greeting_uses_its_connection() {
        let (_dir, client, count) = a_daemon(2);
        client.greet().await.unwrap();
        client.get::<serde_json::Value>("/").await.unwrap();
        assert_eq!(count.load(Ordering::Relaxed), 1);
        client.get::<serde_json::Value>("/").await.unwrap();
        assert_eq!(count.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_greeting_whose_connection_is_gone_meanwhile_does_no_harm() {
        let (_dir, client, count) = a_daemon(1);
        client.greet().await.unwrap();
        // Until the end of the connection is seen.
        while client.warm.lock().unwrap().as_ref().is_some_and(|line| !line.is_closed()) {
            tokio::task::yield_now().await;
        }
        client.get::<serde_json::Value>("/").await.unwrap();
        assert_eq!(count.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_name_cannot_leave_its_path_segment() {
        assert_eq!(super::path_segment("a/../b?x=%"), "a%2F..%2Fb%3Fx%3D%25");
    }
}
