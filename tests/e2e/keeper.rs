//! One session and its keeper: the terminal, the end of the leader, pause and restart, and what clients can do to it.

use beadle::api::wire::{Kind, Request};
use beadle::sys::process;
use rustix::process::Signal;
use serde_json::json;

use super::ask::ask;
use super::line::{Line, Terminal};
use super::support::{Arena, Running, pid_of, until};

#[test]
fn a_leader_that_leaves_a_holder_of_its_terminal_is_over_and_its_session_lingers() {
    let arena = Arena::new();
    let id = arena.sh(
        "a",
        "(trap '' HUP; echo up >up; exec sleep 600) & until [ -e up ]; do sleep 0.01; done; echo said; exit 5",
    );
    let row = arena.until_state(&id, "lingering");
    assert_eq!(
        (&row["health"], &row["leader_pid"], &row["exit"]["code"]),
        (&json!("orphaned"), &json!(null), &json!(5))
    );
    assert!(row["reason"].as_str().unwrap().contains("ended (exit 5)"), "{row}");
    until("the holder is counted", || arena.show(&id)["processes"] == 1);
    assert_eq!(arena.recorded(&id).0, b"said\r\n");
    arena.run(&["health", "--check"]).fails(1, "");
    let report = arena.json(&["kill", &id, "--json"]);
    assert_eq!(arena.run(&["wait", &id]).status, 5);
    assert_eq!(report["failed"], 0);
    assert_eq!(arena.agents(), []);
    let row = arena.until_state(&id, "ended");
    assert_eq!((&row["exit"]["code"], &row["exit"]["by"]), (&json!(5), &json!("itself")));
}

#[test]
fn a_session_ends_by_itself_when_the_last_of_what_lingered_has_gone() {
    let arena = Arena::new();
    let id = arena.sh("a", "(trap '' HUP; echo up >up; until [ -e go ]; do sleep 0.01; done) & until [ -e up ]; do sleep 0.01; done; exit 6");
    arena.until_state(&id, "lingering");
    std::fs::write(arena.path("work/go"), "").unwrap();
    assert_eq!(arena.until_state(&id, "ended")["exit"]["code"], 6);
    until("its keeper has gone", || arena.keepers().is_empty());
}

#[test]
fn queries_of_the_terminal_are_answered_while_nobody_is_attached() {
    let arena = Arena::new();
    let script = "stty raw -echo; \
        printf '\\033[5n'; dd bs=1 count=4 2>/dev/null | od -An -c | tr -d ' \\n' >status; \
        printf '\\033[7;9H\\033[6n'; dd bs=1 count=6 2>/dev/null | od -An -c | tr -d ' \\n' >position; \
        printf '\\033[c'; dd bs=1 count=3 2>/dev/null | od -An -c | tr -d ' \\n' >attributes; \
        echo >done; exec sleep 600";
    arena.sh("a", script);
    arena.line_of("work/done");
    let told = |name: &str| std::fs::read_to_string(arena.path(&format!("work/{name}"))).unwrap();
    assert_eq!(told("status"), "033[0n");
    assert_eq!(told("position"), "033[7;9R");
    assert_eq!(told("attributes"), "033[?");
}

#[test]
fn a_client_that_does_not_read_does_not_hold_up_the_agent() {
    let arena = Arena::new();
    let id = arena.sh("a", "until [ -e go ]; do sleep 0.01; done; head -c 8000000 /dev/zero | tr '\\0' x; echo; echo finished >done; echo THE END; exec sleep 600");
    let mut slow = Line::attached(&arena, &id, false);
    let mut halved = Line::to(&arena, &id);
    // Half a frame, and no more.
    halved.send_raw(&[200, 0, 0, 0, b'J', b'{']).unwrap();
    std::fs::write(arena.path("work/go"), "").unwrap();
    assert_eq!(arena.line_of("work/done"), "finished");
    until("the end is recorded", || arena.run(&["peek", &id]).ok().contains("THE END"));
    // What it gets in the end is the screen as it is, not eight megabytes.
    slow.until_shown("THE END");
    halved.send_raw(&[b'x'; 10]).unwrap();
}

