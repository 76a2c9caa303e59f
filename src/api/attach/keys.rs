//! What is typed into an attachment: all of it is the agent's, except the keys that detach.
//!
//! ```text
//!              detach key            again: one goes to the agent
//!   Typing ───────────────▶ Leaving ───────────────────────────────▶ Typing
//!     │                        └── another key, or 300 ms: Detach
//!     │ Ctrl-\                 d: Detach
//!     └───────────────▶ Prefixed ──┬── another key, or 1 s: both go to the agent ──▶ Typing
//! ```
//!
//! A key comes as its control byte, as `CSI code;5u` (kitty keyboard protocol, with or without event types)
//! or as `CSI 27;5;code~` (xterm modifyOtherKeys). Releases, mouse and focus reports are no keys and decide
//! nothing; a paste is text. Pure: time is whoever calls [`Keys::expire`] after [`Keys::patience`].

use std::time::Duration;

/// How long after the detach key a second one still counts.
const TWICE: Duration = Duration::from_millis(300);
/// How long `Ctrl-\` waits for its `d`.
const PREFIX: Duration = Duration::from_secs(1);
/// How long the beginning of a sequence waits for its rest: longer, and the Escape key would feel slow.
const PARTIAL: Duration = Duration::from_millis(25);
/// No key is longer.
const LONGEST: usize = 64;

const ESC: u8 = 0x1b;
const PREFIX_CODE: u32 = '\\' as u32;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the detach key must be written like \"C-]\" (Ctrl and a letter or one of @ [ \\ ] ^ _), not {0:?}")]
pub struct KeyError(pub String);

/// What came of the bytes typed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Typed {
    /// For the agent.
    pub bytes: Vec<u8>,
    /// The person leaves. What was typed after it is nobody's.
    pub detach: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Typing,
    Leaving,
    /// Holds `Ctrl-\` as it was typed.
    Prefixed(Vec<u8>),
}

/// What one token of input is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    /// A key pressed with Ctrl and nothing else.
    Ctrl(u32),
    /// A key pressed alone.
    Plain(u32),
    Other,
    /// No key pressed: a release, a modifier by itself, a mouse or focus report.
    Neutral,
}

/// The parser; see the module.
#[derive(Debug)]
pub struct Keys {
    detach: u32,
    state: State,
    /// The beginning of a sequence.
    held: Vec<u8>,
    pasting: bool,
    /// Raw bytes still to come of an X10 mouse report.
    raw: u8,
}

impl Keys {
    /// `spec` is the detach key as the config has it: `C-]`.
    pub fn new(spec: &str) -> Result<Self, KeyError> {
        let detach = code_of(spec).ok_or_else(|| KeyError(spec.into()))?;
        Ok(Self { detach, state: State::Typing, held: Vec::new(), pasting: false, raw: 0 })
    }

    pub fn feed(&mut self, bytes: &[u8]) -> Typed {
        let mut typed = Typed::default();
        for byte in bytes {
            self.byte(*byte, &mut typed);
            if typed.detach {
                break;
            }
        }
        typed
    }

    /// How long to wait for more before [`Keys::expire`]; `None` when nothing is pending.
    pub fn patience(&self) -> Option<Duration> {
        match (&self.state, self.held.is_empty()) {
            (_, false) => Some(PARTIAL),
            (State::Leaving, true) => Some(TWICE),
            (State::Prefixed(_), true) => Some(PREFIX),
            (State::Typing, true) => None,
        }
    }

    /// Nothing more came in time.
    pub fn expire(&mut self) -> Typed {
        let mut typed = Typed::default();
        if !self.held.is_empty() {
            let held = std::mem::take(&mut self.held);
            self.token(Token::Other, &held, &mut typed);
            return typed;
        }
        match std::mem::replace(&mut self.state, State::Typing) {
            State::Typing => {}
            State::Leaving => typed.detach = true,
            State::Prefixed(prefix) => typed.bytes = prefix,
        }
        typed
    }

