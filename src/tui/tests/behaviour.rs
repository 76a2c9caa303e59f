//! Rules of the interface: what a message does, and what it asks for.

use std::time::Duration;

use crossterm::event::KeyCode;

use super::{Play, closed, morning, report, session};
use crate::api::attach::Left;
use crate::api::types::{Act, Outcome, PaneAt, Session, Started};
use crate::model::session::{Exit, ExitBy, Health, Origin};
use crate::tui::app::{Link, Mode};
use crate::tui::form::Field;
use crate::tui::link::Lack;
use crate::tui::msg::{Close, Effect, Msg};
use crate::tui::picture::Picture;

pub fn names(play: &Play) -> Vec<&str> {
    play.app.visible_rows().map(|row| row.name.as_str()).collect()
}

pub fn selected(play: &Play) -> &str {
    play.app.selected_row().map_or("", |row| row.name.as_str())
}

#[test]
fn the_worst_come_first_and_ended_ones_not_at_all() {
    let mut sessions = morning();
    sessions.push(Session { state: crate::model::session::State::Ended, ..session("e", "over", "goose") });
    let mut play = Play::new(80, 24);
    play.table(1, sessions);
    assert_eq!(
        names(&play)[..4],
        ["data-backfill", "frontend-CreateLoginForm", "nightly-refactor", "backend-SetupDatabase"]
    );
    assert_eq!(names(&play).len(), 6);
}

#[test]
fn the_selection_follows_the_session_and_not_the_row() {
    let mut play = Play::busy(80, 24);
    play.keys("jj");
    assert_eq!(selected(&play), "nightly-refactor");
    let mut better = morning();
    better[1].health = Health::Healthy;
    better[1].started_at = "2026-11-21T10:00:00Z".into();
    play.table(2, better);
    assert_eq!(selected(&play), "nightly-refactor");
    assert!(play.app.cursor > 2);
}

#[test]
fn when_the_selected_session_goes_the_cursor_stays_at_its_place() {
    let mut play = Play::busy(80, 24);
    play.keys("j");
    play.table(2, morning().into_iter().filter(|s| s.id != "k3f9q5").collect());
    assert_eq!(selected(&play), "nightly-refactor");
    play.table(3, Vec::new());
    assert_eq!(play.app.selected, None);
}

#[test]
fn moving_stops_at_the_ends() {
    let mut play = Play::busy(80, 24);
    play.keys("kG");
    assert_eq!(play.app.cursor, 5);
    play.keys("j").press(KeyCode::Down);
    assert_eq!(play.app.cursor, 5);
    play.keys("g").control('d');
    assert!(play.app.cursor > 1);
    play.control('u');
    assert_eq!(play.app.cursor, 0);
}

#[test]
fn a_kill_asks_first_and_enter_means_no() {
    let mut play = Play::busy(80, 24);
    play.keys("x").press(KeyCode::Enter);
    assert_eq!((play.effects(), &play.app.mode), (vec![], &Mode::Table));
    play.keys("x").press(KeyCode::Tab).press(KeyCode::Enter);
    let close = Effect::Close { ticket: 1, what: Close::These(vec!["k3f9q2".into()]), now: false };
    assert_eq!(play.effects(), [close]);
    assert!(play.app.closing_since("k3f9q2").is_some());
}

#[test]
fn a_kill_takes_the_marked_and_forgets_the_marks() {
    let mut play = Play::busy(80, 24);
    play.keys(" jkj");
    play.keys(" Xy");
    let Some(Effect::Close { what: Close::These(mut taken), now: true, .. }) = play.effects().pop() else { panic!() };
    taken.sort();
    assert_eq!(taken, ["k3f9q2", "k3f9q4"]);
    assert!(play.app.marked.is_empty());
}

#[test]
fn who_is_gone_is_no_longer_asked_about() {
    let mut play = Play::busy(80, 24);
    play.keys(" jx");
    play.table(2, morning().into_iter().filter(|s| s.id != "k3f9q2").collect());
    assert_eq!(play.app.mode, Mode::Table);
    assert!(play.app.notice.is_some());
}

#[test]
fn close_all_follows_the_table_and_counts_the_foreign() {
    let mut play = Play::busy(80, 24);
    play.keys("C");
    let mut more = morning();
    more.push(session("new", "newcomer", "goose"));
    play.table(2, more);
    let Mode::Confirm(confirm) = &play.app.mode else { panic!() };
    assert_eq!((confirm.victims.len(), confirm.foreign), (6, 1));
    assert!(confirm.victims.iter().any(|v| v.name == "newcomer"));
    play.keys("y");
    assert_eq!(play.effects(), [Effect::Close { ticket: 1, what: Close::All, now: false }]);
}

