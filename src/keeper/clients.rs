//! Who is connected to the keeper: the daemon, and terminals.
//!
//! A terminal that reads too slowly is not waited for: its queue is dropped and it gets the current screen
//! once it has caught up.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use crate::api::wire::{self, Decoder, Kind, Request};
use crate::sys::poll::{self, Poller};

/// Most bytes a terminal may lag behind.
const LAG: usize = 512 << 10;
/// Most connections at once.
const MOST: usize = 64;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Has not said.
    Caller,
    /// Wants the events of the session.
    Subscriber,
    Terminal {
        read_only: bool,
        lagging: bool,
    },
}

pub struct Client {
    stream: UnixStream,
    decoder: Decoder,
    queue: VecDeque<(Kind, Vec<u8>)>,
    /// Bytes of the first frame that are sent.
    sent: usize,
    queued: usize,
    watched_for_write: bool,
    pub role: Role,
    /// Comes from another session: it may look.
    pub confined: bool,
}

/// What a connection brought.
pub enum Brought {
    Order(Request),
    Typed(Vec<u8>),
}

#[derive(Default)]
pub struct Clients {
    by_token: BTreeMap<u64, Client>,
}

impl Clients {
    /// Takes a connection in; `None` when there are too many or it cannot be watched.
    pub fn welcome(&mut self, stream: UnixStream, poller: &Poller) -> Option<u64> {
        let token = poll::token(&stream);
        if self.by_token.len() >= MOST || stream.set_nonblocking(true).is_err() {
            return None;
        }
        poller.add(&stream, token, poll::READ).ok()?;
        let client = Client {
            stream,
            decoder: Decoder::default(),
            queue: VecDeque::new(),
            sent: 0,
            queued: 0,
            watched_for_write: false,
            role: Role::Caller,
            confined: false,
        };
        self.by_token.insert(token, client);
        Some(token)
    }

    pub fn get_mut(&mut self, token: u64) -> Option<&mut Client> {
        self.by_token.get_mut(&token)
    }

    pub fn tokens(&self) -> Vec<u64> {
        self.by_token.keys().copied().collect()
    }

    pub fn part(&mut self, token: u64, poller: &Poller) -> Option<Role> {
        let client = self.by_token.remove(&token)?;
        // Closing the descriptor ends the watch anyway.
        let _ = poller.remove(&client.stream);
        Some(client.role)
    }

    pub fn terminals(&self) -> usize {
        self.by_token.values().filter(|c| matches!(c.role, Role::Terminal { .. })).count()
    }

    /// True when a terminal is there that answers for itself.
    pub fn any_typing(&self) -> bool {
        self.by_token.values().any(|c| matches!(c.role, Role::Terminal { read_only: false, .. }))
    }

    /// Sends a fact to every subscriber, and to terminals those that concern them.
    pub fn tell<T: serde::Serialize>(&mut self, fact: &T, terminals_too: bool, poller: &Poller) {
        let Ok(payload) = serde_json::to_vec(fact) else { return };
        self.each(poller, |client| match client.role {
            Role::Subscriber => Some((Kind::Json, payload.clone())),
            Role::Terminal { .. } if terminals_too => Some((Kind::Json, payload.clone())),
            Role::Terminal { .. } | Role::Caller => None,
        });
    }

    /// Output of the agent, to every terminal that keeps up.
    pub fn output(&mut self, bytes: &[u8], poller: &Poller) {
        self.each(poller, |client| match client.role {
            Role::Terminal { lagging: false, .. } => Some((Kind::Output, bytes.to_vec())),
            Role::Terminal { lagging: true, .. } | Role::Subscriber | Role::Caller => None,
        });
    }

    fn each(&mut self, poller: &Poller, mut payload: impl FnMut(&Client) -> Option<(Kind, Vec<u8>)>) {
        for (token, client) in &mut self.by_token {
            if let Some((kind, bytes)) = payload(client) {
                client.push(kind, &bytes);
                // A broken connection is noticed when it is read.
                let _ = client.flush(*token, poller);
            }
        }
    }

    /// One frame to one connection.
    pub fn send(&mut self, token: u64, kind: Kind, payload: &[u8], poller: &Poller) {
        if let Some(client) = self.by_token.get_mut(&token) {
            client.push(kind, payload);
            // As above.
            let _ = client.flush(token, poller);
        }
    }

