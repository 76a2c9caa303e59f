//! The supervisor: the one task that owns the table of sessions.
//!
//! ```text
//!   clients ─► Command ─┐                      ┌─► births, closes, samples (threads that may block)
//!                       ▼                      │            │
//!                  Supervisor (this) ──────────┘            │
//!                       ▲   │                               │
//!   keepers ─► Input ───┘   └─► generation (watch)     Input (facts) ──► back
//! ```
//!
//! It accepts or refuses at once and never waits: slow work is spawned and comes back as an input. Who wants to
//! see completion waits for the answer of its command. Only the loop in [`super::run`] reads the clock for ticks.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tracing::{info, warn};

use super::adopt::{Adopted, Found};
use super::birth::Cradle;
use super::close::{self, Report, Surroundings};
use super::entry::{CloseUnderWay, Entry};
use super::handle::{Command, Ended, Files, Input, Reply};
use super::link::{Delivered, Link};
use super::sampler::{Ground, Sample, Sampler};
use super::server::Peers;
use crate::api::refusal::{Code, Refusal};
use crate::api::types::{
    Act, Closed, DaemonStatus, Detail, Done, HealthReport, KillReport, Outcome, Recommendation, Session, Table, Touched,
};
use crate::api::wire::{Fact, Request};
use crate::config::paths::Paths;
use crate::config::{Config, OnShutdown};
use crate::model::lifecycle::{Event, Keeper, Life};
use crate::model::select::{self, Choice};
use crate::model::session::{Cause, Exit, ExitBy, Health, ProcId, State};
use crate::sys::poll::Waker;
use crate::sys::table::Tags;
use crate::sys::{clock, spawn};

/// How long after a close a keeper may take to say that it is over.
const SETTLE: Duration = Duration::from_secs(1);
/// How long after somebody looked samples are taken often.
const WATCHED: Duration = Duration::from_secs(3);
const OFTEN: Duration = Duration::from_secs(1);
const SELDOM: Duration = Duration::from_secs(10);
/// An auto-started daemon with nothing to do ends after this.
const NOTHING_TO_DO: Duration = Duration::from_secs(600);

/// What a supervisor is started with.
pub struct Setting {
    pub paths: Paths,
    pub config: Config,
    pub instance: String,
    pub cradle: Cradle,
    pub peers: Peers,
    /// The daemon's base environment, for sessions that bring none.
    pub base_env: Vec<String>,
    /// Started by a client, not by a person or a service.
    pub auto: bool,
    pub embedded: bool,
}

pub struct Supervisor {
    pub(super) set: Setting,
    pub(super) entries: BTreeMap<String, Entry>,
    pub(super) inputs: mpsc::UnboundedSender<Input>,
    /// Names and replies of births under way.
    pub(super) births: HashMap<String, super::start::Waiting>,
    pub(super) rng: super::start::Ids,
    generation: watch::Sender<u64>,
    sampler: Arc<Mutex<Sampler>>,
    tags: Arc<Mutex<Tags>>,
    waker: Arc<Waker>,
    sampling: bool,
    sample_again: bool,
    sample_waiters: Vec<Reply<()>>,
    watched_until: Option<Instant>,
    next_tick: Instant,
    busy_at: Instant,
    /// Keepers that were our children and are about to end.
    dying: Vec<i32>,
    begun: Instant,
    pub(super) closing_down: bool,
    pub(super) ended: Option<Ended>,
}

impl Supervisor {
    pub fn new(
        set: Setting,
        inputs: mpsc::UnboundedSender<Input>,
        generation: watch::Sender<u64>,
    ) -> std::io::Result<Self> {
        let now = Instant::now();
        Ok(Self {
            set,
            entries: BTreeMap::new(),
            inputs,
            births: HashMap::new(),
            rng: super::start::Ids,
            generation,
            sampler: Arc::default(),
            tags: Arc::default(),
            waker: Arc::new(Waker::new()?),
            sampling: false,
            sample_again: false,
            sample_waiters: Vec::new(),
            watched_until: None,
            next_tick: now,
            busy_at: now,
            dying: Vec::new(),
            begun: now,
            closing_down: false,
            ended: None,
        })
    }

    pub fn ended(&self) -> Option<Ended> {
        self.ended
    }

