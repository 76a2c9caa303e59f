//! What others hear of the queue: the one place from which its events go out, as the rounds have written them down. Each
//! session that is closed for a project is told of by its close; what a hook caused wakes no hook.

use super::round::Tale;
use crate::daemon::events::{Again, Told};
use crate::daemon::supervisor::Supervisor;
use crate::model::event::What;

impl Supervisor {
    pub(super) fn tell_of_projects(&mut self, told: Vec<Tale>) {
        if told.is_empty() {
            return;
        }
        for Tale { number, at, by_hook, what } in told {
            if let What::ProjectChanged { project_id, status, reason, .. } = &what {
                tracing::info!(project = %project_id, %reason, "project {status}");
            }
            self.set.store.tell_event(Told { at, by_hook, what, key: None, again: Again::No, owed: Some(number) });
        }
        self.bump();
    }
}
