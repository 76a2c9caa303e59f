//! One row for each setting: its name, what kind of value it takes, and where in [`Config`] it lives.
//!
//! Reading, showing, the environment and the suggestions all walk this table; nothing else lists the keys.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Config;
use super::words::{Spelt, variable_name};

/// A setting.
pub(super) struct Key {
    pub section: &'static str,
    pub name: &'static str,
    pub field: Field,
}

/// Where a value of some type lives.
pub(super) struct Slot<T: 'static> {
    pub get: fn(&Config) -> &T,
    pub at: fn(&mut Config) -> &mut T,
}

/// What kind of value a key takes.
pub(super) enum Field {
    Time(Slot<Duration>, Zero),
    /// Bytes, with the least allowed.
    Size(Slot<u64>, u64),
    /// A number, with the least and the most allowed.
    Count(Slot<usize>, usize, usize),
    Flag(Slot<bool>),
    /// Anything [`Spelt`].
    Text {
        read: fn(&mut Config, &str) -> Result<(), String>,
        show: fn(&Config) -> String,
    },
    /// A list of such.
    Words {
        read: fn(&mut Config, &[&str]) -> Result<(), String>,
        show: fn(&Config) -> Vec<String>,
    },
    /// Environment variables.
    Variables(Slot<BTreeMap<String, String>>),
}

/// What `0s` means.
pub(super) enum Zero {
    /// Something sensible: a delay switched off, a grace skipped.
    Fine,
    /// Nothing; says why, and what to write instead.
    Refused(&'static str),
}

impl Key {
    /// `cleanup.max_idle`
    pub fn path(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }

    /// `BEADLE_CLEANUP__MAX_IDLE`
    pub fn env_name(&self) -> String {
        format!("BEADLE_{}__{}", self.section, self.name).to_uppercase()
    }

    /// May change while the daemon runs, by `set`.
    pub fn is_settable(&self) -> bool {
        SETTABLE.contains(&self.section)
    }
}

/// Sections whose keys `set` may change.
pub(super) const SETTABLE: &[&str] = &["cleanup", "health"];

/// The section names, each once, in the order of the table.
pub(super) fn sections() -> Vec<&'static str> {
    let mut names: Vec<&'static str> = KEYS.iter().map(|k| k.section).collect();
    names.dedup();
    names
}

/// The keys of one section.
pub(super) fn keys_of(section: &str) -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(move |k| k.section == section)
}

/// The most sessions or projects a cap may name; a sanity bound, not a measurement.
const MANY: usize = 1_000_000;

const NOT_AT_ONCE: Zero = Zero::Refused("every session would be a fault at once; write a short time such as \"1s\"");
const SWITCH_OFF: Zero = Zero::Refused(
    "every session would be closed at once; write `enabled = false` in [cleanup] to close none, or a long time such as \"3650d\"",
);

const NO_PAUSE: Zero =
    Zero::Refused("what fails at once would be started without a pause; write a short time such as \"200ms\"");

macro_rules! key {
    ($section:ident.$name:ident, $field:expr) => {
        Key { section: stringify!($section), name: stringify!($name), field: $field }
    };
}

macro_rules! slot {
    ($section:ident.$name:ident) => {
        Slot { get: |c| &c.$section.$name, at: |c| &mut c.$section.$name }
    };
}

macro_rules! time {
    ($section:ident.$name:ident, $zero:expr) => {
        key!($section.$name, Field::Time(slot!($section.$name), $zero))
    };
}

macro_rules! size {
    ($section:ident.$name:ident, $least:expr) => {
        key!($section.$name, Field::Size(slot!($section.$name), $least))
    };
}

macro_rules! count {
    ($section:ident.$name:ident, $least:expr) => {
        key!($section.$name, Field::Count(slot!($section.$name), $least, MANY))
    };
}

macro_rules! flag {
    ($section:ident.$name:ident) => {
        key!($section.$name, Field::Flag(slot!($section.$name)))
    };
}

