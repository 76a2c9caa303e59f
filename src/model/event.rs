//! What happens, as it is told: to whoever listens to the stream of events, to hooks, and to the memory.
//!
//! Each kind is a past tense, or the name of what was done. The fields are the contract; names and reasons are untrusted
//! text, made printable where they are told.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::session::{Attention, Exit, ExitBy, Health, Origin};

/// One event as it travels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// Each number is given once, in the order in which things happened.
    pub number: u64,
    /// RFC 3339, UTC.
    pub at: String,
    /// It came about through a hook: no hook is run for it.
    #[serde(default, rename = "byHook", skip_serializing_if = "std::ops::Not::not")]
    pub by_hook: bool,
    #[serde(flatten)]
    pub what: What,
}

/// Which session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Who {
    pub session_id: String,
    pub name: String,
    pub agent: String,
    pub origin: Origin,
    pub project_id: Option<String>,
}

/// A setting before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    pub old: String,
    pub new: String,
}

/// The kinds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum What {
    DaemonStarted {
        version: String,
        pid: i32,
    },
    DaemonStopped {
        reason: String,
    },
    SessionStarted {
        #[serde(flatten)]
        who: Who,
    },
    /// The same session, again from the start.
    SessionRestarted {
        #[serde(flatten)]
        who: Who,
    },
    /// Its agent has ended, and processes remain.
    SessionLingering {
        #[serde(flatten)]
        who: Who,
    },
    SessionEnded {
        #[serde(flatten)]
        who: Who,
        exit: Option<Exit>,
    },
    SessionChanged {
        #[serde(flatten)]
        who: Who,
        /// `renamed`, `pinned`, `unpinned`, `paused`, `continued` or `forgotten`.
        change: String,
    },
    HealthChanged {
        #[serde(flatten)]
        who: Who,
        /// `null` for the first verdict of a daemon.
        before: Option<Health>,
        health: Health,
        reason: String,
    },
    AttentionChanged {
        #[serde(flatten)]
        who: Who,
        before: Option<Attention>,
        attention: Attention,
        reason: String,
    },
    CloseAnnounced {
        #[serde(flatten)]
        who: Who,
        closes_at: String,
        reason: String,
    },
    /// What was announced is no longer meant.
    CloseWithdrawn {
        #[serde(flatten)]
        who: Who,
        reason: String,
    },
    /// A close is over, whoever asked for it.
    SessionCleanup {
        #[serde(flatten)]
        who: Who,
        /// `cleaned_up`, or `failed` when something of it could not be taken.
        status: String,
        reason: String,
        by: ExitBy,
        /// As in the report of a kill.
        outcome: String,
    },
    CloseAllSessions {
        closed: usize,
        failed: usize,
        reason: String,
        project_id: Option<String>,
    },
    SweepCompleted {
        emergency: bool,
        killed: usize,
        spared: usize,
        failed: usize,
        freed_bytes: u64,
        reason: String,
        /// Why nothing could be taken.
        failure: Option<String>,
    },
    /// A rehearsal of a sweep, or a sweep, came upon what was left behind.
    StraysFound {
        count: usize,
        memory_bytes: u64,
        pids: Vec<i32>,
    },
    /// By the full names of the keys. What may be a secret has no value here.
    SettingsChanged {
        settings: BTreeMap<String, Change>,
    },
    /// Nothing starts any more.
    Latched {
        reason: String,
    },
    Released {},
    ProjectChanged {
        project_id: String,
        before: Option<String>,
        status: String,
        reason: String,
    },
    /// The sessions of a project that is over are closed.
    ProjectCleanupCompleted {
        project_id: String,
        status: String,
        cleaned_sessions_count: usize,
        failed_cleanup_count: usize,
        total_attempted: usize,
    },
    /// Events in between are not there any more: look at the present state.
    Resync {
        from: u64,
        to: u64,
        reason: String,
    },
}

/// Every kind, by the word it travels under.
pub const KINDS: &[&str] = &[
    "daemon_started",
    "daemon_stopped",
    "session_started",
    "session_restarted",
    "session_lingering",
    "session_ended",
    "session_changed",
    "health_changed",
    "attention_changed",
    "close_announced",
    "close_withdrawn",
    "session_cleanup",
    "close_all_sessions",
    "sweep_completed",
    "strays_found",
    "settings_changed",
    "latched",
    "released",
    "project_changed",
    "project_cleanup_completed",
    "resync",
];

