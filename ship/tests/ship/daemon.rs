//! Shipping beside the daemon: nothing moves while it scans, and local files go through it.

use crate::rig::{PATIENCE, Rig, Running, wait_until};
use hyclus::client::Client;
use hyclus::data_root;
use hyclus::scan::{FilesHere, ScanRecord, StateName};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

fn daemon(rig: &Rig) -> (Running, Client) {
    let program = Path::new(env!("CARGO_BIN_EXE_hyclus-ship")).with_file_name("hyclusd");
    assert!(program.exists(), "{} is missing; build the whole workspace", program.display());
    let log = fs::File::create(rig.folder.path().join("hyclusd.log")).unwrap();
    let mut command = Command::new(program);
    command.arg("--config").arg(rig.config()).args(["--listen", "127.0.0.1:0"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    let running = Running(command.spawn().unwrap());
    let client = Client::of(rig.folder.path().join("control.sock"));
    let runtime = runtime();
    wait_until("the daemon answers", || runtime.block_on(client.status()).is_ok());
    (running, client)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Scans the demo's tray to its end.
fn scan(client: &Client) -> ScanRecord {
    let map = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/trays/demo.toml");
    let tray: toml::Value = toml::from_str(&fs::read_to_string(map).unwrap()).unwrap();
    let runtime = runtime();
    let begun = runtime.block_on(client.start_scan(serde_json::to_value(tray).unwrap())).unwrap();
    let begin = Instant::now();
    loop {
        let record = runtime.block_on(client.scan(&begun.id)).unwrap();
        if record.ended.is_some() {
            return record;
        }
        assert!(begin.elapsed() < 3 * PATIENCE, "the scan does not end");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}

#[test]
fn old_scans_lie_in_the_archive_alone_and_come_back() {
    let archive = tempfile::tempdir().unwrap();
    let ship = format!("archive = {:?}\nkeep_days = 0.0", archive.path());
    let rig = Rig::new("bench", &ship);
    let (daemon, client) = daemon(&rig);
    let id = scan(&client).id;
    let mut shipper = rig.start();
    let here = || data_root::record(&rig.data(), &id).unwrap();
    wait_until("its files are gone", || here().archived.is_some_and(|archived| archived.files == FilesHere::Record));
    let folder = rig.data().join("scans").join(&id);
    wait_until("the folders are gone, too", || !folder.join("samples").exists() && !folder.join("raw").exists());
    assert!(folder.join("quicklook.png").exists() && folder.join("scan.json").exists());
    let record = here();
    let files = record.files.len();
    assert!(files > 12, "{files}");
    assert_eq!(data_root::verify(&record, &rig.data(), &|| {}).unwrap(), []);
    assert!(data_root::elsewhere(&record).unwrap().contains("hyclus-ship fetch"));
    let log = fs::read_to_string(rig.folder.path().join("hyclusd.log")).unwrap();
    assert!(log.contains("the scan lies in an archive"), "{log}");
    shipper.kill();
    // The note is no news for the archive.
    assert!(rig.ship().0);
    assert!(!archive.path().join(format!("objects/rig=bench/scan={id}/revision=2")).exists());
    let (ok, text) = rig.run(&["fetch", &id]);
    assert!(ok, "{text}");
    assert_eq!(here().archived.unwrap().files, FilesHere::All);
    assert_eq!(data_root::verify(&here(), &rig.data(), &|| {}).unwrap(), []);
    assert!(here().files.iter().all(|file| rig.data().join(&file.path).exists()));
    // What the archive lost stays here.
    let object = archive.path().join(format!("objects/rig=bench/scan={id}/quicklook.png"));
    assert!(object.exists());
    let sample = here().files.iter().find(|file| file.path.ends_with(".h5")).unwrap().path.clone();
    let name = Path::new(&sample).file_name().unwrap();
    fs::remove_file(archive.path().join(format!("objects/rig=bench/scan={id}/samples")).join(name)).unwrap();
    let (_, text) = rig.ship();
    assert!(text.contains("its local copy stays"), "{text}");
    assert!(rig.data().join(&sample).exists());
    drop(daemon);
}

#[test]
fn nothing_is_shipped_while_the_rig_scans() {
    let archive = tempfile::tempdir().unwrap();
    let rig = Rig::new("bench", &format!("archive = {:?}", archive.path()));
    let (daemon, client) = daemon(&rig);
    let map = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/trays/demo.toml");
    let tray: toml::Value = toml::from_str(&fs::read_to_string(map).unwrap()).unwrap();
    let runtime = runtime();
    let begun = runtime.block_on(client.start_scan(serde_json::to_value(tray).unwrap())).unwrap();
    rig.scan("20260101T000000Z-T1", 1000, 1);
    wait_until("the belt moves", || runtime.block_on(client.status()).unwrap().state == StateName::Scanning);
    let shipper = rig.start();
    // As long as the scan runs, the archive stays empty.
    let begin = Instant::now();
    loop {
        let empty = !archive.path().join("objects").exists();
        let record = runtime.block_on(client.scan(&begun.id)).unwrap();
        if record.ended.is_some() {
            break;
        }
        assert!(empty, "an object came while the rig scanned");
        assert!(begin.elapsed() < 3 * PATIENCE, "the scan does not end");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    wait_until("both scans are shipped", || rig.status()["shipped"] == 2);
    drop((shipper, daemon));
}
