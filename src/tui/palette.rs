//! The palette: every command by its name, completed as it is typed.
//!
//! ```text
//!   :kill   :sort memory   :filter health=stuck   :type run the tests   :run codex --full-auto
//! ```
//!
//! A command is the word of a key ([`Action::word`]), or one of those here that take something behind them.

use super::column::Column;
use super::filter::FIELDS;
use super::keymap::{Action, BINDINGS};
use super::line::Line;
use super::listing::Grouping;
use super::panes::Pane;
use super::theme;

/// A command that takes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Sort,
    Group,
    Filter,
    Health,
    Mark,
    Keep,
    Go,
    Theme,
    Type,
    Answer,
    Signal,
    Rename,
    Run,
    Columns,
}

/// One of them, as the palette shows it.
struct Taking {
    name: &'static str,
    verb: Verb,
    help: &'static str,
    mutates: bool,
}

const fn taking(name: &'static str, verb: Verb, mutates: bool, help: &'static str) -> Taking {
    Taking { name, verb, help, mutates }
}

const TAKING: &[Taking] = &[
    taking("sort", Verb::Sort, false, "COLUMN: sort by it"),
    taking("group", Verb::Group, false, "project, agent, health, workspace or none"),
    taking("filter", Verb::Filter, false, "WORDS: show what has them; none: all"),
    taking("health", Verb::Health, false, "show only stuck, orphaned, waiting or healthy ones"),
    taking("keep", Verb::Keep, false, "KEY: that filter under F2 to F12"),
    taking("mark", Verb::Mark, false, "FILTER: mark what it takes"),
    taking("pane", Verb::Go, false, "NAME: to that pane"),
    taking("columns", Verb::Columns, false, "NAMES: show these, in this order; none: all"),
    taking("theme", Verb::Theme, false, "NAME: other colours"),
    taking("type", Verb::Type, true, "TEXT: type it and Enter"),
    taking("answer", Verb::Answer, true, "KEY: press it there, such as y, 1 or Enter"),
    taking("signal", Verb::Signal, true, "NAME: send it, such as INT"),
    taking("rename", Verb::Rename, true, "NAME: call it so"),
    taking("run", Verb::Run, true, "COMMAND: start it as a session here"),
];

/// Signals that can be sent, as people name them.
pub const SIGNALS: &[&str] = &["INT", "TERM", "HUP", "USR1", "CONT", "STOP", "KILL"];
/// Keys a filter can be kept under; F1 is the help.
pub const FUNCTION_KEYS: &[&str] = &["F2", "F3", "F4", "F5", "F6", "F7", "F8", "F9", "F10", "F11", "F12"];
/// Keys that answer most questions.
pub const ANSWERS: &[&str] = &["y", "n", "Enter", "Escape", "1", "2", "3"];

/// What was typed, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    Key(Action),
    Verb(Verb, String),
}

/// A line of the palette with what it could become.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Palette {
    pub line: Line,
    /// How far back in the history, from 1.
    back: usize,
    /// What was typed before going back.
    typed: String,
}

/// A word that could be typed next, and what it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub word: String,
    pub help: &'static str,
}

impl Palette {
    /// What the last word could become.
    pub fn candidates(&self, is_readonly: bool) -> Vec<Candidate> {
        let text = self.line.text();
        match text.split_once(' ') {
            None => names(is_readonly).filter(|c| c.word.starts_with(&text)).collect(),
            Some((name, rest)) => {
                let Some(verb) = verb(name, is_readonly) else { return Vec::new() };
                let last = rest.rsplit(' ').next().unwrap_or_default();
                let words = values(verb).into_iter().filter(|word| word.starts_with(last));
                words.map(|word| Candidate { word: word.into(), help: "" }).collect()
            }
        }
    }

    /// Types as much of the next word as there is no doubt about; a whole one with a space.
    pub fn complete(&mut self, is_readonly: bool) {
        let candidates = self.candidates(is_readonly);
        let Some(first) = candidates.first() else { return };
        let common = candidates.iter().fold(first.word.as_str(), |a, b| common(a, &b.word));
        let text = self.line.text();
        let start = text.rfind(' ').map_or(0, |at| at + 1);
        let space = if candidates.len() == 1 && takes_more(&text, common) { " " } else { "" };
        self.line = Line::new(&format!("{}{common}{space}", &text[..start]));
    }

    /// To an earlier line of the history, or a later one.
    pub fn recall(&mut self, history: &[String], is_back: bool) {
        if self.back == 0 {
            self.typed = self.line.text();
        }
        self.back = if is_back { (self.back + 1).min(history.len()) } else { self.back.saturating_sub(1) };
        let text = match self.back {
            0 => &self.typed,
            back => &history[history.len() - back],
        };
        self.line = Line::new(text);
    }
}

