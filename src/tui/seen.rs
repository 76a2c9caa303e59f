//! What this interface saw with its own eyes: how active each session was, since when it is as it is, and what
//! changed. Nobody else keeps it; it begins empty and ends with the interface.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::rows::{Kind, Row};

/// Minutes that are remembered.
pub const MINUTES: usize = 30;
/// Changes that are remembered.
const CHANGES: usize = 500;

/// One value for each of the last minutes.
#[derive(Debug, Clone, Default)]
pub struct Ring {
    values: VecDeque<f64>,
    minute: u64,
}

impl Ring {
    /// The value of this minute becomes what `change` makes of it; minutes nobody looked at repeat `between`.
    fn note(&mut self, now: Duration, between: impl Fn(f64) -> f64, change: impl FnOnce(f64) -> f64) {
        let minute = now.as_secs() / 60;
        if self.values.is_empty() {
            (self.minute, self.values) = (minute, VecDeque::from([0.0]));
        }
        let passed = usize::try_from(minute.saturating_sub(self.minute)).unwrap_or(MINUTES).min(MINUTES);
        for _ in 0..passed {
            let last = self.values.back().copied().unwrap_or(0.0);
            self.values.push_back(between(last));
        }
        self.minute = self.minute.max(minute);
        while self.values.len() > MINUTES {
            self.values.pop_front();
        }
        if let Some(last) = self.values.back_mut() {
            *last = change(*last);
        }
    }

    /// The present minute last; before the first look there is nothing.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = f64> + ExactSizeIterator {
        self.values.iter().copied()
    }
}

/// What was seen of one session.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    /// How often there was activity.
    pub activity: Ring,
    /// Of one core, in percent.
    pub cpu: Ring,
    /// In bytes.
    pub memory: Ring,
    messages: Option<u64>,
    /// When it became what it is, if that was seen.
    since: Option<Duration>,
}

/// A change, as the events pane tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub at: Duration,
    pub id: String,
    pub name: String,
    pub text: String,
    /// What it is now; `None`: gone.
    pub kind: Option<Kind>,
    /// It is this since now.
    pub is_verdict: bool,
}

/// All of it.
#[derive(Debug, Default)]
pub struct Seen {
    traces: BTreeMap<String, Trace>,
    /// The latest last.
    pub changes: VecDeque<Change>,
    /// All sessions together.
    pub total: Trace,
    /// What a busy session does in a minute: the most of any, lately.
    pub busiest: f64,
}

impl Seen {
    pub fn trace(&self, id: &str) -> Option<&Trace> {
        self.traces.get(id)
    }

    /// How much happened in the remembered minutes.
    pub fn activity(&self, id: &str) -> Option<f64> {
        self.trace(id).map(|t| t.activity.values().sum())
    }

    /// When the session became what it is, if that was seen.
    pub fn since(&self, id: &str) -> Option<Duration> {
        self.trace(id)?.since
    }

    /// Takes a new table; `old` is empty when it is the first.
    pub fn look(&mut self, now: Duration, old: &[Row], new: &[Row], is_first: bool) -> Vec<Change> {
        let before: BTreeMap<&str, &Row> = old.iter().map(|r| (r.id(), r)).collect();
        let after: BTreeMap<&str, &Row> = new.iter().map(|r| (r.id(), r)).collect();
        let mut changes = Vec::new();
        for row in new {
            let was = before.get(row.id()).copied();
            self.note(now, row, was);
            if !is_first {
                changes.extend(change(now, was, row));
            }
        }
        for row in old.iter().filter(|r| !after.contains_key(r.id())) {
            let (id, name) = (row.id().to_string(), row.name.clone());
            changes.push(Change { at: now, id, name, text: "gone".into(), kind: None, is_verdict: false });
        }
        self.traces.retain(|id, _| after.contains_key(id.as_str()));
        self.sum_up(now, new);
        self.busiest = self.traces.values().flat_map(|t| t.activity.values()).fold(0.0, f64::max);
        self.changes.extend(changes.iter().cloned());
        while self.changes.len() > CHANGES {
            self.changes.pop_front();
        }
        changes
    }

    fn note(&mut self, now: Duration, row: &Row, was: Option<&Row>) {
        let session = &row.session;
        let trace = self.traces.entry(row.id().into()).or_default();
        let more = match (trace.messages, session.messages) {
            // A restarted session counts anew.
            (Some(before), Some(after)) => after.saturating_sub(before),
            (None, _) | (_, None) => 0,
        };
        self.total.activity.note(now, |_| 0.0, |sum| sum + as_f64(more));
        trace.messages = session.messages.or(trace.messages);
        trace.activity.note(now, |_| 0.0, |sum| sum + as_f64(more));
        trace.cpu.note(now, |last| last, |last| session.cpu_percent.unwrap_or(last));
        trace.memory.note(now, |last| last, |last| session.memory_bytes.map_or(last, as_f64));
        if was.is_some_and(|was| (was.kind, was.attention()) != (row.kind, row.attention())) {
            trace.since = Some(now);
        }
    }

    fn sum_up(&mut self, now: Duration, rows: &[Row]) {
        let cpu = rows.iter().filter_map(|r| r.session.cpu_percent).sum();
        let memory = as_f64(rows.iter().filter_map(|r| r.session.memory_bytes).sum());
        self.total.cpu.note(now, |last| last, |_| cpu);
        self.total.memory.note(now, |last| last, |_| memory);
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown as a bar")]
const fn as_f64(n: u64) -> f64 {
    n as f64
}

/// What of a row is worth an event.
fn change(now: Duration, was: Option<&Row>, row: &Row) -> Option<Change> {
    let text = match was {
        None => format!("started ({})", if row.agent.is_empty() { "unknown agent" } else { &row.agent }),
        Some(was) if was.kind != row.kind => {
            let why = if row.reason.is_empty() { String::new() } else { format!(": {}", row.reason) };
            format!("{} → {}{why}", was.kind.word(), row.kind.word())
        }
        Some(was) if was.session.state != row.session.state => {
            format!("{} → {}", was.session.state, row.session.state)
        }
        Some(was) if was.closes_in.is_none() && row.closes_in.is_some() => {
            format!("will be closed: {}", row.closes_because)
        }
        Some(_) => return None,
    };
    let is_verdict = was.is_none_or(|was| was.kind != row.kind);
    Some(Change { at: now, id: row.id().into(), name: row.name.clone(), text, kind: Some(row.kind), is_verdict })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_nobody_looked_at_was_quiet_and_the_oldest_are_forgotten() {
        let mut ring = Ring::default();
        let minute = |n: u64| Duration::from_secs(n * 60 + 5);
        let add = |ring: &mut Ring, at, n: f64| ring.note(at, |_| 0.0, |sum| sum + n);
        add(&mut ring, minute(7), 2.0);
        add(&mut ring, minute(7), 3.0);
        add(&mut ring, minute(9), 1.0);
        assert_eq!(ring.values().collect::<Vec<_>>(), [5.0, 0.0, 1.0]);
        add(&mut ring, minute(9 + 29), 4.0);
        assert_eq!((ring.values().len(), ring.values().next(), ring.values().last()), (30, Some(1.0), Some(4.0)));
        add(&mut ring, minute(9000), 0.0);
        assert!(ring.values().all(|v| v == 0.0));
    }
}
