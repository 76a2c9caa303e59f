//! What an agent that calls beadle may do, and to whom.

use std::io::Write;
use std::path::PathBuf;

use serde_json::json;

use super::support::{Arena, Said, has, is_root, pid_of, until, until_some};

const ALLOWED: &str =
    "an agent may look, send its own heartbeat, start sessions and act on those it started; agents.authority = \"all\"";

/// A session that runs what it is given, line by line, and survives the loss of its terminal.
pub struct Inside<'a> {
    arena: &'a Arena,
    id: String,
    name: String,
}

impl<'a> Inside<'a> {
    pub fn begin(arena: &'a Arena, name: &str) -> Self {
        let script = format!(
            "trap '' HUP; mkfifo {name}.in; while read -r line <{name}.in; do sh -c \"$line\" >{name}.out 2>{name}.err; echo $? >{name}.tmp; mv {name}.tmp {name}.status; done"
        );
        let id = arena.sh(name, &script);
        let inside = Self { arena, id, name: name.into() };
        until("it listens", || inside.file("in").exists());
        inside
    }

    fn file(&self, end: &str) -> PathBuf {
        self.arena.path("work").join(format!("{}.{end}", self.name))
    }

    /// What a line of shell said in there; `beadle` is the arena's own.
    #[track_caller]
    pub fn sh(&self, line: &str) -> Said {
        let line = line.replace("beadle ", &format!("{} ", self.arena.binary()));
        let mut input = std::fs::OpenOptions::new().write(true).open(self.file("in")).unwrap();
        writeln!(input, "{line}").unwrap();
        drop(input);
        let status = until_some(line.as_str(), || std::fs::read_to_string(self.file("status")).ok());
        std::fs::remove_file(self.file("status")).unwrap();
        let text = |end| std::fs::read_to_string(self.file(end)).unwrap();
        Said { status: status.trim().parse().unwrap(), out: text("out"), err: text("err") }
    }
}

/// Everything that is refused to an agent named `a` beside a neighbour.
const REFUSED: &[(&str, &str)] = &[
    ("beadle kill neighbour", "may not kill neighbour"),
    ("beadle kill --now 'n*'", "may not kill neighbour"),
    ("beadle pause neighbour", "may not pause neighbour"),
    ("beadle unpause neighbour", "may not unpause neighbour"),
    ("beadle pin neighbour", "may not pin neighbour"),
    ("beadle rename neighbour mine", "may not rename neighbour"),
    ("beadle restart neighbour", "may not restart neighbour"),
    ("beadle rm neighbour", "may not forget neighbour"),
    ("beadle send neighbour x --enter", "may not type into neighbour"),
    ("beadle heartbeat neighbour", "may not send a heartbeat for neighbour"),
    ("beadle kill a", "may not kill itself"),
    ("beadle pause a", "may not pause itself"),
    ("beadle close-all", "may not close all sessions"),
    ("beadle daemon stop --yes", "may not stop the daemon"),
    ("beadle daemon stop --keep", "may not stop the daemon"),
    ("beadle daemon restart", "may not restart the daemon"),
    ("beadle config reload", "may not have the config read again"),
];

#[test]
fn an_agent_looks_and_acts_on_what_it_started_and_on_nothing_else() {
    let arena = Arena::new();
    let neighbour = arena.sh("neighbour", "sleep 600");
    let (daemon, a) = (arena.daemon(), Inside::begin(&arena, "a"));
    for line in [
        "beadle ls --json",
        "beadle show neighbour",
        "beadle peek neighbour",
        "beadle health",
        "beadle daemon status",
        "beadle heartbeat",
        "beadle kill neighbour --dry-run",
    ] {
        assert_eq!(a.sh(line).status, 0, "{line}");
    }
    for (line, why) in REFUSED {
        let said = a.sh(line);
        said.fails(5, why);
        said.fails(5, ALLOWED);
    }
    assert_eq!((arena.show(&neighbour)["state"].clone(), arena.daemon()), (json!("running"), daemon));
    // What it starts is its own, and what that one starts too.
    a.sh("beadle run --name child -- sleep 600").ok();
    assert_eq!(arena.show("child")["started_by"], json!(a.id));
    for line in [
        "beadle pause child",
        "beadle unpause child",
        "beadle send child x",
        "beadle rename child kid",
        "beadle kill kid",
        "beadle rm kid",
    ] {
        assert_eq!(a.sh(line).status, 0, "{line}");
    }
    a.sh("beadle run --name b -- sh -c 'beadle run --name c -- sleep 600; exec sleep 600'").ok();
    until("the grandchild is there", || arena.run(&["show", "c"]).status == 0);
    a.sh("beadle kill c").ok();
    a.sh("beadle restart b").ok();
    assert_eq!(arena.show("b")["started_by"], json!(a.id));
    a.sh("beadle kill b").ok();
    arena.run(&["close-all"]).ok();
}

