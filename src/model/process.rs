//! The process table as plain data, and which processes a session owns.
//!
//! A managed session owns
//!
//! ```text
//!   descendants of its keeper  ∪  its own cgroup  ∪  carriers of its tag that started after it
//!   ∪  remembered members  ∪  groups and sessions led by members  ∪  descendants of all those
//!   −  what belongs to another keeper, is protected, or is spared
//! ```
//!
//! The keeper is a child subreaper (prctl(2), `PR_SET_CHILD_SUBREAPER`): while it lives nothing leaves its
//! subtree. The rest of the union is for when it does not.

use std::collections::{HashMap, HashSet};

use super::session::ProcId;

/// One process as `/proc/PID/stat` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proc {
    pub id: ProcId,
    pub ppid: i32,
    pub pgrp: i32,
    pub sid: i32,
    /// The state letter: `R S D T t Z X I`.
    pub state: u8,
    /// Controlling terminal, 0 for none.
    pub tty: i32,
    /// User and system time, clock ticks.
    pub cpu_ticks: u64,
    /// The same of the children it has waited for, with theirs.
    pub reaped_ticks: u64,
    pub rss_pages: u64,
    pub threads: u32,
    /// A kernel thread (`PF_KTHREAD`).
    pub kernel: bool,
    /// Where its arguments lie in its memory (field 48): another place after each execve(2), so that another program
    /// under the same identity is noticed. 0 where the kernel does not tell.
    pub args_at: u64,
    comm: [u8; 16],
}

impl Proc {
    /// A process of which only the kinship matters.
    pub fn kin(pid: i32, ppid: i32, pgrp: i32, sid: i32, start: u64) -> Self {
        Self {
            id: ProcId { pid, start },
            ppid,
            pgrp,
            sid,
            state: b'S',
            tty: 0,
            cpu_ticks: 0,
            reaped_ticks: 0,
            rss_pages: 0,
            threads: 1,
            kernel: false,
            args_at: 0,
            comm: [0; 16],
        }
    }

    #[must_use]
    pub fn with_state(self, state: u8) -> Self {
        Self { state, ..self }
    }

    /// With another command name, cut as the kernel cuts it.
    #[must_use]
    pub fn with_comm(self, name: &[u8]) -> Self {
        let mut comm = [0; 16];
        let kept = name.len().min(15);
        comm[..kept].copy_from_slice(&name[..kept]);
        Self { comm, ..self }
    }

    /// What tells one program from the next of the same process: (where its arguments lie, its command name).
    pub fn program(&self) -> (u64, [u8; 16]) {
        (self.args_at, self.comm)
    }

    pub fn is_tmux_server(&self) -> bool {
        self.comm_is(b"tmux: server")
    }

    /// A zombie is dead, but not one whose other threads go on after the first one ended (`pthread_exit` in `main`).
    pub fn is_dead(&self) -> bool {
        matches!(self.state, b'X' | b'x') || (self.state == b'Z' && self.threads <= 1)
    }

    /// Stopped by a signal or a tracer.
    pub fn is_stopped(&self) -> bool {
        matches!(self.state, b'T' | b't')
    }

    /// The command name, as the process itself may have set it: untrusted, at most 15 bytes.
    pub fn comm(&self) -> String {
        let end = self.comm.iter().position(|b| *b == 0).unwrap_or(self.comm.len());
        String::from_utf8_lossy(&self.comm[..end]).into_owned()
    }

    /// The same as it stands: another one means that another program executes.
    pub fn name(&self) -> [u8; 16] {
        self.comm
    }

    pub fn comm_is(&self, prefix: &[u8]) -> bool {
        self.comm.starts_with(prefix)
    }

