//! The memory against real files: what is told is found again, whatever happens to the file in between.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::json;

use super::writer::{PROCESSES, Writer};
use super::{CloseBegan, CloseEnded, Fact, QUEUE, Run, Shared, Store};
use crate::api::memory::{Filter, MemoryState, Stats};
use crate::api::types::{Closed, Evidence, Outcome, Process, Survivor};
use crate::daemon::events::Stream;
use crate::model::session::{Asked, Cause, Exit, ExitBy};
use crate::sys::clock;

/// How long a fact may take to be written.
const PATIENCE: Duration = Duration::from_secs(20);

fn store(dir: &tempfile::TempDir) -> Store {
    Store::begin(dir.path().join("beadle.db"))
}

fn run(id: &str, started_at: &str) -> Run {
    Run {
        id: id.into(),
        started_at: started_at.into(),
        name: format!("{id}-name"),
        agent: "claude".into(),
        project: Some("shop".into()),
        workspace: "/srv".into(),
        command: vec!["claude".into(), "--x".into()],
        boot_id: clock::boot_id(),
        exit: None,
        seconds: None,
        messages: None,
    }
}

fn ended(run: Run, at: &str, by: ExitBy) -> Run {
    let exit = Exit { code: Some(3), signal: None, at: at.into(), by, reason: "why".into() };
    Run { seconds: clock::seconds_between(&run.started_at, at), messages: Some(5), exit: Some(exit), ..run }
}

fn tell(store: &Store, run: Run) {
    store.tell(Fact::Run(Box::new(run)));
}

const MORNING: &str = "2026-11-20T10:00:00.000Z";
const NOON: &str = "2026-11-20T12:00:00.000Z";
const EVENING: &str = "2026-11-20T18:00:00.000Z";

fn began(run: Run, at: &str, by: ExitBy) -> CloseBegan {
    let asked = Asked { verb: "kill".into(), uid: 1000, pid: 77, command: "beadle kill a\x1b[2J".into() };
    CloseBegan {
        at: at.into(),
        run,
        cause: Cause::new(by, "because").asked((by == ExitBy::User).then_some(asked)),
        evidence: vec![Evidence { kind: "leader".into(), text: "alive".into(), at: None }],
    }
}

fn closed(began: &CloseBegan, outcome: Outcome) -> Fact {
    let report = Closed {
        id: began.run.id.clone(),
        name: began.run.name.clone(),
        outcome,
        signals: vec!["TERM".into()],
        processes: 2,
        survivors: Vec::new(),
        seconds: 0.5,
        reason: began.cause.reason.clone(),
        resume: None,
        spared: Vec::new(),
        screen: None,
    };
    let process = Process {
        pid: 9,
        parent_pid: 1,
        start_time: 1,
        command: "claude".into(),
        state: "S".into(),
        cpu_percent: None,
        memory_bytes: 1,
        depth: 0,
    };
    Fact::Closed(Box::new(CloseEnded { began: began.clone(), report, tree: vec![process] }))
}

#[track_caller]
fn ids(store: &Store, filter: &Filter) -> Vec<String> {
    store.settle(PATIENCE);
    let history = store.read(|recall| recall.history(filter)).unwrap();
    history.sessions.into_iter().map(|s| s.id).collect()
}

