//! The figures of a reference, and the limits that refuse a bad one.

use super::referenced::{HOT_DARK, median};
use super::{BandChange, Reference};
use crate::config::ReferenceLimits;
use crate::transpose::transpose;
use contract::Layout;

/// Figures of a dark or white reference. A share of 1 is 100 %.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Figures {
    /// Mean over all elements, counts.
    pub mean: f64,
    /// Share of elements at or above the saturation level, in their mean or in any frame.
    pub saturated: f64,
    /// Dark: median standard deviation over the frames, counts. White: the same as a share of the signal, in the noisiest pixel.
    pub noise: f64,
    /// White: standard deviation of the frames' mean levels, as a share of the signal.
    pub flicker: f64,
    /// White: the band of least signal above dark, and that signal in counts (median over the pixels).
    pub least_band: (usize, f64),
    /// White: darkest over brightest part of the line.
    pub evenness: f64,
    /// White: largest drop of a pixel below its surroundings, as a share.
    pub dirt: f64,
    /// Panel light in the dark reference, as a share of the panel's light; see [`leak`].
    pub leak: f64,
    /// Share of elements without a finite value.
    pub not_finite: f64,
}

/// Most elements without a finite value, as a share. With more, a reference is of no use.
const MOST_NOT_FINITE: f64 = 0.5;

/// Bands below this share of the strongest band's signal do not count for the line's evenness, noise and dirt.
const STRONG: f32 = 0.2;
/// A mean at this share of the saturation level is saturated, because the frames scatter about it.
const SATURATED: f64 = 0.995;
/// Reach of a pixel's surroundings, for the detection of dirt: the line's pixels divided by this, to either side.
const SURROUNDINGS: usize = 10;
/// Least reach of the surroundings, pixels.
const LEAST_SURROUNDINGS: usize = 6;

impl Figures {
    /// Figures of a dark reference. The saturation level is `full`, counts.
    pub fn dark(reference: &Reference, full: Option<f64>) -> Self {
        let noise = f64::from(median(reference.sd.clone()));
        let (saturated, not_finite) = (saturated(reference, full), not_finite(&reference.mean));
        Self { mean: mean(&reference.mean), saturated, not_finite, noise, evenness: 1.0, ..Self::default() }
    }

    /// Figures of a white reference over a `dark` one, for frames of `layout`. The saturation level is `full`, counts.
    pub fn white(reference: &Reference, dark: &Reference, layout: Layout, full: Option<f64>) -> Self {
        let Layout { pixels, bands, .. } = layout;
        let signal: Vec<f32> = reference.mean.iter().zip(&dark.mean).map(|(white, dark)| white - dark).collect();
        let typical: Vec<f32> = signal.chunks(pixels).map(|band| median(band.to_vec())).collect();
        let least = typical.iter().copied().enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((0, 0.0));
        let strongest = typical.iter().copied().fold(0.0, f32::max);
        let strong: Vec<usize> = (0..bands).filter(|band| typical[*band] > 0.0 && typical[*band] >= STRONG * strongest).collect();
        // The median over the bands of each pixel, as a share of the band's typical value.
        let over_bands = |table: &[f32]| -> Vec<f32> {
            let mut transposed = vec![0.0; table.len()];
            transpose(table, pixels, &mut transposed);
            let shares = |spectrum: &[f32]| strong.iter().map(|band| spectrum[*band] / typical[*band]).collect();
            transposed.chunks_exact(bands.max(1)).map(|spectrum| median(shares(spectrum))).collect()
        };
        let profile = smooth(&over_bands(&signal));
        let scatter = smooth(&over_bands(&reference.sd));
        let (darkest, brightest) = profile.iter().fold((f32::INFINITY, 0.0_f32), |(lo, hi), p| (lo.min(*p), hi.max(*p)));
        let level = mean(&reference.mean);
        // Hot elements are saturated in the dark already.
        let hot = saturated(dark, full);
        Self {
            mean: level,
            saturated: (saturated(reference, full) - hot).max(0.0),
            noise: f64::from(scatter.iter().copied().fold(0.0, f32::max)),
            flicker: f64::from(reference.level_sd) / (level - mean(&dark.mean)).max(1.0),
            least_band: (least.0, f64::from(least.1)),
            evenness: if brightest > 0.0 { f64::from(darkest.max(0.0) / brightest) } else { 0.0 },
            dirt: f64::from(dirt(&profile)),
            leak: leak(dark, reference, layout, full),
            not_finite: not_finite(&reference.mean),
        }
    }
}

