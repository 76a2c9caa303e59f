//! Another machine, over `ssh`: one arena is here and one is there. Between them stands a script that runs at once what
//! `ssh` would run there, or a real `sshd` where one is installed.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use beadle::model::session::ProcId;
use beadle::sys::process;
use rustix::process::Signal;

use super::support::{Arena, Running, Said, has, is_root, until, until_some};

const SSH: &str = "/usr/bin/ssh";
const SSHD: &str = "/usr/sbin/sshd";

/// Two arenas, and the way from one to the other.
struct Pair {
    here: Arena,
    there: Arena,
    url: String,
    sshd: Option<Running>,
}

impl Pair {
    /// With a script called `ssh`.
    fn scripted() -> Self {
        let (here, there) = (Arena::new(), far());
        let set = settings(&there, '\'');
        let log = here.path("ssh.log");
        let script = format!(
            "#!/bin/sh\nfor word; do echo \"$word\" >>{0}; done\necho -- >>{0}\nfor last; do :; done\ncd {1}\nexec env -i{set} sh -c \"$last\"\n",
            log.display(),
            there.path("work").display()
        );
        std::fs::create_dir(here.path("bin")).unwrap();
        here.script("bin/ssh", &script);
        Self { here, there, url: "ssh://me@far.example:2222".into(), sshd: None }
    }

    /// With an `sshd` of its own, on a port of its own, with keys of its own.
    fn real() -> Option<Self> {
        if !Path::new(SSHD).exists() || !has("ssh") || !has("ssh-keygen") || !is_root() {
            eprintln!("skipped: no sshd is installed, or this is not root");
            return None;
        }
        let (here, there) = (Arena::new(), far());
        for key in ["host", "user"] {
            let mut keygen = Command::new("ssh-keygen");
            keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(here.path(key));
            assert!(keygen.status().unwrap().success());
        }
        // Where it puts itself away; of the system, and empty.
        std::fs::create_dir_all("/run/sshd").unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let set = settings(&there, '"');
        let at = |name: &str| here.path(name).display().to_string();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\nStrictModes no\n\
             PasswordAuthentication no\nPermitRootLogin yes\nSetEnv{set}\n",
            at("host"),
            at("user.pub")
        );
        std::fs::write(here.path("sshd_config"), config).unwrap();
        let client = format!(
            "IdentityFile {}\nIdentitiesOnly yes\nStrictHostKeyChecking no\nUserKnownHostsFile {}\n",
            at("user"),
            at("known")
        );
        std::fs::write(here.path("ssh_config"), client).unwrap();
        std::fs::create_dir(here.path("bin")).unwrap();
        here.script(
            "bin/ssh",
            &format!("#!/bin/sh\necho -- >>{}\nexec {SSH} -F {} \"$@\"\n", at("ssh.log"), at("ssh_config")),
        );
        let mut command = here.program(SSHD);
        command.args(["-D", "-e", "-f"]).arg(here.path("sshd_config"));
        let sshd = Running::of(command);
        until("sshd listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        Some(Self { here, there, url: format!("ssh://root@127.0.0.1:{port}"), sshd: Some(sshd) })
    }

    /// A verb here, about there.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.here.beadle(args);
        command.env("BEADLE_HOST", &self.url).env("PATH", self.path()).env("ONLY_HERE", "secret");
        command
    }

    fn path(&self) -> String {
        format!(
            "{}:{}:/usr/local/bin:/usr/bin:/bin",
            self.here.path("bin").display(),
            Path::new(self.here.binary()).parent().unwrap().display()
        )
    }

    #[track_caller]
    fn run(&self, args: &[&str]) -> Said {
        Running::of(self.command(args)).wait()
    }

    #[track_caller]
    fn session(&self, args: &[&str]) -> String {
        self.run(&[&["run"], args].concat()).ok().trim().to_string()
    }

    /// How often `ssh` was started.
    fn calls(&self) -> usize {
        let log = std::fs::read_to_string(self.here.path("ssh.log")).unwrap_or_default();
        log.lines().filter(|line| *line == "--").count()
    }

    /// What stands at the other end of the connections: `dial-stdio`, and with a real one the `sshd` of each.
    fn far_ends(&self) -> Vec<i32> {
        let is_far = |arguments: &[String]| arguments.iter().any(|a| a == "dial-stdio");
        self.there.processes().into_iter().filter(|p| is_far(&p.arguments)).map(|p| p.id.pid).collect()
    }
}

