//! Scans in every version of the file formats, read by this version.
//!
//! `tests/formats/N/` is a data root with one small scan. N is the highest version among its files: sample files (HDF5), parts
//! (Parquet) and `scan.json`, which are counted apart. `tests/formats/make.sh` makes the folder of this version.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod edit;
mod python;
#[allow(dead_code, reason = "the tests of `hyclus process` use the rest")]
#[path = "process/rig.rs"]
mod rig;

use hyclus::data_root;
use hyclus::publish::{DataSet, Tail};
use hyclus::store::{SampleData, read_sample};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use rig::{ALONG, BOXES, Camera, Ended, Rig, files, hyclus, reflectance};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// What is known of a kept scan.
const EXPECTED: &str = "expected.json";
/// Most bytes of a kept scan.
const MOST_BYTES: u64 = 200 << 10;

fn kept() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats")
}

/// The folders of the kept scans, by their version.
fn folders() -> BTreeMap<u64, PathBuf> {
    let entries = fs::read_dir(kept()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    entries.map(|path| (path.file_name().unwrap().to_str().unwrap().parse().unwrap(), path)).collect()
}

fn ending<'a>(root: &Path, ending: &'a str) -> impl Iterator<Item = PathBuf> + use<'a> {
    files(root).into_values().filter(move |path| path.to_str().unwrap().ends_with(ending))
}

/// Versions that the files of a scan state, read past all code of the crate: sample files, parts, and the record.
fn stated(root: &Path) -> [u64; 3] {
    let one = |versions: Vec<u64>| {
        assert!(!versions.is_empty() && versions.iter().all(|version| *version == versions[0]), "{versions:?} in {}", root.display());
        versions[0]
    };
    let sample = |path: PathBuf| {
        let attribute = hdf5::File::open(path).unwrap().attr("hyclus_format_version").unwrap();
        assert!(attribute.is_scalar());
        u64::try_from(attribute.read_scalar::<i32>().unwrap()).unwrap()
    };
    let part = |path: PathBuf| {
        let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
        let entries = reader.metadata().file_metadata().key_value_metadata().unwrap();
        entries.iter().find(|entry| entry.key == "hyclus.format_version").unwrap().value.as_ref().unwrap().parse().unwrap()
    };
    let record = |path: PathBuf| json_of(&path)["format_version"].as_u64().unwrap();
    [
        one(ending(root, ".h5").map(sample).collect()),
        one(ending(root, ".parquet").map(part).collect()),
        one(ending(root, "scan.json").map(record).collect()),
    ]
}

