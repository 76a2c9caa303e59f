//! `events`: what happens, as it happens, or what happened last.

use serde_json::Value;

use super::args::{Events as Args, Globals};
use super::exit::{DONE, Ended, Failure};
use super::{connect, print};
use crate::api::client::{Client, ClientError};
use crate::api::event::{Events, Which};
use crate::model::event::{Event, KINDS, What};
use crate::model::session::Exit;
use crate::sys::clock;

/// How many are told when nobody says from where.
const LAST: u32 = 100;

pub async fn run(globals: &Globals, args: &Args) -> Ended {
    let kind = (!args.kind.is_empty()).then(|| args.kind.join(","));
    if let Some(unknown) = args.kind.iter().find(|k| !KINDS.contains(&k.as_str())) {
        return Err(Failure::Usage(format!("there is no event {unknown:?}: there are {}", KINDS.join(", "))));
    }
    let client = connect::client(globals).await?;
    let which = Which { since: args.since.clone(), kind, limit: args.limit, wait: false };
    if args.follow {
        // From now on, unless it is said from where.
        let since = which.since.clone().or(Some("0s".into()));
        return follow(globals, client, Which { since, limit: None, ..which }, args.json).await;
    }
    let Events { events, more, .. } = client.get(&which.path()).await?;
    if args.json {
        print::json(&events)?;
    } else {
        events.iter().try_for_each(|event| print::line(&shown(event)))?;
    }
    if more {
        print::complain("there are later ones (--limit, --since, -f)");
    } else if events.is_empty() && print::is_terminal() {
        print::complain("nothing of that kind is kept");
    } else if args.since.is_none() && u32::try_from(events.len()).is_ok_and(|n| n >= LAST) {
        print::complain(&format!("these are the last {LAST}; there may be earlier ones (--since 2h)"));
    }
    Ok(DONE)
}

/// For ever. A daemon that goes away comes back, and nothing in between is missed.
async fn follow(globals: &Globals, mut client: Client, mut which: Which, json: bool) -> Ended {
    loop {
        let answer: Result<Events, ClientError> = client.get(&which.path()).await;
        match answer {
            Ok(Events { events, next, .. }) => {
                for event in &events {
                    if json { print::json_line(event)? } else { print::line(&shown(event))? }
                }
                which.since = Some(next.to_string());
                which.wait = true;
            }
            Err(error) if error.is_no_answer() => client = connect::again(globals, &error).await?,
            Err(error) => return Err(error.into()),
        }
    }
}

/// One line for a person. What comes of a process was made printable where it was told, and is again here.
fn shown(event: &Value) -> String {
    let text = match serde_json::from_value::<Event>(event.clone()) {
        Ok(event) => {
            let kind = event.what.kind();
            let hook = if event.by_hook { "  (by a hook)" } else { "" };
            format!("{} {:>6}  {kind:<18} {}{hook}", clock::local(&event.at), event.number, words(&event.what))
        }
        // Of a later version.
        Err(_) => event.to_string(),
    };
    print::printable_line(&text)
}

fn words(what: &What) -> String {
    let who = what.who().map_or_else(String::new, |who| format!("{} ({})", who.name, who.session_id));
    match what {
        What::DaemonStarted { version, pid } => format!("version {version}, pid {pid}"),
        What::DaemonStopped { reason } | What::Latched { reason } => reason.clone(),
        What::SessionStarted { who: w } => format!("{who}: {}, {}", w.agent, w.origin),
        What::SessionRestarted { .. } | What::SessionLingering { .. } => who,
        What::SessionEnded { exit, .. } => match exit {
            Some(Exit { by, reason, .. }) => format!("{who}: by {by}: {reason}"),
            None => who,
        },
        What::SessionChanged { change, .. } => format!("{who}: {change}"),
        What::HealthChanged { health, reason, .. } => format!("{who}: {health}: {reason}"),
        What::AttentionChanged { attention, reason, .. } => format!("{who}: {attention}: {reason}"),
        What::CloseAnnounced { closes_at, reason, .. } => {
            format!("{who}: closes {}: {reason}", clock::local(closes_at))
        }
        What::CloseWithdrawn { reason, .. } => format!("{who}: {reason}"),
        What::SessionCleanup { outcome, by, reason, .. } => format!("{who}: {outcome}, by {by}: {reason}"),
        What::CloseAllSessions { closed, failed, reason, .. } => format!("{closed} closed, {failed} failed: {reason}"),
        What::SweepCompleted { killed, spared, failed, reason, failure, .. } => {
            let failure = failure.as_ref().map_or_else(String::new, |why| format!("; nothing was taken: {why}"));
            format!("{killed} taken, {spared} spared, {failed} failed: {reason}{failure}")
        }
        What::StraysFound { count, memory_bytes, .. } => format!("{count}, {}", print::size(*memory_bytes)),
        What::SettingsChanged { settings } => {
            let one = |(key, change): (&String, &crate::model::event::Change)| {
                format!("{key}: {} → {}", change.old, change.new)
            };
            settings.iter().map(one).collect::<Vec<_>>().join(", ")
        }
        What::Released {} => String::new(),
        What::ProjectChanged { project_id, status, reason, .. } => format!("{project_id}: {status}: {reason}"),
        What::ProjectCleanupCompleted { project_id, status, cleaned_sessions_count, failed_cleanup_count, .. } => {
            format!("{project_id}: {status}: {cleaned_sessions_count} closed, {failed_cleanup_count} failed")
        }
        What::Resync { from, to, reason } => format!("{from} to {to}: {reason}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_event_is_one_line_whatever_is_in_it() {
        let event = json!({ "number": 5, "at": "2026-11-20T10:00:00.000Z", "kind": "session_ended", "sessionId": "k3",
            "name": "a\u{1b}]0;x\nb", "agent": "claude", "origin": "managed", "projectId": null,
            "exit": { "code": 3, "signal": null, "at": "2026-11-20T10:00:00.000Z", "by": "itself", "reason": "status 3" } });
        let line = shown(&event);
        assert!(line.contains("     5  session_ended      a·]0;x b (k3): by itself: status 3"), "{line}");
        let later = json!({ "number": 6, "kind": "moon_rose\n", "at": "x" });
        assert!(shown(&later).contains("moon_rose") && !shown(&later).contains('\n'));
    }
}
