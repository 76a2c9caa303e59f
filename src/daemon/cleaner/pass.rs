//! One look at every session.

use std::time::Duration;

use tokio::time::Instant;
use tracing::info;

use super::super::closing::How;
use super::super::entry::{Announced, Entry};
use super::super::supervisor::{Supervisor, answer};
use super::policy;
use super::subject::Subject;
use crate::api::cleanup::{Cleaned, CleanedSession, Seconds};
use crate::api::types::{Closed, Outcome};
use crate::config::show_duration;
use crate::model::policy::{self as rules, Due, Facts, Limits, Step, Told, What};
use crate::model::session::{Cause, ExitBy};
use crate::model::verdict::short;
use crate::sys::clock;

/// A session whose time is over.
struct Over {
    session: CleanedSession,
    cause: Cause,
}

/// What becomes of a session.
enum Decision {
    Rest,
    Announce(Announced),
    Close(Over),
}

impl Supervisor {
    pub(super) fn facts(&self, entry: &Entry, now: Duration) -> Facts {
        let of_agent = self.set.config.profiles.by_name(&entry.session.agent);
        let limits = of_agent.map(|profile| profile.limits).unwrap_or_default();
        entry.facts(limits, now)
    }

    /// Announces, withdraws and closes.
    pub(super) fn pass(&mut self) {
        let (begun, now) = (std::time::Instant::now(), clock::monotonic());
        let lost = self.cleaner.watch.looks(now, clock::slept());
        self.cleaner.watch.next_at(now + self.set.config.cleanup.interval);
        if lost {
            let quiet = show_duration(self.set.config.cleanup.quiet_start);
            info!("time went by that nobody watched: nothing is closed by policy for {quiet}");
        }
        let before = self.announced();
        let decided: Vec<(String, Decision)> =
            self.subjects(now).map(|s| (s.id.to_string(), self.decide(&s, lost, now))).collect();
        let over: Vec<Over> =
            decided.into_iter().filter_map(|(id, decision)| self.carry_out_decision(&id, decision)).collect();
        self.tell_announced(&before);
        self.cleaner.counts.cleanup_runs += 1;
        self.plan_timeouts();
        self.bump();
        self.cleaner.took = Some(begun.elapsed());
        self.close_over(over);
    }

    /// Announces, withdraws, or says that its time is over.
    fn decide(&self, subject: &Subject<'_>, lost: bool, now: Duration) -> Decision {
        let cleanup = &self.set.config.cleanup;
        let (notice, quiet_until) = (cleanup.notice, self.cleaner.watch.quiet_until(cleanup.quiet_start));
        let due = rules::due(&subject.facts, &policy(cleanup), now).ok().filter(|_| !lost);
        let told = subject.announced.map(|a| a.told).filter(|_| !lost);
        let Some(due) = due else { return Decision::Rest };
        match rules::step(&due, told, notice, quiet_until, now) {
            Step::Rest => Decision::Rest,
            Step::Close => Decision::Close(over(subject, due)),
            Step::Wait { since, closes_at } => Decision::Announce(announced(subject, due, since, closes_at)),
        }
    }

    fn carry_out_decision(&mut self, id: &str, decision: Decision) -> Option<Over> {
        match decision {
            Decision::Close(over) => return Some(over),
            Decision::Announce(announced) => {
                *self.announcement(id)? = Some(announced);
            }
            Decision::Rest => withdraw(id, self.announcement(id)?),
        }
        None
    }

    /// Withdraws what is no longer true; announces nothing.
    pub(super) fn recall(&mut self) {
        let (now, policy) = (clock::monotonic(), policy(&self.set.config.cleanup));
        let holds = |s: &Subject<'_>| rules::due(&s.facts, &policy, now).is_ok_and(|due| now >= due.notice_at);
        let announced = self.subjects(now).filter(|s| s.announced.is_some());
        let over: Vec<String> = announced.filter(|s| !holds(s)).map(|s| s.id.to_string()).collect();
        if over.is_empty() {
            return;
        }
        self.withdraw_each(&over);
    }

    fn withdraw_each(&mut self, ids: &[String]) {
        let before = self.announced();
        for id in ids {
            if let Some(announced) = self.announcement(id) {
                withdraw(id, announced);
            }
        }
        self.tell_announced(&before);
    }

