//! SIGKILL of the daemon at any moment loses no session, no exit status, no byte, and tells no end twice.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::support::{Arena, until};

fn ended_lines(arena: &Arena, id: &str) -> usize {
    arena.log().matches(&format!("ended session={id} ")).count()
}

fn code(sessions: &[Value], id: &str) -> Value {
    sessions.iter().find(|s| s["id"] == id).map_or(json!("lost"), |s| s["exit"]["code"].clone())
}

/// What a session of `talker` writes, whole.
fn talk(n: usize) -> Vec<u8> {
    (0..200).flat_map(|line| format!("session {n} says line {line}\r\n").into_bytes()).collect()
}

/// Writes 200 lines, waits to be told, and exits with its number.
fn talker(arena: &Arena, n: usize, first: &str) -> String {
    let script = format!(
        "{first}; i=0; while [ $i -lt 200 ]; do echo session {n} says line $i; i=$((i+1)); done; \
         : >written{n}; until [ -e go{n} ]; do sleep 0.02; done; exit {n}"
    );
    arena.sh(&format!("t{n}"), &script)
}

fn go(arena: &Arena, n: usize) {
    std::fs::write(arena.path(&format!("work/go{n}")), "").unwrap();
}

#[test]
fn sessions_that_end_before_during_and_after_a_crash_keep_code_output_and_one_line_each() {
    let arena = Arena::new();
    let ids: Vec<String> = (0..9).map(|n| talker(&arena, n, ":")).collect();
    until("all have written", || (0..9).all(|n| arena.path(&format!("work/written{n}")).exists()));
    (0..3).for_each(|n| go(&arena, n));
    (0..3).for_each(|n| drop(arena.until_state(&ids[n], "ended")));
    arena.kill_daemon();
    (3..6).for_each(|n| go(&arena, n));
    until("their keepers have gone", || arena.keepers().len() == 3);
    let sessions = arena.all();
    assert_eq!(sessions.len(), 9);
    for (n, id) in ids.iter().enumerate().take(6) {
        assert_eq!(code(&sessions, id), json!(n), "{sessions:?}");
    }
    assert!(sessions.iter().filter(|s| s["state"] == "running").count() == 3, "{sessions:?}");
    (6..9).for_each(|n| go(&arena, n));
    for (n, id) in ids.iter().enumerate() {
        assert_eq!(arena.until_state(id, "ended")["exit"]["code"], json!(n));
        assert_eq!(arena.recorded(id), (talk(n), 0), "output of session {n}");
        assert_eq!(ended_lines(&arena, id), 1, "session {n}");
        assert_eq!(arena.remembered(id)["exit"]["code"], json!(n));
        assert_eq!(arena.run(&["wait", id]).status, i32::try_from(n).unwrap());
    }
}

#[test]
fn a_daemon_killed_again_and_again_loses_nothing() {
    let arena = Arena::new();
    let mut ids = Vec::new();
    // Some end at the very moment of the kill, some are written about at it, some have just been started.
    for round in 0..6 {
        let n = 2 * round;
        ids.push(talker(&arena, n, ":"));
        ids.push(talker(&arena, n + 1, "stty -echo"));
        go(&arena, n);
        arena.kill_daemon();
        go(&arena, n + 1);
    }
    for (n, id) in ids.iter().enumerate() {
        assert_eq!(arena.until_state(id, "ended")["exit"]["code"], json!(n));
        assert_eq!(arena.recorded(id), (talk(n), 0), "output of session {n}");
        assert_eq!(ended_lines(&arena, id), 1, "session {n}: {}", arena.log());
        assert_eq!(arena.remembered(id)["exit"]["code"], json!(n));
    }
    assert_eq!(arena.all().len(), ids.len());
    until("the keepers have gone", || arena.keepers().is_empty());
    assert_eq!(arena.agents(), []);
}

#[test]
fn a_session_that_run_has_named_is_there_whenever_the_daemon_is_killed() {
    let arena = Arena::new();
    for n in 0..8 {
        let id = arena.sh(&format!("s{n}"), "exec sleep 600");
        let daemon = arena.daemons().pop().unwrap();
        arena.kill(daemon.id);
        let row = arena.show(&id);
        assert_eq!((&row["state"], &row["name"]), (&json!("running"), &json!(format!("s{n}"))));
    }
    assert_eq!(arena.agents().len(), 8);
    assert_eq!(arena.json(&["close-all", "--json"])["closed"], 8);
    assert_eq!(arena.agents(), []);
}

