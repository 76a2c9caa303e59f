//! `ls`: the table of sessions.

use super::args::{Globals, Ls};
use super::exit::{DONE, Ended};
use super::table::{Cell, Column, Table};
use super::{connect, print};
use crate::api::types::Session;
use crate::model::session::{Health, Origin, State};
use crate::sys::term;

const COLUMNS: &[Column] = &[
    Column::new("ID", 0),
    Column::new("NAME", 0).least(16),
    Column::new("AGENT", 3),
    Column::new("PROJECT", 5),
    Column::new("STATE", 0),
    Column::new("HEALTH", 0),
    Column::new("IDLE", 2).right(),
    Column::new("AGE", 4).right(),
    Column::new("CPU", 6).right(),
    Column::new("MEM", 7).right(),
    Column::new("PROCS", 8).right(),
    Column::new("REASON", 1).least(12),
];

pub async fn run(globals: &Globals, args: &Ls) -> Ended {
    let table = connect::client(globals).await?.sessions(args.all, true).await?;
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
    vec![
        Cell::new(&s.id),
        Cell::new(&s.name),
        Cell::new(&s.agent),
        Cell::new(s.project.as_deref().unwrap_or_default()),
        Cell::new(s.state.as_str()),
        health(s),
        Cell::new(print::or_unknown(s.idle_seconds, print::duration)),
        Cell::new(print::duration(s.age_seconds)),
        Cell::new(print::or_unknown(s.cpu_percent, print::percent)),
        Cell::new(print::or_unknown(s.memory_bytes, print::size)),
        Cell::new(print::or_unknown(s.processes, |n| n.to_string())),
        Cell::new(&s.reason),
    ]
}

fn health(session: &Session) -> Cell {
    // An ended session is neither well nor ill.
    if session.state == State::Ended {
        return Cell::new(print::UNKNOWN);
    }
    let style = match session.health {
        Health::Healthy => "32",
        Health::Stuck => "33",
        Health::Orphaned => "31",
    };
    Cell::new(session.health.as_str()).styled(style)
}