/// The share of the panel's light that a dark reference holds. It is the slope of the line through (white - dark, dark) of all elements,
/// by least squares. A true dark level does not follow the light over the line and the spectrum. Light through a leaking shutter does. Hot
/// elements are left out.
pub fn leak(dark: &Reference, white: &Reference, layout: Layout, full: Option<f64>) -> f64 {
    let full = full.unwrap_or(f64::INFINITY);
    let (mut n, mut sum, mut squares) = (0.0, (0.0, 0.0), (0.0, 0.0));
    for (dark, white) in dark.mean.chunks(layout.pixels).zip(white.mean.chunks(layout.pixels)) {
        let level = f64::from(median(dark.to_vec()));
        for (dark, white) in dark.iter().zip(white) {
            let (dark, white) = (f64::from(*dark), f64::from(*white));
            if dark - level > f64::from(HOT_DARK) * full || white >= SATURATED * full || white <= dark || !(white - dark).is_finite() {
                continue;
            }
            let signal = white - dark;
            n += 1.0;
            sum = (sum.0 + signal, sum.1 + dark);
            squares = (squares.0 + signal * signal, squares.1 + signal * dark);
        }
    }
    let (spread, together) = (squares.0 - sum.0 * sum.0 / n, squares.1 - sum.0 * sum.1 / n);
    if n >= 2.0 && spread > 0.0 { (together / spread).max(0.0) } else { 0.0 }
}