/// An arena with `beadle` on its path.
fn far() -> Arena {
    let arena = Arena::new();
    std::fs::create_dir(arena.path("far-bin")).unwrap();
    std::os::unix::fs::symlink(arena.binary(), arena.path("far-bin/beadle")).unwrap();
    arena
}

/// The environment of everything there.
fn environment(arena: &Arena) -> BTreeMap<String, String> {
    let text = |s: &std::ffi::OsStr| s.to_str().unwrap().to_string();
    let command = arena.program("true");
    let set = command.get_envs().filter_map(|(k, v)| Some((text(k), text(v?))));
    let mut all: BTreeMap<String, String> = set.collect();
    all.insert("PATH".into(), format!("{}:/usr/local/bin:/usr/bin:/bin", arena.path("far-bin").display()));
    // What a daemon keeps of the environment it is started in (`XDG_*`, `LC_*`, …) reaches its sessions.
    all.insert("LC_ONLY_THERE".into(), "far".into());
    all
}

/// The same in one line, each in these quotes.
fn settings(arena: &Arena, quote: char) -> String {
    let all: Vec<String> = environment(arena).iter().map(|(k, v)| format!(" {quote}{k}={v}{quote}")).collect();
    all.concat()
}

/// A terminal here.
struct Pane<'a> {
    pair: &'a Pair,
    socket: PathBuf,
}

impl<'a> Pane<'a> {
    fn open(pair: &'a Pair) -> Option<Self> {
        if !has("tmux") {
            return None;
        }
        let pane = Self { pair, socket: pair.here.path("tmux") };
        pane.tmux(&["new-session", "-d", "-s", "t", "-x", "80", "-y", "24", "exec sh"]);
        pane.line("PS1='> '; echo ready-$((40+2))");
        pane.sees("ready-42");
        Some(pane)
    }

    fn tmux(&self, args: &[&str]) -> String {
        let mut command = self.pair.here.program("tmux");
        command.env("BEADLE_HOST", &self.pair.url).env("PATH", self.pair.path()).env("LANG", "C.UTF-8");
        command.arg("-S").arg(&self.socket).args(["-u", "-f", "/dev/null"]).args(args);
        Running::of(command).wait().ok()
    }

    fn key(&self, key: &str) {
        self.tmux(&["send-keys", "-t", "t", key]);
    }

    fn line(&self, text: &str) {
        self.tmux(&["send-keys", "-t", "t", "-l", "--", text]);
        self.key("Enter");
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-t", "t"])
    }

    #[track_caller]
    fn wait(&self, what: &str, is_so: impl Fn(&str) -> bool) {
        let mut last = String::new();
        let seen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            until(what, || {
                last = self.screen();
                is_so(&last)
            });
        }));
        assert!(seen.is_ok(), "{what}: {}", self.screen());
    }

    #[track_caller]
    fn sees(&self, text: &str) {
        self.wait(&format!("{text:?} on the screen"), |screen| screen.contains(text));
    }
}

/// Says who it is, then repeats what is typed.
const AGENT: &str = "echo i-am-there; exec cat";

