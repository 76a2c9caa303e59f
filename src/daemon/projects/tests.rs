//! Rounds, against a real database and without a supervisor: the fates are made up here.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use proptest::prelude::*;
use rusqlite::Connection;

use super::orders::{Order, Outcome};
use super::round::{Asked, Ground, Live, Plan, Settled, Tale, round};
use crate::api::project::AddRequest;
use crate::api::types::KillReport;
use crate::daemon::store::schema;
use crate::model::event::What;
use crate::model::project::{Fate, Status, Verb};
use crate::model::session::ExitBy;

struct Desk {
    database: Connection,
    dir: tempfile::TempDir,
    ids: u32,
    now: u64,
    fates: HashMap<String, Fate>,
    live: Vec<Live>,
    max_running: usize,
    /// The last event that was told, and the last search that was made.
    heard: i64,
    swept: Option<i64>,
}

impl Desk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let database = schema::open(&dir.path().join("beadle.db")).unwrap().connection;
        Self {
            database,
            dir,
            ids: 0,
            now: 1000,
            fates: HashMap::new(),
            live: Vec::new(),
            max_running: 1,
            heard: 0,
            swept: None,
        }
    }

    fn wall(&self) -> String {
        format!("2026-11-20T10:{:02}:{:02}.000Z", self.now / 60 % 60, self.now % 60)
    }

    fn asked(&mut self) -> Asked {
        self.now += 1;
        let ids = (0..4).map(|n| format!("s{}", self.ids + n)).collect();
        self.ids += 4;
        Asked {
            orders: Vec::new(),
            settled: Vec::new(),
            swept: self.swept,
            fates: self.fates.clone(),
            whole: true,
            live: self.live.clone(),
            closing: HashSet::new(),
            ids,
            ground: Ground {
                now: Duration::from_secs(self.now),
                wall: self.wall(),
                boot: "boot".into(),
                sessions: self.dir.path().join("sessions"),
                max_running: self.max_running,
                requeue: false,
                may_start: true,
            },
        }
    }

    /// What a session becomes from now on; what is started lives.
    fn make(&mut self, asked: &Asked) -> Plan {
        let plan = round(&mut self.database, asked, self.heard).unwrap();
        self.heard = plan.told.last().map_or(self.heard, |last| last.number);
        for start in &plan.starts {
            self.fates.insert(start.session.clone(), Fate::Running);
        }
        plan
    }

    fn round(&mut self) -> Plan {
        let asked = self.asked();
        self.make(&asked)
    }

    fn order(&mut self, order: Order) -> Plan {
        let asked = Asked { orders: vec![(order, false)], ..self.asked() };
        self.make(&asked)
    }

    fn add(&mut self, name: &str, change: impl FnOnce(&mut AddRequest)) -> Plan {
        let mut request = AddRequest { name: name.into(), command: vec!["x".into()], ..AddRequest::default() };
        change(&mut request);
        self.order(Order::Add(Box::new(request)))
    }

    fn settle(&mut self, plan: &Plan) -> Plan {
        let settled = plan.ends.iter().map(|e| Settled { end: e.clone(), report: KillReport::default() }).collect();
        let asked = Asked { settled, ..self.asked() };
        self.make(&asked)
    }

    fn exits(&mut self, session: &str, code: i32) {
        let fate = Fate::Ended { code: Some(code), by: ExitBy::Itself, reason: format!("exit status {code}") };
        self.fates.insert(session.into(), fate);
    }

    fn status(&self, name: &str) -> (String, u32) {
        let sql = "SELECT status, attempt FROM projects WHERE name = ?1";
        self.database.query_row(sql, [name], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    }

    fn live(&mut self, id: &str, project: Option<&str>, tmux: Option<&str>) {
        let (project, tmux) = (project.map(String::from), tmux.map(String::from));
        self.live.push(Live { id: id.into(), project, tmux, started_at: self.wall(), holds: true });
    }
}

