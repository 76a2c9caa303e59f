//! Agents beadle did not start: scripts of that name, in terminals and in tmux servers of the arena's own.
//!
//! A fence is in every arena's config, so that a daemon here sees nobody but its own agents.

use std::path::PathBuf;

use beadle::model::session::ProcId;
use beadle::sys::process;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::support::{Arena, Running, Said, has, pid_of, until, until_some};

/// An agent at its prompt, with a tool at work and a helper.
pub const AGENT: &str = "#!/bin/sh\nsleep 600 &\nwhile read line; do echo \"you said: $line\"; done\nwait\n";

impl Arena {
    /// Puts scripts of these names where shells of the arena find them.
    pub fn install(&self, names: &[&str], script: &str) {
        std::fs::create_dir_all(self.path("agents")).unwrap();
        names.iter().for_each(|name| drop(self.script(&format!("agents/{name}"), script)));
    }

    fn path_variable(&self) -> String {
        format!("{}:/usr/local/bin:/usr/bin:/bin", self.path("agents").display())
    }

    /// A shell with a terminal of its own, outside of everything; it runs the script.
    pub fn terminal(&self, script: &str) -> Running {
        let file = self.script("terminal.sh", script);
        let mut command = self.program("script");
        command.args(["-qec", &format!("sh {file}"), "/dev/null"]).env("PATH", self.path_variable());
        Running::of(command)
    }

    /// Sessions beadle did not start.
    #[track_caller]
    fn foreign(&self) -> Vec<Value> {
        let all = self.json(&["ls", "--json"]).as_array().unwrap().clone();
        all.into_iter().filter(|s| s["origin"] != "managed").collect()
    }

    #[track_caller]
    pub fn until_foreign(&self, count: usize) -> Vec<Value> {
        until_some(&format!("{count} sessions beadle did not start"), || {
            Some(self.foreign()).filter(|all| all.len() == count)
        })
    }

    #[track_caller]
    fn one_foreign(&self) -> Value {
        self.until_foreign(1).remove(0)
    }

    pub fn is_there(&self, line: &str) -> bool {
        self.agents().iter().any(|p| p.arguments.join(" ") == line)
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no {key} in {value}"))
}

/// A tmux server of the arena's own.
pub struct Tmux<'a> {
    arena: &'a Arena,
    socket: PathBuf,
}

impl<'a> Tmux<'a> {
    /// With one session, and a shell in its only pane.
    pub fn new(arena: &'a Arena, name: &str, session: &str) -> Self {
        let tmux = Self { arena, socket: arena.path(name) };
        tmux.ok(&["new-session", "-d", "-s", session, "-x", "80", "-y", "24", "exec sh"]);
        tmux
    }

    fn run(&self, args: &[&str]) -> Said {
        let mut command = self.arena.program("tmux");
        command.arg("-S").arg(&self.socket).args(["-f", "/dev/null"]).args(args);
        command.env("PATH", self.arena.path_variable());
        Running::of(command).wait()
    }

    #[track_caller]
    pub fn ok(&self, args: &[&str]) -> String {
        self.run(args).ok()
    }

    #[track_caller]
    pub fn types(&self, target: &str, line: &str) {
        self.ok(&["send-keys", "-t", target, line, "Enter"]);
    }

    #[track_caller]
    fn server(&self) -> ProcId {
        let pid = self.ok(&["display-message", "-p", "#{pid}"]);
        process::identity(pid.trim().parse().unwrap()).unwrap()
    }
}

