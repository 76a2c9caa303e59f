//! Starting sessions: what is asked for, checked and named; the birth itself is beside ([`super::birth`]), and so is what
//! starts again ([`super::again`]).

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use super::adopt::{Adopted, Found};
use super::birth::{self, Born, Unborn, Wanted};
use super::cleaner::Request;
use super::closing::{Order, shutdown_cause};
use super::entry::Entry;
use super::handle::{Input, Reply};
use super::supervisor::{Supervisor, answer};
use crate::api::kept::{Described, Dir, Identity, Kept, Meta};
use crate::api::refusal::{Code, Refusal};
use crate::api::types::{Session, StartRequest, Started};
use crate::config::value::LONGEST;
use crate::model::lifecycle::{Event, Life};
use crate::model::session::{Cause, ExitBy};
use crate::model::text;
use crate::sys::{clock, dirs, failpoint, process, spawn};

/// Who waits for a birth.
pub struct Waiting {
    name: String,
    pub workspace: String,
    reply: Asker,
    /// Closes that were asked for meanwhile.
    pub closes: Vec<Order>,
}

pub(super) enum Asker {
    /// With what the caller should know.
    Start(Reply<Started>, Vec<String>),
    Restart(Reply<Session>),
}

/// Fresh session ids.
pub struct Ids;

impl Ids {
    pub fn fresh(taken: impl Fn(&str) -> bool) -> std::io::Result<String> {
        loop {
            let id = dirs::random_word(6)?;
            // All digits would read as a number, and be a prefix of nothing.
            if !taken(&id) && !id.bytes().all(|b| b.is_ascii_digit()) {
                return Ok(id);
            }
        }
    }
}

impl Supervisor {
    /// `started_by`: see [`Described`].
    pub(super) fn start(&mut self, asked: StartRequest, started_by: Vec<String>, reply: Reply<Started>) {
        self.start_where_there_is_room(Request {
            asked,
            started_by,
            by_hook: self.by_hook,
            reply,
            notes: Vec::new(),
            id: None,
        });
    }

    /// What is asked for is judged before anybody is closed for it.
    pub(super) fn start_where_there_is_room(&mut self, request: Request) {
        match self.described(&request.asked, request.started_by.clone(), request.id.clone()) {
            Ok(session) => {
                let Some(Request { asked, reply, notes, .. }) = self.with_room(request, &session.workspace) else {
                    return;
                };
                let env = self.environment(asked.env_whole, asked.env, &session);
                let wanted = Wanted {
                    env,
                    umask: asked.umask,
                    limits: asked.limits,
                    record_bytes: self.set.config.record.per_session,
                    spinners: self.spinners(&session.agent),
                    hook: self.hook(&session.agent),
                    pace: self.set.config.restart.pace(),
                    session,
                    again: false,
                };
                self.bear(wanted, Asker::Start(reply, notes));
            }
            Err(refusal) => {
                info!("refused start {:?}: {refusal}", request.asked.command.first());
                answer(request.reply, Err(refusal));
            }
        }
    }

    /// Glyphs this kind of agent animates.
    pub(super) fn spinners(&self, agent: &str) -> String {
        self.set.config.profiles.by_name(agent).map(|p| p.spinner.clone()).unwrap_or_default()
    }

    pub(super) fn environment(
        &self,
        whole: bool,
        own: std::collections::BTreeMap<String, String>,
        session: &Described,
    ) -> Vec<String> {
        let added = own.into_iter().map(|(k, v)| format!("{k}={v}"));
        let base: Vec<String> = if whole {
            added.collect()
        } else {
            let added: Vec<String> = added.collect();
            let overridden = |v: &&String| !added.iter().any(|a| a.split('=').next() == v.split('=').next());
            let kept: Vec<String> = self.set.base_env.iter().filter(overridden).cloned().collect();
            kept.into_iter().chain(added).collect()
        };
        birth::environment(base, session, &self.set.instance, &self.set.paths.socket())
    }

