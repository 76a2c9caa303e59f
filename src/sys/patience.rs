//! Reading what can hang: on a thread, with a deadline. Whoever does not answer costs one thread, and is asked again only
//! once it has answered after all: a busy machine makes somebody late and nobody deaf.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long is waited.
#[derive(Debug, Clone, Copy)]
pub enum Within {
    /// For each answer.
    Each(Duration),
    /// For all of them together.
    All(Duration),
}

/// Reads for one key after the other, and remembers on which of them a read hangs.
#[derive(Debug)]
pub struct Patience<K> {
    /// With what says that the read has come back.
    hung: HashMap<K, Arc<AtomicBool>>,
}

impl<K> Default for Patience<K> {
    fn default() -> Self {
        Self { hung: HashMap::new() }
    }
}

impl<K: Clone + Eq + Hash + Send + 'static> Patience<K> {
    /// A read for it was begun and has not come back.
    pub fn hangs(&self, key: &K) -> bool {
        self.hung.get(key).is_some_and(|back| !back.load(Ordering::Relaxed))
    }

    /// What was read in time, in the order of the keys; who hangs is left out until it has come back, those behind it for
    /// this time.
    pub fn read<T: Send + 'static>(
        &mut self,
        keys: Vec<K>,
        within: Within,
        read: impl Fn(&K) -> T + Send + 'static,
    ) -> Vec<(K, T)> {
        self.hung.retain(|_, back| !back.load(Ordering::Relaxed));
        let keys: Vec<K> = keys.into_iter().filter(|key| !self.hung.contains_key(key)).collect();
        if keys.is_empty() {
            return Vec::new();
        }
        let (send, receive) = mpsc::channel();
        let begun = Instant::now();
        let order = keys.clone();
        let back = Arc::new(AtomicBool::new(false));
        let come_back = Arc::clone(&back);
        let started = std::thread::Builder::new().name("reading".into()).stack_size(256 << 10).spawn(move || {
            for key in keys {
                let answer = read(&key);
                if send.send((key, answer)).is_err() {
                    // Nobody waits for the rest any more.
                    come_back.store(true, Ordering::Relaxed);
                    return;
                }
            }
            come_back.store(true, Ordering::Relaxed);
        });
        let mut answers = Vec::with_capacity(order.len());
        if started.is_err() {
            return answers;
        }
        for key in order {
            let wait = match within {
                Within::Each(time) => time,
                Within::All(time) => time.saturating_sub(begun.elapsed()),
            };
            let Ok(answer) = receive.recv_timeout(wait) else {
                self.hung.insert(key, back);
                break;
            };
            answers.push(answer);
        }
        answers
    }

    /// Forgets who is of no interest any more.
    pub fn retain(&mut self, keep: impl Fn(&K) -> bool) {
        self.hung.retain(|key, _| keep(key));
    }
}

/// One thing, read in time.
pub fn within<T: Send + 'static>(time: Duration, read: impl Fn() -> T + Send + 'static) -> Option<T> {
    Patience::default().read(vec![()], Within::All(time), move |()| read()).pop().map(|((), answer)| answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    const LONG: Duration = Duration::from_secs(20);

    fn numbers(answers: Vec<(i32, ())>) -> Vec<i32> {
        answers.into_iter().map(|(n, ())| n).collect()
    }

    #[test]
    fn who_hangs_is_left_out_until_it_has_come_back_and_the_others_are_read_the_next_time() {
        let gate = Arc::new(Mutex::new(()));
        let held = gate.lock().unwrap();
        let mut patience = Patience::default();
        let behind = Arc::clone(&gate);
        let read = move |n: &i32| {
            if *n == 2 {
                drop(behind.lock());
            }
        };
        let short = Within::All(Duration::from_millis(50));
        assert_eq!(numbers(patience.read(vec![1, 2, 3], short, read.clone())), [1]);
        assert!(patience.hangs(&2) && !patience.hangs(&1));
        assert_eq!(numbers(patience.read(vec![1, 2, 3], Within::All(LONG), read.clone())), [1, 3]);
        drop(held);
        let end = Instant::now() + LONG;
        while patience.hangs(&2) && Instant::now() < end {
            std::thread::yield_now();
        }
        assert_eq!(numbers(patience.read(vec![1, 2, 3], Within::All(LONG), read)), [1, 2, 3]);
    }

    #[test]
    fn all_together_may_take_longer_than_each() {
        let slowly = |_: &i32| std::thread::sleep(Duration::from_millis(30));
        let each = Within::Each(Duration::from_secs(1));
        assert_eq!(Patience::default().read((0..40).collect(), each, slowly).len(), 40);
    }
}
