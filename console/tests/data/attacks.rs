//! What leads nowhere: names that are paths, links, and requests without bounds.

use crate::rig::{ROOT, Server};
use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

/// A data root with the samples of the first scan, links out of it, and a file outside.
fn planted() -> (tempfile::TempDir, String) {
    let outer = tempfile::tempdir().unwrap();
    let id = ROOT.scans[0].clone();
    let (from, to) = (ROOT.data.join("scans").join(&id), outer.path().join("data/scans").join(&id));
    fs::create_dir_all(to.join("samples")).unwrap();
    fs::copy(from.join("scan.json"), to.join("scan.json")).unwrap();
    fs::copy(from.join("samples/S-1.h5"), to.join("samples/S-1.h5")).unwrap();
    fs::write(outer.path().join("secret.txt"), "secret").unwrap();
    fs::write(to.join(".rig.toml"), "secret").unwrap();
    symlink(outer.path().join("secret.txt"), to.join("link.txt")).unwrap();
    symlink(outer.path(), to.join("up")).unwrap();
    symlink(from.join("samples/S-2.h5"), to.join("samples/S-2.h5")).unwrap();
    symlink(outer.path().join("secret.txt"), to.join("quicklook.png")).unwrap();
    symlink(&from, outer.path().join("data/scans/20000101T000000Z-LINK")).unwrap();
    (outer, id)
}

#[test]
fn no_path_leads_out_of_a_scan() {
    let (outer, id) = planted();
    let server = Server::start(&outer.path().join("data"), true);
    let inner = [
        "../secret.txt",
        "../../../secret.txt",
        "%2e%2e/%2e%2e/%2e%2e/secret.txt",
        "..%2f..%2f..%2fsecret.txt",
        "%2fetc%2fpasswd",
        "/etc/passwd",
        "samples/../../../../secret.txt",
        "samples%00.h5",
        "link.txt",
        "up/secret.txt",
        "samples/S-2.h5",
        ".rig.toml",
        "%ff",
        "samples",
        ".",
    ];
    for path in inner {
        let answer = server.get(&format!("/api/scans/{id}/files/{path}"));
        let body = String::from_utf8_lossy(&answer.body);
        assert!(
            (400..500).contains(&answer.status) && !body.contains("secret") && !body.contains("root:"),
            "{path}: {} {body}",
            answer.status
        );
    }
    assert_eq!(server.get(&format!("/api/scans/{id}/files/samples/S-1.h5")).status, 200);
    let ids = ["..", "%2e%2e", "..%2f..", "a%00", "%2fetc", ".hidden", "20000101T000000Z-LINK", "%3Cscript%3E", "none", &"a".repeat(300)];
    for scan in ids {
        for path in ["", "/ledger", "/files", "/picture.png", "/spectrum?x_mm=1&y_mm=1", "/counts?at=vnir:1:1", "/files/scan.json"] {
            let answer = server.get(&format!("/api/scans/{scan}{path}"));
            assert_eq!(answer.status, 404, "{scan}{path}");
        }
        assert_eq!(server.get(&format!("/api/samples/{scan}/S-1")).status, 404, "{scan}");
        assert!((400..500).contains(&server.get(&format!("/api/explorer?scans={scan}")).status), "{scan}");
        let job = server.send("POST", "/api/jobs", Some(&json!({"kind": "export", "scan": scan})));
        assert!((400..500).contains(&job.status), "{scan}");
    }
    for sample in ["S-2", "..%2fscan", "S-1.h5", "%2e%2e%2f%2e%2e%2fsecret", "S-1%00", "<script>", "."] {
        for path in ["", "/image?of=mask", "/spectrum?line=0&pixel=0", "/region?points=0,0;0,1;1,1"] {
            assert!((400..500).contains(&server.get(&format!("/api/samples/{id}/{sample}{path}")).status), "{sample}{path}");
        }
    }
    assert_eq!(server.get(&format!("/api/scans/{id}/picture.png")).status, 404);
    let listed = server.json(&format!("/api/scans/{id}/files"));
    let paths: Vec<&str> = listed.as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["samples/S-1.h5", "scan.json"]);
    assert_eq!(server.json("/api/scans")["total"], 1);
}

