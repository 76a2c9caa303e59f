//! Rules of what lies around the table: marks, answers, menus, palette, panes, telling, mouse, config.

use crossterm::event::KeyCode;

use super::behaviour::{names, selected};
use super::{Play, closed, morning, report, session};
use crate::api::types::Outcome;
use crate::tui::app::Mode;
use crate::tui::msg::{Effect, Msg};
use crate::tui::panes::Pane;

#[test]
fn a_range_all_and_what_a_filter_takes_can_be_marked() {
    let mut play = Play::busy(80, 24);
    play.keys(" jjv");
    assert_eq!(play.app.marked.len(), 4);
    play.press(KeyCode::Esc).keys("/codex").press(KeyCode::Enter).keys("*");
    assert_eq!(play.app.marked.iter().map(String::as_str).collect::<Vec<_>>(), ["k3f9q2", "k3f9q6"]);
    play.keys("*");
    assert!(play.app.marked.is_empty(), "all are marked: none is");
    play.press(KeyCode::Esc).press(KeyCode::Esc).keys(":mark idle>20m").press(KeyCode::Enter);
    assert_eq!(play.app.marked.len(), 2);
}

#[test]
fn an_answer_is_one_key_and_an_arrow_leaves_it_open() {
    let mut play = Play::busy(80, 24);
    play.keys("ja").press(KeyCode::Down).keys("x2");
    let key =
        |key: &str| Effect::Answer { id: "k3f9q5".into(), name: "frontend-CreateLoginForm".into(), key: key.into() };
    assert_eq!((play.effects(), &play.app.mode), (vec![key("Down"), key("2")], &Mode::Table));
}

#[test]
fn a_signal_is_chosen_from_a_menu_for_the_marked() {
    let mut play = Play::busy(80, 24);
    play.keys("  Si");
    // The other one's agent has gone.
    assert_eq!(play.effects(), [Effect::Signal(vec!["k3f9q5".into()], "INT".into())]);
    play.keys("S").press(KeyCode::Down).press(KeyCode::Enter);
    assert!(matches!(&play.effects()[..], [Effect::Signal(_, signal)] if signal == "TERM"));
    play.keys("S").press(KeyCode::Esc);
    assert_eq!((play.effects(), &play.app.mode), (vec![], &Mode::Table));
}

#[test]
fn what_was_done_is_kept_as_command_lines_with_what_came_of_it() {
    let mut play = Play::busy(80, 24);
    play.keys("xypjifix it").press(KeyCode::Enter);
    play.tell(Msg::Closed { ticket: 1, report: Ok(report(vec![closed("data-backfill", Outcome::Clean, 0.03)])) });
    let lines: Vec<&str> = play.app.deeds.lines.iter().map(|deed| deed.text.as_str()).collect();
    assert_eq!(
        lines,
        [
            "beadle kill data-backfill",
            "beadle pause data-backfill",
            "beadle send frontend-CreateLoginForm 'fix it' --enter",
            "data-backfill clean 0.03 s",
        ]
    );
    assert!(play.keys("@").screen().contains("$ beadle pause data-backfill"));
}

#[test]
fn the_palette_does_what_the_keys_do_and_remembers() {
    let mut play = Play::busy(80, 24);
    play.keys(":sort memory").press(KeyCode::Enter);
    assert_eq!(play.app.order.by, crate::tui::column::Column::Memory);
    play.keys(":filter agent=codex").press(KeyCode::Enter);
    assert_eq!(names(&play).len(), 2);
    play.keys(":health all").press(KeyCode::Enter).keys(":group agent").press(KeyCode::Enter);
    assert_eq!(play.app.groups.len(), 4);
    play.keys(":group none").press(KeyCode::Enter).keys(":sort health").press(KeyCode::Enter).keys("g:rename docs");
    play.press(KeyCode::Enter);
    assert_eq!(play.effects(), [Effect::Rename("k3f9q2".into(), "docs".into())]);
    play.keys(":run codex 'a b'").press(KeyCode::Enter);
    assert!(matches!(&play.effects()[..], [Effect::Start { command, .. }] if command == &["codex", "a b"]));
    play.keys(":kil").press(KeyCode::Enter);
    assert!(play.app.notice.as_ref().is_some_and(|n| n.is_bad), "kill or kill-now: not guessed");
    play.keys(":").press(KeyCode::Up).press(KeyCode::Up);
    assert!(matches!(&play.app.mode, Mode::Palette(p) if p.line.text() == "run codex 'a b'"));
}

