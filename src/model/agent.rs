//! Which kind of agent a command is. For now by the basename of what was started, looking through
//! interpreters and launchers; recognition by profile builds on this room.

/// Programs known by the name they are started under: (basename, agent).
const BY_BASENAME: &[(&str, &str)] = &[
    ("claude", "claude"),
    ("codex", "codex"),
    ("gemini", "gemini"),
    ("goose", "goose"),
    ("cursor-agent", "cursor-agent"),
    ("opencode", "opencode"),
    ("aider", "aider"),
    ("amp", "amp"),
    ("copilot", "copilot"),
    ("qwen", "qwen"),
    ("bash", "shell"),
    ("zsh", "shell"),
    ("fish", "shell"),
    ("sh", "shell"),
    ("dash", "shell"),
];

/// Package directories that stand in the path of a script agent.
const BY_PACKAGE: &[(&str, &str)] = &[
    ("@anthropic-ai/claude-code", "claude"),
    ("@openai/codex", "codex"),
    ("@google/gemini-cli", "gemini"),
    ("@qwen-code/qwen-code", "qwen"),
    ("@sourcegraph/amp", "amp"),
    ("@github/copilot", "copilot"),
];

/// Programs that only run another one: the agent is what they run.
const LAUNCHERS: &[&str] = &["node", "bun", "deno", "npx", "env", "nice", "nohup", "timeout", "stdbuf", "uv", "uvx"];

/// Agents in the order in which one is looked for when nobody said which to start.
pub const STARTABLE: &[&str] =
    &["claude", "codex", "gemini", "goose", "cursor-agent", "opencode", "aider", "amp", "copilot", "qwen"];

/// The agent a command line starts; `other` when it is none of those known.
///
/// A shell that runs a command (`sh -c …`, `bash script`) is not an interactive shell but what it
/// runs, which is nothing known here.
pub fn recognise(argv: &[String]) -> &'static str {
    let Some(first) = argv.first() else { return "other" };
    match known(first) {
        Some("shell") if argv.len() > 1 && !argv[1..].iter().all(|a| a.starts_with('-') && a != "-c") => "other",
        Some(agent) => agent,
        None if is_launcher(basename(first)) => launched(&argv[1..]),
        None => "other",
    }
}

fn launched(rest: &[String]) -> &'static str {
    rest.iter().find(|a| !a.starts_with('-') && !a.contains('=')).map_or("other", |word| known(word).unwrap_or("other"))
}

fn known(word: &str) -> Option<&'static str> {
    let by_package = BY_PACKAGE.iter().find(|(package, _)| word.contains(package)).map(|(_, agent)| *agent);
    let base = basename(word);
    by_package.or_else(|| BY_BASENAME.iter().find(|(name, _)| *name == base).map(|(_, agent)| *agent))
}

fn is_launcher(base: &str) -> bool {
    LAUNCHERS.contains(&base) || base.starts_with("python")
}

fn basename(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::recognise;

    fn agent(line: &str) -> &'static str {
        recognise(&line.split(' ').map(String::from).collect::<Vec<_>>())
    }

    #[test]
    fn an_agent_is_known_by_what_was_started() {
        for (line, expected) in [
            ("claude", "claude"),
            ("/usr/local/bin/codex --full-auto", "codex"),
            ("node /x/node_modules/@google/gemini-cli/dist/index.js", "gemini"),
            ("npx @openai/codex", "codex"),
            ("env A=b goose session", "goose"),
            ("python3 /usr/bin/aider --model x", "aider"),
            ("bash", "shell"),
            ("bash -l", "shell"),
            ("bash -c true", "other"),
            ("sh /tmp/claude.sh", "other"),
            ("sleep 1000", "other"),
            ("vim claude", "other"),
        ] {
            assert_eq!(agent(line), expected, "{line}");
        }
        assert_eq!(recognise(&[]), "other");
    }
}
