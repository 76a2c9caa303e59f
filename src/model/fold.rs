//! What a screen says, without what moves by itself: spinners, digits, clocks. An agent that hangs behind a spinner and a
//! ticking clock says nothing; one that writes does.
//!
//! ```text
//!   ✶ Working… (12s · ↓ 88 tokens)   ─┐
//!   ✻ Working… (1m 3s · ↓ 1.2k tokens) ┴─► Working(↓tokens) ─► one mark
//! ```

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// What turns, blinks or bounces beside the braille patterns; a profile may name more.
const SPINNERS: &str = "|/-\\✳✽✶✻✢·•●○◦*◒◐◓◑◴◷◶◵░▒▓█■⬝⬡⬢…⋯";

/// A line is new again when it was not seen for this long.
const REMEMBERED: Duration = Duration::from_mins(1);

/// Most lines remembered. A screen has at most 500, so what is shown is never forgotten; beyond that the oldest go first,
/// and one of them that comes back counts as new.
const MOST: usize = 1024;

/// Letters of the longest unit that stands behind a number: `12s`, `340ms`, `1.2k`, `3min`, `8MiB`.
const UNIT: usize = 3;

/// Folds lines, with the spinners of one kind of agent.
#[derive(Debug, Clone, Default)]
pub struct Fold {
    more: String,
}

impl Fold {
    /// With spinner glyphs beyond the common ones.
    pub fn new(more: &str) -> Self {
        Self { more: more.into() }
    }

    /// What a line says, as a number; `None` for one that says nothing (no letter is left of it).
    ///
    /// White space is left out too, so that text moved to another column says the same.
    pub fn mark(&self, line: &str) -> Option<u64> {
        let mut hasher = DefaultHasher::new();
        let mut says = false;
        let mut rest = line.chars();
        let mut before = ' ';
        while let Some(c) = rest.next() {
            if c.is_ascii_digit() {
                // Behind a letter it is part of a name: only the digit goes.
                if !before.is_alphabetic() {
                    rest = behind_number(rest);
                }
            } else if !self.turns(c) && !c.is_whitespace() {
                says |= c.is_alphabetic();
                c.hash(&mut hasher);
            }
            before = c;
        }
        says.then(|| hasher.finish())
    }

    fn turns(&self, c: char) -> bool {
        matches!(c, '\u{2800}'..='\u{28FF}') || SPINNERS.contains(c) || self.more.contains(c)
    }
}

