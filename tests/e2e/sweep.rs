//! The sweep: everybody who lives in an odd way is left alone; what is proved to be left behind is taken, and nothing else.
//!
//! Agents are scripts of their names, below a fence: a sweep here sees and touches nobody outside its arena.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use beadle::model::session::ProcId;
use beadle::sys::process;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::ask::ask;
use super::support::{Arena, Running, has, is_root, pid_of, until, until_some};

/// Waits, whatever it is given to read.
const IDLE: &str = "#!/bin/sh\ntrap '' HUP\nwhile :; do sleep 600; done\n";

/// In `/etc/passwd`, as `screen` wants it.
pub const NOBODY: u32 = 65534;

/// A fenced arena of a plain user where there is root, whose processes may be young.
pub fn arena() -> Arena {
    arena_of(if is_root() { Arena::of_user(NOBODY) } else { Arena::new() })
}

pub fn arena_of(arena: Arena) -> Arena {
    std::fs::create_dir_all(arena.path("work/bin")).unwrap();
    arena.configure_sweep();
    for name in ["claude", "codex", "mcp-server-x", "goose", "vscode-server"] {
        arena.script(&format!("work/bin/{name}"), IDLE);
    }
    arena
}

impl Arena {
    fn configure_sweep(&self) {
        // The fence is of the same section: written into it.
        let path = self.path("config/beadle/config.toml");
        let fenced = std::fs::read_to_string(&path).unwrap();
        let fenced = fenced.replace("[sweep]\n", "[sweep]\nmin_age = \"1ms\"\n");
        // Whoever is silent for a moment has been so for long.
        let idle = "[health]\nstuck_after = \"1ms\"\norphaned_after = \"2ms\"\n";
        std::fs::write(&path, format!("{fenced}{idle}")).unwrap();
    }

    fn bin(&self, name: &str) -> PathBuf {
        self.path("work/bin").join(name)
    }

    /// A command line run by a shell; what it starts with `&` outlives it.
    #[track_caller]
    pub fn line(&self, script: &str) -> Running {
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", self.path("work/bin").display());
        let mut command = self.program("sh");
        command.args(["-c", script]).env("PATH", path);
        Running::of(command)
    }

    /// Live processes whose last argument is this.
    pub fn named(&self, what: &str) -> Vec<ProcId> {
        let is_it = |arguments: &[String]| arguments.last().is_some_and(|last| last == what);
        // Whoever is about to become it: setpriv, setsid, env.
        let is_before =
            |arguments: &[String]| arguments.first().is_some_and(|a| matches!(a.as_str(), "setpriv" | "setsid"));
        let all = self.processes().into_iter();
        all.filter(|p| is_it(&p.arguments) && !is_before(&p.arguments)).map(|p| p.id).collect()
    }

    #[track_caller]
    pub fn until_named(&self, what: &str) -> ProcId {
        until_some(what, || self.named(what).first().copied())
    }

    /// Starts a program on pipes with nobody at their other ends.
    #[track_caller]
    pub fn without_ends(&self, program: &[&str]) {
        let pipe = "import os,sys,subprocess\nr,_w=os.pipe();_r,w=os.pipe()\n\
            subprocess.Popen(sys.argv[1:],stdin=r,stdout=w,stderr=subprocess.DEVNULL,start_new_session=True)\n";
        let mut command = self.program("python3");
        command.args(["-c", pipe]).args(program);
        Running::of(command).wait().ok();
    }

    #[track_caller]
    fn sweep(&self) -> Value {
        self.json(&["sweep", "--yes", "--json"])
    }

    #[track_caller]
    fn dry(&self) -> Value {
        self.json(&["sweep", "--dry-run", "--json"])
    }
}

fn candidate(report: &Value, id: ProcId) -> &Value {
    let all = report["candidates"].as_array().unwrap();
    all.iter().find(|c| c["pid"] == id.pid).unwrap_or_else(|| panic!("{id} is not in {report}"))
}