fn the_verbs_work(pair: &Pair) {
    pair.run(&["daemon", "status"]).fails(3, "no daemon is running");
    assert!(pair.there.daemons().is_empty(), "asking starts none");
    let id = pair.session(&[
        "--name",
        "a",
        "--env",
        "NAMED=x",
        "--env",
        "ONLY_HERE",
        "--",
        "sh",
        "-c",
        "env; pwd; exec cat",
    ]);
    until("what it says", || pair.run(&["logs", "a"]).ok().contains("LC_ONLY_THERE=far"));
    let said = pair.run(&["logs", "a"]).ok();
    // There everything is of there, but for what was named.
    let home = format!("{}", pair.there.path("home").display());
    assert!(said.contains("NAMED=x") && said.contains("ONLY_HERE=secret") && said.contains(&home), "{said}");
    assert!(!said.contains("BEADLE_HOST") && !said.contains(pair.here.path("config").to_str().unwrap()), "{said}");
    let second = pair.session(&["--name", "b", "--cwd", "/", "--", "sh", "-c", "env; exec sleep 600"]);
    until("what it says", || pair.run(&["logs", "b"]).ok().contains("LC_ONLY_THERE"));
    assert!(!pair.run(&["logs", "b"]).ok().contains("ONLY_HERE"));
    assert_eq!(pair.there.show(&second)["workspace"], "/");
    pair.run(&["send", "a", "word", "--enter"]).ok();
    until("its echo", || pair.run(&["peek", "a"]).ok().matches("word").count() == 2);
    let rows = pair.run(&["ls", "--json"]).json();
    assert_eq!(rows.as_array().unwrap().len(), 2, "{rows}");
    assert_eq!(pair.run(&["kill", &id, "--json"]).json()["closed"], 1);
    pair.run(&["close-all"]).ok();
    // The other end of a connection that was hung up on takes a moment to see it.
    let is_way = |arguments: &[String]| arguments.iter().any(|a| a == "dial-stdio");
    assert!(pair.there.agents().iter().all(|p| is_way(&p.arguments)), "{:?}", pair.there.agents());
    pair.run(&["daemon", "stop"]).ok();
    until("no daemon there", || pair.there.daemons().is_empty());
    assert!(pair.here.daemons().is_empty(), "none is needed here");
}

#[test]
fn every_verb_works_on_another_machine() {
    the_verbs_work(&Pair::scripted());
}

#[test]
fn every_verb_works_over_a_real_sshd() {
    let Some(mut pair) = Pair::real() else { return };
    the_verbs_work(&pair);
    // And when it is gone, that is said.
    pair.sshd.take().unwrap().end();
    pair.run(&["ls"]).fails(3, "onnection refused");
}

fn attach_and_interface(pair: &Pair) {
    let Some(pane) = Pane::open(pair) else { return };
    pair.session(&["--name", "far-one", "--", "sh", "-c", AGENT]);
    pane.line("beadle attach far-one; echo left=$?.");
    pane.sees("i-am-there");
    pane.line("ping");
    pane.wait("its echo and its answer", |screen| screen.matches("ping").count() == 2);
    pane.key("C-]");
    pane.sees("left=0.");
    pane.line("clear; beadle; echo left=$?.");
    pane.sees("1 healthy");
    pane.sees("i-am-there");
    pane.key("Enter");
    pane.wait("the session's own screen", |screen| screen.contains("i-am-there") && !screen.contains("healthy"));
    pane.line("pong");
    pane.wait("its echo and its answer", |screen| screen.matches("pong").count() == 2);
    pane.key("C-]");
    pane.sees("1 healthy");
    pane.key("x");
    pane.sees("Kill far-one?");
    pane.key("y");
    pane.sees("✔ far-one");
    pane.key("Escape");
    pane.wait("the report is closed", |screen| !screen.contains("✔ far-one"));
    // A new one, wherever the daemon there starts things.
    pane.key("n");
    pane.sees("New session");
    pane.key("C-u");
    pane.line("sleep 600");
    let running = || pair.there.all().into_iter().find(|s| s["state"] == "running");
    let workspace = until_some("the new session", running)["workspace"].clone();
    assert!(!workspace.as_str().unwrap().starts_with(pair.here.path("").to_str().unwrap()), "{workspace}");
    pane.sees("1 healthy");
    pane.key("q");
    pane.sees("left=0.");
}

