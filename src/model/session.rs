//! The words of a session: who it is, where it stands, how it ended.
//!
//! Everything here is written into JSON under exactly these names; the contract is the reader.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who started the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// beadle started it and a keeper holds it.
    Managed,
    /// It lives in a pane of some tmux server of the user.
    Tmux,
    /// Seen on the machine, in neither.
    Found,
}

/// Where a session stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Its keeper is being born; the command does not execute yet.
    Starting,
    Running,
    /// Stopped by a person, tree and all.
    Paused,
    /// A kill is under way.
    Closing,
    /// The leader has gone, processes remain.
    Lingering,
    Ended,
}

/// The verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    Healthy,
    Stuck,
    Orphaned,
}

/// What the agent is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Attention {
    Working,
    /// For a person.
    Waiting,
    /// At its prompt.
    Idle,
    Unknown,
}

/// Who or what ended a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ExitBy {
    Itself,
    User,
    Policy,
    Pressure,
    Project,
    Sweep,
    Timeout,
    Shutdown,
    Reboot,
    Unknown,
}

/// How the leader ended. `code` and `signal` are both `None` when nobody was there to learn it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Exit {
    pub code: Option<i32>,
    pub signal: Option<i32>,
    /// RFC 3339, UTC.
    pub at: String,
    pub by: ExitBy,
    pub reason: String,
}

/// Who asked for a close, and why; written down before the first signal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cause {
    pub by: ExitBy,
    pub reason: String,
    /// The request behind it; a policy has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
}

impl Cause {
    pub fn new(by: ExitBy, reason: impl Into<String>) -> Self {
        Self { by, reason: reason.into(), asked: None }
    }

    #[must_use]
    pub fn asked(self, asked: Option<Asked>) -> Self {
        Self { asked, ..self }
    }

    /// What was done, in the word of who asked; what nobody asked for is called after what did it.
    pub fn verb(&self) -> &str {
        self.asked.as_ref().map_or(self.by.as_str(), |asked| &asked.verb)
    }
}

/// A request, and the process that made it as the kernel named it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Asked {
    /// `kill`, `close-all`, `restart`, `stop`, …
    pub verb: String,
    pub uid: u32,
    pub pid: i32,
    /// Its command line, as it called itself: untrusted. Empty when it did not say in time.
    pub command: String,
}

/// When the keeper starts the agent again by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    #[default]
    Never,
    OnFailure,
}

/// A process, once and for all: the same pid with another start time is somebody else.
///
/// `start` is field 22 of `/proc/PID/stat`, clock ticks since boot (`proc_pid_stat(5)`). The boot
/// id that completes an identity is kept beside, once per session: identities are only compared
/// within one boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct ProcId {
    pub pid: i32,
    pub start: u64,
}

impl fmt::Display for ProcId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.pid, self.start)
    }
}

macro_rules! word {
    ($ty:ty { $($variant:ident => $text:literal),+ $(,)? }) => {
        impl $ty {
            /// The word as it stands in JSON and on the screen.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }
        impl fmt::Display for $ty {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
        impl std::str::FromStr for $ty {
            type Err = String;
            fn from_str(s: &str) -> Result<Self, String> {
                match s {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(format!("must be one of: {}", [$($text),+].join(", "))),
                }
            }
        }
    };
}

word!(Origin { Managed => "managed", Tmux => "tmux", Found => "found" });
word!(State { Starting => "starting", Running => "running", Paused => "paused", Closing => "closing",
    Lingering => "lingering", Ended => "ended" });
word!(Health { Healthy => "healthy", Stuck => "stuck", Orphaned => "orphaned" });
word!(Attention { Working => "working", Waiting => "waiting", Idle => "idle", Unknown => "unknown" });
word!(ExitBy { Itself => "itself", User => "user", Policy => "policy", Pressure => "pressure",
    Project => "project", Sweep => "sweep", Timeout => "timeout", Shutdown => "shutdown",
    Reboot => "reboot", Unknown => "unknown" });
word!(Restart { Never => "never", OnFailure => "on-failure" });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_reads_the_same_in_json_and_on_the_screen() {
        for by in [ExitBy::Itself, ExitBy::Pressure, ExitBy::Unknown] {
            assert_eq!(serde_json::to_string(&by).unwrap(), format!("\"{by}\""));
            assert_eq!(by.as_str().parse::<ExitBy>().unwrap(), by);
        }
        assert_eq!(serde_json::to_string(&Restart::OnFailure).unwrap(), "\"on-failure\"");
    }
}
