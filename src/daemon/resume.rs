//! Taking up a conversation again: a new session of the same name, in the same workspace, with the command that the
//! agent's profile has for it. Also of what beadle did not start: what comes of it is managed.

use std::path::Path;

use super::cleaner::Request;
use super::handle::Reply;
use super::supervisor::{Supervisor, answer};
use crate::api::kept::Described;
use crate::api::refusal::{Code, Refusal};
use crate::api::types::{RestartRequest, StartRequest, Started};
use crate::model::{select, text, words};

/// What is taken up again.
struct Ended {
    name: String,
    agent: String,
    workspace: String,
    command: Option<String>,
    /// Of a managed one: what else it was.
    was: Option<Described>,
}

/// Said of a session that had ended, and was started by somebody who sent no environment along.
pub const DAEMONS_ENVIRONMENT: &str = "its environment is the daemon's: what it had ended with it";

impl Supervisor {
    /// `started_by`: see [`Described`].
    pub(super) fn resume(
        &mut self,
        word: &str,
        request: RestartRequest,
        started_by: Vec<String>,
        reply: Reply<Started>,
    ) {
        let ended = match self.is_latched().and_then(|()| self.to_resume(word)) {
            Ok(ended) => ended,
            Err(refusal) => return answer(reply, Err(refusal)),
        };
        let mut notes = Vec::new();
        if !request.env_whole {
            notes.push(DAEMONS_ENVIRONMENT.to_string());
        }
        match ended.request(request) {
            Ok(asked) => self.start_where_there_is_room(Request {
                asked,
                started_by,
                by_hook: self.by_hook,
                reply,
                notes,
                id: None,
            }),
            Err(refusal) => answer(reply, Err(refusal)),
        }
    }

    fn to_resume(&self, word: &str) -> Result<Ended, Refusal> {
        let id = select::one(word, &self.choices())?;
        let refuse_live = |is_live: bool, name: &str| {
            let why = format!("{name} has not ended: `beadle attach {name}` goes to it, `beadle kill {name}` ends it");
            if is_live { Err(Refusal::new(Code::WrongState, why)) } else { Ok(()) }
        };
        if let Some(entry) = self.entries.get(id) {
            refuse_live(entry.is_live(), entry.name())?;
            return Ok(Ended {
                name: entry.name().into(),
                agent: entry.session.agent.clone(),
                workspace: entry.session.workspace.clone(),
                command: entry.resume(),
                was: Some(entry.session.clone()),
            });
        }
        let foreign =
            self.foreign.get(id).ok_or_else(|| Refusal::new(Code::NotFound, format!("no session {word:?}")))?;
        refuse_live(foreign.is_live(), foreign.name())?;
        Ok(Ended {
            name: foreign.name().into(),
            agent: foreign.agent.clone(),
            workspace: foreign.workspace(),
            command: foreign.resume(),
            was: None,
        })
    }

    /// Which conversation a managed agent has open, where its own status file tells: remembered, for when it has ended.
    pub(super) fn note_conversations(&mut self) {
        let mut found = Vec::new();
        for entry in self.entries.values_mut().filter(|e| e.is_live()) {
            let told = entry.open_conversation().map(|told| text::printable_within(told, 200));
            if told.is_some() && told != entry.meta.conversation {
                entry.meta.conversation = told;
                found.push(entry.id().to_string());
            }
        }
        found.iter().for_each(|id| self.keep_meta(id));
    }
}

impl Ended {
    fn request(self, given: RestartRequest) -> Result<StartRequest, Refusal> {
        let (name, agent) = (&self.name, &self.agent);
        let unknown = || {
            let why = format!(
                "beadle knows no way to take up the conversation of {name} ({agent}): `beadle restart {name}` begins anew"
            );
            Refusal::new(Code::Unprocessable, why)
        };
        let line = self.command.as_ref().ok_or_else(unknown)?;
        let mut command = words::split(line).ok().filter(|words| !words.is_empty()).ok_or_else(unknown)?;
        // The program as it was called: it need not be on anybody's PATH.
        let own = self.was.as_ref().and_then(|was| was.command.first());
        if let Some(own) = own.filter(|own| Path::new(own).file_name() == Some(command[0].as_ref())) {
            command[0].clone_from(own);
        }
        let request = StartRequest {
            command,
            name: Some(self.name).filter(|name| text::name_refusal(name).is_none()),
            agent: Some(self.agent),
            workspace: Some(self.workspace).filter(|dir| dir.starts_with('/')),
            env: given.env,
            env_whole: given.env_whole,
            umask: given.umask,
            limits: given.limits,
            ..StartRequest::default()
        };
        let Some(was) = self.was else { return Ok(request) };
        Ok(StartRequest {
            project: was.project,
            size: Some(was.size),
            pipe: was.pipe,
            restart: was.restart,
            timeout_seconds: was.timeout_seconds,
            max_idle_seconds: was.max_idle_seconds,
            ..request
        })
    }
}
