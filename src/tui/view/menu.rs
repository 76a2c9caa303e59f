//! A short list to choose from.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};

use super::super::app::App;
use super::super::format;
use super::super::menu::Menu;
use super::paint;

pub fn draw(app: &App, menu: &Menu, frame: &mut Frame) -> Option<Position> {
    let theme = &app.theme;
    let widest = menu.items.iter().map(|item| format::width(&item.label)).max().unwrap_or(0).max(24);
    let height = u16::try_from(menu.items.len()).unwrap_or(u16::MAX).saturating_add(2);
    let area = frame.area();
    let buffer = frame.buffer_mut();
    let inner = paint::window(buffer, area, (widest + 8, height), &menu.title, theme);
    let first = (menu.at + 1).saturating_sub(usize::from(inner.height));
    for (y, (index, item)) in (inner.y..inner.bottom()).zip(menu.items.iter().enumerate().skip(first)) {
        let line = Line::from(vec![
            Span::styled(format!("{}  ", item.key), theme.accent),
            Span::styled(format::cut(&item.label, inner.width.saturating_sub(3)), theme.text),
        ]);
        let at = Rect { y, height: 1, ..inner };
        paint::line(buffer, at, &line);
        if index == menu.at {
            buffer.set_style(at, theme.selected);
        }
    }
    None
}
