//! HTTP over the Unix socket: routes to commands, refusals to statuses.

use std::net::SocketAddr;
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{DefaultBodyLimit, FromRequestParts, Query, Request as HttpRequest};
use axum::http::request::Parts;
use axum::http::{Response, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::IntoResponse;
use axum::{Extension, Router};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::foreign::pane;
use super::handle::{Command, Handle};
use super::{openapi, sampler};
use crate::api::client::VERSION_HEADER;
use crate::api::record;
use crate::api::refusal::{Code, Refusal};
use crate::api::types::{
    ActRequest, CloseAllRequest, Disk, ErrorBody, ErrorText, KillRequest, LogChunk, Message, Restarting, Screen,
    SignalRequest, StartRequest, StopRequest, Version,
};
use crate::api::wire::Request;
use crate::model::session::{Asked, ExitBy, ProcId};
use crate::model::text::printable_within;
use crate::sys::table::Tags;
use crate::sys::{failpoint, host, process, signal, spawn};

/// Longest body, in bytes: an environment and a command line fit many times.
const MAX_BODY: usize = 8 << 20;
/// How long a body may take to come whole.
const BODY: Duration = Duration::from_secs(30);
/// How long a long poll waits.
const POLL: Duration = Duration::from_secs(30);
/// How long a client may take to be named.
const NAMED: Duration = Duration::from_millis(50);
/// How long a keeper may take to answer.
pub(super) const KEEPER: Duration = Duration::from_secs(2);

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy)]
pub enum Peer {
    /// A process of this machine.
    Process { pid: i32, uid: u32 },
    /// Somebody with the token, over TCP. The kernel does not say which process, nor whose.
    Address(SocketAddr),
}

impl Peer {
    /// Who asks for this. What it calls itself is read while it waits for its answer; a process that cannot be read in time
    /// is a number.
    pub(super) async fn asks(self, verb: &str) -> Option<Asked> {
        let (pid, uid) = match self {
            Self::Process { pid, uid } => (pid, uid),
            Self::Address(at) => {
                // Acts as whoever wrote the token down: the user of this daemon.
                let command = format!("over TCP from {at}");
                return Some(Asked { verb: verb.into(), uid: spawn::own_uid(), pid: 0, command });
            }
        };
        let read = tokio::task::spawn_blocking(move || process::command(pid));
        let command = tokio::time::timeout(NAMED, read).await.ok().and_then(Result::ok).unwrap_or_default();
        Some(Asked { verb: verb.into(), uid, pid, command: printable_within(&command, 300) })
    }
}

pub(super) type Answer = Result<Response<Body>, Refused>;

/// A refusal on its way out.
pub(super) struct Refused(pub(super) Refusal);

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response<Body> {
        let Refusal { code, message } = self.0;
        let body = ErrorBody { error: ErrorText { code: code.as_str().into(), message } };
        json(StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), &body)
    }
}

