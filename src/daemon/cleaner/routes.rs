//! The cleaner over HTTP: the plain form with its three settings in whole seconds, and what the command line uses.

use std::future::Future;

use axum::body::Bytes;
use axum::extract::State;
use axum::routing::{get, post, put};
use serde_json::{Value, json};

use super::super::handle::{Command, Handle};
use super::super::openapi::Route;
use super::super::server::{Answer, Refused, need, ok};
use super::settings;
use crate::api::cleanup::{
    Cleaned, Configured, Enveloped, KeepChildRequest, SetDone, SetRequest, Stats, Switched, ThreeRequest,
};
use crate::api::refusal::{Code, Refusal};
use crate::api::types::Touched;

/// The settings of the plain form, and the keys they stand for.
const SECONDS: &[(&str, &str)] = &[("session_timeout", "cleanup.max_idle"), ("cleanup_interval", "cleanup.interval")];
const ENABLED: (&str, &str) = ("auto_cleanup_enabled", "cleanup.enabled");

/// The plain form, the same in an envelope, and what the command line uses.
pub fn routes() -> Vec<Route> {
    let plain = [
        Route::put(
            "/api/auto-cleanup/configure",
            "Change the three settings",
            put(|State(h), body: Bytes| answered(configure(h, body))),
        )
        .takes::<ThreeRequest>()
        .answers::<Configured>(),
        Route::post("/api/auto-cleanup/start", "Start the cleaner", post(|State(h)| answered(switch(h, true))))
            .answers::<Switched>(),
        Route::post(
            "/api/auto-cleanup/stop",
            "Stop the cleaner; sessions are left alone",
            post(|State(h)| answered(switch(h, false))),
        )
        .answers::<Switched>(),
        Route::get(
            "/api/auto-cleanup/stats",
            "How the cleaner is set, what it has done, and whom it will close",
            get(|State(h)| answered(stats(h))),
        )
        .answers::<Stats>(),
        Route::post("/api/cleanup", "The cleaner's pass, now", post(|State(h)| answered(clean(h))))
            .answers::<Cleaned>(),
    ];
    let enveloped_too = [
        Route::put(
            "/bash/auto-cleanup/configure",
            "Change the three settings",
            put(|State(h), body: Bytes| enveloped(configure(h, body))),
        )
        .takes::<ThreeRequest>()
        .answers::<Enveloped<Configured>>(),
        Route::post("/bash/auto-cleanup/start", "Start the cleaner", post(|State(h)| enveloped(switch(h, true))))
            .answers::<Enveloped<Switched>>(),
        Route::post(
            "/bash/auto-cleanup/stop",
            "Stop the cleaner; sessions are left alone",
            post(|State(h)| enveloped(switch(h, false))),
        )
        .answers::<Enveloped<Switched>>(),
        Route::get(
            "/bash/auto-cleanup/stats",
            "How the cleaner is set, what it has done, and whom it will close",
            get(|State(h)| enveloped(stats(h))),
        )
        .answers::<Enveloped<Stats>>(),
        Route::post("/bash/cleanup", "The cleaner's pass, now", post(|State(h)| enveloped(clean(h))))
            .answers::<Enveloped<Cleaned>>(),
    ];
    let own = [
        Route::post("/api/cleanup/set", "Change settings as they are spelt in the file", post(set))
            .takes::<SetRequest>()
            .answers::<SetDone>(),
        Route::post("/api/keep-child", "Exempt one process from the linger close", post(keep_child))
            .takes::<KeepChildRequest>()
            .answers::<Touched>()
            .may(&[Code::NotFound, Code::WrongState]),
    ];
    let settings = [Code::Unprocessable, Code::Forbidden];
    plain.into_iter().chain(enveloped_too).chain(own).map(|route| route.may(&settings)).collect()
}

async fn answered<T: serde::Serialize>(body: impl Future<Output = Result<T, Refused>>) -> Answer {
    ok(&body.await?)
}

async fn enveloped<T: serde::Serialize>(body: impl Future<Output = Result<T, Refused>>) -> Answer {
    ok(&Enveloped { status: "success".into(), data: body.await? })
}

async fn configure(handle: Handle, body: Bytes) -> Result<Configured, Refused> {
    let asked: Value = if body.trim_ascii().is_empty() { json!({}) } else { need(&body)? };
    let pairs = plain_settings(&asked)?;
    Ok(handle.ask(|reply| Command::Configure { pairs, reply }).await?)
}

