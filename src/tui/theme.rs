//! The colours: grey for what is calm, colour for what needs a person, one accent for the selection.
//!
//! Every meaning also stands in words or glyphs, so that nothing is lost without colour (`NO_COLOR`). The themes are
//! files in `assets/themes`, built in.

use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;

use super::rows::Kind;

/// Every theme there is: its name, and its file.
const THEMES: &[(&str, &str)] = &[
    ("dark", include_str!("../../assets/themes/dark.toml")),
    ("light", include_str!("../../assets/themes/light.toml")),
    ("high-contrast", include_str!("../../assets/themes/high-contrast.toml")),
    ("colour-blind", include_str!("../../assets/themes/colour-blind.toml")),
    ("16", include_str!("../../assets/themes/16.toml")),
];

/// The names of the themes.
pub fn names() -> impl Iterator<Item = &'static str> {
    THEMES.iter().map(|(name, _)| *name)
}

/// One style for each meaning.
#[derive(Debug, Clone)]
pub struct Theme {
    pub text: Style,
    pub dim: Style,
    /// Rules and borders.
    pub rule: Style,
    pub strong: Style,
    pub accent: Style,
    pub orphaned: Style,
    pub stuck: Style,
    pub waiting: Style,
    pub healthy: Style,
    /// Laid over the row the cursor is on.
    pub selected: Style,
    /// The button that `Enter` presses.
    pub pressed: Style,
    /// The line that says that the connection is lost.
    pub alarm: Style,
    /// False: the colours of an agent's screen are left out too.
    pub colour: bool,
}

/// A theme as its file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    text: String,
    dim: String,
    rule: String,
    strong: String,
    accent: String,
    orphaned: String,
    stuck: String,
    waiting: String,
    healthy: String,
    selected: String,
    pressed: String,
    alarm: String,
}

impl Theme {
    /// The theme of that name; without colour there is only one. `None`: there is no such theme.
    pub fn named(name: &str, colour: bool) -> Option<Self> {
        let (_, text) = THEMES.iter().find(|(known, _)| *known == name)?;
        let written: Written = toml::from_str(text).ok()?;
        if colour { Self::coloured(&written) } else { Some(Self::plain()) }
    }

    fn coloured(written: &Written) -> Option<Self> {
        Some(Self {
            text: style(&written.text)?,
            dim: style(&written.dim)?,
            rule: style(&written.rule)?,
            strong: style(&written.strong)?,
            accent: style(&written.accent)?,
            orphaned: style(&written.orphaned)?,
            stuck: style(&written.stuck)?,
            waiting: style(&written.waiting)?,
            healthy: style(&written.healthy)?,
            selected: style(&written.selected)?,
            pressed: style(&written.pressed)?,
            alarm: style(&written.alarm)?,
            colour: true,
        })
    }

    /// Weight alone.
    pub fn plain() -> Self {
        let (bold, dim) = (Style::new().add_modifier(Modifier::BOLD), Style::new().add_modifier(Modifier::DIM));
        let reversed = Style::new().add_modifier(Modifier::REVERSED);
        Self {
            text: Style::new(),
            dim,
            rule: dim,
            strong: bold,
            accent: bold,
            orphaned: bold,
            stuck: bold,
            waiting: bold,
            healthy: dim,
            selected: reversed,
            pressed: reversed,
            alarm: reversed,
            colour: false,
        }
    }

    /// The style of a verdict.
    pub const fn of(&self, kind: Kind) -> Style {
        match kind {
            Kind::Orphaned => self.orphaned,
            Kind::Waiting => self.waiting,
            Kind::Stuck => self.stuck,
            Kind::Healthy => self.healthy,
        }
    }
}

/// `255 on 238 bold`
fn style(text: &str) -> Option<Style> {
    let mut style = Style::new();
    let mut words = text.split_whitespace();
    while let Some(word) = words.next() {
        style = match word {
            "bold" => style.add_modifier(Modifier::BOLD),
            "dim" => style.add_modifier(Modifier::DIM),
            "underlined" => style.add_modifier(Modifier::UNDERLINED),
            "reversed" => style.add_modifier(Modifier::REVERSED),
            "on" => style.bg(colour(words.next()?)?),
            other => style.fg(colour(other)?),
        };
    }
    Some(style)
}

fn colour(word: &str) -> Option<Color> {
    // As ratatui names them, or by number, or `#rrggbb`.
    if word == "default" { Some(Color::Reset) } else { word.replace("bright-", "light-").parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_colour_means_none() {
        let plain = Theme::named("dark", false).unwrap();
        for style in [plain.text, plain.dim, plain.orphaned, plain.stuck, plain.selected, plain.pressed, plain.accent] {
            assert_eq!((style.fg, style.bg), (None, None));
        }
    }

    #[test]
    fn every_theme_can_be_read_and_tells_the_verdicts_apart() {
        for name in names() {
            let theme = Theme::named(name, true).unwrap_or_else(|| panic!("{name}"));
            let mut styles =
                [theme.orphaned, theme.stuck, theme.waiting, theme.healthy].map(|s| format!("{s:?}")).to_vec();
            styles.sort();
            styles.dedup();
            assert_eq!(styles.len(), 4, "{name}");
        }
        assert!(Theme::named("none", true).is_none());
    }

    #[test]
    fn a_style_is_a_colour_on_another_and_a_weight() {
        let expected = Style::new().fg(Color::Indexed(255)).bg(Color::Rgb(1, 2, 3)).add_modifier(Modifier::BOLD);
        assert_eq!(style("255 on #010203 bold"), Some(expected));
        assert_eq!(style("bright-red"), Some(Style::new().fg(Color::LightRed)));
        assert_eq!((style("mauve-ish"), style("on")), (None, None));
    }
}