    pub fn command(&mut self, command: Command) {
        self.busy_at = Instant::now();
        match command {
            Command::Table { all, reply } => answer(reply, Ok(self.table(all))),
            Command::Sample { reply } => {
                self.sample_waiters.push(reply);
                self.sample();
            }
            Command::Watch => self.watch(),
            Command::Health { reply } => answer(reply, Ok(self.health())),
            Command::Detail { word, reply } => answer(reply, self.detail(&word)),
            Command::Link { word, reply } => answer(reply, self.link(&word)),
            Command::Files { word, reply } => answer(reply, self.files(&word)),
            Command::Start { request, reply } => self.start(*request, reply),
            Command::Kill { request, by, reply } => self.kill(&request, by, reply),
            Command::CloseAll { request, by, reply } => {
                let of_project = |e: &&Entry| request.project.is_none() || e.session.project == request.project;
                let ids = self.live().filter(of_project).map(|e| e.id().to_string()).collect();
                let reason = request.reason.unwrap_or_else(|| "close-all".into());
                self.close_and_answer(ids, request.now, Cause { by, reason }, reply);
            }
            Command::Act { verb, targets, reply } => {
                let done = self.act(verb, &targets);
                answer(reply, done);
            }
            Command::Rename { word, name, reply } => answer(reply, self.rename(&word, &name)),
            Command::Restart { word, request, reply } => self.restart(&word, *request, reply),
            Command::Heartbeat { word, reply } => answer(reply, self.heartbeat(&word)),
            Command::Status { reply } => answer(reply, Ok(self.status())),
            Command::Reload { reply } => answer(reply, self.reload()),
            Command::Shutdown { keep, reply } => self.shutdown(keep, reply),
            Command::Overdue => self.ended = Some(Ended::Overdue),
            Command::End => self.ended = self.ended.or(Some(Ended::Stopped)),
            Command::Again { reply } => {
                answer(reply, Ok(()));
                self.ended = Some(Ended::Again);
            }
        }
    }

    pub fn input(&mut self, input: Input) {
        match input {
            Input::Keeper { id, keeper, what } => self.on_keeper(&id, keeper, what),
            Input::Born { id, born } => self.on_born(&id, born),
            Input::Closed(report) => self.on_closed(*report),
            Input::Settle(id) => self.settle(&id),
            Input::Sampled(samples) => self.on_sampled(&samples),
            Input::SampleFailed(why) => {
                warn!(error = %why, "failed to read the process table");
                self.sampling = false;
                self.sample_waiters.drain(..).for_each(|reply| answer(reply, Ok(())));
            }
            Input::Adopted(adopted) => self.on_adopted(adopted),
            Input::Paused { id, paused, processes } => {
                let verb = if paused { "paused" } else { "continued" };
                info!(session = %id, processes, "{verb}");
                self.sample();
            }
        }
    }

    // ---- time

    /// When [`tick`](Self::tick) wants to be called.
    pub fn next_tick(&self) -> Option<Instant> {
        let idle_end = (self.set.auto && self.live().next().is_none()).then_some(self.busy_at + NOTHING_TO_DO);
        let sample = self.live().next().is_some().then_some(self.next_tick);
        [idle_end, sample].into_iter().flatten().min()
    }

    pub fn tick(&mut self, now: Instant) {
        let anybody = self.live().next().is_some();
        if anybody && now >= self.next_tick {
            self.sample();
        }
        if self.set.auto && !anybody && self.set.peers.pids().is_empty() && now >= self.busy_at + NOTHING_TO_DO {
            info!("nothing to do: ending");
            self.ended = Some(Ended::Stopped);
        } else if !anybody && now >= self.busy_at + NOTHING_TO_DO {
            self.busy_at = now;
        }
        self.reap();
    }

    fn watch(&mut self) {
        let now = Instant::now();
        let was = self.watched_until.is_some_and(|until| until > now);
        self.watched_until = Some(now + WATCHED);
        if !was {
            self.next_tick = now;
        }
    }

    fn pace(&self) -> Duration {
        let now = Instant::now();
        let watched = self.watched_until.is_some_and(|until| until > now);
        let keeperless = self.live().any(|e| e.life.keeper() != Keeper::Alive);
        let health = &self.set.config.health;
        let shortest = health.stuck_after.min(health.orphaned_after).min(self.set.config.cleanup.max_idle);
        if watched || keeperless { OFTEN } else { SELDOM.min(shortest / 4).max(Duration::from_millis(20)) }
    }

