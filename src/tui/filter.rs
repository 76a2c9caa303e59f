//! The filter: what a person types after `/`, read into terms, and the rows they take.
//!
//! ```text
//!   filter = term*                  all must hold; `!` before a term turns it around
//!   term   = word                   stands in the name, agent, project, reason or id
//!          | wo.d                   the same as a regular expression, where it looks like one
//!          | "two words"            taken as it stands
//!          | field op value         health=stuck  agent=codex  idle>20m  mem>2G  name~^front
//! ```
//!
//! Pure. A filter that cannot be read says why, and what to write.

use regex::{Regex, RegexBuilder};

use super::rows::{Kind, Row};
use crate::config::parse_duration;
use crate::model::session::{Attention, Origin, State};
use crate::model::text::printable_within;

/// The end of a sentence about what was typed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FilterError(String);

/// A filter that was read. The empty one takes everything.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    text: String,
    terms: Vec<Term>,
}

#[derive(Debug, Clone)]
struct Term {
    is_inverse: bool,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    /// In lower case.
    Word(String),
    Pattern(Regex),
    Text(fn(&Row) -> &str, Same),
    /// One of the words the field can be.
    Is(fn(&Row) -> &str, String),
    Number(fn(&Row) -> Option<f64>, Comparison, f64),
    Flag(fn(&Row) -> bool, bool),
}

#[derive(Debug, Clone)]
enum Same {
    /// In lower case; `*` stands for anything.
    Glob(String),
    Pattern(Regex),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    More,
    MoreOrEqual,
    Matches,
}

/// What stands between a field and a value; the longer first.
const OPERATORS: [(&str, Comparison, bool); 7] = [
    ("!=", Comparison::Equal, true),
    (">=", Comparison::MoreOrEqual, false),
    ("<=", Comparison::LessOrEqual, false),
    ("=", Comparison::Equal, false),
    (">", Comparison::More, false),
    ("<", Comparison::Less, false),
    ("~", Comparison::Matches, false),
];

/// How the value of a field is read.
enum Kinds {
    Text(fn(&Row) -> &str),
    Word(fn(&Row) -> &str, &'static [&'static str]),
    Duration(fn(&Row) -> Option<f64>),
    Bytes(fn(&Row) -> Option<f64>),
    Count(fn(&Row) -> Option<f64>),
    Flag(fn(&Row) -> bool),
}

const HEALTHS: &[&str] = &[Kind::Healthy.word(), Kind::Stuck.word(), Kind::Orphaned.word(), Kind::Waiting.word()];
const ATTENTIONS: &[&str] =
    &[Attention::Working.as_str(), Attention::Waiting.as_str(), Attention::Idle.as_str(), Attention::Unknown.as_str()];
const ORIGINS: &[&str] = &[Origin::Managed.as_str(), Origin::Tmux.as_str(), Origin::Found.as_str()];
const STATES: &[&str] = &[
    State::Starting.as_str(),
    State::Running.as_str(),
    State::Paused.as_str(),
    State::Closing.as_str(),
    State::Lingering.as_str(),
];

#[expect(clippy::cast_precision_loss, reason = "compared with what a person typed")]
fn field(name: &str) -> Option<Kinds> {
    Some(match name {
        "name" => Kinds::Text(|r| &r.name),
        "agent" => Kinds::Text(|r| &r.agent),
        "project" => Kinds::Text(|r| &r.project),
        "workspace" => Kinds::Text(|r| &r.workspace),
        "reason" => Kinds::Text(|r| &r.reason),
        "id" => Kinds::Text(Row::id),
        "health" => Kinds::Word(|r| r.kind.word(), HEALTHS),
        "attention" => Kinds::Word(|r| r.session.attention.as_str(), ATTENTIONS),
        "origin" => Kinds::Word(|r| r.session.origin.as_str(), ORIGINS),
        "state" => Kinds::Word(|r| r.session.state.as_str(), STATES),
        "idle" => Kinds::Duration(|r| r.session.idle_seconds),
        "age" => Kinds::Duration(|r| Some(r.session.age_seconds)),
        "cpu" => Kinds::Count(|r| r.session.cpu_percent),
        "mem" | "memory" => Kinds::Bytes(|r| r.session.memory_bytes.map(|b| b as f64)),
        "proc" | "processes" => Kinds::Count(|r| r.session.processes.map(f64::from)),
        "pinned" => Kinds::Flag(|r| r.session.pinned),
        "attached" => Kinds::Flag(|r| r.session.attached > 0),
        _ => return None,
    })
}

