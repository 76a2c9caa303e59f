//! Profiles: what is known of each kind of agent. Data, and the pure questions that can be put to it.
//!
//! ```text
//!   argv, exe ──► argv (through launchers) ──► matching ──► Agent | Helper | Excluded | Nothing
//!   title, screen ──────────────────────────► attention ──► working | waiting | idle, a gate, or nothing
//!   its own files and hooks ────────────────► vendor
//! ```
//!
//! The data is in `assets/agents/*.toml` and in the user's `[[agent]]`; `config` reads both. Texts of agents
//! change with every release, so nothing of them stands here.

mod argv;
mod attention;
mod matching;
mod pattern;
mod vendor;

pub use attention::{Gate, Look, Region, Rule, Says};
pub use matching::{Exclude, Helper, HelperKind, Match, Recognition, Who};
pub use pattern::Pattern;
pub use vendor::{Gentle, Resume, Status, StatusFile, StatusHook, Words};

use std::sync::Arc;

use super::policy::Limits;

/// One kind of agent.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Profile {
    pub name: String,
    /// The command that starts one; `None`: nobody starts it without saying so.
    pub start: Option<String>,
    pub recognition: Recognition,
    pub excludes: Vec<Exclude>,
    pub helpers: Vec<Helper>,
    /// In the order in which they are asked.
    pub rules: Vec<Rule>,
    /// Characters that turn while it works, beyond the common ones.
    pub spinner: String,
    pub status_file: Option<StatusFile>,
    pub status_hook: Option<StatusHook>,
    pub gentle: Gentle,
    pub resume: Resume,
    /// Of its sessions, instead of those of all.
    pub limits: Limits,
}

/// Every profile there is, in the order in which they are asked. Cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub struct Profiles(Arc<Vec<Profile>>);

impl Profiles {
    pub fn new(profiles: Vec<Profile>) -> Self {
        Self(Arc::new(profiles))
    }

    pub fn all(&self) -> &[Profile] {
        &self.0
    }

    pub fn by_name(&self, name: &str) -> Option<&Profile> {
        self.0.iter().find(|p| p.name == name)
    }

    /// Of those that can be started by their names, in this order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|p| p.start.is_some()).map(|p| p.name.as_str())
    }

    /// Commands to look for when nobody said which agent to start, in this order.
    pub fn startable(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|p| p.start.as_deref())
    }
}
