//! The loop of a keeper.
//!
//! ```text
//!   born ──spec──► holding ──leader ends──► lingering ──ECHILD──► storing ──► end
//!                     ▲                        │
//!                     └─ restart ([`again`]) ◄─┘ ECHILD
//! ```

mod again;

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::time::Duration;

use self::again::Again;
use super::activity::Activity;
use super::agent::{Agent, Newborn, StartError};
use super::clients::{Brought, Clients, Role};
use super::recorder::Recorder;
use super::screen::{Screen, with_returns};
use crate::api::kept::{Dir, Identity, Spec};
use crate::api::wire::{self, Decoder, Fact, Kind, Request};
use crate::model::authority;
use crate::model::session::{Cause, Exit, ExitBy, ProcId};
use crate::sys::poll::{self, Event, Heard, Poller, Reap, Reaped, Signals};
use crate::sys::pulse::{Beat, Pulse};
use crate::sys::{clock, dirs, failpoint, fds, host, kin, process, socket, spawn};

const SIGNALS: u64 = u64::MAX - 1;
const LISTENER: u64 = u64::MAX - 2;
/// Bytes of output handled at once: as much as a terminal gives in one read (Linux, about 4 KiB), and many of those when
/// there is more.
const SIP: usize = 4 << 10;
const BATCH: usize = 64 << 10;
/// Output still read after the leader has ended.
const LAST_OUTPUT: usize = 4 << 20;
/// How long the command lines above a caller are asked for.
const KIN: Duration = Duration::from_millis(200);

