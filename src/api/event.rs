//! The events that are kept, as one answer. The stream itself is server-sent events.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::client::path_segment;

/// `GET /api/events?follow=false`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Events {
    /// [`crate::model::event::Event`]; of a later version, kinds that are not known here.
    pub events: Vec<Value>,
    /// `since` of the next question.
    pub next: u64,
    /// There are later ones.
    pub more: bool,
}

/// Which events: the query of `GET /api/events`. Every key may be left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Which {
    /// A number (what comes after it), a time, or an age such as `2h`.
    pub since: Option<String>,
    /// Kinds, separated by commas.
    pub kind: Option<String>,
    pub limit: Option<u32>,
    /// Not before there is one, for a while.
    pub wait: bool,
}

impl Which {
    /// The address of one answer.
    pub fn path(&self) -> String {
        let texts = [("since", &self.since), ("kind", &self.kind)];
        let texts =
            texts.into_iter().filter_map(|(key, text)| Some(format!("&{key}={}", path_segment(text.as_ref()?))));
        let limit = self.limit.map(|limit| format!("&limit={limit}"));
        let wait = self.wait.then(|| "&wait=true".to_string());
        format!("/api/events?follow=false{}", texts.chain(limit).chain(wait).collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_an_address_that_means_the_same() {
        assert_eq!(Which::default().path(), "/api/events?follow=false");
        let which = Which { since: Some("2 h&x".into()), kind: Some("a,b".into()), limit: Some(3), wait: true };
        assert_eq!(which.path(), "/api/events?follow=false&since=2%20h%26x&kind=a%2Cb&limit=3&wait=true");
    }
}
