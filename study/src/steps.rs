//! The steps over all representations. Each writes figures as SVG, and tables as CSV and text, into a folder.

pub use crate::analysis::{Elbow, FactorAgreement, Map, StepError, StepsConfig, Trees, check_data, elbows, maps, trees};

use crate::classify::{self, mean_and_spread};
use crate::figure::Figure;
use crate::material::Material;
use crate::progress::Progress;
use crate::regress::Outcome;
use crate::report;
use std::fmt::Write;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Writes the maps into `folder`. There is a figure for each representation and view, and `tsne.csv` with every point.
///
/// # Errors
///
/// [`StepError`] of [`maps`]. [`StepError::Write`] for a file that cannot be written.
pub fn tsne(material: &Material, config: &StepsConfig, folder: &Path, progress: Progress) -> Result<(), StepError> {
    let maps = maps(material, &config.tsne, progress)?;
    let factors: Vec<&str> = material.factors.iter().map(|f| f.name.as_str()).collect();
    let mut table = csv(&[&["representation", "view", "class", "row", "sample"], &factors[..], &["x", "y"]].concat());
    for map in &maps {
        for (&row, point) in map.rows.iter().zip(map.embedding.points.rows()) {
            let (view, row_text) = (map.view.to_string(), row.to_string());
            let sample = &material.samples[material.places[row].sample as usize];
            let mut fields = vec![map.representation.as_str(), &view, map.class.as_deref().unwrap_or(""), &row_text, sample];
            fields.extend(material.factors.iter().map(|f| f.classes[usize::from(f.of[row])].as_str()));
            let (x, y) = (point[0].to_string(), point[1].to_string());
            fields.extend([x.as_str(), &y]);
            table.push_str(&csv(&fields));
        }
    }
    write(folder, "tsne.csv", table.as_bytes())?;
    figures(folder, report::map_figures(material, &maps, &config.tsne)?)
}

/// Writes the elbows into `folder`. The files are `elbow.svg`, `kmeans.csv` with the inertia, and `kmeans-agreement.csv`.
///
/// # Errors
///
/// [`StepError`] of [`elbows`]. [`StepError::Write`] for a file that cannot be written.
pub fn kmeans(material: &Material, config: &StepsConfig, folder: &Path, progress: Progress) -> Result<(), StepError> {
    let elbows = elbows(material, &config.kmeans, progress)?;
    let mut table = csv(&["representation", "points", "clusters", "inertia"]);
    let mut compared = csv(&["representation", "factor", "clusters", "adjusted_rand", "normalised_mutual_information"]);
    for e in &elbows {
        for (k, inertia) in e.inertia.iter().enumerate() {
            table.push_str(&csv(&[&e.representation, &e.points.to_string(), &(k + 1).to_string(), &inertia.to_string()]));
        }
        for a in &e.agreement {
            let (rand, information) = (a.measured.adjusted_rand.to_string(), a.measured.normalised_mutual_information.to_string());
            compared.push_str(&csv(&[&e.representation, &a.factor, &a.clusters.to_string(), &rand, &information]));
        }
    }
    write(folder, "kmeans.csv", table.as_bytes())?;
    write(folder, "kmeans-agreement.csv", compared.as_bytes())?;
    figures(folder, vec![report::elbow_figure(&elbows)])
}

/// Writes the trees into `folder`. There are two dendrograms for each representation, `linkage.csv` with the merges, and
/// `linkage-agreement.csv`.
///
/// # Errors
///
/// [`StepError`] of [`trees`]. [`StepError::Write`] for a file that cannot be written.
pub fn linkage(material: &Material, config: &StepsConfig, folder: &Path, progress: Progress) -> Result<(), StepError> {
    let trees = trees(material, &config.linkage, progress)?;
    let mut table = csv(&["representation", "of", "method", "first", "second", "height", "size"]);
    let mut compared = csv(&["representation", "method", "factor", "clusters", "adjusted_rand", "normalised_mutual_information"]);
    for t in &trees {
        for (of, tree) in [("spectra", &t.of_spectra), ("samples", &t.of_samples)] {
            for m in &tree.merges {
                let [first, second] = m.of.map(|c| c.to_string());
                let fields = [&t.representation, of, t.method.name(), &first, &second, &m.height.to_string(), &m.size.to_string()];
                table.push_str(&csv(&fields));
            }
        }
        for (method, a) in &t.agreement {
            let (rand, information) = (a.measured.adjusted_rand.to_string(), a.measured.normalised_mutual_information.to_string());
            compared.push_str(&csv(&[&t.representation, method.name(), &a.factor, &a.clusters.to_string(), &rand, &information]));
        }
    }
    write(folder, "linkage.csv", table.as_bytes())?;
    write(folder, "linkage-agreement.csv", compared.as_bytes())?;
    figures(folder, report::tree_figures(material, &trees, &config.linkage))
}