#[test]
fn several_terminals_see_the_same_and_only_those_that_may_type() {
    let arena = Arena::new();
    let id = arena.sh("a", "stty -echo; echo ready; while read line; do echo \"got $line\"; done");
    until("it is ready", || arena.run(&["peek", &id]).ok().contains("ready"));
    let (mut a, mut b) = (Line::attached(&arena, &id, false), Line::attached(&arena, &id, false));
    let mut looker = Line::attached(&arena, &id, true);
    until("all are counted", || arena.show(&id)["attached"] == 3);
    looker.type_in("never\n");
    a.type_in("one\n");
    for line in [&mut a, &mut b, &mut looker] {
        line.until_shown("got one");
    }
    b.type_in("two\n");
    for line in [&mut a, &mut b, &mut looker] {
        line.until_shown("got two");
    }
    assert!(!arena.run(&["peek", &id]).ok().contains("never"));
    drop((a, b, looker));
    until("nobody is attached", || arena.show(&id)["attached"] == 0);
    assert_eq!(arena.show(&id)["state"], "running");
}

#[test]
fn the_terminal_that_types_decides_the_size() {
    let arena = Arena::new();
    let id = arena.sh("a", "stty -echo; trap 'stty size' WINCH; echo ready; while :; do sleep 0.02; done");
    until("it is ready", || arena.run(&["peek", &id]).ok().contains("ready"));
    let mut line = Line::attached(&arena, &id, false);
    line.order(&Request::Resize { cols: 91, rows: 33 });
    line.until_shown("33 91");
    for (cols, rows) in [(0, 0), (0, 10), (u16::MAX, u16::MAX)] {
        line.order(&Request::Resize { cols, rows });
    }
    line.order(&Request::Resize { cols: 70, rows: 20 });
    line.until_shown("20 70");
}

#[test]
fn garbage_on_a_keepers_socket_ends_that_connection_and_nothing_else() {
    let arena = Arena::new();
    let id = arena.sh("a", "exec cat");
    for garbage in [&[0u8, 0, 0, 0][..], &[255; 64], &[5, 0, 0, 0, b'?', 1, 2, 3, 4]] {
        let mut line = Line::to(&arena, &id);
        // It may hang up at once.
        let _ = line.send_raw(garbage);
        until("it hangs up", || line.is_closed());
    }
    let mut line = Line::attached(&arena, &id, false);
    line.order(&Request::Attach { cols: 0, rows: 0, read_only: false });
    // An order of a later version, and one that is no order.
    line.send_raw(&beadle::api::wire::frame(Kind::Json, b"{\"op\":\"fly\"}")).unwrap();
    line.send_raw(&beadle::api::wire::frame(Kind::Json, b"\xff\xfe")).unwrap();
    line.type_in("hello\n");
    line.until_shown("hello");
    assert_eq!(arena.show(&id)["state"], "running");
}

#[test]
fn a_leader_that_was_stopped_is_stuck_and_one_that_was_paused_is_not() {
    let arena = Arena::new();
    let id = arena.sh("a", "sleep 600 & while :; do sleep 0.05; done");
    let leader = pid_of(&arena.show(&id)["leader_pid"]);
    arena.signal(leader, Signal::STOP);
    until("it is stuck", || arena.show(&id)["health"] == "stuck");
    assert_eq!(arena.show(&id)["reason"], "stopped by a signal");
    arena.run(&["unpause", &id]).ok();
    until("it is healthy again", || arena.show(&id)["health"] == "healthy");
    arena.run(&["pause", &id]).ok();
    until("its whole tree is stopped", || {
        arena.show(&id)["tree"].as_array().unwrap().iter().all(|p| p["state"] == "T")
    });
    let row = arena.show(&id);
    assert_eq!(
        (&row["state"], &row["health"], &row["reason"]),
        (&json!("paused"), &json!("healthy"), &json!("paused"))
    );
    arena.run(&["unpause", &id]).ok();
    until("nobody is stopped", || arena.show(&id)["tree"].as_array().unwrap().iter().all(|p| p["state"] != "T"));
    assert_eq!(arena.show(&id)["state"], "running");
}