#[test]
fn an_agent_in_a_terminal_is_found_and_closed_and_its_shell_and_what_runs_beside_it_live() {
    let arena = Arena::new();
    arena.install(&["claude"], AGENT);
    let mut shell = arena.terminal("sleep 701 &\nsleep 702 &\nclaude\necho over >over\nexec sleep 703\n");
    let found = arena.one_foreign();
    assert_eq!((text(&found, "origin"), text(&found, "agent"), text(&found, "state")), ("found", "claude", "running"));
    assert_eq!(text(&found, "workspace"), arena.path("work").to_str().unwrap());
    assert_eq!(found["processes"], json!(2), "{found}");
    let (id, leader) = (text(&found, "id"), pid_of(&found["leader_pid"]));
    assert_eq!(text(&found, "name"), format!("claude-{}", leader.pid));

    arena.run(&["kill", id]).fails(2, "--yes");
    let dry = arena.json(&["kill", id, "--dry-run", "--json"]);
    assert_eq!(dry["sessions"][0]["processes"], json!(2), "{dry}");
    assert!(process::is_alive(leader));

    let report = arena.json(&["kill", id, "--yes", "--json"]);
    assert_eq!((&report["closed"], &report["sessions"][0]["processes"]), (&json!(1), &json!(2)), "{report}");
    assert!(!process::is_alive(leader) && !arena.is_there("sleep 600"));
    // The shell goes on to its next line, and the jobs in the same terminal session are still there.
    arena.line_of("work/over");
    until("the shell's next command", || arena.is_there("sleep 703"));
    assert!(arena.is_there("sleep 701") && arena.is_there("sleep 702") && !shell.is_over());
    assert_eq!(arena.foreign(), [] as [Value; 0]);
    let ended = arena.show(id);
    assert_eq!((text(&ended, "state"), text(&ended["exit"], "by")), ("ended", "user"));
}

#[test]
fn an_agent_that_an_agent_started_is_part_of_it() {
    let arena = Arena::new();
    arena.install(&["codex"], "#!/bin/sh\nclaude & wait\n");
    arena.install(&["claude"], "#!/bin/sh\nsleep 601 & wait\n");
    let mut command = arena.program(arena.path("agents/codex"));
    command.env("PATH", arena.path_variable());
    let _outer = Running::of(command);
    until("all of it is seen as one", || {
        let all = arena.foreign();
        all.len() == 1 && all[0]["agent"] == "codex" && all[0]["processes"] == 3
    });
}

#[test]
fn what_a_managed_session_starts_is_no_session_of_its_own() {
    let arena = Arena::new();
    arena.install(&["claude", "codex"], AGENT);
    let id = arena.sh("a", &format!("PATH={}; claude & setsid codex & sleep 600", arena.path_variable()));
    until("they run", || arena.show(&id)["processes"].as_u64() >= Some(5));
    assert_eq!(arena.foreign(), [] as [Value; 0]);
}

#[test]
fn an_agent_in_tmux_is_seen_where_it_is_and_closed_without_its_pane() {
    if !has("tmux") {
        return;
    }
    let arena = Arena::new();
    arena.install(&["claude"], AGENT);
    let tmux = Tmux::new(&arena, "own.sock", "main");
    assert_eq!(arena.foreign(), [] as [Value; 0], "a shell is no agent");
    let shells = arena.json(&["ls", "--shells", "--json"]);
    assert_eq!((shells.as_array().unwrap().len(), &shells[0]["agent"]), (1, &json!("shell")), "{shells}");

    tmux.types("main", "claude");
    let seen = arena.one_foreign();
    assert_eq!((text(&seen, "origin"), text(&seen, "address")), ("tmux", "tmux:main:0.0"));
    assert_eq!(arena.show("tmux:main:0.0")["id"], seen["id"]);
    arena.run(&["send", "tmux:main:0.0", "-- #{pid} é", "--enter"]).ok();
    until("the agent has read it", || arena.run(&["peek", "tmux:main:0.0"]).ok().contains("you said: -- #{pid} é"));
    arena.run(&["logs", "tmux:main:0.0"]).fails(1, "peek");
    arena.run(&["pause", "tmux:main:0.0"]).fails(1, "Ctrl-Z");
    arena.run(&["attach", "tmux:main:0.0"]).fails(2, "terminal");

    let server = tmux.server();
    let report = arena.json(&["kill", "tmux:main:0.0", "--yes", "--json"]);
    assert_eq!(report["sessions"][0]["outcome"], "clean", "{report}");
    assert!(text(&report["sessions"][0], "screen").contains("you said:"), "{report}");
    assert!(process::is_alive(server) && !arena.is_there("sleep 600"));
    assert_eq!(tmux.ok(&["list-panes", "-a", "-F", "#{pane_current_command}"]).trim(), "sh");
    arena.run(&["kill", "tmux:main:0.0", "--yes"]).fails(5, "plain shell");
}

