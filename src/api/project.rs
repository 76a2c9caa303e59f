//! The queue as JSON: a project, what is asked of it, what its end came to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::types::KillReport;
use crate::model::project::{Status, Verb};

/// One project, as `project ls --json` and `GET /api/projects` show it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Project {
    pub number: i64,
    pub name: String,
    pub status: Status,
    pub priority: i64,
    pub workspace: String,
    /// One after the other, each in a session of its own.
    pub commands: Vec<Vec<String>>,
    /// Of one attempt.
    pub timeout_seconds: Option<f64>,
    pub retries: u32,
    /// How often it was begun.
    pub attempt: u32,
    /// Which of its commands ran last, from 1.
    pub command: Option<usize>,
    /// The session of that one.
    pub session: Option<String>,
    /// Every session it had, the first one first.
    pub sessions: Vec<String>,
    pub created_at: String,
    pub started_at: Option<String>,
    pub ended_at: Option<String>,
    /// How it ended, or why it is to be tried again.
    pub reason: Option<String>,
    /// The end of the machine or of the daemon cut an attempt off.
    pub interrupted: bool,
}

/// `POST /api/projects`. Only the name and one of `command` and `commands` are needed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AddRequest {
    pub name: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<Vec<String>>,
    #[serde(alias = "cwd")]
    pub workspace: Option<String>,
    /// The higher one goes first.
    pub priority: i64,
    pub timeout_seconds: Option<f64>,
    pub retries: u32,
}

/// `POST /api/project/end`: several at once, by name, number or glob.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EndRequest {
    pub verb: Verb,
    pub targets: Vec<String>,
    #[serde(default)]
    pub reason: Option<String>,
}

/// The body of `POST /api/projects/{name}/{verb}`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReasonRequest {
    pub reason: Option<String>,
}

/// `POST /api/project/rm`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveRequest {
    pub targets: Vec<String>,
}

/// What the end of one project came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProjectEnded {
    /// Its name.
    pub project_id: String,
    pub status: Status,
    pub message: String,
    pub cleaned_sessions_count: usize,
    /// With survivors.
    pub failed_cleanup_count: usize,
    pub total_attempted: usize,
    pub report: KillReport,
}

impl ProjectEnded {
    pub fn new(project_id: String, status: Status, message: String, report: KillReport) -> Self {
        let (cleaned_sessions_count, failed_cleanup_count) = (report.closed, report.failed);
        let total_attempted = cleaned_sessions_count + failed_cleanup_count;
        Self { project_id, status, message, cleaned_sessions_count, failed_cleanup_count, total_attempted, report }
    }
}

/// Several ends.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProjectsEnded {
    pub projects: Vec<ProjectEnded>,
    pub cleaned_sessions_count: usize,
    pub failed_cleanup_count: usize,
    pub total_attempted: usize,
}

impl From<Vec<ProjectEnded>> for ProjectsEnded {
    fn from(projects: Vec<ProjectEnded>) -> Self {
        let sum = |count: fn(&ProjectEnded) -> usize| projects.iter().map(count).sum();
        Self {
            cleaned_sessions_count: sum(|p| p.cleaned_sessions_count),
            failed_cleanup_count: sum(|p| p.failed_cleanup_count),
            total_attempted: sum(|p| p.total_attempted),
            projects,
        }
    }
}

/// Projects that were forgotten.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProjectsRemoved {
    pub removed: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_has_the_three_counts_under_their_names() {
        let report = KillReport { closed: 2, failed: 1, sessions: Vec::new() };
        let ended = ProjectEnded::new("shop".into(), Status::Completed, "completed".into(), report);
        let json = serde_json::to_value(&ended).unwrap();
        assert_eq!(json["projectId"], "shop");
        assert_eq!(json["status"], "completed");
        let counts = ["cleanedSessionsCount", "failedCleanupCount", "totalAttempted"].map(|key| json[key].as_u64());
        assert_eq!(counts, [Some(2), Some(1), Some(3)]);
        let both = ProjectsEnded::from(vec![ended.clone(), ended]);
        assert_eq!((both.cleaned_sessions_count, both.failed_cleanup_count, both.total_attempted), (4, 2, 6));
    }

    #[test]
    fn a_project_needs_a_name_and_a_command_and_nothing_else() {
        let asked: AddRequest = serde_json::from_str(r#"{"name":"a","command":["true"],"cwd":"/srv"}"#).unwrap();
        assert_eq!((asked.retries, asked.priority, asked.workspace.as_deref()), (0, 0, Some("/srv")));
        assert!(serde_json::from_str::<AddRequest>(r#"{"name":"a","comand":["true"]}"#).is_err());
    }
}
