//! The words and the rules. Pure: no I/O, no async, no clock; time is always an argument.
//!
//! Start with [`session`] (the words), then [`verdict`] (what a session's health is and why, from its [`evidence`]),
//! [`process`] (which processes a session owns), [`stop`] (how it is taken away) and [`policy`] (when without anybody asking).

pub mod authority;
pub mod doctor;
pub mod effort;
pub mod event;
pub mod evidence;
pub mod fold;
pub mod heard;
pub mod heed;
pub mod keys;
pub mod lifecycle;
pub mod policy;
pub mod process;
pub mod profile;
pub mod project;
pub mod restart;
pub mod retention;
pub mod scene;
pub mod scope;
pub mod select;
pub mod session;
pub mod stop;
pub mod stray;
pub mod text;
pub mod usage;
pub mod verdict;
pub mod words;
