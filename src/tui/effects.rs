//! Asking the daemon: each order is one call in a task of its own, and its outcome a message.
//!
//! The table is kept by a long poll that goes on for ever; it backs off while nobody answers.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tokio::task::JoinHandle;

use super::Options;
use super::msg::{Answer, Close, Effect, Msg};
use super::picture::Picture;
use crate::api::client::{Client, ClientError};
use crate::api::types::{CloseAllRequest, KillRequest, RestartRequest, SendRequest, StartRequest};

/// No two polls of the table begin within this time, however fast it changes.
const POLL_GAP: Duration = Duration::from_millis(100);
const BACKOFF_FIRST: Duration = Duration::from_millis(250);
const BACKOFF_LAST: Duration = Duration::from_secs(2);

/// Carries out what needs no terminal.
pub struct Performer {
    client: Client,
    options: Arc<Options>,
    send: Sender<Msg>,
    poll: JoinHandle<()>,
}

impl Drop for Performer {
    fn drop(&mut self) {
        self.poll.abort();
    }
}

impl Performer {
    pub fn new(client: Client, options: Arc<Options>, send: Sender<Msg>) -> Self {
        let poll = tokio::spawn(keep_table(client.clone(), send.clone()));
        Self { client, options, send, poll }
    }

    /// Starts carrying out an effect; gives back the ones that need the terminal.
    pub fn perform(&self, effect: Effect) -> Option<Effect> {
        let (client, send) = (self.client.clone(), self.send.clone());
        let call = match effect {
            Effect::Start { .. } => self.start(effect),
            Effect::Restart(id) => self.restart(id),
            Effect::Look(id) => spawn(send, async move { look(&client, id).await }),
            Effect::FindKeeper { id, name } => spawn(send, async move {
                let detail = answer(client.session(&id).await);
                let socket = detail.and_then(|d| d.keyless.map_or(Ok(d.keeper_socket), Err));
                Msg::KeeperFound { name, socket }
            }),
            Effect::Wake(after) => spawn(send, async move {
                tokio::time::sleep(after).await;
                Msg::Ticked
            }),
            Effect::Close { ticket, what, now } => spawn(send, async move { close(&client, ticket, what, now).await }),
            Effect::Act(verb, ids) => spawn(send, async move { Msg::Acted(answer(client.act(verb, &ids).await)) }),
            Effect::Type { id, name, text } => spawn(send, async move {
                let request = SendRequest { text: Some(text), key: None, enter: true };
                Msg::Typed(answer(client.send(&id, &request).await).map(|_| name))
            }),
            terminal @ (Effect::Attach { .. } | Effect::Copy(_) | Effect::Suspend | Effect::Quit) => {
                return Some(terminal);
            }
        };
        drop(call);
        None
    }

    fn start(&self, effect: Effect) -> JoinHandle<()> {
        let (client, template) = (self.client.clone(), self.options.template.clone());
        spawn(self.send.clone(), async move {
            let Effect::Start { command, name, workspace, size } = effect else { return Msg::Ticked };
            let size = Some(size).filter(|(cols, rows)| *cols > 0 && *rows > 0);
            let request = StartRequest { command, name, workspace: Some(workspace), size, ..template };
            Msg::Started(answer(client.start(&request).await))
        })
    }

    fn restart(&self, id: String) -> JoinHandle<()> {
        let (client, template) = (self.client.clone(), &self.options.template);
        let request = RestartRequest {
            env: template.env.clone(),
            env_whole: template.env_whole,
            umask: template.umask,
            limits: template.limits.clone(),
        };
        spawn(
            self.send.clone(),
            async move { Msg::Restarted(answer(client.restart(&id, &request).await).map(Box::new)) },
        )
    }
}

fn spawn(send: Sender<Msg>, call: impl Future<Output = Msg> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(async move {
        // The loop has ended: nobody wants to know any more.
        let _ = send.send(call.await).await;
    })
}

fn answer<T>(result: Result<T, ClientError>) -> Answer<T> {
    result.map_err(|error| error.to_string())
}

async fn look(client: &Client, id: String) -> Msg {
    let picture = answer(client.screen(&id).await).map(|screen| Box::new(Picture::new(&screen)));
    Msg::ScreenCame { id, picture }
}

async fn close(client: &Client, ticket: u64, what: Close, now: bool) -> Msg {
    let reason = Some("user".to_string());
    let report = match what {
        Close::These(targets) => client.kill(&KillRequest { targets, now, reason, ..KillRequest::default() }).await,
        Close::All => client.close_all(&CloseAllRequest { reason, project: None, now }).await,
    };
    Msg::Closed { ticket, report: answer(report) }
}

/// The table, whenever it is newer; ends when the loop has.
async fn keep_table(client: Client, send: Sender<Msg>) {
    let mut known: Option<u64> = None;
    let mut backoff = BACKOFF_FIRST;
    loop {
        let began = tokio::time::Instant::now();
        let table = match known {
            // The first table, and the first after a daemon went away, come at once.
            None => client.sessions(false, false).await,
            Some(generation) => client.sessions_newer_than(generation, false).await,
        };
        let (msg, pause) = match table {
            Ok(table) => {
                known = Some(table.generation);
                backoff = BACKOFF_FIRST;
                (Msg::TableCame(Box::new(table)), POLL_GAP.saturating_sub(began.elapsed()))
            }
            Err(error) => {
                known = None;
                let pause = backoff;
                backoff = (backoff * 2).min(BACKOFF_LAST);
                (Msg::LinkBroke(error.to_string()), pause)
            }
        };
        if send.send(msg).await.is_err() {
            return;
        }
        tokio::time::sleep(pause).await;
    }
}
