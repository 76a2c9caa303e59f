//! `sweep` and `release`: what is left behind, shown with what proves it, asked about, taken.

use std::fmt::Write as _;
use std::io::IsTerminal;

use super::args::{Globals, Plain, Sweep};
use super::exit::{DONE, Ended, FAILED, Failure, SURVIVORS};
use super::{connect, kill, print};
use crate::api::client::{Client, ClientError};
use crate::api::sweep::{Action, Candidate, EmergencyRequest, Marked, SweepReport, SweepRequest};
use crate::model::text::printable;

pub async fn sweep(globals: &Globals, args: &Sweep) -> Ended {
    let can_ask = std::io::stdin().is_terminal() && !args.json;
    if !args.dry_run && !args.yes && !can_ask {
        let why = "nobody can be asked here: say --yes to take what is found, or --dry-run to look";
        return Err(Failure::Usage(why.into()));
    }
    let client = connect::client(globals).await?;
    if args.dry_run || args.yes {
        return reported(&ordered(&client, args, args.dry_run, None).await?, args.json);
    }
    let plan = ordered(&client, args, true, None).await?;
    print::raw(&text(&plan))?;
    let Some(question) = question(&plan, args.emergency) else {
        return Ok(told(&plan));
    };
    if !print::confirmed(&question) {
        print::complain("nothing was taken");
        return Ok(DONE);
    }
    let marked = plan.candidates.iter().filter(|c| c.action == Action::WouldKill).map(Candidate::marked).collect();
    reported(&ordered(&client, args, false, Some(marked)).await?, args.json)
}

pub async fn release(globals: &Globals, args: &Plain) -> Ended {
    let released = connect::client(globals).await?.release().await?;
    if args.json {
        print::json(&released)?;
    } else {
        print::line(&printable(&released.message))?;
    }
    Ok(DONE)
}

async fn ordered(
    client: &Client,
    args: &Sweep,
    dry_run: bool,
    only: Option<Vec<Marked>>,
) -> Result<SweepReport, ClientError> {
    let reason = args.reason.clone();
    if args.emergency {
        return client.emergency(&EmergencyRequest { reason, dry_run, latch: true, only }).await;
    }
    client.sweep(&SweepRequest { reason, dry_run, only }).await
}

/// What is to be agreed to; `None`: there is nothing to do.
fn question(plan: &SweepReport, emergency: bool) -> Option<String> {
    let would = plan.candidates.iter().filter(|c| c.action == Action::WouldKill);
    let (count, bytes) = would.fold((0, 0), |(n, bytes), c| (n + 1, bytes + c.memory_bytes));
    let strays = match count {
        1 => format!("this stray ({})", print::size(bytes)),
        n => format!("these {n} strays ({})", print::size(bytes)),
    };
    let sessions = plan.sessions.as_ref().map_or(0, |s| s.sessions.len());
    match (emergency, count) {
        (false, 0) => None,
        (false, _) => Some(format!("Take {strays}?")),
        (true, 0) => Some(format!("Close all {sessions} sessions, and let nothing start until `beadle release`?")),
        (true, _) => {
            Some(format!("Close all {sessions} sessions, take {strays}, and let nothing start until `beadle release`?"))
        }
    }
}

fn reported(report: &SweepReport, json: bool) -> Ended {
    if json {
        print::json(report)?;
    } else {
        print::raw(&text(report))?;
    }
    Ok(told(report))
}

/// What stands in the way is said, and the exit status.
fn told(report: &SweepReport) -> u8 {
    report.notes.iter().for_each(|note| print::complain(note));
    if let Some(why) = &report.failure {
        print::complain(&format!("nothing may be taken: {why}"));
    }
    let sessions = report.sessions.as_ref().is_some_and(|s| s.failed > 0);
    match (report.failed > 0 || sessions, report.failure.is_some()) {
        (true, _) => SURVIVORS,
        (false, true) => FAILED,
        (false, false) => DONE,
    }
}

