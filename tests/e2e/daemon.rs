//! The daemon comes and goes as it is told; sessions only with it when that was meant.

use rustix::process::Signal;
use serde_json::json;

use super::support::{Arena, Running, until};

#[track_caller]
fn two_sessions(arena: &Arena) -> [String; 2] {
    let ids = [arena.sh("a", "exec sleep 600"), arena.sh("b", "sleep 600 & exec sleep 600")];
    // A shell on its way to becoming one is none yet.
    until("all are there", || arena.agents().iter().filter(|p| p.arguments == ["sleep", "600"]).count() == 3);
    ids
}

#[test]
fn a_restart_keeps_sessions_pid_and_lock() {
    let arena = Arena::new();
    two_sessions(&arena);
    let keepers = || arena.keepers().into_iter().map(|k| k.id).collect::<Vec<_>>();
    let (daemon, agents, before) = (arena.daemon(), arena.agents(), keepers());
    for _ in 0..3 {
        arena.run(&["daemon", "restart"]).ok();
        assert_eq!(arena.daemon(), daemon, "in place");
    }
    assert_eq!((arena.agents(), keepers()), (agents, before));
    assert_eq!(arena.log().matches("daemon started ").count(), 4);
    arena.run(&["daemon"]).fails(1, "already running");
    // Exits that come after it are still learnt, and nothing is left open or unreaped.
    arena.run(&["kill", "a"]).ok();
    arena.run(&["close-all"]).ok();
    assert_eq!(arena.agents(), []);
    until("the keepers have gone", || arena.keepers().is_empty());
    let children = format!("/proc/{0}/task/{0}/children", daemon.pid);
    until("no zombie is left", || std::fs::read_to_string(&children).unwrap().is_empty());
}

#[test]
fn a_stop_closes_the_sessions_and_says_so() {
    let arena = Arena::new();
    let ids = two_sessions(&arena);
    let said = arena.json(&["daemon", "stop", "--json"]);
    assert_eq!((&said["closed"], &said["failed"]), (&json!(2), &json!(0)));
    assert_eq!(arena.agents(), []);
    until("nothing is left", || arena.processes().is_empty());
    assert!(!arena.socket().exists());
    for id in ids {
        assert_eq!(arena.show(&id)["exit"]["by"], "shutdown");
    }
}

#[test]
fn a_stop_that_keeps_leaves_sessions_to_be_found_by_the_next() {
    let arena = Arena::new();
    let [a, _] = two_sessions(&arena);
    let (before, daemon) = (arena.agents(), arena.daemon());
    arena.run(&["daemon", "stop", "--keep"]).ok();
    until("the daemon has gone", || arena.daemons().is_empty());
    assert_eq!((arena.agents(), arena.keepers().len()), (before.clone(), 2));
    assert_eq!(arena.show(&a)["state"], "running");
    assert_ne!(arena.daemon(), daemon);
    assert_eq!(arena.agents(), before);
}

#[test]
fn the_config_may_say_that_a_stop_keeps() {
    let arena = Arena::with("[shutdown]\nsessions = \"keep\"\n");
    two_sessions(&arena);
    arena.signal(arena.daemon(), Signal::TERM);
    until("the daemon has gone", || arena.daemons().is_empty());
    assert_eq!(arena.agents().len(), 3);
    assert_eq!(arena.all().len(), 2);
}

#[test]
fn term_and_int_close_the_sessions() {
    for signal in [Signal::TERM, Signal::INT] {
        let arena = Arena::new();
        two_sessions(&arena);
        arena.signal(arena.daemon(), signal);
        until("nothing is left", || arena.processes().is_empty());
        assert!(arena.log().contains("daemon stopped"));
    }
}

#[test]
fn a_stop_that_takes_too_long_is_over_at_its_deadline_and_a_second_signal_ends_it_at_once() {
    let arena = Arena::with("[stop]\ngrace = \"60s\"\n[shutdown]\ndeadline = \"300ms\"\n");
    let deaf = "trap '' TERM HUP INT; echo up >up; while :; do sleep 1; done";
    let id = arena.sh("a", deaf);
    arena.line_of("work/up");
    arena.signal(arena.daemon(), Signal::TERM);
    until("the daemon has gone", || arena.daemons().is_empty());
    assert_eq!(arena.keepers().len(), 1, "its keeper still has it");
    assert_ne!(arena.show(&id)["state"], "ended");
    arena.configure("[stop]\ngrace = \"60s\"\n[shutdown]\ndeadline = \"60s\"\n");
    arena.run(&["daemon", "restart"]).ok();
    let daemon = arena.daemon();
    arena.signal(daemon, Signal::TERM);
    until("it is stopping", || arena.log().matches("stopping sessions=1").count() == 2);
    arena.signal(daemon, Signal::TERM);
    until("the daemon has gone", || arena.daemons().is_empty());
    assert_eq!(arena.keepers().len(), 1);
}

