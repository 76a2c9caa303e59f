//! The terminal interface: the table of sessions, the screen of the selected one, and a key for each verb.
//!
//! ```text
//!   keys, resizes ──┐                                ┌──▶ view(&App, &mut Frame)    when dirty
//!   signals, ticks ─┼──▶ Msg ──▶ update(&mut App) ───┤
//!   daemon's answers┘     ▲                          └──▶ [Effect] ──▶ Performer ──┐
//!                         └────────────────────────────────────────────────────────┘
//! ```
//!
//! - [`update`] is pure: no clock, no I/O; every rule of the interface is there, and tested there.
//! - `view` formats what `App` holds and computes nothing but places.
//! - [`stage`] is the loop: the only one to read the clock, to draw, and to own the terminal.
//! - [`effects`] asks the daemon. One task ([`link`]) keeps a long poll on the table, and starts a daemon where one was
//!   killed; everything else is one call that comes back as a [`msg::Msg`]. The channel is bounded: while somebody is attached, nothing piles up.
//! - [`listing`] says what stands in the table line by line, made anew when something changed and never for a frame;
//!   [`filter`], [`column`] and [`panes`] are what a person chose about it.
//! - [`seen`] keeps what nobody else does: activity over time, since when, what changed.
//! - [`keymap`] is the one table of keys: help, palette, foot and config are made from it; [`applies`] says on which rows
//!   they do something.
//! - [`terminal`] is the guard that puts the terminal back, whatever happens.
//!
//! Input is drawn at once; data at most once per 16 ms; at rest nothing is drawn.
//! Text from processes is made printable in [`rows`] and [`picture`] and is never seen raw behind them.

pub mod advice;
pub mod app;
pub mod applies;
pub mod asking;
pub mod branch;
pub mod column;
pub mod confirm;
pub mod deeds;
pub mod effects;
pub mod filter;
pub mod form;
pub mod format;
pub mod host;
pub mod keymap;
pub mod known;
pub mod line;
pub mod link;
pub mod listing;
pub mod menu;
pub mod msg;
pub mod outside;
pub mod palette;
pub mod panes;
pub mod picture;
pub mod preview;
pub mod recall;
pub mod rows;
pub mod seen;
pub mod stage;
pub mod sweeping;
pub mod tell;
pub mod terminal;
pub mod theme;
pub mod update;
pub mod view;

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::api::client::Client;
use crate::api::types::StartRequest;

/// How the interface is set up. Not `Debug`: the template holds an environment.
#[derive(Clone)]
pub struct Options {
    /// Look only: keys that change something are refused and hidden.
    pub readonly: bool,
    /// The supervisor runs inside this process.
    pub embedded: bool,
    /// The name of this machine, for the header.
    pub host: String,
    /// The key that detaches, as the config has it; empty for the default.
    pub detach_key: String,
    /// What the form for a new session offers the first time, such as the default agent.
    pub command: String,
    /// Where new sessions run unless the form says otherwise; absolute.
    pub directory: String,
    /// What `~` stands for.
    pub home: Option<String>,
    /// `stop.grace`, named in questions.
    pub grace: Duration,
    /// False for `NO_COLOR`.
    pub colour: bool,
    /// This terminal has no signs beyond ASCII.
    pub is_ascii: bool,
    /// `[tui]` of the config.
    pub looks: crate::config::Tui,
    /// Environment, umask and limits of new sessions; everything else in it is replaced.
    pub template: StartRequest,
    /// Stops this process as `Ctrl-Z` would (SIGSTOP to itself, or to its group); returns when continued. `None`:
    /// `Ctrl-Z` does nothing.
    pub stop: Option<fn()>,
    /// The daemon is one of this machine that commands start where there is none: where it would be.
    pub daemon: Option<crate::config::paths::Paths>,
    /// Where what is remembered for the next time is written; `None`: nothing is.
    pub memory: Option<std::path::PathBuf>,
    /// Runs inside tmux: windows can be opened, and the clipboard is behind it.
    pub is_in_tmux: bool,
    /// In which started-at times are shown.
    pub zone: jiff::tz::TimeZone,
}

impl Options {
    /// What can be known from the environment; the caller adds host, grace, template and stop.
    pub fn from_env() -> Self {
        let directory = std::env::current_dir().map(|d| d.to_string_lossy().into_owned());
        Self {
            directory: directory.unwrap_or_else(|_| "/".into()),
            home: std::env::var("HOME").ok(),
            colour: std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
            is_ascii: is_ascii(|name| std::env::var(name).ok()),
            is_in_tmux: std::env::var_os("TMUX").is_some_and(|v| !v.is_empty()),
            zone: jiff::tz::TimeZone::system(),
            ..Self::default()
        }
    }
}

/// A locale that was chosen and is not of UTF-8 (`locale(7)`), or the console of Linux, whose fonts have few signs.
fn is_ascii(get: impl Fn(&str) -> Option<String>) -> bool {
    let chosen = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(&get).find(|value| !value.is_empty());
    let is_other = chosen.is_some_and(|locale| !locale.to_lowercase().replace('-', "").contains("utf8"));
    is_other || get("TERM").as_deref() == Some("linux")
}

impl Default for Options {
    fn default() -> Self {
        Self {
            readonly: false,
            embedded: false,
            host: String::new(),
            detach_key: String::new(),
            command: String::new(),
            directory: "/".into(),
            home: None,
            grace: Duration::from_secs(5),
            colour: true,
            is_ascii: false,
            looks: crate::config::Tui::default(),
            template: StartRequest::default(),
            stop: None,
            daemon: None,
            memory: None,
            is_in_tmux: false,
            zone: jiff::tz::TimeZone::UTC,
        }
    }
}

/// Why the interface could not start, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum TuiError {
    #[error("failed to show the interface: standard input and output must be a terminal (`beadle ls` needs none)")]
    NoTerminal,
    #[error("failed to set up the terminal: {0}")]
    Setup(#[source] std::io::Error),
    #[error("failed to draw: {0}")]
    Draw(#[source] std::io::Error),
    #[error("failed to read keys: {0}")]
    Input(#[source] std::io::Error),
    #[error("failed to go on: a part of the program panicked")]
    Panicked,
}

/// Shows the interface until the person quits or a signal ends it; the terminal is then as it was.
pub async fn run(client: Client, options: Options) -> Result<(), TuiError> {
    stage::Stage::open(client, options)?.play().await
}
