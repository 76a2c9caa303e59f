//! HTTP: what is remembered. Reads beside the supervisor; only who lives now is asked of it.

use axum::body::Body;
use axum::http::{Response, Uri};
use axum::response::IntoResponse;
use std::time::Duration;

use super::handle::{Command, Files, Handle};
use super::sampler;
use super::server::{Answer, Path, Verbs, ok, queried};
use crate::api::cast::{self, About};
use crate::api::memory::{Filter, LastClose, Past};
use crate::api::record;
use crate::api::refusal::{Code, Refusal};
use crate::api::tar::{self, Part};
use crate::api::types::{Detail, Evidence, Process, Session};
use crate::api::wire::{Request, ScreenFact};
use crate::model::session::State as Life;
use crate::sys::clock;
use crate::sys::table::Tags;

/// How long a keeper, or hung processes, may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long all the reading and packing may take.
const PACKING: Duration = Duration::from_secs(60);

/// The query, with its times as they stand in the database.
fn filter(uri: &Uri) -> Result<Filter, Refusal> {
    let filter: Filter = queried(uri).map_err(|refused| refused.0)?;
    let exact = |name: &str, text: Option<String>| {
        let wrong = |text: &str| {
            Refusal::new(
                Code::BadRequest,
                format!("{name}={text:?} is no time: write 2h, 3d, 2026-11-20, or 2026-11-20T10:00:00Z"),
            )
        };
        text.map(|text| clock::moment(&text).ok_or_else(|| wrong(&text))).transpose()
    };
    Ok(Filter { since: exact("since", filter.since)?, until: exact("until", filter.until)?, ..filter })
}

pub(super) async fn history(Verbs(handle): Verbs, uri: Uri) -> Answer {
    let filter = filter(&uri)?;
    ok(&handle.store.ask(move |recall| recall.history(&filter)).await?)
}

pub(super) async fn audit(Verbs(handle): Verbs, uri: Uri) -> Answer {
    let filter = filter(&uri)?;
    ok(&handle.store.ask(move |recall| recall.audit(&filter)).await?)
}

pub(super) async fn stats(Verbs(handle): Verbs, uri: Uri) -> Answer {
    let filter = filter(&uri)?;
    let mut stats = handle.store.ask(move |recall| recall.stats(&filter)).await?;
    let table = handle.ask(|reply| Command::Table { all: false, shells: false, reply }).await?;
    stats.active = table.sessions.len() as u64;
    stats.memory = handle.store.state();
    ok(&stats)
}

/// Everything that is kept of one session, as a tar.
pub(super) async fn export(Verbs(handle): Verbs, Path(word): Path<String>) -> Answer {
    let found = handle.ask(|reply| Command::Detail { word: word.clone(), reply }).await;
    let parts = match found {
        Ok((detail, ask, ground)) => {
            let tree = tokio::task::spawn_blocking(move || {
                sampler::tree(&ask, &ground, &std::sync::Mutex::new(Tags::default()))
            });
            let tree = tokio::time::timeout(PATIENCE, tree).await;
            let tree = tree.ok().and_then(Result::ok).and_then(Result::ok).unwrap_or_default();
            present(&handle, Detail { tree, ..detail }).await?
        }
        // Its recording is gone; its rows may not be.
        Err(refusal) if refusal.code == Code::NotFound => past(&handle, &word).await?.ok_or(refusal)?,
        Err(refusal) => return Err(refusal.into()),
    };
    let seconds = clock::unix_now();
    Ok(tar_response(tar::pack(&parts, seconds)))
}

fn tar_response(bytes: Vec<u8>) -> Response<Body> {
    ([("content-type", "application/x-tar")], bytes).into_response()
}

