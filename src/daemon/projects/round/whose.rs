//! Whose a live session is, and whether it is still wanted.

use rusqlite::{OptionalExtension, params};

use super::{Lingering, Live, Round};
use crate::model::project::{Status, owners};

/// Whose a live session is.
enum Owner {
    Nobody,
    Wanted,
    Over(Lingering),
}

impl Round<'_> {
    pub(super) fn lingering(&mut self) -> rusqlite::Result<()> {
        for live in &self.asked.live {
            let owner = match self.by_claim(live)? {
                Owner::Nobody => self.by_name(live)?,
                claimed => claimed,
            };
            if let Owner::Over(lingering) = owner {
                self.plan.lingering.push(lingering);
            }
        }
        Ok(())
    }

    /// What the queue started is wanted by its project, or by whoever started it again long after.
    fn by_claim(&self, live: &Live) -> rusqlite::Result<Owner> {
        let sql = "SELECT r.project, p.name, p.status, (p.status = 'running' AND p.attempt = r.attempt)
                OR coalesce(strftime('%Y-%m-%dT%H:%M:%fZ', p.ended_at, '+60 seconds') < ?2, 0)
            FROM project_runs r LEFT JOIN projects p ON p.number = r.project WHERE r.session = ?1";
        let row = self.at.prepare_cached(sql)?.query_row(params![live.id, live.started_at], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get::<_, Option<String>>(2)?, row.get::<_, Option<bool>>(3)?))
        });
        let Some((number, name, status, wanted)) = row.optional()? else { return Ok(Owner::Nobody) };
        if wanted == Some(true) {
            return Ok(Owner::Wanted);
        }
        let name: Option<String> = name;
        Ok(Owner::Over(Lingering {
            session: live.id.clone(),
            number,
            project: name.or_else(|| live.project.clone()).unwrap_or_default(),
            status: status.and_then(|word| word.parse().ok()),
            own: true,
        }))
    }

    /// What somebody else started for a project, while there was one of that name.
    fn by_name(&self, live: &Live) -> rusqlite::Result<Owner> {
        let label = live.project.as_deref().into_iter();
        let names = label.chain(live.tmux.as_deref().into_iter().flat_map(owners));
        let sql = "SELECT number, name, status, created_at <= ?2 AND (ended_at IS NULL OR ?2 <= ended_at)
            FROM projects WHERE name = ?1";
        for name in names {
            let mut statement = self.at.prepare_cached(sql)?;
            let row = statement.query_row(params![name, live.started_at], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?, row.get::<_, bool>(3)?))
            });
            let Some((number, project, status, of_its_time)) = row.optional()? else { continue };
            let status: Option<Status> = status.parse().ok();
            if !of_its_time || !status.is_some_and(Status::is_finished) {
                return Ok(Owner::Wanted);
            }
            return Ok(Owner::Over(Lingering { session: live.id.clone(), number, project, status, own: false }));
        }
        Ok(Owner::Nobody)
    }
}