#[test]
fn a_person_may_act_on_everything_and_with_the_key_agents_may_too() {
    let arena = Arena::with("[stop]\ngrace = \"300ms\"\n[agents]\nauthority = \"all\"\n");
    arena.sh("neighbour", "sleep 600");
    let a = Inside::begin(&arena, "a");
    a.sh("beadle run --name child -- sleep 600").ok();
    arena.run(&["kill", "child"]).ok();
    a.sh("beadle kill neighbour").ok();
    // The setting of now is the one in force, in both directions.
    arena.configure("[stop]\ngrace = \"300ms\"\n");
    a.sh("beadle config reload").ok();
    a.sh("beadle config reload").fails(5, ALLOWED);
    a.sh("beadle close-all").fails(5, ALLOWED);
    arena.run(&["close-all"]).ok();
    assert_eq!(arena.agents(), []);
}

#[test]
fn no_way_of_starting_a_process_leads_out_of_its_session() {
    let arena = Arena::new();
    let neighbour = arena.sh("neighbour", "sleep 600");
    let a = Inside::begin(&arena, "a");
    let kill = format!("beadle kill {neighbour} --host unix://{}", arena.socket().display());
    a.sh(&format!("env -i {kill}")).fails(5, "may not kill neighbour");
    // Double fork, own session, no environment, and reparented before it calls.
    let script = arena.script(
        "work/away.sh",
        &format!("while [ -e hold ]; do sleep 0.01; done; {kill} 2>away.err; echo $? >away.tmp; mv away.tmp away")
            .replace("beadle kill", &format!("{} kill", arena.binary())),
    );
    std::fs::write(arena.path("work/hold"), "").unwrap();
    a.sh(&format!("(setsid env -i PATH=$PATH sh {script} </dev/null >/dev/null 2>&1 &)")).ok();
    std::fs::remove_file(arena.path("work/hold")).unwrap();
    assert_eq!(arena.line_of("work/away"), "5");
    // A tag that names somebody else is only a word.
    let instance = std::fs::read_to_string(arena.state().join("instance")).unwrap();
    a.sh(&format!("BEADLE_SESSION={neighbour}@{} {kill}", instance.trim()))
        .fails(5, &format!("session {} may not", a.id));
    // The same without its keeper, before and after a new daemon has read what was written down.
    let keeper = pid_of(&arena.show("a")["keeper_pid"]);
    arena.json(&["health", "--json"]);
    arena.kill(keeper);
    until("the loss is noticed", || arena.show("a")["health"] == "orphaned");
    a.sh(&format!("env -i {kill}")).fails(5, &format!("session {} may not kill neighbour", a.id));
    arena.kill_daemon();
    arena.run(&["ls"]).ok();
    a.sh(&format!("env -i {kill}")).fails(5, &format!("session {} may not kill neighbour", a.id));
    a.sh("beadle heartbeat").fails(1, "the keeper of a is gone");
    assert_eq!(arena.show(&neighbour)["state"], "running");
}

#[test]
fn a_caller_that_has_gone_before_it_is_read_is_not_believed() {
    if !has("perl") {
        return;
    }
    let arena = Arena::new();
    let neighbour = arena.sh("neighbour", "sleep 600");
    let daemon = arena.daemon();
    // The daemon sleeps while somebody connects and ends; the child that asks is not who connected.
    arena.signal(daemon, rustix::process::Signal::STOP);
    let mut perl = arena.program("perl");
    perl.args(["-MIO::Socket::UNIX", "-e", HEIR, arena.socket().to_str().unwrap(), &neighbour]);
    super::support::Running::of(perl).wait().ok();
    arena.signal(daemon, rustix::process::Signal::CONT);
    let answer = until_some("an answer", || std::fs::read_to_string(arena.path("work/answer")).ok());
    assert!(answer.contains("403") && answer.contains("a process inside a session may not kill neighbour"), "{answer}");
    assert_eq!(arena.show(&neighbour)["state"], "running");
}

/// Connects, ends, and leaves the connection to a child that asks for a kill.
const HEIR: &str = r#"my ($path, $id) = @ARGV;
my $s = IO::Socket::UNIX->new(Peer => $path) or die;
exit if fork;
open STDOUT, ">", "answer.tmp"; open STDERR, ">", "/dev/null";
print $s "POST /api/sessions/$id/kill HTTP/1.1\r\nhost: b\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
print <$s>; close STDOUT; rename "answer.tmp", "answer";"#;

/// Connects to a keeper, sends one order, and prints the answer to it, if one comes before the screen that is asked next.
const ORDER: &str = r#"my ($path, $order) = @ARGV;
my $s = IO::Socket::UNIX->new(Peer => $path) or die;
sub frame { my $j = "J" . shift; pack("V", length $j) . $j }
print $s frame($order), frame('{"op":"screen","seq":99}'); $s->flush; my $all = "";
while (sysread $s, my $b, 4096) { $all .= $b; last if $all =~ /"seq":99/ }
print $all =~ /"seq":7,"ok":(\w+)/ ? $1 : "nothing";"#;