#[test]
fn a_session_of_another_machine_is_attached_and_shown_as_one_of_this() {
    attach_and_interface(&Pair::scripted());
}

#[test]
fn the_same_over_a_real_sshd() {
    let Some(pair) = Pair::real() else { return };
    attach_and_interface(&pair);
}

#[test]
fn the_interface_uses_few_connections_and_uses_them_again() {
    let pair = Pair::scripted();
    let Some(pane) = Pane::open(&pair) else { return };
    pair.session(&["--name", "talks", "--", "sh", "-c", "i=0; while :; do i=$((i+1)); echo line-$i; sleep 0.1; done"]);
    let before = pair.calls();
    pane.line("beadle");
    pane.sees("1 healthy");
    for line in ["line-30", "line-60", "line-90"] {
        pane.sees(line);
    }
    assert!(pair.calls() - before <= 4, "{} connections", pair.calls() - before);
    pane.key("q");
}

/// What `wait` says when the machine goes under it.
fn left_waiting() -> Said {
    let pair = Pair::scripted();
    pair.session(&["--name", "a", "--", "sh", "-c", AGENT]);
    let waiting = Running::of(pair.command(&["wait", "a"]));
    until("it waits", || !pair.far_ends().is_empty());
    // The machine is gone: what stood there, and the way to it.
    pair.here.script(
        "bin/ssh",
        "#!/bin/sh\necho 'ssh: connect to host far.example port 2222: No route to host' >&2\nexit 255\n",
    );
    for seen in pair.there.processes().into_iter().filter(|p| pair.far_ends().contains(&p.id.pid)) {
        pair.there.signal(seen.id, Signal::KILL);
    }
    let said = waiting.wait();
    said.fails(125, "No route to host");
    assert!(said.err.contains("ssh://me@far.example:2222"), "{said:?}");
    pair.run(&["ls"]).fails(3, "failed to reach the daemon at ssh://me@far.example:2222: ssh: connect");
    said
}

#[test]
fn a_far_side_that_goes_in_the_middle_is_said() {
    // Who has not been greeted yet was never connected, and does not try again.
    let tried_again = (0..10).any(|_| left_waiting().err.contains("trying again"));
    assert!(tried_again, "nobody who waited tried again");
}

#[test]
fn an_attached_terminal_is_given_back_when_the_far_side_goes() {
    let pair = Pair::scripted();
    let Some(pane) = Pane::open(&pair) else { return };
    pair.session(&["--name", "a", "--", "sh", "-c", AGENT]);
    pane.line("beadle attach a; echo left=$?.");
    pane.sees("i-am-there");
    pair.here.script("bin/ssh", "#!/bin/sh\necho 'No route to host' >&2\nexit 255\n");
    for seen in pair.there.processes().into_iter().filter(|p| pair.far_ends().contains(&p.id.pid)) {
        pair.there.signal(seen.id, Signal::KILL);
    }
    pane.sees("left=3.");
    pane.sees("No route to");
}

#[test]
fn the_interface_says_that_the_far_side_is_gone_and_shows_it_again_when_it_is_back() {
    let pair = Pair::scripted();
    let Some(pane) = Pane::open(&pair) else { return };
    pair.session(&["--name", "a", "--", "sh", "-c", AGENT]);
    pane.line("beadle; echo left=$?.");
    pane.sees("1 healthy");
    let ssh = std::fs::read_to_string(pair.here.path("bin/ssh")).unwrap();
    pair.here.script("bin/ssh", "#!/bin/sh\necho 'No route to host' >&2\nexit 255\n");
    for seen in pair.there.processes().into_iter().filter(|p| pair.far_ends().contains(&p.id.pid)) {
        pair.there.signal(seen.id, Signal::KILL);
    }
    pane.sees("connection lost");
    pair.here.script("bin/ssh", &ssh);
    pane.wait("the table again", |screen| screen.contains("1 healthy") && !screen.contains("connection lost"));
    pane.key("q");
    pane.sees("left=0.");
}

