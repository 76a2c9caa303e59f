//! A terminal screen as a picture: what `tmux capture-pane -ep` prints, as SVG.
//!
//! ```text
//! cargo run --example picture 80 24 <screen >screen.svg
//! ```

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::num::NonZeroU16;

const WIDTH: u16 = 9;
const HEIGHT: u16 = 18;
const BACK: &str = "#121418";
const FRONT: &str = "#d0d0d0";
/// The sixteen of a terminal (the rest is reckoned).
const NAMED: [&str; 16] = [
    "#2e3436", "#cc3b3b", "#5fae4b", "#c4a000", "#4a7fc1", "#8f62a8", "#2aa1a1", "#d3d7cf", "#6b6f6b", "#ef5350",
    "#8ae234", "#fce94f", "#82b1ff", "#c792c7", "#5ce1e1", "#ffffff",
];

/// What cells that are drawn together have in common.
#[derive(PartialEq, Clone)]
struct Look {
    front: String,
    back: Option<String>,
    is_bold: bool,
    is_dim: bool,
}

fn main() -> std::io::Result<()> {
    let mut sizes = std::env::args().skip(1).filter_map(|word| word.parse::<NonZeroU16>().ok());
    let (Some(cols), Some(rows)) = (sizes.next(), sizes.next()) else {
        return Err(std::io::Error::other("usage: picture COLUMNS ROWS <screen >screen.svg"));
    };
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let mut parser = vt100::Parser::new(rows, cols, 0);
    parser.process(text.trim_end_matches('\n').replace('\n', "\r\n").as_bytes());
    std::io::stdout().write_all(svg(parser.screen(), cols.get(), rows.get()).as_bytes())
}

fn svg(screen: &vt100::Screen, cols: u16, rows: u16) -> String {
    let (width, height) = (cols * WIDTH, rows * HEIGHT);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"DejaVu Sans Mono, Menlo, \
         Consolas, monospace\" font-size=\"15\" xml:space=\"preserve\">\n<rect width=\"{width}\" height=\"{height}\" fill=\"{BACK}\"/>\n"
    );
    for row in 0..rows {
        for (col, count, look, text) in runs(screen, row, cols) {
            draw(&mut out, (row, col, count), &look, &text);
        }
    }
    out + "</svg>\n"
}

/// Cells beside each other that look alike.
fn runs(screen: &vt100::Screen, row: u16, cols: u16) -> Vec<(u16, u16, Look, String)> {
    let mut runs: Vec<(u16, u16, Look, String)> = Vec::new();
    for col in 0..cols {
        let Some(cell) = screen.cell(row, col) else { continue };
        let (look, text) = (look(cell), if cell.has_contents() { cell.contents() } else { " " });
        match runs.last_mut() {
            Some(last) if cell.is_wide_continuation() => last.1 += 1,
            // What is not of one column and ASCII stands alone, so that no font moves what follows.
            Some((_, count, same, so_far)) if *same == look && text.is_ascii() && so_far.is_ascii() => {
                *count += 1;
                so_far.push_str(text);
            }
            _ => runs.push((col, 1, look, text.to_string())),
        }
    }
    runs
}

fn look(cell: &vt100::Cell) -> Look {
    let (front, back) = (colour(cell.fgcolor()), colour(cell.bgcolor()));
    let (front, back) = if cell.inverse() {
        (back.unwrap_or(BACK.into()), front.or(Some(FRONT.into())))
    } else {
        (front.unwrap_or(FRONT.into()), back)
    };
    Look { front, back, is_bold: cell.bold(), is_dim: cell.dim() }
}

fn colour(colour: vt100::Color) -> Option<String> {
    match colour {
        vt100::Color::Default => None,
        vt100::Color::Rgb(r, g, b) => Some(format!("#{r:02x}{g:02x}{b:02x}")),
        vt100::Color::Idx(n @ 0..16) => Some(NAMED[usize::from(n)].into()),
        vt100::Color::Idx(n @ 232..) => Some(format!("#{0:02x}{0:02x}{0:02x}", 8 + (n - 232) * 10)),
        vt100::Color::Idx(n) => {
            let step = |n: u8| if n == 0 { 0 } else { 55 + n * 40 };
            let n = n - 16;
            Some(format!("#{:02x}{:02x}{:02x}", step(n / 36), step(n / 6 % 6), step(n % 6)))
        }
    }
}

/// Writing to a String cannot fail.
fn draw(out: &mut String, (row, col, count): (u16, u16, u16), look: &Look, text: &str) {
    let (x, y, width) = (col * WIDTH, row * HEIGHT, count * WIDTH);
    if let Some(back) = &look.back {
        let _ = writeln!(out, "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{HEIGHT}\" fill=\"{back}\"/>");
    }
    if text.trim().is_empty() {
        return;
    }
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let bold = if look.is_bold { " font-weight=\"bold\"" } else { "" };
    let dim = if look.is_dim { " opacity=\"0.6\"" } else { "" };
    let y = y + 14;
    let _ = writeln!(
        out,
        "<text x=\"{x}\" y=\"{y}\" textLength=\"{width}\" lengthAdjust=\"spacingAndGlyphs\" fill=\"{}\"{bold}{dim}>{text}</text>",
        look.front
    );
}
