//! The configuration as TOML again, every key with the value in effect.

use toml::{Table, Value};

use super::Config;
use super::key::{Field, KEYS, Key, keys_of, sections};
use super::value::{show_duration, show_size};

/// All of it, in a form that [`super::parse`] reads back to the same. Holds the token, if there is one.
pub fn to_toml(config: &Config) -> String {
    let section = |name: &'static str| {
        let lines = keys_of(name).map(|key| format!("{} = {}\n", key.name, key.show(config)));
        format!("[{name}]\n{}", lines.collect::<String>())
    };
    let mut parts: Vec<String> = sections().into_iter().map(section).collect();
    if !config.hook.is_empty() {
        let list = config.hook.iter().map(super::Hook::to_toml).collect();
        parts.push(Table::from_iter([("hook".to_string(), Value::Array(list))]).to_string());
    }
    if !config.agent.is_empty() {
        let list = config.agent.iter().map(|a| Value::Table(a.table.clone())).collect();
        parts.push(Table::from_iter([("agent".to_string(), Value::Array(list))]).to_string());
    }
    parts.join("\n")
}

/// The full names of all keys, such as `cleanup.max_idle`.
pub fn keys() -> impl Iterator<Item = String> {
    KEYS.iter().map(Key::path)
}

impl Config {
    /// The value of a key in effect, spelt as [`Config::set`] takes it; `None` when there is no such key.
    pub fn get(&self, key: &str) -> Option<String> {
        let key = KEYS.iter().find(|k| k.path() == key)?;
        Some(match key.show(self) {
            Value::String(text) => text,
            other => other.to_string(),
        })
    }
}

impl Key {
    /// The value in effect, as TOML.
    pub(super) fn show(&self, config: &Config) -> Value {
        match &self.field {
            Field::Time(slot, _) => Value::String(show_duration(*(slot.get)(config))),
            Field::Size(slot, _) => Value::String(show_size(*(slot.get)(config))),
            // Bounded by the table of keys, far below.
            Field::Count(slot, ..) => Value::Integer(i64::try_from(*(slot.get)(config)).unwrap_or(i64::MAX)),
            Field::Flag(slot) => Value::Boolean(*(slot.get)(config)),
            Field::Text { show, .. } => Value::String(show(config)),
            Field::Words { show, .. } => Value::Array(show(config).into_iter().map(Value::String).collect()),
            Field::Variables(slot) => {
                let entry = |(name, value): (&String, &String)| (name.clone(), Value::String(value.clone()));
                Value::Table((slot.get)(config).iter().map(entry).collect())
            }
        }
    }
}
