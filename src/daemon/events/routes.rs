//! `GET /api/events`: the stream as server-sent events, or what is kept of it as one answer.

use std::fmt::Write as _;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response, Uri};
use axum::response::IntoResponse;
use futures_util::stream;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::OwnedSemaphorePermit;

use super::stream::READERS;
use super::{Line, Reader};
use crate::api::refusal::{Code, Refusal};
use crate::daemon::handle::Handle;
use crate::daemon::server::{Answer, ok, queried};
use crate::model::event::KINDS;
use crate::sys::clock;

/// Something is written at least so often, so that both ends know that the other is there.
const ALIVE: Duration = Duration::from_secs(15);
/// How long the database may take to say where numbers begin.
const BEGUN: Duration = Duration::from_secs(5);
/// How long an answer may wait for an event.
const POLL: Duration = Duration::from_secs(25);
/// How many are told when nobody says from where.
const LAST: u64 = 100;
/// How many one answer has at most.
const MOST: usize = 10_000;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::daemon) struct Wanted {
    /// A number (what comes after it), a time, or an age such as `2h`.
    since: Option<String>,
    /// Only these, separated by commas.
    kind: Option<String>,
    /// `false`: what is kept, as one answer.
    follow: Option<bool>,
    /// With `follow=false`: not before there is one, for a while.
    wait: bool,
    /// With `follow=false`: no more than this.
    limit: Option<usize>,
}

/// What is kept, as one answer; [`crate::api::event::Events`] as it is written.
#[derive(serde::Serialize)]
struct Kept {
    events: Vec<Box<RawValue>>,
    next: u64,
    more: bool,
}

pub(in crate::daemon) async fn events(State(handle): State<Handle>, headers: HeaderMap, uri: Uri) -> Answer {
    let wanted: Wanted = queried(&uri)?;
    let kinds = kinds(wanted.kind.as_deref())?;
    let heard = heard(&headers)?;
    let follow = wanted.follow.unwrap_or(true);
    let start = match (heard, &wanted.since) {
        (Some(number), _) => number,
        (None, Some(since)) => since_when(&handle, since).await?,
        (None, None) if follow => newest(&handle).await?,
        (None, None) => {
            let last = wanted.limit.map_or(LAST, |limit| limit as u64);
            handle.store.ask(move |recall| recall.events_before_last(last)).await?
        }
    };
    let reader = Reader::after(handle.store.clone(), start);
    if !follow {
        return kept(reader, &kinds, &wanted).await;
    }
    let place = handle.store.stream().place().ok_or_else(|| {
        Refusal::new(Code::AtCap, format!("{READERS} already listen to the events: try again when one has gone"))
    })?;
    Ok(listening(reader, kinds, place))
}

/// The present end of the stream.
async fn newest(handle: &Handle) -> Result<u64, Refusal> {
    let unknown = || Refusal::new(Code::Internal, "the events have not begun yet: the database does not answer");
    let mut newest = handle.store.stream().newest();
    let begun = tokio::time::timeout(BEGUN, newest.wait_for(Option::is_some)).await;
    begun.ok().and_then(Result::ok).and_then(|newest| *newest).ok_or_else(unknown)
}

/// Where a reader that comes back left off.
fn heard(headers: &HeaderMap) -> Result<Option<u64>, Refusal> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = || Refusal::new(Code::BadRequest, format!("Last-Event-ID is the number of an event, not {text:?}"));
    text.parse().map(Some).map_err(|_| wrong())
}

async fn since_when(handle: &Handle, since: &str) -> Result<u64, Refusal> {
    if let Ok(number) = since.parse() {
        return Ok(number);
    }
    let wrong = || {
        let message =
            format!("since={since:?} is neither a number nor a time: write 4711, 2h, 2026-11-20 or a full time");
        Refusal::new(Code::BadRequest, message)
    };
    let at = clock::moment(since).ok_or_else(wrong)?;
    handle.store.ask(move |recall| recall.events_since(&at)).await
}

