//! The place of a container in a picture of brightness, to a fraction of a pixel.
//!
//! At an edge, brightness passes half-way between the levels three pixels outside and three pixels inside. That place does not
//! depend on the contents of the container. So cameras of different ranges see the same edge.

/// Distance from an edge to the places where its two levels are read, pixels.
const REACH: usize = 3;
/// The same for an edge whose place comes from the area under it. The levels must be clear of the edge.
const AREA_REACH: usize = 4;
/// Largest distance of one edge in two pictures, pixels. What is further apart is another edge.
const MOST_APART: f64 = 2.0;
/// Least step of brightness at an edge.
const LEAST_STEP: f32 = 0.03;
/// Least share of a container's rows or columns that must show both edges.
const LEAST_SHARE: f64 = 0.3;

/// A picture of brightness. A missing value is NaN.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Picture {
    /// Number of pixels across.
    pub width: usize,
    /// Brightness `[row][pixel]`.
    pub values: Vec<f32>,
}

impl Picture {
    /// An empty picture of `width` pixels across.
    pub fn new(width: usize) -> Self {
        Self { width, values: Vec::new() }
    }

    /// Adds the next pixel. A missing value is replaced by that of the row before, because a lost line is no edge.
    pub fn push(&mut self, value: f32) {
        let before = self.values.len().checked_sub(self.width).map(|i| self.values[i]);
        self.values.push(if value.is_finite() { value } else { before.unwrap_or(value) });
    }

    /// Number of rows so far.
    pub fn rows(&self) -> usize {
        self.values.len() / self.width.max(1)
    }

    /// The centre (pixel, row) of the only container in the picture. Centres of pixels are whole numbers.
    ///
    /// Pixels above `threshold` are on the container. `None` means that its edges cannot be seen.
    pub fn centre(&self, threshold: f32) -> Option<(f64, f64)> {
        let (rows, width) = (self.rows(), self.width);
        let across = middle((0..rows).map(|row| span(width, threshold, |pixel| self.values[row * width + pixel])));
        let along = middle((0..width).map(|pixel| span(rows, threshold, |row| self.values[row * width + pixel])));
        Some((across?, along?))
    }

    /// How much further across the picture `last` shows the only container of this picture than the picture `first` does, pixels.
    ///
    /// Places come from the areas under the edges. They do not depend on where edges lie between pixels. So a small distance is seen.
    pub fn apart(&self, first: &Self, last: &Self, threshold: f32) -> Option<f64> {
        let (rows, width) = (self.rows().min(first.rows()).min(last.rows()), self.width);
        let (mut distances, mut bright) = (Vec::new(), 0.0);
        for row in 0..rows {
            let (from, to) = stretch(width, threshold, |pixel| self.values[row * width + pixel]);
            if to == from {
                continue;
            }
            bright += 1.0;
            let middle = |picture: &Self| {
                let value = |pixel: usize| picture.values[row * width + pixel];
                Some(f64::midpoint(area(&value, width, from, true)?, area(&value, width, to - 1, false)?))
            };
            let distance = middle(last).zip(middle(first)).map(|(last, first)| last - first);
            distances.extend(distance.filter(|pixels| pixels.abs() < MOST_APART));
        }
        #[expect(clippy::cast_precision_loss, reason = "a few hundred rows")]
        let enough = !distances.is_empty() && distances.len() as f64 >= LEAST_SHARE * bright;
        enough.then(|| median(&mut distances))
    }
}

