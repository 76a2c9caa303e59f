//! `config`: the settings, checked, shown, found, read anew.

use super::args::{ConfigShow, ConfigVerb, Globals};
use super::exit::{DONE, Ended, Failure};
use super::{connect, print};
use crate::config::Config;
use crate::config::paths::Paths;

pub async fn run(globals: &Globals, verb: &ConfigVerb) -> Ended {
    match verb {
        ConfigVerb::Reload => reload(globals).await,
        ConfigVerb::Check | ConfigVerb::Show(_) | ConfigVerb::Path => {
            connect::only_here(globals, "config")?;
            of_file(verb)
        }
    }
}

fn of_file(verb: &ConfigVerb) -> Ended {
    match verb {
        ConfigVerb::Check => check(),
        ConfigVerb::Show(args) => show(args),
        ConfigVerb::Path | ConfigVerb::Reload => path(),
    }
}

fn check() -> Ended {
    let paths = connect::paths()?;
    load(&paths)?;
    let what = if paths.config.exists() { "is right" } else { "does not exist: every setting has its default" };
    print::line(&format!("{} {what}", paths.config.display()))?;
    Ok(DONE)
}

fn show(args: &ConfigShow) -> Ended {
    let text = shown(&load(&connect::paths()?)?);
    if args.json {
        let value: toml::Value = toml::from_str(&text).map_err(|e| Failure::Local(e.to_string()))?;
        print::json(&value)?;
    } else {
        print::raw(&text)?;
    }
    Ok(DONE)
}

fn path() -> Ended {
    print::line(&connect::paths()?.config.display().to_string())?;
    Ok(DONE)
}

/// The daemon checks before it takes anything over; a wrong file changes nothing.
async fn reload(globals: &Globals) -> Ended {
    let client = connect::running(globals).await?.ok_or(Failure::NoDaemon)?;
    let answer: serde_json::Value = client.post("/api/config/reload", &serde_json::json!({})).await?;
    let message = answer["message"].as_str().unwrap_or_default();
    print::line(&format!("the daemon has {}", print::printable(message)))?;
    Ok(DONE)
}

fn load(paths: &Paths) -> Result<Config, Failure> {
    Ok(crate::config::load(paths, &crate::config::process_env())?)
}

/// The settings in force, the token only said to be there.
fn shown(config: &Config) -> String {
    let hide = |line: &str| {
        let is_secret = line.starts_with("token = ") && line != "token = \"\"";
        if is_secret { "token = \"(set, not shown)\"\n".into() } else { format!("{line}\n") }
    };
    let lines: Vec<String> = crate::config::to_toml(config).lines().map(hide).collect();
    lines.concat()
}
