//! What is remembered, as JSON: sessions that were, closes that were done, and figures over both.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::client::path_segment;
use super::types::{Closed, Evidence, Process};
use crate::model::session::Exit;

/// How many rows are told when nobody says how many.
pub const LIMIT: u32 = 100;
/// How many at most.
pub const MOST: u32 = 10_000;

/// Which rows: the query of `GET /api/history`, `/api/audit` and `/api/stats`. Every key may be left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// A time (RFC 3339, or a local date) or an age such as `2h`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// An id, the beginning of one, or a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// How a close ended; `interrupted` where the daemon ended first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Who or what ended a session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

impl Filter {
    /// As the query of an address, `?` and all.
    pub fn query(&self) -> String {
        let Ok(Value::Object(keys)) = serde_json::to_value(self) else { return String::new() };
        let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), path_segment);
        let pairs: Vec<String> = keys.into_iter().map(|(key, value)| format!("{key}={}", text(value))).collect();
        if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
    }
}

/// `GET /api/history`: newest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct History {
    pub sessions: Vec<Past>,
    /// There are older ones.
    pub more: bool,
}

/// One run of a session, from the birth of its keeper to its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Past {
    pub id: String,
    pub name: String,
    pub agent: String,
    pub project: Option<String>,
    pub workspace: String,
    pub command: Vec<String>,
    pub started_at: String,
    /// `null` while it lives.
    pub ended_at: Option<String>,
    pub seconds: Option<f64>,
    pub messages: Option<u64>,
    pub exit: Option<Exit>,
    /// How its last close ended; `null` when there was none.
    pub outcome: Option<String>,
    /// The boot of the machine it ran in.
    pub boot_id: String,
}

/// `GET /api/audit`: newest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Audit {
    pub kills: Vec<Kill>,
    /// There are older ones.
    pub more: bool,
}

/// One close of one session: who asked, why, on what evidence, and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Kill {
    pub at: String,
    /// `kill`, `close-all`, …; what nobody asked for is called after what did it: `policy`, `shutdown`.
    pub verb: String,
    pub by: String,
    /// Of the process that asked; `null` when none did.
    pub uid: Option<u32>,
    pub pid: Option<i32>,
    /// What that process called itself.
    pub command: Option<String>,
    pub session_id: String,
    pub session_started_at: String,
    pub name: String,
    pub agent: String,
    pub project: Option<String>,
    pub reason: String,
    pub evidence: Vec<Evidence>,
    /// `clean`, `forced`, `survivors`, `already-gone`; `interrupted` when the daemon ended first; `null` while it goes on.
    pub outcome: Option<String>,
    /// The report; `null` without an outcome of its own.
    pub report: Option<Closed>,
}

/// All that was kept of the last close of a session, for `export`.
#[derive(Debug, Clone, PartialEq)]
pub struct LastClose {
    pub evidence: Vec<Evidence>,
    pub tree: Vec<Process>,
    pub report: Option<Closed>,
}

/// `GET /api/stats`: over all that is remembered, or over a time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stats {
    pub since: Option<String>,
    pub until: Option<String>,
    /// Live now, whatever the time asked about.
    pub active: u64,
    pub created: u64,
    /// Sessions ended, by whom.
    pub ended: BTreeMap<String, u64>,
    /// Closes, by how they ended.
    pub kills: BTreeMap<String, u64>,
    /// How long the ended sessions lived.
    pub session_seconds: Option<Spread>,
    /// How long the closes took.
    pub kill_seconds: Option<Spread>,
    /// What was counted by the hour, such as `runs` and `errors`, each by what ran.
    pub counters: BTreeMap<String, BTreeMap<String, u64>>,
    pub memory: MemoryState,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Spread {
    pub median: f64,
    pub longest: f64,
}

/// How the memory itself is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemoryState {
    /// Of the database.
    pub bytes: u64,
    /// Facts that were not written down, since the daemon began.
    pub lost: u64,
    /// Facts that wait to be written.
    pub waiting: u64,
    /// Why nothing is written, when that is so.
    pub trouble: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_a_query_that_means_the_same() {
        assert_eq!(Filter::default().query(), "");
        let filter = Filter {
            project: Some("a b&c=d".into()),
            limit: Some(3),
            since: Some("2026-11-20T10:00:00+01:00".into()),
            ..Filter::default()
        };
        assert_eq!(filter.query(), "?limit=3&project=a%20b%26c%3Dd&since=2026-11-20T10%3A00%3A00%2B01%3A00");
    }
}
