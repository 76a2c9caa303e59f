//! Reading the screens of sessions: asked of keepers, matched beside the supervisor, never waited for.

use std::time::Duration;

use tokio::sync::oneshot;

use super::evidence::Standard;
use super::handle::Input;
use super::link::Answer;
use super::supervisor::Supervisor;
use crate::api::wire::Request;
use crate::model::lifecycle::Keeper;
use crate::model::profile::Look;
use crate::model::session::ProcId;
use crate::sys::clock;
use crate::sys::pulse::Beat;

/// How long a keeper may take to say what is on its screen.
const PATIENCE: Duration = Duration::from_millis(500);

impl Supervisor {
    /// Reads the screens that have changed, of agents whose screens can be read.
    pub(super) fn look(&mut self) {
        for entry in self.entries.values_mut() {
            let (Some(link), Some(pulse), Some(keeper)) = (&entry.link, &entry.pulse, entry.keeper) else { continue };
            let standard = entry.standard.clone();
            let readable = standard.profiles.by_name(&entry.session.agent).is_some_and(|p| !p.rules.is_empty());
            let written = pulse.get(Beat::Bytes);
            if !readable || entry.sight.asked || written == entry.sight.written || entry.life.keeper() != Keeper::Alive
            {
                continue;
            }
            // One that takes no orders is asked again at the next look.
            let Ok(answer) = link.ask(|seq| Request::Text { seq }) else { continue };
            entry.sight.asked = true;
            entry.sight.written = written;
            if !entry.sight.failed {
                self.looking.insert(entry.session.id.clone());
            }
            let (id, agent, inputs) = (entry.session.id.clone(), entry.session.agent.clone(), self.inputs.clone());
            tokio::spawn(async move {
                let look = read(answer, standard, agent).await;
                // A supervisor that has ended looks at nothing.
                let _ = inputs.send(Input::Looked { id, keeper, look });
            });
        }
    }

    pub(super) fn on_looked(&mut self, id: &str, keeper: ProcId, look: Option<Look>) {
        self.looking.remove(id);
        if let Some(entry) = self.entries.get_mut(id).filter(|e| e.keeper == Some(keeper)) {
            entry.sight.asked = false;
            entry.sight.failed = look.is_none();
            let before = entry.sight.look.clone();
            match look {
                Some(look) => entry.sight.take_in(look, clock::monotonic()),
                // Not read: as if nobody had asked.
                None => entry.sight.written = 0,
            }
            if entry.sight.look != before {
                self.tell_verdicts();
                self.bump();
            }
        }
        self.answer_samples();
    }
}

/// What the screen says; `None` when the keeper did not tell.
async fn read(answer: oneshot::Receiver<Answer>, standard: std::sync::Arc<Standard>, agent: String) -> Option<Look> {
    let answer = tokio::time::timeout(PATIENCE, answer).await.ok()?.ok()?;
    let screen = answer.screen?;
    // Patterns on a large screen take their time; nobody else waits for it.
    let matched =
        tokio::task::spawn_blocking(move || Some(standard.profiles.by_name(&agent)?.look(&screen.title, &screen.text)));
    matched.await.ok()?
}
