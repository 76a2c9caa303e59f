//! Durations and sizes as people write them: `90s`, `1h30m`, `200ms`, `8MiB`.
//!
//! Knows spelling only; which values make sense for a key is said where the key is. Complaints are the end
//! of a sentence that begins with the key.

use std::time::Duration;

/// The longest duration anybody may write: ten years.
pub const LONGEST: Duration = Duration::from_hours(10 * 8766);

/// The largest size anybody may write: one PiB.
pub const LARGEST: u64 = 1 << 50;

const EXAMPLES: &str = "write a number and a unit, such as \"90s\", \"15m\", \"1h30m\" or \"200ms\"";

/// Units from large to small, in milliseconds.
const UNITS: &[(&str, u64)] = &[("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Longer spellings people try; the answer names the short one.
const LONG_UNITS: &[(&str, &str)] = &[
    ("days", "d"),
    ("hours", "h"),
    ("hrs", "h"),
    ("minutes", "m"),
    ("mins", "m"),
    ("seconds", "s"),
    ("secs", "s"),
    ("milliseconds", "ms"),
    ("millis", "ms"),
];

const SIZES: &[(&str, u64)] = &[("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// Reads a duration: numbers with units `d`, `h`, `m`, `s`, `ms`, from large to small.
///
/// One parser for the config, the environment and the command line. `0s` is legal here.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let trimmed = text.trim();
    if let Some(fault) = not_a_duration(trimmed) {
        return Err(fault);
    }
    let mut rest = trimmed;
    let mut total: u64 = 0;
    let mut last = usize::MAX;
    while !rest.is_empty() {
        let (number, unit, after) = piece(rest);
        let at = unit_index(unit).map_err(|wrong| unit_fault(trimmed, number, wrong))?;
        if last != usize::MAX && at <= last {
            return Err(format!("{trimmed:?}: units go from large to small, each once, such as \"1h30m\""));
        }
        last = at;
        let millis = number.parse::<u64>().ok().and_then(|n| n.checked_mul(UNITS[at].1));
        total = millis.and_then(|m| total.checked_add(m)).ok_or_else(|| too_long(trimmed))?;
        rest = after.trim_start();
    }
    let duration = Duration::from_millis(total);
    if duration > LONGEST { Err(too_long(trimmed)) } else { Ok(duration) }
}

/// What is wrong before any unit is looked at.
fn not_a_duration(text: &str) -> Option<String> {
    let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    if text.is_empty() {
        return Some(format!("is empty: {EXAMPLES}"));
    }
    if let Some(positive) = text.strip_prefix('-').filter(|t| t.starts_with(|c: char| c.is_ascii_digit())) {
        return Some(format!("{text:?} is negative: write \"{}\"", with_unit(positive)));
    }
    if digits(text) {
        return Some(no_unit(text));
    }
    if text.contains('.') && text.starts_with(|c: char| c.is_ascii_digit()) {
        return Some(format!("{text:?} has a fraction: write whole numbers, such as \"1h30m\""));
    }
    (!text.starts_with(|c: char| c.is_ascii_digit())).then(|| format!("{text:?} is not a duration: {EXAMPLES}"))
}

/// What to say to a bare number, from a file (`grace = 5`) or as text (`"5"`).
pub(super) fn no_unit(number: &str) -> String {
    format!(
        "{number} has no unit: write \"{number}s\" for seconds, \"{number}m\" for minutes or \"{number}h\" for hours"
    )
}

fn with_unit(text: &str) -> String {
    let bare = text.bytes().all(|b| b.is_ascii_digit());
    if bare { format!("{text}s") } else { text.to_string() }
}

fn too_long(text: &str) -> String {
    format!("{text:?} is more than ten years: write at most \"3650d\"")
}

/// A number, the letters behind it, and what follows.
fn piece(text: &str) -> (&str, &str, &str) {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(digits);
    let rest = rest.trim_start();
    let letters = rest.find(|c: char| c.is_ascii_digit() || c.is_whitespace()).unwrap_or(rest.len());
    let (unit, after) = rest.split_at(letters);
    (number, unit, after)
}

fn unit_index(unit: &str) -> Result<usize, &str> {
    UNITS.iter().position(|(name, _)| *name == unit).ok_or(unit)
}

fn unit_fault(whole: &str, number: &str, unit: &str) -> String {
    if unit.is_empty() || number.is_empty() {
        return format!("{whole:?} has a number without a unit: {EXAMPLES}");
    }
    let lower = unit.to_lowercase();
    let short =
        LONG_UNITS.iter().find(|(long, _)| lower.len() > 1 && long.starts_with(&lower)).map(|(_, short)| *short);
    match short.or_else(|| UNITS.iter().map(|(name, _)| *name).find(|name| *name == lower)) {
        Some(short) => format!("{whole:?}: write \"{number}{short}\" for {number:?} {unit:?}"),
        None => format!("{whole:?}: {unit:?} is not a unit: use d, h, m, s or ms, such as \"15m\" or \"1h30m\""),
    }
}

/// Writes a duration as people do: `90s`, `60m`, `24h`, `14d`, `2h30m`. Whole milliseconds only.
///
/// A unit is used until there are two of the next, so that the defaults read as they are documented.
pub fn show_duration(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 {
        return "0s".into();
    }
    let whole = |unit: u64| millis.is_multiple_of(unit).then_some(millis / unit);
    match (whole(3_600_000), whole(60_000), whole(1000)) {
        (Some(h), _, _) if (2..48).contains(&h) => return format!("{h}h"),
        (_, Some(m), _) if m < 120 => return format!("{m}m"),
        (_, _, Some(s)) if s < 120 => return format!("{s}s"),
        _ => {}
    }
    let mut rest = millis;
    let piece = |(name, unit): &(&str, u64)| {
        let n = rest / unit;
        rest %= unit;
        (n > 0).then(|| format!("{n}{name}"))
    };
    UNITS.iter().filter_map(piece).collect()
}

/// Reads a size: `8MiB`, `512KiB`, `1GiB`, or plain bytes.
pub fn parse_size(text: &str) -> Result<u64, String> {
    const HOW: &str = "write bytes, or a number and a unit, such as \"512KiB\", \"8MiB\" or \"1GiB\"";
    let text = text.trim();
    if text.is_empty() {
        return Err(format!("is empty: {HOW}"));
    }
    if text.starts_with('-') {
        return Err(format!("{text:?} is negative: {HOW}"));
    }
    let (number, unit, after) = piece(text);
    if number.is_empty() || !after.is_empty() || unit.contains('.') {
        return Err(format!("{text:?} is not a size: {HOW}"));
    }
    let factor = size_factor(unit).map_err(|instead| match instead {
        Some(name) => format!("{text:?}: write \"{number}{name}\" (1 {name} is 1024-based)"),
        None => format!("{text:?}: {unit:?} is not a unit: use KiB, MiB, GiB or TiB"),
    })?;
    let bytes = number.parse::<u64>().ok().and_then(|n| n.checked_mul(factor)).filter(|b| *b <= LARGEST);
    bytes.ok_or_else(|| format!("{text:?} is too much: write at most \"1024TiB\""))
}

/// Bytes in a unit; `Err` names the unit that was probably meant.
fn size_factor(unit: &str) -> Result<u64, Option<&'static str>> {
    if unit.is_empty() || unit == "B" {
        return Ok(1);
    }
    if let Some((_, factor)) = SIZES.iter().find(|(name, _)| *name == unit) {
        return Ok(*factor);
    }
    let lower = unit.to_lowercase();
    let meant = |name: &str| {
        let name = name.to_lowercase();
        lower == name || lower == name[..1] || lower == format!("{}b", &name[..1])
    };
    Err(SIZES.iter().map(|(name, _)| *name).find(|name| meant(name)))
}

/// Writes a size in the largest unit that leaves no remainder; plain bytes otherwise.
pub fn show_size(bytes: u64) -> String {
    let whole = |(_, factor): &&(&str, u64)| bytes >= *factor && bytes.is_multiple_of(*factor);
    SIZES.iter().find(whole).map_or_else(|| bytes.to_string(), |(name, factor)| format!("{}{name}", bytes / factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_written_as_people_write_it() {
        for (millis, text) in [
            (0, "0s"),
            (200, "200ms"),
            (1500, "1s500ms"),
            (90_000, "90s"),
            (60_000, "1m"),
            (3_600_000, "60m"),
            (5_400_000, "90m"),
            (9_000_000, "2h30m"),
            (86_400_000, "24h"),
            (14 * 86_400_000, "14d"),
            (150_000, "2m30s"),
        ] {
            assert_eq!(show_duration(Duration::from_millis(millis)), text);
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(parse_duration("1h 30m"), Ok(Duration::from_mins(90)));
    }

    #[test]
    fn a_wrong_duration_says_what_to_write() {
        for (text, said) in [
            ("", "is empty"),
            ("soon", "is not a duration"),
            ("10", "\"10s\" for seconds"),
            ("-5m", "write \"5m\""),
            ("-5", "write \"5s\""),
            ("1.5h", "fraction"),
            ("10min", "write \"10m\""),
            ("10 minutes", "write \"10m\""),
            ("15M", "write \"15m\""),
            ("10x", "\"x\" is not a unit"),
            ("1h30", "without a unit"),
            ("30m1h", "large to small"),
            ("1m1m", "each once"),
            ("4000d", "ten years"),
            ("99999999999999999999h", "ten years"),
            ("10m!", "\"m!\" is not a unit"),
        ] {
            let fault = parse_duration(text).unwrap_err();
            assert!(fault.contains(said), "{text:?}: {fault}");
        }
    }

    #[test]
    fn a_size_has_binary_units_or_none() {
        for (text, bytes) in [("0", 0), ("8MiB", 8 << 20), ("1GiB", 1 << 30), ("65536", 65_536), ("100 B", 100)] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for (text, said) in [
            ("8MB", "write \"8MiB\""),
            ("8m", "write \"8MiB\""),
            ("8mib", "write \"8MiB\""),
            ("big", "is not a size"),
            ("-1", "negative"),
            ("1.5GiB", "is not a size"),
            ("8XB", "is not a unit"),
            ("9999999TiB", "too much"),
        ] {
            let fault = parse_size(text).unwrap_err();
            assert!(fault.contains(said), "{text:?}: {fault}");
        }
        assert_eq!(show_size(8 << 20), "8MiB");
        assert_eq!(show_size(1000), "1000");
    }
}
