//! One question asked again and again: never twice at once, and not more often than a gap allows.

use std::time::Duration;

/// When it was asked last, and whether the answer is still to come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asking {
    asked: Option<Duration>,
    is_under_way: bool,
}

impl Asking {
    /// True when it is time to ask; then it counts as asked.
    pub fn begins(&mut self, now: Duration, gap: Duration) -> bool {
        let is_due = !self.is_under_way && self.asked.is_none_or(|at| now >= at + gap);
        if is_due {
            (self.asked, self.is_under_way) = (Some(now), true);
        }
        is_due
    }

    pub const fn is_under_way(self) -> bool {
        self.is_under_way
    }

    pub const fn answered(&mut self) {
        self.is_under_way = false;
    }
}
