//! A table of the file read key by key: what is taken is checked, what nobody took is an unknown key.

use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::key::Zero;
use super::nearest::{one_of, suggestion};
use super::read::{Given, offending, time};
use crate::model::profile::Pattern;
use crate::model::text::printable_within;

const AT_ONCE: Zero = Zero::Refused("its sessions would be closed at once; leave it out for the limit of [cleanup]");

/// A complaint and where it stands.
pub(super) type Complaint = (Range<usize>, String);

/// Where complaints go, and how strictly patterns are looked at.
#[derive(Default)]
pub(super) struct Judge {
    pub bad: Vec<Complaint>,
    /// Patterns come from a user: each is compiled at once, so that a bad one has a line.
    pub strict: bool,
}

/// A table while it is read.
pub(super) struct Fields<'a, 'j> {
    table: &'a DeTable<'a>,
    span: Range<usize>,
    /// How people name it, such as `agent.match`.
    path: String,
    taken: Vec<&'static str>,
    /// Complaints there were before this table.
    before: usize,
    judge: &'j mut Judge,
}

impl<'a, 'j> Fields<'a, 'j> {
    pub fn new(table: &'a DeTable<'a>, span: Range<usize>, path: &str, judge: &'j mut Judge) -> Self {
        Self { table, span, path: path.into(), taken: Vec::new(), before: judge.bad.len(), judge }
    }

    fn take(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.taken.push(key);
        self.table.iter().find(|(name, _)| name.get_ref() == key).map(|(_, value)| value)
    }

    fn wrong(&mut self, at: Range<usize>, message: &str) {
        self.judge.bad.push((at, format!("{}: {message}", self.path)));
    }

    /// A complaint about the table as a whole.
    pub fn lacks(&mut self, message: &str) {
        self.wrong(self.span.clone(), message);
    }

    /// Nothing in it is wrong so far, so that a rule about the whole speaks of what was meant.
    pub fn is_sound(&self) -> bool {
        self.judge.bad.len() == self.before
    }

    pub fn text(&mut self, key: &'static str) -> Option<String> {
        let value = self.take(key)?;
        let read = checked_text(value.get_ref());
        read.map_err(|why| self.wrong(value.span(), &format!("`{key}` {why}"))).ok()
    }

    /// A text that must be there.
    pub fn needed(&mut self, key: &'static str) -> Option<String> {
        let is_missing = self.take(key).is_none();
        if is_missing {
            self.lacks(&format!("`{key}` is missing: write `{key} = \"…\"`"));
        }
        self.text(key)
    }

    /// A text that must be one of these words; answers which.
    pub fn word(&mut self, key: &'static str, words: &[&str]) -> Option<usize> {
        let text = self.needed(key)?;
        let found = words.iter().position(|w| *w == text);
        if found.is_none() {
            let at = self.take(key).map_or(self.span.clone(), Spanned::span);
            let meant = suggestion(&text, words.iter().copied());
            self.wrong(at, &format!("`{key}` is {text:?}, which is not allowed: write {}{meant}", one_of(words)));
        }
        found
    }

    /// A time after which something is closed.
    pub fn limit(&mut self, key: &'static str) -> Option<Duration> {
        self.duration(key, &AT_ONCE)
    }

    /// Any time but zero, which is refused with these words.
    pub fn time(&mut self, key: &'static str, zero: &'static str) -> Option<Duration> {
        self.duration(key, &Zero::Refused(zero))
    }

    fn duration(&mut self, key: &'static str, zero: &Zero) -> Option<Duration> {
        let value = self.take(key)?;
        let read = time(Given::Toml(value.get_ref()), zero);
        read.map_err(|why| self.wrong(value.span(), &format!("`{key}` {why}"))).ok()
    }

    pub fn flag(&mut self, key: &'static str) -> bool {
        let Some(value) = self.take(key) else { return false };
        value.get_ref().as_bool().unwrap_or_else(|| {
            self.wrong(value.span(), &format!("`{key}` must be true or false, not {}", offending(value.get_ref())));
            false
        })
    }

    pub fn list(&mut self, key: &'static str) -> Vec<String> {
        self.items(key).into_iter().map(|(_, text)| text).collect()
    }