#[test]
fn hup_reads_the_config_again_and_a_bad_one_changes_nothing() {
    let arena = Arena::new();
    let daemon = {
        arena.run(&["daemon", "start"]).ok();
        arena.daemon()
    };
    arena.signal(daemon, Signal::HUP);
    until("it was read", || arena.log().contains("the config was read again"));
    arena.configure("[stop]\ngrace = \"soon\"\n");
    arena.run(&["config", "reload"]).fails(1, "line 2");
    arena.signal(daemon, Signal::HUP);
    until("it was refused", || arena.log().matches("the config is bad").count() == 2);
    assert_eq!(arena.daemon(), daemon);
    arena.sh("a", "exec sleep 600");
}

#[test]
fn verbs_that_only_look_never_start_one() {
    let arena = Arena::new();
    arena.run(&["daemon", "status"]).fails(3, "no daemon is running");
    arena.run(&["heartbeat", "x"]).fails(3, "no daemon is running");
    arena.run(&["daemon", "stop"]).ok();
    assert_eq!(arena.processes(), []);
    assert!(!arena.state().exists());
}

#[test]
fn below_a_keeper_no_daemon_is_started() {
    let arena = Arena::new();
    let inner = arena.path("inner");
    let script = format!(
        "unset BEADLE_SOCKET; BEADLE_STATE_DIR={0} BEADLE_RUNTIME_DIR={0}/run {1} ls 2>told; echo $? >status; exec sleep 600",
        inner.display(),
        arena.binary()
    );
    arena.sh("a", &script);
    assert_eq!(arena.line_of("work/status"), "3");
    let told = arena.line_of("work/told");
    assert!(told.contains("inside a session"), "{told}");
    assert_eq!(arena.daemons().len(), 1);
}

#[test]
fn within_a_session_beadle_talks_to_its_own_daemon_also_after_a_crash_of_it() {
    let arena = Arena::new();
    let script = format!(
        "until [ -e go ]; do sleep 0.02; done; {} ls --json >told 2>&1; echo $? >status; exec sleep 600",
        arena.binary()
    );
    arena.sh("a", &script);
    arena.kill_daemon();
    arena.run(&["ls"]).ok();
    std::fs::write(arena.path("work/go"), "").unwrap();
    assert_eq!(arena.line_of("work/status"), "0");
    let told: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(arena.path("work/told")).unwrap()).unwrap();
    assert_eq!(told[0]["name"], "a");
}

#[test]
fn the_daemon_lets_go_of_the_callers_output_directory_and_terminal() {
    let arena = Arena::new();
    // `run` returns only once everything that could hold its output has let go.
    arena.run(&["daemon", "start"]).ok();
    let daemon = arena.daemon();
    let proc = std::path::PathBuf::from(format!("/proc/{}", daemon.pid));
    assert_eq!(std::fs::read_link(proc.join("cwd")).unwrap(), std::path::Path::new("/"));
    for fd in ["0", "1", "2"] {
        assert_eq!(std::fs::read_link(proc.join("fd").join(fd)).unwrap(), std::path::Path::new("/dev/null"));
    }
    let stat = beadle::sys::process::stat(daemon.pid).unwrap();
    assert_eq!((stat.tty, stat.sid), (0, daemon.pid));
}

#[test]
fn state_and_sockets_are_the_users_alone() {
    use std::os::unix::fs::PermissionsExt;
    let arena = Arena::new();
    let id = arena.sh("a", "echo hello; exec sleep 600");
    until("it has spoken", || !arena.recorded(&id).0.is_empty());
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let session = arena.state().join("sessions").join(&id);
    for dir in
        [arena.state(), arena.path("run"), arena.path("run/keepers"), arena.state().join("logs"), session.clone()]
    {
        assert_eq!(mode(&dir), 0o700, "{}", dir.display());
    }
    let logs = std::fs::read_dir(arena.state().join("logs")).unwrap();
    for file in std::fs::read_dir(&session).unwrap().chain(logs).flatten() {
        assert_eq!(mode(&file.path()), 0o600, "{}", file.path().display());
    }
    for socket in [arena.socket(), arena.path(&format!("run/keepers/{id}.sock"))] {
        assert_eq!(mode(&socket), 0o600, "{}", socket.display());
    }
}

