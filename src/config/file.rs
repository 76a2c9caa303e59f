//! The file as a layer: sections and keys into the table of settings, every fault with line and column.
//!
//! A file that is not valid TOML is read as far as it can be, so that one forgotten quote does not hide
//! the other faults.

use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Config;
use super::agent::agents;
use super::error::{Fault, Place};
use super::hook::hooks;
use super::key::{KEYS, Key, keys_of, sections};
use super::load::Layers;
use super::nearest::suggestion;
use super::read::Given;
use crate::model::text::printable_within;

/// Longest piece of the user's own text repeated in a complaint.
const QUOTED: usize = 60;

/// The file while it is read.
pub(super) struct FileLayer<'a> {
    path: Option<&'a Path>,
    text: &'a str,
    /// What is not valid TOML and not yet complained about.
    syntax: Vec<(Range<usize>, String)>,
    /// Complaints about names, which only hold when the structure of the file is sound.
    unknown: Vec<Fault>,
}

type Name<'a> = Spanned<Cow<'a, str>>;
type Value<'a> = Spanned<DeValue<'a>>;

impl<'a> FileLayer<'a> {
    pub fn new(path: Option<&'a Path>, text: &'a str) -> Self {
        Self { path, text, syntax: Vec::new(), unknown: Vec::new() }
    }

    pub fn apply(mut self, layers: &mut Layers) {
        let (document, errors) = DeTable::parse_recoverable(self.text);
        let at = |e: &toml::de::Error| e.span().unwrap_or(0..0);
        self.syntax = errors.iter().map(|e| (at(e), e.message().to_string())).collect();
        for (name, value) in document.get_ref() {
            self.section(layers, name, value);
        }
        if self.syntax.is_empty() {
            layers.faults.append(&mut self.unknown);
        }
        for (span, message) in std::mem::take(&mut self.syntax) {
            layers.faults.push(self.syntax_fault(&span, &message));
        }
    }

    fn section(&mut self, layers: &mut Layers, name: &Name<'_>, value: &Value<'_>) {
        let section: &str = name.get_ref();
        if section == "agent" {
            let read = agents(value);
            (layers.config.agent, layers.config.profiles) = (read.written, read.profiles);
            let fault = |(span, message): (Range<usize>, String)| self.fault(span.start, &message);
            // Half a table lacks keys that are only unreadable.
            if self.syntax.is_empty() {
                layers.faults.extend(read.bad.into_iter().map(fault));
            }
            return;
        }
        if section == "hook" {
            let read = hooks(value);
            layers.config.hook = read.written;
            let fault = |(span, message): (Range<usize>, String)| self.fault(span.start, &message);
            // As above.
            if self.syntax.is_empty() {
                layers.faults.extend(read.bad.into_iter().map(fault));
            }
            return;
        }
        if !sections().contains(&section) {
            self.unknown.push(self.fault(name.span().start, &unknown_section(section)));
            return;
        }
        let Some(table) = value.get_ref().as_table() else {
            let message =
                format!("{section} is a section: write `[{section}]` on a line of its own, and its keys below");
            layers.faults.push(self.fault(name.span().start, &message));
            return;
        };
        for (key, value) in table {
            match keys_of(section).find(|k| k.name == key.get_ref().as_ref()) {
                Some(known) => self.setting(layers, known, value),
                None => self.unknown_key(layers, section, key, value),
            }
        }
    }

    fn setting(&mut self, layers: &mut Layers, key: &'static Key, value: &Value<'_>) {
        let span = value.span();
        if let Some((at, message)) = self.syntax_within(value) {
            layers.refuse(key);
            let fault = match self.quoteless(span.start) {
                Some(text) => self.fault(span.start, &format!("{}: {}", key.path(), without_quotes(key, text))),
                None => self.syntax_fault(&at, &message),
            };
            layers.faults.push(fault);
            return;
        }
        if let Err(wrong) = layers.try_put(key, Given::Toml(value.get_ref()), &self.place(span.start)) {
            let at = wrong.at.map_or(span.start, |inner| inner.start);
            layers.faults.push(self.fault(at, &format!("{}: {}", key.path(), wrong.message)));
        }
    }

