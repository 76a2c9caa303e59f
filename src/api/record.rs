//! The shape of a recording: raw bytes in frames with times, in two segments that take turns.
//!
//! ```text
//!   segment  = "BEADLE1\n" · u64 position · frame*
//!   frame    = u8 kind · u64 milliseconds since the session began · u32 length · payload
//!   kind       'o' output · 'r' size (u16 columns, u16 rows) · 'g' gap (u64 bytes lost)
//! ```
//!
//! All numbers little endian. `position` counts the bytes of output (and of gaps) since the session
//! began, so that a reader knows what rotation took. `out.1` is being written; when it holds half of the cap it becomes
//! `out.0`. A frame cut short at the end of a segment is ignored: the writer died there.

use std::fs::File;
use std::io::{self, Read};

use super::kept::Dir;
use super::types::LogChunk;

pub const MAGIC: &[u8; 8] = b"BEADLE1\n";
pub const HEAD: usize = 16;
pub const FRAME_HEAD: usize = 13;

/// What a frame holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    Output(Vec<u8>),
    Size(u16, u16),
    /// So many bytes were written by the agent and could not be recorded.
    Gap(u64),
}

/// The beginning of a segment.
pub fn head(position: u64) -> [u8; HEAD] {
    let mut out = [0; HEAD];
    out[..8].copy_from_slice(MAGIC);
    out[8..].copy_from_slice(&position.to_le_bytes());
    out
}

/// Appends one frame.
pub fn push(out: &mut Vec<u8>, millis: u64, kind: u8, payload: &[u8]) {
    out.push(kind);
    out.extend_from_slice(&millis.to_le_bytes());
    out.extend_from_slice(&u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(payload);
}

pub fn push_output(out: &mut Vec<u8>, millis: u64, bytes: &[u8]) {
    push(out, millis, b'o', bytes);
}

pub fn push_size(out: &mut Vec<u8>, millis: u64, cols: u16, rows: u16) {
    let [a, b] = cols.to_le_bytes();
    let [c, d] = rows.to_le_bytes();
    push(out, millis, b'r', &[a, b, c, d]);
}

pub fn push_gap(out: &mut Vec<u8>, millis: u64, lost: u64) {
    push(out, millis, b'g', &lost.to_le_bytes());
}

/// One segment, read.
#[derive(Debug, Default)]
pub struct Segment {
    pub position: u64,
    /// (milliseconds, entry)
    pub entries: Vec<(u64, Entry)>,
}

impl Segment {
    /// Position behind the last byte.
    pub fn end(&self) -> u64 {
        let length = |entry: &Entry| match entry {
            Entry::Output(bytes) => bytes.len() as u64,
            Entry::Gap(lost) => *lost,
            Entry::Size(..) => 0,
        };
        self.position + self.entries.iter().map(|(_, e)| length(e)).sum::<u64>()
    }
}

/// Parses a segment as far as it is whole.
pub fn parse(bytes: &[u8]) -> Option<Segment> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let (position, mut rest) = rest.split_first_chunk::<8>()?;
    let mut segment = Segment { position: u64::from_le_bytes(*position), entries: Vec::new() };
    while let Some((entry, tail)) = next_frame(rest) {
        segment.entries.push(entry);
        rest = tail;
    }
    Some(segment)
}

fn next_frame(bytes: &[u8]) -> Option<((u64, Entry), &[u8])> {
    let (kind, rest) = bytes.split_first()?;
    let (millis, rest) = rest.split_first_chunk::<8>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (payload, tail) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    let entry = match (kind, payload) {
        (b'o', bytes) => Entry::Output(bytes.to_vec()),
        (b'r', [a, b, c, d]) => Entry::Size(u16::from_le_bytes([*a, *b]), u16::from_le_bytes([*c, *d])),
        (b'g', lost) => Entry::Gap(u64::from_le_bytes(lost.try_into().ok()?)),
        // A later version's kind: stepped over.
        _ => Entry::Output(Vec::new()),
    };
    Some(((u64::from_le_bytes(*millis), entry), tail))
}

