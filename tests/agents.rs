//! The embedded profiles against what real command lines and screens look like.

// Test code: what fails here should fail loudly, in helpers too.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use beadle::model::profile::{Gate, HelperKind, Look, Match, Profiles};
use beadle::model::session::Attention;
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
        ("node /x/node_modules/@google/gemini-cli/dist/index.js", "gemini"),
        ("/usr/bin/node --no-warnings=DEP0040 /usr/bin/gemini", "gemini"),
        ("npm exec @google/gemini-cli", "gemini"),
        (
            "/home/u/.local/share/cursor-agent/versions/1/node --use-system-ca /home/u/.local/share/cursor-agent/versions/1/index.js",
            "cursor-agent",
        ),
        ("/home/u/.local/bin/cursor-agent --use-system-ca /x/index.js", "cursor-agent"),
        ("opencode", "opencode"),
        ("node /usr/lib/node_modules/opencode-ai/bin/opencode", "opencode"),
        ("/x/opencode-linux-x64/bin/.opencode --port 1", "opencode"),
        ("/usr/bin/python3 /home/u/.local/bin/aider --model x", "aider"),
        ("python -m aider", "aider"),
        ("python3.12 /x/site-packages/aider/main.py", "aider"),
        ("uv tool run --from aider-chat aider", "aider"),
        ("node /x/node_modules/@sourcegraph/amp/dist/main.js", "amp"),
        ("node --no-warnings /x/node_modules/@github/copilot/index.js", "copilot"),
        ("copilot --resume", "copilot"),
        ("node /x/node_modules/@qwen-code/qwen-code/dist/index.js", "qwen"),
        ("qwen", "qwen"),
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
        ("opencode serve --port 1", "opencode/daemon"),
        ("copilot deploy --name x", "-copilot"),
        (
            "/home/u/.local/share/cursor-agent/versions/1/node /home/u/.local/share/cursor-agent/versions/1/index.js worker-server",
            "cursor-agent/daemon",
        ),
        ("npx -y @modelcontextprotocol/server-filesystem /srv", "mcp/mcp"),
        ("npm exec @upstash/context7-mcp", "mcp/mcp"),
        ("node /x/node_modules/@playwright/mcp/cli.js", "mcp/mcp"),
        ("uvx mcp-server-git", "mcp/mcp"),
        ("python -m mcp_server_fetch", "mcp/mcp"),
        ("docker run -i --rm ghcr.io/github/github-mcp-server", "mcp/mcp"),
        ("vim mcp.rs", ""),
        ("python /home/u/mcp/train.py", ""),
        ("cargo test mcp", ""),
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
fn a_server_with_a_port_does_not_live_by_its_standard_input() {
    let stdio = |line: &str| match Profiles::default().recognise(&argv(line), None) {
        Match::Helper { stdio, .. } => stdio,
        other => panic!("{line}: {other:?}"),
    };
    assert!(stdio("uvx mcp-server-git") && stdio("github-mcp-server stdio"));
    for line in
        ["node x-mcp --port 80", "github-mcp-server http", "mcp-proxy --transport=sse", "uvx x-mcp --transport http"]
    {
        assert!(!stdio(line), "{line}");
    }
    assert!(!stdio("codex app-server --listen unix:///x"));
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

// ---- screens: a new case is a new file in tests/screens/<agent>/ ----

/// A file: `source:` (recorded with a version, or reconstructed from where), `title:`, `says:`, `because:`,
/// a line `---`, and the screen.
struct Screen {
    path: PathBuf,
    agent: String,
    header: Vec<(String, String)>,
    text: String,
}

impl Screen {
    fn read(path: &Path) -> Self {
        let whole = fs::read_to_string(path).unwrap();
        let (header, text) = whole.split_once("---\n").unwrap();
        let pair = |line: &str| line.split_once(": ").map(|(k, v)| (k.to_string(), v.to_string())).unwrap();
        Self {
            path: path.into(),
            agent: path.parent().unwrap().file_name().unwrap().to_string_lossy().into_owned(),
            header: header.lines().map(pair).collect(),
            text: text.into(),
        }
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.header.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// What is wrong with what the profile sees there.
    fn complaint(&self) -> Option<String> {
        let profiles = Profiles::default();
        let look = profiles.by_name(&self.agent).unwrap().look(self.get("title").unwrap_or(""), &self.text);
        let (says, name) = (self.get("says").unwrap(), self.path.file_name().unwrap().to_string_lossy());
        let source = self.get("source").unwrap_or("");
        let is_right = said(&look) == says
            && self.get("because").is_none_or(|rule| look.because.as_deref() == Some(rule))
            && name.starts_with(says)
            && (source.starts_with("recorded ") || source.starts_with("reconstructed "));
        (!is_right).then(|| format!("{}: seen as {} by {:?}", self.path.display(), said(&look), look.because))
    }
}

fn said(look: &Look) -> &'static str {
    match (look.gate, look.attention) {
        (Some(Gate::Trust), _) => "trust",
        (Some(Gate::Login), _) => "login",
        (Some(Gate::Limit), _) => "limit",
        (None, Some(Attention::Working)) => "working",
        (None, Some(Attention::Waiting)) => "waiting",
        (None, Some(Attention::Idle)) => "idle",
        (None, Some(Attention::Unknown) | None) => "unknown",
    }
}

fn screens() -> Vec<Screen> {
    let entries = |dir: &Path| fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect::<Vec<_>>();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/screens");
    let mut files: Vec<PathBuf> = entries(&root).iter().flat_map(|agent| entries(agent)).collect();
    files.sort();
    files.iter().map(|f| Screen::read(f)).collect()
}

#[test]
fn every_screen_is_seen_as_a_person_would_see_it() {
    let wrong: Vec<String> = screens().iter().filter_map(Screen::complaint).collect();
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn every_agent_with_rules_has_screens_of_each_kind() {
    let screens = screens();
    for profile in Profiles::default().all().iter().filter(|p| !p.rules.is_empty()) {
        let own = || screens.iter().filter(|s| s.agent == profile.name);
        for says in ["working", "waiting", "idle"] {
            assert!(own().any(|s| s.get("says") == Some(says)), "{}: {says}", profile.name);
        }
        assert!(own().any(|s| s.path.ends_with("idle-quoted.txt")), "{}: old text must not count", profile.name);
    }
}

/// An unsteady rule would show as a state that flickers: what scrolls by above must not matter.
#[test]
fn text_far_above_changes_nothing() {
    for screen in screens().iter().filter(|s| s.get("says") != Some("unknown")) {
        let profiles = Profiles::default();
        let profile = profiles.by_name(&screen.agent).unwrap();
        let title = screen.get("title").unwrap_or("");
        let above = "✶ said before… (esc to interrupt)\nDo you want to proceed?\n\n";
        let padded = format!("{above}{}{}", "an old line of output\n".repeat(30), screen.text);
        assert_eq!(profile.look(title, &padded), profile.look(title, &screen.text), "{}", screen.path.display());
    }
}

proptest! {
    // Each case asks every pattern there is, without optimisation.
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn no_screen_brings_a_look_down(title in "\\PC{0,30}", screen in "[\\PC\n]{0,400}") {
        for profile in Profiles::default().all() {
            let _ = profile.look(&title, &screen);
        }
    }

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
