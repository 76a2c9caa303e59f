//! Places where a test has this process die or wait: before and after everything that is written down or done for good.
//!
//! Only in builds with `debug_assertions`; anywhere else [`here`] is nothing at all. What happens where is said by
//! `BEADLE_FAILPOINTS`, which keepers inherit from their daemon:
//!
//! ```text
//!   keeper.identity.before=kill;daemon.signal.after=3*off->pause:50;hits=/tmp/x
//!   kill       SIGKILL to itself            N*off->…   not the first N times
//!   pause:MS   waits                        hits=FILE  the name of each point that acts is appended
//!   wait:FILE  until that file is there     panic      as a mistake in the program would
//!   patience=MS  nobody is waited for any longer, where that is said to be [`shortened`]
//! ```

#[cfg(debug_assertions)]
pub use armed::{POINTS, hand_down, here, shortened};
#[cfg(not(debug_assertions))]
pub use unarmed::{hand_down, here, shortened};

/// In the interface; all others are of daemon and keeper, where a death must lose nothing.
pub const DRAWN: &str = "interface.drawn";

#[cfg(not(debug_assertions))]
mod unarmed {
    #[inline]
    pub const fn here(_: &str) {}

    #[inline]
    pub const fn hand_down(_: &mut std::process::Command) {}

    #[inline]
    pub const fn shortened(patience: std::time::Duration) -> std::time::Duration {
        patience
    }
}

#[cfg(debug_assertions)]
mod armed {
    use std::collections::HashMap;
    use std::io::Write;
    use std::path::PathBuf;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    const VARIABLE: &str = "BEADLE_FAILPOINTS";

    /// Every point there is.
    pub const POINTS: &[&str] = &[
        "keeper.identity.before",
        "keeper.identity.after",
        "keeper.release.before",
        "keeper.release.after",
        "keeper.exit.before",
        "keeper.exit.after",
        "daemon.instance.before",
        "daemon.instance.after",
        "daemon.address.before",
        "daemon.address.after",
        "daemon.adoption.before",
        "daemon.adoption.after",
        "daemon.directory.before",
        "daemon.directory.after",
        "daemon.keeper.before",
        "daemon.keeper.after",
        "daemon.started.before",
        "daemon.started.after",
        "daemon.entered.after",
        "daemon.meta.before",
        "daemon.meta.after",
        "daemon.announce.before",
        "daemon.announce.after",
        "daemon.pin.before",
        "daemon.signal.before",
        "daemon.signal.after",
        "daemon.members.before",
        "daemon.members.after",
        "daemon.exit.before",
        "daemon.exit.after",
        "daemon.memory.before",
        "daemon.memory.after",
        "daemon.claim.before",
        "daemon.claim.after",
        "daemon.finished.before",
        "daemon.finished.after",
        "daemon.settled.before",
        "daemon.settled.after",
        "daemon.search.before",
        "daemon.searched.before",
        "daemon.searched.after",
        "daemon.ended.before",
        "daemon.reported.before",
        "daemon.reported.after",
        "daemon.forget.before",
        "daemon.forget.after",
        "daemon.again.before",
        "daemon.again.after",
    ];

    #[derive(Debug, Clone, PartialEq, Eq)]
    enum Action {
        Kill,
        Pause(Duration),
        Wait(PathBuf),
        Panic,
    }

    #[derive(Debug)]
    struct Armed {
        /// Times it is still let through.
        off: AtomicU32,
        action: Action,
    }

    #[derive(Debug, Default)]
    struct Plan {
        by_name: HashMap<String, Armed>,
        hits: Option<PathBuf>,
        patience: Option<Duration>,
    }

    impl Plan {
        /// What cannot be understood is left out: the test that asked for it sees that nothing was hit.
        fn parse(text: &str) -> Self {
            let mut plan = Self::default();
            for (name, value) in text.split(';').filter_map(|part| part.trim().split_once('=')) {
                if name == "hits" {
                    plan.hits = Some(value.into());
                } else if name == "patience" {
                    plan.patience = value.parse().ok().map(Duration::from_millis);
                } else if let Some(armed) = armed(value) {
                    plan.by_name.insert(name.into(), armed);
                }
            }
            plan
        }

        /// What is to happen now at this point.
        fn due(&self, name: &str) -> Option<Action> {
            let armed = self.by_name.get(name)?;
            let passed = armed.off.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
            passed.is_err().then(|| armed.action.clone())
        }
    }

    fn armed(value: &str) -> Option<Armed> {
        let (off, action) = value.split_once("*off->").map_or((Some(0), value), |(n, rest)| (n.parse().ok(), rest));
        let action = match action.split_once(':') {
            None if action == "kill" => Action::Kill,
            None if action == "panic" => Action::Panic,
            Some(("pause", millis)) => Action::Pause(Duration::from_millis(millis.parse().ok()?)),
            Some(("wait", file)) => Action::Wait(file.into()),
            _ => return None,
        };
        Some(Armed { off: AtomicU32::new(off?), action })
    }

    fn plan() -> &'static Plan {
        static PLAN: OnceLock<Plan> = OnceLock::new();
        PLAN.get_or_init(|| Plan::parse(&std::env::var(VARIABLE).unwrap_or_default()))
    }

    /// The process is at this point.
    pub fn here(name: &'static str) {
        debug_assert!(POINTS.contains(&name) || name == super::DRAWN, "{name}");
        let Some(action) = plan().due(name) else { return };
        if let Some(hits) = &plan().hits {
            let file = std::fs::OpenOptions::new().append(true).create(true).open(hits);
            // A test that cannot read of the hit says so itself.
            let _ = file.and_then(|mut file| writeln!(file, "{name}"));
        }
        match action {
            Action::Pause(time) => std::thread::sleep(time),
            Action::Wait(file) => {
                while !file.exists() {
                    std::thread::sleep(Duration::from_millis(2));
                }
            }
            Action::Panic => panic(),
            Action::Kill => {
                // To oneself it cannot fail.
                let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
                std::thread::sleep(Duration::from_secs(10));
            }
        }
    }

    /// How long somebody is waited for: less where a test says so.
    pub fn shortened(patience: Duration) -> Duration {
        plan().patience.map_or(patience, |shorter| shorter.min(patience))
    }

    #[expect(clippy::panic, reason = "a test asked for it")]
    fn panic() {
        std::panic::panic_any("a test asked for it");
    }

    /// A keeper has an empty environment but for this.
    pub fn hand_down(command: &mut std::process::Command) {
        if let Some(value) = std::env::var_os(VARIABLE) {
            command.env(VARIABLE, value);
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_point_acts_after_the_times_it_is_let_through() {
            let plan = Plan::parse("a=kill; b=2*off->pause:7;hits=/x;c=explode;d;e=x*off->kill;f=wait:/go");
            assert_eq!((plan.due("a"), plan.due("c"), plan.due("d")), (Some(Action::Kill), None, None));
            assert_eq!((plan.due("b"), plan.due("b")), (None, None));
            assert_eq!(plan.due("b"), Some(Action::Pause(Duration::from_millis(7))));
            assert_eq!(plan.due("f"), Some(Action::Wait("/go".into())));
            assert_eq!((plan.due("e"), plan.hits.as_deref()), (None, Some(std::path::Path::new("/x"))));
        }
    }
}
