//! `stats`: figures over what is remembered.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::args::{Globals, Stats};
use super::exit::{DONE, Ended};
use super::{connect, daemon, print};
use crate::api::memory::{self, Filter, Spread};
use crate::model::text::printable;

pub async fn run(globals: &Globals, args: &Stats) -> Ended {
    let filter = Filter { since: args.since.clone(), until: args.until.clone(), ..Filter::default() };
    let stats = connect::client(globals).await?.stats(&filter).await?;
    if args.json {
        print::json(&stats)?;
    } else {
        print::raw(&text(&stats))?;
    }
    Ok(DONE)
}

fn text(stats: &memory::Stats) -> String {
    let mut rows = vec![
        ("Active".to_string(), stats.active.to_string()),
        ("Created".into(), stats.created.to_string()),
        ("Ended".into(), counted(&stats.ended)),
        ("Lived".into(), spread(stats.session_seconds, print::duration)),
        ("Closes".into(), counted(&stats.kills)),
        ("Closes took".into(), spread(stats.kill_seconds, |s| format!("{s:.2}s"))),
    ];
    for (name, of) in &stats.counters {
        rows.push((capitalised(name), counted(of)));
    }
    rows.push(("Memory".into(), daemon::memory(&stats.memory)));
    let mut out = String::new();
    for (label, value) in rows {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{label:<12}{value}");
    }
    out
}

/// `7 (policy 3, user 4)`.
fn counted(counts: &BTreeMap<String, u64>) -> String {
    let total: u64 = counts.values().sum();
    let each: Vec<String> = counts.iter().map(|(word, n)| format!("{} {n}", printable(word))).collect();
    if each.is_empty() { "0".into() } else { format!("{total} ({})", each.join(", ")) }
}

fn spread(spread: Option<Spread>, text: impl Fn(f64) -> String) -> String {
    print::or_unknown(spread, |s| format!("median {}, at most {}", text(s.median), text(s.longest)))
}

fn capitalised(word: &str) -> String {
    let word = printable(word);
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_say_of_what_they_are_made() {
        let counts = |pairs: &[(&str, u64)]| pairs.iter().map(|(word, n)| ((*word).to_string(), *n)).collect();
        let stats = memory::Stats {
            active: 2,
            created: 9,
            ended: counts(&[("policy", 3), ("user", 4)]),
            kill_seconds: Some(Spread { median: 0.031, longest: 5.2 }),
            counters: [("runs".to_string(), counts(&[("cleanup", 5)]))].into(),
            ..memory::Stats::default()
        };
        let expected = "\
Active      2
Created     9
Ended       7 (policy 3, user 4)
Lived       –
Closes      0
Closes took median 0.03s, at most 5.20s
Runs        5 (cleanup 5)
Memory      0B
";
        assert_eq!(text(&stats), expected);
    }
}
