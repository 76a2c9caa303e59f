//! `[[agent]]`: the user's own profiles of agents. Only the name and the limits are judged yet; the rest is kept as it
//! stands until recognition by profile reads it, so unknown keys are no fault here.

use std::ops::Range;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeValue, ValueDeserializer};
use toml::{Table, Value};

use super::value::{no_unit, parse_duration};
use crate::model::policy::Limits;

/// A profile as it stands in the file.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentProfile {
    pub name: String,
    /// `match`: how a process is known to be this agent.
    pub matches: Option<Value>,
    /// The gentle stop.
    pub stop: Option<Value>,
    /// How a conversation is taken up again.
    pub resume: Option<Value>,
    /// Every other key.
    pub rest: Table,
}

impl AgentProfile {
    /// `max_idle` and `max_waiting` for sessions of this agent, instead of those of `[cleanup]`.
    pub fn limits(&self) -> Result<Limits, String> {
        let limit = |key| limit_in(&self.rest, key);
        Ok(Limits { max_idle: limit("max_idle")?, max_waiting: limit("max_waiting")?, timeout: None })
    }

    /// The profile as a table again.
    pub(super) fn table(&self) -> Table {
        let mut table = self.rest.clone();
        let known = [("match", &self.matches), ("stop", &self.stop), ("resume", &self.resume)];
        for (key, value) in known {
            if let Some(value) = value {
                table.insert(key.into(), value.clone());
            }
        }
        table.insert("name".into(), Value::String(self.name.clone()));
        table
    }
}

fn limit_in(table: &Table, key: &str) -> Result<Option<Duration>, String> {
    let limit = match table.get(key) {
        None => return Ok(None),
        Some(Value::String(text)) => parse_duration(text).map_err(|wrong| format!("`{key}` {wrong}"))?,
        Some(Value::Integer(n)) => return Err(format!("`{key}` {}", no_unit(&n.to_string()))),
        Some(other) => return Err(format!("`{key}` must be a duration in quotes, such as \"10m\", not {other}")),
    };
    if limit.is_zero() {
        return Err(format!("`{key}` cannot be zero: its sessions would be closed at once"));
    }
    Ok(Some(limit))
}

/// A complaint and where it stands.
type Complaint = (Range<usize>, String);

/// Reads all profiles; the good ones, and a complaint for each other.
pub(super) fn profiles(agent: &Spanned<DeValue<'_>>) -> (Vec<AgentProfile>, Vec<Complaint>) {
    let Some(list) = agent.get_ref().as_array() else {
        return (Vec::new(), vec![(agent.span(), "write `[[agent]]` with two brackets: there can be several".into())]);
    };
    let (mut good, mut bad): (Vec<AgentProfile>, _) = (Vec::new(), Vec::new());
    for item in list {
        match profile(item) {
            Ok(profile) if good.iter().any(|p| p.name == profile.name) => {
                bad.push((item.span(), format!("there are two agents of the name {:?}", profile.name)));
            }
            Ok(profile) => good.push(profile),
            Err(message) => bad.push((item.span(), message)),
        }
    }
    (good, bad)
}

fn profile(item: &Spanned<DeValue<'_>>) -> Result<AgentProfile, String> {
    let mut rest = Table::deserialize(ValueDeserializer::from(item.clone())).map_err(|e| e.message().to_string())?;
    let name = match rest.remove("name") {
        Some(Value::String(name)) => name,
        Some(other) => return Err(format!("`name` must be text in quotes, not {other}")),
        None => return Err("an agent needs a name: write `name = \"…\"`".into()),
    };
    if let Some(refusal) = crate::model::text::name_refusal(&name) {
        return Err(format!("`name`: {refusal}"));
    }
    let (matches, stop, resume) = (rest.remove("match"), rest.remove("stop"), rest.remove("resume"));
    let profile = AgentProfile { name, matches, stop, resume, rest };
    profile.limits()?;
    Ok(profile)
}
