//! Room for a new session where there are as many as there may be.
//!
//! Each start that waits for room has chosen one session, which is being closed for it: a slot that is being freed is
//! nobody else's.

use std::time::Duration;

use tracing::info;

use super::super::closing::How;
use super::super::entry::Entry;
use super::super::handle::{Input, Reply};
use super::super::supervisor::{Supervisor, answer};
use super::policy;
use crate::api::refusal::{Code, Refusal};
use crate::api::types::{Outcome, StartRequest, Started};
use crate::model::policy as rules;
use crate::model::session::{Cause, ExitBy};
use crate::model::verdict::short;
use crate::sys::clock;

/// A session somebody wants to start.
pub struct Request {
    pub asked: StartRequest,
    /// The sessions it is started from, nearest first.
    pub started_by: Vec<String>,
    /// Asked for from inside a hook.
    pub by_hook: bool,
    pub reply: Reply<Started>,
    /// What the caller should know: whom it cost.
    pub notes: Vec<String>,
    /// Given beforehand, so that it can be found after a crash.
    pub id: Option<String>,
}

/// The session that was to make room is closed, or could not be.
pub struct Made {
    request: Request,
    workspace: String,
    note: String,
}

/// A cap that is reached.
struct Full {
    key: &'static str,
    cap: usize,
    /// Only of this workspace.
    scope: Option<String>,
}

impl Full {
    fn holds(&self, workspace: &str) -> bool {
        self.scope.as_deref().is_none_or(|scope| scope == workspace)
    }
}

impl Supervisor {
    /// Gives the request back when there is room; else it waits for room, or is refused.
    pub(in crate::daemon) fn with_room(&mut self, request: Request, workspace: &str) -> Option<Request> {
        let Some(full) = self.full(workspace) else { return Some(request) };
        let Some((id, idle)) = self.who_gives_way(&full) else {
            let refusal = self.no_room(&full);
            info!("refused start {:?}: {refusal}", request.asked.command.first());
            answer(request.reply, Err(refusal));
            return None;
        };
        self.close_for(&full, (&id, idle), request, workspace);
        None
    }

    /// A cap stands in the way of one more session there.
    pub(in crate::daemon) fn refuse_if_full(&self, workspace: &str) -> Result<(), Refusal> {
        self.full(workspace).map_or(Ok(()), |full| Err(self.no_room(&full)))
    }

    fn full(&self, workspace: &str) -> Option<Full> {
        let cleanup = &self.set.config.cleanup;
        let own = Full {
            key: "cleanup.max_sessions_per_workspace",
            cap: cleanup.max_sessions_per_workspace,
            scope: Some(workspace.into()),
        };
        let all = Full { key: "cleanup.max_sessions", cap: cleanup.max_sessions, scope: None };
        // The narrower one first: what makes room there makes room in all.
        [Some(own).filter(|f| f.cap > 0), Some(all)].into_iter().flatten().find(|f| self.taken(f) >= f.cap)
    }

    /// Slots in use or promised. A session that is closed for a start counts as that start.
    fn taken(&self, full: &Full) -> usize {
        let leaves = |e: &&Entry| e.close.is_some() && e.meta.cause.as_ref().is_some_and(|c| c.by == ExitBy::Pressure);
        let live = self.live().filter(|e| !leaves(e)).map(|e| e.session.workspace.as_str());
        let unborn = self.births.values().map(|w| w.workspace.as_str());
        let promised = self.cleaner.rooms.iter().map(String::as_str);
        live.chain(unborn).chain(promised).filter(|workspace| full.holds(workspace)).count()
    }

    /// The longest idle.
    fn who_gives_way(&self, full: &Full) -> Option<(String, Duration)> {
        let (now, policy) = (clock::monotonic(), policy(&self.set.config.cleanup));
        let idle = |e: &Entry| rules::gives_way(&self.facts(e, now), &policy);
        let there = self.live().filter(|e| full.holds(&e.session.workspace));
        there.filter_map(|e| Some((e.id().to_string(), idle(e)?))).max_by_key(|(_, idle)| *idle)
    }

    fn close_for(&mut self, full: &Full, (id, idle): (&str, Duration), request: Request, workspace: &str) {
        let name = self.entries.get(id).map_or_else(String::new, |e| e.name().to_string());
        let idle = short(idle);
        let why = format!("idle for {idle}, and a new session needs its place ({} is {})", full.key, full.cap);
        let note = format!("closed {name} ({id}), idle for {idle}, to make room ({} is {})", full.key, full.cap);
        self.cleaner.rooms.push(workspace.into());
        let closing = self.close_each(vec![(id.into(), Cause::new(ExitBy::Pressure, why))], How::GENTLY);
        let (inputs, workspace) = (self.inputs.clone(), workspace.to_string());
        tokio::spawn(async move {
            let mut outcome = Outcome::Survivors;
            for receiver in closing {
                outcome = receiver.await.map_or(outcome, |closed| closed.outcome);
            }
            let failed = || format!("{name} was to make room, and something of it cannot be closed");
            let note = if outcome == Outcome::Survivors { failed() } else { note };
            // A supervisor that has ended starts nothing.
            let _ = inputs.send(Input::RoomMade(Box::new(Made { request, workspace, note })));
        });
    }

    pub(in crate::daemon) fn on_room_made(&mut self, made: Made) {
        let Made { mut request, workspace, note } = made;
        if let Some(at) = self.cleaner.rooms.iter().position(|promised| *promised == workspace) {
            self.cleaner.rooms.swap_remove(at);
        }
        request.notes.push(note);
        self.by_hook = request.by_hook;
        self.start_where_there_is_room(request);
        self.by_hook = false;
    }

    fn no_room(&self, full: &Full) -> Refusal {
        let there = full.scope.as_ref().map_or_else(String::new, |dir| format!(" in {dir}"));
        let long = short(rules::room_after(&policy(&self.set.config.cleanup)));
        let message = format!(
            "there are already {} sessions{there} ({}), and none has been idle for {long}: close one (`beadle kill NAME`), or allow more (`beadle cleanup set {}={}`)",
            full.cap,
            full.key,
            full.key.trim_start_matches("cleanup."),
            full.cap + 1
        );
        Refusal::new(Code::AtCap, message)
    }
}
