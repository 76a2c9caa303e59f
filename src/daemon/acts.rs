//! HTTP: what is done with one session, named in the path.

use axum::Extension;
use axum::body::Bytes;
use axum::http::Uri;
use schemars::JsonSchema;
use serde::Deserialize;

use super::foreign::pane;
use super::handle::{Command, Handle, Reply};
use super::resume;
use super::server::{Answer, KEEPER, Path, Peer, Refused, Verbs, beside, need, ok, queried, read};
use crate::api::refusal::{Code, Refusal};
use crate::api::types::{Accepted, Act, KillRequest, RenameRequest, RestartRequest, Restarted, SendRequest, Session};
use crate::api::wire::Request;
use crate::model::keys;
use crate::model::session::{ExitBy, State};

/// Bytes typed at once.
const PIECE: usize = 4 << 10;

/// What a terminal sends for the Enter key.
const ENTER: &[u8] = b"\r";

/// The query of every order to one session.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Wait {
    /// `false`: answer once it has begun.
    wait: Option<bool>,
}

/// Answers with the report, or as soon as the order is accepted. Orders are taken one after the other and refused at
/// once: when a question that was asked after it is answered, it has begun.
async fn done<T: serde::Serialize>(
    handle: &Handle,
    uri: &Uri,
    session_id: String,
    command: impl FnOnce(Reply<T>) -> Command,
) -> Answer {
    let Wait { wait } = queried(uri)?;
    let order = handle.ask(command);
    if wait.unwrap_or(true) {
        return ok(&order.await?);
    }
    tokio::select! {
        biased;
        done = order => drop(done?),
        after = handle.ask(|reply| Command::Status { reply }) => drop(after?),
    }
    ok(&Accepted { accepted: true, session_id })
}

pub(super) async fn kill(
    Verbs(handle): Verbs,
    Extension(peer): Extension<Peer>,
    Path(word): Path<String>,
    uri: Uri,
    body: Bytes,
) -> Answer {
    let mut request: KillRequest = read(&body)?;
    let id = id_of(&handle, word).await?;
    // The path names it; a glob in a path is a name like any other.
    request.targets = vec![id.clone()];
    let asked = peer.asks("kill").await;
    done(&handle, &uri, id, |reply| Command::Kill { request, by: ExitBy::User, asked, reply }).await
}

async fn id_of(handle: &Handle, word: String) -> Result<String, Refusal> {
    let (detail, ..) = handle.ask(|reply| Command::Detail { word, reply }).await?;
    Ok(detail.session.id)
}

async fn act(handle: &Handle, verb: Act, word: String, uri: &Uri) -> Answer {
    let id = id_of(handle, word).await?;
    done(handle, uri, id.clone(), |reply| Command::Act { verb, targets: vec![id], reply }).await
}

pub(super) async fn pause(Verbs(handle): Verbs, Path(word): Path<String>, uri: Uri) -> Answer {
    act(&handle, Act::Pause, word, &uri).await
}

pub(super) async fn unpause(Verbs(handle): Verbs, Path(word): Path<String>, uri: Uri) -> Answer {
    act(&handle, Act::Unpause, word, &uri).await
}

pub(super) async fn pin(Verbs(handle): Verbs, Path(word): Path<String>, uri: Uri) -> Answer {
    act(&handle, Act::Pin, word, &uri).await
}

pub(super) async fn unpin(Verbs(handle): Verbs, Path(word): Path<String>, uri: Uri) -> Answer {
    act(&handle, Act::Unpin, word, &uri).await
}

pub(super) async fn rm(Verbs(handle): Verbs, Path(word): Path<String>, uri: Uri) -> Answer {
    act(&handle, Act::Rm, word, &uri).await
}

pub(super) async fn rename(Verbs(handle): Verbs, Path(word): Path<String>, body: Bytes) -> Answer {
    let request: RenameRequest = need(&body)?;
    ok(&handle.ask(|reply| Command::Rename { word, request, reply }).await?)
}

