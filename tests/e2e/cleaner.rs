//! The cleaner in fast time: who is closed without anybody asking, after what notice, and who never is.

use rustix::process::Signal;
use serde_json::{Value, json};

use super::ask::{Answer, ask};
use super::line::Line;
use super::support::{Arena, until, until_some};

/// Limits of a moment; `more` goes into `[cleanup]`.
fn arena(more: &str) -> Arena {
    Arena::with(&config(more))
}

/// What is left out is switched off, or too long to matter.
fn config(more: &str) -> String {
    let usual = [("max_idle", "1h"), ("linger", "1h"), ("notice", "0s"), ("quiet_start", "0s")];
    let left_out = usual.iter().filter(|(key, _)| !more.contains(&format!("{key} =")));
    let lines: Vec<String> = left_out.map(|(key, value)| format!("{key} = \"{value}\"\n")).collect();
    format!("[stop]\ngrace = \"300ms\"\n[cleanup]\ninterval = \"20ms\"\n{}{more}", lines.concat())
}

impl Arena {
    /// Waits until the cleaner has looked at everybody twice more.
    #[track_caller]
    fn until_looked(&self) {
        let runs = || self.stats()["statistics"]["cleanup_runs"].as_u64().unwrap();
        let before = runs();
        until("the cleaner has looked", || runs() >= before + 2);
    }

    pub fn stats(&self) -> Value {
        ask(&self.socket(), "GET", "/api/auto-cleanup/stats", "").json()
    }

    fn put(&self, path: &str, body: &str) -> Answer {
        ask(&self.socket(), "PUT", path, body)
    }

    #[track_caller]
    fn until_announced(&self, id: &str) -> Value {
        until_some("it is announced", || Some(self.show(id)).filter(|s| !s["closes_at"].is_null()))
    }
}

#[test]
fn an_idle_session_is_announced_and_closed_by_policy_with_one_line_in_the_log() {
    let arena = arena("max_idle = \"600ms\"\nnotice = \"300ms\"\n");
    let id = arena.sh("a", "exec sleep 600");
    arena.run(&["send", &id, "x"]).ok();
    let announced = arena.until_announced(&id);
    assert_eq!(announced["closes_because"], "idle for 600 ms");
    let ended = arena.until_state(&id, "ended");
    assert_eq!((&ended["exit"]["by"], &ended["exit"]["reason"]), (&json!("policy"), &json!("idle for 600 ms")));
    assert!(ended["closes_at"].is_null());
    assert_eq!(arena.agents(), []);
    let log = arena.log();
    assert_eq!(log.matches(" ended session=").count(), 1);
    let at = |what: &str| log.find(what).unwrap_or_else(|| panic!("{what} is not in {log}"));
    assert!(at("announced session=") < at("killed session="));
    assert_eq!(arena.stats()["statistics"]["sessions_cleaned"], 1);
}

#[test]
fn the_attached_the_paused_and_the_pinned_stay() {
    let arena = arena("max_idle = \"1h\"\n");
    let ids = ["attached", "paused", "pinned", "nobody"].map(|name| arena.sh(name, "echo up; exec sleep 600"));
    ids.iter().for_each(|id| until("it has spoken", || arena.show(id)["idle_seconds"].is_number()));
    let line = Line::attached(&arena, &ids[0], true);
    arena.run(&["pause", "paused"]).ok();
    arena.run(&["pin", "pinned"]).ok();
    until("it is attached", || arena.show("attached")["attached"] == 1);
    arena.run(&["cleanup", "set", "max_idle=1ms"]).ok();
    arena.until_state(&ids[3], "ended");
    arena.until_looked();
    let state = |id: &str| arena.show(id)["state"].clone();
    assert_eq!(ids[..3].iter().map(|id| state(id)).collect::<Vec<_>>(), ["running", "paused", "running"]);
    let pending = arena.stats()["sessions_pending_cleanup"].clone();
    let why = |name: &str| pending.as_array().unwrap().iter().find(|p| p["name"] == name).unwrap().clone();
    assert_eq!(why("pinned")["reason"], "it is pinned");
    assert_eq!(why("attached")["will_cleanup"], false);
    // Whoever leaves may come back: not at once.
    drop(line);
    until("it is left", || arena.show("attached")["attached"] == 0);
    arena.until_looked();
    assert_eq!(state("attached"), "running");
    arena.run(&["unpin", "pinned"]).ok();
    arena.until_state("pinned", "ended");
    // A pause that is over is activity of nobody: it is idle still.
    arena.run(&["unpause", "paused"]).ok();
    arena.until_state("paused", "ended");
}

