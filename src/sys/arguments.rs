//! Command lines. Reading one can hang on a process that cannot be reached (state `D` with its memory locked), so they are
//! read on a thread of their own, with a deadline.

use std::io::Read;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::process;
use crate::model::session::ProcId;

/// Most bytes of one that are read: what a process is stands at the beginning.
const MOST: u64 = 16 << 10;

/// What was read until the deadline.
#[derive(Debug, Default)]
pub struct Answers {
    pub read: Vec<(ProcId, Vec<String>)>,
    /// The one that did not answer. Those behind it were not asked.
    pub hung: Option<ProcId>,
}

/// The arguments of each that is still there.
pub fn of(wanted: Vec<ProcId>, deadline: Duration) -> Answers {
    let mut answers = Answers::default();
    if wanted.is_empty() {
        return answers;
    }
    let (send, receive) = mpsc::channel();
    let until = Instant::now() + deadline;
    let order = wanted.clone();
    let asked = std::thread::Builder::new().name("arguments".into()).stack_size(64 << 10).spawn(move || {
        for id in wanted {
            if send.send(one(id)).is_err() {
                return;
            }
        }
    });
    if asked.is_err() {
        return answers;
    }
    for id in order {
        let Ok(arguments) = receive.recv_timeout(until.saturating_duration_since(Instant::now())) else {
            answers.hung = Some(id);
            break;
        };
        answers.read.extend(arguments.map(|a| (id, a)));
    }
    answers
}

fn one(id: ProcId) -> Option<Vec<String>> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(format!("/proc/{}/cmdline", id.pid)).ok()?;
    file.take(MOST).read_to_end(&mut bytes).ok()?;
    // Read before somebody else could have got the pid.
    let same = process::identity(id.pid) == Some(id);
    let trimmed = bytes.strip_suffix(b"\0").unwrap_or(&bytes);
    same.then(|| trimmed.split(|b| *b == 0).map(|a| String::from_utf8_lossy(a).into_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_are_there_are_read_and_a_reused_pid_is_nobody() {
        let own = process::own_identity().unwrap();
        let gone = ProcId { start: own.start + 1, ..own };
        let answers = of(vec![gone, own], Duration::from_secs(5));
        assert_eq!(answers.hung, None);
        assert_eq!(answers.read.len(), 1);
        assert_eq!(answers.read[0], (own, process::arguments(own.pid)));
        assert!(of(Vec::new(), Duration::ZERO).read.is_empty());
    }

    #[test]
    fn who_does_not_answer_in_time_is_named() {
        let own = process::own_identity().unwrap();
        let answers = of(vec![own; 100_000], Duration::ZERO);
        assert_eq!(answers.hung, Some(own));
    }
}
