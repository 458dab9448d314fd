//! A printed target with white squares of known places on black, and the places of its squares on the tray.
//!
//! A sheet that lies askew is turned for all cameras alike: its columns lean. The line of a turned camera shears it: rows lean, and columns
//! do not. So yaw and scale of every camera follow from the sheet alone.

use super::geometry::{GeometryError, matched};
use std::fmt::Write as _;
use std::path::Path;
use std::str::FromStr;

/// The target: its black field, mm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Target {
    /// Width across the belt.
    pub width_mm: f64,
    /// Length along the belt.
    pub length_mm: f64,
}

/// Least width and length, mm. Smaller squares show no edges.
const LEAST_MM: f64 = 90.0;
/// Largest width and length, mm.
const MOST_MM: f64 = 2000.0;
/// Largest square, mm.
const MOST_SIDE_MM: f64 = 40.0;
/// Turn of the slanted square, degrees. Its edges show the sharpness of the picture finer than its pixels.
const SLANT_DEG: f64 = 5.0;
/// Distance of the ruler's ticks, and the width of its lines, mm.
const TICKS_MM: f64 = 10.0;
const LINE_MM: f64 = 0.4;
/// Height of the ruler's numbers, mm.
const TEXT_MM: f64 = 3.5;
/// Squares that must be seen. All but one of six show scale and turn.
const LEAST_SQUARES: usize = 5;

/// A target that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// Its size is out of bounds.
    #[error("a target is {LEAST_MM} to {MOST_MM} mm wide and long, write 300x200; found `{0}`")]
    Size(String),
    /// The file's name says no format.
    #[error("{0}: write a name that ends in .svg or .pdf")]
    Format(String),
    /// The file cannot be written.
    #[error("{path}: {error}; {}", crate::disk::advice(error, "check the folder"))]
    Write {
        /// The file.
        path: String,
        /// The system's error.
        error: std::io::Error,
    },
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let size = || TargetError::Size(text.to_owned());
        let (width, length) = text.split_once('x').ok_or_else(size)?;
        let number = |text: &str| text.trim().parse::<f64>().map_err(|_| size());
        Self::new(number(width)?, number(length)?)
    }
}

/// A place on the target or the tray, mm across and along.
type Place = (f64, f64);

/// A polygon of the target, mm from its upper left corner: corners and whether it is white.
type Shape = (Vec<Place>, bool);

impl Target {
    /// A target of this size, mm.
    ///
    /// # Errors
    /// The size is out of bounds.
    pub fn new(width_mm: f64, length_mm: f64) -> Result<Self, TargetError> {
        let fits = |mm: f64| (LEAST_MM..=MOST_MM).contains(&mm);
        if !fits(width_mm) || !fits(length_mm) {
            return Err(TargetError::Size(format!("{width_mm}x{length_mm}")));
        }
        Ok(Self { width_mm, length_mm })
    }

    /// Edge of a square, mm.
    fn side_mm(&self) -> f64 {
        (self.width_mm.min(self.length_mm) / 6.0).min(MOST_SIDE_MM)
    }

    /// Centres of the squares, mm across and along from the upper left corner: left, middle and right, at both ends.
    pub fn squares(&self) -> Vec<(f64, f64)> {
        let side = self.side_mm();
        let row = |y: f64| [side, self.width_mm / 2.0, self.width_mm - side].map(|x| (x, y));
        [row(side), row(self.length_mm - side)].concat()
    }

    fn shapes(&self) -> Vec<Shape> {
        let (side, middle) = (self.side_mm(), (self.width_mm / 2.0, self.length_mm / 2.0));
        let rectangle = |(x, y): (f64, f64), (w, h): (f64, f64)| vec![(x, y), (x + w, y), (x + w, y + h), (x, y + h)];
        let mut shapes = vec![(rectangle((0.0, 0.0), (self.width_mm, self.length_mm)), false)];
        shapes.extend(self.squares().into_iter().map(|(x, y)| (rectangle((x - side / 2.0, y - side / 2.0), (side, side)), true)));
        let (sin, cos) = SLANT_DEG.to_radians().sin_cos();
        let half = 0.4 * side;
        let corner = |(u, v): (f64, f64)| (middle.0 + half * (u * cos - v * sin), middle.1 - side / 2.0 + half * (u * sin + v * cos));
        shapes.push(([(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)].map(corner).to_vec(), true));
        let (ticks, (left, top)) = self.ruler();
        shapes.push((rectangle((left, top), (ticks * TICKS_MM, LINE_MM)), true));
        let mut at = 0.0;
        while at <= ticks {
            let long = if at % 10.0 == 0.0 || at == ticks { 2.0 } else { 1.0 };
            shapes.push((rectangle((left + at * TICKS_MM - LINE_MM / 2.0, top - 2.0 * long), (LINE_MM, 2.0 * long)), true));
            at += 1.0;
        }
        shapes
    }

