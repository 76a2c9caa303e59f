//! Which branch of git a workspace is on: one small file, read without following links.

use std::fs;
use std::path::{Path, PathBuf};

/// Nothing longer is a file of git that is read here.
const MOST: u64 = 4096;

/// The name of the branch, or the beginning of the commit; may block on a dead mount.
pub fn of(workspace: &Path) -> Option<String> {
    let git = workspace.join(".git");
    // In a worktree, `.git` is a file that says where it is.
    let git = match small(&git) {
        Some(text) => PathBuf::from(text.trim().strip_prefix("gitdir: ")?),
        None => git,
    };
    let head = small(&git.join("HEAD"))?;
    let head = head.trim();
    Some(match head.strip_prefix("ref: refs/heads/") {
        Some(branch) => branch.into(),
        None => head.chars().take(8).collect(),
    })
}

fn small(path: &Path) -> Option<String> {
    let about = fs::symlink_metadata(path).ok()?;
    (about.is_file() && about.len() <= MOST).then(|| fs::read_to_string(path).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_branch_is_found_in_a_checkout_and_in_a_worktree_and_never_behind_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        assert_eq!(of(dir.path()), None);
        fs::create_dir_all(at("main/.git")).unwrap();
        fs::write(at("main/.git/HEAD"), "ref: refs/heads/feature/x\n").unwrap();
        assert_eq!(of(&at("main")).as_deref(), Some("feature/x"));
        fs::create_dir_all(at("tree")).unwrap();
        fs::write(at("tree/.git"), format!("gitdir: {}\n", at("main/.git").display())).unwrap();
        assert_eq!(of(&at("tree")).as_deref(), Some("feature/x"));
        fs::write(at("main/.git/HEAD"), "0123456789abcdef\n").unwrap();
        assert_eq!(of(&at("tree")).as_deref(), Some("01234567"));
        fs::remove_file(at("main/.git/HEAD")).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", at("main/.git/HEAD")).unwrap();
        assert_eq!(of(&at("main")), None);
    }
}
