//! Situations and what is said of them, one a row; and what holds for all.

use std::time::Duration;

use proptest::prelude::*;

use super::super::evidence::{Evidence, Since};
use super::super::lifecycle::{Event, Life};
use super::super::profile::Gate;
use super::super::session::{Attention, Exit, ExitBy, Health};
use super::{Policy, Rule, Verdict, advice, judge, short, to_come};

use Attention::{Idle, Unknown, Waiting, Working};
use Event::{CloseBegan, CloseEnded, Continued, Emptied, KeeperAnswered, KeeperDied, KeeperFellSilent};
use Event::{LeaderEnded, Paused, Started};
use Health::{Healthy, Orphaned, Stuck};

/// As the settings are when nobody changed them.
const POLICY: Policy = Policy {
    stuck_after: Duration::from_mins(30),
    orphaned_after: Duration::from_mins(60),
    spin_after: Duration::from_mins(10),
};

// Every time here may be unknown.
#[allow(clippy::unnecessary_wraps)]
const fn s(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

#[allow(clippy::unnecessary_wraps)]
const fn m(minutes: u64) -> Option<Duration> {
    Some(Duration::from_mins(minutes))
}

/// After these events, with two processes; nothing else is known.
fn after(events: &[Event]) -> Evidence<'static> {
    let mut life = Life::new();
    events.iter().for_each(|e| life.apply(*e));
    Evidence { life, processes: Some(2), ..Evidence::default() }
}

/// It runs, and this long ago it last wrote something new.
fn wrote(ago: Option<Duration>) -> Evidence<'static> {
    Evidence { since: Since { text: ago, ..Since::default() }, idle: ago, ..after(&[Started]) }
}

fn seen(ago: Option<Duration>, seen: Attention) -> Evidence<'static> {
    Evidence { seen: Some(seen), ..wrote(ago) }
}

fn at(gate: Gate, minutes: u64) -> Evidence<'static> {
    Evidence { gate: Some((gate, Duration::from_mins(minutes))), ..seen(m(minutes), Waiting) }
}

fn since(since: Since) -> Evidence<'static> {
    Evidence { since, idle: since.latest().map(|(ago, _)| ago), ..after(&[Started]) }
}

fn exit(code: Option<i32>, signal: Option<i32>, by: ExitBy) -> Exit {
    Exit { code, signal, at: String::new(), by, reason: String::new() }
}

type Row<'a> = (Evidence<'a>, Health, Attention, &'a str);

#[track_caller]
fn all(rows: Vec<Row<'_>>) {
    for (evidence, health, attention, reason) in rows {
        let verdict = judge(&evidence, &POLICY);
        let said = (verdict.health, verdict.attention, verdict.reason.as_str());
        assert_eq!(said, (health, attention, reason), "{evidence:?}");
        assert_eq!(verdict.health == Healthy, verdict.rule == Rule::Well);
        assert_eq!(advice(&verdict, "n", None).is_some(), health != Healthy);
    }
}

#[test]
fn where_it_stands_in_its_life() {
    let three = exit(Some(3), None, ExitBy::Itself);
    let killed = exit(None, Some(9), ExitBy::Itself);
    let closed = exit(None, Some(15), ExitBy::User);
    let unknown = exit(None, None, ExitBy::Unknown);
    let with = |exit, events| Evidence { exit: Some(exit), ..after(events) };
    let ended = &[Started, LeaderEnded, Emptied][..];
    let lingers = &[Started, LeaderEnded][..];
    all(vec![
        (after(&[]), Healthy, Unknown, "starting"),
        (after(&[Started]), Healthy, Unknown, "no output yet"),
        (with(&three, ended), Healthy, Unknown, "exit 3"),
        (with(&killed, ended), Healthy, Unknown, "signal 9"),
        (with(&closed, ended), Healthy, Unknown, "closed by user"),
        (with(&unknown, ended), Healthy, Unknown, "exit status unknown"),
        (after(ended), Healthy, Unknown, "ended"),
        (with(&three, lingers), Orphaned, Unknown, "ended (exit 3), 2 left"),
        (with(&killed, lingers), Orphaned, Unknown, "ended (signal 9), 2 left"),
        (Evidence { processes: None, ..with(&three, lingers) }, Orphaned, Unknown, "ended (exit 3), processes left"),
        (after(&[Started, CloseBegan]), Healthy, Unknown, "closing"),
        (after(&[Started, CloseBegan, LeaderEnded]), Healthy, Unknown, "closing"),
        (
            with(&closed, &[Started, CloseBegan, LeaderEnded, CloseEnded]),
            Orphaned,
            Unknown,
            "ended (closed by user), 2 left",
        ),
        (after(&[Started, CloseBegan, KeeperDied]), Orphaned, Unknown, "closing; its keeper is gone"),
        (after(&[Started, KeeperDied]), Orphaned, Unknown, "its keeper is gone"),
        (with(&three, &[Started, LeaderEnded, KeeperDied]), Orphaned, Unknown, "its keeper is gone"),
        (after(&[Started, Paused, KeeperDied]), Orphaned, Unknown, "its keeper is gone"),
        (after(&[Started, KeeperFellSilent]), Healthy, Unknown, "its keeper does not answer"),
        (after(&[Started, KeeperFellSilent, KeeperAnswered]), Healthy, Unknown, "no output yet"),
        (after(&[Started, Paused]), Healthy, Unknown, "paused"),
    ]);
}

