//! All steps on a small campaign made here: 72 samples of two sizes, three plants and twelve months.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is how a test fails")]

use hyclus_study::classify::{self, ClassifyConfig, ClassifyError};
use hyclus_study::kmeans::KmeansConfig;
use hyclus_study::linkage::LinkageConfig;
use hyclus_study::material::{Decoded, HeldOut, LossCurve, Material, MaterialError, Refitted, Shown};
use hyclus_study::regress::{BaselineKind, Held, Interval, Judged, Measures, Outcome, RegressConfig, Table, folds, head};
use hyclus_study::report::ReportConfig;
use hyclus_study::steps::{self, StepError, StepsConfig};
use hyclus_study::tsne::{TsneConfig, TsneError};
use hyclus_study::{Codes, Factor, Place, Representation};
use nalgebra::{DMatrix, DVector};
use ndarray::{Array2, s};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use std::collections::BTreeMap;

const BANDS: usize = 40;

/// A small one: samples of 8 x 8 pixels.
fn material() -> Material {
    made(8)
}

/// Grain size shows clearly, the plant a little, the month hardly.
fn made(side: i32) -> Material {
    let (plants, months) = (3, 12);
    let mut random = Pcg64Mcg::seed_from_u64(1);
    let mut material = Material {
        samples: Vec::new(),
        factors: [
            ("size", ["M100", "P100"].map(str::to_owned).to_vec()),
            ("plant", (1..=plants).map(|p| format!("P{p}")).collect()),
            ("month", (1..=months).map(|m| format!("2018-{m:02}")).collect()),
        ]
        .map(|(name, classes)| Factor { name: name.into(), classes, of: Vec::new() })
        .into(),
        places: Vec::new(),
        representations: Vec::new(),
        retrained: Vec::new(),
        wavelengths_nm: (0..BANDS).map(|b| 400.0 + 50.0 * b as f64).collect(),
        shown: Shown { rows: Vec::new(), spectra: Array2::zeros((0, BANDS)) },
        held_out: None,
        decoded: Vec::new(),
        losses: Vec::new(),
        facts: vec![("Data".into(), "made for a test".into())],
    };
    let mut spectra = Vec::new();
    for (sample, (size, plant, month)) in
        (0..2).flat_map(|s| (0..plants).flat_map(move |p| (0..months).map(move |m| (s, p, m)))).enumerate()
    {
        material.samples.push(format!("P{}-2018-{:02}-{}100", plant + 1, month + 1, ["M", "P"][size]));
        for i in 0..side * side {
            material.places.push(Place { sample: sample as u32, line: i / side, pixel: i % side });
            [size, plant, month].iter().zip(&mut material.factors).for_each(|(&class, f)| f.of.push(class as u16));
            let (grain, noise): (f32, f32) = (random.random(), random.random());
            for b in 0..BANDS {
                let at = b as f32 / BANDS as f32;
                let dip = |centre: f32, depth: f32| depth * (-((at - centre) / 0.08).powi(2)).exp();
                let base = 0.35 + 0.2 * at + 0.08 * size as f32 + 0.05 * grain;
                let minerals = dip(0.3, 0.05 + 0.02 * plant as f32 + 0.02 * noise) + dip(0.7, 0.1 + 0.004 * month as f32);
                spectra.push(base - minerals + 0.01 * random.random::<f32>());
            }
        }
    }
    let n = material.places.len();
    let spectra = Array2::from_shape_vec((n, BANDS), spectra).unwrap();
    let code = |name: &str, bands: &[usize]| Representation { name: name.into(), codes: spectra.select(ndarray::Axis(1), bands).into() };
    material.representations =
        vec![code("pca4", &[2, 20, 30, 38]), code("dense4", &[12, 13, 20, 28]), code("conv16", &[4, 8, 12, 16, 28, 36])];
    let rows: Vec<usize> = (0..n).step_by((n / 4000).max(4)).collect();
    let shown = spectra.select(ndarray::Axis(0), &rows);
    material.decoded =
        ["dense4", "conv16"].map(|name| Decoded { name: name.into(), spectra: shown.mapv(|v| (v * 50.0).round() / 50.0) }).into();
    material.shown = Shown { rows, spectra: shown };
    let curve = |at: f64| (0..12).map(|e| 0.5 + at * (-0.4 * f64::from(e)).exp()).collect();
    material.losses =
        ["dense4", "conv16"].map(|name| LossCurve { name: name.into(), training: curve(0.1), validation: curve(0.12) }).into();
    material
}

