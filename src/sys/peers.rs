//! Who is at the other ends: of the standard input and output of a process, and of the Unix sockets it listens on.
//!
//! A pipe is opened once more through `/proc/PID/fd/N` and polled: the kernel counts readers and writers. A Unix socket is
//! asked for by its inode (`sock_diag(7)`): a peer that is gone has the inode 0. What cannot be asked is unreadable, and
//! never gone. All of it can block on a process that hangs: callers give it a thread and a deadline.

use std::collections::HashSet;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::socket::sockopt::ReceiveTimeout;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, setsockopt, socket,
};
use nix::sys::time::TimeVal;
use rustix::event::{PollFd, PollFlags};
use rustix::fs::{FileType, Mode, OFlags};

use crate::model::stray::{Asked, Peers, Stdio};

/// How long the kernel may take to answer about a socket.
const PATIENCE: Duration = Duration::from_millis(500);

/// Whether standard input, output and error are all on a terminal that is gone.
pub fn stdio(pid: i32) -> Asked<Stdio> {
    let mut deleted = 0;
    for fd in 0..3 {
        match std::fs::read_link(fd_path(pid, fd)) {
            Ok(to) => {
                let to = to.as_os_str().as_bytes();
                deleted += i32::from(to.starts_with(b"/dev/pts/") && to.ends_with(b" (deleted)"));
            }
            // Closed: then it is not on a terminal.
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(_) => return Asked::Unreadable("its standard input and output".into()),
        }
    }
    Asked::Is(if deleted == 3 { Stdio::TerminalDeleted } else { Stdio::Other })
}

/// Who is at the other ends of standard input and output.
pub fn ends(pid: i32) -> Asked<Peers> {
    let gone = |fd, what: &str| end_is_gone(pid, fd).map_err(|why| format!("the other end of its {what} ({why})"));
    let both = gone(0, "standard input").and_then(|input| Ok(input && gone(1, "standard output")?));
    match both {
        Ok(true) => Asked::Is(Peers::BothGone),
        Ok(false) => Asked::Is(Peers::SomebodyThere),
        Err(what) => Asked::Unreadable(what),
    }
}

fn fd_path(pid: i32, fd: i32) -> String {
    format!("/proc/{pid}/fd/{fd}")
}

/// Only a pipe or a Unix socket has an end that can be gone; a file, a terminal, a FIFO with a name have none.
fn end_is_gone(pid: i32, fd: i32) -> io::Result<bool> {
    let link = std::fs::read_link(fd_path(pid, fd))?;
    let link = link.to_string_lossy().into_owned();
    let inode = |kind: &str| link.strip_prefix(kind)?.strip_prefix(":[")?.strip_suffix(']')?.parse::<u64>().ok();
    if let Some(inode) = inode("pipe") {
        return pipe_end_is_gone(&fd_path(pid, fd), inode, fd == 0);
    }
    match inode("socket") {
        Some(inode) => Ok(peer_inode(inode)? == 0),
        None => Ok(false),
    }
}

/// Of an unnamed pipe, opening never waits and never fails for want of the other side; poll(2) tells of it then.
fn pipe_end_is_gone(path: &str, inode: u64, reading: bool) -> io::Result<bool> {
    let mode = if reading { OFlags::RDONLY } else { OFlags::WRONLY };
    let ours = match rustix::fs::open(path, mode | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()) {
        Ok(ours) => ours,
        // Nobody reads (open(2)).
        Err(rustix::io::Errno::NXIO) if !reading => return Ok(true),
        Err(e) => return Err(e.into()),
    };
    let stat = rustix::fs::fstat(&ours)?;
    if stat.st_ino != inode || FileType::from_raw_mode(stat.st_mode) != FileType::Fifo {
        return Err(io::Error::other("it changed while it was asked"));
    }
    let mut watched = [PollFd::new(&ours, PollFlags::empty())];
    rustix::event::poll(&mut watched, Some(&rustix::event::Timespec::default()))?;
    let gone = if reading { PollFlags::HUP } else { PollFlags::ERR };
    Ok(watched[0].revents().contains(gone))
}

/// The inode of a connected Unix socket's peer, 0 when it has been closed. Asked by `SOCK_DIAG_BY_FAMILY` with
/// `UDIAG_SHOW_PEER` (`sock_diag(7)`, `linux/unix_diag.h`).
fn peer_inode(inode: u64) -> io::Result<u32> {
    const DIAG: u16 = 20;
    const REQUEST: u16 = 1;
    const SHOW_PEER: u32 = 4;
    let inode = u32::try_from(inode).map_err(io::Error::other)?;
    let kernel = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkSockDiag)?;
    let micros = i64::try_from(PATIENCE.as_micros()).unwrap_or(i64::MAX);
    setsockopt(&kernel, ReceiveTimeout, &TimeVal::new(micros / 1_000_000, micros % 1_000_000))?;
    let mut question = Vec::with_capacity(40);
    // nlmsghdr: length, type, flags, sequence, port.
    question.extend(40_u32.to_ne_bytes());
    question.extend(DIAG.to_ne_bytes());
    question.extend(REQUEST.to_ne_bytes());
    question.extend([0; 8]);
    // unix_diag_req: family, protocol, padding, states, inode, what to show, a cookie that says "any".
    question.extend([1, 0, 0, 0]);
    question.extend(u32::MAX.to_ne_bytes());
    question.extend(inode.to_ne_bytes());
    question.extend(SHOW_PEER.to_ne_bytes());
    question.extend([0xff; 8]);
    let fd = std::os::fd::AsRawFd::as_raw_fd(&kernel);
    sendto(fd, &question, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
    let mut reply = [0; 1024];
    let n = recv(fd, &mut reply, MsgFlags::empty())?;
    peer_in(&reply[..n], inode)
}