#[test]
fn how_long_nothing_happened() {
    let beat = |heartbeat| since(Since { text: m(90), heartbeat, ..Since::default() });
    let typed = |input| since(Since { text: m(90), input, ..Since::default() });
    let work = |work| since(Since { text: m(90), work, ..Since::default() });
    all(vec![
        (wrote(s(0)), Healthy, Working, "output 0 s ago"),
        (wrote(s(3)), Healthy, Working, "output 3 s ago"),
        (wrote(s(4)), Healthy, Working, "output 4 s ago"),
        (wrote(s(5)), Healthy, Unknown, "output 5 s ago"),
        (wrote(m(12)), Healthy, Unknown, "output 12 m ago"),
        (wrote(s(1799)), Healthy, Unknown, "output 29 m ago"),
        (wrote(s(1800)), Stuck, Unknown, "no activity for 30 m"),
        (wrote(s(3599)), Stuck, Unknown, "no activity for 59 m"),
        (wrote(s(3600)), Orphaned, Unknown, "no activity for 60 m"),
        (wrote(m(63)), Orphaned, Unknown, "no activity for 63 m"),
        (wrote(m(300)), Orphaned, Unknown, "no activity for 5 h"),
        // What nobody can know is not idle.
        (Evidence { idle: None, ..wrote(m(90)) }, Healthy, Unknown, "output 90 m ago"),
        // Nobody could have heard a heartbeat for most of it.
        (Evidence { idle: m(2), ..wrote(m(90)) }, Healthy, Unknown, "output 90 m ago"),
        (beat(s(2)), Healthy, Working, "heartbeat 2 s ago"),
        (beat(m(29)), Healthy, Unknown, "heartbeat 29 m ago"),
        (beat(m(31)), Stuck, Unknown, "no activity for 31 m"),
        (beat(m(61)), Orphaned, Unknown, "no activity for 61 m"),
        (typed(s(2)), Healthy, Working, "input 2 s ago"),
        (typed(m(31)), Stuck, Unknown, "no activity for 31 m"),
        (work(s(2)), Healthy, Working, "at work 2 s ago"),
        (work(m(1)), Healthy, Unknown, "at work 1 m ago"),
        (work(m(31)), Stuck, Unknown, "no activity for 31 m"),
        // Only a session that runs, and whose keeper tells, grows old.
        (Evidence { idle: m(90), ..after(&[Started, Paused]) }, Healthy, Unknown, "paused"),
        (Evidence { idle: m(90), ..after(&[Started, Paused, Continued]) }, Orphaned, Unknown, "no activity for 90 m"),
        (Evidence { idle: m(90), ..after(&[Started, CloseBegan]) }, Healthy, Unknown, "closing"),
        (
            Evidence { idle: m(90), ..after(&[Started, KeeperFellSilent]) },
            Healthy,
            Unknown,
            "its keeper does not answer",
        ),
    ]);
}

