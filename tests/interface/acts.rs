//! What takes processes away, and what brings a conversation back: the sweep, the emergency and its latch, the resume, the
//! export; and the terminal after a mistake in the program.

use super::Pane;

/// An agent that can be taken up again.
const TALKER: &str =
    "[[agent]]\nname = \"talker\"\nmatch = { program = [\"talker\"] }\nresume = { last = \"talker again\" }\n";

/// A pane whose daemon takes strays of any age, with one in it and a session.
fn pane() -> Option<Pane> {
    let pane = Pane::open()?;
    let script = |name: &str, text: &str| {
        let path = pane.home.path(&format!("bin/{name}"));
        std::fs::write(&path, format!("#!/bin/sh\n{text}")).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    };
    script("talker", "echo \"talker-${1:-first}-is-here\"\nexec cat\n");
    script("mcp-server-lost", "trap '' HUP\nwhile :; do sleep 600; done\n");
    let config = pane.home.path("home/.config/beadle");
    std::fs::create_dir_all(&config).unwrap();
    std::fs::write(config.join("config.toml"), format!("{TALKER}[sweep]\nmin_age = \"200ms\"\n")).unwrap();
    pane.home.beadle(&["run", "--name", "docs", "--", "talker"]);
    // Both ends of its pipes are closed when the line is over.
    pane.line(": | setsid sh -c 'exec 3<&0; mcp-server-lost <&3 3<&- & :' 2>/dev/null | :");
    Some(pane)
}

#[test]
fn a_sweep_shows_what_it_would_take_and_takes_what_is_marked() {
    let Some(pane) = pane() else { return };
    let before = pane.modes("before");
    pane.start("beadle");
    pane.sees("talker-first-is-here");
    pane.key("s");
    pane.sees("Esc");
    pane.wait("the plan", |screen| {
        // It is looked at again until it is old enough.
        if screen.contains("spared") {
            pane.key("r");
        }
        screen.contains("1 to take") && screen.contains("[x] mcp-server-lost")
    });
    pane.key("d");
    pane.sees("for it");
    pane.key("Space");
    pane.sees("[ ] mcp-server-lost");
    pane.key("Enter");
    pane.sees("nothing is marked");
    pane.key("Space");
    pane.sees("[x] mcp-server-lost");
    pane.key("Enter");
    pane.sees("1 taken");
    pane.key("Escape");
    pane.sees("talker-first-is-here");
    pane.key("@");
    pane.sees("$ beadle sweep");
    pane.key("Escape");
    pane.key("q");
    pane.ended(0);
    assert_eq!(pane.modes("after"), before);
    assert_eq!(pane.home.names(), ["docs"]);
}

#[test]
fn an_emergency_needs_its_own_key_latches_and_is_released() {
    let Some(pane) = pane() else { return };
    pane.start("beadle");
    pane.sees("talker-first-is-here");
    pane.key("E");
    pane.sees("Closes 1 session");
    pane.sees("Y close 1 session");
    pane.key("Enter");
    pane.sees("begun with Y");
    pane.key("Escape");
    pane.sees("talker-first-is-here");
    assert_eq!(pane.home.names(), ["docs"]);
    pane.key("E");
    pane.sees("Y close 1 session");
    pane.key("Y");
    pane.sees("1 session closed");
    pane.key("Escape");
    pane.sees("nothing starts since");
    pane.key("n");
    pane.sees("New session");
    pane.key("C-u");
    pane.text("sh agent first");
    pane.key("Enter");
    pane.sees("│ nothing starts since");
    pane.key("Escape");
    pane.key("L");
    pane.sees_no("nothing starts since");
    pane.key("R");
    pane.sees("talker again");
    pane.key("1");
    pane.sees("talker-again-is-here");
    assert_eq!(pane.home.names(), ["docs"]);
}

#[test]
fn what_is_kept_of_a_session_is_exported_where_the_interface_runs() {
    let Some(pane) = Pane::open() else { return };
    pane.session("kept");
    pane.start("beadle");
    pane.sees("kept-is-here");
    pane.key("e");
    pane.sees("exported to");
    assert!(pane.home.path("work/beadle-kept/session.cast").exists());
    pane.key("e");
    pane.sees("is there already");
}

#[test]
#[cfg(debug_assertions)]
fn a_mistake_in_the_program_leaves_the_terminal_as_it_was() {
    let Some(pane) = Pane::open() else { return };
    let before = pane.modes("before");
    pane.session("stays");
    // The first pictures are drawn, a later one is not.
    pane.line("BEADLE_FAILPOINTS='interface.drawn=3*off->panic' beadle; echo left=$?.");
    pane.wait("its end", |screen| screen.contains("left=") && screen.contains("a test asked for it"));
    pane.line("clear");
    assert_eq!(pane.modes("after"), before);
    assert_eq!(pane.home.names(), ["stays"]);
}

/// In another tmux than the one this runs in.
#[test]
fn an_agent_in_tmux_is_attached_to_and_left_again() {
    let Some(pane) = Pane::open() else { return };
    let agent = pane.home.path("bin/claude");
    std::fs::write(&agent, "#!/bin/sh\necho agent-in-tmux\nwhile read -r line; do :; done\n").unwrap();
    std::fs::set_permissions(&agent, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let socket = pane.home.path("other");
    let other = |args: &[&str]| {
        let first = ["-S", socket.to_str().unwrap(), "-f", "/dev/null"];
        let args: Vec<&str> = first.into_iter().chain(args.iter().copied()).collect();
        assert!(pane.home.run("tmux", &args).status.success(), "{args:?}");
    };
    other(&["new-session", "-d", "-s", "w", "-x", "80", "-y", "20", "claude"]);
    pane.start("beadle");
    pane.sees("w:0.0");
    pane.sees("Enter attach  i type  x kill  P pin  w window");
    pane.key("Enter");
    pane.sees_no("? help");
    pane.sees("agent-in-tmux");
    pane.key("C-b");
    pane.key("d");
    pane.sees("back from");
    other(&["kill-server"]);
}