#[test]
fn the_next_is_claimed_only_when_the_consequences_of_an_end_are_drawn() {
    let mut desk = Desk::new();
    let first = desk.add("a", |_| {}).starts.remove(0);
    desk.add("b", |_| {});
    assert_eq!((first.session.as_str(), first.attempt, first.command), ("s0", 1, 0));
    desk.exits("s0", 0);
    let plan = desk.round();
    assert_eq!((plan.ends.len(), plan.ends[0].status, plan.starts.len()), (1, Status::Completed, 0));
    assert_eq!(desk.round().ends.len(), 1, "until it is settled it is said again");
    let plan = desk.settle(&plan);
    assert_eq!((plan.ends.len(), plan.starts[0].project.as_str()), (0, "b"));
    assert_eq!(desk.round().starts.len(), 0);
}

#[test]
fn what_still_runs_of_something_finished_is_closed_before_anything_starts() {
    let mut desk = Desk::new();
    desk.add("a", |_| {});
    desk.add("b", |_| {});
    desk.live("s0", Some("a"), None);
    desk.exits("s0", 0);
    let plan = desk.round();
    let plan = desk.settle(&plan);
    assert_eq!((plan.starts.len(), plan.lingering.len(), plan.lingering[0].own), (0, 1, true));
    // What cannot be closed holds up nothing.
    desk.live[0].holds = false;
    assert_eq!(desk.round().starts[0].project, "b");
}

#[test]
fn a_session_belongs_to_the_project_of_its_name_and_its_time() {
    let mut desk = Desk::new();
    desk.live("early", Some("shop"), None);
    desk.now += 1;
    desk.add("shop", |_| {});
    desk.add("shop-ui", |_| {});
    desk.live("within", Some("shop"), None);
    desk.live("pane", None, Some("shop-cart"));
    desk.live("other", None, Some("shop-ui-1"));
    desk.live("word", None, Some("shopping"));
    desk.order(Order::End { verb: Verb::Cancel, targets: vec!["shop".into()], reason: None });
    desk.now += 5;
    desk.live("late", Some("shop"), None);
    let plan = desk.round();
    let lingering: Vec<&str> = plan.lingering.iter().map(|l| l.session.as_str()).collect();
    assert_eq!(lingering, ["within", "pane"]);
}

#[test]
fn an_end_written_by_hand_is_an_end_and_a_finished_one_queued_by_hand_begins_anew() {
    let mut desk = Desk::new();
    desk.add("a", |_| {});
    desk.database.execute("UPDATE projects SET status = 'failed'", []).unwrap();
    let plan = desk.round();
    assert_eq!(plan.ends[0].status, Status::Failed);
    desk.swept = desk.settle(&plan).searches.last().map(|search| search.number);
    assert!(!desk.round().is_open);
    desk.database.execute("UPDATE projects SET status = 'queued'", []).unwrap();
    assert_eq!(desk.round().starts[0].attempt, 2);
    // The same end once more has its consequences once more.
    desk.database.execute("UPDATE projects SET status = 'failed'", []).unwrap();
    assert_eq!(desk.round().ends.len(), 1);
    assert!(desk.database.execute("UPDATE projects SET status = 'done'", []).is_err());
}

#[test]
fn a_claim_that_became_no_session_is_made_again_as_the_same_attempt() {
    let mut desk = Desk::new();
    assert_eq!(desk.add("a", |_| {}).starts[0].session, "s0");
    // A crash before the birth, and one after the directory was made: the fates of the next daemon know neither.
    desk.fates.clear();
    let again = desk.round().starts.remove(0);
    assert_eq!((again.attempt, again.session == "s0"), (1, false));
    desk.fates.clear();
    let dir = desk.dir.path().join("sessions").join(&again.session);
    std::fs::create_dir_all(&dir).unwrap();
    let third = desk.round().starts.remove(0);
    assert_eq!((third.attempt, dir.exists()), (1, false), "no keeper finds a place to begin in");
    // Somebody has begun to write there: nothing is concluded.
    desk.fates.clear();
    let dir = desk.dir.path().join("sessions").join(&third.session);
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("session.jsonl"), "").unwrap();
    let plan = desk.round();
    assert_eq!((plan.starts.len(), plan.doubtful, dir.exists()), (0, vec![third.session], true));
    assert_eq!(desk.status("a"), ("running".into(), 1));
}

