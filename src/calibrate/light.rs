//! The light on a white strip beside the tray, line by line.
//!
//! The strip is of the panel's material. Its calibrated reflectance must therefore be the panel's. Any difference is the light's.

use super::{Line, Reflectance};
use std::ops::Range;

/// Limits of the light on the strip.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LightLimits {
    /// Largest deviation from the light of the white reference, as a share.
    pub deviation: f64,
    /// Least light, as a share of the white reference's.
    pub least: f64,
    /// Largest scatter from line to line, as a share.
    pub flicker: f64,
}

/// A fault of the light.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LightFinding {
    /// The light differs from that of the white reference.
    Deviates {
        /// The wavelength, nm.
        nm: f64,
        /// Light as a share of the white reference's.
        share: f64,
        /// The start of the deviation along the tray, mm.
        y_mm: f64,
    },
    /// The light is nearly gone.
    Lost {
        /// The wavelength, nm.
        nm: f64,
        /// Light as a share of the white reference's.
        share: f64,
        /// The start of the loss along the tray, mm.
        y_mm: f64,
    },
    /// The light changes from line to line.
    Flickers {
        /// Standard deviation over the lines, as a share of the mean.
        share: f64,
        /// The start of the flicker along the tray, mm.
        y_mm: f64,
    },
}

impl LightFinding {
    /// The finding in words, for the camera named `camera`.
    pub fn message(&self, camera: &str) -> String {
        let remedy = "check the lamps, and scan again from there";
        match *self {
            Self::Deviates { nm, share, y_mm } => {
                format!(
                    "{camera}: from y = {y_mm:.0} mm on, the light at {nm:.0} nm is {:.1} % of that of the white reference (lamps.max_deviation); {remedy}",
                    100.0 * share
                )
            }
            Self::Lost { nm, share, y_mm } => {
                format!(
                    "{camera}: a lamp failed: from y = {y_mm:.0} mm on, the light at {nm:.0} nm is {:.0} % of that of the white reference (lamps.min_light); {remedy}",
                    100.0 * share
                )
            }
            Self::Flickers { share, y_mm } => {
                format!(
                    "{camera}: from y = {y_mm:.0} mm on, the light flickers by {:.1} % from line to line (lamps.max_flicker); {remedy}",
                    100.0 * share
                )
            }
        }
    }
}

/// Sums over the lines of one stretch.
#[derive(Debug, Default, Clone)]
struct Stretch {
    lines: u32,
    begin_mm: f64,
    /// Sum of the light per wavelength, and number of lines that saw it.
    light: Vec<(f64, f64)>,
    /// Sums of the lines' mean light, and of its squares.
    level: (f64, f64),
}

/// Watches the light of one camera. It reports each kind of finding once per scan.
#[derive(Debug)]
pub struct LightWatch {
    pixels: Range<usize>,
    /// Band, its wavelength in nm, and the panel's reflectance there.
    bands: Vec<(usize, f64, f64)>,
    limits: LightLimits,
    /// Number of lines per stretch.
    stretch_lines: u32,
    stretch: Stretch,
    reported: [bool; 3],
}

impl LightWatch {
    /// A watch on the strip's `pixels` at `bands` (number, nm, reflectance of the panel). It judges stretches of `stretch_lines` lines.
    pub fn new(pixels: Range<usize>, bands: Vec<(usize, f64, f64)>, limits: LightLimits, stretch_lines: u32) -> Self {
        let stretch = Stretch { light: vec![(0.0, 0.0); bands.len()], ..Stretch::default() };
        Self { pixels, bands, limits, stretch_lines: stretch_lines.max(2), stretch, reported: [false; 3] }
    }

    /// Adds a line of `bands` bands, and reports findings to `out`.
    pub fn line(&mut self, line: &Line<Reflectance>, bands: usize, out: &mut dyn FnMut(LightFinding)) {
        let stretch = &mut self.stretch;
        if stretch.lines == 0 {
            stretch.begin_mm = line.stamp.y_mm;
        }
        let (mut level, mut seen) = (0.0, 0.0);
        for (light, (band, _, panel)) in stretch.light.iter_mut().zip(&self.bands) {
            let values = self.pixels.clone().map(|pixel| f64::from(line.values()[pixel * bands + band])).filter(|value| value.is_finite());
            let (sum, n) = values.fold((0.0, 0.0), |(sum, n), value| (sum + value, n + 1.0));
            // A band without a value says nothing about the light.
            if n > 0.0 {
                let share = sum / (n * panel);
                light.0 += share;
                light.1 += 1.0;
                (level, seen) = (level + share, seen + 1.0);
            }
        }
        if seen == 0.0 {
            return;
        }
        let level = level / seen;
        stretch.level = (stretch.level.0 + level, stretch.level.1 + level * level);
        stretch.lines += 1;
        if stretch.lines == self.stretch_lines {
            self.judge(out);
            let light = std::mem::take(&mut self.stretch.light);
            self.stretch = Stretch { light, ..Stretch::default() };
            self.stretch.light.fill((0.0, 0.0));
        }
    }

