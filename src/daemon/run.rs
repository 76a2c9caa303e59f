//! A daemon from lock to end.

use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{info, warn};

use super::adopt;
use super::authority::Caller;
use super::birth::Cradle;
use super::connections::{self, Peers};
use super::handle::{Command, Ended, Given, Handle, Input};
use super::hooks;
use super::overview::Overview;
use super::scopes::Scopes;
use super::service;
use super::store::Store;
use super::supervisor::{Setting, Supervisor};
use super::tcp::{self, Port};
use crate::api::launch;
use crate::config::paths::Paths;
use crate::config::{self, Config, ConfigError, Server};
use crate::sys::dirs::{self, DirError};
use crate::sys::lock::Lock;
use crate::sys::{cgroup, failpoint, fds, host, notify, process, socket, spawn};

/// How long the end of a daemon waits for what is remembered to be written down.
const LAST_FACTS: Duration = Duration::from_secs(2);

/// How a daemon is started.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// By a client: detach, say on standard output when ready, end when there is nothing to do.
    pub auto: bool,
    /// Lock and listener kept open by the daemon this one replaces.
    pub inherited: Option<(i32, i32)>,
    pub embedded: bool,
    /// A daemon that runs already hands over, with its sessions.
    pub take_over: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    #[error("a daemon is already running for {} (`beadle daemon status`)", .0.display())]
    Running(PathBuf),
    #[error("the interface runs a daemon of its own for {} (`beadle --embedded`): leave it first", .0.display())]
    Embedded(PathBuf),
    #[error("below a keeper no daemon is started: this is inside a session of beadle; run it outside")]
    BelowKeeper,
    #[error(transparent)]
    Directory(#[from] DirError),
    #[error("failed to {what} {}: {source}", .path.display())]
    File { what: &'static str, path: PathBuf, source: io::Error },
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("failed to start the log in {}: {why}", .path.display())]
    Log { path: PathBuf, why: String },
    #[error("failed to set up the daemon: {0}")]
    Setup(#[from] io::Error),
    #[error("sessions were still closing when shutdown.deadline had passed")]
    Deadline,
}

/// `beadle daemon`: foreground, or in the background for a client.
pub fn main(paths: &Paths, options: &Options) -> ExitCode {
    if options.auto && options.inherited.is_none() && spawn::detach().is_err() {
        return ExitCode::FAILURE;
    }
    match live(paths, options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // To whoever started us, through whatever is standard error; nobody there is fine too.
            let _ = writeln!(io::stderr(), "beadle: {error}");
            ExitCode::FAILURE
        }
    }
}

fn live(paths: &Paths, options: &Options) -> Result<(), DaemonError> {
    spawn::reset_signals();
    host::call_oneself("beadle");
    fds::raise_open_files()?;
    std::env::set_current_dir("/")?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().thread_keep_alive(Duration::from_secs(2)).build()?;
    let again = runtime.block_on(async {
        let daemon = Daemon::begin(paths.clone(), options.clone()).await?;
        if options.auto {
            announce(paths);
        }
        daemon.serve().await
    });
    // Threads that hang in the kernel, or still wait for a grace to be over, are not waited for: an error must not
    // get past this either.
    runtime.shutdown_timeout(Duration::from_millis(100));
    match again? {
        None => Ok(()),
        Some(kept) => Err(kept.execute(options.auto).into()),
    }
}

/// Says to the client that started us that we answer, and lets go of its terminal.
fn announce(paths: &Paths) {
    // The client may have gone.
    let _ = writeln!(io::stdout(), "ready {}", paths.socket().display());
    let _ = fds::silence_stdio();
}

/// What a daemon hands to the one that replaces it.
pub struct Kept {
    lock: Lock,
    listener: UnixListener,
}

impl Kept {
    fn execute(self, auto: bool) -> io::Error {
        let lock = match self.lock.hand_over() {
            Ok(lock) => lock,
            Err(error) => return error,
        };
        if let Err(error) = fds::keep_open(self.listener.as_fd()) {
            return error;
        }
        let mut args =
            vec!["daemon".to_string(), "--inherited".into(), format!("{lock},{}", self.listener.as_raw_fd())];
        if auto {
            args.push("--auto".into());
        }
        failpoint::here("daemon.again.before");
        spawn::again(&args)
    }
}

