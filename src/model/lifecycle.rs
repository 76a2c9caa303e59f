//! The life of a managed session: facts in, state out.
//!
//! ```text
//!   starting ──► running ◄──► paused
//!                   │ ╲          │
//!        leader ends│  close asked (any time) ──► closing ──► ended
//!                   ▼                              │ survivors
//!               lingering ◄────────────────────────┘
//!                   │ tree empty
//!                   ▼
//!                 ended          (restart: ended or lingering ──► running, a new leader;
//!                                 one that comes by itself after a pause: lingering ──► starting ──► running)
//! ```
//!
//! The state is computed from facts, never set: no two of them can contradict each other.

use super::session::State;

/// What is known of the keeper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeper {
    Alive,
    /// Alive, and does not answer: nothing is concluded from its silence.
    Silent,
    Gone,
}

/// A fact about a session, past tense; cannot be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    Started,
    LeaderEnded,
    /// The leader failed, nothing is left, and it is to be started again.
    ToStartAgain,
    /// Nothing of the tree is left.
    Emptied,
    KeeperFellSilent,
    KeeperAnswered,
    KeeperDied,
    CloseBegan,
    /// Everything gone, or survivors.
    CloseEnded,
    Paused,
    Continued,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    keeper: Keeper,
    started: bool,
    leader: bool,
    again: bool,
    closing: bool,
    paused: bool,
    ended: bool,
}

impl Life {
    /// A keeper was asked for.
    pub const fn new() -> Self {
        Self {
            keeper: Keeper::Alive,
            started: false,
            leader: false,
            again: false,
            closing: false,
            paused: false,
            ended: false,
        }
    }

    /// As found after a start of the daemon.
    pub const fn found(keeper: Keeper, leader: bool, paused: bool) -> Self {
        Self { keeper, started: true, leader, again: false, closing: false, paused, ended: false }
    }

    /// One that ended before.
    pub const fn past() -> Self {
        Self {
            keeper: Keeper::Gone,
            started: true,
            leader: false,
            again: false,
            closing: false,
            paused: false,
            ended: true,
        }
    }

    pub fn apply(&mut self, event: Event) {
        match event {
            Event::Started => {
                *self = Self { started: true, leader: true, again: false, ended: false, paused: false, ..*self }
            }
            Event::LeaderEnded => *self = Self { leader: false, again: false, ..*self },
            Event::Emptied => *self = Self { keeper: Keeper::Gone, ..Self::past() },
            _ if self.ended => {}
            Event::KeeperFellSilent if self.keeper == Keeper::Alive => self.keeper = Keeper::Silent,
            Event::KeeperAnswered if self.keeper == Keeper::Silent => self.keeper = Keeper::Alive,
            Event::KeeperFellSilent | Event::KeeperAnswered => {}
            Event::ToStartAgain => *self = Self { leader: false, again: true, ..*self },
            Event::KeeperDied => *self = Self { keeper: Keeper::Gone, again: false, ..*self },
            Event::CloseBegan => self.closing = true,
            Event::CloseEnded => *self = Self { closing: false, paused: false, ..*self },
            Event::Paused => self.paused = true,
            Event::Continued => self.paused = false,
        }
    }

    pub const fn state(&self) -> State {
        if self.ended {
            State::Ended
        } else if self.closing {
            State::Closing
        } else if !self.started || self.again {
            State::Starting
        } else if !self.leader {
            State::Lingering
        } else if self.paused {
            State::Paused
        } else {
            State::Running
        }
    }

    pub const fn keeper(&self) -> Keeper {
        self.keeper
    }

    pub const fn is_ended(&self) -> bool {
        self.ended
    }

    pub const fn is_closing(&self) -> bool {
        self.closing
    }

    pub const fn is_paused(&self) -> bool {
        self.paused
    }

    pub const fn has_leader(&self) -> bool {
        self.leader
    }
}

impl Default for Life {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn after(events: &[Event]) -> State {
        let mut life = Life::new();
        events.iter().for_each(|e| life.apply(*e));
        life.state()
    }

    #[test]
    fn the_states_of_the_diagram() {
        use Event::{
            CloseBegan, CloseEnded, Continued, Emptied, KeeperDied, LeaderEnded, Paused, Started, ToStartAgain,
        };
        for (events, state) in [
            (&[][..], State::Starting),
            (&[Started], State::Running),
            (&[Started, Paused], State::Paused),
            (&[Started, Paused, Continued], State::Running),
            (&[Started, LeaderEnded], State::Lingering),
            (&[Started, LeaderEnded, Emptied], State::Ended),
            (&[Started, CloseBegan], State::Closing),
            (&[Started, CloseBegan, LeaderEnded, Emptied, CloseEnded], State::Ended),
            (&[Started, CloseBegan, LeaderEnded, CloseEnded], State::Lingering),
            (&[Started, KeeperDied], State::Running),
            (&[Started, KeeperDied, LeaderEnded], State::Lingering),
            (&[Started, LeaderEnded, Emptied, Started], State::Running),
            (&[Started, LeaderEnded, ToStartAgain], State::Starting),
            (&[Started, ToStartAgain, Started], State::Running),
            (&[Started, ToStartAgain, LeaderEnded, Emptied], State::Ended),
            (&[Started, ToStartAgain, CloseBegan], State::Closing),
            (&[Started, ToStartAgain, KeeperDied], State::Lingering),
        ] {
            assert_eq!(after(events), state, "{events:?}");
        }
    }

    fn an_event() -> impl Strategy<Value = Event> {
        prop::sample::select(vec![
            Event::Started,
            Event::LeaderEnded,
            Event::ToStartAgain,
            Event::Emptied,
            Event::KeeperFellSilent,
            Event::KeeperAnswered,
            Event::KeeperDied,
            Event::CloseBegan,
            Event::CloseEnded,
            Event::Paused,
            Event::Continued,
        ])
    }

    proptest! {
        #[test]
        fn only_a_start_brings_back_what_ended_and_death_is_not_forgotten(events in prop::collection::vec(an_event(), 0..30)) {
            let mut life = Life::new();
            for event in events {
                let before = life;
                life.apply(event);
                if before.is_ended() && event != Event::Started {
                    prop_assert!(life.is_ended());
                }
                if life.is_ended() {
                    prop_assert!(!life.has_leader() && !life.is_closing() && !life.is_paused());
                }
                if before.keeper() == Keeper::Gone && event != Event::Started {
                    prop_assert_eq!(life.keeper(), Keeper::Gone);
                }
                if event == Event::Emptied {
                    prop_assert_eq!(life.state(), State::Ended);
                }
            }
        }
    }
}
