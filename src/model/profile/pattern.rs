//! A regular expression out of a profile. Linear in the text it is shown, whatever it says.

use std::fmt;
use std::sync::OnceLock;

use regex::{Regex, RegexBuilder};

/// Compiled form of one pattern, at most; a pattern is a line, not a program.
const LARGEST: usize = 1 << 20;

/// Compiled once, when it is first asked: most commands read the profiles and ask them nothing.
#[derive(Clone)]
pub struct Pattern {
    text: String,
    compiled: OnceLock<Option<Regex>>,
}

impl Pattern {
    /// For text known to be a pattern; text that is none matches nothing.
    pub fn known(text: &str) -> Self {
        Self { text: text.into(), compiled: OnceLock::new() }
    }

    /// For text of which that must be found out; the complaint says what is wrong and where in it.
    pub fn checked(text: &str) -> Result<Self, String> {
        let regex = compile(text).map_err(|e| match e {
            regex::Error::CompiledTooBig(_) => "is too large: repeat less".to_string(),
            // The last line says what; those before draw the pattern with a mark below.
            other => other.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_string(),
        })?;
        Ok(Self { text: text.into(), compiled: OnceLock::from(Some(regex)) })
    }

    pub fn is_match(&self, text: &str) -> bool {
        let regex = self.compiled.get_or_init(|| compile(&self.text).ok());
        regex.as_ref().is_some_and(|r| r.is_match(text))
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// Upper and lower case are the same; `^` and `$` are the ends of a line.
fn compile(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text).case_insensitive(true).multi_line(true).size_limit(LARGEST).build()
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}
