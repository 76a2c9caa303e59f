//! Every route there is.

use axum::routing::{get, post};

use super::document;
use super::route::Route;
use crate::api::event::Events;
use crate::api::memory::{Audit, Filter, History, Stats};
use crate::api::refusal::Code;
use crate::api::sweep::{EmergencyRequest, Released, SweepReport, SweepRequest};
use crate::api::types::{
    Accepted, ActRequest, CloseAllRequest, DaemonStatus, Detail, Done, HealthReport, KillReport, KillRequest, Message,
    RenameRequest, RestartRequest, Restarted, Restarting, Screen, SendRequest, Session, SignalRequest, StartRequest,
    Started, StopRequest, Table, Version,
};
use crate::daemon::{acts, attach, cleaner, events, metrics, projects, recall, server};
use crate::model::event::Event;

/// The table. Whoever adds a route adds it here: the router is made from it, and the description.
pub fn routes() -> Vec<Route> {
    let parts = [
        looking(),
        starting(),
        acting(),
        closing(),
        remembered(),
        about_the_daemon(),
        cleaner::routes(),
        projects::routes(),
    ];
    parts.into_iter().flatten().collect()
}

fn looking() -> Vec<Route> {
    vec![
        Route::get(
            "/api/active-sessions",
            "Every live session with its health, counts and recommendations",
            get(server::health),
        )
        .answers::<HealthReport>(),
        Route::get(
            "/api/sessions",
            "The table with its generation; waits for a newer one where that is asked",
            get(server::sessions),
        )
        .asks::<server::Look>()
        .answers::<Table>(),
        Route::get("/api/sessions/{id}", "One session, with its evidence and its processes", get(server::session))
            .answers::<Detail>()
            .may(&[Code::NotFound]),
        Route::get("/api/sessions/{id}/screen", "What is on its screen now", get(server::screen))
            .answers::<Screen>()
            .may(&[Code::NotFound, Code::WrongState, Code::KeeperSilent]),
        Route::get("/api/sessions/{id}/log", "Its recorded output", get(server::log))
            .asks::<server::Since>()
            .answers_in("application/octet-stream", None)
            .may(&[Code::NotFound, Code::WrongState]),
        Route::get(
            "/api/sessions/{id}/attach",
            "Its terminal: with `Upgrade: beadle-attach` the connection is its keeper's from then on",
            get(attach::attach),
        )
        .with_status(101)
        .may(&[Code::NotFound, Code::WrongState, Code::KeeperSilent]),
        Route::get(
            "/api/events",
            "Server-sent events with numbers, from now on or after `Last-Event-ID`; with `follow=false` one answer",
            get(events::events),
        )
        .asks::<events::Wanted>()
        .streams::<Event>()
        .answers::<Events>()
        .may(&[Code::AtCap]),
        Route::get("/metrics", "Figures for monitoring, in the text form of Prometheus", get(metrics::metrics))
            .answers_in("text/plain", None),
    ]
}

fn starting() -> Vec<Route> {
    vec![
        Route::post("/api/session/start", "Start a session", post(server::start))
            .takes::<StartRequest>()
            .answers::<Started>()
            .with_status(201)
            .may(&[Code::AtCap, Code::Latched, Code::NameTaken, Code::CannotExecute, Code::Unprocessable]),
        Route::post("/api/heartbeat", "The session still works", post(server::heartbeat))
            .asks::<server::Beat>()
            .answers::<Session>()
            .may(&[Code::NotFound, Code::KeeperSilent, Code::Unprocessable]),
    ]
}

