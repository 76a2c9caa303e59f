//! Hooks: commands the user's config names, run when something happens.
//!
//! ```text
//!   stream ──► dispatcher ──► queue (bounded), one for each hook ──► some at once ──► leash ── command
//!                  ▲
//!              config (watch)
//! ```
//!
//! Whoever listens here is one more reader of the stream: nothing waits for a hook. What does not fit into its queue is
//! left out and counted. A hook is not run for what came about through a hook: who asks from below a leash is known by
//! its lineage, when it connects. What escapes that (work handed to somebody else's service) meets the budget: so many
//! runs a minute, and no more.
//!
//! A hook that was not run because the daemon ended is not run by the next one.

mod budget;
mod leashes;
mod run;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Semaphore, mpsc, watch};
use tracing::warn;

pub use leashes::Leashes;

use self::budget::Budget;
use self::run::Wanted;
use super::events::{Line, Reader};
use super::store::Store;
use crate::config::{Config, Hook};

/// Events that wait for one hook.
const QUEUE: usize = 256;
/// Runs of one hook at once: one that hangs does not hold up the next event.
const AT_ONCE: usize = 4;

/// What became of runs, since the daemon began.
#[derive(Debug, Default)]
pub struct Counts {
    pub done: AtomicU64,
    pub failed: AtomicU64,
    /// The queue was full, or the budget used up.
    pub left_out: AtomicU64,
}

/// What hooks are run with.
#[derive(Clone)]
pub struct Setting {
    pub store: Store,
    pub leashes: Leashes,
    pub counts: Arc<Counts>,
    pub env: Arc<Vec<(String, String)>>,
}

/// One hook of the config while it holds.
struct Runner {
    hook: Hook,
    queue: mpsc::Sender<Line>,
    budget: Budget,
    /// That something was left out was said; until the next one fits.
    said: bool,
}

/// By which a running daemon changes its hooks.
pub type Hooks = watch::Sender<Arc<Vec<Hook>>>;

/// Begins to listen for the hooks of this config.
pub fn begin(config: &Config, store: &Store, leashes: &Leashes, env: Vec<(String, String)>) -> (Hooks, Arc<Counts>) {
    let (hooks, hooked) = watch::channel(Arc::new(config.hook.clone()));
    let counts = Arc::<Counts>::default();
    let setting =
        Setting { store: store.clone(), leashes: leashes.clone(), counts: Arc::clone(&counts), env: Arc::new(env) };
    tokio::spawn(run(setting, hooked));
    (hooks, counts)
}

/// Runs the hooks of the present config, for every event from now on. Never ends by itself.
async fn run(setting: Setting, mut config: watch::Receiver<Arc<Vec<Hook>>>) {
    let Some(from) = begun(&setting.store).await else { return };
    let mut reader = Reader::after(setting.store.clone(), from);
    let mut runners = Vec::new();
    take_over(&mut runners, &config.borrow_and_update().clone(), &setting);
    loop {
        tokio::select! {
            lines = reader.next() => {
                for line in lines.iter().filter(|line| !line.by_hook) {
                    runners.iter_mut().for_each(|runner| runner.offer(line, &setting));
                }
            }
            changed = config.changed() => {
                if changed.is_err() {
                    return;
                }
                take_over(&mut runners, &config.borrow_and_update().clone(), &setting);
            }
        }
    }
}

/// The number before this daemon's first event.
async fn begun(store: &Store) -> Option<u64> {
    let mut newest = store.stream().newest();
    newest.wait_for(Option::is_some).await.ok()?;
    Some(store.stream().first().saturating_sub(1))
}

/// Hooks that stay keep their queues; the queues of others are emptied and end.
fn take_over(runners: &mut Vec<Runner>, hooks: &[Hook], setting: &Setting) {
    let mut before = std::mem::take(runners);
    for hook in hooks {
        let same = before.iter().position(|runner| runner.hook == *hook);
        let runner = same.map_or_else(|| Runner::new(hook.clone(), setting), |at| before.swap_remove(at));
        runners.push(runner);
    }
}

impl Runner {
    fn new(hook: Hook, setting: &Setting) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        tokio::spawn(work(hook.clone(), waiting, setting.clone()));
        Self { hook, queue, budget: Budget::default(), said: false }
    }

    fn offer(&mut self, line: &Line, setting: &Setting) {
        if !self.hook.is_for(&line.kind) {
            return;
        }
        let why = if !self.budget.take(tokio::time::Instant::now()) {
            "it was run too often within a minute (does it cause what it is run for?)"
        } else if self.queue.try_send(line.clone()).is_err() {
            "too many events wait for it"
        } else {
            self.said = false;
            return;
        };
        setting.counts.left_out.fetch_add(1, Ordering::Relaxed);
        if !std::mem::replace(&mut self.said, true) {
            warn!(hook = ?self.hook.command, number = line.number, "a hook was left out: {why}");
        }
    }
}

async fn work(hook: Hook, mut waiting: mpsc::Receiver<Line>, setting: Setting) {
    let hook = Arc::new(hook);
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    while let Some(line) = waiting.recv().await {
        let Ok(turn) = Arc::clone(&turns).acquire_owned().await else { return };
        let wanted = Wanted { hook: Arc::clone(&hook), line, setting: setting.clone() };
        tokio::task::spawn_blocking(move || {
            let _turn = turn;
            wanted.run();
        });
    }
}
