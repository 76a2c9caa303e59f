//! The interface in a real terminal: a tmux pane of 80×24, the real binary, real processes. Nothing sleeps for a fixed time:
//! every step waits for what a person would see.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

#[path = "interface/acts.rs"]
mod acts;
#[path = "interface/demo.rs"]
mod demo;
#[path = "interface/link.rs"]
mod link;
mod private;

use std::process::{Command, Stdio};

use beadle::model::session::ProcId;
use beadle::sys::process;
use private::{Private, until};
use rustix::process::Signal;

/// Says who it is, then repeats what is typed.
const AGENT: &str = "echo \"$1-is-here\"\nexec cat\n";
/// What of a pane's terminal an interface may have changed.
const MODES: &str = "#{alternate_on} #{cursor_flag} #{insert_flag} #{keypad_cursor_flag} #{keypad_flag} \
                     #{mouse_any_flag} #{mouse_sgr_flag} #{origin_flag} #{wrap_flag}";
/// On the screen while the table is.
const TABLE: &str = "? help";

/// A shell in a pane of a tmux server of its own.
struct Pane {
    home: Private,
}

impl Pane {
    /// `None`, said aloud, where there is no tmux.
    fn open() -> Option<Self> {
        let is_there = Command::new("tmux").arg("-V").stdout(Stdio::null()).status().is_ok_and(|s| s.success());
        if !is_there {
            eprintln!("skipped: tmux is not installed");
            return None;
        }
        let pane = Self { home: Private::new() };
        std::fs::write(pane.home.path("work/agent"), AGENT).unwrap();
        pane.tmux(&["new-session", "-d", "-s", "t", "-x", "80", "-y", "24", "sh"]);
        pane.wait("a prompt", |screen| screen.contains('$') || screen.contains('#'));
        pane.line("PS1='> '; echo before-$((40+2))");
        pane.sees("before-42");
        Some(pane)
    }

    fn tmux(&self, args: &[&str]) -> String {
        let socket = self.home.path("tmux");
        let first = ["-S", socket.to_str().unwrap(), "-f", "/dev/null"];
        let args: Vec<&str> = first.into_iter().chain(args.iter().copied()).collect();
        let output = self.home.run("tmux", &args);
        assert!(output.status.success(), "tmux {args:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-t", "t"])
    }

    #[track_caller]
    fn wait(&self, what: &str, is_so: impl Fn(&str) -> bool) {
        until(what, || is_so(&self.screen()).then_some(()), || self.screen());
    }

    #[track_caller]
    fn sees(&self, text: &str) {
        self.wait(&format!("{text:?} on the screen"), |screen| screen.contains(text));
    }

    #[track_caller]
    fn sees_no(&self, text: &str) {
        self.wait(&format!("{text:?} gone from the screen"), |screen| !screen.contains(text));
    }

    /// One key, by its tmux name.
    fn key(&self, key: &str) {
        self.tmux(&["send-keys", "-t", "t", key]);
    }

    fn text(&self, text: &str) {
        self.tmux(&["send-keys", "-t", "t", "-l", "--", text]);
    }

    fn line(&self, text: &str) {
        self.text(text);
        self.key("Enter");
    }

    /// What the shell's terminal is like, asked from inside and from outside.
    #[track_caller]
    fn modes(&self, file: &str) -> (String, String) {
        let path = self.home.path(&format!("work/{file}"));
        self.line(&format!("stty -a >{file}.part; mv {file}.part {file}"));
        let stty = until("the modes of the terminal", || std::fs::read_to_string(&path).ok(), || self.screen());
        (stty, self.tmux(&["display-message", "-p", "-t", "t", MODES]))
    }

    /// Starts the interface, and waits for its first picture.
    #[track_caller]
    fn start(&self, words: &str) {
        self.line(&format!("{words}; echo left=$?."));
        self.sees(TABLE);
    }

    /// The interface has gone, and left the screen as it was.
    #[track_caller]
    fn ended(&self, status: i32) {
        self.sees(&format!("left={status}."));
        self.sees("before-42");
        assert!(!self.screen().contains(TABLE), "{}", self.screen());
    }

    /// The program in the foreground of the pane.
    #[track_caller]
    fn interface(&self) -> ProcId {
        let shell: i32 = self.tmux(&["display-message", "-p", "-t", "t", "#{pane_pid}"]).trim().parse().unwrap();
        let is_child = |id: &ProcId| process::stat(id.pid).is_some_and(|p| p.ppid == shell);
        until("a child of the shell", || self.home.processes().into_iter().find(is_child), || self.screen())
    }

    #[track_caller]
    fn session(&self, name: &str) {
        self.home.beadle(&["run", "--name", name, "--", "sh", "agent", name]);
    }
}

