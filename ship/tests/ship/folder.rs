//! Shipping into a folder.

use crate::rig::{Rig, wait_until};
use hyclus::data_root;
use hyclus::scan::{Archived, FilesHere};
use hyclus::seal::{About, SealKey, new_key, seal, verify};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const ID: &str = "20260101T000000Z-T1";
const NEXT: &str = "20260102T000000Z-T2";

fn archive() -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let ship = format!("archive = {:?}", folder.path());
    (folder, ship)
}

fn objects(archive: &Path) -> Vec<String> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path, found) } else { found.push(path) }
        }
    }
    let mut found = Vec::new();
    walk(archive, &mut found);
    let mut names: Vec<String> = found.iter().map(|path| path.strip_prefix(archive).unwrap().display().to_string()).collect();
    names.sort();
    names
}

#[test]
fn a_scan_is_shipped_once_and_fetched_whole() {
    let (archive, ship) = archive();
    let rig = Rig::new("bench", &ship);
    // Three parts of an upload, the last one short.
    rig.scan(ID, 33 << 20, 1);
    rig.scan(NEXT, 100, 2);
    let (ok, text) = rig.ship();
    assert!(ok, "{text}");
    let first = objects(archive.path());
    assert_eq!(first.len(), 14, "{first:?}");
    assert!(first.contains(&format!("objects/rig=bench/scan={ID}/raw/vnir/capture/{ID}.raw")), "{first:?}");
    assert!(first.contains(&format!("objects/rig=bench/scan={ID}/embeddings/part-00000.parquet")));
    assert_eq!(rig.fetched_whole(ID).files.len(), 6);
    rig.fetched_whole(NEXT);
    let status = rig.status();
    assert_eq!((&status["shipped"], &status["backlog"]["scans"]), (&2.into(), &0.into()), "{status}");
    // Without its memory, the shipper finds everything there.
    fs::remove_dir_all(rig.folder.path().join("state")).unwrap();
    assert!(rig.ship().0);
    assert_eq!(objects(archive.path()), first);
}

#[test]
fn a_later_revision_has_what_is_new() {
    let (archive, ship) = archive();
    let rig = Rig::new("bench", &ship);
    let mut record = rig.scan(ID, 1000, 1);
    assert!(rig.ship().0);
    let before = objects(archive.path()).len();
    rig.change(&mut record, &format!("scans/{ID}/samples/left.h5"), 60_000);
    assert_eq!(rig.status()["backlog"]["scans"], 1);
    assert!(rig.ship().0);
    let root = format!("objects/rig=bench/scan={ID}/revision=2");
    let new: Vec<String> = objects(archive.path()).into_iter().filter(|name| name.starts_with(&root)).collect();
    assert_eq!(new, [format!("{root}/samples/left.h5"), format!("{root}/scan.json")]);
    assert_eq!(objects(archive.path()).len(), before + 2);
    let fetched = rig.fetched_whole(ID);
    assert_eq!(fetched.files.iter().find(|file| file.path.ends_with("left.h5")).unwrap().bytes, 60_000);
    // What the record says of archives is no new revision.
    let archived = Archived { place: "x".into(), revision: 2, time: "2026-01-01T00:00:00Z".into(), files: FilesHere::All };
    record.archived = Some(archived);
    record.write(&rig.data()).unwrap();
    assert!(rig.ship().0);
    assert_eq!(objects(archive.path()).len(), before + 2);
}

