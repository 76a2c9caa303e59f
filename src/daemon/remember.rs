//! What the supervisor tells the memory: runs as they begin, change and end, and closes.

use super::entry::Entry;
use super::foreign::Foreign;
use super::store::{CloseBegan, CloseEnded, Fact, Run};
use super::supervisor::Supervisor;
use crate::api::kept::Identity;
use crate::api::types::{Closed, Process};
use crate::model::session::{Cause, Exit};
use crate::sys::clock;
use crate::sys::pulse::Beat;

impl Entry {
    /// The present run, with its end when it has ended.
    fn run(&self) -> Run {
        let exit = self.exit.clone().filter(|_| !self.is_live());
        Run {
            name: self.name().into(),
            seconds: exit.as_ref().and_then(|e| clock::seconds_between(&self.started_at, &e.at)),
            messages: self.pulse.as_ref().map(|p| p.get(Beat::Messages)),
            ..described(&self.session, &self.started_at, &self.boot_id, exit)
        }
    }

    pub(super) fn close_began(&self, cause: &Cause) -> CloseBegan {
        let evidence = self.evidence(clock::monotonic());
        CloseBegan { at: clock::wall(), run: self.run(), cause: cause.clone(), evidence }
    }
}

impl Foreign {
    /// As it stood when its close began; where beadle did not start it, nothing but the close is remembered.
    pub(super) fn close_began(&self, boot_id: &str, cause: &Cause) -> CloseBegan {
        let now = clock::monotonic();
        let row = self.row(now);
        let run = Run {
            id: row.id,
            started_at: row.started_at,
            name: row.name,
            agent: row.agent,
            project: row.project,
            workspace: row.workspace,
            command: row.command,
            boot_id: boot_id.into(),
            seconds: None,
            messages: None,
            exit: None,
        };
        CloseBegan { at: clock::wall(), run, cause: cause.clone(), evidence: self.evidence(now) }
    }
}

fn described(session: &crate::api::kept::Described, started_at: &str, boot_id: &str, exit: Option<Exit>) -> Run {
    Run {
        id: session.id.clone(),
        started_at: started_at.into(),
        name: session.name.clone(),
        agent: session.agent.clone(),
        project: session.project.clone(),
        workspace: session.workspace.clone(),
        command: session.command.clone(),
        boot_id: boot_id.into(),
        seconds: exit.as_ref().and_then(|e| clock::seconds_between(started_at, &e.at)),
        messages: None,
        exit,
    }
}

impl Supervisor {
    /// Has the present run of a session written down as it is now.
    pub(super) fn remember(&self, id: &str) {
        if let Some(entry) = self.entries.get(id) {
            self.set.store.tell(Fact::Run(Box::new(entry.run())));
        }
    }

    /// Runs before the present one of a session, whose ends the daemon of then may not have written down.
    pub(super) fn remember_earlier(&self, earlier: &[(Identity, Option<Exit>)]) {
        let ended = earlier.iter().filter_map(|(identity, exit)| Some((identity, exit.clone()?)));
        for (Identity { session, started_at, boot_id, .. }, exit) in ended {
            self.set.store.tell(Fact::Run(Box::new(described(session, started_at, boot_id, Some(exit)))));
        }
    }

    /// Has everything written down as it is: after adoption, and when the memory has lost something.
    pub fn remember_all(&self) {
        self.set.store.tell(Fact::Runs(self.entries.values().map(Entry::run).collect()));
    }

    pub(super) fn remember_close(&self, report: &Closed, tree: Vec<Process>) {
        let managed = self.entries.get(&report.id).and_then(|e| e.close.as_ref());
        let foreign = || self.foreign.get(&report.id).and_then(|f| f.close.as_ref());
        let Some(close) = managed.or_else(foreign) else { return };
        // Each has its own reason; how it went is the same for all.
        for began in close.began.iter().rev().skip(1) {
            let report = Closed { reason: began.cause.reason.clone(), ..report.clone() };
            self.set.store.tell(Fact::Closed(Box::new(CloseEnded {
                began: began.clone(),
                report,
                tree: tree.clone(),
            })));
        }
        if let Some(began) = close.began.last().cloned() {
            self.set.store.tell(Fact::Closed(Box::new(CloseEnded { began, report: report.clone(), tree })));
        }
    }
}