#[test]
fn read_only_refuses_in_the_palette_too() {
    let mut play = Play::with(80, 24, |o| o.readonly = true);
    play.table(1, morning());
    play.keys("SaC:kill").press(KeyCode::Enter).keys(":type x").press(KeyCode::Enter).keys(":signal INT");
    play.press(KeyCode::Enter);
    assert_eq!(play.effects(), []);
    assert!(play.app.notice.as_ref().is_some_and(|n| n.text.starts_with("read-only")));
}

#[test]
fn panes_take_the_keys_for_moving_and_zoom_shows_one_alone() {
    let mut play = Play::busy(80, 24);
    let regions = |play: &Play| crate::tui::view::regions::Regions::of(&play.app);
    play.keys("3");
    assert!(regions(&play).find(Pane::Details).is_some());
    play.keys("j");
    assert_eq!((selected(&play), play.app.panes.details_at), ("data-backfill", 1));
    play.keys("z");
    assert!(regions(&play).table.is_empty() && regions(&play).panes.len() == 1);
    play.press(KeyCode::Esc).press(KeyCode::Esc).keys("j");
    assert_eq!(selected(&play), "frontend-CreateLoginForm");
    play.press(KeyCode::Tab).press(KeyCode::Tab);
    assert_eq!(play.app.panes.focus, Pane::Details);
    play.tell(Msg::Resized(40, 10));
    assert!(regions(&play).table.is_empty(), "one pane at a time where there is little room");
    play.tell(Msg::Resized(200, 60));
    let shown: Vec<Pane> = regions(&play).panes.iter().map(|f| f.pane).collect();
    assert_eq!(shown, [Pane::Screen, Pane::Details, Pane::Host, Pane::Events]);
}

#[test]
fn the_border_is_moved_and_remembered() {
    let mut play = Play::busy(160, 40);
    let width = |play: &Play| crate::tui::view::regions::Regions::of(&play.app).table.width;
    let before = width(&play);
    play.keys("++");
    assert_eq!(width(&play), before + 12);
    let Some(Effect::Remember(memory)) = play.asked.iter().rev().find(|e| matches!(e, Effect::Remember(_))) else {
        panic!()
    };
    assert_eq!(memory.split, 2);
    let memory = memory.clone();
    let mut again = Play::busy(160, 40);
    again.app.remember(memory);
    assert_eq!(width(&again), before + 12);
}

#[test]
fn going_up_in_the_screen_reads_what_was_recorded_and_going_down_comes_back() {
    let mut play = Play::busy(80, 24);
    play.keys("2k");
    assert!(play.asked.contains(&Effect::Recall("k3f9q2".into())));
    let text: String = (0..200).map(|i| format!("line {i}\r\n")).collect::<Vec<_>>().concat();
    let pages = || Ok(Box::new(crate::tui::recall::Pages::new(text.as_bytes(), (80, 24))));
    play.tell(Msg::RecallCame { id: "another".into(), pages: pages() });
    assert!(play.app.recall.as_ref().is_some_and(|r| r.pages.is_none()), "of another session");
    play.tell(Msg::RecallCame { id: "k3f9q2".into(), pages: pages() });
    play.keys("/LINE 42").press(KeyCode::Enter);
    assert!(play.screen().contains("line 42"));
    play.keys("]");
    assert!(play.app.recall.is_some());
    play.keys("G");
    assert!(play.app.recall.is_none());
    play.keys("k1j");
    assert!(play.app.recall.is_none(), "another session is another story");
}

#[test]
fn a_person_is_told_once_of_who_waits_is_stuck_or_ended() {
    let mut play = Play::with(80, 24, |o| o.looks.tell = vec![crate::config::tui::Tell::Bell]);
    play.table(1, morning());
    assert_eq!(play.effects(), [], "what is so from the beginning is seen anyway");
    let mut worse = morning();
    worse[0].attention = crate::model::session::Attention::Waiting;
    worse.retain(|s| s.id != "k3f9q4");
    play.table(2, worse.clone());
    let told = "backend-SetupDatabase waits for you · nightly-refactor has ended";
    assert_eq!(play.effects(), [Effect::Tell(told.into())]);
    assert_eq!(play.app.notice.as_ref().unwrap().text, told);
    play.table(3, worse.clone());
    assert_eq!(play.effects(), []);
    play.keys("gxy").effects();
    worse.retain(|s| s.id != "k3f9q2");
    play.table(4, worse);
    assert_eq!(play.effects(), [], "who is closed from here is reported on");
}

