//! What one recorded camera sees of the containers on a tray, each camera by itself.

use super::play::{Recorded, play};
use crate::acquire::Acquired;
use crate::calibrate::{Calibrate, Line, of_range};
use crate::config::Loaded;
use crate::data_root::{Capture, ProcessError};
use crate::devices::references::calibration;
use crate::rectify::{CameraRow, PixelWeights, Rectify, Yaw};
use crate::reference::LowSignal;
use crate::segment::{Picture, regions};

/// Margin around a container in which its edges are searched, pixels.
const EDGE_MARGIN: usize = 6;
/// Share of the bands at each end of a camera's range.
const END_SHARE: usize = 10;

/// The containers that a camera sees.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct View {
    /// The containers.
    pub seen: Vec<Seen>,
    /// Pixels of a line.
    pub pixels: usize,
    /// Distance of the ends of the range, as a share of the camera's bands.
    pub range: f64,
    /// Mean speed of the belt, mm/s. `None` where the recording has no places and times of lines.
    pub speed_mm_per_s: Option<f64>,
}

impl View {
    /// Centres of the containers, mm across and along.
    pub fn centres(&self) -> Vec<(f64, f64)> {
        self.seen.iter().map(|seen| seen.centre).collect()
    }
}

/// A container as a camera sees it, mm on the tray.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Seen {
    /// Its centre across and along.
    pub centre: (f64, f64),
    /// Its place across in the last tenth of the bands, minus that in the first. `None` where they show no edges.
    pub keystone_mm: Option<f64>,
}

/// Approximate number of bands of a picture.
const PICTURE_BANDS: usize = 24;

/// The containers by the configured geometry of a camera.
#[expect(clippy::cast_precision_loss, reason = "places in a picture")]
pub(super) fn view(loaded: &Loaded, capture: &Capture) -> Result<View, ProcessError> {
    let config = &loaded.config;
    let mut recorded = Recorded::open(loaded, std::slice::from_ref(capture))?;
    let (unit, places) = &mut recorded.cameras[0];
    let calibration = std::sync::Arc::new(calibration(unit).map_err(crate::pipeline::build::BuildError::from)?);
    let description = unit.about.clone();
    let layout = description.layout;
    let of = unit.config.clone();
    let view = crate::pipeline::build::view(&of, layout.pixels, config.scan.tray_height_mm);
    let pixel_mm = config.grid.pixel_mm;
    let (left_mm, right_mm) = config.lamps.beside_strip(view.shift_mm, view.shift_mm + view.field_of_view_mm);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a belt is not wider than 2^32 pixels")]
    let width = (((right_mm - left_mm) / pixel_mm) as usize).max(1);
    let x0_mm = left_mm + pixel_mm / 2.0;
    let mut calibrate = Calibrate::new(layout, calibration, description.saturation, LowSignal::default())
        .of_bands(&unit.used)
        .with_keystone(crate::pipeline::build::keystone(unit));
    let weights = PixelWeights::new(view, x0_mm, pixel_mm, width);
    let yaw = Yaw::new(of.correction.yaw_deg, view, x0_mm, pixel_mm, &weights);
    let mut rectify =
        Rectify::new(weights, layout.bands, pixel_mm, config.conveyor.speed_mm_per_s / unit.exposure.frame_rate_hz).with_yaw(yaw);

    let (mut pictures, mut first_row) = ([0; 3].map(|_| Picture::new(width)), None);
    let end = layout.bands.div_ceil(END_SHARE);
    let looked: [Vec<usize>; 3] = [0..layout.bands, 0..end, layout.bands - end..layout.bands]
        .map(|bands| bands.clone().step_by((bands.len() / PICTURE_BANDS).max(1)).collect());
    let mut keep = |row: CameraRow| {
        first_row.get_or_insert(row.index);
        let values = row.values();
        for (picture, bands) in pictures.iter_mut().zip(&looked) {
            for pixel in 0..width {
                let some = bands.iter().map(|band| values.at(pixel * layout.bands + band));
                let (sum, n) = some.filter(|value| value.is_finite()).fold((0.0_f32, 0.0_f32), |(sum, n), value| (sum + value, n + 1.0));
                picture.push(sum / n);
            }
        }
    };
    let mut placed: Option<[(i64, f64); 2]> = None;
    play(loaded, unit, std::mem::take(places), |item| match item {
        Acquired::Line(stamp, frame) => {
            if let Some(mm) = frame.info.position_mm {
                let now = (stamp.time_ns, mm);
                placed = Some([placed.map_or(now, |[first, _]| first), now]);
            }
            rectify.process(calibrate.process(Line::new(stamp, frame)), &mut keep);
        }
        Acquired::Gap(gap) => rectify.gap(gap),
    })?;
    rectify.end_of_scan(&mut keep);
    let first_row = first_row.unwrap_or(0);
    let threshold = config.segment.min_reflectance;
    let [picture, first, last] = &pictures;
    let seen = regions(picture, threshold, config.segment.bridge_pixels(pixel_mm))
        .into_iter()
        .filter(|extent| extent.area as f64 * pixel_mm * pixel_mm >= config.segment.min_area_mm2)
        .filter_map(|extent| {
            let (rows, pixels) = (with_margin(extent.rows, picture.rows()), with_margin(extent.pixels, width));
            let cut = |picture: &Picture| {
                let mut part = Picture::new(pixels.1 - pixels.0);
                for row in rows.0..rows.1 {
                    part.values.extend_from_slice(&picture.values[row * width + pixels.0..row * width + pixels.1]);
                }
                part
            };
            let whole = cut(picture);
            let (x, y) = whole.centre(threshold)?;
            let centre_mm = (x0_mm + (pixels.0 as f64 + x) * pixel_mm, (first_row as f64 + rows.0 as f64 + y) * pixel_mm);
            let keystone_mm = whole.apart(&cut(first), &cut(last), threshold).map(|pixels| pixels * pixel_mm);
            Some(Seen { centre: centre_mm, keystone_mm })
        })
        .collect();
    let bands = unit.camera.describe().layout.bands;
    let place =
        |bands_of: &[usize]| bands_of.iter().map(|band| of_range(unit.used.index(*band), bands)).sum::<f64>() / bands_of.len() as f64;
    let speed = |[(from_ns, from_mm), (to_ns, to_mm)]: [(i64, f64); 2]| 1e9 * (to_mm - from_mm) / (to_ns.saturating_sub(from_ns)) as f64;
    let speed_mm_per_s = placed.map(speed).filter(|speed| speed.is_finite());
    Ok(View { seen, pixels: layout.pixels, range: place(&looked[2]) - place(&looked[1]), speed_mm_per_s })
}

/// A range with a margin on both sides, within `0..end`.
fn with_margin((from, to): (usize, usize), end: usize) -> (usize, usize) {
    (from.saturating_sub(EDGE_MARGIN), (to + EDGE_MARGIN).min(end))
}
