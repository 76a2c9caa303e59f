//! What is taken, spared and suspected: by table, and by everything there can be.

use std::collections::HashSet;

use super::*;
use proptest::prelude::*;

const GROUND: Ground = Ground { min_age: Duration::from_secs(60), up: Duration::from_secs(3600) };

/// An old process of ours without a terminal, adopted by init, of which everything could be read.
fn left(kind: Kind) -> Observation {
    Observation {
        id: ProcId { pid: 7, start: 70 },
        agent: "codex".into(),
        kind,
        age: Duration::from_secs(7200),
        tag: Asked::Is(Tag::None),
        terminal: false,
        stdio: Asked::Is(Stdio::Other),
        peers: Asked::Is(Peers::SomebodyThere),
        clients: Asked::Is(Clients::Connected),
        birth_ended: false,
        kin_lives: false,
        pane: Asked::Is(None),
        registered: Asked::Is(false),
        service: Asked::Is(false),
        editor: Asked::Is(None),
        owner: None,
        protected: false,
        own: true,
        adopted: true,
    }
}

fn proved() -> [Observation; 4] {
    let ended = Tag::Ended { session: "a1".into(), after_start: true };
    let unused = Asked::Is(Clients::NoneFor(Duration::from_secs(60)));
    [
        Observation { tag: Asked::Is(ended), ..left(Kind::Tagged) },
        Observation { stdio: Asked::Is(Stdio::TerminalDeleted), ..left(Kind::Agent) },
        Observation { peers: Asked::Is(Peers::BothGone), ..left(Kind::Helper { stdio: true }) },
        Observation { clients: unused, birth_ended: true, ..left(Kind::Shared) },
    ]
}

#[test]
fn each_proof_alone_is_enough() {
    use Proof::{LastClientGone, RecordSaysDead, StdioPeersGone, TerminalDeleted};
    let all = [RecordSaysDead, TerminalDeleted, StdioPeersGone, LastClientGone];
    for (seen, proof) in proved().iter().zip(all) {
        let judged = judge(seen, GROUND);
        assert_eq!((judged.fate, judged.proofs.as_slice()), (Fate::Take, &[proof][..]), "{judged:?}");
        assert_eq!(judged.why(), proof.to_string());
    }
}

type Change = fn(Observation) -> Observation;

#[test]
fn each_veto_alone_spares_whatever_is_proved() {
    let cases: [(&str, Change); 17] = [
        ("protected", |o| Observation { protected: true, ..o }),
        ("another user's", |o| Observation { own: false, ..o }),
        ("owned", |o| Observation { owner: Some("a2".into()), ..o }),
        ("terminal", |o| Observation { terminal: true, ..o }),
        ("pane", |o| Observation { pane: Asked::Is(Some("tmux:ops:1".into())), ..o }),
        ("pane unknown", |o| Observation { pane: Asked::Unreadable("tmux".into()), ..o }),
        ("registered", |o| Observation { registered: Asked::Is(true), ..o }),
        ("registry unreadable", |o| Observation { registered: Asked::Unreadable("its registry".into()), ..o }),
        ("service", |o| Observation { service: Asked::Is(true), ..o }),
        ("service unknown", |o| Observation { service: Asked::Unreadable("its cgroup".into()), ..o }),
        ("editor", |o| Observation { editor: Asked::Is(Some("vscode-server".into())), ..o }),
        ("editor unknown", |o| Observation { editor: Asked::Unreadable("its parent".into()), ..o }),
        ("unknown tag", |o| Observation { tag: Asked::Is(Tag::Unknown), ..o }),
        ("older than its tag", |o| Observation {
            tag: Asked::Is(Tag::Ended { session: "a1".into(), after_start: false }),
            ..o
        }),
        ("live tag", |o| Observation { tag: Asked::Is(Tag::Live { session: "a1".into() }), ..o }),
        ("unreadable environment", |o| Observation { tag: Asked::Unreadable("its environment".into()), ..o }),
        ("young", |o| Observation { age: Duration::from_secs(59), ..o }),
    ];
    for (name, change) in cases {
        for seen in proved() {
            let judged = judge(&change(seen), GROUND);
            assert!(!judged.vetoes.is_empty() && judged.fate != Fate::Take, "{name}: {judged:?}");
        }
    }
    for seen in proved() {
        let young = Ground { up: Duration::from_secs(59), ..GROUND };
        assert_eq!(judge(&seen, young).vetoes, [Veto::BeadleIsYoung]);
    }
}

