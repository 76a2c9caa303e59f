//! `wait`: until sessions have ended. Statuses as timeout(1) has them.

use super::args::{Globals, Wait};
use super::exit::{self, DONE, Ended, FAILED, Failure, TOO_LATE, WAIT_FAILED};
use super::{connect, print};
use crate::api::client::{Client, ClientError};
use crate::api::types::{Session, Table};
use crate::model::session::{Exit, State};

pub async fn run(globals: &Globals, args: &Wait) -> Ended {
    let waited = until_ended(globals, &args.ids);
    let exits = match args.timeout {
        None => waited.await,
        Some(limit) => match tokio::time::timeout(limit, waited).await {
            Ok(exits) => exits,
            Err(_) => return Ok(TOO_LATE),
        },
    };
    Ok(status(&exits.map_err(|failure| Failure::Wait(Box::new(failure)))?))
}

/// How each ended, in the order asked; `None`: nobody learnt it. A daemon that goes away meanwhile is no end.
async fn until_ended(globals: &Globals, words: &[String]) -> Result<Vec<Option<Exit>>, Failure> {
    let mut client = connect::client(globals).await?;
    let (mut ids, mut known) = (Vec::new(), None);
    loop {
        match look(&client, words, &mut ids, known).await {
            Ok(table) => match exits_of(&ids, &table) {
                Some(exits) => return Ok(exits),
                None => known = Some(table.generation),
            },
            Err(error) if error.is_no_answer() => {
                client = connect::again(globals, &error).await?;
                known = None;
            }
            Err(e) => return Err(e.into()),
        }
    }
}

/// The table, once it is newer than the one known. What the words name is found out only once.
async fn look(
    client: &Client,
    words: &[String],
    ids: &mut Vec<String>,
    known: Option<u64>,
) -> Result<Table, ClientError> {
    while let Some(word) = words.get(ids.len()) {
        ids.push(client.session(word).await?.session.id);
    }
    match known {
        Some(generation) => client.sessions_newer_than(generation, true).await,
        None => client.sessions(true, false).await,
    }
}

/// `None` while one of them still runs. A forgotten session has ended, nobody knows how.
fn exits_of(ids: &[String], table: &Table) -> Option<Vec<Option<Exit>>> {
    let found: Vec<Option<&Session>> = ids.iter().map(|id| table.sessions.iter().find(|s| s.id == *id)).collect();
    // One whose agent has gone still has processes: it lingers.
    let all_over = found.iter().flatten().all(|s| s.state == State::Ended);
    all_over.then(|| found.into_iter().map(|s| s.and_then(|s| s.exit.clone())).collect())
}

fn status(exits: &[Option<Exit>]) -> u8 {
    match exits {
        [one] => one.as_ref().and_then(code).unwrap_or_else(|| {
            print::complain("it has ended, and nobody learnt how");
            WAIT_FAILED
        }),
        several if several.iter().all(|exit| exit.as_ref().and_then(code) == Some(0)) => DONE,
        _ => FAILED,
    }
}

/// The status of an agent that ended so, as a shell says it; `None`: nobody learnt it.
pub fn code(exit: &Exit) -> Option<u8> {
    match (exit.code, exit.signal) {
        (_, Some(signal)) => Some(exit::of_signal(signal)),
        (Some(code), None) => u8::try_from(code & 0xff).ok(),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::sample;
    use crate::model::session::ExitBy;

    fn ended(code: Option<i32>, signal: Option<i32>) -> Exit {
        Exit { code, signal, at: String::new(), by: ExitBy::Itself, reason: String::new() }
    }

    #[test]
    fn it_is_over_when_everything_of_each_has_gone() {
        let (mut a, b) = (sample::session("a", "a"), sample::session("b", "b"));
        a.exit = Some(ended(Some(3), None));
        a.state = State::Ended;
        let lingers = Session { id: "l".into(), state: State::Lingering, ..a.clone() };
        let table = Table { generation: 1, sessions: vec![a, b, lingers], latched: None, strays: 0 };
        let over = |ids: &[&str]| exits_of(&ids.iter().map(ToString::to_string).collect::<Vec<_>>(), &table);
        assert_eq!(over(&["a"]), Some(vec![Some(ended(Some(3), None))]));
        assert_eq!(over(&["a", "b"]), None);
        assert_eq!(over(&["l"]), None);
        assert_eq!(over(&["forgotten"]), Some(vec![None]));
    }

    #[test]
    fn one_session_gives_its_own_status() {
        assert_eq!(status(&[Some(ended(Some(3), None))]), 3);
        assert_eq!(status(&[Some(ended(None, Some(9)))]), 137);
        assert_eq!(status(&[Some(ended(None, None))]), 125);
        assert_eq!(status(&[None]), 125);
    }

    #[test]
    fn several_give_0_only_together() {
        let (well, ill) = (Some(ended(Some(0), None)), Some(ended(Some(4), None)));
        assert_eq!(status(&[well.clone(), well.clone()]), 0);
        assert_eq!(status(&[well.clone(), ill]), 1);
        assert_eq!(status(&[well, None]), 1);
    }
}
