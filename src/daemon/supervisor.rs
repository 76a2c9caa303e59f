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
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tracing::{info, warn};

use super::authority::Caller;
use super::birth::Cradle;
use super::cleaner::Cleaner;
use super::connections::Peers;
use super::discovery::{Discovery, Scene};
use super::entry::Entry;
use super::evidence::Standard;
use super::foreign::{Foreign, Memory};
use super::handed::HandedOver;
use super::handle::{Command, Ended, Input, Reply};
use super::hooks::Hooks;
use super::house::House;
use super::metrics::Metrics;
use super::projects::{Ordered, Queue};
use super::sampler::{Ground, Sample, Sampler};
use super::store::Store;
use super::sweep::{Births, Latch};
use crate::api::refusal::{Code, Refusal};
use crate::config::Config;
use crate::config::paths::Paths;
use crate::model::lifecycle::{Event, Keeper};
use crate::model::session::{Asked, ProcId};
use crate::model::verdict::Policy;
use crate::sys::cgroup::Home;
use crate::sys::patience::Patience;
use crate::sys::poll::Waker;
use crate::sys::table::{self, Tags};
use crate::sys::{clock, failpoint, spawn};

/// How long after somebody looked samples are taken often.
const WATCHED: Duration = Duration::from_secs(3);
const OFTEN: Duration = Duration::from_secs(1);
const SELDOM: Duration = Duration::from_secs(10);
/// An auto-started daemon with nothing to do ends after this.
const NOTHING_TO_DO: Duration = Duration::from_secs(600);

/// What a supervisor is started with.
pub struct Setting {
    /// What became of the port.
    pub tcp: super::tcp::Port,
    pub paths: Paths,
    pub config: Config,
    pub instance: String,
    pub cradle: Cradle,
    pub peers: Peers,
    /// What happened is told to it.
    pub store: Store,
    /// Hooks hear of other settings by it.
    pub hooks: Hooks,
    /// The daemon's base environment, for sessions that bring none.
    pub base_env: Vec<String>,
    /// Started by a client, not by a person or a service.
    pub auto: bool,
    pub embedded: bool,
}

pub struct Supervisor {
    pub(super) set: Setting,
    pub(super) entries: BTreeMap<String, Entry>,
    /// Sessions beadle did not start, and what people said of them.
    pub(super) foreign: BTreeMap<String, Foreign>,
    pub(super) memory: Memory,
    pub(super) boot: String,
    pub(super) discovery: Arc<Mutex<Discovery>>,
    /// What the last pass saw.
    pub(super) scene: Option<Arc<Scene>>,
    pub(super) standard: Arc<Standard>,
    pub(super) inputs: mpsc::UnboundedSender<Input>,
    /// Names and replies of births under way.
    pub(super) births: HashMap<String, super::start::Waiting>,
    /// Where shared daemons were born.
    pub(super) birthplaces: Arc<Mutex<Births>>,
    /// On which candidates of a sweep a read hangs.
    pub(super) reading: Arc<Mutex<Patience<ProcId>>>,
    /// Whether anything may start.
    pub(super) latch: Latch,
    pub(super) generation: watch::Sender<u64>,
    pub(super) sampler: Arc<Mutex<Sampler>>,
    pub(super) tags: Arc<Mutex<Tags>>,
    pub(super) waker: Arc<Waker>,
    /// Pauses and continuations are carried out one after the other.
    pub(super) pausing: Arc<Mutex<()>>,
    asking_tmux: bool,
    pub(super) sampling: bool,
    /// How many samples have begun; one at a time.
    samples_begun: u64,
    /// Who waits for the sample under way, and who came too late for it.
    sample_waiters: Vec<Reply<()>>,
    sample_latecomers: Vec<Reply<()>>,
    /// Sessions whose screens were asked for and have not come.
    pub(super) looking: HashSet<String>,
    /// When this daemon last did anything, by the clock its sessions age by.
    awake: Duration,
    pub(super) watched_until: Option<Instant>,
    pub(super) handed_over: HandedOver,
    pub(super) next_tick: Instant,
    pub(super) busy_at: Instant,
    /// Keepers that were our children and are about to end.
    pub(super) dying: Vec<i32>,
    pub(super) cleaner: Cleaner,
    pub(super) metrics: Metrics,
    pub(super) begun: Instant,
    /// What is done now was asked for from inside a hook.
    pub(super) by_hook: bool,
    pub(super) closing_down: bool,
    /// Who asked for the daemon's end; what is born during it has the same cause.
    pub(super) stopped_by: Option<Asked>,
    pub(super) house: House,
    pub(super) queue: Queue,
    pub(super) ended: Option<Ended>,
}

