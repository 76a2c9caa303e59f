//! `sweep` and `release`: what is left behind, shown with what proves it, asked about, taken.

mod choice;

use std::fmt::Write as _;
use std::io::IsTerminal;

use self::choice::{Answer, Choice};
use super::args::{Globals, Plain, Sweep};
use super::exit::{DONE, Ended, FAILED, Failure, SURVIVORS};
use super::{connect, kill, print};
use crate::api::client::{Client, ClientError};
use crate::api::refusal::Code;
use crate::api::sweep::{Action, Candidate, EmergencyRequest, Marked, SweepReport, SweepRequest};
use crate::model::text::printable;
use crate::sys::process;

pub async fn sweep(globals: &Globals, args: &Sweep) -> Ended {
    let can_ask = std::io::stdin().is_terminal() && !args.json;
    if !args.dry_run && !args.yes && !can_ask {
        let why = "nobody can be asked here: say --yes to take what is found, or --dry-run to look";
        return Err(Failure::Usage(why.into()));
    }
    let client = connect::client(globals).await?;
    let is_marked = !args.take.is_empty() || !args.leave.is_empty();
    if !is_marked && (args.dry_run || args.yes) {
        return reported(&ordered(&client, args, args.dry_run, Marks::default()).await?, args.json);
    }
    let plan = ordered(&client, args, true, Marks::default()).await?;
    if plan.failure.is_some() {
        return reported(&plan, args.json);
    }
    let mut choice = Choice::new(plan, args.emergency);
    for said in marked(&mut choice, args) {
        // A rehearsal shows who would stay, and why.
        if !args.dry_run {
            return Err(said);
        }
        print::complain(&said.to_string());
    }
    if args.dry_run || args.yes {
        let (_, take, leave) = choice.marks();
        return reported(&ordered(&client, args, args.dry_run, Marks { only: None, take, leave }).await?, args.json);
    }
    asked(&client, args, choice).await
}

/// Shows the plan, and asks until it is agreed to or given up.
async fn asked(client: &Client, args: &Sweep, mut choice: Choice) -> Ended {
    print::raw(&text(choice.plan()))?;
    loop {
        let Some(question) = choice.question() else { return Ok(told(choice.plan())) };
        match Answer::of(&print::asked(&question)) {
            Answer::Yes if choice.has_order() => break,
            Answer::Yes | Answer::No => {
                print::complain("nothing was taken");
                return Ok(DONE);
            }
            Answer::Change(changes) => {
                for (takes, pid) in changes {
                    print::complain(&choice.change(takes, pid).unwrap_or_else(|why| why));
                }
            }
        }
    }
    let (only, take, leave) = choice.marks();
    reported(&ordered(client, args, false, Marks { only: Some(only), take, leave }).await?, args.json)
}

/// The options as changes; what cannot be done.
fn marked(choice: &mut Choice, args: &Sweep) -> Vec<Failure> {
    let mut failed = Vec::new();
    for pid in &args.take {
        let is_there = choice.plan().candidates.iter().any(|c| c.pid == *pid);
        let code = if is_there { Code::Forbidden } else { Code::NotFound };
        failed.extend(choice.change(true, *pid).err().map(|why| Failure::refused(code, why)));
    }
    for pid in &args.leave {
        if choice.change(false, *pid).is_ok() {
            continue;
        }
        // Below a candidate it may be nobody's row.
        match process::identity(*pid) {
            Some(id) => choice.leave(Marked { pid: id.pid, start_time: id.start }),
            None => failed.push(Failure::refused(Code::NotFound, format!("no process has pid {pid}"))),
        }
    }
    failed
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

/// What a person said about single processes.
#[derive(Default)]
struct Marks {
    only: Option<Vec<Marked>>,
    take: Vec<Marked>,
    leave: Vec<Marked>,
}

async fn ordered(client: &Client, args: &Sweep, dry_run: bool, marks: Marks) -> Result<SweepReport, ClientError> {
    let (reason, Marks { only, take, leave }) = (args.reason.clone(), marks);
    if args.emergency {
        return client.emergency(&EmergencyRequest { reason, dry_run, latch: true, only, take, leave }).await;
    }
    client.sweep(&SweepRequest { reason, dry_run, only, take, leave }).await
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
            marked: false,
            below: None,
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
    fn survivors_are_six_and_a_plan_that_could_not_be_made_is_one() {
        let failed = SweepReport { failure: Some("tmux".into()), ..SweepReport::default() };
        assert_eq!(told(&failed), FAILED);
        assert_eq!(told(&SweepReport { failed: 1, ..failed }), SURVIVORS);
        assert_eq!(told(&SweepReport::default()), DONE);
    }
}