    fn byte(&mut self, byte: u8, typed: &mut Typed) {
        if self.raw > 0 {
            self.raw -= 1;
            typed.bytes.push(byte);
            return;
        }
        if byte == ESC && !self.held.is_empty() {
            let held = std::mem::take(&mut self.held);
            self.token(Token::Other, &held, typed);
        }
        self.held.push(byte);
        if let Some(token) = self.complete() {
            let held = std::mem::take(&mut self.held);
            self.token(token, &held, typed);
        }
    }

    /// What the held bytes are, once they are whole.
    fn complete(&self) -> Option<Token> {
        match self.held.as_slice() {
            [ESC] | [ESC, b'['] => None,
            [ESC, b'[', .., last] if (0x20..0x40).contains(last) && self.held.len() < LONGEST => None,
            [ESC, b'[', body @ ..] => Some(sequence(body)),
            [byte @ (1..=26 | 0x1c..=0x1f)] => Some(Token::Ctrl(ctrl_code(*byte))),
            [0] => Some(Token::Ctrl('@' as u32)),
            [byte] => Some(Token::Plain(u32::from(*byte))),
            _ => Some(Token::Other),
        }
    }

    fn token(&mut self, token: Token, bytes: &[u8], typed: &mut Typed) {
        if self.follow_paste(bytes) || token == Token::Neutral {
            if bytes == b"\x1b[M" {
                self.raw = 3;
            }
            typed.bytes.extend_from_slice(bytes);
            return;
        }
        match (std::mem::replace(&mut self.state, State::Typing), token) {
            (State::Typing, Token::Ctrl(code)) if code == self.detach => self.state = State::Leaving,
            (State::Typing, Token::Ctrl(PREFIX_CODE)) => self.state = State::Prefixed(bytes.to_vec()),
            (State::Leaving, Token::Ctrl(code)) if code == self.detach => typed.bytes.extend_from_slice(bytes),
            (State::Leaving, _) | (State::Prefixed(_), Token::Plain(0x64)) => typed.detach = true,
            (State::Prefixed(prefix), _) => {
                typed.bytes.extend_from_slice(&prefix);
                self.token(token, bytes, typed);
            }
            (State::Typing, _) => typed.bytes.extend_from_slice(bytes),
        }
    }

    /// True for what belongs to a bracketed paste, its marks included.
    fn follow_paste(&mut self, bytes: &[u8]) -> bool {
        let was = self.pasting;
        match bytes {
            b"\x1b[200~" => self.pasting = true,
            b"\x1b[201~" => self.pasting = false,
            _ => {}
        }
        was || self.pasting
    }
}

/// The key behind a control byte: a lower case letter, or one of `\ ] ^ _`.
const fn ctrl_code(byte: u8) -> u32 {
    (if byte < ESC { byte | 0x60 } else { byte | 0x40 }) as u32
}

/// The Unicode code of the key in `C-x`, lower case as kitty reports it.
fn code_of(spec: &str) -> Option<u32> {
    let mut rest = spec.strip_prefix("C-")?.chars();
    let (key, None) = (rest.next()?.to_ascii_lowercase(), rest.next()) else { return None };
    // Ctrl-[ is Escape, Ctrl-m Enter, Ctrl-i Tab: as bytes they cannot be told apart.
    let usable = (key.is_ascii_lowercase() && key != 'm' && key != 'i') || "\\]^_@".contains(key);
    usable.then_some(key as u32)
}

