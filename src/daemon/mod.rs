//! The daemon: the supervisor task, what it looks with, and the server in front of it.
//!
//! ```text
//!   main: lock ─► adopt every keeper ─► first pass ─► bind ─► serve
//!
//!   server ──Command──► supervisor ──► birth · close · sampler   (threads that may block)
//!                            ▲                     │
//!                            └──────── Input ◄─────┴── link (one task per keeper)
//! ```
//!
//! Who may do what: only the supervisor changes the table; only `close` signals, through the one function in
//! `sys::signal`; only `birth` makes session directories. The daemon believes keepers about their children, and nobody about
//! identities: those it reads itself. Killed at any moment it loses nothing: what it must know is written down before it acts,
//! or held by keepers.

mod acts;
pub mod adopt;
mod again;
mod attach;
pub mod authority;
pub mod birth;
pub mod cleaner;
pub mod close;
mod closing;
mod connections;
pub mod discovery;
pub mod effort;
pub mod entry;
pub mod events;
pub mod evidence;
pub mod foreign;
pub mod handed;
pub mod handle;
pub mod hooks;
mod house;
mod keepers;
pub mod link;
pub mod log;
mod look;
pub mod metrics;
mod missed;
mod openapi;
pub mod overview;
pub mod projects;
mod queries;
mod recall;
mod remember;
mod rename;
mod resume;
pub mod run;
pub mod sampler;
mod says;
mod scopes;
pub mod server;
mod service;
pub mod start;
pub mod store;
pub mod supervisor;
pub mod sweep;
mod taken;
pub mod tcp;
pub mod tmux;
mod verbs;
mod worded;

pub use run::{Daemon, DaemonError, Options, main};
