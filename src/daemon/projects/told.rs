//! What others hear of the queue: the one place from which its events go out. Each session that is closed for a project is
//! told of by its close; what a hook caused wakes no hook.

use super::orders::Meant;
use super::round::{Change, End};
use crate::api::project::Project;
use crate::api::types::KillReport;
use crate::daemon::events::said;
use crate::daemon::supervisor::Supervisor;
use crate::model::event::What;
use crate::model::project::Status;

impl Supervisor {
    fn tell_of_project(&mut self, what: What, by_hook: bool) {
        let before = std::mem::replace(&mut self.by_hook, by_hook);
        self.tell(what);
        self.by_hook = before;
        self.bump();
    }

    pub(super) fn tell_added(&mut self, project: &Project, by_hook: bool) {
        self.tell_change(&Change {
            project: project.name.clone(),
            before: None,
            status: Status::Queued,
            reason: "added".into(),
            by_hook,
        });
    }

    pub(super) fn tell_change(&mut self, change: &Change) {
        let Change { project, before, status, reason, by_hook } = change;
        tracing::info!(%project, %reason, "project {status}");
        let what = What::ProjectChanged {
            project_id: said(project),
            before: before.map(|status| status.to_string()),
            status: status.to_string(),
            reason: said(reason),
        };
        self.tell_of_project(what, *by_hook);
    }

    /// Somebody ended it.
    pub(super) fn tell_meant(&mut self, meant: &Meant, by_hook: bool) {
        let Meant { name, status, before, reason, .. } = meant.clone();
        self.tell_change(&Change { project: name, before: Some(before), status, reason, by_hook });
    }

    /// Somebody wrote the end into the database; or a daemon before this one did, and told nobody.
    pub(super) fn tell_edited(&mut self, end: &End) {
        let End { project, status, reason, by_hook, .. } = end.clone();
        self.tell_change(&Change { project, before: None, status, reason, by_hook });
    }

    /// The consequences of an end are drawn.
    pub(super) fn tell_completed(&mut self, end: &End, report: &KillReport) {
        let what = What::ProjectCleanupCompleted {
            project_id: said(&end.project),
            status: end.status.to_string(),
            cleaned_sessions_count: report.closed,
            failed_cleanup_count: report.failed,
            total_attempted: report.closed + report.failed,
        };
        self.tell_of_project(what, end.by_hook);
        self.set.store.count("projects", end.status.as_str());
    }
}
