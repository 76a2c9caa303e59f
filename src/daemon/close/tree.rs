//! What a close began with, for those who look later.

use std::time::Duration;

use super::super::sampler;
use super::Closing;
use crate::model::process::{Proc, Table};
use crate::model::session::ProcId;
use crate::sys::process;

/// How long all command lines together may take to be told before the first signal.
const PATIENCE: Duration = Duration::from_millis(10);

/// Keeps who is there. A command line that is not told at once is a name in brackets.
pub fn keep(table: &Table, open: &mut [Closing]) {
    let ids = open.iter().flat_map(|c| &c.seen).filter(|s| s.state != b'D').map(|s| s.id.pid).collect();
    let commands = process::commands(ids, PATIENCE);
    let command = |p: &Proc| commands.get(&p.id.pid).cloned().unwrap_or_else(|| format!("[{}]", p.comm()));
    for closing in open {
        let seen: Vec<ProcId> = closing.seen.iter().map(|s| s.id).collect();
        closing.tree = sampler::described(table, &seen, command);
    }
}
