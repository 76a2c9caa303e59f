//! A setting written into the text of a file: its comments, its order and everything else stay as they are.

use toml_edit::{DocumentMut, Item, Table, TableLike, Value};

use super::error::{ConfigError, Fault, Place};
use super::key::Key;
use super::load::{parse, settable};

/// The text with these keys of `[cleanup]` and `[health]` set. A text that is wrong, or would be afterwards, is refused
/// whole.
pub fn edited(text: &str, pairs: &[(&str, &str)]) -> Result<String, ConfigError> {
    let mut config = parse(text, &[])?;
    config.set_all(pairs)?;
    let mut document: DocumentMut = text.parse().map_err(|e| wrong("the file", format!("cannot be edited: {e}")))?;
    for (name, _) in pairs {
        let key = settable(name).map_err(|message| wrong(name, message))?;
        put(&mut document, key, &key.show(&config).to_string())?;
    }
    let text = document.to_string();
    parse(&text, &[])?;
    Ok(text)
}

fn put(document: &mut DocumentMut, key: &Key, value: &str) -> Result<(), ConfigError> {
    let section = document.entry(key.section).or_insert_with(|| Item::Table(Table::new()));
    let Some(table) = section.as_table_like_mut() else {
        return Err(wrong(&key.path(), format!("[{}] is not a section in the file", key.section)));
    };
    let value: Value = value.parse().map_err(|e| wrong(&key.path(), format!("cannot be written: {e}")))?;
    replace(table, key.name, value);
    Ok(())
}

/// What stands around the old value, such as a comment behind it, stands around the new one.
fn replace(table: &mut dyn TableLike, name: &str, mut value: Value) {
    if let Some(old) = table.get_mut(name).and_then(Item::as_value_mut) {
        *value.decor_mut() = old.decor().clone();
        *old = value;
    } else {
        table.insert(name, Item::Value(value));
    }
}

fn wrong(name: &str, message: String) -> ConfigError {
    ConfigError::Wrong(vec![Fault { place: Place::Setting(name.into()), message }])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_changes_and_nothing_else_does() {
        let text = "# mine\n[stop]\ngrace = \"1s\"   # short\n\n[cleanup] # rules\nmax_idle = \"10m\"  # ten\n#notice = \"5m\"\n\n# the end\n";
        let new = edited(text, &[("max_idle", "200ms"), ("cleanup.enabled", "false")]).unwrap();
        let expected = "# mine\n[stop]\ngrace = \"1s\"   # short\n\n[cleanup] # rules\nmax_idle = \"200ms\"  # ten\nenabled = false\n#notice = \"5m\"\n\n# the end\n";
        assert_eq!(new, expected);
    }

    #[test]
    fn a_key_finds_its_section_however_it_is_written() {
        for (text, expected) in [
            ("", "[health]\nstuck_after = \"20m\"\n"),
            ("health.stuck_after = \"5m\"\n", "health.stuck_after = \"20m\"\n"),
            ("health = { stuck_after = \"5m\" }\n", "health = { stuck_after = \"20m\" }\n"),
            ("[stop]\ngrace = \"1s\"\n", "[stop]\ngrace = \"1s\"\n\n[health]\nstuck_after = \"20m\"\n"),
        ] {
            assert_eq!(edited(text, &[("stuck_after", "20m")]).unwrap(), expected);
        }
        let list = edited("", &[("reach", "managed, tmux"), ("max_sessions", "7")]).unwrap();
        assert_eq!(list, "[cleanup]\nreach = [\"managed\", \"tmux\"]\nmax_sessions = 7\n");
    }

    #[test]
    fn what_is_wrong_before_or_after_is_refused() {
        for (text, pair, said) in [
            ("[cleanup\n", ("max_idle", "1m"), "not valid TOML"),
            ("[cleanup]\nmax_idel = \"1m\"\n", ("max_idle", "1m"), "did you mean"),
            ("[health]\nstuck_after = \"2h\"\norphaned_after = \"3h\"\n", ("orphaned_after", "1h"), "is below"),
            ("", ("grace", "1s"), "no key of [cleanup] or [health]"),
            ("", ("stop.grace", "1s"), "cannot change while the daemon runs"),
        ] {
            let error = edited(text, &[pair]).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
