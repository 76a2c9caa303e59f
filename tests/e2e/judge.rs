//! Healthy, stuck, waiting: verdicts of real agents, in fast time. Where something must *not* happen, a neighbour tells when it
//! would have: both are judged by the same clock.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use super::support::{Arena, has, is_root, pid_of, until, until_some};

/// Three seconds of silence are too many. A kind of agent of its own, with a helper and a prompt.
const FAST: &str = r#"
[health]
stuck_after = "3s"
orphaned_after = "1h"
spin_after = "3s"
[stop]
grace = "300ms"
[[agent]]
name = "fake"
spinner = "<>"
[agent.match]
program = ["fake-agent"]
[[agent.helper]]
rule = "server"
kind = "mcp"
stdio = true
program = ["fake-mcp"]
[[agent.look]]
rule = "asks"
in = "last 2"
any = ['^shall i go on\? \(y/n\)']
says = "waiting"
[agent.resume]
last = "fake-agent --continue"
"#;

/// Waits a twentieth of a second without starting a process.
const PAUSE: &str = "exec 3<> <(:)\npause() { read -rt 0.05 -u 3; }\n";

fn bash(arena: &Arena, name: &str, script: &str, options: &[&str]) -> String {
    let path = arena.script(name, &format!("#!/bin/bash\n{PAUSE}{script}\n"));
    arena.session(&[&["--name", name, "--agent", "fake"], options, &["--", &path]].concat())
}

/// The row of a session, measured for the purpose.
#[track_caller]
fn row(arena: &Arena, id: &str) -> Value {
    let rows = arena.json(&["ls", "--json"]);
    rows.as_array().unwrap().iter().find(|r| r["id"] == id).unwrap_or_else(|| panic!("no {id} in {rows}")).clone()
}

#[track_caller]
fn until_row(arena: &Arena, id: &str, what: &str, mut is_so: impl FnMut(&Value) -> bool) -> Value {
    until_some(what, || Some(row(arena, id)).filter(&mut is_so))
}

#[track_caller]
fn until_stuck(arena: &Arena, id: &str) -> Value {
    until_row(arena, id, "it is stuck", |row| row["health"] == "stuck")
}

/// Until a silent neighbour has been silent for three times as long as is too long.
#[track_caller]
fn until_long_past(arena: &Arena, neighbour: &str) {
    until_row(arena, neighbour, "long past", |row| row["idle_seconds"].as_f64().unwrap() > 9.0);
}

#[test]
fn who_hangs_behind_a_spinner_is_stuck_and_who_writes_is_not() {
    if !has("bash") {
        return;
    }
    let arena = Arena::with(FAST);
    let spinner = "while :; do for g in ⠋ ⠙ ⠹ ⠸ '<' '>'; do printf '\\r%s Thinking…' \"$g\"; pause; done; done";
    let clock = "while :; do for g in ✶ ✻ ·; do printf '\\r%s Working… (%ds · ↓ %d tokens)' \"$g\" $SECONDS $((n += 31)); pause; done; done";
    let writer = "while :; do for w in {a..z}{a..z}{a..z}; do echo \"step $w\"; pause; done; done";
    let spinner_id = bash(&arena, "spinner", spinner, &[]);
    let clock_id = bash(&arena, "clock", clock, &[]);
    let piped_id = bash(&arena, "piped", clock, &["--pipe"]);
    let writers = [bash(&arena, "writer", writer, &[]), bash(&arena, "piped-writer", writer, &["--pipe"])];
    for id in [&spinner_id, &clock_id, &piped_id] {
        let row = until_stuck(&arena, id);
        assert!(row["reason"].as_str().unwrap().starts_with("no activity for "), "{row}");
    }
    until_long_past(&arena, &spinner_id);
    for id in &writers {
        let row = row(&arena, id);
        assert_eq!(row["health"], "healthy", "{row}");
        assert!(row["messages"].as_u64().unwrap() > 0, "{row}");
    }
    let (before, _) = arena.recorded(&spinner_id);
    until("it still turns", || arena.recorded(&spinner_id).0.len() > before.len());
    let advice = arena.json(&["health", "--json"])["recommendations"].clone();
    let text = advice.as_array().unwrap().iter().find(|r| r["id"] == spinner_id.as_str()).unwrap()["text"].clone();
    let text = text.as_str().unwrap();
    assert!(text.contains("consider closing: no activity for ") && text.contains("`fake-agent --continue`"), "{text}");
}

#[test]
fn a_quiet_tool_keeps_its_agent_healthy_and_a_polling_helper_does_not() {
    if !has("bash") {
        return;
    }
    let arena = Arena::with(FAST);
    // It sleeps most of the time.
    let poll = "while :; do head -c 60000 /dev/zero | cksum >/dev/null; sleep 0.3; done";
    let tool = arena.script("npm-install", &format!("#!/bin/bash\n{poll}\n"));
    let helper = arena.script("fake-mcp", &format!("#!/bin/bash\n{poll}\n"));
    let hangs = |child: &str| format!("echo calling\n{child} &\nwait");
    let with_tool = bash(&arena, "with-tool", &hangs(&tool), &[]);
    let with_helper = bash(&arena, "with-helper", &hangs(&helper), &[]);
    until_stuck(&arena, &with_helper);
    until_long_past(&arena, &with_helper);
    let row = row(&arena, &with_tool);
    assert_eq!(row["health"], "healthy", "{row}");
    let evidence = arena.show(&with_tool)["evidence"].clone();
    assert!(evidence.as_array().unwrap().iter().any(|e| e["kind"] == "work" && e["at"].is_string()), "{evidence}");
}

