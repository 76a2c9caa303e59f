//! Unix sockets: bound and connected below any path, however long, and who is at the other end.
//!
//! `sun_path` holds 108 bytes (unix(7)); a longer path is reached through an open directory,
//! as `/proc/self/fd/N/name`.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{poll, process};
use crate::model::session::ProcId;

const SUN_PATH: usize = 107;

/// Connects; long paths through their directory.
pub fn connect(path: &Path) -> io::Result<UnixStream> {
    with_short(path, |short| UnixStream::connect(short))
}

/// Connects without blocking the task.
pub async fn connect_async(path: &Path) -> io::Result<tokio::net::UnixStream> {
    if path.as_os_str().len() <= SUN_PATH {
        return tokio::net::UnixStream::connect(path).await;
    }
    let stream = connect(path)?;
    stream.set_nonblocking(true)?;
    tokio::net::UnixStream::from_std(stream)
}

/// Has the kernel ask whether the other end of a TCP connection is still there, after so long without a word and then
/// three times more (tcp(7)).
pub fn watch_peer(stream: &impl AsFd, silence: Duration) -> io::Result<()> {
    use nix::sys::socket::{setsockopt, sockopt};
    let stream = &stream.as_fd();
    setsockopt(stream, sockopt::TcpNoDelay, &true)?;
    setsockopt(stream, sockopt::KeepAlive, &true)?;
    let seconds = u32::try_from(silence.as_secs()).unwrap_or(1).max(1);
    setsockopt(stream, sockopt::TcpKeepIdle, &seconds)?;
    setsockopt(stream, sockopt::TcpKeepInterval, &seconds)?;
    setsockopt(stream, sockopt::TcpKeepCount, &3)?;
    Ok(())
}

nix::ioctl_read_bad!(read_untaken, nix::libc::TIOCOUTQ, nix::libc::c_int);

/// How much of what was written lies there untaken: by the peer of a Unix socket (unix(7), `SIOCOUTQ`: with what the kernel
/// adds to each piece), by the machine of the peer over TCP (tcp(7)).
pub fn untaken(stream: &impl AsFd) -> io::Result<usize> {
    let mut count = 0;
    // SAFETY: writes one int, which outlives the call; the descriptor is open.
    unsafe { read_untaken(stream.as_fd().as_raw_fd(), &raw mut count) }?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// Binds with mode 0600 in place of whatever socket stood there. The directory must be the user's own: see
/// [`super::dirs::ensure_private`].
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let listener = with_short(path, |short| UnixListener::bind(short))?;
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(listener)
}

fn with_short<T>(path: &Path, act: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    if path.as_os_str().len() <= SUN_PATH {
        return act(path);
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a socket path needs a directory and a name"));
    };
    let dir: OwnedFd = std::fs::File::open(parent)?.into();
    let short = PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd())).join(name);
    act(&short)
}

/// The identity of who connected; `None` when it has gone. The kernel holds the peer for us (`SO_PEERPIDFD`, Linux 6.5), so
/// that a pid given to somebody else meanwhile is not taken for it; an older kernel only knows the number.
pub fn peer_identity(stream: &impl std::os::fd::AsFd) -> Option<ProcId> {
    use nix::sys::socket::{getsockopt, sockopt};
    let (pid, _) = peer(stream).ok()?;
    let held = match getsockopt(&stream.as_fd(), sockopt::PeerPidfd) {
        Ok(held) => Some(held),
        Err(nix::errno::Errno::ENOPROTOOPT) => None,
        Err(_) => return None,
    };
    let id = process::identity(pid)?;
    let lives = |fd: OwnedFd| poll::readable(&[fd.as_fd()], Duration::ZERO).is_ok_and(|ended| ended == [false]);
    held.is_none_or(lives).then_some(id)
}

/// Who connected: (pid, uid), as the kernel noted at connect time (unix(7), `SO_PEERCRED`).
pub fn peer(stream: &impl std::os::fd::AsFd) -> io::Result<(i32, u32)> {
    let cred = nix::sys::socket::getsockopt(&stream.as_fd(), nix::sys::socket::sockopt::PeerCredentials)?;
    Ok((cred.pid(), cred.uid()))
}

/// Who listens on a socket, without waiting: `None` when nobody does. One whose queue is full is an error: somebody is
/// there, and cannot be asked.
pub fn listener(path: &Path) -> io::Result<Option<i32>> {
    match connect_at_once(path) {
        Ok(ours) => peer(&ours).map(|(pid, _)| Some(pid)),
        Err(e) if matches!(e.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Connects without waiting, to what is then read and written without waiting: `WouldBlock` when the queue is full.
pub fn connect_at_once(path: &Path) -> io::Result<UnixStream> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let ours = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    with_short(path, |short| connect(ours.as_raw_fd(), &UnixAddr::new(short)?).map_err(io::Error::from))?;
    Ok(ours.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_connected_is_known_by_identity() {
        let dir = tempfile::tempdir().unwrap();
        let listener = bind(&dir.path().join("s")).unwrap();
        let _own = connect(&dir.path().join("s")).unwrap();
        let (stream, _) = listener.accept().unwrap();
        assert_eq!(peer_identity(&stream), Some(process::own_identity().unwrap()));
    }

    #[test]
    fn a_socket_nobody_listens_on_is_an_absence_and_a_full_one_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        assert_eq!(listener(&path).unwrap(), None);
        let bound = UnixListener::bind(&path).unwrap();
        assert_eq!(listener(&path).unwrap(), Some(i32::try_from(std::process::id()).unwrap()));
        let mut callers = Vec::new();
        let full = loop {
            let ours = nix::sys::socket::socket(
                nix::sys::socket::AddressFamily::Unix,
                nix::sys::socket::SockType::Stream,
                nix::sys::socket::SockFlag::SOCK_NONBLOCK,
                None,
            )
            .unwrap();
            let address = nix::sys::socket::UnixAddr::new(&path).unwrap();
            if nix::sys::socket::connect(ours.as_raw_fd(), &address).is_err() {
                break listener(&path);
            }
            callers.push(ours);
        };
        assert!(full.is_err());
        drop(bound);
        assert_eq!(listener(&path).unwrap(), None);
        std::fs::write(dir.path().join("file"), "").unwrap();
        assert_eq!(listener(&dir.path().join("file")).unwrap(), None);
    }
}
