//! `beadle signal`: to the group of the agent, and to nobody else of the session.

use super::ask::ask;
use super::discover::Tmux;
use super::support::{Arena, has, until};

/// Writes down what it hears; its helper, in a session of its own, does too.
const AGENT: &str = r#"
trap 'echo agent >>heard' INT USR1
setsid sh -c 'trap "echo helper >>heard" INT USR1; : >helper-up; while :; do sleep 0.02; done' &
: >up
while :; do sleep 0.02; done
"#;

fn heard(arena: &Arena) -> String {
    std::fs::read_to_string(arena.path("work/heard")).unwrap_or_default()
}

#[test]
fn a_signal_reaches_the_agents_group_and_not_what_left_it() {
    let arena = Arena::new();
    let id = arena.sh("docs", AGENT);
    until("both to listen", || arena.path("work/up").exists() && arena.path("work/helper-up").exists());
    let said = arena.run(&["signal", "docs", "usr1"]).ok();
    assert!(said.contains("docs USR1 sent to"), "{said}");
    until("the agent to hear it", || heard(&arena).contains("agent"));
    arena.run(&["signal", &id, "SIGINT"]).ok();
    until("the agent to hear it again", || heard(&arena).matches("agent").count() == 2);
    assert!(!heard(&arena).contains("helper"));
    let done = arena.json(&["signal", "docs", "STOP", "--json"]);
    assert_eq!(done["sessions"][0]["name"], "docs");
    arena.run(&["signal", "docs", "CONT"]).ok();
}

#[test]
fn what_is_no_signal_or_no_session_is_refused_before_anything_is_sent() {
    let arena = Arena::new();
    arena.sh("docs", AGENT);
    until("it to listen", || arena.path("work/up").exists());
    arena.run(&["signal", "docs", "BANANA"]).fails(2, "is no signal: write INT");
    arena.run(&["signal", "docs", "nobody", "INT"]).fails(4, "nobody");
    arena.run(&["kill", "docs", "--now"]).ok();
    arena.run(&["signal", "docs", "INT"]).fails(1, "has gone");
    assert!(!heard(&arena).contains("agent"));
}

/// Writes down what it hears; a sleeper beside it is of its group.
const FOREIGN: &str = "#!/bin/sh\ntrap 'echo agent >>heard' INT USR1\n: >up\nwhile :; do sleep 0.02; done\n";

#[test]
fn an_agent_beadle_did_not_start_hears_a_signal_and_who_shares_its_group_does_not() {
    let arena = Arena::new();
    arena.install(&["claude"], FOREIGN);
    // Without job control the shell, its job and the agent are one group, which the agent does not lead.
    let mut shell = arena.terminal("trap 'echo shell >>heard' USR1\nsh -c 'trap \"echo beside >>heard\" USR1; : >beside; while :; do sleep 0.02; done' &\nclaude\n");
    let found = arena.until_foreign(1).remove(0);
    until("both to listen", || arena.path("work/up").exists() && arena.path("work/beside").exists());
    let (id, name) = (found["id"].as_str().unwrap(), found["name"].as_str().unwrap());
    arena.run(&["signal", id, "USR1"]).fails(2, "--yes");
    assert_eq!(heard(&arena), "");
    let said = arena.run(&["signal", name, "USR1", "--yes"]).ok();
    assert!(said.contains("USR1 sent to 1 process"), "{said}");
    until("the agent to hear it", || heard(&arena).contains("agent"));
    assert_eq!(heard(&arena), "agent\n", "and nobody else");
    // What is not named by its id over HTTP is not touched, and what stops nobody needs no word.
    let body = serde_json::json!({ "targets": [name], "signal": "USR1" }).to_string();
    assert_eq!(ask(&arena.socket(), "POST", "/api/signal", &body).status, 403);
    arena.run(&["signal", id, "CONT"]).ok();
    arena.run(&["signal", id, "STOP", "--yes"]).ok();
    until("it to stand", || arena.show(id)["tree"][0]["state"] == "T");
    arena.run(&["signal", id, "SIGCONT"]).ok();
    until("it to go on", || arena.show(id)["tree"][0]["state"] != "T");
    assert!(!shell.is_over());
    arena.run(&["kill", id, "--yes"]).ok();
    arena.run(&["signal", id, "INT", "--yes"]).fails(1, "has gone");
}

#[test]
fn an_agent_that_leads_its_group_hears_a_signal_with_its_group() {
    let arena = Arena::new();
    arena.install(&["claude"], &format!("#!/bin/sh{AGENT}"));
    // It hears, and so does its child; the helper is in a session of its own.
    let _shell = arena.terminal("exec setsid -w claude\n");
    let found = arena.until_foreign(1).remove(0);
    until("both to listen", || arena.path("work/up").exists() && arena.path("work/helper-up").exists());
    let report = arena.json(&["signal", found["id"].as_str().unwrap(), "USR1", "--yes", "--json"]);
    assert_eq!(report["sessions"].as_array().unwrap().len(), 1, "{report}");
    until("the agent to hear it", || heard(&arena).contains("agent"));
    assert!(!heard(&arena).contains("helper"));
}

#[test]
fn a_plain_shell_is_sent_no_signal() {
    if !has("tmux") {
        return;
    }
    let arena = Arena::new();
    let _tmux = Tmux::new(&arena, "t", "main");
    until("the shell is seen", || arena.json(&["ls", "--shells", "--json"])[0]["agent"] == "shell");
    arena.run(&["signal", "tmux:main:0.0", "TERM", "--yes"]).fails(5, "is a plain shell");
    arena.run(&["signal", "tmux:main:*", "TERM", "--yes"]).fails(4, "no session");
}