#[test]
fn a_prompt_is_waited_at_until_it_is_answered() {
    if !has("bash") {
        return;
    }
    let arena = Arena::with(FAST);
    let script = "stty -echo; printf 'Shall I go on? (y/n) '; read -r answer; clear; echo \"so be it\"; read -r more";
    let id = bash(&arena, "asks", script, &[]);
    until_row(&arena, &id, "it waits", |row| row["attention"] == "waiting");
    let row = until_stuck(&arena, &id);
    assert_eq!(row["attention"], "waiting");
    assert!(row["reason"].as_str().unwrap().starts_with("waiting for you, "), "{row}");
    let evidence = arena.show(&id)["evidence"].clone();
    assert!(evidence.as_array().unwrap().iter().any(|e| e["kind"] == "screen"), "{evidence}");
    arena.run(&["send", &id, "y", "--enter"]).ok();
    until_row(&arena, &id, "it goes on", |row| row["attention"] != "waiting" && row["health"] == "healthy");
}

#[test]
fn a_heartbeat_holds_as_long_as_it_beats() {
    let arena = Arena::with(FAST);
    let beats = arena.sh("beats", "exec sleep 600");
    let silent = arena.sh("silent", "exec sleep 600");
    let beat = || {
        let path = format!("/api/heartbeat?session_id={beats}");
        assert_eq!(super::ask::ask(&arena.socket(), "POST", &path, "").status, 200);
    };
    until_row(&arena, &silent, "long past", |row| {
        beat();
        row["idle_seconds"].as_f64().unwrap() > 9.0
    });
    assert_eq!(row(&arena, &silent)["health"], "stuck");
    let held = row(&arena, &beats);
    assert_eq!(held["health"], "healthy", "{held}");
    assert!(held["reason"].as_str().unwrap().starts_with("heartbeat "), "{held}");
    until_stuck(&arena, &beats);
}

#[test]
fn who_spins_without_a_word_is_stuck_although_it_is_at_work() {
    let arena = Arena::with(FAST);
    // On a very busy machine it gets next to nothing, unless it goes first.
    let first: &[&str] = if is_root() { &["nice", "-n", "-19"] } else { &[] };
    let command = [&["--name", "spins", "--"], first, &["sh", "-c", "while :; do :; done"]].concat();
    let id = arena.session(&command);
    let row = until_stuck(&arena, &id);
    assert!(row["reason"].as_str().unwrap().starts_with("spinning: no output "), "{row}");
}

/// How long the daemon is away: far longer than is too long.
const AWAY: Duration = Duration::from_secs(8);

fn away() {
    let begin = Instant::now();
    until("the time has passed", || begin.elapsed() > AWAY);
}

#[test]
fn nobody_ages_while_the_machine_sleeps() {
    let arena = Arena::with(FAST);
    let id = arena.sh("silent", "exec sleep 600");
    until_row(&arena, &id, "it is known", |row| row["idle_seconds"].is_number());
    let daemon = arena.daemon();
    arena.signal(daemon, Signal::STOP);
    away();
    arena.signal(daemon, Signal::CONT);
    let after = row(&arena, &id);
    assert!(after["idle_seconds"].as_f64().unwrap() < AWAY.as_secs_f64(), "{after}");
    assert_eq!(arena.log().matches("daemon started ").count(), 1);
    until_stuck(&arena, &id);
}

#[test]
fn nobody_ages_while_there_is_no_daemon_and_what_was_known_stays_known() {
    let arena = Arena::with(FAST);
    let silent = arena.sh("silent", "exec sleep 600");
    let leader = pid_of(&row(&arena, &silent)["leader_pid"]);
    let stuck = arena.sh("stuck", "exec sleep 600");
    until_stuck(&arena, &stuck);
    // This one has just done something.
    arena.run(&["heartbeat", &silent]).ok();
    arena.kill_daemon();
    away();
    let after = row(&arena, &silent);
    assert!(after["idle_seconds"].as_f64().unwrap() < AWAY.as_secs_f64(), "{after}");
    assert_eq!(pid_of(&after["leader_pid"]), leader);
    assert_eq!(row(&arena, &stuck)["health"], "stuck");
    until_stuck(&arena, &silent);
}

