//! A cgroup v2 of its own for each session, where a writable delegated one exists.
//!
//! Found through `/proc/self/mountinfo`, never by a guessed path: on hybrid hosts the v2 tree is not at
//! `/sys/fs/cgroup`. The agent is born inside (`CLONE_INTO_CGROUP`, Linux 5.7); `cgroup.kill` is Linux 5.14.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::model::doctor::Delegation;

/// The directory below which sessions get theirs.
#[derive(Debug, Clone)]
pub struct Home {
    dir: PathBuf,
}

impl Home {
    /// Makes `beadle-INSTANCE` below this process's own cgroup; `None` where that is not allowed or there is no
    /// cgroup v2.
    pub fn find(instance: &str) -> Option<Self> {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
        let own = std::fs::read_to_string("/proc/self/cgroup").ok()?;
        let home = Self::below(&own_directory(&mounts, &own)?, instance);
        make(&home.dir).ok()?;
        let procs = home.dir.join("cgroup.procs");
        (procs.exists() && may_write(&procs)).then_some(home)
    }

    /// The one below a cgroup that is ours to divide, whether or not it is there.
    pub fn below(dir: &Path, instance: &str) -> Self {
        Self { dir: dir.join(format!("beadle-{instance}")) }
    }

    /// Removes it; refused by the kernel while a session is below.
    pub fn remove(&self) {
        // Some session lives on: it stays.
        let _ = std::fs::remove_dir(&self.dir);
    }

    /// A new cgroup for a session.
    pub fn create(&self, id: &str) -> io::Result<Cgroup> {
        let dir = self.dir.join(id);
        // Removed by a daemon that ended meanwhile.
        make(&self.dir)?;
        make(&dir)?;
        let inode = std::fs::metadata(&dir)?.ino();
        Ok(Cgroup { dir, inode })
    }
}

/// Where a process is: its cgroups, a line for each hierarchy (cgroups(7)); empty when it has gone.
pub fn lines_of(pid: i32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default()
}

/// Whether a process is in the scope of a login, and ends with that where logind ends such (logind.conf(5)).
pub fn is_in_login(pid: i32) -> bool {
    lines_of(pid).lines().any(names_a_login)
}

fn names_a_login(line: &str) -> bool {
    let is_login = |part: &str| part.strip_prefix("session-").is_some_and(|rest| rest.strip_suffix(".scope").is_some());
    line.splitn(3, ':').nth(2).is_some_and(|path| path.split('/').any(is_login))
}

/// The directory of the cgroup v2 these lines name.
pub fn directory(lines: &str) -> Option<PathBuf> {
    own_directory(&std::fs::read_to_string("/proc/self/mountinfo").ok()?, lines)
}