fn json<T: serde::Serialize>(status: StatusCode, body: &T) -> Response<Body> {
    match serde_json::to_vec(body) {
        Ok(bytes) => (status, [("content-type", "application/json")], bytes).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the end of every handler")]
pub(super) fn ok<T: serde::Serialize>(body: &T) -> Answer {
    Ok(json(StatusCode::OK, body))
}

/// A body, or all defaults when there is none.
pub(super) fn read<T: DeserializeOwned + Default>(body: &Bytes) -> Result<T, Refused> {
    if body.trim_ascii().is_empty() {
        return Ok(T::default());
    }
    need(body)
}

pub(super) fn need<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refused> {
    serde_json::from_slice(body)
        .map_err(|e| Refusal::new(Code::BadRequest, format!("failed to read the request: {e}")).into())
}

pub(super) fn queried<T: DeserializeOwned>(uri: &Uri) -> Result<T, Refused> {
    let read = Query::try_from_uri(uri).map(|Query(query)| query);
    read.map_err(|e| Refusal::new(Code::BadRequest, format!("failed to read the query: {}", e.body_text())).into())
}

/// The same for every connection, made once: who asks travels with the request ([`Verbs`]).
pub fn routes() -> Router {
    static ROUTES: LazyLock<Router> = LazyLock::new(|| {
        let router = openapi::routes()
            .into_iter()
            .fold(Router::new(), |router, route| router.route(route.path, strict(route)))
            .fallback(unknown)
            .method_not_allowed_fallback(not_allowed);
        bounded(router, failpoint::shortened(BODY)).layer(axum::middleware::map_response(signed))
    });
    ROUTES.clone()
}

/// A route that takes no keys takes none in silence either.
fn strict(route: openapi::Route) -> axum::routing::MethodRouter {
    if route.takes.is_some() || route.method == "get" {
        return route.handler;
    }
    route.handler.layer(axum::middleware::from_fn(async |request: HttpRequest, next: Next| {
        let (head, body) = request.into_parts();
        // Whole already, and no longer than it may be.
        let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        match read::<serde_json::Map<_, serde_json::Value>>(&body) {
            Err(refused) => refused.into_response(),
            Ok(keys) => match keys.keys().next() {
                Some(key) => {
                    let key = printable_within(key, 60);
                    let why = format!("failed to read the request: unknown field `{key}`, there are no fields");
                    Refused(Refusal::new(Code::BadRequest, why)).into_response()
                }
                None => next.run(HttpRequest::from_parts(head, Body::from(body))).await,
            },
        }
    }))
}

/// The words of a path. What cannot be read is refused as everything is.
pub(super) struct Path<T>(pub T);

impl<T, S> FromRequestParts<S> for Path<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let read = axum::extract::Path::from_request_parts(parts, state).await;
        let failed = |e: axum::extract::rejection::PathRejection| {
            Refusal::new(Code::BadRequest, format!("failed to read the path: {}", e.body_text()))
        };
        Ok(Self(read.map_err(failed)?.0))
    }
}

/// The verbs, for whoever is at the other end.
pub(super) struct Verbs(pub Handle);

impl<S: Sync> FromRequestParts<S> for Verbs {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        let nobody = || Refusal::new(Code::Internal, "nobody is known to ask for this");
        Ok(Self(parts.extensions.get::<Handle>().cloned().ok_or_else(nobody)?))
    }
}

/// Nobody is served before the whole request is there, and nobody sends it without end.
fn bounded(router: Router, patience: Duration) -> Router {
    let whole = axum::middleware::from_fn(move |request: HttpRequest, next: Next| async move {
        let (head, body) = request.into_parts();
        let too_large = || Refusal::new(Code::TooLarge, format!("a request has at most {MAX_BODY} bytes"));
        if body.size_hint().lower() > MAX_BODY as u64 {
            return hang_up(too_large());
        }
        match tokio::time::timeout(patience, Limited::new(body, MAX_BODY).collect()).await {
            Ok(Ok(body)) => {
                let body = body.to_bytes();
                match has_keys(&body) {
                    Ok(()) => next.run(HttpRequest::from_parts(head, Body::from(body))).await,
                    Err(refusal) => Refused(refusal).into_response(),
                }
            }
            Ok(Err(error)) if error.is::<LengthLimitError>() => hang_up(too_large()),
            Ok(Err(error)) => hang_up(Refusal::new(Code::BadRequest, format!("failed to read the request: {error}"))),
            Err(_) => {
                let why = format!("the request did not come whole within {} s: send it at once", patience.as_secs());
                hang_up(Refusal::new(Code::TooSlow, why))
            }
        }
    });
    router.layer(DefaultBodyLimit::disable()).layer(whole)
}

/// Every body is one JSON object, or nothing: an array would be read by position, and no name would be looked at.
fn has_keys(body: &[u8]) -> Result<(), Refusal> {
    match body.trim_ascii().first() {
        None | Some(b'{') => Ok(()),
        Some(_) => Err(Refusal::new(Code::BadRequest, "the request must be one JSON object, such as {}")),
    }
}

/// What is still to come of a request is not read.
pub(super) fn hang_up(refusal: Refusal) -> Response<Body> {
    let mut response = Refused(refusal).into_response();
    let close = axum::http::HeaderValue::from_static("close");
    response.headers_mut().insert(axum::http::header::CONNECTION, close);
    response
}

