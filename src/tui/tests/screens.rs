//! Pictures of the interface, at the sizes people have.

use crossterm::event::KeyCode;
use insta::assert_snapshot;
use ratatui::style::{Color, Modifier};

use super::{Play, closed, morning, report, session};
use crate::api::types::{Outcome, Session};
use crate::tui::link::Lack;
use crate::tui::msg::Msg;

const EDIT: &str = "\x1b[32m●\x1b[0m \x1b[1mUpdate\x1b[0m(src/auth.rs)\r\n\r\n\
    Do you want to make this edit to \x1b[1msrc/auth.rs\x1b[0m?\r\n\
    \x1b[34m❯ 1. Yes\x1b[0m\r\n  2. Yes, and don't ask again this session\r\n  3. No (esc)";

fn busy(cols: u16, rows: u16) -> Play {
    let mut play = Play::busy(cols, rows);
    play.keys("j").tell(Msg::ScreenCame { id: "k3f9q2".into(), picture: Err("no such keeper".into()) });
    play.show_screen(EDIT);
    play
}

#[test]
fn main_80x24() {
    assert_snapshot!(busy(80, 24).screen());
}

#[test]
fn main_40x10() {
    assert_snapshot!(busy(40, 10).screen());
}

#[test]
fn main_120x40() {
    assert_snapshot!(busy(120, 40).screen());
}

#[test]
fn main_200x60() {
    assert_snapshot!(busy(200, 60).screen());
}

#[test]
fn main_20x5() {
    assert_snapshot!(busy(20, 5).screen());
}

#[test]
fn more_rows_than_lines() {
    let mut play = Play::new(80, 16);
    play.table(1, (0..40).map(|i| session(&format!("w{i:02}"), &format!("worker-{i:02}"), "claude")).collect());
    play.keys("G");
    assert_snapshot!(play.screen());
}

#[test]
fn kill_marked() {
    assert_snapshot!(busy(80, 24).keys("k  x").screen());
}

#[test]
fn kill_40x10() {
    assert_snapshot!(busy(40, 10).keys("x").press(KeyCode::Tab).screen());
}

#[test]
fn close_all_names_what_fits() {
    let mut play = Play::new(80, 16);
    play.table(1, (0..40).map(|i| session(&format!("w{i:02}"), &format!("worker-{i:02}"), "claude")).collect());
    assert_snapshot!(play.keys("C").screen());
}

#[test]
fn restart_and_kill_now_say_what_they_do() {
    let play = &mut busy(80, 24);
    assert!(play.keys("r").screen().contains("Closed first (5 s, then by force), then started again."));
    play.press(KeyCode::Esc);
    assert!(play.keys("X").screen().contains("By force, at once."));
}

#[test]
fn closing() {
    let mut play = busy(80, 24);
    play.keys("xy").after(2.0);
    assert_snapshot!(play.screen());
}

#[test]
fn report_in_lines() {
    let mut play = busy(80, 24);
    let sessions =
        vec![closed("data-backfill", Outcome::Clean, 0.03), closed("nightly-refactor", Outcome::Forced, 5.1)];
    play.tell(Msg::Closed { ticket: 9, report: Ok(report(sessions)) });
    assert_snapshot!(play.screen());
}

#[test]
fn report_in_a_panel() {
    let mut play = busy(80, 24);
    let outcomes = [Outcome::Clean, Outcome::Forced, Outcome::Survivors, Outcome::AlreadyGone];
    let sessions = (0..8).map(|i| closed(&format!("worker-{i}"), outcomes[i % 4], 1.0)).collect();
    play.tell(Msg::Closed { ticket: 9, report: Ok(report(sessions)) });
    assert_snapshot!(play.screen());
}

#[test]
fn form() {
    assert_snapshot!(busy(80, 24).keys("n").press(KeyCode::Tab).keys("two words").press(KeyCode::Enter).screen());
}

#[test]
fn form_40x10() {
    assert_snapshot!(busy(40, 10).keys("n").screen());
}

#[test]
fn help_80x24() {
    assert_snapshot!(busy(80, 24).keys("?").screen());
}

#[test]
fn help_40x10_scrolled() {
    assert_snapshot!(busy(40, 10).keys("?G").screen());
}

#[test]
fn help_hides_what_is_refused() {
    let mut play = Play::with(80, 24, |o| o.readonly = true);
    play.table(1, morning());
    let screen = play.keys("?").screen();
    assert!(!screen.contains("kill") && screen.contains("attach"));
}

