//! What may be typed: one struct per verb. Says nothing about what the verbs do.

mod cleanup;
mod events;
mod far;
mod memory;
mod project;
mod sweep;

pub use cleanup::{Cleanup, CleanupVerb, KeepChild, Set as CleanupSet};
pub use events::Events;
pub use far::{DialStdio, Service, ServiceInstall, ServiceUninstall, ServiceVerb, Status, StatusFormat};
pub use memory::{Audit, Export, History, Remembered, Stats};
pub use project::{
    Add as ProjectAdd, List as ProjectList, Names as ProjectNames, One as ProjectOne, Project, ProjectVerb,
    Several as ProjectSeveral,
};
pub use sweep::Sweep;

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};

use crate::config::value::LONGEST;
use crate::model::session::{Health, Origin, Restart};

const EXAMPLES: &str = "\
Examples:
  beadle                              the interface
  beadle run --name docs -- claude    start an agent; it goes on when you leave
  beadle ls                           what runs, and how it is
  beadle attach docs                  its terminal; Ctrl-] brings you back
  beadle kill docs                    close it, and everything it ever started
  beadle close-all                    close every session

Exit status: 0 done, 1 failed, 2 wrong use, 3 no daemon, 4 no such session, 5 refused, 6 survivors.

A session is named by its id, the beginning of it, or its name; verbs that act take several, and globs.";

const RUN_EXAMPLES: &str = "\
Examples:
  beadle run -- claude
  beadle run --agent claude
  beadle run --name api --project shop --cwd ~/shop -- codex --full-auto
  beadle run --pipe --name nightly -- ./nightly.sh
  beadle run --timeout 30m --max-idle 10m -- goose
Everything after CMD belongs to the command.";

/// Keeps order among coding agents: starts them, watches them, takes them away with all they started.
#[derive(Debug, Parser)]
#[command(name = "beadle", version, after_help = EXAMPLES, disable_help_subcommand = true)]
pub struct Beadle {
    #[command(flatten)]
    pub globals: Globals,
    /// Run the supervisor inside the interface instead of a daemon.
    #[arg(long)]
    pub embedded: bool,
    /// Only look: the interface offers nothing that changes a session.
    #[arg(long)]
    pub readonly: bool,
    #[command(subcommand)]
    pub verb: Option<Verb>,
}

#[derive(Debug, Clone, Default, Args)]
pub struct Globals {
    #[arg(long, global = true, value_name = "URL", help_heading = "Everywhere", help = HOST)]
    pub host: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Start a command as a session; prints its id.
    Run(Run),
    /// List the sessions.
    Ls(Ls),
    /// One session: verdict, evidence, processes.
    Show(One),
    /// How all of them are, and what to do about it.
    Health(HealthArgs),
    /// Put a session's terminal on this one.
    Attach(Attach),
    /// A session's screen as it is now.
    Peek(Peek),
    /// What a session wrote, as text.
    Logs(Logs),
    /// Type into a session.
    Send(Send),
    /// Wait until sessions have ended.
    Wait(Wait),
    /// Close sessions, whole trees.
    Kill(Kill),
    /// Close every managed session, side by side.
    CloseAll(CloseAll),
    /// Find what dead agents left behind, and take it away.
    Sweep(Sweep),
    /// Let sessions start again after an emergency.
    Release(Plain),
    /// Stop the processes of sessions for a while.
    Pause(Several),
    /// Let paused sessions go on.
    Unpause(Several),
    /// Send a signal to the process groups of the agents.
    Signal(Signal),
    /// Exempt sessions from the cleaner.
    Pin(Several),
    /// Give them back to the cleaner.
    Unpin(Several),
    /// Closing by rule: how it is set, whom it will close.
    Cleanup(Cleanup),
    /// Exempt one process from the close of what agents leave behind.
    KeepChild(KeepChild),
    /// The queue: work that is started when its turn comes, and taken away when it is over.
    Project(Project),
    /// Start the same command again.
    Restart(Several),
    /// Go on with the conversation of an agent that has ended.
    Resume(Several),
    /// Give a session another name.
    Rename(Rename),
    /// Forget ended sessions, recordings too.
    Rm(Several),
    /// What sessions there were, and how they ended.
    History(History),
    /// Who closed what, why, and what became of it.
    Audit(Audit),
    /// What happens, as it happens.
    Events(Events),
    /// How many sessions, ends and closes.
    Stats(Stats),
    /// All that is kept of a session: recording, last screen, processes, report.
    Export(Export),
    /// Say "still working" for a session.
    Heartbeat(Heartbeat),
    /// The supervisor: in the foreground, or started, stopped, asked.
    Daemon(Daemon),
    /// The settings.
    Config(Config),
    /// What on this host will bite, and what to do about it.
    Doctor(Doctor),
    /// How all of them are, in one short line for a status line.
    Status(Status),
    /// Plays with agents that are scripts, in a beadle of their own; leaves nothing.
    Demo(Demo),
    /// Connect standard input and output with the daemon, for `--host ssh://…` on another machine.
    #[command(hide = true)]
    DialStdio(DialStdio),
    /// The daemon as a service of systemd: started with the login, alive after it.
    Service(Service),
    /// Completions for a shell.
    Completions(Completions),
    /// The manual page.
    Man(Man),
}

