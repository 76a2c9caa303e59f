//! `cleanup` and `keep-child`: the cleaner asked, told and set.

use serde_json::json;

use super::args::{Cleanup, CleanupSet, CleanupVerb, Globals, KeepChild};
use super::exit::{DONE, Ended, Failure};
use super::table::{Cell, Column, Table};
use super::{connect, print};
use crate::api::cleanup::{Cleaned, KeepChildRequest, SetDone, SetRequest, Stats, Switched};
use crate::api::client::ClientError;
use crate::api::refusal::Code;
use crate::api::types::{Done, Touched};
use crate::model::text::printable;
use crate::sys::clock;

const PENDING: &[Column] = &[
    Column::new("ID", 0),
    Column::new("NAME", 0).least(12),
    Column::new("IDLE", 1).right(),
    Column::new("CLOSES IN", 0).right(),
    Column::new("REASON", 0).least(20),
];

pub async fn run(globals: &Globals, args: &Cleanup) -> Ended {
    let json = |inner: bool| inner || args.json;
    match &args.verb {
        None => status(globals, args.json).await,
        Some(CleanupVerb::Status(shown)) => status(globals, json(shown.json)).await,
        Some(CleanupVerb::Now(shown)) => now(globals, json(shown.json)).await,
        Some(CleanupVerb::Start(shown)) => switch(globals, "start", json(shown.json)).await,
        Some(CleanupVerb::Stop(shown)) => switch(globals, "stop", json(shown.json)).await,
        Some(CleanupVerb::Set(set)) => self::set(globals, set, json(set.json)).await,
    }
}

async fn status(globals: &Globals, json: bool) -> Ended {
    let stats: Stats = connect::client(globals).await?.get("/api/auto-cleanup/stats").await?;
    if json {
        print::json(&stats)?;
    } else {
        print::raw(&text(&stats, &clock::wall()))?;
    }
    Ok(DONE)
}

/// Waits for the closes, as `kill` does.
async fn now(globals: &Globals, json: bool) -> Ended {
    let cleaned: Cleaned = connect::client(globals).await?.post("/api/cleanup", &json!({})).await?;
    if json {
        print::json(&cleaned)?;
        return Ok(DONE);
    }
    for session in &cleaned.sessions {
        print::line(&format!("✔ closed {}: {}", printable(&session.name), printable(&session.reason)))?;
    }
    print::line(&printable(&cleaned.message))?;
    Ok(DONE)
}

async fn switch(globals: &Globals, verb: &str, json: bool) -> Ended {
    let path = format!("/api/auto-cleanup/{verb}");
    let switched: Switched = connect::client(globals).await?.post(&path, &json!({})).await?;
    if json {
        print::json(&switched)?;
    } else {
        print::line(&printable(&switched.message))?;
    }
    Ok(DONE)
}

async fn set(globals: &Globals, args: &CleanupSet, json: bool) -> Ended {
    let request = SetRequest { settings: args.settings.clone(), save: args.save };
    let done: SetDone =
        connect::client(globals).await?.post("/api/cleanup/set", &request).await.map_err(|e| match e {
            // A key or a value that does not exist was typed here.
            ClientError::Refused(refusal) if refusal.code == Code::Unprocessable => Failure::Usage(refusal.message),
            e => e.into(),
        })?;
    if json {
        print::json(&done)?;
        return Ok(DONE);
    }
    for (key, old, new) in changes(&done) {
        print::line(&printable(&format!("{key}: {old} → {new}")))?;
    }
    let lasts = done.saved.as_deref().map_or_else(
        || "holds until the daemon ends or reads its file again; --save writes it down".into(),
        |path| format!("saved in {path}"),
    );
    print::line(&printable(&lasts))?;
    Ok(DONE)
}

pub async fn keep_child(globals: &Globals, args: &KeepChild) -> Ended {
    let client = connect::client(globals).await?;
    let touched: Touched = client.post("/api/keep-child", &KeepChildRequest { pid: args.pid }).await?;
    super::act::told(&Done { sessions: vec![touched] }, args.json)
}

fn changes(done: &SetDone) -> impl Iterator<Item = (&str, &str, &str)> {
    let old = |key: &String| done.old_settings.get(key).map_or("", String::as_str);
    done.new_settings.iter().map(move |(key, new)| (key.as_str(), old(key), new.as_str()))
}

