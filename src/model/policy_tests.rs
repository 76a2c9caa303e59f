//! The rules of the cleaner by table, and by random lives of a session.

use proptest::prelude::*;

use super::*;

const M: Duration = Duration::from_mins(1);
/// Some moment of the monotonic clock.
const NOW: Duration = Duration::from_hours(1000);

const POLICY: Policy = Policy {
    max_idle: Duration::from_mins(60),
    max_age: Duration::from_hours(24),
    max_waiting: Duration::from_hours(12),
    linger: Duration::from_mins(10),
    notice: Duration::from_mins(5),
};

fn idle(minutes: u32) -> Facts {
    Facts {
        state: State::Running,
        attention: Attention::Idle,
        silent: false,
        age: Some(M * minutes),
        idle: Some(M * minutes),
        attached: false,
        attached_ago: None,
        paused: false,
        pinned: false,
        lingering: None,
        kept: Kept::Nobody,
        survived: false,
        own: Limits::default(),
    }
}

fn lingering(minutes: u32) -> Facts {
    Facts { state: State::Lingering, lingering: Some(M * minutes), ..idle(minutes) }
}

fn own(max_idle: u32, timeout: u32) -> Limits {
    let some = |minutes| Some(M * minutes).filter(|limit| !limit.is_zero());
    Limits { max_idle: some(max_idle), timeout: some(timeout), max_waiting: None }
}

#[test]
fn each_rule_has_its_limit_its_notice_and_its_reason() {
    let waiting = Facts { attention: Attention::Waiting, ..idle(61) };
    let old = Facts { age: Some(Duration::from_hours(25)), idle: Some(M), ..idle(0) };
    let cases: [(Facts, What, i64, i64, &str); 9] = [
        (idle(10), What::Idle, 50, 45, "idle for 60 m"),
        (idle(61), What::Idle, -1, -6, "idle for 60 m"),
        (waiting, What::Waiting, 659, 654, "waiting for a person for 12 h"),
        (old, What::Age, -60, -65, "older than 24 h"),
        (lingering(4), What::Linger, 6, 1, "left behind 10 m after its agent ended"),
        (Facts { own: own(20, 0), ..idle(10) }, What::Idle, 10, 5, "idle for 20 m"),
        (Facts { own: own(0, 15), ..idle(10) }, What::Timeout, 5, 0, "its timeout of 15 m is over"),
        // The timeout is given, and the idle limit comes first.
        (Facts { own: own(12, 15), ..idle(10) }, What::Idle, 2, -3, "idle for 12 m"),
        // A notice longer than the limit begins soon, and not at once.
        (Facts { own: own(4, 0), ..idle(0) }, What::Idle, 4, 0, "idle for 4 m"),
    ];
    for (facts, what, at, notice_at, reason) in cases {
        let due = due(&facts, &POLICY, NOW).unwrap();
        let minutes = |moment: Duration| (moment.as_secs().cast_signed() - NOW.as_secs().cast_signed()).div_euclid(60);
        assert_eq!((due.what, minutes(due.at), minutes(due.notice_at)), (what, at, notice_at), "{facts:?}");
        assert_eq!(due.reason, reason);
    }
}

#[test]
fn the_exempt_are_exempt_and_it_is_said_why() {
    let base = idle(10_000);
    let left = lingering(10_000);
    for (facts, why) in [
        (Facts { attached: true, ..base }, "somebody is attached"),
        (Facts { attached_ago: Some(M * 29), ..base }, "somebody was attached lately"),
        (Facts { state: State::Paused, paused: true, ..base }, "it is paused"),
        (Facts { pinned: true, ..base }, "it is pinned"),
        (Facts { silent: true, ..base }, "what holds it does not answer"),
        (Facts { state: State::Closing, ..base }, "it is being closed"),
        (Facts { state: State::Starting, ..base }, "it is starting"),
        (Facts { state: State::Ended, ..base }, "it has ended"),
        (Facts { survived: true, ..left }, "what is left of it cannot be taken"),
        (Facts { kept: Kept::All, ..left }, "what is left of it is to be kept"),
        (Facts { pinned: true, ..left }, "it is pinned"),
        (Facts { paused: true, ..left }, "it is paused"),
        (Facts { attached: true, ..left }, "somebody is attached"),
        (Facts { idle: None, age: None, ..base }, "nothing is known of it yet"),
    ] {
        assert_eq!(due(&facts, &POLICY, NOW), Err(why));
        assert_eq!(gives_way(&facts, &POLICY), None, "{why}");
    }
    assert!(due(&Facts { attached_ago: Some(M * 30), ..base }, &POLICY, NOW).is_ok());
    // Only some are to be kept: the others go.
    assert!(due(&Facts { kept: Kept::Some, ..left }, &POLICY, NOW).is_ok());
    // Who watched the agent before does not keep what it left behind.
    assert!(due(&Facts { attached_ago: Some(M), ..left }, &POLICY, NOW).is_ok());
}

