//! The HTTP contract as curl sees it: every route, every error, and the description of both.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::{Value, json};

use super::support::{Arena, until};

/// What curl came back with.
#[derive(Debug)]
struct Answer {
    status: u16,
    body: Vec<u8>,
}

impl Answer {
    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

struct Curl<'a> {
    arena: &'a Arena,
    /// Paths as they are described, with their methods.
    seen: BTreeSet<(String, String)>,
}

impl Curl<'_> {
    #[track_caller]
    fn ask(&self, method: &str, path: &str, body: Option<&str>) -> Answer {
        let mut curl = Command::new("curl");
        curl.args(["-s", "-m", "40", "-X", method, "-w", "\n%{http_code}", "--unix-socket"]).arg(self.arena.socket());
        if let Some(body) = body {
            curl.args(["-H", "content-type: application/json", "-d", body]);
        }
        let output = curl.arg(format!("http://beadle{path}")).output().unwrap();
        let at = output.stdout.iter().rposition(|b| *b == b'\n').expect("a status");
        let status = String::from_utf8_lossy(&output.stdout[at + 1..]).parse().unwrap();
        Answer { status, body: output.stdout[..at].to_vec() }
    }

    /// Asks a route that is described so, and notes it.
    #[track_caller]
    fn works(&mut self, method: &str, described: &str, path: &str, body: Option<&str>) -> Answer {
        self.seen.insert((method.to_lowercase(), described.to_string()));
        let answer = self.ask(method, path, body);
        assert!((200..300).contains(&answer.status), "{method} {path}: {answer:?}");
        answer
    }

    /// The same for a path that is its own description.
    #[track_caller]
    fn plain(&mut self, method: &str, path: &str, body: Option<&str>) -> Value {
        let described = path.split('?').next().unwrap().to_string();
        self.works(method, &described, path, body).json()
    }

    #[track_caller]
    fn refused(&self, (method, path, body): (&str, &str, Option<&str>), status: u16, code: &str) {
        let answer = self.ask(method, path, body);
        assert_eq!(
            (answer.status, &answer.json()["error"]["code"]),
            (status, &json!(code)),
            "{method} {path}: {answer:?}"
        );
        assert!(!answer.json()["error"]["message"].as_str().unwrap().is_empty());
    }
}

fn curl_is_there() -> bool {
    let there = Command::new("curl").arg("-V").output().is_ok();
    if !there {
        eprintln!("skipped: curl is not installed");
    }
    there
}

