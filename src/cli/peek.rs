//! `peek`: a session's screen as it is now.

use super::args::{Globals, Peek};
use super::exit::{DONE, Ended};
use super::{connect, print};
use crate::api::types::Screen;
use crate::model::text::unturned;

pub async fn run(globals: &Globals, args: &Peek) -> Ended {
    let screen = connect::client(globals).await?.screen(&args.id).await?;
    if args.json {
        print::json(&screen)?;
    } else if args.ansi {
        print::raw(&coloured(&screen))?;
    } else {
        for row in screen.text.lines() {
            print::log_line(row.trim_end())?;
        }
    }
    Ok(DONE)
}

/// The rows as the keeper draws them (with sequences of beadle's own), without the empty ones at the end.
fn coloured(screen: &Screen) -> String {
    let used = screen.text.trim_end().lines().count();
    unturned(&screen.ansi).split("\r\n").take(used).map(|row| [row, "\x1b[m\n"].concat()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_stay_and_what_turns_text_does_not() {
        let screen = Screen { text: "ab".into(), ansi: "\x1b[31ma\u{202e}b\x1b[m\r\n".into(), ..Screen::default() };
        assert_eq!(coloured(&screen), "\x1b[31mab\x1b[m\x1b[m\n");
    }

    #[test]
    fn empty_rows_at_the_end_are_left_out_and_colours_end_with_their_row() {
        let ansi = "\x1b[31mred\x1b[m\r\n\x1b[m\r\nlast\x1b[m\r\n\x1b[m\r\n".to_string();
        let screen = Screen { text: "red\n\nlast".into(), ansi, ..Screen::default() };
        assert_eq!(coloured(&screen), "\x1b[31mred\x1b[m\x1b[m\n\x1b[m\x1b[m\nlast\x1b[m\x1b[m\n");
    }
}
