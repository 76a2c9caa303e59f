//! The agent as its keeper sees it: the leader, and the two ends of its terminal or pipes.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use crate::api::kept::{Described, Spec};
use crate::model::session::ProcId;
use crate::sys::poll::{self, Interest, Poller};
use crate::sys::process;
use crate::sys::pty::Master;
use crate::sys::spawn::{self, Birth, BirthError, Held, NotFound, Stdio};

/// By how much `oom_score_adj` of agents is raised.
const OOM_RAISE: i32 = 300;
/// Most bytes typed that the agent has not read.
const TYPED: usize = 256 << 10;

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    NotFound(#[from] NotFound),
    #[error("failed to start {0:?} in {1}: {2}")]
    Birth(String, String, BirthError),
    #[error("failed to open a terminal: {0}")]
    Terminal(io::Error),
    #[error("failed to write down the session's identity: {0} (is the disk full?)")]
    Identity(io::Error),
    #[error("who asked for the session has gone")]
    Abandoned,
}

/// Where the agent's bytes come from and go to.
#[derive(Debug)]
enum Line {
    /// The other end is held open too: a terminal that everybody has closed would hang up for good, and whoever opens
    /// `/dev/tty` later would write to nobody.
    Terminal {
        master: Master,
        _held: OwnedFd,
    },
    Pipes {
        input: Option<OwnedFd>,
        output: Option<OwnedFd>,
    },
}

pub struct Agent {
    line: Line,
    pub leader: ProcId,
    /// Typed and not yet taken by the agent.
    typed: VecDeque<u8>,
    writing: bool,
    /// There may be more to read although nothing will say so.
    pub pending: bool,
}

/// A leader that is named but not yet executing.
pub struct Newborn {
    agent: Agent,
    held: Held,
    name: String,
    cwd: String,
}

impl Newborn {
    /// Opens the line and holds a child.
    pub fn hold(spec: &Spec, size: (u16, u16)) -> Result<Self, StartError> {
        let session = &spec.session;
        let name = session.command.first().cloned().unwrap_or_default();
        let birth = birth(spec, session)?;
        let (line, stdio) = open_line(session.pipe, size).map_err(StartError::Terminal)?;
        let (cwd, name) = (session.workspace.clone(), name);
        let held = spawn::hold(&birth, &stdio).map_err(|e| StartError::Birth(name.clone(), cwd.clone(), e))?;
        let gone = || StartError::Birth(name.clone(), cwd.clone(), BirthError::Vanished);
        let leader = process::identity(held.pid).ok_or_else(gone)?;
        let agent = Agent { line, leader, typed: VecDeque::new(), writing: false, pending: false };
        Ok(Self { agent, held, name, cwd })
    }

    pub fn leader(&self) -> ProcId {
        self.agent.leader
    }

    pub fn watch(&self, poller: &Poller) -> io::Result<()> {
        self.agent.watch(poller)
    }

    /// Lets it execute; after an error it is dead and to be reaped.
    pub fn release(self) -> Result<Agent, StartError> {
        self.held.release().map_err(|e| StartError::Birth(self.name, self.cwd, e))?;
        Ok(self.agent)
    }
}

fn birth(spec: &Spec, session: &Described) -> Result<Birth, StartError> {
    let cwd = Path::new(&session.workspace);
    let path = spec.env.iter().find_map(|v| v.strip_prefix("PATH="));
    let program = spawn::find_program(session.command.first().map_or("", String::as_str), path, cwd)?;
    Ok(Birth {
        program,
        argv: session.command.clone(),
        env: spec.env.clone(),
        cwd: cwd.into(),
        umask: spec.umask,
        limits: spec.limits.iter().map(|l| (l.resource, l.soft, l.hard)).collect(),
        cgroup: session.cgroup.as_ref().map(|c| c.dir.clone()),
        oom_raise: OOM_RAISE,
    })
}

