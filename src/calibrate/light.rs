//! The light on a white strip beside the tray, line by line.
//!
//! The strip is of the panel's material, so its reflectance as calibrated must be the panel's; what differs is the light.

use super::{Line, Reflectance};
use std::ops::Range;

/// What is watched for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LightLimits {
    /// Most deviation from the light of the white reference, as a share.
    pub deviation: f64,
    /// Least light, as a share of that of the white reference.
    pub least: f64,
    /// Most scatter from line to line, as a share.
    pub flicker: f64,
}

/// Something is wrong with the light.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LightFinding {
    /// It is not as bright as when the white reference was taken.
    Deviates {
        /// At this wavelength, nm.
        nm: f64,
        /// Light as a share of that of the white reference.
        share: f64,
        /// From this place along the tray on, mm.
        y_mm: f64,
    },
    /// It is nearly gone.
    Lost {
        /// At this wavelength, nm.
        nm: f64,
        /// Light as a share of that of the white reference.
        share: f64,
        /// From this place along the tray on, mm.
        y_mm: f64,
    },
    /// It changes from line to line.
    Flickers {
        /// Standard deviation as a share.
        share: f64,
        /// From this place along the tray on, mm.
        y_mm: f64,
    },
}

impl LightFinding {
    /// The finding in words, for the camera that saw it.
    pub fn message(&self, camera: &str) -> String {
        let remedy = "check the lamps, and scan again from there";
        match *self {
            Self::Deviates { nm, share, y_mm } => {
                format!(
                    "{camera}: from y = {y_mm:.0} mm on, the light at {nm:.0} nm is {:.1} % of that of the white reference; {remedy}",
                    100.0 * share
                )
            }
            Self::Lost { nm, share, y_mm } => {
                format!(
                    "{camera}: a lamp failed: from y = {y_mm:.0} mm on, the light at {nm:.0} nm is {:.0} % of that of the white reference; {remedy}",
                    100.0 * share
                )
            }
            Self::Flickers { share, y_mm } => {
                format!("{camera}: from y = {y_mm:.0} mm on, the light flickers by {:.1} % from line to line; {remedy}", 100.0 * share)
            }
        }
    }
}

/// Sums over the lines of one stretch.
#[derive(Debug, Default, Clone)]
struct Stretch {
    lines: u32,
    begin_mm: f64,
    /// Per wavelength.
    light: Vec<f64>,
    /// Of the lines' mean light, and of its squares.
    level: (f64, f64),
}

/// Watches the light of one camera. Each kind of finding is told once a scan.
#[derive(Debug)]
pub struct LightWatch {
    pixels: Range<usize>,
    /// Band, its wavelength in nm, and the panel's reflectance there.
    bands: Vec<(usize, f64, f64)>,
    limits: LightLimits,
    /// Lines that are looked at together.
    stretch_lines: u32,
    stretch: Stretch,
    told: [bool; 3],
}

impl LightWatch {
    /// A watch on `pixels` at `bands` (number, nm, reflectance of the panel); `stretch_lines` lines are looked at together.
    pub fn new(pixels: Range<usize>, bands: Vec<(usize, f64, f64)>, limits: LightLimits, stretch_lines: u32) -> Self {
        let stretch = Stretch { light: vec![0.0; bands.len()], ..Stretch::default() };
        Self { pixels, bands, limits, stretch_lines: stretch_lines.max(2), stretch, told: [false; 3] }
    }

    /// Looks at a line.
    #[expect(clippy::cast_precision_loss, reason = "a strip has few pixels")]
    pub fn line(&mut self, line: &Line<Reflectance>, bands: usize, out: &mut dyn FnMut(LightFinding)) {
        let stretch = &mut self.stretch;
        if stretch.lines == 0 {
            stretch.begin_mm = line.stamp.y_mm;
        }
        let mut level = 0.0;
        for (light, (band, _, panel)) in stretch.light.iter_mut().zip(&self.bands) {
            let sum: f64 = self.pixels.clone().map(|pixel| f64::from(line.values()[pixel * bands + band])).sum();
            let share = sum / (self.pixels.len() as f64 * panel);
            *light += share;
            level += share / self.bands.len() as f64;
        }
        stretch.level = (stretch.level.0 + level, stretch.level.1 + level * level);
        stretch.lines += 1;
        if stretch.lines == self.stretch_lines {
            self.judge(out);
            let light = std::mem::take(&mut self.stretch.light);
            self.stretch = Stretch { light, ..Stretch::default() };
            self.stretch.light.fill(0.0);
        }
    }

    fn judge(&mut self, out: &mut dyn FnMut(LightFinding)) {
        let Stretch { lines, begin_mm: y_mm, light, level } = &self.stretch;
        let (n, y_mm) = (f64::from(*lines), *y_mm);
        let mut tell = |kind: usize, finding| {
            if !std::mem::replace(&mut self.told[kind], true) {
                out(finding);
            }
        };
        let shares = light.iter().zip(&self.bands).map(|(light, (_, nm, _))| (light / n, *nm));
        let furthest = shares.clone().max_by(|a, b| (a.0 - 1.0).abs().total_cmp(&(b.0 - 1.0).abs()));
        if let Some((share, nm)) = shares.min_by(|a, b| a.0.total_cmp(&b.0)).filter(|(share, _)| *share < self.limits.least) {
            tell(0, LightFinding::Lost { nm, share, y_mm });
        }
        if let Some((share, nm)) = furthest.filter(|(share, _)| (share - 1.0).abs() > self.limits.deviation) {
            tell(1, LightFinding::Deviates { nm, share, y_mm });
        }
        let mean = level.0 / n;
        let scatter = ((level.1 - level.0 * mean) / (n - 1.0)).max(0.0).sqrt() / mean.abs().max(1e-6);
        // A stretch in which the light goes out scatters too.
        if mean > self.limits.least && scatter > self.limits.flicker {
            tell(2, LightFinding::Flickers { share: scatter, y_mm });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Calibrate, Calibration};
    use super::*;
    use crate::acquire::Stamp;
    use contract::{Frame, FrameInfo, FramePool, Layout, PixelFormat};
    use std::sync::Arc;

    const LAYOUT: Layout = Layout { pixels: 4, bands: 3, format: PixelFormat::F32 };
    const LIMITS: LightLimits = LightLimits { deviation: 0.02, least: 0.5, flicker: 0.01 };

    /// What a watch finds when line `i` has the light `light(i, band)` on its last two pixels; the panel reflects 0.9.
    fn found(light: impl Fn(usize, usize) -> f64) -> Vec<LightFinding> {
        let mut watch = LightWatch::new(2..4, vec![(0, 400.0, 0.9), (2, 600.0, 0.9)], LIMITS, 10);
        let calibration = Calibration::Scaled { scale: 1.0, ignore: None };
        let mut calibrate = Calibrate::new(LAYOUT, Arc::new(calibration), None, 5.0);
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
    fn a_deviation_is_told_beyond_its_limit_and_once() {
        assert_eq!(found(|_, _| 0.982), []);
        let found = found(|_, _| 0.978);
        assert!(matches!(found[..], [LightFinding::Deviates { y_mm: 0.0, .. }]), "{found:?}");
    }

    #[test]
    fn flicker_is_told_beyond_its_limit() {
        let wave = |amplitude: f64| move |i: usize, _: usize| 1.0 + amplitude * (i as f64 * 2.1).sin();
        assert_eq!(found(wave(0.012)), [], "an amplitude of 1.2 % is a scatter of 0.85 %");
        let found = found(wave(0.017));
        assert!(matches!(found[..], [LightFinding::Flickers { .. }]), "{found:?}");
    }
}
