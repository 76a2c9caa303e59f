//! A systemd scope for a session: a unit of the user's own service manager that holds processes it did not start
//! (systemd.scope(5)). Asked for over the manager's private socket, as `systemctl --user` does: no bus need run.
//!
//! The manager moves the process some time after it said yes, and then says that the job is over. What it says is not
//! believed: the kernel is asked where the process is.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::bus::{self, Garbled, Message, Method, Value, Writer};
use super::{cgroup, poll, socket, spawn};
use crate::model::scope::Standing;

/// How long the manager may take. A person waits for a start as long.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long what is in a scope may take to end when the manager ends it: a logout waits for it.
const STOP: Duration = Duration::from_secs(10);
const START: Method<'static> = Method {
    owner: "org.freedesktop.systemd1",
    path: "/org/freedesktop/systemd1",
    interface: "org.freedesktop.systemd1.Manager",
    name: "StartTransientUnit",
};
const SERIAL: u32 = 1;

#[derive(Debug, thiserror::Error)]
pub enum NoScope {
    #[error("failed to reach the systemd of this user: {0}")]
    Unreachable(#[from] io::Error),
    #[error("the socket of the systemd of this user is another user's")]
    Stranger,
    #[error("the systemd of this user did not answer within {} ms", PATIENCE.as_millis())]
    Late,
    #[error("the systemd of this user: {0}")]
    Garbled(#[from] Garbled),
    #[error("the systemd of this user refused it: {0}")]
    Refused(String),
    #[error("the systemd of this user said yes, and moved nobody")]
    NotMoved,
}

/// The user's service manager.
#[derive(Debug)]
pub struct Manager {
    socket: PathBuf,
}

impl Manager {
    /// The one whose socket is there, and ours: in the runtime directory of the environment, else in the usual one.
    pub fn find() -> Option<Self> {
        let named = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|p| p.is_absolute());
        let runtime = named.unwrap_or_else(|| PathBuf::from(format!("/run/user/{}", spawn::own_uid())));
        let socket = runtime.join("systemd/private");
        let is_own = std::fs::metadata(&socket).is_ok_and(|m| m.uid() == spawn::own_uid());
        is_own.then_some(Self { socket })
    }

    /// Whether it answers at all.
    pub fn greet(&self) -> Result<(), NoScope> {
        Line::open(self, PATIENCE).map(drop)
    }

    /// Has a process of ours put into a new scope, which is then divided by us. Comes back once it is in.
    pub fn enclose(&self, pid: i32, unit: &str, description: &str) -> Result<(), NoScope> {
        let said = Line::open(self, PATIENCE).and_then(|line| line.start(pid, unit, description));
        match said {
            _ if is_in(pid, unit) => Ok(()),
            Ok(()) => Err(NoScope::NotMoved),
            Err(why) => Err(why),
        }
    }
}

fn is_in(pid: i32, unit: &str) -> bool {
    let last = |line: &str| line.rsplit_once('/').is_some_and(|(_, last)| last == unit);
    cgroup::lines_of(pid).lines().any(last)
}

/// How it stands with scopes while no daemon can say.
pub fn standing(wanted: bool) -> Standing {
    match Manager::find() {
        _ if !wanted => Standing::Off,
        None => Standing::Absent,
        Some(manager) => manager.greet().map_or_else(|e| Standing::Failed(e.to_string()), |()| Standing::Untried),
    }
}

/// A connection to the manager, for one question.
struct Line {
    stream: UnixStream,
    end: Instant,
    heard: Vec<u8>,
}

impl Line {
    /// Connected and known (D-Bus specification, "EXTERNAL": the kernel says who we are).
    fn open(manager: &Manager, patience: Duration) -> Result<Self, NoScope> {
        let end = Instant::now() + patience;
        let stream = socket::connect_at_once(&manager.socket).map_err(|e| match e.kind() {
            io::ErrorKind::WouldBlock => NoScope::Late,
            _ => NoScope::Unreachable(e),
        })?;
        let uid = spawn::own_uid();
        if socket::peer(&stream)?.1 != uid {
            return Err(NoScope::Stranger);
        }
        let mut line = Self { stream, end, heard: Vec::new() };
        // Its digits in hexadecimal: `0` is 30, `9` is 39.
        let hex: String = uid.to_string().chars().flat_map(|digit| ['3', digit]).collect();
        line.say(format!("\0AUTH EXTERNAL {hex}\r\n").as_bytes())?;
        let answer = loop {
            if let Some(at) = line.heard.windows(2).position(|two| two == b"\r\n") {
                break line.heard.drain(..at + 2).collect::<Vec<u8>>();
            }
            line.hear()?;
        };
        if answer.starts_with(b"OK ") { Ok(line) } else { Err(NoScope::Refused("who asks is not known".into())) }
    }

