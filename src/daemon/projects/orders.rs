//! What people order of the queue, in the transaction of a round: added, ended, forgotten.

use std::collections::BTreeSet;

use rusqlite::{Connection, ErrorCode, params};

use super::rows::{self, number_of};
use crate::api::project::{AddRequest, Project};
use crate::api::refusal::{Code, Refusal};
use crate::model::project::{Status, Verb};
use crate::model::select;

/// Longest list of commands, as JSON in bytes.
const LONGEST: usize = 1 << 20;

/// Somebody's order, already judged for sense.
#[derive(Debug, Clone)]
pub enum Order {
    Add(Box<AddRequest>),
    End { verb: Verb, targets: Vec<String>, reason: Option<String> },
    Remove { targets: Vec<String> },
}

/// What an order came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    Added(Box<Project>),
    /// Whom it means, and how each stands now.
    Ended(Vec<Meant>),
    Removed(Vec<String>),
}

/// A project somebody ended, or wanted to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meant {
    pub number: i64,
    pub name: String,
    pub status: Status,
    pub before: Status,
    pub reason: String,
}

impl Meant {
    /// It had not finished before.
    pub fn has_changed(&self) -> bool {
        self.status != self.before
    }
}

type Done = rusqlite::Result<Result<Outcome, Refusal>>;

impl Order {
    pub fn carry_out(&self, round: &Connection, now: &str, by_hook: bool) -> Done {
        match self {
            Self::Add(request) => add(round, request, now, by_hook),
            Self::End { verb, targets, reason } => end(round, (*verb, reason.as_deref()), targets, (now, by_hook)),
            Self::Remove { targets } => remove(round, targets),
        }
    }
}

fn add(round: &Connection, request: &AddRequest, now: &str, by_hook: bool) -> Done {
    let all = if request.command.is_empty() { request.commands.clone() } else { vec![request.command.clone()] };
    let commands = serde_json::to_string(&all).unwrap_or_default();
    if commands.len() > LONGEST {
        return Ok(Err(Refusal::new(Code::BadRequest, "the commands are too long: at most 1 MiB")));
    }
    let sql = "INSERT INTO projects (name, priority, workspace, commands, timeout_seconds, retries, created_at,
            by_hook)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let AddRequest { name, priority, workspace, timeout_seconds, retries, .. } = request;
    match round.execute(sql, params![name, priority, workspace, commands, timeout_seconds, retries, now, by_hook]) {
        Ok(_) => {}
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
            let why = format!(
                "there is a project called {name:?}: choose another name (`beadle project rm {name}` forgets a finished one)"
            );
            return Ok(Err(Refusal::new(Code::NameTaken, why)));
        }
        Err(error) => return Err(error),
    }
    let added = rows::project(round, round.last_insert_rowid())?;
    Ok(added
        .map(|p| Outcome::Added(Box::new(p)))
        .ok_or_else(|| Refusal::new(Code::Internal, "it was not written down")))
}

fn end(
    round: &Connection,
    (verb, reason): (Verb, Option<&str>),
    targets: &[String],
    (now, by_hook): (&str, bool),
) -> Done {
    let numbers = match meant(round, targets, |status| !status.is_finished(), "all of them are over already")? {
        Ok(numbers) => numbers,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let sql = "UPDATE projects SET status = ?2, reason = ?3, ended_at = ?4,
            by_hook = max(by_hook, ?5)
        WHERE number = ?1 AND status IN ('queued', 'running')";
    let mut ended = Vec::new();
    for number in numbers {
        let Some(project) = rows::project(round, number)? else { continue };
        let reason = reason.map_or_else(|| format!("somebody said {}", verb.as_str()), String::from);
        let is_over = project.status.is_finished();
        let status = if is_over { project.status } else { verb.status() };
        if !is_over {
            round.execute(sql, params![number, status.as_str(), reason, now, by_hook])?;
        }
        ended.push(Meant { number, name: project.name, status, before: project.status, reason });
    }
    Ok(Ok(Outcome::Ended(ended)))
}

fn remove(round: &Connection, targets: &[String]) -> Done {
    let numbers = match meant(round, targets, Status::is_finished, "none of them is over")? {
        Ok(numbers) => numbers,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let mut names = Vec::new();
    for number in &numbers {
        let Some(project) = rows::project(round, *number)? else { continue };
        if !project.status.is_finished() {
            let why = format!("{} is {}: `beadle project cancel {0}` first", project.name, project.status);
            return Ok(Err(Refusal::new(Code::WrongState, why)));
        }
        names.push(project.name);
    }
    for number in &numbers {
        round.execute("DELETE FROM project_runs WHERE project = ?1", [number])?;
        round.execute("DELETE FROM projects WHERE number = ?1", [number])?;
    }
    Ok(Ok(Outcome::Removed(names)))
}

/// Projects by name, number or glob; a glob means those that `is_wanted`, and at least one. `otherwise`: what all of them
/// are where there is none.
fn meant(
    round: &Connection,
    words: &[String],
    is_wanted: impl Fn(Status) -> bool,
    otherwise: &str,
) -> rusqlite::Result<Result<BTreeSet<i64>, Refusal>> {
    let unknown = |word: &str| {
        let why = format!("no project {word:?} (`beadle project ls` lists them)");
        Refusal::new(Code::NotFound, why)
    };
    let mut found = BTreeSet::new();
    for word in words {
        if !select::is_glob(word) {
            let Some(number) = number_of(round, word)? else { return Ok(Err(unknown(word))) };
            found.insert(number);
            continue;
        }
        let mut statement = round.prepare_cached("SELECT number, name, status FROM projects")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let all: Vec<(i64, String, String)> = rows.collect::<Result<_, _>>()?;
        let named: Vec<_> = all.iter().filter(|(_, name, _)| select::matches(word, name)).collect();
        if named.is_empty() {
            return Ok(Err(unknown(word)));
        }
        let is_hit = |(_, _, status): &&&(i64, String, String)| status.parse().is_ok_and(&is_wanted);
        let hits: Vec<i64> = named.iter().filter(is_hit).map(|(number, _, _)| *number).collect();
        if hits.is_empty() {
            let names = named.iter().map(|(_, name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
            let why = format!("{word:?} names {names}: {otherwise} (`beadle project ls` shows them)");
            return Ok(Err(Refusal::new(Code::WrongState, why)));
        }
        found.extend(hits);
    }
    Ok(Ok(found))
}