    fn unknown_key(&mut self, layers: &mut Layers, section: &str, key: &Name<'_>, value: &Value<'_>) {
        if let Some((at, message)) = self.syntax_within(value) {
            layers.faults.push(self.syntax_fault(&at, &message));
        }
        self.unknown.push(self.fault(key.span().start, &unknown_in(section, key.get_ref())));
    }

    /// Takes the syntax errors inside a value and behind it on its line; the first speaks for all.
    fn syntax_within(&mut self, value: &Value<'_>) -> Option<(Range<usize>, String)> {
        let Range { start, end } = value.span();
        let end = end.max(start + self.line_from(start).len());
        let inside = |(at, _): &(Range<usize>, String)| start <= at.start && at.end <= end;
        let (mut found, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.syntax).into_iter().partition(inside);
        self.syntax = rest;
        (!found.is_empty()).then(|| found.swap_remove(0))
    }

    /// What stands at `offset`, to the end of the line or a comment, if it is text without its quotes.
    fn quoteless(&self, offset: usize) -> Option<&'a str> {
        let written = self.line_from(offset).split('#').next().unwrap_or_default().trim();
        let plain = |c: char| c.is_alphanumeric() || "/~-_:.,=+ ".contains(c);
        (!written.is_empty() && written.chars().all(plain)).then_some(written)
    }

    fn line_from(&self, offset: usize) -> &'a str {
        self.text.get(offset..).and_then(|rest| rest.lines().next()).unwrap_or_default()
    }

    fn syntax_fault(&self, at: &Range<usize>, message: &str) -> Fault {
        let line = self.text.get(..at.start).unwrap_or(self.text).rfind('\n').map_or(0, |n| n + 1);
        // Only what stands before the value is repeated: the value may be a secret.
        let near = self.line_from(line).split(['=', '"', '\'']).next().unwrap_or_default().trim();
        let near = if near.is_empty() { String::new() } else { format!(", at `{}`", printable_within(near, QUOTED)) };
        self.fault(at.start, &format!("not valid TOML: {message}{near}"))
    }

    fn fault(&self, offset: usize, message: &str) -> Fault {
        Fault { place: self.place(offset), message: message.into() }
    }

    /// Line and column, both from 1, the column in characters.
    fn place(&self, offset: usize) -> Place {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line = 1 + before.matches('\n').count();
        let column = 1 + before.rsplit('\n').next().unwrap_or_default().chars().count();
        Place::File { path: self.path.map(Path::to_path_buf), line, column }
    }
}

/// What to write for a value that stands there without its quotes.
fn without_quotes(key: &Key, text: &str) -> String {
    if key.path() == "server.token" {
        return "the value needs quotes".into();
    }
    let mut meant = Config::default();
    match key.read(&mut meant, Given::Bare(text)) {
        Ok(()) => {
            format!("`{}` is not a value: write `{} = {}`", printable_within(text, QUOTED), key.name, key.show(&meant))
        }
        Err(wrong) => wrong.message,
    }
}

fn unknown_section(name: &str) -> String {
    let name = &printable_within(name, QUOTED);
    if let Some(key) = KEYS.iter().find(|k| k.name == name) {
        return format!("`{name}` stands outside any section: it belongs below `[{}]`", key.section);
    }
    let known = sections();
    let listed = known.iter().map(|s| format!("[{s}]")).collect::<Vec<_>>().join(", ");
    match suggestion(name, known.iter().copied().chain(["agent", "hook"])) {
        none if none.is_empty() => format!("unknown section [{name}]: there are {listed}, [[hook]] and [[agent]]"),
        meant => format!("unknown section [{name}]{meant}"),
    }
}

fn unknown_in(section: &str, name: &str) -> String {
    let name = &printable_within(name, QUOTED);
    let meant = suggestion(name, keys_of(section).map(|k| k.name));
    if !meant.is_empty() {
        return format!("unknown key `{name}` in [{section}]{meant}");
    }
    if let Some(key) = KEYS.iter().find(|k| k.name == name) {
        return format!("unknown key `{name}` in [{section}]: it belongs below `[{}]`", key.section);
    }
    let listed = keys_of(section).map(|k| k.name).collect::<Vec<_>>().join(", ");
    format!("unknown key `{name}` in [{section}]: it has {listed}")
}
