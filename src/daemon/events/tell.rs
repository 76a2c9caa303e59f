//! What the supervisor says, and of whom.

use std::collections::{BTreeMap, HashMap};

use super::{Again, Told};
use crate::api::sweep::{Action, Candidate, SweepReport};
use crate::api::types::{Closed, KillReport, Outcome};
use crate::config::{self, Config};
use crate::daemon::entry::{Announced, Entry};
use crate::daemon::foreign::Foreign;
use crate::daemon::handle::Ended;
use crate::daemon::store::Store;
use crate::daemon::supervisor::Supervisor;
use crate::model::event::{Change, What, Who};
use crate::model::session::{Attention, ExitBy, Health, Origin};
use crate::model::text::printable_within;
use crate::sys::clock;

/// Longest text of an event, in characters.
const LONGEST: usize = 300;
/// Of many strays only so many are named.
const MOST_PIDS: usize = 100;

/// Sections whose values stand in no event.
const SECRET: &[&str] = &["server.", "projects.env"];

/// Untrusted text, as it may stand in an event.
pub fn said(text: &str) -> String {
    printable_within(text, LONGEST)
}

impl Entry {
    pub fn who(&self) -> Who {
        Who {
            session_id: self.id().into(),
            name: said(self.name()),
            agent: said(&self.session.agent),
            origin: Origin::Managed,
            project_id: self.session.project.as_deref().map(said),
        }
    }
}

impl Foreign {
    pub fn who(&self) -> Who {
        Who {
            session_id: self.id.clone(),
            name: said(self.name()),
            agent: said(&self.agent),
            origin: self.seen.origin,
            project_id: self.said.project.as_deref().map(said),
        }
    }
}

/// Tells what comes of a request later on, beside the supervisor.
#[derive(Clone)]
pub struct Teller {
    store: Store,
    by_hook: bool,
}

impl Teller {
    /// Of what was asked for from inside a hook, or not.
    #[must_use]
    pub fn of(self, by_hook: bool) -> Self {
        Self { by_hook, ..self }
    }

    pub fn tell(&self, what: What) {
        self.tell_with(what, None, Again::No);
    }

    fn tell_with(&self, what: What, key: Option<String>, again: Again) {
        self.store.tell_event(Told { at: clock::wall(), by_hook: self.by_hook, what, key, again, owed: None });
    }

    pub fn all_closed(&self, report: &KillReport, reason: &str, project: Option<&str>) {
        let (closed, failed, project_id) = (report.closed, report.failed, project.map(said));
        self.tell(What::CloseAllSessions { closed, failed, reason: said(reason), project_id });
    }

    /// A sweep is over, or was rehearsed.
    pub fn swept(&self, report: &SweepReport, reason: &str) {
        let left: Vec<&Candidate> = report.candidates.iter().filter(|c| is_stray(c.action)).collect();
        if !left.is_empty() {
            let pids = left.iter().take(MOST_PIDS).map(|c| c.pid).collect();
            let memory_bytes = left.iter().map(|c| c.memory_bytes).sum();
            self.tell(What::StraysFound { count: left.len(), memory_bytes, pids });
        }
        if report.dry_run {
            return;
        }
        self.tell(What::SweepCompleted {
            emergency: report.sessions.is_some(),
            killed: report.killed,
            spared: report.spared,
            failed: report.failed,
            freed_bytes: report.freed_bytes,
            reason: said(reason),
            failure: report.failure.as_deref().map(said),
        });
    }
}

const fn is_stray(action: Action) -> bool {
    match action {
        Action::Killed | Action::WouldKill | Action::Failed => true,
        Action::Spared | Action::Suspect => false,
    }
}

impl Supervisor {
    /// Tells what has just happened. Never waits.
    pub(in crate::daemon) fn tell(&self, what: What) {
        self.tell_with(what, None, Again::No);
    }

    /// For what is carried out beside the supervisor.
    pub(in crate::daemon) fn teller(&self) -> Teller {
        Teller { store: self.set.store.clone(), by_hook: self.by_hook }
    }

    fn tell_with(&self, what: What, key: Option<String>, again: Again) {
        let by_hook = self.by_hook || what.who().is_some_and(|who| self.is_of_hook(&who.session_id));
        self.teller().of(by_hook).tell_with(what, key, again);
    }

    /// A hook started it, or is closing it.
    fn is_of_hook(&self, id: &str) -> bool {
        let started = |e: &Entry| e.session.by_hook || e.close.as_ref().is_some_and(|c| c.by_hook);
        let closed = |f: &Foreign| f.close.as_ref().is_some_and(|c| c.by_hook);
        self.entries.get(id).is_some_and(started) || self.foreign.get(id).is_some_and(closed)
    }

