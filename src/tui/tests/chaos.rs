//! Any keys, sizes and messages in any order: nothing panics, and what must hold holds.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use proptest::prelude::*;

use super::{Play, closed, morning, report, session};
use crate::api::types::{Outcome, Screen, Started};
use crate::tui::link::Lack;
use crate::tui::msg::Msg;
use crate::tui::picture::Picture;

fn key() -> impl Strategy<Value = Msg> {
    let code = prop_oneof![
        8 => proptest::sample::select("jkgGxXCnpPriy/? qabhl~!<>obft12345z+-[]:@mSavw*\"(=".chars().collect::<Vec<_>>()).prop_map(KeyCode::Char),
        1 => any::<char>().prop_map(KeyCode::Char),
        4 => proptest::sample::select(vec![
            KeyCode::Enter, KeyCode::Esc, KeyCode::Tab, KeyCode::BackTab, KeyCode::Up, KeyCode::Down, KeyCode::Left,
            KeyCode::Right, KeyCode::Home, KeyCode::End, KeyCode::Backspace, KeyCode::Delete, KeyCode::PageDown,
        ]),
    ];
    let modifiers = prop_oneof![9 => Just(KeyModifiers::NONE), 1 => Just(KeyModifiers::CONTROL)];
    (code, modifiers).prop_map(|(code, modifiers)| Msg::Pressed(KeyEvent::new(code, modifiers)))
}

fn size() -> impl Strategy<Value = Msg> {
    prop_oneof![(0u16..30, 0u16..12), (0u16..260, 0u16..70)].prop_map(|(cols, rows)| Msg::Resized(cols, rows))
}

fn table() -> impl Strategy<Value = Msg> {
    (0usize..7, 0usize..60, any::<u64>(), "\\PC{0,40}").prop_map(|(few, many, generation, name)| {
        let mut sessions: Vec<_> = morning().into_iter().take(few).collect();
        sessions.extend((0..many).map(|i| session(&format!("w{i}"), &format!("{name}{i}"), "claude")));
        Msg::TableCame(Box::new(crate::api::types::Table { generation, sessions, latched: None, strays: 0 }))
    })
}

fn screen() -> impl Strategy<Value = Msg> {
    (any::<u16>(), 0u16..600, "[ -~é日\x1b\\[;m\r\n]{0,200}", any::<Option<(u16, u16)>>()).prop_map(
        |(cols, rows, ansi, cursor)| {
            let screen = Screen { cols: cols % 300, rows, ansi, cursor, ..Screen::default() };
            Msg::ScreenCame { id: "k3f9q2".into(), picture: Ok(Box::new(Picture::new(&screen))) }
        },
    )
}

fn answer() -> impl Strategy<Value = Msg> {
    (0usize..30, 0u64..4, "\\PC{0,30}").prop_map(|(count, ticket, text)| match count % 6 {
        0 => Msg::LinkBroke(text, Lack::Unknown),
        1 => Msg::Started(Err(text)),
        2 => Msg::Started(Ok(Started { session_id: text.clone(), name: text, leader_pid: 1, notes: Vec::new() })),
        3 => Msg::Pasted(text),
        4 if ticket == 0 => {
            let detail = super::detail("k3f9q2");
            Msg::DetailCame { id: "k3f9q2".into(), detail: Ok(Box::new(detail)), branch: Some(text) }
        }
        4 if ticket == 1 => {
            let pages = crate::tui::recall::Pages::new(text.repeat(count * 20).as_bytes(), (10, 5));
            Msg::RecallCame { id: "k3f9q2".into(), pages: Ok(Box::new(pages)) }
        }
        4 if ticket == 2 => Msg::HostCame(Err(text)),
        _ => {
            let outcomes = [Outcome::Clean, Outcome::Survivors, Outcome::Forced];
            let sessions = (0..count).map(|i| closed(&text, outcomes[i % 3], 1.0)).collect();
            Msg::Closed { ticket, report: Ok(report(sessions)) }
        }
    })
}

fn mouse() -> impl Strategy<Value = Msg> {
    (0u16..260, 0u16..70, 0..3).prop_map(|(x, y, what)| match what {
        0 => Msg::Clicked(x, y),
        what => Msg::Wheeled(x, y, what == 1),
    })
}

fn anything() -> impl Strategy<Value = Msg> {
    prop_oneof![8 => key(), 2 => size(), 2 => table(), 1 => screen(), 1 => mouse(), 2 => answer(), 1 => Just(()).prop_map(|()| Msg::Ticked)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics_and_the_cursor_is_always_seen(msgs in prop::collection::vec(anything(), 1..60)) {
        let mut play = Play::busy(80, 24);
        for msg in msgs {
            play.now += std::time::Duration::from_millis(300);
            play.tell(msg);
            let app = &play.app;
            prop_assert_eq!(app.selected.is_some(), app.lines.iter().any(|l| l.is_place()));
            prop_assert!(app.cursor >= app.offset);
            prop_assert!(app.lines.is_empty() || app.cursor < app.lines.len());
            play.terminal();
        }
    }

    #[test]
    fn any_size_can_be_drawn_even_one_the_state_does_not_know_yet(cols in 0u16..250, rows in 0u16..60, key in "([xC?n/iSay@:]|[2345]z?)?") {
        let mut play = Play::busy(200, 60);
        play.keys(&key);
        let mut terminal = ratatui::Terminal::new(ratatui::backend::TestBackend::new(cols, rows)).unwrap();
        terminal.draw(|frame| crate::tui::view::view(&play.app, frame)).unwrap();
        play.tell(Msg::Resized(cols, rows));
        play.terminal();
    }
}
