//! A full disk stops no agent, and its end is known afterwards.

use super::support::{Arena, is_root, until};

#[test]
fn a_full_disk_does_not_hold_up_an_agent_and_its_exit_is_known_afterwards() {
    if !is_root() {
        return eprintln!("skipped: only root can mount a small disk");
    }
    let arena = Arena::new();
    arena.mount_small("state", "size=1m,mode=0700");
    let script = "until [ -e go ]; do sleep 0.01; done; head -c 3000000 /dev/zero | tr '\\0' x; echo written >done; \
        until [ -e end-a ]; do sleep 0.01; done; echo LAST; exit 9";
    let id = arena.sh("a", script);
    let other = arena.sh("b", "until [ -e end-b ]; do sleep 0.01; done; exit 8");
    std::fs::write(arena.path("work/go"), "").unwrap();
    assert_eq!(arena.line_of("work/done"), "written");
    // Not a byte is left for an exit record either.
    std::fs::write(arena.state().join("ballast"), vec![0; 2 << 20]).unwrap_err();
    std::fs::write(arena.path("work/end-b"), "").unwrap();
    until("the end is known", || arena.show(&other)["exit"]["code"] == 8);
    // A start that cannot be written down is refused, and leaves nothing.
    let refused = arena.run(&["run", "--", "sleep", "600"]);
    assert_ne!(refused.status, 0, "{refused:?}");
    assert!(!arena.agents().iter().any(|p| p.arguments.join(" ") == "sleep 600"));
    arena.make_room("state", "size=16m");
    std::fs::write(arena.path("work/end-a"), "").unwrap();
    until("the keepers have gone", || arena.keepers().is_empty());
    arena.kill_daemon();
    assert_eq!(arena.show(&id)["exit"]["code"], 9);
    assert_eq!(arena.show(&other)["exit"]["code"], 8);
    assert_eq!(arena.agents(), []);
    let (bytes, missing) = arena.recorded(&id);
    assert!(bytes.ends_with(b"LAST\r\n"), "recording goes on once there is room");
    assert!(missing > 0, "{}", bytes.len());
    assert_eq!(bytes.len() as u64 + missing, 3_000_006);
}

#[test]
fn a_full_disk_stops_neither_judging_nor_the_cleaner_nor_a_kill() {
    if !is_root() {
        return eprintln!("skipped: only root can mount a small disk");
    }
    let arena = Arena::with(
        "[stop]\ngrace = \"300ms\"\n[health]\nstuck_after = \"1s\"\norphaned_after = \"1h\"\n\
         [cleanup]\ninterval = \"50ms\"\nmax_idle = \"4s\"\nnotice = \"0s\"\nquiet_start = \"0s\"\n",
    );
    arena.mount_small("state", "size=1m,mode=0700");
    let script = "(trap '' HUP TERM; exec setsid sleep 600) & exec sleep 600";
    let (idle, held) = (arena.sh("idle", script), arena.sh("held", script));
    arena.run(&["pin", &held]).ok();
    std::fs::write(arena.state().join("ballast"), vec![0; 2 << 20]).unwrap_err();
    until("it is judged", || arena.show(&held)["health"] == "stuck");
    assert_eq!(arena.until_state(&idle, "ended")["exit"]["by"], "policy");
    let report = arena.json(&["kill", &held, "--json"]);
    assert_eq!((&report["closed"], &report["sessions"][0]["outcome"]), (&1.into(), &"forced".into()), "{report}");
    assert_eq!(arena.agents(), []);
    assert!(arena.stats()["statistics"]["cleanup_runs"].as_u64().unwrap() > 1);
}
