//! From the campaign to encoders that hyclusd runs, small: eight samples, few bands and large pixels.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed unwrap is how a test fails")]

use arrow_array::cast::AsArray;
use arrow_array::types::Float32Type;
use hyclus_study::config::{Campaign, Config};
use hyclus_study::data::{Dataset, Reading};
use hyclus_study::{Name, Place, Study, campaign};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use toml::{Table, Value};

/// The folder of `hyclusd` and `hyclus`: `make test` names it, and builds them.
fn binaries() -> PathBuf {
    let beside = || std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().to_owned();
    let folder = std::env::var_os("HYCLUS_BIN").map_or_else(beside, PathBuf::from);
    assert!(folder.join("hyclusd").exists(), "{}: no hyclusd; run `make build`, or set HYCLUS_BIN", folder.display());
    folder
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The rig of the study with few bands, pixels and kinds of grains, and another encoder if one is named.
fn rig(path: &Path, encoder: Option<&Path>) {
    let mut rig: Table = std::fs::read_to_string(root().join("config/study-rig.toml")).unwrap().parse().unwrap();
    for camera in rig["camera"].as_array_mut().unwrap() {
        let device = camera["device"].as_table_mut().unwrap();
        device.insert("pixels".into(), 150.into());
        device.insert("bands".into(), 24.into());
        camera["frame_rate_hz"] = 20.0.into();
    }
    rig["simulation"]["grains"]["kinds"] = 40.into();
    rig["simulation"]["tray"]["rows"] = 2.into();
    rig["simulation"]["tray"]["columns"] = 2.into();
    rig["segment"]["tray"]["length_mm"] = 180.0.into();
    rig["grid"]["pixel_mm"] = 2.0.into();
    let model = encoder.map_or_else(|| root().join("config/encoders/simulated-pca4.onnx"), Path::to_owned);
    rig["encoder"]["model"] = Value::String(model.to_string_lossy().into_owned());
    std::fs::write(path, rig.to_string()).unwrap();
}

/// A table with a label of every sample, and a further row.
fn assays(folder: &Path, further: &str) {
    let samples = ["P1", "P2"].iter().flat_map(|plant| ["01", "02"].map(|month| format!("{plant}-2018-{month}")));
    let samples = samples.flat_map(|of| ["minus100", "plus100"].map(|size| format!("{of}-{size}")));
    let rows = samples.enumerate().map(|(i, sample)| format!("{sample},{}\n", 3 + i * i % 5));
    std::fs::write(folder.join("assays.csv"), "sample,ore [%]\n".to_owned() + &rows.collect::<String>() + further).unwrap();
}

fn study(folder: &Path, campaign: &Campaign) -> (PathBuf, Config) {
    let path = folder.join("study.toml");
    let text = format!(
        r#"
        [campaign]
        rig = "{}"
        folder = "{}"
        plants = ["P1", "P2"]
        months = ["2018-01", "2018-02"]
        [reduce]
        folder = "reduced"
        pca = [2, 4]
        seeds = [1, 2]
        [[reduce.autoencoder]]
        name = "dense4"
        kind = "dense"
        latent = 4
        [[reduce.autoencoder]]
        name = "conv6"
        kind = "conv"
        latent = 6
        [[reduce.encoder]]
        name = "pairs3"
        kind = "pairs"
        latent = 3
        [[reduce.encoder]]
        name = "vicreg4"
        kind = "vicreg"
        latent = 4
        [vicreg]
        epochs = 2
        batches = 10
        batch = 128
        inputs = 20
        [training]
        epochs = 2
        [tsne]
        perplexity = 10
        points = 150
        iterations = 120
        exaggerated_iterations = 50
        [[tsne.views]]
        colour = ["size", "plant"]
        [[tsne.views]]
        within = "size"
        colour = ["month"]
        [kmeans]
        points = 600
        starts = 2
        [linkage]
        points = 150
        [classify]
        trees = 10
        most_train = 600
        most_test = 300
        seeds = [0, 1]
        block = 4
        margin = 1
        folds = 4
        permutations = 3
        [regress]
        table = "assays.csv"
        folder = "regress"
        codes = ["pairs3"]
        level = 0.5
        folds = 5
        components = 2
        windows = [7]
        [report]
        folder = "report"
        image_rows = 60
        expected = ["conv6", "dense4", "pca2"]
        "#,
        campaign.rig.display(),
        campaign.folder.display()
    );
    std::fs::write(&path, text).unwrap();
    assays(folder, "");
    let config = Config::read(&path).unwrap();
    (path, config)
}

fn run(config: &Path, step: &str) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hyclus-study"));
    let output = command.arg(step).arg("--config").arg(config).env("HYCLUS_BIN", binaries()).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
}