#[test]
fn a_live_session_starts_again_with_the_same_id_and_environment_and_without_its_old_tree() {
    let arena = Arena::new();
    let script = "echo $MARK $$ >>told; (setsid sleep 601 &) ; exec sleep 602";
    let id = arena.session(&["--name", "a", "--env", "MARK=kept", "--", "sh", "-c", script]);
    let until_old = |n: usize| {
        until("the tree is there", || {
            arena.agents().iter().filter(|p| p.arguments.join(" ").starts_with("sleep 60")).count() == 2
                && std::fs::read_to_string(arena.path("work/told")).unwrap_or_default().lines().count() == n
        });
    };
    until_old(1);
    let before = arena.agents();
    let first = arena.show(&id)["leader_pid"].clone();
    let again = ask(&arena.socket(), "POST", "/api/sessions/a/restart", "").json();
    until_old(2);
    let row = arena.show(&id);
    // The answer is the new run.
    assert_eq!((&again["leader_pid"], &again["state"]), (&row["leader_pid"], &json!("running")), "{again}");
    assert_eq!(again["notes"], json!(null), "it keeps its environment");
    assert_ne!(row["leader_pid"], first);
    assert_eq!((&row["state"], &row["name"], &row["exit"]), (&json!("running"), &json!("a"), &json!(null)));
    assert!(arena.agents().iter().all(|p| !before.contains(p)), "nothing of the old tree");
    let told = std::fs::read_to_string(arena.path("work/told")).unwrap();
    assert_eq!(told.lines().nth(1), Some(format!("kept {}", row["leader_pid"]).as_str()));
    arena.run(&["kill", "a"]).ok();
    assert_eq!(arena.agents(), []);
    assert_eq!(arena.until_state(&id, "ended")["exit"]["by"], "user");
}

#[test]
fn an_ended_session_starts_again_under_its_id_with_the_callers_environment() {
    let arena = Arena::new();
    let id = arena.session(&["--name", "a", "--env", "MARK=first", "--", "sh", "-c", "echo mark $MARK; exit 4"]);
    assert_eq!(arena.until_state(&id, "ended")["exit"]["code"], 4);
    let mut again = arena.beadle(&["restart", "a"]);
    again.env("MARK", "second");
    let said = Running::of(again).wait().ok();
    assert!(said.contains("restarted, with the environment of this shell"), "{said}");
    until("it has ended again", || arena.recorded(&id).0 == b"mark second\r\n");
    assert_eq!(arena.until_state(&id, "ended")["exit"]["code"], 4);
    assert_eq!(arena.all().len(), 1);
    let over_http = ask(&arena.socket(), "POST", "/api/sessions/a/restart", "").json();
    assert!(over_http["notes"][0].as_str().unwrap().contains("environment is the daemon's"), "{over_http}");
    until("it has the daemon's", || arena.recorded(&id).0 == b"mark\r\n");
    until("its keeper has gone", || arena.keepers().is_empty());
}

#[test]
fn a_recording_keeps_to_its_cap_and_says_what_is_missing() {
    let arena = Arena::with("[record]\nper_session = \"64KiB\"\n");
    // In bursts that the recorder can follow: what it cannot is a gap, and that is another rule.
    let script = "stty -opost; i=0; while [ $i -lt 3000 ]; do \
        echo \"this is line number $i of a long story, and it goes on\"; i=$((i+1)); \
        [ $((i % 50)) = 0 ] && sleep 0.01; done; exit 0";
    let id = arena.sh("a", script);
    arena.until_state(&id, "ended");
    let (bytes, missing) = arena.recorded(&id);
    let line = |i| format!("this is line number {i} of a long story, and it goes on\n").into_bytes();
    let all: Vec<u8> = (0..3000).flat_map(line).collect();
    assert!(bytes.len() <= 64 << 10 && missing > 0, "{} {missing}", bytes.len());
    assert_eq!(bytes.len() as u64 + missing, all.len() as u64);
    assert!(all.ends_with(&bytes), "the newest is kept");
    assert!(arena.run(&["logs", &id]).ok().contains("not recorded"));
    let dir = arena.state().join("sessions").join(&id);
    let on_disk: u64 = ["out.0", "out.1"].iter().filter_map(|f| Some(std::fs::metadata(dir.join(f)).ok()?.len())).sum();
    assert!(on_disk <= 64 << 10, "{on_disk}");
}

