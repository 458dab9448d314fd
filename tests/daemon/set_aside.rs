//! Recordings of scans that were cut off, with something wrong in them.

use super::rig::{Daemon, Options, configuration, scan, tray};
use hyclus::scan::ScanRecord;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// A data root whose one scan looks as if the daemon had been killed just before its end.
pub struct CutOff {
    pub folder: TempDir,
    pub id: String,
}

impl CutOff {
    pub async fn new(more: &str) -> Self {
        let text = configuration(&Options { more: more.to_owned(), ..Options::default() });
        let daemon = Daemon::with(&text);
        let (record, _) = scan(&daemon, tray(2, 2)).await;
        assert_eq!((record.complete, record.samples.len()), (Some(true), 4), "{:?}", record.reason);
        let this = Self { folder: daemon.kill(), id: record.id.clone() };
        let begun = ScanRecord { ended: None, complete: None, samples: Vec::new(), files: Vec::new(), ..record };
        std::fs::write(this.scan().join("scan.json"), serde_json::to_string(&begun).unwrap()).unwrap();
        let config = this.folder.path().join("rig.toml");
        std::fs::write(this.scan().join(".rig.toml"), format!("# {}\n{text}", config.display())).unwrap();
        this
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub fn scan(&self) -> PathBuf {
        self.data().join("scans").join(&self.id)
    }

    pub fn capture(&self, camera: &str, ending: &str) -> PathBuf {
        self.scan().join("raw").join(camera).join("capture").join(format!("{}.{ending}", self.id))
    }

    /// Changes the position in a row of a camera's `lines.csv`. Gives the table as it was.
    fn misplace(&self, camera: &str, row: usize, position: &str) -> String {
        let path = self.capture(camera, "lines.csv");
        let text = std::fs::read_to_string(&path).unwrap();
        let mut rows: Vec<String> = text.lines().map(str::to_owned).collect();
        let mut fields: Vec<&str> = rows[row].split(',').collect();
        fields[3] = position;
        rows[row] = fields.join(",");
        std::fs::write(&path, rows.join("\n") + "\n").unwrap();
        text
    }

    pub fn hyclus(&self, command: &str, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_hyclus")).arg(command).args(arguments).arg("--data").arg(self.data()).output().unwrap()
    }

    pub fn record(&self) -> ScanRecord {
        hyclus::data_root::record(&self.data(), &self.id).unwrap()
    }

    fn verified(&self) {
        let verified = self.hyclus("verify", &[&self.id]);
        assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    }
}

/// Bytes of the files below a folder.
fn bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    entries.map(|entry| if entry.path().is_dir() { bytes(&entry.path()) } else { entry.metadata().unwrap().len() }).sum()
}

#[tokio::test]
async fn a_wrong_position_costs_recovery_one_line_and_no_room_on_the_disk() {
    for wrong in ["100000.0", "1e9", "1e300", "-1e300"] {
        let cut_off = CutOff::new("").await;
        let before = bytes(&cut_off.data());
        cut_off.misplace("vnir", 80, wrong);
        let daemon = Daemon::launch(cut_off.folder);
        let cut_off = CutOff { folder: daemon.end("-TERM").2, id: cut_off.id };
        let record = cut_off.record();
        assert_eq!((record.set_aside.clone(), record.samples.len()), (None, 4), "{wrong}: {:?}", record.reason);
        assert_eq!(record.cameras["vnir"].unusable, 1, "{wrong}");
        assert!(record.warnings.iter().any(|warning| warning.contains("no belt could have carried")), "{wrong}: {:?}", record.warnings);
        assert!(bytes(&cut_off.data()) < before + (1 << 20), "{wrong}: {} bytes, and {before} before", bytes(&cut_off.data()));
        cut_off.verified();
    }
}

#[tokio::test]
async fn a_scan_that_cannot_be_recovered_is_set_aside_and_the_rig_scans_meanwhile() {
    let cut_off = CutOff::new("").await;
    let whole = cut_off.misplace("swir", 50, "NaN");
    let daemon = Daemon::launch(cut_off.folder);
    let status = daemon.client().await.status().await.unwrap();
    assert!(status.set_aside[&cut_off.id].contains("lines.csv") && status.set_aside[&cut_off.id].contains("NaN"), "{:?}", status.set_aside);
    let shown = daemon.hyclus(&["status"]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("is set aside"), "{}", String::from_utf8_lossy(&shown.stdout));
    let (meanwhile, _) = scan(&daemon, tray(2, 2)).await;
    assert_eq!(meanwhile.complete, Some(true), "{:?}", meanwhile.reason);
    let (_, log, folder) = daemon.end("-TERM");
    let tries = |log: &[String]| log.iter().filter(|line| line.contains("was cut off and is recovered")).count();
    assert_eq!(tries(&log), 1);
    let cut_off = CutOff { folder, ..cut_off };
    let record = cut_off.record();
    assert_eq!((record.complete, record.samples.len()), (Some(false), 0));
    assert!(record.reason.unwrap().contains("NaN") && record.set_aside.is_some());
    cut_off.verified();

    let daemon = Daemon::launch(cut_off.folder);
    let shown = daemon.client().await.status().await.unwrap().set_aside;
    let (_, log, folder) = daemon.end("-TERM");
    assert_eq!((tries(&log), shown.len()), (0, 1), "the next start does not try again, and still says so");

    let cut_off = CutOff { folder, ..cut_off };
    let again = cut_off.hyclus("recover", &[]);
    assert!(!again.status.success() && String::from_utf8_lossy(&again.stderr).contains("NaN"), "{again:?}");
    std::fs::write(cut_off.capture("swir", "lines.csv"), whole).unwrap();
    let again = cut_off.hyclus("recover", &[]);
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    let record = cut_off.record();
    assert_eq!((record.set_aside.clone(), record.samples.len()), (None, 4), "{record:?}");
    assert!(!cut_off.scan().join(".rig.toml").exists());
    cut_off.verified();
}

#[tokio::test]
async fn recovery_without_room_on_the_disk_is_set_aside_before_it_writes() {
    let cut_off = CutOff::new("[disk]\nreserve_mib = 0\n").await;
    let own = cut_off.scan().join(".rig.toml");
    // The room of no disk, in the configuration of the scan and in its record.
    let text = std::fs::read_to_string(&own).unwrap().replace("reserve_mib = 0", "reserve_mib = 1073741824");
    std::fs::write(&own, &text).unwrap();
    std::fs::write(cut_off.folder.path().join("rig.toml"), text.split_once('\n').unwrap().1).unwrap();
    let sha256 = hyclus::config::Loaded::read(&cut_off.folder.path().join("rig.toml")).unwrap().sha256;
    let changed = ScanRecord { configuration_sha256: sha256, ..cut_off.record() };
    std::fs::write(cut_off.scan().join("scan.json"), serde_json::to_string(&changed).unwrap()).unwrap();
    let recovered = cut_off.hyclus("recover", &[]);
    assert!(!recovered.status.success());
    let reason = cut_off.record().set_aside.unwrap();
    assert!(reason.contains("MiB free") && reason.contains("disk.reserve_mib"), "{reason}");
    assert!(!cut_off.scan().join("samples").exists());
}
