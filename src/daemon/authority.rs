//! Who asks, what each command is, and whether that may be.

use std::sync::Arc;
use std::time::Duration;

use tracing::info;

use super::entry::Entry;
use super::foreign::Foreign;
use super::handle::Command;
use super::hooks::Leashes;
use super::projects::Order;
use super::supervisor::{Supervisor, answer};
use crate::api::refusal::{Code, Refusal};
use crate::api::types::Act;
use crate::api::wire::Request;
use crate::model::authority::{self, Authority, Kin, Place, Target, Verb};
use crate::model::session::ProcId;
use crate::sys::kin;

/// How long the lineage of a caller is read for.
const PATIENCE: Duration = Duration::from_millis(500);

const STOP: Verb = Verb::Rule("stop the daemon");

/// Who asks.
#[derive(Debug, Clone)]
pub enum Caller {
    /// The daemon itself: a signal it was sent, a rule of its own.
    Daemon,
    Peer(Arc<Kin>),
    /// Somebody with the token. Which process that is, and of which machine, nobody can tell; what an agent inherits from
    /// whoever starts it holds no token (`cli::caller`).
    Bearer,
}

impl Caller {
    /// A process that connected; `None` for one that has gone already.
    pub async fn of(peer: Option<ProcId>, leashes: &Leashes) -> Self {
        let read = peer.map(|peer| tokio::task::spawn_blocking(move || kin::of(peer)));
        // No answer is no knowledge: see `authority::place`.
        let kin = match read {
            Some(read) => tokio::time::timeout(PATIENCE, read).await.ok().and_then(Result::ok).unwrap_or_default(),
            None => Kin::default(),
        };
        let hook = leashes.hold(&kin);
        Self::Peer(Arc::new(Kin { hook, ..kin }))
    }

    /// Asks from inside a hook.
    pub fn is_hook(&self) -> bool {
        match self {
            Self::Daemon | Self::Bearer => false,
            Self::Peer(kin) => kin.hook,
        }
    }
}

/// What a command asks, and of which sessions.
fn asked(command: &Command) -> (Verb, &[String]) {
    use std::slice::from_ref;
    match command {
        Command::Table { .. }
        | Command::Sample { .. }
        | Command::Watch
        | Command::Health { .. }
        | Command::Detail { .. }
        | Command::Link { .. }
        | Command::Pane { typing: false, .. }
        | Command::Files { .. }
        | Command::CleanerStats { .. }
        | Command::Figures { .. }
        | Command::ConfigFile { .. }
        | Command::Holder { .. }
        | Command::Set { keep: false, .. }
        | Command::Status { .. } => (Verb::Read, &[]),
        Command::Start { .. } => (Verb::Start, &[]),
        Command::Heartbeat { word, .. } => (Verb::Heartbeat, from_ref(word)),
        Command::Pane { word, .. } | Command::Type { word, .. } => (Verb::Act("type into"), from_ref(word)),
        Command::Kill { request, .. } if request.dry_run => (Verb::Read, &[]),
        Command::Kill { request, .. } => (Verb::Act("kill"), &request.targets),
        Command::Act { verb, targets, .. } => (Verb::Act(named(*verb)), targets),
        Command::Signal { request, .. } => (Verb::Act("send a signal to"), &request.targets),
        Command::Rename { word, .. } => (Verb::Act("rename"), from_ref(word)),
        Command::Restart { word, .. } => (Verb::Act("restart"), from_ref(word)),
        Command::Resume { word, .. } => (Verb::Act("resume"), from_ref(word)),
        Command::KeepChild { word, .. } => (Verb::Keep, from_ref(word)),
        Command::Clean { .. } => (Verb::Rule("have the cleaner look now"), &[]),
        Command::SwitchCleaner { .. } => (Verb::Rule("start or stop the cleaner"), &[]),
        Command::Configure { .. } | Command::Set { .. } => (Verb::Rule("change settings"), &[]),
        Command::Sweep { request, .. } if request.dry_run => (Verb::Read, &[]),
        Command::Sweep { .. } => (Verb::Rule("sweep"), &[]),
        Command::Emergency { .. } => (Verb::Rule("order an emergency"), &[]),
        Command::Release { .. } => (Verb::Rule("release the latch"), &[]),
        Command::CloseAll { .. } => (Verb::Rule("close all sessions"), &[]),
        Command::Reload { .. } => (Verb::Rule("have the config read again"), &[]),
        Command::Project { order: Order::Add(_), .. } => (Verb::Rule("add projects to the queue"), &[]),
        Command::Project { order: Order::End { .. }, .. } => (Verb::Rule("end projects"), &[]),
        Command::Project { order: Order::Remove { .. }, .. } => (Verb::Rule("forget projects"), &[]),
        Command::Shutdown { .. } | Command::End => (STOP, &[]),
        Command::Again { .. } => (Verb::Rule("restart the daemon"), &[]),
    }
}

const fn named(act: Act) -> &'static str {
    match act {
        Act::Pause => "pause",
        Act::Unpause => "unpause",
        Act::Pin => "pin",
        Act::Unpin => "unpin",
        Act::Rm => "forget",
    }
}

