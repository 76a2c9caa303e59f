//! The queue of projects: each is started once, in order, and whatever ends one, all that ran for it is closed, events are
//! sent, and the next one starts.

use std::time::Duration;

use rusqlite::Connection;
use serde_json::{Value, json};

use super::ask::ask;
use super::authority::Inside;
use super::discover::{AGENT, Tmux};
use super::support::{Arena, has, is_root, until, until_some};

/// What tells of the end of a project and of what comes next.
const ALL: &str = "session_started,session_cleanup,session_ended,project_changed,project_cleanup_completed";

/// An agent that leaves something behind, and says where it is.
const WORK: &str = "setsid sleep 600 & echo up >>up; sleep 600";

impl Arena {
    #[track_caller]
    fn project(&self, name: &str) -> Value {
        self.json(&["project", "show", name, "--json"])
    }

    #[track_caller]
    fn until_status(&self, name: &str, status: &str) -> Value {
        until_some(&format!("{name} {status}"), || Some(self.project(name)).filter(|p| p["status"] == status))
    }

    /// Adds a project that works until it is ended, and one behind it; waits until the first works.
    fn two(&self, options: &[&str], script: &str) {
        let all: Vec<&str> = ["project", "add", "one"].iter().chain(options).copied().collect();
        let all: Vec<&str> = all.into_iter().chain(["--", "sh", "-c", script]).collect();
        self.run(&all).ok();
        self.run(&["project", "add", "two", "--", "sh", "-c", "echo up >two; sleep 600"]).ok();
        self.line_of("work/up");
        assert_eq!(self.project("two")["status"], "queued");
    }

    fn queue_database(&self) -> Connection {
        let database = Connection::open(self.state().join("beadle.db")).unwrap();
        database.busy_timeout(Duration::from_secs(10)).unwrap();
        database
    }

    fn hooked(&self) -> usize {
        std::fs::read_to_string(self.path("work/hooked")).unwrap_or_default().lines().count()
    }

    /// Bodies of the events of one kind.
    fn told(&self, kind: &str) -> Vec<Value> {
        let answer = ask(&self.socket(), "GET", &format!("/api/events?since=0&follow=false&kind={kind}"), "");
        assert_eq!(answer.status, 200, "{answer:?}");
        let all = answer.json();
        all.as_array().or_else(|| all["events"].as_array()).unwrap().clone()
    }

    /// After an end of `one`: nothing of it lives, it is told, and `two` runs.
    fn one_is_over(&self, status: &str) {
        let one = self.until_status("one", status);
        let two = self.until_status("two", "running");
        self.line_of("work/two");
        let of_one = one["session"].as_str().unwrap();
        assert_eq!(self.show(of_one)["state"], "ended");
        let left: Vec<_> = self.agents().into_iter().filter(|p| p.arguments.join(" ").contains("up >>up")).collect();
        assert_eq!(left, []);
        until("only `two` is left", || self.agents().len() == 2);
        let ended = self.told("project_cleanup_completed");
        assert_eq!((ended.len(), &ended[0]["projectId"], &ended[0]["status"]), (1, &json!("one"), &json!(status)));
        let sessions = self.told("session_cleanup");
        let of_one: Vec<_> = sessions.iter().filter(|e| e["projectId"] == "one" && e["sessionId"] == of_one).collect();
        assert_eq!((of_one.len(), &of_one[0]["status"]), (1, &json!("cleaned_up")), "{sessions:?}");
        assert_ne!(two["session"], one["session"]);
        self.in_order(status);
    }

