//! One pass over `/proc`: `stat` only. What can block on a process (its environment) is read once per
//! identity, with a deadline.

use std::collections::HashMap;
use std::ffi::CStr;
use std::io;
use std::mem::MaybeUninit;
use std::time::Duration;

use rustix::fs::{Mode, OFlags, RawDir};

use super::patience::{Patience, Within};
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

/// What the environment of a process says to beadle.
#[derive(Debug, Clone, Default)]
struct Marks {
    /// `BEADLE_SESSION`, where it counts.
    tag: Option<String>,
    /// `BEADLE_KEEP=1`.
    keep: bool,
    /// The tmux server in one of whose panes it was started (`TMUX`).
    server: Option<i32>,
}

/// What one process answers.
#[derive(Debug, Clone)]
enum Told {
    Is(Marks),
    /// It has gone, or its environment is not for us to read.
    Nothing,
    /// It is in the middle of execve(2), or on its way out.
    NotYet,
}

/// The session tag (`BEADLE_SESSION`) of processes, and whether they are to be kept, asked once per identity.
///
/// A child has its parent's environment from the moment of fork, so a process born in a session has
/// the tag from birth, whatever it executes later: an answer once read stays true. An empty environment is
/// one in the middle of execve(2), and is asked again.
#[derive(Debug, Default)]
pub struct Tags {
    known: HashMap<ProcId, Marks>,
    patience: Patience<ProcId>,
}

impl Tags {
    /// (pid, tag) of every process among `wanted` that carries one, and whether everybody was asked. Processes of other
    /// users and other PID namespaces never count. Each may take as long as `patience`, so that a busy machine makes
    /// this slow and nobody deaf: who takes longer is asked again once it has answered, those behind it the next time.
    pub fn of(
        &mut self,
        table: &Table,
        wanted: impl Iterator<Item = Proc>,
        patience: Duration,
    ) -> (Vec<(i32, String)>, bool) {
        let (wanted, all_asked) = self.learn(table, wanted, patience);
        let carried = |id: &ProcId| Some((id.pid, self.known.get(id)?.tag.clone()?));
        (wanted.iter().filter_map(carried).collect(), all_asked)
    }

    /// Those among `wanted` with `BEADLE_KEEP=1` in their environment. One that cannot be read does not say so.
    pub fn to_be_kept(&mut self, table: &Table, wanted: impl Iterator<Item = Proc>, patience: Duration) -> Vec<ProcId> {
        let (wanted, _) = self.learn(table, wanted, patience);
        wanted.into_iter().filter(|id| self.known.get(id).is_some_and(|marks| marks.keep)).collect()
    }

    /// Those among `wanted` that were started in a pane of one of these tmux servers, by what their environment says.
    pub fn in_panes_of(
        &mut self,
        servers: &[ProcId],
        table: &Table,
        wanted: impl Iterator<Item = Proc>,
        patience: Duration,
    ) -> Vec<ProcId> {
        let (wanted, _) = self.learn(table, wanted, patience);
        let is_of = |server: i32, id: &ProcId| servers.iter().any(|s| s.pid == server && s.start <= id.start);
        wanted
            .into_iter()
            .filter(|id| self.known.get(id).and_then(|m| m.server).is_some_and(|s| is_of(s, id)))
            .collect()
    }

    /// Asks whom nobody asked before; who is wanted and alive, and whether all of them have answered.
    fn learn(&mut self, table: &Table, wanted: impl Iterator<Item = Proc>, patience: Duration) -> (Vec<ProcId>, bool) {
        self.known.retain(|id, _| table.get(*id).is_some());
        self.patience.retain(|id| table.get(*id).is_some());
        let wanted: Vec<ProcId> = wanted.filter(|p| !p.kernel && !p.is_dead()).map(|p| p.id).collect();
        let unknown = || wanted.iter().filter(|id| !self.known.contains_key(id)).copied();
        let (hanging, unknown): (Vec<ProcId>, _) = unknown().partition(|id| self.patience.hangs(id));
        let own = namespace("self");
        let all_told = self.ask(unknown, patience, move |id| read_marks(id, own.as_deref()));
        (wanted, all_told && hanging.is_empty())
    }