    pub(super) fn bear(&mut self, wanted: Wanted, asker: Asker) {
        let id = wanted.session.id.clone();
        let (name, workspace) = (wanted.session.name.clone(), wanted.session.workspace.clone());
        self.births.insert(id.clone(), Waiting { name, workspace, reply: asker, closes: Vec::new() });
        let (cradle, inputs) = (self.set.cradle.clone(), self.inputs.clone());
        tokio::task::spawn_blocking(move || {
            let born = cradle.birth(wanted).map(Box::new).map_err(Box::new);
            // A supervisor that has ended: the keeper sees its birth connection close.
            let _ = inputs.send(Input::Born { id, born });
        });
    }

    fn described(
        &self,
        request: &StartRequest,
        started_by: Vec<String>,
        id: Option<String>,
    ) -> Result<Described, Refusal> {
        self.may_start()?;
        limit_of("timeout_seconds", request.timeout_seconds)?;
        limit_of("max_idle_seconds", request.max_idle_seconds)?;
        let command = self.command_of(request)?;
        let agent = request.agent.clone().unwrap_or_else(|| self.set.config.profiles.kind_of(&command));
        let workspace = self.workspace_of(request)?;
        let taken = |id: &str| self.entries.contains_key(id) || self.births.contains_key(id);
        let id = id.map_or_else(|| Ids::fresh(taken), Ok);
        let id = id.map_err(|e| Refusal::new(Code::Internal, format!("failed to make an id: {e}")))?;
        Ok(Described {
            name: self.name_of(request, &agent, &command)?,
            id,
            agent: text::printable_within(&agent, 40),
            project: self.project_of(request, &started_by),
            workspace,
            command,
            pipe: request.pipe,
            size: size_of(request)?,
            restart: request.restart,
            timeout_seconds: request.timeout_seconds,
            max_idle_seconds: request.max_idle_seconds,
            cgroup: None,
            started_by,
            by_hook: self.by_hook,
        })
    }

    /// What a session starts belongs to the same piece of work, unless it says otherwise.
    fn project_of(&self, request: &StartRequest, started_by: &[String]) -> Option<String> {
        let of_parent = || self.entries.get(started_by.first()?)?.session.project.clone();
        request.project.clone().or_else(of_parent).map(|p| text::printable_within(&p, 100))
    }

    fn command_of(&self, request: &StartRequest) -> Result<Vec<String>, Refusal> {
        if !request.command.is_empty() {
            return Ok(request.command.clone());
        }
        let profiles = &self.set.config.profiles;
        if let Some(agent) = &request.agent {
            let start = profiles.by_name(agent).and_then(|p| p.start.clone());
            return start.map(|start| vec![start]).ok_or_else(|| {
                let known = profiles.names().collect::<Vec<_>>().join(", ");
                let why = format!(
                    "{agent:?} is no agent that can be started by its name (there are {known}): name a command"
                );
                Refusal::new(Code::Unprocessable, why)
            });
        }
        if let Some(agent) = self.set.config.agents.default.clone() {
            return Ok(vec![profiles.by_name(&agent).and_then(|p| p.start.clone()).unwrap_or(agent)]);
        }
        let given = request.env.get("PATH").map(String::as_str).filter(|_| request.env_whole);
        let path = given.or_else(|| self.set.base_env.iter().find_map(|v| v.strip_prefix("PATH=")));
        let found = profiles.startable().find(|a| spawn::find_program(a, path, Path::new("/")).is_ok());
        found.map(|a| vec![a.to_string()]).ok_or_else(|| {
            let known = profiles.startable().collect::<Vec<_>>().join(", ");
            Refusal::new(Code::Unprocessable, format!("no command was given and no agent is on PATH (looked for {known}): name a command, or set agents.default"))
        })
    }

