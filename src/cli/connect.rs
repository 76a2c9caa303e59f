//! The way to a daemon: directories out of the environment, `--host`, a daemon started where a verb needs one.

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use super::args::Globals;
use super::exit::Failure;
use super::print;
use crate::api::client::{Client, ClientError};
use crate::api::launch;
use crate::config::paths::Paths;
use crate::sys::dirs;

/// How often a daemon that goes away under our hands is looked for again.
const TRIES: u32 = 5;

/// The directories this command works with.
pub fn paths() -> Result<Paths, Failure> {
    Ok(Paths::resolve(|name| std::env::var(name).ok(), dirs::is_usable)?)
}

/// A daemon; started when there is none.
pub async fn client(globals: &Globals) -> Result<Client, Failure> {
    if let Some(socket) = named_socket(globals)? {
        return Ok(Client::new(socket));
    }
    let paths = paths()?;
    let mut tries = 0;
    loop {
        let client = Client::new(launch::ensure_daemon(&paths).await?).with_notice(other_version);
        match client.greet().await {
            // One that is killed at this moment takes connections to the last: the next one is asked.
            Err(ClientError::Connect { .. } | ClientError::Broken { .. }) if tries < TRIES => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            // Whatever else is wrong with the daemon, the verb itself is about to find out.
            _ => return Ok(client),
        }
    }
}

/// The daemon after its connection broke: it may be renewed or killed while somebody waits; the sessions do
/// not mind, and the next one knows them.
pub async fn again(globals: &Globals) -> Result<Client, Failure> {
    tokio::time::sleep(Duration::from_millis(200)).await;
    let client = client(globals).await?;
    client.until_up(Duration::from_secs(10)).await?;
    Ok(client)
}

/// The daemon, if one runs. Never starts one.
pub async fn running(globals: &Globals) -> Result<Option<Client>, Failure> {
    if let Some(socket) = named_socket(globals)? {
        return Ok(Some(Client::new(socket)));
    }
    Ok(launch::find_daemon(&paths()?).await?.map(Client::new))
}

/// Runs a verb that talks. The runtime lives no longer than that.
pub fn block_on<T>(verb: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::Runtime)?;
    let answer = runtime.block_on(verb);
    runtime.shutdown_background();
    answer
}

/// What `--host` or `BEADLE_HOST` names, if anything.
fn named_socket(globals: &Globals) -> Result<Option<PathBuf>, Failure> {
    let named = globals.host.clone().or_else(|| std::env::var("BEADLE_HOST").ok());
    named.filter(|url| !url.is_empty()).map(|url| socket_of(&url)).transpose()
}

fn socket_of(url: &str) -> Result<PathBuf, Failure> {
    match url.split_once("://") {
        Some(("unix", path)) if path.starts_with('/') => Ok(PathBuf::from(path)),
        Some(("http" | "https" | "ssh", _)) => Err(Failure::Usage(format!(
            "--host {url}: only unix:///path/to/beadle.sock is there yet; over ssh, run beadle on the other machine"
        ))),
        _ => Err(Failure::Usage(format!("--host {url}: write it like unix:///path/to/beadle.sock"))),
    }
}

/// `ls`, `kill` and `close-all` still work.
fn other_version(theirs: &str) {
    let (ours, theirs) = (env!("CARGO_PKG_VERSION"), print::printable(theirs));
    print::complain(&format!("this is version {ours}, the daemon is {theirs}: `beadle daemon restart` renews it"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_socket_can_be_a_host_for_now() {
        assert_eq!(socket_of("unix:///run/b.sock").unwrap(), PathBuf::from("/run/b.sock"));
        for url in ["unix://relative", "http://h:1", "ssh://u@h", "/run/b.sock", "x"] {
            assert_eq!(socket_of(url).unwrap_err().status(), 2, "{url}");
        }
    }
}
