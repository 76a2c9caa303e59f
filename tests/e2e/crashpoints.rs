//! A crash before and after every persisted step: whatever was cut off, the next command heals it.
//!
//! The daemon and its keepers carry one failpoint each time; commands do not, so that the daemon after the crash is whole.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use beadle::sys::failpoint::POINTS;
use serde_json::{Value, json};

use super::support::{Arena, Said, until, until_some};

/// How many arenas at once.
const SIDE_BY_SIDE: usize = 6;

const NOTED: &str = "echo $BEADLE_SESSION_ID >>started; ";
/// Its terminal going away would end it; pipes do not.
const DEAF: &str = "trap '' TERM HUP; setsid sleep 600 & echo up >up; while :; do sleep 0.1; done";
const QUICK: &str = "until [ -e go ]; do sleep 0.02; done; exit 7";

struct Crash<'a> {
    arena: Arena,
    point: &'a str,
}

impl Crash<'_> {
    fn is_hit(&self) -> bool {
        self.arena.path("hits").exists()
    }

    /// A daemon that carries the failpoint, and may die of it at once.
    fn arm(&self) {
        let mut command = self.arena.beadle(&["daemon", "start"]);
        let hits = self.arena.path("hits");
        command.env("BEADLE_FAILPOINTS", format!("{}=kill;hits={}", self.point, hits.display()));
        super::support::Running::of(command).wait();
    }

    /// A verb that only looks: said again when the daemon died below it.
    fn look(&self, args: &[&str]) -> Value {
        until_some(&format!("{}: an answer to {args:?}", self.point), || {
            let said = self.arena.run(args);
            (said.status == 0).then(|| said.json())
        })
    }

    fn all(&self) -> Vec<Value> {
        self.look(&["ls", "--all", "--json"]).as_array().unwrap().clone()
    }

    /// Said once more if the crash was in it.
    fn tell(&self, args: &[&str]) -> Said {
        let said = self.arena.run(args);
        if said.status == 0 {
            return said;
        }
        assert!(self.is_hit(), "{}: {said:?}", self.point);
        self.arena.run(args)
    }

    fn live(&self, name: &str) -> Vec<String> {
        let is_it = |s: &&Value| s["name"] == name && s["state"] != "ended";
        self.all().iter().filter(is_it).map(|s| s["id"].as_str().unwrap().to_string()).collect()
    }

    /// Starts a session, again only if the crash left none; its id.
    fn born(&self, name: &str, script: &str, pipe: bool) -> String {
        let script = format!("{NOTED}{script}");
        let mut args = vec!["run", "--name", name];
        args.extend(pipe.then_some("--pipe"));
        args.extend(["--", "sh", "-c", &script]);
        let said = self.arena.run(&args);
        if said.status == 0 {
            return said.out.trim().to_string();
        }
        assert!(self.is_hit(), "{}: {said:?}", self.point);
        if self.point.starts_with("keeper.") {
            // Every keeper of this daemon would die.
            let lives = self.live(name);
            self.arena.daemons().iter().for_each(|d| self.arena.kill(d.id));
            let after = self.live(name);
            assert!(lives.iter().all(|id| after.contains(id)), "{}: {lives:?} {after:?}", self.point);
        }
        let mut live = self.live(name);
        assert!(live.len() <= 1, "{}: {live:?}", self.point);
        live.pop().unwrap_or_else(|| self.arena.run(&args).ok().trim().to_string())
    }

    /// Everybody alive is known to some session.
    fn nobody_is_lost(&self) {
        until(&format!("{}: everybody belongs to a session", self.point), || {
            let live = self.all().into_iter().filter(|s| s["state"] != "ended");
            let shown = live.map(|s| self.look(&["show", s["id"].as_str().unwrap(), "--json"]));
            let owned: BTreeSet<i64> =
                shown.flat_map(|s| s["tree"].as_array().unwrap().clone()).filter_map(|p| p["pid"].as_i64()).collect();
            self.arena.agents().iter().all(|p| owned.contains(&i64::from(p.id.pid)))
        });
    }

    /// Only some points are passed by what every session does.
    fn particulars(&self, quick: &str) {
        if self.point.starts_with("daemon.again") {
            self.tell(&["daemon", "restart"]).ok();
        }
        if self.point.starts_with("daemon.forget") {
            self.arena.run(&["rm", quick]);
            until("it is forgotten", || {
                self.all().iter().all(|s| s["id"] != quick) || self.tell(&["rm", quick]).status == 0
            });
        }
        let of_queue = ["daemon.claim", "daemon.finished", "daemon.settled", "daemon.search"];
        if of_queue.iter().any(|point| self.point.starts_with(point)) {
            let fails = self.point.starts_with("daemon.search");
            let script = format!("{NOTED}exit {}", u8::from(fails));
            let add = ["project", "add", "queued", "--", "sh", "-c", &script];
            let said = self.arena.run(&add);
            if said.status != 0 {
                assert!(self.is_hit(), "{}: {said:?}", self.point);
                // Whether it was taken before the crash nobody can tell: if it was, its name is.
                self.arena.run(&add);
            }
            until(&format!("{}: it has run", self.point), || {
                let project = self.look(&["project", "show", "queued", "--json"]);
                project["status"] == if fails { "failed" } else { "completed" } && project["attempt"] == 1
            });
            until(&format!("{}: it is hit", self.point), || self.is_hit());
        }
        if self.point.starts_with("daemon.exit") || self.point.starts_with("daemon.meta") {
            let lost = self.born("lost", "exec sleep 600", true);
            let keeper = self.arena.keepers().into_iter().find(|k| k.arguments.get(2) == Some(&lost)).unwrap();
            self.arena.kill(keeper.id);
            self.tell(&["kill", "--now", &lost]).ok();
        }
    }

    fn all_ended_once(&self) {
        let log = self.arena.log();
        let history = self.look(&["history", "--json"]).as_array().unwrap().clone();
        for session in self.all() {
            let id = session["id"].as_str().unwrap();
            assert_eq!(session["state"], "ended", "{}: {session}", self.point);
            let rows: Vec<&Value> = history.iter().filter(|row| row["id"] == id).collect();
            assert_eq!(rows.len(), 1, "{}: {session} {history:?}", self.point);
            assert_eq!(rows[0]["exit"], session["exit"], "{}", self.point);
            assert_eq!(
                log.matches(&format!(" ended session={id} run=")).count(),
                1,
                "{}: {session}\n{log}",
                self.point
            );
        }
    }

    fn no_session_started_twice(&self) {
        let started = std::fs::read_to_string(self.arena.path("work/started")).unwrap();
        let listed: BTreeSet<String> = self.all().iter().map(|s| s["id"].as_str().unwrap().to_string()).collect();
        let once: BTreeSet<&str> = started.lines().collect();
        assert_eq!(once.len(), started.lines().count(), "{}: {started}", self.point);
        let forgotten = usize::from(self.point.starts_with("daemon.forget"));
        let unlisted: Vec<_> = once.iter().filter(|id| !listed.contains(**id)).collect();
        assert!(unlisted.len() <= forgotten, "{}: ran and is not listed: {unlisted:?}", self.point);
    }
}

