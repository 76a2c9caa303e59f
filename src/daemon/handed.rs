//! Work that sessions handed to somebody outside their trees: containers and units. They live on after a close, which
//! takes no more than the tree, so its report names them, as far as the commands that made them were seen.

use std::collections::{BTreeSet, HashMap};

use super::discovery::Scene;
use super::supervisor::Supervisor;
use crate::api::types::{Closed, Process};
use crate::model::scene;

/// By the id of the session.
pub type HandedOver = HashMap<String, BTreeSet<String>>;

/// What those of a tree hand over now, as it stands before they are taken.
pub fn by(tree: &[Process]) -> impl Iterator<Item = String> {
    let words = |p: &Process| p.command.split_whitespace().map(String::from).collect::<Vec<_>>();
    tree.iter().filter_map(move |p| scene::handed_over(&words(p)))
}

impl Supervisor {
    /// After each pass.
    pub(super) fn note_handed_over(&mut self, scene: &Scene) {
        let is_live = |id: &String| {
            self.entries.get(id).is_some_and(super::entry::Entry::is_live)
                || self.foreign.get(id).is_some_and(super::foreign::Foreign::is_live)
        };
        self.handed_over.retain(|id, _| is_live(id));
        for (pid, what) in &scene.handed_over {
            if let Some(id) = scene.session_of(*pid) {
                self.handed_over.entry(id).or_default().insert(what.clone());
            }
        }
    }

    /// Names in a report what a close did not reach.
    pub(super) fn name_handed_over(&mut self, closed: &mut Closed, tree: &[Process]) {
        let mut all = self.handed_over.remove(&closed.id).unwrap_or_default();
        all.extend(by(tree));
        closed.spared.extend(all.iter().map(|what| format!("outside its tree: {what}")));
    }
}
