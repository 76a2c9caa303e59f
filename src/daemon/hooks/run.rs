//! One run of one hook, on a thread that may wait.

use std::io::{Read, Write};
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::Setting;
use crate::config::{Hook, show_duration};
use crate::daemon::events::Line;
use crate::model::text::printable_within;
use crate::sys::leash;

/// What is kept of its complaints, in bytes.
const COMPLAINTS: u64 = 2048;
/// How long after the end of a leash its complaints may take.
const LAST_WORDS: Duration = Duration::from_millis(200);

pub struct Wanted {
    pub hook: Arc<Hook>,
    pub line: Line,
    pub setting: Setting,
}

impl Wanted {
    pub fn run(self) {
        let begun = Instant::now();
        let result = self.outcome();
        let (command, number, kind) = (&self.hook.command, self.line.number, self.line.kind.as_str());
        let counts = &self.setting.counts;
        match result {
            Ok(()) => {
                counts.done.fetch_add(1, Ordering::Relaxed);
                info!(?command, number, kind, seconds = begun.elapsed().as_secs_f64(), "a hook was run");
            }
            Err(why) => {
                counts.failed.fetch_add(1, Ordering::Relaxed);
                self.setting.store.count("errors", "hook");
                warn!(?command, number, kind, "a hook failed: {why}");
            }
        }
        self.setting.store.count("runs", "hook");
    }

    fn outcome(&self) -> Result<(), String> {
        let mut env = self.setting.env.to_vec();
        env.push(("BEADLE_EVENT".into(), self.line.kind.clone()));
        let (command, timeout) = (&self.hook.command, self.hook.timeout);
        let started = self.setting.leashes.start(|| leash::start(command, timeout, &env));
        let mut child = started.map_err(|e| format!("failed to start it: {e}"))?;
        let said = complaints(&mut child);
        self.hand_over(&mut child);
        let status = child.wait();
        self.setting.leashes.forget(&child);
        let said = printable_within(&said.recv_timeout(LAST_WORDS).unwrap_or_default(), 300);
        let said = if said.is_empty() { said } else { format!(": {said}") };
        match status.map_err(|e| e.to_string())?.code() {
            Some(0) => Ok(()),
            Some(code) if code == i32::from(leash::LATE) => {
                Err(format!("ended after {}, with all it had started{said}", show_duration(timeout)))
            }
            Some(code) if code == i32::from(leash::LEFT) => Err(format!("something of it cannot be taken{said}")),
            Some(code) => Err(format!("exit status {code}{said}")),
            None => Err(format!("what held it was killed{said}")),
        }
    }

    /// The event on its standard input. One that does not read it all is no failure.
    fn hand_over(&self, child: &mut Child) {
        if let Some(mut input) = child.stdin.take() {
            let _ = input.write_all(format!("{}\n", self.line.body).as_bytes());
        }
    }
}

/// Its complaints, the first of them, once it has ended. More than is kept is read as well, so that it can go on.
fn complaints(child: &mut Child) -> mpsc::Receiver<String> {
    let (send, said) = mpsc::channel();
    if let Some(mut complaints) = child.stderr.take() {
        let read = move || {
            let mut first = Vec::new();
            // Until an error is what was said; who waits may have given up.
            let _ = complaints.by_ref().take(COMPLAINTS).read_to_end(&mut first);
            let _ = std::io::copy(&mut complaints, &mut std::io::sink());
            let _ = send.send(String::from_utf8_lossy(&first).trim().to_string());
        };
        // Without a thread nothing is heard of them.
        let _ = std::thread::Builder::new().stack_size(64 << 10).spawn(read);
    }
    said
}