#[test]
fn heartbeats_hold_a_session_past_its_limit_and_only_as_long_as_they_come() {
    let arena = arena("max_idle = \"3s\"\n");
    let id = arena.sh("a", "exec sleep 600");
    let begun = std::time::Instant::now();
    // Longer than its limit.
    while begun.elapsed() < std::time::Duration::from_secs(5) {
        arena.run(&["heartbeat", &id]).ok();
    }
    assert_eq!(arena.show(&id)["state"], "running");
    arena.until_state(&id, "ended");
    arena.run(&["heartbeat", &id]).fails(4, "has been closed");
}

#[test]
fn activity_withdraws_what_was_announced() {
    let arena = arena("max_idle = \"2s\"\nnotice = \"1h\"\n");
    let id = arena.sh("a", "exec sleep 600");
    arena.run(&["heartbeat", &id]).ok();
    arena.until_announced(&id);
    arena.run(&["pin", &id]).ok();
    until("it is withdrawn", || arena.show(&id)["closes_at"].is_null());
    assert!(arena.log().contains("withdrawn session="));
}

#[test]
fn what_an_agent_left_behind_is_closed_after_the_linger_and_what_is_to_be_kept_is_not() {
    let arena = arena("linger = \"200ms\"\n");
    let script = "setsid sleep 501 & BEADLE_KEEP=1 setsid sleep 502 & setsid sleep 503 & echo $! >kept; read x; exit 4";
    let id = arena.sh("a", script);
    let kept = arena.line_of("work/kept");
    arena.run(&["keep-child", &kept]).ok();
    arena.run(&["send", &id, "--enter"]).ok();
    let sleeps = || {
        let mut all: Vec<String> = arena.agents().iter().filter_map(|p| p.arguments.get(1).cloned()).collect();
        all.sort();
        all
    };
    until("the one nobody keeps is gone", || sleeps() == ["502", "503"]);
    arena.until_looked();
    let left = arena.until_state(&id, "lingering");
    assert_eq!((&left["exit"]["code"], &left["exit"]["by"]), (&json!(4), &json!("itself")));
    assert!(arena.log().contains("left behind 200 ms after its agent ended"));
    // The next daemon knows it too.
    arena.kill_daemon();
    arena.run(&["cleanup", "now"]).ok();
    arena.until_looked();
    assert_eq!(sleeps(), ["502", "503"]);
    arena.run(&["kill", &id]).ok();
    assert_eq!(arena.agents(), []);
    arena.until_state(&id, "ended");
}

#[test]
fn only_a_process_of_a_session_can_be_kept() {
    let arena = arena("");
    let id = arena.sh("a", "exec sleep 600");
    let leader = arena.show(&id)["leader_pid"].to_string();
    arena.run(&["keep-child", &leader]).fails(1, "beadle pin a");
    arena.run(&["keep-child", "1"]).fails(4, "no session has a process 1");
    arena.run(&["keep-child", "0"]).fails(2, "");
}

#[test]
fn an_old_session_is_closed_only_when_it_rests() {
    let arena = arena("max_age = \"1s\"\n");
    // At work until it is told to rest.
    let id = arena.sh("a", "while [ ! -e rest ]; do echo $((n += 1)) words; sleep 0.05; done; exec sleep 600");
    until("it is old", || arena.show(&id)["age_seconds"].as_f64().unwrap() > 2.0);
    arena.until_looked();
    assert_eq!(arena.show(&id)["state"], "running");
    std::fs::write(arena.path("work/rest"), "").unwrap();
    let ended = arena.until_state(&id, "ended");
    assert_eq!((&ended["exit"]["by"], &ended["exit"]["reason"]), (&json!("policy"), &json!("older than 1 s")));
}