#[test]
fn what_is_no_proof() {
    let gone = || Asked::Is(Peers::BothGone);
    let unused = |seconds| Asked::Is(Clients::NoneFor(Duration::from_secs(seconds)));
    let cases = [
        ("an agent on closed pipes (cron, nohup)", Observation { peers: gone(), ..left(Kind::Agent) }),
        (
            "a helper that does not speak over stdio",
            Observation { peers: gone(), ..left(Kind::Helper { stdio: false }) },
        ),
        (
            "a helper whose terminal is gone",
            Observation {
                stdio: Asked::Is(Stdio::TerminalDeleted),
                peers: Asked::Is(Peers::SomebodyThere),
                ..left(Kind::Helper { stdio: true })
            },
        ),
        ("a shared daemon just left", Observation { clients: unused(59), birth_ended: true, ..left(Kind::Shared) }),
        ("a shared daemon of unknown birth", Observation { clients: unused(600), ..left(Kind::Shared) }),
        (
            "a shared daemon while its kind lives",
            Observation { clients: unused(600), birth_ended: true, kin_lives: true, ..left(Kind::Shared) },
        ),
        ("age, silence and init as parent", Observation { age: Duration::from_secs(9_000_000), ..left(Kind::Agent) }),
    ];
    for (name, seen) in cases {
        assert_ne!(judge(&seen, GROUND).fate, Fate::Take, "{name}");
    }
}

#[test]
fn without_proof_and_veto_it_is_a_suspect_only_where_something_looks_like_it() {
    assert_eq!(judge(&left(Kind::Agent), GROUND).fate, Fate::Suspect);
    assert_eq!(judge(&Observation { adopted: false, ..left(Kind::Agent) }, GROUND).fate, Fate::Ignore);
    assert_eq!(judge(&Observation { terminal: true, ..left(Kind::Agent) }, GROUND).fate, Fate::Ignore);
    let registered = Observation { registered: Asked::Is(true), ..left(Kind::Agent) };
    assert_eq!(judge(&registered, GROUND).why(), "its own registry says it is alive");
}

fn asked<T: Clone + fmt::Debug + 'static>(answers: Vec<T>) -> impl Strategy<Value = Asked<T>> {
    let is = prop::sample::select(answers).prop_map(Asked::Is);
    prop_oneof![5 => is, 1 => Just(Asked::Unreadable("it".into()))]
}

prop_compose! {
    fn anything()(
        kind in prop::sample::select(vec![Kind::Agent, Kind::Helper { stdio: true }, Kind::Helper { stdio: false }, Kind::Shared, Kind::Tagged]),
        pid in 2i32..6, age in 0u64..200,
        tag in asked(vec![Tag::None, Tag::Unknown, Tag::Live { session: "a".into() }, Tag::Ended { session: "a".into(), after_start: true }, Tag::Ended { session: "a".into(), after_start: false }]),
        stdio in asked(vec![Stdio::TerminalDeleted, Stdio::Other]), peers in asked(vec![Peers::BothGone, Peers::SomebodyThere]),
        clients in asked(vec![Clients::Connected, Clients::NoneFor(Duration::from_secs(100))]),
        pane in asked(vec![None, Some("p".to_string())]), registered in asked(vec![true, false]), service in asked(vec![true, false]),
        editor in asked(vec![None, Some("e".to_string())]), bits in prop::array::uniform6(any::<bool>()), owned in prop::option::weighted(0.2, Just("o".to_string())),
    ) -> Observation {
        let [terminal, birth_ended, kin_lives, protected, own, adopted] = bits;
        Observation { id: ProcId { pid, start: 1 }, agent: "x".into(), kind, age: Duration::from_secs(age), tag, terminal, stdio, peers,
            clients, birth_ended, kin_lives, pane, registered, service, editor, owner: owned, protected, own, adopted }
    }
}

