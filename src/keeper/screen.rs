//! The screen of a session: what a terminal would show now, and the answers a terminal would give.

use std::num::NonZeroU16;

use super::unseen::{self, Margins};
use crate::api::cast;
use crate::api::wire::ScreenFact;
use crate::model::text;

/// Sizes beyond these are cut: a screen costs 32 bytes a cell.
pub const MAX_COLS: u16 = 1000;
pub const MAX_ROWS: u16 = 500;

/// What the terminal emulator noticed besides the picture.
#[derive(Debug, Default)]
struct Noticed {
    title: String,
    /// What the agent asked and a terminal would have answered.
    answers: Vec<u8>,
}

impl vt100::Callbacks for Noticed {
    fn set_window_title(&mut self, _: &mut vt100::Screen, title: &[u8]) {
        self.title = text::printable_within(&String::from_utf8_lossy(title), 200);
    }

    fn unhandled_csi(&mut self, screen: &mut vt100::Screen, i1: Option<u8>, _: Option<u8>, params: &[&[u16]], c: char) {
        let first = params.first().and_then(|p| p.first()).copied().unwrap_or(0);
        let (row, col) = screen.cursor_position();
        let answer = match (i1, c, first) {
            // Primary device attributes: a VT100 with advanced video, as tmux answers.
            (None, 'c', 0) => "\x1b[?1;2c".to_string(),
            (None, 'n', 5) => "\x1b[0n".to_string(),
            (None, 'n', 6) => format!("\x1b[{};{}R", row + 1, col + 1),
            (Some(b'?'), 'n', 6) => format!("\x1b[?{};{}R", row + 1, col + 1),
            _ => return,
        };
        self.answers.extend_from_slice(answer.as_bytes());
    }
}

/// Most plain output that waits to be drawn.
const WAITING: usize = 32 << 10;

pub struct Screen {
    parser: vt100::Parser<Noticed>,
    margins: Margins,
    /// Plain output, drawn when somebody looks, when something else follows, or when there is enough of it.
    waiting: Vec<u8>,
}

impl Screen {
    pub fn new(cols: u16, rows: u16) -> Self {
        let (cols, rows) = within(cols, rows);
        let parser = vt100::Parser::new_with_callbacks(rows, cols, 0, Noticed::default());
        Self { parser, margins: Margins::default(), waiting: Vec::new() }
    }

    /// Shows what the agent wrote, and returns what a terminal would answer.
    pub fn show(&mut self, bytes: &[u8]) -> Vec<u8> {
        let resting = self.margins.is_at_rest();
        self.margins.watch(bytes);
        if !resting || self.margins.are_set() || !bytes.iter().all(|b| unseen::is_plain(*b)) {
            self.draw();
            self.parser.process(bytes);
            return std::mem::take(&mut self.parser.callbacks_mut().answers);
        }
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() >= WAITING {
            self.draw();
        }
        Vec::new()
    }

    /// Draws what waits.
    fn draw(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        let rows = usize::from(self.parser.screen().size().0.get());
        let (before, after) = unseen::seen(&waiting, rows);
        self.parser.process(before);
        self.parser.process(after);
        // The room is kept while a flood lasts.
        if waiting.len() >= WAITING {
            self.waiting = waiting;
            self.waiting.clear();
        }
    }

    pub fn resize(&mut self, cols: u16, rows: u16) {
        self.draw();
        let (cols, rows) = within(cols, rows);
        self.parser.set_size(rows, cols);
    }

    /// (columns, rows)
    pub fn size(&self) -> (u16, u16) {
        let (rows, cols) = self.parser.screen().size();
        (cols.get(), rows.get())
    }

    /// Everything needed to make a terminal show this screen, with its input modes.
    pub fn replay(&mut self) -> Vec<u8> {
        self.draw();
        let mut out = String::from("\x1b[m\x1b[r\x1b[2J\x1b[H");
        let title = &self.parser.callbacks().title;
        if !title.is_empty() {
            out.push_str("\x1b]2;");
            out.push_str(title);
            out.push('\x07');
        }
        out.push_str(&self.parser.screen().state_formatted());
        out.into_bytes()
    }