#[track_caller]
fn until(store: &Store, what: &str, is_so: impl Fn(&MemoryState) -> bool) -> MemoryState {
    let end = Instant::now() + PATIENCE;
    loop {
        let state = store.state();
        if is_so(&state) {
            return state;
        }
        assert!(Instant::now() < end, "{what}: {state:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn what_is_told_is_found_again_in_this_shape() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    tell(&store, run("a", MORNING));
    let close = began(run("a", MORNING), NOON, ExitBy::User);
    store.tell(Fact::CloseBegan(Box::new(close.clone())));
    store.tell(closed(&close, Outcome::Clean));
    tell(&store, ended(run("a", MORNING), NOON, ExitBy::User));
    store.settle(PATIENCE);
    let history = store.read(|recall| recall.history(&Filter::default())).unwrap();
    let boot = clock::boot_id();
    assert_eq!(
        serde_json::to_value(&history).unwrap(),
        json!({ "more": false, "sessions": [{
            "id": "a", "name": "a-name", "agent": "claude", "project": "shop", "workspace": "/srv",
            "command": ["claude", "--x"], "started_at": MORNING, "ended_at": NOON, "seconds": 7200.0, "messages": 5,
            "exit": { "code": 3, "signal": null, "at": NOON, "by": "user", "reason": "why" },
            "outcome": "clean", "boot_id": boot }] })
    );
    let audit = store.read(|recall| recall.audit(&Filter::default())).unwrap();
    assert_eq!(
        serde_json::to_value(&audit).unwrap(),
        json!({ "more": false, "kills": [{
            "at": NOON, "verb": "kill", "by": "user", "uid": 1000, "pid": 77, "command": "beadle kill a·[2J",
            "session_id": "a", "session_started_at": MORNING, "name": "a-name", "agent": "claude", "project": "shop",
            "reason": "because", "evidence": [{ "kind": "leader", "text": "alive", "at": null }], "outcome": "clean",
            "report": { "id": "a", "name": "a-name", "outcome": "clean", "signals": ["TERM"], "processes": 2,
                "survivors": [], "seconds": 0.5, "reason": "because", "resume": null } }] })
    );
    let last = store.read(|recall| recall.last_close("a", MORNING)).unwrap().unwrap();
    assert_eq!((last.tree[0].pid, last.report.unwrap().outcome), (9, Outcome::Clean));
    assert!(store.read(|recall| recall.last_close("a", NOON)).unwrap().is_none());
}

#[test]
fn figures_are_counted_from_the_rows() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    tell(&store, run("live", EVENING));
    for (n, by) in [ExitBy::User, ExitBy::Policy, ExitBy::Policy].into_iter().enumerate() {
        let began = began(run(&format!("s{n}"), MORNING), NOON, by);
        store.tell(closed(&began, if n == 0 { Outcome::Forced } else { Outcome::Clean }));
        // Told twice, counted once.
        tell(&store, ended(began.run.clone(), NOON, by));
        tell(&store, ended(began.run, NOON, by));
    }
    (0..3).for_each(|_| store.count("runs", "cleanup"));
    store.settle(PATIENCE);
    let stats = store.read(|recall| recall.stats(&Filter::default())).unwrap();
    assert_eq!(
        serde_json::to_value(&stats).unwrap(),
        json!({ "since": null, "until": null, "active": 0, "created": 4, "ended": { "user": 1, "policy": 2 },
            "kills": { "clean": 2, "forced": 1 }, "session_seconds": { "median": 7200.0, "longest": 7200.0 },
            "kill_seconds": { "median": 0.5, "longest": 0.5 }, "counters": { "runs": { "cleanup": 3 } },
            "memory": { "bytes": 0, "lost": 0, "waiting": 0, "trouble": null } })
    );
    let since = |since: &str| {
        let filter = Filter { since: Some(since.into()), ..Filter::default() };
        store.read(|recall| recall.stats(&filter)).unwrap()
    };
    assert_eq!((since(EVENING).created, since(EVENING).ended.len(), since(EVENING).kill_seconds), (1, 0, None));
    assert_eq!(since(NOON).ended["policy"], 2);
    let hour = Filter { until: Some(MORNING.into()), ..Filter::default() };
    assert_eq!(store.read(|recall| recall.stats(&hour)).unwrap(), Stats { until: hour.until, ..Stats::default() });
}

#[test]
fn every_filter_leaves_out_what_it_should() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    tell(&store, ended(run("a", MORNING), NOON, ExitBy::User));
    tell(&store, ended(Run { project: None, ..run("b", NOON) }, EVENING, ExitBy::Policy));
    tell(&store, Run { agent: "codex".into(), ..run("c", EVENING) });
    store.tell(closed(&began(run("a", MORNING), NOON, ExitBy::User), Outcome::Clean));
    let some = |text: &str| Some(text.to_string());
    for (filter, expected) in [
        (Filter::default(), vec!["c", "b", "a"]),
        (Filter { since: some("2026-11-20T13:00:00.000Z"), ..Filter::default() }, vec!["c", "b"]),
        (Filter { until: some(NOON), ..Filter::default() }, vec!["a"]),
        (Filter { project: some("shop"), ..Filter::default() }, vec!["c", "a"]),
        (Filter { agent: some("codex"), ..Filter::default() }, vec!["c"]),
        (Filter { by: some("policy"), ..Filter::default() }, vec!["b"]),
        (Filter { outcome: some("clean"), ..Filter::default() }, vec!["a"]),
        (Filter { session: some("b-name"), ..Filter::default() }, vec!["b"]),
        (Filter { session: some("%"), ..Filter::default() }, vec![]),
        (Filter { project: some("shop' OR 1=1 --"), ..Filter::default() }, vec![]),
        (Filter { limit: Some(2), ..Filter::default() }, vec!["c", "b"]),
    ] {
        assert_eq!(ids(&store, &filter), expected, "{filter:?}");
    }
    let limited = Filter { limit: Some(3), ..Filter::default() };
    assert!(!store.read(|recall| recall.history(&limited)).unwrap().more);
    let limited = Filter { limit: Some(2), ..Filter::default() };
    assert!(store.read(|recall| recall.history(&limited)).unwrap().more);
    let kills = |filter: Filter| store.read(|recall| recall.audit(&filter)).unwrap().kills.len();
    assert_eq!(kills(Filter { by: some("user"), session: some("a"), ..Filter::default() }), 1);
    assert_eq!(kills(Filter { by: some("policy"), ..Filter::default() }), 0);
    assert_eq!(kills(Filter { since: some(EVENING), ..Filter::default() }), 0);
}

