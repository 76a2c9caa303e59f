//! `[tui]`: how the interface looks, and how it tells a person who looks elsewhere.
//!
//! The words are listed here, so that a mistake is found by whoever reads the file; a test of the interface insists that
//! it knows the same ones.

use std::collections::BTreeMap;

use super::nearest::{one_of, suggestion};
use super::words::Spelt;

/// What `theme` can be.
pub const THEMES: &[&str] = &["dark", "light", "high-contrast", "colour-blind", "16"];
/// What can stand in `columns` and in `sort`.
pub const COLUMNS: &[&str] = &[
    "health",
    "name",
    "agent",
    "project",
    "attention",
    "activity",
    "idle",
    "age",
    "cpu",
    "memory",
    "processes",
    "origin",
    "reason",
];
/// Actions that `keys` can give another letter.
pub const ACTIONS: &[&str] = &[
    "attach",
    "window",
    "answer",
    "type",
    "kill",
    "kill-now",
    "signal",
    "pause",
    "pin",
    "restart",
    "resume",
    "export",
    "sweep",
    "emergency",
    "release",
    "copy",
    "tree",
    "mark",
    "mark-range",
    "mark-all",
    "filter",
    "faults",
    "sort-right",
    "sort-left",
    "reverse",
    "group",
    "fold",
    "table",
    "screen",
    "details",
    "events",
    "host",
    "next-pane",
    "previous-pane",
    "zoom",
    "grow",
    "shrink",
    "next-match",
    "previous-match",
    "new",
    "close-all",
    "palette",
    "log",
    "mouse",
    "help",
    "quit",
    "suspend",
    "back",
    "down",
    "up",
    "top",
    "bottom",
    "page-down",
    "page-up",
];

/// The settings of the interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tui {
    pub theme: Theme,
    /// From left to right; never empty.
    pub columns: Vec<Column>,
    pub sort: Column,
    /// As it would be typed after `/`.
    pub filter: String,
    /// The mouse is taken from the beginning.
    pub mouse: bool,
    /// Other letters for some actions.
    pub keys: BTreeMap<String, String>,
    pub tell: Vec<Tell>,
}

impl Default for Tui {
    fn default() -> Self {
        Self {
            theme: Theme::default(),
            columns: COLUMNS.iter().map(|word| Column((*word).into())).collect(),
            sort: Column("health".into()),
            filter: String::new(),
            mouse: false,
            keys: BTreeMap::new(),
            tell: Vec::new(),
        }
    }
}

/// One of [`THEMES`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Theme(String);

impl Default for Theme {
    fn default() -> Self {
        Self("dark".into())
    }
}

/// One of [`COLUMNS`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column(String);

/// One way of telling: `bell`, `osc9` or `tmux`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tell {
    Bell,
    Osc9,
    Tmux,
}

impl Theme {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Column {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn one<'a>(text: &'a str, allowed: &[&str]) -> Result<&'a str, String> {
    if allowed.contains(&text) {
        return Ok(text);
    }
    let meant = suggestion(text, allowed.iter().copied());
    Err(format!("{text:?} is not allowed{meant}: write {}", one_of(allowed)))
}

impl Spelt for Theme {
    fn read(text: &str) -> Result<Self, String> {
        one(text, THEMES).map(|word| Self(word.into()))
    }

    fn spell(&self) -> String {
        self.0.clone()
    }
}

impl Spelt for Column {
    fn read(text: &str) -> Result<Self, String> {
        one(text, COLUMNS).map(|word| Self(word.into()))
    }

    fn spell(&self) -> String {
        self.0.clone()
    }
}

impl Spelt for Tell {
    fn read(text: &str) -> Result<Self, String> {
        match one(text, &["bell", "osc9", "tmux"])? {
            "bell" => Ok(Self::Bell),
            "osc9" => Ok(Self::Osc9),
            _ => Ok(Self::Tmux),
        }
    }

    fn spell(&self) -> String {
        match self {
            Self::Bell => "bell",
            Self::Osc9 => "osc9",
            Self::Tmux => "tmux",
        }
        .into()
    }
}

/// Complaints about `keys`: an action there is not, a key that is no letter, one letter for two actions.
pub(super) fn key_faults(keys: &BTreeMap<String, String>) -> Option<String> {
    let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
    for (action, key) in keys {
        if !ACTIONS.contains(&action.as_str()) {
            let meant = suggestion(action, ACTIONS.iter().copied());
            return Some(format!("there is no action {action:?}{meant}: `beadle` and then `:` shows them"));
        }
        let mut chars = key.chars();
        let is_one = chars.next().is_some_and(|c| !c.is_control()) && chars.next().is_none();
        if !is_one {
            return Some(format!("{action} = {key:?} is no key: write one character, such as \"d\""));
        }
        if let Some(other) = taken.insert(key, action) {
            return Some(format!("{key:?} stands for {other} and {action}: write another for one of them"));
        }
    }
    None
}
