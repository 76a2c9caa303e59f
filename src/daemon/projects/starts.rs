//! Sessions of projects, started.

use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::info;

use super::round::Start;
use super::{EVERY, News};
use crate::api::refusal::{Code, Refusal};
use crate::api::types::{StartRequest, Started};
use crate::daemon::cleaner::Request;
use crate::daemon::handle::Input;
use crate::daemon::supervisor::Supervisor;
use crate::model::project::Fate;
use crate::model::text;

impl Supervisor {
    /// The claim is committed: now its session.
    pub(super) fn start_project(&mut self, start: Start) {
        let Start { session, number, project, attempt, command, commands, argv, workspace, by_hook } = start;
        info!(%session, attempt, "project {project:?}: command {} of {commands}", command + 1);
        let base = if commands == 1 { project.clone() } else { format!("{project}-{}", command + 1) };
        let request = StartRequest {
            command: argv,
            // A name made by hand may be none; then it is called after its command.
            name: text::name_refusal(&base).is_none().then(|| self.numbered(&base)),
            project: Some(project),
            workspace,
            env: self.project_environment(),
            ..StartRequest::default()
        };
        let (reply, answered) = oneshot::channel();
        self.queue.starting.insert(session.clone(), number);
        let id = Some(session.clone());
        let hook = std::mem::replace(&mut self.by_hook, by_hook);
        let (started_by, notes) = (Vec::new(), Vec::new());
        self.start_where_there_is_room(Request { asked: request, started_by, by_hook, reply, notes, id });
        self.by_hook = hook;
        let inputs = self.inputs.clone();
        tokio::spawn(async move {
            let gone = || Err(Refusal::new(Code::ShuttingDown, "the daemon is shutting down"));
            let result = answered.await.unwrap_or_else(|_| gone());
            // A supervisor that has ended starts nothing.
            let _ = inputs.send(Input::Queue(Box::new(News::Started { session, number, result })));
        });
    }

    /// On top of the daemon's own.
    fn project_environment(&self) -> std::collections::BTreeMap<String, String> {
        let projects = &self.set.config.projects;
        let from = projects.env_from.iter().filter_map(|name| Some((name.clone(), std::env::var(name).ok()?)));
        let mut env: std::collections::BTreeMap<String, String> = from.collect();
        env.extend(projects.env.clone());
        env
    }

    pub(super) fn on_project_started(&mut self, session: &str, number: i64, result: Result<Started, Refusal>) {
        self.queue.starting.remove(session);
        if let Err(refusal) = result {
            let fate = match refusal.code {
                Code::Latched | Code::AtCap | Code::ShuttingDown => {
                    self.queue.not_before = Instant::now() + EVERY;
                    Fate::Postponed
                }
                _ => Fate::Refused(refusal.message),
            };
            info!(%session, number, "a session of a project did not start: {fate:?}");
            self.queue.refused.insert(session.into(), fate);
        }
        self.make_round();
    }
}
