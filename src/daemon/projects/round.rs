//! One round of the queue, in one transaction: what was ordered and what happened goes in, what is to be done comes out.
//!
//! ```text
//!   orders, fates ──► ends, retries ──► who still runs though his project is over ──► claims ──► commit
//! ```
//!
//! A claim is committed before its session is started, under an id given beforehand: whoever comes after a crash finds the
//! session by it, or makes sure that it never will be. An end is committed before its consequences, and stays unsettled
//! until they are done; so do ends that somebody wrote into the database by hand.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::orders::{Order, Outcome};
use super::rows::{COLUMNS, Kept};
use crate::api::kept::Dir;
use crate::api::refusal::Refusal;
use crate::model::project::{Attempt, Fate, Next, Status, next, owners};
use crate::model::session::ExitBy;
use crate::model::verdict::short;
use crate::sys::failpoint;

/// What the supervisor brings.
pub struct Asked {
    /// With whether a hook gave it.
    pub orders: Vec<(Order, bool)>,
    /// Ends whose consequences are done.
    pub settled: Vec<(i64, Status)>,
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
    pub changes: Vec<Change>,
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

/// Whose a live session is.
enum Owner {
    Nobody,
    Wanted,
    Over(Lingering),
}

/// The database as one round sees it.
struct Round<'a> {
    at: &'a Connection,
    asked: &'a Asked,
    plan: Plan,
    postponed: bool,
    ids: std::slice::Iter<'a, String>,
}

