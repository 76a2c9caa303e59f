//! What became of the session of an attempt; of one that nobody knows, what its directory says.

use std::path::Path;

use rusqlite::{OptionalExtension, params};

use super::{Kept, Round};
use crate::api::kept::Dir;
use crate::model::project::Fate;
use crate::model::session::ExitBy;

impl Round<'_> {
    /// The last session of the present attempt.
    pub(super) fn last(&mut self, project: &Kept) -> rusqlite::Result<Option<(usize, String, Fate)>> {
        let sql = "SELECT command, session, seen, boot_id FROM project_runs WHERE project = ?1 AND attempt = ?2
            ORDER BY command DESC LIMIT 1";
        let row = self.at.prepare_cached(sql)?.query_row(params![project.shown.number, project.shown.attempt], |row| {
            Ok((row.get::<_, usize>(0)?, row.get::<_, String>(1)?, row.get::<_, bool>(2)?, row.get::<_, String>(3)?))
        });
        let Some((command, session, seen, boot)) = row.optional()? else { return Ok(None) };
        let fate = self.fate(&session, seen, &boot);
        if matches!(fate, Fate::Open | Fate::Running) && !self.plan.open.contains(&session) {
            self.plan.open.push(session.clone());
        }
        Ok(Some((command, session, fate)))
    }

    fn fate(&mut self, session: &str, seen: bool, boot: &str) -> Fate {
        let dir = self.asked.ground.sessions.join(session);
        match self.asked.fates.get(session) {
            // Read while its keeper was about to take the identity back.
            Some(Fate::Ended { code: None, by: ExitBy::Unknown, .. }) if Dir::new(&dir).kept().unborn => Fate::Unborn,
            // Who was told that it failed does not know whether its command runs after all.
            Some(Fate::Refused(_) | Fate::Postponed) if !never_was(&dir) => self.doubt(session),
            Some(fate) => fate.clone(),
            None if !self.asked.whole => {
                (self.plan.again, self.plan.whole) = (true, true);
                Fate::Open
            }
            None if !seen && never_was(&dir) => Fate::Unborn,
            None if !Dir::new(&dir).is_gone() => self.doubt(session),
            None if boot != self.asked.ground.boot => {
                Fate::Ended { code: None, by: ExitBy::Reboot, reason: "the machine was restarted".into() }
            }
            None => Fate::Forgotten,
        }
    }

    fn doubt(&mut self, session: &str) -> Fate {
        if !self.plan.doubtful.iter().any(|known| known == session) {
            self.plan.doubtful.push(session.into());
        }
        Fate::Open
    }
}

/// Makes sure that no session ever begins there; false when one may. A keeper names its agent in the journal before it
/// releases it, and finds no place to write it in any more.
fn never_was(dir: &Path) -> bool {
    let kept = Dir::new(dir);
    if kept.is_gone() || kept.kept().unborn {
        return true;
    }
    let Some(name) = dir.file_name().and_then(|n| n.to_str()) else { return false };
    let aside = dir.with_file_name(format!("{name}.unborn"));
    if !kept.is_unborn() || std::fs::rename(dir, &aside).is_err() {
        return false;
    }
    if !Dir::new(&aside).is_unborn() {
        // It was written just now: it begins after all.
        let _ = std::fs::rename(&aside, dir);
        return false;
    }
    // Empty, or removed when it has grown old.
    let _ = std::fs::remove_dir_all(&aside);
    true
}
