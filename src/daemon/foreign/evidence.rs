//! What is known of a session beadle did not start, with its times: taken in pass by pass, and judged.

use std::time::Duration;

use super::{Foreign, Moments};
use crate::api::types;
use crate::daemon::discovery::{Scene, Shown};
use crate::daemon::entry::Usage;
use crate::daemon::sampler::Sample;
use crate::model::evidence::{Evidence, Since};
use crate::model::heed::{Says, heed};
use crate::model::lifecycle::Event;
use crate::model::scene::Sighting;
use crate::model::session::{Attention, Exit, ExitBy, Health, Origin, State};
use crate::model::verdict::{self, Rule, Verdict, short};
use crate::sys::clock;

impl Foreign {
    /// Takes in a pass; true when something a reader can see has changed.
    pub fn take_in(&mut self, scene: &Scene, seen: Sighting, sample: Option<&Sample>, now: Duration) -> bool {
        let before = (self.usage.clone(), self.name.clone(), self.seen.origin);
        if let Some(person) = scene.agents.get(&seen.leader) {
            self.person = person.clone();
        }
        // A shell that executed an agent in its own place (`exec claude`) is that agent from now on.
        if self.is_shell() && !seen.is_shell() && !seen.agent.is_empty() {
            self.be(&seen.agent);
        }
        self.seen = Sighting { agent: self.agent.clone(), ..seen };
        self.relabel();
        if !scene.table.is_alive(self.seen.leader) && self.life.has_leader() {
            self.life.apply(Event::LeaderEnded);
            self.exit = Some(unknown_exit());
        }
        if let Some(sample) = sample {
            self.measure(sample, now);
        }
        self.attended = self.pane().filter(|p| p.attached > 0).map(|_| now).or(self.attended);
        self.terminal = scene.terminals.get(&self.seen.leader).copied().unwrap_or(self.terminal);
        self.hear(scene);
        self.status = self.status_in(scene);
        self.moments.status = self.status.as_ref().and_then(|s| s.since_millis).map(clock::moment_of_unix);
        self.look(scene.shown.iter().find(|s| self.is_of(s)), now);
        let after = (self.usage.clone(), self.name.clone(), self.seen.origin);
        let verdict = self.verdict(now);
        let shown = Some((verdict.health, verdict.attention));
        std::mem::replace(&mut self.shown, shown) != shown || before != after
    }

    fn measure(&mut self, sample: &Sample, now: Duration) {
        self.usage = Usage {
            processes: Some(u32::try_from(sample.members.len()).unwrap_or(u32::MAX)),
            cpu_percent: sample.cpu_percent.or(self.usage.cpu_percent),
            io_bytes_per_second: sample.io_bytes_per_second.or(self.usage.io_bytes_per_second),
            memory_bytes: Some(sample.memory_bytes),
            leader_stopped: sample.leader_stopped,
        };
        if !sample.shares.is_empty() {
            self.shares = sample.shares.clone();
        }
        self.spinning_since = sample.effort.spinning_since;
        if sample.effort.at_work {
            self.moments.work = Some(now);
        }
    }

    /// What tmux and the terminal say of output and input. A window's activity can be another pane's; the terminal's own
    /// time comes in steps of eight seconds.
    fn hear(&mut self, scene: &Scene) {
        let moment = |seconds: u64| clock::moment_of_unix(i64::try_from(seconds).unwrap_or(0).saturating_mul(1000));
        let (input, output) = self.terminal.times.unzip();
        // tmux tells of a window: with other panes in it the terminal knows better.
        let alone = self.pane().is_some_and(|own| {
            let same = |p: &&crate::model::scene::Pane| {
                p.socket == own.socket && p.session == own.session && p.window == own.window
            };
            scene.panes().filter(same).count() == 1
        });
        let active = self.pane().map(|p| p.active_at).filter(|at| *at > 0 && (alone || output.is_none()));
        self.moments.output = output.max(active).map(moment).max(self.moments.output);
        // A terminal that was made and never read from has the time of its making.
        let typed = input.map(moment).filter(|at| *at > self.started + Duration::from_secs(8));
        self.moments.input = typed.max(self.moments.input);
    }