/// The fields there are, for completion and complaints.
pub const FIELDS: &[&str] = &[
    "health",
    "agent",
    "name",
    "project",
    "idle",
    "age",
    "cpu",
    "mem",
    "proc",
    "attention",
    "state",
    "origin",
    "workspace",
    "reason",
    "id",
    "pinned",
    "attached",
];

impl Filter {
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        match Self::read(text) {
            (filter, None) => Ok(filter),
            (_, Some(error)) => Err(error),
        }
    }

    /// The terms that can be read, and what is wrong with the first that cannot: what a person sees while typing.
    pub fn read(text: &str) -> (Self, Option<FilterError>) {
        let (words, mut error) = words(text);
        let mut terms = Vec::new();
        for word in words {
            match term(&word) {
                Ok(term) => terms.push(term),
                Err(wrong) => drop(error.get_or_insert(wrong)),
            }
        }
        (Self { text: text.trim().into(), terms }, error)
    }

    /// As it was typed.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub const fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    pub fn takes(&self, row: &Row) -> bool {
        self.terms.iter().all(|term| term.test.holds(row) != term.is_inverse)
    }
}

impl Test {
    fn holds(&self, row: &Row) -> bool {
        match self {
            Self::Word(word) => row.has(word),
            Self::Pattern(pattern) => pattern.is_match(row.words()),
            Self::Text(get, Same::Glob(glob)) => is_like(glob, &get(row).to_lowercase()),
            Self::Text(get, Same::Pattern(pattern)) => pattern.is_match(get(row)),
            Self::Is(get, word) => get(row) == word,
            // What is not known is neither more nor less.
            Self::Number(get, how, value) => get(row).is_some_and(|n| how.holds(n, *value)),
            Self::Flag(get, wanted) => get(row) == *wanted,
        }
    }
}

impl Comparison {
    #[expect(clippy::float_cmp, reason = "a whole number as it was typed")]
    fn holds(self, a: f64, b: f64) -> bool {
        match self {
            Self::Equal => a.round() == b.round(),
            Self::Less => a < b,
            Self::LessOrEqual => a <= b,
            Self::More => a > b,
            Self::MoreOrEqual => a >= b,
            Self::Matches => false,
        }
    }
}

/// True when `text` is what `glob` says, `*` standing for anything.
fn is_like(glob: &str, text: &str) -> bool {
    let mut parts = glob.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

struct Word {
    text: String,
    /// Some of it stood in quotes: nothing in it means anything.
    is_quoted: bool,
}

fn words(text: &str) -> (Vec<Word>, Option<FilterError>) {
    let mut out: Vec<Word> = Vec::new();
    let mut word: Option<Word> = None;
    let mut is_open = false;
    for c in text.chars() {
        match c {
            '"' => {
                is_open = !is_open;
                word.get_or_insert(Word { text: String::new(), is_quoted: true }).is_quoted = true;
            }
            c if c.is_whitespace() && !is_open => out.extend(word.take()),
            c => word.get_or_insert(Word { text: String::new(), is_quoted: false }).text.push(c),
        }
    }
    if is_open {
        return (out, Some(FilterError("a quote is not closed".into())));
    }
    out.extend(word);
    (out, None)
}

fn term(word: &Word) -> Result<Term, FilterError> {
    let (is_inverse, text) = match word.text.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, word.text.as_str()),
    };
    if let Some((name, how, is_not, value)) = split_field(text) {
        let test = field_test(name, how, value)?;
        return Ok(Term { is_inverse: is_inverse != is_not, test });
    }
    let looks_like_a_pattern = !word.is_quoted && text.contains(|c| "\\^$.|?*+()[]{}".contains(c));
    let test = if looks_like_a_pattern { Test::Pattern(pattern(text)?) } else { Test::Word(text.to_lowercase()) };
    Ok(Term { is_inverse, test })
}

