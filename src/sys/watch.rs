//! Files of a directory that are written to, as it happens (inotify(7)). Costs nothing while nothing happens.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};
use rustix::io::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Room for a few events; what does not fit is read the next time.
const BUFFER: usize = 4096;

pub struct Watch(AsyncFd<OwnedFd>);

impl Watch {
    /// Needs a runtime.
    pub fn new(dir: &Path) -> io::Result<Self> {
        let fd = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        inotify::add_watch(&fd, dir, WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO)?;
        // SAFETY: the descriptor is owned here, and closed with what watches it.
        let watched = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) };
        Ok(Self(watched.map_err(|e| io::Error::other(e.to_string()))?))
    }

    /// Waits until something happens to a file whose name begins so; an overflow may be about it.
    pub async fn changed(&self, beginning: &str) -> io::Result<()> {
        loop {
            let mut ready = self.0.readable().await?;
            let is_it = self.drain(beginning)?;
            ready.clear_ready();
            if is_it {
                return Ok(());
            }
        }
    }

    /// Whether any of what has happened is about it.
    fn drain(&self, beginning: &str) -> io::Result<bool> {
        let mut buffer = [MaybeUninit::uninit(); BUFFER];
        let mut reader = Reader::new(self.0.get_ref(), &mut buffer);
        let mut is_it = false;
        loop {
            match reader.next() {
                Ok(event) => {
                    is_it |= event.file_name().is_none_or(|name| name.to_bytes().starts_with(beginning.as_bytes()));
                }
                Err(Errno::WOULDBLOCK) => return Ok(is_it),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_written_there_is_seen_and_what_is_written_beside_it_is_not() {
        let tmp = tempfile::tempdir().unwrap();
        let watch = Watch::new(tmp.path()).unwrap();
        std::fs::write(tmp.path().join("other"), "x").unwrap();
        assert!(!watch.drain("db").unwrap());
        std::fs::write(tmp.path().join("db-wal"), "x").unwrap();
        watch.changed("db").await.unwrap();
        assert!(!watch.drain("db").unwrap(), "told once");
    }
}
