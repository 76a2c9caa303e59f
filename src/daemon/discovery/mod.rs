//! Discovery: one pass over the machine, and every session in it that beadle did not start.
//!
//! ```text
//!   process table (stat only) ─┬─► known: command lines, once for each program ─► profiles
//!                              ├─► panes: each tmux server on a thread of its own
//!                              └─► registry: the agents' own status files, terminals
//!                                            │
//!                                            ▼
//!                              model::scene::assemble ─► Scene ─► supervisor, sweep
//! ```
//!
//! Runs in the thread of the sampler, over the table of the sampler. What can hang is read with a deadline. Nothing here
//! decides or signals anything: a [`Scene`] is what was seen, with what could not be seen in `errors`, and an error is
//! never an absence.

mod known;
pub mod panes;
mod registry;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use super::sampler::{Ask, Shares};
use crate::model::process::Table;
use crate::model::profile::{Match, Profiles, Status};
use crate::model::scene::{self, Facts, Pane, Sighting};
use crate::model::session::ProcId;

use known::Recogniser;
use panes::Panes;
pub use panes::{Server, Shown};
use registry::Registry;
pub use registry::Terminal;

/// What the supervisor knows and a pass needs to know.
#[derive(Debug, Clone, Default)]
pub struct View {
    pub boot: String,
    pub instance: String,
    pub profiles: Profiles,
    /// Only carriers of this variable are seen.
    pub fence: Option<(String, String)>,
    /// Living keepers of this instance.
    pub keepers: HashSet<i32>,
    /// Managed sessions that live: id, start of the session in clock ticks, members as remembered.
    pub managed: Vec<(String, u64, Vec<ProcId>)>,
    /// Foreign sessions as they were: leader and members.
    pub before: Vec<(ProcId, Vec<ProcId>)>,
}

/// What is known of an agent's process beyond what the profiles say of it.
#[derive(Debug, Clone, Default)]
pub struct Person {
    pub argv: Vec<String>,
    pub workspace: Option<PathBuf>,
}

/// All that one pass saw.
#[derive(Debug, Clone, Default)]
pub struct Scene {
    pub table: Table,
    /// What the profiles say of the processes of this user inside the fence, by pid; who is not here is none of ours.
    pub known: HashMap<i32, Match>,
    /// Of every agent among them.
    pub agents: HashMap<ProcId, Person>,
    /// Keepers of any instance.
    pub keepers: HashSet<i32>,
    /// Members of managed sessions, wherever they are by now.
    pub managed: HashMap<i32, String>,
    pub sightings: Vec<Sighting>,
    /// Every tmux server that was seen, also those that do not answer.
    pub servers: Vec<Server>,
    /// Screens read in this pass.
    pub shown: Vec<Shown>,
    /// The agents' own status files, by process: `Err` is one that could not be read.
    pub registry: HashMap<ProcId, Result<Status, String>>,
    /// The terminals of leaders.
    pub terminals: HashMap<ProcId, Terminal>,
    /// Work handed to somebody outside, by the process that did it.
    pub handed_over: HashMap<i32, String>,
    /// How many processes could not be looked at: whoever they are, they are not in `known`.
    pub unread: usize,
    /// What could not be asked. Whoever concludes from an absence asks here first.
    pub errors: Vec<String>,
    /// Wall time of the pass, Unix seconds.
    pub at: u64,
    pub(in crate::daemon) boot: String,
}

impl Scene {
    pub fn panes(&self) -> impl Iterator<Item = &Pane> {
        self.servers.iter().flat_map(|s| &s.panes)
    }

    pub fn id_of(&self, sighting: &Sighting) -> String {
        scene::id_of(&self.boot, sighting.leader)
    }

    /// What the sampler is to measure of the sessions beadle did not start.
    pub fn asks(&self) -> Vec<Ask> {
        self.sightings.iter().map(|s| Ask::foreign(self.id_of(s), s, Shares::default())).collect()
    }

