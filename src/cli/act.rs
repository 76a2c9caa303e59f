//! The verbs that need nothing but names: `pause`, `unpause`, `signal`, `pin`, `unpin`, `rm`, `restart`,
//! `rename`, `heartbeat`.

use super::args::{Globals, Heartbeat, Rename, Several, Signal};
use super::exit::{DONE, Ended, Failure};
use super::{caller, connect, print, select};
use crate::api::types::{Act, Done, RestartRequest, Session, Touched};
use crate::model::text::printable;

pub async fn act(globals: &Globals, verb: Act, args: &Several) -> Ended {
    let done = connect::client(globals).await?.act(verb, &args.ids).await?;
    told(&done, args.json)
}

/// Sends the caller's environment along, for those that have ended (elsewhere they get that of the daemon there); one refusal does not stop the others.
pub async fn restart(globals: &Globals, args: &Several) -> Ended {
    let client = connect::client(globals).await?;
    let sessions = client.sessions(true, false).await?.sessions;
    let ids = select::ids(&args.ids, &sessions).map_err(crate::api::refusal::Refusal::from)?;
    let own = || RestartRequest {
        env: caller::environment(),
        env_whole: true,
        umask: Some(caller::umask()),
        limits: caller::limits(),
    };
    let request = if client.way().is_elsewhere() { RestartRequest::default() } else { own() };
    let (mut done, mut first) = (Done::default(), None);
    for id in &ids {
        match client.restart(id, &request).await {
            Ok(session) => done.sessions.push(touched(session, "restarted")),
            Err(e) => {
                if let Some(before) = first.replace(Failure::from(e)) {
                    print::complain(&before.to_string());
                }
            }
        }
    }
    let status = told(&done, args.json)?;
    first.map_or(Ok(status), Err)
}

pub async fn rename(globals: &Globals, args: &Rename) -> Ended {
    let session = connect::client(globals).await?.rename(&args.id, &args.name).await?;
    told(&Done { sessions: vec![touched(session, "is its name now")] }, args.json)
}

pub async fn signal(globals: &Globals, args: &Signal) -> Ended {
    let (signal, ids) = args
        .ids_and_signal
        .split_last()
        .ok_or_else(|| Failure::Usage("signal needs sessions and a signal, such as `beadle signal docs INT`".into()))?;
    told(&connect::client(globals).await?.signal(ids, signal).await?, args.json)
}

/// Never starts a daemon: without one nobody hears it.
pub async fn heartbeat(globals: &Globals, args: &Heartbeat) -> Ended {
    let own = || std::env::var("BEADLE_SESSION_ID").ok().filter(|id| !id.is_empty());
    let id = args.id.clone().or_else(own).ok_or_else(|| {
        Failure::Usage("heartbeat needs an ID outside a session (BEADLE_SESSION_ID is not set)".into())
    })?;
    let client = connect::running(globals).await?.ok_or(Failure::NoDaemon)?;
    match &args.says {
        Some(word) => client.says(&id, word).await?,
        None => client.heartbeat(&id).await?,
    };
    Ok(DONE)
}

fn touched(session: Session, message: &str) -> Touched {
    Touched { id: session.id, name: session.name, message: message.into() }
}

pub fn told(done: &Done, json: bool) -> Ended {
    if json {
        print::json(done)?;
        return Ok(DONE);
    }
    for Touched { name, message, .. } in &done.sessions {
        print::line(&format!("✔ {} {}", printable(name), printable(message)))?;
    }
    Ok(DONE)
}
