//! The command line where it needs no daemon: help, wrong use, exit statuses. Every command runs in private
//! directories.

#![allow(clippy::unwrap_used)]

use std::process::{Command, Output, Stdio};

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_beadle"));
        command
            .args(args)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.0.path())
            .env("XDG_RUNTIME_DIR", self.0.path().join("xdg"))
            .env("BEADLE_STATE_DIR", self.0.path().join("state"))
            .env("BEADLE_RUNTIME_DIR", self.0.path().join("run"))
            .stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }
}

fn status(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

const VERBS: &[&str] = &[
    "run",
    "ls",
    "show",
    "health",
    "attach",
    "peek",
    "logs",
    "send",
    "wait",
    "kill",
    "close-all",
    "pause",
    "unpause",
    "pin",
    "unpin",
    "cleanup",
    "keep-child",
    "project",
    "restart",
    "rename",
    "rm",
    "history",
    "audit",
    "stats",
    "export",
    "heartbeat",
    "daemon",
    "config",
    "completions",
    "man",
];

#[test]
fn the_help_names_every_verb_and_goes_to_standard_output() {
    let home = Home::new();
    let help = home.run(&["--help"]);
    assert_eq!(status(&help), 0);
    for verb in VERBS {
        assert!(out(&help).lines().any(|line| line.trim_start().starts_with(&format!("{verb} "))), "{verb}");
        assert_eq!(status(&home.run(&[verb, "--help"])), 0, "{verb}");
    }
    assert!(out(&help).contains("Examples:"));
    assert_eq!(out(&home.run(&["--version"])), format!("beadle {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_use_is_2_and_says_so_on_standard_error() {
    let home = Home::new();
    for args in [
        &["nonsense"][..],
        &["ls", "--nonsense"],
        &["run"],
        &["run", "--nonsense", "true"],
        &["run", "--size", "0x0", "true"],
        &["run", "--size", "1001x24", "true"],
        &["run", "--timeout", "soon", "true"],
        &["run", "--restart", "always", "true"],
        &["run", "--env", "NOT_SET_ANYWHERE", "true"],
        &["ls", "--health", "fine"],
        &["show"],
        &["kill"],
        &["send", "a"],
        &["heartbeat"],
        &["man", "nonsense"],
        &["ls", "--host", "http://example:1"],
    ] {
        let output = home.run(args);
        assert_eq!(status(&output), 2, "{args:?}: {}", err(&output));
        assert!(!err(&output).is_empty() && out(&output).is_empty(), "{args:?}");
    }
    let output = home.run(&["run", "--size", "0x0", "true"]);
    assert!(err(&output).contains("1x1 to 1000x500"), "{}", err(&output));
}

#[test]
fn a_relative_state_directory_is_wrong_use() {
    let output = Home::new().command(&["ls"]).env("BEADLE_STATE_DIR", "here").output().unwrap();
    assert_eq!(status(&output), 2);
    assert!(err(&output).contains("BEADLE_STATE_DIR"));
}

#[test]
fn what_never_starts_a_daemon_says_3_without_one() {
    let home = Home::new();
    for args in
        [&["daemon", "status"][..], &["daemon", "status", "--json"], &["heartbeat", "k3f9q2"], &["config", "reload"]]
    {
        let output = home.run(args);
        assert_eq!(status(&output), 3, "{args:?}: {}", err(&output));
        assert!(out(&output).is_empty());
    }
    let socket = format!("unix://{}/none.sock", home.0.path().display());
    assert_eq!(status(&home.run(&["ls", "--host", &socket])), 3);
    assert!(!home.0.path().join("state").exists(), "asking leaves no trace");
}

#[test]
fn stopping_what_does_not_run_is_no_failure() {
    let output = Home::new().run(&["daemon", "stop"]);
    assert_eq!((status(&output), err(&output).as_str()), (0, "beadle: no daemon is running\n"));
}

#[test]
fn completions_and_manual_are_made() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish"] {
        let output = home.run(&["completions", shell]);
        assert_eq!(status(&output), 0);
        assert!(out(&output).contains("close-all"), "{shell}");
    }
    for args in [&["man"][..], &["man", "run"], &["man", "daemon"]] {
        let output = home.run(args);
        assert_eq!(status(&output), 0, "{args:?}");
        assert!(out(&output).contains(".TH"), "{args:?}");
    }
}

#[test]
fn a_reader_that_has_seen_enough_ends_the_verb_quietly() {
    let home = Home::new();
    let mut child =
        home.command(&["completions", "zsh"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((status(&output), err(&output).as_str()), (0, ""));
}

#[test]
fn the_config_path_is_where_the_environment_says() {
    let home = Home::new();
    let expected = home.0.path().join(".config/beadle/config.toml");
    assert_eq!(out(&home.run(&["config", "path"])).trim_end(), expected.to_str().unwrap());
    let output = home.command(&["config", "path"]).env("BEADLE_CONFIG", "/x/y.toml").output().unwrap();
    assert_eq!(out(&output), "/x/y.toml\n");
}

#[test]
fn the_settings_are_shown_and_checked_without_the_token() {
    let home = Home::new();
    let file = home.0.path().join("config.toml");
    let run = |args: &[&str]| home.command(args).env("BEADLE_CONFIG", &file).output().unwrap();
    let secret = "0123456789abcdef0123456789abcdef";
    std::fs::write(&file, format!("[cleanup]\nmax_idle = \"10m\"\n[server]\ntoken = \"{secret}\"\n")).unwrap();
    for args in [&["config", "show"][..], &["config", "show", "--json"], &["config"]] {
        let output = run(args);
        assert_eq!(status(&output), 0, "{}", err(&output));
        assert!(out(&output).contains("10m") && !out(&output).contains(secret), "{args:?}");
    }
    assert_eq!(status(&run(&["config", "check"])), 0);
    std::fs::write(&file, "[cleanup]\nmax_idel = \"10m\"\n").unwrap();
    let output = run(&["config", "check"]);
    assert_eq!(status(&output), 1);
    assert!(err(&output).contains("line 2") && err(&output).contains("max_idle"), "{}", err(&output));
}

#[test]
fn the_daemons_notes_are_read_without_it() {
    let home = Home::new();
    let output = home.run(&["daemon", "logs"]);
    assert_eq!((status(&output), out(&output).as_str()), (0, ""));
    let logs = home.0.path().join("state/logs");
    std::fs::create_dir_all(&logs).unwrap();
    std::fs::write(logs.join("daemon.log"), "one\ntwo\x1b[2J\nthree\n").unwrap();
    assert_eq!(out(&home.run(&["daemon", "logs", "-n", "2"])), "two·[2J\nthree\n");
}
