//! The storm: what the tests of `e2e` show once, shown many times, with figures.
//!
//! ```text
//!   cargo test --release --test storm -- --ignored --nocapture zoo     # leak zoo: 20 sessions, 50 runs of each kind
//!   cargo test --release --test storm -- --ignored --nocapture crash   # the daemon SIGKILLed at 100 random moments
//!   cargo test --release --test storm -- --ignored --nocapture queue   # 200 projects under a daemon that is killed, 20 runs
//!   cargo test --release --test storm -- --ignored --nocapture pace    # from the end of a project to the start of the next
//!   cargo test --release --test storm -- --ignored --nocapture loop    # what the daemon holds after thousands of sessions
//! ```
//!
//! | variable | what | default |
//! |---|---|---|
//! | `BEADLE_STORM_RUNS` | runs of each kind of zoo; kills of the daemon; runs of the queue, and of each end | 50; 100; 20; 20 |
//! | `BEADLE_STORM_SEED` | where chance begins; printed | the clock |
//! | `BEADLE_STORM_MINUTES` | after so long nothing new is begun, and the table says so; how long the loop goes on | 90 |
//!
//! As root the zoo runs for a plain user too (`setpriv`); as somebody else only for that one. Every run has an arena of its own
//! and takes away what it left. Short forms are part of the ordinary tests.

// Only a part of what e2e has is used here.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    dead_code
)]

use std::time::{Duration, Instant, SystemTime};

#[path = "e2e/ask.rs"]
mod ask;
#[path = "e2e/cages.rs"]
mod cages;
#[path = "storm/crash.rs"]
mod crash;
#[path = "storm/house.rs"]
mod house;
#[path = "storm/pace.rs"]
mod pace;
#[path = "storm/queue.rs"]
mod queue;
#[path = "e2e/support.rs"]
mod support;
#[path = "storm/zoo.rs"]
mod zoo;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text:?}")))
}

fn runs(default: u64) -> u64 {
    setting("BEADLE_STORM_RUNS").unwrap_or(default)
}

/// When nothing new is begun any more.
fn end_of_time() -> Instant {
    Instant::now() + Duration::from_secs(60 * setting("BEADLE_STORM_MINUTES").unwrap_or(90))
}

fn seed() -> u64 {
    let clock = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    setting("BEADLE_STORM_SEED").unwrap_or_else(clock)
}

/// Median and largest.
fn figures(seconds: &[f64]) -> (f64, f64) {
    let mut sorted = seconds.to_vec();
    sorted.sort_by(f64::total_cmp);
    (sorted.get(sorted.len() / 2).copied().unwrap_or_default(), sorted.last().copied().unwrap_or_default())
}

/// Chance that can be repeated (xorshift).
struct Chance(u64);

impl Chance {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }

    fn pause(&mut self, at_most_millis: u64) {
        std::thread::sleep(Duration::from_micros(self.below(1000 * at_most_millis)));
    }
}
