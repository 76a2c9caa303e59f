//! Who is never touched: other sessions, the shell and the tmux server beadle was started from, namesakes, other instances.

use serde_json::json;

use super::support::{Arena, Running, has, until};

impl Arena {
    /// Something outside of every session, with the cookie so that the arena takes it away in the end.
    fn bystander(&self, args: &[&str]) -> Bystander {
        let mut command = self.program(args[0]);
        command.args(&args[1..]);
        Bystander(Running::of(command))
    }
}

struct Bystander(Running);

impl Bystander {
    #[track_caller]
    fn lives(&mut self) {
        assert!(!self.0.is_over(), "an innocent was taken");
    }
}

#[test]
fn a_kill_takes_one_session_and_its_tree_and_no_other() {
    let arena = Arena::new();
    let mut outside = arena.bystander(&["sleep", "600"]);
    let script = "(setsid sleep 600 &) ; sleep 600 & exec sleep 600";
    let (a, b) = (arena.sh("a", script), arena.sh("b", script));
    until("all are there", || arena.agents().len() == 6);
    let tree_of_b = || arena.show(&b)["tree"].as_array().unwrap().iter().map(|p| p["pid"].clone()).collect::<Vec<_>>();
    let before = tree_of_b();
    arena.run(&["kill", &a, "--now"]).ok();
    assert_eq!(tree_of_b(), before);
    assert_eq!(arena.show(&b)["state"], "running");
    assert_eq!(arena.agents().len(), 3);
    outside.lives();
    arena.run(&["close-all"]).ok();
    outside.lives();
    assert_eq!(arena.agents(), []);
}

#[test]
fn a_namesake_outside_is_not_touched() {
    let arena = Arena::new();
    arena.script("work/agent", "#!/bin/sh\nwhile :; do sleep 0.1; done\n");
    let mut namesake = arena.bystander(&["./agent"]);
    arena.session(&["--name", "a", "--", "./agent"]);
    let mut younger = arena.bystander(&["./agent"]);
    arena.run(&["kill", "a", "--now"]).ok();
    arena.run(&["close-all", "--now"]).ok();
    namesake.lives();
    younger.lives();
}

#[test]
fn the_sessions_of_another_instance_are_not_touched() {
    let (arena, other) = (Arena::new(), Arena::new());
    let mine = arena.sh("same-name", "(setsid sleep 600 &) ; exec sleep 600");
    let theirs = other.sh("same-name", "(setsid sleep 600 &) ; exec sleep 600");
    until("all are there", || arena.agents().len() == 2 && other.agents().len() == 2);
    arena.run(&["kill", "same-name"]).ok();
    arena.run(&["close-all"]).ok();
    arena.run(&["daemon", "stop"]).ok();
    assert_eq!(arena.show_state(&mine), json!("ended"));
    assert_eq!((other.show_state(&theirs), other.agents().len()), (json!("running"), 2));
}

impl Arena {
    #[track_caller]
    fn show_state(&self, id: &str) -> serde_json::Value {
        self.show(id)["state"].clone()
    }
}

#[test]
fn the_shell_and_the_tmux_server_beadle_was_started_from_are_not_touched() {
    if !has("tmux") {
        return;
    }
    let arena = Arena::new();
    let script = arena.script(
        "pane.sh",
        &format!(
            "sleep 600 &\necho $$ $! $PPID >shell.new\n{0} run --name a -- sh -c '(setsid sleep 601 &) ; exec sleep 601' >id\n\
             {0} run --name b -- sleep 601 >>id\nmv shell.new shell\nread line\n{0} close-all --now >closed\necho $? >status\nread line\n",
            arena.binary()
        ),
    );
    let socket = arena.path("outer");
    let tmux = |args: &[&str]| {
        let mut command = arena.program("tmux");
        let status = command.arg("-S").arg(&socket).args(["-f", "/dev/null"]).args(args).status().unwrap();
        assert!(status.success());
    };
    tmux(&["new-session", "-d", "-x", "80", "-y", "24", &format!("exec sh {script}")]);
    let shell = arena.line_of("work/shell");
    let innocent: Vec<i32> = shell.split(' ').map(|pid| pid.parse().unwrap()).collect();
    let alive = || {
        let pids: Vec<i32> = arena.processes().iter().map(|p| p.id.pid).collect();
        innocent.iter().all(|pid| pids.contains(pid))
    };
    assert!(alive());
    // The daemon was started from the pane; closed from outside, from inside, and the daemon ended.
    arena.run(&["kill", "a", "--now"]).ok();
    assert!(alive(), "after a kill from outside");
    tmux(&["send-keys", "Enter"]);
    assert_eq!(arena.line_of("work/status"), "0");
    assert!(alive(), "after a close-all from inside");
    arena.run(&["daemon", "stop"]).ok();
    assert!(alive(), "after the daemon");
    let left = |p: &super::support::Seen| p.arguments.join(" ") == "sleep 601";
    assert!(!arena.agents().iter().any(left));
}

#[test]
fn who_calls_beadle_from_within_a_session_is_not_protected_by_that() {
    let arena = Arena::new();
    let other = arena.sh("other", "exec sleep 600");
    let caller = arena.sh("caller", &format!("echo up >up; {} wait {other}; exec sleep 600", arena.binary()));
    until("it calls", || arena.agents().iter().any(|p| p.arguments.get(1).is_some_and(|a| a == "wait")));
    let report = arena.json(&["kill", &caller, "--json"]);
    assert_eq!((&report["closed"], &report["failed"]), (&json!(1), &json!(0)), "{report}");
    assert_eq!(arena.agents().len(), 1, "the other session");
    assert_eq!(arena.show_state(&other), "running");
}

#[test]
fn who_carries_the_tag_outside_the_fence_is_not_touched_and_is_a_survivor() {
    let arena = Arena::new();
    let id = arena.sh("a", "exec sleep 600");
    let instance = std::fs::read_to_string(arena.state().join("instance")).unwrap();
    // The tag, and no cookie: outside the fence.
    let mut command = std::process::Command::new("sleep");
    command.arg("60").env("BEADLE_SESSION", format!("{id}@{}", instance.trim())).stdin(std::process::Stdio::null());
    let mut foreign = Bystander(Running::of(command));
    let said = arena.run(&["kill", &id, "--json"]);
    foreign.lives();
    foreign.0.end();
    assert_eq!(said.status, 6, "{said:?}");
    assert!(said.out.contains("outside the fence"), "{said:?}");
    // What was spared has ended by itself: nothing is left of the session.
    arena.until_state(&id, "ended");
}

#[test]
fn a_dry_run_names_what_would_go_and_touches_nobody() {
    let arena = Arena::new();
    let id = arena.sh("a", "sleep 600 & exec sleep 600");
    until("both are there", || arena.agents().len() == 2);
    let report = arena.json(&["kill", &id, "--dry-run", "--json"]);
    assert_eq!(report["sessions"][0]["outcome"], "would-kill");
    assert_eq!(report["sessions"][0]["processes"], 2);
    assert_eq!(arena.agents().len(), 2);
    assert_eq!(arena.show_state(&id), "running");
}
