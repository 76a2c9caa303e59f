//! Whom a pass over the process table missed.
//!
//! Who forks and ends all the time is behind the pass with one pid and before it with the next. So it is asked besides whom
//! a living keeper has as children now (all orphans below it are), or who is in the cgroup of one that is gone.

use crate::model::process::{Claim, Proc, Table};
use crate::sys::process;

/// Adds those to `late`; false when somebody was listed and is gone: it may have handed over to a child nobody saw.
pub fn by(table: &Table, claim: &Claim, late: &mut Vec<Proc>) -> bool {
    let keeper = claim.keeper.filter(|k| table.is_alive(*k)).map(|k| k.pid);
    let there = keeper.map_or_else(|| claim.cgroup.clone(), process::children);
    let is_known = |pid: &i32| table.pid(*pid).is_some_and(|p| keeper.is_none_or(|k| p.ppid == k));
    let mut sure = true;
    for pid in there.into_iter().filter(|pid| !is_known(pid)) {
        match process::stat(pid).filter(|p| !p.is_dead()) {
            Some(found) => late.push(found),
            None => sure = false,
        }
    }
    sure
}

/// The table, completed.
pub fn with(table: Table, late: Vec<Proc>) -> Table {
    if late.is_empty() { table } else { table.with(late) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::session::ProcId;
    use crate::sys::signal::{Guard, Sent, Signal};

    fn own() -> Proc {
        process::stat(i32::try_from(std::process::id()).unwrap()).unwrap()
    }

    fn without_keeper(cgroup: Vec<i32>) -> Claim {
        Claim { cgroup, ..Claim::default() }
    }

    #[test]
    fn who_is_in_the_cgroup_and_not_in_the_table_is_added_to_it() {
        let (mut late, own) = (Vec::new(), own());
        assert!(by(&Table::default(), &without_keeper(vec![own.id.pid]), &mut late));
        assert!(with(Table::default(), late).is_alive(own.id));
        let mut none = Vec::new();
        assert!(by(&Table::new([own]), &without_keeper(vec![own.id.pid]), &mut none));
        assert_eq!(none, []);
    }

    #[test]
    fn an_orphan_a_keeper_has_now_is_its_own_whatever_the_table_says() {
        let mut shell = std::process::Command::new("sh");
        let mut keeper = shell.args(["-c", "sleep 60 & wait"]).spawn().unwrap();
        let id = process::identity(i32::try_from(keeper.id()).unwrap()).unwrap();
        let child = loop {
            if let [child] = process::children(id.pid)[..] {
                break process::identity(child).unwrap();
            }
            std::thread::yield_now();
        };
        let before = Table::new([Proc::kin(id.pid, 1, 1, 1, id.start), Proc::kin(child.pid, 1, 1, 1, child.start)]);
        let claim = Claim { keeper: Some(id), ..Claim::default() };
        let mut late = Vec::new();
        assert!(by(&before, &claim, &mut late));
        assert_eq!(with(before, late).get(child).unwrap().ppid, id.pid);
        let pin = process::Pin::new(child).unwrap().unwrap();
        assert_eq!(Guard::default().send(&pin, Signal::Kill, true), Sent::Sent);
        keeper.wait().unwrap();
    }

    #[test]
    fn who_was_listed_and_is_gone_makes_the_pass_unsure() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        // Dead, whether or not it is reaped already.
        while process::stat(pid).is_some_and(|p| !p.is_dead()) {
            std::thread::yield_now();
        }
        let mut late = Vec::new();
        assert!(!by(&Table::default(), &without_keeper(vec![pid]), &mut late));
        child.wait().unwrap();
        assert!(!by(&Table::default(), &without_keeper(vec![pid]), &mut late));
        assert_eq!(late, []);
        // A zombie the table knows of hides nobody.
        let zombie = Proc::kin(pid, 1, 1, 1, 1).with_state(b'Z');
        assert!(by(
            &Table::new([zombie]),
            &Claim { keeper: Some(ProcId { pid: -1, start: 0 }), ..without_keeper(vec![pid]) },
            &mut late
        ));
    }
}
