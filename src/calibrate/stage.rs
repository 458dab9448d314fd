//! The calibration stage: one line of counts to one line of reflectance.

use super::kernel::{ByReferences, ByScale, Convert, Element, Patch, Spectra, Spectrum};
use super::{Calibration, Referenced, transpose};
use crate::acquire::Stamp;
use crate::simd::widest;
use contract::{Frame, Layout};
use std::sync::Arc;

/// One line of the scene. Its type says what its numbers mean. A line of counts cannot reach the encoder.
#[derive(Debug)]
pub struct Line<V> {
    /// Time and place of the line.
    pub stamp: Stamp,
    values: V,
}

/// Detector counts `[band][pixel]`, in the camera's frame.
pub type Counts = Frame;

/// Reflectance `[pixel][band]` with a quality byte per pixel.
#[derive(Debug, Default)]
pub struct Reflectance {
    values: Vec<f32>,
    quality: Vec<u8>,
}

impl Line<Counts> {
    /// A line of counts.
    pub fn new(stamp: Stamp, frame: Frame) -> Self {
        Self { stamp, values: frame }
    }
}

impl Line<Reflectance> {
    /// Reflectance `[pixel][band]`.
    pub fn values(&self) -> &[f32] {
        &self.values.values
    }

    /// Flags of each pixel, see [`Quality`](super::Quality).
    pub fn quality(&self) -> &[u8] {
        &self.values.quality
    }

    /// Sends the spectra to `out`, pixel by pixel.
    #[inline(always)]
    pub fn spectra<S: Spectra>(&self, out: &mut S) {
        let Reflectance { values, quality } = &self.values;
        let bands = values.len() / quality.len().max(1);
        for (pixel, (values, quality)) in values.chunks_exact(bands).zip(quality).enumerate() {
            out.take(pixel, Spectrum { values, quality: *quality });
        }
    }
}

/// The tables of a calibration by references, `[pixel][band]`, in the order of use.
#[derive(Debug, Default)]
struct Tables {
    dark: Vec<f32>,
    gain: Vec<f32>,
    rise: Vec<f32>,
    /// Bad elements by pixel, and the index of each pixel's first one, with one end index.
    patches: Vec<Patch>,
    begins: Vec<u32>,
}

/// The calibration stage of one camera.
pub struct Calibrate {
    layout: Layout,
    calibration: Arc<Calibration>,
    tables: Tables,
    /// Counts from which an element is saturated.
    saturation: f32,
    /// Signal above dark below which an element is too weak, counts.
    weak: f32,
    /// Counts of a block of pixels, `[pixel][band]`.
    counts: Vec<u16>,
    numbers: Vec<f32>,
    spectrum: Vec<f32>,
    line: Line<Reflectance>,
}

impl Calibrate {
    /// A stage for frames of `layout`. Counts at or above `saturation` are flagged.
    ///
    /// An element is too weak when its signal above dark is under `weak_sigmas` times the detector's noise. A pixel is flagged when more
    /// than half of its bands are weak.
    pub fn new(layout: Layout, calibration: Arc<Calibration>, saturation: Option<f64>, weak_sigmas: f32) -> Self {
        let (tables, weak) = match &*calibration {
            Calibration::Referenced(referenced) => (Tables::new(referenced, layout), weak_sigmas * referenced.dark.noise()),
            Calibration::Scaled { .. } => (Tables::default(), 0.0),
        };
        let stamp = Stamp { frame: 0, time_ns: 0, position_mm: 0.0, y_mm: 0.0 };
        #[expect(clippy::cast_possible_truncation, reason = "a level of counts needs no more than f32")]
        let saturation = saturation.map_or(f32::INFINITY, |level| level as f32);
        let (counts, numbers, spectrum) = (Vec::new(), Vec::new(), vec![0.0; layout.bands]);
        Self {
            layout,
            calibration,
            tables,
            saturation,
            weak,
            counts,
            numbers,
            spectrum,
            line: Line { stamp, values: Reflectance::default() },
        }
    }