    /// The id of the session a process belongs to: below a keeper, a member remembered, or a foreign session's.
    pub fn session_of(&self, pid: i32) -> Option<String> {
        let lineage = self.table.lineage(pid);
        if let Some(id) = lineage.iter().find_map(|up| self.managed.get(up)) {
            return Some(id.clone());
        }
        let owner = self.sightings.iter().find(|s| s.members.iter().any(|m| m.pid == pid));
        owner.map(|s| self.id_of(s))
    }
}

#[derive(Debug, Default)]
pub struct Discovery {
    known: Recogniser,
    panes: Panes,
    registry: Registry,
    /// Panes with agents, as of the last pass.
    with_agents: HashSet<(String, String)>,
}

impl Discovery {
    pub fn look(&mut self, table: Table, view: &View) -> Scene {
        let mut errors = Vec::new();
        self.known.learn(&table, &view.profiles, view.fence.as_ref());
        let is_visible = |id: ProcId| self.known.get(id).is_some_and(|k| k.visible);
        let (servers, shown) = self.panes.ask(&table, is_visible, &self.with_agents, &mut errors);
        let mut scene = Scene {
            known: self.known.matches(),
            keepers: self.keepers(view),
            managed: self.managed(&table, view),
            agents: self.agents(),
            unread: self.known.unread(&table),
            handed_over: self.handed_over(),
            servers,
            shown,
            errors,
            at: crate::sys::clock::unix_now(),
            boot: view.boot.clone(),
            table,
            ..Scene::default()
        };
        scene.sightings = assemble(&scene, view);
        self.with_agents = scene.sightings.iter().filter_map(pane_of_agent).collect();
        self.registry.look(&mut scene, &self.known, &view.profiles);
        scene
    }

    fn keepers(&self, view: &View) -> HashSet<i32> {
        let others = self.known.iter().filter(|(_, k)| k.is_keeper).map(|(id, _)| id.pid);
        view.keepers.iter().copied().chain(others).collect()
    }

    /// Members of managed sessions by identity, and agents that carry the tag of one.
    fn managed(&self, table: &Table, view: &View) -> HashMap<i32, String> {
        let mut found = HashMap::new();
        for (id, since, members) in &view.managed {
            let alive = members.iter().filter(|m| table.is_alive(**m));
            found.extend(alive.map(|m| (m.pid, id.clone())));
            let tag = format!("{id}@{}", view.instance);
            let carries = |k: &known::Known| k.papers.as_ref()?.variable("BEADLE_SESSION").map(|t| t == tag);
            let carriers = self.known.iter().filter(|(p, k)| p.start >= *since && carries(k) == Some(true));
            found.extend(carriers.map(|(p, _)| (p.pid, id.clone())));
        }
        found
    }

    fn agents(&self) -> HashMap<ProcId, Person> {
        let person = |k: &known::Known| Person {
            argv: k.argv.clone(),
            workspace: k.papers.as_ref().and_then(|p| p.workspace.clone()),
        };
        let agents = self.known.iter().filter(|(_, k)| matches!(k.what, Match::Agent { .. }));
        agents.map(|(id, k)| (*id, person(k))).collect()
    }

    fn handed_over(&self) -> HashMap<i32, String> {
        self.known.iter().filter_map(|(id, k)| Some((id.pid, k.handed_over.clone()?))).collect()
    }
}

fn assemble(scene: &Scene, view: &View) -> Vec<Sighting> {
    let panes: Vec<Pane> = scene.panes().cloned().collect();
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    scene::assemble(&Facts {
        table: &scene.table,
        known: &scene.known,
        panes: &panes,
        keepers: &scene.keepers,
        managed: &scene.managed.keys().copied().collect(),
        protected: &scene.table.lineage(own).into_iter().collect(),
        before: &view.before,
    })
}

fn pane_of_agent(sighting: &Sighting) -> Option<(String, String)> {
    let pane = sighting.pane.as_ref().filter(|_| !sighting.is_shell())?;
    Some((pane.socket.clone(), pane.id.clone()))
}
