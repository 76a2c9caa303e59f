//! What an agent is doing, from the title of its terminal and the live part of its screen.
//!
//! Rules are asked from the first to the last, and the first that holds speaks. None: unknown, which is an
//! answer. A screen also shows what was said before, so a rule names the region in which its text is alive.

use super::Profile;
use super::pattern::Pattern;
use crate::model::session::Attention;

/// Where nobody gets further without a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Gate {
    /// Asks whether the directory can be trusted.
    Trust,
    Login,
    /// The usage limit is reached.
    Limit,
}

/// What a rule says where it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    Attention(Attention),
    Gate(Gate),
    /// This view tells nothing: what was known before still holds.
    Nothing,
}

/// A part of what the terminal shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Region {
    Title,
    Screen,
    /// This many last lines that are not empty.
    Last(usize),
    /// Below the last horizontal rule.
    BelowRule,
    /// Between the last two horizontal rules.
    Box,
}

/// One rule; every pattern of `all`, one of `any` and none of `none` must match.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    pub rule: String,
    pub region: Region,
    pub all: Vec<Pattern>,
    pub any: Vec<Pattern>,
    pub none: Vec<Pattern>,
    pub says: Says,
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Look {
    /// `None`: nothing can be said, and what was said before may still hold.
    pub attention: Option<Attention>,
    pub gate: Option<Gate>,
    /// The rule that spoke.
    pub because: Option<String>,
}

impl Profile {
    /// Looks at a title and a screen without escape sequences.
    pub fn look(&self, title: &str, screen: &str) -> Look {
        let mut seen = Seen::new(title, screen);
        let Some(rule) = self.rules.iter().find(|r| r.holds(&mut seen)) else { return Look::default() };
        let (attention, gate) = match rule.says {
            Says::Attention(attention) => (Some(attention), None),
            Says::Gate(gate) => (Some(Attention::Waiting), Some(gate)),
            Says::Nothing => (None, None),
        };
        Look { attention, gate, because: Some(rule.rule.clone()) }
    }
}

impl Rule {
    fn holds(&self, seen: &mut Seen) -> bool {
        let Some(text) = seen.region(self.region) else { return false };
        let is = |p: &Pattern| p.is_match(text);
        self.all.iter().all(is) && (self.any.is_empty() || self.any.iter().any(is)) && !self.none.iter().any(is)
    }
}

/// Most lines of a screen that are looked at, from the bottom.
const LINES: usize = 200;
/// Characters of a horizontal rule, at least, at the beginning of its line.
const RULE: usize = 8;

struct Seen {
    title: String,
    /// Without trailing space, from the first to the last line that is not empty.
    lines: Vec<String>,
    /// Which of them are horizontal rules.
    rules: Vec<usize>,
    /// Cut out so far: many rules ask for the same few.
    regions: Vec<(Region, Option<String>)>,
}

impl Seen {
    fn new(title: &str, screen: &str) -> Self {
        let mut lines: Vec<String> = screen.lines().rev().take(LINES).map(|l| folded(l.trim_end())).collect();
        lines.reverse();
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        let rules = lines.iter().enumerate().filter(|(_, l)| is_rule(l)).map(|(n, _)| n).collect();
        Self { title: folded(title.trim()), lines, rules, regions: Vec::new() }
    }

    /// `None` where there is no such region.
    fn region(&mut self, region: Region) -> Option<&str> {
        let known = self.regions.iter().position(|(r, _)| *r == region);
        let at = known.unwrap_or_else(|| {
            self.regions.push((region, self.cut(region)));
            self.regions.len() - 1
        });
        self.regions[at].1.as_deref()
    }

    fn cut(&self, region: Region) -> Option<String> {
        Some(match region {
            Region::Title => self.title.clone(),
            Region::Screen => self.lines.join("\n"),
            Region::Last(count) => {
                let full = || self.lines.iter().filter(|l| !l.is_empty());
                full().skip(full().count().saturating_sub(count)).map(String::as_str).collect::<Vec<_>>().join("\n")
            }
            Region::BelowRule => self.lines[self.rules.last()? + 1..].join("\n"),
            Region::Box => match self.rules.as_slice() {
                [.., top, bottom] => self.lines[top + 1..*bottom].join("\n"),
                _ => return None,
            },
        })
    }
}

/// Agents pad with the space that does not break.
fn folded(text: &str) -> String {
    text.trim_end_matches('\u{a0}').replace('\u{a0}', " ")
}

/// A line, or the top or bottom of a box; a label may stand in it.
fn is_rule(line: &str) -> bool {
    let line = line.trim_start();
    line.chars().take_while(|c| "─━═╌┄▔▁╭╮╰╯┌┐└┘".contains(*c)).count() >= RULE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_where_a_person_would_look() {
        let mut seen = Seen::new(" a\u{a0}title ", "old\n──────────\n\n❯\u{a0}hi\n\n──────── x ─\n  foot \n\n\n");
        for (region, expected) in [
            (Region::Title, Some("a title")),
            (Region::Last(2), Some("──────── x ─\n  foot")),
            (Region::BelowRule, Some("  foot")),
            (Region::Box, Some("\n❯ hi\n")),
        ] {
            assert_eq!(seen.region(region), expected, "{region:?}");
        }
        let mut plain = Seen::new("", "one\n── two");
        assert_eq!(plain.region(Region::BelowRule), None);
        assert_eq!(plain.region(Region::Box), None);
        assert_eq!(Seen::new("", "").region(Region::Last(3)), Some(""));
    }
}
