//! Events: each once, in order, whatever happens to reader, daemon and disk in between.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use super::ask::ask;
use super::listen::{Heard, Listener};
use super::support::{Arena, is_root, until, until_some};

impl Arena {
    pub fn listen(&self, query: &str, last: Option<u64>) -> Listener {
        until_some("somebody to listen to", || Listener::begin(&self.socket(), query, last))
    }

    /// What is kept, as one answer.
    pub fn kept_events(&self, query: &str) -> Vec<Value> {
        let answer = ask(&self.socket(), "GET", &format!("/api/events?follow=false{query}"), "").json();
        answer["events"].as_array().unwrap().clone()
    }
}

fn numbers(heard: &[Heard]) -> Vec<u64> {
    heard.iter().map(|h| h.number).collect()
}

/// Measures are taken all the time, so that some are under way whenever it goes on.
#[test]
fn a_pause_that_is_over_is_no_change_of_health() {
    let arena = Arena::new();
    let id = arena.session(&["--name", "a", "--", "sleep", "600"]);
    let mut listener = arena.listen("", None);
    let socket = arena.socket();
    let measure = || ask(&socket, "GET", "/api/sessions?sample=true", "").json();
    let is_over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    measure();
                }
            });
        }
        for _ in 0..40 {
            ask(&socket, "POST", &format!("/api/sessions/{id}/pause"), "").json();
            measure();
            measure();
            ask(&socket, "POST", &format!("/api/sessions/{id}/unpause"), "").json();
            measure();
        }
        is_over.store(true, Ordering::Relaxed);
    });
    arena.run(&["kill", "a"]).ok();
    let mut kinds = Vec::new();
    while kinds.last().is_none_or(|kind| kind != "session_ended") {
        kinds.push(listener.next().unwrap().kind);
    }
    assert!(!kinds.iter().any(|kind| kind == "health_changed"), "{kinds:?}");
}

#[test]
fn a_life_is_told_from_its_beginning_to_its_end() {
    let arena = Arena::new();
    arena.run(&["daemon", "start"]).ok();
    let mut listener = arena.listen("", None);
    let id = arena.session(&["--name", "a", "--project", "shop", "--", "sleep", "600"]);
    arena.run(&["pin", "a"]).ok();
    arena.run(&["rename", "a", "b"]).ok();
    arena.run(&["kill", "b", "--reason", "done\u{1b}[2J"]).ok();
    arena.run(&["close-all"]).ok();
    let mut heard = Vec::new();
    while heard.last().is_none_or(|h: &Heard| h.kind != "close_all_sessions") {
        heard.push(listener.next().unwrap());
    }
    let told: Vec<&Heard> =
        heard.iter().filter(|h| !h.kind.ends_with("_changed") || h.event["change"].is_string()).collect();
    let kinds: Vec<&str> = told.iter().map(|h| h.kind.as_str()).collect();
    for kind in ["session_started", "session_changed", "session_cleanup", "session_ended", "close_all_sessions"] {
        assert!(kinds.contains(&kind), "{kind}: {kinds:?}");
    }
    assert_eq!(kinds[..3], ["session_started", "session_changed", "session_changed"]);
    let cleanup = &heard.iter().find(|h| h.kind == "session_cleanup").unwrap().event;
    let expected =
        json!({ "sessionId": id, "projectId": "shop", "status": "cleaned_up", "reason": "done·[2J", "name": "b" });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&cleanup[key], value, "{cleanup}");
    }
    let first = heard[0].number;
    assert_eq!(numbers(&heard), (first..first + heard.len() as u64).collect::<Vec<_>>());
    let kept = arena.kept_events("&kind=session_ended,session_started");
    assert_eq!(kept.len(), 2);
    assert_eq!(kept[1]["exit"]["by"], "user");
    // The command line says the same.
    let said = arena.json(&["events", "--json", "--kind", "session_ended"]);
    assert_eq!(said[0]["sessionId"], id.as_str());
    let text = arena.run(&["events", "--since", "1h"]).ok();
    assert!(text.contains("session_cleanup") && !text.contains('\u{1b}'), "{text}");
    arena.run(&["events", "--kind", "moon_rose"]).fails(2, "session_ended");
}

