//! Judges the light on a white strip beside the tray, line by line.

use crate::scan::LightRange;

/// Limits of the light on the strip.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LightLimits {
    /// Largest deviation from the light of the white reference, as a share.
    pub deviation: f64,
    /// Least light, as a share of the white reference's.
    pub least: f64,
    /// Largest scatter from line to line, as a share.
    pub flicker: f64,
    /// Largest deviation that is corrected, as a share; 0 corrects nothing.
    pub correction: f64,
}

/// Whether a light is corrected that has this `share` of the white reference's, where it may differ by `most`, as a share; 0 corrects none.
pub(super) fn corrects(share: f64, most: f64) -> bool {
    // NaN is not within.
    most > 0.0 && (share - 1.0).abs() <= most
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
        /// Whether the lines are corrected for it.
        corrected: bool,
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
            Self::Deviates { nm, share, y_mm, corrected } => {
                let remedy = if corrected { "the lines are corrected for it; check the lamps" } else { remedy };
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
    /// Wavelength of each group of bands, nm.
    groups_nm: Vec<f64>,
    limits: LightLimits,
    /// Number of lines per stretch.
    stretch_lines: u32,
    stretch: Stretch,
    reported: [bool; 3],
    /// Least and largest light of a stretch, as shares.
    range: Option<(f64, f64)>,
    /// Lines that were not corrected.
    uncorrected: u64,
}

impl LightWatch {
    /// A watch on the light in groups of bands at `groups_nm`, nm. It judges stretches of `stretch_lines` lines.
    pub fn new(groups_nm: Vec<f64>, limits: LightLimits, stretch_lines: u32) -> Self {
        let stretch = Stretch { light: vec![(0.0, 0.0); groups_nm.len()], ..Stretch::default() };
        let stretch_lines = stretch_lines.max(2);
        Self { groups_nm, limits, stretch_lines, stretch, reported: [false; 3], range: None, uncorrected: 0 }
    }

    /// Adds the light of the line at `y_mm` (mm), as a share of the white reference's for each group of bands, and reports findings to `out`.
    /// A group without a value is NaN.
    pub fn line(&mut self, y_mm: f64, shares: &[f64], out: &mut dyn FnMut(LightFinding)) {
        self.uncorrected += u64::from(!shares.iter().all(|share| corrects(*share, self.limits.correction)));
        let stretch = &mut self.stretch;
        if stretch.lines == 0 {
            stretch.begin_mm = y_mm;
        }
        let (mut level, mut seen) = (0.0, 0.0);
        for (light, share) in stretch.light.iter_mut().zip(shares) {
            // A group without a value says nothing about the light.
            if share.is_finite() {
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

    /// The light over the scan; `None` where no stretch of lines was whole.
    pub fn range(&self) -> Option<LightRange> {
        self.range.map(|(least, largest)| LightRange { least, largest, uncorrected_lines: self.uncorrected })
    }

    fn judge(&mut self, out: &mut dyn FnMut(LightFinding)) {
        let Stretch { lines, begin_mm: y_mm, light, level } = &self.stretch;
        let (n, y_mm) = (f64::from(*lines), *y_mm);
        let mut report = |kind: usize, finding| {
            if !std::mem::replace(&mut self.reported[kind], true) {
                out(finding);
            }
        };
        let seen = light.iter().zip(&self.groups_nm).filter(|((_, lines), _)| *lines > 0.0);
        let shares = seen.map(|((light, lines), nm)| (light / lines, *nm));
        for (share, _) in shares.clone() {
            let (least, largest) = self.range.unwrap_or((share, share));
            self.range = Some((least.min(share), largest.max(share)));
        }
        let furthest = shares.clone().max_by(|a, b| (a.0 - 1.0).abs().total_cmp(&(b.0 - 1.0).abs()));
        if let Some((share, nm)) = shares.min_by(|a, b| a.0.total_cmp(&b.0)).filter(|(share, _)| *share < self.limits.least) {
            report(0, LightFinding::Lost { nm, share, y_mm });
        }
        if let Some((share, nm)) = furthest.filter(|(share, _)| (share - 1.0).abs() > self.limits.deviation) {
            report(1, LightFinding::Deviates { nm, share, y_mm, corrected: corrects(share, self.limits.correction) });
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

    const LIMITS: LightLimits = LightLimits { deviation: 0.02, least: 0.5, flicker: 0.01, correction: 0.3 };

    /// A watch that saw lines with the light `light(i, group)`, and its findings.
    fn watched(limits: LightLimits, light: impl Fn(usize, usize) -> f64) -> (LightWatch, Vec<LightFinding>) {
        let mut watch = LightWatch::new(vec![400.0, 600.0], limits, 10);
        let mut found = Vec::new();
        for i in 0..60 {
            watch.line(i as f64, &[light(i, 0), light(i, 1)], &mut |finding| found.push(finding));
        }
        (watch, found)
    }

    fn found(light: impl Fn(usize, usize) -> f64) -> Vec<LightFinding> {
        watched(LIMITS, light).1
    }

    #[test]
    fn a_lamp_that_fails_is_found_where_and_at_what_wavelength_it_fails() {
        let found = found(|i, band| if i >= 30 && band == 1 { 0.4 } else { 1.0 });
        assert!(matches!(found[0], LightFinding::Lost { nm: 600.0, y_mm: 30.0, .. }), "{found:?}");
        assert!(found[0].message("swir").contains("a lamp failed: from y = 30 mm on"));
    }

    #[test]
    fn a_deviation_is_reported_beyond_its_limit_and_once() {
        assert_eq!(found(|_, _| 0.982), []);
        let found = found(|_, _| 0.978);
        assert!(matches!(found[..], [LightFinding::Deviates { y_mm: 0.0, corrected: true, .. }]), "{found:?}");
        assert!(found[0].message("swir").contains("corrected for it"));
    }

    #[test]
    fn light_beyond_the_correction_is_told_apart() {
        let step = |share: f64| move |i: usize, _: usize| if i >= 30 { share } else { 1.0 };
        for (share, correction, uncorrected) in [(0.71, 0.3, 0), (0.69, 0.3, 30), (0.97, 0.0, 60)] {
            let (watch, found) = watched(LightLimits { correction, ..LIMITS }, step(share));
            let range = watch.range().unwrap();
            assert!((range.least - share).abs() < 1e-9 && (range.largest - 1.0).abs() < 1e-9, "{range:?}");
            assert_eq!(range.uncorrected_lines, uncorrected);
            assert!(matches!(found[0], LightFinding::Deviates { corrected, .. } if corrected == (uncorrected == 0)), "{found:?}");
        }
        assert_eq!(LightWatch::new(vec![400.0], LIMITS, 10).range(), None);
    }

    #[test]
    fn flicker_is_reported_beyond_its_limit() {
        let wave = |amplitude: f64| move |i: usize, _: usize| 1.0 + amplitude * (i as f64 * 2.1).sin();
        assert_eq!(found(wave(0.012)), [], "an amplitude of 1.2 % is a scatter of 0.85 %");
        let found = found(wave(0.017));
        assert!(matches!(found[..], [LightFinding::Flickers { .. }]), "{found:?}");
    }
}