/// Detaches what follows: a session of its own, nobody waits for it.
fn detached(line: &str) -> String {
    format!("setsid sh -c '{line}' </dev/null >/dev/null 2>&1 &")
}

#[test]
fn an_agent_whose_terminal_is_gone_is_taken_with_what_is_below_it() {
    if !has("script") {
        return;
    }
    // An agent whose name looks like an editor's is an agent.
    ["claude", "cursor-agent"].into_iter().for_each(lost_terminal);
}

fn lost_terminal(agent: &str) {
    let arena = arena();
    arena.script(&format!("work/bin/{agent}"), "#!/bin/sh\ntrap '' HUP\nsleep 611 &\nwhile :; do sleep 612; done\n");
    let mut terminal = arena.program("script");
    terminal.args(["-qec", &format!("setsid -w {} stray", arena.bin(agent).display()), "/dev/null"]);
    terminal.stdin(Stdio::piped());
    let mut terminal = Running::of(terminal);
    let stray = arena.until_named("stray");
    until("its helpers", || !arena.named("611").is_empty() && !arena.named("612").is_empty());
    let lives = arena.dry();
    assert_eq!(lives["killed"], 0);
    assert!(lives["candidates"].as_array().unwrap().iter().all(|c| c["action"] != "would-kill"), "{lives}");
    // The window is closed: the terminal goes, the agent does not hear of it.
    terminal.end();
    for p in arena.processes().into_iter().filter(|p| p.arguments.first().is_some_and(|a| a.ends_with("script"))) {
        arena.kill(p.id);
    }
    let dry = until_some("a stray", || Some(arena.dry()).filter(|r| r.to_string().contains("would-kill")));
    let seen = dry["candidates"].as_array().unwrap().iter().find(|c| c["action"] == "would-kill").unwrap();
    assert_eq!(seen["proofs"], json!(["terminal-deleted"]), "{dry}");
    assert!(process::is_alive(stray), "a rehearsal takes nobody");
    let strays = || arena.json(&["status", "--format", "json"])["strays"].clone();
    assert_eq!(strays(), 1);
    arena.run(&["sweep"]).fails(2, "--yes");
    let done = arena.sweep();
    assert_eq!((&done["killed"], &done["failed"]), (&json!(1), &json!(0)), "{done}");
    assert!(done["freed_bytes"].as_u64().unwrap() > 0);
    assert!(!process::is_alive(stray) && arena.named("611").is_empty() && arena.named("612").is_empty());
    assert_eq!(strays(), 0);
    let audit = until_some("its record", || {
        let audit = arena.json(&["audit", "--json"]);
        audit.to_string().contains("its terminal is gone").then_some(audit)
    });
    assert!(audit.to_string().contains("\"sweep\""), "{audit}");
}

#[test]
fn a_helper_with_nobody_at_either_end_is_taken_and_one_that_cannot_be_read_is_spared() {
    if !has("python3") || !has("setsid") {
        return;
    }
    let arena = arena();
    arena.run(&["daemon", "start"]).ok();
    let server = arena.bin("mcp-server-x").display().to_string();
    arena.without_ends(&[&server, "left-behind"]);
    let stray = arena.until_named("left-behind");
    let hidden = format!(
        "import ctypes,time,sys\nctypes.CDLL(None).prctl(4,0)\nopen({:?},'w').write('ready\\n')\ntime.sleep(621)",
        arena.path("work/hidden")
    );
    std::fs::write(arena.path("work/bin/mcp-server-hidden.py"), hidden).unwrap();
    let server = arena.bin("mcp-server-hidden.py").display().to_string();
    arena.without_ends(&["python3", &server, "unreadable"]);
    arena.line_of("work/hidden");
    let dry = arena.dry();
    assert_eq!(candidate(&dry, stray)["proofs"], json!(["stdio-peers-gone"]), "{dry}");
    let done = arena.sweep();
    assert_eq!(done["killed"], 1, "{done}");
    assert_eq!(candidate(&done, stray)["action"], "killed");
    assert!(!process::is_alive(stray));
    until("the other one lives", || {
        std::fs::read_dir("/proc").unwrap().flatten().any(|e| {
            let pid = e.file_name().to_string_lossy().parse().unwrap_or(0);
            process::arguments(pid).last().is_some_and(|a| a == "unreadable")
        })
    });
}

