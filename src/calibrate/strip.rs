//! The light of each line, measured on a white strip beside the tray.
//!
//! The strip lies in the view of the white reference too. Its signal in a line, as a share of that in the white reference, is the share of
//! the light. The share is measured in groups of neighbouring bands, because lamps that fail or warm up change their colour.

use super::kernel::Element;
use super::light::corrects;
use crate::reference::{Reference, Referenced, Response, finite_mean};
use std::ops::Range;

/// Most groups of bands.
const MOST_GROUPS: usize = 16;
/// Standard uncertainty of a group's share in one line, for which groups are made large enough.
const GROUP_UNCERTAINTY: f64 = 5e-4;
/// Least noise of an element, as a share of its signal. A white reference of few frames shows too little.
const LEAST_NOISE: f64 = 1e-3;

/// An element of the detector that sees the strip.
#[derive(Debug, Clone, Copy, PartialEq)]
struct StripElement {
    /// Index in a frame.
    at: usize,
    /// Dark level and its whole rise, counts.
    dark: f32,
    rise: f32,
    /// Signal of the white reference, counts.
    white: f32,
}

/// Neighbouring bands whose light is measured together.
#[derive(Debug, Clone, PartialEq)]
struct Group {
    elements: Range<usize>,
    /// Mean band, weighted by signal.
    centre: f64,
}

/// The dark level of a line, and the response of its detector.
#[derive(Debug, Clone, Copy)]
pub(super) struct LineState {
    /// Share of the dark level's rise.
    pub risen: f32,
    /// The response, and the line's stray light in counts.
    pub response: Option<(Response, f32)>,
    /// Counts from which an element is saturated.
    pub saturation: f32,
}

/// Measures the light on the strip in each line, as shares of that of the white reference.
#[derive(Debug)]
pub struct StripLight {
    elements: Vec<StripElement>,
    groups: Vec<Group>,
    /// Shares of the latest line by group; NaN where no element saw it.
    shares: Vec<f64>,
    /// Largest difference of a share from one that is corrected. 0 corrects nothing.
    most: f64,
    /// Group below each band, and the weight of the next one.
    places: Vec<(usize, f64)>,
    /// Factor of each band's reflectance in the latest line, `[band]`.
    factors: Vec<f32>,
}

impl StripLight {
    /// The light on the strip that `pixels` see. `runs` are the used bands of a frame with `width` pixels. A light that differs by at most
    /// `most` from the white reference's, as a share, is corrected.
    ///
    /// `None` where no good element sees the strip.
    #[expect(clippy::cast_precision_loss, reason = "band numbers are small")]
    pub(super) fn new(referenced: &Referenced, runs: &[Range<usize>], width: usize, pixels: Range<usize>, most: f64) -> Option<Self> {
        let used: Vec<usize> = runs.iter().cloned().flatten().collect();
        let bands = used.len();
        let mut elements = Vec::new();
        // Signal and variance of each band's white reference on the strip.
        let mut sums = vec![(0.0, 0.0); bands];
        let mut ends = vec![0; bands];
        for (band, frame_band) in used.iter().enumerate() {
            for pixel in pixels.clone() {
                let at = band * width + pixel;
                let gain = referenced.gain[at];
                if referenced.bad[at] != 0 || gain <= 0.0 {
                    continue;
                }
                let white = referenced.panel_at(at, band) / gain;
                let rise = referenced.drift.as_ref().map_or(0.0, |drift| drift.rise[at]);
                elements.push(StripElement { at: frame_band * width + pixel, dark: referenced.dark.mean[at], rise, white });
                let (signal, sd) = (f64::from(white), f64::from(referenced.white.sd[at]));
                sums[band] = (sums[band].0 + signal, sums[band].1 + sd.max(LEAST_NOISE * signal).powi(2));
            }
            ends[band] = elements.len();
        }
        // By signal-to-noise ratio squared, which adds up.
        let worth: Vec<f64> =
            sums.iter().map(|(signal, variance)| if *variance > 0.0 { signal * signal / variance } else { 0.0 }).collect();
        let total: f64 = worth.iter().sum();
        if elements.is_empty() || total <= 0.0 {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to few groups")]
        let n = (total * GROUP_UNCERTAINTY.powi(2)).clamp(1.0, MOST_GROUPS as f64) as usize;
        let mut groups: Vec<Group> = Vec::new();
        let (mut first, mut begin, mut gathered) = (0, 0, 0.0);
        for band in 0..bands {
            gathered += worth[band];
            let full = gathered >= total * (groups.len() + 1) as f64 / n as f64 * (1.0 - 1e-9);
            if !full && band + 1 < bands {
                continue;
            }
            if ends[band] > begin {
                let signal: f64 = sums[first..=band].iter().map(|sum| sum.0).sum();
                let centre = sums[first..=band].iter().enumerate().map(|(i, sum)| (first + i) as f64 * sum.0).sum::<f64>() / signal;
                groups.push(Group { elements: begin..ends[band], centre });
            }
            (first, begin) = (band + 1, ends[band]);
        }
        let places = (0..bands).map(|band| place(&groups, band as f64)).collect();
        let shares = vec![f64::NAN; groups.len()];
        Some(Self { elements, groups, shares, most, places, factors: vec![1.0; bands] })
    }

    /// The mean band of each group.
    pub(super) fn centres(&self) -> impl Iterator<Item = f64> {
        self.groups.iter().map(|group| group.centre)
    }

    /// Shares of the light in the latest line, by group; NaN where no element saw it.
    pub(super) fn shares(&self) -> &[f64] {
        &self.shares
    }

    /// Measures the light of a line with the `counts` of a frame. Gives the factor of each band's reflectance; `None` where the line is not
    /// corrected.
    pub(super) fn measure<T: Element>(&mut self, counts: &[T], line: LineState) -> Option<&[f32]> {
        for (share, group) in self.shares.iter_mut().zip(&self.groups) {
            let (mut signal, mut white) = (0.0, 0.0);
            for element in &self.elements[group.elements.clone()] {
                let count = counts[element.at].number();
                if count >= line.saturation || !count.is_finite() {
                    continue;
                }
                let mut above = count - element.dark - line.risen * element.rise;
                if let Some((response, stray)) = line.response {
                    above = response.straight(above) - stray;
                }
                (signal, white) = (signal + f64::from(above), white + f64::from(element.white));
            }
            *share = signal / white;
        }
        if !self.shares.iter().all(|share| corrects(*share, self.most)) {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "a factor needs no more than f32")]
        let inverse = |light: f64| (1.0 / light) as f32;
        self.factors.iter_mut().zip(of_bands(&self.shares, &self.places)).for_each(|(factor, light)| *factor = inverse(light));
        Some(&self.factors)
    }
}

