//! The memory and the room for native lines that a configuration implies.

use super::{CameraConfig, Config};

/// Memory of a scan, bytes. It does not depend on the scan's length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Frame pools.
    pub pools: u64,
    /// Rows of leading cameras that wait for the trailing camera, and lines of turned cameras.
    pub waiting: u64,
    /// Rows that the segmentation holds back.
    pub segment: u64,
    /// Queues between stages.
    pub queues: u64,
    /// Chunks of open sample files, their parts that wait for hashing, and batches of the encoder.
    pub chunks: u64,
    /// What is identified of open samples, with `[minerals]`.
    pub minerals: u64,
    /// Lines on their way to the cameras' own grids, with `store.native`.
    pub native: u64,
}

impl Memory {
    /// The sum, bytes.
    pub fn total(&self) -> u64 {
        [self.pools, self.waiting, self.segment, self.queues, self.chunks, self.minerals, self.native]
            .into_iter()
            .fold(0, u64::saturating_add)
    }
}

impl Config {
    /// Distance scanned before and after the tray, mm: `scan.margin_mm`, and what the yaw of a camera takes from it.
    pub fn margin_mm(&self) -> f64 {
        self.scan.margin_mm + self.camera.iter().map(CameraConfig::yaw_reach_mm).fold(0.0, f64::max)
    }

    /// Memory that a scan with this configuration needs. Shapes come from the configuration, or from a recording where one exists.
    pub fn memory(&self) -> Memory {
        let pools = self.pools().iter().fold(0_u64, |sum, pool| sum.saturating_add(pool.bytes));
        Memory { pools, ..self.memory_beside_pools() }
    }

    /// The same without the frame pools.
    pub(super) fn memory_beside_pools(&self) -> Memory {
        let shapes = self.shapes();
        let width = self.across_mm() / self.grid.pixel_mm;
        let most = self.camera.iter().map(|c| c.offset_mm).fold(f64::NEG_INFINITY, f64::max);
        let sum = |some: &mut dyn Iterator<Item = u64>| some.fold(0, u64::saturating_add);
        let size = |factors: &[usize]| factors.iter().fold(1_u64, |product, factor| product.saturating_mul(*factor as u64));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "an estimate")]
        let rows = |mm: f64, bands: usize| (mm / self.grid.pixel_mm * width * bands as f64 * 4.0) as u64;
        // A turned camera keeps the lines of its yaw's span.
        let kept = |c: &CameraConfig, bands: usize| {
            let line_mm = self.conveyor.speed_mm_per_s / c.frame_rate_hz;
            rows(2.0 * c.yaw_reach_mm() * self.grid.pixel_mm / line_mm, bands)
        };
        let held = |c: &CameraConfig, bands: usize| rows(most - c.offset_mm, bands).saturating_add(kept(c, bands));
        let waiting = sum(&mut self.camera.iter().zip(&shapes).map(|(c, (_, bands))| held(c, *bands)));
        let bands = shapes.iter().fold(0, |sum: usize, shape| sum.saturating_add(shape.1));
        let s = &self.segment;
        let pixels = shapes.iter().zip(&self.camera).map(|((pixels, _), camera)| (*pixels, camera.frame_rate_hz));
        let hold = s.margin_mm + s.close_mm + s.lookahead_mm + s.rim_mm(self.coarsest_mm(pixels));
        let queues = 200.0 * self.grid.pixel_mm;
        let native = if self.store.native { sum(&mut shapes.iter().map(|(px, bands)| native_memory(size(&[*px, *bands, 4])))) } else { 0 };
        let chunks = 64 << 20;
        let minerals = self.minerals.as_ref().map_or(0, |minerals| minerals.max_memory_mib.saturating_mul(1 << 20));
        Memory { pools: 0, waiting, segment: rows(hold, bands), queues: rows(queues, bands), chunks, minerals, native }
    }

    /// The coarsest pixel that a value of the grid mixes, mm: of the cameras across and along the belt, and of the grid. `cameras` has the
    /// pixels of a line of each camera, and its lines per second.
    #[expect(clippy::cast_precision_loss, reason = "pixels of a line")]
    pub fn coarsest_mm(&self, cameras: impl Iterator<Item = (usize, f64)>) -> f64 {
        let across = |camera: &CameraConfig, pixels: usize| camera.field_of_view_mm / pixels.max(1) as f64;
        let pixel = |(camera, (pixels, rate_hz))| across(camera, pixels).max(self.conveyor.speed_mm_per_s / rate_hz);
        self.camera.iter().zip(cameras).map(pixel).fold(self.grid.pixel_mm, f64::max)
    }

    /// Disk space for waiting native lines during a scan, bytes; 0 where they are not stored. A camera's lines wait until the last camera
    /// and the segmentation have passed.
    pub fn native_disk(&self) -> u64 {
        if !self.store.native {
            return 0;
        }
        let most = self.camera.iter().map(|c| c.offset_mm).fold(f64::NEG_INFINITY, f64::max);
        let s = &self.segment;
        let trailing_mm = s.margin_mm + s.close_mm + s.lookahead_mm + 200.0 * self.grid.pixel_mm;
        let camera = |(camera, (px, bands)): (&CameraConfig, (usize, usize))| {
            let line_mm = self.conveyor.speed_mm_per_s / camera.frame_rate_hz;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate")]
            let lines = ((most - camera.offset_mm + trailing_mm) / line_mm) as u64;
            let line = (px as u64).saturating_mul(bands as u64).saturating_mul(4).saturating_add(px as u64);
            lines.saturating_mul(line)
        };
        self.camera.iter().zip(self.shapes()).map(camera).fold(0, u64::saturating_add)
    }
}

/// Number of samples side by side, for the memory estimate.
const BESIDE: u64 = 8;

/// Memory for native lines of `line` bytes: two lines for reading, and open chunks of the samples side by side.
fn native_memory(line: u64) -> u64 {
    line.saturating_mul(2).saturating_add(line.max(1 << 20).saturating_mul(BESIDE))
}
