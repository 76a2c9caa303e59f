//! The daemon's log: one line per start, exit, kill, refusal and error; a file a day, seven kept.
//!
//! Written at once, line by line: a daemon that is killed has said what it did.

use std::path::Path;

use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::fmt::time::FormatTime;

const KEPT: usize = 7;

struct Wall;

impl FormatTime for Wall {
    fn format_time(&self, w: &mut tracing_subscriber::fmt::format::Writer<'_>) -> std::fmt::Result {
        w.write_str(&crate::sys::clock::wall())
    }
}

/// Sends everything said in this process to files in `dir`. A second call in one process changes nothing.
pub fn begin(dir: &Path) -> Result<(), tracing_appender::rolling::InitError> {
    let files = RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix("beadle")
        .filename_suffix("log")
        .max_log_files(KEPT)
        .build(dir)?;
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

/// True when some kept file holds this text.
pub fn has_line(dir: &Path, text: &str) -> bool {
    let files = std::fs::read_dir(dir).into_iter().flatten().flatten();
    files.filter_map(|f| std::fs::read(f.path()).ok()).any(|bytes| contains(&bytes, text.as_bytes()))
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len().max(1)).any(|w| w == text)
}
