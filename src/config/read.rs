//! One value into its field: from the file, where it has a TOML type, or from bare text (an environment
//! variable, `set KEY=VALUE`), where it has none.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::Config;
use super::key::{Field, Key, Zero};
use super::value::{no_unit, parse_duration, parse_size, show_size};
use super::words::variable_name;

/// A value as it was given.
#[derive(Clone, Copy)]
pub(super) enum Given<'a> {
    Toml(&'a DeValue<'a>),
    Bare(&'a str),
}

/// What is wrong with a value: the end of a sentence that begins with the key.
#[derive(Debug)]
pub(super) struct Wrong {
    pub message: String,
    /// Where inside the value, when that is known better than "somewhere in it".
    pub at: Option<Range<usize>>,
}

impl From<String> for Wrong {
    fn from(message: String) -> Self {
        Self { message, at: None }
    }
}

impl Key {
    /// Reads the value into its place; on a complaint nothing has changed.
    pub fn read(&self, config: &mut Config, given: Given<'_>) -> Result<(), Wrong> {
        match &self.field {
            Field::Time(slot, zero) => *(slot.at)(config) = time(given, zero)?,
            Field::Size(slot, least) => *(slot.at)(config) = size(given, *least)?,
            Field::Count(slot, least, most) => *(slot.at)(config) = count(given, *least, *most)?,
            Field::Flag(slot) => *(slot.at)(config) = flag(given, self.name)?,
            Field::Text { read, .. } => read(config, text(given)?)?,
            Field::Words { read, .. } => match given {
                Given::Toml(value) => read(config, &listed(value)?)?,
                Given::Bare(bare) if bare.trim_start().starts_with('[') => read(config, &listed(&inline(bare)?)?)?,
                Given::Bare(bare) => read(config, &separated(bare))?,
            },
            Field::Variables(slot) => *(slot.at)(config) = variables(given)?,
        }
        Ok(())
    }
}

fn time(given: Given<'_>, zero: &Zero) -> Result<Duration, String> {
    let duration = match given {
        Given::Bare(text) => parse_duration(text)?,
        Given::Toml(DeValue::String(text)) => parse_duration(text)?,
        Given::Toml(DeValue::Integer(n)) if n.to_string().starts_with('-') => {
            return Err(format!("{n} is negative and has no unit: write such as \"5m\""));
        }
        Given::Toml(DeValue::Integer(n)) => return Err(no_unit(&n.to_string())),
        Given::Toml(other) => {
            return Err(format!("must be a duration in quotes, such as \"15m\", not {}", offending(other)));
        }
    };
    match zero {
        Zero::Refused(why) if duration.is_zero() => Err(format!("cannot be zero: {why}")),
        Zero::Refused(_) | Zero::Fine => Ok(duration),
    }
}

fn size(given: Given<'_>, least: u64) -> Result<u64, String> {
    let bytes = match given {
        Given::Bare(text) => parse_size(text)?,
        Given::Toml(DeValue::String(text)) => parse_size(text)?,
        Given::Toml(DeValue::Integer(n)) => parse_size(&number(n)?.to_string())?,
        Given::Toml(other) => return Err(format!("must be a size, such as \"8MiB\", not {}", offending(other))),
    };
    if bytes < least {
        return Err(format!("{} is too little: write at least {:?}", show_size(bytes), show_size(least)));
    }
    Ok(bytes)
}

fn count(given: Given<'_>, least: usize, most: usize) -> Result<usize, String> {
    let n = match given {
        Given::Bare(text) => {
            text.trim().parse::<i64>().map_err(|_| format!("{text:?} is not a whole number: write such as 5"))?
        }
        Given::Toml(DeValue::Integer(n)) => number(n)?,
        Given::Toml(DeValue::String(text)) if text.parse::<i64>().is_ok() => {
            return Err(format!("{text:?} is text: write {text} without quotes"));
        }
        Given::Toml(other) => return Err(format!("must be a whole number, such as 5, not {}", offending(other))),
    };
    let within = usize::try_from(n).ok().filter(|n| (least..=most).contains(n));
    within.ok_or_else(|| match n {
        n if n < 0 => format!("{n} is negative: write at least {least}"),
        0 => format!("cannot be 0, nothing could ever start: write at least {least}"),
        n => format!("{n} is too much: write at most {most}"),
    })
}

