//! What is written on a process: its command line and whose it is, and what more is asked of an agent. All of it can
//! block on a process in `D` or a dead mount, so it is read once for each program, within a deadline.

use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::process;

/// Longest command line that is looked at, in bytes: arguments can be megabytes, and say who somebody is at once.
const LONGEST: u64 = 32 << 10;

/// What any process shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Card {
    pub argv: Vec<String>,
    pub exe: Option<String>,
    /// Of this user and in this PID namespace.
    pub own: bool,
}

/// `None` when it has ended.
pub fn read(pid: i32) -> Option<Card> {
    let owner = process::owner_uid(pid)?;
    if owner != rustix::process::geteuid().as_raw() {
        return Some(Card::default());
    }
    let file = std::fs::File::open(format!("/proc/{pid}/cmdline")).ok()?;
    let mut bytes = Vec::new();
    file.take(LONGEST).read_to_end(&mut bytes).ok()?;
    let words = bytes.strip_suffix(b"\0").unwrap_or(&bytes).split(|b| *b == 0);
    let argv = words.map(|a| String::from_utf8_lossy(a).into_owned()).collect();
    let link = |name: &str| std::fs::read_link(format!("/proc/{pid}/{name}")).ok();
    let exe = link("exe").map(|p| p.to_string_lossy().into_owned());
    let inside = link("ns/pid").is_none_or(|theirs| std::fs::read_link("/proc/self/ns/pid").ok() == Some(theirs));
    Some(Card { argv, exe, own: inside })
}

/// What is asked of an agent beyond that. `None` each where it cannot be read: it is not dumpable, or has ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Papers {
    pub workspace: Option<PathBuf>,
    /// Of the variables asked for, those it has.
    pub variables: Vec<(String, String)>,
}

impl Papers {
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

pub fn papers(pid: i32, wanted: &[String]) -> Papers {
    let block = process::read(pid, "environ").unwrap_or_default();
    let value = |name: &String| {
        let value = process::find_variable(&block, name)?;
        Some((name.clone(), String::from_utf8_lossy(value).into_owned()))
    };
    Papers {
        workspace: std::fs::read_link(format!("/proc/{pid}/cwd")).ok(),
        variables: wanted.iter().filter_map(value).collect(),
    }
}

/// Standard input, output and error are all on a terminal that is gone.
pub fn is_terminal_deleted(pid: i32) -> bool {
    let deleted = |fd: i32| {
        let link = std::fs::read_link(format!("/proc/{pid}/fd/{fd}")).ok();
        link.is_some_and(|to| {
            let to = to.as_os_str().as_bytes();
            to.starts_with(b"/dev/pts/") && to.ends_with(b" (deleted)")
        })
    };
    (0..3).all(deleted)
}

/// When a terminal was last read from (a person typed) and last written to, in Unix seconds. The kernel moves both in
/// steps of eight seconds (`tty_update_time`).
pub fn terminal_times(tty: i32) -> Option<(u64, u64)> {
    let meta = std::fs::metadata(pts_path(tty)?).ok()?;
    Some((u64::try_from(meta.atime()).ok()?, u64::try_from(meta.mtime()).ok()?))
}

/// The path of a pseudo-terminal by its device number as `/proc/PID/stat` has it; `None` for other terminals.
fn pts_path(tty: i32) -> Option<String> {
    let device = u32::try_from(tty).ok()?;
    let (major, minor) = ((device >> 8) & 0xfff, (device & 0xff) | ((device >> 12) & 0xf_ff00));
    (major == 136).then(|| format!("/dev/pts/{minor}"))
}

/// The device number of a terminal, as `/proc/PID/stat` has it; 0 when the path is no pseudo-terminal.
pub fn tty_of(path: &str) -> i32 {
    let minor = path.strip_prefix("/dev/pts/").and_then(|n| n.parse::<u32>().ok());
    let device = minor.filter(|n| *n < 1 << 20).map(|n| (n & 0xff) | (136 << 8) | ((n & !0xff) << 12));
    device.map_or(0, u32::cast_signed)
}

/// A small file of somebody else's making: not through a link at its end, regular, this user's, at most `limit` bytes.
pub fn small_file(path: &Path, limit: u64) -> std::io::Result<String> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() || meta.uid() != rustix::process::geteuid().as_raw() || meta.len() > limit {
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "not a small file of this user"));
    }
    let mut text = String::new();
    file.take(limit).read_to_string(&mut text)?;
    Ok(text)
}

/// The name of a path as text; what is no UTF-8 is marked.
pub fn text_of(path: &Path) -> String {
    OsStr::to_string_lossy(path.as_os_str()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_shows_who_it_is() {
        let own = process::own_identity().unwrap().pid;
        let card = read(own).unwrap();
        assert!(card.own && card.argv[0].contains("beadle"), "{card:?}");
        assert_eq!(card.exe.as_deref(), std::env::current_exe().unwrap().to_str());
        let papers = papers(own, &["PATH".into(), "NO_SUCH_VARIABLE".into()]);
        assert_eq!(papers.workspace, std::env::current_dir().ok());
        assert!(papers.variable("PATH").is_some() && papers.variable("NO_SUCH_VARIABLE").is_none());
        assert!(!is_terminal_deleted(own));
        assert_eq!(read(-1), None);
    }

    #[test]
    fn terminals_have_numbers_and_paths() {
        for n in [0, 7, 255, 256, 70_000] {
            let path = format!("/dev/pts/{n}");
            assert_eq!(pts_path(tty_of(&path)).as_deref(), Some(path.as_str()));
        }
        assert_eq!((tty_of("/dev/pts/0"), tty_of("/dev/tty1"), tty_of("")), (34_816, 0, 0));
        assert_eq!((pts_path(0), pts_path(4 << 8), terminal_times(0)), (None, None, None));
    }

    #[test]
    fn only_a_small_regular_file_of_ones_own_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("f"), dir.path().join("l"));
        std::fs::write(&file, "text").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!(small_file(&file, 100).unwrap(), "text");
        for (path, limit) in
            [(file.as_path(), 3), (link.as_path(), 100), (dir.path(), 100), (Path::new("/dev/null"), 100)]
        {
            assert!(small_file(path, limit).is_err(), "{}", path.display());
        }
    }
}