    /// Parses one line of `/proc/PID/stat` (`proc_pid_stat(5)`). The name may hold anything, `)` and newlines
    /// too: it ends at the last `)`.
    pub fn parse(stat: &[u8]) -> Option<Self> {
        let open = stat.iter().position(|b| *b == b'(')?;
        let close = stat.iter().rposition(|b| *b == b')')?;
        let pid = number(stat.get(..open)?.trim_ascii())?;
        let name = stat.get(open + 1..close)?;
        let mut fields = stat.get(close + 1..)?.split(|b| *b == b' ').filter(|f| !f.is_empty());
        let state = *fields.next()?.first()?;
        let ppid = number(fields.next()?)?;
        let pgrp = number(fields.next()?)?;
        let sid = number(fields.next()?)?;
        let tty = number(fields.next()?)?;
        // tpgid, then flags (field 9)
        let flags: u32 = number(fields.nth(1)?)?;
        // minflt cminflt majflt cmajflt, then utime and stime (14, 15)
        let user: u64 = number(fields.nth(4)?)?;
        let system: u64 = number(fields.next()?)?;
        let reaped_user: u64 = number(fields.next()?)?;
        let reaped_system: u64 = number(fields.next()?)?;
        // priority nice, then num_threads (20)
        let threads = number(fields.nth(2)?)?;
        // itrealvalue, then starttime (22)
        let start = number(fields.nth(1)?)?;
        // vsize, then rss (24)
        let rss: i64 = number(fields.nth(1)?.trim_ascii_end())?;
        // rsslim and 22 more, then arg_start (48)
        let args_at = fields.nth(23).and_then(number).unwrap_or(0);
        let process = Self {
            id: ProcId { pid, start },
            ppid,
            pgrp,
            sid,
            state,
            tty,
            cpu_ticks: user + system,
            reaped_ticks: reaped_user + reaped_system,
            rss_pages: u64::try_from(rss).unwrap_or(0),
            threads,
            kernel: flags & 0x0020_0000 != 0,
            args_at,
            comm: [0; 16],
        };
        Some(process.with_comm(name))
    }
}

fn number<T: std::str::FromStr>(bytes: &[u8]) -> Option<T> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

/// All processes at one moment.
#[derive(Debug, Clone, Default)]
pub struct Table {
    by_pid: HashMap<i32, Proc>,
    children: HashMap<i32, Vec<i32>>,
    /// Members of each process group and session, but for the leader itself.
    led: HashMap<i32, Vec<i32>>,
}

impl Table {
    pub fn new(procs: impl IntoIterator<Item = Proc>) -> Self {
        let by_pid: HashMap<i32, Proc> = procs.into_iter().map(|p| (p.id.pid, p)).collect();
        let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
        let mut led: HashMap<i32, Vec<i32>> = HashMap::new();
        for p in by_pid.values() {
            if is_parent(&by_pid, p) {
                children.entry(p.ppid).or_default().push(p.id.pid);
            }
            if p.pgrp != p.id.pid {
                led.entry(p.pgrp).or_default().push(p.id.pid);
            }
            if p.sid != p.id.pid && p.sid != p.pgrp {
                led.entry(p.sid).or_default().push(p.id.pid);
            }
        }
        // By age, mostly: a tree that is shown twice is shown alike.
        children.values_mut().for_each(|pids| pids.sort_unstable());
        Self { by_pid, children, led }
    }

    /// With these added, or in place of what was known of their pids.
    #[must_use]
    pub fn with(&self, procs: impl IntoIterator<Item = Proc>) -> Self {
        Self::new(self.by_pid.values().copied().chain(procs))
    }

    pub fn iter(&self) -> impl Iterator<Item = &Proc> {
        self.by_pid.values()
    }

    pub fn len(&self) -> usize {
        self.by_pid.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_pid.is_empty()
    }

    pub fn pid(&self, pid: i32) -> Option<&Proc> {
        self.by_pid.get(&pid)
    }

    /// The process with this very identity.
    pub fn get(&self, id: ProcId) -> Option<&Proc> {
        self.by_pid.get(&id.pid).filter(|p| p.id == id)
    }

    pub fn is_alive(&self, id: ProcId) -> bool {
        self.get(id).is_some_and(|p| !p.is_dead())
    }

    pub fn children(&self, pid: i32) -> &[i32] {
        self.children.get(&pid).map_or(&[], Vec::as_slice)
    }

    /// Who is in a process group or session of this leader.
    fn led_by(&self, leader: i32) -> &[i32] {
        self.led.get(&leader).map_or(&[], Vec::as_slice)
    }

    /// The pid itself and all above it, nearest first. A cycle (a table torn by reuse) ends the walk.
    pub fn lineage(&self, pid: i32) -> Vec<i32> {
        let mut out = Vec::new();
        let mut at = pid;
        while at > 0 && !out.contains(&at) {
            out.push(at);
            let Some(p) = self.by_pid.get(&at).filter(|p| is_parent(&self.by_pid, p)) else { break };
            at = p.ppid;
        }
        out
    }
}

/// A table is read one by one, and a number may be given away meanwhile: whoever is younger is nobody's parent.
fn is_parent(by_pid: &HashMap<i32, Proc>, child: &Proc) -> bool {
    by_pid.get(&child.ppid).is_none_or(|up| up.id.start <= child.id.start)
}

/// What is known of a session when its members are sought.
#[derive(Debug, Clone, Default)]
pub struct Claim {
    pub keeper: Option<ProcId>,
    pub leader: Option<ProcId>,
    /// Start time of the session in clock ticks since boot: a carrier of the tag that is older is somebody who
    /// handed the tag down by accident (a tmux server).
    pub since: u64,
    pub tagged: Vec<i32>,
    pub cgroup: Vec<i32>,
    pub remembered: Vec<ProcId>,
    /// beadle did not start it: of groups and sessions only those its leader itself leads count. An agent typed into a
    /// shell shares the shell's session.
    pub foreign: bool,
}