/// An agent that leaves a daemon behind, and that daemon.
const SHARING: &str = "#!/usr/bin/env python3
import socket, subprocess, sys, time
if sys.argv[1:2] == ['app-server']:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind('shared.sock')
    listener.listen()
    while True:
        client = listener.accept()[0]
        client.recv(1)
        client.close()
words = [sys.executable, sys.argv[0], 'app-server', '--listen', 'unix://shared.sock', 'shared']
subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True)
time.sleep(661)
";

#[test]
fn a_shared_daemon_is_taken_when_its_session_was_seen_to_end_and_its_last_client_is_gone() {
    if !has("python3") {
        return;
    }
    let arena = arena();
    arena.script("work/bin/codex", SHARING);
    let mut agent = Running::of(arena.program(arena.bin("codex")));
    let shared = arena.until_named("shared");
    let seen = until_some("the agent with its daemon", || {
        let all = arena.json(&["ls", "--json"]);
        all.as_array().unwrap().iter().find(|s| s["agent"] == "codex" && s["processes"] == 2).cloned()
    });
    let client = until_some("somebody who listens", || UnixStream::connect(arena.path("work/shared.sock")).ok());
    assert_eq!(arena.sweep()["killed"], 0, "its agent lives");
    agent.end();
    arena.until_state(seen["id"].as_str().unwrap(), "ended");
    let report = arena.sweep();
    assert_eq!(report["killed"], 0, "{report}");
    assert!(process::is_alive(shared), "somebody is connected");
    drop(client);
    let done = until_some("a sweep that takes it", || Some(arena.sweep()).filter(|r| r["killed"] != 0));
    assert_eq!(candidate(&done, shared)["proofs"], json!(["last-client-gone"]), "{done}");
    assert!(!process::is_alive(shared));
}

#[test]
fn what_a_session_left_is_known_by_its_tag_once_the_session_has_ended() {
    let arena = arena();
    let id = arena.session(&["--name", "gone", "--", "sh", "-c", "echo $BEADLE_SESSION >tag; exec sleep 631"]);
    let tag = arena.line_of("work/tag");
    let carrier = |with: &str| {
        let line = format!("BEADLE_SESSION={with} setsid sleep 632 </dev/null >/dev/null 2>&1 & echo $! >carrier");
        let _ = std::fs::remove_file(arena.path("work/carrier"));
        arena.line(&line).wait().ok();
        pid_of(&json!(arena.line_of("work/carrier").parse::<i32>().unwrap()))
    };
    arena.run(&["kill", &id, "--now"]).ok();
    let stray = carrier(&tag);
    let of_another = carrier("abcdef@another");
    let kept = {
        let line =
            format!("BEADLE_KEEP=1 BEADLE_SESSION={tag} setsid sleep 633 </dev/null >/dev/null 2>&1 & echo $! >kept");
        arena.line(&line).wait().ok();
        pid_of(&json!(arena.line_of("work/kept").parse::<i32>().unwrap()))
    };
    let done = until_some("a sweep that sees it", || Some(arena.sweep()).filter(|r| r["killed"] != 0));
    assert_eq!(done["killed"], 1, "{done}");
    assert_eq!(candidate(&done, stray)["proofs"], json!(["record-says-dead"]), "{done}");
    assert!(!process::is_alive(stray) && process::is_alive(of_another) && process::is_alive(kept));
}

