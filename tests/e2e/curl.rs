//! The HTTP contract as curl sees it: every route, every error, and the description of both.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::support::{Arena, until, until_some};

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
    /// Codes of what was refused.
    refusals: RefCell<BTreeSet<String>>,
}

impl<'a> Curl<'a> {
    fn of(arena: &'a Arena) -> Self {
        Self { arena, seen: BTreeSet::new(), refusals: RefCell::default() }
    }
}

fn curl(method: &str) -> Command {
    let mut curl = Command::new("curl");
    curl.args(["-s", "-m", "40", "-X", method, "-w", "\n%{http_code}"]);
    curl
}

#[track_caller]
fn answered(stdout: &[u8]) -> Answer {
    let at = stdout.iter().rposition(|b| *b == b'\n').expect("a status");
    let status = String::from_utf8_lossy(&stdout[at + 1..]).parse().unwrap();
    Answer { status, body: stdout[..at].to_vec() }
}

impl Curl<'_> {
    #[track_caller]
    fn ask(&self, method: &str, path: &str, body: Option<&str>) -> Answer {
        let mut curl = curl(method);
        curl.arg("--unix-socket").arg(self.arena.socket());
        if let Some(body) = body {
            curl.args(["-H", "content-type: application/json", "-d", body]);
        }
        answered(&curl.arg(format!("http://beadle{path}")).output().unwrap().stdout)
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
        self.is_refused(&self.ask(method, path, body), status, code);
    }

    #[track_caller]
    fn is_refused(&self, answer: &Answer, status: u16, code: &str) {
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (status, &json!(code)), "{answer:?}");
        assert!(!answer.json()["error"]["message"].as_str().unwrap().is_empty());
        self.refusals.borrow_mut().insert(format!("{status} {code}"));
    }
}

fn curl_is_there() -> bool {
    let there = Command::new("curl").arg("-V").output().is_ok();
    if !there {
        eprintln!("skipped: curl is not installed");
    }
    there
}

/// Both as the description spells it and as it is.
fn of(id: &str, below: &str) -> (String, String) {
    (format!("/api/sessions/{{id}}{below}"), format!("/api/sessions/{id}{below}"))
}

/// A session from its start to where it can be looked at.
fn looked_at(curl: &mut Curl<'_>) -> String {
    let body = r#"{"command":["sh","-c","echo here; exec sleep 600"],"name":"a","project":"p"}"#;
    let started = curl.works("POST", "/api/session/start", "/api/session/start", Some(body));
    assert_eq!(started.status, 201);
    let id = started.json()["session_id"].as_str().unwrap().to_string();
    until("its output", || curl.arena.recorded(&id).0 == b"here\r\n");
    assert_eq!(curl.plain("GET", "/api/active-sessions", None)["total"], 1);
    let generation = |table: &Value| table["generation"].as_u64().unwrap();
    let known = generation(&curl.plain("GET", "/api/sessions", None));
    let newer = curl.plain("GET", &format!("/api/sessions?newer_than={}", known - 1), None);
    assert!(generation(&newer) >= known);
    for below in ["", "/screen", "/log", "/export"] {
        let (described, path) = of(&id, below);
        assert!(!curl.works("GET", &described, &path, None).body.is_empty(), "{below}");
    }
    id
}

