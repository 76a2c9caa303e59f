//! `doctor` looks, says, and changes nothing.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use super::support::{Arena, Running, has, is_root, until};

#[track_caller]
fn finding(arena: &Arena, name: &str) -> Value {
    let said = arena.run(&["doctor", "--json"]);
    let all: Vec<Value> = serde_json::from_str(&said.out).unwrap();
    let failing = all.iter().any(|f| f["level"] == "fail");
    assert_eq!(said.status, i32::from(failing), "{said:?}");
    all.into_iter().find(|f| f["name"] == name).unwrap_or_else(|| panic!("no {name} in {said:?}"))
}

#[test]
fn it_starts_nothing_makes_nothing_and_every_line_has_a_level() {
    let arena = Arena::new();
    let all = arena.json(&["doctor", "--json"]);
    for one in all.as_array().unwrap() {
        assert!(["ok", "note", "warn"].contains(&one["level"].as_str().unwrap()), "{one}");
        assert!(one["text"].is_string() && (one["advice"].is_null() || one["advice"].is_string()), "{one}");
    }
    let text = arena.run(&["doctor"]).ok();
    assert!(text.contains("✔ daemon              none runs"), "{text}");
    assert!(!arena.state().exists() && !arena.path("run").exists() && arena.daemons().is_empty());
}

#[test]
fn what_is_wrong_is_found_and_its_status_is_one() {
    let arena = Arena::new();
    let id = arena.sh("a", "trap '' HUP; exec sleep 600");
    assert_eq!(finding(&arena, "daemon")["text"], "it runs, with 1 sessions");
    assert_eq!(finding(&arena, "sessions")["level"], "ok");
    let keeper = super::support::pid_of(&arena.show(&id)["keeper_pid"]);
    arena.kill(keeper);
    until("the loss is noticed", || arena.show(&id)["health"] == "orphaned");
    assert_eq!(finding(&arena, "sessions")["text"], "not everything is known of a (its keeper is gone)");
    let stale = finding(&arena, "sockets");
    assert!(
        stale["level"] == "note" && stale["text"].as_str().unwrap().contains(&format!("keepers/{id}.sock")),
        "{stale}"
    );
    std::fs::set_permissions(arena.path("run"), PermissionsExt::from_mode(0o755)).unwrap();
    assert_eq!(finding(&arena, "runtime directory")["level"], "warn");
    arena.configure("[cleanup]\nmax_idel = \"1m\"\n");
    let config = finding(&arena, "config");
    assert!(config["level"] == "fail" && config["text"].as_str().unwrap().contains("max_idle"), "{config}");
    arena.run(&["kill", &id]).ok();
}

#[test]
fn a_daemon_that_does_not_answer_is_a_failure_and_nobody_waits_for_it_for_long() {
    let arena = Arena::new();
    arena.run(&["daemon", "start"]).ok();
    let daemon = arena.daemon();
    arena.signal(daemon, rustix::process::Signal::STOP);
    assert_eq!(finding(&arena, "daemon")["text"], "one holds the lock and does not answer");
    arena.signal(daemon, rustix::process::Signal::CONT);
}

#[test]
fn profiles_say_which_process_is_an_agent_and_by_which_rule() {
    let arena = Arena::new();
    let agent = arena.path("work/claude");
    std::fs::copy("/bin/sleep", &agent).unwrap();
    let id = arena.session(&["--", agent.to_str().unwrap(), "600"]);
    let pid = arena.show(&id)["leader_pid"].clone();
    let known = arena.json(&["doctor", "profiles", "--json"]);
    let one = known.as_array().unwrap().iter().find(|k| k["pid"] == pid).unwrap_or_else(|| panic!("{pid}: {known}"));
    assert_eq!(
        (&one["is"], &one["agent"], &one["rule"]),
        (&json!("agent"), &json!("claude"), &json!("its name is claude"))
    );
    let text = arena.run(&["doctor", "profiles"]).ok();
    assert!(text.contains("Agents (") && text.contains("its name is claude"), "{text}");
    if is_root() && has("setpriv") {
        let other = Arena::of_user(65534);
        assert!(!other.run(&["doctor", "profiles", "--json"]).ok().contains(&format!("\"pid\": {pid},")));
    }
}

#[test]
fn a_wrong_host_is_said_at_once() {
    let arena = Arena::new();
    let nowhere = format!("unix://{}", arena.path("nowhere").display());
    let mut command = arena.beadle(&["doctor", "--host", &nowhere]);
    command.env("NO_COLOR", "1");
    let said = Running::of(command).wait();
    assert!(said.status == 1 && said.out.contains("does not answer"), "{said:?}");
}