#[test]
fn a_report_ends_the_progress_and_a_long_one_opens() {
    let mut play = Play::busy(80, 24);
    play.keys("xy");
    let short = report(vec![closed("data-backfill", Outcome::Clean, 0.03)]);
    play.tell(Msg::Closed { ticket: 1, report: Ok(short) });
    assert!(play.app.closing.is_empty());
    assert_eq!(play.app.mode, Mode::Table);
    play.press(KeyCode::Esc);
    assert!(play.app.report.is_none());

    let many = (0..40).map(|i| closed(&format!("worker-{i}"), Outcome::Forced, 5.0)).collect();
    play.keys("?").tell(Msg::Closed { ticket: 2, report: Ok(report(many)) });
    assert!(matches!(play.app.mode, Mode::Help(_)), "a report does not take the keys of what is open");
    play.press(KeyCode::Esc);
    assert!(matches!(play.app.mode, Mode::Report { .. }));
    play.effects();
    play.keys("yr");
    assert!(matches!(&play.effects()[..], [Effect::Copy(text)] if text.lines().count() == 40));
    play.press(KeyCode::Esc);
    assert!(play.app.report.is_none());
}

#[test]
fn copy_takes_the_id_when_there_is_nothing_to_resume() {
    let mut play = Play::busy(80, 24);
    play.keys("y");
    assert_eq!(play.effects(), [Effect::Copy("k3f9q2".into())]);
}

#[test]
fn escape_closes_one_layer_at_a_time_and_never_the_program() {
    let mut play = Play::busy(80, 24);
    play.keys("/e").press(KeyCode::Enter).keys(" ?");
    play.press(KeyCode::Esc);
    assert_eq!(play.app.mode, Mode::Table);
    assert_eq!(play.app.marked.len(), 1);
    play.press(KeyCode::Esc);
    assert!(play.app.marked.is_empty() && !play.app.filter.is_empty());
    play.press(KeyCode::Esc).press(KeyCode::Esc).press(KeyCode::Esc);
    assert!(play.app.filter.is_empty());
    assert_eq!(play.effects(), []);
    play.keys("q");
    assert_eq!(play.effects(), [Effect::Quit]);
}

#[test]
fn a_filter_looks_at_name_agent_project_and_reason() {
    let mut play = Play::busy(80, 24);
    play.keys("/CODEX");
    assert_eq!(names(&play), ["data-backfill", "backend-SetupDatabase"]);
    play.control('u').keys("spinning");
    assert_eq!(names(&play), ["nightly-refactor"]);
    play.press(KeyCode::Enter);
    assert_eq!((names(&play).len(), &play.app.mode), (1, &Mode::Table));
    play.keys("/").press(KeyCode::Esc);
    assert_eq!(names(&play).len(), 6);
}

#[test]
fn pause_and_pin_toggle() {
    let mut play = Play::busy(80, 24);
    play.keys("p").keys("Gp").keys("kkP");
    let on = |verb, id: &str| Effect::Act(verb, vec![id.into()]);
    assert_eq!(play.effects(), [on(Act::Pause, "k3f9q2"), on(Act::Unpause, "k3f9q9"), on(Act::Unpin, "k3f9q6")]);
}

#[test]
fn a_line_is_typed_into_the_session_it_was_begun_for() {
    let mut play = Play::busy(80, 24);
    play.keys("ji").tell(Msg::Pasted("fix\nit".into()));
    play.table(2, morning().into_iter().rev().collect());
    play.press(KeyCode::Enter);
    let (id, name) = ("k3f9q5".into(), "frontend-CreateLoginForm".into());
    assert_eq!(play.effects(), [Effect::Type { id, name, text: "fix it".into() }]);
}

