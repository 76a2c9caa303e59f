//! beadle: a terminal supervisor for coding-agent sessions.
//!
//! The rooms, and who may import whom (`tests/architecture.rs` enforces it):
//!
//! ```text
//!   model   the words and the rules; pure           imports nothing
//!   config  the TOML shape, defaults, paths         model
//!   sys     the machine: the only unsafe room       model
//!   api     the contract: types, client, frames     model, config, sys
//!   keeper  holds one session                       model, config, sys, api
//!   daemon  the supervisor                          model, config, sys, api
//!   tui     the interface                           model, config, sys, api
//!   cli     the verbs                               everything
//! ```
//!
//! Start reading at `model::session`, then `keeper` (one session) and `daemon::supervisor` (all of them).

pub mod api;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod keeper;
pub mod model;
pub mod sys;
pub mod tui;