/// At this moment of the wall.
fn text(stats: &Stats, now: &str) -> String {
    let left = |at: Option<&String>| at.and_then(|at| clock::seconds_between(now, at)).map(print::duration);
    let task = &stats.auto_cleanup_task;
    let next = left(task.next_run_at.as_ref()).map_or_else(String::new, |left| format!(", looks again in {left}"));
    let mut rows = vec![("Cleaner".to_string(), format!("{}{next}", task.task_status))];
    rows.extend(
        left(task.quiet_until.as_ref()).map(|left| ("Quiet".to_string(), format!("nothing is closed for {left}"))),
    );
    rows.extend(
        stats.configuration.cleanup.iter().filter(|(key, _)| *key != "enabled").map(|(k, v)| (k.clone(), v.clone())),
    );
    let s = &stats.statistics;
    rows.push(("Sessions".into(), format!("{}, {} to be closed", s.total_sessions, s.sessions_to_cleanup)));
    let counts = &s.counts;
    rows.push((
        "So far".into(),
        format!(
            "{} started, {} closed in {} passes, {} passes failed",
            counts.sessions_created, counts.sessions_cleaned, counts.cleanup_runs, counts.cleanup_errors
        ),
    ));
    let width = rows.iter().map(|(label, _)| label.len()).max().unwrap_or(0) + 2;
    let lines: Vec<String> =
        rows.iter().map(|(label, value)| format!("{label:<width$}{}\n", printable(value))).collect();
    let mut out = lines.concat();
    if !stats.sessions_pending_cleanup.is_empty() {
        out.push('\n');
        out.push_str(&pending(stats, now));
    }
    out
}

fn pending(stats: &Stats, now: &str) -> String {
    let mut table = Table::new(PENDING);
    for session in &stats.sessions_pending_cleanup {
        let left = session.closes_at.as_deref().and_then(|at| clock::seconds_between(now, at));
        table.push(vec![
            Cell::new(&session.session_id),
            Cell::new(&session.name),
            Cell::new(print::or_unknown(session.inactive_time, |s| print::duration(s.0))),
            Cell::new(print::or_unknown(left, print::duration)),
            Cell::new(&session.reason),
        ]);
    }
    let width = print::is_terminal().then(|| usize::from(crate::sys::term::size().0));
    table.render(width, false)
}

/// `closes in 4m: idle for 60 m`, for a session whose close is announced.
pub fn announced(session: &crate::api::types::Session, now: &str) -> Option<String> {
    let left = clock::seconds_between(now, session.closes_at.as_deref()?)?;
    let because = session.closes_because.as_deref().unwrap_or_default();
    Some(format!("closes in {}: {because}", print::duration(left)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::sample;

    #[test]
    fn an_announced_close_is_a_countdown() {
        let mut session = sample::session("a", "a");
        assert_eq!(announced(&session, "2026-11-20T10:00:00Z"), None);
        session.closes_at = Some("2026-11-20T10:04:30Z".into());
        session.closes_because = Some("idle for 1 h".into());
        assert_eq!(announced(&session, "2026-11-20T10:00:00Z").unwrap(), "closes in 4m: idle for 1 h");
        assert_eq!(announced(&session, "2026-11-20T11:00:00Z").unwrap(), "closes in 0s: idle for 1 h");
    }

    #[test]
    fn the_state_of_the_cleaner_is_told_in_rows() {
        let stats: Stats = serde_json::from_value(json!({
            "configuration": { "session_timeout": 3600, "cleanup_interval": 60, "auto_cleanup_enabled": true,
                "max_sessions": 1000, "max_sessions_per_workspace": 0, "cleanup": { "enabled": "true", "max_idle": "60m" } },
            "statistics": { "total_sessions": 2, "active_sessions": 1, "inactive_sessions": 1, "sessions_to_cleanup": 1,
                "workspaces_with_sessions": 1, "sessions_created": 2, "sessions_cleaned": 0, "cleanup_runs": 3, "cleanup_errors": 0 },
            "auto_cleanup_task": { "running": true, "task_status": "running", "next_run_at": "2026-11-20T10:00:42Z", "quiet_until": null },
            "sessions_pending_cleanup": [{ "session_id": "k3f9q2", "name": "do\u{1b}cs", "workspace_name": "/w", "inactive_time": 3400.5,
                "will_cleanup": true, "closes_at": "2026-11-20T10:04:00Z", "reason": "idle for 1 h" }],
        }))
        .unwrap();
        let expected = "\
Cleaner   running, looks again in 42s
max_idle  60m
Sessions  2, 1 to be closed
So far    2 started, 0 closed in 3 passes, 0 passes failed

ID      NAME   IDLE  CLOSES IN  REASON
k3f9q2  do·cs   56m         4m  idle for 1 h
";
        assert_eq!(text(&stats, "2026-11-20T10:00:00Z"), expected);
    }
}
