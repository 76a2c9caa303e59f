//! The verbs that need nothing but names: `pause`, `unpause`, `signal`, `pin`, `unpin`, `rm`, `restart`, `resume`,
//! `rename`, `heartbeat`.

use super::args::{Globals, Heartbeat, Rename, Several, Signal};
use super::exit::{DONE, Ended, Failure};
use super::kill::{self, Deed};
use super::{caller, connect, print, select};
use crate::api::client::{Client, ClientError};
use crate::api::types::{Act, Done, RenameRequest, RestartRequest, Restarted, Session, Started, Touched};
use crate::model::session::State;
use crate::model::text::printable;

pub async fn act(globals: &Globals, verb: Act, args: &Several) -> Ended {
    let done = connect::client(globals).await?.act(verb, &args.ids).await?;
    told(&done, args.json)
}

/// Sends the caller's environment along, for those that have ended (elsewhere they get that of the daemon there).
pub async fn restart(globals: &Globals, args: &Several) -> Ended {
    let client = connect::client(globals).await?;
    let request = handed_down(&client);
    let restarted = async |before: &Session| {
        let Restarted { session, notes } = client.restart(&before.id, &request).await?;
        let ours = request.env_whole && before.state == State::Ended;
        Ok(touched(session, &with_notes("restarted", ours, notes)))
    };
    each(&client, args, restarted).await
}

/// A new session for each, with the caller's environment.
pub async fn resume(globals: &Globals, args: &Several) -> Ended {
    let client = connect::client(globals).await?;
    let request = handed_down(&client);
    let resumed = async |ended: &Session| {
        let Started { session_id: id, name, notes, .. } = client.resume(&ended.id, &request).await?;
        Ok(Touched { id, name, message: with_notes("resumed", request.env_whole, notes) })
    };
    each(&client, args, resumed).await
}

/// One after the other; one refusal does not stop the others.
async fn each(client: &Client, args: &Several, ask: impl AsyncFn(&Session) -> Result<Touched, ClientError>) -> Ended {
    let sessions = client.sessions(true, false).await?.sessions;
    let ids = select::ids(&args.ids, &sessions).map_err(crate::api::refusal::Refusal::from)?;
    let (mut done, mut first) = (Done::default(), None);
    for session in ids.iter().filter_map(|id| sessions.iter().find(|s| s.id == *id)) {
        match ask(session).await {
            Ok(touched) => done.sessions.push(touched),
            Err(e) => refused(&mut first, e),
        }
    }
    let status = told(&done, args.json)?;
    first.map_or(Ok(status), Err)
}

/// `restarted, with the environment of this shell; …`.
fn with_notes(done: &str, ours: bool, notes: Vec<String>) -> String {
    let done = if ours { format!("{done}, with the environment of this shell") } else { done.to_string() };
    std::iter::once(done).chain(notes).collect::<Vec<_>>().join("; ")
}

/// What the caller's shell has, for the new run; nothing of it on another machine.
fn handed_down(client: &Client) -> RestartRequest {
    if client.way().is_elsewhere() {
        return RestartRequest::default();
    }
    RestartRequest {
        env: caller::environment(),
        env_whole: true,
        umask: Some(caller::umask()),
        limits: caller::limits(),
    }
}

/// The last refusal ends the command; those before it are told at once.
fn refused(last: &mut Option<Failure>, error: ClientError) {
    if let Some(before) = last.replace(Failure::from(error)) {
        print::complain(&before.to_string());
    }
}

pub async fn rename(globals: &Globals, args: &Rename) -> Ended {
    let request = RenameRequest { name: args.name.clone(), project: args.project.clone() };
    let session = connect::client(globals).await?.rename(&args.id, &request).await?;
    let message = match (&args.name, &session.project) {
        (Some(_), _) => "is its name now".to_string(),
        (None, Some(project)) => format!("belongs to {project} now"),
        (None, None) => "belongs to no project now".to_string(),
    };
    told(&Done { sessions: vec![touched(session, &message)] }, args.json)
}

pub async fn signal(globals: &Globals, args: &Signal) -> Ended {
    let (signal, ids) = args
        .words
        .split_last()
        .ok_or_else(|| Failure::Usage("signal needs sessions and a signal, such as `beadle signal docs INT`".into()))?;
    let client = connect::client(globals).await?;
    // These end nobody and stop nobody.
    let is_harmless = ["CONT", "WINCH"].contains(&signal.to_uppercase().trim_start_matches("SIG"));
    let shown = printable(signal);
    let deed = Deed {
        one: &format!("Send it {shown}"),
        several: &format!("Send them {shown}"),
        infinitive: "signal",
        yes: args.yes || is_harmless,
    };
    let Some(ids) = kill::agreed(&client, ids, &deed).await? else {
        print::complain("nothing was sent");
        return Ok(DONE);
    };
    told(&client.signal(&ids, signal).await?, args.json)
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
