//! The sweep: strays found, judged twice, taken, verified, reported; and the emergency around it.
//!
//! ```text
//!   Command::Sweep ─────────────────────► scan ── a second ──► scan ─► agree ─► plan ─► close ─► report
//!   Command::Emergency ─► latch ─► close ──┘                              (dry run: ─► report)
//!                                 every managed session
//! ```
//!
//! What may be taken is judged in [`crate::model::stray`]; how it is taken is [`super::close`]. Here is only the way
//! between. Runs on a thread that may block; the supervisor never waits for it.

mod births;
mod latch;
mod scan;
mod take;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError};

use tokio::sync::oneshot;
use tracing::{info, warn};

pub use births::Births;
pub use latch::Latch;
use scan::Asking;
use take::Taking;

use super::entry::Entry;
use super::events::said;
use super::handle::{Input, Reply};
use super::metrics::left_by;
use super::supervisor::{Supervisor, answer};
use crate::api::refusal::{Code, Refusal};
use crate::api::sweep::{EmergencyRequest, Released, SweepReport, SweepRequest};
use crate::api::types::KillReport;
use crate::model::event::What;
use crate::model::lifecycle::Keeper;
use crate::model::session::{Asked, Cause, ExitBy};
use crate::model::stray::{Ground, Marks};
use crate::sys::clock;

/// What an emergency has done before its sweep.
#[derive(Default)]
pub struct Before {
    pub sessions: Option<KillReport>,
    pub notes: Vec<String>,
}

/// A sweep that is to be made.
pub struct Ordered {
    pub dry_run: bool,
    pub marks: Marks,
    pub cause: Cause,
    pub before: Before,
    /// Asked for from inside a hook.
    pub by_hook: bool,
}

impl Supervisor {
    pub(super) fn sweep(&mut self, request: SweepRequest, asked: Option<Asked>, reply: Reply<SweepReport>) {
        let marks = request.marks();
        let reason = request.reason.unwrap_or_else(|| "sweep".into());
        let cause = Cause::new(ExitBy::Sweep, reason).asked(asked);
        let (before, by_hook) = (Before::default(), self.by_hook);
        let ordered = Ordered { dry_run: request.dry_run, marks, cause, before, by_hook };
        self.make_sweep(ordered, reply);
    }

    /// Scans, and acts unless it is a rehearsal.
    pub(super) fn make_sweep(&mut self, ordered: Ordered, reply: Reply<SweepReport>) {
        let (teller, reason) = (self.teller().of(ordered.by_hook), ordered.cause.reason.clone());
        let (asking, mut taking) = (self.asking(), self.taking(ordered.cause));
        taking.spared.extend(&ordered.marks.leave);
        let latched = self.latch.why().is_some();
        let inputs = self.inputs.clone();
        tokio::task::spawn_blocking(move || {
            let report = take::sweep(&asking, &taking, ordered.dry_run, &ordered.marks);
            let Before { sessions, notes } = ordered.before;
            let notes = notes.into_iter().chain(report.notes.iter().cloned()).collect();
            let report = SweepReport { sessions, latched, notes, ..report };
            info!(
                killed = report.killed,
                spared = report.spared,
                failed = report.failed,
                dry_run = report.dry_run,
                failure = report.failure.as_deref().unwrap_or_default(),
                "swept"
            );
            // A supervisor that has ended needs no news.
            let _ = inputs.send(Input::Swept(left_by(&report)));
            teller.swept(&report, &reason);
            answer(reply, Ok(report));
        });
    }

