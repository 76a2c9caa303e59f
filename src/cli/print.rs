//! What a person reads: lines, numbers and tables on standard output, complaints on standard error.
//!
//! Text that came from a process goes through [`printable`] here or in [`super::table`]; a reader that has
//! gone ([`io::ErrorKind::BrokenPipe`]) ends the verb.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use super::exit::Failure;
pub use crate::model::text::printable;

/// For what is not known.
pub const UNKNOWN: &str = "–";

/// Writes text as it is: the caller vouches for it.
pub fn raw(text: &str) -> Result<(), Failure> {
    bytes(text.as_bytes())
}

/// Bytes as they are, at once.
pub fn bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(Failure::Output)
}

/// One line as it is: the caller vouches for it.
pub fn line(text: &str) -> Result<(), Failure> {
    writeln!(io::stdout().lock(), "{text}").map_err(Failure::Output)
}

/// What `--json` prints.
pub fn json<T: Serialize>(value: &T) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value).map_err(|e| Failure::Output(e.into()))?;
    writeln!(out).map_err(Failure::Output)
}

/// The same on one line, for streams of objects.
pub fn json_line<T: Serialize>(value: &T) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, value).map_err(|e| Failure::Output(e.into()))?;
    writeln!(out).map_err(Failure::Output)
}

/// A sentence on standard error.
pub fn complain(text: &str) {
    let mut out = io::stderr().lock();
    for (n, line) in text.lines().enumerate() {
        // Nobody is left to be told.
        let _ = writeln!(out, "{}{}", if n == 0 { "beadle: " } else { "  " }, indented(line));
    }
}

/// [`printable`], keeping the blanks a line begins with: config errors point at columns.
fn indented(line: &str) -> String {
    let text = line.trim_start_matches(' ');
    format!("{}{}", " ".repeat((line.len() - text.len()).min(200)), keeping_blanks(text))
}

fn keeping_blanks(text: &str) -> String {
    text.split(' ').map(printable).collect::<Vec<_>>().join(" ")
}

/// A line of a log: safe, with its blanks.
pub fn log_line(text: &str) -> Result<(), Failure> {
    line(&keeping_blanks(text))
}

/// The same, as text.
pub fn printable_line(text: &str) -> String {
    keeping_blanks(text)
}

/// True when a person reads along.
pub fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether words may be coloured (<https://no-color.org>).
pub fn is_coloured() -> bool {
    is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// Asks on the terminal; no answer is no.
pub fn confirmed(question: &str) -> bool {
    matches!(asked(&format!("{question} [y/N] ")).trim(), "y" | "Y" | "yes")
}

/// Asks on the terminal, and gives what was typed; nothing when nobody answers.
pub fn asked(question: &str) -> String {
    let mut out = io::stderr().lock();
    let mut answer = String::new();
    // A question nobody can see, or an answer that cannot be read, is answered with nothing.
    let _ = write!(out, "{question}").and_then(|()| out.flush()).and_then(|()| io::stdin().read_line(&mut answer));
    answer
}

/// `0.12s`, `3s`, `48m`, `2h14`, `31h`, `5d`.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    match whole {
        0..60 => format!("{whole}s"),
        60..3_600 => format!("{}m", whole / 60),
        3_600..36_000 => format!("{}h{:02}", whole / 3_600, whole % 3_600 / 60),
        36_000..172_800 => format!("{}h", whole / 3_600),
        _ => format!("{}d", whole / 86_400),
    }
}

/// Two significant digits and a unit of 1024: `512B`, `1.2G`, `412M`.
#[allow(clippy::cast_precision_loss)]
pub fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "K", "M", "G", "T"] {
        if value < 1023.5 {
            let decimals = usize::from(unit != "B" && value < 9.95);
            return format!("{value:.decimals$}{unit}");
        }
        value /= 1024.0;
    }
    format!("{value:.0}P")
}

pub fn percent(value: f64) -> String {
    format!("{value:.0}%")
}

/// The text of a known value, else [`UNKNOWN`].
pub fn or_unknown<T>(value: Option<T>, text: impl Fn(T) -> String) -> String {
    value.map_or_else(|| UNKNOWN.into(), text)
}

/// `1 process`, `4 processes`.
pub fn processes(count: usize) -> String {
    if count == 1 { "1 process".into() } else { format!("{count} processes") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_one_unit_or_two() {
        for (seconds, text) in [
            (0.0, "0s"),
            (3.1, "3s"),
            (2880.0, "48m"),
            (8040.0, "2h14"),
            (40_000.0, "11h"),
            (432_000.0, "5d"),
            (-1.0, "0s"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }

    #[test]
    fn sizes_have_two_significant_digits() {
        for (bytes, text) in [
            (0, "0B"),
            (512, "512B"),
            (1_023, "1023B"),
            (1_024, "1.0K"),
            (412 << 20, "412M"),
            (1_288_490_189, "1.2G"),
            (1_048_575, "1.0M"),
            (u64::MAX, "16384P"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn a_log_line_keeps_its_blanks_and_steers_nothing() {
        assert_eq!(indented("  a   b\x1b[31m"), "  a   b·[31m");
    }
}
