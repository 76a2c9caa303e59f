//! The config from outside: every message names its place and what to write instead, the layers win in
//! order, what is shown reads back the same, and the example tells the truth.

// Test code: what fails here should fail loudly, in helpers too.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::time::Duration;

use beadle::config::paths::Paths;
use beadle::config::{self, Config, ConfigError, OnShutdown};
use beadle::model::profile::{Profile, Region};
use beadle::model::session::{Attention, Origin};
use beadle::model::stop::Signal;
use proptest::prelude::*;

const EXAMPLE: &str = include_str!("../config.example.toml");

fn env(vars: &[(&str, &str)]) -> Vec<(String, String)> {
    vars.iter().map(|(name, value)| ((*name).to_string(), (*value).to_string())).collect()
}

fn parsed(text: &str) -> Config {
    config::parse(text, &[]).unwrap()
}

fn complaint(text: &str) -> String {
    config::parse(text, &[]).unwrap_err().to_string()
}

fn env_complaint(vars: &[(&str, &str)]) -> String {
    config::parse("", &env(vars)).unwrap_err().to_string()
}

fn says(text: &str, expected: &[&str]) {
    let complaint = complaint(text);
    assert_eq!(complaint.lines().count(), 1, "one fault, one line: {text:?}\n{complaint}");
    for part in expected {
        assert!(complaint.contains(part), "{text:?}\nsays   {complaint}\nnot    {part}");
    }
}

#[test]
fn nothing_written_is_every_default() {
    assert_eq!(parsed(""), Config::default());
    assert_eq!(parsed("# only a comment\n[cleanup]\n"), Config::default());
    assert_eq!(parsed("\u{feff}[cleanup]\r\n"), Config::default(), "as some editors save it");
    let c = Config::default();
    assert_eq!(c.cleanup.max_idle, Duration::from_hours(1));
    assert_eq!(c.cleanup.reach, [Origin::Managed]);
    assert_eq!((c.record.per_session, c.record.total), (8 << 20, 1 << 30));
    assert_eq!(c.attach.detach_key.byte(), 0x1d);
    assert_eq!(c.sweep.fence, None);
}

#[test]
fn a_name_nobody_knows_is_answered_with_the_nearest() {
    says(
        "[cleanup]\nenabled = true\nmax_idel = \"1m\"\n",
        &["line 3, column 1:", "`max_idel`", "did you mean `max_idle`?"],
    );
    says("[cleanup]\n  max-idle = \"1m\"", &["line 2, column 3:", "did you mean `max_idle`?"]);
    says("\n[cleanpu]\n", &["line 2, column 2:", "[cleanpu]", "did you mean `cleanup`?"]);
    says("[agnet]\nname = \"x\"", &["line 1,", "did you mean `agent`?"]);
    says("[sys]\ncolour = 1", &["unknown key `colour` in [sys]: it has cgroup, scope"]);
    says("[colours]", &["unknown section [colours]: there are [health], [cleanup]"]);
    says("max_idle = \"1m\"", &["line 1, column 1:", "`max_idle`", "belongs below `[cleanup]`"]);
    says("[health]\nmax_idle = \"1m\"", &["line 2,", "belongs below `[cleanup]`"]);
    says("cleanup = 5", &["line 1,", "write `[cleanup]`"]);
    says("[[cleanup]]\nenabled = true", &["write `[cleanup]`"]);
    says("cleanup.max_idel = \"1m\"", &["did you mean `max_idle`?"]);
}

