//! What is remembered, asked: rows newest first, and figures over them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, Row, named_params};

use super::super::events::Line;
use super::Store;
use super::schema::{self, OpenError};
use crate::api::memory::{Audit, Filter, History, Kill, LIMIT, LastClose, MOST, Past, Spread, Stats};
use crate::api::refusal::{Code, Refusal};
use crate::model::session::{Exit, ExitBy};

/// How many read at once: on a disk that hangs no more threads than these are lost.
pub(super) const READERS: usize = 4;
/// How long what was told last may take to be written before an answer is given without it.
const FRESH: Duration = Duration::from_millis(500);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Rows, oldest left out; true when some were.
pub type Answered<T> = (Vec<T>, bool);

impl Store {
    /// Reads beside everything else, what was just told included.
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Recall) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Refusal> {
        let slow = || Refusal::new(Code::Internal, "the database does not answer (does the disk hang?)");
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.readers).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else { return Err(slow()) };
        let store = self.clone();
        let read = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            store.settle(FRESH);
            store.read(question)
        });
        match tokio::time::timeout(PATIENCE, read).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err(slow()),
        }
    }

    pub(super) fn read<T>(&self, question: impl FnOnce(&Recall) -> rusqlite::Result<T>) -> Result<T, Refusal> {
        let failed = |source| OpenError::Use { path: self.path.to_path_buf(), source };
        let opened = schema::open_to_read(&self.path).map(Recall);
        opened.and_then(|recall| question(&recall).map_err(failed)).map_err(|error| {
            if let OpenError::Use { source, .. } = &error
                && schema::is_corrupt(source)
            {
                self.shared.lock().suspect = true;
                self.shared.changed.notify_all();
            }
            Refusal::new(Code::Internal, format!("nothing can be remembered: {error}"))
        })
    }
}

/// The questions.
pub struct Recall(pub(in crate::daemon) Connection);

/// Text parameters are compared only where they are given.
const OF_HISTORY: &str = "
    (:since IS NULL OR ended_at IS NULL OR ended_at >= :since) AND (:until IS NULL OR h.started_at < :until)
    AND (:project IS NULL OR h.project = :project) AND (:agent IS NULL OR h.agent = :agent)
    AND (:session IS NULL OR h.name = :session OR substr(h.id, 1, length(:session)) = :session)
    AND (:ended_by IS NULL OR ended_by = :ended_by) AND (:outcome IS NULL OR outcome IS :outcome)";
const OF_AUDIT: &str = "
    (:since IS NULL OR at >= :since) AND (:until IS NULL OR at < :until)
    AND (:project IS NULL OR project = :project) AND (:agent IS NULL OR agent = :agent)
    AND (:session IS NULL OR name = :session OR substr(session, 1, length(:session)) = :session)
    AND (:ended_by IS NULL OR asked_by = :ended_by) AND (:outcome IS NULL OR outcome IS :outcome)";
/// A run with what its last close came to.
const RUNS: &str = "(SELECT *, (SELECT outcome FROM audit WHERE audit.session = history.id
    AND audit.started_at = history.started_at ORDER BY at DESC LIMIT 1) AS outcome FROM history) AS h";

impl Recall {
    pub fn history(&self, filter: &Filter) -> rusqlite::Result<History> {
        let sql = format!("SELECT * FROM {RUNS} WHERE {OF_HISTORY} ORDER BY h.started_at DESC, h.id LIMIT :limit");
        let (sessions, more) = self.rows(&sql, filter, past)?;
        Ok(History { sessions, more })
    }

    pub fn audit(&self, filter: &Filter) -> rusqlite::Result<Audit> {
        let sql = format!("SELECT * FROM audit WHERE {OF_AUDIT} ORDER BY at DESC, number DESC LIMIT :limit");
        let (kills, more) = self.rows(&sql, filter, kill)?;
        Ok(Audit { kills, more })
    }