/// The recording of a session, older segment first.
pub fn read(dir: &Dir) -> io::Result<Vec<Segment>> {
    let mut segments = read_once(dir)?;
    for _ in 0..3 {
        let torn = |pair: &[Segment]| pair[0].end() != pair[1].position;
        if !segments.windows(2).any(torn) {
            break;
        }
        // They took turns between the two reads.
        segments = read_once(dir)?;
    }
    Ok(segments)
}

fn read_once(dir: &Dir) -> io::Result<Vec<Segment>> {
    let mut out = Vec::new();
    for path in dir.segments() {
        let mut bytes = Vec::new();
        match File::open(&path) {
            Ok(mut file) => file.read_to_end(&mut bytes)?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => return Err(e),
        };
        out.extend(parse(&bytes));
    }
    Ok(out)
}

/// What was recorded from `from` on.
pub fn since(dir: &Dir, from: u64) -> io::Result<LogChunk> {
    let mut chunk = LogChunk { next: from, ..LogChunk::default() };
    for segment in read(dir)? {
        chunk.missing += segment.position.saturating_sub(chunk.next);
        chunk.next = chunk.next.max(segment.position);
        let mut at = segment.position;
        for (_, entry) in segment.entries {
            take(&mut chunk, &mut at, entry);
        }
    }
    Ok(chunk)
}

fn take(chunk: &mut LogChunk, at: &mut u64, entry: Entry) {
    match entry {
        Entry::Size(..) => {}
        Entry::Gap(lost) => {
            *at += lost;
            chunk.missing += at.saturating_sub(chunk.next);
            chunk.next = chunk.next.max(*at);
        }
        Entry::Output(bytes) => {
            let known = usize::try_from(chunk.next.saturating_sub(*at)).unwrap_or(usize::MAX);
            *at += bytes.len() as u64;
            chunk.bytes.extend_from_slice(bytes.get(known..).unwrap_or_default());
            chunk.next = chunk.next.max(*at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(dir: &Dir, segment: usize, position: u64, frames: &[u8]) {
        let mut bytes = head(position).to_vec();
        bytes.extend_from_slice(frames);
        std::fs::write(&dir.segments()[segment], bytes).unwrap();
    }

    #[test]
    fn a_reader_gets_each_byte_once_and_is_told_what_is_missing() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = Dir::new(tmp.path());
        let mut old = Vec::new();
        push_output(&mut old, 1, b"abc");
        push_gap(&mut old, 2, 10);
        let mut new = Vec::new();
        push_size(&mut new, 3, 80, 24);
        push_output(&mut new, 3, b"defg");
        written(&dir, 0, 100, &old);
        written(&dir, 1, 113, &new);
        let all = since(&dir, 0).unwrap();
        assert_eq!((all.bytes.as_slice(), all.missing, all.next), (&b"abcdefg"[..], 110, 117));
        let rest = since(&dir, 115).unwrap();
        assert_eq!((rest.bytes.as_slice(), rest.missing, rest.next), (&b"fg"[..], 0, 117));
        assert_eq!(since(&dir, 117).unwrap(), LogChunk { next: 117, ..LogChunk::default() });
    }

    proptest! {
        #[test]
        fn a_segment_cut_anywhere_is_read_as_far_as_it_is_whole(payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..6), cut in 0usize..200) {
            let mut bytes = head(7).to_vec();
            payloads.iter().for_each(|p| push_output(&mut bytes, 1, p));
            bytes.truncate(cut);
            if let Some(segment) = parse(&bytes) {
                for ((_, entry), payload) in segment.entries.iter().zip(&payloads) {
                    prop_assert_eq!(entry, &Entry::Output(payload.clone()));
                }
            }
        }
    }
}
