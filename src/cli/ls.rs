//! `ls`: the table of sessions.

use super::args::{Globals, Ls};
use super::exit::{DONE, Ended};
use super::table::{Cell, Column, Table};
use super::{cleanup, connect, print};
use crate::api::types::Session;
use crate::model::session::{Health, Origin, State};
use crate::sys::{clock, term};

const COLUMNS: &[Column] = &[
    Column::new("ID", 0),
    Column::new("NAME", 0).least(16),
    Column::new("AGENT", 5),
    Column::new("ORIGIN", 5),
    Column::new("PROJECT", 7),
    Column::new("STATE", 2),
    Column::new("HEALTH", 1),
    Column::new("IDLE", 4).right(),
    Column::new("AGE", 6).right(),
    Column::new("CPU", 8).right(),
    Column::new("MEM", 9).right(),
    Column::new("PROCS", 10).right(),
    Column::new("REASON", 3).least(12),
];

pub async fn run(globals: &Globals, args: &Ls) -> Ended {
    let client = connect::client(globals).await?;
    let table = if args.shells {
        client.sessions_with_shells(args.all).await?
    } else {
        client.sessions(args.all, true).await?
    };
    let sessions: Vec<&Session> = table.sessions.iter().filter(|s| is_wanted(s, args)).collect();
    if args.json {
        print::json(&sessions)?;
    } else if sessions.is_empty() && print::is_terminal() {
        print::complain("no sessions (`beadle run -- claude` starts one)");
    } else {
        print(&sessions)?;
    }
    Ok(DONE)
}

fn is_wanted(session: &Session, args: &Ls) -> bool {
    let is = |wanted: &Option<String>, value: Option<&str>| wanted.is_none() || wanted.as_deref() == value;
    args.health.is_none_or(|health| session.health == health)
        && args.origin.is_none_or(|origin| session.origin == origin)
        && is(&args.agent, Some(&session.agent))
        && is(&args.project, session.project.as_deref())
        && (args.shells || session.agent != "shell" || session.origin == Origin::Managed)
}

/// The table as people read it; also what `health` shows.
pub fn print(sessions: &[&Session]) -> Result<(), super::exit::Failure> {
    let mut table = Table::new(COLUMNS);
    for session in sessions {
        table.push(row(session));
    }
    // Whoever reads through a pipe gets everything.
    let width = print::is_terminal().then(|| usize::from(term::size().0));
    print::raw(&table.render(width, print::is_coloured()))
}

fn row(s: &Session) -> Vec<Cell> {
    // What has ended has none of these; that is not unknown, and leaves its room to the reason.
    let now = |text: String| if s.state == State::Ended { Cell::new("") } else { Cell::new(text) };
    vec![
        Cell::new(&s.id),
        Cell::new(&s.name),
        Cell::new(&s.agent),
        Cell::new(s.origin.as_str()),
        Cell::new(s.project.as_deref().unwrap_or_default()),
        Cell::new(s.state.as_str()),
        health(s),
        now(print::or_unknown(s.idle_seconds, print::duration)),
        Cell::new(print::duration(s.age_seconds)),
        now(print::or_unknown(s.cpu_percent, print::percent)),
        now(print::or_unknown(s.memory_bytes, print::size)),
        now(print::or_unknown(s.processes, |n| n.to_string())),
        Cell::new(cleanup::announced(s, &clock::wall()).as_ref().unwrap_or(&s.reason)),
    ]
}

fn health(session: &Session) -> Cell {
    // An ended session is neither well nor ill.
    if session.state == State::Ended {
        return Cell::new("");
    }
    let style = match session.health {
        Health::Healthy => "32",
        Health::Stuck => "33",
        Health::Orphaned => "31",
    };
    Cell::new(session.health.as_str()).styled(style)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::sample;

    #[test]
    fn what_has_ended_shows_nothing_of_the_present_and_leaves_its_room_to_the_reason() {
        let mut ended = sample::session("a", "a");
        ended.state = State::Ended;
        ended.reason = "closed by user".into();
        let mut table = Table::new(COLUMNS);
        table.push(row(&ended));
        let text = table.render(Some(80), false);
        assert!(text.contains("closed by user") && !text.contains("MEM") && !text.contains("HEALTH"), "{text}");
    }

    #[test]
    fn what_was_not_asked_for_is_left_out() {
        let mut session = sample::session("a", "a");
        assert!(is_wanted(&session, &none()));
        assert!(!is_wanted(&session, &Ls { health: Some(Health::Healthy), ..none() }));
        let shop = Some("shop".to_string());
        let every = Ls { project: shop.clone(), ..none() };
        assert!(!is_wanted(&session, &every));
        session.project = shop;
        assert!(is_wanted(&session, &every));
    }

    #[test]
    fn plain_shells_in_panes_are_shown_only_when_asked_for() {
        let mut session = sample::session("a", "a");
        session.agent = "shell".into();
        assert!(is_wanted(&session, &none()));
        session.origin = Origin::Tmux;
        assert!(!is_wanted(&session, &none()));
        assert!(is_wanted(&session, &Ls { shells: true, ..none() }));
    }

    fn none() -> Ls {
        Ls { all: false, health: None, project: None, agent: None, origin: None, shells: false, json: false }
    }

    #[test]
    fn it_is_never_wider_than_the_terminal_and_health_stays_longest() {
        let mut table = Table::new(COLUMNS);
        table.push(row(&sample::session("k3f9q2", "frontend-CreateLoginForm")));
        for width in [10, 20, 30, 40, 60] {
            let text = table.render(Some(width), false);
            assert!(text.lines().all(|line| line.chars().count() <= width), "{width}: {text}");
            assert_eq!(text.contains("HEALTH"), width >= 40, "{width}: {text}");
        }
    }

    #[test]
    fn at_80_columns_name_state_and_reason_are_there() {
        let mut table = Table::new(COLUMNS);
        table.push(row(&sample::session("k3f9q2", "frontend-CreateLoginForm")));
        let text = table.render(Some(80), false);
        for word in ["NAME", "STATE", "HEALTH", "REASON", "frontend-CreateL", "stuck"] {
            assert!(text.contains(word), "{text}");
        }
    }
}
