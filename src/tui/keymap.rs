//! The keys of the table view, as a table: what they are, what they do, how help and foot name them.
//!
//! Knows which keys exist; what an action does is `update`'s business.

use std::collections::BTreeMap;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::panes::Pane;

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
    Window,
    TypeLine,
    Answer,
    Kill,
    KillNow,
    CloseAll,
    Signal,
    Pause,
    Pin,
    Restart,
    Resume,
    Export,
    Sweep,
    Emergency,
    Release,
    New,
    Mark,
    MarkRange,
    MarkAll,
    Filter,
    Faults,
    SortRight,
    SortLeft,
    Reverse,
    Group,
    Fold,
    Tree,
    Copy,
    Go(Pane),
    NextPane,
    PreviousPane,
    Zoom,
    Grow,
    Shrink,
    NextMatch,
    PreviousMatch,
    Mouse,
    Palette,
    Log,
    Help,
    Back,
    Suspend,
    Quit,
}

impl Action {
    /// As it is written in the palette and the config.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Up => "up",
            Self::PageDown => "page-down",
            Self::PageUp => "page-up",
            Self::Top => "top",
            Self::Bottom => "bottom",
            Self::Attach => "attach",
            Self::Window => "window",
            Self::TypeLine => "type",
            Self::Answer => "answer",
            Self::Kill => "kill",
            Self::KillNow => "kill-now",
            Self::CloseAll => "close-all",
            Self::Signal => "signal",
            Self::Pause => "pause",
            Self::Pin => "pin",
            Self::Restart => "restart",
            Self::Resume => "resume",
            Self::Export => "export",
            Self::Sweep => "sweep",
            Self::Emergency => "emergency",
            Self::Release => "release",
            Self::New => "new",
            Self::Mark => "mark",
            Self::MarkRange => "mark-range",
            Self::MarkAll => "mark-all",
            Self::Filter => "filter",
            Self::Faults => "faults",
            Self::SortRight => "sort-right",
            Self::SortLeft => "sort-left",
            Self::Reverse => "reverse",
            Self::Group => "group",
            Self::Fold => "fold",
            Self::Tree => "tree",
            Self::Copy => "copy",
            Self::Go(pane) => pane.word(),
            Self::NextPane => "next-pane",
            Self::PreviousPane => "previous-pane",
            Self::Zoom => "zoom",
            Self::Grow => "grow",
            Self::Shrink => "shrink",
            Self::NextMatch => "next-match",
            Self::PreviousMatch => "previous-match",
            Self::Mouse => "mouse",
            Self::Palette => "palette",
            Self::Log => "log",
            Self::Help => "help",
            Self::Back => "back",
            Self::Suspend => "suspend",
            Self::Quit => "quit",
        }
    }
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
    Session,
    Table,
    Panes,
    Everything,
    Move,
}

impl Group {
    /// In the order of the help.
    pub const ALL: [Self; 5] = [Self::Session, Self::Table, Self::Panes, Self::Everything, Self::Move];

