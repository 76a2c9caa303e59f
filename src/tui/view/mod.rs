//! The state as a picture. One region, one file; views format what is there and decide nothing but places.
//!
//! ```text
//!   header                                      header
//!   (connection lost …)                         (connection lost …)
//!   table                                       table          │ screen
//!   ── name ─────────────── below 120 columns                  │
//!   screen, details, events or host                            ├─ details (from 160)
//!   (closing … / report)                        (closing … / report)
//!   foot                                        foot
//! ```

mod ascii;
pub mod columns;
pub mod details;
mod dialog;
mod events;
mod foot;
mod form;
mod header;
pub mod help;
mod host;
mod log;
mod menu;
mod paint;
mod palette;
mod panes;
pub mod regions;
pub mod report;
mod screen;
pub mod sweeping;
mod table;

use ratatui::Frame;

use super::app::{App, Mode};
use super::panes::Pane;
use regions::Regions;

/// Draws everything.
pub fn view(app: &App, frame: &mut Frame) {
    let regions = Regions::of(app).within(frame.area());
    header::draw(app, regions.header, frame.buffer_mut());
    if let Some(area) = regions.banner {
        header::draw_banner(app, area, frame.buffer_mut());
    }
    table::draw(app, regions.table, frame.buffer_mut());
    for pane in &regions.panes {
        match pane.pane {
            Pane::Table => {}
            Pane::Screen => screen::draw(app, pane, frame.buffer_mut()),
            Pane::Details => details::draw(app, pane, frame.buffer_mut()),
            Pane::Events => events::draw(app, pane, frame.buffer_mut()),
            Pane::Host => host::draw(app, pane, frame.buffer_mut()),
        }
    }
    if let Mode::Sweep(sweep) = &app.mode {
        sweeping::draw(app, sweep, frame.buffer_mut());
    } else {
        report::draw_strip(app, regions.strip, frame.buffer_mut());
    }
    let in_foot = foot::draw(app, regions.foot, frame.buffer_mut());
    let in_layer = match &app.mode {
        Mode::Table
        | Mode::Filter(_)
        | Mode::TypeLine { .. }
        | Mode::Answer { .. }
        | Mode::Search(_)
        | Mode::Sweep(_) => in_foot,
        Mode::Palette(palette) => {
            palette::draw(app, palette, regions.foot, frame.buffer_mut());
            in_foot
        }
        Mode::Menu(menu) => menu::draw(app, menu, frame),
        Mode::Confirm(confirm) => dialog::draw(app, confirm, frame),
        Mode::Form(form) => form::draw(app, form, frame),
        Mode::Help(help) => help::draw(app, help, frame),
        Mode::Log { scroll } => log::draw(app, *scroll, frame),
        Mode::Report { scroll } => report::draw_panel(app, *scroll, frame),
    };
    if app.options.is_ascii {
        ascii::reduce(frame.buffer_mut());
    }
    if let Some(position) = in_layer.filter(|p| frame.area().contains(*p)) {
        frame.set_cursor_position(position);
    }
}
