//! What the daemon tells of itself and of the machine, asked for while that pane is shown.

use std::time::Duration;

use super::asking::Asking;
use super::msg::Answer;
use crate::api::types::DaemonStatus;
use crate::model::text::printable_within;

const GAP: Duration = Duration::from_secs(2);

/// The last answer.
#[derive(Debug, Default)]
pub struct Host {
    pub status: Option<DaemonStatus>,
    pub error: Option<String>,
    asking: Asking,
}

impl Host {
    /// True when it is time to ask; then it counts as asked.
    pub fn ask(&mut self, now: Duration) -> bool {
        self.asking.begins(now, GAP)
    }

    pub fn came(&mut self, answer: Answer<Box<DaemonStatus>>) {
        self.asking.answered();
        match answer {
            Ok(status) => (self.status, self.error) = (Some(*status), None),
            Err(why) => self.error = Some(printable_within(&why, 300)),
        }
    }
}
