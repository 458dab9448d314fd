//! The sections on clusters and trees.

use super::numbers::{Numbers, WIDTH, significant};
use crate::analysis::{Elbow, FactorAgreement, Trees};
use crate::figure::{self, Chart, Chips, Figure, Series, palette};
use crate::kmeans::KmeansConfig;
use crate::linkage::LinkageConfig;
use crate::material::Material;
use crate::table::Factor;
use maud::{Markup, html};

pub(super) fn kmeans_section(elbows: &[Elbow], config: &KmeansConfig, numbers: &mut Numbers) -> Markup {
    let most = elbows.iter().map(|e| e.inertia.len()).max().unwrap_or(0);
    let head = html! { tr {
        th { "Representation" } th { "Spectra" } @for k in 1..=most { th { (k) } } th { "Bend at" }
    } };
    let body = html! { @for e in elbows { tr {
        td { (e.representation) } td { (e.points) } @for i in &e.inertia { td { (significant(*i)) } } td { (e.bend()) }
    } } };
    let agreed = html! { @for e in elbows { tr {
        td { (e.representation) } @for a in &e.agreement { (both(a)) }
    } } };
    html! {
        p {
            "Clusters of at most " (config.points) " spectra of each representation, the best of " (config.starts) " starts each. Where the elbow bends is the number of "
            "clusters at which the curve lies farthest below the line between its ends."
        }
        (numbers.figure(&elbow_figure(elbows)))
        (numbers.table("Inertia by number of clusters, in squared units of the representation.", head, body))
        (numbers.table(
            "Agreement of as many clusters as a factor has classes with these classes: adjusted Rand index (ARI, about 0 by chance) and normalised mutual information (NMI). Both are 1 for equal groups.",
            agreement_head(html! { th rowspan="2" { "Representation" } }, elbows.first().map_or(&[], |e| &e.agreement[..])),
            agreed,
        ))
    }
}

/// Figure of the inertia of every representation for growing numbers of clusters, as a share of that of one cluster.
pub fn elbow_figure(elbows: &[Elbow]) -> Figure {
    let colours = palette::classes(elbows.len());
    let lines: Vec<Series> = elbows
        .iter()
        .zip(colours)
        .map(|(e, colour)| {
            let whole = e.inertia[0].max(f64::MIN_POSITIVE);
            let points = e.inertia.iter().enumerate().map(|(i, v)| ((i + 1) as f64, v / whole)).collect();
            Series { name: e.representation.clone(), colour, dashed: false, dots: true, points }
        })
        .collect();
    let chart =
        Chart { x: "clusters".into(), y: "inertia, share of that of one cluster".into(), width: 720.0, height: 360.0, from_zero: true };
    Figure {
        name: "elbow".into(),
        caption: "Elbow of k-means: inertia for growing numbers of clusters, as a share of that of one cluster (unit 1).".into(),
        panel: figure::line_chart(&chart, &lines),
    }
}

pub(super) fn tree_section(material: &Material, trees: &[Trees], config: &LinkageConfig, numbers: &mut Numbers) -> Markup {
    let factors: Vec<FactorAgreement> =
        trees.first().map_or(Vec::new(), |t| t.agreement.iter().take(material.factors.len()).map(|(_, a)| a.clone()).collect());
    let head = agreement_head(html! { th rowspan="2" { "Representation" } th rowspan="2" { "Method" } }, &factors);
    let body = html! { @for t in trees { @for (i, of_method) in t.agreement.chunks(material.factors.len()).enumerate() { tr {
        td { @if i == 0 { (t.representation) } }
        td { (of_method[0].0.name()) }
        @for (_, a) in of_method { (both(a)) }
    } } } };
    html! {
        p {
            "Agglomerative clustering by Euclidean distance, over at most " (config.points) " spectra of each representation and over the means of samples. Heights are in "
            "units of the representation (reflectance for spectra; codes have no unit)."
        }
        @for (t, figures) in trees.iter().zip(tree_figures(material, trees, config).chunks(2)) {
            h3 { (t.representation) }
            @for figure in figures { (numbers.figure(figure)) }
        }
        (numbers.table("Agreement of trees of spectra, cut into as many clusters as a factor has classes, with these classes.", head, body))
    }
}

/// Dendrograms of samples and of spectra, for each representation.
pub fn tree_figures(material: &Material, trees: &[Trees], config: &LinkageConfig) -> Vec<Figure> {
    let colours: Vec<Vec<String>> = material.factors.iter().map(|f| palette::classes(f.classes.len())).collect();
    let legends = || material.factors.iter().zip(&colours).map(|(f, colours)| figure::legend(Some(&f.name), &f.classes, colours, WIDTH));
    // A sample's first spectrum decides its class.
    let mut first = vec![0; material.samples.len()];
    material.places.iter().enumerate().rev().for_each(|(row, p)| first[p.sample as usize] = row);
    let chips = |rows: &[usize]| -> Vec<Chips> {
        let of = |(f, colours): (&Factor, _)| Chips { name: f.name.clone(), class: rows.iter().map(|&r| f.of[r]).collect(), colours };
        material.factors.iter().zip(&colours).map(|(f, c)| (f, &c[..])).map(of).collect()
    };
    let mut figures = Vec::new();
    for t in trees {
        let method = t.method.name();
        let unit = if t.representation == "spectra" { "height, reflectance" } else { "height, units of the codes" };
        let what = if t.representation == "spectra" { "reflectance" } else { &t.representation };
        let rows: Vec<usize> = t.samples.iter().map(|&s| first[s]).collect();
        let name = |leaf: usize| material.samples[t.samples[leaf]].clone();
        let tree = figure::dendrogram(&t.of_samples, t.samples.len(), name, &chips(&rows), unit, WIDTH);
        figures.push(Figure {
            name: format!("tree-samples-{}", t.representation),
            caption: format!("Dendrogram ({method}) of {} samples by their means of {what}.", t.samples.len()),
            panel: figure::stacked(legends().chain([tree]).collect()),
        });
        let shown = config.shown.min(t.rows.len());
        let name = |leaf: usize| format!("{} spectra", t.of_spectra.size(leaf));
        let tree = figure::dendrogram(&t.of_spectra, shown, name, &chips(&t.rows), unit, WIDTH);
        figures.push(Figure {
            name: format!("tree-spectra-{}", t.representation),
            caption: format!(
                "Dendrogram ({method}) of {} spectra by {what}: its last merges. The bars show what part of the spectra of a leaf is of which class.",
                t.rows.len()
            ),
            panel: figure::stacked(legends().chain([tree]).collect()),
        });
    }
    figures
}

fn agreement_head(first: Markup, factors: &[FactorAgreement]) -> Markup {
    html! {
        tr { (first) @for a in factors { th colspan="2" { (a.factor) ", " (a.clusters) " clusters" } } }
        tr { @for _ in factors { th { "ARI" } th { "NMI" } } }
    }
}

fn both(a: &FactorAgreement) -> Markup {
    html! {
        td { (format!("{:.3}", a.measured.adjusted_rand)) }
        td { (format!("{:.3}", a.measured.normalised_mutual_information)) }
    }
}
