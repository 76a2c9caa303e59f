//! `demo`: agents that are scripts, in a beadle of their own, minutes as seconds; nothing of it is left.

mod parts;
mod place;

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::Duration;

use self::parts::{PARTS, Part};
use self::place::Place;
use super::args::Demo;
use super::exit::{DONE, Ended, FAILED, Failure};
use super::{caller, connect, interface, print};
use crate::api::client::Client;
use crate::api::types::StartRequest;
use crate::tui;

pub fn run(args: &Demo) -> Ended {
    if let Some(dir) = &args.mind {
        let said = place::mind(dir).map_err(|e| Failure::Local(format!("failed to mind {}: {e}", dir.display())))?;
        print::line(said)?;
        return Ok(DONE);
    }
    let has_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if args.command.is_empty() && !has_terminal {
        let why = "the demo needs a terminal to be shown on; `beadle demo -- COMMAND` runs a command in it";
        return Err(Failure::Usage(why.into()));
    }
    let mut place = Place::make().map_err(|e| Failure::Local(format!("failed to set up the demo: {e}")))?;
    let ended = play(&mut place, args);
    let is_gone = place.leave();
    let status = ended?;
    if !is_gone {
        return Err(Failure::Local(
            "not all of the demo is known to be gone: look for processes with BEADLE_DEMO".into(),
        ));
    }
    Ok(status)
}

fn play(place: &mut Place, args: &Demo) -> Ended {
    let failed = |what: &str, e: &dyn std::fmt::Display| Failure::Local(format!("failed to {what}: {e}"));
    let started = place.beadle().args(["daemon", "start"]).output().map_err(|e| failed("start the demo", &e))?;
    if !started.status.success() {
        return Err(failed("start the demo", &String::from_utf8_lossy(&started.stderr).trim()));
    }
    place.leave_strays().map_err(|e| failed("start the demo", &e))?;
    let paths = place.paths().map_err(|e| failed("start the demo", &e))?;
    let client = Client::new(paths.socket());
    connect::block_on(async {
        let cast = cast(place).map_err(|e| failed("start the demo", &e))?;
        let (first, later): (Vec<_>, Vec<_>) = cast.into_iter().partition(|(after, _)| after.is_zero());
        for (_, request) in first {
            client.start(&request).await?;
        }
        let entering = tokio::spawn(enter(client.clone(), later));
        let ended = if args.command.is_empty() { show(place, client).await } else { command(place, args).await };
        entering.abort();
        ended
    })
}

/// Who plays, and when each begins.
fn cast(place: &Place) -> std::io::Result<Vec<(Duration, StartRequest)>> {
    PARTS.iter().map(|part| Ok((Duration::from_secs(part.after), request(place, part)?))).collect()
}

fn request(place: &Place, part: &Part) -> std::io::Result<StartRequest> {
    let mut env: BTreeMap<String, String> = caller::environment();
    env.retain(|name, _| !name.starts_with("BEADLE_") && !name.starts_with("XDG_"));
    for name in ["BEADLE_DEMO", "HOME", "PATH"] {
        env.extend(place.env(name).map(|value| (name.to_string(), value)));
    }
    for (name, value) in [("DEMO_PART", part.day), ("DEMO_TASK", part.task), ("TERM", "xterm-256color")] {
        env.insert(name.into(), value.into());
    }
    Ok(StartRequest {
        command: vec![part.program.into()],
        name: Some(part.name.into()),
        project: Some(part.project.into()),
        workspace: Some(place.workspace(part.project)?.display().to_string()),
        env,
        env_whole: true,
        umask: Some(caller::umask()),
        ..StartRequest::default()
    })
}

/// The others, one by one.
async fn enter(client: Client, later: Vec<(Duration, StartRequest)>) {
    let began = tokio::time::Instant::now();
    for (after, request) in later {
        tokio::time::sleep_until(began + after).await;
        // Who cannot come is missed by nobody.
        let _ = client.start(&request).await;
    }
}

async fn show(place: &Place, client: Client) -> Ended {
    let wanted = interface::Wanted { embedded: false, readonly: false };
    let mut options = interface::options(wanted, place.paths().ok(), Vec::new());
    options.host = "demo".into();
    // A window of tmux would look for another beadle.
    options.is_in_tmux = false;
    options.directory = place.workspace("shop").map_or_else(|_| "/".into(), |dir| dir.display().to_string());
    options
        .template
        .env
        .extend(["BEADLE_DEMO", "HOME", "PATH"].into_iter().filter_map(|n| Some((n.into(), place.env(n)?))));
    tui::run(client, options).await.map_err(interface::shown)?;
    Ok(DONE)
}

async fn command(place: &Place, args: &Demo) -> Ended {
    let mut command = std::process::Command::new(&args.command[0]);
    command.args(&args.command[1..]);
    place.within(&mut command);
    let done = tokio::task::spawn_blocking(move || command.status()).await;
    let status = done.map_err(|e| e.to_string()).and_then(|done| done.map_err(|e| e.to_string()));
    let status = status.map_err(|e| Failure::Local(format!("failed to run {}: {e}", args.command[0])))?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(FAILED))
}