    pub fn reply<T: serde::Serialize>(&mut self, token: u64, fact: &T, poller: &Poller) {
        if let Ok(payload) = serde_json::to_vec(fact) {
            self.send(token, Kind::Json, &payload, poller);
        }
    }

    /// Tries to get rid of every queue, waiting at most `patience` for each; at the end of a session.
    pub fn drain(&mut self, patience: std::time::Duration) {
        for client in self.by_token.values_mut() {
            // A client that does not read within that time misses the end.
            let _ = client.stream.set_nonblocking(false);
            let _ = client.stream.set_write_timeout(Some(patience));
            let _ = client.write_queue();
        }
    }
}

impl Client {
    fn push(&mut self, kind: Kind, payload: &[u8]) {
        let frame = wire::frame(kind, payload);
        if let Role::Terminal { read_only, .. } = self.role
            && self.queued + frame.len() > LAG
            && kind != Kind::Json
        {
            self.role = Role::Terminal { read_only, lagging: true };
            self.drop_pictures();
            return;
        }
        self.queued += frame.len();
        self.queue.push_back((kind, frame));
    }

    /// Forgets queued output, except what is half sent.
    fn drop_pictures(&mut self) {
        let mut first = true;
        let sent = self.sent;
        self.queue.retain(|(kind, _)| {
            let half_sent = std::mem::take(&mut first) && sent > 0;
            half_sent || *kind == Kind::Json
        });
        self.queued = self.queue.iter().map(|(_, f)| f.len()).sum();
    }

    /// Writes what the connection takes and watches it for more.
    pub fn flush(&mut self, token: u64, poller: &Poller) -> io::Result<()> {
        self.write_queue()?;
        // One that lags waits for room even with nothing in its queue: then it is due a whole screen.
        let lagging = matches!(self.role, Role::Terminal { lagging: true, .. });
        let waiting = lagging || !self.queue.is_empty();
        if waiting != self.watched_for_write {
            self.watched_for_write = waiting;
            poller.change(&self.stream, token, if waiting { poll::BOTH } else { poll::READ })?;
        }
        Ok(())
    }

    fn write_queue(&mut self) -> io::Result<()> {
        while let Some((_, frame)) = self.queue.front() {
            match poll::write(self.stream.as_fd(), &frame[self.sent..]) {
                Ok(n) => self.sent += n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(e),
            }
            if self.sent == frame.len() {
                self.queued -= frame.len();
                self.sent = 0;
                self.queue.pop_front();
            }
        }
        Ok(())
    }

    /// True when it lagged and has caught up: it is due a whole screen.
    pub fn has_caught_up(&mut self) -> bool {
        match self.role {
            Role::Terminal { read_only, lagging: true } if self.queue.is_empty() => {
                self.role = Role::Terminal { read_only, lagging: false };
                true
            }
            Role::Terminal { .. } | Role::Subscriber | Role::Caller => false,
        }
    }

    /// Reads what is there. `Err` says that the connection is over.
    pub fn read(&mut self) -> io::Result<Vec<Brought>> {
        let mut buffer = [0; 8192];
        match poll::read(self.stream.as_fd(), &mut buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => self.decoder.feed(&buffer[..n]),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(Vec::new()),
            Err(e) => return Err(e),
        }
        let mut out = Vec::new();
        while let Some((kind, payload)) = self.decoder.next_frame().map_err(io::Error::other)? {
            match kind {
                // An order of a later version: not understood, not done.
                Kind::Json => out.extend(serde_json::from_slice(&payload).ok().map(Brought::Order)),
                Kind::Input => out.push(Brought::Typed(payload)),
                Kind::Output | Kind::Screen => {}
            }
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_that_lost_its_whole_queue_is_told_when_there_is_room_again() {
        let poller = Poller::new().unwrap();
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let mut clients = Clients::default();
        let token = clients.welcome(ours, &poller).unwrap();
        clients.get_mut(token).unwrap().role = Role::Terminal { read_only: false, lagging: false };
        clients.output(&vec![b'x'; LAG + 1], &poller);
        let mut events = Vec::new();
        poller.wait(&mut events, Some(std::time::Duration::from_secs(5))).unwrap();
        assert!(events.iter().any(|e| e.token == token && e.writable));
        assert!(clients.get_mut(token).unwrap().has_caught_up());
    }
}
