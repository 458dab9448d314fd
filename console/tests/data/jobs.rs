//! Jobs, with the real programs.

use crate::rig::{PATIENCE, ROOT, Server};
use serde_json::json;
use std::process::Command;
use std::sync::atomic::Ordering;

#[test]
fn a_scan_is_verified_by_anyone() {
    let server = Server::start(&ROOT.data, false);
    let job = server.job(&json!({"kind": "verify", "scan": ROOT.scans[0]}));
    assert_eq!((&job["state"], &job["progress"], &job["by"]), (&json!("done"), &json!(1.0), &json!("maria")), "{job}");
    let result = server.get(&format!("/api/jobs/{}/result", job["id"].as_str().unwrap()));
    assert!(String::from_utf8_lossy(&result.body).contains("all as scan.json says"));
    assert!(result.header("content-disposition").unwrap().starts_with("attachment"));
    for kind in ["process", "export", "tsne"] {
        let refused = server.send("POST", "/api/jobs", Some(&json!({"kind": kind, "scan": ROOT.scans[0], "scans": [ROOT.scans[0]]})));
        assert_eq!(refused.status, 403, "{kind}");
    }
}

#[test]
fn an_export_is_an_archive() {
    let server = Server::start(&ROOT.data, true);
    for (format, file) in [("envi", "S-1.hdr"), ("hidsag", "metadata.json")] {
        let job = server.job(&json!({"kind": "export", "scan": ROOT.scans[0], "format": format}));
        assert_eq!(job["state"], "done", "{job}");
        let path = format!("/api/jobs/{}", job["id"].as_str().unwrap());
        let result = server.get(&format!("{path}/result"));
        assert_eq!((result.status, result.header("content-type")), (200, Some("application/x-tar")));
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.tar"), &result.body).unwrap();
        let listed = Command::new("tar").arg("-tf").arg(folder.path().join("a.tar")).output().unwrap();
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        assert!(listed.lines().any(|line| line.ends_with(file)), "{listed}");
        assert_eq!(server.send("DELETE", &path, None).status, 200);
        assert_eq!(server.get(&format!("{path}/result")).status, 404);
    }
    assert_eq!(std::fs::read_dir(server.state.path().join("jobs")).unwrap().count(), 0);
}

#[test]
fn a_scan_processed_again_is_compared_with_what_is_stored() {
    let server = Server::start(&ROOT.data, true);
    let before = std::fs::metadata(ROOT.data.join("scans").join(&ROOT.scans[1]).join("scan.json")).unwrap().modified().unwrap();
    let job = server.job(&json!({"kind": "process", "scan": ROOT.scans[1]}));
    assert_eq!(job["state"], "done", "{job}");
    println!("processed again: {}", job["message"]);
    assert!(job["message"].as_str().unwrap().contains("4 samples"), "{job}");
    let result = server.get(&format!("/api/jobs/{}/result", job["id"].as_str().unwrap()));
    let text = String::from_utf8_lossy(&result.body);
    assert!(text.contains("comparison.json") && text.contains("S-4.h5"));
    let after = std::fs::metadata(ROOT.data.join("scans").join(&ROOT.scans[1]).join("scan.json")).unwrap().modified().unwrap();
    assert_eq!(before, after);
}

#[test]
fn a_map_is_made_once_and_kept() {
    let server = Server::start(&ROOT.data, true);
    let scans = ROOT.scans.join(",");
    // A map needs no free rig.
    server.busy.store(true, Ordering::Relaxed);
    let refused = server.send("POST", "/api/jobs", Some(&json!({"kind": "verify", "scan": ROOT.scans[0]})));
    assert_eq!(refused.status, 409);
    assert!(refused.json()["detail"].as_str().unwrap().contains("a scan runs"));
    let job = server.job(&json!({"kind": "tsne", "scans": ROOT.scans}));
    assert_eq!(job["state"], "done", "{job}");
    let points = server.get(&format!("/api/explorer/points?scans={scans}&projection=tsne"));
    let count = server.json(&format!("/api/explorer?scans={scans}"))["count"].as_u64().unwrap();
    assert_eq!((points.status, points.body.len() as u64), (200, 12 * count.min(20_000)));
    let values = server.get(&format!("/api/explorer/values?scans={scans}&projection=tsne&of=embedding&n=0"));
    assert_eq!(values.body.len() as u64, 4 * count.min(20_000));
    let all = json!([[-1e9, -1e9], [1e9, -1e9], [1e9, 1e9], [-1e9, 1e9]]);
    let lasso = json!({"scans": ROOT.scans, "projection": "tsne", "polygon": all});
    assert_eq!(server.send("POST", "/api/explorer/selection", Some(&lasso)).json()["count"].as_u64().unwrap(), count.min(20_000));
    let again = server.job(&json!({"kind": "tsne", "scans": ROOT.scans}));
    assert_eq!(again["message"], "the map was made before");
}

#[test]
fn a_job_is_cancelled_and_leaves_nothing() {
    let server = Server::start(&ROOT.data, true);
    let start = || {
        let answer = server.send("POST", "/api/jobs", Some(&json!({"kind": "process", "scan": ROOT.scans[0]})));
        answer.json()["id"].as_str().unwrap().to_owned()
    };
    let (first, second) = (start(), start());
    for id in [&second, &first] {
        assert_eq!(server.send("DELETE", &format!("/api/jobs/{id}"), None).status, 200);
    }
    for id in [&second, &first] {
        assert_eq!(server.ended(id)["state"], "cancelled");
    }
    assert_eq!(std::fs::read_dir(server.state.path().join("jobs")).map_or(0, Iterator::count), 0);
    let many: Vec<u16> =
        (0..30).map(|_| server.send("POST", "/api/jobs", Some(&json!({"kind": "verify", "scan": ROOT.scans[0]}))).status).collect();
    assert!(many.iter().all(|status| [201, 409].contains(status)), "{many:?}");
    let left = |jobs: &serde_json::Value| jobs.as_array().unwrap().iter().filter(|job| job["ended"].is_null()).count();
    let begin = std::time::Instant::now();
    while left(&server.json("/api/jobs")) > 0 {
        assert!(begin.elapsed() < PATIENCE);
        std::thread::yield_now();
    }
    // The oldest are forgotten.
    assert!(server.json("/api/jobs").as_array().unwrap().len() <= 21);
}
