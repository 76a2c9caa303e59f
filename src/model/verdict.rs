//! What a session's health is, and why: one pure function of the evidence and the policy.
//!
//! ```text
//!   orphaned   keeper gone · lingering · terminal gone · project finished · no activity for `orphaned_after`
//!   stuck      stopped, though not paused · spinning for `spin_after` · at a gate, or no activity, for `stuck_after`
//!   healthy    otherwise
//! ```
//!
//! In this order; the first that holds is the verdict. Alive is no evidence of working; silent is no evidence of dead.

use std::time::Duration;

use super::evidence::{Evidence, Since};
use super::lifecycle::Keeper;
use super::profile::Gate;
use super::session::{Attention, Exit, ExitBy, Health, State};

/// From when silence is a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    pub stuck_after: Duration,
    pub orphaned_after: Duration,
    pub spin_after: Duration,
}

/// The rule that decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Nothing is the matter.
    Well,
    KeeperGone,
    Lingering,
    TerminalGone,
    ProjectFinished,
    Silent,
    Stopped,
    Spinning,
    Gate,
    /// One conversation, resumed twice.
    Twin,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    pub health: Health,
    pub attention: Attention,
    pub reason: String,
    pub rule: Rule,
}

/// An agent that did something within this is at work.
const WORKING: Duration = Duration::from_secs(5);

pub fn judge(evidence: &Evidence<'_>, policy: &Policy) -> Verdict {
    let attention = attention(evidence);
    let found = orphaned(evidence, policy, attention).map(|found| (Health::Orphaned, found));
    let found = found.or_else(|| Some((Health::Stuck, stuck(evidence, policy, attention)?)));
    let (health, (rule, reason)) = found.unwrap_or_else(|| (Health::Healthy, (Rule::Well, well(evidence, attention))));
    Verdict { health, attention, reason, rule }
}

type Found = Option<(Rule, String)>;

fn orphaned(evidence: &Evidence<'_>, policy: &Policy, attention: Attention) -> Found {
    let life = evidence.life;
    let left = || evidence.processes.map_or_else(|| "processes left".into(), |n| format!("{n} left"));
    match life.state() {
        State::Closing if life.keeper() == Keeper::Gone => {
            return Some((Rule::KeeperGone, "closing; its keeper is gone".into()));
        }
        State::Ended | State::Starting | State::Closing => return None,
        State::Lingering | State::Running | State::Paused => {}
    }
    if life.keeper() == Keeper::Gone {
        return Some((Rule::KeeperGone, "its keeper is gone".into()));
    }
    if life.state() == State::Lingering {
        return Some((Rule::Lingering, format!("ended ({}), {}", ended(evidence.exit), left())));
    }
    if evidence.terminal_gone {
        return Some((Rule::TerminalGone, format!("terminal gone, {}", left())));
    }
    if evidence.project_finished {
        return Some((Rule::ProjectFinished, "its project is finished".into()));
    }
    let idle = ages(evidence).then_some(evidence.idle).flatten();
    idle.filter(|idle| *idle >= policy.orphaned_after).map(|idle| silent(evidence, attention, idle))
}

fn stuck(evidence: &Evidence<'_>, policy: &Policy, attention: Attention) -> Found {
    if !ages(evidence) {
        return None;
    }
    if evidence.stopped {
        return Some((Rule::Stopped, "stopped by a signal".into()));
    }
    if let Some(spun) = evidence.spinning.filter(|spun| *spun >= policy.spin_after) {
        return Some((Rule::Spinning, format!("spinning: no output {}", short(spun))));
    }
    if let Some((gate, stood)) = evidence.gate.filter(|(_, stood)| *stood >= policy.stuck_after) {
        return Some((Rule::Gate, at_gate(gate, stood)));
    }
    if !evidence.twins.is_empty() {
        return Some((Rule::Twin, format!("its conversation is open in {} too", evidence.twins.join(", "))));
    }
    evidence.idle.filter(|idle| *idle >= policy.stuck_after).map(|idle| silent(evidence, attention, idle))
}

/// It runs, nobody stopped it on purpose, and its keeper could tell what happens.
fn ages(evidence: &Evidence<'_>) -> bool {
    evidence.life.state() == State::Running && evidence.life.keeper() == Keeper::Alive
}

/// No activity, with what is known of why.
fn silent(evidence: &Evidence<'_>, attention: Attention, idle: Duration) -> (Rule, String) {
    let reason = match (evidence.gate, attention) {
        _ if evidence.stopped => format!("stopped by a signal, no activity for {}", short(idle)),
        (Some((gate, _)), _) => at_gate(gate, idle),
        (None, Attention::Waiting) => waiting(idle),
        (None, Attention::Working | Attention::Idle | Attention::Unknown) => {
            format!("no activity for {}", short(idle))
        }
    };
    (Rule::Silent, reason)
}

fn waiting(idle: Duration) -> String {
    format!("waiting for you, {}", short(idle))
}

