//! One round of the queue, in one transaction: what was ordered and what happened goes in, what is to be done comes out.
//!
//! ```text
//!   orders, fates ──► ends, retries ──► who still runs though his project is over ──► claims ──► commit
//! ```
//!
//! A claim is committed before its session is started, under an id given beforehand: whoever comes after a crash finds the
//! session by it, or makes sure that it never will be. An end is committed before its consequences, and stays unsettled
//! until they are done; so do ends that somebody wrote into the database by hand.
//!
//! - `fate`: what became of a session. `whose`: to whom a live one belongs. `owed`: what others are to hear of it.

mod fate;
mod owed;
mod whose;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::orders::{Order, Outcome};
pub use owed::{Search, Settled, Tale};

use super::rows::{COLUMNS, Kept};
use crate::api::refusal::Refusal;
use crate::model::project::{Attempt, Fate, Next, Status, next};
use crate::model::verdict::short;
use crate::sys::failpoint;

/// What the supervisor brings.
pub struct Asked {
    /// With whether a hook gave it.
    pub orders: Vec<(Order, bool)>,
    /// Ends whose consequences are done.
    pub settled: Vec<Settled>,
    /// Up to this number what was owed to a failure is done.
    pub swept: Option<i64>,
    /// Sessions of attempts, as the supervisor knows them.
    pub fates: HashMap<String, Fate>,
    /// Those are all there are; otherwise a session without a fate is asked about again.
    pub whole: bool,
    pub live: Vec<Live>,
    /// Ends whose consequences are under way.
    pub closing: HashSet<i64>,
    /// For sessions to come.
    pub ids: Vec<String>,
    pub ground: Ground,
}

/// The world around.
#[derive(Debug, Clone)]
pub struct Ground {
    pub now: Duration,
    pub wall: String,
    pub boot: String,
    pub sessions: PathBuf,
    pub max_running: usize,
    pub requeue: bool,
    /// Neither latched, nor stopping, nor still closing what is over.
    pub may_start: bool,
}

/// A live session that may belong to a project.
#[derive(Debug, Clone)]
pub struct Live {
    pub id: String,
    pub project: Option<String>,
    /// The tmux session it runs in.
    pub tmux: Option<String>,
    pub started_at: String,
    /// Nothing starts before it is closed, if it should be.
    pub holds: bool,
}

/// A session to be started.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    pub session: String,
    pub number: i64,
    pub project: String,
    pub attempt: u32,
    /// From 0.
    pub command: usize,
    pub commands: usize,
    pub argv: Vec<String>,
    pub workspace: Option<String>,
    pub by_hook: bool,
}

/// A project that has finished, and whose consequences are to be drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    pub number: i64,
    pub project: String,
    pub status: Status,
    pub reason: String,
    pub by_hook: bool,
}

/// Another status than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub project: String,
    pub before: Option<Status>,
    pub status: Status,
    pub reason: String,
    pub by_hook: bool,
}

/// A live session whose project, or whose attempt, is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lingering {
    pub session: String,
    pub number: i64,
    pub project: String,
    /// `None`: the project is gone.
    pub status: Option<Status>,
    /// It was started for the project by the queue.
    pub own: bool,
}

/// What is to be done.
#[derive(Debug, Default)]
pub struct Plan {
    pub outcomes: Vec<Result<Outcome, Refusal>>,
    pub starts: Vec<Start>,
    pub ends: Vec<End>,
    /// Events that this daemon has not told yet.
    pub told: Vec<Tale>,
    pub searches: Vec<Search>,
    pub lingering: Vec<Lingering>,
    /// Sessions whose end is waited for.
    pub open: Vec<String>,
    /// Directories somebody may still be writing to: looked at again.
    pub doubtful: Vec<String>,
    /// The next moment at which the time of an attempt is over.
    pub deadline: Option<Duration>,
    /// Some fate was missing, or there were not enough ids: at once again.
    pub again: bool,
    pub whole: bool,
    /// Something waits, runs or is unsettled.
    pub is_open: bool,
    /// There is any project at all.
    pub exists: bool,
    /// Numbers of those whose time was over.
    pub overdue: Vec<i64>,
}

/// The database as one round sees it.
struct Round<'a> {
    at: &'a Connection,
    asked: &'a Asked,
    plan: Plan,
    postponed: bool,
    ids: std::slice::Iter<'a, String>,
}

