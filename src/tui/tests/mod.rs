//! The whole interface without a terminal or a daemon: messages in; state, effects and screens out.

mod around;
mod behaviour;
mod chaos;
mod hostile;
mod screens;
mod sweeping;

use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::Options;
use super::app::App;
use super::msg::{Effect, Msg};
use super::picture::Picture;
use super::update::update;
use super::view::view;
use crate::api::types::{Closed, Detail, Evidence, KillReport, Outcome, Process, Screen, Session, Survivor, Table};
use crate::model::session::{Attention, Health, Origin, State};

/// An application, its clock, and what it asked for.
pub struct Play {
    pub app: App,
    pub now: Duration,
    pub asked: Vec<Effect>,
}

impl Play {
    pub fn new(cols: u16, rows: u16) -> Self {
        Self::with(cols, rows, |_| {})
    }

    pub fn with(cols: u16, rows: u16, set: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options {
            host: "web01".into(),
            directory: "/srv/app".into(),
            command: "claude".into(),
            ..Options::default()
        };
        set(&mut options);
        Self { app: App::new(Arc::new(options), (cols, rows)), now: Duration::ZERO, asked: Vec::new() }
    }

    /// With the table of a bad morning.
    pub fn busy(cols: u16, rows: u16) -> Self {
        let mut play = Self::new(cols, rows);
        play.table(1, morning());
        play
    }

    pub fn tell(&mut self, msg: Msg) -> &mut Self {
        self.asked.extend(update(&mut self.app, self.now, msg));
        self
    }

    pub fn table(&mut self, generation: u64, sessions: Vec<Session>) -> &mut Self {
        self.tell(Msg::TableCame(Box::new(Table { generation, sessions, latched: None, strays: 0 })))
    }

    pub fn after(&mut self, seconds: f64) -> &mut Self {
        self.now += Duration::from_secs_f64(seconds);
        self.tell(Msg::Ticked)
    }

    pub fn press(&mut self, code: KeyCode) -> &mut Self {
        self.tell(Msg::Pressed(KeyEvent::new(code, KeyModifiers::NONE)))
    }

    pub fn control(&mut self, c: char) -> &mut Self {
        self.tell(Msg::Pressed(KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL)))
    }

    /// Types characters, one key each.
    pub fn keys(&mut self, text: &str) -> &mut Self {
        for c in text.chars() {
            self.press(KeyCode::Char(c));
        }
        self
    }

    /// What was asked for since the last time.
    pub fn effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.asked)
            .into_iter()
            .filter(|e| {
                !matches!(
                    e,
                    Effect::Remember(_)
                        | Effect::Look(_)
                        | Effect::Wake(_)
                        | Effect::Inquire(_)
                        | Effect::Advise
                        | Effect::AskHost
                )
            })
            .collect()
    }

    pub fn looks(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.asked)
    }

    /// Answers a look at the selected session.
    pub fn show_screen(&mut self, ansi: &str) -> &mut Self {
        let id = self.app.selected_id().unwrap_or_default().to_string();
        let screen =
            Screen { cols: 80, rows: 24, ansi: ansi.into(), title: "✳ Login form".into(), ..Screen::default() };
        self.tell(Msg::ScreenCame { id, picture: Ok(Box::new(Picture::new(&screen))) })
    }

    pub fn terminal(&self) -> Terminal<TestBackend> {
        let mut terminal = Terminal::new(TestBackend::new(self.app.size.0, self.app.size.1)).unwrap();
        terminal.draw(|frame| view(&self.app, frame)).unwrap();
        terminal
    }

    pub fn screen(&self) -> String {
        self.terminal().backend().to_string()
    }
}

pub fn session(id: &str, name: &str, agent: &str) -> Session {
    Session {
        id: id.into(),
        name: name.into(),
        agent: agent.into(),
        project: Some("web".into()),
        workspace: "/srv/app".into(),
        origin: Origin::Managed,
        address: None,
        state: State::Running,
        health: Health::Healthy,
        attention: Attention::Working,
        reason: "output 3 s ago".into(),
        pinned: false,
        leader_pid: Some(12_345),
        processes: Some(4),
        cpu_percent: Some(12.4),
        io_bytes_per_second: None,
        closes_at: None,
        closes_because: None,
        memory_bytes: Some(388 << 20),
        messages: Some(17),
        started_at: "2026-11-20T10:00:00Z".into(),
        last_activity_at: Some("2026-11-20T10:14:57Z".into()),
        idle_seconds: Some(3.1),
        age_seconds: 2880.0,
        exit: None,
        attached: 0,
        command: vec![agent.into()],
        resume: None,
    }
}

