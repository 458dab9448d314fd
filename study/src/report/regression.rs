//! The section on numbers of samples, such as assays, that were learned from a table.

use super::numbers::{Numbers, rounded, significant};
use crate::material::Material;
use crate::regress::{Held, Interval, Outcome, figure};
use maud::{Markup, html};

/// Refused samples that the page lists for each label.
const LISTED: usize = 12;
/// Significant digits of errors and widths.
const DIGITS: usize = 3;

pub(super) fn section(material: &Material, outcomes: &[Outcome], numbers: &mut Numbers) -> Markup {
    let level = outcomes.first().map_or(0.0, |o| o.head.level);
    let accept = outcomes.first().map_or(0.0, |o| o.head.accept);
    html! {
        p {
            "Numbers of whole samples, from the table of " code { "regress.table" } ", learned from the mean spectrum of each sample or from its mean code. Each value comes "
            "from models that were neither trained nor chosen with the sample, nor with others of its group. RMSE is the root of the mean squared error. "
            "What is said of errors and intervals counts all samples with a label, the refused ones too."
        }
        p {
            b { "Baseline: " } "the strongest of four trivial predictions, which need no shape of a spectrum: the mean label, the label of the sample with the nearest mean "
            "reflectance, and straight lines over the mean reflectance and over the number of pixels. "
            b { "Intervals " } "of " (percent(level)) " % should hold the label of " (percent(level)) " % of samples like these. "
            b { "Refused " } "are samples that lie outside what was learned from; of ordinary samples, " (percent(1.0 - accept)) " % should be. "
            "A refused value means nothing, and a value that is not refused can be wrong all the same. The ranges are the middle 95 % over draws of groups."
        }
        (measures(outcomes, numbers))
        (models(outcomes, numbers))
        @for outcome in outcomes {
            h3 { (outcome.target) " by " (outcome.features) }
            p { (against_baseline(outcome)) " " (coverage(outcome)) " " (refusals(outcome)) }
            (numbers.figure(&figure(outcome)))
            (refused_table(material, outcome, numbers))
        }
    }
}

fn measures(outcomes: &[Outcome], numbers: &mut Numbers) -> Markup {
    let head = html! {
        tr {
            th rowspan="2" { "Label" } th.words rowspan="2" { "By" } th rowspan="2" { "Samples" }
            th colspan="2" { "RMSE" } th colspan="2" { "Baseline" } th rowspan="2" { "R²" } th colspan="3" { "Intervals" } th rowspan="2" { "Refused" }
        }
        tr { th { "Value" } th { "95 %" } th { "RMSE" } th { "95 %" } th { "Hold, %" } th { "95 %" } th { "Width" } }
    };
    let body = html! { @for o in outcomes { tr {
        @let m = &o.measures;
        td { (named(o)) } td.words { (o.features) } td { (labelled(o).count()) }
        td.best[m.rmse.value < m.baseline_rmse.value] { (rounded(m.rmse.value, DIGITS)) } td { (range(&m.rmse)) }
        td.best[m.rmse.value >= m.baseline_rmse.value] { (rounded(m.baseline_rmse.value, DIGITS)) } td { (range(&m.baseline_rmse)) }
        td { (format!("{:.3}", m.r2.value)) }
        td { (format!("{:.1}", 100.0 * m.coverage.value)) }
        td { (format!("{:.0} to {:.0}", 100.0 * m.coverage.low, 100.0 * m.coverage.high)) }
        td { (rounded(m.width, DIGITS)) }
        td { (labelled(o).filter(|held| held.judged.refused()).count()) }
    } } };
    numbers.table(
        "Errors of samples with a label, beside the strongest baseline, in the label's unit; the lower error in bold. Widths are means over the samples.",
        head,
        body,
    )
}

fn models(outcomes: &[Outcome], numbers: &mut Numbers) -> Markup {
    let head =
        html! { tr { th { "Label" } th.words { "By" } th.words { "Baseline" } th.words { "All samples" } th.words { "Without a fold" } } };
    let body = html! { @for o in outcomes { tr {
        td { (named(o)) } td.words { (o.features) } td.words { (o.baseline.name()) } td.words { (o.head.described) }
        td.words { @for (i, (model, folds)) in counted(&o.chosen).iter().enumerate() { @if i > 0 { ", " } (model) " (" (folds) ")" } }
    } } };
    numbers.table(
        "Strongest baseline, and the models that were chosen with all samples and without each fold. Models: pls with its number of components, ridge with its penalty. Pretreatments: none, snv (standard \
         normal variates), log (absorbance), sg1/7 (first derivative by Savitzky and Golay over 7 bands), and the name of a mask of bands.",
        head,
        body,
    )
}

