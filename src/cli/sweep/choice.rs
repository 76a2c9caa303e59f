//! What a person decides about single candidates, by options or when asked: `+PID` takes a suspect, `-PID` leaves one.
//!
//! The plan is changed here only for the eye; the daemon judges the marks again.

use crate::api::sweep::{Action, Candidate, Marked, SweepReport};
use crate::cli::print;
use crate::model::text::printable;

/// The plan as the person has it by now.
pub struct Choice {
    plan: SweepReport,
    emergency: bool,
    take: Vec<Marked>,
    leave: Vec<Marked>,
}

/// What was typed.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    Yes,
    No,
    /// In the order typed; `true`: to be taken.
    Change(Vec<(bool, i32)>),
}

impl Answer {
    /// Anything that is neither yes nor a change is no.
    pub fn of(typed: &str) -> Self {
        let words = || typed.split([' ', ',', '\t', '\n']).filter(|w| !w.is_empty());
        let change = |word: &str| {
            let takes = word.starts_with('+');
            let pid = word.strip_prefix(['+', '-'])?.parse().ok()?;
            Some((takes, pid))
        };
        match words().map(change).collect::<Option<Vec<_>>>() {
            Some(changes) if !changes.is_empty() => Self::Change(changes),
            _ if matches!(typed.trim(), "y" | "Y" | "yes") => Self::Yes,
            _ => Self::No,
        }
    }
}

impl Choice {
    pub fn new(plan: SweepReport, emergency: bool) -> Self {
        Self { plan, emergency, take: Vec::new(), leave: Vec::new() }
    }

    /// What is to be agreed to; `None`: there is nothing to decide.
    pub fn question(&self) -> Option<String> {
        let would = self.plan.candidates.iter().filter(|c| c.action == Action::WouldKill);
        let (count, bytes) = would.fold((0, 0), |(n, bytes), c| (n + 1, bytes + c.memory_bytes));
        let strays = match count {
            1 => format!("this stray ({})", print::size(bytes)),
            n => format!("these {n} strays ({})", print::size(bytes)),
        };
        let sessions = self.plan.sessions.as_ref().map_or(0, |s| s.sessions.len());
        let question = match (self.emergency, count) {
            (false, 0) if !self.plan.candidates.iter().any(Candidate::is_suspect) => return None,
            (false, 0) => return Some(format!("Nothing is to be taken.{} ", self.keys("Enter leaves all as it is"))),
            (false, _) => format!("Take {strays}?"),
            (true, 0) => format!("Close all {sessions} sessions, and let nothing start until `beadle release`?"),
            (true, _) => {
                format!("Close all {sessions} sessions, take {strays}, and let nothing start until `beadle release`?")
            }
        };
        Some(format!("{question}{} ", self.keys("y/N")))
    }

    fn keys(&self, first: &str) -> String {
        let has = |what: fn(&Candidate) -> bool| self.plan.candidates.iter().any(what);
        let mut keys = vec![first];
        if has(|c| c.action == Action::Suspect) {
            keys.push("+PID takes a suspect");
        }
        if has(|c| c.action == Action::WouldKill) {
            keys.push("-PID leaves one");
        }
        format!(" [{}]", keys.join(", "))
    }

    /// Does one change and says what became of it.
    pub fn change(&mut self, takes: bool, pid: i32) -> Result<String, String> {
        let found = self.plan.candidates.iter_mut().find(|c| c.pid == pid);
        let one = found.ok_or_else(|| format!("no candidate has pid {pid}"))?;
        let name = one.name();
        if takes && !one.vetoes.is_empty() {
            return Err(format!("{pid} stays: {}", printable(&one.why)));
        }
        let is_suspect = one.proofs.is_empty();
        self.take.retain(|m| *m != name);
        self.leave.retain(|m| *m != name);
        let said = if takes {
            one.action = Action::WouldKill;
            if is_suspect {
                self.take.push(name);
            }
            "is to be taken, with all below it"
        } else {
            one.action = if is_suspect && one.vetoes.is_empty() { Action::Suspect } else { Action::Spared };
            self.leave.push(name);
            "stays"
        };
        Ok(format!("{pid} {} {said}", printable(&one.agent)))
    }

