//! `run`: a managed session with the caller's environment, directory, umask and limits.

use super::args::{Globals, Run};
use super::exit::{DONE, Ended, Failure};
use super::{attach, caller, connect, print};
use crate::api::attach::AttachError;
use crate::api::types::StartRequest;
use crate::sys::term;

pub async fn run(globals: &Globals, args: &Run) -> Ended {
    // Before anything runs that nobody could look at.
    if args.attach && !term::is_terminal() {
        return Err(AttachError::NoTerminal.into());
    }
    let request = if connect::is_elsewhere(globals)? { far_request(args)? } else { request(args)? };
    let client = connect::client(globals).await?;
    let started = client.start(&request).await?;
    for note in &started.notes {
        print::complain(note);
    }
    if args.attach {
        return attach::from_birth(&client, &started.session_id).await;
    }
    if args.json {
        print::json(&started)?;
    } else {
        print::line(&print::printable(&started.session_id))?;
    }
    Ok(DONE)
}

/// Nothing of this machine means anything there, but what is given by name.
fn far_request(args: &Run) -> Result<StartRequest, Failure> {
    Ok(StartRequest {
        env: caller::named(&args.env)?,
        env_whole: false,
        workspace: args.cwd.as_deref().map(caller::far_directory).transpose()?,
        umask: None,
        limits: Vec::new(),
        ..common(args)
    })
}

fn request(args: &Run) -> Result<StartRequest, Failure> {
    let mut env = caller::environment();
    caller::add(&mut env, &args.env)?;
    Ok(StartRequest {
        workspace: Some(caller::directory(args.cwd.as_deref())?),
        env,
        env_whole: true,
        umask: Some(caller::umask()),
        limits: caller::limits(),
        ..common(args)
    })
}

fn common(args: &Run) -> StartRequest {
    let seconds = |d: std::time::Duration| d.as_secs_f64();
    StartRequest {
        command: args.command.clone(),
        name: args.name.clone(),
        agent: args.agent.clone(),
        project: args.project.clone(),
        size: args.size.or_else(|| args.attach.then(term::size)),
        pipe: args.pipe,
        restart: args.restart,
        timeout_seconds: args.timeout.map(seconds),
        max_idle_seconds: args.max_idle.map(seconds),
        ..StartRequest::default()
    }
}
