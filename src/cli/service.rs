//! `service`: the daemon as a unit of the user's systemd. Writes the unit, and has `systemctl` and `loginctl` do the rest.

mod unit;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::Serialize;

use super::args::{Globals, Service, ServiceInstall, ServiceUninstall, ServiceVerb};
use super::exit::{DONE, Ended, FAILED, Failure};
use super::{connect, print};
use crate::api::refusal::Code;
use crate::config;
use crate::model::scope::{self, Standing};
use crate::sys::child::{self, NoAnswer};
use crate::sys::{self, dirs, host_facts, process};

/// How long systemd may take: a start answers when the daemon is ready.
const PATIENCE: Duration = Duration::from_secs(120);
const LINGER: &str =
    "when you log out, systemd ends the service and every session in it: `loginctl enable-linger` changes that";

pub async fn run(globals: &Globals, args: &Service) -> Ended {
    connect::only_here(globals, "service")?;
    if process::below_keeper() && !matches!(args.verb, ServiceVerb::Status(_)) {
        let why = "this is inside a session of beadle: whether the daemon is a service is said outside";
        return Err(Failure::refused(Code::Forbidden, why));
    }
    match &args.verb {
        ServiceVerb::Install(args) => install(args),
        ServiceVerb::Uninstall(args) => uninstall(args),
        ServiceVerb::Status(args) => status(globals, args.json).await,
    }
}

fn install(args: &ServiceInstall) -> Ended {
    has_manager()?;
    let path = unit_path()?;
    let (text, before) = (unit_text()?, read(&path)?);
    let is_new = before.as_ref() != Some(&text);
    if let Some(before) = before.as_ref().filter(|before| is_new && !unit::is_untouched(before)) {
        if !args.force {
            return Err(changed(&path, "--force replaces it, and keeps the old one beside it"));
        }
        write(&path.with_extension("service.bak"), before)?;
    }
    if is_new {
        write(&path, &text)?;
        print::line(&format!("✔ wrote {}", shown(&path)))?;
    }
    systemctl(&["daemon-reload"])?;
    systemctl(&["enable", unit::NAME])?;
    // A service that runs by another unit is renewed; its sessions stay.
    systemctl(&[if is_new { "restart" } else { "start" }, unit::NAME])?;
    print::line("✔ the daemon runs as a service: it starts with your login, and its sessions outlive it")?;
    linger(args.linger)?;
    Ok(DONE)
}

/// Sessions outlive the daemon only as long as systemd lets them.
fn linger(is_wanted: bool) -> Result<(), Failure> {
    let host = host_facts::logout();
    if host.lingers {
        return Ok(());
    }
    let is_person = std::io::stdin().is_terminal();
    let question = "Let it live on when you log out (loginctl enable-linger)?";
    let is_agreed = is_wanted || (is_person && print::confirmed(question));
    if !is_agreed {
        print::complain(&format!("lingering is off: {LINGER}"));
        return Ok(());
    }
    let asked = child::answer_within(Command::new("loginctl").arg("enable-linger"), PATIENCE);
    asked.map_err(|e| Failure::Local(format!("failed to have systemd keep it after a logout: {e}")))?;
    print::line("✔ it lives on when you log out")
}

fn uninstall(args: &ServiceUninstall) -> Ended {
    let path = unit_path()?;
    let Some(text) = read(&path)? else {
        print::complain(&format!("there is no {}", shown(&path)));
        return Ok(DONE);
    };
    if !args.force && !unit::is_untouched(&text) {
        return Err(changed(&path, "--force removes it all the same"));
    }
    has_manager()?;
    systemctl(&["disable", "--now", unit::NAME])?;
    std::fs::remove_file(&path).map_err(|e| Failure::Local(format!("failed to remove {}: {e}", shown(&path))))?;
    systemctl(&["daemon-reload"])?;
    print::line("✔ the service is gone; the sessions go on, and the next command finds them")?;
    Ok(DONE)
}

#[derive(Serialize)]
struct Told {
    unit: String,
    installed: bool,
    /// By hand, after it was installed.
    changed: bool,
    /// As systemd says it (`active`, `failed`, …); `null` where it does not answer.
    active: Option<String>,
    enabled: Option<String>,
    /// The daemon that answers is the one of the service.
    daemon: bool,
    lingers: bool,
    /// Whether sessions get a systemd scope of their own.
    scopes: Standing,
}

