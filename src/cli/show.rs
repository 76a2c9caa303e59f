//! `show`: one session, with what its verdict rests on and every process of it.

use std::fmt::Write as _;

use super::args::{Globals, One};
use super::exit::{DONE, Ended};
use super::table::{Cell, Column, Table};
use super::{cleanup, connect, print};
use crate::api::types::{Detail, Evidence, Process, Session};
use crate::model::session::Exit;
use crate::model::text::printable;
use crate::sys::{clock, term};

const PROCESSES: &[Column] = &[
    Column::new("PID", 0).right(),
    Column::new("S", 2),
    Column::new("CPU", 3).right(),
    Column::new("MEM", 4).right(),
    Column::new("COMMAND", 0).least(20),
];

pub async fn run(globals: &Globals, args: &One) -> Ended {
    let detail = connect::client(globals).await?.session(&args.id).await?;
    if args.json {
        print::json(&detail)?;
    } else {
        let width = print::is_terminal().then(|| usize::from(term::size().0));
        print::raw(&text(&detail, width))?;
    }
    Ok(DONE)
}

/// At most `width` wide where it is a table; `None`: as wide as it is.
fn text(detail: &Detail, width: Option<usize>) -> String {
    let mut out = String::new();
    for (label, value) in facts(detail) {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{label:<12}{}", printable(&value));
    }
    if !detail.evidence.is_empty() {
        out.push_str("\nEvidence\n");
        for evidence in &detail.evidence {
            out.push_str(&evidence_line(evidence));
        }
    }
    if !detail.tree.is_empty() {
        out.push('\n');
        out.push_str(&tree(&detail.tree, width));
    }
    out
}

fn facts(detail: &Detail) -> Vec<(&'static str, String)> {
    let s = &detail.session;
    let number = |n: Option<i32>| print::or_unknown(n, |n| n.to_string());
    let mut facts = vec![
        ("Session", format!("{} ({})", s.name, s.id)),
        ("Agent", s.agent.clone()),
        ("Command", s.command.join(" ")),
        ("Workspace", s.workspace.clone()),
        ("Origin", s.origin.to_string()),
        ("State", state(s)),
        ("Health", format!("{}: {}", s.health, s.reason)),
        ("Attention", s.attention.to_string()),
        ("Age", format!("{} (since {})", print::duration(s.age_seconds), s.started_at)),
        ("Idle", print::or_unknown(s.idle_seconds, print::duration)),
        ("Resources", resources(s)),
        ("Pids", format!("agent {}, keeper {}", number(s.leader_pid), number(detail.keeper_pid))),
    ];
    facts.extend(cleanup::announced(s, &clock::wall()).map(|text| ("Announced", text)));
    facts.extend(s.project.clone().map(|project| ("Project", project)));
    facts.extend(s.exit.as_ref().map(|exit| ("Exit", format!("{}, at {}", exit_words(exit), exit.at))));
    facts.retain(|(_, value)| !value.is_empty());
    facts
}

fn state(s: &Session) -> String {
    let pinned = if s.pinned { ", pinned" } else { "" };
    let attached = if s.attached > 0 { format!(", attached {}", s.attached) } else { String::new() };
    format!("{}{pinned}{attached}", s.state)
}

fn resources(s: &Session) -> String {
    format!(
        "{}, CPU {}, memory {}, I/O {}",
        print::or_unknown(s.processes, |n| print::processes(n as usize)),
        print::or_unknown(s.cpu_percent, print::percent),
        print::or_unknown(s.memory_bytes, print::size),
        print::or_unknown(s.io_bytes_per_second, rate),
    )
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate is positive and small")]
fn rate(bytes_per_second: f64) -> String {
    format!("{}/s", print::size(bytes_per_second as u64))
}

/// `exit status 3, by itself`: how a leader ended, and through whom.
pub fn exit_words(exit: &Exit) -> String {
    let how = match (exit.code, exit.signal) {
        (_, Some(signal)) => format!("signal {signal}"),
        (Some(code), None) => format!("exit status {code}"),
        (None, None) => "exit status unknown".into(),
    };
    let by = match exit.by {
        crate::model::session::ExitBy::Itself => "by itself".into(),
        by => format!("by {by}"),
    };
    if exit.reason.is_empty() || exit.reason == exit.by.as_str() || exit.reason == how {
        format!("{how}, {by}")
    } else {
        format!("{how}, {by}: {}", exit.reason)
    }
}

fn evidence_line(evidence: &Evidence) -> String {
    let at = evidence.at.as_deref().map(|at| format!(" ({})", printable(at))).unwrap_or_default();
    format!("  {:<10}{}{at}\n", printable(&evidence.kind), printable(&evidence.text))
}

fn tree(processes: &[Process], width: Option<usize>) -> String {
    let mut table = Table::new(PROCESSES);
    for process in processes {
        let depth = process.depth.min(20) as usize;
        table.push(vec![
            Cell::new(process.pid.to_string()),
            Cell::new(&process.state),
            Cell::new(print::or_unknown(process.cpu_percent, print::percent)),
            Cell::new(print::size(process.memory_bytes)),
            Cell::new(&process.command).indented(depth * 2),
        ]);
    }
    table.render(width, false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::session::ExitBy;

    fn exit(code: Option<i32>, signal: Option<i32>, by: ExitBy, reason: &str) -> Exit {
        Exit { code, signal, at: "2026-11-20T10:00:00Z".into(), by, reason: reason.into() }
    }

    #[test]
    fn an_exit_is_told_in_words() {
        assert_eq!(exit_words(&exit(Some(3), None, ExitBy::Itself, "")), "exit status 3, by itself");
        assert_eq!(exit_words(&exit(None, Some(9), ExitBy::User, "user")), "signal 9, by user");
        assert_eq!(
            exit_words(&exit(None, None, ExitBy::Unknown, "its keeper is gone")),
            "exit status unknown, by unknown: its keeper is gone"
        );
    }

    #[test]
    fn a_session_is_shown_with_its_evidence_and_its_tree() {
        let expected = "\
Session     front (k3f9q2)
Agent       claude
Command     claude
Workspace   /srv/app
Origin      managed
State       running, pinned, attached 1
Health      stuck: stopped·[2J
Attention   unknown
Age         15m (since 2026-11-20T10:00:00Z)
Idle        –
Resources   2 processes, CPU –, memory 2.0M, I/O –
Pids        agent 10, keeper 9

Evidence
  state     stopped by a signal

PID  S  CPU   MEM  COMMAND
 10  S    –  1.0M  claude
 11  S    –  1.0M    sh -c x
";
        assert_eq!(text(&super::super::sample::detail(), None), expected);
    }
}
