//! The database file: opened, brought up to date, or set aside.
//!
//! `PRAGMA user_version` counts the steps that were made. A later part adds a step to [`STEPS`]; nothing else has to know.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use crate::sys::{clock, dirs};

/// How long somebody else at the database, such as a person with `sqlite3`, is waited for.
const BUSY: Duration = Duration::from_secs(2);

/// What each version added. A step that was released is never changed.
const STEPS: &[&str] = &[HISTORY, EVENTS, PROJECTS, OWED];

const HISTORY: &str = "
CREATE TABLE history (
    id         TEXT NOT NULL,
    started_at TEXT NOT NULL,
    name       TEXT NOT NULL,
    agent      TEXT NOT NULL,
    project    TEXT,
    workspace  TEXT NOT NULL,
    command    TEXT NOT NULL,
    boot_id    TEXT NOT NULL,
    ended_at   TEXT,
    code       INTEGER,
    signal     INTEGER,
    ended_by   TEXT,
    reason     TEXT,
    seconds    REAL,
    messages   INTEGER,
    PRIMARY KEY (id, started_at)
) STRICT, WITHOUT ROWID;
CREATE INDEX history_by_start ON history (started_at);

CREATE TABLE audit (
    number     INTEGER PRIMARY KEY,
    at         TEXT NOT NULL,
    verb       TEXT NOT NULL,
    asked_by   TEXT NOT NULL,
    uid        INTEGER,
    pid        INTEGER,
    command    TEXT,
    session    TEXT NOT NULL,
    started_at TEXT NOT NULL,
    name       TEXT NOT NULL,
    agent      TEXT NOT NULL,
    project    TEXT,
    reason     TEXT NOT NULL,
    evidence   TEXT NOT NULL,
    outcome    TEXT,
    seconds    REAL,
    tree       TEXT,
    report     TEXT,
    UNIQUE (session, at)
) STRICT;
CREATE INDEX audit_by_time ON audit (at);

CREATE TABLE counters (
    hour  TEXT NOT NULL,
    name  TEXT NOT NULL,
    label TEXT NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (hour, name, label)
) STRICT, WITHOUT ROWID;
";

const EVENTS: &str = "
CREATE TABLE events (
    number  INTEGER PRIMARY KEY,
    at      TEXT NOT NULL,
    kind    TEXT NOT NULL,
    by_hook INTEGER NOT NULL,
    key     TEXT,
    body    TEXT NOT NULL
) STRICT;
CREATE INDEX events_by_time ON events (at);
CREATE INDEX events_by_key ON events (key) WHERE key IS NOT NULL;
";

