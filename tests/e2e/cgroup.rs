//! `cgroup.kill`, for real. A fence forbids it, so these arenas have none: their daemons know no sessions but their own.

use std::path::{Path, PathBuf};

use beadle::sys::cgroup::Home;
use serde_json::{Value, json};

use super::support::{Arena, Running, has, pid_of, until};

const CONFIG: &str = "[stop]\ngrace = \"300ms\"\n";

/// Forks and is gone, again and again: whoever is stopped has a child already. Not for ever, whatever goes wrong here.
const RUNNER: &str = "perl -e '$SIG{TERM} = $SIG{HUP} = \"IGNORE\"; open F, \">run\"; print F \"up\\n\"; close F; \
    while (time < $^T + 40) { my $child = fork; exit if $child; select undef, undef, undef, 0.003 }' & exec sleep 600";

fn is_possible() -> bool {
    let home = Home::find(&format!("probe-{}", std::process::id()));
    match &home {
        Some(home) => home.remove(),
        None => eprintln!("skipped: no cgroup v2 here that may be written"),
    }
    home.is_some()
}

/// The cgroup of a session, by its leader.
#[track_caller]
fn cgroup_of(arena: &Arena, id: &str) -> PathBuf {
    let leader = pid_of(&arena.show(id)["leader_pid"]);
    let text = std::fs::read_to_string(format!("/proc/{}/cgroup", leader.pid)).unwrap();
    let own = text.lines().find_map(|l| l.strip_prefix("0::/")).unwrap().to_string();
    assert!(own.ends_with(id), "{own}");
    let roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(|root| Path::new(root).join(&own));
    roots.into_iter().find(|dir| dir.join("cgroup.procs").exists()).unwrap()
}

/// It holds a connection, so the daemon knows it.
fn is_connected(client: &Running) -> bool {
    let fds = std::fs::read_dir(format!("/proc/{}/fd", client.pid())).into_iter().flatten().flatten();
    fds.filter_map(|fd| std::fs::read_link(fd.path()).ok()).any(|to| to.to_string_lossy().starts_with("socket:"))
}

fn was_killed_whole(arena: &Arena, id: &str) -> bool {
    arena.log().contains(&format!("session={id}: its cgroup was killed whole"))
}

#[test]
fn who_forks_faster_than_it_can_be_stopped_is_killed_with_its_cgroup() {
    if !is_possible() || !has("perl") {
        return;
    }
    for keeper in [true, false] {
        let arena = Arena::unfenced(CONFIG);
        let id = arena.sh("a", RUNNER);
        assert_eq!(arena.line_of("work/run"), "up");
        let cgroup = cgroup_of(&arena, &id);
        if !keeper {
            super::cages::kill_keepers(&arena, std::slice::from_ref(&id));
        }
        let report = arena.json(&["kill", &id, "--json"]);
        assert_eq!((&report["failed"], &report["sessions"][0]["outcome"]), (&json!(0), &json!("forced")), "{report}");
        // Below its keeper it may have been held all the same.
        assert!(keeper || was_killed_whole(&arena, &id), "{report}");
        // The kernel removes none that is inhabited.
        until("its cgroup is empty and removed", || !cgroup.exists());
        arena.until_state(&id, "ended");
    }
}

#[test]
fn who_is_between_two_pids_whenever_it_is_looked_at_is_never_said_to_be_gone() {
    if !has("perl") {
        return;
    }
    // Without a cgroup it may get away for as long as force lasts; that is said then.
    let arena = Arena::with("[stop]\ngrace = \"300ms\"\n[sys]\ncgroup = false\n");
    let id = arena.sh("a", RUNNER);
    assert_eq!(arena.line_of("work/run"), "up");
    let said = arena.run(&["kill", &id, "--json"]);
    let report: Value = serde_json::from_str(&said.out).unwrap();
    let session = &report["sessions"][0];
    match said.status {
        0 => {
            assert_eq!(session["outcome"], "forced", "{report}");
            until("its keeper has nobody left", || arena.show(&id)["state"] == "ended");
        }
        6 => assert!(!session["survivors"].as_array().unwrap().is_empty(), "{report}"),
        _ => panic!("{said:?}"),
    }
}

/// Deaf, so that it comes to force.
#[track_caller]
fn deaf(arena: &Arena) -> String {
    let id = arena.sh("a", "trap '' TERM HUP; echo up >up; while :; do sleep 0.1; done");
    arena.line_of("work/up");
    id
}

#[track_caller]
fn is_taken_one_by_one(arena: &Arena, id: &str) {
    let report = arena.json(&["kill", id, "--json"]);
    assert_eq!((&report["failed"], &report["sessions"][0]["outcome"]), (&json!(0), &json!("forced")), "{report}");
    assert!(!was_killed_whole(arena, id), "{report}");
    arena.until_state(id, "ended");
}

fn enter(cgroup: &Path, pid: i32) {
    std::fs::write(cgroup.join("cgroup.procs"), pid.to_string()).unwrap();
}

#[test]
fn a_client_from_outside_that_was_put_into_the_cgroup_lives_and_the_session_is_taken_all_the_same() {
    if !is_possible() {
        return;
    }
    let arena = Arena::unfenced(CONFIG);
    let other = arena.sh("other", "exec sleep 600");
    let id = deaf(&arena);
    let mut client = arena.begin(&["wait", &other]);
    until("it is connected", || is_connected(&client));
    enter(&cgroup_of(&arena, &id), client.pid());
    is_taken_one_by_one(&arena, &id);
    assert!(!client.is_over(), "the client was taken");
    assert_eq!(arena.show(&other)["state"], "running");
}

#[test]
fn a_daemon_started_from_the_cgroup_of_a_session_without_keeper_does_not_kill_itself() {
    if !is_possible() {
        return;
    }
    let arena = Arena::unfenced(CONFIG);
    let id = deaf(&arena);
    let daemon = arena.daemon();
    enter(&cgroup_of(&arena, &id), daemon.pid);
    super::cages::kill_keepers(&arena, std::slice::from_ref(&id));
    is_taken_one_by_one(&arena, &id);
    assert_eq!(arena.daemon(), daemon);
}

#[test]
fn behind_a_fence_no_cgroup_is_killed_whole() {
    if !is_possible() {
        return;
    }
    let arena = Arena::with(CONFIG);
    let id = deaf(&arena);
    cgroup_of(&arena, &id);
    is_taken_one_by_one(&arena, &id);
}