#[test]
fn a_start_cut_off_at_any_moment_is_a_whole_session_or_none() {
    let arena = Arena::new();
    arena.run(&["daemon", "start"]).ok();
    for n in 0..12 {
        let daemon = arena.daemon();
        let starting = arena.begin(&["run", "--name", &format!("s{n}"), "--", "sleep", "600"]);
        // Not a synchronisation: each round cuts at another moment.
        std::thread::sleep(Duration::from_micros(1500 * n));
        arena.kill(daemon);
        let said = starting.wait();
        let sessions = arena.all();
        let listed = sessions.iter().filter(|s| s["name"] == format!("s{n}")).count();
        // A client whose daemon is not there yet starts another one: then it has an answer.
        assert!(said.status != 0 || listed == 1, "{said:?} {sessions:?}");
        until("each agent belongs to a listed session", || {
            arena.agents().len() == arena.all().iter().filter(|s| s["state"] == "running").count()
        });
    }
    arena.run(&["close-all"]).ok();
    assert_eq!(arena.agents(), []);
    until("no keeper is left", || arena.keepers().is_empty());
}

#[test]
fn what_a_killed_close_all_has_begun_the_next_one_finishes() {
    let arena = Arena::with("[stop]\ngrace = \"1s\"\n");
    let deaf = "trap '' TERM HUP INT; echo up >up$1; while :; do sleep 0.1; done";
    let ids: Vec<String> = (0..6).map(|n| arena.session(&["--", "sh", "-c", deaf, "sh", &n.to_string()])).collect();
    until("all are deaf", || (0..6).all(|n| arena.path(&format!("work/up{n}")).exists()));
    let closing = arena.begin(&["close-all"]);
    until("the close is under way", || arena.all().iter().any(|s| s["state"] == "closing"));
    arena.kill_daemon();
    assert_ne!(closing.wait().status, 0, "it was not done");
    let report = arena.json(&["close-all", "--json"]);
    assert_eq!((&report["closed"], &report["failed"]), (&json!(6), &json!(0)), "{report}");
    assert_eq!(arena.agents(), []);
    for id in &ids {
        let row = arena.show(id);
        assert_eq!((&row["state"], &row["exit"]["by"]), (&json!("ended"), &json!("user")), "{row}");
        assert_eq!(ended_lines(&arena, id), 1);
    }
}

#[test]
fn wait_logs_and_the_cause_of_an_end_survive_a_crash_in_between() {
    let arena = Arena::new();
    let id = arena.sh("a", "echo one; read x; echo two; exit 9");
    let waiting = arena.begin(&["wait", &id]);
    let following = arena.begin(&["logs", "-f", &id]);
    until("it has spoken", || arena.recorded(&id).0 == b"one\r\n");
    arena.kill_daemon();
    arena.run(&["send", &id, "go", "--enter"]).ok();
    let waited = waiting.wait();
    assert_eq!(waited.status, 9, "{waited:?}");
    assert_eq!(following.wait().ok(), "one\ngo\ntwo\n");
    assert_eq!(arena.show(&id)["exit"]["by"], "itself");
}

#[test]
fn output_is_recorded_while_no_daemon_runs() {
    let arena = Arena::new();
    let id = arena.sh(
        "a",
        "stty raw -echo; until [ -e go ]; do sleep 0.01; done; head -c 900000 /dev/zero | tr '\\0' x; echo end",
    );
    arena.kill_daemon();
    std::fs::write(arena.path("work/go"), "").unwrap();
    until("its keeper has gone", || arena.keepers().is_empty());
    let row = arena.show(&id);
    assert_eq!((&row["state"], &row["exit"]["code"]), (&json!("ended"), &json!(0)));
    let (bytes, missing) = arena.recorded(&id);
    assert_eq!((bytes.len(), missing), (900_004, 0));
    assert!(bytes.ends_with(b"xend\n") && bytes[..900_000].iter().all(|b| *b == b'x'));
}

#[test]
fn the_name_and_the_pin_and_the_pause_survive_a_crash() {
    let arena = Arena::new();
    let id = arena.sh("a", "exec sleep 600");
    arena.run(&["rename", &id, "b"]).ok();
    arena.run(&["pin", "b"]).ok();
    arena.run(&["pause", "b"]).ok();
    let before = arena.show(&id);
    arena.kill_daemon();
    let after = arena.show("b");
    for key in ["id", "name", "pinned", "state", "health", "leader_pid", "started_at", "command", "workspace"] {
        assert_eq!(before[key], after[key], "{key}");
    }
    assert_eq!((&after["pinned"], &after["state"]), (&json!(true), &json!("paused")));
}

#[test]
fn a_daemon_comes_back_within_a_second_whatever_it_finds() {
    let arena = Arena::new();
    let ids: Vec<String> = (0..10).map(|n| arena.sh(&format!("s{n}"), "exec sleep 600")).collect();
    arena.kill_daemon();
    // A birth that never was, half a file, a foreign file.
    std::fs::create_dir(arena.state().join("sessions/unborn")).unwrap();
    std::fs::create_dir(arena.state().join("sessions/halved")).unwrap();
    std::fs::write(arena.state().join("sessions/halved/session.jsonl"), "{\"identity\":").unwrap();
    std::fs::write(arena.state().join("sessions/stray"), "x").unwrap();
    std::fs::write(arena.state().join("address"), "/nowhere\n").unwrap();
    let begun = Instant::now();
    assert_eq!(arena.all().len(), ids.len());
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}
