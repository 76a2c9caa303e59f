//! Complaints for people: where it stands, what stands there, and what to write instead.

use std::fmt;
use std::path::PathBuf;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("failed to read the config {path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("failed to read the config {0}: it is not UTF-8 text (the first other byte is in line {1})")]
    NotText(PathBuf, usize),
    /// Every fault found, one a line, in the order of the file, then of the environment.
    #[error("{}", lines(.0))]
    Wrong(Vec<Fault>),
}

impl ConfigError {
    /// The single faults, for those who count or place them; empty when the file could not be read.
    pub fn faults(&self) -> &[Fault] {
        match self {
            Self::Wrong(faults) => faults,
            Self::Read { .. } | Self::NotText(..) => &[],
        }
    }
}

/// One thing wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub place: Place,
    pub message: String,
}

/// Where a fault stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Line and column (in characters) from 1; no path for text that came from elsewhere.
    File { path: Option<PathBuf>, line: usize, column: usize },
    /// The name of an environment variable.
    Environment(String),
    /// The key given to `set`.
    Setting(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path: Some(path), line, column } => {
                write!(f, "{}, line {line}, column {column}", path.display())
            }
            Self::File { path: None, line, column } => write!(f, "line {line}, column {column}"),
            Self::Environment(name) | Self::Setting(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

fn lines(faults: &[Fault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
