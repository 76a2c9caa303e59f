//! An agent that fails is started again, in its keeper.

use serde_json::json;

use super::support::{Arena, pid_of, until, until_some};

/// Pauses as short as they may be.
const FAST: &str = "[stop]\ngrace = \"300ms\"\n[restart]\nbase = \"20ms\"\nmost = \"50ms\"\nlimit = 3\n";
/// A pause that no test waits for.
const SLOW: &str = "[stop]\ngrace = \"300ms\"\n[restart]\nbase = \"1h\"\nmost = \"1h\"\n";

fn begin(arena: &Arena, script: &str) -> String {
    arena.session(&["--name", "a", "--restart", "on-failure", "--", "sh", "-c", script])
}

fn runs(arena: &Arena) -> usize {
    std::fs::read_to_string(arena.path("work/runs")).unwrap_or_default().lines().count()
}

#[track_caller]
fn until_waiting(arena: &Arena, id: &str) {
    let row = until_some("it waits", || Some(arena.show(id)).filter(|s| s["state"] == "starting"));
    let reason = row["reason"].as_str().unwrap();
    assert!(reason.starts_with("restarts in ") && reason.ends_with(" (1 of 5)"), "{row}");
    assert_eq!(
        (&row["exit"], &row["health"], &row["processes"]),
        (&json!(null), &json!("healthy"), &json!(0)),
        "{row}"
    );
}

#[test]
fn what_fails_twice_and_then_succeeds_has_one_end_and_one_recording() {
    let arena = Arena::with(FAST);
    let id = begin(&arena, "echo run >>runs; echo $$; [ $(wc -l <runs) = 3 ]");
    assert_eq!(arena.run(&["wait", &id]).status, 0);
    let row = arena.until_state(&id, "ended");
    assert_eq!((&row["exit"]["code"], &row["exit"]["by"]), (&json!(0), &json!("itself")));
    assert_eq!(runs(&arena), 3);
    assert_eq!(arena.run(&["logs", &id]).ok().lines().count(), 3);
    for line in ["(1 of 3)", "(2 of 3)"] {
        assert!(arena.log().contains(&format!("failed: to be started again {line}")));
    }
    assert_eq!(arena.agents(), []);
}

#[test]
fn after_the_last_of_a_row_the_status_is_that_of_the_last_run() {
    let arena = Arena::with(FAST);
    let id = begin(&arena, "echo run >>runs; exit $(wc -l <runs)");
    assert_eq!(arena.run(&["wait", &id]).status, 4);
    let exit = arena.until_state(&id, "ended")["exit"].clone();
    assert_eq!(exit["reason"], "exit status 4; given up after 3 restarts", "{exit}");
    assert_eq!((exit["by"].clone(), runs(&arena)), (json!("itself"), 4));
}

#[test]
fn a_signal_is_a_failure_and_success_is_none() {
    let arena = Arena::with(FAST);
    let id = begin(&arena, "echo run >>runs; [ $(wc -l <runs) = 2 ] || kill -9 $$");
    assert_eq!(arena.run(&["wait", &id]).status, 0);
    let id = arena.session(&["--restart", "on-failure", "--", "true"]);
    assert_eq!(arena.run(&["wait", &id]).status, 0);
    let id = arena.session(&["--", "sh", "-c", "exit 3"]);
    assert_eq!(arena.run(&["wait", &id]).status, 3);
    assert_eq!((runs(&arena), arena.agents()), (2, Vec::new()));
}

#[test]
fn a_kill_while_it_waits_ends_it_at_once() {
    let arena = Arena::with(SLOW);
    let id = begin(&arena, "echo run >>runs; exit 7");
    until_waiting(&arena, &id);
    let waiting = arena.begin(&["wait", &id]);
    let report = arena.json(&["kill", &id, "--json", "--reason", "enough"]);
    assert_eq!((&report["closed"], &report["sessions"][0]["outcome"]), (&json!(1), &json!("clean")), "{report}");
    assert_eq!(waiting.wait().status, 7);
    let row = arena.until_state(&id, "ended");
    assert_eq!(
        (&row["exit"]["code"], &row["exit"]["by"], &row["exit"]["reason"]),
        (&json!(7), &json!("user"), &json!("enough"))
    );
    until("its keeper goes", || arena.keepers().is_empty());
    assert_eq!(runs(&arena), 1);
}

#[test]
fn what_is_closed_while_its_keeper_is_held_up_is_not_started_again() {
    let arena = Arena::new();
    let id = arena.session(&["--restart", "on-failure", "--", "sh", "-c", "echo run >>runs; exec sleep 600"]);
    arena.line_of("work/runs");
    let keeper = arena.keepers()[0].id;
    let stop = |signal| rustix::process::kill_process(rustix::process::Pid::from_raw(keeper.pid).unwrap(), signal);
    stop(rustix::process::Signal::STOP).unwrap();
    let report = arena.json(&["kill", &id, "--json"]);
    assert_eq!(report["sessions"][0]["outcome"], "clean", "{report}");
    let ended = arena.until_state(&id, "ended");
    assert_eq!(ended["exit"]["by"], "user", "{ended}");
    until("its keeper has gone", || arena.keepers().is_empty());
    assert_eq!(std::fs::read_to_string(arena.path("work/runs")).unwrap(), "run\n");
}

