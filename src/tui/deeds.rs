//! What was done from here: the command line that does the same, and what came of it, as in a shell.

use std::collections::VecDeque;
use std::time::Duration;

use super::app::App;
use super::msg::{Close, Effect};
use super::sweeping::Purpose;
use crate::api::types::Act;
use crate::model::text::printable_within;

/// More is forgotten.
const MOST: usize = 200;

/// What a line of the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A command line.
    Asked,
    Done,
    Failed,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    pub at: Duration,
    pub kind: Kind,
    pub text: String,
}

/// The latest last.
#[derive(Debug, Clone, Default)]
pub struct Deeds {
    pub lines: VecDeque<Deed>,
}

impl Deeds {
    pub fn note(&mut self, at: Duration, kind: Kind, text: &str) {
        self.lines.push_back(Deed { at, kind, text: printable_within(text, 500) });
        while self.lines.len() > MOST {
            self.lines.pop_front();
        }
    }
}

/// The command line that does what the effect does; `None` where it changes nothing.
pub fn command(app: &App, effect: &Effect) -> Option<String> {
    let words = match effect {
        Effect::Start { command, name, workspace, .. } => {
            let mut words = vec!["run".to_string()];
            words.extend(name.iter().flat_map(|name| ["--name".into(), name.clone()]));
            words.extend(["--cwd".into(), workspace.clone(), "--".into()]);
            words.extend(command.iter().cloned());
            words
        }
        Effect::Close { what: Close::All, .. } => vec!["close-all".into()],
        Effect::Close { what: Close::These(ids), now, .. } => {
            let now = now.then(|| "--now".to_string());
            verb("kill", app, ids).into_iter().chain(now).collect()
        }
        Effect::Act(act, ids) => verb(act_word(*act), app, ids),
        Effect::Signal(ids, signal) => verb("signal", app, ids).into_iter().chain([signal.clone()]).collect(),
        Effect::Resume { name, .. } => vec!["resume".into(), name.clone()],
        Effect::Sweep(Purpose::Act { emergency }, _) => {
            std::iter::once("sweep").chain(emergency.then_some("--emergency")).map(String::from).collect()
        }
        Effect::Release => vec!["release".into()],
        Effect::StartDaemon => vec!["daemon".into(), "start".into()],
        Effect::Export { name, .. } => vec!["export".into(), name.clone(), "-o".into(), export_name(name)],
        Effect::Restart(id) => verb("restart", app, std::slice::from_ref(id)),
        Effect::Rename(id, name) => {
            verb("rename", app, std::slice::from_ref(id)).into_iter().chain([name.clone()]).collect()
        }
        Effect::Type { name, text, .. } => vec!["send".into(), name.clone(), text.clone(), "--enter".into()],
        Effect::Answer { name, key, .. } => vec!["send".into(), name.clone(), "--key".into(), key.clone()],
        Effect::Attach { name, .. } | Effect::GoToPane { name, .. } => vec!["attach".into(), name.clone()],
        Effect::Sweep(Purpose::Watch | Purpose::Plan { .. }, _)
        | Effect::AskEnded
        | Effect::ListDirectories { .. }
        | Effect::Look(_)
        | Effect::Inquire(_)
        | Effect::Recall(_)
        | Effect::Advise
        | Effect::AskHost
        | Effect::Wake(_)
        | Effect::FindKeeper { .. }
        | Effect::OpenWindow { .. }
        | Effect::Copy(_)
        | Effect::Remember(_)
        | Effect::Mouse(_)
        | Effect::Tell(_)
        | Effect::Suspend
        | Effect::Quit => return None,
    };
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    Some(format!("beadle {}", words.join(" ")))
}

const fn act_word(act: Act) -> &'static str {
    match act {
        Act::Pause => "pause",
        Act::Unpause => "unpause",
        Act::Pin => "pin",
        Act::Unpin => "unpin",
        Act::Rm => "rm",
    }
}

/// A verb and the names of sessions.
fn verb(verb: &str, app: &App, ids: &[String]) -> Vec<String> {
    let name = |id: &String| app.row(id).map_or_else(|| id.clone(), |row| row.name.clone());
    std::iter::once(verb.to_string()).chain(ids.iter().map(name)).collect()
}

/// The directory a session is written down in.
pub fn export_name(name: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let name: String = name.chars().take(80).map(plain).collect();
    format!("beadle-{}", name.trim_matches('.'))
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_@%+=:,./-".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_word_goes_through_a_shell_unharmed() {
        for (word, shell) in
            [("web-1", "web-1"), ("a b", "'a b'"), ("it's", r"'it'\''s'"), ("", "''"), ("$HOME", "'$HOME'")]
        {
            assert_eq!(quoted(word), shell);
        }
    }
}