fn text(report: &SweepReport) -> String {
    let mut out = report.sessions.as_ref().map(kill::text).unwrap_or_default();
    report.candidates.iter().for_each(|c| out.push_str(&candidate_text(c)));
    if report.failure.is_none() {
        let _ = writeln!(out, "{}", summary(report));
    }
    if report.latched {
        out.push_str("nothing starts until `beadle release`\n");
    }
    out
}

fn summary(report: &SweepReport) -> String {
    let would = report.candidates.iter().filter(|c| c.action == Action::WouldKill).count();
    let suspects = report.candidates.iter().filter(|c| c.action == Action::Suspect).count();
    let mut words = vec![if report.dry_run {
        format!("{would} would be taken")
    } else {
        format!("{} taken, {} freed", report.killed, print::size(report.freed_bytes))
    }];
    let more = [(report.spared, "spared"), (suspects, "suspect"), (report.failed, "failed")];
    words.extend(more.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")));
    words.join(", ")
}

fn candidate_text(candidate: &Candidate) -> String {
    let (mark, word) = match candidate.action {
        Action::Killed => ('✔', "killed"),
        Action::WouldKill => ('✔', "would be killed"),
        Action::Spared => ('·', "spared"),
        Action::Suspect => ('?', "suspect"),
        Action::Failed => ('✘', "failed"),
    };
    let (pid, memory) = (candidate.pid, print::size(candidate.memory_bytes));
    let (agent, command) = (printable(&candidate.agent), shortened(&printable(&candidate.command)));
    let mut out = format!("{mark} {pid} {agent} {word} ({memory}): {}\n    {command}\n", printable(&candidate.why));
    for s in &candidate.survivors {
        let (state, owner) = (printable(&s.state), printable(&s.owner));
        // Writing to a String cannot fail.
        let _ = writeln!(out, "    pid {} {state} {owner} {}: {}", s.pid, printable(&s.command), printable(&s.why));
    }
    out
}

fn shortened(text: &str) -> String {
    const MOST: usize = 100;
    if text.chars().count() <= MOST { text.into() } else { text.chars().take(MOST).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(action: Action) -> Candidate {
        Candidate {
            pid: 7,
            start_time: 70,
            agent: "codex".into(),
            command: "codex\x1b[2J app-server".into(),
            memory_bytes: 2 << 20,
            proofs: Vec::new(),
            vetoes: Vec::new(),
            action,
            why: "its last client has gone".into(),
            survivors: Vec::new(),
        }
    }

    #[test]
    fn a_candidate_is_told_with_its_reason_and_without_control_characters() {
        assert_eq!(
            candidate_text(&candidate(Action::Killed)),
            "✔ 7 codex killed (2.0M): its last client has gone\n    codex·[2J app-server\n"
        );
    }

    #[test]
    fn nothing_to_take_is_not_asked_about_but_an_emergency_is() {
        let nothing =
            SweepReport { dry_run: true, candidates: vec![candidate(Action::Spared)], ..SweepReport::default() };
        assert_eq!(question(&nothing, false), None);
        assert!(question(&nothing, true).unwrap().starts_with("Close all 0 sessions"));
        let one = SweepReport { candidates: vec![candidate(Action::WouldKill)], ..nothing };
        assert_eq!(question(&one, false).unwrap(), "Take this stray (2.0M)?");
        assert_eq!(text(&one).lines().last().unwrap(), "1 would be taken");
    }

    #[test]
    fn survivors_are_six_and_a_plan_that_could_not_be_made_is_one() {
        let failed = SweepReport { failure: Some("tmux".into()), ..SweepReport::default() };
        assert_eq!(told(&failed), FAILED);
        assert_eq!(told(&SweepReport { failed: 1, ..failed }), SURVIVORS);
        assert_eq!(told(&SweepReport::default()), DONE);
    }
}
