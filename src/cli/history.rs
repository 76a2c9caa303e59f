//! `history`: the sessions there were, newest first.

use super::args::{Globals, History, Remembered};
use super::exit::{DONE, Ended, Failure};
use super::show::exit_words;
use super::table::{Cell, Column, Table};
use super::{connect, print};
use crate::api::memory::{Filter, Past};
use crate::sys::{clock, term};

const COLUMNS: &[Column] = &[
    Column::new("STARTED", 0),
    Column::new("ID", 4),
    Column::new("NAME", 0).least(12),
    Column::new("AGENT", 5),
    Column::new("PROJECT", 6),
    Column::new("LIVED", 2).right(),
    Column::new("CLOSE", 3),
    Column::new("END", 0).least(12),
];

pub async fn run(globals: &Globals, args: &History) -> Ended {
    let history = connect::client(globals).await?.history(&filter(&args.which)).await?;
    if args.json {
        print::json(&history.sessions)?;
    } else {
        print(COLUMNS, history.sessions.iter().map(row))?;
    }
    say_more(history.more, args.which.limit);
    Ok(DONE)
}

pub fn filter(which: &Remembered) -> Filter {
    Filter {
        since: which.since.clone(),
        until: which.until.clone(),
        project: which.project.clone(),
        agent: which.agent.clone(),
        session: which.session.clone(),
        outcome: which.outcome.clone(),
        by: which.by.map(|by| by.to_string()),
        limit: Some(which.limit),
    }
}

pub fn print(columns: &[Column], rows: impl Iterator<Item = Vec<Cell>>) -> Result<(), Failure> {
    let mut table = Table::new(columns);
    let mut any = false;
    rows.for_each(|row| {
        any = true;
        table.push(row);
    });
    if !any && print::is_terminal() {
        print::complain("nothing of that kind is remembered");
        return Ok(());
    }
    let width = print::is_terminal().then(|| usize::from(term::size().0));
    print::raw(&table.render(width, print::is_coloured()))
}

/// What was left out is never left out in silence.
pub fn say_more(more: bool, limit: u32) {
    if more {
        print::complain(&format!("these are the newest {limit}; there are more (--limit, --since, --until)"));
    }
}

fn row(past: &Past) -> Vec<Cell> {
    vec![
        Cell::new(clock::local(&past.started_at)),
        Cell::new(&past.id),
        Cell::new(&past.name),
        Cell::new(&past.agent),
        Cell::new(past.project.as_deref().unwrap_or_default()),
        Cell::new(print::or_unknown(past.seconds, print::duration)),
        Cell::new(past.outcome.as_deref().unwrap_or_default()),
        Cell::new(past.exit.as_ref().map_or_else(|| "alive".into(), exit_words)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::session::{Exit, ExitBy};

    #[test]
    fn a_session_is_one_line_whatever_it_is_called() {
        let exit = Exit {
            code: Some(3),
            signal: None,
            at: "2026-11-20T10:05:00Z".into(),
            by: ExitBy::Policy,
            reason: "idle for 1 h".into(),
        };
        let past = Past {
            id: "k3f9q2".into(),
            name: "front\x1b[2J".into(),
            agent: "claude".into(),
            project: None,
            workspace: "/srv".into(),
            command: vec!["claude".into()],
            started_at: "2026-11-20T10:00:00.000Z".into(),
            ended_at: Some(exit.at.clone()),
            seconds: Some(300.0),
            messages: None,
            exit: Some(exit),
            outcome: Some("clean".into()),
            boot_id: String::new(),
        };
        let mut table = Table::new(COLUMNS);
        table.push(row(&past));
        table.push(row(&Past { ended_at: None, exit: None, seconds: None, outcome: None, ..past }));
        let text = table.render(None, false);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(
            lines[1].contains("front·[2J") && lines[1].ends_with("5m  clean  exit status 3, by policy: idle for 1 h"),
            "{text}"
        );
        assert!(lines[2].ends_with("–         alive"), "{text}");
    }
}