/// A daemon that holds its lock, has adopted every keeper, and listens.
pub struct Daemon {
    paths: Paths,
    lock: Lock,
    listener: UnixListener,
    supervisor: Supervisor,
    handle: Handle,
    peers: Peers,
    commands: mpsc::UnboundedReceiver<Given>,
    inputs: mpsc::UnboundedReceiver<Input>,
    embedded: bool,
    /// What is served over TCP, and what becomes of it.
    tcp: (Server, Port),
}

impl Daemon {
    /// Everything up to the moment it can answer.
    pub async fn begin(paths: Paths, options: Options) -> Result<Self, DaemonError> {
        if process::below_keeper() {
            return Err(DaemonError::BelowKeeper);
        }
        // Clients that wait for us wake us, from the moment the lock is held.
        spawn::ignore_wakes();
        if options.inherited.is_some() {
            failpoint::here("daemon.again.after");
        }
        dirs::ensure_private(&paths.state)?;
        let lock = take_lock(&paths, &options).await?;
        let config = config::load(&paths, &config::process_env())?;
        for dir in [paths.sessions(), paths.logs(), paths.runtime.clone(), paths.keepers()] {
            dirs::ensure_private(&dir)?;
        }
        let log_error = |why: String| DaemonError::Log { path: paths.logs(), why };
        super::log::begin(&paths.logs()).map_err(|e| log_error(e.to_string()))?;
        let instance = instance(&paths.instance())?;
        let (input_sender, inputs) = mpsc::unbounded_channel();
        let (generation_sender, generation) = watch::channel(1);
        let (command_sender, commands) = mpsc::unbounded_channel();
        let peers = Peers::default();
        let store = Store::begin(paths.database());
        let tcp = config.server.clone();
        let leaves = options.auto && options.inherited.is_none();
        let cradle = cradle(&config, &paths, &instance, leaves);
        let port = Port::default();
        let (hooks, hook_counts) = hooks::begin(&config, &store, &peers.leashes, hook_environment(&paths));
        let setting = Setting {
            hooks,
            tcp: port.clone(),
            cradle,
            paths: paths.clone(),
            base_env: base_environment(),
            config,
            instance,
            peers: peers.clone(),
            store: store.clone(),
            // Who is to be found on the network does not end because nobody is there.
            auto: options.auto && tcp.listen.is_none(),
            embedded: options.embedded,
        };
        let mut supervisor = Supervisor::new(setting, input_sender, generation_sender)?;
        adopt_all(&mut supervisor, &paths).await?;
        let handle = Handle {
            commands: command_sender,
            generation,
            from: Caller::Daemon,
            store,
            hooks: hook_counts,
            overview: Overview::default(),
        };
        let mut daemon = Self {
            listener: listen(&paths, &options)?,
            paths,
            lock,
            supervisor,
            handle,
            peers,
            commands,
            inputs,
            embedded: options.embedded,
            tcp: (tcp, port),
        };
        daemon.first_pass().await;
        Ok(daemon)
    }

    /// Nothing is answered before the first pass.
    async fn first_pass(&mut self) {
        let (reply, mut sampled) = oneshot::channel();
        self.supervisor.command(&Caller::Daemon, Command::Sample { reply });
        loop {
            tokio::select! {
                _ = &mut sampled => return,
                Some(input) = self.inputs.recv() => self.supervisor.input(input),
            }
        }
    }

    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    pub fn socket(&self) -> PathBuf {
        self.paths.socket()
    }