    /// Keepers that ended are our children only until we look at them.
    pub fn reap(&mut self) {
        self.dying.retain(|pid| !spawn::reap_child(*pid));
    }

    // ---- looking

    pub(super) fn live(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values().filter(|e| e.is_live())
    }

    pub(super) fn bump(&self) {
        self.generation.send_modify(|g| *g += 1);
    }

    fn table(&self, all: bool) -> Table {
        let now = clock::monotonic();
        let mut sessions: Vec<Session> =
            self.entries.values().filter(|e| all || e.is_live()).map(|e| e.row(now)).collect();
        sessions.sort_by(|a, b| a.started_at.cmp(&b.started_at).then_with(|| a.id.cmp(&b.id)));
        Table { generation: *self.generation.borrow(), sessions }
    }

    fn health(&self) -> HealthReport {
        let now = clock::monotonic();
        let sessions = self.table(false).sessions;
        let count = |h: Health| sessions.iter().filter(|s| s.health == h).count();
        let advice =
            |e: &Entry| Some(Recommendation { id: e.id().into(), name: e.name().into(), text: e.recommendation(now)? });
        HealthReport {
            total: sessions.len(),
            healthy: count(Health::Healthy),
            stuck: count(Health::Stuck),
            orphaned: count(Health::Orphaned),
            recommendations: self.live().filter_map(advice).collect(),
            sessions,
        }
    }

    fn detail(&self, word: &str) -> Result<(Detail, super::sampler::Ask, Ground), Refusal> {
        let entry = self.find(word)?;
        let now = clock::monotonic();
        let detail = Detail {
            session: entry.row(now),
            evidence: entry.evidence(now),
            tree: Vec::new(),
            keeper_socket: entry.is_live().then(|| entry.socket.display().to_string()),
            keeper_pid: entry.keeper.filter(|_| entry.is_live()).map(|k| k.pid),
        };
        Ok((detail, entry.ask(), self.ground()))
    }

    fn link(&self, word: &str) -> Result<(Session, Link), Refusal> {
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

    fn files(&self, word: &str) -> Result<Files, Refusal> {
        let entry = self.find(word)?;
        Ok(Files { dir: entry.dir.clone(), ended: !entry.is_live() })
    }

    fn heartbeat(&mut self, word: &str) -> Result<Session, Refusal> {
        let (row, link) = match self.find(word)?.life.state() {
            State::Ended => return Err(Refusal::new(Code::NotFound, format!("{word:?} has been closed"))),
            _ => self.link(word)?,
        };
        link.order(&Request::Heartbeat).map_err(|e| silent(&row.name, &e))?;
        Ok(row)
    }

    fn status(&self) -> DaemonStatus {
        DaemonStatus {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: i32::try_from(std::process::id()).unwrap_or(0),
            uptime_seconds: self.begun.elapsed().as_secs_f64(),
            socket: self.set.paths.socket().display().to_string(),
            state_dir: self.set.paths.state.display().to_string(),
            sessions: self.live().count(),
            instance: self.set.instance.clone(),
            embedded: self.set.embedded,
        }
    }

    fn choices(&self) -> Vec<Choice<'_>> {
        let mut entries: Vec<&Entry> = self.entries.values().collect();
        entries.sort_by(|a, b| b.started_at.cmp(&a.started_at));
        entries.sort_by_key(|e| !e.is_live());
        entries.into_iter().map(|e| Choice { id: e.id(), name: e.name(), live: e.is_live() }).collect()
    }

    pub(super) fn find(&self, word: &str) -> Result<&Entry, Refusal> {
        let id = select::one(word, &self.choices())?.to_string();
        self.entries.get(&id).ok_or_else(|| Refusal::new(Code::NotFound, format!("no session {word:?}")))
    }

    fn find_several(&self, words: &[String]) -> Result<Vec<String>, Refusal> {
        Ok(select::several(words, &self.choices())?.into_iter().map(String::from).collect())
    }

    // ---- measuring

    fn ground(&self) -> Ground {
        Ground { instance: self.set.instance.clone(), keepers: self.keepers() }
    }

