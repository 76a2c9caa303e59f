//! One signal to a session, and no close: to all of it, or to the group of its leader.

use std::collections::HashSet;
use std::time::Instant;

use super::{Closing, Surroundings, Target, Work};
use crate::model::session::ProcId;
use crate::model::stop::Signal;
use crate::sys::process::{self, Pin};
use crate::sys::signal::{Sent, Signal as Named};

/// Stops (or continues) everything of a session, newcomers too, until a pass finds nobody new.
pub fn signal_tree(target: Target, around: &Surroundings, signal: Signal) -> std::io::Result<usize> {
    let mut work = Work::new(around, Instant::now())?;
    let mut closings = vec![Closing::new(target)];
    let mut told = HashSet::new();
    for _ in 0..20 {
        work.scan(&mut closings)?;
        let Some(closing) = closings.first_mut() else { break };
        let fresh: Vec<ProcId> = closing.seen.iter().map(|s| s.id).filter(|id| told.insert(*id)).collect();
        if fresh.is_empty() {
            break;
        }
        fresh.into_iter().for_each(|id| work.signal(closing, id, signal));
    }
    Ok(told.len())
}

/// Who was sent a signal, and why others were not.
pub struct Heard {
    pub count: usize,
    pub refused: Option<String>,
}

/// Sends one signal to the process group of a session's leader, as far as its members are in it. What beadle did not start
/// may share its group with whoever started it: then it alone is meant, unless it leads the group.
pub fn signal_group(target: Target, leader: ProcId, around: &Surroundings, signal: Named) -> std::io::Result<Heard> {
    let group = process::stat(leader.pid).filter(|p| p.id == leader).map_or(0, |p| p.pgrp);
    let alone = target.claim.foreign && group != leader.pid;
    let mut work = Work::new(around, Instant::now())?;
    let mut closings = vec![Closing::new(target)];
    work.scan(&mut closings)?;
    let is_in_it = |id: ProcId| process::stat(id.pid).is_some_and(|p| p.id == id && p.pgrp == group);
    let is_meant = |id: ProcId| if alone { id == leader } else { is_in_it(id) };
    let mut heard = Heard { count: 0, refused: None };
    for closing in &closings {
        for id in closing.seen.iter().map(|s| s.id).filter(|id| is_meant(*id)) {
            match Pin::new(id)?.map(|pin| work.guard.send(&pin, signal, !closing.doubtful.contains(&id))) {
                Some(Sent::Sent) => heard.count += 1,
                Some(Sent::Denied) => heard.refused = Some("it belongs to another user".into()),
                Some(Sent::Refused(why)) => heard.refused = Some(why.into()),
                None | Some(Sent::Gone) => {}
            }
        }
    }
    Ok(heard)
}
