//! The layers of DESIGN.md, enforced: who may import whom, which words only one room may say, and how long
//! a file or a function may get. Reads the sources as text; comments never count, and strings only where a
//! rule is about strings. Every complaint names file and line.

// Test code: what fails here should fail loudly, in helpers too.
#![allow(clippy::unwrap_used)]

#[path = "architecture/source.rs"]
mod source;

use std::fs;
use std::path::Path;

use source::{Source, end_of_item, is_word, line_of, paths_from, spots};

/// Lines of a file outside its test modules.
const MOST_LINES_OF_A_FILE: usize = 600;
/// From `fn` to its closing brace.
const MOST_LINES_OF_A_FUNCTION: usize = 75;

/// Every room and the rooms it may import; `lib` only lists them, `main` only runs `cli`.
const ROOMS: &[(&str, &[&str])] = &[
    ("lib", &[]),
    ("main", &["cli"]),
    ("model", &[]),
    ("config", &["model"]),
    ("sys", &["model"]),
    ("api", &["model", "config", "sys"]),
    ("keeper", &["model", "config", "sys", "api"]),
    ("daemon", &["model", "config", "sys", "api"]),
    ("tui", &["model", "config", "sys", "api"]),
    ("cli", &["model", "config", "sys", "api", "keeper", "daemon", "tui"]),
];

/// Said in `sys` and nowhere else.
const MACHINE: &[&str] = &["nix::", "rustix::", "libc::", "sysinfo::", "unsafe"];
/// Never said in `model`: it has no files, no network, no processes, no clock, and does not wait.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::net",
    "std::process",
    "std::env",
    "tokio",
    "SystemTime::now",
    "Instant::now",
    "Timestamp::now",
    "async",
];

fn complaints(source: &Source) -> Vec<String> {
    let rules = [imports, machine_words, proc_strings, impure_words, printing, opening, lengths];
    rules.iter().flat_map(|rule| rule(source)).collect()
}

fn imports(source: &Source) -> Vec<String> {
    let Some((_, allowed)) = ROOMS.iter().find(|(room, _)| *room == source.room) else {
        return vec![
            source.at(0, &format!("no room is called `{}`: add it to ROOMS with what it may import", source.room)),
        ];
    };
    let foreign =
        |room: &str| ROOMS.iter().any(|(name, _)| *name == room) && room != source.room && !allowed.contains(&room);
    let first = |(line, path): (usize, String)| (line, path.split("::").next().unwrap_or_default().trim().to_string());
    let mut found: Vec<(usize, String)> = rooms_named(source).into_iter().map(first).collect();
    found.sort();
    found.dedup();
    let complaint = |(line, room): (usize, String)| {
        source.at(line, &format!("`{}` imports `{room}`; it may import: {}", source.room, allowed.join(", ")))
    };
    found.into_iter().filter(|(_, room)| foreign(room)).map(complaint).collect()
}

/// What stands behind `crate::`, behind enough `super::` to leave the room, or behind `beadle::` in main.
fn rooms_named(source: &Source) -> Vec<(usize, String)> {
    let mut named: Vec<(usize, String)> = Vec::new();
    for root in ["crate::", "beadle::"] {
        let found = paths_from(source, root);
        named.extend(found.into_iter().map(|(line, path)| (line, path[root.len()..].to_string())));
    }
    for (line, path) in paths_from(source, "super::") {
        let ups = path.matches("super::").count();
        // A test module is one deeper.
        if source.depth > 0 && ups >= source.depth + usize::from(source.is_test(line)) {
            named.push((line, path.replace("super::", "")));
        }
    }
    named
}

fn machine_words(source: &Source) -> Vec<String> {
    if source.room == "sys" {
        return Vec::new();
    }
    let said = |word: &&'static str| {
        let word = *word;
        source.lines_with(word).map(move |line| source.at(line, &format!("`{word}` may only be said in src/sys")))
    };
    MACHINE.iter().flat_map(said).collect()
}

fn proc_strings(source: &Source) -> Vec<String> {
    let wrong =
        |(line, text): &&(usize, String)| source.room != "sys" && !source.is_test(*line) && text.contains("/proc");
    let complaint = |(line, _): &(usize, String)| source.at(*line, "/proc may only be read in src/sys");
    source.strings.iter().filter(wrong).map(complaint).collect()
}

fn impure_words(source: &Source) -> Vec<String> {
    if source.room != "model" {
        return Vec::new();
    }
    let inline = IMPURE.iter().flat_map(|word| source.lines_with(word).map(move |line| (line, *word)));
    let grouped = paths_from(source, "std::").into_iter().filter_map(|(line, path)| {
        let word = IMPURE.iter().find(|word| path == **word || path.starts_with(&format!("{word}::")))?;
        Some((line, *word))
    });
    let mut found: Vec<(usize, &str)> = inline.chain(grouped).collect();
    found.sort_unstable();
    found.dedup();
    found.into_iter().map(|(line, word)| source.at(line, &format!("the model is pure: no `{word}`"))).collect()
}

fn printing(source: &Source) -> Vec<String> {
    if source.room == "cli" {
        return Vec::new();
    }
    let lines = ["print!", "println!"].into_iter().flat_map(|word| source.lines_with(word));
    lines.filter(|line| !source.is_test(*line)).map(|line| source.at(line, "only src/cli prints")).collect()
}

fn opening(source: &Source) -> Vec<String> {
    if source.first_line.starts_with("//!") {
        return Vec::new();
    }
    vec![source.at(0, "a file opens with `//!`: what it knows and what it refuses to know")]
}

