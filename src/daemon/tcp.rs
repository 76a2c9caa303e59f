//! HTTP over TCP, where `server.listen` asks for it: who is let in before a request is looked at.
//!
//! ```text
//!   connection ──► few at once, fewer from one address ──► head in time ──► Host? Origin? token? ──► the same routes
//! ```
//!
//! A browser on this machine can be made to send requests here by any page. Such a request has an `Origin` that is not
//! this server, or, when a name was pointed at this machine meanwhile (DNS rebinding), a `Host` that is no address; and it
//! never has the token. Whoever has the token may do what the user of this daemon may.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, HOST, HeaderName, ORIGIN, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Response};
use axum::middleware::{Next, from_fn};
use tokio::net::{TcpListener, TcpStream};
use tracing::{info, warn};

use super::authority::Caller;
use super::connections::{self, Patience, Stay, TAKEN, Who};
use super::handle::Handle;
use super::server::{self, hang_up};
use crate::api::refusal::{Code, Refusal};
use crate::config::{Server, Token};
use crate::model::text::printable_within;
use crate::sys::{failpoint, host, socket};

/// Connections at once. The daemon's descriptors are for keepers.
const MOST: usize = 128;
/// Of one address.
const OF_ONE: usize = 32;
/// How long a connection may take for the head of a request, and wait before its next one.
const HEAD: Duration = Duration::from_secs(10);
/// After this long without a word the kernel asks whether somebody is still there.
const AWAY: Duration = Duration::from_secs(30);
/// Lines about refusals within [`SPAN`]; the rest is counted.
const LINES: u32 = 20;
const SPAN: Duration = Duration::from_secs(60);

