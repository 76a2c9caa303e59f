//! A short list to choose from with one key.

use super::msg::Effect;

/// What choosing does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub key: char,
    pub label: String,
    pub effect: Effect,
}

/// An open list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Menu {
    pub title: String,
    pub items: Vec<Item>,
    pub at: usize,
}

impl Menu {
    pub fn new(title: impl Into<String>, items: Vec<Item>) -> Self {
        Self { title: title.into(), items, at: 0 }
    }

    pub fn down(&mut self) {
        self.at = (self.at + 1).min(self.items.len().saturating_sub(1));
    }

    pub const fn up(&mut self) {
        self.at = self.at.saturating_sub(1);
    }

    /// The item of a key.
    pub fn by_key(&self, key: char) -> Option<&Item> {
        self.items.iter().find(|item| item.key == key)
    }
}
