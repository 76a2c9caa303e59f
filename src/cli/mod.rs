//! The command line: words in, one verb done, words and an exit status out. The only room that prints.
//!
//! - `args`: what may be typed. One file per verb does it; small verbs of one shape share `act`.
//! - `exit`: every way a verb ends. `print` and `table`: what a person reads.
//! - `connect`: the way to a daemon. `caller`: what a caller hands down to a session.

mod act;
mod args;
mod attach;
mod audit;
mod caller;
mod cleanup;
mod config;
mod connect;
mod daemon;
mod demo;
mod doctor;
mod events;
mod exit;
mod export;
mod health;
mod history;
mod interface;
mod journal;
mod kill;
mod logs;
mod ls;
mod paper;
mod peek;
mod print;
mod project;
mod run;
#[cfg(test)]
mod sample;
mod select;
mod send;
mod service;
mod show;
mod stats;
mod status;
mod stdio;
mod sweep;
mod table;
mod wait;

use std::process::ExitCode;

use clap::Parser;

use self::args::{Beadle, Config, ConfigShow, ConfigVerb, Daemon, DaemonVerb, Globals, Verb};
use self::exit::Ended;
use crate::api::types::Act;
use crate::sys::{crib, leash};

/// Does what the command line says.
pub fn run() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let verb = args.next();
    let rest = || args.map(|arg| arg.to_string_lossy().into_owned()).collect::<Vec<String>>();
    // A keeper is born often and stays small: it never meets the parser. Nor does what holds a hook.
    match verb.as_ref().and_then(|verb| verb.to_str()) {
        Some("keep") => crate::keeper::main(&rest()),
        Some(crib::VERB) => crate::keeper::crib(),
        Some(leash::VERB) => ExitCode::from(leash::hold(&rest())),
        _ => from_words(),
    }
}

fn from_words() -> ExitCode {
    let beadle = match Beadle::try_parse() {
        Ok(beadle) => beadle,
        Err(e) => {
            // `--help` into a pipe nobody reads is no failure.
            let _ = e.print();
            let status = u8::try_from(e.exit_code()).unwrap_or(exit::WRONG_USE);
            let is_wait = verb_of(std::env::args().skip(1)).as_deref() == Some("wait");
            // 2 would look like the status of the agent.
            return ExitCode::from(if status != exit::DONE && is_wait { exit::WAIT_FAILED } else { status });
        }
    };
    let globals = &beadle.globals;
    match beadle.verb {
        Some(Verb::Daemon(daemon @ Daemon { verb: None, .. })) => {
            let here = connect::only_here(globals, "daemon");
            here.and_then(|()| self::daemon::foreground(&daemon)).unwrap_or_else(|failure| exit::end(Err(failure)))
        }
        Some(verb) => exit::end(done(globals, verb)),
        None => {
            let wanted = interface::Wanted { embedded: beadle.embedded, readonly: beadle.readonly };
            exit::end(interface::run(globals, wanted))
        }
    }
}

/// The first word that is no option, where a line cannot be read as a whole.
fn verb_of(mut words: impl Iterator<Item = String>) -> Option<String> {
    loop {
        match words.next()? {
            host if host == "--host" => drop(words.next()),
            word if word.starts_with('-') => {}
            word => return Some(word),
        }
    }
}

/// Verbs that talk to nobody need no runtime.
fn done(globals: &Globals, verb: Verb) -> Ended {
    match verb {
        Verb::Completions(args) => paper::completions(&args),
        Verb::Man(args) => paper::man(&args),
        Verb::Demo(args) => demo::run(&args),
        Verb::Daemon(Daemon { verb: Some(DaemonVerb::Logs(args)), .. }) => {
            connect::only_here(globals, "daemon logs")?;
            journal::run(&args)
        }
        verb => connect::block_on(spoken(globals, verb)),
    }
}