#[test]
fn attach_detach_and_the_end_of_a_session_on_a_real_terminal() {
    let arena = Arena::new();
    let id = arena.sh("a", "echo ready; while read line; do [ \"$line\" = quit ] && exit 3; echo \"got $line\"; done");
    let mut first = Terminal::attach(&arena, &id);
    first.until_shown("ready");
    first.type_in("one\r");
    first.until_shown("got one");
    first.type_in("\x1d");
    assert_eq!(first.wait(), 0);
    first.until_shown("[detached from a");
    let mut second = Terminal::attach(&arena, "a");
    second.until_shown("got one");
    second.type_in("quit\r");
    assert_eq!(second.wait(), 0);
    second.until_shown("exit status 3");
    arena.until_state(&id, "ended");
    let mut third = Terminal::attach(&arena, "a");
    assert_ne!(third.wait(), 0);
    third.until_shown("has ended");
}

#[test]
fn run_and_attach_ends_as_the_command_does_with_its_output_on_the_terminal() {
    let arena = Arena::new();
    for round in 0..10 {
        // Over before, while, or after it is attached, as it comes.
        let script = format!("sleep 0.0{}; echo hello; exit 4", round % 5);
        let mut terminal = Terminal::of(&arena, &["run", "--attach", "--", "sh", "-c", &script]);
        assert_eq!(terminal.wait(), 4);
        terminal.until_shown("ended: exit status 4");
        let shown = terminal.shown();
        // On the screen that is still there, not on the one that was lent.
        let left = shown.rsplit("\x1b[?1049l").next().unwrap();
        assert!(left.contains("hello\r\n"), "{shown:?}");
    }
    let mut killed = Terminal::of(&arena, &["run", "--attach", "--", "sh", "-c", "kill -9 $$"]);
    assert_eq!(killed.wait(), 137);
    let mut detached = Terminal::of(&arena, &["run", "--attach", "-n", "on", "--", "sh", "-c", "echo up; read x"]);
    detached.until_shown("up");
    detached.type_in("\x1d");
    assert_eq!(detached.wait(), 0);
    assert_eq!(arena.show("on")["state"], "running");
}

#[test]
fn run_and_attach_without_a_terminal_starts_nothing() {
    let arena = Arena::new();
    arena.run(&["run", "--attach", "--", "sleep", "600"]).fails(2, "terminal");
    assert_eq!(arena.processes().len(), 0);
}

#[test]
fn a_session_whose_keeper_was_killed_is_shown_refused_and_taken_away() {
    let arena = Arena::new();
    let id = arena.sh("a", "trap '' HUP; while :; do sleep 0.1; done");
    until("its tree is there", || arena.agents().len() == 2);
    arena.run(&["ls"]).ok();
    arena.keepers().iter().for_each(|k| arena.kill(k.id));
    until("it is known", || arena.show(&id)["health"] == "orphaned");
    let row = arena.show(&id);
    assert_eq!((&row["state"], &row["reason"]), (&json!("running"), &json!("its keeper is gone")), "{row}");
    arena.run(&["peek", &id]).fails(1, "keeper");
    arena.run(&["send", &id, "x"]).fails(1, "keeper");
    arena.run(&["heartbeat", &id]).fails(1, "keeper");
    let mut terminal = Terminal::attach(&arena, &id);
    assert_ne!(terminal.wait(), 0);
    terminal.until_shown("the keeper of a is gone");
    arena.run(&["kill", &id]).ok();
    assert_eq!(arena.agents(), []);
    let exit = arena.until_state(&id, "ended")["exit"].clone();
    assert_eq!((&exit["code"], &exit["by"]), (&json!(null), &json!("user")));
}