#[derive(Debug, Args)]
#[command(after_help = RUN_EXAMPLES)]
pub struct Run {
    /// Name of the session; made from the command if left out.
    #[arg(long, short)]
    pub name: Option<String>,
    /// Kind of agent, where the command does not tell; without a command, what to start.
    #[arg(long)]
    pub agent: Option<String>,
    /// Piece of work it belongs to.
    #[arg(long, short)]
    pub project: Option<String>,
    /// Directory to run in, instead of this one; with --host a path there, and its home if left out.
    #[arg(long, value_name = "DIR")]
    pub cwd: Option<PathBuf>,
    /// Size of its terminal while nobody is attached.
    #[arg(long, value_name = "COLSxROWS", value_parser = size)]
    pub size: Option<(u16, u16)>,
    /// Close it after this long, whatever it does (90s, 15m, 30m, 1h30m); without it there is no such end.
    #[arg(long, value_name = "DURATION", value_parser = limit)]
    pub timeout: Option<Duration>,
    #[arg(long, value_name = "DURATION", value_parser = limit, help = MAX_IDLE)]
    pub max_idle: Option<Duration>,
    /// When to start it again by itself: never, on-failure (after growing pauses; see [restart] in the settings).
    #[arg(long, default_value = "never", value_parser = words::<Restart>(&["never", "on-failure"]), hide_possible_values = true)]
    pub restart: Restart,
    /// Set a variable (K=V), or insist that one is set (K); the whole environment goes along anyway, but to another
    /// machine (--host) only what is named here.
    #[arg(long, value_name = "K=V|K")]
    pub env: Vec<String>,
    /// Pipes instead of a terminal.
    #[arg(long)]
    pub pipe: bool,
    /// Attach at once.
    #[arg(long, short, conflicts_with_all = ["pipe", "json"])]
    pub attach: bool,
    #[arg(long, help = JSON)]
    pub json: bool,
    /// The command and its arguments; may be left out where --agent says what to start.
    #[arg(trailing_var_arg = true, value_name = "CMD", required_unless_present = "agent")]
    pub command: Vec<String>,
}

const MAX_IDLE: &str = "Close it when idle for this long, instead of cleanup.max_idle; announced cleanup.notice before";
const HOST: &str = "Where the daemon is, if not here: ssh://user@server, http://server:7717 (with BEADLE_TOKEN), unix:///path/to/beadle.sock [env: BEADLE_HOST]";
const ID: &str = "Its id, the beginning of it, or its name";
const IDS: &str = "Ids, the beginnings of them, names, or globs";
const JSON: &str = "Print JSON";