    /// Serves until it is stopped; `Some` when it is to be executed again.
    pub async fn serve(self) -> Result<Option<Kept>, DaemonError> {
        let Self { paths, lock, listener, supervisor, handle, peers, commands, inputs, embedded, tcp: served } = self;
        let store = handle.store.clone();
        let (rebind, rebound) = watch::channel(Arc::new(listener));
        let server = tokio::spawn(connections::accept(rebound.clone(), handle.clone(), peers));
        let over_tcp = tokio::spawn(tcp::serve(served, handle.clone()));
        let reporting = tokio::spawn(service::report(handle.clone()));
        let hearing = tokio::spawn(hear(paths.clone(), handle, rebind, embedded));
        let (ended, cgroups) = run(supervisor, commands, inputs).await;
        service::ending();
        server.abort();
        reporting.abort();
        over_tcp.abort();
        hearing.abort();
        let listener = rebound.borrow().clone();
        // Answers under way are written before the end.
        tokio::time::sleep(Duration::from_millis(20)).await;
        super::events::tell_stopped(&store, ended);
        store.finish(LAST_FACTS);
        if ended == Ended::Again {
            return Ok(Some(Kept { lock, listener: listener.try_clone()? }));
        }
        if let Some(home) = cgroups {
            home.remove();
        }
        // Gone already: all the better.
        let _ = std::fs::remove_file(paths.socket());
        let _ = std::fs::remove_file(paths.address());
        info!("daemon stopped");
        drop(lock);
        if ended == Ended::Overdue { Err(DaemonError::Deadline) } else { Ok(None) }
    }
}

async fn adopt_all(supervisor: &mut Supervisor, paths: &Paths) -> io::Result<()> {
    let (sessions, logs) = (paths.sessions(), paths.logs());
    let adopted =
        tokio::task::spawn_blocking(move || adopt::adopt(&sessions, &logs)).await.map_err(io::Error::other)?;
    info!("daemon started pid={} version={} sessions={}", std::process::id(), env!("CARGO_PKG_VERSION"), adopted.len());
    failpoint::here("daemon.adoption.before");
    supervisor.tell_begun();
    supervisor.on_adopted(adopted);
    supervisor.remember_all();
    supervisor.watch_database();
    supervisor.tell_again();
    failpoint::here("daemon.adoption.after");
    Ok(())
}

/// The loop of the supervisor: everything that happens, one thing after the other.
async fn run(
    mut supervisor: Supervisor,
    mut commands: mpsc::UnboundedReceiver<Given>,
    mut inputs: mpsc::UnboundedReceiver<Input>,
) -> (Ended, Option<cgroup::Home>) {
    let mut children = signal(SignalKind::child()).ok();
    loop {
        let tick = supervisor.next_tick();
        tokio::select! {
            biased;
            Some(input) = inputs.recv() => supervisor.input(input),
            Some(asked) = commands.recv() => supervisor.command(&asked.from, asked.command),
            () = heard_one(&mut children) => supervisor.reap(),
            () = sleep_until(tick) => supervisor.tick(tokio::time::Instant::now()),
        }
        if let Some(ended) = supervisor.ended() {
            return (ended, supervisor.cgroups());
        }
    }
}

async fn heard_one(children: &mut Option<tokio::signal::unix::Signal>) {
    match children {
        Some(children) => drop(children.recv().await),
        None => std::future::pending().await,
    }
}

async fn sleep_until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Signals: TERM and INT end the daemon, a second one at once; HUP reads the config again; USR1 makes a lost socket anew.
/// Inside the interface the first three are the interface's.
async fn hear(paths: Paths, handle: Handle, rebind: watch::Sender<Arc<UnixListener>>, embedded: bool) {
    let heard = |kind| {
        let ours = !embedded || kind == SignalKind::user_defined1();
        ours.then(|| signal(kind).ok()).flatten()
    };
    let (mut term, mut int) = (heard(SignalKind::terminate()), heard(SignalKind::interrupt()));
    let (mut hup, mut usr1) = (heard(SignalKind::hangup()), heard(SignalKind::user_defined1()));
    let mut stopping = false;
    loop {
        tokio::select! {
            () = heard_one(&mut term) => stop(&handle, std::mem::replace(&mut stopping, true)),
            () = heard_one(&mut int) => stop(&handle, std::mem::replace(&mut stopping, true)),
            () = heard_one(&mut hup) => {
                // The log says how it went.
                let _ = handle.ask(|reply| Command::Reload { reply }).await;
            }
            () = heard_one(&mut usr1) => match bind(&paths) {
                Ok(listener) => {
                    info!("the socket was made anew");
                    // Nobody listens any more: we are ending.
                    let _ = rebind.send(Arc::new(listener));
                }
                Err(error) => warn!(%error, "failed to make the socket anew"),
            },
        }
    }
}

