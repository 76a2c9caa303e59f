//! A pseudoterminal: made, sized, asked.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use nix::pty::{PtyMaster, Winsize, grantpt, posix_openpt, unlockpt};
use nix::sys::termios::{InputFlags, SetArg, tcgetattr, tcsetattr};

nix::ioctl_write_ptr_bad!(set_window_size, libc::TIOCSWINSZ, Winsize);

/// `_IO('T', 0x41)`: opens the other end without its path (`ioctl_tty(2)`, Linux 4.13).
const TIOCGPTPEER: libc::Ioctl = 0x5441;

/// The master's end, non-blocking; the keeper's.
#[derive(Debug)]
pub struct Master {
    fd: PtyMaster,
}

impl Master {
    /// A new pseudoterminal of that size, in UTF-8 mode.
    pub fn open(cols: u16, rows: u16) -> io::Result<Self> {
        use nix::fcntl::OFlag;
        let fd = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        grantpt(&fd)?;
        unlockpt(&fd)?;
        let master = Self { fd };
        let mut modes = tcgetattr(&master.fd)?;
        modes.input_flags |= InputFlags::IUTF8;
        tcsetattr(&master.fd, SetArg::TCSANOW, &modes)?;
        master.resize(cols, rows)?;
        Ok(master)
    }

    /// Tells the programs inside the new size (`SIGWINCH`).
    pub fn resize(&self, cols: u16, rows: u16) -> io::Result<()> {
        let size = Winsize { ws_row: rows, ws_col: cols, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: a valid descriptor and a Winsize, as the call wants.
        unsafe { set_window_size(self.fd.as_raw_fd(), &raw const size) }?;
        Ok(())
    }

    /// The agent's end.
    pub fn slave(&self) -> io::Result<OwnedFd> {
        let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
        // SAFETY: the master is open; the answer is a new descriptor or -1.
        let fd = unsafe { libc::ioctl(self.fd.as_raw_fd(), TIOCGPTPEER, flags) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: just made for us.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}

impl AsFd for Master {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
