//! Every tmux server of the user, and what it says of its panes.
//!
//! A server is asked through the socket it listens on, on a thread of its own, and one that does not answer is not waited
//! for a second time: a hung server delays nobody, and is an error, never an absence. A socket file nobody listens on is
//! an absence.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use crate::daemon::tmux;
use crate::model::process::Table;
use crate::model::scene::Pane;
use crate::model::session::ProcId;
use crate::sys::child::{self, NoAnswer};
use crate::sys::{card, dirs, peers, process, socket, spawn};

/// How long a server may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a pass waits for servers that answered the last time; the others are heard by a later pass.
const WAIT: Duration = Duration::from_millis(200);
/// Fields that cannot hold a colon come first, and the title, which can hold anything, last.
const FORMAT: &str = "#{pane_id}:#{pane_pid}:#{pane_tty}:#{window_index}:#{pane_index}:#{window_activity}:\
    #{session_attached}:#{session_name}:#{pane_title}";

/// A server as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    pub id: ProcId,
    pub socket: PathBuf,
    /// Its panes, as it said last.
    pub panes: Vec<Pane>,
}

/// What is on a pane now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    pub socket: String,
    pub pane: String,
    pub text: String,
}

/// What one server answered.
struct Answer {
    server: ProcId,
    panes: Result<Vec<Pane>, String>,
    shown: Vec<Shown>,
}

/// What a server said last, and why it says nothing now. Its panes are still there: an error is never an absence.
#[derive(Debug, Default)]
struct Heard {
    panes: Vec<Pane>,
    error: Option<String>,
}

impl Heard {
    fn late() -> Self {
        Self { panes: Vec::new(), error: Some("it has not answered yet".into()) }
    }

    fn take(&mut self, answer: Result<Vec<Pane>, String>) {
        match answer {
            Ok(panes) => *self = Self { panes, error: None },
            Err(error) => self.error = Some(error),
        }
    }
}

#[derive(Debug)]
pub struct Panes {
    sockets: HashMap<ProcId, PathBuf>,
    answers: HashMap<ProcId, Heard>,
    /// Asked, and not heard from.
    asked: HashSet<ProcId>,
    /// When the screens of panes were last read: (socket, pane) to Unix seconds.
    looked: HashMap<(String, String), u64>,
    send: Sender<Answer>,
    receive: Receiver<Answer>,
}

impl Default for Panes {
    fn default() -> Self {
        let (send, receive) = mpsc::channel();
        Self {
            sockets: HashMap::new(),
            answers: HashMap::new(),
            asked: HashSet::new(),
            looked: HashMap::new(),
            send,
            receive,
        }
    }
}

impl Panes {
    /// Asks every server that is not asked already. `is_visible` says who may be seen; of the panes in `agents`
    /// (socket and id) the screen is read when something was written since the last time.
    pub fn ask(
        &mut self,
        table: &Table,
        is_visible: impl Fn(ProcId) -> bool,
        agents: &HashSet<(String, String)>,
        errors: &mut Vec<String>,
    ) -> (Vec<Server>, Vec<Shown>) {
        let servers = self.servers(table, is_visible, errors);
        self.sockets.retain(|id, _| table.is_alive(*id));
        self.answers.retain(|id, _| table.is_alive(*id));
        self.asked.retain(|id| table.is_alive(*id));
        self.looked.retain(|key, _| agents.contains(key));
        let mut waited: HashSet<ProcId> = HashSet::new();
        for (id, socket) in &servers {
            if !self.asked.insert(*id) {
                continue;
            }
            // One that did not answer the last time is heard when it does.
            if self.answers.get(id).is_none_or(|heard| heard.error.is_none()) {
                waited.insert(*id);
            }
            self.question(*id, socket, agents);
        }
        let shown = self.hear(waited);
        let mut said = |id: ProcId, socket: PathBuf| {
            let heard = self.answers.entry(id).or_insert_with(Heard::late);
            let why =
                heard.error.as_ref().map(|why| format!("the tmux server {} ({}): {why}", id.pid, socket.display()));
            errors.extend(why);
            let is_late = heard.error.is_some();
            // Of what it said earlier, those that ended since are not there any more.
            let lives = |pane: &&Pane| table.pid(pane.first).is_some_and(|p| !p.is_dead());
            let there = heard.panes.iter().filter(|pane| !is_late || lives(pane));
            Server { panes: there.cloned().collect(), id, socket }
        };
        (servers.into_iter().map(|(id, socket)| said(id, socket)).collect(), shown)
    }