#[test]
fn no_verb_is_left_out_over_the_way() {
    let pair = Pair::scripted();
    let id = pair.session(&["--name", "a", "--", "sh", "-c", "sleep 600 & echo $! >../child; exec cat"]);
    let pid = pair.there.line_of("child");
    for args in [
        &["show", "a"][..],
        &["health"],
        &["peek", "a"],
        &["logs", "a"],
        &["pause", "a"],
        &["unpause", "a"],
        &["pin", "a"],
        &["unpin", "a"],
        &["rename", "a", "b"],
        &["signal", "b", "WINCH"],
        &["heartbeat", "b"],
        &["keep-child", &pid],
        &["cleanup"],
        &["cleanup", "set", "max_idle=50m"],
        &["cleanup", "now"],
        &["sweep", "--dry-run"],
        &["restart", "b"],
        &["kill", "b", "--dry-run"],
        &["status"],
        &["daemon", "status"],
        &["daemon", "start"],
        &["daemon", "restart"],
        &["config", "reload"],
        &["kill", "b"],
        &["restart", "b"],
        &["close-all"],
        &["history"],
        &["audit"],
        &["stats"],
        &["events"],
        &["export", &id, "-o", "kept"],
        &["rm", &id],
        &["release"],
        &["daemon", "stop", "--yes"],
    ] {
        let said = pair.run(args);
        assert_eq!(said.status, 0, "{args:?}: {said:?}");
    }
    // What is handed over is written down here.
    assert!(pair.here.path("work/kept/session.cast").exists() && !pair.there.path("work/kept").exists());
    assert!(pair.here.daemons().is_empty());
}

#[test]
fn a_real_far_side_that_falls_silent_is_said() {
    let Some(pair) = Pair::real() else { return };
    pair.session(&["--name", "a", "--", "sh", "-c", AGENT]);
    let waiting = Running::of(pair.command(&["wait", "a"]));
    until("it waits", || !pair.far_ends().is_empty());
    // Neither an end nor an answer: as a machine that lost its power. sshd writes over its arguments and its environment,
    // so that they are found below the one that was started here.
    let all = below(pair.sshd.as_ref().unwrap().pid());
    assert!(all.len() > 1, "{all:?}");
    signal(&all, Signal::STOP);
    let said = waiting.wait();
    signal(&all, Signal::KILL);
    said.fails(125, "the connection to ssh://root@127.0.0.1:");
    assert!(said.err.contains("not responding") && said.err.contains("trying again"), "{said:?}");
}

/// A process and its descendants.
fn below(pid: i32) -> Vec<ProcId> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids: Vec<i32> = entries.filter_map(|e| e.file_name().to_str()?.parse().ok()).collect();
    let mut all = vec![process::identity(pid).unwrap()];
    let mut at = 0;
    while let Some(above) = all.get(at).copied() {
        let children = pids.iter().filter_map(|pid| process::stat(*pid)).filter(|p| p.ppid == above.pid);
        all.extend(children.map(|p| p.id));
        at += 1;
    }
    all
}

fn signal(ids: &[ProcId], signal: Signal) {
    for pin in ids.iter().filter_map(|id| process::Pin::new(*id).unwrap()) {
        // Gone in between: fine.
        let _ = rustix::process::pidfd_send_signal(&pin, signal);
    }
}

