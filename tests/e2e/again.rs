//! A restart that somebody asked for: who closes the session meanwhile closes it for good, and whatever a restart comes to,
//! no keeper stays that nobody will call.

use beadle::model::session::ProcId;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::ask::ask;
use super::support::{Arena, Running, Said, has, pid_of, until};

/// Nothing in these stories waits for the grace.
const LONG: &str = "[stop]\ngrace = \"10m\"\n";
/// Deaf until it is told; each run to another word.
const DEAF: &str = "trap '' TERM HUP; echo run >>runs; n=$(wc -l <runs); echo up >up$n; \
    until [ -e go$n ]; do sleep 0.02; done; exit 3";

fn runs(arena: &Arena) -> usize {
    std::fs::read_to_string(arena.path("work/runs")).unwrap_or_default().lines().count()
}

fn let_go(arena: &Arena, run: usize) {
    std::fs::write(arena.path(&format!("work/go{run}")), "").unwrap();
}

fn deaf(arena: &Arena, options: &[&str]) -> String {
    let id = arena.session(&[&["--name", "c"], options, &["--", "sh", "-c", DEAF]].concat());
    arena.line_of("work/up1");
    id
}

/// A restart that waits for the end of its agent.
fn restarting(arena: &Arena, id: &str) -> Running {
    let restart = arena.begin(&["restart", id]);
    arena.until_state(id, "closing");
    restart
}

#[track_caller]
fn is_closed_for_good(arena: &Arena, id: &str, by: &str, reason: &str) -> Value {
    let row = arena.until_state(id, "ended");
    assert_eq!((&row["exit"]["by"], &row["exit"]["reason"]), (&json!(by), &json!(reason)), "{row}");
    until("its keeper goes", || arena.keepers().is_empty());
    assert_eq!((runs(arena), arena.agents()), (1, Vec::new()));
    row
}

/// A restart, and an order that joins it: what both were told once the agent has ended.
fn joined(arena: &Arena, id: &str, order: &[&str]) -> (Said, Said) {
    let restart = restarting(arena, id);
    let order = arena.begin(order);
    let restart = restart.wait();
    let_go(arena, 1);
    (restart, order.wait())
}

/// In the middle of a restart: its tree is closed, and its keeper hears of nothing, so that the order to start is on its way
/// for as long as this lasts.
fn held_up(arena: &Arena, args: &[&str]) -> (String, ProcId, Running) {
    let id = deaf(arena, args);
    let keeper = pid_of(&arena.show(&id)["keeper_pid"]);
    let restart = restarting(arena, &id);
    arena.signal(keeper, Signal::STOP);
    let_go(arena, 1);
    until("its tree is closed", || arena.log().contains(&format!("killed session={id}")));
    (id, keeper, restart)
}

#[test]
fn who_kills_a_session_that_is_being_restarted_kills_it() {
    let arena = Arena::with(LONG);
    let id = deaf(&arena, &[]);
    let (restart, kill) = joined(&arena, &id, &["kill", "c", "--reason", "enough", "--json"]);
    restart.fails(1, "c was closed meanwhile (enough) and was not started again");
    let kill = kill.json();
    assert_eq!((&kill["closed"], &kill["sessions"][0]["reason"]), (&json!(1), &json!("enough")), "{kill}");
    let row = is_closed_for_good(&arena, &id, "user", "enough");
    assert_eq!(row["exit"]["code"], 3, "how it ended is known: {row}");
    // Both are remembered, each with its reason.
    let audit = arena.json(&["audit", "--json"]).to_string();
    assert!(audit.contains("\"restart\"") && audit.contains("\"enough\"") && !audit.contains("interrupted"), "{audit}");
    // It is over: now it starts again.
    arena.run(&["restart", "c"]).ok();
    arena.line_of("work/up2");
}

#[test]
fn a_kill_without_patience_ends_the_grace_of_a_restart_and_the_session() {
    let arena = Arena::with(LONG);
    let id = deaf(&arena, &[]);
    let restart = restarting(&arena, &id);
    let report = arena.json(&["kill", "c", "--now", "--json"]);
    assert_eq!(report["sessions"][0]["outcome"], "forced", "{report}");
    restart.wait().fails(1, "was closed meanwhile");
    is_closed_for_good(&arena, &id, "user", "user");
}

