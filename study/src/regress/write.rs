//! The files of a regression.

use super::error::RegressError;
use super::labels::plain;
use super::measures::Interval;
use super::run::{Outcome, Samples};
use crate::config::Config;
use crate::figure::{Dot, Figure, measured};
use crate::onnx::head::{HeadText, export_head};
use crate::progress::Progress;
use crate::reduce::Study;
use crate::steps::{csv, write as write_file};
use nalgebra::DMatrix;
use std::path::{Path, PathBuf};

/// Samples whose judgement the metadata of a head has.
const REFERENCES: usize = 4;

/// Writes the values of all samples, the summary, a figure for each outcome, and the heads of spectra as ONNX. The result are the
/// paths of the heads. `means` are the mean spectra `(samples, bands)`.
///
/// # Errors
///
/// [`RegressError::Export`] and [`RegressError::Step`] for files that cannot be written.
pub fn write(samples: &Samples, outcomes: &[Outcome], means: &DMatrix<f64>, folder: &Path) -> Result<Vec<PathBuf>, RegressError> {
    write_file(folder, "regress.csv", values(samples, outcomes).as_bytes())?;
    write_file(folder, "regress-summary.csv", summary(outcomes).as_bytes())?;
    let mut heads = Vec::new();
    for outcome in outcomes {
        let figure = figure(outcome);
        write_file(folder, &format!("{}.svg", figure.name), figure.panel.svg().into_string().as_bytes())?;
        if outcome.features == "spectra" {
            let known: Vec<usize> = outcome.held.iter().filter(|held| held.label.is_some()).map(|held| held.sample).collect();
            let step = known.len().div_ceil(REFERENCES).max(1);
            let reference: Vec<Vec<f32>> =
                known.iter().step_by(step).map(|sample| means.row(*sample).iter().map(|value| *value as f32).collect()).collect();
            let text = HeadText { name: file_name(outcome), target: outcome.target.clone(), unit: outcome.unit.clone() };
            let path = folder.join(format!("{}.onnx", text.name));
            export_head(&outcome.head, &text, &samples.wavelengths_nm, &reference, &path)?;
            heads.push(path);
        }
    }
    Ok(heads)
}

/// Name of the head of an outcome, for its file and its metadata.
fn file_name(outcome: &Outcome) -> String {
    format!("head-{}", plain(&outcome.target))
}

/// A row for each label, table of features and sample.
pub(super) fn values(samples: &Samples, outcomes: &[Outcome]) -> String {
    let mut table = csv(&[
        "target",
        "unit",
        "features",
        "sample",
        "group",
        "measured",
        "fold",
        "value",
        "lower",
        "upper",
        "distance",
        "refused",
        "why",
        "baseline",
        "baseline_value",
    ]);
    for o in outcomes {
        for held in &o.held {
            let j = &held.judged;
            let measured = held.label.map(|label| label.to_string()).unwrap_or_default();
            let fold = held.fold.map(|fold| (fold + 1).to_string()).unwrap_or_default();
            let numbers = [j.value, j.lower, j.upper, j.distance].map(|number| format!("{number:.6}"));
            let refused = if j.refused() { "yes" } else { "no" };
            table.push_str(&csv(&[
                &o.target,
                &o.unit,
                &o.features,
                &samples.names[held.sample],
                &held.group,
                &measured,
                &fold,
                &numbers[0],
                &numbers[1],
                &numbers[2],
                &numbers[3],
                refused,
                j.why,
                o.baseline.name(),
                &format!("{:.6}", held.baseline),
            ]));
        }
    }
    table
}

