//! `logs`: what a session wrote, as text.

use super::args::{Globals, Logs};
use super::exit::{DONE, Ended, Failure};
use super::{connect, print};
use crate::api::text::Stripper;
use crate::api::types::LogChunk;

pub async fn run(globals: &Globals, args: &Logs) -> Ended {
    let mut client = connect::client(globals).await?;
    let mut stripper = Stripper::new();
    let mut from = 0;
    loop {
        let chunk = match client.log(&args.id, from, args.follow).await {
            // A daemon that is being renewed: the recording goes on, and so does this.
            Err(error) if error.is_no_answer() && args.follow => {
                client = connect::again(globals, &error).await?;
                continue;
            }
            chunk => chunk?,
        };
        let text = told(&chunk, &mut stripper);
        show(&text, &chunk, args.json)?;
        let is_last = chunk.ended || (!args.follow && chunk.next == from);
        if is_last {
            break;
        }
        from = chunk.next;
    }
    finish(stripper, args.json)?;
    Ok(DONE)
}

fn told(chunk: &LogChunk, stripper: &mut Stripper) -> String {
    let mut text = String::new();
    if chunk.missing > 0 {
        text = format!("\n[{} not recorded]\n", print::size(chunk.missing));
    }
    text.push_str(&stripper.push(&chunk.bytes));
    text
}

fn show(text: &str, chunk: &LogChunk, json: bool) -> Result<(), Failure> {
    match (json, text.is_empty()) {
        (true, false) => {
            print::json_line(&serde_json::json!({ "text": text, "missing": chunk.missing, "next": chunk.next }))
        }
        (false, false) => print::raw(text),
        (_, true) => Ok(()),
    }
}

fn finish(stripper: Stripper, json: bool) -> Result<(), Failure> {
    let rest = stripper.finish();
    match (rest.is_empty(), json) {
        (true, _) => Ok(()),
        (false, true) => print::json_line(&serde_json::json!({ "text": rest })),
        (false, false) => print::line(&rest),
    }
}