fn kinds(wanted: Option<&str>) -> Result<Vec<String>, Refusal> {
    let words: Vec<String> =
        wanted.unwrap_or_default().split(',').map(str::trim).filter(|w| !w.is_empty()).map(String::from).collect();
    match words.iter().find(|word| !KINDS.contains(&word.as_str())) {
        None => Ok(words),
        Some(word) => {
            let message = format!("there is no event {word:?}: there are {}", KINDS.join(", "));
            Err(Refusal::new(Code::BadRequest, message))
        }
    }
}

fn is_wanted(line: &Line, kinds: &[String]) -> bool {
    // Who misses something is told so, whatever it listens for.
    kinds.is_empty() || line.kind == "resync" || kinds.contains(&line.kind)
}

async fn kept(mut reader: Reader, kinds: &[String], wanted: &Wanted) -> Answer {
    let limit = wanted.limit.unwrap_or(MOST).min(MOST);
    let end = tokio::time::Instant::now() + POLL;
    let (mut events, mut more) = (Vec::new(), false);
    while !more {
        let waits = wanted.wait && events.is_empty();
        let lines = if waits {
            tokio::time::timeout_at(end, reader.next()).await.unwrap_or_default()
        } else {
            reader.at_hand().await
        };
        if lines.is_empty() {
            break;
        }
        let wanted = lines.into_iter().filter(|line| is_wanted(line, kinds));
        events.extend(wanted);
        more = events.len() > limit;
    }
    events.truncate(limit);
    let next = events.last().filter(|_| more).map_or(reader.cursor(), |line| line.number);
    let raw = |line: Line| RawValue::from_string(line.body.to_string()).ok();
    ok(&Kept { events: events.into_iter().filter_map(raw).collect(), next, more })
}

struct Listening {
    reader: Reader,
    kinds: Vec<String>,
    greeted: bool,
    _place: OwnedSemaphorePermit,
}

fn listening(reader: Reader, kinds: Vec<String>, place: OwnedSemaphorePermit) -> Response<Body> {
    let listening = Listening { reader, kinds, greeted: false, _place: place };
    let frames = stream::unfold(listening, |mut listening| async move {
        let frames = listening.frames().await;
        Some((Ok::<_, std::convert::Infallible>(Bytes::from(frames)), listening))
    });
    let headers = [("content-type", "text/event-stream"), ("cache-control", "no-store")];
    (headers, Body::from_stream(frames)).into_response()
}

impl Listening {
    async fn frames(&mut self) -> String {
        if !std::mem::replace(&mut self.greeted, true) {
            // So that who waits for the first byte has it; and how soon to come back.
            return "retry: 1000\n\n".into();
        }
        loop {
            let Ok(lines) = tokio::time::timeout(ALIVE, self.reader.next()).await else { return ":\n\n".into() };
            let wanted: Vec<&Line> = lines.iter().filter(|line| is_wanted(line, &self.kinds)).collect();
            if !wanted.is_empty() {
                return wanted.into_iter().fold(String::new(), frame);
            }
        }
    }
}

/// JSON has no line breaks of its own.
fn frame(mut text: String, line: &Line) -> String {
    // Writing to a String cannot fail.
    let _ = write!(text, "id: {}\nevent: {}\ndata: {}\n\n", line.number, line.kind, line.body);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_reader_left_off_is_a_number() {
        let headers = |text: &str| HeaderMap::from_iter([("last-event-id".parse().unwrap(), text.parse().unwrap())]);
        assert_eq!(heard(&HeaderMap::new()).unwrap(), None);
        assert_eq!(heard(&headers("")).unwrap(), None);
        assert_eq!(heard(&headers(" 17 ")).unwrap(), Some(17));
        assert_eq!(heard(&headers("-1")).unwrap_err().code, Code::BadRequest);
    }

    #[test]
    fn a_kind_nobody_knows_is_refused_with_those_there_are() {
        assert_eq!(kinds(Some("released, latched,")).unwrap(), ["released", "latched"]);
        let refusal = kinds(Some("session_begun")).unwrap_err();
        assert!(refusal.message.contains("session_started"), "{refusal}");
    }
}