fn json_of(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Runs `hyclus` and gives its standard output.
fn said(arguments: &[&str]) -> String {
    let ended = run(arguments);
    assert_eq!(ended.code, Some(0), "{arguments:?}: {}{}", ended.out, ended.err);
    ended.out
}

fn run(arguments: &[&str]) -> Ended {
    hyclus(&arguments.iter().map(|argument| (*argument).to_owned()).collect::<Vec<_>>())
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Mean reflectance of the pixels on the sample.
fn mean(data: &SampleData) -> f64 {
    let values: Vec<f64> = data
        .reflectance
        .indexed_iter()
        .filter(|((line, pixel, _), value)| data.mask[[*line, *pixel]] == 1 && value.is_finite())
        .map(|(_, value)| f64::from(*value))
        .collect();
    values.iter().sum::<f64>() / values.len() as f64
}

/// Two cameras of few bands, an encoder, and a configuration without paths of this machine. None where Python is left out.
fn small_rig() -> Option<Rig> {
    let mut rig = Rig::pair(0.0);
    rig.config.push_str("[store]\ncompression = \"deflate\"\ndeflate_level = 9\nnative = true\n");
    // One of the two containers is enough.
    rig.tray = rig.tray.replacen("sample = \"left\"", "sample = \"left\"\nvars = { \"Cu/Fe\" = 0.61 }", 1);
    rig.tray.truncate(rig.tray.rfind("[[container]]").unwrap());
    if !rig.encode(rig.cameras.iter().map(|camera: &Camera| camera.wavelengths.len()).sum()) {
        return None;
    }
    let folder = format!("{}/", rig.folder.path().display());
    rig.config = rig.config.replace(&folder, "");
    Some(rig)
}

/// Processes the recordings of the small rig into the data root `data` and gives that.
fn written(rig: &Rig) -> PathBuf {
    rig.process("data").record();
    rig.path("data")
}

#[test]
fn every_kept_version_is_read() {
    let folders = folders();
    assert!(folders.contains_key(&1));
    for (number, root) in folders {
        let data = text(&root);
        assert_eq!(stated(&root).into_iter().max(), Some(number), "{data}");
        let bytes: u64 = files(&root).values().map(|path| fs::metadata(path).unwrap().len()).sum();
        assert!(bytes < MOST_BYTES, "{bytes} bytes in {data}");
        let expected = json_of(&root.join(EXPECTED));
        let id = expected["scan"].as_str().unwrap();
        let rows = usize::try_from(expected["rows"].as_u64().unwrap()).unwrap();

        let records = data_root::records(&root);
        assert_eq!((records.len(), records[0].id.as_str(), records[0].complete), (1, id, Some(true)), "{data}");
        assert_eq!(records[0].embeddings, rows as u64);
        let verified = said(&["verify", "--data", data, id]);
        assert!(verified.contains("all as scan.json says"), "{verified}");

        let samples = expected["samples"].as_object().unwrap();
        assert_eq!(records[0].samples.len(), samples.len());
        for record in &records[0].samples {
            let path = root.join("scans").join(id).join(&record.file);
            let (read, wanted) = (read_sample(&path).unwrap(), &samples[&record.sample]);
            assert_eq!((&read.name, &read.container, read.scan.as_str()), (&record.sample, &record.container, id));
            assert_eq!(json!([read.keys, read.vars]), json!([wanted["keys"], wanted["vars"]]));
            assert_eq!(json!(read.reflectance.shape()), wanted["shape"]);
            assert_eq!(json!(record.shape), wanted["shape"]);
            assert!((mean(&read) - wanted["mean"].as_f64().unwrap()).abs() < 1e-6, "{}: {}", path.display(), mean(&read));
            let shown = said(&["inspect", text(&path)]);
            assert!(shown.contains(&format!("sample       {}\n", record.sample)) && !shown.contains("warning"), "{shown}");
        }
        let mut tail = Tail::new(&DataSet::main(&root), Some(id));
        let first = tail.poll().unwrap().unwrap();
        assert_eq!(json!([first.sample, first.line, first.pixel, first.keys]), expected["first"]);
        let tailed = said(&["tail", "--data", data, "--scan", id, "--format", "jsonl"]);
        assert_eq!(tailed.lines().count(), rows);
        let row: Value = serde_json::from_str(tailed.lines().next().unwrap()).unwrap();
        for (found, wanted) in row["embedding"].as_array().unwrap().iter().zip(expected["embedding"].as_array().unwrap()) {
            assert!((found.as_f64().unwrap() - wanted.as_f64().unwrap()).abs() < 1e-6, "{row}");
        }
        for part in ending(&root, ".parquet") {
            let shown = said(&["inspect", text(&part)]);
            assert!(shown.starts_with("Parquet, ") && shown.contains(&format!("hyclus.scan_id  {id}")), "{shown}");
        }
        let shown = said(&["inspect", text(&root.join("scans").join(id).join("scan.json"))]);
        assert!(shown.contains(id), "{shown}");

        let out = tempfile::tempdir().unwrap();
        said(&["export", "--data", data, "envi", id, text(out.path())]);
        said(&["export", "--data", data, "hidsag", id, text(out.path())]);
        for (name, sample) in samples {
            let [lines, pixels, bands] = [0, 1, 2].map(|axis| sample["shape"][axis].as_u64().unwrap());
            assert_eq!(fs::metadata(out.path().join(format!("{name}.img"))).unwrap().len(), 4 * lines * pixels * bands);
        }
    }
}

/// The scene is made of numbers, so that its reflectance is known without any file.
#[test]
fn the_kept_values_are_those_of_the_scene() {
    for (_, root) in folders() {
        let read = read_sample(&ending(&root, "left.h5").next().unwrap()).unwrap();
        let mut compared = 0;
        for ((line, pixel, band), value) in read.reflectance.indexed_iter() {
            let (x, y, nm) = (read.pixel_mm[pixel], read.line_mm[line], read.wavelengths_nm[band]);
            // Pixels on an edge are mixed.
            let edges = |places: (f64, f64), at: f64| (places.0 - at).abs() < 3.0 || (places.1 - at).abs() < 3.0;
            if edges(BOXES[0], x) || edges(ALONG, y) {
                continue;
            }
            assert!((f64::from(*value) - reflectance(x, y, nm)).abs() < 5e-4, "{value} at {x}, {y} mm, {nm} nm");
            compared += 1;
        }
        assert!(compared > 1000, "{compared}");
    }
}

#[test]
fn this_version_writes_the_highest_versions_that_are_kept() {
    let Some(rig) = small_rig() else { return };
    let versions = stated(&written(&rig));
    for (kind, version) in ["sample files", "parts", "scan.json"].iter().zip(0..) {
        let highest = folders().values().map(|root| stated(root)[version]).max().unwrap();
        assert_eq!(versions[version], highest, "no scan is kept for the version of {kind}: run tests/formats/make.sh");
    }
}

#[test]
fn files_before_the_first_version_are_of_the_first() {
    let root = copy(&folders()[&1]);
    let sample = ending(root.path(), "left.h5").next().unwrap();
    let file = edit::open_rw(&sample);
    file.delete_attr("hyclus_format_version").unwrap();
    file.close().unwrap();
    assert_eq!(read_sample(&sample).unwrap().name, "left");
    edit_record(root.path(), |record| _ = record.as_object_mut().unwrap().remove("format_version"));
    assert_eq!(data_root::records(root.path()).len(), 1);
}

/// Leaves the first rows of a part, in the types that it has.
fn cut(part: &Path, rows: usize) {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(part).unwrap()).unwrap();
    let entries = builder.metadata().file_metadata().key_value_metadata().unwrap().iter().filter(|entry| entry.key != "ARROW:schema");
    let properties = WriterProperties::builder().set_key_value_metadata(Some(entries.cloned().collect())).build();
    let schema = builder.schema().clone();
    let batches: Vec<_> = builder.with_limit(rows).build().unwrap().map(Result::unwrap).collect();
    let mut writer = ArrowWriter::try_new(File::create(part).unwrap(), schema, Some(properties)).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.close().unwrap();
}

#[test]
fn a_catch_up_goes_on_behind_a_part_of_the_first_format() {
    let Some(rig) = small_rig() else { return };
    let root = copy(&folders()[&1]);
    let (data, id) = (text(root.path()), data_root::records(root.path())[0].id.clone());
    let rows = || {
        let mut tail = Tail::new(&DataSet::main(root.path()), Some(&id));
        std::iter::from_fn(|| tail.poll().unwrap()).collect::<Vec<_>>()
    };
    let whole = rows();
    cut(&ending(root.path(), ".parquet").next().unwrap(), 100);
    assert_eq!(rows(), whole[..100]);
    edit_record(root.path(), |record| record["pending"] = json!({"reason": "a test", "spectra": whole.len() - 100, "samples": {}}));
    // That scan has rows of the rim.
    fs::write(rig.path("rig.toml"), rig.config.replace("[encoder]\n", "[encoder]\nedge = true\n")).unwrap();
    let recovered = said(&["recover", "--data", data, "--config", text(&rig.path("rig.toml"))]);
    assert!(recovered.contains(&format!("{} embeddings that it lacked", whole.len() - 100)), "{recovered}");
    let mut found = rows();
    assert_eq!(found[..100], whole[..100], "the rows that were there are where they were");
    found.sort_by_key(|row| (row.line, row.pixel));
    let mut wanted = whole;
    wanted.sort_by_key(|row| (row.line, row.pixel));
    for (found, wanted) in found.iter().zip(&wanted) {
        assert_eq!((found.line, found.pixel, found.time_ns, &found.keys), (wanted.line, wanted.pixel, wanted.time_ns, &wanted.keys));
        assert!(found.embedding.iter().zip(&wanted.embedding).all(|(a, b)| (a - b).abs() < 1e-5), "{found:?} {wanted:?}");
    }
    assert_eq!((found.len(), ending(root.path(), ".parquet").count()), (wanted.len(), 2));
    assert_eq!(stated(root.path())[1], 2, "one scan has one format");
    assert!(said(&["verify", "--data", data, &id]).contains("all as scan.json says"));
}

#[test]
fn a_newer_version_is_refused_by_the_commands_that_name_it() {
    let root = copy(folders().values().next_back().unwrap());
    let (data, id) = (text(root.path()), data_root::records(root.path())[0].id.clone());
    let out = root.path().join("out");
    let refused = |arguments: &[&str], file: &str| {
        let ended = run(arguments);
        let wanted = format!("{file}: its format version is 99, and this program reads versions up to ");
        assert_eq!(ended.code, Some(1), "{arguments:?}: {}{}", ended.out, ended.err);
        assert!(ended.err.contains(&wanted) && ended.err.contains("; update hyclus"), "{arguments:?}: {}", ended.err);
    };
    // A sample's file.
    let sample = ending(root.path(), "left.h5").next().unwrap();
    let file = edit::open_rw(&sample);
    file.attr("hyclus_format_version").unwrap().write_scalar(&99_i32).unwrap();
    file.close().unwrap();
    assert!(read_sample(&sample).is_err());
    refused(&["export", "--data", data, "envi", &id, text(&out)], "left.h5");
    refused(&["export", "--data", data, "hidsag", &id, text(&out)], "left.h5");
    assert!(!out.exists());
    let shown = said(&["inspect", text(&sample)]);
    assert!(shown.starts_with("warning: ") && shown.contains("update hyclus"), "{shown}");
    assert!(shown.contains("reflectance  (line=") && !shown.contains("sample       left"), "{shown}");

    // The record of a scan.
    edit_record(root.path(), |record| record["format_version"] = json!(99));
    assert!(data_root::records(root.path()).is_empty(), "it is passed over where all are listed");
    for command in ["verify", "recover"] {
        refused(&[command, "--data", data, &id], "scan.json");
    }
    refused(&["tail", "--data", data, "--scan", &id], "scan.json");
    refused(&["export", "--data", data, "envi", &id, text(&out)], "scan.json");
    refused(&["inspect", text(&root.path().join("scans").join(&id).join("scan.json"))], "scan.json");
}

/// A copy of a kept scan.
fn copy(root: &Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy_to(root, folder.path());
    folder
}

fn copy_to(root: &Path, folder: &Path) {
    for (name, path) in files(root) {
        let target = folder.join(name);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::write(target, fs::read(path).unwrap()).unwrap();
    }
}

fn edit_record(root: &Path, edit: impl FnOnce(&mut Value)) {
    let path = ending(root, "scan.json").next().unwrap();
    let mut record = json_of(&path);
    edit(&mut record);
    fs::write(path, record.to_string()).unwrap();
}

/// `tests/formats/make.sh` runs this: it keeps a scan in the formats of this version.
#[test]
#[ignore = "writes into tests/formats"]
fn make() {
    let rig = small_rig().unwrap();
    let data = written(&rig);
    let folder = kept().join(stated(&data).into_iter().max().unwrap().to_string());
    assert!(!folder.exists(), "{} is kept already, and a kept scan is never made again", folder.display());

    let record = data_root::records(&data).remove(0);
    let mut samples = serde_json::Map::new();
    for sample in &record.samples {
        let read = read_sample(&data.join("scans").join(&record.id).join(&sample.file)).unwrap();
        samples.insert(
            sample.sample.clone(),
            json!({"shape": read.reflectance.shape(), "keys": read.keys, "vars": read.vars, "mean": mean(&read)}),
        );
    }
    let first = Tail::new(&DataSet::main(&data), Some(&record.id)).poll().unwrap().unwrap();
    let expected = json!({
        "scan": record.id, "rows": record.embeddings, "samples": samples,
        "first": [first.sample, first.line, first.pixel, first.keys],
        "embedding": first.embedding.iter().map(|v| f64::from(*v)).collect::<Vec<_>>(),
    });
    for part in ["scans", "embeddings"] {
        copy_to(&data.join(part), &folder.join(part));
    }
    fs::write(folder.join(EXPECTED), serde_json::to_string_pretty(&expected).unwrap() + "\n").unwrap();
}
