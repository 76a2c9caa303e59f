//! Who holds the other end: for now, on which Unix sockets a process listens.

use std::collections::HashSet;
use std::path::PathBuf;

/// Paths of the Unix sockets a process listens on, from its descriptors and `/proc/net/unix`.
pub fn listening_paths(pid: i32) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    let inode = |link: PathBuf| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse::<u64>().ok();
    let held: HashSet<u64> = entries.flatten().filter_map(|e| inode(std::fs::read_link(e.path()).ok()?)).collect();
    let table = std::fs::read_to_string(format!("/proc/{pid}/net/unix")).unwrap_or_default();
    table.lines().skip(1).filter_map(|line| listening(line, &held)).collect()
}

/// `Num RefCount Protocol Flags Type St Inode Path`; flag 0x10000 says that it listens (`proc_net(5)`).
fn listening(line: &str, held: &HashSet<u64>) -> Option<PathBuf> {
    let mut fields = line.split_whitespace();
    let flags = u32::from_str_radix(fields.nth(3)?, 16).ok()?;
    let inode: u64 = fields.nth(2)?.parse().ok()?;
    let path = fields.next()?;
    (flags & 0x1_0000 != 0 && held.contains(&inode) && path.starts_with('/')).then(|| path.into())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_listening_socket_is_found_by_its_holder() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(super::listening_paths(own).contains(&path));
    }
}