#[test]
fn a_value_of_the_wrong_kind_says_what_to_write() {
    for (text, expected) in [
        (
            "[cleanup]\ninterval = \"soon\"",
            ["line 2, column 12:", "cleanup.interval: \"soon\" is not a duration", "\"15m\""],
        ),
        ("[cleanup]\nenabled = \"yes\"", ["line 2, column 11:", "true or false, not \"yes\"", "`enabled = true`"]),
        ("[stop]\ngrace = 5", ["line 2, column 9:", "stop.grace: 5 has no unit", "\"5s\" for seconds"]),
        ("[stop]\ngrace = \"5\"", ["line 2,", "5 has no unit", "\"5s\""]),
        ("[stop]\ngrace = -5", ["line 2,", "negative", "\"5m\""]),
        ("[stop]\ngrace = 1.5", ["line 2,", "in quotes", "not 1.5"]),
        ("[stop]\ngrace = [\"5s\"]", ["line 2,", "a duration in quotes", "not a list"]),
        ("[health]\nstuck_after = \"-5m\"", ["line 2,", "\"-5m\" is negative", "write \"5m\""]),
        ("[record]\nper_session = \"8MB\"", ["line 2,", "\"8MB\"", "write \"8MiB\""]),
        ("[record]\nkeep = \"2weeks\"", ["line 2,", "\"weeks\" is not a unit", "such as \"15m\""]),
        ("[projects]\nmax_running = \"3\"", ["line 2,", "\"3\" is text", "write 3 without quotes"]),
        ("[projects]\nmax_running = 1.5", ["line 2,", "a whole number", "not 1.5"]),
        ("[shutdown]\nsessions = \"keeep\"", ["line 2,", "\"keeep\" is not allowed", "write \"close\" or \"keep\""]),
        ("[shutdown]\nsessions = \"keeep\"", ["line 2,", "shutdown.sessions", "did you mean `keep`?"]),
        ("[shutdown]\nsessions = true", ["line 2,", "text in quotes", "not true"]),
        ("[agents]\nauthority = \"root\"", ["line 2,", "\"root\"", "write \"own\" or \"all\""]),
        ("[agents]\nworkspace = \"work\"", ["line 2,", "\"work\" is not a whole path", "begins with `/`"]),
        ("[cleanup]\nreach = \"tmux\"", ["line 2,", "must be a list, not \"tmux\"", "[\"tmux\"]"]),
        (
            "[cleanup]\nreach = [\"panes\"]",
            ["line 2,", "\"panes\" is not allowed", "\"managed\", \"tmux\" or \"found\""],
        ),
        ("[cleanup]\nreach = [\n  \"tmux\",\n  3 ]", ["line 4, column 3:", "holds 3", "text in quotes"]),
        ("[attach]\ndetach_key = \"F12\"", ["line 2,", "\"F12\" is not a key to detach with", "\"C-]\""]),
        ("[attach]\ndetach_key = \"C-m\"", ["line 2,", "\"C-m\" is Enter", "\"C-q\""]),
        ("[sweep]\nfence = \"BEADLE_TEST\"", ["line 2,", "\"BEADLE_TEST\" has no `=`", "NAME=VALUE"]),
        ("[sweep]\nfence = \"=x\"", ["line 2,", "\"\" is not the name", "HTTP_PROXY"]),
        ("[projects.env]\nA = \"b\"\nPORT = 80", ["line 3, column 8:", "projects.env: PORT", "in quotes, not integer"]),
        ("[projects]\nenv = \"A=b\"", ["line 2,", "must be a table", "{ NAME = \"value\" }"]),
        ("[projects]\nenv_from = [\"A=b\"]", ["line 2,", "\"A=b\" is not the name", "HTTP_PROXY"]),
        ("[server]\nlisten = \":7717\"", ["line 2,", "\":7717\" is not an address and a port", "127.0.0.1:7717"]),
    ] {
        says(text, &expected);
    }
}

