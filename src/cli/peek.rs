//! `peek`: a session's screen as it is now.

use super::args::{Globals, Peek};
use super::exit::{DONE, Ended};
use super::{connect, print};

pub async fn run(globals: &Globals, args: &Peek) -> Ended {
    let screen = connect::client(globals).await?.screen(&args.id).await?;
    if args.json {
        print::json(&screen)?;
    } else if args.ansi {
        print::raw(&format!("{}\x1b[m\n", rows_only(&screen.ansi)))?;
    } else {
        for row in screen.text.trim_end().lines() {
            print::log_line(row.trim_end())?;
        }
    }
    Ok(DONE)
}

/// The keeper's picture without trailing blanks; it is made of beadle's own sequences.
fn rows_only(ansi: &str) -> &str {
    ansi.trim_end()
}
