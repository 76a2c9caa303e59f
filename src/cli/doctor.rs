//! `doctor`: what on this host will bite, and which profile knows which process.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::args::{Doctor, DoctorVerb, Globals};
use super::exit::{DONE, Ended, FAILED, Failure};
use super::{connect, print, service};
use crate::api::client::Client;
use crate::api::types::Session;
use crate::config::paths::Paths;
use crate::config::{self, Config};
use crate::model::doctor::{self, Daemon, Finding, Level, RuntimeFrom};
use crate::model::profile::{HelperKind, Match, Profiles};
use crate::model::scope::Standing;
use crate::model::session::State;
use crate::model::text::{printable, printable_within};
use crate::sys::host_facts::{self, Running};
use crate::sys::{self, cgroup, clock, fds};

/// How long a daemon may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Columns of a command line that are shown.
const COMMAND: usize = 100;

pub async fn run(globals: &Globals, args: &Doctor) -> Ended {
    connect::only_here(globals, "doctor")?;
    match args.verb {
        None => report(globals, args.json).await,
        Some(DoctorVerb::Profiles) => profiles(args.json),
    }
}

/// Exit 1 when something fails.
async fn report(globals: &Globals, json: bool) -> Ended {
    let paths = connect::paths()?;
    let read = config::load(&paths, &config::process_env());
    let error = read.as_ref().err().map(ToString::to_string);
    let config = read.unwrap_or_default();
    let heard = asked(globals).await;
    let scopes = heard.scopes.unwrap_or_else(|| sys::scope::standing(config.sys.scope));
    // One that a command is to start goes where its sessions go.
    let away = scopes.leaves() && !heard.pid.is_some_and(cgroup::is_in_login);
    let mut findings = of_host(&paths, &config, &scopes)?;
    findings.push(doctor::logout(&host_facts::logout(), away));
    findings.push(doctor::config(&paths.config.display().to_string(), error.as_deref()));
    if config.server.token.is_some()
        && let Ok(meta) = std::fs::metadata(&paths.config)
    {
        findings.push(doctor::token(&shown(&paths.config), meta.permissions().mode()));
    }
    findings.push(doctor::daemon(&heard.daemon, env!("CARGO_PKG_VERSION")));
    findings.push(doctor::unread(&unread(&heard.sessions)));
    findings.push(doctor::sockets(&stale(&paths)));
    findings.push(doctor::clock(!clock::boot_id().is_empty(), drift(&heard.sessions)));
    if json {
        print::json(&findings)?;
    } else {
        print::raw(&findings.iter().map(line).collect::<String>())?;
    }
    Ok(if findings.iter().any(|f| f.level == Level::Fail) { FAILED } else { DONE })
}

fn of_host(paths: &Paths, config: &Config, scopes: &Standing) -> Result<Vec<Finding>, Failure> {
    let state = host_facts::directory(&paths.state);
    let (first, zombies) = host_facts::reaper();
    let open_files = fds::most_open_files().map_err(|e| Failure::Local(format!("failed to read the limits: {e}")))?;
    let inside_tmux = std::env::var_os("TMUX").is_some_and(|v| !v.is_empty());
    Ok(vec![
        doctor::runtime(&host_facts::directory(&paths.runtime), runtime_from(paths)),
        doctor::state(&state),
        doctor::disk(&state),
        doctor::service(service::is_installed(), &host_facts::logout()),
        doctor::kernel(&host_facts::kernel()),
        doctor::scope(scopes),
        doctor::cgroup(&cgroup::delegation(), config.sys.cgroup, scopes.leaves()),
        doctor::open_files(open_files, config.cleanup.max_sessions),
        doctor::sight(&host_facts::sight()),
        doctor::reaper(&first, zombies),
        doctor::tmux(inside_tmux, host_facts::tmux_version().as_deref()),
    ])
}

fn runtime_from(paths: &Paths) -> RuntimeFrom {
    let is_named = std::env::var_os("BEADLE_RUNTIME_DIR").is_some_and(|v| !v.is_empty());
    if is_named {
        RuntimeFrom::Named
    } else if paths.runtime.starts_with(&paths.state) {
        RuntimeFrom::State
    } else {
        RuntimeFrom::Xdg
    }
}

/// A daemon, its sessions, and what it says of their scopes.
struct Heard {
    daemon: Daemon,
    pid: Option<i32>,
    sessions: Vec<Session>,
    scopes: Option<Standing>,
}

impl Heard {
    fn nothing(daemon: Daemon) -> Self {
        Self { daemon, pid: None, sessions: Vec::new(), scopes: None }
    }
}

/// Of one that runs. None is started.
async fn asked(globals: &Globals) -> Heard {
    let running = match tokio::time::timeout(PATIENCE, connect::running(globals)).await {
        Ok(Ok(Some(client))) => client,
        Ok(Ok(None)) => return Heard::nothing(Daemon::None),
        Ok(Err(_)) | Err(_) => return Heard::nothing(Daemon::Silent),
    };
    let answer = tokio::time::timeout(PATIENCE, told(&running)).await;
    answer.ok().flatten().unwrap_or_else(|| Heard::nothing(Daemon::Silent))
}

async fn told(client: &Client) -> Option<Heard> {
    let status = client.daemon().await.ok()?;
    let sessions = client.sessions(false, true).await.ok()?.sessions;
    let daemon = Daemon::Runs { version: status.version, sessions: status.sessions };
    Some(Heard { daemon, pid: Some(status.pid), sessions, scopes: Some(status.scopes) })
}

