//! Which action does something to which row: the one table behind foot, help, palette and the keys themselves. What it
//! refuses is refused before any question is asked.

use super::keymap::Action;
use super::rows::Row;
use crate::model::session::{Origin, State};

/// Why the action does nothing to this row, in a sentence; `None` where it does, or is about no row.
pub fn refusal(action: Action, row: &Row) -> Option<String> {
    let name = &row.name;
    let is_managed = row.session.origin == Origin::Managed;
    let is_over = row.session.state == State::Lingering;
    match action {
        Action::TypeLine | Action::Answer if is_managed && is_over => {
            Some(format!("the agent of {name} has gone: nobody reads what is typed"))
        }
        Action::Attach | Action::Window | Action::TypeLine | Action::Answer => out_of_reach(row),
        Action::Pause if !is_managed => {
            Some(format!("beadle did not start {name}: Ctrl-Z in its terminal pauses it, and `fg` there goes on"))
        }
        Action::Restart | Action::Export if !is_managed => {
            Some(format!("beadle did not start {name}: only managed sessions can be {}", past(action)))
        }
        Action::Signal if is_over => Some(format!("the agent of {name} has gone: nobody is left to hear a signal")),
        _ => None,
    }
}

/// Why its terminal cannot be had.
fn out_of_reach(row: &Row) -> Option<String> {
    let name = &row.name;
    match row.session.origin {
        Origin::Managed | Origin::Tmux => None,
        Origin::Found => {
            Some(format!("{name} runs in a terminal beadle cannot reach: go to it where it runs, or x kills it"))
        }
    }
}

const fn past(action: Action) -> &'static str {
    match action {
        Action::Restart => "restarted",
        _ => "exported",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What acts on rows, and on which: managed, with its agent gone, in tmux, in some terminal.
    #[test]
    fn each_action_has_its_rows() {
        let row = |origin, state| {
            let mut session = crate::tui::tests::session("a", "a", "claude");
            (session.origin, session.state) = (origin, state);
            Row::new(session)
        };
        let rows = [
            row(Origin::Managed, State::Running),
            row(Origin::Managed, State::Lingering),
            row(Origin::Tmux, State::Running),
            row(Origin::Found, State::Running),
        ];
        for (action, expected) in [
            (Action::Attach, [true, true, true, false]),
            (Action::Window, [true, true, true, false]),
            (Action::TypeLine, [true, false, true, false]),
            (Action::Answer, [true, false, true, false]),
            (Action::Kill, [true, true, true, true]),
            (Action::KillNow, [true, true, true, true]),
            (Action::Pin, [true, true, true, true]),
            (Action::Pause, [true, true, false, false]),
            (Action::Signal, [true, false, true, true]),
            (Action::Restart, [true, true, false, false]),
            (Action::Export, [true, true, false, false]),
            (Action::Tree, [true, true, true, true]),
        ] {
            assert_eq!(rows.each_ref().map(|row| refusal(action, row).is_none()), expected, "{action:?}");
        }
    }
}