#[test]
fn a_session_that_was_seen_and_is_gone_is_not_started_again() {
    let mut desk = Desk::new();
    desk.add("a", |_| {});
    desk.round();
    desk.fates.clear();
    desk.round();
    assert_eq!(desk.status("a").0, "failed");
}

#[test]
fn a_start_that_is_put_off_is_no_attempt() {
    let mut desk = Desk::new();
    desk.add("a", |_| {});
    desk.fates.insert("s0".into(), Fate::Postponed);
    assert_eq!(desk.round().starts.len(), 0);
    assert_eq!(desk.status("a"), ("queued".into(), 0));
    assert_eq!(desk.round().starts[0].attempt, 1);
}

#[test]
fn the_time_of_an_attempt_is_over_at_its_moment() {
    let mut desk = Desk::new();
    desk.add("a", |r| (r.timeout_seconds, r.retries) = (Some(60.0), 1));
    let plan = desk.round();
    assert_eq!(plan.deadline, Some(Duration::from_secs(1061)));
    desk.now += 60;
    let plan = desk.round();
    assert_eq!((plan.overdue, plan.starts[0].attempt), (vec![1], 2));
    desk.now += 61;
    assert_eq!(desk.round().ends[0].reason, "its timeout of 1 m is over");
}

/// Statuses that were told, and `cleaned` for the end of a close.
fn told(plan: &Plan) -> Vec<String> {
    let word = |tale: &Tale| match &tale.what {
        What::ProjectChanged { project_id, status, .. } => format!("{project_id} {status}"),
        What::ProjectCleanupCompleted { project_id, .. } => format!("{project_id} cleaned"),
        other => panic!("{other:?}"),
    };
    plan.told.iter().map(word).collect()
}

#[test]
fn every_change_is_told_once_whoever_made_it_and_by_the_next_daemon_while_it_is_not_written_down() {
    let mut desk = Desk::new();
    assert_eq!(told(&desk.add("a", |_| {})), ["a queued", "a running"]);
    // What never began is begun again, and is not said again.
    desk.fates.insert("s0".into(), Fate::Unborn);
    assert_eq!(told(&desk.round()), Vec::<String>::new());
    let session = desk.fates.iter().find(|(_, fate)| **fate == Fate::Running).unwrap().0.clone();
    desk.exits(&session, 1);
    let plan = desk.round();
    assert_eq!(told(&plan), ["a failed"]);
    assert_eq!((told(&desk.round()), desk.round().searches), (Vec::<String>::new(), vec![]));
    let plan = desk.settle(&plan);
    assert_eq!((told(&plan), plan.searches.len(), plan.is_open), (vec!["a cleaned".into()], 1, true));
    desk.database
        .execute_batch(
            "UPDATE projects SET status = 'completed' WHERE name = 'a';
             INSERT INTO projects (name, commands) VALUES ('b', '[[\"x\"]]')",
        )
        .unwrap();
    let plan = desk.round();
    assert_eq!(told(&plan), ["a completed", "b queued"]);
    assert_eq!(told(&desk.settle(&plan)), ["a cleaned", "b running"]);
    // A daemon that was killed before any of it was stored as an event.
    desk.heard = 0;
    let all = told(&desk.round());
    let expected = "a queued, a running, a failed, a cleaned, a completed, b queued, a cleaned, b running";
    assert_eq!(all.join(", "), expected);
    desk.database.execute("DELETE FROM project_events WHERE number <= 6", []).unwrap();
    desk.heard = 0;
    assert_eq!(told(&desk.round()), ["a cleaned", "b running"]);
}