#[test]
fn a_shell_that_executes_an_agent_in_its_place_is_that_agent_from_then_on() {
    if !has("tmux") {
        return;
    }
    let arena = Arena::new();
    arena.install(&["claude"], AGENT);
    let tmux = Tmux::new(&arena, "own.sock", "main");
    until("the shell is seen", || arena.json(&["ls", "--shells", "--json"])[0]["agent"] == "shell");
    tmux.types("main", "exec claude");
    let seen = arena.one_foreign();
    assert_eq!((text(&seen, "agent"), text(&seen, "address")), ("claude", "tmux:main:0.0"));
}

#[test]
fn a_pane_goes_when_that_is_asked_for_and_a_glob_takes_several() {
    if !has("tmux") {
        return;
    }
    let arena = Arena::new();
    arena.install(&["claude", "codex"], AGENT);
    let tmux = Tmux::new(&arena, "own.sock", "front-a");
    tmux.ok(&["new-session", "-d", "-s", "front-b", "exec sh"]);
    tmux.ok(&["new-session", "-d", "-s", "back", "exec sh"]);
    ["front-a", "front-b"].iter().for_each(|s| tmux.types(s, "claude"));
    tmux.types("back", "codex");
    arena.until_foreign(3);
    arena.run(&["kill", "tmux:front-*"]).fails(2, "tmux:front-b");
    arena.run(&["kill", "tmux:front-*", "--yes", "--pane"]).ok();
    assert_eq!(tmux.ok(&["list-sessions", "-F", "#{session_name}"]).trim(), "back");
    assert_eq!(text(&arena.one_foreign(), "address"), "tmux:back:0.0");
    let said = arena.run(&["close-all"]);
    assert!(said.out.contains("1 session that beadle did not start stays"), "{said:?}");
    assert_eq!(arena.until_foreign(1).len(), 1);
}

#[test]
fn over_http_only_an_id_names_what_beadle_did_not_start() {
    if !has("tmux") {
        return;
    }
    let arena = Arena::new();
    arena.install(&["claude"], AGENT);
    let tmux = Tmux::new(&arena, "own.sock", "main");
    tmux.types("main", "claude");
    let id = text(&arena.one_foreign(), "id").to_string();
    for target in ["tmux:main:0.0", "tmux:*", &id[..4]] {
        let body = json!({ "targets": [target] }).to_string();
        let answer = super::ask::ask(&arena.socket(), "POST", "/api/kill", &body);
        assert_eq!(answer.status, 403, "{target}: {answer:?}");
    }
    let answer = super::ask::ask(&arena.socket(), "POST", &format!("/api/sessions/{id}/kill"), "");
    assert_eq!(answer.status, 200, "{answer:?}");
    until("it has gone", || arena.foreign().is_empty());
}

#[test]
fn an_agent_inside_a_session_acts_on_nothing_that_beadle_did_not_start() {
    let arena = Arena::new();
    arena.install(&["claude"], AGENT);
    let _shell = arena.terminal("claude\n");
    let id = text(&arena.one_foreign(), "id").to_string();
    let inside = format!("{0} kill {id} --yes 2>said; {0} pin {id} 2>>said; sleep 600", arena.binary());
    arena.sh("inside", &inside);
    until("both were refused", || {
        std::fs::read_to_string(arena.path("work/said")).is_ok_and(|said| said.lines().count() >= 2)
    });
    let seen = arena.show(&id);
    assert_eq!((text(&seen, "state"), &seen["pinned"]), ("running", &json!(false)));
}

#[test]
fn a_question_on_the_screen_is_seen_as_waiting() {
    if !has("tmux") {
        return;
    }
    let arena = Arena::new();
    let question = "Bash command\\n\\n   rm -r build\\n\\n Do you want to proceed?\\n ❯ 1. Yes\\n   2. No, and tell Claude what to do differently (esc)\\n\\n Esc to cancel · Tab to amend\\n";
    let rule = "─".repeat(40);
    arena.install(&["claude"], &format!("#!/bin/sh\nprintf '{rule}\\n{question}'\nread answer\nsleep 600\n"));
    let tmux = Tmux::new(&arena, "own.sock", "main");
    tmux.types("main", "clear; claude");
    arena.one_foreign();
    let waiting = until_some("it waits", || arena.foreign().into_iter().find(|s| s["attention"] == "waiting"));
    assert!(text(&waiting, "reason").starts_with("waiting for you"), "{waiting}");
}

