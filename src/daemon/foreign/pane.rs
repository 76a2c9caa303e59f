//! A pane as beadle looks at it, types into it and closes it.
//!
//! A pane is addressed by its id, which its server never uses again, and only after the server and the first process in
//! the pane were found to be the ones that were seen: another server may listen on the same path by now.

use std::collections::HashMap;
use std::num::NonZeroU16;
use std::path::Path;

use crate::api::refusal::{Code, Refusal};
use crate::api::types::{Closed, Outcome, Screen, SendRequest};
use crate::daemon::close::Target;
use crate::daemon::discovery::panes;
use crate::model::keys;
use crate::model::scene::Pane;
use crate::model::text::printable;

/// Bytes typed at once: an argument of a command has an end.
const PIECE: usize = 4 << 10;

/// What the server says of a pane now.
struct State {
    cols: u16,
    rows: u16,
    cursor: Option<(u16, u16)>,
    /// Somebody reads in it: what is typed would go to tmux.
    in_mode: bool,
    title: String,
}

const STATE: &str = "#{pid}:#{pane_pid}:#{pane_width}:#{pane_height}:#{cursor_x}:#{cursor_y}:#{cursor_flag}:\
    #{pane_in_mode}:#{pane_title}";

fn ask(pane: &Pane, args: &[&str]) -> Result<String, Refusal> {
    panes::told(Path::new(&pane.socket), args)
        .map_err(|why| Refusal::new(Code::KeeperSilent, format!("the tmux server of {}: {why}", pane.address())))
}

/// The state, of that very pane.
fn state(pane: &Pane) -> Result<State, Refusal> {
    let told = ask(pane, &["display-message", "-p", "-t", &pane.id, STATE])?;
    let gone = || Refusal::new(Code::WrongState, format!("{} is another pane by now: look again", pane.address()));
    let fields: Vec<&str> = told.trim_end_matches('\n').splitn(9, ':').collect();
    let number = |n: usize| fields.get(n).and_then(|f| f.parse::<u16>().ok());
    let is = |n: usize, pid: i32| fields.get(n).and_then(|f| f.parse::<i32>().ok()) == Some(pid);
    if !is(0, pane.server) || !is(1, pane.first) {
        return Err(gone());
    }
    Ok(State {
        cols: number(2).ok_or_else(gone)?,
        rows: number(3).ok_or_else(gone)?,
        cursor: number(4).zip(number(5)).filter(|_| number(6) == Some(1)),
        in_mode: number(7).is_some_and(|n| n > 0),
        title: printable(fields.get(8).copied().unwrap_or_default()),
    })
}

/// What stands on it. The colours are drawn anew, so that nothing but colours comes out.
pub fn screen(pane: &Pane) -> Result<Screen, Refusal> {
    let state = state(pane)?;
    let drawn = ask(pane, &["capture-pane", "-p", "-e", "-t", &pane.id])?;
    let size = |n: u16, most: u16| NonZeroU16::new(n.clamp(1, most)).unwrap_or(NonZeroU16::MIN);
    let (cols, rows) = (size(state.cols, 1000), size(state.rows, 500));
    let mut parser = vt100::Parser::new(rows, cols, 0);
    parser.process(drawn.trim_end_matches('\n').replace('\n', "\r\n").as_bytes());
    let shown = parser.screen();
    let lines: Vec<String> = shown.rows(0, cols.get()).map(|r| r.trim_end().to_string()).collect();
    let used = lines.iter().rposition(|l| !l.is_empty()).map_or(0, |last| last + 1);
    Ok(Screen {
        cols: cols.get(),
        rows: rows.get(),
        title: state.title,
        text: lines[..used].join("\n"),
        ansi: shown.rows_formatted(0, cols.get()).collect::<Vec<_>>().join("\x1b[m\r\n") + "\x1b[m",
        cursor: state.cursor,
    })
}

/// Types text, a key, Enter: as they are, never as names tmux might know.
pub fn send(pane: &Pane, request: &SendRequest) -> Result<(), Refusal> {
    if state(pane)?.in_mode {
        let why = format!("somebody reads in {} (copy mode): what is typed would not reach the agent", pane.address());
        return Err(Refusal::new(Code::WrongState, why));
    }
    for piece in pieces(request.text.as_deref().unwrap_or_default()) {
        ask(pane, &["send-keys", "-t", &pane.id, "-l", "--", piece])?;
    }
    let mut bytes = request.key.as_deref().and_then(keys::bytes).unwrap_or_default();
    if request.enter {
        bytes.push(b'\r');
    }
    let hex: Vec<String> = bytes.iter().map(|b| format!("{b:02x}")).collect();
    if !hex.is_empty() {
        let mut args = vec!["send-keys", "-t", &pane.id, "-H"];
        args.extend(hex.iter().map(String::as_str));
        ask(pane, &args)?;
    }
    Ok(())
}

/// Cut between characters.
fn pieces(text: &str) -> Vec<&str> {
    let (mut out, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let mut end = rest.len().min(PIECE);
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let (piece, more) = rest.split_at(end);
        out.push(piece);
        rest = more;
    }
    out
}

/// The panes of sessions about to be closed, as they looked before.
pub struct Before(HashMap<String, (Pane, bool, Option<String>)>);

impl Before {
    pub fn read(targets: &[Target]) -> Self {
        let one = |target: &Target| {
            let pane = target.pane.clone()?;
            // Not read is no reason not to close.
            let text = screen(&pane).ok().map(|s| s.text);
            Some((target.id.clone(), (pane, target.close_pane, text)))
        };
        Self(targets.iter().filter_map(one).collect())
    }

    /// Adds the screen to the report, and closes the pane where that was asked for and everybody in it has gone.
    pub fn finish(&self, closed: &mut Closed) {
        let Some((pane, is_closed, text)) = self.0.get(&closed.id) else { return };
        closed.screen.clone_from(text);
        if !is_closed || closed.outcome == Outcome::Survivors {
            return;
        }
        // A pane whose first process was the agent has gone with it.
        if state(pane).is_ok()
            && let Err(refusal) = ask(pane, &["kill-pane", "-t", &pane.id])
        {
            closed.spared.push(format!("its pane: {refusal}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_cut_between_characters() {
        let text = format!("{}é{}", "x".repeat(PIECE - 1), "y".repeat(10));
        let cut = pieces(&text);
        assert_eq!((cut.len(), cut.concat() == text, cut[0].len()), (2, true, PIECE - 1));
        assert!(pieces("").is_empty());
    }
}
