//! `attach`: a session's terminal on this one, and a line afterwards that says how it ended.

use std::io::IsTerminal;
use std::time::Duration;

use super::args::{Attach, Globals};
use super::exit::{DONE, Ended, FAILED, Failure};
use super::{connect, print, show, wait};
use crate::api::attach::tmux::{self, NoGoing};
use crate::api::attach::{self, AttachError, Left, Options};
use crate::api::cast;
use crate::api::client::{Client, ClientError};
use crate::api::refusal::Code;
use crate::api::types::{Detail, PaneAt, Session};
use crate::api::way::Way;
use crate::model::session::{Origin, State};
use crate::model::text::printable;
use crate::sys::term;

/// How long somebody whose session went away is kept from knowing it.
const WHY: Duration = Duration::from_secs(3);

pub async fn run(globals: &Globals, args: &Attach) -> Ended {
    let client = connect::client(globals).await?;
    to(&client, &args.id, args.read_only).await
}

/// Attaches to the session `id` names.
pub async fn to(client: &Client, id: &str, read_only: bool) -> Ended {
    let detail = client.session(id).await?;
    if let Some(pane) = &detail.pane {
        return in_tmux(client.way(), pane, &detail.session, read_only);
    }
    let left = joined(client, &detail, read_only).await?;
    let left = if left == Left::Lost { why_lost(client, id).await? } else { left };
    print::line(&farewell(&detail.session, &left))?;
    Ok(DONE)
}

/// Attaches to a session that was started just now; ends as it ends, its output left on the terminal as if it had been run
/// there. It may have ended already.
pub async fn from_birth(client: &Client, id: &str) -> Ended {
    let detail = client.session(id).await?;
    let is_over = detail.session.state == State::Ended;
    let left = if is_over { Ok(Left::Lost) } else { joined(client, &detail, false).await };
    if matches!(left, Ok(Left::Detached)) {
        print::line(&farewell(&detail.session, &Left::Detached))?;
        return Ok(DONE);
    }
    let session = once_over(client, id).await?;
    let said = match &left {
        Ok(Left::Ended(exit)) => exit.clone(),
        // Over before anybody could attach, mostly.
        Ok(Left::Lost | Left::Detached) | Err(_) => None,
    };
    let Some(exit) = said.or_else(|| session.exit.clone()) else {
        print::line(&farewell(&session, &left?))?;
        return Ok(FAILED);
    };
    print::raw(&left_behind(client, id).await?)?;
    let status = wait::code(&exit).unwrap_or(FAILED);
    print::line(&farewell(&session, &Left::Ended(Some(exit))))?;
    Ok(status)
}

