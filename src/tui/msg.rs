//! What can happen to the interface, and what it can ask of the world.

use std::time::Duration;

use crossterm::event::KeyEvent;

use super::link::Lack;
use super::panes::Memory;
use super::picture::Picture;
use super::recall::Pages;
use super::sweeping::{Marks, Purpose};
use crate::api::attach::Left;
use crate::api::sweep::SweepReport;
use crate::api::types::{Act, DaemonStatus, Detail, Done, KillReport, PaneAt, Recommendation, Session, Started, Table};

/// An answer of the daemon, or the sentence that says why there is none.
pub type Answer<T> = Result<T, String>;

/// A fact, past tense.
#[derive(Debug)]
pub enum Msg {
    Pressed(KeyEvent),
    Pasted(String),
    Resized(u16, u16),
    /// A second has passed, or a moment that was asked for with [`Effect::Wake`] has come.
    Ticked,
    TableCame(Box<Table>),
    /// The table could not be had, and what is missing.
    LinkBroke(String, Lack),
    /// Whoever takes the connections has answered nothing for so long.
    FellSilent(Duration),
    SpokeAgain,
    ScreenCame {
        id: String,
        picture: Answer<Box<Picture>>,
    },
    DetailCame {
        id: String,
        detail: Answer<Box<Detail>>,
        /// Of git, in its workspace.
        branch: Option<String>,
    },
    Started(Answer<Started>),
    /// A close that was asked for under this ticket is over.
    Closed {
        ticket: u64,
        report: Answer<KillReport>,
    },
    Acted(Answer<Done>),
    /// The recorded output of a session, made readable.
    RecallCame {
        id: String,
        pages: Answer<Box<Pages>>,
    },
    AdviceCame(Answer<Vec<Recommendation>>),
    HostCame(Answer<Box<DaemonStatus>>),
    Swept(Purpose, Answer<Box<SweepReport>>),
    /// Sessions that have ended, the latest first.
    EndedCame(Answer<Vec<Session>>),
    Resumed(Answer<Started>),
    /// Something small was done; in a sentence.
    Managed(Answer<String>),
    Clicked(u16, u16),
    /// The wheel was turned at a place; true: downwards.
    Wheeled(u16, u16, bool),
    Restarted(Answer<Box<Session>>),
    Typed(Answer<String>),
    DirectoriesCame {
        typed: String,
        names: Vec<String>,
    },
    /// Where a session's keeper listens, if it has one.
    KeeperFound {
        name: String,
        socket: Answer<Option<String>>,
    },
    /// The session is in this pane of tmux.
    PaneFound {
        name: String,
        pane: PaneAt,
    },
    /// The terminal is the interface's again after an attachment.
    AttachEnded {
        name: String,
        left: Answer<Left>,
    },
    Copied(Answer<String>),
}

/// An order to the world; what comes of it comes back as a [`Msg`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Start a daemon: none runs, and none would be started without a word.
    StartDaemon,
    /// Bring the screen of a session.
    Look(String),
    /// Bring the processes and the evidence of a session.
    Inquire(String),
    /// Send [`Msg::Ticked`] after so long.
    Wake(Duration),
    Start {
        command: Vec<String>,
        name: Option<String>,
        workspace: String,
        size: (u16, u16),
    },
    Close {
        ticket: u64,
        what: Close,
        /// Skip the grace.
        now: bool,
    },
    Act(Act, Vec<String>),
    /// Send a signal, by its name, to the leaders' groups.
    Signal(Vec<String>, String),
    Restart(String),
    /// Bring the sessions that have ended.
    AskEnded,
    /// Go on with the conversation of one.
    Resume {
        id: String,
        name: String,
    },
    /// Look for strays, or take the marked.
    Sweep(Purpose, Marks),
    /// Let sessions start again after an emergency.
    Release,
    /// Write down all that is kept of a session, in a directory of its own.
    Export {
        id: String,
        name: String,
    },
    Rename(String, String),
    /// Press a key, by its name, in a session.
    Answer {
        id: String,
        name: String,
        key: String,
    },
    /// Bring the recorded output of a session.
    Recall(String),
    /// Bring what to do about those that are not well.
    Advise,
    /// Bring what the machine tells.
    AskHost,
    /// Attach to a session in a window of its own, of the tmux this runs in.
    OpenWindow {
        id: String,
        name: String,
    },
    /// Keep this for the next time.
    Remember(Memory),
    /// Take the mouse, or leave it to the terminal.
    Mouse(bool),
    /// Tell the person outside the interface.
    Tell(String),
    /// Type a line and `Enter` into a session.
    Type {
        id: String,
        name: String,
        text: String,
    },
    /// Bring the directories in a place, to complete what was typed.
    ListDirectories {
        typed: String,
        place: String,
    },
    /// Ask where a session's keeper listens, to attach to it.
    FindKeeper {
        id: String,
        name: String,
    },
    /// Lend the terminal to the session behind this socket.
    Attach {
        socket: String,
        name: String,
    },
    /// Go to a pane of tmux, or lend the terminal to a client of it.
    GoToPane {
        pane: PaneAt,
        name: String,
    },
    /// Put text on the person's clipboard.
    Copy(String),
    /// Give the terminal back and stop, as `Ctrl-Z` does.
    Suspend,
    Quit,
}

/// Which sessions a close takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Close {
    These(Vec<String>),
    /// Every managed one.
    All,
}
