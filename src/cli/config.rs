//! `config`: the settings, checked, shown, found, read anew.

use super::args::{ConfigShow, ConfigVerb, Globals};
use super::exit::{DONE, Ended, Failure};
use super::{connect, print};
use crate::config::paths::Paths;

pub async fn run(globals: &Globals, verb: &ConfigVerb) -> Ended {
    match verb {
        ConfigVerb::Check => check(),
        ConfigVerb::Show(args) => show(args),
        ConfigVerb::Path => path(),
        ConfigVerb::Reload => reload(globals).await,
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
    let text = load(&connect::paths()?)?;
    if args.json {
        let value: toml::Value = toml::from_str(&text).map_err(|e| Failure::Config(e.to_string()))?;
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
    let _: serde_json::Value = client.post("/api/config/reload", &serde_json::json!({})).await?;
    print::line("the daemon has read the settings")?;
    Ok(DONE)
}

/// JOIN: the settings in force as TOML, every secret left out:
/// `config::to_toml(&config::load(paths, &vars)?)` with the error's own words in [`Failure::Config`].
fn load(_paths: &Paths) -> Result<String, Failure> {
    Err(Failure::Missing("reading the config"))
}
