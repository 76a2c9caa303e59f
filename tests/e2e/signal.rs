//! `beadle signal`: to the group of the agent, and to nobody else of the session.

use super::support::{Arena, until};

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
