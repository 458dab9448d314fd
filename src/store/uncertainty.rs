//! The uncertainty of a sample's values, and its mean spectrum.
//!
//! The attributes `err_corr_*`, `unc_comps` and `pdf_shape` are those of the Python package obsarray.

use super::column::{Column, Layout};
use super::error::StoreError;
use super::grid::GridVariance;
use super::node::{Annotate, Field, Node};
use super::scale;
use super::seen::Seen;
use crate::context::ScanContext;
use crate::schema::{self, attribute, class, detector, grid, mean};
use crate::segment::Sample;
use crate::sums::Sums;
use crate::uncertainty::{Figures, LEVELS};

/// Least signal-to-noise ratio of one element in one line in a band that is valid.
const LEAST_SNR: f64 = 3.0;

/// How the datasets of a grid give the standard uncertainty of one of its values.
const FORMULA: &str = "R is a value at line, pixel, wavelength. Variance by noise of the lines, independent everywhere: \
    (random_variance_0 + random_variance_1 R) line_squares[line, camera_index[wavelength]]. Variance by noise of the references, the same \
    in all lines: column_variance_0 + column_variance_1 R + column_variance_2 R^2. Variance of all values together: (u_common R)^2. The \
    standard uncertainty (k = 1) is the root of the sum.";

/// Forms of error correlation along the axes.
const FORMS: [&str; 2] = ["random", "systematic"];

/// Says how errors of a field go together along `axes`, each with its form.
fn correlation(field: &Field, axes: &[(&str, &str)]) -> Result<(), StoreError> {
    field.set_text(attribute::PDF_SHAPE, "gaussian")?;
    for (number, (axis, form)) in (1..).zip(axes) {
        field.set_text(&attribute::err_corr(number, "dim"), axis)?;
        field.set_text(&attribute::err_corr(number, "form"), form)?;
        // These forms have neither. The attributes must be there.
        for what in ["params", "units"] {
            field.set_text(&attribute::err_corr(number, what), "")?;
        }
    }
    Ok(())
}

/// Creates the dataset with the weights of each camera's lines.
pub(super) fn squares(data: &Node, cameras: usize, along: Layout) -> Result<Column<f32>, StoreError> {
    let squares = Column::create(data, grid::LINE_SQUARES, &[cameras], along)?;
    squares.field.set_text(attribute::UNITS, "1")?;
    squares.field.called("sum of the squared weights of the camera's lines in the line")?;
    let numbers: Vec<u8> = (0..).take(cameras).collect();
    data.list(grid::CAMERA, &numbers)?.called("number of the camera")?;
    Ok(squares)
}

/// The variance of a sample's values; `None` where it is not known.
pub(super) fn variance<'a>(context: &'a ScanContext, sample: &Sample) -> Option<GridVariance<'a>> {
    let uncertainty = context.uncertainty.as_ref()?;
    let variance = uncertainty.of_pixels(sample.first_pixel..sample.first_pixel + sample.width, &sample.levels)?;
    let of_bands = uncertainty.camera_of_bands().map(|camera| u8::try_from(camera).unwrap_or(u8::MAX)).collect();
    let common = uncertainty.common();
    Some(GridVariance { variance, common, cameras: context.cameras.iter().map(|camera| camera.name.as_str()).collect(), of_bands })
}

