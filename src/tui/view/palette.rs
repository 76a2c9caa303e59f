//! What the word being typed into the palette could become, above the foot.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Widget};

use super::super::app::App;
use super::super::keymap::BINDINGS;
use super::super::palette::Palette;
use super::super::update::keys;
use super::paint;

/// More are counted.
const MOST: usize = 8;
/// Columns of the words.
const WORD: usize = 14;

pub fn draw(app: &App, palette: &Palette, foot: Rect, buffer: &mut Buffer) {
    let theme = &app.theme;
    let candidates = palette.candidates(app.options.readonly);
    let mut lines: Vec<Line<'static>> = candidates
        .iter()
        .take(MOST)
        .map(|c| {
            let action = BINDINGS.iter().map(|b| b.action).find(|action| action.word() == c.word);
            let acts = action.is_none_or(|action| keys::refusal(app, action).is_none());
            let word = Span::styled(format!(" {:<WORD$}", c.word), if acts { theme.accent } else { theme.dim });
            Line::from(vec![word, Span::styled(c.help, theme.dim)])
        })
        .collect();
    if candidates.len() > MOST {
        lines.push(Line::styled(format!(" and {} more", candidates.len() - MOST), theme.dim));
    }
    let height = u16::try_from(lines.len()).unwrap_or(0).min(foot.y);
    if height == 0 || foot.is_empty() {
        return;
    }
    // One thin rule parts it from what it lies on.
    let rule = Rect { y: (foot.y - height).saturating_sub(1), height: 1, ..foot };
    let area = Rect { y: foot.y - height, height, ..foot };
    Clear.render(area.union(rule), buffer);
    paint::rule(buffer, rule, &Line::default(), theme.rule);
    for (y, line) in (area.y..area.bottom()).zip(&lines) {
        paint::line(buffer, Rect { y, height: 1, ..area }, line);
    }
}
