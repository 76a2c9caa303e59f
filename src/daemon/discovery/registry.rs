//! What agents write about themselves, and the terminals they have: read in every pass, with a deadline, because a home
//! can be a dead mount.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::Scene;
use super::known::Recogniser;
use crate::model::process::Table;
use crate::model::profile::{Match, Profiles, Status, StatusFile};
use crate::model::session::ProcId;
use crate::sys::card;
use crate::sys::patience::{Patience, Within};

/// How long all of them together may take.
const DEADLINE: Duration = Duration::from_millis(200);
/// A larger file is no status file.
const LARGEST: u64 = 64 << 10;

/// The terminal of a leader.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Terminal {
    /// Last read from and last written to, Unix seconds.
    pub times: Option<(u64, u64)>,
    /// It had one, and that is gone.
    pub deleted: bool,
}

#[derive(Debug, Default)]
pub struct Registry {
    files: Patience<(ProcId, PathBuf)>,
    terminals: Patience<(ProcId, i32)>,
    /// What once was deleted stays so.
    deleted: HashSet<ProcId>,
}

impl Registry {
    pub fn look(&mut self, scene: &mut Scene, known: &Recogniser, profiles: &Profiles) {
        scene.registry = self.statuses(&scene.table, known, profiles);
        let leaders: Vec<(ProcId, i32)> = scene
            .sightings
            .iter()
            .filter_map(|s| Some((s.leader, scene.table.get(s.leader).filter(|p| !p.is_dead())?.tty)))
            .collect();
        scene.terminals = self.terminals_of(leaders);
    }

    /// Every agent has its file by its own pid; one that says another start time is of somebody who had the pid before.
    fn statuses(
        &mut self,
        table: &Table,
        known: &Recogniser,
        profiles: &Profiles,
    ) -> HashMap<ProcId, Result<Status, String>> {
        let mut wanted: Vec<(ProcId, PathBuf)> = Vec::new();
        let mut kinds: HashMap<ProcId, &StatusFile> = HashMap::new();
        for (id, one) in known.iter() {
            let Match::Agent { name, .. } = &one.what else { continue };
            let Some(file) = profiles.by_name(name).and_then(|p| p.status_file.as_ref()) else { continue };
            let Some(papers) = one.papers.as_ref().filter(|_| one.visible && table.is_alive(*id)) else { continue };
            let Some(home) = papers.variable("HOME") else { continue };
            wanted.push((*id, PathBuf::from(file.path_for(id.pid, papers.variable(&file.home_variable), home))));
            kinds.insert(*id, file);
        }
        self.files.retain(|(id, _)| table.get(*id).is_some());
        let read = self.files.read(wanted, Within::All(DEADLINE), |(_, path)| card::small_file(path, LARGEST));
        let one = |((id, path), text): ((ProcId, PathBuf), io::Result<String>)| match text {
            Ok(text) => {
                let status = kinds.get(&id)?.read(&text)?;
                (status.pid == Some(id.pid) && status.start == Some(id.start)).then_some((id, Ok(status)))
            }
            // It has none, or none yet.
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => Some((id, Err(format!("failed to read {}: {e}", path.display())))),
        };
        read.into_iter().filter_map(one).collect()
    }

    fn terminals_of(&mut self, leaders: Vec<(ProcId, i32)>) -> HashMap<ProcId, Terminal> {
        let alive: Vec<ProcId> = leaders.iter().map(|(id, _)| *id).collect();
        self.deleted.retain(|id| alive.contains(id));
        self.terminals.retain(|(id, _)| alive.contains(id));
        let seen = self.deleted.clone();
        let read = self.terminals.read(leaders, Within::All(DEADLINE), move |(id, tty)| Terminal {
            times: card::terminal_times(*tty),
            // Only who has no terminal can have lost it.
            deleted: *tty == 0 && (seen.contains(id) || card::is_terminal_deleted(id.pid)),
        });
        let found: HashMap<ProcId, Terminal> = read.into_iter().map(|((id, _), terminal)| (id, terminal)).collect();
        self.deleted.extend(found.iter().filter(|(_, t)| t.deleted).map(|(id, _)| *id));
        found
    }
}
