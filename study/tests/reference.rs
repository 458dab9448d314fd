//! Against scikit-learn and SciPy, on the same data and in the same run.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is how a test fails")]

use hyclus_study::agreement::agreement;
use hyclus_study::classify::{Forest, Report};
use hyclus_study::kmeans::{KmeansConfig, elbow};
use hyclus_study::linkage::{Method, linkage};
use hyclus_study::tsne::{TsneConfig, embed};
use ndarray::{Array2, Axis, s};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// Runs `reference.py` and shows what it printed. `HYCLUS_PYTHON` names the interpreter, else `python3`; a module that is missing fails
/// the test unless `HYCLUS_SKIP_PYTHON` is set.
fn compare(what: &str, found: &Value) {
    if std::env::var_os("HYCLUS_SKIP_PYTHON").is_some() {
        eprintln!("skipped: {what}, because HYCLUS_SKIP_PYTHON is set");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("found.json");
    std::fs::write(&file, found.to_string()).unwrap();
    let python = std::env::var("HYCLUS_PYTHON").unwrap_or_else(|_| "python3".into());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/reference.py");
    let output = Command::new(&python)
        .arg(&script)
        .arg(what)
        .arg(&file)
        .env("OMP_WAIT_POLICY", "passive")
        .env("OMP_NUM_THREADS", "2")
        .env("OPENBLAS_NUM_THREADS", "2")
        .output()
        .unwrap_or_else(|e| panic!("{python}: {e}; set HYCLUS_PYTHON"));
    let (said, failed) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{what}: {}\n{said}{failed}", output.status);
    print!("{said}");
}

/// Groups that overlap: `n` rows of `d` values around `groups` centres.
fn overlapping(n: usize, d: usize, groups: usize, spread: f32, seed: u64) -> Array2<f32> {
    let mut random = Pcg64Mcg::seed_from_u64(seed);
    // The sum of a few uniform values is near enough to normal.
    let mut normal = || (0..6).map(|_| random.random::<f32>() - 0.5).sum::<f32>() * std::f32::consts::SQRT_2;
    let centres = Array2::from_shape_simple_fn((groups, d), &mut normal);
    Array2::from_shape_fn((n, d), |(i, f)| centres[[i % groups, f]] + spread * normal())
}

fn rows(values: &Array2<f32>) -> Vec<Vec<f32>> {
    values.axis_iter(Axis(0)).map(|r| r.to_vec()).collect()
}

#[test]
fn kmeans_inertia() {
    let values = overlapping(3000, 5, 6, 0.6, 1);
    let inertia = elbow(values.view(), &KmeansConfig::default()).unwrap();
    compare("kmeans", &json!({ "values": rows(&values), "inertia": inertia }));
}

#[test]
fn linkage_heights() {
    let values = overlapping(400, 7, 5, 0.7, 2);
    let mut methods = serde_json::Map::new();
    for method in [Method::Ward, Method::Average, Method::Complete, Method::Single] {
        let tree = linkage(values.view(), method).unwrap();
        let cuts: serde_json::Map<String, Value> = [2, 3, 12].map(|k| (k.to_string(), json!(tree.cut(k)))).into_iter().collect();
        let heights: Vec<f64> = tree.merges.iter().map(|m| m.height).collect();
        let sizes: Vec<usize> = tree.merges.iter().map(|m| m.size).collect();
        methods.insert(method.name().into(), json!({ "heights": heights, "sizes": sizes, "cuts": cuts }));
    }
    compare("linkage", &json!({ "values": rows(&values), "methods": methods }));
}

#[test]
fn every_figure_of_the_report() {
    let mut random = Pcg64Mcg::seed_from_u64(3);
    let tables: Vec<Value> = [(3, 500), (12, 3000), (2, 41), (12, 90)]
        .into_iter()
        .map(|(classes, n)| {
            let names: Vec<String> = (0..classes).map(|c| format!("class {c}")).collect();
            // Some are confused one way only, and the last class is never given.
            let right: Vec<u16> = (0..n).map(|_| (random.random::<f64>().powi(2) * classes as f64) as u16).collect();
            let guess = |&r: &u16| if random.random::<f64>() < 0.6 { r } else { (r + 1) % classes as u16 };
            let given: Vec<u16> = right.iter().map(guess).map(|g| g.min(classes as u16 - 2)).collect();
            let report = Report::new(&names, &right, &given);
            let confusion: Vec<Vec<u64>> = report.confusion.rows().into_iter().map(|r| r.to_vec()).collect();
            let mut found = serde_json::to_value(&report).unwrap();
            let text = json!({ "2": report.text(2), "4": report.text(4) });
            found.as_object_mut().unwrap().extend([
                ("right".to_owned(), json!(right)),
                ("given".to_owned(), json!(given)),
                ("confusion".to_owned(), json!(confusion)),
                ("text".to_owned(), text),
            ]);
            found
        })
        .collect();
    compare("report", &json!(tables));
}

#[test]
fn agreement_measures() {
    let mut random = Pcg64Mcg::seed_from_u64(4);
    let found: Vec<Value> = [(500, 3, 5, 0.7), (40, 2, 2, 0.0), (2000, 12, 9, 0.3), (7, 7, 1, 0.0)]
        .into_iter()
        .map(|(n, classes, groups, alike): (usize, u16, u16, f64)| {
            let labels: Vec<u16> = (0..n).map(|_| random.random_range(0..classes)).collect();
            let of = |&l: &u16| if random.random::<f64>() < alike { l % groups } else { random.random_range(0..groups) };
            let given: Vec<u16> = labels.iter().map(of).collect();
            let mut found = serde_json::to_value(agreement(&labels, &given)).unwrap();
            found.as_object_mut().unwrap().extend([("labels".to_owned(), json!(labels)), ("groups".to_owned(), json!(given))]);
            found
        })
        .collect();
    compare("agreement", &json!(found));
}

fn mapped(n: usize, timed: bool) -> Value {
    let values = overlapping(n, 16, 72, 1.0, 5);
    let config = TsneConfig::default();
    let begun = Instant::now();
    let map = embed(values.view(), &config, |_| {}).unwrap();
    let seconds = begun.elapsed().as_secs_f64();
    json!({
        "values": rows(&values),
        "perplexity": config.perplexity,
        "points": rows(&map.points),
        "kl_divergence": map.kl_divergence,
        "seconds": seconds,
        "timed": timed,
    })
}

#[test]
fn tsne_is_no_worse() {
    compare("tsne", &mapped(2000, false));
}

/// `cargo test -p hyclus-study --test reference -- --ignored --nocapture`, on a machine that does nothing else.
#[test]
#[ignore = "measures time, for minutes"]
fn tsne_is_three_times_as_fast() {
    for _ in 0..3 {
        compare("tsne", &mapped(5000, true));
    }
}

#[test]
fn forest_accuracy() {
    let values = overlapping(6000, 6, 24, 0.9, 6);
    let class: Vec<u16> = (0..6000).map(|i| (i % 24 / 2) as u16).collect();
    let (train, test) = (values.slice(s![..3000, ..]), values.slice(s![3000.., ..]));
    let accuracy: Vec<f64> = (0..4)
        .map(|seed| {
            let given = Forest::grow(train, &class[..3000], 12, 100, seed).predict(test);
            given.iter().zip(&class[3000..]).filter(|(a, b)| a == b).count() as f64 / 3000.0
        })
        .collect();
    compare("forest", &json!({ "values": rows(&values), "class": class, "accuracy": accuracy }));
}