#[test]
fn a_run_without_an_end_that_nobody_knows_any_more_has_ended() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    tell(&store, run("here", MORNING));
    tell(&store, run("gone", MORNING));
    tell(&store, Run { boot_id: "another".into(), ..run("old", MORNING) });
    // Of a session that was started again the earlier run is another one.
    tell(&store, run("here", NOON));
    store.tell(Fact::Runs(vec![run("here", NOON)]));
    store.settle(PATIENCE);
    let rows = store.read(|recall| recall.history(&Filter::default())).unwrap().sessions;
    let by = |id: &str, at: &str| {
        let row = rows.iter().find(|r| r.id == id && r.started_at == at).unwrap();
        row.exit.as_ref().map(|e| e.by)
    };
    assert_eq!((by("here", NOON), by("here", MORNING)), (None, Some(ExitBy::Unknown)));
    assert_eq!((by("gone", MORNING), by("old", MORNING)), (Some(ExitBy::Unknown), Some(ExitBy::Reboot)));
    // It was there after all.
    tell(&store, run("gone", MORNING));
    store.settle(PATIENCE);
    let filter = Filter { session: Some("gone".into()), ..Filter::default() };
    assert_eq!(store.read(|recall| recall.history(&filter)).unwrap().sessions[0].exit, None);
}

#[test]
fn a_close_that_the_end_of_a_daemon_cut_off_is_marked_by_the_next_one() {
    let dir = tempfile::tempdir().unwrap();
    let first = store(&dir);
    first.tell(Fact::CloseBegan(Box::new(began(run("a", MORNING), NOON, ExitBy::User))));
    first.finish(PATIENCE);
    let second = store(&dir);
    let next = began(run("a", MORNING), EVENING, ExitBy::User);
    second.tell(Fact::CloseBegan(Box::new(next.clone())));
    second.settle(PATIENCE);
    let outcomes = || {
        let kills = second.read(|recall| recall.audit(&Filter::default())).unwrap().kills;
        kills.into_iter().map(|k| k.outcome.unwrap_or_default()).collect::<Vec<_>>()
    };
    assert_eq!(outcomes(), ["", "interrupted"]);
    second.tell(closed(&next, Outcome::Forced));
    second.settle(PATIENCE);
    assert_eq!(outcomes(), ["forced", "interrupted"]);
}

