//! The calibration stage: one line of counts to one line of reflectance.

use super::Keystone;
use super::kernel::{ByReferences, ByScale, Convert, Element, Spectra, Spectrum};
use super::strip::{LineState, StripLight};
use crate::acquire::Stamp;
use crate::reference::{Calibration, LowSignal, Mending, Referenced, Smile, UsedBands, mean};
use crate::simd::widest;
use crate::transpose::transpose;
use contract::{Frame, Layout};
use std::ops::Range;
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

    /// Flags of each pixel, see [`Quality`](crate::scan::Quality).
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
    mending: Mending,
    /// Mean of the dark level and of its whole rise, counts.
    level: (f64, f64),
}

/// The calibration stage of one camera.
pub struct Calibrate {
    layout: Layout,
    /// The bands of a frame that are converted. There are as many as `layout` has.
    runs: Vec<Range<usize>>,
    calibration: Arc<Calibration>,
    tables: Tables,
    /// Counts from which an element is saturated.
    saturation: f32,
    /// Signal above dark below which an element is too weak, counts, and the number of such elements that a pixel may have.
    weak: (f32, u32),
    /// Counts of a block of pixels, `[pixel][band]`.
    counts: Vec<u16>,
    numbers: Vec<f32>,
    spectrum: Vec<f32>,
    /// The smile of the camera, and a spectrum without it.
    smile: Option<(Smile, Vec<f32>)>,
    strip: Option<StripLight>,
    /// Factor of each band's reflectance where the light drifts, `[band]`.
    factors: Vec<f32>,
    keystone: Option<Keystone>,
    line: Line<Reflectance>,
}

impl Calibrate {
    /// A stage for frames of `layout`. Counts at or above `saturation` are flagged.
    ///
    /// A pixel whose signal is `low` is flagged.
    pub fn new(layout: Layout, calibration: Arc<Calibration>, saturation: Option<f64>, low: LowSignal) -> Self {
        let (tables, weak) = match &*calibration {
            Calibration::Referenced(referenced) => (Tables::new(referenced, layout), low.signal(referenced)),
            Calibration::Scaled { .. } => (Tables::default(), 0.0),
        };
        let weak = (weak, low.most_bands(layout.bands));
        let stamp = Stamp { frame: 0, time_ns: 0, position_mm: 0.0, y_mm: 0.0 };
        #[expect(clippy::cast_possible_truncation, reason = "a level of counts needs no more than f32")]
        let saturation = saturation.map_or(f32::INFINITY, |level| level as f32);
        let (counts, numbers, spectrum) = (Vec::new(), Vec::new(), vec![0.0; layout.bands]);
        Self {
            layout,
            runs: UsedBands::all(layout.bands).runs().to_vec(),
            calibration,
            tables,
            saturation,
            weak,
            counts,
            numbers,
            spectrum,
            smile: None,
            strip: None,
            factors: vec![1.0; layout.bands],
            keystone: None,
            line: Line { stamp, values: Reflectance::default() },
        }
    }

    /// The same stage for frames with more bands. It converts the `used` ones, of which there are as many as its layout has.
    pub fn of_bands(mut self, used: &UsedBands) -> Self {
        self.runs = used.runs().to_vec();
        self
    }

    /// The same stage for a camera with a smile, which it undoes.
    pub fn with_smile(mut self, smile: Option<Smile>) -> Self {
        self.smile = smile.map(|smile| (smile, vec![0.0; self.layout.bands]));
        self
    }

    /// The same stage with a white strip in view of `pixels`. It measures the strip's light in each line. Light that differs by at most `most`
    /// from that of the white reference, as a share, is corrected; 0 corrects nothing. Call it after [`Calibrate::of_bands`].
    pub fn with_strip(mut self, pixels: Range<usize>, most: f64) -> Self {
        self.strip = match &*self.calibration {
            Calibration::Referenced(referenced) => StripLight::new(referenced, &self.runs, self.layout.pixels, pixels, most),
            Calibration::Scaled { .. } => None,
        };
        self
    }

