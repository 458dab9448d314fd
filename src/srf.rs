//! Spectral response: spectra of a camera brought onto bands of other centres and widths.
//!
//! A band sees the spectrum through a response that is taken as a Gaussian of its full width at half maximum (FWHM). Two Gaussians in a
//! row are one, whose variance is the sum of both. A camera's band of FWHM `s` therefore becomes one of FWHM `t` by a further Gaussian of
//! FWHM `sqrt(t² - s²)`. Where `t` is not wider than `s` nothing can be taken away, and values are interpolated linearly.
//!
//! The weights of all bands are one sparse matrix, which is made once. Its kernel is sampled at the camera's bands, so that straight lines
//! stay straight: each weight is `g(x) dx (1 + a x)` at the distance `x` from the wanted centre, with `a` such that the sum of `weight x`
//! is zero. At the end of the range, that is a local linear regression.

use crate::reference::{may_interpolate, mend_limit_nm};
use crate::simd::{Simd, WithSimd, widest};
use std::ops::Range;

/// Bands of spectra, by rising centres.
#[derive(Debug, Clone, Copy)]
pub struct BandSet<'a> {
    /// Centres, nm.
    pub centres_nm: &'a [f64],
    /// Full widths at half maximum, nm. An unknown width is NaN. `None` means that no width is known.
    pub fwhm_nm: Option<&'a [f64]>,
}

/// A matrix from the bands of a camera to other bands. Only bands with a weight are read.
#[derive(Debug, Clone, PartialEq)]
pub struct BandMatrix {
    rows: Vec<Weights>,
    /// Weights of all rows, one behind the other.
    weights: Vec<f32>,
}

/// The weights of a wanted band.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Weights {
    /// The value of a band.
    Band(usize),
    /// Interpolation between a band and the next one, and the weight of that one.
    Between(usize, f32),
    /// Weights of the bands from the first one on, as a range of all weights.
    Kernel(usize, Range<usize>),
}

/// A wanted band that the measured ones do not give, nm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Unmeasured {
    /// It lies outside the measured range, or there is no measured band.
    Outside,
    /// The measured bands around it are too far apart.
    Between {
        /// The wanted centre.
        wanted_nm: f64,
        /// The bands on either side.
        bands_nm: (f64, f64),
        /// The largest distance of bands over which spectra are interpolated here.
        limit_nm: f64,
    },
    /// It is narrower than the measured bands.
    Finer {
        /// The wanted centre.
        wanted_nm: f64,
        /// The wanted width.
        fwhm_nm: f64,
        /// The width of the measured bands there.
        measured_nm: f64,
    },
}

/// Number of distances of bands on either side that tell how far apart bands are.
const NEAR: usize = 5;
/// Bands are neighbours up to this multiple of their typical distance.
const NEIGHBOURS: f64 = 1.5;
/// Widths up to this multiple of the measured width count as equal. The kernel would be narrower than a quarter of it.
const WIDER: f64 = 1.03;
/// Least share of the measured width that a wanted width may have. Widths are not known better.
const FINER: f64 = 0.95;
/// Distances of bands that differ by no more than this factor are even.
const EVEN: f64 = 1.25;
/// Least standard deviation of a kernel, in distances of bands. Sampled so coarsely, it interpolates between the two nearest bands.
const LEAST_SIGMA: f64 = 0.3;
/// Distance up to which a kernel reaches, in standard deviations.
const REACH_SIGMAS: f64 = 4.0;
/// Weights below this share of the sum are left out. A band without a value there makes no difference.
const LEAST_WEIGHT: f64 = 1e-3;
/// Full width at half maximum of a Gaussian, in standard deviations: `2 sqrt(2 ln 2)`.
const FWHM_SIGMAS: f64 = 2.354_820_045_030_949_3;