#[test]
fn what_its_screen_says() {
    all(vec![
        (seen(s(3), Working), Healthy, Working, "output 3 s ago"),
        (seen(m(12), Working), Healthy, Working, "output 12 m ago"),
        (seen(m(31), Working), Stuck, Working, "no activity for 31 m"),
        (seen(s(3), Waiting), Healthy, Waiting, "waiting for you, 3 s"),
        (seen(m(12), Waiting), Healthy, Waiting, "waiting for you, 12 m"),
        (seen(m(31), Waiting), Stuck, Waiting, "waiting for you, 31 m"),
        (seen(m(63), Waiting), Orphaned, Waiting, "waiting for you, 63 m"),
        (Evidence { idle: None, ..seen(m(63), Waiting) }, Healthy, Waiting, "waiting for you"),
        (seen(s(1), Idle), Healthy, Idle, "at its prompt, 1 s"),
        (seen(m(12), Idle), Healthy, Idle, "at its prompt, 12 m"),
        (seen(m(31), Idle), Stuck, Idle, "no activity for 31 m"),
        (Evidence { idle: None, ..seen(None, Idle) }, Healthy, Idle, "at its prompt"),
        (seen(s(3), Unknown), Healthy, Unknown, "output 3 s ago"),
        (at(Gate::Trust, 2), Healthy, Waiting, "asks whether to trust the directory, 2 m"),
        (at(Gate::Trust, 31), Stuck, Waiting, "asks whether to trust the directory, 31 m"),
        (at(Gate::Login, 29), Healthy, Waiting, "asks for a login, 29 m"),
        (at(Gate::Login, 30), Stuck, Waiting, "asks for a login, 30 m"),
        (at(Gate::Limit, 31), Stuck, Waiting, "usage limit reached, 31 m"),
        // A gate is one however busy the agent looks behind it; whoever ages long enough is orphaned.
        (Evidence { idle: s(1), ..at(Gate::Limit, 31) }, Stuck, Waiting, "usage limit reached, 31 m"),
        (at(Gate::Limit, 61), Orphaned, Waiting, "usage limit reached, 61 m"),
        // A screen nobody can read any more says nothing.
        (Evidence { seen: Some(Waiting), ..after(&[Started, KeeperDied]) }, Orphaned, Unknown, "its keeper is gone"),
        (Evidence { seen: Some(Waiting), ..after(&[Started, Paused]) }, Healthy, Unknown, "paused"),
    ]);
}

#[test]
fn what_its_processes_do() {
    let stopped = |evidence| Evidence { stopped: true, ..evidence };
    let spins =
        |spinning| Evidence { spinning, idle: s(1), ..since(Since { text: m(41), work: s(1), ..Since::default() }) };
    all(vec![
        (stopped(wrote(s(3))), Stuck, Working, "stopped by a signal"),
        (stopped(wrote(m(31))), Stuck, Unknown, "stopped by a signal"),
        (stopped(wrote(m(63))), Orphaned, Unknown, "stopped by a signal, no activity for 63 m"),
        (stopped(seen(s(3), Waiting)), Stuck, Waiting, "stopped by a signal"),
        (stopped(after(&[Started, Paused])), Healthy, Unknown, "paused"),
        (stopped(after(&[Started, CloseBegan])), Healthy, Unknown, "closing"),
        (stopped(after(&[Started, KeeperDied])), Orphaned, Unknown, "its keeper is gone"),
        (spins(s(599)), Healthy, Working, "at work 1 s ago"),
        (spins(s(600)), Stuck, Working, "spinning: no output 10 m"),
        (spins(m(41)), Stuck, Working, "spinning: no output 41 m"),
        (spins(m(600)), Stuck, Working, "spinning: no output 10 h"),
        (stopped(spins(m(41))), Stuck, Working, "stopped by a signal"),
        (Evidence { terminal_gone: true, ..wrote(s(3)) }, Orphaned, Working, "terminal gone, 2 left"),
        (
            Evidence { terminal_gone: true, processes: None, ..wrote(m(90)) },
            Orphaned,
            Unknown,
            "terminal gone, processes left",
        ),
        (Evidence { project_finished: true, ..wrote(s(3)) }, Orphaned, Working, "its project is finished"),
        (Evidence { project_finished: true, ..after(&[Started, CloseBegan]) }, Healthy, Unknown, "closing"),
    ]);
}

#[test]
fn advice_says_what_to_do_and_how_to_come_back() {
    let resume = Some("claude --continue");
    for (evidence, text) in [
        (
            wrote(m(75)),
            "consider closing: no activity for 75 m (`beadle kill n`); resume later with `claude --continue`",
        ),
        (
            seen(m(31), Waiting),
            "waiting for you, 31 m: `beadle attach n` to answer, `beadle kill n` closes it; resume later with `claude --continue`",
        ),
        (after(&[Started, KeeperDied]), "consider closing: its keeper is gone (`beadle kill n`)"),
    ] {
        assert_eq!(advice(&judge(&evidence, &POLICY), "n", resume).as_deref(), Some(text));
    }
    let stopped = judge(&Evidence { stopped: true, ..wrote(s(1)) }, &POLICY);
    let text = advice(&stopped, "n", None).unwrap();
    assert!(text.contains("`beadle unpause n`") && !text.contains("resume"), "{text}");
    assert_eq!(advice(&judge(&wrote(s(3)), &POLICY), "n", resume), None);
}

#[test]
fn a_run_to_come_says_when() {
    let lingers = "ended (exit 3), 2 left";
    for (left, reason) in [
        (Some(Duration::from_millis(3200)), "restarts in 4 s (2 of 5)"),
        (Some(Duration::ZERO), "restarts in 0 s (2 of 5)"),
        (None, "ended (exit 3), 2 left; restarts when they are gone (2 of 5)"),
    ] {
        assert_eq!(to_come(lingers, left, (2, 5)), reason);
    }
}