proptest! {
    #[test]
    fn nothing_is_taken_without_a_proof_or_against_a_veto(seen in anything(), up in 0u64..200) {
        let judged = judge(&seen, Ground { up: Duration::from_secs(up), ..GROUND });
        prop_assert_eq!(judged.fate == Fate::Take, !judged.proofs.is_empty() && judged.vetoes.is_empty());
        if seen.protected || !seen.own || seen.terminal || seen.owner.is_some() || up < 60 || matches!(seen.tag, Asked::Unreadable(_)) {
            prop_assert_ne!(judged.fate, Fate::Take);
        }
    }

    #[test]
    fn a_failed_question_about_all_takes_nothing_and_two_scans_must_agree(
        a in prop::collection::vec(anything(), 0..6), b in prop::collection::vec(anything(), 0..6), failed in 0u8..3, marks in marks(),
    ) {
        let scan = |seen: &[Observation]| seen.iter().map(|s| judge(s, GROUND)).collect::<Vec<_>>();
        let first: Scan = if failed == 1 { Err("tmux".into()) } else { Ok(scan(&a)) };
        let second: Scan = if failed == 2 { Err("tmux".into()) } else { Ok(scan(&b)) };
        let plan = agree(&first, &second, &marks);
        if failed > 0 {
            prop_assert!(plan.candidates.is_empty() && plan.failed.is_some());
        }
        for taken in plan.taken() {
            let twice = [&first, &second].iter().all(|s| s.as_ref().unwrap().iter().any(|j| j.id == taken.id && j.vetoes.is_empty()));
            prop_assert!(twice && !marks.leave.contains(&taken.id));
            prop_assert!(taken.marked || marks.only.as_ref().is_none_or(|only| only.contains(&taken.id)));
        }
    }

    #[test]
    fn a_veto_wins_over_a_mark_in_either_scan(
        a in prop::collection::vec(anything(), 1..6), b in prop::collection::vec(anything(), 1..6),
        ids in prop::collection::hash_set((2i32..6).prop_map(|pid| ProcId { pid, start: 1 }), 0..5), all in any::<bool>(),
    ) {
        let marks = Marks { only: all.then(HashSet::new), take: ids, leave: HashSet::new() };
        let scan = |seen: &[Observation]| seen.iter().map(|s| judge(s, GROUND)).collect::<Vec<_>>();
        let (first, second) = (scan(&a), scan(&b));
        let plan = agree(&Ok(first.clone()), &Ok(second.clone()), &marks);
        for seen in first.iter().chain(&second).filter(|j| !j.vetoes.is_empty()) {
            let others = |scan: &[Judged]| scan.iter().filter(|j| j.id == seen.id).count() > 1;
            prop_assert!(others(&first) || others(&second) || plan.taken().all(|t| t.id != seen.id));
        }
        // A mark makes a difference to suspects alone, and an unmarked suspect is never taken.
        for taken in plan.taken() {
            let suspect = second.iter().any(|j| j.id == taken.id && j.fate == Fate::Suspect);
            prop_assert!(!taken.proofs.is_empty() || (suspect && taken.marked && marks.take.contains(&taken.id)));
        }
    }
}

prop_compose! {
    fn ids()(pids in prop::collection::hash_set(2i32..6, 0..4)) -> HashSet<ProcId> {
        pids.into_iter().map(|pid| ProcId { pid, start: 1 }).collect()
    }
}

prop_compose! {
    fn marks()(only in prop::option::of(ids()), take in ids(), leave in ids()) -> Marks {
        Marks { only, take, leave }
    }
}

/// Twice seen, with these marks.
fn twice(seen: &Observation, marks: &Marks) -> Judged {
    let scan = || Ok(vec![judge(seen, GROUND)]);
    agree(&scan(), &scan(), marks).candidates.remove(0)
}

fn just(id: ProcId) -> HashSet<ProcId> {
    HashSet::from([id])
}

#[test]
fn a_mark_takes_a_suspect_and_says_so() {
    let suspect = left(Kind::Agent);
    let marked = Marks { take: just(suspect.id), ..Marks::default() };
    let taken = twice(&suspect, &marked);
    assert_eq!((taken.fate, taken.marked, taken.why().as_str()), (Fate::Take, true, MARKED));
    assert_eq!(twice(&suspect, &Marks::default()).fate, Fate::Suspect);
    // Agreeing to what is proved marks no suspect.
    let agreed = Marks { only: Some(just(suspect.id)), ..Marks::default() };
    assert_eq!(twice(&suspect, &agreed).fate, Fate::Suspect);
    // The pid of somebody who ended is the name of nobody.
    let stale = Marks { take: just(ProcId { start: 71, ..suspect.id }), ..Marks::default() };
    assert_eq!(twice(&suspect, &stale).fate, Fate::Suspect);
}

#[test]
fn a_mark_counts_only_where_both_scans_saw_nothing_against_it() {
    let suspect = left(Kind::Agent);
    let marked = Marks { take: just(suspect.id), ..Marks::default() };
    let with = Observation { registered: Asked::Is(true), ..suspect.clone() };
    let unlike = Observation { adopted: false, ..suspect.clone() };
    for (first, second) in [(&with, &suspect), (&suspect, &with), (&unlike, &suspect)] {
        let plan = agree(&Ok(vec![judge(first, GROUND)]), &Ok(vec![judge(second, GROUND)]), &marked);
        assert_eq!(plan.candidates[0].fate, Fate::Spare, "{plan:?}");
    }
    // Nobody who looks like no stray becomes one by a mark.
    let plan = agree(&Ok(vec![judge(&suspect, GROUND)]), &Ok(vec![judge(&unlike, GROUND)]), &marked);
    assert_eq!(plan, Plan::default());
}

#[test]
fn a_person_may_leave_out_what_is_proved_and_that_wins_over_a_mark() {
    for seen in proved() {
        let nobody = Marks { only: Some(HashSet::new()), ..Marks::default() };
        assert_eq!(twice(&seen, &nobody).vetoes, [Veto::NotAsked]);
        let left_out = Marks { take: just(seen.id), leave: just(seen.id), ..Marks::default() };
        assert_eq!(twice(&seen, &left_out).vetoes, [Veto::LeftOut]);
        let marked = Marks { only: Some(HashSet::new()), take: just(seen.id), ..Marks::default() };
        assert_eq!(twice(&seen, &marked).fate, Fate::Take);
    }
}