#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    #[error("failed to set up the keeper: {0}")]
    Setup(#[from] io::Error),
    #[error("the birth connection brought no specification")]
    NoSpec,
    #[error(transparent)]
    Start(#[from] StartError),
}

/// The whole life of a keeper.
pub fn run(birth: UnixStream) -> Result<(), HoldError> {
    spawn::become_keeper()?;
    spawn::stay_small();
    host::call_oneself("beadle");
    let signals = Signals::new()?;
    let spec = read_spec(&birth)?;
    std::env::set_current_dir("/")?;
    let mut keeper = Keeper::new(spec, signals)?;
    keeper.greet(&birth)?;
    match keeper.start(Some(&birth)) {
        Ok(leader) => {
            keeper.record_size();
            if let Some(token) = keeper.clients.welcome(birth, &keeper.poller) {
                keeper.clients.reply(token, &Fact::Started { leader }, &keeper.poller);
            }
            keeper.hold()
        }
        Err(error) => {
            // Who cannot hear it reads it; on a full disk it looks like a run nobody saw the end of.
            let _ = keeper.dir.take_back(keeper.own);
            let fact = Fact::NotStarted { message: error.to_string() };
            // If nobody hears it, nobody waits for it.
            let _ = poll::write(birth.as_fd(), &wire::json_frame(&fact));
            keeper.leave_no_socket();
            Err(error.into())
        }
    }
}

fn read_spec(mut birth: &UnixStream) -> Result<Spec, HoldError> {
    let mut decoder = Decoder::default();
    let mut buffer = [0; 8192];
    loop {
        let n = birth.read(&mut buffer)?;
        if n == 0 {
            return Err(HoldError::NoSpec);
        }
        decoder.feed(&buffer[..n]);
        if let Some((_, payload)) = decoder.next_frame().map_err(|_| HoldError::NoSpec)? {
            return serde_json::from_slice(&payload).map_err(|_| HoldError::NoSpec);
        }
    }
}

struct Keeper {
    spec: Spec,
    dir: Dir,
    /// Held open: who looks for this instance's keepers finds them by it.
    _state: File,
    poller: Poller,
    signals: Signals,
    listener: UnixListener,
    own: ProcId,
    pulse: Arc<Pulse>,
    recorder: Recorder,
    screen: Screen,
    activity: Activity,
    clients: Clients,
    agent: Option<Agent>,
    leader_lives: bool,
    born: Duration,
    started_at: String,
    cause: Option<Cause>,
    exit: Option<Exit>,
    stored: bool,
    empty: bool,
    /// Callers from other sessions are obeyed too.
    everybody: bool,
    again: Again,
    buffer: Vec<u8>,
}

impl Keeper {
    fn new(spec: Spec, signals: Signals) -> Result<Self, HoldError> {
        let dir = Dir::new(&spec.dir);
        let state = File::open(&spec.dir)?;
        let listener = bind(&spec)?;
        let poller = Poller::new()?;
        poller.add(&signals, SIGNALS, poll::READ)?;
        poller.add(&listener, LISTENER, poll::READ)?;
        let pulse = Arc::new(Pulse::create()?);
        let (cols, rows) = spec.session.size;
        Ok(Self {
            recorder: Recorder::new(dir.clone(), spec.record_bytes, Arc::clone(&pulse)),
            screen: Screen::new(cols, rows),
            activity: Activity::new(&spec.spinners),
            dir,
            _state: state,
            poller,
            signals,
            listener,
            own: process::own_identity()?,
            pulse,
            clients: Clients::default(),
            agent: None,
            leader_lives: false,
            born: clock::monotonic(),
            started_at: clock::wall(),
            cause: None,
            exit: None,
            stored: false,
            empty: false,
            everybody: false,
            again: Again::default(),
            buffer: Vec::new(),
            spec,
        })
    }

    fn hello(&self) -> Fact {
        Fact::Hello {
            protocol: wire::PROTOCOL,
            version: env!("CARGO_PKG_VERSION").into(),
            id: self.spec.session.id.clone(),
            keeper: self.own,
            leader: self.agent.as_ref().filter(|_| self.leader_lives).map(|a| a.leader),
            exit: self.exit.clone(),
            attached: u32::try_from(self.clients.terminals()).unwrap_or(u32::MAX),
            size: self.screen.size(),
            started_at: self.started_at.clone(),
            started_monotonic_seconds: self.born.as_secs_f64(),
            closing: self.cause.clone(),
            again: self.to_come().map(Box::new),
        }
    }

    /// The first words on a connection, with the pulse along.
    fn greet(&self, stream: &UnixStream) -> io::Result<()> {
        fds::send_with_fd(stream.as_fd(), &wire::json_frame(&self.hello()), self.pulse.as_fd())?;
        Ok(())
    }

    /// Names a held child, then releases it. Abandoned when who asked for the session has gone meanwhile.
    fn start(&mut self, asker: Option<&UnixStream>) -> Result<ProcId, StartError> {
        let newborn = Newborn::hold(&self.spec, self.screen.size())?;
        let leader = newborn.leader();
        let identity = Identity {
            session: self.spec.session.clone(),
            boot_id: clock::boot_id(),
            keeper: self.own,
            leader,
            socket: self.spec.socket.clone(),
            started_at: self.started_at.clone(),
            started_monotonic_seconds: self.born.as_secs_f64(),
        };
        failpoint::here("keeper.identity.before");
        self.dir.write_identity(&identity).map_err(StartError::Identity)?;
        failpoint::here("keeper.identity.after");
        if asker.is_some_and(|s| poll::readable(&[s.as_fd()], Duration::ZERO).is_ok_and(|r| r == [true])) {
            return Err(StartError::Abandoned);
        }
        newborn.watch(&self.poller).map_err(StartError::Terminal)?;
        failpoint::here("keeper.release.before");
        self.agent = Some(newborn.release()?);
        failpoint::here("keeper.release.after");
        self.leader_lives = true;
        self.again.run_began = clock::monotonic();
        Ok(leader)
    }

    /// The size of the screen stands at the beginning of the recording.
    fn record_size(&mut self) {
        let (cols, rows) = self.screen.size();
        self.recorder.size(0, cols, rows);
    }

    fn hold(&mut self) -> Result<(), HoldError> {
        let mut events = Vec::new();
        let mut patience = Duration::from_millis(100);
        loop {
            let storing = (self.exit.is_some() && !self.stored).then_some(patience);
            self.poller.wait(&mut events, self.timeout(storing))?;
            for event in &events {
                self.on_event(*event);
            }
            self.pump(BATCH);
            self.activity.look(&mut self.screen, &self.pulse, clock::monotonic());
            if self.exit.is_some() && !self.stored {
                self.store();
                patience = (patience * 2).min(Duration::from_secs(5));
            }
            self.start_called();
            self.start_coming();
            if self.empty && self.stored && !self.stays() {
                break;
            }
        }
        self.recorder.finish();
        self.clients.tell(&Fact::Empty, true, &self.poller);
        self.leave_no_socket();
        self.clients.drain(Duration::from_millis(500));
        Ok(())
    }

    /// How long nothing has to be done: without end while nothing happens.
    fn timeout(&self, storing: Option<Duration>) -> Option<Duration> {
        if self.agent.as_ref().is_some_and(|a| a.pending) {
            return Some(Duration::ZERO);
        }
        let look = self.activity.due().map(|due| due.saturating_sub(clock::monotonic()));
        storing.into_iter().chain(look).chain(self.until_coming()).min()
    }

    fn on_event(&mut self, event: Event) {
        match event.token {
            SIGNALS => self.on_signals(),
            LISTENER => self.on_connection(),
            Agent::OUTPUT | Agent::INPUT => {
                // A reader that has gone is noticed by writing to it.
                let write = event.writable || (event.hangup && event.token == Agent::INPUT);
                if let Some(agent) = self.agent.as_mut().filter(|_| write) {
                    agent.write_typed(&self.poller);
                }
            }
            token => self.on_client(token, event),
        }
    }

    fn on_signals(&mut self) {
        while let Some(heard) = self.signals.next_signal() {
            match heard {
                Heard::Child => self.reap(),
                Heard::Wake => self.rebind(),
                Heard::Other => {}
            }
        }
    }

    fn reap(&mut self) {
        loop {
            match poll::reap() {
                Reap::One(one) if self.leader_lives && self.agent.as_ref().is_some_and(|a| a.leader.pid == one.pid) => {
                    self.on_leader_end(one);
                }
                Reap::One(_) => {}
                Reap::Nothing => return,
                Reap::NoChildren => return self.on_empty(),
            }
        }
    }

    fn on_leader_end(&mut self, end: Reaped) {
        self.leader_lives = false;
        self.pump(LAST_OUTPUT);
        let exit =
            |Cause { by, reason, .. }| Exit { code: end.code, signal: end.signal, at: clock::wall(), by, reason };
        let itself = Cause::new(ExitBy::Itself, described(end));
        self.leaves(exit(itself.clone()));
        // An announcement of this very end may lie unread: it was sent before the first signal. Or nobody calls any more.
        self.hear_all();
        let mut exit = exit(self.cause.clone().unwrap_or(itself));
        if self.leaves(exit.clone()) || self.exit.is_some() {
            return;
        }
        if !self.comes_again(&mut exit) {
            self.set_exit(exit);
        }
    }

    fn set_exit(&mut self, exit: Exit) {
        self.stored = false;
        self.clients.tell(&Fact::Exited { exit: exit.clone() }, true, &self.poller);
        self.exit = Some(exit);
        self.store();
    }

    fn store(&mut self) {
        if let Some(exit) = &self.exit {
            failpoint::here("keeper.exit.before");
            // Where somebody removed the directory nobody will ever read it.
            self.stored = self.dir.write_exit(exit).is_ok() || self.dir.is_gone();
            failpoint::here("keeper.exit.after");
        }
    }

    fn on_empty(&mut self) {
        self.pump(LAST_OUTPUT);
        if !std::mem::replace(&mut self.empty, true) {
            self.tell_coming();
        }
    }

    /// Moves what the agent wrote to the recording, the screen and the terminals.
    fn pump(&mut self, most: usize) {
        let mut moved = 0;
        while moved < most {
            let Some(agent) = &mut self.agent else { return };
            let mut buffer = std::mem::take(&mut self.buffer);
            // Large only while there is much to read: most agents write little.
            buffer.resize(if agent.pending { BATCH } else { SIP }, 0);
            let n = agent.read(&mut buffer, &self.poller);
            if n > 0 {
                self.on_output(&buffer[..n]);
            }
            moved += n;
            if !self.agent.as_ref().is_some_and(|a| a.pending) {
                buffer.truncate(SIP);
                buffer.shrink_to_fit();
                self.buffer = buffer;
                return;
            }
            self.buffer = buffer;
        }
    }

    fn on_output(&mut self, bytes: &[u8]) {
        let now = clock::monotonic();
        self.pulse.mark_at(Beat::Output, now);
        self.pulse.add(Beat::Bytes, bytes.len() as u64);
        self.recorder.output(self.millis(now), bytes);
        self.activity.on_output(now);
        let shown = if self.spec.session.pipe { Cow::Owned(with_returns(bytes)) } else { Cow::Borrowed(bytes) };
        let answers = self.screen.show(&shown);
        self.clients.output(&shown, &self.poller);
        if !answers.is_empty()
            && !self.clients.any_typing()
            && let Some(agent) = &mut self.agent
        {
            agent.type_in(&answers, &self.poller);
        }
    }

    fn millis(&self, now: Duration) -> u64 {
        u64::try_from(now.saturating_sub(self.born).as_millis()).unwrap_or(u64::MAX)
    }

    fn on_connection(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            let own = spawn::own_uid();
            if !socket::peer(&stream).is_ok_and(|(_, uid)| uid == own || uid == 0) {
                continue;
            }
            let above = socket::peer_identity(&stream).and_then(|peer| kin::keepers_above(peer, KIN));
            let confined = !authority::is_obeyed(above.as_deref(), &self.spec.session.started_by);
            if self.greet(&stream).is_ok() {
                // One too many is closed.
                let token = self.clients.welcome(stream, &self.poller);
                token.and_then(|t| self.clients.get_mut(t)).into_iter().for_each(|client| client.confined = confined);
            }
        }
    }

    fn on_client(&mut self, token: u64, event: Event) {
        let Some(client) = self.clients.get_mut(token) else { return };
        if event.writable && client.flush(token, &self.poller).is_ok() && client.has_caught_up() {
            let replay = self.screen.replay();
            self.clients.send(token, Kind::Screen, &replay, &self.poller);
        }
        if event.readable || event.hangup {
            self.hear(token);
        }
    }

    fn hear(&mut self, token: u64) {
        let Some(client) = self.clients.get_mut(token) else { return };
        match client.read() {
            Ok(brought) => brought.into_iter().for_each(|b| self.on_brought(token, b)),
            Err(_) => self.part(token),
        }
    }

    fn hear_all(&mut self) {
        self.clients.tokens().into_iter().for_each(|token| self.hear(token));
    }

    fn part(&mut self, token: u64) {
        match self.clients.part(token, &self.poller) {
            Some(Role::Terminal { .. }) => self.count_terminals(),
            Some(Role::Subscriber | Role::Caller) | None => {}
        }
        self.left_by(token);
    }

    fn count_terminals(&mut self) {
        let count = self.clients.terminals() as u64;
        self.pulse.set(Beat::Clients, count);
        self.pulse.mark(Beat::Attached);
        let fact = Fact::Attached { count: u32::try_from(count).unwrap_or(u32::MAX) };
        self.clients.tell(&fact, false, &self.poller);
    }

    fn on_brought(&mut self, token: u64, brought: Brought) {
        match brought {
            Brought::Typed(bytes) => {
                let role = self.clients.get_mut(token).map(|c| c.role);
                if let Some(Role::Terminal { read_only: false, .. }) = role {
                    self.type_in(&bytes);
                }
            }
            Brought::Order(request) if self.is_obeyed(token) => self.on_request(token, request),
            Brought::Order(request) => self.on_confined(token, request),
        }
    }

    fn is_obeyed(&mut self, token: u64) -> bool {
        self.everybody || self.clients.get_mut(token).is_some_and(|client| !client.confined)
    }

    /// From a caller that may only look.
    fn on_confined(&mut self, token: u64, request: Request) {
        match request {
            Request::Attach { cols, rows, .. } => self.attach(token, (cols, rows), true),
            Request::Redraw | Request::Screen { .. } | Request::Text { .. } | Request::Resize { .. } => {
                self.on_request(token, request);
            }
            Request::Type { seq, .. } | Request::Closing { seq, .. } | Request::Restart { seq } => {
                self.answer(token, seq, false, "an agent may only look at a session it did not start");
            }
            Request::Subscribe
            | Request::NotClosing
            | Request::CloseInput
            | Request::Heartbeat
            | Request::Stay { .. }
            | Request::Authority { .. } => {}
        }
    }

    fn type_in(&mut self, bytes: &[u8]) {
        self.pulse.mark(Beat::Input);
        self.pulse.add(Beat::Messages, 1);
        if let Some(agent) = &mut self.agent {
            agent.type_in(bytes, &self.poller);
        }
    }

    fn on_request(&mut self, token: u64, request: Request) {
        match request {
            Request::Subscribe => {
                if let Some(client) = self.clients.get_mut(token) {
                    client.role = Role::Subscriber;
                }
                // What happened between the greeting and now.
                if let Some(exit) = self.exit.clone() {
                    self.clients.reply(token, &Fact::Exited { exit }, &self.poller);
                }
                if let Some(leader) = self.agent.as_ref().map(|a| a.leader).filter(|_| self.leader_lives) {
                    self.clients.reply(token, &Fact::Restarted { leader }, &self.poller);
                }
                self.tell_coming();
            }
            Request::Attach { cols, rows, read_only } => self.attach(token, (cols, rows), read_only),
            Request::Resize { cols, rows } => self.resize_for(token, cols, rows),
            Request::Redraw => {
                let replay = self.screen.replay();
                self.clients.send(token, Kind::Screen, &replay, &self.poller);
            }
            Request::Screen { seq } | Request::Text { seq } => {
                let coloured = matches!(request, Request::Screen { .. });
                let screen = Some(if coloured { self.screen.fact() } else { self.screen.plain() });
                let fact = Fact::Reply { seq, ok: true, message: String::new(), screen };
                self.clients.reply(token, &fact, &self.poller);
            }
            Request::Type { seq, bytes } => {
                self.type_in(&bytes);
                self.answer(token, seq, true, "typed");
            }
            Request::Closing { seq, cause } => {
                self.closes(cause);
                self.answer(token, seq, true, "noted");
            }
            Request::NotClosing => self.cause = None,
            Request::CloseInput => self.agent.iter_mut().for_each(Agent::close_input),
            Request::Heartbeat => {
                self.pulse.mark(Beat::Heartbeat);
                self.pulse.add(Beat::Messages, 1);
            }
            Request::Stay { on: true } => self.stay_for(token),
            Request::Stay { on: false } => self.unstay(None),
            Request::Authority { all } => self.everybody = all,
            Request::Restart { seq } => self.call(token, seq),
        }
    }

    fn answer(&mut self, token: u64, seq: u64, ok: bool, message: &str) {
        let fact = Fact::Reply { seq, ok, message: message.into(), screen: None };
        self.clients.reply(token, &fact, &self.poller);
    }

    fn attach(&mut self, token: u64, size: (u16, u16), read_only: bool) {
        if let Some(client) = self.clients.get_mut(token) {
            client.role = Role::Terminal { read_only, lagging: false };
        }
        self.resize_for(token, size.0, size.1);
        let replay = self.screen.replay();
        self.clients.send(token, Kind::Screen, &replay, &self.poller);
        if let Some(exit) = self.exit.clone() {
            self.clients.reply(token, &Fact::Exited { exit }, &self.poller);
        }
        self.count_terminals();
    }

    /// The terminal that types decides the size.
    fn resize_for(&mut self, token: u64, cols: u16, rows: u16) {
        let role = self.clients.get_mut(token).map(|c| c.role);
        let typing = matches!(role, Some(Role::Terminal { read_only: false, .. }));
        if !typing || cols == 0 || rows == 0 || (cols, rows) == self.screen.size() {
            return;
        }
        self.screen.resize(cols, rows);
        let (cols, rows) = self.screen.size();
        let now = clock::monotonic();
        self.activity.on_resize(now);
        self.recorder.size(self.millis(now), cols, rows);
        if let Some(agent) = &self.agent {
            agent.resize(cols, rows);
        }
    }

    /// The socket was lost (a cleaned `/tmp`, a logout): make it anew in the same place.
    fn rebind(&mut self) {
        let Ok(listener) = bind(&self.spec) else { return };
        // The old one is closed below, which ends its watch.
        let _ = self.poller.remove(&self.listener);
        if self.poller.add(&listener, LISTENER, poll::READ).is_ok() {
            self.listener = listener;
        }
    }

    fn leave_no_socket(&self) {
        // Gone already: all the better.
        let _ = std::fs::remove_file(&self.spec.socket);
    }
}

fn bind(spec: &Spec) -> io::Result<UnixListener> {
    if let Some(parent) = spec.socket.parent() {
        dirs::ensure_private(parent).map_err(io::Error::other)?;
    }
    let listener = socket::bind(&spec.socket)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn described(end: Reaped) -> String {
    match (end.code, end.signal) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "unknown".into(),
    }
}