    /// The numbers of the events: its session is closed and dead, that is told, and then the next one runs.
    fn in_order(&self, status: &str) {
        let (one, two) = (self.project("one"), self.project("two"));
        let is_of = |event: &Value, project: &Value| event["sessionId"] == project["session"];
        let first = |kind: &str, is_it: &dyn Fn(&Value) -> bool| {
            until_some(kind, || self.told(kind).iter().find(|e| is_it(e)).map(|e| e["number"].as_u64().unwrap()))
        };
        let changed = |name: &'static str, status: &str| {
            let status = json!(status);
            first("project_changed", &move |e| e["projectId"] == name && e["status"] == status)
        };
        let closed = first("session_cleanup", &|e| is_of(e, &one));
        let dead = first("session_ended", &|e| is_of(e, &one));
        let told = first("project_cleanup_completed", &|e| e["projectId"] == "one");
        let next = changed("two", "running");
        let begun = first("session_started", &|e| is_of(e, &two));
        assert!(closed.max(dead).max(changed("one", status)) < told, "{:?}", self.told(ALL));
        assert!(told < next && next < begun, "{:?}", self.told(ALL));
    }
}

// ---- a story for each source of an end

#[test]
fn a_project_whose_agent_exits_is_closed_whole_and_the_next_starts() {
    let arena = Arena::new();
    arena.two(&[], "setsid sleep 600 & echo up >>up; until [ -e go ]; do sleep 0.02; done");
    std::fs::write(arena.path("work/go"), "").unwrap();
    arena.one_is_over("completed");
}

#[test]
fn a_project_whose_agent_fails_is_closed_whole_and_strays_are_looked_for_without_a_latch() {
    let arena = Arena::new();
    arena.two(&[], "setsid sleep 600 & echo up >>up; until [ -e go ]; do sleep 0.02; done; exit 3");
    std::fs::write(arena.path("work/go"), "").unwrap();
    arena.one_is_over("failed");
    assert_eq!(arena.project("one")["reason"], "exit status 3");
    until("strays were looked for", || !arena.told("sweep_completed").is_empty());
    arena.sh("free", "exit 0");
}

#[test]
fn a_project_somebody_completes_is_closed_whole_and_the_next_starts() {
    let arena = Arena::new();
    arena.two(&[], WORK);
    let ended = arena.json(&["project", "complete", "one", "--json"]);
    assert_eq!((&ended["cleanedSessionsCount"], &ended["totalAttempted"]), (&json!(1), &json!(1)), "{ended}");
    arena.one_is_over("completed");
    let exit = arena.show(arena.project("one")["session"].as_str().unwrap())["exit"].clone();
    assert_eq!(exit["by"], "project");
}

