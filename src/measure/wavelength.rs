//! Measures the wavelength axis of a camera: shift and smile, from the recorded scan of a tile with absorptions of known wavelength.
//!
//! Each line of the tile is calibrated without the configured shift and smile. Its pixels are averaged over the lines, and then in columns
//! of neighbouring pixels. The features of the file are fitted in each column.

use super::play::{Recorded, play};
use super::write::{self, WriteError};
use crate::acquire::Acquired;
use crate::calibrate::{Calibrate, Line};
use crate::config::{CorrectionConfig, Loaded};
use crate::data_root::{Capture, ProcessError};
use crate::devices::references::calibration;
use crate::reference::LowSignal;
use crate::scan::WavelengthCheck;
use crate::store::StoredSample;
use crate::wavelength::{
    Axis, AxisError, CameraBands, Column, Features, FeaturesError, HistoryLine, Origin, Value, append_history, history_path,
};

/// The place of the tile on the tray, mm. Without an end, everything bright on that side.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TilePlace {
    /// From x across and y along.
    pub from_mm: (f64, f64),
    /// To x across and y along.
    pub to_mm: (f64, f64),
}

impl Default for TilePlace {
    fn default() -> Self {
        Self { from_mm: (f64::NEG_INFINITY, f64::NEG_INFINITY), to_mm: (f64::INFINITY, f64::INFINITY) }
    }
}

/// Distance from the edge of a sample within which its pixels mix with the tray, mm.
const RIM_MM: f64 = 2.0;

impl TilePlace {
    /// The place of a sample of the scan to which a capture belongs, without its rim.
    ///
    /// # Errors
    /// The capture lies in no scan, or the scan has no such sample.
    pub fn of_sample(capture: &Capture, sample: &str) -> Result<Self, WavelengthError> {
        let fail = |reason: String| WavelengthError::Sample { sample: sample.to_owned(), reason };
        if !crate::scan::is_name(sample) {
            return Err(fail("it is no name of a sample".into()));
        }
        let scan = capture.path.ancestors().find(|folder| folder.join("samples").is_dir());
        let Some(scan) = scan else {
            return Err(fail(format!("{} lies in no scan with samples; give --from and --to", capture.path.display())));
        };
        let stored = StoredSample::open(&scan.join("samples").join(format!("{sample}.h5"))).map_err(|error| fail(error.to_string()))?;
        let StoredSample { mask, line_mm, pixel_mm, .. } = stored;
        let inside = mask.indexed_iter().filter(|(_, inside)| **inside == 1).map(|((line, pixel), _)| (pixel_mm[pixel], line_mm[line]));
        let nothing = ((f64::INFINITY, f64::INFINITY), (f64::NEG_INFINITY, f64::NEG_INFINITY));
        let (from, to) = inside.fold(nothing, |(from, to), (x, y)| ((from.0.min(x), from.1.min(y)), (to.0.max(x), to.1.max(y))));
        Ok(Self { from_mm: (from.0 + RIM_MM, from.1 + RIM_MM), to_mm: (to.0 - RIM_MM, to.1 - RIM_MM) })
    }
}

/// The measured wavelength axis of a camera.
#[derive(Debug, Clone, PartialEq)]
pub struct MeasuredWavelength {
    /// The camera's configured name.
    pub camera: String,
    /// Name of the tile.
    pub tile: String,
    /// Shift, smile, tilt and dispersion against the stated wavelengths.
    pub axis: Axis,
    /// The configured correction.
    pub configured: CorrectionConfig,
    /// Number of columns that show the tile, and of lines.
    pub columns: usize,
    /// Number of lines of the tile.
    pub lines: u64,
    /// Root mean square of the features' differences over the line after the configured correction, and after the measured one, nm.
    pub left_nm: (f64, f64),
    /// What the measured correction does not undo.
    pub doubts: Vec<String>,
    /// Time of the recording, ns since 1970-01-01T00:00:00Z.
    time_ns: i64,
}