/// What no session may reach over.
#[derive(Debug, Clone, Default)]
pub struct Boundary {
    /// Living keepers: a subtree below one belongs to its session alone.
    pub keepers: HashSet<i32>,
    /// Never a member: beadle's own processes, clients, and all their ancestors.
    pub protected: HashSet<i32>,
    /// Left alone with everything below: a tmux server somebody outside is attached to.
    pub spared: HashSet<i32>,
}

/// The live members of a session, parents before children where they are related.
pub fn members(table: &Table, claim: &Claim, boundary: &Boundary) -> Vec<ProcId> {
    // What an agent was typed into is above it, and never its own.
    let above = claim.leader.filter(|l| claim.foreign && table.is_alive(*l)).map(|l| table.lineage(l.pid));
    let above = above.into_iter().flatten().skip(1).collect();
    let own = claim.keeper.map(|k| k.pid);
    let mut walk = Walk { table, boundary, own, above, seen: HashSet::new(), order: Vec::new() };
    if let Some(keeper) = claim.keeper.filter(|k| table.is_alive(*k)) {
        walk.below(keeper.pid);
    }
    for id in claim.leader.iter().chain(&claim.remembered).filter(|id| table.get(**id).is_some()) {
        walk.take(id.pid);
    }
    let younger = |pid: &&i32| table.pid(**pid).is_some_and(|p| p.id.start >= claim.since);
    for pid in claim.tagged.iter().chain(&claim.cgroup).filter(younger) {
        walk.take(*pid);
    }
    walk.followers(claim.leader.filter(|_| claim.foreign));
    walk.order.iter().filter_map(|pid| table.pid(*pid)).filter(|p| !p.is_dead()).map(|p| p.id).collect()
}

struct Walk<'a> {
    table: &'a Table,
    boundary: &'a Boundary,
    /// The session's own keeper.
    own: Option<i32>,
    /// Ancestors of a foreign session's leader.
    above: HashSet<i32>,
    seen: HashSet<i32>,
    order: Vec<i32>,
}