fn crash_at(point: &str) {
    let crash = Crash { arena: Arena::new(), point };
    let arena = &crash.arena;
    if point.starts_with("daemon.adoption") || point.starts_with("daemon.address") {
        arena.sh("old", "exec sleep 600");
        arena.kill_daemon();
    }
    crash.arm();
    let deaf = crash.born("deaf", DEAF, true);
    arena.line_of("work/up");
    let quick = crash.born("quick", QUICK, false);
    crash.nobody_is_lost();
    std::fs::write(arena.path("work/go"), "").unwrap();
    let exit = until_some(&format!("{point}: quick has ended"), || {
        crash.all().into_iter().find(|s| s["id"] == quick.as_str() && s["state"] == "ended").map(|s| s["exit"].clone())
    });
    // A keeper tells its daemon before it writes.
    assert_eq!(exit["code"], json!(7), "{point}: {exit}");
    crash.particulars(&quick);
    crash.tell(&["kill", "--now", &deaf]).ok();
    crash.tell(&["close-all", "--now"]).ok();
    assert_eq!(arena.agents(), [], "{point}");
    until("no keeper is left", || arena.keepers().is_empty());
    crash.all_ended_once();
    assert!(crash.is_hit(), "{point} was not passed");
    arena.daemons().iter().for_each(|d| arena.kill(d.id));
    crash.no_session_started_twice();
    crash.all_ended_once();
    let after = crash.all().into_iter().find(|s| s["id"] == quick.as_str()).map(|s| s["exit"].clone());
    assert!(after.as_ref().is_none_or(|after| *after == exit), "{point}: {after:?} was {exit}");
}

#[test]
fn a_crash_before_or_after_any_persisted_step_is_healed_by_the_next_command() {
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(point) = POINTS.get(next.fetch_add(1, Ordering::Relaxed)) {
            crash_at(point);
        }
    };
    std::thread::scope(|scope| (0..SIDE_BY_SIDE).for_each(|_| drop(scope.spawn(work))));
}

#[test]
fn who_is_told_that_a_start_failed_finds_the_session_listed_if_its_command_ran() {
    let arena = Arena::new();
    let crash = Crash { arena, point: "keeper.release.after" };
    crash.arm();
    let said = crash.arena.run(&["run", "--name", "a", "--pipe", "--", "sleep", "600"]);
    assert!(crash.is_hit() && said.status == 1, "{said:?}");
    let all = crash.arena.all();
    assert_eq!((all.len(), &all[0]["name"], &all[0]["health"]), (1, &json!("a"), &json!("orphaned")), "{all:?}");
    crash.arena.run(&["kill", "a"]).ok();
    assert_eq!(crash.arena.agents(), []);
}

/// The table of points is complete, and every point in it is somewhere.
#[test]
fn every_failpoint_stands_in_the_table_and_in_the_code() {
    fn read(dir: &std::path::Path, all: &mut String) {
        for entry in std::fs::read_dir(dir).unwrap().flatten() {
            if entry.path().is_dir() {
                read(&entry.path(), all);
            } else if entry.file_name() != "failpoint.rs" {
                all.push_str(&std::fs::read_to_string(entry.path()).unwrap());
            }
        }
    }
    let mut code = String::new();
    read(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut code);
    let said: BTreeSet<&str> =
        code.split("failpoint::here(\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(said, POINTS.iter().copied().collect());
}