/// Makes one round. Events up to the number `heard` are told already.
pub fn round(connection: &mut Connection, asked: &Asked, heard: i64) -> rusqlite::Result<Plan> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut round = Round { at: &transaction, asked, plan: Plan::default(), postponed: false, ids: asked.ids.iter() };
    round.take_in()?;
    round.tell_edited()?;
    let running = round.running()?;
    running.iter().try_for_each(|project| round.step(project))?;
    round.ends()?;
    round.lingering()?;
    if round.may_start() {
        round.go_on()?;
        round.claim()?;
    }
    round.owed(heard)?;
    round.count()?;
    let plan = round.plan;
    let (claims, ends, settles) = (!plan.starts.is_empty(), plan.has_new_end(asked), !asked.settled.is_empty());
    claims.then(|| failpoint::here("daemon.claim.before"));
    ends.then(|| failpoint::here("daemon.finished.before"));
    settles.then(|| failpoint::here("daemon.settled.before"));
    asked.swept.is_some().then(|| failpoint::here("daemon.searched.before"));
    transaction.commit()?;
    claims.then(|| failpoint::here("daemon.claim.after"));
    ends.then(|| failpoint::here("daemon.finished.after"));
    settles.then(|| failpoint::here("daemon.settled.after"));
    asked.swept.is_some().then(|| failpoint::here("daemon.searched.after"));
    Ok(plan)
}

impl Plan {
    fn has_new_end(&self, asked: &Asked) -> bool {
        self.ends.iter().any(|end| !asked.closing.contains(&end.number))
    }
}

