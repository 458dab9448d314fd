//! How long a page waits for large data. `large.py` makes them from the small data root of these tests.

use crate::rig::{ROOT, Server, program};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

#[test]
#[ignore = "takes 3 GB of disk and a minute; HYCLUS_MEASURE names a folder that is kept for the next time"]
fn large_data_are_shown_soon() {
    let made = tempfile::tempdir().unwrap();
    let folder = std::env::var_os("HYCLUS_MEASURE").map_or_else(|| made.path().to_owned(), PathBuf::from);
    if !folder.join("embeddings").is_dir() {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/large.py");
        let python = std::env::var("HYCLUS_PYTHON").unwrap_or_else(|_| "python3".into());
        assert!(Command::new(python).arg(script).arg(&ROOT.data).arg(&folder).status().unwrap().success());
    }
    assert!(program("hyclus").exists());
    let server = Server::start(&folder, true);
    let time = |what: &str, path: &str| {
        let begin = Instant::now();
        let answer = server.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", String::from_utf8_lossy(&answer.body));
        println!("{:8.0} ms {:9} kB  {what}", begin.elapsed().as_secs_f64() * 1e3, answer.body.len() / 1000);
    };
    time("list of 1002 scans, the first time", "/api/scans");
    time("list of 1002 scans", "/api/scans?search=m99");
    let cube = "/api/samples/20300101T000000Z-CUBE/S-1";
    time("cube of 2 GB: three bands, every 7th line and pixel", &format!("{cube}/image?of=bands&bands=300,200,100&stride=7"));
    time("cube of 2 GB: the same again, other bands", &format!("{cube}/image?of=bands&bands=30,20,10&stride=7"));
    time("cube of 2 GB: every 4th", &format!("{cube}/image?of=bands&bands=300,200,100&stride=4"));
    time("cube of 2 GB: one band, every pixel", &format!("{cube}/image?of=bands&bands=300&stride=1"));
    time("cube of 2 GB: spectrum of a pixel", &format!("{cube}/spectrum?line=900&pixel=300"));
    time("cube of 2 GB: facts, with mean and spread", cube);
    time("cube of 2 GB: mean of a region of 40000 pixels", &format!("{cube}/region?points=0,0;0,200;200,200;200,0"));
    let scans = "scans=20310101T000000Z-ROWS";
    time("1e6 points: load, and components", &format!("/api/explorer?{scans}"));
    time("1e6 points: points", &format!("/api/explorer/points?{scans}"));
    time("1e6 points: a number of the embedding", &format!("/api/explorer/values?{scans}&of=embedding&n=3"));
    time("1e6 points: six clusters", &format!("/api/explorer/values?{scans}&of=cluster&k=6"));
    time("1e6 points: elbow", &format!("/api/explorer/elbow?{scans}"));
    time("1e6 points: spectra, grouped", &format!("/api/explorer/spectra?{scans}&group=plant&rows=400"));
    let begin = Instant::now();
    let polygon = json!([[-9.0, -9.0], [0.0, -9.0], [1.0, 4.0], [-3.0, 0.0]]);
    let lasso = json!({"scans": ["20310101T000000Z-ROWS"], "projection": "pca", "polygon": polygon});
    let selection = server.send("POST", "/api/explorer/selection", Some(&lasso)).json();
    println!(
        "{:8.0} ms  1e6 points: lasso of {} with {} spectra",
        begin.elapsed().as_secs_f64() * 1e3,
        selection["count"],
        selection["spectra"]
    );
    let begin = Instant::now();
    let job = server.job(&json!({"kind": "tsne", "scans": ["20310101T000000Z-ROWS"]}));
    println!("{:8.0} ms  t-SNE: {}", begin.elapsed().as_secs_f64() * 1e3, job["message"]);
}
