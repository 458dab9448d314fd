//! Points within a polygon, by the even-odd rule.

/// Strips across the polygon, each with the sides that cross it.
const STRIPS: usize = 512;
/// Most threads that share the points.
const MOST_THREADS: usize = 4;
/// Least points of a thread.
const LEAST: usize = 50_000;

/// A polygon that many points are compared with.
pub struct Lasso {
    low: [f64; 2],
    high: [f64; 2],
    /// Of each side: y of both ends, x of the first, and x per y.
    strips: Vec<Vec<[f64; 4]>>,
}

impl Lasso {
    /// A polygon by its corners.
    pub fn new(corners: &[[f64; 2]]) -> Self {
        let bound =
            |axis: usize, pick: fn(f64, f64) -> f64, start: f64| corners.iter().fold(start, |bound, corner| pick(bound, corner[axis]));
        let low = [0, 1].map(|axis| bound(axis, f64::min, f64::INFINITY));
        let high = [0, 1].map(|axis| bound(axis, f64::max, f64::NEG_INFINITY));
        let mut lasso = Self { low, high, strips: vec![Vec::new(); STRIPS] };
        for (a, b) in corners.iter().zip(corners.iter().cycle().skip(1)) {
            let (from, to) = (lasso.strip(a[1].min(b[1])), lasso.strip(a[1].max(b[1])));
            lasso.strips[from..=to].iter_mut().for_each(|strip| strip.push([a[1], b[1], a[0], (b[0] - a[0]) / (b[1] - a[1])]));
        }
        lasso
    }

    fn strip(&self, y: f64) -> usize {
        let share = (y - self.low[1]) / (self.high[1] - self.low[1]);
        // A flat polygon has one strip.
        let strip = (share * STRIPS as f64).clamp(0.0, (STRIPS - 1) as f64);
        if strip.is_nan() { 0 } else { strip as usize }
    }

    /// Whether a point lies within.
    pub fn holds(&self, point: [f32; 2]) -> bool {
        let [x, y] = point.map(f64::from);
        if !(x >= self.low[0] && x <= self.high[0] && y >= self.low[1] && y <= self.high[1]) {
            return false;
        }
        let crossed = |side: &&[f64; 4]| {
            let [ay, by, ax, slope] = **side;
            (ay > y) != (by > y) && x < ax + (y - ay) * slope
        };
        self.strips[self.strip(y)].iter().filter(crossed).count() % 2 == 1
    }

    /// The numbers of the points that lie within, rising. Threads share the points.
    pub fn within(&self, points: &[[f32; 2]]) -> Vec<usize> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
        let share = points.len().div_ceil(threads).max(LEAST);
        let some = |(first, points): (usize, &[[f32; 2]])| -> Vec<usize> {
            points.iter().enumerate().filter(|(_, point)| self.holds(**point)).map(|(at, _)| first + at).collect()
        };
        let shares: Vec<(usize, &[[f32; 2]])> = points.chunks(share).enumerate().map(|(i, points)| (i * share, points)).collect();
        std::thread::scope(|scope| {
            let threads: Vec<_> = shares.into_iter().map(|share| scope.spawn(move || some(share))).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(corners: &[[f64; 2]], [x, y]: [f64; 2]) -> bool {
        let sides = corners.iter().zip(corners.iter().cycle().skip(1));
        sides.filter(|(a, b)| (a[1] > y) != (b[1] > y) && x < a[0] + (y - a[1]) / (b[1] - a[1]) * (b[0] - a[0])).count() % 2 == 1
    }

    #[test]
    fn strips_and_threads_change_nothing() {
        let corners: Vec<[f64; 2]> = (0..97)
            .map(|i| {
                let (sin, cos) = (f64::from(i) * 0.41).sin_cos();
                let far = 0.5 + 0.5 * f64::from(i % 5);
                [far * cos, far * sin]
            })
            .collect();
        let point = |i: u32| [(i % 1009) as f32 / 300.0 - 1.7, (i % 907) as f32 / 270.0 - 1.7];
        let lasso = Lasso::new(&corners);
        for i in 0..20_000 {
            assert_eq!(lasso.holds(point(i)), plain(&corners, point(i).map(f64::from)), "{:?}", point(i));
        }
        let points: Vec<[f32; 2]> = (0..1_000_000).map(point).collect();
        let begin = std::time::Instant::now();
        let found = lasso.within(&points);
        println!("1e6 points, 97 corners: {} within, {:?}", found.len(), begin.elapsed());
        assert_eq!(found, (0..points.len()).filter(|at| lasso.holds(points[*at])).collect::<Vec<_>>());
        assert!(found.len() > 100_000, "{}", found.len());
    }

    #[test]
    fn a_flat_polygon_holds_nothing() {
        assert!(!Lasso::new(&[[0.0, 1.0], [2.0, 1.0], [1.0, 1.0]]).holds([1.0, 1.0]));
    }
}
