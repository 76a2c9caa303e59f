//! SIGKILL of the daemon at random moments while a queue of projects runs, of one to three sessions each, some of which
//! fail. Afterwards each was started exactly once for each attempt, in order, none is lost, and nothing of any lives.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};
use serde_json::json;

use super::ask::ask;
use super::support::{Arena, until};
use super::{Chance, end_of_time, figures, runs, seed};

/// A run that takes longer has hung.
const MOST: Duration = Duration::from_secs(600);

/// usage: piece.sh PROJECT COMMAND FAILS LINGERS MILLIS. FAILS: so many attempts of this command fail.
const PIECE: &str = r#"
echo "$1 $2 $BEADLE_SESSION_ID" >>started
echo x >>tries-$1-$2
[ $4 = 1 ] && setsid sleep 600 &
sleep 0.0$5
[ $(wc -l <tries-$1-$2) -le $3 ] && exit 3
exit 0
"#;

/// What is to come of a project.
struct Piece {
    name: String,
    priority: u64,
    commands: u64,
    retries: u64,
    /// Attempts that fail, and at which command.
    fails: u64,
    at: u64,
}

impl Piece {
    fn random(n: u64, chance: &mut Chance) -> Self {
        let commands = 1 + chance.below(3);
        let fails = if chance.below(3) == 0 { 1 + chance.below(2) } else { 0 };
        let (priority, retries, at) = (chance.below(3), chance.below(3), chance.below(commands));
        Self { name: format!("p{n}"), priority, commands, retries, fails, at }
    }

    fn status(&self) -> &'static str {
        if self.fails <= self.retries { "completed" } else { "failed" }
    }

    /// Sessions of this command, and of the whole.
    fn sessions_of(&self, command: u64) -> u64 {
        let failed = self.fails.min(self.retries + 1);
        let succeeded = u64::from(self.fails <= self.retries);
        if command <= self.at { failed + succeeded } else { succeeded }
    }

    fn request(&self, script: &str, chance: &mut Chance) -> String {
        let command = |at: u64| {
            let fails = if at == self.at { self.fails } else { 0 };
            let numbers = [at, fails, u64::from(chance.below(4) == 0), chance.below(10)];
            let mut words = vec!["sh".to_string(), script.into(), self.name.clone()];
            words.extend(numbers.map(|n| n.to_string()));
            words
        };
        let commands: Vec<Vec<String>> = (0..self.commands).map(command).collect();
        json!({ "name": self.name, "commands": commands, "priority": self.priority, "retries": self.retries })
            .to_string()
    }
}

struct Storm {
    arena: Arena,
    pieces: Vec<Piece>,
    kills: Vec<f64>,
    at_once: u64,
}

impl Storm {
    fn new(projects: u64, at_once: u64, chance: &mut Chance) -> Self {
        let config = format!("[stop]\ngrace = \"300ms\"\n[projects]\nmax_running = {at_once}\n");
        let arena = Arena::with(&config);
        let script = arena.script("piece.sh", PIECE);
        arena.run(&["daemon", "start"]).ok();
        // Nothing begins before all are there.
        arena.run(&["sweep", "--emergency", "--yes"]).ok();
        let workspace = arena.path("work");
        let pieces: Vec<Piece> = (0..projects).map(|n| Piece::random(n, chance)).collect();
        for piece in &pieces {
            let mut request: serde_json::Value = serde_json::from_str(&piece.request(&script, chance)).unwrap();
            request["workspace"] = json!(workspace);
            let answer = ask(&arena.socket(), "POST", "/api/projects", &request.to_string());
            assert_eq!(answer.status, 201, "{answer:?}");
        }
        Self { arena, pieces, kills: Vec::new(), at_once }
    }

    fn database(&self) -> Connection {
        let path = self.arena.state().join("beadle.db");
        let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        database.busy_timeout(Duration::from_secs(5)).unwrap();
        database
    }

    fn open(&self) -> u64 {
        let count = "SELECT count(*) FROM projects WHERE settled IS NOT status";
        self.database().query_row(count, [], |row| row.get(0)).unwrap()
    }

    /// Kills one daemon after the other, until everything is over.
    fn rage(&mut self, chance: &mut Chance) {
        self.arena.run(&["release"]).ok();
        let end = Instant::now() + MOST;
        while self.open() > 0 {
            assert!(Instant::now() < end, "{} projects are not over", self.open());
            chance.pause(1500);
            let Some(daemon) = self.arena.daemons().pop() else { continue };
            self.arena.kill(daemon.id);
            let killed = Instant::now();
            until("an answer", || self.arena.run(&["ls"]).status == 0);
            self.kills.push(killed.elapsed().as_secs_f64());
        }
        until("all is told", || {
            // Each command finds a daemon, or starts the next one.
            self.arena.run(&["ls"]);
            let untold = "SELECT count(*) FROM project_events";
            self.database().query_row(untold, [], |row| row.get::<_, u64>(0)).unwrap() == 0
        });
        until("nothing of any lives", || self.arena.agents().is_empty() && self.arena.keepers().is_empty());
    }