    /// Keepers that may be alive, of every session not ended.
    fn keepers(&self) -> HashSet<i32> {
        self.live().filter(|e| e.life.keeper() != Keeper::Gone).filter_map(|e| e.keeper).map(|k| k.pid).collect()
    }

    pub(super) fn sample(&mut self) {
        self.next_tick = Instant::now() + self.pace();
        if std::mem::replace(&mut self.sampling, true) {
            self.sample_again |= !self.sample_waiters.is_empty();
            return;
        }
        let asks: Vec<_> = self.live().map(Entry::ask).collect();
        let (ground, tags, sampler, inputs) =
            (self.ground(), Arc::clone(&self.tags), Arc::clone(&self.sampler), self.inputs.clone());
        tokio::task::spawn_blocking(move || {
            let sampled = sampler.lock().unwrap_or_else(PoisonError::into_inner).sample(&asks, &ground, &tags);
            // A supervisor that has ended needs no sample.
            let _ = inputs.send(match sampled {
                Ok(samples) => Input::Sampled(samples),
                Err(error) => Input::SampleFailed(error.to_string()),
            });
        });
    }

    fn on_sampled(&mut self, samples: &[Sample]) {
        self.sampling = false;
        let mut changed = false;
        let mut emptied = Vec::new();
        for sample in samples {
            let Some(entry) = self.entries.get_mut(&sample.id).filter(|e| e.is_live()) else { continue };
            changed |= entry.take_in(sample);
            if entry.remember(&sample.members) && entry.dir.write_members(entry.members.iter().copied()).is_err() {
                warn!(session = %sample.id, "failed to write down its members (is the disk full?)");
            }
            if entry.life.keeper() == Keeper::Gone {
                if entry.life.has_leader() && !sample.leader_lives {
                    entry.life.apply(Event::LeaderEnded);
                    changed = true;
                }
                if sample.members.is_empty() && !entry.life.is_closing() {
                    emptied.push(sample.id.clone());
                }
            }
        }
        emptied.iter().for_each(|id| self.finish(id));
        if changed {
            self.bump();
        }
        if std::mem::take(&mut self.sample_again) {
            return self.sample();
        }
        self.sample_waiters.drain(..).for_each(|reply| answer(reply, Ok(())));
    }

    // ---- what keepers say

    fn on_keeper(&mut self, id: &str, keeper: ProcId, what: Delivered) {
        let Some(entry) = self.entries.get_mut(id).filter(|e| e.keeper == Some(keeper)) else { return };
        match what {
            Delivered::Fact(Fact::Exited { exit }) => {
                entry.life.apply(Event::LeaderEnded);
                entry.exit = Some(exit);
                self.sample_soon();
            }
            Delivered::Fact(Fact::Attached { count }) => entry.attached = count,
            Delivered::Fact(Fact::Restarted { leader }) => {
                entry.leader = Some(leader);
                entry.exit = None;
                entry.life.apply(Event::Started);
                info!(session = %id, name = %entry.name(), pid = leader.pid, "started again");
            }
            Delivered::Fact(Fact::Empty) => self.finish(id),
            Delivered::Fact(_) => {}
            Delivered::Lost => self.on_keeper_lost(id, keeper),
        }
        self.bump();
    }

    fn on_keeper_lost(&mut self, id: &str, keeper: ProcId) {
        self.dying.push(keeper.pid);
        let Some(entry) = self.entries.get_mut(id).filter(|e| e.is_live()) else { return self.reap() };
        entry.link = None;
        entry.attached = 0;
        entry.exit = entry.exit.take().or_else(|| entry.dir.exit());
        if crate::sys::process::is_alive(keeper) {
            entry.life.apply(Event::KeeperFellSilent);
            warn!(session = %id, name = %entry.name(), "its keeper closed the connection");
            self.ask_again(id);
        } else {
            entry.life.apply(Event::KeeperDied);
            warn!(session = %id, name = %entry.name(), "its keeper is gone");
        }
        self.reap();
        self.sample_soon();
    }

    fn sample_soon(&mut self) {
        self.next_tick = Instant::now();
    }

