//! The regression: against scikit-learn and SciPy, its coverage, its refusals, and its heads in ONNX Runtime.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed unwrap is how a test fails")]

mod onnxruntime;
#[path = "../../tests/python/mod.rs"]
mod scripts;

use hyclus_study::onnx::head::{HeadText, NUMBERS, export_head};
use hyclus_study::regress::fit::{Models, PENALTIES};
use hyclus_study::regress::nested::{Nested, Prepared, Problem};
use hyclus_study::regress::pretreat::{Pretreatment, Start};
use hyclus_study::regress::{Head, Judged, RegressConfig, Table, folds, head as learn, held_out};
use nalgebra::{DMatrix, DVector};
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, StandardNormal};
use rand_pcg::Pcg64Mcg;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

fn rows(values: &DMatrix<f64>) -> Vec<Vec<f64>> {
    values.row_iter().map(|row| row.iter().copied().collect()).collect()
}

fn wavelengths(bands: usize) -> Vec<f64> {
    (0..bands).map(|band| 1000.0 + 1500.0 * band as f64 / (bands - 1) as f64).collect()
}

/// Mean spectra of samples with a band at 2200 nm whose depth is the label, and others of no use. Brightness, slope and water vary.
/// `foreign` adds a band that no other sample has.
fn spectra(count: usize, nm: &[f64], seed: u64, foreign: f64) -> (DMatrix<f64>, DVector<f64>) {
    let mut random = Pcg64Mcg::seed_from_u64(seed);
    let mut values = DMatrix::zeros(count, nm.len());
    let mut labels = DVector::zeros(count);
    for sample in 0..count {
        let [depth, other, slope, water] = std::array::from_fn(|_| random.random::<f64>());
        let bright = 0.7 + 0.6 * random.random::<f64>();
        let noise: f64 = StandardNormal.sample(&mut random);
        labels[sample] = 30.0 * depth + noise;
        for (band, nm) in nm.iter().enumerate() {
            let dip = |at: f64, wide: f64, deep: f64| deep * (-((nm - at) / wide).powi(2)).exp();
            let level = 0.45 + 0.05 * slope * (nm - 1700.0) / 800.0;
            let noise: f64 = StandardNormal.sample(&mut random);
            let light = level - dip(2200.0, 25.0, 0.1 * depth) - dip(2340.0, 30.0, 0.08 * other) - dip(1930.0, 60.0, 0.1 * water);
            values[(sample, band)] = bright * (light - dip(1550.0, 40.0, foreign)) + 2e-4 * noise;
        }
    }
    (values, labels)
}

fn config() -> RegressConfig {
    RegressConfig { folds: 6, components: 6, windows: vec![7], ..RegressConfig::default() }
}

fn own_groups(count: usize) -> Vec<String> {
    (0..count).map(|sample| format!("S{sample}")).collect()
}

fn table(values: &DMatrix<f64>, nm: &[f64], config: &RegressConfig) -> Table {
    Table::of_spectra(values.clone(), nm, config).unwrap()
}