    /// Of its own processes, the agent that says the most recent thing.
    fn status_in(&self, scene: &Scene) -> Option<crate::model::profile::Status> {
        let told = self.seen.members.iter().filter_map(|m| scene.registry.get(m)?.as_ref().ok());
        told.max_by_key(|s| s.since_millis).cloned()
    }

    fn is_of(&self, shown: &Shown) -> bool {
        self.pane().is_some_and(|p| p.socket == shown.socket && p.id == shown.pane)
    }

    /// Reads the title again, and the screen where it has changed.
    fn look(&mut self, shown: Option<&Shown>, now: Duration) {
        let Some(profile) = self.standard.profiles.by_name(&self.agent).filter(|p| !p.rules.is_empty()) else { return };
        let Some(pane) = self.seen.pane.as_ref() else { return };
        if let Some(shown) = shown {
            let fold = &self.screen.fold;
            let first = self.screen.sight.at.is_none();
            let new = self.screen.recent.look(shown.text.lines().filter_map(|line| fold.mark(line)), now);
            // What stands there at the first look was written whenever its window was last active.
            let when = if first { self.moments.output } else { Some(now) };
            self.moments.text = if new { when } else { self.moments.text };
            self.screen.text.clone_from(&shown.text);
        }
        let look = profile.look(&pane.title, &self.screen.text);
        self.screen.sight.take_in(look, now);
        let attention = self.screen.sight.look.attention;
        if self.screen.since.map(|(a, _)| a) != attention {
            let first = self.screen.since.is_none() && shown.is_none();
            let at = if first { self.moments.output.unwrap_or(now) } else { now };
            self.screen.since = attention.map(|a| (a, at));
        }
    }

    /// Somebody listens now, as somebody does every `pace`.
    pub fn listen(&mut self, now: Duration, pace: Duration) {
        let last = self.last_activity().unwrap_or(self.started);
        if let Some(gap) = self.counting.gap(now, pace) {
            self.screen.sight.gate_since = self.screen.sight.gate_since.map(|at| at + gap);
            self.spinning_since = None;
        }
        self.counting = self.counting.listened(last, now, pace);
    }

    /// `None` while nothing was ever seen to happen.
    pub fn last_activity(&self) -> Option<Duration> {
        let Moments { output, text, input, heartbeat, work, status } = self.moments;
        // Where the screen is read, only new text counts: a spinner writes too.
        [text.or(output), input, heartbeat, work, status].into_iter().flatten().max()
    }

    /// How long nothing has happened. Where something has a history it is that long; else as long as beadle has looked.
    pub fn idle(&self, now: Duration) -> Option<Duration> {
        let live = self.is_live();
        match self.last_activity() {
            Some(last) if self.moments.output.is_some() => Some(now.saturating_sub(last)).filter(|_| live),
            last => Some(self.counting.idle(last.unwrap_or(self.started), now)).filter(|_| live),
        }
    }

    pub fn verdict(&self, now: Duration) -> Verdict {
        if self.is_shell() && self.life.state() == State::Running {
            // Silence at a prompt is no fault.
            let reason = "a plain shell".into();
            return Verdict { health: Health::Healthy, attention: Attention::Unknown, reason, rule: Rule::Well };
        }
        let ago = |at: Option<Duration>| at.map(|at| now.saturating_sub(at));
        let Moments { output, text, input, heartbeat, work, status } = self.moments;
        let (attention, since) = self.screen.since.unzip();
        let screen = attention.zip(ago(since)).map(|(attention, ago)| Says { attention, ago });
        let file = self.status.as_ref().and_then(|s| s.attention).zip(ago(status.or(Some(now))));
        let file = file.map(|(attention, ago)| Says { attention, ago });
        let evidence = Evidence {
            life: self.life,
            exit: self.exit.as_ref(),
            processes: self.usage.processes,
            terminal_gone: self.terminal.deleted,
            stopped: self.usage.leader_stopped,
            since: Since { text: ago(text.or(output)), input: ago(input), heartbeat: ago(heartbeat), work: ago(work) },
            idle: self.idle(now),
            spinning: ago(self.spinning_since.map(|at| text.or(output).map_or(at, |text| text.max(at)))),
            seen: heed(screen, file, ago([output, text, input, work].into_iter().flatten().max())),
            gate: self.screen.sight.look.gate.zip(ago(self.screen.sight.gate_since.max(input))),
            twins: &self.twins,
            project_finished: self.project_finished,
        };
        verdict::judge(&evidence, &self.standard.policy)
    }