/// Writes the classifications into `folder`, with their confusion matrices as figures. `classify.csv` has the accuracy of every seed.
/// `classify.txt` has a table in the layout of scikit-learn for each. `classify-samples.csv` and `classify-containers.csv` have what was held
/// out, and `folds.csv` the fold of each sample.
///
/// # Errors
///
/// [`StepError::Classify`] of the classification. [`StepError::Write`] for a file that cannot be written.
pub fn classify(material: &Material, config: &StepsConfig, folder: &Path, progress: Progress) -> Result<(), StepError> {
    let outcomes = classify::classify(material, &config.classify, progress)?;
    let mut table = csv(&["factor", "split", "representation", "seed", "accuracy", "macro_f1"]);
    let mut text = String::new();
    for o in &outcomes {
        for ((seed, accuracy), f1) in config.classify.seeds.iter().zip(&o.accuracy).zip(&o.macro_f1) {
            let fields = [&o.factor, o.split.name(), &o.representation, &seed.to_string(), &accuracy.to_string(), &f1.to_string()];
            table.push_str(&csv(&fields));
        }
        text.push_str(&described(o));
    }
    write(folder, "classify.csv", table.as_bytes())?;
    write(folder, "classify.txt", text.as_bytes())?;
    let mut table = csv(&["factor", "representation", "encoder_unseen", "accuracy", "low", "high", "exchanged_mean", "p"]);
    for o in classify::by_sample(material, &config.classify, progress)? {
        let (exchanged, _) = mean_and_spread(&o.exchanged);
        let numbers = [o.accuracy, o.interval.0, o.interval.1, exchanged, o.p].map(|number| number.to_string());
        table.push_str(&csv(&[&[&o.factor[..], &o.representation, yes(o.unseen)], &numbers.each_ref().map(String::as_str)[..]].concat()));
    }
    write(folder, "classify-samples.csv", table.as_bytes())?;
    if let Some(held) = &material.held_out {
        let lines = material.samples.iter().zip(&held.fold_of).map(|(sample, fold)| csv(&[sample, &fold.to_string()]));
        write(folder, "folds.csv", (csv(&["sample", "fold"]) + &lines.collect::<String>()).as_bytes())?;
    }
    let mut table =
        csv(&["factor", "representation", "encoder_unseen", "spread", "others_known", "accuracy", "low", "high", "exchanged_mean", "p"]);
    for o in classify::by_container(material, &config.classify, progress)? {
        let (exchanged, _) = mean_and_spread(&o.exchanged);
        let numbers = [o.accuracy, o.interval.0, o.interval.1, exchanged, o.p].map(|number| number.to_string());
        let words = [&o.factor[..], &o.representation, yes(o.unseen), yes(o.spread), yes(o.others_known)];
        table.push_str(&csv(&[&words, &numbers.each_ref().map(String::as_str)[..]].concat()));
    }
    write(folder, "classify-containers.csv", table.as_bytes())?;
    figures(folder, report::classification_figures(material, &outcomes, &config.classify))
}

fn yes(holds: bool) -> &'static str {
    if holds { "yes" } else { "no" }
}

fn described(o: &classify::Outcome) -> String {
    let (mean, spread) = mean_and_spread(&o.accuracy);
    let (labels, samples) = (o.labels_shuffled, o.samples_shuffled);
    format!(
        "{} by {}, split by {}: accuracy {mean:.4} +- {spread:.4}; labels shuffled {labels:.4}, samples shuffled {samples:.4}\n\n{}\n",
        o.factor,
        o.representation,
        o.split.name(),
        o.report.text(2)
    )
}

/// Runs all steps and writes the page to `file`. `regressed` are the regressions of the samples, if there are any.
///
/// # Errors
///
/// [`StepError`] of any step. [`StepError::Write`] for a file that cannot be written.
pub fn report(material: &Material, regressed: &[Outcome], config: &StepsConfig, file: &Path, progress: Progress) -> Result<(), StepError> {
    let page = report::page(material, regressed, config, progress)?;
    let folder = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = file.file_name().unwrap_or_else(|| "report.html".as_ref());
    write(folder, &name.to_string_lossy(), page.as_bytes())
}

fn figures(folder: &Path, figures: Vec<Figure>) -> Result<(), StepError> {
    figures.iter().try_for_each(|f| write(folder, &format!("{}.svg", f.name), f.panel.svg().into_string().as_bytes()))
}

/// A line of comma-separated values, quoted as RFC 4180 wants it.
pub(crate) fn csv(fields: &[&str]) -> String {
    let mut line = String::new();
    for (i, field) in fields.iter().enumerate() {
        let comma = if i > 0 { "," } else { "" };
        match field.contains(['"', ',', '\n', '\r']) {
            true => write!(line, "{comma}\"{}\"", field.replace('"', "\"\"")),
            false => write!(line, "{comma}{field}"),
        }
        .expect("text takes everything");
    }
    line + "\n"
}

/// Writes a file, which gets its final name when it is complete.
pub(crate) fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), StepError> {
    let fault = |path: PathBuf| move |source| StepError::Write { path, source };
    std::fs::create_dir_all(folder).map_err(fault(folder.to_owned()))?;
    let (unfinished, path) = (folder.join(format!(".{name}.unfinished")), folder.join(name));
    let written = std::fs::File::create(&unfinished).and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
    written.and_then(|()| std::fs::rename(&unfinished, &path)).map_err(fault(path))
}