/// The wavelength axis cannot be measured.
#[derive(Debug, thiserror::Error)]
pub enum WavelengthError {
    /// A capture cannot be used.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The features file cannot be used.
    #[error(transparent)]
    Features(#[from] FeaturesError),
    /// The features give no axis.
    #[error("{camera}: {error}")]
    Axis {
        /// The camera's configured name.
        camera: String,
        /// The reason.
        error: AxisError,
    },
    /// A sample does not give the place of the tile.
    #[error("the place of sample `{sample}` is not known: {reason}")]
    Sample {
        /// Name of the sample.
        sample: String,
        /// The reason.
        reason: String,
    },
    /// The recording shows nothing bright in the place.
    #[error(
        "{camera} shows nothing brighter than {least} (segment.min_reflectance) in the place given; scan the tile, and check --from and --to, which are mm across and along the tray"
    )]
    Dark {
        /// The camera's configured name.
        camera: String,
        /// Least mean reflectance.
        least: f32,
    },
    /// A constant shift does not explain the differences.
    #[error(
        "{camera}: the wavelengths are off by {:+.2} nm ± {:.2} nm at one end of its bands when the middle is right, at most {limit_nm:.1} nm: a constant shift does not correct that; give the camera a table of its wavelengths (camera.device.wavelengths, or its maker's calibration)",
        left.value, left.uncertainty
    )]
    Dispersion {
        /// The camera's configured name.
        camera: String,
        /// What remains at an end, nm.
        left: Value,
        /// The limit, nm.
        limit_nm: f64,
    },
    /// The configuration cannot be written.
    #[error(transparent)]
    Configuration(#[from] WriteError),
    /// The history cannot be written.
    #[error("{path}: {reason}")]
    Write {
        /// The file.
        path: String,
        /// The reason.
        reason: String,
    },
}

/// Number of columns of a whole line.
const COLUMNS: usize = 16;
/// What remains beyond this is told, nm.
const TOLD_NM: f64 = 0.2;
/// What the error of the dispersion may leave at an end of the bands, nm.
const MOST_LEFT_NM: f64 = 2.0;

/// Measures the wavelength axis of the camera of a capture. Features are looked for up to `limit_nm` off.
///
/// # Errors
/// The capture or the features cannot be used, too few features are found, or a constant shift does not explain them.
pub fn measure_wavelength(
    loaded: &Loaded,
    capture: &Capture,
    features: &Features,
    place: TilePlace,
    limit_nm: f64,
) -> Result<MeasuredWavelength, WavelengthError> {
    // The stated wavelengths are measured. A white panel is not refused for what is to be corrected here.
    let mut bare = loaded.clone();
    for camera in &mut bare.config.camera {
        (camera.correction.wavelength_shift_nm, camera.correction.smile_nm) = (0.0, 0.0);
    }
    let name = capture.camera.clone();
    let Spectra { columns, lines, nm, fwhm_nm, time_ns } = spectra(&bare, capture, place)?;
    if columns.is_empty() {
        return Err(WavelengthError::Dark { camera: name, least: loaded.config.segment.min_reflectance });
    }
    let bands = CameraBands { nm: &nm, fwhm_nm: fwhm_nm.as_deref(), smile_nm: 0.0 };
    let wrap = |error| WavelengthError::Axis { camera: name.clone(), error };
    let axis = Axis::measure(&columns, bands, features, limit_nm).map_err(wrap)?;
    let left = left_at_ends(&axis, &nm, &name)?;
    let configured =
        loaded.config.camera.iter().find(|camera| camera.name == name).map(|camera| camera.correction.clone()).unwrap_or_default();
    let left_nm = (
        axis.left_nm(configured.wavelength_shift_nm, configured.smile_nm),
        axis.left_nm(axis.shift_nm.value, axis.smile_nm.map_or(configured.smile_nm, |smile| smile.value)),
    );
    let doubts = doubts(&axis, left, configured.smile_nm);
    Ok(MeasuredWavelength {
        camera: name,
        tile: features.name.clone(),
        axis,
        configured,
        columns: columns.len(),
        lines,
        left_nm,
        doubts,
        time_ns,
    })
}

/// What the error of the dispersion leaves at an end of the bands `nm`, where it is no accident.
///
/// # Errors
/// It leaves more than `MOST_LEFT_NM`.
fn left_at_ends(axis: &Axis, nm: &[f64], camera: &str) -> Result<Option<Value>, WavelengthError> {
    let left = axis.left_by_dispersion_nm(nm).filter(Value::sure);
    match left.filter(|left| left.value.abs() > MOST_LEFT_NM) {
        Some(left) => Err(WavelengthError::Dispersion { camera: camera.to_owned(), left, limit_nm: MOST_LEFT_NM }),
        None => Ok(left),
    }
}

