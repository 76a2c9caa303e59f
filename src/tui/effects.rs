//! Asking the daemon: each order is one call in a task of its own, and its outcome a message.
//!
//! The table is kept by a task of its own ([`super::link`]).

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::mpsc::Sender;
use tokio::task::JoinHandle;

use super::link::{self, Door};
use super::msg::{Answer, Close, Effect, Msg};
use super::picture::Picture;
use super::recall::Pages;
use super::sweeping::{Marks, Purpose};
use super::{Options, branch, deeds, outside};
use crate::api::client::{Client, ClientError};
use crate::api::sweep::{EmergencyRequest, SweepRequest};
use crate::api::types::{
    CloseAllRequest, Detail, KillRequest, RenameRequest, RestartRequest, SendRequest, Session, StartRequest,
};
use crate::model::session::State;

/// Carries out what needs no terminal.
pub struct Performer {
    door: Door,
    /// A person wants a daemon started.
    wanted: Arc<Notify>,
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
        let (door, wanted) = (Door::new(client), Arc::<Notify>::default());
        let poll = tokio::spawn(link::keep(door.clone(), Arc::clone(&options), Arc::clone(&wanted), send.clone()));
        Self { door, wanted, options, send, poll }
    }

    pub fn client(&self) -> Client {
        self.door.client()
    }

    /// Starts carrying out an effect; gives back the ones that need the terminal.
    pub fn perform(&self, effect: Effect) -> Option<Effect> {
        let (client, send) = (self.client(), self.send.clone());
        let call = match effect {
            Effect::Start { .. } => self.start(effect),
            Effect::Restart(id) => self.restart(id),
            Effect::Look(id) => spawn(send, async move { look(&client, id).await }),
            Effect::Inquire(id) => spawn(send, async move { inquire(&client, id).await }),
            Effect::Recall(id) => spawn(send, async move { recall(&client, id).await }),
            Effect::Advise => spawn(send, async move {
                Msg::AdviceCame(answer(client.health().await).map(|report| report.recommendations))
            }),
            Effect::AskHost => spawn(send, async move { Msg::HostCame(answer(client.daemon().await).map(Box::new)) }),
            Effect::OpenWindow { id, name } => {
                let is_readonly = self.options.readonly;
                spawn(send, async move {
                    let open = move || outside::open_window(client.way(), &id, &name, is_readonly);
                    let opened = tokio::task::spawn_blocking(open).await;
                    Msg::Managed(opened.unwrap_or_else(|error| Err(error.to_string())))
                })
            }
            Effect::ListDirectories { typed, place } => spawn(send, async move { directories(typed, place).await }),
            Effect::AskEnded => spawn(send, async move { Msg::EndedCame(ended(&client).await) }),
            Effect::Resume { id, .. } => self.resume(id),
            Effect::Sweep(purpose, marks) => spawn(send, async move { sweep(&client, purpose, marks).await }),
            Effect::Release => {
                spawn(send, async move { Msg::Managed(answer(client.release().await).map(|r| r.message)) })
            }
            Effect::Export { id, name } => {
                let directory = Path::new(&self.options.directory).join(deeds::export_name(&name));
                spawn(send, async move { export(&client, &id, directory).await })
            }
            Effect::Rename(id, name) => spawn(send, async move {
                let request = RenameRequest { name: Some(name), project: None };
                Msg::Managed(answer(client.rename(&id, &request).await).map(|row| format!("now called {}", row.name)))
            }),
            Effect::Signal(ids, signal) => {
                spawn(send, async move { Msg::Acted(answer(client.signal(&ids, &signal).await)) })
            }
            Effect::Answer { id, name, key } => spawn(send, async move {
                let request = SendRequest { text: None, key: Some(key), enter: false };
                Msg::Typed(answer(client.send(&id, &request).await).map(|_| name))
            }),
            Effect::Remember(memory) => {
                let path = self.options.memory.clone();
                tokio::task::spawn_blocking(move || {
                    // What cannot be kept is only asked for again.
                    let _ = path.map(|path| outside::remember(&path, &memory));
                })
            }
            Effect::FindKeeper { id, name } => spawn(send, async move { find(&client, id, name).await }),
            Effect::StartDaemon => {
                self.wanted.notify_one();
                return None;
            }
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
            terminal @ (Effect::Attach { .. }
            | Effect::GoToPane { .. }
            | Effect::Copy(_)
            | Effect::Mouse(_)
            | Effect::Tell(_)
            | Effect::Suspend
            | Effect::Quit) => return Some(terminal),
        };
        drop(call);
        None
    }

    fn start(&self, effect: Effect) -> JoinHandle<()> {
        let (client, template) = (self.client(), self.options.template.clone());
        spawn(self.send.clone(), async move {
            let Effect::Start { command, name, workspace, size } = effect else { return Msg::Ticked };
            let size = Some(size).filter(|(cols, rows)| *cols > 0 && *rows > 0);
            // None named, elsewhere: wherever the daemon there starts things.
            let workspace = Some(workspace).filter(|w| !w.is_empty());
            let request = StartRequest { command, name, workspace, size, ..template };
            Msg::Started(answer(client.start(&request).await))
        })
    }

    fn handed_down(&self) -> RestartRequest {
        let template = &self.options.template;
        RestartRequest {
            env: template.env.clone(),
            env_whole: template.env_whole,
            umask: template.umask,
            limits: template.limits.clone(),
        }
    }

    fn resume(&self, id: String) -> JoinHandle<()> {
        let (client, request) = (self.client(), self.handed_down());
        spawn(self.send.clone(), async move { Msg::Resumed(answer(client.resume(&id, &request).await)) })
    }

    fn restart(&self, id: String) -> JoinHandle<()> {
        let (client, request) = (self.client(), self.handed_down());
        spawn(self.send.clone(), async move {
            Msg::Restarted(answer(client.restart(&id, &request).await).map(|again| Box::new(again.session)))
        })
    }
}

