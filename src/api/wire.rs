//! What a keeper speaks on its socket: length-prefixed frames, JSON for orders and facts, raw bytes
//! for a terminal.
//!
//! ```text
//!   u32 length (little endian, of what follows) · u8 kind · payload
//!
//!   kind  from       payload
//!   'J'   both       one JSON message: Request → keeper, Fact ← keeper
//!   'I'   client     bytes typed
//!   'O'   keeper     bytes the agent wrote
//!   'S'   keeper     a whole screen: replaces what was shown before
//! ```
//!
//! A connection begins with [`Fact::Hello`]. A keeper stays on its old binary until its session ends, so
//! both sides ignore JSON keys they do not know, and [`PROTOCOL`] changes only when that is not enough.

use serde::{Deserialize, Serialize};

use crate::model::session::{Cause, Exit, ProcId};

pub const PROTOCOL: u32 = 1;

/// Longest frame either side accepts, in bytes.
pub const MAX_FRAME: usize = 16 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Json,
    Input,
    Output,
    Screen,
}

impl Kind {
    const fn byte(self) -> u8 {
        match self {
            Self::Json => b'J',
            Self::Input => b'I',
            Self::Output => b'O',
            Self::Screen => b'S',
        }
    }

    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            b'J' => Some(Self::Json),
            b'I' => Some(Self::Input),
            b'O' => Some(Self::Output),
            b'S' => Some(Self::Screen),
            _ => None,
        }
    }
}

/// Orders to a keeper. `seq` comes back in the [`Fact::Reply`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "kebab-case")]
pub enum Request {
    /// This connection wants the events of the session (the daemon does).
    Subscribe,
    /// This connection becomes a terminal.
    Attach { cols: u16, rows: u16, read_only: bool },
    /// The attached terminal changed its size.
    Resize { cols: u16, rows: u16 },
    /// The attached terminal lost its picture.
    Redraw,
    /// The screen as text and as terminal output.
    Screen { seq: u64 },
    /// The screen as text alone.
    Text { seq: u64 },
    /// Type bytes (as if from a terminal).
    Type { seq: u64, bytes: Vec<u8> },
    /// Somebody is about to take the session away: what to write into the exit record.
    Closing { seq: u64, cause: Cause },
    /// The close is over, and something survived it: the next end has another cause.
    NotClosing,
    /// Close the agent's standard input where it is a pipe.
    CloseInput,
    /// The agent says "still working".
    Heartbeat,
    /// A restart is coming by this connection: do not end when the tree is empty. `false` takes it back, and so does the end
    /// of the connection; how the agent ended is then written down, with the cause of the last `Closing`.
    Stay { on: bool },
    /// Whether callers below other keepers may do more than look (`agents.authority`).
    Authority { all: bool },
    /// Start the same command again, in the same environment; the tree must be empty. Not done if a `Closing` or the end of a
    /// `Stay` lies unread behind it; refused, it ends the `Stay`.
    Restart { seq: u64 },
}

/// Facts from a keeper.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "kebab-case")]
pub enum Fact {
    Hello {
        protocol: u32,
        version: String,
        id: String,
        keeper: ProcId,
        /// `None` once the leader has gone.
        leader: Option<ProcId>,
        exit: Option<Exit>,
        attached: u32,
        size: (u16, u16),
        started_at: String,
        started_monotonic_seconds: f64,
        /// A close was announced and is not over.
        #[serde(default)]
        closing: Option<Cause>,
        /// The agent failed and is to be started again.
        #[serde(default)]
        again: Option<Box<ToCome>>,
    },
    /// The command executes (only on the connection the keeper was born with).
    Started {
        leader: ProcId,
    },
    /// It could not be executed; nothing of the session is left.
    NotStarted {
        message: String,
    },
    /// The leader ended; the record is written, or held until it can be.
    Exited {
        exit: Exit,
    },
    /// The tree is empty; the keeper ends when everything is stored.
    Empty,
    /// The leader failed and is to be started again: at the end of a run, and again once its tree is empty.
    Again {
        to_come: ToCome,
    },
    /// A new leader after a restart.
    Restarted {
        leader: ProcId,
    },
    Attached {
        count: u32,
    },
    Reply {
        seq: u64,
        ok: bool,
        message: String,
        screen: Option<ScreenFact>,
    },
}

/// A run that is to come by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToCome {
    /// How the run before it ended.
    pub after: Exit,
    /// Which of a row, and how many there may be.
    pub attempt: u32,
    pub limit: u32,
    /// By `CLOCK_MONOTONIC`; `None` while processes of the run before are left.
    pub at_monotonic_seconds: Option<f64>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ScreenFact {
    pub cols: u16,
    pub rows: u16,
    pub title: String,
    pub text: String,
    pub ansi: String,
    pub cursor: Option<(u16, u16)>,
}

/// One frame, ready to write.
pub fn frame(kind: Kind, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + 5);
    push_frame(&mut out, kind, payload);
    out
}

/// Appends one frame to a queue of bytes.
pub fn push_frame(out: &mut Vec<u8>, kind: Kind, payload: &[u8]) {
    let length = u32::try_from(payload.len() + 1).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.push(kind.byte());
    out.extend_from_slice(payload);
}

/// A JSON message as a frame.
pub fn json_frame<T: Serialize>(message: &T) -> Vec<u8> {
    // Our own messages are maps with string keys: they always serialise.
    frame(Kind::Json, &serde_json::to_vec(message).unwrap_or_default())
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("a frame of {0} bytes is longer than {MAX_FRAME}")]
    TooLong(usize),
    #[error("a frame of unknown kind {0}")]
    UnknownKind(u8),
    #[error("an empty frame")]
    Empty,
}

/// Bytes in, frames out. Keeps what is incomplete.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    taken: usize,
}

impl Decoder {
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.taken == self.buffer.len() {
            self.buffer.clear();
            self.taken = 0;
        } else if self.taken > 64 << 10 {
            self.buffer.drain(..self.taken);
            self.taken = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame, if there is one. After an error the stream is of no more use.
    pub fn next_frame(&mut self) -> Result<Option<(Kind, Vec<u8>)>, FrameError> {
        let rest = &self.buffer[self.taken..];
        let Some(head) = rest.first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_le_bytes(*head) as usize;
        if length == 0 {
            return Err(FrameError::Empty);
        }
        if length > MAX_FRAME {
            return Err(FrameError::TooLong(length));
        }
        let Some(body) = rest.get(4..4 + length) else { return Ok(None) };
        let kind = Kind::from_byte(body[0]).ok_or(FrameError::UnknownKind(body[0]))?;
        let payload = body[1..].to_vec();
        self.taken += 4 + length;
        Ok(Some((kind, payload)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn frames_survive_any_cut(payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 1..8), cut in 1usize..9) {
            let stream: Vec<u8> = payloads.iter().flat_map(|p| frame(Kind::Output, p)).collect();
            let mut decoder = Decoder::default();
            let mut seen = Vec::new();
            for piece in stream.chunks(cut) {
                decoder.feed(piece);
                while let Some((kind, payload)) = decoder.next_frame().unwrap() {
                    prop_assert_eq!(kind, Kind::Output);
                    seen.push(payload);
                }
            }
            prop_assert_eq!(seen, payloads);
        }

        #[test]
        fn garbage_is_an_error_or_incomplete_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut decoder = Decoder::default();
            decoder.feed(&bytes);
            while let Ok(Some(_)) = decoder.next_frame() {}
        }
    }
}