#[test]
fn a_session_without_a_keeper_that_ends_by_itself_has_an_unknown_end() {
    let arena = Arena::new();
    let id = arena.sh("a", "trap '' HUP; until [ -e go ]; do sleep 0.02; done");
    until("its tree is there", || !arena.agents().is_empty());
    arena.run(&["ls"]).ok();
    arena.keepers().iter().for_each(|k| arena.kill(k.id));
    until("it is known", || arena.show(&id)["health"] == "orphaned");
    std::fs::write(arena.path("work/go"), "").unwrap();
    let exit = arena.until_state(&id, "ended")["exit"].clone();
    assert_eq!((&exit["code"], &exit["by"]), (&json!(null), &json!("unknown")));
    assert_eq!(arena.run(&["wait", &id]).status, 125);
}

#[test]
fn an_agent_that_went_after_its_keeper_lingers_with_an_unknown_end() {
    let arena = Arena::new();
    let script = "trap '' HUP; (until [ -e over ]; do sleep 0.02; done) & until [ -e go ]; do sleep 0.02; done";
    let id = arena.sh("a", script);
    until("its tree is there", || arena.agents().len() >= 2);
    arena.run(&["ls"]).ok();
    arena.keepers().iter().for_each(|k| arena.kill(k.id));
    until("it is known", || arena.show(&id)["health"] == "orphaned");
    assert_eq!(arena.show(&id)["exit"], json!(null), "its agent is still there");
    std::fs::write(arena.path("work/go"), "").unwrap();
    let row = arena.until_state(&id, "lingering");
    let exit = &row["exit"];
    assert_eq!((&exit["code"], &exit["by"], &row["health"]), (&json!(null), &json!("unknown"), &json!("orphaned")));
    assert_eq!(exit["reason"], "its keeper is gone");
    // The next daemon says the same.
    arena.kill_daemon();
    assert_eq!(arena.show(&id)["exit"]["by"], "unknown");
    std::fs::write(arena.path("work/over"), "").unwrap();
    assert_eq!(arena.until_state(&id, "ended")["exit"]["by"], "unknown");
}

#[test]
fn zombies_of_a_sessions_tree_are_reaped_and_not_counted() {
    let arena = Arena::new();
    let id = arena.sh("a", "for i in 1 2 3 4 5 6 7 8 9 10; do (sh -c 'exit 0' &); done; echo up >up; exec sleep 600");
    arena.line_of("work/up");
    until("one process is left", || arena.show(&id)["processes"] == 1);
    let keeper = arena.keepers()[0].id.pid;
    let children = || std::fs::read_to_string(format!("/proc/{keeper}/task/{keeper}/children")).unwrap();
    until("no zombie is left", || children().split_whitespace().count() == 1);
}

#[test]
fn a_heartbeat_from_within_counts_as_activity() {
    let arena = Arena::new();
    let id = arena.sh("a", &format!("{} heartbeat >told 2>&1; echo $? >>told; exec sleep 600", arena.binary()));
    assert_eq!(arena.line_of("work/told"), "0");
    let row = arena.show(&id);
    assert!(row["evidence"].as_array().unwrap().iter().any(|e| e["kind"] == "heartbeat"), "{row}");
}

#[test]
fn an_end_by_any_signal_is_an_end() {
    let arena = Arena::new();
    for signal in [1, 2, 3, 6, 9, 11, 13, 15, 34, 40, 64] {
        let id = arena.session(&["--", "sh", "-c", &format!("ulimit -c 0; kill -{signal} $$; sleep 600")]);
        assert_eq!(arena.run(&["wait", &id, "--timeout", "20s"]).status, 128 + signal, "signal {signal}");
        assert_eq!(arena.until_state(&id, "ended")["exit"]["signal"], signal);
    }
    until("no keeper is left", || arena.keepers().is_empty());
}