#[test]
fn the_mouse_selects_scrolls_and_can_be_left_to_the_terminal() {
    let mut play = Play::busy(80, 24);
    play.tell(Msg::Clicked(10, 4));
    assert_eq!(selected(&play), "nightly-refactor");
    play.tell(Msg::Wheeled(10, 4, false));
    assert_eq!(selected(&play), "data-backfill");
    play.tell(Msg::Clicked(10, 20));
    assert_eq!(play.app.panes.focus, Pane::Screen);
    play.tell(Msg::Clicked(500, 500)).keys("m");
    assert_eq!(play.effects(), [Effect::Mouse(true)]);
}

#[test]
fn the_config_says_how_it_looks_at_first() {
    let mut play = Play::with(80, 24, |o| {
        let config = crate::config::parse(
            "[tui]\ntheme = \"16\"\ncolumns = [\"name\", \"memory\"]\nsort = \"name\"\nfilter = \"!origin=tmux\"\nkeys = { kill = \"d\" }\n",
            &[],
        );
        o.looks = config.unwrap().tui;
    });
    play.table(1, morning());
    assert_eq!(names(&play)[0], "backend-SetupDatabase");
    assert_eq!(names(&play).len(), 5);
    assert!(!play.screen().contains("REASON"));
    play.keys("d");
    assert!(matches!(play.app.mode, Mode::Confirm(_)));
}

#[test]
fn a_thousand_sessions_cost_a_key_what_a_screenful_costs() {
    let mut play = Play::new(80, 24);
    play.table(1, (0..1000).map(|i| session(&format!("w{i:04}"), &format!("worker-{i:04}"), "claude")).collect());
    let (lines, rows) = (play.app.lines.as_ptr(), play.app.rows.as_ptr());
    play.keys("jjjGgk");
    assert_eq!((lines, rows), (play.app.lines.as_ptr(), play.app.rows.as_ptr()), "a key lists nothing anew");
    assert!(play.screen().matches("worker-").count() < 24, "only what is seen is formatted");
}

#[test]
fn a_filter_is_kept_under_a_function_key_and_brought_back_by_it() {
    let mut play = Play::busy(80, 24);
    play.keys("/front").press(KeyCode::Enter).keys(":keep F5").press(KeyCode::Enter);
    assert_eq!(play.app.memory().filters.get(&5).map(String::as_str), Some("front"));
    play.press(KeyCode::Esc);
    assert_eq!(play.app.shown(), 6);
    play.press(KeyCode::F(5));
    assert_eq!((play.app.shown(), play.app.filter.text()), (1, "front"));
    play.press(KeyCode::F(5));
    assert_eq!(play.app.shown(), 6);
    play.press(KeyCode::F(6));
    assert!(play.screen().contains("no filter is kept under F6"));
    play.keys(":keep F1").press(KeyCode::Enter);
    assert!(play.screen().contains("F2 to F12 are"));
}

#[test]
fn tab_completes_a_directory_and_goes_on_where_there_is_nothing_to_add() {
    let mut play = Play::busy(80, 24);
    play.keys("n").press(KeyCode::Tab).press(KeyCode::Tab).control('u').keys("/srv/ap").press(KeyCode::Tab);
    let asked = play.effects();
    assert_eq!(asked, [Effect::ListDirectories { typed: "/srv/ap".into(), place: "/srv/".into() }]);
    play.tell(Msg::DirectoriesCame { typed: "/srv/ap".into(), names: vec!["api".into(), "app".into()] });
    assert!(play.screen().contains("api app"), "{}", play.screen());
    play.keys("p").press(KeyCode::Tab);
    play.tell(Msg::DirectoriesCame { typed: "/srv/app".into(), names: vec!["api".into(), "app".into()] });
    assert!(play.screen().contains("/srv/app/"));
    play.press(KeyCode::Tab).tell(Msg::DirectoriesCame { typed: "/srv/app/".into(), names: Vec::new() });
    assert!(matches!(&play.app.mode, Mode::Form(form) if form.field == crate::tui::form::Field::Command));
}