#[test]
fn what_the_agent_of_a_session_says_of_itself_counts_while_it_is_fresh_and_names_its_conversation() {
    let arena = Arena::with(FAST);
    let claude = |name: &str| {
        std::fs::create_dir_all(arena.path(name)).unwrap();
        let path = arena.script(&format!("{name}/claude"), "#!/bin/sh\nexec 0<&-\nwhile :; do sleep 600; done\n");
        arena.session(&["--name", name, "--", &path])
    };
    let (id, silent) = (claude("says"), claude("silent"));
    let leader = pid_of(&row(&arena, &id)["leader_pid"]);
    let write = |leader: beadle::model::session::ProcId, status: &str| {
        let file = arena.path(&format!("home/.claude/sessions/{}.json", leader.pid));
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
        let body = serde_json::json!({ "pid": leader.pid, "procStart": leader.start.to_string(), "sessionId": "c1",
            "status": status, "waitingFor": "approve Bash", "statusUpdatedAt": u64::try_from(now).unwrap() });
        std::fs::write(&file, body.to_string()).unwrap();
    };
    until_row(&arena, &silent, "long past", |row| {
        write(leader, "busy");
        row["idle_seconds"].as_f64().unwrap() > 9.0
    });
    assert_eq!(row(&arena, &silent)["health"], "stuck");
    let busy = row(&arena, &id);
    assert_eq!((busy["health"].as_str(), busy["attention"].as_str()), (Some("healthy"), Some("working")), "{busy}");
    write(leader, "waiting");
    until_row(&arena, &id, "it waits", |row| row["attention"] == "waiting");
    let evidence = arena.show(&id)["evidence"].clone();
    let text = "its own status file says waiting, for: approve Bash";
    assert!(evidence.as_array().unwrap().iter().any(|e| e["kind"] == "status" && e["text"] == text), "{evidence}");
    // The last word is old by now, and ages like the rest.
    until_stuck(&arena, &id);
    write(pid_of(&row(&arena, &silent)["leader_pid"]), "idle");
    let row = until_row(&arena, &silent, "its twin is seen", |row| row["reason"].as_str().unwrap().contains("says"));
    assert_eq!(row["health"], "stuck", "{row}");
    let report = arena.json(&["kill", &id, "--json"]);
    assert_eq!(report["sessions"][0]["resume"], "claude --resume c1", "{report}");
}

/// An agent that says what it does, as goose does: it runs a command with a word behind it.
#[test]
fn what_an_agent_says_through_its_hook_is_believed_and_a_hook_that_was_there_is_run_too() {
    let arena = Arena::new();
    let script = "#!/bin/sh\nsay() { sh -c \"$GOOSE_STATUS_HOOK $1\"; }\nwhile read -r word; do say \"$word\"; done\n";
    arena.script("work/goose", script);
    let mine = format!("GOOSE_STATUS_HOOK=echo >>{}", arena.path("work/mine").display());
    let goose = arena.path("work/goose").display().to_string();
    let id = arena.session(&["--env", &mine, "--", &goose, "session"]);
    for (word, attention) in [("thinking", "working"), ("waiting", "waiting"), ("thinking", "working")] {
        arena.run(&["send", &id, word, "--enter"]).ok();
        until(word, || arena.show(&id)["attention"] == attention);
    }
    let mine = || std::fs::read_to_string(arena.path("work/mine")).unwrap_or_default();
    until("the other hook has run too", || mine() == "thinking\nwaiting\nthinking\n");
    // Another word is nobody's, and no beat.
    arena.run(&["heartbeat", &id, "--says", "sleeping"]).fails(1, "has no word");
}

#[test]
fn a_conversation_that_was_left_is_not_open_twice_when_another_takes_it_up() {
    let arena = Arena::with(FAST);
    let claude = |name: &str| {
        std::fs::create_dir_all(arena.path(name)).unwrap();
        let path = arena.script(&format!("{name}/claude"), "#!/bin/sh\nexec 0<&-\nwhile :; do sleep 600; done\n");
        let id = arena.session(&["--name", name, "--", &path]);
        let leader = pid_of(&row(&arena, &id)["leader_pid"]);
        (id, leader, arena.path(&format!("home/.claude/sessions/{}.json", leader.pid)))
    };
    let says = |leader: beadle::model::session::ProcId, file: &std::path::Path| {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        let body = serde_json::json!({ "pid": leader.pid, "procStart": leader.start.to_string(), "sessionId": "c1", "status": "idle" });
        std::fs::write(file, body.to_string()).unwrap();
    };
    let (first, leader, file) = claude("first");
    says(leader, &file);
    until_row(&arena, &first, "it is heard", |row| row["attention"] == "idle");
    std::fs::remove_file(&file).unwrap();
    until_row(&arena, &first, "it has left it", |row| row["attention"] != "idle");
    let (second, leader, file) = claude("second");
    says(leader, &file);
    until_row(&arena, &second, "it has taken it up", |row| row["attention"] == "idle");
    for id in [&first, &second] {
        let reason = row(&arena, id)["reason"].as_str().unwrap().to_string();
        assert!(!reason.contains("conversation"), "{reason}");
    }
    // What was last told is still how it is resumed.
    let report = arena.json(&["kill", &first, "--json"]);
    assert_eq!(report["sessions"][0]["resume"], "claude --resume c1", "{report}");
}
