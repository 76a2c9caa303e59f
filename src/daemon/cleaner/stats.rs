//! What can be seen of the cleaner.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::super::supervisor::Supervisor;
use super::policy;
use super::subject::Subject;
use crate::api::cleanup::{Configuration, Pending, Seconds, Statistics, Stats, Task, Three};
use crate::config::{self, Cleanup};
use crate::model::policy::{self as rules, Facts};
use crate::model::session::Attention;
use crate::sys::clock;

/// To a tenth, as idle times are shown.
pub fn tenths(time: Duration) -> Seconds {
    Seconds((time.as_secs_f64() * 10.0).round() / 10.0)
}

pub fn three(cleanup: &Cleanup) -> Three {
    Three {
        session_timeout: cleanup.max_idle.into(),
        cleanup_interval: cleanup.interval.into(),
        auto_cleanup_enabled: cleanup.enabled,
    }
}

impl Supervisor {
    pub(in crate::daemon) fn stats(&self) -> Stats {
        let now = clock::monotonic();
        let cleanup = &self.set.config.cleanup;
        let all: Vec<Subject<'_>> = self.subjects(now).collect();
        let inactive = all.iter().filter(|s| self.is_inactive(&s.facts)).count();
        let to_close = all.iter().filter(|s| s.announced.is_some()).count();
        let workspaces: BTreeSet<&str> = all.iter().map(|s| s.workspace.as_str()).collect();
        let pending = all.iter().filter(|s| s.announced.is_some() || self.is_inactive(&s.facts));
        Stats {
            sessions_pending_cleanup: pending.map(|s| self.pending(s, now)).collect(),
            configuration: Configuration {
                three: three(cleanup),
                max_sessions: cleanup.max_sessions,
                max_sessions_per_workspace: cleanup.max_sessions_per_workspace,
                cleanup: self.cleanup_settings(),
            },
            statistics: Statistics {
                total_sessions: all.len(),
                active_sessions: all.len() - inactive,
                inactive_sessions: inactive,
                sessions_to_cleanup: to_close,
                workspaces_with_sessions: workspaces.len(),
                counts: self.cleaner.counts,
            },
            auto_cleanup_task: self.task(all.is_empty(), now),
        }
    }

    fn cleanup_settings(&self) -> BTreeMap<String, String> {
        let of_cleanup = |key: String| Some((key.strip_prefix("cleanup.")?.to_string(), self.set.config.get(&key)?));
        config::keys().filter_map(of_cleanup).collect()
    }

    fn task(&self, nobody: bool, now: Duration) -> Task {
        let cleanup = &self.set.config.cleanup;
        let status = match (cleanup.enabled, nobody) {
            (false, _) => "stopped",
            (true, true) => "resting",
            (true, false) => "running",
        };
        let next = now + self.cleaner.due.saturating_duration_since(Instant::now());
        let quiet_until = self.cleaner.watch.quiet_until(cleanup.quiet_start);
        Task {
            running: cleanup.enabled,
            task_status: status.into(),
            last_run_seconds: self.cleaner.took.map(|took| took.as_secs_f64()),
            next_run_at: (cleanup.enabled && !nobody).then(|| clock::wall_at(next)),
            quiet_until: (quiet_until > now).then(|| clock::wall_at(quiet_until)),
        }
    }

    fn is_inactive(&self, facts: &Facts) -> bool {
        let cleanup = &self.set.config.cleanup;
        let limit = match facts.attention {
            Attention::Waiting => facts.own.max_waiting.unwrap_or(cleanup.max_waiting),
            Attention::Working | Attention::Idle | Attention::Unknown => facts.own.max_idle.unwrap_or(cleanup.max_idle),
        };
        facts.idle.is_some_and(|idle| idle >= limit)
    }

    fn pending(&self, subject: &Subject<'_>, now: Duration) -> Pending {
        let due = rules::due(&subject.facts, &policy(&self.set.config.cleanup), now);
        let reason = match (subject.announced, due) {
            (Some(announced), _) => announced.reason.clone(),
            (None, Ok(due)) => due.reason,
            (None, Err(why)) => why.into(),
        };
        Pending {
            session_id: subject.id.into(),
            name: subject.name.into(),
            workspace_name: subject.workspace.clone(),
            inactive_time: subject.facts.idle.map(tenths),
            will_cleanup: subject.announced.is_some(),
            closes_at: subject.announced.map(|a| clock::wall_at(a.closes_at)),
            reason,
        }
    }
}
