//! `[[hook]]`: commands that are run when something happens.

use std::ops::Range;
use std::time::Duration;

use toml::de::DeValue;
use toml::{Spanned, Table, Value};

use super::fields::{Complaint, Fields, Judge, inside};
use super::nearest::suggestion;
use super::value::show_duration;
use crate::model::event::KINDS;

/// When nothing else is said.
const TIMEOUT: Duration = Duration::from_secs(10);
/// A hook is there to tell somebody, not to do the work.
const LONGEST: Duration = Duration::from_secs(600);

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// Kinds of events; `*` stands for all.
    pub events: Vec<String>,
    /// Program and arguments; never empty.
    pub command: Vec<String>,
    /// After this it is ended, with all it started.
    pub timeout: Duration,
}

impl Hook {
    pub fn is_for(&self, kind: &str) -> bool {
        self.events.iter().any(|e| e == "*" || e == kind)
    }

    pub(super) fn to_toml(&self) -> Value {
        let list = |words: &[String]| Value::Array(words.iter().cloned().map(Value::String).collect());
        Value::Table(Table::from_iter([
            ("events".to_string(), list(&self.events)),
            ("command".to_string(), list(&self.command)),
            ("timeout".to_string(), Value::String(show_duration(self.timeout))),
        ]))
    }
}

/// What the file says of hooks.
#[derive(Default)]
pub(super) struct Hooks {
    pub written: Vec<Hook>,
    pub bad: Vec<Complaint>,
}

pub(super) fn hooks(hook: &Spanned<DeValue<'_>>) -> Hooks {
    let complaint = |at: Range<usize>, text: &str| Hooks { bad: vec![(at, text.into())], ..Hooks::default() };
    let Some(list) = hook.get_ref().as_array() else {
        return complaint(hook.span(), "hook: write `[[hook]]` with two brackets: there can be several");
    };
    let mut judge = Judge { strict: true, ..Judge::default() };
    let mut written = Vec::new();
    for item in list {
        match item.get_ref().as_table() {
            Some(table) => written.extend(inside(table, item.span(), "hook", &mut judge, one)),
            None => judge.bad.push((item.span(), "hook: write `[[hook]]` above the keys of each".into())),
        }
    }
    Hooks { written, bad: judge.bad }
}

fn one(f: &mut Fields<'_, '_>) -> Option<Hook> {
    let (events, command) = (f.list("events"), f.list("command"));
    let timeout = f.time("timeout", "a hook needs a moment; leave it out for 10s").unwrap_or(TIMEOUT);
    if f.is_sound() {
        for event in events.iter().filter(|e| *e != "*" && !KINDS.contains(&e.as_str())) {
            let meant = match suggestion(event, KINDS.iter().copied()) {
                none if none.is_empty() => format!(": there are {}, and \"*\" for all", KINDS.join(", ")),
                meant => meant,
            };
            f.lacks(&format!("`events` names {event:?}, which is no event{meant}"));
        }
        if events.is_empty() {
            f.lacks("it would never be run: write `events = [\"session_ended\"]`, or [\"*\"] for all");
        }
        if command.first().is_none_or(String::is_empty) {
            f.lacks("there is nothing to run: write `command = [\"program\", \"argument\"]`");
        }
        if timeout > LONGEST {
            f.lacks("`timeout` is at most 10m: a hook tells somebody, longer work is for a session");
        }
    }
    f.is_sound().then_some(Hook { events, command, timeout })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{parse, to_toml};

    #[test]
    fn a_hook_is_read_shown_and_read_back_the_same() {
        let text = "[[hook]]\nevents = [\"session_ended\", \"strays_found\"]\ncommand = [\"notify\", \"-x\"]\n\n[[hook]]\nevents = [\"*\"]\ncommand = [\"/bin/log\"]\ntimeout = \"200ms\"\n";
        let config = parse(text, &[]).unwrap();
        assert_eq!(config.hook.len(), 2);
        assert_eq!((config.hook[0].timeout, config.hook[1].timeout), (TIMEOUT, Duration::from_millis(200)));
        assert!(config.hook[0].is_for("strays_found") && !config.hook[0].is_for("released"));
        assert!(config.hook[1].is_for("released"));
        assert_eq!(parse(&to_toml(&config), &[]).unwrap().hook, config.hook);
    }

    #[test]
    fn what_cannot_be_says_what_to_write() {
        for (text, said) in [
            ("[hook]\ncommand = [\"x\"]", "`[[hook]]` with two brackets"),
            ("[[hook]]\ncommand = [\"x\"]", "it would never be run"),
            ("[[hook]]\nevents = [\"*\"]", "there is nothing to run"),
            ("[[hook]]\nevents = [\"session_endet\"]\ncommand = [\"x\"]", "`session_ended`"),
            ("[[hook]]\nevents = \"*\"\ncommand = [\"x\"]", "must be a list"),
            ("[[hook]]\nevents = [\"*\"]\ncommand = [\"x\"]\ntimeout = \"0s\"", "cannot be zero"),
            ("[[hook]]\nevents = [\"*\"]\ncommand = [\"x\"]\ntimeout = \"1h\"", "at most 10m"),
            ("[[hook]]\nevents = [\"*\"]\ncomand = [\"x\"]", "unknown key `comand`"),
        ] {
            let error = parse(text, &[]).unwrap_err().to_string();
            assert!(error.contains(said), "{said}: {error}");
        }
    }
}
