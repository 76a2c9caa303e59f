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

/// Wall time now, in Unix seconds.
pub fn unix_now() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or(0)
}

/// The moment of the monotonic clock at which the wall showed this many Unix milliseconds; now for one in the future.
pub fn moment_of_unix(milliseconds: i64) -> Duration {
    let ago = jiff::Timestamp::now().as_millisecond().saturating_sub(milliseconds);
    monotonic().saturating_sub(Duration::from_millis(u64::try_from(ago).unwrap_or(0)))
}

/// The moment of the monotonic clock at which a process started: `ticks` run since boot, through sleep too
/// (`proc_pid_stat(5)`, field 22).
pub fn moment_of_start(ticks: u64) -> Duration {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from);
    #[expect(clippy::cast_precision_loss, reason = "ticks of a machine's life")]
    let started = Duration::from_secs_f64(ticks as f64 / ticks_per_second().max(1) as f64);
    monotonic().saturating_sub(now.saturating_sub(started))
}

/// Clock ticks since boot, in which the kernel tells when a process started.
pub fn ticks_since_boot() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from);
    u64::try_from(now.as_nanos() * u128::from(ticks_per_second()) / 1_000_000_000).unwrap_or(u64::MAX)
}

/// Seconds from one wall time to another, both as [`wall`] writes them; never negative.
pub fn seconds_between(from: &str, to: &str) -> Option<f64> {
    let (from, to) = (from.parse::<jiff::Timestamp>().ok()?, to.parse::<jiff::Timestamp>().ok()?);
    Some(to.duration_since(from).as_secs_f64().max(0.0))
}

/// The time somebody means: RFC 3339, a local date with or without a time, or an age such as `90s` or `2h` before now.
/// As [`wall`] writes it; `None` when it is none of these.
pub fn moment(text: &str) -> Option<String> {
    let text = text.trim();
    let exact = || text.parse::<jiff::Timestamp>().ok();
    let local = || {
        let civil = text.parse::<jiff::civil::DateTime>().ok()?;
        Some(civil.to_zoned(jiff::tz::TimeZone::system()).ok()?.timestamp())
    };
    let ago = || {
        let age = jiff::SignedDuration::try_from(humantime::parse_duration(text).ok()?).ok()?;
        // Before anything was: everything is meant.
        Some(jiff::Timestamp::now().checked_sub(age).unwrap_or(jiff::Timestamp::UNIX_EPOCH))
    };
    exact().or_else(local).or_else(ago).map(format_wall)
}

/// A time as [`wall`] writes it, on the clock of this place: `2026-11-20 10:14:57`. What is no time stays as it is.
pub fn local(at: &str) -> String {
    let Ok(time) = at.parse::<jiff::Timestamp>() else { return at.into() };
    time.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Seconds since 1970 of a time as [`wall`] writes it.
pub fn unix_seconds(at: &str) -> Option<u64> {
    u64::try_from(at.parse::<jiff::Timestamp>().ok()?.as_second()).ok()
}

/// The wall time so long ago.
pub fn wall_before(age: Duration) -> String {
    let age = jiff::SignedDuration::try_from(age).unwrap_or(jiff::SignedDuration::MAX);
    format_wall(jiff::Timestamp::now().checked_sub(age).unwrap_or(jiff::Timestamp::UNIX_EPOCH))
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

    #[test]
    fn a_moment_is_a_time_a_local_date_or_an_age() {
        assert_eq!(moment("2026-11-20T10:00:00+01:00").unwrap(), "2026-11-20T09:00:00.000Z");
        let day = moment("2026-11-20").unwrap();
        assert_eq!(local(&day), "2026-11-20 00:00:00");
        assert_eq!(local(&moment("2026-11-20 07:08:09").unwrap()), "2026-11-20 07:08:09");
        let hour = seconds_between(&moment("1h").unwrap(), &wall()).unwrap();
        assert!((3599.0..3700.0).contains(&hour), "{hour}");
        assert_eq!(moment("900000y").unwrap(), "1970-01-01T00:00:00.000Z");
        assert!(moment("yesterday").is_none() && moment("").is_none() && moment("5").is_none());
        assert_eq!(local("\x1b[2J"), "\x1b[2J");
    }
}
