//! What the daemon says: the table, and the outcome of what was asked.

use std::collections::BTreeSet;

use super::super::app::{App, FRESH, Ghost, Link, Mode, Selected};
use super::super::link::Lack;
use super::super::listing::listed;
use super::super::msg::{Answer, Effect, Msg};
use super::super::recall::Pages;
use super::super::rows::{Row, Totals, ordered};
use super::super::view::columns::Wishes;
use super::super::{deeds, format, tell};
use crate::api::attach::Left;
use crate::api::types::{Detail, Done, KillReport, Session, Started, Table};
use crate::model::text::printable_within;

/// Takes a message that is no input.
pub fn came(app: &mut App, msg: Msg) -> Vec<Effect> {
    match msg {
        Msg::TableCame(table) => return table_came(app, *table).into_iter().collect(),
        Msg::LinkBroke(why, lack) => link_broke(app, &why, lack),
        Msg::FellSilent(silence) => {
            let since = app.now.saturating_sub(silence);
            app.link = match &app.link {
                Link::Connecting(_) => {
                    Link::Connecting(Some("the daemon takes connections and does not answer".into()))
                }
                Link::Up | Link::Lost { .. } | Link::Silent { .. } => Link::Silent { since },
            };
            app.is_dirty = true;
        }
        Msg::SpokeAgain => {
            if matches!(app.link, Link::Silent { .. }) {
                app.link = Link::Up;
                app.say("the daemon answers again");
            }
        }
        Msg::ScreenCame { id, picture } => app.is_dirty |= app.preview.came(id, picture),
        Msg::DetailCame { id, detail, branch } => detail_came(app, &id, (detail, branch)),
        Msg::RecallCame { id, pages } => recall_came(app, &id, pages),
        Msg::AdviceCame(answer) => app.is_dirty |= app.advice.came(answer),
        Msg::HostCame(answer) => {
            app.host.came(answer);
            app.is_dirty = true;
        }
        Msg::Swept(purpose, answer) => super::sweeping::came(app, purpose, answer),
        Msg::EndedCame(answer) => super::keys::ended_came(app, answer),
        Msg::Resumed(answer) => resumed(app, answer),
        Msg::Managed(outcome) => app.tell(outcome),
        Msg::Started(answer) => started(app, answer),
        Msg::Closed { ticket, report } => closed(app, ticket, report),
        Msg::Acted(answer) => acted(app, answer),
        Msg::Restarted(answer) => restarted(app, answer),
        Msg::DirectoriesCame { typed, names } => {
            if let Mode::Form(form) = &mut app.mode {
                app.is_dirty = true;
                if form.complete(&typed, &names) {
                    form.go_next();
                }
            }
        }
        Msg::Typed(answer) => typed(app, answer),
        Msg::KeeperFound { name, socket } => return keeper_found(app, name, socket),
        Msg::PaneFound { name, pane } => {
            // Whoever has thought better of it is not taken there.
            let wanted = app.attaching.take_if(|wanted| wanted.name == name);
            return wanted.map(|_| Effect::GoToPane { pane, name }).into_iter().collect();
        }
        Msg::AttachEnded { name, left } => attach_ended(app, &name, left),
        Msg::Copied(answer) => match answer {
            Ok(text) => app.say(format!("copied: {text}")),
            Err(why) => app.complain(why),
        },
        Msg::Pressed(_) | Msg::Pasted(_) | Msg::Resized(..) | Msg::Clicked(..) | Msg::Wheeled(..) | Msg::Ticked => {}
    }
    Vec::new()
}

