//! Spectra in memory, or in a file.

use super::error::{DataError, in_short};
use crate::floats::read_floats;
use crate::scaling::Scaling;
use ndarray::Array2;
use rayon::prelude::*;
use std::fs::File;
use std::path::PathBuf;

/// Spectra that are encoded together.
const ENCODED: usize = 2048;

/// Spectra of a data set, reflectance. Callers read them by rows.
#[derive(Debug)]
pub struct Spectra {
    pub(super) wavelengths_nm: Vec<f64>,
    pub(super) count: usize,
    pub(super) kept: Kept,
    pub(super) lowest: Vec<f32>,
    pub(super) highest: Vec<f32>,
}

#[derive(Debug)]
pub(super) enum Kept {
    Memory(Vec<f32>),
    /// A file of little-endian float32, and its folder.
    File(File, PathBuf),
}

impl Spectra {
    /// Spectra `[row][band]` in memory. An incomplete last row is dropped.
    pub fn new(wavelengths_nm: Vec<f64>, mut values: Vec<f32>) -> Self {
        let bands = wavelengths_nm.len();
        let count = values.len() / bands.max(1);
        values.truncate(count * bands);
        let (mut lowest, mut highest) = (vec![f32::INFINITY; bands], vec![f32::NEG_INFINITY; bands]);
        for spectrum in values.chunks_exact(bands.max(1)) {
            widen(&mut lowest, &mut highest, spectrum);
        }
        Self { wavelengths_nm, count, kept: Kept::Memory(values), lowest, highest }
    }

    /// Number of spectra.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are no spectra.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bands of a spectrum.
    pub fn bands(&self) -> usize {
        self.wavelengths_nm.len()
    }

    /// Wavelengths of the bands, nm.
    pub fn wavelengths_nm(&self) -> &[f64] {
        &self.wavelengths_nm
    }

    /// Scaling of every band from 0 to 1 over all spectra.
    pub fn scaling(&self) -> Scaling {
        Scaling::new(&self.lowest, &self.highest)
    }

    /// Some spectra `[row][band]`, in the order of `rows`. Each row is below [`Spectra::len`].
    ///
    /// # Errors
    ///
    /// [`DataError::Open`] for a file that cannot be read.
    pub fn rows(&self, rows: &[u32]) -> Result<Vec<f32>, DataError> {
        let bands = self.bands();
        let mut values = vec![0.0_f32; rows.len() * bands];
        match &self.kept {
            Kept::Memory(all) => {
                for (spectrum, row) in values.chunks_exact_mut(bands).zip(rows) {
                    spectrum.copy_from_slice(&all[*row as usize * bands..][..bands]);
                }
            }
            Kept::File(file, folder) => {
                let mut bytes = Vec::new();
                for (spectrum, row) in values.chunks_exact_mut(bands).zip(rows) {
                    let read = read_floats(file, u64::from(*row) * 4 * bands as u64, spectrum, &mut bytes);
                    read.map_err(|source| DataError::Open { path: folder.clone(), source })?;
                }
            }
        }
        Ok(values)
    }

    /// Codes of some spectra by a model of some wavelengths, `(rows, latent)`. `encode` turns `[row][band]` into `[row][latent]`, many rows
    /// at a time.
    ///
    /// # Errors
    ///
    /// [`DataError::ModelWavelengths`] for other wavelengths. [`DataError::Open`] for a file that cannot be read.
    pub(crate) fn encode(
        &self,
        wavelengths_nm: &[f64],
        rows: &[u32],
        latent: usize,
        encode: impl Fn(Vec<f32>) -> Vec<f32> + Sync,
    ) -> Result<Array2<f32>, DataError> {
        self.expect_wavelengths(wavelengths_nm)?;
        let parts: Vec<Result<Vec<f32>, DataError>> = rows.par_chunks(ENCODED).map(|some| Ok(encode(self.rows(some)?))).collect();
        let values = parts.into_iter().collect::<Result<Vec<_>, _>>()?.concat();
        Ok(Array2::from_shape_fn((rows.len(), latent), |(row, code)| values[row * latent + code]))
    }

    /// Refuses a model of other wavelengths.
    ///
    /// # Errors
    ///
    /// [`DataError::ModelWavelengths`] where the wavelengths differ.
    pub fn expect_wavelengths(&self, wavelengths_nm: &[f64]) -> Result<(), DataError> {
        if same(&self.wavelengths_nm, wavelengths_nm) {
            return Ok(());
        }
        Err(DataError::ModelWavelengths { model: in_short(wavelengths_nm), data: in_short(&self.wavelengths_nm) })
    }
}

/// Widens the extremes of every band by one spectrum.
pub(super) fn widen(lowest: &mut [f32], highest: &mut [f32], spectrum: &[f32]) {
    for (value, (low, high)) in spectrum.iter().zip(lowest.iter_mut().zip(highest)) {
        (*low, *high) = (low.min(*value), high.max(*value));
    }
}

/// Whether wavelengths are the same, within the precision of text files.
pub(crate) fn same(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-3)
}
