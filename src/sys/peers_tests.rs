//! Real pipes, sockets and terminals, and what is said of their other ends.

use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command, Stdio as To};

use super::*;

fn own() -> i32 {
    i32::try_from(std::process::id()).unwrap()
}

/// A process with these as standard input and output; nobody else has them.
struct Sleeper(Child);

impl Sleeper {
    fn new(input: impl Into<To>, output: impl Into<To>) -> Self {
        let mut command = Command::new("sleep");
        command.arg("60").stdin(input.into()).stdout(output.into()).stderr(To::null());
        let child = command.spawn().unwrap();
        // Until it is itself: before execve(2) it holds copies of this process's descriptors.
        while super::super::process::arguments(i32::try_from(child.id()).unwrap()) != ["sleep", "60"] {
            std::thread::yield_now();
        }
        Self(child)
    }

    fn ends(&self) -> Asked<Peers> {
        ends(self.pid())
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.0.id()).unwrap()
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Tests run side by side, and a child of another one may hold our ends between fork and execve for a moment.
#[track_caller]
fn becomes(sleeper: &Sleeper, expected: Peers) {
    let end = std::time::Instant::now() + Duration::from_secs(20);
    while sleeper.ends() != Asked::Is(expected) {
        assert!(std::time::Instant::now() < end, "{:?}", sleeper.ends());
        std::thread::yield_now();
    }
}

#[test]
fn both_ends_of_pipes_have_to_be_gone() {
    let (read, feed) = io::pipe().unwrap();
    let (drain, write) = io::pipe().unwrap();
    let sleeper = Sleeper::new(read, write);
    assert_eq!(sleeper.ends(), Asked::Is(Peers::SomebodyThere));
    drop(feed);
    assert_eq!(sleeper.ends(), Asked::Is(Peers::SomebodyThere), "somebody still reads");
    drop(drain);
    becomes(&sleeper, Peers::BothGone);
}

#[test]
fn a_reader_alone_or_a_writer_alone_is_somebody() {
    let (read, feed) = io::pipe().unwrap();
    let (drain, write) = io::pipe().unwrap();
    let sleeper = Sleeper::new(read, write);
    drop(drain);
    assert_eq!(sleeper.ends(), Asked::Is(Peers::SomebodyThere), "somebody still writes");
    drop(feed);
    becomes(&sleeper, Peers::BothGone);
}

#[test]
fn a_socketpair_is_gone_when_its_other_half_is() {
    let (theirs, ours) = UnixStream::pair().unwrap();
    let (out, back) = UnixStream::pair().unwrap();
    let sleeper = Sleeper::new(OwnedFd::from(theirs), OwnedFd::from(out));
    assert_eq!(sleeper.ends(), Asked::Is(Peers::SomebodyThere));
    drop(ours);
    assert_eq!(sleeper.ends(), Asked::Is(Peers::SomebodyThere));
    drop(back);
    becomes(&sleeper, Peers::BothGone);
}

#[test]
fn files_and_named_pipes_have_no_end_that_could_be_gone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fifo");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let both = || std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let sleeper = Sleeper::new(both(), both());
    assert_eq!(sleeper.ends(), Asked::Is(Peers::SomebodyThere));
    assert_eq!(Sleeper::new(To::null(), To::null()).ends(), Asked::Is(Peers::SomebodyThere));
    let file = || std::fs::File::create(dir.path().join("out")).unwrap();
    assert_eq!(Sleeper::new(file(), file()).ends(), Asked::Is(Peers::SomebodyThere));
}

#[test]
fn what_is_no_process_or_no_unix_socket_is_unreadable() {
    assert!(matches!(ends(-1), Asked::Unreadable(_)));
    assert!(matches!(has_clients(-1), Asked::Unreadable(_)));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let sleeper = Sleeper::new(OwnedFd::from(ours), To::null());
    assert!(matches!(sleeper.ends(), Asked::Unreadable(_)), "{:?}", sleeper.ends());
    assert!(matches!(has_clients(sleeper.pid()), Asked::Unreadable(_)));
}

#[test]
fn a_terminal_is_deleted_when_its_master_is_closed() {
    use nix::fcntl::OFlag;
    // Not handed down to the children of other tests.
    let master = nix::pty::posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).unwrap();
    nix::pty::grantpt(&master).unwrap();
    nix::pty::unlockpt(&master).unwrap();
    let name = nix::pty::ptsname_r(&master).unwrap();
    let slave =
        || rustix::fs::open(name.as_str(), OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
    let mut command = Command::new("sleep");
    let mut child = command.arg("60").stdin(slave()).stdout(slave()).stderr(slave()).spawn().unwrap();
    let pid = i32::try_from(child.id()).unwrap();
    assert_eq!(stdio(pid), Asked::Is(Stdio::Other));
    drop(master);
    let end = std::time::Instant::now() + Duration::from_secs(20);
    while stdio(pid) != Asked::Is(Stdio::TerminalDeleted) {
        assert!(std::time::Instant::now() < end);
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(stdio(own()), Asked::Is(Stdio::Other));
}

#[test]
fn connections_to_a_listening_socket_are_clients_and_its_own_pairs_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let listener = OwnedFd::from(UnixListener::bind(&path).unwrap());
    let (pair, _other) = UnixStream::pair().unwrap();
    // The listener as its standard input, half of a pair as its standard output.
    let sleeper = Sleeper::new(listener, OwnedFd::from(pair));
    assert_eq!(has_clients(sleeper.pid()), Asked::Is(false));
    let client = UnixStream::connect(&path).unwrap();
    assert_eq!(has_clients(sleeper.pid()), Asked::Is(true), "one that waits to be accepted is a client too");
    drop(client);
    assert_eq!(has_clients(Sleeper::new(To::null(), To::null()).pid()), Asked::Is(false), "nobody can come");
}

#[test]
fn a_listening_socket_is_found_by_its_holder() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let _listener = UnixListener::bind(&path).unwrap();
    assert!(listening_paths(own()).unwrap().contains(&path));
}
