//! References and what is made of them.

use contract::{Exposure, Layout, Slot};
use std::path::{Path, PathBuf};

/// A dark or white reference: statistics over its frames, `[band][pixel]` in counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// Mean counts, `[band][pixel]`.
    pub mean: Vec<f32>,
    /// Standard deviation over the frames, counts, `[band][pixel]`.
    pub sd: Vec<f32>,
    /// Frames averaged.
    pub frames: u32,
    /// When the first of them was exposed, ns since 1970-01-01T00:00:00Z.
    pub taken_ns: i64,
    /// Settings of the camera.
    pub exposure: Exposure,
}

impl Reference {
    /// Noise of a typical element: the median of the standard deviations, counts, but at least one count.
    pub fn noise(&self) -> f32 {
        median(self.sd.clone()).max(1.0)
    }
}

/// Adds up the frames of a reference.
#[derive(Debug)]
pub struct Accumulator {
    sum: Vec<f64>,
    squares: Vec<f64>,
    frames: u32,
    taken_ns: i64,
}

impl Accumulator {
    /// An empty one for frames of `layout`.
    pub fn new(layout: Layout) -> Self {
        Self { sum: vec![0.0; layout.elements()], squares: vec![0.0; layout.elements()], frames: 0, taken_ns: 0 }
    }

    /// Frames added so far.
    pub fn frames(&self) -> u32 {
        self.frames
    }

    /// Adds a frame exposed at `time_ns`.
    pub fn add(&mut self, slot: &Slot, time_ns: i64) {
        if self.frames == 0 {
            self.taken_ns = time_ns;
        }
        self.frames += 1;
        if let Some(counts) = slot.as_u16() {
            self.sum_up(counts.iter().map(|c| f64::from(*c)));
        } else if let Some(values) = slot.as_f32() {
            self.sum_up(values.iter().map(|v| f64::from(*v)));
        }
    }

    fn sum_up(&mut self, values: impl Iterator<Item = f64>) {
        for ((sum, squares), value) in self.sum.iter_mut().zip(&mut self.squares).zip(values) {
            *sum += value;
            *squares += value * value;
        }
    }

    /// Mean and standard deviation of the frames; `None` when there was none.
    #[expect(clippy::cast_possible_truncation, reason = "statistics of counts need no more than f32")]
    pub fn finish(self, exposure: Exposure) -> Option<Reference> {
        if self.frames == 0 {
            return None;
        }
        let n = f64::from(self.frames);
        let mean: Vec<f32> = self.sum.iter().map(|sum| (sum / n) as f32).collect();
        let free = (n - 1.0).max(1.0);
        let sd =
            self.sum.iter().zip(&self.squares).map(|(sum, squares)| (((squares - sum * sum / n) / free).max(0.0)).sqrt() as f32).collect();
        Some(Reference { mean, sd, frames: self.frames, taken_ns: self.taken_ns, exposure })
    }
}

/// A calibration from a dark and a white reference:
/// `reflectance = (counts - dark) * panel / (white - dark)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Referenced {
    /// The dark reference.
    pub dark: Reference,
    /// The white reference.
    pub white: Reference,
    /// Reflectance of the panel at each band.
    pub panel: Vec<f32>,
    /// `panel / (white - dark)`, 1/counts, `[band][pixel]`; zero for bad elements.
    pub gain: Vec<f32>,
    /// Dead and hot elements, `[band][pixel]`: 1 where bad.
    pub bad: Vec<u8>,
}

/// References that do not fit each other.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ReferenceError {
    /// One has other dimensions than the camera.
    #[error("the {what} has {found} elements, the camera {expected}; take the references again with the settings of the scan")]
    Shape {
        /// Which.
        what: &'static str,
        /// Elements it should have.
        expected: usize,
        /// Elements it has.
        found: usize,
    },
}

/// An element is dead when its response to the panel is under this share of its band's median.
const DEAD_RESPONSE: f32 = 0.1;
/// An element is hot when its dark level lies this share of the full scale above its band's median.
const HOT_DARK: f32 = 0.05;

impl Referenced {
    /// A calibration from its references; `panel` is the reflectance of the panel at each band, and elements at or above
    /// `saturation` (counts) in the dark are hot.
    pub fn new(
        dark: Reference,
        white: Reference,
        panel: Vec<f32>,
        layout: Layout,
        saturation: Option<f64>,
    ) -> Result<Self, ReferenceError> {
        let check = |what, found, expected| if found == expected { Ok(()) } else { Err(ReferenceError::Shape { what, expected, found }) };
        check("dark reference", dark.mean.len(), layout.elements())?;
        check("white reference", white.mean.len(), layout.elements())?;
        check("panel spectrum", panel.len(), layout.bands)?;
        let mut gain = Vec::with_capacity(layout.elements());
        let mut bad = Vec::with_capacity(layout.elements());
        #[expect(clippy::cast_possible_truncation, reason = "a level of counts needs no more than f32")]
        let full = saturation.map_or_else(|| white.mean.iter().copied().fold(0.0, f32::max), |s| s as f32);
        for ((band_dark, band_white), reflectance) in dark.mean.chunks(layout.pixels).zip(white.mean.chunks(layout.pixels)).zip(&panel) {
            let typical = median(band_white.iter().zip(band_dark).map(|(w, d)| w - d).collect());
            let level = median(band_dark.to_vec());
            for (w, d) in band_white.iter().zip(band_dark) {
                let response = w - d;
                let dead = response <= 0.0 || response < DEAD_RESPONSE * typical;
                let hot = d - level > HOT_DARK * full;
                bad.push(u8::from(dead || hot));
                gain.push(if dead || hot { 0.0 } else { reflectance / response });
            }
        }
        Ok(Self { dark, white, panel, gain, bad })
    }

