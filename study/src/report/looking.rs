//! The sections on data, spectra and decoded spectra.

use super::numbers::{Numbers, WIDTH, grouped};
use crate::analysis::ReportConfig;
use crate::codes::CodesError;
use crate::figure::{self, Chart, Figure, HeatGroup, HeatPart, Series, palette};
use crate::material::{Decoded, Material, MaterialError, draw_evenly};
use crate::table::Factor;
use maud::{Markup, html};
use ndarray::{Array1, Array2, Axis};

/// Number of decoded spectra that are shown.
const EXAMPLES: usize = 6;

pub(super) fn data(material: &Material, numbers: &mut Numbers) -> Markup {
    let rows = |factor: &Factor| {
        let mut counts = vec![0; factor.classes.len()];
        factor.of.iter().for_each(|&c| counts[usize::from(c)] += 1);
        let total = factor.of.len().max(1) as f64;
        html! {
            @for (i, (class, &count)) in factor.classes.iter().zip(&counts).enumerate() {
                tr {
                    td { @if i == 0 { (factor.name) } }
                    td { (class) }
                    td { (grouped(count)) }
                    td { (format!("{:.1}", 100.0 * count as f64 / total)) }
                }
            }
        }
    };
    let head = html! { tr { th { "Factor" } th { "Class" } th { "Spectra" } th { "Share, %" } } };
    let body = html! { @for factor in &material.factors { (rows(factor)) } };
    html! {
        (numbers.figure(&count_figure(material)))
        (numbers.table("Spectra of each class.", head, body))
    }
}

/// Figure of the number of spectra of each sample.
pub fn count_figure(material: &Material) -> Figure {
    let colours = vec!["#0072b2".to_owned(); material.samples.len()];
    Figure {
        name: "counts".into(),
        caption: "Number of spectra of each sample.".into(),
        panel: figure::bars(&material.samples, &material.counts(), &colours, 36, WIDTH),
    }
}

pub(super) fn spectra(material: &Material, config: &ReportConfig, numbers: &mut Numbers) -> Result<Markup, MaterialError> {
    let figures = spectra_figures(material, config)?;
    Ok(html! {
        p {
            "Each row of an image is one spectrum, first as measured, then as each encoder codes it. Rows are drawn evenly over the classes of a factor "
            "and grouped by class."
        }
        @for figure in &figures { (numbers.figure(figure)) }
    })
}

/// Images of the shown spectra and of their codes in every representation. Each factor has a figure, grouped by its classes.
///
/// # Errors
///
/// [`MaterialError::Codes`] for codes that cannot be read.
pub fn spectra_figures(material: &Material, config: &ReportConfig) -> Result<Vec<Figure>, MaterialError> {
    if material.shown.rows.is_empty() {
        return Ok(Vec::new());
    }
    material.factors.iter().map(|factor| spectra_figure(material, factor, config.image_rows)).collect()
}

fn spectra_figure(material: &Material, factor: &Factor, most: usize) -> Result<Figure, MaterialError> {
    let shown = &material.shown;
    let mut of_class = vec![Vec::new(); factor.classes.len()];
    shown.rows.iter().enumerate().for_each(|(at, &row)| of_class[usize::from(factor.of[row])].push(at));
    let mut drawn = draw_evenly(of_class, most, 0);
    drawn.sort_by_key(|&at| factor.of[shown.rows[at]]);
    let groups: Vec<HeatGroup> = factor
        .classes
        .iter()
        .enumerate()
        .map(|(c, name)| {
            let rows = drawn.iter().filter(|&&at| usize::from(factor.of[shown.rows[at]]) == c).count();
            HeatGroup { name: name.clone(), rows }
        })
        .filter(|g| g.rows > 0)
        .collect();
    let spectra = shown.spectra.select(Axis(0), &drawn);
    let rows: Vec<usize> = drawn.iter().map(|&at| shown.rows[at]).collect();
    let codes: Vec<Array2<f32>> = material.representations.iter().map(|r| r.codes.select(&rows)).collect::<Result<_, CodesError>>()?;
    let each = ((WIDTH - 460.0) / codes.len().max(1) as f64 - 18.0).clamp(44.0, 120.0);
    let wavelengths_nm = Some(&material.wavelengths_nm[..]);
    let measured = HeatPart { title: "measured".into(), values: spectra.view(), wavelengths_nm, width: 330.0 };
    let coded = material.representations.iter().zip(&codes).map(|(r, codes)| HeatPart {
        title: r.name.clone(),
        values: codes.view(),
        wavelengths_nm: None,
        width: each,
    });
    let parts: Vec<HeatPart> = std::iter::once(measured).chain(coded).collect();
    Ok(Figure {
        name: format!("spectra-by-{}", factor.name),
        caption: format!(
            "{} spectra grouped by {}: measured reflectance (unit 1) and codes. Codes have no unit; each code is scaled by itself.",
            drawn.len(),
            factor.name
        ),
        panel: figure::heat(&groups, &parts, 420.0),
    })
}