/// Exit 1 unless it runs.
async fn status(globals: &Globals, json: bool) -> Ended {
    let path = unit_path()?;
    let text = read(&path)?;
    // `is-active` and `is-enabled` answer with a word and a status; `show` always succeeds.
    let property = |name: &str| {
        let said = systemctl(&["show", "--value", "--property", name, unit::NAME]).ok();
        said.map(|text| text.trim().to_string()).filter(|word| !word.is_empty())
    };
    let pid = property("MainPID");
    let running = match connect::running(globals).await {
        Ok(Some(client)) => client.daemon().await.ok(),
        _ => None,
    };
    let is_its = running.as_ref().is_some_and(|status| Some(status.pid.to_string()) == pid);
    let told = Told {
        unit: path.display().to_string(),
        installed: text.is_some(),
        changed: text.as_ref().is_some_and(|text| !unit::is_untouched(text)),
        active: property("ActiveState"),
        enabled: property("UnitFileState"),
        daemon: is_its,
        lingers: host_facts::logout().lingers,
        scopes: running.map_or_else(scopes_here, |status| status.scopes),
    };
    if json {
        print::json(&told)?;
    } else {
        print::raw(&in_words(&told))?;
    }
    Ok(if told.active.as_deref() == Some("active") { DONE } else { FAILED })
}

/// While no daemon can say.
fn scopes_here() -> Standing {
    let config = connect::paths().map(|paths| config::load(&paths, &config::process_env()).unwrap_or_default());
    sys::scope::standing(config.unwrap_or_default().sys.scope)
}

fn in_words(told: &Told) -> String {
    let unit = match (told.installed, told.changed) {
        (false, _) => "not installed (`beadle service install`)".to_string(),
        (true, false) => print::printable(&told.unit),
        (true, true) => format!("{}, changed by hand", print::printable(&told.unit)),
    };
    let word =
        |word: &Option<String>| word.as_deref().map_or("unknown: systemd does not answer".into(), print::printable);
    let daemon = if told.daemon { "the one of the service" } else { "none, or one that is not of the service" };
    let logout =
        if told.lingers { "it lives on (lingering is on)".into() } else { format!("lingering is off: {LINGER}") };
    let rows = [
        ("Unit", unit),
        ("State", word(&told.active)),
        ("At login", word(&told.enabled)),
        ("Daemon", daemon.into()),
        ("Logout", logout),
        ("Sessions", print::printable(&scope::in_words(&told.scopes))),
    ];
    let lines: Vec<String> = rows.iter().map(|(label, value)| format!("{label:<12}{value}\n")).collect();
    lines.concat()
}

fn has_manager() -> Result<(), Failure> {
    let answer = child::answer_within(Command::new("systemctl").args(["--user", "show-environment"]), PATIENCE);
    answer.map(drop).map_err(|why| {
        let hint = match why {
            NoAnswer::Failed(ref said) if said.contains("failed to run systemctl") => {
                "there is no systemd here, and the daemon needs none: any command starts it"
            }
            NoAnswer::Failed(_) | NoAnswer::Late(_) => {
                "a login of its own (not su or sudo) has one, and so has a user with `loginctl enable-linger`"
            }
        };
        Failure::Local(format!("no systemd of this user answers ({why}): {hint}"))
    })
}

fn systemctl(args: &[&str]) -> Result<String, Failure> {
    let asked = child::answer_within(Command::new("systemctl").arg("--user").args(args), PATIENCE);
    asked.map_err(|why| {
        let verb = args.join(" ");
        let more = "`journalctl --user -u beadle` and `beadle daemon logs` say more";
        Failure::Local(format!("failed to have systemd {verb}: {why} ({more})"))
    })
}

/// Where the unit is, whether or not it is there.
fn unit_path() -> Result<PathBuf, Failure> {
    let env = |name: &str| std::env::var(name).ok();
    unit::path(env).ok_or_else(|| Failure::Usage("HOME is not set: systemd looks for units below it".into()))
}

/// True when a unit is there, whoever wrote it.
pub fn is_installed() -> bool {
    unit_path().is_ok_and(|path| path.exists())
}

fn unit_text() -> Result<String, Failure> {
    let failed = |why: &str| Failure::Local(format!("failed to write a unit for this program: {why}"));
    let program = std::env::current_exe().map_err(|e| failed(&e.to_string()))?;
    // The name of one that was replaced meanwhile.
    let name =
        program.to_str().map(|p| p.trim_end_matches(" (deleted)")).ok_or_else(|| failed("its path is not UTF-8"))?;
    let env = unit::CARRIED.iter().filter_map(|name| Some(((*name).to_string(), std::env::var(name).ok()?)));
    let env: Vec<(String, String)> = env.filter(|(_, value)| !value.is_empty()).collect();
    unit::text(Path::new(name), &env).ok_or_else(|| failed("its path holds control characters"))
}

fn read(path: &Path) -> Result<Option<String>, Failure> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Failure::Read { path: path.into(), source }),
    }
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |e: std::io::Error| Failure::Local(format!("failed to write {}: {e}", shown(path)));
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).map_err(failed)?;
    }
    dirs::replace(path, text.as_bytes()).map_err(failed)
}

fn changed(path: &Path, force: &str) -> Failure {
    let drop_in = "`systemctl --user edit beadle.service` keeps changes beside it";
    Failure::Local(format!("{} was changed by hand, and is left as it is: {drop_in}; {force}", shown(path)))
}

fn shown(path: &Path) -> String {
    print::printable(&path.display().to_string())
}