#[test]
fn a_timeout_ends_a_session_at_work_whatever_the_cleaner_does() {
    let arena = arena("enabled = false\nnotice = \"1h\"\nquiet_start = \"1h\"\n");
    let id = arena.session(&["--timeout", "700ms", "--", "sh", "-c", "while :; do echo work; sleep 0.05; done"]);
    let free = arena.sh("free", "exec sleep 600");
    let ended = arena.until_state(&id, "ended");
    assert_eq!(ended["exit"]["by"], "timeout");
    assert_eq!(ended["exit"]["reason"], "its timeout of 700 ms is over");
    assert_eq!(arena.show(&free)["state"], "running");
    // A restart is a new run: it has its time again, and then ends again.
    arena.run(&["restart", &id]).ok();
    assert_eq!(arena.show(&id)["state"], "running");
    assert_eq!(arena.until_state(&id, "ended")["exit"]["by"], "timeout");
}

#[test]
fn a_timeout_outlives_the_daemon() {
    let arena = arena("");
    let id = arena.session(&["--timeout", "2s", "--", "sleep", "600"]);
    arena.kill_daemon();
    arena.run(&["ls"]).ok();
    assert_eq!(arena.until_state(&id, "ended")["exit"]["by"], "timeout");
}

#[test]
fn limits_of_one_session_and_of_one_kind_of_agent_go_first() {
    let arena = Arena::with(&format!(
        "{}\n[[agent]]\nname = \"short\"\nmatch = {{ program = [\"short\"] }}\nmax_idle = \"300ms\"\n",
        config("")
    ));
    let own = arena.session(&["--name", "own", "--max-idle", "300ms", "--", "sh", "-c", "echo up; exec sleep 600"]);
    let kind = arena.session(&["--agent", "short", "--", "sh", "-c", "echo up; exec sleep 600"]);
    let free = arena.sh("free", "echo up; exec sleep 600");
    for id in [&own, &kind] {
        assert_eq!(arena.until_state(id, "ended")["exit"]["reason"], "idle for 300 ms");
    }
    assert_eq!(arena.show(&free)["state"], "running");
    let said = arena.run(&["run", "--max-idle", "0s", "true"]);
    said.fails(2, "'--max-idle <DURATION>': it must be more than 0");
}

#[test]
fn nothing_is_closed_by_policy_soon_after_the_start_of_a_daemon() {
    let arena = arena("max_idle = \"1ms\"\nquiet_start = \"1h\"\n");
    let id = arena.sh("a", "echo up; exec sleep 600");
    let announced = arena.until_announced(&id);
    arena.until_looked();
    let cleaned = arena.json(&["cleanup", "now", "--json"]);
    assert_eq!((&cleaned["cleaned_sessions"], &cleaned["announced"]), (&json!(0), &json!(1)));
    assert!(!arena.stats()["auto_cleanup_task"]["quiet_until"].is_null());
    let left =
        beadle::sys::clock::seconds_between(&beadle::sys::clock::wall(), announced["closes_at"].as_str().unwrap());
    assert!(left.unwrap() > 3000.0, "the countdown knows of it: {announced}");
    arena.run(&["cleanup", "set", "quiet_start=0s"]).ok();
    arena.until_state(&id, "ended");
}

#[test]
fn a_daemon_that_was_stopped_for_long_begins_with_quiet() {
    let arena = arena("max_idle = \"4s\"\nquiet_start = \"1h\"\n");
    let id = arena.sh("a", "echo up; exec sleep 600");
    arena.run(&["cleanup", "set", "quiet_start=1ms"]).ok();
    let daemon = arena.daemon();
    arena.signal(daemon, Signal::STOP);
    std::thread::sleep(std::time::Duration::from_secs(11));
    arena.signal(daemon, Signal::CONT);
    until("it noticed", || arena.log().contains("time went by that nobody watched"));
    // The quiet is over at once here; without it the first look would have closed the session.
    arena.until_state(&id, "ended");
    let log = arena.log();
    assert!(log.find("nobody watched").unwrap() < log.find("killed session=").unwrap(), "{log}");
}

#[test]
fn a_daemon_that_comes_in_the_middle_of_a_notice_announces_again() {
    let arena = arena("max_idle = \"1s\"\nnotice = \"2s\"\n");
    let id = arena.sh("a", "echo up; exec sleep 600");
    arena.until_announced(&id);
    arena.kill_daemon();
    arena.run(&["ls"]).ok();
    arena.until_state(&id, "ended");
    let log = arena.log();
    assert_eq!(log.matches("announced session=").count(), 2, "{log}");
    let (second, killed) = (log.rfind("announced session=").unwrap(), log.find("killed session=").unwrap());
    let at = |place: usize| log[..place].rfind('\n').map_or(&log[..24], |start| &log[start + 1..start + 25]);
    let notice = beadle::sys::clock::seconds_between(at(second), at(killed)).unwrap();
    assert!(notice >= 1.9, "only {notice} s before: {log}");
}