fn unread(sessions: &[Session]) -> Vec<(String, String)> {
    let why = |s: &Session| match s.processes {
        _ if s.reason.contains("keeper") => Some(s.reason.clone()),
        None => Some("its processes could not be counted".into()),
        Some(_) => None,
    };
    sessions.iter().filter_map(|s| Some((s.name.clone(), why(s)?))).collect()
}

/// By how many seconds the wall clock ran ahead of the ages of sessions, where it did most.
fn drift(sessions: &[Session]) -> Option<f64> {
    let now = clock::wall();
    let live = sessions.iter().filter(|s| s.state != State::Ended);
    let of = |s: &Session| Some(clock::seconds_between(&s.started_at, &now)? - s.age_seconds);
    live.filter_map(of).max_by(|a, b| a.abs().total_cmp(&b.abs()))
}

fn stale(paths: &Paths) -> Vec<String> {
    let keepers = std::fs::read_dir(paths.keepers()).into_iter().flatten().flatten().map(|e| e.path());
    let all = std::iter::once(paths.socket()).chain(keepers);
    all.filter(|path: &std::path::PathBuf| host_facts::is_stale(path)).map(|path| shown(&path)).collect()
}

fn shown(path: &Path) -> String {
    printable(&path.display().to_string())
}

fn line(finding: &Finding) -> String {
    let sign = match finding.level {
        Level::Ok => "✔",
        Level::Note => "·",
        Level::Warn => "!",
        Level::Fail => "✖",
    };
    let advice = finding.advice.as_ref().map(|a| format!("{:22}{}\n", "", printable(a))).unwrap_or_default();
    let text: Vec<String> = finding.text.lines().map(printable).collect();
    format!("{sign} {:<18}  {}\n{advice}", finding.name, text.join(&format!("\n{:22}", "")))
}

/// One process that a profile has something to say about.
#[derive(Debug, Serialize)]
struct Known {
    pid: i32,
    /// `agent`, `helper` or `excluded`.
    is: &'static str,
    agent: String,
    rule: String,
    /// Why it is none, or what kind of helper.
    why: Option<String>,
    command: String,
}

fn profiles(json: bool) -> Ended {
    let config = config::load(&connect::paths()?, &config::process_env())?;
    let failed = |e| Failure::Local(format!("failed to read the process table: {e}"));
    let (running, all) = host_facts::running().map_err(failed)?;
    let known: Vec<Known> = running.iter().filter_map(|process| known(&config.profiles, process)).collect();
    if !all {
        print::complain("some processes did not answer in time and are not listed");
    }
    if json {
        print::json(&known)?;
        return Ok(DONE);
    }
    for (is, heading) in [("agent", "Agents"), ("helper", "Helpers"), ("excluded", "Not agents")] {
        let of_kind: Vec<&Known> = known.iter().filter(|k| k.is == is).collect();
        print::line(&format!("{heading} ({})", of_kind.len()))?;
        for k in of_kind {
            let why = k.why.as_ref().map(|why| format!("; {}", printable(why))).unwrap_or_default();
            print::line(&format!("  {:<8} {:<14} {}", k.pid, printable(&k.agent), k.command))?;
            print::line(&format!("{:26}{}{why}", "", printable(&k.rule)))?;
        }
    }
    Ok(DONE)
}

fn known(profiles: &Profiles, process: &Running) -> Option<Known> {
    let (is, agent, rule, why) = match profiles.recognise(&process.arguments, process.executable.as_deref()) {
        Match::Agent { name, rule } => ("agent", name, rule, None),
        Match::Helper { agent, kind, stdio, rule } => ("helper", agent, rule, Some(of_kind(kind, stdio))),
        Match::Excluded { agent, rule, why } => ("excluded", agent, rule, Some(why)),
        Match::Nothing => return None,
    };
    let command = printable_within(&process.arguments.join(" "), COMMAND);
    Some(Known { pid: process.pid, is, agent, rule, why, command })
}

fn of_kind(kind: HelperKind, stdio: bool) -> String {
    let kind = match kind {
        HelperKind::Mcp => "a server of the model context protocol",
        HelperKind::Shell => "a shell that runs one command",
        HelperKind::Daemon => "serves other sessions as well",
    };
    if stdio { format!("{kind}, over its standard input and output") } else { kind.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::sample;

    #[test]
    fn a_line_has_a_sign_its_text_and_what_to_do_and_steers_nothing() {
        let finding = Finding {
            name: "disk space",
            level: Level::Warn,
            text: "little\x1b[2J\nmore".into(),
            advice: Some("make room".into()),
        };
        let expected =
            "! disk space          little·[2J\n                      more\n                      make room\n";
        assert_eq!(line(&finding), expected);
    }

    #[test]
    fn what_is_unknown_of_a_session_is_told_by_name() {
        let mut rows =
            vec![sample::session("a", "well"), sample::session("b", "silent"), sample::session("c", "hidden")];
        rows[1].reason = "its keeper does not answer".into();
        rows[2].processes = None;
        let names: Vec<String> = unread(&rows).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["silent", "hidden"]);
        rows[0].started_at = clock::wall();
        rows[0].age_seconds = 7200.0;
        assert!(drift(&rows[..1]).is_some_and(|d| d < -7000.0));
        assert_eq!(drift(&[]), None);
    }

    #[test]
    fn a_hostile_command_line_is_shown_without_its_controls() {
        let process = Running {
            pid: 7,
            arguments: vec!["claude".into(), "\x1b]0;x\x07".into(), "y".repeat(500)],
            executable: None,
        };
        let known = known(&Config::default().profiles, &process).unwrap();
        assert_eq!((known.is, known.agent.as_str()), ("agent", "claude"));
        assert!(!known.command.chars().any(char::is_control) && known.command.chars().count() <= COMMAND + 1);
    }
}
