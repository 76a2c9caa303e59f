//! The embedded profiles against what real command lines and screens look like.

// Test code: what fails here should fail loudly, in helpers too.
#![allow(clippy::unwrap_used)]

use beadle::model::profile::{HelperKind, Match, Profiles};
use proptest::prelude::*;

fn argv(line: &str) -> Vec<String> {
    line.split(' ').map(String::from).collect()
}

/// `agent`, `agent/mcp` for a helper, `-agent` for what is excluded, or nothing.
fn is(argv: &[String], exe: Option<&str>) -> String {
    match Profiles::default().recognise(argv, exe) {
        Match::Agent { name, .. } => name,
        Match::Helper { agent, kind, .. } => format!("{agent}/{}", word(kind)),
        Match::Excluded { agent, .. } => format!("-{agent}"),
        Match::Nothing => String::new(),
    }
}

fn word(kind: HelperKind) -> &'static str {
    match kind {
        HelperKind::Mcp => "mcp",
        HelperKind::Shell => "shell",
        HelperKind::Daemon => "daemon",
    }
}

#[test]
fn an_agent_is_known_by_its_command_line() {
    for (line, expected) in [
        ("claude", "claude"),
        ("/home/u/.local/bin/claude --resume x", "claude"),
        ("/home/u/.local/share/claude/versions/2.1.73", "claude"),
        ("node /usr/lib/node_modules/@anthropic-ai/claude-code/cli.js", "claude"),
        ("/usr/lib/node_modules/@anthropic-ai/claude-code/bin/claude.exe", "claude"),
        ("claude.exe", "claude"),
        ("claude --output-format stream-json -p hello", "claude"),
        ("npx -y @anthropic-ai/claude-code@latest", "claude"),
        ("codex --full-auto", "codex"),
        ("node /x/lib/node_modules/@openai/codex/bin/codex.js exec y", "codex"),
        ("/x/node_modules/@openai/codex/vendor/x86_64-unknown-linux-musl/codex/codex", "codex"),
        ("npx @openai/codex", "codex"),
        ("goose", "goose"),
        ("goose session --name x", "goose"),
        ("env A=b goose run -t hello", "goose"),
        ("timeout 10m /opt/goose run -i x.md", "goose"),
        ("bash /usr/local/bin/claude", "claude"),
        ("bash", "shell"),
        ("-zsh", "shell"),
        ("bash -l", "shell"),
        ("bash --rcfile", "shell"),
    ] {
        assert_eq!(is(&argv(line), None), expected, "{line}");
    }
}

#[test]
fn what_only_looks_like_a_session_is_none() {
    for (line, expected) in [
        ("claude --bg-pty-host /tmp/cc-daemon-1000/ab12/spare/x", "claude/daemon"),
        ("/home/u/.local/share/claude/versions/2.1.73 daemon run", "claude/daemon"),
        ("claude bg-spare", "claude/daemon"),
        ("claude mcp serve", "claude/mcp"),
        ("claude -p --output-format stream-json --input-format stream-json", "-claude"),
        ("claude --chrome-native-host", "-claude"),
        ("claude mcp list", "-claude"),
        ("codex app-server", "-codex"),
        ("codex app-server --listen unix:///tmp/x", "codex/daemon"),
        ("codex app-server daemon pid-update-loop", "codex/daemon"),
        ("codex mcp-server", "codex/mcp"),
        ("codex-code-mode-host", "-codex"),
        ("codex-responses-api-proxy", "-codex"),
        ("codex-linux-sandbox -- ls", "-codex"),
        ("goosed agent", "-goose"),
        ("goose-server agent", "-goose"),
        ("goose mcp developer", "goose/mcp"),
        ("goose up", "-goose"),
        ("goose -dir migrations postgres url up", "-goose"),
        ("goose session list", "-goose"),
        ("bash -c true", "-shell"),
        ("sh /tmp/claude.sh", "-shell"),
        ("vim claude", ""),
        ("nano /home/u/codex", ""),
        ("less /usr/lib/node_modules/@anthropic-ai/claude-code/cli.js", ""),
        ("tail -f claude", ""),
        ("/usr/lib/node_modules/@anthropic-ai/claude-code/vendor/ripgrep/x64-linux/rg x", ""),
        ("node /x/@openai/codex-sdk/dist/index.js", ""),
        ("sleep 1000", ""),
        ("node", ""),
        ("MainThread", ""),
        ("", ""),
    ] {
        assert_eq!(is(&argv(line), None), expected, "{line}");
    }
    assert_eq!(is(&[], None), "");
}

#[test]
fn the_executable_speaks_where_the_command_line_does_not() {
    let claude = "/home/u/.local/share/claude/versions/2.1.73";
    for (line, exe, expected) in [
        ("2.1.73", claude, "claude"),
        ("MainThread", claude, "claude"),
        ("2.1.73", "/home/u/.local/share/claude/versions/2.1.73 (deleted)", "claude"),
        ("rg pattern", claude, "-claude"),
        ("node-MainThread /x/@openai/codex/bin/codex.js", "/usr/bin/node", "codex"),
        ("apply_patch x", "/opt/codex", "-codex"),
        ("MainThread", "/usr/bin/node", ""),
        ("goose up", "/usr/bin/goose", "-goose"),
        ("vim claude", "/usr/bin/vim", ""),
    ] {
        assert_eq!(is(&argv(line), Some(exe)), expected, "{line} of {exe}");
    }
}

#[test]
fn a_tool_shell_is_known_by_its_snapshot() {
    let text = "source /home/u/.claude/shell-snapshots/snapshot-bash-1712-ab.sh && eval 'cargo test'";
    let shell = ["/bin/bash", "-c", text].map(String::from);
    assert_eq!(is(&shell, None), "claude/shell");
}

#[test]
fn a_match_says_by_which_rule() {
    let profiles = Profiles::default();
    let Match::Agent { rule, .. } = profiles.recognise(&argv("claude"), None) else { panic!() };
    assert_eq!(rule, "its name is claude");
    let Match::Excluded { rule, why, .. } = profiles.recognise(&argv("goose up"), None) else { panic!() };
    assert_eq!(rule, "other command");
    assert!(why.contains("SQL migration"), "{why}");
}

proptest! {
    #[test]
    fn no_command_line_brings_recognition_down(words in prop::collection::vec("\\PC{0,20}|[-a-z/@.=]{0,12}", 0..6), exe in "\\PC{0,30}") {
        let launched = ["node", "env", "bash", "uv", "npm", "script", "timeout", "python3"].map(String::from);
        for first in launched {
            let argv: Vec<String> = std::iter::once(first).chain(words.iter().cloned()).collect();
            let _ = Profiles::default().recognise(&argv, Some(&exe));
        }
        let _ = Profiles::default().recognise(&words, Some(&exe));
        let bytes: Vec<String> = words.iter().map(|w| String::from_utf8_lossy(&w.bytes().rev().collect::<Vec<_>>()).into_owned()).collect();
        let _ = Profiles::default().recognise(&bytes, None);
    }
}
