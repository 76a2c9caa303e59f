//! The conversation of an agent that has ended goes on in a new session of the same name.

use serde_json::json;

use super::support::{Arena, until};

const PROFILE: &str = "[stop]\ngrace = \"300ms\"\n[[agent]]\nname = \"talker\"\nmatch = { program = [\"talker\"] }\n\
    resume = { session = \"talker --take {session}\", last = \"talker --go-on 'the last one'\" }\n";

/// Writes down how it was called, and where, and what it was given.
fn arena() -> (Arena, String) {
    let arena = Arena::with(PROFILE);
    let talker = arena.script("talker", "echo \"$PWD|$GIVEN|$#|$*\" >>calls; exec sleep 600");
    (arena, talker)
}

fn calls(arena: &Arena) -> Vec<String> {
    let text = std::fs::read_to_string(arena.path("work/calls")).unwrap_or_default();
    text.lines().map(String::from).collect()
}

#[test]
fn who_has_ended_goes_on_under_its_name_and_where_it_was() {
    let (arena, talker) = arena();
    let id = arena.session(&["--name", "a", "--project", "shop", "--", &talker, "--model", "x"]);
    until("it runs", || calls(&arena).len() == 1);
    arena.run(&["resume", "a"]).fails(1, "has not ended");
    arena.run(&["kill", "a"]).ok();
    let ended = arena.until_state(&id, "ended");
    assert_eq!(ended["resume"], "talker --go-on 'the last one'", "{ended}");
    let mut resume = arena.beadle(&["resume", "a"]);
    resume.env("GIVEN", "by the caller").current_dir("/");
    let said = super::support::Running::of(resume).wait().ok();
    assert_eq!(said, "✔ a resumed, with the environment of this shell\n");
    until("it runs again", || calls(&arena).len() == 2);
    let work = arena.path("work");
    assert_eq!(calls(&arena)[1], format!("{}|by the caller|2|--go-on the last one", work.display()));
    let row = arena.show("a");
    assert_ne!(row["id"], json!(id));
    assert_eq!((&row["project"], &row["agent"], &row["state"]), (&json!("shop"), &json!("talker"), &json!("running")));
    // The name is taken now: the one before can be named by its id alone, and is refused for it.
    arena.run(&["resume", &id]).fails(5, "already called");
}

#[test]
fn a_conversation_that_was_named_is_the_one_that_goes_on() {
    let (arena, talker) = arena();
    let id = arena.session(&["--name", "a", "--", &talker, "--take", "0f-1"]);
    arena.run(&["kill", "a", "--now"]).ok();
    assert_eq!(arena.until_state(&id, "ended")["resume"], "talker --take 0f-1");
}

#[test]
fn who_has_no_conversation_is_refused_with_what_to_do_instead() {
    let arena = Arena::new();
    let id = arena.session(&["--name", "plain", "--", "sleep", "600"]);
    arena.run(&["kill", "plain", "--now"]).ok();
    arena.until_state(&id, "ended");
    let said = arena.run(&["resume", "plain"]);
    assert!(said.status != 0 && said.err.contains("`beadle restart plain` begins anew"), "{said:?}");
    assert_eq!(arena.run(&["resume", "nobody"]).status, 4);
    assert_eq!(arena.agents(), []);
}
