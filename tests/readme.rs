//! The README's commands are tested, not trusted: each parses, and the tour runs as it is printed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod private;

use std::process::Command;

use private::{Private, until};

const README: &str = include_str!("../README.md");
/// What needs a person.
const INTERACTIVE: [&str; 2] = ["beadle", "beadle attach docs"];

/// The lines of the shell blocks below a heading (or all), without comments.
fn commands(heading: Option<&str>) -> Vec<String> {
    let (mut inside, mut is_shell) = (heading.is_none(), false);
    let mut found = Vec::new();
    for line in README.lines() {
        if line.starts_with("```") {
            is_shell = line == "```sh";
        } else if line.starts_with("## ") && !is_shell {
            inside = heading.is_none_or(|wanted| line == format!("## {wanted}"));
        } else if is_shell && inside {
            found.extend(Some(line.split(" #").next().unwrap().trim().to_string()).filter(|l| !l.is_empty()));
        }
    }
    found
}

#[test]
fn every_command_of_beadle_is_one_it_knows() {
    let all = commands(None);
    let ours: Vec<&String> = all.iter().filter(|l| *l == "beadle" || l.starts_with("beadle ")).collect();
    assert!(ours.len() > 20, "{ours:?}");
    for line in ours {
        // `--help` last: by then the parser has met every word before it.
        let asked = match line.split_once(" -- ") {
            Some((before, _)) => format!("{before} --help"),
            None => format!("{line} --help"),
        };
        let home = Private::new();
        let output = home.run("sh", &["-c", &asked]);
        assert!(output.status.success(), "{line}: {output:?}");
    }
}

#[test]
fn the_verbs_and_options_it_names_exist() {
    let help = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_beadle")).args(args).arg("--help").output().unwrap();
        assert!(output.status.success(), "{args:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let whole = help(&[]);
    // Every `beadle …` in running text too.
    for named in README.split("`beadle ").skip(1).filter_map(|rest| rest.split('`').next()) {
        match named.split_whitespace().next().unwrap() {
            option if option.starts_with("--") => assert!(whole.contains(option), "{named}"),
            verb => drop(help(&[verb])),
        }
    }
}

#[test]
fn the_tour_works_as_it_is_printed_and_leaves_nothing() {
    let home = Private::new();
    let lines = commands(Some("A minute's tour"));
    assert!(lines.iter().any(|l| l == "beadle kill docs") && lines.last().is_some_and(|l| l.contains("ls --all")));
    for line in lines.iter().filter(|l| !INTERACTIVE.contains(&l.as_str())) {
        if line == "beadle ls" {
            until_the_stray_is_there(&home);
        }
        let output = home.run("sh", &["-c", line]);
        assert!(output.status.success(), "{line}: {output:?}");
        let said = String::from_utf8_lossy(&output.stdout);
        match line.as_str() {
            "beadle ls" => assert!(said.contains("docs") && said.contains("tests"), "{said}"),
            "beadle show docs" => assert!(said.contains("sleep 1000"), "{said}"),
            "beadle kill docs" => assert!(said.contains("✔ docs") && strays(&home) == 0, "{said}"),
            "beadle close-all" => assert!(said.contains("✔ tests"), "{said}"),
            _ => {}
        }
    }
    assert!(home.names().is_empty());
    home.beadle(&["daemon", "stop", "--yes"]);
    until("nobody left", || home.processes().is_empty().then_some(()), || format!("{:?}", home.processes()));
}

fn strays(home: &Private) -> usize {
    let is_stray = |pid| beadle::sys::process::arguments(pid).join(" ") == "sleep 1000";
    home.processes().into_iter().filter(|id| is_stray(id.pid)).count()
}

fn until_the_stray_is_there(home: &Private) {
    until("the process left behind", || (strays(home) > 0).then_some(()), || home.beadle(&["peek", "docs"]));
}

#[test]
fn the_lines_about_the_queue_work_as_they_are_printed() {
    let home = Private::new();
    for line in commands(Some("The queue")) {
        if line.starts_with("sqlite3") && Command::new("sqlite3").arg("-version").output().is_err() {
            eprintln!("skipped: sqlite3 is not installed");
            continue;
        }
        let output = home.run("sh", &["-c", &line]);
        assert!(output.status.success(), "{line}: {output:?}");
    }
    let over = || {
        let all: serde_json::Value = serde_json::from_str(&home.beadle(&["project", "ls", "--json"])).unwrap();
        let status =
            |name: &str| all.as_array().unwrap().iter().find(|p| p["name"] == name).map(|p| p["status"].clone());
        let (docs, site) = (status("docs")?, status("site")?);
        let is_over = |status: &serde_json::Value| *status != "queued" && *status != "running";
        (status("later").is_none() && is_over(&docs) && is_over(&site)).then_some(())
    };
    until("all are over", over, || home.beadle(&["project", "ls"]));
    home.beadle(&["daemon", "stop", "--yes"]);
}

#[test]
fn the_lines_for_scripts_end_as_they_say() {
    let home = Private::new();
    for line in commands(Some("In scripts")) {
        if line.starts_with("curl") && Command::new("curl").arg("-V").output().is_err() {
            eprintln!("skipped: curl is not installed");
            continue;
        }
        let output = home.run("sh", &["-c", &line]);
        let expected = match line.split_whitespace().nth(1) {
            Some("wait") => 7,
            Some("kill") => 4,
            _ => 0,
        };
        assert_eq!(output.status.code(), Some(expected), "{line}: {output:?}");
        if line.starts_with("curl") {
            let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(report["total"], 0);
        }
    }
    home.beadle(&["daemon", "stop", "--yes"]);
}

#[test]
fn the_lines_over_http_work_as_they_are_printed() {
    if Command::new("curl").arg("-V").output().is_err() {
        return eprintln!("skipped: curl is not installed");
    }
    let home = Private::new();
    let lines = commands(Some("Over HTTP"));
    assert!(lines.len() > 7, "{lines:?}");
    for line in &lines {
        let output = home.run("sh", &["-c", line]);
        assert!(output.status.success(), "{line}: {output:?}");
        if line.starts_with("curl") {
            let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            assert!(answer.is_object() && answer["error"].is_null(), "{line}: {answer}");
        }
    }
    home.beadle(&["daemon", "stop", "--yes"]);
}

#[test]
fn the_hooks_it_shows_are_hooks() {
    let blocks: Vec<&str> = README.split("```toml\n[[hook]]").skip(1).map(|b| b.split("```").next().unwrap()).collect();
    assert_eq!(blocks.len(), 2);
    for block in blocks {
        let config = beadle::config::parse(&format!("[[hook]]{block}"), &[]).unwrap();
        assert_eq!(config.hook.len(), 1);
    }
}

#[test]
fn the_keys_of_the_interface_are_all_in_the_table() {
    let table: String = README.lines().filter(|l| l.starts_with("| `")).collect();
    for binding in beadle::tui::keymap::BINDINGS {
        for key in binding.shown.split(' ') {
            assert!(table.contains(&format!("`{key}`")), "{key}: {}", binding.help);
        }
    }
}

#[test]
fn the_files_it_points_to_exist() {
    for target in README.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        assert!(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(target).exists(), "{target}");
    }
}
