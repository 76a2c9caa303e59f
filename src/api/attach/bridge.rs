//! The loop between a keeper's socket and a terminal that is nothing but channels here.
//!
//! ```text
//!   typed ──▶ Keys ──▶ frames ──▶ keeper
//!   shown ◀── Filter ◀── frames ◀── keeper      nothing is read while the terminal takes nothing
//! ```
//!
//! Every source becomes one [`Happened`]; [`Bridge::take`] decides what follows from it.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::filter::Filter;
use super::keys::{Keys, Typed};
use super::{AttachError, Left};
use crate::api::wire::{self, Decoder, Fact, Kind, PROTOCOL, Request};
use crate::model::session::Exit;

/// A keeper greets at once; one that does not is stuck.
const HELLO: Duration = Duration::from_secs(5);
/// Switches of the screen within this time are drawn once.
const REDRAW: Duration = Duration::from_millis(20);
/// More than this for a keeper that does not read, and nothing more is taken from the keyboard.
const UNSENT: usize = 1 << 20;
/// Bytes read from the keeper at once.
const PIECE: usize = 64 << 10;

/// Before a whole screen: end what was under way, no margins, empty.
const BEFORE_SCREEN: &[u8] = b"\x1b\\\x1b[?2026h\x1b[r\x1b[?6l\x1b[m\x1b[H\x1b[2J";
const AFTER_SCREEN: &[u8] = b"\x1b[?2026l";

/// What the terminal tells besides keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    Resized(u16, u16),
    /// The picture is lost.
    Lost,
    /// This process was told to end, by signal.
    Told(i32),
}

/// The terminal's side.
#[derive(Debug)]
pub struct Terminal {
    /// Closes when the terminal hangs up.
    pub typed: mpsc::Receiver<Vec<u8>>,
    pub shown: mpsc::Sender<Vec<u8>>,
    pub events: mpsc::Receiver<Event>,
}

/// How the terminal looks at the session.
#[derive(Debug, Clone, Copy)]
pub struct View {
    pub size: (u16, u16),
    pub read_only: bool,
}

enum Happened {
    Typed(Option<Vec<u8>>),
    Waited,
    Received(usize),
    Sent(usize),
    Shown,
    TerminalGone,
    RedrawDue,
    Event(Event),
}

pub struct Bridge {
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    terminal: Terminal,
    keys: Keys,
    filter: Filter,
    decoder: Decoder,
    read_only: bool,
    /// Read from the keeper, and not yet decoded.
    piece: Vec<u8>,
    /// For the keeper.
    unsent: Vec<u8>,
    /// For the terminal.
    unshown: Vec<u8>,
    keys_until: Option<Instant>,
    redraw_at: Option<Instant>,
    exit: Option<Exit>,
    /// The keeper takes nothing more; what it said last is still to be read.
    deaf: bool,
}

impl Bridge {
    /// The whole attachment.
    pub async fn hold(stream: UnixStream, terminal: Terminal, keys: Keys, view: View) -> Result<Left, AttachError> {
        match Self::open(stream, terminal, keys, view).await? {
            Some(bridge) => bridge.run().await,
            None => Ok(Left::Lost),
        }
    }

    /// Waits for the keeper's greeting and asks to become a terminal; `None` when the keeper hung up: it was at its end.
    async fn open(stream: UnixStream, terminal: Terminal, keys: Keys, view: View) -> Result<Option<Self>, AttachError> {
        let (reader, writer) = stream.into_split();
        let mut bridge = Self {
            reader,
            writer,
            terminal,
            keys,
            filter: Filter::default(),
            decoder: Decoder::default(),
            read_only: view.read_only,
            piece: vec![0; PIECE],
            unsent: Vec::new(),
            unshown: Vec::new(),
            keys_until: None,
            redraw_at: None,
            exit: None,
            deaf: false,
        };
        let greeted = tokio::time::timeout(HELLO, bridge.greeted()).await.map_err(|_| AttachError::Silent)?;
        if !greeted? {
            return Ok(None);
        }
        let (cols, rows) = view.size;
        bridge.order(&Request::Attach { cols, rows, read_only: view.read_only });
        Ok(Some(bridge))
    }

    /// False when there is nobody (any more) who could greet.
    async fn greeted(&mut self) -> Result<bool, AttachError> {
        loop {
            if let Some((kind, payload)) = self.decoder.next_frame().map_err(AttachError::Garbled)? {
                return self.hello(kind, &payload).map(|()| true);
            }
            let count = match self.reader.read(&mut self.piece).await {
                Err(e) if !is_hang_up(&e) => return Err(AttachError::Broken(e)),
                read => read.unwrap_or(0),
            };
            if count == 0 {
                return Ok(false);
            }
            self.decoder.feed(&self.piece[..count]);
        }
    }

    fn hello(&mut self, kind: Kind, payload: &[u8]) -> Result<(), AttachError> {
        match (kind, serde_json::from_slice(payload)) {
            (Kind::Json, Ok(Fact::Hello { protocol: PROTOCOL, exit, .. })) => {
                self.exit = exit;
                Ok(())
            }
            (Kind::Json, Ok(Fact::Hello { protocol, .. })) => Err(AttachError::OtherProtocol(protocol)),
            _ => Err(AttachError::Silent),
        }
    }