/// A name, an operator, a value; the name need not be one.
fn split_field(text: &str) -> Option<(&str, Comparison, bool, &str)> {
    let name_end = text.find(|c: char| !c.is_ascii_alphabetic())?;
    let (name, rest) = text.split_at(name_end);
    let (sign, how, is_not) = OPERATORS.iter().find(|(sign, ..)| rest.starts_with(sign))?;
    (!name.is_empty()).then_some((name, *how, *is_not, &rest[sign.len()..]))
}

fn field_test(name: &str, how: Comparison, value: &str) -> Result<Test, FilterError> {
    let lower = name.to_lowercase();
    let Some(kind) = field(&lower) else {
        let near = FIELDS.iter().find(|f| f.starts_with(&lower) || lower.starts_with(*f));
        let hint = near.map_or_else(|| FIELDS.join(" "), |f| format!("did you mean {f}?"));
        return Err(FilterError(format!("there is no {}: {hint}", quoted(name))));
    };
    if value.is_empty() {
        return Err(FilterError(format!("{lower} of what?")));
    }
    let number = |get, read: Result<f64, String>| match (how, read) {
        (Comparison::Matches, _) => Err(FilterError(format!("{lower} is a number: write {lower}>{}", quoted(value)))),
        (_, Ok(n)) => Ok(Test::Number(get, how, n)),
        (_, Err(why)) => Err(FilterError(format!("{lower}: {why}"))),
    };
    match kind {
        Kinds::Text(get) => text_test(get, &lower, how, value),
        Kinds::Word(get, words) => word_test(get, words, &lower, (how, value)),
        Kinds::Duration(get) => number(get, parse_duration(value).map(|d| d.as_secs_f64())),
        Kinds::Bytes(get) => number(get, bytes(value)),
        Kinds::Count(get) => number(get, count(value)),
        Kinds::Flag(get) => match (how, value) {
            (Comparison::Equal, "yes" | "true") => Ok(Test::Flag(get, true)),
            (Comparison::Equal, "no" | "false") => Ok(Test::Flag(get, false)),
            _ => Err(FilterError(format!("{lower} is yes or no"))),
        },
    }
}

fn text_test(get: fn(&Row) -> &str, name: &str, how: Comparison, value: &str) -> Result<Test, FilterError> {
    match how {
        Comparison::Equal => Ok(Test::Text(get, Same::Glob(value.to_lowercase()))),
        Comparison::Matches => Ok(Test::Text(get, Same::Pattern(pattern(value)?))),
        Comparison::Less | Comparison::LessOrEqual | Comparison::More | Comparison::MoreOrEqual => {
            Err(FilterError(format!("{name} is text: write {name}={value} or {name}~{value}")))
        }
    }
}

fn word_test(
    get: fn(&Row) -> &str,
    words: &[&str],
    name: &str,
    (how, value): (Comparison, &str),
) -> Result<Test, FilterError> {
    let value = value.to_lowercase();
    if how == Comparison::Equal && words.contains(&value.as_str()) {
        return Ok(Test::Is(get, value));
    }
    Err(FilterError(format!("{name} is {}", words.join(", "))))
}

fn pattern(text: &str) -> Result<Regex, FilterError> {
    let built = RegexBuilder::new(text).case_insensitive(true).multi_line(true).size_limit(1 << 20).build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => FilterError(format!("{} is too much of a pattern", quoted(text))),
        // The last line is the reason; those before it draw the place.
        other => {
            let why = other.to_string().lines().last().unwrap_or_default().replace("error: ", "");
            FilterError(format!("{} is no pattern ({why}): put it in quotes to take it as it stands", quoted(text)))
        }
    })
}

