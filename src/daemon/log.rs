//! The daemon's log: one line per start, exit, kill, refusal and error; a file a day, seven kept.
//!
//! Written at once, line by line: a daemon that is killed has said what it did.

use std::collections::HashSet;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::fmt::time::FormatTime;

use crate::sys::dirs;

const KEPT: usize = 7;
/// `beadle.2026-11-20.log`.
const PREFIX: &str = "beadle";
const SUFFIX: &str = "log";

struct Wall;

impl FormatTime for Wall {
    fn format_time(&self, w: &mut tracing_subscriber::fmt::format::Writer<'_>) -> std::fmt::Result {
        w.write_str(&crate::sys::clock::wall())
    }
}

/// The files of the appender, which makes a new one each day and leaves its mode to the umask; that is for sessions.
struct Private {
    files: RollingFileAppender,
    dir: PathBuf,
    /// The day of the newest file that is known to be private.
    day: String,
}

impl Write for Private {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // RFC 3339, as the name of the file has it.
        let day = crate::sys::clock::wall().chars().take(10).collect::<String>();
        if day != self.day {
            // Before the appender makes it. What cannot be is said by the appender itself.
            let _ = dirs::private_log(&self.dir.join(format!("{PREFIX}.{day}.{SUFFIX}")));
            make_private(&self.dir);
            self.day = day;
        }
        self.files.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.files.flush()
    }
}

/// All that are there: the appender opens one before anything is said, and a version before this one left others open to
/// whoever gets into the directory.
fn make_private(dir: &Path) {
    for file in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if file.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes()) {
            // Gone meanwhile, or on a file system without modes.
            let _ = std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o600));
        }
    }
}

/// Sends everything said in this process to files in `dir`. A second call in one process changes nothing.
pub fn begin(dir: &Path) -> Result<(), tracing_appender::rolling::InitError> {
    let files = RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix(PREFIX)
        .filename_suffix(SUFFIX)
        .max_log_files(KEPT)
        .build(dir)?;
    make_private(dir);
    let files = Private { files, dir: dir.into(), day: String::new() };
    let subscriber = tracing_subscriber::fmt()
        .with_writer(std::sync::Mutex::new(files))
        .with_timer(Wall)
        .with_ansi(false)
        .with_target(false)
        .finish();
    // Set already: an embedded daemon that was started twice.
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok(())
}

/// One run of a session, as it stands behind `ended` in the log.
pub fn run(id: &str, started_at: &str) -> String {
    format!("session={id} run={started_at}")
}

/// Every run whose end is in some kept file.
pub fn ended_runs(dir: &Path) -> HashSet<String> {
    let files = std::fs::read_dir(dir).into_iter().flatten().flatten();
    files.filter_map(|f| std::fs::read(f.path()).ok()).flat_map(|bytes| runs_in(&bytes)).collect()
}

fn runs_in(bytes: &[u8]) -> Vec<String> {
    let mark = b" ended session=";
    let run = |at: usize| {
        let rest = &bytes[at + b" ended ".len()..];
        let end = memchr::memchr2_iter(b' ', b'\n', rest).nth(1)?;
        String::from_utf8(rest[..end].to_vec()).ok()
    };
    memchr::memmem::find_iter(bytes, mark).filter_map(run).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_found_by_run() {
        let log = b"t  INFO started session=a name=\"x\"\nt  INFO ended session=a run=T1 name=\"x\" code=0\nt  INFO ended session=b run=T2 name";
        assert_eq!(runs_in(log), [run("a", "T1"), run("b", "T2")]);
    }
}
