//! All that the interface knows, and the questions the views ask of it.
//!
//! Holds no truth: the daemon's table replaces the rows whole. The clock is [`App::now`], set by the loop.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::Options;
use super::advice::Advice;
use super::column::{Column, Order};
use super::confirm::Confirm;
use super::deeds::{self, Deeds};
use super::filter::Filter;
use super::form::Form;
use super::host::Host;
use super::keymap::Keymap;
use super::known::Known;
use super::line::Line;
use super::link::Lack;
use super::listing::{Entry, Group, Grouping};
use super::menu::Menu;
use super::palette::Palette;
use super::panes::{Memory, Panes};
use super::preview::Preview;
use super::recall::Recall;
use super::rows::{Kind, Row, Totals};
use super::seen::Seen;
use super::sweeping::{Strays, Sweeping};
use super::theme::Theme;
use super::view::columns::Wishes;
use crate::api::types::KillReport;
use crate::model::session::State;

/// How long a new row stays marked, and one that has gone stays at all.
pub const FRESH: Duration = Duration::from_secs(3);

/// How the daemon is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// No table has come yet; why the last try failed.
    Connecting(Option<String>),
    Up,
    Lost {
        since: Duration,
        why: String,
    },
    /// It takes connections and answers nothing, since then.
    Silent {
        since: Duration,
    },
}

/// What takes the keys, and what belongs to it.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Mode {
    #[default]
    Table,
    Filter(Line),
    TypeLine {
        id: String,
        name: String,
        line: Line,
    },
    /// The next key is for that session.
    Answer {
        id: String,
        name: String,
    },
    Palette(Palette),
    /// In the recorded output.
    Search(Line),
    Menu(Menu),
    Confirm(Confirm),
    Form(Form),
    Help(Help),
    Sweep(Box<Sweeping>),
    /// What was done from here.
    Log {
        scroll: u16,
    },
    /// The last report, too long for the lines above the foot.
    Report {
        scroll: u16,
    },
}

/// The help, and what is looked for in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Help {
    pub scroll: u16,
    pub needle: Line,
    /// Keys go into the needle.
    pub is_typing: bool,
}

/// A sentence for the person, in place of the foot for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub text: String,
    pub is_bad: bool,
    pub until: Duration,
}

/// A close that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    pub ticket: u64,
    pub ids: Vec<String>,
    pub since: Duration,
}

/// The session that was asked for with `Enter` and is not there yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attaching {
    pub name: String,
    pub since: Duration,
}

/// A row that has just gone: shown for a moment, and nothing acts on it.
#[derive(Debug, Clone)]
pub struct Ghost {
    pub row: Row,
    pub until: Duration,
}

/// Where the cursor stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selected {
    Session(String),
    /// The heading of a group, by its title.
    Group(String),
}

/// The state of the interface.
pub struct App {
    pub options: Arc<Options>,
    pub theme: Theme,
    /// Since the program started; it never goes back.
    pub now: Duration,
    /// Columns and rows of the terminal.
    pub size: (u16, u16),
    pub link: Link,
    /// Where no daemon answers: what is missing.
    pub lack: Lack,
    pub rows: Vec<Row>,
    pub ghosts: Vec<Ghost>,
    /// What the table shows, line by line.
    pub lines: Vec<Entry>,
    pub groups: Vec<Group>,
    pub totals: Totals,
    /// How wide the columns would like to be.
    pub wishes: Wishes,
    pub generation: u64,
    /// When the rows came.
    pub received: Duration,
    pub filter: Filter,
    /// What is wrong with the filter being typed; the last good one holds meanwhile.
    pub filter_error: Option<String>,
    /// Filters by the number of the function key that brings them.
    pub saved: BTreeMap<u8, String>,
    /// Only those that need a person.
    pub faults_only: bool,
    pub columns: Vec<Column>,
    pub order: Order,
    pub grouping: Option<Grouping>,
    /// Titles of folded groups.
    pub folded: BTreeSet<String>,
    /// Sessions whose processes are shown.
    pub open_trees: BTreeSet<String>,
    /// What was asked about single sessions.
    pub details: BTreeMap<String, Known>,
    pub seen: Seen,
    pub selected: Option<Selected>,
    /// Where in `lines` the selection was last, for when it vanishes.
    pub cursor: usize,
    /// The first line of the table that is seen.
    pub offset: usize,
    pub marked: BTreeSet<String>,
    /// New rows, and until when they are marked as such.
    pub fresh: BTreeMap<String, Duration>,
    /// A session just started: the cursor goes there when it appears.
    pub awaited: Option<String>,
    pub mode: Mode,
    /// What is typed meanwhile is meant for that session, not for the table.
    pub attaching: Option<Attaching>,
    pub notice: Option<Notice>,
    pub closing: Vec<Closing>,
    pub tickets: u64,
    pub report: Option<KillReport>,
    /// The report has been opened, or needs not to be.
    pub report_seen: bool,
    pub last_form: Option<Form>,
    pub preview: Preview,
    /// Somebody reads what the selected session wrote before.
    pub recall: Option<Recall>,
    pub panes: Panes,
    pub host: Host,
    pub advice: Advice,
    /// What strays hold.
    pub strays: Strays,
    /// Since when and why nothing starts.
    pub latched: Option<String>,
    pub keymap: Keymap,
    pub deeds: Deeds,
    /// Commands of the palette, the latest last.
    pub history: Vec<String>,
    /// Where a range of marks would begin.
    pub anchor: Option<String>,
    /// The mouse is taken.
    pub has_mouse: bool,
    /// Idle times and ages as they were when last looked at.
    pub ages: Vec<String>,
    /// The screen does not show the state any more.
    pub is_dirty: bool,
}

