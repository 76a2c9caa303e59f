//! How the supervisor keeps up with sessions beadle did not start: pass by pass.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use super::Foreign;
use crate::daemon::discovery::{Scene, View};
use crate::daemon::sampler::Sample;
use crate::daemon::supervisor::Supervisor;
use crate::model::profile::Status;
use crate::model::session::{Exit, ExitBy, ProcId};
use crate::sys::{clock, process};

/// How many that have ended are remembered, for `ls --all` and whoever waits for one.
const ENDED: usize = 100;

impl Supervisor {
    /// What a pass needs to know.
    pub(in crate::daemon) fn view(&self) -> View {
        let since = |e: &crate::daemon::entry::Entry| e.keeper.or(e.leader).map_or(u64::MAX, |k| k.start);
        let members = |e: &crate::daemon::entry::Entry| e.members.iter().copied().chain(e.leader).collect();
        View {
            boot: self.boot.clone(),
            instance: self.set.instance.clone(),
            profiles: self.standard.profiles.clone(),
            fence: self.set.config.sweep.fence.as_ref().map(|f| (f.name.clone(), f.value.clone())),
            keepers: self.keepers(),
            managed: self.live().map(|e| (e.id().to_string(), since(e), members(e))).collect(),
            before: self.foreign_live().map(|f| (f.seen.leader, f.members().to_vec())).collect(),
        }
    }

    pub(in crate::daemon) fn foreign_live(&self) -> impl Iterator<Item = &Foreign> {
        self.foreign.values().filter(|f| f.is_live())
    }

    /// Takes in a pass; true when something a reader can see has changed.
    pub(in crate::daemon) fn on_scene(&mut self, scene: Scene, samples: &[Sample]) -> bool {
        let now = clock::monotonic();
        let samples: HashMap<&str, &Sample> = samples.iter().map(|s| (s.id.as_str(), s)).collect();
        let mut changed = false;
        let mut there = BTreeMap::new();
        for seen in &scene.sightings {
            let id = scene.id_of(seen);
            if !self.foreign.get(&id).is_some_and(Foreign::is_live) {
                // A lingering one of which nothing is known any more is nobody's; and a pass that was under way while one
                // was closed still saw it.
                if seen.agent.is_empty() || (self.foreign.contains_key(&id) && !process::is_alive(seen.leader)) {
                    continue;
                }
                let standard = Arc::clone(&self.standard);
                let new = Foreign::new(id.clone(), seen.clone(), self.memory.of(&id), standard, now);
                info!(session = %id, agent = %new.agent, origin = %seen.origin, leader = %seen.leader, "seen");
                self.foreign.insert(id.clone(), new);
                self.tell_seen(&id);
                changed = true;
            }
            if let Some(foreign) = self.foreign.get_mut(&id) {
                changed |= foreign.take_in(&scene, seen.clone(), samples.get(id.as_str()).copied(), now);
            }
            there.insert(id, seen.leader);
        }
        changed |= self.finish_foreign(&there, now);
        changed |= self.hear_status(&scene);
        self.find_twins();
        self.note_handed_over(&scene);
        self.note_conversations();
        self.note_errors(&scene);
        self.scene = Some(Arc::new(scene));
        changed
    }

    /// Those that are not there any more, unless a close of them is still under way.
    fn finish_foreign(&mut self, there: &BTreeMap<String, ProcId>, now: Duration) -> bool {
        let is_over = |f: &&mut Foreign| f.is_live() && f.close.is_none() && !there.contains_key(&f.id);
        let mut over = Vec::new();
        for foreign in self.foreign.values_mut().filter(|f| is_over(f)) {
            info!(session = %foreign.id, "is gone");
            let reason = "beadle did not start it".into();
            let exit = Exit { code: None, signal: None, at: clock::wall(), by: ExitBy::Unknown, reason };
            foreign.finish(exit, now);
            over.push(foreign.id.clone());
        }
        over.iter().for_each(|id| self.tell_gone(id));
        if !over.is_empty() {
            self.forget_old();
        }
        !over.is_empty()
    }

    pub(in crate::daemon) fn forget_old(&mut self) {
        let mut ended: Vec<(Option<Duration>, String)> =
            self.foreign.values().filter(|f| !f.is_live()).map(|f| (f.ended, f.id.clone())).collect();
        ended.sort();
        let shells = self.foreign.values().filter(|f| !f.is_live() && f.is_shell()).map(|f| f.id.clone());
        let over = ended.len().saturating_sub(ENDED);
        let gone: Vec<String> = shells.chain(ended.into_iter().take(over).map(|(_, id)| id)).collect();
        gone.iter().for_each(|id| drop(self.foreign.remove(id)));
        let live: Vec<&str> = self.foreign.values().filter(|f| f.is_live()).map(|f| f.id.as_str()).collect();
        if let Err(error) = self.memory.forget(|id| !live.contains(&id)) {
            warn!(%error, "failed to write down the names of sessions beadle did not start");
        }
    }

    /// What the agents of managed sessions say of themselves: of each session the most recent word.
    fn hear_status(&mut self, scene: &Scene) -> bool {
        let mut told: HashMap<String, Status> = HashMap::new();
        for (process, status) in &scene.registry {
            let (Some(id), Ok(status)) = (scene.session_of(process.pid), status) else { continue };
            if told.get(&id).is_none_or(|known| known.since_millis < status.since_millis) {
                told.insert(id, status.clone());
            }
        }
        let mut changed = false;
        for entry in self.entries.values_mut().filter(|e| e.is_live()) {
            let status = told.remove(entry.id());
            changed |= status != entry.status;
            entry.status = status;
        }
        changed
    }

    /// One conversation resumed twice: two agents that write over each other.
    fn find_twins(&mut self) {
        let mut open: HashMap<String, Vec<(String, String)>> = HashMap::new();
        let managed = self.live().filter_map(|e| Some((e.open_conversation()?, e.id(), e.name())));
        let foreign = self.foreign_live().filter_map(|f| Some((f.conversation()?, f.id.as_str(), f.name())));
        for (conversation, id, name) in managed.chain(foreign) {
            open.entry(conversation.into()).or_default().push((id.into(), name.into()));
        }
        let twins = |conversation: Option<&str>, own: &str| -> Vec<String> {
            let same = conversation.and_then(|c| open.get(c)).into_iter().flatten();
            same.filter(|(id, _)| id != own).map(|(_, name)| name.clone()).collect()
        };
        for foreign in self.foreign.values_mut() {
            foreign.twins = twins(foreign.conversation(), &foreign.id);
        }
        for entry in self.entries.values_mut() {
            entry.twins = twins(entry.open_conversation(), entry.id());
        }
    }

    /// Said once, not in every pass.
    fn note_errors(&self, scene: &Scene) {
        let known = self.scene.as_ref().map(|s| s.errors.clone()).unwrap_or_default();
        for error in scene.errors.iter().filter(|e| !known.contains(e)) {
            warn!("{error}");
        }
    }
}