#[test]
fn a_pass_that_fails_is_counted_and_the_next_one_does_the_work() {
    let arena = arena("max_idle = \"1h\"\n");
    let id = arena.sh("a", "echo up; exec sleep 600");
    let daemon = arena.daemon();
    // No descriptor is left to open the process table with.
    let limit = |files: &str| {
        let mut command = std::process::Command::new("prlimit");
        command.args(["--pid", &daemon.pid.to_string(), &format!("--nofile={files}:")]);
        assert!(command.status().unwrap().success());
    };
    limit("3");
    until("a pass failed", || arena.log().contains("the cleaner's pass failed"));
    limit("1024");
    arena.run(&["cleanup", "set", "max_idle=1ms"]).ok();
    arena.until_state(&id, "ended");
    assert!(arena.stats()["statistics"]["cleanup_errors"].as_u64().unwrap() >= 1);
}

// ---- settings

#[test]
fn set_says_old_and_new_and_refuses_what_makes_no_sense() {
    let arena = arena("");
    arena.run(&["daemon", "start"]).ok();
    let said = arena.run(&["cleanup", "set", "max_idle=10m", "health.spin_after=2m"]).ok();
    assert!(said.contains("cleanup.max_idle: 60m → 10m") && said.contains("health.spin_after: 10m → 2m"), "{said}");
    let done = arena.json(&["cleanup", "set", "max_idle=200ms", "--json"]);
    assert_eq!(
        (&done["old_settings"]["cleanup.max_idle"], &done["new_settings"]["cleanup.max_idle"]),
        (&json!("10m"), &json!("200ms"))
    );
    for (setting, said) in [
        ("orphaned_after=1m", "is below `stuck_after`"),
        ("max_idel=1m", "did you mean `max_idle`?"),
        ("stop.grace=1s", "cannot change while the daemon runs"),
        ("max_idle=soon", "is not a duration"),
        ("max_idle=0s", "cannot be zero"),
    ] {
        arena.run(&["cleanup", "set", "max_age=5h", setting]).fails(2, said);
    }
    arena.run(&["cleanup", "set", "max_idle"]).fails(2, "KEY=VALUE");
    let cleanup = arena.json(&["cleanup", "--json"])["configuration"]["cleanup"].clone();
    assert_eq!((&cleanup["max_idle"], &cleanup["max_age"]), (&json!("200ms"), &json!("24h")), "all or nothing");
}

#[test]
fn save_keeps_the_comments_the_mode_and_the_link_of_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let arena = arena("");
    let (link, file) = (arena.path("config/beadle/config.toml"), arena.path("home/dotfile.toml"));
    std::fs::rename(&link, &file).unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let text = std::fs::read_to_string(&file).unwrap() + "# the end\n";
    std::fs::write(&file, text.replace("max_idle = \"1h\"", "max_idle = \"1h\"  # long")).unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    let done = arena.json(&["cleanup", "set", "max_idle=20m", "stuck_after=10m", "--save", "--json"]);
    assert_eq!(done["saved"], link.to_str().unwrap());
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("max_idle = \"20m\"  # long") && text.contains("# the end"), "{text}");
    assert!(text.contains("[health]\nstuck_after = \"10m\""), "{text}");
    assert!(link.is_symlink());
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    arena.run(&["config", "check"]).ok();
    // A file that is wrong is left as it is, and nothing is set either.
    std::fs::write(&file, "[cleanup\n").unwrap();
    arena.run(&["cleanup", "set", "max_idle=30m", "--save"]).fails(1, "not valid TOML");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "[cleanup\n");
    assert_eq!(arena.stats()["configuration"]["cleanup"]["max_idle"], "20m");
}

