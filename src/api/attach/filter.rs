//! What the agent writes, without the few sequences that would take the attachment's own screen away.
//!
//! An attachment lives on the terminal's alternate screen; an agent that switches between the two screens
//! itself (private modes 47, 1047, 1049) would end up on the person's main screen and scroll its history
//! away. Those modes are taken out of the stream, and the keeper, which knows which screen the agent means,
//! is asked to draw it. A full reset (`ESC c`) leaves the alternate screen too and becomes a softer one.
//! Everything else passes byte for byte. Pure; pieces may be cut anywhere.

const ESC: u8 = 0x1b;

/// Modes that switch screens (ctlseqs, "DEC Private Mode Set").
const SCREEN_MODES: &[&str] = &["47", "1047", "1049"];

/// No private mode sequence anybody means is longer: it is dropped.
const LONGEST: usize = 256;

/// Instead of a full reset: modes off that a reset would put off, soft reset, empty screen.
const SOFTER_RESET: &[u8] =
    b"\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1004l\x1b[?1006l\x1b[?2004l\x1b[=0u\x1b[!p\x1b[m\x1b[H\x1b[2J";

/// What may be shown of a piece.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Passed {
    pub bytes: Vec<u8>,
    /// Something was taken out: the screen must be drawn anew.
    pub redraw: bool,
}

/// Bytes in, bytes out; holds back what may become one of the sequences.
#[derive(Debug, Default)]
pub struct Filter {
    /// `ESC`, `ESC [`, `ESC [ ? …`, or the same with the introducer U+009B in UTF-8.
    held: Vec<u8>,
}

impl Filter {
    pub fn pass(&mut self, piece: &[u8]) -> Passed {
        let mut passed = Passed { bytes: Vec::with_capacity(piece.len()), redraw: false };
        let mut rest = piece;
        while !rest.is_empty() {
            if self.held.is_empty() {
                let run = rest.iter().position(|b| matches!(*b, ESC | 0xc2)).unwrap_or(rest.len());
                passed.bytes.extend_from_slice(&rest[..run]);
                rest = &rest[run..];
            }
            if let Some((first, more)) = rest.split_first() {
                self.byte(*first, &mut passed);
                rest = more;
            }
        }
        passed
    }

    fn byte(&mut self, byte: u8, passed: &mut Passed) {
        match (self.held.as_slice(), byte) {
            // Begins anew whatever was under way.
            (_, ESC | 0xc2) => {
                self.release(passed);
                self.held.push(byte);
            }
            ([], _) => passed.bytes.push(byte),
            ([ESC], b'[') | ([0xc2], 0x9b) | ([ESC, b'['] | [0xc2, 0x9b], b'?') => self.held.push(byte),
            ([ESC], b'c') => {
                self.held.clear();
                passed.bytes.extend_from_slice(SOFTER_RESET);
                passed.redraw = true;
            }
            ([_, _, b'?', ..], _) => self.private(byte, passed),
            _ => {
                self.held.push(byte);
                self.release(passed);
            }
        }
    }

    /// A byte inside `CSI ?`.
    fn private(&mut self, byte: u8, passed: &mut Passed) {
        match byte {
            // Cancelled.
            0x18 | 0x1a => {
                self.held.push(byte);
                self.release(passed);
            }
            // Other controls act at once, in the middle of a sequence (DEC STD 070).
            0..=0x1f | 0x7f => passed.bytes.push(byte),
            0x20..=0x3f => {
                // One that is too long keeps its head, so that its end is still found.
                if self.held.len() < LONGEST {
                    self.held.push(byte);
                }
            }
            _ => {
                self.held.push(byte);
                self.finish(passed);
            }
        }
    }

    /// A whole `CSI ? … final` is held.
    fn finish(&mut self, passed: &mut Passed) {
        let whole = std::mem::take(&mut self.held);
        let Some((last, head)) = whole.split_last() else { return };
        if head.len() >= LONGEST {
            return;
        }
        // Set, reset, and restore what was saved (XTRESTORE).
        if !matches!(last, b'h' | b'l' | b'r') {
            passed.bytes.extend_from_slice(&whole);
            return;
        }
        let (introducer, params) = head.split_at(3);
        let fields: Vec<&[u8]> = params.split(|b| *b == b';').collect();
        let kept: Vec<&[u8]> = fields.iter().copied().filter(|field| !is_screen_mode(field)).collect();
        if kept.len() == fields.len() {
            passed.bytes.extend_from_slice(&whole);
            return;
        }
        passed.redraw = true;
        if !kept.is_empty() {
            passed.bytes.extend_from_slice(introducer);
            passed.bytes.extend_from_slice(&kept.join(&b';'));
            passed.bytes.push(*last);
        }
    }

