//! Who plays in the demo, and how fast its time goes.

/// The script every agent and helper of the demo is, called after the one it plays.
pub const SCRIPT: &str = include_str!("../../../assets/demo/agent.sh");

/// The programs there are.
pub const PROGRAMS: &[&str] =
    &["claude", "codex", "goose", "gemini", "mcp-server-filesystem", "mcp-server-github", "mcp-server-postgres"];

/// Helpers of agents that died before anybody looked: a sweep finds them.
pub const STRAYS: &[&str] = &["mcp-server-postgres", "mcp-server-filesystem"];

/// Minutes as seconds.
pub const CONFIG: &str = "\
[health]
stuck_after = \"40s\"
orphaned_after = \"10m\"
spin_after = \"20s\"
[cleanup]
interval = \"2s\"
max_idle = \"2m\"
max_waiting = \"10m\"
linger = \"5m\"
notice = \"1m\"
quiet_start = \"0s\"
[stop]
grace = \"2s\"
[agents]
default = \"claude\"
[sys]
scope = false
";

/// One of them.
pub struct Part {
    pub name: &'static str,
    pub program: &'static str,
    pub project: &'static str,
    /// How its day goes, as the script knows it.
    pub day: &'static str,
    pub task: &'static str,
    /// Seconds after the beginning.
    pub after: u64,
}

const fn part(
    (name, program): (&'static str, &'static str),
    project: &'static str,
    (day, task): (&'static str, &'static str),
    after: u64,
) -> Part {
    Part { name, program, project, day, task, after }
}

pub const PARTS: &[Part] = &[
    part(("nightly-refactor", "claude"), "shop", ("hangs", "split the checkout module"), 0),
    part(("frontend-CreateLoginForm", "claude"), "shop", ("asks", "add a login form"), 0),
    part(("backend-SetupDatabase", "codex"), "shop", ("works", "move the schema to version 4"), 0),
    part(("data-backfill", "codex"), "data", ("leaves", "backfill the orders of May"), 0),
    part(("orchestrator-MainTask", "goose"), "shop", ("works", "divide the work and watch it"), 0),
    part(("docs-translate", "gemini"), "docs", ("rests", "translate the manual"), 1),
    part(("api-limits", "claude"), "data", ("limited", "document the limits of the API"), 2),
    part(("release-notes", "codex"), "docs", ("asks-late", "write the release notes"), 4),
    part(("load-test", "goose"), "data", ("works", "find out what breaks first"), 8),
    part(("fix-registry", "claude"), "shop", ("fails", "install from the registry"), 14),
];
