//! The facts of a sample that a page shows beside its cube.

use super::pixel_uncertainty::{PixelUncertainty, pixel_uncertainty};
use crate::schema::{self, attribute, calibration, entry, grid, mean, process};
use crate::store::{Reading, SampleError, StoredSample};
use std::collections::BTreeMap;

/// A sample's file, of which facts beside the cube are read.
#[derive(Clone, Copy)]
pub struct SampleView<'a> {
    reading: &'a Reading,
    wavelengths_nm: &'a [f64],
}

/// Names and words of a sample.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SampleFacts {
    /// Name of the sample.
    pub name: String,
    /// The container it lay in.
    pub container: String,
    /// The tray.
    pub tray: String,
    /// The scan.
    pub scan: String,
    /// The sample keys of the tray map.
    pub keys: BTreeMap<String, String>,
    /// The numbers of the tray map.
    pub vars: BTreeMap<String, f64>,
    /// What is doubtful about it.
    pub doubts: Vec<String>,
    /// Program, version, encoder and hashes, as far as the file holds them.
    pub provenance: BTreeMap<String, String>,
}

/// The mean spectrum of a sample. Lists that the file lacks are empty.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MeanSpectrum {
    /// Mean reflectance of the valid pixels on the sample.
    pub reflectance: Vec<f64>,
    /// Its standard uncertainty (k = 1).
    pub u: Vec<f64>,
    /// Signal-to-noise ratio of one element in one line.
    pub snr: Vec<f64>,
    /// First and last wavelength of each range with a sufficient ratio, nm.
    pub valid_nm: Vec<f64>,
}

/// A stretch of bands of the cube that one camera gave.
#[derive(Debug, Clone, PartialEq)]
pub struct CameraBands {
    /// Name of the camera.
    pub name: String,
    /// First band of the cube.
    pub first_band: usize,
    /// Number of bands.
    pub bands: usize,
    /// White reference in these bands, counts: the mean over the detector's pixels.
    pub white: Option<Vec<f32>>,
    /// Dark reference in these bands, counts: the mean over the detector's pixels.
    pub dark: Option<Vec<f32>>,
}

impl<'a> SampleView<'a> {
    /// The facts of an open sample.
    pub fn of(sample: &'a StoredSample) -> Self {
        Self { reading: &sample.reading, wavelengths_nm: &sample.wavelengths_nm }
    }