/// The embeddings that the daemon wrote, in the order of the study's rows.
fn embeddings(folder: &Path) -> Vec<f32> {
    let mut values = Vec::new();
    for scan in campaign::embeddings(folder).unwrap() {
        let mut parts: Vec<PathBuf> = std::fs::read_dir(scan).unwrap().map(|entry| entry.unwrap().path()).collect();
        parts.retain(|path| path.extension().is_some_and(|e| e == "parquet"));
        parts.sort();
        for part in parts {
            let reader = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(part).unwrap()).unwrap().build().unwrap();
            for batch in reader {
                let batch = batch.unwrap();
                let lists = batch.column_by_name("embedding").unwrap().as_fixed_size_list();
                values.extend_from_slice(lists.values().as_primitive::<Float32Type>().values());
            }
        }
    }
    values
}

/// Sample name, line and pixel of every spectrum, with the spectrum.
fn by_place(data: &Dataset) -> HashMap<(String, i32, i32), Vec<f32>> {
    let rows: Vec<u32> = (0..data.spectra.len() as u32).collect();
    let values = data.spectra.rows(&rows).unwrap();
    let spectra = values.chunks_exact(data.spectra.bands()).map(<[f32]>::to_vec);
    let key = |place: &Place| (data.samples[place.sample as usize].clone(), place.line, place.pixel);
    data.places.iter().map(key).zip(spectra).collect()
}

