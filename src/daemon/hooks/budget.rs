//! So many runs a minute, and no more: the end of every loop that is not seen otherwise.

use std::time::Duration;

use tokio::time::Instant;

const MINUTE: Duration = Duration::from_secs(60);
/// More than a machine with a hundred agents needs, and little enough to be harmless.
const RUNS: u32 = 300;

#[derive(Debug, Default)]
pub struct Budget {
    since: Option<Instant>,
    taken: u32,
}

impl Budget {
    /// False when this minute's are used up.
    pub fn take(&mut self, now: Instant) -> bool {
        if self.since.is_none_or(|since| now.duration_since(since) >= MINUTE) {
            *self = Self { since: Some(now), taken: 0 };
        }
        self.taken += 1;
        self.taken <= RUNS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_up_comes_back_with_the_next_minute() {
        let (mut budget, now) = (Budget::default(), Instant::now());
        assert!((0..RUNS).all(|_| budget.take(now)));
        assert!(!budget.take(now + Duration::from_secs(59)));
        assert!(budget.take(now + MINUTE));
    }
}
