//! The daemon.
pub mod birth;
pub mod close;
pub mod entry;
pub mod link;
pub mod sampler;
pub mod tmux;
