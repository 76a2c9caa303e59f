//! From when idle time counts. It does not run while nobody could have heard a heartbeat: the daemon was not there, or
//! stood still with the machine (the monotonic clock itself stops while the machine sleeps).
//!
//! ```text
//!   activity         daemon gone, or stopped            now
//!      ├── heard ──────┤░░░░░░ unheard ░░░░░░├── heard ──┤
//!                      └──────── since ──────►           since moves forward by what was not heard:
//!           └── idle ──┘                     └── idle ───┘   idle is the two together
//! ```

use std::time::Duration;

/// Where counting stands; moments of the monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counting {
    /// From when idle time counts.
    pub since: Option<Duration>,
    /// When somebody last listened.
    pub heard: Option<Duration>,
}

impl Counting {
    /// Somebody listens now. `last` is the last activity; whoever listens does so every `pace`, so that a gap of more
    /// than two is one in which nobody did.
    #[must_use]
    pub fn listened(self, last: Duration, now: Duration, pace: Duration) -> Self {
        let from = self.from(last).min(now);
        // Who was never listened to was unheard all the time.
        let unheard = self.heard.map_or(Some(now), |_| self.gap(now, pace)).map_or(Duration::ZERO, |gap| {
            // Only what followed the last activity.
            gap.min(now.saturating_sub(from))
        });
        Self { since: Some(from + unheard), heard: Some(now) }
    }

    /// How long nobody listened until now.
    pub fn gap(self, now: Duration, pace: Duration) -> Option<Duration> {
        self.heard.map(|heard| now.saturating_sub(heard)).filter(|silence| *silence > 2 * pace)
    }

    /// How long nothing has happened, as far as anybody could have heard it.
    pub fn idle(self, last: Duration, now: Duration) -> Duration {
        now.saturating_sub(self.from(last))
    }

    fn from(self, last: Duration) -> Duration {
        self.since.map_or(last, |since| since.max(last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PACE: Duration = Duration::from_secs(10);

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn idle_time_stands_still_while_nobody_listens() {
        // The last activity was at 100; each row: (listened at, idle then).
        for (moments, what) in [
            (&[(100, 0), (110, 10), (120, 20)][..], "heard all the time"),
            (&[(110, 0), (120, 10)], "nobody listened before"),
            (&[(100, 0), (110, 10), (500, 10), (510, 20), (900, 20)], "twice nobody was there"),
            (&[(100, 0), (119, 19)], "a little late is no gap"),
        ] {
            let mut counting = Counting::default();
            for (now, idle) in moments {
                counting = counting.listened(s(100), s(*now), PACE);
                assert_eq!(counting.idle(s(100), s(*now)), s(*idle), "{what}, at {now}");
            }
        }
    }

    #[test]
    fn activity_nobody_heard_at_once_counts_from_when_it_was() {
        let counting = Counting::default().listened(s(100), s(100), PACE);
        // It happened at 300, between 100 and 500, when nobody listened.
        let after = counting.listened(s(300), s(500), PACE);
        assert_eq!(after.idle(s(300), s(500)), s(0));
        assert_eq!(after.listened(s(300), s(510), PACE).idle(s(300), s(510)), s(10));
        // And new activity after a gap takes the place of what was credited.
        assert_eq!(after.idle(s(505), s(510)), s(5));
    }

    proptest! {
        #[test]
        fn a_gap_of_any_length_ages_nobody(last in 0u64..1000, heard in prop::collection::vec(1u64..15, 0..20), gap in 21u64..1_000_000) {
            let mut now = 1000;
            let mut counting = Counting::default().listened(s(last), s(now), PACE);
            for step in heard {
                now += step;
                counting = counting.listened(s(last), s(now), PACE);
            }
            let before = counting.idle(s(last), s(now));
            let after = counting.listened(s(last), s(now + gap), PACE);
            prop_assert_eq!(after.idle(s(last), s(now + gap)), before);
        }

        #[test]
        fn idle_time_never_exceeds_the_silence(last in 0u64..1000, steps in prop::collection::vec(0u64..100, 1..20)) {
            let (mut now, mut counting) = (1000, Counting::default());
            for step in steps {
                now += step;
                counting = counting.listened(s(last), s(now), PACE);
                prop_assert!(counting.idle(s(last), s(now)) <= s(now - last));
            }
        }
    }
}
