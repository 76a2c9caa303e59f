//! How a session is taken away: soft, hard, verify. Pure: the plan is shown who is alive, and says what to do next.
//!
//! ```text
//!   Gentle ── the agent's own way to end: typed at its prompt, or a signal to it alone
//!     │ it has ended, or its time is over
//!     ▼      set empty ─────────────────────────────► Done (clean)
//!               ▲
//!   Soft ───────┤ TERM CONT HUP to each, once; newcomers too
//!     │ grace over, or hurried
//!     ▼
//!   Freeze ── below a living keeper, the first time: nothing; else STOP each newcomer, until a pass adds nothing and
//!     │       each is seen stopped or in D, or half a second has passed
//!     ▼
//!   Kill ──── KILL each; set empty ─────────────────► Done (forced)
//!     │  newcomers: back to Freeze (a round)
//!     └ 20 rounds or 2 s, and all were killed ──────► Done (survivors)
//! ```
//!
//! Whoever is born between a look and a KILL is its keeper's child once its parent is dead (`PR_SET_CHILD_SUBREAPER`), and
//! the next look finds it: only who does it again and again has to be stopped first. Without a keeper it would be nobody's.
//!
//! Nothing loops on what cannot die: a process in `D`, or of another owner, is a survivor. An empty set is believed only
//! when the look was sure: who forks and ends all the time is between two pids whenever it is looked at.

use std::collections::BTreeMap;
use std::time::Duration;

use super::session::ProcId;

/// Signals a plan may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    Term,
    Cont,
    Hup,
    Int,
    Quit,
    Stop,
    Kill,
}

impl Signal {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Term => "TERM",
            Self::Cont => "CONT",
            Self::Hup => "HUP",
            Self::Int => "INT",
            Self::Quit => "QUIT",
            Self::Stop => "STOP",
            Self::Kill => "KILL",
        }
    }
}

/// Most of the grace that an agent's own way to end may take, and least grace that leaves time for it.
const GENTLE: Duration = Duration::from_secs(2);
const TOO_SHORT: Duration = Duration::from_secs(1);
/// Between what is typed and Enter: in one burst, agents take them for pasted text.
const BURST: Duration = Duration::from_millis(200);
/// Longest time that freezing may take before force is used all the same.
const FREEZE: Duration = Duration::from_millis(500);
/// Longest time of force, and most rounds of it.
const FORCE: Duration = Duration::from_secs(2);
const ROUNDS: u32 = 20;

/// A live member as a pass over the process table showed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    pub id: ProcId,
    /// The state letter.
    pub state: u8,
}

impl Seen {
    fn is_still(self) -> bool {
        matches!(self.state, b'T' | b't' | b'D')
    }
}

/// How a session is to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manner {
    /// Time to end by itself; zero goes straight to force.
    pub grace: Duration,
    /// Has a terminal: hang it up as well.
    pub terminal: bool,
    /// Has a cgroup of its own that holds nobody protected.
    pub cgroup: bool,
    /// The agent, and how it likes to be asked.
    pub gentle: Option<(ProcId, Gentle)>,
}

/// An agent's own way to end, before the signals that any program gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gentle {
    /// A word typed at its prompt.
    Typed,
    Signal(Signal),
}

/// What to do, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Type the word that ends the agent, whose end is to be watched.
    Type(ProcId),
    /// Enter behind it.
    Enter,
    /// Close the standard input of the agent.
    CloseInput,
    Signal(ProcId, Signal),
    /// Write `cgroup.kill`.
    KillCgroup,
}

/// When to look again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// When everything signalled so far has ended, and at this time at the latest.
    AllGoneOr(Duration),
    /// After this time.
    After(Duration),
    Done(Ending),
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    AlreadyGone,
    Clean,
    Forced,
    Survivors,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Gentle { entered: bool },
    Soft,
    Freeze { since: Duration, round: u32 },
    Kill { round: u32 },
    Done(Ending),
}

#[derive(Debug, Clone, Copy, Default)]
struct Told {
    softly: bool,
    to_stop: bool,
    to_die: bool,
    /// Signals to it are refused (another owner's, protected, outside the fence).
    refused: bool,
}