#[test]
fn a_keeper_whose_directory_was_removed_ends_with_its_agent() {
    let arena = Arena::new();
    let id = arena.sh("a", "until [ -e go ]; do sleep 0.02; done; echo bye");
    std::fs::remove_dir_all(arena.state().join("sessions").join(&id)).unwrap();
    std::fs::write(arena.path("work/go"), "").unwrap();
    until("no keeper is left", || arena.keepers().is_empty());
}

#[test]
fn what_a_session_uses_is_measured() {
    let arena = Arena::new();
    let busy = arena.sh("busy", "while :; do head -c 4000000 /dev/zero > /dev/null; done");
    let measured = || {
        let s = arena.show(&busy);
        let above = |key: &str, least: f64| s[key].as_f64().is_some_and(|n| n >= least);
        above("cpu_percent", 1.0)
            && above("io_bytes_per_second", 1e5)
            && above("memory_bytes", 1e5)
            && above("processes", 1.0)
    };
    until("processor time, I/O, memory and processes are counted", measured);
    let shown = arena.show(&busy);
    assert!(shown["evidence"].as_array().unwrap().iter().any(|e| e["kind"] == "io"));
    // Of its processes each has its share: what a shell's children did before they ended is the shell's.
    let of_the_shell = || arena.show(&busy)["tree"][0]["cpu_percent"].as_f64().is_some_and(|cpu| cpu >= 1.0);
    until("the shell's own share", of_the_shell);
}

#[test]
fn who_is_closed_is_told_how_its_conversation_is_taken_up_again() {
    let arena = Arena::new();
    let claude = arena.script("claude", "exec sleep 600");
    let id = arena.session(&["--", &claude]);
    let report = arena.json(&["kill", &id, "--json"]);
    assert_eq!(report["sessions"][0]["resume"], "claude --continue", "{report}");
    let plain = arena.sh("plain", "exec sleep 600");
    assert_eq!(arena.json(&["kill", &plain, "--json"])["sessions"][0]["resume"], json!(null));
}

#[test]
fn keepers_are_forked_from_one_process_and_sessions_start_also_without_it() {
    let arena = Arena::new();
    arena.sh("first", "exec sleep 600");
    let daemon = arena.daemon();
    let crib = || {
        let table = beadle::sys::table::read().unwrap();
        let is_crib = |pid: &i32| process::arguments(*pid).get(1).is_some_and(|verb| verb == "crib");
        table.children(daemon.pid).iter().copied().find(is_crib).and_then(process::identity)
    };
    // A child of our own daemon, as was just seen; it holds nothing else that says whose it is.
    let send = |crib: beadle::model::session::ProcId, signal| {
        assert!(process::is_alive(crib));
        rustix::process::kill_process(rustix::process::Pid::from_raw(crib.pid).unwrap(), signal).unwrap();
    };
    let first = crib().unwrap();
    let parents: Vec<i32> = arena.keepers().iter().map(|k| process::stat(k.id.pid).unwrap().ppid).collect();
    assert_eq!(parents, [first.pid]);
    // Gone: nothing is lost, and another one comes.
    send(first, Signal::KILL);
    arena.sh("second", "exec sleep 600");
    arena.sh("third", "exec sleep 600");
    let second = crib().unwrap();
    assert_ne!(second, first);
    // Stopped: it is not waited for for ever, nor left.
    send(second, Signal::STOP);
    arena.sh("fourth", "exec sleep 600");
    until("it is gone", || !process::is_alive(second));
    assert_eq!(arena.json(&["ls", "--json"]).as_array().unwrap().len(), 4);
    arena.run(&["daemon", "restart"]).ok();
    arena.sh("fifth", "exec sleep 600");
    let report = arena.json(&["close-all", "--json"]);
    assert_eq!(report["closed"], 5, "{report}");
    let third = crib().unwrap();
    arena.run(&["daemon", "stop", "--yes"]).ok();
    until("it goes with its daemon", || !process::is_alive(third));
}
