//! What happened is remembered: once each, by whom and why, within its bounds, and never at the cost of a kill.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use super::ask::ask;
use super::support::{Arena, is_root, until, until_some};

impl Arena {
    /// Rows of `history`, newest first.
    #[track_caller]
    pub fn history(&self) -> Vec<Value> {
        self.json(&["history", "--json", "--limit", "10000"]).as_array().unwrap().clone()
    }

    #[track_caller]
    pub fn audit(&self) -> Vec<Value> {
        self.json(&["audit", "--json"]).as_array().unwrap().clone()
    }

    /// The one row of a session that ran once.
    #[track_caller]
    pub fn remembered(&self, id: &str) -> Value {
        let mut rows: Vec<Value> = self.history().into_iter().filter(|row| row["id"] == id).collect();
        assert_eq!(rows.len(), 1, "{id}: {rows:?}");
        rows.remove(0)
    }

    fn database(&self) -> std::path::PathBuf {
        self.state().join("beadle.db")
    }

    fn session_dir(&self, id: &str) -> std::path::PathBuf {
        self.state().join("sessions").join(id)
    }
}

#[test]
fn who_closed_what_and_why_is_in_the_audit() {
    let arena = Arena::new();
    let one = arena.session(&["--name", "one", "--project", "p", "--", "sleep", "600"]);
    arena.sh("two", "trap '' TERM HUP; echo deaf >deaf; while :; do sleep 0.1; done");
    arena.line_of("work/deaf");
    arena.run(&["kill", "one", "--reason", "it was time"]).ok();
    arena.run(&["close-all", "--reason", "enough"]).ok();
    let audit = arena.audit();
    let [two, first] = &audit[..] else { panic!("{audit:?}") };
    assert_eq!(
        (&first["verb"], &first["by"], &first["reason"]),
        (&json!("kill"), &json!("user"), &json!("it was time"))
    );
    assert_eq!((&first["session_id"], &first["name"], &first["project"]), (&json!(one), &json!("one"), &json!("p")));
    assert_eq!((&first["outcome"], &first["report"]["processes"]), (&json!("clean"), &json!(1)));
    assert_eq!(first["uid"], rustix::process::geteuid().as_raw());
    assert!(first["pid"].as_i64().unwrap() > 1 && first["command"].as_str().unwrap().contains(" kill one"), "{first}");
    assert!(first["evidence"].as_array().unwrap().iter().any(|e| e["kind"] == "leader"), "{first}");
    assert_eq!(
        (&two["verb"], &two["reason"], &two["outcome"]),
        (&json!("close-all"), &json!("enough"), &json!("forced"))
    );
    let row = arena.remembered(&one);
    assert_eq!(
        (&row["outcome"], &row["exit"]["by"], &row["exit"]["reason"]),
        (&json!("clean"), &json!("user"), &json!("it was time"))
    );
    assert_eq!((&row["command"], &row["project"]), (&json!(["sleep", "600"]), &json!("p")));
    assert!(!std::fs::read_to_string(arena.path("config/beadle/config.toml")).unwrap().is_empty());
    // A table for people, in which each has its line.
    let text = arena.run(&["audit"]).ok();
    assert!(text.lines().count() == 3 && text.contains("it was time"), "{text}");
    assert!(arena.run(&["history", "--outcome", "forced"]).ok().contains("two"));
    assert_eq!(arena.json(&["audit", "--session", &one, "--json"]).as_array().unwrap().len(), 1);
    assert_eq!(arena.json(&["history", "--project", "q", "--json"]), json!([]));
    assert_eq!(arena.json(&["history", "--until", "1h", "--json"]), json!([]));
    let cut = arena.run(&["history", "--limit", "1", "--json"]);
    assert!(cut.err.contains("there are more"), "{cut:?}");
    let stats = arena.json(&["stats", "--since", "1h", "--json"]);
    assert_eq!((&stats["created"], &stats["active"], &stats["ended"]), (&json!(2), &json!(0), &json!({ "user": 2 })));
    assert_eq!((&stats["kills"], &stats["memory"]["lost"]), (&json!({ "clean": 1, "forced": 1 }), &json!(0)));
}

