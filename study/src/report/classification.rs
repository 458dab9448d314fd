//! The section on classification: comparisons of representations and splits, then every table.

use super::numbers::Numbers;
use crate::analysis::StepsConfig;
use crate::classify::{ClassifyConfig, Outcome, Report, Split, mean_and_spread};
use crate::figure::{self, AccuracyRow, Figure};
use crate::material::Material;
use crate::table::Factor;
use maud::{Markup, html};

const SERIES: [(&str, &str); 2] = [("split by pixel", "#0072b2"), ("split by place", "#d55e00")];

pub(super) fn section(material: &Material, outcomes: &[Outcome], config: &StepsConfig, numbers: &mut Numbers) -> Markup {
    let c = &config.classify;
    if c.within().is_empty() {
        return html! { p { "No forest learned from all samples: classify.splits names neither pixel nor place." } };
    }
    html! {
        p {
            "Random forests of " (c.trees) " trees (Gini impurity, the square root of the features tried at each node, full depth). Each learns from at most "
            (c.most_train) " spectra and is tested on at most " (c.most_test) " others, drawn class by class from " (percent(1.0 - c.test)) " and " (percent(c.test))
            " % of all. Means and standard deviations are over " (c.seeds.len()) " seeds of splits and forests. "
            @match trainings(material) {
                1 => "The encoders are the same in all."
                n => { "An encoder's " (n) " trainings, each with a seed of its own, are taken in turn." }
            }
        }
        p {
            b { "By pixel: " } "spectra are split at random, as in the published study. Neighbours of a tested pixel, often of the same grain, are learned from. "
            b { "By place: " } "blocks of " (c.block) " x " (c.block) " pixels stay together, and what lies within a distance of " (c.margin) " px of a tested block is left out. "
            "Both learn from every sample, so that they measure memory of containers as well. The section on samples held out leaves that out."
        }
        p {
            b { "Labels shuffled: " } "the labels of all spectra exchanged at random, which leaves what chance gives. "
            b { "Samples shuffled: " } "whole samples exchange their labels; what is above chance then comes from knowing samples one by one, not from the factor. Both "
            "of the first seed."
        }
        @for factor in &material.factors {
            h3 { (capital(&factor.name)) }
            (comparison(factor, outcomes, c, numbers))
            @if let Some(text) = ordering(factor, outcomes, &config.report.expected) { p { (text) } }
            @if let Some(text) = equal_size(material, factor, outcomes, &config.report.expected) { p { (text) } }
        }
        @for factor in &material.factors {
            h3 { (capital(&factor.name)) ": reports and confusion matrices" }
            @for r in &material.representations {
                (pair(factor, &r.name, outcomes, numbers))
            }
        }
    }
}

/// Largest number of trainings of an encoder.
fn trainings(material: &Material) -> usize {
    material.representations.iter().map(|r| material.trainings(&r.name).len()).max().unwrap_or(1)
}

fn of<'a>(outcomes: &'a [Outcome], factor: &Factor, split: Split, representation: &str) -> Option<&'a Outcome> {
    outcomes.iter().find(|o| o.factor == factor.name && o.split == split && o.representation == representation)
}

fn representations<'a>(outcomes: &'a [Outcome], factor: &Factor) -> Vec<&'a str> {
    let first = outcomes.iter().find(|o| o.factor == factor.name).map(|o| o.split);
    let by_pixel = outcomes.iter().filter(|o| o.factor == factor.name && Some(o.split) == first);
    by_pixel.map(|o| o.representation.as_str()).collect()
}

/// Accuracy of always naming the most frequent class.
fn majority(factor: &Factor) -> f64 {
    let mut counts = vec![0_usize; factor.classes.len()];
    factor.of.iter().for_each(|&c| counts[usize::from(c)] += 1);
    counts.into_iter().max().unwrap_or(0) as f64 / factor.of.len().max(1) as f64
}

