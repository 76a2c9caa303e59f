//! Where things live. Pure over an environment that is passed in; what exists on disk is asked through
//! a function, so that every rule here is tested by table.

use std::path::{Path, PathBuf};

/// The directories of one beadle (one *instance*).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// The config file, whether or not it exists.
    pub config: PathBuf,
    /// True when the user named it (`BEADLE_CONFIG`): then it must exist.
    pub config_named: bool,
    pub state: PathBuf,
    pub runtime: PathBuf,
    /// `BEADLE_SOCKET`: where to connect, whatever the state directory says.
    pub socket_named: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathsError {
    #[error("HOME is not set: set it, or set {0}")]
    NoHome(&'static str),
    #[error("{name} must be an absolute path, not {value:?}")]
    Relative { name: &'static str, value: String },
}

impl Paths {
    /// Resolves from environment variables; `usable` says whether a directory exists and is the user's own.
    pub fn resolve(env: impl Fn(&str) -> Option<String>, usable: impl Fn(&Path) -> bool) -> Result<Self, PathsError> {
        let named = |name: &'static str| absolute(name, env(name));
        // XDG Base Directory: relative or empty values are ignored.
        let xdg = |name: &str| env(name).map(PathBuf::from).filter(|p| p.is_absolute());
        let home =
            |instead| env("HOME").map(PathBuf::from).filter(|p| p.is_absolute()).ok_or(PathsError::NoHome(instead));
        let state = match (named("BEADLE_STATE_DIR")?, xdg("XDG_STATE_HOME")) {
            (Some(dir), _) => dir,
            (None, Some(xdg)) => xdg.join("beadle"),
            (None, None) => home("BEADLE_STATE_DIR")?.join(".local/state/beadle"),
        };
        let config_named = named("BEADLE_CONFIG")?;
        let config = match (&config_named, xdg("XDG_CONFIG_HOME")) {
            (Some(file), _) => file.clone(),
            (None, Some(xdg)) => xdg.join("beadle/config.toml"),
            (None, None) => home("BEADLE_CONFIG")?.join(".config/beadle/config.toml"),
        };
        let runtime = match (named("BEADLE_RUNTIME_DIR")?, xdg("XDG_RUNTIME_DIR")) {
            (Some(dir), _) => dir,
            (None, Some(xdg)) if usable(&xdg) => xdg.join("beadle"),
            (None, _) => state.join("run"),
        };
        let socket_named = named("BEADLE_SOCKET")?;
        Ok(Self { config_named: config_named.is_some(), config, state, runtime, socket_named })
    }

    /// Held by the daemon while it lives.
    pub fn lock(&self) -> PathBuf {
        self.state.join("lock")
    }

    /// Holds the path of the daemon's socket, written by the daemon.
    pub fn address(&self) -> PathBuf {
        self.state.join("address")
    }

    /// The random name of this instance; part of every session's tag.
    pub fn instance(&self) -> PathBuf {
        self.state.join("instance")
    }

    /// The memory of what happened.
    pub fn database(&self) -> PathBuf {
        self.state.join("beadle.db")
    }

    /// What people said of sessions beadle did not start.
    pub fn foreign(&self) -> PathBuf {
        self.state.join("foreign.json")
    }

    /// While it is there, no session starts.
    pub fn latch(&self) -> PathBuf {
        self.state.join("latch")
    }

    pub fn sessions(&self) -> PathBuf {
        self.state.join("sessions")
    }

    pub fn logs(&self) -> PathBuf {
        self.state.join("logs")
    }

    /// Where a daemon binds its socket.
    pub fn socket(&self) -> PathBuf {
        self.runtime.join("beadle.sock")
    }

    /// Where keepers bind theirs.
    pub fn keepers(&self) -> PathBuf {
        self.runtime.join("keepers")
    }
}

fn absolute(name: &'static str, value: Option<String>) -> Result<Option<PathBuf>, PathsError> {
    match value {
        None => Ok(None),
        Some(v) if v.is_empty() => Ok(None),
        Some(v) if Path::new(&v).is_absolute() => Ok(Some(PathBuf::from(v))),
        Some(value) => Err(PathsError::Relative { name, value }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(vars: &[(&str, &str)], usable: bool) -> Result<Paths, PathsError> {
        Paths::resolve(|n| vars.iter().find(|(k, _)| *k == n).map(|(_, v)| (*v).to_string()), |_| usable)
    }

    #[test]
    fn the_environment_decides_and_home_is_the_fallback() {
        let p = paths(&[("HOME", "/h")], true).unwrap();
        assert_eq!(p.state, Path::new("/h/.local/state/beadle"));
        assert_eq!(p.config, Path::new("/h/.config/beadle/config.toml"));
        assert_eq!(p.runtime, Path::new("/h/.local/state/beadle/run"));
        let p = paths(&[("HOME", "/h"), ("XDG_RUNTIME_DIR", "/run/user/7"), ("XDG_STATE_HOME", "rel")], true).unwrap();
        assert_eq!(p.runtime, Path::new("/run/user/7/beadle"));
        assert_eq!(p.state, Path::new("/h/.local/state/beadle"));
    }

    #[test]
    fn a_runtime_directory_of_somebody_else_is_not_used() {
        let p = paths(&[("HOME", "/h"), ("XDG_RUNTIME_DIR", "/run/user/0")], false).unwrap();
        assert_eq!(p.runtime, Path::new("/h/.local/state/beadle/run"));
    }

    #[test]
    fn what_cannot_be_resolved_says_what_to_set() {
        assert_eq!(paths(&[], true), Err(PathsError::NoHome("BEADLE_STATE_DIR")));
        let relative = paths(&[("HOME", "/h"), ("BEADLE_STATE_DIR", "x")], true);
        assert!(matches!(relative, Err(PathsError::Relative { name: "BEADLE_STATE_DIR", .. })));
    }
}