#[test]
fn absurd_values_are_refused_with_a_reason() {
    for (text, expected) in [
        ("[cleanup]\ninterval = \"0s\"", ["line 2,", "cannot be zero", "never rest"]),
        ("[cleanup]\nmax_idle = \"0s\"", ["line 2,", "cannot be zero", "`enabled = false`"]),
        ("[cleanup]\nmax_age = \"0m\"", ["line 2,", "cannot be zero", "`enabled = false`"]),
        ("[cleanup]\nmax_waiting = \"0s\"", ["line 2,", "cannot be zero", "\"3650d\""]),
        ("[sweep]\nmin_age = \"0s\"", ["line 2,", "cannot be zero", "\"1s\""]),
        ("[cleanup]\nmax_age = \"20000d\"", ["line 2,", "more than ten years", "\"3650d\""]),
        ("[health]\norphaned_after = \"10m\"", ["line 2,", "(10m) is below `stuck_after` (30m)", "lower the other"]),
        ("[health]\nstuck_after = \"2h\"", ["line 2,", "(60m) is below `stuck_after` (2h)", "raise the one"]),
        ("[record]\nper_session = \"1KiB\"", ["line 2,", "1KiB is too little", "\"64KiB\""]),
        ("[record]\ntotal = \"1MiB\"", ["line 2,", "`total` (1MiB) is below `per_session` (8MiB)", "raise"]),
        ("[projects]\nmax_running = 0", ["line 2,", "cannot be 0", "at least 1"]),
        ("[cleanup]\nmax_sessions = -1", ["line 2,", "-1 is negative", "at least 1"]),
        ("[cleanup]\nmax_sessions = 99999999", ["line 2,", "too much", "at most 1000000"]),
        ("[cleanup]\nreach = []", ["line 2,", "is empty", "at least one"]),
        ("[server]\nlisten = \"127.0.0.1:1\"", ["line 2,", "`listen` needs a `token`", "32 or more"]),
        ("[server]\ntoken = \"short\"\nlisten = \"127.0.0.1:1\"", ["line 2,", "has 5 characters", "32 or more"]),
    ] {
        says(text, &expected);
    }
    let token = "t".repeat(32);
    let open = format!("[server]\nlisten = \"0.0.0.0:1\"\ntoken = \"{token}\"\n");
    says(&open, &["line 2,", "other machines", "`insecure = true`"]);
    assert!(parsed(&format!("{open}insecure = true")).server.insecure);
}

#[test]
fn zero_switches_the_delays_off() {
    let c = parsed("[cleanup]\nlinger = \"0s\"\nnotice = \"0s\"\nquiet_start = \"0s\"\n[stop]\ngrace = \"0s\"");
    let delays = [c.cleanup.linger, c.cleanup.notice, c.cleanup.quiet_start, c.stop.grace];
    assert!(delays.iter().all(Duration::is_zero));
}

#[test]
fn all_faults_are_told_at_once_in_the_order_of_the_file() {
    let text =
        "[stop]\ngrace = 5\n[cleanup]\nmax_idel = \"1m\"\nmax_age = \"0s\"\nenabled = yes\nnotice = 5m\n[coffee]\n";
    let complaint = complaint(text);
    let lines: Vec<&str> = complaint.lines().collect();
    for (line, number) in lines.iter().zip([2, 4, 5, 6, 7, 8]) {
        assert!(line.starts_with(&format!("line {number}, ")), "{complaint}");
    }
    assert_eq!(lines.len(), 6, "{complaint}");
    assert!(lines[3].contains("`yes` is not a value: write `enabled = true`"), "{complaint}");
    assert!(lines[4].contains("`5m` is not a value: write `notice = \"5m\"`"), "{complaint}");
}

#[test]
fn what_is_not_toml_names_line_and_place() {
    says("[cleanup]\nmax_idle \"10m\"\n", &["line 2, column 10:", "not valid TOML", "`max_idle`"]);
    says("[cleanup\nmax_idle = \"1m\"\n", &["line 1,", "not valid TOML", "unclosed table"]);
    says("[cleanup]\nmax_idle = \"1m\nmax_age = \"2h\"\n", &["line 2,", "not valid TOML", "`max_idle`"]);
    says("[stop]\ngrace = \"1s\"\ngrace = \"2s\"\n", &["line 3,", "duplicate key", "`grace`"]);
    says("[cleanup]\nreach = tmux # panes\n", &["line 2,", "write `reach = [\"tmux\"]`"]);
    says("[cleanup]\nmax_idle = 1h 30m\n", &["line 2, column 12:", "write `max_idle = \"90m\"`"]);
    says("[cleanup]\nmax_idle = soon\n", &["line 2,", "\"soon\" is not a duration"]);
    says("[cleanup]\nenabled = True\n", &["line 2,", "write `enabled = true`"]);
    says("[agents]\nworkspace = /srv/app\n", &["line 2,", "write `workspace = \"/srv/app\"`"]);
    says("[sweep]\nfence = MARK=1\n", &["line 2,", "write `fence = \"MARK=1\"`"]);
    says("[cleanup]\nmax_idle =\n", &["line 2,", "not valid TOML"]);
}