    pub(in crate::daemon) fn tell_started(&self, id: &str) {
        let Some(entry) = self.entries.get(id) else { return };
        self.tell_with(What::SessionStarted { who: entry.who() }, Some(started(entry)), Again::No);
    }

    pub(in crate::daemon) fn tell_restarted(&self, id: &str) {
        let Some(entry) = self.entries.get(id) else { return };
        self.tell(What::SessionRestarted { who: entry.who() });
    }

    pub(in crate::daemon) fn tell_ended(&self, id: &str) {
        let Some(entry) = self.entries.get(id) else { return };
        let what = What::SessionEnded { who: entry.who(), exit: entry.exit.clone() };
        self.tell_with(what, Some(ended(entry)), Again::No);
    }

    /// After adoption: the daemon before may have ended between a fact and its event.
    pub(in crate::daemon) fn tell_again(&self) {
        for entry in self.entries.values() {
            let begun = What::SessionStarted { who: entry.who() };
            self.tell_perhaps(begun, started(entry), entry.started_at.clone());
            if let Some(exit) = entry.exit.clone().filter(|_| !entry.is_live()) {
                let at = exit.at.clone();
                self.tell_perhaps(What::SessionEnded { who: entry.who(), exit: Some(exit) }, ended(entry), at);
            }
        }
    }

    /// The first of this daemon.
    pub(in crate::daemon) fn tell_begun(&self) {
        let pid = i32::try_from(std::process::id()).unwrap_or(0);
        self.tell(What::DaemonStarted { version: env!("CARGO_PKG_VERSION").into(), pid });
    }

    fn tell_perhaps(&self, what: What, key: String, at: String) {
        self.set.store.tell_event(Told {
            at,
            by_hook: false,
            what,
            key: Some(key),
            again: Again::PerhapsLongAgo,
            owed: None,
        });
    }

    /// A session beadle did not start was seen; its id is the same for every daemon of this boot.
    pub(in crate::daemon) fn tell_seen(&self, id: &str) {
        let Some(foreign) = self.foreign.get(id).filter(|f| !f.is_shell()) else { return };
        let key = format!("session_started {id}");
        self.tell_with(What::SessionStarted { who: foreign.who() }, Some(key), Again::Perhaps);
    }

    pub(in crate::daemon) fn tell_gone(&self, id: &str) {
        let Some(foreign) = self.foreign.get(id).filter(|f| !f.is_shell()) else { return };
        self.tell(What::SessionEnded { who: foreign.who(), exit: foreign.exit.clone() });
    }

    /// A close is over.
    pub(in crate::daemon) fn tell_closed(&self, closed: &Closed, by: ExitBy) {
        let managed = self.entries.get(&closed.id).map(Entry::who);
        let Some(who) = managed.or_else(|| self.foreign.get(&closed.id).map(Foreign::who)) else { return };
        let status = if closed.outcome == Outcome::Survivors { "failed" } else { "cleaned_up" };
        let outcome = closed.outcome.as_str().into();
        self.tell(What::SessionCleanup { who, status: status.into(), reason: said(&closed.reason), by, outcome });
    }

    /// Something about a session was changed by somebody.
    pub(in crate::daemon) fn tell_changed(&self, id: &str, change: &str) {
        let managed = self.entries.get(id).map(Entry::who);
        if let Some(who) = managed.or_else(|| self.foreign.get(id).map(Foreign::who)) {
            self.tell(What::SessionChanged { who, change: change.into() });
        }
    }

    /// Settings other than before are in force.
    pub(in crate::daemon) fn tell_settings(&self, before: &Config) {
        let is = &self.set.config;
        let secret = |key: &str| SECRET.iter().any(|section| key.starts_with(section));
        let shown = |key: &str, value: Option<String>| match value {
            Some(_) if secret(key) => "(not shown)".to_string(),
            value => said(&value.unwrap_or_default()),
        };
        let change = |key: String| {
            let (old, new) = (before.get(&key), is.get(&key));
            (old != new).then(|| (key.clone(), Change { old: shown(&key, old), new: shown(&key, new) }))
        };
        let settings: BTreeMap<String, Change> = config::keys().filter_map(change).collect();
        if !settings.is_empty() {
            self.tell(What::SettingsChanged { settings });
        }
    }

