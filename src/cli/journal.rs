//! `daemon logs`: what the daemon noted, from its files, whether or not it runs.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::args::DaemonLogs;
use super::connect;
use super::exit::{DONE, Ended, Failure};
use super::print;

/// How often a followed file is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// No more than this is read at once, nor from the end of a file.
const PIECE: u64 = 4 << 20;

pub fn run(args: &DaemonLogs) -> Ended {
    let dir = connect::paths()?.logs();
    let files = by_age(&dir)?;
    let (lines, position) = last_lines(&files, args.lines)?;
    if lines.is_empty() && !args.follow {
        print::complain(&format!("nothing is noted in {} yet", dir.display()));
    }
    for line in lines {
        print::log_line(&line)?;
    }
    if args.follow { follow(&dir, files.last().cloned(), position) } else { Ok(DONE) }
}

/// The files of a directory, oldest first; none when there is no directory.
fn by_age(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let failed = |source| Failure::Read { path: dir.into(), source };
    let entries = match std::fs::read_dir(dir) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut files: Vec<(SystemTime, PathBuf)> = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        // A file that goes away while we look is not the newest.
        if let Ok(about) = entry.metadata()
            && about.is_file()
        {
            files.push((about.modified().unwrap_or(SystemTime::UNIX_EPOCH), entry.path()));
        }
    }
    files.sort();
    Ok(files.into_iter().map(|(_, path)| path).collect())
}

/// The last `count` lines over all files, and how far the newest file was read.
fn last_lines(files: &[PathBuf], count: usize) -> Result<(Vec<String>, u64), Failure> {
    let (mut lines, mut position) = (Vec::new(), 0);
    for (back, path) in files.iter().rev().enumerate() {
        let (text, end) = tail(path)?;
        if back == 0 {
            position = end;
        }
        let mut older: Vec<String> = text.lines().rev().take(count - lines.len()).map(String::from).collect();
        lines.append(&mut older);
        if lines.len() == count {
            break;
        }
    }
    lines.reverse();
    Ok((lines, position))
}

fn tail(path: &Path) -> Result<(String, u64), Failure> {
    let failed = |source| Failure::Read { path: path.into(), source };
    let length = std::fs::metadata(path).map_err(failed)?.len();
    read_from(path, length.saturating_sub(PIECE))
}

/// At most [`PIECE`] bytes of text from `position`, and where they end.
fn read_from(path: &Path, position: u64) -> Result<(String, u64), Failure> {
    let failed = |source| Failure::Read { path: path.into(), source };
    let mut file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(position)).map_err(failed)?;
    file.take(PIECE).read_to_end(&mut bytes).map_err(failed)?;
    Ok((String::from_utf8_lossy(&bytes).into_owned(), position + bytes.len() as u64))
}

/// Prints what is added, in this file and in the next ones, until somebody ends it.
fn follow(dir: &Path, mut current: Option<PathBuf>, mut position: u64) -> Ended {
    let mut unfinished = String::new();
    loop {
        if let Some(path) = &current {
            let (text, end) = read_from(path, position)?;
            position = end;
            unfinished.push_str(&text);
            while let Some(at) = unfinished.find('\n') {
                let line: String = unfinished.drain(..=at).collect();
                print::log_line(line.trim_end())?;
            }
        }
        std::thread::sleep(LOOK);
        let newest = by_age(dir)?.pop();
        if newest != current {
            (current, position) = (newest, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_reach_back_into_older_files() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text, age) in [("a.1", "1\n2\n3\n", 20), ("a.2", "4\n5\n", 10)] {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            let then = SystemTime::now() - Duration::from_secs(age);
            File::options().write(true).open(&path).unwrap().set_modified(then).unwrap();
        }
        let files = by_age(dir.path()).unwrap();
        assert_eq!(last_lines(&files, 3).unwrap(), (vec!["3".into(), "4".into(), "5".into()], 4));
        assert_eq!(last_lines(&files, 0).unwrap().0, Vec::<String>::new());
        assert_eq!(by_age(&dir.path().join("none")).unwrap(), Vec::<PathBuf>::new());
    }
}
