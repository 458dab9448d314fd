//! The step between two cameras where their ranges meet.
//!
//! Where the ranges overlap, each band of the camera of shorter waves is compared with the other camera. The other camera is
//! interpolated linearly to the same wavelength. Where the ranges only adjoin, the last band of one is compared with the first of the
//! other. The step is the ratio of two sums over all compared pixels, longer waves over shorter. A mean of the pixels' ratios would be too
//! large, because noise in the denominator does not cancel.

use super::row::Row;

/// Largest distance of ranges that adjoin, nm.
const ADJOINS_NM: f64 = 20.0;
/// Largest factor of levelling, either way. A larger difference has another cause than the level.
const MOST: f64 = 1.25;
/// Least number of pixels whose sums level a camera. One pixel's step is known to half a percent, that of so many to 0.05 %.
pub const LEAST_PIXELS: u64 = 128;

/// A band of one camera and the two bands of the other around its wavelength.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Pair {
    band: usize,
    between: (usize, usize),
    /// Weight of the second of the two.
    weight: f32,
}

/// Two cameras of neighbouring ranges.
#[derive(Debug, Clone, PartialEq)]
struct Seam {
    /// The camera of shorter waves and the camera of longer waves.
    cameras: (usize, usize),
    /// The range of comparison, nm.
    range_nm: (f64, f64),
    overlaps: bool,
    /// Number of bands of either camera.
    bands: (usize, usize),
    pairs: Vec<Pair>,
}

/// The seams between the cameras of a scan.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seams {
    seams: Vec<Seam>,
    cameras: usize,
}

/// Sums over compared pixels, for each seam.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Compared(Vec<Sums>);

/// Sums of the pixels' means over the compared bands: of the camera of shorter waves, of the other one, and of their products.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Sums {
    pixels: u64,
    shorter: f64,
    longer: f64,
    squares: (f64, f64),
    product: f64,
}

/// The step between two cameras.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Index of the camera of shorter waves, and of the camera of longer waves.
    pub cameras: (usize, usize),
    /// The range of comparison, nm: the overlap, or the last band of one and the first of the other.
    pub range_nm: (f64, f64),
    /// Reflectance of the second over that of the first: the ratio of the sums over the pixels.
    pub ratio: f64,
    /// Standard deviation of the pixels around it, as a share of the reflectance.
    pub sd: f64,
    /// Number of pixels.
    pub pixels: u64,
    /// Whether the second camera was scaled to the first.
    pub levelled: bool,
}

impl Seams {
    /// The seams between cameras with these wavelengths, nm. `order` lists the cameras by their first wavelengths.
    pub(super) fn new(order: &[usize], wavelengths_nm: &[&[f64]]) -> Self {
        let seam = |pair: &[usize]| Seam::new((pair[0], pair[1]), wavelengths_nm[pair[0]], wavelengths_nm[pair[1]]);
        Self { seams: order.windows(2).filter_map(seam).collect(), cameras: wavelengths_nm.len() }
    }

    /// Adds pixels of a row to the sums. A pixel without a value in all compared bands adds nothing.
    pub fn compare(&self, row: &Row, pixels: impl Iterator<Item = usize> + Clone, compared: &mut Compared) {
        compared.0.resize(self.seams.len(), Sums::default());
        for (seam, sums) in self.seams.iter().zip(&mut compared.0) {
            seam.compare(row, pixels.clone(), sums);
        }
    }

    /// The steps between cameras. `level` tells whether cameras were levelled. A seam without a bright pixel has no step.
    pub fn steps(&self, compared: &Compared, level: bool) -> Vec<Step> {
        let step = |(seam, sums): (&Seam, &Sums)| {
            let Sums { pixels, shorter, longer, squares, product } = *sums;
            let ratio = longer / shorter;
            let scatter = squares.1 - 2.0 * ratio * product + ratio * ratio * squares.0;
            let sd = (scatter / squares.0).max(0.0).sqrt();
            let (cameras, range_nm, levelled) = (seam.cameras, seam.range_nm, level && seam.overlaps);
            (shorter > 0.0).then_some(Step { cameras, range_nm, ratio, sd, pixels, levelled })
        };
        self.seams.iter().zip(&compared.0).filter_map(step).collect()
    }