/// Changes a setting again and again; how often that was answered.
fn chatter(socket: &Path, changes: u64, done: &AtomicU64) {
    let Ok(stream) = UnixStream::connect(socket) else { return };
    let Ok(mut writer) = stream.try_clone() else { return };
    let mut reader = BufReader::new(stream);
    while done.load(Ordering::Relaxed) < changes {
        let n = done.load(Ordering::Relaxed);
        let body = format!("{{\"session_timeout\":{}}}", 2000 + n % 1000);
        let head = "PUT /api/auto-cleanup/configure HTTP/1.1\r\nhost: b\r\n";
        if writer.write_all(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes()).is_err() {
            return;
        }
        let (mut line, mut length) = (String::new(), 0);
        loop {
            line.clear();
            if !reader.read_line(&mut line).is_ok_and(|n| n > 0) {
                return;
            }
            if let Some(text) = line.strip_prefix("content-length: ") {
                length = text.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        if reader.read_exact(&mut vec![0; length]).is_err() {
            return;
        }
        done.fetch_add(1, Ordering::Relaxed);
    }
}

/// Listens for so many events after a number, hanging up at random.
fn fickle(socket: &Path, from: u64, to: u64) -> Vec<Heard> {
    let (mut heard, mut seed): (Vec<Heard>, u64) = (Vec::new(), 0x2545_f491);
    let mut random = |most: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % most
    };
    let mut misses = 0;
    while heard.last().map_or(from, |h| h.number) < to {
        let last = heard.last().map_or(from, |h| h.number);
        let Some(mut listener) = Listener::begin(socket, "", Some(last)) else {
            misses += 1;
            assert!(misses < 4000, "nobody answers, at {last}");
            std::thread::sleep(std::time::Duration::from_millis(10));
            continue;
        };
        for _ in 0..=random(400) {
            match listener.next() {
                Some(one) => heard.push(one),
                None => break,
            }
            if heard.last().map_or(from, |h| h.number) >= to {
                break;
            }
        }
    }
    heard
}

#[test]
fn of_ten_thousand_events_none_is_missed_and_none_comes_twice_though_reader_and_daemon_break_off() {
    const EVENTS: u64 = 10_000;
    let arena = Arena::new();
    arena.run(&["daemon", "start"]).ok();
    let socket = arena.socket();
    let from = arena.kept_events("").last().unwrap()["number"].as_u64().unwrap();
    let reader = std::thread::spawn({
        let socket = socket.clone();
        move || fickle(&socket, from, from + EVENTS)
    });
    let done = std::sync::Arc::new(AtomicU64::new(0));
    for stop_at in [3_000, 6_500, EVENTS + 100] {
        let talking = std::thread::spawn({
            let (socket, done) = (socket.clone(), std::sync::Arc::clone(&done));
            move || chatter(&socket, EVENTS + 100, &done)
        });
        if stop_at < EVENTS {
            // Long for a loaded machine; what counts is that it goes on.
            while done.load(Ordering::Relaxed) < stop_at {
                std::thread::sleep(std::time::Duration::from_millis(5));
                assert!(!talking.is_finished(), "it stopped at {done:?}");
            }
            arena.kill_daemon();
        }
        talking.join().unwrap();
        if stop_at < EVENTS {
            arena.run(&["daemon", "start"]).ok();
        }
    }
    let heard = reader.join().unwrap();
    assert_eq!(heard.len() as u64, EVENTS);
    assert_eq!(numbers(&heard), (from + 1..=from + EVENTS).collect::<Vec<_>>());
    assert!(heard.iter().all(|h| h.kind != "resync" && h.event["number"] == h.number));
    assert_eq!(heard.iter().filter(|h| h.kind == "daemon_started").count(), 2);
    // Between two starts each change goes on where the one before ended.
    let mut was: Option<String> = None;
    for one in &heard {
        let change = &one.event["settings"]["cleanup.max_idle"];
        if let (Some(was), Some(old)) = (&was, change["old"].as_str()) {
            assert_eq!(was, old, "{one:?}");
        }
        was = change["new"].as_str().map(String::from).or(was.filter(|_| one.kind != "daemon_started"));
    }
}

#[test]
fn on_a_full_disk_events_are_heard_all_the_same_and_no_number_is_given_twice() {
    if !is_root() {
        return eprintln!("skipped: only root can mount a small disk");
    }
    let arena = Arena::new();
    arena.mount_small("state", "size=1m,mode=0700");
    let id = arena.sh("a", "exec sleep 600");
    let mut listener = arena.listen("", None);
    std::fs::write(arena.state().join("ballast"), vec![0; 2 << 20]).unwrap_err();
    let mut last = 0;
    for n in 0..40 {
        arena.run(&["pin", &id]).ok();
        let heard = listener.until("session_changed", &id);
        assert!(heard.number > last, "{heard:?}");
        last = heard.number;
        if n > 3 && arena.status()["memory"]["trouble"].is_string() {
            break;
        }
    }
    until("it is said", || arena.status()["memory"]["trouble"].is_string());
    arena.run(&["unpin", &id]).ok();
    last = listener.until("session_changed", &id).number;
    // The next daemon does not know what was heard.
    arena.kill_daemon();
    arena.make_room("state", "size=16m");
    arena.run(&["daemon", "start"]).ok();
    let mut again = arena.listen("", Some(last));
    let first = again.next().unwrap();
    assert!(first.number > last, "{first:?} after {last}");
    assert!(first.kind == "resync" || first.number == last + 1, "{first:?} after {last}");
    arena.run(&["pin", &id]).ok();
    again.until("session_changed", &id);
}

#[test]
fn readers_have_so_many_places_and_no_more() {
    let arena = Arena::new();
    arena.run(&["daemon", "start"]).ok();
    let many: Vec<Listener> = (0..64).map(|_| arena.listen("", None)).collect();
    assert!(many.iter().all(|l| l.status == 200));
    assert_eq!(arena.listen("", None).status, 429);
    drop(many);
    until("there is room again", || arena.listen("", None).status == 200);
    let refused = ask(&arena.socket(), "GET", "/api/events?kind=moon_rose", "");
    assert_eq!(refused.status, 400);
    assert_eq!(ask(&arena.socket(), "GET", "/api/events?since=yesterdayish", "").status, 400);
}

#[test]
fn an_end_that_a_crash_of_the_daemon_hid_is_told_by_the_next_one_once() {
    let arena = Arena::new();
    let id = arena.sh("a", "read x; exit 4");
    arena.run(&["wait", &id, "--timeout", "10ms"]).fails(124, "");
    arena.kill_daemon();
    // Its keeper ends it while nobody listens.
    let keeper = arena.keepers()[0].id;
    let agent = arena.agents()[0].id;
    arena.kill(agent);
    until("the keeper has gone", || !beadle::sys::process::is_alive(keeper));
    for _ in 0..2 {
        arena.run(&["daemon", "start"]).ok();
        until("its end is told", || !arena.kept_events("&since=0&kind=session_ended").is_empty());
        arena.kill_daemon();
    }
    arena.run(&["daemon", "start"]).ok();
    let events = arena.kept_events("&since=0&kind=session_started,session_ended");
    let of_it: Vec<&Value> = events.iter().filter(|e| e["sessionId"] == id.as_str()).map(|e| &e["kind"]).collect();
    assert_eq!(of_it, ["session_started", "session_ended"]);
}

// ---- readers that are slow, and those that do not read at all

impl Arena {
    /// A daemon that waits for no client longer than this.
    pub fn begin_impatient(&self, millis: u32) {
        let mut command = self.beadle(&["daemon", "start"]);
        command.env("BEADLE_FAILPOINTS", format!("patience={millis}"));
        super::support::Running::of(command).wait().ok();
    }

    /// Asks, and reads nothing of the answer.
    fn deaf(&self, path: &str) -> UnixStream {
        let mut stream = UnixStream::connect(self.socket()).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: b\r\n\r\n").unwrap();
        stream
    }
}

fn was_hung_up_on(stream: &mut UnixStream) -> bool {
    // An empty line before a request means nothing (RFC 9112, 2.2).
    stream.write_all(b"\r\n").is_err_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}

#[test]
fn a_reader_that_takes_nothing_loses_its_place_and_one_that_is_slow_misses_nothing() {
    const EVENTS: u64 = 3_000;
    let arena = Arena::new();
    arena.begin_impatient(8_000);
    let socket = arena.socket();
    let from = arena.kept_events("").last().unwrap()["number"].as_u64().unwrap();
    let mut slow = arena.listen("", Some(from));
    let mut deaf: Vec<UnixStream> = (0..63).map(|_| arena.deaf("/api/events")).collect();
    until("every place is taken", || arena.listen("", None).status == 429 || deaf.iter_mut().any(was_hung_up_on));
    // More than is kept in memory, and more than any socket holds.
    let done = AtomicU64::new(0);
    let heard = std::thread::scope(|scope| {
        scope.spawn(|| chatter(&socket, EVENTS, &done));
        let slow = scope.spawn(|| {
            let mut heard: Vec<Heard> = Vec::new();
            while heard.last().is_none_or(|h| h.number < from + EVENTS) {
                std::thread::sleep(std::time::Duration::from_millis(if heard.len() < 1000 { 2 } else { 0 }));
                heard.push(slow.next().expect("who reads is not hung up on"));
            }
            heard
        });
        // Whoever comes meanwhile finds a place, and hears of what happens now.
        until("places are free again", || arena.listen("", None).status == 200);
        let mut late = arena.listen("", None);
        // All of the others may have happened already.
        arena.sh("late", "exit 0");
        assert!(late.next().is_some());
        slow.join().unwrap()
    });
    assert_eq!(numbers(&heard), (from + 1..=from + EVENTS).collect::<Vec<_>>());
    until("those who read nothing were hung up on", || deaf.iter_mut().all(was_hung_up_on));
    // One of them comes back, and has missed nothing.
    let mut back = arena.listen("", Some(from));
    let missed: Vec<u64> = (0..EVENTS).map(|_| back.next().unwrap().number).collect();
    assert_eq!(missed, numbers(&heard));
    assert!(arena.log().contains("hung up on a client that took nothing"));
}

#[test]
fn who_asks_and_never_reads_the_answer_is_hung_up_on_whatever_it_asked() {
    let arena = Arena::new();
    arena.begin_impatient(300);
    let mut deaf = [arena.deaf("/api/version"), arena.deaf("/api/openapi.json"), arena.deaf("/metrics")];
    // More answers than a socket holds.
    for _ in 0..500 {
        if deaf[1].write_all(b"GET /api/openapi.json HTTP/1.1\r\nhost: b\r\n\r\n").is_err() {
            break;
        }
    }
    let id = arena.sh("a", "exec sleep 600");
    until("they were hung up on", || deaf.iter_mut().all(was_hung_up_on));
    assert_eq!(arena.show(&id)["state"], "running");
    assert!(arena.daemons().len() == 1);
}