/// The light of each band, as a share, from the `shares` of the groups and the `places` of the bands among them.
fn of_bands(shares: &[f64], places: &[(usize, f64)]) -> impl Iterator<Item = f64> {
    let last = shares.len() - 1;
    places.iter().map(move |(group, part)| {
        let (below, above) = (shares[*group], shares[(*group + 1).min(last)]);
        below + part * (above - below)
    })
}

/// The change of the light from the white reference of a calibration to another white reference `after`, which has the dark reference
/// `own_dark`, as a share, `[band]`. `None` where no element tells it. References have `width` pixels.
pub fn light_change(referenced: &Referenced, width: usize, after: &Reference, own_dark: &Reference) -> Option<Vec<f32>> {
    let bands = 0..referenced.panel.len();
    let mut panel = StripLight::new(referenced, std::slice::from_ref(&bands), width, 0..width, 0.0)?;
    let dark = referenced.dark.mean.iter().zip(&own_dark.mean);
    let counts: Vec<f32> = after.mean.iter().zip(dark).map(|(counts, (dark, own))| counts - own + dark).collect();
    let signal = counts.iter().zip(&referenced.dark.mean).map(|(counts, dark)| f64::from(counts - dark));
    let response = referenced.response.map(|response| (response, response.stray(finite_mean(signal))));
    panel.measure(&counts, LineState { risen: 0.0, response, saturation: f32::INFINITY });
    #[expect(clippy::cast_possible_truncation, reason = "a share needs no more than f32")]
    let change: Vec<f32> = of_bands(&panel.shares, &panel.places).map(|light| (light - 1.0) as f32).collect();
    change.iter().all(|change| change.is_finite() && *change > -1.0).then_some(change)
}

