//! The HTTP contract from outside.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::ask::{Answer, ask};
use super::support::{Arena, until};

impl Answer {
    #[track_caller]
    fn is_error(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.json()["error"]["code"].as_str()), (status, Some(code)), "{self:?}");
    }
}

fn started() -> Arena {
    let arena = Arena::new();
    arena.run(&["daemon", "start"]).ok();
    arena
}

impl Arena {
    #[track_caller]
    fn post(&self, path: &str, body: &Value) -> Answer {
        ask(&self.socket(), "POST", path, &body.to_string())
    }
}

#[test]
fn a_session_is_started_seen_and_closed_over_http() {
    let arena = started();
    let body = json!({ "command": ["sh", "-c", "echo $MARK; exec sleep 600"], "name": "web", "project": "p",
        "workspace": arena.path("work"), "env": { "MARK": "here" } });
    let answer = arena.post("/api/session/start", &body);
    assert_eq!(answer.status, 201);
    let id = answer.json()["session_id"].as_str().unwrap().to_string();
    until("its output", || arena.recorded(&id).0 == b"here\r\n");
    let row = ask(&arena.socket(), "GET", &format!("/api/sessions/{id}"), "").json();
    assert_eq!((&row["name"], &row["state"], &row["project"]), (&json!("web"), &json!("running"), &json!("p")));
    let report = ask(&arena.socket(), "GET", "/api/active-sessions", "").json();
    assert_eq!((&report["total"], &report["healthy"]), (&json!(1), &json!(1)));
    assert_eq!(arena.post(&format!("/api/heartbeat?session_id={id}"), &json!({})).status, 200);
    let closed = arena.post("/api/close-all-sessions", &json!({ "reason": "done" }));
    assert_eq!((closed.status, &closed.json()["closed"]), (200, &json!(1)));
    assert_eq!(closed.json()["sessions"][0]["reason"], "done");
    assert_eq!(arena.agents(), []);
    arena.post(&format!("/api/heartbeat?session_id={id}"), &json!({})).is_error(404, "not-found");
}

