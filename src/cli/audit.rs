//! `audit`: every close, who asked for it, why, and what became of it.

use super::args::{Audit, Globals};
use super::exit::{DONE, Ended};
use super::history::{filter, print as print_rows, say_more};
use super::table::{Cell, Column};
use super::{connect, print};
use crate::api::memory::Kill;
use crate::sys::clock;

const COLUMNS: &[Column] = &[
    Column::new("AT", 0),
    Column::new("VERB", 0),
    Column::new("SESSION", 5),
    Column::new("NAME", 0).least(12),
    Column::new("OUTCOME", 0),
    Column::new("TOOK", 6).right(),
    Column::new("PROCS", 7).right(),
    Column::new("WHO", 2).least(10),
    Column::new("REASON", 1).least(10),
];

pub async fn run(globals: &Globals, args: &Audit) -> Ended {
    let audit = connect::client(globals).await?.audit(&filter(&args.which)).await?;
    if args.json {
        print::json(&audit.kills)?;
    } else {
        print_rows(COLUMNS, audit.kills.iter().map(row))?;
    }
    say_more(audit.more, args.which.limit);
    Ok(DONE)
}

fn row(kill: &Kill) -> Vec<Cell> {
    let report = kill.report.as_ref();
    vec![
        Cell::new(clock::local(&kill.at)),
        Cell::new(&kill.verb),
        Cell::new(&kill.session_id),
        Cell::new(&kill.name),
        Cell::new(kill.outcome.as_deref().unwrap_or("under way")),
        Cell::new(print::or_unknown(report.map(|r| r.seconds), |s| format!("{s:.2}s"))),
        Cell::new(print::or_unknown(report.map(|r| r.processes), |n| n.to_string())),
        Cell::new(who(kill)),
        Cell::new(&kill.reason),
    ]
}

/// The process that asked; what no process asked for was done by beadle itself.
fn who(kill: &Kill) -> String {
    let command = kill.command.as_deref().unwrap_or_default();
    match (kill.uid, kill.pid) {
        // Over TCP there is no process to be named.
        (Some(_), Some(0)) => command.into(),
        (Some(uid), Some(pid)) => format!("uid {uid} pid {pid} {command}"),
        _ => "beadle".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asked_is_named_as_far_as_it_is_known() {
        let kill = Kill {
            at: "2026-11-20T10:00:00Z".into(),
            verb: "kill".into(),
            by: "user".into(),
            uid: Some(1000),
            pid: Some(7),
            command: Some("beadle kill x".into()),
            session_id: "k3f9q2".into(),
            session_started_at: String::new(),
            name: "x".into(),
            agent: "claude".into(),
            project: None,
            reason: "done".into(),
            evidence: Vec::new(),
            outcome: None,
            report: None,
        };
        assert_eq!(who(&kill), "uid 1000 pid 7 beadle kill x");
        let far = Kill { pid: Some(0), command: Some("over TCP from 10.0.0.7:5000".into()), ..kill.clone() };
        assert_eq!(who(&far), "over TCP from 10.0.0.7:5000");
        assert_eq!(who(&Kill { uid: None, pid: None, ..kill }), "beadle");
    }
}
