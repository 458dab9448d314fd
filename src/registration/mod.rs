//! How well the cameras' views agree with each other, with the tray map, and with the belt, judged by the containers that passed.
//!
//! A median over the containers hides what changes its sign across the belt. A camera that is turned by the angle `a` (yaw) sees a
//! container at `x` further along by `x tan a`. A view of another width than configured sees it further across in the same way. So the
//! largest offset and the slope over `x` are judged beside the median. The slope is the median of the slopes between containers far apart.

mod slip;

pub use slip::SlipGate;

use crate::config::Config;
use crate::scan::{Keystone, Registration};
use crate::segment::{Passage, median};

/// Uncertainty of the place of an edge, grid pixels.
const EDGE_PIXELS: f64 = 0.15;
/// Least distance across of containers that show a slope, mm.
const LEAST_SPREAD_MM: f64 = 15.0;
/// Containers are far apart from this share of the largest distance on.
const FAR_APART: f64 = 0.5;
/// Share of the way across at each side whose containers show the keystone.
const SIDE: f64 = 0.2;
/// Largest distance along of containers of one row, mm.
const ROW_MM: f64 = 15.0;

/// Limits on the disagreement of views.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Largest median offset of a camera, mm.
    pub residual_mm: f64,
    /// Largest offset of a container, mm.
    pub largest_mm: f64,
    /// Largest slope of the offset over the way across, mm per m.
    pub slope_mm_per_m: f64,
    /// Largest distance between the ends of a camera's range, mm.
    pub keystone_mm: f64,
    /// Edge of a grid pixel, mm.
    pub pixel_mm: f64,
}

impl Limits {
    /// The limits of a configuration.
    pub fn of(config: &Config) -> Self {
        let join = &config.join;
        Self {
            residual_mm: join.max_residual_mm,
            largest_mm: join.max_largest_residual_mm,
            slope_mm_per_m: join.max_residual_slope_mm_per_m,
            keystone_mm: join.max_keystone_mm,
            pixel_mm: config.grid.pixel_mm,
        }
    }

    /// Whether a slope between containers `spread_mm` apart is beyond the limit, and beyond what edges are known to.
    fn slopes(&self, slope: f64, spread_mm: f64) -> bool {
        slope.abs() > self.slope_mm_per_m + 1000.0 * EDGE_PIXELS * self.pixel_mm / spread_mm
    }

    /// Warnings of a camera's offsets from `first`, the first camera. `of` is what [`registration`] gives.
    pub fn judge(&self, name: &str, first: &str, median_mm: [f64; 2], of: &Registration) -> Vec<String> {
        let mut warnings = Vec::new();
        let [across, along] = median_mm;
        if across.hypot(along) > self.residual_mm {
            warnings.push(format!(
                "{name} sees the containers {across:.2} mm across and {along:.2} mm along from where {first} does, at most {} mm (join.max_residual_mm); measure its place with `hyclus calibrate geometry`",
                self.residual_mm
            ));
        }
        let [x, y] = of.largest_at_mm;
        if of.largest_mm[0].hypot(of.largest_mm[1]) > self.largest_mm {
            warnings.push(format!(
                "{name} sees the container at x {x:.0} mm, y {y:.0} mm {:.2} mm across and {:.2} mm along from where {first} does, at most {} mm (join.max_largest_residual_mm); look whether it lies higher than others, and measure the cameras with `hyclus calibrate geometry`",
                of.largest_mm[0], of.largest_mm[1], self.largest_mm
            ));
        }
        let Some([across, along]) = of.slope_mm_per_m else { return warnings };
        if self.slopes(along, of.spread_mm) {
            warnings.push(format!(
                "{name} is turned by {:.2} degrees against {first}: per metre across it sees the containers {along:.1} mm further along, at most {} mm (join.max_residual_slope_mm_per_m); turn it in its mount until both lines are parallel, or correct it (camera.correction.yaw_deg) by `hyclus calibrate geometry`",
                yaw_deg(along), self.slope_mm_per_m
            ));
        }
        if self.slopes(across, of.spread_mm) {
            warnings.push(format!(
                "the view of {name} is {:.2} % wider or narrower than configured, against {first}: per metre across it sees the containers {across:.1} mm further across, at most {} mm (join.max_residual_slope_mm_per_m); measure field_of_view_mm with `hyclus calibrate geometry`",
                across.abs() / 10.0, self.slope_mm_per_m
            ));
        }
        warnings
    }