/// The plan of one close. Times are durations since it began.
#[derive(Debug, Clone)]
pub struct Plan {
    manner: Manner,
    phase: Phase,
    /// When the first was asked to end: the grace runs from here, not from a search that took its time.
    asked_at: Option<Duration>,
    /// Its standard input is closed, where that is a pipe.
    input_closed: bool,
    /// When the first was killed.
    killed_at: Option<Duration>,
    cgroup_killed: bool,
    /// Time and rounds are over, and those who came last have been killed as well.
    last_round: bool,
    told: BTreeMap<ProcId, Told>,
    hurried: bool,
    /// Everybody seen is below a living keeper.
    kept: bool,
}

impl Plan {
    pub fn new(manner: Manner) -> Self {
        let gently = manner.gentle.is_some() && manner.grace >= TOO_SHORT;
        Self {
            manner,
            phase: if gently { Phase::Gentle { entered: false } } else { Phase::Soft },
            asked_at: None,
            input_closed: manner.terminal,
            killed_at: None,
            cgroup_killed: false,
            last_round: false,
            told: BTreeMap::new(),
            hurried: false,
            kept: false,
        }
    }

    /// Whether everybody the next step is shown is below a living keeper, which adopts their orphans.
    pub fn kept(&mut self, kept: bool) {
        self.kept = kept;
    }

    /// The grace is over now.
    pub fn hurry(&mut self) {
        self.hurried = true;
    }

    /// How many different processes it has seen.
    pub fn processes(&self) -> usize {
        self.told.len()
    }

    pub fn ending(&self) -> Option<Ending> {
        match self.phase {
            Phase::Done(ending) => Some(ending),
            Phase::Gentle { .. } | Phase::Soft | Phase::Freeze { .. } | Phase::Kill { .. } => None,
        }
    }

    /// A signal to this process was refused: waiting for it is of no use.
    pub fn refused(&mut self, id: ProcId) {
        self.told.entry(id).or_default().refused = true;
    }

    /// Nothing was sent to it after all: it is told again.
    pub fn forgotten(&mut self, id: ProcId) {
        let refused = self.told.get(&id).is_some_and(|t| t.refused);
        self.told.insert(id, Told { refused, ..Told::default() });
    }

    /// Somebody else is in the cgroup: its members are taken one by one.
    pub fn without_cgroup(&mut self) {
        self.manner.cgroup = false;
        self.told.values_mut().for_each(|told| told.to_stop = false);
        if let Phase::Kill { round } = self.phase {
            self.phase = Phase::Freeze { since: self.killed_at.unwrap_or_default(), round };
        }
    }

    /// `seen` is every live member at `now`; `sure` is false when somebody was there and was gone when looked at.
    pub fn step(&mut self, now: Duration, seen: &[Seen], sure: bool) -> (Vec<Order>, Next) {
        let mut orders = Vec::new();
        // Somebody may be there whom nobody can signal.
        self.kept &= sure && !seen.is_empty();
        let grace_until = self.asked_at.unwrap_or(now) + self.manner.grace;
        let next = loop {
            match self.phase {
                Phase::Done(ending) => break Next::Done(ending),
                _ if seen.is_empty() && sure => self.phase = Phase::Done(self.ending_when_empty()),
                _ if self.only_refused(seen) => self.phase = Phase::Done(Ending::Survivors),
                Phase::Gentle { .. } | Phase::Soft if self.hurried || now >= grace_until => {
                    self.phase = Phase::Freeze { since: now, round: 0 };
                }
                Phase::Gentle { entered } => {
                    if let Some(next) = self.gently(entered, now, seen, &mut orders) {
                        break next;
                    }
                }
                Phase::Soft => {
                    self.ask(seen, &mut orders);
                    self.asked_at.get_or_insert(now);
                    break Next::AllGoneOr(grace_until);
                }
                Phase::Freeze { since, round } => {
                    if !self.freeze(now.saturating_sub(since), round, seen, &mut orders) {
                        break Next::After(Duration::from_millis(1));
                    }
                    self.phase = Phase::Kill { round };
                }
                Phase::Kill { round } => {
                    if let Some(next) = self.kill(now, round, seen, &mut orders) {
                        break next;
                    }
                }
            }
        };
        (orders, next)
    }

