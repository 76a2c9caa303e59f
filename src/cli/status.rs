//! `status`: one short segment for a status line. Quick, silent where there is nothing to say, and never the start of a
//! daemon.

use std::time::Duration;

use serde::Serialize;

use super::args::{Globals, Status, StatusFormat};
use super::exit::{DONE, Ended};
use super::{connect, print};
use crate::api::types::Table;
use crate::model::session::{Attention, Health, State};
use crate::model::text::printable_within;

/// How long a daemon of this machine may take; a status line is drawn often.
const PATIENCE: Duration = Duration::from_secs(1);
/// The same for one elsewhere.
const PATIENCE_FAR: Duration = Duration::from_secs(8);
/// Columns of a name.
const NAME: usize = 20;

/// Who needs somebody. Each session is counted once, for the worst that is true of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
struct Counts {
    healthy: usize,
    waiting: usize,
    stuck: usize,
    orphaned: usize,
    /// Processes that agents left behind when they ended, and those the last look for strays found and left.
    strays: u64,
    /// The session meant, where only one needs somebody.
    name: Option<String>,
}

/// `--format json`. Numbers are there when a daemon told them.
#[derive(Serialize)]
struct Told {
    /// `null`: one runs and does not answer.
    running: Option<bool>,
    #[serde(flatten)]
    counts: Option<Counts>,
}

pub async fn run(globals: &Globals, args: &Status) -> Ended {
    let patience = if connect::is_elsewhere(globals)? { PATIENCE_FAR } else { PATIENCE };
    let asked = tokio::time::timeout(patience, asked(globals)).await;
    let told = match asked {
        Ok(Ok(None)) => Told { running: Some(false), counts: None },
        Ok(Ok(Some(table))) => Told { running: Some(true), counts: Some(counted(&table)) },
        Ok(Err(_)) | Err(_) => Told { running: None, counts: None },
    };
    match args.format {
        StatusFormat::Json => print::json_line(&told)?,
        StatusFormat::Plain => print::line(&segment(&told, false, false))?,
        StatusFormat::Tmux => print::line(&segment(&told, true, is_coloured()))?,
    }
    Ok(DONE)
}

async fn asked(globals: &Globals) -> Result<Option<Table>, super::exit::Failure> {
    let Some(client) = connect::running(globals).await? else { return Ok(None) };
    Ok(Some(client.sessions(false, false).await?))
}

/// tmux is what shows the colours; standard output is a pipe to it.
fn is_coloured() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

fn counted(table: &Table) -> Counts {
    let mut counts = Counts { strays: table.strays, ..Counts::default() };
    let mut names = Vec::new();
    for s in table.sessions.iter().filter(|s| s.state != State::Ended) {
        let count = match (s.health, s.attention) {
            (Health::Orphaned, _) => &mut counts.orphaned,
            (Health::Stuck, _) => &mut counts.stuck,
            (Health::Healthy, Attention::Waiting) => &mut counts.waiting,
            (Health::Healthy, _) => {
                counts.healthy += 1;
                continue;
            }
        };
        *count += 1;
        names.push(&s.name);
        if s.state == State::Lingering {
            counts.strays += u64::from(s.processes.unwrap_or(0));
        }
    }
    if let [name] = names[..] {
        counts.name = Some(name.clone());
    }
    counts
}