    fn workspace_of(&self, request: &StartRequest) -> Result<String, Refusal> {
        let home = || self.set.base_env.iter().find_map(|v| v.strip_prefix("HOME=")).map(String::from);
        let configured = || self.set.config.agents.workspace.as_ref().map(|p| p.display().to_string());
        let workspace = request.workspace.clone().or_else(configured).or_else(home).unwrap_or_else(|| "/".into());
        let path = Path::new(&workspace);
        if !path.is_absolute() {
            return Err(Refusal::new(
                Code::BadRequest,
                format!("the workspace must be an absolute path, not {workspace:?}"),
            ));
        }
        // Whether it can be entered is found out by the agent's own process: asking here could hang on a dead mount.
        Ok(workspace)
    }

    fn name_of(&self, request: &StartRequest, agent: &str, command: &[String]) -> Result<String, Refusal> {
        if let Some(name) = &request.name {
            if let Some(why) = text::name_refusal(name) {
                return Err(Refusal::new(Code::BadRequest, why));
            }
            self.free_name(name, None)?;
            return Ok(name.clone());
        }
        let program = command.first().and_then(|c| c.rsplit('/').next()).unwrap_or("session");
        Ok(self.numbered(&text::name_from(if agent == "other" || agent == "shell" { program } else { agent })))
    }

    /// Nothing starts, and nothing starts again, while the daemon stops or the latch is set.
    pub(super) fn may_start(&self) -> Result<(), Refusal> {
        if self.closing_down {
            return Err(Refusal::new(Code::ShuttingDown, "the daemon is stopping: no session starts"));
        }
        self.is_latched()
    }

    /// This name, or the first of its kind that is free.
    pub(super) fn numbered(&self, base: &str) -> String {
        let free = |name: &String| self.free_name(name, None).is_ok();
        let numbered = (2..).map(|n| format!("{base}-{n}"));
        std::iter::once(base.to_string()).chain(numbered).find(free).unwrap_or_else(|| base.into())
    }

    /// A name a live session has is refused to another.
    pub(super) fn free_name(&self, name: &str, except: Option<&str>) -> Result<(), Refusal> {
        let is_other = |id: &str| Some(id) != except;
        let live = self.live().any(|e| e.name() == name && is_other(e.id()));
        let foreign = self.foreign_live().any(|f| f.name() == name && is_other(&f.id));
        let unborn = self.births.iter().any(|(id, w)| w.name == name && is_other(id));
        if live || foreign || unborn {
            return Err(Refusal::new(
                Code::NameTaken,
                format!("a live session is already called {name:?}: choose another name"),
            ));
        }
        Ok(())
    }

    pub(super) fn on_born(&mut self, id: &str, born: Result<Box<Born>, Box<Unborn>>) {
        let Some(Waiting { name, reply, closes, .. }) = self.births.remove(id) else { return };
        match born {
            Err(unborn) => {
                let refusal = refusal(&unborn.error);
                self.after_unborn(id, *unborn);
                info!("refused start session={id} name={name:?}: {refusal}");
                match reply {
                    Asker::Start(reply, _) => answer(reply, Err(refusal)),
                    Asker::Restart(reply) => answer(reply, Err(refusal)),
                }
            }
            Ok(born) => {
                let leader = born.leader;
                self.enter(id, *born);
                self.remember(id);
                self.tell_started(id);
                failpoint::here("daemon.entered.after");
                info!("started session={id} name={name:?} pid={}", leader.pid);
                if self.closing_down {
                    drop(self.close(&[id.to_string()], false, &shutdown_cause(self.stopped_by.clone())));
                }
                if self.latch.why().is_some() {
                    drop(self.close(&[id.to_string()], false, &Cause::new(ExitBy::Sweep, "an emergency")));
                }
                match reply {
                    Asker::Start(reply, notes) => {
                        self.cleaner.counts.sessions_created += 1;
                        answer(reply, Ok(Started { session_id: id.into(), name, leader_pid: leader.pid, notes }));
                    }
                    Asker::Restart(reply) => {
                        answer(reply, self.find(id).map(|e| e.row(clock::monotonic())));
                    }
                }
            }
        }
        self.close_ordered(closes);
        self.bump();
    }

