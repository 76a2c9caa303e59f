//! What watching a whole machine costs, with real processes and a real tmux server: `cargo bench --bench machine`.
//!
//! One pass of discovery over 5,000 processes and 50 panes beside a bare loop that reads `/proc/PID/stat`, in the same
//! run; a daemon nobody looks at, over 1,000 processes; `beadle` from nothing to a painted table with agents in it.
//! Nothing is signalled but what was started here.
//!
//! `BEADLE_BENCH_PROCESSES=500` makes the crowd smaller, `BEADLE_BENCH_IDLE=20` the window shorter (60 s).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::cast_precision_loss)]

use std::fs::File;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use beadle::daemon::discovery::{Discovery, View};
use beadle::sys::table;

const BEADLE: &str = env!("CARGO_BIN_EXE_beadle");
const PANES: usize = 50;
const AGENTS: usize = 10;

/// A private place, with processes and panes that end with it.
struct World {
    dir: tempfile::TempDir,
    crowd: Child,
}

impl World {
    fn new(processes: usize) -> Self {
        let dir = tempfile::Builder::new().prefix("beadle-bench").tempdir().unwrap();
        let script = format!(
            "i=0; while [ $i -lt {processes} ]; do sleep 36000 & i=$((i+1)); done; echo there >'{}'; wait",
            dir.path().join("there").display()
        );
        let crowd = Command::new("sh")
            .args(["-c", &script])
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn();
        let crowd = crowd.unwrap();
        let world = Self { dir, crowd };
        while !world.path("there").exists() {
            std::thread::sleep(Duration::from_millis(20));
        }
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn tmux(&self, args: &[&str]) {
        let mut command = Command::new("tmux");
        command.arg("-S").arg(self.path("tmux")).args(["-f", "/dev/null"]).args(args).env("BEADLE_BENCH", self.mark());
        assert!(command.env_remove("TMUX").status().unwrap().success());
    }

    fn mark(&self) -> String {
        self.dir.path().file_name().unwrap().to_string_lossy().into_owned()
    }

    /// Agents in some of the panes, programs in the others.
    fn panes(&self) {
        let agent = self.path("claude");
        std::fs::write(&agent, "#!/bin/sh\nwhile :; do sleep 36000; done\n").unwrap();
        std::fs::set_permissions(&agent, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let agent = agent.display().to_string();
        let line = |n: usize| if n < AGENTS { agent.as_str() } else { "exec sleep 36000" };
        self.tmux(&["new-session", "-d", "-s", "benchpanes", "-x", "120", "-y", "34", line(0)]);
        (1..PANES).for_each(|n| self.tmux(&["new-window", "-d", "-t", "benchpanes:", line(n)]));
    }

    /// Sees only what carries the mark of this place.
    fn beadle(&self) -> Command {
        let mut command = Command::new(BEADLE);
        command.env("BEADLE_STATE_DIR", self.path("s")).env("BEADLE_RUNTIME_DIR", self.path("r"));
        command.env("BEADLE_CONFIG", self.config()).env("BEADLE_BENCH", self.mark());
        command
    }

    fn config(&self) -> PathBuf {
        let path = self.path("config.toml");
        std::fs::write(&path, format!("[sweep]\nfence = \"BEADLE_BENCH={}\"\n", self.mark())).unwrap();
        path
    }

    fn stop(&self) {
        self.beadle().args(["daemon", "stop", "--yes"]).output().unwrap();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let group = format!("-{}", self.crowd.id());
        Command::new("kill").args(["-9", "--", &group]).status().unwrap();
        self.crowd.wait().unwrap();
        if self.path("tmux").exists() {
            Command::new("tmux").arg("-S").arg(self.path("tmux")).arg("kill-server").status().unwrap();
        }
    }
}

fn main() {
    // `cargo test --benches` only wants to know that it compiles.
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    tick(setting("BEADLE_BENCH_PROCESSES", 5_000));
    let world = World::new(setting("BEADLE_BENCH_PROCESSES", 1_000).min(1_000));
    unwatched(&world);
    world.panes();
    first_paint(&world);
}

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

fn row(what: &str, figures: &str) {
    println!("{what:<56} {figures}");
}

fn tick(processes: usize) {
    const ROUNDS: usize = 30;
    let world = World::new(processes);
    world.panes();
    let (mut discovery, view) = (Discovery::default(), View::default());
    let first = Instant::now();
    let mut passes = 0;
    let mut look = || discovery.look(table::read().unwrap(), &view);
    while look().unread > 0 {
        passes += 1;
    }
    let learnt = first.elapsed();
    let agents = look().sightings.iter().filter(|s| !s.is_shell()).count();
    assert!(agents >= AGENTS, "{agents} agents");
    let (mut bare, mut read, mut whole) = (vec![], vec![], vec![]);
    let mut count = 1;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        count = stats();
        bare.push(begun.elapsed());
        let begun = Instant::now();
        let table = table::read().unwrap();
        read.push(begun.elapsed());
        drop(table);
        let begun = Instant::now();
        look();
        whole.push(begun.elapsed());
    }
    let used = cpu("self");
    (0..ROUNDS).for_each(|_| drop(look()));
    let own = cpu("self").saturating_sub(used) / u32::try_from(ROUNDS).unwrap();
    let each = |time: Duration| time.as_secs_f64() * 1e6 / count as f64;
    let (bare, read) = (each(median(&mut bare)), each(median(&mut read)));
    let (whole, own) = (each(median(&mut whole)), each(own));
    row(
        &format!("learning {count} processes and {PANES} panes, once"),
        &format!("{:.0} ms in {} passes", learnt.as_secs_f64() * 1e3, passes + 1),
    );
    row("a bare loop over /proc/PID/stat, for each process", &format!("{bare:.2} µs"));
    row("the process table, for each", &format!("{read:.2} µs, ratio {:.2}", read / bare));
    row("a tick of discovery, for each", &format!("{whole:.2} µs, ratio {:.2}", whole / bare));
    row("the same, time on a processor", &format!("{own:.2} µs, ratio {:.2}", own / bare));
}

/// What anybody would write: every number in /proc, its stat opened and read.
fn stats() -> usize {
    let mut buffer = [0; 1024];
    let mut count = 0;
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let name = entry.file_name();
        if !name.as_encoded_bytes()[0].is_ascii_digit() {
            continue;
        }
        let mut path = entry.path();
        path.push("stat");
        let read = File::open(path).and_then(|mut file| file.read(&mut buffer));
        count += usize::from(read.is_ok());
    }
    count
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn unwatched(world: &World) {
    let window = Duration::from_secs(setting("BEADLE_BENCH_IDLE", 60) as u64);
    assert!(world.beadle().args(["daemon", "start"]).output().unwrap().status.success());
    let text = std::fs::read_to_string(world.path("s/lock")).unwrap();
    let daemon = text.split_whitespace().next().unwrap().to_string();
    // Who has looked has gone, and the first pass is over.
    std::thread::sleep(Duration::from_secs(12));
    let before = cpu(&daemon);
    std::thread::sleep(window);
    let percent = cpu(&daemon).saturating_sub(before).as_secs_f64() / window.as_secs_f64() * 100.0;
    let count = stats();
    row(
        &format!("a daemon nobody looks at, {count} processes, {} s", window.as_secs()),
        &format!("{percent:.3} % of a core"),
    );
    world.stop();
}

fn first_paint(world: &World) {
    const ROUNDS: usize = 9;
    let paint = |cold: bool| {
        if cold {
            world.stop();
        }
        painted(world)
    };
    painted(world);
    let mut cold: Vec<Duration> = (0..ROUNDS).map(|_| paint(true)).collect();
    let mut warm: Vec<Duration> = (0..ROUNDS).map(|_| paint(false)).collect();
    let ms = |d: Duration| d.as_secs_f64() * 1e3;
    let worst = |times: &[Duration]| ms(*times.iter().max().unwrap());
    for (what, times) in [("no daemon yet", &mut cold), ("a daemon that runs", &mut warm)] {
        let figures = format!("median {:.0} ms, worst {:.0} ms", ms(median(times)), worst(times));
        row(&format!("`beadle` until the agents are painted, {what}"), &figures);
    }
    world.stop();
}

/// From its execution until the agents stand in the table.
fn painted(world: &World) -> Duration {
    let mut command = Command::new("script");
    let line = format!("stty cols 120 rows 34; echo begin; exec {BEADLE}");
    command.args(["-qfec", &line, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    for (name, value) in world.beadle().get_envs() {
        command.env(name, value.unwrap());
    }
    let mut child = command.env("TERM", "xterm-256color").env_remove("TMUX").spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    let mut begun = None;
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    let took = loop {
        let n = out.read(&mut buffer).unwrap();
        assert!(n > 0, "it ended: {}", String::from_utf8_lossy(&text));
        text.extend_from_slice(&buffer[..n]);
        let has = |what: &[u8]| text.windows(what.len()).any(|w| w == what);
        if begun.is_none() && has(b"begin") {
            begun = Some(Instant::now());
        }
        if let Some(begun) = begun.filter(|_| has(b"benchpanes:")) {
            break begun.elapsed();
        }
    };
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), b"q").unwrap();
    let mut rest = Vec::new();
    out.read_to_end(&mut rest).unwrap();
    child.wait().unwrap();
    took
}

/// Time on a processor, of threads that have ended too; in steps of a tick.
fn cpu(pid: &str) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().map(|n| n.parse::<u64>().unwrap()).sum();
    Duration::from_secs_f64(ticks as f64 / beadle::sys::clock::ticks_per_second() as f64)
}