#[test]
fn a_tmux_server_that_hangs_delays_nobody_and_its_agents_are_still_listed() {
    if !has("tmux") {
        return;
    }
    let arena = Arena::new();
    arena.install(&["claude", "codex"], AGENT);
    let (hung, well) = (Tmux::new(&arena, "hung.sock", "hung"), Tmux::new(&arena, "well.sock", "well"));
    hung.types("hung", "claude");
    well.types("well", "codex");
    arena.until_foreign(2);
    let server = hung.server();
    arena.signal(server, Signal::STOP);
    until("it is noted", || arena.log().contains(&format!("the tmux server {}", server.pid)));
    // An error is no absence: where it is was known before.
    assert!(arena.foreign().iter().any(|s| s["address"] == "tmux:hung:0.0"), "{:?}", arena.foreign());
    // To the next daemon it is known to be in tmux by its descent, whatever its server says.
    arena.run(&["daemon", "restart"]).ok();
    let seen = until_some("both are there, and one cannot be reached", || {
        let all = arena.until_foreign(2);
        (all.iter().filter(|s| s["origin"] == "tmux" && s["address"].is_null()).count() == 1).then_some(all)
    });
    assert!(seen.iter().any(|s| s["address"] == "tmux:well:0.0"), "{seen:?}");
    let silent = seen.iter().find(|s| s["address"].is_null()).unwrap();
    arena.run(&["peek", text(silent, "id")]).fails(1, "does not answer");
    until("it is noted", || arena.log().contains(&format!("the tmux server {}", server.pid)));
    arena.signal(server, Signal::CONT);
    until("it is heard again", || arena.foreign().iter().any(|s| s["address"] == "tmux:hung:0.0"));
}

#[test]
fn a_socket_nobody_listens_on_is_no_error() {
    let arena = Arena::new();
    let dir = arena.path(&format!("tmux-{}", rustix::process::geteuid().as_raw()));
    std::fs::create_dir(&dir).unwrap();
    drop(std::os::unix::net::UnixListener::bind(dir.join("default")).unwrap());
    let mut command = arena.beadle(&["ls", "--json"]);
    command.env("TMUX_TMPDIR", arena.path(""));
    Running::of(command).wait().ok();
    assert!(!arena.log().contains("cannot be asked"), "{}", arena.log());
}

#[test]
fn names_pins_and_projects_are_remembered_and_a_name_is_taken() {
    let arena = Arena::new();
    arena.install(&["claude"], AGENT);
    let _shell = arena.terminal("claude\n");
    let id = text(&arena.one_foreign(), "id").to_string();
    arena.run(&["rename", &id, "api"]).ok();
    arena.run(&["pin", "api"]).ok();
    arena.run(&["rename", "api", "--project", "shop\x1b[2J"]).ok();
    arena.run(&["rename", "api"]).fails(2, "");
    arena.run(&["run", "--name", "api", "--project", "x", "--", "sleep", "600"]).fails(5, "api");
    arena.kill_daemon();
    let again = arena.one_foreign();
    assert_eq!((text(&again, "id"), text(&again, "name"), &again["pinned"]), (id.as_str(), "api", &json!(true)));
    let of_shop = arena.json(&["ls", "--project", text(&again, "project"), "--json"]);
    assert!(text(&again, "project").starts_with("shop") && !text(&again, "project").contains('\x1b'), "{again}");
    assert_eq!(of_shop.as_array().unwrap().len(), 1, "{of_shop}");
    arena.run(&["rename", "api", "--project", ""]).ok();
    assert_eq!(arena.one_foreign()["project"], json!(null));
    let managed = arena.sh("b", "exec sleep 600");
    arena.run(&["rename", &managed, "--project", "shop"]).fails(1, "beadle run --project");
    arena.run(&["kill", "api", "--yes"]).ok();
    let kept = std::fs::read_to_string(arena.state().join("foreign.json")).unwrap();
    assert!(!kept.contains("api"), "{kept}");
}

