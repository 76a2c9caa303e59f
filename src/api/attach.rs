//! A terminal connected to a keeper: raw bytes both ways, detach key, size, and the terminal as it was
//! afterwards.
//!
//! - `keys`: what is typed, and which of it detaches; `filter`: what is shown, and which of it is not.
//! - `terminal`: the terminal taken and given back; `bridge`: the loop in the middle.
//!
//! Prints no words of its own: who calls it says what happened.

mod bridge;
pub mod filter;
pub mod keys;
mod terminal;
pub mod tmux;

use std::time::Duration;

use tokio::net::UnixStream;
use tokio::sync::mpsc;

use self::bridge::{Bridge, Event, Terminal, View};
use self::keys::{KeyError, Keys};
use self::terminal::Taken;
use super::wire::FrameError;
use crate::model::session::Exit;
use crate::sys::term::{self, TermSignal};

/// How long a terminal may take for what it was still to show.
const SLOWEST: Duration = Duration::from_secs(5);

/// The detach key of a config that names none.
pub const DETACH_KEY: &str = "C-]";

/// How an attachment is made.
#[derive(Debug, Clone)]
pub struct Options {
    /// Look, and type nothing.
    pub read_only: bool,
    /// The key that detaches, as the config has it (`C-]`).
    pub detach_key: String,
    /// The session's name, for the line shown at the start and at the end.
    pub name: String,
}

/// How an attachment ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    Detached,
    /// The session ended.
    Ended(Option<Exit>),
    /// The keeper went away.
    Lost,
}

#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    #[error("failed to attach: standard input and output must be a terminal")]
    NoTerminal,
    #[error("failed to use the terminal: {0}")]
    Terminal(std::io::Error),
    #[error("failed to read from the session's keeper: {0}")]
    Broken(std::io::Error),
    #[error("failed to attach: the session's keeper does not answer (`beadle show` says whether it lives)")]
    Silent,
    #[error("failed to understand the session's keeper: {0}")]
    Garbled(FrameError),
    #[error("failed to attach: the session's keeper speaks protocol {0} (a keeper of another version of beadle)")]
    OtherProtocol(u32),
    #[error("failed to attach: {0}")]
    Key(#[from] KeyError),
    #[error("detached: this process was told to end by signal {0}")]
    Told(i32),
}

/// Attaches the terminal of this process to the session whose keeper is at the other end, until it detaches or ends.
///
/// Handlers for WINCH, CONT, HUP, INT and TERM stay installed afterwards.
pub async fn attach(stream: UnixStream, options: &Options) -> Result<Left, AttachError> {
    let keys = Keys::new(&options.detach_key)?;
    if !term::is_terminal() {
        return Err(AttachError::NoTerminal);
    }
    let taken = Taken::take().map_err(AttachError::Terminal)?;
    let (input, typed) = term::Input::start().map_err(AttachError::Terminal)?;
    let output = term::Output::start().map_err(AttachError::Terminal)?;
    let (signals, mut heard) = mpsc::channel(4);
    let listener = term::forward_signals(signals).map_err(AttachError::Terminal)?;
    let (sender, events) = mpsc::channel(4);
    let terminal = Terminal { typed, shown: output.bytes.clone(), events };
    let view = View { size: term::size(), read_only: options.read_only };
    let left = tokio::select! {
        left = Bridge::hold(stream, terminal, keys, view) => left,
        error = tell(&mut heard, &sender) => Err(error),
    };
    listener.abort();
    // In this order: nothing of ours reads, nothing of ours writes, then the terminal is given back.
    drop(input);
    output.finish(SLOWEST).await;
    drop(taken);
    left
}

/// Brings the terminal's signals to the bridge; returns only when one of them cannot be served.
async fn tell(heard: &mut mpsc::Receiver<TermSignal>, events: &mpsc::Sender<Event>) -> AttachError {
    loop {
        let event = match heard.recv().await {
            Some(TermSignal::Resized) => resized(),
            Some(TermSignal::Resumed) => {
                if let Err(e) = Taken::again() {
                    return AttachError::Terminal(e);
                }
                // The bridge ends before this channel closes.
                let _ = events.send(Event::Lost).await;
                resized()
            }
            Some(TermSignal::Ended(signal)) => Event::Told(signal),
            None => std::future::pending().await,
        };
        // As above.
        let _ = events.send(event).await;
    }
}

fn resized() -> Event {
    let (cols, rows) = term::size();
    Event::Resized(cols, rows)
}
