use super::*;
use crate::scan::{rows_of_csv, trays_of};
use serde_json::json;

fn held(csv: &str) -> Result<Worklist, Vec<Fault>> {
    let preset = json!({"grid": {"rows": 2, "columns": 2}});
    Worklist::new(trays_of(&rows_of_csv(csv)?, Some(&preset))?, "ada", "2026-12-01T08:00:00Z")
}

const LIST: &str = "tray,at,sample,barcode,plant,vars.cu\nK1,A1,S1,4001,north,0.8\nK1,A2,S2,4002,north,1.1\nK2,A1,S3,4003,south,0.2\n";

/// The record of a scan that stored these samples, each with a number of valid pixels.
fn record(id: &str, complete: Option<bool>, samples: &[(&str, u64)]) -> ScanRecord {
    let containers: Vec<_> = samples
        .iter()
        .enumerate()
        .map(|(n, (sample, _))| json!({"sample": sample, "x_mm": 20.0 * n as f64, "y_mm": 0.0, "diameter_mm": 10.0}))
        .collect();
    let map = json!({"tray": "T", "container": containers});
    let stored: Vec<_> = samples
        .iter()
        .map(|(sample, valid)| {
            json!({"sample": sample, "container": "1", "file": "", "shape": [1, 1, 1], "pixels": 4, "valid": valid, "doubts": []})
        })
        .collect();
    let record = json!({"format_version": 1, "id": id, "tray": Tray::check(&map).unwrap(), "started": id, "ended": null,
        "complete": complete, "reason": null, "cameras": {}, "samples": stored, "missing": [], "residuals_mm": {}, "warnings": [],
        "embeddings": 0, "files": [], "version": "0", "configuration_sha256": "", "encoder_sha256": null});
    ScanRecord::parse(&record.to_string(), std::path::Path::new("scan.json")).unwrap()
}

#[test]
fn samples_are_missing_until_a_complete_scan_holds_them() {
    let list = held(LIST).unwrap();
    let states = |records: &[ScanRecord]| {
        let status = list.status(records);
        let samples = status.trays.iter().flat_map(|tray| &tray.samples).map(|sample| sample.state).collect::<Vec<_>>();
        (samples, status.next, [status.missing, status.scanned, status.rescanned])
    };
    use SampleState::{Missing, Rescanned, Scanned};
    let (incomplete, running) = (record("1", Some(false), &[("S1", 4)]), record("2", None, &[("S2", 4)]));
    assert_eq!(states(&[incomplete.clone(), running]), (vec![Missing; 3], Some("K1".into()), [3, 0, 0]));
    // S2 has no valid pixel.
    let first = record("3", Some(true), &[("S1", 4), ("S2", 0)]);
    assert_eq!(states(&[incomplete, first.clone()]), (vec![Scanned, Missing, Missing], Some("K1".into()), [2, 1, 0]));
    let second = record("4", Some(true), &[("S1", 4), ("S2", 1)]);
    assert_eq!(states(&[second.clone(), first.clone()]), (vec![Rescanned, Scanned, Missing], Some("K2".into()), [1, 1, 1]));
    let all = [first, second, record("5", Some(true), &[("S3", 4)])];
    assert_eq!(states(&all), (vec![Rescanned, Scanned, Scanned], None, [0, 2, 1]));
    assert_eq!(list.status(&all).trays[0].samples[0].scans, ["3", "4"]);
}

#[test]
fn a_sample_that_was_scanned_already_is_told_with_its_last_scan() {
    let list = held(LIST).unwrap();
    let records = [record("1", Some(true), &[("S1", 4), ("X", 4)]), record("2", Some(true), &[("S1", 4)])];
    let tray = |samples: &[(&str, u64)]| record("9", None, samples).tray;
    assert_eq!(list.scanned_already(&tray(&[("S2", 1), ("X", 1)]), &records), None, "X is not listed");
    let told = list.scanned_already(&tray(&[("S2", 1), ("S1", 1)]), &records).unwrap();
    assert!(told.contains("S1 in 2") && told.contains("again"), "{told}");
}

#[test]
fn what_comes_twice_is_refused_with_both_places() {
    for (csv, path, says) in [
        ("tray,at,sample,barcode\nK1,A1,S1,7\nK2,A1,S2,7\n", "K2: container[0].barcode", "`7` is on A1 of tray K1 too"),
        ("tray,at,sample\nK1,A1,S1\nK2,A1,S1\n", "K2: container[0].sample", "`S1` is in A1 of tray K1 too"),
        ("tray,at,sample\nK1,A1,S/1\n", "K1: container[0].sample", "must be"),
    ] {
        let faults = held(csv).unwrap_err();
        assert!(faults.iter().any(|fault| fault.path == path && fault.problem.contains(says)), "{faults:?}");
    }
}

#[test]
fn a_barcode_stands_for_what_the_list_says_of_it() {
    let list = held(LIST).unwrap();
    let mut map = json!({"tray": "N", "grid": {"rows": 1, "columns": 2},
        "container": [{"at": "A2", "barcode": 4003}, {"at": "A1", "barcode": "4001", "plant": "west"}]});
    assert!(needs_worklist(&map));
    list.resolve(&mut map).unwrap();
    assert!(!needs_worklist(&map));
    let tray = Tray::check(&map).unwrap();
    let told: Vec<_> = tray.containers.iter().map(|c| (c.at.as_str(), c.sample.as_str(), c.keys["plant"].as_str(), c.vars["cu"])).collect();
    // The place is where it lies now, and what the map says counts.
    assert_eq!(told, [("A2", "S3", "south", 0.2), ("A1", "S1", "west", 0.8)]);

    let mut unknown = json!({"tray": "N", "container": [{"sample": "S9"}, {"barcode": "9"}]});
    let faults = list.resolve(&mut unknown).unwrap_err();
    assert_eq!(faults, without_worklist(&unknown));
    assert!(faults[0].path == "container[1].barcode" && faults[0].problem.contains("`9` is not in the worklist"), "{faults:?}");
}

#[test]
fn its_file_is_whole_or_refused_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    assert!(read(data).unwrap().is_none() && !remove(data).unwrap());
    let list = held(LIST).unwrap();
    write(data, &list).unwrap();
    assert_eq!(read(data).unwrap().unwrap(), list);
    let whole = std::fs::read_to_string(data.join(FILE)).unwrap();
    for (text, says) in [
        (whole[..whole.len() / 2].to_owned(), "put the worklist here again"),
        (whole.replace("\"format_version\": 1", "\"format_version\": 9"), "update hyclus"),
        ("{}".to_owned(), "no format_version"),
    ] {
        std::fs::write(data.join(FILE), text).unwrap();
        let told = read(data).unwrap_err().to_string();
        assert!(told.contains(says), "{told}");
    }
    assert!(remove(data).unwrap() && read(data).unwrap().is_none());
}
