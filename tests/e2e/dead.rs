//! A file system whose server is gone, and processes that hang in the kernel because of it: nothing is delayed by them.

use std::path::Path;

use beadle::sys::process;
use serde_json::Value;

use super::support::{Arena, Running, has, is_root, pid_of, until, until_some};
use super::sweep::arena_of;

#[test]
fn a_dead_mount_and_a_process_that_hangs_in_the_kernel_delay_nobody_and_hide_nobody() {
    if !is_root() || !Path::new("/dev/fuse").exists() || !has("mount") || !has("setsid") || !has("python3") {
        return;
    }
    let arena = arena_of(Arena::new());
    let dead = arena.mount_dead("work/dead");
    let at = arena.path("work/dead").display().to_string();
    let bin = arena.path("work/bin").display().to_string();
    arena.script("work/bin/codex", &format!("#!/bin/sh\nls {at}/file hangs &\nwhile :; do sleep 841; done\n"));
    // Its own registry is over there.
    let of_registry =
        format!("CLAUDE_CONFIG_DIR={at}/claude setsid {bin}/claude far-away </dev/null >/dev/null 2>&1 &");
    arena.line(&of_registry).wait().ok();
    arena.line(&format!("setsid {bin}/codex with-a-tool </dev/null >/dev/null 2>&1 &")).wait().ok();
    let hung = arena.until_named("hangs");
    until("it hangs", || process::stat(hung.pid).is_some_and(|p| p.state == b'D'));
    let sessions = || arena.json(&["ls", "--json"]).as_array().unwrap().clone();
    let agents = |all: &[Value]| all.iter().filter_map(|s| s["agent"].as_str().map(String::from)).collect::<Vec<_>>();
    until("both are listed", || agents(&sessions()).len() == 2);
    // Who comes later is seen too, by passes that go on.
    arena.without_ends(&[&arena.path("work/bin/mcp-server-x").display().to_string(), "left-behind"]);
    let stray = arena.until_named("left-behind");
    let _later = Running::of({
        let mut command = arena.program(arena.path("work/bin/goose"));
        command.arg("session");
        command
    });
    until("the later one is listed", || agents(&sessions()).contains(&"goose".to_string()));
    // Of the agent with the dead registry nothing can be known: it is spared, and nobody else with it.
    let done = until_some("a sweep that takes the stray", || {
        Some(arena.json(&["sweep", "--yes", "--json"])).filter(|report| report["killed"] == 1)
    });
    let candidates = done["candidates"].as_array().unwrap();
    let far = candidates.iter().find(|c| c["agent"] == "claude").unwrap_or_else(|| panic!("{done}"));
    assert_eq!(far["action"], "spared", "{done}");
    assert!(far["why"].as_str().unwrap().contains("cannot be read"), "{done}");
    assert!(!process::is_alive(stray) && process::is_alive(hung));
    // And what hangs can be closed, as far as the kernel lets it.
    let codex = sessions().into_iter().find(|s| s["agent"] == "codex").unwrap();
    let leader = pid_of(&codex["leader_pid"]);
    arena.run(&["kill", codex["id"].as_str().unwrap(), "--yes", "--now"]).ok();
    assert!(!process::is_alive(leader) && !process::is_alive(hung));
    drop(dead);
}
