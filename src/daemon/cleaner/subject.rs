//! Whom the cleaner looks at: sessions of the origins in `cleanup.reach`.

use std::time::Duration;

use super::super::entry::Announced;
use super::super::supervisor::Supervisor;
use crate::model::policy::Facts;
use crate::model::session::Origin;

/// One session, as the cleaner sees it.
pub struct Subject<'a> {
    pub id: &'a str,
    pub name: &'a str,
    pub workspace: String,
    pub announced: Option<&'a Announced>,
    pub facts: Facts,
}

impl Supervisor {
    /// Plain shells are nobody's agents, whatever may be reached.
    pub(super) fn subjects(&self, now: Duration) -> impl Iterator<Item = Subject<'_>> {
        let managed = self.live().filter(|_| self.reaches(Origin::Managed)).map(move |e| Subject {
            id: e.id(),
            name: e.name(),
            workspace: e.session.workspace.clone(),
            announced: e.announced.as_ref(),
            facts: self.facts(e, now),
        });
        let in_reach = self.foreign_live().filter(|f| !f.is_shell() && self.reaches(f.seen.origin));
        managed.chain(in_reach.map(move |f| Subject {
            id: &f.id,
            name: f.name(),
            workspace: f.workspace(),
            announced: f.announced.as_ref(),
            facts: f.facts(now),
        }))
    }

    /// What stands announced of a session, whoever started it.
    pub(super) fn announcement(&mut self, id: &str) -> Option<&mut Option<Announced>> {
        let managed = self.entries.get_mut(id).map(|e| &mut e.announced);
        managed.or_else(|| self.foreign.get_mut(id).map(|f| &mut f.announced))
    }

    fn reaches(&self, origin: Origin) -> bool {
        self.set.config.cleanup.reach.contains(&origin)
    }

    /// There is somebody to look at.
    pub(in crate::daemon) fn has_subjects(&self) -> bool {
        // Managed ones have timeouts of their own, in reach or not.
        self.live().next().is_some() || self.foreign_live().any(|f| !f.is_shell() && self.reaches(f.seen.origin))
    }
}
