//! Whether an agent is at work, from what its processes use.
//!
//! Use is added up over a window, so that the answer does not depend on how often anybody measures. What lies below a
//! floor is noise: an agent that only wakes up is idle. Helpers (MCP servers, language servers) are not shown here at all.

use std::time::Duration;

/// What some processes used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    pub cpu: Duration,
    /// Time in which it could have run, had it not been for others. Known of an agent only.
    pub queued: Duration,
    /// Read and written; of an agent without what it wrote to its terminal, which its screen judges.
    pub bytes: u64,
}

/// Below this nobody is at work.
struct Floor {
    cpu_percent: u32,
    /// The kernel tells processor time in ticks of 10 ms: in a short window one of them is chance.
    least_cpu: Duration,
    bytes_per_second: u64,
    least_bytes: u64,
}

/// An agent turning a spinner ten times a second in node costs 2 to 6 % of a core. Answers that stream in move 5 KiB a
/// second or more, a connection kept alive a few bytes.
const AGENT: Floor =
    Floor { cpu_percent: 10, least_cpu: Duration::from_millis(20), bytes_per_second: 2 << 10, least_bytes: 4 << 10 };

/// An install that waits for the network still unpacks now and then: 1 % of a core, all tools together. A development
/// server that waits for changes is well below; a sleep is nothing.
const TOOLS: Floor =
    Floor { cpu_percent: 1, least_cpu: Duration::from_millis(10), bytes_per_second: 1 << 10, least_bytes: 1 << 10 };

/// From here on a core is busy, and not only used. On a machine with too much to do that includes the time it stood in
/// line for one, of who got some of it at all.
const SPINNING_PERCENT: u32 = 90;

impl Used {
    #[must_use]
    fn and(self, more: Self) -> Self {
        Self {
            cpu: self.cpu + more.cpu,
            queued: self.queued + more.queued,
            bytes: self.bytes.saturating_add(more.bytes),
        }
    }

    fn spins(self, span: Duration) -> bool {
        self.cpu + self.queued >= span * SPINNING_PERCENT / 100 && self.cpu >= span * AGENT.cpu_percent / 100
    }
}

impl Floor {
    fn is_reached(&self, used: Used, span: Duration) -> bool {
        let cpu = (span * self.cpu_percent / 100).max(self.least_cpu);
        let bytes = u64::try_from(u128::from(self.bytes_per_second) * span.as_millis() / 1000).unwrap_or(u64::MAX);
        used.cpu >= cpu || used.bytes >= bytes.max(self.least_bytes)
    }
}

/// What a measurement adds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Found {
    /// The agent, or its tools.
    pub at_work: bool,
    /// From when the agent has kept a core busy in every window.
    pub spinning_since: Option<Duration>,
}

/// The use of one session, window after window.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    began: Duration,
    agent: Used,
    tools: Used,
    spinning_since: Option<Duration>,
}

impl Effort {
    pub fn new(now: Duration) -> Self {
        Self { began: now, agent: Used::default(), tools: Used::default(), spinning_since: None }
    }

    /// Adds what was used since the last time, with windows of this length.
    pub fn add(&mut self, agent: Used, tools: Used, now: Duration, window: Duration) -> Found {
        self.agent = self.agent.and(agent);
        self.tools = self.tools.and(tools);
        let span = now.saturating_sub(self.began);
        // A window nobody closed in time is as long as it was.
        let at_work = AGENT.is_reached(self.agent, span.max(window)) || TOOLS.is_reached(self.tools, span.max(window));
        if span >= window {
            // A time in which nobody measured proves nothing.
            let since = if span <= 2 * window { self.spinning_since.unwrap_or(self.began) } else { now };
            *self = Self { spinning_since: self.agent.spins(span).then_some(since), ..Self::new(now) };
        }
        Found { at_work, spinning_since: self.spinning_since }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(10);

    fn used(cpu_millis: u64, bytes: u64) -> Used {
        Used { cpu: Duration::from_millis(cpu_millis), bytes, ..Used::default() }
    }

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// What one window shows, measured every so many seconds.
    fn shows(agent: Used, tools: Used, every: u64) -> bool {
        let mut effort = Effort::new(s(100));
        let part = |u: Used| Used { cpu: u.cpu / u32::try_from(10 / every).unwrap(), bytes: u.bytes * every / 10, ..u };
        (1..=10 / every).any(|n| effort.add(part(agent), part(tools), s(100 + n * every), WINDOW).at_work)
    }

    #[test]
    fn what_is_noise_and_what_is_work_however_often_it_is_measured() {
        let none = Used::default();
        for every in [1, 2, 5, 10] {
            for (agent, tools, at_work, what) in [
                (none, none, false, "nothing"),
                (used(600, 0), none, false, "a spinner in node"),
                (used(50, 800), none, false, "a connection kept alive"),
                (used(1000, 0), none, true, "an agent that thinks by itself"),
                (used(300, 60_000), none, true, "an answer that streams in"),
                (none, used(0, 0), false, "a tool that sleeps"),
                (none, used(50, 2_000), false, "a server that waits for changes"),
                (none, used(120, 0), true, "an install that unpacks now and then"),
                (none, used(0, 20_000), true, "an install that downloads"),
            ] {
                assert_eq!(shows(agent, tools, every), at_work, "{what}, measured every {every} s");
            }
        }
    }

    #[test]
    fn one_tick_in_a_short_window_is_chance() {
        let window = Duration::from_millis(50);
        let mut effort = Effort::new(s(1));
        assert!(!effort.add(used(10, 0), Used::default(), s(1) + window, window).at_work);
        assert!(effort.add(used(20, 0), Used::default(), s(1) + 2 * window, window).at_work);
    }

    #[test]
    fn spinning_is_told_from_its_beginning_and_ends_with_one_calm_window() {
        let mut effort = Effort::new(s(100));
        let busy = |effort: &mut Effort, now, millis| {
            effort.add(used(millis, 0), Used::default(), s(now), WINDOW).spinning_since
        };
        assert_eq!(busy(&mut effort, 105, 5000), None, "the window is not over");
        assert_eq!(busy(&mut effort, 110, 4900), Some(s(100)));
        assert_eq!(busy(&mut effort, 120, 9500), Some(s(100)));
        assert_eq!(busy(&mut effort, 125, 1000), Some(s(100)));
        assert_eq!(busy(&mut effort, 130, 1000), None);
        assert_eq!(busy(&mut effort, 140, 9900), Some(s(130)));
        assert_eq!(busy(&mut effort, 400, 259_000), Some(s(400)), "nobody measured: it begins again");
    }

    #[test]
    fn on_a_busy_machine_standing_in_line_is_spinning_and_oversleeping_is_not() {
        for (cpu, queued, spins) in [(2500, 7000, true), (500, 9000, false), (2500, 5000, false), (9500, 0, true)] {
            let agent = Used { queued: Duration::from_millis(queued), ..used(cpu, 0) };
            let found = Effort::new(s(100)).add(agent, Used::default(), s(110), WINDOW);
            assert_eq!(found.spinning_since.is_some(), spins, "{cpu} and {queued} ms");
        }
    }

    #[test]
    fn what_was_used_while_nobody_measured_is_spread_over_that_time() {
        let mut effort = Effort::new(s(100));
        assert!(!effort.add(used(2000, 5000), used(300, 3000), s(1000), WINDOW).at_work);
    }
}