fn spawn(send: Sender<Msg>, call: impl Future<Output = Msg> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(async move {
        // The loop has ended: nobody wants to know any more.
        let _ = send.send(call.await).await;
    })
}

fn answer<T>(result: Result<T, ClientError>) -> Answer<T> {
    result.map_err(|error| match error {
        // Where it was looked for helps nobody here; the line at the top says what goes on.
        ClientError::Connect { .. } => "no daemon answers: nothing was done".into(),
        ClientError::Broken { .. } => "the daemon went away before it answered; what it had begun goes on".into(),
        other => other.to_string(),
    })
}

/// Where somebody who attaches goes: to a keeper, or to a pane of tmux.
async fn find(client: &Client, id: String, name: String) -> Msg {
    let detail = answer(client.session(&id).await);
    if let Ok(Detail { pane: Some(pane), .. }) = &detail {
        return Msg::PaneFound { name, pane: pane.clone() };
    }
    let socket = detail.and_then(|d| d.keyless.clone().map_or(Ok(client.door(&d)), Err));
    Msg::KeeperFound { name, socket }
}

async fn look(client: &Client, id: String) -> Msg {
    let picture = answer(client.screen(&id).await).map(|screen| Box::new(Picture::new(&screen)));
    Msg::ScreenCame { id, picture }
}

/// Those whose conversation can go on, the latest first; of several with one name the latest.
async fn ended(client: &Client) -> Answer<Vec<Session>> {
    let mut ended = answer(client.sessions(true, false).await)?.sessions;
    ended.retain(|s| s.state == State::Ended && s.resume.is_some());
    let at = |s: &Session| s.exit.as_ref().map(|exit| exit.at.clone());
    ended.sort_by_key(|s| std::cmp::Reverse(at(s)));
    let mut names = HashSet::new();
    ended.retain(|s| names.insert(s.name.clone()));
    Ok(ended)
}

async fn sweep(client: &Client, purpose: Purpose, marks: Marks) -> Msg {
    let dry_run = !matches!(purpose, Purpose::Act { .. });
    let Marks { only, take, leave } = marks;
    let only = (!dry_run).then_some(only);
    let reason = Some("user".to_string()).filter(|_| !dry_run);
    let report = match purpose {
        Purpose::Plan { emergency: true } | Purpose::Act { emergency: true } => {
            client.emergency(&EmergencyRequest { reason, dry_run, latch: true, only, take, leave }).await
        }
        Purpose::Watch | Purpose::Plan { emergency: false } | Purpose::Act { emergency: false } => {
            client.sweep(&SweepRequest { reason, dry_run, only, take, leave }).await
        }
    };
    Msg::Swept(purpose, answer(report).map(Box::new))
}

async fn export(client: &Client, id: &str, directory: PathBuf) -> Msg {
    let done = match client.export(id).await {
        Ok(bytes) => {
            let unpacking = tokio::task::spawn_blocking(move || outside::unpack(&bytes, &directory));
            unpacking.await.unwrap_or_else(|error| Err(error.to_string()))
        }
        Err(error) => Err(error.to_string()),
    };
    Msg::Managed(done)
}

/// How long a workspace may take to say its branch.
const WORKSPACE: Duration = Duration::from_millis(500);

/// Nothing where it hangs or cannot be read.
async fn directories(typed: String, place: String) -> Msg {
    let reading = tokio::task::spawn_blocking(move || outside::directories(Path::new(&place)));
    let names = tokio::time::timeout(WORKSPACE, reading).await.ok().and_then(Result::ok).unwrap_or_default();
    Msg::DirectoriesCame { typed, names }
}

async fn inquire(client: &Client, id: String) -> Msg {
    let detail = answer(client.session(&id).await).map(Box::new);
    if client.way().is_elsewhere() {
        return Msg::DetailCame { id, detail, branch: None };
    }
    let workspace = detail.as_ref().map(|d| d.session.workspace.clone()).unwrap_or_default();
    let reading = tokio::task::spawn_blocking(move || branch::of(Path::new(&workspace)));
    let branch = tokio::time::timeout(WORKSPACE, reading).await.ok().and_then(Result::ok).flatten();
    Msg::DetailCame { id, detail, branch }
}

async fn recall(client: &Client, id: String) -> Msg {
    let (log, screen) = tokio::join!(client.log(&id, 0, false), client.screen(&id));
    // A session whose keeper is gone has a recording, and no screen to say how wide it was.
    let size = screen.map_or((80, 24), |s| (s.cols, s.rows));
    let pages = match log {
        Ok(log) => tokio::task::spawn_blocking(move || Box::new(Pages::new(&log.bytes, size)))
            .await
            .map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    Msg::RecallCame { id, pages }
}

async fn close(client: &Client, ticket: u64, what: Close, now: bool) -> Msg {
    let reason = Some("user".to_string());
    let report = match what {
        Close::These(targets) => client.kill(&KillRequest { targets, now, reason, ..KillRequest::default() }).await,
        Close::All => client.close_all(&CloseAllRequest { reason, project: None, now }).await,
    };
    Msg::Closed { ticket, report: answer(report) }
}