    /// What a failed birth leaves: a keeper to reap, the end of the run before, or a keeper that went on without us.
    fn after_unborn(&mut self, id: &str, unborn: Unborn) {
        self.dying.extend(unborn.keeper);
        if unborn.may_run {
            warn!(session = %id, "its command may run although the start failed: it is looked for");
            // Of a session started again, what is written down now is the new run.
            self.entries.remove(id);
            self.after_lost(unborn.dir);
        } else if let Some(entry) = self.entries.get(id) {
            // The run before is still the last one.
            if let Some(exit) = &entry.exit {
                let _ = entry.dir.write_exit(exit).and_then(|()| entry.dir.write_reported());
            }
        }
    }

    /// Who is told that the start failed finds the session listed, unless its keeper is still to be asked.
    fn after_lost(&mut self, dir: Dir) {
        let kept = dir.kept();
        if kept.identity.as_ref().is_some_and(|i| !process::is_alive(i.keeper)) {
            self.on_adopted(vec![Adopted { dir, kept, found: Found::KeeperGone, logged: false }]);
        } else {
            self.ask_about(dir);
        }
    }

    fn enter(&mut self, id: &str, born: Born) {
        let Born { dir, session, shaken, leader } = born;
        let identity = Identity {
            socket: self.set.paths.keepers().join(format!("{id}.sock")),
            session,
            boot_id: clock::boot_id(),
            keeper: shaken.hello.keeper,
            leader,
            started_at: shaken.hello.started_at.clone(),
            started_monotonic_seconds: shaken.hello.started_monotonic_seconds,
        };
        let mut life = Life::new();
        life.apply(Event::Started);
        // A name and a pin outlive the run; who closed the run before does not.
        let lasting = |m: &Meta| Meta { name: m.name.clone(), pinned: m.pinned, ..Meta::default() };
        let before = self.entries.get(id).map(|e| lasting(&e.meta));
        let kept = Kept { identity: Some(identity), meta: before.clone().unwrap_or_default(), ..Kept::default() };
        let Some(mut entry) = Entry::kept(kept, dir, life, Arc::clone(&self.standard)) else { return };
        entry.members = [leader].into();
        self.wake_cleaner();
        self.entries.insert(id.into(), entry);
        self.plan_timeouts();
        if before.is_some() {
            self.keep_meta(id);
        }
        self.connect(id, shaken);
    }
}

/// A limit somebody gave for one session.
fn limit_of(key: &str, seconds: Option<f64>) -> Result<(), Refusal> {
    let Some(seconds) = seconds else { return Ok(()) };
    if Duration::try_from_secs_f64(seconds).is_ok_and(|limit| !limit.is_zero() && limit <= LONGEST) {
        return Ok(());
    }
    let message = format!("{key} must be more than 0 and at most ten years, not {seconds}: leave it out for no limit");
    Err(Refusal::new(Code::BadRequest, message))
}

fn size_of(request: &StartRequest) -> Result<(u16, u16), Refusal> {
    let (cols, rows) = request.size.unwrap_or((80, 24));
    if !(1..=1000).contains(&cols) || !(1..=500).contains(&rows) {
        let message = format!("a size is 1x1 to 1000x500 (columns x rows), not {cols}x{rows}");
        return Err(Refusal::new(Code::BadRequest, message));
    }
    Ok((cols, rows))
}

fn refusal(error: &birth::BirthError) -> Refusal {
    let code = match error {
        birth::BirthError::Command(_) => Code::CannotExecute,
        birth::BirthError::Directory(_) | birth::BirthError::Keeper(_) | birth::BirthError::Silent(_) => Code::Internal,
    };
    Refusal::new(code, error.to_string())
}
