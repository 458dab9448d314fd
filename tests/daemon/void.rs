//! Scans that give nothing.

use super::rig::{Daemon, Options, tray};

#[tokio::test]
async fn a_live_scan_that_finds_nothing_is_incomplete_and_its_client_fails() {
    let options = Options { more: "[segment]\nmin_reflectance = 0.99\n".into(), ..Options::default() };
    let daemon = Daemon::start(&options);
    let map = daemon.folder.path().join("tray.json");
    std::fs::write(&map, tray(2, 2).to_string()).unwrap();
    let ended = daemon.hyclus(&["scan", "--tray", map.to_str().unwrap(), "--wait"]);
    let said = String::from_utf8_lossy(&ended.stderr).into_owned() + &String::from_utf8_lossy(&ended.stdout);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("no valid pixel") && said.contains("nothing was found on the tray"), "{said}");
    let scans = daemon.client().await.scans().await.unwrap();
    let record = daemon.record(&scans[0].id);
    assert_eq!((record.complete, record.samples.len()), (Some(false), 0), "{record:?}");
    assert!(record.reason.unwrap().contains("nothing was found"));
    assert!(record.files.iter().any(|file| file.path.ends_with(".raw")), "the recording is kept");
}
