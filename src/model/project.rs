//! A project: a piece of work in the queue, and what the ends of its sessions mean for it.
//!
//! ```text
//!   queued ──claimed──► running ──┬─► completed   its last command ended with 0
//!     ▲                    │      ├─► failed      a command did not, or its time was over, and no retry is left
//!     └── to be tried again┘      ├─► stopped     somebody closed its session, or it was interrupted
//!                                 └─► completed, failed, stopped, cancelled, emergency    somebody said so
//! ```
//!
//! An attempt is one claim. Its commands run one after the other, each in a session of its own; the first that fails ends
//! the attempt. Pure: what became of a session is an argument.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::session::ExitBy;

/// Where a project stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Queued,
    Running,
    Completed,
    Failed,
    Stopped,
    Cancelled,
    Emergency,
}

impl Status {
    pub const ALL: [Self; 7] =
        [Self::Queued, Self::Running, Self::Completed, Self::Failed, Self::Stopped, Self::Cancelled, Self::Emergency];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
            Self::Cancelled => "cancelled",
            Self::Emergency => "emergency",
        }
    }

    /// Nothing of it is to run any more.
    pub const fn is_finished(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }

    /// What went wrong may have left something elsewhere: strays are looked for.
    pub const fn needs_sweep(self) -> bool {
        matches!(self, Self::Failed | Self::Emergency)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for Status {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let all = || Self::ALL.map(Self::as_str).join(", ");
        Self::ALL.into_iter().find(|s| s.as_str() == word).ok_or_else(|| format!("must be one of: {}", all()))
    }
}

/// What somebody may say of a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    Complete,
    Fail,
    Stop,
    Cancel,
    Emergency,
}

impl Verb {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Fail => "fail",
            Self::Stop => "stop",
            Self::Cancel => "cancel",
            Self::Emergency => "emergency",
        }
    }

    /// What it makes of it.
    pub const fn status(self) -> Status {
        match self {
            Self::Complete => Status::Completed,
            Self::Fail => Status::Failed,
            Self::Stop => Status::Stopped,
            Self::Cancel => Status::Cancelled,
            Self::Emergency => Status::Emergency,
        }
    }
}

impl std::str::FromStr for Verb {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let all = [Self::Complete, Self::Fail, Self::Stop, Self::Cancel, Self::Emergency];
        let known = || all.map(Self::as_str).join(", ");
        all.into_iter().find(|v| v.as_str() == word).ok_or_else(|| format!("must be one of: {}", known()))
    }
}

/// What became of a session that was claimed for a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Not known yet: nobody has looked, or it is being born.
    Open,
    Running,
    /// Its leader has ended.
    Ended {
        code: Option<i32>,
        by: ExitBy,
        reason: String,
    },
    /// Its command never began, and never will.
    Unborn,
    /// It could not be started.
    Refused(String),
    /// It may not be started now.
    Postponed,
    /// It was there, and nothing is left that says how it ended.
    Forgotten,
}

/// One attempt as it stands.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// How many commands there are.
    pub commands: usize,
    /// How often it may still be tried again.
    pub retries_left: u32,
    /// Its last session: of which command, and what became of it.
    pub last: Option<(usize, &'a Fate)>,
    /// Its time is over; says so.
    pub overdue: Option<&'a str>,
    /// What was interrupted goes back to the queue.
    pub requeue: bool,
}

/// What is to be done about a running project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    Wait,
    /// Start this command.
    Start(usize),
    /// The session that was claimed never was: the claim of it is taken back.
    TakeBack,
    Over {
        status: Status,
        reason: String,
    },
    /// Back to the queue for another attempt, which counts as a retry.
    Again {
        reason: String,
    },
    /// The machine or the daemon was stopped: back to the queue, or `stopped`.
    Interrupted {
        again: bool,
        reason: String,
    },
}

/// What the state of an attempt asks for.
pub fn next(attempt: &Attempt<'_>) -> Next {
    if let Some(why) = attempt.overdue {
        return failed(attempt, why.into());
    }
    let Some((command, fate)) = attempt.last else { return Next::Start(0) };
    match fate {
        Fate::Open | Fate::Running => Next::Wait,
        Fate::Unborn | Fate::Postponed => Next::TakeBack,
        Fate::Refused(why) => failed(attempt, why.clone()),
        Fate::Forgotten => failed(attempt, "nothing is left of its session".into()),
        Fate::Ended { code, by, reason } => ended(attempt, command, (*code, *by, reason)),
    }
}

fn ended(attempt: &Attempt<'_>, command: usize, (code, by, reason): (Option<i32>, ExitBy, &str)) -> Next {
    let over = |status| Next::Over { status, reason: reason.into() };
    match by {
        ExitBy::Itself if code == Some(0) && command + 1 < attempt.commands => Next::Start(command + 1),
        ExitBy::Itself if code == Some(0) => Next::Over { status: Status::Completed, reason: "exit status 0".into() },
        ExitBy::Itself | ExitBy::Unknown | ExitBy::Policy | ExitBy::Pressure | ExitBy::Timeout => {
            failed(attempt, reason.into())
        }
        // Somebody wanted it closed: trying again would be against them.
        ExitBy::User | ExitBy::Project => over(Status::Stopped),
        ExitBy::Sweep => over(Status::Emergency),
        ExitBy::Shutdown | ExitBy::Reboot => Next::Interrupted { again: attempt.requeue, reason: reason.into() },
    }
}