/// Sessions of every kind, in no order.
pub fn morning() -> Vec<Session> {
    vec![
        Session { pinned: true, ..session("k3f9q6", "backend-SetupDatabase", "codex") },
        Session {
            health: Health::Stuck,
            reason: "spinning: no output 41 m".into(),
            idle_seconds: Some(2460.0),
            age_seconds: 7300.0,
            cpu_percent: Some(99.0),
            memory_bytes: Some(1150 << 20),
            processes: Some(14),
            ..session("k3f9q4", "nightly-refactor", "claude")
        },
        Session {
            attention: Attention::Waiting,
            reason: "waiting for you, 12 m".into(),
            idle_seconds: Some(720.0),
            cpu_percent: Some(0.2),
            ..session("k3f9q5", "frontend-CreateLoginForm", "claude")
        },
        Session {
            health: Health::Orphaned,
            state: State::Lingering,
            leader_pid: None,
            attention: Attention::Unknown,
            reason: "terminal gone, 2 left".into(),
            idle_seconds: Some(8040.0),
            processes: Some(2),
            ..session("k3f9q2", "data-backfill", "codex")
        },
        Session {
            origin: Origin::Tmux,
            attention: Attention::Unknown,
            project: None,
            processes: None,
            cpu_percent: None,
            memory_bytes: None,
            idle_seconds: None,
            messages: None,
            last_activity_at: None,
            reason: String::new(),
            started_at: "2026-11-20T11:00:00Z".into(),
            ..session("t00001", "ops:2", "cursor-agent")
        },
        Session {
            state: State::Paused,
            started_at: "2026-11-20T12:00:00Z".into(),
            reason: "paused".into(),
            ..session("k3f9q9", "日本語のとても長いセッション", "goose")
        },
    ]
}

pub fn closed(name: &str, outcome: Outcome, seconds: f64) -> Closed {
    let survivor = Survivor {
        pid: 4711,
        command: "git index-pack".into(),
        state: "D".into(),
        owner: "root".into(),
        why: "uninterruptible sleep in nfs_wait".into(),
    };
    Closed {
        id: name.into(),
        name: name.into(),
        outcome,
        signals: vec!["TERM".into()],
        processes: 14,
        survivors: if outcome == Outcome::Survivors { vec![survivor] } else { Vec::new() },
        seconds,
        reason: "user".into(),
        resume: (outcome == Outcome::Forced).then(|| "claude --resume 4f1c2a".into()),
        spared: Vec::new(),
        screen: None,
    }
}

pub fn report(sessions: Vec<Closed>) -> KillReport {
    let failed = sessions.iter().filter(|s| s.outcome == Outcome::Survivors).count();
    KillReport { closed: sessions.len() - failed, failed, sessions }
}

pub fn detail(id: &str) -> Detail {
    let process = |pid, depth, command: &str, memory_bytes| Process {
        pid,
        parent_pid: 1,
        start_time: 1,
        command: command.into(),
        state: "S".into(),
        cpu_percent: Some(0.5),
        memory_bytes,
        depth,
    };
    let evidence = |kind: &str, text: &str| Evidence { kind: kind.into(), text: text.into(), at: None };
    Detail {
        session: session(id, "x", "claude"),
        evidence: vec![evidence("output", "12 m ago"), evidence("cpu", "below the floor")],
        tree: vec![
            process(12_345, 0, "claude --model opus", 300 << 20),
            process(12_400, 1, "node /srv/app/node_modules/.bin/mcp-server-filesystem /srv/app", 62 << 20),
            process(12_401, 1, "bash -c cargo test\x1b[31m", 26 << 20),
        ],
        keeper_socket: Some("/run/k".into()),
        keeper_pid: Some(12_300),
        pane: None,
        keyless: None,
        started_by: None,
    }
}