#[test]
fn a_daemon_renewed_there_is_waited_for() {
    let pair = Pair::scripted();
    pair.session(&["--name", "a", "--", "sh", "-c", "read x; exit 9"]);
    let waiting = Running::of(pair.command(&["wait", "a"]));
    until("it waits", || !pair.far_ends().is_empty());
    pair.there.kill_daemon();
    pair.run(&["daemon", "restart"]).ok();
    pair.run(&["send", "a", "x", "--enter"]).ok();
    let said = waiting.wait();
    assert_eq!(said.status, 9, "{said:?}");
}

#[test]
fn what_a_machine_or_a_user_is_called_is_no_option_and_nothing_to_a_shell() {
    let pair = Pair::scripted();
    for url in
        ["ssh://-oProxyCommand=touch pwned", "ssh://-oProxyCommand@h", "ssh://h;touch pwned", "ssh://-l@h", "ssh://"]
    {
        let mut command = pair.command(&["ls"]);
        command.env("BEADLE_HOST", url);
        Running::of(command).wait().fails(2, "is not the name of a");
        pair.run(&["--host", url, "ls"]).fails(2, "is not the name of a");
    }
    assert_eq!(pair.calls(), 0);
    pair.run(&["ls"]).ok();
    let log = std::fs::read_to_string(pair.here.path("ssh.log")).unwrap();
    let words: Vec<&str> = log.lines().collect();
    let at = words.iter().position(|word| *word == "far.example").unwrap();
    assert_eq!(words[at - 1], "--");
    assert!(words[..at].windows(2).any(|w| w == ["-l", "me"]) && words[..at].windows(2).any(|w| w == ["-p", "2222"]));
}

#[test]
fn what_is_about_this_machine_says_so() {
    let pair = Pair::scripted();
    for args in
        [&["doctor"][..], &["daemon", "logs"], &["config", "check"], &["config", "path"], &["daemon"], &["--embedded"]]
    {
        pair.run(args).fails(2, "run it on far.example");
    }
    pair.run(&["run", "--cwd", "work", "--", "true"]).fails(2, "on the other machine");
    assert_eq!(pair.calls(), 0);
}

#[test]
fn a_machine_without_beadle_or_with_a_talkative_shell_is_said() {
    let pair = Pair::scripted();
    std::fs::remove_file(pair.there.path("far-bin/beadle")).unwrap();
    pair.run(&["ls"]).fails(3, "beadle: not found");
    pair.here.script("bin/ssh", "#!/bin/sh\necho Welcome to this machine\nsleep 5\n");
    pair.run(&["ls"]).fails(1, "is not beadle");
    pair.here.script("bin/ssh", "#!/bin/sh\nprintf '\\033[31mno\\n' >&2\nexit 255\n");
    let said = pair.run(&["ls"]);
    said.fails(3, "no");
    assert!(!said.err.contains('\x1b'), "{said:?}");
}

#[test]
fn inside_a_session_there_the_rules_for_agents_hold() {
    let pair = Pair::scripted();
    let other = pair.session(&["--name", "other", "--", "sleep", "600"]);
    // The connection of an agent is an agent's: `dial-stdio` below a keeper is inside, and the way to a terminal too.
    for (name, request) in [
        ("kills", format!("POST /api/sessions/{other}/kill HTTP/1.1\\r\\nhost: b\\r\\ncontent-length: 0")),
        ("types", format!("GET /api/sessions/{other}/attach HTTP/1.1\\r\\nhost: b\\r\\nupgrade: beadle-attach")),
    ] {
        let ask = format!(
            "PATH={}:$PATH; (printf '{request}\\r\\n\\r\\n'; until grep -q 403 ../{name}; do sleep 0.1; done) | beadle dial-stdio >../{name}; exec sleep 600",
            pair.there.path("far-bin").display()
        );
        pair.there.sh(name, &ask);
        until("a refusal", || std::fs::read_to_string(pair.there.path(name)).is_ok_and(|t| t.contains("HTTP/1.1 403")));
    }
    assert_eq!(pair.there.show(&other)["state"], "running");
}