#[test]
fn a_daemon_that_a_command_started_stays_while_the_queue_has_work_and_ends_after_it() {
    let arena = Arena::new();
    let limit = std::time::Duration::from_millis(500);
    arena.begin_impatient(500);
    let daemon = arena.daemons()[0].id;
    // Longer than it stays with nothing to do; if it ended, the next command would find another.
    let stays = |why: &str| {
        std::thread::sleep(limit * 4);
        assert_eq!(arena.daemons().iter().map(|d| d.id).collect::<Vec<_>>(), [daemon], "{why}: {}", arena.log());
    };
    // Queued, and held back: nothing runs.
    arena.run(&["sweep", "--emergency", "--yes"]).ok();
    let work = "echo up >up; until [ -e go ]; do sleep 0.02; done; rm go";
    arena.run(&["project", "add", "one", "--retries", "1", "--", "sh", "-c", work]).ok();
    arena.run(&["project", "add", "two", "--", "sh", "-c", "echo up >up2; exec sleep 600"]).ok();
    stays("two wait");
    assert_eq!(arena.agents(), []);
    arena.run(&["release"]).ok();
    arena.line_of("work/up");
    stays("one runs");
    std::fs::write(arena.path("work/go"), "").unwrap();
    arena.line_of("work/up2");
    stays("the other runs");
    arena.agents().into_iter().for_each(|p| arena.kill(p.id));
    until("nothing is left", || arena.processes().is_empty());
    assert_eq!(arena.log().matches("daemon started ").count(), 1);
    assert!(arena.log().contains("nothing to do: ending"));
}

#[test]
fn a_daemon_that_somebody_stopped_is_named_with_what_to_do() {
    let arena = Arena::new();
    arena.run(&["daemon", "start"]).ok();
    let daemon = arena.daemon();
    let tell = |signal| rustix::process::kill_process(rustix::process::Pid::from_raw(daemon.pid).unwrap(), signal);
    tell(rustix::process::Signal::STOP).unwrap();
    let told = [arena.begin(&["ls"]), arena.begin(&["daemon", "status"])].map(Running::wait);
    tell(rustix::process::Signal::CONT).unwrap();
    for said in told {
        said.fails(3, &format!("kill -CONT {}", daemon.pid));
    }
    arena.run(&["ls"]).ok();
    assert_eq!(arena.daemon(), daemon);
}

#[test]
fn a_socket_on_which_nobody_listens_is_named_at_once_and_the_daemon_is_not_blamed() {
    let arena = Arena::new();
    arena.run(&["daemon", "start"]).ok();
    for args in [&["ls"][..], &["daemon", "status"]] {
        let mut lost = arena.beadle(args);
        lost.env("BEADLE_SOCKET", "/nonexist/x");
        Running::of(lost).wait().fails(3, "nobody listens on /nonexist/x (BEADLE_SOCKET)");
    }
    // The daemon's own, lost: it makes it anew.
    std::fs::remove_file(arena.socket()).unwrap();
    let mut named = arena.beadle(&["ls"]);
    named.env("BEADLE_SOCKET", arena.socket());
    Running::of(named).wait().ok();
}

#[test]
fn what_cannot_be_meant_is_wrong_use_and_says_what_was_typed() {
    let arena = Arena::new();
    arena.run(&["show", ""]).fails(4, "no session \"\"");
    arena.run(&["logs", ""]).fails(4, "no session \"\"");
    arena.run(&["run", "--timeout", "0s", "--", "true"]).fails(2, "--timeout");
    arena.run(&["run", "--max-idle", "0s", "--", "true"]).fails(2, "more than 0");
    arena.run(&["cleanup", "set", "max_idl=5m"]).fails(2, "max_idle");
    arena.run(&["cleanup", "set", "max_idle=soon"]).fails(2, "soon");
    assert_eq!(arena.all(), [] as [serde_json::Value; 0]);
}
