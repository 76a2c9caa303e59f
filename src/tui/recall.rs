//! What a session wrote before: its recording, played into a screen that keeps what scrolls off, then read line by
//! line. Escape sequences end here, as in [`super::picture`].

use std::num::NonZeroU16;

use ratatui::style::Style;

use super::msg::Answer;
use super::picture::style;
use crate::model::text::{printable_within, steady};

/// Lines that are kept.
const MOST_LINES: usize = 10_000;
/// Of a recording only the end is played: this is the most that is read in a moment.
const MOST_BYTES: usize = 2 << 20;

/// A piece of a line in one style.
pub type Run = (String, Style);

/// All lines, the oldest first.
#[derive(Debug, Clone, Default)]
pub struct Pages {
    lines: Vec<Vec<Run>>,
}

impl Pages {
    /// Plays recorded bytes on a screen of this size.
    pub fn new(bytes: &[u8], (cols, rows): (u16, u16)) -> Self {
        let side = |n: u16| NonZeroU16::new(n.clamp(1, 500)).unwrap_or(NonZeroU16::MIN);
        let (cols, rows) = (side(cols), side(rows));
        let mut parser = vt100::Parser::new(rows, cols, MOST_LINES);
        parser.process(&bytes[bytes.len().saturating_sub(MOST_BYTES)..]);
        let screen = parser.screen_mut();
        let mut lines: Vec<Vec<Run>> = Vec::new();
        let mut above = screen.scrollback_len();
        while above > 0 {
            screen.set_scrollback(above);
            let count = above.min(usize::from(rows.get()));
            lines.extend((0..u16::try_from(count).unwrap_or(0)).map(|row| runs(screen, row, cols.get())));
            above -= count;
        }
        screen.set_scrollback(0);
        lines.extend((0..rows.get()).map(|row| runs(screen, row, cols.get())));
        let used = lines.iter().rposition(|line| line.iter().any(|(text, _)| !text.trim().is_empty()));
        lines.truncate(used.map_or(0, |last| last + 1));
        Self { lines }
    }

    pub const fn len(&self) -> usize {
        self.lines.len()
    }

    pub const fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    pub fn line(&self, index: usize) -> &[Run] {
        self.lines.get(index).map_or(&[], Vec::as_slice)
    }

    fn text(&self, index: usize) -> String {
        self.line(index).iter().map(|(text, _)| text.as_str()).collect()
    }
}

fn runs(screen: &vt100::Screen, row: u16, cols: u16) -> Vec<Run> {
    let mut out: Vec<Run> = Vec::new();
    for cell in (0..cols).filter_map(|col| screen.cell(row, col)).filter(|cell| !cell.is_wide_continuation()) {
        let (text, style) = (if cell.has_contents() { steady(cell.contents()) } else { " ".into() }, style(cell));
        match out.last_mut() {
            Some((run, same)) if *same == style => run.push_str(&text),
            _ => out.push((text, style)),
        }
    }
    out
}

/// A person reading what was, instead of what is.
#[derive(Debug, Clone, Default)]
pub struct Recall {
    pub id: String,
    /// `None` while they are on their way.
    pub pages: Option<Pages>,
    pub error: Option<String>,
    /// Lines below the window.
    pub up: usize,
    /// What is searched for, in lower case.
    pub needle: String,
    /// The line of the match that was gone to.
    pub found: Option<usize>,
}

impl Recall {
    pub fn of(id: &str) -> Self {
        Self { id: id.into(), ..Self::default() }
    }

    pub fn came(&mut self, pages: Answer<Box<Pages>>) {
        match pages {
            Ok(pages) => self.pages = Some(*pages),
            Err(why) => self.error = Some(printable_within(&why, 300)),
        }
    }

    /// How many lines there are.
    pub fn lines(&self) -> usize {
        self.pages.as_ref().map_or(0, Pages::len)
    }

    /// The lines a window of this height shows.
    pub fn window(&self, height: u16) -> std::ops::Range<usize> {
        let end = self.lines().saturating_sub(self.up);
        end.saturating_sub(usize::from(height))..end
    }

    /// Moves the window, not beyond the first line.
    pub fn scroll(&mut self, up: isize, height: u16) {
        let most = self.lines().saturating_sub(usize::from(height));
        self.up = self.up.saturating_add_signed(up).min(most);
    }

    /// Goes to the nearest match above the last one (or below it), around the ends; false when there is none.
    pub fn search(&mut self, is_up: bool, height: u16) -> bool {
        let (count, from) = (self.lines(), self.found.unwrap_or_else(|| self.lines()));
        let Some(pages) = self.pages.as_ref().filter(|_| count > 0 && !self.needle.is_empty()) else { return false };
        let at = |step: usize| if is_up { (from + count - step) % count } else { (from + step) % count };
        let found = (1..=count).map(at).find(|index| pages.text(*index).to_lowercase().contains(&self.needle));
        if let Some(index) = found {
            self.found = found;
            // In the middle of the window, where there is something on either side.
            self.up = count.saturating_sub(index + 1 + usize::from(height) / 2);
            self.scroll(0, height);
        }
        found.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recall(lines: usize) -> Recall {
        let bytes: String =
            (0..lines).map(|i| format!("\x1b[3{}mline {i}\x1b[0m\r\n", i % 8)).collect::<Vec<_>>().concat();
        Recall { pages: Some(Pages::new(bytes.as_bytes(), (20, 5))), ..Recall::of("x") }
    }

    #[test]
    fn every_line_is_there_once_and_without_escape_sequences() {
        let recall = recall(100);
        let pages = recall.pages.unwrap();
        let texts: Vec<String> = (0..pages.len()).map(|i| pages.text(i).trim().to_string()).collect();
        assert_eq!(texts, (0..100).map(|i| format!("line {i}")).collect::<Vec<_>>());
    }

    #[test]
    fn a_search_goes_up_and_around_and_the_window_stays_within() {
        let mut recall = recall(50);
        recall.needle = "line 1".into();
        assert!(recall.search(true, 10));
        assert_eq!(recall.found, Some(19));
        assert!(recall.window(10).contains(&19));
        recall.found = Some(1);
        assert!(recall.search(true, 10));
        assert_eq!(recall.found, Some(19), "around");
        recall.needle = "nothing".into();
        assert!(!recall.search(false, 10));
        recall.scroll(1000, 10);
        assert_eq!(recall.window(10), 0..10);
        recall.scroll(-5000, 10);
        assert_eq!(recall.window(10), 40..50);
        assert_eq!(Pages::new(b"", (0, 0)).len(), 0);
    }
}
