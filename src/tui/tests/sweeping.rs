//! The sweep in the interface: plan, marks, why, acting, report; the emergency and its latch; who is taken up again.

use crossterm::event::KeyCode;
use insta::assert_snapshot;

use super::{Play, closed, morning, report, session};
use crate::api::sweep::{Action, Candidate, SweepReport};
use crate::api::types::{Outcome, Session, Table};
use crate::model::session::{Exit, ExitBy, State};
use crate::model::stray::Proof;
use crate::tui::app::Mode;
use crate::tui::msg::{Effect, Msg};
use crate::tui::sweeping::{Phase, Purpose};

const SIZES: [(u16, u16); 3] = [(80, 24), (40, 10), (200, 60)];

fn candidate(pid: i32, command: &str, action: Action, why: &str) -> Candidate {
    let is_proved = matches!(action, Action::WouldKill | Action::Killed | Action::Failed);
    Candidate {
        pid,
        start_time: 7,
        agent: "codex".into(),
        command: command.into(),
        memory_bytes: u64::try_from(pid).unwrap() << 20,
        proofs: if is_proved { vec![Proof::LastClientGone] } else { Vec::new() },
        vetoes: if action == Action::Spared { vec![why.into()] } else { Vec::new() },
        action,
        why: why.into(),
        marked: false,
        below: None,
        survivors: Vec::new(),
    }
}

fn found(dry_run: bool) -> SweepReport {
    let taken = if dry_run { Action::WouldKill } else { Action::Killed };
    SweepReport {
        dry_run,
        killed: if dry_run { 0 } else { 2 },
        freed_bytes: 167 << 20,
        candidates: vec![
            candidate(412, "claude", Action::Spared, "lives in the tmux pane ops:4.0"),
            candidate(
                105,
                "/usr/bin/codex app-server --listen unix:///run/user/1000/codex.sock",
                taken,
                "its last client has gone",
            ),
            candidate(
                880,
                "node /srv/app/node_modules/.bin/chrome-devtools-mcp",
                Action::Suspect,
                "no terminal, init is its parent, but nothing proves it",
            ),
            candidate(
                62,
                "node /opt/mcp/bin/mcp-server-filesystem /srv/app",
                taken,
                "nobody is at either end of its pipes",
            ),
        ],
        ..SweepReport::default()
    }
}

fn planned(size: (u16, u16), key: &str) -> Play {
    let mut play = Play::busy(size.0, size.1);
    play.keys(key);
    let emergency = key == "E";
    play.tell(Msg::Swept(Purpose::Plan { emergency }, Ok(Box::new(found(true)))));
    play
}

fn sweep_effects(play: &mut Play) -> Vec<Effect> {
    play.effects().into_iter().filter(|e| matches!(e, Effect::Sweep(..))).collect()
}

#[test]
fn every_stage_at_the_sizes_people_have() {
    for (cols, rows) in SIZES {
        let size = format!("{cols}x{rows}");
        let mut play = Play::busy(cols, rows);
        play.keys("s").after(1.0);
        assert_snapshot!(format!("sweep_looking_{size}"), play.screen());
        assert_snapshot!(format!("sweep_plan_{size}"), planned((cols, rows), "s").screen());
        let mut play = planned((cols, rows), "s");
        assert_snapshot!(format!("sweep_why_{size}"), play.keys("jjd").screen());
        let mut play = planned((cols, rows), "E");
        assert_snapshot!(format!("emergency_plan_{size}"), play.screen());
        play.keys("Y").after(2.0);
        play.table(2, morning().into_iter().skip(2).collect());
        assert_snapshot!(format!("emergency_acting_{size}"), play.screen());
        let sessions = vec![closed("a", Outcome::Clean, 0.1), closed("b", Outcome::Forced, 5.0)];
        let done = SweepReport { sessions: Some(report(sessions)), latched: true, ..found(false) };
        play.tell(Msg::Swept(Purpose::Act { emergency: true }, Ok(Box::new(done))));
        assert_snapshot!(format!("emergency_done_{size}"), play.screen());
        let latched = Some("the emergency of 2026-11-25T21:03:11Z: user".into());
        play.press(KeyCode::Esc).after(5.0).tell(Msg::TableCame(Box::new(Table {
            generation: 3,
            sessions: Vec::new(),
            latched,
            strays: 0,
        })));
        assert_snapshot!(format!("latched_{size}"), play.screen());
    }
}

#[test]
fn what_is_marked_is_taken_and_what_is_spared_cannot_be_marked() {
    let mut play = planned((80, 24), "s");
    // Proved ones first, then the suspect, then the spared.
    play.keys("  ").keys("G ");
    assert!(play.screen().contains("no mark takes it: lives in the tmux pane"), "{}", play.screen());
    play.keys("k ");
    play.asked.clear();
    play.press(KeyCode::Enter);
    let [Effect::Sweep(Purpose::Act { emergency: false }, marks)] = &sweep_effects(&mut play)[..] else { panic!() };
    let pids = |list: &[crate::api::sweep::Marked]| list.iter().map(|m| m.pid).collect::<Vec<_>>();
    assert_eq!((pids(&marks.only), pids(&marks.take), pids(&marks.leave)), (vec![], vec![880], vec![105, 62]));
}