impl Round<'_> {
    fn take_in(&mut self) -> rusqlite::Result<()> {
        for (order, by_hook) in &self.asked.orders {
            let outcome = order.carry_out(self.at, &self.asked.ground.wall, *by_hook)?;
            if let Ok(outcome) = &outcome {
                self.tell_outcome(outcome, *by_hook)?;
            }
            self.plan.outcomes.push(outcome);
        }
        for settled in &self.asked.settled {
            self.settle(settled)?;
        }
        if let Some(number) = self.asked.swept {
            self.swept(number)?;
        }
        for (session, fate) in &self.asked.fates {
            if matches!(fate, Fate::Running | Fate::Ended { .. }) {
                let sql = "UPDATE project_runs SET seen = 1 WHERE session = ?1 AND seen = 0";
                self.at.prepare_cached(sql)?.execute([session])?;
            }
        }
        Ok(())
    }

    fn tell_outcome(&mut self, outcome: &Outcome, by_hook: bool) -> rusqlite::Result<()> {
        match outcome {
            Outcome::Added(project) => {
                let (project, number) = (project.name.clone(), project.number);
                let (before, status, reason) = (None, Status::Queued, "added".into());
                self.tell_change(number, Change { project, before, status, reason, by_hook })
            }
            Outcome::Ended(meant) => meant.iter().filter(|one| one.has_changed()).try_for_each(|one| {
                let (project, before, reason) = (one.name.clone(), Some(one.before), one.reason.clone());
                self.tell_change(one.number, Change { project, before, status: one.status, reason, by_hook })
            }),
            Outcome::Removed(_) => Ok(()),
        }
    }

    fn all(&self, condition: &str) -> rusqlite::Result<Vec<Kept>> {
        let sql = format!("SELECT {COLUMNS} FROM projects WHERE settled IS NOT status AND {condition} ORDER BY number");
        let mut statement = self.at.prepare_cached(&sql)?;
        statement.query_map([], Kept::read)?.collect()
    }

    fn running(&self) -> rusqlite::Result<Vec<Kept>> {
        self.all("status = 'running'")
    }

    // ---- ends

    /// What became of the sessions of a running project.
    fn step(&mut self, project: &Kept) -> rusqlite::Result<()> {
        if project.garbled {
            return self.over(
                project,
                Status::Failed,
                "its commands cannot be read: a list of lists of words is needed",
            );
        }
        let overdue = self.overdue(project);
        let number = project.shown.number;
        loop {
            let last = self.last(project)?;
            let attempt = Attempt {
                commands: project.shown.commands.len(),
                retries_left: project.shown.retries.saturating_sub(project.failures),
                last: last.as_ref().map(|(command, _, fate)| (*command, fate)),
                overdue: overdue.as_deref(),
                requeue: self.asked.ground.requeue,
            };
            match next(&attempt) {
                // Started below, when nothing stands in the way.
                Next::Wait | Next::Start(_) => return Ok(()),
                Next::TakeBack => {
                    let Some((command, session, fate)) = last else { return Ok(()) };
                    self.postponed |= fate == Fate::Postponed;
                    self.at.execute("DELETE FROM project_runs WHERE session = ?1", [session])?;
                    if command == 0 {
                        let sql = "UPDATE projects SET status = 'queued', attempt = attempt - 1, started_at = NULL
                            WHERE number = ?1";
                        return self.at.execute(sql, [number]).map(drop);
                    }
                }
                Next::Over { status, reason } => {
                    self.plan.overdue.extend(overdue.is_some().then_some(number));
                    return self.over(project, status, &reason);
                }
                Next::Again { reason } => {
                    self.plan.overdue.extend(overdue.is_some().then_some(number));
                    let sql = "UPDATE projects SET status = 'queued', failures = failures + 1, reason = ?2
                        WHERE number = ?1";
                    self.change(project, (Status::Running, Status::Queued), &reason)?;
                    return self.at.execute(sql, params![number, reason]).map(drop);
                }
                Next::Interrupted { again, reason } => return self.interrupted(project, again, &reason),
            }
        }
    }

    fn change(&mut self, project: &Kept, (before, status): (Status, Status), reason: &str) -> rusqlite::Result<()> {
        let (name, by_hook) = (project.shown.name.clone(), project.by_hook);
        let change = Change { project: name, before: Some(before), status, reason: reason.into(), by_hook };
        self.tell_change(project.shown.number, change)
    }

    fn over(&mut self, project: &Kept, status: Status, reason: &str) -> rusqlite::Result<()> {
        self.change(project, (Status::Running, status), reason)?;
        let sql = "UPDATE projects SET status = ?2, reason = ?3, ended_at = ?4 WHERE number = ?1";
        let now = &self.asked.ground.wall;
        self.at.execute(sql, params![project.shown.number, status.as_str(), reason, now]).map(drop)
    }

    fn interrupted(&mut self, project: &Kept, again: bool, reason: &str) -> rusqlite::Result<()> {
        let status = if again { Status::Queued } else { Status::Stopped };
        let ended_at = (!again).then_some(&self.asked.ground.wall);
        let sql = "UPDATE projects SET status = ?2, reason = ?3, ended_at = ?4, interrupted = 1 WHERE number = ?1";
        let reason = format!("interrupted: {reason}");
        self.change(project, (Status::Running, status), &reason)?;
        self.at.execute(sql, params![project.shown.number, status.as_str(), reason, ended_at]).map(drop)
    }

    fn overdue(&mut self, project: &Kept) -> Option<String> {
        let limit = Duration::try_from_secs_f64(project.shown.timeout_seconds?).ok()?;
        let ground = &self.asked.ground;
        let here = project.claimed_boot.as_ref() == Some(&ground.boot);
        let since = Duration::try_from_secs_f64(project.claimed_seconds.filter(|_| here)?).ok()?;
        let end = since + limit;
        if ground.now < end {
            self.plan.deadline = Some(self.plan.deadline.map_or(end, |first| first.min(end)));
            return None;
        }
        let span = if limit < Duration::from_secs(1) { format!("{} ms", limit.as_millis()) } else { short(limit) };
        Some(format!("its timeout of {span} is over"))
    }

    /// Every end whose consequences are not drawn, whoever wrote it down.
    fn ends(&mut self) -> rusqlite::Result<()> {
        let sql = "UPDATE projects SET ended_at = ?1
            WHERE settled IS NOT status AND status NOT IN ('queued', 'running') AND ended_at IS NULL";
        self.at.prepare_cached(sql)?.execute([&self.asked.ground.wall])?;
        let ended = self.all("status NOT IN ('queued', 'running')")?;
        self.plan.ends.extend(ended.into_iter().map(|Kept { shown, by_hook, .. }| End {
            by_hook,
            number: shown.number,
            project: shown.name,
            status: shown.status,
            reason: shown.reason.unwrap_or_else(|| "said in the database".into()),
        }));
        Ok(())
    }

    // ---- starts

    /// What is over is closed before anything starts.
    fn may_start(&self) -> bool {
        let is_closed = |end: &End| self.asked.closing.contains(&end.number);
        let holds = |l: &Lingering| self.asked.live.iter().any(|live| live.holds && live.id == l.session);
        self.asked.ground.may_start
            && !self.postponed
            && self.plan.ends.iter().all(is_closed)
            && !self.plan.lingering.iter().any(holds)
    }

    /// The next command of projects that run.
    fn go_on(&mut self) -> rusqlite::Result<()> {
        for project in self.running()? {
            let last = self.last(&project)?;
            let attempt = Attempt {
                commands: project.shown.commands.len(),
                retries_left: 0,
                last: last.as_ref().map(|(command, _, fate)| (*command, fate)),
                overdue: None,
                requeue: false,
            };
            let Next::Start(command) = next(&attempt) else { continue };
            // One that somebody set running by hand has no attempt yet.
            let sql = "UPDATE projects SET attempt = max(attempt, 1), started_at = coalesce(started_at, ?2),
                claimed_boot = coalesce(claimed_boot, ?3), claimed_seconds = coalesce(claimed_seconds, ?4)
                WHERE number = ?1";
            let Ground { wall, boot, now, .. } = &self.asked.ground;
            self.at.execute(sql, params![project.shown.number, wall, boot, now.as_secs_f64()])?;
            let attempt = project.shown.attempt.max(1);
            self.start(&project, attempt, command)?;
        }
        Ok(())
    }

    /// The first of the highest priority, as long as there is room.
    fn claim(&mut self) -> rusqlite::Result<()> {
        let count = "SELECT count(*) FROM projects WHERE settled IS NOT status AND status = 'running'";
        let mut running: usize = self.at.prepare_cached(count)?.query_row([], |row| row.get(0))?;
        while running < self.asked.ground.max_running && !self.plan.again {
            let sql = format!(
                "SELECT {COLUMNS} FROM projects WHERE settled IS NOT status AND status = 'queued'
                 ORDER BY priority DESC, number LIMIT 1"
            );
            let first = self.at.prepare_cached(&sql)?.query_row([], Kept::read).optional()?;
            let Some(project) = first else { break };
            if self.ids.len() == 0 {
                self.plan.again |= !self.asked.ids.is_empty();
                break;
            }
            // What was finished and was queued by hand begins anew.
            let sql = "UPDATE projects SET status = 'running', attempt = attempt + 1, ended_at = NULL, reason = NULL,
                failures = CASE WHEN settled IS NULL THEN failures ELSE 0 END, settled = NULL,
                started_at = ?2, claimed_boot = ?3, claimed_seconds = ?4 WHERE number = ?1";
            let Ground { wall, boot, now, .. } = &self.asked.ground;
            self.at.prepare_cached(sql)?.execute(params![project.shown.number, wall, boot, now.as_secs_f64()])?;
            if project.garbled {
                // The next round says so.
                self.plan.again = true;
            } else {
                let attempt = project.shown.attempt + 1;
                self.start(&project, attempt, 0)?;
            }
            self.change(&project, (Status::Queued, Status::Running), "its turn has come")?;
            running += 1;
        }
        Ok(())
    }

    fn start(&mut self, project: &Kept, attempt: u32, command: usize) -> rusqlite::Result<()> {
        let Some(argv) = project.shown.commands.get(command) else { return Ok(()) };
        let Some(session) = self.ids.next() else {
            self.plan.again |= !self.asked.ids.is_empty();
            return Ok(());
        };
        let sql = "INSERT INTO project_runs (session, project, attempt, command, boot_id, claimed_at)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let (number, ground) = (project.shown.number, &self.asked.ground);
        self.at.prepare_cached(sql)?.execute(params![session, number, attempt, command, ground.boot, ground.wall])?;
        self.plan.open.push(session.clone());
        self.plan.starts.push(Start {
            session: session.clone(),
            number,
            project: project.shown.name.clone(),
            attempt,
            command,
            commands: project.shown.commands.len(),
            argv: argv.clone(),
            by_hook: project.by_hook,
            workspace: Some(project.shown.workspace.clone()).filter(|w| !w.is_empty()),
        });
        Ok(())
    }

    fn count(&mut self) -> rusqlite::Result<()> {
        let any = |condition: &str| format!("SELECT EXISTS (SELECT 1 FROM projects WHERE {condition})");
        let open = any("settled IS NOT status");
        let open: bool = self.at.prepare_cached(&open)?.query_row([], |row| row.get(0))?;
        self.plan.is_open = open || !self.plan.searches.is_empty();
        let exists = "SELECT EXISTS (SELECT 1 FROM projects) OR EXISTS (SELECT 1 FROM project_runs)";
        self.plan.exists = self.at.prepare_cached(exists)?.query_row([], |row| row.get(0))?;
        Ok(())
    }
}
