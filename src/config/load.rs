//! The layers: defaults, then the file, then the environment; and `set` on top of a running configuration.
//!
//! Faults are collected, not thrown: somebody who mends a file wants all of them at once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::Config;
use super::check::{KeyName, broken};
use super::error::{ConfigError, Fault, Place};
use super::file::FileLayer;
use super::key::{KEYS, Key};
use super::nearest::suggestion;
use super::paths::Paths;
use super::read::{Given, Wrong};

/// Reads the file (a missing one is fine unless the user named it), then the environment.
pub fn load(paths: &Paths, env: &[(String, String)]) -> Result<Config, ConfigError> {
    let path = &paths.config;
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && !paths.config_named => Vec::new(),
        Err(source) => return Err(ConfigError::Read { path: path.clone(), source }),
    };
    let text = std::str::from_utf8(&bytes).map_err(|e| {
        let before = String::from_utf8_lossy(&bytes[..e.valid_up_to()]);
        ConfigError::NotText(path.clone(), 1 + before.matches('\n').count())
    })?;
    layered(Some(path), text, env)
}

/// As [`load`], for text that is not in a file.
pub fn parse(text: &str, env: &[(String, String)]) -> Result<Config, ConfigError> {
    layered(None, text, env)
}

/// The variables of this process that can be settings; others, and those that are not text, are left out.
pub fn process_env() -> Vec<(String, String)> {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
    };
    std::env::vars_os().filter_map(text).filter(|(name, _)| is_setting(name)).collect()
}

fn is_setting(name: &str) -> bool {
    name.strip_prefix("BEADLE_").is_some_and(|rest| rest.contains("__"))
}

fn layered(path: Option<&Path>, text: &str, env: &[(String, String)]) -> Result<Config, ConfigError> {
    let mut layers = Layers::over(Config::default());
    FileLayer::new(path, text).apply(&mut layers);
    layers.environment(env);
    layers.finish()
}

impl Config {
    /// Changes one key of `[cleanup]` or `[health]`, by its full name or the name alone. All or nothing.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), ConfigError> {
        self.set_all(&[(key, value)])
    }

    /// Changes several keys together, so that two which depend on each other can both move.
    pub fn set_all(&mut self, pairs: &[(&str, &str)]) -> Result<(), ConfigError> {
        let mut layers = Layers::over(self.clone());
        for (name, value) in pairs {
            let place = Place::Setting((*name).into());
            match settable(name) {
                Ok(key) => layers.put(key, Given::Bare(value), place.clone()),
                Err(message) => layers.faults.push(Fault { place, message }),
            }
        }
        *self = layers.finish()?;
        Ok(())
    }
}

pub(super) fn settable(name: &str) -> Result<&'static Key, String> {
    if let Some(key) = KEYS.iter().find(|k| k.path() == name || (k.is_settable() && k.name == name)) {
        if key.is_settable() {
            return Ok(key);
        }
        return Err("cannot change while the daemon runs: write it in the config file".into());
    }
    let short = !name.contains('.');
    let known = KEYS.iter().filter(|k| k.is_settable()).map(|k| if short { k.name.into() } else { k.path() });
    let known: Vec<String> = known.collect();
    let meant = suggestion(name, known.iter().map(String::as_str));
    Err(format!("no key of [cleanup] or [health]{meant}"))
}

/// A configuration being put together.
pub(super) struct Layers {
    pub config: Config,
    /// Who said last what a key is.
    placed: BTreeMap<KeyName, Place>,
    /// Keys whose value was refused: rules about them would complain about a default nobody wrote.
    refused: BTreeSet<KeyName>,
    pub faults: Vec<Fault>,
}

impl Layers {
    fn over(config: Config) -> Self {
        Self { config, placed: BTreeMap::new(), refused: BTreeSet::new(), faults: Vec::new() }
    }

    /// Puts one value in; a complaint goes to `place`.
    fn put(&mut self, key: &'static Key, given: Given<'_>, place: Place) {
        if let Err(Wrong { message, .. }) = self.try_put(key, given, &place) {
            self.faults.push(Fault { place, message });
        }
    }

    /// Puts one value in, or leaves the complaint to the caller, who knows more of where it stands.
    pub fn try_put(&mut self, key: &'static Key, given: Given<'_>, place: &Place) -> Result<(), Wrong> {
        let name = (key.section, key.name);
        match key.read(&mut self.config, given) {
            Ok(()) => self.placed.insert(name, place.clone()),
            Err(wrong) => {
                self.refuse(key);
                return Err(wrong);
            }
        };
        Ok(())
    }

    /// Rules about this key are not asked: its value is not what somebody wrote.
    pub fn refuse(&mut self, key: &'static Key) {
        self.refused.insert((key.section, key.name));
    }

    fn environment(&mut self, env: &[(String, String)]) {
        for (name, value) in env.iter().filter(|(name, _)| is_setting(name)) {
            let place = Place::Environment(name.clone());
            match KEYS.iter().find(|k| k.env_name() == *name) {
                Some(key) => self.put(key, Given::Bare(value), place.clone()),
                None => self.faults.push(Fault { place, message: unknown_variable(name) }),
            }
        }
    }

    /// The rules across keys, then everything or every fault.
    fn finish(mut self) -> Result<Config, ConfigError> {
        for rule in broken(&self.config) {
            if rule.keys.iter().any(|k| self.refused.contains(k)) {
                continue;
            }
            let placed = rule.keys.iter().find_map(|k| self.placed.get_key_value(k));
            let Some((key, place)) = placed else { continue };
            let message = match place {
                Place::File { .. } => format!("{}.{}: {}", key.0, key.1, rule.message),
                Place::Environment(_) | Place::Setting(_) => rule.message,
            };
            self.faults.push(Fault { place: place.clone(), message });
        }
        // The file by line, then the environment by name.
        self.faults.sort_by(|a, b| a.place.cmp(&b.place));
        if self.faults.is_empty() { Ok(self.config) } else { Err(ConfigError::Wrong(self.faults)) }
    }
}

fn unknown_variable(name: &str) -> String {
    if name.starts_with("BEADLE_HOOK__") {
        return "hooks can only be written in the config file".into();
    }
    if name.starts_with("BEADLE_AGENT__") {
        return "profiles of agents can only be written in the config file".into();
    }
    let known: Vec<String> = KEYS.iter().map(Key::env_name).collect();
    format!("no setting has this variable{}", suggestion(name, known.iter().map(String::as_str)))
}
