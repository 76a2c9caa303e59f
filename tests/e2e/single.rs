//! One daemon for one state directory, found again wherever its socket went.

use serde_json::json;

use super::line::Terminal;
use super::support::{Arena, until};

#[test]
fn many_clients_at_once_start_one_daemon() {
    let arena = Arena::new();
    for round in 0..3 {
        let clients: Vec<_> = (0..12).map(|_| arena.begin(&["ls", "--json"])).collect();
        for client in clients {
            assert_eq!(client.wait().json(), json!([]));
        }
        until("one daemon", || arena.daemons().len() == 1);
        assert_eq!(arena.log().matches("daemon started ").count(), round + 1);
        arena.kill_daemon();
    }
}

#[test]
fn a_second_daemon_in_the_foreground_is_refused() {
    let arena = Arena::new();
    let pid = arena.run(&["daemon", "start"]);
    assert!(pid.ok().contains("runs"));
    arena.run(&["daemon"]).fails(1, "already running");
    assert_eq!(arena.daemons().len(), 1);
}

#[test]
fn without_its_runtime_directory_the_same_daemon_is_found_with_all_its_sessions() {
    let arena = Arena::new();
    let id = arena.sh("a", "echo hello; exec cat");
    until("it has spoken", || arena.run(&["peek", &id]).ok().contains("hello"));
    let daemon = arena.daemon();
    std::fs::remove_dir_all(arena.path("run")).unwrap();
    assert_eq!(arena.show(&id)["state"], "running");
    assert_eq!(arena.daemon(), daemon);
    assert!(arena.run(&["peek", &id]).ok().contains("hello"));
    let mut terminal = Terminal::attach(&arena, &id);
    terminal.until_shown("hello");
    terminal.type_in("ping\r");
    terminal.until_shown("ping");
    terminal.type_in("\x1d");
    assert_eq!(terminal.wait(), 0);
    arena.run(&["close-all"]).ok();
    assert_eq!(arena.agents(), []);
}

#[test]
fn without_its_runtime_directory_and_without_its_daemon_every_session_is_found() {
    let arena = Arena::new();
    let id = arena.sh("a", "echo hello; exec cat");
    arena.kill_daemon();
    std::fs::remove_dir_all(arena.path("run")).unwrap();
    let row = arena.show(&id);
    assert_eq!((&row["state"], &row["health"]), (&json!("running"), &json!("healthy")), "{row}");
    arena.run(&["send", &id, "ping", "--enter"]).ok();
    until("it answers", || arena.run(&["peek", &id]).ok().contains("ping"));
}

#[test]
fn many_clients_at_once_find_a_daemon_whose_socket_was_lost() {
    let arena = Arena::new();
    arena.sh("a", "exec sleep 600");
    let daemon = arena.daemon();
    std::fs::remove_file(arena.socket()).unwrap();
    let clients: Vec<_> = (0..8).map(|_| arena.begin(&["ls", "--json"])).collect();
    for client in clients {
        assert_eq!(client.wait().json()[0]["name"], "a");
    }
    assert_eq!(arena.daemon(), daemon);
}

#[test]
fn a_stale_socket_and_a_stale_address_are_no_obstacle() {
    let arena = Arena::new();
    arena.run(&["daemon", "start"]).ok();
    arena.kill_daemon();
    assert!(arena.socket().exists(), "it is stale");
    arena.run(&["daemon", "status"]).fails(3, "no daemon");
    arena.run(&["ls"]).ok();
    arena.kill_daemon();
    std::fs::remove_file(arena.socket()).unwrap();
    std::fs::write(arena.socket(), "a file, not a socket").unwrap();
    std::fs::write(arena.state().join("address"), "relative\n").unwrap();
    arena.run(&["ls"]).ok();
}

#[test]
fn a_pid_in_the_lock_that_belongs_to_somebody_else_is_not_believed() {
    let arena = Arena::new();
    arena.run(&["daemon", "start"]).ok();
    arena.kill_daemon();
    let mut bystander = arena.program("sleep").arg("600").spawn().unwrap();
    std::fs::write(arena.state().join("lock"), format!("{} 1\n", bystander.id())).unwrap();
    arena.run(&["ls"]).ok();
    assert!(bystander.try_wait().unwrap().is_none(), "it lives");
    arena.run(&["daemon", "stop"]).ok();
    assert!(bystander.try_wait().unwrap().is_none(), "it still lives");
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}

#[test]
fn a_very_long_state_directory_works() {
    let arena = Arena::new();
    let long = arena.path(&format!("work/{}/{}", "d".repeat(120), "e".repeat(120)));
    let run = |args: &[&str]| {
        let mut command = arena.beadle(args);
        command.env("BEADLE_STATE_DIR", &long).env_remove("BEADLE_RUNTIME_DIR");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    run(&["run", "--name", "a", "--", "sh", "-c", "echo hello; exec sleep 600"]);
    until("it has spoken", || run(&["peek", "a"]).contains("hello"));
    let killed = |p: super::support::Seen| arena.kill(p.id);
    arena.daemons().into_iter().for_each(killed);
    assert!(run(&["ls"]).contains('a'));
    assert!(run(&["close-all"]).contains('✔'));
    assert_eq!(arena.agents(), []);
}
