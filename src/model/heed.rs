//! Which source to heed about what an agent is doing, where there are several. None has sole authority: the newest and
//! more specific wins, a question on the screen goes before all, and silence decays `working`.

use std::time::Duration;

use super::session::Attention;

/// Nobody works for longer than this without a trace.
const DECAY: Duration = Duration::from_secs(60);

/// What a source says, and for how long it has said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Says {
    pub attention: Attention,
    pub ago: Duration,
}

/// What to believe. `screen` is read again whenever something was written; `file` is the agent's own; `quiet` is the time
/// since the last trace of any activity.
pub fn heed(screen: Option<Says>, file: Option<Says>, quiet: Option<Duration>) -> Option<Attention> {
    if let Some(asks) = screen.filter(|s| s.attention == Attention::Waiting) {
        return Some(asks.attention);
    }
    let newest = match (screen, file) {
        (Some(screen), Some(file)) if screen.ago < file.ago => screen,
        (_, Some(file)) => file,
        (Some(screen), None) => screen,
        (None, None) => return None,
    };
    let is_stale = newest.attention == Attention::Working && quiet.is_some_and(|quiet| quiet.min(newest.ago) > DECAY);
    (!is_stale).then_some(newest.attention)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Attention::{Idle, Waiting, Working};

    fn says(attention: Attention, seconds: u64) -> Says {
        Says { attention, ago: Duration::from_secs(seconds) }
    }

    #[test]
    fn the_newest_wins_a_question_goes_first_and_silence_decays_work() {
        for (screen, file, quiet, expected, what) in [
            (None, None, 0, None, "nobody says anything"),
            (Some(says(Working, 5)), None, 1, Some(Working), "the screen alone"),
            (None, Some(says(Idle, 900)), 900, Some(Idle), "the file alone"),
            (Some(says(Waiting, 900)), Some(says(Working, 1)), 1, Some(Waiting), "a question on the screen"),
            (Some(says(Working, 2)), Some(says(Idle, 90)), 1, Some(Working), "the screen is newer"),
            (Some(says(Idle, 90)), Some(says(Working, 2)), 1, Some(Working), "the file is newer"),
            (Some(says(Idle, 4)), Some(says(Working, 4)), 1, Some(Working), "at the same time the agent's own word"),
            (None, Some(says(Working, 900)), 61, None, "busy without a trace"),
            (None, Some(says(Working, 900)), 59, Some(Working), "busy, and something moves"),
            (Some(says(Working, 900)), None, 900, None, "a picture of work that stands still"),
            (Some(says(Working, 5)), None, 900, Some(Working), "it has only just said so"),
        ] {
            assert_eq!(heed(screen, file, Some(Duration::from_secs(quiet))), expected, "{what}");
        }
        assert_eq!(heed(None, Some(says(Working, 900)), None), Some(Working), "nobody could hear anything");
    }
}