    /// The ruler to check the scale of the print: as many whole centimetres as fit, and its left end, mm.
    fn ruler(&self) -> (f64, Place) {
        let ticks = ((self.width_mm - self.side_mm()) / TICKS_MM).floor().max(1.0);
        (ticks, (self.width_mm / 2.0 - ticks * TICKS_MM / 2.0, self.length_mm / 2.0 + self.side_mm()))
    }

    /// The numbers below the ruler, each with the middle of its foot, mm.
    fn labels(&self) -> Vec<(Place, String)> {
        let (ticks, (left, top)) = self.ruler();
        // The last number stands alone, with the unit.
        let long = std::iter::successors(Some(0.0), |at| Some(at + 10.0)).take_while(|at| at + 2.0 < ticks);
        let label = |at: f64, unit: &str| ((left + at * TICKS_MM, top + LINE_MM + 1.3 * TEXT_MM), format!("{}{unit}", at * TICKS_MM));
        long.map(|at| label(at, "")).chain(std::iter::once(label(ticks, " mm"))).collect()
    }

    /// The target as a file of SVG, in mm.
    pub fn svg(&self) -> String {
        let Self { width_mm: w, length_mm: l } = self;
        let mut text = format!("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}mm\" height=\"{l}mm\" viewBox=\"0 0 {w} {l}\">\n");
        for (corners, white) in self.shapes() {
            let points: Vec<String> = corners.iter().map(|(x, y)| format!("{x:.3},{y:.3}")).collect();
            let fill = if white { "#fff" } else { "#000" };
            let _ = writeln!(text, "<polygon points=\"{}\" fill=\"{fill}\"/>", points.join(" "));
        }
        for ((x, y), label) in self.labels() {
            let style =
                format!("font-family=\"Helvetica, Arial, sans-serif\" font-size=\"{TEXT_MM}\" text-anchor=\"middle\" fill=\"#fff\"");
            let _ = writeln!(text, "<text x=\"{x:.3}\" y=\"{y:.3}\" {style}>{label}</text>");
        }
        text.push_str("</svg>\n");
        text
    }

    /// The target as a file of PDF, one page of its size.
    pub fn pdf(&self) -> String {
        /// Points of a millimetre.
        const POINTS: f64 = 72.0 / 25.4;
        let (w, l) = (self.width_mm * POINTS, self.length_mm * POINTS);
        let mut drawn = String::new();
        for (corners, white) in self.shapes() {
            let _ = write!(drawn, "{} g", u8::from(white));
            for ((x, y), pen) in corners.iter().zip(std::iter::once("m").chain(std::iter::repeat("l"))) {
                let _ = write!(drawn, " {:.4} {:.4} {pen}", x * POINTS, l - y * POINTS);
            }
            drawn.push_str(" h f\n");
        }
        for ((x, y), label) in self.labels() {
            // Figures of Helvetica are 0.556 of its size wide.
            #[expect(clippy::cast_precision_loss, reason = "a few letters")]
            let left = x - 0.278 * TEXT_MM * label.len() as f64;
            let (left, foot) = (left * POINTS, l - y * POINTS);
            let _ = writeln!(drawn, "1 g BT /F {:.4} Tf {left:.4} {foot:.4} Td ({label}) Tj ET", TEXT_MM * POINTS);
        }
        let font = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>";
        let objects = [
            "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
            "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
            format!("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {w:.4} {l:.4}] /Contents 4 0 R /Resources << /Font << /F {font} >> >> >>"),
            format!("<< /Length {} >>\nstream\n{drawn}endstream", drawn.len()),
        ];
        let (mut text, mut places) = ("%PDF-1.4\n".to_owned(), Vec::new());
        for (number, object) in (1..).zip(&objects) {
            places.push(text.len());
            let _ = write!(text, "{number} 0 obj\n{object}\nendobj\n");
        }
        let (table, count) = (text.len(), objects.len() + 1);
        let _ = write!(text, "xref\n0 {count}\n0000000000 65535 f \n");
        for place in places {
            let _ = writeln!(text, "{place:010} 00000 n ");
        }
        let _ = write!(text, "trailer\n<< /Size {count} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n");
        text
    }

