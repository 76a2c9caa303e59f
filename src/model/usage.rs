//! What processes use between two looks at them, with that of children which came and went in between.
//!
//! The kernel adds what a child used to its parent's account when the parent waits for it (`proc_pid_stat(5)`, fields
//! 16 and 17; I/O alike). Of a child that was seen before, part was counted then: it is not counted again.

use std::collections::HashMap;

use super::process::Table;
use super::session::ProcId;

/// What one process has used since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    /// Its own processor time, clock ticks.
    pub own: u64,
    /// That of the children it waited for, with theirs.
    pub reaped: u64,
    /// Bytes read and written by system calls, of children it waited for too; `None` where the kernel does not tell.
    pub io: Option<u64>,
}

/// The last two looks.
#[derive(Debug, Default)]
pub struct Usage {
    before: HashMap<ProcId, (Used, Option<ProcId>)>,
    now: HashMap<ProcId, (Used, Option<ProcId>)>,
    /// What of those gone since was counted before, by whoever may have waited for them.
    inherited: HashMap<ProcId, Used>,
    /// When the look before the last one was, clock ticks since boot.
    since: u64,
    at: u64,
}

impl Usage {
    /// A look at `at`, clock ticks since boot: everybody of interest, and what they have used.
    pub fn look(&mut self, table: &Table, at: u64, used: impl Iterator<Item = (ProcId, Used)>) {
        let parent = |id: ProcId| table.pid(table.get(id)?.ppid).map(|p| p.id);
        // Dead and not waited for yet: its share is still to come.
        let kept = self.now.iter().filter(|(id, _)| table.get(**id).is_some()).map(|(id, used)| (*id, *used));
        let now = kept.chain(used.map(|(id, used)| (id, (used, parent(id))))).collect();
        self.before = std::mem::replace(&mut self.now, now);
        self.since = std::mem::replace(&mut self.at, at);
        let mut inherited: HashMap<ProcId, Used> = HashMap::new();
        let gone = self.before.iter().filter(|(id, _)| table.get(**id).is_none());
        for (used, heir) in gone.filter_map(|(_, (used, parent))| Some((used, self.heir(table, *parent)?))) {
            let sum = inherited.entry(heir).or_default();
            sum.own += used.own + used.reaped;
            sum.io = Some(sum.io.unwrap_or(0) + used.io.unwrap_or(0));
        }
        self.inherited = inherited;
    }

    /// The nearest one above that is still there.
    fn heir(&self, table: &Table, mut parent: Option<ProcId>) -> Option<ProcId> {
        // As many steps as there can be, should the table be torn.
        for _ in 0..=self.before.len() {
            let id = parent?;
            if table.get(id).is_some() {
                return Some(id);
            }
            parent = self.before.get(&id)?.1;
        }
        None
    }

    pub fn was_seen_before(&self, id: ProcId) -> bool {
        self.before.contains_key(&id)
    }

    /// What it used between the two looks; whole when it began in between. `None` for one that was not looked at.
    pub fn between(&self, id: ProcId) -> Option<Used> {
        let (now, _) = self.now.get(&id)?;
        let Some((before, _)) = self.before.get(&id) else {
            // Here before, and nobody looked: what it did then is of another time.
            return Some(if id.start >= self.since { *now } else { Used::default() });
        };
        let counted = self.inherited.get(&id).copied().unwrap_or_default();
        let grown = |now: u64, before: u64, counted: u64| now.saturating_sub(before).saturating_sub(counted);
        Some(Used {
            own: now.own.saturating_sub(before.own),
            reaped: grown(now.reaped, before.reaped, counted.own),
            io: now.io.zip(before.io).map(|(now, before)| grown(now, before, counted.io.unwrap_or(0))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::process::Proc;

    fn table(kin: &[(i32, i32, u64)]) -> Table {
        Table::new(kin.iter().map(|(pid, ppid, start)| Proc::kin(*pid, *ppid, *pid, *pid, *start)))
    }

    fn of(pid: i32, start: u64, own: u64, reaped: u64, io: u64) -> (ProcId, Used) {
        (ProcId { pid, start }, Used { own, reaped, io: Some(io) })
    }

    fn id(pid: i32, start: u64) -> ProcId {
        ProcId { pid, start }
    }

    #[test]
    fn children_that_came_and_went_count_as_their_parents() {
        let mut usage = Usage::default();
        let agent = table(&[(5, 1, 10)]);
        usage.look(&agent, 100, [of(5, 10, 40, 0, 1000)].into_iter());
        usage.look(&agent, 300, [of(5, 10, 41, 150, 9000)].into_iter());
        assert_eq!(usage.between(id(5, 10)), Some(Used { own: 1, reaped: 150, io: Some(8000) }));
    }

    #[test]
    fn what_was_counted_of_a_child_before_is_not_counted_again_when_it_is_waited_for() {
        let mut usage = Usage::default();
        let before = table(&[(5, 1, 10), (6, 5, 20), (7, 6, 30)]);
        let used = [of(5, 10, 1, 0, 10), of(6, 20, 500, 3, 700), of(7, 30, 200, 0, 40)];
        usage.look(&before, 100, used.into_iter());
        // The child has gone with its own child; together they did 9 ticks and 60 bytes more.
        usage.look(&table(&[(5, 1, 10)]), 300, [of(5, 10, 2, 712, 820)].into_iter());
        assert_eq!(usage.between(id(5, 10)), Some(Used { own: 1, reaped: 9, io: Some(70) }));
        // Nobody waited for them (SIGCHLD ignored): nothing comes, and nothing is negative.
        usage.look(&before, 400, used.into_iter());
        usage.look(&table(&[(5, 1, 10)]), 500, [of(5, 10, 3, 0, 11)].into_iter());
        assert_eq!(usage.between(id(5, 10)), Some(Used { own: 2, reaped: 0, io: Some(0) }));
    }

    #[test]
    fn who_began_in_between_counts_whole_and_who_was_only_found_counts_from_now_on() {
        let mut usage = Usage::default();
        let all = table(&[(5, 1, 10), (6, 5, 150), (8, 1, 11)]);
        usage.look(&all, 100, [of(5, 10, 1, 0, 10)].into_iter());
        usage.look(&all, 300, [of(5, 10, 1, 0, 10), of(6, 150, 70, 2, 5), of(8, 11, 90_000, 0, 5)].into_iter());
        assert_eq!(usage.between(id(6, 150)), Some(Used { own: 70, reaped: 2, io: Some(5) }));
        assert_eq!(usage.between(id(8, 11)), Some(Used::default()));
        assert_eq!(usage.between(id(9, 9)), None);
        assert!(usage.was_seen_before(id(5, 10)) && !usage.was_seen_before(id(6, 150)));
    }

    #[test]
    fn a_zombie_is_not_yet_waited_for() {
        let mut usage = Usage::default();
        let both = table(&[(5, 1, 10), (6, 5, 20)]);
        usage.look(&both, 100, [of(5, 10, 1, 0, 0), of(6, 20, 50, 0, 0)].into_iter());
        // Dead, still in the table, no member any more: its parent's account comes later, and then part of it is old.
        usage.look(&both, 200, [of(5, 10, 1, 0, 0)].into_iter());
        usage.look(&table(&[(5, 1, 10)]), 300, [of(5, 10, 1, 60, 0)].into_iter());
        assert_eq!(usage.between(id(5, 10)), Some(Used { own: 0, reaped: 10, io: Some(0) }));
    }
}