impl Supervisor {
    pub fn new(
        set: Setting,
        inputs: mpsc::UnboundedSender<Input>,
        generation: watch::Sender<u64>,
    ) -> std::io::Result<Self> {
        let now = Instant::now();
        let cleaner = Cleaner::new(set.config.cleanup.interval);
        let boot = clock::boot_id();
        Ok(Self {
            foreign: BTreeMap::new(),
            memory: Memory::open(&set.paths.foreign(), &boot),
            boot,
            latch: Latch::open(set.paths.latch()),
            queue: Queue::new(set.paths.database(), set.store.clone()),
            discovery: Arc::default(),
            scene: None,
            standard: Arc::new(standard(&set.config)),
            set,
            entries: BTreeMap::new(),
            inputs,
            births: HashMap::new(),
            birthplaces: Arc::default(),
            reading: Arc::default(),
            generation,
            sampler: Arc::default(),
            tags: Arc::default(),
            waker: Arc::new(Waker::new()?),
            pausing: Arc::default(),
            asking_tmux: false,
            sampling: false,
            samples_begun: 0,
            sample_waiters: Vec::new(),
            looking: HashSet::new(),
            awake: clock::monotonic(),
            sample_latecomers: Vec::new(),
            watched_until: None,
            handed_over: HandedOver::default(),
            next_tick: now,
            busy_at: now,
            dying: Vec::new(),
            cleaner,
            metrics: Metrics::default(),
            begun: now,
            by_hook: false,
            closing_down: false,
            stopped_by: None,
            house: House::new(now),
            ended: None,
        })
    }

    /// Where the cgroups of sessions are, for the removal of what is empty.
    pub fn cgroups(&self) -> Option<Home> {
        self.set.cradle.cgroups.clone()
    }

    pub fn ended(&self) -> Option<Ended> {
        self.ended
    }

    /// Does what is asked, or refuses it.
    pub fn command(&mut self, from: &Caller, command: Command) {
        self.wake();
        self.busy_at = Instant::now();
        let Some(command) = self.authorised(from, command) else { return };
        self.by_hook = from.is_hook();
        self.carry_out_command(from, command);
        self.by_hook = false;
    }