    fn check(&self) -> (usize, Vec<String>) {
        let mut faults = Vec::new();
        let started = std::fs::read_to_string(self.arena.path("work/started")).unwrap();
        let started: Vec<Vec<&str>> = started.lines().map(|line| line.split(' ').collect()).collect();
        let mut counted: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        started.iter().for_each(|words| *counted.entry((words[0], words[1])).or_default() += 1);
        let sessions: BTreeSet<&str> = started.iter().map(|words| words[2]).collect();
        if sessions.len() != started.len() {
            faults.push("a session ran twice".into());
        }
        let database = self.database();
        let mut rows = database.prepare("SELECT session FROM project_runs").unwrap();
        let claimed: BTreeSet<String> = rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        if claimed.iter().map(String::as_str).collect::<BTreeSet<_>>() != sessions {
            faults.push(format!("claimed {claimed:?}, ran {sessions:?}"));
        }
        for piece in &self.pieces {
            let sql = "SELECT status, attempt, reason FROM projects WHERE name = ?1";
            let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
            let (status, attempt, reason): (String, u64, String) = database.query_row(sql, [&piece.name], row).unwrap();
            let attempts = piece.fails.min(piece.retries) + 1;
            if status != piece.status() || attempt != attempts {
                let expected = piece.status();
                faults.push(format!(
                    "{}: {status} ({reason}) after {attempt}, not {expected} after {attempts}",
                    piece.name
                ));
            }
            for command in 0..piece.commands {
                let (ran, expected) = (
                    counted.get(&(piece.name.as_str(), command.to_string().as_str())).copied().unwrap_or(0),
                    piece.sessions_of(command),
                );
                if ran != expected {
                    faults.push(format!("{} command {command} ran {ran} times, not {expected}", piece.name));
                }
            }
        }
        faults.extend(self.out_of_order(&started));
        faults.extend(self.pieces.iter().filter_map(|piece| mistold(&database, piece)));
        (started.len(), faults)
    }

    /// One at a time, they run in the order of priority and age, each with all its attempts.
    fn out_of_order(&self, started: &[Vec<&str>]) -> Option<String> {
        if self.at_once > 1 {
            return None;
        }
        let mut expected: Vec<&Piece> = self.pieces.iter().collect();
        expected.sort_by_key(|piece| std::cmp::Reverse(piece.priority));
        let expected: Vec<&str> = expected.into_iter().map(|piece| piece.name.as_str()).collect();
        let mut ran: Vec<&str> = started.iter().map(|words| words[0]).collect();
        ran.dedup();
        (ran != expected).then(|| format!("ran as {ran:?}, not as {expected:?}"))
    }
}

/// Each change is an event once, in the order in which it came about.
fn mistold(database: &Connection, piece: &Piece) -> Option<String> {
    let sql = "SELECT kind, body ->> 'status' FROM events WHERE body ->> 'projectId' = ?1 AND kind LIKE 'project_%'
        ORDER BY number";
    let mut rows = database.prepare_cached(sql).unwrap();
    let row = |row: &rusqlite::Row<'_>| {
        let (kind, status): (String, String) = (row.get(0)?, row.get(1)?);
        Ok(if kind == "project_changed" { status } else { format!("cleaned {status}") })
    };
    let told: Vec<String> = rows.query_map([&piece.name], row).unwrap().map(Result::unwrap).collect();
    let mut expected = ["queued", "running"].repeat(usize::try_from(piece.fails.min(piece.retries) + 1).unwrap());
    let cleaned = format!("cleaned {}", piece.status());
    expected.extend([piece.status(), &cleaned]);
    (told != expected).then(|| format!("{}: told {told:?}, not {expected:?}", piece.name))
}

fn storm(rounds: u64, projects: u64, end: Instant) {
    let seed = seed();
    println!("seed {seed}");
    for run in 0..rounds {
        if Instant::now() > end {
            println!("out of time after {run} runs");
            return;
        }
        let mut chance = Chance::new(seed + run);
        let begun = Instant::now();
        let mut storm = Storm::new(projects, if run % 2 == 0 { 1 } else { 3 }, &mut chance);
        storm.rage(&mut chance);
        let (sessions, faults) = storm.check();
        let (median, most) = figures(&storm.kills);
        println!(
            "run {run}: {projects} projects, {} at once, {sessions} sessions, {} kills (answer after {median:.2} s, at most \
             {most:.2} s), faults {}, {:.0} s",
            storm.at_once,
            storm.kills.len(),
            faults.len(),
            begun.elapsed().as_secs_f64()
        );
        assert!(faults.is_empty(), "seed {seed}, run {run}:\n{}", faults.join("\n"));
    }
}

#[test]
#[ignore = "the long form: 20 runs of 200 projects"]
fn queue_of_two_hundred_projects_under_a_daemon_that_is_killed() {
    storm(runs(20), 200, end_of_time());
}

#[test]
fn queue_in_short() {
    storm(2, 12, end_of_time());
}