#[test]
fn all_that_closes_every_session_closes_one_that_is_being_restarted() {
    let arena = Arena::with(LONG);
    let id = deaf(&arena, &[]);
    let (restart, report) = joined(&arena, &id, &["close-all", "--json"]);
    restart.fails(1, "was closed meanwhile (close-all)");
    assert_eq!(report.json()["closed"], 1);
    is_closed_for_good(&arena, &id, "user", "close-all");

    let arena = Arena::with(LONG);
    let id = deaf(&arena, &[]);
    let (restart, _) = joined(&arena, &id, &["sweep", "--emergency", "--yes", "--reason", "too hot"]);
    restart.fails(1, "was closed meanwhile (too hot)");
    is_closed_for_good(&arena, &id, "sweep", "too hot");

    let arena = Arena::with(LONG);
    let id = deaf(&arena, &[]);
    let (restart, stop) = joined(&arena, &id, &["daemon", "stop", "--yes"]);
    restart.fails(1, "was closed meanwhile (the daemon was stopped)");
    stop.ok();
    assert_eq!(arena.agents(), []);
    until("the daemon is gone", || arena.daemons().is_empty());
    is_closed_for_good(&arena, &id, "shutdown", "the daemon was stopped");
}

#[test]
fn the_end_of_a_project_closes_its_session_that_is_being_restarted() {
    let arena = Arena::with(LONG);
    arena.run(&["project", "add", "p", "--", "sh", "-c", DEAF]).ok();
    arena.line_of("work/up1");
    let id = arena.all()[0]["id"].as_str().unwrap().to_string();
    let (restart, _) = joined(&arena, &id, &["project", "complete", "p"]);
    restart.fails(1, "was closed meanwhile (project p is completed");
    let row = arena.until_state(&id, "ended");
    assert_eq!((&row["exit"]["by"], runs(&arena)), (&json!("project"), 1), "{row}");
    until("its keeper goes", || arena.keepers().is_empty());
    assert_eq!(arena.agents(), []);
}

#[test]
fn what_is_being_closed_or_started_again_is_not_restarted_once_more() {
    let arena = Arena::with(LONG);
    let id = deaf(&arena, &[]);
    let restart = restarting(&arena, &id);
    arena.run(&["restart", "c"]).fails(1, "c is being started again already");
    arena.run(&["resume", "c"]).fails(1, "c has not ended");
    let_go(&arena, 1);
    restart.wait().ok();
    arena.line_of("work/up2");
    // The kill was first.
    let kill = arena.begin(&["kill", "c"]);
    arena.until_state(&id, "closing");
    arena.run(&["restart", "c"]).fails(1, "c is closing and cannot be restarted now");
    let_go(&arena, 2);
    kill.wait().ok();
    assert_eq!(arena.until_state(&id, "ended")["exit"]["by"], "user");
    assert_eq!((runs(&arena), arena.agents()), (2, Vec::new()));
}

#[test]
fn a_kill_while_the_keeper_is_to_start_the_agent_again_takes_what_it_starts() {
    let arena = Arena::with(LONG);
    let (id, keeper, restart) = held_up(&arena, &[]);
    let now = r#"{"now":true,"reason":"enough"}"#;
    assert_eq!(ask(&arena.socket(), "POST", &format!("/api/sessions/{id}/kill?wait=false"), now).status, 200);
    arena.signal(keeper, Signal::CONT);
    let restart = restart.wait();
    assert!(restart.status == 0 || restart.err.contains("taken back"), "{restart:?}");
    let row = arena.until_state(&id, "ended");
    assert_eq!((&row["exit"]["by"], &row["exit"]["reason"]), (&json!("user"), &json!("enough")), "{row}");
    until("its keeper goes", || arena.keepers().is_empty());
    assert_eq!(arena.agents(), []);
}

#[test]
fn a_keeper_that_hung_during_a_restart_starts_nothing_when_it_is_there_again() {
    let arena = Arena::with(LONG);
    let (id, keeper, restart) = held_up(&arena, &["--restart", "on-failure"]);
    let kill = arena.begin(&["kill", "c", "--json"]);
    restart.wait().fails(1, "does not answer");
    assert_eq!(kill.wait().json()["closed"], 1);
    assert_eq!(arena.agents(), []);
    arena.signal(keeper, Signal::CONT);
    let row = arena.until_state(&id, "ended");
    assert_eq!((&row["exit"]["code"], &row["exit"]["by"]), (&json!(3), &json!("user")), "{row}");
    until("its keeper goes", || arena.keepers().is_empty());
    assert_eq!((runs(&arena), arena.agents()), (1, Vec::new()));
}