#[test]
fn an_emergency_is_begun_by_a_second_key_that_is_another_and_by_no_other() {
    let mut play = planned((80, 24), "E");
    play.asked.clear();
    play.press(KeyCode::Enter).keys("Eye").press(KeyCode::Enter);
    assert_eq!(sweep_effects(&mut play), []);
    play.keys("Y");
    assert!(matches!(sweep_effects(&mut play)[..], [Effect::Sweep(Purpose::Act { emergency: true }, _)]));
    assert!(play.app.deeds.lines.iter().any(|d| d.text == "beadle sweep --emergency"));
    // While it acts the key does nothing more.
    play.keys("Y");
    assert_eq!(sweep_effects(&mut play), []);
}

#[test]
fn who_leaves_while_it_acts_is_told_when_it_is_over() {
    let mut play = planned((80, 24), "s");
    play.press(KeyCode::Enter).press(KeyCode::Esc);
    assert_eq!(play.app.mode, Mode::Table);
    play.tell(Msg::Swept(Purpose::Act { emergency: false }, Ok(Box::new(found(false)))));
    assert!(play.screen().contains("took 2 strays, 167M freed"), "{}", play.screen());
}

#[test]
fn a_plan_that_comes_late_or_not_at_all_changes_nothing() {
    let mut play = Play::busy(80, 24);
    play.keys("s").press(KeyCode::Esc);
    play.tell(Msg::Swept(Purpose::Plan { emergency: false }, Ok(Box::new(found(true)))));
    assert_eq!(play.app.mode, Mode::Table);
    play.keys("s").tell(Msg::Swept(Purpose::Plan { emergency: false }, Err("the daemon is stopping".into())));
    assert!(play.screen().contains("No stray may be taken: the daemon is stopping"), "{}", play.screen());
    play.press(KeyCode::Enter);
    assert!(matches!(&play.app.mode, Mode::Sweep(sweep) if sweep.phase == Phase::Plan));
}

#[test]
fn what_only_looks_may_see_the_plan_and_take_nothing() {
    let mut play = Play::with(80, 24, |o| o.readonly = true);
    play.table(1, morning()).keys("s");
    play.tell(Msg::Swept(Purpose::Plan { emergency: false }, Ok(Box::new(found(true)))));
    play.asked.clear();
    play.press(KeyCode::Enter);
    assert_eq!(sweep_effects(&mut play), []);
    play.press(KeyCode::Esc).keys("E");
    assert_eq!(play.app.mode, Mode::Table);
}

#[test]
fn strays_are_looked_for_now_and_then_and_their_memory_stands_in_the_first_line() {
    let mut play = Play::busy(120, 24);
    play.after(11.0);
    assert!(matches!(sweep_effects(&mut play)[..], [Effect::Sweep(Purpose::Watch, _)]));
    play.after(500.0);
    assert_eq!(sweep_effects(&mut play), [], "not while one is under way");
    play.tell(Msg::Swept(Purpose::Watch, Ok(Box::new(found(true)))));
    assert!(play.screen().contains("strays 167M"), "{}", play.screen());
}

#[test]
fn hostile_names_of_strays_stay_text() {
    for name in ["\x1b]0;evil\x07\x1b[2J", "日本語👩‍👩‍👧‍👦\u{202e}evil", &"ю".repeat(10_000)] {
        for (cols, rows) in SIZES {
            let mut play = Play::busy(cols, rows);
            play.keys("s");
            let evil = Candidate {
                agent: name.into(),
                vetoes: vec![name.into()],
                ..candidate(9, name, Action::Suspect, name)
            };
            let plan = SweepReport { candidates: vec![evil], notes: vec![name.into()], ..SweepReport::default() };
            play.tell(Msg::Swept(Purpose::Plan { emergency: false }, Ok(Box::new(plan)))).keys("d");
            let screen = play.screen();
            assert!(!screen.contains(['\x1b', '\x07', '\u{202e}']), "{screen}");
        }
    }
}

#[test]
fn one_that_has_ended_is_chosen_and_goes_on() {
    let exit = |at: &str| Exit { code: Some(0), signal: None, at: at.into(), by: ExitBy::User, reason: "user".into() };
    let ended = |id: &str, name: &str, at: &str| Session {
        state: State::Ended,
        exit: Some(exit(at)),
        resume: Some(format!("claude --resume {id}")),
        ..session(id, name, "claude")
    };
    for (cols, rows) in SIZES {
        let mut play = Play::busy(cols, rows);
        play.keys("R");
        assert!(play.effects().contains(&Effect::AskEnded));
        let sessions =
            vec![ended("e1", "docs", "2026-11-20T10:31:00Z"), ended("e2", "two\x1b[2J", "2026-11-20T09:00:00Z")];
        play.tell(Msg::EndedCame(Ok(sessions)));
        assert_snapshot!(format!("resume_{cols}x{rows}"), play.screen());
        play.keys("1");
        assert_eq!(play.effects(), [Effect::Resume { id: "e1".into(), name: "docs".into() }]);
    }
}