impl BandMatrix {
    /// The matrix from `measured` to `wanted` bands. `max_mend_nm` is that of `[calibrate]`.
    ///
    /// An unknown measured width is taken as the distance of the band from its nearer neighbour. An unknown wanted one is taken as the
    /// distance of bands where three or more follow evenly, further apart than measured ones. Elsewhere values are interpolated linearly.
    ///
    /// # Errors
    /// A wanted centre lies outside the measured range, or where bands are left out over more than the limit. A wanted width is known, and
    /// narrower than the measured one.
    pub fn new(measured: BandSet<'_>, wanted: BandSet<'_>, max_mend_nm: Option<f64>) -> Result<Self, Unmeasured> {
        let mut matrix = Self { rows: Vec::with_capacity(wanted.centres_nm.len()), weights: Vec::new() };
        for (at, &nm) in wanted.centres_nm.iter().enumerate() {
            let (below, part) = place(measured.centres_nm, nm, max_mend_nm)?;
            let here = measured.width(below) + part * (measured.width(below + usize::from(part > 0.0)) - measured.width(below));
            let apart = |spacing: &f64| *spacing > WIDER * measured.spacing(below);
            if let Some(said) = wanted.known(at).filter(|said| *said < FINER * here) {
                return Err(Unmeasured::Finer { wanted_nm: nm, fwhm_nm: said, measured_nm: here });
            }
            let fwhm_nm = wanted.known(at).or_else(|| wanted.even_spacing(at).filter(apart)).unwrap_or(0.0);
            matrix.rows.push(if fwhm_nm > WIDER * here {
                let from = matrix.weights.len();
                let first = kernel(measured.centres_nm, nm, (fwhm_nm * fwhm_nm - here * here).sqrt(), &mut matrix.weights);
                Weights::Kernel(first, from..matrix.weights.len())
            } else if part > 0.0 {
                #[expect(clippy::cast_possible_truncation, reason = "weights lie between 0 and 1")]
                let part = part as f32;
                Weights::Between(below, part)
            } else {
                Weights::Band(below)
            });
        }
        Ok(matrix)
    }

    /// Whether each wanted band is the measured one of the same number, of `bands`.
    pub fn is_identity(&self, bands: usize) -> bool {
        self.rows.len() == bands && self.rows.iter().enumerate().all(|(at, row)| *row == Weights::Band(at))
    }

    /// The weights of each wanted band, and the numbers that kernels take a range of.
    pub(crate) fn rows(&self) -> (&[Weights], &[f32]) {
        (&self.rows, &self.weights)
    }

    /// The measured bands that are read, in rising order.
    pub fn reads(&self) -> Vec<usize> {
        let bands = self.rows.iter().flat_map(|row| match row {
            Weights::Band(band) => *band..band + 1,
            Weights::Between(below, _) => *below..below + 2,
            Weights::Kernel(first, weights) => *first..first + weights.len(),
        });
        let mut bands: Vec<usize> = bands.collect();
        bands.sort_unstable();
        bands.dedup();
        bands
    }

    /// Brings a spectrum `[measured band]` onto `out` `[wanted band]`. A value that is read and is not finite makes the result not finite.
    pub fn apply(&self, spectrum: &[f32], out: &mut [f32]) {
        widest(Apply { matrix: self, spectrum, out });
    }
}

impl BandSet<'_> {
    /// The known width of a band, nm.
    fn known(&self, at: usize) -> Option<f64> {
        self.fwhm_nm.and_then(|fwhm| fwhm.get(at)).copied().filter(|fwhm| fwhm.is_finite() && *fwhm > 0.0)
    }

    /// The distance of a band from the nearer neighbour, nm. That of a band alone is 0.
    fn spacing(&self, at: usize) -> f64 {
        let near = self.centres_nm.get(at.saturating_sub(1)..(at + 2).min(self.centres_nm.len())).unwrap_or_default();
        let least = near.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::INFINITY, f64::min);
        if least.is_finite() { least } else { 0.0 }
    }

    /// The distance of bands around a band where at least three follow evenly, nm. Bands picked here and there tell no width.
    fn even_spacing(&self, at: usize) -> Option<f64> {
        let distance = |from: usize| Some(self.centres_nm.get(from + 1)? - self.centres_nm.get(from)?);
        let pairs = [at.checked_sub(2), at.checked_sub(1), Some(at)].into_iter().flatten();
        let even = pairs.filter_map(|from| {
            let (a, b) = (distance(from)?, distance(from + 1)?);
            (a.max(b) <= EVEN * a.min(b)).then_some(a.min(b))
        });
        even.reduce(f64::min)
    }

    /// The known width of a band, else its distance from the nearer neighbour, nm.
    fn width(&self, at: usize) -> f64 {
        self.known(at).unwrap_or_else(|| self.spacing(at))
    }
}

