//! `kill` and `close-all`: sessions taken away with everything they started, and the report as people read it.

use std::fmt::Write as _;
use std::io::IsTerminal;

use super::args::{CloseAll, Globals, Kill};
use super::exit::{DONE, Ended, Failure, SURVIVORS};
use super::{connect, print, select};
use crate::api::client::Client;
use crate::api::types::{CloseAllRequest, Closed, KillReport, KillRequest, Outcome, Session};
use crate::model::session::{Origin, State};
use crate::model::text::printable;

pub async fn kill(globals: &Globals, args: &Kill) -> Ended {
    let client = connect::client(globals).await?;
    let deed = Deed { one: "Close it", several: "Close them", infinitive: "close", yes: args.yes || args.dry_run };
    let Some(targets) = agreed(&client, &args.ids, &deed).await? else {
        print::complain("nothing was closed");
        return Ok(DONE);
    };
    let request =
        KillRequest { targets, now: args.now, reason: args.reason.clone(), dry_run: args.dry_run, pane: args.pane };
    reported(&client.kill(&request).await?, args.json)
}

pub async fn close_all(globals: &Globals, args: &CloseAll) -> Ended {
    let client = connect::client(globals).await?;
    let request = CloseAllRequest { reason: args.reason.clone(), project: args.project.clone(), now: args.now };
    let report = client.close_all(&request).await?;
    let status = reported(&report, args.json)?;
    if !args.json {
        if report.sessions.is_empty() {
            print::line("no sessions to close")?;
        }
        say_what_stays(&client).await?;
    }
    Ok(status)
}

/// What is done to sessions beadle did not start, in the words of the question about it.
pub struct Deed<'a> {
    /// `Close it`, `Close them`.
    pub one: &'a str,
    pub several: &'a str,
    /// `--yes to …`.
    pub infinitive: &'a str,
    /// Nobody is to be asked.
    pub yes: bool,
}

/// What is to be acted on. Sessions beadle did not start are touched only when somebody says so, and by their ids: exactly
/// those that were asked about. `None`: somebody said no.
pub async fn agreed(client: &Client, words: &[String], deed: &Deed<'_>) -> Result<Option<Vec<String>>, Failure> {
    let sessions = client.sessions_with_shells(true).await?.sessions;
    let meant = select::sessions(words, &sessions);
    let foreign: Vec<&Session> =
        meant.iter().copied().filter(|s| s.origin != Origin::Managed && s.state != State::Ended).collect();
    if foreign.is_empty() {
        return Ok(Some(words.to_vec()));
    }
    let ids = Some(meant.iter().map(|s| s.id.clone()).collect());
    if deed.yes {
        return Ok(ids);
    }
    let one = |s: &&Session| format!("{} ({}, {})", printable(&s.name), printable(&s.agent), s.origin);
    let names = foreign.iter().map(one).collect::<Vec<_>>().join(", ");
    if std::io::stdin().is_terminal() {
        let what = if foreign.len() == 1 { deed.one } else { deed.several };
        return Ok(ids.filter(|_| print::confirmed(&format!("beadle did not start {names}. {what}?"))));
    }
    let to = deed.infinitive;
    Err(Failure::Usage(format!("beadle did not start {names}: say --yes to {to} what it did not start")))
}

async fn say_what_stays(client: &Client) -> Result<(), Failure> {
    let left = client.sessions(false, false).await?.sessions;
    match left.iter().filter(|s| s.origin != Origin::Managed && s.agent != "shell").count() {
        0 => Ok(()),
        1 => print::line("1 session that beadle did not start stays"),
        n => print::line(&format!("{n} sessions that beadle did not start stay")),
    }
}

/// Prints a report; 6 when something of it survived.
pub fn reported(report: &KillReport, json: bool) -> Ended {
    if json {
        print::json(report)?;
    } else {
        print::raw(&text(report))?;
    }
    let survived = report.failed > 0 || report.sessions.iter().any(|s| !s.survivors.is_empty());
    Ok(if survived { SURVIVORS } else { DONE })
}

/// A report as people read it.
pub fn text(report: &KillReport) -> String {
    report.sessions.iter().map(closed_text).collect()
}

fn closed_text(closed: &Closed) -> String {
    let mark = if closed.outcome == Outcome::Survivors { '✘' } else { '✔' };
    let mut out = format!("{mark} {} {}\n", printable(&closed.name), outcome(closed));
    // Writing to a String cannot fail, here and below.
    for s in &closed.survivors {
        let (state, owner) = (printable(&s.state), printable(&s.owner));
        let _ = writeln!(out, "    pid {} {state} {owner} {}: {}", s.pid, printable(&s.command), printable(&s.why));
    }
    for spared in &closed.spared {
        let _ = writeln!(out, "    spared: {}", printable(spared));
    }
    if let Some(resume) = &closed.resume {
        let _ = writeln!(out, "    {}", printable(resume));
    }
    out
}

fn outcome(closed: &Closed) -> String {
    let processes = print::processes(closed.processes);
    let seconds = seconds(closed.seconds);
    match closed.outcome {
        Outcome::Clean => format!("clean {seconds} ({processes})"),
        Outcome::Forced => format!("forced {seconds} ({processes}, {})", printable(&closed.signals.join(" "))),
        Outcome::Survivors => format!("survivors {seconds} ({} of {processes})", closed.survivors.len()),
        Outcome::AlreadyGone => "was already gone".into(),
        Outcome::WouldKill => format!("would be closed ({processes})"),
    }
}

fn seconds(seconds: f64) -> String {
    if seconds < 1.0 { format!("{seconds:.2} s") } else { format!("{seconds:.1} s") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::types::Survivor;

    fn closed(outcome: Outcome) -> Closed {
        Closed {
            id: "k3f9q2".into(),
            name: "front".into(),
            outcome,
            signals: vec!["TERM".into(), "KILL".into()],
            processes: 4,
            survivors: Vec::new(),
            seconds: 0.034,
            reason: "user".into(),
            resume: None,
            spared: Vec::new(),
            screen: None,
        }
    }

    #[test]
    fn a_report_says_what_became_of_each() {
        assert_eq!(closed_text(&closed(Outcome::Clean)), "✔ front clean 0.03 s (4 processes)\n");
        assert_eq!(closed_text(&closed(Outcome::Forced)), "✔ front forced 0.03 s (4 processes, TERM KILL)\n");
        assert_eq!(closed_text(&closed(Outcome::AlreadyGone)), "✔ front was already gone\n");
        assert_eq!(closed_text(&closed(Outcome::WouldKill)), "✔ front would be closed (4 processes)\n");
    }

    #[test]
    fn survivors_are_named_with_their_reason() {
        let survivor = Survivor {
            pid: 7,
            command: "cp\x1b[2J".into(),
            state: "D".into(),
            owner: "root".into(),
            why: "uninterruptible sleep in nfs_wait".into(),
        };
        let text = closed_text(&Closed { survivors: vec![survivor], seconds: 2.04, ..closed(Outcome::Survivors) });
        assert_eq!(
            text,
            "✘ front survivors 2.0 s (1 of 4 processes)\n    pid 7 D root cp·[2J: uninterruptible sleep in nfs_wait\n"
        );
    }
}
