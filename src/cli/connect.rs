//! The way to a daemon: directories out of the environment, `--host`, a daemon started where a verb needs one.

use std::future::Future;
use std::time::Duration;

use super::args::Globals;
use super::exit::{Failure, NO_DAEMON};
use super::print;
use crate::api::client::{Client, ClientError};
use crate::api::launch;
use crate::api::way::Way;
use crate::config::paths::Paths;
use crate::sys::dirs;
use crate::sys::lock::{self, Holder};

/// How often a daemon that goes away under our hands is looked for again.
const TRIES: u32 = 5;

/// After how long a daemon that does not answer is spoken of, and how much longer it is waited for.
const SOON: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(13);

/// The same where each costs a way there.
const TRIES_FAR: u32 = 2;

/// The directories this command works with.
pub fn paths() -> Result<Paths, Failure> {
    Ok(Paths::resolve(|name| std::env::var(name).ok(), dirs::is_usable)?)
}

/// A daemon; started when there is none, on this machine or behind `ssh`.
pub async fn client(globals: &Globals) -> Result<Client, Failure> {
    if let Some(way) = named(globals)? {
        return named_client(way).await;
    }
    let paths = paths()?;
    // Nearly always it is there, and then the first word is the one that finds out.
    for door in launch::doors(&paths) {
        let client = Client::new(door).with_notice(other_version);
        if greeted(&client, &paths).await?.is_ok() {
            return Ok(client);
        }
    }
    let mut tries = 0;
    loop {
        let client = Client::new(launch::ensure_daemon(&paths).await?).with_notice(other_version);
        match greeted(&client, &paths).await? {
            // One that is killed at this moment takes connections to the last: the next one is asked.
            Err(error) if error.is_no_answer() && tries < TRIES => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            // Whatever else is wrong with the daemon, the verb itself is about to find out.
            _ => return Ok(client),
        }
    }
}

/// What a daemon on this machine answers to a greeting. One that is stopped, or hangs, still takes connections: that is
/// said soon, and it is not waited for without end.
async fn greeted(client: &Client, paths: &Paths) -> Result<Result<(), ClientError>, Failure> {
    let mut greeting = Box::pin(client.greet());
    if let Ok(answer) = tokio::time::timeout(SOON, &mut greeting).await {
        return Ok(answer);
    }
    let pid = match lock::holder(&paths.lock()) {
        Ok(Holder::Somebody(holder)) => holder.map(|id| id.pid),
        Ok(Holder::Nobody) | Err(_) => None,
    };
    let named = pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
    print::complain(&format!("the daemon{named} does not answer; waiting"));
    tokio::time::timeout(PATIENCE, greeting).await.map_err(|_| Failure::Hung(pid))
}

/// One elsewhere is greeted first, so that what is wrong with the way is said before anything is asked.
async fn named_client(way: Way) -> Result<Client, Failure> {
    if !way.is_elsewhere() {
        return Ok(Client::to(way));
    }
    let client = Client::to(way).with_notice(other_version_there);
    let mut tries = 0;
    while let Err(error) = client.greet().await {
        // The way was there (`ssh` has a status of its own where it was not), and the daemon went away at that moment.
        let went_away = matches!(error, ClientError::Unreached { status: Some(0 | 1), .. });
        if !went_away || tries >= TRIES_FAR {
            return Err(error.into());
        }
        tries += 1;
    }
    Ok(client)
}

/// The daemon after its connection broke: it may be renewed or killed while somebody waits; the sessions do
/// not mind, and the next one knows them.
///
/// A way to another machine may take long to be made again: that it broke is said first.
pub async fn again(globals: &Globals, broke: &ClientError) -> Result<Client, Failure> {
    if is_elsewhere(globals)? {
        print::complain(&format!("{broke}; trying again"));
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let client = client(globals).await?;
    client.until_up(Duration::from_secs(10)).await?;
    Ok(client)
}

/// The daemon, if one runs. Never starts one.
pub async fn running(globals: &Globals) -> Result<Option<Client>, Failure> {
    let way = match named(globals)? {
        Some(Way::Ssh(ssh)) => Way::Ssh(ssh.without_a_start()),
        Some(way) => way,
        None => {
            let paths = paths()?;
            let Some(client) = launch::find_daemon(&paths).await?.map(Client::new) else { return Ok(None) };
            // What is wrong with one that answers, the verb itself is about to find out.
            let _ = greeted(&client, &paths).await?;
            return Ok(Some(client));
        }
    };
    match named_client(way).await {
        // What `dial-stdio` ends with when none runs there.
        Err(Failure::Client(ClientError::Unreached { status, .. })) if status == Some(i32::from(NO_DAEMON)) => Ok(None),
        client => client.map(Some),
    }
}

/// Runs a verb that talks. The runtime lives no longer than that.
pub fn block_on<T>(verb: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::Runtime)?;
    let answer = runtime.block_on(verb);
    runtime.shutdown_background();
    answer
}

/// What `--host` or `BEADLE_HOST` names, if anything.
pub fn named(globals: &Globals) -> Result<Option<Way>, Failure> {
    let named = globals.host.clone().or_else(|| std::env::var("BEADLE_HOST").ok());
    let token = std::env::var("BEADLE_TOKEN").ok();
    let way = |url: String| {
        let wrong = |why| Failure::Usage(format!("--host {}: {why}", print::printable(&url)));
        Way::parse(&url, token.as_deref()).map_err(wrong)
    };
    named.filter(|url| !url.is_empty()).map(way).transpose()
}

/// True when the paths, the environment and the processes of this machine mean nothing to the daemon.
pub fn is_elsewhere(globals: &Globals) -> Result<bool, Failure> {
    Ok(named(globals)?.is_some_and(|way| way.is_elsewhere()))
}

/// Refuses what reads or changes this machine, while another one is named.
pub fn only_here(globals: &Globals, verb: &str) -> Result<(), Failure> {
    let Some(way) = named(globals)?.filter(Way::is_elsewhere) else { return Ok(()) };
    Err(Failure::Usage(format!(
        "`beadle {verb}` is about the machine it runs on: run it on {}, or leave --host and BEADLE_HOST out",
        print::printable(way.host().unwrap_or_default())
    )))
}

/// `ls`, `kill` and `close-all` still work.
fn other_version(theirs: &str) {
    let (ours, theirs) = (env!("CARGO_PKG_VERSION"), print::printable(theirs));
    print::complain(&format!("this is version {ours}, the daemon is {theirs}: `beadle daemon restart` renews it"));
}

fn other_version_there(theirs: &str) {
    let (ours, theirs) = (env!("CARGO_PKG_VERSION"), print::printable(theirs));
    print::complain(&format!(
        "this is version {ours}, the daemon there is {theirs}: what only one of them knows fails"
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: &str) -> Globals {
        Globals { host: Some(host.into()) }
    }

    #[test]
    fn what_is_about_this_machine_is_refused_while_another_is_named() {
        assert!(only_here(&at("unix:///run/b.sock"), "doctor").is_ok());
        let refused = only_here(&at("ssh://me@server"), "doctor").unwrap_err();
        assert!(refused.status() == 2 && refused.to_string().contains("run it on server"), "{refused}");
        assert_eq!(named(&at("nonsense")).unwrap_err().status(), 2);
    }
}
