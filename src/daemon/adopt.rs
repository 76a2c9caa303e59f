//! After a start of the daemon: what every session directory says, and what is true.
//!
//! | identity | keeper | processes | it is |
//! |---|---|---|---|
//! | of another boot | – | – | ended, by reboot |
//! | of this boot | answers | – | live: the keeper is the truth about its child |
//! | of this boot | lives, does not answer | – | unknown: never killed by itself, asked again |
//! | of this boot | gone | some | keeper gone, processes alive |
//! | of this boot | gone | none | ended |
//! | none, no journal, or taken back | – | – | never became a session: removed |
//! | unreadable | – | – | left alone, and said in the log |

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use tracing::warn;

use super::link::{self, Shaken};
use crate::api::kept::{Dir, Identity, Kept};
use crate::sys::{clock, process, signal};

/// How long all keepers together may take to answer.
pub const DEADLINE: Duration = Duration::from_secs(3);
/// How many are asked at once.
const SIDE_BY_SIDE: usize = 8;
/// A directory without an identity is a birth under way, for so long.
const UNBORN: Duration = Duration::from_secs(60);

/// What was found in one directory.
pub enum Found {
    /// Of an earlier boot.
    PastBoot,
    Live(Box<Shaken>),
    Unknown,
    KeeperGone,
}

pub struct Adopted {
    pub dir: Dir,
    pub kept: Kept,
    pub found: Found,
    /// The end is in the log, although the journal does not say so: who was to write that down was killed.
    pub logged: bool,
}

/// Looks through all directories; blocks at most a little longer than the deadline.
pub fn adopt(sessions: &Path, logs: &Path) -> Vec<Adopted> {
    let end = Instant::now() + DEADLINE;
    let boot = clock::boot_id();
    let dirs: Vec<PathBuf> = std::fs::read_dir(sessions).into_iter().flatten().flatten().map(|e| e.path()).collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let take = || {
            let mut mine = Vec::new();
            while let Some(dir) = dirs.get(next.fetch_add(1, Ordering::Relaxed)) {
                mine.extend(one(dir, &boot, end));
            }
            mine
        };
        let threads: Vec<_> = (0..SIDE_BY_SIDE.min(dirs.len())).map(|_| scope.spawn(take)).collect();
        let all: Vec<Adopted> = threads.into_iter().filter_map(|t| t.join().ok()).flatten().collect();
        look_in_log(all, logs)
    })
}

/// Only ends that may have been logged and not been noted are looked for, all in one pass.
fn look_in_log(mut all: Vec<Adopted>, logs: &Path) -> Vec<Adopted> {
    let is_doubtful = |a: &Adopted| !a.kept.reported && !matches!(a.found, Found::Live(_) | Found::Unknown);
    if !all.iter().any(is_doubtful) {
        return all;
    }
    let ended = super::log::ended_runs(logs);
    for one in all.iter_mut().filter(|a| is_doubtful(a)) {
        let run = one.kept.identity.as_ref().map(|i| super::log::run(&i.session.id, &i.started_at));
        one.logged = run.is_some_and(|run| ended.contains(&run));
    }
    all
}

fn one(path: &Path, boot: &str, end: Instant) -> Option<Adopted> {
    let dir = Dir::new(path);
    let kept = dir.kept();
    let Some(identity) = &kept.identity else {
        if dir.is_unborn() || kept.unborn {
            remove_unborn(path);
        } else {
            warn!(directory = %path.display(), "nothing in it says who the session is: left alone");
        }
        return None;
    };
    let found = if identity.boot_id == boot { ask(identity, end) } else { Found::PastBoot };
    Some(Adopted { dir, kept, found, logged: false })
}

/// Asks a keeper; one that has lost its socket is woken first.
pub fn ask(identity: &Identity, end: Instant) -> Found {
    let mut woken = false;
    loop {
        if !process::is_alive(identity.keeper) {
            return Found::KeeperGone;
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Found::Unknown;
        }
        match link::call(&identity.socket, left) {
            Ok(shaken) if shaken.hello.id == identity.session.id && shaken.hello.keeper == identity.keeper => {
                return Found::Live(Box::new(shaken));
            }
            Ok(_) | Err(_) => {}
        }
        if !std::mem::replace(&mut woken, true) {
            signal::wake(identity.keeper);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn remove_unborn(path: &Path) {
    let old = |m: std::fs::Metadata| m.modified().ok().and_then(|at| SystemTime::now().duration_since(at).ok());
    if std::fs::metadata(path).ok().and_then(old).is_some_and(|age| age > UNBORN) {
        // Next time, then.
        let _ = std::fs::remove_dir_all(path);
    }
}