    fn release(&mut self, passed: &mut Passed) {
        passed.bytes.append(&mut self.held);
    }
}

fn is_screen_mode(field: &[u8]) -> bool {
    let text = std::str::from_utf8(field).unwrap_or_default();
    // What follows a colon or a space is not understood the same way everywhere: taken as the mode.
    let number: String = text.trim_start_matches('0').chars().take_while(char::is_ascii_digit).collect();
    SCREEN_MODES.contains(&number.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pass(bytes: &str) -> (String, bool) {
        let passed = Filter::default().pass(bytes.as_bytes());
        (String::from_utf8(passed.bytes).unwrap(), passed.redraw)
    }

    #[test]
    fn the_agents_own_switches_of_the_screen_are_taken_out() {
        for mode in
            ["\x1b[?1049h", "\x1b[?1049l", "\x1b[?1047h", "\x1b[?47l", "\x1b[?01049h", "\u{9b}?1049h", "\x1b[?1049r"]
        {
            assert_eq!(pass(&format!("a{mode}b")), ("ab".into(), true), "{mode:?}");
        }
    }

    #[test]
    fn what_stands_beside_a_switch_stays() {
        assert_eq!(pass("\x1b[?1049;25l"), ("\x1b[?25l".into(), true));
        assert_eq!(pass("\x1b[?1;1049;2004h"), ("\x1b[?1;2004h".into(), true));
        assert_eq!(pass("\x1b[?10\n49h"), ("\n".into(), true));
        assert_eq!(pass("\x1b\x1b[?1049h"), ("\x1b".into(), true));
    }

    #[test]
    fn everything_else_passes_whole() {
        for bytes in [
            "plain grün 雛 Â",
            "\x1b[>1u\x1b[<u\x1b[=5;1u",
            "\x1b[?1000;1006h\x1b[?2004h\x1b[?1004h\x1b[?2026h\x1b[?2026l",
            "\x1b]0;title\x07\x1b]52;c;eA==\x1b\\",
            "\x1b[?1048h",
            "\x1b[?1049$p",
            "\x1b[1049h",
            "\x1b[?u",
            "\x1b[?25l",
            "\x1bPq#0\x1b\\",
            "\x1b[31;1m",
            "\x1b7\x1b8\x1b(B",
            "\u{80}",
            "\x1b[?10\x1849h",
        ] {
            assert_eq!(pass(bytes), (bytes.into(), false), "{bytes:?}");
        }
    }

    #[test]
    fn a_full_reset_stays_on_our_screen() {
        let (bytes, redraw) = pass("a\x1bcb");
        assert!(redraw && bytes.starts_with('a') && bytes.ends_with('b') && !bytes.contains("\x1bc"));
    }

    #[test]
    fn a_switch_hidden_behind_many_parameters_is_dropped() {
        assert_eq!(pass(&format!("a\x1b[?{}1049lb", "0;".repeat(500))).0, "ab");
    }

    fn stream() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            Just("\x1b[?1049h"),
            Just("\x1b[?1;1049l"),
            Just("\x1b[?25l"),
            Just("\x1b"),
            Just("["),
            Just("?"),
            Just("1049"),
            Just(";"),
            Just("h"),
            Just("Â雛"),
            Just("\u{9b}"),
            Just("\x1b]0;x\x07"),
            Just("\x1bc"),
            Just("\x18"),
            Just("\n"),
            Just("text")
        ];
        prop::collection::vec(part, 0..16).prop_map(|p| p.concat())
    }

    proptest! {
        #[test]
        fn where_the_pieces_are_cut_does_not_matter(bytes in stream(), cut in 1usize..7) {
            let whole = Filter::default().pass(bytes.as_bytes());
            let mut filter = Filter::default();
            let mut parts = Passed::default();
            for piece in bytes.as_bytes().chunks(cut) {
                let passed = filter.pass(piece);
                parts.bytes.extend(passed.bytes);
                parts.redraw |= passed.redraw;
            }
            prop_assert_eq!(parts, whole);
        }

        #[test]
        fn no_switch_survives_and_a_second_pass_finds_nothing(bytes in stream()) {
            let once = Filter::default().pass(bytes.as_bytes()).bytes;
            let mut terminal = vt100::Parser::new(24.try_into().unwrap(), 80.try_into().unwrap(), 0);
            terminal.process(b"\x1b[?1049h");
            terminal.process(&once);
            prop_assert!(terminal.screen().alternate_screen());
        }
    }
}
