//! What a session's health is, and why: one pure function of what is known.

use super::lifecycle::{Keeper, Life};
use super::session::{Attention, Exit, ExitBy, Health, State};

/// What is known of a session when it is judged.
#[derive(Debug, Clone)]
pub struct Known<'a> {
    pub life: Life,
    pub exit: Option<&'a Exit>,
    /// Live processes, when they were counted.
    pub processes: Option<u32>,
    /// The leader is in state `T`.
    pub stopped: bool,
    /// Seconds since output, input, heartbeat.
    pub since: Since,
}

/// How long ago things last happened, in seconds; `None` when they never did or nobody can know.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Since {
    pub output: Option<f64>,
    pub input: Option<f64>,
    pub heartbeat: Option<f64>,
}

impl Since {
    /// The most recent of them, and its name.
    pub fn latest(&self) -> Option<(f64, &'static str)> {
        [(self.output, "output"), (self.input, "input"), (self.heartbeat, "heartbeat")]
            .into_iter()
            .filter_map(|(seconds, what)| Some((seconds?, what)))
            .min_by(|a, b| a.0.total_cmp(&b.0))
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    pub health: Health,
    pub attention: Attention,
    pub reason: String,
}

/// An agent that wrote within this many seconds is at work.
const WORKING: f64 = 5.0;

pub fn judge(known: &Known<'_>) -> Verdict {
    let (health, reason) = health(known);
    Verdict { health, attention: attention(known), reason }
}

fn health(known: &Known<'_>) -> (Health, String) {
    let life = known.life;
    match life.state() {
        State::Ended => (Health::Healthy, ended(known.exit)),
        State::Starting => (Health::Healthy, "starting".into()),
        State::Lingering if life.keeper() == Keeper::Gone => (Health::Orphaned, "its keeper is gone".into()),
        State::Closing if life.keeper() == Keeper::Gone => (Health::Orphaned, "closing; its keeper is gone".into()),
        State::Lingering => (Health::Orphaned, format!("ended ({}), {}", ended(known.exit), left(known.processes))),
        State::Running | State::Paused if life.keeper() == Keeper::Gone => {
            (Health::Orphaned, "its keeper is gone".into())
        }
        State::Closing => (Health::Healthy, "closing".into()),
        State::Paused => (Health::Healthy, "paused".into()),
        State::Running if life.keeper() == Keeper::Silent => (Health::Healthy, "its keeper does not answer".into()),
        State::Running if known.stopped => (Health::Stuck, "stopped by a signal".into()),
        State::Running => (Health::Healthy, active(known.since)),
    }
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

fn left(processes: Option<u32>) -> String {
    processes.map_or_else(|| "processes left".into(), |n| format!("{n} left"))
}

fn active(since: Since) -> String {
    since.latest().map_or_else(|| "no output yet".into(), |(seconds, what)| format!("{what} {} ago", short(seconds)))
}

/// A span of time as people say it: `3 s`, `12 m`, `2 h 14 m`, `3 d`.
pub fn short(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "spans of time are positive and small")]
    let s = seconds.max(0.0) as u64;
    match s {
        0..60 => format!("{s} s"),
        60..3600 => format!("{} m", s / 60),
        3600..172_800 if s % 3600 < 60 => format!("{} h", s / 3600),
        3600..172_800 => format!("{} h {} m", s / 3600, s % 3600 / 60),
        _ => format!("{} d", s / 86_400),
    }
}

/// The reason of a session that is to be started again in so many seconds, or (`None`) when what is left of it has gone;
/// which of a row that is, and how many there may be.
pub fn to_come(reason: &str, seconds: Option<f64>, (attempt, limit): (u32, u32)) -> String {
    match seconds {
        Some(seconds) => format!("restarts in {} ({attempt} of {limit})", short(seconds.max(0.0).ceil())),
        None => format!("{reason}; restarts when they are gone ({attempt} of {limit})"),
    }
}

fn attention(known: &Known<'_>) -> Attention {
    match known.since.latest() {
        Some((seconds, _)) if known.life.state() == State::Running && seconds < WORKING => Attention::Working,
        _ => Attention::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::super::lifecycle::Event;
    use super::*;

    fn known(events: &[Event]) -> Known<'static> {
        let mut life = Life::new();
        events.iter().for_each(|e| life.apply(*e));
        Known {
            life,
            exit: None,
            processes: Some(2),
            stopped: false,
            since: Since { output: Some(3.4), ..Since::default() },
        }
    }

    #[test]
    fn every_verdict_has_its_reason() {
        use Event::{CloseBegan, KeeperDied, KeeperFellSilent, LeaderEnded, Paused, Started};
        let exit = Exit { code: Some(3), signal: None, at: String::new(), by: ExitBy::Itself, reason: String::new() };
        let cases: [(Known<'_>, Health, &str); 9] = [
            (known(&[]), Health::Healthy, "starting"),
            (known(&[Started]), Health::Healthy, "output 3 s ago"),
            (Known { stopped: true, ..known(&[Started]) }, Health::Stuck, "stopped by a signal"),
            (Known { stopped: true, ..known(&[Started, Paused]) }, Health::Healthy, "paused"),
            (known(&[Started, KeeperDied]), Health::Orphaned, "its keeper is gone"),
            (known(&[Started, KeeperFellSilent]), Health::Healthy, "its keeper does not answer"),
            (Known { exit: Some(&exit), ..known(&[Started, LeaderEnded]) }, Health::Orphaned, "ended (exit 3), 2 left"),
            (
                Known { processes: Some(1), ..known(&[Started, LeaderEnded, KeeperDied]) },
                Health::Orphaned,
                "its keeper is gone",
            ),
            (known(&[Started, CloseBegan]), Health::Healthy, "closing"),
        ];
        for (k, health, reason) in cases {
            let verdict = judge(&k);
            assert_eq!((verdict.health, verdict.reason.as_str()), (health, reason));
        }
    }

    #[test]
    fn a_run_to_come_says_when() {
        assert_eq!(to_come("starting", Some(3.2), (2, 5)), "restarts in 4 s (2 of 5)");
        assert_eq!(to_come("starting", Some(-0.1), (1, 5)), "restarts in 0 s (1 of 5)");
        assert_eq!(
            to_come("ended (exit 3), 2 left", None, (1, 5)),
            "ended (exit 3), 2 left; restarts when they are gone (1 of 5)"
        );
    }

    #[test]
    fn unknown_is_not_idle() {
        let silent = Known { since: Since::default(), ..known(&[Event::Started]) };
        assert_eq!(judge(&silent).attention, Attention::Unknown);
        assert_eq!(judge(&silent).reason, "no output yet");
        assert_eq!(judge(&known(&[Event::Started])).attention, Attention::Working);
    }

    #[test]
    fn spans_are_short() {
        for (s, text) in
            [(0.2, "0 s"), (59.9, "59 s"), (60.0, "1 m"), (3600.0, "1 h"), (8040.0, "2 h 14 m"), (260_000.0, "3 d")]
        {
            assert_eq!(short(s), text);
        }
    }
}
