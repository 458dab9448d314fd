//! Figures as SVG, for a page or for files.
//!
//! Coordinates are CSS pixels. A figure fetches nothing. Its images are inside as PNG, and its text uses the reader's sans serif font.

mod accuracy;
mod chart;
mod confusion;
mod dendrogram;
mod heat;
mod map;
mod measured;
pub mod palette;
mod panel;
mod scale;

pub use accuracy::{AccuracyRow, accuracies};
pub use chart::{Chart, Series, bars, line_chart};
pub use confusion::confusion;
pub use dendrogram::{Chips, dendrogram};
pub use heat::{HeatGroup, HeatPart, heat};
pub use map::map;
pub use measured::{Dot, measured};
pub use panel::{Figure, Panel, grid, legend, stacked, titled};
