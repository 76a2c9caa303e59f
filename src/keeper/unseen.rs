//! Which output never shows: in a flood of plain lines only the last screenful is seen, so only that is drawn.
//!
//! Emulating the screen is what a keeper costs under load (about 25 MB/s); lines that scroll by unseen are most of a
//! flood. They may be left out only where leaving them out shows the same screen:
//!
//! - nothing but printable ASCII, tab, CR and LF is in the run (an escape sequence changes what follows),
//! - the parser is at rest when they begin: one whole line with a letter in it was drawn before them,
//! - the lines end in CR LF, so that what follows begins in the first column,
//! - no scrolling region is set (then rows outside it would keep what the unseen lines left there),
//! - and two screenfuls of lines follow: one brings the cursor to the last row from wherever it was (over rows that keep
//!   what stood there), the other scrolls every one of those rows away.

const ESCAPE: u8 = 0x1b;

/// Watches for scrolling regions (`CSI Pt ; Pb r`, DECSTBM) in a stream cut anywhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Margins {
    state: Reading,
    set: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Reading {
    #[default]
    Text,
    Escape,
    Sequence {
        private: bool,
        parameters: bool,
    },
}

impl Margins {
    pub fn are_set(self) -> bool {
        self.set
    }

    /// False in the middle of an escape sequence.
    pub fn is_at_rest(self) -> bool {
        self.state == Reading::Text
    }

    pub fn watch(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.state == Reading::Text {
                let Some(at) = memchr::memchr(ESCAPE, rest) else { return };
                rest = &rest[at..];
            }
            let (byte, tail) = (rest[0], &rest[1..]);
            self.step(byte);
            rest = tail;
        }
    }

    fn step(&mut self, byte: u8) {
        self.state = match (self.state, byte) {
            (_, ESCAPE) => Reading::Escape,
            (Reading::Escape, b'[') => Reading::Sequence { private: false, parameters: false },
            (Reading::Escape, b'c') => {
                self.set = false;
                Reading::Text
            }
            (Reading::Sequence { .. }, b'<'..=b'?') => Reading::Sequence { private: true, parameters: true },
            (Reading::Sequence { private, .. }, b'0'..=b';') => Reading::Sequence { private, parameters: true },
            // Intermediate bytes, and controls carried out in the middle of a sequence.
            (Reading::Sequence { .. }, ..=b'/') => self.state,
            (Reading::Sequence { private: false, parameters }, b'r') => {
                self.set = parameters;
                Reading::Text
            }
            (Reading::Escape | Reading::Sequence { .. } | Reading::Text, _) => Reading::Text,
        };
    }
}

/// The parts of `bytes` that must be drawn on a screen of so many rows: all before the first, and all from the
/// second.
pub fn seen(bytes: &[u8], rows: usize) -> (&[u8], &[u8]) {
    let whole = (bytes, &bytes[bytes.len()..]);
    if !bytes.iter().all(|b| is_plain(*b)) {
        return whole;
    }
    let Some(begin) = first_line_end(bytes) else { return whole };
    let Some(end) = last_lines(bytes, 2 * rows + 1) else { return whole };
    if end > begin { (&bytes[..begin], &bytes[end..]) } else { whole }
}

pub fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\r' | b'\n' | b'\t')
}

/// Behind the first line that has a letter and ends in CR LF.
fn first_line_end(bytes: &[u8]) -> Option<usize> {
    let letter = bytes.iter().position(|b| (b'@'..=b'~').contains(b))?;
    let end = letter + memchr::memchr(b'\n', &bytes[letter..])?;
    (bytes[end - 1] == b'\r').then_some(end + 1)
}

/// Where the last `count` lines begin, each with its CR LF.
fn last_lines(bytes: &[u8], count: usize) -> Option<usize> {
    let at = memchr::memrchr_iter(b'\n', bytes).nth(count)?;
    (at > 0 && bytes[at - 1] == b'\r').then_some(at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(pieces: &[&[u8]]) -> (String, (u16, u16)) {
        let size = |n| std::num::NonZeroU16::new(n).unwrap();
        let mut parser = vt100::Parser::new(size(6), size(20), 0);
        pieces.iter().for_each(|p| parser.process(p));
        (parser.screen().state_formatted(), parser.screen().cursor_position())
    }

    #[test]
    fn a_scrolling_region_is_noticed_however_it_is_cut() {
        for (bytes, set) in [
            (&b"x\x1b[2;5r"[..], true),
            (b"\x1b[2;5r\x1b[r", false),
            (b"\x1b[2;5r text \x1bc", false),
            (b"\x1b[?5r", false),
            (b"\x1b[31mr", false),
            (b"\x1b[3\n;5r", true),
        ] {
            for cut in 1..=bytes.len() {
                let mut margins = Margins::default();
                bytes.chunks(cut).for_each(|p| margins.watch(p));
                assert_eq!(margins.are_set(), set, "{bytes:?} in pieces of {cut}");
            }
        }
    }

    #[test]
    fn most_of_a_flood_is_unseen() {
        let flood = b"a line of the flood\r\n".repeat(1000);
        let (before, after) = seen(&flood, 24);
        assert!(before.len() + after.len() < flood.len() / 15);
    }

    fn a_piece() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            6 => "[ -~]{0,30}\r\n".prop_map(String::into_bytes),
            1 => "[ -~\t]{0,50}".prop_map(String::into_bytes),
            1 => Just(b"\n".to_vec()),
            1 => Just(b"\r".to_vec()),
        ]
    }

    fn a_beginning() -> impl Strategy<Value = Vec<u8>> {
        prop::sample::select(vec![
            b"".to_vec(),
            b"text".to_vec(),
            b"\x1b[31".to_vec(),
            b"\x1b[3;5H".to_vec(),
            b"\x1b]0;ti".to_vec(),
            b"\x1b".to_vec(),
            b"\x1b[7m\x1b[2".to_vec(),
            b"\xe2\x82".to_vec(),
        ])
    }

    proptest! {
        #[test]
        fn leaving_out_the_unseen_shows_the_same_screen(beginning in a_beginning(), pieces in prop::collection::vec(a_piece(), 0..60)) {
            let flood: Vec<u8> = pieces.concat();
            let (before, after) = seen(&flood, 6);
            prop_assert_eq!(shown(&[&beginning, &flood]), shown(&[&beginning, before, after]));
        }
    }
}