fn failed(attempt: &Attempt<'_>, reason: String) -> Next {
    if attempt.retries_left > 0 { Next::Again { reason } } else { Next::Over { status: Status::Failed, reason } }
}

/// Names of projects to which something called so may belong, the most exact first: its own, and what stands before each
/// of its hyphens (`shop-ui-login` is of `shop-ui` rather than of `shop`).
pub fn owners(name: &str) -> impl Iterator<Item = &str> {
    let shorter = name.rmatch_indices('-').map(|(at, _)| &name[..at]).filter(|n| !n.is_empty());
    std::iter::once(name).chain(shorter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(fate: &Fate) -> Attempt<'_> {
        Attempt { commands: 1, retries_left: 0, last: Some((0, fate)), overdue: None, requeue: false }
    }

    fn exit(code: Option<i32>, by: ExitBy) -> Fate {
        Fate::Ended { code, by, reason: "why".into() }
    }

    fn over(status: Status, reason: &str) -> Next {
        Next::Over { status, reason: reason.into() }
    }

    #[test]
    fn the_first_command_starts_the_attempt_and_success_starts_the_next() {
        let good = exit(Some(0), ExitBy::Itself);
        assert_eq!(next(&Attempt { last: None, ..after(&good) }), Next::Start(0));
        let of_three = Attempt { commands: 3, ..after(&good) };
        assert_eq!(next(&of_three), Next::Start(1));
        assert_eq!(next(&Attempt { last: Some((1, &good)), ..of_three }), Next::Start(2));
        assert_eq!(next(&Attempt { last: Some((2, &good)), ..of_three }), over(Status::Completed, "exit status 0"));
    }

    #[test]
    fn how_a_session_ended_decides_how_its_project_does() {
        for (code, by, expected) in [
            (Some(3), ExitBy::Itself, Status::Failed),
            (None, ExitBy::Itself, Status::Failed),
            (Some(0), ExitBy::Policy, Status::Failed),
            (None, ExitBy::Timeout, Status::Failed),
            (None, ExitBy::Pressure, Status::Failed),
            (None, ExitBy::Unknown, Status::Failed),
            (Some(0), ExitBy::User, Status::Stopped),
            (None, ExitBy::Sweep, Status::Emergency),
        ] {
            assert_eq!(next(&after(&exit(code, by))), over(expected, "why"), "{code:?} {by}");
        }
    }

    #[test]
    fn a_failure_is_tried_again_and_what_somebody_closed_is_not() {
        for (fate, again) in [
            (exit(Some(1), ExitBy::Itself), true),
            (exit(None, ExitBy::Policy), true),
            (Fate::Refused("why".into()), true),
            (exit(None, ExitBy::User), false),
            (exit(None, ExitBy::Sweep), false),
            (exit(Some(0), ExitBy::Itself), false),
        ] {
            let attempt = Attempt { retries_left: 1, ..after(&fate) };
            assert_eq!(next(&attempt) == Next::Again { reason: "why".into() }, again, "{fate:?}");
        }
    }

    #[test]
    fn the_time_of_an_attempt_goes_before_all_else() {
        let fate = Fate::Running;
        let late = Attempt { overdue: Some("late"), ..after(&fate) };
        assert_eq!(next(&late), over(Status::Failed, "late"));
        assert_eq!(next(&Attempt { retries_left: 2, ..late }), Next::Again { reason: "late".into() });
    }

    #[test]
    fn what_never_began_is_taken_back_and_what_was_interrupted_is_no_failure() {
        assert_eq!(next(&after(&Fate::Unborn)), Next::TakeBack);
        assert_eq!(next(&after(&Fate::Postponed)), Next::TakeBack);
        assert_eq!(next(&after(&Fate::Open)), Next::Wait);
        for by in [ExitBy::Reboot, ExitBy::Shutdown] {
            let fate = exit(None, by);
            for requeue in [true, false] {
                let attempt = Attempt { requeue, retries_left: 3, ..after(&fate) };
                assert_eq!(next(&attempt), Next::Interrupted { again: requeue, reason: "why".into() });
            }
        }
    }

    #[test]
    fn a_name_belongs_to_the_longest_project_it_begins_with() {
        assert_eq!(owners("shop-ui-login").collect::<Vec<_>>(), ["shop-ui-login", "shop-ui", "shop"]);
        assert_eq!(owners("shop").collect::<Vec<_>>(), ["shop"]);
        assert_eq!(owners("-x").collect::<Vec<_>>(), ["-x"]);
    }

    #[test]
    fn words_read_as_they_are_written() {
        for status in Status::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
            assert_eq!(serde_json::to_string(&status).unwrap(), format!("\"{status}\""));
        }
        for verb in [Verb::Complete, Verb::Fail, Verb::Stop, Verb::Cancel, Verb::Emergency] {
            assert_eq!(verb.as_str().parse(), Ok(verb));
            assert!(verb.status().is_finished());
        }
        assert!("running!".parse::<Status>().is_err() && "run".parse::<Verb>().is_err());
    }
}
