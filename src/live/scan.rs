//! The writers of one scan.

use super::{Door, GridTap, LedgerTap, LineTap, MineralTap, Tap, kind};
use crate::encode::Embedded;
use crate::join::Row;
use crate::scan::{iso, now_ns};
use crate::segment::{Sample, SampleEvent, SampleRow};
use serde_json::json;
use std::sync::Arc;

/// Messages that a door of outlines or light holds.
const MESSAGES: usize = 512;
/// Embeddings of a batch that are shown.
const SHOWN: usize = 4;

/// The writers of a scan. Its end is told when it is dropped.
#[derive(Debug)]
pub struct ScanTap {
    tap: Tap,
    grid: Option<GridTap>,
    outlines: Arc<Door>,
    samples: Arc<Door>,
}

/// The writers of one camera.
#[derive(Debug)]
pub struct CameraTap {
    /// Its picture.
    pub lines: LineTap,
    tap: Tap,
    light: Arc<Door>,
    camera: u8,
    stride: u64,
    due: u64,
}

/// The writer of embeddings.
#[derive(Debug)]
pub struct EmbeddingTap {
    tap: Tap,
    door: Arc<Door>,
}

impl ScanTap {
    pub(super) fn new(tap: Tap) -> Self {
        let (outlines, samples) = (tap.add_door(MESSAGES), tap.add_door(MESSAGES));
        let grid = tap.source("grid").and_then(|(at, source)| Some(GridTap::new(tap.clone(), u8::try_from(at).ok()?, source)));
        Self { tap, grid, outlines, samples }
    }

    /// The picture and the light of a camera. `None` for a camera that the scan was not told of.
    pub fn camera(&self, name: &str) -> Option<CameraTap> {
        let (at, source) = self.tap.source(name)?;
        let camera = u8::try_from(at).ok()?;
        let stride = u64::from(source.stride.max(1));
        let light = self.tap.add_door(MESSAGES);
        Some(CameraTap { lines: LineTap::new(self.tap.clone(), camera, source), tap: self.tap.clone(), light, camera, stride, due: 0 })
    }

    /// The ledger of a camera.
    pub fn ledger(&self, name: &str) -> Option<LedgerTap> {
        let (at, _) = self.tap.source(name)?;
        Some(LedgerTap::new(self.tap.clone(), u8::try_from(at).ok()?))
    }

    /// The writer of embeddings.
    pub fn embeddings(&self) -> EmbeddingTap {
        EmbeddingTap { tap: self.tap.clone(), door: self.tap.add_door(MESSAGES) }
    }

    /// The writer of minerals. `None` for a scan without a grid's picture.
    pub fn minerals(&self) -> Option<MineralTap> {
        let (_, grid) = self.tap.source("grid")?;
        Some(MineralTap::new(self.tap.clone(), &grid))
    }

    /// Adds a row of the grid, and its place along the tray, mm.
    pub fn row(&mut self, row: &Row, y_mm: f64) {
        if let Some(grid) = &mut self.grid {
            grid.row(row, y_mm);
        }
    }

    /// Adds what the segmentation found.
    pub fn sample_event(&self, event: &SampleEvent) {
        if !self.tap.watched() {
            return;
        }
        match event {
            SampleEvent::Open(sample) => self.sample(sample, false, &[]),
            SampleEvent::Row(row) => self.outline(row),
            SampleEvent::Close { sample, doubts, .. } => self.sample(sample, true, doubts),
        }
    }

    fn sample(&self, sample: &Sample, closed: bool, doubts: &[String]) {
        let json = json!({
            "number": sample.number, "sample": sample.container.sample, "container": sample.container.at, "first_row": sample.first_row,
            "first_pixel": sample.first_pixel, "width": sample.width, "closed": closed, "doubts": doubts,
        });
        let json = json.to_string();
        self.samples.tell(kind::SAMPLE, |body| body.extend_from_slice(json.as_bytes()));
    }

    fn outline(&self, row: &SampleRow) {
        if !self.grid.as_ref().is_some_and(|grid| grid.shows(row.row.index)) {
            return;
        }
        self.outlines.tell(kind::OUTLINE, |body| {
            body.extend_from_slice(&row.sample.number.to_le_bytes());
            let count_at = body.len();
            body.extend_from_slice(&[0; 2]);
            body.extend_from_slice(&row.row.index.to_le_bytes());
            let (mut runs, mut pixel) = (0_u16, 0);
            while pixel < row.sample.width {
                if !row.on_sample(pixel) {
                    pixel += 1;
                    continue;
                }
                let first = pixel;
                while pixel < row.sample.width && row.on_sample(pixel) {
                    pixel += 1;
                }
                let place = |pixel: usize| u16::try_from(row.sample.first_pixel + pixel).unwrap_or(u16::MAX).to_le_bytes();
                body.extend_from_slice(&place(first));
                body.extend_from_slice(&place(pixel - 1));
                runs += 1;
            }
            body[count_at..count_at + 2].copy_from_slice(&runs.to_le_bytes());
        });
    }
}

impl Drop for ScanTap {
    fn drop(&mut self) {
        self.tap.end(iso(now_ns()));
    }
}

impl CameraTap {
    /// Adds the light of a line on the white strip: the shares of groups of bands in the white reference's. Empty without a strip.
    pub fn light(&mut self, number: u64, y_mm: f64, shares: &[f64]) {
        if shares.is_empty() || number < self.due || !self.tap.watched() {
            return;
        }
        self.due = number + 8 * self.stride;
        let (sum, n) = shares.iter().filter(|share| share.is_finite()).fold((0.0, 0.0), |(sum, n), share| (sum + share, n + 1.0));
        #[expect(clippy::cast_possible_truncation, reason = "a share needs no more than f32")]
        let level = (sum / n) as f32;
        self.light.tell(kind::LIGHT, |body| {
            body.extend_from_slice(&[self.camera, 0, 0, 0]);
            body.extend_from_slice(&level.to_le_bytes());
            body.extend_from_slice(&y_mm.to_le_bytes());
        });
    }
}

impl EmbeddingTap {
    /// Adds a few rows of a batch.
    pub fn batch(&self, batch: &Embedded) {
        let (rows, dimensions) = (batch.rows.len(), batch.dimensions);
        let shown = rows.min(SHOWN);
        let (Ok(count), Ok(wide)) = (u16::try_from(shown), u16::try_from(dimensions)) else { return };
        if shown == 0 || !self.tap.watched() {
            return;
        }
        self.door.tell(kind::EMBEDDINGS, |body| {
            body.extend_from_slice(&count.to_le_bytes());
            body.extend_from_slice(&wide.to_le_bytes());
            for n in 0..shown {
                let row = &batch.rows[n * rows / shown];
                body.extend_from_slice(&row.sample.number.to_le_bytes());
                body.extend_from_slice(&[0; 2]);
                body.extend_from_slice(&row.x_mm.to_le_bytes());
                body.extend_from_slice(&row.y_mm.to_le_bytes());
            }
            for n in 0..shown {
                let at = n * rows / shown * dimensions;
                batch.embeddings[at..at + dimensions].iter().for_each(|value| body.extend_from_slice(&value.to_le_bytes()));
            }
        });
    }
}
