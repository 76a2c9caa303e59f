//! A systemd scope for each session, as far as there is a systemd that gives one. Whatever fails, the session starts as it
//! would without.
//!
//! A daemon that a command started leaves that command's login too: the end of the login would be a TERM for it, and it
//! would close its sessions. From its own scope keepers are moved by the user's manager alone (out of a login it asks the
//! system's, which takes twice as long).
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

/// Stands where a session's id would.
const DAEMON: &str = "daemon";

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
        let unit = scope::unit(&session.id, again.then_some(keeper));
        if !self.ask(keeper, &unit, &scope::description(&session.name)) {
            return None;
        }
        let dir = cgroup::directory(&cgroup::lines_of(keeper)).filter(|_| self.set.cgroup)?;
        Some(Home::below(&dir, &self.instance))
    }

    /// Puts this process, which has no children yet, into a scope of its own.
    pub fn leave_login(&self) {
        let own = i32::try_from(std::process::id()).unwrap_or(0);
        // Who does not get out stays, as the log says.
        self.ask(own, &scope::unit(DAEMON, Some(own)), "beadle daemon");
    }

    /// True once the process is in the scope.
    fn ask(&self, pid: i32, unit: &str, description: &str) -> bool {
        let Some(manager) = self.manager().filter(|_| self.trust().asks(clock::monotonic())) else { return false };
        // Not under the lock: sessions that begin together wait together.
        match manager.enclose(pid, unit, description) {
            Ok(()) => {
                if self.trust().worked() {
                    info!("sessions get a systemd scope of their own again");
                }
                true
            }
            Err(error) => {
                let why = error.to_string();
                if self.trust().failed(clock::monotonic(), why.clone()) {
                    warn!("sessions get no systemd scope of their own for now: {why}");
                }
                false
            }
        }
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