/// Listens and serves for as long as the daemon does. A port that cannot be had is said and leaves the rest as it is: the
/// sessions of this machine come first.
pub(super) async fn serve((settings, port): (Server, Port), handle: Handle) {
    let (Some(at), Some(token)) = (settings.listen, settings.token) else { return };
    let listener = match TcpListener::bind(at).await {
        Ok(listener) => listener,
        Err(error) => {
            let why = format!("failed to listen on {at} (server.listen): {error}");
            warn!("{why}");
            return port.tell(why);
        }
    };
    let at = listener.local_addr().unwrap_or(at);
    info!("listening on {at}");
    port.tell(at.to_string());
    let gate = Arc::new(Gate { token, names: host::names(), crowd: Crowd::default(), noise: Mutex::default() });
    let handle = handle.of(Caller::Bearer);
    loop {
        match listener.accept().await {
            Ok((stream, from)) => gate.welcome(stream, from, &handle),
            // Out of descriptors, mostly: others end before long.
            Err(error) => {
                gate.refused(&format!("failed to accept a connection: {error}"));
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// What became of the port that was asked for.
#[derive(Debug, Clone, Default)]
pub struct Port(Arc<Mutex<Option<String>>>);

impl Port {
    fn tell(&self, what: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(what);
    }

    pub(super) fn get(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

struct Gate {
    token: Token,
    /// What this machine is called.
    names: Vec<String>,
    crowd: Crowd,
    noise: Mutex<Noise>,
}

impl Gate {
    fn welcome(self: &Arc<Self>, stream: TcpStream, from: SocketAddr, handle: &Handle) {
        let Some(guest) = self.crowd.welcome(from.ip()) else {
            return self.refused(&format!("refused connection from {from}: too many"));
        };
        // What cannot be set only makes the end of the other side be seen later.
        let _ = socket::watch_peer(&stream, AWAY);
        let gate = Arc::clone(self);
        let check = from_fn(move |request: Request, next: Next| {
            let gate = Arc::clone(&gate);
            async move {
                match gate.judge(&request) {
                    Ok(()) => next.run(request).await,
                    Err(refusal) => gate.turn_away(from, refusal),
                }
            }
        });
        let who = Who { handle: handle.clone(), peer: server::Peer::Address(from), stay: Stay::of(guest) };
        let router = server::routes().layer(check);
        let patience = Patience { head: HEAD, taken: failpoint::shortened(TAKEN) };
        tokio::spawn(connections::serve(stream, router, patience, move |request| who.mark(request)));
    }

    fn turn_away(&self, from: SocketAddr, refusal: Refusal) -> Response<Body> {
        self.refused(&format!("refused request from {from}: {refusal}"));
        let is_stranger = refusal.code == Code::Unauthorized;
        let mut response = hang_up(refusal);
        if is_stranger {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }

    fn judge(&self, request: &Request) -> Result<(), Refusal> {
        let forbidden = |why: String| Err(Refusal::new(Code::Forbidden, why));
        let host = only(request, &HOST).unwrap_or_default();
        if !self.is_ours(host) {
            let host = printable_within(host, 100);
            return forbidden(format!("{host:?} is not how this server is called: use its address"));
        }
        if request.headers().contains_key(ORIGIN)
            && only(request, &ORIGIN).and_then(|origin| origin.strip_prefix("http://")) != Some(host)
        {
            return forbidden("a page of another origin may not ask here".into());
        }
        let shown = only(request, &AUTHORIZATION).and_then(bearer).unwrap_or_default();
        if is_same(shown.as_bytes(), self.token.as_str().as_bytes()) {
            return Ok(());
        }
        let how = "the token is missing or wrong: send `Authorization: Bearer TOKEN` with `server.token` of the config there (beadle takes it from BEADLE_TOKEN)";
        Err(Refusal::new(Code::Unauthorized, how))
    }

    /// An address, or a name only this machine gives itself: no other name server can claim it for somebody else.
    fn is_ours(&self, host: &str) -> bool {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => name,
            _ => host,
        };
        let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        match bare {
            Some(six) => six.parse::<std::net::Ipv6Addr>().is_ok(),
            None => {
                name.parse::<std::net::Ipv4Addr>().is_ok()
                    || name.eq_ignore_ascii_case("localhost")
                    || self.names.iter().any(|own| own.eq_ignore_ascii_case(name))
            }
        }
    }

    /// Says it, unless much was said lately: who asks without end fills no disk.
    fn refused(&self, what: &str) {
        let mut noise = self.noise.lock().unwrap_or_else(PoisonError::into_inner);
        match noise.take(Instant::now()) {
            Say::Yes { unsaid: 0 } => info!("{what}"),
            Say::Yes { unsaid } => info!("{what} (and {unsaid} like it, not noted)"),
            Say::No => {}
        }
    }
}

/// The value of a header that is there once and is text.
fn only<'a>(request: &'a Request, name: &HeaderName) -> Option<&'a str> {
    let mut all = request.headers().get_all(name).iter();
    let first = all.next()?.to_str().ok()?;
    all.next().is_none().then_some(first)
}

/// RFC 6750; the word is written in any case (RFC 9110, 11.1).
fn bearer(text: &str) -> Option<&str> {
    let (scheme, token) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Takes as long for a wrong value as for the right one, whatever they have in common.
fn is_same(shown: &[u8], token: &[u8]) -> bool {
    let mut differs = shown.len() ^ token.len();
    for (at, byte) in token.iter().enumerate() {
        differs |= usize::from(byte ^ shown.get(at).copied().unwrap_or(0));
    }
    std::hint::black_box(differs) == 0
}

/// Who is connected, by address.
#[derive(Debug, Clone, Default)]
struct Crowd(Arc<Mutex<HashMap<IpAddr, usize>>>);

impl Crowd {
    /// Counts a connection until the guard is dropped; `None` when there are too many.
    fn welcome(&self, from: IpAddr) -> Option<Guest> {
        let mut crowd = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = crowd.values().sum();
        let of_one = crowd.get(&from).copied().unwrap_or(0);
        if all >= MOST || of_one >= OF_ONE {
            return None;
        }
        crowd.insert(from, of_one + 1);
        Some(Guest { crowd: self.clone(), from })
    }
}

struct Guest {
    crowd: Crowd,
    from: IpAddr,
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut crowd = self.crowd.0.lock().unwrap_or_else(PoisonError::into_inner);
        match crowd.get(&self.from).copied() {
            Some(count @ 2..) => drop(crowd.insert(self.from, count - 1)),
            _ => drop(crowd.remove(&self.from)),
        }
    }
}

/// How much was said lately.
#[derive(Debug, Default)]
struct Noise {
    since: Option<Instant>,
    said: u32,
    unsaid: u32,
}

#[derive(Debug, PartialEq, Eq)]
enum Say {
    Yes { unsaid: u32 },
    No,
}

impl Noise {
    fn take(&mut self, now: Instant) -> Say {
        if self.since.is_none_or(|since| now.duration_since(since) >= SPAN) {
            *self = Self { since: Some(now), said: 0, unsaid: self.unsaid };
        }
        if self.said >= LINES {
            self.unsaid = self.unsaid.saturating_add(1);
            return Say::No;
        }
        self.said += 1;
        Say::Yes { unsaid: std::mem::take(&mut self.unsaid) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    fn gate() -> Gate {
        let text = format!("[server]\nlisten = \"127.0.0.1:1\"\ntoken = \"{TOKEN}\"\n");
        let token = config::parse(&text, &[]).unwrap().server.token.unwrap();
        Gate { token, names: vec!["tower".into()], crowd: Crowd::default(), noise: Mutex::default() }
    }

    fn judged(headers: &[(&str, &str)]) -> Result<(), Code> {
        let mut request = axum::http::Request::builder().uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        gate().judge(&request.body(Body::empty()).unwrap()).map_err(|refusal| refusal.code)
    }

    #[test]
    fn only_the_whole_token_is_the_token() {
        let right = format!("Bearer {TOKEN}");
        assert_eq!(judged(&[("host", "127.0.0.1:1"), ("authorization", &right)]), Ok(()));
        assert_eq!(judged(&[("host", "127.0.0.1:1"), ("authorization", &right.replace("Bearer", "bearer"))]), Ok(()));
        let (longer, shorter, other) = (format!("{right}0"), &right[..right.len() - 1], right.replace('f', "e"));
        for wrong in [longer.as_str(), shorter, &other, "", "Bearer", "Bearer ", TOKEN, &format!("Basic {TOKEN}")] {
            let said = judged(&[("host", "127.0.0.1:1"), ("authorization", wrong)]);
            assert_eq!(said, Err(Code::Unauthorized), "{wrong:?}");
        }
        assert_eq!(judged(&[("host", "127.0.0.1:1")]), Err(Code::Unauthorized));
        let twice = [("host", "127.0.0.1:1"), ("authorization", &right), ("authorization", &right)];
        assert_eq!(judged(&twice), Err(Code::Unauthorized));
    }

    #[test]
    fn a_name_somebody_else_could_have_given_is_not_ours_even_with_the_token() {
        let token = format!("Bearer {TOKEN}");
        let host = |host| judged(&[("host", host), ("authorization", &token)]);
        for ours in ["127.0.0.1", "127.0.0.1:7717", "[::1]:7717", "[::1]", "localhost:1", "LocalHost", "tower:7717"] {
            assert_eq!(host(ours), Ok(()), "{ours}");
        }
        for foreign in
            ["evil.example", "evil.example:7717", "127.0.0.1.evil.example:1", "tower.evil.example", "", "::1"]
        {
            assert_eq!(host(foreign), Err(Code::Forbidden), "{foreign:?}");
        }
        assert_eq!(judged(&[("authorization", &token)]), Err(Code::Forbidden));
        assert_eq!(judged(&[("host", "a"), ("host", "127.0.0.1"), ("authorization", &token)]), Err(Code::Forbidden));
    }

    #[test]
    fn a_page_of_another_origin_is_refused_even_with_the_token() {
        let token = format!("Bearer {TOKEN}");
        let origin = |origin| judged(&[("host", "127.0.0.1:7717"), ("origin", origin), ("authorization", &token)]);
        assert_eq!(origin("http://127.0.0.1:7717"), Ok(()));
        for foreign in ["http://evil.example", "null", "https://127.0.0.1:7717", "http://127.0.0.1:8000", ""] {
            assert_eq!(origin(foreign), Err(Code::Forbidden), "{foreign:?}");
        }
    }

    #[test]
    fn one_address_does_not_take_every_place_and_places_are_given_back() {
        let crowd = Crowd::default();
        let at = |n: u8| IpAddr::from([10, 0, 0, n]);
        let mut guests: Vec<Guest> = (0..OF_ONE).map(|_| crowd.welcome(at(1)).unwrap()).collect();
        assert!(crowd.welcome(at(1)).is_none());
        guests.extend((OF_ONE..MOST).map(|n| crowd.welcome(at(u8::try_from(n).unwrap())).unwrap()));
        assert!(crowd.welcome(at(250)).is_none());
        guests.pop();
        assert!(crowd.welcome(at(250)).is_some());
        drop(guests);
        assert!(crowd.0.lock().unwrap().is_empty());
    }

    #[test]
    fn refusals_without_end_are_counted_and_not_written_down() {
        let (mut noise, start) = (Noise::default(), Instant::now());
        assert!((0..LINES).all(|_| noise.take(start) == Say::Yes { unsaid: 0 }));
        assert!((0..7).all(|_| noise.take(start) == Say::No));
        assert_eq!(noise.take(start + SPAN), Say::Yes { unsaid: 7 });
    }
}
