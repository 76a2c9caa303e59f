//! Untrusted text: what processes say never steers the terminal of a person, and nothing breaks on it.

use super::support::{Arena, until};

/// Output for people holds no control characters but newlines and tabs.
#[track_caller]
fn is_harmless(what: &str, text: &str) {
    let found: Vec<char> = text.chars().filter(|c| c.is_control() && !"\n\t".contains(*c)).collect();
    assert!(found.is_empty(), "{what}: {found:?} in {text:?}");
    // No line may read as another.
    let turns =
        |c| matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    assert!(!text.contains(turns), "{what}: {text:?}");
}

const EVIL: &str =
    "\x1b]0;owned\x07\x1b[2J\x1b[31mred\x1b[m\u{202e}\u{2067}\u{061c}\u{9b}5n\x08\x7f\r\nnext\x1bP+q\x1b\\ end";

#[track_caller]
fn everything_shown_is_harmless(arena: &Arena, id: &str) {
    for args in [
        &["ls"][..],
        &["ls", "--all"],
        &["show", id],
        &["peek", id],
        &["logs", id],
        &["health"],
        &["kill", id, "--dry-run"],
        &["daemon", "logs"],
        &["kill", id],
        &["ls", "--all"],
        &["show", id],
        &["logs", id],
    ] {
        let said = arena.run(args);
        is_harmless(&format!("{args:?}"), &said.out);
        is_harmless(&format!("{args:?}"), &said.err);
    }
}

#[test]
fn arguments_names_and_output_with_escape_sequences_do_not_reach_the_terminal() {
    let arena = Arena::new();
    let id = arena.session(&[
        "--agent",
        EVIL,
        "--project",
        EVIL,
        "--",
        "sh",
        "-c",
        "printf %s \"$1\"; exec sleep 600",
        EVIL,
        EVIL,
    ]);
    until("it has spoken", || arena.recorded(&id).0.ends_with(b" end"));
    everything_shown_is_harmless(&arena, &id);
}

#[test]
fn a_title_a_file_name_and_a_process_name_with_escape_sequences_do_not_reach_the_terminal() {
    let arena = Arena::new();
    let script = arena.script(
        "work/e\x1b[31mvil\x07 (x) S 1 1\n",
        "#!/bin/sh\nprintf '\\033]0;tit\\033[2Jle\\007'; echo up; sleep 600; :\n",
    );
    let id = arena.session(&["--", &script]);
    until("it has spoken", || arena.recorded(&id).0.ends_with(b"up\r\n"));
    assert!(arena.show(&id)["leader_pid"].is_i64());
    everything_shown_is_harmless(&arena, &id);
    assert_eq!(arena.agents(), []);
}

#[test]
fn bytes_that_are_no_text_and_sequences_without_end_do_no_harm() {
    let arena = Arena::new();
    let script = "stty -opost; printf '\\377\\376\\300\\200 \\033]0;no end of this title'; head -c 300000 /dev/urandom; \
        printf '\\033P no end'; head -c 90000 /dev/zero | tr '\\0' y; printf '\\033[999999999;999999999H\\033[99999999999999999999X'; \
        printf '\\030\\033c'; echo; echo THE END; exec sleep 600";
    let id = arena.sh("a", script);
    until("it has spoken", || arena.run(&["peek", &id]).ok().contains("THE END"));
    assert!(arena.recorded(&id).0.len() > 390_000);
    everything_shown_is_harmless(&arena, &id);
}

#[test]
fn ten_kilobytes_of_name_or_argument_are_refused_or_cut_and_never_a_page() {
    let arena = Arena::new();
    let long = "x".repeat(10_000);
    arena.run(&["run", "--name", &long, "--", "sleep", "1"]).fails(2, "at most 100 characters");
    let id = arena.session(&["--agent", &long, "--", "sh", "-c", "exec sleep 600", &long]);
    for line in arena.run(&["ls"]).ok().lines() {
        assert!(line.chars().count() < 400, "{} characters", line.chars().count());
    }
    assert_eq!(arena.show(&id)["command"][3].as_str().unwrap().len(), 10_000);
    everything_shown_is_harmless(&arena, &id);
}

#[test]
fn an_argument_or_variable_that_is_not_utf8_is_said_and_not_guessed() {
    use std::os::unix::ffi::OsStringExt;
    let arena = Arena::new();
    let bad = std::ffi::OsString::from_vec(vec![b'a', 0xff, b'b']);
    let mut command = arena.beadle(&["run", "--", "sh", "-c", "exec sleep 600"]);
    let output = command.arg(&bad).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    is_harmless("stderr", &String::from_utf8(output.stderr).unwrap());
    let mut command = arena.beadle(&["run", "--", "sh", "-c", "echo \"[$ODD]\"; exec sleep 600"]);
    let output = command.env("ODD", &bad).output().unwrap();
    assert!(output.status.success() && String::from_utf8_lossy(&output.stderr).contains("ODD"), "{output:?}");
}

#[test]
fn a_reader_that_goes_away_and_a_full_pipe_end_a_verb_quietly() {
    let arena = Arena::new();
    let id = arena.sh("a", "head -c 2000000 /dev/zero | tr '\\0' x; exec sleep 600");
    until("it has spoken", || arena.recorded(&id).0.len() == 2_000_000);
    let run = format!("{} logs {id} | head -c 10 >/dev/null; exec {} ls >/dev/full", arena.binary(), arena.binary());
    let output = arena.program("sh").args(["-c", &run]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(err.lines().count() == 1 && err.contains("failed to write"), "{err}");
}
