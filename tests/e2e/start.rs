//! What a start gives, and what it says when it cannot be.

use serde_json::json;

use super::support::{Arena, until};

#[track_caller]
fn leaves_nothing(arena: &Arena) {
    assert_eq!(arena.run(&["ls", "--all", "--json"]).json(), json!([]));
    assert_eq!(arena.agents(), []);
    until("no keeper is left", || arena.keepers().is_empty());
    assert_eq!(std::fs::read_dir(arena.state().join("sessions")).unwrap().count(), 0);
}

#[test]
fn what_cannot_be_executed_is_an_error_at_once_that_names_it() {
    let arena = Arena::new();
    std::fs::write(arena.path("work/plain"), "#!/bin/sh\n").unwrap();
    arena.script("work/lost", "#!/no/such/interpreter\n");
    for (args, named) in [
        (&["run", "--", "no-such-command"][..], "no-such-command"),
        (&["run", "--", "./nothing-here", "x"], "./nothing-here"),
        (&["run", "--", "./plain"], "./plain"),
        (&["run", "--", "./lost"], "./lost"),
        (&["run", "--", "/"], "\"/\""),
        (&["run", "--pipe", "--", "no-such-command"], "no-such-command"),
        (&["run", "--cwd", "/no/such/dir", "--", "sleep", "1"], "/no/such/dir"),
        (&["run", "--cwd", "/etc/hostname", "--", "sleep", "1"], "/etc/hostname"),
        (&["run", "--env", "PATH=/nowhere", "--", "sleep", "1"], "sleep"),
    ] {
        let said = arena.run(args);
        said.fails(1, named);
        assert_eq!(said.out, "", "{args:?}");
        leaves_nothing(&arena);
    }
    assert!(arena.log().contains("refused start"));
}

#[test]
fn wrong_use_is_2_a_taken_name_5_and_nobody_of_that_name_4() {
    let arena = Arena::new();
    let id = arena.sh("taken", "exec sleep 600");
    arena.run(&["run", "--name", "taken", "--", "sleep", "1"]).fails(5, "taken");
    arena.run(&["rename", &id, "taken"]).ok();
    for size in ["0x0", "65535x65535", "80", "x", "-1x5"] {
        arena.run(&["run", &format!("--size={size}"), "--", "sleep", "1"]).fails(2, "1x1 to 1000x500");
    }
    for name in ["a b", "a\x1b[2J", "-x", "a:b", "a*", "", "a\nb", "a/b"] {
        let said = arena.run(&["run", &format!("--name={name}"), "--", "sleep", "1"]);
        assert_eq!(said.status, 2, "{name:?} {said:?}");
    }
    arena.run(&["run", "--env", "NOT_SET_ANYWHERE", "--", "sleep", "1"]).fails(2, "NOT_SET_ANYWHERE");
    for verb in ["show", "kill", "attach", "peek", "logs", "pause", "pin", "restart", "rm", "heartbeat"] {
        arena.run(&[verb, "nobody"]).fails(4, "nobody");
    }
    arena.run(&["send", "nobody", "x"]).fails(4, "nobody");
    arena.run(&["rename", "nobody", "x"]).fails(4, "nobody");
    arena.run(&["wait", "nobody"]).fails(125, "nobody");
    assert_eq!(arena.all().len(), 1);
}

#[test]
fn a_bad_config_says_which_line_and_what_instead_and_nothing_starts() {
    for (config, words) in [
        ("[cleanup]\nmax_idel = \"10m\"\n", &["line 2", "max_idle"][..]),
        ("[stop]\ngrace = \"-5s\"\n", &["line 2", "grace"]),
        ("[stop]\ngrace = 5\n", &["line 2", "grace"]),
        ("[cleanup\n", &["line 1"]),
        ("[sys]\ncgroup = \"yes\"\n", &["line 2", "cgroup"]),
    ] {
        let arena = Arena::with(config);
        let said = arena.run(&["run", "--", "sleep", "600"]);
        for word in words {
            said.fails(3, word);
        }
        assert_eq!(arena.processes(), []);
        arena.run(&["config", "check"]).fails(1, words[0]);
    }
}

#[test]
fn a_session_gets_the_callers_environment_directory_umask_and_limits() {
    let arena = Arena::new();
    std::fs::create_dir(arena.path("work/sub")).unwrap();
    let tell = "{ echo $MARK $ADDED $BEADLE_SESSION_NAME; pwd; umask; ulimit -n; ulimit -c; } >../told.new; mv ../told.new ../told; exec sleep 600";
    let run = format!(
        "umask 027; ulimit -n 123; ulimit -c 0; MARK=here exec {} run --name n --cwd sub --env ADDED=too -- sh -c '{tell}'",
        arena.binary()
    );
    let mut command = arena.program("sh");
    assert!(command.args(["-c", &run]).status().unwrap().success());
    arena.line_of("work/told");
    let told = std::fs::read_to_string(arena.path("work/told")).unwrap();
    let sub = arena.path("work/sub");
    assert_eq!(told.lines().collect::<Vec<_>>(), ["here too n", sub.to_str().unwrap(), "0027", "123", "0"]);
}

