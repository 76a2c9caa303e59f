//! When the screen said something new. It looks at the screen after output, a few times a second at most, and never
//! while nothing happens.

use std::time::Duration;

use super::screen::Screen;
use crate::model::fold::{Fold, Recent};
use crate::sys::pulse::{Beat, Pulse};

/// Between two looks.
const EVERY: Duration = Duration::from_millis(200);
/// A picture is looked at when nothing was added for this long: half a line would read as a new one.
const SETTLED: Duration = Duration::from_millis(40);
/// Output that never settles is looked at all the same.
const LATEST: Duration = Duration::from_millis(400);
/// After a new size everything is drawn again, broken into other lines.
const REDRAWING: Duration = Duration::from_secs(1);
/// Text that goes on without a pause of this length counts as one activity.
const BURST: Duration = Duration::from_secs(1);

pub struct Activity {
    fold: Fold,
    recent: Recent,
    looked: Duration,
    /// The first and the last output nobody has looked at.
    unlooked: Option<(Duration, Duration)>,
    redrawn_until: Duration,
}

impl Activity {
    /// With the spinner glyphs of the agent.
    pub fn new(spinners: &str) -> Self {
        Self {
            fold: Fold::new(spinners),
            recent: Recent::default(),
            looked: Duration::ZERO,
            unlooked: None,
            redrawn_until: Duration::ZERO,
        }
    }

    pub fn on_output(&mut self, now: Duration) {
        let (first, _) = self.unlooked.unwrap_or((now, now));
        self.unlooked = Some((first, now));
    }

    pub fn on_resize(&mut self, now: Duration) {
        self.redrawn_until = now + REDRAWING;
    }

    /// When to look; `None` while there is nothing to look at.
    pub fn due(&self) -> Option<Duration> {
        let (first, last) = self.unlooked?;
        Some((last + SETTLED).max(self.looked + EVERY).min(first + LATEST))
    }

    /// Looks, if it is time, and notes new text in the pulse.
    pub fn look(&mut self, screen: &mut Screen, pulse: &Pulse, now: Duration) {
        if !self.has_news(screen, now) {
            return;
        }
        if pulse.when(Beat::Text).is_none_or(|last| now.saturating_sub(last) >= BURST) {
            pulse.add(Beat::Messages, 1);
        }
        pulse.mark_at(Beat::Text, now);
    }

    fn has_news(&mut self, screen: &mut Screen, now: Duration) -> bool {
        if self.due().is_none_or(|due| now < due) {
            return false;
        }
        self.unlooked = None;
        self.looked = now;
        let lines = screen.lines();
        let news = self.recent.look(lines.filter_map(|line| self.fold.mark(&line)), now);
        news && now >= self.redrawn_until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A keeper's screen and clock.
    struct Stage {
        screen: Screen,
        activity: Activity,
        now: Duration,
    }

    impl Stage {
        fn new() -> Self {
            Self { screen: Screen::new(60, 8), activity: Activity::new(""), now: Duration::from_secs(500) }
        }

        /// The agent writes; whether that was new text.
        fn says(&mut self, text: &str) -> bool {
            self.screen.show(text.as_bytes());
            self.activity.on_output(self.now);
            self.now = self.activity.due().unwrap();
            self.activity.has_news(&mut self.screen, self.now)
        }

        fn passes(&mut self, seconds: u64) {
            self.now += Duration::from_secs(seconds);
        }
    }

    #[test]
    fn a_spinner_with_a_clock_and_a_counter_is_silent() {
        let mut stage = Stage::new();
        assert!(stage.says("\x1b[2J\x1b[H\u{2733} Reading… (0s \u{b7} 3 tokens)"));
        for second in 1..4000 {
            let glyph = ['✳', '✽', '✶', '✻', '✢', '·'][second % 6];
            let (minutes, tokens) = (second / 60, second * 31);
            let line = format!("\r\x1b[2K{glyph} Reading… ({minutes}m {}s · {tokens} tokens)", second % 60);
            assert!(!stage.says(&line), "second {second}");
            stage.passes(1);
        }
        assert!(stage.says("\r\nit answers"));
    }

    #[test]
    fn drawing_again_scrolling_and_a_new_size_are_silent() {
        let mut stage = Stage::new();
        assert!(stage.says("one line\r\ntwo lines\r\n"));
        stage.passes(600);
        assert!(!stage.says("\x1b[2J\x1b[Hone line\r\ntwo lines\r\n"), "drawn again");
        assert!(!stage.says("\r\n\r\n\r\n\r\n\r\n\r\n"), "scrolled");
        stage.screen.resize(7, 8);
        stage.activity.on_resize(stage.now);
        assert!(!stage.says("\x1b[2J\x1b[Hone l\r\nine two\r\nlines\r\n"), "another width");
        stage.passes(2);
        assert!(!stage.says("\x1b[2J\x1b[Hone l\r\nine two\r\nlines\r\n"), "and again");
        assert!(stage.says("three\r\n"));
    }

    #[test]
    fn text_that_goes_on_counts_once_and_after_a_pause_again() {
        let (mut stage, pulse) = (Stage::new(), Pulse::create().unwrap());
        for (pause, text, messages) in
            [(0, "one", 1), (300, "two", 1), (300, "three", 1), (1500, "four", 2), (5000, "four", 2)]
        {
            stage.now += Duration::from_millis(pause);
            stage.screen.show(format!("{text}\r\n").as_bytes());
            stage.activity.on_output(stage.now);
            stage.now = stage.activity.due().unwrap();
            stage.activity.look(&mut stage.screen, &pulse, stage.now);
            assert_eq!(pulse.get(Beat::Messages), messages, "{text}");
        }
    }

    #[test]
    fn a_flood_is_looked_at_now_and_then_and_silence_never() {
        let mut stage = Stage::new();
        assert_eq!(stage.activity.due(), None);
        let mut looks = 0;
        for _ in 0..1000 {
            stage.screen.show(b"a line of the flood\r\n");
            stage.activity.on_output(stage.now);
            let due = stage.activity.due().unwrap();
            stage.activity.has_news(&mut stage.screen, stage.now);
            looks += usize::from(stage.now >= due);
            stage.now += Duration::from_millis(10);
        }
        assert!((20..=30).contains(&looks), "{looks} in ten seconds");
        stage.now = stage.activity.due().unwrap();
        stage.activity.has_news(&mut stage.screen, stage.now);
        assert_eq!(stage.activity.due(), None);
    }
}