#[test]
fn a_seal_follows_its_scan_and_comes_back() {
    let (archive, ship) = archive();
    let rig = Rig::new("bench", &ship);
    let record = rig.scan(ID, 1000, 1);
    assert!(rig.ship().0);
    let before = objects(archive.path());
    let key = |name: &str| {
        let path = rig.folder.path().join(name);
        new_key(&path).unwrap();
        SealKey::read(&path).unwrap()
    };
    let about = About { by: "Ada Lovelace".into(), ..About::default() };
    let sealed = seal(&record, &rig.data(), &key("first"), &about, &|| {}).unwrap();
    let backlog = rig.status()["backlog"].clone();
    assert_eq!((&backlog["scans"], &backlog["bytes"]), (&1.into(), &0.into()), "{backlog}");
    for _ in 0..2 {
        let (ok, text) = rig.ship();
        assert!(ok, "{text}");
        let new: Vec<String> = objects(archive.path()).into_iter().filter(|name| !before.contains(name)).collect();
        let of = |name: &str| format!("objects/rig=bench/scan={ID}/seal=1/{name}");
        assert_eq!(new, ["ro-crate-metadata.json", "ro-crate-metadata.json.minisig", "scan.json", "seal.pub"].map(of));
        // Without its memory, the shipper finds it there.
        fs::remove_dir_all(rig.folder.path().join("state")).unwrap();
    }
    let fetch = |into: &Path| rig.run(&["fetch", ID, "--into", into.to_str().unwrap()]);
    let proved = |into: &Path| verify(&data_root::record(into, ID).unwrap(), into, None, &|| {}).unwrap();
    let into = tempfile::tempdir().unwrap();
    let (ok, text) = fetch(into.path());
    assert!(ok && text.contains("with its seal"), "{text}");
    let (found, damages) = proved(into.path()).unwrap();
    assert!(damages.is_empty() && found.key == sealed.key, "{damages:?}");
    // Sealed again, by somebody else. What a try before left of it is not in the way.
    let other = seal(&record, &rig.data(), &key("second"), &about, &|| {}).unwrap();
    let left = archive.path().join(format!("objects/rig=bench/scan={ID}/seal=2"));
    fs::create_dir(&left).unwrap();
    fs::write(left.join("seal.pub"), "of another try").unwrap();
    assert!(rig.ship().0);
    let again = tempfile::tempdir().unwrap();
    assert!(fetch(again.path()).0);
    assert_eq!(proved(again.path()).unwrap().0.key, other.key);
    // A seal that is here stays.
    let (ok, text) = fetch(into.path());
    assert!(ok && !text.contains("with its seal") && proved(into.path()).unwrap().0.key == sealed.key, "{text}");
    // One that was altered is neither brought back nor shipped, and its scan is both.
    let list = archive.path().join(format!("objects/rig=bench/scan={ID}/seal=3/ro-crate-metadata.json"));
    fs::write(&list, fs::read_to_string(&list).unwrap().replace("Ada", "Eve")).unwrap();
    let nowhere = tempfile::tempdir().unwrap();
    let (ok, text) = fetch(nowhere.path());
    assert!(ok && text.contains("without its seal") && text.contains("cannot be used"), "{text}");
    assert!(!nowhere.path().join("seals").exists() && data_root::record(nowhere.path(), ID).unwrap() == record);
    let list = other.folder.join("ro-crate-metadata.json");
    fs::write(&list, fs::read_to_string(&list).unwrap().replace("Ada", "Eve")).unwrap();
    fs::remove_dir_all(rig.folder.path().join("state")).unwrap();
    let (ok, text) = rig.ship();
    let status = rig.status();
    let reason = status["failed"][ID]["reason"].as_str().unwrap_or_default();
    assert!(!ok && reason.contains("seals it again") && status["shipped"] == 1, "{text} {status}");
}

#[test]
fn an_altered_file_is_refused_by_name_and_others_go() {
    let (archive, ship) = archive();
    let rig = Rig::new("bench", &ship);
    for (id, raw) in [(ID, 100), (NEXT, 20 << 20), ("20260103T000000Z-T3", 100), ("20260104T000000Z-T4", 100)] {
        rig.scan(id, raw, 1);
    }
    let flip = |path: PathBuf| {
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, bytes).unwrap();
    };
    flip(rig.data().join(format!("scans/{ID}/samples/left.h5")));
    flip(rig.data().join(format!("scans/{NEXT}/raw/vnir/capture/{NEXT}.raw")));
    fs::write(rig.data().join("scans/20260103T000000Z-T3/quicklook.png"), "x").unwrap();
    let (ok, text) = rig.ship();
    assert!(!ok, "{text}");
    let status = rig.status();
    for (id, file) in [(ID, "left.h5"), (NEXT, ".raw"), ("20260103T000000Z-T3", "quicklook.png")] {
        let reason = status["failed"][id]["reason"].as_str().unwrap();
        assert!(reason.contains(file) && reason.contains("altered"), "{reason}");
        assert!(!objects(archive.path()).iter().any(|name| name.contains(id) && (name.ends_with(file) || name.ends_with("scan.json"))));
    }
    rig.fetched_whole("20260104T000000Z-T4");
    // Restored files are shipped.
    flip(rig.data().join(format!("scans/{ID}/samples/left.h5")));
    assert!(!rig.ship().0);
    rig.fetched_whole(ID);
    let (ok, text) = rig.run(&["status"]);
    assert!(!ok && text.contains("failed") && text.contains(NEXT), "{text}");
}

#[test]
fn what_the_archive_withdrew_stays_away() {
    let (archive, ship) = archive();
    let rig = Rig::new("bench", &ship);
    let mut record = rig.scan(ID, 100, 1);
    assert!(rig.ship().0);
    let root = archive.path().join(format!("objects/rig=bench/scan={ID}"));
    fs::write(root.join("withdrawn.json"), "{\"reason\": \"wrong tray\"}").unwrap();
    rig.change(&mut record, &format!("scans/{ID}/samples/left.h5"), 60_000);
    let (ok, text) = rig.ship();
    assert!(ok && text.contains("withdrawn"), "{text}");
    assert!(!root.join("revision=2").exists());
    assert_eq!(rig.status()["withdrawn"][0], ID);
}

#[test]
fn two_rigs_of_one_name_are_told_apart() {
    let (_archive, ship) = archive();
    let (one, two) = (Rig::new("bench", &ship), Rig::new("bench", &ship));
    one.scan(ID, 100, 1);
    two.scan(ID, 100, 2);
    assert!(one.ship().0);
    let (ok, text) = two.ship();
    assert!(!ok && text.contains("name of its own"), "{text}");
    one.fetched_whole(ID);
}

