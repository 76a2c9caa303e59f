//! What a close leaves alone: tmux servers somebody else looks at, with all that was started in them, and whoever only
//! looks as if it belonged to the session. And who only looks like a tmux server is taken.

use std::process::Command;

use serde_json::{Value, json};

use super::support::{Arena, has, until};

/// A session that starts a tmux server of its own and stays.
struct Nested {
    arena: Arena,
    id: String,
}

impl Nested {
    /// `socket` as the agent names it, in its working directory.
    fn new(config: &str, socket: &str, pane: &str) -> Self {
        let arena = Arena::with(config);
        let pane = arena.script("pane.sh", &format!("#!/bin/sh\n{pane}\necho up >up\nexec sleep 700\n"));
        let server = format!("tmux -S {socket} -f /dev/null new-session -d 'exec {pane}'; exec sleep 701");
        let id = arena.sh("a", &server);
        arena.line_of("work/up");
        Self { arena, id }
    }

    fn inner(&self, args: &[&str]) -> String {
        let socket = self.arena.path("work/in.sock");
        let said = Command::new("tmux").arg("-S").arg(socket).args(args).output().unwrap();
        String::from_utf8(said.stdout).unwrap()
    }

    /// Somebody attaches from a pane of a server outside of every session.
    fn attach(&self) {
        let (outer, inner) = (self.arena.path("outer"), self.arena.path("work/in.sock"));
        let mut attach = self.arena.program("tmux");
        attach.arg("-S").arg(outer).args(["-f", "/dev/null", "new-session", "-d"]).env("SHELL", "/bin/sh");
        attach.arg(format!("exec env -u TMUX tmux -S '{}' attach", inner.display()));
        assert!(attach.status().unwrap().success());
        until("the client is attached", || !self.inner(&["list-clients"]).trim().is_empty());
    }

    fn lives(&self, command: &str) -> bool {
        self.arena.agents().iter().any(|p| p.arguments.join(" ") == command)
    }

    #[track_caller]
    fn is_spared(&self) -> Value {
        let report = self.arena.json(&["kill", &self.id, "--json"]);
        assert!(report["sessions"][0]["spared"].to_string().contains("tmux server"), "{report}");
        assert!(self.lives("sleep 700") && !self.lives("sleep 701"), "{report}");
        report
    }
}

#[test]
fn who_carries_the_tag_of_a_session_elsewhere_is_shown_and_taken_with_it() {
    let arena = Arena::new();
    let id = arena.sh("a", "exec sleep 702");
    let tag = format!("{id}@{}", arena.status()["instance"].as_str().unwrap());
    // As a job of at(1) has it, which somebody else starts.
    let mut job = arena.program("sleep").arg("703").env("BEADLE_SESSION", tag).spawn().unwrap();
    until("it is shown", || arena.show(&id)["tree"].to_string().contains("sleep 703"));
    let report = arena.json(&["kill", &id, "--json"]);
    assert_eq!((&report["closed"], &report["sessions"][0]["processes"]), (&json!(1), &json!(2)), "{report}");
    assert!(!job.wait().unwrap().success());
}

#[test]
fn a_server_whose_socket_has_a_relative_path_is_asked_as_well() {
    if !has("tmux") {
        return;
    }
    let nested = Nested::new("", "./in.sock", "");
    nested.attach();
    nested.is_spared();
}

#[test]
fn somebody_who_was_attached_once_is_remembered_by_the_next_daemon() {
    if !has("tmux") {
        return;
    }
    let nested = Nested::new("", "\"$PWD/in.sock\"", "");
    nested.attach();
    until("it was seen", || {
        nested.arena.run(&["ls"]).ok();
        nested.arena.log().contains("it will be spared")
    });
    nested.inner(&["detach-client", "-a"]);
    nested.inner(&["detach-client"]);
    for client in nested.inner(&["list-clients", "-F", "#{client_name}"]).lines() {
        nested.inner(&["detach-client", "-t", client]);
    }
    until("nobody is attached", || nested.inner(&["list-clients"]).trim().is_empty());
    nested.arena.kill_daemon();
    nested.is_spared();
}

#[test]
fn what_left_a_pane_of_a_spared_server_is_spared_and_no_policy_comes_back_for_it() {
    if !has("tmux") {
        return;
    }
    let policy = "[cleanup]\nlinger = \"100ms\"\nnotice = \"0s\"\nquiet_start = \"0s\"\ninterval = \"100ms\"\n";
    let nested = Nested::new(policy, "\"$PWD/in.sock\"", "(setsid sleep 704 >/dev/null 2>&1 &)");
    until("its job is there", || nested.lives("sleep 704"));
    nested.attach();
    let report = nested.is_spared();
    assert!(report["sessions"][0]["spared"].to_string().contains("started in a pane of it"), "{report}");
    assert!(nested.lives("sleep 704"), "{report}");
    let passes = || nested.arena.json(&["cleanup", "--json"])["statistics"]["cleanup_runs"].as_u64().unwrap();
    let before = passes();
    until("the cleaner has looked again and again", || passes() > before + 5);
    assert!(nested.lives("sleep 704") && nested.lives("sleep 700"));
    let audit = nested.arena.json(&["audit", "--json"]);
    assert_eq!(audit.as_array().unwrap().len(), 1, "{audit}");
}

#[test]
fn who_only_calls_itself_a_tmux_server_is_taken() {
    if !has("python3") {
        return;
    }
    let arena = Arena::new();
    let spoof = "import ctypes,socket,time\nctypes.CDLL(None).prctl(15,b'tmux: server',0,0,0)\n\
        s=socket.socket(socket.AF_UNIX)\ns.bind('mine.sock')\ns.listen()\nopen('up','w').write('up\\n')\ntime.sleep(705)\n";
    let spoof = arena.script("spoof.py", spoof);
    arena.session(&["--", "python3", &spoof]);
    arena.line_of("work/up");
    let report = arena.json(&["close-all", "--json"]);
    assert_eq!(report["sessions"][0]["outcome"], "clean", "{report}");
    assert_eq!(arena.agents(), []);
}
