//! Bare `beadle`: the terminal interface.

use super::args::Globals;
use super::exit::{Ended, Failure};

/// What the interface was asked to be.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    pub embedded: bool,
    pub readonly: bool,
}

/// JOIN: this function is where the interface is called; nothing else in `cli` knows it.
///
/// ```text
///   let client = connect::client(globals).await?;
///   crate::tui::run(client, tui::Options { embedded, readonly, … })
/// ```
pub fn run(_globals: &Globals, wanted: Wanted) -> Ended {
    let (_embedded, _readonly) = (wanted.embedded, wanted.readonly);
    Err(Failure::Missing("the interface"))
}