    /// Writes the target to a file whose name ends in `.svg` or `.pdf`.
    ///
    /// # Errors
    /// The name has another ending, or the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), TargetError> {
        let ends = |ending: &str| path.extension().is_some_and(|e| e.eq_ignore_ascii_case(ending));
        let text = match (ends("svg"), ends("pdf")) {
            (true, _) => self.svg(),
            (_, true) => self.pdf(),
            _ => return Err(TargetError::Format(path.display().to_string())),
        };
        std::fs::write(path, text).map_err(|error| TargetError::Write { path: path.display().to_string(), error })
    }

    /// The places of the squares on the tray, mm, as the first of the cameras that see the `centres` sees the sheet on the whole. The result
    /// has the scale of the belt for each camera: how much further along it saw the squares apart than they are, as a ratio.
    pub(super) fn laid(&self, centres: &[(&str, Vec<Place>)]) -> Result<(Vec<Place>, Vec<f64>), GeometryError> {
        let middle = (self.width_mm / 2.0, self.length_mm / 2.0);
        let known: Vec<(f64, f64)> = self.squares().into_iter().map(|(x, y)| (x - middle.0, y - middle.1)).collect();
        let (mut turns, mut along, mut place) = (Vec::new(), Vec::new(), None);
        for (camera, seen) in centres {
            let pairs = matched(seen, &known);
            if pairs.len() < LEAST_SQUARES {
                return Err(GeometryError::NoTarget { camera: (*camera).to_owned(), found: pairs.len(), wanted: LEAST_SQUARES });
            }
            let [x, y] = [0, 1].map(|axis| plane(&pairs.iter().map(|(seen, known)| (*known, [seen.0, seen.1][axis])).collect::<Vec<_>>()));
            place.get_or_insert((x[0], y[0]));
            // Columns lean as the sheet is turned.
            turns.push(-x[2].atan());
            along.push(y[2]);
        }
        #[expect(clippy::cast_precision_loss, reason = "a few cameras")]
        let turn = turns.iter().sum::<f64>() / turns.len().max(1) as f64;
        let (sin, cos) = turn.sin_cos();
        let (x0, y0) = place.unwrap_or_default();
        let squares = known.iter().map(|(u, v)| (x0 + u * cos - v * sin, y0 + u * sin + v * cos)).collect();
        Ok((squares, along.into_iter().map(|along| along / cos).collect()))
    }
}

