//! Whether an agent that failed is started again, and when (`run --restart on-failure`).
//!
//! ```text
//!   run ──ends by itself, not with 0──► pause ──► run ──…──► pause ──► run ──► given up
//!    ▲                                    base, doubling, at most `most`        after `limit` in a row
//!    └── a run of `stable` or longer: the count begins anew
//! ```
//!
//! A run somebody ended (a kill, a close, a limit, a shutdown) is never followed by another.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::session::Restart;

/// The user's settings for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pace {
    /// Before the first of a row.
    pub base: Duration,
    /// Before any.
    pub most: Duration,
    /// In a row.
    pub limit: u32,
    /// A run this long is no failure to start.
    pub stable: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { base: Duration::from_secs(1), most: Duration::from_mins(1), limit: 5, stable: Duration::from_mins(1) }
    }
}

/// A run that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// How often the agent had been started again in a row before this run, this one counted.
    pub attempt: u32,
    /// Exit status 0.
    pub succeeded: bool,
    /// Somebody asked for its end.
    pub ended_by_others: bool,
    pub lasted: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The `attempt`th of a row, after a pause.
    Again { attempt: u32, after: Duration },
    /// That was the last one.
    Stop(Why),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    NotWanted,
    Succeeded,
    EndedByOthers,
    /// As often as is allowed already.
    GivenUp,
}

/// What follows a run. `random` is 0 to 1: pauses are up to a quarter shorter by it, so that those that failed together do
/// not come back together.
pub fn next(wanted: Restart, run: Run, pace: Pace, random: f64) -> Next {
    match wanted {
        Restart::Never => return Next::Stop(Why::NotWanted),
        Restart::OnFailure => {}
    }
    if run.ended_by_others {
        return Next::Stop(Why::EndedByOthers);
    }
    if run.succeeded {
        return Next::Stop(Why::Succeeded);
    }
    let before = if run.lasted >= pace.stable { 0 } else { run.attempt };
    if before >= pace.limit {
        return Next::Stop(Why::GivenUp);
    }
    let doubled = pace.base.saturating_mul(1u32.checked_shl(before).unwrap_or(u32::MAX));
    let after = doubled.min(pace.most).mul_f64(1.0 - random.clamp(0.0, 1.0) / 4.0);
    Next::Again { attempt: before + 1, after }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FAILED: Run =
        Run { attempt: 0, succeeded: false, ended_by_others: false, lasted: Duration::from_millis(500) };

    #[test]
    fn pauses_double_up_to_a_cap_and_a_row_has_an_end() {
        let wide = Pace { limit: 9, ..Pace::default() };
        for (attempt, seconds) in [(0, 1), (1, 2), (2, 4), (3, 8), (4, 16), (5, 32), (6, 60), (8, 60)] {
            let again = Next::Again { attempt: attempt + 1, after: Duration::from_secs(seconds) };
            assert_eq!(next(Restart::OnFailure, Run { attempt, ..FAILED }, wide, 0.0), again);
        }
        let fifth = Run { attempt: 5, ..FAILED };
        assert_eq!(next(Restart::OnFailure, fifth, Pace::default(), 0.0), Next::Stop(Why::GivenUp));
        let after_long =
            next(Restart::OnFailure, Run { lasted: Duration::from_mins(1), ..fifth }, Pace::default(), 1.0);
        assert_eq!(after_long, Next::Again { attempt: 1, after: Duration::from_millis(750) });
    }

    #[test]
    fn only_a_failure_of_its_own_is_followed_by_another_run() {
        for (wanted, run, why) in [
            (Restart::Never, FAILED, Why::NotWanted),
            (Restart::OnFailure, Run { succeeded: true, ..FAILED }, Why::Succeeded),
            (Restart::OnFailure, Run { ended_by_others: true, ..FAILED }, Why::EndedByOthers),
            (Restart::OnFailure, Run { ended_by_others: true, succeeded: true, ..FAILED }, Why::EndedByOthers),
        ] {
            assert_eq!(next(wanted, run, Pace::default(), 0.5), Next::Stop(why));
        }
    }

    proptest! {
        #[test]
        fn a_row_of_failures_is_never_longer_than_its_limit_and_no_pause_than_its_cap(
            lasted in prop::collection::vec(0u64..120_000, 0..200), random in 0.0..1.0f64, limit in 1u32..70,
            base in 1u64..5000, most in 1u64..100_000,
        ) {
            let pace = Pace { limit, base: Duration::from_millis(base), most: Duration::from_millis(most), ..Pace::default() };
            let (mut attempt, mut in_a_row) = (0, 0);
            for millis in lasted {
                let run = Run { attempt, lasted: Duration::from_millis(millis), ..FAILED };
                let is_stable = run.lasted >= pace.stable;
                match next(Restart::OnFailure, run, pace, random) {
                    Next::Stop(why) => {
                        prop_assert_eq!((why, in_a_row, is_stable), (Why::GivenUp, limit, false));
                        break;
                    }
                    Next::Again { attempt: given, after } => {
                        in_a_row = if is_stable { 1 } else { in_a_row + 1 };
                        prop_assert_eq!(given, in_a_row);
                        prop_assert!(in_a_row <= limit && after <= pace.most);
                        prop_assert!(after >= pace.base.min(pace.most).mul_f64(0.74));
                        attempt = given;
                    }
                }
            }
        }
    }
}
