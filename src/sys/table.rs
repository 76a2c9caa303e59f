//! One pass over `/proc`: `stat` only. What can block on a process (its environment) is read once per
//! identity, with a deadline.

use std::collections::{HashMap, HashSet};
use std::ffi::CStr;
use std::io;
use std::mem::MaybeUninit;
use std::sync::mpsc;
use std::time::Duration;

use rustix::fs::{Mode, OFlags, RawDir};

use super::process;
use crate::model::process::{Proc, Table};
use crate::model::session::ProcId;

/// Reads every process there is. Costs about 3 µs for each (Linux 6.18).
pub fn read() -> io::Result<Table> {
    let proc_dir = rustix::fs::open("/proc", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let mut listing = [MaybeUninit::<u8>::uninit(); 16 << 10];
    let mut entries = RawDir::new(&proc_dir, &mut listing);
    let mut procs = Vec::with_capacity(512);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_bytes().first().is_some_and(u8::is_ascii_digit) {
            // What ended since the listing is simply not there.
            procs.extend(stat_at(&proc_dir, name));
        }
    }
    Ok(Table::new(procs))
}

fn stat_at(proc_dir: &impl std::os::fd::AsFd, name: &CStr) -> Option<Proc> {
    let digits = name.to_bytes();
    let mut path = [0u8; 32];
    path.get_mut(..digits.len())?.copy_from_slice(digits);
    path.get_mut(digits.len()..digits.len() + 6)?.copy_from_slice(b"/stat\0");
    let path = CStr::from_bytes_until_nul(&path).ok()?;
    let fd = rustix::fs::openat(proc_dir, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut buffer = [0; 1024];
    let n = rustix::io::read(&fd, &mut buffer).ok()?;
    Proc::parse(&buffer[..n])
}

/// The session tag (`BEADLE_SESSION`) of processes, asked once per identity.
///
/// A child has its parent's environment from the moment of fork, so a process born in a session has
/// the tag from birth, whatever it executes later: an answer once read stays true. An empty environment is
/// one in the middle of execve(2), and is asked again.
#[derive(Debug, Default)]
pub struct Tags {
    known: HashMap<ProcId, Option<String>>,
    /// Did not answer in time; not asked again, so that one hung process costs one thread.
    hung: HashSet<ProcId>,
}

impl Tags {
    /// (pid, tag) of every process among `wanted` that carries one, and whether everybody was asked. Processes of other
    /// users and other PID namespaces never count. Each may take as long as `patience`, so that a busy machine makes
    /// this slow and nobody deaf: who takes longer is not asked again, those behind it are the next time.
    pub fn of(
        &mut self,
        table: &Table,
        wanted: impl Iterator<Item = Proc>,
        patience: Duration,
    ) -> (Vec<(i32, String)>, bool) {
        self.known.retain(|id, _| table.get(*id).is_some());
        self.hung.retain(|id| table.get(*id).is_some());
        let wanted: Vec<ProcId> = wanted.filter(|p| !p.kernel && !p.is_dead()).map(|p| p.id).collect();
        let is_unknown = |id: &&ProcId| !self.known.contains_key(id) && !self.hung.contains(id);
        let unknown: Vec<ProcId> = wanted.iter().filter(is_unknown).copied().collect();
        let own = namespace("self");
        let all_asked = self.ask(unknown, patience, move |id| read_tag(id, own.as_deref()));
        let carried = |id: &ProcId| Some((id.pid, self.known.get(id)?.clone()?));
        (wanted.iter().filter_map(carried).collect(), all_asked)
    }

    fn ask(
        &mut self,
        unknown: Vec<ProcId>,
        patience: Duration,
        read: impl Fn(ProcId) -> Asked + Send + 'static,
    ) -> bool {
        if unknown.is_empty() {
            return true;
        }
        let (send, receive) = mpsc::channel();
        let order = unknown.clone();
        let asked = std::thread::Builder::new().name("tags".into()).stack_size(64 << 10).spawn(move || {
            for id in unknown {
                if send.send((id, read(id))).is_err() {
                    return;
                }
            }
        });
        if asked.is_err() {
            return false;
        }
        for next in order {
            let Ok((id, answer)) = receive.recv_timeout(patience) else {
                self.hung.insert(next);
                return false;
            };
            match answer {
                Asked::Unknown => {}
                Asked::Untagged => drop(self.known.insert(id, None)),
                Asked::Tagged(tag) => drop(self.known.insert(id, Some(tag))),
            }
        }
        true
    }
}

/// What the environment of a process says.
enum Asked {
    /// It cannot be known now.
    Unknown,
    Untagged,
    Tagged(String),
}

fn read_tag(id: ProcId, own_namespace: Option<&str>) -> Asked {
    let block = std::fs::read(format!("/proc/{}/environ", id.pid)).unwrap_or_default();
    if block.is_empty() {
        return Asked::Unknown;
    }
    let Some(value) = process::find_variable(&block, "BEADLE_SESSION") else { return Asked::Untagged };
    let same_user = process::owner_uid(id.pid) == Some(rustix::process::geteuid().as_raw());
    let same_namespace = namespace(&id.pid.to_string()).as_deref() == own_namespace;
    if same_user && same_namespace {
        Asked::Tagged(String::from_utf8_lossy(value).into_owned())
    } else {
        Asked::Untagged
    }
}

fn namespace(pid: &str) -> Option<String> {
    std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok().map(|p| p.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_holds_this_process_and_its_child() {
        let own = process::own_identity().unwrap();
        let mut child = std::process::Command::new("sleep").arg("60").env("BEADLE_SESSION", "t@i").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let table = read().unwrap();
        assert!(table.is_alive(own));
        assert_eq!(table.pid(pid).unwrap().ppid, own.pid);
        let mut tags = Tags::default();
        let carriers = loop {
            let (carriers, _) = tags.of(&table, table.iter().copied(), Duration::from_secs(5));
            if carriers.iter().any(|(p, _)| *p == pid) {
                break carriers;
            }
            // Between fork and execve the environment is the parent's or empty.
            tags = Tags::default();
        };
        assert!(carriers.contains(&(pid, "t@i".to_string())));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    fn strangers(count: i32) -> Vec<ProcId> {
        (1..=count).map(|pid| ProcId { pid, start: 1 }).collect()
    }

    #[test]
    fn a_busy_machine_makes_answers_slow_and_nobody_deaf() {
        let mut tags = Tags::default();
        let slowly = |_| {
            std::thread::sleep(Duration::from_millis(30));
            Asked::Tagged("t@i".into())
        };
        // All together take longer than one may.
        assert!(tags.ask(strangers(40), Duration::from_secs(1), slowly));
        assert_eq!((tags.known.len(), tags.hung.len()), (40, 0));
    }

    #[test]
    fn who_does_not_answer_is_left_out_and_those_behind_it_are_asked_the_next_time() {
        let mut tags = Tags::default();
        let (end, held) = mpsc::channel::<()>();
        let held = std::sync::Mutex::new(held);
        let one_hangs = move |id: ProcId| {
            if id.pid == 2 {
                // Until the test is over.
                let _ = held.lock().unwrap().recv();
            }
            Asked::Untagged
        };
        assert!(!tags.ask(strangers(4), Duration::from_millis(300), one_hangs));
        assert_eq!(tags.hung, HashSet::from([ProcId { pid: 2, start: 1 }]));
        assert!(tags.ask(strangers(4).split_off(2), Duration::from_secs(5), |_| Asked::Untagged));
        assert_eq!(tags.known.len(), 3);
        drop(end);
    }
}