    /// Every row as text.
    pub fn lines(&mut self) -> impl Iterator<Item = String> {
        self.draw();
        let (cols, _) = self.size();
        self.parser.screen().rows(0, cols)
    }

    pub fn fact(&mut self) -> ScreenFact {
        let plain = self.plain();
        let ansi = cast::ansi_of(self.parser.screen());
        ScreenFact { ansi, ..plain }
    }

    /// What it says, without its colours.
    pub fn plain(&mut self) -> ScreenFact {
        self.draw();
        let (cols, rows) = self.size();
        let screen = self.parser.screen();
        let (row, col) = screen.cursor_position();
        ScreenFact {
            cols,
            rows,
            title: self.parser.callbacks().title.clone(),
            text: cast::text_of(screen),
            ansi: String::new(),
            cursor: (!screen.hide_cursor()).then_some((col, row)),
        }
    }
}

/// What a terminal shows of bytes that went through no terminal: its lines begin in the first column (ONLCR of
/// termios(3)).
pub fn with_returns(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 16);
    for line in bytes.split_inclusive(|b| *b == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(text) => {
                out.extend_from_slice(text);
                out.extend_from_slice(b"\r\n");
            }
            None => out.extend_from_slice(line),
        }
    }
    out
}

fn within(cols: u16, rows: u16) -> (NonZeroU16, NonZeroU16) {
    let clamp = |n: u16, max: u16| NonZeroU16::new(n.clamp(1, max)).unwrap_or(NonZeroU16::MIN);
    (clamp(cols, MAX_COLS), clamp(rows, MAX_ROWS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_questions_agents_ask_are_answered() {
        let mut screen = Screen::new(80, 24);
        assert_eq!(screen.show(b"ab\x1b[6n"), b"\x1b[1;3R");
        assert_eq!(screen.show(b"\x1b[c\x1b[5n"), b"\x1b[?1;2c\x1b[0n");
        assert_eq!(screen.show(b"\x1b[?6n"), b"\x1b[?1;3R");
        assert_eq!((screen.show(b"\x1b[5"), screen.show(b"n")), (b"".to_vec(), b"\x1b[0n".to_vec()), "cut in two");
        assert_eq!(screen.show(b"\x1b[>0q plain"), b"");
    }

    #[test]
    fn a_replay_shows_the_same_screen() {
        let mut one = Screen::new(40, 10);
        one.show("\x1b[2J\x1b[3;4H\x1b[31mred\x1b[m ünï \x1b[?2004h\x1b[?1h\x1b]0;t\x1b[2Jx\x07".as_bytes());
        let mut two = Screen::new(40, 10);
        two.show(&one.replay());
        assert_eq!(one.fact().text, two.fact().text);
        assert_eq!(one.fact().ansi, two.fact().ansi);
        assert!(two.parser.screen().bracketed_paste() && two.parser.screen().application_cursor());
    }

    #[test]
    fn lines_from_a_pipe_begin_in_the_first_column() {
        let mut screen = Screen::new(20, 5);
        screen.show(&with_returns(b"one\ntwo\r\nthr"));
        screen.show(&with_returns(b"ee\n\nfour"));
        assert_eq!(screen.plain().text, "one\ntwo\nthree\n\nfour");
    }

    #[test]
    fn absurd_sizes_are_cut() {
        assert_eq!(Screen::new(0, 0).size(), (1, 1));
        let mut screen = Screen::new(u16::MAX, u16::MAX);
        assert_eq!(screen.size(), (MAX_COLS, MAX_ROWS));
        screen.resize(0, 7);
        assert_eq!(screen.size(), (1, 7));
    }

    proptest! {
        #[test]
        fn whatever_an_agent_writes_the_text_shown_has_no_control_characters(bytes in prop::collection::vec(any::<u8>(), 0..300), cols in 1u16..30, rows in 1u16..10) {
            let mut screen = Screen::new(cols, rows);
            screen.show(&bytes);
            let fact = screen.fact();
            prop_assert!(!fact.text.chars().any(|c| c.is_control() && c != '\n'));
            prop_assert!(!fact.title.chars().any(char::is_control));
        }
    }
}
