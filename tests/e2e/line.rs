//! Two ways to a session's terminal: its keeper's socket spoken by hand, and `beadle attach` on a real terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use beadle::api::wire::{self, Decoder, Fact, Kind, Request};

use super::support::{Arena, PATIENCE, until};

/// A connection to a keeper.
pub struct Line {
    stream: UnixStream,
    decoder: Decoder,
}

impl Line {
    #[track_caller]
    pub fn to(arena: &Arena, id: &str) -> Self {
        let socket = PathBuf::from(arena.show(id)["keeper_socket"].as_str().unwrap());
        let mut line = Self { stream: UnixStream::connect(socket).unwrap(), decoder: Decoder::default() };
        let (kind, hello) = line.next();
        assert_eq!(kind, Kind::Json);
        assert!(matches!(serde_json::from_slice(&hello).unwrap(), Fact::Hello { .. }));
        line
    }

    /// As a terminal of 80 × 24; the first picture is read.
    #[track_caller]
    pub fn attached(arena: &Arena, id: &str, read_only: bool) -> Self {
        let mut line = Self::to(arena, id);
        line.order(&Request::Attach { cols: 80, rows: 24, read_only });
        line.until_kind(Kind::Screen);
        line
    }

    pub fn order(&mut self, request: &Request) {
        self.stream.write_all(&wire::json_frame(request)).unwrap();
    }

    pub fn type_in(&mut self, text: &str) {
        self.stream.write_all(&wire::frame(Kind::Input, text.as_bytes())).unwrap();
    }

    pub fn send_raw(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// The next frame; the test fails when none comes.
    #[track_caller]
    pub fn next(&mut self) -> (Kind, Vec<u8>) {
        let mut buffer = vec![0; 64 << 10];
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        loop {
            if let Some(frame) = self.decoder.next_frame().unwrap() {
                return frame;
            }
            let n = self.stream.read(&mut buffer).expect("a frame in time");
            assert!(n > 0, "the keeper closed the connection");
            self.decoder.feed(&buffer[..n]);
        }
    }

    #[track_caller]
    pub fn until_kind(&mut self, wanted: Kind) -> Vec<u8> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            let (kind, payload) = self.next();
            if kind == wanted {
                return payload;
            }
        }
        panic!("no {wanted:?} came");
    }

    /// Reads until output or a screen holds this text.
    #[track_caller]
    pub fn until_shown(&mut self, text: &str) {
        let (end, mut seen) = (Instant::now() + PATIENCE, Vec::new());
        while Instant::now() < end {
            let (kind, payload) = self.next();
            if kind == Kind::Json {
                continue;
            }
            seen.extend(payload);
            if String::from_utf8_lossy(&seen).contains(text) {
                return;
            }
        }
        panic!("{text:?} was not shown");
    }

    /// True when the keeper has closed the connection.
    pub fn is_closed(&mut self) -> bool {
        self.stream.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        let mut buffer = [0; 4096];
        matches!(self.stream.read(&mut buffer), Ok(0))
            || matches!(self.stream.read(&mut buffer), Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset)
    }
}

/// `beadle attach` on a terminal of its own.
pub struct Terminal {
    child: Child,
    keys: File,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    pub fn attach(arena: &Arena, id: &str) -> Self {
        Self::of(arena, &["attach", id])
    }

    /// Any verb.
    pub fn of(arena: &Arena, args: &[&str]) -> Self {
        let size = nix::pty::Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = nix::pty::openpty(&size, None).unwrap();
        let mut command = arena.beadle(args);
        command.env("TERM", "xterm").stdin(pty.slave.try_clone().unwrap());
        command.stdout(pty.slave.try_clone().unwrap()).stderr(pty.slave);
        let child = command.spawn().unwrap();
        drop(command);
        let keys = File::from(pty.master);
        let (mut screen, shown) = (keys.try_clone().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let seen = Arc::clone(&shown);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = screen.read(&mut buffer) {
                seen.lock().unwrap().extend_from_slice(&buffer[..n]);
            }
        });
        Self { child, keys, shown }
    }

    #[track_caller]
    pub fn until_shown(&self, text: &str) {
        let shown = || self.shown();
        let end = Instant::now() + PATIENCE;
        while !shown().contains(text) {
            assert!(Instant::now() < end, "{text:?} is not on the terminal: {:?}", shown());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// All there was so far.
    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned()
    }

    pub fn type_in(&mut self, text: &str) {
        self.keys.write_all(text.as_bytes()).unwrap();
    }

    /// The exit status, once it has ended.
    #[track_caller]
    pub fn wait(&mut self) -> i32 {
        let mut status = None;
        until("attach ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap().code().unwrap_or(-1)
    }
}
