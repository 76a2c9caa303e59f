//! Figures for monitoring: what the supervisor has counted, and `GET /metrics`.
//!
//! Counters begin anew with each daemon, as monitoring expects of a process. What is to be known for longer is in
//! `beadle stats`.

mod page;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::response::IntoResponse;

use self::page::Page;
use super::handle::{Command, Handle};
use super::hooks;
use super::server::{Answer, Verbs};
use super::supervisor::Supervisor;
use crate::api::cleanup::Counts;
use crate::api::refusal::{Code, Refusal};
use crate::api::sweep::{Action, SweepReport};
use crate::api::types::{Closed, Outcome};
use crate::model::lifecycle::Keeper;
use crate::model::session::{Attention, ExitBy, Health, ProcId, State as Life};
use crate::sys::{clock, own, process};

/// Upper bounds of the histogram, in seconds: the grace is among them.
const BOUNDS: [f64; 12] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0];
/// How long the kernel may take to tell of this process.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long closes took.
#[derive(Debug, Clone, Default)]
pub struct Histogram {
    /// Of each bound, those that took no longer and longer than the bound before.
    within: [u64; BOUNDS.len()],
    count: u64,
    sum: f64,
}

impl Histogram {
    fn observe(&mut self, seconds: f64) {
        if let Some(at) = BOUNDS.iter().position(|bound| seconds <= *bound) {
            self.within[at] += 1;
        }
        self.count += 1;
        self.sum += seconds;
    }
}

/// What the supervisor counts for monitoring alone.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    cleaned: BTreeMap<&'static str, u64>,
    failed: u64,
    kills: Histogram,
    /// What the last sweep or rehearsal found and did not take.
    left: Vec<ProcId>,
}

impl Metrics {
    pub fn closed(&mut self, closed: &Closed, by: ExitBy) {
        match closed.outcome {
            Outcome::Clean | Outcome::Forced => *self.cleaned.entry(by.as_str()).or_default() += 1,
            Outcome::Survivors => self.failed += 1,
            Outcome::AlreadyGone | Outcome::WouldKill => return,
        }
        self.kills.observe(closed.seconds);
    }
}

/// What a sweep has left where it was.
pub fn left_by(report: &SweepReport) -> Vec<ProcId> {
    let left = report.candidates.iter().filter(|c| matches!(c.action, Action::WouldKill | Action::Failed));
    left.map(|c| ProcId { pid: c.pid, start: c.start_time }).collect()
}

/// Everything the supervisor knows for the page.
pub struct Figures {
    health: BTreeMap<&'static str, u64>,
    attention: BTreeMap<&'static str, u64>,
    keeperless: u64,
    strays: u64,
    counts: Counts,
    metrics: Metrics,
}

impl Supervisor {
    pub(super) fn note_sweep(&mut self, left: Vec<ProcId>) {
        self.metrics.left = left;
        self.sample_soon();
    }

    /// Strays of foreign agents that were found and left, as far as they still live.
    pub(super) fn strays_left(&self) -> u64 {
        self.metrics.left.iter().filter(|id| process::is_alive(**id)).count() as u64
    }

    pub(super) fn figures(&self) -> Figures {
        let rows = self.table(false, false).sessions;
        let mut health: BTreeMap<_, _> =
            [Health::Healthy, Health::Stuck, Health::Orphaned].map(|h| (h.as_str(), 0)).into();
        let words = [Attention::Working, Attention::Waiting, Attention::Idle, Attention::Unknown];
        let mut attention: BTreeMap<_, _> = words.map(|a| (a.as_str(), 0)).into();
        let mut strays = self.strays_left();
        for row in &rows {
            *health.entry(row.health.as_str()).or_default() += 1;
            *attention.entry(row.attention.as_str()).or_default() += 1;
            if row.state == Life::Lingering {
                strays += u64::from(row.processes.unwrap_or(0));
            }
        }
        let keeperless = self.live().filter(|e| e.life.keeper() != Keeper::Alive).count() as u64;
        let (counts, metrics) = (self.cleaner.counts, self.metrics.clone());
        Figures { health, attention, keeperless, strays, counts, metrics }
    }
}

pub(super) async fn metrics(Verbs(handle): Verbs) -> Answer {
    let figures = handle.ask(|reply| Command::Figures { reply }).await?;
    let own = tokio::time::timeout(PATIENCE, tokio::task::spawn_blocking(own::figures)).await;
    let silent = || Refusal::new(Code::Internal, "the kernel does not tell of this process");
    let own = own.map_err(|_| silent())?.map_err(|_| silent())?;
    let mut page = Page::default();
    page.family("beadle_build_info", "gauge", "The version, always 1.")
        .labelled(("version", env!("CARGO_PKG_VERSION")), 1.0);
    figures.write(&mut page);
    write_around(&mut page, &handle);
    if let Some(own) = own {
        write_own(&mut page, &own);
    }
    Ok(([("content-type", "text/plain; version=0.0.4; charset=utf-8")], page.into_text()).into_response())
}