fn at_gate(gate: Gate, stood: Duration) -> String {
    let what = match gate {
        Gate::Trust => "asks whether to trust the directory",
        Gate::Login => "asks for a login",
        Gate::Limit => "usage limit reached",
    };
    format!("{what}, {}", short(stood))
}

/// The reason of a session with which nothing is the matter.
fn well(evidence: &Evidence<'_>, attention: Attention) -> String {
    let life = evidence.life;
    match life.state() {
        State::Ended => ended(evidence.exit),
        State::Starting => "starting".into(),
        State::Closing => "closing".into(),
        State::Paused => "paused".into(),
        State::Lingering => "ended".into(),
        State::Running if life.keeper() == Keeper::Silent => "its keeper does not answer".into(),
        State::Running => match (evidence.gate, attention, evidence.idle) {
            (Some((gate, stood)), _, _) => at_gate(gate, stood),
            (None, Attention::Waiting, Some(idle)) => waiting(idle),
            (None, Attention::Waiting, None) => "waiting for you".into(),
            (None, Attention::Idle, Some(idle)) => format!("at its prompt, {}", short(idle)),
            (None, Attention::Idle, None) => "at its prompt".into(),
            (None, Attention::Working | Attention::Unknown, _) => active(evidence.since),
        },
    }
}

fn active(since: Since) -> String {
    since.latest().map_or_else(|| "no output yet".into(), |(ago, what)| format!("{what} {} ago", short(ago)))
}

fn ended(exit: Option<&Exit>) -> String {
    let Some(exit) = exit else { return "ended".into() };
    match (exit.by, exit.code, exit.signal) {
        (ExitBy::Itself, Some(code), _) => format!("exit {code}"),
        (ExitBy::Itself, None, Some(signal)) => format!("signal {signal}"),
        (ExitBy::Itself | ExitBy::Unknown, _, _) => "exit status unknown".into(),
        (by, _, _) => format!("closed by {by}"),
    }
}

/// What its screen says goes first; without it, only who just did something is known to work.
fn attention(evidence: &Evidence<'_>) -> Attention {
    if !ages(evidence) {
        return Attention::Unknown;
    }
    evidence.seen.unwrap_or_else(|| match evidence.since.latest() {
        Some((ago, _)) if ago < WORKING => Attention::Working,
        Some(_) | None => Attention::Unknown,
    })
}

/// A span of time as people say it: `3 s`, `63 m`, `2 h 14 m`, `3 d`.
pub fn short(span: Duration) -> String {
    let s = span.as_secs();
    match s {
        0..60 => format!("{s} s"),
        60..7200 => format!("{} m", s / 60),
        7200..172_800 if s % 3600 < 60 => format!("{} h", s / 3600),
        7200..172_800 => format!("{} h {} m", s / 3600, s % 3600 / 60),
        _ => format!("{} d", s / 86_400),
    }
}

/// The reason of a session that is to be started again after this time, or (`None`) when what is left of it has gone;
/// which of a row that is, and how many there may be.
pub fn to_come(reason: &str, left: Option<Duration>, (attempt, limit): (u32, u32)) -> String {
    match left {
        // Rounded up: in 0 s it is there.
        Some(left) => {
            let seconds = Duration::from_secs(left.as_secs() + u64::from(left.subsec_nanos() > 0));
            format!("restarts in {} ({attempt} of {limit})", short(seconds))
        }
        None => format!("{reason}; restarts when they are gone ({attempt} of {limit})"),
    }
}

/// One sentence of what to do; `None` where nothing is the matter. `name` is what the commands are given, `resume` the
/// agent's own way back into a conversation.
pub fn advice(verdict: &Verdict, name: &str, resume: Option<&str>) -> Option<String> {
    let reason = &verdict.reason;
    let later = resume.map_or_else(String::new, |command| format!("; resume later with `{command}`"));
    let close = format!("consider closing: {reason} (`beadle kill {name}`)");
    Some(match (verdict.rule, verdict.attention) {
        (Rule::Well, _) => return None,
        (Rule::KeeperGone | Rule::Lingering | Rule::TerminalGone | Rule::ProjectFinished, _) => close,
        (Rule::Gate, _) | (Rule::Silent, Attention::Waiting) => {
            format!("{reason}: `beadle attach {name}` to answer, `beadle kill {name}` closes it{later}")
        }
        (Rule::Silent, Attention::Working | Attention::Idle | Attention::Unknown) => format!("{close}{later}"),
        (Rule::Stopped, _) => {
            format!("{reason}: `beadle unpause {name}` continues it, `beadle kill {name}` closes it{later}")
        }
        (Rule::Twin, _) => format!("{reason}: close one of them (`beadle kill {name}`)"),
        (Rule::Spinning, _) => {
            format!("{reason}: `beadle peek {name}` shows its screen, `beadle restart {name}` starts it again{later}")
        }
    })
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
