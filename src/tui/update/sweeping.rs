//! Keys in a sweep, and what the daemon found or did.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::super::app::{App, Mode};
use super::super::msg::{Answer, Effect};
use super::super::sweeping::{Marks, Phase, Purpose, Sweeping};
use super::super::view::sweeping::rows_shown;
use super::super::{deeds, format};
use crate::api::sweep::{Action, SweepReport};
use crate::model::session::Origin;

/// Opens the view and has the plan made.
pub fn open(app: &mut App, emergency: bool) -> Vec<Effect> {
    app.mode = Mode::Sweep(Box::new(Sweeping::begin(emergency, app.now)));
    vec![Effect::Sweep(Purpose::Plan { emergency }, Marks::default())]
}

pub fn on_key(app: &mut App, mut sweep: Box<Sweeping>, key: KeyEvent) -> Vec<Effect> {
    let last = sweep.strays.len().saturating_sub(1);
    let half = usize::from(rows_shown(app, &sweep) / 2).max(1);
    let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
    let mut effects = Vec::new();
    match (key.code, sweep.phase) {
        (KeyCode::Char('q'), _) | (KeyCode::Enter, Phase::Done) => {
            left(app, &sweep);
            return effects;
        }
        (KeyCode::Char('d'), _) if is_control => sweep.at = (sweep.at + half).min(last),
        (KeyCode::Char('u'), _) if is_control => sweep.at = sweep.at.saturating_sub(half),
        (KeyCode::Char('j') | KeyCode::Down, _) => sweep.at = (sweep.at + 1).min(last),
        (KeyCode::Char('k') | KeyCode::Up, _) => sweep.at = sweep.at.saturating_sub(1),
        (KeyCode::PageDown, _) => sweep.at = (sweep.at + half).min(last),
        (KeyCode::PageUp, _) => sweep.at = sweep.at.saturating_sub(half),
        (KeyCode::Char('g') | KeyCode::Home, _) => sweep.at = 0,
        (KeyCode::Char('G') | KeyCode::End, _) => sweep.at = last,
        (KeyCode::Char('d'), _) => sweep.has_why = !sweep.has_why,
        (KeyCode::Char(' '), Phase::Plan) => mark(app, &mut sweep),
        (KeyCode::Char('*'), Phase::Plan) => mark_all(&mut sweep),
        (KeyCode::Char('r'), Phase::Plan) => return open(app, sweep.emergency),
        (KeyCode::Enter, Phase::Plan) if sweep.emergency => {
            app.say("an emergency is begun with Y, and with nothing else")
        }
        (KeyCode::Char('Y'), Phase::Plan) if sweep.emergency => effects = act(app, &mut sweep),
        (KeyCode::Enter, Phase::Plan) if sweep.wanted().0 == 0 => app.say("nothing is marked: Space marks"),
        (KeyCode::Enter, Phase::Plan) => effects = act(app, &mut sweep),
        _ => {}
    }
    let height = usize::from(rows_shown(app, &sweep)).max(1);
    sweep.offset = sweep.offset.clamp((sweep.at + 1).saturating_sub(height), sweep.at);
    app.mode = Mode::Sweep(sweep);
    effects
}

fn mark(app: &mut App, sweep: &mut Sweeping) {
    let Some(stray) = sweep.stray() else { return };
    if !stray.may_be_marked() {
        let text = format!("no mark takes it: {}", stray.why);
        return app.say(text);
    }
    let id = stray.id;
    if !sweep.marked.remove(&id) {
        sweep.marked.insert(id);
    }
    sweep.at = (sweep.at + 1).min(sweep.strays.len().saturating_sub(1));
}

/// All that is proved, or none of it; suspects are marked one by one.
fn mark_all(sweep: &mut Sweeping) {
    let proved = sweep.strays.iter().filter(|s| s.action == Action::WouldKill);
    let ids: Vec<(i32, u64)> = proved.map(|s| s.id).collect();
    if ids.iter().all(|id| sweep.marked.contains(id)) {
        sweep.marked.clear();
    } else {
        sweep.marked.extend(ids);
    }
}

fn act(app: &mut App, sweep: &mut Sweeping) -> Vec<Effect> {
    if app.options.readonly {
        app.complain("read-only: a sweep would change something");
        return Vec::new();
    }
    (sweep.phase, sweep.since) = (Phase::Acting, app.now);
    if sweep.emergency {
        let managed = app.rows.iter().filter(|r| r.session.origin == Origin::Managed);
        sweep.ids = managed.map(|r| r.id().to_string()).collect();
    }
    vec![Effect::Sweep(Purpose::Act { emergency: sweep.emergency }, sweep.marks())]
}

/// Closes the view. What became of the sessions can be read, and copied, as after any close.
pub fn left(app: &mut App, sweep: &Sweeping) {
    match sweep.phase {
        Phase::Plan if sweep.wanted().0 > 0 || sweep.emergency => app.say("nothing was taken"),
        Phase::Acting => app.say("it goes on, and says when it is over"),
        Phase::Done if sweep.sessions.as_ref().is_some_and(|s| !s.sessions.is_empty()) => {
            app.report.clone_from(&sweep.sessions);
        }
        Phase::Planning | Phase::Plan | Phase::Done => {}
    }
}

/// A plan, a report, or a look nobody asked for.
pub fn came(app: &mut App, purpose: Purpose, answer: Answer<Box<SweepReport>>) {
    app.is_dirty |= app.strays.came(purpose, &answer);
    let waited = match (purpose, &app.mode) {
        (Purpose::Plan { emergency }, Mode::Sweep(s)) => s.phase == Phase::Planning && s.emergency == emergency,
        (Purpose::Act { .. }, Mode::Sweep(s)) => s.phase == Phase::Acting,
        _ => false,
    };
    if let Purpose::Act { .. } = purpose {
        let (kind, text) = match &answer {
            Ok(report) => (deeds::Kind::Done, summary(report)),
            Err(why) => (deeds::Kind::Failed, why.clone()),
        };
        app.deeds.note(app.now, kind, &text);
        if !waited {
            app.tell(answer.map(|report| summary(&report)));
            return;
        }
    }
    if let Mode::Sweep(sweep) = &mut app.mode
        && waited
    {
        sweep.came(app.now, answer);
        app.is_dirty = true;
    }
}

/// `closed 12 sessions, took 3 strays, 222M freed`
fn summary(report: &SweepReport) -> String {
    let closed =
        report.sessions.as_ref().map(|s| format!("closed {}, ", format::counted(s.closed, "session", "sessions")));
    let strays = format::counted(report.killed, "stray", "strays");
    let failed = if report.failed > 0 { format!(", {} not", report.failed) } else { String::new() };
    let (closed, freed) = (closed.unwrap_or_default(), format::bytes(report.freed_bytes));
    format!("{closed}took {strays}{failed}, {freed} freed")
}
