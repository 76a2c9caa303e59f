//! The picture for a terminal that has no signs beyond ASCII: each sign as the nearest one it has.

use ratatui::buffer::Buffer;

/// Replaces every sign that such a terminal would spoil.
pub fn reduce(buffer: &mut Buffer) {
    for cell in &mut buffer.content {
        if !cell.symbol().is_ascii() {
            let sign = cell.symbol().chars().next().map_or(' ', nearest);
            cell.set_char(sign);
        }
    }
}

const fn nearest(c: char) -> char {
    match c {
        '✖' | '×' => 'x',
        '◐' => '!',
        '●' | '•' => 'o',
        '▸' | '▹' | '❯' | '→' => '>',
        '▾' | '↓' => 'v',
        '▴' | '↑' => '^',
        '·' | '…' | '▂' | '▃' => '.',
        '─' | '━' | '–' => '-',
        '│' => '|',
        '✔' | '┌' | '┐' | '└' | '┘' | '├' => '+',
        '“' | '”' => '"',
        '▁' => '_',
        '▄' | '▅' => ':',
        '▆' | '▇' | '█' => '#',
        // Who waits (◇) too: a question.
        _ => '?',
    }
}