fn config() -> StepsConfig {
    StepsConfig {
        tsne: TsneConfig { perplexity: 12.0, points: 300, iterations: 250, exaggerated_iterations: 100, ..TsneConfig::default() },
        kmeans: KmeansConfig { points: 1000, starts: 3, ..KmeansConfig::default() },
        linkage: LinkageConfig { points: 200, shown: 20, ..LinkageConfig::default() },
        classify: ClassifyConfig { trees: 20, block: 4, margin: 1, seeds: vec![0, 1, 2], permutations: 4, ..ClassifyConfig::default() },
        report: ReportConfig { expected: ["conv16", "dense4", "pca4"].map(str::to_owned).into(), ..ReportConfig::default() },
    }
}

#[test]
fn the_page_needs_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let file = std::env::var_os("HYCLUS_KEEP_PAGE").map_or_else(|| folder.path().join("report.html"), Into::into);
    steps::report(&material(), &[], &config(), &file, &|_, _, _| {}).unwrap();
    let page = std::fs::read_to_string(&file).unwrap();
    // The only addresses are names of XML dialects, places within the page, and images inside it.
    for address in page.split("http").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert_eq!(address, "://www.w3.org/2000/svg");
    }
    for link in page.split("href=\"").skip(1) {
        assert!(link.starts_with('#') || link.starts_with("data:image/png;base64,"), "{}", &link[..40]);
    }
    for outside in ["<script", "<link", "url(", "@import", " src="] {
        assert!(!page.contains(outside), "{outside}");
    }
    // Without the images, in whose letters anything may stand.
    let text: String = page.split("data:image/png;base64,").map(|part| part.split_once('"').map_or(part, |(_, rest)| rest)).collect();
    assert!(!text.contains("NaN"));
    // Alone, or after a letter of a path.
    let infinite = |word: &str| matches!(word, "inf" | "Minf" | "Linf" | "Hinf" | "Vinf");
    assert!(!text.split(|c: char| !c.is_alphabetic()).any(infinite));
    for section in ["data", "spectra", "decoded", "maps", "kmeans", "trees", "held-out", "classification"] {
        assert!(page.contains(&format!("<section id=\"{section}\">")) && page.contains(&format!("href=\"#{section}\"")), "{section}");
    }
    assert!(!page.contains("regression") && !page.contains("Numbers of samples"), "no table was named");
    // Three factors by three codes by two splits, each with its table and its matrix.
    assert_eq!(page.matches("Confusion matrix of").count(), 18);
    assert!(page.contains("published, PCA, other data"));
    assert_eq!(page.matches("<figure").count(), page.matches("<figcaption").count());
    assert!(page.contains("conv16 beats dense4") || page.contains("conv16 does not beat dense4"));
    // Codes of four numbers have four principal components to compare with, and those of six have none here.
    assert_eq!(page.matches("Against as many principal components: split by pixel: dense4 ").count(), 3);
}

/// The regression of a label with given errors. All samples but the last two have a label.
fn regressed(material: &Material, target: &str, ratio: f64, coverage: f64) -> Outcome {
    let count = material.samples.len();
    let mut means = DMatrix::zeros(count, BANDS);
    for (row, spectrum) in material.shown.rows.iter().zip(material.shown.spectra.rows()) {
        let sample = material.places[*row].sample as usize;
        spectrum.iter().enumerate().for_each(|(band, value)| means[(sample, band)] += f64::from(*value) / 16.0);
    }
    let config = RegressConfig { folds: 6, components: 3, windows: vec![7], ..RegressConfig::default() };
    let labels = DVector::from_fn(count, |sample, _| 100.0 * (means[(sample, 20)] - means[(sample, 12)]));
    let folds = folds(&material.samples, config.folds, config.seed);
    let table = Table::of_spectra(means.clone(), &material.wavelengths_nm, &config).unwrap();
    let head = head(&table, labels.clone(), &folds, &config).unwrap();
    let held = head.judge(&means).into_iter().enumerate().map(|(sample, judged)| {
        let known = sample + 2 < count;
        let far = Judged { distance: 3.5, why: "in a direction that no known sample has (Q)", ..judged };
        let near = Judged { distance: 0.4, why: "", ..judged };
        Held {
            sample,
            group: if known { material.samples[sample].clone() } else { String::new() },
            label: known.then(|| labels[sample]),
            fold: known.then(|| folds.of[sample]),
            judged: if [3, count - 1].contains(&sample) { far } else { near },
            baseline: labels.mean(),
        }
    });
    let about = |value: f64| Interval { value, low: value * 0.9, high: (value * 1.1).max(value + 0.01) };
    let measures = Measures {
        rmse: about(2.5 * ratio),
        r2: about(1.0 - ratio * ratio),
        coverage: Interval { value: coverage, low: coverage - 0.03, high: coverage + 0.03 },
        baseline_rmse: about(2.5),
        ratio: about(ratio),
        width: 0.25,
    };
    Outcome {
        target: target.into(),
        unit: "%".into(),
        features: "spectra".into(),
        held: held.collect(),
        groups: count - 2,
        folds: 6,
        measures,
        baseline: BaselineKind::AlbedoLine,
        chosen: ["pls 3 on snv", "pls 2 on snv sg1/7 dry", "pls 3 on snv"].map(str::to_owned).into(),
        head,
    }
}