#[test]
fn spans_are_short() {
    for (seconds, text) in
        [(0, "0 s"), (59, "59 s"), (60, "1 m"), (7199, "119 m"), (7200, "2 h"), (8040, "2 h 14 m"), (260_000, "3 d")]
    {
        assert_eq!(short(Duration::from_secs(seconds)), text);
    }
}

fn an_age() -> impl Strategy<Value = Option<Duration>> {
    prop::option::of((0u64..10_000).prop_map(Duration::from_secs))
}

fn an_attention() -> impl Strategy<Value = Option<Attention>> {
    prop::sample::select(vec![None, Some(Working), Some(Waiting), Some(Idle), Some(Unknown)])
}

#[test]
fn one_conversation_in_two_sessions_is_stuck() {
    let twins = ["api".to_string()];
    let verdict = judge(&Evidence { twins: &twins, ..wrote(s(0)) }, &POLICY);
    assert_eq!((verdict.health, verdict.reason.as_str()), (Health::Stuck, "its conversation is open in api too"));
    assert!(advice(&verdict, "web", None).unwrap().contains("`beadle kill web`"));
}

fn a_gate() -> impl Strategy<Value = Option<(Gate, Duration)>> {
    let gate = prop::sample::select(vec![Gate::Trust, Gate::Login, Gate::Limit]);
    prop::option::of((gate, (0u64..10_000).prop_map(Duration::from_secs)))
}

fn some_events() -> impl Strategy<Value = Vec<Event>> {
    let events = vec![
        Started,
        LeaderEnded,
        KeeperFellSilent,
        KeeperAnswered,
        KeeperDied,
        CloseBegan,
        CloseEnded,
        Paused,
        Continued,
    ];
    prop::collection::vec(prop::sample::select(events), 0..5)
}

prop_compose! {
    fn a_since()(text in an_age(), input in an_age(), heartbeat in an_age(), work in an_age()) -> Since {
        Since { text, input, heartbeat, work }
    }
}

prop_compose! {
    fn evidence()(
        events in some_events(), flags in any::<(bool, bool, bool)>(), since in a_since(), idle in an_age(),
        spinning in an_age(), seen in an_attention(), gate in a_gate(),
    ) -> Evidence<'static> {
        let (terminal_gone, project_finished, stopped) = (flags.0, flags.1, flags.2);
        let life = after(&[&[Started][..], &events].concat()).life;
        Evidence { life, exit: None, processes: None, terminal_gone, project_finished, stopped, since, idle, spinning, seen, gate, twins: &[] }
    }
}

/// The same with something more recent.
fn livelier(evidence: &Evidence<'static>, which: u8, ago: Duration) -> Evidence<'static> {
    let newer = |old: Option<Duration>| Some(old.map_or(ago, |old| old.min(ago)));
    let mut now = evidence.clone();
    match which % 4 {
        0 => now.since.text = newer(now.since.text),
        1 => now.since.input = newer(now.since.input),
        2 => now.since.heartbeat = newer(now.since.heartbeat),
        _ => now.since.work = newer(now.since.work),
    }
    now.idle = now.idle.map(|idle| idle.min(ago));
    if which.is_multiple_of(4) {
        now.spinning = now.spinning.map(|spun| spun.min(ago));
    }
    now
}

fn health(evidence: &Evidence<'_>) -> Verdict {
    judge(evidence, &POLICY)
}

proptest! {
    #[test]
    fn more_activity_never_makes_a_verdict_worse(evidence in evidence(), which: u8, ago in (0u64..10_000).prop_map(Duration::from_secs)) {
        let now = livelier(&evidence, which, ago);
        prop_assert!(health(&now).health <= health(&evidence).health);
    }

    #[test]
    fn unknown_is_never_idle(evidence in evidence()) {
        let blind = Evidence { idle: None, spinning: None, gate: None, seen: None, stopped: false, terminal_gone: false,
            project_finished: false, since: Since::default(), life: after(&[Started]).life, ..evidence.clone() };
        let verdict = health(&blind);
        prop_assert_eq!((verdict.health, verdict.attention), (Healthy, Unknown));
        if evidence.seen != Some(Idle) {
            prop_assert_ne!(health(&evidence).attention, Idle);
        }
        if health(&evidence).rule == Rule::Silent {
            prop_assert!(evidence.idle.is_some());
        }
    }

    #[test]
    fn every_verdict_says_why(evidence in evidence()) {
        let verdict = health(&evidence);
        prop_assert!(!verdict.reason.is_empty());
        prop_assert_eq!(advice(&verdict, "n", None).is_some(), verdict.health != Healthy);
    }
}
