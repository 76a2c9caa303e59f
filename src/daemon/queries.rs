//! What can be seen: rows, reports, details; and whom a word means.

use super::authority::Caller;
use super::entry::Entry;
use super::foreign::Foreign;
use super::handle::Files;
use super::link::Link;
use super::sampler::Ground;
use super::supervisor::{Supervisor, silent};
use crate::api::refusal::{Code, Refusal};
use crate::api::types::{DaemonStatus, Detail, HealthReport, Host, Pressure, Recommendation, Session, Table};
use crate::api::wire::Request;
use crate::model::lifecycle::Keeper;
use crate::model::select;
use crate::model::select::Choice;
use crate::model::session::{Health, State};
use crate::sys::clock;
use crate::sys::host;
use crate::sys::pulse::Beat;

impl Supervisor {
    pub(super) fn live(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values().filter(|e| e.is_live())
    }

    pub(super) fn bump(&self) {
        self.generation.send_modify(|g| *g += 1);
    }

    /// Every session; with the ended ones, and with plain shells in tmux panes, where they are asked for.
    pub(super) fn table(&self, all: bool, shells: bool) -> Table {
        let now = clock::monotonic();
        let foreign = self.foreign.values().filter(|f| (all || f.is_live()) && (shells || !f.is_shell()));
        let managed = self.entries.values().filter(|e| all || e.is_live());
        let mut sessions: Vec<Session> = managed.map(|e| e.row(now)).chain(foreign.map(|f| f.row(now))).collect();
        sessions.sort_by(|a, b| a.started_at.cmp(&b.started_at).then_with(|| a.id.cmp(&b.id)));
        Table {
            generation: *self.generation.borrow(),
            sessions,
            latched: self.latch.why().map(String::from),
            strays: self.strays_left(),
        }
    }

    pub(super) fn health(&self) -> HealthReport {
        let now = clock::monotonic();
        let sessions = self.table(false, false).sessions;
        let count = |h: Health| sessions.iter().filter(|s| s.health == h).count();
        let advice =
            |e: &Entry| Some(Recommendation { id: e.id().into(), name: e.name().into(), text: e.recommendation(now)? });
        let foreign = |f: &Foreign| {
            Some(Recommendation { id: f.id.clone(), name: f.name().into(), text: f.recommendation(now)? })
        };
        let agents = self.foreign_live().filter(|f| !f.is_shell());
        HealthReport {
            total: sessions.len(),
            healthy: count(Health::Healthy),
            stuck: count(Health::Stuck),
            orphaned: count(Health::Orphaned),
            recommendations: self.live().filter_map(advice).chain(agents.filter_map(foreign)).collect(),
            sessions,
        }
    }

    pub(super) fn detail(&self, from: &Caller, word: &str) -> Result<(Detail, super::sampler::Ask, Ground), Refusal> {
        let now = clock::monotonic();
        if let Some(foreign) = self.find_foreign(word) {
            return Ok((foreign.detail(now), foreign.ask(), self.ground()));
        }
        let entry = self.find(word)?;
        let has_keeper = entry.is_live() && entry.life.keeper() != Keeper::Gone;
        let detail = Detail {
            session: entry.row(now),
            evidence: entry.evidence(now),
            tree: Vec::new(),
            keeper_socket: has_keeper.then(|| entry.socket.display().to_string()),
            keeper_pid: entry.keeper.filter(|_| has_keeper).map(|k| k.pid),
            pane: None,
            keyless: self.keyless(from, entry.id()),
            started_by: entry.session.started_by.first().cloned(),
        };
        Ok((detail, entry.ask(), self.ground()))
    }

    pub(super) fn link(&self, word: &str) -> Result<(Session, Link), Refusal> {
        self.needs_keeper(word, "no keeper of beadle holds its terminal")?;
        let entry = self.find(word)?;
        let link = entry.link.clone().ok_or_else(|| match entry.life.state() {
            State::Ended => Refusal::new(
                Code::WrongState,
                format!("{} has ended (`beadle logs {0}` shows its output)", entry.name()),
            ),
            _ => Refusal::new(
                Code::KeeperSilent,
                format!("the keeper of {} is gone: its terminal cannot be reached", entry.name()),
            ),
        })?;
        Ok((entry.row(clock::monotonic()), link))
    }

