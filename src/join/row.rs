//! One row of the grid with the bands of all cameras. Its values are computed where they are read.

use crate::rectify::{CameraRow, mean};
use crate::simd::{Simd, WithSimd, all_finite, widest};
use std::ops::Range;
use std::sync::Arc;

/// A run of neighbouring bands that is copied as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub camera: usize,
    /// First band among the camera's bands.
    pub from: usize,
    /// First band among the joined bands.
    pub to: usize,
    pub len: usize,
}

/// One row of the millimetre grid with the bands of all cameras.
#[derive(Debug, Clone, Default)]
pub struct Row {
    /// Number of the row. Its centre lies at `y = index * pixel_mm`.
    pub index: i64,
    /// Time at which the first camera saw the row, ns since 1970-01-01T00:00:00Z.
    pub time_ns: i64,
    /// Reflectance `[pixel][band]`.
    pub spectra: Spectra,
    /// Flags `[pixel]` as in [`crate::scan::Quality`].
    pub quality: Vec<u8>,
}

/// Reflectance of a row `[pixel][band]`. A missing value is NaN.
#[derive(Debug, Clone)]
pub enum Spectra {
    /// The values themselves.
    Whole(Vec<f32>),
    /// The cameras' rows, from which values are computed. A joined row is read only a few times, and mostly in part.
    Parts(Parts),
}

impl Default for Spectra {
    fn default() -> Self {
        Self::Whole(Vec::new())
    }
}

impl From<Vec<f32>> for Spectra {
    fn from(values: Vec<f32>) -> Self {
        Self::Whole(values)
    }
}

/// The cameras' rows of a joined row.
#[derive(Debug, Clone)]
pub struct Parts {
    pub(super) width: usize,
    pub(super) runs: Arc<[Run]>,
    /// Number of bands of each camera.
    pub(super) cameras: Arc<[usize]>,
    /// The row of each camera. It is `None` where the camera did not see the row.
    pub(super) rows: Vec<Option<CameraRow>>,
}

impl Row {
    /// Number of values of the row, over all pixels and bands.
    pub fn values(&self) -> usize {
        match &self.spectra {
            Spectra::Whole(values) => values.len(),
            Spectra::Parts(parts) => parts.width * parts.runs.iter().map(|run| run.len).sum::<usize>(),
        }
    }

    /// Writes the spectra of `pixels` to `to`, `[pixel][band]`. Its length is `pixels.len() * bands`.
    pub fn write(&self, pixels: Range<usize>, bands: usize, to: &mut [f32]) {
        self.write_levelled(pixels, bands, &[], to);
    }

    /// Writes as [`Row::write`] does, with the values of each camera times its factor of `levels`. A camera without a factor keeps its values.
    pub fn write_levelled(&self, pixels: Range<usize>, bands: usize, levels: &[f32], to: &mut [f32]) {
        widest(Write::<false> { spectra: &self.spectra, pixels, bands, levels, to });
    }

    /// Writes as [`Row::write_levelled`] does. The result is false where a value is not finite.
    pub fn write_checked(&self, pixels: Range<usize>, bands: usize, levels: &[f32], to: &mut [f32]) -> bool {
        widest(Write::<true> { spectra: &self.spectra, pixels, bands, levels, to })
    }

    /// The spectra of `pixels`, `[pixel][band]`.
    pub fn to_vec(&self, pixels: Range<usize>, bands: usize) -> Vec<f32> {
        let mut values = vec![0.0; pixels.len() * bands];
        self.write(pixels, bands, &mut values);
        values
    }