impl Walk<'_> {
    fn take(&mut self, pid: i32) {
        let foreign = self.table.lineage(pid).iter().any(|up| {
            self.boundary.spared.contains(up) || (self.boundary.keepers.contains(up) && Some(*up) != self.own)
        });
        if foreign {
            return;
        }
        self.visit(pid);
    }

    /// The pid, unless it may not be a member, and everything below it.
    fn visit(&mut self, pid: i32) {
        let walls = [&self.boundary.keepers, &self.boundary.spared, &self.above];
        let barred = walls.iter().any(|wall| wall.contains(&pid));
        let kernel = self.table.pid(pid).is_none_or(|p| p.kernel);
        if pid <= 1 || barred || kernel || !self.seen.insert(pid) {
            return;
        }
        if !self.boundary.protected.contains(&pid) {
            self.order.push(pid);
        }
        self.below(pid);
    }

    fn below(&mut self, pid: i32) {
        for child in self.table.children(pid) {
            self.visit(*child);
        }
    }

    /// Groups and sessions led by members, or by this one member alone, until nothing is added.
    fn followers(&mut self, only: Option<ProcId>) {
        let mut at = 0;
        while let Some(leader) = self.order.get(at).copied() {
            at += 1;
            if only.is_some_and(|only| only.pid != leader || self.table.get(only).is_none()) {
                continue;
            }
            for pid in self.table.led_by(leader) {
                if !self.seen.contains(pid) {
                    self.take(*pid);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pids(ids: &[ProcId]) -> Vec<i32> {
        let mut out: Vec<i32> = ids.iter().map(|i| i.pid).collect();
        out.sort_unstable();
        out
    }

    fn claim(keeper: i32, start: u64) -> Claim {
        Claim { keeper: Some(ProcId { pid: keeper, start }), since: start, ..Claim::default() }
    }

    #[test]
    fn a_name_with_brackets_and_newlines_is_parsed() {
        let line = b"4711 (a) R 9 (x\n) S 10 4711 4712 34816 4711 4194304 100 0 0 0 7 5 40 2 20 0 3 0 123456 1000 250 18446744073709551615 1 1";
        let p = Proc::parse(line).unwrap();
        assert_eq!(
            (p.id, p.ppid, p.pgrp, p.sid, p.state),
            (ProcId { pid: 4711, start: 123_456 }, 10, 4711, 4712, b'S')
        );
        assert_eq!((p.cpu_ticks, p.reaped_ticks), (12, 42));
        assert_eq!((p.rss_pages, p.threads, p.tty, p.kernel), (250, 3, 34816, false));
        assert_eq!(Proc::parse(b"12 (x) S 1"), None);
        assert_eq!(Proc::parse(b""), None);
    }

    #[test]
    fn a_session_is_its_keepers_subtree_and_not_its_neighbours() {
        let table = Table::new([
            Proc::kin(1, 0, 1, 1, 1),
            Proc::kin(10, 1, 10, 10, 5),  // daemon
            Proc::kin(20, 10, 20, 20, 6), // keeper a
            Proc::kin(21, 20, 21, 21, 7), // leader a
            Proc::kin(22, 21, 22, 21, 8), // job of a
            Proc::kin(23, 20, 23, 23, 9), // daemon of a, reparented
            Proc::kin(30, 10, 30, 30, 6), // keeper b
            Proc::kin(31, 30, 31, 31, 7),
        ]);
        let boundary = Boundary { keepers: [20, 30].into(), protected: [10, 1].into(), ..Boundary::default() };
        assert_eq!(pids(&members(&table, &claim(20, 6), &boundary)), [21, 22, 23]);
    }

    #[test]
    fn without_a_keeper_tag_memory_and_followers_find_what_is_left() {
        let table = Table::new([
            Proc::kin(1, 0, 1, 1, 1),
            Proc::kin(5, 1, 5, 5, 2), // an older carrier: the tmux server that handed the tag down
            Proc::kin(22, 1, 22, 22, 8), // carries the tag
            Proc::kin(23, 22, 22, 22, 9), // its child
            Proc::kin(24, 1, 22, 22, 9), // in its session, reparented, no tag
            Proc::kin(25, 1, 25, 25, 9), // remembered
            Proc::kin(26, 1, 26, 26, 9), // a stranger
            Proc::kin(27, 1, 27, 27, 12), // a stranger with a remembered pid
        ]);
        let claim = Claim {
            keeper: Some(ProcId { pid: 20, start: 6 }),
            since: 6,
            tagged: vec![5, 22],
            remembered: vec![ProcId { pid: 25, start: 9 }, ProcId { pid: 27, start: 10 }],
            ..Claim::default()
        };
        assert_eq!(pids(&members(&table, &claim, &Boundary::default())), [22, 23, 24, 25]);
    }

    #[test]
    fn a_spared_server_keeps_its_panes() {
        let table = Table::new([
            Proc::kin(20, 1, 20, 20, 6),
            Proc::kin(21, 20, 21, 21, 7),
            Proc::kin(22, 20, 22, 22, 8),
            Proc::kin(23, 22, 23, 23, 9),
        ]);
        let boundary = Boundary { keepers: [20].into(), spared: [22].into(), ..Boundary::default() };
        assert_eq!(pids(&members(&table, &claim(20, 6), &boundary)), [21]);
    }

    prop_compose! {
        fn a_table()(parents in prop::collection::vec((0usize..30, 0usize..30, 0usize..30, 0u8..8), 1..30)) -> Vec<Proc> {
            parents.into_iter().enumerate().map(|(i, (parent, pgrp, sid, state))| {
                let pid = i32::try_from(i + 2).unwrap();
                let up = |n: usize| i32::try_from(n.min(i) + 1).unwrap();
                Proc::kin(pid, up(parent), up(pgrp), up(sid), pid.unsigned_abs().into()).with_state(if state == 0 { b'Z' } else { b'S' })
            }).collect()
        }
    }

    proptest! {
        #[test]
        fn no_member_is_ever_protected_dead_a_keeper_or_anothers(procs in a_table(), keeper in 2i32..30, other in 2i32..30, protected in prop::collection::hash_set(1i32..30, 0..5),
            tagged in prop::collection::vec(2i32..30, 0..5)) {
            let table = Table::new(procs);
            let boundary = Boundary { keepers: [keeper, other].into(), protected: protected.clone(), ..Boundary::default() };
            let start = keeper.unsigned_abs().into();
            let found = members(&table, &Claim { tagged, ..claim(keeper, start) }, &boundary);
            for id in &found {
                prop_assert!(!protected.contains(&id.pid) && id.pid > 1);
                prop_assert!(id.pid != keeper && id.pid != other);
                prop_assert!(table.is_alive(*id));
                if keeper != other {
                    let nearest = table.lineage(id.pid).into_iter().find(|up| *up == keeper || *up == other);
                    prop_assert_ne!(nearest, Some(other));
                }
            }
            let unique: HashSet<_> = found.iter().collect();
            prop_assert_eq!(unique.len(), found.len());
        }
    }
}
