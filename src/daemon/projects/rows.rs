//! Rows of the queue into projects, and what is asked about them beside the supervisor.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::api::project::Project;
use crate::daemon::store::Recall;
use crate::model::project::Status;

/// Most projects of one list, the newest.
const MOST: u32 = 10_000;

pub const COLUMNS: &str =
    "number, name, status, priority, workspace, commands, timeout_seconds, retries, attempt, failures,
    interrupted, reason, created_at, started_at, ended_at, claimed_boot, claimed_seconds, settled, by_hook";

/// A project as it is written down.
pub struct Kept {
    pub shown: Project,
    /// Attempts that failed since it was queued.
    pub failures: u32,
    pub claimed_boot: Option<String>,
    pub claimed_seconds: Option<f64>,
    /// A hook added or ended it: what it does wakes no hook.
    pub by_hook: bool,
    /// The commands are no list of lists of words: somebody wrote them by hand.
    pub garbled: bool,
}

impl Kept {
    pub fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let commands = row.get::<_, String>("commands")?;
        let commands: Option<Vec<Vec<String>>> = serde_json::from_str(&commands).ok();
        let commands = commands.filter(|all| !all.is_empty() && all.iter().all(|command| !command.is_empty()));
        let status = row.get::<_, String>("status")?.parse().unwrap_or(Status::Stopped);
        Ok(Self {
            failures: row.get("failures")?,
            claimed_boot: row.get("claimed_boot")?,
            claimed_seconds: row.get("claimed_seconds")?,
            by_hook: row.get("by_hook")?,
            garbled: commands.is_none(),
            shown: Project {
                number: row.get("number")?,
                name: row.get("name")?,
                status,
                priority: row.get("priority")?,
                workspace: row.get::<_, Option<String>>("workspace")?.unwrap_or_default(),
                commands: commands.unwrap_or_default(),
                timeout_seconds: row.get("timeout_seconds")?,
                retries: row.get("retries")?,
                attempt: row.get("attempt")?,
                command: None,
                session: None,
                sessions: Vec::new(),
                created_at: row.get("created_at")?,
                started_at: row.get("started_at")?,
                ended_at: row.get("ended_at")?,
                reason: row.get("reason")?,
                interrupted: row.get::<_, i64>("interrupted")? > 0,
            },
        })
    }
}

/// One project by its number, with its sessions.
pub fn project(connection: &Connection, number: i64) -> rusqlite::Result<Option<Project>> {
    let sql = format!("SELECT {COLUMNS} FROM projects WHERE number = ?1");
    let found = connection.query_row(&sql, [number], Kept::read).optional()?;
    found.map(|kept| with_sessions(connection, kept.shown)).transpose()
}

fn with_sessions(connection: &Connection, project: Project) -> rusqlite::Result<Project> {
    let sql = "SELECT session, attempt, command FROM project_runs WHERE project = ?1 ORDER BY attempt, command";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(params![project.number], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let rows: Vec<(String, u32, usize)> = rows.collect::<Result<_, _>>()?;
    let last = rows.last().filter(|(_, attempt, _)| *attempt == project.attempt).cloned();
    Ok(Project {
        command: last.as_ref().map(|(_, _, command)| command + 1),
        session: last.map(|(session, _, _)| session),
        sessions: rows.into_iter().map(|(session, _, _)| session).collect(),
        ..project
    })
}

impl Recall {
    /// Every project, in the order in which they were added.
    pub fn projects(&self) -> rusqlite::Result<Vec<Project>> {
        let sql =
            format!("SELECT {COLUMNS} FROM (SELECT * FROM projects ORDER BY number DESC LIMIT {MOST}) ORDER BY number");
        let mut statement = self.0.prepare(&sql)?;
        let kept: Vec<Kept> = statement.query_map([], Kept::read)?.collect::<Result<_, _>>()?;
        kept.into_iter().map(|kept| with_sessions(&self.0, kept.shown)).collect()
    }

    /// One by its name, else by its number.
    pub fn project(&self, word: &str) -> rusqlite::Result<Option<Project>> {
        match number_of(&self.0, word)? {
            Some(number) => project(&self.0, number),
            None => Ok(None),
        }
    }
}

/// Whom a word means: a name goes before a number.
pub fn number_of(connection: &Connection, word: &str) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT number FROM projects WHERE name = ?1 OR number = ?2 ORDER BY name <> ?1 LIMIT 1";
    connection.query_row(sql, params![word, word.parse::<i64>().ok()], |row| row.get(0)).optional()
}
