//! The contract between clients and the daemon, and between whoever looks at a session and its keeper.
//!
//! - [`types`]: what travels as JSON, on the socket and behind `--json`.
//! - [`refusal`]: every refusal, with its HTTP status and its exit status, in one place.
//! - [`client`]: HTTP to the daemon; [`way`]: where it is, on this machine or elsewhere ([`ssh`]); [`launch`]: finding
//!   the one of this machine, or starting it.
//! - [`wire`]: the frames a keeper speaks; [`attach`]: a terminal connected to a keeper.
//! - [`kept`]: what is kept of a session on disk; [`record`]: the shape of its recording; [`text`]: recorded bytes as
//!   plain text; [`cast`]: the same for asciinema; [`tar`]: what `export` hands over.
//! - [`memory`]: what is remembered, as JSON; [`event`]: what happens; [`project`]: the queue.

pub mod attach;
pub mod cast;
pub mod cleanup;
pub mod client;
pub mod event;
pub mod kept;
pub mod launch;
pub mod memory;
pub mod project;
pub mod record;
pub mod refusal;
pub mod ssh;
pub mod sweep;
pub mod tar;
pub mod text;
pub mod types;
pub mod way;
pub mod wire;
