//! What to do about sessions that are not well, as the daemon's health report recommends it.
//!
//! Asked for while the details of such a session are shown, and not more often than every [`GAP`].

use std::collections::BTreeMap;
use std::time::Duration;

use super::asking::Asking;
use super::msg::Answer;
use crate::api::types::Recommendation;
use crate::model::text::printable_within;

const GAP: Duration = Duration::from_secs(5);

/// The last answer, by session.
#[derive(Debug, Default)]
pub struct Advice {
    texts: BTreeMap<String, String>,
    asking: Asking,
}

impl Advice {
    pub fn of(&self, id: &str) -> Option<&str> {
        self.texts.get(id).map(String::as_str)
    }

    /// True when it is time to ask; then it counts as asked.
    pub fn ask(&mut self, now: Duration) -> bool {
        self.asking.begins(now, GAP)
    }

    /// Takes an answer; true when it says something else. Without one the last holds.
    pub fn came(&mut self, answer: Answer<Vec<Recommendation>>) -> bool {
        self.asking.answered();
        let Ok(list) = answer else { return false };
        let texts = list.into_iter().map(|r| (r.id, printable_within(&r.text, 300))).collect();
        let changed = self.texts != texts;
        self.texts = texts;
        changed
    }
}
