//! A command line into words, as a shell would split it: quotes and backslashes, and nothing else.

/// Why a line is no list of words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WordsError {
    #[error("a quote ({0}) is not closed")]
    Unclosed(char),
    #[error("a backslash at the end quotes nothing")]
    Dangling,
}

/// Splits at white space outside quotes. `'…'` is literal; in `"…"` a backslash quotes `"` and `\`.
pub fn split(line: &str) -> Result<Vec<String>, WordsError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => words.extend(word.take()),
            '\'' | '"' => quoted(c, &mut chars, word.get_or_insert_default())?,
            '\\' => word.get_or_insert_default().push(chars.next().ok_or(WordsError::Dangling)?),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

fn quoted(quote: char, chars: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), WordsError> {
    while let Some(c) = chars.next() {
        match c {
            c if c == quote => return Ok(()),
            '\\' if quote == '"' => match chars.next().ok_or(WordsError::Unclosed(quote))? {
                c @ ('"' | '\\') => word.push(c),
                other => word.extend(['\\', other]),
            },
            c => word.push(c),
        }
    }
    Err(WordsError::Unclosed(quote))
}

#[cfg(test)]
mod tests {
    use super::{WordsError, split};

    #[test]
    fn quotes_hold_words_together() {
        for (line, words) in [
            ("", vec![]),
            ("  claude   -p x ", vec!["claude", "-p", "x"]),
            (r#"sh -c 'echo "a  b"'"#, vec!["sh", "-c", r#"echo "a  b""#]),
            (r#"a "b \" \n" c\ d"#, vec!["a", r#"b " \n"#, "c d"]),
            ("x '' y", vec!["x", "", "y"]),
            ("a'b'\"c\"", vec!["abc"]),
        ] {
            assert_eq!(split(line).unwrap(), words, "{line}");
        }
        assert_eq!(split("a 'b"), Err(WordsError::Unclosed('\'')));
        assert_eq!(split("a \"b"), Err(WordsError::Unclosed('"')));
        assert_eq!(split("a\\"), Err(WordsError::Dangling));
    }
}
