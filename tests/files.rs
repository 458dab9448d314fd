//! The trees of docs/files.md are those of real files: a scan of the simulated rig, the same recording processed again, and a
//! recording of reflectance. Checkers of CF and of NeXus accept the sample files.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "the rest is for the tests of the daemon")]
#[path = "daemon/rig.rs"]
mod daemon;
mod python;
#[allow(dead_code, reason = "the rest is for the tests of `hyclus process`")]
#[path = "process/rig.rs"]
mod rig;

use daemon::{Daemon, Options, configuration, encoder, scan, tray};
use hyclus::data_root;
use hyclus::scan::{Archived, FilesHere};
use rig::{Camera, Ended, LENGTH_MM, Rig, files, hyclus, reflectance};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Written where the program was built from a commit, where a camera saw nothing, by earlier versions, of cameras that do not wait, where
/// bands are left out, where a recording cannot be processed, where elements are restless, or below a data root
/// with minerals: no file of this test has them.
const ELSEWHERE: [&str; 27] = [
    "/entry/calibration/{camera}/white_dark@temperature_c",
    "/entry/process/commit",
    "/entry/ledger/{camera}/description",
    "/files/[]/sha256",
    "/cameras/{camera}/pool_least_free",
    "/left_out_nm",
    "/left_out_nm/{camera}",
    "/set_aside",
    "/samples/[]/minerals/deferred",
    "/minerals/pending",
    "/minerals/pending/reason",
    "/minerals/pending/samples",
    "/scans/{scan}/minerals.png",
    "/minerals",
    "/minerals/scan={scan}",
    "/minerals/scan={scan}/part-{number}.parquet",
    "/.minerals-unfinished",
    "/light",
    "/light/{camera}",
    "/light/{camera}/least",
    "/light/{camera}/largest",
    "/light/{camera}/uncorrected_lines",
    "/restless_elements/{camera}/worst/[]",
    "/restless_elements/{camera}/worst/[]/band",
    "/restless_elements/{camera}/worst/[]/pixel",
    "/restless_elements/{camera}/worst/[]/wavelength_nm",
    "/restless_elements/{camera}/worst/[]/over_limit",
];

/// A line of a tree.
#[derive(Debug)]
struct Line {
    path: String,
    optional: bool,
    kind: String,
    unit: String,
}

/// What a file has, as tests/python/files_tree.py prints it.
#[derive(Debug)]
struct Row {
    /// Where it is.
    path: String,
    /// The same, with names and numbers in braces.
    pattern: String,
    kind: String,
    unit: String,
}

/// The trees of docs/files.md by the kind of their root.
fn trees() -> BTreeMap<String, Vec<Line>> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/files.md")).unwrap();
    let mut trees = BTreeMap::new();
    for block in text.split("\n```tree\n").skip(1) {
        let block = block.split("\n```").next().unwrap();
        let lines: Vec<Line> = block.lines().map(line).collect();
        assert_eq!(lines[0].path, "/", "a tree begins with its root: {block}");
        assert!(lines.iter().map(|line| &line.path).collect::<BTreeSet<_>>().len() == lines.len(), "a path stands twice in {block}");
        assert!(trees.insert(lines[0].kind.clone(), lines).is_none(), "two trees of one kind: {block}");
    }
    trees
}

/// Columns are parted by two blanks: path, kind, unit, meaning; the last ones may be missing.
fn line(text: &str) -> Line {
    let mut columns = text.split("  ").map(str::trim).filter(|column| !column.is_empty());
    let path = columns.next().unwrap_or_else(|| panic!("an empty line in a tree"));
    let kind = columns.next().unwrap_or_else(|| panic!("no type: {text}")).to_owned();
    let unit = columns.next().unwrap_or("-").to_owned();
    Line { path: path.trim_end_matches('?').to_owned(), optional: path.ends_with('?'), kind, unit }
}

/// None where Python is left out.
fn rows(path: &Path) -> Option<Vec<Row>> {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("rows");
    python::run("files_tree.py", &[path, &out]);
    let Ok(text) = fs::read_to_string(out) else {
        assert!(std::env::var_os("HYCLUS_SKIP_PYTHON").is_some(), "files_tree.py wrote nothing");
        return None;
    };
    let row = |line: &str| {
        let [path, pattern, kind, unit] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        Row { path: path.into(), pattern: pattern.into(), kind: kind.into(), unit: unit.into() }
    };
    Some(text.lines().map(row).collect())
}

/// What holds a path: a group or an object, or what an attribute belongs to.
fn above(path: &str) -> &str {
    let above = path.rsplit_once('@').or_else(|| path.rsplit_once('/')).map_or("", |(above, _)| above);
    if above.is_empty() { "/" } else { above }
}