#[test]
fn a_keeper_takes_no_keys_from_another_session() {
    if !has("perl") {
        return;
    }
    let arena = Arena::new();
    let script = arena.script("work/order.pl", ORDER);
    arena.sh("neighbour", "read x; echo got $x; exec sleep 600");
    let a = Inside::begin(&arena, "a");
    a.sh("beadle run --name child -- sh -c 'read x; echo got $x; exec sleep 600'").ok();
    let perl = |to: &str, order: &str| {
        let socket = arena.show(to)["keeper_socket"].as_str().unwrap().to_string();
        format!("perl -MIO::Socket::UNIX {script} {socket} '{order}'")
    };
    let typed = r#"{"op":"type","seq":7,"bytes":[104,105,13]}"#;
    assert_eq!(a.sh(&perl("child", typed)).ok(), "true");
    assert_eq!(a.sh(&perl("neighbour", typed)).ok(), "false");
    assert_eq!(a.sh(&perl("a", typed)).ok(), "false");
    assert_eq!(a.sh(&perl("neighbour", r#"{"op":"restart","seq":7}"#)).ok(), "false");
    let cause = r#"{"op":"closing","seq":7,"cause":{"by":"user","reason":"x"}}"#;
    assert_eq!(a.sh(&perl("neighbour", cause)).ok(), "false");
    assert_eq!(a.sh(&perl("neighbour", r#"{"op":"authority","all":true}"#)).ok(), "nothing");
    assert_eq!(a.sh(&perl("neighbour", typed)).ok(), "false");
    // The terminal before it: neither from outside nor by a setting is it closed to those who may.
    let mut outside = arena.program("sh");
    outside.args(["-c", &perl("neighbour", typed)]);
    assert_eq!(super::support::Running::of(outside).wait().ok(), "true");
    until("what was typed arrives", || arena.run(&["peek", "neighbour"]).ok().contains("got hi"));
    arena.configure("[stop]\ngrace = \"300ms\"\n[agents]\nauthority = \"all\"\n");
    arena.run(&["config", "reload"]).ok();
    until("the keeper has heard", || a.sh(&perl("neighbour", typed)).ok() == "true");
}

#[test]
fn the_agents_of_a_plain_user_are_held_to_it_too() {
    if !is_root() || !has("setpriv") {
        return eprintln!("skipped: only root can become another user");
    }
    let arena = Arena::of_user(65534);
    arena.sh("neighbour", "sleep 600");
    let a = Inside::begin(&arena, "a");
    a.sh("beadle kill neighbour").fails(5, "may not kill neighbour");
    a.sh("beadle run --name child -- sleep 600").ok();
    a.sh("beadle kill child").ok();
    arena.run(&["kill", "neighbour"]).ok();
    arena.run(&["daemon", "stop", "--yes"]).ok();
    until("nothing is left", || arena.processes().is_empty());
}

/// Which of its panes an agent types into, and which a person, nobody can tell: the agent has the socket too.
#[test]
fn a_shell_in_a_tmux_server_born_inside_is_inside_also_with_a_person_attached_from_outside() {
    if !has("tmux") || !has("script") {
        return;
    }
    let arena = Arena::new();
    arena.sh("neighbour", "exec sleep 600");
    let inside = Inside::begin(&arena, "a");
    let socket = arena.path("work/born-inside").display().to_string();
    inside.sh(&format!("tmux -S {socket} -f /dev/null new-session -d -x 80 -y 24 'exec sh'")).ok();
    let mut person = arena.program("script");
    person.args(["-qec", &format!("tmux -S {socket} attach"), "/dev/null"]).stdin(std::process::Stdio::piped());
    person.env("TERM", "xterm");
    let person = super::support::Running::of(person);
    let tmux = |args: &[&str]| {
        let mut command = arena.program("tmux");
        command.arg("-S").arg(&socket).args(args);
        super::support::Running::of(command).wait().ok()
    };
    until("somebody is attached", || !tmux(&["list-clients"]).trim().is_empty());
    let line = format!("{} close-all >said 2>&1; echo $? >status", arena.binary());
    tmux(&["send-keys", "-l", &line]);
    tmux(&["send-keys", "Enter"]);
    assert_eq!(arena.line_of("work/status"), "5");
    assert!(std::fs::read_to_string(arena.path("work/said")).unwrap().contains(ALLOWED));
    drop(person);
}

#[test]
fn who_may_not_stop_the_daemon_is_told_so_and_not_asked_first() {
    let arena = Arena::new();
    let a = Inside::begin(&arena, "a");
    // Its standard input is the session's terminal: a question would wait there for an answer.
    a.sh("beadle daemon stop").fails(5, "may not stop the daemon");
    assert!(arena.run(&["daemon", "status", "--json"]).json()["not_to_be_stopped"].is_null());
}
