//! What changes while the daemon runs: `cleanup set`, `start` and `stop`, and the file read again.
//!
//! The file is read and written in threads that may block: a disk that hangs stops no judging and no killing.

use std::path::Path;
use std::sync::Arc;

use tracing::{info, warn};

use super::super::handle::{Input, Reply};
use super::super::supervisor::{Supervisor, answer};
use super::stats::three;
use crate::api::cleanup::{Configured, SetDone, Switched};
use crate::api::refusal::{Code, Refusal};
use crate::config::{self, Config, ConfigError};
use crate::sys::dirs;

/// Settings of these sections are read once, at the start of a daemon.
const AT_START: &[&str] = &["server.", "sys."];

/// The file was read again, for somebody who asked.
pub struct Reloaded {
    config: Result<Box<Config>, ConfigError>,
    reply: Reply<String>,
}

impl Supervisor {
    /// Several keys, all or none; with `keep` they hold from now on.
    pub(in crate::daemon) fn set_keys(&mut self, pairs: &[(String, String)], keep: bool) -> Result<SetDone, Refusal> {
        if pairs.is_empty() {
            return Err(Refusal::new(Code::BadRequest, "nothing to set: write KEY=VALUE, such as max_idle=30m"));
        }
        let mut config = self.set.config.clone();
        config.set_all(&borrowed(pairs)).map_err(|e| unprocessable(&e))?;
        let named: Vec<String> = pairs.iter().map(|(name, _)| full_name(&config, name)).collect();
        let values = |config: &Config| named.iter().filter_map(|k| Some((k.clone(), config.get(k)?))).collect();
        let done = SetDone { old_settings: values(&self.set.config), new_settings: values(&config), saved: None };
        if keep {
            if named.iter().any(|key| key == "cleanup.enabled") {
                self.cleaner.stopped = !config.cleanup.enabled;
            }
            info!("set {:?}, before {:?}", done.new_settings, done.old_settings);
            self.take_over(config);
        }
        Ok(done)
    }

    /// The plain form, over HTTP.
    pub(in crate::daemon) fn configure(&mut self, pairs: &[(String, String)]) -> Result<Configured, Refusal> {
        let old_settings = three(&self.set.config.cleanup);
        if !pairs.is_empty() {
            self.set_keys(pairs, true)?;
        }
        let new_settings = three(&self.set.config.cleanup);
        let message = if old_settings == new_settings { "nothing changed" } else { "the new settings are in force" };
        Ok(Configured { status: "updated".into(), old_settings, new_settings, message: message.into() })
    }

    /// Starts or stops the cleaner; sessions are left alone, and the file too.
    pub(in crate::daemon) fn switch(&mut self, on: bool) -> Switched {
        let was = self.set.config.cleanup.enabled;
        self.cleaner.stopped = !on;
        let mut config = self.set.config.clone();
        config.cleanup.enabled = on;
        self.take_over(config);
        let (status, message) = match (on, was) {
            (true, false) => ("started", "the cleaner is started"),
            (true, true) => ("started", "the cleaner was running already"),
            (false, true) => ("stopped", "the cleaner is stopped; sessions are left as they are"),
            (false, false) => ("stopped", "the cleaner was stopped already"),
        };
        info!("{message}");
        let three = three(&self.set.config.cleanup);
        Switched {
            status: status.into(),
            cleanup_interval: three.cleanup_interval,
            session_timeout: three.session_timeout,
            message: message.into(),
        }
    }

    /// Reads the file again.
    pub(in crate::daemon) fn reload(&self, reply: Reply<String>) {
        let (paths, inputs) = (self.set.paths.clone(), self.inputs.clone());
        tokio::task::spawn_blocking(move || {
            let config = config::load(&paths, &config::process_env()).map(Box::new);
            // A supervisor that has ended needs no settings.
            let _ = inputs.send(Input::Reloaded(Box::new(Reloaded { config, reply })));
        });
    }

    pub(in crate::daemon) fn on_reloaded(&mut self, reloaded: Reloaded) {
        match reloaded.config {
            Ok(config) => {
                let later = self.only_at_start(&config);
                let mut config = *config;
                config.cleanup.enabled &= !self.cleaner.stopped;
                self.take_over(config);
                info!("the config was read again");
                let said = format!("read {}{later}", self.set.paths.config.display());
                answer(reloaded.reply, Ok(said));
            }
            Err(error) => {
                warn!(%error, "the config is bad: the old settings stay in force");
                let said = format!("the old settings stay in force: {error}");
                answer(reloaded.reply, Err(Refusal::new(Code::Unprocessable, said)));
            }
        }
    }

    /// What has changed in the file and holds from the next start on. Names only: a value may be a secret.
    fn only_at_start(&self, new: &Config) -> String {
        let is_late = |key: &String| AT_START.iter().any(|section| key.starts_with(section));
        let differs = |key: &String| self.set.config.get(key) != new.get(key);
        let late: Vec<String> = config::keys().filter(is_late).filter(differs).collect();
        if late.is_empty() {
            return String::new();
        }
        format!("; {} holds from the next `beadle daemon restart` on", late.join(", "))
    }

    /// New settings, in force from now on.
    fn take_over(&mut self, config: Config) {
        let (was, is) = (self.set.config.cleanup.clone(), config.cleanup.clone());
        let before = std::mem::replace(&mut self.set.config, config);
        self.tell_settings(&before);
        self.set.hooks.send_replace(Arc::new(self.set.config.hook.clone()));
        self.measure_anew();
        let authority = self.authority();
        // A keeper that does not hear this is gone.
        self.live().filter_map(|e| e.link.as_ref()).for_each(|link| drop(link.order(&authority)));
        if !is.enabled {
            self.withdraw_all();
        }
        if is.enabled != was.enabled || is.interval != was.interval {
            self.cleaner.begin(is.interval);
        }
        self.sample_soon();
        self.bump();
    }
}

/// Writes settings into the config file; blocks. What the file says besides is kept, comments and order too.
pub fn save(path: &Path, pairs: &[(String, String)]) -> Result<(), Refusal> {
    let failed = |what: &str, why: &dyn std::fmt::Display| {
        // What was asked for makes sense: it is the file that does not let itself be changed.
        Refusal::new(Code::Internal, format!("failed to {what} {}: {why}; nothing was set", path.display()))
    };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(e) => return Err(failed("read", &e)),
    };
    let text = config::edited(&text, &borrowed(pairs)).map_err(|e| failed("change", &e))?;
    dirs::replace(path, text.as_bytes()).map_err(|e| failed("write", &e))
}

fn borrowed(pairs: &[(String, String)]) -> Vec<(&str, &str)> {
    pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// `max_idle` is `cleanup.max_idle`.
fn full_name(config: &Config, name: &str) -> String {
    let full = ["", "cleanup.", "health."].map(|section| format!("{section}{name}"));
    full.into_iter().find(|key| config.get(key).is_some()).unwrap_or_else(|| name.into())
}

fn unprocessable(error: &ConfigError) -> Refusal {
    Refusal::new(Code::Unprocessable, error.to_string())
}
