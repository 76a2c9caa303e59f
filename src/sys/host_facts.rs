//! What `doctor` judges, as this host has it. Reads and tries, changes nothing; what may hang has an end.

use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::patience::{Patience, Within, within};
use super::{child, process, spawn, table};
use crate::model::doctor::{Directory, FileSystem, Kernel, Logout, LogoutRules, Sight};
use crate::model::session::ProcId;

/// How long a file system, or all command lines together, are waited for.
const PATIENCE: Duration = Duration::from_secs(3);
/// A zombie older than this is not taken.
const TAKEN: Duration = Duration::from_millis(200);

/// A directory, and the file system it is on or would be on.
pub fn directory(path: &Path) -> Directory {
    let (asked, path_text) = (path.to_path_buf(), path.display().to_string());
    within(PATIENCE, move || looked_at(&asked)).unwrap_or_else(|| Directory { path: path_text, ..Directory::default() })
}

fn looked_at(path: &Path) -> Directory {
    let meta = std::fs::symlink_metadata(path);
    let place = path.ancestors().find(|p| p.exists()).unwrap_or(Path::new("/"));
    Directory {
        path: path.display().to_string(),
        exists: meta.is_ok(),
        is_directory: meta.as_ref().is_ok_and(std::fs::Metadata::is_dir),
        is_own: meta.as_ref().is_ok_and(|m| m.uid() == spawn::own_uid()),
        mode: meta.map_or(0, |m| m.mode()),
        file_system: file_system(place),
    }
}

fn file_system(place: &Path) -> Option<FileSystem> {
    let (kind, room) = (rustix::fs::statfs(place).ok()?, rustix::fs::statvfs(place).ok()?);
    Some(FileSystem {
        magic: u64::from_ne_bytes(kind.f_type.to_ne_bytes()) & 0xffff_ffff,
        read_only: room.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY),
        free_bytes: room.f_bavail.saturating_mul(room.f_frsize),
        inodes: room.f_files,
        free_inodes: room.f_favail,
    })
}

/// What a logout does here (`logind.conf(5)`).
pub fn logout() -> Logout {
    let uid = nix::unistd::Uid::from_raw(spawn::own_uid());
    let user = nix::unistd::User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name);
    let texts: Vec<String> = logind_files().iter().filter_map(|f| std::fs::read_to_string(f).ok()).collect();
    Logout {
        logind: Path::new("/run/systemd/seats").is_dir(),
        rules: LogoutRules::read(texts.iter().map(String::as_str)),
        lingers: Path::new("/var/lib/systemd/linger").join(&user).exists(),
        user,
    }
}

/// The main file of the first place that has one, then the drop-ins by name; of one name, that of the first place.
fn logind_files() -> Vec<PathBuf> {
    let places = ["/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd"].map(Path::new);
    let main = places.iter().map(|p| p.join("logind.conf")).find(|f| f.exists());
    let mut drop_ins = std::collections::BTreeMap::new();
    for place in places {
        let entries = std::fs::read_dir(place.join("logind.conf.d")).into_iter().flatten().flatten();
        for file in entries.map(|e| e.path()).filter(|f| f.extension().is_some_and(|e| e == "conf")) {
            drop_ins.entry(file.file_name().map(std::ffi::OsStr::to_os_string)).or_insert(file);
        }
    }
    main.into_iter().chain(drop_ins.into_values()).collect()
}

pub fn kernel() -> Kernel {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let pin = process::own_identity().ok().and_then(|own| process::Pin::new(own).ok().flatten());
    // SAFETY: signal 0 is sent to nobody; only whether it could be is asked (pidfd_send_signal(2)).
    let can_signal =
        |fd: i32| unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, 0, std::ptr::null::<u8>(), 0) == 0 };
    let pair = std::os::unix::net::UnixStream::pair().ok();
    let knows_peer = |(stream, _): (std::os::unix::net::UnixStream, _)| {
        nix::sys::socket::getsockopt(&stream, nix::sys::socket::sockopt::PeerPidfd).is_ok()
    };
    Kernel {
        release: format!("Linux {}", release.trim()),
        pidfd_open: pin.is_some(),
        pidfd_signal: pin.is_some_and(|p| can_signal(p.as_raw_fd())),
        peer_pidfd: pair.is_some_and(knows_peer),
    }
}

