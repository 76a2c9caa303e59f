//! What of the changes a person is told though they look elsewhere: somebody waits for them, is stuck or orphaned, or
//! has ended without being asked to.

use super::app::App;
use super::rows::Kind;
use super::seen::Change;

/// More at once are counted.
const NAMED: usize = 3;

/// One sentence about all that is worth one; `None` when nothing is.
pub fn sentence(app: &App, changes: &[Change]) -> Option<String> {
    let told: Vec<String> = changes.iter().filter_map(|change| clause(app, change)).collect();
    let more = told.len().saturating_sub(NAMED);
    let named = told.iter().take(NAMED).cloned().collect::<Vec<_>>().join(" · ");
    match (told.is_empty(), more) {
        (true, _) => None,
        (false, 0) => Some(named),
        (false, more) => Some(format!("{named} · and {more} more")),
    }
}

fn clause(app: &App, change: &Change) -> Option<String> {
    let name = &change.name;
    match change.kind {
        // Who is closed from here is reported on anyway.
        None if app.has_asked_to_close(&change.id) => None,
        None => Some(format!("{name} has ended")),
        Some(_) if !change.is_verdict => None,
        Some(Kind::Waiting) => Some(format!("{name} waits for you")),
        Some(kind @ (Kind::Stuck | Kind::Orphaned)) => Some(format!("{name} is {}", kind.word())),
        Some(Kind::Healthy) => None,
    }
}
