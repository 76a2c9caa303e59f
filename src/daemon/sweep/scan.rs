//! One scan: everybody who could be a stray, with all that is to be known of each, judged.
//!
//! ```text
//!   discovery ──► scene ─┬─► who: agents, their helpers, carriers of tags of ended sessions
//!   tmux, asked anew ────┤
//!   traces and peers ────┴─► one Observation each ──► model::stray::judge ──► Scan
//! ```
//!
//! Runs in a thread that may block. A question about all of them that is not answered makes the whole scan an error.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::births::Births;
use crate::daemon::discovery::{Discovery, Scene, View, panes};
use crate::model::process::Proc;
use crate::model::profile::{HelperKind, Match, StatusFile};
use crate::model::scene::{Pane, SHELL};
use crate::model::session::ProcId;
use crate::model::stray::{self, Asked, Clients, Fate, Ground, Judged, Kind, Observation, Peers, Stdio, Tag};
use crate::sys::patience::{Patience, Within};
use crate::sys::table::{self, Tags};
use crate::sys::{card, clock, peers, process, traces};

/// How long one candidate may take to be read, and all of them together.
const PATIENCE: Duration = Duration::from_millis(500);
const DEADLINE: Duration = Duration::from_secs(3);
/// How long a process may take to show its environment.
const TAGS: Duration = Duration::from_millis(500);
/// A larger file is no status file.
const LARGEST: u64 = 64 << 10;
/// Programs that hold terminals for others.
const MULTIPLEXERS: [&[u8]; 4] = [b"tmux: server", b"screen", b"SCREEN", b"zellij"];

/// What the supervisor knows and a scan needs to know.
pub struct Asking {
    pub view: View,
    pub discovery: Arc<Mutex<Discovery>>,
    pub tags: Arc<Mutex<Tags>>,
    pub births: Arc<Mutex<Births>>,
    /// On whom a read hung in an earlier scan.
    pub reading: Arc<Mutex<Patience<ProcId>>>,
    /// Managed sessions that have ended, with the start of each in clock ticks of this boot.
    pub ended: HashMap<String, Option<u64>>,
    pub live: HashSet<String>,
    /// Processes connected to beadle.
    pub clients: Vec<i32>,
    pub ground: Ground,
}

/// A scan with what it was made from.
pub struct Seen {
    pub scene: Scene,
    pub judged: Vec<Judged>,
    pub agents: HashMap<ProcId, String>,
    pub commands: HashMap<ProcId, String>,
    pub protected: HashSet<i32>,
}

/// What is read of one candidate, beyond the scene.
struct Traces {
    environment: Asked<Vec<u8>>,
    stdio: Asked<Stdio>,
    peers: Asked<Peers>,
    connected: Asked<bool>,
    service: Asked<bool>,
    editor: Asked<Option<String>>,
    registered: Asked<bool>,
    command: String,
}

/// Somebody who could be a stray.
struct Candidate {
    process: Proc,
    agent: String,
    kind: Kind,
    lineage: Vec<i32>,
    status: Option<StatusFile>,
}

impl Asking {
    pub fn scan(&self) -> Result<Seen, String> {
        let table = table::read().map_err(|e| format!("the process table cannot be read: {e}"))?;
        let scene = self.discovery.lock().unwrap_or_else(PoisonError::into_inner).look(table, &self.view);
        let panes = answered(&scene)?;
        let candidates = self.candidates(&scene);
        let protected = self.protected(&scene);
        let mut patience = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        patience.retain(|id| scene.table.is_alive(*id));
        let mut traces = read(&candidates, &mut patience);
        drop(patience);
        let mut judged = Vec::with_capacity(candidates.len());
        let (mut agents, mut commands) = (HashMap::new(), HashMap::new());
        let mut shared = Vec::new();
        for candidate in &candidates {
            let id = candidate.process.id;
            let read = traces.remove(&id).unwrap_or_else(Traces::unreadable);
            agents.insert(id, candidate.agent.clone());
            commands.insert(id, read.command.clone());
            let seen = self.observed(&scene, &panes, &protected, candidate, read);
            if seen.kind == Kind::Shared {
                shared.push(seen);
            } else {
                judged.push(stray::judge(&seen, self.ground));
            }
        }
        // Agents that are strays themselves keep nothing alive.
        let strays: HashSet<ProcId> = judged.iter().filter(|j| j.fate == Fate::Take).map(|j| j.id).collect();
        for seen in shared {
            let kin_lives = kin_lives(&scene, &seen.agent, &strays);
            judged.push(stray::judge(&Observation { kin_lives, ..seen }, self.ground));
        }
        Ok(Seen { scene, judged, agents, commands, protected })
    }