    /// The factor of each camera that removes the steps where ranges overlap. Each camera is levelled to the one of shorter waves, by no
    /// more than a quarter. The list is empty where no ranges overlap.
    ///
    /// # Errors
    /// The number of pixels where they are too few, or are no brighter than `least` on average.
    pub fn levels(&self, compared: &Compared, least: f32) -> Result<Vec<f32>, u64> {
        if !self.seams.iter().any(|seam| seam.overlaps) {
            return Ok(Vec::new());
        }
        let mut levels = vec![1.0; self.cameras];
        for (at, seam) in self.seams.iter().enumerate().filter(|(_, seam)| seam.overlaps) {
            let Sums { pixels, shorter, longer, .. } = compared.0.get(at).copied().unwrap_or_default();
            #[expect(clippy::cast_precision_loss, reason = "pixels of a container")]
            let floor = f64::from(least) * pixels as f64;
            if pixels < LEAST_PIXELS || shorter <= floor || longer <= floor {
                return Err(pixels);
            }
            levels[seam.cameras.1] = levels[seam.cameras.0] * (shorter / longer).clamp(1.0 / MOST, MOST);
        }
        #[expect(clippy::cast_possible_truncation, reason = "a factor needs no more than f32")]
        let levels = levels.into_iter().map(|level| level as f32).collect();
        Ok(levels)
    }
}

impl Seam {
    /// The seam between two cameras with these wavelengths, nm. The first camera begins at shorter waves.
    ///
    /// `None` means that the ranges neither overlap nor adjoin.
    fn new(cameras: (usize, usize), shorter: &[f64], longer: &[f64]) -> Option<Self> {
        let rising = |nm: &[f64]| {
            let mut order: Vec<usize> = (0..nm.len()).collect();
            order.sort_by(|a, b| nm[*a].total_cmp(&nm[*b]));
            order
        };
        let (a, b) = (rising(shorter), rising(longer));
        let (last, first, end) = (shorter[*a.last()?], longer[*b.first()?], longer[*b.last()?]);
        let (bands, overlaps) = ((shorter.len(), longer.len()), first <= last);
        if !overlaps {
            let pairs = vec![Pair { band: *a.last()?, between: (b[0], b[0]), weight: 0.0 }];
            return (first - last <= ADJOINS_NM).then_some(Self { cameras, range_nm: (last, first), overlaps, bands, pairs });
        }
        let range_nm = (first, last.min(end));
        let pairs = a
            .iter()
            .filter(|band| shorter[**band] >= range_nm.0 && shorter[**band] <= range_nm.1)
            .map(|band| {
                let nm = shorter[*band];
                let after = b.iter().position(|other| longer[*other] >= nm).unwrap_or(0);
                let (low, high) = (b[after.saturating_sub(1)], b[after]);
                let way = longer[high] - longer[low];
                #[expect(clippy::cast_possible_truncation, reason = "a weight needs no more than f32")]
                let weight = if way > 0.0 { ((nm - longer[low]) / way) as f32 } else { 0.0 };
                Pair { band: *band, between: (low, high), weight }
            })
            .collect();
        Some(Self { cameras, range_nm, overlaps, bands, pairs })
    }