fn acting() -> Vec<Route> {
    let one = |path, about, handler| {
        let of_one = [Code::NotFound, Code::WrongState, Code::KeeperSilent];
        Route::post(path, about, handler).asks::<acts::Wait>().may(&of_one)
    };
    vec![
        one("/api/sessions/{id}/kill", "Close it, the whole tree", post(acts::kill))
            .takes::<KillRequest>()
            .answers::<KillReport>()
            .answers::<Accepted>(),
        one("/api/sessions/{id}/pause", "Stop its tree", post(acts::pause)).answers::<Done>().answers::<Accepted>(),
        one("/api/sessions/{id}/unpause", "Continue its tree", post(acts::unpause))
            .answers::<Done>()
            .answers::<Accepted>(),
        one("/api/sessions/{id}/pin", "Exempt it from policy", post(acts::pin)).answers::<Done>().answers::<Accepted>(),
        one("/api/sessions/{id}/unpin", "Exempt it no longer", post(acts::unpin))
            .answers::<Done>()
            .answers::<Accepted>(),
        one("/api/sessions/{id}/rm", "Forget it; it must have ended", post(acts::rm))
            .answers::<Done>()
            .answers::<Accepted>(),
        one("/api/sessions/{id}/restart", "Again from the start", post(acts::restart))
            .takes::<RestartRequest>()
            .answers::<Restarted>()
            .answers::<Accepted>()
            .may(&[Code::Latched, Code::AtCap, Code::NameTaken, Code::CannotExecute]),
        one("/api/sessions/{id}/resume", "Again with the agent's own conversation", post(acts::resume))
            .takes::<RestartRequest>()
            .answers::<Started>()
            .answers::<Accepted>()
            .may(&[Code::Latched, Code::AtCap, Code::NameTaken, Code::CannotExecute]),
        one("/api/sessions/{id}/send", "Type into it", post(acts::send))
            .takes::<SendRequest>()
            .answers::<Session>()
            .answers::<Accepted>(),
        Route::post("/api/sessions/{id}/rename", "Give it another name", post(acts::rename))
            .takes::<RenameRequest>()
            .answers::<Session>()
            .may(&[Code::NotFound, Code::NameTaken]),
        Route::post("/api/act", "The small verbs, for several at once", post(server::act))
            .takes::<ActRequest>()
            .answers::<Done>()
            .may(&[Code::NotFound, Code::WrongState]),
        Route::post("/api/signal", "A signal to the process group of each leader", post(server::signal_group))
            .takes::<SignalRequest>()
            .answers::<Done>()
            .may(&[Code::NotFound, Code::WrongState]),
    ]
}

fn closing() -> Vec<Route> {
    vec![
        Route::post("/api/kill", "Close several sessions", post(server::kill))
            .takes::<KillRequest>()
            .answers::<KillReport>()
            .may(&[Code::NotFound, Code::WrongState]),
        Route::post(
            "/api/close-all-sessions",
            "Close every managed session, or those of a project",
            post(server::close_all),
        )
        .takes::<CloseAllRequest>()
        .answers::<KillReport>(),
        Route::post("/api/sweep", "Look for strays, and take those that are proved to be", post(server::sweep))
            .takes::<SweepRequest>()
            .answers::<SweepReport>(),
        Route::post("/api/emergency-cleanup", "Close every managed session, sweep, and latch", post(server::emergency))
            .takes::<EmergencyRequest>()
            .answers::<SweepReport>(),
        Route::post("/api/release", "Let sessions start again after an emergency", post(server::release))
            .answers::<Released>(),
    ]
}

fn remembered() -> Vec<Route> {
    vec![
        Route::get("/api/history", "The sessions there were", get(recall::history))
            .asks::<Filter>()
            .answers::<History>(),
        Route::get("/api/audit", "Who closed what, and why", get(recall::audit)).asks::<Filter>().answers::<Audit>(),
        Route::get("/api/stats", "Figures over all that is remembered", get(recall::stats))
            .asks::<Filter>()
            .answers::<Stats>(),
        Route::get("/api/sessions/{id}/export", "All that is kept of one session", get(recall::export))
            .answers_in("application/x-tar", None)
            .may(&[Code::NotFound, Code::WrongState]),
    ]
}

fn about_the_daemon() -> Vec<Route> {
    vec![
        Route::get("/api/version", "Its version; costs nothing and moves nothing", get(server::version))
            .answers::<Version>(),
        Route::get("/api/daemon", "How the daemon is", get(server::status)).answers::<DaemonStatus>(),
        Route::post("/api/daemon/stop", "Close the sessions, or leave them, and end", post(server::stop))
            .takes::<StopRequest>()
            .answers::<KillReport>(),
        Route::post("/api/daemon/restart", "Execute the daemon anew; sessions stay", post(server::again))
            .answers::<Restarting>(),
        Route::post("/api/config/reload", "Read the config again", post(server::reload))
            .answers::<Message>()
            .may(&[Code::Unprocessable]),
        Route::get("/api/openapi.json", "This description", get(document::openapi))
            .answers_in("application/json", None),
    ]
}
