//! What is known of a session when it is judged. Everything that has a time has it as an age: the verdict has no clock.

use std::time::Duration;

use super::lifecycle::Life;
use super::profile::Gate;
use super::session::{Attention, Exit};

/// All of it. `None` is unknown, and unknown is never idle.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evidence<'a> {
    pub life: Life,
    pub exit: Option<&'a Exit>,
    /// Live processes, when they were counted.
    pub processes: Option<u32>,
    pub terminal_gone: bool,
    pub project_finished: bool,
    /// The leader is in state `T`.
    pub stopped: bool,
    pub since: Since,
    /// Without any activity, as far as anybody could have heard it.
    pub idle: Option<Duration>,
    /// The leader has kept a core busy, and nothing new was said.
    pub spinning: Option<Duration>,
    /// What its screen says.
    pub seen: Option<Attention>,
    /// Its screen stands at a gate, and nobody typed.
    pub gate: Option<(Gate, Duration)>,
    /// Other live sessions in which the agent's conversation is open.
    pub twins: &'a [String],
}

/// How long ago each kind of activity last happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Since {
    /// New text on the screen.
    pub text: Option<Duration>,
    pub input: Option<Duration>,
    pub heartbeat: Option<Duration>,
    /// The agent, or a tool of it, used the processor or moved bytes.
    pub work: Option<Duration>,
}

impl Since {
    /// The most recent of them, as people say it.
    pub fn latest(&self) -> Option<(Duration, &'static str)> {
        [(self.text, "output"), (self.input, "input"), (self.heartbeat, "heartbeat"), (self.work, "at work")]
            .into_iter()
            .filter_map(|(ago, what)| Some((ago?, what)))
            .min_by_key(|(ago, _)| *ago)
    }
}
