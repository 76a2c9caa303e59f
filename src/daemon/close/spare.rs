//! Who is left alone by a close, with everything below: tmux servers, members of other sessions, what is to be kept.

use std::collections::{BTreeSet, HashSet};
use std::sync::PoisonError;

use super::{Closing, TAGS, Work};
use crate::daemon::{sampler, tmux};
use crate::model::process::{Table, members};
use crate::model::session::ProcId;

impl Work<'_> {
    /// A tmux server born inside that somebody outside is attached to is left, with its panes; so is one that cannot be
    /// asked. One that is stopped has nobody who could see it.
    pub(super) fn spare_tmux(&mut self, table: &Table, open: &mut [Closing]) {
        let boundary = &self.boundary;
        let spared: Vec<Vec<(ProcId, String)>> = std::thread::scope(|scope| {
            let asked: Vec<_> = open
                .iter()
                .map(|closing| {
                    // A foreign session's are left without asking.
                    let managed = Some(&closing.target.claim).filter(|claim| !claim.foreign);
                    let found = managed.map_or_else(Vec::new, |claim| members(table, claim, boundary));
                    let is_server = |id: &ProcId| table.get(*id).is_some_and(|p| tmux::is_server(p) && !p.is_stopped());
                    let visited = &closing.target.visited;
                    let servers: Vec<ProcId> =
                        found.iter().filter(|id| visited.contains(id) || is_server(id)).copied().collect();
                    let inside: HashSet<i32> = found.iter().map(|id| id.pid).collect();
                    (!servers.is_empty()).then(|| scope.spawn(move || spare_of(&servers, visited, &inside)))
                })
                .collect();
            asked.into_iter().map(|a| a.and_then(|a| a.join().ok()).unwrap_or_default()).collect()
        });
        for (closing, spared) in open.iter_mut().zip(spared) {
            for (server, why) in spared {
                self.boundary_spared.insert(server.pid);
                closing.spared.push(why);
                closing.servers.push(server);
            }
        }
        self.boundary.spared.clone_from(&self.boundary_spared);
    }

    /// What was started in a pane of a server that is left, and has left the pane, is somebody's work like the pane. Asked
    /// anew in every pass, for who does so meanwhile.
    pub(super) fn spare_of_panes(&mut self, table: &Table, open: &mut [Closing]) {
        for closing in open.iter_mut().filter(|c| !c.servers.is_empty()) {
            let found = members(table, &closing.target.claim, &self.boundary);
            let wanted = found.iter().filter(|id| Some(**id) != closing.target.claim.leader);
            let wanted = wanted.filter_map(|id| table.get(*id)).copied();
            let mut tags = self.around.tags.lock().unwrap_or_else(PoisonError::into_inner);
            let of_panes = tags.in_panes_of(&closing.servers, table, wanted, TAGS);
            drop(tags);
            for id in of_panes.into_iter().filter(|id| self.boundary_spared.insert(id.pid)) {
                closing.spared.push(format!("pid {}: started in a pane of it", id.pid));
            }
        }
        self.boundary.spared.clone_from(&self.boundary_spared);
    }

    /// A session beadle did not start takes no tmux server and nothing of another session; asked in every pass, for who
    /// is born during the close.
    pub(super) fn spare_others(&mut self, table: &Table, open: &mut [Closing]) {
        for closing in open.iter_mut().filter(|c| c.target.claim.foreign) {
            let leader = closing.target.claim.leader;
            let above = leader.filter(|l| table.is_alive(*l)).map(|l| table.lineage(l.pid)).unwrap_or_default();
            let others = closing.target.spared.iter().filter(|id| table.is_alive(**id) && !above.contains(&id.pid));
            closing.walls = others.map(|id| id.pid).collect();
            for id in members(table, &closing.target.claim, &self.boundary) {
                if table.get(id).is_some_and(tmux::is_server) && self.boundary_spared.insert(id.pid) {
                    closing.spared.push(format!("tmux server {} with its panes", id.pid));
                }
            }
        }
        self.boundary.spared.clone_from(&self.boundary_spared);
    }

    /// Asked anew in every pass: who is to be kept may have been born since.
    pub(super) fn spare_kept(&mut self, table: &Table, open: &mut [Closing]) {
        for closing in open {
            let Some(named) = &closing.target.keep else { continue };
            let found = members(table, &closing.target.claim, &self.boundary);
            closing.kept = sampler::kept(table, &found, named, &self.around.tags);
            self.boundary.spared.extend(closing.kept.iter().map(|id| id.pid));
        }
    }
}

/// Which of these tmux servers are left, and why.
fn spare_of(servers: &[ProcId], visited: &BTreeSet<ProcId>, inside: &HashSet<i32>) -> Vec<(ProcId, String)> {
    let one = |id: &ProcId| {
        let server = id.pid;
        if visited.contains(id) {
            return Some((*id, format!("tmux server {server} with its panes: somebody from outside was attached")));
        }
        let why = match tmux::outside_client(server, |pid| inside.contains(&pid)) {
            tmux::Outside::Nobody => return None,
            tmux::Outside::Client(client) => format!("client {client} from outside is attached"),
            tmux::Outside::Unknown => "it does not say who is attached".to_string(),
        };
        Some((*id, format!("tmux server {server} with its panes: {why}")))
    };
    servers.iter().filter_map(one).collect()
}
