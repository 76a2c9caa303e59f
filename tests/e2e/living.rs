//! Everybody who lives in an odd way: a table of situations in which sweeps have killed live agents, each with real
//! processes of a plain user. A sweep with everything idle for long takes nobody.
//!
//! To add one: a line that is run by a shell (`{bin}` is where the agents are), and the last argument of who must live.

use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use beadle::model::session::ProcId;
use beadle::sys::process;
use serde_json::{Value, json};

use super::support::{Arena, Running, has, is_root, until, until_some};
use super::sweep::{NOBODY, arena};

/// (situation, line, last argument of who must live).
const SITUATIONS: [(&str, &str, &str); 17] = [
    (
        "beside an editor without a terminal",
        "{bin}/vscode-server 801 & {bin}/claude beside-an-editor </dev/null >/dev/null 2>&1 &",
        "beside-an-editor",
    ),
    (
        "below an editor without a terminal",
        "RUNS='{bin}/claude below-an-editor' {bin}/vscode-server 811 </dev/null >/dev/null 2>&1 &",
        "below-an-editor",
    ),
    (
        "spoken with over pipes",
        "setsid sh -c 'exec {bin}/claude --input-format stream-json' </dev/null >/dev/null 2>&1 &",
        "stream-json",
    ),
    (
        "started with init above",
        "setsid sh -c 'exec {bin}/claude with-init-above' </dev/null >/dev/null 2>&1 &",
        "with-init-above",
    ),
    (
        "below another subreaper",
        "python3 -c \"import ctypes,os,time;ctypes.CDLL(None).prctl(36,1);os.fork() or (os.fork() or \
         os.execv('{bin}/claude',['claude','below-a-subreaper'])) and os._exit(0);time.sleep(808)\" >/dev/null 2>&1 &",
        "below-a-subreaper",
    ),
    (
        "disowned, with its output in a file",
        "bash -c '{bin}/codex disowned >>out 2>&1 </dev/null & disown -a'",
        "disowned",
    ),
    ("detached twice", "setsid sh -c '(exec {bin}/codex detached-twice >>out 2>&1) &' </dev/null &", "detached-twice"),
    ("after an echo", "echo x | {bin}/codex after-an-echo >/dev/null 2>&1 &", "after-an-echo"),
    (
        "as from cron",
        "echo do it >spec; setsid sh -c 'cat spec | {bin}/claude -p as-from-cron >cron.out 2>&1' </dev/null &",
        "as-from-cron",
    ),
    (
        "a long build under nohup",
        "nohup sh -c 'while :; do sleep 802; done' nohuped-build >/dev/null 2>&1 &",
        "nohuped-build",
    ),
    ("goose, the tool for databases", "{bin}/goose --env production up >/dev/null 2>&1 &", "up"),
    (
        "of another beadle",
        "BEADLE_SESSION=abcdef@another setsid {bin}/claude of-another </dev/null >/dev/null 2>&1 &",
        "of-another",
    ),
    ("a helper run by hand", "sleep 803 | {bin}/mcp-server-x by-hand | sleep 804 &", "by-hand"),
    ("a helper with one end left", "sleep 803 | setsid {bin}/mcp-server-x one-end >/dev/null 2>&1 &", "one-end"),
    (
        "a helper behind a named pipe",
        "mkfifo fifo; setsid {bin}/mcp-server-x named-pipe <>fifo >/dev/null 2>&1 &",
        "named-pipe",
    ),
    (
        "in a tmux server that carries the tag of another",
        "BEADLE_SESSION=zzzzzz@elsewhere tmux -S odd -f /dev/null new-session -d -x 80 -y 24 '{bin}/codex in-tmux'",
        "in-tmux",
    ),
    ("in screen", "mkdir -m 700 screens; SCREENDIR=$PWD/screens screen -dmS odd {bin}/claude in-screen", "in-screen"),
];

/// What the situations need.
fn is_equipped() -> bool {
    ["tmux", "screen", "script", "setsid", "python3", "bash"].iter().all(|program| has(program))
}

impl Arena {
    /// Runs a line in a shell that stays.
    fn situation(&self, line: &str) -> Running {
        let bin = self.path("work/bin").display().to_string();
        self.line(&format!("{}\nsleep 806", line.replace("{bin}", &bin)))
    }

    /// A shell with a terminal of its own that runs these lines.
    fn terminal_with(&self, name: &str, lines: &str) -> Running {
        let file = self.script(name, lines);
        let mut command = self.program("script");
        command.args(["-qec", &format!("sh {file}"), "/dev/null"]).stdin(Stdio::piped());
        Running::of(command)
    }

    /// A program of the arena as somebody else would start it.
    fn as_root(&self, program: &str, args: &[&str]) -> Running {
        let mut command = Command::new(program);
        command.args(args).env_clear().current_dir(self.path("work"));
        command.stdin(Stdio::null());
        for (name, value) in self.program("true").get_envs() {
            command.env(name, value.unwrap());
        }
        Running::of(command)
    }