pub(super) async fn restart(
    Verbs(handle): Verbs,
    Extension(peer): Extension<Peer>,
    Path(word): Path<String>,
    uri: Uri,
    body: Bytes,
) -> Answer {
    let Wait { wait } = queried(&uri)?;
    let request = Box::new(read::<RestartRequest>(&body)?);
    let (before, ..) = handle.ask(|reply| Command::Detail { word, reply }).await?;
    let before = before.session;
    let asked = peer.asks("restart").await;
    // One that lives has its environment in its keeper.
    let is_ours = before.state == State::Ended && !request.env_whole;
    let notes = is_ours.then(|| resume::DAEMONS_ENVIRONMENT.to_string()).into_iter().collect();
    let word = before.id.clone();
    let order = |reply| Command::Restart { word, request, asked, reply };
    if !wait.unwrap_or(true) {
        return done(&handle, &uri, before.id, order).await;
    }
    handle.ask(order).await?;
    ok(&Restarted { session: in_its_new_run(&handle, before).await?, notes })
}

/// The row of a session once its keeper has said who leads it now, unless that has ended already.
async fn in_its_new_run(handle: &Handle, before: Session) -> Result<Session, Refusal> {
    let mut generation = handle.generation.clone();
    let end = tokio::time::Instant::now() + KEEPER;
    loop {
        generation.borrow_and_update();
        let word = before.id.clone();
        let (detail, ..) = handle.ask(|reply| Command::Detail { word, reply }).await?;
        let row = detail.session;
        let is_new = row.leader_pid.is_some() && row.leader_pid != before.leader_pid;
        if is_new || row.state == State::Ended {
            return Ok(row);
        }
        // A daemon that ends, and a keeper that says nothing, are no reason to wait.
        if !matches!(tokio::time::timeout_at(end, generation.changed()).await, Ok(Ok(()))) {
            return Ok(row);
        }
    }
}

pub(super) async fn resume(Verbs(handle): Verbs, Path(word): Path<String>, uri: Uri, body: Bytes) -> Answer {
    let request = Box::new(read::<RestartRequest>(&body)?);
    let id = id_of(&handle, word).await?;
    done(&handle, &uri, id.clone(), |reply| Command::Resume { word: id, request, reply }).await
}

pub(super) async fn send(Verbs(handle): Verbs, Path(word): Path<String>, uri: Uri, body: Bytes) -> Answer {
    let Wait { wait } = queried(&uri)?;
    let request: SendRequest = read(&body)?;
    let mut bytes = typed(&request, ENTER)?;
    if let Some((row, pane)) = handle.ask(|reply| Command::Pane { word: word.clone(), typing: true, reply }).await? {
        let session_id = row.id.clone();
        let sending = beside(move || pane::send(&pane, &request).map(|()| row));
        if !wait.unwrap_or(true) {
            tokio::spawn(sending);
            return ok(&Accepted { accepted: true, session_id });
        }
        return ok(&sending.await?);
    }
    let (row, link, pipe) = handle.ask(|reply| Command::Type { word, reply }).await?;
    if pipe {
        // No terminal makes a newline of what the key sends.
        bytes = typed(&request, b"\n")?;
    }
    let session_id = row.id.clone();
    let sending = async move {
        let gone = || Refusal::new(Code::KeeperSilent, format!("the keeper of {} does not answer", row.name));
        // In pieces that fit into the keeper's socket, each taken before the next.
        for piece in bytes.chunks(PIECE) {
            let asked = link.ask(|seq| Request::Type { seq, bytes: piece.to_vec() }).map_err(|_| gone())?;
            tokio::time::timeout(KEEPER, asked).await.map_err(|_| gone())?.map_err(|_| gone())?;
        }
        Ok::<Session, Refusal>(row)
    };
    if wait.unwrap_or(true) {
        return ok(&sending.await?);
    }
    tokio::spawn(sending);
    ok(&Accepted { accepted: true, session_id })
}

/// What is asked to be typed, where the Enter key is this.
fn typed(request: &SendRequest, enter: &[u8]) -> Result<Vec<u8>, Refused> {
    let mut bytes = request.text.clone().unwrap_or_default().into_bytes();
    if let Some(key) = &request.key {
        let unknown = || {
            Refusal::new(Code::BadRequest, format!("{key:?} is no key: write C-c, M-x, Enter, Escape, Tab, Up, F5, …"))
        };
        let key = keys::bytes(key).ok_or_else(unknown)?;
        bytes.extend(if key == ENTER { enter } else { &key });
    }
    if request.enter {
        bytes.extend(enter);
    }
    if bytes.is_empty() {
        return Err(Refusal::new(Code::BadRequest, "nothing to send: give text, a key, or enter").into());
    }
    Ok(bytes)
}