    /// A warning where the ends of a camera's range see the containers too far apart. `of` is what [`keystone`] gives. On a coarse grid, edges
    /// are not known better than a part of its pixels.
    pub fn judge_keystone(&self, name: &str, of: Keystone) -> Option<String> {
        let Keystone { left, right } = of;
        let beyond = left.abs().max(right.abs()) > self.keystone_mm.max(EDGE_PIXELS * self.pixel_mm);
        beyond.then(|| {
            format!(
                "{name} sees the containers in its longest wavelengths {left:.2} mm on the left and {right:.2} mm on the right further across than in its shortest ones, at most {} mm (join.max_keystone_mm); measure its keystone with `hyclus calibrate geometry`",
                self.keystone_mm
            )
        })
    }

    /// A warning where the first camera, `first`, sees the containers of a row further apart or closer together than the tray map says.
    pub fn judge_scale(&self, first: &str, passages: &[Passage]) -> Option<String> {
        let (slope, spread_mm) = scale(passages)?;
        self.slopes(slope, spread_mm).then(|| {
            format!(
                "{first} sees the containers of a row {:.2} % {} than the tray map says: per metre {:.1} mm, at most {} mm (join.max_residual_slope_mm_per_m); correct field_of_view_mm of all cameras, or the places of the tray map",
                slope.abs() / 10.0, if slope > 0.0 { "further apart" } else { "closer together" }, slope.abs(), self.slope_mm_per_m
            )
        })
    }
}

/// Median offset of a camera from the first one, mm across and along, and what the median hides. `None` where it saw no edges.
pub fn registration(passages: &[Passage], camera: usize) -> Option<([f64; 2], Registration)> {
    let seen: Vec<(&Passage, [f64; 2])> =
        passages.iter().filter_map(|passage| Some((passage, passage.offsets_mm.get(camera).copied()??.into()))).collect();
    let (at, largest_mm) = seen.iter().max_by(|a, b| a.1[0].hypot(a.1[1]).total_cmp(&b.1[0].hypot(b.1[1]))).copied()?;
    let axis = |axis: usize| median(&mut seen.iter().map(|(_, offset)| offset[axis]).collect::<Vec<_>>());
    let over_x = |axis: usize| slope(&seen.iter().map(|(passage, offset)| (passage.x_mm, offset[axis])).collect::<Vec<_>>(), |_, _| true);
    let slopes = over_x(0).zip(over_x(1));
    let of = Registration {
        containers: seen.len() as u64,
        largest_mm,
        largest_at_mm: [at.x_mm, at.y_mm],
        slope_mm_per_m: slopes.map(|(across, along)| [across.0, along.0]),
        yaw_deg: slopes.map(|(_, along)| yaw_deg(along.0)),
        spread_mm: slopes.map_or(0.0, |(across, _)| across.1),
    };
    Some(([axis(0), axis(1)], of))
}

/// How far apart the ends of a camera's range see the containers, at the left and at the right of the tray. `None` where they show no edges.
pub fn keystone(passages: &[Passage], camera: usize) -> Option<Keystone> {
    let seen: Vec<(f64, f64)> =
        passages.iter().filter_map(|passage| Some((passage.x_mm, passage.keystone_mm.get(camera).copied()??))).collect();
    let (least, most) = seen.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), (x, _)| (least.min(*x), most.max(*x)));
    let at = |beyond: &dyn Fn(f64) -> bool| median(&mut seen.iter().filter(|(x, _)| beyond(*x)).map(|(_, mm)| *mm).collect::<Vec<_>>());
    let side_mm = SIDE * (most - least);
    (!seen.is_empty()).then(|| Keystone { left: at(&|x| x <= least + side_mm), right: at(&|x| x >= most - side_mm) })
}

/// The turn that shows as a slope along the belt over the way across, degrees.
fn yaw_deg(slope_mm_per_m: f64) -> f64 {
    (slope_mm_per_m / 1000.0).atan().to_degrees()
}

