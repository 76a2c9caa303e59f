//! `daemon`: in the foreground, or started, stopped, renewed and asked from outside.

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use super::args::{Daemon, DaemonStatus as StatusArgs, DaemonStop, Globals};
use super::exit::{DONE, Ended, Failure};
use super::{connect, kill, print};
use crate::api::client::Client;
use crate::api::memory::MemoryState;
use crate::api::refusal::Code;
use crate::api::types::{DaemonStatus, StopRequest};
use crate::daemon::Options;
use crate::model::session::Origin;
use crate::model::text::printable;

/// How long a daemon may take to end or to come back; its own deadline is 10 s.
const PATIENCE: Duration = Duration::from_secs(15);
const STEP: Duration = Duration::from_millis(10);

/// Bare `daemon`: this process becomes it.
pub fn foreground(args: &Daemon) -> Result<ExitCode, Failure> {
    let options = Options { auto: args.auto, inherited: args.inherited, embedded: false, take_over: args.take_over };
    Ok(crate::daemon::main(&connect::paths()?, &options))
}

pub async fn start(globals: &Globals) -> Ended {
    let client = connect::client(globals).await?;
    let status = client.until_up(PATIENCE).await?;
    print::line(&format!("the daemon runs (pid {}, {} sessions)", status.pid, status.sessions))?;
    Ok(DONE)
}

pub async fn stop(globals: &Globals, args: &DaemonStop) -> Ended {
    let Some(client) = connect::running(globals).await? else {
        print::complain("no daemon is running");
        return Ok(DONE);
    };
    if !args.yes && !args.keep && std::io::stdin().is_terminal() && !is_agreed(&client).await? {
        print::complain("the daemon goes on");
        return Ok(DONE);
    }
    let report = client.daemon_stop(&StopRequest { keep: args.keep.then_some(true) }).await?;
    let status = kill::reported(&report, args.json)?;
    until_gone(&client).await;
    Ok(status)
}

async fn is_agreed(client: &Client) -> Result<bool, Failure> {
    // Nobody is asked about what is refused anyway.
    if let Some(why) = client.daemon().await?.not_to_be_stopped {
        return Err(Failure::refused(Code::Forbidden, why));
    }
    let sessions = client.sessions(false, false).await?.sessions;
    let at_work: Vec<String> =
        sessions.iter().filter(|s| s.origin == Origin::Managed).map(|s| printable(&s.name)).collect();
    if at_work.is_empty() {
        return Ok(true);
    }
    let names = at_work.join(", ");
    Ok(print::confirmed(&format!("Stop the daemon and close {names}? (--keep leaves them running)")))
}

/// So that what is started next does not meet the old one.
async fn until_gone(client: &Client) {
    let end = tokio::time::Instant::now() + PATIENCE;
    while client.daemon().await.is_ok() && tokio::time::Instant::now() < end {
        tokio::time::sleep(STEP).await;
    }
}

/// Renewed in place; one that does not run is started.
pub async fn restart(globals: &Globals) -> Ended {
    let Some(client) = connect::running(globals).await? else { return start(globals).await };
    let before = client.daemon().await?.uptime_seconds;
    match client.daemon_restart().await {
        // It may be gone before it has answered.
        Ok(_) => {}
        Err(error) if error.is_no_answer() => {}
        Err(e) => return Err(e.into()),
    }
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        let status = client.until_up(PATIENCE).await?;
        if status.uptime_seconds < before || tokio::time::Instant::now() > end {
            print::line(&format!(
                "the daemon is renewed (version {}, {} sessions)",
                printable(&status.version),
                status.sessions
            ))?;
            return Ok(DONE);
        }
        tokio::time::sleep(STEP).await;
    }
}

/// Exit 3 when none runs; never starts one.
pub async fn status(globals: &Globals, args: &StatusArgs) -> Ended {
    let client = connect::running(globals).await?.ok_or(Failure::NoDaemon)?;
    let status = client.daemon().await?;
    if args.json {
        print::json(&status)?;
    } else {
        print::raw(&text(&status))?;
    }
    Ok(DONE)
}

/// How much is remembered, and what is wrong with it.
pub fn memory(memory: &MemoryState) -> String {
    let mut out = print::size(memory.bytes);
    if memory.lost > 0 {
        // Writing to a String cannot fail, here and below.
        let _ = write!(out, ", {} facts lost", memory.lost);
    }
    if let Some(trouble) = &memory.trouble {
        let _ = write!(out, ", {} waiting: {}", memory.waiting, printable(trouble));
    }
    out
}

fn text(status: &DaemonStatus) -> String {
    let embedded = if status.embedded { " (inside the interface)" } else { "" };
    let mut rows = vec![
        ("Version", printable(&status.version)),
        ("Pid", format!("{}{embedded}", status.pid)),
        ("Up for", print::duration(status.uptime_seconds)),
        ("Sessions", status.sessions.to_string()),
        ("Socket", printable(&status.socket)),
        ("State", printable(&status.state_dir)),
        ("Instance", printable(&status.instance)),
        ("Memory", memory(&status.memory)),
    ];
    if let Some(tcp) = &status.tcp {
        rows.push(("TCP", printable(tcp)));
    }
    if let Some(why) = &status.latched {
        rows.push(("Latched", format!("{} (`beadle release` lets sessions start again)", printable(why))));
    }
    let lines: Vec<String> = rows.iter().map(|(label, value)| format!("{label:<12}{value}\n")).collect();
    lines.concat()
}