/// The sample HDF5 and an export as HIDSAG hold the spectra of the Parquet.
fn other_layouts(folder: &Path, campaign: &Path, parquet: &Dataset) {
    let expected = by_place(parquet);
    let scans: Vec<PathBuf> = std::fs::read_dir(campaign.join("scans")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let read = |source: &Path, labels: [&str; 3]| {
        let labels = labels.map(String::from).to_vec();
        Dataset::read(&Reading { sources: vec![source.to_owned()], labels, memory_mib: 64, scratch: folder.to_owned() }).unwrap()
    };
    let samples = read(&campaign.join("scans"), ["size", "plant", "month"]);
    assert_eq!(
        samples.factors.iter().map(|f| f.classes.clone()).collect::<Vec<_>>(),
        parquet.factors.iter().map(|f| f.classes.clone()).collect::<Vec<_>>()
    );
    let found = by_place(&samples);
    assert!(found.len() * 10 > expected.len() * 9, "{} of {}", found.len(), expected.len());
    assert!(found.iter().all(|(place, spectrum)| expected[place] == *spectrum), "the values of the Parquet");

    let mut command = Command::new(binaries().join("hyclus"));
    command.args(["export", "--data"]).arg(campaign).arg("hidsag").args(["--dataset", "ORE"]);
    command.args(scans.iter().map(|scan| scan.file_name().unwrap())).arg(folder.join("hidsag"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let hidsag = read(&folder.join("hidsag/ORE"), ["tag3", "tag1", "tag2"]);
    assert_eq!(hidsag.factors[1].classes, ["P1", "P2"]);
    let found = by_place(&hidsag);
    assert!(expected.iter().all(|(place, spectrum)| found[place] == *spectrum), "the values of the Parquet");
}

/// The page has every section, with a table and a matrix for each factor, representation and split.
fn page(file: &Path) {
    let page = std::fs::read_to_string(file).unwrap();
    for section in ["data", "spectra", "decoded", "maps", "kmeans", "trees", "held-out", "classification", "regression"] {
        assert!(page.contains(&format!("<section id=\"{section}\">")), "{section}");
    }
    assert_eq!(page.matches("Confusion matrix of").count(), 3 * 6 * 2);
    assert!(page.contains("ore by spectra") && page.contains("ore by pairs3"));
    assert!(page.contains("conv6 beats dense4") || page.contains("conv6 does not beat dense4"));
    assert!(page.contains("An encoder's 2 trainings") || page.contains("An encoder&#39;s 2 trainings"));
    assert!(!page.contains("No encoder was trained"));
    assert!(page.contains("with all spectra; up to 2 epochs"));
}

#[test]
fn a_campaign_becomes_encoders_that_the_daemon_runs() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    rig(&path("rig.toml"), None);
    let first = Campaign { rig: path("rig.toml"), folder: path("first"), ..Campaign::default() };
    let (file, config) = study(folder.path(), &first);
    let (ok, said) = run(&file, "reduce");
    assert!(!ok && said.contains("holds 0 of 0 trays; run `hyclus-study campaign` first"), "{said}");
    // A faulty table ends the run before anything is trained.
    assays(folder.path(), "P9-2018-01-plus100,7\n");
    let (ok, said) = run(&file, "report");
    assert!(!ok && said.contains("row 10: the study has no spectra of sample \"P9-2018-01-plus100\""), "{said}");
    assert!(!path("reduced/pca4").exists());
    assays(folder.path(), "");
    let (ok, said) = run(&file, "report");
    assert!(ok, "{said}");
    assert!(path("regress/regress.csv").is_file() && path("regress/head-ore.onnx").is_file());
    page(&path("report/report.html"));
    for (step, written) in [("tsne", "tsne.csv"), ("kmeans", "kmeans.csv"), ("linkage", "linkage.csv"), ("classify", "classify.csv")] {
        let (ok, said) = run(&file, step);
        assert!(ok && path("report").join(written).is_file(), "{step}: {said}");
    }

    let study_of_first = Study::open(&config).unwrap();
    assert_eq!(study_of_first.data.samples.len(), 8);
    let classes: Vec<usize> = study_of_first.data.factors.iter().map(|factor| factor.classes.len()).collect();
    assert_eq!(classes, [2, 2, 2]);
    let rows = study_of_first.data.evenly(50);
    for name in study_of_first.representations() {
        let codes = study_of_first.codes(&name, &rows).unwrap();
        assert_eq!(codes.nrows(), 50);
        let decoded = study_of_first.decode(&name, &rows).unwrap();
        assert_eq!(decoded.is_some(), !name.name.starts_with("pairs") && !name.name.starts_with("vicreg"));
        assert!(decoded.iter().flatten().all(|value| value.is_finite()));
    }

    other_layouts(folder.path(), &first.folder, &study_of_first.data);

    // The daemon runs what was exported, and its Parquet holds the codes that the study computes from the very spectra.
    for (name, seed) in [("conv6", Some(1)), ("dense4", Some(1)), ("vicreg4", Some(1))] {
        let name = Name { name: name.into(), seed };
        rig(&path("rig.toml"), Some(&study_of_first.folder(&name).join("encoder.onnx")));
        let second = Campaign { folder: path(&name.name), ..first.clone() };
        let (file, config) = study(folder.path(), &second);
        let (ok, said) = run(&file, "campaign");
        assert!(ok, "{said}");
        let again = Study::open(&config).unwrap();
        again.encode(&name).unwrap();
        let rows: Vec<u32> = (0..again.data.spectra.len() as u32).collect();
        let codes = again.codes(&name, &rows).unwrap().into_raw_vec_and_offset().0;
        let published = embeddings(&second.folder);
        assert_eq!(published.len(), codes.len());
        let worst = published.iter().zip(&codes).map(|(a, b)| (a - b).abs() / b.abs().max(1.0)).fold(0.0, f32::max);
        assert!(worst < if name.name == "vicreg4" { 1e-4 } else { 1e-5 }, "{name:?}: off by {worst}");
    }
}