#[test]
fn no_complaint_repeats_a_secret() {
    for text in [
        "[server]\ntoken = hunter2\n",
        "[server]\ntoken = \"hunter2\"\nlisten = \"127.0.0.1:1\"\n",
        "[server]\ntoken = \"hunter2 and more\"\n",
        "[server]\ntoken \"hunter2\"\n",
        "[projects.env]\nKEY = hunter2\n",
        "[projects]\nenv = { \"A B\" = \"hunter2\" }\n",
    ] {
        let complaint = complaint(text);
        assert!(!complaint.contains("hunter2"), "{text:?} says {complaint}");
    }
    let c = parsed("[projects.env]\nKEY = \"hunter2\"\n[server]\ntoken = \"hunter2hunter2\"");
    assert!(!format!("{c:?}").contains("hunter2"));
}

#[test]
fn the_environment_wins_over_the_file() {
    let file = "[cleanup]\nmax_idle = \"20m\"\nmax_age = \"2h\"\n";
    let vars = [
        ("BEADLE_CLEANUP__MAX_IDLE", "10m"),
        ("BEADLE_SHUTDOWN__SESSIONS", "keep"),
        ("BEADLE_CLEANUP__ENABLED", "no"),
        ("BEADLE_CLEANUP__REACH", "managed, tmux"),
        ("BEADLE_PROJECTS__MAX_RUNNING", "3"),
        ("BEADLE_PROJECTS__ENV", "{ A = \"b\" }"),
        ("BEADLE_PROJECTS__ENV_FROM", "[\"PATH\"]"),
        ("BEADLE_RECORD__PER_SESSION", "65536"),
        ("BEADLE_SWEEP__FENCE", "MARK=a=b"),
        ("BEADLE_SERVER__LISTEN", ""),
        ("BEADLE_SESSION_NAME", "not a setting"),
        ("HOME", "/h"),
    ];
    let c = config::parse(file, &env(&vars)).unwrap();
    assert_eq!((c.cleanup.max_idle, c.cleanup.max_age), (Duration::from_mins(10), Duration::from_hours(2)));
    assert_eq!(c.shutdown.sessions, OnShutdown::Keep);
    assert!(!c.cleanup.enabled);
    assert_eq!(c.cleanup.reach, [Origin::Managed, Origin::Tmux]);
    assert_eq!((c.projects.max_running, c.record.per_session), (3, 65_536));
    assert_eq!(c.projects.env.get("A").map(String::as_str), Some("b"));
    assert_eq!(c.projects.env_from, ["PATH"]);
    let fence = c.sweep.fence.unwrap();
    assert_eq!((fence.name.as_str(), fence.value.as_str()), ("MARK", "a=b"));
}

#[test]
fn a_wrong_variable_is_named_with_what_instead() {
    for (name, value, expected) in [
        ("BEADLE_CLEANUP__MAX_IDEL", "10m", "did you mean `BEADLE_CLEANUP__MAX_IDLE`?"),
        ("BEADLE_CLEANUP__MAX_IDLE", "10", "10 has no unit"),
        ("BEADLE_CLEANUP__MAX_IDLE", "", "is empty"),
        ("BEADLE_CLEANUP__ENABLED", "maybe", "true or false, not \"maybe\""),
        ("BEADLE_CLEANUP__MAX_SESSIONS", "many", "\"many\" is not a whole number"),
        ("BEADLE_HEALTH__ORPHANED_AFTER", "1s", "below `stuck_after` (30m)"),
        ("BEADLE_AGENT__NAME", "x", "only be written in the config file"),
        ("BEADLE_PROJECTS__ENV", "A=b", "write { NAME = \"value\" }"),
    ] {
        let complaint = env_complaint(&[(name, value)]);
        assert!(complaint.starts_with(&format!("{name}: ")) && complaint.contains(expected), "{complaint}");
    }
}

