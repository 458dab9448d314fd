//! What a real camera does to the light: nonlinearity, stray light, smile.

use crate::config::{CorrectionConfig, LINEARITY};
use contract::Layout;

/// The response of a detector, and how it is undone.
///
/// The true signal of a measured one is s (1 + c1 x + c2 x² + c3 x³), x = s / full scale. The share f of the line's mean signal falls on
/// every element as stray light: s = (1 - f) t + f mean(t) for the true signal t. The factor 1 - f is the same in the white reference,
/// and cancels.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Response {
    /// c1 / full, c2 / full², c3 / full³.
    bend: [f32; LINEARITY],
    stray: f32,
}

impl Response {
    /// The response of a camera that is saturated at `saturation` counts. `None` where nothing is to be undone.
    #[expect(clippy::cast_possible_truncation, reason = "shares and counts need no more than f32")]
    pub fn new(correction: &CorrectionConfig, saturation: Option<f64>) -> Option<Self> {
        let mut bend = correction.linearity();
        let full = saturation.map_or(f32::INFINITY, |full| full as f32);
        (1..).zip(&mut bend).for_each(|(power, c)| *c /= full.powi(power));
        let response = Self { bend, stray: correction.stray_light as f32 };
        (response != Self::default()).then_some(response)
    }

    /// The stray light of a line whose mean signal is `mean` counts.
    pub(crate) fn stray(&self, mean: f64) -> f32 {
        #[expect(clippy::cast_possible_truncation, reason = "counts need no more than f32")]
        let mean = mean as f32;
        self.stray * mean
    }

    /// The true signal of a measured one, before stray light is taken off.
    #[inline(always)]
    pub(crate) fn straight(&self, signal: f32) -> f32 {
        let [a, b, c] = self.bend;
        signal + signal * (signal * (a + signal * (b + signal * c)))
    }
}

/// The smile of a camera: each pixel's shift of the wavelength scale.
#[derive(Debug, Clone, PartialEq)]
pub struct Smile {
    /// Wavelength of each pixel's bands, minus that in the middle of the line, nm.
    shift_nm: Vec<f32>,
    /// Bands per nm at each band.
    per_nm: Vec<f32>,
}