fn table_came(app: &mut App, table: Table) -> Option<Effect> {
    let is_first = matches!(app.link, Link::Connecting(_));
    let was = std::mem::replace(&mut app.link, Link::Up);
    match (was, std::mem::take(&mut app.lack)) {
        (Link::Connecting(_) | Link::Up, _) => {}
        (Link::Silent { .. }, _) => app.say("the daemon answers again"),
        (Link::Lost { .. }, lack) => {
            app.preview.expire();
            let is_new = lack == Lack::Starting;
            app.say(if is_new { "a new daemon was started" } else { "connected again" });
        }
    }
    app.latched = table.latched.as_deref().map(|why| printable_within(why, 200));
    app.generation = table.generation;
    app.received = app.now;
    let rows = ordered(&app.rows, table.sessions);
    let changes = app.seen.look(app.now, &app.rows, &rows, is_first);
    if !is_first {
        note_fresh(app, &rows);
    }
    let old = std::mem::replace(&mut app.rows, rows);
    let live: BTreeSet<&str> = app.rows.iter().map(Row::id).collect();
    let until = app.now + FRESH;
    app.ghosts.retain(|ghost| !live.contains(ghost.row.id()));
    app.ghosts.extend(old.into_iter().filter(|r| !live.contains(r.id())).map(|row| Ghost { row, until }));
    app.totals = Totals::of(&app.rows);
    app.wishes = Wishes::of(&app.rows);
    app.marked.retain(|id| live.contains(id.as_str()));
    app.open_trees.retain(|id| live.contains(id.as_str()));
    app.details.retain(|id, _| live.contains(id.as_str()));
    if let Some(id) = app.awaited.take_if(|id| live.contains(id.as_str())) {
        app.selected = Some(Selected::Session(id));
    }
    relist(app);
    refresh_question(app);
    app.is_dirty = true;
    let told = tell::sentence(app, &changes)?;
    app.say(told.clone());
    (!app.options.looks.tell.is_empty()).then_some(Effect::Tell(told))
}

fn note_fresh(app: &mut App, rows: &[Row]) {
    let known: BTreeSet<&str> = app.rows.iter().map(Row::id).collect();
    let until = app.now + FRESH;
    app.fresh.extend(rows.iter().filter(|r| !known.contains(r.id())).map(|r| (r.id().to_string(), until)));
}

/// Lists the rows anew: something that decides about them has changed.
pub fn relist(app: &mut App) {
    (app.lines, app.groups) = listed(app);
}

fn recall_came(app: &mut App, id: &str, pages: Answer<Box<Pages>>) {
    let Some(recall) = app.recall.as_mut().filter(|recall| recall.id == id) else { return };
    recall.came(pages);
    if recall.needle.is_empty() {
        // Whoever went up to get here is shown that there is something above.
        return super::panes::scroll_by_page(app);
    }
    super::panes::find_up(app);
}

fn detail_came(app: &mut App, id: &str, (answer, branch): (Answer<Box<Detail>>, Option<String>)) {
    let Some(known) = app.details.get_mut(id) else { return };
    if known.came(answer, branch) {
        app.is_dirty = true;
        if app.open_trees.contains(id) {
            relist(app);
        }
    }
}

/// A question follows the table; one about nobody goes away, and says so.
fn refresh_question(app: &mut App) {
    let Mode::Confirm(confirm) = &app.mode else { return };
    if let Some(confirm) = confirm.clone().refreshed(&app.rows) {
        app.mode = Mode::Confirm(confirm);
    } else {
        app.mode = Mode::Table;
        app.say("gone already");
    }
}

fn link_broke(app: &mut App, why: &str, lack: Lack) {
    let why = printable_within(why, 300);
    let lack = match lack {
        Lack::Failed(why) => Lack::Failed(printable_within(&why, 300)),
        // One that was just started is asked for the first time.
        Lack::Unknown if app.lack == Lack::Starting => Lack::Starting,
        lack => lack,
    };
    if let Lack::Failed(why) = &lack
        && app.lack != lack
    {
        app.deeds.note(app.now, deeds::Kind::Failed, why);
    }
    app.lack = lack;
    app.link = match &app.link {
        Link::Connecting(_) => Link::Connecting(Some(why)),
        Link::Up => Link::Lost { since: app.now, why },
        Link::Silent { since } | Link::Lost { since, .. } => Link::Lost { since: *since, why },
    };
    app.is_dirty = true;
}

