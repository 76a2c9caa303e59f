//! A tar of a few plain files, packed and unpacked (POSIX ustar, pax(1)).
//!
//! Names are single words: what is unpacked lands in the directory it is unpacked into, and nowhere else.

const BLOCK: usize = 512;
/// Sizes are written in eleven octal digits.
const MOST: u64 = 0o777_7777_7777;

/// A file: its name and what it holds.
pub type Part = (String, Vec<u8>);

/// `seconds` since 1970 is the time of every file; all are their owner's alone.
pub fn pack(parts: &[Part], seconds: u64) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, bytes) in parts {
        out.extend_from_slice(&header(name, bytes.len() as u64, seconds));
        out.extend_from_slice(bytes);
        out.resize(out.len().next_multiple_of(BLOCK), 0);
    }
    // Two empty blocks are the end.
    out.resize(out.len() + 2 * BLOCK, 0);
    out
}

fn header(name: &str, size: u64, seconds: u64) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut put = |at: usize, text: &str| block[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, &name.chars().filter(char::is_ascii).take(99).collect::<String>());
    put(100, "0000600");
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{:011o}", size.min(MOST)));
    put(136, &format!("{:011o}", seconds.min(MOST)));
    // The sum is taken with blanks in its own place.
    put(148, "        ");
    put(156, "0");
    put(257, "ustar");
    put(263, "00");
    let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// The files of a tar made by [`pack`]; `None` when it is none, or was cut off.
pub fn unpack(mut bytes: &[u8]) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    loop {
        let (block, rest) = bytes.split_at_checked(BLOCK)?;
        if block.iter().all(|b| *b == 0) {
            return Some(parts);
        }
        let text = |from: usize, to: usize| std::str::from_utf8(&block[from..to]).ok()?.split('\0').next();
        let name = text(0, 100).filter(|name| is_plain(name))?;
        let size = usize::from_str_radix(text(124, 136)?.trim(), 8).ok()?;
        let (content, _) = rest.split_at_checked(size)?;
        parts.push((name.to_string(), content.to_vec()));
        bytes = rest.get(size.checked_next_multiple_of(BLOCK)?..)?;
    }
}

/// A file name that leads nowhere else.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains('/')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tar_itself_reads_it() {
        let tmp = tempfile::tempdir().unwrap();
        let parts = [("a.txt".to_string(), b"one".to_vec()), ("b".to_string(), vec![b'x'; 1000])];
        std::fs::write(tmp.path().join("t.tar"), pack(&parts, 1_700_000_000)).unwrap();
        let out = std::process::Command::new("tar").args(["-xvf", "t.tar"]).current_dir(&tmp).output();
        let Ok(out) = out else { return };
        assert!(out.status.success() && out.stderr.is_empty(), "{out:?}");
        assert_eq!(out.stdout, b"a.txt\nb\n");
        for (name, bytes) in parts {
            assert_eq!(std::fs::read(tmp.path().join(name)).unwrap(), bytes);
        }
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_refused() {
        for name in ["../x", "/etc/x", "a/b", "", ".."] {
            assert_eq!(unpack(&pack(&[(name.to_string(), vec![])], 0)), None, "{name:?}");
        }
        assert_eq!(unpack(b"garbage"), None);
    }

    proptest! {
        #[test]
        fn what_is_packed_comes_out_again(files in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..1500), 0..4), cut in 1usize..600) {
            let parts: Vec<Part> = files.into_iter().enumerate().map(|(n, bytes)| (format!("f{n}"), bytes)).collect();
            let mut tar = pack(&parts, 7);
            prop_assert_eq!(tar.len() % BLOCK, 0);
            prop_assert_eq!(unpack(&tar), Some(parts));
            tar.truncate(tar.len().saturating_sub(2 * BLOCK + cut));
            prop_assert_eq!(unpack(&tar), None);
        }

        #[test]
        fn nothing_read_as_a_tar_ends_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            // Whatever it says.
            let _ = unpack(&bytes);
        }
    }
}