#[derive(Debug, Args)]
#[command(
    after_help = "Minutes pass as seconds. Everything lives in a directory below TMPDIR, and goes when you leave."
)]
pub struct Demo {
    /// Takes away the directory of a demo that has ended.
    #[arg(long, hide = true, value_name = "DIR")]
    pub mind: Option<PathBuf>,
    /// Run this in the demo, in place of the interface.
    #[arg(trailing_var_arg = true, value_name = "CMD")]
    pub command: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Ls {
    /// With the ended ones.
    #[arg(long, short)]
    pub all: bool,
    /// Only of this health: healthy, stuck, orphaned.
    #[arg(long, value_parser = words::<Health>(&["healthy", "stuck", "orphaned"]), hide_possible_values = true)]
    pub health: Option<Health>,
    /// Only of this project.
    #[arg(long, short)]
    pub project: Option<String>,
    /// Only this kind of agent.
    #[arg(long)]
    pub agent: Option<String>,
    /// Only of this origin: managed, tmux, found.
    #[arg(long, value_parser = words::<Origin>(&["managed", "tmux", "found"]), hide_possible_values = true)]
    pub origin: Option<Origin>,
    /// With plain shells in tmux panes.
    #[arg(long)]
    pub shells: bool,
    #[arg(long, help = JSON)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct One {
    #[arg(help = ID)]
    pub id: String,
    #[arg(long, help = JSON)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct HealthArgs {
    /// Exit 1 unless all are healthy.
    #[arg(long)]
    pub check: bool,
    #[arg(long, help = JSON)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Ctrl-] detaches; twice, and the agent gets one. Ctrl-\\ d detaches too.")]
pub struct Attach {
    #[arg(help = ID)]
    pub id: String,
    /// Look, and type nothing.
    #[arg(long, short)]
    pub read_only: bool,
}

#[derive(Debug, Args)]
pub struct Peek {
    #[arg(help = ID)]
    pub id: String,
    /// With its colours.
    #[arg(long)]
    pub ansi: bool,
    #[arg(long, help = JSON)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Logs {
    #[arg(help = ID)]
    pub id: String,
    /// Go on until the session ends.
    #[arg(long, short)]
    pub follow: bool,
    /// Print JSON, one object a line.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  beadle send docs 'run the tests' --enter\n  beadle send docs --key C-c")]
pub struct Send {
    #[arg(help = ID)]
    pub id: String,
    /// Typed as it is.
    #[arg(allow_hyphen_values = true, required_unless_present_any = ["key", "enter"])]
    pub text: Option<String>,
    /// Enter afterwards.
    #[arg(long, short)]
    pub enter: bool,
    /// One key instead, by its tmux name: C-c, Enter, Escape, Up.
    #[arg(long, short, conflicts_with = "text")]
    pub key: Option<String>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Exits with the status of the agent if there is one ID; 124 after the timeout, 125 on an error."
)]
pub struct Wait {
    #[arg(required = true, value_name = "ID", help = ID)]
    pub ids: Vec<String>,
    /// Wait no longer than this.
    #[arg(long, short, value_name = "DURATION", value_parser = duration)]
    pub timeout: Option<Duration>,
}

#[derive(Debug, Args)]
pub struct Kill {
    #[arg(required = true, value_name = "ID", help = IDS)]
    pub ids: Vec<String>,
    /// By force at once, without the grace.
    #[arg(long)]
    pub now: bool,
    /// Why, for the record.
    #[arg(long)]
    pub reason: Option<String>,
    /// Only say what would be closed.
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask about sessions beadle did not start.
    #[arg(long, short)]
    pub yes: bool,
    /// Close the tmux pane too.
    #[arg(long)]
    pub pane: bool,
    #[arg(long, help = JSON)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct CloseAll {
    /// Only those of this project.
    #[arg(long, short)]
    pub project: Option<String>,
    /// Why, for the record.
    #[arg(long)]
    pub reason: Option<String>,
    /// By force at once, without the grace.
    #[arg(long)]
    pub now: bool,
    #[arg(long, help = JSON)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Plain {
    #[arg(long, help = JSON)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Several {
    #[arg(required = true, value_name = "ID", help = IDS)]
    pub ids: Vec<String>,
    #[arg(long, help = JSON)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Signal {
    #[arg(required = true, num_args = 2.., value_names = ["ID", "SIGNAL"], help = "The sessions, and the signal last, such as INT")]
    pub words: Vec<String>,
    /// Do not ask about sessions beadle did not start.
    #[arg(long, short)]
    pub yes: bool,
    #[arg(long, help = JSON)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Rename {
    #[arg(help = ID)]
    pub id: String,
    /// What it is to be called.
    #[arg(required_unless_present = "project")]
    pub name: Option<String>,
    /// The piece of work a session beadle did not start belongs to; `''`: to none.
    #[arg(long, short)]
    pub project: Option<String>,
    #[arg(long, help = JSON)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Heartbeat {
    /// The caller's own session if left out.
    pub id: Option<String>,
    /// No beat: what the agent says it does, for hooks.
    #[arg(long, hide = true, value_name = "WORD")]
    pub says: Option<String>,
}

#[derive(Debug, Args)]
pub struct Daemon {
    /// Started by another verb: ends when there is nothing to do.
    #[arg(long, hide = true)]
    pub auto: bool,
    /// Descriptors of the lock and the listener, kept open by the daemon this one replaces.
    #[arg(long, hide = true, value_parser = two_numbers)]
    pub inherited: Option<(i32, i32)>,
    /// In the foreground: a daemon that runs already hands over, and its sessions go on.
    #[arg(long)]
    pub take_over: bool,
    #[command(subcommand)]
    pub verb: Option<DaemonVerb>,
}

fn two_numbers(text: &str) -> Result<(i32, i32), String> {
    let pair = text.split_once(',').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    pair.ok_or_else(|| "two numbers, like 3,4".into())
}

#[derive(Debug, Subcommand)]
pub enum DaemonVerb {
    /// Start it in the background, if none runs.
    Start,
    /// Close the sessions and end.
    Stop(DaemonStop),
    /// Start the program anew; the sessions stay.
    Restart,
    /// Whether it runs, and where; exit 3 if not.
    Status(DaemonStatus),
    /// What it noted.
    Logs(DaemonLogs),
}

#[derive(Debug, Args)]
pub struct DaemonStop {
    /// Leave the sessions running, to be found by the next daemon.
    #[arg(long)]
    pub keep: bool,
    /// Do not ask.
    #[arg(long, short)]
    pub yes: bool,
    #[arg(long, help = JSON)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct DaemonStatus {
    #[arg(long, help = JSON)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct DaemonLogs {
    /// Go on as it writes.
    #[arg(long, short)]
    pub follow: bool,
    /// How many lines from the end.
    #[arg(long, short = 'n', default_value_t = 100)]
    pub lines: usize,
}

#[derive(Debug, Args)]
pub struct Config {
    #[command(subcommand)]
    pub verb: Option<ConfigVerb>,
}

#[derive(Debug, Subcommand)]
pub enum ConfigVerb {
    /// Read the file and say what is wrong in it.
    Check,
    /// Every setting as it is in force for a daemon started here.
    Show(ConfigShow),
    /// Where the file is, or would be.
    Path,
    /// Have the daemon read it again.
    Reload,
}

#[derive(Debug, Default, Args)]
pub struct ConfigShow {
    #[arg(long, help = JSON)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Exits with 1 when something fails. No daemon is started.")]
pub struct Doctor {
    #[arg(long, global = true, help = JSON)]
    pub json: bool,
    #[command(subcommand)]
    pub verb: Option<DoctorVerb>,
}

#[derive(Debug, Subcommand)]
pub enum DoctorVerb {
    /// Which of your processes the profiles take for agents, for helpers, or for neither, and by which rule.
    Profiles,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  beadle completions bash > ~/.local/share/bash-completion/completions/beadle")]
pub struct Completions {
    /// Which one.
    pub shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub struct Man {
    /// The page of one verb.
    pub verb: Option<String>,
}

/// A parser for one of our own words that completions know.
fn words<T>(all: &'static [&'static str]) -> impl TypedValueParser<Value = T>
where
    T: std::str::FromStr<Err = String> + Clone + std::marker::Send + Sync + 'static,
{
    PossibleValuesParser::new(all).try_map(|word| word.parse::<T>())
}

/// `90s`, `15m`, `1h30m`, `200ms`.
fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|e| format!("{e}; write it like 90s, 15m, 1h30m or 200ms"))
}

/// A duration after which something is closed.
fn limit(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        none if none.is_zero() => Err("it must be more than 0: leave it out for no limit".into()),
        long if long > LONGEST => Err("it is at most ten years: leave it out for no limit".into()),
        limit => Ok(limit),
    }
}

/// `COLSxROWS`, from 1x1 to 1000x500.
fn size(text: &str) -> Result<(u16, u16), String> {
    let wrong = || "a terminal has 1x1 to 1000x500 columns and rows; write it like 120x40".to_string();
    let (cols, rows) = text.split_once(['x', 'X']).ok_or_else(wrong)?;
    match (cols.parse(), rows.parse()) {
        (Ok(cols @ 1..=1000), Ok(rows @ 1..=500)) => Ok((cols, rows)),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn run(line: &str) -> Run {
        match Beadle::try_parse_from(line.split(' ')).unwrap().verb {
            Some(Verb::Run(run)) => run,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_definition_is_consistent() {
        Beadle::command().debug_assert();
    }

    /// clap breaks what is too long for a line; what is broken already would be broken twice.
    #[test]
    fn no_paragraph_of_a_help_is_broken_by_hand() {
        fn look(command: &clap::Command) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let lines: Vec<&str> = help.lines().collect();
            for pair in lines.windows(2) {
                let is_broken = pair[0].len() > 80 && pair[1].starts_with(|c: char| !c.is_whitespace());
                assert!(!is_broken, "{}: {pair:?}", command.get_name());
            }
            command.get_subcommands().for_each(look);
        }
        look(&Beadle::command());
    }

    #[test]
    fn what_follows_the_command_belongs_to_it() {
        assert_eq!(
            run("beadle run --name x claude --name y -p z --help -- q").command.join(" "),
            "claude --name y -p z --help -- q"
        );
        assert_eq!(run("beadle run -- claude --json").command.join(" "), "claude --json");
        assert!(Beadle::try_parse_from(["beadle", "run", "--nam", "x", "claude"]).is_err());
        assert_eq!(run("beadle run --agent mine").command, [""; 0]);
    }

    #[test]
    fn text_to_send_may_begin_with_a_dash_and_flags_are_still_flags() {
        let send =
            |args: &[&str]| match Beadle::try_parse_from(["beadle", "send", "a"].iter().chain(args)).unwrap().verb {
                Some(Verb::Send(send)) => (send.text, send.enter, send.key),
                other => panic!("{other:?}"),
            };
        assert_eq!(send(&["-x", "--enter"]), (Some("-x".into()), true, None));
        assert_eq!(send(&["--enter"]), (None, true, None));
        assert_eq!(send(&["--key", "C-c"]), (None, false, Some("C-c".into())));
    }

    #[test]
    fn sizes_and_durations_are_checked() {
        assert_eq!(size("120x40"), Ok((120, 40)));
        assert_eq!(size("1000x500"), Ok((1000, 500)));
        for bad in ["0x0", "0x10", "1001x10", "10x501", "80", "x", "-1x5", "80x24x2", "99999999x1"] {
            assert!(size(bad).is_err(), "{bad}");
        }
        assert_eq!(duration("1h30m"), Ok(Duration::from_mins(90)));
        assert_eq!(duration("200ms"), Ok(Duration::from_millis(200)));
        assert_eq!(limit("1s"), Ok(Duration::from_secs(1)));
        assert!(limit("0s").is_err() && limit("11y").is_err() && limit("x").is_err());
        assert!(duration("5").is_err() && duration("-1s").is_err());
    }
}
