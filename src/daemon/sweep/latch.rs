//! The latch of an emergency: a file. While it is there no session starts, whatever daemon runs and whatever is written
//! in it; keepers look for it too before they start an agent again.

use std::io;
use std::path::{Path, PathBuf};

use crate::sys::{clock, dirs};

/// Before the time at which it was set, as [`clock::wall`] writes it.
const OF: &str = "the emergency of ";

#[derive(Debug)]
pub struct Latch {
    path: PathBuf,
    /// Why nothing starts; `None`: released.
    why: Option<String>,
}

impl Latch {
    /// As an earlier daemon left it. What cannot be looked at counts as latched.
    pub fn open(path: PathBuf) -> Self {
        let why = match std::fs::read_to_string(&path) {
            Ok(text) if text.trim().is_empty() => Some("an emergency".into()),
            Ok(text) => Some(text.trim().to_string()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => Some(format!("an emergency ({} cannot be read: {e})", path.display())),
        };
        Self { path, why }
    }

    pub fn why(&self) -> Option<&str> {
        self.why.as_deref()
    }

    /// When the emergency was ordered; `None` where that is not known: released, unreadable, or written by another hand.
    pub fn since(&self) -> Option<&str> {
        let (time, _) = self.why()?.strip_prefix(OF)?.split_once(": ")?;
        clock::unix_seconds(time).map(|_| time)
    }

    /// Holds from here on, in any case while this daemon lives. The error says that it could not be written down.
    pub fn set(&mut self, reason: &str) -> io::Result<()> {
        let why = format!("{OF}{}: {reason}", clock::wall());
        let written = write(&self.path, &why);
        self.why = Some(why);
        written
    }

    /// True when there was something to release.
    pub fn release(&mut self) -> io::Result<bool> {
        match std::fs::remove_file(&self.path) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
        Ok(self.why.take().is_some())
    }
}

/// Flushed to the disk; where there is no room for the words, an empty file holds as well.
fn write(path: &Path, why: &str) -> io::Result<()> {
    let whole = dirs::write_whole(path, why.as_bytes());
    whole.or_else(|_| dirs::private_file(path).map(drop))?;
    std::fs::File::open(path)?.sync_all()?;
    // The name of it, too.
    path.parent().map_or(Ok(()), |dir| std::fs::File::open(dir)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_outlives_whoever_set_it_and_an_empty_file_holds_too() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("latch");
        assert_eq!(Latch::open(path.clone()).why(), None);
        Latch::open(path.clone()).set("too hot").unwrap();
        let mut latch = Latch::open(path.clone());
        assert!(latch.why().unwrap().ends_with(": too hot"), "{latch:?}");
        assert!(latch.since().unwrap() <= clock::wall().as_str(), "{latch:?}");
        assert!(latch.release().unwrap() && !latch.release().unwrap());
        assert_eq!(Latch::open(path.clone()).why(), None);
        std::fs::write(&path, "").unwrap();
        assert_eq!(Latch::open(path.clone()).why(), Some("an emergency"));
        for other in ["", "the emergency of yesterday: hot", "by hand", "the emergency of 2026-01-01T00:00:00.000Z"] {
            std::fs::write(&path, other).unwrap();
            assert_eq!(Latch::open(path.clone()).since(), None, "{other:?}");
        }
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(Latch::open(path).why().is_some(), "what cannot be read holds");
    }

    #[test]
    fn one_that_cannot_be_written_holds_all_the_same_and_says_so() {
        let mut latch = Latch::open(PathBuf::from("/proc/no/such/latch"));
        assert!(latch.set("why").is_err());
        assert!(latch.why().is_some());
    }
}
