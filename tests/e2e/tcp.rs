//! The API over TCP: nobody without the token, and nobody's page with it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use super::support::{Arena, Running, Said, has, is_root, until};

pub const TOKEN: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c";

pub struct Door {
    pub arena: Arena,
    pub port: u16,
}

impl Door {
    pub fn open() -> Self {
        Self::open_with("")
    }

    /// With these failpoints.
    fn open_with(failpoints: &str) -> Self {
        let port = free_port();
        let arena = Arena::with(&format!(
            "[stop]\ngrace = \"300ms\"\n[server]\nlisten = \"127.0.0.1:{port}\"\ntoken = \"{TOKEN}\"\n"
        ));
        let mut command = arena.beadle(&["daemon", "start"]);
        command.env("BEADLE_FAILPOINTS", failpoints);
        Running::of(command).wait().ok();
        until("it listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self { arena, port }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.arena.beadle(args);
        command.env("BEADLE_HOST", format!("http://127.0.0.1:{}", self.port)).env("BEADLE_TOKEN", TOKEN);
        // Nothing of this arena's own way to its daemon.
        command
            .env("BEADLE_STATE_DIR", self.arena.path("other"))
            .env("BEADLE_RUNTIME_DIR", self.arena.path("other-run"));
        command
    }

    #[track_caller]
    fn run(&self, args: &[&str]) -> Said {
        Running::of(self.command(args)).wait()
    }

    /// What is answered to these bytes.
    #[track_caller]
    fn ask(&self, text: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(40))).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        let mut answer = Vec::new();
        // Hung up on while still sending, the end of the answer may be lost.
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// A request with these headers.
    #[track_caller]
    fn with(&self, headers: &[&str]) -> String {
        self.ask(&format!(
            "POST /api/close-all-sessions HTTP/1.1\r\nconnection: close\r\n{}\r\n\r\n",
            headers.join("\r\n")
        ))
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn nothing_listens_unless_it_is_asked_for() {
    let arena = Arena::new();
    arena.run(&["daemon", "start"]).ok();
    let daemon = arena.daemon();
    let fds = std::fs::read_dir(format!("/proc/{}/fd", daemon.pid)).unwrap().flatten();
    let own: Vec<String> =
        fds.filter_map(|fd| Some(std::fs::read_link(fd.path()).ok()?.display().to_string())).collect();
    let tcp = ["tcp", "tcp6"]
        .map(|table| std::fs::read_to_string(format!("/proc/{}/net/{table}", daemon.pid)).unwrap_or_default());
    let inodes = tcp.iter().flat_map(|t| t.lines().skip(1)).filter_map(|line| line.split_whitespace().nth(9));
    for inode in inodes {
        assert!(!own.contains(&format!("socket:[{inode}]")), "{own:?}");
    }
}

#[test]
fn with_the_token_every_verb_works() {
    let door = Door::open();
    let id = door.run(&["run", "--name", "a", "--", "sh", "-c", "env; exec cat"]).ok().trim().to_string();
    until("what it says", || door.run(&["logs", "a"]).ok().contains("BEADLE_SESSION_ID"));
    let said = door.run(&["logs", "a"]).ok();
    assert!(!said.contains(TOKEN) && !said.contains("BEADLE_HOST"), "{said}");
    assert_eq!(door.run(&["ls", "--json"]).json()[0]["id"], id.as_str());
    door.run(&["send", "a", "word", "--enter"]).ok();
    until("its echo", || door.run(&["peek", "a"]).ok().matches("word").count() == 2);
    let local = door.arena.sh("b", "env; exec sleep 600");
    assert_eq!(door.run(&["kill", &id, "--json"]).json()["closed"], 1);
    // Who asked is known as far as anybody can.
    let audit = door.run(&["audit", "--json"]).json();
    let row = audit.as_array().unwrap().iter().find(|k| k["session_id"] == id.as_str()).unwrap().clone();
    assert!(row["command"].as_str().unwrap().starts_with("over TCP from 127.0.0.1:"), "{row}");
    assert!(door.run(&["audit"]).ok().contains("over TCP from"));
    assert_eq!(door.arena.show(&local)["state"], "running");
    assert_eq!(door.run(&["close-all", "--json"]).json()["closed"], 1);
    assert!(!door.arena.log().contains(TOKEN));
    // A daemon that is to be found on the network is executed again with its port.
    door.run(&["daemon", "restart"]).ok();
    until("it listens again", || door.run(&["ls"]).status == 0);
    door.run(&["daemon", "stop"]).ok();
    until("nobody there", || TcpStream::connect(("127.0.0.1", door.port)).is_err());
}

#[test]
fn what_an_agent_inherits_holds_no_token() {
    let door = Door::open();
    let mut command = door.arena.beadle(&["run", "--name", "a", "--", "sh", "-c", "env; exec sleep 600"]);
    command.env("BEADLE_TOKEN", TOKEN).env("BEADLE_SERVER__TOKEN", TOKEN);
    Running::of(command).wait().ok();
    until("what it says", || door.arena.run(&["logs", "a"]).ok().contains("BEADLE_SESSION_ID"));
    assert!(!door.arena.run(&["logs", "a"]).ok().contains(TOKEN));
}

#[test]
fn a_terminal_is_attached_over_tcp() {
    let door = Door::open();
    if !has("tmux") {
        return;
    }
    door.run(&["run", "--name", "far", "--", "sh", "-c", "echo i-am-there; exec cat"]).ok();
    let tmux = |args: &[&str]| {
        let mut tmux = Command::new("tmux");
        let beadle = door.command(&[]);
        tmux.env_clear()
            .current_dir(door.arena.path("work"))
            .envs(beadle.get_envs().filter_map(|(k, v)| Some((k, v?))));
        tmux.arg("-S").arg(door.arena.path("tmux")).args(["-f", "/dev/null"]).args(args);
        Running::of(tmux).wait().ok()
    };
    let attach = format!("{} attach far; echo left=$?.; exec cat", door.arena.binary());
    tmux(&["new-session", "-d", "-s", "t", "-x", "80", "-y", "24", &attach]);
    let sees =
        |text: &str, times| until(text, || tmux(&["capture-pane", "-p", "-t", "t"]).matches(text).count() == times);
    sees("i-am-there", 1);
    tmux(&["send-keys", "-t", "t", "ping", "Enter"]);
    sees("ping", 2);
    assert_eq!(door.arena.show("far")["attached"], 1);
    tmux(&["send-keys", "-t", "t", "C-]"]);
    sees("left=0.", 1);
    until("nobody is attached", || door.arena.show("far")["attached"] == 0);
}

#[test]
fn without_the_token_or_from_another_place_nothing_is_done_and_it_is_noted() {
    let door = Door::open();
    let id = door.arena.sh("a", "exec sleep 600");
    let (host, token) = (format!("host: 127.0.0.1:{}", door.port), format!("authorization: Bearer {TOKEN}"));
    let (longer, shorter) = (format!("{token}0"), token[..token.len() - 1].to_string());
    let other = token.replace("0f1e", "0f1f");
    for (headers, status) in [
        (vec![host.as_str()], "401"),
        (vec![&host, &longer], "401"),
        (vec![&host, &shorter], "401"),
        (vec![&host, &other], "401"),
        (vec![&host, "authorization: Bearer "], "401"),
        (vec![&host, "authorization: Basic eDp5"], "401"),
        (vec!["host: evil.example", &token], "403"),
        (vec!["host: 127.0.0.1.evil.example", &token], "403"),
        (vec![&host, "origin: http://evil.example", &token], "403"),
        (vec![&host, "origin: null", &token], "403"),
        (vec!["x: y", &token], "403"),
    ] {
        let answer = door.with(&headers);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{headers:?}: {answer}");
        assert!(answer.contains("connection: close") && !answer.contains("x-beadle-version"), "{answer}");
    }
    assert_eq!(door.arena.show(&id)["state"], "running");
    let log = door.arena.log();
    assert!(log.matches("refused request from 127.0.0.1:").count() >= 11, "{log}");
    assert!(!log.contains(&TOKEN[..10]), "{log}");
    // The right one, in any case of the word.
    assert!(door.with(&[&host, &token.replace("Bearer", "bearer")]).starts_with("HTTP/1.1 200"));
    until("it is closed", || door.arena.show(&id)["state"] == "ended");
}

#[test]
fn an_oversized_or_endless_request_is_refused_and_harms_nobody() {
    let door = Door::open();
    let host = format!("host: 127.0.0.1:{}", door.port);
    let token = format!("authorization: Bearer {TOKEN}");
    let large = format!("POST /api/kill HTTP/1.1\r\n{host}\r\n{token}\r\ncontent-length: 999999999\r\n\r\nx");
    assert!(door.ask(&large).starts_with("HTTP/1.1 413"));
    // Who is a stranger is not even read.
    let stranger = format!("POST /api/kill HTTP/1.1\r\n{host}\r\ncontent-length: 999999999\r\n\r\nx");
    assert!(door.ask(&stranger).starts_with("HTTP/1.1 401"));
    let endless = format!("GET / HTTP/1.1\r\n{host}\r\nx: {}", "y".repeat(1 << 20));
    let answer = door.ask(&endless);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    assert!(door.ask("\x16\x03\x01\x02\x00 no HTTP at all\r\n\r\n").contains("400"));
    // More connections than one address may have, none of which says a word: the socket of this machine minds nothing.
    let silent: Vec<TcpStream> = (0..200).map(|_| TcpStream::connect(("127.0.0.1", door.port)).unwrap()).collect();
    door.arena.run(&["ls"]).ok();
    until("those beyond the limit are hung up on", || {
        let hung_up = |s: &&TcpStream| s.set_nonblocking(true).is_ok() && (&**s).read(&mut [0]).is_ok_and(|n| n == 0);
        silent.iter().filter(hung_up).count() >= 150
    });
    assert!(door.arena.log().contains("too many"));
    let lines = door.arena.log().lines().filter(|l| l.contains("too many")).count();
    assert!(lines <= 25, "{lines} lines");
    // Those that were let in and say nothing are hung up on in their time; then there is room.
    until("there is room again", || door.run(&["ls"]).status == 0);
}

#[test]
fn the_address_and_the_token_cannot_be_changed_over_http() {
    let door = Door::open();
    for setting in
        ["server.listen=0.0.0.0:1", "server.token=x", "server.insecure=true", "agents.authority=all", "listen=x"]
    {
        let said = door.run(&["cleanup", "set", setting]);
        assert_ne!(said.status, 0, "{setting}: {said:?}");
    }
}

#[test]
fn another_user_without_the_token_gets_nothing() {
    if !is_root() || !has("setpriv") || !has("curl") {
        return eprintln!("skipped: only root can become another user");
    }
    let door = Door::open();
    let id = door.arena.sh("secret-name", "exec sleep 600");
    let ask = |token: &str| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "curl", "-s", "-m", "30"]);
        command.arg("-H").arg(format!("Authorization: Bearer {token}"));
        command.arg(format!("http://127.0.0.1:{}/api/active-sessions", door.port));
        Running::of(command).wait()
    };
    for token in ["", &TOKEN[1..], &TOKEN.to_uppercase()] {
        let said = ask(token);
        assert!(said.out.contains("unauthorized") && !said.out.contains(&id), "{said:?}");
    }
    assert!(ask(TOKEN).out.contains(&id));
}