    fn close_over(&mut self, over: Vec<Over>) {
        let orders = over.iter().map(|o| (o.session.session_id.clone(), o.cause.clone())).collect();
        let closing = self.close_each(orders, How::GENTLY);
        let waiting = std::mem::take(&mut self.cleaner.waiting);
        if waiting.is_empty() {
            return;
        }
        let announced = self.subjects(clock::monotonic()).filter(|s| s.announced.is_some()).count();
        let session_timeout = Seconds::from(self.set.config.cleanup.max_idle);
        tokio::spawn(async move {
            let mut sessions = Vec::new();
            for (receiver, over) in closing.into_iter().zip(over) {
                if receiver.await.is_ok_and(|closed| is_done(&closed)) {
                    sessions.push(over.session);
                }
            }
            let cleaned = Cleaned {
                cleaned_sessions: sessions.len(),
                message: message(sessions.len(), announced),
                sessions,
                cleanup_time: clock::unix_now(),
                session_timeout,
                announced,
            };
            waiting.into_iter().for_each(|reply| answer(reply, Ok(cleaned.clone())));
        });
    }

    /// Closes those whose own timeout is over.
    pub(super) fn close_overdue(&mut self) {
        let now = clock::monotonic();
        let over = |e: &Entry| {
            let due = rules::timeout(&e.facts(Limits::default(), now), Duration::ZERO, now)?;
            (due.at <= now).then(|| (e.id().to_string(), Cause::new(ExitBy::Timeout, due.reason)))
        };
        let orders = self.live().filter_map(over).collect();
        // Nobody waits for them.
        drop(self.close_each(orders, How::GENTLY));
        self.plan_timeouts();
    }

    /// When the next timeout of any session is over.
    pub(in crate::daemon) fn plan_timeouts(&mut self) {
        let now = clock::monotonic();
        let at = |e: &Entry| {
            e.session.timeout_seconds?;
            rules::timeout(&e.facts(Limits::default(), now), Duration::ZERO, now).map(|due| due.at)
        };
        let next = self.live().filter_map(at).min();
        self.cleaner.timeout = next.map(|at| Instant::now() + at.saturating_sub(now));
    }

    /// What was announced is no longer meant.
    pub(super) fn withdraw_all(&mut self) {
        let ids: Vec<String> = self.entries.keys().chain(self.foreign.keys()).cloned().collect();
        self.withdraw_each(&ids);
    }
}

fn announced(subject: &Subject<'_>, due: Due, since: Duration, closes_at: Duration) -> Announced {
    let told = Told { what: due.what, since };
    if subject.announced.is_none_or(|a| a.told != told) {
        let left = short(closes_at.saturating_sub(since));
        let when = if due.held { "once it rests" } else { left.as_str() };
        info!("announced session={} name={:?} closes={when:?} because={:?}", subject.id, subject.name, due.reason);
    }
    Announced { told, closes_at, reason: due.reason }
}

fn withdraw(id: &str, announced: &mut Option<Announced>) {
    if let Some(announced) = announced.take() {
        info!("withdrawn session={id} because={:?}", announced.reason);
    }
}

fn over(subject: &Subject<'_>, due: Due) -> Over {
    let by = if due.what == What::Timeout { ExitBy::Timeout } else { ExitBy::Policy };
    let session = CleanedSession {
        session_id: subject.id.into(),
        name: subject.name.into(),
        workspace_name: subject.workspace.clone(),
        inactive_time: subject.facts.idle.map(super::stats::tenths),
        reason: due.reason.clone(),
    };
    Over { session, cause: Cause::new(by, due.reason) }
}

fn is_done(closed: &Closed) -> bool {
    match closed.outcome {
        Outcome::Clean | Outcome::Forced | Outcome::AlreadyGone => true,
        Outcome::Survivors | Outcome::WouldKill => false,
    }
}

fn message(closed: usize, announced: usize) -> String {
    let sessions = |n: usize| if n == 1 { "1 session".to_string() } else { format!("{n} sessions") };
    match (closed, announced) {
        (0, 0) => "nothing to close".into(),
        (_, 0) => format!("closed {}", sessions(closed)),
        (0, _) => format!("nothing to close yet; {} announced", sessions(announced)),
        _ => format!("closed {}; {} announced", sessions(closed), sessions(announced)),
    }
}
