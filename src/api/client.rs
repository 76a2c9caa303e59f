//! HTTP to a daemon, whatever the way to it. Holds no truth: every call asks anew.
//!
//! On this machine each call opens a connection of its own, but for the one after [`Client::greet`]. From elsewhere a
//! connection is dear (an `ssh`), so that those of answered calls are used again, and few are open at once.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, HeaderValue, UPGRADE};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::sync::Semaphore;

use super::memory::{Audit, Filter, History, Stats};
use super::project::{AddRequest, EndRequest, Project, ProjectsEnded, ProjectsRemoved, RemoveRequest};
use super::refusal::{Code, Refusal};
use super::sweep::{EmergencyRequest, Released, SweepReport, SweepRequest};
use super::types::{
    Act, ActRequest, CloseAllRequest, DaemonStatus, Detail, Done, ErrorBody, HealthReport, KillReport, KillRequest,
    LogChunk, RenameRequest, RestartRequest, Restarted, Screen, SendRequest, Session, SignalRequest, StartRequest,
    Started, StopRequest, Table,
};
use super::way::{Open, Way};
use crate::model::select::NotChosen;

/// Connections from elsewhere at once. The interface waits for the table on one and asks on another.
const MOST: usize = 4;

/// Within this time after a call began, a connection had ended before it.
const BETWEEN_CALLS: Duration = Duration::from_millis(500);

/// Why a call did not bring an answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("failed to connect to the daemon at {at}: {source}")]
    Connect { at: String, source: std::io::Error },
    #[error(
        "the daemon at {at} went away before it answered ({source}): the sessions do not mind, and a close that has begun goes on under the next daemon; `beadle ls` shows how far it is"
    )]
    Broken { at: String, source: hyper::Error },
    /// No way to a daemon elsewhere; `status` is that of `ssh`.
    #[error("failed to reach the daemon at {at}: {why}")]
    Unreached { at: String, why: String, status: Option<i32> },
    #[error("the connection to {at} was lost: {why}")]
    Lost { at: String, why: String },
    #[error("what answers at {0} is not beadle")]
    NotBeadle(String),
    #[error(
        "the daemon sent what this version does not understand: {0} (a daemon of another version? `beadle daemon restart`)"
    )]
    Garbled(serde_json::Error),
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl ClientError {
    /// True when nobody answered, or one about to end: whoever is asked again later may.
    pub fn is_no_answer(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Broken { .. } | Self::Unreached { .. } | Self::Lost { .. } => true,
            Self::Refused(refusal) => refusal.code == Code::ShuttingDown,
            Self::NotBeadle(_) | Self::Garbled(_) => false,
        }
    }
}

/// A daemon's address. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    way: Arc<Way>,
    /// Connections somebody has answered on, for the next calls.
    idle: Arc<Mutex<Vec<Open>>>,
    /// For connections from elsewhere.
    turns: Arc<Semaphore>,
    /// `ssh` may ask the person at the terminal.
    asks: Arc<AtomicBool>,
    /// Told once when the daemon is of another version.
    notice: Option<fn(&str)>,
    noticed: Arc<AtomicBool>,
}

/// The header in which a daemon says its version.
pub const VERSION_HEADER: &str = "x-beadle-version";
/// What a connection becomes that is to reach a keeper (RFC 9110, 7.8).
pub const ATTACH_PROTOCOL: &str = "beadle-attach";

