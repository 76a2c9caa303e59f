//! `send`: typed into a session as if from its terminal.

use super::args::{Globals, Send};
use super::connect;
use super::exit::{DONE, Ended};
use crate::api::types::SendRequest;

pub async fn run(globals: &Globals, args: &Send) -> Ended {
    let request = SendRequest { text: args.text.clone(), key: args.key.clone(), enter: args.enter };
    connect::client(globals).await?.send(&args.id, &request).await?;
    Ok(DONE)
}