#[test]
fn a_damaged_database_is_set_aside_when_it_is_found_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("beadle.db");
    let first = store(&dir);
    (0..200).for_each(|n| tell(&first, ended(run(&format!("s{n}"), MORNING), NOON, ExitBy::User)));
    first.finish(PATIENCE);
    let mut bytes = std::fs::read(&path).unwrap();
    let length = bytes.len();
    bytes[8192..length].fill(0xA5);
    std::fs::write(&path, bytes).unwrap();
    let second = store(&dir);
    // By the writer, or by whoever reads first.
    until(&second, "it is set aside", |_| {
        drop(second.read(|recall| recall.history(&Filter::default())));
        second.shared.lock().lost_runs
    });
    tell(&second, run("new", MORNING));
    assert_eq!(ids(&second, &Filter::default()), ["new"]);
    assert!(second.take_lost_runs() && !second.take_lost_runs(), "the journals are asked once");
    let aside = std::fs::read_dir(dir.path()).unwrap().flatten();
    assert!(aside.filter(|f| f.file_name().to_str().unwrap().contains(".corrupt-")).count() > 0);
}

#[test]
fn a_database_that_somebody_removed_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    tell(&store, run("a", MORNING));
    store.settle(PATIENCE);
    for end in ["", "-wal", "-shm"] {
        std::fs::remove_file(dir.path().join(format!("beadle.db{end}"))).unwrap();
    }
    tell(&store, run("b", MORNING));
    assert_eq!(ids(&store, &Filter::default()), ["b"]);
}

#[test]
fn of_a_later_version_nothing_is_written_and_it_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let later = Connection::open(dir.path().join("beadle.db")).unwrap();
    later.pragma_update(None, "user_version", 1000).unwrap();
    let store = store(&dir);
    tell(&store, run("a", MORNING));
    let state = until(&store, "it is lost", |s| s.lost == 1);
    assert!(state.trouble.unwrap().contains("later version"));
    let refusal = store.read(|recall| recall.history(&Filter::default())).unwrap_err();
    assert!(refusal.message.contains("later version"), "{refusal:?}");
    store.finish(PATIENCE);
}

#[test]
fn what_cannot_be_written_waits_and_is_written_when_it_can() {
    let dir = tempfile::tempdir().unwrap();
    // A file where the directory should be refuses everything, to root too.
    let state = dir.path().join("state");
    std::fs::write(&state, "").unwrap();
    let store = Store::begin(state.join("beadle.db"));
    tell(&store, run("a", MORNING));
    let trouble = until(&store, "it is said", |s| s.trouble.is_some() && s.waiting == 1);
    assert!(trouble.trouble.unwrap().contains("failed to create"));
    assert_eq!(trouble.lost, 0);
    std::fs::remove_file(&state).unwrap();
    std::fs::create_dir(&state).unwrap();
    until(&store, "it is written", |s| s.trouble.is_none() && s.waiting == 0);
    assert_eq!(ids(&store, &Filter::default()), ["a"]);
}

#[test]
fn who_tells_never_waits_and_what_does_not_fit_is_counted() {
    let shared = Arc::new(Shared::default());
    let (path, readers) = (Arc::default(), Arc::new(tokio::sync::Semaphore::new(1)));
    // Nobody writes at all.
    let store = Store { shared, path, readers, stream: Stream::default() };
    (0..QUEUE).for_each(|_| store.count("runs", "x"));
    store.count("runs", "x");
    assert_eq!((store.state().lost, store.shared.lock().lost_runs), (1, false));
    tell(&store, run("a", MORNING));
    assert_eq!((store.state().lost, store.state().waiting), (2, QUEUE as u64));
    assert!(!store.take_lost_runs(), "not before there is room");
    store.shared.lock().facts.clear();
    assert!(store.take_lost_runs());
}

#[test]
fn one_fact_that_is_refused_holds_up_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    store.settle(PATIENCE);
    let other = Connection::open(dir.path().join("beadle.db")).unwrap();
    other
        .execute_batch(
            "CREATE TRIGGER no BEFORE INSERT ON history WHEN new.id = 'bad' BEGIN SELECT RAISE(ABORT, 'no'); END",
        )
        .unwrap();
    ["a", "bad", "c"].into_iter().for_each(|id| tell(&store, run(id, MORNING)));
    assert_eq!(ids(&store, &Filter::default()), ["a", "c"]);
    assert_eq!((store.state().lost, store.state().trouble), (1, None));
}

