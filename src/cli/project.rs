//! `project`: the queue, filled, looked at, and told what is over.

use serde_json::json;

use super::args::{Globals, ProjectAdd, ProjectList, ProjectNames, ProjectOne, ProjectSeveral, ProjectVerb};
use super::exit::{DONE, Ended, FAILED, SURVIVORS};
use super::table::{Cell, Column, Table};
use super::{caller, connect, kill, print};
use crate::api::project::{AddRequest, EndRequest, Project, ProjectsEnded, ProjectsRemoved, RemoveRequest};
use crate::model::project::Verb;
use crate::model::text::printable;
use crate::sys::{clock, term};

const COLUMNS: &[Column] = &[
    Column::new("NO", 2).right(),
    Column::new("NAME", 0).least(12),
    Column::new("STATUS", 0),
    Column::new("PRIO", 4).right(),
    Column::new("TRY", 3).right(),
    Column::new("SESSION", 1),
    Column::new("AGE", 2).right(),
    Column::new("REASON", 0).least(12),
];

pub async fn run(globals: &Globals, verb: &ProjectVerb) -> Ended {
    match verb {
        ProjectVerb::Add(args) => add(globals, args).await,
        ProjectVerb::Ls(args) => list(globals, args).await,
        ProjectVerb::Show(args) => show(globals, args).await,
        ProjectVerb::Complete(args) => end(globals, Verb::Complete, args).await,
        ProjectVerb::Fail(args) => end(globals, Verb::Fail, args).await,
        ProjectVerb::Stop(args) => end(globals, Verb::Stop, args).await,
        ProjectVerb::Cancel(args) => end(globals, Verb::Cancel, args).await,
        ProjectVerb::Emergency(args) => end(globals, Verb::Emergency, args).await,
        ProjectVerb::Rm(args) => remove(globals, args).await,
    }
}

/// Prints the number.
async fn add(globals: &Globals, args: &ProjectAdd) -> Ended {
    let request = AddRequest {
        name: args.name.clone(),
        command: args.command.clone(),
        commands: args.step.iter().map(|step| vec!["sh".into(), "-c".into(), step.clone()]).collect(),
        workspace: Some(caller::directory(args.cwd.as_deref())?),
        priority: args.priority,
        timeout_seconds: args.timeout.map(|d| d.as_secs_f64()),
        retries: args.retries,
    };
    let project = connect::client(globals).await?.add_project(&request).await?;
    if args.json {
        print::json(&project)?;
    } else {
        print::line(&project.number.to_string())?;
    }
    Ok(DONE)
}

async fn list(globals: &Globals, args: &ProjectList) -> Ended {
    let mut projects = connect::client(globals).await?.projects().await?;
    projects.retain(|p| args.status.is_none_or(|status| p.status == status));
    if args.json {
        print::json(&projects)?;
        return Ok(DONE);
    }
    if projects.is_empty() && print::is_terminal() {
        print::complain("no projects (`beadle project add NAME -- CMD` adds one)");
        return Ok(DONE);
    }
    let width = print::is_terminal().then(|| usize::from(term::size().0));
    print::raw(&table(&projects, &clock::wall()).render(width, print::is_coloured()))?;
    Ok(DONE)
}

/// At this moment of the wall.
fn table(projects: &[Project], now: &str) -> Table<'static> {
    let mut table = Table::new(COLUMNS);
    for p in projects {
        let age = clock::seconds_between(&p.created_at, now);
        table.push(vec![
            Cell::new(p.number.to_string()),
            Cell::new(&p.name),
            Cell::new(p.status.as_str()),
            Cell::new(p.priority.to_string()),
            Cell::new(p.attempt.to_string()),
            Cell::new(p.session.as_deref().unwrap_or_default()),
            Cell::new(print::or_unknown(age, print::duration)),
            Cell::new(p.reason.as_deref().unwrap_or_default()),
        ]);
    }
    table
}

async fn show(globals: &Globals, args: &ProjectOne) -> Ended {
    let project = connect::client(globals).await?.project(&args.name).await?;
    if args.json {
        print::json(&project)?;
    } else {
        print::raw(&text(&project))?;
    }
    Ok(DONE)
}