    /// The uncertainty of a pixel's spectrum. `None` where the file holds none.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn uncertainty(&self, (line, pixel): (usize, usize), spectrum: &[f32]) -> Result<Option<PixelUncertainty>, SampleError> {
        pixel_uncertainty(self.reading, (line as u64, pixel as u64), spectrum)
    }

    /// Whether a group of the file has a member.
    fn has(&self, group: &str, name: &str) -> Result<bool, SampleError> {
        self.reading.at(group, self.reading.object(group)?.has(name))
    }

    /// Names and words of the sample.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn facts(&self) -> Result<SampleFacts, SampleError> {
        let [name, container, tray, scan] = self.reading.names()?;
        let mut provenance = BTreeMap::new();
        let group = schema::path([entry::PROCESS]);
        let texts =
            [process::PROGRAM, process::VERSION, process::COMMIT, process::CONFIGURATION_SHA256, process::ENCODER, process::ENCODER_SHA256];
        for text in texts {
            if self.has(&group, text)? {
                provenance.insert(text.to_owned(), self.reading.text(&schema::path([entry::PROCESS, text]))?);
            }
        }
        for text in [entry::START_TIME, entry::END_TIME] {
            if self.has(&schema::path([]), text)? {
                provenance.insert(text.to_owned(), self.reading.text(&schema::path([text]))?);
            }
        }
        let (keys, vars, doubts) = (self.reading.keys()?, self.reading.vars()?, self.reading.doubts()?);
        Ok(SampleFacts { name, container, tray, scan, keys, vars, doubts, provenance })
    }

    /// Text of the configuration that the sample was made with.
    ///
    /// # Errors
    /// The file cannot be read, or lacks it.
    pub fn configuration(&self) -> Result<String, SampleError> {
        self.reading.text(&schema::path([entry::PROCESS, process::CONFIGURATION]))
    }

    /// The mean spectrum. `None` where the file holds none.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn mean(&self) -> Result<Option<MeanSpectrum>, SampleError> {
        if !self.has(&schema::path([]), entry::MEAN)? {
            return Ok(None);
        }
        let group = schema::path([entry::MEAN]);
        let list = |name: &str| match self.has(&group, name)? {
            true => self.reading.list::<f64>(&schema::path([entry::MEAN, name])),
            false => Ok(Vec::new()),
        };
        let valid_nm = self.reading.at(&group, self.reading.object(&group)?.named(mean::VALID_NM))?;
        let valid_nm = valid_nm.map_or_else(|| Ok(Vec::new()), |values| self.reading.at(&group, values.numbers()))?;
        Ok(Some(MeanSpectrum { reflectance: list(mean::REFLECTANCE)?, u: list(mean::ERRORS)?, snr: list(mean::SNR)?, valid_nm }))
    }

    /// The cameras of the cube's bands, in the order of the bands. Empty where the file does not say.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn cameras(&self) -> Result<Vec<CameraBands>, SampleError> {
        let group = schema::path([entry::REFLECTANCE]);
        if !self.has(&group, grid::CAMERA_INDEX)? {
            return Ok(Vec::new());
        }
        let path = schema::path([entry::REFLECTANCE, grid::CAMERA_INDEX]);
        let index: Vec<u8> = self.reading.list(&path)?;
        let meanings = self.reading.at(&path, self.reading.object(&path)?.named(attribute::FLAG_MEANINGS))?;
        let names = meanings.map_or_else(|| Ok(Vec::new()), |values| self.reading.at(&path, values.texts()))?;
        let names: Vec<String> = names.iter().flat_map(|words| words.split_whitespace()).map(str::to_owned).collect();
        let mut stretches = Vec::new();
        let mut first_band = 0;
        for some in index.chunk_by(|a, b| a == b) {
            let name = names.get(usize::from(some[0])).cloned().unwrap_or_else(|| some[0].to_string());
            let wavelengths = self.wavelengths_nm.get(first_band..first_band + some.len()).unwrap_or_default();
            let [white, dark] = [calibration::WHITE, calibration::DARK].map(|kind| self.reference(&name, kind, wavelengths));
            stretches.push(CameraBands { name, first_band, bands: some.len(), white: white?, dark: dark? });
            first_band += some.len();
        }
        Ok(stretches)
    }

    /// A camera's reference at some of its wavelengths, averaged over its pixels. `None` where it has none there.
    fn reference(&self, camera: &str, kind: &str, wavelengths_nm: &[f64]) -> Result<Option<Vec<f32>>, SampleError> {
        if !self.has(&schema::path([entry::CALIBRATION]), camera)? || !self.has(&schema::path([entry::CALIBRATION, camera]), kind)? {
            return Ok(None);
        }
        let of_camera: Vec<f64> = self.reading.list(&schema::path([entry::CALIBRATION, camera, calibration::WAVELENGTH]))?;
        let table: Vec<f32> = self.reading.list(&schema::path([entry::CALIBRATION, camera, kind]))?;
        let mut sums = vec![(0.0_f64, 0.0_f64); of_camera.len()];
        for pixel in table.chunks_exact(of_camera.len().max(1)) {
            for ((sum, count), value) in sums.iter_mut().zip(pixel).filter(|(_, value)| value.is_finite()) {
                *sum += f64::from(*value);
                *count += 1.0;
            }
        }
        let nearest = |nm: &f64| (0..of_camera.len()).min_by(|a, b| (of_camera[*a] - nm).abs().total_cmp(&(of_camera[*b] - nm).abs()));
        #[expect(clippy::cast_possible_truncation, reason = "counts of a detector, rounded to the precision of their mean")]
        let mean = |band: usize| (sums[band].0 / sums[band].1) as f32;
        Ok(wavelengths_nm.iter().map(|nm| nearest(nm).map(mean)).collect())
    }
}
