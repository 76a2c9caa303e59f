//! A reader of server-sent events written by hand (WHATWG HTML, 9.2), over chunked HTTP/1.1 (RFC 9112, 7.1).

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::support::PATIENCE;

pub struct Listener {
    stream: BufReader<UnixStream>,
    pub status: u16,
    /// Of the chunk that is being read.
    left: usize,
    line: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    pub number: u64,
    pub kind: String,
    pub event: Value,
}

impl Listener {
    /// `None` while nobody answers.
    pub fn begin(socket: &Path, query: &str, last: Option<u64>) -> Option<Self> {
        let mut stream = UnixStream::connect(socket).ok()?;
        stream.set_read_timeout(Some(PATIENCE + Duration::from_secs(10))).ok()?;
        let last = last.map_or_else(String::new, |last| format!("last-event-id: {last}\r\n"));
        write!(stream, "GET /api/events{query} HTTP/1.1\r\nhost: b\r\n{last}\r\n").ok()?;
        let mut stream = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some(Self { stream, status, left: 0, line: Vec::new() })
    }

    /// The next event; `None` when the connection is over.
    pub fn next(&mut self) -> Option<Heard> {
        let (mut number, mut kind, mut data) = (None, None, None);
        loop {
            let line = self.line()?;
            match line.split_once(": ") {
                _ if line.is_empty() => {
                    // Otherwise a comment, or how soon to come back.
                    if let (Some(number), Some(kind), Some(event)) = (number.take(), kind.take(), data.take()) {
                        return Some(Heard { number, kind, event });
                    }
                }
                Some(("id", text)) => number = text.parse().ok(),
                Some(("event", text)) => kind = Some(text.to_string()),
                Some(("data", text)) => data = serde_json::from_str(text).ok(),
                _ => {}
            }
        }
    }

    /// As far as an event of this kind about this session.
    pub fn until(&mut self, kind: &str, id: &str) -> Heard {
        let is_it = |heard: &Heard| heard.kind == kind && (id.is_empty() || heard.event["sessionId"] == id);
        std::iter::from_fn(|| self.next()).find(is_it).unwrap_or_else(|| panic!("no {kind} of {id:?}"))
    }

    fn line(&mut self) -> Option<String> {
        loop {
            match self.byte()? {
                b'\n' => return String::from_utf8(std::mem::take(&mut self.line)).ok(),
                byte => self.line.push(byte),
            }
        }
    }

    fn byte(&mut self) -> Option<u8> {
        while self.left == 0 {
            let mut size = String::new();
            self.stream.read_line(&mut size).ok()?;
            match size.trim() {
                // The end of the chunk before.
                "" if !size.is_empty() => {}
                hex => self.left = usize::from_str_radix(hex, 16).ok().filter(|n| *n > 0)?,
            }
        }
        let mut byte = [0];
        self.stream.read_exact(&mut byte).ok()?;
        self.left -= 1;
        Some(byte[0])
    }
}
