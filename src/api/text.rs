//! Recorded bytes as plain text: what a terminal was told, without the telling how.
//!
//! Knows lines, not screens: a line that is written over (`\r`, as progress bars do) keeps its last form; a
//! cursor that jumps to another row begins a new line. What comes out holds no control character except
//! newline and tab, and nothing that turns the direction of text, whatever went in.

use vte::{Params, Parser, Perform};

use crate::model::text;

/// A line longer than this comes out in parts.
const LONGEST_LINE: usize = 64 << 10;

/// Bytes in pieces, cut anywhere, to text in whole lines.
#[derive(Default)]
pub struct Stripper {
    parser: Parser,
    lines: Lines,
}

impl Stripper {
    pub fn new() -> Self {
        Self::default()
    }

    /// The lines that `bytes` completed, each with its newline.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        self.parser.advance(&mut self.lines, bytes);
        std::mem::take(&mut self.lines.done)
    }

    /// The line that has no newline yet.
    pub fn finish(mut self) -> String {
        self.lines.flush();
        self.lines.done
    }
}

#[derive(Default)]
struct Lines {
    done: String,
    line: String,
    /// The carriage went back: the next character begins the line anew.
    over: bool,
}

impl Lines {
    fn put(&mut self, c: char) {
        if self.over {
            self.line.clear();
            self.over = false;
        }
        self.line.push(c);
        if self.line.len() >= LONGEST_LINE {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.done.push_str(&self.line);
        self.line.clear();
        self.over = false;
    }

    fn end_line(&mut self) {
        self.flush();
        self.done.push('\n');
    }

    /// To a column: blanks up to it, when the line is not that long yet.
    fn pad(&mut self, column: usize) {
        let length = if self.over { 0 } else { self.line.chars().count() };
        (length..column.min(LONGEST_LINE)).for_each(|_| self.put(' '));
    }

    fn jump(&mut self) {
        if !self.line.is_empty() {
            self.end_line();
        }
    }
}

impl Perform for Lines {
    fn print(&mut self, c: char) {
        if !c.is_control() && !text::turns_text(c) {
            self.put(c);
        }
    }

    fn execute(&mut self, byte: u8) {
        match byte {
            b'\n' | 0x0b | 0x0c => self.end_line(),
            b'\t' => self.put('\t'),
            b'\r' => self.over = true,
            0x08 => {
                self.line.pop();
            }
            _ => {}
        }
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], _ignore: bool, action: char) {
        if !intermediates.is_empty() {
            return;
        }
        let first = params.iter().next().and_then(|p| p.first().copied()).unwrap_or(0).max(1);
        match action {
            'H' | 'f' | 'd' | 'B' | 'E' => self.jump(),
            'G' if first == 1 => self.over = true,
            'G' => self.pad(usize::from(first - 1)),
            // Programs that draw leave out the blanks between words.
            'C' => (0..first.min(200)).for_each(|_| self.put(' ')),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(bytes: &[u8]) -> String {
        let mut stripper = Stripper::new();
        let mut out = stripper.push(bytes);
        out.push_str(&stripper.finish());
        out
    }

    #[test]
    fn colours_titles_and_modes_leave_no_trace() {
        assert_eq!(text(b"\x1b[1;31mred\x1b[0m \x1b]0;title\x07\x1b[?2004hplain\r\n"), "red plain\n");
        assert_eq!(text(b"\x1bP+q544e\x1b\\a\x1b_x\x1b\\b"), "ab");
    }

    #[test]
    fn a_line_written_over_keeps_its_last_form() {
        assert_eq!(text(b" 10%\r 50%\r100%\r\ndone\r\n"), "100%\ndone\n");
        assert_eq!(text(b"whole\r\r\n"), "whole\n");
        assert_eq!(text(b"a long one\rshort"), "short");
        assert_eq!(text(b"|\x08/\x08-\x08 \x08ok\n"), "ok\n");
    }

    #[test]
    fn tabs_stay_and_jumps_of_the_cursor_break_lines() {
        assert_eq!(text(b"a\tb\n"), "a\tb\n");
        assert_eq!(text(b"\x1b[1;1Htop\x1b[5;3Hlow\x1b[3Cer"), "top\nlow   er");
        assert_eq!(text(b"two\x1b[5Gwords\x1b[3Ghere"), "two wordshere");
    }

    #[test]
    fn a_line_without_end_comes_out_in_parts() {
        let out = text(&vec![b'x'; LONGEST_LINE * 3]);
        assert_eq!(out.len(), LONGEST_LINE * 3);
        let mut stripper = Stripper::new();
        assert!(!stripper.push(&vec![b'x'; LONGEST_LINE + 1]).is_empty());
    }

    proptest! {
        #[test]
        fn nothing_that_steers_a_terminal_comes_out(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(text(&bytes).chars().all(|c| !c.is_control() || c == '\n' || c == '\t'));
        }

        #[test]
        fn nothing_that_turns_text_comes_out(text_in in "[a\u{061c}\u{200e}-\u{202e}\u{2066}-\u{2069}\n]{0,40}") {
            prop_assert!(!text(text_in.as_bytes()).chars().any(crate::model::text::turns_text));
        }

        #[test]
        fn where_the_pieces_are_cut_does_not_matter(
            words in prop::collection::vec(prop_oneof![
                Just("grün 雛 🐕"), Just("\x1b[31m"), Just("\r"), Just("\n"), Just("\x1b]0;t\x07"), Just("\x08"),
                Just("\x1b[2;3H"), Just("\u{9b}31m")], 0..20),
            cut in 1usize..7,
        ) {
            let bytes = words.concat().into_bytes();
            let mut stripper = Stripper::new();
            let mut out: String = bytes.chunks(cut).map(|piece| stripper.push(piece)).collect();
            out.push_str(&stripper.finish());
            prop_assert_eq!(out, text(&bytes));
        }
    }
}