/// What is not settled (`settled IS NOT status`) is still to be done: a project that waits or runs, and the consequences of
/// an end, whoever wrote it down. The defaults are for whoever adds a row by hand.
const PROJECTS: &str = "
CREATE TABLE projects (
    number          INTEGER PRIMARY KEY AUTOINCREMENT,
    name            TEXT NOT NULL UNIQUE,
    status          TEXT NOT NULL DEFAULT 'queued' CHECK
        (status IN ('queued', 'running', 'completed', 'failed', 'stopped', 'cancelled', 'emergency')),
    priority        INTEGER NOT NULL DEFAULT 0,
    workspace       TEXT,
    commands        TEXT NOT NULL,
    timeout_seconds REAL,
    retries         INTEGER NOT NULL DEFAULT 0 CHECK (retries >= 0),
    attempt         INTEGER NOT NULL DEFAULT 0,
    failures        INTEGER NOT NULL DEFAULT 0,
    interrupted     INTEGER NOT NULL DEFAULT 0,
    reason          TEXT,
    created_at      TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    started_at      TEXT,
    ended_at        TEXT,
    claimed_boot    TEXT,
    claimed_seconds REAL,
    settled         TEXT,
    by_hook         INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX projects_open ON projects (status, number) WHERE settled IS NOT status;

CREATE TABLE project_runs (
    session    TEXT PRIMARY KEY,
    project    INTEGER NOT NULL,
    attempt    INTEGER NOT NULL,
    command    INTEGER NOT NULL,
    boot_id    TEXT NOT NULL,
    claimed_at TEXT NOT NULL,
    seen       INTEGER NOT NULL DEFAULT 0,
    UNIQUE (project, attempt, command)
) STRICT;
";

/// What the queue owes to others, written with what causes it. `told` is the status that was told last.
const OWED: &str = "
ALTER TABLE projects ADD COLUMN told TEXT;
UPDATE projects SET told = status WHERE settled IS status OR status IN ('queued', 'running');
CREATE INDEX projects_untold ON projects (number) WHERE told IS NOT status;

CREATE TABLE project_events (
    number  INTEGER PRIMARY KEY AUTOINCREMENT,
    at      TEXT NOT NULL,
    by_hook INTEGER NOT NULL,
    body    TEXT NOT NULL
) STRICT;

CREATE TABLE project_sweeps (
    number  INTEGER PRIMARY KEY AUTOINCREMENT,
    reason  TEXT NOT NULL,
    by_hook INTEGER NOT NULL
) STRICT;
";

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{} was written by a later version of beadle: nothing is remembered until that one runs again", .0.display())]
    Newer(PathBuf),
    #[error("failed to {what} {}: {source}", .path.display())]
    File { what: &'static str, path: PathBuf, source: io::Error },
    #[error("failed to use {}: {source}", .path.display())]
    Use { path: PathBuf, source: rusqlite::Error },
}

/// What [`open`] comes to.
pub struct Opened {
    pub connection: Connection,
    /// Where a file that could not be read as a database was put.
    pub set_aside: Option<PathBuf>,
}

/// Opens the database for writing, as it should be by now.
pub fn open(path: &Path) -> Result<Opened, OpenError> {
    match open_once(path) {
        Err(OpenError::Use { source, .. }) if is_corrupt(&source) => {
            let set_aside = Some(set_aside(path)?);
            Ok(Opened { connection: open_once(path)?, set_aside })
        }
        opened => Ok(Opened { connection: opened?, set_aside: None }),
    }
}

pub fn open_once(path: &Path) -> Result<Connection, OpenError> {
    let failed = |source| OpenError::Use { path: path.into(), source };
    // With its mode; the files SQLite puts beside it take theirs from it. Only a new file is opened here: the locks of
    // fcntl(2) that other connections of this process hold go with the first descriptor that is closed.
    if path.symlink_metadata().is_err() {
        drop(dirs::private_log(path).map_err(|source| OpenError::File {
            what: "create",
            path: path.into(),
            source,
        })?);
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(BUSY).map_err(failed)?;
    let version = version(&connection).map_err(failed)?;
    if version > STEPS.len() {
        return Err(OpenError::Newer(path.into()));
    }
    set_up(&connection).and_then(|()| migrate(&mut connection, version)).map_err(failed)?;
    Ok(connection)
}

fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    // Before there is a table, or it changes nothing: room that becomes free can be given back.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 256)?;
    connection.pragma_update(None, "journal_size_limit", 1 << 20)?;
    connection.pragma_update(None, "cache_size", -512)
}

fn migrate(connection: &mut Connection, version: usize) -> rusqlite::Result<()> {
    for (number, step) in STEPS.iter().enumerate().skip(version) {
        let step_made = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if self::version(&step_made)? > number {
            // Another connection of this daemon was faster.
            continue;
        }
        step_made.execute_batch(step)?;
        step_made.pragma_update(None, "user_version", number + 1)?;
        step_made.commit()?;
    }
    Ok(())
}

/// For looking only; a connection for one question.
pub fn open_to_read(path: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let opened = Connection::open_with_flags(path, flags).and_then(|connection| {
        connection.busy_timeout(BUSY)?;
        Ok((version(&connection)?, connection))
    });
    let (version, connection) = opened.map_err(|source| OpenError::Use { path: path.into(), source })?;
    if version > STEPS.len() { Err(OpenError::Newer(path.into())) } else { Ok(connection) }
}

fn version(connection: &Connection) -> rusqlite::Result<usize> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

pub fn is_corrupt(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// Moves the database out of the way, with what belongs to it.
pub fn set_aside(path: &Path) -> Result<PathBuf, OpenError> {
    let with = |end: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    let now = clock::wall().replace(':', "-");
    let aside = with(&format!(".corrupt-{now}"));
    let failed = |source| OpenError::File { what: "set aside", path: path.into(), source };
    std::fs::rename(path, &aside).map_err(failed)?;
    // Its last changes belong to it; without them a new database would be taken for the old one. Neither need be there.
    let _ = std::fs::rename(with("-wal"), with(&format!(".corrupt-{now}-wal")));
    let _ = std::fs::remove_file(with("-shm"));
    Ok(aside)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_database_is_made_private_and_is_left_as_it_is_afterwards() {
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("beadle.db");
        let first = open(&path).unwrap();
        assert_eq!(version(&first.connection).unwrap(), STEPS.len());
        first.connection.execute("INSERT INTO counters VALUES ('h', 'n', 'l', 1)", []).unwrap();
        for name in ["beadle.db", "beadle.db-wal", "beadle.db-shm"] {
            let mode = std::fs::metadata(tmp.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        drop(first);
        let again = open(&path).unwrap();
        assert!(again.set_aside.is_none());
        assert_eq!(again.connection.query_row("SELECT value FROM counters", [], |r| r.get::<_, u32>(0)).unwrap(), 1);
    }

    #[test]
    fn steps_that_are_missing_are_made_and_only_those() {
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("beadle.db");
        let mut connection = Connection::open(&path).unwrap();
        connection.execute_batch("CREATE TABLE there (x)").unwrap();
        migrate(&mut connection, STEPS.len()).unwrap();
        assert!(connection.execute("SELECT * FROM history", []).is_err());
        migrate(&mut connection, 0).unwrap();
        assert_eq!(version(&connection).unwrap(), STEPS.len());
        connection.prepare("SELECT * FROM history, audit, counters, events, projects, project_runs, project_events, project_sweeps, there").unwrap();
    }

    #[test]
    fn a_database_of_a_later_version_is_not_touched() {
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("beadle.db");
        let later = Connection::open(&path).unwrap();
        later.pragma_update(None, "user_version", STEPS.len() + 1).unwrap();
        drop(later);
        let before = std::fs::read(&path).unwrap();
        assert!(matches!(open(&path), Err(OpenError::Newer(_))));
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    #[test]
    fn what_is_no_database_is_set_aside_and_a_new_one_begins() {
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("beadle.db");
        std::fs::write(&path, "this is no database, and long enough to be looked at ".repeat(200)).unwrap();
        let opened = open(&path).unwrap();
        let aside = opened.set_aside.unwrap();
        assert!(aside.file_name().unwrap().to_str().unwrap().starts_with("beadle.db.corrupt-"));
        assert!(std::fs::read_to_string(aside).unwrap().starts_with("this is no database"));
        assert_eq!(version(&opened.connection).unwrap(), STEPS.len());
    }

    #[test]
    fn a_link_in_its_place_is_refused() {
        let tmp = tempfile::tempdir().unwrap();
        let elsewhere = tmp.path().join("elsewhere");
        std::fs::write(&elsewhere, "").unwrap();
        std::os::unix::fs::symlink(&elsewhere, tmp.path().join("beadle.db")).unwrap();
        assert!(open(&tmp.path().join("beadle.db")).is_err());
        assert_eq!(std::fs::read(&elsewhere).unwrap(), b"");
    }
}