/// Once all of it has gone; what is left of an agent is waited for no longer than a moment.
async fn once_over(client: &Client, id: &str) -> Result<Session, Failure> {
    let end = tokio::time::Instant::now() + WHY;
    loop {
        let session = client.session(id).await?.session;
        if session.state == State::Ended || tokio::time::Instant::now() > end {
            return Ok(session);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What it wrote, as it would stand on this terminal.
async fn left_behind(client: &Client, id: &str) -> Result<String, Failure> {
    let (mut bytes, mut from) = (Vec::new(), 0);
    loop {
        let chunk = client.log(id, from, false).await?;
        bytes.extend_from_slice(&chunk.bytes);
        if chunk.ended || chunk.next == from {
            return Ok(cast::left_behind(&bytes, term::size()));
        }
        from = chunk.next;
    }
}

async fn joined(client: &Client, detail: &Detail, read_only: bool) -> Result<Left, Failure> {
    attachable(detail, std::env::var("BEADLE_SESSION_ID").ok().as_deref())?;
    if let Some(why) = detail.keyless.as_ref().filter(|_| !read_only) {
        let name = &detail.session.name;
        return Err(Failure::refused(Code::Forbidden, format!("{why} (`beadle attach --read-only {name}` looks)")));
    }
    let name = detail.session.name.clone();
    let options = Options { read_only, detach_key: detach_key()?, name };
    let door = client.door(detail).ok_or(AttachError::Silent)?;
    Ok(attach::attach(client.enter(&door).await?, &options).await?)
}

/// A keeper that hung up has ended with its session, mostly, and the daemon knows how. From elsewhere it may have been
/// the way there that ended.
async fn why_lost(client: &Client, id: &str) -> Result<Left, Failure> {
    client.ask_nobody();
    let lost = || ClientError::Lost { at: client.way().to_string(), why: "it does not answer any more".into() };
    let is_elsewhere = client.way().is_elsewhere();
    match tokio::time::timeout(WHY, client.session(id)).await {
        Ok(Ok(detail)) if detail.session.state == State::Ended => Ok(Left::Ended(detail.session.exit)),
        Ok(Err(error)) if is_elsewhere => Err(error.into()),
        Err(_) if is_elsewhere => Err(lost().into()),
        Ok(_) | Err(_) => Ok(Left::Lost),
    }
}

/// As the config has it. A wrong config is the daemon's to refuse; one may still look at a session.
fn detach_key() -> Result<String, Failure> {
    let config = crate::config::load(&connect::paths()?, &crate::config::process_env());
    Ok(config.map_or_else(|_| attach::DETACH_KEY.into(), |config| config.attach.detach_key.to_string()))
}

/// The keeper's socket, or why there is nothing to attach to. `inside` is the session this command runs in.
fn attachable<'a>(detail: &'a Detail, inside: Option<&str>) -> Result<&'a str, Failure> {
    let s = &detail.session;
    let name = &s.name;
    if inside == Some(s.id.as_str()) {
        let why = format!("{name} cannot be attached inside itself: it would show itself showing itself");
        return Err(Failure::refused(Code::Forbidden, why));
    }
    if s.origin != Origin::Managed {
        let why = match s.origin {
            Origin::Tmux => format!("the tmux server of {name} does not answer: it cannot be attached now"),
            Origin::Managed | Origin::Found => format!(
                "{name} runs in a terminal that beadle cannot reach: only managed sessions and those in tmux can be attached"
            ),
        };
        return Err(Failure::refused(Code::WrongState, why));
    }
    if s.state == State::Ended {
        let how = s.exit.as_ref().map(|exit| format!(" ({})", show::exit_words(exit))).unwrap_or_default();
        let why = format!(
            "{name} has ended{how}: `beadle logs {name}` shows its output, `beadle restart {name}` starts it again"
        );
        return Err(Failure::refused(Code::WrongState, why));
    }
    detail.keeper_socket.as_deref().ok_or_else(|| {
        let why =
            format!("the keeper of {name} is gone, and its terminal with it: `beadle kill {name}` takes what is left");
        Failure::refused(Code::WrongState, why)
    })
}

fn in_tmux(way: &Way, pane: &PaneAt, session: &Session, read_only: bool) -> Ended {
    let within = std::env::var("TMUX").ok();
    let mut going = tmux::going(way, pane, within.as_deref(), read_only).map_err(|no| {
        let hint = format!(" (`beadle peek {}` only looks)", session.id);
        let hint = if no == NoGoing::LooksHere { hint.as_str() } else { "" };
        Failure::refused(Code::WrongState, format!("{} is {no}{hint}", session.name))
    })?;
    let on_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if !going.is_here && !on_terminal {
        return Err(Failure::Attach(AttachError::NoTerminal));
    }
    let program = going.command.get_program().to_string_lossy().into_owned();
    let status = going.command.status().map_err(|e| Failure::Local(format!("failed to run {program}: {e}")))?;
    Ok(if status.success() { DONE } else { FAILED })
}

fn farewell(session: &Session, left: &Left) -> String {
    let name = printable(&session.name);
    match left {
        Left::Detached => format!("[detached from {name}; `beadle attach {name}` brings it back]"),
        Left::Ended(Some(exit)) => format!("[{name} ended: {}]", printable(&show::exit_words(exit))),
        Left::Ended(None) => format!("[{name} ended]"),
        Left::Lost => format!("[the keeper of {name} went away; `beadle show {name}` says what is left]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::sample;
    use crate::model::session::{Exit, ExitBy};

    #[test]
    fn a_session_is_attached_through_its_keeper_but_not_inside_itself() {
        let detail = sample::detail();
        assert_eq!(attachable(&detail, None).unwrap(), "/run/k");
        assert_eq!(attachable(&detail, Some("other")).unwrap(), "/run/k");
        assert_eq!(attachable(&detail, Some("k3f9q2")).unwrap_err().status(), 5);
    }

    #[test]
    fn what_has_no_terminal_says_what_to_do_instead() {
        let mut detail = sample::detail();
        detail.keeper_socket = None;
        assert!(attachable(&detail, None).unwrap_err().to_string().contains("beadle kill front"));
        detail.session.state = State::Ended;
        assert!(attachable(&detail, None).unwrap_err().to_string().contains("beadle restart front"));
        detail.session.origin = Origin::Tmux;
        assert!(attachable(&detail, None).unwrap_err().to_string().contains("tmux server of front does not answer"));
        detail.session.origin = Origin::Found;
        assert!(attachable(&detail, None).unwrap_err().to_string().contains("cannot reach"));
    }

    #[test]
    fn the_last_line_says_how_it_ended() {
        let session = sample::session("k3f9q2", "front");
        let exit = Exit { code: Some(3), signal: None, at: String::new(), by: ExitBy::Itself, reason: String::new() };
        assert_eq!(farewell(&session, &Left::Ended(Some(exit))), "[front ended: exit status 3, by itself]");
        assert!(farewell(&session, &Left::Detached).contains("`beadle attach front`"));
    }
}