/// How much further apart the first camera sees the containers of a row than the tray map says, mm per m, and the largest distance, mm.
///
/// A tray that lies askew by 3 degrees is seen 1.4 mm per m too narrow.
fn scale(passages: &[Passage]) -> Option<(f64, f64)> {
    let known: Vec<(&Passage, f64)> = passages.iter().filter_map(|passage| Some((passage, passage.known_x_mm?))).collect();
    let points: Vec<(f64, f64)> = known.iter().map(|(passage, known)| (*known, passage.x_mm - known)).collect();
    let row = |i: usize| known[i].0.known_mm;
    slope(&points, |a, b| row(a).zip(row(b)).is_some_and(|(a, b)| (a - b).abs() < ROW_MM))
}

/// The median slope between points (mm, mm) that are far apart and `comparable`, mm per m, and the largest distance, mm.
fn slope(points: &[(f64, f64)], comparable: impl Fn(usize, usize) -> bool) -> Option<(f64, f64)> {
    let pairs = || (0..points.len()).flat_map(|b| (0..b).map(move |a| (a, b))).filter(|(a, b)| comparable(*a, *b));
    let distance = |(a, b): (usize, usize)| (points[b].0 - points[a].0).abs();
    let spread = pairs().map(distance).fold(0.0, f64::max);
    if spread < LEAST_SPREAD_MM {
        return None;
    }
    let far = pairs().filter(|pair| distance(*pair) >= FAR_APART * spread);
    let mut slopes: Vec<f64> = far.map(|(a, b)| 1000.0 * (points[b].1 - points[a].1) / (points[b].0 - points[a].0)).collect();
    Some((median(&mut slopes), spread))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { residual_mm: 0.3, largest_mm: 0.6, slope_mm_per_m: 2.0, keystone_mm: 0.15, pixel_mm: 0.6 };

    /// Four rows of three containers, 100 mm apart across. `offset` by the place across is what the second camera sees, mm across and along.
    /// The first camera sees the tray `stretched` by a share. Edges are known to a few hundredths of a millimetre.
    fn passages(offset: impl Fn(f64) -> (f64, f64), stretched: f64) -> Vec<Passage> {
        (0..12_u32)
            .map(|i| {
                let (x, y) = (50.0 + 100.0 * f64::from(i % 3), 50.0 + 75.0 * f64::from(i / 3));
                let noise = 0.03 * f64::from(i * 7 % 5) - 0.06;
                let (across, along) = offset(x);
                let offsets_mm = vec![Some((0.0, 0.0)), Some((across - noise, along + noise))];
                let keystone_mm = vec![Some(noise), Some(noise + 0.002 * (x - 150.0))];
                Passage { x_mm: x * (1.0 + stretched), y_mm: y, offsets_mm, keystone_mm, known_mm: Some(y), known_x_mm: Some(x) }
            })
            .collect()
    }

    fn warnings(offset: impl Fn(f64) -> (f64, f64)) -> Vec<String> {
        let (median_mm, of) = registration(&passages(offset, 0.0), 1).unwrap();
        LIMITS.judge("swir", "vnir", median_mm, &of)
    }

    #[test]
    fn yaw_shows_in_the_slope_though_the_median_is_zero() {
        let yaw = |degrees: f64| move |x: f64| (0.0, (x - 150.0) * degrees.to_radians().tan());
        let (median_mm, of) = registration(&passages(yaw(0.3), 0.0), 1).unwrap();
        assert!(median_mm[1].abs() < 0.05, "{median_mm:?}");
        assert!((of.yaw_deg.unwrap() - 0.3).abs() < 0.02 && (of.slope_mm_per_m.unwrap()[1] - 5.24).abs() < 0.3, "{of:?}");
        assert!((of.largest_mm[1].abs() - 0.52).abs() < 0.1 && of.containers == 12, "{of:?}");
        assert!(matches!(&warnings(yaw(0.3))[..], [one] if one.contains("turned by 0.3") && one.contains("max_residual_slope_mm_per_m")));
        assert!(matches!(&warnings(yaw(-0.3))[..], [one] if one.contains("turned by -0.3")));
        // The limit of 2 mm/m, and 0.45 mm/m for the edges: 0.140 degrees.
        assert_eq!((warnings(yaw(0.13)).len(), warnings(yaw(0.15)).len()), (0, 1));
    }

    #[test]
    fn a_view_of_another_width_shows_in_the_slope_across() {
        let wider = |share: f64| move |x: f64| ((x - 150.0) * share, 0.0);
        assert!(matches!(&warnings(wider(0.005))[..], [one] if one.contains("0.5") && one.contains("field_of_view_mm")));
        assert_eq!((warnings(wider(0.0022)).len(), warnings(wider(0.0027)).len()), (0, 1));
    }

    #[test]
    fn one_container_far_off_is_warned_of_with_its_place() {
        let one = |mm: f64| move |x: f64| if x > 200.0 { (0.0, mm) } else { (0.0, 0.0) };
        let mut all = passages(one(0.0), 0.0);
        all[4].offsets_mm[1] = Some((0.5, 0.4));
        let (median_mm, of) = registration(&all, 1).unwrap();
        assert!(matches!(&LIMITS.judge("swir", "vnir", median_mm, &of)[..], [one] if one.contains("x 150 mm, y 125 mm")));
        all[4].offsets_mm[1] = Some((0.4, 0.4));
        let (median_mm, of) = registration(&all, 1).unwrap();
        assert_eq!(LIMITS.judge("swir", "vnir", median_mm, &of), [""; 0]);
        assert_eq!(warnings(|_| (0.2, 0.2)), [""; 0]);
        assert!(matches!(&warnings(|_| (0.25, 0.25))[..], [one] if one.contains("max_residual_mm")));
    }

    #[test]
    fn the_tray_map_tells_the_width_of_a_view() {
        let judged = |share: f64| LIMITS.judge_scale("vnir", &passages(|_| (0.0, 0.0), share));
        assert!(judged(0.005).is_some_and(|w| w.contains("0.50 % further apart")) && judged(-0.005).is_some_and(|w| w.contains("closer")));
        // The limit of 2 mm/m, and 0.45 mm/m for the edges.
        assert_eq!((judged(0.0024), judged(0.0).is_some(), judged(0.0026).is_some()), (None, false, true));
        let mut unknown = passages(|_| (0.0, 0.0), 0.005);
        unknown.iter_mut().for_each(|passage| passage.known_x_mm = None);
        assert_eq!(LIMITS.judge_scale("vnir", &unknown), None);
    }

    #[test]
    fn a_keystone_shows_at_both_sides() {
        let all = passages(|_| (0.0, 0.0), 0.0);
        let (first, second) = (keystone(&all, 0).unwrap(), keystone(&all, 1).unwrap());
        assert!(first.left.abs() < 0.05 && first.right.abs() < 0.05 && LIMITS.judge_keystone("vnir", first).is_none(), "{first:?}");
        assert!((second.left + 0.2).abs() < 0.05 && (second.right - 0.2).abs() < 0.05, "{second:?}");
        let warning = LIMITS.judge_keystone("swir", second).unwrap();
        assert!(
            warning.contains("-0.2") && warning.contains("calibrate geometry") && warning.contains("join.max_keystone_mm"),
            "{warning}"
        );
        let judged = |left, right, limits: &Limits| limits.judge_keystone("swir", Keystone { left, right }).is_some();
        assert!(judged(-0.16, 0.0, &LIMITS) && judged(0.0, 0.16, &LIMITS) && !judged(-0.14, 0.14, &LIMITS));
        let coarse = Limits { pixel_mm: 2.4, ..LIMITS };
        assert!(!judged(0.0, 0.35, &coarse) && judged(0.0, 0.37, &coarse));
        assert_eq!(keystone(&[], 0), None);
    }

    #[test]
    fn one_column_shows_no_slope() {
        let column: Vec<Passage> = passages(|_| (0.0, 0.2), 0.0).into_iter().filter(|passage| passage.x_mm < 60.0).collect();
        let (_, of) = registration(&column, 1).unwrap();
        assert_eq!((of.slope_mm_per_m, of.yaw_deg), (None, None));
        assert_eq!(registration(&[], 1), None);
    }
}
