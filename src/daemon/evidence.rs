//! What is known of one session, with its times: what the verdict rests on, and what `show` lists.

use std::time::Duration;

use super::entry::Entry;
use crate::api::types;
use crate::model::evidence::{Evidence, Since};
use crate::model::heard::Counting;
use crate::model::heed::{Says, heed};
use crate::model::lifecycle::Keeper;
use crate::model::profile::{Look, Profiles, Status};
use crate::model::session::Attention;
use crate::model::verdict::{self, Policy, Verdict, short};
use crate::sys::clock;
use crate::sys::pulse::Beat;

/// What sessions are measured by.
#[derive(Debug, Clone, PartialEq)]
pub struct Standard {
    pub policy: Policy,
    pub profiles: Profiles,
}

/// What the screen of a session said when it was last read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sight {
    pub look: Look,
    pub at: Option<Duration>,
    /// Since when it stands at its gate.
    pub gate_since: Option<Duration>,
    /// Since when it says what it says about attention.
    pub attention_since: Option<Duration>,
    /// Bytes the session had written when it was last asked for its screen.
    pub written: u64,
    /// It was asked, and has not answered.
    pub asked: bool,
    /// It did not answer the last time: nobody waits for it.
    pub failed: bool,
}

impl Sight {
    /// Takes in what a screen says. One that tells nothing (a pager, a picker) leaves what was known.
    pub fn take_in(&mut self, look: Look, now: Duration) {
        self.at = Some(now);
        if look.attention.is_none() && look.because.is_some() {
            return;
        }
        if look.attention != self.look.attention {
            self.attention_since = look.attention.map(|_| now);
        }
        if look.gate != self.look.gate {
            self.gate_since = look.gate.map(|_| now);
        }
        self.look = look;
    }
}

impl Entry {
    fn beat(&self, beat: Beat) -> Option<Duration> {
        self.pulse.as_ref()?.when(beat)
    }

    /// `None` where nobody kept its history.
    pub fn last_activity(&self) -> Option<Duration> {
        let pulse = self.pulse.as_ref()?;
        let beats = [Beat::Text, Beat::Input, Beat::Heartbeat, Beat::Work].into_iter();
        beats.filter_map(|beat| pulse.when(beat)).chain(self.started).chain(self.status_since()).max()
    }

    /// When what its own status file says began.
    fn status_since(&self) -> Option<Duration> {
        self.status.as_ref()?.since_millis.map(clock::moment_of_unix)
    }

    /// What it is doing, of all who say so.
    fn seen(&self, now: Duration) -> Option<Attention> {
        let ago = |at: Option<Duration>| at.map(|at| now.saturating_sub(at));
        let says = |(attention, ago)| Says { attention, ago };
        let screen = self.sight.look.attention.zip(ago(self.sight.attention_since)).map(says);
        let of_file = |s: &Status| s.attention.zip(ago(self.status_since().or(Some(now))));
        let file = self.status.as_ref().and_then(of_file);
        let hook = self.said.map(|(attention, at)| (attention, now.saturating_sub(at)));
        let own = [file, hook].into_iter().flatten().min_by_key(|(_, ago)| *ago).map(says);
        if self.status.is_none() && own.is_none() {
            return self.sight.look.attention;
        }
        let traces = [Beat::Output, Beat::Input, Beat::Work].map(|beat| self.beat(beat));
        heed(screen, own, ago(traces.into_iter().flatten().max()))
    }

    fn counting(&self) -> Counting {
        Counting { since: self.beat(Beat::Since), heard: self.beat(Beat::Heard) }
    }

    /// How long nothing has happened, as far as anybody could have heard it. `None` is unknown: no history, or a keeper
    /// that does not tell.
    pub fn idle(&self, now: Duration) -> Option<Duration> {
        let tells = self.is_live() && self.life.keeper() == Keeper::Alive;
        self.last_activity().filter(|_| tells).map(|last| self.counting().idle(last, now))
    }

    pub fn attention(&self, now: Duration) -> Attention {
        self.verdict(now).attention
    }

    /// Somebody listens now, as somebody does every `pace`: a longer silence was nobody's.
    pub fn listen(&mut self, now: Duration, pace: Duration) {
        let Some((pulse, last)) = self.pulse.as_ref().zip(self.last_activity()) else { return };
        let counting = self.counting();
        let gap = counting.gap(now, pace);
        let counting = counting.listened(last, now, pace);
        counting.since.into_iter().for_each(|at| pulse.mark_at(Beat::Since, at));
        pulse.mark_at(Beat::Heard, now);
        if let Some(gap) = gap {
            self.sight.gate_since = self.sight.gate_since.map(|at| at + gap);
            self.spinning_since = None;
        }
    }