#[test]
fn a_timeout_holds_whoever_watches_unless_somebody_pinned_the_session() {
    let facts = Facts { own: own(0, 15), attached: true, attention: Attention::Working, ..idle(15) };
    let due = |facts: &Facts| super::due(facts, &POLICY, NOW);
    let timeout = due(&facts).unwrap();
    assert_eq!((timeout.what, timeout.at, timeout.held), (What::Timeout, NOW, false));
    // It needs no notice and knows no quiet start.
    assert_eq!(step(&timeout, None, POLICY.notice, NOW + M, NOW), Step::Close);
    assert_eq!(due(&Facts { paused: true, state: State::Paused, ..facts }).unwrap().what, What::Timeout);
    assert_eq!(due(&Facts { pinned: true, ..facts }), Err("it is pinned"));
    // What is left behind has the limit of what is left behind.
    assert_eq!(due(&Facts { own: own(0, 15), ..lingering(30) }).unwrap().what, What::Linger);
}

#[test]
fn unknown_is_never_idle() {
    let facts = Facts { idle: None, ..idle(600) };
    assert_eq!(due(&facts, &POLICY, NOW).unwrap().what, What::Age);
    assert_eq!(gives_way(&facts, &POLICY), None);
}

#[test]
fn old_and_at_work_is_announced_and_closed_at_the_first_moment_of_rest() {
    let facts = Facts { age: Some(Duration::from_hours(30)), idle: Some(Duration::ZERO), ..idle(0) };
    let told = Some(Told { what: What::Age, since: NOW.saturating_sub(M * 10) });
    let at_work = due(&Facts { attention: Attention::Working, ..facts }, &POLICY, NOW).unwrap();
    assert!(matches!(step(&at_work, told, POLICY.notice, NOW, NOW), Step::Wait { .. }));
    let at_rest = due(&facts, &POLICY, NOW).unwrap();
    assert_eq!(step(&at_rest, told, POLICY.notice, NOW, NOW), Step::Close);
}

#[test]
fn an_announcement_for_one_rule_is_none_for_another() {
    let due = due(&idle(61), &POLICY, NOW).unwrap();
    let told = |what| Some(Told { what, since: NOW.saturating_sub(M * 5) });
    assert_eq!(step(&due, told(What::Idle), POLICY.notice, NOW, NOW), Step::Close);
    let again = Step::Wait { since: NOW, closes_at: NOW + POLICY.notice };
    assert_eq!(step(&due, told(What::Waiting), POLICY.notice, NOW, NOW), again);
    assert_eq!(step(&due, None, Duration::ZERO, NOW, NOW), Step::Close, "without a notice at once");
    let quiet = Step::Wait { since: NOW, closes_at: NOW + M };
    assert_eq!(step(&due, None, Duration::ZERO, NOW + M, NOW), quiet, "not in the quiet");
}

#[test]
fn those_who_wait_work_or_keep_do_not_give_way() {
    let hour = idle(60);
    assert_eq!(gives_way(&hour, &POLICY), Some(M * 60));
    assert_eq!(gives_way(&Facts { attention: Attention::Unknown, ..hour }, &POLICY), Some(M * 60));
    assert_eq!(gives_way(&idle(4), &POLICY), None);
    assert_eq!(gives_way(&idle(4), &Policy { max_idle: M * 3, ..POLICY }), Some(M * 4), "never longer than max_idle");
    for attention in [Attention::Working, Attention::Waiting] {
        assert_eq!(gives_way(&Facts { attention, ..hour }, &POLICY), None);
    }
    assert_eq!(gives_way(&Facts { kept: Kept::Some, ..lingering(60) }, &POLICY), None);
}

#[test]
fn time_that_nobody_watched_begins_the_quiet_anew() {
    let mut watch = Watch::new(NOW, M);
    watch.next_at(NOW + M);
    assert!(!watch.looks(NOW + M, M), "in time");
    assert_eq!(watch.quiet_until(M * 10), NOW + M * 10);
    watch.next_at(NOW + M * 2);
    assert!(watch.looks(NOW + M * 30, M), "the clock jumped, or the daemon was stopped");
    assert_eq!(watch.quiet_until(M * 10), NOW + M * 40);
    watch.next_at(NOW + M * 31);
    assert!(watch.looks(NOW + M * 31, M * 200), "the machine slept");
}