    /// One row more than wanted is asked for: then there are more.
    fn rows<T>(
        &self,
        sql: &str,
        filter: &Filter,
        read: fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Answered<T>> {
        let limit = filter.limit.unwrap_or(LIMIT).min(MOST);
        let mut statement = self.0.prepare(sql)?;
        let rows = statement.query_map(
            named_params! {
                ":since": filter.since, ":until": filter.until, ":project": filter.project, ":agent": filter.agent,
                ":session": filter.session, ":ended_by": filter.by, ":outcome": filter.outcome, ":limit": limit + 1,
            },
            read,
        )?;
        let mut rows = rows.collect::<rusqlite::Result<Vec<T>>>()?;
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        Ok((rows, more))
    }

    /// Events after a number, in order.
    pub fn events_after(&self, number: u64, most: usize) -> rusqlite::Result<Vec<Line>> {
        let sql = "SELECT number, at, kind, by_hook, body FROM events WHERE number > ?1 ORDER BY number LIMIT ?2";
        let mut statement = self.0.prepare(sql)?;
        let line = |row: &Row<'_>| {
            Ok(Line {
                number: row.get(0)?,
                at: row.get(1)?,
                kind: row.get(2)?,
                by_hook: row.get(3)?,
                body: row.get::<_, String>(4)?.into(),
            })
        };
        statement.query_map((number, most), line)?.collect()
    }

    /// The number before the first event since a time; the newest when there was none.
    pub fn events_since(&self, at: &str) -> rusqlite::Result<u64> {
        let sql = "SELECT coalesce((SELECT min(number) - 1 FROM events WHERE at >= ?1), max(number), 0) FROM events";
        self.0.query_row(sql, [at], |row| row.get(0))
    }

    /// The number before the newest events, so many of them.
    pub fn events_before_last(&self, most: u64) -> rusqlite::Result<u64> {
        let sql = "SELECT coalesce(min(number) - 1, 0) FROM (SELECT number FROM events ORDER BY number DESC LIMIT ?1)";
        self.0.query_row(sql, [most], |row| row.get(0))
    }

    /// What was kept of the last close of a run.
    pub fn last_close(&self, id: &str, started_at: &str) -> rusqlite::Result<Option<LastClose>> {
        let sql =
            "SELECT evidence, tree, report FROM audit WHERE session = ?1 AND started_at = ?2 ORDER BY at DESC LIMIT 1";
        let mut statement = self.0.prepare(sql)?;
        let mut rows = statement.query([id, started_at])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let (evidence, tree) = (parsed(row, "evidence")?, parsed(row, "tree")?);
        Ok(Some(LastClose {
            evidence: evidence.unwrap_or_default(),
            tree: tree.unwrap_or_default(),
            report: parsed(row, "report")?,
        }))
    }

    /// Everything but what only the living daemon knows.
    pub fn stats(&self, filter: &Filter) -> rusqlite::Result<Stats> {
        let (since, until) = (filter.since.as_deref(), filter.until.as_deref());
        let ended = "FROM history WHERE ended_at IS NOT NULL AND (?1 IS NULL OR ended_at >= ?1) AND (?2 IS NULL OR ended_at < ?2)";
        let closed = "FROM audit WHERE (?1 IS NULL OR at >= ?1) AND (?2 IS NULL OR at < ?2)";
        let created =
            "SELECT count(*) FROM history WHERE (?1 IS NULL OR started_at >= ?1) AND (?2 IS NULL OR started_at < ?2)";
        Ok(Stats {
            since: filter.since.clone(),
            until: filter.until.clone(),
            created: self.0.query_row(created, [since, until], |row| row.get(0))?,
            ended: self.counts(&format!("SELECT ended_by, count(*) {ended} GROUP BY ended_by"), [since, until])?,
            kills: self.counts(
                &format!("SELECT outcome, count(*) {closed} AND outcome IS NOT NULL GROUP BY outcome"),
                [since, until],
            )?,
            session_seconds: self.spread(ended, [since, until])?,
            kill_seconds: self.spread(closed, [since, until])?,
            counters: self.counters(since, until)?,
            ..Stats::default()
        })
    }