pub fn sight() -> Sight {
    Sight {
        own_readable: process::own_identity().is_ok(),
        others_visible: process::stat(1).is_some(),
        is_root: spawn::own_uid() == 0,
    }
}

/// The first process, by name, and how many zombies it leaves.
pub fn reaper() -> (String, usize) {
    let name = process::stat(1).map_or_else(|| "the first process".into(), |p| p.comm());
    let zombies = || -> Vec<ProcId> {
        let table = table::read().unwrap_or_default();
        table.iter().filter(|p| p.ppid == 1 && p.state == b'Z').map(|p| p.id).collect()
    };
    let before = zombies();
    if before.is_empty() {
        return (name, 0);
    }
    std::thread::sleep(TAKEN);
    let after = zombies();
    (name, before.iter().filter(|id| after.contains(id)).count())
}

pub fn tmux_version() -> Option<String> {
    child::output_within(Command::new("tmux").arg("-V"), PATIENCE).map(|text| text.trim().to_string())
}

/// One process of this user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    pub pid: i32,
    pub arguments: Vec<String>,
    pub executable: Option<String>,
}

/// Command lines of this user's processes, by age; and whether all of them answered in time.
pub fn running() -> std::io::Result<(Vec<Running>, bool)> {
    let table = table::read()?;
    let own = spawn::own_uid();
    let mut procs: Vec<_> = table.iter().filter(|p| !p.kernel && !p.is_dead()).map(|p| p.id).collect();
    procs.sort_by_key(|id| (id.start, id.pid));
    let asked = procs.len();
    let read = move |&ProcId { pid, .. }: &ProcId| {
        let executable = std::fs::read_link(format!("/proc/{pid}/exe")).ok().map(|p| p.display().to_string());
        let is_own = process::owner_uid(pid) == Some(own);
        is_own.then(|| Running { pid, arguments: process::arguments(pid), executable })
    };
    let answers = Patience::default().read(procs, Within::All(PATIENCE), read);
    let all = answers.len() == asked;
    Ok((answers.into_iter().filter_map(|(_, one)| one).collect(), all))
}

/// True when a socket is there and nobody listens on it.
pub fn is_stale(socket: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    let is_socket = std::fs::symlink_metadata(socket).is_ok_and(|m| m.file_type().is_socket());
    let refused = |e: &std::io::Error| e.kind() == std::io::ErrorKind::ConnectionRefused;
    is_socket && super::socket::connect(socket).as_ref().is_err_and(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_host_says_is_believable() {
        let dir = tempfile::tempdir().unwrap();
        let seen = directory(&dir.path().join("not/there"));
        assert!(!seen.exists && seen.file_system.is_some_and(|f| f.free_bytes > 0 && f.magic != 0));
        let seen = directory(dir.path());
        assert!(seen.is_directory && seen.is_own && seen.mode & 0o700 == 0o700, "{seen:?}");
        let kernel = kernel();
        assert!(kernel.pidfd_open && kernel.pidfd_signal && kernel.release.starts_with("Linux "), "{kernel:?}");
        assert!(sight().own_readable && !reaper().0.is_empty());
        let own = i32::try_from(std::process::id()).unwrap();
        let (running, _) = running().unwrap();
        assert!(running.iter().any(|r| r.pid == own && !r.arguments.is_empty() && r.executable.is_some()));
    }

    #[test]
    fn a_socket_somebody_left_is_stale_and_one_in_use_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let listener = super::super::socket::bind(&path).unwrap();
        assert!(!is_stale(&path) && !is_stale(dir.path()));
        drop(listener);
        assert!(is_stale(&path));
    }
}
