//! Names of keys, as tmux has them, and the bytes a terminal sends for them.

/// `C-c`, `M-x`, `Enter`, `Up`, `F5`, or one character.
pub fn bytes(name: &str) -> Option<Vec<u8>> {
    if let Some(rest) = name.strip_prefix("M-") {
        let mut out = vec![0x1b];
        out.extend(bytes(rest)?);
        return Some(out);
    }
    if let Some(rest) = name.strip_prefix("C-").or_else(|| name.strip_prefix('^').filter(|r| !r.is_empty())) {
        return control(rest).map(|b| vec![b]);
    }
    let fixed: &[u8] = match name {
        "Enter" => b"\r",
        "Escape" | "Esc" => b"\x1b",
        "Tab" => b"\t",
        "BTab" => b"\x1b[Z",
        "Space" => b" ",
        "BSpace" | "Backspace" => b"\x7f",
        "Up" => b"\x1b[A",
        "Down" => b"\x1b[B",
        "Right" => b"\x1b[C",
        "Left" => b"\x1b[D",
        "Home" => b"\x1b[H",
        "End" => b"\x1b[F",
        "PageUp" | "PgUp" | "PPage" => b"\x1b[5~",
        "PageDown" | "PgDn" | "NPage" => b"\x1b[6~",
        "Insert" | "IC" => b"\x1b[2~",
        "Delete" | "DC" => b"\x1b[3~",
        "F1" => b"\x1bOP",
        "F2" => b"\x1bOQ",
        "F3" => b"\x1bOR",
        "F4" => b"\x1bOS",
        "F5" => b"\x1b[15~",
        "F6" => b"\x1b[17~",
        "F7" => b"\x1b[18~",
        "F8" => b"\x1b[19~",
        "F9" => b"\x1b[20~",
        "F10" => b"\x1b[21~",
        "F11" => b"\x1b[23~",
        "F12" => b"\x1b[24~",
        one if one.chars().count() == 1 => return Some(one.as_bytes().to_vec()),
        _ => return None,
    };
    Some(fixed.to_vec())
}

fn control(rest: &str) -> Option<u8> {
    let [key] = rest.as_bytes() else { return (rest == "Space").then_some(0) };
    match key.to_ascii_uppercase() {
        k @ b'@'..=b'_' => Some(k & 0x1f),
        b'?' => Some(0x7f),
        b' ' => Some(0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn keys_are_what_a_terminal_sends() {
        for (name, sent) in [
            ("C-c", &b"\x03"[..]),
            ("^D", b"\x04"),
            ("C-]", b"\x1d"),
            ("M-x", b"\x1bx"),
            ("M-C-a", b"\x1b\x01"),
            ("Enter", b"\r"),
            ("ü", "ü".as_bytes()),
            ("C-Space", b"\0"),
            ("^", b"^"),
        ] {
            assert_eq!(super::bytes(name).as_deref(), Some(sent), "{name}");
        }
        for name in ["", "C-", "C-ü", "Nope", "C-xy"] {
            assert_eq!(super::bytes(name), None, "{name}");
        }
    }
}