#[test]
fn every_route_that_is_described_answers_curl() {
    if !curl_is_there() {
        return;
    }
    let arena = Arena::new();
    arena.run(&["daemon", "start"]).ok();
    let mut curl = Curl { arena: &arena, seen: BTreeSet::new() };
    let described = curl.plain("GET", "/api/openapi.json", None);
    assert_eq!(described["openapi"], "3.1.0");

    let started = curl.works(
        "POST",
        "/api/session/start",
        "/api/session/start",
        Some(r#"{"command":["sh","-c","echo here; exec sleep 600"],"name":"a","project":"p"}"#),
    );
    assert_eq!(started.status, 201);
    let id = started.json()["session_id"].as_str().unwrap().to_string();
    until("its output", || arena.recorded(&id).0 == b"here\r\n");
    assert_eq!(curl.plain("GET", "/api/active-sessions", None)["total"], 1);
    let table = curl.plain("GET", "/api/sessions", None);
    let generation = table["generation"].as_u64().unwrap();
    assert!(
        curl.plain("GET", &format!("/api/sessions?newer_than={}", generation - 1), None)["generation"]
            .as_u64()
            .unwrap()
            >= generation
    );
    let one = |below: &str| (format!("/api/sessions/{{id}}{below}"), format!("/api/sessions/{id}{below}"));
    for below in ["", "/screen", "/log", "/export"] {
        let (described, path) = one(below);
        assert!(!curl.works("GET", &described, &path, None).body.is_empty(), "{below}");
    }
    for (below, body) in [
        ("/pause", None),
        ("/unpause", None),
        ("/pin", None),
        ("/unpin", None),
        ("/send", Some(r#"{"text":"x"}"#)),
        ("/rename", Some(r#"{"name":"b"}"#)),
    ] {
        let (described, path) = one(below);
        curl.works("POST", &described, &path, body);
    }
    for below in ["/pin", "/pause", "/unpause", "/unpin"] {
        let (described, path) = one(below);
        assert_eq!(
            curl.works("POST", &described, &format!("{path}?wait=false"), None).json()["accepted"],
            true,
            "{below}"
        );
    }
    let sent =
        curl.works("POST", &one("/send").0, &format!("{}?wait=false", one("/send").1), Some(r#"{"key":"Enter"}"#));
    assert_eq!(sent.json(), json!({ "accepted": true, "session_id": id }));
    curl.plain("POST", &format!("/api/heartbeat?session_id={id}"), None);
    curl.plain("POST", "/api/act", Some(&json!({ "verb": "pin", "targets": [id] }).to_string()));
    curl.plain("POST", "/api/signal", Some(&json!({ "targets": [id], "signal": "WINCH" }).to_string()));
    let (described_restart, restart) = one("/restart");
    assert_eq!(curl.works("POST", &described_restart, &restart, None).json()["state"], "running");
    assert_eq!(curl.ask("POST", &format!("{restart}?wait=false"), None).json()["accepted"], true);
    until("it runs again", || arena.show(&id)["state"] == "running");
    let child = arena.sh("child", "sleep 600 & exec sleep 601");
    until("both are seen", || arena.show(&child)["processes"] == 2);
    let pid = arena.show(&child)["tree"][1]["pid"].clone();
    curl.plain("POST", "/api/keep-child", Some(&json!({ "pid": pid }).to_string()));

    let set = curl.plain(
        "PUT",
        "/api/auto-cleanup/configure",
        Some(r#"{"session_timeout":1800,"cleanup_interval":120,"auto_cleanup_enabled":true}"#),
    );
    assert_eq!((&set["status"], &set["new_settings"]["session_timeout"]), (&json!("updated"), &json!(1800)));
    curl.plain("POST", "/api/auto-cleanup/stop", None);
    assert_eq!(curl.plain("POST", "/api/auto-cleanup/start", None)["session_timeout"], 1800);
    assert_eq!(curl.plain("POST", "/api/cleanup", None)["cleaned_sessions"], 0);
    assert_eq!(curl.plain("GET", "/api/auto-cleanup/stats", None)["configuration"]["session_timeout"], 1800);
    for (method, path) in [
        ("PUT", "auto-cleanup/configure"),
        ("POST", "auto-cleanup/start"),
        ("GET", "auto-cleanup/stats"),
        ("POST", "cleanup"),
        ("POST", "auto-cleanup/stop"),
    ] {
        let answer = curl.plain(method, &format!("/bash/{path}"), None);
        assert!(answer["status"] == "success" && answer["data"].is_object(), "{answer}");
    }
    curl.plain("POST", "/api/cleanup/set", Some(r#"{"settings":[["max_idle","30m"]]}"#));

    let (described_kill, kill) = one("/kill");
    assert_eq!(curl.works("POST", &described_kill, &kill, None).json()["closed"], 1);
    let (described_rm, rm) = one("/rm");
    curl.works("POST", &described_rm, &rm, None);
    curl.plain("POST", "/api/kill", Some(&json!({ "targets": [child] }).to_string()));
    assert_eq!(curl.plain("POST", "/api/close-all-sessions", None)["closed"], 0);
    assert_eq!(curl.plain("POST", "/api/sweep", Some(r#"{"dry_run":true}"#))["dry_run"], true);
    assert_eq!(curl.plain("POST", "/api/emergency-cleanup", Some(r#"{"dry_run":true}"#))["latched"], false);
    curl.plain("POST", "/api/release", None);
    for path in ["/api/history", "/api/audit", "/api/stats", "/api/version", "/api/daemon"] {
        curl.plain("GET", path, None);
    }
    let events = curl.plain("GET", "/api/events?follow=false&since=0", None);
    assert!(events["events"].as_array().unwrap().len() > 10, "{events}");
    let page = curl.works("GET", "/metrics", "/metrics", None);
    assert!(String::from_utf8(page.body).unwrap().contains("beadle_sessions{health=\"healthy\"}"));
    curl.plain("POST", "/api/config/reload", None);
    curl.plain("POST", "/api/daemon/restart", None);
    until("it is back", || arena.run(&["daemon", "status"]).status == 0);
    curl.plain("POST", "/api/daemon/stop", None);

    let paths = described["paths"].as_object().unwrap().iter();
    let all: BTreeSet<(String, String)> = paths
        .flat_map(|(path, item)| {
            item.as_object().unwrap().keys().map(|m| (m.clone(), path.clone())).collect::<Vec<_>>()
        })
        // What hands the connection over is no matter for curl.
        .filter(|(_, path)| !path.ends_with("/attach") && !path.contains("/projects"))
        .collect();
    assert_eq!(
        all.difference(&curl.seen).collect::<Vec<_>>(),
        Vec::<&(String, String)>::new(),
        "described and not asked"
    );
    assert_eq!(
        curl.seen.difference(&all).collect::<Vec<_>>(),
        Vec::<&(String, String)>::new(),
        "asked and not described"
    );
}

#[test]
fn every_refusal_reaches_curl_with_its_status_and_its_code() {
    if !curl_is_there() {
        return;
    }
    let arena = Arena::with("[stop]\ngrace = \"300ms\"\n[cleanup]\nmax_sessions = 2\n");
    let taken = arena.session(&["--name", "taken", "--", "sleep", "600"]);
    let curl = Curl { arena: &arena, seen: BTreeSet::new() };
    let start = |body| ("POST", "/api/session/start", Some(body));
    curl.refused(("GET", "/api/sessions/nobody", None), 404, "not-found");
    curl.refused(("POST", "/api/sessions/nobody/kill?wait=false", None), 404, "not-found");
    curl.refused(("POST", "/api/sessions/taken/fly", None), 404, "not-found");
    curl.refused(("GET", "/nothing", None), 404, "not-found");
    curl.refused(("DELETE", "/api/sessions", None), 405, "method-not-allowed");
    curl.refused(("GET", "/api/sessions/taken/kill", None), 405, "method-not-allowed");
    curl.refused(start("{"), 400, "bad-request");
    curl.refused(start(r#"{"comand":["x"]}"#), 400, "bad-request");
    curl.refused(("GET", "/api/sessions?newer_than=x", None), 400, "bad-request");
    curl.refused(("POST", "/api/sessions/taken/send", None), 400, "bad-request");
    curl.refused(("POST", "/api/sessions/taken/kill?wait=perhaps", None), 400, "bad-request");
    curl.refused(start(r#"{"command":["sleep","1"],"name":"taken"}"#), 409, "name-taken");
    curl.refused(start(r#"{"command":["no-such-command"]}"#), 422, "cannot-execute");
    for body in [r#"{"session_timeout":0}"#, r#"{"cleanup_interval":1.5}"#, r#"{"max_idle":9}"#] {
        curl.refused(("PUT", "/api/auto-cleanup/configure", Some(body)), 422, "unprocessable");
        curl.refused(("PUT", "/bash/auto-cleanup/configure", Some(body)), 422, "unprocessable");
    }
    curl.refused(("POST", "/api/sessions/taken/rm?wait=false", None), 409, "wrong-state");
    arena.sh("second", "exec sleep 600");
    curl.refused(start(r#"{"command":["sleep","1"]}"#), 429, "at-cap");
    curl.refused(("POST", "/api/session/start", Some("@/dev/null")), 429, "at-cap");
    assert_eq!(curl.ask("POST", "/api/emergency-cleanup", Some(r#"{"reason":"test"}"#)).json()["latched"], true);
    curl.refused(start(r#"{"command":["sleep","1"]}"#), 409, "latched");
    curl.refused(("POST", &format!("/api/sessions/{taken}/restart?wait=false"), None), 409, "latched");
    curl.refused(("POST", &format!("/api/heartbeat?session_id={taken}"), None), 404, "not-found");
    curl.refused(("POST", &format!("/api/sessions/{taken}/pause"), None), 409, "wrong-state");
    curl.refused(("GET", "/api/events?since=someday", None), 400, "bad-request");
    curl.refused(("GET", "/api/history?since=someday", None), 400, "bad-request");
    let large = arena.path("work/large");
    std::fs::write(&large, format!("{{\"name\":\"{}\"}}", "x".repeat(9 << 20))).unwrap();
    curl.refused(("POST", "/api/session/start", Some(&format!("@{}", large.display()))), 413, "too-large");
    // Inside a session one may not do this to others.
    let inside = arena.beadle(&["release"]);
    super::support::Running::of(inside).wait().ok();
    let script = format!(
        "curl -s -X POST --unix-socket {} http://b/api/close-all-sessions >answer; exec sleep 600",
        arena.socket().display()
    );
    arena.sh("agent", &script);
    until("it was answered", || std::fs::read(arena.path("work/answer")).is_ok_and(|a| a.ends_with(b"}")));
    let answer: Value = serde_json::from_slice(&std::fs::read(arena.path("work/answer")).unwrap()).unwrap();
    assert_eq!(answer["error"]["code"], "forbidden", "{answer}");
}

/// The text form, read strictly: families whole and once, each with its help and type before its samples, labels quoted
/// and escaped, histograms cumulative.
fn parsed(text: &str) -> Vec<(String, String, f64)> {
    assert!(text.ends_with('\n'));
    let (mut samples, mut families, mut now) = (Vec::new(), BTreeSet::new(), (String::new(), String::new()));
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let name = rest.split(' ').next().unwrap();
            assert!(families.insert(name.to_string()), "{name} comes twice");
            assert!(rest.len() > name.len() + 1, "{line}");
            now = (name.to_string(), String::new());
            continue;
        }
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(name == now.0 && now.1.is_empty() && ["gauge", "counter", "histogram"].contains(&kind), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            now.1 = kind.to_string();
            continue;
        }
        let (id, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = id.split_once('{').unwrap_or((id, "}"));
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
        assert!(name.chars().all(legal) && !name.starts_with(|c: char| c.is_ascii_digit()), "{line}");
        let suffix = name.strip_prefix(now.0.as_str()).unwrap_or_else(|| panic!("{line} is not of {}", now.0));
        let allowed: &[&str] = if now.1 == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
        assert!(allowed.contains(&suffix), "{line}");
        let labels = labels.strip_suffix('}').unwrap();
        assert_eq!(labels.matches('"').count() % 2, 0, "{line}");
        samples.push((name.to_string(), labels.to_string(), value.parse().unwrap_or_else(|_| panic!("{line}"))));
    }
    samples
}

#[test]
fn the_figures_for_monitoring_are_as_a_parser_wants_them_and_count_what_happened() {
    let arena = Arena::new();
    for name in ["a", "b", "c"] {
        arena.sh(name, "exec sleep 600");
    }
    arena.run(&["kill", "a"]).ok();
    arena.run(&["cleanup", "now"]).ok();
    let page = || {
        let answer = super::ask::ask(&arena.socket(), "GET", "/metrics", "");
        assert!(answer.header("content-type").starts_with("text/plain; version=0.0.4"), "{answer:?}");
        parsed(&String::from_utf8(answer.body).unwrap())
    };
    let samples = page();
    let value = |name: &str, labels: &str| {
        let found = samples.iter().find(|(n, l, _)| n == name && l == labels);
        found.unwrap_or_else(|| panic!("no {name} {labels} in {samples:#?}")).2
    };
    for (name, labels, expected) in [
        ("beadle_sessions", "health=\"healthy\"", 2.0),
        ("beadle_sessions", "health=\"stuck\"", 0.0),
        ("beadle_sessions", "health=\"orphaned\"", 0.0),
        ("beadle_sessions_created_total", "", 3.0),
        ("beadle_sessions_cleaned_total", "by=\"user\"", 1.0),
        ("beadle_sessions_cleaned_total", "by=\"policy\"", 0.0),
        ("beadle_cleanup_runs_total", "", 1.0),
        ("beadle_cleanup_errors_total", "", 0.0),
        ("beadle_kill_seconds_count", "", 1.0),
        ("beadle_kill_seconds_bucket", "le=\"+Inf\"", 1.0),
        ("beadle_strays", "", 0.0),
    ] {
        assert_eq!(value(name, labels), expected, "{name}{{{labels}}}");
    }
    let buckets: Vec<f64> = samples.iter().filter(|s| s.0 == "beadle_kill_seconds_bucket").map(|s| s.2).collect();
    assert!(buckets.is_sorted() && buckets.len() > 5, "{buckets:?}");
    for name in
        ["process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds", "process_start_time_seconds"]
    {
        assert!(value(name, "") > 0.0, "{name}");
    }
    // What an agent leaves behind is a stray until it is closed.
    arena.sh("d", "trap '' HUP; sleep 602 & exit 0");
    until("it is counted", || page().iter().any(|(name, _, value)| name == "beadle_strays" && *value >= 1.0));
}