    pub const fn title(self) -> &'static str {
        match self {
            Self::Session => "On the session, or the marked",
            Self::Table => "The table",
            Self::Panes => "Panes",
            Self::Everything => "Everything",
            Self::Move => "Moving",
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
const TABLE: (Group, bool) = (Group::Table, false);
const PANES: (Group, bool) = (Group::Panes, false);
const ALL: (Group, bool) = (Group::Everything, false);
const ALL_ACTS: (Group, bool) = (Group::Everything, true);
const MOVES: (Group, bool) = (Group::Move, false);

/// Every key, in the order of help and foot.
pub const BINDINGS: &[Binding] = &[
    bind(&[Key::Code(KeyCode::Enter)], "Enter", Action::Attach, LOOKS, "attach: its screen, your keys"),
    bind(&[Key::Char('w')], "w", Action::Window, LOOKS, "attach in a new tmux window"),
    bind(&[Key::Char('a')], "a", Action::Answer, ACTS, "answer: y, n, Enter, a digit"),
    bind(&[Key::Char('i')], "i", Action::TypeLine, ACTS, "type a line into it"),
    bind(&[Key::Char('x')], "x", Action::Kill, ACTS, "kill it with all it started"),
    bind(&[Key::Char('X')], "X", Action::KillNow, ACTS, "kill now, without grace"),
    bind(&[Key::Char('S')], "S", Action::Signal, ACTS, "send a signal"),
    bind(&[Key::Char('p')], "p", Action::Pause, ACTS, "pause, or go on"),
    bind(&[Key::Char('P')], "P", Action::Pin, ACTS, "pin: policy never closes it"),
    bind(&[Key::Char('r')], "r", Action::Restart, ACTS, "restart from the beginning"),
    bind(&[Key::Char('e')], "e", Action::Export, LOOKS, "export what is kept of it"),
    bind(&[Key::Char('y')], "y", Action::Copy, LOOKS, "copy its id, or the report"),
    bind(&[Key::Char('t')], "t", Action::Tree, LOOKS, "its processes, or not"),
    bind(&[Key::Char(' ')], "Space", Action::Mark, TABLE, "mark, then the next"),
    bind(&[Key::Char('v')], "v", Action::MarkRange, TABLE, "mark from the last to here"),
    bind(&[Key::Char('*')], "*", Action::MarkAll, TABLE, "mark all shown, or none"),
    bind(&[Key::Char('/')], "/", Action::Filter, TABLE, "filter: words, idle>20m, …"),
    bind(&[Key::Char('!')], "!", Action::Faults, TABLE, "only those that need you"),
    bind(&[Key::Char('>')], ">", Action::SortRight, TABLE, "sort by the next column"),
    bind(&[Key::Char('<')], "<", Action::SortLeft, TABLE, "sort by the one before"),
    bind(&[Key::Char('o')], "o", Action::Reverse, TABLE, "the other way round"),
    bind(&[Key::Char('b')], "b", Action::Group, TABLE, "group by project, agent, …"),
    bind(&[Key::Char('f')], "f", Action::Fold, TABLE, "fold the group, or open it"),
    bind(&[Key::Char('1')], "1", Action::Go(Pane::Table), PANES, "the table"),
    bind(&[Key::Char('2')], "2", Action::Go(Pane::Screen), PANES, "its screen: k back, / search"),
    bind(&[Key::Char('3')], "3", Action::Go(Pane::Details), PANES, "details: why, processes, …"),
    bind(&[Key::Char('4')], "4", Action::Go(Pane::Events), PANES, "what changed meanwhile"),
    bind(&[Key::Char('5')], "5", Action::Go(Pane::Host), PANES, "the machine"),
    bind(&[Key::Code(KeyCode::Tab)], "Tab", Action::NextPane, PANES, "the next pane"),
    bind(&[Key::Code(KeyCode::BackTab)], "S-Tab", Action::PreviousPane, PANES, "the pane before"),
    bind(&[Key::Char('z')], "z", Action::Zoom, PANES, "this pane alone, or all"),
    bind(&[Key::Char('+')], "+", Action::Grow, PANES, "more room for the table"),
    bind(&[Key::Char('-')], "-", Action::Shrink, PANES, "less room for the table"),
    bind(&[Key::Char(']')], "]", Action::NextMatch, PANES, "the next match of a search"),
    bind(&[Key::Char('[')], "[", Action::PreviousMatch, PANES, "the match before"),
    bind(&[Key::Char('n')], "n", Action::New, ALL_ACTS, "new session"),
    bind(&[Key::Char('R')], "R", Action::Resume, ALL_ACTS, "resume one that has ended"),
    bind(&[Key::Char('s')], "s", Action::Sweep, ALL, "sweep: what was left behind"),
    bind(&[Key::Char('C')], "C", Action::CloseAll, ALL_ACTS, "close all managed sessions"),
    bind(&[Key::Char('E')], "E", Action::Emergency, ALL_ACTS, "emergency: close all, sweep"),
    bind(&[Key::Char('L')], "L", Action::Release, ALL_ACTS, "release after an emergency"),
    bind(&[Key::Char(':')], ":", Action::Palette, ALL, "every command by its name"),
    bind(&[Key::Char('@')], "@", Action::Log, ALL, "what was done, as commands"),
    bind(&[Key::Char('m')], "m", Action::Mouse, ALL, "mouse on or off"),
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

/// The keys as the config changes them: other letters for some actions.
#[derive(Debug, Clone, Default)]
pub struct Keymap {
    given: Vec<(&'static Binding, char)>,
}

impl Keymap {
    /// From words of actions and the letters that stand for them; the config has let through only what there is.
    pub fn new(keys: &BTreeMap<String, String>) -> Self {
        let given = keys.iter().filter_map(|(word, key)| {
            let binding = BINDINGS.iter().find(|b| b.action.word() == word)?;
            Some((binding, key.chars().next()?))
        });
        Self { given: given.collect() }
    }

    /// The line of the table a key belongs to. A letter given to another action is that action's alone.
    pub fn binding(&self, event: KeyEvent) -> Option<&'static Binding> {
        let given = self.given.iter().find(|(_, c)| Key::Char(*c).is(event)).map(|(binding, _)| *binding);
        let is_own = |b: &&Binding| b.keys.iter().any(|key| key.is(event)) && !self.is_moved(b, event);
        given.or_else(|| BINDINGS.iter().find(is_own))
    }

    /// The letter of the table stands for it no more: another was given.
    fn is_moved(&self, binding: &Binding, event: KeyEvent) -> bool {
        let has_other = self.given.iter().any(|(b, _)| b.action == binding.action);
        has_other && matches!(event.code, KeyCode::Char(_))
    }

    /// The keys of a line of the table, as the person reads them.
    pub fn shown(&self, binding: &Binding) -> String {
        let given = self.given.iter().find(|(b, _)| b.action == binding.action);
        given.map_or_else(|| binding.shown.to_string(), |(_, c)| c.to_string())
    }
}

/// The keys of an action, as the person reads them, where the config changes nothing.
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
        let keys = Keymap::default();
        let key = |c, m| keys.binding(KeyEvent::new(KeyCode::Char(c), m)).map(|b| b.action);
        assert_eq!(key('X', KeyModifiers::SHIFT), Some(Action::KillNow));
        assert_eq!(key('x', KeyModifiers::NONE), Some(Action::Kill));
        assert_eq!(key('x', KeyModifiers::CONTROL), None);
        assert_eq!(key('d', KeyModifiers::CONTROL), Some(Action::PageDown));
    }

    #[test]
    fn a_given_key_takes_the_place_of_the_old_one() {
        let keys = Keymap::new(&BTreeMap::from([("kill".to_string(), "d".to_string()), ("pin".into(), "x".into())]));
        let key = |c| keys.binding(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE)).map(|b| b.action);
        assert_eq!((key('d'), key('x'), key('P')), (Some(Action::Kill), Some(Action::Pin), None));
        let kill = BINDINGS.iter().find(|b| b.action == Action::Kill).unwrap();
        assert_eq!(keys.shown(kill), "d");
    }

    #[test]
    fn every_word_of_the_help_fits_into_its_column() {
        let too_long: Vec<&str> = BINDINGS.iter().map(|b| b.help).filter(|help| help.chars().count() > 29).collect();
        assert_eq!(too_long, [""; 0]);
    }

    #[test]
    fn the_config_knows_every_word_there_is() {
        let sorted = |mut words: Vec<&'static str>| {
            words.sort_unstable();
            words
        };
        let actions = BINDINGS.iter().map(|b| b.action.word()).collect();
        assert_eq!(sorted(actions), sorted(crate::config::tui::ACTIONS.to_vec()));
        assert_eq!(
            super::super::column::Column::ALL.map(super::super::column::Column::word),
            crate::config::tui::COLUMNS
        );
        assert_eq!(super::super::theme::names().collect::<Vec<_>>(), crate::config::tui::THEMES);
    }

    #[test]
    fn no_two_actions_have_one_word() {
        let mut words: Vec<&str> = BINDINGS.iter().map(|b| b.action.word()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), BINDINGS.len());
    }
}
