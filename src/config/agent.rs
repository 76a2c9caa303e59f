//! `[[agent]]`: the user's own profiles of agents. Only the name is judged yet; the rest is kept as it
//! stands until recognition by profile reads it, so unknown keys are no fault here.

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeValue, ValueDeserializer};
use toml::{Table, Value};

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
    Ok(AgentProfile { name, matches, stop, resume, rest })
}