#[test]
fn every_refusal_has_its_status_and_its_sentence() {
    let arena = started();
    let socket = arena.socket();
    arena.session(&["--name", "taken", "--", "sleep", "600"]);
    for (method, path, body, status, code) in [
        ("GET", "/api/sessions/nobody", "", 404, "not-found"),
        ("GET", "/api/sessions/nobody/screen", "", 404, "not-found"),
        ("GET", "/api/sessions/nobody/log", "", 404, "not-found"),
        ("POST", "/api/sessions/nobody/kill", "", 404, "not-found"),
        ("POST", "/api/sessions/taken/fly", "", 404, "not-found"),
        ("POST", "/api/heartbeat?session_id=nobody", "", 404, "not-found"),
        ("POST", "/api/heartbeat", "", 400, "bad-request"),
        ("GET", "/nothing", "", 404, "not-found"),
        ("POST", "/api/session/start", "{", 400, "bad-request"),
        ("POST", "/api/session/start", "[1]", 400, "bad-request"),
        ("POST", "/api/session/start", r#"{"comand":["x"]}"#, 400, "bad-request"),
        ("POST", "/api/session/start", r#"{"command":["sleep","1"],"size":[0,0]}"#, 400, "bad-request"),
        ("POST", "/api/session/start", r#"{"command":["sleep","1"],"workspace":"here"}"#, 400, "bad-request"),
        ("POST", "/api/session/start", r#"{"command":["sleep","1"],"name":"taken"}"#, 409, "name-taken"),
        ("POST", "/api/session/start", r#"{"command":["no-such-command"]}"#, 422, "cannot-execute"),
        ("POST", "/api/sessions/taken/send", "{}", 400, "bad-request"),
    ] {
        let answer = ask(&socket, method, path, body);
        assert_eq!(answer.status, status, "{method} {path} {body}: {answer:?}");
        answer.is_error(status, code);
        assert!(!answer.json()["error"]["message"].as_str().unwrap().is_empty());
    }
    assert_eq!(ask(&socket, "DELETE", "/api/sessions", "").status, 405);
    assert_eq!(arena.all().len(), 1, "nothing but the one session");
}

#[test]
fn a_body_or_a_key_may_be_left_out() {
    let arena = started();
    arena.sh("a", "exec sleep 600");
    assert_eq!(ask(&arena.socket(), "POST", "/api/sessions/a/pause", "").status, 200);
    assert_eq!(ask(&arena.socket(), "POST", "/api/sessions/a/unpause", "").status, 200);
    let killed = ask(&arena.socket(), "POST", "/api/sessions/a/kill", "");
    assert_eq!((killed.status, &killed.json()["closed"]), (200, &json!(1)));
    let none = ask(&arena.socket(), "POST", "/api/close-all-sessions", "");
    assert_eq!((none.status, &none.json()["closed"]), (200, &json!(0)));
}

#[test]
fn a_kill_that_is_not_waited_for_is_accepted_and_done() {
    let arena = started();
    let id = arena.sh("a", "trap '' TERM HUP; while :; do sleep 1; done");
    until("it is deaf", || arena.agents().len() == 2);
    let answer = ask(&arena.socket(), "POST", &format!("/api/sessions/{id}/kill?wait=false"), "");
    assert_eq!((answer.status, &answer.json()["accepted"]), (200, &json!(true)), "{answer:?}");
    arena.until_state(&id, "ended");
    assert_eq!(arena.agents(), []);
}

#[test]
fn a_table_newer_than_the_one_known_is_waited_for() {
    let arena = started();
    let id = arena.sh("a", "read x; exit 3");
    let known = ask(&arena.socket(), "GET", "/api/sessions?all=true", "").json()["generation"].as_u64().unwrap();
    let socket = arena.socket();
    let waiting = std::thread::spawn(move || {
        let mut known = known;
        loop {
            let table = ask(&socket, "GET", &format!("/api/sessions?all=true&newer_than={known}"), "").json();
            assert!(table["generation"].as_u64().unwrap() > known);
            known = table["generation"].as_u64().unwrap();
            if table["sessions"][0]["state"] == "ended" {
                return table["sessions"][0]["exit"]["code"].clone();
            }
        }
    });
    arena.run(&["send", &id, "--enter"]).ok();
    assert_eq!(waiting.join().unwrap(), 3);
}

#[test]
fn a_client_that_sends_half_a_request_stops_nobody() {
    let arena = started();
    let half: Vec<UnixStream> = (0..20)
        .map(|n| {
            let mut stream = UnixStream::connect(arena.socket()).unwrap();
            let text = "POST /api/session/start HTTP/1.1\r\nhost: beadle\r\ncontent-length: 100\r\n\r\n{\"command\"";
            stream.write_all(&text.as_bytes()[..text.len() * n / 19]).unwrap();
            stream
        })
        .collect();
    let id = arena.sh("a", "exec sleep 600");
    assert_eq!(arena.show(&id)["state"], "running");
    arena.run(&["close-all"]).ok();
    drop(half);
    assert_eq!(arena.all().len(), 1);
}

#[test]
fn one_process_with_more_connections_than_it_may_have_costs_nobody_anything() {
    let arena = started();
    let mut many: Vec<UnixStream> = (0..250).map(|_| UnixStream::connect(arena.socket()).unwrap()).collect();
    for slow in &mut many {
        // It may be hung up on already.
        let _ = slow.write_all(b"POST /api/session/start HTTP/1.1\r\nhost: beadle\r\ncontent-length: 100\r\n\r\n{");
    }
    let id = arena.sh("a", "exec sleep 600");
    assert_eq!(arena.show(&id)["state"], "running");
    let refused = many.last_mut().unwrap();
    refused.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    assert!(!matches!(refused.read(&mut [0; 64]), Ok(1..)), "nothing is answered");
    assert!(arena.log().contains(&format!("pid={}: it has 200 already", std::process::id())));
    drop(many);
    until("it is welcome again", || {
        let mut stream = UnixStream::connect(arena.socket()).unwrap();
        let asked = stream.write_all(b"GET /api/version HTTP/1.0\r\n\r\n");
        let mut answer = String::new();
        asked.is_ok() && stream.read_to_string(&mut answer).is_ok() && answer.contains("200 OK")
    });
}

#[test]
fn garbage_and_oversized_requests_are_refused_and_the_daemon_lives() {
    let arena = started();
    let pid = arena.daemon();
    for garbage in [&b"\x00\xff\xfe garbage\r\n\r\n"[..], b"GET / HTTP/9.9\r\n\r\n", &vec![b'A'; 70_000]] {
        let mut stream = UnixStream::connect(arena.socket()).unwrap();
        // It may hang up before everything is written.
        let _ = stream.write_all(garbage);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    }
    let large = format!("{{\"name\":\"{}\"}}", "x".repeat(9 << 20));
    let mut stream = UnixStream::connect(arena.socket()).unwrap();
    // As above.
    let _ =
        write!(stream, "POST /api/session/start HTTP/1.1\r\nhost: b\r\ncontent-length: {}\r\n\r\n{large}", large.len());
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut head = [0; 12];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 413");
    assert_eq!(arena.daemon(), pid);
}

#[test]
fn a_body_that_is_no_object_or_has_keys_nobody_knows_moves_nothing_on_any_route() {
    let arena = started();
    let id = arena.sh("a", "exec sleep 600");
    let described = ask(&arena.socket(), "GET", "/api/openapi.json", "").json();
    let mut asked = 0;
    for (path, methods) in described["paths"].as_object().unwrap() {
        let path = path.replace("{id}", &id).replace("{name}", "a").replace("{verb}", "stop");
        for method in methods.as_object().unwrap().keys().filter(|m| *m != "get") {
            let method = method.to_uppercase();
            // An array is read by position where nobody looks at it first.
            for body in ["[]", "[[\"true\"],\"n\"]", "[\"a\"]", "null", "\"x\"", "7"] {
                let answer = ask(&arena.socket(), &method, &path, body);
                answer.is_error(400, "bad-request");
                assert!(answer.json()["error"]["message"].as_str().unwrap().contains("one JSON object"), "{answer:?}");
            }
            let answer = ask(&arena.socket(), &method, &path, r#"{"reasn":"x"}"#);
            assert!([400, 422].contains(&answer.status), "{method} {path}: {answer:?}");
            assert!(answer.json()["error"]["message"].as_str().unwrap().contains("reasn"), "{path}: {answer:?}");
            asked += 1;
        }
    }
    assert!(asked > 30, "{asked}");
    assert_eq!(arena.show(&id)["state"], "running");
    assert_eq!(arena.all().len(), 1, "nothing was started either");
    arena.sh("b", "exec sleep 600");
}

#[test]
fn a_path_that_cannot_be_read_is_refused_as_everything_is() {
    let arena = started();
    for path in ["/api/sessions/%ff", "/api/sessions/%ff/screen", "/api/projects/%ff"] {
        ask(&arena.socket(), "GET", path, "").is_error(400, "bad-request");
    }
    ask(&arena.socket(), "POST", "/api/sessions/%ff/kill", "").is_error(400, "bad-request");
}
