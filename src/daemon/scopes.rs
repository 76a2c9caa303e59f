//! A systemd scope for each session, as far as there is a systemd that gives one. Whatever fails, the session starts as it
//! would without.
//!
//! The keeper is put into the scope while it still waits for its specification, and bears the agent in a cgroup below: so
//! nobody is ever moved who has children, and `cgroup.kill` of the session does not reach its keeper.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::{info, warn};

use crate::api::kept::Described;
use crate::config::Sys;
use crate::model::scope::{self, Standing, Trust};
use crate::sys::cgroup::{self, Home};
use crate::sys::clock;
use crate::sys::scope::Manager;

#[derive(Debug, Clone)]
pub struct Scopes {
    set: Sys,
    instance: String,
    trust: Arc<Mutex<Trust>>,
}

impl Scopes {
    pub fn new(set: Sys, instance: &str) -> Self {
        Self { set, instance: instance.into(), trust: Arc::default() }
    }

    /// Puts a keeper that has no children yet into a scope of its own. Where cgroups for its session can then be made;
    /// nothing when it is where it was.
    pub fn enclose(&self, keeper: i32, session: &Described, again: bool) -> Option<Home> {
        let manager = self.manager().filter(|_| self.trust().asks(clock::monotonic()))?;
        let unit = scope::unit(&session.id, again.then_some(keeper));
        // Not under the lock: sessions that begin together wait together.
        let enclosed = manager.enclose(keeper, &unit, &scope::description(&session.name));
        if let Err(error) = enclosed {
            let why = error.to_string();
            if self.trust().failed(clock::monotonic(), why.clone()) {
                warn!("sessions get no systemd scope of their own for now: {why}");
            }
            return None;
        }
        if self.trust().worked() {
            info!("sessions get a systemd scope of their own again");
        }
        let dir = cgroup::directory(&cgroup::lines_of(keeper)).filter(|_| self.set.cgroup)?;
        Some(Home::below(&dir, &self.instance))
    }

    pub fn standing(&self) -> Standing {
        match self.manager() {
            _ if !self.set.scope => Standing::Off,
            None => Standing::Absent,
            Some(_) => self.trust().standing(),
        }
    }

    /// May come and go while the daemon lives.
    fn manager(&self) -> Option<Manager> {
        if self.set.scope { Manager::find() } else { None }
    }

    fn trust(&self) -> MutexGuard<'_, Trust> {
        self.trust.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
