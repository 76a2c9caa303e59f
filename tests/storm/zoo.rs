//! The leak zoo, again and again: as root and as a plain user, with and without cgroups, with keepers and with every keeper
//! killed first.

use std::time::Instant;

use serde_json::json;

use super::cages::{kill_keepers, open_zoo};
use super::support::{Arena, has, is_root, until};
use super::{end_of_time, figures, runs};

const NOBODY: u32 = 65534;
const SESSIONS: usize = 20;

#[derive(Clone, Copy)]
struct Kind {
    user: Option<u32>,
    cgroup: bool,
    keepers: bool,
}

impl Kind {
    fn name(self) -> String {
        let user = if self.user.is_some() { "plain user" } else { "own user" };
        let cgroup = if self.cgroup { "cgroups" } else { "no cgroups" };
        let keepers = if self.keepers { "keepers alive" } else { "keepers killed" };
        format!("{user:<10}  {cgroup:<10}  {keepers:<14}")
    }
}

fn kinds() -> Vec<Kind> {
    let users: &[Option<u32>] = if is_root() && has("setpriv") { &[None, Some(NOBODY)] } else { &[None] };
    let of_user = |user| [(true, true), (false, true), (true, false), (false, false)].map(|k| (user, k));
    let all = users.iter().flat_map(|user| of_user(*user));
    all.map(|(user, (cgroup, keepers))| Kind { user, cgroup, keepers }).collect()
}

struct Run {
    survivors: usize,
    /// From the request to the report.
    seconds: f64,
}

fn one(kind: Kind, sessions: usize) -> Run {
    let arena = kind.user.map_or_else(Arena::new, Arena::of_user);
    arena.configure(&format!("[stop]\ngrace = \"300ms\"\n[sys]\ncgroup = {}\n", kind.cgroup));
    let ids = open_zoo(&arena, sessions);
    if !kind.keepers {
        kill_keepers(&arena, &ids);
    }
    let begun = Instant::now();
    let said = arena.run(&["close-all", "--json"]);
    let seconds = begun.elapsed().as_secs_f64();
    let left = arena.agents();
    let report: serde_json::Value = serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{e}: {said:?}"));
    if !left.is_empty() || report["failed"] != json!(0) {
        println!("left behind: {left:?}\n{report}\n{}", arena.log());
    } else {
        until("the keepers have gone", || arena.keepers().is_empty());
        for id in &ids {
            assert_eq!(arena.log().matches(&format!(" ended session={id} ")).count(), 1, "{id}: {}", arena.log());
        }
    }
    Run { survivors: left.len(), seconds }
}

#[test]
#[ignore = "the long form: 50 runs of each kind"]
fn zoo_of_twenty_sessions_again_and_again() {
    if !has("tmux") {
        return;
    }
    let (wanted, end) = (runs(50), end_of_time());
    println!("{SESSIONS} sessions, 8 animals each, grace 300 ms; seconds from close-all to its report");
    println!("user        cgroups     keepers         runs  survivors  median s   max s");
    let mut survivors = 0;
    for kind in kinds() {
        let done: Vec<Run> = (0..wanted).take_while(|_| Instant::now() < end).map(|_| one(kind, SESSIONS)).collect();
        let left: usize = done.iter().map(|r| r.survivors).sum();
        let (median, most) = figures(&done.iter().map(|r| r.seconds).collect::<Vec<_>>());
        println!("{}  {:>4}  {left:>9}  {median:>8.3}  {most:>6.3}", kind.name(), done.len());
        survivors += left;
    }
    assert_eq!(survivors, 0);
}

#[test]
fn zoo_in_short_of_a_plain_user_without_cgroups() {
    let user = (is_root() && has("setpriv")).then_some(NOBODY);
    if has("tmux") {
        for keepers in [true, false] {
            assert_eq!(one(Kind { user, cgroup: false, keepers }, 4).survivors, 0);
        }
    }
}
