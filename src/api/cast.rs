//! A recording as asciicast v2, which `asciinema play` plays
//! (<https://docs.asciinema.org/manual/asciicast/v2/>), and the last screen by replaying it.
//!
//! Output is `o`, a change of size `r`; what was not recorded, or is no longer kept, is a marker `m` with its size. Times
//! never go back.

use std::fmt::Write as _;

use serde_json::json;

use super::record::{Entry, Segment};

/// What stands at the head of a cast.
#[derive(Debug, Clone)]
pub struct About {
    /// Columns and rows, where the recording does not say.
    pub size: (u16, u16),
    /// When the session began, in seconds since 1970.
    pub began: u64,
    pub title: String,
    pub command: Vec<String>,
}

/// The whole recording, one JSON value a line.
pub fn cast(segments: &[Segment], about: &About) -> String {
    let is_cut = segments.first().is_some_and(|s| s.position > 0);
    let first = segments.iter().flat_map(|s| &s.entries).map(|(millis, _)| *millis).find(|millis| *millis > 0);
    // Where the beginning is no longer kept, nobody waits for it.
    let begin = first.filter(|_| is_cut).unwrap_or(0);
    let (cols, rows) = first_size(segments).unwrap_or(about.size);
    let head = json!({ "version": 2, "width": cols, "height": rows, "timestamp": about.began + begin / 1000,
        "title": about.title, "command": about.command.join(" ") });
    let mut writer = Writer { out: format!("{head}\n"), begin, now: 0, pending: Vec::new(), size: (cols, rows) };
    let mut at = 0;
    for segment in segments {
        writer.missing(segment.position.saturating_sub(at));
        at = segment.end();
        segment.entries.iter().for_each(|(millis, entry)| writer.entry(*millis, entry));
    }
    writer.flush();
    writer.out
}

fn first_size(segments: &[Segment]) -> Option<(u16, u16)> {
    let entries = segments.iter().flat_map(|s| &s.entries).take_while(|(_, e)| !matches!(e, Entry::Output(_)));
    entries.filter_map(|(_, e)| if let Entry::Size(cols, rows) = e { Some((*cols, *rows)) } else { None }).last()
}

struct Writer {
    out: String,
    /// Milliseconds that are not told.
    begin: u64,
    /// Milliseconds of the last event.
    now: u64,
    /// A character that was cut in two by the end of a frame.
    pending: Vec<u8>,
    size: (u16, u16),
}

impl Writer {
    fn entry(&mut self, millis: u64, entry: &Entry) {
        // A gap that was noted late has no time of its own.
        self.now = self.now.max(millis.saturating_sub(self.begin));
        match entry {
            Entry::Output(bytes) => {
                self.pending.extend_from_slice(bytes);
                let whole = whole_length(&self.pending);
                let rest = self.pending.split_off(whole);
                self.flush();
                self.pending = rest;
            }
            Entry::Size(cols, rows) if self.size != (*cols, *rows) => {
                self.size = (*cols, *rows);
                self.event("r", &format!("{cols}x{rows}"));
            }
            Entry::Size(..) => {}
            Entry::Gap(lost) => {
                self.flush();
                self.missing(*lost);
            }
        }
    }

    fn missing(&mut self, bytes: u64) {
        if bytes > 0 {
            self.event("m", &format!("{bytes} bytes are not in this recording"));
        }
    }

    /// What waits is told, whole or not.
    fn flush(&mut self) {
        let bytes = std::mem::take(&mut self.pending);
        if !bytes.is_empty() {
            self.event("o", &String::from_utf8_lossy(&bytes));
        }
    }

    fn event(&mut self, code: &str, text: &str) {
        let (seconds, millis) = (self.now / 1000, self.now % 1000);
        // Writing to a String cannot fail.
        let _ = writeln!(self.out, "[{seconds}.{millis:03}, {}, {}]", json!(code), json!(text));
    }
}

/// Bytes up to a character that is not yet whole. What can never become one is whole: it is shown as such.
fn whole_length(bytes: &[u8]) -> usize {
    let Some(start) = (1..=3.min(bytes.len())).find(|back| bytes[bytes.len() - back] >= 0xC0) else {
        return bytes.len();
    };
    let tail = &bytes[bytes.len() - start..];
    match std::str::from_utf8(tail) {
        Err(error) if error.error_len().is_none() => bytes.len() - start + error.valid_up_to(),
        _ => bytes.len(),
    }
}