#[test]
fn a_search_is_owed_until_it_is_over_even_if_the_project_is_forgotten() {
    let mut desk = Desk::new();
    for name in ["a", "b"] {
        let plan = desk.add(name, |_| {});
        desk.exits(&plan.starts[0].session.clone(), 1);
        let plan = desk.round();
        desk.settle(&plan);
    }
    desk.order(Order::Remove { targets: vec!["a".into()] });
    let owed = desk.round().searches;
    assert_eq!(
        owed.iter().map(|s| s.reason.as_str()).collect::<Vec<_>>(),
        ["project a is failed", "project b is failed"]
    );
    let asked = Asked { swept: Some(owed[0].number), ..desk.asked() };
    assert_eq!(desk.make(&asked).searches, owed[1..]);
    let asked = Asked { swept: Some(owed[1].number), ..desk.asked() };
    let plan = desk.make(&asked);
    assert_eq!((plan.searches, plan.is_open), (vec![], false));
}

#[test]
fn an_order_that_cannot_be_done_says_so_and_stops_no_other() {
    let mut desk = Desk::new();
    desk.add("a", |_| {});
    let twice = desk.add("a", |_| {});
    assert!(twice.outcomes[0].as_ref().unwrap_err().message.contains("there is a project called"));
    let end = |targets: &[&str]| Order::End {
        verb: Verb::Complete,
        targets: targets.iter().map(ToString::to_string).collect(),
        reason: None,
    };
    assert!(desk.order(end(&["a", "nobody"])).outcomes[0].is_err());
    assert_eq!(desk.status("a").0, "running", "all or none");
    let Ok(Outcome::Ended(meant)) = desk.order(end(&["a", "a*", "1"])).outcomes.remove(0) else { panic!() };
    assert_eq!((meant.len(), meant[0].has_changed()), (1, true));
    let Ok(Outcome::Ended(meant)) = desk.order(end(&["a"])).outcomes.remove(0) else { panic!() };
    assert!(!meant[0].has_changed());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever happens in whatever order: never more at once than allowed, each attempt at most one session for each
    /// command, the first in line first, and in the end all are over.
    #[test]
    fn random_queues_keep_order_and_start_each_attempt_once(
        pieces in proptest::collection::vec((0..3_i64, 1..4_usize, 0..3_u32), 1..12),
        max_running in 1..4_usize,
        chance in proptest::collection::vec(0..100_u32, 400),
    ) {
        let mut desk = Desk { max_running, ..Desk::new() };
        let mut chance = chance.into_iter().cycle();
        desk.max_running = 1;
        desk.add("gate", |r| r.priority = 9);
        for (n, (priority, commands, retries)) in pieces.iter().enumerate() {
            desk.add(&format!("p{n}"), |r| {
                r.command.clear();
                r.commands = vec![vec!["x".into()]; *commands];
                (r.priority, r.retries) = (*priority, *retries);
            });
        }
        desk.max_running = max_running;
        let mut started: HashSet<(i64, u32, usize)> = HashSet::new();
        let mut first: Vec<i64> = Vec::new();
        let mut plan = desk.round();
        for _ in 0..2000 {
            for start in &plan.starts {
                prop_assert!(started.insert((start.number, start.attempt, start.command)));
                if !first.contains(&start.number) { first.push(start.number); }
            }
            if !plan.is_open { break; }
            desk.swept = plan.searches.last().map(|search| search.number);
            let running: Vec<String> = desk.fates.iter().filter(|(_, f)| **f == Fate::Running).map(|(id, _)| id.clone()).collect();
            prop_assert!(running.len() <= max_running);
            for id in running {
                match chance.next().unwrap() {
                    0..50 => desk.exits(&id, 0),
                    50..60 => desk.exits(&id, 1),
                    _ => {}
                }
            }
            plan = if plan.ends.is_empty() { desk.round() } else { let ended = plan; desk.settle(&ended) };
        }
        prop_assert!(!plan.is_open);
        let mut expected: Vec<(std::cmp::Reverse<i64>, i64)> =
            pieces.iter().enumerate().map(|(n, p)| (std::cmp::Reverse(p.0), i64::try_from(n).unwrap() + 2)).collect();
        expected.sort();
        let expected: Vec<i64> = expected.into_iter().map(|(_, number)| number).collect();
        prop_assert_eq!(first.into_iter().filter(|n| *n != 1).collect::<Vec<_>>(), expected);
    }
}
