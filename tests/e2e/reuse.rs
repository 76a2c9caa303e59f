//! A pid given to somebody else between plan and signal: the somebody lives.

use beadle::model::session::ProcId;
use beadle::sys::process;

use super::support::{Arena, Running, has, is_root, until, until_some};

/// `clone3(2)` with a chosen pid (`set_tid`, Linux 5.5), by its fields in order; the fifth is `SIGCHLD`.
const STRANGER: &str = r#"my $pid = pack "l", shift;
    my $fields = pack "Q11", 0, 0, 0, 0, 17, 0, 0, 0, unpack("Q", pack "P", $pid), 1, 0;
    my $child = syscall 435, $fields, 88;
    die "clone3: $!\n" if $child < 0;
    exec "sleep", "600" if $child == 0;
    waitpid $child, 0;"#;

/// An arena whose daemon stops at this point of its first signal until it is told to go on.
fn that_stops_at(point: &str) -> Option<Arena> {
    if !is_root() {
        eprintln!("skipped: only root can choose a pid");
        return None;
    }
    if !has("perl") {
        return None;
    }
    let arena = Arena::new();
    let mut command = arena.beadle(&["daemon", "start"]);
    let (go, hits) = (arena.path("go"), arena.path("hits"));
    command.env("BEADLE_FAILPOINTS", format!("{point}=wait:{};hits={}", go.display(), hits.display()));
    Running::of(command).wait().ok();
    Some(arena)
}

/// Somebody else with this very pid, within the fence.
#[track_caller]
fn stranger_with(arena: &Arena, pid: i32) -> ProcId {
    let mut command = arena.program("perl");
    command.args(["-e", STRANGER, &pid.to_string()]);
    let mut parent = command.spawn().unwrap();
    let stranger = until_some("a stranger with the pid", || {
        assert!(parent.try_wait().unwrap().is_none(), "no process with a chosen pid");
        process::identity(pid).filter(|_| process::arguments(pid) == ["sleep", "600"])
    });
    // It ends with its child, at the latest when the arena does.
    std::thread::spawn(move || parent.wait());
    stranger
}

/// The session is killed; after the plan is made and before the signal its member ends, and somebody else has the pid.
fn the_stranger_lives(arena: &Arena, id: &str, member: ProcId) {
    let kill = arena.begin(&["kill", id, "--json"]);
    until("the daemon is about to signal", || arena.path("hits").exists());
    arena.kill(member);
    until("it is reaped", || process::stat(member.pid).is_none());
    let stranger = stranger_with(arena, member.pid);
    std::fs::write(arena.path("go"), "").unwrap();
    let report = kill.wait().json();
    assert_eq!((&report["closed"], &report["failed"]), (&1.into(), &0.into()), "{report}");
    arena.until_state(id, "ended");
    assert!(process::is_alive(stranger), "the stranger with the pid was taken: {report}");
}

#[test]
fn who_has_the_pid_of_a_planned_member_before_it_is_held_is_not_touched() {
    let Some(arena) = that_stops_at("daemon.pin.before") else { return };
    // Left to the keeper, which reaps it at once.
    let id = arena.sh("a", "(setsid sleep 600 & echo $! >member); exec sleep 600");
    let member: i32 = arena.line_of("work/member").parse().unwrap();
    the_stranger_lives(&arena, &id, process::identity(member).unwrap());
}

#[test]
fn who_has_the_pid_of_a_member_that_is_held_is_not_touched() {
    let Some(arena) = that_stops_at("daemon.signal.before") else { return };
    let id = arena.sh("a", "exec sleep 600");
    let leader = super::support::pid_of(&arena.show(&id)["leader_pid"]);
    the_stranger_lives(&arena, &id, leader);
}