#[test]
fn set_changes_the_cleaner_and_health_and_nothing_else() {
    let mut c = Config::default();
    c.set("cleanup.max_idle", "10m").unwrap();
    c.set("notice", "0s").unwrap();
    assert_eq!((c.cleanup.max_idle, c.cleanup.notice), (Duration::from_mins(10), Duration::ZERO));
    assert_eq!(c.get("cleanup.max_idle").as_deref(), Some("10m"));
    assert_eq!(c.get("cleanup.reach").as_deref(), Some("[\"managed\"]"));
    let before = c.clone();
    for (key, value, expected) in [
        ("max_idel", "1m", "did you mean `max_idle`?"),
        ("cleanup.max_idel", "1m", "did you mean `cleanup.max_idle`?"),
        ("cleanup.max_idle", "0s", "cannot be zero"),
        ("health.orphaned_after", "1s", "below `stuck_after`"),
        ("server.listen", "127.0.0.1:1", "while the daemon runs"),
        ("agents.authority", "all", "while the daemon runs"),
    ] {
        let complaint = c.set(key, value).unwrap_err().to_string();
        assert!(complaint.starts_with(&format!("{key}: ")) && complaint.contains(expected), "{complaint}");
    }
    assert_eq!(c, before);
    c.set_all(&[("orphaned_after", "4s"), ("stuck_after", "2s")]).unwrap();
    assert_eq!(c.health.orphaned_after, Duration::from_secs(4));
    assert!(c.set_all(&[("max_idle", "1m"), ("max_age", "never")]).is_err());
    assert_eq!(c.cleanup.max_idle, Duration::from_mins(10));
}

fn paths(config: PathBuf, config_named: bool) -> Paths {
    Paths { config, config_named, state: "/s".into(), runtime: "/r".into(), socket_named: None }
}

#[test]
fn a_missing_file_is_fine_unless_it_was_named() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("config.toml");
    assert_eq!(config::load(&paths(missing.clone(), false), &[]).unwrap(), Config::default());
    let refused = config::load(&paths(missing.clone(), true), &[]).unwrap_err();
    assert!(matches!(&refused, ConfigError::Read { path, .. } if *path == missing), "{refused}");
    assert!(config::load(&paths(dir.path().into(), false), &[]).is_err(), "a directory is no config");
}

#[test]
fn a_fault_in_a_file_names_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.toml");
    std::fs::write(&file, "\n[stop]\r\ngrace = 5\n").unwrap();
    let complaint = config::load(&paths(file.clone(), false), &[]).unwrap_err().to_string();
    assert!(complaint.starts_with(&format!("{}, line 3, column 9: stop.grace: ", file.display())), "{complaint}");
    std::fs::write(&file, b"# one\n\xff\n").unwrap();
    let complaint = config::load(&paths(file, false), &[]).unwrap_err().to_string();
    assert!(complaint.contains("not UTF-8") && complaint.contains("line 2"), "{complaint}");
}

#[test]
fn a_profile_of_a_new_name_is_asked_first_and_one_of_a_known_name_changes_key_by_key() {
    let text = "[[agent]]\nname = \"mine\"\n[agent.match]\nprogram = [\"my-agent\"]\n[agent.stop]\ntype = \"bye\"\n\
        [[agent]]\nname = \"claude\"\n[agent.stop]\nsignal = \"INT\"\n\
        [[agent.look]]\nrule = \"mine\"\nin = \"last 1\"\nall = ['^zzz$']\nsays = \"waiting\"\n\
        [[agent.look]]\nrule = \"prompt\"\nin = \"screen\"\n";
    let c = parsed(text);
    assert_eq!(c.agent.len(), 2);
    assert_eq!(parsed(&config::to_toml(&c)), c);
    let mine = &c.profiles.all()[0];
    assert_eq!((mine.name.as_str(), mine.start.as_deref()), ("mine", Some("my-agent")));
    assert_eq!(mine.gentle.typed.as_deref(), Some("bye"));
    let (claude, known) = (c.profiles.by_name("claude").unwrap(), Config::default().profiles);
    let known = known.by_name("claude").unwrap();
    assert_eq!((claude.gentle.typed.as_deref(), claude.gentle.signal), (Some("/exit"), Some(Signal::Int)));
    assert_eq!(claude.recognition, known.recognition);
    assert_eq!((claude.rules[0].rule.as_str(), claude.rules.len()), ("mine", known.rules.len() + 1));
    assert_eq!(claude.look("", "hello\nzzz").because.as_deref(), Some("mine"));
    let prompt = |p: &Profile| p.rules.iter().find(|r| r.rule == "prompt").unwrap().clone();
    assert_eq!((prompt(claude).region, prompt(claude).any), (Region::Screen, prompt(known).any));
}