fn make(dir: &Path) -> io::Result<()> {
    match std::fs::create_dir(dir) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

fn may_write(file: &Path) -> bool {
    rustix::fs::access(file, rustix::fs::Access::WRITE_OK).is_ok()
}

/// Whether [`Home::find`] would find one, asked without making it.
pub fn delegation() -> Delegation {
    let read = |file| std::fs::read_to_string(file).unwrap_or_default();
    let Some(found) = own_directory(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup")) else {
        return Delegation::NoV2;
    };
    let dir = found.display().to_string();
    let (write, into) = (rustix::fs::Access::WRITE_OK, found.join("cgroup.procs"));
    // To be born in a cgroup below takes leave to write here too (cgroups(7), delegation containment).
    let refused = [found.as_path(), &into].into_iter().find_map(|p| rustix::fs::access(p, write).err());
    match refused {
        Some(error) => Delegation::Refused { dir, why: std::io::Error::from(error).to_string() },
        None => Delegation::Writable { dir, can_kill: can_kill_below(&found) },
    }
}

/// `cgroup.kill` is in every cgroup but the root.
fn can_kill_below(dir: &Path) -> bool {
    dir.join("cgroup.kill").exists() || below(dir).any(|d| d.join("cgroup.kill").exists())
}

/// Where this process's cgroup is mounted, from the two files of proc(5).
fn own_directory(mountinfo: &str, own: &str) -> Option<PathBuf> {
    let own = own.lines().find_map(|l| l.strip_prefix("0::"))?;
    mountinfo.lines().find_map(|line| {
        let (head, tail) = line.split_once(" - ")?;
        if tail.split(' ').next()? != "cgroup2" {
            return None;
        }
        let mut fields = head.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        let inside = if root == "/" { own } else { own.strip_prefix(root)? };
        Some(Path::new(&unescape(point)).join(inside.trim_start_matches('/')))
    })
}

/// Octal escapes of mountinfo (space, tab, newline, backslash).
fn unescape(field: &str) -> String {
    field.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

/// One session's cgroup: the path and, because a path can be made again by somebody else, its inode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroup {
    pub dir: PathBuf,
    pub inode: u64,
}

impl Cgroup {
    /// True while it is still the one that was made.
    pub fn is_ours(&self) -> bool {
        std::fs::metadata(&self.dir).is_ok_and(|m| m.ino() == self.inode)
    }

    /// The directory, open, for a birth inside it.
    pub fn open(&self) -> io::Result<File> {
        File::open(&self.dir)
    }

    /// Every process inside, cgroups below included.
    pub fn processes(&self) -> Vec<i32> {
        let mut out = Vec::new();
        if self.is_ours() {
            collect(&self.dir, &mut out, 8);
        }
        out
    }

    /// Kills all inside, whatever they fork meanwhile.
    pub fn kill(&self) -> io::Result<()> {
        if !self.is_ours() {
            return Err(io::ErrorKind::NotFound.into());
        }
        std::fs::write(self.dir.join("cgroup.kill"), "1")
    }

    pub fn can_kill(&self) -> bool {
        self.is_ours() && may_write(&self.dir.join("cgroup.kill"))
    }

    /// Removes it with what was made below; fails while anybody lives inside.
    pub fn remove(&self) -> io::Result<()> {
        if !self.is_ours() {
            return Ok(());
        }
        remove_below(&self.dir, 8);
        std::fs::remove_dir(&self.dir)
    }
}

fn below(dir: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path())
}

fn collect(dir: &Path, out: &mut Vec<i32>, depth: u8) {
    let text = std::fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    out.extend(text.lines().filter_map(|l| l.parse::<i32>().ok()));
    if depth > 0 {
        below(dir).for_each(|d| collect(&d, out, depth - 1));
    }
}

fn remove_below(dir: &Path, depth: u8) {
    for d in below(dir) {
        if depth > 0 {
            remove_below(&d, depth - 1);
        }
        // What is still inhabited stays; the caller's own removal then says so.
        let _ = std::fs::remove_dir(&d);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_in_a_login_is_known_by_its_scope() {
        assert!(names_a_login("0::/user.slice/user-7.slice/session-c1.scope"));
        assert!(names_a_login("1:name=systemd:/user.slice/user-7.slice/session-2.scope/below"));
        for line in ["0::/", "", "0::/user.slice/user-7.slice/user@7.service/app.slice/beadle-daemon-7.scope"] {
            assert!(!names_a_login(line), "{line}");
        }
    }

    #[test]
    fn the_own_cgroup_is_found_on_pure_hybrid_and_container_hosts() {
        let pure = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n";
        let hybrid = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let container = "41 31 0:38 /docker/ab /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
        let own = "1:cpu:/x\n0::/user.slice/a\n";
        assert_eq!(own_directory(pure, own).unwrap(), Path::new("/sys/fs/cgroup/user.slice/a"));
        assert_eq!(own_directory(hybrid, "0::/\n").unwrap(), Path::new("/sys/fs/cgroup/unified/"));
        assert_eq!(own_directory(container, "0::/docker/ab/c\n").unwrap(), Path::new("/sys/fs/cgroup/c"));
        assert_eq!(own_directory(container, "0::/else\n"), None);
        assert_eq!(own_directory("", own), None);
        assert_eq!(own_directory(pure, "1:cpu:/\n"), None);
    }
}
