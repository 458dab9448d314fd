//! Shipping to S3.

use crate::rig::{Rig, wait_until};
use crate::server::Server;
use hyclus::scan::ScanRecord;
use md5::{Digest as _, Md5};
use serde_json::{Value, json};
use std::os::unix::fs::FileExt;
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

/// A counter of a shipper that serves metrics at a free port, which its log names.
fn metric(rig: &Rig, name: &str) -> u64 {
    let log = rig.log();
    let Some((_, rest)) = log.split_once("http://") else { return 0 };
    let address = rest.split_whitespace().next().unwrap();
    let page = Command::new("curl").args(["-sSf", &format!("http://{address}")]).output().unwrap();
    let page = String::from_utf8(page.stdout).unwrap();
    page.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap_or(0)
}

/// Bytes of a scan and its record.
fn bytes_of(rig: &Rig, record: &ScanRecord) -> u64 {
    let text = std::fs::metadata(rig.data().join(format!("scans/{}/scan.json", record.id))).unwrap();
    record.files.iter().map(|file| file.bytes).sum::<u64>() + text.len()
}

/// The server's answer says that it has what was read here, so nothing is read back.
#[test]
fn every_byte_goes_once() {
    let Some(server) = Server::start() else { return };
    let rig = Rig::new("bench", &format!("{}\nlisten = \"127.0.0.1:0\"", server.ship("s3cret")));
    // More parts than are on their way at a time.
    let record = rig.scan(ID, (5 << 24) + 7, 1);
    let mut running = rig.start();
    let bytes = bytes_of(&rig, &record);
    wait_until("everything is put", || metric(&rig, "hyclus_ship_scans_total") == 1 && metric(&rig, "hyclus_ship_bytes_total") >= bytes);
    assert_eq!(metric(&rig, "hyclus_ship_bytes_total"), bytes);
    running.kill();
    rig.fetched_whole(ID);
}

/// What the archive has of a large object is not sent again: after a kill of the shipper, and after one of the server.
#[test]
fn an_upload_goes_on_where_it_was_cut() {
    let Some(mut server) = Server::start() else { return };
    let ship = format!("{}\nlisten = \"127.0.0.1:0\"\n", server.ship("s3cret").replace("/lab", ""));
    let rig = Rig::new("bench", &format!("{ship}max_mib_per_s = 40"));
    let record = rig.scan(ID, (9 << 24) + 7, 1);
    let noted = |least: usize| {
        let text = std::fs::read_to_string(rig.folder.path().join("state/upload")).unwrap_or_default();
        text.lines().filter(|line| line.contains("\"part\"")).count() >= least
    };
    let mut running = rig.start();
    wait_until("two parts are put", || noted(2));
    running.kill();
    let mut running = rig.start();
    wait_until("two more are put", || noted(4));
    assert!(rig.log().contains("goes on with an upload"), "{}", rig.log());
    server.kill();
    wait_until("the archive does not answer", || rig.status()["trouble"]["reason"].is_string());
    running.kill();
    server.launch();
    rig.configure(&ship);
    let mut running = rig.start();
    wait_until("the scan is shipped", || rig.status()["shipped"] == 1);
    wait_until("its record counts", || metric(&rig, "hyclus_ship_scans_total") == 1);
    let sent = metric(&rig, "hyclus_ship_bytes_total");
    // Small files are read back, as their first shipper is gone.
    assert!(sent + (4 << 24) <= bytes_of(&rig, &record) + 100_000, "{sent} bytes were sent again");
    running.kill();
    rig.fetched_whole(ID);
    assert!(!rig.folder.path().join("state/upload").exists());
}

/// A note that the archive knows nothing of, and one of other bytes.
#[test]
fn a_note_that_is_wrong_costs_time_only() {
    let Some(server) = Server::start() else { return };
    let rig = Rig::new("bench", &format!("{}\nmax_mib_per_s = 40", server.ship("s3cret")));
    rig.scan(ID, 5 << 24, 1);
    let note = rig.folder.path().join("state/upload");
    let mut running = rig.start();
    wait_until("two parts are put", || std::fs::read_to_string(&note).is_ok_and(|text| text.lines().count() > 2));
    running.kill();
    let mut lines: Vec<Value> = std::fs::read_to_string(&note).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let write = |lines: &[Value]| std::fs::write(&note, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    // A part that the file does not have any more is put again.
    lines[1]["tag"] = json!("\"00000000000000000000000000000000\"");
    write(&lines);
    let mut running = rig.start();
    wait_until("two parts are put again", || std::fs::read_to_string(&note).is_ok_and(|text| text.lines().count() > lines.len() + 1));
    running.kill();
    // Of an upload that the archive dropped, or of which it lacks a part, nothing counts.
    let mut last = vec![0; 1 << 24];
    let raw = std::fs::File::open(rig.data().join(format!("scans/{ID}/raw/vnir/capture/{ID}.raw"))).unwrap();
    raw.read_exact_at(&mut last, 4 << 24).unwrap();
    let tag: String = Md5::digest(&last).iter().map(|byte| format!("{byte:02x}")).collect();
    let lacking = [lines[0].clone(), json!({"part": 4, "tag": format!("\"{tag}\"")})];
    lines[0]["id"] = json!("0123456789abcdef0123456789abcdef_0123456789abcdef0123456789abcdef");
    for lines in [&lacking[..], &lines] {
        write(lines);
        let (ok, text) = rig.ship();
        assert!(ok && text.contains("goes on with an upload") && !text.contains("ERROR"), "{text}");
        rig.fetched_whole(ID);
        assert!(!note.exists());
        server.empty();
        std::fs::remove_file(rig.folder.path().join("state/state.json")).unwrap();
    }
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
    assert_eq!(rig.status()["trouble"], Value::Null);
    running.kill();
    rig.fetched_whole("20260102T000000Z-T2");
    assert!(!rig.log().contains("s3cret"), "{}", rig.log());
}
