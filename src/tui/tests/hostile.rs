//! Whatever a process says stays text, in every view and at every size.

use crossterm::event::KeyCode;

use super::{Play, closed, detail, report, session};
use crate::api::types::{Closed, Evidence, Outcome, Process, Recommendation, Session, Survivor};
use crate::model::session::Health;
use crate::tui::msg::Msg;

/// Escape sequences, combining marks, emoji of several signs, right-to-left overrides, and length.
fn hostile() -> Vec<String> {
    let mut all: Vec<String> = [
        "\x1b]0;evil\x07\x1b[2J\x1b[31m",
        "a\r\nb\tc\0",
        "e\u{301}\u{302}\u{303}\u{304}",
        "👩‍👩‍👧‍👦🏳️‍🌈日本語",
        "\u{202e}\u{2066}live",
        "\u{9b}31m\u{85}",
    ]
    .map(String::from)
    .to_vec();
    all.push("ю".repeat(10_000));
    all.push("\u{300}".repeat(10_000));
    all
}

fn of(text: &str) -> Session {
    Session {
        health: Health::Stuck,
        project: Some(text.into()),
        workspace: text.into(),
        reason: text.into(),
        closes_because: Some(text.into()),
        closes_at: Some("2026-11-20T11:00:00Z".into()),
        command: vec![text.into(), text.into()],
        ..session("evil", text, text)
    }
}

fn set_up(text: &str, size: (u16, u16)) -> Play {
    let mut play = Play::new(size.0, size.1);
    play.table(1, vec![of(text), session("good", "good", "claude")]);
    let mut told = detail("evil");
    told.tree.push(Process { command: text.into(), state: text.into(), ..told.tree[0].clone() });
    told.evidence.push(Evidence { kind: text.into(), text: text.into(), at: None });
    play.keys("t3");
    play.tell(Msg::DetailCame { id: "evil".into(), detail: Ok(Box::new(told)), branch: Some(text.into()) });
    play.tell(Msg::AdviceCame(Ok(vec![Recommendation { id: "evil".into(), name: text.into(), text: text.into() }])));
    let survivor = Survivor { pid: 1, command: text.into(), state: text.into(), owner: text.into(), why: text.into() };
    let mut left = Closed {
        survivors: vec![survivor],
        spared: vec![text.into()],
        resume: Some(text.into()),
        ..closed("x", Outcome::Survivors, 1.0)
    };
    left.name = text.into();
    play.tell(Msg::Closed { ticket: 1, report: Ok(report(vec![left])) });
    play.tell(Msg::Managed(Err(text.into())));
    let mut later = of(text);
    later.health = Health::Orphaned;
    play.press(KeyCode::Esc).press(KeyCode::Esc).table(2, vec![later, session("good", "good", "claude")]);
    play
}

#[test]
fn text_from_processes_stays_text_in_every_view() {
    let views = ["", "1", "2", "3", "4", "5", "b", "bbb", "bbbb", "x", "C", "S", "i", "a", "@", "?", ":", "n", "2z"];
    for text in hostile() {
        for size in [(80, 24), (40, 10), (200, 60)] {
            for keys in views {
                let mut play = set_up(&text, size);
                play.app.notice = None;
                let screen = play.keys(keys).screen();
                let is_control = |c: char| c.is_control() && c != '\n';
                let turned = ['\u{202e}', '\u{2066}', '\u{9b}'];
                assert!(
                    !screen.contains(is_control) && !screen.contains(turned),
                    "{keys:?} {size:?} {text:.20?}\n{screen}"
                );
            }
        }
    }
}
