//! What beadle exists for, against the clock, with the real binary and real processes: `cargo bench`.
//!
//! One table: starting a session, closing 1, 100 and 500 of them (well-behaved, and deaf to every polite signal), what 100
//! idle sessions cost, one look of the cleaner at 1,000, 256 MiB of output through one of them beside `script`, and how soon a death is seen.
//! Everything lives in a private directory and is closed afterwards.
//!
//! `BEADLE_BENCH_IDLE=10` shortens the idle window (60 s), `BEADLE_BENCH_MOST=100` leaves out larger numbers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::cast_precision_loss)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use beadle::api::client::Client;
use beadle::api::kept::Dir;
use beadle::api::types::KillReport;

const BEADLE: &str = env!("CARGO_BIN_EXE_beadle");
const FLOOD: u64 = 256 << 20;

/// A private instance; closed with all its sessions when dropped.
struct Arena {
    dir: tempfile::TempDir,
}

impl Arena {
    fn new() -> Self {
        let arena = Self { dir: tempfile::Builder::new().prefix("beadle-bench").tempdir().unwrap() };
        arena.beadle(&["ls"]);
        arena
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(BEADLE);
        command.args(args).env("BEADLE_STATE_DIR", self.path("s")).env("BEADLE_RUNTIME_DIR", self.path("r"));
        command.env("BEADLE_CONFIG", self.config()).stdin(Stdio::null()).stderr(Stdio::inherit());
        command
    }

    fn config(&self) -> PathBuf {
        let path = self.path("config.toml");
        if !path.exists() {
            std::fs::write(&path, "[stop]\ngrace = \"1s\"\n").unwrap();
        }
        path
    }

