//! What somebody probably meant: the nearest of the allowed words, and how lists of them read.

/// Edits between two words: insert, delete, replace, and swap of two neighbours (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let differs = usize::from(a[i - 1] != b[j - 1]);
            let mut least = (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + differs);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

/// The nearest of `words`, if any is near enough to have been meant.
pub(super) fn nearest<'a>(word: &str, words: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Hostile input is not worth a quadratic search.
    if word.len() > 100 {
        return None;
    }
    let word = word.to_lowercase().replace('-', "_");
    let scored = words.map(|w| (distance(&word, &w.to_lowercase().replace('-', "_")), w));
    let (edits, found) = scored.min_by_key(|(edits, _)| *edits)?;
    (edits <= (found.len() / 3).max(1)).then_some(found)
}

/// `, did you mean …?` or nothing; stands inside a complaint.
pub(super) fn suggestion<'a>(word: &str, words: impl Iterator<Item = &'a str>) -> String {
    nearest(word, words).map_or_else(String::new, |w| format!(" (did you mean `{w}`?)"))
}

/// `"a", "b" or "c"`.
pub(super) fn one_of(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => format!("{only:?}"),
        [first @ .., last] => {
            let first: Vec<String> = first.iter().map(|w| format!("{w:?}")).collect();
            format!("{} or {last:?}", first.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_named_and_a_far_one_is_not() {
        let words = ["max_idle", "max_age", "interval", "enabled"];
        for (word, meant) in [
            ("max_idel", Some("max_idle")),
            ("max-idle", Some("max_idle")),
            ("MAX_IDLE", Some("max_idle")),
            ("intervall", Some("interval")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, words.into_iter()), meant, "{word}");
        }
        assert_eq!(one_of(&["a", "b", "c"]), "\"a\", \"b\" or \"c\"");
    }
}
