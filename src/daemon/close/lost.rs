//! Who belongs to a session and is below no living keeper: known by its tag alone.

use std::sync::PoisonError;

use super::{Closing, TAGS, Work};
use crate::daemon::sampler;
use crate::model::process::Table;

impl Closing {
    /// Without a keeper nobody has adopted the orphans: only tag and cgroup say who they are. One that ends by itself goes
    /// after the last of its own.
    pub(super) fn look_for_keeper(&mut self, table: &Table) {
        let claim = &self.target.claim;
        let lives = claim.keeper.is_some_and(|k| table.is_alive(k));
        let went_last = self.had_keeper && !self.lost && !self.seen.iter().any(|s| table.is_alive(s.id));
        self.lost = !claim.foreign && !lives && !went_last;
        self.had_keeper |= lives;
    }
}

impl Work<'_> {
    /// Who carries which tag, and whether everybody said so that could be meant: asked of those who are as young as the
    /// sessions and below no living keeper.
    pub(super) fn carriers(&self, table: &Table, open: &[Closing]) -> (Vec<(i32, String)>, bool) {
        let managed = open.iter().map(|closing| &closing.target.claim).filter(|claim| !claim.foreign);
        let Some(since) = managed.map(|claim| claim.since).min() else { return (Vec::new(), true) };
        let wanted = sampler::may_carry(table, since, &self.around.keepers);
        let mut tags = self.around.tags.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever does not answer costs one round, and is then left out.
        let mut rounds = 0;
        loop {
            let (carriers, all_asked) = tags.of(table, wanted.iter().copied(), TAGS);
            rounds += 1;
            if all_asked || rounds == 5 {
                return (carriers, all_asked);
            }
        }
    }
}