#[test]
fn regressions_have_their_section_where_there_are_any() {
    let material = material();
    let outcomes = [("clear", 0.2, 0.9), ("faint", 0.95, 0.99), ("absent", 1.05, 0.8)]
        .map(|(name, ratio, held)| regressed(&material, name, ratio, held));
    let mut config = config();
    config.tsne = TsneConfig { points: 100, iterations: 20, exaggerated_iterations: 10, ..config.tsne };
    config.classify = ClassifyConfig { trees: 2, splits: vec![classify::Split::Sample], permutations: 1, ..config.classify };
    let folder = tempfile::tempdir().unwrap();
    let file = std::env::var_os("HYCLUS_KEEP_REGRESSION").map_or_else(|| folder.path().join("report.html"), Into::into);
    steps::report(&material, &outcomes, &config, &file, &|_, _, _| {}).unwrap();
    let page = std::fs::read_to_string(&file).unwrap();
    let section = page.split("<section id=\"regression\">").nth(1).expect("a section of its own").split("</section>").next().unwrap();
    assert!(page.contains("href=\"#regression\""));
    assert!(page.contains("No forest learned from all samples") && !page.contains("Accuracy for size"));
    for said in [
        "clear by spectra beats the baseline (line over the albedo): its error is 0.20 of the baseline's (0.18 to 0.22). ",
        "faint by spectra is not clearly better than the baseline (line over the albedo)",
        "absent by spectra does not beat the baseline (line over the albedo): its error is 1.05 of the baseline's (0.95 to 1.16). The shape of the spectra taught it nothing.",
        "Intervals of 90 % hold 90.0 % (87 to 93), as they say.",
        "Intervals of 90 % hold 99.0 % (96 to 102), which is more than they say",
        "Intervals of 90 % hold 80.0 % (77 to 83), which is too few",
        "Refused are 1 of 70 samples with a label, and 1 of 2 without one.",
        "pls 3 on snv (2), pls 2 on snv sg1/7 dry (1)",
    ] {
        assert!(section.replace("&#39;", "'").contains(said), "{said}");
    }
    assert_eq!(section.matches("<figure").count(), 3);
    assert_eq!(section.matches("stroke-opacity=\"0.35\"").count(), 3 * 70, "every label has its interval");
    // Errors, models, and the refused samples of each label.
    assert_eq!(section.matches("<table").count(), 2 + 3);
    assert!(section.contains(&format!("<td>{}</td>", material.samples[71])) && !section.contains("NaN"));
}

/// `HYCLUS_KEEP_PAGE=FILE` keeps a page to be looked at.
///
/// `cargo test -p hyclus-study --test page -- --ignored --nocapture`: 72 samples, 375 000 spectra, usual settings.
#[test]
#[ignore = "takes many minutes"]
fn a_page_of_full_size() {
    let folder = tempfile::tempdir().unwrap();
    let file = std::env::var_os("HYCLUS_KEEP_PAGE").map_or_else(|| folder.path().join("report.html"), Into::into);
    let (begun, last) = (std::time::Instant::now(), std::sync::Mutex::new(String::new()));
    let say = |what: &str, done: usize, of: usize| {
        let mut last = last.lock().unwrap();
        if *last != what || done == of {
            println!("{:6.1} s  {what} {done}/{of}", begun.elapsed().as_secs_f64());
            *last = what.to_owned();
        }
    };
    let mut material = made(72);
    let wide = material.representations[2].clone();
    material.representations.push(Representation { name: "pca6".into(), ..wide });
    steps::report(&material, &[], &StepsConfig::default(), &file, &say).unwrap();
    println!("{:6.1} s  all, {} bytes", begun.elapsed().as_secs_f64(), std::fs::metadata(&file).unwrap().len());
}