    /// Reflectance of a whole line of counts. The frame's slot returns to its pool. The result is valid until the next call.
    pub fn process(&mut self, line: Line<Counts>) -> &Line<Reflectance> {
        let mut whole = std::mem::take(&mut self.line.values);
        whole.values.resize(self.layout.elements(), 0.0);
        whole.quality.resize(self.layout.pixels, 0);
        self.line.stamp = line.stamp;
        self.spectra(line, &mut whole);
        self.line.values = whole;
        &self.line
    }

    /// Sends the reflectance of a line of counts to `out`, pixel by pixel. The frame's slot returns to its pool.
    pub fn spectra<S: Spectra>(&mut self, line: Line<Counts>, out: &mut S) {
        let slot = &line.values.slot;
        let mut counts = std::mem::take(&mut self.counts);
        let mut numbers = std::mem::take(&mut self.numbers);
        match (slot.as_u16(), slot.as_f32()) {
            (Some(stored), _) => self.convert(line.stamp.time_ns, stored, &mut counts, out),
            (_, Some(stored)) => self.convert(line.stamp.time_ns, stored, &mut numbers, out),
            _ => {}
        }
        (self.counts, self.numbers) = (counts, numbers);
    }

    fn convert<T: Element, S: Spectra>(&mut self, time_ns: i64, counts: &[T], block: &mut Vec<T>, out: &mut S) {
        let pixels = self.layout.pixels;
        let values = self.spectrum.as_mut_slice();
        match &*self.calibration {
            Calibration::Referenced(referenced) => {
                let Tables { dark, gain, rise, patches, begins } = &self.tables;
                let rise = referenced.risen_at(time_ns).map(|share| (share, rise.as_slice()));
                let (saturation, weak) = (self.saturation, self.weak);
                let method = ByReferences { dark, gain, rise, patches: (patches, begins), saturation, weak };
                widest(Convert { counts, pixels, method, block, values, out });
            }
            Calibration::Scaled { scale, ignore } => {
                let method = ByScale { scale: *scale, ignore: *ignore };
                widest(Convert { counts, pixels, method, block, values, out });
            }
        }
    }
}

impl Spectra for Reflectance {
    #[inline(always)]
    fn take(&mut self, pixel: usize, spectrum: Spectrum<'_>) {
        let bands = spectrum.values().len();
        self.values[pixel * bands..(pixel + 1) * bands].copy_from_slice(spectrum.values());
        self.quality[pixel] = spectrum.quality();
    }
}

impl Tables {
    fn new(referenced: &Referenced, layout: Layout) -> Self {
        let Layout { pixels, bands, .. } = layout;
        let transposed = |table: &[f32]| {
            let mut transposed = vec![0.0; table.len()];
            transpose(table, pixels, &mut transposed);
            transposed
        };
        let mut tables = Self {
            dark: transposed(&referenced.dark.mean),
            gain: transposed(&referenced.gain),
            rise: referenced.drift.as_ref().map_or_else(Vec::new, |drift| transposed(&drift.rise)),
            ..Self::default()
        };
        tables.begins.push(0);
        for pixel in 0..pixels {
            patch(&mut tables.patches, bands, |band| referenced.bad[band * pixels + pixel] != 0);
            let begin = tables.begins.last().map_or(0, |begin| *begin as usize);
            for patch in &tables.patches[begin..] {
                tables.dark[pixel * bands + patch.band as usize] = f32::NEG_INFINITY;
            }
            #[expect(clippy::cast_possible_truncation, reason = "detectors have far fewer than 2^32 elements")]
            tables.begins.push(tables.patches.len() as u32);
        }
        tables
    }
}