/// Every answer says which version gave it.
async fn signed(mut response: Response<Body>) -> Response<Body> {
    let version = axum::http::HeaderValue::from_static(env!("CARGO_PKG_VERSION"));
    response.headers_mut().insert(VERSION_HEADER, version);
    response
}

async fn unknown(uri: Uri) -> Refused {
    Refusal::new(Code::NotFound, format!("there is nothing at {}", uri.path())).into()
}

async fn not_allowed(method: axum::http::Method, uri: Uri) -> Response<Body> {
    let message = format!("{method} is not for {}", uri.path());
    json(StatusCode::METHOD_NOT_ALLOWED, &ErrorBody { error: ErrorText { code: "method-not-allowed".into(), message } })
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct Look {
    /// With the ended ones.
    #[serde(default)]
    all: bool,
    /// Measured anew.
    #[serde(default)]
    sample: bool,
    /// With plain shells in tmux panes.
    #[serde(default)]
    shells: bool,
    /// Waits until the table is newer than this generation, 30 s at most.
    newer_than: Option<u64>,
}

pub(super) async fn sessions(Verbs(handle): Verbs, uri: Uri) -> Answer {
    let look: Look = queried(&uri)?;
    if let Some(known) = look.newer_than {
        handle.tell(Command::Watch);
        let mut generation = handle.generation.clone();
        let newer = generation.wait_for(|g| *g > known);
        // In time or not: the present table is the answer.
        let _ = tokio::time::timeout(POLL, newer).await;
        handle.tell(Command::Watch);
    } else if look.sample {
        handle.ask(|reply| Command::Sample { reply }).await?;
    }
    ok(&handle.ask(|reply| Command::Table { all: look.all, shells: look.shells, reply }).await?)
}

pub(super) async fn health(Verbs(handle): Verbs) -> Answer {
    Ok(([("content-type", "application/json")], handle.overview.get(&handle).await?).into_response())
}

pub(super) async fn session(Verbs(handle): Verbs, Path(word): Path<String>) -> Answer {
    handle.ask(|reply| Command::Sample { reply }).await?;
    let (mut detail, ask, ground) = handle.ask(|reply| Command::Detail { word, reply }).await?;
    if let (Some(socket), Some(keeper)) = (&detail.keeper_socket, ask.claim.keeper) {
        found_again(std::path::Path::new(socket), keeper).await;
    }
    let tree = tokio::task::spawn_blocking(move || sampler::tree(&ask, &ground, &Mutex::new(Tags::default())));
    // Reading a command line can block on a hung process: without an answer the tree is empty.
    if let Ok(Ok(Ok(tree))) = tokio::time::timeout(KEEPER, tree).await {
        detail.tree = tree;
    }
    ok(&detail)
}

/// A keeper whose socket was lost (a logout, a cleaned `/tmp`) makes it anew before anybody is sent there.
pub(super) async fn found_again(socket: &std::path::Path, keeper: ProcId) {
    if socket.exists() || !signal::wake(keeper) {
        return;
    }
    let end = tokio::time::Instant::now() + KEEPER;
    while !socket.exists() && tokio::time::Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

pub(super) async fn screen(Verbs(handle): Verbs, Path(word): Path<String>) -> Answer {
    if let Some((_, pane)) = handle.ask(|reply| Command::Pane { word: word.clone(), typing: false, reply }).await? {
        return ok(&beside(move || pane::screen(&pane)).await?);
    }
    let (row, link) = handle.ask(|reply| Command::Link { word, reply }).await?;
    let gone = || Refusal::new(Code::KeeperSilent, format!("the keeper of {} does not answer", row.name));
    let asked = link.ask(|seq| Request::Screen { seq }).map_err(|_| gone())?;
    let answer = tokio::time::timeout(KEEPER, asked).await.map_err(|_| gone())?.map_err(|_| gone())?;
    let s = answer.screen.ok_or_else(gone)?;
    ok(&Screen { cols: s.cols, rows: s.rows, title: s.title, text: s.text, ansi: s.ansi, cursor: s.cursor })
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct Since {
    /// Bytes since the session began.
    #[serde(default)]
    from: u64,
    /// Not before there is some, 30 s at most.
    #[serde(default)]
    wait: bool,
}

pub(super) async fn log(Verbs(handle): Verbs, Path(word): Path<String>, uri: Uri) -> Answer {
    let since: Since = queried(&uri)?;
    let end = tokio::time::Instant::now() + POLL;
    loop {
        let word = word.clone();
        let files = handle.ask(|reply| Command::Files { word, reply }).await?;
        let nothing_new = files.recorded.is_some_and(|recorded| recorded <= since.from);
        if since.wait && nothing_new && !files.ended && tokio::time::Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        }
        let read = tokio::task::spawn_blocking(move || record::since(&files.dir, since.from)).await;
        let failed = |e: String| Refusal::new(Code::Internal, format!("failed to read the recording: {e}"));
        let mut chunk = read.map_err(|e| failed(e.to_string()))?.map_err(|e| failed(e.to_string()))?;
        chunk.ended = files.ended;
        let anything = chunk.next > since.from || chunk.ended;
        if anything || !since.wait || tokio::time::Instant::now() >= end {
            return Ok(log_response(chunk));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn log_response(chunk: LogChunk) -> Response<Body> {
    let headers = [
        ("content-type", "application/octet-stream".to_string()),
        ("x-beadle-next", chunk.next.to_string()),
        ("x-beadle-missing", chunk.missing.to_string()),
        ("x-beadle-ended", u8::from(chunk.ended).to_string()),
    ];
    (headers, chunk.bytes).into_response()
}

pub(super) async fn start(Verbs(handle): Verbs, body: Bytes) -> Answer {
    let request = Box::new(read::<StartRequest>(&body)?);
    let started = handle.ask(|reply| Command::Start { request, reply }).await?;
    Ok(json(StatusCode::CREATED, &started))
}

pub(super) async fn kill(Verbs(handle): Verbs, Extension(peer): Extension<Peer>, body: Bytes) -> Answer {
    let request: KillRequest = read(&body)?;
    let asked = peer.asks("kill").await;
    ok(&handle.ask(|reply| Command::Kill { request, by: ExitBy::User, asked, reply }).await?)
}

pub(super) async fn act(Verbs(handle): Verbs, body: Bytes) -> Answer {
    let ActRequest { verb, targets } = need(&body)?;
    ok(&handle.ask(|reply| Command::Act { verb, targets, reply }).await?)
}

pub(super) async fn signal_group(Verbs(handle): Verbs, body: Bytes) -> Answer {
    let request: SignalRequest = need(&body)?;
    ok(&handle.ask(|reply| Command::Signal { request, reply }).await?)
}

pub(super) async fn close_all(Verbs(handle): Verbs, Extension(peer): Extension<Peer>, body: Bytes) -> Answer {
    let request: CloseAllRequest = read(&body)?;
    let asked = peer.asks("close-all").await;
    ok(&handle.ask(|reply| Command::CloseAll { request, by: ExitBy::User, asked, reply }).await?)
}

pub(super) async fn sweep(Verbs(handle): Verbs, Extension(peer): Extension<Peer>, body: Bytes) -> Answer {
    let (request, asked) = (read(&body)?, peer.asks("sweep").await);
    ok(&handle.ask(|reply| Command::Sweep { request, asked, reply }).await?)
}

pub(super) async fn emergency(Verbs(handle): Verbs, Extension(peer): Extension<Peer>, body: Bytes) -> Answer {
    let (request, asked) = (read(&body)?, peer.asks("emergency").await);
    ok(&handle.ask(|reply| Command::Emergency { request, asked, reply }).await?)
}

pub(super) async fn release(Verbs(handle): Verbs) -> Answer {
    ok(&handle.ask(|reply| Command::Release { reply }).await?)
}

/// What asks tmux may take its time, on a thread of its own.
pub(super) async fn beside<T: Send + 'static>(
    ask: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let lost = |e: tokio::task::JoinError| Refusal::new(Code::Internal, e.to_string());
    tokio::task::spawn_blocking(ask).await.map_err(lost)?
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct Beat {
    session_id: Option<String>,
    /// No beat: what the agent says it does, in its own word; for hooks.
    says: Option<String>,
}

pub(super) async fn heartbeat(Verbs(handle): Verbs, uri: Uri) -> Answer {
    let beat: Beat = queried(&uri)?;
    let word = beat
        .session_id
        .ok_or_else(|| Refusal::new(Code::BadRequest, "session_id is missing: POST /api/heartbeat?session_id=ID"))?;
    let says = beat.says;
    ok(&handle.ask(|reply| Command::Heartbeat { word, says, reply }).await?)
}

/// Asked before every order: it costs nothing and moves nothing.
pub(super) async fn version() -> Answer {
    ok(&Version { version: env!("CARGO_PKG_VERSION").into() })
}

/// How long a file system may take to say how full it is.
const DISK: Duration = Duration::from_millis(300);

pub(super) async fn status(Verbs(handle): Verbs) -> Answer {
    let mut status = handle.ask(|reply| Command::Status { reply }).await?;
    if let Some(host) = &mut status.host {
        let dir = std::path::PathBuf::from(&status.state_dir);
        let asked = tokio::task::spawn_blocking(move || host::disk(&dir));
        let room = tokio::time::timeout(DISK, asked).await.ok().and_then(Result::ok).flatten();
        host.disk = room.map(|(free_bytes, bytes)| Disk { free_bytes, bytes });
    }
    ok(&status)
}

pub(super) async fn stop(Verbs(handle): Verbs, Extension(peer): Extension<Peer>, body: Bytes) -> Answer {
    let request: StopRequest = read(&body)?;
    let asked = peer.asks("stop").await;
    let report = handle.ask(|reply| Command::Shutdown { keep: request.keep, asked, reply }).await?;
    ok(&report)
}

pub(super) async fn again(Verbs(handle): Verbs) -> Answer {
    handle.ask(|reply| Command::Again { reply }).await?;
    ok(&Restarting { restarting: true })
}

pub(super) async fn reload(Verbs(handle): Verbs) -> Answer {
    let message = handle.ask(|reply| Command::Reload { reply }).await?;
    ok(&Message { message })
}

#[cfg(test)]
mod tests {
    use axum::routing::post;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// The answer to this head and beginning of a body, sent by somebody who then says no more.
    async fn answer(beginning: &str) -> String {
        let (mut client, ours) = tokio::net::UnixStream::pair().unwrap();
        let router = bounded(Router::new().route("/", post(async |body: Bytes| body)), Duration::from_millis(50));
        let service = hyper_util::service::TowerToHyperService::new(router);
        let io = hyper_util::rt::TokioIo::new(ours);
        tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(io, service));
        client.write_all(beginning.as_bytes()).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_whole_is_refused_and_the_connection_closed() {
        for body in ["content-length: 9\r\n\r\nhalf", "transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n"] {
            let said = answer(&format!("POST / HTTP/1.1\r\nhost: b\r\n{body}")).await;
            assert!(said.starts_with("HTTP/1.1 408") && said.contains("\"too-slow\""), "{said}");
        }
    }

    #[tokio::test]
    async fn a_body_that_is_too_large_is_refused_and_the_connection_closed() {
        let said = answer(&format!("POST / HTTP/1.1\r\nhost: b\r\ncontent-length: {}\r\n\r\nx", MAX_BODY + 1)).await;
        assert!(said.starts_with("HTTP/1.1 413") && said.contains("\"too-large\""), "{said}");
    }

    #[tokio::test]
    async fn a_whole_body_arrives_as_it_was() {
        let said =
            answer("POST / HTTP/1.1\r\nhost: b\r\nconnection: close\r\ncontent-length: 4\r\n\r\n{12}whole").await;
        assert!(said.starts_with("HTTP/1.1 200") && said.ends_with("{12}"), "{said}");
    }

    #[test]
    fn a_body_is_one_object_or_nothing() {
        for good in ["", " \r\n", "{}", " {\"a\":1}"] {
            assert_eq!(has_keys(good.as_bytes()), Ok(()), "{good}");
        }
        for bad in ["[]", " [{}]", "null", "\"{}\"", "1", "reason=x"] {
            assert_eq!(has_keys(bad.as_bytes()).unwrap_err().code, Code::BadRequest, "{bad}");
        }
    }
}