#[test]
fn a_tmux_server_that_does_not_answer_means_that_nothing_is_taken() {
    if !has("tmux") || !has("python3") {
        return;
    }
    let arena = arena();
    arena.run(&["daemon", "start"]).ok();
    let tmux = |args: &[&str]| {
        let mut command = arena.program("tmux");
        command.arg("-S").arg(arena.path("work/stopped")).args(["-f", "/dev/null"]).args(args);
        Running::of(command).wait().ok()
    };
    tmux(&["new-session", "-d", "sleep 641"]);
    let server: i32 = tmux(&["display-message", "-p", "#{pid}"]).trim().parse().unwrap();
    let server = process::identity(server).unwrap();
    let server_x = arena.bin("mcp-server-x").display().to_string();
    arena.without_ends(&[&server_x, "left-behind"]);
    let stray = arena.until_named("left-behind");
    until("it would be taken", || arena.dry().to_string().contains("would-kill"));
    arena.signal(server, Signal::STOP);
    let said = arena.run(&["sweep", "--yes", "--json"]);
    assert_eq!(said.status, 1, "{said:?}");
    assert!(said.err.contains("nothing may be taken") && said.err.contains(&server.pid.to_string()), "{said:?}");
    let report: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&report["killed"], &report["candidates"]), (&json!(0), &json!([])));
    assert!(process::is_alive(stray));
    arena.signal(server, Signal::CONT);
    let done = until_some("the server answers again", || {
        Some(arena.run(&["sweep", "--yes", "--json"])).filter(|s| s.status == 0)
    });
    assert_eq!(done.json()["killed"], 1);
    assert!(!process::is_alive(stray) && process::is_alive(server));
}