/// Adds a patch for each bad element of a pixel, from the nearest good elements in its spectrum.
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "detectors have far fewer than 2^24 elements a side")]
fn patch(patches: &mut Vec<Patch>, bands: usize, is_bad: impl Fn(usize) -> bool) {
    for band in (0..bands).filter(|band| is_bad(*band)) {
        let before = (0..band).rev().find(|b| !is_bad(*b));
        let after = (band + 1..bands).find(|b| !is_bad(*b));
        let (from, weight) = match (before, after) {
            (Some(a), Some(b)) => ((a as u32, b as u32), (band - a) as f32 / (b - a) as f32),
            (Some(a), None) | (None, Some(a)) => ((a as u32, a as u32), 0.0),
            (None, None) => ((u32::MAX, u32::MAX), 0.0),
        };
        patches.push(Patch { band: band as u32, from, weight });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibrate::{Quality, Reference};
    use contract::{Exposure, FrameInfo, FramePool, PixelFormat};

    const LAYOUT: Layout = Layout { pixels: 5, bands: 4, format: PixelFormat::U16 };

    fn reference(level: impl Fn(usize) -> f32) -> Reference {
        let exposure = Exposure { exposure_us: 1.0, frame_rate_hz: 1.0, binning: (1, 1) };
        Reference {
            mean: (0..20).map(level).collect(),
            sd: vec![2.0; 20],
            frames: 10,
            level_sd: 0.1,
            taken_ns: 0,
            temperature_c: None,
            exposure,
        }
    }

    fn stage(dead: Option<usize>) -> Calibrate {
        let dark = reference(|_| 100.0);
        let white = reference(|i| if Some(i) == dead { 100.0 } else { 1100.0 });
        let referenced = Referenced::new(dark, white, vec![0.95; 4], LAYOUT, Some(4095.0)).unwrap();
        Calibrate::new(LAYOUT, Arc::new(Calibration::Referenced(Box::new(referenced))), Some(4095.0), 5.0)
    }

    fn line(counts: impl Fn(usize) -> u16) -> Line<Counts> {
        let pool = FramePool::new(LAYOUT, 1);
        let mut slot = pool.try_take().unwrap();
        slot.as_u16_mut().unwrap().iter_mut().enumerate().for_each(|(i, c)| *c = counts(i));
        Line::new(Stamp { frame: 0, time_ns: 0, position_mm: 0.0, y_mm: 0.0 }, Frame { info: FrameInfo::default(), slot })
    }

    #[test]
    fn dark_gives_zero_and_the_panel_its_own_reflectance() {
        let mut stage = stage(None);
        assert!(stage.process(line(|_| 100)).values().iter().all(|r| *r == 0.0));
        let panel = stage.process(line(|_| 1100));
        assert!(panel.values().iter().all(|r| (r - 0.95).abs() < 1e-6));
        assert!(panel.quality().iter().all(|q| *q == 0));
    }

    #[test]
    fn bands_and_pixels_are_transposed() {
        let values = stage(None).process(line(|i| 100 + u16::try_from(i).unwrap())).values().to_vec();
        for pixel in 0..5 {
            for band in 0..4 {
                #[expect(clippy::cast_precision_loss, reason = "small")]
                let expected = (band * 5 + pixel) as f32 * 0.95 / 1000.0;
                assert!((values[pixel * 4 + band] - expected).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn saturation_weak_signal_and_dead_elements_are_flagged_and_interpolated() {
        let mut stage = stage(Some(7)); // band 1, pixel 2
        let interpolated = stage.process(line(|i| match i {
            3 => 4095,         // band 0, pixel 3: saturated
            7 => 0,            // dead
            4 | 9 | 14 => 101, // pixel 4: three of four bands weak
            2 => 300,
            12 => 500,
            _ => 600,
        }));
        assert_eq!(interpolated.quality(), [0, 0, Quality::BAD_PIXEL, Quality::SATURATED, Quality::LOW_SIGNAL]);
        assert!((interpolated.values()[2 * 4 + 1] - 0.95 * 0.3).abs() < 1e-6, "halfway between 200 and 400 counts of 1000");
    }

    #[test]
    fn scaled_recordings_keep_their_reflectance_and_their_no_data() {
        let calibration = Arc::new(Calibration::Scaled { scale: 1000.0, ignore: Some(0.0) });
        let mut stage = Calibrate::new(LAYOUT, calibration, None, 5.0);
        let out = stage.process(line(|i| if i == 6 { 0 } else { 250 }));
        assert_eq!(out.quality(), [0, Quality::NO_DATA, 0, 0, 0]);
        assert!(out.values()[5].is_nan());
        assert_eq!(out.values()[0], 0.25);
    }
}