    fn question(&self, server: ProcId, socket: &Path, agents: &HashSet<(String, String)>) {
        let of_this = |key: &&(String, String)| key.0 == card::text_of(socket);
        let looked: HashMap<String, u64> = agents
            .iter()
            .filter(of_this)
            .map(|key| (key.1.clone(), self.looked.get(key).copied().unwrap_or(0)))
            .collect();
        let (send, socket) = (self.send.clone(), socket.to_path_buf());
        let asking = std::thread::Builder::new().name("tmux".into()).stack_size(256 << 10).spawn(move || {
            let panes = list(server, &socket);
            let stale = |p: &&Pane| looked.get(&p.id).is_some_and(|at| p.active_at >= *at);
            let wanted: Vec<&str> = panes.iter().flatten().filter(stale).map(|p| p.id.as_str()).collect();
            let shown = screens(&socket, &wanted);
            // A daemon that has ended hears nothing.
            let _ = send.send(Answer { server, panes, shown });
        });
        // No thread: as if it had not answered, and asked again by the next pass.
        drop(asking);
    }

    /// Takes in what was answered, and waits a little for those that usually do.
    fn hear(&mut self, mut waited: HashSet<ProcId>) -> Vec<Shown> {
        let end = Instant::now() + WAIT;
        let mut shown = Vec::new();
        loop {
            let left = if waited.is_empty() { Duration::ZERO } else { end.saturating_duration_since(Instant::now()) };
            let Ok(answer) = self.receive.recv_timeout(left) else { break };
            waited.remove(&answer.server);
            self.asked.remove(&answer.server);
            let now = crate::sys::clock::unix_now();
            for one in &answer.shown {
                self.looked.insert((one.socket.clone(), one.pane.clone()), now);
            }
            shown.extend(answer.shown);
            self.answers.entry(answer.server).or_default().take(answer.panes);
        }
        for late in waited {
            self.answers.entry(late).or_insert_with(Heard::late);
        }
        shown
    }

    /// Servers that may be seen, with the socket each listens on.
    fn servers(
        &mut self,
        table: &Table,
        is_visible: impl Fn(ProcId) -> bool,
        errors: &mut Vec<String>,
    ) -> Vec<(ProcId, PathBuf)> {
        let mut found: Vec<(ProcId, PathBuf)> = Vec::new();
        for p in table.iter().filter(|p| p.is_tmux_server() && !p.is_dead() && is_visible(p.id)) {
            let known = self.sockets.get(&p.id).filter(|s| s.exists()).cloned();
            match known.or_else(|| listening(p.id.pid)) {
                Some(socket) => {
                    self.sockets.insert(p.id, socket.clone());
                    found.push((p.id, socket));
                }
                // A client that is about to become one has no socket yet; one that lost it can make it anew.
                None => errors.extend(why_no_socket(p.id)),
            }
        }
        for path in directory_sockets() {
            if found.iter().any(|(_, known)| *known == path) {
                continue;
            }
            match socket::listener(&path) {
                // Nobody listens there.
                Ok(None) => {}
                Ok(Some(pid)) => {
                    let id = table.pid(pid).map(|p| p.id).filter(|id| is_visible(*id));
                    found.extend(id.filter(|id| found.iter().all(|(known, _)| known != id)).map(|id| (id, path)));
                }
                Err(error) => errors.push(format!("the socket {} cannot be asked: {error}", path.display())),
            }
        }
        found
    }
}

fn listening(pid: i32) -> Option<PathBuf> {
    tmux::reachable(pid, &peers::listening_paths(pid).ok()?)
}

/// `None`: a client that is about to become a server has no socket yet, and one that has ended none any more.
fn why_no_socket(server: ProcId) -> Option<String> {
    let pid = server.pid;
    match peers::listening_paths(pid) {
        Ok(sockets) if sockets.is_empty() => None,
        // It can make it anew.
        Ok(_) => Some(format!("the tmux server {pid} has lost its socket (`kill -USR1 {pid}` makes it anew)")),
        Err(_) if !process::is_alive(server) => None,
        Err(error) => Some(format!("the tmux server {pid} cannot be looked at: {error}")),
    }
}

/// Where tmux has its sockets by default (tmux(1), `TMUX_TMPDIR`).
fn directory_sockets() -> Vec<PathBuf> {
    let base = std::env::var_os("TMUX_TMPDIR").filter(|d| !d.is_empty()).map_or_else(|| "/tmp".into(), PathBuf::from);
    let dir = base.join(format!("tmux-{}", spawn::own_uid()));
    std::fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path()).collect()
}

