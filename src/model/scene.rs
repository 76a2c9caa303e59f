//! One pass over the machine as plain data, and the sessions in it that beadle did not start.
//!
//! ```text
//!   process table ─┐                        ┌─► found, tmux: leader, members, helpers, pane
//!   recognised ────┼─► assemble (this) ─────┤
//!   panes ─────────┤                        └─► whose each process is
//!   keepers ───────┘
//! ```
//!
//! A process belongs to one session: its nearest keeper's, else its pane's, else its own. An agent that an agent
//! started is part of the outer one, and so is the program behind a wrapper: the leader is the outermost that was
//! recognised. A tmux server is nobody's, and what is below it begins anew.

use std::collections::{HashMap, HashSet};

use super::process::{Boundary, Claim, Table, members};
use super::profile::{HelperKind, Match};
use super::session::{Origin, ProcId};

/// The profile of a shell at its prompt: no agent, and shown only when somebody asks for the panes.
pub const SHELL: &str = "shell";

/// A pane of a tmux server, as the server told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pane {
    /// The server's socket, and its process.
    pub socket: String,
    pub server: i32,
    /// `%3`: never used again in the life of the server.
    pub id: String,
    /// The first process in it.
    pub first: i32,
    /// The terminal of the pane as a device number, 0 when unknown.
    pub tty: i32,
    pub session: String,
    pub window: u32,
    pub index: u32,
    /// Last output in its window, Unix seconds.
    pub active_at: u64,
    /// Terminals attached to its session.
    pub attached: u32,
    /// What the agent calls its window; untrusted.
    pub title: String,
}

impl Pane {
    /// `tmux:<session>:<window>.<pane>`, as people name it.
    pub fn address(&self) -> String {
        format!("tmux:{}:{}.{}", self.session, self.window, self.index)
    }
}

/// All that one pass saw.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    pub table: &'a Table,
    /// What the profiles say of processes of this user and PID namespace; whoever is not here is nobody of interest.
    pub known: &'a HashMap<i32, Match>,
    pub panes: &'a [Pane],
    /// Keepers, of any instance.
    pub keepers: &'a HashSet<i32>,
    /// Members of managed sessions, wherever they are by now.
    pub managed: &'a HashSet<i32>,
    /// beadle's own processes and all their ancestors.
    pub protected: &'a HashSet<i32>,
    /// Foreign sessions as they were before: leader, and members seen.
    pub before: &'a [(ProcId, Vec<ProcId>)],
}

/// A session beadle did not start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    pub leader: ProcId,
    /// The kind of agent, or [`SHELL`].
    pub agent: String,
    pub origin: Origin,
    /// `None` too when its server does not answer.
    pub pane: Option<Pane>,
    /// The agent is the first process of its pane: the pane goes with it.
    pub is_first: bool,
    /// Live ones, the leader first while it lives.
    pub members: Vec<ProcId>,
    pub helpers: Vec<(HelperKind, ProcId)>,
}

impl Sighting {
    /// What a close of it takes: the agent and its descendants, and those seen before.
    pub fn claim(&self) -> Claim {
        Claim {
            leader: Some(self.leader),
            since: self.leader.start,
            remembered: self.members.clone(),
            foreign: true,
            ..Claim::default()
        }
    }

    pub fn is_shell(&self) -> bool {
        self.agent == SHELL
    }

    /// `2 MCP servers, 1 tool shell`.
    pub fn helpers_in_words(&self) -> Option<String> {
        let kinds =
            [(HelperKind::Mcp, "MCP server"), (HelperKind::Shell, "tool shell"), (HelperKind::Daemon, "shared daemon")];
        let words =
            kinds.iter().filter_map(|(kind, word)| match self.helpers.iter().filter(|(k, _)| k == kind).count() {
                0 => None,
                1 => Some(format!("1 {word}")),
                n => Some(format!("{n} {word}s")),
            });
        Some(words.collect::<Vec<_>>().join(", ")).filter(|w| !w.is_empty())
    }
}