    fn carry_out_command(&mut self, from: &Caller, command: Command) {
        match command {
            Command::Table { all, shells, reply } => answer(reply, Ok(self.table(all, shells))),
            Command::Sample { reply } => {
                self.sample_latecomers.push(reply);
                self.sample();
            }
            Command::Watch => self.watch(),
            Command::Health { reply } => answer(reply, Ok(self.health())),
            Command::Detail { word, reply } => answer(reply, self.detail(from, &word)),
            Command::Pane { word, reply, .. } => answer(reply, self.pane(&word)),
            Command::Link { word, reply } => answer(reply, self.link(&word)),
            Command::Type { word, reply } => answer(reply, self.line(&word)),
            Command::Files { word, reply } => answer(reply, self.files(&word)),
            Command::Start { request, reply } => self.start(*request, self.descent(from), reply),
            Command::Kill { request, by, asked, reply } => self.kill(&request, by, asked, reply),
            Command::CloseAll { request, by, asked, reply } => self.close_all(request, by, asked, reply),
            Command::Sweep { request, asked, reply } => self.sweep(request, asked, reply),
            Command::Emergency { request, asked, reply } => self.emergency(request, asked, reply),
            Command::Release { reply } => {
                let released = self.release();
                answer(reply, released);
            }
            Command::Act { verb, targets, reply } => {
                let done = self.act(verb, &targets);
                answer(reply, done);
            }
            Command::Signal { request, reply } => self.signal(&request, reply),
            Command::Rename { word, request, reply } => answer(reply, self.rename(&word, &request)),
            Command::Restart { word, request, asked, reply } => self.restart(&word, *request, asked, reply),
            Command::Resume { word, request, reply } => self.resume(&word, *request, self.descent(from), reply),
            Command::Heartbeat { word, says: None, reply } => answer(reply, self.heartbeat(&word)),
            Command::Heartbeat { word, says: Some(says), reply } => answer(reply, self.hear_word(&word, &says)),
            Command::Status { reply } => answer(reply, Ok(self.status(from))),
            Command::Reload { reply } => self.reload(reply),
            Command::Clean { reply } => self.clean_now(reply),
            Command::Figures { reply } => answer(reply, Ok(self.figures())),
            Command::CleanerStats { reply } => answer(reply, Ok(self.stats())),
            Command::SwitchCleaner { on, reply } => answer(reply, Ok(self.switch(on))),
            Command::Configure { pairs, reply } => answer(reply, self.configure(&pairs)),
            Command::Set { pairs, keep, reply } => answer(reply, self.set_keys(&pairs, keep)),
            Command::ConfigFile { reply } => answer(reply, Ok(self.set.paths.config.clone())),
            Command::Holder { pid, reply } => answer(reply, self.holder(pid)),
            Command::KeepChild { word, pid, reply } => answer(reply, self.keep_child(&word, pid)),
            Command::Project { order, asked, reply } => {
                self.order(Ordered { order, asked, reply, by_hook: self.by_hook });
            }
            Command::Shutdown { keep, asked, reply } => self.shutdown(keep, asked, reply),
            Command::End => self.ended = self.ended.or(Some(Ended::Stopped)),
            Command::Again { reply } => {
                answer(reply, Ok(()));
                self.ended = Some(Ended::Again);
            }
        }
    }

    pub fn input(&mut self, input: Input) {
        self.wake();
        match input {
            Input::Keeper { id, keeper, what } => self.on_keeper(&id, keeper, what),
            Input::Born { id, born } => self.on_born(&id, born),
            Input::Closed(report) => self.on_closed(*report),
            Input::StartedAgain { id, started, reply } => self.on_started_again(&id, started, reply),
            Input::Settle(id) => self.settle_late(&id),
            Input::MemberEnded(id) => {
                info!(session = %id, "a process of it ended");
                self.sample();
            }
            Input::Visited { id, server } => {
                if let Some(entry) = self.entries.get_mut(&id) {
                    info!(session = %id, "somebody from outside is attached to its tmux server {server}: it will be spared");
                    entry.meta.visited.insert(server);
                    self.keep_meta(&id);
                }
            }
            Input::AskedTmux => self.asking_tmux = false,
            Input::ShutDown { report, reply, overdue } => self.on_shut_down(report, reply, overdue),
            Input::Queue(news) => self.on_queue(*news),
            Input::Measured(measured) => self.on_measured(&measured),
            Input::Swept(left) => self.note_sweep(left),
            Input::ToSweep { ordered, reply } => self.make_sweep(*ordered, reply),
            Input::Removed => self.house.busy = false,
            Input::Sampled(samples, scene) => {
                self.on_sampled(&samples, *scene);
                self.queue_looks();
            }
            Input::SampleFailed(why) => {
                warn!(error = %why, "failed to read the process table");
                self.sample_failed_for_cleaner(&why);
                self.sample_is_over();
            }
            Input::Looked { id, keeper, look } => self.on_looked(&id, keeper, look),
            Input::Adopted(adopted) => self.on_adopted(adopted),
            Input::Reloaded(reloaded) => self.on_reloaded(*reloaded),
            Input::RoomMade(made) => self.on_room_made(*made),
            Input::Paused { id, paused, processes } => {
                let verb = if paused { "paused" } else { "continued" };
                if let Some(entry) = self.entries.get_mut(&id) {
                    // One that is under way may have looked before.
                    entry.stop_counts_from = self.samples_begun + 1;
                }
                info!(session = %id, processes, "{verb}");
                self.sample();
            }
        }
        self.mind_queue();
    }

    /// When [`tick`](Self::tick) wants to be called.
    pub fn next_tick(&self) -> Option<Instant> {
        let idle_end = (self.set.auto && !self.has_subjects()).then_some(self.idle_at());
        [idle_end, Some(self.next_tick), self.cleaner_due(), self.house.due(), self.queue_due()]
            .into_iter()
            .flatten()
            .min()
    }