/// A figure beyond its limit, in words, and the remedy.
pub type Refusal = (String, &'static str);

impl Figures {
    /// Why a reference of numbers that are mostly not finite is refused; `None` if it is good.
    pub fn refuse_not_finite(&self) -> Option<Refusal> {
        let figure = || format!("{:.1} % of its elements have no finite value in every frame", 100.0 * self.not_finite);
        (self.not_finite > MOST_NOT_FINITE).then(|| (figure(), "record it again, and check what wrote its file"))
    }
}

impl ReferenceLimits {
    /// Why a dark reference is refused; `None` if it is good. The saturation level is `full`, counts. `changed` is what the change since
    /// the last good reference does to a target of 5 % ([`PanelLight::dark_change`](super::PanelLight::dark_change)).
    pub fn refuse_dark(&self, figures: &Figures, full: Option<f64>, changed: Option<BandChange>) -> Option<Refusal> {
        full.and_then(|full| self.refuse_level(figures, full)).or_else(|| {
            let BandChange { nm, share } = changed.filter(|changed| changed.share.abs() > self.max_dark_change)?;
            let figure = format!(
                "since the last good one, it changes a reflectance of 5 % by {:.1} % of that at {nm:.0} nm, at most {:.1} % (references.limits.max_dark_change)",
                100.0 * share.abs(),
                100.0 * self.max_dark_change
            );
            Some((figure, "check shutter, lamps and temperature; if the change is meant, take it with `--accept-change`"))
        })
    }

    fn refuse_level(&self, figures: &Figures, full: f64) -> Option<Refusal> {
        let percent = |counts: f64| 100.0 * counts / full;
        if figures.mean > self.max_dark * full {
            let figure = format!(
                "mean {:.1} % of full scale, at most {:.1} % (references.limits.max_dark)",
                percent(figures.mean),
                100.0 * self.max_dark
            );
            return Some((figure, "check that the shutter closes and the lamps are off"));
        }
        if figures.noise > self.max_dark_noise * full {
            let figure = format!(
                "noise {:.2} % of full scale, at most {:.2} % (references.limits.max_dark_noise)",
                percent(figures.noise),
                100.0 * self.max_dark_noise
            );
            return Some((figure, "check the camera's cooling, its cable, and that no light leaks in"));
        }
        self.refuse_leak(figures)
    }

    fn refuse_leak(&self, figures: &Figures) -> Option<Refusal> {
        let (leak, most) = (100.0 * figures.leak, 100.0 * self.max_leak);
        let figure =
            || format!("the dark reference holds {leak:.2} % of the panel's light, at most {most:.2} % (references.limits.max_leak)");
        (figures.leak > self.max_leak).then(|| (figure(), "check that the shutter closes, then take the dark reference again"))
    }

    /// Why a white reference is refused; `None` if it is good. The saturation level is `full`, the mean of its own dark reference `dark`,
    /// both counts. `changed` is the change of the light since the last good one ([`PanelLight::change`](super::PanelLight::change)).
    pub fn refuse_white(
        &self,
        figures: &Figures,
        dark: f64,
        full: Option<f64>,
        wavelengths_nm: &[f64],
        changed: Option<BandChange>,
    ) -> Option<Refusal> {
        let percent = |share: f64| 100.0 * share;
        if let Some(full) = full {
            if figures.saturated > self.max_saturated {
                let figure = format!(
                    "{:.2} % of elements are saturated, at most {:.2} % (references.limits.max_saturated)",
                    percent(figures.saturated),
                    percent(self.max_saturated)
                );
                return Some((figure, "expose shorter (camera.exposure_us) or dim the lamps (light.level)"));
            }
            let signal = (figures.mean - dark) / full;
            if signal < self.min_signal {
                let (signal, least) = (percent(signal), percent(self.min_signal));
                let figure =
                    format!("mean signal {signal:.2} % of full scale above dark, at least {least:.2} % (references.limits.min_signal)");
                return Some((figure, "check lamps, shutter and that the panel lies where references.panel_mm says"));
            }
            let (band, counts) = figures.least_band;
            if counts < self.min_band_signal * full {
                let nm = wavelengths_nm.get(band).copied().unwrap_or_default();
                let (signal, least) = (percent(counts / full), percent(self.min_band_signal));
                let figure = format!(
                    "signal at {nm:.0} nm {signal:.3} % of full scale above dark, at least {least:.3} % (references.limits.min_band_signal)"
                );
                return Some((
                    figure,
                    "expose longer, check that every lamp burns, or leave out bands that the camera cannot see (camera.use_nm)",
                ));
            }
        }
        if let Some(refusal) = self.refuse_leak(figures) {
            return Some(refusal);
        }
        if figures.flicker > self.max_flicker {
            let (flicker, most) = (percent(figures.flicker), percent(self.max_flicker));
            let figure =
                format!("the light flickers by {flicker:.2} % from line to line, at most {most:.2} % (references.limits.max_flicker)");
            return Some((figure, "check the lamps and their supply, or wait until they are warm"));
        }
        if figures.evenness < self.min_evenness {
            let (darkest, least) = (percent(figures.evenness), percent(self.min_evenness));
            let figure = format!(
                "the darkest part of the line has {darkest:.0} % of the brightest, at least {least:.0} % (references.limits.min_evenness)"
            );
            return Some((figure, "check that the panel fills the line and that all of it is lit"));
        }
        if figures.dirt > self.max_dirt {
            let (drop, most) = (percent(figures.dirt), percent(self.max_dirt));
            let figure = format!("a spot is {drop:.1} % darker than its surroundings, at most {most:.1} % (references.limits.max_dirt)");
            return Some((figure, "clean the panel"));
        }
        if figures.noise > self.max_white_noise {
            let (noise, most) = (percent(figures.noise), percent(self.max_white_noise));
            let figure =
                format!("noise {noise:.2} % of the signal in the noisiest pixel, at most {most:.2} % (references.limits.max_white_noise)");
            return Some((figure, "clean the panel, expose longer, or average more frames (references.frames)"));
        }
        if let Some(BandChange { nm, share }) = changed.filter(|changed| changed.share.abs() > self.max_change) {
            let (share, most) = (percent(share), percent(self.max_change));
            let figure = format!(
                "it differs from the last good one by {share:+.1} % at {nm:.0} nm, at most {most:.1} % (references.limits.max_change): scans since then are in doubt"
            );
            return Some((figure, "check lamps and panel; if the change is meant, take it with `--accept-change`"));
        }
        None
    }
}

fn saturated(reference: &Reference, full: Option<f64>) -> f64 {
    let Some(full) = full else { return 0.0 };
    let saturated = |(mean, peak): (&f32, &f32)| f64::from(*mean) >= SATURATED * full || f64::from(*peak) >= full;
    share(reference.mean.iter().zip(&reference.peak).map(saturated))
}

fn not_finite(values: &[f32]) -> f64 {
    share(values.iter().map(|value| !value.is_finite()))
}

/// The share of true values; 0 without values.
#[expect(clippy::cast_precision_loss, reason = "numbers of elements")]
fn share(values: impl ExactSizeIterator<Item = bool>) -> f64 {
    let n = values.len().max(1);
    values.filter(|value| *value).count() as f64 / n as f64
}

/// The mean of the finite values; 0 without finite values.
pub fn mean(values: &[f32]) -> f64 {
    finite_mean(values.iter().map(|value| f64::from(*value)))
}

/// The same, of any values.
pub(crate) fn finite_mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, n) = values.filter(|value| value.is_finite()).fold((0.0, 0.0), |(sum, n), value| (sum + value, n + 1.0));
    sum / f64::max(n, 1.0)
}