#[test]
fn the_environment_of_a_session_is_nowhere_on_disk_and_nowhere_in_the_api() {
    let arena = Arena::new();
    let secret = "s3cr3t-0f-th3-agent";
    let id = arena.session(&["--env", &format!("TOKEN={secret}"), "--", "sh", "-c", "echo up; exec sleep 600"]);
    until("it has spoken", || arena.recorded(&id).0 == b"up\r\n");
    let found =
        arena.program("grep").args(["-rlF", secret]).arg(arena.state()).arg(arena.path("run")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
    for args in [&["show", &id, "--json"][..], &["ls", "--json"], &["health", "--json"], &["daemon", "logs"]] {
        assert!(!arena.run(args).ok().contains(secret), "{args:?}");
    }
    let environ = |pid: i32| std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    for p in arena.daemons().into_iter().chain(arena.keepers()) {
        assert!(!String::from_utf8_lossy(&environ(p.id.pid)).contains(secret));
    }
}

#[test]
fn signals_that_were_ignored_around_beadle_are_not_ignored_in_a_session() {
    let arena = Arena::new();
    let run = format!(
        "trap '' HUP INT QUIT TERM USR1 PIPE CHLD; exec {} run --name n -- sh -c 'grep -E \"Sig(Ign|Blk)\" /proc/self/status >told.new; mv told.new told; exec sleep 600'",
        arena.binary()
    );
    assert!(arena.program("nohup").args(["sh", "-c", &run]).status().unwrap().success());
    arena.line_of("work/told");
    let told = std::fs::read_to_string(arena.path("work/told")).unwrap();
    for line in told.lines() {
        assert!(line.ends_with("0000000000000000"), "{told}");
    }
    let report = arena.json(&["close-all", "--json"]);
    assert_eq!(report["sessions"][0]["outcome"], "clean", "it hears TERM: {report}");
}

#[test]
fn a_script_without_a_shebang_runs() {
    let arena = Arena::new();
    arena.script("work/plain", "echo $0 $1 >told.new; mv told.new told; exit 3\n");
    let id = arena.session(&["--", "./plain", "word"]);
    assert!(arena.line_of("work/told").ends_with("plain word"));
    assert_eq!(arena.run(&["wait", &id]).status, 3);
}

#[test]
fn with_pipe_there_is_no_terminal_and_what_is_sent_is_read() {
    let arena = Arena::new();
    let id = arena.session(&[
        "--pipe",
        "--",
        "sh",
        "-c",
        "test -t 0 || echo no tty; read a; echo got $a >&2; cat; echo end",
    ]);
    until("it asks", || arena.recorded(&id).0 == b"no tty\n");
    arena.run(&["send", &id, "word\n"]).ok();
    until("it answers", || arena.recorded(&id).0 == b"no tty\ngot word\n");
    // On a pipe the Enter key is a newline.
    arena.run(&["send", &id, "one", "--enter"]).ok();
    arena.run(&["send", &id, "--key", "Enter"]).ok();
    until("it has read both", || arena.recorded(&id).0 == b"no tty\ngot word\none\n\n");
    // The soft stop of a pipe: its end.
    let report = arena.json(&["kill", &id, "--json"]);
    assert_eq!(report["sessions"][0]["outcome"], "clean", "{report}");
}

#[test]
fn a_session_has_the_terminal_it_was_promised() {
    let arena = Arena::new();
    let id = arena.session(&[
        "--size",
        "101x37",
        "--",
        "sh",
        "-c",
        "tty; stty size; ps -o sid= -p $$ | tr -d ' '; echo $$; echo $TERM; exec sleep 600",
    ]);
    until("it has told", || arena.run(&["logs", &id]).ok().lines().count() == 5);
    let told = arena.run(&["logs", &id]).ok();
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines[0].starts_with("/dev/pts/"), "{told}");
    assert_eq!((lines[1], lines[2], lines[4]), ("37 101", lines[3], "xterm-256color"), "{told}");
    assert_eq!(arena.show(&id)["leader_pid"].to_string(), lines[3]);
}

