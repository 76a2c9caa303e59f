//! The profiles of agents: those in the program, and the user's `[[agent]]` laid over them.
//!
//! An `[[agent]]` of a known name changes that profile key by key, and its rules by their `rule`; a rule of a
//! new name is asked before the others. One of a new name is a new profile, asked before those known.

use std::ops::Range;
use std::sync::LazyLock;

use serde::Deserialize;
use toml::de::{DeArray, DeTable, DeValue, ValueDeserializer};
use toml::{Spanned, Table};

use super::fields::{Complaint, Judge};
use super::profile::profile;
use crate::model::profile::{Profile, Profiles};

macro_rules! embedded {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../assets/agents/", $name, ".toml")))),*]
    };
}

/// In the order in which they are asked, and in which one is looked for to start.
const EMBEDDED: &[(&str, &str)] = embedded![
    "claude",
    "codex",
    "gemini",
    "goose",
    "cursor-agent",
    "opencode",
    "aider",
    "amp",
    "copilot",
    "qwen",
    "mcp",
    "shell",
];

static DEFAULT: LazyLock<Profiles> = LazyLock::new(|| {
    let read = |(_, text): &(&str, &'static str)| read_embedded(text, false).0;
    Profiles::new(EMBEDDED.iter().filter_map(read).collect())
});

impl Default for Profiles {
    fn default() -> Self {
        DEFAULT.clone()
    }
}

/// What was wrong with it is found by a test, not by users.
fn read_embedded(text: &'static str, strict: bool) -> (Option<Profile>, Vec<Complaint>) {
    let mut judge = Judge { strict, ..Judge::default() };
    let table = match DeTable::parse(text) {
        Ok(table) => table,
        Err(e) => return (None, vec![(e.span().unwrap_or(0..0), e.message().into())]),
    };
    (profile(table.get_ref(), table.span(), &mut judge), judge.bad)
}

/// An `[[agent]]` as it stands in the file.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentProfile {
    pub name: String,
    /// All of its keys.
    pub table: Table,
}

/// What the file says of agents.
#[derive(Default)]
pub(super) struct Agents {
    pub written: Vec<AgentProfile>,
    pub profiles: Profiles,
    pub bad: Vec<Complaint>,
}

/// Reads every `[[agent]]` over the embedded profiles.
pub(super) fn agents(agent: &Spanned<DeValue<'_>>) -> Agents {
    let Some(list) = agent.get_ref().as_array() else {
        let bad = vec![(agent.span(), "agent: write `[[agent]]` with two brackets: there can be several".into())];
        return Agents { bad, ..Agents::default() };
    };
    let mut judge = Judge { strict: true, ..Judge::default() };
    let mut written: Vec<AgentProfile> = Vec::new();
    let mut changed: Vec<Profile> = Vec::new();
    for item in list {
        let Some(table) = item.get_ref().as_table() else {
            judge.bad.push((item.span(), "agent: write `[[agent]]` above the keys of each".into()));
            continue;
        };
        let Some(profile) = read_over(table, item.span(), &mut judge) else { continue };
        if written.iter().any(|w| w.name == profile.name) {
            judge.bad.push((item.span(), format!("agent: there are two agents of the name {:?}", profile.name)));
        }
        match Table::deserialize(ValueDeserializer::from(item.clone())) {
            Ok(table) => written.push(AgentProfile { name: profile.name.clone(), table }),
            Err(e) => judge.bad.push((item.span(), format!("agent: {}", e.message()))),
        }
        changed.push(profile);
    }
    Agents { written, profiles: combined(changed), bad: judge.bad }
}

/// One `[[agent]]`, laid over the embedded profile of its name.
fn read_over(table: &DeTable<'_>, span: Range<usize>, judge: &mut Judge) -> Option<Profile> {
    let name = table.iter().find(|(key, _)| key.get_ref() == "name").and_then(|(_, value)| value.get_ref().as_str());
    let known = EMBEDDED.iter().find(|(known, _)| Some(*known) == name);
    let base = known.and_then(|(_, text)| DeTable::parse(text).ok());
    let Some(base) = base else { return profile(table, span, judge) };
    let mut whole = base.into_inner();
    lay_over(&mut whole, table);
    profile(&whole, span, judge)
}

/// Tables key by key, lists of rules rule by rule; anything else is replaced.
fn lay_over<'a>(base: &mut DeTable<'a>, over: &DeTable<'a>) {
    for (key, value) in over {
        match base.get_mut(key.get_ref().as_ref()) {
            Some(below) => value_over(below, value),
            None => _ = base.insert(key.clone(), value.clone()),
        }
    }
}

/// What is laid over says where it stands: complaints are about the user's text.
fn value_over<'a>(base: &mut Spanned<DeValue<'a>>, over: &Spanned<DeValue<'a>>) {
    match (base.get_mut(), over.get_ref()) {
        (DeValue::Table(below), DeValue::Table(above)) => lay_over(below, above),
        (DeValue::Array(below), DeValue::Array(above)) if above.iter().all(|v| v.get_ref().is_table()) => {
            rules_over(below, above);
        }
        (below, above) => *below = above.clone(),
    }
    *base = Spanned::new(over.span(), base.get_ref().clone());
}

/// Rules of a known name are changed where they stand; new ones stand in front, in their own order.
fn rules_over<'a>(base: &mut DeArray<'a>, over: &DeArray<'a>) {
    let mut new = DeArray::new();
    for item in over {
        match base.iter_mut().find(|b| rule_of(b).is_some() && rule_of(b) == rule_of(item)) {
            Some(same) => value_over(same, item),
            None => new.push(item.clone()),
        }
    }
    *base = new.into_iter().chain(base.iter().cloned()).collect();
}

fn rule_of<'a>(item: &'a Spanned<DeValue<'_>>) -> Option<&'a str> {
    item.get_ref().as_table()?.iter().find(|(key, _)| key.get_ref() == "rule")?.1.get_ref().as_str()
}

fn combined(changed: Vec<Profile>) -> Profiles {
    let mut all = Profiles::default().all().to_vec();
    let mut new = Vec::new();
    for profile in changed {
        match all.iter_mut().find(|p| p.name == profile.name) {
            Some(known) => *known = profile,
            None => new.push(profile),
        }
    }
    new.extend(all);
    Profiles::new(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_embedded_profile_is_right_and_named_as_its_file() {
        for (name, text) in EMBEDDED {
            let (profile, bad) = read_embedded(text, true);
            assert!(bad.is_empty(), "{name}: {bad:?}");
            assert_eq!(profile.unwrap().name, *name);
        }
        assert_eq!(Profiles::default().all().len(), EMBEDDED.len());
    }

    #[test]
    fn every_file_of_profiles_is_embedded() {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/agents");
        let mut files: Vec<String> = std::fs::read_dir(dir)
            .unwrap()
            .map(|f| f.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        let mut known: Vec<&str> = EMBEDDED.iter().map(|(name, _)| *name).collect();
        files.sort();
        known.sort_unstable();
        assert_eq!(files, known);
    }
}
