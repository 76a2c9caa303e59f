//! An agent is asked in its own way first: its word at its prompt, or the signal its profile names; and only there.

use serde_json::Value;

use super::support::{Arena, has, until, until_some};

/// Typed to only where its prompt was seen; the other kind wants INT.
const KINDS: &str = r#"
[stop]
grace = "10s"
[[agent]]
name = "typed"
[agent.match]
program = ["typed-agent"]
[[agent.look]]
rule = "prompt"
in = "last 1"
any = ['^>$']
says = "idle"
[[agent.look]]
rule = "asks"
in = "last 1"
any = ['^go on\?']
says = "waiting"
[agent.stop]
type = "/exit"
[[agent]]
name = "signalled"
[agent.match]
program = ["signalled-agent"]
[agent.stop]
signal = "INT"
"#;

/// Deaf to every polite signal; says into a file what was typed, and ends by its word.
fn prompt(shown: &str) -> String {
    format!(
        "setsid sleep 600 &\ntrap '' TERM HUP INT\nstty -echo\nprintf '{shown}'\n\
         while read -r line; do echo \"$line\" >> typed; [ \"$line\" = /exit ] && exit 7; done; exec sleep 600"
    )
}

fn start(arena: &Arena, agent: &str, script: &str) -> String {
    let path = arena.script(&format!("{agent}-agent"), &format!("#!/bin/bash\n{script}\n"));
    arena.session(&["--agent", agent, "--", &path])
}

fn attention(arena: &Arena, id: &str) -> Value {
    let rows = arena.json(&["ls", "--json"]);
    rows.as_array().unwrap().iter().find(|r| r["id"] == id).unwrap()["attention"].clone()
}

fn typed(arena: &Arena) -> Option<String> {
    std::fs::read_to_string(arena.path("work/typed")).ok()
}

#[test]
fn an_agent_at_its_prompt_ends_by_its_own_word_and_what_was_typed_there_goes_first() {
    if !has("bash") {
        return;
    }
    let arena = Arena::with(KINDS);
    let id = start(&arena, "typed", &prompt("> "));
    until("its prompt is seen", || attention(&arena, &id) == "idle");
    arena.run(&["send", &id, "half a sentence"]).ok();
    let report = arena.json(&["kill", &id, "--json"]);
    let closed = &report["sessions"][0];
    assert_eq!((closed["outcome"].as_str(), typed(&arena).as_deref()), (Some("clean"), Some("/exit\n")), "{report}");
    assert_eq!(arena.until_state(&id, "ended")["exit"]["code"], 7, "its own way, with its own status");
    assert!(closed["signals"].as_array().unwrap().contains(&"TERM".into()), "what it left was asked as well: {report}");
    assert!(arena.agents().is_empty());
}

#[test]
fn nothing_is_typed_where_it_would_answer_a_question_nor_when_there_is_no_time() {
    if !has("bash") {
        return;
    }
    let arena = Arena::with(&KINDS.replace("10s", "1s"));
    let asks = start(&arena, "typed", &prompt("go on? "));
    until("it asks", || attention(&arena, &asks) == "waiting");
    let report = arena.json(&["kill", &asks, "--json"]);
    assert_eq!(report["sessions"][0]["outcome"], "forced", "{report}");
    let idle = start(&arena, "typed", &prompt("> "));
    until("its prompt is seen", || attention(&arena, &idle) == "idle");
    let report = arena.json(&["kill", &idle, "--now", "--json"]);
    assert_eq!(report["sessions"][0]["outcome"], "forced", "{report}");
    assert_eq!(typed(&arena), None);
    assert!(arena.agents().is_empty());
}

#[test]
fn an_agent_that_wants_a_signal_of_its_own_gets_it_first_and_alone() {
    if !has("bash") {
        return;
    }
    let arena = Arena::with(KINDS);
    let script = "trap 'exit 9' INT\ntrap 'echo TERM >> heard' TERM\n\
                  bash -c \"trap 'echo INT >> heard; exit' INT; echo up > child; while :; do sleep 0.05; done\" &\n\
                  while :; do sleep 0.05; done";
    let id = start(&arena, "signalled", script);
    until_some("its tool runs", || std::fs::read_to_string(arena.path("work/child")).ok());
    let report = arena.json(&["kill", &id, "--json"]);
    assert_eq!(report["sessions"][0]["signals"][0], "INT", "{report}");
    assert_eq!(arena.until_state(&id, "ended")["exit"]["code"], 9);
    assert!(std::fs::read_to_string(arena.path("work/heard")).is_err(), "nobody else was sent INT, and it no TERM");
    assert!(arena.agents().is_empty());
}
