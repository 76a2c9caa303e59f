//! Who is a session of its own, and whose each process is.

use super::*;
use crate::model::process::Proc;
use proptest::prelude::*;

fn agent(name: &str) -> Match {
    Match::Agent { name: name.into(), rule: String::new() }
}

fn helper(kind: HelperKind) -> Match {
    Match::Helper { agent: "claude".into(), kind, stdio: true, rule: String::new() }
}

/// What a process is, by a word.
fn what(word: &str) -> Match {
    match word {
        "mcp" => helper(HelperKind::Mcp),
        "tool" => helper(HelperKind::Shell),
        "daemon" => helper(HelperKind::Daemon),
        "ide" => Match::Excluded { agent: "claude".into(), rule: String::new(), why: String::new() },
        "sh" => agent(SHELL),
        "claude" | "codex" => agent(word),
        _ => Match::Nothing,
    }
}

/// A machine: (pid, parent, what it is). The start time is the pid; each leads its own group but for those below.
#[derive(Debug)]
struct Machine {
    procs: Vec<Proc>,
    known: HashMap<i32, Match>,
    panes: Vec<Pane>,
    keepers: HashSet<i32>,
    managed: HashSet<i32>,
    protected: HashSet<i32>,
    before: Vec<(ProcId, Vec<ProcId>)>,
}

fn id(pid: i32) -> ProcId {
    ProcId { pid, start: u64::try_from(pid).unwrap() }
}

impl Machine {
    fn new(rows: &[(i32, i32, &str)]) -> Self {
        let proc = |(pid, parent, word): &(i32, i32, &str)| {
            let p = Proc::kin(*pid, *parent, *pid, 1, id(*pid).start);
            match *word {
                "server" => p.with_comm(b"tmux: server"),
                "dead" => p.with_state(b'Z'),
                _ => p,
            }
        };
        let keeper = |(pid, _, word): &(i32, i32, &str)| (*word == "keeper").then_some(*pid);
        Self {
            procs: rows.iter().map(proc).collect(),
            known: rows.iter().map(|(pid, _, word)| (*pid, what(word))).filter(|(_, w)| *w != Match::Nothing).collect(),
            panes: Vec::new(),
            keepers: rows.iter().filter_map(keeper).collect(),
            managed: HashSet::new(),
            protected: HashSet::new(),
            before: Vec::new(),
        }
    }

    fn pane(mut self, first: i32, tty: i32) -> Self {
        let id = format!("%{first}");
        self.panes.push(Pane { id, first, tty, session: "main".into(), index: 1, ..Pane::default() });
        self
    }

    fn before(mut self, leader: i32, seen: &[i32]) -> Self {
        self.before.push((id(leader), seen.iter().map(|pid| id(*pid)).collect()));
        self
    }

    fn sessions(&self) -> Vec<Sighting> {
        assemble(&Facts {
            table: &Table::new(self.procs.clone()),
            known: &self.known,
            panes: &self.panes,
            keepers: &self.keepers,
            managed: &self.managed,
            protected: &self.protected,
            before: &self.before,
        })
    }

    /// `leader agent origin: members`, one line each.
    fn told(&self) -> Vec<String> {
        let one = |s: &Sighting| {
            let mut pids: Vec<i32> = s.members.iter().map(|m| m.pid).collect();
            pids.sort_unstable();
            format!("{} {} {}: {pids:?}", s.leader.pid, s.agent, s.origin)
        };
        self.sessions().iter().map(one).collect()
    }
}

#[test]
fn an_agent_below_a_shell_is_a_session_of_its_own() {
    let m = Machine::new(&[
        (1, 0, "init"),
        (10, 1, "sh"),
        (11, 10, "vim"),
        (20, 10, "claude"),
        (21, 20, "x"),
        (22, 21, "mcp"),
    ]);
    assert_eq!(m.told(), ["20 claude found: [20, 21, 22]"]);
    assert_eq!(m.sessions()[0].helpers_in_words().as_deref(), Some("1 MCP server"));
}

#[test]
fn what_an_agent_started_is_part_of_it_also_another_agent() {
    let wrapper =
        Machine::new(&[(1, 0, "init"), (20, 1, "codex"), (21, 20, "codex"), (22, 21, "claude"), (23, 22, "x")]);
    assert_eq!(wrapper.told(), ["20 codex found: [20, 21, 22, 23]"]);
    // Through somebody who is no agent.
    let through = Machine::new(&[(1, 0, "init"), (20, 1, "claude"), (21, 20, "tool"), (22, 21, "codex")]);
    assert_eq!(through.told(), ["20 claude found: [20, 21, 22]"]);
}