    /// The link, to type; true where the agent reads from a pipe.
    pub(super) fn line(&self, word: &str) -> Result<(Session, Link, bool), Refusal> {
        let (row, link) = self.link(word)?;
        let pipe = self.entries.get(&row.id).is_some_and(|e| e.session.pipe);
        Ok((row, link, pipe))
    }

    pub(super) fn files(&self, word: &str) -> Result<Files, Refusal> {
        self.needs_keeper(word, "nothing of it is recorded (`beadle peek` shows the screen of one in tmux)")?;
        let entry = self.find(word)?;
        Ok(Files {
            dir: entry.dir.clone(),
            ended: !entry.is_live(),
            recorded: entry.pulse.as_ref().map(|p| p.get(Beat::Recorded)),
        })
    }

    pub(super) fn heartbeat(&mut self, word: &str) -> Result<Session, Refusal> {
        let id = select::one(word, &self.choices())?.to_string();
        if let Some(foreign) = self.foreign.get_mut(&id).filter(|f| f.is_live()) {
            foreign.heartbeat();
            return Ok(foreign.row(clock::monotonic()));
        }
        let (row, link) = match self.find(word)?.life.state() {
            State::Ended => return Err(Refusal::new(Code::NotFound, format!("{word:?} has been closed"))),
            _ => self.link(word)?,
        };
        link.order(&Request::Heartbeat).map_err(|e| silent(&row.name, &e))?;
        Ok(row)
    }

    pub(super) fn status(&self, from: &Caller) -> DaemonStatus {
        let host = host::figures();
        DaemonStatus {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: i32::try_from(std::process::id()).unwrap_or(0),
            uptime_seconds: self.begun.elapsed().as_secs_f64(),
            socket: self.set.paths.socket().display().to_string(),
            state_dir: self.set.paths.state.display().to_string(),
            sessions: self.live().count(),
            instance: self.set.instance.clone(),
            latched: self.latch.why().map(String::from),
            embedded: self.set.embedded,
            tcp: self.set.tcp.get(),
            memory: self.set.store.state(),
            scopes: self.set.cradle.scopes.standing(),
            host: host.map(told),
            not_to_be_stopped: self.unstoppable(from),
        }
    }

    pub(super) fn choices(&self) -> Vec<Choice<'_>> {
        let managed = self
            .entries
            .values()
            .map(|e| (&e.started_at, Choice { id: e.id(), name: e.name(), also: "", live: e.is_live(), listed: true }));
        let foreign = self.foreign.values().map(|f| {
            let also = f.address().unwrap_or_default();
            let listed = !f.is_shell();
            (f.started_at(), Choice { id: &f.id, name: f.name(), also, live: f.is_live(), listed })
        });
        let mut choices: Vec<_> = managed.chain(foreign).collect();
        choices.sort_by(|a, b| b.0.cmp(a.0));
        choices.sort_by_key(|(_, choice)| !choice.live);
        choices.into_iter().map(|(_, choice)| choice).collect()
    }

    pub(super) fn find(&self, word: &str) -> Result<&Entry, Refusal> {
        let id = select::one(word, &self.choices())?.to_string();
        self.needs_keeper(&id, "only sessions it started can do that")?;
        self.entries.get(&id).ok_or_else(|| Refusal::new(Code::NotFound, format!("no session {word:?}")))
    }

    pub(super) fn find_several(&self, words: &[String]) -> Result<Vec<String>, Refusal> {
        Ok(select::several(words, &self.choices())?.into_iter().map(String::from).collect())
    }
}

fn told(host: host::Figures) -> Host {
    let pressure =
        |[cpu_percent, memory_percent, io_percent]: [f64; 3]| Pressure { cpu_percent, memory_percent, io_percent };
    Host {
        memory_bytes: host.memory,
        available_memory_bytes: host.available_memory,
        load: host.load,
        cores: host.cores,
        pressure: host.pressure.map(pressure),
        disk: None,
    }
}
