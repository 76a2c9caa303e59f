//! Rows of text under headings, fitted to a width: what is least missed goes first.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr;

use crate::model::text::printable;

const GAP: usize = 2;

/// One column of a table.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    pub head: &'static str,
    pub right: bool,
    /// May be cut down to so many cells.
    pub least: Option<usize>,
    /// Left out when the table is too wide: the highest first, 0 never.
    pub spare: u8,
}

impl Column {
    pub const fn new(head: &'static str, spare: u8) -> Self {
        Self { head, right: false, least: None, spare }
    }

    pub const fn right(self) -> Self {
        Self { right: true, ..self }
    }

    pub const fn least(self, cells: usize) -> Self {
        Self { least: Some(cells), ..self }
    }
}

/// A text, and the SGR parameters it is shown in.
#[derive(Debug, Clone, Default)]
pub struct Cell {
    text: String,
    style: &'static str,
}

impl Cell {
    /// Whatever `text` holds, it stays on its line.
    pub fn new(text: impl AsRef<str>) -> Self {
        Self { text: printable(text.as_ref()), style: "" }
    }

    /// Moved to the right, as a tree shows its children.
    pub fn indented(self, cells: usize) -> Self {
        Self { text: format!("{}{}", " ".repeat(cells), self.text), ..self }
    }

    pub fn styled(self, style: &'static str) -> Self {
        Self { style, ..self }
    }
}

#[derive(Debug)]
pub struct Table<'a> {
    columns: &'a [Column],
    rows: Vec<Vec<Cell>>,
}

impl<'a> Table<'a> {
    pub fn new(columns: &'a [Column]) -> Self {
        Self { columns, rows: Vec::new() }
    }

    /// One cell for each column.
    pub fn push(&mut self, row: Vec<Cell>) {
        self.rows.push(row);
    }

    /// The table as lines, at most `width` wide; `None`: as wide as it is. Columns without any text are left out.
    pub fn render(&self, width: Option<usize>, coloured: bool) -> String {
        let natural: Vec<usize> = (0..self.columns.len()).map(|at| self.natural(at)).collect();
        let shown = self.shown(&natural, width);
        let widths = self.widths(&natural, &shown, width);
        let mut out = String::new();
        let heads = self.columns.iter().map(|c| Cell::new(c.head)).collect();
        for row in std::iter::once(&heads).chain(&self.rows) {
            self.line(&mut out, row, &widths, coloured);
        }
        out
    }

    /// Something would be left out or cut in so narrow a place.
    pub fn is_cut_at(&self, width: usize) -> bool {
        let natural = (0..self.columns.len()).map(|at| self.natural(at)).filter(|cells| *cells > 0);
        natural.map(|cells| cells + GAP).sum::<usize>() > width + GAP
    }

    fn natural(&self, at: usize) -> usize {
        let widest = self.rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.text.width()).max().unwrap_or(0);
        if widest == 0 && !self.rows.is_empty() { 0 } else { widest.max(self.columns[at].head.width()) }
    }

    fn least(&self, at: usize, natural: usize) -> usize {
        self.columns[at].least.map_or(natural, |least| least.min(natural))
    }

    /// The columns that fit, by index.
    fn shown(&self, natural: &[usize], width: Option<usize>) -> Vec<usize> {
        let mut shown: Vec<usize> = (0..self.columns.len()).filter(|at| natural[*at] > 0).collect();
        let Some(width) = width else { return shown };
        loop {
            let needed: usize = shown.iter().map(|at| self.least(*at, natural[*at]) + GAP).sum();
            let spare = shown.iter().enumerate().max_by_key(|(_, at)| self.columns[**at].spare);
            match spare {
                Some((position, at)) if needed > width + GAP && self.columns[*at].spare > 0 => {
                    shown.remove(position);
                }
                _ => return shown,
            }
        }
    }

    /// Column and width of each shown one: cut to the least, then widened from the left with what is over.
    fn widths(&self, natural: &[usize], shown: &[usize], width: Option<usize>) -> Vec<(usize, usize)> {
        let mut widths: Vec<(usize, usize)> = shown.iter().map(|at| (*at, self.least(*at, natural[*at]))).collect();
        let used: usize = widths.iter().map(|(_, cells)| cells + GAP).sum();
        let mut over = width.map_or(usize::MAX, |width| (width + GAP).saturating_sub(used));
        for (at, cells) in &mut widths {
            let more = (natural[*at] - *cells).min(over);
            *cells += more;
            over -= more;
        }
        // What nothing may be left out of gives way all the same, from the right: a line that breaks is no table.
        let mut excess = width.map_or(0, |width| used.saturating_sub(width + GAP));
        for (_, cells) in widths.iter_mut().rev() {
            let less = cells.saturating_sub(1).min(excess);
            *cells -= less;
            excess -= less;
        }
        widths
    }

    fn line(&self, out: &mut String, row: &[Cell], widths: &[(usize, usize)], coloured: bool) {
        let start = out.len();
        for (position, (at, cells)) in widths.iter().enumerate() {
            let Some(cell) = row.get(*at) else { continue };
            let text = within(&cell.text, *cells);
            let blanks = " ".repeat(cells.saturating_sub(text.width()));
            let (before, after) = if self.columns[*at].right { (blanks.as_str(), "") } else { ("", blanks.as_str()) };
            let gap = if position == 0 { "" } else { "  " };
            // Writing to a String cannot fail.
            let _ = if coloured && !cell.style.is_empty() {
                write!(out, "{gap}{before}\x1b[{}m{text}\x1b[m{after}", cell.style)
            } else {
                write!(out, "{gap}{before}{text}{after}")
            };
        }
        out.truncate(start + out[start..].trim_end_matches(' ').len());
        out.push('\n');
    }
}