#[test]
fn models_and_pretreatments_are_those_of_scikit_learn_and_scipy() {
    let nm = wavelengths(60);
    let mut cases: Vec<Value> = Vec::new();
    // More bands than samples, and fewer.
    for count in [40, 90] {
        let (values, labels) = spectra(count, &nm, 3, 0.0);
        let whole: Vec<usize> = (0..nm.len()).collect();
        let treated: Vec<Value> = [
            (Start::Variates, None),
            (Start::Reflectance, Some((1, 7))),
            (Start::Variates, Some((2, 15))),
            (Start::Absorbance, Some((1, 7))),
        ]
        .into_iter()
        .map(|(start, derivative)| {
            let pretreatment = Pretreatment::new("", &whole, &nm, start, derivative).unwrap();
            json!({ "start": format!("{start:?}"), "derivative": derivative, "features": rows(&pretreatment.features(&values)) })
        })
        .collect();
        let half = count / 2;
        let (first, last) = (values.rows(0, half).into_owned(), values.rows(half, count - half).into_owned());
        let models = [false, true].map(|scaled| {
            let models = Models::fit(&first, &labels.rows(0, half).into_owned(), 8, scaled);
            json!({ "scaled": scaled, "unit": models.unit, "values": rows(&models.values(&last)) })
        });
        let (labels, step) = (labels.as_slice(), nm[1] - nm[0]);
        cases.push(json!({ "spectra": rows(&values), "labels": labels, "step": step, "treated": treated, "models": models }));
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("found.json");
    std::fs::write(&file, json!({ "penalties": PENALTIES, "components": 8, "cases": cases }).to_string()).unwrap();
    scripts::run("regress.py", &[Path::new("models"), &file]);
}

#[test]
fn labels_of_a_fold_touch_nothing_that_is_said_of_it() {
    let (config, nm) = (config(), wavelengths(40));
    let (values, labels) = spectra(36, &nm, 8, 0.0);
    let groups: Vec<String> = (0..36).map(|sample| format!("hole {}", sample % 9)).collect();
    let folds = folds(&groups, config.folds, config.seed);
    let table = table(&values, &nm, &config);
    let prepared = Prepared::all(table.pretreatments.clone(), &values);
    let judge = |labels: &DVector<f64>| {
        let problem = Problem { prepared: &prepared, labels: labels.clone(), folds: &folds, components: config.components };
        held_out(&problem, &Nested::fit(&problem, true), &values, &config).unwrap()
    };
    let (honest, chosen) = judge(&labels);
    for fold in [0, 4] {
        let mut spoiled = labels.clone();
        folds.inside(fold).iter().for_each(|sample| spoiled[*sample] = 1e4 * (*sample as f64 - 20.0));
        let (found, others) = judge(&spoiled);
        let same = |sample: usize| honest[sample] == found[sample];
        assert!(folds.inside(fold).into_iter().all(same), "fold {fold} was told its own labels");
        assert_eq!(chosen[fold], others[fold]);
        assert!(!folds.outside(&[fold]).into_iter().any(same), "the other folds learn from it");
    }
}

/// Probability of at most `hits` among `count`, each with probability `p`.
fn binomial(hits: usize, count: usize, p: f64) -> f64 {
    // Logarithms, because the first terms are too small for a number.
    let mut term = count as f64 * (1.0 - p).ln();
    let mut sum = term.exp();
    for k in 1..=hits {
        term += ((count - k + 1) as f64 / k as f64).ln() + (p / (1.0 - p)).ln();
        sum += term.exp();
    }
    sum
}

#[test]
fn intervals_hold_nine_of_ten_new_samples_and_one_of_twenty_is_refused() {
    // One new sample for each training set, so that hits are independent.
    let config = RegressConfig { folds: 8, components: 3, accept: 0.95, ..RegressConfig::default() };
    let (trials, count, features) = (400, 40, 6);
    let (mut hits, mut refused) = (0, 0);
    for trial in 0..trials {
        let mut random = Pcg64Mcg::seed_from_u64(trial);
        let mut normal = || -> f64 { StandardNormal.sample(&mut random) };
        let values = DMatrix::from_fn(count + 1, features, |_, _| normal());
        let labels = DVector::from_fn(count + 1, |i, _| 3.0 + values[(i, 0)] - 0.5 * values[(i, 3)] + 0.7 * normal());
        let known = values.rows(0, count).into_owned();
        let pretreatments = vec![Pretreatment::plain("none", features, false)];
        let table = Table { name: "codes".into(), values: known, pretreatments };
        let folds = folds(&own_groups(count), config.folds, trial);
        let head = learn(&table, labels.rows(0, count).into_owned(), &folds, &config).unwrap();
        let judged = head.judge(&values.rows(count, 1).into_owned())[0];
        hits += usize::from((judged.lower..=judged.upper).contains(&labels[count]));
        refused += usize::from(judged.refused());
    }
    let trials = trials as usize;
    println!("{hits} of {trials} in their intervals, {refused} refused");
    let (below, above) = (binomial(hits, trials, 0.9), 1.0 - binomial(hits - 1, trials, 0.94));
    assert!(below > 0.01 && above > 0.01, "{hits} of {trials}: {below}, {above}");
    let (below, above) = (binomial(refused, trials, 0.05), 1.0 - binomial(refused.max(1) - 1, trials, 0.05));
    assert!(below > 0.005 && above > 0.005, "{refused} of {trials} refused: {below}, {above}");
}

/// A head of spectra, and what it learned from.
fn trained(count: usize) -> (Head, Vec<f64>, RegressConfig) {
    let (config, nm) = (config(), wavelengths(64));
    let (values, labels) = spectra(count, &nm, 1, 0.0);
    let folds = folds(&own_groups(count), config.folds, config.seed);
    (learn(&table(&values, &nm, &config), labels, &folds, &config).unwrap(), nm, config)
}

#[test]
fn a_band_that_no_sample_had_is_refused() {
    let (head, nm, _) = trained(80);
    let (ordinary, labels) = spectra(200, &nm, 2, 0.0);
    let judged = head.judge(&ordinary);
    let error = judged.iter().zip(&labels).map(|(judged, label)| (judged.value - label).powi(2)).sum::<f64>() / 200.0;
    assert!(error.sqrt() < 1.5, "labels have a noise of 1, and a spread of 9: {} by {}", error.sqrt(), head.described);
    let refused = judged.iter().filter(|judged| judged.refused()).count();
    assert!(refused <= 10, "{refused} of 200 ordinary samples refused");
    let foreign = head.judge(&spectra(20, &nm, 3, 0.05).0);
    assert!(foreign.iter().all(Judged::refused), "{foreign:?}");
    assert!(foreign.iter().all(|judged| judged.why == "in a direction that no known sample has (Q)"));
    let dark = head.judge(&(spectra(5, &nm, 4, 0.0).0 * 0.1));
    assert!(dark.iter().all(|judged| judged.why == "far along the known directions (T2)"), "{dark:?}");
}

#[test]
fn heads_say_the_same_in_onnx_runtime() {
    let (head, nm, config) = trained(60);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("head-fe.onnx");
    let text = HeadText { name: "head-fe".into(), target: "fe".into(), unit: "%".into() };
    let (fresh, _) = spectra(30, &nm, 5, 0.0);
    let narrow = |values: &DMatrix<f64>| values.row_iter().map(|row| row.iter().map(|v| *v as f32).collect()).collect::<Vec<Vec<f32>>>();
    let input = narrow(&fresh);
    let fresh = DMatrix::from_row_iterator(30, nm.len(), input.concat().into_iter().map(f64::from));
    // Models of every first step in one head too.
    let mut mixed = head.clone();
    let (values, labels) = spectra(60, &nm, 1, 0.0);
    let folds = folds(&own_groups(60), config.folds, config.seed);
    let kept: Vec<usize> = (0..nm.len()).filter(|band| !(20..25).contains(band)).collect();
    for (i, start) in [Start::Reflectance, Start::Variates, Start::Absorbance].into_iter().enumerate() {
        let one = vec![Pretreatment::new("some", &kept, &nm, start, Some((1, 7))).unwrap()];
        let other = learn(&Table { pretreatments: one, ..table(&values, &nm, &config) }, labels.clone(), &folds, &config).unwrap();
        mixed.models[i] = other.models[i].clone();
        if i == 0 {
            mixed.views = other.views.clone();
        }
        mixed.models[i + 3] = other.models[i + 3].clone();
    }
    for (i, each) in [&head, &mixed].into_iter().enumerate() {
        export_head(each, &text, &nm, &input[..3], &path).unwrap();
        let judged: Vec<[f64; 4]> = each.judge(&fresh).iter().map(|j| [j.value, j.lower, j.upper, j.distance]).collect();
        let found = with_ort(&path, &input.concat(), nm.len());
        for (at, (output, name)) in found.iter().zip(NUMBERS).enumerate() {
            let worst = output.iter().zip(&judged).map(|(a, b)| (f64::from(*a) - b[at]).abs() / b[at].abs().max(1.0)).fold(0.0, f64::max);
            assert!(output.len() == 30 && worst < 1e-3, "{name}: off by {worst}");
        }
        let file = folder.path().join(format!("judged-{i}.json"));
        std::fs::write(&file, json!({ "model": path, "spectra": input, "judged": judged, "nm": nm }).to_string()).unwrap();
        scripts::run("regress.py", &[Path::new("head"), &file]);
        // The daemon's own loader runs its reference spectra.
        let inspected = Command::new(hyclus()).arg("inspect").arg(&path).output().unwrap();
        let said = String::from_utf8_lossy(&inspected.stdout).into_owned();
        assert!(inspected.status.success() && said.contains("to 4 numbers"), "{said}{}", String::from_utf8_lossy(&inspected.stderr));
    }
}

/// The program `hyclus`, beside the tests or in the folder `HYCLUS_BIN`.
fn hyclus() -> PathBuf {
    let beside = || Path::new(env!("CARGO_BIN_EXE_hyclus-study")).parent().unwrap().to_owned();
    let program = std::env::var_os("HYCLUS_BIN").map_or_else(beside, PathBuf::from).join("hyclus");
    assert!(program.exists(), "{}: no such program; run `make build`, or set HYCLUS_BIN", program.display());
    program
}

/// Runs a head in ONNX Runtime from Rust, and gives each of its numbers for all spectra.
fn with_ort(model: &Path, input: &[f32], width: usize) -> Vec<Vec<f32>> {
    let outputs = onnxruntime::outputs(model, input, width);
    let [(name, judged)] = &outputs[..] else { panic!("one output is expected, found {}", outputs.len()) };
    assert_eq!(name, "judged");
    (0..NUMBERS.len()).map(|at| judged.iter().skip(at).step_by(NUMBERS.len()).copied().collect()).collect()
}
