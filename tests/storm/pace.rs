//! From the cause of an end to the first act of the next project, for each source of an end. Printed; asserted is only that
//! it comes.

use std::path::Path;
use std::time::{Duration, SystemTime};

use rusqlite::Connection;

use super::ask::ask;
use super::support::{Arena, until_some};
use super::{end_of_time, figures, runs};

/// What ends the first of two projects.
#[derive(Debug, Clone, Copy)]
enum Source {
    Exit,
    Failure,
    Cli,
    Api,
    Sql,
    Timeout,
    Limit,
}

const SOURCES: [Source; 7] =
    [Source::Exit, Source::Failure, Source::Cli, Source::Api, Source::Sql, Source::Timeout, Source::Limit];

/// Of the attempt, and of the silence that is too long.
const LIMIT: Duration = Duration::from_secs(1);

impl Source {
    fn settings(self) -> &'static str {
        match self {
            Self::Limit => {
                "[stop]\ngrace = \"300ms\"\n[cleanup]\nmax_idle = \"1s\"\ninterval = \"100ms\"\nnotice = \"0s\"\nquiet_start = \"0s\"\n"
            }
            Self::Exit | Self::Failure | Self::Cli | Self::Api | Self::Sql | Self::Timeout => {
                "[stop]\ngrace = \"300ms\"\n"
            }
        }
    }

    /// The moment of the cause.
    fn act(self, arena: &Arena) -> SystemTime {
        let now = SystemTime::now();
        match self {
            Self::Exit => std::fs::write(arena.path("work/pipe"), "0\n").unwrap(),
            Self::Failure => std::fs::write(arena.path("work/pipe"), "3\n").unwrap(),
            Self::Cli => drop(arena.run(&["project", "complete", "one"]).ok()),
            Self::Api => assert_eq!(ask(&arena.socket(), "POST", "/api/projects/one/complete", "").status, 200),
            Self::Sql => {
                let database = Connection::open(arena.state().join("beadle.db")).unwrap();
                database.busy_timeout(Duration::from_secs(10)).unwrap();
                database.execute("UPDATE projects SET status = 'completed' WHERE name = 'one'", []).unwrap();
            }
            // They are counted from a moment before this; what is printed is a little too much.
            Self::Timeout | Self::Limit => return written(&arena.path("work/up")).unwrap() + LIMIT,
        }
        now
    }
}

fn written(path: &Path) -> Option<SystemTime> {
    let metadata = std::fs::metadata(path).ok().filter(|m| m.len() > 0)?;
    metadata.modified().ok()
}

/// Seconds from the cause to the first act of the next.
fn once(source: Source) -> f64 {
    let arena = Arena::with(source.settings());
    let work = "setsid sleep 600 & mkfifo pipe; echo up >up; read code <pipe; exit $code";
    let mut one = vec!["project", "add", "one"];
    one.extend(matches!(source, Source::Timeout).then_some(["--timeout", "1s"]).into_iter().flatten());
    one.extend(["--", "sh", "-c", work]);
    arena.run(&one).ok();
    arena.run(&["project", "add", "two", "--", "sh", "-c", "echo up >two; exec sleep 600"]).ok();
    until_some("the first works", || written(&arena.path("work/up")));
    let cause = source.act(&arena);
    let next = until_some("the next works", || written(&arena.path("work/two")));
    // Both clocks are those of the file system, which may lag behind by a tick.
    next.duration_since(cause).unwrap_or_default().as_secs_f64()
}

fn pace(rounds: u64) {
    let end = end_of_time();
    println!("from the cause of an end to the first act of the next project");
    for source in SOURCES {
        let times: Vec<f64> =
            (0..rounds).take_while(|_| std::time::Instant::now() < end).map(|_| once(source)).collect();
        let (median, most) = figures(&times);
        println!("{:<8} {} times: median {median:.3} s, at most {most:.3} s", format!("{source:?}"), times.len());
    }
}

#[test]
#[ignore = "the long form: each source 20 times"]
fn pace_of_every_end() {
    pace(runs(20));
}

#[test]
fn pace_in_short() {
    pace(1);
}
