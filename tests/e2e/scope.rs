//! A systemd scope for each session. The test plays the user's manager: it speaks on its private socket, and where cgroups
//! can be made it moves who is named, as systemd does.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use beadle::sys::cgroup::{self, Home};
use beadle::sys::{bus, socket};
use serde_json::{Value, json};

use super::support::{Arena, pid_of, until};

/// What it does with a connection.
#[derive(Debug, Clone)]
enum Does {
    /// Moves the process into a cgroup of that name below this one.
    Move(PathBuf),
    /// Says so, and moves nobody.
    Lie,
    Refuse,
    /// The job it began ends otherwise.
    Fail,
    /// Hears, and never answers; not even who asks is acknowledged.
    Hang,
    /// Knows who asks, and never answers.
    Sleep,
    /// Speaks something else.
    Babble,
    Leave,
}

struct Manager {
    asked: Arc<AtomicUsize>,
}

impl Manager {
    fn of(arena: &Arena, does: Does) -> Self {
        let socket = arena.path("xdg/systemd/private");
        std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
        let listener = socket::bind(&socket).unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        // Ends with the test's process; a connection each, so that one that hangs holds up no other.
        std::thread::spawn(move || serve(&listener, &does, &count));
        Self { asked }
    }

    /// How many connections there were.
    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn serve(listener: &UnixListener, does: &Does, count: &Arc<AtomicUsize>) {
    for stream in listener.incoming() {
        let (stream, does) = (stream.unwrap(), does.clone());
        count.fetch_add(1, Ordering::SeqCst);
        std::thread::spawn(move || drop(answer(stream, &does)));
    }
}

fn answer(mut stream: UnixStream, does: &Does) -> std::io::Result<()> {
    let mut heard = Vec::new();
    let mut line = |stream: &mut UnixStream| -> std::io::Result<Vec<u8>> {
        loop {
            if let Some(at) = heard.windows(2).position(|two| two == b"\r\n") {
                return Ok(heard.drain(..at + 2).collect());
            }
            hear(stream, &mut heard)?;
        }
    };
    let who = line(&mut stream)?;
    assert!(who.starts_with(b"\0AUTH EXTERNAL "), "{who:?}");
    match does {
        Does::Hang => return std::io::copy(&mut stream, &mut std::io::sink()).map(drop),
        Does::Babble => return stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        Does::Leave => return Ok(()),
        _ => stream.write_all(b"OK 0123456789abcdef0123456789abcdef\r\n")?,
    }
    assert_eq!(line(&mut stream)?, b"BEGIN\r\n");
    let (call, raw) = loop {
        if let Some((call, size)) = bus::read(&heard).unwrap() {
            break (call, heard[..size].to_vec());
        }
        hear(&mut stream, &mut heard)?;
    };
    let unit = call.words[0].clone();
    if let Does::Sleep = does {
        return std::io::copy(&mut stream, &mut std::io::sink()).map(drop);
    }
    // What nobody asked for comes in between.
    stream.write_all(&message(bus::SIGNAL, &[(3, 's', "PropertiesChanged")], &["org.freedesktop.systemd1.Unit"]))?;
    if let Does::Refuse = does {
        let error = message(bus::ERROR, &[(4, 's', "org.freedesktop.DBus.Error.AccessDenied")], &["no scopes today"]);
        return stream.write_all(&error);
    }
    stream.write_all(&message(bus::ANSWER, &[], &["/org/freedesktop/systemd1/job/7"]))?;
    let removed = |unit: &str, result: &str| message(bus::SIGNAL, &[(3, 's', "JobRemoved")], &["/job/7", unit, result]);
    stream.write_all(&removed("other.scope", "failed"))?;
    if let Does::Move(below) = does {
        let dir = below.join(&unit);
        std::fs::create_dir(&dir)?;
        std::fs::write(dir.join("cgroup.procs"), named(&raw).to_string())?;
    }
    stream.write_all(&removed(&unit, if let Does::Fail = does { "failed" } else { "done" }))?;
    std::io::copy(&mut stream, &mut std::io::sink()).map(drop)
}

fn hear(stream: &mut UnixStream, heard: &mut Vec<u8>) -> std::io::Result<()> {
    let mut buffer = [0; 4096];
    match stream.read(&mut buffer)? {
        0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
        count => {
            heard.extend(&buffer[..count]);
            Ok(())
        }
    }
}

/// The one process among the properties of a call.
fn named(call: &[u8]) -> u32 {
    let key = b"PIDs\0\x02au\0";
    let at = call.windows(key.len()).position(|w| w == key).unwrap() + key.len();
    let number = |at: usize| u32::from_le_bytes(call[at..at + 4].try_into().unwrap());
    let at = at.next_multiple_of(4);
    assert_eq!(number(at), 4);
    number(at + 4)
}

/// An answer to the first call, or a signal: with a number first, then these words.
fn message(kind: u8, fields: &[(u8, char, &str)], words: &[&str]) -> Vec<u8> {
    let pad = |bytes: &mut Vec<u8>, to: usize| bytes.resize(bytes.len().next_multiple_of(to), 0);
    let number = |n: usize| u32::try_from(n).unwrap().to_le_bytes();
    let is_signal = kind == bus::SIGNAL;
    let mut body = Vec::new();
    if is_signal {
        body.extend(number(7));
    }
    for word in words {
        pad(&mut body, 4);
        body.extend([&number(word.len())[..], word.as_bytes(), &[0]].concat());
    }
    let signature = "u".repeat(usize::from(is_signal)) + &"s".repeat(words.len());
    let mut head = Vec::new();
    for (code, kind, text) in fields {
        pad(&mut head, 8);
        head.extend([&[*code, 1, *kind as u8, 0][..], &number(text.len()), text.as_bytes(), &[0]].concat());
    }
    pad(&mut head, 8);
    head.extend([&[5, 1, b'u', 0][..], &number(1)].concat());
    head.extend([&[8, 1, b'g', 0, number(signature.len())[0]][..], signature.as_bytes(), &[0]].concat());
    let mut out = [&[b'l', kind, 0, 1][..], &number(body.len()), &number(3), &number(head.len()), &head].concat();
    pad(&mut out, 8);
    out.extend(body);
    out
}

/// A cgroup below our own in which scopes may be made; removed when nobody is left in it.
struct Ground(PathBuf);

impl Ground {
    fn find() -> Option<Self> {
        let own = i32::try_from(std::process::id()).unwrap();
        let name = format!("scopes-{own}");
        let possible = Home::find(&name).map(|home| home.remove()).is_some();
        let dir = cgroup::directory(&cgroup::lines_of(own)).filter(|_| possible);
        let Some(dir) = dir.map(|dir| dir.join(name)) else {
            eprintln!("skipped: no cgroup v2 here that may be written");
            return None;
        };
        std::fs::create_dir(&dir).unwrap();
        Some(Self(dir))
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        // Of who was just killed the kernel lets go a little later.
        for _ in 0..100 {
            remove(&self.0);
            if !self.0.exists() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

fn remove(dir: &Path) {
    for below in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if below.path().is_dir() {
            remove(&below.path());
        }
    }
    // One that is inhabited stays.
    let _ = std::fs::remove_dir(dir);
}

/// The path of the cgroup v2 of a process.
#[track_caller]
fn place(pid: &Value) -> String {
    let lines = cgroup::lines_of(pid_of(pid).pid);
    lines.lines().find_map(|l| l.strip_prefix("0::")).unwrap_or_else(|| panic!("{pid} has gone")).to_string()
}

fn finding(arena: &Arena) -> Value {
    let all = arena.json(&["doctor", "--json"]);
    all.as_array().unwrap().iter().find(|f| f["name"] == "scope").unwrap().clone()
}

fn scopes(arena: &Arena) -> Value {
    arena.status()["scopes"].clone()
}

#[track_caller]
fn is_forced(arena: &Arena, id: &str) {
    let report = arena.json(&["kill", id, "--json"]);
    assert_eq!((&report["failed"], &report["sessions"][0]["outcome"]), (&json!(0), &json!("forced")), "{report}");
    arena.until_state(id, "ended");
}

#[test]
fn a_session_is_born_in_a_scope_of_its_own_with_its_keeper_beside_it() {
    let Some(ground) = Ground::find() else { return };
    // A fence forbids to kill a cgroup whole.
    let arena = Arena::unfenced("[stop]\ngrace = \"300ms\"\n");
    let manager = Manager::of(&arena, Does::Move(ground.0.clone()));
    assert_eq!(finding(&arena)["level"], "ok", "no daemon runs, and the manager answers");
    arena.run(&["daemon", "start"]).ok();
    let scope = format!("/scopes-{}/beadle-daemon-{}.scope", std::process::id(), arena.daemon().pid);
    assert!(place(&arena.status()["pid"]).ends_with(&scope), "a daemon that a command started has left it");
    arena.run(&["daemon", "restart"]).ok();
    assert!(place(&arena.status()["pid"]).ends_with(&scope) && manager.asked() == 2, "renewed, it is where it was");
    assert_eq!(scopes(&arena), json!({"state": "untried"}));
    let id = arena.sh("a", "trap '' TERM HUP; sleep 600 & echo up >up; while :; do sleep 0.1; done");
    arena.line_of("work/up");
    let instance = arena.status()["instance"].as_str().unwrap().to_string();
    let shown = arena.show(&id);
    assert_eq!(scopes(&arena), json!({"state": "own"}));
    let scope = format!("/scopes-{}/beadle-{id}.scope", std::process::id());
    assert!(place(&shown["keeper_pid"]).ends_with(&scope), "{}", place(&shown["keeper_pid"]));
    assert!(place(&shown["leader_pid"]).ends_with(&format!("{scope}/beadle-{instance}/{id}")));
    // A daemon that came later closes it; its keeper lives to tell.
    arena.kill_daemon();
    is_forced(&arena, &id);
    assert_eq!(arena.show(&id)["exit"]["signal"], 9, "as the keeper saw it");
    // Something of the run before may keep its scope: the next has another name.
    std::fs::remove_file(arena.path("work/up")).unwrap();
    arena.run(&["restart", &id]).ok();
    arena.line_of("work/up");
    let keeper = &arena.show(&id)["keeper_pid"];
    assert!(place(keeper).ends_with(&format!("/beadle-{id}-{}.scope", pid_of(keeper).pid)), "{}", place(keeper));
    assert!(manager.asked() >= 2);
    // Without a keeper it is killed whole, and that is the cgroup below the scope.
    arena.kill(pid_of(keeper));
    until("the loss is noticed", || arena.show(&id)["health"] == "orphaned");
    is_forced(&arena, &id);
    assert!(arena.log().contains(&format!("session={id}: its cgroup was killed whole")), "{}", arena.log());
    until("nobody is left", || arena.keepers().is_empty());
}

#[test]
fn whatever_the_manager_does_a_session_starts_and_why_it_has_no_scope_is_said_once() {
    for (does, why) in [
        (Does::Lie, "moved nobody"),
        (Does::Refuse, "no scopes today"),
        (Does::Fail, "refused it: failed"),
        (Does::Hang, "did not answer within 500 ms"),
        (Does::Sleep, "did not answer within 500 ms"),
        (Does::Babble, "who asks is not known"),
        (Does::Leave, "failed to reach"),
    ] {
        let arena = Arena::new();
        let manager = Manager::of(&arena, does.clone());
        let ids = [arena.sh("a", "exec cat"), arena.sh("b", "exec cat")];
        assert_eq!(manager.asked(), 1, "{does:?}: after a failure it is left alone for a while");
        for id in &ids {
            let shown = arena.show(id);
            assert_eq!(shown["state"], "running");
            assert!(!place(&shown["leader_pid"]).contains(".scope/beadle-"), "{does:?}");
        }
        assert_eq!(arena.log().matches("no systemd scope of their own").count(), 1, "{does:?}");
        assert!(arena.log().contains(why), "{does:?}");
        let told = scopes(&arena);
        assert!(told["state"] == "failed" && told["why"].as_str().unwrap().contains(why), "{does:?}: {told}");
        let found = finding(&arena);
        assert!(found["level"] == "warn" && found["text"].as_str().unwrap().contains(why), "{does:?}: {found}");
        let status = arena.run(&["service", "status"]).out;
        assert!(status.contains(why), "{does:?}: {status}");
        assert_eq!(arena.json(&["close-all", "--json"])["failed"], 0);
    }
}

#[test]
fn where_it_is_switched_off_or_nobody_is_there_nobody_is_asked() {
    let arena = Arena::with("[sys]\nscope = false\n");
    let manager = Manager::of(&arena, Does::Hang);
    arena.sh("a", "exec cat");
    assert_eq!((manager.asked(), &scopes(&arena)["state"]), (0, &json!("off")));
    assert_eq!(finding(&arena)["level"], "note");
    let arena = Arena::new();
    arena.sh("a", "exec cat");
    assert_eq!(scopes(&arena)["state"], "absent");
    assert!(!arena.log().contains("scope"), "{}", arena.log());
}