#[test]
fn whose_terminal_is_gone_is_orphaned_and_says_how_that_is_known() {
    let arena = Arena::new();
    // Deaf to the hang-up, as agents are.
    arena.install(&["claude"], "#!/bin/sh\ntrap '' HUP\nwhile :; do sleep 600; done\n");
    let mut shell = arena.terminal("trap '' HUP\nclaude\n");
    let id = text(&arena.one_foreign(), "id").to_string();
    assert_eq!(arena.show(&id)["health"], "healthy");
    shell.end();
    let orphan = until_some("it is orphaned", || Some(arena.show(&id)).filter(|s| s["health"] == "orphaned"));
    assert!(text(&orphan, "reason").starts_with("terminal gone"), "{orphan}");
    let proof = orphan["evidence"].as_array().unwrap().iter().find(|e| e["kind"] == "terminal");
    assert!(proof.is_some_and(|e| text(e, "text").contains("deleted terminal")), "{orphan}");
    arena.run(&["kill", &id, "--yes"]).ok();
}

#[test]
fn who_has_stopped_is_stuck_and_who_lost_its_agent_lingers() {
    let arena = Arena::new();
    arena.install(&["claude"], "#!/bin/sh\nsetsid sleep 600 &\nsleep 601\n");
    let _shell = arena.terminal("claude\nexec sleep 602\n");
    let id = text(&arena.one_foreign(), "id").to_string();
    let leader = pid_of(&arena.show(&id)["leader_pid"]);
    until("its tools are seen", || arena.show(&id)["processes"] == 3);
    arena.signal(leader, Signal::STOP);
    let stuck = until_some("it is stuck", || Some(arena.show(&id)).filter(|s| s["health"] == "stuck"));
    assert_eq!(text(&stuck, "reason"), "stopped by a signal");
    arena.kill(leader);
    let left = until_some("it lingers", || Some(arena.show(&id)).filter(|s| s["state"] == "lingering"));
    assert_eq!(
        (text(&left, "health"), text(&left, "agent"), &left["leader_pid"]),
        ("orphaned", "claude", &Value::Null)
    );
    arena.run(&["kill", &id, "--yes"]).ok();
    assert!(!arena.is_there("sleep 600"));
    until("the shell's next command", || arena.is_there("sleep 602"));
}

#[test]
fn the_agent_a_command_runs_in_is_not_closed_by_it() {
    let arena = Arena::new();
    let script = format!(
        "#!/bin/sh\n{0} ls --json >own.new; mv own.new own\nread id <id\n{0} kill $id --yes 2>said\necho $? >status\nsleep 600\n",
        arena.binary()
    );
    arena.install(&["claude"], &script);
    let _shell = arena.terminal("mkfifo id; claude\n");
    until("it has looked", || arena.path("work/own").exists());
    let own: Value = serde_json::from_slice(&std::fs::read(arena.path("work/own")).unwrap()).unwrap();
    let id = text(&own[0], "id").to_string();
    std::fs::write(arena.path("work/id"), format!("{id}\n")).unwrap();
    assert_eq!(arena.line_of("work/status"), "5");
    assert!(arena.line_of("work/said").contains("close it from outside"));
    assert_eq!(arena.show(&id)["state"], "running");
    arena.run(&["kill", &id, "--yes"]).ok();
}

#[test]
fn what_an_agent_says_of_itself_counts_only_for_that_very_process() {
    let arena = Arena::new();
    arena.install(&["claude"], AGENT);
    let _shell = arena.terminal("claude\n");
    let found = arena.one_foreign();
    let leader = pid_of(&found["leader_pid"]);
    let file = arena.path(&format!("home/.claude/sessions/{}.json", leader.pid));
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let write = |start: u64, status: &str| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
        let body = json!({ "pid": leader.pid, "procStart": start.to_string(), "sessionId": "c1", "status": status, "statusUpdatedAt": u64::try_from(now).unwrap() });
        std::fs::write(&file, body.to_string()).unwrap();
    };
    let attention = || arena.one_foreign()["attention"].clone();
    write(leader.start, "waiting");
    until("it is believed", || attention() == "waiting");
    write(leader.start + 1, "idle");
    until("an old file of that pid is not", || attention() != "waiting");
    write(leader.start, "idle");
    until("its own is", || attention() == "idle");
}