    pub fn patterns(&mut self, key: &'static str) -> Vec<Pattern> {
        self.items(key).into_iter().filter_map(|(at, text)| self.compiled(key, at, &text)).collect()
    }

    pub fn pattern(&mut self, key: &'static str) -> Option<Pattern> {
        let text = self.text(key)?;
        let at = self.take(key)?.span();
        self.compiled(key, at, &text)
    }

    fn compiled(&mut self, key: &str, at: Range<usize>, text: &str) -> Option<Pattern> {
        if !self.judge.strict {
            return Some(Pattern::known(text));
        }
        let shown = printable_within(text, 60);
        let checked = Pattern::checked(text);
        checked.map_err(|why| self.wrong(at, &format!("`{key}` holds a pattern that cannot be: {shown}: {why}"))).ok()
    }

    fn items(&mut self, key: &'static str) -> Vec<(Range<usize>, String)> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let Some(items) = value.get_ref().as_array() else {
            let instead = value.get_ref().as_str().map_or_else(|| "[\"…\"]".into(), |text| format!("[{text:?}]"));
            let message = format!("`{key}` must be a list, not {}: write {instead}", offending(value.get_ref()));
            self.wrong(value.span(), &message);
            return Vec::new();
        };
        let mut read = Vec::new();
        for item in items {
            match checked_text(item.get_ref()) {
                Ok(text) => read.push((item.span(), text)),
                Err(why) => self.wrong(item.span(), &format!("`{key}` holds an item that {why}")),
            }
        }
        read
    }

    /// Reads the table below `key`, if there is one.
    pub fn table<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Fields<'a, '_>) -> T) -> Option<T> {
        let value = self.take(key)?;
        let path = format!("{}.{key}", self.path);
        let Some(table) = value.get_ref().as_table() else {
            self.wrong(value.span(), &format!("`{key}` must be a table: write `[{path}]` and its keys below"));
            return None;
        };
        Some(inside(table, value.span(), &path, self.judge, read))
    }

    /// Reads each table of the list below `key`.
    pub fn tables<T>(&mut self, key: &'static str, read: impl Fn(&mut Fields<'a, '_>) -> Option<T>) -> Vec<T> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let path = format!("{}.{key}", self.path);
        let items = value.get_ref().as_array().filter(|items| items.iter().all(|i| i.get_ref().is_table()));
        let Some(items) = items else {
            self.wrong(value.span(), &format!("`{key}` must be tables: write `[[{path}]]` above each"));
            return Vec::new();
        };
        let tables = items.iter().filter_map(|i| Some((i.get_ref().as_table()?, i.span())));
        tables.filter_map(|(table, span)| inside(table, span, &path, self.judge, &read)).collect()
    }

    /// Complains of every key that nobody took.
    fn finish(mut self) {
        for (name, _) in self.table {
            if self.taken.iter().any(|t| t == name.get_ref()) {
                continue;
            }
            let shown = printable_within(name.get_ref(), 60);
            let meant = match suggestion(&shown, self.taken.iter().copied()) {
                none if none.is_empty() => {
                    let mut known = self.taken.clone();
                    known.dedup();
                    format!(": it has {}", known.join(", "))
                }
                meant => meant,
            };
            self.wrong(name.span(), &format!("unknown key `{shown}`{meant}"));
        }
    }
}

/// Reads one table to its end.
pub(super) fn inside<'a, T>(
    table: &'a DeTable<'a>,
    span: Range<usize>,
    path: &str,
    judge: &mut Judge,
    read: impl FnOnce(&mut Fields<'a, '_>) -> T,
) -> T {
    let mut fields = Fields::new(table, span, path, judge);
    let out = read(&mut fields);
    fields.finish();
    out
}

/// Text that may be typed into a terminal, or shown on one.
fn checked_text(value: &DeValue<'_>) -> Result<String, String> {
    let text = value.as_str().ok_or_else(|| format!("must be text in quotes, not {}", offending(value)))?;
    if text.chars().any(char::is_control) {
        return Err("cannot hold control characters: write a pattern such as '\\t' in single quotes".into());
    }
    Ok(text.into())
}