    /// Whoever has this as its last argument, once it is what it was started to be.
    fn anybody(&self, last: &str) -> ProcId {
        until_some(last, || {
            let starters = ["setpriv", "unshare", "setsid"];
            let is_it = |arguments: &[String]| {
                let starts = arguments.first().is_some_and(|a| starters.contains(&a.as_str()));
                arguments.last().is_some_and(|a| a == last) && !starts
            };
            self.processes().into_iter().find(|p| is_it(&p.arguments)).map(|p| p.id)
        })
    }
}

/// A second instance with its own state, inside the same fence; its daemon is killed, its session lives with its keeper.
fn second_instance(arena: &Arena) -> ProcId {
    let beadle = |args: &[&str]| {
        let mut command = arena.beadle(args);
        command
            .env("BEADLE_STATE_DIR", arena.path("work/second"))
            .env("BEADLE_RUNTIME_DIR", arena.path("work/second-run"));
        Running::of(command).wait()
    };
    let claude = arena.path("work/bin/claude").display().to_string();
    beadle(&["run", "--name", "theirs", "--", &claude, "of-the-second"]).ok();
    let id = arena.until_named("of-the-second");
    let status = beadle(&["daemon", "status", "--json"]).json();
    arena.kill(process::identity(i32::try_from(status["pid"].as_i64().unwrap()).unwrap()).unwrap());
    id
}

/// A shared daemon whose agent has gone, with somebody connected.
fn shared_with_a_client(arena: &Arena) -> (ProcId, UnixStream) {
    let listen = "import socket,sys\nl=socket.socket(socket.AF_UNIX)\nl.bind('with-client.sock')\nl.listen()\n\
        c=l.accept()[0]\nc.recv(1)\n";
    arena.script("work/bin/shared/codex", listen);
    let shared = arena.path("work/bin/shared/codex").display().to_string();
    let words = "app-server --listen unix://with-client.sock with-client </dev/null >/dev/null 2>&1 &";
    arena.line(&format!("setsid python3 {shared} {words}")).wait().ok();
    let id = arena.until_named("with-client");
    let path = arena.path("work/with-client.sock");
    (id, until_some("it listens", || UnixStream::connect(&path).ok()))
}