#[test]
fn a_client_says_what_is_wrong_with_the_way() {
    let door = Door::open();
    let with = |host: &str, token: &str| {
        let mut command = door.command(&["ls"]);
        command.env("BEADLE_HOST", host).env("BEADLE_TOKEN", token);
        Running::of(command).wait()
    };
    let right = format!("http://127.0.0.1:{}", door.port);
    with(&right, "").fails(2, "set BEADLE_TOKEN");
    with(&right, "wrong").fails(5, "the token is missing or wrong");
    with(&format!("http://127.0.0.1:{}", free_port()), TOKEN).fails(3, "`server.listen` set");
    with("http://127.0.0.1", TOKEN).fails(2, "needs a port");
    with(&right.replace("http", "https"), TOKEN).fails(2, "no TLS");
    with(&format!("http://localhost:{}", door.port), TOKEN).ok();
    for greeting in ["SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let other = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(greeting.as_bytes());
            // Until it hangs up.
            let _ = stream.read(&mut [0; 4096]);
        });
        with(&format!("http://127.0.0.1:{port}"), TOKEN).fails(1, "is not beadle");
        other.join().unwrap();
    }
}

#[test]
fn a_port_somebody_else_has_leaves_the_daemon_to_its_sessions() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap();
    let arena = Arena::with(&format!("[server]\nlisten = \"{at}\"\ntoken = \"{TOKEN}\"\n"));
    arena.run(&["ls"]).ok();
    until("it is noted", || arena.log().contains(&format!("failed to listen on {at}")));
    assert!(arena.run(&["daemon", "status"]).ok().contains(&format!("failed to listen on {at}")));
    // Who may read the file may do everything: doctor says who.
    assert!(arena.run(&["doctor"]).out.contains("others can read"));
}