async fn spoken(g: &Globals, verb: Verb) -> Ended {
    match verb {
        Verb::Run(args) => run::run(g, &args).await,
        Verb::Ls(args) => ls::run(g, &args).await,
        Verb::Show(args) => show::run(g, &args).await,
        Verb::Health(args) => health::run(g, &args).await,
        Verb::Attach(args) => attach::run(g, &args).await,
        Verb::Peek(args) => peek::run(g, &args).await,
        Verb::Logs(args) => logs::run(g, &args).await,
        Verb::Send(args) => send::run(g, &args).await,
        Verb::Wait(args) => wait::run(g, &args).await,
        Verb::Kill(args) => kill::kill(g, &args).await,
        Verb::CloseAll(args) => kill::close_all(g, &args).await,
        Verb::Sweep(args) => sweep::sweep(g, &args).await,
        Verb::Release(args) => sweep::release(g, &args).await,
        Verb::Pause(args) => act::act(g, Act::Pause, &args).await,
        Verb::Unpause(args) => act::act(g, Act::Unpause, &args).await,
        Verb::Signal(args) => act::signal(g, &args).await,
        Verb::Pin(args) => act::act(g, Act::Pin, &args).await,
        Verb::Unpin(args) => act::act(g, Act::Unpin, &args).await,
        Verb::Rm(args) => act::act(g, Act::Rm, &args).await,
        Verb::Cleanup(args) => cleanup::run(g, &args).await,
        Verb::Project(args) => project::run(g, &args.verb).await,
        Verb::KeepChild(args) => cleanup::keep_child(g, &args).await,
        Verb::Restart(args) => act::restart(g, &args).await,
        Verb::Resume(args) => act::resume(g, &args).await,
        Verb::Rename(args) => act::rename(g, &args).await,
        Verb::History(args) => history::run(g, &args).await,
        Verb::Audit(args) => audit::run(g, &args).await,
        Verb::Events(args) => events::run(g, &args).await,
        Verb::Stats(args) => stats::run(g, &args).await,
        Verb::Export(args) => export::run(g, &args).await,
        Verb::Heartbeat(args) => act::heartbeat(g, &args).await,
        Verb::Daemon(Daemon { verb, .. }) => of_daemon(g, verb).await,
        Verb::Config(Config { verb }) => config::run(g, &verb.unwrap_or(ConfigVerb::Show(ConfigShow::default()))).await,
        Verb::Doctor(args) => doctor::run(g, &args).await,
        Verb::Service(args) => service::run(g, &args).await,
        Verb::Status(args) => status::run(g, &args).await,
        Verb::DialStdio(args) => stdio::run(&args).await,
        // Done before there was a runtime.
        Verb::Completions(_) | Verb::Man(_) | Verb::Demo(_) => Ok(exit::DONE),
    }
}

async fn of_daemon(g: &Globals, verb: Option<DaemonVerb>) -> Ended {
    match verb {
        Some(DaemonVerb::Start) => daemon::start(g).await,
        Some(DaemonVerb::Stop(args)) => daemon::stop(g, &args).await,
        Some(DaemonVerb::Restart) => daemon::restart(g).await,
        Some(DaemonVerb::Status(args)) => daemon::status(g, &args).await,
        // Done before there was a runtime.
        Some(DaemonVerb::Logs(_)) | None => Ok(exit::DONE),
    }
}

#[cfg(test)]
mod tests {
    use super::verb_of;

    #[test]
    fn a_line_that_cannot_be_read_still_names_its_verb() {
        let verb = |line: &str| verb_of(line.split(' ').map(String::from));
        for line in ["wait", "wait --timeout abc", "--host ssh://wherever wait", "--host=ssh://wherever wait x"] {
            assert_eq!(verb(line).as_deref(), Some("wait"), "{line}");
        }
        assert_eq!(verb("run wait").as_deref(), Some("run"));
        assert_eq!(verb("--host wait"), None);
    }
}