/// What follows a number that has begun: its other digits, a clock's colons, its unit.
fn behind_number(mut rest: std::str::Chars<'_>) -> std::str::Chars<'_> {
    let mut ahead = rest.clone();
    while ahead.next().is_some_and(|c| c.is_ascii_digit() || ".,:/".contains(c)) {
        rest = ahead.clone();
    }
    let letters = rest.clone().take_while(|c| c.is_alphabetic()).count();
    if (1..=UNIT).contains(&letters) {
        // Skips the unit.
        rest.nth(letters - 1);
    }
    rest
}

/// The marks of lines seen within the last minute.
#[derive(Debug, Default)]
pub struct Recent {
    /// When each was last seen, in tenths of a second.
    seen: HashMap<u64, u32>,
    looked: u32,
}

impl Recent {
    /// Takes in what is shown now; true when something of it is new.
    ///
    /// What was shown at the last look stood there until now, however long nobody looked: a picture drawn again after an
    /// hour of silence is not new.
    pub fn look(&mut self, shown: impl Iterator<Item = u64>, now: Duration) -> bool {
        let before = std::mem::replace(&mut self.looked, tenths(now));
        let (now, remembered) = (self.looked, tenths(REMEMBERED));
        self.seen.retain(|_, at| {
            if *at == before {
                // Looks are further apart than a tenth, so that this is no look's time.
                *at = now.saturating_sub(1);
            }
            now.saturating_sub(*at) <= remembered
        });
        let mut news = false;
        for mark in shown {
            news |= self.seen.insert(mark, now).is_none();
        }
        self.shed();
        news
    }

    /// Keeps the memory small: half of the most, so that not every look has to.
    fn shed(&mut self) {
        if self.seen.len() > MOST {
            let mut times: Vec<u32> = self.seen.values().copied().collect();
            times.sort_unstable();
            let oldest_kept = times[times.len() - MOST / 2];
            self.seen.retain(|_, at| *at >= oldest_kept);
        }
        if self.seen.capacity() > 4 * self.seen.len().max(32) {
            self.seen.shrink_to_fit();
        }
    }
}

fn tenths(span: Duration) -> u32 {
    u32::try_from(span.as_millis() / 100).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mark(line: &str) -> Option<u64> {
        Fold::default().mark(line)
    }

    #[test]
    fn frames_of_an_agent_at_work_or_hung_say_the_same() {
        for frames in [
            &["✶ Working… (4s · ↓ 88 tokens)", "✻ Working… (59s · ↓ 999 tokens)", "· Working… (1m 3s · ↓ 1.2k tokens)"]
                [..],
            &["⠋ Thinking", "⠙ Thinking", "⠏ Thinking", "  Thinking"],
            &["• Working (3s • esc to interrupt)", "◦ Working (1h 2m 3s • esc to interrupt)"],
            &["(esc to cancel, 3s)", "(esc to cancel, 12s)", "(esc to cancel, 1m)"],
            &["◒  Consulting the oracle...", "◐  Consulting the oracle...", "◓  Consulting the oracle..."],
            &["░█        Waiting for gpt", "        █░Waiting for gpt"],
            &["■■■⬝⬝⬝ esc interrupt", "⬝⬝⬝■■■ esc interrupt"],
            &["| loading", "/ loading", "- loading", "\\ loading"],
            &["✢ Herding… 59s", "✢ Herding… 1m30s", "✢ Herding… 1h2m3s"],
            &["10:41:59 up", "10:42:00 up", "  0:01 up"],
            &["12% 3.4MiB/s eta", "13% 0.9MiB/s eta"],
            &["❯ text", "❯\u{a0}text", "  ❯   text  "],
        ] {
            for frame in frames {
                assert_eq!(mark(frame), mark(frames[0]), "{frame:?}");
                assert!(mark(frame).is_some(), "{frame:?}");
            }
        }
    }

    #[test]
    fn what_is_said_makes_a_difference() {
        for (one, other) in [
            ("● Update(src/login.rs)", "● Update(src/logout.rs)"),
            ("Working", "Worked"),
            ("tests/a.py ....", "tests/a.py ....."),
            ("Building [==>   ]", "Building [===>  ]"),
            ("v1 of it", "w1 of it"),
            ("naïve", "naive"),
            ("完了", "完成"),
        ] {
            assert_ne!(mark(one), mark(other), "{one:?} and {other:?}");
        }
    }

    #[test]
    fn a_line_without_a_letter_says_nothing() {
        for line in ["", "   ", "────────", "❯ ", "12:34:56", "⠋", "█████░░░ 45%", "> ", "4s", "1.2k"]
        {
            assert_eq!(mark(line), None, "{line:?}");
        }
    }

    #[test]
    fn a_profile_names_more_that_turns() {
        let fold = Fold::new("<o>");
        assert_eq!(fold.mark("<o work"), fold.mark("o> work"));
        assert_ne!(mark("<o work"), mark("o> work"));
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(1000 + seconds)
    }

    #[test]
    fn a_line_is_new_once_and_again_after_a_minute_out_of_sight() {
        let mut recent = Recent::default();
        for (now, shown, new) in [
            (0, &[1, 2][..], true),
            (1, &[2, 1], false),
            (2, &[2, 3], true),
            // 1 was last there at second 2.
            (50, &[3, 1], false),
            (60, &[3], false),
            (121, &[3, 1], true),
            (122, &[], false),
        ] {
            assert_eq!(recent.look(shown.iter().copied(), at(now)), new, "second {now}");
        }
    }

    #[test]
    fn a_picture_drawn_again_after_an_hour_of_silence_is_not_new() {
        let mut recent = Recent::default();
        assert!(recent.look([1, 2, 3].into_iter(), at(0)));
        assert!(!recent.look([3, 2, 1].into_iter(), at(3600)));
        assert!(recent.look([3, 2, 1, 4].into_iter(), at(3601)));
    }

    proptest! {
        #[test]
        fn memory_is_bounded_and_what_is_shown_is_never_forgotten(screens in prop::collection::vec((0u64..100_000, 1u64..500), 1..60)) {
            let mut recent = Recent::default();
            for (second, (first, rows)) in (0..).zip(screens) {
                recent.look(first..first + rows, at(second));
                prop_assert!(recent.seen.len() <= MOST);
                prop_assert!(!recent.look(first..first + rows, at(second)));
            }
        }

        #[test]
        fn no_line_is_too_strange(line in ".{0,80}", more in ".{0,4}") {
            Fold::new(&more).mark(&line);
        }

        #[test]
        fn clocks_and_counters_never_say_anything(a in 0u32..100_000, b in 0u32..100_000, unit in "(s|m|h|ms|k|%|)") {
            let line = |n: u32| format!("Reading files ({n}{unit} · {n}.5k tokens, {n}/{n})");
            prop_assert_eq!(mark(&line(a)), mark(&line(b)));
        }
    }
}