/// The foreign sessions of one pass, oldest first.
pub fn assemble(facts: &Facts<'_>) -> Vec<Sighting> {
    let mut leaders: Vec<ProcId> = facts.known.keys().filter_map(|pid| leader_of(facts, *pid)).collect();
    leaders.extend(facts.before.iter().map(|(leader, _)| *leader).filter(|l| !facts.table.is_alive(*l)));
    leaders.extend(facts.panes.iter().filter_map(|pane| shell_of(facts, pane)));
    leaders.sort_unstable_by_key(|l| (l.start, l.pid));
    leaders.dedup();
    // Agents before shells: what an agent has is not its pane's shell's.
    leaders.sort_by_key(|l| is_shell(facts, l.pid));
    let live = |l: &&ProcId| facts.table.is_alive(**l);
    let servers = facts.table.iter().filter(|p| p.is_tmux_server()).map(|p| p.id.pid);
    let closed: HashSet<i32> = leaders.iter().filter(live).map(|l| l.pid).chain(servers).collect();
    let mut taken = HashSet::new();
    let mut found: Vec<Sighting> = leaders.iter().map(|l| sighting(facts, *l, &closed, &mut taken)).collect();
    found.retain(|s| !s.members.is_empty() || facts.table.is_alive(s.leader));
    let in_use: HashSet<String> = found.iter().filter(|s| !s.is_shell()).filter_map(pane_key).collect();
    found.retain(|s| !s.is_shell() || pane_key(s).is_none_or(|key| !in_use.contains(&key)));
    found.sort_by_key(|s| (s.leader.start, s.leader.pid));
    found
}

fn pane_key(sighting: &Sighting) -> Option<String> {
    sighting.pane.as_ref().map(|p| format!("{} {}", p.socket, p.id))
}

fn is_agent(facts: &Facts<'_>, pid: i32) -> bool {
    matches!(facts.known.get(&pid), Some(Match::Agent { name, .. }) if name != SHELL)
}

fn is_shell(facts: &Facts<'_>, pid: i32) -> bool {
    matches!(facts.known.get(&pid), Some(Match::Agent { name, .. }) if name == SHELL)
}

fn is_managed(facts: &Facts<'_>, pid: i32) -> bool {
    facts.table.lineage(pid).iter().any(|up| facts.keepers.contains(up) || facts.managed.contains(up))
}

/// The leader of the session an agent belongs to, when that is a foreign one.
fn leader_of(facts: &Facts<'_>, pid: i32) -> Option<ProcId> {
    let process = facts.table.pid(pid).filter(|p| !p.is_dead() && !p.kernel)?;
    if !is_agent(facts, pid) || is_managed(facts, pid) {
        return None;
    }
    let lineage = facts.table.lineage(pid);
    let is_server = |up: &&i32| facts.table.pid(**up).is_some_and(super::process::Proc::is_tmux_server);
    let above = lineage.iter().take_while(|up| !is_server(up));
    let outermost = above.filter(|up| is_agent(facts, **up)).last().copied().unwrap_or(pid);
    let leader = facts.table.pid(outermost).map_or(process.id, |p| p.id);
    // Seen below another session that still lives: it slipped away from its parent, not from its session.
    let is_part = |(other, seen): &&(ProcId, Vec<ProcId>)| {
        let leads = facts.table.is_alive(*other) && is_agent(facts, other.pid);
        let below = facts.table.lineage(other.pid).contains(&leader.pid);
        leads && !below && seen.contains(&leader)
    };
    let own = facts.before.iter().any(|(other, _)| *other == leader);
    (own || !facts.before.iter().any(|b| is_part(&b))).then_some(leader)
}

fn shell_of(facts: &Facts<'_>, pane: &Pane) -> Option<ProcId> {
    let first = facts.table.pid(pane.first).filter(|p| !p.is_dead())?;
    (is_shell(facts, pane.first) && !is_managed(facts, pane.first)).then_some(first.id)
}

fn sighting(facts: &Facts<'_>, leader: ProcId, closed: &HashSet<i32>, taken: &mut HashSet<i32>) -> Sighting {
    let remembered = facts.before.iter().find(|(l, _)| *l == leader).map(|(_, seen)| seen.clone());
    let claim = Claim {
        leader: Some(leader),
        since: leader.start,
        remembered: remembered.unwrap_or_default(),
        foreign: true,
        ..Claim::default()
    };
    let shell = is_shell(facts, leader.pid);
    let found = members(facts.table, &claim, &boundary(facts, leader, closed));
    let is_left = |id: &ProcId| !facts.managed.contains(&id.pid) && (*id == leader || stays(facts, leader, *id));
    let members: Vec<ProcId> = found.into_iter().filter(is_left).filter(|id| taken.insert(id.pid)).collect();
    let helper = |id: &ProcId| match facts.known.get(&id.pid) {
        Some(Match::Helper { kind, .. }) => Some((*kind, *id)),
        Some(Match::Agent { .. } | Match::Excluded { .. } | Match::Nothing) | None => None,
    };
    let pane = pane_of(facts, leader).cloned();
    let server = facts
        .table
        .lineage(leader.pid)
        .iter()
        .any(|up| facts.table.pid(*up).is_some_and(super::process::Proc::is_tmux_server));
    Sighting {
        leader,
        agent: agent_of(facts, leader, shell),
        origin: if pane.is_some() || server { Origin::Tmux } else { Origin::Found },
        is_first: pane.as_ref().is_some_and(|p| p.first == leader.pid),
        helpers: members.iter().filter_map(helper).collect(),
        pane,
        members,
    }
}

