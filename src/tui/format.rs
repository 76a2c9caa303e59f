//! Numbers and text as the screen shows them: fixed units, two significant digits, cut by columns.
//!
//! Knows nothing of sessions. Unknown is [`UNKNOWN`], never 0.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What stands where nothing is known.
pub const UNKNOWN: &str = "–";

/// Bytes in at most four columns: `812K`, `1.2G`, `412M`.
#[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
pub fn bytes(bytes: u64) -> String {
    if bytes == 0 {
        return "0".into();
    }
    let mut value = bytes as f64;
    for unit in ["B", "K", "M", "G", "T"] {
        if value < 9.95 && unit != "B" {
            return format!("{value:.1}{unit}");
        }
        if value < 999.5 {
            return format!("{value:.0}{unit}");
        }
        value /= 1024.0;
    }
    format!("{value:.0}P")
}

/// A span of time in at most four columns: `3s`, `41m`, `2h14`, `23h`, `12d`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what a u64 holds")]
pub fn span(seconds: f64) -> String {
    let whole = if seconds.is_finite() { seconds.clamp(0.0, 8.6e9) as u64 } else { return UNKNOWN.into() };
    let (minutes, hours) = (whole / 60, whole / 3600);
    match whole {
        0..60 => format!("{whole}s"),
        60..3600 => format!("{minutes}m"),
        3600..36_000 => format!("{hours}h{:02}", minutes % 60),
        36_000..172_800 => format!("{hours}h"),
        _ => format!("{}d", hours / 24),
    }
}

/// Seconds that something took: `0.03 s`, `5.1 s`, `42 s`.
pub fn took(seconds: f64) -> String {
    match seconds.max(0.0) {
        s if s < 0.995 => format!("{s:.2} s"),
        s if s < 9.95 => format!("{s:.1} s"),
        s => format!("{s:.0} s"),
    }
}

/// Of one core: `0%`, `34%`, `340%`.
pub fn percent(percent: f64) -> String {
    format!("{:.0}%", percent.clamp(0.0, 99_999.0))
}

/// Values as bars, the last one at the right end, several to a column where there are more than columns. What was
/// not seen is left empty.
pub fn spark(values: &[f64], slots: usize, columns: u16) -> String {
    spark_below(values, slots, columns, 0.0)
}

/// The same, and a bar is full at `full` or at the highest value, whichever is more: so that several can be compared.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "small numbers"
)]
pub fn spark_below(values: &[f64], slots: usize, columns: u16, full: f64) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let per = slots.div_ceil(usize::from(columns).max(1)).max(1);
    let sums: Vec<f64> = values.rchunks(per).take(usize::from(columns)).map(|chunk| chunk.iter().sum()).collect();
    let most = sums.iter().copied().fold(full * per as f64, f64::max);
    let bar = |value: &f64| {
        let height = if most > 0.0 { (value / most * 7.0).ceil() } else { 0.0 };
        BARS[(height.clamp(0.0, 7.0)) as usize]
    };
    let bars: String = sums.iter().rev().map(bar).collect();
    " ".repeat(usize::from(columns).saturating_sub(sums.len())) + &bars
}

/// A number with its noun: `1 process`, `2 processes`.
pub fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// The value, or [`UNKNOWN`].
pub fn known<T>(value: Option<T>, show: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| UNKNOWN.into(), show)
}

/// Columns a text takes.
pub fn width(text: &str) -> u16 {
    u16::try_from(UnicodeWidthStr::width(text)).unwrap_or(u16::MAX)
}

/// The text in at most `columns` columns, with an ellipsis where it was cut.
pub fn cut(text: &str, columns: u16) -> String {
    if width(text) <= columns {
        return text.into();
    }
    let mut out = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += UnicodeWidthChar::width(c).unwrap_or(0);
        if used > usize::from(columns) {
            break;
        }
        out.push(c);
    }
    if columns > 0 {
        out.push('…');
    }
    out
}

/// The text on as many lines as it needs, broken between words; a word longer than a line is cut.
pub fn wrapped(text: &str, columns: u16) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if width(line).saturating_add(1).saturating_add(width(word)) <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(cut(word, columns)),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_two_digits_and_four_columns() {
        for (n, text) in [
            (0, "0"),
            (812, "812B"),
            (10 << 10, "10K"),
            (431_966_000, "412M"),
            (1_288_490_189, "1.2G"),
            (1023 << 20, "1.0G"),
            (10_695_475, "10M"),
        ] {
            assert_eq!(bytes(n), text);
        }
        for (s, text) in [(0.4, "0s"), (59.9, "59s"), (2460.0, "41m"), (8040.0, "2h14"), (82_800.0, "23h"), (2e5, "2d")]
        {
            assert_eq!(span(s), text);
        }
        assert_eq!((percent(33.6), percent(-1.0)), ("34%".into(), "0%".into()));
        assert_eq!((took(0.031), took(5.12), took(61.0)), ("0.03 s".into(), "5.1 s".into(), "61 s".into()));
        assert_eq!((span(f64::NAN), known(None::<u64>, bytes)), (UNKNOWN.into(), UNKNOWN.into()));
    }

    #[test]
    fn bars_stand_right_and_the_highest_is_full() {
        assert_eq!(spark(&[0.0, 1.0, 8.0], 30, 5), "    █");
        assert_eq!(spark(&[0.0, 1.0, 8.0], 5, 5), "  ▁▂█");
        assert_eq!(spark(&[0.0; 40], 40, 4), "▁▁▁▁");
        assert_eq!((spark(&[], 30, 3), spark(&[1.0], 30, 0)), ("   ".into(), String::new()));
    }

    #[test]
    fn a_sentence_is_broken_between_words() {
        assert_eq!(wrapped("5 s to end by itself", 8), ["5 s to", "end by", "itself"]);
        assert_eq!(wrapped("日本語 ab", 5), ["日本…", "ab"]);
        assert_eq!(wrapped("  ", 5), [""; 0]);
    }

    #[test]
    fn a_cut_counts_columns_not_characters() {
        assert_eq!(cut("日本語", 6), "日本語");
        assert_eq!(cut("日本語", 5), "日本…");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("abc", 0), "");
    }
}