impl Client {
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self::to(Way::Socket(socket.into()))
    }

    pub fn to(way: Way) -> Self {
        Self {
            way: Arc::new(way),
            idle: Arc::default(),
            turns: Arc::new(Semaphore::new(MOST)),
            asks: Arc::new(AtomicBool::new(true)),
            notice: None,
            noticed: Arc::default(),
        }
    }

    /// Calls `notice` with the daemon's version, once, when it is not ours.
    #[must_use]
    pub fn with_notice(self, notice: fn(&str)) -> Self {
        Self { notice: Some(notice), ..self }
    }

    pub fn way(&self) -> &Way {
        &self.way
    }

    /// From now on nobody is asked anything at the terminal: it is somebody else's.
    pub fn ask_nobody(&self) {
        self.asks.store(false, Ordering::Relaxed);
    }

    /// One more call would wait for its turn, which says nothing about the daemon.
    pub fn is_busy(&self) -> bool {
        self.way.is_elsewhere() && self.turns.available_permits() == 0
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

    /// Finds out whether anybody answers, and keeps the connection for the next call: a daemon about to end still takes
    /// connections, and what was never answered must not have been an order.
    pub async fn greet(&self) -> Result<(), ClientError> {
        let mut open = self.open().await?;
        let greeted = self.say(&mut open, "GET", "/api/version", Bytes::new()).await?;
        accepted("GET", "/api/version", greeted)?;
        self.keep(open);
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
        self.get(&format!("/api/sessions/{}", named(id)?)).await
    }

    pub async fn health(&self) -> Result<HealthReport, ClientError> {
        self.get("/api/active-sessions").await
    }

    pub async fn screen(&self, id: &str) -> Result<Screen, ClientError> {
        self.get(&format!("/api/sessions/{}/screen", named(id)?)).await
    }

    /// Recorded output from `from` on (bytes since the session began); with `wait` not before there is some,
    /// the session has ended, or 30 s have passed.
    pub async fn log(&self, id: &str, from: u64, wait: bool) -> Result<LogChunk, ClientError> {
        let path = format!("/api/sessions/{}/log?from={from}&wait={wait}", named(id)?);
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

    pub async fn rename(&self, id: &str, request: &RenameRequest) -> Result<Session, ClientError> {
        self.post(&format!("/api/sessions/{}/rename", named(id)?), request).await
    }

    pub async fn restart(&self, id: &str, request: &RestartRequest) -> Result<Restarted, ClientError> {
        self.post(&format!("/api/sessions/{}/restart", named(id)?), request).await
    }

    /// A new session that goes on with the conversation of one that has ended.
    pub async fn resume(&self, id: &str, request: &RestartRequest) -> Result<Started, ClientError> {
        self.post(&format!("/api/sessions/{}/resume", named(id)?), request).await
    }

    pub async fn send(&self, id: &str, request: &SendRequest) -> Result<Session, ClientError> {
        self.post(&format!("/api/sessions/{}/send", named(id)?), request).await
    }

    /// What an agent says of itself through a hook, in its own word.
    pub async fn says(&self, id: &str, word: &str) -> Result<Session, ClientError> {
        let path = format!("/api/heartbeat?session_id={}&says={}", path_segment(id), path_segment(word));
        self.post(&path, &serde_json::json!({})).await
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
        let path = format!("/api/sessions/{}/export", named(id)?);
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
        // The semaphore is never closed.
        let _turn = if self.way.is_elsewhere() { self.turns.acquire().await.ok() } else { None };
        while let Some(mut open) = self.kept() {
            if open.line.ready().await.is_err() {
                continue;
            }
            let began = tokio::time::Instant::now();
            match self.say(&mut open, method, path, body.clone()).await {
                // Hung up on between two calls: what asks may ask again, what orders only if it was never sent. A
                // connection that broke later is lost, and the caller is told.
                Err(Unsaid { sent: false, .. }) => {}
                Err(Unsaid { error, .. })
                    if method == "GET" && error.is_no_answer() && began.elapsed() < BETWEEN_CALLS => {}
                said => return self.done(open, said),
            }
        }
        let mut open = self.open().await?;
        let said = self.say(&mut open, method, path, body).await;
        self.done(open, said)
    }

    fn done(&self, open: Open, said: Result<Answer, Unsaid>) -> Result<Answer, ClientError> {
        // One that is about to end hangs up.
        let goes_on = |answer: &Answer| answer.status != hyper::StatusCode::SERVICE_UNAVAILABLE;
        if said.as_ref().is_ok_and(goes_on) && self.way.is_elsewhere() {
            self.keep(open);
        }
        said.map_err(ClientError::from)
    }

    fn kept(&self) -> Option<Open> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn keep(&self, open: Open) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(open);
    }

    async fn open(&self) -> Result<Open, ClientError> {
        self.way.open(self.asks.load(Ordering::Relaxed)).await
    }

    async fn say(&self, open: &mut Open, method: &str, path: &str, body: Bytes) -> Result<Answer, Unsaid> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = if method == "GET" { hyper::Method::GET } else { hyper::Method::POST };
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let response = self.head(open, request, path).await?;
        let (head, body) = response.into_parts();
        let body = match body.collect().await {
            Ok(body) => body.to_bytes(),
            Err(e) => return Err(Unsaid { sent: true, error: self.lost(open, e).await }),
        };
        self.compare_versions(&head.headers);
        Ok(Answer { status: head.status, headers: head.headers, body })
    }

    /// One request, up to the head of its answer.
    async fn head(
        &self,
        open: &mut Open,
        mut request: Request<Full<Bytes>>,
        path: &str,
    ) -> Result<hyper::Response<Incoming>, Unsaid> {
        *request.uri_mut() = path.parse().unwrap_or_else(|_| hyper::Uri::from_static("/"));
        let headers = request.headers_mut();
        headers.insert(HOST, HeaderValue::try_from(&open.host).unwrap_or(HeaderValue::from_static("beadle")));
        if let Some(token) = open.token.as_ref().and_then(|token| HeaderValue::try_from(token).ok()) {
            headers.insert(AUTHORIZATION, token);
        }
        let response = match open.line.send_request(request).await {
            Ok(response) => response,
            Err(e) => return Err(Unsaid { sent: !e.is_canceled(), error: self.lost(open, e).await }),
        };
        // Who refuses a stranger does not say who it is.
        let is_refusal = [401, 403].contains(&response.status().as_u16());
        if self.way.is_elsewhere() && !is_refusal && !response.headers().contains_key(VERSION_HEADER) {
            return Err(Unsaid { sent: true, error: ClientError::NotBeadle(self.way.to_string()) });
        }
        open.answered = true;
        Ok(response)
    }

    /// What the end of a connection means.
    async fn lost(&self, open: &mut Open, source: hyper::Error) -> ClientError {
        let at = self.way.to_string();
        if !self.way.is_elsewhere() {
            return ClientError::Broken { at, source };
        }
        if source.is_parse() && !open.answered {
            return ClientError::NotBeadle(at);
        }
        let (why, status) = match &mut open.said {
            Some(said) => said.why().await,
            None => (reason(&source), None),
        };
        if open.answered { ClientError::Lost { at, why } } else { ClientError::Unreached { at, why, status } }
    }

    /// How the keeper of a session is reached: its socket, or from elsewhere the session's id.
    pub fn door(&self, detail: &Detail) -> Option<String> {
        let is_elsewhere = self.way.is_elsewhere();
        detail.keeper_socket.as_ref().map(|socket| if is_elsewhere { &detail.session.id } else { socket }.clone())
    }

    /// A connection to the keeper behind such a door: straight there on this machine, through the daemon from elsewhere.
    pub async fn enter(&self, door: &str) -> Result<UnixStream, ClientError> {
        if !self.way.is_elsewhere() {
            let connected = crate::sys::socket::connect_async(std::path::Path::new(door)).await;
            return connected.map_err(|source| ClientError::Connect { at: door.into(), source });
        }
        let mut open = self.open().await?;
        let path = format!("/api/sessions/{}/attach", path_segment(door));
        let mut request = Request::new(Full::new(Bytes::new()));
        request.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
        request.headers_mut().insert(UPGRADE, HeaderValue::from_static(ATTACH_PROTOCOL));
        let response = self.head(&mut open, request, &path).await?;
        if response.status() == hyper::StatusCode::SWITCHING_PROTOCOLS {
            let at = self.way.to_string();
            return open.become_bytes(response).map_err(|source| ClientError::Connect { at, source });
        }
        let (head, body) = response.into_parts();
        let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let answer = Answer { status: head.status, headers: head.headers, body };
        let unexpected =
            |_| Refusal::new(Code::Internal, "the daemon does not know how to attach from elsewhere").into();
        Err(accepted("GET", &path, answer).map_or_else(|e| e, unexpected))
    }

    /// Waits until the daemon answers, at most `patience`.
    pub async fn until_up(&self, patience: Duration) -> Result<DaemonStatus, ClientError> {
        let end = tokio::time::Instant::now() + patience;
        loop {
            match self.daemon().await {
                Err(error) if error.is_no_answer() && tokio::time::Instant::now() < end => {
                    tokio::time::sleep(Duration::from_millis(3)).await;
                }
                answer => return answer,
            }
        }
    }
}

/// A call without an answer; whether it can have got there.
struct Unsaid {
    sent: bool,
    error: ClientError,
}

impl From<Unsaid> for ClientError {
    fn from(unsaid: Unsaid) -> Self {
        unsaid.error
    }
}

/// The innermost cause, which is the one that says something.
fn reason(error: &hyper::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
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

/// The segment of a path that names a session. Nothing would name them all.
fn named(id: &str) -> Result<String, ClientError> {
    if id.is_empty() {
        return Err(Refusal::from(NotChosen::None(String::new())).into());
    }
    Ok(path_segment(id))
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
        while client.idle.lock().unwrap().iter().any(|open| !open.line.is_closed()) {
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
