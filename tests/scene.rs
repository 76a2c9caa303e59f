//! Which processes of a whole machine are sessions, by the profiles in the program: the situations in which supervisors
//! got it wrong. Nothing runs here; a machine is a table of command lines.

#![allow(clippy::unwrap_used)]

use std::collections::{HashMap, HashSet};

use beadle::model::process::{Proc, Table};
use beadle::model::profile::{Match, Profiles};
use beadle::model::scene::{Facts, Sighting, assemble};
use beadle::model::session::{Origin, ProcId};

/// (pid, parent, command line); the words are divided by spaces.
type Row = (i32, i32, &'static str);

fn sessions(rows: &[Row]) -> Vec<Sighting> {
    let profiles = Profiles::default();
    let words = |line: &str| line.split(' ').map(String::from).collect::<Vec<_>>();
    let proc = |(pid, parent, line): &Row| {
        let p = Proc::kin(*pid, *parent, *pid, *pid, u64::try_from(*pid).unwrap());
        if line.starts_with("tmux: server") { p.with_comm(b"tmux: server") } else { p }
    };
    let known: HashMap<i32, Match> = rows
        .iter()
        .map(|(pid, _, line)| (*pid, profiles.recognise(&words(line), None)))
        .filter(|(_, what)| *what != Match::Nothing)
        .collect();
    assemble(&Facts {
        table: &Table::new(rows.iter().map(proc)),
        known: &known,
        panes: &[],
        keepers: &rows.iter().filter(|(_, _, line)| line.starts_with("beadle keep")).map(|(pid, _, _)| *pid).collect(),
        managed: &HashSet::new(),
        protected: &HashSet::new(),
        before: &[],
    })
}

/// `agent leader`, for each.
fn told(rows: &[Row]) -> Vec<String> {
    sessions(rows).iter().map(|s| format!("{} {}", s.agent, s.leader.pid)).collect()
}

#[test]
fn agents_are_found_behind_whatever_runs_them() {
    for (line, agent) in [
        ("claude", "claude"),
        ("claude --resume 0f", "claude"),
        ("/home/u/.local/share/claude/versions/2.1.73", "claude"),
        ("node /usr/lib/node_modules/@anthropic-ai/claude-code/cli.js", "claude"),
        ("node /usr/lib/node_modules/@openai/codex/bin/codex.js", "codex"),
        ("npm exec @openai/codex", "codex"),
        ("timeout 10m claude", "claude"),
        ("sh /usr/local/bin/claude", "claude"),
        ("goose session", "goose"),
        ("goose run -t hello", "goose"),
    ] {
        let rows = [(1, 0, "init"), (50, 1, "bash"), (60, 50, line)];
        assert_eq!(told(&rows), [format!("{agent} 60")], "{line}");
    }
}

#[test]
fn what_looks_like_an_agent_and_is_none_is_no_session() {
    for line in [
        // Helpers, servers, spares.
        "claude mcp serve",
        "claude daemon run",
        "claude --bg-pty-host /run/cc-daemon-1000/ab/spare/1",
        "claude --chrome-native-host",
        "codex app-server --listen unix:///x",
        "codex mcp-server",
        "codex-responses-api-proxy",
        "codex-linux-sandbox",
        "goosed agent",
        "goose mcp developer",
        // Of an editor.
        "claude --input-format stream-json --output-format stream-json",
        // Namesakes.
        "goose -dir migrations postgres up",
        "goose up",
        "vim claude",
        "less /home/u/codex",
        "grep -r claude .",
        "tail -f claude.log",
        "bash",
        "-bash",
    ] {
        let rows = [(1, 0, "init"), (50, 1, "bash"), (60, 50, line)];
        assert_eq!(told(&rows), [""; 0], "{line}");
    }
}

#[test]
fn a_wrapper_and_its_native_child_are_one_session_with_its_helpers() {
    let rows = [
        (1, 0, "init"),
        (50, 1, "bash"),
        (60, 50, "npm exec @openai/codex"),
        (61, 60, "sh -c codex"),
        (62, 61, "node /x/node_modules/@openai/codex/bin/codex.js"),
        (63, 62, "/x/vendor/codex"),
        (64, 63, "codex app-server --listen unix:///x"),
        (65, 63, "bash -lc ls"),
    ];
    let found = sessions(&rows);
    assert_eq!(found.len(), 1, "{found:?}");
    let pids: HashSet<i32> = found[0].members.iter().map(|m| m.pid).collect();
    assert_eq!((found[0].leader.pid, pids), (60, (60..=65).collect()));
    assert_eq!(found[0].helpers_in_words().as_deref(), Some("1 shared daemon"));
}

#[test]
fn an_editor_s_terminal_has_a_session_and_its_own_child_is_none() {
    let rows = [
        (1, 0, "init"),
        (40, 1, "/home/u/.vscode-server/bin/x/node server-main.js"),
        (41, 40, "claude --input-format stream-json"),
        (42, 40, "/bin/bash --init-file x.sh"),
        (43, 42, "claude"),
    ];
    assert_eq!(told(&rows), ["claude 43"]);
}

#[test]
fn agents_in_tmux_are_known_by_their_descent_and_the_server_is_nobody_s() {
    let rows = [
        (1, 0, "init"),
        (30, 1, "tmux: server"),
        (31, 30, "-bash"),
        (32, 31, "claude"),
        (33, 32, "tmux: server -L claude-swarm-1"),
        (34, 33, "claude"),
        (40, 1, "beadle keep x"),
        (41, 40, "claude"),
    ];
    let found = sessions(&rows);
    let shape: Vec<(i32, Origin, usize)> = found.iter().map(|s| (s.leader.pid, s.origin, s.members.len())).collect();
    assert_eq!(shape, [(32, Origin::Tmux, 1), (34, Origin::Tmux, 1)]);
    assert!(found.iter().all(|s| !s.members.contains(&ProcId { pid: 33, start: 33 })));
}
