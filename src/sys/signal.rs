//! The one function that sends signals to other processes. Whatever a plan says, what is protected or outside the
//! fence is refused here.

use std::collections::HashSet;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::Signal as Raw;

use super::process::{self, Pin};
use crate::model::session::ProcId;

/// How often the environment of a process that seems to have none is read, a millisecond apart.
const ENVIRON_READS: u32 = 50;

/// The signals beadle sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    Term,
    Cont,
    Hup,
    Int,
    Stop,
    Kill,
    Usr1,
    Usr2,
    Quit,
    Winch,
}

impl Signal {
    /// By its name, with or without `SIG`, in letters of either size; those a person may send to an agent.
    pub fn named(name: &str) -> Option<Self> {
        let name = name.to_uppercase();
        Some(match name.strip_prefix("SIG").unwrap_or(&name) {
            "TERM" => Self::Term,
            "CONT" => Self::Cont,
            "HUP" => Self::Hup,
            "INT" => Self::Int,
            "STOP" => Self::Stop,
            "KILL" => Self::Kill,
            "USR1" => Self::Usr1,
            "USR2" => Self::Usr2,
            "QUIT" => Self::Quit,
            "WINCH" => Self::Winch,
            _ => return None,
        })
    }

    const fn raw(self) -> Raw {
        match self {
            Self::Term => Raw::TERM,
            Self::Cont => Raw::CONT,
            Self::Hup => Raw::HUP,
            Self::Int => Raw::INT,
            Self::Stop => Raw::STOP,
            Self::Kill => Raw::KILL,
            Self::Usr1 => Raw::USR1,
            Self::Usr2 => Raw::USR2,
            Self::Quit => Raw::QUIT,
            Self::Winch => Raw::WINCH,
        }
    }
}

impl From<crate::model::stop::Signal> for Signal {
    fn from(planned: crate::model::stop::Signal) -> Self {
        use crate::model::stop::Signal as Planned;
        match planned {
            Planned::Term => Self::Term,
            Planned::Cont => Self::Cont,
            Planned::Hup => Self::Hup,
            Planned::Int => Self::Int,
            Planned::Quit => Self::Quit,
            Planned::Stop => Self::Stop,
            Planned::Kill => Self::Kill,
        }
    }
}

/// What became of a signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    Sent,
    /// The process had ended.
    Gone,
    /// The kernel does not let us (EPERM): another user's process.
    Denied,
    /// We do not let us.
    Refused(&'static str),
}

/// Who is never signalled, and the fence.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    protected: HashSet<i32>,
    fence: Option<(String, Vec<u8>)>,
}

impl Guard {
    /// `protected` are pids with all that must live: beadle's own processes, clients outside every session, and
    /// their ancestors. `fence` is `NAME=VALUE`: then only processes started with it may be signalled.
    pub fn new(protected: HashSet<i32>, fence: Option<&str>) -> Self {
        let fence =
            fence.and_then(|f| f.split_once('=')).map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
        Self { protected, fence }
    }

    pub fn protects(&self, pid: i32) -> bool {
        self.protected.contains(&pid)
    }

    pub fn protected(&self) -> &HashSet<i32> {
        &self.protected
    }

    /// Sends through the pin. `own` is true for what is ours beyond doubt (below a living keeper, in a cgroup we
    /// made, remembered by identity): the fence is for everything else.
    pub fn send(&self, pin: &Pin, signal: Signal, own: bool) -> Sent {
        if let Some(why) = self.refusal(pin.id().pid) {
            return Sent::Refused(why);
        }
        match self.fence.as_ref().filter(|_| !own).map(|(name, value)| started_with(pin, name, value)) {
            None | Some(Some(true)) => {}
            Some(Some(false)) => return Sent::Refused("outside the fence"),
            Some(None) => return Sent::Gone,
        }
        match rustix::process::pidfd_send_signal(pin, signal.raw()) {
            Ok(()) => Sent::Sent,
            Err(Errno::PERM) => Sent::Denied,
            // Anything else says that there is nobody to hear it (`pidfd_send_signal(2)`: ESRCH).
            Err(_) => Sent::Gone,
        }
    }

    fn refusal(&self, pid: i32) -> Option<&'static str> {
        if pid <= 1 {
            return Some("the first process is never signalled");
        }
        if pid == rustix::process::getpid().as_raw_nonzero().get() || self.protected.contains(&pid) {
            return Some("protected");
        }
        None
    }
}

