//! The daemon as a service. A script plays `systemctl`: it reads the unit, starts what that says with nothing but the
//! environment that says, and ends only the main process. The test itself listens on the socket of the manager.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use super::ask::ask;
use super::support::{Arena, PATIENCE, Running, Said, has, pid_of, until};

/// Called with the arena's directory in `ARENA`.
const SYSTEMCTL: &str = r#"#!/bin/sh
shift
echo "$@" >>"$ARENA/systemctl.log"
unit="$ARENA/config/systemd/user/beadle.service"
main() { cat "$ARENA/main" 2>/dev/null; }
end() { [ -n "$(main)" ] && kill -TERM "$(main)" && while kill -0 "$(main)" 2>/dev/null; do sleep 0.02; done; rm -f "$ARENA/main"; }
begin() {
    [ -n "$(main)" ] && kill -0 "$(main)" 2>/dev/null && return 0
    set -- $(sed -n 's/^ExecStart=//p' "$unit" | tr -d '"')
    program=$1; shift
    eval "setsid env -i XDG_E2E_COOKIE=$COOKIE HOME=$HOME $(sed -n 's/^Environment=//p' "$unit" | tr '\n' ' ') $program $* </dev/null >>\"$ARENA/service.out\" 2>&1 &
    echo \$! >\"$ARENA/main\""
    n=0
    until grep -q 'daemon started pid='"$(main)" "$ARENA"/state/logs/* 2>/dev/null; do
        kill -0 "$(main)" || { echo 'Job for beadle.service failed.' >&2; return 1; }
        n=$((n+1)); [ $n -lt 900 ] || return 1
        sleep 0.02
    done
}
case "$1" in
show-environment|daemon-reload|enable) ;;
start) begin ;;
restart) end; begin ;;
disable) end ;;
show) case "$4" in
    MainPID) main || echo 0 ;;
    ActiveState) if [ -n "$(main)" ]; then echo active; else echo inactive; fi ;;
    UnitFileState) echo enabled ;;
    esac ;;
esac
"#;

struct Host {
    arena: Arena,
}

impl Host {
    fn new() -> Self {
        let arena = Arena::new();
        std::fs::create_dir(arena.path("bin")).unwrap();
        arena.script("bin/systemctl", SYSTEMCTL);
        arena.script("bin/loginctl", "#!/bin/sh\necho \"$@\" >>\"$ARENA/loginctl.log\"\n");
        Self { arena }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.arena.beadle(args);
        let dir = self.arena.path("");
        let cookie = dir.file_name().unwrap().to_str().unwrap().to_string();
        command.env("ARENA", dir.to_str().unwrap().trim_end_matches('/')).env("COOKIE", cookie);
        command.env("PATH", format!("{}:/usr/bin:/bin", self.arena.path("bin").display()));
        command
    }

    #[track_caller]
    fn run(&self, args: &[&str]) -> Said {
        Running::of(self.command(args)).wait()
    }

    fn unit(&self) -> PathBuf {
        self.arena.path("config/systemd/user/beadle.service")
    }

    fn main(&self) -> i64 {
        std::fs::read_to_string(self.arena.path("main")).unwrap().trim().parse().unwrap()
    }

    fn asked(&self) -> String {
        std::fs::read_to_string(self.arena.path("systemctl.log")).unwrap_or_default()
    }
}

#[test]
fn the_service_takes_over_from_a_daemon_that_runs_and_no_session_is_lost_on_either_way() {
    let host = Host::new();
    let id = host.arena.sh("a", "exec cat");
    let leader = pid_of(&host.arena.show(&id)["leader_pid"]);
    let before = host.arena.daemon();
    let said = host.run(&["service", "install"]);
    assert!(said.err.contains("enable-linger"), "{said:?}");
    assert!(said.ok().contains("wrote"));
    assert_eq!(
        host.asked().lines().collect::<Vec<_>>(),
        ["show-environment", "daemon-reload", "enable beadle.service", "restart beadle.service"]
    );
    // The unit alone says where everything is: the one that runs now holds the same session.
    assert_eq!(host.arena.status()["pid"], host.main());
    assert_ne!(host.main(), i64::from(before.pid));
    assert_eq!(pid_of(&host.arena.show(&id)["leader_pid"]), leader);
    let status = host.run(&["service", "status", "--json"]).json();
    assert_eq!(
        (&status["active"], &status["daemon"], &status["changed"]),
        (&json!("active"), &json!(true), &json!(false))
    );
    assert!(host.run(&["service", "status"]).ok().contains("lingering is off"));
    // Again, as after an upgrade: nothing to be done.
    host.run(&["service", "install", "--linger"]).ok();
    assert_eq!(host.arena.status()["pid"], host.main());
    assert_eq!(std::fs::read_to_string(host.arena.path("loginctl.log")).unwrap(), "enable-linger\n");
    // The program is replaced and the service restarted: the session is the same.
    let old = host.main();
    let mut restart = host.command(&[]);
    let envs: Vec<_> = restart.get_envs().filter_map(|(k, v)| Some((k.to_owned(), v?.to_owned()))).collect();
    restart = Command::new(host.arena.path("bin/systemctl"));
    restart.env_clear().envs(envs).args(["--user", "restart", "beadle.service"]);
    Running::of(restart).wait().ok();
    assert_ne!(host.main(), old);
    assert_eq!(pid_of(&host.arena.show(&id)["leader_pid"]), leader);
    host.run(&["service", "uninstall"]).ok();
    assert!(!host.unit().exists() && host.arena.daemons().is_empty());
    assert_eq!(pid_of(&host.arena.show(&id)["leader_pid"]), leader, "and the next daemon finds it");
    host.run(&["service", "status"]).fails(1, "");
}

#[test]
fn a_unit_changed_by_hand_is_left_as_it_is_unless_that_is_said() {
    let host = Host::new();
    host.run(&["service", "install"]).ok();
    let mine = std::fs::read_to_string(host.unit()).unwrap().replace("WatchdogSec=60", "WatchdogSec=0");
    std::fs::write(host.unit(), &mine).unwrap();
    for verb in ["install", "uninstall"] {
        host.run(&["service", verb]).fails(1, "changed by hand");
        assert_eq!(std::fs::read_to_string(host.unit()).unwrap(), mine);
    }
    assert!(host.run(&["service", "status"]).ok().contains("changed by hand"));
    host.run(&["service", "install", "--force"]).ok();
    assert_eq!(std::fs::read_to_string(host.unit().with_extension("service.bak")).unwrap(), mine);
    assert!(std::fs::read_to_string(host.unit()).unwrap().contains("WatchdogSec=60"));
    host.run(&["service", "uninstall"]).ok();
    assert!(!host.unit().exists());
}

#[test]
fn without_a_systemd_of_the_user_nothing_is_written_and_it_is_said() {
    let host = Host::new();
    host.arena.script("bin/systemctl", "#!/bin/sh\necho 'Failed to connect to bus: No medium found' >&2\nexit 1\n");
    host.run(&["service", "install"]).fails(1, "Failed to connect to bus");
    let mut command = host.command(&["service", "install"]);
    command.env("PATH", host.arena.path("empty"));
    Running::of(command).wait().fails(1, "there is no systemd here");
    assert!(!host.unit().exists());
    // What systemd has against it is said in its words.
    host.arena
        .script("bin/systemctl", "#!/bin/sh\n[ \"$2\" = restart ] && { echo 'Job failed: no' >&2; exit 1; }\nexit 0\n");
    host.run(&["service", "install"]).fails(1, "Job failed: no");
}

#[test]
fn an_agent_does_not_make_the_daemon_a_service() {
    let host = Host::new();
    let script = format!("{} service install >../said 2>&1; echo $? >>../said; exec sleep 600", host.arena.binary());
    host.arena.sh("a", &script);
    let said = || std::fs::read_to_string(host.arena.path("said")).unwrap_or_default();
    until("an answer", || said().ends_with("5\n"));
    assert!(said().contains("inside a session") && !host.unit().exists(), "{}", said());
}

#[test]
fn the_unit_is_one_that_systemd_understands() {
    if !has("systemd-analyze") {
        return;
    }
    let host = Host::new();
    host.run(&["service", "install"]).ok();
    let mut command = host.arena.program("systemd-analyze");
    command.args(["--user", "verify", "--man=no"]).arg(host.unit()).env("XDG_RUNTIME_DIR", host.arena.path("work"));
    let said = Running::of(command).wait();
    assert!(said.status == 0 && !said.err.contains("beadle.service"), "{said:?}");
}

/// Until this was told.
#[track_caller]
fn hears(heard: &UnixDatagram, what: &str) {
    heard.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut text = [0; 256];
    loop {
        let count = heard.recv(&mut text).unwrap_or_else(|e| panic!("{what}: {e}"));
        if text[..count] == *what.as_bytes() {
            return;
        }
    }
}

#[test]
fn the_manager_is_told_that_it_is_ready_alive_and_about_to_end() {
    let arena = Arena::new();
    let path = arena.path("notify");
    let name = arena.path("").file_name().unwrap().to_str().unwrap().to_string();
    let sockets = [
        (UnixDatagram::bind(&path).unwrap(), path.display().to_string()),
        (UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap(), format!("@{name}")),
    ];
    for (heard, socket) in sockets {
        let mut command = arena.beadle(&["daemon", "--take-over"]);
        command.env("NOTIFY_SOCKET", &socket).env("WATCHDOG_USEC", "300000").env("INVOCATION_ID", "abc");
        command.env("BEADLE_SHUTDOWN__SESSIONS", "keep");
        let daemon = Running::of(command);
        hears(&heard, "READY=1");
        arena.run(&["daemon", "status"]).ok();
        hears(&heard, "WATCHDOG=1");
        hears(&heard, "WATCHDOG=1");
        // No session hears of it.
        let body = r#"{"command":["sh","-c","env; exec sleep 600"]}"#;
        let started = ask(&arena.socket(), "POST", "/api/session/start", body).json();
        let id = started["session_id"].as_str().unwrap().to_string();
        until("its environment", || arena.run(&["logs", &id]).ok().contains("BEADLE_SESSION_ID"));
        let env = arena.run(&["logs", &id]).ok();
        assert!(!env.contains("NOTIFY") && !env.contains("WATCHDOG") && !env.contains("INVOCATION"), "{env}");
        // Executed again in place it is the same process, and says so.
        arena.run(&["daemon", "restart"]).ok();
        hears(&heard, "READY=1");
        let pid = daemon.pid();
        assert_eq!(arena.status()["pid"], pid);
        arena.signal(arena.daemon(), Signal::TERM);
        hears(&heard, "STOPPING=1");
        assert_eq!(daemon.wait().status, 0);
        assert_eq!(arena.show(&id)["state"], "running");
    }
}

#[test]
fn a_daemon_that_hangs_stops_saying_that_it_is_alive() {
    let arena = Arena::new();
    let path = arena.path("notify");
    let heard = UnixDatagram::bind(&path).unwrap();
    let mut command = arena.beadle(&["daemon"]);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "300000");
    let _daemon = Running::of(command);
    hears(&heard, "WATCHDOG=1");
    arena.signal(arena.daemon(), Signal::STOP);
    heard.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let mut text = [0; 64];
    until("silence", || heard.recv(&mut text).is_err());
}

#[test]
fn the_daemon_inside_an_interface_is_not_taken_over() {
    if !has("script") {
        return;
    }
    let arena = Arena::new();
    let mut command = arena.program("script");
    command.args(["-qec", &format!("{} --embedded", arena.binary()), "/dev/null"]).env("TERM", "xterm");
    command.stdin(std::process::Stdio::piped());
    let _interface = Running::of(command);
    until("the interface serves", || arena.run(&["daemon", "status"]).status == 0);
    arena.run(&["daemon", "--take-over"]).fails(1, "--embedded");
    assert_eq!(arena.status()["embedded"], true);
}

#[test]
fn a_status_line_is_told_who_needs_somebody_and_never_starts_a_daemon() {
    let arena = Arena::new();
    for format in ["plain", "tmux"] {
        assert_eq!(arena.run(&["status", "--format", format]).ok(), "\n");
    }
    assert_eq!(arena.run(&["status", "--format", "json"]).ok(), "{\"running\":false}\n");
    assert_eq!(arena.processes(), []);
    let id = arena.sh("a", "exec sleep 600");
    assert_eq!(arena.run(&["status"]).ok(), "1 healthy\n");
    let mut stopped = arena.show(&id);
    arena.signal(pid_of(&stopped["leader_pid"]), Signal::STOP);
    until("it is stuck", || {
        stopped = arena.show(&id);
        stopped["health"] == "stuck"
    });
    assert_eq!(arena.run(&["status", "--format", "tmux"]).ok(), "#[fg=magenta]◐1 a#[default]\n");
    let told = arena.run(&["status", "--format", "json"]).json();
    assert_eq!((&told["running"], &told["stuck"], &told["name"]), (&json!(true), &json!(1), &json!("a")));
    // One that hangs is a question, and soon answered.
    arena.signal(arena.daemon(), Signal::STOP);
    assert_eq!(arena.run(&["status"]).ok(), "beadle ?\n");
    arena.signal(arena.daemons()[0].id, Signal::CONT);
}

#[test]
fn tmux_shows_the_segment_as_it_is_meant() {
    if !has("tmux") {
        return;
    }
    let arena = Arena::new();
    let tmux = |server: &str, args: &[&str]| {
        let mut command = arena.program("tmux");
        command.env("LANG", "C.UTF-8").env("TERM", "xterm").arg("-S").arg(arena.path(server));
        Running::of({
            command.args(["-u", "-f", "/dev/null"]).args(args);
            command
        })
        .wait()
        .ok()
    };
    let segment = "#[fg=yellow]◇1 ##(touch pwned)##[fg=red]##{host}#[default]";
    let script = arena.script("segment", &format!("#!/bin/sh\nprintf '%s\\n' '{segment}'\n"));
    tmux("inner", &["new-session", "-d", "-s", "t", "-x", "80", "-y", "20", "exec cat"]);
    for (option, value) in
        [("status-right-length", "60"), ("status-right", &format!("#({script})")), ("status-interval", "1")]
    {
        tmux("inner", &["set-option", "-g", option, value]);
    }
    // A client to draw it, in a terminal to look at.
    let attach = format!("exec env -u TMUX tmux -u -S {} attach", arena.path("inner").display());
    tmux("outer", &["new-session", "-d", "-s", "t", "-x", "80", "-y", "24", &attach]);
    until("it is drawn as text", || {
        tmux("outer", &["capture-pane", "-p", "-t", "t"]).contains("◇1 #(touch pwned)#[fg=red]#{host}")
    });
    assert!(!arena.path("work/pwned").exists());
}
