//! The database of the queue: one connection, opened when it is needed and again when the file is another one.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use rusqlite::Connection;

use super::round::{self, Asked, Plan};
use crate::daemon::store::{Store, schema};

/// How long the thread that writes the memory may take to bring the file up to date.
const FRESH: Duration = Duration::from_millis(500);

pub struct Book {
    path: PathBuf,
    store: Store,
    open: Option<(Connection, u64)>,
    /// The file that was open last, and the last of its events that was told.
    heard: (u64, i64),
}

impl Book {
    pub fn new(path: PathBuf, store: Store) -> Self {
        Self { path, store, open: None, heard: (0, 0) }
    }

    /// Blocks. Why there was no round, as the end of "the queue cannot be used: ".
    pub fn round(&mut self, asked: &Asked) -> Result<Plan, String> {
        let there = std::fs::metadata(&self.path).map(|m| m.ino()).ok();
        if self.open.as_ref().is_none_or(|(_, inode)| Some(*inode) != there) {
            self.open = None;
            self.store.settle(FRESH);
            let connection = schema::open_once(&self.path).map_err(|error| self.because(error))?;
            let inode = std::fs::metadata(&self.path).map_err(|e| e.to_string())?.ino();
            self.open = Some((connection, inode));
            if self.heard.0 != inode {
                self.heard = (inode, 0);
            }
        }
        let Some((connection, _)) = &mut self.open else { return Err("it is not open".into()) };
        let made = round::round(connection, asked, self.heard.1);
        let plan = made.map_err(|source| {
            self.open = None;
            self.because(schema::OpenError::Use { path: self.path.clone(), source })
        })?;
        self.heard.1 = plan.told.last().map_or(self.heard.1, |last| last.number);
        Ok(plan)
    }

    fn because(&self, error: schema::OpenError) -> String {
        if let schema::OpenError::Use { source, .. } = &error
            && schema::is_corrupt(source)
        {
            self.store.suspect();
        }
        match error {
            // One sentence, without the whole statement.
            schema::OpenError::Use { path, source: rusqlite::Error::SqlInputError { msg, .. } } => {
                format!("failed to use {}: {msg}", path.display())
            }
            error => error.to_string(),
        }
    }
}