/// A control sequence without its introducer.
fn sequence(body: &[u8]) -> Token {
    let Some((last, params)) = body.split_last() else { return Token::Other };
    if params.first() == Some(&b'<') || matches!((last, params.len()), (b'I' | b'O' | b'M', 0)) {
        return Token::Neutral;
    }
    let fields: Vec<Vec<u32>> = std::str::from_utf8(params)
        .unwrap_or_default()
        .split(';')
        .map(|field| field.split(':').map(|n| n.parse().unwrap_or(0)).collect())
        .collect();
    let at = |field: usize, sub: usize| fields.get(field).and_then(|f| f.get(sub)).copied().unwrap_or(0);
    // Whatever kind of key: `modifiers:3` says released.
    if at(1, 1) == 3 {
        return Token::Neutral;
    }
    match last {
        // 57441 and the next ones are Shift, Ctrl, … by themselves; 57358 and 57360 the locks.
        b'u' if (57_441..=57_454).contains(&at(0, 0)) || (57_358..=57_360).contains(&at(0, 0)) => Token::Neutral,
        // The third part is the key of the same place on a US keyboard: for layouts without brackets.
        b'u' => pressed(if at(0, 2) > 0 && at(0, 0) > 127 { at(0, 2) } else { at(0, 0) }, at(1, 0)),
        b'~' if at(0, 0) == 27 => pressed(at(2, 0), at(1, 0)),
        _ => Token::Other,
    }
}

