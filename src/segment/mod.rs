//! Segmentation: which pixels of the grid belong to which sample.

mod blobs;
mod doubts;
mod edges;
mod known;
mod layout;
mod matching;
mod naming;
mod passing;
mod pose;
mod rim;
mod stage;
#[cfg(test)]
mod tests;

pub use blobs::{Extent, regions};
pub use edges::{Picture, median};
pub use passing::Passage;
pub use stage::{Findings, Outline, Segment};

use crate::join::Row;
use crate::scan::Container;
use std::sync::Arc;

/// A sample that the segmentation found: the goods in one container.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Number of the sample within the scan, from 0, in the order of finding.
    pub number: u16,
    /// The container of the tray map that the sample was matched to.
    pub container: Container,
    /// Grid row of the cube's line 0.
    pub first_row: i64,
    /// Grid pixel of the cube's pixel 0.
    pub first_pixel: usize,
    /// Number of pixels of the cube across.
    pub width: usize,
    /// Width of the rim that is left out of the mask, mm.
    pub rim_mm: f64,
    /// Factor of each camera's values in the cube. The list is empty where no camera is levelled.
    pub levels: Vec<f32>,
}

/// The sample of each pixel of a grid row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mask {
    /// Label of each grid pixel: the sample's number + 1, or 0 outside of samples.
    pub labels: Vec<u16>,
}

/// One line of a sample's cube. It refers to a row of the grid.
#[derive(Debug, Clone)]
pub struct SampleRow {
    /// The sample.
    pub sample: Arc<Sample>,
    /// Line of the sample's cube.
    pub line: u32,
    /// The whole grid row.
    pub row: Arc<Row>,
    /// Labels of the whole grid row.
    pub mask: Arc<Mask>,
}

impl SampleRow {
    /// Writes the cube's line to `to`, `[pixel][band]`. Its length is `sample.width * bands`.
    pub fn write(&self, bands: usize, to: &mut [f32]) {
        let first = self.sample.first_pixel;
        self.row.write_levelled(first..first + self.sample.width, bands, &self.sample.levels, to);
    }

    /// Quality flags `[pixel]` of the cube's line.
    pub fn quality(&self) -> &[u8] {
        &self.row.quality[self.sample.first_pixel..self.sample.first_pixel + self.sample.width]
    }

    /// Whether pixel `pixel` of the cube's line lies on the sample.
    pub fn on_sample(&self, pixel: usize) -> bool {
        self.mask.labels[self.sample.first_pixel + pixel] == self.sample.number + 1
    }
}

/// The output of the segmentation.
///
/// Each sample is opened once. Its rows follow with rising line numbers and without a hole. Then it is closed once. Rows of samples
/// that lie beside each other alternate.
#[derive(Debug, Clone)]
pub enum SampleEvent {
    /// A sample begins.
    Open(Arc<Sample>),
    /// The next line of an open sample.
    Row(SampleRow),
    /// A sample is complete.
    Close {
        /// The sample.
        sample: Arc<Sample>,
        /// Number of lines of its cube.
        lines: u32,
        /// Doubts about the sample, in words. The list is empty where there are none.
        doubts: Vec<String>,
    },
}