/// The plane through points (u, v) with values, by least squares: value at the origin, slope over u, slope over v.
fn plane(points: &[(Place, f64)]) -> [f64; 3] {
    #[expect(clippy::cast_precision_loss, reason = "a few points")]
    let n = points.len() as f64;
    let mean = |of: &dyn Fn(&(Place, f64)) -> f64| points.iter().map(of).sum::<f64>() / n;
    let (u, v, z) = (mean(&|p| p.0.0), mean(&|p| p.0.1), mean(&|p| p.1));
    let (uu, vv, uv) = (mean(&|p| (p.0.0 - u).powi(2)), mean(&|p| (p.0.1 - v).powi(2)), mean(&|p| (p.0.0 - u) * (p.0.1 - v)));
    let (uz, vz) = (mean(&|p| (p.0.0 - u) * (p.1 - z)), mean(&|p| (p.0.1 - v) * (p.1 - z)));
    let determinant = uu * vv - uv * uv;
    let (over_u, over_v) = ((uz * vv - vz * uv) / determinant, (vz * uu - uz * uv) / determinant);
    [z - over_u * u - over_v * v, over_u, over_v]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_two_numbers_within_bounds() {
        assert_eq!("300x200".parse::<Target>().unwrap(), Target { width_mm: 300.0, length_mm: 200.0 });
        assert_eq!("90 x 90.5".parse::<Target>().unwrap().length_mm, 90.5);
        for wrong in ["300", "89x200", "300x2001", "axb", "300xnan", "x", "-300x200"] {
            let error = wrong.parse::<Target>().unwrap_err().to_string();
            assert!(error.contains("300x200") && error.contains("90"), "{wrong}: {error}");
        }
    }

    #[test]
    fn squares_lie_clear_of_each_other_and_of_the_edge() {
        for (width, length) in [(90.0, 90.0), (300.0, 200.0), (190.0, 280.0), (1200.0, 400.0)] {
            let target = Target::new(width, length).unwrap();
            let (side, squares) = (target.side_mm(), target.squares());
            assert!(side >= 15.0 && squares.len() == 6);
            for (x, y) in &squares {
                assert!(*x >= side - 1e-9 && *x <= width - side + 1e-9 && *y >= side - 1e-9 && *y <= length - side + 1e-9);
            }
            let inside = |(x, y): &(f64, f64)| (0.0..=width).contains(x) && (0.0..=length).contains(y);
            assert!(target.shapes().iter().all(|(corners, _)| corners.iter().all(inside)), "{width} x {length}");
            let apart = |a: &(f64, f64), b: &(f64, f64)| (a.0 - b.0).abs().max((a.1 - b.1).abs());
            assert!((0..6).all(|i| (0..i).all(|k| apart(&squares[i], &squares[k]) >= 1.4 * side)));
        }
    }

    #[test]
    fn files_have_the_size_of_the_target() {
        let target = Target::new(254.0, 127.0).unwrap();
        let svg = target.svg();
        assert!(svg.contains("width=\"254mm\" height=\"127mm\"") && svg.matches("<polygon").count() > 10);
        assert!(svg.contains(">0</text>") && svg.contains(">100</text>") && svg.contains(">230 mm</text>"), "{svg}");
        let pdf = target.pdf();
        assert!(pdf.starts_with("%PDF-1.4\n") && pdf.ends_with("%%EOF\n") && pdf.contains("/MediaBox [0 0 720.0000 360.0000]"));
        // Each entry of the table points to its object.
        let table: usize = pdf.split("startxref\n").nth(1).unwrap().lines().next().unwrap().parse().unwrap();
        let entries: Vec<&str> = pdf[table..].lines().skip(3).take(4).collect();
        for (number, entry) in (1..).zip(entries) {
            let place: usize = entry[..10].parse().unwrap();
            assert!(entry.len() == 19 && pdf[place..].starts_with(&format!("{number} 0 obj\n")), "{entry}");
        }
        let stream = pdf.split("stream\n").nth(1).unwrap();
        let length: usize = pdf.split("/Length ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        assert_eq!(&stream[length..], "end");
        let folder = tempfile::tempdir().unwrap();
        target.write(&folder.path().join("t.PDF")).unwrap();
        assert!(target.write(&folder.path().join("t.png")).unwrap_err().to_string().contains(".svg or .pdf"));
    }

    #[test]
    fn a_sheet_that_lies_askew_is_no_yaw() {
        let target = Target::new(300.0, 200.0).unwrap();
        let (theta, place) = (0.6_f64.to_radians(), (140.0, 77.0));
        let true_places: Vec<(f64, f64)> = target
            .squares()
            .iter()
            .map(|(x, y)| (x - 150.0, y - 100.0))
            .map(|(u, v)| (place.0 + u * theta.cos() - v * theta.sin(), place.1 + u * theta.sin() + v * theta.cos()))
            .collect();
        // The second camera is turned, and sees the belt 0.3 % too long.
        let yaw = 0.3_f64.to_radians().tan();
        let turned: Vec<(f64, f64)> = true_places.iter().skip(1).map(|(x, y)| (*x, 1.003 * (y - (x - 150.0) * yaw))).collect();
        let (laid, along) = target.laid(&[("vnir", true_places.clone()), ("swir", turned)]).unwrap();
        for (laid, wanted) in laid.iter().zip(&true_places) {
            assert!((laid.0 - wanted.0).hypot(laid.1 - wanted.1) < 0.01, "{laid:?} {wanted:?}");
        }
        assert!((along[0] - 1.0).abs() < 1e-4 && (along[1] - 1.003).abs() < 3e-4, "{along:?}");
        let few = target.laid(&[("vnir", true_places[..4].to_vec())]).unwrap_err().to_string();
        assert!(few.contains("vnir") && few.contains('4'), "{few}");
    }
}