    /// Tries to reach a keeper that lives and is silent, beside everything else.
    fn ask_again(&self, id: &str) {
        let Some(entry) = self.entries.get(id) else { return };
        let (dir, inputs) = (entry.dir.clone(), self.inputs.clone());
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let asked = tokio::task::spawn_blocking(move || {
                let identity = dir.identity()?;
                let found = super::adopt::ask(&identity, std::time::Instant::now() + super::adopt::DEADLINE);
                Some(Adopted { dir, identity, found })
            });
            if let Ok(Some(adopted)) = asked.await {
                // A supervisor that has ended asks nobody.
                let _ = inputs.send(Input::Adopted(vec![adopted]));
            }
        });
    }

    pub fn on_adopted(&mut self, adopted: Vec<Adopted>) {
        for one in adopted {
            let id = one.identity.session.id.clone();
            let known = self.entries.get(&id).is_some_and(|e| e.link.is_some() || !e.is_live());
            if !known {
                self.adopt(&id, one);
            }
        }
        self.sample_soon();
        self.bump();
    }

    fn adopt(&mut self, id: &str, one: Adopted) {
        let Adopted { dir, identity, found } = one;
        let exit = dir.exit();
        let paused = dir.meta().paused;
        match found {
            Found::PastBoot => {
                let reported = dir.meta().reported;
                let mut entry = Entry::kept(
                    identity,
                    dir,
                    if reported { Life::past() } else { Life::found(Keeper::Gone, false, false) },
                );
                entry.exit = exit.or_else(|| Some(unknown_exit(ExitBy::Reboot, "the machine was restarted")));
                self.entries.insert(id.into(), entry);
                self.finish(id);
            }
            Found::Live(shaken) => {
                let life = Life::found(Keeper::Alive, shaken.hello.leader.is_some(), paused);
                let mut entry = Entry::kept(identity, dir, life);
                entry.leader = shaken.hello.leader.or(entry.leader);
                self.entries.insert(id.into(), entry);
                self.connect(id, *shaken);
            }
            Found::Unknown => {
                self.entries
                    .insert(id.into(), Entry::kept(identity, dir, Life::found(Keeper::Silent, exit.is_none(), paused)));
                self.ask_again(id);
            }
            Found::KeeperGone => {
                let reported = dir.meta().reported;
                let life = if reported { Life::past() } else { Life::found(Keeper::Gone, exit.is_none(), paused) };
                self.entries.insert(id.into(), Entry::kept(identity, dir, life));
            }
        }
    }

    /// Takes the connection of a keeper into an entry that is there.
    pub(super) fn connect(&mut self, id: &str, shaken: super::link::Shaken) {
        let keeper = shaken.hello.keeper;
        let (inputs, session) = (self.inputs.clone(), id.to_string());
        let opened = Link::open(shaken, move |what| {
            // A supervisor that has ended hears nobody.
            let _ = inputs.send(Input::Keeper { id: session.clone(), keeper, what });
        });
        let Some(entry) = self.entries.get_mut(id) else { return };
        match opened {
            Ok((link, hello, pulse)) => {
                entry.link = Some(link);
                entry.pulse = Some(pulse);
                entry.keeper = Some(keeper);
                entry.attached = hello.attached;
                entry.exit = hello.exit.or_else(|| entry.exit.take());
                entry.life.apply(Event::KeeperAnswered);
            }
            Err(error) => warn!(session = %id, %error, "failed to talk to its keeper"),
        }
    }

    // ---- ends

    /// Nothing of the session is left: writes that down once, and answers who waited.
    pub(super) fn finish(&mut self, id: &str) {
        let Some(entry) = self.entries.get_mut(id).filter(|e| e.is_live()) else { return };
        let cause = entry.meta.cause.clone();
        if entry.exit.is_none() {
            entry.exit = entry.dir.exit();
        }
        if entry.exit.is_none() {
            let exit = cause
                .map_or_else(|| unknown_exit(ExitBy::Unknown, "its keeper is gone"), |c| unknown_exit(c.by, &c.reason));
            if entry.dir.write_exit(&exit).is_err() {
                warn!(session = %id, "failed to write down its end (is the disk full?)");
            }
            entry.exit = Some(exit);
        }
        entry.age_at_end = entry.started.map(|at| clock::monotonic().saturating_sub(at).as_secs_f64());
        entry.life.apply(Event::Emptied);
        entry.link = None;
        entry.usage = super::entry::Usage::default();
        if let Some(cgroup) = entry.ask().cgroup {
            // Somebody still inside (a spared server): it stays.
            let _ = cgroup.remove();
        }
        self.report_end(id);
        self.answer_close(id);
        self.bump();
    }

    /// One line in the log for each end, also across crashes.
    fn report_end(&mut self, id: &str) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        if !entry.meta.reported && !super::log::has_line(&self.set.paths.logs(), &format!("ended session={id} ")) {
            let exit = entry.exit.as_ref();
            let code = exit.and_then(|e| e.code).map_or_else(|| "-".into(), |c| c.to_string());
            let by = exit.map_or(ExitBy::Unknown, |e| e.by);
            let reason = exit.map_or("", |e| e.reason.as_str());
            let seconds = entry.age_at_end.unwrap_or(0.0);
            info!(
                "ended session={id} name={:?} code={code} by={by} reason={reason:?} seconds={seconds:.1}",
                entry.name()
            );
        }
        entry.meta.reported = true;
        self.keep_meta(id);
    }

    pub(super) fn keep_meta(&self, id: &str) {
        let Some(entry) = self.entries.get(id) else { return };
        if entry.dir.write_meta(&entry.meta).is_err() {
            warn!(session = %id, "failed to write down its name and pin (is the disk full?)");
        }
    }

    // ---- closing

    fn kill(&mut self, request: &crate::api::types::KillRequest, by: ExitBy, reply: Reply<KillReport>) {
        let ids = match self.find_several(&request.targets) {
            Ok(ids) => ids,
            Err(refusal) => {
                info!("refused kill {:?}: {refusal}", request.targets);
                return answer(reply, Err(refusal));
            }
        };
        let reason = request.reason.clone().unwrap_or_else(|| by.to_string());
        if request.dry_run {
            return self.preview(&ids, reply);
        }
        self.close_and_answer(ids, request.now, Cause { by, reason }, reply);
    }

    fn preview(&self, ids: &[String], reply: Reply<KillReport>) {
        let cause = Cause { by: ExitBy::User, reason: "dry run".into() };
        let targets = ids.iter().filter_map(|id| self.entries.get(id)).filter(|e| e.is_live());
        let targets = targets.map(|e| e.target(Duration::ZERO, cause.clone(), Arc::default())).collect();
        let around = self.surroundings();
        tokio::task::spawn_blocking(move || {
            let would = close::preview(targets, &around).into_iter().map(|(target, members)| Closed {
                id: target.id,
                name: target.name,
                outcome: Outcome::WouldKill,
                signals: Vec::new(),
                processes: members.len(),
                survivors: Vec::new(),
                seconds: 0.0,
                reason: target.cause.reason,
                resume: None,
                spared: Vec::new(),
            });
            answer(reply, Ok(KillReport { closed: 0, failed: 0, sessions: would.collect() }));
        });
    }

    /// Closes and answers when all is over. Closing what has ended is no error: it was already gone.
    pub(super) fn close_and_answer(&mut self, ids: Vec<String>, now: bool, cause: Cause, reply: Reply<KillReport>) {
        let (waiting, mut closed): (Vec<_>, Vec<_>) = (self.close(&ids, now, &cause), Vec::new());
        tokio::spawn(async move {
            for receiver in waiting {
                closed.extend(receiver.await);
            }
            let failed = closed.iter().filter(|c| c.outcome == Outcome::Survivors).count();
            answer(reply, Ok(KillReport { closed: closed.len() - failed, failed, sessions: closed }));
        });
    }

    fn close(&mut self, ids: &[String], now: bool, cause: &Cause) -> Vec<oneshot::Receiver<Closed>> {
        let mut targets = Vec::new();
        let grace = if now { Duration::ZERO } else { self.set.config.stop.grace };
        let mut waiting = Vec::new();
        for id in ids {
            let Some(entry) = self.entries.get_mut(id) else { continue };
            let (send, receive) = oneshot::channel();
            waiting.push(receive);
            if !entry.is_live() {
                // Who asked may have gone.
                let _ = send.send(already_gone(entry, cause));
                continue;
            }
            if let Some(close) = &mut entry.close {
                close.waiters.push(send);
                close.hurry.fetch_or(now, Ordering::Relaxed);
                self.waker.wake();
                continue;
            }
            let hurry = Arc::new(AtomicBool::new(false));
            entry.close =
                Some(CloseUnderWay { hurry: Arc::clone(&hurry), waiters: vec![send], report: None, then: None });
            entry.life.apply(Event::CloseBegan);
            entry.meta.cause = Some(cause.clone());
            if let Some(link) = &entry.link {
                // Unanswered: it is read before the end it explains, or the keeper is gone.
                let _ = link.order(&Request::Closing { seq: u64::MAX, cause: cause.clone() });
            }
            targets.push(entry.target(grace, cause.clone(), hurry));
        }
        // Written down before the first signal; needed only where no keeper is left to know it.
        targets.iter().filter(|t| t.link.is_none()).for_each(|t| self.keep_meta(&t.id));
        self.bump();
        self.carry_out(targets);
        waiting
    }

    fn carry_out(&self, targets: Vec<close::Target>) {
        if targets.is_empty() {
            return;
        }
        let (around, inputs) = (self.surroundings(), self.inputs.clone());
        tokio::task::spawn_blocking(move || {
            close::close(targets, &around, |report| {
                // A supervisor that has ended wants no report.
                let _ = inputs.send(Input::Closed(Box::new(report)));
            });
        });
    }

    fn surroundings(&self) -> Surroundings {
        Surroundings {
            instance: self.set.instance.clone(),
            fence: self.set.config.sweep.fence.as_ref().map(|f| format!("{}={}", f.name, f.value)),
            clients: self.set.peers.pids(),
            keepers: self.keepers(),
            remembered: self.live().flat_map(|e| e.members.iter().map(|m| m.pid)).collect(),
            tags: Arc::clone(&self.tags),
            waker: Arc::clone(&self.waker),
        }
    }

    fn on_closed(&mut self, report: Report) {
        let Report { closed, survivors } = report;
        let id = closed.id.clone();
        let outcome = closed.outcome;
        info!(
            "killed session={id} name={:?} outcome={} signals={} processes={} survivors={} reason={:?} seconds={:.3}",
            closed.name,
            outcome.as_str(),
            closed.signals.join(","),
            closed.processes,
            closed.survivors.len(),
            closed.reason,
            closed.seconds
        );
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if let Some(close) = &mut entry.close {
            close.report = Some(closed);
        }
        if !entry.is_live() {
            return self.answer_close(&id);
        }
        if let Some(reply) = entry.close.as_mut().and_then(|c| c.then.take()) {
            self.settle(&id);
            return self.start_again(&id, outcome, reply);
        }
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if outcome == Outcome::Survivors {
            entry.members.extend(survivors);
            return self.settle(&id);
        }
        if entry.life.keeper() == Keeper::Gone || entry.link.is_none() {
            return self.finish(&id);
        }
        let inputs = self.inputs.clone();
        tokio::spawn(async move {
            tokio::time::sleep(SETTLE).await;
            // As above.
            let _ = inputs.send(Input::Settle(id));
        });
    }

    /// The close is over, whether or not the keeper has said its last word.
    fn settle(&mut self, id: &str) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        if entry.close.as_ref().is_some_and(|c| c.report.is_some()) {
            entry.life.apply(Event::CloseEnded);
            self.answer_close(id);
            self.sample_soon();
            self.bump();
        }
    }

    fn answer_close(&mut self, id: &str) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        if entry.close.as_ref().is_none_or(|c| c.report.is_none()) {
            return;
        }
        let Some(CloseUnderWay { waiters, report: Some(report), .. }) = entry.close.take() else { return };
        for waiter in waiters {
            // Who asked may have gone.
            let _ = waiter.send(report.clone());
        }
    }

    pub(super) fn shutdown(&mut self, keep: Option<bool>, reply: Reply<KillReport>) {
        self.closing_down = true;
        let keep = keep.unwrap_or(self.set.config.shutdown.sessions == OnShutdown::Keep);
        let live: Vec<String> = self.live().map(|e| e.id().to_string()).collect();
        info!(sessions = live.len(), keep, "stopping");
        if keep {
            return answer(reply, Ok(KillReport::default()));
        }
        let cause = Cause { by: ExitBy::Shutdown, reason: "the daemon was stopped".into() };
        self.close_and_answer(live, false, cause, reply);
    }

    // ---- small verbs

    fn act(&mut self, verb: Act, targets: &[String]) -> Result<Done, Refusal> {
        let ids = self.find_several(targets)?;
        let mut done = Done::default();
        for id in ids {
            let message = match verb {
                Act::Pause => self.pause(&id, true)?,
                Act::Unpause => self.pause(&id, false)?,
                Act::Pin => self.pin(&id, true),
                Act::Unpin => self.pin(&id, false),
                Act::Rm => {
                    done.sessions.push(self.forget(&id)?);
                    continue;
                }
            };
            let name = self.entries.get(&id).map_or_else(String::new, |e| e.name().to_string());
            done.sessions.push(Touched { id, name, message });
        }
        self.bump();
        Ok(done)
    }

    fn pause(&mut self, id: &str, paused: bool) -> Result<String, Refusal> {
        let around = self.surroundings();
        let Some(entry) = self.entries.get_mut(id) else { return Ok(String::new()) };
        let (name, inputs) = (entry.name().to_string(), self.inputs.clone());
        match entry.life.state() {
            State::Ended | State::Closing | State::Starting => {
                let why =
                    format!("{name} is {}: only a running session can be paused or continued", entry.life.state());
                return Err(Refusal::new(Code::WrongState, why));
            }
            State::Running | State::Paused | State::Lingering => {}
        }
        entry.life.apply(if paused { Event::Paused } else { Event::Continued });
        entry.meta.paused = paused;
        let target = entry.target(Duration::ZERO, Cause { by: ExitBy::User, reason: "pause".into() }, Arc::default());
        self.keep_meta(id);
        let id = id.to_string();
        tokio::task::spawn_blocking(move || {
            let signal = if paused { crate::model::stop::Signal::Stop } else { crate::model::stop::Signal::Cont };
            let processes = close::signal_tree(target, &around, signal).unwrap_or(0);
            // As above.
            let _ = inputs.send(Input::Paused { id, paused, processes });
        });
        Ok(if paused { "paused".into() } else { "continued".into() })
    }

    fn pin(&mut self, id: &str, pinned: bool) -> String {
        if let Some(entry) = self.entries.get_mut(id) {
            entry.meta.pinned = pinned;
        }
        self.keep_meta(id);
        if pinned { "pinned".into() } else { "unpinned".into() }
    }

    fn forget(&mut self, id: &str) -> Result<Touched, Refusal> {
        let Some(entry) = self.entries.get(id) else { return Err(Refusal::new(Code::NotFound, "no such session")) };
        let name = entry.name().to_string();
        if entry.is_live() {
            return Err(Refusal::new(Code::WrongState, format!("{name} has not ended: `beadle kill {name}` first")));
        }
        std::fs::remove_dir_all(entry.dir.path()).map_err(|e| {
            Refusal::new(Code::Internal, format!("failed to remove {}: {e}", entry.dir.path().display()))
        })?;
        self.entries.remove(id);
        Ok(Touched { id: id.into(), name, message: "forgotten".into() })
    }

    fn reload(&mut self) -> Result<String, Refusal> {
        match crate::config::load(&self.set.paths, &crate::config::process_env()) {
            Ok(config) => {
                self.set.config = config;
                info!("the config was read again");
                Ok(format!("read {}", self.set.paths.config.display()))
            }
            Err(error) => {
                warn!(%error, "the config is bad: the old settings stay in force");
                Err(Refusal::new(Code::Unprocessable, format!("the old settings stay in force: {error}")))
            }
        }
    }
}

pub(super) fn answer<T>(reply: Reply<T>, result: Result<T, Refusal>) {
    // Who asked may have gone; what was done stays done.
    let _ = reply.send(result);
}

pub(super) fn silent(name: &str, error: &std::io::Error) -> Refusal {
    Refusal::new(Code::KeeperSilent, format!("the keeper of {name} does not take orders: {error}"))
}

fn unknown_exit(by: ExitBy, reason: &str) -> Exit {
    Exit { code: None, signal: None, at: clock::wall(), by, reason: reason.into() }
}

fn already_gone(entry: &Entry, cause: &Cause) -> Closed {
    Closed {
        id: entry.id().into(),
        name: entry.name().into(),
        outcome: Outcome::AlreadyGone,
        signals: Vec::new(),
        processes: 0,
        survivors: Vec::new(),
        seconds: 0.0,
        reason: cause.reason.clone(),
        resume: None,
        spared: Vec::new(),
    }
}