    pub fn attention(&self, now: Duration) -> Attention {
        self.verdict(now).attention
    }

    /// How its conversation is taken up again.
    pub fn resume(&self) -> Option<String> {
        self.standard.profiles.by_name(&self.agent)?.resume.command(self.conversation())
    }

    /// One sentence of advice, where there is something to do.
    pub fn recommendation(&self, now: Duration) -> Option<String> {
        let verdict = self.verdict(now);
        if self.usage.leader_stopped && self.is_live() {
            return Some(format!(
                "{}: `fg` in its shell continues it, `beadle kill {}` closes it",
                verdict.reason,
                self.name()
            ));
        }
        verdict::advice(&verdict, self.name(), self.resume().as_deref())
    }

    /// What the verdict rests on.
    pub fn evidence(&self, now: Duration) -> Vec<types::Evidence> {
        let mut out = Vec::new();
        let mut add = |kind: &str, text: String, at: Option<Duration>| {
            out.push(types::Evidence { kind: kind.into(), text, at: at.map(clock::wall_at) });
        };
        let Moments { output, text, input, heartbeat, work, status } = self.moments;
        for (kind, at, what) in [
            ("text", text, "new text on its screen"),
            ("output", output, "output"),
            ("input", input, "input read from its terminal"),
            ("heartbeat", heartbeat, "heartbeat"),
            ("work", work, "the agent or a tool of it at work"),
        ] {
            if let Some(at) = at {
                add(kind, format!("{what} {} ago", short(now.saturating_sub(at))), Some(at));
            }
        }
        if let Some(idle) = self.idle(now) {
            add("idle", format!("no activity for {}", short(idle)), self.last_activity());
        }
        let sight = &self.screen.sight;
        if let (Some(attention), Some(rule)) = (sight.look.attention, &sight.look.because) {
            add("screen", format!("{attention}, by the rule {rule:?}"), sight.at);
        }
        if let Some((file, attention)) = self.status.as_ref().and_then(|s| Some((s, s.attention?))) {
            add("status", file.in_words(attention), status);
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
        let usage = &self.usage;
        let pane = self.pane().map(|p| format!("{} on {} (server {})", p.id, p.socket, p.server));
        let silent =
            (self.seen.origin == Origin::Tmux && pane.is_none()).then(|| "its tmux server does not answer".into());
        let deleted = self.terminal.deleted.then(|| {
            "gone: standard input, output and error are on a deleted terminal, and it has no other".to_string()
        });
        let told = [
            ("leader", Some(leader.to_string())),
            ("state", usage.leader_stopped.then(|| "stopped by a signal (T)".to_string())),
            ("cpu", usage.cpu_percent.map(|cpu| format!("{cpu} % of a core, the whole tree"))),
            ("io", usage.io_bytes_per_second.map(|n| format!("{n} bytes a second read and written, the whole tree"))),
            ("pane", pane.or(silent)),
            ("terminal", deleted),
            ("helpers", self.seen.helpers_in_words()),
            (
                "twin",
                (!self.twins.is_empty()).then(|| format!("its conversation is open in {} too", self.twins.join(", "))),
            ),
        ];
        told.into_iter().filter_map(|(kind, text)| Some((kind, text?))).collect()
    }
}

/// Nobody was there to learn it.
fn unknown_exit() -> Exit {
    Exit { code: None, signal: None, at: clock::wall(), by: ExitBy::Unknown, reason: "beadle did not start it".into() }
}