#[test]
fn the_environment_is_nowhere_in_the_memory() {
    let arena = Arena::new();
    let id = arena.session(&["--env", "SECRET=hidden-in-plain-sight", "--", "sh", "-c", "exit 0"]);
    arena.until_state(&id, "ended");
    arena.run(&["daemon", "stop", "--yes"]).ok();
    let bytes = std::fs::read(arena.database()).unwrap();
    let holds = |text: &str| memchr::memmem::find(&bytes, text.as_bytes()).is_some();
    assert!(holds("exit 0") && !holds("hidden-in-plain-sight"));
    assert_eq!(std::fs::metadata(arena.database()).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn over_http_the_same_is_told_and_what_is_wrong_is_said() {
    let arena = Arena::new();
    let id = arena.sh("a", "exit 4");
    arena.until_state(&id, "ended");
    let get = |path: &str| ask(&arena.socket(), "GET", path, "");
    let history = get(&format!("/api/history?session={id}&since=2020-01-01&limit=5"));
    assert_eq!((history.status, &history.json()["sessions"][0]["exit"]["code"]), (200, &json!(4)));
    assert_eq!(get("/api/audit?by=user").json(), json!({ "kills": [], "more": false }));
    assert_eq!(get("/api/stats?until=2020-01-01").json()["created"], 0);
    for path in ["/api/history?since=yesterday", "/api/audit?until=-", "/api/stats?nonsense=1", "/api/history?limit=x"]
    {
        assert_eq!(get(path).status, 400, "{path}");
    }
    arena.run(&["history", "--since", "yesterday"]).fails(2, "is no time");
    assert_eq!(arena.run(&["history", "--by", "nobody"]).status, 2);
    assert_eq!(get("/api/sessions/nobody/export").status, 404);
}

#[test]
fn every_end_has_one_row_however_often_the_daemon_is_killed() {
    let arena = Arena::new();
    let mut ids = Vec::new();
    for n in 0..5 {
        let code = 20 + n;
        // Before, at, and after the kill.
        ids.push((arena.sh(&format!("a{n}"), &format!("exit {code}")), code));
        ids.push((arena.sh(&format!("b{n}"), &format!("until [ -e go{n} ]; do sleep 0.01; done; exit {code}")), code));
        let daemon = arena.daemon();
        std::fs::write(arena.path(&format!("work/go{n}")), "").unwrap();
        arena.kill(daemon);
    }
    for (id, code) in &ids {
        arena.until_state(id, "ended");
        assert_eq!(arena.remembered(id)["exit"]["code"], json!(code), "{id}");
    }
    arena.kill_daemon();
    assert_eq!(arena.history().len(), ids.len());
    assert_eq!(arena.json(&["stats", "--json"])["ended"], json!({ "itself": 10 }));
}

#[test]
fn a_session_started_again_has_a_row_for_each_run() {
    let arena = Arena::new();
    let id = arena.sh("a", "exit 6");
    arena.until_state(&id, "ended");
    arena.run(&["restart", &id]).ok();
    arena.kill_daemon();
    arena.until_state(&id, "ended");
    let rows = arena.history();
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert!(rows.iter().all(|row| row["id"] == json!(id) && row["exit"]["code"] == 6), "{rows:?}");
    // Even what is known only from the journal: both, and each once.
    arena.kill_daemon();
    std::fs::remove_file(arena.database()).unwrap();
    let again = arena.history();
    assert_eq!(
        again.iter().map(|r| &r["started_at"]).collect::<Vec<_>>(),
        rows.iter().map(|r| &r["started_at"]).collect::<Vec<_>>()
    );
}

#[test]
fn a_session_of_an_earlier_boot_is_history_and_never_alive() {
    let arena = Arena::new();
    let id = arena.sh("old", "exec sleep 600");
    let before = arena.remembered(&id);
    assert_eq!((&before["exit"], &before["ended_at"]), (&json!(null), &json!(null)), "alive");
    arena.kill_daemon();
    let keeper = arena.keepers().pop().unwrap();
    arena.kill(keeper.id);
    arena.agents().iter().for_each(|p| arena.kill(p.id));
    let journal = arena.session_dir(&id).join("session.jsonl");
    let text = std::fs::read_to_string(&journal).unwrap();
    let boot = before["boot_id"].as_str().unwrap();
    std::fs::write(&journal, text.replace(boot, "00000000-another-boot")).unwrap();
    assert_eq!(arena.json(&["ls", "--json"]), json!([]));
    let row = arena.remembered(&id);
    assert_eq!((&row["exit"]["by"], &row["exit"]["code"]), (&json!("reboot"), &json!(null)), "{row}");
    let since = arena.json(&["history", "--by", "reboot", "--since", "1h", "--json"]);
    assert_eq!(since.as_array().unwrap().len(), 1);
    // A directory that went with the boot, too, is no live session.
    arena.kill_daemon();
    std::fs::remove_dir_all(arena.session_dir(&id)).unwrap();
    assert_eq!(arena.remembered(&id)["exit"]["by"], "reboot");
}

#[test]
fn a_close_that_was_cut_short_is_in_the_audit_with_who_asked_for_it() {
    let arena = Arena::with("[stop]\ngrace = \"2s\"\n");
    arena.sh("deaf", "trap '' TERM HUP; echo up >up; while :; do sleep 0.1; done");
    arena.line_of("work/up");
    let killing = arena.begin(&["kill", "deaf", "--reason", "asked"]);
    until("it is written down", || arena.audit().len() == 1);
    arena.kill_daemon();
    killing.wait();
    let audit = until_some("the next daemon takes it up", || {
        let audit = arena.audit();
        audit.iter().any(|k| k["outcome"] == "forced").then_some(audit)
    });
    let told: Vec<_> = audit.iter().map(|k| (k["verb"].as_str().unwrap(), k["reason"].as_str().unwrap())).collect();
    assert_eq!(told, [("kill", "asked"), ("kill", "asked")], "{audit:?}");
    assert_eq!(audit[1]["outcome"], "interrupted");
    assert_eq!((&audit[0]["pid"], &audit[0]["command"]), (&audit[1]["pid"], &audit[1]["command"]));
    assert!(audit[0]["pid"].is_i64());
}

#[test]
fn recordings_go_when_they_are_too_old_and_rows_stay() {
    let arena = Arena::with("[record]\nkeep = \"300ms\"\n[stop]\ngrace = \"300ms\"\n");
    let live = arena.sh("live", "echo here; exec sleep 600");
    let ended = arena.sh("ended", "echo gone; exit 3");
    until("it is forgotten", || !arena.session_dir(&ended).exists());
    until("it is not listed", || arena.all().iter().all(|s| s["id"] != ended.as_str()));
    assert_eq!(arena.remembered(&ended)["exit"]["code"], 3);
    assert_eq!(arena.show(&live)["state"], "running");
    assert!(arena.session_dir(&live).join("out.1").exists());
    // What is left of it can still be taken away.
    arena.run(&["export", &ended, "-o", "rest"]).ok();
    assert!(arena.path("work/rest/session.json").exists() && !arena.path("work/rest/session.cast").exists());
    arena.kill_daemon();
    assert_eq!(arena.remembered(&ended)["exit"]["code"], 3);
}

#[test]
fn when_all_recordings_are_too_large_the_oldest_ended_go_first() {
    let arena = Arena::with("[record]\nper_session = \"64KiB\"\ntotal = \"100KiB\"\n[stop]\ngrace = \"300ms\"\n");
    // Two thirds of a recording each.
    let fill = "head -c 28000 /dev/zero | tr '\\0' x; head -c 14000 /dev/zero | tr '\\0' y";
    let live = arena.sh("live", &format!("{fill}; exec sleep 600"));
    let mut ended = Vec::new();
    for n in 0..3 {
        ended.push(arena.sh(&format!("s{n}"), fill));
        until("it has ended", || arena.remembered(&ended[n])["ended_at"].is_string());
    }
    until("the oldest are gone", || !arena.session_dir(&ended[0]).exists() && !arena.session_dir(&ended[1]).exists());
    assert!(arena.session_dir(&live).exists() && arena.session_dir(&ended[2]).exists());
    assert_eq!(arena.history().len(), 4);
    assert!(arena.log().contains("forgotten, past record.keep or record.total"));
}

/// A reader of asciicast v2 written by hand: the text of all output, and the other events.
#[track_caller]
fn played(path: &Path) -> (Value, String, Vec<(String, String)>) {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let head = lines.next().unwrap();
    let (mut output, mut other, mut last) = (String::new(), Vec::new(), 0.0);
    for event in lines {
        let at = event[0].as_f64().unwrap();
        assert!(at >= last && event.as_array().unwrap().len() == 3, "{event}");
        last = at;
        match event[1].as_str().unwrap() {
            "o" => output.push_str(event[2].as_str().unwrap()),
            code => other.push((code.to_string(), event[2].as_str().unwrap().to_string())),
        }
    }
    assert_eq!(head["version"], 2);
    (head, output, other)
}

#[test]
fn an_export_holds_all_that_is_kept_of_a_session() {
    let arena = Arena::new();
    let script = "printf 'gr\\303'; sleep 0.1; printf '\\274n \\033[31mred\\033[m\\n'; sleep 600 & exec sleep 500";
    let id = arena.session(&["--name", "a", "--size", "90x20", "--", "sh", "-c", script]);
    until("it has spoken", || arena.recorded(&id).0.ends_with(b"\n"));
    let read = |name: &str| std::fs::read_to_string(arena.path("work").join(name)).unwrap();
    let parsed = |name: &str| serde_json::from_str::<Value>(&read(name)).unwrap();
    arena.run(&["export", "a", "-o", "live"]).ok();
    assert_eq!(std::fs::metadata(arena.path("work/live")).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(parsed("live/tree.json").as_array().unwrap().len(), 2);
    assert_eq!(parsed("live/session.json")["state"], "running");
    assert!(!arena.path("work/live/report.json").exists());
    let (head, output, other) = played(&arena.path("work/live/session.cast"));
    assert_eq!((&head["width"], &head["height"], &head["title"]), (&json!(90), &json!(20), &json!("a")));
    assert_eq!((output.as_str(), other), ("grün \x1b[31mred\x1b[m\r\n", vec![]));
    arena.run(&["kill", "a", "--reason", "over"]).ok();
    arena.run(&["export", &id, "-o", "ended"]).ok();
    assert_eq!((read("ended/screen.txt"), read("live/screen.txt")), ("grün red\n".into(), "grün red\n".into()));
    assert!(read("ended/screen.ansi").contains("\x1b[31m"));
    let tree = parsed("ended/tree.json");
    let commands: Vec<&str> = tree.as_array().unwrap().iter().map(|p| p["command"].as_str().unwrap()).collect();
    assert_eq!(commands, ["sleep 500", "sleep 600"], "as it was before the first signal");
    assert!(
        parsed("ended/evidence.json").as_array().unwrap().iter().any(|e| e["kind"] == "leader" && e["text"] == "alive")
    );
    assert_eq!(
        (&parsed("ended/report.json")["outcome"], &parsed("ended/report.json")["reason"]),
        (&json!("clean"), &json!("over"))
    );
    assert_eq!(parsed("ended/session.json")["exit"]["by"], "user");
    // Nothing that is there is overwritten.
    arena.run(&["export", &id, "-o", "ended"]).fails(1, "is there already");
    arena.run(&["export", &id, "-o", "a.tar"]).ok();
    arena.run(&["export", &id, "-o", "a.tar"]).fails(1, "is there already");
    let mut tar = arena.program("tar");
    tar.args(["-tf", "a.tar"]);
    let listed = super::support::Running::of(tar).wait().ok();
    let mut names: Vec<&str> = listed.lines().collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["evidence.json", "report.json", "screen.ansi", "screen.txt", "session.cast", "session.json", "tree.json"]
    );
    arena.run(&["export", "nobody", "-o", "x"]).fails(4, "nobody");
    assert!(!arena.path("work/x").exists());
}

#[test]
fn a_database_that_cannot_be_used_stops_neither_a_start_nor_a_kill() {
    for case in ["corrupt", "later", "directory"] {
        let arena = Arena::new();
        arena.run(&["daemon", "start"]).ok();
        arena.run(&["daemon", "stop", "--yes"]).ok();
        match case {
            "corrupt" => std::fs::write(arena.database(), "nothing of the kind ".repeat(1000)).unwrap(),
            "later" => {
                let database = rusqlite::Connection::open(arena.database()).unwrap();
                database.pragma_update(None, "user_version", 9999).unwrap();
            }
            _ => {
                std::fs::remove_file(arena.database()).unwrap();
                std::fs::create_dir(arena.database()).unwrap();
            }
        }
        let id = arena.sh("a", "exec sleep 600");
        arena.run(&["kill", &id]).ok();
        assert_eq!(arena.show(&id)["exit"]["by"], "user", "{case}");
        let said = arena.run(&["history", "--json"]);
        if case == "corrupt" {
            assert_eq!((arena.remembered(&id)["outcome"].clone(), said.status), (json!("clean"), 0), "{said:?}");
            assert!(arena.log().contains("a new one begins"), "{}", arena.log());
        } else {
            assert_eq!(said.status, 1, "{case}: {said:?}");
            assert!(arena.log().contains("what happens is not written down"), "{case}: {}", arena.log());
            assert!(!arena.status()["memory"]["trouble"].is_null(), "{case}");
            assert_eq!(arena.run(&["export", &id, "-o", "x"]).status, 0, "{case}: the rest is there");
        }
    }
}

#[test]
fn on_a_full_disk_kills_are_done_and_remembered_once_there_is_room() {
    if !is_root() {
        return eprintln!("skipped: only root can mount a small disk");
    }
    let arena = Arena::new();
    arena.mount_small("state", "size=1m,mode=0700");
    let ids: Vec<String> = (0..4).map(|n| arena.sh(&format!("s{n}"), "exec sleep 600")).collect();
    arena.history();
    std::fs::write(arena.state().join("ballast"), vec![0; 2 << 20]).unwrap_err();
    for id in &ids[..2] {
        arena.run(&["kill", id, "--reason", "full"]).ok();
    }
    arena.run(&["close-all", "--reason", "full"]).ok();
    assert_eq!(arena.agents(), []);
    until("it is said", || {
        let memory = arena.status()["memory"].clone();
        memory["trouble"].is_string() && memory["waiting"].as_u64().unwrap() >= 8
    });
    assert_eq!(arena.log().matches("what happens is not written down").count(), 1, "{}", arena.log());
    arena.make_room("state", "size=16m");
    until("it is written", || arena.status()["memory"]["trouble"].is_null() && arena.audit().len() == 4);
    for id in &ids {
        let row = arena.remembered(id);
        assert_eq!((&row["exit"]["by"], &row["outcome"]), (&json!("user"), &json!("clean")), "{row}");
    }
    assert!(arena.audit().iter().all(|k| k["reason"] == "full" && k["uid"] == 0), "{:?}", arena.audit());
    assert_eq!(arena.status()["memory"]["lost"], 0);
}