/// `modifiers` is one more than the bits: Shift 1, Alt 2, Ctrl 4, …; 64 and 128 are the locks.
fn pressed(code: u32, modifiers: u32) -> Token {
    match modifiers.saturating_sub(1) & !(64 | 128) {
        0 => Token::Plain(code),
        4 => Token::Ctrl(code),
        _ => Token::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys() -> Keys {
        Keys::new("C-]").unwrap()
    }

    /// What the agent got, and whether the person left once nothing more came.
    fn settled(bytes: &[u8]) -> (String, bool) {
        let mut keys = keys();
        let mut typed = keys.feed(bytes);
        while !typed.detach && keys.patience().is_some() {
            let more = keys.expire();
            typed.bytes.extend(more.bytes);
            typed.detach = more.detach;
        }
        (String::from_utf8_lossy(&typed.bytes).into_owned(), typed.detach)
    }

    #[test]
    fn one_press_detaches_in_every_form() {
        for press in [
            "\x1d",
            "\x1b[93;5u",
            "\x1b[93;5:1u",
            "\x1b[93:125;5u",
            "\x1b[1098::93;5u",
            "\x1b[93;133u",
            "\x1b[27;5;93~",
        ] {
            assert_eq!(settled(format!("ab{press}").as_bytes()), ("ab".into(), true), "{press:?}");
            assert_eq!(settled(format!("{press}c").as_bytes()), (String::new(), true), "{press:?}");
        }
        assert_eq!(settled(b"\x1b[93;5u\x1b[93;5:3u"), ("\x1b[93;5:3u".into(), true));
    }

    #[test]
    fn a_press_waits_for_a_second_one() {
        let mut keys = keys();
        assert_eq!(keys.feed(b"\x1d"), Typed::default());
        assert_eq!(keys.patience(), Some(TWICE));
        assert_eq!(keys.feed(b"\x1d"), Typed { bytes: b"\x1d".to_vec(), detach: false });
        assert_eq!(keys.patience(), None);
        assert_eq!(settled(b"\x1b[93;5u\x1b[93;5:3u\x1b[93;5ux"), ("\x1b[93;5:3u\x1b[93;5ux".into(), false));
    }

    #[test]
    fn control_backslash_and_d_detach_and_anything_else_passes_both() {
        assert_eq!(settled(b"a\x1cd"), ("a".into(), true));
        assert_eq!(settled(b"\x1b[92;5ud"), (String::new(), true));
        assert!(settled(b"\x1b[92;5u\x1b[92;5:3u\x1b[100u").1);
        assert_eq!(settled(b"\x1cx"), ("\x1cx".into(), false));
        assert_eq!(settled(b"\x1c"), ("\x1c".into(), false));
        assert_eq!(settled(b"\x1c\x1c"), ("\x1c\x1c".into(), false));
        assert_eq!(settled(b"\x1c\x1d"), ("\x1c".into(), true));
    }

    #[test]
    fn no_other_key_is_taken() {
        for bytes in [
            "\x1b",
            "\x1b[A",
            "\x1bOP",
            "\x03\x1a\x04",
            "]",
            "\x1b[93u",
            "\x1b[93;6u",
            "\x1b[99;5u",
            "grün 雛",
            "\r\n\t\x7f\0",
        ] {
            assert_eq!(settled(bytes.as_bytes()), (bytes.into(), false), "{bytes:?}");
        }
    }

    #[test]
    fn a_paste_is_text_and_a_mouse_no_key() {
        assert_eq!(settled(b"\x1b[200~a\x1db\x1cd\x1b[201~"), ("\x1b[200~a\x1db\x1cd\x1b[201~".into(), false));
        assert!(settled(b"\x1b[200~x\x1b[201~\x1d").1);
        assert_eq!(settled(b"\x1c\x1b[<35;10;5Md"), ("\x1b[<35;10;5M".into(), true));
        assert_eq!(settled(b"\x1c\x1b[Mddd\x1b[I\x1b[Od"), ("\x1b[Mddd\x1b[I\x1b[O".into(), true));
    }

    #[test]
    fn a_lone_escape_is_delayed_by_a_blink_only() {
        let mut keys = keys();
        assert_eq!(keys.feed(b"\x1b"), Typed::default());
        assert_eq!(keys.patience(), Some(PARTIAL));
        assert_eq!(keys.expire().bytes, b"\x1b");
        assert_eq!(keys.patience(), None);
    }

    #[test]
    fn the_key_is_configurable_and_what_cannot_be_one_is_refused() {
        let mut keys = Keys::new("C-A").unwrap();
        assert!(keys.feed(b"\x1d").bytes == b"\x1d" && keys.feed(b"\x01x").detach);
        let mut keys = Keys::new("C-\\").unwrap();
        assert!(keys.feed(b"\x1cx").detach);
        for bad in ["", "]", "C-", "C-]]", "M-x", "C-m", "C-[", "C-é"] {
            assert_eq!(Keys::new(bad).unwrap_err(), KeyError(bad.into()));
        }
    }

    fn tokens() -> impl Strategy<Value = Vec<u8>> {
        let token = prop_oneof![
            Just("\x1d"),
            Just("\x1c"),
            Just("d"),
            Just("x"),
            Just("\x1b[93;5u"),
            Just("\x1b[93;5:3u"),
            Just("\x1b[92;5u"),
            Just("\x1b[A"),
            Just("\x1b"),
            Just("\x1b[200~"),
            Just("\x1b[201~"),
            Just("雛"),
            Just("\x1b[<0;1;1M")
        ];
        prop::collection::vec(token, 0..12).prop_map(|t| t.concat().into_bytes())
    }

    proptest! {
        #[test]
        fn where_the_bytes_are_cut_does_not_matter(bytes in tokens(), cut in 1usize..6) {
            let mut whole = keys();
            let expected = whole.feed(&bytes);
            let mut parts = keys();
            let mut seen = Typed::default();
            for piece in bytes.chunks(cut) {
                let typed = parts.feed(piece);
                seen.bytes.extend(typed.bytes);
                seen.detach = typed.detach;
                if seen.detach { break; }
            }
            prop_assert_eq!(seen, expected);
        }

        #[test]
        fn without_a_detaching_key_nothing_is_lost(bytes in prop::collection::vec(any::<u8>().prop_filter("no key", |b| ![0x1c, 0x1d, ESC].contains(b)), 0..100)) {
            let mut keys = keys();
            prop_assert_eq!(keys.feed(&bytes), Typed { bytes: bytes.clone(), detach: false });
        }

        #[test]
        fn nothing_is_held_for_ever(bytes in tokens()) {
            let mut keys = keys();
            if !keys.feed(&bytes).detach {
                for _ in 0..3 { if keys.patience().is_some() { keys.expire(); } }
                prop_assert_eq!(keys.patience(), None);
            }
        }
    }
}