#[test]
fn two_shippers_of_one_rig_ship_each_scan_once() {
    let (archive, ship) = archive();
    let rig = Rig::new("bench", &ship);
    for number in 1..=6 {
        rig.scan(&format!("2026010{number}T000000Z-T"), 18 << 20, number);
    }
    let other = rig.folder.path().join("other.toml");
    let text = fs::read_to_string(rig.config()).unwrap();
    let state = rig.folder.path().join("state").display().to_string();
    fs::write(&other, text.replace(&state, &format!("{state}-2"))).unwrap();
    let mut second = std::process::Command::new(env!("CARGO_BIN_EXE_hyclus-ship"));
    let second = second.arg("--config").arg(&other).args(["run", "--once"]).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let (ok, text) = rig.ship();
    let output = second.wait_with_output().unwrap();
    assert!(ok && output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(objects(archive.path()).len(), 6 * 7);
    for number in 1..=6 {
        rig.fetched_whole(&format!("2026010{number}T000000Z-T"));
    }
}

#[test]
fn bad_places_and_states_say_what_to_do() {
    let rig = Rig::new("bench", "archive = \"/nowhere/at/all\"");
    rig.scan(ID, 100, 1);
    let (ok, text) = rig.ship();
    assert!(!ok && text.contains("no such folder"), "{text}");
    let (_archive, ship) = archive();
    rig.configure(&ship);
    let (ok, text) = rig.run(&["fetch", NEXT]);
    assert!(!ok && text.contains("no scan"), "{text}");
    let (ok, text) = rig.run(&["fetch", "../x"]);
    assert!(!ok && text.contains("no id"), "{text}");
    let mut running = rig.start();
    wait_until("the scan is shipped", || rig.status()["shipped"] == 1);
    let (ok, text) = rig.ship();
    assert!(!ok && text.contains("another hyclus-ship"), "{text}");
    running.kill();
    let (ok, text) = rig.run(&["check"]);
    assert!(ok && text.contains("answers    yes"), "{text}");
    fs::write(rig.folder.path().join("state/state.json"), "{").unwrap();
    let (ok, text) = rig.ship();
    assert!(!ok && text.contains("remove it"), "{text}");
}

#[test]
fn an_idle_shipper_notices_that_the_archive_answers() {
    let (archive, ship) = archive();
    let rig = Rig::new("bench", &ship);
    let state = rig.folder.path().join("state");
    fs::create_dir(&state).unwrap();
    let trouble = json!({"reason": "it was away", "since": "2026-01-01T00:00:00Z"});
    let text = json!({"archive": archive.path(), "rig": "bench", "scans": {}, "failed": {}, "trouble": trouble, "bytes_per_s": 0.0});
    fs::write(state.join("state.json"), text.to_string()).unwrap();
    assert_eq!(rig.status()["trouble"]["reason"], "it was away");
    let (ok, text) = rig.ship();
    assert!(ok, "{text}");
    assert_eq!(rig.status()["trouble"], Value::Null);
}

#[test]
fn what_a_try_left_behind_is_not_taken_for_another_file() {
    let (archive, ship) = archive();
    let rig = Rig::new("bench", &ship);
    let mut record = rig.scan(ID, 100, 1);
    assert!(rig.ship().0);
    // A shipper was killed before the record of a second revision, which never came to be.
    let left = archive.path().join(format!("objects/rig=bench/scan={ID}/revision=2/samples"));
    fs::create_dir_all(&left).unwrap();
    fs::write(left.join("left.h5"), vec![7; 50_000]).unwrap();
    rig.change(&mut record, &format!("scans/{ID}/quicklook.png"), 600);
    let (ok, text) = rig.ship();
    assert!(ok, "{text}");
    assert_eq!(rig.fetched_whole(ID), record);
}

#[test]
fn a_server_of_events_that_is_away_holds_up_nothing() {
    let (_archive, ship) = archive();
    // Nobody listens on a port that was just free.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let rig = Rig::new("bench", &format!("{ship}\nevents = \"nats://127.0.0.1:{port}\""));
    rig.scan(ID, 100, 1);
    rig.scan(NEXT, 100, 2);
    let (ok, text) = rig.ship();
    assert!(ok && text.matches("no events of shipped scans").count() == 1 && !text.contains("ERROR"), "{text}");
    assert_eq!(rig.status()["shipped"], 2);
}

#[test]
fn a_damaged_object_is_never_fetched() {
    let (archive, ship) = archive();
    let rig = Rig::new("bench", &ship);
    rig.scan(ID, 100, 1);
    assert!(rig.ship().0);
    let object = archive.path().join(format!("objects/rig=bench/scan={ID}/samples/left.h5"));
    let mut bytes = fs::read(&object).unwrap();
    bytes[7] ^= 1;
    fs::write(&object, bytes).unwrap();
    let into = tempfile::tempdir().unwrap();
    let (ok, text) = rig.run(&["fetch", ID, "--into", into.path().to_str().unwrap()]);
    assert!(!ok && text.contains("left.h5"), "{text}");
    assert!(!into.path().join(format!("scans/{ID}/samples/left.h5")).exists());
    assert!(!into.path().join(format!("scans/{ID}/scan.json")).exists());
}