impl What {
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::DaemonStarted { .. } => "daemon_started",
            Self::DaemonStopped { .. } => "daemon_stopped",
            Self::SessionStarted { .. } => "session_started",
            Self::SessionRestarted { .. } => "session_restarted",
            Self::SessionLingering { .. } => "session_lingering",
            Self::SessionEnded { .. } => "session_ended",
            Self::SessionChanged { .. } => "session_changed",
            Self::HealthChanged { .. } => "health_changed",
            Self::AttentionChanged { .. } => "attention_changed",
            Self::CloseAnnounced { .. } => "close_announced",
            Self::CloseWithdrawn { .. } => "close_withdrawn",
            Self::SessionCleanup { .. } => "session_cleanup",
            Self::CloseAllSessions { .. } => "close_all_sessions",
            Self::SweepCompleted { .. } => "sweep_completed",
            Self::StraysFound { .. } => "strays_found",
            Self::SettingsChanged { .. } => "settings_changed",
            Self::Latched { .. } => "latched",
            Self::Released { .. } => "released",
            Self::ProjectChanged { .. } => "project_changed",
            Self::ProjectCleanupCompleted { .. } => "project_cleanup_completed",
            Self::Resync { .. } => "resync",
        }
    }

    /// Whom it is about, when it is about one session.
    pub const fn who(&self) -> Option<&Who> {
        match self {
            Self::SessionStarted { who }
            | Self::SessionRestarted { who }
            | Self::SessionLingering { who }
            | Self::SessionEnded { who, .. }
            | Self::SessionChanged { who, .. }
            | Self::HealthChanged { who, .. }
            | Self::AttentionChanged { who, .. }
            | Self::CloseAnnounced { who, .. }
            | Self::CloseWithdrawn { who, .. }
            | Self::SessionCleanup { who, .. } => Some(who),
            Self::DaemonStarted { .. }
            | Self::DaemonStopped { .. }
            | Self::CloseAllSessions { .. }
            | Self::SweepCompleted { .. }
            | Self::StraysFound { .. }
            | Self::SettingsChanged { .. }
            | Self::Latched { .. }
            | Self::Released {}
            | Self::ProjectChanged { .. }
            | Self::ProjectCleanupCompleted { .. }
            | Self::Resync { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_event_is_one_flat_object_and_reads_back_the_same() {
        let who = Who {
            session_id: "k3f9q2".into(),
            name: "a".into(),
            agent: "claude".into(),
            origin: Origin::Managed,
            project_id: Some("shop".into()),
        };
        let what = What::SessionCleanup {
            who,
            status: "cleaned_up".into(),
            reason: "done".into(),
            by: ExitBy::User,
            outcome: "clean".into(),
        };
        let event = Event { number: 7, at: "2026-11-20T10:00:00Z".into(), by_hook: false, what };
        let value = serde_json::to_value(&event).unwrap();
        assert_eq!(
            value,
            json!({"number": 7, "at": "2026-11-20T10:00:00Z", "kind": "session_cleanup", "sessionId": "k3f9q2",
                "name": "a", "agent": "claude", "origin": "managed", "projectId": "shop", "status": "cleaned_up",
                "reason": "done", "by": "user", "outcome": "clean"})
        );
        assert_eq!(serde_json::from_value::<Event>(value).unwrap(), event);
    }

    #[test]
    fn a_kind_travels_under_the_word_in_the_list() {
        for what in [
            What::Released {},
            What::Resync { from: 1, to: 2, reason: "r".into() },
            What::ProjectCleanupCompleted {
                project_id: "p".into(),
                status: "completed".into(),
                cleaned_sessions_count: 1,
                failed_cleanup_count: 0,
                total_attempted: 1,
            },
        ] {
            let value = serde_json::to_value(&what).unwrap();
            assert_eq!(value["kind"], what.kind());
            assert!(KINDS.contains(&what.kind()));
        }
    }
}