impl Smile {
    /// The smile of a line of `layout` with bands at `wavelengths_nm`, whose ends are off by `smile_nm`. `None` without one.
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "nm and pixel numbers need no more than f32")]
    pub fn new(smile_nm: f64, layout: Layout, wavelengths_nm: &[f64]) -> Option<Self> {
        if smile_nm == 0.0 || wavelengths_nm.len() < 2 {
            return None;
        }
        let shift_nm = (0..layout.pixels).map(|pixel| {
            let place = (2 * pixel + 1) as f64 / layout.pixels as f64 - 1.0;
            (smile_nm * place * place) as f32
        });
        let last = wavelengths_nm.len() - 1;
        let per_nm = (0..=last).map(|band| {
            let (from, to) = (band.saturating_sub(1), (band + 1).min(last));
            ((to - from) as f64 / (wavelengths_nm[to] - wavelengths_nm[from])) as f32
        });
        Some(Self { shift_nm: shift_nm.collect(), per_nm: per_nm.collect() })
    }

    /// Writes the spectrum `values` of a pixel, resampled to the wavelengths in the middle of the line, to `out`. Both are `[band]`.
    ///
    /// Each value comes from the parabola through it and its neighbours. At the ends, and beside a value that is missing, it stays or
    /// comes from a line.
    #[inline(always)]
    pub(crate) fn straighten(&self, pixel: usize, values: &[f32], out: &mut [f32]) {
        let (shift, n) = (self.shift_nm[pixel], values.len());
        let (per_nm, out) = (&self.per_nm[..n], &mut out[..n]);
        let at = |band: usize| -shift * per_nm[band];
        let moved = |value: f32, other: f32, by: f32| {
            let moved = value + by * (other - value);
            if moved.is_finite() { moved } else { value }
        };
        out[0] = moved(values[0], values[1], at(0));
        for band in 1..n - 1 {
            let (before, value, after) = (values[band - 1], values[band], values[band + 1]);
            let by = at(band);
            let resampled = value + 0.5 * by * ((after - before) + by * ((after - value) - (value - before)));
            out[band] = if resampled.is_finite() { resampled } else { value };
        }
        out[n - 1] = moved(values[n - 1], values[n - 2], -at(n - 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acquire::Stamp;
    use crate::calibrate::{Calibrate, Line};
    use crate::reference::{Calibration, LowSignal, MendBands, Reference, Referenced};
    use contract::{Exposure, Frame, FrameInfo, FramePool, PixelFormat};
    use std::sync::Arc;

    const LAYOUT: Layout = Layout { pixels: 3, bands: 40, format: PixelFormat::U16 };

    fn correction() -> CorrectionConfig {
        CorrectionConfig { linearity: vec![0.02, -0.01], stray_light: 0.005, ..CorrectionConfig::default() }
    }

    #[test]
    fn nothing_to_undo_is_nothing() {
        assert_eq!(Response::new(&CorrectionConfig::default(), Some(4095.0)), None);
        assert_eq!(Smile::new(0.0, LAYOUT, &[400.0, 410.0]), None);
    }

    #[test]
    fn a_signal_is_straightened_by_its_share_of_the_full_scale() {
        let response = Response::new(&correction(), Some(4000.0)).unwrap();
        for x in [0.0_f32, 0.1, 0.5, 1.0] {
            let expected = 4000.0 * x * (1.0 + 0.02 * x - 0.01 * x * x);
            assert!((response.straight(4000.0 * x) - expected).abs() < 0.01, "{x}");
        }
        assert_eq!(response.stray(1000.0), 5.0);
        // A camera without a level of saturation has no share of it.
        assert_eq!(Response::new(&correction(), None).unwrap().straight(1000.0), 1000.0);
    }

    const FULL: f64 = 4000.0;
    const DARK: f64 = 100.0;
    const PANEL: f64 = 0.9;

    /// The counts of a detector with a bend of 1 % of the full scale and with stray light, for light `[band][pixel]`.
    fn detected(correction: &CorrectionConfig, light: &[f64]) -> Vec<f32> {
        let mean = light.iter().sum::<f64>() / light.len() as f64;
        let response = Response::new(correction, Some(FULL)).unwrap();
        let stray = correction.stray_light;
        let seen = light.iter().map(|light| (1.0 - stray) * light + stray * mean);
        // The measured signal is the one that the correction turns into what the detector saw.
        let counts = seen.map(|seen| (0..20).fold(seen, |signal, _| signal + seen - f64::from(response.straight(signal as f32))));
        counts.map(|signal| (DARK + signal) as f32).collect()
    }

    fn reference(mean: Vec<f32>) -> Reference {
        let exposure = Exposure { exposure_us: 1.0, frame_rate_hz: 1.0, binning: (1, 1) };
        let sd = vec![2.0; mean.len()];
        Reference { peak: mean.clone(), mean, sd, frames: 10, level_sd: 0.0, taken_ns: 0, temperature_c: None, exposure }
    }

    /// The worst errors of a spectrum's values, as shares, when the calibration undoes `undone`: of those above 0.1, and of darker ones.
    fn errors(correction: &CorrectionConfig, undone: &CorrectionConfig) -> [f64; 2] {
        let layout = Layout { pixels: 50, bands: 60, format: PixelFormat::F32 };
        let at = |element: usize| ((element / 50) as f64, (element % 50) as f64);
        let lamp = |element: usize| 300.0 + 3000.0 * (1.0 - (at(element).0 / 30.0 - 1.0).powi(2));
        let truth = |element: usize| if at(element).1 > 40.0 { 0.03 } else { 0.3 + 0.2 * (at(element).0 / 9.0).sin() };
        let light = |reflectance: &dyn Fn(usize) -> f64| -> Vec<f64> { (0..3000).map(|i| lamp(i) * reflectance(i)).collect() };
        let white = detected(correction, &light(&|_| PANEL));
        let nm: Vec<f64> = (0..60).map(|band| 400.0 + 10.0 * f64::from(band)).collect();
        let (dark, bands) = (reference(vec![DARK as f32; 3000]), MendBands::new(&nm, None));
        let mut referenced = Referenced::new(dark, reference(white), vec![PANEL as f32; 60], layout, Some(FULL), bands).unwrap();
        if let Some(response) = Response::new(undone, Some(FULL)) {
            referenced = referenced.with_response(response);
        }
        let pool = FramePool::new(layout, 1);
        let mut slot = pool.try_take().unwrap();
        slot.as_f32_mut().unwrap().copy_from_slice(&detected(correction, &light(&truth)));
        let calibration = Arc::new(Calibration::Referenced(Box::new(referenced)));
        let mut calibrate = Calibrate::new(layout, calibration, Some(FULL), LowSignal::default());
        let stamp = Stamp { frame: 0, time_ns: 0, position_mm: 0.0, y_mm: 0.0 };
        let line = calibrate.process(Line::new(stamp, Frame { info: FrameInfo::default(), slot }));
        let mut worst: [f64; 2] = [0.0; 2];
        for element in 0..3000 {
            let (band, pixel) = (element / 50, element % 50);
            let error = f64::from(line.values()[pixel * 60 + band]) / truth(element) - 1.0;
            let kind = usize::from(truth(element) < 0.1);
            worst[kind] = worst[kind].max(error.abs());
        }
        worst
    }

    #[test]
    fn a_bend_of_a_percent_and_stray_light_leave_no_error() {
        let bend = CorrectionConfig { linearity: vec![-0.04, 0.04], ..CorrectionConfig::default() };
        let stray = CorrectionConfig { stray_light: 0.005, ..CorrectionConfig::default() };
        for (correction, before) in [(&bend, [0.002, 0.002]), (&stray, [0.005, 0.2])] {
            let [bright, dark] = errors(correction, &CorrectionConfig::default());
            assert!(bright > before[0] && dark > before[1], "{bright} {dark}");
            let [bright, dark] = errors(correction, correction);
            assert!(bright < 0.0005 && dark < 0.01, "{bright} {dark}");
        }
    }

    #[test]
    fn an_element_that_saw_stray_light_alone_is_dead() {
        let layout = Layout { pixels: 2, bands: 2, format: PixelFormat::U16 };
        let white = reference(vec![2100.0, 2100.0, 2100.0, 104.0]);
        let bands = MendBands::new(&[400.0, 410.0], None);
        let referenced = Referenced::new(reference(vec![100.0; 4]), white, vec![0.9; 2], layout, None, bands).unwrap();
        let mut good = referenced.clone();
        good.bad = vec![0; 4];
        let stray = Response::new(&CorrectionConfig { stray_light: 0.01, ..CorrectionConfig::default() }, None).unwrap();
        let corrected = good.with_response(stray);
        assert_eq!((corrected.bad[3], corrected.gain[3]), (crate::reference::BadElement::DEAD, 0.0));
        assert!(corrected.bad[..3] == [0; 3] && corrected.gain[0] > referenced.gain[0]);
    }

    /// A spectrum with an absorption of 40 nm width at 550 nm.
    fn spectrum(nm: f64) -> f32 {
        (0.5 - 0.2 * (-((nm - 550.0) / 20.0).powi(2)).exp()) as f32
    }

    #[test]
    fn a_smile_of_a_nanometre_leaves_less_than_a_fifth_of_a_percent() {
        let nm: Vec<f64> = (0..40).map(|band| 480.0 + 3.5 * f64::from(band)).collect();
        let smile = Smile::new(1.0, LAYOUT, &nm).unwrap();
        for (pixel, shift) in [(0, 4.0 / 9.0), (1, 0.0), (2, 4.0 / 9.0)] {
            let seen: Vec<f32> = nm.iter().map(|nm| spectrum(nm + shift)).collect();
            let mut straight = vec![0.0; 40];
            smile.straighten(pixel, &seen, &mut straight);
            let worst = |values: &[f32]| values.iter().zip(&nm).map(|(value, nm)| (value / spectrum(*nm) - 1.0).abs()).fold(0.0, f32::max);
            assert!(worst(&straight) < 0.0005, "{pixel}: {}", worst(&straight));
            assert!(pixel == 1 || worst(&seen) > 0.008, "{pixel}: {}", worst(&seen));
        }
    }

    #[test]
    fn a_missing_value_stays_alone() {
        let nm: Vec<f64> = (0..5).map(|band| 400.0 + 10.0 * f64::from(band)).collect();
        let smile = Smile::new(1.0, LAYOUT, &nm).unwrap();
        let mut straight = vec![0.0; 5];
        smile.straighten(0, &[0.1, 0.2, f32::NAN, 0.4, f32::NAN], &mut straight);
        assert!(straight[2].is_nan() && straight[4].is_nan() && straight[1] == 0.2 && straight[3] == 0.4 && straight[0].is_finite());
    }
}