#[test]
fn a_command_line_of_megabytes_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let long = "é".repeat(1 << 20);
    let begin = began(Run { command: vec![long.clone(), long.clone()], ..run("a", MORNING) }, NOON, ExitBy::User);
    tell(&store, begin.run.clone());
    let Fact::Closed(mut close) = closed(&begin, Outcome::Survivors) else { unreachable!() };
    let survivor =
        Survivor { pid: 1, command: "é".repeat(10_000), state: "D".into(), owner: "root".into(), why: "x".into() };
    close.report.survivors = vec![survivor; PROCESSES + 1];
    close.tree[0].command.clone_from(&long);
    close.began.cause.reason = long;
    store.tell(Fact::Closed(close));
    assert_eq!(ids(&store, &Filter::default()), ["a"]);
    let last = store.read(|recall| recall.last_close("a", MORNING)).unwrap().unwrap();
    assert_eq!(last.report.unwrap().survivors.len(), PROCESSES);
    let state = store.state();
    assert!(state.bytes < 1 << 20, "{state:?}");
}

/// Rows with so much text that the size is what bounds them.
fn fill(store: &Store, rows: usize) {
    for n in 0..rows {
        let at = clock::wall_before(Duration::from_secs(1_000_000 - n as u64));
        let run = Run { command: vec!["x".repeat(4000)], ..run(&format!("s{n:05}"), &at) };
        tell(store, ended(run, &at, ExitBy::User));
        if n % 1000 == 0 {
            store.settle(PATIENCE);
        }
    }
    store.settle(PATIENCE);
}

#[test]
fn old_rows_are_forgotten_and_their_room_is_given_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    fill(&store, 1000);
    tell(&store, run("live", "2020-01-01T00:00:00.000Z"));
    store.count("runs", "now");
    // Folded into the file, so that its size is the truth.
    store.tell(Fact::Forget { before: "2021-01-01T00:00:00.000Z".into() });
    store.settle(PATIENCE);
    let full = std::fs::metadata(dir.path().join("beadle.db")).unwrap().len();
    assert!(full > 4 << 20, "{full}");
    store.tell(Fact::Forget { before: clock::wall_before(Duration::from_secs(60)) });
    assert_eq!(ids(&store, &Filter::default()), ["live"]);
    let empty = std::fs::metadata(dir.path().join("beadle.db")).unwrap().len();
    assert!(empty < 1 << 18, "{empty}");
    assert_eq!(store.read(|recall| recall.stats(&Filter::default())).unwrap().counters["runs"]["now"], 1);
}

#[test]
fn above_its_size_the_oldest_rows_go() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("beadle.db");
    let shared = Arc::new(Shared::default());
    let mut writer = Writer::new(Arc::clone(&shared), path.clone(), Stream::default());
    writer.most_bytes = 1 << 20;
    let thread = std::thread::spawn(move || writer.run());
    let store = Store {
        shared,
        path: Arc::new(path),
        readers: Arc::new(tokio::sync::Semaphore::new(1)),
        stream: Stream::default(),
    };
    fill(&store, 1000);
    store.tell(Fact::Forget { before: "2021-01-01T00:00:00.000Z".into() });
    let filter = Filter { limit: Some(1000), ..Filter::default() };
    let left = ids(&store, &filter);
    assert!(!left.is_empty() && left.len() < 300, "{}", left.len());
    assert_eq!(left[0], "s00999", "the newest stays");
    let bytes = std::fs::metadata(store.path.as_path()).unwrap().len();
    assert!(bytes <= 1 << 20, "{bytes}");
    store.finish(PATIENCE);
    thread.join().unwrap();
}

#[test]
fn somebody_with_a_shell_may_read_along() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    tell(&store, run("a", MORNING));
    store.settle(PATIENCE);
    let other = Connection::open(dir.path().join("beadle.db")).unwrap();
    let reading = other.unchecked_transaction().unwrap();
    let count = || reading.query_row("SELECT count(*) FROM history", [], |row| row.get::<_, u32>(0)).unwrap();
    assert_eq!(count(), 1);
    tell(&store, run("b", MORNING));
    assert_eq!((ids(&store, &Filter::default()).len(), count()), (2, 1), "each sees what was when it began");
}
