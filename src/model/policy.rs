//! Which sessions are closed without anybody asking for it there and then: when, why, and after what notice.
//!
//! ```text
//!   facts + policy ──► exempt (and why)
//!                  └─► due at a moment ──► rest ──► wait (announced) ──► close
//!                                            ▲          │ activity returned, or another rule
//!                                            └──────────┘
//! ```
//!
//! Pure: the moment is an argument, by the monotonic clock. Unknown is never idle, and a session at work is neither too
//! old nor does it give way: only the timeout somebody gave it ends it.

use std::time::Duration;

use super::session::{Attention, State};

/// Somebody who was attached this lately is likely to come back.
pub const ATTACHED_LATELY: Duration = Duration::from_mins(30);
/// A session idle for less is never closed to make room for another.
pub const ROOM_AFTER: Duration = Duration::from_mins(5);
/// A look later than this after its time: the machine slept, or the daemon was not running.
const LATE: Duration = Duration::from_secs(10);
/// The two clocks of the kernel are not read at the same instant.
const SLEPT: Duration = Duration::from_secs(1);

/// What is known of one session when the cleaner looks at it.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    pub state: State,
    pub attention: Attention,
    /// Its keeper, or its tmux server, lives and does not answer: nothing is concluded.
    pub silent: bool,
    pub age: Option<Duration>,
    /// `None` is unknown.
    pub idle: Option<Duration>,
    pub attached: bool,
    /// Since a terminal was last attached.
    pub attached_ago: Option<Duration>,
    pub paused: bool,
    pub pinned: bool,
    /// Since its leader ended, when processes remain.
    pub lingering: Option<Duration>,
    pub kept: Kept,
    /// A close was tried, and what is left cannot be taken.
    pub survived: bool,
    pub own: Limits,
}

/// Who of those left behind is exempt from the linger close (`BEADLE_KEEP=1`, `keep-child`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kept {
    #[default]
    Nobody,
    Some,
    All,
}

/// What a session or its kind of agent says for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    pub max_idle: Option<Duration>,
    pub max_waiting: Option<Duration>,
    pub timeout: Option<Duration>,
}

impl Limits {
    /// The own word first, then the other's.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            max_idle: self.max_idle.or(other.max_idle),
            max_waiting: self.max_waiting.or(other.max_waiting),
            timeout: self.timeout.or(other.timeout),
        }
    }
}

/// The settings that decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    pub max_idle: Duration,
    pub max_age: Duration,
    pub max_waiting: Duration,
    pub linger: Duration,
    pub notice: Duration,
}

/// The rule that closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    Idle,
    Waiting,
    Age,
    Linger,
    Timeout,
}

/// A close that will come if nothing changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    pub what: What,
    /// When its limit is reached.
    pub at: Duration,
    /// From when it is announced.
    pub notice_at: Duration,
    /// Not while it lasts: it is at work.
    pub held: bool,
    pub reason: String,
}

/// Why a session is not closed by policy.
pub type Exempt = &'static str;

/// What would close a session next, as far as is known now.
pub fn due(facts: &Facts, policy: &Policy, now: Duration) -> Result<Due, Exempt> {
    untouched(facts)?;
    if facts.lingering.is_some() {
        return linger(facts, policy, now);
    }
    let timeout = timeout(facts, policy.notice, now);
    if let Err(why) = wanted(facts) {
        // Whoever gave a timeout said when it ends, whatever it does and whoever watches.
        return timeout.ok_or(why);
    }
    let first = [timeout, quiet(facts, policy, now), age(facts, policy, now)].into_iter().flatten();
    first.min_by_key(|due| due.at).ok_or("nothing is known of it yet")
}

/// The end that was asked for when the session was started.
pub fn timeout(facts: &Facts, notice: Duration, now: Duration) -> Option<Due> {
    untouched(facts).ok()?;
    let limit = facts.own.timeout.filter(|_| facts.lingering.is_none())?;
    let at = reached(now, limit, facts.age?);
    let reason = format!("its timeout of {} is over", span(limit));
    Some(Due { what: What::Timeout, at, notice_at: at.saturating_sub(notice), held: false, reason })
}

/// Nothing here ever touches these.
fn untouched(facts: &Facts) -> Result<(), Exempt> {
    match facts.state {
        State::Ended => return Err("it has ended"),
        State::Closing => return Err("it is being closed"),
        State::Starting => return Err("it is starting"),
        State::Running | State::Paused | State::Lingering => {}
    }
    match facts {
        Facts { pinned: true, .. } => Err("it is pinned"),
        Facts { silent: true, .. } => Err("what holds it does not answer"),
        Facts { survived: true, .. } => Err("what is left of it cannot be taken"),
        _ => Ok(()),
    }
}

/// Somebody is or was just now there.
fn wanted(facts: &Facts) -> Result<(), Exempt> {
    match facts {
        Facts { paused: true, .. } => Err("it is paused"),
        Facts { attached: true, .. } => Err("somebody is attached"),
        Facts { attached_ago: Some(ago), .. } if *ago < ATTACHED_LATELY => Err("somebody was attached lately"),
        _ => Ok(()),
    }
}