    /// Agents and helpers, and whoever carries the tag of a session that has ended.
    fn candidates(&self, scene: &Scene) -> Vec<Candidate> {
        let mut tags = self.tags.lock().unwrap_or_else(PoisonError::into_inner);
        let (carriers, _) = tags.of(&scene.table, scene.table.iter().copied(), TAGS);
        drop(tags);
        let is_ended = |tag: &str| {
            let id = tag.strip_suffix(&self.view.instance).and_then(|t| t.strip_suffix('@'));
            id.is_some_and(|id| self.ended.contains_key(id))
        };
        let tagged: HashSet<i32> = carriers.iter().filter(|(_, t)| is_ended(t)).map(|(pid, _)| *pid).collect();
        let one = |p: &Proc| {
            let (agent, kind) = match scene.known.get(&p.id.pid) {
                Some(Match::Agent { name, .. }) if name != SHELL => (name.clone(), Kind::Agent),
                Some(Match::Helper { agent, kind: HelperKind::Daemon, .. }) => (agent.clone(), Kind::Shared),
                Some(Match::Helper { agent, stdio, .. }) => (agent.clone(), Kind::Helper { stdio: *stdio }),
                _ if tagged.contains(&p.id.pid) => ("other".into(), Kind::Tagged),
                Some(Match::Agent { .. } | Match::Excluded { .. } | Match::Nothing) | None => return None,
            };
            let profile = self.view.profiles.by_name(&agent).filter(|_| kind == Kind::Agent);
            let status = profile.and_then(|p| p.status_file.clone());
            Some(Candidate { process: *p, agent, kind, lineage: scene.table.lineage(p.id.pid), status })
        };
        let mut found: Vec<Candidate> =
            scene.table.iter().filter(|p| !p.kernel && !p.is_dead()).filter_map(one).collect();
        found.sort_unstable_by_key(|c| (c.process.id.start, c.process.id.pid));
        found
    }

    /// beadle itself, its clients, all keepers, whoever holds terminals for others: these and all above them.
    fn protected(&self, scene: &Scene) -> HashSet<i32> {
        let own = i32::try_from(std::process::id()).unwrap_or(0);
        let multiplexers = scene.table.iter().filter(|p| is_multiplexer(p)).map(|p| p.id.pid);
        let all = self.clients.iter().copied().chain(scene.keepers.iter().copied()).chain([own]).chain(multiplexers);
        all.flat_map(|pid| scene.table.lineage(pid)).collect()
    }

    fn observed(
        &self,
        scene: &Scene,
        panes: &[Pane],
        protected: &HashSet<i32>,
        candidate: &Candidate,
        read: Traces,
    ) -> Observation {
        let Candidate { process, kind, .. } = candidate;
        let (id, now) = (process.id, clock::monotonic());
        let variable = |name: &str| match &read.environment {
            Asked::Is(block) => process::find_variable(block, name).map(|v| String::from_utf8_lossy(v).into_owned()),
            Asked::Unreadable(_) => None,
        };
        let mut births = self.births.lock().unwrap_or_else(PoisonError::into_inner);
        let (clients, birth_ended) = if *kind == Kind::Shared {
            (births.clients(id, read.connected, now), births.has_ended(id))
        } else {
            (Asked::Is(Clients::Connected), false)
        };
        drop(births);
        let kept = variable("BEADLE_KEEP").filter(|v| v == "1").map(|_| "a person who set BEADLE_KEEP=1".to_string());
        let fenced = self.view.fence.as_ref().is_none_or(|(name, value)| variable(name).as_ref() == Some(value));
        let parent = scene.table.pid(process.ppid);
        Observation {
            id,
            agent: candidate.agent.clone(),
            kind: *kind,
            age: now.saturating_sub(clock::moment_of_start(id.start)),
            tag: match &read.environment {
                Asked::Is(_) => Asked::Is(self.tag(variable("BEADLE_SESSION").as_deref(), id)),
                Asked::Unreadable(what) => Asked::Unreadable(what.clone()),
            },
            terminal: process.tty != 0,
            pane: Asked::Is(pane(scene, panes, candidate, &read.stdio)),
            stdio: read.stdio,
            peers: read.peers,
            clients,
            birth_ended,
            kin_lives: false,
            registered: read.registered,
            service: read.service,
            editor: read.editor,
            owner: kept.or_else(|| owner(scene, candidate)),
            protected: protected.contains(&id.pid) || is_multiplexer(process),
            own: fenced || matches!(read.environment, Asked::Unreadable(_)),
            adopted: process.ppid <= 1
                || parent.is_none_or(|p| p.comm_is(b"systemd"))
                || has_lost_its_session(scene, process),
        }
    }