#[test]
fn each_step_fills_a_folder() {
    let (folder, material, config) = (tempfile::tempdir().unwrap(), material(), config());
    let here = folder.path();
    steps::tsne(&material, &config, here, &|_, _, _| {}).unwrap();
    steps::kmeans(&material, &config, here, &|_, _, _| {}).unwrap();
    steps::linkage(&material, &config, here, &|_, _, _| {}).unwrap();
    steps::classify(&material, &config, here, &|_, _, _| {}).unwrap();
    let lines = |name: &str| std::fs::read_to_string(here.join(name)).unwrap().lines().count();
    // Per code one map, two within the sizes, and three within the plants.
    assert_eq!(lines("tsne.csv"), 1 + 3 * 6 * 300);
    assert_eq!(lines("kmeans.csv"), 1 + 4 * 9);
    assert_eq!(lines("kmeans-agreement.csv"), 1 + 4 * 3);
    assert_eq!(lines("linkage.csv"), 1 + 4 * (199 + 71));
    assert_eq!(lines("linkage-agreement.csv"), 1 + 4 * 4 * 3);
    assert_eq!(lines("classify.csv"), 1 + 3 * 3 * 2 * 3);
    assert_eq!(lines("classify-samples.csv"), 1 + 3 * 3);
    assert_eq!(lines("classify-containers.csv"), 1 + 3 * 3 * 3);
    for figure in ["map-pca4.svg", "map-conv16-within-size.svg", "elbow.svg", "tree-samples-spectra.svg", "confusion-month-pca4-place.svg"]
    {
        assert!(here.join(figure).is_file(), "{figure}");
    }
    assert!(std::fs::read_dir(here).unwrap().all(|f| !f.unwrap().file_name().to_string_lossy().contains("unfinished")));
}

#[test]
fn what_was_built_in_is_found() {
    let config = ClassifyConfig { trees: 30, block: 4, margin: 1, seeds: vec![0, 1], ..ClassifyConfig::default() };
    let outcomes = classify::classify(&material(), &config, &|_, _, _| {}).unwrap();
    let chance = BTreeMap::from([("size", 0.5), ("plant", 1.0 / 3.0), ("month", 1.0 / 12.0)]);
    for o in &outcomes {
        let chance = chance[o.factor.as_str()];
        assert!((o.labels_shuffled - chance).abs() < 0.09, "{} by {}: {}", o.factor, o.representation, o.labels_shuffled);
        if o.factor == "size" {
            assert!(o.accuracy.iter().all(|a| *a > 0.75), "{} by {}: {:?}", o.factor, o.representation, o.accuracy);
        }
    }
}

#[test]
fn samples_that_were_held_out_are_classified_and_memory_is_not() {
    let config = ClassifyConfig { trees: 20, permutations: 9, ..ClassifyConfig::default() };
    let mut material = material();
    // The second representation is the number of the container, which tells the month within samples and nothing of others.
    let memory = Array2::from_shape_fn((material.places.len(), 2), |(row, i)| material.places[row].sample as f32 * [1.0, -7.0][i]);
    material.representations.truncate(2);
    material.representations[1].codes = memory.into();
    let outcomes = classify::by_sample(&material, &config, &|_, _, _| {}).unwrap();
    assert_eq!(outcomes.len(), 6);
    let of = |factor: &str, name: &str| outcomes.iter().find(|o| o.factor == factor && o.representation == name).unwrap();
    let size = of("size", "pca4");
    assert!(size.accuracy > 0.75 && size.p == 0.1 && !size.unseen, "{size:?}");
    assert!(size.interval.0 <= size.accuracy && size.accuracy <= size.interval.1 && size.samples.len() == 72);
    // Labels that samples exchange leave what chance gives.
    let mean = size.exchanged.iter().sum::<f64>() / 9.0;
    assert!((mean - 0.5).abs() < 0.1, "{:?}", size.exchanged);
    assert!(of("month", "dense4").accuracy < 0.3, "{:?}", of("month", "dense4"));
    let within =
        classify::classify(&material, &ClassifyConfig { seeds: vec![0], block: 4, margin: 1, ..config.clone() }, &|_, _, _| {}).unwrap();
    let by_pixel = within.iter().find(|o| o.factor == "month" && o.representation == "dense4").unwrap();
    assert!(by_pixel.accuracy[0] > 0.99, "by pixel, memory is all it takes");
    let (difference, (low, high)) = classify::difference(size, of("size", "dense4"));
    assert!(low <= difference && difference <= high);

    let containers = classify::by_container(&material, &config, &|_, _, _| {}).unwrap();
    let best = containers.iter().find(|o| o.factor == "size" && o.representation == "pca4" && o.others_known).unwrap();
    assert!(best.accuracy > 0.9 && best.p == 0.1, "{best:?}");
    let none = ClassifyConfig { splits: vec![classify::Split::Pixel], ..config };
    assert!(classify::by_sample(&material, &none, &|_, _, _| {}).unwrap().is_empty());
}