fn text(p: &Project) -> String {
    let mut rows = vec![
        ("Project", format!("{} ({})", p.name, p.number)),
        ("Status", p.status.to_string()),
        ("Priority", p.priority.to_string()),
        ("Directory", p.workspace.clone()),
    ];
    rows.extend(p.commands.iter().map(|command| ("Command", command.join(" "))));
    rows.extend(p.timeout_seconds.map(|s| ("Timeout", print::duration(s))));
    rows.push(("Attempt", format!("{} ({} retries)", p.attempt, p.retries)));
    let at = |label, at: &Option<String>| at.as_deref().map(|at| (label, clock::local(at)));
    rows.extend(at("Added", &Some(p.created_at.clone())));
    rows.extend(at("Started", &p.started_at));
    rows.extend(at("Ended", &p.ended_at));
    rows.extend(p.reason.clone().map(|reason| ("Reason", reason)));
    if !p.sessions.is_empty() {
        rows.push(("Sessions", p.sessions.join(" ")));
    }
    let lines: Vec<String> =
        rows.into_iter().map(|(label, value)| format!("{label:<11}{}\n", printable(&value))).collect();
    lines.concat()
}

/// 6 when something survived, 1 when one of them had ended otherwise before.
async fn end(globals: &Globals, verb: Verb, args: &ProjectSeveral) -> Ended {
    let request = EndRequest { verb, targets: args.names.clone(), reason: args.reason.clone() };
    let ended: ProjectsEnded = connect::client(globals).await?.end_projects(&request).await?;
    if args.json {
        print::json(&ended)?;
    } else {
        for one in &ended.projects {
            let mark = if one.status == verb.status() { '✔' } else { '✘' };
            print::line(&format!("{mark} {} {}", printable(&one.project_id), printable(&one.message)))?;
            print::raw(&indented(&kill::text(&one.report)))?;
        }
    }
    let otherwise = ended.projects.iter().any(|one| one.status != verb.status());
    Ok(match (ended.failed_cleanup_count > 0, otherwise) {
        (true, _) => SURVIVORS,
        (false, true) => FAILED,
        (false, false) => DONE,
    })
}

fn indented(text: &str) -> String {
    text.lines().flat_map(|line| ["    ", line, "\n"]).collect()
}

async fn remove(globals: &Globals, args: &ProjectNames) -> Ended {
    let request = RemoveRequest { targets: args.names.clone() };
    let removed: ProjectsRemoved = connect::client(globals).await?.remove_projects(&request).await?;
    if args.json {
        print::json(&json!({ "removed": removed.removed }))?;
        return Ok(DONE);
    }
    for name in &removed.removed {
        print::line(&format!("✔ {} forgotten", printable(name)))?;
    }
    Ok(DONE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::project::Status;

    fn project() -> Project {
        Project {
            number: 3,
            name: "do\u{1b}cs".into(),
            status: Status::Running,
            priority: -1,
            workspace: "/srv".into(),
            commands: vec![vec!["sh".into(), "-c".into(), "npm ci".into()]],
            timeout_seconds: Some(1800.0),
            retries: 2,
            attempt: 1,
            command: Some(1),
            session: Some("k3f9q2".into()),
            sessions: vec!["k3f9q2".into()],
            created_at: "2026-11-20T10:00:00.000Z".into(),
            started_at: None,
            ended_at: None,
            reason: None,
            interrupted: false,
        }
    }

    #[test]
    fn a_project_is_one_line_whatever_it_is_called() {
        let text = table(&[project()], "2026-11-20T10:05:00.000Z").render(None, false);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[1].trim_end(), " 3  do·cs  running    -1    1  k3f9q2    5m");
    }

    #[test]
    fn all_of_a_project_is_shown_in_rows() {
        let text = text(&project());
        assert!(text.contains("Project    do·cs (3)\nStatus     running\n"), "{text}");
        assert!(text.contains("Command    sh -c npm ci\nTimeout    30m\nAttempt    1 (2 retries)\n"), "{text}");
        assert!(text.ends_with("Sessions   k3f9q2\n"), "{text}");
    }
}
