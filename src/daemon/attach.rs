//! The way to a keeper for who cannot reach its socket, from another machine: an HTTP connection that becomes plain bytes.
//!
//! The keeper sees the daemon at the other end, so what it would ask of a caller is asked here.

use std::path::Path as FilePath;

use axum::Extension;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CONNECTION, UPGRADE};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;

use super::connections::Stay;
use super::handle::{Command, Handle};
use super::server::{Answer, Path, Verbs, found_again};
use super::taken::AtLeisure;
use crate::api::client::ATTACH_PROTOCOL;
use crate::api::refusal::{Code, Refusal};
use crate::sys::socket;

/// `GET /api/sessions/{id}/attach`, with `Upgrade: beadle-attach`.
pub(super) async fn attach(
    Verbs(handle): Verbs,
    (Extension(stay), Extension(at_leisure)): (Extension<Stay>, Extension<AtLeisure>),
    Path(word): Path<String>,
    request: Request,
) -> Answer {
    if request.headers().get(UPGRADE).is_none_or(|asked| asked != ATTACH_PROTOCOL) {
        return Err(Refusal::new(Code::BadRequest, format!("this needs `Upgrade: {ATTACH_PROTOCOL}`")).into());
    }
    let mut keeper = to_keeper(&handle, word).await?;
    // Whoever suspends the terminal comes back to it.
    at_leisure.grant();
    tokio::spawn(async move {
        // Until one end hangs up, which the other then sees.
        if let Ok(client) = hyper::upgrade::on(request).await {
            let _ = copy_bidirectional(&mut TokioIo::new(client), &mut keeper).await;
        }
        drop(stay);
    });
    let headers = [(CONNECTION, "upgrade"), (UPGRADE, ATTACH_PROTOCOL)];
    Ok::<Response<Body>, _>((StatusCode::SWITCHING_PROTOCOLS, headers).into_response())
}

async fn to_keeper(handle: &Handle, word: String) -> Result<tokio::net::UnixStream, Refusal> {
    let (detail, ask, _) = handle.ask(|reply| Command::Detail { word, reply }).await?;
    let name = &detail.session.name;
    let none = || Refusal::new(Code::WrongState, format!("{name} has no keeper that could be reached"));
    let (Some(path), Some(keeper)) = (detail.keeper_socket.as_deref().map(FilePath::new), ask.claim.keeper) else {
        return Err(none());
    };
    // Whether only to look is said to the keeper, and it would take the word of the daemon for it.
    if let Some(why) = detail.keyless {
        return Err(Refusal::new(Code::Forbidden, why));
    }
    found_again(path, keeper).await;
    let silent = |e| Refusal::new(Code::KeeperSilent, format!("the keeper of {name} does not answer: {e}"));
    socket::connect_async(path).await.map_err(silent)
}
