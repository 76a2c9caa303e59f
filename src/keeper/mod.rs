//! The keeper: the small process that holds one session.
//!
//! ```text
//!   daemon ──birth connection (stdin)──► keeper ──held child──► agent
//!                                          │  ▲
//!      daemon, attach clients ──socket──►  │  │ PTY or pipes
//!                                          ▼  │
//!                     recording · screen · journal · pulse
//! ```
//!
//! It is a single-threaded loop over epoll, leader of its own session and a child subreaper: whatever the agent
//! starts, however it detaches, stays below it, and when `waitpid` says `ECHILD` the whole tree is gone. (The recorder is a
//! thread of its own, born with the first output: a disk that hangs must not stop the draining of the terminal.)
//!
//! The happy path: read the [`Spec`](crate::api::kept::Spec) · bind the socket · say hello · hold a child · write
//! the identity · release it · drain, record, serve · the leader ends: write how, tell · the tree is
//! empty: tell, end.
//!
//! It knows nothing of other sessions, of policy, of the daemon's state; it never signals anybody. There
//! are no timers while nothing happens, but for the one before a failed agent is started again.

mod activity;
mod agent;
mod clients;
mod hold;
mod recorder;
mod screen;
mod unseen;

use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use crate::sys::{crib, fds, spawn};

/// `beadle keep ID`, with the birth connection as standard input.
pub fn main(args: &[String]) -> ExitCode {
    if args.is_empty() {
        return ExitCode::from(2);
    }
    let birth = fds::inherited(0).and_then(|fd| fd.try_clone());
    if fds::silence_stdio().is_err() {
        return ExitCode::FAILURE;
    }
    birth.map_or(ExitCode::FAILURE, |birth| keep(birth.into()))
}

/// `beadle crib`: forks keepers for its daemon, and is one of them whenever it has.
pub fn crib() -> ExitCode {
    spawn::stay_small();
    match crib::wait() {
        Ok(Some(birth)) => keep(birth),
        Ok(None) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn keep(birth: UnixStream) -> ExitCode {
    match hold::run(birth) {
        Ok(()) => ExitCode::SUCCESS,
        // Nobody reads a keeper's standard error; who started it sees the connection end.
        Err(_) => ExitCode::FAILURE,
    }
}
