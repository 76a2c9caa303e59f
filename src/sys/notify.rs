//! What a service tells the manager that started it: `sd_notify(3)`, in plain words over a datagram socket.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// Variables a manager sets for its service alone (systemd.exec(5)): no session is to have them.
pub const OURS: &[&str] = &[
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "MANAGERPID",
    "MANAGERPIDFDID",
    "SYSTEMD_EXEC_PID",
    "MEMORY_PRESSURE_WATCH",
    "MEMORY_PRESSURE_WRITE",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
];

/// Tells the manager, if there is one. `READY=1`, `WATCHDOG=1`, `STOPPING=1`.
pub fn tell(state: &str) {
    let Some(socket) = std::env::var("NOTIFY_SOCKET").ok().filter(|s| !s.is_empty()) else { return };
    // A manager that cannot be told finds out by itself.
    let _ = send(&socket, state);
}

fn send(socket: &str, state: &str) -> io::Result<()> {
    let address = match socket.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    let ours = UnixDatagram::unbound()?;
    // A manager too busy to read holds nobody up.
    ours.set_nonblocking(true)?;
    ours.send_to_addr(state.as_bytes(), &address).map(drop)
}

/// Within what time the manager wants to hear `WATCHDOG=1`, if at all (`sd_watchdog_enabled(3)`).
pub fn watchdog() -> Option<Duration> {
    let own = std::process::id().to_string();
    asked(|name| std::env::var(name).ok(), &own)
}

fn asked(get: impl Fn(&str) -> Option<String>, own: &str) -> Option<Duration> {
    let is_meant = get("WATCHDOG_PID").is_none_or(|pid| pid == own);
    let micros = get("WATCHDOG_USEC")?.parse().ok().filter(|n| *n > 0)?;
    is_meant.then(|| Duration::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manager_hears_through_a_path_and_through_an_abstract_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let heard = UnixDatagram::bind(&path).unwrap();
        send(path.to_str().unwrap(), "READY=1").unwrap();
        let mut text = [0; 64];
        let count = heard.recv(&mut text).unwrap();
        assert_eq!(&text[..count], b"READY=1");
        let name = format!("beadle-test-{}", std::process::id());
        let heard = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        send(&format!("@{name}"), "WATCHDOG=1").unwrap();
        let count = heard.recv(&mut text).unwrap();
        assert_eq!(&text[..count], b"WATCHDOG=1");
        assert!(send("/nowhere/at/all", "READY=1").is_err());
    }

    #[test]
    fn a_watchdog_is_for_the_process_it_names() {
        let with = |usec: Option<&str>, pid: Option<&str>| {
            asked(|name| if name == "WATCHDOG_PID" { pid } else { usec }.map(String::from), "7")
        };
        assert_eq!(with(Some("3000000"), None), Some(Duration::from_secs(3)));
        assert_eq!(with(Some("3000000"), Some("7")), Some(Duration::from_secs(3)));
        for (usec, pid) in [(Some("3000000"), Some("8")), (Some("0"), None), (Some("x"), None), (None, None)] {
            assert_eq!(with(usec, pid), None);
        }
    }
}
