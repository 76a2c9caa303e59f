//! What a caller hands down to what it starts: umask and resource limits.

use nix::sys::resource::{Resource, getrlimit};
use nix::sys::stat::Mode;

/// Every limit of getrlimit(2) on Linux.
const RESOURCES: &[Resource] = &[
    Resource::RLIMIT_CPU,
    Resource::RLIMIT_FSIZE,
    Resource::RLIMIT_DATA,
    Resource::RLIMIT_STACK,
    Resource::RLIMIT_CORE,
    Resource::RLIMIT_RSS,
    Resource::RLIMIT_NPROC,
    Resource::RLIMIT_NOFILE,
    Resource::RLIMIT_MEMLOCK,
    Resource::RLIMIT_AS,
    Resource::RLIMIT_LOCKS,
    Resource::RLIMIT_SIGPENDING,
    Resource::RLIMIT_MSGQUEUE,
    Resource::RLIMIT_NICE,
    Resource::RLIMIT_RTPRIO,
    Resource::RLIMIT_RTTIME,
];

/// The umask of this process. Read from `/proc/self/status` (Linux 4.7); before that it can only be
/// learnt by setting it, which is undone at once.
pub fn umask() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    umask_line(&status).unwrap_or_else(|| {
        let mask = nix::sys::stat::umask(Mode::from_bits_truncate(0o077));
        nix::sys::stat::umask(mask);
        mask.bits()
    })
}

fn umask_line(status: &str) -> Option<u32> {
    let value = status.lines().find_map(|line| line.strip_prefix("Umask:"))?;
    u32::from_str_radix(value.trim(), 8).ok()
}

/// The resource limits of this process: the kernel's number of the resource, soft and hard value.
pub fn limits() -> Vec<(u32, u64, u64)> {
    let one = |resource: &Resource| getrlimit(*resource).ok().map(|(soft, hard)| (*resource as u32, soft, hard));
    RESOURCES.iter().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_umask_is_read_and_left_as_it_is() {
        assert_eq!(umask_line("Name:\tx\nUmask:\t0022\nState:\tR"), Some(0o022));
        assert_eq!(umask_line("Name:\tx"), None);
        let first = umask();
        assert_eq!(umask(), first);
    }

    #[test]
    fn every_limit_has_a_soft_value_below_its_hard_one() {
        let limits = limits();
        assert!(limits.iter().any(|(resource, ..)| *resource == 7), "RLIMIT_NOFILE is number 7");
        assert!(limits.iter().all(|(_, soft, hard)| soft <= hard));
    }
}