fn linger(facts: &Facts, policy: &Policy, now: Duration) -> Result<Due, Exempt> {
    match facts {
        Facts { kept: Kept::All, .. } => return Err("what is left of it is to be kept"),
        Facts { paused: true, .. } => return Err("it is paused"),
        // Whoever watched its agent before does not keep what the agent left behind.
        Facts { attached: true, .. } => return Err("somebody is attached"),
        _ => {}
    }
    let reason = format!("left behind {} after its agent ended", span(policy.linger));
    limited(What::Linger, facts.lingering, policy.linger, reason, (facts, policy, now)).ok_or("its agent lives")
}

/// Idle, or waiting for a person, which has a limit of its own.
fn quiet(facts: &Facts, policy: &Policy, now: Duration) -> Option<Due> {
    let world = (facts, policy, now);
    if facts.attention == Attention::Waiting {
        let limit = facts.own.max_waiting.unwrap_or(policy.max_waiting);
        return limited(What::Waiting, facts.idle, limit, format!("waiting for a person for {}", span(limit)), world);
    }
    let limit = facts.own.max_idle.unwrap_or(policy.max_idle);
    limited(What::Idle, facts.idle, limit, format!("idle for {}", span(limit)), world)
}

fn age(facts: &Facts, policy: &Policy, now: Duration) -> Option<Due> {
    let limit = policy.max_age;
    limited(What::Age, facts.age, limit, format!("older than {}", span(limit)), (facts, policy, now))
}

fn limited(
    what: What,
    since: Option<Duration>,
    limit: Duration,
    reason: String,
    (facts, policy, now): (&Facts, &Policy, Duration),
) -> Option<Due> {
    let since = since?;
    let at = reached(now, limit, since);
    // A limit shorter than the notice is not announced at the first moment of rest: that would be at every moment.
    let not_before = reached(now, limit / 10, since);
    let notice_at = at.saturating_sub(policy.notice).max(not_before);
    // Without activity for its limit it is not at work, whatever its screen says: that is what a hung agent looks like.
    let held = what == What::Age && facts.attention == Attention::Working;
    Some(Due { what, at, notice_at, held, reason })
}

/// When something that has lasted for `since` will have lasted for `limit`.
fn reached(now: Duration, limit: Duration, since: Duration) -> Duration {
    (now + limit).saturating_sub(since)
}

/// A span in words; below a second in milliseconds.
fn span(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        return format!("{} ms", time.as_millis());
    }
    super::verdict::short(time)
}

/// An announcement that stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    pub what: What,
    pub since: Duration,
}

/// What is to be done about a session now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing, and nothing stands announced.
    Rest,
    /// It is announced since then, and closed at that moment if nothing changes.
    Wait {
        since: Duration,
        closes_at: Duration,
    },
    Close,
}

/// Another rule is another announcement; only a timeout, which was announced when it was given, waits for neither
/// notice nor quiet.
pub fn step(due: &Due, told: Option<Told>, notice: Duration, quiet_until: Duration, now: Duration) -> Step {
    if now < due.notice_at {
        return Step::Rest;
    }
    let since = told.filter(|told| told.what == due.what).map_or(now, |told| told.since);
    let closes_at = if due.what == What::Timeout { due.at } else { due.at.max(since + notice).max(quiet_until) };
    if now >= closes_at && !due.held { Step::Close } else { Step::Wait { since, closes_at } }
}

/// Whether time went by that nobody watched, and the quiet after it.
#[derive(Debug, Clone, Copy)]
pub struct Watch {
    expected: Duration,
    slept: Duration,
    quiet_from: Duration,
}

impl Watch {
    /// Begins now; `slept` is how long the machine has slept since it was started.
    pub const fn new(now: Duration, slept: Duration) -> Self {
        Self { expected: now, slept, quiet_from: now }
    }

    /// The next look is to be at this moment.
    pub const fn next_at(&mut self, at: Duration) {
        self.expected = at;
    }

    /// A look begins; true when time was lost since the last one: the quiet begins anew.
    pub fn looks(&mut self, now: Duration, slept: Duration) -> bool {
        let lost = now > self.expected + LATE || slept > self.slept + SLEPT;
        self.slept = slept;
        if lost {
            self.quiet_from = now;
        }
        lost
    }

    pub fn quiet_until(&self, quiet_start: Duration) -> Duration {
        self.quiet_from + quiet_start
    }
}

/// How long this session has been idle, if it may be closed to make room for another.
pub fn gives_way(facts: &Facts, policy: &Policy) -> Option<Duration> {
    untouched(facts).and_then(|()| wanted(facts)).ok()?;
    if matches!(facts.attention, Attention::Working | Attention::Waiting) || facts.kept != Kept::Nobody {
        return None;
    }
    facts.idle.filter(|idle| *idle >= room_after(policy))
}

/// A session idle for this long makes room; never more than what closes it anyway.
pub fn room_after(policy: &Policy) -> Duration {
    ROOM_AFTER.min(policy.max_idle)
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