/// The group whose centre lies at or below `band`, and the weight of the next one.
fn place(groups: &[Group], band: f64) -> (usize, f64) {
    let above = groups.partition_point(|group| group.centre <= band);
    match (above.checked_sub(1), groups.get(above)) {
        (Some(below), Some(next)) => (below, (band - groups[below].centre) / (next.centre - groups[below].centre)),
        (Some(below), None) => (below, 0.0),
        (None, _) => (0, 0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{MendBands, Reference};
    use contract::{Exposure, Layout, PixelFormat};

    const LAYOUT: Layout = Layout { pixels: 20, bands: 60, format: PixelFormat::U16 };
    const DARK: f32 = 100.0;
    const PANEL: f32 = 0.95;
    /// The pixels that see the strip.
    const STRIP: Range<usize> = 14..18;

    /// Signal of the white reference in a band, counts.
    fn white(band: usize) -> f32 {
        2000.0 - 20.0 * band as f32
    }

    /// A calibration whose white reference has the noise `sd`, counts.
    fn referenced(sd: f32) -> Referenced {
        let exposure = Exposure { exposure_us: 1.0, frame_rate_hz: 1.0, binning: (1, 1) };
        let reference = |level: &dyn Fn(usize) -> f32, sd: f32| {
            let mean: Vec<f32> = (0..1200).map(|at| DARK + level(at / 20)).collect();
            let peak = mean.clone();
            Reference { mean, sd: vec![sd; 1200], peak, frames: 50, level_sd: 0.0, taken_ns: 0, temperature_c: None, exposure }
        };
        let nm: Vec<f64> = (0..60).map(|band| 400.0 + 10.0 * f64::from(band)).collect();
        let (dark, white) = (reference(&|_| 0.0, 1.0), reference(&white, sd));
        Referenced::new(dark, white, vec![PANEL; 60], LAYOUT, Some(4095.0), MendBands::new(&nm, None)).unwrap()
    }

    fn strip(referenced: &Referenced, most: f64) -> StripLight {
        StripLight::new(referenced, std::slice::from_ref(&(0..60)), 20, STRIP, most).unwrap()
    }

    /// The counts of a line that sees the panel's material everywhere, with the light `light(band)`.
    fn line(light: impl Fn(usize) -> f32) -> Vec<f32> {
        (0..1200).map(|at| DARK + white(at / 20) * light(at / 20)).collect()
    }

    const STATE: LineState = LineState { risen: 0.0, response: None, saturation: 4095.0 };

    #[test]
    fn a_light_that_changed_its_colour_is_corrected_in_every_band() {
        let mut strip = strip(&referenced(2.0), 0.3);
        assert!(strip.shares().len() == MOST_GROUPS, "{}", strip.shares().len());
        let light = |band: usize| 0.9 + 0.002 * band as f32;
        let factors = strip.measure(&line(light), STATE).unwrap();
        for (band, factor) in factors.iter().enumerate().take(54).skip(2) {
            assert!((factor * light(band) - 1.0).abs() < 1e-4, "{band}: {factor}");
        }
        // Beyond the centre of an outermost group, its share counts.
        assert!((factors[0] * light(0) - 1.0).abs() < 0.006 && (factors[59] * light(59) - 1.0).abs() < 0.01, "{factors:?}");
    }

    #[test]
    fn a_noisy_strip_has_fewer_groups() {
        // 240 elements, each known to about a fifth: 1.4 % for all of them.
        assert_eq!(strip(&referenced(300.0), 0.0).shares().len(), 1);
        let some = strip(&referenced(5.0), 0.0).shares().len();
        assert!((2..MOST_GROUPS).contains(&some), "{some}");
    }

    #[test]
    fn light_beyond_the_limit_stays_as_it_is() {
        let referenced = referenced(10.0);
        for (light, most, corrected) in [(0.71, 0.3, true), (0.69, 0.3, false), (1.29, 0.3, true), (1.0, 0.0, false)] {
            let mut strip = strip(&referenced, most);
            assert_eq!(strip.measure(&line(|_| light), STATE).is_some(), corrected, "{light}");
            assert!(strip.shares().iter().all(|share| (share - f64::from(light)).abs() < 1e-6));
        }
    }

    #[test]
    fn elements_that_are_bad_or_saturated_do_not_count() {
        let mut referenced = referenced(10.0);
        for at in (15..1200).step_by(20) {
            (referenced.bad[at], referenced.gain[at]) = (1, 0.0);
        }
        let mut strip = strip(&referenced, 0.3);
        let mut counts = line(|_| 0.98);
        counts.iter_mut().skip(15).step_by(20).for_each(|count| *count = 0.0);
        counts.iter_mut().skip(16).step_by(20).for_each(|count| *count = 4095.0);
        counts.iter_mut().skip(17).step_by(40).for_each(|count| *count = f32::NAN);
        strip.measure(&counts, STATE).unwrap();
        assert!(strip.shares().iter().all(|share| (share - 0.98).abs() < 1e-6), "{:?}", strip.shares());
        counts.iter_mut().for_each(|count| *count = 4095.0);
        assert!(strip.measure(&counts, STATE).is_none() && strip.shares().iter().all(|share| share.is_nan()));
        referenced.bad.fill(1);
        assert!(StripLight::new(&referenced, std::slice::from_ref(&(0..60)), 20, STRIP, 0.0).is_none());
    }
}
