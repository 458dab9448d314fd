//! Shipping to S3.

use crate::rig::{Rig, wait_until};
use crate::server::Server;
use std::process::Command;

const ID: &str = "20260101T000000Z-T1";

#[test]
fn scans_go_to_s3_and_come_back() {
    let Some(server) = Server::start() else { return };
    let rig = Rig::new("bench", &server.ship("s3cret"));
    let mut record = rig.scan(ID, 40 << 20, 1);
    let (ok, text) = rig.ship();
    assert!(ok, "{text}");
    rig.fetched_whole(ID);
    rig.change(&mut record, &format!("scans/{ID}/samples/left.h5"), 60_000);
    let (ok, text) = rig.ship();
    assert!(ok, "{text}");
    assert_eq!(rig.fetched_whole(ID), record);
    assert!(!text.contains("s3cret"));
}

/// The server's answer says that it has what was read here, so nothing is read back.
#[test]
fn every_byte_goes_once() {
    let Some(server) = Server::start() else { return };
    let rig = Rig::new("bench", &format!("{}\nlisten = \"127.0.0.1:0\"", server.ship("s3cret")));
    // More parts than are on their way at a time.
    let record = rig.scan(ID, (5 << 24) + 7, 1);
    let mut running = rig.start();
    let metric = |name: &str| -> u64 {
        let log = rig.log();
        let Some((_, rest)) = log.split_once("http://") else { return 0 };
        let address = rest.split_whitespace().next().unwrap();
        let page = Command::new("curl").args(["-sSf", &format!("http://{address}")]).output().unwrap();
        let page = String::from_utf8(page.stdout).unwrap();
        page.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap_or(0)
    };
    let mut bytes: u64 = record.files.iter().map(|file| file.bytes).sum();
    bytes += std::fs::metadata(rig.data().join(format!("scans/{ID}/scan.json"))).unwrap().len();
    wait_until("everything is put", || metric("hyclus_ship_scans_total") == 1 && metric("hyclus_ship_bytes_total") >= bytes);
    assert_eq!(metric("hyclus_ship_bytes_total"), bytes);
    running.kill();
    rig.fetched_whole(ID);
}

#[test]
fn troubles_of_the_archive_are_told_and_outlived() {
    let Some(mut server) = Server::start() else { return };
    let rig = Rig::new("bench", &server.ship("wrong"));
    rig.scan(ID, 100, 1);
    let (ok, text) = rig.ship();
    assert!(!ok && text.contains("credentials") && !text.contains("wrong"), "{text}");
    // New credentials count without a restart.
    let mut running = rig.start();
    wait_until("the credentials are refused", || rig.log().contains("credentials"));
    server.credentials("s3cret");
    wait_until("the scan is shipped", || rig.status()["shipped"] == 1);
    server.kill();
    rig.scan("20260102T000000Z-T2", 20 << 20, 2);
    wait_until("the archive does not answer", || {
        rig.status()["trouble"]["reason"].as_str().is_some_and(|text| text.contains("does not answer"))
    });
    server.launch();
    wait_until("the next scan is shipped", || rig.status()["shipped"] == 2);
    assert_eq!(rig.status()["trouble"], serde_json::Value::Null);
    running.kill();
    rig.fetched_whole("20260102T000000Z-T2");
    assert!(!rig.log().contains("s3cret"), "{}", rig.log());
}
