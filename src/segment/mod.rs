//! Which pixels belong to which sample.

mod blobs;
mod doubts;
mod edges;
mod layout;
mod matching;
mod naming;
mod pose;
mod rim;
mod slip;
mod stage;
#[cfg(test)]
mod tests;

pub use blobs::{Extent, regions};
pub use edges::{Picture, median};
pub use slip::{Passage, SlipGate};
pub use stage::{Findings, Outline, Segment};

use crate::join::Row;
use crate::scan::Container;
use std::sync::Arc;

/// A sample as the segmentation found it: what lies in one container.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Order of finding within the scan, from 0.
    pub number: u16,
    /// The container of the tray map it was matched to.
    pub container: Container,
    /// Grid row of the cube's line 0.
    pub first_row: i64,
    /// Grid pixel of the cube's pixel 0.
    pub first_pixel: usize,
    /// Pixels across of the cube.
    pub width: usize,
}

/// Which sample each pixel of a grid row lies on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mask {
    /// For each grid pixel: 0 outside, else the sample's number + 1.
    pub labels: Vec<u16>,
}

/// One line of a sample's cube: a window into a row of the grid.
#[derive(Debug, Clone)]
pub struct SampleRow {
    /// The sample.
    pub sample: Arc<Sample>,
    /// Line of the sample's cube.
    pub line: u32,
    /// The whole grid row.
    pub row: Arc<Row>,
    /// The whole row's labels.
    pub mask: Arc<Mask>,
}

impl SampleRow {
    /// Writes the cube's line, `[pixel][band]`, to `to`, which has room for `sample.width` pixels.
    pub fn write(&self, bands: usize, to: &mut [f32]) {
        let first = self.sample.first_pixel;
        self.row.write(first..first + self.sample.width, bands, to);
    }

    /// The quality flags of the cube's line.
    pub fn quality(&self) -> &[u8] {
        &self.row.quality[self.sample.first_pixel..self.sample.first_pixel + self.sample.width]
    }

    /// Whether pixel `pixel` of the cube's line lies on the sample.
    pub fn on_sample(&self, pixel: usize) -> bool {
        self.mask.labels[self.sample.first_pixel + pixel] == self.sample.number + 1
    }
}

/// What the segmentation gives, in order: each sample is opened once, its rows follow with rising line numbers and no hole, and
/// it is closed once. Rows of samples that lie beside each other alternate.
#[derive(Debug, Clone)]
pub enum SampleEvent {
    /// A sample begins.
    Open(Arc<Sample>),
    /// Its next line.
    Row(SampleRow),
    /// It is complete.
    Close {
        /// The sample.
        sample: Arc<Sample>,
        /// Lines of its cube.
        lines: u32,
        /// What is doubtful about it, in words, empty where nothing is.
        doubts: Vec<String>,
    },
}
