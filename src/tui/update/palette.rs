//! Keys in the palette, and what its commands do.

use crossterm::event::{KeyCode, KeyEvent};

use super::super::app::{App, Mode};
use super::super::applies;
use super::super::column::{Column, Order};
use super::super::keymap::{Action, BINDINGS};
use super::super::listing::Grouping;
use super::super::msg::Effect;
use super::super::palette::{Asked, Palette, SIGNALS, Verb, read};
use super::super::panes::Pane;
use super::super::theme::Theme;
use super::{keys, layers, marks, panes};
use crate::model::text::name_refusal;
use crate::model::words;

/// Commands that are remembered.
const MOST: usize = 100;

pub fn on_key(app: &mut App, mut palette: Palette, key: KeyEvent) -> Vec<Effect> {
    let is_readonly = app.options.readonly;
    match key.code {
        KeyCode::Enter => return entered(app, &palette),
        KeyCode::Tab => palette.complete(is_readonly),
        KeyCode::Up => palette.recall(&app.history, true),
        KeyCode::Down => palette.recall(&app.history, false),
        // Deleting beyond the beginning leaves, as in an editor.
        KeyCode::Backspace if palette.line.is_empty() => return Vec::new(),
        _ => drop(palette.line.edit(key)),
    }
    app.mode = Mode::Palette(palette);
    Vec::new()
}

fn entered(app: &mut App, palette: &Palette) -> Vec<Effect> {
    let text = palette.line.text().trim().to_string();
    if text.is_empty() {
        return Vec::new();
    }
    // The only way to go on is what was meant.
    let mut whole = palette.clone();
    if read(&text, app.options.readonly).is_err() && whole.candidates(app.options.readonly).len() == 1 {
        whole.complete(app.options.readonly);
    }
    let text = whole.line.text().trim().to_string();
    app.history.retain(|line| *line != text);
    app.history.push(text.clone());
    let excess = app.history.len().saturating_sub(MOST);
    app.history.drain(..excess);
    let mut effects = vec![Effect::Remember(app.memory())];
    match read(&text, app.options.readonly) {
        Ok(Asked::Key(action)) => {
            let binding = BINDINGS.iter().find(|b| b.action == action);
            effects.extend(binding.into_iter().flat_map(|b| keys::act_unless_refused(app, b)));
        }
        Ok(Asked::Verb(verb, rest)) => match does(app, verb, &rest) {
            Ok(more) => effects.extend(more),
            Err(why) => app.complain(why),
        },
        Err(why) => app.complain(why),
    }
    effects
}

/// Carries out a command that takes something, or says what is wrong with that.
fn does(app: &mut App, verb: Verb, rest: &str) -> Result<Vec<Effect>, String> {
    match verb {
        Verb::Filter => {
            layers::filter(app, rest);
            return app.filter_error.take().map_or(Ok(Vec::new()), Err);
        }
        Verb::Health if matches!(rest, "" | "all") => layers::filter(app, ""),
        Verb::Health => return does(app, Verb::Filter, &format!("health={rest}")),
        Verb::Keep => return keep(app, rest),
        Verb::Mark => marks::by_filter(app, rest),
        Verb::Sort => {
            let by = Column::from_word(rest).ok_or_else(|| none("column", rest))?;
            keys::sort(app, Order { by, is_reversed: false });
        }
        Verb::Group => keys::group(app, grouping(rest)?),
        Verb::Go => panes::go_to(app, pane(rest)?),
        Verb::Columns => app.columns = columns(rest)?,
        Verb::Theme => app.theme = Theme::named(rest, app.options.colour).ok_or_else(|| none("theme", rest))?,
        Verb::Type | Verb::Answer | Verb::Rename => return on_selected(app, verb, rest),
        Verb::Signal => return signal(app, rest),
        Verb::Run => return run(app, rest),
    }
    Ok(Vec::new())
}