#[test]
fn exit_statuses_and_signals_are_told_as_they_were() {
    let arena = Arena::new();
    for (script, status, code, signal) in [
        ("exit 0", 0, json!(0), json!(null)),
        ("exit 3", 3, json!(3), json!(null)),
        ("exit 255", 255, json!(255), json!(null)),
        ("kill -9 $$", 137, json!(null), json!(9)),
        ("kill -TERM $$", 143, json!(null), json!(15)),
    ] {
        let id = arena.session(&["--", "sh", "-c", script]);
        assert_eq!(arena.run(&["wait", &id]).status, status, "{script}");
        let exit = arena.until_state(&id, "ended")["exit"].clone();
        assert_eq!((&exit["code"], &exit["signal"], &exit["by"]), (&code, &signal, &json!("itself")), "{script}");
    }
    let id = arena.sh("slow", "exec sleep 600");
    assert_eq!(arena.run(&["wait", &id, "--timeout", "50ms"]).status, 124);
    // 2 would be the status of an agent.
    arena.run(&["wait", &id, "--timeout", "abc"]).fails(125, "abc");
    arena.run(&["wait"]).fails(125, "ID");
}

#[test]
fn a_session_that_lingers_is_waited_for_to_its_end() {
    let arena = Arena::new();
    let id = arena.sh("lw", "trap '' HUP; (until [ -e go ]; do sleep 0.02; done) & exit 3");
    arena.until_state(&id, "lingering");
    assert_eq!(arena.run(&["wait", "lw", "--timeout", "100ms"]).status, 124);
    let waiting = arena.begin(&["wait", "lw"]);
    std::fs::write(arena.path("work/go"), "").unwrap();
    assert_eq!(waiting.wait().status, 3);
    assert_eq!(arena.show(&id)["state"], "ended");
}

#[test]
fn a_command_that_ends_at_once_has_ended() {
    let arena = Arena::new();
    let ids: Vec<String> = (0..25).map(|_| arena.session(&["--", "true"])).collect();
    for id in &ids {
        assert_eq!(arena.run(&["wait", id, "--timeout", "20s"]).status, 0, "{id}");
        assert_eq!(arena.log().matches(&format!("ended session={id} ")).count(), 1);
    }
    until("no keeper is left", || arena.keepers().is_empty());
}

#[test]
fn a_session_is_found_by_id_prefix_name_and_glob() {
    let arena = Arena::new();
    let a = arena.sh("front-a", "exec sleep 600");
    arena.sh("front-b", "exec sleep 600");
    arena.sh("back", "exec sleep 600");
    assert_eq!(arena.show("front-a")["id"], a.as_str());
    assert_eq!(arena.show(&a[..5])["id"], a.as_str());
    assert_eq!(arena.json(&["kill", "front-*", "--json"])["closed"], 2);
    assert_eq!(arena.json(&["ls", "--json"]).as_array().unwrap().len(), 1);
    // A name is free again once its session has ended, and then means the live one.
    let again = arena.sh("front-a", "exec sleep 600");
    assert_eq!(arena.show("front-a")["id"], again.as_str());
    assert_ne!(again, a);
}

#[test]
fn two_sessions_started_at_once_do_not_get_one_name() {
    let arena = Arena::new();
    let starts: Vec<_> = (0..8).map(|_| arena.begin(&["run", "--name", "one", "--", "sleep", "600"])).collect();
    let statuses: Vec<i32> = starts.into_iter().map(|s| s.wait().status).collect();
    assert_eq!(statuses.iter().filter(|s| **s == 0).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|s| **s == 5).count(), 7, "{statuses:?}");
    assert_eq!(arena.agents().len(), 1);
}

#[test]
fn forgotten_sessions_leave_no_trace_and_live_ones_are_not_forgotten() {
    let arena = Arena::new();
    let id = arena.sh("a", "exec sleep 600");
    assert_eq!(arena.run(&["rm", &id]).status, 1);
    arena.run(&["kill", &id]).ok();
    arena.run(&["rm", &id]).ok();
    leaves_nothing(&arena);
}

#[test]
fn an_agent_is_started_by_its_name_and_one_that_nobody_knows_is_refused() {
    let arena = Arena::new();
    let program = arena.script("mine.sh", "#!/bin/sh\nexec sleep 600\n");
    let profile = format!("[[agent]]\nname = \"mine\"\nstart = \"{program}\"\nmatch = {{ program = [\"mine.sh\"] }}\n");
    arena.configure(&profile);
    let id = arena.session(&["--agent", "mine"]);
    let row = arena.show(&id);
    assert_eq!((&row["agent"], &row["command"]), (&json!("mine"), &json!([program])), "{row}");
    arena.run(&["run", "--agent", "mien"]).fails(1, "\"mien\" is no agent that can be started by its name");
    arena.run(&["run", "--agent", "mien"]).fails(1, "mine");
    // Whoever names nothing has said nothing.
    arena.run(&["run"]).fails(2, "CMD");
    assert_eq!(arena.all().len(), 1);
}