/// Of a session the daemon knows.
async fn present(handle: &Handle, detail: Detail) -> Result<Vec<Part>, Refusal> {
    let Detail { session, evidence, tree, .. } = detail;
    let id = session.id.clone();
    let files = handle.ask(|reply| Command::Files { word: id, reply }).await?;
    let screen = screen_now(handle, &session).await;
    let last = last_close(handle, &session.id, &session.started_at).await;
    let mut parts = vec![part("session.json", &session)];
    let read = tokio::task::spawn_blocking({
        let session = session.clone();
        move || recorded(&files, &session, screen)
    });
    let failed = |why: String| Refusal::new(Code::Internal, format!("failed to read the recording: {why}"));
    let read = tokio::time::timeout(PACKING, read).await.map_err(|_| failed("the disk does not answer".into()))?;
    parts.extend(read.map_err(|e| failed(e.to_string()))?.map_err(|e| failed(e.to_string()))?);
    let ended = last.filter(|_| session.state == Life::Ended);
    parts.extend(known(ended.unwrap_or(LastClose { evidence, tree, report: None })));
    Ok(parts)
}

/// Of a session that is only remembered: the last that had this id or name.
async fn past(handle: &Handle, word: &str) -> Result<Option<Vec<Part>>, Refusal> {
    let filter = Filter { session: Some(word.into()), limit: Some(1), ..Filter::default() };
    let history = handle.store.ask(move |recall| recall.history(&filter)).await?;
    let Some(row) = history.sessions.into_iter().next() else { return Ok(None) };
    let Past { id, started_at, .. } = &row;
    let last = last_close(handle, id, started_at).await;
    let mut parts = vec![part("session.json", &row)];
    parts.extend(last.map(known).unwrap_or_default());
    Ok(Some(parts))
}

/// A memory that cannot be read is no reason to keep back the rest.
async fn last_close(handle: &Handle, id: &str, started_at: &str) -> Option<LastClose> {
    let (id, started_at) = (id.to_string(), started_at.to_string());
    handle.store.ask(move |recall| recall.last_close(&id, &started_at)).await.ok().flatten()
}

/// From its keeper, which knows best; `None` when that is gone or silent.
async fn screen_now(handle: &Handle, session: &Session) -> Option<ScreenFact> {
    let word = session.id.clone();
    let (_, link) = handle.ask(|reply| Command::Link { word, reply }).await.ok()?;
    let asked = link.ask(|seq| Request::Screen { seq }).ok()?;
    tokio::time::timeout(PATIENCE, asked).await.ok()?.ok()?.screen
}

fn recorded(files: &Files, session: &Session, screen: Option<ScreenFact>) -> std::io::Result<Vec<Part>> {
    let segments = record::read(&files.dir)?;
    let size = files.dir.kept().identity.map_or((80, 24), |i| i.session.size);
    let about = About {
        size,
        began: clock::unix_seconds(&session.started_at).unwrap_or(0),
        title: session.name.clone(),
        command: session.command.clone(),
    };
    let (text, ansi) = match screen {
        Some(screen) => (screen.text, screen.ansi),
        None => cast::last_screen(&segments, size),
    };
    let with_end = |text: String| format!("{text}\n").into_bytes();
    Ok(vec![
        ("session.cast".into(), cast::cast(&segments, &about).into_bytes()),
        ("screen.txt".into(), with_end(text)),
        ("screen.ansi".into(), with_end(ansi)),
    ])
}

fn known(last: LastClose) -> Vec<Part> {
    let LastClose { evidence, tree, report } = last;
    let mut parts = vec![part::<Vec<Evidence>>("evidence.json", &evidence), part::<Vec<Process>>("tree.json", &tree)];
    if let Some(report) = report {
        parts.push(part("report.json", &report));
        parts.extend(report.resume.map(|resume| ("resume.txt".to_string(), format!("{resume}\n").into_bytes())));
    }
    parts
}

fn part<T: serde::Serialize>(name: &str, value: &T) -> Part {
    let mut bytes = serde_json::to_vec_pretty(value).unwrap_or_default();
    bytes.push(b'\n');
    (name.into(), bytes)
}