    /// The groups of bands in which the light on the strip is measured: the mean band of each. Empty without a strip.
    pub fn strip_groups(&self) -> Vec<f64> {
        self.strip.iter().flat_map(StripLight::centres).collect()
    }

    /// The light on the strip in the latest line, as a share of that of the white reference, by group; NaN where no element saw it. Empty
    /// without a strip.
    pub fn light(&self) -> &[f64] {
        self.strip.as_ref().map_or(&[], StripLight::shares)
    }

    /// The same stage for a camera with a keystone, which it undoes.
    pub fn with_keystone(mut self, keystone: Option<Keystone>) -> Self {
        self.keystone = keystone;
        self
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
        let mut keystone = self.keystone.take();
        match &mut keystone {
            None => self.as_seen(line, out),
            Some(keystone) => self.as_seen(line, &mut keystone.before(out)),
        }
        self.keystone = keystone;
    }

    /// Sends the reflectance of a line as the camera sees it, with its keystone.
    fn as_seen<S: Spectra>(&mut self, line: Line<Counts>, out: &mut S) {
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
        let (pixels, runs) = (self.layout.pixels, self.runs.as_slice());
        let values = self.spectrum.as_mut_slice();
        let smile = self.smile.as_mut().map(|(smile, straight)| (&*smile, straight.as_mut_slice()));
        match &*self.calibration {
            Calibration::Referenced(referenced) => {
                let Tables { dark, gain, rise, mending: Mending { patches, begins }, level } = &self.tables;
                let risen = referenced.risen_at(time_ns);
                let response = referenced.response.map(|response| {
                    let (dark, whole_rise) = *level;
                    let mean = T::mean(counts, runs, pixels) - dark - f64::from(risen.unwrap_or_default()) * whole_rise;
                    (response, response.stray(mean))
                });
                let (saturation, weak) = (self.saturation, self.weak);
                let state = LineState { risen: risen.unwrap_or_default(), response, saturation };
                let light = match (&mut self.strip, referenced.light_at(time_ns)) {
                    (Some(strip), _) => strip.measure(counts, state),
                    (None, Some((share, change))) => {
                        self.factors.iter_mut().zip(change).for_each(|(factor, change)| *factor = 1.0 / (1.0 + share * change));
                        Some(self.factors.as_slice())
                    }
                    (None, None) => None,
                };
                let rise = risen.map(|share| (share, rise.as_slice()));
                let method = ByReferences { dark, gain, rise, response, light, patches: (patches, begins), saturation, weak };
                widest(Convert { counts, pixels, runs, method, block, values, smile, out });
            }
            Calibration::Scaled { scale, ignore } => {
                let method = ByScale { scale: *scale, ignore: *ignore };
                widest(Convert { counts, pixels, runs, method, block, values, smile, out });
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
            mending: referenced.mending(),
            level: (mean(&referenced.dark.mean), referenced.drift.as_ref().map_or(0.0, |drift| mean(&drift.rise))),
        };
        for pixel in 0..pixels {
            let Mending { patches, begins } = &tables.mending;
            for patch in &patches[begins[pixel] as usize..begins[pixel + 1] as usize] {
                tables.dark[pixel * bands + patch.band as usize] = f32::NEG_INFINITY;
            }
        }
        tables
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{BadElement, MendBands, Reference};
    use crate::scan::Quality;
    use contract::{Exposure, FrameInfo, FramePool, PixelFormat};

    const LAYOUT: Layout = Layout { pixels: 5, bands: 4, format: PixelFormat::U16 };

    fn reference(level: impl Fn(usize) -> f32) -> Reference {
        let exposure = Exposure { exposure_us: 1.0, frame_rate_hz: 1.0, binning: (1, 1) };
        Reference {
            mean: (0..20).map(&level).collect(),
            sd: vec![2.0; 20],
            peak: (0..20).map(&level).collect(),
            frames: 10,
            level_sd: 0.1,
            taken_ns: 0,
            temperature_c: None,
            exposure,
        }
    }

    fn bands() -> MendBands {
        MendBands::new(&[400.0, 410.0, 420.0, 430.0], None)
    }

    fn stage(dead: Option<usize>) -> Calibrate {
        let dark = reference(|_| 100.0);
        let white = reference(|i| if Some(i) == dead { 100.0 } else { 1100.0 });
        let referenced = Referenced::new(dark, white, vec![0.95; 4], LAYOUT, Some(4095.0), bands()).unwrap();
        Calibrate::new(LAYOUT, Arc::new(Calibration::Referenced(Box::new(referenced))), Some(4095.0), LowSignal::default())
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
            3 => 4095, // band 0, pixel 3: saturated
            7 => 0,    // dead
            4 => 105,  // pixel 4: one of four bands weak
            6 => 106,  // pixel 1: not weak
            2 => 300,
            12 => 500,
            _ => 600,
        }));
        assert_eq!(interpolated.quality(), [0, 0, Quality::BAD_PIXEL, Quality::SATURATED, Quality::LOW_SIGNAL]);
        assert!((interpolated.values()[2 * 4 + 1] - 0.95 * 0.3).abs() < 1e-6, "halfway between 200 and 400 counts of 1000");
    }

    #[test]
    fn bands_that_are_left_out_give_neither_values_nor_flags() {
        let used = UsedBands::new(&[400.0, 410.0, 420.0, 430.0], Some(&[(410.0, 410.0), (430.0, 440.0)]), None);
        let layout = Layout { bands: 2, ..LAYOUT };
        let mut stage =
            Calibrate::new(layout, Arc::new(Calibration::Scaled { scale: 100.0, ignore: Some(7.0) }), None, LowSignal::default())
                .of_bands(&used);
        let out = stage.process(line(|i| if [1, 3].contains(&(i / 5)) { i as u16 } else { 7 }));
        assert_eq!(out.quality(), [0, 0, Quality::MISSING_BANDS, 0, 0], "element 7 says that it has no data");
        assert_eq!((out.values()[0], out.values()[1], out.values()[8], out.values()[9]), (0.05, 0.15, 0.09, 0.19));
    }

    #[test]
    fn scaled_recordings_keep_their_reflectance_and_their_no_data() {
        let calibration = Arc::new(Calibration::Scaled { scale: 1000.0, ignore: Some(0.0) });
        let mut stage = Calibrate::new(LAYOUT, calibration, None, LowSignal::default());
        let out = stage.process(line(|i| if i == 6 { 0 } else { 250 }));
        assert_eq!(out.quality(), [0, Quality::MISSING_BANDS, 0, 0, 0]);
        assert!(out.values()[5].is_nan());
        assert_eq!(out.values()[0], 0.25);
        let out = stage.process(line(|i| if i % 5 == 1 { 0 } else { 250 }));
        assert_eq!(out.quality(), [0, Quality::NO_DATA, 0, 0, 0]);
    }

    /// A line of floats through a calibration by references, element `at` being `value`.
    fn of_floats(at: &[usize], value: f32) -> (Vec<f32>, Vec<u8>) {
        let layout = Layout { format: PixelFormat::F32, ..LAYOUT };
        let referenced = Referenced::new(reference(|_| 100.0), reference(|_| 1100.0), vec![1.0; 4], layout, None, bands()).unwrap();
        let mut stage = Calibrate::new(layout, Arc::new(Calibration::Referenced(Box::new(referenced))), None, LowSignal::default());
        let pool = FramePool::new(layout, 1);
        let mut slot = pool.try_take().unwrap();
        slot.as_f32_mut().unwrap().iter_mut().enumerate().for_each(|(i, c)| *c = if at.contains(&i) { value } else { 600.0 });
        let stamp = Stamp { frame: 0, time_ns: 0, position_mm: 0.0, y_mm: 0.0 };
        let out = stage.process(Line::new(stamp, Frame { info: FrameInfo::default(), slot }));
        (out.values().to_vec(), out.quality().to_vec())
    }

    #[test]
    fn a_count_that_is_not_finite_is_a_missing_band_and_a_whole_pixel_of_them_is_no_data() {
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let (values, quality) = of_floats(&[6], value);
            assert_eq!(quality, [0, Quality::MISSING_BANDS, 0, 0, 0], "{value}");
            assert!(values[5].is_nan() && values[4] == 0.5 && values[6] == 0.5, "{values:?}");
            let (values, quality) = of_floats(&[1, 6, 11, 16], value);
            assert_eq!(quality[1] & !Quality::LOW_SIGNAL, Quality::NO_DATA, "{value}");
            assert!(values[4..8].iter().all(|value| value.is_nan()));
        }
    }

    #[test]
    fn an_element_without_a_finite_reference_is_bad() {
        for value in [f32::NAN, f32::INFINITY] {
            let with = |level: f32| reference(move |i| if i == 6 { value } else { level });
            let bad = |dark, white, panel: f32| {
                let panel = vec![1.0, 1.0, panel, 1.0];
                Referenced::new(dark, white, panel, LAYOUT, None, bands()).unwrap()
            };
            for referenced in [bad(with(100.0), reference(|_| 1100.0), 1.0), bad(reference(|_| 100.0), with(1100.0), 1.0)] {
                assert_eq!(referenced.bad.iter().filter(|bad| **bad != 0).count(), 1);
                assert!(referenced.bad[6] & BadElement::NOT_FINITE != 0 && referenced.gain.iter().all(|gain| gain.is_finite()));
            }
            let referenced = bad(reference(|_| 100.0), reference(|_| 1100.0), value);
            assert_eq!(referenced.bad.iter().filter(|bad| **bad == BadElement::NOT_FINITE).count(), 5);
            let after = Reference { taken_ns: 1, ..with(100.0) };
            let referenced = bad(reference(|_| 100.0), reference(|_| 1100.0), 1.0).with_dark_after(after, (0, 1)).unwrap();
            assert_eq!(referenced.bad.iter().filter(|bad| **bad == BadElement::NOT_FINITE).count(), 1);
        }
    }

    #[test]
    fn a_band_without_light_is_dead_as_a_whole_and_its_neighbours_are_not() {
        // Band 2 sees no more of the panel than of the dark, with a scatter that makes some responses positive.
        for frames in [10, 1] {
            let white = |i: usize| if i / 5 == 2 { 100.0 + [0.4, -0.8, 1.2, -0.3, 0.6][i % 5] } else { 1100.0 };
            let few = |reference: Reference| Reference { frames, sd: vec![if frames > 1 { 2.0 } else { 0.0 }; 20], ..reference };
            let referenced = Referenced::new(few(reference(|_| 100.0)), few(reference(white)), vec![0.95; 4], LAYOUT, None, bands());
            let bad = referenced.unwrap().bad;
            assert!((0..20).all(|i| (bad[i] == BadElement::DEAD) == (i / 5 == 2)), "{bad:?}");
        }
    }

    #[test]
    fn an_element_that_clips_in_one_frame_of_the_white_is_bad() {
        let mut white = reference(|_| 3900.0);
        white.peak[7] = 4095.0;
        let referenced =
            |saturation| Referenced::new(reference(|_| 100.0), white.clone(), vec![0.95; 4], LAYOUT, saturation, bands()).unwrap();
        let bad = referenced(Some(4095.0)).bad;
        assert!((0..20).all(|i| bad[i] == if i == 7 { BadElement::CLIPPED } else { 0 }), "{bad:?}");
        assert!(referenced(None).bad.iter().all(|bad| *bad == 0), "nothing is known of saturation");
    }
}