fn bytes(value: &str) -> Result<f64, String> {
    let unit = value.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(value.len());
    let (number, unit) = value.split_at(unit);
    let no_size = || format!("{} is no size: write such as 500M or 2G", quoted(value));
    let factor = match unit.to_uppercase().trim_end_matches('B').trim_end_matches('I') {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return Err(no_size()),
    };
    let number: f64 = number.parse().map_err(|_| no_size())?;
    Ok(number * f64::from(factor).exp2())
}

fn count(value: &str) -> Result<f64, String> {
    value.trim_end_matches('%').parse().map_err(|_| format!("{} is no number", quoted(value)))
}

fn quoted(text: &str) -> String {
    format!("“{}”", printable_within(text, 40))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::rows::ordered;
    use crate::tui::tests::morning;

    /// The first letters of the names taken.
    fn taken(filter: &str) -> String {
        let filter = Filter::parse(filter).unwrap();
        let mut names: Vec<char> =
            ordered(&[], morning()).iter().filter(|r| filter.takes(r)).filter_map(|r| r.name.chars().next()).collect();
        names.sort_unstable();
        names.into_iter().collect()
    }

    #[test]
    fn a_filter_takes_the_rows_that_hold_every_term() {
        // backend (codex), data (codex, orphaned), frontend (claude, waiting), nightly (claude, stuck), ops:2 (tmux), 日本語 (paused)
        for (filter, names) in [
            ("", "bdfno日"),
            ("CODEX", "bd"),
            ("codex setup", "b"),
            ("!codex", "fno日"),
            ("^front", "f"),
            ("!^(front|back)", "dno日"),
            ("\"no output\"", "n"),
            ("\"out.*put\"", ""),
            ("health=stuck", "n"),
            ("health!=healthy", "dfn"),
            ("!health=healthy", "dfn"),
            ("health=waiting agent=claude", "f"),
            ("agent=c*", "bdfno"),
            ("agent=c*x", "bd"),
            ("name~^data|^ops", "do"),
            ("idle>20m", "dn"),
            ("idle<1m", "b日"),
            ("!idle<1m", "dfno"),
            ("mem>1G", "n"),
            ("mem>=388M mem<1024MiB", "bdf日"),
            ("cpu>90%", "n"),
            ("proc=2", "d"),
            ("pinned=yes", "b"),
            ("state=paused", "日"),
            ("origin=tmux", "o"),
            ("k3f9q4", "n"),
            ("日本", "日"),
        ] {
            assert_eq!(taken(filter), names, "{filter}");
        }
    }

    #[test]
    fn what_cannot_be_read_says_what_to_write() {
        for (filter, said) in [
            ("(front", "“(front” is no pattern"),
            ("\"open", "a quote is not closed"),
            ("health=ill", "health is healthy, stuck, orphaned, waiting"),
            ("health>stuck", "health is healthy"),
            ("helth=stuck", "there is no “helth”"),
            ("hea=stuck", "did you mean health?"),
            ("idle>20", "idle: 20 has no unit"),
            ("idle=soon", "idle: \"soon\" is not a duration"),
            ("mem>2X", "“2X” is no size"),
            ("cpu~9", "cpu is a number"),
            ("name>x", "name is text: write name=x or name~x"),
            ("agent=", "agent of what?"),
            ("pinned=maybe", "pinned is yes or no"),
            ("(a{1000}){1000}", "too much of a pattern"),
        ] {
            let complaint = Filter::parse(filter).unwrap_err().to_string();
            assert!(complaint.contains(said), "{filter}: {complaint}");
        }
    }

    #[test]
    fn a_star_stands_for_anything() {
        for (glob, text, is_like_it) in [
            ("a*c", "abc", true),
            ("a*c", "ac", true),
            ("a*a", "a", false),
            ("*b*", "abc", true),
            ("a*b*c", "a-c-b-c", true),
            ("abc", "abcd", false),
            ("*", "", true),
        ] {
            assert_eq!(is_like(glob, text), is_like_it, "{glob} {text}");
        }
    }
}