/// The screen a recording ends with: rows as plain text, and as terminal output.
pub fn last_screen(segments: &[Segment], size: (u16, u16)) -> (String, String) {
    let (cols, rows) = first_size(segments).unwrap_or(size);
    let mut parser = vt100::Parser::new(clamped(rows, 500), clamped(cols, 1000), 0);
    for (_, entry) in segments.iter().flat_map(|s| &s.entries) {
        match entry {
            Entry::Output(bytes) => parser.process(bytes),
            Entry::Size(cols, rows) => parser.set_size(clamped(*rows, 500), clamped(*cols, 1000)),
            Entry::Gap(_) => {}
        }
    }
    (text_of(parser.screen()), ansi_of(parser.screen()))
}

/// Lines that scrolled away are kept up to so many.
const SCROLLED: usize = 2000;

/// What a terminal that showed all of this has on it afterwards, with what has scrolled away: whole lines of plain text.
pub fn left_behind(output: &[u8], (cols, rows): (u16, u16)) -> String {
    let mut parser = vt100::Parser::new(clamped(rows, 500), clamped(cols, 1000), SCROLLED);
    parser.process(output);
    let screen = parser.screen_mut();
    // As far up as it goes; then one line down at a time.
    screen.set_scrollback(SCROLLED);
    let mut text = String::new();
    let mut push = |row: String, wraps: bool| {
        text.push_str(if wraps { &row } else { row.trim_end() });
        text.push_str(if wraps { "" } else { "\n" });
    };
    for above in (1..=screen.scrollback()).rev() {
        screen.set_scrollback(above);
        screen.rows(0, cols).take(1).for_each(|row| push(row, screen.row_wrapped(0)));
    }
    screen.set_scrollback(0);
    for (at, row) in (0..).zip(screen.rows(0, cols)) {
        push(row, screen.row_wrapped(at));
    }
    let used = text.trim_end().len();
    text.truncate(used);
    text + if used > 0 { "\n" } else { "" }
}

/// A screen costs 32 bytes a cell, and has at least one.
fn clamped(n: u16, most: u16) -> std::num::NonZeroU16 {
    std::num::NonZeroU16::new(n.clamp(1, most)).unwrap_or(std::num::NonZeroU16::MIN)
}

/// Plain rows joined by newlines, without the empty ones at the end.
pub fn text_of(screen: &vt100::Screen) -> String {
    let cols = screen.size().1.get();
    let lines: Vec<String> = screen.rows(0, cols).map(|row| row.trim_end().to_string()).collect();
    let used = lines.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1);
    lines[..used].join("\n")
}