/// Nothing at all where nobody runs.
fn segment(told: &Told, is_tmux: bool, coloured: bool) -> String {
    let Some(counts) = &told.counts else {
        return if told.running.is_none() { "beadle ?".into() } else { String::new() };
    };
    let strays = if counts.strays == 0 { String::new() } else { format!(" +{}", counts.strays) };
    let name = counts.name.as_ref().map(|name| shown(name, is_tmux)).unwrap_or_default();
    let parts = [
        (counts.waiting, "◇", "waiting", "yellow", ""),
        (counts.stuck, "◐", "stuck", "magenta", ""),
        (counts.orphaned, "✖", "orphaned", "red", strays.as_str()),
        (counts.healthy, "●", "healthy", "green", ""),
    ];
    let part = |(count, sign, word, colour, more): (usize, &str, &str, &str, &str)| {
        // Whoever is well has no name here.
        let name = if word == "healthy" { "" } else { &name };
        let text = if is_tmux { format!("{sign}{count}{more}{name}") } else { format!("{count} {word}{more}{name}") };
        if coloured { format!("#[fg={colour}]{text}#[default]") } else { text }
    };
    let mut told: Vec<String> = parts.into_iter().filter(|(count, ..)| *count > 0).map(part).collect();
    if counts.orphaned == 0 && counts.strays > 0 {
        // There is no session they could stand behind.
        let text = if is_tmux { format!("+{}", counts.strays) } else { format!("+{} strays", counts.strays) };
        told.push(if coloured { format!("#[fg=red]{text}#[default]") } else { text });
    }
    told.join(if is_tmux { " " } else { " · " })
}

/// A name is untrusted: to tmux `#` begins a format.
fn shown(name: &str, is_tmux: bool) -> String {
    let name = printable_within(name, NAME);
    format!(" {}", if is_tmux { name.replace('#', "##") } else { name })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::types::Session;
    use crate::cli::sample;

    fn sessions() -> Vec<Session> {
        let mut all: Vec<Session> =
            ["well", "waits", "stuck", "left", "gone"].iter().map(|n| sample::session(n, n)).collect();
        all.iter_mut().for_each(|s| (s.health, s.attention) = (Health::Healthy, Attention::Working));
        all[1].attention = Attention::Waiting;
        all[2].health = Health::Stuck;
        (all[3].health, all[3].state, all[3].processes) = (Health::Orphaned, State::Lingering, Some(2));
        (all[4].health, all[4].state) = (Health::Orphaned, State::Ended);
        all
    }

    fn with_strays(sessions: &[Session], strays: u64, (is_tmux, coloured): (bool, bool)) -> String {
        let table = Table { generation: 1, sessions: sessions.to_vec(), latched: None, strays };
        segment(&Told { running: Some(true), counts: Some(counted(&table)) }, is_tmux, coloured)
    }

    fn said(sessions: &[Session], is_tmux: bool, coloured: bool) -> String {
        with_strays(sessions, 0, (is_tmux, coloured))
    }

    #[test]
    fn strays_of_no_session_are_counted_too() {
        assert_eq!(with_strays(&sessions(), 3, (true, false)), "◇1 ◐1 ✖1 +5 ●1");
        assert_eq!(with_strays(&sessions()[..1], 3, (false, false)), "1 healthy · +3 strays");
        assert_eq!(with_strays(&[], 1, (true, true)), "#[fg=red]+1#[default]");
    }

    #[test]
    fn each_is_counted_once_and_the_ended_not_at_all() {
        assert_eq!(said(&sessions(), false, false), "1 waiting · 1 stuck · 1 orphaned +2 · 1 healthy");
        assert_eq!(said(&sessions(), true, false), "◇1 ◐1 ✖1 +2 ●1");
        assert_eq!(said(&sessions()[..1], true, true), "#[fg=green]●1#[default]");
    }

    #[test]
    fn the_only_one_that_needs_somebody_is_named_and_its_name_steers_nothing() {
        let mut all = sessions();
        all.truncate(2);
        all[1].name = "#(rm -rf)#[fg=red]\x1b[2J".into();
        assert_eq!(said(&all, true, false), "◇1 ##(rm -rf)##[fg=red]·… ●1");
        assert_eq!(said(&all, false, false), "1 waiting #(rm -rf)#[fg=red]·… · 1 healthy");
        all[1].name = "x".repeat(10_000);
        assert!(said(&all, true, false).chars().count() < 40);
    }

    #[test]
    fn without_a_daemon_nothing_is_said_and_one_that_hangs_is_a_question() {
        let with = |running| segment(&Told { running, counts: None }, true, true);
        assert_eq!((with(Some(false)).as_str(), with(None).as_str()), ("", "beadle ?"));
        assert_eq!(said(&[], true, true), "");
    }
}