#[test]
fn what_somebody_closes_is_never_started_again() {
    let arena = Arena::with(FAST);
    let id = begin(&arena, "echo run >>runs; trap 'exit 3' TERM; sleep 600 & wait");
    until("it runs", || runs(&arena) == 1);
    arena.run(&["kill", &id]).ok();
    assert_eq!(arena.show(&id)["state"], "ended");
    let second = arena.session(&["--restart", "on-failure", "--", "sh", "-c", "echo run >>runs; exec sleep 600"]);
    until("it runs", || runs(&arena) == 2);
    arena.run(&["close-all"]).ok();
    assert_eq!(arena.show(&second)["exit"]["by"], "user");
    until("the keepers go", || arena.keepers().is_empty());
    assert_eq!((runs(&arena), arena.agents()), (2, Vec::new()));
}

#[test]
fn the_daemon_is_not_needed_and_a_new_one_knows_what_is_to_come() {
    let arena = Arena::with(SLOW);
    let id = begin(&arena, "echo run >>runs; exit 7");
    until_waiting(&arena, &id);
    arena.kill_daemon();
    until_waiting(&arena, &id);
    arena.run(&["restart", &id]).ok();
    until("a restart by hand does not wait", || runs(&arena) == 2);
    until_waiting(&arena, &id);
    arena.run(&["kill", &id]).ok();
    // Without any daemon it goes on by itself.
    arena.configure("[restart]\nbase = \"500ms\"\nmost = \"500ms\"\n[shutdown]\nsessions = \"keep\"\n");
    arena.run(&["config", "reload"]).ok();
    let id = arena.session(&[
        "--restart",
        "on-failure",
        "--",
        "sh",
        "-c",
        "echo run >>runs; [ $(wc -l <runs) = 5 ] && exec sleep 600",
    ]);
    until_some("it waits", || Some(arena.show(&id)).filter(|s| s["state"] == "starting"));
    arena.kill_daemon();
    until("it was started again", || runs(&arena) == 5);
    assert_eq!(arena.daemons(), []);
    assert_eq!(arena.show(&id)["state"], "running");
    assert_eq!(arena.run(&["daemon", "stop", "--yes", "--keep"]).status, 0);
    assert_eq!(arena.run(&["close-all", "--json"]).json()["closed"], 1);
    assert_eq!(arena.agents(), []);
}

#[test]
fn what_is_left_of_a_run_holds_the_next_one() {
    let arena = Arena::with(FAST);
    let id = begin(
        &arena,
        "echo run >>runs; [ $(wc -l <runs) = 2 ] && exec sleep 600; setsid sh -c 'echo $$ >left; exec sleep 600' & while ! [ -s left ]; do sleep 0.01; done; exit 3",
    );
    // How many are left is counted a moment after the end is seen.
    let held = json!("ended (exit 3), 1 left; restarts when they are gone (1 of 3)");
    let row = until_some("it is held", || Some(arena.show(&id)).filter(|s| s["reason"] == held));
    assert_eq!((&row["state"], &row["exit"]), (&json!("lingering"), &json!(null)));
    arena.kill_daemon();
    assert_eq!(arena.show(&id)["state"], "lingering");
    let left = arena.line_of("work/left").parse::<i64>().unwrap();
    arena.kill(pid_of(&json!(left)));
    until("then it comes", || runs(&arena) == 2);
    assert_eq!(arena.show(&id)["state"], "running");
    arena.run(&["kill", &id]).ok();
    assert_eq!(arena.agents(), []);
}

#[test]
fn without_its_keeper_nothing_comes_and_the_last_end_is_known() {
    let arena = Arena::with(SLOW);
    let id = begin(&arena, "exit 7");
    until_waiting(&arena, &id);
    arena.kill(pid_of(&arena.show(&id)["keeper_pid"]));
    let row = arena.until_state(&id, "ended");
    assert_eq!((&row["exit"]["code"], &row["exit"]["by"]), (&json!(7), &json!("itself")), "{row}");
}

#[test]
fn a_command_that_is_no_longer_there_is_an_end() {
    let arena = Arena::with(FAST);
    let script = arena.script("work/once.sh", "#!/bin/sh\nrm once.sh; exit 3\n");
    let id = arena.session(&["--restart", "on-failure", "--", &script]);
    assert_eq!(arena.run(&["wait", &id]).status, 3);
    let reason = arena.until_state(&id, "ended")["exit"]["reason"].as_str().unwrap().to_string();
    assert!(reason.starts_with("exit status 3; could not be started again: "), "{reason}");
    until("its keeper goes", || arena.keepers().is_empty());
}
