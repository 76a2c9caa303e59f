//! The panes: what each is called, which has the keys, and how the room is parted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A part of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pane {
    #[default]
    Table,
    Screen,
    Details,
    Events,
    Host,
}

impl Pane {
    pub const ALL: [Self; 5] = [Self::Table, Self::Screen, Self::Details, Self::Events, Self::Host];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Screen => "screen",
            Self::Details => "details",
            Self::Events => "events",
            Self::Host => "host",
        }
    }

    /// The next one, or the one before; around the ends.
    #[must_use]
    pub fn beside(self, is_next: bool) -> Self {
        let step = if is_next { 1 } else { Self::ALL.len() - 1 };
        Self::ALL[(self as usize + step) % Self::ALL.len()]
    }
}

/// Most steps the border between table and the rest can be moved.
const FURTHEST: i8 = 8;

/// Which panes there are, as the person arranged them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Panes {
    /// Has the keys for moving.
    pub focus: Pane,
    /// Stands beside the table, or below it, where there is room for only one.
    pub side: Pane,
    /// The focused one alone.
    pub is_zoomed: bool,
    /// Steps by which the table has more room than it would.
    pub split: i8,
    /// Lines the details are scrolled down, and the events.
    pub details_at: u16,
    pub events_at: u16,
}

impl Default for Panes {
    fn default() -> Self {
        Self { focus: Pane::Table, side: Pane::Screen, is_zoomed: false, split: 0, details_at: 0, events_at: 0 }
    }
}

impl Panes {
    pub const fn go_to(&mut self, pane: Pane) {
        self.focus = pane;
        match pane {
            Pane::Table => {}
            Pane::Screen | Pane::Details | Pane::Events | Pane::Host => self.side = pane,
        }
    }

    pub fn move_split(&mut self, by: i8) {
        self.split = (self.split + by).clamp(-FURTHEST, FURTHEST);
    }
}

/// What is remembered from one time to the next, in the state directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    pub split: i8,
    /// Commands typed into the palette, the latest last.
    pub history: Vec<String>,
    /// Filters by the number of the function key that brings them.
    pub filters: BTreeMap<u8, String>,
}

impl Memory {
    /// What was written by whatever version; what cannot be read is forgotten.
    pub fn read(text: &str) -> Self {
        let memory: Self = serde_json::from_str(text).unwrap_or_default();
        Self { split: memory.split.clamp(-FURTHEST, FURTHEST), ..memory }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_forgotten() {
        assert_eq!(Memory::read("{\"split\": 99, \"unknown\": 1}").split, FURTHEST);
        assert_eq!(Memory::read("nonsense"), Memory::default());
    }

    #[test]
    fn panes_go_round() {
        let all = Pane::ALL.iter().fold(Pane::Table, |pane, _| pane.beside(true));
        assert_eq!((all, Pane::Table.beside(false)), (Pane::Table, Pane::Host));
    }
}