#[test]
fn encoders_of_a_fold_are_taken_for_that_fold() {
    let config = ClassifyConfig { trees: 10, permutations: 1, ..ClassifyConfig::default() };
    let mut material = material();
    material.representations.truncate(1);
    let (fold_of, folds) = classify::fold_of(&material.places, &material.factors, 72, &config);
    let rows: Vec<usize> = (0..material.places.len()).collect();
    let codes = material.representations[0].codes.select(&rows).unwrap();
    // The encoder of the first fold says nothing at all.
    let codes: Vec<Array2<f32>> = (0..folds).map(|fold| if fold == 0 { Array2::zeros(codes.dim()) } else { codes.clone() }).collect();
    let containers = vec![Array2::zeros((72, 20)); folds];
    let refitted = vec![Refitted { name: "pca4".into(), codes, containers }];
    material.held_out = Some(HeldOut { fold_of: fold_of.clone(), folds, rows, refitted });
    let outcomes = classify::by_sample(&material, &config, &|_, _, _| {}).unwrap();
    let size = outcomes.iter().find(|o| o.factor == "size").unwrap();
    assert!(size.unseen);
    let of = |first: bool| {
        let some = size.samples.iter().zip(&fold_of).filter(|(_, fold)| (**fold == 0) == first);
        some.fold((0, 0), |(right, all), ((r, a), _)| (right + r, all + a))
    };
    let (blind, others) = (of(true), of(false));
    assert!(blind.0 * 10 < blind.1 * 6 && others.0 * 10 > others.1 * 7, "{blind:?} {others:?}");
}

#[test]
fn trainings_are_taken_in_turn() {
    let config = ClassifyConfig { trees: 10, block: 4, margin: 1, seeds: vec![0, 1, 2], ..ClassifyConfig::default() };
    let mut material = material();
    material.representations.truncate(1);
    let before = classify::classify(&material, &config, &|_, _, _| {}).unwrap();
    // A second training that says nothing of the spectra is taken by the second seed alone.
    let values = Array2::from_shape_fn(material.representations[0].codes.dim(), |(row, _)| (row * 7919 % 1009) as f32);
    material.retrained.push(Representation { name: "pca4".into(), codes: values.into() });
    let after = classify::classify(&material, &config, &|_, _, _| {}).unwrap();
    for (before, after) in before.iter().zip(&after).filter(|(o, _)| o.factor == "size") {
        assert_eq!((before.accuracy[0], before.accuracy[2]), (after.accuracy[0], after.accuracy[2]));
        assert!(before.accuracy[1] > 0.75 && after.accuracy[1] < 0.65, "{:?}", after.accuracy);
    }
}

#[test]
fn sections_are_read_from_toml() {
    let text = "[tsne]\nperplexity = 30\n[[tsne.views]]\ncolour = [\"plant\"]\n[linkage]\nmethods = [\"average\"]\n[classify.published]\n";
    let config: StepsConfig = toml::from_str(text).unwrap();
    config.check().unwrap();
    assert_eq!((config.tsne.perplexity, config.tsne.views.len(), config.classify.published.len()), (30.0, 1, 0));
    assert!(toml::from_str::<StepsConfig>("[kmeans]\nclusters = 3\n").unwrap_err().to_string().contains("clusters"));
    let wrong: StepsConfig = toml::from_str("[classify]\nmargin = 20\n").unwrap();
    assert_eq!(wrong.check().unwrap_err().to_string(), "classify.margin is 20, and must be at most classify.block");
}

