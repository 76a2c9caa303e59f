//! Hooks: told in JSON, without a shell, in time or not at all, and never by themselves.

use serde_json::Value;

use super::support::{Arena, until, until_some};

impl Arena {
    /// A hook that is a shell script; its config, to be followed by `timeout`.
    pub fn hook(&self, name: &str, events: &str, script: &str) -> String {
        let program = self.script(name, &format!("#!/bin/sh\n{script}\n"));
        format!("\n[[hook]]\nevents = [{events}]\ncommand = [{program:?}, \"$(touch evil)\", \"two words\"]\n")
    }

    fn lines_of(&self, below: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.path(below)).unwrap_or_default();
        text.lines().map(String::from).collect()
    }

    fn hook_figure(&self, result: &str) -> u64 {
        let page = super::ask::ask(&self.socket(), "GET", "/metrics", "");
        let text = String::from_utf8(page.body).unwrap();
        let name = format!("beadle_hook_runs_total{{result=\"{result}\"}} ");
        text.lines().find_map(|l| l.strip_prefix(&name)).unwrap().parse().unwrap()
    }
}

const STOP: &str = "[stop]\ngrace = \"300ms\"\n";

#[test]
fn a_hook_gets_the_event_in_json_a_clean_environment_and_its_arguments_as_they_are() {
    let arena = Arena::new();
    let out = arena.path("work/out").display().to_string();
    let script = format!("cat >>{out}.json\nenv >{out}.env\nprintf '%s\\n' \"$@\" >{out}.args\necho done >{out}.done");
    arena.configure(&format!("{STOP}{}", arena.hook("tell", "\"session_ended\"", &script)));
    let mut start = arena.beadle(&["daemon", "start"]);
    start.env("ANTHROPIC_API_KEY", "secret");
    super::support::Running::of(start).wait().ok();
    let id = arena.session(&["--name", "a", "--env", "KEY=hidden", "--", "sh", "-c", "exit 3"]);
    until("it was run", || arena.path("work/out.done").exists());
    let event: Value = serde_json::from_str(&arena.lines_of("work/out.json")[0]).unwrap();
    assert_eq!((&event["kind"], &event["sessionId"]), (&"session_ended".into(), &id.as_str().into()));
    assert_eq!(event["exit"]["code"], 3);
    assert_eq!(arena.lines_of("work/out.args"), ["$(touch evil)", "two words"]);
    let env = arena.lines_of("work/out.env").join("\n");
    assert!(
        env.contains("BEADLE_EVENT=session_ended") && env.contains("BEADLE_SOCKET=") && env.contains("PATH="),
        "{env}"
    );
    assert!(!env.contains("secret") && !env.contains("hidden"), "{env}");
    until("it is counted", || arena.hook_figure("done") == 1);
    let set = super::ask::ask(&arena.socket(), "POST", "/api/cleanup/set", r#"{"settings":[["hook","x"]]}"#);
    assert_eq!(set.status, 422, "hooks cannot be set from outside the file");
}

#[test]
fn a_hook_that_hangs_is_ended_with_all_it_started_and_delays_nobody() {
    let arena = Arena::new();
    let out = arena.path("work/out").display().to_string();
    let hang = "trap '' TERM HUP INT\n(setsid sh -c 'trap \"\" TERM; sleep 601 & sleep 602' &)\nsleep 603";
    let hung = format!("{}timeout = \"1s\"\n", arena.hook("hang", "\"session_started\"", hang));
    let quick = arena.hook("quick", "\"session_started\"", &format!("cat >>{out}"));
    arena.configure(&format!("{STOP}{hung}{quick}"));
    for name in ["a", "b", "c"] {
        arena.sh(name, "exec sleep 600");
    }
    until("the other hook has heard of all three", || arena.lines_of("work/out").len() == 3);
    until("all are ended", || arena.hook_figure("failed") == 3);
    let left: Vec<String> = arena.processes().iter().map(|p| p.arguments.join(" ")).collect();
    assert!(!left.iter().any(|c| ["sleep 601", "sleep 602", "sleep 603"].contains(&c.as_str())), "{left:?}");
    assert!(!left.iter().any(|c| c.starts_with("beadle leash")), "{left:?}");
    assert!(arena.log().contains("ended after 1s, with all it had started"), "{}", arena.log());
    assert_eq!(arena.agents().len(), 3, "the sessions are as they were");
}

#[test]
fn what_a_hook_causes_runs_no_hook() {
    let arena = Arena::new();
    let out = arena.path("work/out").display().to_string();
    let beadle = arena.binary().to_string();
    // Starts another session for each that ends, by itself and through a process that has left it behind.
    let again = format!("cat >>{out}\n{beadle} run -- true >/dev/null\nsetsid {beadle} run -- true >/dev/null");
    let kill =
        format!("id=$(sed 's/.*\"sessionId\":\"\\([a-z0-9]*\\)\".*/\\1/')\n{beadle} kill $id --reason hook >/dev/null");
    let hooks = [
        arena.hook("again", "\"session_ended\", \"session_cleanup\"", &again),
        arena.hook("kill", "\"session_changed\"", &kill),
    ];
    arena.configure(&format!("{STOP}{}", hooks.concat()));
    let id = arena.session(&["--name", "a", "--", "sh", "-c", "exit 3"]);
    let ended = |id: &str| arena.kept_events("&since=0&kind=session_ended").into_iter().find(|e| e["sessionId"] == id);
    until_some("its end", || ended(&id));
    let of_hook = || {
        let all = arena.kept_events("&since=0&kind=session_ended");
        all.into_iter().filter(|e| e["byHook"] == true).count()
    };
    until("both sessions of the hook have ended", || of_hook() == 2);
    // One that a hook kills: its end is told, and runs nobody either.
    let other = arena.sh("b", "exec sleep 600");
    arena.run(&["pin", "b"]).ok();
    let end = until_some("the end of the second", || ended(&other));
    assert_eq!((&end["byHook"], &end["exit"]["reason"]), (&true.into(), &"hook".into()), "{end}");
    // The next that ends by itself shows that nothing else was waiting.
    let last = arena.session(&["--name", "c", "--", "sh", "-c", "exit 3"]);
    until("the hook has heard of it", || arena.lines_of("work/out").iter().any(|l| l.contains(&last)));
    until("and has started two more", || of_hook() == 5);
    let heard: Vec<String> = arena.lines_of("work/out");
    assert_eq!(heard.len(), 2, "{heard:?}");
    assert!(heard[0].contains(&id) && heard[1].contains(&last), "{heard:?}");
}

#[test]
fn a_hook_that_cannot_be_run_is_said_and_counted_and_a_new_config_holds_at_once() {
    let arena = Arena::with(&format!("{STOP}[[hook]]\nevents = [\"*\"]\ncommand = [\"/nowhere/at/all\"]\n"));
    arena.sh("a", "exec sleep 600");
    until("it is counted", || arena.hook_figure("failed") > 0);
    assert!(arena.log().contains("failed to run /nowhere/at/all"), "{}", arena.log());
    let out = arena.path("work/out").display().to_string();
    arena.configure(&format!("{STOP}{}", arena.hook("tell", "\"session_changed\"", &format!("cat >>{out}"))));
    arena.run(&["config", "reload"]).ok();
    arena.run(&["pin", "a"]).ok();
    until("the new one is run", || !arena.lines_of("work/out").is_empty());
}