    /// True when everybody has answered.
    fn ask(
        &mut self,
        unknown: Vec<ProcId>,
        patience: Duration,
        read: impl Fn(ProcId) -> Told + Send + 'static,
    ) -> bool {
        let asked = unknown.len();
        let answers = self.patience.read(unknown, Within::Each(patience), move |id| read(*id));
        let all_told = answers.len() == asked && !answers.iter().any(|(_, told)| matches!(told, Told::NotYet));
        let marks = answers.into_iter().filter_map(|(id, told)| match told {
            Told::Is(marks) => Some((id, marks)),
            Told::Nothing | Told::NotYet => None,
        });
        self.known.extend(marks);
        all_told
    }
}

fn read_marks(id: ProcId, own_namespace: Option<&str>) -> Told {
    let block = match process::read(id.pid, "environ") {
        Ok(block) if block.is_empty() && !process::has_environment(id) => return Told::NotYet,
        Ok(block) => block,
        Err(_) => return Told::Nothing,
    };
    let variable = |name| process::find_variable(&block, name);
    let counts = || {
        let same_user = process::owner_uid(id.pid) == Some(rustix::process::geteuid().as_raw());
        same_user && namespace(&id.pid.to_string()).as_deref() == own_namespace
    };
    let tag = variable("BEADLE_SESSION").filter(|_| counts());
    // Its socket, its pid, the number of its session (tmux(1)).
    let server = variable("TMUX").and_then(|tmux| std::str::from_utf8(tmux).ok()?.rsplit(',').nth(1)?.parse().ok());
    Told::Is(Marks {
        tag: tag.map(|tag| String::from_utf8_lossy(tag).into_owned()),
        keep: variable("BEADLE_KEEP") == Some(b"1"),
        server,
    })
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
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .env("BEADLE_SESSION", "t@i")
            .env("BEADLE_KEEP", "1")
            .spawn()
            .unwrap();
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
        let kept = tags.to_be_kept(&table, table.iter().copied(), Duration::from_secs(5));
        assert_eq!(kept.iter().map(|id| id.pid).filter(|p| *p == pid).count(), 1);
        assert!(!kept.contains(&own));
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
            Told::Is(Marks { tag: Some("t@i".into()), ..Marks::default() })
        };
        // All together take longer than one may.
        assert!(tags.ask(strangers(40), Duration::from_secs(1), slowly));
        assert_eq!(tags.known.len(), 40);
        assert!(!strangers(40).iter().any(|id| tags.patience.hangs(id)));
    }

    #[test]
    fn who_does_not_answer_is_left_out_and_those_behind_it_are_asked_the_next_time() {
        let mut tags = Tags::default();
        let (end, held) = std::sync::mpsc::channel::<()>();
        let held = std::sync::Mutex::new(held);
        let one_hangs = move |id: ProcId| {
            if id.pid == 2 {
                // Until the test is over.
                let _ = held.lock().unwrap().recv();
            }
            Told::Is(Marks::default())
        };
        assert!(!tags.ask(strangers(4), Duration::from_millis(300), one_hangs));
        let hung: Vec<i32> = strangers(4).iter().filter(|id| tags.patience.hangs(id)).map(|id| id.pid).collect();
        assert_eq!(hung, [2]);
        assert!(tags.ask(strangers(4).split_off(2), Duration::from_secs(5), |_| Told::Is(Marks::default())));
        assert_eq!(tags.known.len(), 3);
        drop(end);
    }

    #[test]
    fn who_has_no_environment_yet_has_not_answered_and_who_has_an_empty_one_has() {
        let mut tags = Tags::default();
        assert!(!tags.ask(strangers(2), Duration::from_secs(5), |_| Told::NotYet));
        assert!(tags.ask(strangers(2), Duration::from_secs(5), |_| Told::Nothing));
        assert_eq!(tags.known.len(), 0);
        let mut child = std::process::Command::new("sleep").arg("60").env_clear().spawn().unwrap();
        let id = process::identity(i32::try_from(child.id()).unwrap()).unwrap();
        // Before its execve it has ours.
        while process::arguments(id.pid).first().is_none_or(|a| a != "sleep") {
            std::thread::yield_now();
        }
        assert!(matches!(read_marks(id, None), Told::Is(Marks { tag: None, keep: false, server: None })));
        child.kill().unwrap();
        while process::is_alive(id) {
            std::thread::yield_now();
        }
        assert!(matches!(read_marks(id, None), Told::NotYet | Told::Nothing));
        child.wait().unwrap();
        assert!(matches!(read_marks(id, None), Told::Nothing));
    }
}
