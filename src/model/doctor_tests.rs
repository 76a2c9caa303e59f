//! Each fact with the verdict it must have.

use super::*;

fn dir() -> Directory {
    let file_system =
        FileSystem { magic: TMPFS, read_only: false, free_bytes: 1 << 40, inodes: 1_000_000, free_inodes: 900_000 };
    Directory {
        path: "/d".into(),
        exists: true,
        is_directory: true,
        is_own: true,
        mode: 0o40700,
        file_system: Some(file_system),
    }
}

fn on(change: impl FnOnce(&mut FileSystem)) -> Directory {
    let mut dir = dir();
    dir.file_system.iter_mut().for_each(|f| f.free_inodes = 900_000);
    if let Some(f) = &mut dir.file_system {
        change(f);
    }
    dir
}

#[track_caller]
fn is(finding: &Finding, level: Level, says: &str) {
    assert_eq!(finding.level, level, "{finding:?}");
    assert!(finding.text.contains(says), "{says:?} is not in {finding:?}");
    if level > Level::Note {
        assert!(finding.advice.is_some() || finding.text.contains("cannot be asked"), "{finding:?}");
    }
}

#[test]
fn a_directory_is_ours_alone_or_not_there() {
    for (dir, level, says) in [
        (dir(), Level::Ok, "yours alone"),
        (Directory { exists: false, ..dir() }, Level::Ok, "not there yet"),
        (Directory { mode: 0o40755, ..dir() }, Level::Warn, "mode 0755"),
        (Directory { is_own: false, ..dir() }, Level::Fail, "another user"),
        (Directory { is_directory: false, ..dir() }, Level::Fail, "not a directory"),
    ] {
        is(&state(&dir), level, says);
        is(&runtime(&dir, RuntimeFrom::Xdg), level, says);
    }
    is(&runtime(&dir(), RuntimeFrom::State), Level::Note, "XDG_RUNTIME_DIR");
    is(&runtime(&on(|f| f.magic = 0xef53), RuntimeFrom::Xdg), Level::Note, "not in memory");
    is(&state(&on(|f| f.magic = 0x6969)), Level::Warn, "NFS");
    is(&state(&on(|f| f.magic = 0x6573_5546)), Level::Warn, "FUSE");
}

#[test]
fn a_disk_has_room_for_bytes_and_files() {
    is(&disk(&dir()), Level::Ok, "free");
    is(&disk(&on(|f| f.free_bytes = 100 * MIB)), Level::Warn, "100 MiB");
    is(&disk(&on(|f| f.free_bytes = MIB)), Level::Fail, "nothing more");
    is(&disk(&on(|f| f.free_inodes = 5)), Level::Fail, "5 files");
    is(&disk(&on(|f| (f.inodes, f.free_inodes) = (0, 0))), Level::Ok, "MiB free");
    is(&disk(&on(|f| f.read_only = true)), Level::Fail, "only be read");
    is(&disk(&Directory { file_system: None, ..dir() }), Level::Warn, "cannot be asked");
}

#[test]
fn what_a_logout_kills_is_read_as_logind_reads_it() {
    let read = |texts: &[&str]| LogoutRules::read(texts.iter().copied());
    assert_eq!(read(&["[Login]\n#KillUserProcesses=no\n"]).kills, Some(false));
    assert_eq!(read(&["#KillUserProcesses=no\n", "[Login]\nKillUserProcesses = yes\n"]).kills, Some(true));
    assert_eq!(read(&["KillUserProcesses=yes\n", "KillUserProcesses=no"]).kills, Some(false));
    assert_eq!(read(&[""]).kills, None);
    let host =
        |user: &str, text: &str, lingers| Logout { logind: true, rules: read(&[text]), user: user.into(), lingers };
    is(&logout(&host("u", "KillUserProcesses=yes", true), false), Level::Warn, "kills");
    is(&logout(&host("root", "KillUserProcesses=yes", true), false), Level::Ok, "ends nothing");
    is(
        &logout(&host("u", "KillUserProcesses=yes\nKillExcludeUsers=a u", false), false),
        Level::Note,
        "runtime directory",
    );
    is(&logout(&host("u", "KillUserProcesses=yes\nKillOnlyUsers=a b", true), false), Level::Ok, "ends nothing");
    is(&logout(&host("root", "KillUserProcesses=yes\nKillExcludeUsers=", true), false), Level::Warn, "kills");
    is(&logout(&host("u", "", false), false), Level::Note, "not known");
    let kills = |lingers| logout(&host("u", "KillUserProcesses=yes", lingers), true);
    is(&kills(true), Level::Ok, "daemon and sessions are not");
    is(&kills(false), Level::Warn, "last login ends every session");
    is(&logout(&Logout::default(), false), Level::Ok, "no systemd-logind");
    is(&token("/c", 0o100_600), Level::Ok, "you alone");
    is(&token("/c", 0o100_644), Level::Warn, "others can read /c (mode 0644)");
    is(&service(false, &host("u", "", false)), Level::Ok, "not installed");
    is(&service(true, &host("u", "", false)), Level::Warn, "lingering is off");
    is(&service(true, &host("u", "", true)), Level::Ok, "outlives");
}

