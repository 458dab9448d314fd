//! The stage that turns sample events into minerals.

use super::desk::Desk;
use super::found::{About, Found, Place, Reader};
use crate::context::ScanContext;
use crate::identify::Identifier;
use crate::scan::Quality;
use crate::segment::{Sample, SampleEvent, SampleRow};
use std::sync::Arc;

/// What was found in a row of a sample.
#[derive(Debug)]
pub struct Identified<'a> {
    /// The sample.
    pub sample: &'a Sample,
    /// Row of the grid.
    pub row: i64,
    /// The judged pixels, counted from the sample's first one.
    pub pixels: &'a [u32],
    /// Winner of each, `[group][pixel]`.
    pub winner: [&'a [u16]; 2],
}

/// Identifies the minerals of every sample, while its lines come.
#[derive(Debug)]
pub struct Identify {
    reader: Reader,
    about: Arc<About>,
    context: Arc<ScanContext>,
    desk: Arc<Desk>,
    open: Vec<Found>,
}

impl Identify {
    /// A stage for one scan.
    pub fn new(identifier: Arc<Identifier>, about: Arc<About>, context: Arc<ScanContext>, desk: Arc<Desk>) -> Self {
        let reader = Reader::new(identifier, context.axes.bands());
        Self { reader, about, context, desk, open: Vec::new() }
    }

    /// Takes the next sample event. `seen` sees each row that was judged. A complete sample goes to the desk, and to `out`.
    pub fn process(&mut self, event: &SampleEvent, seen: &mut dyn FnMut(&Identified<'_>), out: &mut dyn FnMut(Arc<Found>)) {
        match event {
            SampleEvent::Open(sample) => {
                // Deferred samples get no further event.
                self.open.retain(|found| !self.desk.is_deferred(found.sample.number));
                let pixels = (sample.first_pixel..sample.first_pixel + sample.width).map(|pixel| self.context.axes.x_mm(pixel));
                self.open.push(Found::new(sample, &self.about, pixels.collect()).counted(self.desk.budget()));
            }
            SampleEvent::Row(row) => self.row(row, seen),
            SampleEvent::Close { sample, .. } => {
                let at = self.open.iter().position(|found| found.sample.number == sample.number);
                at.map(|at| self.open.swap_remove(at)).and_then(|found| self.desk.give(found)).into_iter().for_each(out);
            }
        }
    }

    fn row(&mut self, row: &SampleRow, seen: &mut dyn FnMut(&Identified<'_>)) {
        let number = row.sample.number;
        let Some(at) = self.open.iter().position(|found| found.sample.number == number) else { return };
        if self.desk.is_deferred(number) {
            self.open.swap_remove(at);
            return;
        }
        let axes = &self.context.axes;
        let place = Place { line: row.line, y_mm: axes.y_mm(row.row.index), time_ns: row.row.time_ns };
        let (quality, first, bands) = (row.quality(), row.sample.first_pixel, axes.bands());
        let takes = |pixel: usize| row.on_sample(pixel) && Quality::valid(quality[pixel]);
        let write = |pixels: std::ops::Range<usize>, to: &mut [f32]| {
            row.row.write_levelled(first + pixels.start..first + pixels.end, bands, &row.sample.levels, to);
        };
        let before = self.open[at].len();
        self.reader.line(place, quality, takes, write, &mut self.open[at]);
        let found = &self.open[at];
        seen(&Identified {
            sample: &row.sample,
            row: row.row.index,
            pixels: &found.pixel[before..],
            winner: [0, 1].map(|group: usize| &found.minerals.winner[group][before..]),
        });
        if !self.open[at].count() {
            self.desk.defer(number, "what is identified of the open samples needs more memory than minerals.max_memory_mib");
            self.open.swap_remove(at);
        }
    }
}