/// A tmux command for the server behind a socket; from outside, whatever beadle itself was started in.
pub fn command(socket: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("tmux");
    command.arg("-u").arg("-S").arg(socket).args(args);
    command.env_remove("TMUX").env_remove("TMUX_PANE").stdin(Stdio::null());
    command
}

/// Asks a server within its patience.
pub fn told(socket: &Path, args: &[&str]) -> Result<String, NoAnswer> {
    child::answer_within(&mut command(socket, args), PATIENCE)
}

/// Asks a server for its panes now.
pub fn list(server: ProcId, socket: &Path) -> Result<Vec<Pane>, String> {
    let text = told(socket, &["list-panes", "-a", "-F", FORMAT]).map_err(|e| e.to_string())?;
    let pane = |line: &str| parse(line).map(|p| Pane { socket: card::text_of(socket), server: server.pid, ..p });
    let panes: Option<Vec<Pane>> = text.lines().map(pane).collect();
    panes.ok_or_else(|| "it says something of its panes that cannot be understood".into())
}

fn parse(line: &str) -> Option<Pane> {
    let mut fields = line.splitn(9, ':');
    let mut next = || fields.next();
    let (id, first, tty) = (next()?, next()?.parse().ok()?, card::tty_of(next()?));
    let (window, index) = (next()?.parse().ok()?, next()?.parse().ok()?);
    let (active_at, attached) = (next()?.parse().unwrap_or(0), next()?.parse().unwrap_or(0));
    let (session, title) = (next()?.to_string(), next()?.to_string());
    let is_id = id.strip_prefix('%').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    is_id.then(|| Pane {
        id: id.into(),
        first,
        tty,
        session,
        window,
        index,
        active_at,
        attached,
        title,
        ..Pane::default()
    })
}

/// The screens of several panes, in one command: each behind a line that cannot stand on a screen by chance.
fn screens(socket: &Path, panes: &[&str]) -> Vec<Shown> {
    let Ok(mark) = dirs::random_word(20) else { return Vec::new() };
    // Without its `%`, which tmux would take for a part of a date.
    let marks: Vec<String> = panes.iter().map(|id| format!("{mark} {}", id.trim_start_matches('%'))).collect();
    let mut args: Vec<&str> = Vec::new();
    for (id, mark) in panes.iter().zip(&marks) {
        args.extend(["display-message", "-p", mark, ";", "capture-pane", "-p", "-t", id, ";"]);
    }
    if args.pop().is_none() {
        return Vec::new();
    }
    // Half of it is better than nothing: a pane that went away ends the command, and the others come next time.
    let text = told(socket, &args).unwrap_or_default();
    split(&text, &mark).map(|(pane, text)| Shown { socket: card::text_of(socket), pane, text }).collect()
}

fn split<'a>(text: &'a str, mark: &'a str) -> impl Iterator<Item = (String, String)> + 'a {
    text.split(mark).skip(1).filter_map(|part| {
        let (pane, screen) = part.split_once('\n')?;
        Some((format!("%{}", pane.trim()), screen.to_string()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_pane_is_read_whatever_its_title_holds() {
        let pane = parse("%12:4711:/dev/pts/3:0:2:1700000000:1:my work:a:title: with #{x} and :: colons").unwrap();
        assert_eq!((pane.id.as_str(), pane.first, pane.tty), ("%12", 4711, 34_819));
        assert_eq!(pane.address(), "tmux:my work:0.2");
        assert_eq!((pane.session.as_str(), pane.title.as_str()), ("my work", "a:title: with #{x} and :: colons"));
        assert_eq!((pane.active_at, pane.attached), (1_700_000_000, 1));
        for bad in
            ["", "12:1:/dev/pts/3:0:0:1:1:s:t", "%:1:x:0:0:1:1:s:t", "%1:x:y:0:0:1:1:s:t", "%1:2:/dev/pts/1:0:0:1:1:s"]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn screens_are_told_apart_by_their_mark() {
        let text = "m4rk 1\none\n\ntwo\nm4rk 2\n\n";
        let found: Vec<_> = split(text, "m4rk").collect();
        assert_eq!(found, [("%1".to_string(), "one\n\ntwo\n".to_string()), ("%2".into(), "\n".into())]);
    }
}
