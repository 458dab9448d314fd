//! The step between two cameras where their ranges meet.
//!
//! Where the ranges overlap, each band of the camera of shorter waves is compared with the other camera. The other camera is
//! interpolated linearly to the same wavelength. The step of a pixel is the ratio of the two means, longer waves over shorter.
//! Where the ranges only adjoin, the last band of one is compared with the first of the other.

use crate::rectify::CameraRow;
use crate::scan::Quality;

/// Largest distance of ranges that adjoin, nm.
const ADJOINS_NM: f64 = 20.0;
/// Largest factor of levelling, either way. A larger difference has another cause than the level.
const MOST: f32 = 1.25;

/// A band of one camera and the two bands of the other around its wavelength.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Pair {
    band: usize,
    between: (usize, usize),
    /// Weight of the second of the two.
    weight: f32,
}

/// Two cameras of neighbouring ranges, and the steps between them so far.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seam {
    /// The camera of shorter waves and the camera of longer waves.
    pub cameras: (usize, usize),
    /// The range of comparison, nm.
    range_nm: (f64, f64),
    overlaps: bool,
    /// Number of bands of either camera.
    bands: (usize, usize),
    pairs: Vec<Pair>,
    /// Number, sum and sum of squares of the steps.
    sums: (u64, f64, f64),
}

/// The step between two cameras over a scan.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Index of the camera of shorter waves, and of the camera of longer waves.
    pub cameras: (usize, usize),
    /// The range of comparison, nm: the overlap, or the last band of one and the first of the other.
    pub range_nm: (f64, f64),
    /// Reflectance of the second over that of the first, as the mean over the bright pixels.
    pub ratio: f64,
    /// Standard deviation of the ratio over the bright pixels.
    pub sd: f64,
    /// Number of bright pixels.
    pub pixels: u64,
    /// Whether the second camera was scaled to the first.
    pub levelled: bool,
}

impl Seam {
    /// The seam between two cameras with these wavelengths, nm. The first camera begins at shorter waves.
    ///
    /// `None` means that the ranges neither overlap nor adjoin.
    pub fn new(cameras: (usize, usize), shorter: &[f64], longer: &[f64]) -> Option<Self> {
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
            let seam = Self { cameras, range_nm: (last, first), overlaps, bands, pairs, sums: (0, 0.0, 0.0) };
            return (first - last <= ADJOINS_NM).then_some(seam);
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
        Some(Self { cameras, range_nm, overlaps, bands, pairs, sums: (0, 0.0, 0.0) })
    }

    /// Measures the steps of a row of both cameras, on pixels where both reflect more than `least`.
    ///
    /// `scales` `[pixel]` receives the factor of the longer waves that removes the step. A factor stays as it was where the step
    /// cannot be measured, and where the ranges only adjoin.
    pub fn measure(&mut self, shorter: &CameraRow, longer: &CameraRow, least: f32, scales: &mut [f32]) {
        let (a, b) = (shorter.values(), longer.values());
        for (pixel, scale) in scales.iter_mut().enumerate() {
            if !Quality::valid(shorter.quality(pixel) | longer.quality(pixel)) {
                continue;
            }
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
            let floor = least * n;
            if sum_a > floor && sum_b > floor {
                let step = f64::from(sum_b / sum_a);
                self.sums = (self.sums.0 + 1, self.sums.1 + step, self.sums.2 + step * step);
                if self.overlaps {
                    *scale = (sum_a / sum_b).clamp(1.0 / MOST, MOST);
                }
            }
        }
    }

    /// The step over the rows so far. `None` means that no pixel was bright enough.
    #[expect(clippy::cast_precision_loss, reason = "pixels of a scan")]
    pub fn step(&self, level: bool) -> Option<Step> {
        let (n, sum, squares) = self.sums;
        let ratio = sum / n as f64;
        (n > 0).then(|| Step {
            cameras: self.cameras,
            range_nm: self.range_nm,
            ratio,
            sd: (squares / n as f64 - ratio * ratio).max(0.0).sqrt(),
            pixels: n,
            levelled: level && self.overlaps,
        })
    }
}