#[test]
fn a_fault_in_a_profile_has_a_line_and_says_what_to_write() {
    let mine = "[[agent]]\nname = \"x\"\n[agent.match]\nprogram = [\"x\"]\n";
    for (text, expected) in [
        ("[[agent]]\nmatch = { program = [\"x\"] }", ["line 1,", "`name` is missing", "write `name = "]),
        ("[[agent]]\nname = \"a b\"\n", ["line 1,", "`name`", "agent:"]),
        ("[agent]\nname = \"x\"", ["line 1,", "`[[agent]]`", "agent:"]),
        ("[[agent]]\nname = \"x\"\n", ["line 1,", "nothing would ever be this agent", "[agent.match]"]),
        ("[[agent]]\nname = \"x\"\nmatch = \"x\"", ["line 3, column 9:", "must be a table", "`[agent.match]`"]),
        ("[[agent]]\nname = \"x\"\n[agent.match]\nprogram = \"x\"", ["line 4,", "must be a list", "[\"x\"]"]),
        ("[[agent]]\nname = \"claude\"\nlok = 1\n", ["line 3, column 1:", "unknown key `lok`", "did you mean `look`?"]),
        (
            "[[agent]]\nname = \"claude\"\n[agent.stop]\nsignal = \"KILL\"",
            ["line 4, column 10:", "agent.stop", "\"INT\""],
        ),
        ("[[agent]]\nname = \"claude\"\n[agent.stop]\ntype = \"\\u001b\"", ["line 4,", "`type`", "control characters"]),
        ("[[agent]]\nname = \"claude\"\n[agent.resume]\nsession = \"c\"", ["line 3,", "agent.resume", "{session}"]),
    ] {
        says(text, &expected);
    }
    for (rule, expected) in [
        (
            "rule = \"r\"\nin = \"last 3\"\nsays = \"idle\"\nall = [\n 'fine',\n 'a(b']",
            ["line 11, column 2:", "a(b", "unclosed group"],
        ),
        (
            "rule = \"r\"\nin = \"title\"\nsays = \"idle\"\nany = ['a{1000}{1000}{1000}']",
            ["line 9,", "cannot be", "too large"],
        ),
        ("rule = \"r\"\nin = \"title\"\nsays = \"idel\"\nany = ['a']", ["line 8,", "\"idel\"", "did you mean `idle`?"]),
        ("rule = \"r\"\nin = \"last 0\"\nsays = \"idle\"\nany = ['a']", ["line 5,", "\"last 0\"", "\"below rule\""]),
        ("rule = \"r\"\nin = \"title\"\nsays = \"idle\"", ["line 5,", "holds on every screen", "agent.look"]),
        ("in = \"title\"\nsays = \"idle\"\nany = ['a']", ["line 5,", "`rule` is missing", "agent.look"]),
    ] {
        says(&format!("{mine}[[agent.look]]\n{rule}"), &expected);
    }
    says(&format!("{mine}\n{mine}"), &["line 6,", "two agents of the name \"x\""]);
    says("[[agent]]\nname = \"x\nmatch = 1", &["line 2,", "not valid TOML"]);
}

#[test]
fn what_is_shown_reads_back_the_same() {
    let text = "[health]\nstuck_after = \"90s\"\n[cleanup]\nreach = [\"found\", \"tmux\"]\n[record]\nper_session = 100000\n\
        [attach]\ndetach_key = \"C-^\"\n[agents]\ndefault = \"goose\"\nworkspace = \"/srv/\\\"a\\\"\"\nauthority = \"all\"\n\
        [sweep]\nfence = \"A=b c\"\n[projects]\nenv_from = [\"PATH\"]\n[projects.env]\nA = \"line\\nline\"\n\"B-C\" = \"\"\n\
        [server]\nlisten = \"[::1]:7717\"\ntoken = \"0123456789abcdef0123456789abcdef\"\n[sys]\ncgroup = false\n";
    for config in [Config::default(), parsed(text)] {
        let shown = config::to_toml(&config);
        assert_eq!(parsed(&shown), config, "{shown}");
        for key in config::keys() {
            let (section, name) = key.split_once('.').unwrap();
            let of_section = shown.split(&format!("[{section}]\n")).nth(1).unwrap();
            assert!(of_section.lines().any(|l| l.starts_with(&format!("{name} = "))), "{key}\n{shown}");
        }
    }
    assert!(config::to_toml(&Config::default()).contains("max_idle = \"60m\""));
}

