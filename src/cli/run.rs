//! `run`: a managed session with the caller's environment, directory, umask and limits.

use super::args::{Globals, Run};
use super::exit::{DONE, Ended, Failure};
use super::{attach, caller, connect, print};
use crate::api::types::StartRequest;
use crate::sys::term;

pub async fn run(globals: &Globals, args: &Run) -> Ended {
    let request = request(args)?;
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
