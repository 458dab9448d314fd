//! Figures as SVG, to stand inside a page or in a file of their own.
//!
//! Coordinates are CSS pixels. Nothing is fetched: images are inside as PNG, and text is set in whatever sans serif the reader has.

mod accuracy;
mod chart;
mod confusion;
mod dendrogram;
mod heat;
mod map;
pub mod palette;
mod panel;
mod scale;

pub use accuracy::{AccuracyRow, accuracies};
pub use chart::{Chart, Series, bars, line_chart};
pub use confusion::confusion;
pub use dendrogram::{Chips, dendrogram};
pub use heat::{HeatGroup, HeatPart, heat};
pub use map::map;
pub use panel::{Figure, Panel, grid, legend, stacked, titled};