    /// Until somebody leaves.
    async fn run(mut self) -> Result<Left, AttachError> {
        loop {
            let happened = self.next().await;
            if let Some(left) = self.take(happened)? {
                return Ok(left);
            }
        }
    }

    async fn next(&mut self) -> Happened {
        let Self { reader, writer, terminal, piece, unsent, unshown, deaf, .. } = self;
        let Terminal { typed, shown, events } = terminal;
        tokio::select! {
            biased;
            Some(event) = events.recv() => Happened::Event(event),
            bytes = typed.recv(), if unsent.len() < UNSENT || *deaf => Happened::Typed(bytes),
            () = until(self.keys_until) => Happened::Waited,
            count = writer.write(unsent), if !unsent.is_empty() && !*deaf => Happened::Sent(count.unwrap_or(0)),
            permit = shown.reserve(), if !unshown.is_empty() => match permit {
                Ok(permit) => {
                    permit.send(std::mem::take(unshown));
                    Happened::Shown
                }
                Err(_) => Happened::TerminalGone,
            },
            () = until(self.redraw_at) => Happened::RedrawDue,
            // A connection that breaks has ended.
            count = reader.read(piece), if unshown.is_empty() => Happened::Received(count.unwrap_or(0)),
        }
    }

    fn take(&mut self, happened: Happened) -> Result<Option<Left>, AttachError> {
        match happened {
            Happened::Typed(Some(bytes)) => {
                let typed = self.keys.feed(&bytes);
                Ok(self.typed(&typed))
            }
            Happened::Waited => {
                let typed = self.keys.expire();
                Ok(self.typed(&typed))
            }
            // The terminal is gone: nobody looks any more, and the session goes on.
            Happened::Typed(None) | Happened::TerminalGone => Ok(Some(Left::Detached)),
            Happened::Received(0) => Ok(Some(self.closed())),
            Happened::Received(count) => self.received(count),
            Happened::Sent(count) => {
                self.deaf = count == 0;
                self.unsent.drain(..count);
                Ok(None)
            }
            Happened::Shown => Ok(None),
            Happened::RedrawDue => {
                self.redraw_at = None;
                self.order(&Request::Redraw);
                Ok(None)
            }
            Happened::Event(event) => self.event(event),
        }
    }

    fn typed(&mut self, typed: &Typed) -> Option<Left> {
        if typed.detach {
            return Some(Left::Detached);
        }
        self.keys_until = self.keys.patience().map(|patience| Instant::now() + patience);
        if !self.read_only && !typed.bytes.is_empty() {
            wire::push_frame(&mut self.unsent, Kind::Input, &typed.bytes);
        }
        None
    }

    fn event(&mut self, event: Event) -> Result<Option<Left>, AttachError> {
        match event {
            Event::Resized(cols, rows) => self.order(&Request::Resize { cols, rows }),
            Event::Lost => self.order(&Request::Redraw),
            Event::Told(signal) => return Err(AttachError::Told(signal)),
        }
        Ok(None)
    }

    fn received(&mut self, count: usize) -> Result<Option<Left>, AttachError> {
        self.decoder.feed(&self.piece[..count]);
        while let Some((kind, payload)) = self.decoder.next_frame().map_err(AttachError::Garbled)? {
            match kind {
                Kind::Output => self.output(&payload),
                Kind::Screen => {
                    self.unshown.extend_from_slice(BEFORE_SCREEN);
                    self.unshown.extend_from_slice(&payload);
                    self.unshown.extend_from_slice(AFTER_SCREEN);
                }
                Kind::Json => match serde_json::from_slice(&payload) {
                    Ok(Fact::Exited { exit }) => return Ok(Some(Left::Ended(Some(exit)))),
                    Ok(Fact::Empty) => return Ok(Some(Left::Ended(self.exit.take()))),
                    // Not for a terminal, or from a keeper that knows more than we do.
                    Ok(_) | Err(_) => {}
                },
                // Only clients send it.
                Kind::Input => {}
            }
        }
        Ok(None)
    }

    fn output(&mut self, bytes: &[u8]) {
        let passed = self.filter.pass(bytes);
        self.unshown.extend_from_slice(&passed.bytes);
        if passed.redraw && self.redraw_at.is_none() {
            self.redraw_at = Some(Instant::now() + REDRAW);
        }
    }

    fn closed(&mut self) -> Left {
        self.exit.take().map_or(Left::Lost, |exit| Left::Ended(Some(exit)))
    }

    fn order(&mut self, request: &Request) {
        self.unsent.extend_from_slice(&wire::json_frame(request));
    }
}

/// The other end closed its socket, perhaps with something unread in it or before it had accepted us.
fn is_hang_up(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
    matches!(error.kind(), ConnectionReset | BrokenPipe)
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
#[path = "bridge_tests.rs"]
mod tests;
