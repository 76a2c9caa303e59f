//! The rows of the table: sessions made safe to show, ordered worst first.
//!
//! Text is cleaned here, once, when the table arrives; nothing behind this file sees it raw.

use std::collections::HashMap;

use super::column::by_need;
use crate::api::types::Session;
use crate::model::session::{Attention, Health, State};
use crate::model::text::printable_within;

/// Longest text kept of any field, in characters.
const MAX_TEXT: usize = 256;

/// What a row is about, in the order in which rows stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Orphaned,
    Waiting,
    Stuck,
    Healthy,
}

impl Kind {
    fn of(session: &Session) -> Self {
        match (session.health, session.attention) {
            (Health::Orphaned, _) => Self::Orphaned,
            (Health::Stuck, _) => Self::Stuck,
            (Health::Healthy, Attention::Waiting) => Self::Waiting,
            (Health::Healthy, Attention::Working | Attention::Idle | Attention::Unknown) => Self::Healthy,
        }
    }

    pub const fn glyph(self) -> &'static str {
        match self {
            Self::Orphaned => "✖",
            Self::Waiting => "◇",
            Self::Stuck => "◐",
            Self::Healthy => "●",
        }
    }

    pub const fn word(self) -> &'static str {
        match self {
            Self::Orphaned => "orphaned",
            Self::Waiting => "waiting",
            Self::Stuck => "stuck",
            Self::Healthy => "healthy",
        }
    }
}

/// A session as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub session: Session,
    pub kind: Kind,
    pub name: String,
    pub agent: String,
    pub project: String,
    pub workspace: String,
    pub reason: String,
    /// Seconds until policy closes it, as of when the table came.
    pub closes_in: Option<f64>,
    pub closes_because: String,
    words: String,
    haystack: String,
}

impl Row {
    pub fn new(session: Session) -> Self {
        let clean = |text: &str| printable_within(text, MAX_TEXT).trim().to_string();
        let (name, agent, reason) = (clean(&session.name), clean(&session.agent), clean(&session.reason));
        let project = session.project.as_deref().map(clean).unwrap_or_default();
        let words = [&name, &agent, &project, &reason, &clean(&session.id)].map(String::as_str).join("\n");
        Self {
            kind: Kind::of(&session),
            haystack: words.to_lowercase(),
            workspace: clean(&session.workspace),
            closes_in: closes_in(&session),
            closes_because: session.closes_because.as_deref().map(clean).unwrap_or_default(),
            name,
            agent,
            project,
            reason,
            words,
            session,
        }
    }

    fn says_the_same(&self, other: &Session) -> bool {
        let own = &self.session;
        own.name == other.name
            && own.agent == other.agent
            && own.project == other.project
            && own.workspace == other.workspace
            && own.reason == other.reason
            && own.closes_because == other.closes_because
    }

    /// The same texts, other numbers.
    fn with(&self, session: Session) -> Self {
        Self { kind: Kind::of(&session), closes_in: closes_in(&session), session, ..self.clone() }
    }

    pub fn id(&self) -> &str {
        &self.session.id
    }

    /// True when `needle` (in lower case) stands in the name, agent, project, reason or id.
    pub fn has(&self, needle: &str) -> bool {
        self.haystack.contains(needle)
    }

    /// Name, agent, project, reason and id, a line each.
    pub fn words(&self) -> &str {
        &self.words
    }

    /// What it is doing; where it stands, when it cannot do anything.
    pub const fn attention(&self) -> &'static str {
        match self.session.state {
            State::Running => self.session.attention.as_str(),
            state @ (State::Starting | State::Paused | State::Closing | State::Lingering | State::Ended) => {
                state.as_str()
            }
        }
    }

    /// What the person should read on the row; empty when all is well.
    pub fn remark(&self) -> String {
        match self.session.state {
            State::Closing => "closing".into(),
            State::Paused => "paused".into(),
            State::Starting => "starting".into(),
            State::Lingering | State::Running | State::Ended if self.kind == Kind::Healthy => self.notes(),
            State::Lingering if self.reason.is_empty() => "lingering".into(),
            State::Lingering | State::Running | State::Ended => self.reason.clone(),
        }
    }

    /// What is worth a word though nothing is wrong.
    fn notes(&self) -> String {
        let attached = if self.session.attached > 0 { "attached" } else { "" };
        let pinned = if self.session.pinned { "pinned" } else { "" };
        [pinned, attached].into_iter().filter(|s| !s.is_empty()).collect::<Vec<_>>().join(", ")
    }
}

/// The clock of the table is that of the daemon: the moment a session began and its age.
fn closes_in(session: &Session) -> Option<f64> {
    let at = |text: &str| text.parse::<jiff::Timestamp>().ok().map(|t| t.duration_since(jiff::Timestamp::UNIX_EPOCH));
    let (end, began) = (at(session.closes_at.as_deref()?)?, at(&session.started_at)?);
    Some((end.as_secs_f64() - began.as_secs_f64() - session.age_seconds).max(0.0))
}

/// Rows of a table that arrived, worst first; within a kind the oldest first, so that nothing jumps. Text that is as it
/// was in `old` is not cleaned again: most of a large table never changes.
pub fn ordered(old: &[Row], sessions: Vec<Session>) -> Vec<Row> {
    let known: HashMap<&str, &Row> = old.iter().map(|row| (row.id(), row)).collect();
    let row = |session: Session| match known.get(session.id.as_str()) {
        Some(row) if row.says_the_same(&session) => row.with(session),
        Some(_) | None => Row::new(session),
    };
    let mut rows: Vec<Row> = sessions.into_iter().filter(|s| s.state != State::Ended).map(row).collect();
    rows.sort_by(by_need);
    rows
}

/// How many sessions there are of each health, and what all of them cost.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Totals {
    pub healthy: usize,
    pub stuck: usize,
    pub orphaned: usize,
    /// Healthy ones that wait for a person.
    pub waiting: usize,
    pub memory_bytes: u64,
    pub cpu_percent: f64,
}

impl Totals {
    pub fn of(rows: &[Row]) -> Self {
        let mut totals = Self::default();
        for row in rows {
            match row.session.health {
                Health::Healthy => totals.healthy += 1,
                Health::Stuck => totals.stuck += 1,
                Health::Orphaned => totals.orphaned += 1,
            }
            totals.waiting += usize::from(row.kind == Kind::Waiting);
            totals.memory_bytes = totals.memory_bytes.saturating_add(row.session.memory_bytes.unwrap_or(0));
            totals.cpu_percent += row.session.cpu_percent.unwrap_or(0.0);
        }
        totals
    }
}