impl Figures {
    fn write(&self, page: &mut Page) {
        let mut sessions = page.family("beadle_sessions", "gauge", "Live sessions, by health.");
        self.health.iter().for_each(|(word, n)| sessions.labelled(("health", word), float(*n)));
        let mut sessions =
            page.family("beadle_sessions_attention", "gauge", "Live sessions, by what the agent is doing.");
        self.attention.iter().for_each(|(word, n)| sessions.labelled(("attention", word), float(*n)));
        page.family("beadle_sessions_keeperless", "gauge", "Live sessions whose keeper is gone or silent.")
            .plain(float(self.keeperless));
        page.family(
            "beadle_strays",
            "gauge",
            "Processes that ended agents left behind, and strays the last sweep found and left.",
        )
        .plain(float(self.strays));
        page.family("beadle_sessions_created_total", "counter", "Sessions started.")
            .plain(float(self.counts.sessions_created));
        let mut cleaned =
            page.family("beadle_sessions_cleaned_total", "counter", "Sessions closed, by who or what closed them.");
        for by in CLOSERS {
            let n = self.metrics.cleaned.get(by.as_str()).copied().unwrap_or(0);
            cleaned.labelled(("by", by.as_str()), float(n));
        }
        page.family("beadle_kill_failures_total", "counter", "Closes that left survivors.")
            .plain(float(self.metrics.failed));
        page.family("beadle_cleanup_runs_total", "counter", "Passes of the cleaner.")
            .plain(float(self.counts.cleanup_runs));
        page.family("beadle_cleanup_errors_total", "counter", "Passes of the cleaner that failed.")
            .plain(float(self.counts.cleanup_errors));
        self.metrics.kills.write(page);
    }
}

/// Who closes; each is there from the beginning, so that the first close is an increase.
const CLOSERS: [ExitBy; 7] =
    [ExitBy::User, ExitBy::Policy, ExitBy::Pressure, ExitBy::Project, ExitBy::Sweep, ExitBy::Timeout, ExitBy::Shutdown];

impl Histogram {
    fn write(&self, page: &mut Page) {
        let mut family = page.family(
            "beadle_kill_seconds",
            "histogram",
            "How long closes took, from the order to the last process.",
        );
        let mut within = 0;
        for (bound, n) in BOUNDS.iter().zip(self.within) {
            within += n;
            family.sample("_bucket", &[("le", &bound.to_string())], float(within));
        }
        family.sample("_bucket", &[("le", "+Inf")], float(self.count));
        family.sample("_sum", &[], self.sum);
        family.sample("_count", &[], float(self.count));
    }
}

fn write_around(page: &mut Page, handle: &Handle) {
    let (stream, memory) = (handle.store.stream(), handle.store.state());
    let newest = stream.newest().borrow().unwrap_or(0);
    page.family("beadle_events_last_number", "gauge", "The number of the newest event.").plain(float(newest));
    page.family("beadle_event_readers", "gauge", "Who listens to the events.").plain(float(stream.readers() as u64));
    let mut hooks = page.family("beadle_hook_runs_total", "counter", "Runs of hooks, by what became of them.");
    let hooks::Counts { done, failed, left_out } = &*handle.hooks;
    for (word, n) in [("done", done), ("failed", failed), ("left_out", left_out)] {
        hooks.labelled(("result", word), float(n.load(Ordering::Relaxed)));
    }
    page.family("beadle_memory_lost_total", "counter", "Facts that were not written down.").plain(float(memory.lost));
    page.family("beadle_memory_waiting", "gauge", "Facts that wait to be written down.").plain(float(memory.waiting));
    page.family("beadle_memory_bytes", "gauge", "Size of the database.").plain(float(memory.bytes));
}

fn write_own(page: &mut Page, own: &own::Figures) {
    page.family("process_cpu_seconds_total", "counter", "User and system time of the daemon.")
        .plain(own.cpu.as_secs_f64());
    page.family("process_resident_memory_bytes", "gauge", "Resident memory of the daemon.")
        .plain(float(own.resident_bytes));
    page.family("process_virtual_memory_bytes", "gauge", "Virtual memory of the daemon.")
        .plain(float(own.virtual_bytes));
    page.family("process_open_fds", "gauge", "Open file descriptors of the daemon.").plain(float(own.open_fds));
    page.family("process_max_fds", "gauge", "Most file descriptors the daemon may open.").plain(float(own.max_fds));
    page.family("process_threads", "gauge", "Threads of the daemon.").plain(f64::from(own.threads));
    if let Some(started) = clock::unix_seconds(&clock::wall_at(own.started)) {
        page.family("process_start_time_seconds", "gauge", "Start of the daemon, in Unix seconds.")
            .plain(float(started));
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures beyond 2^53 are not met")]
fn float(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_counts_each_close_in_every_bound_above_it() {
        let mut kills = Histogram::default();
        [0.01, 0.02, 4.0, 99.0].into_iter().for_each(|seconds| kills.observe(seconds));
        let mut page = Page::default();
        kills.write(&mut page);
        let text = page.into_text();
        for line in [
            "_bucket{le=\"0.01\"} 1",
            "_bucket{le=\"0.025\"} 2",
            "_bucket{le=\"5\"} 3",
            "_bucket{le=\"+Inf\"} 4",
            "_count 4",
        ] {
            assert!(text.contains(&format!("beadle_kill_seconds{line}\n")), "{line}: {text}");
        }
    }
}
