//! What a process carries with it that says whose it is: its environment, its service, who is above it. Each answer is
//! there or unreadable; all of it can block on a process that hangs.

use super::process;
use crate::model::stray::Asked;

/// The environment it was started with, as a block of NUL-separated variables.
pub fn environment(pid: i32) -> Asked<Vec<u8>> {
    match process::read(pid, "environ") {
        // In the middle of an execve(2), or ended.
        Ok(block) if block.is_empty() => Asked::Unreadable("its environment".into()),
        Ok(block) => Asked::Is(block),
        Err(_) => Asked::Unreadable("its environment".into()),
    }
}

/// Whether a service manager runs it: the last part of its cgroup is a unit `….service`. What is in the cgroup of beadle
/// itself is in whatever beadle was started in, and no service of its own.
pub fn is_service(pid: i32) -> Asked<bool> {
    let read = |who: &str| std::fs::read_to_string(format!("/proc/{who}/cgroup"));
    let Ok(groups) = read(&pid.to_string()) else { return Asked::Unreadable("its cgroup".into()) };
    let own = read("self").unwrap_or_default();
    Asked::Is(groups.lines().filter(|line| !own.lines().any(|o| o == *line)).any(names_a_service))
}

/// `hierarchy:controllers:path`, `cgroups(7)`.
fn names_a_service(line: &str) -> bool {
    line.splitn(3, ':').nth(2).is_some_and(|path| path.ends_with(".service"))
}

/// The first of these, nearest first, that is an editor or a program that speaks with agents over pipes.
pub fn editor(lineage: &[i32]) -> Option<String> {
    lineage.iter().find_map(|pid| editor_in(&process::arguments(*pid)))
}

/// Editors start agents without a terminal, and what they speak with them is in the arguments.
fn editor_in(arguments: &[String]) -> Option<String> {
    const AGENTS: [&str; 1] = ["cursor-agent"];
    const EDITORS: [&str; 12] = [
        "vscode",
        "vscodium",
        "code-server",
        "cursor",
        "windsurf",
        "jetbrains",
        "idea",
        "zed",
        "emacs",
        "nvim",
        "theia",
        "positron",
    ];
    let is_part = |part: &str| {
        let part = part.trim_start_matches('.').to_ascii_lowercase();
        // Agents of their own, whose makers have an editor too: one of these below the editor has the editor above it.
        if AGENTS.iter().any(|a| part == *a) {
            return None;
        }
        EDITORS
            .iter()
            .find(|e| part == **e || part.strip_prefix(**e).is_some_and(|rest| rest.starts_with(['-', '.', '_'])))
    };
    // The program and, for an interpreter, its script.
    let found = arguments.iter().take(2).flat_map(|word| word.split('/')).find_map(is_part);
    // Among its arguments a directory of an editor server is enough.
    let server =
        || arguments.iter().flat_map(|w| w.split('/')).find(|p| matches!(*p, ".vscode-server" | ".cursor-server"));
    let speaks = arguments.windows(2).any(|w| w[0] == "--input-format" && w[1] == "stream-json")
        || arguments.iter().any(|w| w == "--input-format=stream-json");
    let named = found.map(|e| (*e).to_string()).or_else(|| server().map(|s| s.trim_start_matches('.').to_string()));
    named.or_else(|| speaks.then(|| "a program that speaks with it (--input-format stream-json)".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn editors_are_known_by_a_whole_word_of_their_path() {
        let words = |line: &str| editor_in(&line.split(' ').map(String::from).collect::<Vec<_>>());
        for line in [
            "/home/me/.vscode-server/bin/abc/node out/server-main.js",
            "node /home/me/.vscode-server/extensions/x/claude",
            "/root/.cursor-server/cli/servers/node",
            "/opt/code-server/lib/node /opt/code-server",
            "nvim --embed",
            "claude --input-format stream-json --output-format stream-json",
            "claude --input-format=stream-json",
            "vscode-server",
            "/usr/share/cursor/cursor --type=utility",
            "/opt/Cursor/cursor-1.7.AppImage",
            "/root/.cursor-server/cli/servers/node /root/.cursor/extensions/x/cursor-agent",
            "/home/me/.local/share/cursor-agent/versions/1/node index.js --input-format stream-json",
        ] {
            assert!(words(line).is_some(), "{line}");
        }
        for line in [
            "claude",
            "node /usr/lib/codex.js",
            "vim ideas.txt",
            "tail -f zed.log",
            "",
            "cursor-agent",
            "/home/me/.local/bin/cursor-agent --resume",
            "/home/me/.local/share/cursor-agent/versions/2025.11/node /home/me/.local/share/cursor-agent/versions/2025.11/index.js",
        ] {
            assert_eq!(words(line), None, "{line}");
        }
    }

    #[test]
    fn a_service_is_known_by_its_unit() {
        assert!(names_a_service("0::/user.slice/user-1000.slice/user@1000.service/app.slice/worker.service"));
        assert!(names_a_service("1:name=systemd:/system.slice/cron.service"));
        for line in ["0::/", "0::/user.slice/user-1000.slice/session-3.scope", "0::/user@1000.service/init.scope", ""] {
            assert!(!names_a_service(line), "{line}");
        }
        let own = i32::try_from(std::process::id()).unwrap();
        assert_eq!(is_service(own), Asked::Is(false));
        assert!(matches!(is_service(-1), Asked::Unreadable(_)) && matches!(environment(-1), Asked::Unreadable(_)));
        assert!(matches!(environment(own), Asked::Is(_)));
    }
}
