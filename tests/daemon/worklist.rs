//! The worklist that a rig holds: what is scanned by it, what is refused, and what goes back.

use super::python;
use super::rig::{Daemon, Options, encoder, tray};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Output;

const LIST: &str = "sample,tray,at,barcode,plant,vars.cu\nS1,K1,A1,71,north,0.8\nS2,K1,A2,72,north,1.1\nS3,K1,B1,73,south,0.2\n\
                    S4,K1,B2,74,south,0.3\nS5,K2,A1,75,south,0.4\n";

fn told(output: &Output) -> String {
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn said(daemon: &Daemon, arguments: &[&str]) -> String {
    let output = daemon.hyclus(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn status(daemon: &Daemon) -> Value {
    serde_json::from_str(&said(daemon, &["worklist", "--json"])).unwrap()
}

/// Checks a table against its description, as far as both can be wrong.
fn table(folder: &Path) -> Vec<serde_json::Map<String, Value>> {
    let package: Value = serde_json::from_slice(&std::fs::read(folder.join("datapackage.json")).unwrap()).unwrap();
    let resource = &package["resources"][0];
    let text = std::fs::read_to_string(folder.join(resource["path"].as_str().unwrap())).unwrap();
    assert_eq!(resource["bytes"], text.len());
    let fields = resource["schema"]["fields"].as_array().unwrap();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let head: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    assert_eq!(head, fields.iter().map(|field| field["name"].as_str().unwrap()).collect::<Vec<_>>());
    let row = |record: csv::StringRecord| {
        let cells = record.iter().zip(fields).filter(|(cell, _)| !cell.is_empty()).map(|(cell, field)| {
            let value = match field["type"].as_str().unwrap() {
                "integer" => cell.parse::<u64>().unwrap().into(),
                "number" => cell.parse::<f64>().unwrap().into(),
                _ => cell.into(),
            };
            (field["name"].as_str().unwrap().to_owned(), value)
        });
        cells.collect()
    };
    reader.records().map(|record| row(record.unwrap())).collect()
}

#[tokio::test]
async fn a_worklist_is_scanned_tray_by_tray_and_goes_back_as_a_table() {
    let daemon = Daemon::start(&Options { more: encoder(), ..Options::default() });
    let files = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = files.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    assert!(told(&daemon.hyclus(&["worklist"])).contains("no worklist"), "there is none yet");
    assert!(told(&daemon.hyclus(&["scan", "--next"])).contains("no worklist"));
    // Places of a grid need a grid.
    let list = file("list.csv", LIST);
    assert!(told(&daemon.hyclus(&["worklist", "put", &list])).contains("K1: container[0].at: `A1` names a place of a regular tray"));
    let preset = file("preset.json", &tray(2, 2).to_string());
    said(&daemon, &["worklist", "put", &list, "--preset", &preset]);

    // A list with faults changes nothing.
    let doubled = file("doubled.csv", &LIST.replace(",72,", ",71,"));
    let nameless = file("nameless.csv", &LIST.replace("\nS2,", "\n,"));
    for (faulty, problem) in [(&doubled, "`71` is on A1 of tray K1 too"), (&nameless, "rows[1].sample: is missing")] {
        let refusal = told(&daemon.hyclus(&["worklist", "put", faulty, "--preset", &preset]));
        assert!(refusal.contains(problem), "{refusal}");
    }
    assert_eq!((status(&daemon)["missing"].clone(), status(&daemon)["next"].clone()), (json!(5), json!("K1")));

    let shown = said(&daemon, &["scan", "--next", "--wait"]);
    assert!(shown.contains("K1"), "{shown}");
    let now = status(&daemon);
    assert_eq!((&now["missing"], &now["scanned"], &now["next"]), (&json!(1), &json!(4), &json!("K2")), "{now}");

    // The tray again, by its name and by barcodes, is refused unless it is asked for.
    let refused = told(&daemon.hyclus(&["scan", "--listed", "K1"]));
    assert!(refused.contains("S1 in ") && refused.contains("again"), "{refused}");
    let by_codes = json!({"tray": "N", "grid": {"rows": 2, "columns": 2}, "container": [
        {"at": "A1", "barcode": "74"}, {"at": "A2", "barcode": "73"}, {"at": "B1", "barcode": 72}, {"at": "B2", "barcode": "71"}]});
    let map = file("codes.json", &by_codes.to_string());
    assert!(told(&daemon.hyclus(&["scan", "--tray", &map])).contains("S4 in "));
    let unknown = file("unknown.json", &by_codes.to_string().replace("\"74\"", "\"99\""));
    assert!(told(&daemon.hyclus(&["scan", "--tray", &unknown])).contains("tray.container[0].barcode: `99` is not in the worklist"));
    assert!(told(&daemon.hyclus(&["scan", "--listed", "K9"])).contains("there is no tray of the worklist `K9`"));
    said(&daemon, &["scan", "--tray", &map, "--again", "--wait"]);

    // It outlives the daemon.
    let (ended, log, folder) = daemon.end("-TERM");
    assert!(ended, "{}", log.join("\n"));
    let daemon = Daemon::launch(folder);
    let now = status(&daemon);
    assert_eq!((&now["missing"], &now["scanned"], &now["rescanned"]), (&json!(1), &json!(0), &json!(4)), "{now}");

    let out = files.path().join("out");
    let data = daemon.data.display().to_string();
    said(&daemon, &["export", "worklist", "--data", &data, out.to_str().unwrap()]);
    let rows = table(&out);
    assert_eq!(rows.iter().map(|row| row["sample"].as_str().unwrap()).collect::<Vec<_>>(), ["S1", "S2", "S3", "S4", "S5"]);
    assert_eq!((&rows[0]["state"], &rows[0]["container"], &rows[0]["key.plant"]), (&json!("rescanned"), &json!("B2"), &json!("north")));
    assert_eq!((rows[0]["vars.cu"].as_f64(), &rows[0]["scans"]), (Some(0.8), &json!(2)));
    assert_eq!(rows[0]["valid"], rows[0]["embeddings"], "a row of embedding for each valid pixel");
    assert!((0..4).all(|at| rows[0][&format!("e{at}")].as_f64().is_some_and(f64::is_finite)), "{:?}", rows[0]);
    assert_eq!((rows[4]["state"].as_str(), rows[4].get("pixels"), rows[4].get("e0")), (Some("missing"), None, None));
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/worklist.schema.json");
    python::run("worklist.py", &[&out, &schema, Path::new(&list), Path::new(&doubled), Path::new(&nameless)]);
    let twice = daemon.hyclus(&["export", "worklist", "--data", &data, out.to_str().unwrap()]);
    assert!(told(&twice).contains("exists already"));

    said(&daemon, &["worklist", "remove"]);
    assert!(told(&daemon.hyclus(&["worklist", "remove"])).contains("no worklist"));
}
