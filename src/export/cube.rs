//! A sample's file as an export reads it: its cube in blocks of lines, and all else at once.

use super::error::ExportError;
use crate::config::Overlap;
use crate::hdf::Values;
use crate::inspect::extent;
use crate::join::Bands;
use crate::schema::{self, detector, entry, grid, ledger, process};
use crate::store::Reading;
use ndarray::ArrayView3;
use std::collections::BTreeMap;
use std::path::Path;

/// Bytes of a cube that are read at a time.
const BLOCK_BYTES: usize = 16 << 20;

/// A sample's file, without its cube.
pub(super) struct Source {
    pub(super) reading: Reading,
    pub(super) name: String,
    pub(super) container: String,
    pub(super) tray: String,
    pub(super) scan: String,
    pub(super) keys: BTreeMap<String, String>,
    pub(super) vars: BTreeMap<String, f64>,
    pub(super) doubts: Vec<String>,
    pub(super) cameras: Vec<Camera>,
}

/// A camera as the file describes it.
pub(super) struct Camera {
    /// Its name in the configuration.
    pub(super) name: String,
    pub(super) model: String,
    /// Centres of its own bands, nm.
    pub(super) wavelengths_nm: Vec<f64>,
    pub(super) frame_rate_hz: f64,
    pub(super) exposure_us: f64,
    pub(super) binning_spatial: u32,
    pub(super) binning_spectral: u32,
    /// Speed of the belt while it saw the sample, mm/s, by the ledger. None where the ledger has less than two lines.
    pub(super) belt_mm_per_s: Option<f64>,
}

impl Source {
    pub(super) fn open(path: &Path) -> Result<Self, ExportError> {
        let reading = Reading::open(path)?;
        let [name, container, tray, scan] = reading.names()?;
        let instrument = schema::path([entry::INSTRUMENT]);
        let (names, _) = reading.at(&instrument, reading.object(&instrument)?.members())?;
        // Our names are plain text. A name that is none leads nowhere, and the error shows it.
        let cameras = names.iter().map(|name| Camera::read(&reading, &name.to_string_lossy())).collect::<Result<_, _>>()?;
        let (keys, vars, doubts) = (reading.keys()?, reading.vars()?, reading.doubts()?);
        Ok(Self { reading, name, container, tray, scan, keys, vars, doubts, cameras })
    }

    /// The joined cube.
    pub(super) fn cube(&self) -> Result<Cube<'_>, ExportError> {
        Cube::open(&self.reading, entry::REFLECTANCE)
    }

    /// A camera's own grid, where the file holds it.
    pub(super) fn native(&self, camera: usize) -> Result<Option<Cube<'_>>, ExportError> {
        let Some(camera) = self.cameras.get(camera) else { return Ok(None) };
        let group = entry::native(&camera.name);
        let path = schema::path([]);
        let there = self.reading.at(&path, self.reading.object(&path)?.has(&group))?;
        there.then(|| Cube::open(&self.reading, &group)).transpose()
    }

    /// The camera of each band of the joined cube. It joins the cameras' bands again by each rule. None where no rule gives the bands
    /// of the file.
    pub(super) fn camera_of_band(&self, wavelengths_nm: &[f64]) -> Option<Vec<usize>> {
        let spectra: Vec<(&[f64], Option<&[f64]>)> = self.cameras.iter().map(|c| (c.wavelengths_nm.as_slice(), None)).collect();
        [Overlap::Cut, Overlap::Keep].into_iter().find_map(|rule| {
            let bands = Bands::new(&spectra, rule);
            (bands.wavelengths_nm == wavelengths_nm).then(|| bands.cameras())
        })
    }

    /// Speed of the belt that the configuration asked for, mm/s.
    pub(super) fn configured_speed(&self) -> Option<f64> {
        let text = self.reading.text(&schema::path([entry::PROCESS, process::CONFIGURATION])).ok()?;
        let configuration: toml::Table = text.parse().ok()?;
        let speed = configuration.get("conveyor")?.get("speed_mm_per_s")?;
        speed.as_float().or_else(|| speed.as_integer().and_then(|mm| i32::try_from(mm).ok()).map(f64::from))
    }
}

impl Camera {
    fn read(reading: &Reading, name: &str) -> Result<Self, ExportError> {
        let at = |field: &str| schema::path([entry::INSTRUMENT, name, field]);
        let number = |field: &str| reading.number::<f64>(&at(field));
        let count = |field: &str| reading.number::<u32>(&at(field));
        Ok(Self {
            name: name.to_owned(),
            model: reading.text(&at(detector::MODEL))?,
            wavelengths_nm: reading.list(&at(detector::WAVELENGTH))?,
            frame_rate_hz: number(detector::FRAME_RATE)?,
            exposure_us: number(detector::COUNT_TIME)?,
            binning_spatial: count(detector::BINNING_SPATIAL)?,
            binning_spectral: count(detector::BINNING_SPECTRAL)?,
            belt_mm_per_s: speed(reading, name)?,
        })
    }

