//! What is owed to others once a round is committed: its events, and the search for strays after a failure.
//!
//! ```text
//!   status ──┐                       ┌─► event  (the row goes in the transaction that stores it)
//!            ├─ one transaction ─► row
//!   settled ─┘                       └─► search (the row goes when that is over)
//! ```
//!
//! Each is a row, written with what causes it and taken out with what is done about it. So a daemon that is killed in between
//! leaves it to the next one, and nothing is told twice.

use rusqlite::params;

use super::{Change, End, Kept, Round, Status};
use crate::api::types::KillReport;
use crate::daemon::events::said;
use crate::daemon::projects::rows::COLUMNS;
use crate::daemon::store;
use crate::model::event::What;

/// An event that is written down with what it tells of.
#[derive(Debug, Clone, PartialEq)]
pub struct Tale {
    pub number: i64,
    pub at: String,
    pub by_hook: bool,
    pub what: What,
}

/// A search for what a failure left elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    pub number: i64,
    pub reason: String,
    pub by_hook: bool,
}

/// An end whose sessions are closed, as far as they could be.
#[derive(Debug, Clone)]
pub struct Settled {
    pub end: End,
    pub report: KillReport,
}

impl Round<'_> {
    /// Another status, written by this round.
    pub(super) fn tell_change(&mut self, number: i64, change: Change) -> rusqlite::Result<()> {
        let Change { project, before, status, reason, by_hook } = change;
        let sql = "UPDATE projects SET told = ?2 WHERE number = ?1 AND told IS NOT ?2";
        if self.at.prepare_cached(sql)?.execute(params![number, status.as_str()])? == 0 {
            // It was said that it runs, and what was started for that never began: it is started again.
            return Ok(());
        }
        let what = What::ProjectChanged {
            project_id: said(&project),
            before: before.map(|status| status.to_string()),
            status: status.to_string(),
            reason: said(&reason),
        };
        self.owe_event(&what, by_hook)
    }

    /// What somebody wrote into the database by hand; not what was taken back because it never began.
    pub(super) fn tell_edited(&mut self) -> rusqlite::Result<()> {
        let sql = format!(
            "SELECT {COLUMNS}, told FROM projects WHERE told IS NOT status
                AND NOT (told IS 'running' AND status = 'queued' AND started_at IS NULL) ORDER BY number"
        );
        let mut statement = self.at.prepare_cached(&sql)?;
        let rows = statement.query_map([], |row| Ok((Kept::read(row)?, row.get::<_, Option<String>>("told")?)))?;
        let edited: Vec<(Kept, Option<String>)> = rows.collect::<Result<_, _>>()?;
        for (Kept { shown, by_hook, .. }, told) in edited {
            let before: Option<Status> = told.and_then(|told| told.parse().ok());
            let reason = shown.reason.filter(|_| shown.status.is_finished());
            let reason = reason.unwrap_or_else(|| "said in the database".into());
            let change = Change { project: shown.name, before, status: shown.status, reason, by_hook };
            self.tell_change(shown.number, change)?;
        }
        Ok(())
    }

    /// The consequences of an end are drawn. One that somebody has made another meanwhile is drawn as that.
    pub(super) fn settle(&mut self, Settled { end, report }: &Settled) -> rusqlite::Result<()> {
        let sql = "UPDATE projects SET settled = status WHERE number = ?1 AND status = ?2";
        let settled = self.at.prepare_cached(sql)?.execute(params![end.number, end.status.as_str()])?;
        let there = "SELECT EXISTS (SELECT 1 FROM projects WHERE number = ?1)";
        let is_another = settled == 0 && self.at.prepare_cached(there)?.query_row([end.number], |row| row.get(0))?;
        if is_another {
            return Ok(());
        }
        let what = What::ProjectCleanupCompleted {
            project_id: said(&end.project),
            status: end.status.to_string(),
            cleaned_sessions_count: report.closed,
            failed_cleanup_count: report.failed,
            total_attempted: report.closed + report.failed,
        };
        self.owe_event(&what, end.by_hook)?;
        store::count_in(self.at, "projects", end.status.as_str())?;
        if end.status.needs_sweep() {
            let reason = said(&format!("project {} is {}", end.project, end.status));
            let sql = "INSERT INTO project_sweeps (reason, by_hook) VALUES (?1, ?2)";
            self.at.prepare_cached(sql)?.execute(params![reason, end.by_hook])?;
        }
        Ok(())
    }

    fn owe_event(&mut self, what: &What, by_hook: bool) -> rusqlite::Result<()> {
        let body = serde_json::to_string(what).unwrap_or_default();
        let sql = "INSERT INTO project_events (at, by_hook, body) VALUES (?1, ?2, ?3)";
        self.at.prepare_cached(sql)?.execute(params![self.asked.ground.wall, by_hook, body]).map(drop)
    }

    /// Everything up to this number was swept for.
    pub(super) fn swept(&mut self, number: i64) -> rusqlite::Result<()> {
        self.at.prepare_cached("DELETE FROM project_sweeps WHERE number <= ?1")?.execute([number]).map(drop)
    }

    /// All that is owed, of events those after this number.
    pub(super) fn owed(&mut self, heard: i64) -> rusqlite::Result<()> {
        let sql = "SELECT number, at, by_hook, body FROM project_events WHERE number > ?1 ORDER BY number";
        let mut statement = self.at.prepare_cached(sql)?;
        let rows = statement.query_map([heard], |row| {
            let (number, at, by_hook, body): (_, _, _, String) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
            // One that cannot be read was written by somebody else.
            Ok(serde_json::from_str(&body).ok().map(|what| Tale { number, at, by_hook, what }))
        })?;
        self.plan.told = rows.filter_map(Result::transpose).collect::<Result<_, _>>()?;
        let sql = "SELECT number, reason, by_hook FROM project_sweeps ORDER BY number";
        let mut statement = self.at.prepare_cached(sql)?;
        let rows = statement
            .query_map([], |row| Ok(Search { number: row.get(0)?, reason: row.get(1)?, by_hook: row.get(2)? }))?;
        self.plan.searches = rows.collect::<Result<_, _>>()?;
        Ok(())
    }
}
