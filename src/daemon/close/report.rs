//! What a person is told about a close that left somebody.

use super::{Report, Target};
use crate::api::types::{Closed, Outcome, Survivor};
use crate::model::session::ProcId;
use crate::sys::process;

/// What a person is told about a process that could not be taken.
pub fn survivor(id: ProcId, denied: Option<&str>) -> Survivor {
    let state = process::stat(id.pid).filter(|p| p.id == id).map_or(b'?', |p| p.state);
    let why = match (denied, process::wait_channel(id.pid)) {
        (Some(why), _) => why.to_string(),
        (None, Some(channel)) if state == b'D' => format!("uninterruptible sleep in {channel}"),
        (None, _) if state == b'D' => "uninterruptible sleep".into(),
        (None, _) => "it did not end within two seconds of KILL".into(),
    };
    Survivor {
        pid: id.pid,
        command: process::command(id.pid),
        state: char::from(state).to_string(),
        owner: process::owner(id.pid),
        why,
    }
}

/// Of those nobody ever held, no pid stays true.
pub fn never_held() -> Survivor {
    let why = "its processes fork and end faster than they can be held: where `sys.cgroup` can be used, a kill takes them all";
    Survivor { pid: 0, command: String::new(), state: "?".into(), owner: String::new(), why: why.into() }
}

/// One that is left on purpose.
pub fn kept(id: ProcId) -> String {
    format!("{} ({}): to be kept", id.pid, process::command(id.pid))
}

/// Nothing could be found out, so nothing was done.
pub fn not_done(target: &Target, error: &std::io::Error) -> Report {
    let why = format!("failed to read the process table: {error}");
    let nobody = Survivor { pid: 0, command: String::new(), state: "?".into(), owner: String::new(), why };
    let closed = Closed {
        id: target.id.clone(),
        name: target.name.clone(),
        outcome: Outcome::Survivors,
        signals: Vec::new(),
        processes: 0,
        survivors: vec![nobody],
        seconds: 0.0,
        reason: target.cause.reason.clone(),
        resume: None,
        spared: Vec::new(),
        screen: None,
    };
    Report { closed, survivors: Vec::new(), kept: false, spared: false, tree: Vec::new(), by: target.cause.by }
}
