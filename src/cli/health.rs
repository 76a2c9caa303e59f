//! `health`: totals, what to do, and the sessions that are not well.

use super::args::{Globals, HealthArgs};
use super::exit::{DONE, Ended, FAILED, Failure};
use super::{connect, ls, print};
use crate::api::types::{HealthReport, Session};
use crate::model::session::Health;

pub async fn run(globals: &Globals, args: &HealthArgs) -> Ended {
    let report = connect::client(globals).await?.health().await?;
    if args.json {
        print::json(&report)?;
    } else {
        print(&report)?;
    }
    Ok(if args.check && report.healthy < report.total { FAILED } else { DONE })
}

fn print(report: &HealthReport) -> Result<(), Failure> {
    let HealthReport { total, healthy, stuck, orphaned, .. } = report;
    let word = if *total == 1 { "session" } else { "sessions" };
    print::line(&format!("{total} {word}: {healthy} healthy · {stuck} stuck · {orphaned} orphaned"))?;
    for hint in &report.recommendations {
        print::line(&format!("  {}: {}", print::printable(&hint.name), print::printable(&hint.text)))?;
    }
    let ill: Vec<&Session> = report.sessions.iter().filter(|s| s.health != Health::Healthy).collect();
    if ill.is_empty() {
        return Ok(());
    }
    print::line("")?;
    ls::print(&ill)
}