    pub fn tick(&mut self, now: Instant) {
        self.wake();
        let anybody = self.has_subjects();
        if now >= self.next_tick {
            self.sample();
        }
        self.tick_cleaner(now);
        self.tick_queue(now);
        let idle = !anybody && !self.queue.is_pending();
        if self.set.auto && idle && self.set.peers.pids().is_empty() && now >= self.idle_at() {
            info!("nothing to do: ending");
            self.ended = Some(Ended::Stopped);
        } else if !anybody && now >= self.idle_at() {
            self.busy_at = now;
        }
        self.keep_house(now);
        self.reap();
    }

    fn idle_at(&self) -> Instant {
        self.busy_at + failpoint::shortened(NOTHING_TO_DO)
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
        if watched || keeperless { OFTEN.min(self.longest_pace()) } else { self.longest_pace() }
    }

    /// Between two passes while nobody looks: a fault is seen within a quarter of the time that makes it one.
    pub(super) fn longest_pace(&self) -> Duration {
        let health = &self.set.config.health;
        let limits = [health.stuck_after, health.orphaned_after, health.spin_after, self.set.config.cleanup.max_idle];
        let shortest = limits.into_iter().min().unwrap_or(SELDOM);
        SELDOM.min(shortest / 4).max(Duration::from_millis(20))
    }

    /// Something is to be done. If that comes late, this daemon was stopped or the machine stood still: nobody ages by it.
    fn wake(&mut self) {
        let now = clock::monotonic();
        let slept = now.saturating_sub(std::mem::replace(&mut self.awake, now)) > 2 * self.longest_pace();
        if slept {
            self.listen(now);
        }
    }

    fn listen(&mut self, now: Duration) {
        let pace = self.longest_pace();
        self.entries.values_mut().filter(|e| e.is_live()).for_each(|e| e.listen(now, pace));
        self.foreign.values_mut().filter(|f| f.is_live()).for_each(|f| f.listen(now, pace));
    }

    /// The settings have changed.
    pub(super) fn measure_anew(&mut self) {
        self.standard = Arc::new(standard(&self.set.config));
        self.entries.values_mut().for_each(|e| e.standard = Arc::clone(&self.standard));
        self.foreign.values_mut().for_each(|f| f.measure_by(&self.standard));
    }

    /// Keepers that ended are our children only until we look at them.
    pub fn reap(&mut self) {
        self.dying.retain(|pid| !spawn::reap_child(*pid));
    }

    pub(super) fn ground(&self) -> Ground {
        Ground { instance: self.set.instance.clone(), keepers: self.keepers(), window: self.longest_pace() }
    }

    /// Keepers that may be alive, of every session not ended.
    pub(super) fn keepers(&self) -> HashSet<i32> {
        self.live().filter(|e| e.life.keeper() != Keeper::Gone).filter_map(|e| e.keeper).map(|k| k.pid).collect()
    }

    pub(super) fn sample(&mut self) {
        self.next_tick = Instant::now() + self.pace();
        self.listen(clock::monotonic());
        if std::mem::replace(&mut self.sampling, true) {
            return;
        }
        self.samples_begun += 1;
        self.sample_waiters.append(&mut self.sample_latecomers);
        let mut asks: Vec<_> = self.live().map(Entry::ask).collect();
        let (ground, tags, sampler, inputs) =
            (self.ground(), Arc::clone(&self.tags), Arc::clone(&self.sampler), self.inputs.clone());
        let (view, discovery) = (self.view(), Arc::clone(&self.discovery));
        let keeperless = self.live().any(|e| e.life.keeper() == Keeper::Gone);
        tokio::task::spawn_blocking(move || {
            let seen = table::read().map(|table| {
                let mut scene = discovery.lock().unwrap_or_else(PoisonError::into_inner).look(table, &view);
                // Looking took its time, and of a session without a keeper nobody tells the end: it is read off a table of
                // this moment.
                if keeperless && let Ok(table) = table::read() {
                    scene.table = table;
                }
                asks.extend(scene.asks());
                let mut sampler = sampler.lock().unwrap_or_else(PoisonError::into_inner);
                (sampler.sample(&scene, &asks, &ground, &tags), Box::new(scene))
            });
            // A supervisor that has ended needs no sample.
            let _ = inputs.send(match seen {
                Ok((samples, scene)) => Input::Sampled(samples, scene),
                Err(error) => Input::SampleFailed(error.to_string()),
            });
        });
    }