impl Drop for Pane {
    fn drop(&mut self) {
        // Its sessions first, then the server; the guard of the directories takes what is left.
        let _ = self.home.run(env!("CARGO_BIN_EXE_beadle"), &["daemon", "stop", "--yes"]);
        let socket = self.home.path("tmux");
        let _ = self.home.run("tmux", &["-S", socket.to_str().unwrap(), "kill-server"]);
    }
}

#[test]
fn a_day_in_the_interface_and_the_terminal_as_it_was_afterwards() {
    let Some(pane) = Pane::open() else { return };
    let before = pane.modes("before");
    pane.start("beadle");
    pane.sees("No sessions.");

    start_by_form(&pane);
    look_at_another(&pane);
    attach_and_detach(&pane);
    kill_one(&pane);
    close_all(&pane);

    pane.key("?");
    pane.sees("Moving");
    pane.key("Escape");
    pane.sees_no("Moving");
    // The next thing on top is the report; then nothing is, and the program stays.
    pane.sees("✔ third");
    pane.key("Escape");
    pane.sees_no("✔ third");
    pane.key("/");
    pane.sees("Enter keeps");
    pane.key("Escape");
    pane.sees(TABLE);
    pane.key("q");
    pane.ended(0);
    assert_eq!(pane.modes("after"), before);
}

fn start_by_form(pane: &Pane) {
    pane.key("n");
    pane.sees("New session");
    pane.key("C-u");
    pane.text("sh agent first");
    pane.key("Tab");
    pane.text("first");
    pane.sees("Tab next field");
    pane.key("Enter");
    pane.sees_no("New session");
    pane.sees("first-is-here");
    assert_eq!(pane.home.names(), ["first"]);
}

fn look_at_another(pane: &Pane) {
    pane.session("second");
    pane.sees("2 healthy");
    pane.wait("the second in the table", |screen| screen.lines().any(|l| l.contains('●') && l.contains("second")));
    pane.key("j");
    pane.sees("second-is-here");
    pane.key("k");
    pane.sees("first-is-here");
}

fn attach_and_detach(pane: &Pane) {
    pane.key("Enter");
    pane.wait("the session's own screen", |screen| screen.contains("first-is-here") && !screen.contains("healthy"));
    pane.line("ping");
    pane.wait("its echo and its answer", |screen| screen.matches("ping").count() == 2);
    pane.key("C-]");
    pane.sees("2 healthy");
    pane.wait("what was typed, in the picture", |screen| screen.matches("ping").count() == 2);
}

fn kill_one(pane: &Pane) {
    pane.key("x");
    pane.sees("Kill first?");
    pane.sees("[ Cancel ]");
    pane.key("Enter");
    pane.sees_no("Kill first?");
    assert_eq!(pane.home.names(), ["first", "second"]);
    pane.key("x");
    pane.sees("Kill first?");
    pane.key("Tab");
    pane.sees("[ Kill ]");
    pane.key("Enter");
    pane.sees("✔ first");
    pane.sees("1 healthy");
    assert_eq!(pane.home.names(), ["second"]);
}

fn close_all(pane: &Pane) {
    pane.session("third");
    pane.sees("2 healthy");
    pane.key("C");
    pane.wait("both named", |screen| {
        screen.contains("Close all: 2 sessions?") && screen.contains("second") && screen.contains("third")
    });
    pane.key("y");
    pane.sees("✔ third");
    pane.sees("No sessions.");
    assert!(pane.home.names().is_empty());
}

