//! Where the demo plays: a directory of its own, and somebody who takes it away whatever becomes of the demo.
//!
//! The minder is another process: it waits until the demo closes their pipe (it does when it ends, however it ends), has
//! every session closed, waits for the strays, and removes the directory. All that plays ends by itself when that is gone.

use std::io::{self, BufRead, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::parts::{CONFIG, PROGRAMS, SCRIPT, STRAYS};
use crate::config::paths::Paths;
use crate::model::session::ProcId;
use crate::sys::{dirs, process, spawn};

/// Names the directory to all that plays; also the fence of the demo's sweeps.
const MARK: &str = "BEADLE_DEMO";
/// How long what plays may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

pub struct Place {
    dir: PathBuf,
    program: PathBuf,
    minder: Child,
}

impl Place {
    pub fn make() -> io::Result<Self> {
        let program = std::env::current_exe()?;
        let dir = std::env::temp_dir().join(format!("beadle-demo-{}", dirs::random_word(8)?));
        dirs::ensure_private(&dir).map_err(io::Error::other)?;
        let mut minder = Command::new(&program);
        minder.args(["demo", "--mind"]).arg(&dir).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let minder = minder.spawn().inspect_err(|_| drop(std::fs::remove_dir(&dir)))?;
        let place = Self { dir, program, minder };
        place.furnish()?;
        Ok(place)
    }

    fn furnish(&self) -> io::Result<()> {
        for below in ["bin", "home", "state", "run", "work"] {
            dirs::ensure_private(&self.dir.join(below)).map_err(io::Error::other)?;
        }
        for name in PROGRAMS {
            let path = self.dir.join("bin").join(name);
            std::fs::write(&path, SCRIPT)?;
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o700))?;
        }
        let fence = format!("{MARK}={}", self.dir.display());
        std::fs::write(self.dir.join("config.toml"), format!("{CONFIG}[sweep]\nmin_age = \"5s\"\nfence = {fence:?}\n"))
    }

    /// This program, in the demo.
    pub fn beadle(&self) -> Command {
        let mut command = Command::new(&self.program);
        self.within(&mut command);
        command
    }

    /// Gives a command the environment of the demo, and nothing of another beadle's.
    pub fn within(&self, command: &mut Command) {
        stage(&self.dir, command);
    }

    pub fn env(&self, name: &str) -> Option<String> {
        let own = own(&self.dir).into_iter().find(|(own, _)| *own == name).map(|(_, value)| value);
        own.or_else(|| std::env::var(name).ok().filter(|_| !name.starts_with("BEADLE_") && !name.starts_with("XDG_")))
    }

    pub fn paths(&self) -> io::Result<Paths> {
        Paths::resolve(|name| self.env(name), dirs::is_usable).map_err(io::Error::other)
    }

    /// A directory for a project, as an agent would have one.
    pub fn workspace(&self, project: &str) -> io::Result<PathBuf> {
        let work = self.dir.join("work").join(project);
        std::fs::create_dir_all(&work)?;
        Ok(work)
    }

    /// Helpers whose agent has died: nobody is at the other ends of their pipes.
    pub fn leave_strays(&mut self) -> io::Result<()> {
        for name in STRAYS {
            // Where there is no setsid they keep this terminal, and a sweep spares them.
            let mut agent = Command::new(if has_setsid() { "setsid" } else { "sh" });
            self.within(&mut agent);
            agent
                .args(if has_setsid() { &["sh"][..] } else { &[] })
                .args(["-c", "exec 3<&0; \"$0\" /srv/app <&3 3<&- & echo $!"])
                .arg(self.dir.join("bin").join(name));
            let mut agent = agent.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
            let mut said = String::new();
            if let Some(out) = agent.stdout.as_mut() {
                io::BufReader::new(out).read_line(&mut said)?;
            }
            agent.wait()?;
            // Our ends of its pipes close with this.
            drop(agent);
            if let Some(id) = said.trim().parse().ok().and_then(process::identity)
                && let Some(pipe) = self.minder.stdin.as_mut()
            {
                writeln!(pipe, "{} {}", id.pid, id.start)?;
            }
        }
        Ok(())
    }

    /// Ends the demo; comes back when nothing of it is left. False: something may be.
    pub fn leave(mut self) -> bool {
        drop(self.minder.stdin.take());
        let mut said = String::new();
        // A minder that was killed says nothing.
        let _ = self.minder.stdout.take().map(|mut out| out.read_to_string(&mut said));
        let _ = self.minder.wait();
        said.trim() == "gone"
    }
}

fn has_setsid() -> bool {
    let path = std::env::var("PATH").ok();
    spawn::find_program("setsid", path.as_deref(), Path::new("/")).is_ok()
}

fn own(dir: &Path) -> Vec<(&'static str, String)> {
    let below = |name: &str| dir.join(name).display().to_string();
    let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/local/bin:/usr/bin:/bin".into());
    vec![
        (MARK, dir.display().to_string()),
        ("BEADLE_STATE_DIR", below("state")),
        ("BEADLE_RUNTIME_DIR", below("run")),
        ("BEADLE_CONFIG", below("config.toml")),
        ("HOME", below("home")),
        ("PATH", format!("{}:{path}", below("bin"))),
    ]
}

fn stage(dir: &Path, command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("BEADLE_") || name.to_string_lossy().starts_with("XDG_") {
            command.env_remove(name);
        }
    }
    command.envs(own(dir));
}

/// What the minder does. Says `gone` when all of it is.
pub fn mind(dir: &Path) -> io::Result<&'static str> {
    let is_ours = dir.file_name().is_some_and(|name| name.to_string_lossy().starts_with("beadle-demo-"));
    if !is_ours {
        return Err(io::Error::other("it is no directory of a demo"));
    }
    // Whoever hangs up on the demo does not end this.
    spawn::detach()?;
    let mut told = String::new();
    // A pipe that breaks is as closed.
    let _ = io::stdin().read_to_string(&mut told);
    let program = std::env::current_exe()?;
    let asked = |words: &[&str]| {
        let mut command = Command::new(&program);
        command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        stage(dir, &mut command);
        command.status().is_ok_and(|status| status.success())
    };
    // A daemon that was killed is started once more, to close what its keepers hold.
    let are_closed = !dir.join("state").exists() || (asked(&["close-all"]) && asked(&["daemon", "stop", "--yes"]));
    let end = Instant::now() + PATIENCE;
    while std::fs::remove_dir_all(dir).is_err() && dir.exists() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(50));
    }
    let strays: Vec<ProcId> = told.lines().filter_map(stray).collect();
    while strays.iter().any(|id| process::is_alive(*id)) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(50));
    }
    let are_gone = !strays.iter().any(|id| process::is_alive(*id));
    Ok(if are_closed && are_gone && !dir.exists() { "gone" } else { "left" })
}

fn stray(line: &str) -> Option<ProcId> {
    let (pid, start) = line.split_once(' ')?;
    Some(ProcId { pid: pid.parse().ok()?, start: start.parse().ok()? })
}