/// The attribute `UNIX_DIAG_PEER` in an answer about this very socket.
fn peer_in(reply: &[u8], inode: u32) -> io::Result<u32> {
    const HEADER: usize = 16;
    const ERROR: u16 = 2;
    const PEER: u16 = 2;
    let unclear = || io::Error::other("the kernel does not say");
    let half = |at: usize| Some(u16::from_ne_bytes(reply.get(at..at + 2)?.try_into().ok()?));
    let word = |at: usize| Some(u32::from_ne_bytes(reply.get(at..at + 4)?.try_into().ok()?));
    if half(4) == Some(ERROR) {
        let errno = word(HEADER).ok_or_else(unclear)?.cast_signed().wrapping_neg();
        return Err(io::Error::from_raw_os_error(errno));
    }
    // unix_diag_msg: family, type, state, padding, inode, cookie.
    if word(HEADER + 4) != Some(inode) {
        return Err(unclear());
    }
    let mut at = HEADER + 16;
    while let (Some(length), Some(kind)) = (half(at), half(at + 2)) {
        if kind == PEER {
            return word(at + 4).ok_or_else(unclear);
        }
        at += usize::from(length).max(4).next_multiple_of(4);
    }
    // Not connected to anybody, so nobody can have gone.
    Err(unclear())
}

/// Whether anybody is connected to a Unix socket this process listens on. Connections between two of its own sockets
/// (socketpair(2)) have no name and do not count. One that has other sockets too cannot be known.
pub fn has_clients(pid: i32) -> Asked<bool> {
    let unreadable = |_| "its connections".to_string();
    let found = held_sockets(pid).map_err(unreadable).and_then(|held| {
        let table = std::fs::read_to_string(format!("/proc/{pid}/net/unix")).map_err(unreadable)?;
        let rows: Vec<Row<'_>> = table.lines().skip(1).filter_map(Row::parse).collect();
        let is_unix = |inode: &u64| rows.iter().any(|r| r.inode == *inode);
        if !held.iter().all(is_unix) {
            return Err("who is connected to its other sockets".to_string());
        }
        let own = |r: &&Row<'_>| held.contains(&r.inode);
        let names: HashSet<&str> = rows.iter().filter(own).filter(|r| r.listens).map(|r| r.path).collect();
        let is_client = |r: &Row<'_>| !r.listens && !r.path.is_empty() && (names.contains(r.path) || own(&r));
        Ok(rows.iter().any(is_client))
    });
    found.map_or_else(Asked::Unreadable, Asked::Is)
}

/// Inodes of all sockets a process holds.
fn held_sockets(pid: i32) -> io::Result<HashSet<u64>> {
    let mut held = HashSet::new();
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd"))? {
        match std::fs::read_link(entry?.path()) {
            Ok(link) => held.extend(socket_inode(&link)),
            // Closed in between.
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
    }
    Ok(held)
}

fn socket_inode(link: &std::path::Path) -> Option<u64> {
    link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// Paths of the Unix sockets a process listens on, from its descriptors and `/proc/net/unix`, as it bound them: some may be
/// relative to where it was then.
pub fn listening_paths(pid: i32) -> io::Result<Vec<PathBuf>> {
    let held = held_sockets(pid)?;
    let table = std::fs::read_to_string(format!("/proc/{pid}/net/unix"))?;
    let rows = table.lines().skip(1).filter_map(Row::parse);
    Ok(rows.filter(|r| r.listens && held.contains(&r.inode)).map(|r| r.path.into()).collect())
}

/// `Num RefCount Protocol Flags Type St Inode Path`; flag 0x10000 says that it listens (`proc_net(5)`).
struct Row<'a> {
    inode: u64,
    listens: bool,
    /// Empty for a socket without a name.
    path: &'a str,
}

impl<'a> Row<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.split_ascii_whitespace();
        let flags = u32::from_str_radix(fields.nth(3)?, 16).ok()?;
        let inode = fields.nth(2)?.parse().ok()?;
        let path = fields.next().unwrap_or_default();
        Some(Self { inode, listens: flags & 0x1_0000 != 0, path })
    }
}

#[cfg(test)]
#[path = "peers_tests.rs"]
mod tests;