#[test]
fn a_signal_ends_the_interface_and_leaves_the_terminal_and_the_sessions() {
    let Some(pane) = Pane::open() else { return };
    let before = pane.modes("before");
    pane.session("stays");
    for (signal, file) in [(Signal::TERM, "after-term"), (Signal::HUP, "after-hup"), (Signal::INT, "after-int")] {
        pane.start("beadle");
        pane.sees("stays-is-here");
        pane.home.signal(pane.interface(), signal);
        pane.ended(0);
        assert_eq!(pane.modes(file), before, "{signal:?}");
        pane.line("clear; echo before-$((40+2))");
        pane.wait("a clear screen", |screen| screen.contains("before-42") && !screen.contains("left="));
    }
    assert_eq!(pane.home.names(), ["stays"]);
}

#[test]
fn a_signal_while_somebody_is_attached_leaves_the_terminal_too() {
    let Some(pane) = Pane::open() else { return };
    let before = pane.modes("before");
    pane.session("stays");
    pane.start("beadle");
    pane.sees("stays-is-here");
    pane.key("Enter");
    pane.wait("the session's own screen", |screen| screen.contains("stays-is-here") && !screen.contains("healthy"));
    pane.home.signal(pane.interface(), Signal::TERM);
    pane.sees("left=0.");
    assert_eq!(pane.modes("after"), before);
    assert_eq!(pane.home.names(), ["stays"]);
}

#[test]
fn control_z_gives_the_terminal_to_the_shell_and_fg_brings_the_table_back() {
    let Some(pane) = Pane::open() else { return };
    let before = pane.modes("before");
    pane.session("stays");
    pane.line("beadle");
    pane.sees("stays-is-here");
    pane.key("C-z");
    pane.sees("before-42");
    assert_eq!(pane.modes("stopped"), before);
    pane.line("fg");
    pane.sees("stays-is-here");
    pane.key("n");
    pane.sees("New session");
    pane.key("Escape");
    pane.sees_no("New session");
    pane.key("q");
    pane.sees("before-42");
    assert_eq!(pane.modes("after"), before);
}

#[test]
fn with_the_daemon_inside_it_is_the_same_and_sessions_outlive_it() {
    let Some(pane) = Pane::open() else { return };
    let before = pane.modes("before");
    pane.start("beadle --embedded");
    pane.sees("No sessions.");
    start_by_form(&pane);
    attach_alone(&pane);
    pane.key("q");
    pane.ended(0);
    assert_eq!(pane.modes("after"), before);
    assert_eq!(pane.home.names(), ["first"], "with its keeper, and found by the next daemon");
}

fn attach_alone(pane: &Pane) {
    pane.key("Enter");
    pane.wait("the session's own screen", |screen| screen.contains("first-is-here") && !screen.contains("healthy"));
    pane.key("C-]");
    pane.sees("1 healthy");
}

#[test]
fn with_the_daemon_inside_it_is_refused_while_another_runs() {
    let Some(pane) = Pane::open() else { return };
    pane.home.beadle(&["daemon", "start"]);
    pane.line("beadle --embedded; echo left=$?.");
    pane.sees("left=5.");
    pane.wait("the reason", |screen| screen.replace('\n', "").contains("already running"));
}

#[test]
fn what_is_typed_after_enter_never_reaches_the_table() {
    let Some(pane) = Pane::open() else { return };
    pane.session("first");
    pane.session("second");
    pane.start("beadle");
    pane.sees("first-is-here");
    // All at once, as over a slow line: on the table this would kill it, and close all.
    pane.tmux(&["send-keys", "-t", "t", "Enter", "x", "y", "C", "y"]);
    pane.wait("the session's own screen", |screen| screen.contains("first-is-here") && !screen.contains("healthy"));
    pane.key("C-]");
    pane.sees("2 healthy");
    assert_eq!(pane.home.names(), ["first", "second"]);
}

