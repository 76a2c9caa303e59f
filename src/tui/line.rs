//! One line of text being typed: the cursor, and the keys every shell has.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use unicode_width::UnicodeWidthChar;

use crate::model::text::printable;

/// Longest line that can be typed, in characters.
const MAX: usize = 4096;

/// The text and where the cursor stands in it, in characters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    chars: Vec<char>,
    cursor: usize,
}

impl Line {
    /// The cursor stands at the end.
    pub fn new(text: &str) -> Self {
        let chars: Vec<char> = printable(text).chars().take(MAX).collect();
        Self { cursor: chars.len(), chars }
    }

    pub fn text(&self) -> String {
        self.chars.iter().collect()
    }

    pub fn is_empty(&self) -> bool {
        self.chars.is_empty()
    }

    /// Puts text in at the cursor, on one line and without control characters.
    pub fn insert(&mut self, text: &str) {
        for c in printable(text).chars() {
            if self.chars.len() < MAX {
                self.chars.insert(self.cursor, c);
                self.cursor += 1;
            }
        }
    }

    /// Takes an editing key; false when it is none.
    pub fn edit(&mut self, key: KeyEvent) -> bool {
        let end = self.chars.len();
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return self.edit_with_control(key.code);
        }
        match key.code {
            KeyCode::Char(c) if !key.modifiers.contains(KeyModifiers::ALT) => self.insert(c.encode_utf8(&mut [0; 4])),
            KeyCode::Backspace => self.cut_back_to(self.cursor.saturating_sub(1)),
            KeyCode::Delete => drop(self.chars.drain(self.cursor..(self.cursor + 1).min(end))),
            KeyCode::Left => self.cursor = self.cursor.saturating_sub(1),
            KeyCode::Right => self.cursor = (self.cursor + 1).min(end),
            KeyCode::Home => self.cursor = 0,
            KeyCode::End => self.cursor = end,
            _ => return false,
        }
        true
    }

    fn edit_with_control(&mut self, code: KeyCode) -> bool {
        match code {
            KeyCode::Char('a') => self.cursor = 0,
            KeyCode::Char('e') => self.cursor = self.chars.len(),
            KeyCode::Char('u') => self.cut_back_to(0),
            KeyCode::Char('k') => self.chars.truncate(self.cursor),
            KeyCode::Char('w') => self.cut_back_to(self.word_start()),
            KeyCode::Char('h') => self.cut_back_to(self.cursor.saturating_sub(1)),
            _ => return false,
        }
        true
    }

    fn cut_back_to(&mut self, start: usize) {
        self.chars.drain(start..self.cursor);
        self.cursor = start;
    }

    fn word_start(&self) -> usize {
        let before = &self.chars[..self.cursor];
        let word_end = before.iter().rposition(|c| *c != ' ').map_or(0, |i| i + 1);
        before[..word_end].iter().rposition(|c| *c == ' ').map_or(0, |i| i + 1)
    }

    /// The part that fits into `columns`, and the column of the cursor in it.
    pub fn window(&self, columns: u16) -> (String, u16) {
        let room = usize::from(columns.max(1)) - 1;
        let wide = |c: &char| c.width().unwrap_or(0);
        let (mut start, mut at) = (self.cursor, 0);
        while start > 0 && at + wide(&self.chars[start - 1]) <= room {
            start -= 1;
            at += wide(&self.chars[start]);
        }
        let mut used = 0;
        let shown = self.chars[start..].iter().take_while(|c| {
            used += wide(c);
            used <= usize::from(columns)
        });
        (shown.collect(), u16::try_from(at).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(line: &mut Line, code: KeyCode, modifiers: KeyModifiers) {
        line.edit(KeyEvent::new(code, modifiers));
    }

    #[test]
    fn a_shells_editing_keys_work() {
        let mut line = Line::new("run the tests");
        press(&mut line, KeyCode::Char('w'), KeyModifiers::CONTROL);
        assert_eq!(line.text(), "run the ");
        press(&mut line, KeyCode::Char('w'), KeyModifiers::CONTROL);
        press(&mut line, KeyCode::Home, KeyModifiers::NONE);
        press(&mut line, KeyCode::Delete, KeyModifiers::NONE);
        line.insert("f\x1b[31m");
        assert_eq!(line.text(), "f·[31mun ");
        press(&mut line, KeyCode::Char('u'), KeyModifiers::CONTROL);
        assert_eq!(line.text(), "un ");
    }

    #[test]
    fn the_cursor_is_always_in_the_window() {
        let mut line = Line::new("abcdef日本");
        assert_eq!(line.window(5), ("日本".into(), 4));
        assert_eq!(line.window(0).1, 0);
        press(&mut line, KeyCode::Home, KeyModifiers::NONE);
        assert_eq!(line.window(5), ("abcde".into(), 0));
    }
}