#[test]
fn an_emergency_closes_everything_and_nothing_starts_until_it_is_released() {
    let arena = arena();
    let ids = [arena.sh("one", "exec sleep 651"), arena.sh("two", "exec sleep 652")];
    let dry = arena.json(&["sweep", "--emergency", "--dry-run", "--json"]);
    assert_eq!(dry["sessions"]["sessions"].as_array().unwrap().len(), 2, "{dry}");
    assert!(ids.iter().all(|id| arena.show(id)["state"] == "running"));
    let done = arena.json(&["sweep", "--emergency", "--yes", "--reason", "too hot", "--json"]);
    assert_eq!((&done["sessions"]["closed"], &done["latched"]), (&json!(2), &json!(true)), "{done}");
    assert_eq!(arena.show(&ids[0])["exit"]["by"], "sweep");
    assert!(arena.status()["latched"].as_str().unwrap().contains("too hot"));
    assert!(arena.run(&["daemon", "status"]).ok().contains("beadle release"));
    let refused = || {
        arena.run(&["run", "--", "true"]).fails(5, "beadle release");
        arena.run(&["restart", &ids[0]]).fails(5, "too hot");
    };
    refused();
    let answer = ask(&arena.socket(), "POST", "/api/session/start", r#"{"command":["true"]}"#);
    assert_eq!(answer.status, 409, "{answer:?}");
    assert!(String::from_utf8_lossy(&answer.body).contains("latched"), "{answer:?}");
    // It is written down: the next daemon holds to it.
    arena.kill_daemon();
    refused();
    assert_eq!(ask(&arena.socket(), "POST", "/api/release", "").status, 200);
    assert!(arena.status()["latched"].is_null());
    arena.session(&["--", "sleep", "653"]);
}

#[test]
fn an_emergency_whose_daemon_is_killed_is_finished_by_the_next_one() {
    let arena = arena();
    let one = arena.sh("one", "exec sleep 654");
    arena.kill_daemon();
    // As a daemon leaves it that is killed between the latch and the first close.
    let latch = |since: &str| {
        std::fs::write(arena.path("state/latch"), format!("the emergency of {since}: too hot")).unwrap();
    };
    // Whoever began after it, by whatever clock, is not meant; nor is anybody by words of another hand.
    latch("2020-01-01T00:00:00.000Z");
    assert_eq!(arena.show(&one)["state"], "running");
    arena.kill_daemon();
    latch("whenever");
    assert_eq!(arena.show(&one)["state"], "running");
    arena.kill_daemon();
    latch(&beadle::sys::clock::wall());
    let ended = arena.until_state(&one, "ended");
    assert_eq!(ended["exit"]["by"], "sweep", "{ended}");
    assert!(ended["exit"]["reason"].as_str().unwrap().contains("cut short"), "{ended}");
    assert!(arena.status()["latched"].as_str().unwrap().contains("too hot"));
}

#[test]
fn an_emergency_calls_off_a_restart_that_was_to_come() {
    let arena = arena();
    let id = arena.session(&["--restart", "on-failure", "--", "sh", "-c", "echo run >>runs; exit 1"]);
    arena.until_state(&id, "starting");
    arena.json(&["sweep", "--emergency", "--yes", "--json"]);
    let ended = arena.until_state(&id, "ended");
    assert_eq!(ended["exit"]["by"], "sweep", "{ended}");
    let runs = std::fs::read_to_string(arena.path("work/runs")).unwrap();
    until("no keeper is left", || arena.keepers().is_empty());
    assert_eq!(std::fs::read_to_string(arena.path("work/runs")).unwrap(), runs);
}

#[test]
fn a_keeper_without_a_daemon_starts_nothing_again_while_it_is_latched() {
    let arena = arena();
    let script = "echo run >>runs; read line <go; exit 1";
    Command::new("mkfifo").arg(arena.path("work/go")).status().unwrap();
    std::fs::set_permissions(arena.path("work/go"), std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    let id = arena.session(&["--restart", "on-failure", "--", "sh", "-c", script]);
    arena.line_of("work/runs");
    arena.kill_daemon();
    std::fs::write(arena.path("state/latch"), "an emergency: by hand").unwrap();
    std::fs::set_permissions(arena.path("state/latch"), std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    std::fs::write(arena.path("work/go"), "now\n").unwrap();
    until("its keeper gives up", || arena.keepers().is_empty());
    assert_eq!(std::fs::read_to_string(arena.path("work/runs")).unwrap(), "run\n");
    assert_eq!(arena.show(&id)["exit"]["by"], "sweep");
}

/// Somebody nobody waits for, without a terminal and with no proof against it.
fn suspect(arena: &Arena, name: &str) -> ProcId {
    arena.line(&detached(&format!("exec {} {name}", arena.bin("claude").display()))).wait().ok();
    let id = arena.until_named(name);
    until("it is a suspect", || action(&arena.dry(), id) == "suspect");
    id
}

fn action(report: &Value, id: ProcId) -> String {
    let all = report["candidates"].as_array().unwrap();
    let one = all.iter().find(|c| c["pid"] == id.pid && c["start_time"] == id.start);
    one.map_or_else(String::new, |c| c["action"].as_str().unwrap().to_string())
}

#[test]
fn a_suspect_is_taken_only_when_a_person_marks_it() {
    if !has("setsid") {
        return;
    }
    let arena = arena();
    arena.run(&["daemon", "start"]).ok();
    let (marked, unmarked) = (suspect(&arena, "marked"), suspect(&arena, "unmarked"));
    let pid = marked.pid.to_string();
    assert_eq!(arena.sweep()["killed"], 0, "nothing proves it");
    let dry = arena.json(&["sweep", "--dry-run", "--take", &pid, "--json"]);
    assert_eq!((action(&dry, marked), action(&dry, unmarked)), ("would-kill".into(), "suspect".into()), "{dry}");
    assert!(process::is_alive(marked), "a rehearsal takes nobody");
    let done = arena.json(&["sweep", "--yes", "--take", &pid, "--reason", "by hand", "--json"]);
    assert_eq!((&done["killed"], &candidate(&done, marked)["marked"]), (&json!(1), &json!(true)), "{done}");
    assert!(!process::is_alive(marked) && process::is_alive(unmarked));
    until("its record", || arena.json(&["audit", "--json"]).to_string().contains("a person marked it"));
}

#[test]
fn who_is_asked_can_mark_and_leave_and_the_question_comes_again() {
    if !has("setsid") || !has("script") {
        return;
    }
    let arena = arena();
    arena.run(&["daemon", "start"]).ok();
    let (marked, unmarked) = (suspect(&arena, "marked"), suspect(&arena, "unmarked"));
    let typed = format!("+{} +{}\\n-{}\\ny\\n", marked.pid, unmarked.pid, unmarked.pid);
    let line = format!("(printf '{typed}'; sleep 600) | script -qec '{} sweep' /dev/null >asked", arena.binary());
    let _asked = arena.line(&line);
    until("the marked one is taken", || !process::is_alive(marked));
    let said = || std::fs::read_to_string(arena.path("work/asked")).unwrap_or_default();
    until("the report", || said().contains("1 taken"));
    assert!(said().contains("Nothing is to be taken. [Enter leaves all as it is, +PID takes a suspect]"), "{}", said());
    assert!(said().contains("Take these 2 strays") && said().contains("Take this stray"), "{}", said());
    assert!(process::is_alive(unmarked));
}

#[test]
fn a_mark_takes_nobody_that_something_speaks_against() {
    if !has("setsid") || !has("tmux") {
        return;
    }
    let arena = arena();
    arena.run(&["daemon", "start"]).ok();
    let claude = arena.bin("claude").display().to_string();
    arena
        .line(&format!("BEADLE_SESSION=abcdef@another {}", detached(&format!("exec {claude} of-another"))))
        .wait()
        .ok();
    let mut tmux = arena.program("tmux");
    tmux.arg("-S").arg(arena.path("work/held")).args([
        "-f",
        "/dev/null",
        "new-session",
        "-d",
        &format!("{claude} held"),
    ]);
    Running::of(tmux).wait().ok();
    let (of_another, held) = (arena.until_named("of-another"), arena.until_named("held"));
    until("it is spared", || action(&arena.dry(), of_another) == "spared");
    let said = arena.run(&["sweep", "--yes", "--take", &of_another.pid.to_string()]);
    said.fails(5, "carries the tag of a session that is not known here");
    arena.run(&["sweep", "--yes", "--take", "1"]).fails(4, "no candidate has pid 1");
    // Straight to the daemon, by whoever knows their names, and with a stale name.
    let suspect = suspect(&arena, "stale");
    let name = |id: ProcId, later: u64| json!({"pid": id.pid, "start_time": id.start + later});
    let keeper = arena.sh("lives", "exec sleep 671");
    let leader = pid_of(&arena.show(&keeper)["leader_pid"]);
    let take =
        [name(of_another, 0), name(held, 0), name(leader, 0), name(suspect, 1), json!({"pid": 1, "start_time": 0})];
    let body = json!({"take": take}).to_string();
    let answer = ask(&arena.socket(), "POST", "/api/sweep", &body);
    let report: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((answer.status, &report["killed"]), (200, &json!(0)), "{report}");
    assert!(report["notes"].as_array().unwrap().len() >= 4, "each mark that could not be followed is named: {report}");
    assert!([of_another, held, leader, suspect].iter().all(|id| process::is_alive(*id)));
}

#[test]
fn what_a_person_leaves_out_stays_also_below_a_stray() {
    if !has("setsid") {
        return;
    }
    let arena = arena();
    arena.run(&["daemon", "start"]).ok();
    arena.script("work/bin/claude", "#!/bin/sh\nsleep 681 &\nsleep 682 &\nwhile :; do sleep 683; done\n");
    let above = suspect(&arena, "above");
    let (kept, gone) = (arena.until_named("681"), arena.until_named("682"));
    let (above_pid, kept_pid) = (above.pid.to_string(), kept.pid.to_string());
    let done = arena.json(&["sweep", "--yes", "--take", &above_pid, "--leave", &kept_pid, "--json"]);
    assert_eq!(done["killed"], 1, "{done}");
    assert!(!process::is_alive(above) && !process::is_alive(gone) && process::is_alive(kept));
}