fn comparison(factor: &Factor, outcomes: &[Outcome], config: &ClassifyConfig, numbers: &mut Numbers) -> Markup {
    let names = representations(outcomes, factor);
    let splits = config.within();
    let best = splits.iter().map(|split| {
        let means = names.iter().filter_map(|n| of(outcomes, factor, *split, n)).map(|o| mean_and_spread(&o.accuracy).0);
        means.fold(0.0, f64::max)
    });
    let best: Vec<f64> = best.collect();
    let head = html! {
        tr { th rowspan="2" { "Representation" } @for split in &splits { th colspan="4" { "Split by " (split.name()) } } }
        tr { @for _ in &splits { th { "Accuracy" } th { "Macro F1" } th { "Labels shuffled" } th { "Samples shuffled" } } }
    };
    let body = html! {
        @for name in &names { tr {
            td { (name) }
            @for (split, best) in splits.iter().zip(&best) { @if let Some(o) = of(outcomes, factor, *split, name) {
                @let (mean, spread) = mean_and_spread(&o.accuracy);
                td.best[mean >= *best] { (format!("{mean:.3} ± {spread:.3}")) }
                td { (format!("{:.3}", mean_and_spread(&o.macro_f1).0)) }
                td { (format!("{:.3}", o.labels_shuffled)) }
                td { (format!("{:.3}", o.samples_shuffled)) }
            } }
        } }
        tr.means { td { "largest class" } @for _ in &splits { td { (format!("{:.3}", majority(factor))) } td {} td {} td {} } }
        @if let Some(published) = config.published.get(&factor.name) {
            tr.foreign { td { "published, PCA, other data" } td { (format!("{published:.2}")) } @for _ in 1..4 * splits.len() { td {} } }
        }
    };
    let caption = format!(
        "{}: accuracy and mean F1 over the classes of the test spectra, mean and standard deviation over the seeds; the best mean of each split in bold.",
        capital(&factor.name)
    );
    html! {
        (numbers.figure(&accuracy_figure(factor, outcomes, config)))
        (numbers.table(&caption, head, body))
    }
}

fn accuracy_figure(factor: &Factor, outcomes: &[Outcome], config: &ClassifyConfig) -> Figure {
    let names = representations(outcomes, factor);
    let accuracy = |name: &str, split| of(outcomes, factor, split, name).map_or(Vec::new(), |o| o.accuracy.clone());
    let rows: Vec<AccuracyRow> =
        names.iter().map(|&n| AccuracyRow { name: n.to_owned(), of: Split::WITHIN.map(|s| accuracy(n, s)).to_vec() }).collect();
    let mut marks = vec![("largest class".to_owned(), majority(factor))];
    if let Some(&published) = config.published.get(&factor.name) {
        marks.push(("published (PCA, other data)".to_owned(), published));
    }
    Figure {
        name: format!("accuracy-{}", factor.name),
        caption: format!("Accuracy for {} by representation: dots are seeds, rings their means.", factor.name),
        panel: figure::accuracies(&rows, &SERIES, &marks, 760.0),
    }
}

/// Comparison of the ranks of representations with the expected ones, in words. It is `None` where a representation is missing.
fn ordering(factor: &Factor, outcomes: &[Outcome], expected: &[String]) -> Option<String> {
    let mut parts = Vec::new();
    for split in Split::WITHIN {
        let of_each: Vec<&Outcome> = expected.iter().map(|n| of(outcomes, factor, split, n)).collect::<Option<_>>()?;
        let pairs: Vec<String> = of_each.windows(2).map(|pair| against(pair[0], pair[1])).collect();
        if pairs.is_empty() {
            return None;
        }
        parts.push(format!("Split by {}: {}.", split.name(), pairs.join("; ")));
    }
    Some(parts.join(" "))
}