fn open_line(pipe: bool, (cols, rows): (u16, u16)) -> io::Result<(Line, Stdio)> {
    if pipe {
        let (child_in, input) = poll::pipe()?;
        let (output, child_out) = poll::pipe()?;
        poll::set_nonblocking(&input)?;
        poll::set_nonblocking(&output)?;
        return Ok((Line::Pipes { input: Some(input), output: Some(output) }, Stdio::Pipes(child_in, child_out)));
    }
    let master = Master::open(cols, rows)?;
    let slave = master.slave()?;
    let held = slave.try_clone()?;
    Ok((Line::Terminal { master, _held: held }, Stdio::Terminal(slave)))
}

impl Agent {
    /// Token of what the agent writes to.
    pub const OUTPUT: u64 = u64::MAX - 10;
    /// Token of a pipe the agent reads from.
    pub const INPUT: u64 = u64::MAX - 11;

    pub fn watch(&self, poller: &Poller) -> io::Result<()> {
        match &self.line {
            Line::Terminal { master, .. } => poller.add(master, Self::OUTPUT, poll::READ),
            Line::Pipes { output: Some(output), .. } => poller.add(output, Self::OUTPUT, poll::READ),
            Line::Pipes { output: None, .. } => Ok(()),
        }
    }

    fn source(&self) -> Option<BorrowedFd<'_>> {
        match &self.line {
            Line::Terminal { master, .. } => Some(master.as_fd()),
            Line::Pipes { output, .. } => output.as_ref().map(AsFd::as_fd),
        }
    }

    /// Reads into `buffer` until it is full or there is nothing now; bytes read. A terminal that everybody has
    /// closed is no longer watched (its hang-up would never stop), but asked again whenever something happens.
    pub fn read(&mut self, buffer: &mut [u8], poller: &Poller) -> usize {
        let mut filled = 0;
        self.pending = false;
        while let Some(source) = self.source() {
            if filled == buffer.len() {
                self.pending = true;
                break;
            }
            match poll::read(source, &mut buffer[filled..]) {
                Ok(n) if n > 0 => filled += n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Ok(_) | Err(_) => {
                    // Not watched already: fine.
                    let _ = poller.remove(source);
                    break;
                }
            }
        }
        filled
    }

    /// Takes what is typed; what exceeds the agent's patience is dropped.
    pub fn type_in(&mut self, bytes: &[u8], poller: &Poller) {
        let room = TYPED.saturating_sub(self.typed.len());
        self.typed.extend(&bytes[..bytes.len().min(room)]);
        self.write_typed(poller);
    }

    pub fn write_typed(&mut self, poller: &Poller) {
        loop {
            let (bytes, _) = self.typed.as_slices();
            let target = match &self.line {
                Line::Terminal { master, .. } => Some(master.as_fd()),
                Line::Pipes { input, .. } => input.as_ref().map(AsFd::as_fd),
            };
            let Some(target) = target.filter(|_| !bytes.is_empty()) else { break };
            match poll::write(target, bytes) {
                Ok(n) => drop(self.typed.drain(..n)),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                // Nobody will read it any more.
                Err(_) => self.typed.clear(),
            }
        }
        self.watch_writing(poller);
    }

    fn watch_writing(&mut self, poller: &Poller) {
        let waiting = !self.typed.is_empty();
        if waiting == std::mem::replace(&mut self.writing, waiting) {
            return;
        }
        let watched = match &self.line {
            Line::Terminal { master, .. } => {
                let interest = Interest { read: true, write: waiting };
                poller.change(master, Self::OUTPUT, interest)
            }
            Line::Pipes { input: Some(input), .. } if waiting => poller.add(input, Self::INPUT, poll::WRITE),
            Line::Pipes { input: Some(input), .. } => poller.remove(input),
            Line::Pipes { input: None, .. } => Ok(()),
        };
        if watched.is_err() {
            // A line nobody listens on.
            self.typed.clear();
            self.writing = false;
        }
    }

    /// Closes the agent's standard input, where it is a pipe.
    pub fn close_input(&mut self) {
        if let Line::Pipes { input, .. } = &mut self.line {
            *input = None;
        }
    }

    pub fn resize(&self, cols: u16, rows: u16) {
        if let Line::Terminal { master, .. } = &self.line {
            // The size is a courtesy: the agent goes on with the old one.
            let _ = master.resize(cols, rows);
        }
    }
}