    fn tag(&self, tag: Option<&str>, id: ProcId) -> Tag {
        let Some(tag) = tag.filter(|t| !t.is_empty()) else { return Tag::None };
        let session = tag.strip_suffix(&self.view.instance).and_then(|t| t.strip_suffix('@')).map(String::from);
        let Some(session) = session else { return Tag::Unknown };
        if self.live.contains(&session) {
            return Tag::Live { session };
        }
        match self.ended.get(&session) {
            Some(start) => Tag::Ended { after_start: start.is_some_and(|start| id.start >= start), session },
            None => Tag::Unknown,
        }
    }
}

fn is_multiplexer(process: &Proc) -> bool {
    MULTIPLEXERS.iter().any(|name| process.comm_is(name))
}

/// The panes of every tmux server, asked anew: an answer of earlier is none. Any question that is not answered is an
/// error of the whole.
fn answered(scene: &Scene) -> Result<Vec<Pane>, String> {
    let told: Vec<Result<Vec<Pane>, String>> = std::thread::scope(|scope| {
        let ask = |s| scope.spawn(move || ask_server(s));
        let asked: Vec<_> = scene.servers.iter().map(ask).collect();
        asked.into_iter().map(|a| a.join().unwrap_or_else(|_| Err("a tmux server cannot be asked".into()))).collect()
    });
    let panes: Vec<Pane> = told.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
    let of_server =
        |e: &&String| scene.servers.iter().any(|s| e.starts_with(&format!("the tmux server {} (", s.id.pid)));
    if let Some(error) = scene.errors.iter().find(|e| !of_server(e)) {
        return Err(error.clone());
    }
    match scene.registry.values().find_map(|status| status.as_ref().err()) {
        Some(error) => Err(error.clone()),
        None => Ok(panes),
    }
}

fn ask_server(server: &crate::daemon::discovery::Server) -> Result<Vec<Pane>, String> {
    match panes::list(server.id, &server.socket) {
        // It ended meanwhile, and its panes with it.
        Err(_) if !process::is_alive(server.id) => Ok(Vec::new()),
        told => told.map_err(|why| format!("the tmux server {} ({}): {why}", server.id.pid, server.socket.display())),
    }
}

/// Whom it belongs to, if that one lives: a keeper's session, an agent above it, the session it was seen in.
fn owner(scene: &Scene, candidate: &Candidate) -> Option<String> {
    let id = candidate.process.id;
    if let Some(session) = candidate.lineage.iter().find_map(|up| scene.managed.get(up)) {
        return Some(format!("session {session}"));
    }
    if let Some(keeper) = candidate.lineage.iter().find(|up| scene.keepers.contains(up)) {
        return Some(format!("the session of keeper {keeper}"));
    }
    let is_live_agent = |pid: i32| {
        matches!(scene.known.get(&pid), Some(Match::Agent { name, .. }) if name != SHELL)
            && scene.table.pid(pid).is_some_and(|p| !p.is_dead())
    };
    if let Some(agent) = candidate.lineage.iter().skip(1).find(|up| is_live_agent(**up)) {
        return Some(format!("the agent {agent}"));
    }
    let mut others = scene.sightings.iter().filter(|s| s.leader != id && !s.is_shell());
    let owner = others.find(|s| s.members.contains(&id) && scene.table.is_alive(s.leader))?;
    Some(format!("the agent {}", owner.leader.pid))
}

/// The live pane it is in. Below a tmux server and in none of its panes can only be what lost its pane, or a job of the
/// server itself.
fn pane(scene: &Scene, panes: &[Pane], candidate: &Candidate, stdio: &Asked<Stdio>) -> Option<String> {
    let tty = candidate.process.tty;
    let is_in = |p: &&Pane| candidate.lineage.contains(&p.first) || (tty != 0 && p.tty == tty);
    if let Some(pane) = panes.iter().find(is_in) {
        return Some(pane.address());
    }
    let above = candidate.lineage.iter().skip(1).filter_map(|up| scene.table.pid(*up));
    let holder = above.into_iter().find(|p| is_multiplexer(p))?;
    let lost = holder.is_tmux_server() && *stdio == Asked::Is(Stdio::TerminalDeleted);
    (!lost).then(|| format!("{} {}", holder.comm(), holder.id.pid))
}