    /// Band `band` of `bands`. The camera of the band is looked up once for all pixels.
    pub fn band(&self, band: usize, bands: usize) -> Band<'_> {
        Band(match &self.spectra {
            Spectra::Whole(values) => Place::Whole { values, bands, band },
            Spectra::Parts(parts) => {
                let run = parts.runs.iter().find(|run| (run.to..run.to + run.len).contains(&band));
                run.map_or(Place::None, |run| Place::Part { parts, run, band })
            }
        })
    }

    /// Mean reflectance of a pixel over all bands of the cameras that saw it. It is NaN where the pixel has no value.
    pub fn brightness(&self, pixel: usize) -> f32 {
        match &self.spectra {
            Spectra::Whole(values) => {
                let bands = values.len() / self.quality.len().max(1);
                mean(&values[pixel * bands..(pixel + 1) * bands])
            }
            Spectra::Parts(parts) => {
                let (mut sum, mut n) = (0.0, 0.0);
                for (row, bands) in parts.rows.iter().zip(parts.cameras.iter()) {
                    let brightness = row.as_ref().map_or(f32::NAN, |row| row.brightness(pixel));
                    if !brightness.is_nan() {
                        #[expect(clippy::cast_precision_loss, reason = "cameras have far fewer than 2^24 bands")]
                        let bands = *bands as f32;
                        (sum, n) = (sum + brightness * bands, n + bands);
                    }
                }
                sum / n
            }
        }
    }

    /// Sum of the squared weights of a camera's lines in the row, as [`CameraRow::squares`] says. It is 1 in a row of whole values.
    pub fn squares(&self, camera: usize) -> f32 {
        match &self.spectra {
            Spectra::Whole(_) => 1.0,
            Spectra::Parts(parts) => parts.rows.get(camera).and_then(Option::as_ref).map_or(f32::NAN, CameraRow::squares),
        }
    }

    /// The row of a camera. `None` where the camera did not see it.
    pub(super) fn camera(&self, camera: usize) -> Option<&CameraRow> {
        match &self.spectra {
            Spectra::Whole(_) => None,
            Spectra::Parts(parts) => parts.rows.get(camera)?.as_ref(),
        }
    }

    /// Releases the cameras' rows, so that their memory can be used again.
    pub(crate) fn release(&mut self) {
        if let Spectra::Parts(parts) = &mut self.spectra {
            parts.rows.clear();
        }
    }
}

/// One band of a row.
#[derive(Debug, Clone, Copy)]
pub struct Band<'a>(Place<'a>);

#[derive(Debug, Clone, Copy)]
enum Place<'a> {
    None,
    Whole { values: &'a [f32], bands: usize, band: usize },
    Part { parts: &'a Parts, run: &'a Run, band: usize },
}

impl Band<'_> {
    /// The value of a pixel. A missing value is NaN.
    #[inline(always)]
    pub fn at(&self, pixel: usize) -> f32 {
        match self.0 {
            Place::None => f32::NAN,
            Place::Whole { values, bands, band } => values[pixel * bands + band],
            Place::Part { parts, run, band } => parts.at(run, pixel, band),
        }
    }
}

impl Parts {
    /// The value of joined band `band`, which lies within `run`.
    #[inline(always)]
    fn at(&self, run: &Run, pixel: usize, band: usize) -> f32 {
        let from = pixel * self.cameras[run.camera] + run.from + band - run.to;
        self.rows[run.camera].as_ref().map_or(f32::NAN, |row| row.values().at(from))
    }
}

struct Write<'a, const CHECKED: bool> {
    spectra: &'a Spectra,
    pixels: Range<usize>,
    bands: usize,
    levels: &'a [f32],
    to: &'a mut [f32],
}

impl<const CHECKED: bool> WithSimd for Write<'_, CHECKED> {
    type Output = bool;

    #[inline(always)]
    fn with_simd<V: Simd>(self, _: V) -> bool {
        let Self { spectra, pixels, bands, levels, to } = self;
        match spectra {
            Spectra::Whole(values) => {
                to.copy_from_slice(&values[pixels.start * bands..pixels.end * bands]);
                !CHECKED || all_finite(to)
            }
            Spectra::Parts(parts) => {
                let mut all = true;
                for (pixel, spectrum) in pixels.zip(to.chunks_exact_mut(bands.max(1))) {
                    for run in parts.runs.iter() {
                        let to = &mut spectrum[run.to..run.to + run.len];
                        let Some(row) = &parts.rows[run.camera] else {
                            to.fill(f32::NAN);
                            continue;
                        };
                        let from = pixel * parts.cameras[run.camera] + run.from;
                        row.values().write(from..from + run.len, to);
                        if let Some(level) = levels.get(run.camera).filter(|level| **level != 1.0) {
                            to.iter_mut().for_each(|value| *value *= level);
                        }
                    }
                    all &= !CHECKED || all_finite(spectrum);
                }
                all
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_finite_is_seen_wherever_it_is() {
        let values: Vec<f32> = (0..40).map(|i| f32::MAX * (i as f32 / 20.0 - 1.0)).collect();
        assert!(all_finite(&values) && all_finite(&[]));
        for place in 0..values.len() {
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut values = values.clone();
                values[place] = bad;
                assert!(!all_finite(&values));
                let row = Row { spectra: values.into(), ..Row::default() };
                assert!(!row.write_checked(0..4, 10, &[], &mut [0.0; 40]));
            }
        }
    }
}
