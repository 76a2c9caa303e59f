//! What others say to the supervisor: commands (someone asks; may be refused) and inputs (facts, past tense; cannot be).

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use super::adopt::Adopted;
use super::authority::Caller;
use super::birth::{Born, Unborn};
use super::cleaner::{Made, Reloaded};
use super::close::Report;
use super::discovery::Scene;
use super::hooks;
use super::link::{Answer, Delivered, Link};
use super::metrics::Figures;
use super::overview::Overview;
use super::sampler::{Ask, Ground, Sample};
use super::store::Store;
use super::sweep::Ordered;
use crate::api::cleanup::{Cleaned, Configured, SetDone, Stats, Switched};
use crate::api::refusal::{Code, Refusal};
use crate::api::sweep::{EmergencyRequest, Released, SweepReport, SweepRequest};
use crate::api::types::{
    Act, CloseAllRequest, DaemonStatus, Detail, Done, HealthReport, KillReport, KillRequest, RenameRequest,
    RestartRequest, Session, SignalRequest, StartRequest, Started, Table, Touched,
};
use crate::model::profile::Look;
use crate::model::scene::Pane;
use crate::model::session::{Asked, ExitBy, ProcId};

/// An answer on its way.
pub type Reply<T> = oneshot::Sender<Result<T, Refusal>>;

/// Someone asks.
pub enum Command {
    Table {
        all: bool,
        /// With plain shells in tmux panes.
        shells: bool,
        reply: Reply<Table>,
    },
    /// Measure first.
    Sample {
        reply: Reply<()>,
    },
    /// Somebody looks: measure often for a while.
    Watch,
    Health {
        reply: Reply<HealthReport>,
    },
    Detail {
        word: String,
        reply: Reply<(Detail, Ask, Ground)>,
    },
    /// The tmux pane of a session beadle did not start; `None` for a managed one.
    Pane {
        word: String,
        /// To type into it, and not only to look.
        typing: bool,
        reply: Reply<Option<(Session, Pane)>>,
    },
    Link {
        word: String,
        reply: Reply<(Session, Link)>,
    },
    /// The same, to type; true where it reads from a pipe.
    Type {
        word: String,
        reply: Reply<(Session, Link, bool)>,
    },
    Files {
        word: String,
        reply: Reply<Files>,
    },
    Start {
        request: Box<StartRequest>,
        reply: Reply<Started>,
    },
    Kill {
        request: KillRequest,
        by: ExitBy,
        asked: Option<Asked>,
        reply: Reply<KillReport>,
    },
    CloseAll {
        request: CloseAllRequest,
        by: ExitBy,
        asked: Option<Asked>,
        reply: Reply<KillReport>,
    },
    Sweep {
        request: SweepRequest,
        asked: Option<Asked>,
        reply: Reply<SweepReport>,
    },
    Emergency {
        request: EmergencyRequest,
        asked: Option<Asked>,
        reply: Reply<SweepReport>,
    },
    /// Sessions may start again.
    Release {
        reply: Reply<Released>,
    },
    Act {
        verb: Act,
        targets: Vec<String>,
        reply: Reply<Done>,
    },
    Signal {
        request: SignalRequest,
        reply: Reply<Done>,
    },
    Rename {
        word: String,
        request: RenameRequest,
        reply: Reply<Session>,
    },
    Restart {
        word: String,
        request: Box<RestartRequest>,
        asked: Option<Asked>,
        reply: Reply<Session>,
    },
    /// A new session that goes on with the conversation of one that has ended.
    Resume {
        word: String,
        request: Box<RestartRequest>,
        reply: Reply<Started>,
    },
    Heartbeat {
        word: String,
        /// No beat: the agent's own word for what it does.
        says: Option<String>,
        reply: Reply<Session>,
    },
    Status {
        reply: Reply<DaemonStatus>,
    },
    Reload {
        reply: Reply<String>,
    },
    /// The cleaner's pass, now.
    Clean {
        reply: Reply<Cleaned>,
    },
    CleanerStats {
        reply: Reply<Stats>,
    },
    /// For monitoring.
    Figures {
        reply: Reply<Figures>,
    },
    /// Start or stop the cleaner.
    SwitchCleaner {
        on: bool,
        reply: Reply<Switched>,
    },
    /// The three settings of the plain form.
    Configure {
        pairs: Vec<(String, String)>,
        reply: Reply<Configured>,
    },
    /// Settings by key; only checked unless they are to hold.
    Set {
        pairs: Vec<(String, String)>,
        keep: bool,
        reply: Reply<SetDone>,
    },
    /// The config file of this daemon.
    ConfigFile {
        reply: Reply<std::path::PathBuf>,
    },
    /// Exempt one process from the linger close.
    KeepChild {
        word: String,
        pid: i32,
        reply: Reply<Touched>,
    },
    /// The id of the session a process belongs to.
    Holder {
        pid: i32,
        reply: Reply<String>,
    },
    /// Of the queue of projects.
    Project {
        order: super::projects::Order,
        asked: Option<Asked>,
        reply: Reply<super::projects::Answer>,
    },
    Shutdown {
        keep: Option<bool>,
        asked: Option<Asked>,
        reply: Reply<KillReport>,
    },
    /// End now, whatever is under way.
    End,
    /// Execute the daemon again in place.
    Again {
        reply: Reply<()>,
    },
}