/// The same as terminal output.
pub fn ansi_of(screen: &vt100::Screen) -> String {
    let cols = screen.size().1.get();
    screen.rows_formatted(0, cols).collect::<Vec<_>>().join("\x1b[m\r\n") + "\x1b[m"
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn about() -> About {
        About {
            size: (80, 24),
            began: 1_700_000_000,
            title: "a \"title\"\n".into(),
            command: vec!["sh".into(), "-c".into()],
        }
    }

    fn output(text: &[u8]) -> Entry {
        Entry::Output(text.to_vec())
    }

    /// A small reader of asciicast v2: header, and (time, code, text) of every event, as the format demands them.
    fn read(cast: &str) -> (Value, Vec<(f64, String, String)>) {
        let mut lines = cast.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let head = lines.next().unwrap();
        assert_eq!(head["version"], 2);
        assert!(head["width"].as_u64().unwrap() > 0 && head["height"].as_u64().unwrap() > 0);
        let event = |v: Value| {
            assert_eq!(v.as_array().unwrap().len(), 3);
            (v[0].as_f64().unwrap(), v[1].as_str().unwrap().to_string(), v[2].as_str().unwrap().to_string())
        };
        let events: Vec<_> = lines.map(event).collect();
        assert!(events.windows(2).all(|w| w[0].0 <= w[1].0), "{events:?}");
        assert!(events.iter().all(|(_, code, _)| ["o", "r", "m"].contains(&code.as_str())));
        (head, events)
    }

    fn told(events: &[(f64, String, String)]) -> Vec<(f64, &str, &str)> {
        events.iter().map(|(at, code, text)| (*at, code.as_str(), text.as_str())).collect()
    }

    #[test]
    fn what_is_left_on_a_terminal_is_all_that_was_not_wiped_away() {
        let left = |text: &str| left_behind(text.as_bytes(), (10, 3));
        assert_eq!(left(""), "");
        assert_eq!(left("hello\r\n"), "hello\n");
        assert_eq!(left("a\r\n\r\n\x1b[31mb\x1b[m\r\nc\r\nd\r\ne"), "a\n\nb\nc\nd\ne\n");
        assert_eq!(left("10%\r100%\r\n"), "100%\n");
        assert_eq!(left("before\r\n\x1b[?1049hfull screen\x1b[?1049l"), "before\n");
        assert_eq!(left("a line that is long\r\nx"), "a line that is long\nx\n");
    }

    #[test]
    fn a_recording_becomes_a_cast_with_its_sizes_and_its_gaps() {
        let entries = vec![
            (0, Entry::Size(100, 30)),
            (1500, output(b"h\xc3")),
            (1600, output(b"\xa9\x1b[31m\"\n")),
            (2000, Entry::Size(80, 24)),
            (2000, Entry::Size(80, 24)),
            (0, Entry::Gap(7)),
            (2500, output(b"end\xe2\x82")),
        ];
        let (head, events) = read(&cast(&[Segment { position: 0, entries }], &about()));
        assert_eq!((&head["width"], &head["height"]), (&json!(100), &json!(30)));
        assert_eq!((&head["title"], &head["command"]), (&json!("a \"title\"\n"), &json!("sh -c")));
        assert_eq!(head["timestamp"], 1_700_000_000);
        assert_eq!(
            told(&events),
            [
                (1.5, "o", "h"),
                (1.6, "o", "é\x1b[31m\"\n"),
                (2.0, "r", "80x24"),
                (2.0, "m", "7 bytes are not in this recording"),
                (2.5, "o", "end"),
                (2.5, "o", "\u{FFFD}"),
            ]
        );
    }

    #[test]
    fn where_the_beginning_was_rotated_away_it_is_said_and_not_waited_for() {
        let old = Segment { position: 50, entries: vec![(60_000, output(b"x"))] };
        let new = Segment { position: 61, entries: vec![(61_000, output(b"y"))] };
        let (head, events) = read(&cast(&[old, new], &about()));
        assert_eq!(head["timestamp"], 1_700_000_060);
        let missing = |n| format!("{n} bytes are not in this recording");
        assert_eq!(
            told(&events),
            [(0.0, "m", missing(50).as_str()), (0.0, "o", "x"), (0.0, "m", &missing(10)), (1.0, "o", "y")]
        );
    }

    #[test]
    fn nothing_recorded_is_a_cast_of_nothing() {
        let (head, events) = read(&cast(&[], &about()));
        assert_eq!((&head["width"], events.len()), (&json!(80), 0));
    }

    #[test]
    fn the_last_screen_is_what_a_terminal_would_show() {
        let entries = vec![(0, Entry::Size(20, 4)), (1, output(b"one\r\ntwo\x1b[2J\x1b[2;3H\x1b[31mred"))];
        let (text, ansi) = last_screen(&[Segment { position: 0, entries }], (80, 24));
        assert_eq!(text, "\n  red");
        assert!(ansi.contains("\x1b[31m") && ansi.ends_with("\x1b[m"), "{ansi:?}");
    }

    proptest! {
        #[test]
        fn text_comes_out_whole_however_it_was_cut(text in "\\PC{0,60}", cuts in prop::collection::vec(0usize..200, 0..6)) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(bytes.len())).chain([0, bytes.len()]).collect();
            cuts.sort_unstable();
            let entries = cuts.windows(2).map(|w| (1, output(&bytes[w[0]..w[1]]))).collect();
            let (_, events) = read(&cast(&[Segment { position: 0, entries }], &about()));
            prop_assert_eq!(events.iter().map(|(_, _, t)| t.as_str()).collect::<String>(), text);
        }

        #[test]
        fn whatever_was_recorded_the_cast_is_one(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8)) {
            let entries = chunks.into_iter().enumerate().map(|(n, c)| (n as u64, Entry::Output(c))).collect();
            let segments = [Segment { position: 0, entries }];
            read(&cast(&segments, &about()));
            let (text, _) = last_screen(&segments, (80, 24));
            prop_assert!(!text.chars().any(|c| c.is_control() && c != '\n'));
        }
    }
}