#[test]
fn a_new_session_is_asked_for_shown_and_remembered() {
    let mut play = Play::busy(80, 24);
    play.keys("n").control('u').keys("codex 'a b'").press(KeyCode::Tab).keys("web").press(KeyCode::Enter);
    let command = vec!["codex".into(), "a b".into()];
    let start = Effect::Start { command, name: Some("web".into()), workspace: "/srv/app".into(), size: (80, 24) };
    assert_eq!(play.effects(), [start]);
    play.press(KeyCode::Enter);
    assert_eq!(play.effects(), [], "asked for once");
    let started = Started { session_id: "new".into(), name: "web".into(), leader_pid: 1, notes: Vec::new() };
    play.tell(Msg::Started(Ok(started)));
    assert_eq!(play.app.mode, Mode::Table);
    let mut more = morning();
    more.push(session("new", "web", "codex"));
    play.table(2, more);
    assert_eq!(selected(&play), "web");
    assert!(play.app.is_fresh("new"));
    play.keys("n");
    let Mode::Form(form) = &play.app.mode else { panic!() };
    assert_eq!((form.command.text(), form.name.text()), ("codex 'a b'".into(), String::new()));
}

#[test]
fn what_is_wrong_with_a_new_session_is_said_in_the_form() {
    let mut play = Play::busy(80, 24);
    play.keys("n").control('u').press(KeyCode::Enter);
    let Mode::Form(form) = &play.app.mode else { panic!() };
    assert!(form.error.is_some() && form.field == Field::Command);
    play.keys("nope").press(KeyCode::Enter).tell(Msg::Started(Err("cannot execute \"nope\"".into())));
    let Mode::Form(form) = &play.app.mode else { panic!() };
    assert_eq!((form.error.as_deref(), form.is_starting), (Some("cannot execute \"nope\""), false));
    play.keys("x");
    assert!(matches!(&play.app.mode, Mode::Form(form) if form.error.is_none()));
}

#[test]
fn read_only_refuses_what_changes_something() {
    let mut play = Play::with(80, 24, |o| o.readonly = true);
    play.table(1, morning());
    play.keys("xXCpPrin");
    assert_eq!((play.effects(), &play.app.mode), (vec![], &Mode::Table));
    assert!(play.app.notice.as_ref().is_some_and(|n| n.is_bad));
    play.press(KeyCode::Enter);
    assert!(matches!(&play.effects()[..], [Effect::FindKeeper { .. }]));
}

#[test]
fn managed_sessions_and_those_in_tmux_are_attached_to() {
    let mut play = Play::busy(80, 24);
    play.keys("Gk").press(KeyCode::Enter);
    assert_eq!(selected(&play), "ops:2");
    assert_eq!(play.effects(), [Effect::FindKeeper { id: "t00001".into(), name: "ops:2".into() }]);
    let pane = PaneAt { socket: "/tmp/tmux".into(), server_pid: 7, id: "%1".into() };
    play.tell(Msg::PaneFound { name: "ops:2".into(), pane: pane.clone() });
    assert_eq!(play.effects(), [Effect::GoToPane { pane, name: "ops:2".into() }]);
    play.keys("g").press(KeyCode::Enter);
    assert_eq!(play.effects(), [Effect::FindKeeper { id: "k3f9q2".into(), name: "data-backfill".into() }]);
    let found = |socket| Msg::KeeperFound { name: "data-backfill".into(), socket: Ok(socket) };
    play.tell(found(Some("/run/k".into())));
    assert_eq!(play.effects(), [Effect::Attach { socket: "/run/k".into(), name: "data-backfill".into() }]);
    let exit = Exit { code: Some(3), signal: None, at: String::new(), by: ExitBy::Itself, reason: String::new() };
    play.tell(Msg::AttachEnded { name: "a".into(), left: Ok(Left::Ended(Some(exit))) });
    assert_eq!(play.app.notice.as_ref().unwrap().text, "a ended with status 3");
}

/// Refused before a question, in words that can be read to their end; what cannot be done is not offered.
#[test]
fn what_does_nothing_to_a_row_is_refused_at_once_and_not_in_the_foot() {
    for cols in [40, 80] {
        let mut play = Play::new(cols, 24);
        let mut found = session("f1", "an-agent-somebody-else-started", "claude");
        found.origin = Origin::Found;
        play.table(1, vec![found]);
        let foot = play.screen().lines().last().unwrap().to_string();
        assert!(foot.contains("x kill") && !foot.contains("pause") && !foot.contains("attach"), "{foot}");
        for (key, end) in [("p", "`fg` there goes on"), ("r", "can be restarted"), ("i", "x kills it")] {
            let screen = play.keys(key).screen();
            let words: String = screen.replace('"', " ").split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(words.contains(end), "{key}: {screen}");
            assert_eq!((play.effects(), &play.app.mode), (vec![], &Mode::Table));
        }
        // A signal reaches it, once it is chosen.
        assert_eq!(play.keys("S").effects(), []);
        assert_eq!(play.keys("i").effects(), [Effect::Signal(vec!["f1".into()], "INT".into())]);
    }
    let mut play = Play::with(80, 24, |o| o.is_in_tmux = true);
    play.table(1, morning()).keys("Gk");
    let foot = play.screen().lines().last().unwrap().to_string();
    assert_eq!(selected(&play), "ops:2");
    assert!(foot.contains("Enter attach  i type  x kill  P pin  w window"), "{foot}");
}