/// What happens in one minute of a session's life.
#[derive(Debug, Clone, Copy)]
enum Minute {
    Quiet,
    Activity,
    Work,
    Ask,
    Pin,
    Unpin,
    Attach,
    Detach,
    Pause,
    Unpause,
    /// Nobody looks for an hour.
    Jump,
}

fn a_minute() -> impl Strategy<Value = Minute> {
    use Minute::{Activity, Ask, Attach, Detach, Jump, Pause, Pin, Quiet, Unpause, Unpin, Work};
    let rare = prop::sample::select(vec![Activity, Work, Ask, Pin, Unpin, Attach, Detach, Pause, Unpause, Jump]);
    prop_oneof![8 => Just(Quiet), 1 => rare]
}

fn live(facts: &mut Facts, minute: Minute) {
    let add = |time: &mut Option<Duration>| *time = time.map(|t| t + M);
    add(&mut facts.age);
    add(&mut facts.idle);
    add(&mut facts.attached_ago);
    match minute {
        Minute::Quiet | Minute::Jump => {}
        Minute::Activity => (facts.idle, facts.attention) = (Some(Duration::ZERO), Attention::Idle),
        Minute::Work => (facts.idle, facts.attention) = (Some(Duration::ZERO), Attention::Working),
        Minute::Ask => facts.attention = Attention::Waiting,
        Minute::Pin => facts.pinned = true,
        Minute::Unpin => facts.pinned = false,
        Minute::Attach => facts.attached = true,
        Minute::Detach => (facts.attached, facts.attached_ago) = (false, Some(Duration::ZERO)),
        Minute::Pause => (facts.paused, facts.state) = (true, State::Paused),
        Minute::Unpause => (facts.paused, facts.state) = (false, State::Running),
    }
}

proptest! {
    #[test]
    fn nobody_exempt_at_work_or_unannounced_is_ever_closed(minutes in prop::collection::vec(a_minute(), 1..400), notice in 0u32..8, quiet in 0u32..12) {
        let policy = Policy { max_idle: M * 20, max_age: M * 150, max_waiting: M * 60, notice: M * notice, ..POLICY };
        let (mut facts, mut now, mut told): (_, _, Option<Told>) = (idle(0), NOW, None);
        let mut watch = Watch::new(now, M);
        for minute in minutes {
            now += if matches!(minute, Minute::Jump) { M * 60 } else { M };
            live(&mut facts, minute);
            let lost = watch.looks(now, M);
            watch.next_at(now + M);
            if lost {
                told = None;
                continue;
            }
            let Ok(due) = due(&facts, &policy, now) else { told = None; continue };
            let until = watch.quiet_until(M * quiet);
            match step(&due, told, policy.notice, until, now) {
                Step::Rest => told = None,
                Step::Wait { since, closes_at } => {
                    prop_assert!(closes_at >= since + policy.notice && closes_at >= due.at && since <= now);
                    told = Some(Told { what: due.what, since });
                }
                Step::Close => {
                    prop_assert!(!facts.pinned && !facts.attached && !facts.paused);
                    prop_assert!(facts.attached_ago.is_none_or(|ago| ago >= ATTACHED_LATELY));
                    prop_assert!(facts.attention != Attention::Working || due.what == What::Idle);
                    prop_assert!(now >= until, "in the quiet");
                    let announced = told.filter(|t| t.what == due.what).map_or(Duration::ZERO, |t| now.saturating_sub(t.since));
                    prop_assert!(announced >= policy.notice, "announced {announced:?} before");
                    let limit = if facts.attention == Attention::Waiting { policy.max_waiting } else { policy.max_idle };
                    prop_assert!(facts.idle >= Some(limit) || facts.age >= Some(policy.max_age));
                    return Ok(());
                }
            }
        }
    }

    #[test]
    fn an_idle_session_nobody_wants_is_closed_in_the_end(notice in 0u32..30, limit in 1u32..60) {
        let policy = Policy { max_idle: M * limit, notice: M * notice, ..POLICY };
        let mut told: Option<Told> = None;
        for minute in 0..200 {
            let (facts, now) = (idle(minute), NOW + M * minute);
            let due = due(&facts, &policy, now).unwrap();
            match step(&due, told, policy.notice, NOW, now) {
                Step::Rest => told = None,
                Step::Wait { since, .. } => told = Some(Told { what: due.what, since }),
                Step::Close => {
                    // At its limit; later only when the notice is nearly as long.
                    prop_assert!(minute >= limit && minute <= limit.max(notice + limit / 10 + 1) + 1);
                    return Ok(());
                }
            }
        }
        prop_assert!(false, "never closed");
    }
}
