//! Rows of minerals, as they were identified.

use super::{Door, Source, Tap, kind};
use crate::minerals::Identified;
use std::sync::Arc;

/// Messages that the door holds: some seconds of three samples side by side.
const MESSAGES: usize = 1024;
/// The byte of a pixel that was not judged.
const NOT_JUDGED: u8 = 255;
/// The byte of a mineral whose code needs more than a byte.
const OTHER: u8 = 254;

/// Writes the minerals of every n-th row of a sample to the tap.
#[derive(Debug)]
pub struct MineralTap {
    tap: Tap,
    door: Arc<Door>,
    /// Rows of the grid for one that is shown.
    stride: i64,
    /// Pixels of the grid for one that is shown.
    merged: usize,
}

impl MineralTap {
    /// A writer beside the picture `grid`.
    pub(super) fn new(tap: Tap, grid: &Source) -> Self {
        let door = tap.add_door(MESSAGES);
        Self { tap, door, stride: i64::from(grid.stride.max(1)), merged: grid.merged.max(1) }
    }

    /// Adds what was found in a row of a sample.
    pub fn row(&self, found: &Identified<'_>) {
        if !self.tap.watched() || found.row.rem_euclid(self.stride) != 0 {
            return;
        }
        let (sample, merged) = (found.sample, self.merged);
        let (first, end) = (sample.first_pixel.div_ceil(merged), (sample.first_pixel + sample.width).div_ceil(merged));
        let shown = end - first;
        self.door.tell(kind::MINERALS, |body| {
            let short = |number: usize| u16::try_from(number).unwrap_or(u16::MAX).to_le_bytes();
            body.extend_from_slice(&sample.number.to_le_bytes());
            body.extend_from_slice(&short(first));
            body.extend_from_slice(&short(shown));
            body.extend_from_slice(&[0; 2]);
            body.extend_from_slice(&found.row.to_le_bytes());
            let start = body.len();
            body.resize(start + 2 * shown, NOT_JUDGED);
            for (at, pixel) in found.pixels.iter().enumerate() {
                let place = sample.first_pixel + *pixel as usize;
                if place.is_multiple_of(merged) {
                    for (group, winner) in found.winner.iter().enumerate() {
                        body[start + group * shown + place / merged - first] = u8::try_from(winner[at]).unwrap_or(OTHER).min(OTHER);
                    }
                }
            }
        });
    }
}