#[test]
fn what_looks_like_an_agent_and_is_none_is_no_session() {
    for word in ["ide", "mcp", "daemon", "tool", "sh", "dead"] {
        assert_eq!(Machine::new(&[(1, 0, "init"), (20, 1, word)]).told(), [""; 0], "{word}");
    }
}

#[test]
fn the_nearest_keeper_goes_first_then_the_pane() {
    let kept =
        Machine::new(&[(1, 0, "init"), (5, 1, "keeper"), (20, 5, "claude"), (21, 5, "server"), (22, 21, "codex")]);
    assert_eq!(kept.pane(22, 0).told(), [""; 0], "a tmux server inside a managed session");
    let below = Machine::new(&[
        (1, 0, "init"),
        (20, 1, "claude"),
        (21, 20, "server"),
        (22, 21, "sh"),
        (23, 22, "codex"),
        (24, 20, "x"),
    ]);
    assert_eq!(
        below.pane(22, 0).told(),
        ["20 claude found: [20, 24]", "23 codex tmux: [23]"],
        "a pane of a server an agent started"
    );
    let mut member = Machine::new(&[(1, 0, "init"), (20, 1, "claude")]);
    member.managed.insert(20);
    assert_eq!(member.told(), [""; 0], "its keeper is gone, and it is still a managed session's");
}

#[test]
fn a_pane_is_found_by_kinship_or_by_its_terminal() {
    let rows = [(1, 0, "init"), (5, 1, "server"), (10, 5, "sh"), (20, 10, "claude"), (30, 1, "codex")];
    let mut m = Machine::new(&rows).pane(10, 34_816);
    m.procs[4].tty = 34_816;
    let found = m.sessions();
    assert_eq!(found.iter().map(|s| (s.leader.pid, s.is_first)).collect::<Vec<_>>(), [(20, false), (30, false)]);
    assert!(found.iter().all(|s| s.origin == Origin::Tmux && s.pane.as_ref().unwrap().address() == "tmux:main:0.1"));
    let first = Machine::new(&[(1, 0, "init"), (5, 1, "server"), (20, 5, "claude")]).pane(20, 0);
    assert!(first.sessions()[0].is_first);
}

#[test]
fn a_server_that_does_not_answer_has_its_sessions_all_the_same() {
    let m = Machine::new(&[(1, 0, "init"), (5, 1, "server"), (10, 5, "sh"), (20, 10, "claude")]);
    assert_eq!(m.told(), ["20 claude tmux: [20]"]);
}

#[test]
fn a_shell_is_a_session_only_where_a_pane_has_no_agent() {
    let rows = [(1, 0, "init"), (5, 1, "server"), (10, 5, "sh"), (11, 10, "x"), (12, 5, "sh"), (20, 12, "claude")];
    let m = Machine::new(&rows).pane(10, 0).pane(12, 0);
    assert_eq!(m.told(), ["10 shell tmux: [10, 11]", "20 claude tmux: [20]"]);
}

#[test]
fn what_lost_its_parent_is_remembered_and_what_lost_its_agent_lingers() {
    let rows = [(1, 0, "init"), (20, 1, "claude"), (21, 1, "x"), (22, 1, "codex"), (23, 1, "daemon")];
    let before = Machine::new(&rows).before(20, &[20, 21, 22, 23]);
    assert_eq!(before.told(), ["20 claude found: [20, 21, 22, 23]"], "an agent of an agent, too");
    let gone =
        Machine::new(&[(1, 0, "init"), (20, 1, "dead"), rows[2], rows[3], rows[4]]).before(20, &[20, 21, 22, 23]);
    assert_eq!(gone.told(), ["20  found: [21]", "22 codex found: [22]"], "a daemon for others is no remains");
    let reused = Machine::new(&[(1, 0, "init"), (20, 1, "claude"), (21, 1, "x")]);
    let other = ProcId { pid: 21, start: 5 };
    let reused = Machine { before: vec![(id(20), vec![other])], ..reused };
    assert_eq!(reused.told(), ["20 claude found: [20]"], "a pid used again");
}

#[test]
fn a_leader_that_became_another_program_is_no_session_any_more() {
    let m = Machine::new(&[(1, 0, "init"), (20, 1, "sh"), (21, 20, "x")]).before(20, &[20, 21]);
    assert_eq!(m.told(), [""; 0]);
}

#[test]
fn of_groups_and_sessions_only_those_the_agent_leads_count() {
    let mut m = Machine::new(&[(1, 0, "init"), (10, 1, "sh"), (20, 10, "claude"), (30, 1, "x"), (31, 1, "y")]);
    for p in &mut m.procs {
        p.sid = 10;
    }
    m.procs[3].pgrp = 20;
    m.procs[4].pgrp = 10;
    assert_eq!(m.told(), ["20 claude found: [20, 30]"]);
}

