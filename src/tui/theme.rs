//! The colours: grey for what is calm, colour for what needs a person, one accent for the selection.
//!
//! Every meaning also stands in words or glyphs, so that nothing is lost without colour (`NO_COLOR`).

use ratatui::style::{Color, Modifier, Style};

use super::rows::Kind;

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

impl Theme {
    pub fn new(colour: bool) -> Self {
        if colour { Self::coloured() } else { Self::plain() }
    }

    fn coloured() -> Self {
        let ink = |index| Style::new().fg(Color::Indexed(index));
        Self {
            text: Style::new(),
            dim: ink(245),
            rule: ink(239),
            strong: Style::new().fg(Color::Reset).add_modifier(Modifier::BOLD),
            accent: ink(80),
            orphaned: ink(203),
            stuck: ink(214),
            waiting: ink(75),
            healthy: ink(65),
            selected: Style::new().fg(Color::Indexed(255)).bg(Color::Indexed(238)),
            pressed: Style::new().fg(Color::Indexed(16)).bg(Color::Indexed(80)),
            alarm: Style::new().fg(Color::Indexed(255)).bg(Color::Indexed(88)),
            colour: true,
        }
    }

    fn plain() -> Self {
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

#[cfg(test)]
mod tests {
    use super::Theme;

    #[test]
    fn no_colour_means_none() {
        let plain = Theme::new(false);
        for style in [plain.text, plain.dim, plain.orphaned, plain.stuck, plain.selected, plain.pressed, plain.accent] {
            assert_eq!((style.fg, style.bg), (None, None));
        }
    }
}