#[test]
fn a_key_acts_at_once_and_not_with_the_next_tick() {
    let Some(pane) = Pane::open() else { return };
    pane.start("beadle");
    let began = std::time::Instant::now();
    for _ in 0..5 {
        pane.key("n");
        pane.sees("New session");
        pane.key("Escape");
        pane.sees_no("New session");
    }
    // Ten keys; one that waits for the tick takes a second.
    assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn a_filter_a_palette_an_answer_and_what_was_done() {
    let Some(pane) = Pane::open() else { return };
    pane.session("first");
    pane.session("second");
    pane.start("beadle");
    pane.sees("2 healthy");
    pane.key("/");
    pane.text("name=sec*");
    pane.sees("1 of 2");
    pane.wait("the other gone from the table", |screen| !screen.contains("● first"));
    pane.key("Enter");
    pane.key(":");
    pane.sees("Tab completes");
    pane.text("typ");
    pane.key("Tab");
    pane.text("pong");
    pane.key("Enter");
    pane.wait("what was typed and its echo", |screen| screen.matches("pong").count() >= 2);
    pane.key("a");
    pane.sees("answer second");
    pane.key("7");
    pane.sees("typed into second");
    pane.key("@");
    pane.sees("$ beadle send second pong --enter");
    pane.sees("$ beadle send second --key 7");
    pane.key("Escape");
    pane.key("Escape");
    pane.wait("both again", |screen| screen.contains("● first") && screen.contains("● second"));
}

#[test]
fn what_scrolled_off_can_be_read_and_searched() {
    let Some(pane) = Pane::open() else { return };
    let script = "for i in $(seq 1 300); do echo \"number $i.\"; done; exec cat";
    pane.home.beadle(&["run", "--name", "talker", "--", "sh", "-c", script]);
    pane.start("beadle");
    pane.sees("number 300.");
    pane.key("2");
    pane.key("/");
    pane.sees("search /");
    pane.text("number 42.");
    pane.key("Enter");
    pane.wait("the line that was looked for", |screen| screen.lines().any(|line| line.trim() == "number 42."));
    pane.key("G");
    pane.sees("number 300.");
}

#[test]
fn the_mouse_is_taken_and_given_back_with_the_terminal() {
    let Some(pane) = Pane::open() else { return };
    let before = pane.modes("before");
    let has_mouse = || pane.tmux(&["display-message", "-p", "-t", "t", "#{mouse_any_flag}"]).trim() == "1";
    pane.session("stays");
    pane.start("beadle");
    pane.sees("stays-is-here");
    assert!(!has_mouse());
    pane.key("m");
    pane.sees("the mouse works here");
    pane.wait("the mouse taken", |_| has_mouse());
    pane.key("Enter");
    pane.wait("the session's own screen", |screen| screen.contains("stays-is-here") && !screen.contains("healthy"));
    pane.wait("the mouse left to the session", |_| !has_mouse());
    pane.key("C-]");
    pane.sees("1 healthy");
    pane.wait("the mouse taken again", |_| has_mouse());
    pane.home.signal(pane.interface(), Signal::TERM);
    pane.ended(0);
    assert_eq!(pane.modes("after"), before);
}

#[test]
fn a_session_opens_in_a_window_of_the_same_tmux() {
    let Some(pane) = Pane::open() else { return };
    pane.session("stays");
    pane.start("beadle");
    pane.sees("stays-is-here");
    pane.key("w");
    let names = || pane.tmux(&["list-windows", "-t", "t", "-F", "#W"]);
    pane.wait("a second window", |_| names().lines().any(|name| name == "stays"));
    pane.wait("the session in it", |screen| screen.contains("stays-is-here") && !screen.contains("healthy"));
}

#[test]
fn resized_to_almost_nothing_and_back_it_is_the_same() {
    let Some(pane) = Pane::open() else { return };
    pane.session("stays");
    pane.start("beadle");
    pane.sees("stays-is-here");
    for (cols, rows) in [("1", "1"), ("3", "2"), ("40", "10"), ("200", "60"), ("80", "24")] {
        pane.tmux(&["resize-window", "-t", "t", "-x", cols, "-y", rows]);
    }
    pane.sees(TABLE);
    pane.sees("stays-is-here");
}