/// The band at or below `nm`, and the part of the way to the next one. A wavelength of a band needs no other band.
fn place(measured: &[f64], nm: f64, max_mend_nm: Option<f64>) -> Result<(usize, f64), Unmeasured> {
    let (Some(first), Some(last)) = (measured.first(), measured.last()) else { return Err(Unmeasured::Outside) };
    if !(*first..=*last).contains(&nm) {
        return Err(Unmeasured::Outside);
    }
    let i = measured.partition_point(|&m| m <= nm).saturating_sub(1);
    // No band lies above the last one.
    let Some(&above) = measured.get(i + 1).filter(|above| **above > measured[i] && nm > measured[i]) else { return Ok((i, 0.0)) };
    let limit_nm = gap_limit_nm(measured, i, max_mend_nm);
    if !may_interpolate(measured[i], above, limit_nm) {
        return Err(Unmeasured::Between { wanted_nm: nm, bands_nm: (measured[i], above), limit_nm });
    }
    Ok((i, (nm - measured[i]) / (above - measured[i])))
}

/// Adds the weights of a Gaussian of `fwhm_nm` around `nm` to `weights`, normalised. Gives the first band with a weight.
fn kernel(measured: &[f64], nm: f64, fwhm_nm: f64, weights: &mut Vec<f32>) -> usize {
    let near = measured.partition_point(|&m| m <= nm).saturating_sub(1);
    let sigma = (fwhm_nm / FWHM_SIGMAS).max(LEAST_SIGMA * typical_nm(measured, near).unwrap_or(0.0));
    let reach = REACH_SIGMAS * sigma;
    let (mut first, mut end) = (measured.partition_point(|&m| m < nm - reach), measured.partition_point(|&m| m <= nm + reach));
    let x = |band: usize| measured[band] - nm;
    let moment = |of: &[f64], first: usize, power: i32| of.iter().zip(first..).map(|(w, band)| w * x(band).powi(power)).sum::<f64>();
    let mut all: Vec<f64> = (first..end).map(|band| (-0.5 * (x(band) / sigma).powi(2)).exp() * extent_nm(measured, band)).collect();
    let floor = LEAST_WEIGHT * moment(&all, first, 0);
    while end > first + 1 && all[end - 1 - first] < floor {
        end -= 1;
        all.pop();
    }
    let light = all.iter().take_while(|weight| **weight < floor).count().min(all.len().saturating_sub(1));
    all.drain(..light);
    first += light;
    let second = moment(&all, first, 2);
    let slope = if second > 0.0 { -moment(&all, first, 1) / second } else { 0.0 };
    all.iter_mut().zip(first..).for_each(|(weight, band)| *weight *= 1.0 + slope * x(band));
    let sum = moment(&all, first, 0);
    #[expect(clippy::cast_possible_truncation, reason = "a weight needs no more than f32")]
    weights.extend(all.iter().map(|weight| (weight / sum) as f32));
    first
}

/// The stretch of the spectrum that a band stands for, nm. Beside bands that are left out it ends where the next band would begin.
fn extent_nm(measured: &[f64], band: usize) -> f64 {
    let most = typical_nm(measured, band).map_or(f64::INFINITY, |typical| NEIGHBOURS * typical);
    let before = band.checked_sub(1).map(|before| measured[band] - measured[before]);
    let after = measured.get(band + 1).map(|after| after - measured[band]);
    let (before, after) = (before.or(after).unwrap_or(1.0), after.or(before).unwrap_or(1.0));
    f64::midpoint(before.min(most), after.min(most))
}

/// The typical distance of bands around band `i` and the next one, without that of these two, nm. `None` where there are no others.
fn typical_nm(measured: &[f64], i: usize) -> Option<f64> {
    let distance = |at: usize| measured[at + 1] - measured[at];
    let near = (i.saturating_sub(NEAR)..(i + NEAR + 1).min(measured.len().saturating_sub(1))).filter(|at| *at != i);
    let mut near: Vec<f64> = near.map(distance).collect();
    near.sort_unstable_by(f64::total_cmp);
    near.get(near.len() / 2).copied()
}