/// All of `text`, on lines of at most `cells` cells, broken between words where that can be.
pub fn folded(text: &str, cells: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in printable(text).split_whitespace() {
        let Some(line) = lines.last_mut() else { break };
        if !line.is_empty() && line.width() + 1 + word.width() <= cells {
            line.push(' ');
            line.push_str(word);
            continue;
        }
        if !line.is_empty() {
            lines.push(String::new());
        }
        for c in word.chars() {
            let Some(line) = lines.last_mut() else { break };
            line.push(c);
            if line.width() > cells && line.chars().count() > 1 {
                line.pop();
                lines.push(c.into());
            }
        }
    }
    lines
}

/// `text` in at most `cells` cells, with an ellipsis where it was cut.
pub fn within(text: &str, cells: usize) -> String {
    if text.width() <= cells {
        return text.into();
    }
    let mut out = String::new();
    for c in text.chars() {
        out.push(c);
        // As a whole: a character can change how wide the one before it is.
        if out.width() >= cells {
            out.pop();
            break;
        }
    }
    if cells > 0 {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const COLUMNS: &[Column] = &[
        Column::new("NAME", 0).least(6),
        Column::new("PROCS", 2).right(),
        Column::new("EMPTY", 1),
        Column::new("REASON", 1).least(10),
    ];

    fn table(rows: &[(&str, &str, &str)]) -> Table<'static> {
        let mut table = Table::new(COLUMNS);
        for (name, procs, reason) in rows {
            table.push(vec![Cell::new(name), Cell::new(procs), Cell::new(""), Cell::new(reason)]);
        }
        table
    }

    #[test]
    fn without_a_width_nothing_is_cut_and_empty_columns_are_left_out() {
        let text = table(&[("front", "12", "output 3 s ago"), ("b", "4", "waiting for you, 12 m")]).render(None, false);
        assert_eq!(text, "NAME   PROCS  REASON\nfront     12  output 3 s ago\nb          4  waiting for you, 12 m\n");
    }

    #[test]
    fn in_a_narrow_place_the_least_missed_goes_first() {
        let table = table(&[("frontend-login", "12", "output 3 s ago, all is well")]);
        assert_eq!(table.render(Some(27), false), "NAME      PROCS  REASON\nfronten…     12  output 3 …\n");
        assert_eq!(table.render(Some(20), false), "NAME      REASON\nfronten…  output 3 …\n");
        assert_eq!(table.render(Some(8), false), "NAME\nfronten…\n");
    }

    #[test]
    fn a_character_that_widens_the_one_before_it_is_counted() {
        assert_eq!(within("ab0\u{fe0f}cdef", 5), "ab0\u{fe0f}…");
        assert_eq!(within("ab0\u{fe0f}cdef", 4), "ab0…");
        assert_eq!(within("ab0\u{fe0f}c", 5), "ab0\u{fe0f}c");
    }

    #[test]
    fn a_process_cannot_colour_or_break_the_table() {
        let text = table(&[("a\x1b[2Jb\nc", "1", "")]).render(None, true);
        assert!(!text.contains('\x1b') && text.lines().count() == 2);
    }

    #[test]
    fn what_is_folded_is_whole() {
        assert_eq!(folded("uid 7 beadle kill", 10), ["uid 7", "beadle", "kill"]);
        assert_eq!(folded("a abcdefgh b\x1b", 4), ["a", "abcd", "efgh", "b·"]);
        assert_eq!(folded("", 4), [""]);
        assert!(table(&[("a", "1", "b")]).is_cut_at(14) && !table(&[("a", "1", "b")]).is_cut_at(19));
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_asked(names in prop::collection::vec("\\PC{0,40}", 1..5), width in 4usize..100) {
            let rows: Vec<(&str, &str, &str)> = names.iter().map(|n| (n.as_str(), "1", n.as_str())).collect();
            for line in table(&rows).render(Some(width), false).lines() {
                prop_assert!(line.width() <= width, "{line:?}");
            }
        }
    }
}
