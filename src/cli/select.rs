//! The sessions a person's words mean, out of a table, by the rules the daemon has too.

use crate::api::types::Session;
use crate::model::scene::SHELL;
use crate::model::select::{self, Choice, NotChosen};
use crate::model::session::{Origin, State};

/// Ids, each once, in the order of the words.
pub fn ids(words: &[String], sessions: &[Session]) -> Result<Vec<String>, NotChosen> {
    Ok(select::several(words, &choices(sessions))?.into_iter().map(String::from).collect())
}

/// The sessions meant; none where a word means nothing (the daemon is about to say so).
pub fn sessions<'a>(words: &[String], sessions: &'a [Session]) -> Vec<&'a Session> {
    let ids = ids(words, sessions).unwrap_or_default();
    sessions.iter().filter(|s| ids.contains(&s.id)).collect()
}

/// Live ones first, each group newest first, as [`select`] wants them.
fn choices(sessions: &[Session]) -> Vec<Choice<'_>> {
    let mut ordered: Vec<&Session> = sessions.iter().collect();
    // RFC 3339 in UTC sorts as text; an ended session counts from its end.
    ordered.sort_by(|a, b| is_live(b).cmp(&is_live(a)).then_with(|| moment(b).cmp(moment(a))));
    ordered
        .into_iter()
        .map(|s| {
            let also = s.address.as_deref().unwrap_or_default();
            let listed = s.agent != SHELL || s.origin == Origin::Managed;
            Choice { id: &s.id, name: &s.name, also, live: is_live(s), listed }
        })
        .collect()
}

fn is_live(session: &Session) -> bool {
    session.state != State::Ended
}

fn moment(session: &Session) -> &str {
    session.exit.as_ref().map_or(&session.started_at, |exit| &exit.at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::sample;

    #[test]
    fn a_name_means_the_live_session_else_the_one_that_ended_last() {
        let ended = |id: &str, at: &str| {
            let exit = crate::model::session::Exit {
                code: Some(0),
                signal: None,
                at: at.into(),
                by: crate::model::session::ExitBy::Itself,
                reason: String::new(),
            };
            Session { state: State::Ended, exit: Some(exit), ..sample::session(id, "front") }
        };
        let mut all = vec![ended("aaa", "2026-01-01T00:00:00Z"), ended("bbb", "2026-01-02T00:00:00Z")];
        assert_eq!(ids(&["front".into()], &all).unwrap(), ["bbb"]);
        all.push(sample::session("ccc", "front"));
        assert_eq!(ids(&["front".into(), "aa".into()], &all).unwrap(), ["ccc", "aaa"]);
        assert!(sessions(&["none".into()], &all).is_empty());
    }
}