/// What the measured shift and smile do not undo.
fn doubts(axis: &Axis, left: Option<Value>, configured_smile_nm: f64) -> Vec<String> {
    let mut doubts = Vec::new();
    if let Some(left) = left.filter(|left| left.value.abs() > TOLD_NM) {
        doubts.push(format!(
            "the dispersion is off by {:+.2} %: a constant shift leaves {:+.2} nm at one end of the bands, ± {:.2} nm; that is not corrected",
            100.0 * axis.dispersion.map_or(0.0, |dispersion| dispersion.value),
            left.value,
            left.uncertainty
        ));
    }
    if let Some(tilt) = axis.tilt_nm.filter(|tilt| tilt.sure() && tilt.value.abs() > TOLD_NM) {
        doubts.push(format!(
            "the wavelengths differ by {:+.2} nm ± {:.2} nm from the middle of the line to its right end and as much the other way to the left: a tilt is not corrected; have slit and detector aligned",
            tilt.value, tilt.uncertainty
        ));
    }
    if axis.smile_nm.is_none() {
        doubts.push(format!(
            "the tile does not reach over the line, so the smile is not known and stays at {configured_smile_nm} nm; scan a tile, or the same one at several places, across the line"
        ));
    }
    for feature in axis.features.iter().filter(|feature| !feature.agrees) {
        doubts.push(format!(
            "the feature at {:.1} nm does not agree with the others and is left out; check its wavelength in the file",
            feature.nm
        ));
    }
    doubts
}

/// The mean spectra of a tile.
struct Spectra {
    columns: Vec<Column>,
    lines: u64,
    nm: Vec<f64>,
    fwhm_nm: Option<Vec<f64>>,
    time_ns: i64,
}

/// Sums of the spectra of a pixel, `[band]`.
#[derive(Clone)]
struct PixelSums {
    sum: Vec<f64>,
    count: Vec<u32>,
}

fn spectra(loaded: &Loaded, capture: &Capture, place: TilePlace) -> Result<Spectra, ProcessError> {
    let config = &loaded.config;
    let mut recorded = Recorded::open(loaded, std::slice::from_ref(capture))?;
    let (unit, places) = &mut recorded.cameras[0];
    let calibration = std::sync::Arc::new(calibration(unit).map_err(crate::pipeline::build::BuildError::from)?);
    let about = unit.about.clone();
    let (layout, of) = (about.layout, unit.config.clone());
    let mut calibrate = Calibrate::new(layout, calibration, about.saturation, LowSignal::default()).of_bands(&unit.used);
    let least = config.segment.min_reflectance;
    let share = |pixel: usize| {
        #[expect(clippy::cast_precision_loss, reason = "pixel numbers")]
        let share = (pixel as f64 + 0.5) / layout.pixels as f64;
        share
    };
    let inside = |pixel: usize| (place.from_mm.0..=place.to_mm.0).contains(&(share(pixel) * of.field_of_view_mm + of.shift_mm));
    let pixels: Vec<usize> = (0..layout.pixels).filter(|pixel| inside(*pixel)).collect();
    let mut sums = vec![PixelSums { sum: vec![0.0; layout.bands], count: vec![0; layout.bands] }; layout.pixels];
    let mut lines = 0;
    let mut add = |line: &Line<crate::calibrate::Reflectance>| {
        if !(place.from_mm.1..=place.to_mm.1).contains(&line.stamp.y_mm) {
            return;
        }
        let mut any = false;
        for pixel in &pixels {
            let spectrum = &line.values()[pixel * layout.bands..(pixel + 1) * layout.bands];
            let (sum, n) =
                spectrum.iter().filter(|value| value.is_finite()).fold((0.0_f32, 0.0_f32), |(sum, n), value| (sum + value, n + 1.0));
            if sum.is_nan() || sum <= least * n {
                continue;
            }
            any = true;
            let PixelSums { sum, count } = &mut sums[*pixel];
            for ((sum, count), value) in sum.iter_mut().zip(count).zip(spectrum).filter(|(_, value)| value.is_finite()) {
                *sum += f64::from(*value);
                *count += 1;
            }
        }
        lines += u64::from(any);
    };
    play(loaded, unit, std::mem::take(places), |item| {
        if let Acquired::Line(stamp, frame) = item {
            add(calibrate.process(Line::new(stamp, frame)));
        }
    })?;
    let columns = (0..COLUMNS).filter_map(|column| {
        let of_column = column * layout.pixels / COLUMNS..(column + 1) * layout.pixels / COLUMNS;
        let places = |pixel: usize| 2.0 * share(pixel) - 1.0;
        mean_column(of_column.map(|pixel| (places(pixel), &sums[pixel])), layout.bands)
    });
    let columns = columns.collect();
    Ok(Spectra {
        columns,
        lines,
        nm: about.wavelengths_nm,
        fwhm_nm: about.fwhm_nm,
        time_ns: recorded.first_line_ns.unwrap_or(replay::UNDATED_NS),
    })
}