fn lengths(source: &Source) -> Vec<String> {
    let mut out = Vec::new();
    let lines = source.test.iter().filter(|test| !**test).count();
    if lines > MOST_LINES_OF_A_FILE {
        out.push(source.at(0, &format!("{lines} lines without tests; at most {MOST_LINES_OF_A_FILE}")));
    }
    let code = source.code.join("\n");
    for at in spots(&code, "fn") {
        let first = line_of(&code, at);
        let is_named = code[at + 2..].starts_with(' ');
        let lines = line_of(&code, end_of_item(&code, at)) + 1 - first;
        if is_named && !source.is_test(first) && lines > MOST_LINES_OF_A_FUNCTION {
            let name: String = code[at + 3..].chars().take_while(|c| is_word(*c)).collect();
            out.push(source.at(first, &format!("`{name}` has {lines} lines; at most {MOST_LINES_OF_A_FUNCTION}")));
        }
    }
    out
}

// ---- the tests ----

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut found, mut open) = (Vec::new(), vec![root.join("src")]);
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_string();
                found.push(Source::new(&name, &fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

#[test]
fn every_source_keeps_the_layers() {
    let sources = sources();
    assert!(sources.len() > 20, "the sources were not found");
    let complaints: Vec<String> = sources.iter().flat_map(complaints).collect();
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn a_broken_rule_is_seen() {
    for (path, code, expected) in [
        ("src/model/a.rs", "use crate::sys::x;", "src/model/a.rs:2: `model` imports `sys`"),
        ("src/daemon/a.rs", "use crate::{\n    model::x,\n    tui::{y, z},\n};", "`daemon` imports `tui`"),
        (
            "src/daemon/a.rs",
            "fn f() {\n    let x = crate::keeper::run();\n}",
            "src/daemon/a.rs:3: `daemon` imports `keeper`",
        ),
        ("src/api/a.rs", "use super::super::daemon::x;", "`api` imports `daemon`"),
        ("src/tui/mod.rs", "use super::keeper;", "`tui` imports `keeper`"),
        ("src/tui/view/a.rs", "use super::super::super::keeper;", "`tui` imports `keeper`"),
        ("src/main.rs", "use beadle::daemon;", "`main` imports `daemon`"),
        ("src/odd/a.rs", "", "no room is called `odd`"),
        ("src/cli/a.rs", "use nix::unistd;", "`nix::` may only"),
        ("src/cli/a.rs", "fn f() { unsafe { g() } }", "`unsafe` may only"),
        ("src/keeper/a.rs", "fn f() { read(\"/proc/1/stat\") }", "src/keeper/a.rs:2: /proc"),
        ("src/keeper/a.rs", "const P: &str = r#\"\n/proc\"#;", "src/keeper/a.rs:2: /proc"),
        ("src/model/a.rs", "use std::{fmt, fs};", "no `std::fs`"),
        ("src/model/a.rs", "async fn f() {}", "no `async`"),
        ("src/model/a.rs", "fn f() { Instant::now(); }", "no `Instant::now`"),
        ("src/daemon/a.rs", "fn f() { println!(\"x\") }", "only src/cli prints"),
    ] {
        let found = complaints(&Source::new(path, &format!("//! x\n{code}\n")));
        assert!(found.len() == 1 && found[0].contains(expected), "{path}: {code}\n{found:?}");
    }
    let bare = complaints(&Source::new("src/cli/a.rs", "// x\n"));
    assert!(bare[0].contains("opens with"), "{bare:?}");
}

#[test]
fn what_only_looks_like_a_broken_rule_is_let_through() {
    for (path, code) in [
        ("src/model/a.rs", "// use crate::sys; unsafe\n/* async /* tokio */ std::fs */"),
        (
            "src/model/a.rs",
            "const A: &str = \"crate::sys unsafe { async\"; const C: char = '\"'; const D: char = '\\'';",
        ),
        ("src/model/a.rs", "fn unsafe_looking<'a>(asynchronous: &'a str) -> &'a str { asynchronous }"),
        ("src/config/a.rs", "use crate::model::session;\nuse super::words::{A, B};"),
        (
            "src/config/a.rs",
            "#[cfg(test)]\nmod tests {\n    use super::super::paths;\n    const P: &str = \"/proc\";\n}",
        ),
        ("src/cli/a.rs", "use crate::{daemon, keeper, tui};\nfn f() { println!(\"{}\", 1) }"),
        ("src/sys/a.rs", "fn f() { unsafe { libc::getpid() }; open(\"/proc\"); }"),
        ("src/daemon/a.rs", "fn f() { eprintln!(\"x\") }"),
        ("src/daemon/a.rs", "fn f() { match crate::api::x() { crate::api::Y => {} } }"),
    ] {
        let found = complaints(&Source::new(path, &format!("//! x\n{code}\n")));
        assert!(found.is_empty(), "{path}: {code}\n{found:?}");
    }
}

#[test]
fn length_is_counted_without_tests() {
    let long = format!("//! x\nfn f(a: [u8; 3]) {{\n{}}}\n", "    g();\n".repeat(MOST_LINES_OF_A_FUNCTION));
    let found = complaints(&Source::new("src/cli/a.rs", &long));
    assert!(found.len() == 1 && found[0].starts_with("src/cli/a.rs:2: `f` has 77 lines"), "{found:?}");
    let tests = format!("//! x\n#[cfg(test)]\nmod tests {{\n{}}}\n", "    // x\n".repeat(MOST_LINES_OF_A_FILE));
    assert_eq!(complaints(&Source::new("src/cli/a.rs", &tests)), Vec::<String>::new());
    let file = format!("//! x\n{}", "const A: u8 = 0;\n".repeat(MOST_LINES_OF_A_FILE));
    assert!(complaints(&Source::new("src/cli/a.rs", &file))[0].contains("601 lines"));
}