#[test]
fn a_daemon_that_dies_during_a_restart_leaves_no_keeper_waiting_for_it() {
    let arena = Arena::with(LONG);
    let (id, keeper, restart) = held_up(&arena, &[]);
    arena.daemons().iter().for_each(|d| arena.kill(d.id));
    // The order to start again lies there, and nobody who would hear of it.
    arena.signal(keeper, Signal::CONT);
    assert_ne!(restart.wait().status, 0);
    until("its keeper goes", || arena.keepers().is_empty());
    let exit = arena.until_state(&id, "ended")["exit"].clone();
    assert_eq!((&exit["code"], &exit["by"]), (&json!(3), &json!("user")), "{exit}");
    assert_eq!(exit["reason"], "it was to be started again, and was not");
    assert_eq!((runs(&arena), arena.agents()), (1, Vec::new()));
}

#[cfg(debug_assertions)]
#[test]
fn an_ended_session_that_is_being_started_again_is_started_once_and_killed_if_somebody_says_so() {
    let arena = Arena::with(LONG);
    let mut daemon = arena.beadle(&["daemon", "start"]);
    let go = arena.path("born");
    daemon.env("BEADLE_FAILPOINTS", format!("daemon.directory.before=1*off->wait:{}", go.display()));
    Running::of(daemon).wait().ok();
    let id = arena.sh("c", "echo run >>runs; [ -e again ] && exec sleep 600; exit 4");
    arena.until_state(&id, "ended");
    std::fs::write(arena.path("work/again"), "").unwrap();
    let restart = format!("/api/sessions/{id}/restart?wait=false");
    assert_eq!(ask(&arena.socket(), "POST", &restart, "{}").status, 200);
    arena.run(&["restart", "c"]).fails(1, "c is being started again already");
    arena.run(&["rm", "c"]).fails(1, "c is being started again");
    let now = r#"{"now":true,"reason":"enough"}"#;
    assert_eq!(ask(&arena.socket(), "POST", &format!("/api/sessions/{id}/kill?wait=false"), now).status, 200);
    std::fs::write(go, "").unwrap();
    until("it has run again and is closed", || arena.show(&id)["exit"]["reason"] == "enough");
    until("its keeper goes", || arena.keepers().is_empty());
    assert_eq!((arena.all().len(), arena.agents()), (1, Vec::new()));
}

#[test]
fn a_restart_that_spares_a_server_ends_the_run_and_says_who_is_in_the_way() {
    if !has("tmux") {
        return;
    }
    let arena = Arena::new();
    let inner = arena.path("inner").display().to_string();
    let begin =
        "[ -e more ] || tmux -S \"$0\" -f /dev/null new-session -d 'exec sleep 601'; echo run >>runs; exec sleep 600";
    let id = arena.session(&["--name", "r", "--", "sh", "-c", begin, &inner]);
    until("it runs", || runs(&arena) == 1);
    // A client outside of every session, in a pane of another server.
    let mut outer = arena.program("tmux");
    outer.arg("-S").arg(arena.path("outer")).args(["-f", "/dev/null", "new-session", "-d"]).env("SHELL", "/bin/sh");
    outer.arg(format!("exec env -u TMUX tmux -S '{inner}' attach"));
    assert!(outer.status().unwrap().success());
    let tmux = |args: &[&str]| {
        let mut command = arena.program("tmux");
        command.args(["-S", &inner]).args(args);
        Running::of(command).wait().out
    };
    until("the client is attached", || !tmux(&["list-clients"]).trim().is_empty());
    let refused = arena.run(&["restart", "r"]);
    refused.fails(1, "processes of the run before are still there");
    assert!(refused.err.contains("tmux server"), "{refused:?}");
    // Its end is known and told, though the server stays.
    let row = arena.until_state(&id, "lingering");
    let reason = row["exit"]["reason"].as_str().unwrap();
    assert!(reason.starts_with("it was to be started again, and was not"), "{row}");
    assert!(row["exit"]["signal"].is_number(), "{row}");
    arena.run(&["restart", "r"]).fails(1, "processes of the run before are still there");
    assert_eq!(arena.json(&["kill", "r", "--json"])["failed"], 0);
    assert!(!tmux(&["list-sessions"]).is_empty(), "somebody works there");
    // Whoever was there has gone: so does the session.
    tmux(&["kill-server"]);
    arena.until_state(&id, "ended");
    until("its keeper goes", || arena.keepers().is_empty());
    std::fs::write(arena.path("work/more"), "").unwrap();
    arena.run(&["restart", "r"]).ok();
    until("it runs again", || runs(&arena) == 2);
}
