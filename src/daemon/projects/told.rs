//! What others hear of the queue: the one place from which its events go out.

use super::round::End;
use crate::api::types::{KillReport, Outcome};
use crate::daemon::supervisor::Supervisor;

impl Supervisor {
    /// A project was queued, or began to run.
    pub(super) fn tell_status(&mut self, project: &str, status: &str, session: &str) {
        tracing::info!(%project, %session, "project {status}");
        self.bump();
    }

    /// Each session that was closed for a project.
    pub(super) fn tell_cleanup(&mut self, project: &str, reason: &str, report: &KillReport) {
        for closed in report.sessions.iter().filter(|c| c.outcome != Outcome::Survivors) {
            tracing::info!(session = %closed.id, %project, %reason, "session_cleanup");
        }
    }

    /// The consequences of an end are drawn.
    pub(super) fn tell_completed(&mut self, end: &End, report: &KillReport) {
        tracing::info!(
            project = %end.project, status = %end.status, closed = report.closed, failed = report.failed,
            "project_cleanup_completed"
        );
        self.set.store.count("projects", end.status.as_str());
        self.bump();
    }
}