/// The example with every `#key = value` line made real.
fn uncommented() -> String {
    let real = |line: &str| {
        let key = line.strip_prefix('#').and_then(|rest| rest.split_once(" = "));
        let is_key = key.is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_lowercase() || c == '_'));
        if is_key { line[1..].to_string() } else { line.to_string() }
    };
    EXAMPLE.lines().map(real).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_example_shows_every_key_with_its_real_default() {
    assert_eq!(parsed(EXAMPLE), Config::default(), "as it stands it changes nothing");
    let shown = uncommented();
    assert_eq!(parsed(&shown), Config::default());
    let table: toml::Table = shown.parse().unwrap();
    for key in config::keys() {
        let (section, name) = key.split_once('.').unwrap();
        assert!(table.get(section).and_then(|s| s.get(name)).is_some(), "config.example.toml lacks {key}");
    }
}

#[test]
fn the_example_of_a_hook_is_one() {
    let example = EXAMPLE.split("#   [[hook]]").nth(1).unwrap().split("\n\n").next().unwrap();
    let lines: Vec<&str> = example.lines().map(|l| l.trim_start_matches('#').trim_start()).collect();
    let hook = &parsed(&format!("[[hook]]{}", lines.join("\n"))).hook[0];
    assert_eq!((hook.command[0].as_str(), hook.timeout), ("notify-send", Duration::from_secs(5)));
}

#[test]
fn the_example_of_an_agent_is_one() {
    let example = EXAMPLE.split("#   [[agent]]").nth(1).unwrap();
    let lines: Vec<&str> = example.lines().map(|l| l.trim_start_matches('#').trim_start()).collect();
    let text = lines.join("\n");
    let c = parsed(&format!("[[agent]]{text}"));
    let mine = &c.profiles.all()[0];
    assert_eq!((mine.name.as_str(), mine.start.as_deref()), ("mine", Some("my-agent")));
    assert_eq!((mine.excludes.len(), mine.helpers.len(), mine.rules.len()), (1, 1, 1));
    assert_eq!(mine.look("", "Allow this? (y/n)").attention, Some(Attention::Waiting));
    assert_eq!(c.profiles.kind_of(&["node", "/x/my-agent/dist/index.js"].map(String::from)), "mine");
}

proptest! {
    #[test]
    fn a_duration_shown_is_the_duration_read(millis in prop_oneof![0u64..1_000_000, 0..315_000_000_000u64]) {
        let duration = Duration::from_millis(millis);
        prop_assert_eq!(config::parse_duration(&config::show_duration(duration)), Ok(duration));
    }

    #[test]
    fn a_size_shown_is_the_size_read(bytes in prop_oneof![0u64..1 << 50, (0u64..1 << 20).prop_map(|n| n << 20)]) {
        prop_assert_eq!(config::parse_size(&config::show_size(bytes)), Ok(bytes));
    }

    #[test]
    fn no_text_brings_the_reader_down(text in "\\PC{0,80}", lines in "[\\[\\]a-z_=\"'\\n{},. 0-9#-]{0,120}") {
        let _ = config::parse_duration(&text);
        let _ = config::parse_size(&text);
        let _ = config::parse(&lines, &[]);
        let _ = config::parse(&format!("[cleanup]\nmax_idle = {text}\n"), &[]);
        let _ = Config::default().set("cleanup.reach", &text);
    }

    #[test]
    fn any_settings_survive_being_shown(idle in 1u64..10_000_000, cap in 1usize..1_000_000, value in "\\PC{0,20}") {
        let mut config = Config::default();
        config.cleanup.max_idle = Duration::from_millis(idle);
        config.cleanup.max_sessions = cap;
        config.projects.env.insert("NAME".into(), value);
        prop_assert_eq!(parsed(&config::to_toml(&config)), config);
    }
}