/// The different models with the number of their folds, the most frequent first.
fn counted(chosen: &[String]) -> Vec<(&str, usize)> {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for model in chosen {
        match counts.iter_mut().find(|(known, _)| known == model) {
            Some((_, count)) => *count += 1,
            None => counts.push((model, 1)),
        }
    }
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts
}

fn labelled(o: &Outcome) -> impl Iterator<Item = &Held> {
    o.held.iter().filter(|held| held.label.is_some())
}

fn named(o: &Outcome) -> String {
    if o.unit.is_empty() { o.target.clone() } else { format!("{}, {}", o.target, o.unit) }
}

fn range(of: &Interval) -> String {
    format!("{} to {}", rounded(of.low, DIGITS), rounded(of.high, DIGITS))
}

/// Whether the model beats the baseline, in words.
fn against_baseline(o: &Outcome) -> String {
    let Interval { value, low, high } = o.measures.ratio;
    let says = match (high < 1.0, value < 1.0) {
        (true, _) => "beats",
        (false, true) => "is not clearly better than",
        (false, false) => "does not beat",
    };
    let rest = if value < 1.0 { "" } else { " The shape of the spectra taught it nothing." };
    let (target, features, baseline) = (&o.target, &o.features, o.baseline.name());
    format!(
        "{target} by {features} {says} the baseline ({baseline}): its error is {value:.2} of the baseline's ({low:.2} to {high:.2}).{rest}"
    )
}

/// Whether intervals hold as many labels as they should, in words.
fn coverage(o: &Outcome) -> String {
    let (Interval { value, low, high }, level) = (o.measures.coverage, o.head.level);
    let says = match (high < level, low > level) {
        (true, _) => "which is too few: they are too narrow for these samples",
        (_, true) => "which is more than they say: they are wider than needed",
        _ => "as they say",
    };
    let [value, low, high] = [value, low, high].map(|share| 100.0 * share);
    format!("Intervals of {} % hold {value:.1} % ({low:.0} to {high:.0}), {says}.", percent(level))
}

/// How many samples are refused, in words.
fn refusals(o: &Outcome) -> String {
    let (known, others): (Vec<&Held>, Vec<&Held>) = o.held.iter().partition(|held| held.label.is_some());
    let refused = |some: &[&Held]| some.iter().filter(|held| held.judged.refused()).count();
    let of_others = match others.len() {
        0 => String::new(),
        count => format!(", and {} of {count} without one", refused(&others)),
    };
    format!("Refused are {} of {} samples with a label{of_others}.", refused(&known), known.len())
}

fn refused_table(material: &Material, o: &Outcome, numbers: &mut Numbers) -> Markup {
    let mut refused: Vec<&Held> = o.held.iter().filter(|held| held.judged.refused()).collect();
    if refused.is_empty() {
        return html! {};
    }
    refused.sort_by(|a, b| b.judged.distance.total_cmp(&a.judged.distance));
    let more = match refused.len().saturating_sub(LISTED) {
        0 => String::new(),
        more => format!(" {more} more are in regress.csv."),
    };
    let head = html! { tr { th { "Sample" } th { "Label" } th { "Value" } th { "Interval" } th { "Distance" } th.words { "Lies" } } };
    let body = html! { @for held in refused.iter().take(LISTED) { tr {
        @let j = &held.judged;
        td { (material.samples.get(held.sample).map_or("", String::as_str)) }
        td { @if let Some(label) = held.label { (significant(label)) } }
        td { (significant(j.value)) }
        td { (significant(j.lower)) " to " (significant(j.upper)) }
        td { (format!("{:.2}", j.distance)) }
        td.words { (j.why) }
    } } };
    let caption = format!("Refused samples of {}, the farthest first. A sample is refused beyond a distance of 1.{more}", named(o));
    numbers.table(&caption, head, body)
}

fn percent(share: f64) -> String {
    let text = format!("{:.1}", 100.0 * share);
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}
