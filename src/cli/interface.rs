//! Bare `beadle`: the terminal interface, before a daemon or with one of its own inside.

use super::args::Globals;
use super::exit::{DONE, Ended, Failure};
use super::{caller, connect};
use crate::api::client::Client;
use crate::api::refusal::Code;
use crate::api::types::StartRequest;
use crate::config::Config;
use crate::config::paths::Paths;
use crate::daemon::{self, Daemon, DaemonError};
use crate::sys::{host, inherit};
use crate::tui;

/// What the interface was asked to be.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    pub embedded: bool,
    pub readonly: bool,
}

pub fn run(globals: &Globals, wanted: Wanted) -> Ended {
    if wanted.embedded {
        connect::only_here(globals, "--embedded")?;
    }
    connect::block_on(async {
        if wanted.embedded { Box::pin(embedded(wanted)).await } else { before_a_daemon(globals, wanted).await }
    })
}

async fn before_a_daemon(globals: &Globals, wanted: Wanted) -> Ended {
    let client = connect::client(globals).await?;
    let mut options = options(wanted, connect::paths().ok(), &crate::config::process_env());
    // A daemon somebody named is theirs; ours is started wherever it is missing, as by every command.
    options.daemon = if connect::named(globals)?.is_none() { connect::paths().ok() } else { None };
    if let Some(host) = client.way().host() {
        options = tui::Options {
            host: host.into(),
            directory: String::new(),
            home: None,
            command: String::new(),
            template: StartRequest::default(),
            ..options
        };
        client.ask_nobody();
    }
    tui::run(client, options).await.map_err(shown)?;
    Ok(DONE)
}

/// The same supervisor, as a task of this process. When the interface ends, sessions stay with their keepers.
async fn embedded(wanted: Wanted) -> Ended {
    let options = options(wanted, connect::paths().ok(), &crate::config::process_env());
    let started = daemon::Options { embedded: true, ..daemon::Options::default() };
    let daemon = Daemon::begin(connect::paths()?, started).await.map_err(|error| match error {
        DaemonError::Running(_) => {
            Failure::refused(Code::Forbidden, format!("{error}: `beadle` without --embedded uses it"))
        }
        other => Failure::Local(other.to_string()),
    })?;
    let (client, handle) = (Client::new(daemon.socket()), daemon.handle());
    let serving = tokio::spawn(daemon.serve());
    let shown_until = tui::run(client, options).await;
    handle.end();
    // What went wrong in the daemon is in its log; the sessions are with their keepers either way.
    let _ = serving.await;
    shown_until.map_err(shown)?;
    Ok(DONE)
}

pub fn shown(error: tui::TuiError) -> Failure {
    match error {
        tui::TuiError::NoTerminal => Failure::Usage(error.to_string()),
        other => Failure::Local(other.to_string()),
    }
}

/// From what is at these places; a wrong config is the daemon's to refuse, one may still look.
pub fn options(wanted: Wanted, paths: Option<Paths>, env: &[(String, String)]) -> tui::Options {
    let config = paths.as_ref().and_then(|p| crate::config::load(p, env).ok());
    let config: Config = config.unwrap_or_default();
    let template = StartRequest {
        env: caller::environment(),
        env_whole: true,
        umask: Some(inherit::umask()),
        limits: caller::limits(),
        ..StartRequest::default()
    };
    tui::Options {
        readonly: wanted.readonly,
        embedded: wanted.embedded,
        host: host::name(),
        detach_key: config.attach.detach_key.to_string(),
        command: config.agents.default.unwrap_or_default(),
        grace: config.stop.grace,
        looks: config.tui,
        memory: paths.map(|p| p.state.join("interface.json")),
        template,
        stop: Some(host::stop_self),
        ..tui::Options::from_env()
    }
}