/// Comparison of two outcomes, in words.
fn against(ours: &Outcome, other: &Outcome) -> String {
    let (a, b) = (mean_and_spread(&ours.accuracy).0, mean_and_spread(&other.accuracy).0);
    let seeds = ours.accuracy.iter().zip(&other.accuracy).filter(|(a, b)| a > b).count();
    let says = if a > b { "beats" } else { "does not beat" };
    let (x, y) = (&ours.representation, &other.representation);
    format!("{x} {says} {y} ({a:.3} against {b:.3}, better in {seeds} of {} seeds)", ours.accuracy.len())
}

/// Comparison of the ranked representations with as many principal components, in words. It is `None` without such components.
fn equal_size(material: &Material, factor: &Factor, outcomes: &[Outcome], expected: &[String]) -> Option<String> {
    let size = |name: &str| material.representations.iter().find(|r| r.name == name).map(|r| r.codes.dim().1);
    let equal = expected.iter().filter_map(|name| Some((name.as_str(), format!("pca{}", size(name)?))));
    let compared: Vec<(&str, String)> = equal.filter(|(name, pca)| name != pca).collect();
    let mut parts = Vec::new();
    for split in Split::WITHIN {
        let of = |name: &str| of(outcomes, factor, split, name);
        let pairs: Vec<String> = compared.iter().filter_map(|(name, pca)| Some(against(of(name)?, of(pca)?))).collect();
        if !pairs.is_empty() {
            parts.push(format!("split by {}: {}", split.name(), pairs.join(", ")));
        }
    }
    (!parts.is_empty()).then(|| format!("Against as many principal components: {}.", parts.join("; ")))
}

fn pair(factor: &Factor, representation: &str, outcomes: &[Outcome], numbers: &mut Numbers) -> Markup {
    html! {
        h4 { (capital(&factor.name)) " by " (representation) }
        div.pair { @for split in Split::WITHIN { @if let Some(o) = of(outcomes, factor, split, representation) { div {
            (report_table(&o.report, &format!("{} by {representation}, split by {}, first seed, {} spectra learned from.", capital(&factor.name), split.name(), o.train), numbers))
            (numbers.figure(&confusion_figure(o)))
        } } } }
    }
}

fn report_table(report: &Report, caption: &str, numbers: &mut Numbers) -> Markup {
    let row = |name: &str, f: &crate::classify::Figures, means: bool| {
        html! { tr.means[means] {
            td { (name) } td { (format!("{:.2}", f.precision)) } td { (format!("{:.2}", f.recall)) } td { (format!("{:.2}", f.f1)) } td { (f.support) }
        } }
    };
    let head = html! { tr { th { "Class" } th { "Precision" } th { "Recall" } th { "F1" } th { "Support" } } };
    let body = html! {
        @for (class, f) in report.classes.iter().zip(&report.of) { (row(class, f, false)) }
        tr.means { td { "accuracy" } td {} td {} td { (format!("{:.2}", report.accuracy)) } td { (report.macro_mean.support) } }
        (row("macro mean", &report.macro_mean, true))
        (row("weighted mean", &report.weighted_mean, true))
    };
    numbers.table(caption, head, body)
}

fn confusion_figure(o: &Outcome) -> Figure {
    Figure {
        name: format!("confusion-{}-{}-{}", o.factor, o.representation, o.split.name()),
        caption: format!(
            "Confusion matrix of {} by {}, split by {}: spectra, shaded by share of the true class.",
            o.factor,
            o.representation,
            o.split.name()
        ),
        panel: figure::confusion(&o.report),
    }
}

/// Figures of the accuracies of each factor, and of every confusion matrix.
pub fn classification_figures(material: &Material, outcomes: &[Outcome], config: &ClassifyConfig) -> Vec<Figure> {
    let compared = material.factors.iter().map(|f| accuracy_figure(f, outcomes, config));
    compared.chain(outcomes.iter().map(confusion_figure)).collect()
}

fn capital(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

fn percent(share: f64) -> String {
    format!("{:.0}", share * 100.0)
}