    /// Who from outside looks at tmux servers born inside sessions: asked beside everything else, one round at a time.
    fn ask_tmux(&mut self, samples: &[Sample]) {
        let is_new =
            |s: &Sample, server: &ProcId| self.entries.get(&s.id).is_some_and(|e| !e.meta.visited.contains(server));
        let mut asked: Vec<(String, ProcId, HashSet<i32>)> = Vec::new();
        for sample in samples {
            let members = || sample.members.iter().map(|m| m.pid).collect();
            let servers = sample.tmux_servers.iter().filter(|server| is_new(sample, server));
            asked.extend(servers.map(|server| (sample.id.clone(), *server, members())));
        }
        if asked.is_empty() || std::mem::replace(&mut self.asking_tmux, true) {
            return;
        }
        let inputs = self.inputs.clone();
        tokio::task::spawn_blocking(move || {
            for (id, server, members) in asked {
                let outside = super::tmux::outside_client(server.pid, |pid| members.contains(&pid));
                if let super::tmux::Outside::Client(_) = outside {
                    // A supervisor that has ended needs no news.
                    let _ = inputs.send(Input::Visited { id, server });
                }
            }
            // As above.
            let _ = inputs.send(Input::AskedTmux);
        });
    }

    fn on_sampled(&mut self, samples: &[Sample], scene: Scene) {
        let now = clock::monotonic();
        let number = self.samples_begun;
        let mut changed = self.on_scene(scene, samples);
        self.note_births();
        let mut emptied = Vec::new();
        for sample in samples {
            let Some(entry) = self.entries.get_mut(&sample.id).filter(|e| e.is_live()) else { continue };
            changed |= entry.take_in(sample, number, now);
            if entry.remember(&sample.members) {
                failpoint::here("daemon.members.before");
                if entry.dir.write_members(entry.members.iter().copied()).is_err() {
                    warn!(session = %sample.id, "failed to write down its members (is the disk full?)");
                }
                failpoint::here("daemon.members.after");
            }
            if entry.life.keeper() == Keeper::Gone {
                if entry.life.has_leader() && !sample.leader_lives {
                    entry.life.apply(Event::LeaderEnded);
                    changed = true;
                }
                if sample.members.is_empty() && sample.whole && !entry.life.is_closing() {
                    emptied.push(sample.id.clone());
                }
            }
        }
        emptied.iter().for_each(|id| self.finish(id));
        self.ask_tmux(samples);
        let keeperless: Vec<String> =
            self.live().filter(|e| e.life.keeper() == Keeper::Gone).map(|e| e.id().to_string()).collect();
        keeperless.iter().for_each(|id| self.watch_members(id));
        self.tell_verdicts();
        if changed {
            self.bump();
        }
        self.look();
        self.sampled_for_cleaner();
        self.sample_is_over();
    }

    /// Whoever asked before it began has what was asked for; for the others there is another.
    fn sample_is_over(&mut self) {
        self.sampling = false;
        self.answer_samples();
        if !self.sample_latecomers.is_empty() {
            self.sample();
        }
    }

    /// Who wanted to see what is, sees it with what the screens say.
    pub(super) fn answer_samples(&mut self) {
        if !self.sampling && self.looking.is_empty() {
            self.sample_waiters.drain(..).for_each(|reply| answer(reply, Ok(())));
        }
    }
}

fn standard(config: &Config) -> Standard {
    let crate::config::Health { stuck_after, orphaned_after, spin_after } = config.health;
    Standard { policy: Policy { stuck_after, orphaned_after, spin_after }, profiles: config.profiles.clone() }
}

pub(super) fn answer<T>(reply: Reply<T>, result: Result<T, Refusal>) {
    // Who asked may have gone; what was done stays done.
    let _ = reply.send(result);
}

pub(super) fn silent(name: &str, error: &std::io::Error) -> Refusal {
    Refusal::new(Code::KeeperSilent, format!("the keeper of {name} does not take orders: {error}"))
}
