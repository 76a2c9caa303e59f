//! The person's terminal while an attachment has it: taken with one value, given back when it is dropped, in
//! the one order that leaves nothing behind. A panic gives it back before it speaks.

use std::io;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::sys::term;

/// Puts the title aside; [`RESTORE`] brings it back.
const KEEP_TITLE: &str = "\x1b[22;0t";
/// Enters the alternate screen and shows it empty.
const ENTER: &str = "\x1b[?1049h\x1b[m\x1b[H\x1b[2J";

/// A terminal that takes nothing for so long is left as it is.
const PATIENCE: Duration = Duration::from_secs(5);

/// Everything an agent may have switched on, off again. The order matters: what makes the terminal send
/// input goes first, the screen goes last.
const RESTORE: &str = concat!(
    // whatever string was under way ends here
    "\x1b\\",
    // mouse, focus, paste, synchronized output, reports of colour scheme and size
    "\x1b[?9l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1005l\x1b[?1006l\x1b[?1015l\x1b[?1016l",
    "\x1b[?1004l\x1b[?2004l\x1b[?2026l\x1b[?2031l\x1b[?2048l",
    // kitty keyboard flags popped and cleared, modifyOtherKeys as the terminal had it
    "\x1b[<9u\x1b[=0u\x1b[>4m",
    // colours, character set, insert mode, cursor and its shape
    "\x1b[m\x1b(B\x0f\x1b[4l\x1b[?25h\x1b[0 q",
    // application cursor keys and keypad, margins, origin; wrapping is on by default
    "\x1b[?1l\x1b>\x1b[?69l\x1b[r\x1b[?6l\x1b[?7h",
    "\x1b[2J\x1b[?1049l\x1b[23;0t",
);

static TAKEN: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();

/// The terminal, ours until dropped. Input must have been stopped before that.
#[derive(Debug)]
pub struct Taken(());

impl Taken {
    pub fn take() -> io::Result<Self> {
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                give_back();
                before(panic);
            }));
        });
        term::enter_raw()?;
        TAKEN.store(true, Ordering::SeqCst);
        let taken = Self(());
        term::write_now([KEEP_TITLE, ENTER].concat().as_bytes(), PATIENCE);
        Ok(taken)
    }

    /// The shell had the terminal while we were stopped: takes it again for the [`Taken`] there is.
    pub fn again() -> io::Result<()> {
        term::enter_raw()?;
        term::write_now(ENTER.as_bytes(), PATIENCE);
        Ok(())
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        give_back();
    }
}

fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        term::write_now(RESTORE.as_bytes(), PATIENCE);
        term::leave_raw();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_an_agent_has_upset_is_as_before() {
        let mut terminal = vt100::Parser::new(24.try_into().unwrap(), 80.try_into().unwrap(), 0);
        terminal.process(b"main screen");
        let before = terminal.screen().state_formatted();
        terminal.process(ENTER.as_bytes());
        terminal.process(
            b"\x1b[?1003h\x1b[?1006h\x1b[?2004h\x1b[?1h\x1b=\x1b[5;10r\x1b[31;7m\x1b[?25lagent\x1b]0;half a tit",
        );
        terminal.process(RESTORE.as_bytes());
        assert_eq!(terminal.screen().state_formatted(), before);
    }

    #[test]
    fn input_is_switched_off_first_and_the_screen_goes_last() {
        let at = |what: &str| RESTORE.find(what).unwrap();
        let order = ["\x1b[?1000l", "\x1b[?1004l", "\x1b[?2004l", "\x1b[<9u", "\x1b[m", "\x1b[?25h", "\x1b[?1049l"];
        assert!(order.is_sorted_by_key(|what| at(what)));
    }
}