#[test]
fn the_machine_is_judged_by_what_is_lost_without() {
    let whole = Kernel { release: "6.18".into(), pidfd_open: true, pidfd_signal: true, peer_pidfd: true };
    is(&kernel(&whole), Level::Ok, "6.18");
    is(&kernel(&Kernel { peer_pidfd: false, ..whole.clone() }), Level::Note, "number only");
    is(&kernel(&Kernel { pidfd_signal: false, ..whole }), Level::Fail, "no pidfds");
    let refused = Delegation::Refused { dir: "/c".into(), why: "read-only".into() };
    is(&cgroup(&refused, true, false), Level::Note, "/c (read-only)");
    is(&cgroup(&refused, false, false), Level::Note, "sys.cgroup");
    is(&cgroup(&refused, true, true), Level::Ok, "in its scope");
    is(&cgroup(&refused, false, true), Level::Note, "sys.cgroup");
    is(&cgroup(&Delegation::NoV2, true, false), Level::Note, "no cgroup v2");
    is(&cgroup(&Delegation::Writable { dir: "/c".into(), can_kill: true }, true, false), Level::Ok, "/c");
    is(&scope(&Standing::Own), Level::Ok, "for each");
    is(&scope(&Standing::Untried), Level::Ok, "asked for");
    is(&scope(&Standing::Off), Level::Note, "sys.scope");
    is(&scope(&Standing::Absent), Level::Note, "no systemd that runs");
    is(&scope(&Standing::Failed("it said no".into())), Level::Warn, "it said no");
    is(&open_files(1024, 1000), Level::Warn, "224 sessions");
    is(&open_files(8192, 1000), Level::Ok, "8192");
    is(&clock(true, Some(-30.0)), Level::Ok, "agree");
    is(&clock(true, Some(-7200.0)), Level::Note, "2 h");
    is(&clock(false, None), Level::Fail, "no id");
    is(&sight(&Sight { own_readable: true, others_visible: false, is_root: false }), Level::Note, "hidepid");
    is(&sight(&Sight { own_readable: true, others_visible: false, is_root: true }), Level::Ok, "every process");
    is(&sight(&Sight::default()), Level::Fail, "cannot be read");
    is(&reaper("sleep", 3), Level::Warn, "3 zombies");
    is(&reaper("systemd", 0), Level::Ok, "systemd");
}

#[test]
fn what_beadle_itself_has_left_is_told_with_what_to_do() {
    is(&tmux(true, Some("tmux 3.5")), Level::Note, "tmux 3.5");
    is(&tmux(false, None), Level::Note, "not installed");
    is(&config("/c", Some("line 2")), Level::Fail, "line 2");
    is(&daemon(&Daemon::Runs { version: "0".into(), sessions: 1 }, "1"), Level::Warn, "version 0");
    is(&daemon(&Daemon::Silent, "1"), Level::Fail, "does not answer");
    is(&daemon(&Daemon::None, "1"), Level::Ok, "none runs");
    is(&unread(&[("a".into(), "silent".into())]), Level::Warn, "a (silent)");
    is(&sockets(&["/s".into()]), Level::Note, "/s");
    is(&sockets(&[]), Level::Ok, "every");
}
