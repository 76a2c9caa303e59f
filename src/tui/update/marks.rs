//! Marks: one, a range, all that are shown, or what a filter takes.

use super::super::app::App;
use super::super::filter::Filter;
use super::super::listing::Entry;
use super::super::rows::Row;
use super::keys;

/// Marks the session under the cursor, or takes the mark away; then the next one.
pub fn one(app: &mut App) {
    let Some(id) = app.selected_id().map(String::from) else { return };
    if app.marked.remove(&id) {
        app.anchor = None;
    } else {
        app.marked.insert(id.clone());
        app.anchor = Some(id);
    }
    keys::go_down(app, 1);
}

/// From the last mark to the cursor, both included; without a mark it begins here.
pub fn range(app: &mut App) {
    let place = |id: &str| {
        let is_it =
            |entry: &Entry| matches!(entry, Entry::Session(i) if app.rows.get(*i).is_some_and(|r| r.id() == id));
        app.lines.iter().position(is_it)
    };
    let Some(from) = app.anchor.as_deref().and_then(place) else { return one(app) };
    let (first, last) = (from.min(app.cursor), from.max(app.cursor));
    let between = app.lines[first..=last].iter().filter_map(|entry| match entry {
        Entry::Session(index) => app.rows.get(*index),
        Entry::Group(_) | Entry::Ghost(_) | Entry::Process { .. } => None,
    });
    let ids: Vec<String> = between.map(|row| row.id().to_string()).collect();
    app.marked.extend(ids);
}

/// All that the filter lets through, folded groups too; none, when they are marked already.
pub fn all(app: &mut App) {
    let ids: Vec<String> = app.rows.iter().filter(|row| app.takes(row)).map(|row| row.id().to_string()).collect();
    if ids.iter().all(|id| app.marked.contains(id)) {
        app.marked.clear();
    } else {
        app.marked.extend(ids);
    }
    say(app);
}

/// What a filter takes, beside what is marked.
pub fn by_filter(app: &mut App, text: &str) {
    match Filter::parse(text) {
        Ok(filter) => {
            let ids: Vec<String> = app.rows.iter().filter(|r| filter.takes(r)).map(Row::id).map(String::from).collect();
            app.marked.extend(ids);
            say(app);
        }
        Err(error) => app.complain(error.to_string()),
    }
}

fn say(app: &mut App) {
    app.say(format!("{} marked", app.marked.len()));
}
