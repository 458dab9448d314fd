//! The section on samples and containers that neither forest nor encoder has seen.

use super::numbers::Numbers;
use crate::analysis::StepsConfig;
use crate::classify::{ByContainer, BySample, difference};
use crate::material::Material;
use maud::{Markup, html};

pub(super) fn section(
    material: &Material,
    (samples, containers): (&[BySample], &[ByContainer]),
    config: &StepsConfig,
    numbers: &mut Numbers,
) -> Markup {
    let c = &config.classify;
    if samples.is_empty() {
        return html! { p { "No sample was held out: classify.splits leaves it out, or every class of each label lies in a single sample." } };
    }
    let factors: Vec<&str> =
        material.factors.iter().map(|f| f.name.as_str()).filter(|name| samples.iter().any(|o| o.factor == *name)).collect();
    let names: Vec<&str> = material.representations.iter().map(|r| r.name.as_str()).collect();
    let of = |factor: &str, name: &str| samples.iter().find(|o| o.factor == factor && o.representation == name);
    let seen = samples.iter().any(|o| !o.unseen);
    let head = html! {
        tr { th rowspan="2" { "Representation" } @for factor in &factors { th colspan="3" { (factor) } } }
        tr { @for _ in &factors { th { "Accuracy" } th { "95 %" } th { "p" } } }
    };
    let best = |factor: &str| samples.iter().filter(|o| o.factor == factor).map(|o| o.accuracy).fold(0.0, f64::max);
    let body = html! { @for name in &names { tr {
        td { (name) @if names_seen(samples, name) { "†" } }
        @for factor in &factors { @match of(factor, name) {
            Some(o) => {
                td.best[o.accuracy >= best(factor)] { (format!("{:.3}", o.accuracy)) }
                td { (between(o.interval)) }
                td { (format!("{:.2}", o.p)) }
            }
            None => { td {} td {} td {} }
        } }
    } } };
    let mut text = Vec::new();
    for factor in &factors {
        let expected: Vec<&BySample> = config.report.expected.iter().filter_map(|name| of(factor, name)).collect();
        let pairs: Vec<String> = expected.windows(2).map(|pair| against(pair[0], pair[1])).collect();
        if !pairs.is_empty() {
            text.push(format!("{factor}: {}.", pairs.join("; ")));
        }
    }
    html! {
        p {
            b { "By sample: " } "whole containers are held out, in " (c.folds) " folds over which the classes are spread. Forests learn from at most "
            (c.most_train) " spectra of the other containers. Principal components and encoders from pairs, with their scalers, are fitted anew for each "
            "fold, without its containers. "
            @if seen { "† Autoencoders are not trained anew: they have seen the spectra of the tested containers, and no label. That can only favour them. " }
            "Intervals are the middle 95 % over draws of containers. What the splits by pixel and by place give beyond this is memory of containers."
        }
        p {
            b { "p: " } "chance of as high an accuracy where whole containers exchange their labels, from " (c.permutations) " exchanges. It compares small "
            "forests with each other, and cannot fall below " (format!("{:.3}", 1.0 / (c.permutations + 1) as f64)) "."
        }
        (numbers.table("Accuracy on spectra of containers that were held out; the best of each label in bold.", head, body))
        @for line in &text { p { (line) } }
        (container_table(&factors, &names, containers, numbers))
    }
}

fn names_seen(samples: &[BySample], name: &str) -> bool {
    samples.iter().any(|o| o.representation == name && !o.unseen)
}

fn between((low, high): (f64, f64)) -> String {
    format!("{low:.2} to {high:.2}")
}

fn against(a: &BySample, b: &BySample) -> String {
    let (mean, (low, high)) = difference(a, b);
    let says = match (low > 0.0, mean > 0.0) {
        (true, _) => "beats",
        (false, true) => "is not clearly above",
        (false, false) => "does not beat",
    };
    let (x, y) = (&a.representation, &b.representation);
    format!("{x} {says} {y} (difference {mean:+.3}, {low:+.3} to {high:+.3})")
}

fn container_table(factors: &[&str], names: &[&str], containers: &[ByContainer], numbers: &mut Numbers) -> Markup {
    const WAYS: [(bool, bool, &str); 3] =
        [(false, false, "mean"), (true, false, "mean, spread, quantiles"), (false, true, "mean, other labels known")];
    let of = |factor: &str, name: &str, spread: bool, others: bool| {
        containers.iter().find(|o| o.factor == factor && o.representation == name && o.spread == spread && o.others_known == others)
    };
    let head = html! {
        tr { th rowspan="2" { "Representation" } th.words rowspan="2" { "By" } @for factor in factors { th colspan="3" { (factor) } } }
        tr { @for _ in factors { th { "Accuracy" } th { "95 %" } th { "p" } } }
    };
    let body = html! { @for name in names { @for (i, (spread, others, way)) in WAYS.iter().enumerate() { tr {
        td { @if i == 0 { (name) } }
        td.words { (way) }
        @for factor in factors { @match of(factor, name, *spread, *others) {
            Some(o) => {
                td { (format!("{:.3}", o.accuracy)) }
                td { (between(o.interval)) }
                td { (format!("{:.2}", o.p)) }
            }
            None => { td {} td {} td {} }
        } }
    } } } };
    html! {
        p {
            b { "By container: " } "each container is one point: the mean of its codes, or mean, standard deviation and the quantiles of 10, 50 and 90 %. The unit "
            "is the scatter of pixels within a container. Linear discriminants with a shrunk covariance learn from all others. " b { "Other labels known: " }
            "the means of the classes of the other labels are taken from the codes first, as where the plant and the size of a sample are known and its month is asked."
        }
        (numbers.table("Share of containers that are classified rightly, each left out once.", head, body))
    }
}
