//! What cannot be killed is named, is waited for no longer, and its end is noticed.

use std::os::unix::fs::PermissionsExt;

use beadle::sys::process;
use serde_json::{Value, json};

use super::support::{Arena, Seen, has, is_root, until, until_some};

const NOBODY: u32 = 65534;

/// An arena of a plain user, and a program that makes that user root for good, as sudo does.
fn with_a_way_to_root() -> Option<(Arena, String)> {
    if !is_root() {
        eprintln!("skipped: only root can make a setuid program of root");
        return None;
    }
    if !has("setpriv") {
        return None;
    }
    let arena = Arena::of_user(NOBODY);
    let program = arena.path("bin/sudo");
    let original = ["/usr/local/bin/setpriv", "/usr/bin/setpriv", "/bin/setpriv"].into_iter().find_map(|p| {
        let bytes = std::fs::read(p).ok()?;
        std::fs::write(&program, bytes).ok()
    });
    original.unwrap();
    // For this user's group alone.
    std::os::unix::fs::chown(&program, Some(0), Some(NOBODY)).unwrap();
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o4750)).unwrap();
    let sudo = format!("{} --reuid=0 --regid=0 --clear-groups", program.display());
    let who = arena.program("sh").args(["-c", &format!("{sudo} id -u")]).output().unwrap();
    if who.stdout != b"0\n" {
        eprintln!("skipped: setuid has no effect here (nosuid, or no new privileges): {who:?}");
        return None;
    }
    Some((arena, sudo))
}

/// The child of root, once it is what it is to be.
#[track_caller]
fn child_of_root(arena: &Arena) -> Seen {
    let is_it = |p: &Seen| p.arguments == ["sleep", "601"] && process::owner_uid(p.id.pid) == Some(0);
    until_some("the child of root", || arena.agents().into_iter().find(is_it))
}

#[track_caller]
fn is_the_survivor(report: &Value, child: &Seen) {
    let session = &report["sessions"][0];
    assert_eq!((&report["closed"], &report["failed"]), (&json!(0), &json!(1)), "{report}");
    assert_eq!(session["outcome"], "survivors", "{report}");
    let survivors = json!([{ "pid": child.id.pid, "command": "sleep 601", "state": "S", "owner": "root",
        "why": "it belongs to another user" }]);
    assert_eq!(session["survivors"], survivors, "{report}");
}

#[test]
fn a_child_of_root_is_a_survivor_with_its_owner_and_when_it_goes_the_record_says_so() {
    for keeper in [true, false] {
        let Some((arena, sudo)) = with_a_way_to_root() else { return };
        let script = format!("(setsid {sudo} sleep 601 &) ; sleep 600 & exec sleep 600");
        // No terminal that goes away with the keeper.
        let id = arena.session(&["--pipe", "--name", "a", "--", "sh", "-c", &script]);
        let child = child_of_root(&arena);
        until("all are there", || arena.agents().len() == 3);
        if !keeper {
            super::cages::kill_keepers(&arena, std::slice::from_ref(&id));
        }
        let said = arena.run(&["kill", &id, "--json"]);
        assert_eq!(said.status, 6, "{said:?}");
        is_the_survivor(&serde_json::from_str(&said.out).unwrap(), &child);
        assert_eq!(arena.agents().iter().map(|p| p.id).collect::<Vec<_>>(), [child.id], "the rest is gone");
        // Nothing goes on trying: it is there, is shown, and can be asked for again.
        let row = arena.until_state(&id, "lingering");
        assert_eq!(row["processes"], 1, "{row}");
        let again = arena.run(&["close-all"]);
        assert_eq!(again.status, 6, "{again:?}");
        let told = format!("{} ", child.id.pid);
        assert!(again.out.contains(&told) && again.out.contains("belongs to another user"), "{again:?}");
        assert_eq!(arena.log().matches(&format!("killed session={id} ")).count(), 2, "{}", arena.log());
        arena.kill(child.id);
        let ended = arena.until_state(&id, "ended");
        let by = if keeper { "user" } else { "unknown" };
        assert_eq!((&ended["exit"]["by"], &ended["processes"]), (&json!(by), &json!(0)), "{ended}");
        assert_eq!(arena.log().matches(&format!(" ended session={id} ")).count(), 1, "{}", arena.log());
    }
}

#[test]
fn survivors_of_a_project_are_reported_and_the_next_one_starts() {
    let Some((arena, sudo)) = with_a_way_to_root() else { return };
    let script = format!("(setsid {sudo} sleep 601 &) ; exec sleep 600");
    arena.run(&["project", "add", "one", "--", "sh", "-c", &script]).ok();
    arena.run(&["project", "add", "two", "--", "sh", "-c", "echo up >two; sleep 600"]).ok();
    child_of_root(&arena);
    let said = arena.run(&["project", "complete", "one", "--json"]);
    assert_eq!(said.status, 6, "{said:?}");
    let ended: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&ended["failedCleanupCount"], &ended["totalAttempted"]), (&json!(1), &json!(1)), "{ended}");
    arena.line_of("work/two");
    let shown = arena.json(&["project", "show", "one", "--json"]);
    let left = arena.show(shown["session"].as_str().unwrap());
    assert_eq!((&left["state"], &left["health"]), (&json!("lingering"), &json!("orphaned")), "{left}");
}
