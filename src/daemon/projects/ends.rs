//! The consequences of an end: all that ran for the project is closed. What cannot be closed is reported, and holds up
//! nothing.

use tokio::time::Instant;
use tracing::info;

use super::round::{End, Lingering, Plan, Settled};
use super::{Answer, News};
use crate::api::project::ProjectEnded;
use crate::api::types::{Closed, KillReport, Outcome};
use crate::daemon::closing::How;
use crate::daemon::handle::Input;
use crate::daemon::supervisor::{Supervisor, answer};
use crate::model::session::{Cause, ExitBy};

impl Supervisor {
    pub(super) fn draw_consequences(&mut self, plan: Plan) {
        let Plan { ends, lingering, overdue, .. } = plan;
        let by = |number: i64| if overdue.contains(&number) { ExitBy::Timeout } else { ExitBy::Project };
        for end in ends {
            // One of its sessions is just being born: first it is there, then it is closed.
            let is_born = self.queue.starting.values().any(|number| *number == end.number);
            if is_born || self.queue.closing.contains_key(&end.number) {
                continue;
            }
            self.queue.closing.insert(end.number, Instant::now());
            let of_it: Vec<&Lingering> = lingering.iter().filter(|l| l.number == end.number).collect();
            of_it.iter().for_each(|l| {
                self.queue.tried.remove(&l.session);
            });
            let reason = format!("project {} is {}: {}", end.project, end.status, end.reason);
            let cause = Cause::new(by(end.number), reason).asked(self.queue.asked.remove(&end.number).flatten());
            let hook = std::mem::replace(&mut self.by_hook, end.by_hook);
            self.close_of_project(&of_it, &cause, move |report| News::Cleaned { end, report });
            self.by_hook = hook;
        }
        let mut rest: std::collections::BTreeMap<i64, Vec<&Lingering>> = std::collections::BTreeMap::new();
        for one in lingering.iter().filter(|l| !self.queue.closing.contains_key(&l.number)) {
            rest.entry(one.number).or_default().push(one);
        }
        for (number, of_it) in rest {
            let fresh: Vec<&Lingering> = of_it.into_iter().filter(|l| self.is_to_close(l)).collect();
            let Some(first) = fresh.first() else { continue };
            let project = first.project.clone();
            let reason = match first.status {
                Some(status) if status.is_finished() => format!("project {project} is {status}"),
                Some(_) => format!("an earlier attempt of project {project}"),
                None => format!("project {project} is gone"),
            };
            let cause = Cause::new(by(number), reason.clone());
            self.close_of_project(&fresh, &cause, move |report| News::Swept { project, reason, report });
        }
    }

    fn is_to_close(&self, lingering: &Lingering) -> bool {
        let id = &lingering.session;
        let entry = self.entries.get(id);
        let closes = entry.is_some_and(|e| (e.life.is_closing() && !e.is_to_run_again()) || e.survived);
        !closes && !self.queue.tried.contains_key(id)
    }

    /// What people pinned stays, unless the queue itself started it; so does what beadle runs in.
    pub(super) fn is_taken(&self, id: &str) -> bool {
        match self.foreign.get(id) {
            Some(foreign) => !foreign.said.pinned && self.may_be_closed(&[id.to_string()], false).is_ok(),
            None => true,
        }
    }

    /// Closes what is to be closed, side by side, and says so when it is over.
    fn close_of_project(
        &mut self,
        lingering: &[&Lingering],
        cause: &Cause,
        news: impl FnOnce(KillReport) -> News + Send + 'static,
    ) {
        let is_spared = |l: &Lingering| {
            let pinned = self.entries.get(&l.session).is_some_and(|e| e.meta.pinned);
            (pinned && !l.own) || !self.is_taken(&l.session)
        };
        let ids: Vec<String> = lingering.iter().filter(|l| !is_spared(l)).map(|l| l.session.clone()).collect();
        for one in lingering {
            if let Some(foreign) = self.foreign.get_mut(&one.session) {
                // What is told of it from now on says whose it was.
                foreign.said.project.get_or_insert_with(|| one.project.clone());
            }
            self.queue.tried.insert(one.session.clone(), Instant::now());
        }
        let closing = self.close_each(ids.into_iter().map(|id| (id, cause.clone())).collect(), How::GENTLY);
        let inputs = self.inputs.clone();
        tokio::spawn(async move {
            let mut sessions: Vec<Closed> = Vec::new();
            for receiver in closing {
                sessions.extend(receiver.await);
            }
            let failed = sessions.iter().filter(|c| c.outcome == Outcome::Survivors).count();
            let report = KillReport { closed: sessions.len() - failed, failed, sessions };
            // A supervisor that has ended draws no consequences; the next one does.
            let _ = inputs.send(Input::Queue(Box::new(news(report))));
        });
    }

    /// Everything of a finished project is closed, as far as it can be.
    pub(super) fn on_cleaned(&mut self, end: &End, report: &KillReport) {
        info!(
            project = %end.project, closed = report.closed, failed = report.failed, reason = %end.reason,
            "project {}", end.status
        );
        if self.closing_down {
            // The next daemon settles it.
            self.answer_waiting(end, report);
        }
        self.queue.settled.push(Settled { end: end.clone(), report: report.clone() });
        self.forget_tried();
        self.make_round();
    }

    pub(super) fn answer_waiting(&mut self, end: &End, report: &KillReport) {
        for waiting in &mut self.queue.waiting {
            if let Some(at) = waiting.left.iter().position(|n| *n == end.number) {
                waiting.left.swap_remove(at);
                let message = end.status.to_string();
                waiting.done.push(ProjectEnded::new(end.project.clone(), end.status, message, report.clone()));
            }
        }
        let (over, still): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.queue.waiting).into_iter().partition(|w| w.left.is_empty());
        self.queue.waiting = still;
        over.into_iter().for_each(|w| answer(w.reply, Ok(Answer::Ended(w.done))));
    }

    pub(super) fn on_lingering_closed(&mut self, project: &str, reason: &str, report: &KillReport) {
        info!(%project, closed = report.closed, failed = report.failed, "closed what still ran: {reason}");
        self.forget_tried();
        self.make_round();
    }

    fn forget_tried(&mut self) {
        let entries = &self.entries;
        let foreign = &self.foreign;
        let lives = |id: &String| {
            entries.get(id).is_some_and(super::super::entry::Entry::is_live)
                || foreign.get(id).is_some_and(super::super::foreign::Foreign::is_live)
        };
        self.queue.tried.retain(|id, _| lives(id));
    }
}
