//! Who the processes of this machine are: each command line read once for each program a process executes, and judged
//! once by the profiles. A tick over unchanged processes reads and matches nothing.

use std::collections::HashMap;
use std::time::Duration;

use crate::model::process::{Proc, Table};
use crate::model::profile::{Match, Profiles};
use crate::model::scene;
use crate::model::session::ProcId;
use crate::sys::card::{self, Card, Papers};
use crate::sys::patience::{Patience, Within};
use crate::sys::process;

/// How long the cards of new processes are read for in one pass.
const CARDS: Duration = Duration::from_millis(300);

/// How often in one pass.
const TRIES: usize = 3;

/// What is known of one process.
#[derive(Debug)]
pub struct Known {
    /// The program it was when it was asked.
    program: (u64, [u8; 16]),
    pub what: Match,
    pub argv: Vec<String>,
    /// This user's, in this PID namespace, and inside the fence: it may be seen.
    pub visible: bool,
    pub is_keeper: bool,
    /// Work it hands to somebody outside its tree.
    pub handed_over: Option<String>,
    /// Read only of agents.
    pub papers: Option<Papers>,
}

#[derive(Debug, Default)]
pub struct Recogniser {
    known: HashMap<ProcId, Known>,
    patience: Patience<ProcId>,
    /// What all of it was judged by.
    profiles: Option<Profiles>,
    fence: Option<(String, String)>,
}

impl Recogniser {
    /// Takes in a new pass: reads who is new, forgets who has gone.
    pub fn learn(&mut self, table: &Table, profiles: &Profiles, fence: Option<&(String, String)>) {
        if self.profiles.as_ref() != Some(profiles) || self.fence.as_ref() != fence {
            self.known.clear();
            (self.profiles, self.fence) = (Some(profiles.clone()), fence.cloned());
        }
        self.known.retain(|id, _| table.get(*id).is_some());
        self.patience.retain(|id| table.get(*id).is_some());
        // Who is in the middle of an execve(2) shows nothing, and a moment later everything.
        for _ in 0..TRIES {
            if !self.read_cards(table, profiles) {
                break;
            }
        }
        self.ask_for_papers(profiles);
    }

    /// Asks who is new; false when nobody was.
    fn read_cards(&mut self, table: &Table, profiles: &Profiles) -> bool {
        let is_new = |p: &&Proc| {
            let same = self.known.get(&p.id).is_some_and(|k| k.program == p.program());
            !p.kernel && !p.is_dead() && !same
        };
        let wanted: Vec<ProcId> = table.iter().filter(is_new).map(|p| p.id).collect();
        let any = !wanted.is_empty();
        let fenced = self.fence.clone();
        let cards = self.patience.read(wanted, Within::All(CARDS), move |id| {
            let card = card::read(id.pid)?;
            let inside = card.own && fenced.as_ref().is_none_or(|(name, value)| carries(id.pid, name, value));
            Some((card, inside))
        });
        for (id, read) in cards {
            if let (Some((card, visible)), Some(process)) = (read, table.get(id)) {
                self.take_in(process, card, visible, profiles);
            }
        }
        any
    }

    fn take_in(&mut self, process: &Proc, card: Card, visible: bool, profiles: &Profiles) {
        // In the middle of an execve(2) a process shows no arguments: asked again.
        if card.own && card.argv.iter().all(String::is_empty) {
            return;
        }
        let what = if visible { profiles.recognise(&card.argv, card.exe.as_deref()) } else { Match::Nothing };
        let known = Known {
            program: process.program(),
            visible,
            is_keeper: process::is_keeper(&card.argv),
            handed_over: scene::handed_over(&card.argv).filter(|_| visible),
            argv: if what == Match::Nothing { Vec::new() } else { card.argv },
            papers: None,
            what,
        };
        self.known.insert(process.id, known);
    }

    /// Where agents work, and the variables their profiles name.
    fn ask_for_papers(&mut self, profiles: &Profiles) {
        let without = |k: &Known| matches!(k.what, Match::Agent { .. }) && k.papers.is_none();
        let wanted: Vec<ProcId> = self.known.iter().filter(|(_, k)| without(k)).map(|(id, _)| *id).collect();
        let homes = profiles.all().iter().filter_map(|p| Some(p.status_file.as_ref()?.home_variable.clone()));
        let names: Vec<String> =
            homes.chain(["HOME".to_string(), "BEADLE_SESSION".to_string()]).filter(|n| !n.is_empty()).collect();
        let read = self.patience.read(wanted, Within::All(CARDS), move |id| card::papers(id.pid, &names));
        for (id, papers) in read {
            if let Some(known) = self.known.get_mut(&id) {
                known.papers = Some(papers);
            }
        }
    }

    /// How many of a table are not known, and still there.
    pub fn unread(&self, table: &Table) -> usize {
        let unknown = table.iter().filter(|p| !p.kernel && !p.is_dead() && !self.known.contains_key(&p.id));
        unknown.filter(|p| process::is_alive(p.id)).count()
    }

    pub fn get(&self, id: ProcId) -> Option<&Known> {
        self.known.get(&id)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&ProcId, &Known)> {
        self.known.iter()
    }

    /// What the profiles say of those that may be seen, by pid.
    pub fn matches(&self) -> HashMap<i32, Match> {
        let of_interest = |k: &Known| k.visible && k.what != Match::Nothing;
        self.known.iter().filter(|(_, k)| of_interest(k)).map(|(id, k)| (id.pid, k.what.clone())).collect()
    }
}

fn carries(pid: i32, name: &str, value: &str) -> bool {
    process::environment_variable(pid, name).as_deref() == Some(value.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_ended_since_the_pass_is_nobody_that_is_not_known() {
        let own = process::own_identity().unwrap();
        let gone = Proc::kin(own.pid, 1, own.pid, own.pid, own.start + 1);
        let nobody = Recogniser::default();
        assert_eq!(nobody.unread(&Table::new([gone])), 0);
        assert_eq!(nobody.unread(&Table::new([Proc::kin(own.pid, 1, own.pid, own.pid, own.start)])), 1);
    }
}
