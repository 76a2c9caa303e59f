//! Connections: who may, how many, and for how long one may say nothing.

use std::any::Any;
use std::collections::HashMap;
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::Extensions;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::sync::watch;
use tracing::{info, warn};

use super::authority::Caller;
use super::handle::Handle;
use super::hooks::Leashes;
use super::server;
use super::taken::{AtLeisure, Taken};
use crate::sys::{failpoint, socket, spawn};

/// How long a connection may take for the head of a request, and wait before its next one.
const HEAD: Duration = Duration::from_secs(30);
/// How long a client may take nothing of what is written to it.
pub(super) const TAKEN: Duration = Duration::from_secs(30);
/// Connections of one process. Each costs a descriptor, and those of the daemon are for keepers.
const OF_ONE: usize = 200;

/// Who is connected: pids by connection.
#[derive(Debug, Clone, Default)]
pub struct Peers {
    next: Arc<AtomicU64>,
    connected: Arc<Mutex<HashMap<u64, i32>>>,
    /// Below which hooks are.
    pub leashes: Leashes,
}

impl Peers {
    /// Notes a connection until the guard is dropped.
    pub fn welcome(&self, pid: i32) -> Guest {
        let key = self.next.fetch_add(1, Ordering::Relaxed);
        self.connected.lock().unwrap_or_else(PoisonError::into_inner).insert(key, pid);
        Guest { peers: self.clone(), key }
    }

    /// How many connections a process has.
    fn of(&self, pid: i32) -> usize {
        self.connected.lock().unwrap_or_else(PoisonError::into_inner).values().filter(|p| **p == pid).count()
    }

    pub fn pids(&self) -> Vec<i32> {
        self.connected.lock().unwrap_or_else(PoisonError::into_inner).values().copied().collect()
    }
}

#[derive(Debug)]
pub struct Guest {
    peers: Peers,
    key: u64,
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.peers.connected.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

/// Accepts connections of this user, on whatever listener is the present one.
pub async fn accept(mut listeners: watch::Receiver<Arc<UnixListener>>, handle: Handle, peers: Peers) {
    loop {
        let std_listener = listeners.borrow_and_update().clone();
        let listener = std_listener.try_clone().and_then(|l| {
            l.set_nonblocking(true)?;
            tokio::net::UnixListener::from_std(l)
        });
        let Ok(listener) = listener else {
            warn!("failed to listen");
            return;
        };
        loop {
            tokio::select! {
                changed = listeners.changed() => match changed {
                    Ok(()) => break,
                    Err(_) => return,
                },
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => welcome(stream, handle.clone(), &peers),
                    // Out of descriptors, mostly: others end before long.
                    Err(error) => {
                        warn!(%error, "failed to accept a connection");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                },
            }
        }
    }
}

fn welcome(stream: UnixStream, handle: Handle, peers: &Peers) {
    let own = spawn::own_uid();
    let Ok((pid, uid)) = socket::peer(&stream) else { return };
    if uid != own && uid != 0 {
        info!("refused connection uid={uid} pid={pid}: another user");
        return;
    }
    if peers.of(pid) >= OF_ONE {
        info!("refused connection pid={pid}: it has {OF_ONE} already");
        return;
    }
    let (guest, leashes) = (peers.welcome(pid), peers.leashes.clone());
    // Now: it may have gone by the time it is read.
    let peer = socket::peer_identity(&stream);
    tokio::spawn(async move {
        let who = Who {
            handle: handle.of(Caller::of(peer, &leashes).await),
            peer: server::Peer::Process { pid, uid },
            stay: Stay::of(guest),
        };
        let patience = Patience { head: HEAD, taken: failpoint::shortened(TAKEN) };
        serve(stream, server::routes(), patience, move |request| who.mark(request)).await;
    });
}

/// Keeps a connection counted, also once it has become something else than HTTP.
#[derive(Clone)]
pub struct Stay(#[expect(dead_code, reason = "held, never looked at")] Arc<dyn Any + Send + Sync>);

impl Stay {
    pub fn of(guest: impl Any + Send + Sync) -> Self {
        Self(Arc::new(guest))
    }
}

/// Who is at the other end.
pub struct Who {
    pub handle: Handle,
    pub peer: server::Peer,
    pub stay: Stay,
}

impl Who {
    /// Goes with a request to whoever answers it.
    pub fn mark(&self, request: &mut Extensions) {
        request.insert(self.handle.clone());
        request.insert(self.peer);
        request.insert(self.stay.clone());
    }
}

/// For how long the other end is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Until the head of a request is there.
    pub head: Duration,
    /// While it takes nothing of its answer.
    pub taken: Duration,
}

/// Serves one connection to its end; every request of it is marked.
pub async fn serve<S>(
    stream: S,
    router: axum::Router,
    patience: Patience,
    mark: impl Fn(&mut Extensions) + Send + 'static,
) where
    S: AsyncRead + AsyncWrite + AsFd + Send + Unpin + 'static,
{
    let at_leisure = AtLeisure::default();
    let stream = Taken::new(stream, patience.taken, at_leisure.clone());
    let routed = hyper_util::service::TowerToHyperService::new(router);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        mark(request.extensions_mut());
        request.extensions_mut().insert(at_leisure.clone());
        routed.call(request)
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(patience.head);
    // A client that goes away in the middle is its own affair.
    let _ = http.serve_connection(TokioIo::new(stream), service).with_upgrades().await;
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// Serves one connection with little patience; what a client sees of it.
    fn impatient() -> UnixStream {
        let (client, ours) = UnixStream::pair().unwrap();
        let router = axum::Router::new().route("/", axum::routing::get(async || "here"));
        let patience = Patience { head: Duration::from_millis(50), taken: TAKEN };
        tokio::spawn(serve(ours, router, patience, |_| {}));
        client
    }

    #[tokio::test]
    async fn who_says_nothing_or_half_a_head_is_hung_up_on() {
        for said in ["", "GET / HTTP/1.1\r\nhost"] {
            let mut client = impatient();
            client.write_all(said.as_bytes()).await.unwrap();
            let mut rest = Vec::new();
            client.read_to_end(&mut rest).await.unwrap();
        }
    }

    #[tokio::test]
    async fn who_was_answered_and_says_no_more_is_hung_up_on() {
        let mut client = impatient();
        client.write_all(b"GET / HTTP/1.1\r\nhost: b\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("here"), "{answer}");
    }

    #[test]
    fn connections_are_counted_by_process_until_they_end() {
        let peers = Peers::default();
        let (one, two, other) = (peers.welcome(7), peers.welcome(7), peers.welcome(8));
        assert_eq!((peers.of(7), peers.of(8), peers.of(9)), (2, 1, 0));
        drop((one, two, other));
        assert_eq!((peers.of(7), peers.pids()), (0, vec![]));
    }
}
