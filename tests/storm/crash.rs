//! SIGKILL of the daemon at random moments, while sessions start, write, exit and are killed. Afterwards every session is
//! there, every exit has one row and one line in the log with the right code, and no recorded byte is missing.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use serde_json::Value;

use super::support::{Arena, until_some};
use super::{Chance, end_of_time, figures, runs, seed};

/// Who starts and kills sessions, side by side.
const HANDS: u64 = 3;
/// Sessions of one hand that write until they are killed.
const AT_ONCE: usize = 3;

/// usage: talk.sh N LINES CODE. Every line goes out first and is noted then; LINES 0: until it is killed.
const TALK: &str = r#"
n=$1; lines=$2; code=$3; i=0
echo "$BEADLE_SESSION_ID" >>born$n
while [ $lines = 0 ] || [ $i -lt $lines ]; do
    echo "session $n says line $i"
    echo "session $n says line $i" >>said$n
    i=$((i + 1))
    [ $((i % 20)) = 0 ] && sleep 0.02
done
exit $code
"#;

struct Storm {
    arena: Arena,
    script: String,
    numbers: AtomicU64,
    over: AtomicBool,
    /// What `run` said: number and id.
    named: Mutex<BTreeMap<u64, String>>,
}

#[derive(Default)]
struct Tally {
    sessions: usize,
    exits: usize,
    killed: usize,
    bytes: usize,
    faults: Vec<String>,
}

