//! The machine. The only room that says nix, rustix, sysinfo, `/proc`, cgroup or `unsafe`.
//!
//! - [`process`], [`table`], [`card`], [`kin`]: who lives, who that is, and where a caller comes from; [`signal`]: the one
//!   function that sends signals.
//! - [`spawn`], [`crib`]: how keepers, daemons and agents are born; [`pty`], [`pulse`], [`poll`]: what a keeper lives on.
//! - [`scope`]: what the service manager is asked for, and [`bus`], how.
//! - [`peers`], [`traces`]: what says whether somebody still uses a process, and whose it is.
//! - [`watch`]: files as they are written to. [`failpoint`]: where tests have a process die.
//! - [`term`]: a person's terminal; [`inherit`]: what a caller hands down.
//! - [`cgroup`], [`clock`], [`dirs`], [`fds`], [`lock`], [`socket`]: the rest of what Linux gives.

pub mod bus;
pub mod card;
pub mod cgroup;
pub mod child;
pub mod clock;
pub mod crib;
pub mod dirs;
pub mod failpoint;
pub mod fds;
pub mod host;
pub mod host_facts;
pub mod inherit;
pub mod kin;
pub mod leash;
pub mod lock;
pub mod notify;
pub mod own;
pub mod patience;
pub mod peers;
pub mod poll;
pub mod process;
pub mod pty;
pub mod pulse;
pub mod scope;
pub mod signal;
pub mod socket;
pub mod spawn;
pub mod table;
pub mod term;
pub mod traces;
pub mod watch;