    fn ending_when_empty(&self) -> Ending {
        if self.killed_at.is_some() {
            Ending::Forced
        } else if self.told.is_empty() {
            Ending::AlreadyGone
        } else {
            Ending::Clean
        }
    }

    /// `None` when the phase changed.
    fn gently(&mut self, entered: bool, now: Duration, seen: &[Seen], orders: &mut Vec<Order>) -> Option<Next> {
        let until = self.asked_at.unwrap_or(now) + GENTLE.min(self.manner.grace / 2);
        let Some((leader, how)) = self.manner.gentle.filter(|(leader, _)| seen.iter().any(|s| s.id == *leader)) else {
            self.phase = Phase::Soft;
            return None;
        };
        for s in seen {
            self.told.entry(s.id).or_default();
        }
        match (self.asked_at, how) {
            (None, Gentle::Typed) => orders.push(Order::Type(leader)),
            (None, Gentle::Signal(signal)) => orders.push(Order::Signal(leader, signal)),
            (Some(at), Gentle::Typed) if !entered && now >= at + BURST => {
                orders.push(Order::Enter);
                self.phase = Phase::Gentle { entered: true };
            }
            (Some(_), _) if now >= until => {
                self.phase = Phase::Soft;
                return None;
            }
            (Some(_), _) => {}
        }
        let typing = how == Gentle::Typed && matches!(self.phase, Phase::Gentle { entered: false });
        let at = *self.asked_at.get_or_insert(now);
        Some(Next::AllGoneOr(if typing { at + BURST } else { until.max(now) }))
    }

    fn only_refused(&self, seen: &[Seen]) -> bool {
        !seen.is_empty() && seen.iter().all(|s| self.told.get(&s.id).is_some_and(|t| t.refused))
    }

    fn ask(&mut self, seen: &[Seen], orders: &mut Vec<Order>) {
        if !std::mem::replace(&mut self.input_closed, true) {
            orders.push(Order::CloseInput);
        }
        for s in seen {
            let told = self.told.entry(s.id).or_default();
            if !std::mem::replace(&mut told.softly, true) {
                orders.push(Order::Signal(s.id, Signal::Term));
                orders.push(Order::Signal(s.id, Signal::Cont));
                if self.manner.terminal {
                    orders.push(Order::Signal(s.id, Signal::Hup));
                }
            }
        }
    }

    /// True when everything holds still (or has had time to).
    fn freeze(&mut self, for_long: Duration, round: u32, seen: &[Seen], orders: &mut Vec<Order>) -> bool {
        if self.kept && round == 0 {
            return true;
        }
        if self.manner.cgroup && !std::mem::replace(&mut self.cgroup_killed, true) {
            // cgroup.kill is safe against fork (Linux 5.14): nothing inside needs to be stopped first.
            orders.push(Order::KillCgroup);
            for s in seen {
                self.told.entry(s.id).or_default().to_stop = true;
            }
            return true;
        }
        let mut still = true;
        for s in seen {
            let told = self.told.entry(s.id).or_default();
            if !std::mem::replace(&mut told.to_stop, true) {
                orders.push(Order::Signal(s.id, Signal::Stop));
                still = false;
            }
            still &= s.is_still() || told.refused;
        }
        still || for_long >= FREEZE
    }

