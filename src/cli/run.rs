//! `run`: a managed session with the caller's environment, directory, umask and limits.

use super::args::{Globals, Run};
use super::exit::{DONE, Ended, Failure};
use super::{attach, caller, connect, print};
use crate::api::types::StartRequest;
use crate::model::session::Restart;
use crate::sys::term;

pub async fn run(globals: &Globals, args: &Run) -> Ended {
    let request = request(args)?;
    say_what_waits(&request);
    let client = connect::client(globals).await?;
    let started = client.start(&request).await?;
    for note in &started.notes {
        print::complain(note);
    }
    if args.attach {
        return attach::to(&client, &started.session_id, false).await;
    }
    if args.json {
        print::json(&started)?;
    } else {
        print::line(&print::printable(&started.session_id))?;
    }
    Ok(DONE)
}

/// What is kept with the session and has nobody yet to act on it.
fn say_what_waits(request: &StartRequest) {
    let kept = [
        ("--timeout", request.timeout_seconds.is_some()),
        ("--max-idle", request.max_idle_seconds.is_some()),
        ("--restart", request.restart != Restart::Never),
    ];
    for (option, _) in kept.into_iter().filter(|(_, is_given)| *is_given) {
        print::complain(&format!("{option} is kept with the session; nothing acts on it in this version"));
    }
}

fn request(args: &Run) -> Result<StartRequest, Failure> {
    let mut env = caller::environment();
    caller::add(&mut env, &args.env)?;
    let seconds = |d: std::time::Duration| d.as_secs_f64();
    Ok(StartRequest {
        command: args.command.clone(),
        name: args.name.clone(),
        agent: args.agent.clone(),
        project: args.project.clone(),
        workspace: Some(caller::directory(args.cwd.as_deref())?),
        env,
        env_whole: true,
        size: args.size.or_else(|| args.attach.then(term::size)),
        pipe: args.pipe,
        restart: args.restart,
        timeout_seconds: args.timeout.map(seconds),
        max_idle_seconds: args.max_idle.map(seconds),
        umask: Some(caller::umask()),
        limits: caller::limits(),
    })
}
