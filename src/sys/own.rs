//! What the kernel says of this process itself.

use std::time::Duration;

use super::{clock, process};

#[derive(Debug, Clone, Copy)]
pub struct Figures {
    pub cpu: Duration,
    pub resident_bytes: u64,
    pub virtual_bytes: u64,
    pub open_fds: u64,
    /// The soft limit.
    pub max_fds: u64,
    pub threads: u32,
    /// By the monotonic clock.
    pub started: Duration,
}

/// `None` where it does not tell.
pub fn figures() -> Option<Figures> {
    let stat = process::stat(process::own_identity().ok()?.pid)?;
    let fds = std::fs::read_dir("/proc/self/fd").ok()?.count() as u64;
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = pages.split(' ').next()?.parse().ok()?;
    let (soft, _) = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).ok()?;
    // Exact to the tick; more is not known.
    let milliseconds = stat.cpu_ticks.saturating_mul(1000) / clock::ticks_per_second();
    Some(Figures {
        cpu: Duration::from_millis(milliseconds),
        resident_bytes: stat.rss_pages.saturating_mul(clock::page_bytes()),
        virtual_bytes: pages.saturating_mul(clock::page_bytes()),
        // Less the one it was counted with.
        open_fds: fds.saturating_sub(1),
        max_fds: soft,
        threads: stat.threads,
        started: clock::moment_of_start(stat.id.start),
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_process_has_memory_descriptors_and_an_age() {
        let figures = super::figures().unwrap();
        assert!(figures.resident_bytes > 0 && figures.virtual_bytes >= figures.resident_bytes, "{figures:?}");
        assert!((3..=figures.max_fds).contains(&figures.open_fds) && figures.threads >= 1, "{figures:?}");
    }
}
