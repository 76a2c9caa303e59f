//! A session to test with.

use crate::api::types::{Detail, Evidence, Process, Session};
use crate::model::session::{Attention, Health, Origin, State};

pub fn session(id: &str, name: &str) -> Session {
    Session {
        id: id.into(),
        name: name.into(),
        agent: "claude".into(),
        project: None,
        workspace: "/srv/app".into(),
        origin: Origin::Managed,
        address: None,
        state: State::Running,
        health: Health::Stuck,
        attention: Attention::Unknown,
        reason: "stopped\x1b[2J".into(),
        pinned: true,
        leader_pid: Some(10),
        processes: Some(2),
        cpu_percent: None,
        io_bytes_per_second: None,
        closes_at: None,
        closes_because: None,
        memory_bytes: Some(2 << 20),
        messages: None,
        started_at: "2026-11-20T10:00:00Z".into(),
        last_activity_at: None,
        idle_seconds: None,
        age_seconds: 900.0,
        exit: None,
        attached: 1,
        command: vec!["claude".into()],
        resume: None,
    }
}

pub fn detail() -> Detail {
    let process = |pid, depth, command: &str| Process {
        pid,
        parent_pid: 1,
        start_time: 1,
        command: command.into(),
        state: "S".into(),
        cpu_percent: None,
        memory_bytes: 1 << 20,
        depth,
    };
    Detail {
        session: session("k3f9q2", "front"),
        evidence: vec![Evidence { kind: "state".into(), text: "stopped by a signal".into(), at: None }],
        tree: vec![process(10, 0, "claude"), process(11, 1, "sh -c x")],
        keeper_socket: Some("/run/k".into()),
        keeper_pid: Some(9),
        pane: None,
        keyless: None,
        started_by: None,
    }
}