/// Where the recording of a session is, and how far it has got.
pub struct Files {
    pub dir: crate::api::kept::Dir,
    pub ended: bool,
    /// Bytes of output in the recording by now, where the keeper tells.
    pub recorded: Option<u64>,
}

/// A fact.
pub enum Input {
    /// From a keeper's connection. The keeper's identity tells a connection of an earlier keeper from the present one.
    Keeper {
        id: String,
        keeper: ProcId,
        what: Delivered,
    },
    Born {
        id: String,
        born: Result<Box<Born>, Box<Unborn>>,
    },
    Closed(Box<Report>),
    /// What a keeper said to the order to start its agent again, or why nothing.
    StartedAgain {
        id: String,
        started: Result<Answer, &'static str>,
        reply: Reply<Session>,
    },
    /// The keeper had its time to say that it is over.
    Settle(String),
    /// Somebody outside the session was attached to a tmux server born inside it.
    Visited {
        id: String,
        server: ProcId,
    },
    /// tmux servers were asked who is attached.
    AskedTmux,
    /// A process of a session without a keeper ended.
    MemberEnded(String),
    /// The closes of a shutdown are over, or its deadline has passed.
    ShutDown {
        report: KillReport,
        reply: Reply<KillReport>,
        overdue: bool,
    },
    /// From the queue's own work.
    Queue(Box<super::projects::News>),
    /// Bytes that are kept of each session.
    Measured(Vec<(String, u64)>),
    /// The sessions of an emergency are closed: strays are next.
    ToSweep {
        ordered: Box<Ordered>,
        reply: Reply<SweepReport>,
    },
    /// A sweep is over, and has left so many.
    Swept(Vec<ProcId>),
    /// What was to be removed was, or could not be.
    Removed,
    /// One pass: what every session uses, and all that was seen.
    Sampled(Vec<Sample>, Box<Scene>),
    /// What a screen says; `None` when its keeper did not tell.
    Looked {
        id: String,
        keeper: ProcId,
        look: Option<Look>,
    },
    SampleFailed(String),
    Reloaded(Box<Reloaded>),
    RoomMade(Box<Made>),
    Adopted(Vec<Adopted>),
    Paused {
        id: String,
        paused: bool,
        processes: usize,
    },
}

/// How the supervisor ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Stopped,
    /// With sessions still closing.
    Overdue,
    Again,
}

/// A command and who gives it.
pub struct Given {
    pub from: Caller,
    pub command: Command,
}

/// The verbs, for one caller. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    pub commands: mpsc::UnboundedSender<Given>,
    pub generation: watch::Receiver<u64>,
    pub from: Caller,
    pub store: Store,
    pub hooks: Arc<hooks::Counts>,
    pub overview: Overview,
}

impl Handle {
    /// The same verbs for somebody else.
    #[must_use]
    pub fn of(&self, from: Caller) -> Self {
        Self { from, ..self.clone() }
    }

    /// Ends the supervisor; sessions stay with their keepers.
    pub fn end(&self) {
        self.tell(Command::End);
    }

    /// Sends a command that nobody waits for.
    pub fn tell(&self, command: Command) {
        // It has ended already.
        let _ = self.commands.send(Given { from: self.from.clone(), command });
    }

    /// Sends a command and waits for its answer.
    pub async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, Refusal> {
        let gone = || Refusal::new(Code::ShuttingDown, "the daemon is shutting down");
        let (send, receive) = oneshot::channel();
        let asked = Given { from: self.from.clone(), command: command(send) };
        self.commands.send(asked).map_err(|_| gone())?;
        receive.await.map_err(|_| gone())?
    }
}
