//! The queue over HTTP.

use axum::body::Bytes;
use axum::extract::Extension;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{get, post};

use super::{Answer, Order};
use crate::api::project::{
    AddRequest, EndRequest, Project, ProjectEnded, ProjectsEnded, ProjectsRemoved, ReasonRequest, RemoveRequest,
};
use crate::api::refusal::{Code, Refusal};
use crate::config::value::LONGEST;
use crate::daemon::handle::{Command, Handle};
use crate::daemon::openapi::Route;
use crate::daemon::server::{self, Path, Peer, Refused, Verbs, need, ok, read};
use crate::daemon::store::Recall;
use crate::model::project::Verb;
use crate::model::{select, text};

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/projects", "Every project, in the order in which they were added", get(list))
            .answers::<Vec<Project>>(),
        Route::post("/api/projects", "Put a project into the queue", post(add))
            .takes::<AddRequest>()
            .answers::<Project>()
            .with_status(201)
            .may(&[Code::NameTaken]),
        Route::get("/api/projects/{name}", "One project, by name or number", get(show))
            .answers::<Project>()
            .may(&[Code::NotFound]),
        Route::post(
            "/api/projects/{name}/{verb}",
            "End it: complete, fail, stop, cancel or emergency. Answers when all that ran for it is closed",
            post(end_one),
        )
        .takes::<ReasonRequest>()
        .answers::<ProjectEnded>()
        .may(&[Code::NotFound, Code::WrongState]),
        Route::post("/api/project/end", "End several, by name, number or glob", post(end))
            .takes::<EndRequest>()
            .answers::<ProjectsEnded>()
            .may(&[Code::NotFound]),
        Route::post("/api/project/rm", "Forget projects that have finished", post(remove))
            .takes::<RemoveRequest>()
            .answers::<ProjectsRemoved>()
            .may(&[Code::NotFound, Code::WrongState]),
    ]
}

async fn list(Verbs(handle): Verbs) -> server::Answer {
    ok(&handle.store.ask(Recall::projects).await?)
}

async fn show(Verbs(handle): Verbs, Path(word): Path<String>) -> server::Answer {
    let asked = word.clone();
    let found = handle.store.ask(move |recall| recall.project(&asked)).await?;
    let unknown = || Refusal::new(Code::NotFound, format!("no project {word:?} (`beadle project ls` lists them)"));
    ok(&found.ok_or_else(unknown)?)
}

async fn add(Verbs(handle): Verbs, Extension(peer): Extension<Peer>, body: Bytes) -> server::Answer {
    let request: AddRequest = need(&body)?;
    sensible(&request)?;
    match ordered(&handle, peer, Order::Add(Box::new(request))).await? {
        Answer::Added(project) => {
            let body = serde_json::to_vec(&project).map_err(|e| Refusal::new(Code::Internal, e.to_string()))?;
            Ok((StatusCode::CREATED, [("content-type", "application/json")], body).into_response())
        }
        Answer::Ended(_) | Answer::Removed(_) => Err(mistaken()),
    }
}

/// `POST /api/projects/{name}/{verb}`.
async fn end_one(
    Verbs(handle): Verbs,
    Extension(peer): Extension<Peer>,
    Path((name, verb)): Path<(String, String)>,
    body: Bytes,
) -> server::Answer {
    let known: Result<Verb, String> = verb.parse();
    let verb =
        known.map_err(|why| Refusal::new(Code::NotFound, format!("there is no {verb:?} for a project: it {why}")))?;
    let reason: ReasonRequest = read(&body)?;
    if select::is_glob(&name) {
        let why = format!("{name:?} is no name of a project: POST /api/project/end takes globs");
        return Err(Refusal::new(Code::NotFound, why).into());
    }
    handle.ask(|reply| Command::Sample { reply }).await?;
    let order = Order::End { verb, targets: vec![name], reason: reason.reason };
    let ended = ends(ordered(&handle, peer, order).await?)?;
    match ended.into_iter().next() {
        Some(one) if one.status == verb.status() => ok(&one),
        Some(ProjectEnded { project_id, message, .. }) => {
            Err(Refusal::new(Code::WrongState, format!("{project_id} {message}")).into())
        }
        None => Err(mistaken()),
    }
}

async fn end(Verbs(handle): Verbs, Extension(peer): Extension<Peer>, body: Bytes) -> server::Answer {
    let EndRequest { verb, targets, reason } = need(&body)?;
    // Agents somebody started a moment ago are seen, and closed with it.
    handle.ask(|reply| Command::Sample { reply }).await?;
    let ended = ends(ordered(&handle, peer, Order::End { verb, targets, reason }).await?)?;
    ok(&ProjectsEnded::from(ended))
}

async fn remove(Verbs(handle): Verbs, Extension(peer): Extension<Peer>, body: Bytes) -> server::Answer {
    let RemoveRequest { targets } = need(&body)?;
    match ordered(&handle, peer, Order::Remove { targets }).await? {
        Answer::Removed(removed) => ok::<ProjectsRemoved>(&removed),
        Answer::Added(_) | Answer::Ended(_) => Err(mistaken()),
    }
}

async fn ordered(handle: &Handle, peer: Peer, order: Order) -> Result<Answer, Refusal> {
    let verb = match &order {
        Order::Add(_) => "project add".to_string(),
        Order::End { verb, .. } => format!("project {}", verb.as_str()),
        Order::Remove { .. } => "project rm".into(),
    };
    let asked = peer.asks(&verb).await;
    handle.ask(|reply| Command::Project { order, asked, reply }).await
}

fn ends(answer: Answer) -> Result<Vec<ProjectEnded>, Refused> {
    match answer {
        Answer::Ended(ended) => Ok(ended),
        Answer::Added(_) | Answer::Removed(_) => Err(mistaken()),
    }
}

fn mistaken() -> Refused {
    Refusal::new(Code::Internal, "the queue answered something else").into()
}

/// What could never be done is refused at once, and not when its turn comes.
fn sensible(request: &AddRequest) -> Result<(), Refusal> {
    let bad = |why: String| Err(Refusal::new(Code::BadRequest, why));
    if let Some(why) = text::name_refusal(&request.name) {
        return bad(why);
    }
    if request.name.bytes().all(|b| b.is_ascii_digit()) {
        return bad("the name of a project needs more than digits: those are its number".into());
    }
    match (request.command.is_empty(), request.commands.as_slice()) {
        (true, []) => {
            return bad("a project needs a command: \"command\": [\"…\"], or \"commands\": [[\"…\"], …]".into());
        }
        (false, [_, ..]) => return bad("give `command` or `commands`, not both".into()),
        (true, commands) if commands.iter().any(Vec::is_empty) => return bad("a command cannot be empty".into()),
        _ => {}
    }
    if request.workspace.as_ref().is_some_and(|dir| !dir.starts_with('/')) {
        return bad(format!(
            "the workspace must be an absolute path, not {:?}",
            request.workspace.as_deref().unwrap_or("")
        ));
    }
    let limit = request.timeout_seconds.map(std::time::Duration::try_from_secs_f64);
    let fits = |limit: std::time::Duration| !limit.is_zero() && limit <= LONGEST;
    if limit.is_some_and(|limit| !limit.is_ok_and(fits)) {
        return bad("timeout_seconds must be more than 0 and at most ten years: leave it out for no limit".into());
    }
    Ok(())
}
