//! The uncertainty in a sample's file, from a scan of the simulated rig, against programs of others.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "the rest is for the tests of the daemon")]
#[path = "daemon/rig.rs"]
mod daemon;
mod python;

use daemon::{Daemon, Options, configuration, scan, tray};

#[tokio::test]
async fn what_a_sample_says_of_its_uncertainty_is_what_others_compute() {
    let panel = "reflectance = 0.95, uncertainty = 0.00475";
    let daemon = Daemon::with(&configuration(&Options::default()).replace("reflectance = 0.95", panel));
    let (record, _) = scan(&daemon, tray(2, 2)).await;
    assert_eq!(record.samples.len(), 4, "{:?}", record.reason);
    let sample = daemon.data.join("scans").join(&record.id).join(&record.samples[0].file);
    python::run("uncertainty.py", &[&sample]);
    let shown = daemon.hyclus(&["inspect", "--pixel", "10,12", sample.to_str().unwrap()]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.starts_with("line 10, pixel 12: on the sample, ") && shown.lines().count() > 80, "{shown}");
    let refused = daemon.hyclus(&["inspect", "--pixel", "10,1200", sample.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("no pixel 10,1200; both count from 0"));
}