#[test]
fn empty() {
    assert_snapshot!(Play::new(80, 24).table(1, Vec::new()).screen());
}

#[test]
fn connecting() {
    let mut play = Play::new(80, 6);
    assert!(play.screen().contains("Asking the daemon"));
    play.tell(Msg::LinkBroke("failed to connect to the daemon at /run/x: refused".into(), Lack::Unknown));
    assert_snapshot!(play.screen());
}

#[test]
fn connection_lost() {
    let mut play = busy(80, 24);
    play.after(3.0).tell(Msg::LinkBroke("failed to connect".into(), Lack::Unknown)).after(9.0);
    assert_snapshot!(play.screen());
}

#[test]
fn filter_while_typed_and_kept() {
    let mut play = busy(80, 24);
    assert_snapshot!("typed", play.keys("/front").screen());
    play.press(KeyCode::Enter);
    assert!(play.screen().contains("/front  1 of 6"));
    play.keys("/zzz");
    assert!(play.screen().contains("Nothing has “frontzzz” in it."));
}

#[test]
fn typing_a_line() {
    let mut play = busy(80, 24);
    play.keys("ifix the tests");
    assert!(play.screen().contains(" to frontend-CreateLoginForm ❯ fix the tests"));
}

#[test]
fn what_a_process_says_never_steers_the_terminal() {
    let evil = "\x1b]0;evil\x07\x1b[2Jna\u{202e}me\n".repeat(500);
    let hostile = Session {
        agent: evil.clone(),
        reason: evil.clone(),
        workspace: evil.clone(),
        command: vec![evil.clone()],
        project: Some(evil.clone()),
        id: evil.clone(),
        ..session("x", &evil, "x")
    };
    let mut play = Play::new(200, 60);
    play.table(1, vec![hostile]).show_screen(&evil);
    play.tell(Msg::Started(Err(evil.clone())));
    for key in ["", "x", "i"] {
        let terminal = play.keys(key).terminal();
        let cells = terminal.backend().buffer().content();
        assert!(!cells.iter().any(|cell| cell.symbol().contains(|c: char| c.is_control() || c == '\u{202e}')));
        play.press(KeyCode::Esc);
    }
}

#[test]
fn colours_mean_what_the_words_say() {
    let terminal = busy(80, 24).terminal();
    let buffer = terminal.backend().buffer();
    let glyph = |row: u16| (buffer[(1, row)].symbol(), buffer[(1, row)].fg);
    assert_eq!(glyph(2), ("✖", Color::Indexed(203)));
    assert_eq!(glyph(3), ("◇", Color::Indexed(75)));
    assert_eq!(glyph(4), ("◐", Color::Indexed(214)));
    assert_eq!(buffer[(5, 3)].bg, Color::Indexed(238), "the selection is a bar");
    let agent = buffer.content().iter().find(|c| c.symbol() == "❯").unwrap();
    assert_eq!(agent.fg, Color::Indexed(4), "the agent's own colours are kept");
}

#[test]
fn without_colour_nothing_is_coloured() {
    let mut play = Play::with(120, 40, |o| o.colour = false);
    play.table(1, morning()).show_screen(EDIT);
    let terminal = play.keys("x").terminal();
    let buffer = terminal.backend().buffer();
    assert!(buffer.content().iter().all(|c| c.fg == Color::Reset && c.bg == Color::Reset));
    assert!(buffer[(5, 2)].modifier.contains(Modifier::REVERSED));
}

#[test]
fn grouped_with_an_open_tree() {
    let mut play = busy(80, 24);
    play.keys("bt");
    play.tell(Msg::DetailCame {
        id: "k3f9q5".into(),
        detail: Ok(Box::new(super::detail("k3f9q5"))),
        branch: Some("main".into()),
    });
    assert_snapshot!(play.screen());
    play.tell(Msg::Resized(200, 60));
    assert_snapshot!("grouped_with_an_open_tree_200x60", play.screen());
    play.tell(Msg::Resized(40, 10));
    assert_snapshot!("grouped_with_an_open_tree_40x10", play.screen());
}

#[test]
fn one_gone_one_new_one_to_be_closed() {
    let mut play = busy(80, 24);
    let mut later = morning();
    later.retain(|s| s.id != "k3f9q4");
    later[0].closes_at = Some("2026-11-20T10:52:10Z".into());
    later.push(session("n", "newcomer", "goose"));
    play.after(1.0).table(2, later);
    assert_snapshot!(play.screen());
}