/// Whether what is there is of a kind: an empty list is one of anything.
fn is(found: &str, kind: &str) -> bool {
    kind.split(" | ").any(|one| one == found || found == "[]" && one.starts_with('['))
}

/// What a file has and its tree does not, and the other way round. Adds the kind of the tree and the paths that were found to `seen`.
fn differences(tree: &[Line], rows: &[Row], what: &str, seen: &mut BTreeSet<String>) -> Vec<String> {
    let mut found = Vec::new();
    for row in rows {
        match tree.iter().find(|line| line.path == row.pattern) {
            None => found.push(format!("{what}: {} ({}) is in no tree", row.pattern, row.kind)),
            Some(line) if !is(&row.kind, &line.kind) || row.unit != line.unit => {
                found.push(format!("{what}: {} is {}, {}, and not {}, {}", row.path, row.kind, row.unit, line.kind, line.unit));
            }
            Some(line) => drop(seen.insert(format!("{} {}", tree[0].kind, line.path))),
        }
    }
    for line in tree.iter().filter(|line| !line.optional && line.path != "/") {
        for holder in rows.iter().filter(|row| row.pattern == above(&line.path) && !["null", "[]"].contains(&row.kind.as_str())) {
            if !rows.iter().any(|row| row.pattern == line.path && above(&row.path) == holder.path) {
                found.push(format!("{what}: {} has no {}", holder.path, line.path));
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

/// An encoder that fails on the way.
const FAULT: &str = "[simulation.faults.encoder_fails]\nafter_batches = 3\n";

/// Scans four containers with everything that is optional, and an encoder that fails. Gives the folder of the daemon.
async fn live() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (model, limited) =
        (Path::new(env!("CARGO_MANIFEST_DIR")).join("config/encoders/simulated-pca4.onnx"), folder.path().join("limited.onnx"));
    python::run("limited_encoder.py", &[&model, Path::new("1.5"), &limited]);
    let told = if limited.exists() { &limited } else { &model };
    let encoders = encoder().replace("[encoder]", "[[encoder]]").replace(&format!("{model:?}"), &format!("{told:?}"));
    let trial = encoders.replace("[[encoder]]", "[[encoder]]\nname = \"trial\"").replace("[publish]\nmax_age_s = 0.1\n", "");
    let more = format!("{trial}{encoders}spectra = true\n[store]\nnative = true\n[join]\nlevel = true\n{FAULT}");
    // The edges of containers are seen on a grid as fine as this.
    // At a pace of its own: the second panel passes whether or not a camera streams by then.
    let paced = Options { pace: "real_time", pool_slots: 256, more, ..Options::default() };
    let text = configuration(&paced).replace("pixel_mm = 2.4", "pixel_mm = 1.2").replace("[lamps]", "[lamps]\ndistance_mm = 500.0").replace(
        "name = \"vnir\"\n",
        "name = \"vnir\"\ncorrection = { wavelength_shift_nm = 0.1, smile_nm = 0.2, linearity = [0.001], stray_light = 0.001, keystone_px = 0.1, yaw_deg = 0.1 }\n",
    );
    // The file is gone when the recording is processed again. The scan keeps the certificate.
    let certificate = tempfile::NamedTempFile::new().unwrap();
    fs::write(certificate.path(), "# serial: SRT-7\n# coverage: 2\n390 0.95 0.01\n2510 0.95 0.02\n").unwrap();
    // References of both ends count however little they differ, when the recording is processed again.
    let panel = "panel = { after_mm = [240.0, 285.0], features = [{ nm = 2100.0, depth = 0.3, width_nm = 60.0 }] }";
    let both_ends = "make_again = false\npanel_after_mm = [240.0, 285.0]\nlimits = { max_dark_drift = 0.0, max_light_drift = 0.0 }";
    let text = text
        .replace(
            "{ reflectance = 0.95 }",
            &format!("{{ file = {:?}, features = \"panel.toml\", height_mm = 1.0, evenness = [0.001] }}", certificate.path()),
        )
        .replace("lamp_drift = 0.0\n", &format!("lamp_drift = 0.0\n{panel}\n"))
        .replace("dead_elements", "dark_drift_per_h = 7200.0, dead_elements")
        .replace("[references]\n", &format!("[references]\n{both_ends}\n"));
    fs::write(folder.path().join("rig.toml"), text).unwrap();
    fs::write(folder.path().join("panel.toml"), "name = \"panel\"\nleast = 1\n[[feature]]\nnm = 2100.0\nwindow_nm = 250.0\n").unwrap();
    let daemon = Daemon::launch(folder);
    let mut map = tray(2, 2);
    map["container"][0]["vars"] = json!({"Cu": 0.61});
    map["container"][0]["height_mm"] = 0.1.into();
    let (record, _) = scan(&daemon, map).await;
    assert_eq!((record.complete, record.samples.len()), (Some(true), 4), "{:?}", record.reason);
    assert_eq!((record.dark_drift.len(), record.light_change.len()), (2, 2), "{:?}", record.warnings);
    let model = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/encoders/simulated-pca4.onnx")).unwrap();
    daemon.client().await.replace_encoder("trial", model).await.unwrap();
    let list = hyclus::rig::WorklistRequest { csv: Some("sample,at\nS1,A1\n".to_owned()), rows: None, tray: Some(tray(2, 2)) };
    daemon.client().await.put_worklist(&list).await.unwrap();
    let (ended, log, folder) = daemon.end("-TERM");
    assert!(ended, "{}", log.join("\n"));
    folder
}

/// Processes the recording of such a scan once more into the folder `again`: with the places of the containers in the tray map, an encoder
/// that works, and minerals.
fn again(folder: &Path) -> Ended {
    let mut map = tray(2, 2);
    for (i, container) in map["container"].as_array_mut().unwrap().iter_mut().enumerate() {
        let (x_mm, y_mm) = (150.0 * (i % 2) as f64 + 16.5, 75.0 * (i / 2) as f64 + 20.0);
        for (key, value) in [("x_mm", x_mm), ("y_mm", y_mm), ("width_mm", 117.0), ("length_mm", 60.0)] {
            container[key] = json!(value);
        }
    }
    let path = |name: &str| folder.join(name).display().to_string();
    fs::write(path("tray.json"), map.to_string()).unwrap();
    let config = fs::read_to_string(folder.join("rig.toml")).unwrap();
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/minerals/usgs.toml");
    // One head judges, and one cannot be read.
    python::run("make_head.py", &[Path::new("600,1600,2200"), Path::new("0.5"), Path::new(&path("head.onnx"))]);
    let heads = ["head", "gone"].map(|name| format!("[[head]]\nname = \"{name}\"\nmodel = \"{name}.onnx\"\n")).concat();
    fs::write(path("again.toml"), config.replace(FAULT, &format!("[minerals]\nlibrary = {library:?}\n{heads}"))).unwrap();
    let scan = fs::read_dir(folder.join("data/scans")).unwrap().next().unwrap().unwrap().path();
    // As if the dark level had moved since the white reference.
    let id = scan.file_name().unwrap().to_string_lossy();
    let of_white = scan.join(format!("raw/vnir/capture/WHITEDARKREF_{id}.raw"));
    let mut counts = fs::read(&of_white).unwrap();
    counts[0] ^= 1;
    fs::remove_file(&of_white).unwrap();
    fs::write(&of_white, counts).unwrap();
    let capture = |camera: &str| format!("{camera}={}", scan.join("raw").join(camera).display());
    let mut arguments = ["--json", "process", "--config"].map(str::to_owned).to_vec();
    arguments.extend([path("again.toml"), "--tray".into(), path("tray.json"), "--out".into(), path("again")]);
    arguments.extend(["vnir", "swir"].into_iter().flat_map(|camera| ["--capture".into(), capture(camera)]));
    hyclus(&arguments)
}

/// Seals the scan that was processed again. The seal goes to the data root whose folders are compared.
fn seal(folder: &Path) {
    let path = |name: &str| folder.join(name).display().to_string();
    let scan = data_root::records(&folder.join("again"))[0].id.clone();
    for arguments in [["seal", "--new-key", &path("key")].as_slice(), &["seal", "--data", &path("again"), "--key", &path("key"), &scan]] {
        let ended = hyclus(&arguments.iter().map(|argument| (*argument).to_owned()).collect::<Vec<_>>());
        assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.err);
    }
    fs::create_dir(folder.join("data/seals")).unwrap();
    let there = data_root::records(&folder.join("data"))[0].id.clone();
    fs::rename(folder.join("again/seals").join(scan), folder.join("data/seals").join(there)).unwrap();
}

/// Processes a recording of reflectance, of which one container is half-empty.
fn reflected() -> Rig {
    let mut rig = Rig::new(&[Camera::new("vnir", 40, 7, (400.0, 1000.0), 0.0)], 0.0);
    let capture = rig.path("vnir/capture");
    let scene = |x_mm, y_mm, nm| if x_mm < 20.0 && y_mm > 27.0 { 0.02 } else { reflectance(x_mm, y_mm, nm) };
    rig.cameras[0].record_scene(&rig.path("vnir"), 0.0, LENGTH_MM, &scene);
    let header = fs::read_to_string(capture.join("vnir.hdr")).unwrap();
    fs::write(capture.join("vnir.hdr"), format!("{header}reflectance scale factor = 4000\ndata ignore value = 0\n")).unwrap();
    for reference in ["DARKREF_vnir", "WHITEREF_vnir"] {
        for ending in ["raw", "hdr"] {
            fs::remove_file(capture.join(format!("{reference}.{ending}"))).unwrap();
        }
    }
    rig.config = rig.config.replace("bits = 12", "saturation = 4000.0");
    let record = rig.process("data").record();
    assert!(record["samples"][0]["doubts"][0].is_string(), "{record}");
    rig
}

#[tokio::test]
async fn the_trees_of_the_document_are_those_of_the_files() {
    let trees = trees();
    let kinds = ["ENVI", "NXroot", "csv", "folder", "object", "zstd", "zstd, minerals"];
    assert_eq!(trees.keys().map(String::as_str).collect::<Vec<_>>(), kinds, "trees of docs/files.md");
    let folder = live().await;
    let processed = again(folder.path());
    assert_eq!(processed.code, Some(0), "{}{}", processed.out, processed.err);
    for mut record in data_root::records(&folder.path().join("again")) {
        let archived = Archived { place: "s3://ores/lab".into(), revision: 1, time: record.started.clone(), files: FilesHere::All };
        data_root::note_archived(&mut record, &folder.path().join("again"), archived).unwrap();
    }
    seal(folder.path());
    let reflected = reflected();

    let mut all: Vec<PathBuf> = vec![folder.path().join("data")];
    for data in [all[0].clone(), folder.path().join("again"), reflected.path("data")] {
        let readable = |path: &PathBuf| path.extension().is_some_and(|e| ["h5", "parquet", "json", "csv", "hdr"].iter().any(|k| e == *k));
        // The page lists the columns of the history of the wavelengths in its text.
        let history = |path: &PathBuf| path.ends_with("wavelength.csv");
        // RO-Crate is a form of others, and the worklist is read by the daemon alone.
        let told = |path: &PathBuf| path.ends_with("ro-crate-metadata.json") || path.ends_with("worklist.json");
        all.extend(files(&data).into_values().filter(|path| readable(path) && !history(path) && !told(path)));
    }
    let (mut seen, mut problems) = (BTreeSet::new(), String::new());
    for path in &all {
        let Some(rows) = rows(path) else { return };
        let what = path.file_name().unwrap().to_string_lossy();
        let tree = trees.get(&rows[0].kind).unwrap_or_else(|| panic!("{}: no tree of a {}", path.display(), rows[0].kind));
        for problem in differences(tree, &rows, &what, &mut seen) {
            writeln!(problems, "{problem}").unwrap();
        }
    }
    for (kind, tree) in &trees {
        for Line { path, .. } in tree.iter().filter(|line| !ELSEWHERE.contains(&line.path.as_str())) {
            if !seen.contains(&format!("{kind} {path}")) {
                writeln!(problems, "{kind}: {path} is in no file").unwrap();
            }
        }
    }
    assert!(problems.is_empty(), "docs/files.md and the files differ:\n{problems}");
    // One sample with all that is optional, and one of a recording of reflectance.
    let first = |data: PathBuf| files(&data).into_values().find(|path| path.extension().is_some_and(|e| e == "h5")).unwrap();
    python::run("conformance.py", &[&first(folder.path().join("again")), &first(reflected.path("data"))]);
}

#[test]
fn a_difference_is_seen_either_way() {
    let row = |path: &str, pattern: &str, kind: &str| Row {
        path: path.into(),
        pattern: pattern.into(),
        kind: kind.into(),
        unit: if path.ends_with("_mm") { "mm" } else { "-" }.into(),
    };
    let tree: Vec<Line> = ["/  object", "/a  object", "/a/{name}?  object", "/a/{name}/x_mm  number  mm  where", "/b?  [integer] | null"]
        .into_iter()
        .map(line)
        .collect();
    let good = [
        row("/", "/", "object"),
        row("/a", "/a", "object"),
        row("/a/one", "/a/{name}", "object"),
        row("/a/one/x_mm", "/a/{name}/x_mm", "number"),
        row("/b", "/b", "null"),
    ];
    let mut seen = BTreeSet::new();
    assert_eq!(differences(&tree, &good, "f", &mut seen), [""; 0]);
    assert_eq!(seen.len(), 5);
    let other = [
        row("/", "/", "object"),
        row("/a", "/a", "object"),
        row("/a/one", "/a/{name}", "object"),
        row("/a/two", "/a/{name}", "object"),
        row("/a/two/x_mm", "/a/{name}/x_mm", "integer"),
        row("/b", "/b", "[string]"),
        row("/c", "/c", "string"),
    ];
    let found = differences(&tree, &other, "f", &mut seen);
    let expected = [
        "f: /a/one has no /a/{name}/x_mm",
        "f: /a/two/x_mm is integer, mm, and not number, mm",
        "f: /b is [string], -, and not [integer] | null, -",
        "f: /c (string) is in no tree",
    ];
    assert_eq!(found, expected);
    assert!(is("[]", "[integer]") && !is("[]", "integer"));
}