    fn start(mut self, pid: i32, unit: &str, description: &str) -> Result<(), NoScope> {
        let mut question = b"BEGIN\r\n".to_vec();
        question.extend(bus::call(&START, SERIAL, "ssa(sv)a(sa(sv))", arguments(pid, unit, description)));
        self.say(&question)?;
        let mut accepted = false;
        loop {
            let message = self.next()?;
            let mut words = message.words.into_iter();
            match message.kind {
                bus::ERROR if message.answers == SERIAL => {
                    return Err(NoScope::Refused(words.next().unwrap_or(message.error)));
                }
                bus::ANSWER if message.answers == SERIAL => accepted = true,
                // Its job, the unit, and how it went.
                bus::SIGNAL if accepted && message.member == "JobRemoved" && words.nth(1).as_deref() == Some(unit) => {
                    let result = words.next().unwrap_or_default();
                    return if result == "done" { Ok(()) } else { Err(NoScope::Refused(result)) };
                }
                _ => {}
            }
        }
    }

    fn next(&mut self) -> Result<Message, NoScope> {
        loop {
            if let Some((message, size)) = bus::read(&self.heard)? {
                self.heard.drain(..size);
                return Ok(message);
            }
            self.hear()?;
        }
    }

    /// What is said is far less than a socket holds: what does not fit is not read.
    fn say(&mut self, bytes: &[u8]) -> Result<(), NoScope> {
        match self.stream.write(bytes) {
            Ok(count) if count == bytes.len() => Ok(()),
            Ok(_) => Err(NoScope::Late),
            Err(e) => Err(e.into()),
        }
    }

    fn hear(&mut self) -> Result<(), NoScope> {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(NoScope::Late);
        }
        poll::readable(&[self.stream.as_fd()], left)?;
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer) {
            Ok(0) => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            Ok(count) => {
                self.heard.extend(&buffer[..count]);
                Ok(())
            }
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }
}

/// Name, mode, properties, and no further units.
fn arguments(pid: i32, unit: &str, description: &str) -> Writer {
    let pids = [u32::try_from(pid).unwrap_or(0)];
    let stop = u64::try_from(STOP.as_micros()).unwrap_or(u64::MAX);
    let properties = [
        ("Description", Value::Text(description)),
        ("PIDs", Value::Pids(&pids)),
        // Cgroups below it are ours; and the end of one process for want of memory is not that of all.
        ("Delegate", Value::Flag(true)),
        // One that failed is not kept for anybody to look at.
        ("CollectMode", Value::Text("inactive-or-failed")),
        // Shells do not mind TERM.
        ("SendSIGHUP", Value::Flag(true)),
        ("TimeoutStopUSec", Value::Number(stop)),
        // As in a login: without this it is 15 % of what the machine allows.
        ("TasksMax", Value::Number(u64::MAX)),
    ];
    let mut out = Writer::default();
    out.text(unit).text("fail");
    out.array(8, |list| {
        for (name, value) in &properties {
            list.property(name, value);
        }
    });
    out.array(8, |_| {});
    out
}