    /// `None` when the phase changed.
    fn kill(&mut self, now: Duration, round: u32, seen: &[Seen], orders: &mut Vec<Order>) -> Option<Next> {
        let for_long = self.killed_at.map_or(Duration::ZERO, |at| now.saturating_sub(at));
        let is_over = round >= ROUNDS || for_long >= FORCE;
        // Nobody is called a survivor who was not killed: on a busy machine one pass may take longer than all of this.
        let is_unharmed = |told: Option<&Told>| told.is_none_or(|t| !t.to_die);
        let any_unharmed = seen.iter().any(|s| is_unharmed(self.told.get(&s.id)));
        if is_over && (std::mem::replace(&mut self.last_round, true) || !any_unharmed) {
            self.phase = Phase::Done(Ending::Survivors);
            return None;
        }
        let any_killed = self.told.values().any(|t| t.to_die);
        let is_new = |told: Option<&Told>| told.is_none_or(|t| !t.to_stop && !t.to_die);
        if !is_over && any_killed && seen.iter().any(|s| is_new(self.told.get(&s.id))) {
            self.phase = Phase::Freeze { since: now, round: round + 1 };
            return None;
        }
        for s in seen {
            let told = self.told.entry(s.id).or_default();
            if !std::mem::replace(&mut told.to_die, true) {
                orders.push(Order::Signal(s.id, Signal::Kill));
            }
        }
        self.killed_at.get_or_insert(now);
        Some(Next::AllGoneOr(now + Duration::from_millis(20)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;
    const MANNER: Manner = Manner { grace: Duration::from_secs(5), terminal: true, cgroup: false, gentle: None };

    fn seen(pid: i32, state: u8) -> Seen {
        Seen { id: ProcId { pid, start: 1 }, state }
    }

    fn signals(orders: &[Order]) -> Vec<(i32, Signal)> {
        orders.iter().filter_map(|o| if let Order::Signal(id, s) = o { Some((id.pid, *s)) } else { None }).collect()
    }

    #[test]
    fn an_empty_set_was_already_gone() {
        assert_eq!(Plan::new(MANNER).step(MS(0), &[], true), (vec![], Next::Done(Ending::AlreadyGone)));
    }

    #[test]
    fn who_ends_when_asked_ends_clean_and_the_grace_is_over_at_once() {
        let mut plan = Plan::new(MANNER);
        let (orders, next) = plan.step(MS(0), &[seen(9, b'S')], true);
        assert_eq!(signals(&orders), [(9, Signal::Term), (9, Signal::Cont), (9, Signal::Hup)]);
        assert_eq!(next, Next::AllGoneOr(MANNER.grace));
        assert_eq!(plan.step(MS(3), &[], true), (vec![], Next::Done(Ending::Clean)));
    }

    #[test]
    fn an_agent_is_asked_in_its_own_way_first_and_the_others_once_it_has_ended() {
        let leader = ProcId { pid: 9, start: 1 };
        let both = [seen(9, b'S'), seen(10, b'S')];
        let mut plan = Plan::new(Manner { gentle: Some((leader, Gentle::Typed)), ..MANNER });
        assert_eq!(plan.step(MS(0), &both, true), (vec![Order::Type(leader)], Next::AllGoneOr(BURST)));
        assert_eq!(plan.step(BURST, &both, true), (vec![Order::Enter], Next::AllGoneOr(GENTLE)));
        assert_eq!(plan.clone().step(MS(300), &[], true).1, Next::Done(Ending::Clean));
        let (orders, next) = plan.step(MS(300), &[seen(10, b'S')], true);
        assert_eq!(signals(&orders), [(10, Signal::Term), (10, Signal::Cont), (10, Signal::Hup)]);
        assert_eq!(next, Next::AllGoneOr(MANNER.grace), "out of the same grace");
    }

    #[test]
    fn who_is_deaf_to_its_own_word_is_asked_like_any_other_within_the_grace() {
        let leader = ProcId { pid: 9, start: 1 };
        let gentle = |gentle, grace| Plan::new(Manner { gentle: Some((leader, gentle)), grace, ..MANNER });
        let mut plan = gentle(Gentle::Signal(Signal::Int), MANNER.grace);
        assert_eq!(signals(&plan.step(MS(0), &[seen(9, b'S')], true).0), [(9, Signal::Int)]);
        assert_eq!(plan.step(MS(1000), &[seen(9, b'S')], true), (vec![], Next::AllGoneOr(GENTLE)));
        let (orders, next) = plan.step(GENTLE, &[seen(9, b'S')], true);
        assert_eq!((signals(&orders)[0], next), ((9, Signal::Term), Next::AllGoneOr(MANNER.grace)));
        let mut hurried = gentle(Gentle::Typed, MANNER.grace);
        hurried.step(MS(0), &[seen(9, b'S')], true);
        hurried.hurry();
        assert_eq!(signals(&hurried.step(MS(1), &[seen(9, b'S')], true).0), [(9, Signal::Stop)]);
        let mut short = gentle(Gentle::Typed, MS(900));
        assert_eq!(signals(&short.step(MS(0), &[seen(9, b'S')], true).0)[0], (9, Signal::Term), "no time for it");
        let mut gone = gentle(Gentle::Typed, MANNER.grace);
        assert_eq!(signals(&gone.step(MS(0), &[seen(10, b'S')], true).0)[0], (10, Signal::Term), "nobody to ask");
    }

    #[test]
    fn a_newcomer_is_asked_too_and_nobody_twice() {
        let mut plan = Plan::new(MANNER);
        plan.step(MS(0), &[seen(9, b'S')], true);
        let (orders, _) = plan.step(MS(5), &[seen(9, b'S'), seen(10, b'S')], true);
        assert_eq!(signals(&orders).iter().map(|(p, _)| *p).collect::<Vec<_>>(), [10, 10, 10]);
    }

    #[test]
    fn the_deaf_are_stopped_first_then_killed() {
        let mut plan = Plan::new(MANNER);
        plan.step(MS(0), &[seen(9, b'S')], true);
        let (orders, next) = plan.step(MS(5000), &[seen(9, b'S'), seen(10, b'R')], true);
        assert_eq!(signals(&orders), [(9, Signal::Stop), (10, Signal::Stop)]);
        assert_eq!(next, Next::After(MS(1)));
        let (orders, _) = plan.step(MS(5001), &[seen(9, b'T'), seen(10, b'T')], true);
        assert_eq!(signals(&orders), [(9, Signal::Kill), (10, Signal::Kill)]);
        assert_eq!(plan.step(MS(5002), &[], true).1, Next::Done(Ending::Forced));
    }

    #[test]
    fn a_newcomer_after_the_kill_goes_back_to_freeze() {
        let mut plan = Plan::new(Manner { grace: Duration::ZERO, ..MANNER });
        plan.step(MS(0), &[seen(9, b'S')], true);
        plan.step(MS(1), &[seen(9, b'T')], true);
        let (orders, _) = plan.step(MS(2), &[seen(11, b'S')], true);
        assert_eq!(signals(&orders), [(11, Signal::Stop)]);
        let (orders, _) = plan.step(MS(3), &[seen(11, b'T')], true);
        assert_eq!(signals(&orders), [(11, Signal::Kill)]);
    }

    #[test]
    fn below_a_living_keeper_nobody_is_stopped_before_the_first_kill() {
        let kill = |plan: &mut Plan, now, seen: &[Seen]| {
            plan.kept(true);
            plan.step(MS(now), seen, true)
        };
        let mut plan = Plan::new(Manner { grace: Duration::ZERO, cgroup: true, ..MANNER });
        let (orders, next) = kill(&mut plan, 0, &[seen(9, b'S')]);
        assert_eq!((signals(&orders), orders.len()), (vec![(9, Signal::Kill)], 1));
        assert_eq!(next, Next::AllGoneOr(MS(20)));
        assert_eq!(kill(&mut plan.clone(), 1, &[]).1, Next::Done(Ending::Forced));
        // Born in between, and now the keeper's child: with all that may come of it, and what it does is over.
        let (orders, _) = kill(&mut plan, 2, &[seen(11, b'R')]);
        assert_eq!(orders, [Order::KillCgroup, Order::Signal(ProcId { pid: 11, start: 1 }, Signal::Kill)]);
        assert_eq!(signals(&kill(&mut plan, 3, &[seen(12, b'R')]).0), [(12, Signal::Stop)]);
        // The keeper has died before the first of them was killed, or somebody may have been missed.
        let first = |kept, seen: &[Seen], sure| {
            let mut plan = Plan::new(Manner { grace: Duration::ZERO, cgroup: true, ..MANNER });
            plan.kept(kept);
            plan.step(MS(0), seen, sure).0.remove(0)
        };
        assert_eq!(first(false, &[seen(9, b'S')], true), Order::KillCgroup);
        assert_eq!(first(true, &[seen(9, b'S')], false), Order::KillCgroup);
        assert_eq!(first(true, &[], false), Order::KillCgroup);
    }

    #[test]
    fn what_cannot_die_is_a_survivor_after_two_seconds() {
        let mut plan = Plan::new(Manner { grace: Duration::ZERO, ..MANNER });
        let mut now = MS(0);
        loop {
            match plan.step(now, &[seen(9, b'D')], true).1 {
                Next::Done(ending) => break assert_eq!(ending, Ending::Survivors),
                Next::AllGoneOr(at) => now = at,
                Next::After(wait) => now += wait,
            }
            assert!(now <= MS(3000));
        }
    }

    #[test]
    fn a_slow_machine_takes_nobodys_grace_and_calls_nobody_a_survivor_unharmed() {
        let mut plan = Plan::new(MANNER);
        let (orders, next) = plan.step(MS(9000), &[seen(9, b'S')], true);
        assert_eq!(signals(&orders)[0], (9, Signal::Term), "asked first, however long the search took");
        assert_eq!(next, Next::AllGoneOr(MS(14_000)));
        let (orders, _) = plan.step(MS(20_000), &[seen(9, b'S')], true);
        assert_eq!(signals(&orders), [(9, Signal::Stop)]);
        let (orders, _) = plan.step(MS(30_000), &[seen(9, b'S')], true);
        assert_eq!(signals(&orders), [(9, Signal::Kill)]);
        assert_eq!(plan.step(MS(30_020), &[seen(9, b'S')], true).0, []);
        let (orders, next) = plan.step(MS(40_000), &[seen(9, b'D'), seen(10, b'S')], true);
        assert_eq!(signals(&orders), [(10, Signal::Kill)], "who came in the last pass is killed too");
        assert!(matches!(next, Next::AllGoneOr(_)));
        assert_eq!(plan.step(MS(40_020), &[seen(9, b'D')], true).1, Next::Done(Ending::Survivors));
    }

    #[test]
    fn an_empty_set_is_not_believed_while_somebody_may_have_been_missed() {
        let mut plan = Plan::new(MANNER);
        assert_eq!(plan.step(MS(0), &[], false), (vec![], Next::AllGoneOr(MANNER.grace)));
        assert_eq!(plan.clone().step(MS(1), &[], true).1, Next::Done(Ending::AlreadyGone));
        let (orders, _) = plan.step(MS(2), &[seen(9, b'S')], true);
        assert_eq!(signals(&orders).len(), 3, "asked as soon as it is seen");
        assert_eq!(plan.step(MS(3), &[], false).0, []);
        assert_eq!(plan.clone().step(MS(4), &[], true).1, Next::Done(Ending::Clean));
        // Never seen again, and never gone: force, and then the truth.
        plan.step(MS(5000), &[], false);
        assert_eq!(plan.step(MS(7000), &[], false).1, Next::Done(Ending::Survivors));
    }

    #[test]
    fn who_is_never_seen_is_killed_with_its_cgroup() {
        let mut plan = Plan::new(Manner { cgroup: true, ..MANNER });
        plan.step(MS(0), &[], false);
        assert_eq!(plan.step(MS(5000), &[], false).0, [Order::KillCgroup]);
        assert_eq!(plan.step(MS(5001), &[], true).1, Next::Done(Ending::Forced));
    }

    #[test]
    fn another_owners_process_is_not_waited_for() {
        let mut plan = Plan::new(MANNER);
        plan.step(MS(0), &[seen(9, b'S')], true);
        plan.refused(ProcId { pid: 9, start: 1 });
        assert_eq!(plan.step(MS(1), &[seen(9, b'S')], true).1, Next::Done(Ending::Survivors));
    }

    #[test]
    fn a_cgroup_of_its_own_is_killed_whole() {
        let mut plan = Plan::new(Manner { grace: Duration::ZERO, cgroup: true, ..MANNER });
        let (orders, _) = plan.step(MS(0), &[seen(9, b'S')], true);
        assert_eq!(orders, [Order::KillCgroup, Order::Signal(ProcId { pid: 9, start: 1 }, Signal::Kill)]);
        assert_eq!(plan.step(MS(1), &[], true).1, Next::Done(Ending::Forced));
    }

    /// A process in a small world: hears TERM or not, can be killed or not, forks or not.
    #[derive(Debug, Clone)]
    struct Actor {
        deaf: bool,
        immortal: bool,
        refuses: bool,
        forks_until: u64,
        state: u8,
        id: i32,
    }

    fn an_actor() -> impl Strategy<Value = (bool, bool, bool, u64)> {
        (
            any::<bool>(),
            prop::bool::weighted(0.1),
            prop::bool::weighted(0.1),
            prop_oneof![3 => Just(0u64), 1 => 0u64..4000],
        )
    }

    proptest! {
        #[test]
        fn every_close_ends_in_time_and_tells_the_truth(
            cast in prop::collection::vec(an_actor(), 0..6), grace in 0u64..3000, terminal: bool, cgroup: bool, kept: bool,
            gentle in prop::option::of((0i32..3, prop_oneof![Just(Gentle::Typed), Just(Gentle::Signal(Signal::Int))])),
            mut missed in prop::collection::vec(any::<bool>(), 0..20)
        ) {
            let mut next_id = 10;
            let mut world: Vec<Actor> = cast.iter().map(|(deaf, immortal, refuses, forks_until)| {
                next_id += 1;
                Actor { deaf: *deaf, immortal: *immortal, refuses: *refuses, forks_until: *forks_until, state: b'S', id: next_id }
            }).collect();
            let mut plan = Plan::new(Manner {
                grace: MS(grace), terminal, cgroup,
                gentle: gentle.map(|(n, how)| (ProcId { pid: 11 + n, start: 1 }, how)),
            });
            let mut now = 0u64;
            let ending = loop {
                // A look may miss everybody, and knows that somebody was there.
                let misses = missed.pop().unwrap_or(false) && !world.is_empty();
                let looked = world.iter().filter(|_| !misses);
                let seen: Vec<Seen> = looked.map(|a| seen(a.id, a.state)).collect();
                plan.kept(kept);
                let (orders, next) = plan.step(MS(now), &seen, !misses);
                for order in orders {
                    let Order::Signal(id, signal) = order else { continue };
                    let Some(actor) = world.iter_mut().find(|a| a.id == id.pid) else { continue };
                    if actor.refuses { plan.refused(id); continue }
                    match signal {
                        Signal::Term | Signal::Hup | Signal::Int if !actor.deaf => actor.state = b'Z',
                        Signal::Stop => actor.state = b'T',
                        Signal::Kill if actor.immortal => actor.state = b'D',
                        Signal::Kill => actor.state = b'Z',
                        _ => {}
                    }
                }
                world.retain(|a| a.state != b'Z');
                let born: Vec<Actor> = world.iter().filter(|a| a.state == b'S' && now < a.forks_until).map(|a| {
                    next_id += 1;
                    Actor { id: next_id, forks_until: 0, immortal: false, refuses: false, ..a.clone() }
                }).take(3).collect();
                world.extend(born);
                match next {
                    Next::Done(ending) => break ending,
                    Next::AllGoneOr(at) => now = u64::try_from(at.as_millis()).unwrap().min(now + 50).max(now + 1),
                    Next::After(wait) => now += u64::try_from(wait.as_millis()).unwrap().max(1),
                }
                prop_assert!(now < grace + 10_000, "does not end");
            };
            match ending {
                Ending::Survivors => prop_assert!(world.iter().any(|a| a.immortal || a.refuses)),
                Ending::AlreadyGone => prop_assert!(cast.is_empty()),
                Ending::Clean | Ending::Forced => prop_assert!(world.is_empty()),
            }
        }
    }
}
