//! What beadle itself saw of shared daemons: the session each was born in, that session's end, and since when nobody was
//! connected. Kept in memory only: what was not seen is unknown, and proves nothing.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::daemon::discovery::Scene;
use crate::model::profile::{HelperKind, Match};
use crate::model::session::ProcId;
use crate::model::stray::{Asked, Clients};
use crate::sys::patience::{Patience, Within};
use crate::sys::peers;

/// How long all of them together may take to be asked who is connected.
const DEADLINE: Duration = Duration::from_millis(500);

#[derive(Debug, Default)]
struct Birth {
    session: String,
    ended: bool,
}

#[derive(Debug, Default)]
pub struct Births {
    known: HashMap<ProcId, Birth>,
    /// By the monotonic clock; in every look since.
    unused_since: HashMap<ProcId, Duration>,
    patience: Patience<ProcId>,
}

/// Shared daemons that live.
pub fn shared(scene: &Scene) -> impl Iterator<Item = ProcId> {
    let is_shared = |what: &Match| matches!(what, Match::Helper { kind: HelperKind::Daemon, .. });
    let pids = scene.known.iter().filter(move |(_, what)| is_shared(what)).map(|(pid, _)| *pid);
    pids.filter_map(|pid| scene.table.pid(pid)).filter(|p| !p.is_dead()).map(|p| p.id)
}

impl Births {
    /// Takes in a pass. `ended` are sessions whose end was seen; true when somebody is to be asked for clients.
    pub fn note(&mut self, scene: &Scene, ended: &HashSet<String>) -> bool {
        self.known.retain(|id, _| scene.table.is_alive(*id));
        self.unused_since.retain(|id, _| scene.table.is_alive(*id));
        self.patience.retain(|id| scene.table.is_alive(*id));
        for id in shared(scene) {
            // The first session it was seen in is the one it was born in.
            if let Some(session) = scene.session_of(id.pid).filter(|_| !self.known.contains_key(&id)) {
                self.known.insert(id, Birth { session, ended: false });
            }
        }
        for birth in self.known.values_mut() {
            birth.ended |= ended.contains(&birth.session);
        }
        self.known.values().any(|b| b.ended)
    }

    pub fn has_ended(&self, id: ProcId) -> bool {
        self.known.get(&id).is_some_and(|b| b.ended)
    }

    /// Asks all that were born in sessions that have ended. May take as long as the deadline.
    pub fn ask(&mut self, now: Duration) {
        let wanted: Vec<ProcId> = self.known.iter().filter(|(_, b)| b.ended).map(|(id, _)| *id).collect();
        let answers: HashMap<ProcId, Asked<bool>> = self
            .patience
            .read(wanted.clone(), Within::All(DEADLINE), |id| peers::has_clients(id.pid))
            .into_iter()
            .collect();
        for id in wanted {
            match answers.get(&id) {
                Some(Asked::Is(false)) => drop(self.unused_since.entry(id).or_insert(now)),
                // Somebody is there, or may be: the time begins anew.
                Some(Asked::Is(true) | Asked::Unreadable(_)) | None => drop(self.unused_since.remove(&id)),
            }
        }
    }

    /// Who uses it, when this was asked just now.
    pub fn clients(&mut self, id: ProcId, connected: Asked<bool>, now: Duration) -> Asked<Clients> {
        match connected {
            Asked::Is(false) => {
                let since = *self.unused_since.entry(id).or_insert(now);
                Asked::Is(Clients::NoneFor(now.saturating_sub(since)))
            }
            Asked::Is(true) => {
                self.unused_since.remove(&id);
                Asked::Is(Clients::Connected)
            }
            Asked::Unreadable(what) => {
                self.unused_since.remove(&id);
                Asked::Unreadable(what)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::process::{Proc, Table};

    fn scene(born_in: Option<&str>) -> (Scene, ProcId) {
        let daemon = Proc::kin(70, 1, 70, 70, 9);
        let what = Match::Helper { agent: "codex".into(), kind: HelperKind::Daemon, stdio: false, rule: "x".into() };
        let managed = born_in.map(|id| (70, id.to_string())).into_iter().collect();
        let scene = Scene { table: Table::new([daemon]), known: [(70, what)].into(), managed, ..Scene::default() };
        (scene, daemon.id)
    }

    #[test]
    fn a_birth_is_known_only_to_who_saw_it_and_so_is_the_end_of_its_session() {
        let mut births = Births::default();
        let ended: HashSet<String> = ["a1".to_string()].into();
        let (alone, id) = scene(None);
        assert!(!births.note(&alone, &ended) && !births.has_ended(id));
        let (born, _) = scene(Some("a1"));
        assert!(!births.note(&born, &HashSet::new()) && !births.has_ended(id));
        assert!(births.note(&alone, &ended) && births.has_ended(id));
        // Another session that it is seen in later is not the one it was born in.
        assert!(births.note(&scene(Some("b2")).0, &HashSet::new()) && births.has_ended(id));
        let nobody = Scene::default();
        assert!(!births.note(&nobody, &ended) && !births.has_ended(id));
    }

    #[test]
    fn a_client_or_an_answer_that_does_not_come_begins_the_time_anew() {
        let (mut births, id) = (Births::default(), ProcId { pid: 7, start: 1 });
        let at = Duration::from_secs;
        let none_for = |seconds| Asked::Is(Clients::NoneFor(at(seconds)));
        assert_eq!(births.clients(id, Asked::Is(false), at(10)), none_for(0));
        assert_eq!(births.clients(id, Asked::Is(false), at(80)), none_for(70));
        assert_eq!(births.clients(id, Asked::Is(true), at(90)), Asked::Is(Clients::Connected));
        assert_eq!(births.clients(id, Asked::Is(false), at(100)), none_for(0));
        assert!(matches!(births.clients(id, Asked::Unreadable("x".into()), at(150)), Asked::Unreadable(_)));
        assert_eq!(births.clients(id, Asked::Is(false), at(200)), none_for(0));
    }
}
