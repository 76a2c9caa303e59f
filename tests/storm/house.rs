//! The daemon's memory, descriptors and disk over a loop of sessions that are started, end or are closed, and are forgotten.

use std::time::{Duration, Instant};

use serde_json::json;

use super::end_of_time;
use super::support::{Arena, until};

/// Started together; half end by themselves, half are closed.
const SESSIONS: usize = 10;
/// Recordings are forgotten within the loop, so that what is kept has its bound too.
const CONFIG: &str = "[stop]\ngrace = \"300ms\"\n[record]\nkeep = \"2s\"\n";
/// What the short form may grow by: allocators, threads and the pages of a database are no straight line.
const MOST_GROWTH_KIB: u64 = 8192;
/// What the second half of the long form may: by then everything has been as large as it gets.
const WARM_GROWTH_KIB: u64 = 1024;

#[derive(Debug, Clone, Copy)]
struct Held {
    /// What it allocated itself; the pages of its program, read in as they are needed, are the kernel's to drop.
    anonymous_kib: u64,
    rss_kib: u64,
    descriptors: usize,
    database_kib: u64,
    directories: usize,
}

impl Held {
    fn by(arena: &Arena, pid: i32) -> Self {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let kib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().trim_end_matches(" kB").parse().unwrap()
        };
        let entries = |path: std::path::PathBuf| std::fs::read_dir(path).unwrap().count();
        let size = |name: &str| std::fs::metadata(arena.state().join(name)).map_or(0, |m| m.len());
        Self {
            anonymous_kib: kib("RssAnon:"),
            rss_kib: kib("VmRSS:"),
            descriptors: entries(format!("/proc/{pid}/fd").into()),
            database_kib: (size("beadle.db") + size("beadle.db-wal")) >> 10,
            directories: entries(arena.state().join("sessions")),
        }
    }
}

fn one_round(arena: &Arena, round: usize) {
    for n in 0..SESSIONS {
        let script = if n % 2 == 0 { "head -c 20000 /dev/zero; exit 3" } else { "exec sleep 600" };
        arena.sh(&format!("r{round}-{n}"), script);
    }
    let report = arena.json(&["close-all", "--json"]);
    assert_eq!(report["failed"], json!(0), "{report}");
}

/// What is held once everything of the rounds so far is over and forgotten.
fn at_rest(arena: &Arena, pid: i32) -> Held {
    until("the keepers have gone", || arena.keepers().is_empty());
    until("all is forgotten", || arena.all().is_empty());
    Held::by(arena, pid)
}

fn rounds(until_when: impl Fn(usize) -> bool, long: bool) {
    let arena = Arena::with(CONFIG);
    let pid = {
        arena.run(&["daemon", "start"]).ok();
        arena.daemon().pid
    };
    // Threads, caches and pages that come once.
    (0..3).for_each(|round| one_round(&arena, round));
    let first = at_rest(&arena, pid);
    let mut held = vec![(3 * SESSIONS, first)];
    let (begun, mut told) = (Instant::now(), Instant::now());
    let mut round = 3;
    while until_when(round) {
        one_round(&arena, round);
        round += 1;
        if told.elapsed() > Duration::from_secs(20) {
            held.push((round * SESSIONS, at_rest(&arena, pid)));
            told = Instant::now();
        }
    }
    let last = at_rest(&arena, pid);
    held.push((round * SESSIONS, last));
    if long {
        println!("{} sessions in {:.0} s", round * SESSIONS, begun.elapsed().as_secs_f64());
        println!("sessions  anonymous KiB  rss KiB  descriptors  database KiB  directories");
        for (sessions, at) in &held {
            let Held { anonymous_kib, rss_kib, descriptors, database_kib, directories } = at;
            println!(
                "{sessions:>8}  {anonymous_kib:>13}  {rss_kib:>7}  {descriptors:>11}  {database_kib:>12}  {directories:>11}"
            );
        }
    }
    assert_eq!(arena.json(&["stats", "--json"])["created"], json!(round * SESSIONS), "each was remembered");
    assert_eq!(arena.daemon().pid, pid);
    assert!(last.descriptors <= first.descriptors + 4, "{held:?}");
    let middle = held[held.len() / 2].1;
    let grown = last.anonymous_kib.saturating_sub(if long { middle } else { first }.anonymous_kib);
    assert!(grown <= if long { WARM_GROWTH_KIB } else { MOST_GROWTH_KIB }, "{held:?}");
    assert_eq!(last.directories, 0);
}

#[test]
#[ignore = "the long form: as long as BEADLE_STORM_MINUTES"]
fn loop_of_sessions_leaves_the_daemon_as_it_was() {
    let end = end_of_time();
    rounds(|_| Instant::now() < end, true);
}

#[test]
fn loop_in_short() {
    rounds(|round| round < 8, false);
}