    fn counts(&self, sql: &str, within: [Option<&str>; 2]) -> rusqlite::Result<BTreeMap<String, u64>> {
        let mut statement = self.0.prepare(sql)?;
        let rows = statement.query_map(within, |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect()
    }

    /// Of the column `seconds`.
    fn spread(&self, from: &str, within: [Option<&str>; 2]) -> rusqlite::Result<Option<Spread>> {
        let sql = format!(
            "WITH s AS (SELECT seconds AS v {from} AND seconds IS NOT NULL)
             SELECT (SELECT v FROM s ORDER BY v LIMIT 1 OFFSET (SELECT count(*) / 2 FROM s)), max(v) FROM s"
        );
        let spread = |row: &Row<'_>| Ok(row.get::<_, Option<f64>>(0)?.zip(row.get::<_, Option<f64>>(1)?));
        let spread = self.0.query_row(&sql, within, spread)?;
        Ok(spread.map(|(median, longest)| Spread { median, longest }))
    }

    fn counters(
        &self,
        since: Option<&str>,
        until: Option<&str>,
    ) -> rusqlite::Result<BTreeMap<String, BTreeMap<String, u64>>> {
        // An hour counts whole when the time asked about touches it.
        let sql = "SELECT name, label, sum(value) FROM counters
            WHERE (?1 IS NULL OR hour >= substr(?1, 1, 13)) AND (?2 IS NULL OR hour < ?2) GROUP BY name, label";
        let mut statement = self.0.prepare(sql)?;
        let rows =
            statement.query_map([since, until], |row| Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?)))?;
        let mut out: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
        for row in rows {
            let (name, label, value) = row?;
            out.entry(name).or_default().insert(label, value);
        }
        Ok(out)
    }
}

fn past(row: &Row<'_>) -> rusqlite::Result<Past> {
    let ended_at: Option<String> = row.get("ended_at")?;
    let by = |word: Option<String>| word.and_then(|w| w.parse().ok()).unwrap_or(ExitBy::Unknown);
    let exit = match &ended_at {
        None => None,
        Some(at) => Some(Exit {
            code: row.get("code")?,
            signal: row.get("signal")?,
            at: at.clone(),
            by: by(row.get("ended_by")?),
            reason: row.get::<_, Option<String>>("reason")?.unwrap_or_default(),
        }),
    };
    Ok(Past {
        id: row.get("id")?,
        name: row.get("name")?,
        agent: row.get("agent")?,
        project: row.get("project")?,
        workspace: row.get("workspace")?,
        command: parsed(row, "command")?.unwrap_or_default(),
        started_at: row.get("started_at")?,
        ended_at,
        seconds: row.get("seconds")?,
        messages: row.get("messages")?,
        exit,
        outcome: row.get("outcome")?,
        boot_id: row.get("boot_id")?,
    })
}

fn kill(row: &Row<'_>) -> rusqlite::Result<Kill> {
    Ok(Kill {
        at: row.get("at")?,
        verb: row.get("verb")?,
        by: row.get("asked_by")?,
        uid: row.get("uid")?,
        pid: row.get("pid")?,
        command: row.get("command")?,
        session_id: row.get("session")?,
        session_started_at: row.get("started_at")?,
        name: row.get("name")?,
        agent: row.get("agent")?,
        project: row.get("project")?,
        reason: row.get("reason")?,
        evidence: parsed(row, "evidence")?.unwrap_or_default(),
        outcome: row.get("outcome")?,
        report: parsed(row, "report")?,
    })
}

/// A column that holds JSON. What a later version wrote, or a person, may not fit: then it is not known.
fn parsed<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<T>> {
    let text: Option<String> = row.get(column)?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}
