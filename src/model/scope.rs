//! A systemd scope for each session: what it is called, whether one is asked for, and how that stands.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text::printable_within;

/// How long nobody is asked after a failure.
pub const REST: Duration = Duration::from_secs(60);
/// Characters of a session's name that its scope shows, and bytes of its id.
const SHOWN: usize = 80;
const ID: usize = 48;

/// The unit of a session; a later run of it, by the pid of its keeper, has another: something of the run before may live.
pub fn unit(id: &str, run: Option<i32>) -> String {
    let run = run.map(|pid| format!("-{pid}")).unwrap_or_default();
    format!("beadle-{}{run}.scope", escaped(id))
}

/// Any text as part of a unit's name (systemd.unit(5), "String Escaping").
fn escaped(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.bytes().take(ID).map(|b| if plain(b) { char::from(b).to_string() } else { format!("\\x{b:02x}") }).collect()
}

/// What people see of it in `systemctl` and `systemd-cgls`.
pub fn description(name: &str) -> String {
    format!("beadle session {}", printable_within(name, SHOWN))
}

/// Whether sessions get a scope of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "state", content = "why")]
pub enum Standing {
    /// Not by this configuration.
    Off,
    /// There is no service manager of the user.
    #[default]
    Absent,
    /// There is one, and it was not asked yet.
    Untried,
    /// The last session that began got one.
    Own,
    /// Why it did not.
    Failed(String),
}

impl Standing {
    /// Sessions leave the place the daemon was started in.
    pub fn leaves(&self) -> bool {
        matches!(self, Self::Untried | Self::Own)
    }
}

/// What becomes of sessions, and what follows.
pub fn in_words(standing: &Standing) -> String {
    const WITHOUT: &str = "they stay where the daemon was started, and may end with that login or service";
    match standing {
        Standing::Off => format!("no systemd scope of their own (sys.scope is off): {WITHOUT}"),
        Standing::Absent => format!("no systemd scope of their own (you have no systemd that runs): {WITHOUT}"),
        Standing::Failed(why) => format!("no systemd scope of their own ({why}): {WITHOUT}"),
        Standing::Untried => {
            "a systemd scope for each is asked for: where the daemon was started does not matter".into()
        }
        Standing::Own => "a systemd scope for each: where the daemon was started does not matter".into(),
    }
}

/// Whether the manager is asked for another. Times are those of any one clock.
#[derive(Debug, Default)]
pub struct Trust {
    asked: bool,
    failed: Option<(Duration, String)>,
}

impl Trust {
    pub fn asks(&self, now: Duration) -> bool {
        self.failed.as_ref().is_none_or(|(at, _)| now >= *at + REST)
    }

    /// True when that is news: it failed before.
    pub fn worked(&mut self) -> bool {
        self.asked = true;
        self.failed.take().is_some()
    }

    /// True when that is news: it worked before, or failed for another reason.
    pub fn failed(&mut self, now: Duration, why: String) -> bool {
        self.asked = true;
        let is_new = self.failed.as_ref().is_none_or(|(_, before)| *before != why);
        self.failed = Some((now, why));
        is_new
    }

    /// How it stands where there is a manager.
    pub fn standing(&self) -> Standing {
        match &self.failed {
            Some((_, why)) => Standing::Failed(why.clone()),
            None if self.asked => Standing::Own,
            None => Standing::Untried,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_scope_is_called_after_its_session_and_a_later_run_is_told_apart() {
        assert_eq!(unit("k3f9q2", None), "beadle-k3f9q2.scope");
        assert_eq!(unit("k3f9q2", Some(7)), "beadle-k3f9q2-7.scope");
        assert_eq!(unit("../a-b c.scope", None), "beadle-\\x2e\\x2e\\x2fa\\x2db\\x20c\\x2escope.scope");
    }

    proptest! {
        #[test]
        fn no_name_steers_the_manager(id in "\\PC{0,300}", name in ".{0,300}") {
            let unit = unit(&id, Some(i32::MAX));
            let is_valid = |c: char| c.is_ascii_alphanumeric() || ":-_.\\".contains(c);
            // systemd.unit(5): at most 255 characters.
            prop_assert!(unit.len() <= 255 && unit.chars().all(is_valid), "{unit}");
            prop_assert!(!description(&name).chars().any(char::is_control));
        }
    }

    #[test]
    fn after_a_failure_nobody_is_asked_for_a_while_and_each_reason_is_said_once() {
        let at = Duration::from_secs;
        let mut trust = Trust::default();
        assert_eq!((trust.asks(at(0)), trust.standing()), (true, Standing::Untried));
        assert!(trust.failed(at(10), "a".into()));
        assert_eq!((trust.asks(at(69)), trust.asks(at(70))), (false, true));
        assert!(!trust.failed(at(70), "a".into()) && trust.failed(at(130), "b".into()));
        assert_eq!(trust.standing(), Standing::Failed("b".into()));
        assert!(trust.worked() && !trust.worked());
        assert_eq!((trust.asks(at(131)), trust.standing()), (true, Standing::Own));
    }
}