    /// The closes that are announced now.
    pub(in crate::daemon) fn announced(&self) -> HashMap<String, Announced> {
        let managed = self.live().map(|e| (e.id(), &e.announced));
        let foreign = self.foreign_live().map(|f| (f.id.as_str(), &f.announced));
        managed.chain(foreign).filter_map(|(id, announced)| Some((id.to_string(), announced.clone()?))).collect()
    }

    /// What is announced now and was not before, and the other way round. A close that has begun withdraws nothing.
    pub(in crate::daemon) fn tell_announced(&self, before: &HashMap<String, Announced>) {
        let managed = self.live().filter(|e| e.close.is_none()).map(|e| (e.id(), &e.announced, e.who()));
        let foreign = self.foreign_live().filter(|f| f.close.is_none());
        let foreign = foreign.map(|f| (f.id.as_str(), &f.announced, f.who()));
        for (id, now, who) in managed.chain(foreign) {
            match (before.get(id), now) {
                (was, Some(is)) if was.is_none_or(|was| was.told != is.told) => self.tell(What::CloseAnnounced {
                    who,
                    closes_at: clock::wall_at(is.closes_at),
                    reason: said(&is.reason),
                }),
                (Some(was), None) => self.tell(What::CloseWithdrawn { who, reason: said(&was.reason) }),
                (_, Some(_)) | (None, None) => {}
            }
        }
    }

    /// Verdicts that are others than those told last.
    pub(in crate::daemon) fn tell_verdicts(&mut self) {
        let now = clock::monotonic();
        let mut news = Vec::new();
        for entry in self.entries.values_mut().filter(|e| e.is_live()) {
            let verdict = entry.verdict(now);
            if std::mem::replace(&mut entry.told_lingering, entry.lingering_since.is_some()) != entry.told_lingering
                && entry.told_lingering
            {
                news.push(What::SessionLingering { who: entry.who() });
            }
            let is = (verdict.health, verdict.attention);
            if entry.told != Some(is) {
                let was = entry.told.replace(is);
                news.extend(changes(&entry.who(), was, is, &verdict.reason));
            }
        }
        for foreign in self.foreign.values_mut().filter(|f| f.is_live() && !f.is_shell()) {
            let verdict = foreign.verdict(now);
            let is = (verdict.health, verdict.attention);
            if foreign.told != Some(is) {
                let was = foreign.told.replace(is);
                news.extend(changes(&foreign.who(), was, is, &verdict.reason));
            }
        }
        news.into_iter().for_each(|what| self.tell(what));
    }
}

/// The last of this daemon.
pub fn tell_stopped(store: &Store, ended: Ended) {
    let reason = match ended {
        Ended::Stopped => "stopped",
        Ended::Overdue => "stopped: sessions were still closing when shutdown.deadline had passed",
        Ended::Again => "restarted in place",
    };
    let what = What::DaemonStopped { reason: reason.into() };
    store.tell_event(Told { at: clock::wall(), by_hook: false, what, key: None, again: Again::No, owed: None });
}

fn started(entry: &Entry) -> String {
    format!("session_started {} {}", entry.id(), entry.started_at)
}

fn ended(entry: &Entry) -> String {
    format!("session_ended {} {}", entry.id(), entry.started_at)
}

/// A first verdict is news only when somebody should look.
fn changes(
    who: &Who,
    was: Option<(Health, Attention)>,
    (health, attention): (Health, Attention),
    reason: &str,
) -> Vec<What> {
    let (before, looked) = was.unzip();
    let mut news = Vec::new();
    if before.unwrap_or(Health::Healthy) != health {
        news.push(What::HealthChanged { who: who.clone(), before, health, reason: said(reason) });
    }
    let is_news = looked.map_or(attention == Attention::Waiting, |looked| looked != attention);
    if is_news {
        news.push(What::AttentionChanged { who: who.clone(), before: looked, attention, reason: said(reason) });
    }
    news
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_changed_is_told_and_the_first_verdict_when_it_is_news() {
        let who = Who {
            session_id: "a".into(),
            name: "a".into(),
            agent: "x".into(),
            origin: Origin::Managed,
            project_id: None,
        };
        let kinds = |was, is| changes(&who, was, is, "r").iter().map(What::kind).collect::<Vec<_>>();
        let (fine, stuck) = ((Health::Healthy, Attention::Working), (Health::Stuck, Attention::Waiting));
        assert_eq!(kinds(None, fine), Vec::<&str>::new());
        assert_eq!(kinds(Some(fine), fine), Vec::<&str>::new());
        assert_eq!(kinds(None, stuck), ["health_changed", "attention_changed"]);
        assert_eq!(kinds(Some(stuck), (Health::Healthy, Attention::Waiting)), ["health_changed"]);
    }
}
