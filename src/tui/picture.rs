//! The screen of a session as cells. Escape sequences end here: they become colours or nothing.

use std::num::NonZeroU16;

use ratatui::style::{Color, Modifier, Style};

use crate::api::types::Screen;
use crate::model::text::{printable_within, steady, unturned};

/// No screen is taken to be larger, whatever is claimed.
const MAX_COLS: u16 = 1000;
const MAX_ROWS: u16 = 500;

/// A screen, parsed once when it arrives.
#[derive(Clone)]
pub struct Picture {
    screen: vt100::Screen,
    source: String,
    pub title: String,
    /// Column and row of the cursor, when it is visible.
    pub cursor: Option<(u16, u16)>,
    /// Rows up to the last one that shows something.
    pub used_rows: u16,
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Picture({:?})", self.title)
    }
}

impl Picture {
    pub fn new(screen: &Screen) -> Self {
        let side = |n: u16, max: u16| NonZeroU16::new(n.min(max)).unwrap_or(NonZeroU16::MIN);
        let (rows, cols) = (side(screen.rows, MAX_ROWS), side(screen.cols, MAX_COLS));
        let mut parser = vt100::Parser::new(rows, cols, 0);
        parser.process(steady(&unturned(&screen.ansi)).as_bytes());
        let parsed = parser.screen().clone();
        let text_rows = parsed.rows(0, cols.get()).collect::<Vec<_>>();
        let last = text_rows.iter().rposition(|row| !row.trim().is_empty()).map_or(0, |i| i + 1);
        let cursor = screen.cursor.filter(|(x, y)| *x < cols.get() && *y < rows.get());
        let used = u16::try_from(last).unwrap_or(MAX_ROWS).max(cursor.map_or(0, |(_, y)| y + 1));
        let title = printable_within(&screen.title, 200).trim().to_string();
        Self { screen: parsed, source: screen.ansi.clone(), title, cursor, used_rows: used }
    }

    /// True when both show the same.
    pub fn is_same(&self, other: &Self) -> bool {
        self.source == other.source && self.cursor == other.cursor && self.title == other.title
    }

    pub fn cols(&self) -> u16 {
        self.screen.size().1.get()
    }

    /// Text and style of a cell; `None` beyond the edge and in the second half of a wide character.
    pub fn cell(&self, row: u16, col: u16) -> Option<(&str, Style)> {
        let cell = self.screen.cell(row, col)?;
        if cell.is_wide_continuation() {
            return None;
        }
        let text = if cell.has_contents() { cell.contents() } else { " " };
        Some((text, style(cell)))
    }
}

/// The colours of a cell.
pub fn style(cell: &vt100::Cell) -> Style {
    let mut style = Style::new().fg(colour(cell.fgcolor())).bg(colour(cell.bgcolor()));
    for (has, modifier) in [
        (cell.bold(), Modifier::BOLD),
        (cell.dim(), Modifier::DIM),
        (cell.italic(), Modifier::ITALIC),
        (cell.underline(), Modifier::UNDERLINED),
        (cell.inverse(), Modifier::REVERSED),
    ] {
        if has {
            style = style.add_modifier(modifier);
        }
    }
    style
}

const fn colour(colour: vt100::Color) -> Color {
    match colour {
        vt100::Color::Default => Color::Reset,
        vt100::Color::Idx(index) => Color::Indexed(index),
        vt100::Color::Rgb(r, g, b) => Color::Rgb(r, g, b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_come_through_and_escape_sequences_do_not() {
        let ansi = "\x1b[1;31mred\x1b[0m\x1b]0;evil\x07\x1b[2;1Hnext\x1b[38;2;1;2;3mx".to_string();
        let picture = Picture::new(&Screen { cols: 10, rows: 5, ansi, ..Screen::default() });
        let (text, style) = picture.cell(0, 0).unwrap();
        assert_eq!((text, style.fg), ("r", Some(Color::Indexed(1))));
        assert!(style.add_modifier.contains(Modifier::BOLD));
        assert_eq!(picture.cell(1, 4).unwrap().1.fg, Some(Color::Rgb(1, 2, 3)));
        assert_eq!(picture.used_rows, 2);
        assert!(picture.cell(9, 0).is_none());
    }

    /// What stands behind it keeps its place.
    #[test]
    fn no_cell_holds_a_sign_whose_width_is_in_doubt() {
        let ansi = "\u{1f469}\u{200d}\u{1f469}| \u{2764}\u{fe0f}| \u{1f44d}\u{1f3fd}|".to_string();
        let picture = Picture::new(&Screen { cols: 20, rows: 2, ansi, ..Screen::default() });
        let cells: Vec<&str> = (0..16).filter_map(|col| Some(picture.cell(0, col)?.0)).collect();
        assert_eq!(cells.concat().trim_end(), "\u{1f469}\u{1f469}| \u{2764}| \u{1f44d}  |");
        assert_eq!([4, 7, 13].map(|col| picture.cell(0, col).unwrap().0), ["|", "|", "|"]);
    }

    #[test]
    fn a_screen_of_no_size_or_of_any_is_taken() {
        for (cols, rows) in [(0, 0), (u16::MAX, u16::MAX)] {
            let screen = Screen { cols, rows, ansi: "x".into(), cursor: Some((u16::MAX, 3)), ..Screen::default() };
            assert!(Picture::new(&screen).cols() <= MAX_COLS);
        }
    }
}