    /// How many elements are dead or hot.
    pub fn bad_elements(&self) -> usize {
        self.bad.iter().filter(|bad| **bad != 0).count()
    }
}

/// How a camera's numbers become reflectance.
#[derive(Debug, Clone, PartialEq)]
pub enum Calibration {
    /// By references.
    Referenced(Box<Referenced>),
    /// The recording is reflectance already, `scale` standing for one.
    Scaled {
        /// What stands for a reflectance of one.
        scale: f64,
        /// The value that stands for "no data".
        ignore: Option<f64>,
    },
}

/// The reflectance of the white panel.
#[derive(Debug, Clone, PartialEq)]
pub enum Panel {
    /// The same at every wavelength.
    Constant(f64),
    /// Measured: pairs of nm and reflectance, rising in wavelength.
    Spectrum(Vec<(f64, f64)>),
}

/// A panel's spectrum cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PanelError {
    /// The file cannot be read.
    #[error("the panel's reflectance {} cannot be read: {reason}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// A line is not two numbers.
    #[error("{}, line {line}: expected wavelength in nm and reflectance (0 to 1.2), found `{found}`", path.display())]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What it says.
        found: String,
    },
    /// The spectrum does not reach over the camera's range.
    #[error("the panel's reflectance is known from {} to {} nm, the camera sees {} to {} nm; give a longer spectrum", known.0, known.1, seen.0, seen.1)]
    Range {
        /// Range of the file, nm.
        known: (f64, f64),
        /// Range of the camera, nm.
        seen: (f64, f64),
    },
}

impl Panel {
    /// Reads a two-column file: wavelength in nm and reflectance, separated by comma, semicolon, tab or blanks; lines that begin
    /// with `#` are passed over.
    pub fn read(path: &Path) -> Result<Self, PanelError> {
        let text = std::fs::read_to_string(path).map_err(|e| PanelError::Read { path: path.to_owned(), reason: e.to_string() })?;
        let mut points = Vec::new();
        for (i, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = || PanelError::Line { path: path.to_owned(), line: i + 1, found: line.to_owned() };
            let mut fields = line.split([',', ';', '\t', ' ']).filter(|f| !f.is_empty()).map(str::parse::<f64>);
            let (Some(Ok(nm)), Some(Ok(reflectance)), None) = (fields.next(), fields.next(), fields.next()) else { return Err(wrong()) };
            let rising = points.last().is_none_or(|(last, _)| *last < nm);
            if !rising || !nm.is_finite() || !(0.0..=1.2).contains(&reflectance) {
                return Err(wrong());
            }
            points.push((nm, reflectance));
        }
        if points.len() < 2 {
            return Err(PanelError::Read { path: path.to_owned(), reason: "it holds fewer than two lines of values".into() });
        }
        Ok(Self::Spectrum(points))
    }

    /// The panel's reflectance at each wavelength (nm), by linear interpolation.
    #[expect(clippy::cast_possible_truncation, reason = "a reflectance needs no more than f32")]
    pub fn at(&self, wavelengths_nm: &[f64]) -> Result<Vec<f32>, PanelError> {
        match self {
            Self::Constant(reflectance) => Ok(vec![*reflectance as f32; wavelengths_nm.len()]),
            Self::Spectrum(points) => {
                let known = (points[0].0, points[points.len() - 1].0);
                let seen = wavelengths_nm.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), w| (lo.min(*w), hi.max(*w)));
                if seen.0 < known.0 || seen.1 > known.1 {
                    return Err(PanelError::Range { known, seen });
                }
                Ok(wavelengths_nm
                    .iter()
                    .map(|nm| {
                        let after = points.partition_point(|p| p.0 < *nm).clamp(1, points.len() - 1);
                        let (a, b) = (points[after - 1], points[after]);
                        (a.1 + (b.1 - a.1) * (nm - a.0) / (b.0 - a.0)) as f32
                    })
                    .collect())
            }
        }
    }
}

fn median(mut values: Vec<f32>) -> f32 {
    if values.is_empty() {
        return 0.0;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f32::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::{FramePool, PixelFormat};

    #[test]
    fn mean_and_deviation_are_over_the_frames() {
        let layout = Layout { pixels: 2, bands: 1, format: PixelFormat::U16 };
        let pool = FramePool::new(layout, 1);
        let mut sum = Accumulator::new(layout);
        for level in [10_u16, 12, 14] {
            let mut slot = pool.try_take().unwrap();
            slot.as_u16_mut().unwrap().copy_from_slice(&[level, 7]);
            sum.add(&slot, 5);
        }
        let reference = sum.finish(Exposure { exposure_us: 1.0, frame_rate_hz: 1.0, binning: (1, 1) }).unwrap();
        assert_eq!((reference.mean, reference.sd, reference.frames), (vec![12.0, 7.0], vec![2.0, 0.0], 3));
    }

    #[test]
    fn a_panel_file_is_read_and_interpolated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("panel.txt");
        std::fs::write(&path, "# nm reflectance\n400,0.90\n500\t0.80\r\n").unwrap();
        let panel = Panel::read(&path).unwrap();
        assert_eq!(panel.at(&[400.0, 450.0, 500.0]).unwrap(), [0.9, 0.85, 0.8]);
        assert!(matches!(panel.at(&[399.0]), Err(PanelError::Range { .. })));
        std::fs::write(&path, "400,0.90\n500,95\n").unwrap();
        assert!(matches!(Panel::read(&path), Err(PanelError::Line { line: 2, .. })));
    }
}