    fn compare(&self, row: &Row, pixels: impl Iterator<Item = usize>, sums: &mut Sums) {
        let (Some(a), Some(b)) = (row.camera(self.cameras.0), row.camera(self.cameras.1)) else { return };
        let (a, b) = (a.values(), b.values());
        for pixel in pixels {
            let (from_a, from_b) = (pixel * self.bands.0, pixel * self.bands.1);
            let (mut sum_a, mut sum_b, mut n) = (0.0_f32, 0.0_f32, 0.0_f32);
            for Pair { band, between: (low, high), weight } in &self.pairs {
                let (low, high) = (b.at(from_b + low), b.at(from_b + high));
                let (here, there) = (a.at(from_a + band), low + (high - low) * weight);
                // A band without a value is not compared.
                if (here + there).is_finite() {
                    (sum_a, sum_b, n) = (sum_a + here, sum_b + there, n + 1.0);
                }
            }
            if n > 0.0 {
                let (shorter, longer) = (f64::from(sum_a / n), f64::from(sum_b / n));
                sums.pixels += 1;
                (sums.shorter, sums.longer) = (sums.shorter + shorter, sums.longer + longer);
                sums.squares = (sums.squares.0 + shorter * shorter, sums.squares.1 + longer * longer);
                sums.product += shorter * longer;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Overlap;
    use crate::join::{Axes, Bands, Join};
    use crate::rectify::CameraRow;

    /// A row of `pixels` pixels of two cameras. Reflectance is a straight line in wavelength, so interpolation is exact. The second camera
    /// reads `step` times as much as the first. `noise` `[pixel]` is added to each value of the first and taken from each of the second.
    fn compared(cameras: [&[f64]; 2], step: f32, noise: &[f32]) -> (Seams, Compared) {
        let bands = Bands::new(&[(cameras[0], None), (cameras[1], None)], Overlap::Cut);
        let (seams, wavelengths_nm, fwhm_nm) = (bands.seams().clone(), bands.wavelengths_nm.clone(), bands.fwhm_nm.clone());
        let mut join = Join::new(bands, &Axes { pixel_mm: 1.0, x0_mm: 0.0, width: noise.len(), wavelengths_nm, fwhm_nm });
        let values = |nm: &[f64], gain: f32, sign: f32| -> Vec<f32> {
            noise.iter().flat_map(|noise| nm.iter().map(move |nm| gain * (0.2 + 0.0001 * *nm as f32) + sign * noise)).collect()
        };
        let mut sums = Compared::default();
        let mut out = |join: &Join, index| {
            let mut row = Row::default();
            join.fill(index, &mut row);
            seams.compare(&row, 0..noise.len(), &mut sums);
        };
        join.process(0, CameraRow::new(0, 0, values(cameras[0], 1.0, 1.0), vec![0; noise.len()]), &mut out);
        join.process(1, CameraRow::new(0, 0, values(cameras[1], step, -1.0), vec![0; noise.len()]), &mut out);
        (seams, sums)
    }

    const OVERLAPPING: [&[f64]; 2] = [&[900.0, 960.0, 990.0], &[950.0, 970.0, 1000.0, 1100.0]];

    #[test]
    fn a_step_is_measured_where_ranges_overlap_and_levelled() {
        let (seams, sums) = compared(OVERLAPPING, 1.1, &[0.0; 128]);
        let steps = seams.steps(&sums, true);
        assert_eq!((steps.len(), steps[0].pixels, steps[0].range_nm, steps[0].levelled), (1, 128, (950.0, 990.0), true));
        assert!((steps[0].ratio - 1.1).abs() < 1e-5 && steps[0].sd < 1e-3, "{steps:?}");
        let levels = seams.levels(&sums, 0.08).unwrap();
        assert!(levels[0] == 1.0 && (levels[1] - 1.0 / 1.1).abs() < 1e-5, "{levels:?}");
        assert_eq!(seams.levels(&sums, 0.3), Err(128), "too dark to be levelled");
        let (seams, sums) = compared(OVERLAPPING, 1.1, &[0.0; 127]);
        assert_eq!(seams.levels(&sums, 0.08), Err(127), "too few to be levelled");
        let (seams, sums) = compared(OVERLAPPING, 2.0, &[0.0; 128]);
        assert_eq!(seams.levels(&sums, 0.08).unwrap(), [1.0, 0.8], "no more than a quarter");
    }

    #[test]
    fn noise_does_not_move_the_step() {
        // Half of the pixels read a third too much in one camera and too little in the other, half the other way round.
        let noise: Vec<f32> = (0..1000).map(|i| if i % 2 == 0 { 0.1 } else { -0.1 }).collect();
        let (seams, sums) = compared(OVERLAPPING, 1.0, &noise);
        let steps = seams.steps(&sums, false);
        assert!((steps[0].ratio - 1.0).abs() < 1e-4, "a mean of ratios would be 1.24: {steps:?}");
        assert!((steps[0].sd - 0.2 / 0.3_f64.hypot(0.1)).abs() < 0.03, "{steps:?}");
    }

    #[test]
    fn ranges_that_adjoin_are_compared_and_not_levelled() {
        let (seams, sums) = compared([&[900.0, 990.0], &[1000.0, 1100.0]], 1.1, &[0.0; 200]);
        let steps = seams.steps(&sums, true);
        assert_eq!((steps.len(), steps[0].range_nm, steps[0].levelled), (1, (990.0, 1000.0), false));
        assert!((steps[0].ratio - 1.1 * 0.3 / 0.299).abs() < 1e-4, "{steps:?}");
        assert_eq!(seams.levels(&sums, 0.08), Ok(Vec::new()));
        let (seams, sums) = compared([&[900.0, 950.0], &[1000.0, 1100.0]], 1.1, &[0.0; 200]);
        assert!(seams.steps(&sums, true).is_empty(), "too far apart to be compared");
    }
}
