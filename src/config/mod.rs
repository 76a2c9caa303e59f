//! The user's settings: the TOML shape, the layers (defaults, file, environment), and where things live.
//!
//! Knows names, defaults and limits of every setting; refuses to know what they are for.

pub mod paths;
