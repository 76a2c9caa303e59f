//! The demo: it plays, it can be left or killed, and nothing of it is left.

use beadle::sys::process;
use rustix::process::Signal;

use super::{Pane, until};

/// Directories of demos, and processes that are about one.
fn left(pane: &Pane) -> Vec<String> {
    let dirs = std::fs::read_dir(pane.home.path("tmp")).unwrap().flatten();
    let dirs = dirs.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let own = pane.home.processes().into_iter().map(|id| process::command(id.pid));
    dirs.chain(own).filter(|text| text.contains("beadle-demo-")).collect()
}

fn plays(pane: &Pane) {
    pane.start("beadle demo");
    pane.sees("nightly-refactor");
    pane.wait("one that has left something behind", |screen| {
        screen.contains("data-backfill") && screen.contains("left")
    });
    assert_ne!(left(pane), [""; 0]);
}

#[track_caller]
fn nothing_is_left(pane: &Pane) {
    until("nothing left", || left(pane).is_empty().then_some(()), || left(pane).join("\n"));
}

#[test]
fn it_plays_and_leaves_nothing() {
    let Some(pane) = Pane::open() else { return };
    let before = pane.modes("before");
    plays(&pane);
    pane.key("s");
    pane.sees("to take");
    pane.key("Escape");
    pane.key("q");
    pane.ended(0);
    assert_eq!(left(&pane), [""; 0]);
    assert_eq!(pane.modes("after"), before);
}

#[test]
fn it_leaves_nothing_when_it_is_ended_or_killed() {
    let Some(pane) = Pane::open() else { return };
    for signal in [Signal::TERM, Signal::KILL] {
        plays(&pane);
        pane.home.signal(pane.interface(), signal);
        pane.sees("left=");
        nothing_is_left(&pane);
        pane.line("stty sane; printf '\\033[?1049l'; clear; echo before-$((40+2))");
    }
}

#[test]
fn a_command_runs_in_it_and_sees_no_other_sessions() {
    let Some(pane) = Pane::open() else { return };
    pane.session("mine");
    let out =
        pane.home.beadle(&["demo", "--", "sh", "-c", "beadle ls --json; beadle sweep --dry-run --json >/dev/null"]);
    assert!(out.contains("orchestrator-MainTask") && !out.contains("\"mine\""), "{out}");
    assert_eq!((left(&pane), pane.home.names()), (Vec::new(), vec!["mine".to_string()]));
}