/// Writes the coefficients of a grid. Gives its datasets with their axes.
pub(super) fn of_grid(
    data: &Node,
    cube: &Field,
    GridVariance { variance, common, cameras, of_bands }: &GridVariance<'_>,
) -> Result<Vec<(&'static str, &'static [&'static str])>, StoreError> {
    let [across, spectrum] = [grid::PIXEL, grid::WAVELENGTH];
    let shape = [variance.random[0].len() / of_bands.len().max(1), of_bands.len()];
    let lists = grid::RANDOM_VARIANCE.iter().zip(&variance.random).chain(grid::COLUMN_VARIANCE.iter().zip(&variance.column));
    let mut fields: Vec<(&'static str, &'static [&'static str])> = Vec::new();
    for (number, (name, list)) in lists.enumerate() {
        let field = data.array(name, &shape, list)?.units("1")?;
        let (noise, along) = if number < grid::RANDOM_VARIANCE.len() { ("lines", FORMS[0]) } else { ("references", FORMS[1]) };
        let power = name.chars().last().unwrap_or_default();
        field.called(&format!("variance by noise of the {noise}, coefficient of R^{power}"))?;
        correlation(&field, &[(grid::LINE, along), (across, FORMS[0]), (spectrum, FORMS[0])])?;
        fields.push((name, &[grid::PIXEL, grid::WAVELENGTH]));
    }
    if let Some(common) = common {
        let field = data.list(grid::U_COMMON, common)?.units("1")?;
        field.called("relative standard uncertainty of the panel's certificate")?;
        correlation(&field, &[(grid::LINE, FORMS[1]), (across, FORMS[1]), (spectrum, FORMS[1])])?;
        fields.push((grid::U_COMMON, &[grid::WAVELENGTH]));
    }
    let index = data.list(grid::CAMERA_INDEX, of_bands)?;
    index.called("camera of the band")?;
    let values: Vec<u8> = (0..).take(cameras.len()).collect();
    index.set_list(attribute::FLAG_VALUES, &values)?;
    index.set_text(attribute::FLAG_MEANINGS, &cameras.join(" "))?;
    fields.push((grid::CAMERA_INDEX, &[grid::WAVELENGTH]));
    cube.set_text(grid::UNCERTAINTY, FORMULA)?;
    Ok(fields)
}

/// Writes the figures of a camera, under the names of EMVA 1288. Gives the datasets with a value for each band.
pub(super) fn figures(node: &Node, figures: &Figures) -> Result<Vec<String>, StoreError> {
    let gain = node.scalar(detector::SYSTEM_GAIN, figures.noise.gain)?.units("counts")?;
    gain.called("overall system gain K, counts per photoelectron")?;
    gain.set(detector::SYSTEM_GAIN_U, figures.noise.gain_u)?;
    node.scalar(detector::DARK_NOISE, figures.noise.dark_noise)?.units("counts")?.called("median noise of an element in the dark")?;
    node.scalar(detector::DSNU, figures.dsnu)?.units("counts")?.called("standard deviation of the dark level over the elements")?;
    if let Some((capacity, range, snr)) = figures.saturated() {
        node.scalar(detector::SATURATION_CAPACITY, capacity)?.units("1")?.called("photoelectrons")?;
        node.scalar(detector::DYNAMIC_RANGE, range)?.units("1")?.called("saturation capacity over dark noise")?;
        node.scalar(detector::SNR_MAX, snr)?.units("1")?.called("root of the saturation capacity")?;
    }
    let mut fields = Vec::new();
    for ((level, reflectance), ratios) in LEVELS.iter().zip(&figures.snr) {
        let name = detector::snr(level);
        let at = reflectance.map_or_else(|| "the white panel".to_owned(), |reflectance| format!("reflectance {reflectance}"));
        let field = node.list(&name, ratios)?.units("1")?;
        field.called(&format!("signal-to-noise ratio of one element in one line at {at}, median over the pixels"))?;
        fields.push(name);
    }
    Ok(fields)
}

/// Writes the mean spectrum over the valid pixels of the sample, and its uncertainty where that is known.
pub(super) fn mean(entry: &Node, context: &ScanContext, sample: &Sample, seen: &Seen, sums: &Sums) -> Result<(), StoreError> {
    let pixels: u32 = seen.columns.iter().sum();
    if pixels == 0 {
        return Ok(());
    }
    // Readers of NXdata shall find one signal: the cube.
    let node = entry.node(schema::entry::MEAN, class::COLLECTION)?;
    node.set(mean::PIXELS, pixels)?;
    let mut fields = Vec::new();
    let mut list = |name: &'static str, values: &[f64], long_name: &str| -> Result<Field, StoreError> {
        let field = node.list(name, values)?.units("1")?;
        field.called(long_name)?;
        fields.push((name, [mean::WAVELENGTH].as_slice()));
        Ok(field)
    };
    let spectrum = sums.mean();
    let reflectance = list(mean::REFLECTANCE, &spectrum, "mean reflectance of the valid pixels on the sample")?;
    let uncertainty =
        context.uncertainty.as_ref().and_then(|known| known.of_mean(sample.first_pixel, &seen.columns, &spectrum, &sample.levels));
    if let Some(known) = &uncertainty {
        let parts = [
            (mean::U_RANDOM, &known.random, "noise of the lines", FORMS[0]),
            (mean::U_COLUMN, &known.column, "noise of the references", FORMS[0]),
            (mean::U_COMMON, &known.common, "the panel's certificate", FORMS[1]),
        ];
        for (name, values, cause, form) in parts {
            let field = list(name, values, &format!("standard uncertainty by {cause}"))?;
            correlation(&field, &[(mean::WAVELENGTH, form)])?;
        }
        reflectance.set_texts(attribute::UNC_COMPS, &parts.map(|(name, ..)| name))?;
        let noise = known.random.iter().zip(&known.column).map(|(a, b)| a.hypot(*b));
        let total: Vec<f64> = noise.zip(&known.common).map(|(noise, common)| noise.hypot(*common)).collect();
        list(mean::ERRORS, &total, "standard uncertainty, k = 1")?;
        list(mean::SNR, &known.snr, "signal-to-noise ratio of one element in one line at the mean")?;
        let ranges = known.valid_nm(&context.axes.wavelengths_nm, LEAST_SNR);
        if !ranges.is_empty() {
            node.set_list(mean::VALID_NM, ranges.as_flattened())?;
        }
    }
    node.list(mean::WAVELENGTH, &context.axes.wavelengths_nm)?.units("nm")?.set_text(attribute::STANDARD_NAME, "radiation_wavelength")?;
    scale::attach(&node, &[mean::WAVELENGTH], &fields)
}
