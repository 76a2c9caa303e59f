//! The interface against the clock: the real binary in a pseudoterminal of 120×40, before a real daemon with real sessions.
//!
//! One table: the first frame; memory; processor time at rest, of interface and daemon together, beside htop and btop (where
//! they are installed) over the same processes; a key until its frame while a tenth of the sessions changes every
//! second; and a flood in the preview: what it does to a key, and what the preview does to it.
//!
//! `BEADLE_BENCH_MOST=200` makes it smaller, `BEADLE_BENCH_IDLE=10` shortens the window at rest (20 s).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::cast_precision_loss)]

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use beadle::api::client::Client;
use beadle::api::types::StartRequest;
use beadle::sys::pty::Master;

const BEADLE: &str = env!("CARGO_BIN_EXE_beadle");
const SIZE: (u16, u16) = (120, 40);
/// Ends what the interface draws at once (mode 2026).
const DRAWN: &str = "\x1b[?2026l";
const KEYS: usize = 200;
const FLOOD: u64 = 64 << 20;

/// A private instance; closed with all its sessions when dropped.
struct Arena {
    dir: tempfile::TempDir,
}

impl Arena {
    fn new() -> Self {
        let arena = Self { dir: tempfile::Builder::new().prefix("beadle-bench").tempdir().unwrap() };
        std::fs::write(arena.path("config.toml"), "[stop]\ngrace = \"1s\"\n[cleanup]\nmax_sessions = 5000\n").unwrap();
        assert!(arena.command(&["daemon", "start"]).stdout(Stdio::null()).status().unwrap().success());
        arena
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(BEADLE);
        self.within(command.args(args));
        command
    }

    fn within(&self, command: &mut Command) {
        command.env("BEADLE_STATE_DIR", self.path("s")).env("BEADLE_RUNTIME_DIR", self.path("r"));
        command.env("BEADLE_CONFIG", self.path("config.toml")).stdin(Stdio::null());
    }

    fn start(&self, names: &[String], script: &str) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = Client::new(self.path("r/beadle.sock"));
        runtime.block_on(async {
            for some in names.chunks(16) {
                let start = |name: &String| {
                    let (client, command) = (client.clone(), vec!["sh".into(), "-c".into(), script.into()]);
                    let name = Some(name.clone());
                    tokio::spawn(async move {
                        client.start(&StartRequest { command, name, ..StartRequest::default() }).await
                    })
                };
                for started in some.iter().map(start).collect::<Vec<_>>() {
                    started.await.unwrap().unwrap();
                }
            }
        });
    }

    fn daemon(&self) -> i32 {
        let text = std::fs::read_to_string(self.path("s/lock")).unwrap();
        text.split_whitespace().next().unwrap().parse().unwrap()
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        let _ = self.command(&["daemon", "stop", "--yes"]).stdout(Stdio::null()).status();
    }
}

/// A program with a terminal of its own.
struct Shown {
    master: Master,
    child: Child,
}

impl Shown {
    fn open(mut command: Command) -> Self {
        let master = Master::open(SIZE.0, SIZE.1).unwrap();
        let end = || Stdio::from(master.slave().unwrap());
        command.env("TERM", "xterm-256color").env("LANG", "C.UTF-8").env_remove("TMUX");
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        Self { master, child }
    }

