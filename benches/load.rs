//! Many who ask at once: `cargo bench --bench load`.
//!
//! 50 connections over 200 sessions ask for `GET /api/active-sessions` as fast as they are answered, and then a bare axum
//! route for the same bytes, in turns, so that both meet the same machine. One table: requests a second, median, p99, and
//! how many passes of the daemon came meanwhile.
//!
//! `BEADLE_BENCH_SECONDS=3` and `BEADLE_BENCH_SESSIONS=20` make it short.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::cast_precision_loss)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use tokio::net::{UnixListener, UnixStream};

const BEADLE: &str = env!("CARGO_BIN_EXE_beadle");
const CONNECTIONS: usize = 50;
const PATH: &str = "/api/active-sessions";
/// How often the two take turns.
const TURNS: u64 = 4;

fn main() {
    // `cargo test --benches` only wants to know that it compiles.
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    let seconds = setting("BEADLE_BENCH_SECONDS", 10);
    let arena = Arena::new(setting("BEADLE_BENCH_SESSIONS", 200));
    let (daemon, bare) = (arena.socket(), arena.dir.path().join("bare.sock"));
    let body = runtime().block_on(once(&daemon));
    println!("{} bytes, {CONNECTIONS} connections, {seconds} s each, in {TURNS} turns\n", body.len());
    serve_bare(&bare, body);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let before = arena.passes();
    for _ in 0..TURNS {
        let turn = Duration::from_secs(seconds) / u32::try_from(TURNS).unwrap();
        theirs.extend(load(&bare, turn));
        ours.extend(load(&daemon, turn));
    }
    let passes = arena.passes() - before;
    println!("| route | requests/s | median | p99 | slowest |\n|---|---|---|---|---|");
    let bare = row("bare axum", &mut theirs, seconds);
    let p99 = row(PATH, &mut ours, seconds);
    println!("\np99: {:.2} × the bare route; {passes} passes of the cleaner meanwhile", p99 / bare);
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Prints one row; the p99 in milliseconds.
fn row(what: &str, times: &mut [f64], seconds: u64) -> f64 {
    times.sort_by(f64::total_cmp);
    let at = |percent: usize| times[(times.len() - 1) * percent / 100] * 1000.0;
    let (median, p99, most) = (at(50), at(99), at(100));
    println!("| {what} | {:.0} | {median:.2} ms | {p99:.2} ms | {most:.2} ms |", times.len() as f64 / seconds as f64);
    p99
}

/// Asks on all connections until the time is over; seconds of each answer.
fn load(socket: &Path, time: Duration) -> Vec<f64> {
    let socket = Arc::new(socket.to_path_buf());
    runtime().block_on(async move {
        let end = Instant::now() + time;
        let one = |_| tokio::spawn(asking(Arc::clone(&socket), end));
        let tasks: Vec<_> = (0..CONNECTIONS).map(one).collect();
        let mut times = Vec::new();
        for task in tasks {
            times.extend(task.await.unwrap());
        }
        times
    })
}

async fn asking(socket: Arc<PathBuf>, end: Instant) -> Vec<f64> {
    let mut line = connected(&socket).await;
    let mut times = Vec::new();
    while Instant::now() < end {
        let begun = Instant::now();
        get(&mut line).await;
        times.push(begun.elapsed().as_secs_f64());
    }
    times
}

type Line = hyper::client::conn::http1::SendRequest<Empty<Bytes>>;

async fn connected(socket: &Path) -> Line {
    let stream = UnixStream::connect(socket).await.unwrap();
    let (line, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    line
}

async fn get(line: &mut Line) -> Bytes {
    line.ready().await.unwrap();
    let request = hyper::Request::get(PATH).header("host", "b").body(Empty::new()).unwrap();
    let answer = line.send_request(request).await.unwrap();
    assert!(answer.status().is_success());
    answer.into_body().collect().await.unwrap().to_bytes()
}

async fn once(socket: &Path) -> Bytes {
    get(&mut connected(socket).await).await
}

/// On a thread of its own, as the daemon is a process of its own.
fn serve_bare(socket: &Path, body: Bytes) {
    let listener = std::os::unix::net::UnixListener::bind(socket).unwrap();
    listener.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        runtime().block_on(async move {
            let answer = move || std::future::ready(([("content-type", "application/json")], body.clone()));
            let router = axum::Router::new().route(PATH, axum::routing::get(answer));
            axum_loop(UnixListener::from_std(listener).unwrap(), router).await;
        });
    });
}

async fn axum_loop(listener: UnixListener, router: axum::Router) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let service = hyper_util::service::TowerToHyperService::new(router.clone());
        tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

/// A private instance; closed with all its sessions when dropped.
struct Arena {
    dir: tempfile::TempDir,
}

impl Arena {
    fn new(sessions: u64) -> Self {
        let arena = Self { dir: tempfile::Builder::new().prefix("beadle-load").tempdir().unwrap() };
        let config = "[stop]\ngrace = \"1s\"\n[cleanup]\ninterval = \"1s\"\n";
        std::fs::write(arena.dir.path().join("config.toml"), config).unwrap();
        for _ in 0..sessions {
            let status = arena.command(&["run", "--", "sleep", "3600"]).stdout(Stdio::null()).status().unwrap();
            assert!(status.success());
        }
        arena
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("r/beadle.sock")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(BEADLE);
        let at = |name: &str| self.dir.path().join(name);
        command.args(args).env("BEADLE_STATE_DIR", at("s")).env("BEADLE_RUNTIME_DIR", at("r"));
        // A fence that nobody carries: only its own sessions are seen, whatever else runs on the machine.
        command.env("BEADLE_SWEEP__FENCE", "BEADLE_LOAD=1").env("BEADLE_CONFIG", at("config.toml"));
        command.stdin(Stdio::null()).stderr(Stdio::inherit());
        command
    }

    fn passes(&self) -> u64 {
        let output = self.command(&["cleanup", "status", "--json"]).output().unwrap();
        let stats: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        stats["statistics"]["cleanup_runs"].as_u64().unwrap()
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        let _ = self.command(&["daemon", "stop", "--yes"]).stdout(Stdio::null()).status();
    }
}
