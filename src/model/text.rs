//! Untrusted text made safe to show: what came from a process never steers a terminal.

/// Longest name, in characters.
pub const MAX_NAME: usize = 100;

/// Text on one line without control or formatting characters; each is shown as `·`, runs of
/// white space as one space.
///
/// Bidirectional overrides and zero-width characters are dropped too: they can make one name look like
/// another (Unicode TR 36).
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(1024));
    let mut spaced = false;
    for c in text.chars() {
        match c {
            c if c.is_whitespace() => {
                if !spaced {
                    out.push(' ');
                }
                spaced = true;
                continue;
            }
            c if is_invisible(c) || joins(c) || is_tone(c) => {}
            c if c.is_control() => out.push('·'),
            c => out.push(c),
        }
        spaced = false;
    }
    out
}

fn is_invisible(c: char) -> bool {
    turns_text(c) || matches!(c, '\u{200B}'..='\u{200D}' | '\u{2060}'..='\u{2065}' | '\u{FEFF}' | '\u{00AD}')
}

/// Marks, embeddings, overrides and isolates of direction (Unicode TR 9): one of them lets a line read as another,
/// with letters that are all there.
pub fn turns_text(c: char) -> bool {
    matches!(c, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Makes one sign of several, or another one of the one before it. How wide the outcome is terminals do not agree about.
const fn joins(c: char) -> bool {
    matches!(c, '\u{200D}' | '\u{FE0E}' | '\u{FE0F}' | '\u{20E3}' | '\u{E0020}'..='\u{E007F}')
}

/// A tone of skin: two columns of its own, or none.
const fn is_tone(c: char) -> bool {
    matches!(c, '\u{1F3FB}'..='\u{1F3FF}')
}

/// What a session wrote with nothing in it whose width is in doubt: every sign by itself, a tone of skin as the two columns
/// it was given. [`printable`] leaves such out altogether.
pub fn steady(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars().filter(|c| !joins(*c)) {
        if is_tone(c) {
            out.push_str("  ");
        } else {
            out.push(c);
        }
    }
    out
}

/// Text without those, and otherwise as it is: what a session wrote keeps the directions its letters have by themselves.
pub fn unturned(text: &str) -> String {
    text.chars().filter(|c| !turns_text(*c)).collect()
}

/// [`printable`], cut to `max` characters with an ellipsis.
pub fn printable_within(text: &str, max: usize) -> String {
    // Only as much of a hostile text is looked at as could ever be shown.
    let head: String = text.chars().take(max.saturating_mul(4)).collect();
    let clean = printable(&head);
    if clean.chars().count() <= max {
        return clean;
    }
    let mut cut: String = clean.chars().take(max.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// Why a name cannot be given, or `None` when it can.
///
/// A name is what a person types after a verb: no control characters, no white space, no glob
/// characters, no leading `-`, no `:` (tmux targets have it).
pub fn name_refusal(name: &str) -> Option<String> {
    let left_out = |c: char| is_invisible(c) || joins(c) || is_tone(c);
    let bad = |c: char| c.is_control() || c.is_whitespace() || left_out(c) || "*?[]{}:/\\#'\"".contains(c);
    if name.is_empty() {
        return Some("a name cannot be empty".into());
    }
    if name.chars().count() > MAX_NAME {
        return Some(format!("a name has at most {MAX_NAME} characters"));
    }
    if name.starts_with('-') || name.starts_with('.') {
        return Some("a name cannot begin with '-' or '.'".into());
    }
    let found = name.chars().find(|c| bad(*c))?;
    Some(format!("a name cannot hold {found:?}: use letters, digits, '-', '_', '.', '@', '+', '='"))
}

/// A name made from whatever text: what [`name_refusal`] would refuse becomes `-`.
pub fn name_from(text: &str) -> String {
    let raw: String =
        text.chars().take(40).map(|c| if c.is_alphanumeric() || "_.@+=-".contains(c) { c } else { '-' }).collect();
    let trimmed = raw.trim_matches(['-', '.']);
    if trimmed.is_empty() { "session".into() } else { trimmed.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escape_sequences_do_not_pass() {
        assert_eq!(printable("a\x1b]0;evil\x07b\nc\u{202e}d"), "a·]0;evil·b cd");
        assert_eq!(printable_within(&"x".repeat(10_000), 5), "xxxx…");
    }

    #[test]
    fn what_turns_text_is_left_out_and_joiners_of_letters_stay_in_what_a_session_wrote() {
        for turning in
            "\u{061c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}".chars()
        {
            let text = format!("a{turning}b");
            assert_eq!((unturned(&text).as_str(), printable(&text).as_str()), ("ab", "ab"), "{turning:?}");
            assert!(name_refusal(&text).is_some(), "{turning:?}");
        }
        assert_eq!(
            unturned("\u{1f469}\u{200d}\u{1f4bb} \u{5e9}\u{5dc}\u{5d5}\u{5dd}\n"),
            "\u{1f469}\u{200d}\u{1f4bb} \u{5e9}\u{5dc}\u{5d5}\u{5dd}\n"
        );
    }

    /// The width of the text as a whole is that of its signs one by one, which is what every terminal agrees about.
    #[test]
    fn no_width_is_in_doubt() {
        use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};
        for text in [
            "\u{1f469}\u{200d}\u{1f469}\u{200d}\u{1f467}",
            "\u{1f3f3}\u{fe0f}\u{200d}\u{1f308}",
            "\u{2764}\u{fe0f}1\u{fe0f}\u{20e3}",
            "\u{1f44d}\u{1f3fd} \u{1f1e9}\u{1f1ea} \u{1f980} e\u{301}",
            "\u{1f3f4}\u{e0067}\u{e0062}\u{e007f}",
        ] {
            for safe in [steady(text), printable(text)] {
                let single: usize = safe.chars().filter_map(UnicodeWidthChar::width).sum();
                assert_eq!(safe.width(), single, "{safe:?}");
            }
        }
        // A name that is shown can be typed.
        assert!(name_refusal("\u{2764}\u{fe0f}").is_some() && name_refusal("\u{1f980}").is_none());
        assert_eq!(steady("\u{1f44d}\u{1f3fd}x"), "\u{1f44d}  x");
        assert_eq!(printable("\u{1f44d}\u{1f3fd}x \u{1f1e9}\u{1f1ea}"), "\u{1f44d}x \u{1f1e9}\u{1f1ea}");
    }

    proptest! {
        #[test]
        fn printable_text_never_holds_a_control_character(text in ".{0,200}") {
            prop_assert!(!printable(&text).chars().any(char::is_control));
        }

        #[test]
        fn a_made_name_is_never_refused(text in "\\PC{0,60}") {
            prop_assert_eq!(name_refusal(&name_from(&text)), None);
        }
    }
}
