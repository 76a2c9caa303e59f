//! `audit`: every close, who asked for it, why, and what became of it.

use super::args::{Audit, Globals};
use super::exit::{DONE, Ended};
use super::history::{filter, print as print_rows, say_more};
use super::table::{Cell, Column, Table, folded};
use super::{connect, print};
use crate::api::memory::Kill;
use crate::sys::{clock, term};

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

/// Before what stands below a row.
const INDENT: &str = "    ";

pub async fn run(globals: &Globals, args: &Audit) -> Ended {
    let audit = connect::client(globals).await?.audit(&filter(&args.which)).await?;
    if args.json {
        print::json(&audit.kills)?;
    } else {
        let narrow = print::is_terminal().then(|| usize::from(term::size().0));
        match narrow.and_then(|width| beneath_each_other(&audit.kills, width, print::is_coloured())) {
            Some(text) => print::raw(&text)?,
            None => print_rows(COLUMNS, audit.kills.iter().map(row))?,
        }
    }
    say_more(audit.more, args.which.limit);
    Ok(DONE)
}

/// Where not everything has room beside each other: who and why below each close, whole. `None`: there is room.
fn beneath_each_other(kills: &[Kill], width: usize, coloured: bool) -> Option<String> {
    let mut whole = Table::new(COLUMNS);
    kills.iter().for_each(|kill| whole.push(row(kill)));
    if !whole.is_cut_at(width) {
        return None;
    }
    let columns = &COLUMNS[..COLUMNS.len() - 2];
    let mut table = Table::new(columns);
    kills.iter().for_each(|kill| table.push(row(kill).into_iter().take(columns.len()).collect()));
    let table = table.render(Some(width), coloured);
    let mut lines = table.lines();
    let mut out: String = lines.next().map(|head| format!("{head}\n")).unwrap_or_default();
    for (line, kill) in lines.zip(kills) {
        let why = format!("{}: {}", who(kill), kill.reason);
        let below = folded(&why, width.saturating_sub(INDENT.len()).max(1));
        out.push_str(line);
        out.push('\n');
        below.iter().for_each(|part| out.extend([INDENT, part, "\n"]));
    }
    Some(out)
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

    fn kill() -> Kill {
        Kill {
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
        }
    }

    #[test]
    fn in_a_narrow_place_who_and_why_stand_below_whole() {
        let long = format!("/opt/tools/bin/{} kill --reason", "x".repeat(90));
        let kills = [Kill { command: Some(long.clone()), reason: "it was\x1b[2J done".into(), ..kill() }, kill()];
        let text = beneath_each_other(&kills, 80, false).unwrap();
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        let below: String = text.lines().filter_map(|line| line.strip_prefix(INDENT)).collect();
        assert!(below.replace(' ', "").contains(&format!("uid1000pid7{long}").replace(' ', "")), "{text}");
        assert!(text.contains("done\n") && text.contains("    uid 1000 pid 7 beadle kill x: done\n"), "{text}");
        assert!(text.starts_with("AT") && !text.contains('\x1b'), "{text}");
        assert_eq!(beneath_each_other(&kills[1..], 200, false), None);
    }

    #[test]
    fn who_asked_is_named_as_far_as_it_is_known() {
        let kill = kill();
        assert_eq!(who(&kill), "uid 1000 pid 7 beadle kill x");
        let far = Kill { pid: Some(0), command: Some("over TCP from 10.0.0.7:5000".into()), ..kill.clone() };
        assert_eq!(who(&far), "over TCP from 10.0.0.7:5000");
        assert_eq!(who(&Kill { uid: None, pid: None, ..kill }), "beadle");
    }
}
