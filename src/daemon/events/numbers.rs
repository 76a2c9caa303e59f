//! Numbers of events: each is given once, across daemons, crashes, lost databases and full disks.
//!
//! As a rule the database says where to go on. A small file beside it, the mark, says when that is not to be believed: it
//! holds a ceiling above every number ever given, raised before it is passed, and written in its place so that a full
//! disk has room for it.
//!
//! ```text
//!   clean   the database was closed with everything in it
//!   open    what the database has is all there is, as long as the machine did not go down
//!   ahead   numbers were given that the database does not have
//! ```
//!
//! Where the database is not believed, numbers go on above the ceiling: readers see the gap, and that it is one.

use std::io;
use std::path::PathBuf;

use tracing::warn;

use crate::sys::dirs;

/// How far the ceiling is raised at once.
const STEP: u64 = 10_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Clean,
    Open,
    Ahead,
}

impl Standing {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Open => "open",
            Self::Ahead => "ahead",
        }
    }
}

#[derive(Debug)]
pub struct Numbers {
    path: PathBuf,
    boot: String,
    /// `None`: nobody has said yet where to begin.
    next: Option<u64>,
    ceiling: u64,
    standing: Standing,
}

impl Numbers {
    pub fn new(path: PathBuf, boot: String) -> Self {
        Self { path, boot, next: None, ceiling: 0, standing: Standing::Open }
    }

    pub fn has_begun(&self) -> bool {
        self.next.is_some()
    }

    /// Begins after the newest number of the database, which is `None` when that cannot be asked. Answers the first number.
    pub fn begin(&mut self, newest: Option<u64>) -> u64 {
        let mark = std::fs::read_to_string(&self.path).ok().and_then(|text| parsed(&text));
        let first = match mark {
            None => newest.unwrap_or(0) + 1,
            Some((ceiling, boot, standing)) => {
                self.ceiling = ceiling;
                let in_step = match standing {
                    Standing::Clean => true,
                    Standing::Open => boot == self.boot,
                    Standing::Ahead => false,
                };
                let plausible = |newest: &u64| *newest <= ceiling && newest.saturating_add(STEP) >= ceiling;
                newest.filter(|n| in_step && plausible(n)).unwrap_or_else(|| ceiling.max(newest.unwrap_or(0))) + 1
            }
        };
        self.next = Some(first);
        self.standing = Standing::Open;
        self.ceiling = self.ceiling.max(first + STEP);
        self.write();
        first
    }

    pub fn take(&mut self) -> u64 {
        let number = self.next.unwrap_or_else(|| self.begin(None));
        self.next = Some(number + 1);
        if number >= self.ceiling {
            self.ceiling = number + STEP;
            self.write();
        }
        number
    }

    /// These are nobody's: a hole that can be seen.
    pub fn leave_out(&mut self, numbers: u64) {
        for _ in 0..numbers {
            self.take();
        }
    }

    /// Whether numbers were given that the database does not have.
    pub fn set_ahead(&mut self, ahead: bool) {
        let standing = if ahead { Standing::Ahead } else { Standing::Open };
        if std::mem::replace(&mut self.standing, standing) != standing {
            self.write();
        }
    }

    /// The database is closed, with everything in it.
    pub fn close(&mut self) {
        if self.standing == Standing::Open && self.has_begun() {
            self.standing = Standing::Clean;
            self.write();
        }
    }

    fn write(&self) {
        let text = format!("{:020} {} {:5}\n", self.ceiling, self.boot, self.standing.as_str());
        let on_disk = |text: &str| -> io::Result<()> {
            dirs::overwrite(&self.path, text.as_bytes())?;
            std::fs::File::open(&self.path)?.sync_data()
        };
        if let Err(error) = on_disk(&text) {
            warn!(%error, "failed to write {}: numbers of events may be given twice after a crash", self.path.display());
        }
    }
}

fn parsed(text: &str) -> Option<(u64, String, Standing)> {
    let mut words = text.split_whitespace();
    let (ceiling, boot) = (words.next()?.parse().ok()?, words.next()?.to_string());
    let word = words.next()?;
    let standing = [Standing::Clean, Standing::Open, Standing::Ahead].into_iter().find(|s| s.as_str() == word)?;
    Some((ceiling, boot, standing))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a daemon of this boot begins with after one that took three numbers and ended so.
    fn after(end: impl FnOnce(&mut Numbers), boot: &str, newest: Option<u64>) -> u64 {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mark");
        let mut numbers = Numbers::new(path.clone(), "boot-1".into());
        assert_eq!(numbers.begin(Some(0)), 1);
        assert_eq!([numbers.take(), numbers.take(), numbers.take()], [1, 2, 3]);
        end(&mut numbers);
        Numbers::new(path, boot.into()).begin(newest)
    }

    #[test]
    fn after_a_crash_of_the_daemon_the_database_says_where_to_go_on() {
        assert_eq!(after(|_| {}, "boot-1", Some(3)), 4);
        assert_eq!(after(Numbers::close, "boot-2", Some(3)), 4);
    }

    #[test]
    fn where_the_database_is_not_believed_numbers_go_on_above_all_that_were_given() {
        let above = 1 + STEP + 1;
        assert_eq!(after(|_| {}, "boot-2", Some(2)), above, "the machine went down");
        assert_eq!(after(|n| n.set_ahead(true), "boot-1", Some(2)), above, "the disk was full");
        assert_eq!(after(|_| {}, "boot-1", None), above, "it cannot be read");
        let many = |n: &mut Numbers| n.leave_out(2 * STEP);
        assert!(after(many, "boot-1", Some(0)) > 3 + 2 * STEP, "another one lies in its place");
    }

    #[test]
    fn a_disk_that_takes_it_again_is_believed_again() {
        let again = |n: &mut Numbers| {
            n.set_ahead(true);
            n.set_ahead(false);
        };
        assert_eq!(after(again, "boot-1", Some(3)), 4);
    }

    #[test]
    fn a_mark_that_cannot_be_read_or_written_stops_nobody() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("mark"), "\u{1b}]garbage").unwrap();
        assert_eq!(Numbers::new(dir.path().join("mark"), "b".into()).begin(Some(8)), 9);
        let mut numbers = Numbers::new("/proc/no/such/mark".into(), "b".into());
        assert_eq!((numbers.take(), numbers.take()), (1, 2));
    }
}
