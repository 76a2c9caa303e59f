//! The leashes that are held now: who connects from below one is a hook.

use std::collections::HashSet;
use std::io;
use std::process::Child;
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::authority::Kin;

#[derive(Debug, Clone, Default)]
pub struct Leashes {
    held: Arc<Mutex<HashSet<i32>>>,
}

impl Leashes {
    /// Starts one and notes it; nobody is asked about in between.
    pub fn start(&self, start: impl FnOnce() -> io::Result<Child>) -> io::Result<Child> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let child = start()?;
        held.extend(i32::try_from(child.id()));
        Ok(child)
    }

    /// It is over, and nobody is below it any more.
    pub fn forget(&self, child: &Child) {
        if let Ok(pid) = i32::try_from(child.id()) {
            self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(&pid);
        }
    }

    /// A caller is below one of them, or could be: it has gone before its lineage was read.
    pub fn hold(&self, kin: &Kin) -> bool {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        !held.is_empty() && (kin.lineage.is_empty() || kin.lineage.iter().any(|id| held.contains(&id.pid)))
    }
}