    /// Closes every managed session and sweeps; nothing starts any more from before the first close on.
    pub(super) fn emergency(&mut self, request: EmergencyRequest, asked: Option<Asked>, reply: Reply<SweepReport>) {
        let marks = request.marks();
        let reason = request.reason.unwrap_or_else(|| "emergency".into());
        let cause = Cause::new(ExitBy::Sweep, reason.clone()).asked(asked);
        let live: Vec<String> = self.live().map(|e| e.id().to_string()).collect();
        let (send, closed) = oneshot::channel();
        let mut notes = Vec::new();
        if request.dry_run {
            self.preview(&live, send);
        } else {
            warn!(sessions = live.len(), latch = request.latch, %reason, "emergency");
            if request.latch {
                self.tell(What::Latched { reason: said(&reason) });
            }
            if request.latch
                && let Err(error) = self.latch.set(&reason)
            {
                let why = format!("the latch could not be written ({error}): it holds as long as this daemon runs");
                warn!("{why}");
                notes.push(why);
            }
            self.close_and_answer(&live, false, &cause, send);
            self.bump();
        }
        let (inputs, by_hook) = (self.inputs.clone(), self.by_hook);
        tokio::spawn(async move {
            let sessions = closed.await.ok().and_then(Result::ok);
            let before = Before { sessions, notes };
            let ordered = Ordered { dry_run: request.dry_run, marks, cause, before, by_hook };
            // A supervisor that has ended sweeps no more: who asked is told that it is gone.
            let _ = inputs.send(Input::ToSweep { ordered: Box::new(ordered), reply });
        });
    }

    pub(super) fn release(&mut self) -> Result<Released, Refusal> {
        let released = self.latch.release().map_err(|e| {
            Refusal::new(Code::Internal, format!("failed to remove {}: {e}", self.set.paths.latch().display()))
        })?;
        if released {
            info!("released");
            self.bump();
            self.tell(What::Released {});
        }
        let message = if released { "released: sessions may start again" } else { "nothing was latched" };
        Ok(Released { released, message: message.into() })
    }

    /// Why nothing may start, if so.
    pub(super) fn is_latched(&self) -> Result<(), Refusal> {
        let Some(why) = self.latch.why() else { return Ok(()) };
        let message = format!("nothing starts since {why}: `beadle release` lets sessions start again");
        Err(Refusal::new(Code::Latched, message))
    }

    /// After each pass: where shared daemons were born, and whether anybody still uses those left over.
    pub(super) fn note_births(&self) {
        let Some(scene) = &self.scene else { return };
        let of_managed = self.entries.values().filter(|e| !e.is_live()).map(|e| e.id().to_string());
        let of_foreign = self.foreign.values().filter(|f| !f.is_live()).map(|f| f.id.clone());
        let ended: HashSet<String> = of_managed.chain(of_foreign).collect();
        // While a sweep or an earlier look has it, this look is left out.
        let Ok(mut births) = self.birthplaces.try_lock() else { return };
        if !births.note(scene, &ended) {
            return;
        }
        let births = Arc::clone(&self.birthplaces);
        tokio::task::spawn_blocking(move || {
            births.lock().unwrap_or_else(PoisonError::into_inner).ask(clock::monotonic());
        });
    }

    fn asking(&self) -> Asking {
        let boot = self.boot.as_str();
        let start = |e: &Entry| {
            let began = [e.keeper, e.leader].into_iter().flatten().map(|id| id.start).min();
            began.filter(|_| e.boot_id == boot)
        };
        let ended: HashMap<String, Option<u64>> =
            self.entries.values().filter(|e| !e.is_live()).map(|e| (e.id().to_string(), start(e))).collect();
        Asking {
            view: self.view(),
            discovery: Arc::clone(&self.discovery),
            tags: Arc::clone(&self.tags),
            births: Arc::clone(&self.birthplaces),
            reading: Arc::clone(&self.reading),
            ended,
            live: self.live().map(|e| e.id().to_string()).chain(self.births.keys().cloned()).collect(),
            clients: self.set.peers.pids(),
            ground: Ground { min_age: self.set.config.sweep.min_age, up: self.begun.elapsed() },
        }
    }

    fn taking(&self, cause: Cause) -> Taking {
        let keepers = self.live().filter(|e| e.life.keeper() != Keeper::Gone).filter_map(|e| e.keeper);
        Taking {
            around: self.surroundings(),
            grace: self.set.config.stop.grace,
            spared: self.live().flat_map(|e| e.members.iter().copied()).chain(keepers).collect(),
            store: self.set.store.clone(),
            boot: self.boot.clone(),
            cause,
        }
    }
}