#[test]
fn a_file_read_again_holds_at_once_and_a_bad_one_changes_nothing() {
    let arena = arena("");
    let id = arena.sh("a", "echo up; exec sleep 600");
    let daemon = arena.daemon();
    arena.configure(&config("max_idle = \"soon\"\n"));
    arena.signal(daemon, Signal::HUP);
    until("it was refused", || arena.log().contains("the config is bad: the old settings stay in force"));
    assert_eq!(arena.stats()["configuration"]["session_timeout"], 3600);
    arena.run(&["cleanup", "stop"]).ok();
    arena.configure(&config("max_idle = \"1ms\"\n[sys]\ncgroup = false\n"));
    let said = arena.run(&["config", "reload"]).ok();
    assert!(said.contains("sys.cgroup holds from the next"), "{said}");
    let stats = arena.stats();
    assert_eq!(stats["auto_cleanup_task"]["task_status"], "stopped", "what a person stopped stays so");
    assert_eq!(arena.show(&id)["state"], "running");
    let said = arena.run(&["cleanup", "start"]).ok();
    assert!(said.contains("is started"), "{said}");
    arena.until_state(&id, "ended");
}

#[test]
fn the_environment_of_a_starting_daemon_sets_limits() {
    let arena = arena("");
    let mut start = arena.beadle(&["daemon", "start"]);
    start.env("BEADLE_CLEANUP__MAX_IDLE", "7m");
    super::support::Running::of(start).wait().ok();
    assert_eq!(arena.stats()["configuration"]["session_timeout"], 420);
}

// ---- HTTP

