//! The page: every table and figure of the study in one HTML file.

mod classification;
mod grouping;
mod held_out;
mod looking;
mod maps;
mod numbers;
mod regression;
mod style;

pub use crate::analysis::ReportConfig;
pub use classification::classification_figures;
pub use grouping::{elbow_figure, tree_figures};
pub use looking::{count_figure, decoded_figures, loss_figure, spectra_figures};
pub use maps::map_figures;

use crate::analysis::{StepError, StepsConfig, elbows, maps as make_maps, trees};
use crate::material::Material;
use crate::progress::Progress;
use crate::regress::Outcome;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use numbers::{Numbers, grouped};

/// Runs every step on `material`, and gives the page as HTML. `regressed` are the regressions of its samples; without any, the page has no
/// section on them.
///
/// # Errors
///
/// [`StepError`] of the first failed step. Data and settings are checked before any calculation.
pub fn page(material: &Material, regressed: &[Outcome], config: &StepsConfig, progress: Progress) -> Result<String, StepError> {
    config.check()?;
    material.check()?;
    let maps = make_maps(material, &config.tsne, progress)?;
    let elbows = elbows(material, &config.kmeans, progress)?;
    let trees = trees(material, &config.linkage, progress)?;
    let outcomes = crate::classify::classify(material, &config.classify, progress)?;
    let samples = crate::classify::by_sample(material, &config.classify, progress)?;
    let containers = crate::classify::by_container(material, &config.classify, progress)?;
    let numbers = &mut Numbers::default();
    let mut sections = vec![
        ("data", "Data", looking::data(material, numbers)),
        ("spectra", "Spectra before and after encoding", looking::spectra(material, &config.report, numbers)?),
        ("decoded", "Training and decoded spectra", looking::decoded(material, numbers)),
        ("maps", "Maps (t-SNE)", maps::section(material, &maps, &config.tsne, numbers)?),
        ("kmeans", "k-means", grouping::kmeans_section(&elbows, &config.kmeans, numbers)),
        ("trees", "Hierarchical clustering", grouping::tree_section(material, &trees, &config.linkage, numbers)),
        ("held-out", "Samples held out", held_out::section(material, (&samples, &containers), config, numbers)),
        ("classification", "Classification within samples", classification::section(material, &outcomes, config, numbers)),
    ];
    if !regressed.is_empty() {
        sections.push(("regression", "Numbers of samples", regression::section(material, regressed, numbers)));
    }
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (config.report.title) }
                style { (PreEscaped(style::SHEET)) }
            }
            body {
                header {
                    h1 { (config.report.title) }
                    (facts(material))
                }
                nav aria-label="Contents" {
                    h2 { "Contents" }
                    ol { @for (id, title, _) in &sections { li { a href={ "#" (id) } { (title) } } } }
                }
                main { @for (i, (id, title, body)) in sections.iter().enumerate() {
                    section id=(id) {
                        h2 { (i + 1) ". " (title) }
                        (body)
                    }
                } }
            }
        }
    };
    Ok(page.into_string())
}

fn facts(material: &Material) -> Markup {
    let bands = material.wavelengths_nm.len();
    html! {
        dl {
            @for (name, value) in &material.facts { dt { (name) } dd { (value) } }
            dt { "Spectra" } dd { (grouped(material.places.len())) " of " (material.samples.len()) " samples" }
            @if let (Some(low), Some(high)) = (material.wavelengths_nm.first(), material.wavelengths_nm.last()) {
                dt { "Wavelengths" } dd { (bands) " bands, " (format!("{low:.0}")) " to " (format!("{high:.0}")) " nm" }
            }
            dt { "Representations" }
            dd { @for (i, r) in material.representations.iter().enumerate() {
                @if i > 0 { ", " } (r.name) " (" (r.codes.dim().1) ")"
            } }
        }
    }
}