fn stop(handle: &Handle, already: bool) {
    if already {
        info!("a second signal: ending at once");
        return handle.end();
    }
    let (reply, _) = oneshot::channel();
    handle.tell(Command::Shutdown { keep: None, asked: None, reply });
}

async fn take_lock(paths: &Paths, options: &Options) -> Result<Lock, DaemonError> {
    let path = paths.lock();
    let failed = |source| DaemonError::File { what: "lock", path: path.clone(), source };
    if let Some((lock, _)) = options.inherited {
        return Lock::inherit(lock).map_err(failed);
    }
    let own = process::own_identity()?;
    if options.take_over {
        return service::take_over(paths, own).await;
    }
    Lock::take(&path, own).map_err(failed)?.ok_or_else(|| DaemonError::Running(paths.state.clone()))
}

fn listen(paths: &Paths, options: &Options) -> Result<UnixListener, DaemonError> {
    match options.inherited {
        Some((_, listener)) => Ok(UnixListener::from(fds::inherited(listener)?)),
        None => bind(paths),
    }
}

/// Binds the socket and writes down where it is.
fn bind(paths: &Paths) -> Result<UnixListener, DaemonError> {
    dirs::ensure_private(&paths.runtime)?;
    dirs::ensure_private(&paths.keepers())?;
    let path = paths.socket();
    let failed = |source| DaemonError::File { what: "listen on", path: path.clone(), source };
    let listener = socket::bind(&path).map_err(failed)?;
    let address = paths.address();
    failpoint::here("daemon.address.before");
    if let Err(error) = dirs::write_whole(&address, path.as_os_str().as_encoded_bytes()) {
        // A full disk, mostly, where a daemon is needed all the same: clients look in the usual place too.
        warn!(%error, "failed to write {}", address.display());
    }
    failpoint::here("daemon.address.after");
    Ok(listener)
}

/// The random name of this instance, made once.
fn instance(path: &Path) -> Result<String, DaemonError> {
    if let Ok(text) = std::fs::read_to_string(path)
        && !text.trim().is_empty()
    {
        return Ok(text.trim().to_string());
    }
    let word = dirs::random_word(8)?;
    failpoint::here("daemon.instance.before");
    dirs::write_whole(path, word.as_bytes()).map_err(|source| DaemonError::File {
        what: "write",
        path: path.into(),
        source,
    })?;
    failpoint::here("daemon.instance.after");
    Ok(word)
}

/// `leaves`: this process does not stay where it was started.
fn cradle(config: &Config, paths: &Paths, instance: &str, leaves: bool) -> Cradle {
    let scopes = Scopes::new(config.sys.clone(), instance);
    if leaves {
        scopes.leave_login();
    }
    let cgroups = if config.sys.cgroup { cgroup::Home::find(instance) } else { None };
    Cradle { cgroups, scopes, paths: paths.clone(), crib: Arc::default() }
}

/// What hooks get: as little as a daemon that was started by a client, and the way back to this one.
fn hook_environment(paths: &Paths) -> Vec<(String, String)> {
    let kept = |name: &str| !name.starts_with("BEADLE_") && launch::is_kept(name);
    let text = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
    let ours = [
        ("BEADLE_SOCKET", paths.socket()),
        ("BEADLE_STATE_DIR", paths.state.clone()),
        ("BEADLE_RUNTIME_DIR", paths.runtime.clone()),
        ("BEADLE_CONFIG", paths.config.clone()),
    ];
    let ours = ours.into_iter().filter(|(name, _)| *name != "BEADLE_CONFIG" || paths.config_named);
    let ours = ours.map(|(name, path)| (name.to_string(), path.display().to_string()));
    text.filter(|(name, _)| kept(name)).chain(ours).collect()
}

/// What sessions without an environment of their own get: the daemon's, less what is beadle's, the terminal's and the
/// service manager's.
fn base_environment() -> Vec<String> {
    let ours = |name: &str| {
        name.starts_with("BEADLE_") || name.starts_with("TMUX") || name == "STY" || notify::OURS.contains(&name)
    };
    let text = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
    text.filter(|(k, _)| !ours(k)).map(|(k, v)| format!("{k}={v}")).collect()
}