    fn beadle(&self, args: &[&str]) -> String {
        let output = self.command(args).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// Starts sessions one after the other; seconds for each.
    fn start(&self, count: usize, script: &str) -> f64 {
        let begun = Instant::now();
        for _ in 0..count {
            let status = self.command(&["run", "--", "sh", "-c", script]).stdout(Stdio::null()).status().unwrap();
            assert!(status.success());
        }
        begun.elapsed().as_secs_f64() / count as f64
    }

    /// Seconds until each was gone and verified, sorted, and until the command was over.
    fn close_all(&self) -> (Vec<f64>, f64) {
        let begun = Instant::now();
        let report: KillReport = serde_json::from_str(&self.beadle(&["close-all", "--json"])).unwrap();
        let wall = begun.elapsed().as_secs_f64();
        assert_eq!(report.failed, 0);
        let mut seconds: Vec<f64> = report.sessions.iter().map(|s| s.seconds).collect();
        seconds.sort_by(f64::total_cmp);
        (seconds, wall)
    }

    fn daemon(&self) -> i32 {
        let text = std::fs::read_to_string(self.path("s/lock")).unwrap();
        text.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// Keepers of sessions that have not ended.
    fn keepers(&self) -> Vec<i32> {
        let dirs = std::fs::read_dir(self.path("s/sessions")).unwrap().flatten();
        let kept = dirs.map(|d| Dir::new(d.path()).kept()).filter(|k| k.exit.is_none());
        kept.filter_map(|k| k.identity).map(|i| i.keeper.pid).collect()
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        self.beadle(&["daemon", "stop", "--yes"]);
    }
}

fn main() {
    // `cargo test --benches` only wants to know that it compiles.
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    let most: usize = setting("BEADLE_BENCH_MOST", 500);
    floor();
    for count in [1, 100, 500].into_iter().filter(|n| *n <= most) {
        closing(count, "exec sleep 3600", "well-behaved");
    }
    for count in [1, 100, 500].into_iter().filter(|n| *n <= most) {
        closing(count, "trap '' TERM HUP INT; exec sleep 3600", "deaf, grace 1 s");
    }
    idle(100.min(most));
    cleaner(if most < 500 { most } else { 1000 });
    flood();
    death();
}

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

fn row(what: &str, figures: &str) {
    println!("{what:<44} {figures}");
}

fn floor() {
    let begun = Instant::now();
    for _ in 0..200 {
        Command::new("true").status().unwrap();
    }
    row("floor: fork, exec and wait of `true`", &format!("{:.2} ms", begun.elapsed().as_secs_f64() * 5.0));
}

fn closing(count: usize, script: &str, manner: &str) {
    let arena = Arena::new();
    let start = arena.start(count, script);
    std::thread::sleep(Duration::from_millis(500));
    let (seconds, wall) = arena.close_all();
    let at = |q: f64| {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let index = (((seconds.len() - 1) as f64) * q).round() as usize;
        seconds[index] * 1e3
    };
    row(
        &format!("{count} sessions, {manner}"),
        &format!(
            "start {:.1} ms each; gone and verified p50 {:.1} ms, p99 {:.1} ms; command {:.1} ms",
            start * 1e3,
            at(0.5),
            at(0.99),
            wall * 1e3
        ),
    );
}

fn idle(count: usize) {
    let window = Duration::from_secs(setting("BEADLE_BENCH_IDLE", 60) as u64);
    let arena = Arena::new();
    arena.start(count, "exec sleep 3600");
    std::thread::sleep(Duration::from_secs(3));
    let (daemon, keepers) = (arena.daemon(), arena.keepers());
    let sum = |of: fn(i32) -> u64| keepers.iter().map(|k| of(*k)).sum::<u64>();
    let before = (cpu_nanos(daemon), switches(daemon), sum(cpu_nanos), sum(switches));
    std::thread::sleep(window);
    let percent = |nanos: u64| nanos as f64 / window.as_nanos() as f64 * 100.0;
    row(
        &format!("{count} idle sessions, {} s: daemon", window.as_secs()),
        &format!("{:.3} % of a core, {} wake-ups", percent(cpu_nanos(daemon) - before.0), switches(daemon) - before.1),
    );
    row(
        &format!("{count} idle sessions, {} s: keepers together", window.as_secs()),
        &format!("{:.3} % of a core, {} wake-ups", percent(sum(cpu_nanos) - before.2), sum(switches) - before.3),
    );
    row(
        "memory (PSS) of a keeper at 80x24, of the daemon",
        &format!("{} KiB, {} KiB", sum(pss_kib) / keepers.len() as u64, pss_kib(daemon)),
    );
}

/// One look of the cleaner at everybody, and the whole command with its sample of every process.
fn cleaner(count: usize) {
    let arena = Arena::new();
    arena.start(count, "exec sleep 3600");
    let mut looks: Vec<(f64, f64)> = (0..9)
        .map(|_| {
            let begun = Instant::now();
            arena.beadle(&["cleanup", "now", "--json"]);
            let wall = begun.elapsed().as_secs_f64() * 1e3;
            let stats: serde_json::Value = serde_json::from_str(&arena.beadle(&["cleanup", "--json"])).unwrap();
            (stats["auto_cleanup_task"]["last_run_seconds"].as_f64().unwrap() * 1e3, wall)
        })
        .collect();
    looks.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (look, wall) = looks[4];
    row(&format!("the cleaner's look at {count} sessions"), &format!("{look:.2} ms; with its sample {wall:.0} ms"));
}

fn flood() {
    let script = |end: &Path| {
        let line = "lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor in";
        format!("yes '{line}' | head -c {FLOOD}; date +%s%N > {}; exec sleep 3600", end.display())
    };
    let arena = Arena::new();
    let end = arena.path("end");
    let begun = Instant::now();
    arena.start(1, &script(&end));
    while std::fs::read_to_string(&end).unwrap_or_default().is_empty() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let ours = begun.elapsed().as_secs_f64();
    let own = cpu_nanos(arena.keepers()[0]) as f64 / 1e9;
    let begun = Instant::now();
    let plain = script(&arena.path("other")).replace("; exec sleep 3600", "");
    let scripted = Command::new("script")
        .args(["-q", "-c", &plain, "/dev/null"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status();
    let theirs = scripted.is_ok().then(|| begun.elapsed().as_secs_f64());
    let beside =
        theirs.map_or_else(|| "no `script` here".into(), |t| format!("`script` {t:.2} s, ratio {:.2}", ours / t));
    row("256 MiB of output through one session", &format!("{ours:.2} s, own CPU {own:.2} s; {beside}"));
}

fn death() {
    let arena = Arena::new();
    arena.start(10, "exec sleep 3600");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client = Client::new(arena.path("r/beadle.sock"));
    let table = runtime.block_on(client.sessions(true, false)).unwrap();
    let mut seen: Vec<f64> = Vec::new();
    for session in table.sessions {
        Command::new("kill").args(["-9", &session.leader_pid.unwrap().to_string()]).status().unwrap();
        let begun = Instant::now();
        let is_over = || {
            let now = runtime.block_on(client.sessions(true, false)).unwrap();
            now.sessions.iter().any(|s| s.id == session.id && s.exit.is_some())
        };
        while !is_over() {}
        seen.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    seen.sort_by(f64::total_cmp);
    row("death of the leader until the table says so", &format!("median {:.1} ms, worst {:.1} ms", seen[5], seen[9]));
}

/// Time on a processor of all threads.
fn cpu_nanos(pid: i32) -> u64 {
    tasks(pid)
        .filter_map(|t| std::fs::read_to_string(t.join("schedstat")).ok()?.split(' ').next()?.parse::<u64>().ok())
        .sum()
}

/// Voluntary context switches of all threads: each is a wake-up.
fn switches(pid: i32) -> u64 {
    let of = |text: String| {
        let line = text.lines().find_map(|l| l.strip_prefix("voluntary_ctxt_switches:"))?.trim().parse::<u64>();
        line.ok()
    };
    tasks(pid).filter_map(|t| of(std::fs::read_to_string(t.join("status")).ok()?)).sum()
}

fn tasks(pid: i32) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten().map(|e| e.path())
}

fn pss_kib(pid: i32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    text.lines().find_map(|l| l.strip_prefix("Pss:")?.trim().strip_suffix(" kB")?.trim().parse().ok()).unwrap_or(0)
}