fn none(what: &str, word: &str) -> String {
    format!("there is no {what} “{word}”: Tab shows them")
}

fn grouping(word: &str) -> Result<Option<Grouping>, String> {
    if word == "none" {
        return Ok(None);
    }
    Grouping::from_word(word).map(Some).ok_or_else(|| none("grouping", word))
}

fn pane(word: &str) -> Result<Pane, String> {
    Pane::ALL.into_iter().find(|p| p.word() == word).ok_or_else(|| none("pane", word))
}

fn columns(words: &str) -> Result<Vec<Column>, String> {
    if words.is_empty() {
        return Ok(Column::ALL.to_vec());
    }
    let mut columns: Vec<Column> = Vec::new();
    for word in words.split([' ', ',']).filter(|w| !w.is_empty()) {
        let column = Column::from_word(word).ok_or_else(|| none("column", word))?;
        if !columns.contains(&column) {
            columns.push(column);
        }
    }
    Ok(columns)
}

fn on_selected(app: &App, verb: Verb, rest: &str) -> Result<Vec<Effect>, String> {
    let row = app.selected_row().ok_or("there is no session under the cursor")?;
    let action = match verb {
        Verb::Type => Some(Action::TypeLine),
        Verb::Answer => Some(Action::Answer),
        _ => None,
    };
    if let Some(why) = action.and_then(|action| applies::refusal(action, row)) {
        return Err(why);
    }
    let (id, name) = (row.id().to_string(), row.name.clone());
    Ok(vec![match verb {
        Verb::Type => Effect::Type { id, name, text: rest.into() },
        Verb::Answer => Effect::Answer { id, name, key: rest.into() },
        Verb::Rename
        | Verb::Sort
        | Verb::Group
        | Verb::Filter
        | Verb::Health
        | Verb::Mark
        | Verb::Keep
        | Verb::Go
        | Verb::Theme
        | Verb::Signal
        | Verb::Run
        | Verb::Columns => match name_refusal(rest) {
            Some(why) => return Err(why),
            None => Effect::Rename(id, rest.into()),
        },
    }])
}

/// Keeps the present filter under a function key, or forgets the one that is kept there.
fn keep(app: &mut App, word: &str) -> Result<Vec<Effect>, String> {
    let number = word.trim_start_matches(['F', 'f']).parse::<u8>().ok().filter(|n| (2..=12).contains(n));
    let number = number.ok_or_else(|| format!("“{word}” is no key for that: F2 to F12 are"))?;
    let text = app.filter.text().to_string();
    if text.is_empty() {
        app.saved.remove(&number);
        app.say(format!("F{number} brings nothing now: no filter is set"));
    } else {
        app.say(format!("F{number} brings “{text}”"));
        app.saved.insert(number, text);
    }
    Ok(vec![Effect::Remember(app.memory())])
}

fn signal(app: &App, word: &str) -> Result<Vec<Effect>, String> {
    let signal = word.to_uppercase();
    let signal = signal.strip_prefix("SIG").unwrap_or(&signal);
    if !SIGNALS.contains(&signal) {
        return Err(format!("there is no signal “{word}”: {}", SIGNALS.join(" ")));
    }
    if let Some(why) = keys::refusal(app, Action::Signal) {
        return Err(why);
    }
    let ids: Vec<String> = keys::takers(app, Action::Signal).iter().map(|row| row.id().to_string()).collect();
    if ids.is_empty() {
        Err("there is no session for that".into())
    } else {
        Ok(vec![Effect::Signal(ids, signal.into())])
    }
}

fn run(app: &App, rest: &str) -> Result<Vec<Effect>, String> {
    let command = words::split(rest).map_err(|error| error.to_string())?;
    if command.is_empty() {
        return Err("run what?".into());
    }
    let workspace = app.options.directory.clone();
    Ok(vec![Effect::Start { command, name: None, workspace, size: app.size }])
}
