//! The person's terminal: taken once, given back exactly, whatever happens.
//!
//! ```text
//!   cooked ── take ──▶ raw, alternate screen, bracketed paste ── give_back ──▶ cooked
//!                                  │ return · panic · HUP TERM INT · attach · Ctrl-Z
//! ```
//!
//! It is given back in the opposite order: paste and mouse off, colours and cursor, alternate screen, raw mode.

use std::io::{self, BufWriter, Stdout, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::cursor::Show;
use crossterm::event::{DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture};
use crossterm::style::ResetColor;
use crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode,
};
use crossterm::{execute, queue};
use ratatui::backend::CrosstermBackend;
use ratatui::{Frame, Terminal as Canvas};

/// Whether the terminal is ours now; also asked by the panic hook.
static TAKEN: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();

/// The terminal while it is the interface's. Dropping it gives it back.
pub struct Terminal {
    canvas: Painted,
}

type Painted = Canvas<CrosstermBackend<BufWriter<Output>>>;

/// Standard output. Once the terminal is given back, nobody is told of a failed write: the canvas shows the cursor
/// as it is dropped, and panics where even standard error has gone, as after a hangup.
struct Output(Stdout);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).or_else(|error| if Terminal::is_taken() { Err(error) } else { Ok(bytes.len()) })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().or_else(|error| if Terminal::is_taken() { Err(error) } else { Ok(()) })
    }
}

impl Terminal {
    pub fn take() -> io::Result<Self> {
        give_back_on_panic();
        take()?;
        canvas().map(|canvas| Self { canvas }).inspect_err(|_| give_back())
    }

    /// Takes it again after [`Terminal::lend`]; the next frame is drawn whole.
    pub fn retake(&mut self) -> io::Result<()> {
        take()?;
        // Not `clear()`: that asks the terminal where the cursor is, and another thread reads the answer.
        self.canvas = canvas()?;
        Ok(())
    }

    /// Gives it back for a while: somebody is attached, or the program stops.
    pub fn lend(&mut self) {
        give_back();
    }

    /// False once a panic has given it back.
    pub fn is_taken() -> bool {
        TAKEN.load(Ordering::SeqCst)
    }

    /// Draws one frame, all at once where the terminal can (synchronized output, mode 2026).
    pub fn draw(&mut self, view: impl FnOnce(&mut Frame)) -> io::Result<()> {
        queue!(self.canvas.backend_mut(), BeginSynchronizedUpdate)?;
        self.canvas.draw(view)?;
        execute!(self.canvas.backend_mut(), EndSynchronizedUpdate)
    }

    /// Puts text on the clipboard of whoever sits before the terminal (OSC 52).
    pub fn copy(&mut self, text: &str, is_in_tmux: bool) -> io::Result<()> {
        self.send(&outwards(&format!("\x1b]52;c;{}\x07", base64(text.as_bytes())), is_in_tmux))
    }

    /// Rings, and shows a message of the desktop (OSC 9) where the terminal can.
    pub fn ring(&mut self, bell: bool, message: Option<&str>, is_in_tmux: bool) -> io::Result<()> {
        let message = message.map(|text| outwards(&format!("\x1b]9;{text}\x07"), is_in_tmux)).unwrap_or_default();
        self.send(&format!("{}{message}", if bell { "\x07" } else { "" }))
    }

    /// Takes the mouse, or leaves it to the terminal.
    pub fn take_mouse(&mut self, taken: bool) -> io::Result<()> {
        let backend = self.canvas.backend_mut();
        if taken { execute!(backend, EnableMouseCapture) } else { execute!(backend, DisableMouseCapture) }
    }

    fn send(&mut self, text: &str) -> io::Result<()> {
        let backend = self.canvas.backend_mut();
        backend.write_all(text.as_bytes())?;
        Write::flush(backend)
    }
}

/// A sequence that is meant for the terminal outside. tmux takes some itself (`set-clipboard on`), and passes others on
/// in an envelope (`allow-passthrough on`); which of the two is set cannot be seen from here, and both do no harm.
fn outwards(sequence: &str, is_in_tmux: bool) -> String {
    if !is_in_tmux {
        return sequence.into();
    }
    format!("{sequence}\x1bPtmux;{}\x1b\\", sequence.replace('\x1b', "\x1b\x1b"))
}

impl Drop for Terminal {
    fn drop(&mut self) {
        give_back();
    }
}

fn canvas() -> io::Result<Painted> {
    Canvas::new(CrosstermBackend::new(BufWriter::with_capacity(64 << 10, Output(io::stdout()))))
}

fn take() -> io::Result<()> {
    enable_raw_mode()?;
    TAKEN.store(true, Ordering::SeqCst);
    let taken = execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste);
    if taken.is_err() {
        give_back();
    }
    taken
}

/// Does nothing when it is not taken.
fn give_back() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    // A terminal that has gone cannot be put right, and nobody is left to be told.
    let _ = execute!(
        io::stdout(),
        DisableMouseCapture,
        DisableBracketedPaste,
        ResetColor,
        Show,
        EndSynchronizedUpdate,
        LeaveAlternateScreen
    );
    // As above.
    let _ = disable_raw_mode();
}

fn give_back_on_panic() {
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            give_back();
            before(info);
        }));
    });
}

/// RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * i)) as usize & 63];
            out.push(if i <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{base64, outwards};

    #[test]
    fn inside_tmux_a_sequence_goes_as_it_is_and_in_an_envelope() {
        assert_eq!(outwards("\x1b]9;x\x07", false), "\x1b]9;x\x07");
        assert_eq!(outwards("\x1b]9;x\x07", true), "\x1b]9;x\x07\x1bPtmux;\x1b\x1b]9;x\x07\x1b\\");
    }

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (text, encoded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(text.as_bytes()), encoded);
        }
    }
}