/// What a session that lost its agent keeps: not what serves others as well.
fn stays(facts: &Facts<'_>, leader: ProcId, id: ProcId) -> bool {
    let shared = matches!(facts.known.get(&id.pid), Some(Match::Helper { kind: HelperKind::Daemon, .. }));
    !shared || facts.table.is_alive(leader)
}

fn agent_of(facts: &Facts<'_>, leader: ProcId, shell: bool) -> String {
    match facts.known.get(&leader.pid) {
        Some(Match::Agent { name, .. }) if facts.table.is_alive(leader) => name.clone(),
        // Gone: whoever remembers the session remembers what it was.
        _ if shell => SHELL.into(),
        _ => String::new(),
    }
}

/// No session reaches over keepers, beadle itself, and what is `closed`: tmux servers and the other sessions.
fn boundary(facts: &Facts<'_>, leader: ProcId, closed: &HashSet<i32>) -> Boundary {
    let alive = facts.table.is_alive(leader);
    let above = if alive { facts.table.lineage(leader.pid) } else { Vec::new() };
    let others = closed.iter().copied().filter(|pid| !above.contains(pid));
    Boundary { keepers: facts.keepers.clone(), protected: facts.protected.clone(), spared: others.collect() }
}

/// The pane a process lives in: the nearest whose first process is above it, else the one whose terminal it has.
fn pane_of<'a>(facts: &Facts<'a>, leader: ProcId) -> Option<&'a Pane> {
    let lineage = facts.table.lineage(leader.pid);
    let by_kin = || lineage.iter().find_map(|up| facts.panes.iter().find(|p| p.first == *up));
    let tty = facts.table.get(leader)?.tty;
    by_kin().or_else(|| facts.panes.iter().find(|p| tty != 0 && p.tty == tty))
}

/// Foreign sessions have ids of their own: longer than those of managed ones, and the same as long as the machine runs.
pub fn id_of(boot: &str, leader: ProcId) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    // FNV-1a: the same in every version of beadle, which the standard library's hasher does not promise.
    let text = format!("{boot} {leader}");
    let mut hash =
        text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    let mut id = String::from("f");
    for _ in 0..7 {
        id.push(char::from(DIGITS[usize::try_from(hash % 36).unwrap_or(0)]));
        hash /= 36;
    }
    id
}

/// Work that a command hands to somebody outside its tree, in words; `None` for every other command.
pub fn handed_over(argv: &[String]) -> Option<String> {
    let base = argv.first()?.rsplit('/').next()?;
    let verb = argv.iter().skip(1).find(|a| !a.starts_with('-')).map(String::as_str);
    let option = |wanted: &str| {
        let at = argv.iter().position(|a| a == wanted || a.starts_with(&format!("{wanted}=")))?;
        argv[at].split_once('=').map(|(_, value)| value.to_string()).or_else(|| argv.get(at + 1).cloned())
    };
    match (base, verb) {
        // What podman runs is below it, and is taken.
        ("docker" | "nerdctl", Some(verb @ ("run" | "start" | "exec" | "compose"))) => {
            let named = option("--name").map(|name| format!(" {name}")).unwrap_or_default();
            Some(format!("container{named} ({base} {verb}): `{base} ps` shows it"))
        }
        ("docker-compose", Some("up")) => Some(format!("containers ({base} up): `{base} ps` shows them")),
        // As a scope it stays where it is in the tree.
        ("systemd-run", _) if !argv.iter().any(|a| a == "--scope") => {
            let named = option("--unit").map(|unit| format!(" {unit}")).unwrap_or_default();
            Some(format!("unit{named} (systemd-run): `systemctl --user list-units` shows it"))
        }
        _ => None,
    }
}

#[cfg(test)]
#[path = "scene_tests.rs"]
mod tests;