fn acted_on(curl: &mut Curl<'_>, id: &str) {
    let (text, name) = (Some(r#"{"text":"x"}"#), Some(r#"{"name":"b"}"#));
    for (below, body) in
        [("/pause", None), ("/unpause", None), ("/pin", None), ("/unpin", None), ("/send", text), ("/rename", name)]
    {
        let (described, path) = of(id, below);
        curl.works("POST", &described, &path, body);
    }
    for (below, body) in [("/pin", None), ("/pause", None), ("/unpause", None), ("/unpin", None), ("/send", text)] {
        let (described, path) = of(id, below);
        let answer = curl.works("POST", &described, &format!("{path}?wait=false"), body);
        assert_eq!(answer.json(), json!({ "accepted": true, "session_id": id }), "{below}");
    }
    curl.plain("POST", &format!("/api/heartbeat?session_id={id}"), None);
    curl.plain("POST", "/api/act", Some(&json!({ "verb": "pin", "targets": [id] }).to_string()));
    curl.plain("POST", "/api/signal", Some(&json!({ "targets": [id], "signal": "WINCH" }).to_string()));
    let (described, restart) = of(id, "/restart");
    assert_eq!(curl.works("POST", &described, &restart, None).json()["state"], "running");
    assert_eq!(curl.ask("POST", &format!("{restart}?wait=false"), None).json()["accepted"], true);
    until("it runs again", || curl.arena.show(id)["state"] == "running");
}

fn cleaned(curl: &mut Curl<'_>) {
    let three = Some(r#"{"session_timeout":1800,"cleanup_interval":120,"auto_cleanup_enabled":true}"#);
    let set = curl.plain("PUT", "/api/auto-cleanup/configure", three);
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
}

fn queued(curl: &mut Curl<'_>) {
    let added =
        curl.works("POST", "/api/projects", "/api/projects", Some(r#"{"name":"work","command":["sleep","600"]}"#));
    assert_eq!((added.status, &added.json()["number"]), (201, &json!(1)));
    assert_eq!(curl.plain("GET", "/api/projects", None)[0]["name"], "work");
    assert_eq!(curl.works("GET", "/api/projects/{name}", "/api/projects/1", None).json()["name"], "work");
    let ended = curl.works("POST", "/api/projects/{name}/{verb}", "/api/projects/work/complete", None).json();
    assert_eq!((&ended["status"], &ended["failedCleanupCount"]), (&json!("completed"), &json!(0)), "{ended}");
    curl.plain("POST", "/api/project/end", Some(r#"{"verb":"complete","targets":["work"]}"#));
    assert_eq!(curl.plain("POST", "/api/project/rm", Some(r#"{"targets":["w*"]}"#)), json!({ "removed": ["work"] }));
}

fn closed(curl: &mut Curl<'_>, id: &str) {
    let child = curl.arena.sh("child", "sleep 600 & exec sleep 601");
    until("both are seen", || curl.arena.show(&child)["processes"] == 2);
    let pid = curl.arena.show(&child)["tree"][1]["pid"].clone();
    curl.plain("POST", "/api/keep-child", Some(&json!({ "pid": pid }).to_string()));
    let ((kill_described, kill), (rm_described, rm)) = (of(id, "/kill"), of(id, "/rm"));
    assert_eq!(curl.works("POST", &kill_described, &kill, None).json()["closed"], 1);
    // Not an agent that has conversations; one that has is resumed in a test of its own.
    let (resume_described, resume) = of(id, "/resume");
    curl.refused(("POST", &resume, None), 422, "unprocessable");
    curl.seen.insert(("post".into(), resume_described));
    curl.works("POST", &rm_described, &rm, None);
    curl.plain("POST", "/api/kill", Some(&json!({ "targets": [child] }).to_string()));
    assert_eq!(curl.plain("POST", "/api/close-all-sessions", None)["closed"], 0);
    assert_eq!(curl.plain("POST", "/api/sweep", Some(r#"{"dry_run":true}"#))["dry_run"], true);
    assert_eq!(curl.plain("POST", "/api/emergency-cleanup", Some(r#"{"dry_run":true}"#))["latched"], false);
    curl.plain("POST", "/api/release", None);
}

fn asked_about_the_daemon(curl: &mut Curl<'_>) {
    for path in ["/api/history", "/api/audit", "/api/stats", "/api/version", "/api/daemon"] {
        curl.plain("GET", path, None);
    }
    let events = curl.plain("GET", "/api/events?follow=false&since=0", None);
    assert!(events["events"].as_array().unwrap().len() > 10, "{events}");
    let page = curl.works("GET", "/metrics", "/metrics", None);
    assert!(String::from_utf8(page.body).unwrap().contains("beadle_sessions{health=\"healthy\"}"));
    curl.plain("POST", "/api/config/reload", None);
    curl.plain("POST", "/api/daemon/restart", None);
    until("it is back", || curl.arena.run(&["daemon", "status"]).status == 0);
    curl.plain("POST", "/api/daemon/stop", None);
}

#[test]
fn every_route_that_is_described_answers_curl() {
    if !curl_is_there() {
        return;
    }
    let arena = Arena::new();
    arena.run(&["daemon", "start"]).ok();
    let mut curl = Curl::of(&arena);
    let described = curl.plain("GET", "/api/openapi.json", None);
    assert_eq!(described["openapi"], "3.1.0");
    let id = looked_at(&mut curl);
    acted_on(&mut curl, &id);
    cleaned(&mut curl);
    queued(&mut curl);
    closed(&mut curl, &id);
    asked_about_the_daemon(&mut curl);
    let mut all = BTreeSet::new();
    for (path, item) in described["paths"].as_object().unwrap() {
        // What hands the connection over is no matter for curl.
        if !path.ends_with("/attach") {
            all.extend(item.as_object().unwrap().keys().map(|method| (method.clone(), path.clone())));
        }
    }
    let nothing = Vec::<&(String, String)>::new();
    assert_eq!(all.difference(&curl.seen).collect::<Vec<_>>(), nothing, "described and not asked");
    assert_eq!(curl.seen.difference(&all).collect::<Vec<_>>(), nothing, "asked and not described");
}

/// Every refusal in the description.
fn described_refusals(curl: &Curl<'_>) -> BTreeSet<String> {
    let document = curl.ask("GET", "/api/openapi.json", None).json();
    let mut all = BTreeSet::new();
    for item in document["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            for (status, response) in operation["responses"].as_object().unwrap() {
                let codes = response["$ref"].is_string().then(|| response["description"].as_str().unwrap());
                all.extend(codes.into_iter().flat_map(|c| c.split(", ")).map(|code| format!("{status} {code}")));
            }
        }
    }
    all
}

#[test]
fn every_refusal_that_is_described_reaches_curl_with_its_status_and_its_code() {
    if !curl_is_there() {
        return;
    }
    let (described, mut driven) = refused_for_what_is_asked();
    for part in [
        refused_too_slow,
        refused_while_it_stops,
        refused_without_a_keeper,
        refused_without_a_database,
        refused_over_tcp,
    ] {
        driven.extend(part());
    }
    // No method is one of what is described.
    assert!(driven.remove("405 method-not-allowed"));
    assert_eq!(driven, described);
}

fn refused_too_slow() -> BTreeSet<String> {
    let arena = Arena::new();
    arena.begin_impatient(200);
    let curl = Curl::of(&arena);
    let body = arena.path("work/body");
    std::fs::write(&body, format!("{{\"name\":\"{}\"}}", "x".repeat(4 << 20))).unwrap();
    let slow = || {
        let mut slow = self::curl("POST");
        // It would take more than an hour.
        slow.args(["--limit-rate", "1k", "-d", &format!("@{}", body.display()), "--unix-socket"]).arg(arena.socket());
        answered(&slow.arg("http://beadle/api/session/start").output().unwrap().stdout)
    };
    // A curl that is in the middle of sending when it is hung up on gives up without a look at the answer.
    let answer = until_some("an answer", || Some(slow()).filter(|answer| answer.status != 0));
    curl.is_refused(&answer, 408, "too-slow");
    assert_eq!(arena.all(), Vec::<Value>::new());
    curl.refusals.take()
}

fn refused_while_it_stops() -> BTreeSet<String> {
    let arena = Arena::with("[stop]\ngrace = \"60s\"\n[shutdown]\ndeadline = \"60s\"\n");
    let id = arena.sh("deaf", "trap '' TERM HUP; echo up >up; while :; do sleep 600; done");
    arena.line_of("work/up");
    let curl = Curl::of(&arena);
    let mut stopping = self::curl("POST");
    stopping.arg("--unix-socket").arg(arena.socket()).arg("http://beadle/api/daemon/stop");
    let stopping = stopping.stdout(Stdio::piped()).spawn().unwrap();
    until("it closes", || curl.ask("GET", &format!("/api/sessions/{id}"), None).json()["state"] == "closing");
    curl.refused(("POST", "/api/session/start", Some(r#"{"command":["true"]}"#)), 503, "shutting-down");
    curl.refused(("POST", "/api/projects", Some(r#"{"name":"a","command":["true"]}"#)), 503, "shutting-down");
    arena.agents().into_iter().for_each(|p| arena.kill(p.id));
    assert_eq!(answered(&stopping.wait_with_output().unwrap().stdout).json()["closed"], 1);
    curl.refusals.take()
}

fn refused_without_a_keeper() -> BTreeSet<String> {
    let arena = Arena::new();
    arena.sh("a", "exec sleep 600");
    let (curl, keeper) = (Curl::of(&arena), arena.keepers()[0].id);
    arena.signal(keeper, rustix::process::Signal::STOP);
    curl.refused(("GET", "/api/sessions/a/screen", None), 504, "keeper-silent");
    curl.refused(("POST", "/api/sessions/a/send", Some(r#"{"text":"x"}"#)), 504, "keeper-silent");
    // Others are answered meanwhile, and so is this one afterwards.
    assert_eq!(curl.ask("GET", "/api/active-sessions", None).json()["total"], 1);
    arena.signal(keeper, rustix::process::Signal::CONT);
    until("it answers again", || curl.ask("GET", "/api/sessions/a/screen", None).status == 200);
    curl.refusals.take()
}

fn refused_without_a_database() -> BTreeSet<String> {
    let arena = Arena::new();
    std::fs::create_dir_all(arena.state().join("beadle.db")).unwrap();
    std::fs::set_permissions(arena.state(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    arena.run(&["daemon", "start"]).ok();
    let curl = Curl::of(&arena);
    for path in ["/api/history", "/api/audit", "/api/stats", "/api/projects", "/api/events?follow=false&since=2h"] {
        curl.refused(("GET", path, None), 500, "internal");
    }
    curl.refused(("POST", "/api/projects", Some(r#"{"name":"a","command":["true"]}"#)), 500, "internal");
    // All that needs no memory goes on.
    assert_eq!(curl.ask("POST", "/api/session/start", Some(r#"{"command":["sleep","600"]}"#)).status, 201);
    assert_eq!(curl.ask("POST", "/api/close-all-sessions", None).json()["closed"], 1);
    curl.refusals.take()
}

fn refused_over_tcp() -> BTreeSet<String> {
    let door = super::tcp::Door::open();
    let curl = Curl::of(&door.arena);
    let ask = |headers: &[&str]| {
        let mut curl = self::curl("GET");
        curl.args(headers.iter().flat_map(|header| ["-H", header]));
        answered(&curl.arg(format!("http://127.0.0.1:{}/api/version", door.port)).output().unwrap().stdout)
    };
    let token = format!("authorization: Bearer {}", super::tcp::TOKEN);
    assert_eq!(ask(&[&token]).status, 200);
    curl.is_refused(&ask(&[]), 401, "unauthorized");
    curl.is_refused(&ask(&[&token, "origin: http://evil.example"]), 403, "forbidden");
    curl.refusals.take()
}

fn refused_for_what_is_asked() -> (BTreeSet<String>, BTreeSet<String>) {
    let arena = Arena::with("[stop]\ngrace = \"300ms\"\n[cleanup]\nmax_sessions = 2\n");
    let taken = arena.session(&["--name", "taken", "--", "sleep", "600"]);
    let curl = Curl::of(&arena);
    let start = |body| ("POST", "/api/session/start", Some(body));
    curl.refused(("GET", "/api/sessions/nobody", None), 404, "not-found");
    curl.refused(("POST", "/api/sessions/nobody/kill?wait=false", None), 404, "not-found");
    curl.refused(("POST", "/api/sessions/taken/fly", None), 404, "not-found");
    curl.refused(("POST", "/api/projects/nobody/complete", None), 404, "not-found");
    curl.refused(("POST", "/api/projects", Some(r#"{"name":"a"}"#)), 400, "bad-request");
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
    (described_refusals(&curl), curl.refusals.take())
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
        let is = value(name, labels);
        assert!((is - expected).abs() < 0.5, "{name}{{{labels}}}: {is}");
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