#[test]
fn who_needs_a_person_stays_in_the_first_line() {
    for (cols, keys) in [(40, ""), (40, "!"), (80, "!"), (20, "")] {
        let mut play = Play::busy(cols, 10);
        let screen = play.keys(keys).screen();
        let first = screen.lines().next().unwrap();
        assert!(first.contains("1 waiting") || first.contains("◇1"), "{cols} {keys}: {first}");
        assert!(!first.contains("0 stuck"), "{first}");
    }
}

#[test]
fn keys_typed_ahead_of_a_session_do_nothing_to_the_table() {
    let mut play = Play::busy(80, 24);
    play.press(KeyCode::Enter).effects();
    play.keys("xyCyq").press(KeyCode::Enter);
    assert_eq!((play.effects(), &play.app.mode), (vec![], &Mode::Table));
    play.after(1.0);
    assert!(play.screen().contains("attaching to data-backfill"));
    let found = Msg::KeeperFound { name: "data-backfill".into(), socket: Ok(Some("/run/k".into())) };
    play.tell(found).keys("xy");
    assert_eq!(play.effects(), [Effect::Attach { socket: "/run/k".into(), name: "data-backfill".into() }]);
    play.tell(Msg::AttachEnded { name: "data-backfill".into(), left: Ok(Left::Detached) }).keys("x");
    assert!(matches!(play.app.mode, Mode::Confirm(_)));
}

#[test]
fn escape_stays_at_the_table_however_late_the_keeper_is_found() {
    let mut play = Play::busy(80, 24);
    play.press(KeyCode::Enter).press(KeyCode::Esc);
    play.effects();
    play.tell(Msg::KeeperFound { name: "data-backfill".into(), socket: Ok(Some("/run/k".into())) });
    assert_eq!(play.effects(), []);
    play.keys("?");
    assert!(matches!(play.app.mode, Mode::Help(_)));
}

#[test]
fn the_screen_is_fetched_when_the_selection_moves_and_while_it_changes() {
    let mut play = Play::busy(80, 24);
    assert_eq!(play.looks(), [Effect::Look("k3f9q2".into())]);
    play.keys("jj");
    assert_eq!(play.looks(), [], "one at a time");
    play.tell(Msg::ScreenCame { id: "k3f9q2".into(), picture: Err("gone".into()) });
    assert_eq!(play.looks(), [Effect::Look("k3f9q4".into())]);
    play.show_screen("a");
    play.after(5.0);
    assert_eq!(play.looks(), [], "nothing changed");

    let mut active = morning();
    active[1].messages = Some(18);
    play.table(2, active.clone());
    assert_eq!(play.looks(), [Effect::Look("k3f9q4".into())]);
    play.now += Duration::from_millis(50);
    play.show_screen("b");
    assert_eq!(play.looks(), [Effect::Wake(Duration::from_millis(200))], "it moves: look again, but not at once");
    play.after(0.2);
    assert_eq!(play.looks(), [Effect::Look("k3f9q4".into())]);
    play.show_screen("b");
    play.after(1.0);
    assert_eq!(play.looks(), [], "it rests");
}

#[test]
fn no_screen_is_fetched_where_none_is_shown() {
    let mut play = Play::busy(40, 10);
    assert_eq!(play.looks(), []);
}