#[test]
fn a_project_ended_over_http_is_closed_whole_and_the_next_starts() {
    let arena = Arena::new();
    arena.two(&[], WORK);
    let answer = ask(&arena.socket(), "POST", "/api/projects/one/stop", r#"{"reason":"enough"}"#);
    let ended = answer.json();
    assert_eq!(answer.status, 200, "{ended}");
    let counts = ["cleanedSessionsCount", "failedCleanupCount", "totalAttempted"].map(|key| ended[key].clone());
    assert_eq!(counts, [json!(1), json!(0), json!(1)]);
    assert_eq!((&ended["status"], &ended["report"]["closed"]), (&json!("stopped"), &json!(1)), "{ended}");
    arena.one_is_over("stopped");
    assert_eq!(arena.project("one")["reason"], "enough");
    let again = ask(&arena.socket(), "POST", "/api/projects/one/stop", "");
    assert_eq!((again.status, &again.json()["totalAttempted"]), (200, &json!(0)));
    let otherwise = ask(&arena.socket(), "POST", "/api/projects/one/complete", "");
    assert_eq!((otherwise.status, &otherwise.json()["error"]["code"]), (409, &json!("wrong-state")));
    // Nothing was to be told: a hook that says it again wakes no hook.
    assert_eq!(arena.told("project_cleanup_completed").len(), 1);
}

#[test]
fn an_end_that_somebody_writes_into_the_database_takes_full_effect() {
    let arena = Arena::new();
    arena.two(&[], WORK);
    arena.queue_database().execute("UPDATE projects SET status = 'completed' WHERE name = 'one'", []).unwrap();
    arena.one_is_over("completed");
    // A finished one that is queued by hand runs again, and so does a row somebody adds.
    let database = arena.queue_database();
    database
        .execute("UPDATE projects SET status = 'queued', commands = '[[\"true\"]]' WHERE name = 'one'", [])
        .unwrap();
    database
        .execute("INSERT INTO projects (name, commands) VALUES ('three', '[[\"true\"]]'), ('four', 'no list')", [])
        .unwrap();
    arena.run(&["project", "complete", "two"]).ok();
    assert_eq!(arena.until_status("one", "completed")["attempt"], 2);
    arena.until_status("three", "completed");
    assert!(arena.until_status("four", "failed")["reason"].as_str().unwrap().contains("cannot be read"));
}

#[test]
fn a_project_whose_time_is_over_is_closed_whole_and_the_next_starts() {
    let arena = Arena::new();
    arena.two(&["--timeout", "2s"], WORK);
    arena.one_is_over("failed");
    assert_eq!(arena.project("one")["reason"], "its timeout of 2 s is over");
    let exit = arena.show(arena.project("one")["session"].as_str().unwrap())["exit"].clone();
    assert_eq!(exit["by"], "timeout");
}

#[test]
fn a_project_whose_session_reaches_a_limit_is_closed_whole_and_the_next_starts() {
    let config = "[stop]\ngrace = \"300ms\"\n[cleanup]\nmax_idle = \"2s\"\ninterval = \"100ms\"\nnotice = \"0s\"\nquiet_start = \"0s\"\n";
    let arena = Arena::with(config);
    arena.run(&["project", "add", "one", "--", "sh", "-c", WORK]).ok();
    let two = "echo up >two; while :; do echo $((i = i + 1)) words; sleep 0.1; done";
    arena.run(&["project", "add", "two", "--", "sh", "-c", two]).ok();
    let one = arena.until_status("one", "failed");
    assert!(one["reason"].as_str().unwrap().starts_with("idle for"), "{one}");
    arena.line_of("work/two");
    until("nothing of it lives", || !arena.agents().iter().any(|p| p.arguments == ["sleep", "600"]));
    assert_eq!(arena.told("project_cleanup_completed")[0]["projectId"], "one");
    arena.in_order("failed");
}

#[test]
fn a_session_of_a_project_that_somebody_kills_stops_it_and_is_not_tried_again() {
    let arena = Arena::new();
    arena.two(&["--retries", "3"], WORK);
    let session = arena.project("one")["session"].as_str().unwrap().to_string();
    arena.run(&["kill", &session]).ok();
    arena.one_is_over("stopped");
}

// ---- order, attempts, what is refused

#[test]
fn the_higher_priority_goes_first_then_the_older_and_steps_run_one_after_the_other() {
    let arena = Arena::new();
    let noted = |name: &str| format!("echo {name} >>order");
    arena.run(&["project", "add", "wait", "--", "sh", "-c", "until [ -e go ]; do sleep 0.02; done"]).ok();
    for (name, priority) in [("low", "-1"), ("a", "0"), ("b", "0"), ("high", "5")] {
        let (first, second) = (noted(&format!("{name}1")), noted(&format!("{name}2")));
        arena.run(&["project", "add", name, "--priority", priority, "--step", &first, "--step", &second]).ok();
    }
    std::fs::write(arena.path("work/go"), "").unwrap();
    arena.until_status("low", "completed");
    let order = std::fs::read_to_string(arena.path("work/order")).unwrap();
    assert_eq!(
        order.split_whitespace().collect::<Vec<_>>(),
        ["high1", "high2", "a1", "a2", "b1", "b2", "low1", "low2"]
    );
    assert_eq!(arena.project("a")["sessions"].as_array().unwrap().len(), 2);
}

#[test]
fn a_failed_attempt_is_tried_again_from_its_first_step_and_a_command_that_is_none_fails() {
    let arena = Arena::new();
    let second = "echo x >>tries; [ $(wc -l <tries) -ge 3 ]";
    let add = ["project", "add", "one", "--retries", "2", "--step", "echo x >>first", "--step", second];
    assert_eq!(arena.run(&add).ok(), "1\n");
    assert_eq!(arena.until_status("one", "completed")["attempt"], 3);
    assert_eq!(std::fs::read_to_string(arena.path("work/first")).unwrap().lines().count(), 3);
    arena.run(&["project", "add", "none", "--retries", "1", "--", "/no/such/program"]).ok();
    let none = arena.until_status("none", "failed");
    assert_eq!(none["attempt"], 2);
    assert!(none["reason"].as_str().unwrap().contains("/no/such/program"), "{none}");
}

#[test]
fn several_are_ended_at_once_by_name_number_and_glob_and_forgotten_when_they_are_over() {
    let arena = Arena::new();
    for name in ["a", "b", "x-1", "x-2", "other"] {
        arena.run(&["project", "add", name, "--", "sleep", "600"]).ok();
    }
    arena.until_status("a", "running");
    let ended = arena.json(&["project", "complete", "a", "2", "x*", "--json"]);
    let names: Vec<&str> =
        ended["projects"].as_array().unwrap().iter().map(|p| p["projectId"].as_str().unwrap()).collect();
    assert_eq!((names.len(), names.contains(&"b") && names.contains(&"x-2")), (4, true), "{ended}");
    assert_eq!(ended["cleanedSessionsCount"], 1);
    arena.until_status("other", "running");
    arena.run(&["project", "complete", "nobody"]).fails(4, "no project \"nobody\"");
    arena.run(&["project", "fail", "a"]).ok_or_status(1);
    arena.run(&["project", "rm", "other"]).fails(1, "is running");
    arena.run(&["project", "rm", "x*", "a"]).ok();
    assert_eq!(arena.json(&["project", "ls", "--json"]).as_array().unwrap().len(), 2);
    arena.run(&["project", "add", "b", "--", "true"]).fails(5, "there is a project called \"b\"");
}

impl super::support::Said {
    #[track_caller]
    fn ok_or_status(&self, status: i32) {
        assert_eq!(self.status, status, "{self:?}");
    }
}

#[test]
fn what_could_never_be_done_is_refused_when_it_is_added() {
    let arena = Arena::new();
    arena.run(&["daemon", "start"]).ok();
    for (body, with) in [
        (json!({ "name": "a" }), "needs a command"),
        (json!({ "name": "12", "command": ["true"] }), "more than digits"),
        (json!({ "name": "a\u{1b}]0;x\u{7}", "command": ["true"] }), ""),
        (json!({ "name": "n".repeat(10_000), "command": ["true"] }), "at most"),
        (json!({ "name": "a", "command": ["true"], "workspace": "here" }), "absolute"),
        (json!({ "name": "a", "command": ["true"], "timeout_seconds": 0 }), "timeout_seconds"),
        (json!({ "name": "a", "command": ["true"], "commands": [["true"]] }), "not both"),
        (json!({ "name": "a", "command": ["true"], "colour": 1 }), "colour"),
    ] {
        let answer = ask(&arena.socket(), "POST", "/api/projects", &body.to_string());
        let message = answer.json()["error"]["message"].as_str().unwrap().to_string();
        assert!(answer.status == 400 && message.contains(with), "{body}: {message}");
    }
    assert_eq!(ask(&arena.socket(), "POST", "/api/projects/a/explode", "").status, 404);
    assert_eq!(ask(&arena.socket(), "GET", "/api/projects/a", "").status, 404);
    assert_eq!(arena.json(&["project", "ls", "--json"]), json!([]));
}

#[test]
fn an_agent_may_neither_fill_the_queue_nor_end_what_is_in_it() {
    let arena = Arena::new();
    arena.run(&["project", "add", "one", "--", "sleep", "600"]).ok();
    let inside = Inside::begin(&arena, "agent");
    for (line, what) in [
        ("beadle project add mine -- true", "may not add projects to the queue"),
        ("beadle project complete one", "may not end projects"),
        ("beadle project rm one", "may not forget projects"),
    ] {
        inside.sh(line).fails(5, what);
    }
    inside.sh("beadle project ls").ok();
    assert_eq!(arena.project("one")["status"], "running");
}

#[test]
fn nothing_of_the_queue_starts_while_an_emergency_is_latched() {
    let arena = Arena::new();
    arena.two(&["--retries", "5"], WORK);
    arena.run(&["sweep", "--emergency", "--yes"]).ok();
    let one = arena.until_status("one", "emergency");
    assert_eq!(arena.project("two")["status"], "queued", "{one}");
    until("nothing runs", || arena.agents().is_empty());
    arena.run(&["release"]).ok();
    arena.line_of("work/two");
    arena.in_order("emergency");
}

#[test]
fn a_project_runs_with_the_environment_of_the_daemon_and_what_the_settings_add() {
    let arena = Arena::with("[projects]\nenv = { COLOUR = \"green\" }\nenv_from = [\"PASSED\"]\n");
    let mut command = arena.beadle(&["project", "add", "one", "--", "sh", "-c", "env >env.tmp; mv env.tmp env"]);
    command.env("PASSED", "through").env("SECRET", "callers-own");
    super::support::Running::of(command).wait().ok();
    arena.until_status("one", "completed");
    let env = std::fs::read_to_string(arena.path("work/env")).unwrap();
    assert!(env.contains("COLOUR=green\n") && env.contains("PASSED=through\n") && !env.contains("SECRET"), "{env}");
    let bytes = std::fs::read(arena.state().join("beadle.db")).unwrap();
    assert!(!String::from_utf8_lossy(&bytes).contains("callers-own"));
}

#[test]
fn what_hooks_do_to_the_queue_runs_no_hook() {
    let arena = Arena::new();
    let beadle = arena.binary();
    let script = format!(
        "echo x >>{0}/hooked\n{beadle} project add again-$$ -- true >/dev/null\n:",
        arena.path("work").display()
    );
    let kinds = "\"project_changed\", \"project_cleanup_completed\", \"session_started\", \"session_ended\"";
    arena.configure(&format!("[stop]\ngrace = \"300ms\"\n{}", arena.hook("again", kinds, &script)));
    arena.run(&["project", "add", "one", "--", "true"]).ok();
    arena.until_status("one", "completed");
    // Queued, running, started, ended, completed, cleaned up: each told once, and each added one project that tells nobody.
    until("the hook has heard of all of it", || arena.hooked() == 6);
    until("what it added is over", || {
        let all = arena.json(&["project", "ls", "--json"]).as_array().unwrap().clone();
        all.len() == 7 && all.iter().all(|p| p["status"] == "completed")
    });
    until("all of it is settled", || arena.told("project_cleanup_completed").len() == 7);
    assert_eq!(arena.hooked(), 6);
}

// ---- what others started for it

#[test]
fn sessions_somebody_ran_for_a_project_and_what_they_started_are_closed_with_it_and_later_ones_are_not() {
    let arena = Arena::new();
    let before = arena.session(&["--name", "before", "--project", "one", "--", "sleep", "600"]);
    arena.two(&[], WORK);
    let within = arena.session(&["--name", "within", "--project", "one", "--", "sleep", "600"]);
    let pinned = arena.session(&["--name", "pinned", "--project", "one", "--", "sleep", "600"]);
    let other = arena.session(&["--name", "other", "--project", "two", "--", "sleep", "600"]);
    arena.run(&["pin", "pinned"]).ok();
    arena.run(&["project", "complete", "one"]).ok();
    assert_eq!(arena.show(&within)["state"], "ended");
    for (id, health) in [(&before, "healthy"), (&other, "healthy"), (&pinned, "orphaned")] {
        until_some("its verdict", || {
            let shown = arena.show(id);
            (shown["state"] == "running" && shown["health"] == health).then_some(())
        });
    }
    let later = arena.session(&["--name", "later", "--project", "one", "--", "sleep", "600"]);
    arena.line_of("work/two");
    arena.run(&["project", "complete", "two"]).ok();
    assert_eq!(arena.show(&later)["state"], "running");
    assert_eq!(arena.show(&pinned)["reason"], "its project is finished");
}

#[test]
fn agents_in_tmux_sessions_called_after_a_project_are_closed_with_it_and_their_screens_are_kept() {
    if !has("tmux") {
        return;
    }
    let arena = Arena::new();
    arena.install(&["claude"], AGENT);
    arena.run(&["project", "add", "shop", "--", "sh", "-c", "echo up >up; sleep 600"]).ok();
    arena.line_of("work/up");
    let tmux = Tmux::new(&arena, "tmux.sock", "shop-ui");
    tmux.ok(&["new-session", "-d", "-s", "shopping", "-x", "80", "-y", "24", "exec sh"]);
    tmux.types("shop-ui", "echo last words; claude");
    tmux.types("shopping", "claude");
    arena.until_foreign(2);
    let ended = arena.json(&["project", "complete", "shop", "--json"]);
    assert_eq!(ended["cleanedSessionsCount"], 2, "{ended}");
    let sessions = ended["projects"][0]["report"]["sessions"].as_array().unwrap().clone();
    let screen = sessions.iter().find_map(|s| s["screen"].as_str()).unwrap_or_default();
    assert!(screen.contains("last words"), "{ended}");
    let left = arena.until_foreign(1);
    assert!(left[0]["address"].as_str().unwrap().starts_with("tmux:shopping:"), "{left:?}");
    tmux.ok(&["has-session", "-t", "=shop-ui"]);
}

// ---- what breaks

#[test]
fn a_project_goes_on_and_ends_while_no_daemon_is_there() {
    let arena = Arena::new();
    arena.two(&[], "echo up >>up; until [ -e go ]; do sleep 0.02; done; exit 0");
    arena.kill_daemon();
    std::fs::write(arena.path("work/go"), "").unwrap();
    until("it has ended without a daemon", || arena.agents().is_empty());
    let one = arena.until_status("one", "completed");
    assert_eq!(one["attempt"], 1);
    arena.line_of("work/two");
}

#[test]
fn after_a_reboot_an_interrupted_project_says_so_and_is_queued_again_if_the_settings_say_so() {
    for requeue in [false, true] {
        let arena = Arena::with(&format!("[projects]\nrequeue = {requeue}\n"));
        arena.run(&["project", "add", "one", "--", "sh", "-c", "echo up >>up; sleep 600"]).ok();
        arena.line_of("work/up");
        let session = arena.project("one")["session"].as_str().unwrap().to_string();
        arena.kill_daemon();
        arena.keepers().into_iter().chain(arena.agents()).for_each(|p| arena.kill(p.id));
        let journal = arena.state().join("sessions").join(&session).join("session.jsonl");
        let text = std::fs::read_to_string(&journal).unwrap();
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        assert!(text.contains(boot.trim()));
        std::fs::write(&journal, text.replace(boot.trim(), "00000000-0000-0000-0000-000000000000")).unwrap();
        let status = if requeue { "running" } else { "stopped" };
        // Until the daemon that was just started has looked, it says what the one before knew.
        let one = until_some("it is said", || Some(arena.project("one")).filter(|p| p["interrupted"] == true));
        let one = if requeue { arena.until_status("one", status) } else { one };
        assert_eq!(
            (&one["interrupted"], &one["attempt"]),
            (&json!(true), &json!(if requeue { 2 } else { 1 })),
            "{one}"
        );
        assert_eq!(one["reason"] == "interrupted: the machine was restarted", !requeue, "{one}");
    }
}

#[test]
fn what_a_stop_of_the_daemon_cuts_off_is_interrupted_and_the_next_daemon_goes_on() {
    let arena = Arena::new();
    arena.two(&["--retries", "3"], WORK);
    arena.run(&["daemon", "stop", "--yes"]).ok();
    assert_eq!(arena.agents(), []);
    let one = arena.until_status("one", "stopped");
    assert_eq!((&one["interrupted"], &one["attempt"]), (&json!(true), &json!(1)), "{one}");
    arena.line_of("work/two");
}

#[test]
fn on_a_full_disk_an_end_waits_for_room_and_is_then_told_once_also_by_the_next_daemon() {
    if !is_root() {
        return eprintln!("skipped: only root can mount a small disk");
    }
    for dies in [false, true] {
        let arena = Arena::new();
        arena.mount_small("state", "size=1m,mode=0700");
        arena.two(&[], "echo up >>up; until [ -e go ]; do sleep 0.02; done");
        std::fs::write(arena.state().join("ballast"), vec![0; 2 << 20]).unwrap_err();
        let session = arena.project("one")["session"].as_str().unwrap().to_string();
        until("not even the room inside the files is left", || {
            arena.run(&["pin", &session]).ok();
            arena.status()["memory"]["trouble"].is_string()
        });
        std::fs::write(arena.path("work/go"), "").unwrap();
        until("its agent has gone", || arena.agents().is_empty());
        until("its end cannot be noted", || arena.log().contains("the queue of projects cannot be used"));
        if dies {
            arena.kill_daemon();
        }
        std::fs::remove_file(arena.state().join("ballast")).unwrap();
        arena.make_room("state", "size=16m");
        arena.until_status("two", "running");
        arena.line_of("work/two");
        until("it is told", || told_of(&arena, "two").len() == 2);
        assert_eq!(told_of(&arena, "one"), ["queued", "running", "completed", "cleaned"], "dies={dies}");
    }
}

#[test]
fn a_database_that_cannot_be_used_stops_the_queue_and_nothing_else() {
    let arena = Arena::new();
    std::fs::create_dir_all(arena.state()).unwrap();
    std::fs::set_permissions(arena.state(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let later = Connection::open(arena.state().join("beadle.db")).unwrap();
    later.pragma_update(None, "user_version", 1000).unwrap();
    drop(later);
    arena.run(&["project", "add", "one", "--", "true"]).fails(1, "the queue of projects cannot be used");
    arena.run(&["project", "complete", "one"]).fails(1, "written by a later version of beadle");
    let id = arena.sh("a", "sleep 600");
    arena.run(&["kill", &id]).ok();
}

// ---- a daemon that dies before or after each step

/// What was told of a project, in its order; nothing while no daemon answers.
fn told_of(arena: &Arena, name: &str) -> Vec<String> {
    let kinds = "project_changed,project_cleanup_completed,sweep_completed";
    let said = arena.run(&["events", "--json", "--since", "0", "--kind", kinds]);
    if said.status != 0 {
        return Vec::new();
    }
    let word = |e: &Value| match e["kind"].as_str().unwrap() {
        "project_changed" => e["status"].as_str().unwrap().to_string(),
        "sweep_completed" => "swept".into(),
        _ => "cleaned".into(),
    };
    let is_of_it = |e: &&Value| e["projectId"] == name || e["reason"].as_str().unwrap_or_default().contains(name);
    said.json().as_array().unwrap().iter().filter(is_of_it).map(word).collect()
}

fn dies_at(point: &str) {
    let arena = Arena::new();
    // A daemon that is young says nothing about strays.
    let path = arena.path("config/beadle/config.toml");
    let config = std::fs::read_to_string(&path).unwrap().replace("[sweep]\n", "[sweep]\nmin_age = \"1ms\"\n");
    std::fs::write(&path, config).unwrap();
    let hits = arena.path("hits");
    let mut command = arena.beadle(&["daemon", "start"]);
    let action = if point.contains('=') { "" } else { "=kill" };
    command.env("BEADLE_FAILPOINTS", format!("{point}{action};hits={}", hits.display()));
    super::support::Running::of(command).wait();
    for (name, script) in [("fails", "setsid sleep 600 & exit 3"), ("next", "exit 0")] {
        let add = ["project", "add", name, "--", "sh", "-c", script];
        // A crash in the middle of it: whether it was taken shows by its name.
        until(point, || [0, 5].contains(&arena.run(&add).status));
    }
    until(&format!("{point}: all is over"), || {
        let all = arena.run(&["project", "ls", "--json"]);
        all.status == 0 && all.json().as_array().unwrap().iter().all(|p| p["ended_at"].is_string())
    });
    until(&format!("{point}: strays were looked for"), || {
        told_of(&arena, "fails").last().is_some_and(|last| last == "swept")
    });
    until(&format!("{point}: nothing is owed"), || {
        let owed = "SELECT (SELECT count(*) FROM project_events) + (SELECT count(*) FROM project_sweeps)
            + (SELECT count(*) FROM projects WHERE settled IS NOT status)";
        // Each command finds a daemon, or starts the next one.
        arena.run(&["ls"]);
        arena.queue_database().query_row(owed, [], |row| row.get::<_, u32>(0)).unwrap() == 0
    });
    assert!(hits.exists(), "{point} was not passed");
    // Another daemon has nothing to add.
    arena.run(&["daemon", "restart"]).ok();
    arena.run(&["ls"]).ok();
    let mut of_it = told_of(&arena, "fails");
    let swept = of_it.iter().filter(|word| *word == "swept").count();
    // One that was told of, and not noted as done before the crash, is made again.
    assert!(swept == 1 || swept == 2 && point.contains(".searched."), "{point}: {of_it:?}");
    of_it.retain(|word| word != "swept");
    assert_eq!(of_it, ["queued", "running", "failed", "cleaned"], "{point}");
    assert_eq!(told_of(&arena, "next"), ["queued", "running", "completed", "cleaned"], "{point}");
    assert_eq!(arena.agents(), [], "{point}");
}

#[test]
fn what_becomes_of_a_project_is_told_once_and_strays_are_looked_for_wherever_the_daemon_dies() {
    let steps = ["claim", "finished", "settled", "searched"].into_iter();
    let mut points: Vec<String> =
        steps.flat_map(|step| ["before", "after"].map(|when| format!("daemon.{step}.{when}"))).collect();
    points.push("daemon.search.before".into());
    // The thread that stores events, each of its first times.
    let stores = |when| (1..8).map(move |n| format!("daemon.memory.{when}={n}*off->kill"));
    points.extend(stores("before").chain(stores("after")));
    let next = std::sync::atomic::AtomicUsize::new(0);
    let work = || {
        while let Some(point) = points.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
            dies_at(point);
        }
    };
    std::thread::scope(|scope| (0..3).for_each(|_| drop(scope.spawn(work))));
}

#[test]
fn a_glob_of_what_is_over_says_so() {
    let arena = Arena::new();
    for name in ["qa", "qb"] {
        arena.run(&["project", "add", name, "--", "true"]).ok();
        until("it is over", || arena.json(&["project", "show", name, "--json"])["status"] == "completed");
    }
    arena.run(&["project", "complete", "q*"]).fails(1, "\"q*\" names qa, qb: all of them are over already");
    arena.run(&["project", "complete", "z*"]).fails(4, "no project \"z*\"");
    arena.run(&["project", "add", "wait", "--", "sleep", "600"]).ok();
    arena.run(&["project", "rm", "w*"]).fails(1, "none of them is over");
    arena.run(&["project", "cancel", "wait"]).ok();
}