/// The leader of its session has gone, or was never to be seen.
fn has_lost_its_session(scene: &Scene, process: &Proc) -> bool {
    process.sid != process.id.pid && scene.table.pid(process.sid).is_none_or(Proc::is_dead)
}

/// An agent of that kind lives. Somebody who could not be looked at may be one.
fn kin_lives(scene: &Scene, agent: &str, strays: &HashSet<ProcId>) -> bool {
    let is_kin = |(pid, what): (&i32, &Match)| {
        matches!(what, Match::Agent { name, .. } if name == agent)
            && scene.table.pid(*pid).is_some_and(|p| !p.is_dead() && !strays.contains(&p.id))
    };
    scene.unread > 0 || scene.known.iter().any(is_kin)
}

impl Traces {
    fn unreadable() -> Self {
        fn what<T>() -> Asked<T> {
            Asked::Unreadable("what it has open".into())
        }
        Self {
            environment: what(),
            stdio: what(),
            peers: what(),
            connected: what(),
            service: what(),
            editor: what(),
            registered: what(),
            command: String::new(),
        }
    }

    /// Believed only if the process is still the same afterwards.
    fn of(id: ProcId, kind: Kind, lineage: &[i32], status: Option<&StatusFile>) -> Self {
        let environment = traces::environment(id.pid);
        let registered = status.map_or(Asked::Is(false), |file| registered(id, file, &environment));
        let helper = kind == Kind::Helper { stdio: true };
        let found = Self {
            stdio: peers::stdio(id.pid),
            peers: if helper { peers::ends(id.pid) } else { Asked::Is(Peers::SomebodyThere) },
            connected: if kind == Kind::Shared { peers::has_clients(id.pid) } else { Asked::Is(false) },
            service: traces::is_service(id.pid),
            editor: Asked::Is(traces::editor(lineage)),
            command: process::command(id.pid),
            environment,
            registered,
        };
        if process::is_alive(id) { found } else { Self::unreadable() }
    }
}

/// Its own status file says that this very process lives.
fn registered(id: ProcId, file: &StatusFile, environment: &Asked<Vec<u8>>) -> Asked<bool> {
    let unreadable = || Asked::Unreadable("its own registry".into());
    let Asked::Is(block) = environment else { return unreadable() };
    let variable = |name: &str| process::find_variable(block, name).map(|v| String::from_utf8_lossy(v).into_owned());
    let Some(home) = variable("HOME") else { return unreadable() };
    let path = PathBuf::from(file.path_for(id.pid, variable(&file.home_variable).as_deref(), &home));
    match card::small_file(&path, LARGEST) {
        Ok(text) => match file.read(&text) {
            Some(status) => Asked::Is(status.pid == Some(id.pid) && status.start.is_none_or(|start| start == id.start)),
            None => unreadable(),
        },
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Asked::Is(false),
        Err(_) => unreadable(),
    }
}

/// Of those that answered in time. Who hangs is left out, and those behind it are read all the same.
fn read(candidates: &[Candidate], patience: &mut Patience<ProcId>) -> HashMap<ProcId, Traces> {
    type About = (Kind, Vec<i32>, Option<StatusFile>);
    let about: HashMap<ProcId, About> =
        candidates.iter().map(|c| (c.process.id, (c.kind, c.lineage.clone(), c.status.clone()))).collect();
    let about = Arc::new(about);
    let (end, mut found) = (Instant::now() + DEADLINE, HashMap::new());
    while Instant::now() < end {
        let is_left = |id: &ProcId| !found.contains_key(id) && !patience.hangs(id);
        let left: Vec<ProcId> = candidates.iter().map(|c| c.process.id).filter(is_left).collect();
        if left.is_empty() {
            break;
        }
        let about = Arc::clone(&about);
        let read = move |id: &ProcId| match about.get(id) {
            Some((kind, lineage, status)) => Traces::of(*id, *kind, lineage, status.as_ref()),
            None => Traces::unreadable(),
        };
        found.extend(patience.read(left, Within::Each(PATIENCE), read));
    }
    found
}
