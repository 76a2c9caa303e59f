//! The whole program with real processes: daemon, keepers, agents that are scripts, a real tmux.
//!
//! Every test lives in an [`support::Arena`]: private directories, and a cookie in the environment of everything it starts.
//! Nothing without the cookie is ever signalled from here, and what a test leaves is found by the cookie and taken away.
//!
//! One file per promise: `zoo` and `cgroup` (nothing is left), `scope` (whose end takes nobody along), `survivor` (what is left is named), `gentle` (asked in its own way first), `crash` and `crashpoints` (nothing
//! is lost), `memory` (what happened is known), `innocent` and `reuse` (nobody else is touched), `judge` (healthy, stuck,
//! waiting), `cleaner` (closed without anybody asking), `discover` (agents nobody here started), `queue` (projects), `sweep` (who may be taken),
//! `events` and `hooks` (told once, in order, and to whom), `start`, `keeper`, `daemon`, `users`, `hostile`, `http`, `authority`, `restart` and `again` (by itself, and by somebody), `resume`, `doctor`, `signal`, `curl` (every route and every error).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

#[path = "e2e/again.rs"]
mod again;
#[path = "e2e/ask.rs"]
mod ask;
#[path = "e2e/authority.rs"]
mod authority;
#[path = "e2e/cages.rs"]
mod cages;
#[path = "e2e/cgroup.rs"]
mod cgroup;
#[path = "e2e/cleaner.rs"]
mod cleaner;
#[path = "e2e/crash.rs"]
mod crash;
#[cfg(debug_assertions)]
#[path = "e2e/crashpoints.rs"]
mod crashpoints;
#[path = "e2e/curl.rs"]
mod curl;
#[path = "e2e/daemon.rs"]
mod daemon;
#[path = "e2e/dead.rs"]
mod dead;
#[path = "e2e/discover.rs"]
mod discover;
#[path = "e2e/disk.rs"]
mod disk;
#[path = "e2e/doctor.rs"]
mod doctor;
#[path = "e2e/elsewhere.rs"]
mod elsewhere;
#[path = "e2e/events.rs"]
mod events;
#[path = "e2e/gentle.rs"]
mod gentle;
#[path = "e2e/hooks.rs"]
mod hooks;
#[path = "e2e/hostile.rs"]
mod hostile;
#[path = "e2e/http.rs"]
mod http;
#[path = "e2e/innocent.rs"]
mod innocent;
#[path = "e2e/judge.rs"]
mod judge;
#[path = "e2e/keeper.rs"]
mod keeper;
#[path = "e2e/line.rs"]
mod line;
#[path = "e2e/listen.rs"]
mod listen;
#[path = "e2e/living.rs"]
mod living;
#[path = "e2e/memory.rs"]
mod memory;
#[path = "e2e/queue.rs"]
mod queue;
#[path = "e2e/restart.rs"]
mod restart;
#[path = "e2e/resume.rs"]
mod resume;
#[cfg(debug_assertions)]
#[path = "e2e/reuse.rs"]
mod reuse;
#[path = "e2e/scope.rs"]
mod scope;
#[path = "e2e/service.rs"]
mod service;
#[path = "e2e/signal.rs"]
mod signal;
#[path = "e2e/single.rs"]
mod single;
#[path = "e2e/spared.rs"]
mod spared;
#[path = "e2e/start.rs"]
mod start;
#[path = "e2e/support.rs"]
mod support;
#[path = "e2e/survivor.rs"]
mod survivor;
#[path = "e2e/sweep.rs"]
mod sweep;
#[path = "e2e/tcp.rs"]
mod tcp;
#[path = "e2e/users.rs"]
mod users;
#[path = "e2e/zoo.rs"]
mod zoo;
