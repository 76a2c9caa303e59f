//! The keys of the table view, as a table: what they are, what they do, how help and foot name them.
//!
//! Knows which keys exist; what an action does is `update`'s business.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Down,
    Up,
    PageDown,
    PageUp,
    Top,
    Bottom,
    Attach,
    TypeLine,
    Kill,
    KillNow,
    CloseAll,
    Pause,
    Pin,
    Restart,
    New,
    Mark,
    Filter,
    Faults,
    SortRight,
    SortLeft,
    Reverse,
    Group,
    Fold,
    Tree,
    Copy,
    Help,
    Back,
    Suspend,
    Quit,
}

/// A key as the table names it.
#[derive(Debug, Clone, Copy)]
pub enum Key {
    Char(char),
    Ctrl(char),
    Code(KeyCode),
}

impl Key {
    fn is(self, event: KeyEvent) -> bool {
        let control = event.modifiers.contains(KeyModifiers::CONTROL);
        let alt = event.modifiers.contains(KeyModifiers::ALT);
        match self {
            Self::Char(c) => event.code == KeyCode::Char(c) && !control && !alt,
            Self::Ctrl(c) => event.code == KeyCode::Char(c) && control,
            Self::Code(code) => event.code == code,
        }
    }
}

/// Under which heading of the help a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    Move,
    Session,
    Everything,
}

impl Group {
    pub const fn title(self) -> &'static str {
        match self {
            Self::Move => "Moving",
            Self::Session => "On the session, or the marked",
            Self::Everything => "Everything",
        }
    }
}

/// One line of the table.
#[derive(Debug)]
pub struct Binding {
    pub keys: &'static [Key],
    /// The keys as the person reads them.
    pub shown: &'static str,
    pub action: Action,
    pub group: Group,
    /// What the help says.
    pub help: &'static str,
    /// Changes something: refused and hidden when the interface is read-only.
    pub mutates: bool,
}

const fn bind(
    keys: &'static [Key],
    shown: &'static str,
    action: Action,
    (group, mutates): (Group, bool),
    help: &'static str,
) -> Binding {
    Binding { keys, shown, action, group, help, mutates }
}

const LOOKS: (Group, bool) = (Group::Session, false);
const ACTS: (Group, bool) = (Group::Session, true);
const ALL: (Group, bool) = (Group::Everything, false);
const ALL_ACTS: (Group, bool) = (Group::Everything, true);
const MOVES: (Group, bool) = (Group::Move, false);

/// Every key of the table view, in the order of help and foot.
pub const BINDINGS: &[Binding] = &[
    bind(&[Key::Code(KeyCode::Enter)], "Enter", Action::Attach, LOOKS, "attach: its screen, your keys"),
    bind(&[Key::Char('i')], "i", Action::TypeLine, ACTS, "type a line into it"),
    bind(&[Key::Char('x')], "x", Action::Kill, ACTS, "kill it with all it started"),
    bind(&[Key::Char('X')], "X", Action::KillNow, ACTS, "kill now, without grace"),
    bind(&[Key::Char('p')], "p", Action::Pause, ACTS, "pause, or go on"),
    bind(&[Key::Char('P')], "P", Action::Pin, ACTS, "pin: policy never closes it"),
    bind(&[Key::Char('r')], "r", Action::Restart, ACTS, "restart from the beginning"),
    bind(&[Key::Char('y')], "y", Action::Copy, LOOKS, "copy its id, or what resumes"),
    bind(&[Key::Char(' ')], "Space", Action::Mark, LOOKS, "mark, then the next"),
    bind(&[Key::Char('n')], "n", Action::New, ALL_ACTS, "new session"),
    bind(&[Key::Char('C')], "C", Action::CloseAll, ALL_ACTS, "close all managed sessions"),
    bind(&[Key::Char('t')], "t", Action::Tree, LOOKS, "its processes, or not"),
    bind(&[Key::Char('/')], "/", Action::Filter, ALL, "filter: words, health=stuck, idle>20m"),
    bind(&[Key::Char('!')], "!", Action::Faults, ALL, "only those that need you"),
    bind(&[Key::Char('>')], ">", Action::SortRight, ALL, "sort by the next column"),
    bind(&[Key::Char('<')], "<", Action::SortLeft, ALL, "sort by the one before"),
    bind(&[Key::Char('o')], "o", Action::Reverse, ALL, "the other way round"),
    bind(&[Key::Char('b')], "b", Action::Group, ALL, "group by project, agent, …"),
    bind(&[Key::Char('f')], "f", Action::Fold, ALL, "fold the group, or open it"),
    bind(&[Key::Char('?'), Key::Code(KeyCode::F(1))], "?", Action::Help, ALL, "this help"),
    bind(&[Key::Code(KeyCode::Esc)], "Esc", Action::Back, ALL, "close what is on top"),
    bind(&[Key::Char('q'), Key::Ctrl('c')], "q", Action::Quit, ALL, "quit; sessions live on"),
    bind(&[Key::Ctrl('z')], "Ctrl-z", Action::Suspend, ALL, "to the shell; fg comes back"),
    bind(&[Key::Char('j'), Key::Code(KeyCode::Down)], "j ↓", Action::Down, MOVES, "down"),
    bind(&[Key::Char('k'), Key::Code(KeyCode::Up)], "k ↑", Action::Up, MOVES, "up"),
    bind(&[Key::Char('g'), Key::Code(KeyCode::Home)], "g", Action::Top, MOVES, "to the first"),
    bind(&[Key::Char('G'), Key::Code(KeyCode::End)], "G", Action::Bottom, MOVES, "to the last"),
    bind(&[Key::Ctrl('d'), Key::Code(KeyCode::PageDown)], "Ctrl-d", Action::PageDown, MOVES, "half a page down"),
    bind(&[Key::Ctrl('u'), Key::Code(KeyCode::PageUp)], "Ctrl-u", Action::PageUp, MOVES, "half a page up"),
];

/// The line of the table a key belongs to.
pub fn binding(event: KeyEvent) -> Option<&'static Binding> {
    BINDINGS.iter().find(|b| b.keys.iter().any(|key| key.is(event)))
}

/// The keys of an action, as the person reads them.
pub fn shown(action: Action) -> &'static str {
    BINDINGS.iter().find(|b| b.action == action).map_or("", |b| b.shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_means_two_things() {
        let mut seen = Vec::new();
        for key in BINDINGS.iter().flat_map(|b| b.keys) {
            let text = format!("{key:?}");
            assert!(!seen.contains(&text), "{text} twice");
            seen.push(text);
        }
    }

    #[test]
    fn shift_is_in_the_letter_and_control_is_not() {
        let key = |c, m| binding(KeyEvent::new(KeyCode::Char(c), m)).map(|b| b.action);
        assert_eq!(key('X', KeyModifiers::SHIFT), Some(Action::KillNow));
        assert_eq!(key('x', KeyModifiers::NONE), Some(Action::Kill));
        assert_eq!(key('x', KeyModifiers::CONTROL), None);
        assert_eq!(key('d', KeyModifiers::CONTROL), Some(Action::PageDown));
    }
}
