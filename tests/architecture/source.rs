//! A source file taken apart, just enough for the rules: code without comments and strings, the strings, test
//! modules, and the paths that are named. Knows Rust's tokens, not its grammar.

/// A file with its comments and strings blanked out, line by line.
pub struct Source {
    pub path: String,
    pub room: String,
    /// How many `super` lead from this file to the crate.
    pub depth: usize,
    pub code: Vec<String>,
    /// Every string literal with the line it begins on, from 0.
    pub strings: Vec<(usize, String)>,
    /// Which lines belong to a test module.
    pub test: Vec<bool>,
    pub first_line: String,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        let parts: Vec<&str> = path.trim_start_matches("src/").trim_end_matches(".rs").split('/').collect();
        let is_root = parts == ["lib"] || parts == ["main"];
        let is_mod = parts.last() == Some(&"mod");
        let (blanked, strings) = blank(text);
        let tests = test_lines(&blanked, path.ends_with("/tests.rs"));
        Self {
            path: path.into(),
            room: parts[0].into(),
            depth: if is_root { 0 } else { parts.len() - usize::from(is_mod) },
            code: blanked.lines().map(String::from).collect(),
            strings,
            test: tests,
            first_line: text.lines().next().unwrap_or_default().into(),
        }
    }

    pub fn at(&self, line: usize, complaint: &str) -> String {
        format!("{}:{}: {complaint}", self.path, line + 1)
    }

    /// Lines on which `word` stands by itself.
    pub fn lines_with<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        self.code.iter().enumerate().filter(move |(_, line)| !spots(line, word).is_empty()).map(|(n, _)| n)
    }

    pub fn is_test(&self, line: usize) -> bool {
        self.test.get(line).copied().unwrap_or(false)
    }
}

pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where `word` begins in `text`, not inside a longer word.
pub fn spots(text: &str, word: &str) -> Vec<usize> {
    let whole = |&(at, _): &(usize, &str)| {
        let before = text[..at].chars().next_back().is_some_and(is_word);
        let open = !word.ends_with(is_word);
        let after = !open && text[at + word.len()..].chars().next().is_some_and(is_word);
        !before && !after
    };
    text.match_indices(word).filter(whole).map(|(at, _)| at).collect()
}

pub fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count()
}

/// The code with comments, strings and character literals replaced by spaces, and the strings.
fn blank(text: &str) -> (String, Vec<(usize, String)>) {
    let (mut code, mut strings) = (String::with_capacity(text.len()), Vec::new());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let previous_is_word = code.chars().next_back().is_some_and(is_word);
        let length = match c {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => comment_length(rest),
            '\'' => char_length(rest),
            '"' => string_length(rest),
            'r' | 'b' | 'c' if !previous_is_word => prefixed_length(rest),
            _ => 0,
        };
        let (taken, after) = rest.split_at(if length == 0 { c.len_utf8() } else { length });
        if length == 0 {
            code.push_str(taken);
        } else {
            if c != '/' && c != '\'' {
                strings.push((code.matches('\n').count(), taken.to_string()));
            }
            code.extend(taken.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        }
        rest = after;
    }
    (code, strings)
}

fn comment_length(text: &str) -> usize {
    let (mut depth, mut at) = (0usize, 0usize);
    while at < text.len() {
        match &text.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] if depth == 1 => return at + 2,
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    text.len()
}

/// 0 for a lifetime.
fn char_length(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some(_)) => text[3..].find('\'').map_or(0, |end| 3 + end + 1),
        (Some(_), Some((end, '\''))) => end + 1,
        _ => 0,
    }
}

fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// `r"…"`, `r#"…"#`, `b"…"`, `br"…"`, `b'…'`; 0 for a word that only begins with such a letter.
fn prefixed_length(text: &str) -> usize {
    let letters = text.find(|c| !"rbc".contains(c)).unwrap_or(text.len());
    let rest = &text[letters..];
    let fences = rest.find(|c| c != '#').unwrap_or(rest.len());
    if letters > 2 || !rest[fences..].starts_with('"') {
        return 0;
    }
    if !text[..letters].contains('r') {
        return if fences == 0 { letters + string_length(rest) } else { 0 };
    }
    let close = format!("\"{}", "#".repeat(fences));
    rest[fences + 1..].find(&close).map_or(text.len(), |end| letters + fences + 1 + end + close.len())
}

/// The end of the block that begins with the first `{` behind `from`, or of the item that has none.
pub fn end_of_item(code: &str, from: usize) -> usize {
    let (mut braces, mut round) = (0usize, 0isize);
    for (at, c) in code[from..].char_indices() {
        match c {
            '(' | '[' => round += 1,
            ')' | ']' => round -= 1,
            ';' if braces == 0 && round <= 0 => return from + at,
            '{' => braces += 1,
            '}' if braces <= 1 => return from + at,
            '}' => braces -= 1,
            _ => {}
        }
    }
    code.len()
}

fn test_lines(code: &str, whole_file: bool) -> Vec<bool> {
    const MARK: &str = "#[cfg(test)]";
    let mut test = vec![whole_file; code.lines().count()];
    for (at, _) in code.match_indices(MARK) {
        let (first, last) = (line_of(code, at), line_of(code, end_of_item(code, at + MARK.len())));
        let end = test.len().min(last + 1);
        test[first..end].fill(true);
    }
    test
}

/// The paths a `use` tree names: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn paths_of(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some((head, group)) = tree.split_once('{') else { return vec![tree.to_string()] };
    let group = group.trim_end().trim_end_matches('}');
    let (mut depth, mut items, mut from) = (0usize, Vec::new(), 0usize);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                items.push(&group[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    items.push(&group[from..]);
    // The end of an inner group is trimmed with the outer one's; opening braces alone say what is nested.
    let inner = items.into_iter().filter(|i| !i.trim().is_empty()).flat_map(paths_of);
    inner.map(|path| format!("{}{path}", head.trim())).collect()
}

/// Every path the code names, by `use` or inline, that begins with `root` (such as `crate::`).
pub fn paths_from(source: &Source, root: &str) -> Vec<(usize, String)> {
    let code = source.code.join("\n");
    let one = |at: usize| {
        let rest = &code[at..];
        let in_use = code[..at].trim_end().rsplit([';', '}', '{']).next().is_some_and(|s| !spots(s, "use").is_empty());
        let end = if in_use { rest.find(';') } else { rest.find(|c| !is_word(c) && c != ':') };
        let line = line_of(&code, at);
        paths_of(&rest[..end.unwrap_or(rest.len())]).into_iter().map(move |path| (line, path))
    };
    spots(&code, root).into_iter().flat_map(one).collect()
}
