//! What stands in the table, line by line: headings of groups, sessions, the processes of those that are open, and
//! for a moment those that have just gone.
//!
//! Made anew when something changed, never for a frame.

use std::collections::BTreeMap;

use super::app::App;
use super::rows::{Kind, Row};

/// One line of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// Index into the groups.
    Group(usize),
    /// Index into the rows.
    Session(usize),
    /// Index into the ghosts.
    Ghost(usize),
    /// A process of a row.
    Process { row: usize, at: usize },
}

impl Entry {
    /// The cursor can stand on it.
    pub const fn is_place(self) -> bool {
        match self {
            Self::Group(_) | Self::Session(_) => true,
            Self::Ghost(_) | Self::Process { .. } => false,
        }
    }
}

/// What rows are gathered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grouping {
    Project,
    Agent,
    Health,
    Workspace,
}

impl Grouping {
    pub const ALL: [Self; 4] = [Self::Project, Self::Agent, Self::Health, Self::Workspace];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::Agent => "agent",
            Self::Health => "health",
            Self::Workspace => "workspace",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|g| g.word() == word)
    }

    /// To which group a row belongs.
    pub fn key(self, row: &Row) -> &str {
        match self {
            Self::Project => &row.project,
            Self::Agent => &row.agent,
            Self::Health => row.kind.word(),
            Self::Workspace => &row.workspace,
        }
    }
}

/// The heading of some rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub title: String,
    /// The worst in it.
    pub kind: Kind,
    pub sessions: usize,
    pub memory_bytes: u64,
    pub is_folded: bool,
}

type Candidate<'a> = (Entry, &'a Row);

/// The lines of the table as the state wants them, and their headings.
pub fn listed(app: &App) -> (Vec<Entry>, Vec<Group>) {
    let sessions = app.rows.iter().enumerate().map(|(i, row)| (Entry::Session(i), row));
    let ghosts = app.ghosts.iter().enumerate().map(|(i, ghost)| (Entry::Ghost(i), &ghost.row));
    let mut found: Vec<Candidate<'_>> = sessions.chain(ghosts).filter(|(_, row)| app.takes(row)).collect();
    found.sort_by(|a, b| app.order.compare(a.1, b.1, &app.seen));
    let Some(grouping) = app.grouping else {
        return (found.into_iter().flat_map(|c| with_tree(app, c)).collect(), Vec::new());
    };
    grouped(app, grouping, found)
}

fn grouped(app: &App, grouping: Grouping, found: Vec<Candidate<'_>>) -> (Vec<Entry>, Vec<Group>) {
    // Those that belong to nothing come last; health goes from the worst, everything else by name.
    let rank = |row: &Row| (grouping == Grouping::Health).then_some(row.kind);
    let mut parts: BTreeMap<(Option<Kind>, bool, &str), Vec<Candidate<'_>>> = BTreeMap::new();
    for candidate in found {
        let key = grouping.key(candidate.1);
        parts.entry((rank(candidate.1), key.is_empty(), key)).or_default().push(candidate);
    }
    let (mut entries, mut groups) = (Vec::new(), Vec::new());
    for ((_, _, key), members) in parts {
        let group = group(app, key, &members);
        entries.push(Entry::Group(groups.len()));
        if !group.is_folded {
            entries.extend(members.into_iter().flat_map(|c| with_tree(app, c)));
        }
        groups.push(group);
    }
    (entries, groups)
}

fn group(app: &App, title: &str, members: &[Candidate<'_>]) -> Group {
    let live = || members.iter().filter(|(entry, _)| entry.is_place()).map(|(_, row)| *row);
    Group {
        title: title.into(),
        kind: live().map(|row| row.kind).min().unwrap_or(Kind::Healthy),
        sessions: live().count(),
        memory_bytes: live().filter_map(|row| row.session.memory_bytes).sum(),
        is_folded: app.folded.contains(title),
    }
}

fn with_tree(app: &App, (entry, row): Candidate<'_>) -> Vec<Entry> {
    let mut out = vec![entry];
    if let Entry::Session(index) = entry
        && app.open_trees.contains(row.id())
    {
        let count = app.details.get(row.id()).map_or(0, |known| known.tree.len());
        out.extend((0..count).map(|at| Entry::Process { row: index, at }));
    }
    out
}