/// `None` when the process has ended. Its environment is gone before it is (`do_exit` in the kernel), and not there yet in
/// the middle of execve(2): an empty one says nothing, and is read again for a moment.
fn started_with(pin: &Pin, name: &str, value: &[u8]) -> Option<bool> {
    for _ in 0..ENVIRON_READS {
        match process::read(pin.id().pid, "environ") {
            Ok(block) if !block.is_empty() => return Some(process::find_variable(&block, name) == Some(value)),
            Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => return Some(false),
            _ if !process::is_alive(pin.id()) => return None,
            _ => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    Some(false)
}

/// Wakes one of beadle's own processes (`SIGUSR1`: make your socket anew), after its identity was read again.
pub fn wake(id: ProcId) -> bool {
    tell_own(id, Raw::USR1)
}

/// Lets one of beadle's own processes go on that somebody has stopped.
pub fn go_on(id: ProcId) -> bool {
    tell_own(id, Raw::CONT)
}

fn tell_own(id: ProcId, signal: Raw) -> bool {
    let ours = process::arguments(id.pid).first().is_some_and(|a| a.rsplit('/').next() == Some("beadle"));
    match Pin::new(id) {
        Ok(Some(pin)) if ours => rustix::process::pidfd_send_signal(&pin, signal).is_ok(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(var: &str) -> (std::process::Child, Pin) {
        let child = std::process::Command::new("sleep").arg("60").env("FENCE", var).spawn().unwrap();
        let id = process::identity(i32::try_from(child.id()).unwrap()).unwrap();
        while process::environment_variable(id.pid, "FENCE").as_deref() != Some(var.as_bytes()) {
            std::thread::yield_now();
        }
        (child, Pin::new(id).unwrap().unwrap())
    }

    #[test]
    fn nothing_protected_or_outside_the_fence_is_signalled() {
        let (mut child, pin) = sleeper("a");
        let protecting = Guard::new([pin.id().pid].into(), None);
        assert_eq!(protecting.send(&pin, Signal::Kill, true), Sent::Refused("protected"));
        let fenced = Guard::new(HashSet::new(), Some("FENCE=b"));
        assert_eq!(fenced.send(&pin, Signal::Kill, false), Sent::Refused("outside the fence"));
        assert!(child.try_wait().unwrap().is_none());
        let inside = Guard::new(HashSet::new(), Some("FENCE=a"));
        assert_eq!(inside.send(&pin, Signal::Kill, false), Sent::Sent);
        child.wait().unwrap();
        assert_eq!(inside.send(&pin, Signal::Kill, true), Sent::Gone);
    }

    #[test]
    fn who_has_ended_is_gone_and_not_outside_the_fence() {
        let (mut child, pin) = sleeper("a");
        let fenced = Guard::new(HashSet::new(), Some("FENCE=a"));
        assert_eq!(fenced.send(&pin, Signal::Kill, false), Sent::Sent);
        // On its way out, then dead and not reaped: its environment is gone.
        assert!(matches!(fenced.send(&pin, Signal::Term, false), Sent::Sent | Sent::Gone));
        while process::is_alive(pin.id()) {
            std::thread::yield_now();
        }
        assert_eq!(fenced.send(&pin, Signal::Term, false), Sent::Gone);
        child.wait().unwrap();
    }

    #[test]
    fn a_signal_is_known_by_either_of_its_names() {
        assert_eq!((Signal::named("int"), Signal::named("SIGUSR2")), (Some(Signal::Int), Some(Signal::Usr2)));
        assert_eq!((Signal::named("SIGSEGV"), Signal::named("9"), Signal::named("SIG")), (None, None, None));
    }

    #[test]
    fn who_is_not_the_very_process_that_was_meant_is_sent_nothing() {
        let (mut child, pin) = sleeper("a");
        let id = pin.id();
        let (older, younger) = (ProcId { start: id.start - 1, ..id }, ProcId { start: id.start + 1, ..id });
        // Another process has the pid: there is no pin, and without one there is no signal.
        for other in [older, younger, ProcId { pid: 0, ..id }, ProcId { pid: -id.pid, ..id }] {
            assert!(Pin::new(other).unwrap().is_none(), "{other}");
        }
        assert!(child.try_wait().unwrap().is_none());
        // Held, ended and reaped: the pid is free for others, and the pin reaches nobody.
        child.kill().unwrap();
        child.wait().unwrap();
        for signal in [Signal::Term, Signal::Cont, Signal::Hup, Signal::Int, Signal::Stop, Signal::Kill, Signal::Usr1] {
            assert_eq!(Guard::default().send(&pin, signal, true), Sent::Gone, "{signal:?}");
        }
        assert!(!wake(id));
    }

    #[test]
    fn this_process_is_never_signalled() {
        let own = Pin::new(process::own_identity().unwrap()).unwrap().unwrap();
        assert_eq!(Guard::default().send(&own, Signal::Kill, true), Sent::Refused("protected"));
    }
}