/// The mean of the pixels of a column that were seen.
fn mean_column<'a>(pixels: impl Iterator<Item = (f64, &'a PixelSums)>, bands: usize) -> Option<Column> {
    let seen: Vec<(f64, &PixelSums)> = pixels.filter(|(_, sums)| sums.count.iter().any(|count| *count > 0)).collect();
    if seen.is_empty() {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "a column has few pixels")]
    let n = seen.len() as f64;
    let values = (0..bands).map(|band| {
        let (sum, count) = seen.iter().fold((0.0, 0), |(sum, count), (_, of)| (sum + of.sum[band], count + u64::from(of.count[band])));
        #[expect(clippy::cast_precision_loss, reason = "numbers of values")]
        let count = count as f64;
        sum / count
    });
    let values = values.collect();
    let place = seen.iter().map(|(place, _)| place).sum::<f64>() / n;
    let square = seen.iter().map(|(place, _)| place * place).sum::<f64>() / n;
    Some(Column { place, square, values })
}

/// Writes the measured shifts and smiles into the configuration file, and keeps its comments and order. Adds a line to the history of each
/// camera.
///
/// # Errors
/// The configuration has no `[[camera]]` tables, or a file cannot be written.
pub fn write_wavelength(loaded: &Loaded, measured: &[MeasuredWavelength]) -> Result<(), WavelengthError> {
    write::cameras(loaded, |name, camera| {
        let Some(found) = measured.iter().find(|found| found.camera == name) else { return Ok(()) };
        let rounded = |nm: f64| (nm * 1000.0).round() / 1000.0;
        write::correction(camera, "wavelength_shift_nm", rounded(found.axis.shift_nm.value))?;
        found.axis.smile_nm.map_or(Ok(()), |smile| write::correction(camera, "smile_nm", rounded(smile.value)))
    })?;
    for found in measured {
        // The shift that was written is that in the middle of the line.
        let Value { value: shift_nm, uncertainty: shift_uncertainty_nm } = found.axis.shift_nm;
        let check = WavelengthCheck { shift_nm, shift_uncertainty_nm, ..found.axis.check() };
        let line = HistoryLine::new(&found.camera, Origin::Calibration, found.time_ns, &check, (0.0, 0.0));
        let path = history_path(&loaded.config.rig.data_dir, &found.camera);
        let folder = path.parent().unwrap_or(&path);
        append_history(folder, &line)
            .map_err(|e| WavelengthError::Write { path: path.display().to_string(), reason: format!("cannot be written: {e}") })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(dispersion: f64, tilt_nm: f64, whole: bool) -> Axis {
        let value = |value, uncertainty| Value { value, uncertainty };
        Axis {
            features: Vec::new(),
            lost: Vec::new(),
            shift_nm: value(0.5, 0.01),
            mean_nm: value(0.5, 0.01),
            smile_nm: whole.then(|| value(0.2, 0.01)),
            tilt_nm: whole.then(|| value(tilt_nm, 0.01)),
            dispersion: Some(value(dispersion, 1e-5)),
            middle_nm: 1700.0,
        }
    }

    #[test]
    fn what_a_constant_shift_does_not_correct_is_told_and_beyond_a_limit_refused() {
        let nm = [1000.0, 1700.0, 2500.0];
        let told = |dispersion, tilt_nm, whole| {
            let axis = axis(dispersion, tilt_nm, whole);
            let left = left_at_ends(&axis, &nm, "swir").map_err(|error| error.to_string())?;
            Ok::<_, String>(doubts(&axis, left, 0.3).join("\n"))
        };
        // 800 nm from the middle to the farther end.
        assert_eq!(told(0.0002, 0.19, true).as_deref(), Ok(""));
        assert!(told(0.0003, 0.19, true).unwrap().contains("the dispersion is off by +0.03 %: a constant shift leaves +0.24 nm"));
        assert!(told(0.0002, -0.21, true).unwrap().contains("by -0.21 nm ± 0.01 nm from the middle of the line to its right end"));
        assert!(told(0.0002, 0.0, false).unwrap().contains("the smile is not known and stays at 0.3 nm"));
        assert!(told(0.0024, 0.0, true).unwrap().contains("+1.92 nm"));
        assert!(told(-0.0026, 0.0, true).unwrap_err().contains("swir: the wavelengths are off by -2.08 nm ± 0.01 nm"));
    }
}