fn started(app: &mut App, answer: Answer<Started>) {
    app.is_dirty = true;
    match answer {
        Ok(started) => {
            if let Mode::Form(form) = &app.mode
                && form.is_starting
            {
                app.last_form = Some(form.clone());
                app.mode = Mode::Table;
            }
            let notes =
                if started.notes.is_empty() { String::new() } else { format!("; {}", started.notes.join("; ")) };
            app.tell(Ok(format!("started {}{notes}", started.name)));
            app.awaited = Some(started.session_id);
        }
        Err(why) => match &mut app.mode {
            Mode::Form(form) => {
                form.is_starting = false;
                form.error = Some(printable_within(&why, 300));
            }
            Mode::Table
            | Mode::Filter(_)
            | Mode::TypeLine { .. }
            | Mode::Answer { .. }
            | Mode::Palette(_)
            | Mode::Search(_)
            | Mode::Menu(_)
            | Mode::Confirm(_)
            | Mode::Help(_)
            | Mode::Sweep(_)
            | Mode::Log { .. }
            | Mode::Report { .. } => app.tell(Err(why)),
        },
    }
}

/// The new session is where the cursor goes.
fn resumed(app: &mut App, answer: Answer<Started>) {
    match answer {
        Ok(started) => {
            app.awaited = Some(started.session_id);
            app.tell(Ok(format!("resumed {}", started.name)));
        }
        Err(why) => app.tell(Err(why)),
    }
}

fn closed(app: &mut App, ticket: u64, answer: Answer<KillReport>) {
    app.closing.retain(|closing| closing.ticket != ticket);
    app.is_dirty = true;
    match answer {
        Ok(report) if report.sessions.is_empty() => app.say("nothing was left to close"),
        Ok(report) => {
            for closed in &report.sessions {
                let kind = if closed.survivors.is_empty() { deeds::Kind::Done } else { deeds::Kind::Failed };
                let took = format::took(closed.seconds);
                app.deeds.note(app.now, kind, &format!("{} {} {took}", closed.name, closed.outcome.as_str()));
            }
            app.report = Some(report);
            app.report_seen = false;
        }
        Err(why) => app.tell(Err(why)),
    }
}

fn acted(app: &mut App, answer: Answer<Done>) {
    match answer {
        Ok(done) => {
            let texts: Vec<String> = done.sessions.iter().map(|t| format!("{}: {}", t.name, t.message)).collect();
            app.tell(Ok(texts.join(" · ")));
        }
        Err(why) => app.tell(Err(why)),
    }
}

fn restarted(app: &mut App, answer: Answer<Box<Session>>) {
    match answer {
        Ok(session) => {
            app.tell(Ok(format!("restarted {}", session.name)));
            app.preview.expire();
        }
        Err(why) => app.tell(Err(why)),
    }
}

fn typed(app: &mut App, answer: Answer<String>) {
    match answer {
        Ok(name) => {
            app.tell(Ok(format!("typed into {name}")));
            app.preview.expire();
        }
        Err(why) => app.tell(Err(why)),
    }
}

fn keeper_found(app: &mut App, name: String, socket: Answer<Option<String>>) -> Vec<Effect> {
    // Whoever has thought better of it is not taken there.
    if app.attaching.as_ref().is_none_or(|wanted| wanted.name != name) {
        return Vec::new();
    }
    match socket {
        Ok(Some(socket)) => return vec![Effect::Attach { socket, name }],
        Ok(None) => app.complain(format!("{name} has no keeper to attach to")),
        Err(why) => app.complain(why),
    }
    app.attaching = None;
    Vec::new()
}

fn attach_ended(app: &mut App, name: &str, left: Answer<Left>) {
    app.attaching = None;
    app.preview.expire();
    match left {
        Ok(Left::Detached) => app.say(format!("detached from {name}")),
        Ok(Left::Ended(exit)) => {
            let how = exit.and_then(|e| match (e.code, e.signal) {
                (Some(code), _) => Some(format!(" with status {code}")),
                (None, Some(signal)) => Some(format!(" by signal {signal}")),
                (None, None) => None,
            });
            app.say(format!("{name} ended{}", how.unwrap_or_default()));
        }
        Ok(Left::Lost) => app.complain(format!("the keeper of {name} went away")),
        Err(why) => app.complain(why),
    }
}