/// Mean of each value and its neighbours.
fn smooth(values: &[f32]) -> Vec<f32> {
    #[expect(clippy::cast_precision_loss, reason = "at most three values")]
    let mean = |part: &[f32]| part.iter().sum::<f32>() / part.len() as f32;
    (0..values.len()).map(|i| mean(&values[i.saturating_sub(1)..(i + 2).min(values.len())])).collect()
}

/// Largest drop below the median of the surroundings.
fn dirt(profile: &[f32]) -> f32 {
    let reach = (profile.len() / SURROUNDINGS).max(LEAST_SURROUNDINGS);
    let drops = profile.iter().enumerate().map(|(i, value)| {
        // Equally far to both sides, because the light falls off towards the edges.
        let reach = reach.min(i.max(LEAST_SURROUNDINGS)).min((profile.len() - 1 - i).max(LEAST_SURROUNDINGS));
        let surroundings = median(profile[i.saturating_sub(reach)..(i + reach + 1).min(profile.len())].to_vec());
        if surroundings > 0.0 { 1.0 - value / surroundings } else { 0.0 }
    });
    drops.fold(0.0, f32::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{DARK_TARGET, PanelLight};
    use contract::{Exposure, PixelFormat};

    const LAYOUT: Layout = Layout { pixels: 100, bands: 6, format: PixelFormat::U16 };
    const FULL: Option<f64> = Some(4095.0);

    fn reference(level: impl Fn(usize, usize) -> f32, sd: f32) -> Reference {
        let mean = (0..LAYOUT.bands).flat_map(|band| (0..LAYOUT.pixels).map(move |pixel| (band, pixel)));
        let mean: Vec<f32> = mean.map(|(band, pixel)| level(band, pixel)).collect();
        let exposure = Exposure { exposure_us: 1.0, frame_rate_hz: 1.0, binning: (1, 1) };
        let sd = vec![sd; LAYOUT.elements()];
        Reference { peak: Vec::clone(&mean), mean, sd, frames: 10, level_sd: 0.5, taken_ns: 0, temperature_c: None, exposure }
    }

    fn refused(level: impl Fn(usize, usize) -> f32, sd: f32) -> Option<String> {
        let dark = reference(|_, _| 100.0, 3.0);
        let white = reference(level, sd);
        let figures = Figures::white(&white, &dark, LAYOUT, FULL);
        let wavelengths: Vec<f64> = (0..LAYOUT.bands).map(|band| 400.0 + 100.0 * band as f64).collect();
        ReferenceLimits::default().refuse_white(&figures, 100.0, FULL, &wavelengths, None).map(|refusal| refusal.0)
    }

    /// Each limit: one step beyond it, and one within it.
    #[test]
    fn every_limit_of_a_white_reference_refuses_beyond_it_and_not_before() {
        let limits = ReferenceLimits::default();
        let good = |_: usize, _: usize| 2100.0_f32;
        assert_eq!(refused(good, 5.0), None);
        let share = |n: usize| move |band: usize, pixel: usize| if band * 100 + pixel < n { 4095.0 } else { 2100.0 };
        assert_eq!(limits.max_saturated, 0.01);
        assert!(refused(share(7), 5.0).unwrap().contains("saturated"));
        let band = |counts: f64| move |band: usize, _: usize| if band == 5 { 100.0 + counts as f32 } else { 2100.0 };
        let least = limits.min_band_signal * 4095.0;
        assert!(refused(band(least * 0.98), 1.0).unwrap().contains("900 nm"));
        assert_eq!(refused(band(least * 1.02), 1.0), None);
        let half = |share: f64| move |_: usize, pixel: usize| 100.0 + 2000.0 * if pixel >= 50 { share as f32 } else { 1.0 };
        assert!(refused(half(limits.min_evenness * 0.98), 1.0).unwrap().contains("darkest part"));
        let streak =
            |share: f64| move |_: usize, pixel: usize| 100.0 + 2000.0 * if (40..44).contains(&pixel) { 1.0 - share as f32 } else { 1.0 };
        assert!(refused(streak(limits.max_dirt * 1.02), 1.0).unwrap().contains("surroundings"));
        assert_eq!(refused(streak(limits.max_dirt * 0.98), 1.0), None);
        let noise = (limits.max_white_noise * 2000.0) as f32;
        assert!(refused(good, noise * 1.02).unwrap().contains("noise"));
        assert_eq!(refused(good, noise * 0.98), None);
    }

    #[test]
    fn light_that_falls_off_towards_the_edges_is_no_dirt() {
        let vignetted = |_: usize, pixel: usize| 100.0 + 2000.0 * (0.75 + 0.25 * (1.1 * (2.0 * (pixel as f32 + 0.5) / 100.0 - 1.0)).cos());
        assert_eq!(refused(vignetted, 1.0), None);
    }

    #[test]
    fn a_change_since_the_last_good_reference_is_refused() {
        let (dark, then) = (reference(|_, _| 100.0, 3.0), reference(|_, _| 2100.0, 3.0));
        let limits = ReferenceLimits::default();
        for (share, good) in [(1.02, false), (0.98, true)] {
            let now = reference(|_, _| 100.0 + 2000.0 * (1.0 - (share * limits.max_change) as f32), 3.0);
            let figures = Figures::white(&now, &dark, LAYOUT, FULL);
            let light = |white| PanelLight { white: (white, &dark), layout: LAYOUT, saturation: FULL, wavelengths_nm: &[500.0; 6] };
            let changed = light(&now).change((&then, &dark));
            assert_eq!(limits.refuse_white(&figures, 100.0, FULL, &[500.0; 6], Some(changed)).is_none(), good, "{changed:?}");
            let dark_now = reference(|_, _| 100.0 + (share * limits.max_dark_change * f64::from(DARK_TARGET) * 2000.0) as f32, 3.0);
            let changed = light(&then).dark_change(&dark_now, &dark, &[1.0; 6]);
            assert_eq!(limits.refuse_dark(&Figures::dark(&dark_now, FULL), FULL, Some(changed)).is_none(), good, "{changed:?}");
        }
    }
}
