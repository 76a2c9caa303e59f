//! A command on a leash: it has a time limit, and when it is over, everything it ever started is gone.
//!
//! ```text
//!   daemon ── leash (this, a process of its own) ── command ── all it starts
//! ```
//!
//! The leash is a child subreaper, like a keeper: nobody below can leave its subtree, whatever is forked or detached. It
//! ends the command when the time is over, and when nobody is left who reads its standard output: the daemon.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::poll::{self, Reap};
use super::process::{self, Pin};
use super::signal::{Guard, Signal};
use super::{spawn, table};

/// The word in front of a leash's arguments.
pub const VERB: &str = "leash";
/// Exit statuses of a leash, beside those of its command.
pub const LATE: u8 = 124;
pub const LEFT: u8 = 125;
pub const NOT_RUN: u8 = 127;
/// Between two looks at who is left.
const PAUSE: Duration = Duration::from_millis(5);
/// How long it is tried to take those who do not die.
const TRIES: u32 = 400;

/// Starts a leash around a command: standard input and error are the command's, standard output is what it is held by.
pub fn start(command: &[String], timeout: Duration, env: &[(String, String)]) -> io::Result<Child> {
    let mut leash = Command::new("/proc/self/exe");
    leash.arg0("beadle").arg(VERB).arg(timeout.as_millis().to_string()).args(command);
    leash.env_clear().envs(env.iter().map(|(k, v)| (k, v))).current_dir("/");
    leash.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
}

/// The leash itself: `beadle leash MILLISECONDS PROGRAM ARGUMENT…`. Answers the exit status.
pub fn hold(words: &[String]) -> u8 {
    let [timeout, program, arguments @ ..] = words else { return NOT_RUN };
    let end = Instant::now() + Duration::from_millis(timeout.parse().unwrap_or(0));
    spawn::stay_small();
    spawn::reset_signals();
    if spawn::become_keeper().is_err() {
        return NOT_RUN;
    }
    let spawned = Command::new(program).args(arguments).stdout(Stdio::null()).spawn();
    let leader = match spawned.map(|child| i32::try_from(child.id()).unwrap_or(0)) {
        Ok(leader) => leader,
        Err(error) => {
            // It is the daemon that reads this.
            let _ = io::Write::write_fmt(&mut io::stderr(), format_args!("failed to run {program}: {error}\n"));
            return NOT_RUN;
        }
    };
    let status = until_over(leader, end);
    if !take_all() {
        return LEFT;
    }
    status.unwrap_or(LATE)
}

/// The status of the command; `None` when it is to be ended.
fn until_over(leader: i32, end: Instant) -> Option<u8> {
    // Not waited for yet, so that its pid is its own.
    let pin = process::identity(leader).and_then(|id| Pin::new(id).ok().flatten());
    let held = io::stdout();
    while let Some(pin) = &pin {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        // An error is looked at again until the time is over.
        let seen = poll::readable(&[pin.as_fd(), held.as_fd()], left).unwrap_or_default();
        match seen.as_slice() {
            [true, ..] => break,
            [_, true] => return None,
            _ => {}
        }
    }
    loop {
        match poll::reap() {
            Reap::One(reaped) if reaped.pid == leader => {
                let signalled = reaped.signal.map(|signal| 128 + signal);
                return u8::try_from(reaped.code.or(signalled).unwrap_or(0)).ok().or(Some(u8::MAX));
            }
            Reap::One(_) => {}
            Reap::Nothing | Reap::NoChildren => return None,
        }
    }
}

/// Everybody below, newcomers too; false when somebody cannot be taken.
fn take_all() -> bool {
    let guard = Guard::default();
    let own = process::own_identity().map_or(0, |id| id.pid);
    for _ in 0..TRIES {
        loop {
            match poll::reap() {
                Reap::One(_) => {}
                Reap::NoChildren => return true,
                Reap::Nothing => break,
            }
        }
        let Ok(table) = table::read() else { continue };
        let below = table.iter().filter(|p| p.id.pid != own && table.lineage(p.id.pid).contains(&own));
        let pins: Vec<Pin> = below.filter_map(|p| Pin::new(p.id).ok().flatten()).collect();
        // First nobody forks any more.
        for signal in [Signal::Stop, Signal::Kill] {
            for pin in &pins {
                // Who has gone meanwhile needs none.
                let _ = guard.send(pin, signal, true);
            }
        }
        std::thread::sleep(PAUSE);
    }
    false
}