#[test]
fn at_rest_nothing_is_drawn() {
    let mut play = Play::busy(80, 24);
    play.app.is_dirty = false;
    play.after(1.0);
    assert!(play.app.is_dirty, "idle times of seconds move");
    let mut old = morning();
    for session in &mut old {
        (session.idle_seconds, session.age_seconds) = (Some(2430.0), 7230.0);
    }
    play.table(2, old).after(1.0);
    play.app.is_dirty = false;
    play.after(1.0);
    assert!(!play.app.is_dirty, "minutes do not move every second");
    play.show_screen("same").after(5.0);
    play.app.is_dirty = false;
    let id = play.app.selected_id().unwrap().to_string();
    let screen = crate::api::types::Screen { cols: 80, rows: 24, ansi: "same".into(), ..Default::default() };
    let mut same = Picture::new(&screen);
    same.title = "✳ Login form".into();
    play.tell(Msg::ScreenCame { id, picture: Ok(Box::new(same)) });
    assert!(!play.app.is_dirty, "the same picture is not drawn again");
}

#[test]
fn a_lost_connection_is_said_and_does_not_age_the_data() {
    let mut play = Play::busy(80, 24);
    play.after(2.0).tell(Msg::LinkBroke("failed to connect".into(), Lack::Unknown));
    assert!(matches!(play.app.link, Link::Lost { .. }));
    let before = play.app.age_seconds(play.app.selected_row().unwrap());
    play.after(60.0);
    assert!((play.app.age_seconds(play.app.selected_row().unwrap()) - before).abs() < 0.01);
    assert_eq!(play.app.stale_for(), Some(Duration::from_secs(62)));
    play.table(1, morning());
    assert_eq!(play.app.link, Link::Up);
}

#[test]
fn a_silent_daemon_is_said_and_nothing_ages_meanwhile() {
    let mut play = Play::busy(80, 24);
    play.after(7.0).tell(Msg::FellSilent(Duration::from_secs(5)));
    assert_eq!(play.app.stale_for(), Some(Duration::from_secs(5)));
    let before = play.app.age_seconds(play.app.selected_row().unwrap());
    play.after(60.0);
    assert!((play.app.age_seconds(play.app.selected_row().unwrap()) - before).abs() < 0.01);
    assert!(play.screen().contains("does not answer since 1m"), "{}", play.screen());
    play.tell(Msg::SpokeAgain);
    assert_eq!((play.app.link.clone(), play.app.stale_for()), (Link::Up, None));
}

#[test]
fn what_mends_a_lost_link_fits_and_enter_starts_a_daemon_only_where_none_is_started_by_itself() {
    use crate::tui::msg::Effect;
    for cols in [40, 80, 120] {
        let mut play = Play::busy(cols, 24);
        let mut banner = |lack: Lack| {
            play.after(2.0).tell(Msg::LinkBroke("failed to connect: a long reason".repeat(4), lack));
            play.screen().lines().nth(1).unwrap().trim_matches('"').trim_end().to_string()
        };
        let lacks = [
            (Lack::Unknown, "trying"),
            (Lack::Starting, "starting a new daemon"),
            (Lack::Gone, "Enter starts one"),
            (Lack::Failed("the config is wrong, and here is at length why".into()), "Enter tries"),
        ];
        for (lack, remedy) in lacks {
            let text = banner(lack);
            assert!(text.contains(remedy) && !text.contains('…'), "{cols}: {text}");
        }
        play.keys("g").press(KeyCode::Enter);
        assert_eq!(play.effects(), [Effect::StartDaemon]);
        assert_eq!(play.app.lack, Lack::Starting);
        play.table(9, morning());
        assert!(play.app.notice.as_ref().unwrap().text.contains("a new daemon was started"));
        let mut play = Play::with(cols, 24, |o| o.readonly = true);
        play.table(1, morning()).tell(Msg::LinkBroke("failed".into(), Lack::Gone)).press(KeyCode::Enter);
        assert!(play.screen().contains("`beadle daemon start`"), "{}", play.screen());
        assert!(!play.effects().contains(&Effect::StartDaemon));
    }
}

#[test]
fn rows_are_sorted_by_any_column_and_unknown_comes_last_either_way() {
    let mut play = Play::busy(80, 24);
    play.app.order.by = crate::tui::column::Column::Memory;
    play.keys("oo");
    assert_eq!((names(&play)[0], *names(&play).last().unwrap()), ("nightly-refactor", "ops:2"));
    play.keys("o");
    assert_eq!(*names(&play).last().unwrap(), "ops:2");
    let order = play.app.order;
    play.keys("<>");
    assert_eq!(play.app.order.by, order.by);
    for _ in crate::tui::column::Column::ALL {
        play.keys(">");
    }
    assert_eq!(play.app.order.by, order.by, "around the ends");
}

