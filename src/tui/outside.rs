//! What the interface does beyond its terminal and the daemon: windows and messages of the tmux it runs in, and the
//! file in which it remembers. Everything here may block.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use super::panes::Memory;
use crate::api::tar;
use crate::api::way::Way;
use crate::sys::dirs;

/// Says where this daemon is; a window of tmux has the environment of its server.
const PLACES: &[&str] = &[
    "BEADLE_CONFIG",
    "BEADLE_SOCKET",
    "BEADLE_STATE_DIR",
    "BEADLE_RUNTIME_DIR",
    "XDG_CONFIG_HOME",
    "XDG_STATE_HOME",
    "XDG_RUNTIME_DIR",
];

/// Opens a window of tmux with the session attached in it.
///
/// A token is not handed on: arguments can be seen by every user of the machine.
pub fn open_window(way: &Way, id: &str, name: &str, is_readonly: bool) -> Result<String, String> {
    if matches!(way, Way::Tcp(_)) {
        return Err("a window of its own is not to be had over http: Enter attaches here".into());
    }
    let program = std::env::current_exe().map_err(|e| format!("failed to find this program: {e}"))?;
    let mut tmux = Command::new("tmux");
    tmux.args(["new-window", "-n", &doubled(name)]);
    for place in PLACES {
        if let Ok(value) = std::env::var(place) {
            tmux.arg("-e").arg(format!("{place}={value}"));
        }
    }
    tmux.arg("--").arg(program);
    if way.is_elsewhere() {
        tmux.arg("--host").arg(way.to_string());
    }
    tmux.arg("attach");
    if is_readonly {
        tmux.arg("--read-only");
    }
    tmux.args(["--", id]);
    run(&mut tmux)?;
    Ok(format!("{name} is in a window of its own"))
}

/// Says something in the status line of tmux.
pub fn display_message(text: &str) -> Result<(), String> {
    // As in strftime(3), which sees it after the formats.
    run(Command::new("tmux").args(["display-message", "--", &doubled(text).replace('%', "%%")]))
}

/// `#` begins a format in whatever tmux shows.
fn doubled(text: &str) -> String {
    text.replace('#', "##")
}

/// Runs something short of tmux; what it says against it.
pub fn run(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|e| format!("failed to run tmux: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("tmux refused: {}", said.trim()))
}

/// Writes the file whole or not at all.
pub fn remember(path: &Path, memory: &Memory) -> std::io::Result<()> {
    let part = path.with_extension("part");
    let mut file = std::fs::File::create(&part)?;
    file.write_all(&serde_json::to_vec(memory)?)?;
    std::fs::rename(part, path)
}

/// More are not offered.
const MOST_DIRECTORIES: usize = 1000;

/// The names of the directories in one, sorted.
pub fn directories(place: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(place).into_iter().flatten().flatten().take(MOST_DIRECTORIES);
    let named = entries.filter(|entry| entry.path().is_dir()).filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = named.filter(|name| !name.contains(char::is_control)).collect();
    names.sort();
    names
}

/// Writes what was exported into a new directory; nothing that is there is replaced.
pub fn unpack(bytes: &[u8], directory: &Path) -> Result<String, String> {
    let shown = directory.display();
    if directory.symlink_metadata().is_ok() {
        return Err(format!("{shown} is there already: `beadle export` takes another name"));
    }
    let parts = tar::unpack(bytes).ok_or("the daemon sent half of it: try again")?;
    dirs::ensure_private(directory).map_err(|error| error.to_string())?;
    for (name, content) in parts {
        let written = dirs::new_private_file(&directory.join(&name)).and_then(|mut file| file.write_all(&content));
        written.map_err(|error| format!("failed to write {shown}/{name}: {error}"))?;
    }
    Ok(format!("exported to {shown}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("interface.json");
        let memory = Memory { split: -3, history: vec!["sort cpu".into()], filters: [(2, "idle>5m".into())].into() };
        remember(&path, &memory).unwrap();
        assert_eq!(Memory::read(&std::fs::read_to_string(&path).unwrap()), memory);
        assert!(remember(&dir.path().join("none/x"), &memory).is_err());
    }

    #[test]
    fn a_name_is_no_format() {
        assert_eq!(doubled("#(rm -rf ~) 5%H"), "##(rm -rf ~) 5%H");
    }
}
