//! Keeping the table, and with it the link to the daemon: lost, silent, begun anew.
//!
//! ```text
//!             an answer                       no word when asked
//!   lost ◄──────────────► up ◄────────────────────────────────────────► silent (it hangs)
//!    │ for PATIENCE, on this machine
//!    ├── it had said that it ends, or only looking is allowed ──▶ gone: a person starts one
//!    └── it never said so ──▶ starting, as every command does ──▶ up, or failed
//! ```

use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, sleep, timeout};

use super::Options;
use super::msg::Msg;
use crate::api::client::{Client, ClientError};
use crate::api::launch;
use crate::api::refusal::Code;
use crate::api::types::Table;
use crate::api::way::Way;
use crate::config::paths::Paths;

/// No two polls of the table begin within this time, however fast it changes.
const POLL_GAP: Duration = Duration::from_millis(100);
const BACKOFF_FIRST: Duration = Duration::from_millis(250);
const BACKOFF_LAST: Duration = Duration::from_secs(2);

/// So long nobody answers before one is started: an upgrade has its own, and is quicker.
const PATIENCE: Duration = Duration::from_millis(1500);

/// A poll without news for so long: is anybody there?
const QUIET: Duration = Duration::from_secs(2);
/// Each part of the time a daemon has to answer that. In parts, since time in which this process was stopped is not the
/// daemon's: it can end one of them only.
const PART: Duration = Duration::from_secs(1);
const PARTS: u32 = 3;

/// What is missing where no daemon answers, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Lack {
    /// It may come back by itself.
    #[default]
    Unknown,
    /// None runs, and none is started unless a person says so.
    Gone,
    /// One is being started.
    Starting,
    /// None could be started; the reason.
    Failed(String),
}

/// Where the daemon is by now. Another one may listen elsewhere.
#[derive(Debug, Clone)]
pub struct Door(Arc<Mutex<Client>>);

impl Door {
    pub fn new(client: Client) -> Self {
        Self(Arc::new(Mutex::new(client)))
    }

    pub fn client(&self) -> Client {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn moved(&self, socket: PathBuf) {
        let mut client = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(client.way(), Way::Socket(known) if *known == socket) {
            *client = Client::new(socket);
        }
    }
}

/// How long nobody has answered, and what follows from that.
struct Loss {
    since: Instant,
    /// It ended as it should: somebody wanted that.
    was_told: bool,
    lack: Lack,
}

impl Loss {
    fn new() -> Self {
        Self { since: Instant::now(), was_told: false, lack: Lack::Unknown }
    }

    /// Takes in one more call without an answer. `paths` are those of a daemon that may be started from here.
    fn again(&mut self, error: &ClientError, paths: Option<&Paths>, is_readonly: bool) {
        let is_ending = matches!(error, ClientError::Refused(refusal) if refusal.code == Code::ShuttingDown);
        if is_ending {
            // It is still there, and how long it takes is its own business.
            (self.was_told, self.since) = (true, Instant::now());
        }
        let Some(paths) = paths.filter(|_| error.is_no_answer() && self.lack == Lack::Unknown) else { return };
        if self.since.elapsed() < PATIENCE {
            return;
        }
        // One that ends takes its address along; one that is killed cannot.
        let has_ended = self.was_told || !paths.address().exists();
        self.lack = if has_ended || is_readonly { Lack::Gone } else { Lack::Starting };
    }
}

/// The table, whenever it is newer; ends when the loop has. `wanted`: a person wants a daemon started.
pub async fn keep(door: Door, options: Arc<Options>, wanted: Arc<Notify>, send: Sender<Msg>) {
    let paths = options.daemon.as_ref();
    let mut known: Option<u64> = None;
    let mut backoff = BACKOFF_FIRST;
    let mut loss: Option<Loss> = None;
    loop {
        let began = Instant::now();
        let error = match table(&door.client(), known, &send).await {
            Ok(table) => {
                (known, loss, backoff) = (Some(table.generation), None, BACKOFF_FIRST);
                if send.send(Msg::TableCame(Box::new(table))).await.is_err() {
                    return;
                }
                sleep(POLL_GAP.saturating_sub(began.elapsed())).await;
                continue;
            }
            Err(error) => error,
        };
        known = None;
        let loss = loss.get_or_insert_with(Loss::new);
        loss.again(&error, paths, options.readonly);
        if send.send(Msg::LinkBroke(error.to_string(), loss.lack.clone())).await.is_err() {
            return;
        }
        if let Some(paths) = paths.filter(|_| loss.lack == Lack::Starting) {
            match launch::ensure_daemon(paths).await {
                Ok(socket) => door.moved(socket),
                Err(why) => loss.lack = Lack::Failed(why.to_string()),
            }
            backoff = BACKOFF_FIRST;
            if loss.lack == Lack::Starting {
                // Should that one go away at once, the next is not started at once.
                (loss.lack, loss.since) = (Lack::Unknown, Instant::now());
                sleep(POLL_GAP).await;
                continue;
            }
            if send.send(Msg::LinkBroke(error.to_string(), loss.lack.clone())).await.is_err() {
                return;
            }
        }
        tokio::select! {
            () = sleep(backoff) => {}
            () = wanted.notified(), if matches!(loss.lack, Lack::Gone | Lack::Failed(_)) => loss.lack = Lack::Starting,
        }
        backoff = (backoff * 2).min(BACKOFF_LAST);
        // Somebody else may have started one, with another address.
        if let Some(socket) = paths.and_then(|paths| launch::doors(paths).into_iter().find(|door| door.exists())) {
            door.moved(socket);
        }
    }
}

/// The table: the first one, and the first after a daemon went away, at once.
///
/// A poll may wait long for news, so its silence says nothing: beside it the daemon is asked for a word.
async fn table(client: &Client, known: Option<u64>, send: &Sender<Msg>) -> Result<Table, ClientError> {
    let mut poll = pin!(async {
        match known {
            None => client.sessions(false, false).await,
            Some(generation) => client.sessions_newer_than(generation, false).await,
        }
    });
    let mut heard = Instant::now();
    let mut is_silent = false;
    loop {
        tokio::select! {
            table = &mut poll => return table,
            () = sleep(QUIET) => {}
        }
        if client.is_busy() {
            continue;
        }
        let mut word = pin!(client.get::<serde_json::Value>("/api/version"));
        let mut parts = 0;
        let has_answered = loop {
            tokio::select! {
                table = &mut poll => return table,
                answer = timeout(PART, &mut word) => match answer {
                    // That the way is gone the poll finds out too.
                    Ok(_) => break true,
                    Err(_) if parts + 1 < PARTS => parts += 1,
                    Err(_) => break false,
                },
            }
        };
        if has_answered {
            heard = Instant::now();
        }
        if has_answered == is_silent {
            is_silent = !has_answered;
            let msg = if is_silent { Msg::FellSilent(heard.elapsed()) } else { Msg::SpokeAgain };
            // The loop has ended: so does this, at the next table.
            let _ = send.send(msg).await;
        }
    }
}