/// Lends the way to a daemon, and has it say another version.
fn another_version(port: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for asked in listener.incoming().flatten() {
            let answers = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let (from, to) = (asked.try_clone().unwrap(), answers.try_clone().unwrap());
            std::thread::spawn(move || relay(from, to, |bytes| bytes));
            std::thread::spawn(move || relay(answers, asked, other_version));
        }
    });
    own
}

fn relay(mut from: TcpStream, mut to: TcpStream, change: impl Fn(Vec<u8>) -> Vec<u8>) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if to.write_all(&change(buffer[..count].to_vec())).is_err() {
            break;
        }
    }
    // Gone already, or told now.
    let _ = to.shutdown(std::net::Shutdown::Write);
}

fn other_version(mut bytes: Vec<u8>) -> Vec<u8> {
    let (ours, theirs) = (env!("CARGO_PKG_VERSION"), "9".repeat(env!("CARGO_PKG_VERSION").len()));
    let header = format!("x-beadle-version: {ours}\r\n");
    if let Some(at) = bytes.windows(header.len()).position(|w| w == header.as_bytes()) {
        let end = at + header.len() - 2;
        bytes[end - ours.len()..end].copy_from_slice(theirs.as_bytes());
    }
    bytes
}

#[test]
fn a_daemon_of_another_version_is_named_and_the_verbs_both_know_work() {
    let door = Door::open();
    let port = another_version(door.port);
    let run = |args: &[&str]| {
        let mut command = door.command(args);
        command.env("BEADLE_HOST", format!("http://127.0.0.1:{port}"));
        Running::of(command).wait()
    };
    let theirs = "9".repeat(env!("CARGO_PKG_VERSION").len());
    let notice = format!("this is version {}, the daemon there is {theirs}", env!("CARGO_PKG_VERSION"));
    let (a, b) = (door.arena.sh("a", "exec sleep 600"), door.arena.sh("b", "exec sleep 600"));
    let listed = run(&["ls", "--json"]);
    assert_eq!(
        (listed.err.matches(&notice).count(), listed.clone().json().as_array().unwrap().len()),
        (1, 2),
        "{listed:?}"
    );
    let killed = run(&["kill", &a, "--json"]);
    assert_eq!((killed.err.matches(&notice).count(), &killed.clone().json()["closed"]), (1, &1.into()), "{killed:?}");
    assert_eq!(run(&["close-all", "--json"]).json()["closed"], 1);
    assert_eq!(door.arena.show(&b)["state"], "ended");
    // Straight to it nothing is said.
    assert_eq!(door.run(&["ls"]).err, "");
}

#[test]
fn who_never_reads_its_answers_is_hung_up_on() {
    let door = Door::open_with("patience=500");
    let host = format!("host: 127.0.0.1:{}", door.port);
    let request = format!("GET /api/openapi.json HTTP/1.1\r\n{host}\r\nauthorization: Bearer {TOKEN}\r\n\r\n");
    let mut deaf = TcpStream::connect(("127.0.0.1", door.port)).unwrap();
    deaf.set_write_timeout(Some(Duration::from_millis(50))).unwrap();
    // One after the other, and never an answer is taken: what the kernels hold is full after some.
    until("it is hung up on", || {
        use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
        deaf.write_all(request.repeat(20).as_bytes()).is_err_and(|e| matches!(e.kind(), BrokenPipe | ConnectionReset))
    });
    assert!(door.arena.log().contains("hung up on a client that took nothing"));
    door.run(&["ls"]).ok();
}