/// A row for each label and table of features.
pub(super) fn summary(outcomes: &[Outcome]) -> String {
    let mut heads = ["target", "unit", "features", "samples", "groups", "folds", "level"].map(str::to_owned).to_vec();
    for measure in ["rmse", "r2", "coverage", "baseline_rmse", "rmse_over_baseline"] {
        heads.extend([measure.to_owned(), format!("{measure}_low"), format!("{measure}_high")]);
    }
    heads.extend(["mean_width", "refused", "baseline", "model", "models_of_folds"].map(str::to_owned));
    let line = |fields: &[String]| csv(&fields.iter().map(String::as_str).collect::<Vec<_>>());
    let mut table = line(&heads);
    for o in outcomes {
        let labelled = || o.held.iter().filter(|held| held.label.is_some());
        let mut fields = vec![o.target.clone(), o.unit.clone(), o.features.clone(), labelled().count().to_string()];
        fields.extend([o.groups.to_string(), o.folds.to_string(), o.head.level.to_string()]);
        let m = &o.measures;
        for Interval { value, low, high } in [m.rmse, m.r2, m.coverage, m.baseline_rmse, m.ratio] {
            fields.extend([value, low, high].map(|number| format!("{number:.6}")));
        }
        let refused = labelled().filter(|held| held.judged.refused()).count();
        fields.extend([format!("{:.6}", m.width), refused.to_string(), o.baseline.name().to_owned()]);
        fields.extend([o.head.described.clone(), o.chosen.join("; ")]);
        table.push_str(&line(&fields));
    }
    table
}

/// Figure of the values given over the labels measured, with intervals.
pub fn figure(o: &Outcome) -> Figure {
    let unit = if o.unit.is_empty() { String::new() } else { format!(", {}", o.unit) };
    let dot = |held: &super::run::Held| {
        let j = &held.judged;
        Some(Dot { measured: held.label?, given: j.value, lower: j.lower, upper: j.upper, refused: j.refused() })
    };
    let dots: Vec<Dot> = o.held.iter().filter_map(dot).collect();
    let m = &o.measures;
    Figure {
        name: format!("regress-{}-{}", plain(&o.target), o.features),
        caption: format!(
            "{}{unit}, by {}: value given without the sample's fold over the value measured, with intervals of {} %. RMSE {:.3} ({:.3} to \
             {:.3}), baseline ({}) {:.3}; coverage {:.1} %.",
            o.target,
            o.features,
            100.0 * o.head.level,
            m.rmse.value,
            m.rmse.low,
            m.rmse.high,
            o.baseline.name(),
            m.baseline_rmse.value,
            100.0 * m.coverage.value
        ),
        panel: measured(&dots, &format!("{} measured{unit}", o.target), &format!("{} given{unit}", o.target), 460.0),
    }
}

/// Learns every label of a study's table, and writes the files. The result are the outcomes, and the paths of the heads.
///
/// # Errors
///
/// [`RegressError`], as [`regress`](super::regress) and [`write()`] give it.
pub fn learn(study: &Study, progress: Progress) -> Result<(Vec<Outcome>, Vec<PathBuf>), RegressError> {
    let (samples, means, outcomes) = super::regress(study, progress)?;
    let heads = write(&samples, &outcomes, &means, &study.config().regress.folder)?;
    Ok((outcomes, heads))
}

/// Runs the regression of a configuration, and writes its files. The result is a text for the terminal.
///
/// # Errors
///
/// [`RegressError`], as [`learn`] gives it.
pub fn run(config: &Config, progress: Progress) -> Result<String, RegressError> {
    config.regress.table.as_ref().ok_or(RegressError::NoTable)?;
    // Labels of the spectra are of no use here, so that none can be missing.
    let mut config = config.clone();
    config.data.labels.clear();
    let (outcomes, heads) = learn(&Study::open(&config)?, progress)?;
    let folder = &config.regress.folder;
    let mut text = String::new();
    for o in &outcomes {
        let m = &o.measures;
        let unit = if o.unit.is_empty() { String::new() } else { format!(" {}", o.unit) };
        text += &format!(
            "{} by {}: RMSE {:.3}{unit} ({:.3} to {:.3}), {} {:.3}{unit}; R2 {:.3}; {:.1} % in intervals of {} %; model {}\n",
            o.target,
            o.features,
            m.rmse.value,
            m.rmse.low,
            m.rmse.high,
            o.baseline.name(),
            m.baseline_rmse.value,
            m.r2.value,
            100.0 * m.coverage.value,
            100.0 * o.head.level,
            o.head.described
        );
    }
    for path in [folder.join("regress.csv"), folder.join("regress-summary.csv")].iter().chain(&heads) {
        text += &format!("{}\n", path.display());
    }
    text.truncate(text.trim_end().len());
    Ok(text)
}
