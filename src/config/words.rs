//! The small values of the config that are neither a number nor plain text: each reads itself from text,
//! says what is allowed, and spells itself back.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::nearest::{one_of, suggestion};
use crate::model::authority::Authority;
use crate::model::session::Origin;

/// A value spelt as one piece of text, the same in the file, in the environment and in `set`.
///
/// A complaint is the end of a sentence that begins with the key.
pub(super) trait Spelt: Sized {
    fn read(text: &str) -> Result<Self, String>;
    fn spell(&self) -> String;
}

impl Spelt for String {
    fn read(text: &str) -> Result<Self, String> {
        match text.chars().find(|c| c.is_control()) {
            Some(c) => Err(format!("cannot hold the control character {c:?}")),
            None => Ok(text.into()),
        }
    }

    fn spell(&self) -> String {
        self.clone()
    }
}

/// Empty text is "not set".
impl<T: Spelt> Spelt for Option<T> {
    fn read(text: &str) -> Result<Self, String> {
        if text.is_empty() { Ok(None) } else { T::read(text).map(Some) }
    }

    fn spell(&self) -> String {
        self.as_ref().map_or_else(String::new, Spelt::spell)
    }
}

/// What becomes of the sessions when the daemon stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnShutdown {
    #[default]
    Close,
    /// Leave them to their keepers.
    Keep,
}

macro_rules! spelt_word {
    ($ty:ty { $($variant:ident => $text:literal),+ }) => {
        impl Spelt for $ty {
            fn read(text: &str) -> Result<Self, String> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(not_a_word(text, &[$($text),+])),
                }
            }
            fn spell(&self) -> String {
                match self { $(Self::$variant => $text.into()),+ }
            }
        }
    };
}

spelt_word!(OnShutdown { Close => "close", Keep => "keep" });
spelt_word!(Authority { Own => "own", All => "all" });
spelt_word!(Origin { Managed => "managed", Tmux => "tmux", Found => "found" });

fn not_a_word(text: &str, allowed: &[&str]) -> String {
    format!("{text:?} is not allowed{}: write {}", suggestion(text, allowed.iter().copied()), one_of(allowed))
}

/// The key that leaves an attached session: Ctrl and one character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DetachKey(char);

impl DetachKey {
    /// The character beside Ctrl, in lower case: what kitty reports, as in `CSI 93;5u` for `C-]`.
    pub const fn character(self) -> char {
        self.0
    }

    /// The byte a terminal sends for it.
    pub fn byte(self) -> u8 {
        // Only ASCII is ever let in, so nothing is lost.
        u8::try_from(self.0).map_or(0x1d, |b| b.to_ascii_uppercase() & 0x1f)
    }
}

impl Default for DetachKey {
    fn default() -> Self {
        Self(']')
    }
}

/// As tmux writes it: `C-]`.
impl fmt::Display for DetachKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "C-{}", self.0)
    }
}

/// Control characters that are keys of their own; taking one would take the key.
const TAKEN: &[(char, &str)] = &[
    ('[', "Esc"),
    ('h', "Backspace"),
    ('i', "Tab"),
    ('j', "Enter"),
    ('m', "Enter"),
    ('\\', "the other way to detach (Ctrl-\\ d)"),
];

impl Spelt for DetachKey {
    fn read(text: &str) -> Result<Self, String> {
        const HOW: &str = "write `C-` and a letter or one of ] ^ _ @, such as \"C-]\" or \"C-q\"";
        let mut after = text.strip_prefix("C-").unwrap_or_default().chars();
        let (Some(c), None) = (after.next(), after.next()) else {
            return Err(format!("{text:?} is not a key to detach with: {HOW}"));
        };
        let c = c.to_ascii_lowercase();
        if let Some((_, key)) = TAKEN.iter().find(|(taken, _)| *taken == c) {
            return Err(format!("{text:?} is {key}: {HOW}"));
        }
        if c.is_ascii_lowercase() || "]^_@".contains(c) {
            return Ok(Self(c));
        }
        Err(format!("{text:?} is not a key to detach with: {HOW}"))
    }

    fn spell(&self) -> String {
        self.to_string()
    }
}

/// Only processes that carry this variable in their environment may be touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    pub name: String,
    pub value: String,
}

impl Spelt for Fence {
    fn read(text: &str) -> Result<Self, String> {
        let Some((name, value)) = text.split_once('=') else {
            return Err(format!("{text:?} has no `=`: write NAME=VALUE, such as \"BEADLE_FENCE=test-1\""));
        };
        variable_name(name)?;
        Ok(Self { name: name.into(), value: String::read(value)? })
    }

    fn spell(&self) -> String {
        format!("{}={}", self.name, self.value)
    }
}

/// Refuses what cannot be the name of an environment variable.
pub(super) fn variable_name(name: &str) -> Result<(), String> {
    let plain = |c: char| !c.is_control() && !c.is_whitespace() && c != '=';
    if !name.is_empty() && name.chars().all(plain) {
        return Ok(());
    }
    Err(format!("{name:?} is not the name of an environment variable: write one such as \"HTTP_PROXY\""))
}

/// Where the API listens over TCP.
impl Spelt for SocketAddr {
    fn read(text: &str) -> Result<Self, String> {
        let local = text.strip_prefix("localhost:").and_then(|port| port.parse::<u16>().ok());
        let address = local.map(|port| Self::from((Ipv4Addr::LOCALHOST, port)));
        address.or_else(|| text.parse().ok()).ok_or_else(|| {
            format!("{text:?} is not an address and a port: write one such as \"127.0.0.1:7717\" or \"[::1]:7717\"")
        })
    }

    fn spell(&self) -> String {
        self.to_string()
    }
}

impl Spelt for PathBuf {
    fn read(text: &str) -> Result<Self, String> {
        let text = String::read(text)?;
        if text.starts_with('/') {
            return Ok(Self::from(text));
        }
        Err(format!("{text:?} is not a whole path: write one that begins with `/`"))
    }

    fn spell(&self) -> String {
        // Was made from text, so nothing is lost.
        self.to_string_lossy().into_owned()
    }
}

/// What a client over TCP must show. Never printed by `{:?}`, so never in a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Spelt for Token {
    fn read(text: &str) -> Result<Self, String> {
        // It travels in a header (RFC 6750: visible ASCII). The text itself is not repeated in a complaint.
        if text.chars().all(|c| c.is_ascii_graphic()) {
            return Ok(Self(text.into()));
        }
        Err("can hold only letters, digits and punctuation, without spaces".into())
    }

    fn spell(&self) -> String {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detach_key_is_the_byte_the_terminal_sends() {
        for (text, byte) in [("C-]", 0x1d), ("C-q", 0x11), ("C-A", 0x01), ("C-@", 0x00), ("C-_", 0x1f), ("C-^", 0x1e)] {
            assert_eq!(DetachKey::read(text).unwrap().byte(), byte, "{text}");
        }
        assert_eq!(DetachKey::default().to_string(), "C-]");
        for text in ["", "]", "C-", "C-[", "C-m", "C-F1", "C-é", "M-x", "C-1", "C-\\"] {
            assert!(DetachKey::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_token_is_not_shown_by_accident() {
        let token = Token::read("0123456789abcdef").unwrap();
        assert_eq!(format!("{token:?}"), "Token(…)");
    }
}