async fn switch(handle: Handle, on: bool) -> Result<Switched, Refused> {
    Ok(handle.ask(|reply| Command::SwitchCleaner { on, reply }).await?)
}

async fn stats(handle: Handle) -> Result<Stats, Refused> {
    Ok(handle.ask(|reply| Command::CleanerStats { reply }).await?)
}

async fn clean(handle: Handle) -> Result<Cleaned, Refused> {
    Ok(handle.ask(|reply| Command::Clean { reply }).await?)
}

async fn keep_child(State(handle): State<Handle>, body: Bytes) -> Answer {
    let KeepChildRequest { pid } = need(&body)?;
    // One that was born a moment ago is seen first.
    handle.ask(|reply| Command::Sample { reply }).await?;
    let word = handle.ask(|reply| Command::Holder { pid, reply }).await?;
    ok(&handle.ask(|reply| Command::KeepChild { word, pid, reply }).await?)
}

/// Checked, then written down where that is wanted, then in force: what could not be saved is not set either.
async fn set(State(handle): State<Handle>, body: Bytes) -> Answer {
    let SetRequest { settings: pairs, save } = need(&body)?;
    let checked = pairs.clone();
    handle.ask(|reply| Command::Set { pairs: checked, keep: false, reply }).await?;
    let mut saved = None;
    if save {
        let path = handle.ask(|reply| Command::ConfigFile { reply }).await?;
        saved = Some(path.display().to_string());
        let pairs = pairs.clone();
        let written = tokio::task::spawn_blocking(move || settings::save(&path, &pairs)).await;
        written.map_err(|e| Refusal::new(Code::Internal, format!("failed to save the settings: {e}")))??;
    }
    let mut done = handle.ask(|reply| Command::Set { pairs, keep: true, reply }).await?;
    done.saved = saved;
    ok(&done)
}

/// Whole seconds, 1 or more, and one yes or no; each may be left out.
fn plain_settings(asked: &Value) -> Result<Vec<(String, String)>, Refusal> {
    let wrong = |message: String| Refusal::new(Code::Unprocessable, message);
    let Some(asked) = asked.as_object() else { return Err(wrong("the settings must be one JSON object".into())) };
    let mut pairs = Vec::new();
    for (name, value) in asked.iter().filter(|(_, value)| !value.is_null()) {
        if let Some((_, key)) = SECONDS.iter().find(|(known, _)| known == name) {
            let seconds = value.as_u64().filter(|seconds| *seconds >= 1);
            let seconds = seconds
                .ok_or_else(|| wrong(format!("{name} must be a whole number of seconds, 1 or more, not {value}")))?;
            pairs.push(((*key).to_string(), format!("{seconds}s")));
        } else if name == ENABLED.0 {
            let on = value.as_bool().ok_or_else(|| wrong(format!("{name} must be true or false, not {value}")))?;
            pairs.push((ENABLED.1.to_string(), on.to_string()));
        } else {
            let known = "session_timeout, cleanup_interval, auto_cleanup_enabled";
            return Err(wrong(format!("{name:?} cannot be set here: there are {known}")));
        }
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plain_form_takes_whole_seconds_and_says_what_it_wants() {
        let pairs = |text: &str| plain_settings(&serde_json::from_str(text).unwrap());
        let good = pairs(r#"{"session_timeout":1800,"cleanup_interval":1,"auto_cleanup_enabled":false}"#).unwrap();
        let has = |key: &str, value: &str| good.contains(&(key.to_string(), value.to_string()));
        assert!(has("cleanup.max_idle", "1800s") && has("cleanup.interval", "1s") && has("cleanup.enabled", "false"));
        assert_eq!(pairs("{}").unwrap(), []);
        assert_eq!(pairs(r#"{"session_timeout":null}"#).unwrap(), []);
        for (text, said) in [
            (r#"{"session_timeout":0}"#, "1 or more, not 0"),
            (r#"{"session_timeout":-5}"#, "not -5"),
            (r#"{"session_timeout":1.5}"#, "whole number of seconds"),
            (r#"{"cleanup_interval":"60"}"#, "not \"60\""),
            (r#"{"auto_cleanup_enabled":1}"#, "true or false"),
            (r#"{"max_idle":60}"#, "cannot be set here"),
            ("[]", "one JSON object"),
        ] {
            let refusal = pairs(text).unwrap_err();
            assert!(refusal.code == Code::Unprocessable && refusal.message.contains(said), "{refusal}");
        }
    }
}
