//! What the live tap says of a scan before its first line.

use super::build::{ScanSetup, tray_length_mm};
use crate::devices::CameraUnit;
use crate::join::Axes;
use crate::live::{About, AboutContainer, AboutGrid, Source, SourceKind, rgb};
use crate::scan::iso;

/// Most pixels of a camera's picture on the live tap.
const MOST_PIXELS: usize = 512;
/// Most pixels of the grid's picture on the live tap.
const MOST_GRID_PIXELS: usize = 1024;
/// Most rows of a picture on the live tap in a second.
const MOST_ROWS_HZ: f64 = 100.0;

/// Lines for one row of a picture.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the quotient is clamped")]
fn stride(rate_hz: f64) -> u32 {
    (rate_hz / MOST_ROWS_HZ).ceil().clamp(1.0, 1000.0) as u32
}

impl ScanSetup<'_> {
    /// What the live tap says of the scan. `minerals` are the names by their codes.
    #[expect(clippy::cast_precision_loss, reason = "few pixels are merged")]
    pub(super) fn about(&self, cameras: &[CameraUnit], axes: &Axes, minerals: &[String]) -> About {
        let of_camera = |unit: &CameraUnit| {
            let (view, pixels) = (self.view(unit), unit.about.layout.pixels);
            let merged = pixels.div_ceil(MOST_PIXELS);
            Source {
                name: unit.config.name.clone(),
                kind: SourceKind::Camera,
                pixels: pixels.div_ceil(merged),
                detector_pixels: pixels,
                merged,
                stride: stride(unit.exposure.frame_rate_hz),
                wavelengths_nm: unit.about.wavelengths_nm.clone(),
                full_scale_counts: unit.about.saturation,
                left_mm: view.shift_mm,
                pixel_mm: view.pixel_mm() * merged as f64,
                rgb: rgb(&unit.about.wavelengths_nm),
            }
        };
        let merged = axes.width.div_ceil(MOST_GRID_PIXELS);
        let grid = Source {
            name: "grid".into(),
            kind: SourceKind::Grid,
            pixels: axes.width.div_ceil(merged),
            detector_pixels: axes.width,
            merged,
            stride: stride(self.loaded.config.conveyor.speed_mm_per_s.abs() / axes.pixel_mm),
            wavelengths_nm: axes.wavelengths_nm.clone(),
            full_scale_counts: None,
            left_mm: axes.x0_mm - axes.pixel_mm / 2.0,
            pixel_mm: axes.pixel_mm * merged as f64,
            rgb: rgb(&axes.wavelengths_nm),
        };
        let placed = self.tray.containers.iter().filter_map(|container| {
            let place = container.footprint?;
            Some(AboutContainer {
                at: container.at.clone(),
                sample: container.sample.clone(),
                x_mm: place.x_mm,
                y_mm: place.y_mm,
                width_mm: place.width_mm,
                length_mm: place.length_mm,
                round: place.round,
            })
        });
        About {
            scan: self.scan_id.clone(),
            tray: self.tray.tray.clone(),
            started: iso(self.start_ns),
            ended: None,
            length_mm: tray_length_mm(&self.loaded.config, &self.tray).ok(),
            grid: AboutGrid { pixel_mm: axes.pixel_mm, x0_mm: axes.x0_mm, width: axes.width, wavelengths_nm: axes.wavelengths_nm.clone() },
            sources: cameras.iter().map(of_camera).chain([grid]).collect(),
            containers: placed.collect(),
            minerals: minerals.to_vec(),
        }
    }
}