    pub(super) fn range_nm(&self) -> (f64, f64) {
        self.wavelengths_nm.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), w| (low.min(*w), high.max(*w)))
    }
}

/// Mean speed of the belt between a camera's first and last line of the sample.
#[expect(clippy::cast_precision_loss, reason = "a sample passes within 2^52 ns")]
fn speed(reading: &Reading, camera: &str) -> Result<Option<f64>, ExportError> {
    let at = |field: &str| schema::path([entry::LEDGER, camera, field]);
    let path = schema::path([entry::LEDGER, camera]);
    if !reading.at(&path, reading.object(&path)?.has(ledger::TIME))? {
        return Ok(None);
    }
    let (times, positions) = (reading.list::<i64>(&at(ledger::TIME))?, reading.list::<f64>(&at(ledger::POSITION))?);
    let (Some((first_ns, last_ns)), Some((from, to))) = (times.first().zip(times.last()), positions.first().zip(positions.last())) else {
        return Ok(None);
    };
    let speed = (to - from).abs() / last_ns.saturating_sub(*first_ns) as f64 * 1e9;
    Ok(Some(speed).filter(|speed| speed.is_finite() && *speed > 0.0))
}

/// A cube in a file, `[line][pixel][band]`.
pub(super) struct Cube<'a> {
    reading: &'a Reading,
    dataset: Values,
    path: String,
    pub(super) lines: usize,
    pub(super) pixels: usize,
    /// Line centres along the tray, mm.
    pub(super) line_mm: Vec<f64>,
    /// Pixel centres across the tray, mm.
    pub(super) pixel_mm: Vec<f64>,
    /// Band centres, nm.
    pub(super) wavelengths_nm: Vec<f64>,
    /// Widths of the bands, nm; NaN where not known.
    pub(super) fwhm_nm: Vec<f64>,
}

impl<'a> Cube<'a> {
    fn open(reading: &'a Reading, group: &str) -> Result<Self, ExportError> {
        let path = schema::path([group, grid::REFLECTANCE]);
        let list = |name: &str| reading.list::<f64>(&schema::path([group, name]));
        let dataset = reading.dataset(&path)?;
        let (line_mm, pixel_mm, wavelengths_nm, fwhm_nm) =
            (list(grid::LINE)?, list(grid::PIXEL)?, list(grid::WAVELENGTH)?, list(grid::FWHM)?);
        let (lines, pixels, axes) = (line_mm.len(), pixel_mm.len(), [line_mm.len(), pixel_mm.len(), wavelengths_nm.len()]);
        let shape = axes.map(|n| n as u64);
        if dataset.shape() != Some(&shape[..]) || fwhm_nm.len() != wavelengths_nm.len() || axes.contains(&0) {
            let problem = format!("has the shape {:?}, and its axes have {axes:?} places and {} widths", dataset.shape(), fwhm_nm.len());
            return Err(ExportError::Shape { file: reading.path.clone(), path, problem });
        }
        Ok(Self { reading, dataset, path, lines, pixels, line_mm, pixel_mm, wavelengths_nm, fwhm_nm })
    }

    /// Gives the cube in blocks of lines, each with the number of its first.
    pub(super) fn blocks(&self, mut each: impl FnMut(usize, ArrayView3<'_, f32>) -> Result<(), ExportError>) -> Result<(), ExportError> {
        let lines = (BLOCK_BYTES / (4 * self.pixels * self.wavelengths_nm.len())).max(1);
        for first in (0..self.lines).step_by(lines) {
            let last = (first + lines).min(self.lines);
            let block = self.reading.at(&self.path, self.dataset.lines::<f32>(first as u64..last as u64))?;
            let shape = (last - first, self.pixels, self.wavelengths_nm.len());
            let block = ArrayView3::from_shape(shape, &block).map_err(|e| self.reading.odd(&self.path, e.to_string()))?;
            each(first, block)?;
        }
        Ok(())
    }

    /// Extent across the tray and along it, from edge to edge, mm.
    pub(super) fn size_mm(&self) -> (f64, f64) {
        (extent(&self.pixel_mm, &self.line_mm), extent(&self.line_mm, &self.pixel_mm))
    }

    /// Edge of a pixel across the tray, mm.
    #[expect(clippy::cast_precision_loss, reason = "numbers of pixels are far below 2^52")]
    pub(super) fn step_mm(&self) -> f64 {
        self.size_mm().0 / self.pixels as f64
    }
}