#[test]
fn a_group_folds_with_the_cursor_on_its_heading_and_stands_for_its_sessions() {
    let mut play = Play::busy(80, 24);
    play.keys("jjb");
    assert_eq!(selected(&play), "nightly-refactor", "grouping leaves the cursor where it is");
    play.keys("f");
    assert_eq!(play.app.selected_group().map(|g| (g.title.as_str(), g.sessions)), Some(("web", 5)));
    assert_eq!(names(&play), ["ops:2"]);
    play.keys("x");
    let Mode::Confirm(confirm) = &play.app.mode else { panic!() };
    assert_eq!(confirm.victims.len(), 5);
    play.press(KeyCode::Esc).press(KeyCode::Enter);
    assert_eq!(names(&play).len(), 6, "Enter on a heading opens it");
}

#[test]
fn a_tree_is_asked_for_shown_and_stepped_over() {
    let mut play = Play::busy(80, 24);
    play.keys("jt");
    assert!(play.asked.contains(&Effect::Inquire("k3f9q5".into())));
    play.asked.clear();
    play.keys("jk");
    assert!(!play.asked.iter().any(|e| matches!(e, Effect::Inquire(_))), "not twice at once");
    play.tell(Msg::DetailCame { id: "k3f9q5".into(), detail: Ok(Box::new(super::detail("k3f9q5"))), branch: None });
    assert_eq!(play.app.lines.len(), 6 + 3);
    play.keys("j");
    assert_eq!(selected(&play), "nightly-refactor");
    play.after(3.0);
    assert!(play.asked.contains(&Effect::Inquire("k3f9q5".into())), "asked again while it is open");
    play.keys("kt");
    assert_eq!(play.app.lines.len(), 6);
}

#[test]
fn who_has_gone_stays_for_a_moment_and_nothing_acts_on_it() {
    let mut play = Play::busy(80, 24);
    play.after(1.0).table(2, morning().into_iter().filter(|s| s.id != "k3f9q2").collect());
    assert!(play.screen().contains("data-backfill"));
    assert_eq!(selected(&play), "frontend-CreateLoginForm");
    play.keys("k");
    assert_eq!(selected(&play), "frontend-CreateLoginForm");
    play.after(3.0);
    assert!(!play.screen().contains("data-backfill"));
}

#[test]
fn faults_only_leaves_those_that_need_a_person() {
    let mut play = Play::busy(80, 24);
    play.keys("!");
    assert_eq!(names(&play), ["data-backfill", "frontend-CreateLoginForm", "nightly-refactor"]);
    play.keys("!");
    assert_eq!(names(&play).len(), 6);
}

#[test]
fn a_term_that_cannot_be_read_is_said_and_the_others_hold() {
    let mut play = Play::busy(80, 24);
    play.keys("/agent=codex health=orph");
    assert_eq!(names(&play), ["data-backfill", "backend-SetupDatabase"]);
    assert!(play.screen().contains("health is healthy, stuck, orphaned, waiting"));
    play.press(KeyCode::Enter);
    assert!(matches!(play.app.mode, Mode::Filter(_)), "it is not kept like that");
    play.keys("aned").press(KeyCode::Enter);
    assert_eq!((names(&play), &play.app.mode), (vec!["data-backfill"], &Mode::Table));
}

#[test]
fn a_close_by_policy_counts_down_by_the_daemons_clock() {
    let mut play = Play::new(80, 24);
    let session = Session {
        closes_at: Some("2026-11-20T10:50:00Z".into()),
        closes_because: Some("idle for 55 m".into()),
        ..session("a", "quiet", "goose")
    };
    play.table(1, vec![session]).after(10.0);
    assert_eq!(play.app.closes_in(play.app.selected_row().unwrap()), Some(110.0));
    assert!(play.screen().contains("closes in 1m"));
}

#[test]
fn what_a_session_is_now_is_dated_when_the_change_was_seen() {
    let mut play = Play::busy(80, 24);
    assert_eq!(play.app.since(play.app.selected_row().unwrap()), None, "nobody saw it become so");
    let mut worse = morning();
    worse[0].health = Health::Stuck;
    worse[0].messages = Some(40);
    play.after(60.0).table(2, worse).after(30.0);
    let row = play.app.row("k3f9q6").unwrap();
    assert_eq!((play.app.since(row), play.app.seen.activity("k3f9q6")), (Some(30.0), Some(23.0)));
    assert!(play.app.seen.changes.iter().any(|c| c.text.starts_with("healthy → stuck")));
}