#[test]
fn what_no_step_could_use_is_named_before_training() {
    let (material, config) = (material(), config());
    let check = |factors: &[Factor], config: &StepsConfig| steps::check_data(factors, &material.places, config).map_err(|e| e.to_string());
    assert_eq!(check(&material.factors, &config), Ok(()));
    assert_eq!(check(&[], &config), Err(MaterialError::NoFactor.to_string()));
    let unknown = check(&material.factors[..2], &config).unwrap_err();
    assert_eq!(unknown, "there is no label \"month\"; there are: size, plant");
    // 1536 spectra of each plant, and a map of them needs more than three times the perplexity.
    let few = StepsConfig { tsne: TsneConfig { perplexity: 600.0, ..config.tsne.clone() }, ..config.clone() };
    let few = check(&material.factors, &few).unwrap_err();
    assert!(few.starts_with("the map of all spectra by any representation: 300 spectra are too few for a perplexity of 600"), "{few}");
    let mut rare = material.factors.clone();
    rare[1].of.iter_mut().enumerate().for_each(|(i, class)| *class = u16::from(i < 20));
    let rare = check(&rare, &config).unwrap_err();
    assert!(rare.starts_with("the map of the spectra of P2 by any representation: 20 spectra are too few"), "{rare}");
    let blocks = StepsConfig { classify: ClassifyConfig { block: 64, ..config.classify.clone() }, ..config.clone() };
    assert!(check(&material.factors, &blocks).unwrap_err().contains("lower classify.block"));
}

/// Codes of a material that was made for a test.
fn values(representation: &mut Representation) -> &mut Array2<f32> {
    match &mut representation.codes {
        Codes::Memory(values) => values,
        Codes::File(_) => panic!("codes are in memory"),
    }
}

#[test]
fn bad_input_is_named() {
    let fault = |change: &dyn Fn(&mut Material)| {
        let mut material = material();
        change(&mut material);
        steps::maps(&material, &config().tsne, &|_, _, _| {}).unwrap_err()
    };
    let none = fault(&|m| m.factors.clear());
    assert!(matches!(none, StepError::Material(MaterialError::NoFactor)), "{none}");
    let one = fault(&|m| m.factors[1].of.fill(1));
    assert_eq!(one.to_string(), "all spectra are of class \"P2\" of plant: leave that label out, or give data with a second class");
    let nan = fault(&|m| values(&mut m.representations[0])[[300, 2]] = f32::NAN);
    assert!(nan.to_string().contains("pca4: column 2 of row 300 (sample P1-2018-05-M100, line 5, pixel 4)"), "{nan}");
    let again = fault(&|m| m.retrained.push(Representation { name: "dense4".into(), codes: Array2::zeros((7, 4)).into() }));
    assert!(again.to_string().contains("dense4 has 7 rows"), "{again}");
    let nan = fault(&|m| m.decoded[1].spectra[[3, 7]] = f32::INFINITY);
    assert!(nan.to_string().contains("conv16: column 7 of row 12 "), "{nan}");
    let bands = fault(&|m| m.wavelengths_nm.truncate(39));
    assert!(bands.to_string().contains("spectra has 40 bands, and 39 were expected"), "{bands}");
    let unknown = fault(&|m| m.factors[2].name = "season".into());
    assert_eq!(unknown.to_string(), "there is no label \"month\"; there are: size, plant, season");
    let few = steps::maps(&material(), &TsneConfig { points: 30, perplexity: 12.0, ..TsneConfig::default() }, &|_, _, _| {}).unwrap_err();
    assert!(matches!(&few, StepError::Map { source: TsneError::TooFew { points: 30, .. }, .. }), "{few}");
    let mut few = material();
    few.representations.iter_mut().for_each(|r| r.codes = values(r).slice(s![..257, ..]).to_owned().into());
    assert!(matches!(few.check(), Err(MaterialError::Size { .. })));
    let mut blocks = config().classify;
    blocks.block = 64;
    let one_block = classify::classify(&material(), &blocks, &|_, _, _| {}).unwrap_err();
    assert!(matches!(one_block, ClassifyError::Split(_)), "{one_block}");
}