    /// `setsid` gives it the terminal as its own.
    fn of(program: &str) -> Command {
        let mut command = Command::new("setsid");
        command.args(["-c", program]);
        command
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// Reads until the output since now has this in it; seconds. `None`: not within ten.
    fn until(&self, text: &str) -> Option<f64> {
        let begun = Instant::now();
        let mut seen = Vec::new();
        let mut buffer = [0; 64 << 10];
        while begun.elapsed() < Duration::from_secs(10) {
            let mut polled = [rustix::event::PollFd::new(&self.master, rustix::event::PollFlags::IN)];
            let wait = rustix::event::Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
            let _ = rustix::event::poll(&mut polled, Some(&wait));
            while let Ok(count @ 1..) = rustix::io::read(self.master.as_fd(), &mut buffer) {
                seen.extend_from_slice(&buffer[..count]);
            }
            if String::from_utf8_lossy(&seen).contains(text) {
                return Some(begun.elapsed().as_secs_f64());
            }
        }
        None
    }

    /// Reads for so long.
    fn rest(&self, time: Duration) {
        let begun = Instant::now();
        let mut buffer = [0; 64 << 10];
        while begun.elapsed() < time {
            let mut polled = [rustix::event::PollFd::new(&self.master, rustix::event::PollFlags::IN)];
            let wait = rustix::event::Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
            let _ = rustix::event::poll(&mut polled, Some(&wait));
            while let Ok(1..) = rustix::io::read(self.master.as_fd(), &mut buffer) {}
        }
    }

    fn key(&self, keys: &str) {
        rustix::io::write(self.master.as_fd(), keys.as_bytes()).unwrap();
    }

    /// A key until the frame that shows what it did.
    fn keys(&self, pairs: &[(&str, &str)]) -> Vec<f64> {
        let mut took = Vec::new();
        for (key, shows) in pairs.iter().cycle().take(KEYS) {
            self.rest(Duration::from_millis(37));
            self.key(key);
            took.extend(self.until(shows).map(|s| s * 1e3));
        }
        took.sort_by(f64::total_cmp);
        took
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        // Over already: fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn main() {
    // `cargo test --benches` only wants to know that it compiles.
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    if !Command::new("setsid").arg("true").status().is_ok_and(|s| s.success()) {
        println!("setsid (util-linux) is needed");
        return;
    }
    many(setting("BEADLE_BENCH_MOST", 1000));
    flood();
}

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

fn row(what: &str, figures: &str) {
    println!("{what:<52} {figures}");
}

fn at(sorted: &[f64], quantile: f64) -> f64 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let index = ((sorted.len().max(1) - 1) as f64 * quantile).round() as usize;
    sorted.get(index).copied().unwrap_or(f64::NAN)
}

fn figures(sorted: &[f64]) -> String {
    format!(
        "p50 {:.1} ms, p99 {:.1} ms, worst {:.1} ms, of {}",
        at(sorted, 0.5),
        at(sorted, 0.99),
        at(sorted, 1.0),
        sorted.len()
    )
}

fn many(count: usize) {
    let arena = Arena::new();
    let changing = count / 10;
    let names = |what: &str, from: usize, to: usize| (from..to).map(|i| format!("{what}-{i:04}")).collect::<Vec<_>>();
    let go = arena.path("go");
    assert!(Command::new("mkfifo").arg(&go).status().unwrap().success());
    let script = format!(
        "read x <{}; w=; while :; do w=x$w; [ ${{#w}} -lt 70 ] || w=; echo \"$w\"; sleep 1; done",
        go.display()
    );
    arena.start(&names("idle", changing, count), "exec sleep 3600");
    arena.start(&names("busy", 0, changing), &script);
    std::thread::sleep(Duration::from_secs(5));
    let mut first: Vec<f64> = (0..10).filter_map(|_| interface(&arena, "idle-").1).map(|s| s * 1e3).collect();
    first.sort_by(f64::total_cmp);
    row(&format!("{count} sessions: first frame with rows"), &figures(&first));
    at_rest(&arena, count);
    // Whoever waits to read from it is let go.
    drop(std::fs::OpenOptions::new().write(true).open(&go).unwrap());
    let (shown, _) = interface(&arena, "idle-");
    shown.rest(Duration::from_secs(5));
    let took = shown.keys(&[("j", "▸"), ("j", "▸"), ("k", "▸")]);
    row(&format!("{count} sessions, {changing} change a second: key to frame"), &figures(&took));
    row(
        "interface after that, daemon",
        &format!("RSS {:.1} and {:.1} MB", rss_mb(shown.pid()), rss_mb(arena.daemon())),
    );
    let before = (cpu_nanos(shown.pid()), cpu_nanos(arena.daemon()));
    shown.rest(Duration::from_secs(10));
    let percent = |now: u64, before: u64| (now - before) as f64 / 1e8;
    row(
        "meanwhile, no key pressed: interface, daemon",
        &format!(
            "{:.1} % and {:.1} % of a core",
            percent(cpu_nanos(shown.pid()), before.0),
            percent(cpu_nanos(arena.daemon()), before.1)
        ),
    );
}

/// The interface, and how long until this stood in it.
fn interface(arena: &Arena, text: &str) -> (Shown, Option<f64>) {
    let mut command = Shown::of(BEADLE);
    arena.within(&mut command);
    let shown = Shown::open(command);
    let took = shown.until(text);
    (shown, took)
}

/// Side by side, over the same processes, in the same seconds.
fn at_rest(arena: &Arena, count: usize) {
    let window = Duration::from_secs(setting("BEADLE_BENCH_IDLE", 20) as u64);
    let mut programs = vec![("beadle", interface(arena, "idle-").0)];
    for program in ["htop", "btop"] {
        if Command::new(program).arg("--version").stdout(Stdio::null()).status().is_ok_and(|s| s.success()) {
            programs.push((program, Shown::open(Shown::of(program))));
        }
    }
    let read_all = |time: Duration| {
        let begun = Instant::now();
        while begun.elapsed() < time {
            programs.iter().for_each(|(_, shown)| shown.rest(Duration::from_millis(10)));
        }
    };
    read_all(Duration::from_secs(15));
    let look = || -> Vec<u64> {
        programs.iter().map(|(_, shown)| cpu_nanos(shown.pid())).chain([cpu_nanos(arena.daemon())]).collect()
    };
    let before = look();
    read_all(window);
    let after = look();
    let percent: Vec<f64> =
        after.iter().zip(&before).map(|(a, b)| (a - b) as f64 / window.as_nanos() as f64 * 100.0).collect();
    let daemon = percent.last().copied().unwrap_or_default();
    row(
        &format!("{count} sessions at rest, {} s: interface + daemon", window.as_secs()),
        &format!("{:.2} + {daemon:.2} = {:.2} % of a core", percent[0], percent[0] + daemon),
    );
    for ((program, shown), percent) in programs.iter().zip(&percent).skip(1) {
        row(&format!("beside it: {program}"), &format!("{percent:.2} % of a core, RSS {:.1} MB", rss_mb(shown.pid())));
    }
    row("interface at rest", &format!("RSS {:.1} MB", rss_mb(programs[0].1.pid())));
}

/// Seconds that one session takes to write it all.
fn flooded(arena: &Arena, name: &str, meanwhile: impl FnOnce()) -> f64 {
    let end = arena.path(name);
    let line = "lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor in";
    let begun = Instant::now();
    let script = format!("yes '{line}' | head -c {FLOOD}; echo over >{}; exec sleep 3600", end.display());
    arena.start(&[name.to_string()], &script);
    meanwhile();
    while std::fs::read_to_string(&end).unwrap_or_default().is_empty() {
        std::thread::sleep(Duration::from_millis(2));
    }
    begun.elapsed().as_secs_f64()
}

fn flood() {
    let arena = Arena::new();
    let close = || drop(arena.command(&["close-all"]).stdout(Stdio::null()).status());
    let alone = |n: usize| flooded(&arena, &format!("alone-{n}"), || ());
    let mut times = (f64::INFINITY, f64::INFINITY);
    for n in 0..5 {
        times.0 = times.0.min(alone(n));
        close();
        let (shown, _) = interface(&arena, "No sessions");
        let name = format!("seen-{n}");
        let end = arena.path(&name);
        let watching = std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                while !end.exists() {
                    shown.rest(Duration::from_millis(20))
                }
            });
            let took = flooded(&arena, &name, || ());
            reader.join().unwrap();
            took
        });
        times.1 = times.1.min(watching);
        close();
    }
    let (without, with) = times;
    row(
        &format!("{} MiB in the preview, best of 5", FLOOD >> 20),
        &format!("{with:.3} s; unseen {without:.3} s, ratio {:.2}", with / without),
    );
    arena.start(&["endless".to_string()], "exec yes 'lorem ipsum dolor sit amet consectetur'");
    let (shown, _) = interface(&arena, "endless");
    let took = shown.keys(&[("?", "Keys"), ("\x1b", DRAWN)]);
    row("a flood without end in the preview: key to frame", &figures(&took));
}

/// Time on a processor of all threads.
fn cpu_nanos(pid: i32) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let of =
        |path: PathBuf| std::fs::read_to_string(path.join("schedstat")).ok()?.split(' ').next()?.parse::<u64>().ok();
    tasks.filter_map(|task| of(task.path())).sum()
}

fn rss_mb(pid: i32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kib =
        text.lines().find_map(|l| l.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
    kib.unwrap_or(f64::NAN) / 1024.0
}
