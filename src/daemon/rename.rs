//! What people call a session, and the piece of work they say it belongs to.

use super::supervisor::Supervisor;
use crate::api::refusal::{Code, Refusal};
use crate::api::types::{RenameRequest, Session};
use crate::model::{select, text};
use crate::sys::clock;

impl Supervisor {
    pub(super) fn rename(&mut self, word: &str, request: &RenameRequest) -> Result<Session, Refusal> {
        let RenameRequest { name, project } = request;
        let bad = |why: String| Refusal::new(Code::BadRequest, why);
        if name.is_none() && project.is_none() {
            return Err(bad("give a name, or a project for a session beadle did not start".into()));
        }
        if let Some(why) = name.as_deref().and_then(text::name_refusal) {
            return Err(bad(why));
        }
        let id = select::one(word, &self.choices())?.to_string();
        if let Some(name) = name {
            self.free_name(name, Some(&id))?;
        }
        if self.foreign.contains_key(&id) {
            self.rename_foreign(&id, request)
        } else {
            self.rename_managed(&id, request)
        }
    }

    fn rename_foreign(&mut self, id: &str, request: &RenameRequest) -> Result<Session, Refusal> {
        let Some(foreign) = self.foreign.get_mut(id) else {
            return Err(Refusal::new(Code::NotFound, format!("no session {id:?}")));
        };
        if let Some(name) = &request.name {
            foreign.said.name = Some(name.clone());
            foreign.relabel();
        }
        if let Some(project) = &request.project {
            foreign.said.project = Some(text::printable_within(project, 100)).filter(|p| !p.is_empty());
        }
        let row = foreign.row(clock::monotonic());
        self.keep_said(id);
        self.tell_changed(id, "renamed");
        self.bump();
        Ok(row)
    }

    fn rename_managed(&mut self, id: &str, request: &RenameRequest) -> Result<Session, Refusal> {
        if request.project.is_some() {
            let why = "its project was given when it was started (`beadle run --project`), and stays";
            return Err(Refusal::new(Code::WrongState, why));
        }
        if let Some(entry) = self.entries.get_mut(id) {
            entry.meta.name.clone_from(&request.name);
        }
        self.keep_meta(id);
        self.remember(id);
        self.tell_changed(id, "renamed");
        self.bump();
        self.find(id).map(|e| e.row(clock::monotonic()))
    }
}
