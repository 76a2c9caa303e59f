//! The text of the unit: the one in `assets`, with the program and the environment of this user, and a mark by which a
//! change by hand is known.

use std::path::{Path, PathBuf};

/// Its name to systemd.
pub const NAME: &str = "beadle.service";
const TEMPLATE: &str = include_str!("../../../assets/beadle.service");
/// Begins the line with the mark.
const MARK: &str = "# Written by `beadle service install`; mark ";

/// What of the caller's environment says where beadle's things are, and where programs are found.
pub const CARRIED: &[&str] = &[
    "PATH",
    "BEADLE_CONFIG",
    "BEADLE_STATE_DIR",
    "BEADLE_RUNTIME_DIR",
    "XDG_CONFIG_HOME",
    "XDG_STATE_HOME",
    "XDG_DATA_HOME",
    "XDG_CACHE_HOME",
    "LANG",
];

/// Where a user's units are (systemd.unit(5)).
pub fn path(env: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let absolute = |name| env(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let config = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")))?;
    Some(config.join("systemd/user").join(NAME))
}

/// The unit for a program; `env` are the variables it is to have. `None` when the program cannot be named in a unit.
pub fn text(program: &Path, env: &[(String, String)]) -> Option<String> {
    let program = quoted(program.to_str()?, true)?;
    let mut lines = Vec::new();
    for line in TEMPLATE.lines().skip_while(|line| line.starts_with('#') || line.is_empty()) {
        if line.starts_with("ExecStart=") {
            lines.push(format!("ExecStart={program} daemon --take-over"));
            // What systemd cannot be told is left out.
            lines.extend(
                env.iter().filter_map(|(k, v)| Some(format!("Environment={}", quoted(&format!("{k}={v}"), false)?))),
            );
        } else {
            lines.push(line.to_string());
        }
    }
    let body = lines.join("\n") + "\n";
    Some(format!("{MARK}{:016x}\n{body}", fingerprint(&body)))
}

/// True when this is as `install` wrote it, whichever version that was.
pub fn is_untouched(text: &str) -> bool {
    let Some((mark, body)) = text.strip_prefix(MARK).and_then(|rest| rest.split_once('\n')) else { return false };
    mark == format!("{:016x}", fingerprint(body))
}

/// One word to systemd, whatever is in it (systemd.service(5), "Command lines"; systemd.syntax(7)). `%` begins a
/// specifier everywhere, `$` a variable in a command line.
fn quoted(text: &str, is_command: bool) -> Option<String> {
    if text.chars().any(char::is_control) {
        return None;
    }
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%");
    let escaped = if is_command { escaped.replace('$', "$$") } else { escaped };
    Some(format!("\"{escaped}\""))
}

/// FNV-1a: the same in every version of this program and of Rust.
fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_names_the_program_and_what_it_needs_and_nothing_in_them_steers_systemd() {
        let env = [("PATH".to_string(), "/a b:/c%d:\"$x\\".to_string()), ("X".into(), "a\nExecStart=/bin/evil".into())];
        let unit = text(Path::new("/opt/100% my $beadle/beadle"), &env).unwrap();
        let lines: Vec<&str> = unit.lines().collect();
        assert!(lines.contains(&r#"ExecStart="/opt/100%% my $$beadle/beadle" daemon --take-over"#), "{unit}");
        assert!(lines.contains(&r#"Environment="PATH=/a b:/c%%d:\"$x\\""#), "{unit}");
        assert!(!unit.contains("evil"), "{unit}");
        for line in ["Type=notify", "KillMode=process", "Delegate=yes", "Environment=BEADLE_SHUTDOWN__SESSIONS=keep"] {
            assert!(lines.contains(&line), "{line}");
        }
        assert_eq!(unit.matches("ExecStart=").count(), 1);
        assert_eq!(text(Path::new("/a\nb"), &[]), None);
    }

    #[test]
    fn a_change_by_hand_is_known() {
        let unit = text(Path::new("/usr/bin/beadle"), &[]).unwrap();
        assert!(is_untouched(&unit));
        assert!(!is_untouched(&unit.replace("WatchdogSec=60", "WatchdogSec=0")));
        assert!(!is_untouched(TEMPLATE) && !is_untouched("") && !is_untouched("[Service]\n"));
    }

    #[test]
    fn units_are_where_systemd_looks_for_them() {
        let at =
            |vars: &[(&str, &str)]| path(|name| vars.iter().find(|(k, _)| *k == name).map(|(_, v)| (*v).to_string()));
        assert_eq!(at(&[("HOME", "/h")]), Some("/h/.config/systemd/user/beadle.service".into()));
        assert_eq!(at(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/c")]), Some("/c/systemd/user/beadle.service".into()));
        assert_eq!(at(&[]), None);
    }
}
