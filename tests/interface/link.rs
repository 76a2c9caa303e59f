//! The daemon goes away, or hangs, under an open interface.

use beadle::model::session::ProcId;
use rustix::process::Signal;

use super::Pane;

fn daemon(pane: &Pane) -> ProcId {
    let status: serde_json::Value = serde_json::from_str(&pane.home.beadle(&["daemon", "status", "--json"])).unwrap();
    let pid = status["pid"].as_i64().unwrap();
    pane.home.processes().into_iter().find(|id| i64::from(id.pid) == pid).unwrap()
}

#[test]
fn a_killed_daemon_is_started_again() {
    let Some(pane) = Pane::open() else { return };
    pane.session("stays");
    pane.start("beadle");
    pane.sees("stays-is-here");
    let killed = daemon(&pane);
    pane.home.signal(killed, Signal::KILL);
    pane.sees("a new daemon was started");
    pane.sees("1 healthy");
    assert_ne!(daemon(&pane), killed);
}

#[test]
fn a_stopped_daemon_stays_stopped_until_somebody_wants_one() {
    let Some(pane) = Pane::open() else { return };
    pane.session("stays");
    pane.start("beadle");
    pane.sees("stays-is-here");
    pane.home.beadle(&["daemon", "stop", "--keep", "--yes"]);
    pane.sees("Enter starts one");
    pane.key("Enter");
    pane.sees("a new daemon was started");
    pane.home.beadle(&["daemon", "stop", "--keep", "--yes"]);
    pane.sees("Enter starts one");
    pane.home.beadle(&["daemon", "start"]);
    pane.sees("connected again");
    pane.sees("1 healthy");
}

#[test]
fn who_only_looks_starts_none_and_says_what_does() {
    let Some(pane) = Pane::open() else { return };
    pane.session("stays");
    pane.start("beadle --readonly");
    pane.sees("stays-is-here");
    pane.home.signal(daemon(&pane), Signal::KILL);
    pane.sees("`beadle daemon start` starts one");
    pane.home.beadle(&["daemon", "start"]);
    pane.sees("connected again");
}

#[test]
fn a_daemon_that_hangs_is_said() {
    let Some(pane) = Pane::open() else { return };
    pane.session("stays");
    pane.start("beadle");
    pane.sees("stays-is-here");
    let hung = daemon(&pane);
    pane.home.signal(hung, Signal::STOP);
    pane.sees("the daemon does not answer since");
    pane.home.signal(hung, Signal::CONT);
    pane.sees("the daemon answers again");
    pane.sees_no("does not answer since");
}
