//! Clocks: the monotonic one that stops while the machine sleeps, the wall, and which boot this is.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// `CLOCK_MONOTONIC`: the same for every process of one boot; does not run during suspend
/// (`clock_gettime(2)`).
pub fn monotonic() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from)
}

/// How long the machine has slept since it was started: what `CLOCK_BOOTTIME` is ahead of the other.
pub fn slept() -> Duration {
    let boot = clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from);
    boot.saturating_sub(monotonic())
}

/// Seconds since 1970, UTC.
pub fn unix_seconds() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// Wall time now, RFC 3339 in UTC with milliseconds.
pub fn wall() -> String {
    format_wall(jiff::Timestamp::now())
}

/// The wall time of a moment of the monotonic clock, gone by or still to come.
pub fn wall_at(moment: Duration) -> String {
    let (now, wall) = (monotonic(), jiff::Timestamp::now());
    let span = |time| jiff::SignedDuration::try_from(time).unwrap_or(jiff::SignedDuration::ZERO);
    let there = match moment.checked_sub(now) {
        Some(to_come) => wall.checked_add(span(to_come)),
        None => wall.checked_sub(span(now.saturating_sub(moment))),
    };
    format_wall(there.unwrap_or(wall))
}

/// Seconds from one wall time to another, both as [`wall`] writes them; never negative.
pub fn seconds_between(from: &str, to: &str) -> Option<f64> {
    let (from, to) = (from.parse::<jiff::Timestamp>().ok()?, to.parse::<jiff::Timestamp>().ok()?);
    Some(to.duration_since(from).as_secs_f64().max(0.0))
}

fn format_wall(at: jiff::Timestamp) -> String {
    format!("{at:.3}")
}

/// The random id of this boot; empty where there is none.
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|s| s.trim().to_string()).unwrap_or_default()
}

/// Clock ticks a second, the unit of process times (sysconf(3), `_SC_CLK_TCK`).
pub fn ticks_per_second() -> u64 {
    nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK)
        .ok()
        .flatten()
        .and_then(|t| u64::try_from(t).ok())
        .unwrap_or(100)
}

/// Bytes in a page of memory.
pub fn page_bytes() -> u64 {
    u64::try_from(rustix::param::page_size()).unwrap_or(4096)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_has_its_wall_time_before_and_after_it() {
        let (now, minute) = (monotonic(), Duration::from_mins(1));
        let between = seconds_between(&wall_at(now.saturating_sub(minute)), &wall_at(now + minute)).unwrap();
        assert!((119.0..121.0).contains(&between), "{between}");
    }
}