impl App {
    pub fn new(options: Arc<Options>, size: (u16, u16)) -> Self {
        let looks = options.looks.clone();
        let sort = Column::from_word(looks.sort.as_str()).unwrap_or(Column::Health);
        let (filter, error) = Filter::read(&looks.filter);
        let mut app = Self {
            filter,
            columns: looks.columns.iter().filter_map(|c| Column::from_word(c.as_str())).collect(),
            order: Order { by: sort, is_reversed: false },
            keymap: Keymap::new(&looks.keys),
            has_mouse: looks.mouse,
            theme: Theme::named(looks.theme.as_str(), options.colour).unwrap_or_else(Theme::plain),
            ..Self::blank(options, size)
        };
        if let Some(error) = error {
            app.complain(format!("tui.filter of the config: {error}"));
        }
        app
    }

    fn blank(options: Arc<Options>, size: (u16, u16)) -> Self {
        Self {
            theme: Theme::plain(),
            options,
            now: Duration::ZERO,
            size,
            link: Link::Connecting(None),
            lack: Lack::default(),
            rows: Vec::new(),
            ghosts: Vec::new(),
            lines: Vec::new(),
            groups: Vec::new(),
            totals: Totals::default(),
            wishes: Wishes::default(),
            generation: 0,
            received: Duration::ZERO,
            filter: Filter::default(),
            filter_error: None,
            saved: BTreeMap::new(),
            faults_only: false,
            columns: Column::ALL.to_vec(),
            order: Order::default(),
            grouping: None,
            folded: BTreeSet::new(),
            open_trees: BTreeSet::new(),
            details: BTreeMap::new(),
            seen: Seen::default(),
            selected: None,
            cursor: 0,
            offset: 0,
            marked: BTreeSet::new(),
            fresh: BTreeMap::new(),
            awaited: None,
            mode: Mode::Table,
            attaching: None,
            notice: None,
            closing: Vec::new(),
            tickets: 0,
            report: None,
            report_seen: true,
            last_form: None,
            preview: Preview::default(),
            recall: None,
            panes: Panes::default(),
            host: Host::default(),
            advice: Advice::default(),
            strays: Strays::default(),
            latched: None,
            keymap: Keymap::default(),
            deeds: Deeds::default(),
            history: Vec::new(),
            anchor: None,
            has_mouse: false,
            ages: Vec::new(),
            is_dirty: true,
        }
    }