fn many_sided(cols: u16, rows: u16) -> Play {
    let mut play = busy(cols, rows);
    // The one the cursor was on first is answered before the next one is asked about.
    play.tell(Msg::DetailCame { id: "k3f9q2".into(), detail: Err("gone".into()), branch: None });
    let detail = Ok(Box::new(super::detail("k3f9q5")));
    play.tell(Msg::DetailCame { id: "k3f9q5".into(), detail, branch: Some("feature/login".into()) });
    let advice = crate::api::types::Recommendation {
        id: "k3f9q5".into(),
        name: "x".into(),
        text: "answer it: a, or attach with Enter".into(),
    };
    play.tell(Msg::AdviceCame(Ok(vec![advice])));
    let status = crate::api::types::DaemonStatus {
        not_to_be_stopped: None,
        tcp: None,
        version: "0.1.0".into(),
        pid: 4242,
        uptime_seconds: 7300.0,
        socket: String::new(),
        state_dir: String::new(),
        sessions: 6,
        instance: String::new(),
        latched: None,
        embedded: false,
        host: Some(crate::api::types::Host {
            memory_bytes: 16 << 30,
            available_memory_bytes: 6 << 30,
            load: 1.42,
            cores: 8,
            pressure: Some(crate::api::types::Pressure { cpu_percent: 3.2, memory_percent: 12.0, io_percent: 0.4 }),
            disk: Some(crate::api::types::Disk { free_bytes: 120 << 30, bytes: 400 << 30 }),
        }),
        memory: crate::api::memory::MemoryState::default(),
        scopes: crate::model::scope::Standing::Absent,
    };
    play.tell(Msg::HostCame(Ok(Box::new(status))));
    let mut later = morning();
    later[0].messages = Some(40);
    later[0].health = crate::model::session::Health::Stuck;
    play.after(65.0).table(2, later);
    play
}

/// Every view and dialog, by the keys that open it.
const VIEWS: &[(&str, &str)] = &[
    ("details", "3"),
    ("events", "4"),
    ("host", "5"),
    ("zoomed_screen", "2z"),
    ("answer", "a"),
    ("signal", "S"),
    ("kill_now", "X"),
    ("restart", "r"),
    ("palette", ":so"),
    ("help", "?"),
    ("help_searched", "?/mark"),
    ("log", "py@"),
    ("new", "n"),
    ("faults", "!"),
    ("sorted", ">>>>>>>>>o"),
];

#[test]
fn every_view_and_dialog_at_the_sizes_people_have() {
    for (cols, rows) in [(80, 24), (40, 10), (200, 60)] {
        for (name, keys) in VIEWS {
            let mut play = many_sided(cols, rows);
            play.app.notice = None;
            play.keys(keys);
            assert_snapshot!(format!("{name}_{cols}x{rows}"), play.screen());
        }
    }
}

#[test]
fn a_report_can_be_copied_in_three_ways() {
    let mut play = busy(80, 24);
    let sessions = vec![closed("nightly-refactor", Outcome::Forced, 5.1)];
    play.tell(Msg::Closed { ticket: 9, report: Ok(report(sessions)) });
    assert_snapshot!(play.keys("y").screen());
    play.asked.clear();
    play.keys("p");
    let copied = play.effects();
    assert!(
        matches!(&copied[..], [crate::tui::msg::Effect::Copy(text)] if text.contains("✔ nightly-refactor forced 5.1 s"))
    );
}

#[test]
fn a_terminal_without_signs_gets_letters() {
    let mut play = Play::with(80, 24, |o| o.is_ascii = true);
    play.table(1, morning()).show_screen(EDIT);
    assert!(play.terminal().backend().buffer().content().iter().all(|cell| cell.symbol().is_ascii()));
    assert_snapshot!(play.screen());
}

#[test]
fn names_of_any_script_and_length_keep_the_columns_straight() {
    let long = "ю".repeat(5000);
    let names = ["e\u{301}a\u{308}o\u{302}\u{302}\u{302}", "עברית-שלום", "日本語のセッション", "👩‍👩‍👧‍👦-family", &long];
    let mut play = Play::new(80, 24);
    play.table(1, names.iter().enumerate().map(|(i, n)| session(&format!("s{i}"), n, "claude")).collect());
    let terminal = play.terminal();
    let buffer = terminal.backend().buffer();
    let ends: Vec<u16> =
        (2..7).map(|y| (0..80).rev().find(|x| buffer[(*x, y)].symbol() == "M").unwrap_or_default()).collect();
    assert!(ends.iter().all(|x| *x == ends[0] && *x > 0), "{ends:?}");
}