#[test]
fn ids_are_short_stay_the_same_and_differ_by_boot_and_start() {
    let own = id_of("boot", id(7));
    assert_eq!((own.len(), own.starts_with('f')), (8, true));
    assert_eq!(own, id_of("boot", id(7)));
    assert_ne!(own, id_of("other", id(7)));
    assert_ne!(own, id_of("boot", ProcId { pid: 7, start: 8 }));
}

#[test]
fn what_is_handed_to_others_is_named() {
    let words = |line: &str| handed_over(&line.split(' ').map(String::from).collect::<Vec<_>>());
    for (line, told) in [
        ("docker run -d --name db postgres", "container db (docker run): `docker ps` shows it"),
        ("/usr/bin/nerdctl start web", "container (nerdctl start): `nerdctl ps` shows it"),
        ("docker-compose up", "containers (docker-compose up): `docker-compose ps` shows them"),
        ("systemd-run --user --unit=x sleep 9", "unit x (systemd-run): `systemctl --user list-units` shows it"),
    ] {
        assert_eq!(words(line).as_deref(), Some(told), "{line}");
    }
    let own = ["podman run -d db", "systemd-run --user --scope sleep 9"];
    for line in ["docker ps", "docker", "vim docker run", "docker build ."].into_iter().chain(own) {
        assert_eq!(words(line), None, "{line}");
    }
}

const WORDS: &[&str] = &["x", "sh", "claude", "codex", "mcp", "tool", "daemon", "ide", "server", "keeper", "dead"];

fn a_machine() -> impl Strategy<Value = Machine> {
    let row = (0usize..40, prop::sample::select(WORDS), 0usize..40, 0usize..40);
    let rows = prop::collection::vec(row, 1..40);
    let before = prop::collection::vec((0i32..42, prop::collection::vec(0i32..42, 0..8)), 0..4);
    (rows, before, prop::collection::hash_set(2i32..42, 0..4), prop::collection::vec(2i32..42, 0..4)).prop_map(
        |(rows, before, protected, panes)| {
            let pid = |n: usize| i32::try_from(n).unwrap() + 2;
            // Parents are older, mostly.
            let rows: Vec<_> = rows
                .iter()
                .enumerate()
                .map(|(n, (parent, word, group, sid))| ((pid(n), pid(*parent) - 1, *word), (*group, *sid)))
                .collect();
            let mut m = Machine::new(&rows.iter().map(|(row, _)| *row).collect::<Vec<_>>());
            for (p, (_, (group, sid))) in m.procs.iter_mut().zip(&rows) {
                (p.pgrp, p.sid) = (pid(*group), pid(*sid));
            }
            m.protected = protected;
            let mut m = panes.into_iter().fold(m, |m, first| m.pane(first, 0));
            for (leader, seen) in before {
                if leader > 0 && m.before.iter().all(|(l, _)| l.pid != leader) {
                    m = m.before(leader, &seen.into_iter().filter(|p| *p > 0).collect::<Vec<_>>());
                }
            }
            m
        },
    )
}

proptest! {
    #[test]
    fn no_process_is_in_two_sessions_and_nobody_protected_in_any(m in a_machine()) {
        let mut seen = HashSet::new();
        let table = Table::new(m.procs.clone());
        for session in m.sessions() {
            for member in &session.members {
                let p = table.get(*member).unwrap();
                prop_assert!(seen.insert(member.pid), "{member} twice");
                prop_assert!(!m.protected.contains(&member.pid) && !m.keepers.contains(&member.pid) && member.pid > 1);
                prop_assert!(!p.is_dead() && (!p.is_tmux_server() || *member == session.leader));
                let kept = table.lineage(member.pid).iter().any(|up| m.keepers.contains(up));
                prop_assert!(!kept, "{member} is a keeper's");
            }
        }
    }

    #[test]
    fn what_a_second_look_sees_is_what_the_first_one_saw(mut m in a_machine()) {
        // Nobody protected is remembered as a member, and nobody in two sessions.
        m.protected.clear();
        m.before.clear();
        let first = m.sessions();
        let before = first.iter().map(|s| (s.leader, s.members.clone())).collect();
        let again = Machine { before, ..m }.sessions();
        let shape = |all: &[Sighting]| all.iter().map(|s| (s.leader, s.members.len())).collect::<Vec<_>>();
        prop_assert_eq!(shape(&first), shape(&again));
    }
}
