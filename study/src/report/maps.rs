//! The section on maps.

use super::numbers::{Numbers, WIDTH};
use crate::analysis::Map;
use crate::figure::{self, Figure, Panel, palette};
use crate::material::{Material, MaterialError};
use crate::tsne::TsneConfig;
use maud::{Markup, html};

/// Side of one map in pixels.
const SIDE: f64 = 316.0;

pub(super) fn section(material: &Material, maps: &[Map], config: &TsneConfig, numbers: &mut Numbers) -> Result<Markup, MaterialError> {
    let figures = figures_of_each(material, maps, config)?;
    Ok(html! {
        p {
            "Near points have similar codes; distances between groups and the axes mean nothing, and have no unit. Perplexity " (config.perplexity) ", at most "
            (config.points) " spectra per map, drawn evenly over the samples, " (config.iterations) " steps."
        }
        @for r in &material.representations {
            h3 { (r.name) }
            @for figure in figures.iter().filter(|(of, _)| *of == r.name) { (numbers.figure(&figure.1)) }
        }
    })
}

/// A figure for each representation and view. It has one map for each colouring, and for each class where the view has maps for each.
///
/// # Errors
///
/// [`MaterialError::UnknownFactor`] for an unknown factor.
pub fn map_figures(material: &Material, maps: &[Map], config: &TsneConfig) -> Result<Vec<Figure>, MaterialError> {
    Ok(figures_of_each(material, maps, config)?.into_iter().map(|(_, figure)| figure).collect())
}

/// The figures with the names of their representations.
fn figures_of_each<'a>(material: &Material, maps: &'a [Map], config: &TsneConfig) -> Result<Vec<(&'a str, Figure)>, MaterialError> {
    let mut figures = Vec::new();
    for of_one in maps.chunk_by(|a, b| (&a.representation, a.view) == (&b.representation, b.view)) {
        let (representation, view) = (&of_one[0].representation, &config.views[of_one[0].view]);
        let mut panels = Vec::new();
        for name in &view.colour {
            let factor = material.factor(name)?;
            let colours = palette::classes(factor.classes.len());
            let drawn: Vec<Panel> = of_one
                .iter()
                .map(|map| {
                    let class: Vec<u16> = map.rows.iter().map(|&r| factor.of[r]).collect();
                    let title = match &map.class {
                        Some(class) => format!("{class} by {name} ({} spectra)", map.rows.len()),
                        None => format!("by {name} ({} spectra)", map.rows.len()),
                    };
                    figure::titled(&title, figure::map(map.embedding.points.view(), &class, &colours, SIDE))
                })
                .collect();
            let width = if of_one.len() == 1 { SIDE } else { WIDTH };
            let legend = figure::legend(None, &factor.classes, &colours, width);
            panels.push(figure::stacked(vec![figure::grid(drawn, 3), legend]));
        }
        let divergences: Vec<String> = of_one.iter().map(|m| format!("{:.2}", m.embedding.kl_divergence)).collect();
        let of = view.within.as_deref().map_or("all spectra".into(), |w| format!("the spectra of each {w}"));
        let figure = Figure {
            name: match &view.within {
                Some(within) => format!("map-{representation}-within-{within}"),
                None => format!("map-{representation}"),
            },
            caption: format!(
                "t-SNE of {representation}, {of}, coloured by {}. Kullback-Leibler divergence {} nats.",
                view.colour.join(", "),
                divergences.join(", ")
            ),
            panel: figure::grid(panels, if of_one.len() == 1 { 3 } else { 1 }),
        };
        figures.push((representation.as_str(), figure));
    }
    Ok(figures)
}