    /// Left alone though it is no candidate: who is below one.
    pub fn leave(&mut self, name: Marked) {
        self.leave.push(name);
    }

    /// There is something to agree to.
    pub fn has_order(&self) -> bool {
        self.emergency || self.plan.candidates.iter().any(|c| c.action == Action::WouldKill)
    }

    pub fn plan(&self) -> &SweepReport {
        &self.plan
    }

    /// All that was agreed to: of what is proved, marked, left out.
    pub fn marks(self) -> (Vec<Marked>, Vec<Marked>, Vec<Marked>) {
        let would = self.plan.candidates.iter().filter(|c| c.action == Action::WouldKill);
        (would.map(Candidate::name).collect(), self.take, self.leave)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::stray::Proof;

    fn candidate(pid: i32, action: Action) -> Candidate {
        let proofs = if action == Action::WouldKill { vec![Proof::TerminalDeleted] } else { Vec::new() };
        Candidate {
            pid,
            start_time: 70,
            agent: "codex".into(),
            command: "codex".into(),
            memory_bytes: 2 << 20,
            proofs,
            vetoes: if action == Action::Spared { vec!["lives in tmux:0:0.0".into()] } else { Vec::new() },
            action,
            why: "lives in tmux:0:0.0".into(),
            marked: false,
            below: None,
            survivors: Vec::new(),
        }
    }

    fn plan(actions: &[Action]) -> Choice {
        let candidates = actions.iter().zip(7..).map(|(action, pid)| candidate(pid, *action)).collect();
        Choice::new(SweepReport { dry_run: true, candidates, ..SweepReport::default() }, false)
    }

    #[test]
    fn nothing_to_decide_is_not_asked_about_but_an_emergency_is() {
        let nothing = plan(&[Action::Spared]);
        assert_eq!(nothing.question(), None);
        assert!(Choice { emergency: true, ..nothing }.question().unwrap().starts_with("Close all 0 sessions"));
        let one = plan(&[Action::WouldKill]).question().unwrap();
        assert_eq!(one, "Take this stray (2.0M)? [y/N, -PID leaves one] ");
        let suspect = plan(&[Action::Suspect]).question().unwrap();
        assert_eq!(suspect, "Nothing is to be taken. [Enter leaves all as it is, +PID takes a suspect] ");
    }

    #[test]
    fn what_is_neither_yes_nor_a_change_is_no() {
        for (typed, answer) in [
            ("y\n", Answer::Yes),
            ("yes", Answer::Yes),
            ("", Answer::No),
            ("n", Answer::No),
            ("7", Answer::No),
            ("+7 y", Answer::No),
            ("+", Answer::No),
            ("+7, -8\n", Answer::Change(vec![(true, 7), (false, 8)])),
        ] {
            assert_eq!(Answer::of(typed), answer, "{typed:?}");
        }
    }

    #[test]
    fn a_suspect_is_marked_a_stray_left_out_and_who_is_spared_stays() {
        let mut choice = plan(&[Action::WouldKill, Action::Suspect, Action::Spared]);
        assert_eq!(choice.change(true, 8).unwrap(), "8 codex is to be taken, with all below it");
        assert_eq!(choice.change(false, 7).unwrap(), "7 codex stays");
        choice.change(false, 9).unwrap();
        assert_eq!(choice.change(true, 9).unwrap_err(), "9 stays: lives in tmux:0:0.0");
        assert_eq!(choice.change(true, 10).unwrap_err(), "no candidate has pid 10");
        let name = |pid| Marked { pid, start_time: 70 };
        assert_eq!(choice.marks(), (vec![name(8)], vec![name(8)], vec![name(7), name(9)]));
    }

    #[test]
    fn a_change_can_be_taken_back() {
        let mut choice = plan(&[Action::WouldKill, Action::Suspect]);
        for (takes, pid) in [(true, 8), (false, 8), (false, 7), (true, 7)] {
            choice.change(takes, pid).unwrap();
        }
        assert!(choice.question().unwrap().starts_with("Take this stray"));
        let name = |pid| Marked { pid, start_time: 70 };
        assert_eq!(choice.marks(), (vec![name(7)], vec![], vec![name(8)]));
    }
}