/// Answers a command that is not done.
fn refuse(command: Command, why: Refusal) {
    match command {
        Command::Table { reply, .. } => answer(reply, Err(why)),
        Command::Sample { reply } | Command::Again { reply } => answer(reply, Err(why)),
        Command::Health { reply } => answer(reply, Err(why)),
        Command::Detail { reply, .. } => answer(reply, Err(why)),
        Command::Link { reply, .. } => answer(reply, Err(why)),
        Command::Type { reply, .. } => answer(reply, Err(why)),
        Command::Pane { reply, .. } => answer(reply, Err(why)),
        Command::Files { reply, .. } => answer(reply, Err(why)),
        Command::Status { reply } => answer(reply, Err(why)),
        Command::Start { reply, .. } | Command::Resume { reply, .. } => answer(reply, Err(why)),
        Command::Heartbeat { reply, .. } | Command::Rename { reply, .. } | Command::Restart { reply, .. } => {
            answer(reply, Err(why));
        }
        Command::Kill { reply, .. } | Command::CloseAll { reply, .. } | Command::Shutdown { reply, .. } => {
            answer(reply, Err(why));
        }
        Command::Sweep { reply, .. } | Command::Emergency { reply, .. } => answer(reply, Err(why)),
        Command::Release { reply } => answer(reply, Err(why)),
        Command::Act { reply, .. } | Command::Signal { reply, .. } => answer(reply, Err(why)),
        Command::Reload { reply } | Command::Holder { reply, .. } => answer(reply, Err(why)),
        Command::Clean { reply } => answer(reply, Err(why)),
        Command::Figures { reply } => answer(reply, Err(why)),
        Command::CleanerStats { reply } => answer(reply, Err(why)),
        Command::SwitchCleaner { reply, .. } => answer(reply, Err(why)),
        Command::Configure { reply, .. } => answer(reply, Err(why)),
        Command::Set { reply, .. } => answer(reply, Err(why)),
        Command::ConfigFile { reply } => answer(reply, Err(why)),
        Command::KeepChild { reply, .. } => answer(reply, Err(why)),
        Command::Project { reply, .. } => answer(reply, Err(why)),
        // Nobody waits for these.
        Command::Watch | Command::End => {}
    }
}

fn target_of(entry: &Entry) -> Target<'_> {
    Target { id: entry.id(), name: entry.name(), started_by: &entry.session.started_by }
}

impl Supervisor {
    /// Refuses what the caller may not ask; else the command comes back to be done.
    pub(super) fn authorised(&self, from: &Caller, command: Command) -> Option<Command> {
        let (verb, words) = asked(&command);
        match self.judged(from, verb, words) {
            Ok(()) => Some(command),
            Err(refusal) => {
                info!("refused {words:?}: {refusal}");
                refuse(command, refusal);
                None
            }
        }
    }

    fn judged(&self, from: &Caller, verb: Verb, words: &[String]) -> Result<(), Refusal> {
        if matches!(verb, Verb::Read | Verb::Start) {
            return Ok(());
        }
        let place = self.place(from);
        if place == Place::Outside {
            return Ok(());
        }
        if words.is_empty() {
            return self.judge(&place, verb, None);
        }
        let ids = self.find_several(words)?;
        let managed = |e: &'_ Entry| self.judge(&place, verb, Some(target_of(e)));
        ids.iter().filter_map(|id| self.entries.get(id)).try_for_each(managed)?;
        // What beadle did not start was started by no session of it.
        let foreign = ids.iter().filter_map(|id| self.foreign.get(id));
        let target =
            |f: &'_ Foreign| self.judge(&place, verb, Some(Target { id: &f.id, name: f.name(), started_by: &[] }));
        foreign.into_iter().try_for_each(target)
    }

    fn judge(&self, place: &Place, verb: Verb, target: Option<Target<'_>>) -> Result<(), Refusal> {
        authority::judge(place, verb, target, self.set.config.agents.authority)
            .map_err(|why| Refusal::new(Code::Forbidden, why.to_string()))
    }

    /// What keepers are told of the setting.
    pub(super) fn authority(&self) -> Request {
        Request::Authority { all: self.set.config.agents.authority == Authority::All }
    }

    fn place(&self, from: &Caller) -> Place {
        let kin = match from {
            Caller::Peer(kin) => kin,
            Caller::Daemon | Caller::Bearer => return Place::Outside,
        };
        let holds = |id: ProcId| {
            let mut live = self.live();
            live.find(|e| e.keeper == Some(id) || e.members.contains(&id)).map(|e| e.id().to_string())
        };
        let any = !self.births.is_empty() || self.live().next().is_some();
        authority::place(kin, &self.set.instance, any, holds)
    }

    /// Why the caller's keys are not for this session's terminal; its keeper would not take them either.
    pub(super) fn keyless(&self, from: &Caller, word: &str) -> Option<String> {
        let words = [word.to_string()];
        self.judged(from, Verb::Act("type into"), &words).err().map(|refusal| refusal.message)
    }

    /// Why the caller may not stop the daemon.
    pub(super) fn unstoppable(&self, from: &Caller) -> Option<String> {
        self.judged(from, STOP, &[]).err().map(|refusal| refusal.message)
    }

    /// What a session started by the caller descends from: the caller's own, and what that one was started from.
    pub(super) fn descent(&self, from: &Caller) -> Vec<String> {
        let Place::Inside(Some(own)) = self.place(from) else { return Vec::new() };
        let before = self.entries.get(&own).map(|e| e.session.started_by.clone()).unwrap_or_default();
        std::iter::once(own).chain(before).collect()
    }
}