macro_rules! text {
    ($section:ident.$name:ident) => {
        key!(
            $section.$name,
            Field::Text {
                read: |c, t| Spelt::read(t).map(|v| c.$section.$name = v),
                show: |c| c.$section.$name.spell(),
            }
        )
    };
}

macro_rules! words {
    ($section:ident.$name:ident, $check:expr) => {
        key!(
            $section.$name,
            Field::Words {
                read: |c, words| {
                    let check: fn(&[&str]) -> Result<(), String> = $check;
                    check(words)?;
                    each_once(words).map(|v| c.$section.$name = v)
                },
                show: |c| c.$section.$name.iter().map(Spelt::spell).collect(),
            }
        )
    };
}

/// Every setting, in the order in which they are shown.
pub(super) const KEYS: &[Key] = &[
    time!(health.stuck_after, NOT_AT_ONCE),
    time!(health.orphaned_after, NOT_AT_ONCE),
    time!(health.spin_after, NOT_AT_ONCE),
    flag!(cleanup.enabled),
    time!(cleanup.interval, Zero::Refused("the cleaner would never rest; write a short time such as \"1s\"")),
    time!(cleanup.max_idle, SWITCH_OFF),
    time!(cleanup.max_age, SWITCH_OFF),
    time!(cleanup.max_waiting, SWITCH_OFF),
    time!(cleanup.linger, Zero::Fine),
    time!(cleanup.notice, Zero::Fine),
    time!(cleanup.quiet_start, Zero::Fine),
    count!(cleanup.max_sessions, 1),
    count!(cleanup.max_sessions_per_workspace, 0),
    words!(cleanup.reach, not_empty),
    time!(stop.grace, Zero::Fine),
    time!(restart.base, NO_PAUSE),
    time!(restart.most, NO_PAUSE),
    count!(restart.limit, 1),
    time!(
        restart.stable,
        Zero::Refused("no run would count as a failure, and there would be no end; write such as \"60s\"")
    ),
    text!(shutdown.sessions),
    time!(shutdown.deadline, Zero::Refused("nothing could be closed in no time; write a short one such as \"1s\"")),
    size!(record.per_session, 64 << 10),
    size!(record.total, 64 << 10),
    time!(record.keep, Zero::Refused("recordings would be gone before anybody could read them; write such as \"1h\"")),
    text!(attach.detach_key),
    text!(agents.default),
    text!(agents.workspace),
    text!(agents.authority),
    text!(sweep.fence),
    time!(sweep.min_age, Zero::Refused("a process just starting would be taken; write a short time such as \"1s\"")),
    count!(projects.max_running, 1),
    key!(projects.env, Field::Variables(slot!(projects.env))),
    words!(projects.env_from, variable_names),
    flag!(projects.requeue),
    text!(server.listen),
    text!(server.token),
    flag!(server.insecure),
    flag!(sys.cgroup),
    flag!(sys.scope),
    text!(tui.theme),
    words!(tui.columns, some_column),
    text!(tui.sort),
    text!(tui.filter),
    flag!(tui.mouse),
    key!(tui.keys, Field::Variables(slot!(tui.keys))),
    words!(tui.tell, |_| Ok(())),
];

fn each_once<T: Spelt + PartialEq>(words: &[&str]) -> Result<Vec<T>, String> {
    let mut out = Vec::new();
    for word in words {
        let read = T::read(word)?;
        if !out.contains(&read) {
            out.push(read);
        }
    }
    Ok(out)
}

fn not_empty(words: &[&str]) -> Result<(), String> {
    if words.is_empty() {
        return Err("is empty: write at least one, or `enabled = false` in [cleanup] to close none".into());
    }
    Ok(())
}

fn some_column(words: &[&str]) -> Result<(), String> {
    if words.is_empty() { Err("is empty: write at least one, such as \"name\"".into()) } else { Ok(()) }
}

fn variable_names(words: &[&str]) -> Result<(), String> {
    words.iter().try_for_each(|w| variable_name(w))
}
