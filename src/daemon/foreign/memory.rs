//! What people said of sessions beadle did not start: names, pins, projects. Kept by id, which stays the same as long as
//! the machine runs; forgotten with the session, and by the next boot.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::sys::dirs;

/// What was said of one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Said {
    pub name: Option<String>,
    pub project: Option<String>,
    pub pinned: bool,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Content {
    boot: String,
    sessions: BTreeMap<String, Said>,
}

#[derive(Debug)]
pub struct Memory {
    path: PathBuf,
    content: Content,
}

impl Memory {
    /// From what was kept in this boot; anything else is as if nothing had been said.
    pub fn open(path: &Path, boot: &str) -> Self {
        let kept = std::fs::read(path).ok().and_then(|bytes| serde_json::from_slice::<Content>(&bytes).ok());
        let fresh = || Content { boot: boot.into(), sessions: BTreeMap::new() };
        Self { path: path.into(), content: kept.filter(|c| c.boot == boot).unwrap_or_else(fresh) }
    }

    pub fn of(&self, id: &str) -> Said {
        self.content.sessions.get(id).cloned().unwrap_or_default()
    }

    pub fn keep(&mut self, id: &str, said: &Said) -> io::Result<()> {
        let before = self.content.sessions.insert(id.into(), said.clone());
        if *said == Said::default() {
            self.content.sessions.remove(id);
        }
        if before.unwrap_or_default() == *said { Ok(()) } else { self.write() }
    }

    /// Forgets those that are gone.
    pub fn forget(&mut self, is_gone: impl Fn(&str) -> bool) -> io::Result<()> {
        let before = self.content.sessions.len();
        self.content.sessions.retain(|id, _| !is_gone(id));
        if self.content.sessions.len() == before { Ok(()) } else { self.write() }
    }

    fn write(&self) -> io::Result<()> {
        let bytes = serde_json::to_vec(&self.content).map_err(io::Error::other)?;
        dirs::write_whole(&self.path, &bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_known_to_the_next_daemon_of_the_same_boot() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("foreign.json");
        let named = Said { name: Some("api".into()), ..Said::default() };
        let mut memory = Memory::open(&path, "one");
        memory.keep("fa", &named).unwrap();
        memory.keep("fb", &Said { pinned: true, ..Said::default() }).unwrap();
        memory.forget(|id| id == "fb").unwrap();
        let again = Memory::open(&path, "one");
        assert_eq!((again.of("fa"), again.of("fb")), (named, Said::default()));
        assert_eq!(Memory::open(&path, "two").of("fa"), Said::default());
        std::fs::write(&path, "{\"boot\":\"one\",\"ses").unwrap();
        assert_eq!(Memory::open(&path, "one").of("fa"), Said::default());
    }
}