/// Median of the middles of the spans. `None` means that too few of the bright spans have both edges.
fn middle(spans: impl Iterator<Item = Span>) -> Option<f64> {
    let (mut middles, mut bright) = (Vec::new(), 0.0);
    for span in spans {
        match span {
            Span::Nothing => {}
            Span::Doubtful => bright += 1.0,
            Span::Edges(first, last) => {
                bright += 1.0;
                middles.push(f64::midpoint(first, last));
            }
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a few hundred rows")]
    let enough = !middles.is_empty() && middles.len() as f64 >= LEAST_SHARE * bright;
    // Rows near the corners of a tilted container show two neighbouring sides. The median leaves them out.
    enough.then(|| median(&mut middles))
}

/// The median. It is 0 for no values.
pub fn median(values: &mut [f64]) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    values.sort_by(f64::total_cmp);
    let n = values.len();
    f64::midpoint(values[(n - 1) / 2], values[n / 2])
}

enum Span {
    /// Nothing is bright.
    Nothing,
    /// Something is bright, and its edges cannot be found.
    Doubtful,
    /// First and last edge.
    Edges(f64, f64),
}

/// The longest bright stretch of a line of `n` values: its first value, and the one behind its last.
fn stretch(n: usize, threshold: f32, value: impl Fn(usize) -> f32) -> (usize, usize) {
    let (mut best, mut begin) = ((0, 0), None);
    for i in 0..=n {
        let bright = i < n && value(i) > threshold;
        match (bright, begin) {
            (true, None) => begin = Some(i),
            (false, Some(from)) => {
                if i - from > best.1 - best.0 {
                    best = (from, i);
                }
                begin = None;
            }
            _ => {}
        }
    }
    best
}

/// Edges of the longest bright stretch of a line of `n` values.
fn span(n: usize, threshold: f32, value: impl Fn(usize) -> f32) -> Span {
    let (from, to) = stretch(n, threshold, &value);
    if to == from {
        return Span::Nothing;
    }
    if from < REACH || to + REACH > n || to - from < 4 * REACH {
        return Span::Doubtful;
    }
    let first = crossing(&value, from, true);
    let last = crossing(&value, to - 1, false);
    match (first, last) {
        (Some(first), Some(last)) => Span::Edges(first, last),
        _ => Span::Doubtful,
    }
}

/// The place near `at` at which brightness passes half-way. `at` is the outermost bright value. `rising` means the first edge.
fn crossing(value: &impl Fn(usize) -> f32, at: usize, rising: bool) -> Option<f64> {
    let step = |from: usize, n: usize| if rising { from + n } else { from - n };
    let back = |from: usize, n: usize| if rising { from - n } else { from + n };
    let (outside, inside) = (value(back(at, REACH)), value(step(at, REACH)));
    let step_up = inside - outside;
    // An edge needs a value on both sides.
    if step_up.is_nan() || step_up < LEAST_STEP {
        return None;
    }
    let half = f32::midpoint(outside, inside);
    let mut here = back(at, REACH);
    for _ in 0..2 * REACH {
        let next = step(here, 1);
        let (a, b) = (value(here), value(next));
        if a <= half && b > half {
            #[expect(clippy::cast_precision_loss, reason = "places in a picture")]
            let place = here as f64;
            let part = f64::from((half - a) / (b - a));
            return Some(if rising { place + part } else { place - part });
        }
        here = next;
    }
    None
}

/// The place of the edge near `at`, as [`crossing`] has them, by the area under it. The line has `n` values.
fn area(value: &impl Fn(usize) -> f32, n: usize, at: usize, rising: bool) -> Option<f64> {
    if at < AREA_REACH || at + AREA_REACH >= n {
        return None;
    }
    let (left, right) = (at - AREA_REACH, at + AREA_REACH);
    let (outside, inside) = if rising { (value(left), value(right)) } else { (value(right), value(left)) };
    let step_up = inside - outside;
    if step_up.is_nan() || step_up < LEAST_STEP {
        return None;
    }
    let covered: f32 = (left..=right).map(|i| (value(i) - outside) / step_up).sum();
    #[expect(clippy::cast_precision_loss, reason = "places in a picture")]
    let (left, right) = (left as f64 - 0.5, right as f64 + 0.5);
    Some(if rising { right - f64::from(covered) } else { left + f64::from(covered) }).filter(|place| place.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A container with edges `x` and `y`. Its left half reflects `left`, and its right half `right`. Pixels average over their area.
    fn picture(x: (f64, f64), y: (f64, f64), left: f64, right: f64, lost: Option<usize>) -> Picture {
        let cover = |lo: f64, hi: f64, i: usize| ((i as f64 + 0.5).min(hi) - (i as f64 - 0.5).max(lo)).clamp(0.0, 1.0);
        let mut picture = Picture::new(60);
        for row in 0..50 {
            for pixel in 0..60 {
                let level = if (pixel as f64) < f64::midpoint(x.0, x.1) { left } else { right };
                let part = cover(x.0, x.1, pixel) * cover(y.0, y.1, row);
                picture.push(if lost == Some(row) { f32::NAN } else { (0.03 + (level - 0.03) * part) as f32 });
            }
        }
        picture
    }

    #[test]
    fn the_centre_is_found_to_a_fraction_of_a_pixel_whatever_is_inside() {
        for (dx, left, right) in [(0.0, 0.4, 0.4), (0.3, 0.2, 0.7), (0.7, 0.6, 0.15)] {
            let seen = picture((10.2 + dx, 44.6 + dx), (8.9 + dx, 40.1 + dx), left, right, Some(25)).centre(0.08).unwrap();
            assert!((seen.0 - (27.4 + dx)).abs() < 0.15 && (seen.1 - (24.5 + dx)).abs() < 0.15, "{dx}: {seen:?}");
        }
    }

    #[test]
    fn a_small_distance_in_two_pictures_is_seen_whatever_the_place() {
        for (begin, by) in [(10.2, 0.1), (10.45, 0.1), (10.8, -0.2), (10.0, 0.35)] {
            let at = |x: f64, level: f64| picture((x, x + 31.3), (8.9, 40.1), level, level, None);
            let apart = at(begin, 0.5).apart(&at(begin, 0.4), &at(begin + by, 0.7), 0.08).unwrap();
            assert!((apart - by).abs() < 0.001, "{begin} {by}: {apart}");
            // What is dark within one of them is no edge.
            let half = picture((begin, begin + 31.3), (8.9, 40.1), 0.05, 0.4, None);
            assert_eq!(at(begin, 0.5).apart(&half, &at(begin + by, 0.7), 0.08), None);
        }
        let cut = picture((-5.0, 70.0), (5.0, 40.0), 0.4, 0.4, None);
        assert_eq!(cut.apart(&cut, &cut, 0.08), None);
    }

    #[test]
    fn what_has_no_edges_has_no_centre() {
        assert_eq!(picture((-5.0, 70.0), (5.0, 40.0), 0.4, 0.4, None).centre(0.08), None);
        assert_eq!(picture((10.0, 40.0), (5.0, 40.0), 0.03, 0.03, None).centre(0.08), None);
    }
}