/// The largest distance of band `i` from the next one over which values are interpolated, nm.
fn gap_limit_nm(measured: &[f64], i: usize, max_mend_nm: Option<f64>) -> f64 {
    // Two bands alone do not tell what is left out between them.
    let Some(typical) = typical_nm(measured, i) else { return f64::INFINITY };
    mend_limit_nm(&[0.0, typical], max_mend_nm).max(NEIGHBOURS * typical)
}

/// Number of partial sums, side by side in a vector register.
pub(crate) const SIDE_BY_SIDE: usize = 8;

struct Apply<'a> {
    matrix: &'a BandMatrix,
    spectrum: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<V: Simd>(self, _: V) {
        let Self { matrix, spectrum, out } = self;
        for (value, row) in out.iter_mut().zip(&matrix.rows) {
            *value = match row {
                Weights::Band(band) => spectrum[*band],
                Weights::Between(below, weight) => spectrum[*below] + weight * (spectrum[below + 1] - spectrum[*below]),
                Weights::Kernel(first, range) => {
                    let weights = &matrix.weights[range.clone()];
                    weighted(&spectrum[*first..first + weights.len()], weights)
                }
            };
        }
    }
}

/// The sum of `values` by `weights`, in one order on every vector unit. `encode::fit` writes the same order into a graph.
#[inline(always)]
fn weighted(values: &[f32], weights: &[f32]) -> f32 {
    let mut sums = [0.0_f32; SIDE_BY_SIDE];
    let (blocks, others) = (values.chunks_exact(SIDE_BY_SIDE), weights.chunks_exact(SIDE_BY_SIDE));
    sums.iter_mut().zip(blocks.remainder()).zip(others.remainder()).for_each(|((sum, value), weight)| *sum += value * weight);
    for (values, weights) in blocks.zip(others) {
        (0..SIDE_BY_SIDE).for_each(|i| sums[i] += values[i] * weights[i]);
    }
    ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bands(centres_nm: &[f64]) -> BandSet<'_> {
        BandSet { centres_nm, fwhm_nm: None }
    }

    fn interpolated(measured: &[f64], wanted: &[f64], limit: Option<f64>) -> Result<BandMatrix, Unmeasured> {
        // Wanted bands as narrow as measured ones are interpolated.
        let narrow: Vec<f64> =
            wanted.iter().map(|nm| place(measured, *nm, Some(1e9)).map_or(1.0, |(at, _)| bands(measured).width(at))).collect();
        BandMatrix::new(bands(measured), BandSet { centres_nm: wanted, fwhm_nm: Some(&narrow) }, limit)
    }

    fn applied(matrix: &BandMatrix, spectrum: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; matrix.rows.len()];
        matrix.apply(spectrum, &mut out);
        out
    }

    /// Centres from `from` to `to` nm, `step` nm apart.
    fn evenly(from: f64, to: f64, step: f64) -> Vec<f64> {
        (0..=((to - from) / step + 1e-9) as usize).map(|band| from + step * band as f64).collect()
    }

    #[test]
    fn a_straight_line_stays_one_by_interpolation_and_by_the_kernel() {
        let measured = [400.0, 402.0, 405.0, 409.0, 411.0, 412.0, 415.0];
        let spectrum: Vec<f32> = measured.iter().map(|&nm| (nm * 0.5) as f32).collect();
        let wanted = [400.0, 401.0, 402.0, 404.0, 408.9, 409.0, 415.0];
        for fwhm in [None, Some([5.0; 7]), Some([9.0; 7])] {
            let wanted = BandSet { centres_nm: &wanted, fwhm_nm: fwhm.as_ref().map(|fwhm| fwhm.as_slice()) };
            let matrix = BandMatrix::new(bands(&measured), wanted, Some(50.0)).unwrap();
            for (value, nm) in applied(&matrix, &spectrum).iter().zip(wanted.centres_nm) {
                assert!((f64::from(*value) - nm * 0.5).abs() < 1e-3, "{value} at {nm} nm, {fwhm:?}");
            }
        }
        let exact = interpolated(&measured[..4], &[400.0, 409.0], None).unwrap();
        assert_eq!(applied(&exact, &spectrum), [200.0, 204.5]);
    }

    #[test]
    fn nothing_is_guessed_outside_the_range() {
        let at = |measured: &[f64], nm: f64| BandMatrix::new(bands(measured), bands(&[nm]), None);
        assert_eq!(at(&[400.0, 410.0], 399.9), Err(Unmeasured::Outside));
        assert_eq!(at(&[400.0, 410.0], 410.1), Err(Unmeasured::Outside));
        assert_eq!(at(&[], 400.0), Err(Unmeasured::Outside));
        assert_eq!(applied(&at(&[400.0], 400.0).unwrap(), &[0.25]), [0.25]);
    }

    #[test]
    fn nothing_is_guessed_where_bands_are_left_out() {
        let measured: Vec<f64> = (0..40).filter(|band| !(10..20).contains(band)).map(|band| 400.0 + 2.0 * f64::from(band)).collect();
        let at = |nm: f64, limit| interpolated(&measured, &[nm], limit);
        assert!(at(418.0, None).is_ok() && at(440.0, None).is_ok() && at(417.0, Some(0.0)).is_ok(), "on bands, and between neighbours");
        assert_eq!(at(425.0, None), Err(Unmeasured::Between { wanted_nm: 425.0, bands_nm: (418.0, 440.0), limit_nm: 9.0 }));
        assert!(at(425.0, Some(22.0)).is_ok() && at(425.0, Some(21.0)).is_err());
        // A band with weight 0 is not read.
        assert_eq!(interpolated(&measured, &[402.0, 405.0], None).unwrap().reads(), [1, 2, 3]);
        let values = [[0.5; 10].as_slice(), &[f32::NAN; 20]].concat();
        assert_eq!(applied(&at(418.0, None).unwrap(), &values), [0.5]);
        // Beside the gap, a kernel goes on as a straight line, and noise does not grow.
        let beside = BandMatrix::new(bands(&measured), BandSet { centres_nm: &[417.0], fwhm_nm: Some(&[6.0]) }, None).unwrap();
        let (sum, squares) = beside.weights.iter().fold((0.0, 0.0), |(sum, squares), weight| (sum + weight, squares + weight * weight));
        assert!((sum - 1.0_f32).abs() < 1e-6 && squares < 0.6_f32, "{beside:?}");
    }

    /// A spectrum with two absorptions, as seen by bands of `fwhm` nm: a Gaussian through a Gaussian is a wider and flatter one.
    fn seen(nm: f64, fwhm: f64) -> f64 {
        let absorption = |at: f64, width: f64, depth: f64| {
            let wider = width.hypot(fwhm);
            depth * width / wider * (-0.5 * ((nm - at) * FWHM_SIGMAS / wider).powi(2)).exp()
        };
        0.6 - absorption(550.0, 6.0, 0.3) - absorption(671.3, 14.0, 0.25) - absorption(868.0, 60.0, 0.3)
    }

    /// The largest error of bands of 10 nm, relative to the exact convolution, and the largest factor on noise.
    fn worst(matrix: &BandMatrix, measured: &[f64], fwhm: f64, wanted: &[f64]) -> (f64, f64) {
        let spectrum: Vec<f32> = measured.iter().map(|nm| seen(*nm, fwhm) as f32).collect();
        let error = |(value, nm): (&f32, &f64)| (f64::from(*value) / seen(*nm, 10.0) - 1.0).abs();
        let values = applied(matrix, &spectrum);
        let noise = |row: &Weights| match row {
            Weights::Band(_) => 1.0,
            Weights::Between(_, w) => f64::from(*w).hypot(1.0 - f64::from(*w)),
            Weights::Kernel(_, range) => matrix.weights[range.clone()].iter().map(|w| f64::from(*w).powi(2)).sum::<f64>().sqrt(),
        };
        let inner = |nm: &f64| (415.0..985.0).contains(nm);
        (
            values.iter().zip(wanted).filter(|(_, nm)| inner(nm)).map(error).fold(0.0, f64::max),
            matrix.rows.iter().zip(wanted).filter(|(_, nm)| inner(nm)).map(|(row, _)| noise(row)).fold(0.0, f64::max),
        )
    }

    #[test]
    fn bands_of_ten_nanometres_are_those_of_the_exact_convolution() {
        for fwhm in [2.7, 5.5] {
            let (measured, wanted) = (evenly(400.0, 1000.0, 2.68), evenly(400.0, 990.0, 10.0));
            let widths = vec![fwhm; measured.len()];
            let source = BandSet { centres_nm: &measured, fwhm_nm: Some(&widths) };
            let matrix = BandMatrix::new(source, BandSet { centres_nm: &wanted, fwhm_nm: Some(&vec![10.0; wanted.len()]) }, None).unwrap();
            let (error, noise) = worst(&matrix, &measured, fwhm, &wanted);
            assert!(error < 0.002 && noise < 0.47, "{fwhm}: {error} {noise}");
            // Without a word on widths, the distance of the wanted bands is their width.
            assert_eq!(BandMatrix::new(source, bands(&wanted), None).unwrap(), matrix);
            let (error, noise) = worst(&interpolated(&measured, &wanted, None).unwrap(), &measured, fwhm, &wanted);
            assert!(error > 0.02 && noise > 0.7, "interpolation is worse: {error} {noise}");
        }
    }

    #[test]
    fn bands_as_narrow_as_measured_ones_are_interpolated_and_narrower_ones_refused() {
        let measured = evenly(400.0, 500.0, 2.5);
        let widths = vec![5.0; measured.len()];
        let source = BandSet { centres_nm: &measured, fwhm_nm: Some(&widths) };
        let at = |fwhm: f64| BandMatrix::new(source, BandSet { centres_nm: &[431.0], fwhm_nm: Some(&[fwhm]) }, None);
        let narrow = Err(Unmeasured::Finer { wanted_nm: 431.0, fwhm_nm: 4.7, measured_nm: 5.0 });
        assert_eq!((at(4.7), at(4.8).unwrap().rows), (narrow, vec![Weights::Between(12, 0.4)]));
        assert!(matches!(at(5.1).unwrap().rows[..], [Weights::Between(..)]) && matches!(at(5.2).unwrap().rows[..], [Weights::Kernel(..)]));
        // Who says no width gets what was trained on: the same bands, and finer ones between them.
        let sharp = vec![1.5; measured.len()];
        for (step, fwhm) in [(2.5, &widths), (1.0, &widths), (2.5, &sharp), (1.0, &sharp)] {
            let source = BandSet { centres_nm: &measured, fwhm_nm: Some(fwhm) };
            let finer = BandMatrix::new(source, bands(&evenly(400.0, 500.0, step)), None).unwrap();
            assert!(finer.rows.iter().all(|row| !matches!(row, Weights::Kernel(..))), "{step}");
            assert_eq!(finer.is_identity(measured.len()), step == 2.5);
        }
        // Bands picked here and there are no wide bands.
        let picked = BandMatrix::new(source, bands(&[405.0, 410.0, 425.0, 470.0]), None).unwrap();
        assert_eq!(picked.reads(), [2, 4, 10, 28]);
    }

    #[test]
    fn a_band_without_a_value_matters_only_where_it_has_a_weight() {
        let measured = evenly(400.0, 500.0, 2.0);
        let matrix = BandMatrix::new(bands(&measured), BandSet { centres_nm: &[450.0], fwhm_nm: Some(&[8.0]) }, None).unwrap();
        let reads = matrix.reads();
        assert!(reads.len() > 5 && reads.len() < 20 && reads.contains(&25), "{reads:?}");
        for (band, _) in measured.iter().enumerate() {
            let mut spectrum = vec![0.5; measured.len()];
            spectrum[band] = f32::NAN;
            assert_eq!(applied(&matrix, &spectrum)[0].is_nan(), reads.contains(&band), "{band}");
        }
        let sum: f32 = matrix.weights.iter().sum();
        assert!((sum - 1.0).abs() < 1e-6 && matrix.weights.iter().all(|weight| *weight > 5e-4), "{matrix:?}");
    }
}
