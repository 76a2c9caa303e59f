//! Where a calling process comes from: its lineage, and what on it names a session.

use std::time::Duration;

use super::patience::within;
use super::process::{self, stat};
use crate::model::authority::Kin;
use crate::model::process::Proc;
use crate::model::session::ProcId;

/// Nobody descends deeper.
const DEEPEST: usize = 256;
/// How often a lineage that changes under our eyes is read anew.
const TRIES: u32 = 16;

/// What is known of a process; empty when it has gone. May block on a process that hangs.
pub fn of(id: ProcId) -> Kin {
    let Some(procs) = (0..TRIES).find_map(|_| lineage(id)) else { return Kin::default() };
    let tag = |p: &Proc| process::environment_variable(p.id.pid, "BEADLE_SESSION");
    Kin {
        lineage: procs.iter().map(|p| p.id).collect(),
        tags: procs.iter().filter_map(tag).map(|t| String::from_utf8_lossy(&t).into_owned()).collect(),
        keepers: procs.iter().filter_map(kept).collect(),
        cgroup: cgroup(id.pid).unwrap_or_default(),
        hook: false,
    }
}

/// Sessions whose keepers are above a process, nearest first; `None` when it has gone or somebody above it does not
/// answer in time.
pub fn keepers_above(id: ProcId, patience: Duration) -> Option<Vec<String>> {
    let procs = (0..TRIES).find_map(|_| lineage(id))?;
    let doubtful: Vec<Proc> = procs.into_iter().filter(is_beadle).collect();
    if doubtful.is_empty() {
        return Some(Vec::new());
    }
    within(patience, move || doubtful.iter().filter_map(kept).collect())
}

/// A process and all above it; `None` when it has gone, or somebody on the way went while this was read.
///
/// A parent that ends hands its children on, and its number may be given away: each step is believed only if the parent
/// is no younger than its child and the child still says so afterwards. A parent that is hidden (`hidepid`) is another
/// user's, and the end of what can be seen.
fn lineage(id: ProcId) -> Option<Vec<Proc>> {
    let first = stat(id.pid).filter(|p| p.id == id)?;
    let mut procs = vec![first];
    let mut at = first;
    while at.ppid > 0 && procs.len() < DEEPEST {
        let up = stat(at.ppid);
        if stat(at.id.pid).is_none_or(|now| now.id != at.id || now.ppid != at.ppid) {
            return None;
        }
        let Some(up) = up else { break };
        if up.id.start > at.id.start {
            return None;
        }
        procs.push(up);
        at = up;
    }
    Some(procs)
}

fn is_beadle(p: &Proc) -> bool {
    p.comm_is(b"beadle")
}

/// The session a keeper keeps. Only what calls itself beadle is asked for its command line.
fn kept(p: &Proc) -> Option<String> {
    let arguments = is_beadle(p).then(|| process::arguments(p.id.pid))?;
    process::is_keeper(&arguments).then(|| arguments.get(2).cloned().unwrap_or_default())
}

fn cgroup(pid: i32) -> Option<String> {
    let text = process::read_text(pid, "cgroup")?;
    text.lines().find_map(|l| l.strip_prefix("0::")).map(String::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_descends_from_this_process_and_carries_its_tag() {
        let own = process::own_identity().unwrap();
        let mut child = std::process::Command::new("sleep").arg("60").env("BEADLE_SESSION", "k@i").spawn().unwrap();
        let id = process::identity(i32::try_from(child.id()).unwrap()).unwrap();
        let kin = loop {
            // Between fork and execve the environment is the parent's or empty.
            let kin = of(id);
            if kin.tags.first().is_some_and(|t| t == "k@i") {
                break kin;
            }
        };
        assert_eq!(kin.lineage[..2], [id, own]);
        assert_eq!(keepers_above(id, Duration::from_secs(5)), Some(kin.keepers));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!((of(id), keepers_above(id, Duration::ZERO)), (Kin::default(), None));
        assert_eq!(of(ProcId { start: own.start + 1, ..own }), Kin::default());
    }
}