#[test]
fn who_is_within_the_cleaners_reach_is_announced_and_closed_and_nobody_else_is() {
    if !has("tmux") {
        return;
    }
    let arena = Arena::with(
        "[stop]\ngrace = \"300ms\"\n[cleanup]\ninterval = \"50ms\"\nmax_idle = \"3s\"\nnotice = \"500ms\"\nquiet_start = \"0s\"\n\
         reach = [\"tmux\"]\nenabled = false\n",
    );
    arena.install(&["claude"], "#!/bin/sh\nwhile read line; do :; done\nsleep 600\n");
    let managed = arena.sh("managed", "exec sleep 600");
    let _shell = arena.terminal("claude\n");
    let found = arena.one_foreign();
    let tmux = Tmux::new(&arena, "a", "work");
    tmux.ok(&["new-window", "-t", "work", "-n", "pinned", "exec sh"]);
    tmux.types("work:0", "claude; echo over > over; exec sleep 703");
    tmux.types("work:pinned", "exec claude");
    arena.until_foreign(3);
    arena.run(&["pin", "tmux:work:1.0"]).ok();
    let idle = arena.show("tmux:work:0.0");
    let id = text(&idle, "id");
    arena.run(&["cleanup", "start"]).ok();
    let ended = arena.until_state(id, "ended");
    assert_eq!((text(&ended["exit"], "by"), text(&ended["exit"], "reason")), ("policy", "idle for 3 s"));
    until("the shell it was typed into goes on", || arena.is_there("sleep 703"));
    // Longer than all of them may be idle.
    until("long past", || arena.show(&managed)["idle_seconds"].as_f64().unwrap() > 6.0);
    for word in ["tmux:work:1.0", text(&found, "id"), &managed] {
        let shown = arena.show(word);
        assert_eq!((text(&shown, "state"), &shown["closes_at"]), ("running", &Value::Null), "{shown}");
    }
    let log = arena.log();
    let at = |what: String| log.find(&what).unwrap_or_else(|| panic!("{what} is not in {log}"));
    assert!(at(format!("announced session={id} ")) < at(format!("killed session={id} ")));
    let audit = arena.json(&["audit", "--session", id, "--json"]);
    assert_eq!(audit.as_array().unwrap().len(), 1, "{audit}");
}

#[test]
fn a_container_an_agent_started_is_named_in_the_report_of_its_close() {
    if !has("python3") {
        return;
    }
    let arena = Arena::new();
    // A program called docker that reads `run` as its script.
    std::fs::write(arena.path("work/run"), "import time; time.sleep(600)\n").unwrap();
    let docker = arena.path("docker");
    std::os::unix::fs::symlink("/usr/bin/python3", &docker).unwrap();
    let script = format!("#!/bin/sh\n{} run --name db postgres &\nwhile :; do sleep 600; done\n", docker.display());
    arena.install(&["claude"], &script);
    let managed = arena.session(&["--", arena.path("agents/claude").to_str().unwrap()]);
    let _shell = arena.terminal("claude\n");
    let found = text(&arena.one_foreign(), "id").to_string();
    for id in [&managed, &found] {
        until("its container", || arena.show(id)["tree"].to_string().contains("--name db"));
        let report = arena.json(&["kill", id, "--yes", "--now", "--json"]);
        let spared = report["sessions"][0]["spared"].to_string();
        assert!(spared.contains("outside its tree: container db (docker run)"), "{report}");
    }
    // What the client of it was is in the tree and has gone.
    assert!(!arena.agents().iter().any(|p| p.arguments.iter().any(|a| a == "db")));
}

