//! The daemon's end of a keeper's connection.
//!
//! Orders are small and written at once from wherever they come; facts are read by one task and become inputs of the
//! supervisor. A keeper whose buffer is full does not answer: the order is refused, nobody waits.

use std::collections::HashMap;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;
use tokio::sync::oneshot;

use crate::api::wire::{self, Decoder, Fact, Request, ScreenFact, ToCome};
use crate::model::session::{Cause, Exit, ProcId};
use crate::sys::pulse::Pulse;
use crate::sys::{fds, poll, socket};

#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    #[error("failed to reach the keeper: {0}")]
    Io(#[from] io::Error),
    #[error("the keeper speaks protocol {0}, this daemon {ours}", ours = wire::PROTOCOL)]
    Version(u32),
    #[error("what listens there is not the keeper of this session")]
    Stranger,
}

/// What a keeper said first.
#[derive(Debug, Clone)]
pub struct Hello {
    pub id: String,
    pub keeper: ProcId,
    pub leader: Option<ProcId>,
    pub exit: Option<Exit>,
    pub attached: u32,
    pub started_at: String,
    pub started_monotonic_seconds: f64,
    pub closing: Option<Cause>,
    pub again: Option<Box<ToCome>>,
}

/// A connection after its first words.
#[derive(Debug)]
pub struct Shaken {
    pub stream: UnixStream,
    pub decoder: Decoder,
    pub hello: Hello,
    pub pulse: Pulse,
}

/// Reads the hello and the pulse; blocks at most `patience`.
pub fn shake(stream: UnixStream, patience: Duration) -> Result<Shaken, LinkError> {
    let end = Instant::now() + patience;
    let mut decoder = Decoder::default();
    let mut buffer = vec![0; 8192];
    let mut page = None;
    loop {
        let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        stream.set_read_timeout(Some(left))?;
        let (n, fd) = fds::receive_with_fd(stream.as_fd(), &mut buffer)?;
        page = page.or(fd);
        if n == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        decoder.feed(&buffer[..n]);
        let Some((_, payload)) = decoder.next_frame().map_err(io::Error::other)? else { continue };
        let hello = understood(&payload)?;
        let page = page.ok_or(LinkError::Stranger)?;
        return Ok(Shaken { stream, decoder, hello, pulse: Pulse::open(page)? });
    }
}

fn understood(payload: &[u8]) -> Result<Hello, LinkError> {
    match serde_json::from_slice(payload) {
        Ok(Fact::Hello { protocol, .. }) if protocol != wire::PROTOCOL => Err(LinkError::Version(protocol)),
        Ok(Fact::Hello {
            id,
            keeper,
            leader,
            exit,
            attached,
            started_at,
            started_monotonic_seconds,
            closing,
            again,
            ..
        }) => Ok(Hello { id, keeper, leader, exit, attached, started_at, started_monotonic_seconds, closing, again }),
        Ok(_) | Err(_) => Err(LinkError::Stranger),
    }
}

/// Connects to a keeper that is already there.
pub fn call(path: &Path, patience: Duration) -> Result<Shaken, LinkError> {
    let stream = socket::connect(path)?;
    shake(stream, patience)
}

impl Shaken {
    /// The next fact after the hello; blocks at most `patience`.
    pub fn next_fact(&mut self, patience: Duration) -> Result<Fact, LinkError> {
        let end = Instant::now() + patience;
        let mut buffer = [0; 4096];
        loop {
            if let Some((_, payload)) = self.decoder.next_frame().map_err(io::Error::other)? {
                return serde_json::from_slice(&payload).map_err(|e| io::Error::other(e).into());
            }
            let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            self.stream.set_read_timeout(Some(left))?;
            let n = poll::read(&self.stream, &mut buffer)?;
            if n == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            self.decoder.feed(&buffer[..n]);
        }
    }
}

/// An answer to a numbered order.
#[derive(Debug)]
pub struct Answer {
    pub ok: bool,
    pub message: String,
    pub screen: Option<ScreenFact>,
}

type Pending = Arc<Mutex<HashMap<u64, oneshot::Sender<Answer>>>>;

/// Orders to one keeper. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Link {
    stream: Arc<UnixStream>,
    pending: Pending,
    next: Arc<AtomicU64>,
}

/// What the reading task delivers.
#[derive(Debug)]
pub enum Delivered {
    Fact(Box<Fact>),
    Lost,
}

impl Link {
    /// Subscribes and starts reading; every fact goes to `deliver`.
    pub fn open(
        shaken: Shaken,
        deliver: impl Fn(Delivered) + Send + Sync + 'static,
    ) -> io::Result<(Self, Hello, Pulse)> {
        let Shaken { stream, mut decoder, hello, pulse } = shaken;
        stream.set_nonblocking(true)?;
        let reading = tokio::net::UnixStream::from_std(stream.try_clone()?)?;
        let link = Self { stream: Arc::new(stream), pending: Pending::default(), next: Arc::default() };
        link.order(&Request::Subscribe)?;
        let pending = Arc::clone(&link.pending);
        tokio::spawn(async move {
            read_on(reading, &mut decoder, &pending, &deliver).await;
            lock(&pending).clear();
            deliver(Delivered::Lost);
        });
        Ok((link, hello, pulse))
    }

    /// Sends an order that is not answered.
    pub fn order(&self, request: &Request) -> io::Result<()> {
        (&*self.stream).write_all(&wire::json_frame(request)).inspect_err(|_| {
            // Half a frame may stand there: nothing behind it would be understood. The reader sees the end, and the keeper is
            // called again.
            let _ = self.stream.shutdown(std::net::Shutdown::Both);
        })
    }

    /// Sends a numbered order; the answer comes through the receiver, or never if the keeper goes.
    pub fn ask(&self, request: impl FnOnce(u64) -> Request) -> io::Result<oneshot::Receiver<Answer>> {
        let seq = self.next.fetch_add(1, Ordering::Relaxed);
        let (send, receive) = oneshot::channel();
        lock(&self.pending).insert(seq, send);
        self.order(&request(seq)).inspect_err(|_| drop(lock(&self.pending).remove(&seq)))?;
        Ok(receive)
    }
}

fn lock(pending: &Pending) -> std::sync::MutexGuard<'_, HashMap<u64, oneshot::Sender<Answer>>> {
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn read_on(
    mut stream: tokio::net::UnixStream,
    decoder: &mut Decoder,
    pending: &Pending,
    deliver: &(impl Fn(Delivered) + Send + Sync),
) {
    let mut buffer = vec![0; 4096];
    loop {
        loop {
            match decoder.next_frame() {
                Ok(Some((_, payload))) => hand_out(&payload, pending, deliver),
                Ok(None) => break,
                Err(_) => return,
            }
        }
        match stream.read(&mut buffer).await {
            Ok(n) if n > 0 => decoder.feed(&buffer[..n]),
            Ok(_) | Err(_) => return,
        }
    }
}

fn hand_out(payload: &[u8], pending: &Pending, deliver: &(impl Fn(Delivered) + Send + Sync)) {
    match serde_json::from_slice(payload) {
        Ok(Fact::Reply { seq, ok, message, screen }) => {
            if let Some(waiting) = lock(pending).remove(&seq) {
                // Nobody waits any more: fine.
                let _ = waiting.send(Answer { ok, message, screen });
            }
        }
        Ok(fact) => deliver(Delivered::Fact(Box::new(fact))),
        // A fact of a later version.
        Err(_) => {}
    }
}