fn number(n: &DeInteger<'_>) -> Result<i64, String> {
    i64::from_str_radix(n.as_str(), n.radix()).map_err(|_| format!("{n} is too much"))
}

fn flag(given: Given<'_>, name: &str) -> Result<bool, String> {
    match given {
        Given::Toml(DeValue::Boolean(flag)) => Ok(*flag),
        Given::Toml(DeValue::String(text)) => Err(match truth(text) {
            Some(meant) => format!("must be true or false, not {text:?}: write `{name} = {meant}` without quotes"),
            None => format!("must be true or false without quotes, not {text:?}"),
        }),
        Given::Toml(other) => Err(format!("must be true or false, not {}", offending(other))),
        Given::Bare(text) => truth(text).ok_or_else(|| format!("must be true or false, not {text:?}")),
    }
}

/// What people write for yes and no.
fn truth(text: &str) -> Option<bool> {
    match text.trim().to_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

fn text(given: Given<'_>) -> Result<&str, String> {
    match given {
        Given::Bare(text) => Ok(text),
        Given::Toml(DeValue::String(text)) => Ok(text),
        Given::Toml(other) => Err(format!("must be text in quotes, not {}", offending(other))),
    }
}

fn listed<'a>(value: &'a DeValue<'_>) -> Result<Vec<&'a str>, Wrong> {
    let Some(items) = value.as_array() else {
        let instead = value.as_str().map_or_else(|| "[\"…\"]".into(), |text| format!("[{text:?}]"));
        return Err(format!("must be a list, not {}: write {instead}", offending(value)).into());
    };
    let item = |item: &'a Spanned<DeValue<'_>>| {
        let wrong = || Wrong {
            message: format!("holds {}: a list of text in quotes is wanted", offending(item.get_ref())),
            at: Some(item.span()),
        };
        item.get_ref().as_str().ok_or_else(wrong)
    };
    items.iter().map(item).collect()
}

fn separated(bare: &str) -> Vec<&str> {
    bare.split(',').map(str::trim).filter(|w| !w.is_empty()).collect()
}

fn variables(given: Given<'_>) -> Result<BTreeMap<String, String>, Wrong> {
    const HOW: &str = "write { NAME = \"value\" }";
    match given {
        Given::Toml(DeValue::Table(table)) => variables_in(table),
        Given::Toml(other) => Err(format!("must be a table, not {}: {HOW}", offending(other)).into()),
        Given::Bare(bare) => match inline(bare).map_err(|_| format!("is not a table: {HOW}"))? {
            DeValue::Table(table) => variables_in(&table),
            other => Err(format!("must be a table, not {}: {HOW}", other.type_str()).into()),
        },
    }
}

/// Values may be secrets: complaints repeat the names only.
fn variables_in(table: &DeTable<'_>) -> Result<BTreeMap<String, String>, Wrong> {
    let entry = |(name, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
        let name: &str = std::borrow::Borrow::<str>::borrow(name.get_ref() as &std::borrow::Cow<'_, str>);
        let at = |message| Wrong { message, at: Some(value.span()) };
        variable_name(name).map_err(at)?;
        let kind = value.get_ref().type_str();
        let text = value.get_ref().as_str().ok_or_else(|| at(format!("{name} must be text in quotes, not {kind}")))?;
        if text.contains('\0') {
            return Err(at(format!("{name} cannot hold the character NUL")));
        }
        Ok((name.to_string(), text.to_string()))
    };
    table.iter().map(entry).collect()
}

/// A TOML value written into a variable.
fn inline(bare: &str) -> Result<DeValue<'_>, String> {
    let parsed = DeValue::parse(bare.trim()).map_err(|e| format!("is not valid TOML: {}", e.message()))?;
    Ok(parsed.into_inner())
}

/// The value as it stands in the file, or what it is when it is long.
pub(super) fn offending(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(n) => n.to_string(),
        DeValue::Float(n) => n.to_string(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(date) => date.to_string(),
        DeValue::Array(_) => "a list".into(),
        DeValue::Table(_) => "a table".into(),
    }
}