#[test]
fn one_conversation_that_is_open_twice_is_a_fault_of_both() {
    let arena = Arena::new();
    arena.install(&["claude"], AGENT);
    let script = "claude &\nclaude\n";
    let _shell = arena.terminal(script);
    let both = arena.until_foreign(2);
    std::fs::create_dir_all(arena.path("home/.claude/sessions")).unwrap();
    let write = |leader: ProcId, conversation: &str| {
        let body = json!({ "pid": leader.pid, "procStart": leader.start.to_string(), "sessionId": conversation, "status": "idle" });
        std::fs::write(arena.path(&format!("home/.claude/sessions/{}.json", leader.pid)), body.to_string()).unwrap();
    };
    let leaders: Vec<ProcId> = both.iter().map(|s| pid_of(&s["leader_pid"])).collect();
    leaders.iter().for_each(|leader| write(*leader, "c1"));
    let is_twin = |s: &Value| text(s, "reason").contains("its conversation is open in ") && s["health"] == "stuck";
    until("both are stuck", || arena.foreign().iter().all(is_twin));
    write(leaders[0], "c2");
    until("neither is", || !arena.foreign().iter().any(is_twin));
}

/// Screens as the agents draw them, from the files the profiles are held to.
#[test]
fn who_stands_at_a_gate_that_nobody_answers_is_stuck_and_says_at_which() {
    if !has("tmux") {
        return;
    }
    let arena = Arena::new();
    let config = arena.path("config/beadle/config.toml");
    let kept = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{kept}[health]\nstuck_after = \"2s\"\n")).unwrap();
    let screens = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/screens");
    let gates = [
        ("claude", "claude/trust-recorded.txt", "asks whether to trust the directory"),
        ("codex", "codex/login-recorded.txt", "asks for a login"),
        ("gemini", "gemini/login-key.txt", "asks for a login"),
        ("goose", "goose/limit-1.txt", "usage limit reached"),
    ];
    let tmux = Tmux::new(&arena, "gates.sock", "gates");
    tmux.ok(&["new-session", "-d", "-s", "wide", "-x", "110", "-y", "40", "exec sh"]);
    for (agent, file, _) in &gates {
        let text = std::fs::read_to_string(screens.join(file)).unwrap();
        let screen = arena.path(&format!("work/{agent}.screen"));
        std::fs::write(&screen, text.split_once("---\n").unwrap().1).unwrap();
        let script = format!("#!/bin/sh\nclear\ncat {}\nwhile :; do sleep 600; done\n", screen.display());
        arena.install(&[agent], &script);
        let command = if *agent == "goose" { "goose session" } else { agent };
        tmux.ok(&[
            "new-window",
            "-d",
            "-n",
            agent,
            &format!("env TERM=screen PATH={} {command}", arena.path_variable()),
        ]);
    }
    arena.until_foreign(gates.len());
    for (agent, _, reason) in gates {
        until(&format!("{agent}: {reason}"), || {
            let all = arena.foreign();
            let one = all.iter().find(|s| s["agent"] == agent).unwrap();
            one["health"] == "stuck" && text(one, "reason").starts_with(reason)
        });
    }
}

#[test]
fn a_glob_takes_no_shell_that_no_list_shows() {
    if !has("tmux") {
        return;
    }
    let arena = Arena::new();
    arena.install(&["claude"], AGENT);
    let tmux = Tmux::new(&arena, "own.sock", "front-1");
    tmux.ok(&["new-session", "-d", "-s", "front-2", "exec sh"]);
    tmux.types("front-1", "claude");
    let seen = arena.one_foreign();
    until("the shell is seen", || arena.json(&["ls", "--shells", "--json"]).as_array().unwrap().len() == 2);
    let pinned = arena.json(&["pin", "tmux:front-*", "--json"]);
    assert_eq!((pinned["sessions"].as_array().unwrap().len(), &pinned["sessions"][0]["id"]), (1, &seen["id"]));
    for flags in [&["--dry-run"][..], &["--yes", "--pane"]] {
        let report = arena.json(&[&["kill", "tmux:front-*", "--json"], flags].concat());
        let sessions = report["sessions"].as_array().unwrap();
        assert_eq!((sessions.len(), &sessions[0]["id"]), (1, &seen["id"]), "{report}");
    }
    assert_eq!(tmux.ok(&["list-sessions", "-F", "#{session_name}"]).trim(), "front-2");
    arena.run(&["kill", "tmux:front-*", "--yes", "--pane"]).fails(4, "no session");
    arena.run(&["kill", "tmux:front-2:0.0", "--yes", "--pane"]).ok();
    until("its pane has gone", || tmux.run(&["list-sessions"]).status != 0);
}
