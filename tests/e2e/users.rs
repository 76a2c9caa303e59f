//! A plain user without a runtime directory, directories of somebody else, and who may connect.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use serde_json::json;

use super::support::{Arena, has, is_root, until};

const NOBODY: u32 = 65534;

/// An arena of a user who is not root; the tests of it need root to become that user.
fn plain() -> Option<Arena> {
    if !is_root() {
        eprintln!("skipped: only root can become another user");
        return None;
    }
    has("setpriv").then(|| Arena::of_user(NOBODY))
}

/// A verb of a user without a runtime directory.
#[track_caller]
fn run(arena: &Arena, args: &[&str]) -> super::support::Said {
    let mut command = arena.beadle(args);
    command.env_remove("BEADLE_RUNTIME_DIR").env_remove("XDG_RUNTIME_DIR");
    super::support::Running::of(command).wait()
}

#[test]
fn a_plain_user_without_a_runtime_directory_has_everything() {
    let Some(arena) = plain() else { return };
    let id = run(
        &arena,
        &["run", "--name", "a", "--", "sh", "-c", "(setsid sleep 600 &) ; id -u; read x; echo got $x; exec sleep 600"],
    )
    .ok();
    let id = id.trim();
    run(&arena, &["send", id, "word", "--enter"]).ok();
    until("it answers", || run(&arena, &["peek", id]).ok().contains("got word"));
    assert!(run(&arena, &["logs", id]).ok().contains("65534\n"));
    assert!(arena.state().join("run/beadle.sock").exists());
    let daemon = arena.daemons().pop().unwrap();
    arena.kill(daemon.id);
    assert_eq!(run(&arena, &["ls", "--json"]).json()[0]["state"], "running");
    let report = run(&arena, &["close-all", "--json"]).json();
    assert_eq!((&report["closed"], &report["failed"]), (&json!(1), &json!(0)), "{report}");
    assert_eq!(arena.agents(), []);
    run(&arena, &["daemon", "stop"]).ok();
    until("nothing is left", || arena.processes().is_empty());
}

#[test]
fn a_plain_user_is_not_led_astray_by_the_runtime_directory_of_another() {
    let Some(arena) = plain() else { return };
    let foreign = arena.path("foreign");
    std::fs::create_dir(&foreign).unwrap();
    std::fs::set_permissions(&foreign, PermissionsExt::from_mode(0o777)).unwrap();
    let mut command = arena.beadle(&["ls"]);
    command.env_remove("BEADLE_RUNTIME_DIR").env("XDG_RUNTIME_DIR", &foreign);
    super::support::Running::of(command).wait().ok();
    assert_eq!(std::fs::read_dir(&foreign).unwrap().count(), 0);
    assert!(arena.state().join("run/beadle.sock").exists());
}

#[test]
fn another_user_cannot_connect_and_root_can() {
    let Some(arena) = plain() else { return };
    let id = run(&arena, &["run", "--", "sleep", "600"]).ok();
    let id = id.trim();
    // Even where the directories and the socket are wide open, who connects is asked of the kernel.
    let open =
        |path: std::path::PathBuf, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    let keeper = arena.state().join(format!("run/keepers/{id}.sock"));
    for dir in ["", "run", "run/keepers"] {
        open(arena.state().join(dir), 0o777);
    }
    open(arena.state().join("run/beadle.sock"), 0o777);
    open(keeper.clone(), 0o777);
    let ask = |uid: u32, socket: &std::path::Path| {
        let mut command = std::process::Command::new("setpriv");
        command.args([format!("--reuid={uid}"), format!("--regid={uid}"), "--clear-groups".into()]);
        command.arg(arena.binary()).args(["ls", "--json", "--host", &format!("unix://{}", socket.display())]);
        super::support::Running::of(command).wait()
    };
    let socket = arena.state().join("run/beadle.sock");
    assert_eq!(ask(0, &socket).json()[0]["id"], id);
    let refused = ask(1234, &socket);
    assert_ne!(refused.status, 0, "{refused:?}");
    assert!(!refused.out.contains(id));
    assert!(arena.log().contains("refused connection uid=1234"));
    // The keeper says nothing at all to a stranger.
    let mut cat = std::process::Command::new("setpriv");
    cat.args(["--reuid=1234", "--regid=1234", "--clear-groups", "perl", "-MIO::Socket::UNIX", "-e"]);
    cat.arg("my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die; print length(join '', <$s>)").arg(&keeper);
    let said = super::support::Running::of(cat).wait();
    assert!(said.out == "0" || said.status != 0, "{said:?}");
    assert!(UnixStream::connect(&keeper).is_ok(), "root is let in");
}

#[test]
fn a_state_directory_of_another_user_or_read_only_is_a_clear_error() {
    if !is_root() {
        return eprintln!("skipped: only root can make a directory of another user");
    }
    let arena = Arena::new();
    std::fs::create_dir(arena.state()).unwrap();
    std::os::unix::fs::chown(arena.state(), Some(NOBODY), Some(NOBODY)).unwrap();
    for args in [&["ls"][..], &["run", "--", "sleep", "600"], &["close-all"]] {
        arena.run(args).fails(3, "belongs to another user");
    }
    assert_eq!(arena.processes(), []);
    let Some(arena) = plain() else { return };
    std::fs::create_dir(arena.state()).unwrap();
    for (owner, mode) in [(NOBODY, 0o500), (0, 0o755)] {
        std::os::unix::fs::chown(arena.state(), Some(owner), Some(owner)).unwrap();
        std::fs::set_permissions(arena.state(), PermissionsExt::from_mode(mode)).unwrap();
        let said = run(&arena, &["run", "--", "sleep", "600"]);
        said.fails(3, arena.state().to_str().unwrap());
        assert_eq!(arena.processes(), []);
    }
}

#[test]
fn another_users_process_outside_the_tree_is_nobodys_whatever_it_carries() {
    let Some(arena) = plain() else { return };
    let id = run(&arena, &["run", "--name", "a", "--", "sh", "-c", "echo $$ >pid; exec sleep 600"]).ok();
    let id = id.trim();
    let leader: i32 = arena.line_of("work/pid").parse().unwrap();
    // A process of root that carries the session's tag and is not below it.
    let instance = std::fs::read_to_string(arena.state().join("instance")).unwrap();
    let mut command = std::process::Command::new("sleep");
    command.arg("60").env("BEADLE_SESSION", format!("{id}@{}", instance.trim()));
    let mut foreign = super::support::Running::of(command);
    let report = run(&arena, &["kill", id, "--json"]).json();
    // Its environment cannot be read by that user: it is nobody's, and not touched.
    assert_eq!(report["failed"], 0, "{report}");
    assert!(!foreign.is_over());
    foreign.end();
    assert!(!arena.agents().iter().any(|p| p.id.pid == leader));
}
