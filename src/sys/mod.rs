//! The machine. The only room that says nix, rustix, sysinfo, `/proc`, cgroup or `unsafe`.

pub mod inherit;
pub mod socket;
pub mod term;