pub(super) fn decoded(material: &Material, numbers: &mut Numbers) -> Markup {
    if material.losses.is_empty() && material.decoded.is_empty() {
        return html! { p { "No encoder was trained in this run." } };
    }
    html! {
        @if !material.losses.is_empty() { (numbers.figure(&loss_figure(material))) }
        @for figure in decoded_figures(material) { (numbers.figure(&figure)) }
    }
}

/// Figure of the loss of every training, epoch by epoch.
pub fn loss_figure(material: &Material) -> Figure {
    let chart = Chart { x: "epoch".into(), y: "loss (binary cross-entropy)".into(), width: 310.0, height: 230.0, from_zero: false };
    let panels = material.losses.iter().map(|l| {
        let line = |name: &str, colour: &str, dashed, values: &[f64]| Series {
            name: name.into(),
            colour: colour.into(),
            dashed,
            dots: false,
            points: values.iter().enumerate().map(|(i, &v)| ((i + 1) as f64, v)).collect(),
        };
        let lines = [line("training", "#0072b2", false, &l.training), line("validation", "#d55e00", true, &l.validation)];
        figure::titled(&l.name, figure::line_chart(&chart, &lines))
    });
    Figure {
        name: "losses".into(),
        caption: "Loss of each autoencoder on the training and the validation spectra after each epoch.".into(),
        panel: figure::grid(panels.collect(), 3),
    }
}

/// Figures of some measured and decoded spectra for each decoder, and of the errors of all decoders by wavelength.
pub fn decoded_figures(material: &Material) -> Vec<Figure> {
    if material.decoded.is_empty() || material.shown.rows.is_empty() {
        return Vec::new();
    }
    let mut figures: Vec<Figure> = material.decoded.iter().map(|d| examples(material, d)).collect();
    let errors: Vec<(String, Array1<f64>)> = material.decoded.iter().map(|d| (d.name.clone(), error(material, d))).collect();
    let colours = palette::classes(errors.len());
    let lines: Vec<Series> = errors
        .iter()
        .zip(colours)
        .map(|((name, error), colour)| Series {
            name: name.clone(),
            colour,
            dashed: false,
            dots: false,
            points: material.wavelengths_nm.iter().copied().zip(error.iter().copied()).collect(),
        })
        .collect();
    let (x, y) = ("wavelength, nm".into(), "root mean square error, reflectance".into());
    let chart = Chart { x, y, width: WIDTH, height: 300.0, from_zero: true };
    figures.push(Figure {
        name: "decoded-error".into(),
        caption: format!("Error of decoded spectra at each wavelength, over {} spectra (reflectance, unit 1).", material.shown.rows.len()),
        panel: figure::line_chart(&chart, &lines),
    });
    figures
}

fn error(material: &Material, decoded: &Decoded) -> Array1<f64> {
    let squares = (&decoded.spectra - &material.shown.spectra).mapv(|d| f64::from(d) * f64::from(d));
    squares.mean_axis(Axis(0)).map_or_else(|| Array1::zeros(decoded.spectra.ncols()), |mean| mean.mapv(f64::sqrt))
}

fn examples(material: &Material, decoded: &Decoded) -> Figure {
    let shown = &material.shown;
    let count = shown.rows.len();
    let chart = Chart { x: "wavelength, nm".into(), y: "reflectance".into(), width: 315.0, height: 215.0, from_zero: false };
    let panels = (0..EXAMPLES.min(count)).map(|i| {
        // The examples lie evenly over the rows, which are sorted by sample.
        let at = (2 * i + 1) * count / (2 * EXAMPLES.min(count));
        let line = |name: &str, colour: &str, dashed, spectra: &Array2<f32>| Series {
            name: name.into(),
            colour: colour.into(),
            dashed,
            dots: false,
            points: material.wavelengths_nm.iter().copied().zip(spectra.row(at).iter().map(|&v| f64::from(v))).collect(),
        };
        let place = material.places[shown.rows[at]];
        let title = format!("{}, line {}, pixel {}", material.samples[place.sample as usize], place.line, place.pixel);
        let lines = [line("measured", "#0072b2", false, &shown.spectra), line("decoded", "#d55e00", true, &decoded.spectra)];
        figure::titled(&title, figure::line_chart(&chart, &lines))
    });
    Figure {
        name: format!("decoded-{}", decoded.name),
        caption: format!("Measured spectra, and the same decoded from {}.", decoded.name),
        panel: figure::grid(panels.collect(), 3),
    }
}
