//! The leak zoo: sessions that start everything supervisors leave behind. After `close-all` nothing of it lives.

use std::process::Command;

use rustix::process::Signal;
use serde_json::json;

use super::cages::{KEEPER_OF_THE_ZOO, close_all_leaves_nothing, kill_keepers, open_zoo};
use super::support::{Arena, has, pid_of, until};

#[test]
fn of_twenty_sessions_that_leave_everything_behind_nothing_is_left() {
    if !has("tmux") {
        return;
    }
    let arena = Arena::new();
    let ids = open_zoo(&arena, 20);
    close_all_leaves_nothing(&arena, &ids);
}

#[test]
fn nothing_is_left_without_cgroups() {
    if !has("tmux") {
        return;
    }
    let arena = Arena::with("[stop]\ngrace = \"300ms\"\n[sys]\ncgroup = false\n");
    let ids = open_zoo(&arena, 6);
    close_all_leaves_nothing(&arena, &ids);
}

#[test]
fn nothing_is_left_when_every_keeper_was_killed_first() {
    if !has("tmux") {
        return;
    }
    for cgroup in [true, false] {
        let arena = Arena::with(&format!("[stop]\ngrace = \"300ms\"\n[sys]\ncgroup = {cgroup}\n"));
        let ids = open_zoo(&arena, 4);
        kill_keepers(&arena, &ids);
        close_all_leaves_nothing(&arena, &ids);
    }
}

#[test]
fn what_a_daemon_saw_the_next_one_takes_when_the_keepers_died_in_between() {
    let arena = Arena::with("[stop]\ngrace = \"300ms\"\n[sys]\ncgroup = false\n");
    let zoo = arena.script("zoo.sh", KEEPER_OF_THE_ZOO);
    let dir = arena.path("cage0").to_str().unwrap().to_string();
    std::fs::create_dir(&dir).unwrap();
    let bare =
        format!("(env -i /usr/bin/setsid /bin/sh '{zoo}' '{dir}' bare </dev/null >/dev/null 2>&1 &) ; exec sleep 600");
    let id = arena.sh("a", &bare);
    arena.line_of("cage0/bare");
    arena.run(&["ls"]).ok();
    arena.kill_daemon();
    arena.keepers().iter().for_each(|k| arena.kill(k.id));
    let row = arena.show(&id);
    assert_eq!((&row["health"], &row["processes"]), (&json!("orphaned"), &json!(arena.agents().len())), "{row}");
    close_all_leaves_nothing(&arena, &[id]);
}

#[test]
fn a_nested_tmux_server_with_a_client_from_outside_is_spared_with_its_panes_and_named() {
    if !has("tmux") {
        return;
    }
    let arena = Arena::new();
    let zoo = arena.script("zoo.sh", KEEPER_OF_THE_ZOO);
    let (socket, dir) = (arena.path("inner"), arena.path("cage"));
    std::fs::create_dir(&dir).unwrap();
    let (socket, dir) = (socket.to_str().unwrap(), dir.to_str().unwrap());
    let script =
        format!("tmux -S '{socket}' -f /dev/null new-session -d \"exec sh '{zoo}' '{dir}' pane\"; exec sleep 600");
    arena.sh("a", &script);
    let pane: i32 = arena.line_of("cage/pane").parse().unwrap();
    // A client outside of every session, in a pane of another server.
    let outer = arena.path("outer");
    let mut attach = arena.program("tmux");
    attach.arg("-S").arg(&outer).args(["-f", "/dev/null", "new-session", "-d"]).env("SHELL", "/bin/sh");
    attach.arg(format!("exec env -u TMUX tmux -S '{socket}' attach"));
    assert!(attach.status().unwrap().success());
    let clients = || {
        let mut list = Command::new("tmux");
        let said = list.args(["-S", socket, "list-clients", "-F", "#{client_pid}"]).output().unwrap();
        String::from_utf8(said.stdout).unwrap()
    };
    until("the client is attached", || !clients().trim().is_empty());
    let report = arena.json(&["close-all", "--json"]);
    let spared = report["sessions"][0]["spared"].to_string();
    assert!(spared.contains("tmux server") && spared.contains(clients().trim()), "{report}");
    assert_eq!(report["failed"], 0, "{report}");
    let alive: Vec<i32> = arena.agents().iter().map(|p| p.id.pid).collect();
    assert!(alive.contains(&pane), "the pane lives");
    assert!(
        !arena.agents().iter().any(|p| p.arguments.join(" ") == "sleep 600" && p.id.pid != pane),
        "the leader is gone"
    );
}

#[test]
fn a_stopped_tree_is_closed_softly() {
    let arena = Arena::with("[stop]\ngrace = \"10s\"\n");
    let id =
        arena.sh("a", "sh -c 'trap \"echo bye >bye; exit 4\" TERM HUP; echo up >up; while :; do sleep 0.05; done'");
    arena.line_of("work/up");
    arena.run(&["pause", &id]).ok();
    until("all are stopped", || arena.show(&id)["tree"].as_array().unwrap().iter().all(|p| p["state"] == "T"));
    let report = arena.json(&["kill", &id, "--json"]);
    assert_eq!(report["sessions"][0]["outcome"], "clean", "{report}");
    assert_eq!(arena.line_of("work/bye"), "bye");
    assert_eq!(arena.agents(), []);
}

#[test]
fn a_second_kill_that_will_not_wait_ends_the_grace_of_the_first() {
    let arena = Arena::with("[stop]\ngrace = \"60s\"\n");
    let id = arena.sh("a", "trap '' TERM HUP INT; echo up >up; while :; do sleep 1; done");
    arena.line_of("work/up");
    let first = arena.begin(&["kill", &id, "--json"]);
    arena.until_state(&id, "closing");
    let second = arena.json(&["kill", &id, "--now", "--json"]);
    assert_eq!(second["sessions"][0]["outcome"], "forced", "{second}");
    assert_eq!(first.wait().json()["sessions"][0]["outcome"], "forced");
    assert_eq!(arena.agents(), []);
}

#[test]
fn a_member_of_the_tree_that_beadle_may_not_see_die_is_still_taken_after_its_parent() {
    let arena = Arena::new();
    let id = arena.sh("a", "(trap '' HUP TERM; exec sleep 600) & exec sleep 600");
    until("both are there", || arena.agents().len() == 2);
    let leader = pid_of(&arena.show(&id)["leader_pid"]);
    arena.signal(leader, Signal::KILL);
    let row = arena.until_state(&id, "lingering");
    assert_eq!((&row["exit"]["code"], &row["exit"]["signal"]), (&json!(null), &json!(9)));
    arena.run(&["kill", &id]).ok();
    assert_eq!(arena.agents(), []);
}