    fn known(&self, now: Duration) -> Evidence<'_> {
        let ago = |at: Option<Duration>| at.map(|at| now.saturating_sub(at));
        let (text, input) = (self.beat(Beat::Text), self.beat(Beat::Input));
        Evidence {
            life: self.life,
            exit: self.exit.as_ref(),
            processes: self.usage.processes,
            stopped: self.usage.leader_stopped,
            since: Since {
                text: ago(text),
                input: ago(input),
                heartbeat: ago(self.beat(Beat::Heartbeat)),
                work: ago(self.beat(Beat::Work)),
            },
            idle: self.idle(now),
            spinning: ago(self.spinning_since.map(|at| text.map_or(at, |text| text.max(at)))),
            seen: self.seen(now),
            gate: self.sight.look.gate.zip(ago(self.sight.gate_since.max(input))),
            project_finished: self.project_finished,
            twins: &self.twins,
            ..Evidence::default()
        }
    }

    pub fn verdict(&self, now: Duration) -> Verdict {
        let known = self.known(now);
        let exit = known.exit.or(self.to_come.as_ref().map(|to_come| &to_come.after));
        let mut verdict = verdict::judge(&Evidence { exit, ..known }, &self.standard.policy);
        if let Some(coming) = self.to_come.as_ref().filter(|_| !self.life.is_closing()) {
            let at = coming.at_monotonic_seconds.and_then(|at| Duration::try_from_secs_f64(at).ok());
            let left = at.map(|at| at.saturating_sub(now));
            verdict.reason = verdict::to_come(&verdict.reason, left, (coming.attempt, coming.limit));
        }
        verdict
    }

    /// What the verdict rests on.
    pub fn evidence(&self, now: Duration) -> Vec<types::Evidence> {
        let mut out = Vec::new();
        let mut add = |kind: &str, text: String, at: Option<Duration>| {
            out.push(types::Evidence { kind: kind.into(), text, at: at.map(clock::wall_at) });
        };
        for (kind, beat, text) in [
            ("text", Beat::Text, "new text on its screen"),
            ("output", Beat::Output, "output"),
            ("input", Beat::Input, "input typed"),
            ("heartbeat", Beat::Heartbeat, "heartbeat"),
            ("work", Beat::Work, "the agent or a tool of it at work"),
        ] {
            if let Some(at) = self.beat(beat) {
                add(kind, format!("{text} {} ago", short(now.saturating_sub(at))), Some(at));
            }
        }
        if let Some(idle) = self.idle(now) {
            add("idle", format!("no activity for {}", short(idle)), self.last_activity());
        }
        if let (Some(attention), Some(rule)) = (self.sight.look.attention, &self.sight.look.because) {
            add("screen", format!("{attention}, by the rule {rule:?}"), self.sight.at);
        }
        if let Some((status, attention)) = self.status.as_ref().and_then(|s| Some((s, s.attention?))) {
            add("status", status.in_words(attention), self.status_since());
        }
        if let Some(at) = self.spinning_since {
            add("spinning", format!("the agent has kept a core busy for {}", short(now.saturating_sub(at))), Some(at));
        }
        for (kind, text) in self.condition() {
            add(kind, text, None);
        }
        out
    }

    /// What is so now, without a time.
    fn condition(&self) -> Vec<(&'static str, String)> {
        let leader = if self.life.has_leader() { "alive" } else { "gone" };
        let keeper = match self.life.keeper() {
            Keeper::Alive => "alive",
            Keeper::Silent => "does not answer",
            Keeper::Gone => "gone",
        };
        let usage = &self.usage;
        let cpu = usage.cpu_percent.map(|cpu| format!("{cpu} % of a core, the whole tree"));
        let io = usage.io_bytes_per_second.map(|n| format!("{n} bytes a second read and written, the whole tree"));
        let told = [
            ("leader", Some(leader.to_string())),
            ("state", usage.leader_stopped.then(|| "stopped by a signal (T)".to_string())),
            ("cpu", cpu),
            ("io", io),
            ("keeper", Some(keeper.into())),
        ];
        told.into_iter().filter_map(|(kind, text)| Some((kind, text?))).collect()
    }

    /// How its conversation is taken up again.
    pub fn resume(&self) -> Option<String> {
        let resume = &self.standard.profiles.by_name(&self.session.agent)?.resume;
        let named = resume.conversation(&self.session.command);
        resume.command(self.conversation().or(named))
    }

    /// The agent's own name for what it is talking about.
    pub fn open_conversation(&self) -> Option<&str> {
        self.status.as_ref()?.session.as_deref()
    }

    /// The same, or what it was when it was last told.
    pub fn conversation(&self) -> Option<&str> {
        self.open_conversation().or(self.meta.conversation.as_deref())
    }

    /// One sentence of advice, where there is something to do.
    pub fn recommendation(&self, now: Duration) -> Option<String> {
        verdict::advice(&self.verdict(now), self.name(), self.resume().as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::profile::Gate;

    fn look(attention: Option<Attention>, gate: Option<Gate>, because: Option<&str>) -> Look {
        Look { attention, gate, because: because.map(String::from) }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_view_that_tells_nothing_leaves_what_was_known_and_an_unknown_screen_does_not() {
        let mut sight = Sight::default();
        sight.take_in(look(Some(Attention::Waiting), None, Some("asks")), at(1));
        sight.take_in(look(None, None, Some("pager")), at(2));
        assert_eq!((sight.look.attention, sight.at), (Some(Attention::Waiting), Some(at(2))));
        sight.take_in(look(None, None, None), at(3));
        assert_eq!(sight.look.attention, None);
    }

    #[test]
    fn a_gate_is_stood_at_from_when_it_was_first_seen() {
        let mut sight = Sight::default();
        let gate = |gate| look(Some(Attention::Waiting), gate, Some("gate"));
        sight.take_in(gate(Some(Gate::Login)), at(1));
        sight.take_in(gate(Some(Gate::Login)), at(5));
        assert_eq!(sight.gate_since, Some(at(1)));
        sight.take_in(gate(Some(Gate::Trust)), at(7));
        assert_eq!(sight.gate_since, Some(at(7)));
        sight.take_in(gate(None), at(8));
        assert_eq!(sight.gate_since, None);
    }
}
