//! Reading what can hang: on a thread, with a deadline. Whoever does not answer costs one thread, once.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Reads for one key after the other, and remembers on which of them a read hung: that one is not read again.
#[derive(Debug)]
pub struct Patience<K> {
    hung: HashSet<K>,
}

impl<K> Default for Patience<K> {
    fn default() -> Self {
        Self { hung: HashSet::new() }
    }
}

impl<K: Clone + Eq + Hash + Send + 'static> Patience<K> {
    /// What was read within the deadline, in the order of the keys; the one that did not answer by then is left out for
    /// good, those behind it for this time.
    pub fn read<T: Send + 'static>(
        &mut self,
        keys: Vec<K>,
        deadline: Duration,
        read: impl Fn(&K) -> T + Send + 'static,
    ) -> Vec<(K, T)> {
        let keys: Vec<K> = keys.into_iter().filter(|key| !self.hung.contains(key)).collect();
        if keys.is_empty() {
            return Vec::new();
        }
        let (send, receive) = mpsc::channel();
        let until = Instant::now() + deadline;
        let order = keys.clone();
        let started = std::thread::Builder::new().name("reading".into()).stack_size(256 << 10).spawn(move || {
            for key in keys {
                let answer = read(&key);
                // Nobody waits for the rest any more.
                if send.send((key, answer)).is_err() {
                    return;
                }
            }
        });
        let mut answers = Vec::with_capacity(order.len());
        if started.is_err() {
            return answers;
        }
        for key in order {
            let Ok(answer) = receive.recv_timeout(until.saturating_duration_since(Instant::now())) else {
                self.hung.insert(key);
                break;
            };
            answers.push(answer);
        }
        answers
    }

    /// Forgets who is of no interest any more.
    pub fn retain(&mut self, keep: impl Fn(&K) -> bool) {
        self.hung.retain(keep);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[test]
    fn who_hangs_is_left_out_and_the_others_are_read_the_next_time() {
        let gate = Arc::new(Mutex::new(()));
        let held = gate.lock().unwrap();
        let mut patience = Patience::default();
        let behind = Arc::clone(&gate);
        let read = move |n: &i32| {
            if *n == 2 {
                drop(behind.lock());
            }
        };
        let pids = |answers: Vec<(i32, ())>| answers.into_iter().map(|(n, ())| n).collect::<Vec<_>>();
        let deadline = Duration::from_millis(50);
        assert_eq!(pids(patience.read(vec![1, 2, 3], deadline, read.clone())), [1]);
        assert_eq!(pids(patience.read(vec![1, 2, 3], Duration::from_secs(20), read)), [1, 3]);
        drop(held);
    }
}