    fn judge(&mut self, out: &mut dyn FnMut(LightFinding)) {
        let Stretch { lines, begin_mm: y_mm, light, level } = &self.stretch;
        let (n, y_mm) = (f64::from(*lines), *y_mm);
        let mut report = |kind: usize, finding| {
            if !std::mem::replace(&mut self.reported[kind], true) {
                out(finding);
            }
        };
        let seen = light.iter().zip(&self.bands).filter(|((_, lines), _)| *lines > 0.0);
        let shares = seen.map(|((light, lines), (_, nm, _))| (light / lines, *nm));
        let furthest = shares.clone().max_by(|a, b| (a.0 - 1.0).abs().total_cmp(&(b.0 - 1.0).abs()));
        if let Some((share, nm)) = shares.min_by(|a, b| a.0.total_cmp(&b.0)).filter(|(share, _)| *share < self.limits.least) {
            report(0, LightFinding::Lost { nm, share, y_mm });
        }
        if let Some((share, nm)) = furthest.filter(|(share, _)| (share - 1.0).abs() > self.limits.deviation) {
            report(1, LightFinding::Deviates { nm, share, y_mm });
        }
        let mean = level.0 / n;
        let scatter = ((level.1 - level.0 * mean) / (n - 1.0)).max(0.0).sqrt() / mean.abs().max(1e-6);
        // A stretch in which the light goes out scatters too.
        if mean > self.limits.least && scatter > self.limits.flicker {
            report(2, LightFinding::Flickers { share: scatter, y_mm });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acquire::Stamp;
    use crate::calibrate::Calibrate;
    use crate::reference::{Calibration, LowSignal};
    use contract::{Frame, FrameInfo, FramePool, Layout, PixelFormat};
    use std::sync::Arc;

    const LAYOUT: Layout = Layout { pixels: 4, bands: 3, format: PixelFormat::F32 };
    const LIMITS: LightLimits = LightLimits { deviation: 0.02, least: 0.5, flicker: 0.01 };

    /// Findings for lines with the light `light(i, band)` on their last two pixels. The panel reflects 0.9.
    fn found(light: impl Fn(usize, usize) -> f64) -> Vec<LightFinding> {
        let mut watch = LightWatch::new(2..4, vec![(0, 400.0, 0.9), (2, 600.0, 0.9)], LIMITS, 10);
        let calibration = Calibration::Scaled { scale: 1.0, ignore: None };
        let mut calibrate = Calibrate::new(LAYOUT, Arc::new(calibration), None, LowSignal::default());
        let pool = FramePool::new(LAYOUT, 1);
        let mut found = Vec::new();
        for i in 0..60 {
            let mut slot = pool.try_take().unwrap();
            for (at, value) in slot.as_f32_mut().unwrap().iter_mut().enumerate() {
                let (band, pixel) = (at / LAYOUT.pixels, at % LAYOUT.pixels);
                *value = if pixel >= 2 { (0.9 * light(i, band)) as f32 } else { 0.3 };
            }
            let stamp = Stamp { frame: i as u64, time_ns: 0, position_mm: 0.0, y_mm: i as f64 };
            let line = calibrate.process(Line::new(stamp, Frame { info: FrameInfo::default(), slot }));
            watch.line(line, LAYOUT.bands, &mut |finding| found.push(finding));
        }
        found
    }

    #[test]
    fn a_lamp_that_fails_is_found_where_and_at_what_wavelength_it_fails() {
        let found = found(|i, band| if i >= 30 && band == 2 { 0.4 } else { 1.0 });
        assert!(matches!(found[0], LightFinding::Lost { nm: 600.0, y_mm: 30.0, .. }), "{found:?}");
        assert!(found[0].message("swir").contains("a lamp failed: from y = 30 mm on"));
    }

    #[test]
    fn a_deviation_is_reported_beyond_its_limit_and_once() {
        assert_eq!(found(|_, _| 0.982), []);
        let found = found(|_, _| 0.978);
        assert!(matches!(found[..], [LightFinding::Deviates { y_mm: 0.0, .. }]), "{found:?}");
    }

    #[test]
    fn flicker_is_reported_beyond_its_limit() {
        let wave = |amplitude: f64| move |i: usize, _: usize| 1.0 + amplitude * (i as f64 * 2.1).sin();
        assert_eq!(found(wave(0.012)), [], "an amplitude of 1.2 % is a scatter of 0.85 %");
        let found = found(wave(0.017));
        assert!(matches!(found[..], [LightFinding::Flickers { .. }]), "{found:?}");
    }
}
