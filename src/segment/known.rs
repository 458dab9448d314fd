//! The facts of a sample, for doubts about it and about its neighbours.

use super::pose::Region;

/// The facts of a sample, open or closed.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// Index of the sample's container in the tray map.
    pub container: usize,
    /// The region that gave the sample its name.
    pub region: Option<Region>,
    /// Number of pixels on the sample.
    pub area: usize,
    /// First pixel, the one after the last, and the last row.
    pub extent: Option<(usize, usize, i64)>,
    pub closed: bool,
    /// Whether there are doubts about the sample.
    pub doubtful: bool,
}

impl Known {
    /// The facts of a sample before its first row.
    pub fn of(container: usize) -> Self {
        Self { container, ..Self::default() }
    }

    /// Adds the pixels `from..to` of a row.
    pub fn take_in(&mut self, row: i64, from: usize, to: usize) {
        self.area += to.saturating_sub(from);
        self.extent = Some(self.extent.map_or((from, to, row), |(a, b, _)| (a.min(from), b.max(to), row)));
    }
}