    pub fn row(&self, id: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.id() == id)
    }

    /// The row under the cursor.
    pub fn selected_row(&self) -> Option<&Row> {
        match self.lines.get(self.cursor)? {
            Entry::Session(index) => self.rows.get(*index),
            Entry::Group(_) | Entry::Ghost(_) | Entry::Process { .. } => None,
        }
    }

    pub fn selected_id(&self) -> Option<&str> {
        self.selected_row().map(Row::id)
    }

    /// The heading under the cursor.
    pub fn selected_group(&self) -> Option<&Group> {
        match self.lines.get(self.cursor)? {
            Entry::Group(index) => self.groups.get(*index),
            Entry::Session(_) | Entry::Ghost(_) | Entry::Process { .. } => None,
        }
    }

    /// Every session that is listed, in order; those of folded groups are not.
    pub fn visible_rows(&self) -> impl Iterator<Item = &Row> {
        self.lines.iter().filter_map(|entry| match entry {
            Entry::Session(index) => self.rows.get(*index),
            Entry::Group(_) | Entry::Ghost(_) | Entry::Process { .. } => None,
        })
    }

    /// How many sessions the filter lets through.
    pub fn shown(&self) -> usize {
        if self.grouping.is_some() {
            return self.groups.iter().map(|group| group.sessions).sum();
        }
        self.visible_rows().count()
    }

    /// Whom a key acts on: the marked, else the one under the cursor, else the group under it.
    pub fn targets(&self) -> Vec<&Row> {
        if !self.marked.is_empty() {
            return self.rows.iter().filter(|row| self.marked.contains(row.id())).collect();
        }
        let Some(group) = self.selected_group() else { return self.selected_row().into_iter().collect() };
        let grouping = self.grouping;
        let is_member = |row: &&Row| grouping.is_some_and(|g| g.key(row) == group.title) && self.takes(row);
        self.rows.iter().filter(is_member).collect()
    }

    /// The filter and the key for faults let it through.
    pub fn takes(&self, row: &Row) -> bool {
        self.filter.takes(row) && !(self.faults_only && row.kind == Kind::Healthy)
    }

    /// How old the rows are while the connection is lost or nobody answers; `None` while they are live.
    pub fn stale_for(&self) -> Option<Duration> {
        match self.link {
            Link::Lost { .. } => Some(self.now.saturating_sub(self.received)),
            Link::Silent { since } => Some(self.now.saturating_sub(since)),
            Link::Connecting(_) | Link::Up => None,
        }
    }

    /// None runs, and `Enter` starts one.
    pub fn may_start_a_daemon(&self) -> bool {
        matches!(self.lack, Lack::Gone | Lack::Failed(_)) && !self.options.readonly && self.link != Link::Up
    }

    /// Seconds to add to what the table said: none while it is stale, for nobody knows.
    fn elapsed(&self) -> f64 {
        let until = match self.link {
            Link::Lost { .. } => self.received,
            Link::Silent { since } => since,
            Link::Connecting(_) | Link::Up => self.now,
        };
        until.saturating_sub(self.received).as_secs_f64()
    }

    pub fn idle_seconds(&self, row: &Row) -> Option<f64> {
        // A paused session does not age.
        let elapsed = if row.session.state == State::Paused { 0.0 } else { self.elapsed() };
        row.session.idle_seconds.map(|idle| idle + elapsed)
    }

    pub fn age_seconds(&self, row: &Row) -> f64 {
        row.session.age_seconds + self.elapsed()
    }

    /// Seconds until policy closes it.
    pub fn closes_in(&self, row: &Row) -> Option<f64> {
        row.closes_in.map(|seconds| (seconds - self.elapsed()).max(0.0))
    }

    /// Seconds since it became what it is, if that was seen.
    pub fn since(&self, row: &Row) -> Option<f64> {
        self.seen.since(row.id()).map(|at| self.now.saturating_sub(at).as_secs_f64())
    }

    pub fn is_fresh(&self, id: &str) -> bool {
        self.fresh.get(id).is_some_and(|until| self.now < *until)
    }

    /// Since when a close of this session is under way from here.
    pub fn closing_since(&self, id: &str) -> Option<Duration> {
        self.closing.iter().find(|c| c.ids.iter().any(|i| i == id)).map(|c| c.since)
    }

    /// Says what came of something that was asked for, and writes it down.
    pub fn tell(&mut self, outcome: Result<String, String>) {
        match outcome {
            Ok(text) => {
                self.deeds.note(self.now, deeds::Kind::Done, &text);
                self.say(text);
            }
            Err(why) => {
                self.deeds.note(self.now, deeds::Kind::Failed, &why);
                self.complain(why);
            }
        }
    }

    /// What is worth keeping for the next time.
    pub fn memory(&self) -> Memory {
        Memory { split: self.panes.split, history: self.history.clone(), filters: self.saved.clone() }
    }

    /// Takes what was kept the last time.
    pub fn remember(&mut self, memory: Memory) {
        self.panes.split = memory.split;
        self.history = memory.history;
        self.saved = memory.filters;
    }

    /// A close of this session was asked for from here, and is not over or has just been.
    pub fn has_asked_to_close(&self, id: &str) -> bool {
        let is_swept = matches!(&self.mode, Mode::Sweep(sweep) if sweep.ids.iter().any(|swept| swept == id));
        let is_reported = self.report.as_ref().is_some_and(|r| r.sessions.iter().any(|s| s.id == id));
        is_reported || is_swept || self.closing_since(id).is_some()
    }

    /// Says something in place of the foot.
    pub fn say(&mut self, text: impl Into<String>) {
        self.notify(&text.into(), false, 4);
    }

    /// Says that something did not work.
    pub fn complain(&mut self, text: impl Into<String>) {
        self.notify(&text.into(), true, 8);
    }

    fn notify(&mut self, text: &str, is_bad: bool, seconds: u64) {
        let text = crate::model::text::printable_within(text, 500);
        self.notice = Some(Notice { text, is_bad, until: self.now + Duration::from_secs(seconds) });
        self.is_dirty = true;
    }
}