#[test]
fn the_plain_form_over_http_is_as_it_is_written() {
    let arena = arena("notice = \"1h\"\n");
    let id = arena.sh("a", "echo up; exec sleep 600");
    let (old, new) = (
        json!({ "session_timeout": 3600, "cleanup_interval": 0.02, "auto_cleanup_enabled": true }),
        json!({ "session_timeout": 1800, "cleanup_interval": 120, "auto_cleanup_enabled": true }),
    );
    let answer = arena.put("/api/auto-cleanup/configure", r#"{"session_timeout":1800,"cleanup_interval":120}"#);
    let said = answer.json();
    assert_eq!(
        (answer.status, &said["status"], &said["old_settings"], &said["new_settings"]),
        (200, &json!("updated"), &old, &new)
    );
    assert!(said["message"].is_string());
    assert_eq!(arena.put("/api/auto-cleanup/configure", "").json()["new_settings"], new);
    for (body, status) in [
        (r#"{"session_timeout":0}"#, 422),
        (r#"{"session_timeout":-1}"#, 422),
        (r#"{"cleanup_interval":0.5}"#, 422),
        (r#"{"session_timeout":"30m"}"#, 422),
        (r#"{"session_timeout":99999999999}"#, 422),
        (r#"{"auto_cleanup_enabled":"yes"}"#, 422),
        (r#"{"token":"x"}"#, 422),
        ("[1]", 400),
        ("{", 400),
    ] {
        let answer = arena.put("/api/auto-cleanup/configure", body);
        assert_eq!(answer.status, status, "{body}: {answer:?}");
        assert!(answer.json()["error"]["message"].as_str().unwrap().len() > 20, "{answer:?}");
    }
    for (verb, running) in [("stop", false), ("stop", false), ("start", true)] {
        let said = ask(&arena.socket(), "POST", &format!("/api/auto-cleanup/{verb}"), "").json();
        assert_eq!((&said["cleanup_interval"], &said["session_timeout"]), (&json!(120), &json!(1800)));
        assert!(said["status"].is_string() && said["message"].is_string());
        assert_eq!(arena.stats()["auto_cleanup_task"]["running"], running);
        assert_eq!(arena.show(&id)["state"], "running", "sessions are left alone");
    }
    let stats = arena.stats();
    assert_eq!(
        (&stats["configuration"]["max_sessions"], &stats["configuration"]["max_sessions_per_workspace"]),
        (&json!(1000), &json!(0))
    );
    let s = &stats["statistics"];
    assert_eq!(
        (&s["total_sessions"], &s["active_sessions"], &s["inactive_sessions"]),
        (&json!(1), &json!(1), &json!(0))
    );
    assert_eq!((&s["workspaces_with_sessions"], &s["sessions_created"]), (&json!(1), &json!(1)));
    assert!(stats["auto_cleanup_task"]["next_run_at"].is_string());
    assert_eq!(ask(&arena.socket(), "GET", "/api/auto-cleanup/configure", "").status, 405);
}

#[test]
fn a_pass_over_http_says_whom_it_closed_and_has_an_envelope_for_shells() {
    let arena = arena("");
    let id = arena.sh("a", "echo up; exec sleep 600");
    until("it has spoken", || arena.show(&id)["idle_seconds"].is_number());
    arena.run(&["cleanup", "stop"]).ok();
    arena.run(&["cleanup", "set", "max_idle=1ms"]).ok();
    let said = ask(&arena.socket(), "POST", "/bash/cleanup", "").json();
    assert_eq!(said["status"], "success");
    let cleaned = &said["data"];
    assert_eq!(cleaned["cleaned_sessions"], 1);
    let session = &cleaned["sessions"][0];
    assert_eq!((&session["session_id"], &session["reason"]), (&json!(id), &json!("idle for 1 ms")));
    assert_eq!(session["workspace_name"], arena.path("work").to_str().unwrap());
    assert!(session["inactive_time"].is_number() && cleaned["cleanup_time"].as_i64().unwrap() > 1_700_000_000);
    assert_eq!(ask(&arena.socket(), "POST", "/api/cleanup", "").json()["cleaned_sessions"], 0);
    for (method, path) in [("GET", "stats"), ("POST", "start"), ("POST", "stop"), ("PUT", "configure")] {
        let said = ask(&arena.socket(), method, &format!("/bash/auto-cleanup/{path}"), "").json();
        assert_eq!(said["status"], "success");
        assert!(said["data"].is_object());
    }
    assert_eq!(arena.put("/bash/auto-cleanup/configure", r#"{"session_timeout":0}"#).status, 422);
}

// ---- pressure

#[test]
fn at_the_cap_the_longest_idle_makes_room_and_nobody_at_work() {
    let arena = arena("max_sessions = 3\nmax_idle = \"1s\"\nenabled = false\n");
    let idle = |id: &str| arena.show(id)["idle_seconds"].as_f64();
    let work = arena.sh("work", "while :; do echo work; sleep 0.05; done");
    let pinned = arena.sh("pinned", "echo up; exec sleep 600");
    arena.run(&["pin", &pinned]).ok();
    let rest = arena.sh("rest", "echo up; exec sleep 600");
    let rests = |id: &str| idle(id) > Some(1.1) && arena.show(id)["attention"] != "working";
    until("it rests", || rests(&rest) && rests(&pinned));
    let said = arena.run(&["run", "--name", "new", "--", "sh", "-c", "while :; do echo work; sleep 0.05; done"]);
    assert_eq!(said.status, 0, "{said:?}");
    assert!(said.err.contains("closed rest") && said.err.contains("max_sessions is 3"), "{said:?}");
    let ended = arena.until_state(&rest, "ended");
    assert_eq!(ended["exit"]["by"], "pressure");
    arena.run(&["run", "true"]).fails(5, "none has been idle for 1 s: close one");
    let body = r#"{"command":["true"]}"#;
    assert_eq!(ask(&arena.socket(), "POST", "/api/session/start", body).status, 429);
    arena.run(&["restart", &rest]).fails(5, "there are already 3 sessions");
    for id in [&work, &pinned] {
        assert_eq!(arena.show(id)["state"], "running");
    }
}

#[test]
fn the_cap_of_a_workspace_is_its_own_and_a_wrong_request_costs_nobody() {
    let arena = arena("max_sessions_per_workspace = 1\nmax_idle = \"1ms\"\nenabled = false\n");
    std::fs::create_dir(arena.path("other")).unwrap();
    let here = arena.sh("here", "echo up; exec sleep 600");
    let there =
        arena.session(&["--cwd", arena.path("other").to_str().unwrap(), "--", "sh", "-c", "echo up; exec sleep 600"]);
    // Before its first text is seen, it rests as well.
    let rests = |id: &str| {
        let shown = arena.show(id);
        let spoke = shown["evidence"].as_array().unwrap().iter().any(|e| e["kind"] == "text");
        spoke && shown["attention"] != "working" && shown["idle_seconds"].is_number()
    };
    until("they rest", || rests(&here) && rests(&there));
    arena.run(&["run", "--name", "bad name\n", "true"]).fails(2, "");
    assert_eq!(arena.show(&here)["state"], "running");
    let starts: Vec<_> = (0..2).map(|_| arena.begin(&["run", "--", "sleep", "600"])).collect();
    let said: Vec<_> = starts.into_iter().map(super::support::Running::wait).collect();
    // One slot is freed, and it is for one of them.
    let mut statuses: Vec<i32> = said.iter().map(|s| s.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [0, 5], "{said:?}");
    assert_eq!(arena.until_state(&here, "ended")["exit"]["by"], "pressure");
    assert_eq!(arena.show(&there)["state"], "running");
}