/// Makes one round.
pub fn round(connection: &mut Connection, asked: &Asked) -> rusqlite::Result<Plan> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut round = Round { at: &transaction, asked, plan: Plan::default(), postponed: false, ids: asked.ids.iter() };
    round.take_in()?;
    let running = round.running()?;
    running.iter().try_for_each(|project| round.step(project))?;
    round.ends()?;
    round.lingering()?;
    if round.may_start() {
        round.go_on()?;
        round.claim()?;
    }
    round.count()?;
    let plan = round.plan;
    let (claims, ends, settles) = (!plan.starts.is_empty(), plan.has_new_end(asked), !asked.settled.is_empty());
    claims.then(|| failpoint::here("daemon.claim.before"));
    ends.then(|| failpoint::here("daemon.finished.before"));
    settles.then(|| failpoint::here("daemon.settled.before"));
    transaction.commit()?;
    claims.then(|| failpoint::here("daemon.claim.after"));
    ends.then(|| failpoint::here("daemon.finished.after"));
    settles.then(|| failpoint::here("daemon.settled.after"));
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
            self.plan.outcomes.push(outcome);
        }
        for (number, status) in &self.asked.settled {
            let sql = "UPDATE projects SET settled = status WHERE number = ?1 AND status = ?2";
            self.at.prepare_cached(sql)?.execute(params![number, status.as_str()])?;
        }
        for (session, fate) in &self.asked.fates {
            if matches!(fate, Fate::Running | Fate::Ended { .. }) {
                let sql = "UPDATE project_runs SET seen = 1 WHERE session = ?1 AND seen = 0";
                self.at.prepare_cached(sql)?.execute([session])?;
            }
        }
        Ok(())
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
                    self.change(project, (Status::Running, Status::Queued), &reason);
                    return self.at.execute(sql, params![number, reason]).map(drop);
                }
                Next::Interrupted { again, reason } => return self.interrupted(project, again, &reason),
            }
        }
    }

    fn change(&mut self, project: &Kept, (before, status): (Status, Status), reason: &str) {
        let (name, by_hook) = (project.shown.name.clone(), project.by_hook);
        self.plan.changes.push(Change { project: name, before: Some(before), status, reason: reason.into(), by_hook });
    }

    fn over(&mut self, project: &Kept, status: Status, reason: &str) -> rusqlite::Result<()> {
        self.change(project, (Status::Running, status), reason);
        let sql = "UPDATE projects SET status = ?2, reason = ?3, ended_at = ?4 WHERE number = ?1";
        let now = &self.asked.ground.wall;
        self.at.execute(sql, params![project.shown.number, status.as_str(), reason, now]).map(drop)
    }

    fn interrupted(&mut self, project: &Kept, again: bool, reason: &str) -> rusqlite::Result<()> {
        let status = if again { Status::Queued } else { Status::Stopped };
        let ended_at = (!again).then_some(&self.asked.ground.wall);
        let sql = "UPDATE projects SET status = ?2, reason = ?3, ended_at = ?4, interrupted = 1 WHERE number = ?1";
        let reason = format!("interrupted: {reason}");
        self.change(project, (Status::Running, status), &reason);
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

    /// The last session of the present attempt.
    fn last(&mut self, project: &Kept) -> rusqlite::Result<Option<(usize, String, Fate)>> {
        let sql = "SELECT command, session, seen, boot_id FROM project_runs WHERE project = ?1 AND attempt = ?2
            ORDER BY command DESC LIMIT 1";
        let row = self.at.prepare_cached(sql)?.query_row(params![project.shown.number, project.shown.attempt], |row| {
            Ok((row.get::<_, usize>(0)?, row.get::<_, String>(1)?, row.get::<_, bool>(2)?, row.get::<_, String>(3)?))
        });
        let Some((command, session, seen, boot)) = row.optional()? else { return Ok(None) };
        let fate = self.fate(&session, seen, &boot);
        if matches!(fate, Fate::Open | Fate::Running) && !self.plan.open.contains(&session) {
            self.plan.open.push(session.clone());
        }
        Ok(Some((command, session, fate)))
    }

    fn fate(&mut self, session: &str, seen: bool, boot: &str) -> Fate {
        let dir = self.asked.ground.sessions.join(session);
        match self.asked.fates.get(session) {
            // Read while its keeper was about to take the identity back.
            Some(Fate::Ended { code: None, by: ExitBy::Unknown, .. }) if Dir::new(&dir).kept().unborn => Fate::Unborn,
            // Who was told that it failed does not know whether its command runs after all.
            Some(Fate::Refused(_) | Fate::Postponed) if !never_was(&dir) => self.doubt(session),
            Some(fate) => fate.clone(),
            None if !self.asked.whole => {
                (self.plan.again, self.plan.whole) = (true, true);
                Fate::Open
            }
            None if !seen && never_was(&dir) => Fate::Unborn,
            None if !Dir::new(&dir).is_gone() => self.doubt(session),
            None if boot != self.asked.ground.boot => {
                Fate::Ended { code: None, by: ExitBy::Reboot, reason: "the machine was restarted".into() }
            }
            None => Fate::Forgotten,
        }
    }

    fn doubt(&mut self, session: &str) -> Fate {
        if !self.plan.doubtful.iter().any(|known| known == session) {
            self.plan.doubtful.push(session.into());
        }
        Fate::Open
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

    // ---- who still runs

    fn lingering(&mut self) -> rusqlite::Result<()> {
        for live in &self.asked.live {
            let owner = match self.by_claim(live)? {
                Owner::Nobody => self.by_name(live)?,
                claimed => claimed,
            };
            if let Owner::Over(lingering) = owner {
                self.plan.lingering.push(lingering);
            }
        }
        Ok(())
    }

    /// What the queue started is wanted by its project, or by whoever started it again long after.
    fn by_claim(&self, live: &Live) -> rusqlite::Result<Owner> {
        let sql = "SELECT r.project, p.name, p.status, (p.status = 'running' AND p.attempt = r.attempt)
                OR coalesce(strftime('%Y-%m-%dT%H:%M:%fZ', p.ended_at, '+60 seconds') < ?2, 0)
            FROM project_runs r LEFT JOIN projects p ON p.number = r.project WHERE r.session = ?1";
        let row = self.at.prepare_cached(sql)?.query_row(params![live.id, live.started_at], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get::<_, Option<String>>(2)?, row.get::<_, Option<bool>>(3)?))
        });
        let Some((number, name, status, wanted)) = row.optional()? else { return Ok(Owner::Nobody) };
        if wanted == Some(true) {
            return Ok(Owner::Wanted);
        }
        let name: Option<String> = name;
        Ok(Owner::Over(Lingering {
            session: live.id.clone(),
            number,
            project: name.or_else(|| live.project.clone()).unwrap_or_default(),
            status: status.and_then(|word| word.parse().ok()),
            own: true,
        }))
    }

    /// What somebody else started for a project, while there was one of that name.
    fn by_name(&self, live: &Live) -> rusqlite::Result<Owner> {
        let label = live.project.as_deref().into_iter();
        let names = label.chain(live.tmux.as_deref().into_iter().flat_map(owners));
        let sql = "SELECT number, name, status, created_at <= ?2 AND (ended_at IS NULL OR ?2 <= ended_at)
            FROM projects WHERE name = ?1";
        for name in names {
            let mut statement = self.at.prepare_cached(sql)?;
            let row = statement.query_row(params![name, live.started_at], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?, row.get::<_, bool>(3)?))
            });
            let Some((number, project, status, of_its_time)) = row.optional()? else { continue };
            let status: Option<Status> = status.parse().ok();
            if !of_its_time || !status.is_some_and(Status::is_finished) {
                return Ok(Owner::Wanted);
            }
            return Ok(Owner::Over(Lingering { session: live.id.clone(), number, project, status, own: false }));
        }
        Ok(Owner::Nobody)
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
            self.change(&project, (Status::Queued, Status::Running), "its turn has come");
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
        self.plan.is_open = self.at.prepare_cached(&open)?.query_row([], |row| row.get(0))?;
        let exists = "SELECT EXISTS (SELECT 1 FROM projects) OR EXISTS (SELECT 1 FROM project_runs)";
        self.plan.exists = self.at.prepare_cached(exists)?.query_row([], |row| row.get(0))?;
        Ok(())
    }
}

/// Makes sure that no session ever begins there; false when one may. A keeper names its agent in the journal before it
/// releases it, and finds no place to write it in any more.
fn never_was(dir: &Path) -> bool {
    let kept = Dir::new(dir);
    if kept.is_gone() || kept.kept().unborn {
        return true;
    }
    let Some(name) = dir.file_name().and_then(|n| n.to_str()) else { return false };
    let aside = dir.with_file_name(format!("{name}.unborn"));
    if !kept.is_unborn() || std::fs::rename(dir, &aside).is_err() {
        return false;
    }
    if !Dir::new(&aside).is_unborn() {
        // It was written just now: it begins after all.
        let _ = std::fs::rename(&aside, dir);
        return false;
    }
    // Empty, or removed when it has grown old.
    let _ = std::fs::remove_dir_all(&aside);
    true
}
