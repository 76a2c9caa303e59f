//! When the selected session's screen is fetched: at once when the selection moves, else only while
//! something changes, and never more often than every [`GAP`].
//!
//! ```text
//!   nothing new ── the row shows activity, or the last fetch brought a change ──▶ due
//!        ▲                                                                        │ GAP since the last
//!        └─────────────── picture came ◀── asked ◀────────────────────────────────┘
//! ```

use std::time::Duration;

use super::msg::{Answer, Effect};
use super::picture::Picture;
use super::rows::Row;
use crate::model::session::Attention;

/// The shortest time between two fetches of one session's screen.
pub const GAP: Duration = Duration::from_millis(250);

/// What of a row says that its screen may be another one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Signs {
    last_activity_at: Option<String>,
    messages: Option<u64>,
    /// The generation of the table while the agent works: its spinner is no activity, but seen.
    generation: Option<u64>,
}

/// The picture and what is known about its age.
#[derive(Debug, Default)]
pub struct Preview {
    /// The session the picture (or the error) is of.
    id: Option<String>,
    picture: Option<Picture>,
    error: Option<String>,
    asked: Option<Asked>,
    is_under_way: bool,
    /// The last fetch brought another picture: look again soon.
    is_moving: bool,
    is_wake_set: bool,
}

#[derive(Debug)]
struct Asked {
    id: String,
    signs: Signs,
    at: Duration,
}

impl Preview {
    /// The picture of this session, if it is there.
    pub fn picture(&self, id: &str) -> Option<&Picture> {
        self.picture.as_ref().filter(|_| self.id.as_deref() == Some(id))
    }

    /// Why there is no picture of this session.
    pub fn error(&self, id: &str) -> Option<&str> {
        self.error.as_deref().filter(|_| self.id.as_deref() == Some(id))
    }

    /// Takes what came; true when it shows something else than before.
    pub fn came(&mut self, id: String, picture: Answer<Box<Picture>>) -> bool {
        self.is_under_way = false;
        let same_session = self.id.as_deref() == Some(id.as_str());
        let changed = match (&self.picture, &picture) {
            (Some(old), Ok(new)) if same_session => !old.is_same(new),
            (_, Ok(_)) => true,
            (_, Err(error)) => self.error.as_deref() != Some(error) || !same_session,
        };
        self.is_moving = same_session && changed && picture.is_ok();
        self.id = Some(id);
        (self.picture, self.error) = match picture {
            Ok(new) => (Some(*new), None),
            // The last picture stays: it is more than nothing, and the error says why it is old.
            Err(error) => (self.picture.take().filter(|_| same_session), Some(error)),
        };
        changed
    }

    /// The picture is not to be trusted any more: somebody typed, or was away.
    pub fn expire(&mut self) {
        self.is_moving = true;
    }

    /// A moment asked for has come.
    pub fn woke(&mut self) {
        self.is_wake_set = false;
    }

    /// What to ask for now, given the row the cursor is on.
    pub fn wanted(&mut self, now: Duration, row: &Row, generation: u64) -> Option<Effect> {
        let signs = Signs::of(row, generation);
        if self.is_under_way {
            return None;
        }
        if let Some(asked) = self.asked.as_ref().filter(|asked| asked.id == row.id()) {
            if asked.signs == signs && !self.is_moving {
                return None;
            }
            let wait = (asked.at + GAP).saturating_sub(now);
            if !wait.is_zero() {
                let is_set = std::mem::replace(&mut self.is_wake_set, true);
                return (!is_set).then_some(Effect::Wake(wait));
            }
        }
        self.asked = Some(Asked { id: row.id().into(), signs, at: now });
        (self.is_under_way, self.is_moving) = (true, false);
        Some(Effect::Look(row.id().into()))
    }
}

impl Signs {
    fn of(row: &Row, generation: u64) -> Self {
        let session = &row.session;
        Self {
            last_activity_at: session.last_activity_at.clone(),
            messages: session.messages,
            generation: (session.attention == Attention::Working).then_some(generation),
        }
    }
}