#[test]
fn nobody_who_lives_in_an_odd_way_is_taken() {
    if !is_equipped() {
        return;
    }
    let arena = arena();
    std::fs::create_dir_all(arena.path("work/bin/shared")).unwrap();
    arena.script("work/bin/vscode-server", "#!/bin/sh\n[ -z \"$RUNS\" ] || $RUNS &\nwhile :; do sleep 812; done\n");
    arena.run(&["daemon", "start"]).ok();
    // Beside the shell beadle runs in: a terminal with the tag of a session that has ended.
    let ended = arena.session(&["--name", "before", "--", "sh", "-c", "echo $BEADLE_SESSION >tag; exec sleep 807"]);
    let tag = arena.line_of("work/tag");
    arena.run(&["kill", &ended, "--now"]).ok();
    // Before the shell that reads it.
    Command::new("mkfifo").arg(arena.path("work/go")).status().unwrap();
    std::fs::set_permissions(arena.path("work/go"), std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    let mut held = vec![
        arena.terminal_with("plain.sh", &format!("exec {}/claude in-a-terminal", arena.path("work/bin").display())),
        arena.terminal_with("tagged.sh", &format!("export BEADLE_SESSION={tag}\nexec {}/claude tagged", arena.path("work/bin").display())),
        arena.terminal_with(
            "own.sh",
            &format!(
                "sh -c 'sleep 809 & wait' own-shell &\nread line <go\n{} sweep --yes --json >swept 2>said\necho $? >status\n\
                 exec sleep 810\n",
                arena.binary()
            ),
        ),
    ];
    held.extend(SITUATIONS.iter().map(|(_, line, _)| arena.situation(line)));
    let mut lives: Vec<(&str, ProcId)> =
        SITUATIONS.iter().map(|(what, _, last)| (*what, arena.until_named(last))).collect();
    lives.push(("in a plain terminal", arena.until_named("in-a-terminal")));
    lives.push(("in a terminal, with the tag of a session that has ended", arena.until_named("tagged")));
    lives.push(("beside the shell beadle runs in", arena.until_named("own-shell")));
    lives.push(("of a second instance without its daemon", second_instance(&arena)));
    let (shared, client) = shared_with_a_client(&arena);
    lives.push(("a shared daemon with a client", shared));
    if is_root() && has("unshare") {
        let claude = arena.path("work/bin/claude").display().to_string();
        held.push(arena.as_root("setpriv", &["--reuid=4712", "--clear-groups", "setsid", &claude, "of-another-user"]));
        let inside = [
            "--pid",
            "--fork",
            "--mount-proc",
            "setpriv",
            "--reuid=65534",
            "--clear-groups",
            &claude,
            "in-a-namespace",
        ];
        held.push(arena.as_root("unshare", &inside));
        lives.push(("of another user", arena.anybody("of-another-user")));
        lives.push(("in another PID namespace", arena.anybody("in-a-namespace")));
    }
    // Of a session that lives, with its helper.
    let own = arena.sh("own", "mcp-server-x & exec sleep 807");
    let all = arena.json(&["ls", "--json"]);
    let known = all.as_array().unwrap().iter().filter(|s| s["agent"] == "claude" || s["agent"] == "codex").count();
    assert!(known >= 12, "{known} are known for agents: {all}");

    let fresh = |n: usize| {
        let line = format!("setsid {}/claude fresh-{n} </dev/null >/dev/null 2>&1 &", arena.path("work/bin").display());
        arena.line(&line).wait().ok();
        arena.until_named(&format!("fresh-{n}"))
    };
    lives.push(("just started, without a terminal", fresh(1)));
    let dry = arena.json(&["sweep", "--dry-run", "--json"]);
    lives.push(("just started, without a terminal", fresh(2)));
    let swept = arena.json(&["sweep", "--yes", "--json"]);
    // From the shell itself.
    std::fs::write(arena.path("work/go"), "now\n").unwrap();
    assert_eq!(arena.line_of("work/status"), "0");
    let from_within: Value = serde_json::from_slice(&std::fs::read(arena.path("work/swept")).unwrap()).unwrap();
    for report in [dry, swept, from_within] {
        assert_eq!((&report["killed"], &report["failed"], &report["failure"]), (&json!(0), &json!(0), &Value::Null));
        let actions = report["candidates"].as_array().unwrap().iter().map(|c| c["action"].as_str().unwrap());
        assert!(actions.clone().all(|a| a == "spared" || a == "suspect"), "{report}");
    }
    until("the shell's next command", || !arena.named("810").is_empty());
    let gone: Vec<&str> = lives.iter().filter(|(_, id)| !process::is_alive(*id)).map(|(what, _)| *what).collect();
    assert!(gone.is_empty(), "{gone:?}");
    assert_eq!(arena.show(&own)["state"], "running");
    drop((client, held));
}

#[test]
fn who_has_just_been_started_is_not_taken_whatever_is_proved() {
    if !has("python3") || !has("setsid") {
        return;
    }
    let arena = if is_root() { Arena::of_user(NOBODY) } else { Arena::new() };
    std::fs::create_dir_all(arena.path("work/bin")).unwrap();
    arena.script("work/bin/mcp-server-x", "#!/bin/sh\nwhile :; do sleep 821; done\n");
    arena.run(&["daemon", "start"]).ok();
    arena.without_ends(&[&arena.path("work/bin/mcp-server-x").display().to_string(), "young"]);
    let helper = arena.until_named("young");
    let report = arena.json(&["sweep", "--yes", "--json"]);
    let all = report["candidates"].as_array().unwrap();
    let one = all.iter().find(|c| c["pid"] == helper.pid).unwrap();
    assert_eq!((&one["proofs"], &one["action"]), (&json!(["stdio-peers-gone"]), &json!("spared")), "{report}");
    assert!(one["why"].as_str().unwrap().contains("too young") && process::is_alive(helper), "{one}");
}

#[test]
fn a_kill_of_a_found_agent_leaves_its_shell_its_editor_and_its_build() {
    if !has("script") {
        return;
    }
    let arena = arena();
    // A tool of the agent's own, and an editor that has a file of that name open.
    arena.script("work/bin/claude", "#!/bin/sh\nsleep 831 &\nwhile read line; do :; done\nwait\n");
    arena.script("work/bin/vim", "#!/bin/sh\nwhile :; do sleep 832; done\n");
    arena.script("work/bin/make", "#!/bin/sh\n(while :; do sleep 833; done) &\nwait\n");
    let bin = arena.path("work/bin").display().to_string();
    let lines = format!(
        "PATH={bin}:$PATH\nmake -j8 all &\nvim claude &\nnohup sleep 834 >/dev/null &\nclaude the-agent\necho over >over\nexec sleep 835\n"
    );
    let mut shell = arena.terminal_with("shell.sh", &lines);
    let agent = arena.until_named("the-agent");
    until("all of it runs", || ["831", "832", "833", "834"].iter().all(|s| !arena.named(s).is_empty()));
    let found = until_some("it is found", || {
        let all = arena.json(&["ls", "--json"]);
        let one = all.as_array().unwrap().iter().find(|s| s["leader_pid"] == agent.pid && s["processes"] == 2);
        one.and_then(|s| s["id"].as_str()).map(String::from)
    });
    let before: Vec<ProcId> = ["832", "833", "834", "all", "claude"].iter().flat_map(|s| arena.named(s)).collect();
    assert!(before.len() >= 5, "{before:?}");
    arena.run(&["kill", &found, "--yes", "--now"]).ok();
    assert!(!process::is_alive(agent) && arena.named("831").is_empty());
    arena.line_of("work/over");
    until("the shell's next command", || !arena.named("835").is_empty());
    assert!(before.iter().all(|id| process::is_alive(*id)) && !shell.is_over());
}
