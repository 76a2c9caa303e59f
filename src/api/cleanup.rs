//! The cleaner as JSON: what it is set to, what it does, what it closed.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Seconds: a whole number where they are whole, so that 1800 reads as 1800.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct Seconds(pub f64);

impl From<Duration> for Seconds {
    fn from(time: Duration) -> Self {
        Self(time.as_secs_f64())
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        #[expect(clippy::cast_possible_truncation, reason = "what has no fraction and fits is written whole")]
        if self.0.fract() == 0.0 && self.0.abs() < 1e15 {
            to.serialize_i64(self.0 as i64)
        } else {
            to.serialize_f64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        f64::deserialize(from).map(Self)
    }
}

impl JsonSchema for Seconds {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Seconds".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "description": "Seconds; a whole number where they are whole." })
    }
}

/// The three settings of the plain form.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Three {
    /// `cleanup.max_idle`.
    pub session_timeout: Seconds,
    /// `cleanup.interval`.
    pub cleanup_interval: Seconds,
    /// `cleanup.enabled`.
    pub auto_cleanup_enabled: bool,
}

/// What `PUT /api/auto-cleanup/configure` takes: whole seconds, 1 or more. Every key may be left out.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ThreeRequest {
    /// `cleanup.max_idle`.
    #[schemars(range(min = 1))]
    pub session_timeout: Option<u64>,
    /// `cleanup.interval`.
    #[schemars(range(min = 1))]
    pub cleanup_interval: Option<u64>,
    /// `cleanup.enabled`.
    pub auto_cleanup_enabled: Option<bool>,
}

/// The same in an envelope, as `/bash/…` answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Enveloped<T> {
    /// `success`.
    pub status: String,
    pub data: T,
}

/// `PUT /api/auto-cleanup/configure`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Configured {
    /// `updated`.
    pub status: String,
    pub old_settings: Three,
    pub new_settings: Three,
    pub message: String,
}

/// `POST /api/auto-cleanup/{start,stop}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Switched {
    /// `started` or `stopped`.
    pub status: String,
    pub cleanup_interval: Seconds,
    pub session_timeout: Seconds,
    pub message: String,
}

/// `POST /api/cleanup`: what one pass closed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cleaned {
    pub cleaned_sessions: usize,
    pub sessions: Vec<CleanedSession>,
    /// Unix seconds.
    pub cleanup_time: u64,
    pub session_timeout: Seconds,
    /// How many are announced, and closed when their notice is over.
    pub announced: usize,
    pub message: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CleanedSession {
    pub session_id: String,
    pub name: String,
    pub workspace_name: String,
    /// Seconds; `null` where nobody knows.
    pub inactive_time: Option<Seconds>,
    pub reason: String,
}

/// `GET /api/auto-cleanup/stats`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "CleanerStats")]
pub struct Stats {
    pub configuration: Configuration,
    pub statistics: Statistics,
    pub auto_cleanup_task: Task,
    pub sessions_pending_cleanup: Vec<Pending>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Configuration {
    #[serde(flatten)]
    pub three: Three,
    pub max_sessions: usize,
    pub max_sessions_per_workspace: usize,
    /// Every key of `[cleanup]`, spelt as in the file.
    pub cleanup: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Statistics {
    pub total_sessions: usize,
    pub active_sessions: usize,
    /// Past their idle limit, exempt or not.
    pub inactive_sessions: usize,
    /// Announced.
    pub sessions_to_cleanup: usize,
    pub workspaces_with_sessions: usize,
    #[serde(flatten)]
    pub counts: Counts,
}

/// Since the daemon started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    pub sessions_created: u64,
    pub sessions_cleaned: u64,
    pub cleanup_runs: u64,
    pub cleanup_errors: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Task {
    pub running: bool,
    /// `running`, `resting` (no sessions) or `stopped`.
    pub task_status: String,
    pub next_run_at: Option<String>,
    /// How long the last look at all sessions took, without the sample before it.
    pub last_run_seconds: Option<f64>,
    /// Nothing is closed by policy before.
    pub quiet_until: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Pending {
    pub session_id: String,
    pub name: String,
    pub workspace_name: String,
    pub inactive_time: Option<Seconds>,
    pub will_cleanup: bool,
    pub closes_at: Option<String>,
    /// Why it will be closed, or why not.
    pub reason: String,
}

/// `POST /api/cleanup/set`: settings as they are spelt in the file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SetRequest {
    pub settings: Vec<(String, String)>,
    /// In the config file too.
    pub save: bool,
}

/// Old and new, by the full name of the key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SetDone {
    pub old_settings: BTreeMap<String, String>,
    pub new_settings: BTreeMap<String, String>,
    /// The file it was written to.
    pub saved: Option<String>,
}

/// `POST /api/keep-child`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeepChildRequest {
    pub pid: i32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_seconds_are_written_whole() {
        let text = |seconds| serde_json::to_string(&Seconds(seconds)).unwrap();
        assert_eq!((text(1800.0), text(0.2), text(0.0)), ("1800".into(), "0.2".into(), "0".into()));
        assert_eq!(serde_json::from_str::<Seconds>("30").unwrap(), Seconds(30.0));
    }
}