impl Storm {
    fn new() -> Self {
        let arena = Arena::new();
        let script = arena.script("talk.sh", TALK);
        Self { arena, script, numbers: AtomicU64::new(0), over: AtomicBool::new(false), named: Mutex::default() }
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// The code a session of this number exits with, where it exits by itself.
    fn code(n: u64) -> i64 {
        i64::try_from(n % 200).unwrap()
    }

    /// Starts one; whether or not the daemon lives to say so.
    fn start(&self, lines: u64) -> Option<String> {
        let n = self.numbers.fetch_add(1, Ordering::Relaxed);
        let (number, lines, code) = (n.to_string(), lines.to_string(), Self::code(n).to_string());
        let name = format!("t{n}");
        let said = self.arena.run(&["run", "--name", &name, "--", "sh", &self.script, &number, &lines, &code]);
        let id = (said.status == 0).then(|| said.out.trim().to_string())?;
        self.named.lock().unwrap().insert(n, id.clone());
        Some(id)
    }

    /// One that starts sessions that exit, and others that it kills.
    fn hand(&self, mut chance: Chance) {
        let mut writing = Vec::new();
        while !self.is_over() {
            if chance.below(3) > 0 {
                self.start(20 + chance.below(200));
            } else {
                writing.extend(self.start(0));
            }
            chance.pause(150);
            if writing.len() > AT_ONCE {
                let victim = writing.swap_remove(usize::try_from(chance.below(AT_ONCE as u64)).unwrap());
                // Cut off by a crash: close-all takes it at the end.
                self.arena.run(&["kill", &victim]);
            }
        }
    }

    /// Kills the daemon so many times; seconds until the next one answers.
    fn kill_daemons(&self, kills: u64, mut chance: Chance, end: Instant) -> Vec<f64> {
        let mut answers = Vec::new();
        while (answers.len() as u64) < kills && Instant::now() < end {
            chance.pause(400);
            let Some(daemon) = self.arena.daemons().pop() else { continue };
            self.arena.kill(daemon.id);
            let killed = Instant::now();
            until_some("an answer", || (self.arena.run(&["ls"]).status == 0).then_some(()));
            answers.push(killed.elapsed().as_secs_f64());
        }
        self.over.store(true, Ordering::Relaxed);
        answers
    }

    /// Everybody has exited or been killed.
    fn settle(&self) {
        until_some("those that exit have exited", || {
            let sessions = self.arena.all();
            let lives = |s: &&Value| s["state"] != "ended" && !is_writer(s);
            (sessions.iter().filter(lives).count() == 0).then_some(())
        });
        self.arena.run(&["close-all", "--now"]).ok();
    }

    fn path(&self, what: &str, n: u64) -> std::path::PathBuf {
        self.arena.path(&format!("work/{what}{n}"))
    }

    fn check(&self) -> Tally {
        let mut tally = Tally::default();
        let sessions = self.arena.all();
        let log = self.arena.log();
        let listed: BTreeMap<String, u64> =
            sessions.iter().map(|s| (s["id"].as_str().unwrap().to_string(), number(s))).collect();
        for (n, id) in self.named.lock().unwrap().iter() {
            if listed.get(id) != Some(n) {
                tally.faults.push(format!("{id} (t{n}) was named by run and is not listed"));
            }
        }
        for n in 0..self.numbers.load(Ordering::Relaxed) {
            let born = std::fs::read_to_string(self.path("born", n)).unwrap_or_default();
            if born.lines().count() > 1 || born.lines().any(|id| !listed.contains_key(id)) {
                tally.faults.push(format!("t{n} ran as {born:?}"));
            }
        }
        sessions.iter().for_each(|s| self.check_one(s, &log, &mut tally));
        if !self.arena.agents().is_empty() {
            tally.faults.push(format!("left behind: {:?}", self.arena.agents()));
        }
        tally
    }

    fn check_one(&self, session: &Value, log: &str, tally: &mut Tally) {
        let (id, n) = (session["id"].as_str().unwrap(), number(session));
        let mut fault = |what: String| tally.faults.push(format!("t{n}: {what}: {session}"));
        let lines = log.matches(&format!(" ended session={id} run=")).count();
        if session["state"] != "ended" || lines != 1 {
            fault(format!("{lines} lines in the log"));
        }
        let said = std::fs::read_to_string(self.path("said", n)).unwrap_or_default();
        let (bytes, missing) = self.arena.recorded(id);
        let recorded = String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
        let exits = !is_writer(session) && self.path("born", n).exists();
        // A kill may come between writing a line and noting it.
        let whole = if exits {
            recorded == said
        } else {
            recorded.strip_prefix(&said).is_some_and(|rest| rest.matches('\n').count() <= 1)
        };
        if !whole || missing > 0 {
            fault(format!("recorded {} bytes, said {}, missing {missing}", recorded.len(), said.len()));
        }
        if exits && session["exit"]["code"] != Self::code(n) {
            fault("the wrong code".into());
        }
        tally.sessions += 1;
        tally.bytes += bytes.len();
        if exits { tally.exits += 1 } else { tally.killed += 1 }
    }
}

/// It writes until it is killed.
fn is_writer(session: &Value) -> bool {
    session["command"][3] == "0"
}

fn number(session: &Value) -> u64 {
    session["name"].as_str().unwrap()[1..].parse().unwrap()
}

fn storm(kills: u64, end: Instant) {
    let seed = seed();
    println!("seed {seed}");
    let (storm, begun) = (Storm::new(), Instant::now());
    let answers = std::thread::scope(|scope| {
        for hand in 1..=HANDS {
            let storm = &storm;
            scope.spawn(move || storm.hand(Chance::new(seed + hand)));
        }
        storm.kill_daemons(kills, Chance::new(seed), end)
    });
    storm.settle();
    let tally = storm.check();
    let (median, most) = figures(&answers);
    println!(
        "kills {}, sessions {}, exits {}, killed {}, recorded {} bytes, faults {}; the next answer after {median:.3} s (median), \
         {most:.3} s (max); {:.0} s in all",
        answers.len(),
        tally.sessions,
        tally.exits,
        tally.killed,
        tally.bytes,
        tally.faults.len(),
        begun.elapsed().as_secs_f64()
    );
    assert!(tally.faults.is_empty(), "seed {seed}:\n{}", tally.faults.join("\n"));
    assert!(tally.exits > 0 && tally.bytes > 0);
}

#[test]
#[ignore = "the long form: 100 kills"]
fn crash_of_the_daemon_at_a_hundred_random_moments() {
    storm(runs(100), end_of_time());
}

#[test]
fn crash_in_short() {
    storm(10, end_of_time());
}
