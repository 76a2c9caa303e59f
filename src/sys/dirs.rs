//! Directories and files that are the user's alone.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum DirError {
    #[error("failed to create {path}: {source}")]
    Create { path: PathBuf, source: io::Error },
    #[error("{path} belongs to another user: remove it, or choose another directory")]
    Foreign { path: PathBuf },
    #[error("{path} is not a directory")]
    NotADirectory { path: PathBuf },
    #[error("failed to make {path} private: {source}")]
    Mode { path: PathBuf, source: io::Error },
}

fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// True when the directory exists and is this user's own.
pub fn is_usable(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|m| m.is_dir() && m.uid() == own_uid())
}

/// Creates the directory with its parents, mode 0700, or makes an existing one so. One that belongs to
/// somebody else, or a link in its place, is refused.
pub fn ensure_private(path: &Path) -> Result<(), DirError> {
    let created = DirBuilder::new().recursive(true).mode(0o700).create(path);
    created.map_err(|source| DirError::Create { path: path.into(), source })?;
    let meta = std::fs::symlink_metadata(path).map_err(|source| DirError::Create { path: path.into(), source })?;
    if meta.is_symlink() || !meta.is_dir() {
        return Err(DirError::NotADirectory { path: path.into() });
    }
    if meta.uid() != own_uid() {
        return Err(DirError::Foreign { path: path.into() });
    }
    if meta.mode() & 0o077 != 0 {
        let private = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(path, private).map_err(|source| DirError::Mode { path: path.into(), source })?;
    }
    Ok(())
}

/// Replaces a file whole, mode 0600: whoever reads it sees the old content or the new, never half.
///
/// Not flushed to the disk: what these files describe does not survive a loss of power either.
pub fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    let written = private_file(&temporary)
        .and_then(|mut f| f.write_all(content))
        .and_then(|()| std::fs::rename(&temporary, path));
    if written.is_err() {
        // The error that counts is already in hand.
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

/// Replaces the content of a file in the file itself, mode 0600: no new file, and nothing to rename.
pub fn overwrite(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.set_len(content.len() as u64)
}

/// Opens a file for writing from the start, mode 0600.
pub fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Makes a file that is not there yet, mode 0600.
pub fn new_private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Opens a file for appending, mode 0600.
pub fn private_log(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// A random number from 0 to 1; 0.5 where the kernel gives none.
pub fn random_fraction() -> f64 {
    let mut bytes = [0; 4];
    let read = File::open("/dev/urandom").and_then(|mut source| io::Read::read_exact(&mut source, &mut bytes));
    read.map_or(0.5, |()| f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX))
}

/// Random bytes from the kernel as letters and digits that are easy to tell apart and to type.
pub fn random_word(length: usize) -> io::Result<String> {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = vec![0; length];
    let mut source = File::open("/dev/urandom")?;
    io::Read::read_exact(&mut source, &mut bytes)?;
    Ok(bytes.iter().map(|b| LETTERS[usize::from(b & 31)] as char).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_becomes_private_and_a_link_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let open = dir.path().join("open");
        std::fs::create_dir(&open).unwrap();
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).unwrap();
        ensure_private(&open).unwrap();
        assert_eq!(std::fs::metadata(&open).unwrap().mode() & 0o777, 0o700);
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&open, &link).unwrap();
        assert!(matches!(ensure_private(&link), Err(DirError::NotADirectory { .. })));
    }

    #[test]
    fn a_file_is_replaced_whole_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("f");
        write_whole(&file, b"one").unwrap();
        write_whole(&file, b"two").unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(write_whole(&dir.path().join("no/f"), b"x").is_err());
    }
}
