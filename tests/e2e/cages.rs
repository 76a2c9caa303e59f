//! The animals of the leak zoo, and how cages are opened and closed.

use serde_json::json;

use super::support::{Arena, until};

/// What each session starts; every animal writes its pid into a file of its name once it is what it is to be.
pub const KEEPER_OF_THE_ZOO: &str = r#"#!/bin/sh
# usage: zoo.sh DIR ANIMAL
zoo=$0 dir=$1
say() { echo $$ >"$dir/$1.new" && mv "$dir/$1.new" "$dir/$1"; }
case $2 in
background) trap '' HUP; say background; exec sleep 600 ;;
setsid) say setsid; exec sleep 600 ;;
deaf) trap '' HUP INT TERM; cd /; say deaf; exec sleep 600 ;;
bare) say bare; exec sleep 600 ;;
stopped) say stopped; kill -STOP $$; exec sleep 600 ;;
holder) trap '' HUP; say holder; exec sleep 600 ;;
pane) say pane; exec sleep 600 ;;
forker)
    say forker
    n=0
    while [ $n -lt 150 ]; do
        sleep 2 &
        sleep 0.005
        n=$((n + 1))
    done
    exec sleep 600 ;;
*)
    mkdir -p "$dir"
    sh "$zoo" "$dir" background &
    setsid sh "$zoo" "$dir" setsid &
    (setsid sh "$zoo" "$dir" deaf </dev/null >/dev/null 2>&1 &)
    (env -i /usr/bin/setsid /bin/sh "$zoo" "$dir" bare </dev/null >/dev/null 2>&1 &)
    sh "$zoo" "$dir" stopped &
    sh "$zoo" "$dir" holder &
    (setsid sh "$zoo" "$dir" forker </dev/null >/dev/null 2>&1 &)
    tmux -S "$dir/tmux" -f /dev/null new-session -d "exec sh '$zoo' '$dir' pane" </dev/null
    for animal in background setsid deaf bare stopped holder forker pane; do
        until [ -e "$dir/$animal" ]; do sleep 0.01; done
    done
    [ "$2" = stay ] && exec sleep 600
    exit 7 ;;
esac
"#;

const ANIMALS: [&str; 8] = ["background", "setsid", "deaf", "bare", "stopped", "holder", "forker", "pane"];

/// Starts the sessions: every second leader stays, the others exit and leave the rest behind.
pub fn open_zoo(arena: &Arena, sessions: usize) -> Vec<String> {
    let zoo = arena.script("zoo.sh", KEEPER_OF_THE_ZOO);
    let one = |n: usize| {
        let dir = arena.path(&format!("cage{n}")).to_str().unwrap().to_string();
        arena.session(&[
            "--name",
            &format!("cage{n}"),
            "--",
            "sh",
            &zoo,
            &dir,
            if n.is_multiple_of(2) { "stay" } else { "go" },
        ])
    };
    let ids: Vec<String> = (0..sessions).map(one).collect();
    for n in 0..sessions {
        for animal in ANIMALS {
            arena.line_of(&format!("cage{n}/{animal}"));
        }
    }
    until("every second leader has gone", || {
        let lingering = arena.all().iter().filter(|s| s["state"] == "lingering" && s["exit"]["code"] == 7).count();
        lingering == sessions / 2
    });
    ids
}

pub fn close_all_leaves_nothing(arena: &Arena, ids: &[String]) {
    let report = arena.json(&["close-all", "--json"]);
    let left = arena.agents();
    assert_eq!(left, [], "{report}");
    assert_eq!((&report["closed"], &report["failed"]), (&json!(ids.len()), &json!(0)), "{report}");
    assert!(arena.all().iter().all(|s| s["state"] == "ended"));
    until("the keepers have gone", || arena.keepers().is_empty());
    for id in ids {
        assert_eq!(arena.log().matches(&format!("ended session={id} ")).count(), 1, "{id}");
    }
}

/// SIGKILL of their keepers, after one look at the sessions, and until that is known.
pub fn kill_keepers(arena: &Arena, ids: &[String]) {
    let mut keepers = arena.keepers();
    keepers.retain(|k| k.arguments.last().is_some_and(|last| ids.contains(last)));
    assert_eq!(keepers.len(), ids.len());
    arena.run(&["ls"]).ok();
    keepers.iter().for_each(|k| arena.kill(k.id));
    let is_known = |s: &serde_json::Value| {
        s["health"] == "orphaned" && s["reason"].as_str().unwrap().starts_with("its keeper is gone")
    };
    until("all are known to have no keeper", || arena.all().iter().filter(|s| is_known(s)).count() == ids.len());
}