#[test]
fn refusals_are_problems_that_say_what_to_do() {
    let server = Server::start(&ROOT.data, false);
    let id = &ROOT.scans[0];
    let sample = format!("/api/samples/{id}/S-1");
    for (path, status, words) in [
        (format!("/api/scans/{id}x"), 404, "the list of scans"),
        (format!("{sample}/image?of=bands&bands=9999"), 422, "no band 9999"),
        (format!("{sample}/image?of=bands&bands=a"), 422, "bands has `a`"),
        (format!("{sample}/image?of=bands&bands={}", "1,".repeat(2000)), 422, "1 to 16 numbers"),
        (format!("{sample}/image?of=secrets"), 422, "bands, embedding, mineral, quality or mask"),
        (format!("{sample}/image?of=mineral&n=2"), 404, "no minerals"),
        (format!("/api/explorer/minerals?scans={id}"), 404, "no section [minerals]"),
        (format!("/api/samples/{}/S-1/image?of=mineral&n=3", ROOT.scans[1]), 422, "1 (VNIR) or 2 (SWIR)"),
        (format!("{sample}/image?of=embedding&n=4"), 422, "4 numbers"),
        (format!("{sample}/spectrum?line=99999&pixel=0"), 422, "no pixel 99999,0"),
        (format!("{sample}/spectrum?line=-1&pixel=0"), 422, "query"),
        (format!("{sample}/spectrum"), 422, "line"),
        (format!("{sample}/region?points=1,2;3,4"), 422, "3 to 500 corners"),
        (format!("{sample}/region?points=nan,2;3,4;5,6"), 422, "corners"),
        (format!("/api/scans/{id}/spectrum?x_mm=9999&y_mm=0"), 404, "no stored sample"),
        (format!("/api/scans/{id}/counts"), 422, "at"),
        (format!("/api/scans/{id}/counts?at=vnir"), 422, "CAMERA:FRAME:PIXEL"),
        (format!("/api/scans/{id}/counts?at=vnir:1:2:3"), 422, "CAMERA:FRAME:PIXEL"),
        (format!("/api/scans/{id}/counts?at=vnir:1:99999"), 422, "no pixel 99999"),
        (format!("/api/scans/{id}/counts?at=..%2F..:1:1"), 404, "no camera"),
        (format!("/api/scans/{id}/counts?at=none:1:1"), 404, "no raw recording of none"),
        (format!("/api/scans/{id}/counts?at={}", ["vnir:1:1"; 9].join(";")), 422, "at most 8 cameras"),
        (format!("/api/scans/{id}/spectrum?x_mm=NaN&y_mm=0"), 404, "no stored sample"),
        ("/api/explorer?scans=".to_owned(), 422, "choose 1 to 200"),
        (format!("/api/explorer/values?scans={id}&of=cluster&k=0"), 422, "k is a number"),
        (format!("/api/explorer/values?scans={id}&of=embedding&n=99"), 422, "no number 99"),
        (format!("/api/explorer/points?scans={id}&projection=tsne"), 409, "job of kind tsne"),
        (format!("/api/explorer/classify?scans={id}&key=none"), 422, "sample keys"),
        (format!("/api/explorer/spectra?scans={id}&group=none"), 422, "sample keys"),
        (format!("/api/explorer/classify?scans={id}&key=note"), 422, "two values"),
        ("/api/scans?from=yesterday".to_owned(), 422, "2026-11-03"),
        ("/api/jobs/none/result".to_owned(), 404, "no such job"),
    ] {
        let answer = server.get(&path);
        let problem = answer.json();
        assert_eq!((answer.status, answer.header("content-type")), (status, Some("application/problem+json")), "{path}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(words), "{path}: {problem}");
    }
    let selection = |body| server.send("POST", "/api/explorer/selection", Some(&body));
    assert_eq!(selection(json!({"scans": [id], "polygon": [[0, 0], [1, 1]]})).status, 422);
    assert_eq!(selection(json!({"scans": ["../x"], "polygon": [[0, 0], [1, 1], [1, 0]]})).status, 422);
    let none = selection(json!({"scans": [id], "polygon": [[1e9, 1e9], [2e9, 1e9], [2e9, 2e9]]}));
    assert_eq!((none.status, &none.json()["count"]), (200, &json!(0)));
}

#[test]
fn damaged_files_are_said_and_nothing_falls() {
    let (outer, id) = planted();
    let folder = outer.path().join("data/scans").join(&id);
    let whole = fs::read(folder.join("samples/S-1.h5")).unwrap();
    fs::write(folder.join("samples/S-1.h5"), &whole[..whole.len() / 2]).unwrap();
    fs::write(folder.join("samples/S-5.h5"), "no HDF5").unwrap();
    let server = Server::start(&outer.path().join("data"), false);
    for sample in ["S-1", "S-5"] {
        assert_eq!(server.get(&format!("/api/samples/{id}/{sample}")).status, 500);
    }
    let other = Path::new(&folder).join("scan.json");
    fs::write(&other, "{").unwrap();
    assert_eq!(server.get(&format!("/api/scans/{id}")).status, 500);
    assert_eq!(server.json("/api/scans")["total"], 0);
    fs::copy(ROOT.data.join("scans").join(&id).join("scan.json"), &other).unwrap();
    assert_eq!(server.json("/api/scans")["total"], 1, "a record that changed is read again");
}