/// What a line asks for, or the end of a sentence about it.
pub fn read(line: &str, is_readonly: bool) -> Result<Asked, String> {
    let line = line.trim();
    let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
    let refused = |mutates: bool| mutates && is_readonly;
    if let Some(taking) = TAKING.iter().find(|t| t.name == name && (!rest.is_empty() || !is_key(name))) {
        return if refused(taking.mutates) {
            Err(read_only(name))
        } else {
            Ok(Asked::Verb(taking.verb, rest.trim().into()))
        };
    }
    match BINDINGS.iter().find(|b| b.action.word() == name) {
        Some(binding) if refused(binding.mutates) => Err(read_only(name)),
        Some(_) if !rest.trim().is_empty() => {
            Err(format!("{name} takes nothing: it acts on the selected or the marked"))
        }
        Some(binding) => Ok(Asked::Key(binding.action)),
        None => Err(format!("there is no command “{name}”: Tab shows them")),
    }
}

fn read_only(name: &str) -> String {
    format!("read-only: {name} would change something")
}

fn is_key(name: &str) -> bool {
    BINDINGS.iter().any(|b| b.action.word() == name)
}

fn verb(name: &str, is_readonly: bool) -> Option<Verb> {
    TAKING.iter().find(|t| t.name == name && !(t.mutates && is_readonly)).map(|t| t.verb)
}

fn names(is_readonly: bool) -> impl Iterator<Item = Candidate> {
    let keys = BINDINGS.iter().filter(move |b| !(b.mutates && is_readonly)).filter(|b| !is_moving(b.action));
    let keys = keys.map(|b| Candidate { word: b.action.word().into(), help: b.help });
    let is_both = |t: &&Taking| !is_key(t.name);
    let taking = TAKING.iter().filter(move |t| !(t.mutates && is_readonly)).filter(is_both);
    let mut all: Vec<Candidate> = keys.chain(taking.map(|t| Candidate { word: t.name.into(), help: t.help })).collect();
    all.sort_by(|a, b| a.word.cmp(&b.word));
    all.into_iter()
}

/// Nobody types these.
const fn is_moving(action: Action) -> bool {
    matches!(
        action,
        Action::Down
            | Action::Up
            | Action::PageDown
            | Action::PageUp
            | Action::Back
            | Action::Palette
            | Action::NextPane
            | Action::PreviousPane
    )
}

/// What can stand behind a verb.
fn values(verb: Verb) -> Vec<&'static str> {
    match verb {
        Verb::Sort | Verb::Columns => Column::ALL.map(Column::word).to_vec(),
        Verb::Group => Grouping::ALL.map(Grouping::word).into_iter().chain(["none"]).collect(),
        Verb::Health => vec!["stuck", "orphaned", "waiting", "healthy", "all"],
        Verb::Keep => FUNCTION_KEYS.to_vec(),
        Verb::Filter | Verb::Mark => FIELDS.to_vec(),
        Verb::Go => Pane::ALL.map(Pane::word).to_vec(),
        Verb::Theme => theme::names().collect(),
        Verb::Answer => ANSWERS.to_vec(),
        Verb::Signal => SIGNALS.to_vec(),
        Verb::Type | Verb::Rename | Verb::Run => Vec::new(),
    }
}

/// Something can follow the word just completed.
fn takes_more(text: &str, word: &str) -> bool {
    !text.contains(' ') && TAKING.iter().any(|t| t.name == word)
}

fn common<'a>(a: &'a str, b: &str) -> &'a str {
    let end = a.char_indices().zip(b.chars()).find(|((_, a), b)| a != b).map_or(a.len().min(b.len()), |((i, _), _)| i);
    &a[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(text: &str) -> String {
        let mut palette = Palette { line: Line::new(text), ..Palette::default() };
        palette.complete(false);
        palette.line.text()
    }

    #[test]
    fn a_line_is_completed_as_far_as_there_is_no_doubt() {
        for (typed, whole) in [
            ("unknown", "unknown"),
            ("ren", "rename "),
            ("rest", "restart"),
            ("sort mem", "sort memory"),
            ("sort a", "sort a"),
            ("group wor", "group workspace"),
            ("kil", "kill"),
            ("signal T", "signal TERM"),
        ] {
            assert_eq!(completed(typed), whole, "{typed}");
        }
    }

    #[test]
    fn every_key_is_a_command_and_what_changes_something_is_refused_where_nothing_may() {
        for binding in BINDINGS {
            let asked = read(binding.action.word(), false);
            assert!(asked.is_ok(), "{}", binding.action.word());
            assert_eq!(read(binding.action.word(), true).is_err(), binding.mutates, "{}", binding.action.word());
        }
        for taking in TAKING {
            assert_eq!(read(&format!("{} x", taking.name), true).is_err(), taking.mutates, "{}", taking.name);
        }
        assert_eq!(read("signal INT", false), Ok(Asked::Verb(Verb::Signal, "INT".into())));
        assert_eq!(read("signal", false), Ok(Asked::Key(Action::Signal)));
        assert!(read("frobnicate", false).unwrap_err().contains("Tab shows them"));
        assert!(read("kill docs", false).unwrap_err().contains("takes nothing"));
    }

    #[test]
    fn the_history_goes_back_and_comes_forth_to_what_was_typed() {
        let history = ["sort cpu".to_string(), "kill".to_string()];
        let mut palette = Palette { line: Line::new("pa"), ..Palette::default() };
        palette.recall(&history, true);
        palette.recall(&history, true);
        palette.recall(&history, true);
        assert_eq!(palette.line.text(), "sort cpu");
        palette.recall(&history, false);
        palette.recall(&history, false);
        assert_eq!(palette.line.text(), "pa");
    }
}
